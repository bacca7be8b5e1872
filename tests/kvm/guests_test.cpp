#include "tests/fakes/fake_audio.h"
#include "tests/support/guest_machine.h"
#include "tests/support/suite.h"

#include <QDir>
#include <QFile>
#include <QRegularExpression>
#include <QScopeGuard>
#include <cstring>
#include <elf.h>
#include <linux/input-event-codes.h>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

namespace {

/// A smallest ISO 9660 image: the volume descriptor where it belongs, nothing behind it.
QString makeDisc(GuestMachine const& guest, QString const& name)
{
    auto const path = guest.makeFile(name, 184 * 2048);
    QFile file(path);
    if (!file.open(QIODevice::ReadWrite) || !file.seek(16 * 2048) || file.write("\1CD001\1", 7) != 7)
        return {};
    return path;
}

// As tests/guests/firmware.c has them.
constexpr int kib = 1024, sectorSize = 4 * kib, flashSize = 64 * kib, firmwareSize = 512 * kib;

QByteArray firstFlash()
{
    QByteArray flash;
    for (int i = 0; i < flashSize; ++i)
        flash += char(i + i / sectorSize);
    return flash;
}

void put32(QByteArray& image, qsizetype offset, std::uint32_t value)
{
    image.replace(offset, 4, QByteArray(reinterpret_cast<char const*>(&value), 4));
}

/// One of our guests as firmware that ends at 4 GiB: 16 bytes below that, where a processor begins in real mode (Intel
/// SDM, Vol. 3A, "First Instruction Executed"), it goes into protected mode, copies the guest to where it is to be, and
/// enters it as a PVH loader does. What E0000-FFFFF shows of it has something else in each word.
QByteArray asFirmware(QByteArray const& elf, std::string_view options)
{
    constexpr int startInfo = 320 * kib, text = startInfo + 64, shown = firmwareSize - 128 * kib;
    constexpr int code = firmwareSize - 0x100, table = firmwareSize - 0x40;
    constexpr auto address = [](int offset) { return std::uint32_t(offset) - firmwareSize; };
    Elf64_Ehdr header;
    Elf64_Phdr image;
    std::memcpy(&header, elf.data(), sizeof header);
    std::memcpy(&image, elf.data() + header.e_phoff, sizeof image);
    QByteArray firmware(firmwareSize, '\0');
    firmware.replace(0, qsizetype(image.p_filesz), elf.mid(qsizetype(image.p_offset), qsizetype(image.p_filesz)));
    put32(firmware, startInfo, 0x336ec578);
    put32(firmware, startInfo + 24, address(text));
    firmware.replace(text, qsizetype(options.size()), QByteArray(options.data(), qsizetype(options.size())));
    for (int i = shown; i < code; i += 4)
        put32(firmware, i, 0xabc00000u + unsigned(i));
    static constexpr unsigned char starts[] {
        0xfa,                                     // cli
        0x2e, 0x66, 0x0f, 0x01, 0x16, 0xd8, 0xff, // lgdt cs:[0xffd8]
        0x0f, 0x20, 0xc0,                         // mov eax, cr0
        0x0c, 0x01,                               // or al, 1
        0x0f, 0x22, 0xc0,                         // mov cr0, eax
        0x66, 0xea, 0x18, 0xff, 0xff, 0xff, 8, 0, // jmp 8:0xffffff18, the next instruction
        0xb8, 16, 0, 0, 0,                        // mov eax, 16
        0x8e, 0xd8,                               // mov ds, ax
        0x8e, 0xc0,                               // mov es, ax
        0x8e, 0xd0,                               // mov ss, ax
        0xfc,                                     // cld
        0xf3, 0xa5,                               // rep movsd, of what the registers are given below
        0xff, 0xe0,                               // jmp eax
    };
    QByteArray program(reinterpret_cast<char const*>(starts), sizeof starts);
    auto const fill = [&program](unsigned char opcode, std::uint32_t value) { // mov register, value
        QByteArray move(5, char(opcode));
        put32(move, 1, value);
        program.insert(program.size() - 4, move); // before rep movsd
    };
    fill(0xbe, address(0));                            // esi
    fill(0xbf, std::uint32_t(image.p_paddr));          // edi
    fill(0xb9, std::uint32_t(image.p_filesz + 3) / 4); // ecx
    fill(0xbb, address(startInfo));                    // ebx
    fill(0xb8, std::uint32_t(header.e_entry));         // eax
    firmware.replace(code, program.size(), program);
    put32(firmware, table + 0x18, std::uint32_t(23) | address(table) << 16); // the table's limit and address
    put32(firmware, table + 0x1c, address(table) >> 16);
    firmware.replace(table + 8, 8, QByteArray::fromHex("ffff0000009bcf00"));  // code
    firmware.replace(table + 16, 8, QByteArray::fromHex("ffff00000093cf00")); // data
    firmware.replace(firmwareSize - 16, 3, QByteArray::fromHex("e90dff"));    // jmp to 0xff00
    return firmware;
}

void write(QString const& path, QByteArray const& contents)
{
    QFile file(path);
    bool const isOpen = QDir().mkpath(QFileInfo(path).path()) && file.open(QIODevice::WriteOnly);
    QVERIFY2(isOpen && file.write(contents) == contents.size(), qPrintable(path));
}

}

