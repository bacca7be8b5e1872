#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "vmm/machine/ram_loader.h"
#include "vmm/memory/page_faults.h"

#include <algorithm>
#include <condition_variable>
#include <fcntl.h>
#include <future>
#include <sys/syscall.h>
#include <unistd.h>

using namespace vmm;

namespace {

constexpr std::uint64_t mib = 1u << 20, pageSize = 4096;
using Piece = SavedMemory::Piece;

/// What the machine's memory was: each page says where it is. Every read is noted, and goes wrong where it shall.
class Source final : public SavedMemory {
public:
    struct Notes {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<Piece> reads, remembered;
        std::uint64_t badPage = ~0ull;
        ErrorCode badCode = ErrorCode::Corrupt;
        std::uint64_t barrier = ~0ull; ///< large reads from there on wait until it is moved
    };

    Source(std::vector<Block> blocks, std::vector<Piece> expected)
        : m_blocks(std::move(blocks)), m_expected(std::move(expected))
    {
    }
    static std::uint64_t contents(std::size_t block, std::uint64_t offset) { return (block + 1) << 56 | offset | 1; }

    std::vector<Block> const& blocks() const override { return m_blocks; }
    bool holdsData(std::size_t block, std::uint64_t offset, std::uint64_t) const override
    {
        return block != 0 || offset < 32 * mib || offset >= 48 * mib;
    }
    Result<> read(std::size_t block, std::uint64_t offset, ByteSpan data) const override
    {
        std::unique_lock lock(notes->mutex);
        notes->changed.wait(lock, [&] { return offset < notes->barrier || data.size() < mib; });
        notes->reads.push_back({ block, offset, data.size() });
        notes->changed.notify_all();
        if (notes->badPage >= offset && notes->badPage < offset + data.size())
            return fail(notes->badCode, "page " + std::to_string(notes->badPage / pageSize) + " is bad");
        std::fill(data.begin(), data.end(), std::uint8_t(0));
        for (std::uint64_t at = 0; at < data.size(); at += pageSize)
            storeLittle(data.subspan(at, 8), contents(block, offset + at));
        return {};
    }
    std::optional<Place> file(std::size_t) const override { return std::nullopt; }
    std::vector<Piece> expected() const override { return m_expected; }
    void remember(std::vector<Piece> const& pieces) override
    {
        std::lock_guard const lock(notes->mutex);
        notes->remembered = pieces;
    }

    std::shared_ptr<Notes> notes = std::make_shared<Notes>();

private:
    std::vector<Block> m_blocks;
    std::vector<Piece> m_expected;
};

struct Fixture {
    explicit Fixture(std::vector<Piece> expected = {}, MemoryWay way = MemoryWay::Faults)
    {
        auto source = std::make_unique<Source>(
            std::vector<SavedMemory::Block> { { "ram", 64 * mib }, { "video", 16 * mib }, { "flash", mib } },
            std::move(expected));
        notes = source->notes;
        loader = tests::must(RamLoader::open(std::move(source), { flash.get(), ram.get(), video.get() }, way));
    }
    std::uint64_t at(MemoryBlock& block, std::uint64_t offset)
    {
        return loadLittle<std::uint64_t>(block.bytes().subspan(offset, 8));
    }
    Result<> loadAll()
    {
        loader->start([](auto const& task) { task(); }, [](auto const&) {});
        return loader->wait([] { return true; });
    }
    std::size_t reads()
    {
        std::lock_guard const lock(notes->mutex);
        return notes->reads.size();
    }

    std::unique_ptr<MemoryBlock> ram = tests::must(MemoryBlock::create("ram", 64 * mib));
    std::unique_ptr<MemoryBlock> video = tests::must(MemoryBlock::create("video", 16 * mib));
    std::unique_ptr<MemoryBlock> flash = tests::must(MemoryBlock::create("flash", mib));
    std::shared_ptr<Source::Notes> notes;
    std::unique_ptr<RamLoader> loader;
};

bool hostTellsOfFaults()
{
    UniqueFd const device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
    return device || UniqueFd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
}

}

class FaultLoaderTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (!hostTellsOfFaults())
            QSKIP("CHRONOVISOR-SKIP: this host lets us have no userfaultfd");
        REQUIRE_OK(PageFaults::open());
    }

    void nothingIsReadBeforeItIsTouched()
    {
        Fixture f;
        QCOMPARE(f.reads(), 1u); // the flash chip: small blocks are whole at once
        QCOMPARE(f.at(*f.flash, 8192), Source::contents(2, 8192));
        QCOMPARE(f.at(*f.ram, 20 * mib + 3 * pageSize), Source::contents(0, 20 * mib + 3 * pageSize));
        QCOMPARE(f.reads(), 2u);
        QCOMPARE(f.at(*f.ram, 20 * mib + 4 * pageSize), Source::contents(0, 20 * mib + 4 * pageSize)); // came along
        QCOMPARE(f.at(*f.ram, 40 * mib), 0u); // is known to be zeros
        QCOMPARE(f.reads(), 2u);
        QCOMPARE(f.at(*f.video, 16 * mib - pageSize), Source::contents(1, 16 * mib - pageSize));
        QVERIFY(!f.ram->isComplete());
    }

    void theRestFollowsAndWhatIsWrittenStays()
    {
        Fixture f;
        f.ram->data()[10 * mib] = 0xab;
        f.ram->data()[40 * mib] = 0xcd;
        REQUIRE_OK(f.loadAll());
        QVERIFY(f.ram->isComplete() && f.video->isComplete());
        auto const reads = f.reads();
        QCOMPARE(f.at(*f.ram, 10 * mib), (Source::contents(0, 10 * mib) & ~0xffull) | 0xab);
        QCOMPARE(f.at(*f.ram, 40 * mib), 0xcdu);
        for (std::uint64_t offset = 0; offset < 32 * mib; offset += pageSize) {
            if (offset != 10 * mib)
                QCOMPARE(f.at(*f.ram, offset), Source::contents(0, offset));
        }
        for (std::uint64_t offset = 0; offset < 16 * mib; offset += pageSize)
            QCOMPARE(f.at(*f.video, offset), Source::contents(1, offset));
        QCOMPARE(f.reads(), reads);
        f.loader.reset();
        f.ram->clear();
        QCOMPARE(f.at(*f.ram, 0), 0u);
    }

    /// Several threads at the same pages while the rest comes.
    void touchedFromEverywhereMeanwhile()
    {
        Fixture f;
        f.loader->start([](auto const& task) { task(); }, [](auto const&) {});
        std::vector<std::future<unsigned>> readers;
        for (unsigned i = 0; i < 4; ++i) {
            readers.push_back(std::async(std::launch::async, [&f, i] {
                unsigned wrong = 0;
                for (std::uint64_t page = 0; page < 32 * mib / pageSize; page += 7) {
                    auto const offset = (page * (2 * i + 1)) % (32 * mib / pageSize) * pageSize;
                    wrong += f.at(*f.ram, offset) != Source::contents(0, offset);
                }
                return wrong;
            }));
        }
        for (auto& reader : readers)
            QCOMPARE(reader.get(), 0u);
        REQUIRE_OK(f.loader->wait([] { return true; }));
    }

    void whatWasNeededIsRememberedAndComesFirst()
    {
        std::vector<Piece> needed;
        {
            Fixture f;
            QCOMPARE(f.at(*f.ram, 30 * mib), Source::contents(0, 30 * mib));
            QCOMPARE(f.at(*f.ram, 5 * pageSize), Source::contents(0, 5 * pageSize));
            REQUIRE_OK(f.loadAll());
            needed = f.notes->remembered;
        }
        QCOMPARE(needed.size(), 2u);
        QVERIFY(needed[0] == (Piece { 0, 30 * mib, 64 << 10 }));
        QVERIFY(needed[1] == (Piece { 0, 0, 64 << 10 }));

        Fixture f(needed);
        f.notes->barrier = 0; // only these
        f.loader->start([](auto const& task) { task(); }, [](auto const&) {});
        {
            std::unique_lock lock(f.notes->mutex);
            f.notes->changed.wait(lock, [&] { return f.notes->reads.size() == 3; });
            QVERIFY(f.notes->reads[1].size == 64 << 10 && f.notes->reads[2].size == 64 << 10);
        }
        QCOMPARE(f.at(*f.ram, 30 * mib), Source::contents(0, 30 * mib));
        QCOMPARE(f.at(*f.ram, 10 * mib), Source::contents(0, 10 * mib));
        {
            std::lock_guard const lock(f.notes->mutex);
            f.notes->barrier = ~0ull;
            f.notes->changed.notify_all();
        }
        REQUIRE_OK(f.loader->wait([] { return true; }));
        QCOMPARE(f.notes->remembered.size(), 3u);
        QVERIFY(f.notes->remembered[2] == (Piece { 0, 10 * mib, 64 << 10 }));
    }

    /// It meets a page of zeros, as where a file was cut off; the loader says why.
    void whatCannotBeHadIsNamedAndHoldsNobodyUp()
    {
        Fixture f;
        {
            std::lock_guard const lock(f.notes->mutex);
            f.notes->badPage = 20 * mib + 2 * pageSize;
        }
        QCOMPARE(f.at(*f.ram, 20 * mib), Source::contents(0, 20 * mib)); // its neighbours are well
        QVERIFY(!f.ram->lostPages());
        QCOMPARE(f.at(*f.ram, 20 * mib + 2 * pageSize), 0u);
        QVERIFY(f.ram->lostPages());
        auto const loaded = f.loadAll();
        QCOMPARE(loaded.error().code, ErrorCode::Corrupt);
        QVERIFY2(loaded.error().detail.find("ram at 0x1402000") != std::string::npos, loaded.error().detail.c_str());
        QVERIFY2(loaded.error().detail.find("page 5122 is bad") != std::string::npos, loaded.error().detail.c_str());
        // Others are not held up either.
        QCOMPARE(f.at(*f.ram, 25 * mib), Source::contents(0, 25 * mib));
        f.loader.reset();
        f.ram->clear();
        QCOMPARE(f.at(*f.ram, 20 * mib), 0u);
        QVERIFY(f.ram->isComplete());
    }

    void aDiskThatCannotBeReadJustNowIsTriedAgain()
    {
        Fixture f;
        f.notes->badPage = 20 * mib;
        f.notes->badCode = ErrorCode::IoError;
        QCOMPARE(f.loadAll().error().code, ErrorCode::IoError);
        QVERIFY(!f.ram->isComplete());
        f.notes->badPage = ~0ull;
        REQUIRE_OK(f.loadAll());
        QCOMPARE(f.at(*f.ram, 20 * mib), Source::contents(0, 20 * mib));
    }

    /// Who waits for a page goes on when the loader is gone.
    void endingEarlyIsClean()
    {
        Fixture f;
        f.notes->barrier = 0;
        f.loader->start([](auto const& task) { task(); }, [](auto const&) {});
        QVERIFY(f.loader->isUnderWay());
        QCOMPARE(f.loader->wait([] { return false; }).error().code, ErrorCode::Cancelled);
        QCOMPARE(f.at(*f.ram, 10 * mib), Source::contents(0, 10 * mib));
        {
            std::lock_guard const lock(f.notes->mutex);
            f.notes->barrier = ~0ull;
            f.notes->changed.notify_all();
        }
        f.loader.reset();
        QVERIFY(f.ram->isComplete());
        QCOMPARE(f.at(*f.ram, 10 * mib), Source::contents(0, 10 * mib));
    }

    /// Power goes off while somebody keeps a moment of what is still coming: he is not left waiting, and what he holds
    /// does not reach into the memory any more.
    void whoHoldsAStoppedOneDoesNotWait()
    {
        Fixture f;
        f.notes->barrier = 0;
        f.loader->start([](auto const& task) { task(); }, [](auto const&) {});
        auto waited = std::async(std::launch::async, [&] { return f.loader->wait([] { return true; }); });
        auto stopped = std::async(std::launch::async, [&] { f.loader->stop(); });
        {
            std::lock_guard const lock(f.notes->mutex);
            f.notes->barrier = ~0ull;
            f.notes->changed.notify_all();
        }
        QVERIFY(tests::comes(stopped));
        QVERIFY(tests::comes(waited));
        f.ram->clear();
        auto const reads = f.reads();
        QCOMPARE(f.at(*f.ram, 10 * mib), 0u);
        QCOMPARE(f.reads(), reads);
        QCOMPARE(f.loader->wait([] { return true; }).error().code, ErrorCode::Cancelled);
        QVERIFY(f.ram->isComplete());
    }

    void whereNothingElseIsAllowedAllIsReadAtOnce()
    {
        Fixture f({}, MemoryWay::AtOnce);
        QVERIFY(f.ram->isComplete());
        auto const reads = f.reads();
        QCOMPARE(f.at(*f.ram, 31 * mib), Source::contents(0, 31 * mib));
        REQUIRE_OK(f.loadAll());
        QCOMPARE(f.reads(), reads);
    }
};

REGISTER_SUITE(FaultLoaderTest);
#include "fault_loader_test.moc"
