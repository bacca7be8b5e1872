#include "app/usb/host_use.h"
#include "app/usb/usb_claim.h"
#include "tests/support/suite.h"

#include <QDir>
#include <QTemporaryDir>
#include <QTest>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <sys/stat.h>

using namespace app;
using Kind = HostUse::Kind;

namespace {

namespace files = std::filesystem;

/// The sysfs and procfs of a host with a device at port 1-2, made of files.
struct Host {
    QTemporaryDir directory;
    HostPlaces places { path("sys"), path("proc"), path("run") };
    std::string const bus = "devices/pci0000:00/0000:00:14.0/usb1/";

    Host()
    {
        makeDevice("1-2");
        write("proc/self/mountinfo", "22 1 0:20 / /sys rw - sysfs sysfs rw\n");
        write("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
    }
    std::string path(std::string const& name) const { return directory.path().toStdString() + "/" + name; }
    void write(std::string const& name, std::string const& text) const
    {
        files::create_directories(files::path(path(name)).parent_path());
        std::ofstream(path(name)) << text;
    }
    void makeDevice(std::string const& port) const
    {
        files::create_directories(path("sys/" + bus + port + "/" + port + ":1.0"));
        link("sys/bus/usb/devices/" + port, "sys/" + bus + port);
    }
    void link(std::string const& from, std::string const& to) const
    {
        files::create_directories(files::path(path(from)).parent_path());
        files::create_symlink(path(to), path(from));
    }
    /// Below the device's first interface; also where sysfs lists all of its class.
    std::string make(std::string const& kind, std::string const& name, std::string const& below = {},
        std::string const& port = "1-2") const
    {
        auto const where = "sys/" + bus + port + "/" + port + ":1.0/" + below + kind + "/" + name;
        files::create_directories(path(where));
        link("sys/class/" + kind + "/" + name, where);
        return where;
    }
    void makeInput(std::string const& name, std::string const& keys, std::string const& relative,
        std::string const& port = "1-2") const
    {
        auto const where = make("input", name, "0003:046D:C31C.0001/", port);
        write(where + "/name", "Example " + name + "\n");
        write(where + "/capabilities/key", keys + "\n");
        write(where + "/capabilities/rel", relative + "\n");
        write(where + "/capabilities/abs", "0\n");
    }
    void makeNetwork(std::string const& name, bool isUp, std::string const& port = "1-2") const
    {
        auto const where = make("net", name, {}, port);
        write(where + "/flags", isUp ? "0x1003\n" : "0x1002\n");
        write(where + "/carrier", "1\n");
    }
    /// A stick with one partition.
    void makeDisk() const
    {
        auto const disk = make("block", "sda", "host0/target0:0:0/0:0:0:0/");
        write(disk + "/dev", "8:0\n");
        write(disk + "/sda1/dev", "8:1\n");
        write(disk + "/sda1/partition", "1\n");
        files::create_directories(path(disk + "/sda1/holders"));
    }
    std::vector<HostUse> uses() const
    {
        vmm::HostUsbInfo info;
        info.port = "1-2";
        return usesOf(info, places);
    }
};

constexpr auto keyboardKeys = "10000 7 ff9f207ac14057ff febeffdfffefffff fffffffffffffffe",
               mouseKeys = "1f0000 0 0 0 0", fewKeys = "10000000000000 0";

}

class HostUseTest final : public QObject {
    Q_OBJECT
private slots:
    void whatTheHostDoesNothingWithIsFree()
    {
        Host const host;
        QVERIFY(host.uses().empty());
        host.makeDisk();
        host.makeNetwork("eth1", false);
        host.makeInput("input5", fewKeys, "0"); // as headsets have them
        host.make("tty", "ttyUSB0", "ttyUSB0/");
        QVERIFY(host.uses().empty());
        vmm::HostUsbInfo gone;
        gone.port = "9-9";
        QVERIFY(usesOf(gone, host.places).empty());
    }

    void aKeyboardAndAMouseAreTheHosts()
    {
        Host const host;
        host.makeInput("input5", keyboardKeys, "0");
        host.makeInput("input6", mouseKeys, "103");
        QCOMPARE(host.uses(),
            (std::vector<HostUse> {
                { Kind::Keyboard, "Example input5", true }, { Kind::Pointer, "Example input6", true } }));
        QVERIFY(!isTakenByRule(host.uses()));
    }

