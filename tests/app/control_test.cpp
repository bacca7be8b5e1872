#include "app/control/control_client.h"
#include "app/control/control_server.h"
#include "app/control/key_names.h"
#include "app/store/whole_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/stopped_host.h"
#include "tests/support/suite.h"

#include <QFile>
#include <QScopeGuard>
#include <QTemporaryDir>
#include <atomic>
#include <filesystem>
#include <future>
#include <linux/input-event-codes.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace app;
using namespace app::control;
using tests::FakeMachine;

namespace {

struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::shared_ptr<MachineRunner> runner = std::make_shared<MachineRunner>(
        tests::exampleConfig("web"), MachinePlaces { path("state"), {} }, FakeMachine::factory(script));
    std::unique_ptr<ControlServer> server = serve();

    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    std::unique_ptr<ControlServer> serve()
    {
        auto started = ControlServer::start(path("run"), "test");
        if (!started)
            qFatal("%s", started.error().message().c_str());
        (*started)->setRunners({ runner });
        return std::move(*started);
    }
    ControlClient client()
    {
        auto connected = ControlClient::connect(server->path());
        if (!connected)
            qFatal("%s", connected.error().message().c_str());
        return std::move(*connected);
    }
    /// What the server says to bytes that no client of ours would send.
    std::string sayRaw(std::string const& bytes)
    {
        auto const connection = client();
        for (std::size_t sent = 0; sent < bytes.size();) {
            auto const part = ::send(connection.fd(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
            if (part <= 0)
                break;
            sent += std::size_t(part);
        }
        timeval const patience { 5, 0 };
        ::setsockopt(connection.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        char answer[4096];
        auto const got = ::recv(connection.fd(), answer, sizeof answer, 0);
        return got > 0 ? std::string(answer, std::size_t(got)) : std::string();
    }
    /// What still comes; nothing where it does not end.
    static std::optional<std::string> heardToTheEnd(ControlClient const& peer)
    {
        timeval const patience { 60, 0 };
        ::setsockopt(peer.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        std::string heard;
        char part[4096];
        ssize_t got = 0;
        while ((got = ::recv(peer.fd(), part, sizeof part, 0)) > 0)
            heard.append(part, std::size_t(got));
        return got == 0 ? std::optional(heard) : std::nullopt;
    }
    bool isAlive() { return client().call("host.describe", Json::object(), std::chrono::seconds(5)).has_value(); }
};

enum class Answer { Served, Closed, NotEvenConnected, Ended };

/// What a process of that user gets from the socket.
Answer answerFor(uid_t user, std::string const& path)
{
    sockaddr_un address {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    static constexpr std::string_view request = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"host.describe\"}\n";
    auto const child = ::fork(); // which may only make system calls
    if (child == 0) {
        char answer[64];
        int const fd = ::setresuid(user, user, user) == 0 ? ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
        if (::connect(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0)
            ::_exit(int(Answer::NotEvenConnected));
        ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
        ::_exit(int(::recv(fd, answer, sizeof answer, 0) > 0 ? Answer::Served : Answer::Closed));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? Answer(WEXITSTATUS(status)) : Answer::Ended;
}

}

class ControlTest : public QObject {
    Q_OBJECT
private slots:
    void onlyItsOwnerMayReachTheSocket()
    {
        Bench bench;
        struct stat status { };
        QCOMPARE(::stat(bench.server->path().c_str(), &status), 0);
        QCOMPARE(status.st_mode & 0777, 0600u);
        QCOMPARE(::stat(bench.path("run").c_str(), &status), 0);
        QCOMPARE(status.st_mode & 0777, 0700u);
    }

    /// Its modes keep others away; where those were changed, it looks at who has come.
    void nobodyElseIsServedThroughASocketThatIsOpenToAll()
    {
        if (::getuid() != 0)
            QSKIP("CHRONOVISOR-SKIP: only root can be another user");
        Bench bench;
        for (auto const& folder : { bench.directory.path().toStdString(), bench.path("run") })
            QCOMPARE(::chmod(folder.c_str(), 0755), 0);
        QCOMPARE(::chmod(bench.server->path().c_str(), 0666), 0);
        constexpr uid_t nobody = 65534;
        QCOMPARE(answerFor(::getuid(), bench.server->path()), Answer::Served);
        QCOMPARE(answerFor(nobody, bench.server->path()), Answer::Closed);
        QVERIFY(bench.isAlive());
    }

    void aMachineIsDrivenFromOutside()
    {
        Bench bench;
        auto client = bench.client();
        auto const show = client.call("machine.show", { { "machine", "web" } });
        REQUIRE_OK(show);
        QCOMPARE((*show)["state"].get<std::string>(), std::string("off"));
        REQUIRE_OK(client.call("machine.start", { { "machine", bench.runner->id() } }));
        QCOMPARE(bench.runner->state(), SessionState::Running);
        REQUIRE_OK(client.call("machine.pause"));
        REQUIRE_OK(client.call("machine.resume"));
        REQUIRE_OK(client.call("machine.reset"));
        REQUIRE_OK(client.call("machine.shutdown"));
        QVERIFY(bench.script->has("power button"));
        REQUIRE_OK(client.call("machine.suspend"));
        QCOMPARE(bench.runner->state(), SessionState::Suspended);
        REQUIRE_OK(client.call("machine.start"));
        REQUIRE_OK(client.call("machine.powerOff"));
        QCOMPARE(bench.runner->state(), SessionState::Off);
    }

    void whatCannotBeSavedIsShown()
    {
        Bench bench;
        auto client = bench.client();
        REQUIRE_OK(client.call("machine.start"));
        QVERIFY((*client.call("machine.show"))["saveObstacles"].empty());
        bench.script->obstacles = { vmm::Error { vmm::ErrorCode::Unsupported, "it does not say", 0 }.within("rng0"),
            vmm::Error { vmm::ErrorCode::Unsupported, "it cannot", 0 }.within("disk0") };
        auto const shown = client.call("machine.show");
        REQUIRE_OK(shown);
        auto const& obstacles = (*shown)["saveObstacles"];
        QCOMPARE(obstacles.size(), std::size_t(2));
        QVERIFY2(obstacles[0].dump().find("rng0: it does not say") != std::string::npos, obstacles.dump().c_str());
        QVERIFY2(obstacles[1].dump().find("disk0: it cannot") != std::string::npos, obstacles.dump().c_str());
        auto const suspended = client.call("machine.suspend");
        QVERIFY(!suspended);
        QCOMPARE(suspended.error().code, vmm::ErrorCode::Unsupported);
        QCOMPARE(suspended.error().detail, std::string("rng0: it does not say"));
        QCOMPARE(bench.runner->state(), SessionState::Running);
    }

    void aMachineThatDoesNotAnswerHoldsUpNoOther()
    {
        Bench bench;
        auto const other = std::make_shared<MachineRunner>(
            tests::exampleConfig("mail"), MachinePlaces { bench.path("other"), {} }, FakeMachine::factory());
        bench.server->setRunners({ bench.runner, other });
        std::future<vmm::Result<Json>> shown;
        std::promise<void> asked, mayAnswer; // which whoever waits hears the end of
        bench.script->beforeObstacles = [&asked, answers = mayAnswer.get_future().share()] {
            asked.set_value();
            answers.wait();
        };
        auto client = bench.client();
        REQUIRE_OK(client.call("machine.start", { { "machine", "web" } }));
        shown = std::async(std::launch::async, [&] {
            return bench.client().call("machine.show", { { "machine", "web" } });
        });
        QVERIFY(tests::comes(asked.get_future()));
        REQUIRE_OK(client.call("machine.show", { { "machine", "mail" } }, std::chrono::seconds(5)));
        REQUIRE_OK(client.call("machine.pause", { { "machine", "web" } }, std::chrono::seconds(5)));
        REQUIRE_OK(connectToOwner(bench.path("run"), bench.runner->id()));
        mayAnswer.set_value();
        REQUIRE_OK(shown.get());
    }

    /// As "echo … | socat - UNIX:…" asks.
    void whoHasAskedAllIsAnsweredAndThenClosed()
    {
        Bench bench;
        bench.script->holdSuspend = true;
        REQUIRE_OK(bench.client().call("machine.start"));
        auto const peer = bench.client();
        auto const request = encode({ { "jsonrpc", "2.0" }, { "id", 7 }, { "method", "machine.suspend" } });
        QCOMPARE(::send(peer.fd(), request.data(), request.size(), 0), ssize_t(request.size()));
        QCOMPARE(::shutdown(peer.fd(), SHUT_WR), 0);
        QTRY_COMPARE(bench.runner->state(), SessionState::Suspending);
        QVERIFY(bench.isAlive()); // and has seen that nothing more is asked
        bench.runner->cancelJob();
        auto const heard = Bench::heardToTheEnd(peer);
        QVERIFY2(heard && heard->find("\"id\":7") != std::string::npos, heard.value_or("it is not closed").c_str());
        auto const silent = bench.client();
        QCOMPARE(::shutdown(silent.fd(), SHUT_WR), 0);
        QCOMPARE(Bench::heardToTheEnd(silent), std::string());
    }

    void whoReadsForAMachineGoesWithIt()
    {
        Bench bench;
        auto const readers = [] {
            int count = 0;
            for (auto const& thread : std::filesystem::directory_iterator("/proc/self/task"))
                count += readWholeFile(thread.path() / "comm", 100).value_or("") == "control reader\n" ? 1 : 0;
            return count;
        };
        REQUIRE_OK(bench.client().call("machine.show"));
        QCOMPARE(readers(), 1);
        bench.server->setRunners({});
        QTRY_COMPARE(readers(), 0);
    }

    void aMachineThatGoesWhileItIsAskedHoldsUpNobody()
    {
        Bench bench;
        std::future<vmm::Result<Json>> shown;
        std::promise<void> asked, mayAnswer; // which whoever waits hears the end of
        bench.script->beforeObstacles = [&asked, answers = mayAnswer.get_future().share()] {
            asked.set_value();
            answers.wait();
        };
        REQUIRE_OK(bench.client().call("machine.start"));
        shown = std::async(std::launch::async, [&] { return bench.client().call("machine.show"); });
        QCOMPARE(asked.get_future().wait_for(std::chrono::minutes(1)), std::future_status::ready);
        bench.server->setRunners({});
        QVERIFY(bench.isAlive());
        mayAnswer.set_value();
        REQUIRE_OK(shown.get());
    }

    void whoWaitsIsAnsweredBeforeItEnds()
    {
        Bench bench;
        bench.script->holdSuspend = true;
        REQUIRE_OK(bench.client().call("machine.start"));
        auto later = bench.client();
        REQUIRE_OK(later.call("host.describe"));
        auto suspended = std::async(std::launch::async, [&] { return bench.client().call("machine.suspend"); });
        auto const release = qScopeGuard([&] { bench.runner->cancelJob(); }); // where the test has failed
        QTRY_COMPARE(bench.runner->state(), SessionState::Suspending);
        std::promise<void> end;
        auto ended = end.get_future();
        bench.server->finish([&] { end.set_value(); });
        QTRY_COMPARE((*later.call("host.describe"))["machines"].size(), std::size_t(0));
        auto const refused = later.call("machine.reset");
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, vmm::ErrorCode::Disconnected);
        QVERIFY(later.isUnheard());
        QVERIFY(!ControlClient::connect(bench.server->path()));
        QVERIFY(ended.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
        bench.runner->cancelJob();
        QVERIFY(tests::comes(suspended));
        QCOMPARE(suspended.get().error().code, vmm::ErrorCode::Cancelled);
        QVERIFY(tests::comes(ended));
        QVERIFY(!later.call("machine.reset"));
        QVERIFY(later.isUnheard());
        QVERIFY(!bench.script->has("reset"));
    }

    void whoTakesNoAnswerHoldsNoEndUp()
    {
        Bench bench;
        auto const deaf = bench.client();
        auto const request = encode({ { "jsonrpc", "2.0" }, { "id", 1 }, { "method", "console.attach" } });
        QVERIFY(::send(deaf.fd(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
        REQUIRE_OK(bench.client().call("machine.start"));
        std::string const line(1000, 'x');
        for (int i = 0; i < 2000; ++i)
            bench.script->last->guestPrints(line);
        QVERIFY(bench.isAlive());
        std::promise<void> end;
        bench.server->finish([&] { end.set_value(); }, std::chrono::milliseconds(50));
        QVERIFY(tests::comes(end.get_future()));
    }

    void whoWaitsHoldsNoServerUpThatGoesNow()
    {
        Bench bench;
        bench.script->holdSuspend = true;
        REQUIRE_OK(bench.client().call("machine.start"));
        auto suspended = std::async(std::launch::async, [&] { return bench.client().call("machine.suspend"); });
        auto const release = qScopeGuard([&] { bench.runner->cancelJob(); });
        QTRY_COMPARE(bench.runner->state(), SessionState::Suspending);
        std::atomic<bool> hasEnded = false;
        bench.server->finish([&] { hasEnded = true; }, std::chrono::milliseconds(1));
        QTest::qWait(10); // it has looked at who takes nothing
        bench.server.reset();
        QVERIFY(tests::comes(suspended));
        QCOMPARE(suspended.get().error().code, vmm::ErrorCode::Disconnected);
        QVERIFY(!hasEnded);
    }

    void whereItEndsWithTheMachineNothingIsBegunForOneThatIsOff()
    {
        Bench bench;
        bench.server.reset();
        bench.server = tests::must(ControlServer::start(bench.path("run"), "test", Serves::InMemory));
        bench.server->setRunners({ bench.runner });
        auto client = bench.client();
        auto const machines = [&] { return (*client.call("host.describe"))["machines"].size(); };
        QCOMPARE(machines(), std::size_t(0));
        QVERIFY(!client.call("machine.start"));
        QVERIFY(client.isUnheard());
        REQUIRE_OK(tests::answerOf([&](auto done) { bench.runner->start(done); }));
        QCOMPARE(machines(), std::size_t(1));
        REQUIRE_OK(client.call("machine.pause"));
        REQUIRE_OK(client.call("machine.powerOff"));
        QCOMPARE(machines(), std::size_t(0));
    }

    /// Who is killed before it has read what it was asked has not begun it; who is killed later may have.
    void whetherAProcessThatDiedHasBegunIsKnown()
    {
        Bench bench;
        tests::StoppedHost const host(bench.path("run"));
        for (bool const hasRead : { false, true }) {
            auto client = tests::must(ControlClient::connect(host.path));
            vmm::UniqueFd peer(::accept(host.listening.get(), nullptr, nullptr));
            auto answer = std::async(std::launch::async, [&] { return client.call("machine.pause"); });
            pollfd wait { peer.get(), POLLIN, 0 };
            QCOMPARE(::poll(&wait, 1, 60'000), 1);
            char request[4096];
            if (hasRead)
                QVERIFY(::recv(peer.get(), request, sizeof request, 0) > 0);
            peer.reset();
            QVERIFY(tests::comes(answer));
            QCOMPARE(answer.get().error().code, vmm::ErrorCode::Disconnected);
            QCOMPARE(client.isUnheard(), !hasRead);
        }
    }

    void aMachineMayAnswerWhenTheServerHasGone()
    {
        Bench bench;
        bench.script->holdSuspend = true;
        REQUIRE_OK(bench.client().call("machine.start"));
        auto const client = bench.client();
        std::string const request = R"({"jsonrpc":"2.0","id":1,"method":"machine.suspend"})"
                                    "\n";
        QCOMPARE(::send(client.fd(), request.data(), request.size(), 0), ssize_t(request.size()));
        QTRY_COMPARE(bench.runner->state(), SessionState::Suspending);
        bench.server.reset();
        bench.runner->cancelJob();
        QTRY_COMPARE(bench.runner->state(), SessionState::Running);
        bench.runner->drain();
    }

    void usbAndThePointerAreChangedOnlyByWhatMakesSense()
    {
        Bench bench;
        auto client = bench.client();
        auto const codeOf = [&](char const* method, vmm::Json params) {
            auto const answer = client.call(method, std::move(params));
            return answer ? std::optional<vmm::ErrorCode>() : answer.error().code;
        };
        QCOMPARE(codeOf("machine.sendPointer", { { "x", 1 }, { "y", 2 } }), vmm::ErrorCode::NotNow);
        REQUIRE_OK(client.call("machine.start"));
        QCOMPARE(codeOf("machine.sendPointer", { { "x", 32768 }, { "y", 0 } }), vmm::ErrorCode::InvalidArgument);
        QCOMPARE(codeOf("machine.sendPointer", { { "x", 1 }, { "y", 2 }, { "click", "nose" } }),
            vmm::ErrorCode::InvalidArgument);
        REQUIRE_OK(client.call("machine.sendPointer", { { "x", 1 }, { "y", 2 }, { "click", "left" } }));
        QTRY_VERIFY(bench.script->has("button 0 0"));
        QVERIFY(bench.script->has("pointer 1 2") && bench.script->has("button 0 1"));
        QCOMPARE(codeOf("machine.setPlugged", { { "device", "disk0" } }), vmm::ErrorCode::InvalidArgument);
        QCOMPARE(
            codeOf("machine.setPlugged", { { "device", "disk9" }, { "plugged", true } }), vmm::ErrorCode::NotFound);
        for (auto const& params : { vmm::Json::object(), vmm::Json { { "kind", "lamp" } }, vmm::Json { { "kind", 7 } },
                 vmm::Json { { "kind", "stick" } }, vmm::Json { { "kind", "stick" }, { "path", "stick.img" } },
                 vmm::Json { { "kind", "stick" }, { "path", "/dev/null" }, { "bus", "ahci" } },
                 vmm::Json { { "kind", "stick" }, { "path", "/dev/null" }, { "readOnly", "no" } },
                 vmm::Json { { "kind", "stick" }, { "path", "/dev/null" }, { "backing", "/a" } } })
            QCOMPARE(codeOf("machine.addUsb", params), vmm::ErrorCode::InvalidArgument);
        QCOMPARE(codeOf("machine.addUsb", { { "kind", "stick" }, { "path", "/nowhere/stick.img" } }),
            vmm::ErrorCode::NotFound);
        QCOMPARE(codeOf("machine.addUsb", { { "kind", "mouse" } }), vmm::ErrorCode::Unsupported); // no controller
        QCOMPARE(codeOf("machine.removeUsb", { { "device", "disk9" } }), vmm::ErrorCode::NotFound);
        for (auto const& params : { vmm::Json::object(), vmm::Json { { "from", "desk" } },
                 vmm::Json { { "from", "desk:1" }, { "listen", "2" } } })
            QCOMPARE(codeOf("machine.redirectUsb", params), vmm::ErrorCode::InvalidArgument);
        REQUIRE_OK(client.call("machine.redirectUsb", { { "listen", "127.0.0.1:0" } }));
        REQUIRE_OK(client.call("machine.endUsbRedirection", { { "id", "redir1" } }));
        QCOMPARE(codeOf("machine.endUsbRedirection", { { "id", "redir1" } }), vmm::ErrorCode::NotFound);
    }

    /// What is no text, or neither true nor false, is not taken for missing, in whichever method.
    void parametersAreWhatTheyAre()
    {
        Bench bench;
        auto client = bench.client();
        auto const refused = [&](char const* method, vmm::Json params) {
            auto const answer = client.call(method, std::move(params));
            return answer ? std::string("done") : answer.error().message();
        };
        QVERIFY(refused("machine.start", { { "machine", 7 } }).find("\"machine\" is a text") != std::string::npos);
        QVERIFY(
            refused("machine.start", { { "paused", "no" } }).find("\"paused\" is true or false") != std::string::npos);
        QCOMPARE(bench.runner->state(), SessionState::Off);
        REQUIRE_OK(client.call("machine.start"));
        QVERIFY(refused("machine.suspend", { { "directory", nullptr } }).find("is a text") != std::string::npos);
        QVERIFY(
            refused("machine.eject", { { "drive", "cd0" }, { "force", 1 } }).find("is true or") != std::string::npos);
        QCOMPARE(bench.runner->state(), SessionState::Running);
    }

    void aGamepadIsPlayedFromOutside()
    {
        Bench bench;
        auto config = bench.runner->config();
        config.usbControllers = { { "usb0" } };
        config.usbDevices = { { "pad0", vmm::UsbKind::Gamepad }, { "sound0", vmm::UsbKind::Audio } };
        bench.runner->setConfig(config);
        auto client = bench.client();
        auto const codeOf = [&client](Json params) {
            auto const answer = client.call("machine.sendGamepad", std::move(params));
            return answer ? std::optional<vmm::ErrorCode>() : answer.error().code;
        };
        QCOMPARE(codeOf({ { "device", "pad0" } }), vmm::ErrorCode::NotNow);
        REQUIRE_OK(client.call("machine.start"));
        for (auto const& wrong : { Json(Json::object()), Json({ { "device", 7 } }),
                 Json({ { "device", "pad0" }, { "buttons", { "nose" } } }),
                 Json({ { "device", "pad0" }, { "buttons", "south" } }),
                 Json({ { "device", "pad0" }, { "left", { 0, 1.5 } } }),
                 Json({ { "device", "pad0" }, { "right", { 0 } } }),
                 Json({ { "device", "pad0" }, { "triggers", { -0.5, 0 } } }) })
            QCOMPARE(codeOf(wrong), vmm::ErrorCode::InvalidArgument);
        QCOMPARE(codeOf({ { "device", "pad1" } }), vmm::ErrorCode::NotFound);
        QCOMPARE(codeOf({ { "device", "sound0" } }), vmm::ErrorCode::NotFound);
        REQUIRE_OK(client.call("machine.sendGamepad", { { "device", "pad0" }, { "buttons", { "south", "start" } } }));
        QTRY_VERIFY(bench.script->has("pad pad0 " + std::to_string(1 << 0 | 1 << 7)));
    }

    void aNetworkIsChangedOnlyByWhatMakesSense()
    {
        Bench bench;
        auto config = bench.runner->config();
        config.networks = { { "net0", vmm::makeMac(), vmm::NetworkMode::User, {} } };
        bench.runner->setConfig(config);
        auto client = bench.client();
        // One that is off has but its next start.
        REQUIRE_OK(client.call("machine.setCable", { { "network", "net0" }, { "connected", false } }));
        QVERIFY(!bench.runner->config().networks[0].connected);
        QCOMPARE(client.call("machine.setCable", { { "network", "net1" }, { "connected", false } }).error().code,
            vmm::ErrorCode::NotFound);
        REQUIRE_OK(client.call("machine.start"));
        for (auto const& params :
            { vmm::Json { { "network", "net0" } }, vmm::Json { { "network", "net0" }, { "connected", 1 } } })
            QCOMPARE(client.call("machine.setCable", params).error().code, vmm::ErrorCode::InvalidArgument);
        for (auto const& forwards : { vmm::Json {}, vmm::Json { 7 }, vmm::Json { { { "hostPort", 70000 } } },
                 vmm::Json { { { "hostPort", 80 }, { "guestPort", 80 }, { "via", "magic" } } } }) {
            auto const answer = client.call("machine.setForwards", { { "network", "net0" }, { "forwards", forwards } });
            QCOMPARE(answer.error().code, vmm::ErrorCode::InvalidArgument);
        }
        REQUIRE_OK(client.call("machine.setForwards",
            { { "network", "net0" }, { "forwards", { { { "hostPort", 80 }, { "guestPort", 80 } } } } }));
        QVERIFY(bench.script->has("forwards net0 1"));
    }

    void errorsKeepTheirCode()
    {
        Bench bench;
        auto client = bench.client();
        QCOMPARE(client.call("machine.pause").error().code, vmm::ErrorCode::NotNow);
        QCOMPARE(client.call("machine.show", { { "machine", "nobody" } }).error().code, vmm::ErrorCode::NotFound);
        bench.script->failCreate = vmm::Error { vmm::ErrorCode::NoKvm, "no /dev/kvm", ENOENT };
        auto const failed = client.call("machine.start");
        QCOMPARE(failed.error().code, vmm::ErrorCode::NoKvm);
    }

    void eventsReachWhoAskedForThem()
    {
        Bench bench;
        auto client = bench.client();
        std::vector<std::string> states;
        client.onNotification([&](std::string const& method, Json const& params) {
            if (method == "machine.stateChanged")
                states.push_back(params["state"].get<std::string>());
        });
        REQUIRE_OK(client.call("events.subscribe"));
        REQUIRE_OK(client.call("machine.start"));
        for (int i = 0; i < 50 && states.size() < 2; ++i)
            REQUIRE_OK(client.serve(std::chrono::milliseconds(100)));
        QCOMPARE(states, (std::vector<std::string> { "starting", "running" }));
    }

    void whoHearsHowFarItIsGoesOnWaiting()
    {
        std::atomic<bool> isLate = false;
        Bench bench;
        auto client = bench.client();
        REQUIRE_OK(client.call("events.subscribe"));
        constexpr std::chrono::milliseconds patience { 1000 };
        client.onNotification([&, begun = std::chrono::steady_clock::now()](std::string const&, Json const&) {
            isLate = std::chrono::steady_clock::now() - begun > 2 * patience;
        });
        bench.runner->work("wait", [&](MachineRunner::JobProgress const& progress) {
            for (int percent = 0; !isLate && progress(percent / 100.0); ++percent)
                std::this_thread::sleep_for(patience / 20);
            return vmm::Result<>();
        });
        REQUIRE_OK(client.call("disk.list", Json::object(), patience)); // when that is done
        QVERIFY(isLate);
    }

    void aConsoleIsFollowedAndTypedInto()
    {
        Bench bench;
        auto client = bench.client();
        std::string output;
        client.onNotification([&](std::string const&, Json const& params) {
            auto const data = vmm::state::base64Decode(params["data"].get<std::string>());
            output.append(data->begin(), data->end());
        });
        REQUIRE_OK(client.call("machine.start"));
        REQUIRE_OK(client.call("console.attach", { { "console", "serial0" } }));
        REQUIRE_OK(client.call("console.write",
            { { "console", "serial0" }, { "data", vmm::state::base64Encode(vmm::bytesOf("hello")) } }));
        for (int i = 0; i < 50 && output.size() < 12; ++i)
            REQUIRE_OK(client.serve(std::chrono::milliseconds(100)));
        QCOMPARE(output, std::string("boot\n[hello]"));
        REQUIRE_OK(client.call("console.resize", { { "console", "serial0" }, { "columns", 132 }, { "rows", 43 } }));
        QCOMPARE(bench.script->last->consoles.at("serial0")->size(), (vmm::TerminalSize { 132, 43 }));
        for (auto const& [columns, rows] :
            { std::pair(0, 25), std::pair(80, 0), std::pair(65536, 25), std::pair(-1, 1) })
            QCOMPARE(
                client.call("console.resize", { { "console", "serial0" }, { "columns", columns }, { "rows", rows } })
                    .error()
                    .code,
                vmm::ErrorCode::InvalidArgument);
        QCOMPARE(
            client.call("console.resize", { { "console", "serial9" }, { "columns", 80 }, { "rows", 25 } }).error().code,
            vmm::ErrorCode::NotFound);
        QCOMPARE(client.call("console.attach", { { "console", "serial9" } }).error().code, vmm::ErrorCode::NotFound);
    }

    void keysArriveByTheirNames()
    {
        Bench bench;
        auto client = bench.client();
        REQUIRE_OK(client.call("machine.start"));
        REQUIRE_OK(client.call("machine.sendKeys", { { "keys", { "ctrl-alt-del" } } }));
        QTRY_VERIFY(bench.script->has("key 29 0"));
        QVERIFY(bench.script->has("key 111 1"));
        QVERIFY(!client.call("machine.sendKeys", { { "keys", { "hyper-q" } } }));
        QVERIFY(!client.call("machine.sendKeys", { { "keys", "a" } }));
        QCOMPARE(*parseChord("shift-f5"), (std::vector<std::uint16_t> { KEY_LEFTSHIFT, KEY_F5 }));
        QVERIFY(!parseChord(""));
        QVERIFY(!parseChord("a-"));
        QCOMPARE(*parseChord("Ctrl-Alt-DEL"), *parseChord("ctrl-alt-del"));
        QCOMPARE(*parseChord("kp0-kp1-kp2-kp3-kp4-kp5-kp6-kp7-kp8-kp9"),
            (std::vector<std::uint16_t> {
                KEY_KP0, KEY_KP1, KEY_KP2, KEY_KP3, KEY_KP4, KEY_KP5, KEY_KP6, KEY_KP7, KEY_KP8, KEY_KP9 }));
        QCOMPARE(*parseChord("kpplus-kpminus-kpasterisk-kpslash-kpdot-kpenter"),
            (std::vector<std::uint16_t> {
                KEY_KPPLUS, KEY_KPMINUS, KEY_KPASTERISK, KEY_KPSLASH, KEY_KPDOT, KEY_KPENTER }));
    }

    void aScreenshotIsAPng()
    {
        Bench bench;
        auto client = bench.client();
        QCOMPARE(client.call("machine.screenshot").error().code, vmm::ErrorCode::NotFound);
        REQUIRE_OK(client.call("machine.start"));
        auto const picture = client.call("machine.screenshot");
        REQUIRE_OK(picture);
        QCOMPARE((*picture)["width"].get<int>(), 64);
        auto const png = vmm::state::base64Decode((*picture)["png"].get<std::string>());
        QCOMPARE(std::string(png->begin() + 1, png->begin() + 4), std::string("PNG"));
    }

    void oddMessagesAreAnsweredWithWhatIsWrong_data()
    {
        QTest::addColumn<QByteArray>("message");
        QTest::addColumn<int>("code");
        QTest::newRow("no JSON") << QByteArray("{nonsense\n") << parseError;
        QTest::newRow("deep") << QByteArray(100000, '[') + "\n" << parseError;
        QTest::newRow("no object") << QByteArray("[1,2]\n") << invalidRequest;
        QTest::newRow("old version") << QByteArray("{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"host.describe\"}\n")
                                     << invalidRequest;
        QTest::newRow("method no text") << QByteArray("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":7}\n")
                                        << invalidRequest;
        QTest::newRow("odd id") << QByteArray("{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"host.describe\"}\n")
                                << invalidRequest;
        QTest::newRow("params no object")
            << QByteArray("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"host.describe\",\"params\":[1]}\n")
            << invalidParams;
        QTest::newRow("unknown method") << QByteArray("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"machine.explode\"}\n")
                                        << methodNotFound;
        QTest::newRow("a machine that is no text")
            << QByteArray("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"machine.show\",\"params\":{\"machine\":{}}}\n")
            << machineError;
        QTest::newRow("zero bytes") << QByteArray(100, '\0') + "\n" << parseError;
        QTest::newRow("no UTF-8") << QByteArray("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}\n")
                                  << parseError;
        QTest::newRow("endless") << QByteArray(int(requestLimit) + 1, 'x') << invalidRequest;
    }
    void oddMessagesAreAnsweredWithWhatIsWrong()
    {
        QFETCH(QByteArray, message);
        QFETCH(int, code);
        Bench bench;
        auto const answer = bench.sayRaw(message.toStdString());
        QVERIFY2(answer.find(code != 0 ? "\"code\":" + std::to_string(code) : "\"result\"") != std::string::npos,
            answer.c_str());
        QVERIFY(bench.isAlive());
    }

    void aPeerMayLeaveInTheMiddle()
    {
        Bench bench;
        for (int i = 0; i < 20; ++i) {
            auto const peer = bench.client();
            std::string const half = "{\"jsonrpc\":\"2.0\",\"id\":1,\"me";
            QVERIFY(::send(peer.fd(), half.data(), half.size(), MSG_NOSIGNAL) > 0);
        }
        {
            // Asks, and does not wait for the answer.
            auto const peer = bench.client();
            auto const request = encode({ { "jsonrpc", "2.0" }, { "id", 1 }, { "method", "machine.start" } });
            QVERIFY(::send(peer.fd(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
        }
        QTRY_COMPARE(bench.runner->state(), SessionState::Running);
        QVERIFY(bench.isAlive());
    }

    void silentPeersDoNotLockOthersOut()
    {
        Bench bench;
        std::vector<ControlClient> silent;
        for (std::size_t i = 0; i < 3 * connectionLimit; ++i)
            silent.push_back(bench.client());
        QVERIFY(bench.isAlive());
    }

    void whoDoesNotReadIsNoBurden()
    {
        Bench bench;
        auto const deaf = bench.client();
        auto const request = encode({ { "jsonrpc", "2.0" }, { "id", 1 }, { "method", "console.attach" } });
        QVERIFY(::send(deaf.fd(), request.data(), request.size(), MSG_NOSIGNAL) > 0);
        auto client = bench.client();
        REQUIRE_OK(client.call("machine.start"));
        std::string const line(1000, 'x');
        for (int i = 0; i < 20000; ++i)
            bench.script->last->guestPrints(line);
        REQUIRE_OK(client.call("host.describe", Json::object(), std::chrono::seconds(5)));
    }

    void whoIsStoppedHidesNobody()
    {
        Bench bench;
        tests::StoppedHost stopped(bench.path("run"));
        stopped.fill();
        auto found = std::async(
            std::launch::async, [&] { return connectToOwner(bench.path("run"), bench.runner->id()).has_value(); });
        bool const isTold = tests::comes(found);
        stopped.listening.reset(); // whoever still waits goes on
        QVERIFY(isTold);
        QVERIFY(found.get());
    }

    void whatDeadProcessesLeftIsSwept()
    {
        Bench bench;
        auto const stale = QString::fromStdString(bench.path("run/4194303.sock")); // above every pid_max in use
        QFile file(stale);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.close();
        QCOMPARE(liveSockets(bench.path("run")), (std::vector<std::string> { bench.server->path() }));
        QVERIFY(!QFile::exists(stale));
    }
};

REGISTER_SUITE(ControlTest);
#include "control_test.moc"
