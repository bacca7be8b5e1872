#include "tests/fakes/fake_folder.h"
#include "tests/support/suite.h"
#include "vmm/timeline/census.h"

#include <limits>
#include <zstd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace vmm;
using namespace vmm::timeline;

namespace {

constexpr std::uint64_t seed = 77;
constexpr std::uint32_t number = 3, pageCount = 20; // a whole frame and a part of one
constexpr std::size_t endSize = 64;                 // header and footer
constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

/// A pack whose author knows the format, the checksum and the seed, and lies.
struct Liar {
    tests::FakeFolderDisk disk;
    tests::FakeFolder folder { disk };

    Liar()
    {
        auto const writer = tests::must(PackWriter::create(folder, number, seed));
        for (std::uint32_t page = 0; page < pageCount; ++page) {
            Bytes const data(pageSize, static_cast<std::uint8_t>(page + 1));
            tests::must(writer->addPage(data, hashOf(data, seed)));
        }
        writer->addNode({});
        tests::must(writer->seal());
    }
    ByteSpan file() { return disk.files.at(packName(number))->bytes; }
    ByteSpan footer() { return file().last(endSize); }
    /// Where and how long a frame is.
    ByteSpan place(std::uint32_t frame) { return file().last(endSize + 2 * 16).subspan(frame * 16, 16); }
    void sign()
    {
        Bytes ends(file().begin(), file().begin() + endSize);
        ends.insert(ends.end(), footer().begin(), footer().end() - 16);
        storeLittle(footer().subspan(endSize - 16, 8), XXH3_64bits_withSeed(ends.data(), ends.size(), seed));
    }
    /// The ends of a file that claims so many pages, in which all else is a hole.
    Bytes endsOfHollow(std::uint32_t pages)
    {
        storeLittle(footer().first(4), std::uint64_t(pages));
        storeLittle(footer().subspan(4, 4), std::uint64_t(0));
        storeLittle(footer().subspan(8, 8), std::uint64_t(endSize));
        sign();
        Bytes ends(file().begin(), file().begin() + endSize);
        ends.insert(ends.end(), footer().begin(), footer().end());
        return ends;
    }
    Result<std::shared_ptr<Pack const>> open() { return Pack::open(folder, number, seed); }
    /// What is said of a frame that the pack has, by all that read it.
    ErrorCode frame(std::uint32_t frame)
    {
        auto const pack = tests::must(open());
        Bytes pages(pack->pagesIn(frame) * pageSize), stored;
        pack->readAhead({ 0, 1 });
        auto const read = pack->readFrame(frame, pages);
        if (read)
            return ErrorCode::Internal; // it was believed
        if (auto const raw = pack->readStored(frame, stored); raw && stored.size() > pagesPerFrame * pageSize)
            return ErrorCode::OutOfMemory;
        return read.error().code;
    }
};

/// One pack that claims so many pages, and takes no room; it notes the most that was read at once.
class HollowFolder final : public Folder {
public:
    explicit HollowFolder(std::uint32_t pages)
        : m_ends(Liar().endsOfHollow(pages)),
          m_size(
              2 * endSize + std::uint64_t(pages) * 16 + (std::uint64_t(pages) + pagesPerFrame - 1) / pagesPerFrame * 16)
    {
    }
    std::size_t mostAtOnce() const { return m_most; }

    Result<std::shared_ptr<StoredFile const>> open(std::string const& name) const override
    {
        return std::make_shared<File>(*this, name);
    }
    Result<std::vector<std::string>> list(std::string const&) override
    {
        return std::vector { packName(number).substr(std::string(packFolder).size() + 1) };
    }
    Result<std::unique_ptr<NewFile>> create(std::string const&) override { return refused(); }
    Result<> rename(std::string const&, std::string const&) override { return refused(); }
    Result<> remove(std::string const&) override { return refused(); }
    Result<> link(StoredFile const&, std::string const&) override { return refused(); }
    Result<> sync(std::string const&) override { return refused(); }

private:
    class File final : public StoredFile {
    public:
        File(HollowFolder const& folder, std::string name) : m_folder(folder), m_name(std::move(name)) { }
        std::string const& name() const override { return m_name; }
        Result<std::uint64_t> size() const override { return m_folder.m_size; }
        Result<> read(std::uint64_t offset, ByteSpan data) const override
        {
            m_folder.m_most = std::max(m_folder.m_most, data.size());
            std::ranges::fill(data, std::uint8_t(0));
            auto const ends = ConstByteSpan(m_folder.m_ends);
            if (offset == 0)
                std::ranges::copy(ends.first(data.size()), data.begin());
            else if (offset == m_folder.m_size - endSize)
                std::ranges::copy(ends.last(data.size()), data.begin());
            return {};
        }

