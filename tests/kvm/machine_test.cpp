#include "tests/images/qemu_tools.h"
#include "tests/support/patience.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/image.h"
#include "vmm/kvm/kvm.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/saved_machine.h"

#include <QDeadlineTimer>
#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <QThread>
#include <condition_variable>
#include <fmt/format.h>
#include <limits>
#include <malloc.h>
#include <nlohmann/json.hpp>

using namespace vmm;

namespace {

/// What a machine told, and a way to wait for it.
class Events {
public:
    Machine::Listener listener()
    {
        return [this](Event const& event) {
            std::lock_guard const lock(m_mutex);
            m_all.push_back(event);
            m_arrived.notify_all();
        };
    }
    bool waitForState(RunState state)
    {
        std::unique_lock lock(m_mutex);
        return m_arrived.wait_for(lock, std::chrono::minutes(1) * tests::patience(), [&] {
            for (auto const& event : m_all) {
                if (auto const* change = std::get_if<event::StateChanged>(&event); change && change->state == state)
                    return true;
            }
            return false;
        });
    }

private:
    std::mutex m_mutex;
    std::condition_variable m_arrived;
    std::vector<Event> m_all;
};

/// Waits until the console has shown `text`, looking from `position` on, which moves behind what was seen.
bool waitForText(Console& console, std::string const& text, std::uint64_t& position)
{
    QDeadlineTimer const deadline(60'000 * tests::patience());
    Bytes seen;
    while (!deadline.hasExpired()) {
        auto const next = console.readFrom(position, seen);
        if (std::string(seen.begin(), seen.end()).find(text) != std::string::npos) {
            position = next;
            return true;
        }
        seen.clear();
        QThread::msleep(10);
    }
    qWarning("not seen: %s; but: %s", text.c_str(), std::string(seen.begin(), seen.end()).c_str());
    return false;
}

/// What this process has of the host's memory.
struct Footprint {
    long mappings = 0, residentKib = 0, allocatedKib = 0;

    static Footprint now()
    {
        Footprint now;
        QFile maps("/proc/self/maps"), status("/proc/self/status");
        if (maps.open(QIODevice::ReadOnly))
            now.mappings = maps.readAll().count('\n');
        if (status.open(QIODevice::ReadOnly))
            now.residentKib = QString(status.readAll()).section("VmRSS:", 1).section("kB", 0, 0).trimmed().toLong();
        now.allocatedKib = long(::mallinfo2().uordblks >> 10);
        return now;
    }
    Footprint since(Footprint const& before) const
    {
        return { mappings - before.mappings, residentKib - before.residentKib, allocatedKib - before.allocatedKib };
    }
    /// What is kept for threads varies.
    bool isWithin(long mostMappings, long mostAllocatedKib) const
    {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) // which map for themselves
        mostMappings = std::numeric_limits<long>::max();
#endif
        return mappings < mostMappings && allocatedKib < mostAllocatedKib && residentKib < 8192;
    }
    QString text() const
    {
        return QString("%1 mappings, %2 KiB resident, %3 KiB allocated")
            .arg(mappings)
            .arg(residentKib)
            .arg(allocatedKib);
    }
};

VmConfig demoConfig(std::string const& disk)
{
    VmConfig config;
    config.uuid = makeUuid();
    config.name = "demo";
    config.memoryMiB = 128;
    config.firmware = Firmware::None;
    config.kernel = KernelConfig { CHRONOVISOR_BINARY "/share/chronovisor/demo.elf", "", "" };
    config.disks = { { "disk0", disk, DiskFormat::Raw, DiskBus::Virtio, false, 1 } };
    config.serials = { { "serial0", false } };
    return config;
}

}

