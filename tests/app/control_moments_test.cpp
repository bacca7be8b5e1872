#include "app/control/control_client.h"
#include "app/control/control_server.h"
#include "app/store/moment_bundles.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"

#include <QFile>
#include <QTemporaryDir>
#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <unistd.h>

using namespace app;
using namespace app::control;
using tests::FakeMachine;

namespace {

/// A machine of a library, served by a process that has it open, in some state; it has the moments "one" and "two", and
/// three more that its present was kept as.
struct Bench {
    QTemporaryDir directory;
    MachineStore store { path("data") };
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::shared_ptr<MachineRunner> runner;
    std::unique_ptr<ControlServer> server = tests::must(ControlServer::start(path("run"), "test"));
    std::optional<ControlClient> client;
    SessionState state;
    std::vector<std::string> moments; ///< their ids

    explicit Bench(SessionState its) : state(its)
    {
        auto config = tests::exampleConfig("web");
        config.networks = { { "net0", {}, vmm::NetworkMode::User, {} } };
        auto const machine = tests::must(store.create({ config, {} }));
        runner
            = std::make_shared<MachineRunner>(machine.config, store.placesOf(machine.id), FakeMachine::factory(script));
        server->setRunners({ runner });
        client = tests::must(ControlClient::connect(server->path()));
        call("machine.start");
        call("moment.keep", { { "name", "one" } });
        call("moment.keep", { { "name", "two" } });
        call("moment.go", { { "moment", "one" } });
        moments = known();
        call("moment.go", { { "moment", moments[2] } });
        call("moment.go", { { "moment", "one" } }); // so that the last came from the third
        moments = known();
        if (state == SessionState::Paused)
            call("machine.pause");
        if (state == SessionState::Off)
            call("machine.powerOff");
        if (state == SessionState::Suspended) {
            call("machine.suspend");
            // The fake's file is of no size that a record of memory has.
            if (!QFile::resize(QString::fromStdString(runner->places().stateDirectory + "/ram"), 0))
                qFatal("no memory was saved");
        }
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }

    vmm::Result<Json> ask(std::string const& method, Json params = Json::object())
    {
        params["machine"] = "web";
        auto answer = client->call(method, std::move(params));
        runner->drain();
        return answer;
    }
    Json call(std::string const& method, Json params = Json::object())
    {
        return tests::must(ask(method, std::move(params)));
    }
    vmm::ErrorCode refusal(std::string const& method, Json params)
    {
        auto const answer = ask(method, std::move(params));
        return answer ? vmm::ErrorCode::Internal : answer.error().code;
    }
    Json list() { return call("moment.list", { { "costs", true } })["moments"]; }
    static Json forwards(int port)
    {
        return { { "network", "net0" }, { "forwards", { { { "hostPort", port }, { "guestPort", 22 } } } } };
    }
    std::vector<std::string> known()
    {
        std::vector<std::string> ids;
        for (auto const& moment : list())
            ids.push_back(moment["id"]);
        return ids;
    }
};

// What each method does, and what it refuses.

void keep(Bench& bench)
{
    auto const kept = bench.call("moment.keep", { { "name", "three" }, { "note", "all is well" } });
    QCOMPARE(kept["name"].get<std::string>(), "three");
    QCOMPARE(kept["note"].get<std::string>(), "all is well");
    QCOMPARE(kept["isOff"].get<bool>(), bench.state == SessionState::Off);
    QCOMPARE(kept["parent"].get<std::string>(), bench.moments[0]);
    QCOMPARE(std::ranges::count(bench.known(), kept["id"].get<std::string>()), 1);
}

void list(Bench& bench)
{
    auto const told = bench.call("moment.list", { { "costs", true } });
    QCOMPARE(told["present"].get<std::string>(), bench.moments[0]);
    QCOMPARE(told["moments"].size(), 5u);
    QCOMPARE(told["moments"][0]["name"].get<std::string>(), "one");
    QCOMPARE(told["moments"][2]["reason"].get<std::string>(), "before-going");
    QVERIFY(told["totalBytes"].get<std::uint64_t>() > told["moments"][1]["ownBytes"].get<std::uint64_t>());
    QVERIFY(told["moments"][1]["ownBytes"].get<std::uint64_t>() > 0);
    QCOMPARE(told["diskBytes"].get<std::uint64_t>(), 0u); // it has no disks
    QVERIFY(!bench.call("moment.list").contains("totalBytes"));
}

void go(Bench& bench)
{
    bench.call("moment.go", { { "moment", "two" } });
    QCOMPARE(bench.runner->state(), SessionState::Running);
    QCOMPARE(bench.call("moment.list")["present"].get<std::string>(), bench.moments[1]);
    QCOMPARE(bench.known().size(), 6u);
    bench.call("moment.go", { { "moment", "one" }, { "losePresent", true } });
    QCOMPARE(bench.known().size(), 6u);
    QCOMPARE(bench.call("moment.list")["present"].get<std::string>(), bench.moments[0]);
    bench.state = SessionState::Running;
}

void foreseeUsb(Bench& bench)
{
    QVERIFY(bench.call("moment.foreseeUsb", { { "moment", "one" } })["devices"].is_array());
    QVERIFY(bench.call("moment.foreseeUsb")["devices"].is_array());
}

void change(Bench& bench)
{
    bench.call("moment.change", { { "moment", "one" }, { "name", "first" }, { "note", "n" }, { "pinned", true } });
    auto const changed = bench.list()[0];
    QCOMPARE(changed["name"].get<std::string>(), "first");
    QCOMPARE(changed["note"].get<std::string>(), "n");
    QVERIFY(changed["pinned"].get<bool>());
    bench.call("moment.change", { { "moment", "first" }, { "pinned", false } });
    QVERIFY(!bench.list()[0]["pinned"].get<bool>());
    QCOMPARE(bench.list()[0]["name"].get<std::string>(), "first");
}

void end(Bench& bench)
{
    QCOMPARE(bench.refusal("moment.end", Json::object()), vmm::ErrorCode::InvalidArgument); // nobody is meant
    bench.call("moment.end", { { "moment", bench.moments[1].substr(0, 8) } });
    QCOMPARE(bench.known(), (std::vector { bench.moments[0], bench.moments[2], bench.moments[3], bench.moments[4] }));
}

void verify(Bench& bench)
{
    QCOMPARE(bench.call("moment.verify")["damaged"].size(), 0u);
    auto const name = bench.runner->places().timelineFolder + "/moments/" + bench.moments[1] + ".state";
    // A link that leads to itself cannot be read, and what it stands for is not known to be damaged.
    QCOMPARE(::rename(name.c_str(), (name + ".aside").c_str()), 0);
    QCOMPARE(::symlink(name.c_str(), name.c_str()), 0);
    auto const found = bench.call("moment.verify");
    QCOMPARE(found["damaged"].size(), 0u);
    QCOMPARE(found["unread"].size(), 1u);
    QCOMPARE(found["unread"][0]["moment"].get<std::string>(), bench.moments[1]);
    QCOMPARE(::rename((name + ".aside").c_str(), name.c_str()), 0);
    QFile file(QString::fromStdString(name));
    QVERIFY(file.open(QIODevice::ReadWrite) && file.seek(20) && file.write("\xff\xff") == 2);
    file.close();
    auto const damaged = bench.call("moment.verify")["damaged"];
    QCOMPARE(damaged.size(), 1u);
    QCOMPARE(damaged[0]["moment"].get<std::string>(), bench.moments[1]);
}

void prune(Bench& bench)
{
    Json const none { { "tiers", Json::array() } }, dry { { "tiers", Json::array() }, { "dryRun", true } };
    auto const would = bench.call("moment.prune", dry);
    QCOMPARE(bench.known(), bench.moments);
    auto const pruned = bench.call("moment.prune", none);
    for (auto const& told : { would, pruned }) {
        QCOMPARE(told["gone"].size(), 1u); // the others were asked for, or are the last of their branches
        QCOMPARE(told["gone"][0]["id"].get<std::string>(), bench.moments[2]);
        QCOMPARE(told["gone"][0]["why"].get<std::string>(), "tier");
        QCOMPARE(told["diskBytes"].get<std::uint64_t>(), 0u);
    }
    QCOMPARE(bench.known().size(), 4u);
    QCOMPARE(bench.refusal("moment.prune", { { "tiers", "all" } }), vmm::ErrorCode::InvalidArgument);
}

void policy(Bench& bench)
{
    QCOMPARE(bench.call("moment.policy", { { "everyMinutes", 7 } })["everyMinutes"].get<int>(), 7);
    QCOMPARE(bench.call("moment.policy")["everyMinutes"].get<int>(), 7);
    QCOMPARE(bench.refusal("moment.policy", { { "everyMinutes", "often" } }), vmm::ErrorCode::InvalidArgument);
    QCOMPARE(bench.call("moment.policy")["everyMinutes"].get<int>(), 7);
}

void fork(Bench& bench)
{
    auto const made = bench.call("moment.fork", { { "moment", "two" }, { "name", "other" } });
    auto const other = bench.store.find("other");
    REQUIRE_OK(other);
    QCOMPARE(other->id, made["uuid"].get<std::string>());
    QVERIFY(other->isSuspended && other->id != bench.runner->id());
}

void diff(Bench& bench)
{
    auto const told = bench.call("moment.diff", { { "moment", "one" }, { "other", "two" } });
    QCOMPARE(told["before"].get<std::string>(), bench.moments[0]);
    QCOMPARE(told["memory"][0]["changed"]["bytes"].get<int>(), 4096);
    QVERIFY(bench.call("moment.diff", { { "moment", "two" } }) == told); // with the one before
    QCOMPARE(bench.refusal("moment.diff", { { "moment", "one" } }), vmm::ErrorCode::InvalidArgument);
}

void inspect(Bench& bench)
{
    auto const told = bench.call("moment.inspect", { { "moment", "two" } });
    QCOMPARE(told["moment"]["name"].get<std::string>(), "two");
    QCOMPARE(told["machine"]["format"].get<std::string>(), "chronovisor-machine-state");
    QVERIFY(!told["machine"]["parts"].empty());
}

void diskCosts(Bench& bench)
{
    auto const told = bench.call("moment.diskCosts"), costs = told["moments"];
    QCOMPARE(told["diskBytes"].get<std::uint64_t>(), 0u);
    QCOMPARE(costs.size(), 5u);
    QCOMPARE(costs[bench.moments[0]]["ownBytes"].get<std::uint64_t>(), 0u); // it has no disks
}

void exportIt(Bench& bench)
{
    auto const folder = bench.path("exported"), bundle = bench.path("one.bundle");
    auto told = bench.call("moment.export", { { "moment", "one" }, { "to", folder }, { "files", true } });
    QVERIFY(told["devices"] == Json::array()); // it had none
    REQUIRE_OK(vmm::readSavedMachine(folder));
    bench.call("moment.export", { { "moment", "one" }, { "bundle", bundle } });
    QFile file(QString::fromStdString(bundle));
    QVERIFY(file.open(QIODevice::ReadOnly));
    auto const made = importBundle(bench.store, file.handle(), "imported", [](auto const&) { return vmm::Result<>(); });
    REQUIRE_OK(made);
    QVERIFY(made->isSuspended);
    using Code = vmm::ErrorCode;
    QCOMPARE(bench.refusal("moment.export", { { "moment", "one" }, { "bundle", bundle } }), Code::AlreadyExists);
    for (Json const& where :
        { Json::object(), Json { { "to", "here" } }, Json { { "to", "/a" }, { "bundle", "/b" } } }) {
        auto params = where;
        params["moment"] = "one";
        QCOMPARE(bench.refusal("moment.export", params), Code::InvalidArgument);
    }
}

struct Method {
    char const* name;
    void (*check)(Bench&);
    bool isOfAMoment;
};
constexpr auto methods = std::to_array<Method>({
    { "moment.keep", &keep, false },
    { "moment.list", &list, false },
    { "moment.go", &go, true },
    { "moment.foreseeUsb", &foreseeUsb, true },
    { "moment.change", &change, true },
    { "moment.end", &end, true },
    { "moment.verify", &verify, false },
    { "moment.prune", &prune, false },
    { "moment.policy", &policy, false },
    { "moment.fork", &fork, true },
    { "moment.diff", &diff, true },
    { "moment.inspect", &inspect, true },
    { "moment.diskCosts", &diskCosts, false },
    { "moment.export", &exportIt, true },
});

}

