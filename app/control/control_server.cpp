#include "app/control/control_server.h"

#include "app/control/disk_methods.h"
#include "app/control/gamepad_json.h"
#include "app/control/host_usb_json.h"
#include "app/control/key_names.h"
#include "app/control/machine_readers.h"
#include "app/control/moment_methods.h"
#include "app/control/own_usb_json.h"
#include "app/control/redirected_usb_json.h"
#include "app/runner/picture.h"
#include "vmm/base/accept_from.h"
#include "vmm/base/cases.h"

#include <array>
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

std::uint64_t numberIn(Json const& params, char const* name)
{
    auto const found = params.find(name);
    return found != params.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

Json describe(MachineRunner const& runner)
{
    auto const config = runner.config();
    Json json { { "uuid", config.uuid }, { "name", config.name }, { "state", std::string(stateName(runner.state())) },
        { "cpus", config.cpus }, { "memoryMiB", config.memoryMiB } };
    if (auto const reason = runner.reason())
        json["reason"] = errorToJson(*reason);
    return json;
}

}

struct ControlServer::Private {
    std::string program;
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
        loop->post([this, number = connection.number] { connections.erase(number); });
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
        }
        if (connection.output.size() > answerLimit)
            return close(connection);
        closeAnswered(connection);
        if (connection.isClosing)
            return;
        if (connection.output.empty()) {
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
        if (auto const understood = checkParams(params); !understood)
            return reply(vmm::fail(understood.error()));
        std::function<bool()> isWanted;
        if (!isNotification)
            isWanted = [isThere = connection.isThere] { return isThere->load(); };
        dispatch(connection, method, params, reply, isWanted, refuse);
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

    static MachineRunner::Completion plain(Reply const& reply)
    {
        return [reply](vmm::Result<> outcome) {
            if (outcome)
                reply(Json::object());
            else
                reply(vmm::fail(outcome.error()));
        };
    }

    void dispatch(Connection& connection, std::string const& method, Json const& params, Reply const& reply,
        std::function<bool()> const& isWanted, std::function<void()> const& refuse)
    {
        if (method == "host.describe") {
            Json machines = Json::array();
            for (auto const& one : served)
                machines.push_back(describe(*one.runner));
            return reply(Json { { "program", program }, { "pid", ::getpid() }, { "machines", std::move(machines) } });
        }
        if (method == "events.subscribe") {
            connection.wantsEvents = true;
            return reply(Json::object());
        }
        using Handler = void (Private::*)(std::shared_ptr<MachineRunner> const&, Json const&, Reply const&);
        static std::map<std::string_view, Handler> const handlers {
            { "machine.show", &Private::show },
            { "machine.start", &Private::start },
            { "machine.pause", &Private::pause },
            { "machine.resume", &Private::resume },
            { "machine.reset", &Private::reset },
            { "machine.shutdown", &Private::shutdown },
            { "machine.powerOff", &Private::powerOff },
            { "machine.suspend", &Private::suspend },
            { "machine.discardState", &Private::discardState },
            { "machine.cancel", &Private::cancel },
            { "machine.insert", &Private::insert },
            { "machine.eject", &Private::eject },
            { "machine.setCable", &Private::setCable },
            { "machine.setForwards", &Private::setForwards },
            { "machine.setPlugged", &Private::setPlugged },
            { "machine.addUsb", &Private::addUsb },
            { "machine.removeUsb", &Private::removeUsb },
            { "machine.hostUsb", &Private::hostUsb },
            { "machine.attachUsb", &Private::attachUsb },
            { "machine.detachUsb", &Private::detachUsb },
            { "machine.redirectUsb", &Private::redirectUsb },
            { "machine.redirectedUsb", &Private::redirectedUsb },
            { "machine.endUsbRedirection", &Private::endUsbRedirection },
            { "machine.dismissUsb", &Private::dismissUsb },
            { "machine.sendKeys", &Private::sendKeys },
            { "machine.sendPointer", &Private::sendPointer },
            { "machine.sendGamepad", &Private::sendGamepad },
            { "machine.screenshot", &Private::screenshot },
            { "machine.statistics", &Private::statistics },
            { "console.write", &Private::writeConsole },
            { "console.resize", &Private::resizeConsole },
        };
        // These wait for the machine's threads or the disk, and change nothing.
        static std::set<std::string_view> const reads { "machine.show", "moment.list", "moment.foreseeUsb",
            "moment.diff", "moment.inspect", "moment.diskCosts", "moment.export", "disk.list" };
        // These look something up there first, such as a moment by its name.
        static std::set<std::string_view> const lookUp { "moment.go", "moment.change", "moment.end", "moment.fork",
            "moment.policy", "moment.prune", "disk.commit" };
        auto const handler = handlers.find(method);
        bool const isMoments = method.starts_with("moment."), isDisks = method.starts_with("disk.");
        if (handler == handlers.end() && !isMoments && !isDisks && method != "console.attach")
            return refuse();
        auto const machine = machineIn(params);
        if (!machine)
            return reply(vmm::fail(machine.error()));
        if (method == "console.attach")
            return attachConsole(connection, *machine, params, reply);
        auto const call = [=, this, machine = *machine] {
            if (handler != handlers.end())
                return (this->*handler->second)(machine, params, reply);
            bool const isKnown = isMoments ? callMomentMethod(*machine, method, params, reply, isWanted)
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
    void show(Machine const& machine, Json const&, Reply const& reply)
    {
        auto json = describe(*machine);
        json["config"] = *vmm::state::parseJson(vmm::configToText(machine->config()));
        Json obstacles = Json::array();
        for (auto const& error : machine->saveObstacles())
            obstacles.push_back(errorToJson(error));
        json["saveObstacles"] = std::move(obstacles);
        reply(std::move(json));
    }
    void start(Machine const& machine, Json const& params, Reply const& reply)
    {
        flagIn(params, "paused") ? machine->startPaused(plain(reply)) : machine->start(plain(reply));
    }
    void pause(Machine const& machine, Json const&, Reply const& reply) { machine->pause(plain(reply)); }
    void resume(Machine const& machine, Json const&, Reply const& reply) { machine->resume(plain(reply)); }
    void reset(Machine const& machine, Json const&, Reply const& reply) { machine->reset(plain(reply)); }
    void shutdown(Machine const& machine, Json const&, Reply const& reply) { machine->pressPowerButton(plain(reply)); }
    void powerOff(Machine const& machine, Json const&, Reply const& reply) { machine->powerOff(plain(reply)); }
    void suspend(Machine const& machine, Json const& params, Reply const& reply)
    {
        machine->suspend(plain(reply), textIn(params, "directory"), !flagIn(params, "keepRunning"));
    }
    void discardState(Machine const& machine, Json const& params, Reply const& reply)
    {
        machine->discardState(plain(reply), flagIn(params, "really") ? Really::Yes : Really::No);
    }
    void cancel(Machine const& machine, Json const&, Reply const& reply) { machine->cancelJob(plain(reply)); }
    void insert(Machine const& machine, Json const& params, Reply const& reply)
    {
        machine->insertMedium(textIn(params, "drive"), textIn(params, "path"), plain(reply));
    }
    void eject(Machine const& machine, Json const& params, Reply const& reply)
    {
        machine->ejectMedium(textIn(params, "drive"), flagIn(params, "force"), plain(reply));
    }
    void setCable(Machine const& machine, Json const& params, Reply const& reply)
    {
        if (!params.contains("connected"))
            return reply(vmm::fail(vmm::ErrorCode::InvalidArgument, "\"connected\" is true or false"));
        machine->setConnected(textIn(params, "network"), flagIn(params, "connected"), plain(reply));
    }
    void setPlugged(Machine const& machine, Json const& params, Reply const& reply)
    {
        if (!params.contains("plugged"))
            return reply(vmm::fail(vmm::ErrorCode::InvalidArgument, "\"plugged\" is true or false"));
        machine->setPlugged(textIn(params, "device"), flagIn(params, "plugged"), plain(reply));
    }
    void addUsb(Machine const& machine, Json const& params, Reply const& reply)
    {
        auto const addition = ownUsbFromJson(params);
        if (!addition)
            return reply(vmm::fail(addition.error()));
        machine->addUsb(*addition, [reply](vmm::Result<std::string> const& id) {
            reply(id ? vmm::Result<Json>(Json { { "device", *id } }) : vmm::fail(id.error()));
        });
    }
    void removeUsb(Machine const& machine, Json const& params, Reply const& reply)
    {
        machine->removeUsb(textIn(params, "device"), plain(reply));
    }
    void hostUsb(Machine const& machine, Json const&, Reply const& reply)
    {
        auto devices = Json::array();
        for (auto const& device : machine->attachedHostUsb())
            devices.push_back(hostUsbToJson(device));
        reply(Json { { "devices", std::move(devices) }, { "questions", usbQuestionsToJson(machine->usbQuestions()) } });
    }
    void dismissUsb(Machine const& machine, Json const& params, Reply const& reply)
    {
        machine->dismissUsbQuestion(textIn(params, "port"));
        reply(Json::object());
    }
    void attachUsb(Machine const& machine, Json const& params, Reply const& reply)
    {
        machine->attachHostUsb(
            textIn(params, "device"), flagIn(params, "really") ? Really::Yes : Really::No, plain(reply));
    }
    void detachUsb(Machine const& machine, Json const& params, Reply const& reply)
    {
        machine->detachHostUsb(textIn(params, "device"), plain(reply));
    }
    void redirectUsb(Machine const& machine, Json const& params, Reply const& reply)
    {
        auto const from = textIn(params, "from"), listen = textIn(params, "listen");
        if (from.empty() == listen.empty())
            return reply(
                vmm::fail(vmm::ErrorCode::InvalidArgument, "say either \"from\" where, or where to \"listen\""));
        auto const address = parseUsbPeerAddress(from.empty() ? listen : from);
        if (!address)
            return reply(vmm::fail(address.error()));
        auto const done = [reply](vmm::Result<RedirectedUsb> const& outcome) {
            reply(outcome ? vmm::Result<Json>(redirectedUsbToJson(*outcome)) : vmm::fail(outcome.error()));
        };
        from.empty() ? machine->listenForUsb(*address, done) : machine->redirectUsb(*address, done);
    }
    static Json redirectedToJson(std::vector<RedirectedUsb> const& redirected)
    {
        auto all = Json::array();
        for (auto const& one : redirected)
            all.push_back(redirectedUsbToJson(one));
        return all;
    }
    void redirectedUsb(Machine const& machine, Json const&, Reply const& reply)
    {
        reply(Json { { "redirected", redirectedToJson(machine->redirectedUsb()) } });
    }
    void endUsbRedirection(Machine const& machine, Json const& params, Reply const& reply)
    {
        machine->endUsbRedirection(textIn(params, "id"), plain(reply));
    }
    void setForwards(Machine const& machine, Json const& params, Reply const& reply)
    {
        auto const forwards = forwardsFromJson(params.value("forwards", Json()));
        if (!forwards)
            return reply(vmm::fail(forwards.error()));
        machine->setForwards(textIn(params, "network"), *forwards, plain(reply));
    }
    void statistics(Machine const& machine, Json const&, Reply const& reply)
    {
        auto const figures = machine->statistics();
        reply(Json { { "cpuNanoseconds", figures.cpuNanoseconds }, { "residentBytes", figures.residentBytes },
            { "diskBytesRead", figures.diskBytesRead }, { "diskBytesWritten", figures.diskBytesWritten },
            { "networkBytesReceived", figures.networkBytesReceived },
            { "networkBytesSent", figures.networkBytesSent } });
    }
    void sendKeys(Machine const& machine, Json const& params, Reply const& reply)
    {
        auto const keys = params.find("keys");
        if (keys == params.end() || !keys->is_array() || keys->size() > 1024)
            return reply(vmm::fail(vmm::ErrorCode::InvalidArgument, "\"keys\" is a list of up to 1024 key names"));
        std::vector<std::vector<std::uint16_t>> chords;
        for (auto const& key : *keys) {
            auto const chord = parseChord(key.is_string() ? key.get<std::string>() : std::string());
            if (!chord)
                return reply(vmm::fail(chord.error()));
            chords.push_back(*chord);
        }
        if (machine->state() != SessionState::Running)
            return reply(
                vmm::fail(vmm::ErrorCode::NotNow, fmt::format("the machine is {}", stateName(machine->state()))));
        for (auto const& chord : chords) {
            for (auto const code : chord)
                machine->sendInput(vmm::KeyInput { code, true });
            for (auto code = chord.rbegin(); code != chord.rend(); ++code)
                machine->sendInput(vmm::KeyInput { *code, false });
        }
        reply(Json::object());
    }
    void sendPointer(Machine const& machine, Json const& params, Reply const& reply)
    {
        static constexpr std::array<std::string_view, 3> buttons { "left", "right", "middle" };
        constexpr std::uint64_t farthest = 32767;
        auto const x = numberIn(params, "x"), y = numberIn(params, "y");
        auto const click = textIn(params, "click");
        auto const button = std::find(buttons.begin(), buttons.end(), click);
        if (x > farthest || y > farthest || (!click.empty() && button == buttons.end()))
            return reply(vmm::fail(vmm::ErrorCode::InvalidArgument,
                "\"x\" and \"y\" are 0 to 32767, and \"click\" is left, right or middle"));
        if (machine->state() != SessionState::Running)
            return reply(
                vmm::fail(vmm::ErrorCode::NotNow, fmt::format("the machine is {}", stateName(machine->state()))));
        machine->sendInput(vmm::AbsoluteMove { static_cast<std::uint16_t>(x), static_cast<std::uint16_t>(y) });
        for (bool const pressed : { true, false }) {
            if (button != buttons.end())
                machine->sendInput(
                    vmm::ButtonInput { static_cast<vmm::PointerButton>(button - buttons.begin()), pressed });
        }
        reply(Json::object());
    }
    /// As a whole: what is not named is let go.
    void sendGamepad(Machine const& machine, Json const& params, Reply const& reply)
    {
        auto input = gamepadFromJson(params);
        if (!input)
            return reply(vmm::fail(input.error()));
        auto const devices = machine->config().usbDevices;
        if (std::none_of(devices.begin(), devices.end(), [&](vmm::UsbDeviceConfig const& device) {
                return device.id == input->device && device.kind == vmm::UsbKind::Gamepad;
            }))
            return reply(
                vmm::fail(vmm::ErrorCode::NotFound, fmt::format("the machine has no gamepad \"{}\"", input->device)));
        if (machine->state() != SessionState::Running)
            return reply(
                vmm::fail(vmm::ErrorCode::NotNow, fmt::format("the machine is {}", stateName(machine->state()))));
        machine->sendInput(std::move(*input));
        reply(Json::object());
    }
    void screenshot(Machine const& machine, Json const& params, Reply const& reply)
    {
        auto display = textIn(params, "display");
        auto const displays = machine->config().displays;
        if (display.empty() && !displays.empty())
            display = displays.front().id;
        auto const screen = machine->screen(display);
        if (!screen)
            return reply(vmm::fail(vmm::ErrorCode::NotFound, "the machine has no such display"));
        vmm::Frame frame;
        screen->refresh(frame);
        screen->forget(frame);
        auto const picture = pictureOf(frame);
        auto const png = encodePng(picture);
        if (!png)
            return reply(vmm::fail(png.error()));
        reply(Json {
            { "width", picture.width }, { "height", picture.height }, { "png", vmm::state::base64Encode(*png) } });
    }

    std::shared_ptr<ConsoleLink> consoleIn(Machine const& machine, Json const& params, std::string& id)
    {
        id = textIn(params, "console");
        auto const consoles = vmm::consoleIds(machine->config());
        if (id.empty() && !consoles.empty())
            id = consoles.front();
        return machine->console(id);
    }
    void writeConsole(Machine const& machine, Json const& params, Reply const& reply)
    {
        std::string id;
        auto const link = consoleIn(machine, params, id);
        if (!link)
            return reply(vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no serial port \"{}\"", id)));
        auto const data = vmm::state::base64Decode(textIn(params, "data"));
        if (!data)
            return reply(vmm::fail(data.error()));
        if (!link->type(*data))
            return reply(vmm::fail(vmm::ErrorCode::Busy, "nobody reads what is typed there"));
        reply(Json::object());
    }
    void resizeConsole(Machine const& machine, Json const& params, Reply const& reply)
    {
        std::string id;
        auto const link = consoleIn(machine, params, id);
        if (!link)
            return reply(vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no serial port \"{}\"", id)));
        auto const columns = numberIn(params, "columns"), rows = numberIn(params, "rows");
        if (columns < 1 || rows < 1 || columns > UINT16_MAX || rows > UINT16_MAX)
            return reply(vmm::fail(vmm::ErrorCode::InvalidArgument, "a terminal has 1 to 65535 columns and rows"));
        link->setSize({ static_cast<std::uint16_t>(columns), static_cast<std::uint16_t>(rows) });
        reply(Json::object());
    }
    void attachConsole(Connection& connection, Machine const& machine, Json const& params, Reply const& reply)
    {
        std::string id;
        auto const link = consoleIn(machine, params, id);
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
                    Json params { { "redirected", redirectedToJson(one.redirected) } };
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

vmm::Result<std::unique_ptr<ControlServer>> ControlServer::start(std::string const& directory, std::string program)
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
    });
    m_private->thread.reset();
}

void ControlServer::setRunners(std::vector<std::shared_ptr<MachineRunner>> runners)
{
    // Not waiting for it: the desktop's only thread asks.
    m_private->loop->post([this, runners = std::move(runners)] { m_private->serve(runners); });
}

}
