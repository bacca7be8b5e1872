#include "app/ctl/chronoctl.h"
#include "app/store/moment_bundles.h"
#include "app/store/whole_file.h"
#include "tests/support/chronoctl_bench.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"
#include "vmm/machine/moment_disks.h"

#include <QDir>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <array>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace app;
using tests::FakeMachine;
using tests::Hosting;
using Bench = tests::ChronoctlBench;

/// chronoctl and a machine's past, whether it runs or not.
class ChronoctlMomentsTest : public QObject {
    Q_OBJECT

private slots:
    void momentsOfAMachineThatRunsAndOfOneThatDoesNot()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.json({ "moment", "list", "web" })["moments"].toArray().size(), 0);
        // Off, it has moments too.
        auto const off = bench.call({ "moment", "take", "web", "--name", "off" });
        QCOMPARE(off.code, 0);
        QCOMPARE(bench.json({ "moment", "list", "web" })["present"].toString().toUtf8() + "\n", off.out);
        QCOMPARE(bench.call({ "moment", "delete", "web", "off" }).code, 0);
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            auto const first = bench.call({ "moment", "take", "web", "--name", "before", "--note", "all is well" });
            QCOMPARE(first.code, 0);
            QCOMPARE(bench.call({ "moment", "take", "web", "--name", "after" }).code, 0);
            auto const list = bench.json({ "moment", "list", "web" });
            QCOMPARE(list["moments"].toArray().size(), 2);
            QCOMPARE(list["moments"][0]["id"].toString().toUtf8() + "\n", first.out);
            QCOMPARE(list["moments"][1]["parent"], list["moments"][0]["id"]);
            QCOMPARE(list["present"], list["moments"][1]["id"]);

            // What is now is kept first, unless one says otherwise.
            QCOMPARE(bench.call({ "moment", "restore", "web", "before" }).code, 0);
            QVERIFY(bench.script->has("go before"));
            QCOMPARE(bench.stateOf("web"), QString("running"));
            QCOMPARE(bench.json({ "moment", "list", "web" })["moments"][2]["reason"].toString(), "before-going");
            QCOMPARE(bench.call({ "moment", "restore", "web", "after", "--lose-present" }).code, 0);
            QCOMPARE(bench.json({ "moment", "list", "web" })["moments"].toArray().size(), 3);
            QCOMPARE(bench.call({ "moment", "restore", "web", "nowhere" }).code, 1);
            QCOMPARE(bench.call({ "moment", "restore", "web" }).code, 2);
            QCOMPARE(bench.call({ "moment", "restore", "web", "" }).code, 2);

            QCOMPARE(bench.call({ "moment", "change", "web", "before", "--name", "good", "--pin" }).code, 0);
            QVERIFY(bench.json({ "moment", "list", "web" })["moments"][0]["pinned"].toBool());
            auto const after = bench.json({ "moment", "list", "web" })["moments"][1]["id"].toString();
            QCOMPARE(bench.call({ "moment", "delete", "web", after.left(8).toStdString() }).code, 0);
            QTRY_VERIFY(bench.script->has("tidy")); // in the background
            QCOMPARE(bench.call({ "moment", "verify", "web" }).code, 0);
            QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
        }
        QVERIFY(bench.call({ "moment", "cancel", "web" }).err.contains("cannot cancel")); // nothing is under way
        QCOMPARE(bench.call({ "moment", "change", "web", "good", "--unpin", "--note", "" }).code, 0);
        auto const list = bench.call({ "moment", "list", "web" });
        QVERIFY2(list.out.contains("good") && !list.out.contains("pinned"), list.out.constData());
        QCOMPARE(bench.call({ "moment", "verify", "web" }).code, 0);
    }

    /// Nothing is done by somebody who has meant something else.
    void whatGoesWithAnotherActionIsRefused()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "web", "one" }).code, 0);
        for (std::vector<std::string> const& misplaced :
            { std::vector<std::string> { "delete", "web", "one", "--dry-run" }, { "policy", "web", "--dry-run" },
                { "take", "web", "--pin" }, { "change", "web", "one", "--unpin", "--lose-present" },
                { "delete", "web", "one", "two" }, { "prune", "web", "one" }, { "list", "web", "--tiers", "none" },
                { "import", bench.path("one.bundle"), "--note", "mine" }, { "restore", "web", "one", "--bundle" },
                { "verify", "web", "--part", "serial0" }, { "prune", "web", "--automatic", "off" } }) {
            std::vector<std::string> words { "moment" };
            words.insert(words.end(), misplaced.begin(), misplaced.end());
            auto const told = bench.call(words);
            QCOMPARE(told.code, int(ctl::WrongUsage));
            QVERIFY2(told.err.contains("goes with"), told.err.constData());
        }
        QCOMPARE(bench.call({ "moment", "export", "web", "one", "--to", "-", "--bundle", "--without-files" }).code,
            int(ctl::WrongUsage));
        QCOMPARE(bench.json({ "moment", "list", "web" })["moments"].toArray().size(), 1);
    }

    /// The guest has not powered off where the machine was lost on its way to a moment.
    void whoseMachineIsLostIsToldWhy()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "there" }).code, 0);
        bench.script->failGo = vmm::Error { vmm::ErrorCode::Corrupt, "vcpu0: cr4", 0 };
        QCOMPARE(bench.call({ "moment", "restore", "web", "there", "--lose-present" }).code, int(ctl::Failed));
        hosting.end();
        QCOMPARE(hosting.said.code, int(ctl::Failed));
        QVERIFY2(hosting.said.err.contains("vcpu0: cr4"), hosting.said.err.constData());
    }

    /// What comes slowly is cancelled by a signal, and leaves nothing.
    void aSignalCancelsAnImport()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "8M" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "one" }).code, 0);
        auto const bundle = bench.path("one.bundle"), slow = bench.path("slow");
        QCOMPARE(bench.call({ "moment", "export", "web", "one", "--bundle", "--to", bundle }).code, 0);
        auto const whole = bench.contents(bundle);
        QVERIFY(bench.call({ "moment", "export", "web", "one", "--bundle", "--to", bundle }).err.contains("already"));
        QCOMPARE(::mkfifo(slow.c_str(), 0600), 0);
        Bench::Said said;
        std::jthread importing([&] { said = bench.call({ "moment", "import", slow }); });
        vmm::UniqueFd writing(::open(slow.c_str(), O_WRONLY | O_CLOEXEC)); // when it is opened there
        QDir const machines(bench.directory.filePath("data/machines"));
        auto const halfMade = [&] { return machines.entryList({ ".making-*" }, QDir::Dirs | QDir::Hidden).size(); };
        QTRY_COMPARE(halfMade(), 1); // from then on signals are noted
        ::raise(SIGINT);
        QCOMPARE(::write(writing.get(), whole.constData(), std::size_t(whole.size())), ssize_t(whole.size()));
        writing.reset(); // of so little all is read before any of it is looked at
        importing.join();
        QCOMPARE(said.code, int(ctl::Failed));
        QVERIFY2(said.err.contains("cancelled"), said.err.constData());
        QCOMPARE(halfMade(), 0);
        QCOMPARE(bench.store.list().size(), 1u);
        QCOMPARE(bench.call({ "moment", "import", bundle, "--name", "again" }).code, 0);
    }

    void aReaderThatGoesAwayEndsAnExport()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "one" }).code, 0);
        std::array<int, 2> pipe {};
        QCOMPARE(::pipe2(pipe.data(), O_CLOEXEC), 0);
        ::close(pipe[0]);
        vmm::UniqueFd const out(pipe[1]), err(::open("/dev/null", O_WRONLY | O_CLOEXEC));
        ctl::Surroundings around { bench.store, bench.path("run"), FakeMachine::factory(bench.script), err.get(),
            out.get(), err.get() };
        QCOMPARE(
            ctl::runChronoctl({ "moment", "export", "web", "one", "--bundle", "--to", "-" }, around), int(ctl::Failed));
        QCOMPARE(QDir(bench.directory.filePath("data/machines"))
                     .entryList(QDir::Dirs | QDir::Hidden | QDir::NoDotAndDotDot)
                     .size(),
            1);
    }

    void whatDisksTakeIsListed()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "1M" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "one" }).code, 0);
        auto const one = bench.json({ "moment", "list", "web" })["moments"][0];
        QCOMPARE(one["diskOwnBytes"].toInt(-1), 0); // of a disk that nobody has written to
        QCOMPARE(one["diskSharedBytes"].toInt(-1), 0);
        auto const known = bench.call({ "moment", "list", "web" }).out;
        QVERIFY2(known.contains("DISKS OWN") && !known.contains("unknown"), known.constData());

        // A cluster that a moment has, and the disk has not any more.
        auto const disk = tests::must(bench.store.find("web")).config.disks[0];
        auto const write = [&](std::uint8_t what) {
            vmm::InlineEngine engine;
            auto const image = tests::must(vmm::BlockImage::open(engine, disk.path, vmm::imageOptions(disk)));
            tests::must(image->writeSync(0, vmm::Bytes(64 << 10, what)));
            tests::must(image->flushSync());
        };
        write(1);
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "two" }).code, 0);
        auto const before = bench.json({ "moment", "list", "web" });
        write(2);
        auto const list = bench.json({ "moment", "list", "web" });
        QCOMPARE(list["diskBytes"].toInt() - before["diskBytes"].toInt(), 64 << 10);
        QCOMPARE(list["totalBytes"].toInt() - before["totalBytes"].toInt(), 64 << 10);
        auto const listed = bench.call({ "moment", "list", "web" }).out;
        QVERIFY2(listed.contains("in all, 64 KiB of it on disks, of a budget of 20 GiB"), listed.constData());
        auto const pruned = bench.json({ "moment", "prune", "web", "--dry-run" });
        QCOMPARE(pruned["diskBytes"].toInt(), 64 << 10);
        QCOMPARE(pruned["bytesAfter"], list["totalBytes"]);

        QVERIFY(std::filesystem::remove(disk.path));
        auto const without = bench.json({ "moment", "list", "web" });
        QVERIFY(without["diskBytes"].isUndefined());
        QVERIFY(without["diskUnknown"].toString().contains("disk0"));
        QCOMPARE(without["totalBytes"].toInt(), list["totalBytes"].toInt() - (64 << 10));
        auto const gone = without["moments"][0];
        QVERIFY(gone["diskOwnBytes"].isUndefined());
        QVERIFY(gone["diskUnknown"].toString().contains("disk0"));
        QVERIFY(bench.call({ "moment", "prune", "web" }).out.contains("without what disks keep, which is not known"));
        auto const unknown = bench.call({ "moment", "list", "web" });
        QCOMPARE(unknown.code, 0);
        QVERIFY2(unknown.out.contains("what disks take is unknown of 2 of them: "), unknown.out.constData());
    }

    /// It is nothing that a person frees by deleting moments.
    void whatDisksHaveNotLetGoOfIsTold()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "1M" }).code, 0);
        auto const write = [&](std::uint8_t what) {
            vmm::InlineEngine engine;
            auto const disk = tests::must(bench.store.find("web")).config.disks[0];
            auto const image = tests::must(vmm::BlockImage::open(engine, disk.path, vmm::imageOptions(disk)));
            tests::must(image->writeSync(0, vmm::Bytes(64 << 10, what)));
            tests::must(image->flushSync());
        };
        write(1);
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "one" }).code, 0);
        write(2);
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
        }
        QCOMPARE(
            bench.call({ "moment", "delete", "web", "one" }).code, 0); // the suspended state's disks stay as they are
        QCOMPARE(bench.json({ "moment", "prune", "web" })["looseBytes"].toInt(), 64 << 10);
        auto const pruned = bench.call({ "moment", "prune", "web", "--budget", "32K" }).out;
        QVERIFY2(pruned.contains("64 KiB of what disks keep is for no moment any more"), pruned.constData());
        QVERIFY2(!pruned.contains("which only you can free"), pruned.constData());
    }

    void theTimelineIsThinnedOutByItsPolicy()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const usual = bench.json({ "moment", "policy", "web" });
        QVERIFY(usual["automatic"].toBool() && usual["beforeChange"].toBool() && usual["onClose"].toBool());
        QCOMPARE(usual["tiers"].toArray().size(), 3);
        QVERIFY(!std::filesystem::exists(
            bench.store.placesOf(bench.json({ "show", "web" })["uuid"].toString().toStdString()).timelineFolder));
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "before" }).code, 0);
        auto const momentsOf = [&] { return bench.json({ "moment", "list", "web" })["moments"].toArray(); };
        QCOMPARE(bench.call({ "moment", "restore", "web", "before" }).code, 0); // keeps the present
        auto const left = momentsOf().at(1).toObject()["id"].toString();
        QCOMPARE(bench.call({ "moment", "restore", "web", left.toStdString() }).code, 0);
        QCOMPARE(bench.call({ "moment", "restore", "web", "before" }).code, 0); // from there

        // What would go; then what goes, for this once; the policy is as it was.
        auto const wanted = bench.json({ "moment", "prune", "web", "--dry-run", "--tiers", "none" });
        QCOMPARE(wanted["gone"].toArray().size(), 1); // the others are the last of their branches
        QCOMPARE(wanted["gone"][0]["id"].toString(), left);
        QCOMPARE(wanted["gone"][0]["why"].toString(), "tier");
        QCOMPARE(momentsOf().size(), 4);
        QCOMPARE(bench.json({ "moment", "prune", "web" })["gone"].toArray().size(), 0);
        auto const pruned = bench.call({ "moment", "prune", "web", "--tiers", "none", "--budget", "1" });
        QCOMPARE(pruned.code, 0);
        QVERIFY2(pruned.out.contains("before-going") || pruned.out.contains("tier"), pruned.out.constData());
        QVERIFY2(pruned.out.contains("over the budget, which only you can free"), pruned.out.constData());
        auto const list = bench.json({ "moment", "list", "web" });
        QCOMPARE(list["moments"].toArray().size(), 3);
        QVERIFY(list["overBytes"].toVariant().toULongLong() == 0 && !list["mayThin"].toBool());
        QCOMPARE(list["budgetBytes"].toVariant().toULongLong(), 20ULL << 30);
        QCOMPARE(bench.json({ "moment", "policy", "web" })["budgetBytes"].toVariant().toULongLong(), 20ULL << 30);

        // Another policy.
        QCOMPARE(bench
                     .call({ "moment", "policy", "web", "--automatic", "off", "--every", "3", "--tiers", "all:2h,1d:7d",
                         "--budget", "none" })
                     .code,
            0);
        auto const text = bench.call({ "moment", "policy", "web" }).out;
        QVERIFY2(text.contains("automatic      off"), text.constData());
        QVERIFY2(text.contains("every          3 minutes"), text.constData());
        QVERIFY2(text.contains("tiers          all:2h,1d:7d"), text.constData());
        QVERIFY2(text.contains("budget         none"), text.constData());
        for (auto const& wrong : std::vector<std::vector<std::string>> { { "--tiers", "weekly" }, { "--tiers", "1h" },
                 { "--tiers", "1h:30m" }, { "--tiers", "0m:1h" }, { "--budget", "much" }, { "--budget", "0" },
                 { "--every", "0" }, { "--every", "100000" } }) {
            std::vector<std::string> line { "moment", "policy", "web" };
            line.insert(line.end(), wrong.begin(), wrong.end());
            QCOMPARE(bench.call(line).code, 1);
        }
        QCOMPARE(bench.call({ "moment", "policy", "web" }).out, text);
    }

    /// Of a machine that runs, and of one that nobody has in memory.
    void whatIsDeletedIsFree()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        auto const total = [&] {
            return bench.json({ "moment", "list", "web" })["totalBytes"].toVariant().toULongLong();
        };
        auto const own = [&](int place) {
            auto const moment = bench.json({ "moment", "list", "web" })["moments"][place];
            return moment["ownBytes"].toVariant().toULongLong();
        };
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            for (auto const* name : { "zeros", "one", "two", "three" }) // each has a page of its own
                QCOMPARE(bench.call({ "moment", "take", "web", "--name", name }).code, 0);
            auto const before = total(), ofOne = own(1);
            QCOMPARE(bench.call({ "moment", "delete", "web", "one" }).code, 0);
            QTRY_VERIFY(total() <= before - ofOne); // in the background
            QCOMPARE(bench.call({ "suspend", "web" }).code, 0);
        }
        auto const before = total(), ofTwo = own(1);
        QCOMPARE(bench.call({ "moment", "delete", "web", "two" }).code, 0);
        QVERIFY(total() <= before - ofTwo);
        QCOMPARE(bench.call({ "moment", "verify", "web" }).code, 0);
    }

    /// Which would keep room from being given back for ever.
    void whatCannotBeReadIsDeleted()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        for (auto const* name : { "one", "two" })
            QCOMPARE(bench.call({ "moment", "take", "web", "--name", name }).code, 0);
        auto const bad = bench.json({ "moment", "list", "web" })["moments"][0]["id"].toString();
        auto const folder = bench.store.placesOf(bench.store.find("web")->id).timelineFolder;
        REQUIRE_OK(writeWholeFile(folder + "/moments/" + bad.toStdString() + ".json", vmm::bytesOf("{}")));
        auto const damaged = bench.json({ "moment", "list", "web" })["damaged"];
        QCOMPARE(damaged.toArray().size(), 1);
        QCOMPARE(damaged[0]["moment"].toString(), bad);
        QVERIFY(bench.call({ "moment", "list", "web" }).out.contains("nothing is given back"));
        QCOMPARE(bench.call({ "moment", "prune", "web", "--tiers", "none" }).code, 1);
        auto const beginning = bad.left(8).toStdString();
        for (auto const* action : { "restore", "change", "fork", "inspect", "diff" })
            QCOMPARE(bench.call({ "moment", action, "web", beginning }).code, 1);
        QCOMPARE(bench.call({ "moment", "verify", "web" }).code, 1);
        QCOMPARE(bench.call({ "moment", "delete", "web", beginning }).code, 0);
        QCOMPARE(bench.json({ "moment", "list", "web" })["damaged"].toArray().size(), 0);
        QCOMPARE(bench.json({ "moment", "list", "web" })["moments"].toArray().size(), 1);
        QCOMPARE(bench.call({ "moment", "verify", "web" }).code, 0);
        QCOMPARE(bench.call({ "moment", "prune", "web", "--tiers", "none" }).code, 0);
        QCOMPARE(bench.call({ "moment", "delete", "web", beginning }).code, 1);
    }

    void twoMomentsAreCompared()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "one" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "two" }).code, 0);
        auto const check = [&] {
            auto const told = bench.json({ "moment", "diff", "web", "one", "two" });
            QCOMPARE(told["memory"][0]["name"].toString(), "ram");
            QCOMPARE(told["memory"][0]["changed"]["bytes"].toInt(), 4096);
            QCOMPARE(told["memory"][0]["changed"]["runs"][0]["length"].toInt(), 4096);
            // Without another: since the one before.
            QCOMPARE(bench.json({ "moment", "diff", "web", "two" }), told);
            QCOMPARE(bench.call({ "moment", "diff", "web", "one" }).code, 1);
            QCOMPARE(bench.call({ "moment", "diff", "web", "one", "three" }).code, 1);
            auto const text = bench.call({ "moment", "diff", "web", "two" }).out;
            QVERIFY2(text.contains("ram: 4 KiB of 4 KiB changed"), text.constData());
            QCOMPARE(bench.call({ "moment", "diff", "web", "two", "two" }).out, "");
        };
        check();
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        hosting.end();
        check();
    }

    void aMomentIsInspected()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web" }).code, 0);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "one" }).code, 0);
        auto const text = bench.call({ "moment", "inspect", "web", "one" }).out;
        QVERIFY2(text.startsWith("one: web, "), text.constData());
        QVERIFY2(text.contains("memory ram: 4 KiB"), text.constData());
        QVERIFY2(text.contains("\nserial0 (uart-16550 version 1)\n  ier = 0\n"), text.constData());
        auto const part = bench.call({ "moment", "inspect", "web", "one", "--part", "serial0" }).out;
        QVERIFY2(part.startsWith("\nserial0 (uart") && !part.contains("memory"), part.constData());
        auto const schema = bench.call({ "moment", "inspect", "web", "one", "--part", "serial0", "--schema" }).out;
        QVERIFY2(schema.contains("uart-16550 version 1\nier u8"), schema.constData());
        QCOMPARE(bench.json({ "moment", "inspect", "web", "one" })["format"].toString(), "chronovisor-machine-state");
        QCOMPARE(
            bench.json({ "moment", "inspect", "web", "one", "--part", "serial0" })["kind"].toString(), "uart-16550");
        QCOMPARE(bench.call({ "moment", "inspect", "web", "one", "--part", "toaster" }).code, 1);
        QCOMPARE(bench.call({ "stop", "web" }).code, 0);
    }

    void aMomentGoesToAnotherHost()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--net", "user" }).code, 0);
        auto const original = bench.store.find("web")->config;
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QCOMPARE(bench.call({ "moment", "take", "web", "one" }).code, 0);
            QCOMPARE(bench.call({ "moment", "export", "web", "one" }).code, 2); // where to?
            QCOMPARE(
                bench.call({ "moment", "export", "web", "one", "--bundle", "--to", bench.path("one.bundle") }).code, 0);
            QCOMPARE(
                bench.call({ "moment", "export", "web", "one", "--bundle", "--to", bench.path("one.bundle") }).code, 1);
            QCOMPARE(bench.call({ "moment", "export", "web", "one", "--to", bench.path("one") }).code, 0);
            QCOMPARE(bench.call({ "inspect", bench.path("one") }).code, 0);
            QCOMPARE(bench.call({ "validate", bench.path("one") }).code, 0);
            QCOMPARE(bench.call({ "moment", "export", "web", "none", "--to", bench.path("none") }).code, 1);
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        }
        auto const streamed = bench.call({ "moment", "export", "web", "one", "--bundle", "--to", "-" });
        QCOMPARE(streamed.code, 0);
        QVERIFY(!streamed.out.isEmpty());

        // Beside the original it is another machine.
        QCOMPARE(bench.call({ "moment", "import", bench.path("one.bundle"), "--name", "beside" }).code, 0);
        auto const beside = bench.store.find("beside");
        REQUIRE_OK(beside);
        QVERIFY(beside->isSuspended && beside->id != original.uuid);
        QVERIFY(beside->config.networks[0].mac != original.networks[0].mac);
        REQUIRE_OK(bench.store.remove(beside->id));
        REQUIRE_OK(bench.store.remove(original.uuid));
        auto const imported = bench.call({ "moment", "import", "-", "--name", "copy" }, streamed.out);
        QVERIFY2(imported.code == 0, imported.err.constData());
        QCOMPARE(imported.out.trimmed().toStdString(), original.uuid);
        auto const copy = bench.store.find("copy");
        REQUIRE_OK(copy);
        QVERIFY(copy->isSuspended);
        QCOMPARE(copy->config.networks, original.networks);
        {
            Hosting hosting(bench, { "copy" });
            QVERIFY(hosting.isRunning("copy"));
            QVERIFY(bench.script->has("restore"));
            QCOMPARE(bench.call({ "stop", "copy" }).code, 0);
        }
        // In the trash, where the original lies already.
        REQUIRE_OK(bench.store.remove(original.uuid));
        QCOMPARE(QDir(bench.directory.filePath("data/trash")).entryList(QDir::Dirs | QDir::NoDotAndDotDot).size(), 3);
        REQUIRE_OK(bench.store.restoreRemoved(original.uuid));
        QCOMPARE(bench.store.find("copy")->id, original.uuid);
        REQUIRE_OK(bench.store.remove(original.uuid));
        REQUIRE_OK(bench.store.emptyTrash());
        QCOMPARE(bench.store.trashUsage(), 0u);

        bench.script->failHost = vmm::Error { vmm::ErrorCode::Unsupported, "this CPU lacks avx2", 0 };
        auto const refused = bench.call({ "moment", "import", bench.path("one.bundle"), "--name", "third" });
        QCOMPARE(refused.code, 1);
        QVERIFY(refused.err.contains("avx2"));
        QVERIFY(!bench.store.find("third"));
        QCOMPARE(QDir(bench.directory.filePath("data/machines"))
                     .entryList(QDir::Dirs | QDir::Hidden | QDir::NoDotAndDotDot)
                     .size(),
            0);
    }

    void whatWasOffArrivesOff()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "1M", "--net", "user" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "off" }).code, 0);
        auto const bundle = bench.path("off.bundle");
        QCOMPARE(bench.call({ "moment", "export", "web", "off", "--bundle", "--to", bundle }).code, 0);
        auto const imported = bench.call({ "moment", "import", bundle, "--name", "copy" });
        QVERIFY2(imported.code == 0, imported.err.constData());
        QCOMPARE(bench.stateOf("copy"), QString("off"));
        auto const copy = bench.store.find("copy");
        REQUIRE_OK(copy);
        QVERIFY(bench.store.owns(copy->id, copy->config.disks.at(0).path));
        QVERIFY(QFile::exists(QString::fromStdString(copy->config.disks.at(0).path)));
        QVERIFY(!QFile::exists(QString::fromStdString(copy->directory + "/state")));
        Hosting hosting(bench, { "copy" });
        QVERIFY(hosting.isRunning("copy"));
        QVERIFY(bench.script->has("create") && !bench.script->has("restore"));
        QCOMPARE(bench.call({ "stop", "copy" }).code, 0);
    }

    /// As export writes it: the machine is made of what lies there, which stays.
    void aDirectoryComesInToo()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--net", "user" }).code, 0);
        {
            Hosting hosting(bench, { "web" });
            QVERIFY(hosting.isRunning("web"));
            QCOMPARE(bench.call({ "moment", "take", "web", "--name", "on" }).code, 0);
            QCOMPARE(bench.call({ "stop", "web" }).code, 0);
        }
        QCOMPARE(bench.call({ "create", "disks", "--new-disk", "1M", "--net", "user" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "disks", "--name", "off" }).code, 0);
        QCOMPARE(bench.call({ "moment", "export", "web", "on", "--to", bench.path("on") }).code, 0);
        QCOMPARE(bench.call({ "moment", "export", "disks", "off", "--to", bench.path("off") }).code, 0);
        QFile notes(bench.directory.filePath("on/notes")); // is nobody's business
        QVERIFY(notes.open(QIODevice::WriteOnly));

        auto const original = bench.store.find("web")->config;
        for (auto const& [what, name] : { std::pair("on", "first"), std::pair("on/state.json", "second") }) {
            auto const imported = bench.call({ "moment", "import", bench.path(what), "--name", name });
            QVERIFY2(imported.code == 0, imported.err.constData());
            QCOMPARE(bench.stateOf(name), QString("suspended"));
            auto const made = bench.store.find(name);
            QVERIFY(made->id != original.uuid && made->config.networks[0].mac != original.networks[0].mac);
            QVERIFY(!QFile::exists(QString::fromStdString(made->directory + "/notes")));
        }
        {
            Hosting hosting(bench, { "first" });
            QVERIFY(hosting.isRunning("first"));
            QVERIFY(bench.script->has("restore"));
            QCOMPARE(bench.call({ "stop", "first" }).code, 0);
        }

        // Also as it lies on a stick: for reading only, and elsewhere. What is copied is the machine's own.
        QTemporaryDir const stick("/dev/shm/chronovisor-XXXXXX");
        auto const there = stick.isValid() ? stick.path().toStdString() + "/off" : bench.path("other");
        QCOMPARE(bench.call({ "moment", "export", "disks", "off", "--to", there }).code, 0);
        for (auto const& file : QDir(QString::fromStdString(there)).entryInfoList(QDir::Files))
            QVERIFY(QFile::setPermissions(file.filePath(), QFile::ReadOwner | QFile::ReadOther));
        for (auto const& [what, name] : { std::pair(bench.path("off"), "third"), std::pair(there, "fourth") }) {
            auto const imported = bench.call({ "moment", "import", what, "--name", name });
            QVERIFY2(imported.code == 0, imported.err.constData());
            QCOMPARE(bench.stateOf(name), QString("off"));
            auto const made = bench.store.find(name);
            auto const disk = made->config.disks.at(0).path;
            QVERIFY(bench.store.owns(made->id, disk));
            struct stat status { };
            QCOMPARE(::stat(disk.c_str(), &status), 0);
            QCOMPARE(status.st_mode & 0777u, 0600u);
        }
    }

    /// Nobody has vouched for it. Of what is refused nothing is left.
    void aDirectoryThatLacksOrHidesSomethingIsRefused()
    {
        Bench bench;
        QCOMPARE(bench.call({ "create", "web", "--new-disk", "1M" }).code, 0);
        QCOMPARE(bench.call({ "moment", "take", "web", "--name", "off" }).code, 0);
        auto const machines = [&] {
            return QDir(bench.directory.filePath("data/machines"))
                .entryList(QDir::Dirs | QDir::Hidden | QDir::NoDotAndDotDot);
        };
        auto const before = machines();
        auto const refused = [&](QString const& what, char const* why) {
            auto const outcome = bench.call({ "moment", "import", what.toStdString(), "--name", "refused" });
            bool const isRefused = outcome.code == 1 && outcome.err.contains(why) && machines() == before;
            if (!isRefused)
                qWarning("%s, where it was to be \"%s\"", outcome.err.constData(), why);
            return isRefused;
        };
        auto const aside = bench.directory.filePath("aside");
        int count = 0;
        auto const exported = [&](std::vector<std::string> const& how = {}) {
            auto const to = bench.directory.filePath("off-%1").arg(++count);
            std::vector<std::string> words { "moment", "export", "web", "off", "--to", to.toStdString() };
            words.insert(words.end(), how.begin(), how.end());
            return bench.call(words).code == 0 ? to : QString("nothing");
        };
        auto const diskIn = [](QString const& directory) {
            return directory + "/" + QDir(directory).entryList({ "*.qcow2" }, QDir::Files).value(0);
        };

        QVERIFY(refused(exported({ "--without-files" }), "which is not with it"));
        QVERIFY(refused(bench.directory.filePath("nowhere"), "nowhere"));
        QVERIFY(QDir().mkdir(bench.directory.filePath("empty")));
        QVERIFY(refused(bench.directory.filePath("empty"), "state.json"));
        { // what is not as it was then, or leads elsewhere
            auto const directory = exported();
            auto const disk = diskIn(directory);
            QVERIFY(QFile::rename(disk, aside));
            QVERIFY(refused(directory, "which is not with it"));
            QVERIFY(QFile::link(aside, disk));
            QVERIFY(refused(directory, "is no file"));
            QVERIFY(QFile::remove(disk) && QFile::copy(aside, disk));
            QVERIFY(refused(directory, "was written to"));
        }
        for (auto const* name : { "state.json", "ram" }) {
            auto const directory = exported();
            auto const path = directory + "/" + name;
            QVERIFY(QFile::remove(aside) && QFile::rename(path, aside) && QFile::link(aside, path));
            QVERIFY(refused(directory, "is no file"));
        }
        for (auto const* name : { "../aside", "/etc/passwd", ".", "machine.json\\u0000" }) {
            auto const directory = exported();
            QFile::copy(diskIn(directory), directory + "/machine.json");
            QFile state(directory + "/state.json");
            QVERIFY(state.open(QIODevice::ReadWrite));
            auto text = state.readAll();
            auto const disk = QFileInfo(diskIn(directory)).fileName().toUtf8();
            QVERIFY(text.contains('"' + disk + '"'));
            text.replace('"' + disk + '"', '"' + QByteArray(name) + '"');
            QVERIFY(state.resize(0) && state.seek(0) && state.write(text) == text.size());
            state.close();
            QVERIFY(refused(directory, "which is not with it"));
        }
        { // the memory, and the state
            auto const directory = exported();
            QFile ram(directory + "/ram");
            QVERIFY(ram.resize(ram.size() > 0 ? ram.size() / 2 : 1)); // or longer
            QVERIFY(refused(directory, "the memory file has"));
            QFile state(directory + "/state.json");
            QVERIFY(state.resize(state.size() / 2));
            QVERIFY(refused(directory, "not JSON"));
        }
        // Wherever it is cancelled.
        auto const directory = exported().toStdString();
        auto const isAble = [](auto const&) { return vmm::Result<>(); };
        for (int most = 0;; ++most) {
            int asked = 0;
            auto const made
                = importFrom(bench.store, directory, "refused", isAble, [&](double) { return asked++ < most; });
            if (made) {
                QVERIFY(most > 1);
                break;
            }
            QCOMPARE(made.error().code, vmm::ErrorCode::Cancelled);
            QCOMPARE(machines(), before);
        }
    }
};

REGISTER_SUITE(ChronoctlMomentsTest);
#include "chronoctl_moments_test.moc"
