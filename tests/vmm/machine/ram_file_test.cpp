#include "tests/support/suite.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/ram_file.h"
#include "vmm/machine/ram_loader.h"

#include <QFile>
#include <QTemporaryDir>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

using namespace vmm;

class RamFileTest : public QObject {
    Q_OBJECT
    QTemporaryDir m_directory;
    std::string path(char const* name) { return m_directory.filePath(name).toStdString(); }

    static std::unique_ptr<MemoryBlock> block(char const* name, std::uint64_t size)
    {
        return std::move(*MemoryBlock::create(name, size));
    }
    static Result<std::unique_ptr<RamLoader>> open(
        std::string const& file, RamFileRecord const& record, std::vector<MemoryBlock*> const& blocks)
    {
        auto opened = TRY(openFile(file, O_RDONLY));
        return RamLoader::open(TRY(RamFile::open(std::move(opened), record)), blocks);
    }
    static Result<> loadAll(RamLoader& loader)
    {
        loader.start([](auto const& task) { task(); }, [](auto const&) {});
        return loader.wait([] { return true; });
    }
    /// A block with a file's contents in it, as it is after a restore: shown, not yet read.
    struct Shown {
        std::unique_ptr<MemoryBlock> ram;
        std::unique_ptr<RamLoader> loader;
    };
    Shown shown(char const* file, std::function<void(MemoryBlock&)> const& fill)
    {
        auto ram = block("ram", 64u << 20);
        fill(*ram);
        auto const record = tests::must(writeRamFile(path(file), { ram.get() }, {}));
        ram->clear();
        auto loader = tests::must(open(path(file), record, { ram.get() }));
        return { std::move(ram), std::move(loader) };
    }

private slots:
    void contentsComeBackAndHolesCostNothing()
    {
        auto ram = block("ram", 64u << 20), video = block("video", 8192);
        ram->data()[5] = 1;
        ram->data()[(10u << 20) + 4096] = 2;
        ram->data()[(64u << 20) - 1] = 3;
        video->data()[8191] = 4;
        auto const record = writeRamFile(path("ram"), { ram.get(), video.get() }, {});
        REQUIRE_OK(record);

        struct stat status { };
        QCOMPARE(::stat(path("ram").c_str(), &status), 0);
        QVERIFY(status.st_blocks * 512 <= 8 * 4096);
        REQUIRE_OK(verifyRamFile(path("ram"), *record, {}));

        auto newVideo = block("video", 8192), newRam = block("ram", 64u << 20);
        auto loader = open(path("ram"), *record, { newVideo.get(), newRam.get() });
        REQUIRE_OK(loader);
        QCOMPARE(std::memcmp(newRam->data(), ram->data(), ram->size()), 0);
        QCOMPARE(newVideo->data()[8191], 4);

        // What came out of a file goes into the next one alike, with what was changed since.
        newRam->data()[6] = 9;
        auto const second = writeRamFile(path("ram2"), { newRam.get(), newVideo.get() }, {});
        REQUIRE_OK(second);
        auto third = block("ram", 64u << 20);
        auto const again = open(path("ram2"), *second, { third.get(), newVideo.get() });
        REQUIRE_OK(again);
        QCOMPARE(std::memcmp(third->data(), newRam->data(), third->size()), 0);
        REQUIRE_OK(loadAll(**again));
        QCOMPARE(std::memcmp(third->data(), newRam->data(), third->size()), 0);

        loader->reset();
        newRam->clear();
        QCOMPARE(newRam->data()[5], 0);
    }

