#include "app/control/moment_methods.h"
#include "app/library/library.h"
#include "app/store/cpu_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/image.h"
#include "vmm/machine/forked_machine.h"
#include "vmm/state/reader.h"

#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QTemporaryDir>
#include <atomic>
#include <filesystem>
#include <thread>

using namespace app;
using tests::FakeMachine;

namespace {

std::unique_ptr<vmm::BlockImage> openDisk(vmm::IoEngine& engine, std::string const& path)
{
    vmm::ImageOptions options;
    options.format = vmm::ImageFormat::Qcow2;
    return tests::must(vmm::BlockImage::open(engine, path, options));
}

void writeDisk(std::string const& path, std::uint8_t value)
{
    vmm::InlineEngine engine;
    REQUIRE_OK(openDisk(engine, path)->writeSync(0, vmm::Bytes(512, value)));
}

std::uint8_t firstOf(std::string const& path)
{
    vmm::InlineEngine engine;
    vmm::Bytes sector(512);
    tests::must(openDisk(engine, path)->readSync(0, sector));
    return sector[0];
}

/// A library with one machine, which has a moment; its disk held 1 then and holds 2 now.
struct Bench {
    QTemporaryDir directory;
    MachineStore store { directory.path().toStdString() };
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    StoredMachine machine;
    std::string moment;

    Bench()
    {
        MachineRequest request;
        request.config = tests::exampleConfig("web");
        request.config.uuid.clear();
        request.config.notes = "for the tests";
        request.config.networks = { { "net0", {}, vmm::NetworkMode::User, {} } };
        request.config.disks.resize(1);
        request.config.disks[0].id = "disk0";
        request.newDisks = { { "disk0", 1u << 20, DiskFormat::Qcow2 } };
        machine = tests::must(store.create(std::move(request)));
        writeDisk(disk(machine), 1);
        script->moments = 1; // a memory of zeros would be in no pack
        auto const runner = open(machine.id);
        tests::must(tests::answerOf([&](auto done) { runner->start(done); }));
        moment = vmm::makeUuid();
        tests::must(tests::answerOf<vmm::timeline::Moment>([&](auto done) {
            runner->keepMoment(
                { .id = moment, .name = "good", .note = "works", .disks = { keeps(machine, moment) } }, done);
        }));
        vmm::InlineEngine engine;
        vmm::DiskSnapshot snapshot;
        snapshot.id = moment;
        tests::must(openDisk(engine, disk(machine))->takeSnapshot(snapshot));
        writeDisk(disk(machine), 2);
    }

    static std::string const& disk(StoredMachine const& machine) { return machine.config.disks[0].path; }
    static vmm::timeline::MomentDisk keeps(StoredMachine const& machine, std::string const& moment)
    {
        return { "disk0", disk(machine), { vmm::CheckpointWay::Internal, moment, {}, vmm::ImageFormat::Qcow2 } };
    }
    std::unique_ptr<MachineRunner> open(std::string const& id)
    {
        return std::make_unique<MachineRunner>(
            store.load(id)->config, store.placesOf(id), FakeMachine::factory(script));
    }
    std::unique_ptr<vmm::timeline::Timeline> timelineOf(std::string const& id)
    {
        return tests::openTimeline(store.placesOf(id).timelineFolder, vmm::timeline::Timeline::Access::ReadOnly);
    }
    /// The one file of the machine's timeline that is called so, behind what begins it.
    void damage(std::string const& id, QString const& name) const
    {
        QFileInfo const path(QString::fromStdString(store.placesOf(id).timelineFolder) + "/" + name);
        auto const found = path.dir().entryInfoList({ path.fileName() }, QDir::Files);
        QCOMPARE(found.size(), 1);
        QFile file(found.front().filePath());
        QVERIFY(file.open(QIODevice::ReadWrite) && file.seek(70) && file.write("damaged") == 7);
    }
    int machinesOnDisk() const
    {
        return int(QDir(QString::fromStdString(store.machinesDirectory()))
                       .entryList(QDir::Dirs | QDir::Hidden | QDir::NoDotAndDotDot)
                       .size());
    }
};

}

class ForkTest : public QObject {
    Q_OBJECT

private slots:
    /// Its disks are not yet what its first start makes of them.
    void isNotClonedBeforeItHasStarted()
    {
        Bench bench;
        auto const fork = tests::must(bench.store.fork(bench.machine.id, bench.moment, "copy"));
        auto const known = bench.machinesOnDisk();
        QCOMPARE(bench.store.clone(fork.id, "copy of it").error().code, vmm::ErrorCode::NotNow);
        QCOMPARE(bench.machinesOnDisk(), known);
        REQUIRE_OK(bench.store.clone(bench.machine.id, "copy of the original"));
    }