    void anotherKeyboardIsOnlyOneThatIsPluggedIn()
    {
        Host const host;
        host.makeInput("input5", keyboardKeys, "0");
        host.write("sys/devices/virtual/input/input9/capabilities/key", keyboardKeys);
        host.link("sys/class/input/input9", "sys/devices/virtual/input/input9");
        QVERIFY(host.uses().front().isOnly);
        host.makeDevice("1-3");
        host.makeInput("input7", mouseKeys, "3", "1-3");
        QVERIFY(host.uses().front().isOnly);
        host.makeDevice("1-20"); // which begins as ours does
        host.makeInput("input8", keyboardKeys, "0", "1-20");
        QVERIFY(!host.uses().front().isOnly);
        QVERIFY(isTakenByRule(host.uses()));
    }

    void whatIsMountedOfItIsNamed()
    {
        Host const host;
        host.makeDisk();
        host.write("proc/self/mountinfo",
            "22 1 0:20 / /sys rw - sysfs sysfs rw\n"
            "90 1 8:1 / /media/anna/MY\\040STICK rw,nosuid shared:5 - vfat /dev/sda1 rw\n"
            "bad line\n");
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::MountedDisk, "/media/anna/MY STICK" } }));
        QVERIFY(!isTakenByRule(host.uses()));
        // btrfs has a device number of its own.
        host.write("proc/self/mountinfo", "90 1 0:55 / /mnt rw - btrfs /dev/sda1 rw\n");
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::MountedDisk, "/mnt" } }));
    }

    void aMountOfWhatStandsOnItIsFound()
    {
        Host const host;
        host.makeDisk();
        auto const partition = "sys/" + host.bus + "1-2/1-2:1.0/host0/target0:0:0/0:0:0:0/block/sda/sda1";
        files::create_directories(host.path(partition + "/holders/dm-0"));
        host.write("sys/class/block/dm-0/dev", "253:0\n");
        host.write("sys/class/block/dm-0/dm/name", "luks-stick\n");
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::DiskInUse, "sda1 in dm-0" } }));
        host.write("proc/self/mountinfo", "90 1 0:55 / /secret rw - btrfs /dev/mapper/luks-stick rw\n");
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::MountedDisk, "/secret" } }));
        QVERIFY(!isTakenByRule(host.uses()));
    }

    void disksThatHoldEachOtherEndSomewhere()
    {
        Host const host;
        host.makeDisk();
        auto const partition = "sys/" + host.bus + "1-2/1-2:1.0/host0/target0:0:0/0:0:0:0/block/sda/sda1";
        files::create_directories(host.path(partition + "/holders/dm-0"));
        files::create_directories(host.path("sys/class/block/dm-0/holders/dm-1"));
        files::create_directories(host.path("sys/class/block/dm-1/holders/dm-0"));
        QCOMPARE(host.uses().size(), 1u);
    }

    void swapPoolsAndTreesOfSeveralDisks()
    {
        Host const host;
        host.makeDisk();
        host.write("proc/swaps", "Filename\tType\n/dev/sda1 partition\t1\t0\t-2\n");
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::DiskInUse, "sda1 is swap" } }));
        host.write("proc/swaps", "Filename\tType\n/dev/sda10 partition\t1\t0\t-2\n");
        QVERIFY(host.uses().empty());
        host.write("run/udev/data/b8:1", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank\n");
        QVERIFY(host.uses().empty()); // not imported
        host.write("proc/spl/kstat/zfs/tank/state", "ONLINE\n");
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::DiskInUse, "sda1 in the pool tank" } }));
        host.write("run/udev/data/b8:1", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=../..\n");
        QVERIFY(host.uses().empty());
        auto const longerThanNamesAre = std::string(300, 'a');
        host.write("run/udev/data/b8:1", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=" + longerThanNamesAre + "\n");
        QVERIFY(host.uses().empty());
        host.write("sys/fs/btrfs/12-34/devices/sda1/x", "");
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::DiskInUse, "sda1 in a btrfs" } }));
    }

    void whatAProgramHasOpenIsInUse()
    {
        Host const host;
        host.makeDisk();
        host.make("tty", "ttyUSB0", "ttyUSB0/");
        host.write("proc/1234/comm", "dd\n");
        files::create_directories(host.path("proc/1234/fd"));
        files::create_symlink("/dev/sda", host.path("proc/1234/fd/3"));
        files::create_symlink("/dev/sda", host.path("proc/1234/fd/4"));
        files::create_symlink("/dev/sdb", host.path("proc/1234/fd/5"));
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::DiskInUse, "sda: dd (1234)" } }));
        host.write("proc/99/comm", "minicom\n");
        files::create_directories(host.path("proc/99/fd"));
        files::create_symlink("/dev/ttyUSB0", host.path("proc/99/fd/0"));
        QCOMPARE(host.uses().size(), 2u);
        QCOMPARE(host.uses().back(), (HostUse { Kind::PortInUse, "ttyUSB0: minicom (99)" }));
        QVERIFY(!isTakenByRule({ host.uses().back() }));
    }

    void aNetworkIsTheHostsWhileItIsUp()
    {
        Host const host;
        host.makeNetwork("eth1", true);
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::NetworkUp, "eth1", true } }));
        QVERIFY(!isTakenByRule(host.uses()));
        host.makeDevice("1-3");
        host.makeNetwork("eth2", true, "1-3");
        QCOMPARE(host.uses(), (std::vector<HostUse> { { Kind::NetworkUp, "eth1", false } }));
        QVERIFY(isTakenByRule(host.uses()));
    }

    void whatIsPluggedIntoItIsNotItself()
    {
        Host const host; // a device with a hub in it, and a stick in that
        auto const where = "sys/" + host.bus + "1-2/1-2.1/1-2.1:1.0/block/sdb";
        host.write(where + "/dev", "8:16\n");
        host.write("proc/self/mountinfo", "90 1 8:16 / /mnt rw - vfat /dev/sdb rw\n");
        QVERIFY(host.uses().empty());
    }

    void usesAreSaidInASentence()
    {
        QCOMPARE(hostUseText({ Kind::Keyboard, "x", true }), "it is a keyboard of this host, the only one");
        QCOMPARE(hostUseText({ Kind::MountedDisk, "/mnt" }), "it is mounted at /mnt");
    }
};

