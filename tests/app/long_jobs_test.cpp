#include "app/runner/long_jobs.h"
#include "tests/support/suite.h"

#include <future>

using app::LongJobs;

namespace {

/// The runner's loop, and what it hears of jobs.
struct Bench {
    ~Bench()
    {
        loop->loop().call([&] { jobs.close(); });
    }

    std::future<vmm::Result<>> start(LongJobs::Pace pace, LongJobs::Job const& what)
    {
        auto const done = std::make_shared<std::promise<vmm::Result<>>>();
        loop->loop().call([&] {
            jobs.start(pace, "verify", what, [done](vmm::Result<> const& outcome) { done->set_value(outcome); });
        });
        return done->get_future();
    }

    std::unique_ptr<vmm::LoopThread> loop = tests::must(vmm::LoopThread::start("runner"));
    std::vector<double> told;
    std::atomic<int> ended = 0;
    std::function<void()> whenEnded;
    LongJobs jobs { { [this](std::function<void()> task) { loop->loop().post(std::move(task)); },
        [this](std::string const&, double fraction) { told.push_back(fraction); },
        [this](std::string const&) {
            ++ended;
            if (whenEnded)
                whenEnded();
        } } };
};

}

class LongJobsTest final : public QObject {
    Q_OBJECT
private slots:
    void whatHasNotBegunWhenAllIsCancelledDoesNotBegin()
    {
        Bench bench;
        std::promise<void> goOn;
        std::atomic<int> begun = 0;
        auto const wait = [&, held = goOn.get_future().share()](LongJobs::Progress const& progress) -> vmm::Result<> {
            ++begun;
            held.wait();
            return progress(0.5) ? vmm::Result<>() : vmm::fail(vmm::ErrorCode::Cancelled, "as it was told");
        };
        auto first = bench.start(LongJobs::Pace::Prompt, wait), second = bench.start(LongJobs::Pace::Prompt, wait);
        QTRY_COMPARE(begun.load(), 1);
        QVERIFY(bench.jobs.cancel());
        goOn.set_value();
        QCOMPARE(first.get().error().detail, std::string("as it was told"));
        QCOMPARE(second.get().error().code, vmm::ErrorCode::Cancelled);
        QCOMPARE(begun.load(), 1);
        QCOMPARE(bench.ended.load(), 2);
        QVERIFY(!bench.jobs.cancel()); // there is none any more
    }

    void aPatientJobHoldsUpNoPromptOne()
    {
        Bench bench;
        std::promise<void> goOn;
        auto const wait = [held = goOn.get_future().share()](LongJobs::Progress const&) -> vmm::Result<> {
            held.wait();
            return {};
        };
        auto patient = bench.start(LongJobs::Pace::Patient, wait);
        auto prompt = bench.start(LongJobs::Pace::Prompt, [](LongJobs::Progress const&) { return vmm::Result<>(); });
        bool const came
            = tests::becomes([&] { return prompt.wait_for(std::chrono::seconds(0)) == std::future_status::ready; });
        goOn.set_value();
        QVERIFY(came);
        REQUIRE_OK(patient.get());
    }

    void aHundredthIsToldOnce()
    {
        Bench bench;
        auto const advance = [](LongJobs::Progress const& progress) -> vmm::Result<> {
            for (double const fraction : { 0.0, 0.25, 0.251, 0.5 })
                progress(fraction);
            return {};
        };
        REQUIRE_OK(bench.start(LongJobs::Pace::Prompt, advance).get());
        QCOMPARE(bench.told, (std::vector { 0.0, 0.25, 0.5 }));
    }

    void oneDiskIsCancelledAndNothingElse()
    {
        Bench bench;
        auto const one = bench.jobs.begin("stream", "disk0"), other = bench.jobs.begin("verify");
        QCOMPARE(bench.jobs.diskAtWork(), std::string("disk0"));
        QVERIFY(!bench.jobs.cancelDisk("disk1"));
        QVERIFY(!bench.jobs.cancelDisk(""));
        QVERIFY(bench.jobs.cancelDisk("disk0"));
        QVERIFY(*one);
        QVERIFY(!*other);
        bench.jobs.end(one);
        QCOMPARE(bench.jobs.diskAtWork(), std::string());
    }

    void oneJobIsCancelledAndNothingElse()
    {
        Bench bench;
        auto const first = bench.jobs.begin("export"), second = bench.jobs.begin("export"),
                   other = bench.jobs.begin("verify");
        QVERIFY(!bench.jobs.cancelNamed("fork"));
        QVERIFY(bench.jobs.cancelNamed("export"));
        QVERIFY(*first && !*second && !*other);
        bench.jobs.end(first);
        QVERIFY(bench.jobs.cancelNamed("export"));
        QVERIFY(*second && !*other);
    }

    void whoHearsThatAJobHasEndedCanBeginTheNext()
    {
        Bench bench;
        std::string atWork = "unknown";
        bench.whenEnded = [&] { atWork = bench.jobs.diskAtWork(); };
        std::promise<void> done;
        bench.loop->loop().call([&] {
            bench.jobs.start(
                LongJobs::Pace::Prompt, "stream", [](auto const&) { return vmm::Result<>(); },
                [&](auto const&) { done.set_value(); }, "disk0");
        });
        done.get_future().wait();
        QCOMPARE(atWork, std::string());
    }
};

REGISTER_SUITE(LongJobsTest);
#include "long_jobs_test.moc"
