#include "tests/fakes/fake_memory.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/image.h"
#include "vmm/devices/uart_16550.h"
#include "vmm/machine/moment_export.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/state/writer.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <utility>

using namespace vmm;
using namespace vmm::timeline;

namespace {

constexpr std::uint64_t mib = 1u << 20;

/// A machine with one of each thing that it reads, and a timeline in memory.
struct Past {
    QTemporaryDir directory;
    tests::FakeFolderDisk disk;
    std::shared_ptr<Timeline> timeline = tests::openTimeline(disk);
    tests::FakeMemory memory { { 5 * mib, 64 * 1024 } };
    InlineEngine engine;
    SavedMachine machine;

    Past()
    {
        write("kernel", "the kernel");
        write("cd.iso", QByteArray(4096, 'c'));
        machine.config = { .uuid = makeUuid(), .name = "example", .memoryMiB = 5 };
        machine.config.firmware = Firmware::None;
        machine.config.kernel = KernelConfig { .kernel = path("kernel") };
        machine.config.disks = { { .id = "disk0", .path = path("disk.qcow2"), .format = DiskFormat::Qcow2 } };
        machine.config.cds = { { "cd0", path("cd.iso") }, { "cd1", "" } };
        machine.parts = { { "serial0", state::save(Uart16550::State {}) } };
        tests::must(createImage(path("disk.qcow2"), { .size = mib }));
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    void write(char const* name, QByteArray const& content) const
    {
        QFile file(directory.filePath(name));
        QVERIFY(file.open(QIODevice::WriteOnly) && file.write(content) == content.size());
    }
    std::string keep()
    {
        auto const id = makeUuid();
        auto const image = tests::must(BlockImage::open(engine, path("disk.qcow2")));
        tests::must(image->takeSnapshot({ .id = id }));
        auto const text = state::toText(savedMachineToJson(machine));
        Checkpoint const checkpoint { CheckpointWay::Internal, id, "", ImageFormat::Qcow2 };
        NewMoment what { .id = id, .time = 1, .state = text, .disks = { { "disk0", path("disk.qcow2"), checkpoint } } };
        return tests::must(timeline->take(what, memory, {})).id;
    }
    void writeToDisk(std::uint8_t value)
    {
        auto const image = tests::must(BlockImage::open(engine, path("disk.qcow2")));
        tests::must(image->writeSync(0, Bytes(4096, value)));
        tests::must(image->flushSync());
    }
    /// By another process, of which this one's timeline does not hear.
    void end(std::string const& moment)
    {
        auto const elsewhere = tests::openTimeline(disk);
        tests::must(elsewhere->purge(moment));
        tests::must(tests::must(BlockImage::open(engine, path("disk.qcow2")))->deleteSnapshot(moment));
    }
    QStringList left() const { return QDir(directory.path()).entryList({ "out*" }, QDir::Dirs); }
    Result<> exported(std::string const& moment, ExportFiles files, ProgressCallback const& progress = {}) const
    {
        return exportMoment(timeline, moment, path("out"), files, progress);
    }
    std::vector<Bytes> memoryIn(std::string const& place) const
    {
        auto const saved = tests::must(readSavedMachine(place));
        tests::must(verifyRamFile(place + "/ram", saved.header.ram, {}));
        auto const ram = tests::must(RamFile::open(tests::must(openFile(place + "/ram", O_RDONLY)), saved.header.ram));
        std::vector<Bytes> data;
        for (std::size_t i = 0; i < ram->blocks().size(); ++i) {
            data.emplace_back(alignUp<std::uint64_t>(ram->blocks()[i].size, mib));
            tests::must(ram->read(i, 0, data.back()));
            data.back().resize(ram->blocks()[i].size);
        }
        return data;
    }
};

}

class MomentExportTest : public QObject {
    Q_OBJECT

private slots:
    void allThatTheMachineReadsGoesAlongAsItWas()
    {
        Past past;
        past.memory.fill(0, 3, 3);
        past.memory.fill(0, 1279, 4);
        past.memory.fill(1, 15, 5);
        past.writeToDisk(1);
        auto const moment = past.keep();
        auto const then = past.memory.data;
        past.memory.fill(0, 3, 9);
        past.writeToDisk(2);
        past.keep();

        REQUIRE_OK(past.exported(moment, ExportFiles::All));
        // Wherever it is put, and without what was there.
        QVERIFY(QDir().rename(past.directory.filePath("out"), past.directory.filePath("moved")));
        for (auto const* name : { "disk.qcow2", "kernel", "cd.iso" })
            QVERIFY(QFile::remove(past.directory.filePath(name)));
        auto const place = past.path("moved");
        auto const saved = tests::must(readSavedMachine(place));
        REQUIRE_OK(checkFiles(saved.header.files));
        QCOMPARE(saved.header.files.size(), 2u);
        QCOMPARE(saved.config.disks[0].path, place + "/disk0.qcow2");
        QCOMPARE(saved.config.kernel->kernel, place + "/kernel");
        QCOMPARE(saved.config.cds[0].path, place + "/cd0.iso");
        QCOMPARE(saved.config.cds[1].path, "");
        QVERIFY(past.memoryIn(place) == then);
        auto const image = tests::must(BlockImage::open(past.engine, saved.config.disks[0].path));
        Bytes data(4096);
        REQUIRE_OK(image->readSync(0, data));
        QVERIFY(data == Bytes(4096, 1));
        QVERIFY(tests::must(image->snapshots()).empty());
    }

