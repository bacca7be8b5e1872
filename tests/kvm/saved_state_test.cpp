#include "tests/support/each_value.h"
#include "tests/support/guest_machine.h"
#include "tests/support/killed_process.h"
#include "tests/support/patience.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"
#include "vmm/machine/saved_machine.h"

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

namespace {

/// What the process says that is killed.
struct Word {
    enum class What : std::uint8_t { Ready } what;
};

}

/// What is wrong with the files of a suspended machine is said before anything is made of them; what cannot be found
/// out before ends in a machine that stops with a reason. What each field may be: SavedFieldsTest.
class SavedStateTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void wrongFilesAreRefused();
    void hostileValuesEndInAnErrorOrAMachine();
    void memoryFileCutOffUnderAMachine();
    void damagedMemoryStopsTheMachine();
    void suspendedBeforeItsMemoryWasRead();
    void memoryIsAnonymousInTheEnd();
    void killedAtAnyInstant();
    void anImageWhoseNameCannotBeKept();

private:
    std::string copy(QString const& name);
    Result<std::unique_ptr<Machine>> restore(std::string const& directory)
    {
        return Machine::restore(directory, [this](Event const& event) {
            std::lock_guard const lock(m_mutex);
            if (auto const* changed = std::get_if<event::StateChanged>(&event); changed && changed->reason)
                m_reason = changed->reason->message();
        });
    }
    std::string reason()
    {
        std::lock_guard const lock(m_mutex);
        return m_reason;
    }
    static bool hasSaid(Console& console, std::string const& text)
    {
        Bytes bytes;
        console.readFrom(0, bytes);
        return std::string(bytes.begin(), bytes.end()).find(text) != std::string::npos;
    }
    static bool writeText(std::string const& path, std::string const& text)
    {
        QFile file(QString::fromStdString(path));
        return file.open(QIODevice::WriteOnly) && file.write(text.data(), qint64(text.size())) == qint64(text.size());
    }

    std::optional<GuestMachine> m_guest; // its folder has the files
    std::string m_directory;
    Json m_state;
    std::mutex m_mutex;
    std::string m_reason;
};