class MachineTest : public QObject {
    Q_OBJECT
    QTemporaryDir m_directory;
    std::string m_disk;

private slots:
    void initTestCase()
    {
        if (auto const kvm = Kvm::open(); !kvm)
            QSKIP(("CHRONOVISOR-SKIP: " + kvm.error().message()).c_str());
        m_disk = m_directory.filePath("disk.img").toStdString();
        QFile file(QString::fromStdString(m_disk));
        QVERIFY(file.open(QIODevice::WriteOnly));
        QVERIFY(file.resize(1 << 20));
    }

    void demoMachineBootsSuspendsAndComesBack()
    {
        auto const state = m_directory.filePath("state").toStdString();
        {
            Events events;
            auto const machine = tests::must(Machine::create(demoConfig(m_disk), events.listener()));
            REQUIRE_OK(machine->call(command::Start {}));
            auto* const console = machine->console("serial0");
            QVERIFY(console);
            std::uint64_t position = 0;
            QVERIFY(waitForText(*console, "> ", position));
            QVERIFY(console->type(bytesOf("time\r")));
            QVERIFY(waitForText(*console, "> ", position));
            REQUIRE_OK(machine->call(command::Suspend { state, true }));
            QCOMPARE(machine->state(), RunState::Off);
        }
        Events events;
        auto const machine = tests::must(Machine::restore(state, events.listener()));
        QCOMPARE(machine->state(), RunState::Paused);
        REQUIRE_OK(machine->call(command::Resume {}));
        auto* const console = machine->console("serial0");
        std::uint64_t position = 0;
        QVERIFY(console->type(bytesOf("about\r")));
        QVERIFY(waitForText(*console, "> ", position));
        QVERIFY(console->type(bytesOf("poweroff\r")));
        QVERIFY(events.waitForState(RunState::Off));
    }

    /// So that each of them takes what it has asked for; with one queue one of them takes it for all.
    void aDiskHasAQueueForEachProcessor()
    {
        for (std::uint16_t const queues : { 0, 1 }) {
            auto const state = m_directory.filePath(QString("queues%1").arg(queues)).toStdString();
            auto config = demoConfig(m_disk);
            config.cpus = 3;
            config.disks[0].queues = queues;
            Events events;
            auto const machine = tests::must(Machine::create(config, events.listener()));
            REQUIRE_OK(machine->call(command::Start {}));
            REQUIRE_OK(machine->call(command::Suspend { state, true }));
            QFile file(QString::fromStdString(state + "/state.json"));
            QVERIFY(file.open(QIODevice::ReadOnly));
            auto const saved = nlohmann::json::parse(file.readAll().toStdString());
            auto const& parts = saved.at("parts");
            auto const disk = std::ranges::find_if(parts, [](auto const& part) { return part.at("id") == "disk0"; });
            QVERIFY(disk != parts.end());
            QCOMPARE(disk->at("state").at("transport").at("queues").size(), queues == 0 ? 3U : 1U);
        }
    }

    void commandsOutOfPlaceAreRefused()
    {
        Events events;
        auto const machine = tests::must(Machine::create(demoConfig(m_disk), events.listener()));
        QCOMPARE(machine->call(command::Pause {}).error().code, ErrorCode::NotNow);
        QCOMPARE(machine->call(command::Resume {}).error().code, ErrorCode::NotNow);
        QCOMPARE(machine->call(command::Suspend { m_directory.filePath("x").toStdString(), true }).error().code,
            ErrorCode::NotNow);
        REQUIRE_OK(machine->call(command::Start {}));
        QCOMPARE(machine->call(command::Start {}).error().code, ErrorCode::NotNow);
        REQUIRE_OK(machine->call(command::Pause {}));
        REQUIRE_OK(machine->call(command::Resume {}));
        REQUIRE_OK(machine->call(command::Reset {}));
        REQUIRE_OK(machine->call(command::PowerOff {}));
        REQUIRE_OK(machine->call(command::Start {}));
    }