/// Which machine has a device, for all processes to see.
class UsbClaimTest final : public QObject {
    Q_OBJECT
private slots:
    void initTestCase() { qputenv("XDG_RUNTIME_DIR", m_directory.path().toUtf8()); }
    void cleanupTestCase() { qunsetenv("XDG_RUNTIME_DIR"); }

    void theHolderIsNamed()
    {
        QVERIFY(!UsbClaim::holder("1-2"));
        UsbHolder const web { "uuid", "web\nserver", 1234 };
        {
            auto const claim = UsbClaim::take("1-2", web);
            REQUIRE_OK(claim);
            QCOMPARE(UsbClaim::holder("1-2"), std::optional(UsbHolder { "uuid", "web server", 1234 }));
            QVERIFY(!UsbClaim::holder("1-3"));
            auto const second = UsbClaim::take("1-2", { "other", "db", 1 });
            QCOMPARE(second.error().code, vmm::ErrorCode::Busy);
            QVERIFY(second.error().detail.find("web server") != std::string::npos);
        }
        QVERIFY(!UsbClaim::holder("1-2"));
        QVERIFY(QDir(QString::fromStdString(UsbClaim::directory())).isEmpty());
        REQUIRE_OK(UsbClaim::take("1-2", { "other", "db", 1 }));
    }

    void whatAProcessLeftBehindHoldsNothing()
    {
        REQUIRE_OK(UsbClaim::makeDirectory());
        std::ofstream(UsbClaim::directory() + "/1-2") << "uuid\nweb\n1\n";
        QVERIFY(!UsbClaim::holder("1-2"));
        auto const claim = UsbClaim::take("1-2", { "other", "db", 7 });
        REQUIRE_OK(claim);
        QCOMPARE(UsbClaim::holder("1-2")->name, "db");
    }

    void namesOfPortsLeadNowhereElse()
    {
        REQUIRE_OK(UsbClaim::take("../../x", {}));
        QVERIFY(!QFile::exists(m_directory.filePath("x")));
    }

private:
    QTemporaryDir m_directory;
};

REGISTER_SUITE(HostUseTest);
REGISTER_SUITE(UsbClaimTest);
#include "host_use_test.moc"
