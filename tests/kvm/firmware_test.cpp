#include "tests/support/guest_machine.h"
#include "tests/support/small_file_system.h"
#include "tests/support/suite.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <sys/stat.h>

using namespace vmm;
using tests::GuestMachine;

namespace {

constexpr int kib = 1024, largestFirmware = 8 * kib * kib;

/// The least that a display's BIOS begins with.
QByteArray displayBios(int size, char units)
{
    QByteArray bios(size, '\0');
    return bios.replace(0, 3, QByteArray("\x55\xaa").append(units));
}

bool write(QString const& path, QByteArray const& contents)
{
    QFile file(path);
    return QDir().mkpath(QFileInfo(path).path()) && file.open(QIODevice::WriteOnly | QIODevice::Truncate)
        && file.write(contents) == contents.size();
}

}

/// Firmware that the host offers, and what a machine keeps of its own for it, with wrong contents: each is refused with
/// a sentence before anything runs.
class FirmwareTest final : public QObject {
    Q_OBJECT

private slots:
    void init();
    void cleanup() { qunsetenv("CHRONOVISOR_FIRMWARE"); }
    void goodFilesAreTaken_data() { systems(); }
    void goodFilesAreTaken();
    void badFilesAreRefused_data();
    void badFilesAreRefused();
    void badVariablesAreRefused_data();
    void badVariablesAreRefused();
    void emptyVariablesAreNone();
    void aFirstStartOnAFullDiskLeavesNothing();
    void variablesThatCannotBeWrittenAreRefused();

private:
    static void systems();
    static Result<std::unique_ptr<Machine>> make(Firmware firmware, QString const& variables = {});
    QString file(char const* name) const { return m_folder->filePath(name); }

    std::unique_ptr<QTemporaryDir> m_folder;
};

void FirmwareTest::systems()
{
    QTest::addColumn<Firmware>("firmware");
    QTest::newRow("SeaBIOS") << Firmware::SeaBios;
    QTest::newRow("OVMF") << Firmware::Ovmf;
}

/// Firmware of zeros, all of a right size.
void FirmwareTest::init()
{
    m_folder = std::make_unique<QTemporaryDir>();
    qputenv("CHRONOVISOR_FIRMWARE", m_folder->path().toLocal8Bit());
    QVERIFY(write(file("seabios/bios-256k.bin"), QByteArray(256 * kib, '\0')));
    QVERIFY(write(file("seabios/vgabios-stdvga.bin"), displayBios(1536, 3)));
    QVERIFY(write(file("OVMF/OVMF_CODE_4M.fd"), QByteArray(512 * kib, '\0')));
    QVERIFY(write(file("OVMF/OVMF_VARS_4M.fd"), QByteArray(64 * kib, '\0')));
    auto const made = make(Firmware::None);
    if (!made && made.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + made.error().message()).c_str());
}

Result<std::unique_ptr<Machine>> FirmwareTest::make(Firmware firmware, QString const& variables)
{
    GuestMachine const guest("guests/end.elf");
    auto config = guest.config;
    config.memoryMiB = 16;
    config.firmware = firmware;
    config.firmwareVariables = variables.toStdString();
    if (firmware != Firmware::None)
        config.kernel.reset();
    return Machine::create(config, [](Event const&) {});
}

void FirmwareTest::goodFilesAreTaken()
{
    QFETCH(Firmware, firmware);
    REQUIRE_OK(make(firmware));
}

void FirmwareTest::badFilesAreRefused_data()
{
    QTest::addColumn<Firmware>("firmware");
    QTest::addColumn<QString>("name");
    QTest::addColumn<QByteArray>("contents");
    QTest::addColumn<QString>("reason");
    for (auto const& [system, firmware, name] : { std::tuple("SeaBIOS", Firmware::SeaBios, "seabios/bios-256k.bin"),
             std::tuple("OVMF", Firmware::Ovmf, "OVMF/OVMF_CODE_4M.fd") }) {
        auto const row = [&](char const* what) -> QTestData& {
            return QTest::newRow(qPrintable(QString("%1, %2").arg(system, what))) << firmware << QString(name);
        };
        row("empty") << QByteArray("") << "has 0 bytes";
        row("cut off") << QByteArray(63 * kib, '\0') << "a firmware has 64 KiB to 8 MiB of whole pages";
        row("cut off in a page") << QByteArray(200 * kib + 100, '\0')
                                 << "a firmware has 64 KiB to 8 MiB of whole pages";
        row("too large") << QByteArray(largestFirmware + 4096, '\0') << "up to 8388608 are possible";
        row("not there") << QByteArray() << "cannot open";
    }
    auto const bios = [](char const* what) -> QTestData& {
        return QTest::newRow(what) << Firmware::SeaBios << QString("seabios/vgabios-stdvga.bin");
    };
    bios("display, empty") << QByteArray("") << "has 0 bytes";
    bios("display, of two bytes") << QByteArray("\x55\xaa", 2) << "is not a whole display BIOS";
    bios("display, cut off") << displayBios(1024, 3) << "is not a whole display BIOS";
    bios("display, something else") << QByteArray(64 * kib, '\x90') << "is not a whole display BIOS";
    bios("display, too large") << displayBios(256 * kib + 1, 3) << "up to 262144 are possible";
    bios("display, not there") << QByteArray() << "cannot open";
    auto const variables = [](char const* what) -> QTestData& {
        return QTest::newRow(what) << Firmware::Ovmf << QString("OVMF/OVMF_VARS_4M.fd");
    };
    variables("first variables, no whole sectors") << QByteArray(6000, '\0') << "do not fill whole sectors";
    variables("first variables, not there") << QByteArray() << "cannot open";
}