    void aMachineMayGoInTheMiddleOfASuspend()
    {
        auto config = demoConfig(m_disk);
        config.memoryMiB = 1024;
        for (int i = 0; i < 10; ++i) {
            Events events;
            auto machine = tests::must(Machine::create(config, events.listener()));
            REQUIRE_OK(machine->call(command::Start {}));
            std::atomic<int> answers = 0;
            machine->post(command::Suspend { m_directory.filePath("gone").toStdString(), true },
                [&](Result<> const&) { ++answers; });
            QTest::qSleep(i); // at another instant each time
            machine.reset();
            QCOMPARE(answers.load(), 1);
        }
    }

    void aRestoredMachineKnowsThatItWentBack()
    {
        auto const first = m_directory.filePath("first").toStdString();
        auto const second = m_directory.filePath("second").toStdString();
        Events events;
        auto machine = tests::must(Machine::create(demoConfig(m_disk), events.listener()));
        REQUIRE_OK(machine->call(command::Start {}));
        REQUIRE_OK(machine->call(command::Suspend { first, true }));
        machine.reset();
        machine = tests::must(Machine::restore(first, events.listener()));
        REQUIRE_OK(machine->call(command::Suspend { second, true }));
        auto const generation = [](std::string const& directory) {
            for (auto const& part : tests::must(readSavedMachine(directory)).parts) {
                if (part.id == "generation-id")
                    return part.section.toJson().dump();
            }
            return std::string();
        };
        QVERIFY(!generation(first).empty());
        QVERIFY(generation(first) != generation(second));
    }

    void whatTheGuestAskedForIsDoneAfterTheRestore()
    {
        auto const directory = m_directory.filePath("asked").toStdString();
        Events events;
        auto machine = tests::must(Machine::create(demoConfig(m_disk), events.listener()));
        REQUIRE_OK(machine->call(command::Start {}));
        REQUIRE_OK(machine->call(command::Suspend { directory, true }));
        // As if the guest had written to its sleep register just before it stood still.
        QFile file(QString::fromStdString(directory + "/state.json"));
        QVERIFY(file.open(QIODevice::ReadWrite));
        auto text = file.readAll();
        QVERIFY(text.contains("\"requested\": \"none\""));
        text.replace("\"requested\": \"none\"", "\"requested\": \"power-off\"");
        QVERIFY(file.resize(0) && file.seek(0) && file.write(text) == text.size());
        file.close();
        Events after;
        machine.reset();
        machine = tests::must(Machine::restore(directory, after.listener()));
        REQUIRE_OK(machine->call(command::Resume {}));
        QVERIFY(after.waitForState(RunState::Off));
    }

    void aResetThatFailsIsNoRunningMachine()
    {
        auto const kernel = m_directory.filePath("kernel.elf");
        QVERIFY(QFile::copy(CHRONOVISOR_BINARY "/share/chronovisor/demo.elf", kernel));
        auto config = demoConfig(m_disk);
        config.kernel->kernel = kernel.toStdString();
        Events events;
        auto const machine = tests::must(Machine::create(config, events.listener()));
        REQUIRE_OK(machine->call(command::Start {}));
        QVERIFY(QFile::remove(kernel));
        QCOMPARE(machine->call(command::Reset {}).error().code, ErrorCode::NotFound);
        QCOMPARE(machine->state(), RunState::Crashed);
    }