void SavedStateTest::initTestCase()
{
    auto& guest = m_guest.emplace("share/chronovisor/demo.elf");
    guest.config.memoryMiB = 64;
    for (int i = 0; i < 2; ++i)
        guest.addDisk(DiskBus::Virtio);
    guest.addDisk(DiskBus::Ahci);
    for (auto& disk : guest.config.disks)
        disk.readOnly = true; // or the state would not fit them once a machine has run
    guest.config.cds = { { "cd0", "" } };
    for (auto const* id : { "net0", "net1" })
        guest.config.networks.push_back({ id, makeMac(), NetworkMode::User, {} });
    guest.config.serials.push_back({ "console0", true });
    guest.config.debugConsole = true;
    auto const started = guest.start();
    if (!started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    REQUIRE_OK(started);
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    guest.type("serial0", "mem fill 16\r");
    QVERIFY(guest.waitForLine("16 MiB filled", 20s));
    m_directory = guest.folder().toStdString() + "/good";
    REQUIRE_OK(guest.machine().call(command::Suspend { m_directory, true }));
    guest.end();
    m_state = savedMachineToJson(tests::must(readSavedMachine(m_directory)));
}

std::string SavedStateTest::copy(QString const& name)
{
    auto const to = m_guest->folder().toStdString() + "/" + name.toStdString();
    std::filesystem::copy(m_directory, to);
    return to;
}

void SavedStateTest::wrongFilesAreRefused()
{
    namespace fs = std::filesystem;
    auto const directory = copy("files");
    auto const state = directory + "/state.json", ram = directory + "/ram";
    QFile file(QString::fromStdString(state));
    QVERIFY(file.open(QIODevice::ReadOnly));
    auto const text = file.readAll().toStdString();
    auto const refused = [&](char const* what) {
        m_reason.clear();
        auto const restored = restore(directory);
        if (restored)
            qWarning("accepted: %s", what);
        else
            qInfo("%s: %s", what, restored.error().message().c_str());
        return !restored && restored.error().detail.size() > 10;
    };
    for (std::size_t const length : { std::size_t(0), std::size_t(1), text.size() / 3, text.size() - 3 }) {
        QVERIFY(writeText(state, text.substr(0, length)));
        QVERIFY(refused("a state that ends early"));
    }
    QVERIFY(writeText(state, text + "{}"));
    QVERIFY(refused("a state with something behind it"));
    QVERIFY(writeText(state, std::string(100'000, '[')));
    QVERIFY(refused("a state that is all brackets"));
    QVERIFY(writeText(state, text + std::string(65u << 20, ' ')));
    QVERIFY(refused("a state that is larger than any"));
    fs::remove(state);
    QCOMPARE(::mkfifo(state.c_str(), 0600), 0);
    QVERIFY(refused("a state that is a FIFO"));
    fs::remove(state);
    fs::create_directory(state);
    QVERIFY(refused("a state that is a folder"));
    fs::remove(state);
    QVERIFY(refused("no state"));
    QVERIFY(writeText(state, text));

    auto const size = fs::file_size(ram);
    for (auto const wrong : { std::uintmax_t(0), size - 1, size - (1u << 20), size + 1, size * 1000 }) {
        fs::resize_file(ram, wrong);
        QVERIFY(refused("memory of another size"));
    }
    fs::remove(ram);
    QVERIFY(refused("no memory"));
    QCOMPARE(::mkfifo(ram.c_str(), 0600), 0);
    QVERIFY(refused("memory that is a FIFO"));
    fs::remove(ram);
    fs::copy(m_directory + "/ram", ram);
    REQUIRE_OK(restore(directory));
    QVERIFY(!restore(m_guest->folder().toStdString() + "/nowhere"));
}

/// Values that have the right type, and are not what any machine has written.
void SavedStateTest::hostileValuesEndInAnErrorOrAMachine()
{
    std::vector<Json::json_pointer> numbers, lists;
    for (auto const* root : { "/parts", "/header" }) {
        tests::eachValue(m_state[Json::json_pointer(root)], Json::json_pointer(root), [&](auto const& at) {
            auto const& value = m_state[at];
            if (value.is_number() || (value.is_object() && (value.contains("u64") || value.contains("base64"))))
                numbers.push_back(at);
            else if (value.is_array() && at != Json::json_pointer("/parts"))
                lists.push_back(at);
        });
    }
    QVERIFY(numbers.size() > 300);
    auto const directory = copy("hostile");
    std::mt19937 random(1);
    unsigned refusals = 0, machines = 0;
    for (int i = 0; i < 200; ++i) {
        auto bad = m_state;
        // One place, or many at once.
        for (unsigned count = i % 2 == 0 ? 1 : 10; count > 0; --count) {
            if (random() % 8 == 0) {
                auto& list = bad[lists[random() % lists.size()]];
                if (list.is_array() && !list.empty() && random() % 2 == 0)
                    list.push_back(list[0]);
                else
                    list = Json::array();
                continue;
            }
            auto& value = bad[numbers[random() % numbers.size()]];
            static constexpr std::uint64_t extremes[] = { 0, 1, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 1ull << 32,
                1ull << 62, ~0ull, 0xfffffffffffff000 };
            auto const extreme = extremes[random() % std::size(extremes)];
            if (value.is_number())
                value = random() % 4 == 0 ? Json(-1) : Json(extreme & 0xffffffff);
            else if (value.contains("u64"))
                value["u64"] = std::to_string(extreme);
            else if (value.contains("base64"))
                value["base64"] = random() % 2 == 0 ? "" : state::base64Encode(Bytes(random() % 8192, 0xff));
        }
        QVERIFY(writeText(directory + "/state.json", state::toText(bad, 1)));
        auto const restored = restore(directory);
        if (!restored) {
            ++refusals;
            QVERIFY(!restored.error().detail.empty());
            continue;
        }
        ++machines;
        // Whatever the guest makes of it: the program goes on.
        REQUIRE_OK((*restored)->call(command::Resume {}));
        QTest::qSleep(15);
        ignore((*restored)->call(command::Pause {}));
    }
    QVERIFY2(refusals > 30 && machines > 10, qPrintable(QString("%1 %2").arg(refusals).arg(machines)));
}

void SavedStateTest::memoryFileCutOffUnderAMachine()
{
    auto const directory = copy("cut");
    auto const machine = tests::must(restore(directory));
    std::filesystem::resize_file(directory + "/ram", 1u << 20);
    // Where it was read in time nothing is lost; where it was not, the machine ends with the reason. Never the program.
    ignore(machine->call(command::Resume {}));
    auto* const console = machine->console("serial0");
    QVERIFY(console->type(bytesOf("mem check\r")));
    auto const hasCrashed
        = [&] { return machine->state() == RunState::Crashed && reason().find("memory file") != std::string::npos; };
    QTRY_VERIFY2_WITH_TIMEOUT(
        hasSaid(*console, "16 MiB read, 0 of") || hasCrashed(), reason().c_str(), 10'000 * tests::patience());
    REQUIRE_OK(machine->call(command::Reset {}));
    QVERIFY(machine->state() == RunState::Running);
}

void SavedStateTest::damagedMemoryStopsTheMachine()
{
    auto const directory = copy("damaged");
    // The last of its RAM that holds something is the guest's own, and not what it runs on.
    auto const record = tests::must(readSavedMachine(directory)).header.ram;
    std::uint64_t chunk = 63;
    while (isHole(record, chunk))
        --chunk;
    QVERIFY(chunk > 4);
    QFile file(QString::fromStdString(directory) + "/ram");
    QVERIFY(file.open(QIODevice::ReadWrite));
    QVERIFY(file.seek(qint64(chunk << 20)));
    file.write(QByteArray(4096, 'x'));
    file.close();
    auto const machine = tests::must(restore(directory));
    ignore(machine->call(command::Resume {}));
    auto const why = "the memory file is damaged in its mebibyte " + std::to_string(chunk);
    QTRY_VERIFY2(machine->state() == RunState::Crashed && reason().ends_with(why), reason().c_str());
    QCOMPARE(machine->call(command::Resume {}).error().code, ErrorCode::NotNow);
    QCOMPARE(machine->call(command::Suspend { directory, true }).error().code, ErrorCode::NotNow);
    // As new it is whole again.
    REQUIRE_OK(machine->call(command::Start {}));
    QTest::qSleep(300);
    QCOMPARE(machine->state(), RunState::Running);
}

void SavedStateTest::suspendedBeforeItsMemoryWasRead()
{
    auto const directory = copy("again");
    for (int i = 0; i < 5; ++i) {
        auto const machine = tests::must(restore(directory));
        REQUIRE_OK(machine->call(command::Suspend { directory, true }));
    }
    auto const saved = tests::must(readSavedMachine(directory));
    REQUIRE_OK(verifyRamFile(directory + "/ram", saved.header.ram, {}));
    auto const machine = tests::must(restore(directory));
    REQUIRE_OK(machine->call(command::Resume {}));
    auto* const console = machine->console("serial0");
    QVERIFY(console->type(bytesOf("mem check\r")));
    QTRY_VERIFY_WITH_TIMEOUT(hasSaid(*console, "16 MiB read, 0 of"), 10'000 * tests::patience());
}

void SavedStateTest::memoryIsAnonymousInTheEnd()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.config.memoryMiB = 512;
    auto const directory = guest.folder() + "/large";
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    guest.type("serial0", "mem fill 64\r");
    QVERIFY(guest.waitForLine("64 MiB filled", 30s));
    REQUIRE_OK(guest.machine().call(command::Suspend { directory.toStdString(), true }));
    guest.end();
    QElapsedTimer timer;
    timer.start();
    auto const machine = tests::must(restore(directory.toStdString()));
    REQUIRE_OK(machine->call(command::Resume {}));
    qInfo("runs after %lld ms", timer.elapsed());
    auto* const console = machine->console("serial0");
    QVERIFY(console->type(bytesOf("mem check\r")));
    auto const isShown = [&] {
        QFile maps("/proc/self/maps");
        return !maps.open(QIODevice::ReadOnly) || maps.readAll().contains(directory.toUtf8());
    };
    QTRY_VERIFY_WITH_TIMEOUT(!isShown(), 60'000 * tests::patience());
    qInfo("complete after %lld ms", timer.elapsed());
    QVERIFY(QDir(directory).removeRecursively());
    QTRY_VERIFY_WITH_TIMEOUT(hasSaid(*console, "64 MiB read, 0 of"), 30'000 * tests::patience());
}

void SavedStateTest::killedAtAnyInstant()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    guest.config.memoryMiB = 64;
    auto const directory = guest.folder().toStdString() + "/killed";
    constexpr unsigned longest = 120'000; // microseconds
    std::mt19937 random(7);
    qsizetype halves = 0;
    for (int i = 0; i < 12; ++i) {
        tests::workAndBeKilled<Word>(random, longest, [&](unsigned, int words) {
            auto const machine = tests::must(Machine::create(guest.config, [](Event const&) {}));
            auto const suspend = [&] { tests::must(machine->call(command::Suspend { directory, false })); };
            tests::must(machine->call(command::Start {}));
            suspend();
            Word const ready { Word::What::Ready };
            if (::write(words, &ready, sizeof ready) != sizeof ready)
                ::_exit(1);
            for (;;)
                suspend();
        });
        halves += QDir(guest.folder()).entryList({ "killed.*" }, QDir::Dirs).size();
        auto const saved = readSavedMachine(directory);
        REQUIRE_OK(saved);
        REQUIRE_OK(verifyRamFile(directory + "/ram", saved->header.ram, {}));
        auto const machine = Machine::restore(directory, [](Event const&) {});
        REQUIRE_OK(machine);
        REQUIRE_OK((*machine)->call(command::Resume {}));
        QTest::qSleep(20);
        QCOMPARE((*machine)->state(), RunState::Running);
    }
    QVERIFY(halves > 0); // else it was never killed at it
}

void SavedStateTest::anImageWhoseNameCannotBeKept()
{
    GuestMachine guest("share/chronovisor/demo.elf");
    auto const folder = guest.folder().toStdString();
    REQUIRE_OK(createImage(folder + "/\xe4.img", { .format = ImageFormat::Raw, .size = 1 << 20 }));
    NewImage over;
    over.backingFile = "\xe4.img";
    over.backingFormat = ImageFormat::Raw;
    REQUIRE_OK(createImage(folder + "/over.img", over));
    guest.config.disks.push_back({ "disk0", folder + "/over.img", DiskFormat::Qcow2, DiskBus::Virtio, false, 1 });
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    // It would be a state that never fits its disks again; the machine runs on instead.
    auto const suspended = guest.machine().call(command::Suspend { folder + "/state", true });
    QVERIFY(!suspended);
    QCOMPARE(suspended.error().code, ErrorCode::Unsupported);
    QVERIFY(!std::filesystem::exists(folder + "/state"));
    QVERIFY(guest.waitForState(RunState::Running, 5s));
}

REGISTER_SUITE(SavedStateTest);
#include "saved_state_test.moc"
