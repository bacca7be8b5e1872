#include "app/runner/unasked_thinning.h"
#include "tests/fakes/manual_loop.h"
#include "tests/support/suite.h"

using app::UnaskedThinning;

namespace {

struct Bench {
    void endOne() { std::exchange(ended, {})(); }

    tests::ManualLoop loop;
    int begun = 0;
    std::shared_ptr<std::atomic<bool> const> stop;
    std::function<void()> ended;
    UnaskedThinning thinning { [this]() -> vmm::EventLoop& { return loop; }, std::chrono::minutes(1),
        [this](auto itsStop, auto itsEnd) {
            ++begun;
            stop = std::move(itsStop);
            ended = std::move(itsEnd);
        } };
};

}

class UnaskedThinningTest final : public QObject {
    Q_OBJECT
private slots:
    void soonIsInAMinute()
    {
        Bench bench;
        bench.thinning.soon();
        QCOMPARE(bench.begun, 0);
        bench.loop.runTimers();
        QCOMPARE(bench.begun, 1);
    }

    void whatComesMeanwhileIsThinnedOutOnceAfterIt()
    {
        Bench bench;
        bench.thinning.now();
        bench.thinning.now();
        bench.thinning.now();
        QCOMPARE(bench.begun, 1);
        bench.endOne();
        QCOMPARE(bench.begun, 2);
        bench.endOne();
        QCOMPARE(bench.begun, 2);
    }

    void aMachineThatEndsStopsIt()
    {
        Bench bench;
        bench.thinning.now();
        bench.thinning.now();
        bench.thinning.soon();
        QVERIFY(!*bench.stop);
        bench.thinning.end();
        QVERIFY(*bench.stop);
        bench.endOne();
        bench.loop.runTimers();
        QCOMPARE(bench.begun, 1);
    }

    void theNextMachineWaitsUntilThatHasStopped()
    {
        Bench bench;
        bench.thinning.now();
        bench.thinning.end();
        bench.thinning.now();
        QCOMPARE(bench.begun, 1);
        bench.endOne();
        QCOMPARE(bench.begun, 2);
        QVERIFY(!*bench.stop);
    }
};

REGISTER_SUITE(UnaskedThinningTest);
#include "unasked_thinning_test.moc"
