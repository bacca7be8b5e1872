#include "tests/support/golden.h"
#include "tests/support/guest_machine.h"
#include "vmm/machine/host_check.h"
#include "vmm/timeline/timeline.h"

#include <QTemporaryDir>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

/// Moments of machines with firmware, as each release has kept them, beside those of golden_moment_test.cpp: what the
/// firmware was, and its variables, are in them. The firmware is one of our own, of a few instructions and of the sizes
/// of SeaBIOS and OVMF: it counts in memory, and says so on the first serial port. Where a moment goes on the host's
/// firmware is another one, of nothing.
class GoldenFirmwareTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void cleanupTestCase() { qunsetenv("CHRONOVISOR_FIRMWARE"); }
    void thisVersionIsWritten_data();
    void thisVersionIsWritten();
    void itGoesOnFromThere_data();
    void itGoesOnFromThere();

private:
    QTemporaryDir m_firmware;
};

namespace {

constexpr int kib = 1024;
constexpr auto kind = "firmware";
auto const variables = QByteArray("variables").repeated(64 * kib / 9 + 1).left(64 * kib);

/// Intel SDM, Vol. 3A, "First Instruction Executed": 16 bytes below 4 GiB, in real mode.
QByteArray firmware(int size)
{
    constexpr unsigned char counts[] {
        0x31, 0xc0,             // xor ax, ax
        0x8e, 0xd8,             // mov ds, ax
        0xbb, 0x04, 0x00,       // mov bx, 4
        0x31, 0xc9,             // xor cx, cx
        0xe2, 0xfe,             // loop to itself
        0x4b,                   // dec bx
        0x75, 0xf9,             // jnz to "xor cx, cx"
        0xff, 0x06, 0x00, 0x05, // inc word [0x500]
        0xba, 0xf8, 0x03,       // mov dx, 0x3f8
        0xa0, 0x00, 0x05,       // mov al, [0x500]
        0x24, 0x07,             // and al, 7
        0x74, 0x05,             // jz over what follows
        0x04, 0x40,             // add al, 'A' - 1
        0xee,                   // out dx, al
        0xeb, 0xe3,             // jmp to "mov bx, 4"
        0xb0, 0x0a,             // mov al, '\n'
        0xee,                   // out dx, al
        0xeb, 0xde,             // jmp to "mov bx, 4"
    };
    constexpr unsigned char start[] { 0xe9, 0x0d, 0xff }; // jmp to 0xff00
    QByteArray image(size, '\0');
    image.replace(size - 0x100, sizeof counts, QByteArray(reinterpret_cast<char const*>(counts), sizeof counts));
    image.replace(size - 0x10, sizeof start, QByteArray(reinterpret_cast<char const*>(start), sizeof start));
    return image;
}

void write(QString const& path, QByteArray const& contents)
{
    QFile file(path);
    bool const isOpen = QDir().mkpath(QFileInfo(path).path()) && file.open(QIODevice::WriteOnly | QIODevice::Truncate);
    QVERIFY2(isOpen && file.write(contents) == contents.size(), qPrintable(path));
}

QByteArray read(std::string const& path)
{
    QFile file(QString::fromStdString(path));
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

/// What the host offers from now on.
void offer(QString const& folder, bool isEmpty)
{
    auto const image = [isEmpty](int size) { return isEmpty ? QByteArray(size, '\0') : firmware(size); };
    write(folder + "/seabios/bios-256k.bin", image(256 * kib));
    write(folder + "/seabios/vgabios-stdvga.bin", QByteArray(4 * kib, '\0').replace(0, 3, "\x55\xaa\x08"));
    write(folder + "/OVMF/OVMF_CODE_4M.fd", image(512 * kib));
    write(folder + "/OVMF/OVMF_VARS_4M.fd", isEmpty ? QByteArray(64 * kib, '\0') : variables);
}

constexpr auto wholeLine = "ABCDEFG";

}

void GoldenFirmwareTest::initTestCase()
{
    GuestMachine guest("guests/end.elf");
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    qputenv("CHRONOVISOR_FIRMWARE", m_firmware.path().toLocal8Bit());
}

void GoldenFirmwareTest::thisVersionIsWritten_data()
{
    QTest::addColumn<Firmware>("firmware");
    QTest::newRow("seabios") << Firmware::SeaBios;
    QTest::newRow("ovmf") << Firmware::Ovmf;
}

void GoldenFirmwareTest::thisVersionIsWritten()
{
    QFETCH(Firmware, firmware);
    if (!tests::rewritesGolden())
        QSKIP("only where golden files are rewritten");
    offer(m_firmware.path(), false);
    GuestMachine guest("guests/end.elf");
    guest.config.name = "golden";
    guest.config.memoryMiB = 16;
    guest.config.kernel.reset();
    guest.config.firmware = firmware;
    if (firmware == Firmware::Ovmf)
        guest.config.firmwareVariables = guest.folder().toStdString() + "/nvram.fd";
    REQUIRE_OK(tests::startForAll(guest));
    QVERIFY2(guest.waitForWholeLine(wholeLine, 30s), qPrintable(guest.reason()));
    auto const moment = tests::must(guest.keepMoment("golden"));
    auto const header = tests::must(savedMachineAt(*guest.timeline(), moment)).header;
    guest.end();
    auto const name = tests::goldenName(header, QTest::currentDataTag());
    auto const target = tests::goldenFolder(kind) + "/" + name;
    QDir(target).removeRecursively();
    tests::copyTree(guest.folder() + "/timeline", target + "/timeline");
}

void GoldenFirmwareTest::itGoesOnFromThere_data()
{
    QTest::addColumn<QString>("version");
    for (auto const& version : tests::goldenOnes(kind))
        QTest::newRow(qPrintable(version)) << version;
}

void GoldenFirmwareTest::itGoesOnFromThere()
{
    QFETCH(QString, version);
    offer(m_firmware.path(), true);
    GuestMachine guest("guests/end.elf");
    tests::copyTree(tests::goldenFolder(kind) + "/" + version, guest.folder());
    auto const timeline = guest.timeline();
    QVERIFY(timeline->damages().empty());
    QVERIFY(tests::must(timeline->verify()).empty());
    QCOMPARE(timeline->moments().size(), 1u);
    auto const moment = timeline->moments().front();
    auto const saved = tests::must(savedMachineAt(*timeline, moment.id));
    if (auto const why = tests::whyNotHere(checkHost(saved.header.cpu), version); !why.isEmpty())
        QSKIP(qPrintable(why));
    auto const file = guest.folder().toStdString() + "/nvram.fd";
    bool const hasVariables = saved.config.firmware == Firmware::Ovmf;
    QCOMPARE(saved.config.firmwareVariables, hasVariables ? file : std::string());
    if (hasVariables)
        write(QString::fromStdString(file), QByteArray(64 * kib, 'x')); // of another time
    REQUIRE_OK(guest.goTo(moment.id));
    QVERIFY2(guest.waitForWholeLine(wholeLine, 30s), qPrintable(guest.reason() + guest.lines().join('\n')));
    if (hasVariables)
        QVERIFY(read(file) == variables);
    REQUIRE_OK(guest.keepMoment("now"));
}

REGISTER_SUITE(GoldenFirmwareTest);
#include "golden_firmware_test.moc"
