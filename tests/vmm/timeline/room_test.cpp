#include "tests/fakes/fake_memory.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/timeline/timeline.h"

#include <algorithm>
#include <sys/mman.h>

using namespace vmm;
using namespace vmm::timeline;
using tests::FakeFolderDisk;
using Memory = tests::FakeMemory;

namespace {

constexpr std::uint64_t kib = 1 << 10, mib = 1 << 20;

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

Result<Moment> take(Timeline& timeline, Memory& memory, Progress const& progress = {})
{
    std::uint64_t size = 0;
    for (auto const& block : memory.blocks())
        size += block.size;
    return timeline.take({ .state = "{}" }, memory, progress, timeline.roomFor(size, [] { return true; }));
}

bool isThere(Timeline const& timeline, std::string const& id, Memory const& memory)
{
    auto const tree = tests::must(timeline.memory(id));
    for (std::size_t block = 0; block < memory.data.size(); ++block) {
        Bytes data(memory.data[block].size());
        tests::must(tree.read(block, 0, data));
        if (data != memory.data[block])
            return false;
    }
    return true;
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
        auto const timeline = tests::openTimeline(disk);
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
        QVERIFY(isThere(*timeline, taken.id, memory));
    }

    /// The guest pays for what is not read yet, so what changed lately is not looked at before all of it is read.
    void whatProbablyChangesIsCopiedFirstAndThenCompared()
    {
        FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        Memory memory({ 4 * mib, 256 * kib }); // of the second, nothing changes
        for (unsigned page = 0; page < 600; ++page)
            memory.fill(0, page, 1 + page);
        tests::must(take(*timeline, memory));
        memory.fill(0, 599, 1000);
        auto room = timeline->roomFor(4 * mib, [] { return true; });
        auto const copies = room.back().bytes();
        bool isAllThere = false;
        auto const taken = tests::must(timeline->take(
            { .state = "{}" }, memory,
            [&](auto, auto) {
                isAllThere = isAllThere
                    || std::ranges::equal(
                        copies.first(600 * pageSize), ConstByteSpan(memory.data[0]).first(600 * pageSize));
                return true;
            },
            std::move(room)));
        QVERIFY(isAllThere);
        QCOMPARE(taken.changedPages, 1u);
        QCOMPARE(taken.newPages, 1u);
        QVERIFY(isThere(*timeline, taken.id, memory));
    }

    void withRoomAMomentIsTheSame()
    {
        FakeFolderDisk disk, other;
        auto const timeline = tests::openTimeline(disk), without = tests::openTimeline(other);
        Memory memory({ 3 * 4096, 17 * mib + 4096, 5 * mib });
        std::mt19937 random(7);
        for (unsigned i = 0; i < 5; ++i) {
            memory.scribble(random, i == 2 ? 0 : 900);
            if (i == 3)
                std::ranges::fill(memory.data[2], 0); // whole leaves of zeros that changed lately
            auto const taken = tests::must(take(*timeline, memory));
            auto const expected = tests::must(without->take({ .state = "{}" }, memory, {}));
            QCOMPARE(taken.changedPages, expected.changedPages);
            QCOMPARE(taken.newPages, expected.newPages);
            QVERIFY(isThere(*timeline, taken.id, memory));
        }
        QVERIFY(tests::must(timeline->verify()).empty());
    }

    /// A machine that went back and has written to some pages: the others of those leaves are not in its memory yet.
    void whatHasNotComeIsNotCopied()
    {
        FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        Memory memory({ 4 * mib });
        for (unsigned page = 0; page < 600; ++page)
            memory.fill(0, page, 1 + page);
        auto const origin = tests::must(take(*timeline, memory));
        auto here = memory;
        here.from = std::make_shared<MemoryTree>(tests::must(timeline->memory(origin.id)));
        for (unsigned page = 0; page < 300; ++page)
            here.setMissing(0, page);
        for (auto* both : { &memory, &here })
            both->fill(0, 500, 1000);
        auto const taken = tests::must(take(*timeline, here));
        QCOMPARE(taken.changedPages, 1u);
        QVERIFY(isThere(*timeline, taken.id, memory));
    }

    /// Then it is compared at once, as long as nobody has stored what was copied.
    void roomRunsOut()
    {
        FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        Memory memory({ 80 * mib }); // for which there are two batches of 32 MiB
        for (unsigned page = 0; page < 20'000; ++page)
            std::memcpy(memory.data[0].data() + std::size_t(page) * 4096, &page, sizeof page);
        tests::must(take(*timeline, memory));
        for (unsigned page = 1; page < 20'000; page += 2)
            memory.data[0][std::size_t(page) * 4096 + 100] = 1;
        std::uint64_t told = 0;
        auto const taken = tests::must(take(*timeline, memory, [&](auto done, auto) {
            told = std::max(told, done);
            return true;
        }));
        QCOMPARE(taken.changedPages, 10'000u);
        QCOMPARE(taken.newPages, 10'000u);
        QVERIFY(told <= 80 * mib);
        QVERIFY(isThere(*timeline, taken.id, memory));
    }

    void endedAtAnyTimeItLeavesNothing()
    {
        FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        Memory memory({ 4 * mib });
        std::mt19937 random(3);
        memory.scribble(random, 600);
        auto const first = tests::must(take(*timeline, memory));
        memory.scribble(random, 300);
        auto const before = disk.files.size();
        unsigned asked = 0;
        for (unsigned at = 0; at < 16; ++at) { // each leaf's time
            unsigned left = at;
            auto const taken = take(*timeline, memory, [&](auto, auto) {
                ++asked;
                return left-- > 0;
            });
            QVERIFY(!taken);
            QCOMPARE(taken.error().code, ErrorCode::Cancelled);
            QCOMPARE(disk.files.size(), before);
            QCOMPARE(timeline->present(), first.id);
        }
        QVERIFY(asked >= 16 * 17 / 2);
        for (memory.readable = 0; memory.readable < 16; ++memory.readable) {
            memory.reads.clear();
            auto const taken = take(*timeline, memory);
            QVERIFY(!taken);
            QCOMPARE(taken.error().code, ErrorCode::OutOfMemory);
            QCOMPARE(disk.files.size(), before);
            QCOMPARE(timeline->present(), first.id);
        }
        memory.reads.clear();
        auto const taken = tests::must(take(*timeline, memory));
        QVERIFY(isThere(*timeline, taken.id, memory));
        QVERIFY(tests::must(timeline->verify()).empty());
    }
};

REGISTER_SUITE(RoomTest);
#include "room_test.moc"