    private:
        HollowFolder const& m_folder;
        std::string m_name;
    };

    static tl::unexpected<Error> refused() { return fail(ErrorCode::PermissionDenied, "it is for reading"); }

    Bytes m_ends;
    std::uint64_t m_size;
    mutable std::size_t m_most = 0;
};

}

class PackTest : public QObject {
    Q_OBJECT

private slots:
    void whatWasWrittenIsRead()
    {
        Liar pack;
        auto const read = tests::must(pack.open());
        QCOMPARE(read->pages(), pageCount);
        QCOMPARE(read->frames(), 2u);
        Bytes pages(4 * pageSize);
        REQUIRE_OK(read->readFrame(1, pages));
        QCOMPARE(pages[3 * pageSize], std::uint8_t(20));
    }

    /// Memory that refers to it has lost a page: it does not read as zeros.
    void aReferenceToAPageThatWasLeftOutIsDamage()
    {
        constexpr std::uint32_t leftOut = 7;
        tests::FakeFolderDisk disk;
        tests::FakeFolder folder(disk);
        auto const writer = tests::must(PackWriter::create(folder, number, seed));
        Node leaf {};
        for (std::uint32_t page = 0; page < pageCount; ++page) {
            Bytes const data(pageSize, static_cast<std::uint8_t>(page + 1));
            tests::must(writer->addPage(data, page == leftOut ? PageHash {} : hashOf(data, seed)));
            leaf[page] = packReference({ number, page });
        }
        auto const damaged = writer->addNode(leaf);
        leaf[leftOut] = 0;
        auto const whole = writer->addNode(leaf);
        tests::must(writer->seal());

        PageStore store(folder, seed);
        REQUIRE_OK(store.open(false));
        std::vector<MemoryRoot> const lost { { "ram", pageCount * pageSize, number, damaged } };
        std::vector<MemoryRoot> const zeros { { "ram", pageCount * pageSize, number, whole } };
        Bytes page(pageSize);
        QCOMPARE(MemoryTree(store, lost).read(0, leftOut * pageSize, page).error().code, ErrorCode::Corrupt);
        REQUIRE_OK(MemoryTree(store, lost).read(0, (leftOut + 1) * pageSize, page));
        QCOMPARE(page[0], std::uint8_t(leftOut + 2));
        REQUIRE_OK(MemoryTree(store, zeros).read(0, leftOut * pageSize, page));
        auto const census = tests::must(Census::of(store, { lost, zeros }));
        QCOMPARE(census.checkWhole(0).error().code, ErrorCode::Corrupt);
        REQUIRE_OK(census.checkWhole(1));
    }

    void sizesOfTablesThatLieAreRefused_data()
    {
        QTest::addColumn<unsigned>("at");
        QTest::addColumn<unsigned>("size");
        QTest::addColumn<quint64>("value");
        QTest::newRow("all pages that there can be") << 0U << 4U << quint64(0xffffffff);
        QTest::newRow("a page more") << 0U << 4U << quint64(pageCount + 1);
        QTest::newRow("no page") << 0U << 4U << quint64(0);
        QTest::newRow("all nodes that there can be") << 4U << 4U << quint64(0xffffffff);
        QTest::newRow("a node more") << 4U << 4U << quint64(2);
        QTest::newRow("nodes in the header") << 8U << 8U << quint64(8);
        QTest::newRow("nodes behind the end") << 8U << 8U << (quint64(1) << 40);
        QTest::newRow("nodes at the end of all numbers") << 8U << 8U << quint64(most);
    }

    void sizesOfTablesThatLieAreRefused()
    {
        QFETCH(unsigned, at);
        QFETCH(unsigned, size);
        QFETCH(quint64, value);
        Liar pack;
        storeLittle(pack.footer().subspan(at, size), value);
        pack.sign();
        auto const opened = pack.open();
        QVERIFY(!opened);
        QCOMPARE(opened.error().code, ErrorCode::Corrupt);
        QVERIFY(opened.error().message().find(packName(number)) != std::string::npos);
    }

