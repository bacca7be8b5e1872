#include "app/runner/machine_runner.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"

#include <QElapsedTimer>
#include <QTemporaryDir>
#include <future>

using namespace app;
using tests::FakeMachine;

/// Whoever lets go of a runner waits until all of it has ended.
class RunnerEndTest final : public QObject {
    Q_OBJECT
private slots:
    void whatIsAskedForJustBeforeIsCancelledToo()
    {
        QTemporaryDir const directory;
        auto const path = [&](char const* name) { return directory.filePath(name).toStdString(); };
        auto runner = std::make_unique<MachineRunner>(tests::exampleConfig(),
            MachinePlaces { path("state"), path("machine.lock"), path("timeline") },
            FakeMachine::factory(std::make_shared<FakeMachine::Script>()));
        auto observed = std::make_shared<int>();
        std::weak_ptr const observer(observed);
        runner->addObserver([observed = std::move(observed)](Notice const&) {});
        // The runner's thread comes to the work when the end of the runner has begun: it has no observers any more.
        std::promise<void> ends;
        runner->measure([ended = ends.get_future().share()](vmm::MachineStatistics const&) { ended.wait(); });
        std::atomic<bool> ranOut = false;
        auto const untilCancelled = [&](MachineRunner::JobProgress const& progress) -> vmm::Result<> {
            QElapsedTimer time;
            time.start();
            while (progress(0) && !ranOut)
                ranOut = time.hasExpired(tests::waitLimit);
            return {};
        };
        runner->work("long", untilCancelled);
        auto const ending = std::async(std::launch::async, [&] { runner.reset(); });
        QTRY_VERIFY(observer.expired());
        ends.set_value();
        ending.wait();
        QVERIFY(!ranOut);
    }
};

REGISTER_SUITE(RunnerEndTest);
#include "runner_end_test.moc"