    void withoutItsFilesItFitsNoDisk()
    {
        Past past;
        auto const moment = past.keep();
        REQUIRE_OK(past.exported(moment, ExportFiles::None));
        auto const saved = tests::must(readSavedMachine(past.path("out")));
        QCOMPARE(QDir(past.directory.filePath("out")).entryList(QDir::Files), (QStringList { "ram", "state.json" }));
        QCOMPARE(saved.config, past.machine.config);
        QVERIFY(!checkFiles(saved.header.files));
    }

    /// A CD is as long as a disk, and so is one disk of several.
    void theWayIsToldWithinEachFile()
    {
        Past past;
        past.write("cd.iso", QByteArray(24 * mib, 'c'));
        past.writeToDisk(1);
        auto const moment = past.keep();
        unsigned withinTheCd = 0;
        REQUIRE_OK(past.exported(moment, ExportFiles::All, [&](double part) {
            withinTheCd += part > 0.5 * 1 / 4 && part < 0.5 * 2 / 4; // the second of four, of half the way
            return true;
        }));
        // Where the file system shares blocks there is no way to go.
        auto const shares = cloneFile(past.path("cd.iso"), past.path("clone")).has_value();
        QVERIFY2(shares || withinTheCd >= 2, qPrintable(QString::number(withinTheCd)));
    }

    /// Before anything was read, and when its disks have been.
    void momentThatGoesMeanwhileIsToldOf()
    {
        for (double const at : { 0.0, 0.6 }) {
            Past past;
            past.writeToDisk(1);
            auto const moment = past.keep();
            bool isGone = false;
            auto const outcome = past.exported(moment, ExportFiles::All, [&](double part) {
                if (part >= at && !std::exchange(isGone, true))
                    past.end(moment);
                return true;
            });
            QVERIFY(isGone && !outcome);
            QCOMPARE(outcome.error().code, ErrorCode::NotFound);
            QCOMPARE(outcome.error().detail, "the moment was deleted while it was exported");
            QCOMPARE(past.left(), QStringList());
        }
    }

    void nothingIsLeftOrReplaced()
    {
        Past past;
        auto const moment = past.keep();
        QCOMPARE(past.exported(moment, ExportFiles::All, [](double part) { return part < 0.6; }).error().code,
            ErrorCode::Cancelled);
        QCOMPARE(past.exported("nobody", ExportFiles::All).error().code, ErrorCode::NotFound);
        past.write("cd.iso", "another");
        past.machine.header.files = { { "cd0", past.path("cd.iso"), 4096, 0 } };
        QCOMPARE(past.exported(past.keep(), ExportFiles::All).error().code, ErrorCode::Corrupt);
        QCOMPARE(past.left(), QStringList());
        QVERIFY(QDir().mkdir(past.directory.filePath("out")));
        QCOMPARE(past.exported(moment, ExportFiles::All).error().code, ErrorCode::AlreadyExists);
    }
};

REGISTER_SUITE(MomentExportTest);
#include "moment_export_test.moc"