/// Every method of a machine's past over the socket, whatever the machine does. (What a bundle brings is a new machine,
/// which no process serves yet: `chronoctl moment import` needs no socket.)
class ControlMomentsTest final : public QObject {
    Q_OBJECT

private slots:
    /// Also for who does not wait for the answers, while the machine is slow to tell what it is.
    void whatChangesTheMachineKeepsItsOrder()
    {
        Bench bench(SessionState::Running);
        std::promise<void> asked, mayAnswer;
        bench.script->beforeObstacles = [&asked, answers = mayAnswer.get_future().share()] {
            asked.set_value();
            answers.wait();
        };
        bench.script->holdKeep = true;
        auto const client = tests::must(ControlClient::connect(bench.server->path()));
        timeval const patience { 60, 0 };
        ::setsockopt(client.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        auto const say = [&](int id, char const* method, Json const& params) {
            auto const line
                = encode({ { "jsonrpc", "2.0" }, { "id", id }, { "method", method }, { "params", params } });
            QCOMPARE(::send(client.fd(), line.data(), line.size(), 0), ssize_t(line.size()));
        };
        say(1, "machine.show", Json::object());
        say(2, "moment.go", { { "moment", "two" } });
        say(3, "moment.cancel", Json::object());
        QVERIFY(tests::comes(asked.get_future()));
        mayAnswer.set_value();
        std::map<int, Json> answers;
        LineBuffer buffer(answerLimit);
        while (answers.size() < 3) {
            char some[4096];
            auto const got = ::recv(client.fd(), some, sizeof some, 0);
            QVERIFY(got > 0);
            std::vector<std::string> lines;
            QVERIFY(buffer.add({ some, std::size_t(got) }, lines));
            for (auto const& line : lines) {
                auto const answer = tests::must(vmm::state::parseJson(line, answerLimit));
                answers[answer["id"].get<int>()] = answer;
            }
        }
        QVERIFY(answers[1].contains("result"));
        QCOMPARE(errorFromJson(answers[2]["error"]).code, vmm::ErrorCode::Cancelled);
        QVERIFY(answers[3].contains("result"));
        QTRY_COMPARE(bench.runner->state(), SessionState::Running);
    }

    void answers_data()
    {
        QTest::addColumn<SessionState>("state");
        QTest::addColumn<std::size_t>("method");
        using enum SessionState;
        for (auto const state : { Running, Paused, Suspended, Off }) {
            for (std::size_t i = 0; i < methods.size(); ++i)
                QTest::addRow("%s, %s", methods[i].name, std::string(stateName(state)).c_str()) << state << i;
        }
    }

    void answers()
    {
        QFETCH(SessionState, state);
        QFETCH(std::size_t, method);
        Bench bench(state);
        QCOMPARE(bench.runner->state(), state);
        methods[method].check(bench);
        QCOMPARE(bench.runner->state(), bench.state);
        if (!methods[method].isOfAMoment)
            return;
        auto const before = bench.known();
        QCOMPARE(bench.refusal(methods[method].name, { { "moment", "nowhere" }, { "to", bench.path("nowhere") } }),
            vmm::ErrorCode::NotFound);
        QCOMPARE(bench.runner->state(), bench.state);
        QCOMPARE(bench.known(), before);
    }

    void whatIsBeingKeptIsCancelled()
    {
        Bench bench(SessionState::Running);
        std::vector<std::string> ended;
        bench.client->onNotification([&](std::string const& event, Json const& told) {
            if (event == "machine.jobEnded")
                ended.push_back(told["job"]);
        });
        bench.call("events.subscribe");
        bench.script->holdKeep = true;
        auto other = tests::must(ControlClient::connect(bench.server->path()));
        auto kept = std::async(std::launch::async, [&] {
            return other.call("moment.keep", { { "machine", "web" }, { "name", "three" } }, std::chrono::minutes(1));
        });
        QTRY_VERIFY(bench.script->has("keep three"));
        bench.call("moment.cancel");
        auto const outcome = kept.get();
        QVERIFY(!outcome);
        QCOMPARE(outcome.error().code, vmm::ErrorCode::Cancelled);
        QTRY_COMPARE(
            (vmm::ignore(bench.client->serve(std::chrono::milliseconds(10))), std::ranges::count(ended, "keep")), 1);
        QCOMPARE(bench.known(), bench.moments);
    }

    void whatIsBeingKeptOfOneThatIsSuspendedIsCancelled()
    {
        Bench bench(SessionState::Suspended);
        std::promise<void> mayGoOn; // its end is told too
        bench.runner->measure([goesOn = mayGoOn.get_future().share()](auto const&) { goesOn.wait(); });
        auto kept = tests::laterAnswerOf<vmm::timeline::Moment>(
            [&](auto done) { bench.runner->keepMoment({ .name = "three" }, done); });
        auto cancelled = tests::laterAnswerOf([&](auto done) { bench.runner->cancelKeeping(done); });
        mayGoOn.set_value();
        auto const outcome = tests::answered(kept);
        QVERIFY(!outcome);
        QCOMPARE(outcome.error().code, vmm::ErrorCode::Cancelled);
        REQUIRE_OK(tests::answered(cancelled));
        QCOMPARE(bench.known(), bench.moments);
    }

    /// As while it keeps one that was suspended.
    void whatWaitsForTheMachineHoldsUpNobody_data()
    {
        QTest::addColumn<std::size_t>("method");
        for (std::size_t i = 0; i < methods.size(); ++i)
            QTest::addRow("%s", methods[i].name) << i;
    }

    void whatWaitsForTheMachineHoldsUpNobody()
    {
        QFETCH(std::size_t, method);
        Bench bench(SessionState::Suspended);
        std::promise<void> mayGoOn; // its end is told too
        bench.runner->measure([goesOn = mayGoOn.get_future().share()](auto const&) { goesOn.wait(); });
        vmm::ignore(bench.client->call(methods[method].name,
            { { "machine", "web" }, { "moment", "one" }, { "to", bench.path("there") } },
            std::chrono::milliseconds(0)));
        REQUIRE_OK(bench.client->call("host.describe", Json::object(), std::chrono::seconds(5)));
    }

    void inMemoryItIsKeptBeforeItsForwardsChange_data()
    {
        QTest::addColumn<SessionState>("state");
        QTest::addRow("running") << SessionState::Running;
        QTest::addRow("paused") << SessionState::Paused;
    }

    void inMemoryItIsKeptBeforeItsForwardsChange()
    {
        QFETCH(SessionState, state);
        Bench bench(state);
        bench.script->cpuNanoseconds += 5'000'000'000;
        bench.call("machine.setForwards", Bench::forwards(2222));
        auto const kept = bench.list();
        QCOMPARE(kept.size(), 6u);
        QCOMPARE(kept[5]["reason"].get<std::string>(), "before-change");
        QCOMPARE(bench.runner->state(), state);
        bench.call("machine.setCable", { { "network", "net0" }, { "connected", false } });
        QCOMPARE(bench.known().size(), 6u);
    }

    void offItIsKeptBeforeItsForwardsChange()
    {
        Bench bench(SessionState::Off);
        QFile disk(bench.directory.filePath("disk0.img"));
        QVERIFY(disk.open(QIODevice::WriteOnly) && disk.write(QByteArray(2 << 20, 'x')) > 0);
        disk.close();
        auto config = bench.runner->config();
        config.disks = { { "disk0", bench.path("disk0.img"), vmm::DiskFormat::Raw } };
        bench.runner->setConfig(config);
        bench.call("machine.setForwards", Bench::forwards(2222));
        auto const kept = bench.list();
        QCOMPARE(kept.size(), 6u);
        QCOMPARE(kept[5]["reason"].get<std::string>(), "before-change");
        QCOMPARE(int(bench.runner->config().networks[0].forwards[0].hostPort), 2222);
    }

    void suspendedItKeepsItsForwards()
    {
        Bench bench(SessionState::Suspended);
        QCOMPARE(bench.refusal("machine.setForwards", Bench::forwards(2222)), vmm::ErrorCode::NotNow);
        QCOMPARE(bench.known(), bench.moments);
    }

    /// What is made for who has asked ends when nobody hears of it any more; what nobody was to hear of goes on.
    void whoHangsUpEndsWhatIsMadeForThem()
    {
        Bench bench(SessionState::Running);
        std::atomic<bool> mayEnd = false;
        bench.runner->work("wait", [&](MachineRunner::JobProgress const&) {
            while (!mayEnd)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            return vmm::Result<>();
        });
        auto const say = [&](Json message) {
            auto const visitor = tests::must(ControlClient::connect(bench.server->path()));
            message["jsonrpc"] = "2.0";
            message["params"]["machine"] = "web";
            auto const line = encode(message);
            QCOMPARE(::send(visitor.fd(), line.data(), line.size(), MSG_NOSIGNAL), ssize_t(line.size()));
        };
        auto const fork = [](char const* name) { return Json { { "moment", "two" }, { "name", name } }; };
        say({ { "id", 1 }, { "method", "moment.fork" }, { "params", fork("unheard") } });
        say({ { "method", "moment.fork" }, { "params", fork("unasked") } });
        for (int round = 0; round < 20; ++round) // the server has seen them go
            bench.call("machine.show");
        mayEnd = true;
        QTRY_VERIFY(bench.store.find("unasked"));
        QVERIFY(!bench.store.find("unheard"));
        QCOMPARE(bench.store.list().size(), 2u);
    }

    void thereIsNoOther()
    {
        Bench bench(SessionState::Off);
        QVERIFY(!bench.ask("moment.forget"));
    }
};

REGISTER_SUITE(ControlMomentsTest);
#include "control_moments_test.moc"
