#include "tests/support/answer.h"
#include "tests/support/library_guest.h"
#include "tests/support/patience.h"
#include "tests/support/suite.h"

#include <QTemporaryDir>

using namespace std::chrono_literals;
using namespace app;
using vmm::timeline::Policy;
using vmm::timeline::Reason;

/// A machine that keeps moments by itself, with minutes that a test can wait for.
class AutomaticMomentTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase();
    void aBusyMachineKeepsItselfAndThinsOut();
    void whatWasKeptOnCloseCanBeGoneBackTo();

private:
    StoredMachine make(char const* name, vmm::MomentPlace moments = vmm::MomentPlace::Automatic)
    {
        auto request = tests::demoMachine(name);
        request.config.disks[0].moments = moments;
        return tests::must(m_store.create(request));
    }

    QTemporaryDir m_directory;
    MachineStore m_store { m_directory.path().toStdString() };
};

namespace {

constexpr char const* agree = "Memory and disk agree. Boot (\\d+),";

}

void AutomaticMomentTest::initTestCase()
{
    tests::LibraryGuest guest(m_store, make("probe"));
    if (auto const started = guest.start(); !started && started.error().code == vmm::ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
}

void AutomaticMomentTest::aBusyMachineKeepsItselfAndThinsOut()
{
    // A file that the disk itself stands on would stay, where one was cancelled; what is inside goes at once.
    tests::LibraryGuest guest(m_store, make("busy", vmm::MomentPlace::Inside), 200ms);
    Policy policy;
    policy.everyMinutes = 1;
    policy.tiers.clear(); // of its own only the present stays
    REQUIRE_OK(tests::answerOf([&](auto done) { guest.runner.setPolicy(policy, done); }));
    std::atomic<unsigned> kept { 0 };
    auto const observer = guest.runner.addObserver(
        [&](Notice const& notice) { kept += std::holds_alternative<notice::MomentKept>(notice) ? 1 : 0; });
    REQUIRE_OK(guest.start());
    QVERIFY2(guest.wait("Chronovisor demo machine").hasMatch(), qPrintable(guest.said()));
    for (unsigned turn = 0; turn < 1000 && kept < 5; ++turn)
        QVERIFY2(guest.ask("mem fill 16", "16 MiB filled").hasMatch(), qPrintable(guest.said()));
    QVERIFY2(kept >= 5, qPrintable(QString::number(kept)));
    QTRY_VERIFY(tests::must(guest.runner.timeline())->moments().size() < kept);

    // From here on as it is.
    policy.automatic = false;
    REQUIRE_OK(tests::answerOf([&](auto done) { guest.runner.setPolicy(policy, done); }));
    auto const cancels
        = [&] { return tests::answerOf([&](auto done) { guest.runner.cancelKeeping(done); }).has_value(); };
    QTRY_VERIFY(!cancels());
    REQUIRE_OK(tests::answerOf<vmm::timeline::Pruned>([&](auto done) { guest.runner.prune(policy, done); }));
    auto const moments = tests::must(guest.runner.timeline())->moments();
    QCOMPARE(moments.size(), std::size_t(1));
    QCOMPARE(moments.back().reason, Reason::Automatic);
    QCOMPARE(moments.back().disks.size(), std::size_t(1));
    // The disk has let go of the others.
    QTRY_VERIFY_WITH_TIMEOUT(tests::must(guest.runner.timeline())->loose().empty(), 20'000 * tests::patience());
    QVERIFY(guest.ask("mem check", "16 MiB read, 0 of").hasMatch());
    QVERIFY2(guest.ask("count", agree).hasMatch(), qPrintable(guest.said()));
    auto const damaged = tests::must(tests::must(guest.runner.timeline())->verify());
    QVERIFY2(damaged.empty(), damaged.empty() ? "" : damaged.front().error.message().c_str());

    // And it can go back there.
    auto const id = moments.back().id;
    REQUIRE_OK(tests::answerOf([&](auto done) { guest.runner.goTo(id, MachineRunner::Present::Lose, done); }));
    QVERIFY2(guest.ask("count", agree).hasMatch(), qPrintable(guest.said()));
    guest.runner.removeObserver(observer);
    REQUIRE_OK(guest.end());
}

void AutomaticMomentTest::whatWasKeptOnCloseCanBeGoneBackTo()
{
    auto const machine = make("closed");
    {
        tests::LibraryGuest guest(m_store, machine);
        REQUIRE_OK(guest.start());
        QVERIFY(guest.wait("Chronovisor demo machine").hasMatch());
        QVERIFY(guest.ask("mem fill 24", "24 MiB filled").hasMatch());
        REQUIRE_OK(tests::answerOf([&](auto done) { guest.runner.keepUnasked(Reason::OnClose, done); }));
        REQUIRE_OK(tests::answerOf([&](auto done) { guest.runner.suspend(done); }));
    }
    tests::LibraryGuest guest(m_store, machine);
    auto const moments = tests::must(guest.runner.timeline())->moments();
    QCOMPARE(moments.size(), std::size_t(1));
    QCOMPARE(moments.front().reason, Reason::OnClose);
    REQUIRE_OK(guest.start()); // its saved state fits its disks still
    QVERIFY(guest.ask("mem check", "24 MiB read, 0 of").hasMatch());
    QVERIFY(guest.ask("mem fill 8", "8 MiB filled").hasMatch());
    REQUIRE_OK(
        tests::answerOf([&](auto done) { guest.runner.goTo(moments.front().id, MachineRunner::Present::Lose, done); }));
    QVERIFY(guest.ask("mem check", "24 MiB read, 0 of").hasMatch());
    QVERIFY2(guest.ask("count", agree).hasMatch(), qPrintable(guest.said()));
    REQUIRE_OK(guest.end());
}

REGISTER_SUITE(AutomaticMomentTest);
#include "automatic_moment_test.moc"
