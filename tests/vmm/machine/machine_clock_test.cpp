#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "vmm/machine/machine_clock.h"

#include <future>

using namespace std::chrono_literals;
using namespace vmm;

namespace {

struct Setup {
    std::unique_ptr<LoopThread> thread = tests::must(LoopThread::start("clock"));
    MachineClock clock { thread->loop() };
    std::mutex mutex;

    void call(std::function<void()> const& task) { thread->loop().call(task); }
    ~Setup()
    {
        call([this] { clock.stop(); });
    }
};

}

/// The time of a machine's devices: it passes while the machine runs.
class MachineClockTest final : public QObject {
    Q_OBJECT
private slots:
    void itBeginsAtNothingAndStands()
    {
        Setup s;
        QCOMPARE(s.clock.now(), Nanoseconds(0));
        s.call([&] { s.clock.set(5s); });
        QCOMPARE(s.clock.now(), Nanoseconds(5s));
        QCOMPARE(s.clock.now(), Nanoseconds(5s));
    }

    void itGoesOnFromWhereItWasSet()
    {
        Setup s;
        Nanoseconds hostBefore {}, begun {}, later {}, hostAfter {};
        s.call([&] {
            s.clock.set(5s);
            hostBefore = EventLoop::now();
            s.clock.start();
            begun = s.clock.now();
            later = s.clock.now();
            hostAfter = EventLoop::now();
        });
        QVERIFY(begun >= 5s && later >= begun);
        QVERIFY(later - Nanoseconds(5s) <= hostAfter - hostBefore); // not a nanosecond more than passed out here
    }

    void whatPassesWhileItStandsIsNotCounted()
    {
        Setup s;
        s.call([&] {
            s.clock.start();
            s.clock.stop();
            auto const stopped = s.clock.now();
            for (auto const end = EventLoop::now() + 2ms; EventLoop::now() < end;) { }
            QCOMPARE(s.clock.now(), stopped);
            auto const host = EventLoop::now();
            s.clock.start();
            auto const passed = s.clock.now() - stopped;
            QVERIFY(passed >= 0ns && passed <= EventLoop::now() - host);
        });
    }

    void whatPassesIsCountedWhereItCatchesUp()
    {
        Setup s;
        s.call([&] {
            s.clock.start();
            s.clock.stop();
            auto const stopped = s.clock.now();
            auto const host = EventLoop::now();
            for (auto const end = host + 2ms; EventLoop::now() < end;) { }
            s.clock.catchUp();
            QVERIFY(s.clock.now() - stopped >= 2ms);
            QCOMPARE(s.clock.now(), s.clock.now()); // it stands
            s.clock.start();
            s.clock.catchUp(); // which changes nothing
            QVERIFY(s.clock.now() - stopped >= 2ms);
        });
    }

    void itIsSetOnlyWhileItStands()
    {
        Setup s;
        s.call([&] {
            s.clock.start();
            s.clock.set(1000h);
            QVERIFY(s.clock.now() < 1000h);
            s.clock.start(); // again, which changes nothing
            QVERIFY(s.clock.now() < 1000h);
        });
    }

    void timersWaitUntilItRuns()
    {
        Setup s;
        std::vector<int> came;
        std::promise<void> all;
        auto const second = s.clock.makeTimer(s.mutex, [&] {
            came.push_back(2);
            all.set_value();
        });
        auto const first = s.clock.makeTimer(s.mutex, [&] { came.push_back(1); });
        auto const cancelled = s.clock.makeTimer(s.mutex, [&] { came.push_back(3); });
        second->arm(2ns);
        first->arm(1ns);
        cancelled->arm(0ns);
        cancelled->cancel();
        for (int i = 0; i < 3; ++i)
            s.call([] {});
        QVERIFY(came.empty());
        s.call([&] { s.clock.start(); });
        QVERIFY(tests::comes(all.get_future()));
        QCOMPARE(came, std::vector<int>({ 1, 2 }));
    }

    void whatIsArmedInThePastWaitsForTheNextRound()
    {
        Setup s;
        int came = 0, seen = 0;
        std::unique_ptr<Timer> timer;
        timer = s.clock.makeTimer(s.mutex, [&] {
            if (++came < 1000)
                timer->arm(0ns);
        });
        timer->arm(0ns);
        s.call([&] {
            s.clock.start();
            s.thread->loop().post([&] { seen = came; });
        });
        s.call([&] { s.clock.stop(); });
        QCOMPARE(seen, 1);
    }

    /// A machine that comes back finds its timers due where they were, whatever the host's clock says by then.
    void aDeadlineIsOneOfTheGuestsTime()
    {
        Setup s;
        std::promise<Nanoseconds> due;
        auto came = due.get_future();
        auto const timer = s.clock.makeTimer(s.mutex, [&] { due.set_value(s.clock.now()); });
        timer->arm(100h + 1us);
        s.call([&] { s.clock.start(); });
        s.call([&] {
            s.clock.stop();
            s.clock.set(100h);
            s.clock.start();
        });
        QVERIFY(tests::comes(came));
        QVERIFY(came.get() >= 100h + 1us);
    }
};

REGISTER_SUITE(MachineClockTest);
#include "machine_clock_test.moc"
