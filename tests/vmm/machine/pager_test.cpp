#include "tests/support/open_timeline.h"
#include "tests/support/pagers.h"
#include "tests/support/suite.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/ram_loader.h"
#include "vmm/memory/page_faults.h"
#include "vmm/timeline/moment_memory.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <numeric>
#include <sys/mman.h>
#include <unistd.h>

using namespace vmm;
using namespace vmm::timeline;
using tests::pagers;

namespace {

constexpr std::uint64_t mib = 1u << 20;

/// A machine's memory in which each page says where it is; the last of its RAM's mebibytes are zeros.
class Memory final : public FrozenMemory {
public:
    std::vector<Block> const& blocks() const override { return m_blocks; }
    Result<std::uint64_t> nextUsed(std::size_t, std::uint64_t offset) override { return offset; }
    Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) override
    {
        std::fill(data.begin(), data.end(), std::uint8_t(0));
        for (std::uint64_t at = 0; at < data.size(); at += pageSize)
            storeLittle(data.subspan(at, 8), contents(block, offset + at));
        return {};
    }
    static std::uint64_t contents(std::size_t block, std::uint64_t offset)
    {
        return block == 0 && offset >= 48 * mib ? 0 : (block + 1) << 56 | offset | 1;
    }

private:
    std::vector<Block> m_blocks { { "ram", 64 * mib }, { "flash", mib }, { "video", 16 * mib } };
};

