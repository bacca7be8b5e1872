#include "app/media/proposal.h"
#include "app/systems/media_advisor.h"
#include "tests/support/media.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"

#include <QFile>
#include <QTemporaryDir>
#include <filesystem>

using namespace app;
using tests::iso;

namespace {

struct Bench {
    QTemporaryDir directory;
    MediaAdvisor advisor { false };
    Medium recognise(QByteArray const& contents, char const* name = "medium")
    {
        QFile file(directory.filePath(name));
        if (!file.open(QIODevice::WriteOnly) || file.write(contents) != contents.size())
            return {};
        file.close();
        return advisor.recognise(file.fileName().toStdString()).value_or(Medium {});
    }
};

HostReport goodHost()
{
    return { KvmStatus::Usable, {}, 8, 16ull << 30, 8ull << 30, 100ull << 30, true, true };
}

}

class MediaTest : public QObject {
    Q_OBJECT
private slots:
    void anIsoIsKnownByItsDescriptorsAndItsBootRecord()
    {
        Bench bench;
        auto medium = bench.recognise(iso("Some System", { 0, 0xef }));
        QCOMPARE(medium.kind, MediumKind::Iso);
        QCOMPARE(medium.label, std::string("Some System"));
        QVERIFY(medium.bootsBios);
        QVERIFY(medium.bootsUefi);
        medium = bench.recognise(iso("Data"));
        QCOMPARE(medium.kind, MediumKind::Iso);
        QVERIFY(!medium.bootsBios);
        medium = bench.recognise(iso("New", { 0xef }));
        QVERIFY(!medium.bootsBios);
        QVERIFY(medium.bootsUefi);
    }

    void aBootRecordThatPointsNowhereBootsNothing()
    {
        Bench bench;
        auto const medium = bench.recognise(iso("Odd", { 0 }, 0xffffffff));
        QCOMPARE(medium.kind, MediumKind::Iso);
        QVERIFY(!medium.bootsBios);
    }

    void anIsoCutAnywhereIsNoTrouble()
    {
        Bench bench;
        auto const whole = iso("Cut", { 0, 0xef });
        for (qsizetype length = 0; length < 22 * 2048; length += 509)
            bench.recognise(whole.left(length));
        QCOMPARE(bench.recognise(whole.left(16 * 2048 - 1)).kind, MediumKind::Unknown);
    }

    void disksAreKnownByTheirMarks()
    {
        Bench bench;
        QByteArray qcow2("QFI\xfb\0\0\0\3", 8);
        qcow2 += QByteArray(16, '\0') + QByteArray("\0\0\0\2\0\0\0\0", 8) + QByteArray(4096, '\0');
        auto medium = bench.recognise(qcow2);
        QCOMPARE(medium.kind, MediumKind::Disk);
        QCOMPARE(medium.format, std::string("qcow2"));
        QCOMPARE(medium.diskBytes, 8ull << 30);
        QByteArray raw(1 << 20, '\0');
        raw[0] = '\xeb';
        raw[510] = '\x55';
        raw[511] = '\xaa';
        medium = bench.recognise(raw);
        QCOMPARE(medium.format, std::string("raw"));
        QVERIFY(medium.bootsBios);
        QVERIFY(!medium.refusal);
    }

    /// The guest whose raw disk it is can have written that.
    void whatAnImageStandsOnIsToldAndItsFormatNotBelieved()
    {
        Bench bench;
        auto const folder = std::filesystem::canonical(bench.directory.path().toStdString()).string();
        auto const path = folder + "/top.qcow2";
        for (auto const& [name, below, elsewhere] : { std::tuple(std::string("base.img"), folder + "/base.img", false),
                 std::tuple(std::string("/etc/hosts"), std::string("/etc/hosts"), true),
                 std::tuple(std::string("../gone.img"),
                     std::filesystem::path(folder).parent_path().string() + "/gone.img", true) }) {
            std::filesystem::remove(path);
            tests::must(vmm::createImage(folder + "/base.img", { .format = vmm::ImageFormat::Raw, .size = 4096 }));
            tests::must(
                vmm::createImage(path, { .size = 4096, .backingFile = name, .backingFormat = vmm::ImageFormat::Raw }));
            auto const medium = tests::must(app::inspectMedium(path));
            std::filesystem::remove(folder + "/base.img");
            QCOMPARE(medium.backing, below);
            QCOMPARE(medium.isBackingElsewhere, elsewhere);
            auto disk = bench.advisor.propose(medium, goodHost()).request.config.disks.at(0);
            QCOMPARE(disk.format, std::optional<vmm::DiskFormat>());
            QCOMPARE(disk.backing, std::vector<std::string>());
            app::sayFormat(disk, medium, vmm::DiskFormat::Qcow2);
            QCOMPARE(disk.backing, elsewhere ? std::vector { below } : std::vector<std::string>());
            app::sayFormat(disk, medium, vmm::DiskFormat::Raw);
            QCOMPARE(disk.backing, std::vector<std::string>());
        }
    }

