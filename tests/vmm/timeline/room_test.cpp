#include "tests/fakes/fake_folder.h"
#include "tests/fakes/fake_memory.h"
#include "tests/support/suite.h"
#include "vmm/timeline/timeline.h"

#include <algorithm>
#include <sys/mman.h>

using namespace vmm;
using namespace vmm::timeline;
using tests::FakeFolder;
using tests::FakeFolderDisk;
using Memory = tests::FakeMemory;

namespace {

constexpr std::uint64_t mib = 1 << 20;

/// Of memory, what the host has given.
std::uint64_t given(Room const& room)
{
    std::uint64_t pages = 0;
    for (auto const& part : room) {
        std::vector<unsigned char> resident(part.bytes().size() / AnonymousMemory::pageSize);
        if (::mincore(part.bytes().data(), part.bytes().size(), resident.data()) == 0)
            pages
                += static_cast<std::uint64_t>(std::ranges::count_if(resident, [](auto one) { return (one & 1) != 0; }));
    }
    return pages * AnonymousMemory::pageSize;
}

bool canBeObtained()
{
    auto const memory = tests::must(AnonymousMemory::create(AnonymousMemory::pageSize, "a test"));
    constexpr int populateWrite = 23; // as store_memory.cpp has it
    return ::madvise(memory.bytes().data(), memory.bytes().size(), populateWrite) == 0;
}

}

/// Room that is made before memory is held (makeRoom()).
class RoomTest final : public QObject {
    Q_OBJECT
private slots:
    void initTestCase()
    {
        if (!canBeObtained())
            QSKIP("this host's kernel gives no memory before it is touched (Linux 5.14)");
    }

    void thereIsEnoughForWhatChanges()
    {
        auto const always = [] { return true; };
        auto const room = makeRoom(4096 * mib, 40 * mib / pageSize, always);
        auto const there = given(room);
        QVERIFY(there >= 40 * mib && there < 128 * mib);
        // No more than waits to be compressed at most.
        QVERIFY(given(makeRoom(512 * mib, 512 * mib / pageSize, always)) <= 64 * mib);
    }

    void itEndsEarly()
    {
        int left = 5;
        auto const room = makeRoom(4096 * mib, 512 * mib / pageSize, [&] { return left-- > 0; });
        QCOMPARE(given(room), 10 * mib);
        QCOMPARE(given(makeRoom(4096 * mib, 512 * mib / pageSize, [] { return false; })), 0u);
    }

    void aMomentIsCopiedThere()
    {
        FakeFolderDisk disk;
        auto const timeline
            = tests::must(Timeline::open(std::make_unique<FakeFolder>(disk), Timeline::Access::ReadWrite));
        Memory memory({ 4 * mib });
        for (unsigned page = 0; page < 600; ++page)
            memory.fill(0, page, 1 + page);
        auto room = timeline->roomFor(4 * mib, [] { return true; });
        QVERIFY(!room.empty());
        auto const first = room.back().bytes();
        bool isUsed = false;
        auto const taken = tests::must(timeline->take(
            { .state = "{}" }, memory,
            [&](auto, auto) {
                isUsed = isUsed || first[0] != 0;
                return true;
            },
            std::move(room)));
        QVERIFY(isUsed);
        auto const tree = tests::must(timeline->memory(taken.id));
        Bytes data(4 * mib);
        tests::must(tree.read(0, 0, data));
        QVERIFY(data == memory.data[0]);
    }
};

REGISTER_SUITE(RoomTest);
#include "room_test.moc"