    void aStateNeverReplacesWhatIsNotOne()
    {
        auto const directory = m_directory.filePath("documents");
        QVERIFY(QDir().mkpath(directory));
        QFile letter(directory + "/letter.txt");
        QVERIFY(letter.open(QIODevice::WriteOnly) && letter.write("dear") == 4);
        letter.close();
        Events events;
        auto const machine = tests::must(Machine::create(demoConfig(m_disk), events.listener()));
        REQUIRE_OK(machine->call(command::Start {}));
        auto const refused = machine->call(command::Suspend { directory.toStdString(), false });
        QCOMPARE(refused.error().code, ErrorCode::AlreadyExists);
        QVERIFY(QFile::exists(letter.fileName()));
        QCOMPARE(machine->state(), RunState::Running);
        // A name with a slash at its end, twice: the second replaces the first.
        auto const own = m_directory.filePath("own/").toStdString();
        REQUIRE_OK(machine->call(command::Suspend { own, false }));
        // What a program keeps beside the state for people does not make the directory anything else.
        REQUIRE_OK(writeFileSynced(own + "/" + std::string(savedCompanionPrefix) + "serial0", "login:"));
        REQUIRE_OK(machine->call(command::Suspend { own, false }));
        REQUIRE_OK(readSavedMachine(own));
        QVERIFY(!QFile::exists(m_directory.filePath("own.new")));
    }

    void manyDevicesOfOneKind()
    {
        // More than there are slots, so that some are further functions of theirs.
        auto config = demoConfig(m_disk);
        for (unsigned i = 1; i < 70; ++i) {
            auto const path = m_directory.filePath(QString("disk%1.img").arg(i)).toStdString();
            QFile file(QString::fromStdString(path));
            QVERIFY(file.open(QIODevice::WriteOnly));
            QVERIFY(file.resize(4096 * (i + 1)));
            config.disks.push_back({ fmt::format("disk{}", i), path, DiskFormat::Raw, DiskBus::Virtio, false, 1 });
        }
        auto const state = m_directory.filePath("many").toStdString();
        {
            Events events;
            auto const machine = tests::must(Machine::create(config, events.listener()));
            REQUIRE_OK(machine->call(command::Start {}));
            std::uint64_t position = 0;
            QVERIFY(waitForText(*machine->console("serial0"), "> ", position));
            REQUIRE_OK(machine->call(command::Suspend { state, true }));
        }
        Events events;
        auto const machine = tests::must(Machine::restore(state, events.listener()));
        REQUIRE_OK(machine->call(command::Resume {}));
        std::uint64_t position = 0;
        QVERIFY(machine->console("serial0")->type(bytesOf("count\r")));
        QVERIFY(waitForText(*machine->console("serial0"), "Memory and disk agree", position));

        config.disks.clear();
        for (unsigned i = 0; i < 250; ++i) {
            config.networks.push_back(
                { fmt::format("net{}", i), fmt::format("52:54:00:00:00:{:02x}", i), NetworkMode::None, {} });
        }
        auto const tooMany = Machine::create(config, events.listener());
        QVERIFY(!tooMany);
        QCOMPARE(tooMany.error().message(), std::string("the machine has more than 240 PCI devices"));
    }

    void twoMachinesLiveInOneProcess()
    {
        auto const second = m_directory.filePath("second.img").toStdString();
        QFile::copy(QString::fromStdString(m_disk), QString::fromStdString(second));
        Events one, two;
        auto const first = tests::must(Machine::create(demoConfig(m_disk), one.listener()));
        auto const other = tests::must(Machine::create(demoConfig(second), two.listener()));
        REQUIRE_OK(first->call(command::Start {}));
        REQUIRE_OK(other->call(command::Start {}));
        std::uint64_t firstPosition = 0, otherPosition = 0;
        QVERIFY(waitForText(*first->console("serial0"), "> ", firstPosition));
        QVERIFY(waitForText(*other->console("serial0"), "> ", otherPosition));
    }