    /// Large pieces go another way to the disk than small ones: here they lie side by side.
    void piecesOfEverySizeComeBack()
    {
        auto ram = block("ram", 16u << 20);
        std::uint64_t number = 88172645463325252ull, page = 0;
        for (std::uint64_t run = 1; page + run < ram->size() / 4096; page += run + 1, run = run * 7 % 509) {
            for (std::uint64_t at = page * 4096; at < (page + run) * 4096; at += 8) {
                number ^= number << 13;
                number ^= number >> 7;
                number ^= number << 17;
                std::memcpy(ram->data() + at, &number, sizeof number);
            }
        }
        auto const record = writeRamFile(path("pieces"), { ram.get() }, {});
        REQUIRE_OK(record);
        REQUIRE_OK(verifyRamFile(path("pieces"), *record, {}));
        auto loaded = block("ram", 16u << 20);
        auto const loader = open(path("pieces"), *record, { loaded.get() });
        REQUIRE_OK(loader);
        QCOMPARE(std::memcmp(loaded->data(), ram->data(), ram->size()), 0);
    }

    void whatIsThereIsNotReplaced()
    {
        auto ram = block("ram", 1u << 20);
        REQUIRE_OK(writeRamFile(path("there"), { ram.get() }, {}));
        auto const again = writeRamFile(path("there"), { ram.get() }, {});
        QVERIFY(!again);
        QCOMPARE(again.error().osError, EEXIST);
    }

    void whatIsWrittenMeanwhileStays()
    {
        auto const [ram, loader] = shown("meanwhile", [](MemoryBlock& block) {
            for (std::uint64_t at = 0; at < (40u << 20); at += 4096)
                block.data()[at] = 7;
            block.data()[63u << 20] = 7;
        });
        ram->data()[1] = 1;                  // beside what is read
        ram->data()[(35u << 20) + 4096] = 2; // in another batch
        ram->data()[50u << 20] = 3;          // where the file has nothing
        QCOMPARE(ram->data()[63u << 20], 7); // read, not written
        REQUIRE_OK(loadAll(*loader));
        QFile::remove(QString::fromStdString(path("meanwhile")));
        QCOMPARE(ram->data()[0], 7);
        QCOMPARE(ram->data()[1], 1);
        QCOMPARE(ram->data()[35u << 20], 7);
        QCOMPARE(ram->data()[(35u << 20) + 4096], 2);
        QCOMPARE(ram->data()[50u << 20], 3);
        QCOMPARE(ram->data()[63u << 20], 7);
        for (std::uint64_t at = 8192; at < (35u << 20); at += 4096)
            QCOMPARE(ram->data()[at], 7);
        // Nothing of the file is left in the address space: fork() may freeze it.
        QFile maps("/proc/self/maps");
        QVERIFY(maps.open(QIODevice::ReadOnly));
        QVERIFY(!maps.readAll().contains(path("meanwhile").c_str()));
    }

    void aFileThatIsCutOffIsAnErrorAndNoCrash()
    {
        auto const [ram, loader] = shown("cut", [](MemoryBlock& block) {
            for (std::uint64_t at = 0; at < block.size(); at += 4096)
                block.data()[at] = 7;
        });
        QCOMPARE(ram->data()[0], 7);
        QCOMPARE(::truncate(path("cut").c_str(), 1u << 20), 0);
        QCOMPARE(ram->data()[32u << 20], 0); // gone, and still no SIGBUS
        QVERIFY(ram->lostPages());
        auto const loaded = loadAll(*loader);
        QVERIFY(!loaded);
        QCOMPARE(loaded.error().code, ErrorCode::Corrupt);
        // Also where it has grown again: the pages that were written are not there any more.
        QCOMPARE(::truncate(path("cut").c_str(), 64u << 20), 0);
        QCOMPARE(loadAll(*loader).error().code, ErrorCode::Corrupt);
        ram->clear();
        QVERIFY(!ram->lostPages());
        QCOMPARE(ram->data()[32u << 20], 0);
    }

    void aFileThatIsChangedIsAnError()
    {
        auto const [ram, loader] = shown("changed", [](MemoryBlock& block) { block.data()[5u << 20] = 7; });
        QFile file(QString::fromStdString(path("changed")));
        QVERIFY(file.open(QIODevice::ReadWrite));
        file.seek(5u << 20);
        file.write("x");
        file.close();
        auto const loaded = loadAll(*loader);
        QVERIFY(!loaded);
        QVERIFY2(loaded.error().detail.ends_with("mebibyte 5"), loaded.error().detail.c_str());
    }