    void wholeSectorsThatAreNothingElseAreADisk()
    {
        Bench bench;
        auto const medium = bench.recognise(QByteArray(4096, '\0'), "blank.img");
        QVERIFY(!medium.refusal);
        QCOMPARE(medium.kind, MediumKind::Disk);
        QCOMPARE(medium.format, std::string("raw"));
        QCOMPARE(medium.diskBytes, 4096u);
        QVERIFY(!medium.bootsBios);
        QVERIFY(!medium.bootsUefi);
        auto const config = bench.advisor.propose(medium, goodHost()).request.config;
        QCOMPARE(config.disks.at(0).path, medium.path);
        QCOMPARE(config.disks[0].format, std::optional(vmm::DiskFormat::Raw));
    }

    void whatNoMachineStartsFromIsNamed_data()
    {
        QTest::addColumn<QByteArray>("contents");
        QTest::addColumn<vmm::ErrorCode>("code");
        QTest::addColumn<QString>("reason");
        auto const row = [](char const* name, QByteArray const& contents, vmm::ErrorCode code, char const* reason) {
            QTest::newRow(name) << contents << code << QString(reason);
        };
        auto const unsupported = vmm::ErrorCode::Unsupported, corrupt = vmm::ErrorCode::Corrupt;
        row("vmdk", tests::vmdk(), unsupported, "is a VMDK image");
        row("xz", tests::xz(), unsupported, "is compressed with xz, to be unpacked first");
        row("gzip with a boot sector's mark", QByteArray("\x1f\x8b\x08").leftJustified(510, '\0') + "\x55\xaa",
            unsupported, "is compressed with gzip, to be unpacked first");
        row("bzip2 in whole sectors", QByteArray("BZh9").leftJustified(1024, '\0'), unsupported,
            "is compressed with bzip2, to be unpacked first");
        row("tar", QByteArray(257, 'x') + QByteArray("ustar").leftJustified(767, '\0'), unsupported,
            "is a tar archive (an OVA is one), to be unpacked first");
        row("VHD of fixed size", QByteArray(4096, '\0') + QByteArray("conectix").leftJustified(512, '\0'), unsupported,
            "is a VHD image of fixed size");
        row("LUKS", QByteArray("LUKS\xba\xbe").leftJustified(4096, '\0'), unsupported, "is encrypted with LUKS");
        row("ELF for ARM", tests::elf().replace(18, 1, "\xb7"), unsupported, "is for another kind of processor");
        row("machine.json", R"({"kind":"machine","version":1,"state":{}})", unsupported,
            "is the description of a machine, which chronoctl run takes");
        row("no whole sectors", QByteArray(4097, 'x'), corrupt, "is neither a CD nor a disk image nor a kernel");
        row("empty", {}, corrupt, "is neither a CD nor a disk image nor a kernel");
    }
    void whatNoMachineStartsFromIsNamed()
    {
        QFETCH(QByteArray, contents);
        QFETCH(vmm::ErrorCode, code);
        QFETCH(QString, reason);
        Bench bench;
        auto const refusal = bench.recognise(contents).refusal;
        QVERIFY(refusal);
        QCOMPARE(refusal->code, code);
        QCOMPARE(QString::fromStdString(refusal->message()), bench.directory.filePath("medium") + " " + reason);
    }

    void aKernelSaysItsVersion()
    {
        Bench bench;
        auto const medium = bench.recognise(tests::bzImage("6.1.0-test"));
        QCOMPARE(medium.kind, MediumKind::Kernel);
        QCOMPARE(medium.label, std::string("6.1.0-test"));
        auto const proposal = bench.advisor.propose(medium, goodHost());
        QCOMPARE(proposal.request.config.firmware, vmm::Firmware::None);
        QCOMPARE(proposal.firmware, Reason::MediumNeeds);
    }

