#include "tests/support/guest_clock.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"

#include <QDir>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

/// The clocks of a guest whose machine goes to a moment. It looks at them all the time, and knows at each moment what
/// it saw last before.
class MomentClockTest final : public QObject {
    Q_OBJECT

private slots:
    void timeGoesOnFromEachMoment();
    void nothingOfItIsLostToMoments();

private:
    /// A timeline that has this moment only, with its memory, as if it had been kept so long ago, takes the place of
    /// the guest's. The moment's id there.
    static std::string keptLongAgo(GuestMachine& guest, std::string const& moment, std::chrono::nanoseconds age);
};

std::string MomentClockTest::keptLongAgo(GuestMachine& guest, std::string const& moment, std::chrono::nanoseconds age)
{
    auto const id = makeUuid();
    auto state = tests::must(state::parseJson(tests::must(guest.timeline()->state(moment)), timeline::maximumState));
    tests::GuestClock::setBack(state, age);
    auto const place = guest.folder() + "/long-ago";
    auto const folder = tests::must(timeline::openFolder(place.toStdString()));
    tests::must(guest.timeline()->fork(moment, id, state::toText(state, 1) + "\n", *folder));
    guest.end();
    guest.closeTimeline();
    QDir const all(guest.folder());
    if (!QDir(all.filePath("timeline")).removeRecursively() || !QDir().rename(place, all.filePath("timeline")))
        qFatal("the timeline cannot be replaced");
    return id;
}

/// Back and forth, at once and after an hour: the time of day is the host's each time that the guest looks, the hour
/// has passed as a whole when it looks for the first time, and of what it saw before the moment nothing comes again.
void MomentClockTest::timeGoesOnFromEachMoment()
{
    GuestMachine guest("guests/kvmclock.elf");
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    tests::GuestClock clock(guest);
    auto const lines = [&] { return guest.reason() + guest.lines().join('\n'); };
    QVERIFY2(clock.isReady(), qPrintable(lines()));
    QVERIFY2(clock.isAheadBy(0s), qPrintable(lines()));
    auto const first = tests::must(guest.keepMoment("first"));
    QVERIFY2(clock.isAheadBy(0s), qPrintable(lines()));
    auto const second = tests::must(guest.keepMoment("second"));
    for (auto const& moment : { first, second, first }) {
        REQUIRE_OK(guest.goTo(moment));
        QVERIFY2(clock.isAheadBy(0s), qPrintable(lines()));
    }
    QCOMPARE(clock.leaps(), 0u);

    auto const longAgo = keptLongAgo(guest, second, 1h);
    for (unsigned visit = 1; visit <= 2; ++visit) {
        REQUIRE_OK(guest.goTo(longAgo));
        QVERIFY2(clock.isAheadBy(1h), qPrintable(lines()));
        QCOMPARE(clock.leaps(), visit);
    }
    // What is kept after that has no hour to catch up with.
    auto const now = tests::must(guest.keepMoment("now"));
    REQUIRE_OK(guest.goTo(now));
    QVERIFY2(clock.isAheadBy(1h), qPrintable(lines()));
    QVERIFY2(clock.neverWentBack(), qPrintable(lines()));
    QCOMPARE(clock.leaps(), 2u);
}

/// For as long as the processors stand still for the instants, in which the clock goes on.
void MomentClockTest::nothingOfItIsLostToMoments()
{
    GuestMachine guest("guests/kvmclock.elf");
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    tests::GuestClock clock(guest);
    QVERIFY2(clock.isReady(), qPrintable(guest.reason()));
    auto const before = clock.lead();
    std::chrono::duration<double, std::milli> stoodStill {};
    while (stoodStill < 100ms) {
        REQUIRE_OK(guest.keepMoment("one"));
        stoodStill += std::chrono::duration<double, std::milli>(guest.stoodStill().back());
    }
    auto const after = clock.lead();
    QVERIFY(before && after);
    QVERIFY2(before->least - after->most < stoodStill / 2,
        qPrintable(QString("from %1 to %2 ns").arg(before->least.count()).arg(after->most.count())));
    QVERIFY2(clock.neverWentBack(), qPrintable(guest.reason()));
}

REGISTER_SUITE(MomentClockTest);
#include "moment_clock_test.moc"
