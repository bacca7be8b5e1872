#include "app/control/control_server.h"

#include "app/control/disk_methods.h"
#include "app/control/host_usb_json.h"
#include "app/control/machine_methods.h"
#include "app/control/machine_readers.h"
#include "app/control/moment_methods.h"
#include "app/control/own_usb_json.h"
#include "app/control/redirected_usb_json.h"
#include "vmm/base/accept_from.h"
#include "vmm/base/cases.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace app::control {

namespace {

/// Events are left out for a client that has this much to take already; one that takes no answers either is let go
/// at answerLimit.
constexpr std::size_t outputLimit = 8u << 20;

struct Console;

/// One client. Loop thread.
struct Connection {
    std::uint64_t number = 0;
    vmm::UniqueFd fd;
    LineBuffer lines { requestLimit };
    std::string output;
    bool hasSpoken = false; // said something that made sense
    bool wantsEvents = false;
    bool isClosing = false;
    bool isBlocked = false; // waits until it can be written to again
    bool hasTaken = false;  // something of that, since the server that is to end has looked last
    bool hasAsked = false;  // all that it will: it has closed its half
    std::size_t unanswered = 0;
    vmm::EventLoop::Handle watch;
    std::vector<std::unique_ptr<Console>> consoles;
    std::shared_ptr<std::atomic<bool>> isThere = std::make_shared<std::atomic<bool>>(true); // for who works for it

    ~Connection() { *isThere = false; }
};

/// A serial port that a client follows.
struct Console {
    std::shared_ptr<ConsoleLink> link;
    ConsoleLink::ListenerId listener = 0;
    std::string machine, id;
    std::uint64_t position = 0, run = 0;
    std::size_t which = 0; // among the connection's
    std::shared_ptr<std::atomic<bool>> isWoken = std::make_shared<std::atomic<bool>>(false);

    ~Console() { link->removeListener(listener); }
};

}

struct ControlServer::Private {
    std::string program;
    Serves what = Serves::All;
    vmm::UniqueFd listening;
    vmm::EventLoop::Handle accepting;
    std::map<std::uint64_t, std::unique_ptr<Connection>> connections;
    std::uint64_t nextNumber = 1;
    struct Served {
        std::shared_ptr<MachineRunner> runner;
        MachineRunner::ObserverId observer;
    };
    std::vector<Served> served;
    vmm::EventLoop* loop = nullptr;
    /// A machine's answer may come when the server has gone: it finds no server here then.
    struct Gate {
        std::mutex mutex;
        Private* server = nullptr;
    };
    std::shared_ptr<Gate> gate = std::make_shared<Gate>();

    bool isFinishing = false;
    std::function<void()> whenAnswered; // of finish()
    vmm::EventLoop::Handle nextLook;    // at who does not take its answers then

    using Reply = std::function<void(vmm::Result<Json>)>;
    MachineReaders readers;
    std::unique_ptr<vmm::LoopThread> thread; // last: ends before what it uses