    void placesOfFramesThatLieAreRefused_data()
    {
        QTest::addColumn<quint64>("offset");
        QTest::addColumn<quint64>("length");
        QTest::newRow("in the header") << quint64(0) << quint64(100);
        QTest::newRow("behind the frames") << (quint64(1) << 30) << quint64(100);
        QTest::newRow("at the end of all numbers") << quint64(most) << quint64(100);
        QTest::newRow("over the end") << quint64(64) << quint64(0xffffffff);
        QTest::newRow("nothing") << quint64(64) << quint64(0);
        QTest::newRow("half of it") << quint64(64) << quint64(10);
    }

    void placesOfFramesThatLieAreRefused()
    {
        QFETCH(quint64, offset);
        QFETCH(quint64, length);
        Liar pack;
        storeLittle(pack.place(0).first(8), offset);
        storeLittle(pack.place(0).subspan(8, 4), length);
        QCOMPARE(pack.frame(0), ErrorCode::Corrupt);
        Bytes pages(4 * pageSize);
        REQUIRE_OK(tests::must(pack.open())->readFrame(1, pages)); // the other one is as good as it was
    }

    /// A file with holes can be as large as it likes.
    void whatNoMachineHasIsRefused()
    {
        HollowFolder const largest(Pack::mostPages), beyond(Pack::mostPages + 1), all(0xffffffff);
        REQUIRE_OK(Pack::open(largest, number, seed));
        QCOMPARE(Pack::open(beyond, number, seed).error().code, ErrorCode::Corrupt);
        QCOMPARE(Pack::open(all, number, seed).error().code, ErrorCode::Corrupt);
    }

    /// And is neither counted nor read ahead in one piece, nor without a question.
    void whatAPackClaimsTakesNoMemory()
    {
        constexpr std::uint32_t claimed = 1u << 22;
        constexpr std::size_t most = 1u << 20;
        HollowFolder folder(claimed);
        PageStore store(folder, seed);
        REQUIRE_OK(store.open(false));
        auto const pack = tests::must(store.pack(number));
        pack->readAhead({ 0, pack->frames() / 2, pack->frames() - 1 });
        QVERIFY2(folder.mostAtOnce() <= most, qPrintable(QString::number(folder.mostAtOnce())));
        std::vector<MemoryRoot> const tree { { "ram", pageSize, number, 0 } };
        unsigned asked = 0;
        auto const census = tests::must(Census::of(store, { tree }, { .goOn = [&] { return ++asked > 0; } }));
        QVERIFY2(folder.mostAtOnce() <= most, qPrintable(QString::number(folder.mostAtOnce())));
        auto const& counted = census.packs().at(number);
        QCOMPARE(counted.pageCount, claimed);
        QVERIFY(counted.isStored.isEmpty() && counted.frameLengths.isEmpty());
        QVERIFY(!census.checkWhole(0));
        for (unsigned refused = 1; refused < asked; refused += asked / 8) {
            unsigned left = refused;
            auto const cancelled = Census::of(store, { tree }, { .goOn = [&] { return left-- > 0; } });
            QCOMPARE(cancelled.error().code, ErrorCode::Cancelled);
        }
    }

    /// A frame of zstd says itself how much comes out of it.
    void aFrameThatUnpacksToMoreIsRefused()
    {
        Liar pack;
        auto const place = pack.place(0);
        auto const offset = loadLittle<std::uint64_t>(place.first(8));
        auto const length = loadLittle<std::uint32_t>(place.subspan(8, 4));
        Bytes const bomb(std::size_t(1) << 20);
        Bytes packed(ZSTD_compressBound(bomb.size()));
        packed.resize(ZSTD_compress(packed.data(), packed.size(), bomb.data(), bomb.size(), 19));
        QVERIFY(packed.size() <= length);
        std::copy(packed.begin(), packed.end(), pack.file().begin() + static_cast<std::ptrdiff_t>(offset));
        storeLittle(place.subspan(8, 4), std::uint64_t(packed.size()));
        QCOMPARE(pack.frame(0), ErrorCode::Corrupt);
    }
};

REGISTER_SUITE(PackTest);
#include "pack_test.moc"