    void scatteredMemoryNeedsFewMappings()
    {
        auto ram = block("ram", 17ull << 30);
        ::madvise(ram->data(), ram->size(), MADV_NOHUGEPAGE);
        for (std::uint64_t at = 0; at < ram->size(); at += 4u << 20)
            ram->data()[at] = 7; // every second granule
        auto const record = tests::must(writeRamFile(path("scattered"), { ram.get() }, {}));
        ram->clear();
        auto const loader = open(path("scattered"), record, { ram.get() });
        REQUIRE_OK(loader);
        QFile maps("/proc/self/maps");
        QVERIFY(maps.open(QIODevice::ReadOnly));
        QVERIFY(maps.readAll().count('\n') < 10000);
        QCOMPARE(ram->data()[4u << 20], 7);
        QCOMPARE(ram->data()[(4u << 20) - 1], 0);
    }

    void endingEarlyIsClean()
    {
        auto [ram, loader] = shown("early", [](MemoryBlock& block) { block.data()[0] = 7; });
        // The machine never comes to stand still; its task is run when nobody wants it any more.
        std::function<void()> late;
        std::atomic<bool> asked { false };
        loader->start(
            [&](auto task) {
                late = std::move(task);
                asked = true;
            },
            [](auto const&) {});
        while (!asked)
            std::this_thread::yield();
        QVERIFY(loader->isUnderWay());
        QCOMPARE(loader->wait([] { return false; }).error().code, ErrorCode::Cancelled);
        loader.reset();
        late();
        QCOMPARE(ram->data()[0], 7);
    }

    void damageIsFound()
    {
        auto ram = block("ram", 4u << 20);
        ram->data()[3u << 20] = 7;
        auto const record = writeRamFile(path("damaged"), { ram.get() }, {});
        REQUIRE_OK(record);
        QFile file(QString::fromStdString(path("damaged")));
        QVERIFY(file.open(QIODevice::ReadWrite));
        file.seek(1u << 20);
        file.write("x");
        file.close();
        auto const verified = verifyRamFile(path("damaged"), *record, {});
        QVERIFY(!verified);
        QVERIFY(verified.error().detail.ends_with("mebibyte 1"));
    }

    void recordsThatLieAreRefused()
    {
        auto ram = block("ram", 2u << 20);
        ram->data()[0] = 1;
        auto const record = writeRamFile(path("lies"), { ram.get() }, {});
        REQUIRE_OK(record);
        auto const refused = [&](RamFileRecord const& bad, std::vector<MemoryBlock*> const& blocks) {
            auto const loaded = open(path("lies"), bad, blocks);
            return !loaded && loaded.error().code == ErrorCode::Corrupt && ram->data()[0] == 1;
        };
        auto bad = *record;
        bad.size += 1u << 20;
        QVERIFY(refused(bad, { ram.get() }));
        bad = *record;
        bad.blocks[0].offset = 1u << 20;
        QVERIFY(refused(bad, { ram.get() }));
        bad = *record;
        bad.blocks[0].size = 0xfffffffffffff000;
        QVERIFY(refused(bad, { ram.get() }));
        bad = *record;
        bad.blocks.push_back(bad.blocks[0]);
        QVERIFY(refused(bad, { ram.get() }));
        bad = *record;
        bad.checksums.clear();
        QVERIFY(refused(bad, { ram.get() }));
        auto other = block("other", 4096);
        QVERIFY(refused(*record, { ram.get(), other.get() }));
        auto larger = block("ram", 4u << 20);
        QVERIFY(refused(*record, { larger.get() }));
    }

    void cancelledWritingSaysSo()
    {
        auto ram = block("ram", 128u << 20);
        for (std::uint64_t at = 0; at < ram->size(); at += 4096)
            ram->data()[at] = 1;
        auto const record = writeRamFile(path("cancelled"), { ram.get() }, [](double) { return false; });
        QVERIFY(!record);
        QCOMPARE(record.error().code, ErrorCode::Cancelled);
    }
};

REGISTER_SUITE(RamFileTest);
#include "ram_file_test.moc"