    void admit(vmm::UniqueFd fd)
    {
        ucred peer {};
        socklen_t size = sizeof peer;
        if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != ::getuid())
            return;
        // Full of clients that have never said anything: the oldest of those makes room.
        if (connections.size() >= connectionLimit) {
            auto const idle = std::find_if(
                connections.begin(), connections.end(), [](auto const& one) { return !one.second->hasSpoken; });
            if (idle == connections.end())
                return;
            connections.erase(idle);
        }
        auto connection = std::make_unique<Connection>();
        connection->number = nextNumber++;
        connection->fd = std::move(fd);
        auto const number = connection->number;
        watch(*connection);
        connections.emplace(number, std::move(connection));
    }

    /// Reading while something may come, writing where something waits for it; that it hangs up is always told.
    void watch(Connection& connection)
    {
        connection.watch.reset(); // a descriptor is watched once
        std::uint32_t events = 0;
        if (!connection.hasAsked)
            events |= EPOLLIN;
        if (connection.isBlocked)
            events |= EPOLLOUT;
        connection.watch
            = loop->watch(connection.fd.get(), events, [this, number = connection.number](std::uint32_t ready) {
                  if (auto* found = find(number); found != nullptr && !found->isClosing && (ready & EPOLLOUT) != 0)
                      flush(*found);
                  if ((ready & ~std::uint32_t(EPOLLOUT)) != 0)
                      read(number, (ready & EPOLLHUP) != 0);
              });
    }

    Connection* find(std::uint64_t number)
    {
        auto const found = connections.find(number);
        return found == connections.end() ? nullptr : found->second.get();
    }

    /// Not at once: we may be inside one of its own callbacks.
    void close(Connection& connection)
    {
        if (std::exchange(connection.isClosing, true))
            return;
        connection.watch.reset();
        loop->post([this, number = connection.number] {
            connections.erase(number);
            endIfAnswered();
        });
    }

    void finish(std::function<void()> done, vmm::Nanoseconds patience)
    {
        accepting.reset();
        listening.reset();
        isFinishing = true;
        for (auto const& [number, connection] : connections)
            connection->hasTaken = false;
        whenAnswered = std::move(done);
        waitForTakers(patience);
        endIfAnswered();
    }

    /// Those who take nothing of what they are told for so long are let go.
    void waitForTakers(vmm::Nanoseconds patience)
    {
        nextLook = loop->at(vmm::EventLoop::now() + patience, [this, patience] {
            for (auto const& [number, connection] : connections) {
                if (!std::exchange(connection->hasTaken, false) && !connection->output.empty())
                    close(*connection);
            }
            waitForTakers(patience);
        });
    }

    bool isAnswered() const
    {
        return std::ranges::none_of(
            connections, [](auto const& one) { return one.second->unanswered > 0 || !one.second->output.empty(); });
    }

    void endIfAnswered()
    {
        if (!whenAnswered || !isAnswered())
            return;
        // Not at once, as in close().
        loop->post([this] {
            // Before this there may have been one more request, whose answer comes behind it.
            if (!whenAnswered || !isAnswered())
                return;
            nextLook.reset();
            connections.clear();
            std::exchange(whenAnswered, {})();
        });
    }

    void read(std::uint64_t number, bool hasHungUp)
    {
        auto* connection = find(number);
        if (connection == nullptr || connection->isClosing)
            return;
        char buffer[16384];
        auto const got = ::recv(connection->fd.get(), buffer, sizeof buffer, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got == 0 && !hasHungUp) {
            connection->hasAsked = true;
            watch(*connection);
            return closeAnswered(*connection);
        }
        if (got <= 0)
            return close(*connection);
        std::vector<std::string> lines;
        bool const fits = connection->lines.add({ buffer, static_cast<std::size_t>(got) }, lines);
        for (auto const& line : lines) {
            if (!connection->isClosing && !line.empty())
                take(*connection, line);
        }
        if (!fits && !connection->isClosing) {
            answer(*connection, Json(), invalidRequest, "the message is too long");
            close(*connection);
        }
    }

    /// One that does not ask any more and has all its answers.
    void closeAnswered(Connection& connection)
    {
        if (connection.hasAsked && connection.unanswered == 0 && connection.output.empty())
            close(connection);
    }

    void send(Connection& connection, Json const& message)
    {
        if (connection.isClosing)
            return;
        connection.output += encode(message);
        flush(connection);
    }

    void flush(Connection& connection)
    {
        while (!connection.output.empty()) {
            auto const sent
                = ::send(connection.fd.get(), connection.output.data(), connection.output.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR)
                continue;
            if (sent < 0 && errno == EAGAIN)
                break;
            if (sent < 0)
                return close(connection);
            connection.output.erase(0, static_cast<std::size_t>(sent));
            connection.hasTaken = true;
        }
        if (connection.output.size() > answerLimit)
            return close(connection);
        closeAnswered(connection);
        if (connection.isClosing)
            return;
        if (connection.output.empty()) {
            endIfAnswered();
            // Who was too slow for its consoles goes on with them; by way of the loop, as printing ends here again.
            if (std::exchange(connection.isBlocked, false)) {
                watch(connection);
                for (auto const& console : connection.consoles)
                    wake(connection.number, *console);
            }
        } else if (!connection.isBlocked) {
            connection.isBlocked = true;
            watch(connection);
        }
    }

    void answer(Connection& connection, Json const& id, int code, std::string const& message)
    {
        send(connection,
            { { "jsonrpc", "2.0" }, { "id", id }, { "error", { { "code", code }, { "message", message } } } });
    }

    void take(Connection& connection, std::string const& line)
    {
        auto const parsed = vmm::state::parseJson(line, requestLimit);
        if (!parsed)
            return answer(connection, Json(), parseError, parsed.error().detail);
        auto const& message = *parsed;
        if (!message.is_object() || textIn(message, "jsonrpc") != "2.0" || textIn(message, "method").empty())
            return answer(connection, Json(), invalidRequest, "no JSON-RPC 2.0 request");
        auto const idMember = message.find("id");
        Json const id = idMember == message.end() ? Json() : *idMember;
        if (!id.is_null() && !id.is_number() && !id.is_string())
            return answer(connection, Json(), invalidRequest, "the id is neither a number nor a string");
        auto const paramsMember = message.find("params");
        Json const params = paramsMember == message.end() ? Json::object() : *paramsMember;
        if (!params.is_object())
            return answer(connection, id, invalidParams, "parameters are given by name");
        connection.hasSpoken = true;
        bool const isNotification = idMember == message.end(); // 4.1: gets no answer
        if (!isNotification)
            ++connection.unanswered;
        auto const tell = [gate = gate, number = connection.number, id, isNotification](char const* what, Json its) {
            std::lock_guard const guard(gate->mutex);
            if (gate->server == nullptr || isNotification)
                return;
            gate->server->loop->post([server = gate->server, number, id, what, its = std::move(its)] {
                if (auto* found = server->find(number)) {
                    --found->unanswered;
                    server->send(*found, { { "jsonrpc", "2.0" }, { "id", id }, { what, its } });
                    server->endIfAnswered();
                }
            });
        };
        Reply const reply = [tell](vmm::Result<Json> outcome) {
            outcome ? tell("result", std::move(*outcome)) : tell("error", errorToJson(outcome.error()));
        };
        auto const method = textIn(message, "method");
        auto const refuse = [tell, method] {
            tell("error", { { "code", methodNotFound }, { "message", fmt::format("there is no method {}", method) } });
        };
        auto const leave = [tell] {
            auto error = errorToJson({ vmm::ErrorCode::Disconnected, "the process that had the machine is ending", 0 });
            error["code"] = processEnds;
            tell("error", std::move(error));
        };
        if (auto const understood = checkParams(params); !understood)
            return reply(vmm::fail(understood.error()));
        std::function<bool()> isWanted;
        if (!isNotification)
            isWanted = [isThere = connection.isThere] { return isThere->load(); };
        dispatch(connection, method, params, reply, isWanted, refuse, leave);
    }

    bool isServed(MachineRunner const& runner) const
    {
        return !isFinishing && (what == Serves::All || isInMemory(runner.state()));
    }

    vmm::Result<std::shared_ptr<MachineRunner>> machineIn(Json const& params)
    {
        auto const wanted = textIn(params, "machine");
        std::shared_ptr<MachineRunner> found;
        for (auto const& one : served) {
            auto const config = one.runner->config();
            if (config.uuid == wanted)
                return one.runner;
            if (config.name != wanted)
                continue;
            if (found)
                return vmm::fail(
                    vmm::ErrorCode::InvalidArgument, fmt::format("several machines are called {}", wanted));
            found = one.runner;
        }
        // A process that runs one machine needs no name to be told which.
        if (wanted.empty() && served.size() == 1)
            return served.front().runner;
        if (!found)
            return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("no machine called \"{}\" is here", wanted));
        return found;
    }

    void dispatch(Connection& connection, std::string const& method, Json const& params, Reply const& reply,
        std::function<bool()> const& isWanted, std::function<void()> const& refuse, std::function<void()> const& leave)
    {
        if (method == "host.describe") {
            Json machines = Json::array();
            for (auto const& one : served) {
                if (isServed(*one.runner))
                    machines.push_back(machineToJson(*one.runner));
            }
            return reply(Json { { "program", program }, { "pid", ::getpid() }, { "machines", std::move(machines) } });
        }
        if (method == "events.subscribe") {
            connection.wantsEvents = true;
            return reply(Json::object());
        }
        // These wait for the machine's threads or the disk, and change nothing.
        static std::set<std::string_view> const reads { "machine.show", "moment.list", "moment.foreseeUsb",
            "moment.diff", "moment.inspect", "moment.diskCosts", "moment.export", "disk.list" };
        // These look something up there first, such as a moment by its name.
        static std::set<std::string_view> const lookUp { "moment.go", "moment.change", "moment.end", "moment.fork",
            "moment.policy", "moment.prune", "disk.commit" };
        bool const isMachines = isMachineMethod(method), isMoments = method.starts_with("moment."),
                   isDisks = method.starts_with("disk.");
        if (!isMachines && !isMoments && !isDisks && method != "console.attach")
            return refuse();
        auto const machine = machineIn(params);
        if (!machine)
            return reply(vmm::fail(machine.error()));
        if (!isServed(**machine))
            return leave();
        if (method == "console.attach")
            return attachConsole(connection, *machine, params, reply);
        auto const call = [=, machine = *machine] {
            bool const isKnown = isMachines ? callMachineMethod(*machine, method, params, reply)
                : isMoments                 ? callMomentMethod(*machine, method, params, reply, isWanted)
                                            : callDiskMethod(*machine, method, params, reply);
            if (!isKnown)
                refuse();
        };
        auto const id = (*machine)->id();
        using enum MachineReaders::LooksUp;
        auto const asked = reads.contains(method) ? readers.read(id, call)
                                                  : readers.change(id, call, lookUp.contains(method) ? Yes : No);
        if (!asked)
            reply(vmm::fail(asked.error()));
    }

    using Machine = std::shared_ptr<MachineRunner>;
    void attachConsole(Connection& connection, Machine const& machine, Json const& params, Reply const& reply)
    {
        std::string id;
        auto const link = consoleIn(*machine, params, id);
        if (!link)
            return reply(vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no serial port \"{}\"", id)));
        if (connection.consoles.size() >= 32)
            return reply(vmm::fail(vmm::ErrorCode::Busy, "too many consoles on one connection"));
        auto console = std::make_unique<Console>();
        console->link = link;
        console->machine = machine->id();
        console->id = id;
        console->position = numberIn(params, "position");
        console->run = numberIn(params, "run");
        console->which = connection.consoles.size();
        console->listener = link->addListener([this, number = connection.number, which = console->which,
                                                  woken = console->isWoken] { wake(number, which, woken); });
        connection.consoles.push_back(std::move(console));
        reply(Json { { "console", id } });
        // After the answer, so that nobody has to guess what the first output belongs to.
        wake(connection.number, *connection.consoles.back());
    }

    void wake(std::uint64_t number, Console& console) { wake(number, console.which, console.isWoken); }

    /// Any thread: has the console's new output printed soon, once however often it is asked.
    void wake(std::uint64_t number, std::size_t which, std::shared_ptr<std::atomic<bool>> const& woken)
    {
        if (woken->exchange(true))
            return;
        loop->post([this, number, which, woken] {
            woken->store(false);
            if (auto* found = find(number); found != nullptr && !found->isClosing)
                printOutput(*found, *found->consoles[which]);
        });
    }

    void printOutput(Connection& connection, Console& console)
    {
        // What the client has not taken yet comes first; the port keeps the rest for us meanwhile.
        if (connection.output.size() > 65536)
            return;
        vmm::Bytes bytes;
        console.position = console.link->readFrom(console.position, bytes, console.run);
        if (bytes.empty())
            return;
        notify(connection, "console.output",
            { { "machine", console.machine }, { "console", console.id }, { "run", console.run },
                { "position", console.position }, { "data", vmm::state::base64Encode(bytes) } });
    }

    void notify(Connection& connection, char const* method, Json params)
    {
        send(connection, { { "jsonrpc", "2.0" }, { "method", method }, { "params", std::move(params) } });
    }

    void tellAll(char const* method, Json const& params)
    {
        for (auto const& [number, connection] : connections) {
            if (connection->wantsEvents && connection->output.size() < outputLimit)
                notify(*connection, method, params);
        }
    }

    void tell(std::string const& machine, Notice const& notice)
    {
        auto const all = [&](char const* method, Json params) {
            params["machine"] = machine;
            tellAll(method, params);
        };
        std::visit(
            vmm::Cases {
                [&](notice::StateChanged const& one) {
                    Json params { { "state", std::string(stateName(one.state)) } };
                    if (one.reason)
                        params["reason"] = errorToJson(*one.reason);
                    all("machine.stateChanged", std::move(params));
                },
                [&](notice::Progress const& one) {
                    all("machine.progress", { { "job", one.job }, { "fraction", one.fraction } });
                },
                [&](notice::MediumChanged const& one) {
                    all("machine.mediumChanged", { { "drive", one.drive }, { "path", one.path } });
                },
                [&](notice::NetworkChanged const& one) {
                    all("machine.networkChanged",
                        { { "network", one.network.id }, { "connected", one.network.connected },
                            { "forwards", forwardsToJson(one.network.forwards) } });
                },
                [&](notice::PluggedChanged const& one) {
                    all("machine.pluggedChanged", { { "device", one.device }, { "plugged", one.plugged } });
                },
                [&](notice::UsbAdded const& one) { all("machine.usbAdded", ownUsbToJson(one.device)); },
                [&](notice::UsbRemoved const& one) {
                    all("machine.usbRemoved", { { "device", one.device } });
                },
                [&](notice::HostUsbChanged const& one) {
                    auto devices = Json::array();
                    for (auto const& device : one.devices)
                        devices.push_back(hostUsbToJson(device));
                    all("machine.hostUsbChanged", { { "devices", std::move(devices) } });
                },
                [&](notice::RedirectedUsbChanged const& one) {
                    Json params { { "redirected", redirectedUsbToJson(one.redirected) } };
                    if (one.reason) {
                        params["lost"] = one.lost;
                        params["reason"] = errorToJson(*one.reason);
                    }
                    all("machine.redirectedUsbChanged", std::move(params));
                },
                [&](notice::UsbQuestionsChanged const& one) {
                    all("machine.usbQuestionsChanged", { { "questions", usbQuestionsToJson(one.questions) } });
                },
                [&](notice::HostUsbFailed const& one) {
                    all("machine.hostUsbFailed",
                        { { "device", hostUsbToJson(one.device) }, { "error", errorToJson(one.error) } });
                },
                [&](notice::ForwardsMissed const& one) {
                    all("machine.forwardsMissed", { { "network", one.network }, { "error", errorToJson(one.why) } });
                },
                [&](notice::GuestRebooted const&) { all("machine.guestRebooted", Json::object()); },
                [&](notice::MomentKept const& one) {
                    all("machine.momentKept", { { "moment", one.id } });
                },
                [&](notice::KeepingEnded const&) {
                    all("machine.jobEnded", { { "job", "keep" } });
                },
                [&](notice::JobEnded const& one) {
                    all("machine.jobEnded", { { "job", one.job } });
                },
                [&](notice::PresentLeft const& one) {
                    all("machine.presentLeft",
                        { { "moment", one.moment },
                            { "reason", stateNames(one.reason)[static_cast<std::size_t>(one.reason)] } });
                },
                [](vmm::OneOf<notice::PointerModeChanged, notice::ConfigChanged, notice::FormatsFound,
                    notice::MachineReset, notice::PastNeglected> auto const&) {
                    // for who has the machine in memory
                },
            },
            notice);
    }

    void serve(std::vector<std::shared_ptr<MachineRunner>> const& runners)
    {
        auto const isSame = std::equal(served.begin(), served.end(), runners.begin(), runners.end(),
            [](Served const& one, auto const& other) { return one.runner == other; });
        if (isSame)
            return;
        std::vector<Served> stay;
        for (auto& one : served) {
            if (std::ranges::find(runners, one.runner) != runners.end())
                stay.push_back(one);
            else
                one.runner->removeObserver(one.observer);
        }
        served.clear();
        for (auto const& runner : runners) {
            // What a machine tells while others come and go is heard.
            if (auto const known = std::ranges::find(stay, runner, &Served::runner); known != stay.end()) {
                served.push_back(*known);
                continue;
            }
            auto const observer = runner->addObserver([this, id = runner->id()](Notice const& notice) {
                loop->post([this, id, notice] { tell(id, notice); });
            });
            served.push_back({ runner, observer });
        }
        std::set<std::string> ids;
        for (auto const& runner : runners)
            ids.insert(runner->id());
        readers.keepOnly(ids);
    }
};

