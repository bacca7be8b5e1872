#include "app/store/moment_bundles.h"
#include "tests/support/golden.h"
#include "tests/support/guest_machine.h"
#include "tests/support/library_guest.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/host_check.h"
#include "vmm/machine/moment_export.h"

#include <QTemporaryDir>
#include <fcntl.h>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

/// A moment of the demo machine in both forms that travel, as each release has written them: it goes on from a bundle
/// in a library, and from a directory. tests/golden/exports/VERSION-VENDOR has "demo.bundle", and the directory packed
/// ("directory.tar.zst"), for its memory is mostly holes. tests/app/golden_files_test.cpp reads the same without KVM.
class GoldenExportTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void thisVersionIsWritten();
    void theBundleGoesOn_data() { versions(); }
    void theBundleGoesOn();
    void theDirectoryGoesOn_data() { versions(); }
    void theDirectoryGoesOn();

private:
    static void versions();
};

namespace {

constexpr auto kind = "exports";
constexpr auto agree = "Memory and disk agree. Boot 1,";

}

void GoldenExportTest::initTestCase()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void GoldenExportTest::thisVersionIsWritten()
{
    if (!tests::rewritesGolden())
        QSKIP("only where golden files are rewritten");
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.config.name = "golden";
    guest.config.memoryMiB = 32;
    for (auto const bus : { DiskBus::Virtio, DiskBus::Ahci }) {
        auto const id = "disk" + std::to_string(guest.config.disks.size());
        auto const path = guest.folder().toStdString() + "/" + id + ".qcow2";
        REQUIRE_OK(createImage(path, { .size = 1 << 20, .clusterBits = 9 }));
        guest.config.disks.push_back({ id, path, DiskFormat::Qcow2, bus, false, 1 });
    }
    REQUIRE_OK(tests::startForAll(guest));
    QVERIFY2(guest.waitForLine("Chronovisor demo machine", 20s), qPrintable(guest.reason()));
    QVERIFY2(guest.ask("count", agree), qPrintable(guest.lines().join('\n')));
    auto const moment = tests::must(guest.keepMoment("golden"));
    auto const timeline = guest.timeline();
    auto const header = tests::must(savedMachineAt(*timeline, moment)).header;

    auto const target = tests::goldenFolder(kind) + "/" + tests::goldenName(header);
    QDir(target).removeRecursively();
    QVERIFY(QDir().mkpath(target));
    QTemporaryDir library;
    app::MachineStore const store(library.path().toStdString());
    REQUIRE_OK(app::exportBundleFile(store, timeline, moment, (target + "/demo.bundle").toStdString()));
    auto const directory = guest.folder() + "/exported";
    REQUIRE_OK(exportMoment(timeline, moment, directory.toStdString(), ExportFiles::All, [](double) { return true; }));
    // With times, by which it knows its disks.
    auto const packed = tests::runTool("tar",
        { "--zstd", "--sparse", "--format=posix", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-cf",
            target + "/directory.tar.zst", "-C", directory, "." });
    QVERIFY2(packed.status == 0, qPrintable(packed.output));
}

void GoldenExportTest::versions()
{
    QTest::addColumn<QString>("version");
    for (auto const& version : tests::goldenOnes(kind))
        QTest::newRow(qPrintable(version)) << version;
}

void GoldenExportTest::theBundleGoesOn()
{
    QFETCH(QString, version);
    QTemporaryDir library;
    app::MachineStore store(library.path().toStdString());
    auto const bundle = tests::goldenFolder(kind) + "/" + version + "/demo.bundle";
    auto const file = tests::must(openFile(bundle.toStdString(), O_RDONLY));
    Result<> can;
    auto const made
        = app::importBundle(store, file.get(), {}, [&](CpuFeatures const& cpu) { return can = checkHost(cpu); });
    if (auto const why = tests::whyNotHere(can, version); !why.isEmpty())
        QSKIP(qPrintable(why));
    REQUIRE_OK(made);
    tests::LibraryGuest guest(store, *made);
    QCOMPARE(guest.runner.state(), app::SessionState::Suspended);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.ask("count", agree).hasMatch(), qPrintable(guest.said()));
    REQUIRE_OK(guest.end());
}

void GoldenExportTest::theDirectoryGoesOn()
{
    QFETCH(QString, version);
    GuestMachine guest("share/chronovisor/demo.elf");
    auto const directory = guest.folder() + "/suspended";
    QVERIFY(QDir().mkpath(directory));
    auto const packed = tests::goldenFolder(kind) + "/" + version + "/directory.tar.zst";
    auto const unpacked = tests::runTool("tar", { "--zstd", "-xf", packed, "-C", directory });
    QVERIFY2(unpacked.status == 0, qPrintable(unpacked.output));
    auto const saved = tests::must(readSavedMachine(directory.toStdString()));
    if (auto const why = tests::whyNotHere(checkHost(saved.header.cpu), version); !why.isEmpty())
        QSKIP(qPrintable(why));
    REQUIRE_OK(guest.restore());
    QVERIFY2(guest.ask("count", agree), qPrintable(guest.reason() + guest.lines().join('\n')));
}

REGISTER_SUITE(GoldenExportTest);
#include "golden_export_test.moc"
