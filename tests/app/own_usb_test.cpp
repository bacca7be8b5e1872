#include "app/runner/machine_runner.h"
#include "app/store/machine_store.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"

#include <QTemporaryDir>
#include <algorithm>
#include <array>
#include <future>
#include <set>

using namespace app;
using tests::FakeMachine;

namespace {

/// A runner over a fake machine with a USB controller, and an image for a stick.
struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::unique_ptr<MachineRunner> runner;

    Bench()
    {
        auto config = tests::exampleConfig();
        config.usbControllers = { { "usb0" } };
        runner = std::make_unique<MachineRunner>(std::move(config),
            MachinePlaces { path("state"), path("machine.lock"), path("timeline") }, FakeMachine::factory(script));
        tests::must(writeWholeFile(path("stick.img"), vmm::Bytes(1 << 16)));
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    vmm::DiskConfig stick() const
    {
        vmm::DiskConfig disk;
        disk.path = path("stick.img");
        disk.bus = vmm::DiskBus::Usb;
        return disk;
    }
    void start()
    {
        tests::must(tests::answerOf([&](auto done) { runner->start(done); }));
    }
    vmm::Result<std::string> add(vmm::UsbAddition const& device)
    {
        return tests::answerOf<std::string>([&](auto done) { runner->addUsb(device, done); });
    }
    vmm::Result<> remove(std::string const& device)
    {
        return tests::answerOf([&](auto done) { runner->removeUsb(device, done); });
    }
    std::string keep(std::string const& name)
    {
        vmm::timeline::NewMoment what;
        what.name = name;
        return tests::must(tests::answerOf<vmm::timeline::Moment>([&](auto done) {
            runner->keepMoment(what, done);
        })).id;
    }
    /// What was done, in order, from among `lines`.
    std::vector<std::string> done(std::vector<std::string> const& lines)
    {
        std::lock_guard const lock(script->mutex);
        std::vector<std::string> found;
        std::ranges::copy_if(script->log, std::back_inserter(found),
            [&](auto const& line) { return std::ranges::find(lines, line) != lines.end(); });
        return found;
    }
};

}

/// USB devices that come to a machine that is there, and go.
class OwnUsbTest final : public QObject {
    Q_OBJECT
private slots:
    void whatComesIsThereAtTheNextStartToo()
    {
        Bench bench;
        bench.start();
        QCOMPARE(tests::must(bench.add(bench.stick())), std::string("disk0"));
        QCOMPARE(
            tests::must(bench.add(vmm::UsbDeviceConfig { {}, vmm::UsbKind::Tablet })), std::string("usb-tablet-0"));
        QCOMPARE(bench.runner->config().disks.size(), std::size_t(1));
        tests::must(tests::answerOf([&](auto done) { bench.runner->powerOff(done); }));
        QTRY_COMPARE(bench.runner->state(), SessionState::Off);
        auto const next = bench.runner->config();
        QCOMPARE(next.disks.size(), std::size_t(1));
        QCOMPARE(next.disks[0].format, vmm::DiskFormat::Raw); // found once, and then it is the stick's
        QCOMPARE(next.usbDevices.size(), std::size_t(1));
        REQUIRE_OK(bench.remove("disk0"));
        REQUIRE_OK(bench.remove("usb-tablet-0"));
        QVERIFY(bench.runner->config().disks.empty());
        REQUIRE_OK(vmm::checkConfig(bench.runner->config()));
    }

    void aTerminalComesWithASerialPort()
    {
        Bench bench;
        bench.start();
        auto const id = tests::must(bench.add(vmm::UsbDeviceConfig { {}, vmm::UsbKind::Serial }));
        auto const link = bench.runner->console(id);
        QVERIFY(link);
        bench.script->last->consoles.at(id)->output(vmm::bytesOf("hello"));
        auto const shown = [&] {
            vmm::Bytes bytes;
            std::uint64_t run = 0;
            link->readFrom(0, bytes, run);
            return std::string(bytes.begin(), bytes.end());
        };
        QCOMPARE(shown(), std::string("hello"));
        bench.script->failRemove = vmm::Error { vmm::ErrorCode::IoError, "no", 0 };
        QVERIFY(!bench.remove(id));
        bench.script->last->consoles.at(id)->output(vmm::bytesOf(" again")); // it is still connected
        QCOMPARE(shown(), std::string("hello again"));
        bench.script->failRemove.reset();
        REQUIRE_OK(bench.remove(id));
        QVERIFY(!bench.runner->console(id));
        QCOMPARE(shown(), std::string("hello again")); // what was printed can be read on
        QVERIFY(!link->type(vmm::bytesOf("x")));
    }