vmm::Result<std::unique_ptr<ControlServer>> ControlServer::start(
    std::string const& directory, std::string program, Serves what)
{
    TRY(makeRuntimeDirectory(directory));
    liveSockets(directory);

    std::unique_ptr<ControlServer> server(new ControlServer);
    server->m_path = socketPath(directory);
    sockaddr_un address {};
    address.sun_family = AF_UNIX;
    if (server->m_path.size() >= sizeof address.sun_path)
        return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("{} is too long for a socket", server->m_path));
    std::memcpy(address.sun_path, server->m_path.data(), server->m_path.size());
    server->m_private = std::make_unique<Private>();
    auto& state = *server->m_private;
    state.program = std::move(program);
    state.what = what;
    state.listening.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::unlink(server->m_path.c_str());
    // 0600 before anybody could connect: bind() makes the file with what fchmod() says of the socket (unix(7)).
    if (!state.listening || ::fchmod(state.listening.get(), 0600) != 0
        || ::bind(state.listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0
        || ::chmod(server->m_path.c_str(), 0600) != 0 || ::listen(state.listening.get(), 16) != 0)
        return vmm::failOs(fmt::format("listening on {}", server->m_path));
    state.thread = TRY(vmm::LoopThread::start("control"));
    state.loop = &state.thread->loop();
    state.gate->server = &state;
    state.loop->call([&state] {
        state.accepting = vmm::acceptFrom(*state.loop, state.listening.get(),
            [&state](vmm::UniqueFd fd, sockaddr_storage const&) { state.admit(std::move(fd)); });
    });
    return server;
}

ControlServer::~ControlServer()
{
    if (!m_private || !m_private->thread)
        return;
    ::unlink(m_path.c_str());
    {
        std::lock_guard const guard(m_private->gate->mutex);
        m_private->gate->server = nullptr;
    }
    m_private->loop->call([this] {
        m_private->serve({});
        m_private->connections.clear();
        m_private->accepting.reset();
        m_private->nextLook.reset();
        m_private->whenAnswered = {};
    });
    m_private->thread.reset();
}

void ControlServer::finish(std::function<void()> done, vmm::Nanoseconds patience)
{
    ::unlink(m_path.c_str());
    m_private->loop->post([this, done = std::move(done), patience] { m_private->finish(done, patience); });
}

void ControlServer::setRunners(std::vector<std::shared_ptr<MachineRunner>> runners)
{
    // Not waiting for it: the desktop's only thread asks.
    m_private->loop->post([this, runners = std::move(runners)] { m_private->serve(runners); });
}

}
