#include "tests/support/suite.h"
#include "vmm/memory/large_pages.h"
#include "vmm/timeline/forked_memory.h"

#include <QDir>
#include <QFile>
#include <QTemporaryFile>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

using namespace vmm;
using namespace vmm::timeline;

namespace {

constexpr std::uint64_t mib = 1 << 20;

struct Fixture {
    std::unique_ptr<MemoryBlock> ram = tests::must(MemoryBlock::create("ram", 64 * mib));
    std::unique_ptr<MemoryBlock> video = tests::must(MemoryBlock::create("video", mib));
    std::unique_ptr<ForkedMemory> freeze() { return tests::must(ForkedMemory::freeze({ ram.get(), video.get() })); }
};

/// How much of the memory is in large pages of the host (AnonHugePages in /proc/PID/smaps).
std::uint64_t inLargePages(MemoryBlock const& block)
{
    QFile smaps("/proc/self/smaps");
    if (!smaps.open(QIODevice::ReadOnly))
        return 0;
    auto const from = reinterpret_cast<std::uintptr_t>(block.data());
    std::uint64_t found = 0, start = 0;
    for (auto const& line : smaps.readAll().split('\n')) {
        if (auto const range = line.left(line.indexOf('-')).toULongLong(nullptr, 16);
            range != 0 && line.contains(" rw-p "))
            start = range;
        if (line.startsWith("AnonHugePages:") && start >= from && start < from + block.size())
            found += line.simplified().split(' ')[1].toULongLong() << 10;
    }
    return found;
}

Bytes read(ForkedMemory& memory, std::size_t block, std::uint64_t offset, std::uint64_t size)
{
    Bytes data(size);
    tests::must(memory.read(block, offset, data));
    return data;
}

}

class ForkedMemoryTest : public QObject {
    Q_OBJECT

private slots:
    void whatIsWrittenLaterIsNotSeen()
    {
        Fixture f;
        std::fill_n(f.ram->data(), 8 * mib, std::uint8_t(1));
        f.video->data()[5000] = 2;
        auto const frozen = f.freeze();
        std::fill_n(f.ram->data(), 64 * mib, std::uint8_t(3));
        f.video->clear();
        QVERIFY(read(*frozen, 0, 0, 8 * mib) == Bytes(8 * mib, 1));
        QVERIFY(read(*frozen, 0, 8 * mib, mib) == Bytes(mib, 0));
        QCOMPARE(read(*frozen, 1, 4096, 4096)[5000 - 4096], 2);
    }

    void untouchedMemoryIsPassedOver()
    {
        Fixture f;
        f.ram->data()[40 * mib + 5] = 1;
        auto const frozen = f.freeze();
        QCOMPARE(frozen->blocks().size(), 2u);
        auto const used = tests::must(frozen->nextUsed(0, 0));
        QVERIFY(used > 30 * mib && used <= 40 * mib); // a large page may begin before
        QCOMPARE(tests::must(frozen->nextUsed(0, 44 * mib)), 64 * mib);
        QCOMPARE(tests::must(frozen->nextUsed(1, 0)), mib);
    }

    void whatIsLetGoIsHeldNoLonger()
    {
        Fixture f;
        std::fill_n(f.ram->data(), 8 * mib, std::uint8_t(1));
        auto const frozen = f.freeze();
        frozen->letGo(0, 2 * mib, 2 * mib);
        QTRY_COMPARE(read(*frozen, 0, 2 * mib, 1)[0], 0); // the child does it when it gets to it
        QVERIFY(read(*frozen, 0, 0, 2 * mib) == Bytes(2 * mib, 1));
        QVERIFY(read(*frozen, 0, 4 * mib, 4 * mib) == Bytes(4 * mib, 1));
        QVERIFY(std::all_of(f.ram->data(), f.ram->data() + 8 * mib, [](auto byte) { return byte == 1; }));
    }

    void whatCopyingHasSplitIsJoinedAgain()
    {
        Fixture f;
        constexpr auto used = 16 * mib;
        std::fill_n(f.ram->data(), used, std::uint8_t(1));
        if (inLargePages(*f.ram) != used)
            QSKIP("CHRONOVISOR-SKIP: this host gives no large pages");
        // The kernel's own joining (khugepaged) comes by when it likes.
        QCOMPARE(::madvise(f.ram->data(), f.ram->size(), MADV_NOHUGEPAGE), 0);
        auto frozen = f.freeze();
        for (std::uint64_t page = 0; page < used; page += 4096)
            f.ram->data()[page] = std::uint8_t(page >> 12);
        QCOMPARE(inLargePages(*f.ram), 0u);
        QVERIFY(read(*frozen, 0, 0, used) == Bytes(used, 1));
        frozen.reset();
        f.ram->data()[0] = 7;
        QCOMPARE(::madvise(f.ram->data(), f.ram->size(), MADV_HUGEPAGE), 0);
        joinPages(f.ram->bytes(), [] { return false; });
        QVERIFY(inLargePages(*f.ram) < used);
        joinPages(f.ram->bytes(), [] { return true; });
        if (inLargePages(*f.ram) == 0)
            QSKIP("CHRONOVISOR-SKIP: this kernel cannot join pages, or is short of large ones");
        QVERIFY(inLargePages(*f.ram) <= used); // what was never touched still costs nothing
        QCOMPARE(f.ram->data()[0], 7);
        for (std::uint64_t page = 4096; page < used; page += 4096) {
            QCOMPARE(f.ram->data()[page], std::uint8_t(page >> 12));
            QCOMPARE(f.ram->data()[page + 1], 1);
        }
    }

    void severalAtOnce()
    {
        Fixture f;
        f.ram->data()[0] = 1;
        auto const first = f.freeze();
        f.ram->data()[0] = 2;
        auto const second = f.freeze();
        f.ram->data()[0] = 3;
        QCOMPARE(read(*first, 0, 0, 1)[0], 1);
        QCOMPARE(read(*second, 0, 0, 1)[0], 2);
    }

    /// The copy keeps nothing of ours but the memory, and goes when it is let go.
    void leavesNothing()
    {
        Fixture f;
        auto const children
            = [] { return QDir("/proc/self/task").entryList(QDir::Dirs | QDir::NoDotAndDotDot).size(); };
        auto const before = children();
        std::array<int, 2> pipe {};
        QCOMPARE(::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK), 0);
        {
            auto const frozen = f.freeze();
            ::close(pipe[1]);
            // With nobody else who could write there, the pipe has ended; but the child needs a moment to let go of it.
            char byte = 0;
            QTRY_COMPARE(::read(pipe[0], &byte, 1), ssize_t(0));
        }
        ::close(pipe[0]);
        QCOMPARE(::waitpid(-1, nullptr, __WALL | WNOHANG), -1); // no child is left
        QTRY_VERIFY(children() <= before); // a thread that was joined is listed for a little longer
    }

    void memoryThatShowsAFileIsRefused()
    {
        Fixture f;
        QTemporaryFile file;
        QVERIFY(file.open() && file.resize(2 * mib));
        REQUIRE_OK(f.ram->showFile(0, 2 * mib, file.handle(), 0));
        QCOMPARE(ForkedMemory::freeze({ f.ram.get() }).error().code, ErrorCode::NotNow);
    }
};

REGISTER_SUITE(ForkedMemoryTest);
#include "forked_memory_test.moc"
