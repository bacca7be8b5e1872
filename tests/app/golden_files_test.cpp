#include "app/store/moment_bundles.h"
#include "tests/images/qemu_tools.h"
#include "tests/support/golden.h"
#include "tests/support/open_timeline.h"
#include "vmm/base/unique_fd.h"
#include "vmm/block/image.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/moment_verify.h"

#include <QTemporaryDir>
#include <fcntl.h>

using namespace vmm;

/// What each release has kept and exported, as far as that needs no processor: it is read, and all of it is whole.
/// tests/kvm lets it go on.
class GoldenFilesTest final : public QObject {
    Q_OBJECT

private slots:
    void aMomentIsWhole_data();
    void aMomentIsWhole();
    void aBundleIsImported_data() { exports(); }
    void aBundleIsImported();
    void aDirectoryIsWhole_data() { exports(); }
    void aDirectoryIsWhole();

private:
    static void exports();
    static Result<> checkMachine(std::string const& directory);
};

void GoldenFilesTest::exports()
{
    QTest::addColumn<QString>("version");
    for (auto const& version : tests::goldenOnes("exports"))
        QTest::newRow(qPrintable(version)) << version;
}

/// A suspended machine, as `chronoctl validate` looks at it; and that its disks open.
Result<> GoldenFilesTest::checkMachine(std::string const& directory)
{
    auto const saved = TRY(readSavedMachine(directory));
    TRY(verifyRamFile(directory + "/" + std::string(savedRamName), saved.header.ram, [](double) { return true; }));
    TRY(checkFiles(saved.header.files));
    InlineEngine engine;
    for (auto const& disk : saved.config.disks)
        TRY(BlockImage::open(engine, disk.path, imageOptions(disk)));
    return saved.config.disks.empty() ? fail(ErrorCode::NotFound, "it has no disks") : Result<>();
}

void GoldenFilesTest::aMomentIsWhole_data()
{
    QTest::addColumn<QString>("path");
    for (auto const* kind : { "moments", "firmware" }) {
        for (auto const& version : tests::goldenOnes(kind))
            QTest::newRow(qPrintable(version)) << tests::goldenFolder(kind) + "/" + version;
    }
}

void GoldenFilesTest::aMomentIsWhole()
{
    QFETCH(QString, path);
    QTemporaryDir copy;
    tests::copyTree(path, copy.path());
    // The first ones name their files as if those lay in the timeline's folder.
    for (auto const& disk : QDir(copy.path()).entryList({ "disk*" }))
        QFile::copy(copy.filePath(disk), copy.filePath("timeline/" + disk));
    auto const timeline = tests::openTimeline(copy.filePath("timeline").toStdString());
    QVERIFY(timeline->damages().empty());
    QCOMPARE(timeline->moments().size(), 1u);
    for (auto const& damaged : { tests::must(timeline->verify()), tests::must(verifyDisks(*timeline)) })
        QVERIFY2(damaged.empty(), damaged.empty() ? "" : damaged.front().error.message().c_str());
    REQUIRE_OK(savedMachineAt(*timeline, timeline->moments().front().id));
}

void GoldenFilesTest::aBundleIsImported()
{
    QFETCH(QString, version);
    QTemporaryDir library;
    app::MachineStore store(library.path().toStdString());
    auto const bundle = tests::goldenFolder("exports") + "/" + version + "/demo.bundle";
    auto const file = tests::must(openFile(bundle.toStdString(), O_RDONLY));
    auto const made = app::importBundle(store, file.get(), {}, [](CpuFeatures const&) { return Result<>(); });
    REQUIRE_OK(made);
    QCOMPARE(made->config.name, "golden");
    REQUIRE_OK(checkMachine(store.placesOf(made->id).stateDirectory));
}

void GoldenFilesTest::aDirectoryIsWhole()
{
    QFETCH(QString, version);
    if (QStandardPaths::findExecutable("zstd").isEmpty())
        QSKIP("CHRONOVISOR-SKIP: zstd is not installed");
    QTemporaryDir directory;
    auto const packed = tests::goldenFolder("exports") + "/" + version + "/directory.tar.zst";
    auto const unpacked = tests::runTool("tar", { "--zstd", "-xf", packed, "-C", directory.path() });
    QVERIFY2(unpacked.status == 0, qPrintable(unpacked.output));
    REQUIRE_OK(checkMachine(directory.path().toStdString()));
}

REGISTER_SUITE(GoldenFilesTest);
#include "golden_files_test.moc"
