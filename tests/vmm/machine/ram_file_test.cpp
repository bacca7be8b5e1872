#include "tests/support/suite.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/ram_file.h"

#include <QFile>
#include <QTemporaryDir>
#include <cerrno>
#include <fcntl.h>
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
        auto const file = openFile(path("ram"), O_RDONLY);
        REQUIRE_OK(file);
        REQUIRE_OK(loadRamFile(file->get(), *record, { newVideo.get(), newRam.get() }));
        QCOMPARE(std::memcmp(newRam->data(), ram->data(), ram->size()), 0);
        QCOMPARE(newVideo->data()[8191], 4);

        // What came out of a file goes into the next one alike, with what was changed since.
        newRam->data()[6] = 9;
        auto const second = writeRamFile(path("ram2"), { newRam.get(), newVideo.get() }, {});
        REQUIRE_OK(second);
        auto third = block("ram", 64u << 20);
        auto const file2 = openFile(path("ram2"), O_RDONLY);
        REQUIRE_OK(loadRamFile(file2->get(), *second, { third.get(), newVideo.get() }));
        QCOMPARE(std::memcmp(third->data(), newRam->data(), third->size()), 0);

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
        auto const file = openFile(path("pieces"), O_RDONLY);
        REQUIRE_OK(file);
        auto loaded = block("ram", 16u << 20);
        REQUIRE_OK(loadRamFile(file->get(), *record, { loaded.get() }));
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
        auto const file = openFile(path("lies"), O_RDONLY);
        auto const refused = [&](RamFileRecord const& bad, std::vector<MemoryBlock*> const& blocks) {
            auto const loaded = loadRamFile(file->get(), bad, blocks);
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
