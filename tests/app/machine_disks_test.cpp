#include "app/store/scaffold.h"
#include "tests/support/answer.h"
#include "tests/support/chronoctl_bench.h"
#include "vmm/block/overlay_files.h"

#include <QJsonArray>
#include <future>

using namespace app;
using tests::Hosting;

namespace {

constexpr std::uint64_t mib = 1 << 20;

/// The machine "web", whose disk stands on another file with something in it.
struct Bench : tests::ChronoctlBench {
    std::string const base = path("base.img"), top = path("top.qcow2");

    Bench()
    {
        using namespace vmm;
        tests::must(createImage(base, { .format = ImageFormat::Raw, .size = 8 * mib }));
        InlineEngine engine;
        ImageOptions raw;
        raw.format = ImageFormat::Raw;
        auto const image = tests::must(BlockImage::open(engine, base, raw));
        tests::must(image->writeSync(0, Bytes(4 * mib, 7)));
        tests::must(image->flushSync());
        tests::must(
            createImage(top, { .size = 8 * mib, .backingFile = "base.img", .backingFormat = ImageFormat::Raw }));
        if (call({ "create", "web", "--disk", top + ",format=qcow2" }).code != 0)
            qFatal("no machine");
    }
    QJsonArray below() { return json({ "disk", "list", "web" })["disks"][0]["below"].toArray(); }
    /// Its runner, as nobody else has it in memory.
    std::unique_ptr<MachineRunner> runner()
    {
        auto const machine = tests::must(store.find("web"));
        return std::make_unique<MachineRunner>(
            machine.config, store.placesOf(machine.id), tests::FakeMachine::factory(script));
    }
};

}

/// The files that a machine's disks stand on, from the command line to the files, whether it runs or not.
class MachineDisksTest : public QObject {
    Q_OBJECT

private slots:
    void aDiskOfAMachineThatIsOffStandsAlone()
    {
        Bench bench;
        QCOMPARE(bench.below().size(), 1);
        QCOMPARE(bench.below()[0].toObject()["path"].toString().toStdString(), bench.base);
        auto const list = bench.call({ "disk", "list", "web" });
        QVERIFY2(list.out.contains("  stands on " + QByteArray::fromStdString(bench.base)), list.out.constData());
        QCOMPARE(bench.call({ "disk", "stream", "web", "disk0" }).code, 0);
        QCOMPARE(bench.below().size(), 0);
        auto const again = bench.call({ "disk", "stream", "web", "disk0" });
        QCOMPARE(again.code, 1);
        QVERIFY2(again.err.contains("stands on no other file"), again.err.constData());
    }

    void whatIsNotMeantIsRefused()
    {
        Bench bench;
        QCOMPARE(bench.call({ "disk", "stream", "web" }).code, 2);
        QCOMPARE(bench.call({ "disk", "explode", "web", "disk0" }).code, 2);
        QCOMPARE(bench.call({ "disk", "stream", "web", "disk7" }).code, 1);
        QCOMPARE(bench.call({ "disk", "stream", "web", "disk0", "--files", "2" }).code, 2);
        QCOMPARE(bench.call({ "disk", "commit", "web", "disk0", "--onto", bench.base }).code, 2);
        QCOMPARE(bench.call({ "disk", "stream", "web", "disk0", "--force" }).code, 2);
        auto const nothing = bench.call({ "disk", "cancel", "web", "disk0" });
        QCOMPARE(nothing.code, 1);
        QVERIFY2(nothing.err.contains("not being put together"), nothing.err.constData());
        QCOMPARE(bench.call({ "disk", "stream", "web", "disk0", "--onto", bench.base }).code, 1); // directly already
        QCOMPARE(bench.call({ "disk", "list", "nobody" }).code, 1);
        QCOMPARE(bench.below().size(), 1);
    }