    void isAMachineOfItsOwn()
    {
        Bench bench;
        auto const fork = tests::must(bench.store.fork(bench.machine.id, bench.moment, "copy"));
        QCOMPARE(fork.config.name, "copy");
        QCOMPARE(fork.config.notes, "for the tests");
        QVERIFY(fork.id != bench.machine.id);
        QVERIFY(fork.config.networks[0].mac != bench.machine.config.networks[0].mac);
        QVERIFY(fork.isSuspended);
        QVERIFY(bench.store.owns(fork.id, Bench::disk(fork)));
        // As it was then; the original is as it is now.
        QCOMPARE(firstOf(Bench::disk(fork)), 1);
        QCOMPARE(firstOf(Bench::disk(bench.machine)), 2);

        auto const timeline = bench.timelineOf(fork.id);
        QCOMPARE(timeline->moments().size(), 1u);
        auto const moment = timeline->moments().front();
        QCOMPARE(moment.name, "good");
        QCOMPARE(moment.note, "works");
        QVERIFY(tests::must(timeline->verify()).empty());
        // What its memory goes on with knows who it is.
        auto const saved = tests::must(vmm::savedMachineAt(*timeline, moment.id));
        QCOMPARE(saved.config.uuid, fork.id);
        QCOMPARE(saved.config.disks[0].path, Bench::disk(fork));
        auto const card = tests::must(vmm::state::load<vmm::virtio::NetworkCard::State>(saved.parts.back().section));
        QVERIFY(card.mac == tests::must(vmm::parseMac(fork.config.networks[0].mac)));
        // Its disk can go back to where it began.
        writeDisk(Bench::disk(fork), 3);
        QCOMPARE(moment.disks.size(), 1u);
        auto const& kept = moment.disks[0].checkpoint;
        QCOMPARE(kept.id, moment.id);
        QVERIFY(kept.way != vmm::CheckpointWay::Internal); // so that its own forks share
        vmm::InlineEngine engine;
        auto const method = vmm::CheckpointMethod::create(kept.way);
        vmm::Bytes sector(512);
        tests::must(tests::must(method->openReadOnly(engine, Bench::disk(fork), kept))->readSync(0, sector));
        QCOMPARE(sector[0], std::uint8_t(1));
    }

    void outlivesTheOriginal()
    {
        Bench bench;
        auto const fork = tests::must(bench.store.fork(bench.machine.id, bench.moment, "copy"));
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        REQUIRE_OK(bench.store.emptyTrash());
        QVERIFY(tests::must(bench.timelineOf(fork.id)->verify()).empty());
        QCOMPARE(firstOf(Bench::disk(fork)), 1);
        auto const again = tests::must(
            bench.store.fork(fork.id, bench.timelineOf(fork.id)->moments().front().id, "copy of the copy"));
        QCOMPARE(firstOf(Bench::disk(again)), 1);
    }