    void twoHundredStartsLeaveNothingBehind()
    {
        auto const openFiles
            = [] { return QDir("/proc/self/fd").entryList(QDir::NoDotAndDotDot | QDir::AllEntries).size(); };
        auto const threads
            = [] { return QDir("/proc/self/task").entryList(QDir::NoDotAndDotDot | QDir::AllEntries).size(); };
        auto const cycle = [this] {
            Events events;
            auto const machine = tests::must(Machine::create(demoConfig(m_disk), events.listener()));
            tests::must(machine->call(command::Start {}));
        };
        constexpr int warmUps = 20, cycles = 180;
        for (int i = 0; i < warmUps; ++i)
            cycle();
        auto const files = openFiles(), tasks = threads();
        auto const before = Footprint::now();
        for (int i = 0; i < cycles; ++i)
            cycle();
        auto const grown = Footprint::now().since(before);
        QTRY_VERIFY(openFiles() <= files);
        QTRY_VERIFY(threads() <= tasks); // one that was joined is listed for a little longer
        // Less than half a KiB in each.
        QVERIFY2(grown.isWithin(cycles / 2, cycles / 2), qPrintable(grown.text()));
    }

    /// With everything that a machine can have, and by all ways to begin and to end.
    void fullMachinesLeaveNothingBehind()
    {
        auto config = demoConfig(m_disk);
        config.memoryMiB = 16;
        config.cpus = 2;
        config.debugConsole = true;
        config.serials.push_back({ "console0", true });
        config.displays.resize(1);
        config.randomGenerators = 2;
        config.networks
            = { { "net0", makeMac(), NetworkMode::User, {} }, { "net1", makeMac(), NetworkMode::None, {} } };
        config.cds = { { "cd0", "" } };
        config.usbControllers = { { "usb0" } };
        config.usbDevices = { { "keyboard0", UsbKind::Keyboard }, { "hub0", UsbKind::Hub },
            { "tablet0", UsbKind::Tablet, "hub0" }, { "line0", UsbKind::Serial } };
        for (auto const bus : { DiskBus::Virtio, DiskBus::Ahci, DiskBus::Usb, DiskBus::Uas }) {
            auto const id = fmt::format("disk{}", config.disks.size());
            auto const path = m_directory.filePath(QString::fromStdString("full-" + id)).toStdString();
            REQUIRE_OK(createImage(path, { .size = 1 << 20 }));
            config.disks.push_back({ id, path, DiskFormat::Qcow2, bus, false, 1 });
        }
        auto const state = m_directory.filePath("full").toStdString();
        auto const cycle = [&] {
            {
                auto const machine = tests::must(Machine::create(config, [](Event const&) {}));
                REQUIRE_OK(machine->call(command::Start {}));
                REQUIRE_OK(machine->call(command::PowerOff {}));
                REQUIRE_OK(machine->call(command::Start {}));
                REQUIRE_OK(machine->call(command::Suspend { state, true }));
            }
            auto const machine = tests::must(Machine::restore(state, [](Event const&) {}));
            REQUIRE_OK(machine->call(command::Resume {}));
        };
        constexpr int warmUps = 4, cycles = 20;
        for (int i = 0; i < warmUps; ++i)
            cycle();
        auto const before = Footprint::now();
        for (int i = 0; i < cycles; ++i)
            cycle();
        auto const grown = Footprint::now().since(before);
        // Less than one mapping in each, and than a page of what was allocated.
        QVERIFY2(grown.isWithin(cycles / 2, cycles * 4), qPrintable(grown.text()));
        tests::QemuTools::judge(config.disks, tests::QemuTools::Leaks::No);
    }

    void stateOfAChangedDiskIsRefused()
    {
        auto const state = m_directory.filePath("stale").toStdString();
        {
            Events events;
            auto const machine = tests::must(Machine::create(demoConfig(m_disk), events.listener()));
            REQUIRE_OK(machine->call(command::Start {}));
            REQUIRE_OK(machine->call(command::Suspend { state, true }));
        }
        QThread::msleep(20);
        QFile disk(QString::fromStdString(m_disk));
        QVERIFY(disk.open(QIODevice::ReadWrite));
        disk.write("x");
        disk.close();
        auto const restored = Machine::restore(state, [](Event const&) {});
        QVERIFY(!restored);
        QVERIFY(restored.error().detail.find("disk0") != std::string::npos);
    }
};

REGISTER_SUITE(MachineTest);
#include "machine_test.moc"