    void aMachineIsNamedAfterItsMedium()
    {
        Bench bench;
        auto const nameFor = [&](QByteArray const& contents, char const* file) {
            return bench.advisor.propose(bench.recognise(contents, file), goodHost()).request.config.name;
        };
        auto const kernel = tests::bzImage("6.1.0-test");
        QCOMPARE(nameFor(kernel, "vmlinuz-6.1.0-18-amd64"), "vmlinuz-6.1.0-18-amd64");
        QCOMPARE(nameFor(kernel, "vmlinuz-6.8.5-301.fc40.x86_64"), "vmlinuz-6.8.5-301.fc40.x86_64");
        QCOMPARE(nameFor(kernel, "guest.elf"), "guest");
        QCOMPARE(nameFor(iso("Other", { 0 }), "debian-12.5.0-amd64-netinst.iso"), "debian-12.5.0-amd64-netinst");
    }

    void theInitialRamDiskBesideAKernelIsFound_data()
    {
        QTest::addColumn<QString>("kernel");
        QTest::addColumn<QString>("beside");
        QTest::addColumn<bool>("isIts");
        QTest::newRow("Debian") << "vmlinuz-6.1.0-18-amd64"
                                << "initrd.img-6.1.0-18-amd64" << true;
        QTest::newRow("Fedora") << "vmlinuz-6.8.5-301.fc40.x86_64"
                                << "initramfs-6.8.5-301.fc40.x86_64.img" << true;
        QTest::newRow("Arch") << "vmlinuz-linux"
                              << "initramfs-linux.img" << true;
        QTest::newRow("openSUSE") << "vmlinuz-5.14.21-default"
                                  << "initrd-5.14.21-default" << true;
        QTest::newRow("Debian's installer") << "linux"
                                            << "initrd.gz" << true;
        QTest::newRow("of another version") << "vmlinuz-6.1.0-18-amd64"
                                            << "initrd.img-6.1.0-17-amd64" << false;
    }
    void theInitialRamDiskBesideAKernelIsFound()
    {
        QFETCH(QString, kernel);
        QFETCH(QString, beside);
        QFETCH(bool, isIts);
        Bench bench;
        QFile file(bench.directory.filePath(beside));
        QVERIFY(file.open(QIODevice::WriteOnly));
        auto const medium = bench.recognise(tests::bzImage("6.1.0-test"), qPrintable(kernel));
        auto const proposal = bench.advisor.propose(medium, goodHost());
        QCOMPARE(proposal.request.config.kernel->initrd, isIts ? file.fileName().toStdString() : std::string());
    }

    void whatIsNoFileIsRefused()
    {
        MediaAdvisor advisor(false);
        QVERIFY(!advisor.recognise("/"));
        QVERIFY(!advisor.recognise("/dev/null"));
        QCOMPARE(advisor.recognise("/nowhere").error().code, vmm::ErrorCode::NotFound);
    }

    void theProposalFitsTheHost()
    {
        Bench bench;
        auto const medium = bench.recognise(iso("Some System", { 0 }), "some-system.iso");
        auto proposal = bench.advisor.propose(medium, goodHost());
        auto const& config = proposal.request.config;
        QCOMPARE(config.name, std::string("some-system"));
        QCOMPARE(config.cpus, 2);
        QCOMPARE(config.memoryMiB, 2048u);
        QCOMPARE(proposal.memory, Reason::UsualDefault);
        QVERIFY(proposal.concerns.empty());
        QCOMPARE(config.usbControllers.size(), 1u); // something can be plugged in
        auto small = goodHost();
        small.cores = 1;
        small.freeMemoryBytes = 1ull << 30;
        small.freeDiskBytes = 1ull << 30;
        proposal = bench.advisor.propose(medium, small);
        QCOMPARE(proposal.request.config.cpus, 1);
        QCOMPARE(proposal.request.config.memoryMiB, 512u);
        QCOMPARE(proposal.memory, Reason::HostLimit);
        QCOMPARE(proposal.concerns.size(), std::size_t(1));
        QCOMPARE(proposal.concerns[0].code, HostConcern::Code::DiskMayFill);
    }

