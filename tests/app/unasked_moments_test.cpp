#include "app/runner/unasked_moments.h"
#include "tests/fakes/manual_loop.h"
#include "tests/support/suite.h"

#include <QDirIterator>
#include <QTemporaryDir>
#include <fstream>
#include <sys/stat.h>

using app::SessionState;
using app::UnaskedMoments;
using vmm::timeline::Reason;

namespace {

/// A runner whose machine keeps a moment when the test says so.
struct Bench {
    UnaskedMoments::Calls calls()
    {
        return { [this]() -> vmm::EventLoop& { return loop; }, [this] { return present; }, [this] { return figures; },
            [this] { return policy; },
            [this](vmm::timeline::NewMoment const& what, auto const& itsEnd) {
                asked.push_back(what.reason);
                kept = itsEnd;
            },
            [this](vmm::Error const& why) { failures.push_back(why.code); } };
    }
    void comesUp()
    {
        moments.machineCameUp();
        moments.follow();
    }
    void aBusyMinutePasses()
    {
        figures.cpuNanoseconds += 60'000'000'000;
        loop.runTimers();
    }

    tests::ManualLoop loop;
    UnaskedMoments::Present present { SessionState::Running, true, false, {} };
    vmm::MachineStatistics figures;
    vmm::Result<vmm::timeline::Policy> policy = vmm::timeline::Policy { .everyMinutes = 1 };
    std::vector<Reason> asked;
    UnaskedMoments::Kept kept;
    std::vector<vmm::ErrorCode> failures;
    int thinnings = 0;
    app::UnaskedThinning thinning { [this]() -> vmm::EventLoop& { return loop; }, std::chrono::minutes(1),
        [this](auto const&, auto const& ended) {
            ++thinnings;
            ended();
        } };
    UnaskedMoments moments { calls(), std::chrono::minutes(1), thinning };
};

}

class UnaskedMomentsTest final : public QObject {
    Q_OBJECT
private slots:
    void oneIsKeptAtATimeAndWhatIsAskedForMeanwhileComesAfterIt()
    {
        Bench bench;
        bench.comesUp();
        bench.aBusyMinutePasses();
        bench.aBusyMinutePasses();
        QCOMPARE(bench.asked, std::vector { Reason::Automatic });
        QVERIFY(bench.moments.isKeepingAutomatically());
        int after = 0;
        bench.moments.afterAutomatic([&] { ++after; });
        QVERIFY(bench.moments.isWaitedFor());
        bench.kept(vmm::timeline::Moment());
        QCOMPARE(after, 1);
        QVERIFY(!bench.moments.isWaitedFor());
        bench.aBusyMinutePasses();
        QCOMPARE(bench.asked.size(), std::size_t(2));
    }

    void aMomentIsFollowedByThinningOutButNotOnClose()
    {
        Bench bench;
        bench.comesUp();
        bench.aBusyMinutePasses();
        bench.kept(vmm::timeline::Moment());
        QCOMPARE(bench.thinnings, 1);
        bench.moments.keep(Reason::OnClose, {});
        bench.kept(vmm::timeline::Moment());
        QCOMPARE(bench.thinnings, 1);
    }

    void onlyWhatIsWrongIsToldAndNotThatAnotherIsKeptOrThatSomebodyCancels()
    {
        Bench bench;
        bench.comesUp();
        for (auto const code : { vmm::ErrorCode::Busy, vmm::ErrorCode::Cancelled, vmm::ErrorCode::NoSpace }) {
            bench.aBusyMinutePasses();
            bench.kept(vmm::fail(code, "not kept"));
        }
        QCOMPARE(bench.asked.size(), std::size_t(3));
        QCOMPARE(bench.failures, std::vector { vmm::ErrorCode::NoSpace });
    }

    void whatASavedStateHoldsIsKeptOnlyBeforeThatIsThrownAway()
    {
        Bench bench;
        bench.comesUp();
        bench.figures.cpuNanoseconds += 60'000'000'000;
        bench.present.isSaved = true;
        bench.moments.keep(Reason::OnClose, {});
        QVERIFY(bench.asked.empty());
        bench.moments.machineEnded();
        bench.present.state = SessionState::Suspended;
        bench.moments.keep(Reason::OnClose, {});
        bench.moments.keep(Reason::BeforeChange, {});
        QVERIFY(bench.asked.empty());
        bench.moments.keep(Reason::BeforeDiscard, {});
        QCOMPARE(bench.asked, std::vector { Reason::BeforeDiscard });
    }

    void whereNobodyKnowsThePolicyOnlyASuspendedStateIsKept()
    {
        Bench bench;
        bench.policy = vmm::fail(vmm::ErrorCode::Corrupt, "the record is damaged");
        bench.comesUp();
        bench.aBusyMinutePasses();
        bench.moments.keep(Reason::BeforeChange, {});
        QVERIFY(bench.asked.empty());
        bench.moments.machineEnded();
        bench.present.state = SessionState::Suspended;
        bench.present.isSaved = true;
        bench.moments.keep(Reason::BeforeDiscard, {});
        QCOMPARE(bench.asked, std::vector { Reason::BeforeDiscard });
    }

    /// Whose file system says of it that it takes nothing.
    void aMachineThatIsOffIsKeptWhereItsDiskIsABlockDevice()
    {
        QDirIterator devices("/dev", QDir::System | QDir::NoSymLinks, QDirIterator::Subdirectories);
        std::string device;
        struct stat status { };
        while (device.empty() && devices.hasNext()) {
            auto const path = devices.next().toStdString();
            if (::stat(path.c_str(), &status) == 0 && S_ISBLK(status.st_mode))
                device = path;
        }
        if (device.empty())
            QSKIP("CHRONOVISOR-SKIP: this host has no block device");
        Bench bench;
        bench.present.state = SessionState::Off;
        bench.present.config.disks.push_back({ .id = "disk0", .path = device });
        bench.moments.keep(Reason::BeforeChange, {});
        QCOMPARE(bench.asked, std::vector { Reason::BeforeChange });
    }

    void aMachineThatIsOffIsKeptBeforeWhatTheSameHandDoesNotPutBack()
    {
        QTemporaryDir const folder;
        auto const image = folder.filePath("disk0.raw").toStdString();
        std::ofstream(image) << std::string(2u << 20, 'x');
        Bench bench;
        bench.present.state = SessionState::Off;
        bench.present.config.disks.push_back({ .id = "disk0", .path = image });
        auto wanted = bench.present.config;
        wanted.name = "renamed";
        int answers = 0;
        bench.moments.keepBefore(wanted, [&](vmm::Result<> const&) { ++answers; });
        QCOMPARE(answers, 1);
        QVERIFY(bench.asked.empty());
        wanted.memoryMiB *= 2;
        bench.moments.keepBefore(wanted, [&](vmm::Result<> const& outcome) { answers += outcome.has_value(); });
        QCOMPARE(bench.asked, std::vector { Reason::BeforeChange });
        QCOMPARE(answers, 1);
        bench.kept(vmm::fail(vmm::ErrorCode::NoSpace, "not kept"));
        QCOMPARE(answers, 2); // and what it was kept for goes on
    }
};

REGISTER_SUITE(UnaskedMomentsTest);
#include "unasked_moments_test.moc"