void FirmwareTest::badFilesAreRefused()
{
    QFETCH(Firmware, firmware);
    QFETCH(QString, name);
    QFETCH(QByteArray, contents);
    QFETCH(QString, reason);
    auto const path = m_folder->filePath(name);
    QVERIFY(contents.isNull() ? QFile::remove(path) : write(path, contents));
    auto const made = make(firmware);
    QVERIFY(!made);
    auto const said = QString::fromStdString(made.error().message());
    QVERIFY2(said.contains(reason), qPrintable(said));
}

void FirmwareTest::badVariablesAreRefused_data()
{
    QTest::addColumn<int>("size");
    QTest::addColumn<QString>("reason");
    QTest::newRow("no whole sectors") << 4097 << "has 4097 bytes, where the firmware wants 65536. Delete it";
    QTest::newRow("a piece of whole sectors") << 8 * kib << "has 8192 bytes, where the firmware wants 65536. Delete it";
    QTest::newRow("larger than the room below the code") << largestFirmware << "has 8388608 bytes";
    QTest::newRow("a pipe") << -1 << "is not a file";
    QTest::newRow("a directory") << -2 << "is not a file";
}

void FirmwareTest::badVariablesAreRefused()
{
    QFETCH(int, size);
    QFETCH(QString, reason);
    auto const path = file("own.fd");
    if (size == -1)
        QCOMPARE(::mkfifo(path.toLocal8Bit(), 0600), 0);
    else if (size == -2)
        QVERIFY(QDir().mkpath(path));
    else
        QVERIFY(write(path, QByteArray(size, '\0')));
    auto const made = make(Firmware::Ovmf, path);
    QVERIFY(!made);
    auto const said = QString::fromStdString(made.error().message());
    QVERIFY2(said.contains("the firmware's variables") && said.contains(reason), qPrintable(said));
}

void FirmwareTest::emptyVariablesAreNone()
{
    QVERIFY(write(file("OVMF/OVMF_VARS_4M.fd"), QByteArray(64 * kib, 'v')));
    QVERIFY(write(file("own.fd"), {}));
    auto const made = make(Firmware::Ovmf, file("own.fd"));
    REQUIRE_OK(made);
    REQUIRE_OK((*made)->call(command::Start {}));
    QFile own(file("own.fd"));
    QVERIFY(own.open(QIODevice::ReadOnly));
    QVERIFY(own.readAll() == QByteArray(64 * kib, 'v'));
}

/// A piece of the variables would be in the way of all later starts.
void FirmwareTest::aFirstStartOnAFullDiskLeavesNothing()
{
    tests::SmallFileSystem const small(file("mounted"), "size=32k");
    if (!small.whyNot().isEmpty())
        QSKIP(qPrintable(small.whyNot()));
    auto const made = make(Firmware::Ovmf, file("mounted/own.fd"));
    REQUIRE_OK(made);
    auto const started = (*made)->call(command::Start {});
    QVERIFY(!started);
    QCOMPARE(started.error().code, ErrorCode::NoSpace);
    QVERIFY(QDir(file("mounted")).isEmpty());
}

/// On a file system that nobody may write to, for root may write to any file.
void FirmwareTest::variablesThatCannotBeWrittenAreRefused()
{
    tests::SmallFileSystem small(file("mounted"), "size=1m");
    if (!small.whyNot().isEmpty())
        QSKIP(qPrintable(small.whyNot()));
    QVERIFY(write(file("mounted/own.fd"), QByteArray(64 * kib, '\0')));
    QVERIFY(small.makeReadOnly());
    auto const made = make(Firmware::Ovmf, file("mounted/own.fd"));
    REQUIRE_OK(made);
    auto const started = (*made)->call(command::Start {});
    QVERIFY(!started);
    QVERIFY2(started.error().message().find("Read-only file system") != std::string::npos,
        started.error().message().c_str());
    QVERIFY((*made)->state() == RunState::Off || (*made)->state() == RunState::Crashed);
}

REGISTER_SUITE(FirmwareTest);
#include "firmware_test.moc"
