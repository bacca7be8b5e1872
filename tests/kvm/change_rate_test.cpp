#include "tests/support/guest_machine.h"
#include "tests/support/suite.h"

#include <algorithm>

using namespace std::chrono_literals;
using namespace vmm;
using tests::GuestMachine;

namespace {

constexpr double page = 4096, mib = 1 << 20;
/// Of what is measured by a sample: one page of each quarter of a mebibyte may be taken for its neighbours, at both
/// ends of what was written and where it begins anew, and the guest's own stack and tables change, too.
constexpr double error = 2 * mib;

/// The machine of tests/bench/dirty.c, which writes pages one after the other and counts them.
struct Writer : GuestMachine {
    using GuestMachine::GuestMachine;

    /// How many pages it had written at the last line that has come until now.
    std::uint64_t countBefore()
    {
        waitForWholeLine({}, 0s);
        return lines().isEmpty() ? 0 : lines().last().toULongLong();
    }
    /// How many at a line that it begins only now. The next one may be on its way.
    std::uint64_t countAfter()
    {
        countBefore();
        for (int line = 0; line < 2; ++line) {
            clearLines();
            if (!waitForWholeLine({}, 60s))
                qFatal("the guest is silent: %s", qPrintable(reason()));
        }
        return lines().last().toULongLong();
    }

    /// The guest writes on meanwhile: what it has written when its memory is looked at lies between two counts, and
    /// the time of the look between two others.
    struct Look {
        std::uint64_t least, most;
        std::chrono::steady_clock::time_point began, ended;
        std::optional<double> rate;
    };
    Look look()
    {
        Look look {};
        look.least = countBefore();
        look.began = std::chrono::steady_clock::now();
        look.rate = machine().memoryChangeRate();
        look.ended = std::chrono::steady_clock::now();
        look.most = countAfter();
        return look;
    }
};

}

/// What is said of how fast a guest changes its memory, beside what the guest itself says.
class ChangeRateTest final : public QObject {
    Q_OBJECT

private slots:
    void whatIsMeasuredIsWhatTheGuestCounts_data();
    void whatIsMeasuredIsWhatTheGuestCounts();
};

void ChangeRateTest::whatIsMeasuredIsWhatTheGuestCounts_data()
{
    QTest::addColumn<std::string>("options");
    QTest::addColumn<double>("area"); // of its memory, in bytes
    QTest::newRow("each page once") << std::string("rate=200 area=192") << 192 * mib;
    QTest::newRow("the same pages again and again") << std::string("rate=200 area=16") << 16 * mib;
    QTest::newRow("it only computes") << std::string("rate=0 area=0") << 0.0;
}

/// A page counts once between two looks, however often it is written to.
void ChangeRateTest::whatIsMeasuredIsWhatTheGuestCounts()
{
    QFETCH(std::string, options);
    QFETCH(double, area);
    Writer guest("guests/bench/dirty.elf", "fill=0 " + options);
    if (auto const started = guest.start(); !started && started.error().code == ErrorCode::NoKvm)
        QSKIP(("CHRONOVISOR-SKIP: " + started.error().message()).c_str());
    QVERIFY2(guest.waitForWholeLine("READY", 60s), qPrintable(guest.reason() + guest.lines().join('\n')));
    guest.countAfter(); // only numbers from now on
    auto before = guest.look();
    QVERIFY(!before.rate); // there is nothing to compare with
    for (int time = 0; time < 3; ++time) {
        constexpr std::uint64_t enough = 32'768; // pages, of 128 MiB
        while (guest.countAfter() < before.most + enough) { }
        auto const now = guest.look();
        QVERIFY(now.rate);
        auto const seconds = [](auto duration) { return std::chrono::duration<double>(duration).count(); };
        auto const atLeast = *now.rate * seconds(now.began - before.ended);
        auto const atMost = *now.rate * seconds(now.ended - before.began);
        auto const least = std::min(area, static_cast<double>(now.least - before.most) * page);
        auto const most = std::min(area, static_cast<double>(now.most - before.least) * page);
        auto const told = QStringLiteral("measured %1 to %2 MiB, counted %3 to %4")
                              .arg(atLeast / mib)
                              .arg(atMost / mib)
                              .arg(least / mib)
                              .arg(most / mib);
        qInfo("%s", qPrintable(told));
        QVERIFY2(atMost >= least - error && atLeast <= most + error, qPrintable(told));
        before = now;
    }
    // Nobody else writes into the memory of a machine that stands still.
    REQUIRE_OK(guest.machine().call(command::Pause {}));
    guest.machine().memoryChangeRate();
    QCOMPARE(guest.machine().memoryChangeRate(), std::optional(0.0));
}

REGISTER_SUITE(ChangeRateTest);
#include "change_rate_test.moc"
