#include "app/runner/disk_jobs.h"
#include "tests/support/suite.h"

#include <QFileInfo>
#include <QTemporaryDir>
#include <fstream>
#include <future>

using app::SessionState;

namespace {

constexpr std::uint64_t mib = 1 << 20;

/// A machine that is off, with a disk of 2 MiB, and all that a runner is to DiskJobs.
struct Bench {
    Bench()
    {
        std::ofstream(image) << std::string(2 * mib, 'x');
        config.disks.push_back({ .id = "disk0", .path = image, .format = vmm::DiskFormat::Raw });
    }
    ~Bench()
    {
        onLoop([&] { jobs.close(); });
    }

    void onLoop(std::function<void()> const& task) { loop->loop().call(task); }
    vmm::EventLoop& itsLoop() { return loop->loop(); }
    app::UnaskedMoments::Calls momentCalls()
    {
        return { [this]() -> vmm::EventLoop& { return itsLoop(); },
            [this] {
                return app::UnaskedMoments::Present { SessionState::Off, canHaveMoments, false, config };
            },
            [] { return vmm::MachineStatistics(); }, [] { return vmm::timeline::Policy(); },
            [this](vmm::timeline::NewMoment const&, auto const& itsEnd) { kept = itsEnd; }, [](vmm::Error const&) {} };
    }
    app::DiskJobs::Calls diskCalls()
    {
        app::DiskJobs::Calls calls;
        calls.isInMemory = [this] { return isInMemory; };
        calls.config = [this] { return config; };
        calls.hold = [this]() -> vmm::Result<vmm::timeline::Timeline const*> {
            if (isElsewhere)
                return vmm::fail(vmm::ErrorCode::Busy, "another process has it");
            ++held;
            return nullptr;
        };
        calls.letGo = [this] { --held; };
        return calls;
    }
    /// Its disk to 4 MiB. On the loop.
    std::future<vmm::Result<>> grow()
    {
        auto const done = std::make_shared<std::promise<vmm::Result<>>>();
        disks.grow("disk0", 4 * mib, [done](vmm::Result<> const& outcome) { done->set_value(outcome); });
        return done->get_future();
    }
    std::uint64_t size() const { return static_cast<std::uint64_t>(QFileInfo(QString::fromStdString(image)).size()); }

    QTemporaryDir folder;
    std::string const image = folder.filePath("disk0.raw").toStdString();
    vmm::VmConfig config;
    bool canHaveMoments = false, isInMemory = false, isElsewhere = false;
    int held = 0;
    app::UnaskedMoments::Kept kept;
    std::unique_ptr<vmm::LoopThread> loop = tests::must(vmm::LoopThread::start("runner"));
    app::UnaskedThinning thinning { [this]() -> vmm::EventLoop& { return itsLoop(); }, std::chrono::minutes(1),
        [](auto const&, auto const&) {} };
    app::UnaskedMoments moments { momentCalls(), std::chrono::minutes(1), thinning };
    app::LongJobs jobs { { [this](std::function<void()> task) { itsLoop().post(std::move(task)); },
        [](std::string const&, double) {}, [](std::string const&) {} } };
    app::DiskJobs disks { diskCalls(), jobs, moments };
};

}

class DiskJobsTest final : public QObject {
    Q_OBJECT
private slots:
    void aMachineThatIsOffIsHeldUntilItsDiskIsDone()
    {
        Bench bench;
        std::future<vmm::Result<>> first, second;
        int meanwhile = 0;
        bench.onLoop([&] {
            first = bench.grow();
            second = bench.grow();
            meanwhile = bench.held;
        });
        QCOMPARE(second.get().error().code, vmm::ErrorCode::Busy);
        REQUIRE_OK(first.get());
        QCOMPARE(meanwhile, 1);
        QCOMPARE(bench.size(), 4 * mib);
        bench.onLoop([&] { meanwhile = bench.held + !bench.disks.areLeftAlone(); });
        QCOMPARE(meanwhile, 0);
    }

    void oneThatCannotBeHeldStaysAsItIs()
    {
        Bench bench;
        bench.isElsewhere = true;
        std::future<vmm::Result<>> grown;
        bench.onLoop([&] { grown = bench.grow(); });
        QCOMPARE(grown.get().error().detail, std::string("another process has it"));
        QVERIFY(bench.disks.areLeftAlone());
        QCOMPARE(bench.held, 0);
        QCOMPARE(bench.size(), 2 * mib);
    }

    void oneThatIsStartedWhileItIsKeptBeforeDoesNotGrow()
    {
        Bench bench;
        bench.canHaveMoments = true;
        std::future<vmm::Result<>> grown;
        bench.onLoop([&] {
            grown = bench.grow();
            bench.isInMemory = true;
            bench.kept(vmm::timeline::Moment());
        });
        QCOMPARE(grown.get().error().code, vmm::ErrorCode::NotNow);
        QCOMPARE(bench.size(), 2 * mib);
    }
};

REGISTER_SUITE(DiskJobsTest);
#include "disk_jobs_test.moc"