/// Runs each of the bare-metal guests of tests/guests on the machine and takes over what they say.
class GuestsTest final : public QObject {
    Q_OBJECT

private slots:
    void processor();
    void memoryAboveFourGib();
    void instructionsThatKvmCannotRun();
    void instructionThatNobodyCanRun();
    void instructionThatIsNowhere();
    void severalProcessors_data();
    void severalProcessors();
    void timers();
    void clock();
    void board();
    void flashAndShadowsOfFirmware();
    void serialPorts();
    void keyboardAndMouse();
    void display();
    void disks();
    void networks();
    void smallVirtioDevices();
    void ahci();
    void usb();
    void usbDevicesOfOneKindAreApart();
    void devicesOfOneKindAreApart();
    void endings_data();
    void endings();
    void rebootStartsAnew();
    void debugExitEndsTheMachine();

private:
    /// Runs the guest to its end: no FAIL, and no SKIP but for these.
    static void runToEnd(GuestMachine& guest, QStringList const& mayBeSkipped = {});
    /// The same for one that runs already.
    static void goOnToEnd(GuestMachine& guest, QStringList const& mayBeSkipped = {});
};

void GuestsTest::runToEnd(GuestMachine& guest, QStringList const& mayBeSkipped)
{
    auto const started = guest.start();
    if (!started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    REQUIRE_OK(started);
    goOnToEnd(guest, mayBeSkipped);
}

void GuestsTest::goOnToEnd(GuestMachine& guest, QStringList const& mayBeSkipped)
{
    QVERIFY2(guest.waitForWholeLine("DONE ", 60s),
        qPrintable("the guest did not finish: " + guest.reason() + "\n" + guest.lines().join('\n')));
    int passed = 0;
    for (auto const& line : guest.lines()) {
        passed += line.startsWith("PASS ");
        QVERIFY2(!line.startsWith("FAIL "), qPrintable(guest.lines().join('\n')));
        if (line.startsWith("SKIP "))
            QVERIFY2(mayBeSkipped.contains(line.section(' ', 1, 1)), qPrintable(line));
    }
    QVERIFY(passed > 0);
    // Where there is a port to end the machine with, it does.
    QVERIFY(guest.waitForState(guest.config.debugConsole ? RunState::Crashed : RunState::Off, 5s));
}

void GuestsTest::processor()
{
    GuestMachine guest("guests/processor.elf", "memory=256");
    runToEnd(guest, { "processor.memoryAboveFourGib" });
}

void GuestsTest::memoryAboveFourGib()
{
    GuestMachine guest("guests/processor.elf", "memory=5120");
    guest.config.memoryMiB = 5120;
    runToEnd(guest);
}

void GuestsTest::instructionsThatKvmCannotRun()
{
    GuestMachine guest("guests/instructions.elf");
    runToEnd(guest, { "instructions.populationCount", "instructions.checksum", "instructions.accessFlag" });
}

void GuestsTest::instructionThatNobodyCanRun()
{
    GuestMachine guest("guests/instructions.elf", "crash=1");
    auto const started = guest.start();
    if (!started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    REQUIRE_OK(started);
    QVERIFY2(guest.waitForState(RunState::Crashed, 20s), qPrintable(guest.lines().join('\n')));
    auto const where = guest.lines().filter("NOTE crash at ");
    QCOMPARE(where.size(), 1);
    auto const beginning = "vCPU 0 at 0x" + where[0].section(' ', -1) + ": this host's KVM cannot run the instruction ";
    QVERIFY2(guest.reason().contains(beginning + "48 0f c7 0f"), qPrintable(guest.reason()));
    // And where each processor stands.
    auto const stands = QRegularExpression("\nvCPU 0: cs:rip [0-9a-f]+:" + where[0].section(' ', -1) + " ss:rsp ");
    QVERIFY2(guest.reason().contains(stands), qPrintable(guest.reason()));
}

void GuestsTest::instructionThatIsNowhere()
{
    GuestMachine guest("guests/instructions.elf", "nowhere=1");
    auto const started = guest.start();
    if (!started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    REQUIRE_OK(started);
    QVERIFY2(guest.waitForState(RunState::Crashed, 20s), qPrintable(guest.lines().join('\n')));
    QVERIFY2(guest.reason().contains("vCPU 0 at 0xfed40000: this host's KVM cannot run the instruction there"),
        qPrintable(guest.reason()));
}

void GuestsTest::severalProcessors_data()
{
    QTest::addColumn<int>("cpus");
    for (int const cpus : { 1, 2, 4, 16 })
        QTest::addRow("%d", cpus) << cpus;
}

void GuestsTest::severalProcessors()
{
    QFETCH(int, cpus);
    GuestMachine guest("guests/smp.elf", "cpus=" + std::to_string(cpus));
    guest.config.cpus = std::uint16_t(cpus);
    runToEnd(guest);
}

void GuestsTest::timers()
{
    GuestMachine guest("guests/timers.elf");
    runToEnd(guest, { "timers.apicTimerByTsc" });
}

void GuestsTest::clock()
{
    GuestMachine guest("guests/clock.elf");
    runToEnd(guest);
}

void GuestsTest::board()
{
    GuestMachine guest("guests/board.elf", "strict=1 button=1");
    guest.onNote["press the power button"] = [](auto& g) { g.machine().post(command::PressPowerButton {}); };
    runToEnd(guest);
}

/// The machine goes away in the middle of each of the chip's commands of several steps, while C0000-FFFFF is routed in
/// all ways, and between two lines on the debug port.
void GuestsTest::flashAndShadowsOfFirmware()
{
    GuestMachine guest("guests/firmware.elf");
    QFile elf(QString::fromStdString(guest.config.kernel->kernel));
    QVERIFY(elf.open(QIODevice::ReadOnly));
    write(guest.folder() + "/OVMF/OVMF_CODE_4M.fd", asFirmware(elf.readAll(), "strict=1"));
    write(guest.folder() + "/OVMF/OVMF_VARS_4M.fd", firstFlash());
    qputenv("CHRONOVISOR_FIRMWARE", guest.folder().toLocal8Bit());
    auto const leaves = qScopeGuard([] { qunsetenv("CHRONOVISOR_FIRMWARE"); });
    QFile variables(guest.folder() + "/variables.fd");
    guest.config.memoryMiB = 32;
    guest.config.kernel.reset();
    guest.config.firmware = Firmware::Ovmf;
    guest.config.firmwareVariables = variables.fileName().toStdString();
    guest.config.debugConsole = true;
    auto const started = guest.start();
    if (!started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    REQUIRE_OK(started);
    for (int i = 1; i <= 7; ++i) {
        QVERIFY2(guest.waitForWholeLine("NOTE suspend me " + QString::number(i), 20s),
            qPrintable(guest.reason() + guest.lines().join('\n')));
        QCOMPARE(guest.said("debug"), QString(i == 7 ? "before\n" : ""));
        REQUIRE_OK(guest.suspendAndRestore());
        guest.type("serial0", "x");
    }
    goOnToEnd(guest);
    QCOMPARE(guest.said("debug"), "after\n"); // the console of this process
    // The machine's file has what the chip has.
    auto expected = firstFlash();
    for (int const sector : { 2, 4, 6 })
        expected.replace(sector * sectorSize, sectorSize, QByteArray(sectorSize, '\xff'));
    expected.replace(2 * sectorSize, 2, QByteArray("\0\x5a", 2));
    for (int i = 0; i < 16; ++i)
        expected[4 * sectorSize + 0x20 + i] = char(0xc0 + i);
    QVERIFY(variables.open(QIODevice::ReadOnly));
    QVERIFY(variables.readAll() == expected);
}

void GuestsTest::serialPorts()
{
    GuestMachine guest("guests/uart.elf", "ports=2 echo=1");
    guest.onNote["type on the second port"] = [](auto& g) { g.type("serial1", "Zeit\n"); };
    runToEnd(guest);
    QCOMPARE(guest.said("serial1"), "hello from the second port\r\nZeit\n");
}

void GuestsTest::keyboardAndMouse()
{
    GuestMachine guest("guests/keyboard.elf", "keys=4");
    guest.onNote["type"] = [](auto& g) {
        g.pressKey(KEY_A);
        g.pressKey(KEY_ENTER);
    };
    runToEnd(guest);
    auto codes = guest.lines().filter("NOTE scan code");
    QCOMPARE(codes.join(' ').remove("NOTE scan code "), "1e 9e 1c 9c");
}

void GuestsTest::display()
{
    GuestMachine guest("guests/display.elf");
    runToEnd(guest);
}

void GuestsTest::disks()
{
    GuestMachine guest("guests/block.elf", "disks=3");
    for (int i = 0; i < 3; ++i)
        guest.addDisk(DiskBus::Virtio);
    runToEnd(guest);
    for (int i = 1; i < 3; ++i) { // the first has seen more since
        QFile file(QString::fromStdString(guest.config.disks[std::size_t(i)].path));
        QVERIFY(file.open(QIODevice::ReadOnly) && file.seek(64 * 512));
        quint64 word = 0;
        QCOMPARE(file.read(reinterpret_cast<char*>(&word), 8), 8);
        auto const seed = i == 2 ? 99u : 100u + unsigned(i);
        QCOMPARE(word, seed * 6364136223846793005u + 1442695040888963407u);
    }
}

void GuestsTest::networks()
{
    GuestMachine guest("guests/network.elf", "nets=2 strict=1 cable=1");
    for (auto const* id : { "net0", "net1" })
        guest.config.networks.push_back({ id, makeMac(), NetworkMode::User, {} });
    guest.onNote["pull the cable"] = [](auto& g) { g.machine().post(command::SetConnected { "net0", false }); };
    guest.onNote["plug the cable in"] = [](auto& g) { g.machine().post(command::SetConnected { "net0", true }); };
    runToEnd(guest);
}

void GuestsTest::smallVirtioDevices()
{
    GuestMachine guest("guests/virtio.elf", "strict=1 echo=1 size=1 moves=1");
    guest.config.serials.push_back({ "console0", true });
    guest.onNote["type on the console"] = [](auto& g) { g.type("console0", "Zeit\n"); };
    guest.onNote["resize the console"] = [](auto& g) { g.machine().console("console0")->setSize({ 132, 43 }); };
    guest.onNote["move and click"] = [](auto& g) {
        using Pointer = decltype(command::SendInput::input);
        for (Pointer const& input : { Pointer { AbsoluteMove { 1000, 2000 } }, Pointer { AbsoluteMove { 3000, 4000 } },
                 Pointer { ButtonInput { PointerButton::Left, true } },
                 Pointer { ButtonInput { PointerButton::Left, false } } })
            g.machine().post(command::SendInput { input });
    };
    runToEnd(guest);
    QCOMPARE(guest.said("console0"), "hello from the console\r\nZeit\n");
}

void GuestsTest::ahci()
{
    GuestMachine guest("guests/ahci.elf", "disks=2 drives=1 disc=1 eject=1");
    guest.addDisk(DiskBus::Ahci);
    guest.addDisk(DiskBus::Ahci);
    auto const disc = makeDisc(guest, "disc.iso");
    guest.config.cds = { { "cd0", disc.toStdString() } };
    guest.onNote["take the disc out"] = [](auto& g) { g.machine().post(command::EjectMedium { "cd0", true }); };
    guest.onNote["put a disc in"] = [disc](auto& g) {
        g.machine().post(command::InsertMedium { "cd0", disc.toStdString() });
    };
    runToEnd(guest);
}

/// The machine goes away twice while the guest copies and a keyboard has nothing to say, and its stick is pulled out.
void GuestsTest::usb()
{
    GuestMachine guest("guests/usb.elf", "strict=1 keys=1 moves=1 pad=1 tone=1 copy=1 pull=1");
    guest.config.usbControllers = { { "usb0" } };
    guest.config.usbDevices
        = { { "keyboard0", UsbKind::Keyboard }, { "hub0", UsbKind::Hub }, { "keyboard1", UsbKind::Keyboard, "hub0" },
              { "tablet0", UsbKind::Tablet }, { "pad0", UsbKind::Gamepad }, { "sound0", UsbKind::Audio } };
    guest.addDisk(DiskBus::Usb);
    auto const sound = std::make_shared<tests::FakeAudio>();
    guest.onNote["press a key"] = [](auto& g) { g.pressKey(KEY_A); };
    guest.onNote["move"] = [](auto& g) { g.machine().post(command::SendInput { AbsoluteMove { 1000, 2000 } }); };
    guest.onNote["play the pad"] = [](auto& g) {
        GamepadState played { .leftX = 32767 };
        played.press(GamepadButton::South);
        played.press(GamepadButton::Right);
        g.machine().post(command::SendInput { GamepadInput { "pad0", played } });
        g.machine().post(command::SendInput { GamepadInput { "pad0", {} } });
    };
    guest.onNote["listen"] = [sound](auto& g) {
        g.machine().audio("sound0")->connect(sound);
        g.type("serial0", "x");
    };
    guest.onNote["pull the stick out"] = [](auto& g) { g.machine().post(command::SetPlugged { "disk0", false }); };
    guest.onNote["plug the stick in"] = [](auto& g) { g.machine().post(command::SetPlugged { "disk0", true }); };
    auto const started = guest.start();
    if (!started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    REQUIRE_OK(started);
    QVERIFY2(guest.waitForWholeLine("NOTE suspend while I copy", 60s), qPrintable(guest.lines().join('\n')));
    for (int i = 0; i < 2; ++i)
        REQUIRE_OK(guest.suspendAndRestore());
    guest.type("serial0", "x");
    goOnToEnd(guest);
    QVERIFY(guest.machine().config().disks[0].plugged);
    // Every frame of its tone once, in its place.
    QCOMPARE(sound->heard.size(), std::size_t(60 * 48));
    for (std::size_t i = 0; i < sound->heard.size(); ++i)
        QCOMPARE(int(sound->heard[i].left), int(i + 1));
}

/// Two of each kind, each in the middle of something while the machine goes away.
void GuestsTest::usbDevicesOfOneKindAreApart()
{
    GuestMachine guest("guests/usb_pairs.elf");
    auto& devices = guest.config.usbDevices;
    guest.config.usbControllers = { { "usb0" } };
    for (std::string const number : { "0", "1" }) {
        devices.push_back({ "keyboard" + number, UsbKind::Keyboard });
        devices.push_back({ "hub" + number, UsbKind::Hub });
        for (auto const& [name, kind] :
            { std::pair("line", UsbKind::Serial), { "sound", UsbKind::Audio }, { "pad", UsbKind::Gamepad } })
            devices.push_back({ name + number, kind, "hub" + number });
        guest.addDisk(DiskBus::Usb);
    }
    guest.onNote["type and play"] = [](auto& g) {
        g.pressKey(KEY_A);
        g.pressKey(KEY_B);
        GamepadState one { .leftX = 32767 }, other { .leftX = -32768 };
        one.press(GamepadButton::South);
        other.press(GamepadButton::East);
        g.machine().post(command::SendInput { GamepadInput { "pad0", one } });
        g.machine().post(command::SendInput { GamepadInput { "pad1", other } });
        g.type("serial0", "x");
    };
    auto const started = guest.start();
    if (!started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    REQUIRE_OK(started);
    QVERIFY2(guest.waitForWholeLine("NOTE suspend me", 60s), qPrintable(guest.lines().join('\n')));
    REQUIRE_OK(guest.suspendAndRestore());
    guest.type("serial0", "x");
    goOnToEnd(guest);
}

/// The guest gives each a state of its own, one kind after the other, and the machine goes away in between.
void GuestsTest::devicesOfOneKindAreApart()
{
    GuestMachine guest("guests/siblings.elf", "serials=4 disks=3 nets=2 consoles=2 rngs=3 satas=2 usbs=2 displays=2");
    auto& config = guest.config;
    config.serials = { { "serial0", false }, { "console0", true }, { "serial1", false }, { "serial2", false },
        { "console1", true }, { "serial3", false } };
    config.displays = { { "display0" }, { "display1" } };
    config.randomGenerators = 3;
    config.networks = { { "net0", "52:54:00:00:00:01", NetworkMode::User, {} },
        { "net1", "52:54:00:00:00:02", NetworkMode::User, {} } };
    for (std::uint64_t mebibytes = 1; mebibytes <= 3; ++mebibytes)
        guest.addDisk(DiskBus::Virtio, mebibytes << 20);
    for (auto const bus : { DiskBus::Ahci, DiskBus::Usb, DiskBus::Uas }) {
        for (int i = 0; i < 2; ++i)
            guest.addDisk(bus);
    }
    for (int i = 0; i < 5; ++i) // with the two disks one more than a controller has ports
        config.cds.push_back({ "cd" + std::to_string(i), "" });
    for (std::string const number : { "0", "1" }) {
        config.usbControllers.push_back({ "usb" + number });
        for (auto const& [name, kind] : { std::pair("keyboard", UsbKind::Keyboard), { "mouse", UsbKind::Mouse },
                 { "pen", UsbKind::Tablet }, { "hub", UsbKind::Hub }, { "line", UsbKind::Serial } })
            config.usbDevices.push_back({ name + number, kind, "usb" + number });
    }
    auto const started = guest.start();
    if (!started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    REQUIRE_OK(started);
    for (int i = 1; i <= 8; ++i) {
        QVERIFY2(guest.waitForWholeLine("NOTE suspend me " + QString::number(i), 20s),
            qPrintable(guest.reason() + guest.lines().join('\n')));
        REQUIRE_OK(guest.suspendAndRestore());
        guest.type("serial0", "x");
    }
    goOnToEnd(guest);
    QCOMPARE(guest.said("console0"), "console 0 round 1\n");
    QCOMPARE(guest.said("console1"), "console 1 round 1\n");
}

void GuestsTest::endings_data()
{
    QTest::addColumn<int>("how");
    QTest::addColumn<RunState>("state");
    QTest::addColumn<QString>("report");
    QTest::newRow("power off by ACPI") << 0 << RunState::Off << "the guest powered off";
    QTest::newRow("triple fault") << 3 << RunState::Crashed
                                  << "vCPU 0 gave up \\(triple fault\\)\nvCPU 0: cs:rip .*\nvCPU 1: cs:rip .*cr4 .*";
    QTest::newRow("pvpanic") << 4 << RunState::Crashed
                             << "the guest's system has panicked\nvCPU 0: cs:rip .*\nvCPU 1: cs:rip .*cr4 .*";
}

void GuestsTest::endings()
{
    QFETCH(int, how);
    QFETCH(RunState, state);
    QFETCH(QString, report);
    GuestMachine guest("guests/end.elf", "how=" + std::to_string(how));
    guest.config.cpus = 2;
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.waitForState(state, 20s), qPrintable(guest.lines().join('\n')));
    QVERIFY(guest.lines().contains("NOTE end " + QString::number(how)));
    auto const expected = QRegularExpression(QRegularExpression::anchoredPattern(report));
    QVERIFY2(expected.match(guest.reason()).hasMatch(), qPrintable(guest.reason()));
}

void GuestsTest::rebootStartsAnew()
{
    for (int const how : { 1, 2 }) { // port CF9, the keyboard controller
        GuestMachine guest("guests/end.elf", "how=" + std::to_string(how));
        REQUIRE_OK(guest.start());
        QVERIFY(guest.waitForReboot(20s));
        guest.clearLines();
        QVERIFY2(guest.waitForLine("NOTE end", 20s), qPrintable(guest.reason()));
    }
}

void GuestsTest::debugExitEndsTheMachine()
{
    GuestMachine guest("guests/end.elf", "how=5");
    guest.config.debugConsole = true;
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForState(RunState::Crashed, 20s));
    QVERIFY2(guest.reason().contains("0x2a"), qPrintable(guest.reason()));
}

REGISTER_SUITE(GuestsTest);
#include "guests_test.moc"