    void aMediumForUefiAloneGetsIt()
    {
        Bench bench;
        auto const medium = bench.recognise(iso("New", { 0xef }));
        QCOMPARE(bench.advisor.propose(medium, goodHost()).request.config.firmware, vmm::Firmware::Ovmf);
        auto bare = goodHost();
        bare.hasOvmf = false;
        QCOMPARE(bench.advisor.propose(medium, bare).firmware, Reason::FirmwareMissing);
    }

    void whatTheSystemHasNoDriversForIsNotProposed()
    {
        Bench bench;
        auto const medium = bench.recognise(iso("Other", { 0 }));
        SystemNeeds needs;
        needs.id = "http://example.org/other/1";
        needs.shortName = "other1";
        auto const usual = propose(medium, goodHost(), needs);
        QCOMPARE(usual.request.config.disks.at(0).bus, vmm::DiskBus::Virtio);
        QVERIFY(usual.request.config.tablet);
        QVERIFY(usual.request.config.usbDevices.empty());
        QVERIFY(!usual.lacksNetworkDriver);
        needs.drivesVirtioDisk = needs.drivesVirtioNetwork = needs.drivesVirtioInput = false;
        auto const other = propose(medium, goodHost(), needs);
        auto const& config = other.request.config;
        QCOMPARE(config.disks.at(0).bus, vmm::DiskBus::Ahci);
        QVERIFY(!config.tablet);
        QCOMPARE(config.usbDevices.at(0).kind, vmm::UsbKind::Tablet);
        QCOMPARE(config.usbDevices[0].parent, config.usbControllers.at(0).id);
        QVERIFY(other.lacksNetworkDriver);
        MachineStore store(bench.directory.path().toStdString());
        REQUIRE_OK(store.create(other.request));
    }

    void anotherSystemThanTheMediumsOwnCanBeOneThatNobodyKnows()
    {
        Bench bench;
        auto medium = bench.recognise(iso("Known", { 0 }));
        medium.system = "http://example.org/known/1";
        QCOMPARE(bench.advisor.propose(medium, goodHost()).request.config.system, medium.system);
        QCOMPARE(bench.advisor.propose(medium, goodHost(), std::string()).request.config.system, std::string());
    }

    void everyProposalPassesItsOwnCheck()
    {
        Bench bench;
        for (auto const& contents : { iso("A", { 0 }), iso("B", { 0xef }), QByteArray(4096, 'x') }) {
            QTemporaryDir directory;
            MachineStore store(directory.path().toStdString());
            REQUIRE_OK(store.create(bench.advisor.propose(bench.recognise(contents), goodHost()).request));
        }
    }

    void aSystemOfTheDatabaseIsRecognised()
    {
        // libosinfo knows Debian 11's first image by its volume and system identifiers.
        Bench bench;
        MediaAdvisor advisor;
        if (advisor.systems().empty())
            QSKIP("CHRONOVISOR-SKIP: no osinfo-db installed");
        auto image = iso("Debian 11.0.0 amd64 n", { 0 });
        bench.recognise(image, "debian.iso");
        auto const medium = advisor.recognise(bench.directory.filePath("debian.iso").toStdString());
        REQUIRE_OK(medium);
        QCOMPARE(medium->system, std::string("http://debian.org/debian/11"));
        auto const proposal = advisor.propose(*medium, goodHost());
        QCOMPARE(proposal.memory, Reason::SystemRecommends);
        QCOMPARE(proposal.request.config.name, std::string("debian11"));
        QCOMPARE(proposal.request.config.disks.at(0).bus, vmm::DiskBus::Virtio);
        QVERIFY(proposal.request.config.tablet);
        QVERIFY(!proposal.lacksNetworkDriver);
        QCOMPARE(advisor.propose(*medium, goodHost(), std::string()).memory, Reason::UsualDefault);
        auto const windows = advisor.propose(*medium, goodHost(), "http://microsoft.com/win/10");
        QCOMPARE(windows.request.config.disks.at(0).bus, vmm::DiskBus::Ahci);
        QCOMPARE(windows.request.config.usbDevices.size(), 1u);
        QVERIFY(windows.lacksNetworkDriver);
    }
};

REGISTER_SUITE(MediaTest);
#include "media_test.moc"