    /// Going to an earlier moment takes the stick back to what it held then; what it held last is in a moment of its
    /// own.
    void aStickThatMomentsKnowIsKeptOnceMoreBeforeItGoes()
    {
        Bench bench;
        bench.start();
        auto const id = tests::must(bench.add(bench.stick()));
        auto const steps = [&] { return bench.done({ "usb disk0 out", "keep before-change", "usb disk0 removed" }); };
        REQUIRE_OK(bench.remove(id));
        QCOMPARE(steps(), (std::vector<std::string> { "usb disk0 removed" })); // no moment has anything of it
        tests::must(bench.add(bench.stick()));
        bench.keep("with it");
        bench.script->failKeep = vmm::Error { vmm::ErrorCode::NoSpace, "the disk is full", 0 };
        auto const refused = bench.remove(id);
        QVERIFY(!refused);
        QVERIFY(refused.error().message().find("so it stays") != std::string::npos);
        QCOMPARE(bench.runner->config().disks.size(), std::size_t(1));
        QVERIFY(!bench.runner->config().disks[0].plugged);
        bench.script->failKeep.reset();
        REQUIRE_OK(bench.remove(id));
        QCOMPARE(steps(),
            (std::vector<std::string> { "usb disk0 removed", "usb disk0 out", "keep before-change", "usb disk0 out",
                "keep before-change", "usb disk0 removed" }));
        auto const past = tests::must(bench.runner->timeline());
        QCOMPARE(past->moments().size(), std::size_t(2));
        QCOMPARE(past->moments().back().disks.size(), std::size_t(1));
    }

    /// It is the guest's, plugged in, for as long as nothing can be kept of it.
    void aStickStaysPluggedInWhileItCannotBeKept()
    {
        Bench bench;
        bench.start();
        tests::must(bench.add(bench.stick()));
        bench.keep("with it");
        bench.script->holdStream = true;
        auto streamed = tests::laterAnswerOf([&](auto done) { bench.runner->streamDisk("disk0", {}, done); });
        auto const streaming = bench.remove("disk0");
        QCOMPARE(streaming.error().code, vmm::ErrorCode::Busy);
        QVERIFY(streaming.error().message().find("are being put together") != std::string::npos);
        bench.script->holdStream = false;
        tests::must(tests::answered(streamed));

        bench.script->holdKeep = true;
        auto kept = tests::laterAnswerOf<vmm::timeline::Moment>(
            [&](auto done) { bench.runner->keepMoment({ .name = "mine" }, done); });
        QCOMPARE(bench.remove("disk0").error().code, vmm::ErrorCode::Busy);
        QVERIFY(bench.runner->config().disks[0].plugged);
        QVERIFY(!bench.script->has("usb disk0 out"));
        QTRY_VERIFY(bench.script->has("keep mine"));
        bench.script->holdKeep = false;
        bench.script->last->keepWhatIsHeld();
        REQUIRE_OK(tests::answered(kept));
        REQUIRE_OK(bench.remove("disk0"));
    }

    void whatComesAtTheSameTimeHasIdsOfItsOwn()
    {
        Bench bench;
        bench.start();
        std::array<std::future<vmm::Result<std::string>>, 3> added;
        for (auto& one : added) {
            one = tests::laterAnswerOf<std::string>([&](auto done) {
                bench.runner->addUsb(vmm::UsbDeviceConfig { {}, vmm::UsbKind::Tablet }, done);
            });
        }
        std::set<std::string> ids;
        for (auto& one : added)
            ids.insert(tests::must(tests::answered(one)));
        QCOMPARE(ids, (std::set<std::string> { "usb-tablet-0", "usb-tablet-1", "usb-tablet-2" }));
        QCOMPARE(bench.runner->config().usbDevices.size(), std::size_t(3));
    }

    /// The machine went to a moment before the stick, and its next start has it.
    void aStickThatTheNextStartHasIsNotAddedTwice()
    {
        Bench bench;
        bench.start();
        auto const before = bench.keep("before");
        tests::must(bench.add(bench.stick()));
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->goTo(before, MachineRunner::Present::Lose, done); }));
        QVERIFY(bench.runner->config().disks.empty());
        vmm::DiskConfig other = bench.stick();
        other.path = bench.path("other.img");
        REQUIRE_OK(writeWholeFile(other.path, vmm::Bytes(1 << 16)));
        QCOMPARE(tests::must(bench.add(other)), std::string("disk1"));
        QCOMPARE(tests::must(bench.add(bench.stick())), std::string("disk0"));
        tests::must(tests::answerOf([&](auto done) { bench.runner->powerOff(done); }));
        QTRY_COMPARE(bench.runner->state(), SessionState::Off);
        QCOMPARE(bench.runner->config().disks.size(), std::size_t(2));
    }

    void whatIsRefusedChangesNothing()
    {
        Bench bench;
        auto relative = bench.stick();
        relative.path = "stick.img";
        QCOMPARE(bench.add(relative).error().code, vmm::ErrorCode::InvalidArgument);
        auto absent = bench.stick();
        absent.path = bench.path("none.img");
        auto hostile = bench.stick();
        hostile.format = vmm::DiskFormat::Qcow2;
        auto disk = bench.stick();
        disk.bus = vmm::DiskBus::Virtio;
        for (bool const runs : { false, true }) {
            if (runs)
                bench.start();
            QCOMPARE(bench.add(absent).error().code, vmm::ErrorCode::NotFound);
            QVERIFY(!bench.add(hostile));
            QCOMPARE(bench.add(disk).error().code, vmm::ErrorCode::InvalidArgument);
            QCOMPARE(bench.remove("disk0").error().code, vmm::ErrorCode::NotFound);
            QVERIFY(bench.runner->config().disks.empty());
        }
        tests::must(tests::answerOf([&](auto done) { bench.runner->suspend(done); }));
        QCOMPARE(bench.add(bench.stick()).error().code, vmm::ErrorCode::NotNow);
        QCOMPARE(bench.remove("disk0").error().code, vmm::ErrorCode::NotNow);
    }
};

REGISTER_SUITE(OwnUsbTest);
#include "own_usb_test.moc"