struct Fixture {
    Fixture()
    {
        timeline = tests::openTimeline(directory.filePath("timeline").toStdString());
        Memory memory;
        moment = tests::must(timeline->take({ .name = "moment" }, memory, {})).id;
    }
    /// As a machine does that comes back; the blocks are new.
    Result<> restore(MemoryWay way = MemoryWay::File)
    {
        loader.reset();
        ram = tests::must(MemoryBlock::create("ram", 64 * mib));
        flash = tests::must(MemoryBlock::create("flash", mib));
        video = tests::must(MemoryBlock::create("video", 16 * mib));
        auto memory = TRY(MomentMemory::open(timeline, moment, timeline));
        loader = TRY(RamLoader::open(std::move(memory), { ram.get(), video.get(), flash.get() }, way));
        return {};
    }
    static std::uint64_t at(MemoryBlock& block, std::uint64_t offset)
    {
        return loadLittle<std::uint64_t>(block.bytes().subspan(offset, 8));
    }
    Result<> loadAll()
    {
        loader->start([](auto const& task) { task(); }, [](auto const&) {});
        return loader->wait([] { return true; });
    }
    /// The same with time to settle, for touches are told by another process.
    bool settleAndLoadAll()
    {
        loader->start([](auto const& task) { task(); }, [](auto const&) {});
        return tests::becomes([&] { return !loader->isUnderWay(); }, 20'000 * tests::patience());
    }
    /// Turns a byte around in the pack's frames.
    void damage(qint64 position)
    {
        QFile pack(directory.filePath("timeline/packs/00000001"));
        QVERIFY(pack.open(QIODevice::ReadWrite) && pack.seek(position));
        char byte = 0;
        QVERIFY(pack.getChar(&byte) && pack.seek(position) && pack.putChar(char(~byte)));
    }

    QTemporaryDir directory;
    std::shared_ptr<Timeline> timeline;
    std::string moment;
    std::unique_ptr<MemoryBlock> ram, flash, video;
    std::unique_ptr<RamLoader> loader;
};

bool isOrdinary()
{
    return qEnvironmentVariableIsSet("CHRONOVISOR_ORDINARY_USER");
}

QByteArray mounts()
{
    QFile file("/proc/self/mountinfo");
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

}

class PagerTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        Fixture f;
        auto const memory = tests::must(MomentMemory::open(f.timeline, f.moment));
        UniqueFd const fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
        if (!fuse && !isOrdinary())
            QSKIP("CHRONOVISOR-SKIP: this host lets us have no /dev/fuse");
        REQUIRE_OK(memory->makeFiles({ [](auto) {}, [](auto) {} }));
    }

    /// tests/kvm/ordinary_user_test.py
    void anOrdinaryUserHasIt()
    {
        if (!isOrdinary())
            return;
        QVERIFY(::geteuid() != 0);
        auto const faults = PageFaults::open();
        QVERIFY(!faults);
        QCOMPARE(faults.error().code, ErrorCode::PermissionDenied);
        Fixture f;
        REQUIRE_OK(f.restore(MemoryWay::Best));
        QCOMPARE(pagers().size(), 1);
        QCOMPARE(f.at(*f.ram, 20 * mib), Memory::contents(0, 20 * mib));
    }

    void memoryShowsAndThenIsOurOwn()
    {
        Fixture f;
        auto const before = mounts();
        REQUIRE_OK(f.restore());
        QVERIFY(!f.ram->isComplete());
        QCOMPARE(pagers().size(), 1);
        QCOMPARE(mounts(), before); // nobody sees it
        QCOMPARE(f.at(*f.ram, 20 * mib), Memory::contents(0, 20 * mib));
        QCOMPARE(f.at(*f.video, 16 * mib - pageSize), Memory::contents(2, 16 * mib - pageSize));
        QCOMPARE(f.at(*f.ram, 60 * mib), 0u);
        f.ram->data()[10 * mib] = 0xab;
        REQUIRE_OK(f.loadAll());
        QVERIFY(f.ram->isComplete() && f.video->isComplete());
        f.loader.reset();
        QVERIFY(pagers().isEmpty());
        QCOMPARE(f.at(*f.ram, 10 * mib), (Memory::contents(0, 10 * mib) & ~0xffull) | 0xab);
        for (std::uint64_t offset = 11 * mib; offset < 64 * mib; offset += pageSize)
            QCOMPARE(f.at(*f.ram, offset), Memory::contents(0, offset));
        for (std::uint64_t offset = 0; offset < 16 * mib; offset += pageSize)
            QCOMPARE(f.at(*f.video, offset), Memory::contents(2, offset));
    }

    void whatWasNeededIsRememberedForMomentsNearby()
    {
        Fixture f;
        QVERIFY(!f.timeline->workingSet(f.moment));
        REQUIRE_OK(f.restore());
        QCOMPARE(f.at(*f.ram, 20 * mib), Memory::contents(0, 20 * mib));
        QVERIFY(f.settleAndLoadAll());
        QVERIFY(f.timeline->workingSet(f.moment));
        auto const expected = tests::must(MomentMemory::open(f.timeline, f.moment))->expected();
        auto const has = [&](std::uint64_t offset) {
            return std::any_of(expected.begin(), expected.end(), [&](auto const& piece) {
                return piece.block == 0 && piece.offset <= offset && offset < piece.offset + piece.size;
            });
        };
        QVERIFY(has(20 * mib) && !has(30 * mib));

        Memory memory;
        auto const child = tests::must(f.timeline->take({ .name = "child" }, memory, {})).id;
        QVERIFY(tests::must(MomentMemory::open(f.timeline, child))->expected() == expected);
        f.moment = child;
        REQUIRE_OK(f.restore());
        QCOMPARE(f.at(*f.ram, 30 * mib), Memory::contents(0, 30 * mib));
        QVERIFY(f.settleAndLoadAll());
        QVERIFY(
            *f.timeline->workingSet(child) != *f.timeline->workingSet(tests::must(f.timeline->moment(child)).parent));
        REQUIRE_OK(f.timeline->purge(child));
        QVERIFY(!QFile::exists(f.directory.filePath("timeline/moments/" + QString::fromStdString(child) + ".set")));
    }

    /// Before anybody asks for it.
    void whatIsExpectedIsGivenUntouched()
    {
        Fixture f;
        REQUIRE_OK(f.restore());
        QCOMPARE(f.at(*f.ram, 20 * mib), Memory::contents(0, 20 * mib));
        QVERIFY(f.settleAndLoadAll());
        REQUIRE_OK(f.restore());
        auto const isThere = [&](std::uint64_t offset) {
            unsigned char there = 0;
            return ::mincore(f.ram->data() + offset, pageSize, &there) == 0 && (there & 1) != 0;
        };
        QTRY_VERIFY(isThere(20 * mib));
        QVERIFY(!isThere(30 * mib));
        QCOMPARE(f.at(*f.ram, 20 * mib), Memory::contents(0, 20 * mib));
    }

    /// Whatever is in the file that remembers.
    void aHostileSetDoesNoHarm()
    {
        Fixture f;
        auto const entry = [](std::uint32_t block, std::uint32_t page, std::uint32_t count) {
            PagerTouch const touch { block, page, count };
            auto const bytes = bytesOf(touch);
            return Bytes(bytes.begin(), bytes.end());
        };
        WorkingSet set { { "ram", "unknown" }, {} };
        for (auto const& one : { entry(0, 16 * 256 * 4, 1), entry(0, 16383, 2), entry(0, 0xffffffff, 0xffffffff),
                 entry(1, 0, 1), entry(7, 0, 1), entry(0, 0, 0), entry(0, 0, 513), entry(0, 5, 16), Bytes(11) })
            set.pieces.insert(set.pieces.end(), one.begin(), one.end());
        REQUIRE_OK(f.timeline->setWorkingSet(f.moment, set));
        auto expected = tests::must(MomentMemory::open(f.timeline, f.moment))->expected();
        QCOMPARE(expected.size(), 1u);
        QVERIFY(expected[0] == (SavedMemory::Piece { 0, 5 * pageSize, 16 * pageSize }));

        set.pieces.clear();
        for (unsigned i = 0; i < 16384; ++i) {
            auto const one = entry(0, 0, 512);
            set.pieces.insert(set.pieces.end(), one.begin(), one.end());
        }
        REQUIRE_OK(f.timeline->setWorkingSet(f.moment, set));
        expected = tests::must(MomentMemory::open(f.timeline, f.moment))->expected();
        QVERIFY(std::accumulate(expected.begin(), expected.end(), std::uint64_t(0), [](auto sum, auto const& piece) {
            return sum + piece.size;
        }) <= 1024 * mib);

        QFile file(f.directory.filePath("timeline/moments/" + QString::fromStdString(f.moment) + ".set"));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write("{\"kind\": \"working-set\", \"version\": 1, \"state\": {\"blocks\": 5}}");
        file.close();
        QVERIFY(!f.timeline->workingSet(f.moment));
        REQUIRE_OK(f.restore());
    }

    void damageIsNamedAndHoldsNobodyUp()
    {
        Fixture f;
        f.damage(20000);
        REQUIRE_OK(f.restore());
        unsigned zeros = 0;
        for (std::uint64_t offset = 0; offset < 48 * mib; offset += pageSize)
            zeros += f.at(*f.ram, offset) == 0;
        QVERIFY(zeros > 0 && f.ram->lostPages());
        auto const loaded = f.loadAll();
        QCOMPARE(loaded.error().code, ErrorCode::Corrupt);
        QVERIFY2(loaded.error().detail.find("packs/00000001") != std::string::npos, loaded.error().detail.c_str());
    }

    void theServerIsKilled()
    {
        Fixture f;
        REQUIRE_OK(f.restore());
        QCOMPARE(f.at(*f.ram, 20 * mib), Memory::contents(0, 20 * mib));
        auto const found = pagers();
        QCOMPARE(found.size(), 1);
        QCOMPARE(::kill(found[0], SIGKILL), 0);
        // Whatever is touched from now on ends, in what was there or in nothing.
        std::uint64_t sum = 0;
        for (std::uint64_t offset = 0; offset < 48 * mib; offset += pageSize)
            sum += f.at(*f.ram, offset);
        QVERIFY(sum != 0 && f.ram->lostPages());
        auto const loaded = f.loadAll();
        QCOMPARE(loaded.error().code, ErrorCode::Corrupt);
        QVERIFY2(loaded.error().detail.find("has ended") != std::string::npos, loaded.error().detail.c_str());
        f.loader.reset();
        QVERIFY(pagers().isEmpty());
    }

    /// The moment is removed and its memory given back, while a machine still comes back to it.
    void whatIsOnItsWayBackIsNotSweptAway()
    {
        for (auto const way : { MemoryWay::File, MemoryWay::Best }) {
            Fixture f;
            REQUIRE_OK(f.restore(way));
            REQUIRE_OK(f.timeline->purge(f.moment));
            REQUIRE_OK(f.timeline->sweep());
            REQUIRE_OK(f.loadAll());
            for (std::uint64_t offset = 0; offset < 64 * mib; offset += pageSize)
                QCOMPARE(f.at(*f.ram, offset), Memory::contents(0, offset));
            f.loader.reset();
            REQUIRE_OK(f.timeline->sweep());
            QVERIFY(QDir(f.directory.filePath("timeline/packs")).isEmpty());
        }
    }
};

REGISTER_SUITE(PagerTest);
#include "pager_test.moc"
