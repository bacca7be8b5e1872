#include "tests/support/altered_moment.h"
#include "tests/support/answer.h"
#include "tests/support/library_guest.h"
#include "tests/support/suite.h"

#include <QCryptographicHash>
#include <QFile>
#include <QTemporaryDir>

using namespace app;
using Guest = tests::LibraryGuest;
using Present = MachineRunner::Present;

/// A real machine that is asked to go to a moment which it cannot have been at: our demo guest, which counts in its
/// memory and on its disk each second and says when the two differ.
class MomentRefusalTest final : public QObject {
    Q_OBJECT

private slots:
    void whatAMomentCannotBeIsRefused_data();
    void whatAMomentCannotBeIsRefused();

private:
    QTemporaryDir m_directory;
    MachineStore m_store { m_directory.path().toStdString() };
};

namespace {

using Alter = std::function<void(vmm::Json&)>;

QByteArray hashOf(std::string const& path)
{
    QFile file(QString::fromStdString(path));
    QCryptographicHash hash(QCryptographicHash::Sha256);
    if (!file.open(QIODevice::ReadOnly) || !hash.addData(&file))
        qFatal("%s cannot be read", path.c_str());
    return hash.result();
}

}

void MomentRefusalTest::whatAMomentCannotBeIsRefused_data()
{
    QTest::addColumn<Alter>("alter");
    QTest::addColumn<QString>("named");
    QTest::addColumn<bool>("atOnce");
    QTest::newRow("an unknown field") << Alter([](auto& state) { tests::partOf(state, "disk0")["state"]["mood"] = 1; })
                                      << "mood" << true;
    QTest::newRow("an unknown device") << Alter([](auto& state) { tests::partOf(state, "disk0")["kind"] = "flux"; })
                                       << "flux" << true;
    // Which only the machine that is made can say.
    QTest::newRow("another disk") << Alter([](auto& state) {
        tests::partOf(state, "disk0")["state"]["sectors"] = { { "u64", "4096" } };
    }) << "2048" << false;
    QTest::newRow("a register") << Alter([](auto& state) {
        tests::partOf(state, "vcpu0")["state"]["cr4"] = { { "u64", "9223372036854775808" } };
    }) << "vcpu0" << false;
}

void MomentRefusalTest::whatAMomentCannotBeIsRefused()
{
    QFETCH(Alter, alter);
    QFETCH(QString, named);
    QFETCH(bool, atOnce);
    auto const machine = tests::must(m_store.create(tests::demoMachine(QTest::currentDataTag())));
    Guest guest(m_store, machine);
    if (auto const started = guest.start(); !started && started.error().code == vmm::ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    QVERIFY2(guest.wait("Chronovisor demo machine").hasMatch(), qPrintable(guest.said()));
    auto const good = tests::must(guest.keep());
    std::string bad;
    REQUIRE_OK(tests::answerOf([&](auto done) {
        guest.runner.changeTimeline(
            [&](vmm::timeline::Timeline& timeline) {
                bad = tests::alteredMoment(timeline, good, alter);
                return vmm::Result<>();
            },
            done);
    }));
    auto const& disk = machine.config.disks[0].path;
    auto const go = [&](std::string const& moment, Present present) {
        return tests::answerOf([&](auto done) { guest.runner.goTo(moment, present, done); });
    };
    auto const isRefused = [&](Present present) {
        auto const gone = go(bad, present);
        QVERIFY(!gone);
        QVERIFY2(gone.error().message().find(named.toStdString()) != std::string::npos, gone.error().message().c_str());
    };

    // What it was when it was asked to go, it still is: the same instant, or the one at which that was kept.
    QVERIFY(guest.ask("mem fill 24", "24 MiB filled").hasMatch());
    isRefused(Present::Keep);
    QCOMPARE(guest.runner.state(), SessionState::Running);
    QVERIFY2(guest.ask("mem check", "24 MiB read, 0 of").hasMatch(), qPrintable(guest.said()));
    QVERIFY2(guest.ask("count", "Memory and disk agree. Boot 1,").hasMatch(), qPrintable(guest.said()));
    auto const moments = tests::must(guest.runner.timeline())->moments();
    QCOMPARE(moments.size(), std::size_t(atOnce ? 2 : 3));
    if (atOnce) {
        isRefused(Present::Lose);
        QVERIFY2(guest.ask("mem check", "24 MiB read, 0 of").hasMatch(), qPrintable(guest.said()));
    }

    // Suspended: the state is as good as it was, and no byte of the disk has moved.
    REQUIRE_OK(tests::answerOf([&](auto done) { guest.runner.suspend(done); }));
    guest.runner.drain();
    auto const before = hashOf(disk);
    isRefused(Present::Lose);
    guest.runner.drain();
    QCOMPARE(guest.runner.state(), SessionState::Suspended);
    QVERIFY(hashOf(disk) == before);
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.ask("mem check", "24 MiB read, 0 of").hasMatch(), qPrintable(guest.said()));
    QVERIFY2(guest.ask("count", "Memory and disk agree. Boot 1,").hasMatch(), qPrintable(guest.said()));
    REQUIRE_OK(go(good, Present::Lose));
    QVERIFY2(guest.ask("count", "Memory and disk agree. Boot 1,").hasMatch(), qPrintable(guest.said()));
    REQUIRE_OK(guest.end());
}

REGISTER_SUITE(MomentRefusalTest);
#include "moment_refusal_test.moc"