    void aCommitLeavesWhatOthersNeed()
    {
        Bench bench;
        auto const other = bench.path("other.qcow2");
        tests::must(vmm::createImage(
            other, { .size = 8 * mib, .backingFile = bench.base, .backingFormat = vmm::ImageFormat::Raw }));
        QCOMPARE(bench.call({ "create", "db", "--disk", other + ",format=qcow2" }).code, 0);
        QDir(bench.directory.path()).mkdir("elsewhere");
        auto const moved = bench.path("elsewhere/other.qcow2");
        QVERIFY(QFile::rename(QString::fromStdString(other), QString::fromStdString(moved)));
        auto db = tests::must(bench.store.find("db"));
        db.config.disks[0].path = moved;
        db.config.disks[0].backing = { bench.base };
        REQUIRE_OK(bench.store.save(db.config));
        auto const refused = bench.call({ "disk", "commit", "web", "disk0" });
        QCOMPARE(refused.code, 1);
        QVERIFY2(refused.err.contains("the machine \"db\" needs"), refused.err.constData());
        // What cannot be read may need it, in the trash too.
        QVERIFY(QFile::remove(QString::fromStdString(moved)));
        auto const unknown = bench.call({ "disk", "commit", "web", "disk0" });
        QCOMPARE(unknown.code, 1);
        for (auto const* part : { moved.c_str(), "the machine \"db\"", "may need", "--force" })
            QVERIFY2(unknown.err.contains(part), unknown.err.constData());
        REQUIRE_OK(bench.store.remove(db.id));
        auto const removed = bench.call({ "disk", "commit", "web", "disk0" });
        QVERIFY2(removed.code == 1 && removed.err.contains("the removed machine \"db\""), removed.err.constData());
        QCOMPARE(bench.call({ "disk", "commit", "web", "disk0", "--force" }).code, 0);
        REQUIRE_OK(bench.store.emptyTrash());
        auto const unreadable = bench.store.machinesDirectory() + "/0f0f0f0f-2a4f-4d0a-9a64-0d4f0e5b7c11";
        QDir().mkpath(QString::fromStdString(unreadable));
        REQUIRE_OK(writeWholeFile(unreadable + "/machine.json", vmm::bytesOf("{")));
        auto const broken = bench.call({ "disk", "commit", "web", "disk0" });
        QVERIFY2(broken.code == 1 && broken.err.contains("0f0f0f0f"), broken.err.constData());
        QVERIFY(QDir(QString::fromStdString(unreadable)).removeRecursively());

        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "mine" }).code, 0);
        auto const needed = bench.call({ "disk", "commit", "web", "disk0" });
        QCOMPARE(needed.code, 1);
        QVERIFY2(needed.err.contains("moment"), needed.err.constData());
        QCOMPARE(bench.call({ "moment", "delete", "web", "mine" }).code, 0);
        QCOMPARE(bench.call({ "disk", "commit", "web", "disk0", "--files", "3" }).code, 0);
        QCOMPARE(bench.below().size(), 1); // the person's base keeps its name
    }

    /// A moment has been kept before, as before a change of the settings.
    void aDiskIsMadeLarger()
    {
        Bench bench;
        auto const size = [&] { return bench.json({ "disk", "list", "web" })["disks"][0]["bytes"].toInteger(); };
        auto const moments = [&] { return bench.json({ "moment", "list", "web" })["moments"].toArray(); };
        for (auto const* const wrong : { "8M", "4M", "1", "no" }) {
            auto const refused = bench.call({ "disk", "grow", "web", "disk0", wrong });
            QCOMPARE(refused.code, 1);
            QVERIFY2(!refused.err.isEmpty(), wrong);
        }
        QCOMPARE(bench.call({ "disk", "grow", "web", "disk7", "12M" }).code, 1);
        QCOMPARE(moments().size(), 0);
        QCOMPARE(size(), qint64(8 * mib));

        auto const told = bench.call({ "disk", "grow", "web", "disk0", "12M" });
        QVERIFY2(told.code == 0 && told.out.contains("disk0 has 12 MiB now"), told.err.constData());
        QCOMPARE(size(), qint64(12 * mib));
        QVERIFY(bench.call({ "disk", "list", "web" }).out.contains("of 12 MiB"));
        QCOMPARE(moments().size(), 1);
        QCOMPARE(moments()[0].toObject()["reason"].toString(), QString("before-change"));
        QCOMPARE(
            bench.json({ "disk", "list", "web" })["disks"][0]["below"].toArray().last().toObject()["bytes"].toInteger(),
            qint64(8 * mib));
    }

    void aMachineThatRunsDoesItItself()
    {
        Bench bench;
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.below().size(), 1);
        QCOMPARE(bench.call({ "disk", "stream", "web", "disk0", "--onto", bench.base }).code, 0);
        QVERIFY(bench.script->has("stream disk0 onto " + bench.base));
        bench.script->below = bench.base;
        QCOMPARE(bench.call({ "disk", "commit", "web", "disk0", "--files", "2" }).code, 0);
        QVERIFY(bench.script->has("commit disk0 by 2"));
        QCOMPARE(bench.call({ "create", "db", "--disk", bench.base + ",format=raw" }).code, 0);
        auto const refused = bench.call({ "disk", "commit", "web", "disk0" });
        QCOMPARE(refused.code, 1);
        QVERIFY2(refused.err.contains("the machine \"db\" needs"), refused.err.constData());
        auto const larger = bench.call({ "disk", "grow", "web", "disk0", "12M" });
        QCOMPARE(larger.code, 1);
        QVERIFY2(larger.err.contains("switch it off"), larger.err.constData());
        QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
        auto const notYet = bench.call({ "disk", "grow", "web", "disk0", "12M" });
        QCOMPARE(notYet.code, 1);
        QVERIFY2(notYet.err.contains("is suspended"), notYet.err.constData());
        auto const suspended = bench.call({ "disk", "stream", "web", "disk0" });
        QCOMPARE(suspended.code, 1);
        QVERIFY2(suspended.err.contains("is suspended"), suspended.err.constData());
    }

    void itIsCancelled()
    {
        Bench bench;
        bench.script->holdStream = true;
        auto const runner = bench.runner();
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->start(done); }));
        auto const streamed = tests::answerOf([&](auto done) {
            runner->addObserver([&](Notice const& notice) {
                auto const* const progress = std::get_if<notice::Progress>(&notice);
                if (progress && progress->job == "stream")
                    runner->cancelJob();
            });
            runner->streamDisk("disk0", {}, done);
        });
        QCOMPARE(streamed.error().code, vmm::ErrorCode::Cancelled);
        QCOMPARE(runner->state(), SessionState::Running);
    }

    /// One disk of a machine at a time; and to break that off is nobody else's business.
    void oneStreamIsCancelledAndNothingElse()
    {
        Bench bench;
        bench.script->holdStream = true;
        std::atomic<bool> hasBegun = false, otherMayEnd = false, otherWasCancelled = false;
        auto const runner = bench.runner();
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->start(done); }));
        runner->addObserver([&](Notice const& notice) {
            auto const* const progress = std::get_if<notice::Progress>(&notice);
            if (progress && progress->job == "stream")
                hasBegun = true;
        });
        auto const work = [&](MachineRunner::JobProgress const& progress) -> vmm::Result<> {
            while (!otherMayEnd && !otherWasCancelled) {
                otherWasCancelled = !progress(0.5);
                std::this_thread::yield();
            }
            return {};
        };
        auto other = tests::laterAnswerOf([&](auto done) { runner->work("other", work, done); });
        auto streamed = tests::laterAnswerOf([&](auto done) { runner->streamDisk("disk0", {}, done); });
        QTRY_VERIFY(hasBegun.load());

        auto const second = tests::answerOf([&](auto done) { runner->streamDisk("disk1", {}, done); });
        QCOMPARE(second.error().code, vmm::ErrorCode::Busy);
        QVERIFY2(second.error().message().find("disk0") != std::string::npos, second.error().message().c_str());
        QCOMPARE(tests::answerOf([&](auto done) { runner->cancelDisk("disk1", done); }).error().code,
            vmm::ErrorCode::NotNow);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->cancelDisk("disk0", done); }));
        QCOMPARE(tests::answered(streamed).error().code, vmm::ErrorCode::Cancelled);
        otherMayEnd = true;
        REQUIRE_OK(tests::answered(other));
        QVERIFY(!otherWasCancelled);
        QCOMPARE(runner->state(), SessionState::Running);
        // And now the other disk.
        bench.script->holdStream = false;
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->streamDisk("disk1", {}, done); }));
        QVERIFY(bench.script->has("stream disk1"));
    }

    /// While a moment had made it qcow2 the library read it as such.
    void aDiskThatIsRawAgainIsStartedAsOne()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "db", "--disk", bench.base + ",format=raw" }).code, 0);
        auto const machine = tests::must(bench.store.find("db"));
        MachineRunner runner(
            machine.config, bench.store.placesOf(machine.id), tests::FakeMachine::factory(bench.script));
        REQUIRE_OK(tests::answerOf([&](auto done) { runner.start(done); }));
        auto meanwhile = machine.config;
        meanwhile.disks[0].format = vmm::DiskFormat::Qcow2;
        runner.setConfig(meanwhile);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner.powerOff(done); }));
        QTRY_COMPARE(runner.state(), SessionState::Off);
        QCOMPARE(runner.config().disks[0].format, std::optional(vmm::DiskFormat::Raw));
    }

    /// A guest could have written that into its raw disk, to read the file beside it.
    void aDiskOfNoFormatThatStandsOnAFileIsRefusedUntilOneIsSaid()
    {
        Bench bench;
        REQUIRE_OK(writeWholeFile(bench.path("secret.img"), vmm::Bytes(4096, 's')));
        auto const image = bench.path("disk.img");
        REQUIRE_OK(vmm::createImage(
            image, { .size = 1 << 20, .backingFile = "secret.img", .backingFormat = vmm::ImageFormat::Raw }));
        auto const refused = bench.call({ "create", "shop", "--disk", image });
        QCOMPARE(refused.code, 1);
        for (auto const* word : { "secret.img", "format=qcow2", "format=raw" })
            QVERIFY2(refused.err.contains(word), refused.err);
        auto const medium = bench.call({ "create", "shop", "--from", image });
        QCOMPARE(medium.code, 1);
        QVERIFY2(medium.err.contains("secret.img"), medium.err);
        QCOMPARE(bench.call({ "create", "shop" }).code, 0);
        QCOMPARE(bench.call({ "usb", "add", "shop", "--stick", image }).code, 1);
        QCOMPARE(bench.call({ "usb", "add", "shop", "--stick", image + ",format=raw" }).code, 0);
        for (auto const& said :
            { std::string("format=qcow2"), std::string("format=raw"), "backing=" + bench.path("secret.img") })
            QCOMPARE(
                bench.call({ "create", "with-" + said.substr(0, said.find('/')), "--disk", image + "," + said }).err,
                QByteArray());
    }

    /// As one whose image was not there when it was saved. Its guest may write any header from then on.
    void aFormatThatNobodySaysIsFoundOnceAndWrittenDown()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "db", "--disk", bench.base + ",format=raw" }).code, 0);
        auto unsaid = tests::must(bench.store.find("db")).config;
        unsaid.disks[0].format.reset();
        REQUIRE_OK(writeConfig(unsaid, bench.store.find("db")->directory));
        auto const format = [&] { return tests::must(bench.store.find("db")).config.disks[0].format; };
        QCOMPARE(format(), std::optional<vmm::DiskFormat>());
        {
            tests::Hosting hosting(bench, { "db" });
            QVERIFY(hosting.isRunning("db"));
            QTRY_COMPARE(format(), std::optional(vmm::DiskFormat::Raw));
            // What the guest writes.
            QVERIFY(QFile::remove(QString::fromStdString(bench.base)));
            tests::must(vmm::createImage(
                bench.base, { .size = 8 * mib, .backingFile = "top.qcow2", .backingFormat = vmm::ImageFormat::Raw }));
            QCOMPARE(bench.call({ "stop", "db" }).code, 0);
        }
        REQUIRE_OK(bench.store.rename(tests::must(bench.store.find("db")).id, "other"));
        QCOMPARE(tests::must(bench.store.find("other")).config.disks[0].format, std::optional(vmm::DiskFormat::Raw));
    }

    /// In no library: what the process has found it keeps for as long as it lives.
    void aMachineOfNoLibraryKeepsTheFormatThatWasFound()
    {
        Bench bench;
        auto config = tests::exampleConfig("db");
        config.disks = { { .id = "disk0", .path = bench.base } };
        MachineRunner runner(config, {}, tests::FakeMachine::factory(bench.script));
        std::vector<vmm::DiskConfig> told;
        runner.addObserver([&](Notice const& notice) {
            if (auto const* found = std::get_if<notice::FormatsFound>(&notice))
                told.insert(told.end(), found->disks.begin(), found->disks.end());
        });
        REQUIRE_OK(tests::answerOf([&](auto done) { runner.start(done); }));
        QCOMPARE(runner.config().disks[0].format, std::optional(vmm::DiskFormat::Raw));
        QVERIFY(QFile::remove(QString::fromStdString(bench.base)));
        tests::must(vmm::createImage(bench.base, { .size = 8 * mib }));
        REQUIRE_OK(tests::answerOf([&](auto done) { runner.powerOff(done); }));
        QTRY_COMPARE(runner.state(), SessionState::Off);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner.start(done); }));
        QCOMPARE(runner.config().disks[0].format, std::optional(vmm::DiskFormat::Raw));
        QCOMPARE(told.size(), std::size_t(1));
        QCOMPARE(told[0].id, std::string("disk0"));
    }

    /// Whatever wants its disks, or would run it, hears why it has to wait.
    void aMachineThatIsOffStaysOffMeanwhile()
    {
        Bench bench;
        auto const runner = bench.runner();
        std::vector<vmm::Result<>> refused;
        runner->addObserver([&](Notice const& notice) {
            auto const* const progress = std::get_if<notice::Progress>(&notice);
            if (!progress || progress->job != "stream" || !refused.empty())
                return;
            refused.push_back(tests::answerOf([&](auto done) { runner->start(done); }));
            refused.push_back(tests::answerOf([&](auto done) { runner->commitDisk("disk0", 1, {}, done); }));
            refused.push_back(tests::answerOf([&](auto done) { runner->growDisk("disk0", 12 * mib, done); }));
        });
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->streamDisk("disk0", {}, done); }));
        QCOMPARE(refused.size(), std::size_t(3));
        for (auto const& outcome : refused)
            QCOMPARE(outcome.error().code, vmm::ErrorCode::Busy);
        REQUIRE_OK(tests::answerOf([&](auto done) { runner->start(done); }));
        QCOMPARE(runner->state(), SessionState::Running);
    }
};

REGISTER_SUITE(MachineDisksTest);
#include "machine_disks_test.moc"