    void goesOnFromItsMoment()
    {
        Bench bench;
        auto const fork = tests::must(bench.store.fork(bench.machine.id, bench.moment, "copy"));
        {
            auto const runner = bench.open(fork.id);
            QCOMPARE(runner->state(), SessionState::Suspended);
            REQUIRE_OK(tests::answerOf([&](auto done) { runner->start(done); }));
            QCOMPARE(runner->state(), SessionState::Running);
            QVERIFY(bench.script->has("go good"));
            QCOMPARE(runner->config().uuid, fork.id);
            auto const cpuOf
                = [&](std::string const& id) { return tests::must(readCpuFile(bench.store.placesOf(id).cpuFile)); };
            QVERIFY(cpuOf(fork.id) && cpuOf(fork.id) == cpuOf(bench.machine.id));
            REQUIRE_OK(tests::answerOf([&](auto done) { runner->powerOff(done); }));
            runner->drain();
            QCOMPARE(runner->state(), SessionState::Off);
        }
        // Once only.
        bench.script->log.clear();
        auto const runner = bench.open(fork.id);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->start(done); }));
        QVERIFY(bench.script->has("create") && !bench.script->has("go good"));
    }

    void canStandStillFirst()
    {
        Bench bench;
        auto const fork = tests::must(bench.store.fork(bench.machine.id, bench.moment, "copy"));
        auto const runner = bench.open(fork.id);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->startPaused(done); }));
        QCOMPARE(runner->state(), SessionState::Paused);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->resume(done); }));
        QCOMPARE(runner->state(), SessionState::Running);
    }

    void canStartAfreshInstead()
    {
        Bench bench;
        auto const fork = tests::must(bench.store.fork(bench.machine.id, bench.moment, "copy"));
        auto const runner = bench.open(fork.id);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->discardState(done); }));
        QCOMPARE(runner->state(), SessionState::Off);
        QVERIFY(!bench.script->has("go good")); // only its disks did
        QCOMPARE(bench.timelineOf(fork.id)->present(), bench.timelineOf(fork.id)->moments().front().id);
        QVERIFY(!bench.store.load(fork.id)->isSuspended);
        QVERIFY(!MachineLock::owner(bench.store.placesOf(fork.id).lockFile));
    }

    void canStartAfreshWithoutWhatIsDamaged_data()
    {
        QTest::addColumn<QString>("folder");
        QTest::newRow("state") << "moments/*.state";
        QTest::newRow("memory") << "packs/*";
    }

    void canStartAfreshWithoutWhatIsDamaged()
    {
        QFETCH(QString, folder);
        Bench bench;
        auto const fork = tests::must(bench.store.fork(bench.machine.id, bench.moment, "copy"));
        writeDisk(Bench::disk(fork), 7); // a going that was cut off
        bench.damage(fork.id, folder);
        auto const runner = bench.open(fork.id);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->discardState(done); }));
        QCOMPARE(runner->state(), SessionState::Off);
        QCOMPARE(firstOf(Bench::disk(fork)), 1);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->start(done); }));
        QCOMPARE(runner->state(), SessionState::Running);
        QVERIFY(!bench.script->has("go good"));
    }

    void whileTheOriginalRuns()
    {
        Bench bench;
        auto const runner = bench.open(bench.machine.id);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->start(done); }));
        auto const fork = [&](control::Json const& params) {
            return tests::answerOf<control::Json>([&](auto done) {
                if (!control::callMomentMethod(*runner, "moment.fork", params, done))
                    done(vmm::fail(vmm::ErrorCode::NotFound, "there is no such method"));
            });
        };
        auto const told = tests::must(fork({ { "moment", "good" }, { "name", "copy" } }));
        QCOMPARE(bench.store.load(told["uuid"].get<std::string>())->config.name, "copy");
        QCOMPARE(runner->state(), SessionState::Running);
        QCOMPARE(fork({ { "moment", "good" } }).error().code, vmm::ErrorCode::InvalidArgument);
    }

    void whatCannotBeMadeLeavesNothing()
    {
        Bench bench;
        QCOMPARE(bench.store.fork(bench.machine.id, vmm::makeUuid(), "copy").error().code, vmm::ErrorCode::NotFound);
        QCOMPARE(bench.store.fork(bench.machine.id, bench.moment, "copy", [](double) { return false; }).error().code,
            vmm::ErrorCode::Cancelled);
        QCOMPARE(bench.store.fork(bench.machine.id, bench.moment, "copy", [](double done) { return done < 0.9; })
                     .error()
                     .code,
            vmm::ErrorCode::Cancelled);
        // A disk that has not followed.
        vmm::InlineEngine engine;
        REQUIRE_OK(openDisk(engine, Bench::disk(bench.machine))->deleteSnapshot(bench.moment));
        auto const refused = bench.store.fork(bench.machine.id, bench.moment, "copy");
        QVERIFY(!refused);
        QVERIFY2(refused.error().detail.starts_with("disk0: "), refused.error().detail.c_str());
        QCOMPARE(bench.machinesOnDisk(), 1);
    }

    void companionsComeAlong()
    {
        Bench bench;
        // A seed for the first boot beside the disk, and variables of the firmware.
        auto machine = bench.machine;
        auto const seed = machine.directory + "/seed.iso";
        REQUIRE_OK(writeWholeFile(seed, vmm::bytesOf(std::string(4096, 's'))));
        auto const timeline = bench.timelineOf(machine.id);
        auto saved = tests::must(vmm::savedMachineAt(*timeline, bench.moment));
        saved.config.cds[0].path = seed;
        saved.header.files = { tests::must(vmm::describeFile("cd0", seed)) };
        auto const changed = machine.directory + "/changed";
        auto const moment = vmm::makeUuid();
        auto const folder = tests::must(vmm::timeline::openFolder(changed));
        REQUIRE_OK(timeline->fork(bench.moment, moment, vmm::state::toText(vmm::savedMachineToJson(saved), 1), *folder,
            {}, { { Bench::keeps(machine, moment) }, {} }));
        std::filesystem::remove_all(machine.directory + "/timeline");
        std::filesystem::rename(changed, machine.directory + "/timeline");
        vmm::InlineEngine engine;
        vmm::DiskSnapshot snapshot;
        snapshot.id = moment;
        REQUIRE_OK(openDisk(engine, Bench::disk(machine))->takeSnapshot(snapshot));

        auto const fork = tests::must(bench.store.fork(machine.id, moment, "copy"));
        QCOMPARE(fork.config.cds[0].path, fork.directory + "/seed.iso");
        auto const its = tests::must(
            vmm::savedMachineAt(*bench.timelineOf(fork.id), bench.timelineOf(fork.id)->moments().front().id));
        QCOMPARE(its.header.files.size(), 1u);
        REQUIRE_OK(vmm::checkFiles(its.header.files));
        QVERIFY(std::filesystem::exists(its.header.files[0].path) && its.header.files[0].path != seed);
        // One that was written to since is not what the guest knows.
        REQUIRE_OK(writeWholeFile(seed, vmm::bytesOf(std::string(100, 'x'))));
        QCOMPARE(bench.store.fork(machine.id, moment, "copy").error().code, vmm::ErrorCode::Corrupt);
    }

    void inTheDesktop()
    {
        Bench bench;
        Library library(bench.directory.path(), FakeMachine::factory(bench.script));
        std::optional<vmm::Result<QString>> made;
        auto const id = QString::fromStdString(bench.machine.id);
        library.fork(id, { .moment = bench.moment }, "copy", [&](vmm::Result<QString> outcome) { made = outcome; });
        QTRY_VERIFY(made);
        REQUIRE_OK(*made);
        QCOMPARE(library.entry(**made)->name, QString("copy"));
        QCOMPARE(library.session(**made)->state(), SessionState::Suspended);
        library.fork(id, { .moment = "no-such-moment" }, "other", [&](auto const& outcome) { made = outcome; });
        QTRY_VERIFY(!*made);
        QCOMPARE(made->error().code, vmm::ErrorCode::NotFound);
    }

    void itIsCancelledInTheDesktop()
    {
        Bench bench;
        Library library(bench.directory.path(), FakeMachine::factory(bench.script));
        std::optional<vmm::Result<QString>> made;
        auto const id = QString::fromStdString(bench.machine.id);
        auto* const session = library.session(id);
        std::atomic<bool> isWaiting = false, isCancelled = false;
        // Before it in the queue, so that it is still to be made when it is cancelled.
        session->runner()->work("wait", [&](MachineRunner::JobProgress const& progress) {
            isWaiting = true;
            while (progress(0))
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            isCancelled = true;
            return vmm::Result<>();
        });
        library.fork(id, { .moment = bench.moment }, "copy", [&](vmm::Result<QString> outcome) { made = outcome; });
        QTRY_VERIFY(isWaiting);
        session->runner()->cancelJob();
        QTRY_VERIFY(made);
        QVERIFY(isCancelled);
        QCOMPARE(made->error().code, vmm::ErrorCode::Cancelled);
        QCOMPARE(bench.machinesOnDisk(), 1);
        library.fork(id, { .moment = bench.moment }, "copy", [&](auto const& outcome) { made = outcome; });
        QTRY_VERIFY(*made);
    }

    void thePresentIsKeptFirst()
    {
        Bench bench;
        Library library(bench.directory.path(), FakeMachine::factory(bench.script));
        std::optional<vmm::Result<QString>> made;
        library.fork(QString::fromStdString(bench.machine.id), { .keptAs = "now" }, "copy",
            [&](vmm::Result<QString> outcome) { made = outcome; });
        QTRY_VERIFY(made);
        REQUIRE_OK(*made);
        QCOMPARE(bench.timelineOf(bench.machine.id)->moments().back().name, std::string("now"));
        // Both are off, as the original is.
        auto const fork = tests::must(bench.store.load((*made)->toStdString()));
        QCOMPARE(firstOf(Bench::disk(fork)), std::uint8_t(2));
        auto const runner = bench.open(fork.id);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->start(done); }));
        QVERIFY(bench.script->has("create"));
        QCOMPARE(runner->state(), SessionState::Running);
    }
};

REGISTER_SUITE(ForkTest);
#include "fork_test.moc"
