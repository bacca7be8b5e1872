#include "app/store/cpu_file.h"
#include "app/store/moment_bundles.h"
#include "tests/support/answer.h"
#include "tests/support/guest_machine.h"
#include "tests/support/library_guest.h"
#include "tests/support/suite.h"
#include "vmm/machine/host_check.h"
#include "vmm/machine/moment_export.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <map>

using namespace app;
using namespace std::chrono_literals;
using Guest = tests::LibraryGuest;

/// Moments of real machines that go on as machines elsewhere: from a bundle, from a directory, as a fork. Our demo
/// guest counts in its memory and on its disk each second, and says when the two differ.
class MomentTravelTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void aBundleGoesOnInAnotherLibrary();
    void anExportedMomentGoesOn();
    void theFirmwaresVariablesTravelToo();

private:
    QTemporaryDir m_directory, m_elsewhere;
    MachineStore m_store { m_directory.path().toStdString() }, m_other { m_elsewhere.path().toStdString() };
};

namespace {

vmm::Result<StoredMachine> carry(
    Guest& guest, MachineStore const& from, std::string const& moment, MachineStore& to, QString const& file)
{
    auto const timeline = TRY(guest.runner.timeline());
    TRY(exportBundleFile(from, timeline, moment, file.toStdString()));
    QFile bundle(file);
    if (!bundle.open(QIODevice::ReadOnly))
        return vmm::fail(vmm::ErrorCode::NotFound, "there is no bundle");
    return importBundle(to, bundle.handle(), {}, &vmm::checkHost);
}

}

void MomentTravelTest::initTestCase()
{
    tests::GuestMachine guest("share/chronovisor/demo.elf");
    if (auto const started = guest.start(); !started && started.error().code == vmm::ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void MomentTravelTest::aBundleGoesOnInAnotherLibrary()
{
    auto const machine = tests::must(m_store.create(tests::demoMachine("traveller")));
    Guest guest(m_store, machine);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.wait("Chronovisor demo machine").hasMatch(), qPrintable(guest.said()));
    QVERIFY(guest.ask("mem fill 16", "16 MiB filled").hasMatch());
    QVERIFY(guest.ask("count", "Memory and disk agree. Boot 1,").hasMatch());
    auto const moment = tests::must(guest.keep());
    QVERIFY(guest.ask("mem fill 40", "40 MiB filled").hasMatch()); // it goes on

    auto const there = tests::must(carry(guest, m_store, moment, m_other, m_directory.filePath("one.bundle")));
    QVERIFY2(guest.ask("mem check", "40 MiB read, 0 of").hasMatch(), qPrintable(guest.said()));
    REQUIRE_OK(guest.end());
    auto const cpu = tests::must(readCpuFile(m_store.placesOf(machine.id).cpuFile));
    REQUIRE_OK(m_store.remove(machine.id)); // nothing of it is needed there
    REQUIRE_OK(m_store.emptyTrash());

    Guest other(m_other, there);
    QCOMPARE(other.runner.state(), SessionState::Suspended);
    REQUIRE_OK(other.start());
    QVERIFY(cpu && tests::must(readCpuFile(m_other.placesOf(there.id).cpuFile)) == cpu);
    QVERIFY2(other.ask("mem check", "16 MiB read, 0 of").hasMatch(), qPrintable(other.said()));
    QVERIFY2(other.ask("count", "Memory and disk agree. Boot 1,").hasMatch(), qPrintable(other.said()));
    REQUIRE_OK(other.end());
}

/// The two files, and the disks beside them.
void MomentTravelTest::anExportedMomentGoesOn()
{
    tests::GuestMachine guest("share/chronovisor/demo.elf"), other("share/chronovisor/demo.elf");
    guest.addQcow2Disk(vmm::DiskBus::Virtio);
    guest.addDisk(vmm::DiskBus::Ahci);
    REQUIRE_OK(guest.start());
    QVERIFY(guest.waitForLine("Chronovisor demo machine", 20s));
    QVERIFY(guest.ask("mem fill 16", "16 MiB filled"));
    auto const moment = tests::must(guest.keepMoment("sixteen"));
    QVERIFY(guest.ask("mem fill 24", "24 MiB filled"));
    REQUIRE_OK(exportMoment(guest.timeline(), moment, other.folder().toStdString() + "/suspended",
        vmm::ExportFiles::All, [](double) { return true; }));
    QVERIFY(guest.ask("mem check", "24 MiB read, 0 of"));
    guest.end();
    QVERIFY(QDir(guest.folder()).removeRecursively());

    REQUIRE_OK(other.restore());
    QVERIFY2(other.ask("mem check", "16 MiB read, 0 of"), qPrintable(other.lines().join('\n')));
    QVERIFY2(other.ask("count", "Memory and disk agree. Boot 1,"), qPrintable(other.lines().join('\n')));
}

namespace {

constexpr qint64 markSize = 16;

/// At the end of the chip, where the firmware keeps nothing for as long as it has only just begun.
void mark(std::string const& path, char what)
{
    QFile file(QString::fromStdString(path));
    if (!file.open(QIODevice::ReadWrite) || !file.seek(file.size() - markSize)
        || file.write(QByteArray(markSize, what)) != markSize)
        qFatal("%s cannot be marked", path.c_str());
}

QByteArray markOf(std::string const& path)
{
    QFile file(QString::fromStdString(path));
    return file.open(QIODevice::ReadOnly) && file.seek(file.size() - markSize) ? file.readAll() : QByteArray();
}

}

void MomentTravelTest::theFirmwaresVariablesTravelToo()
{
    app::MachineRequest request;
    request.config.name = "firmware";
    request.config.memoryMiB = 128;
    request.config.firmware = vmm::Firmware::Ovmf;
    request.config.serials = { { "serial0", false } };
    auto const machine = tests::must(m_store.create(request));
    auto const& variables = machine.config.firmwareVariables;
    Guest guest(m_store, machine);
    auto const startAndStandStill = [&] {
        REQUIRE_OK(guest.start()); // the first time it makes them
        REQUIRE_OK(tests::answerOf([&](auto done) { guest.runner.pause(done); }));
    };
    std::map<char, std::string> moments;
    startAndStandStill();
    for (auto const what : { 'a', 'b' }) {
        REQUIRE_OK(guest.end());
        mark(variables, what);
        startAndStandStill();
        moments[what] = tests::must(guest.keep());
    }
    for (auto const what : { 'a', 'b', 'a' }) {
        REQUIRE_OK(
            tests::answerOf([&](auto done) { guest.runner.goTo(moments[what], MachineRunner::Present::Lose, done); }));
        QCOMPARE(markOf(variables), QByteArray(markSize, what));
    }

    auto const fork = tests::must(m_store.fork(machine.id, moments['b'], "fork"));
    auto const there = tests::must(carry(guest, m_store, moments['b'], m_other, m_directory.filePath("two.bundle")));
    for (auto const& [store, made] : { std::pair(&m_store, &fork), std::pair(&m_other, &there) }) {
        Guest other(*store, *made);
        QVERIFY(made->config.firmwareVariables != variables);
        REQUIRE_OK(tests::answerOf([&](auto done) { other.runner.startPaused(done); }));
        QCOMPARE(markOf(made->config.firmwareVariables), QByteArray(markSize, 'b'));
        REQUIRE_OK(other.end());
    }
    QCOMPARE(markOf(variables), QByteArray(markSize, 'a'));
    REQUIRE_OK(guest.end());
}

REGISTER_SUITE(MomentTravelTest);
#include "moment_travel_test.moc"
