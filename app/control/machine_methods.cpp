#include "app/control/machine_methods.h"

#include "app/control/gamepad_json.h"
#include "app/control/host_usb_json.h"
#include "app/control/key_names.h"
#include "app/control/own_usb_json.h"
#include "app/control/redirected_usb_json.h"
#include "app/runner/picture.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

namespace app::control {

namespace {

using Reply = std::function<void(vmm::Result<Json>)>;

MachineRunner::Completion plain(Reply const& reply)
{
    return [reply](vmm::Result<> outcome) {
        if (outcome)
            reply(Json::object());
        else
            reply(vmm::fail(outcome.error()));
    };
}

void show(MachineRunner& machine, Json const&, Reply const& reply)
{
    auto json = machineToJson(machine);
    json["config"] = *vmm::state::parseJson(vmm::configToText(machine.config()));
    Json obstacles = Json::array();
    for (auto const& error : machine.saveObstacles())
        obstacles.push_back(errorToJson(error));
    json["saveObstacles"] = std::move(obstacles);
    reply(std::move(json));
}

void start(MachineRunner& machine, Json const& params, Reply const& reply)
{
    flagIn(params, "paused") ? machine.startPaused(plain(reply)) : machine.start(plain(reply));
}

void pause(MachineRunner& machine, Json const&, Reply const& reply)
{
    machine.pause(plain(reply));
}

void resume(MachineRunner& machine, Json const&, Reply const& reply)
{
    machine.resume(plain(reply));
}

void reset(MachineRunner& machine, Json const&, Reply const& reply)
{
    machine.reset(plain(reply));
}

void shutdown(MachineRunner& machine, Json const&, Reply const& reply)
{
    machine.pressPowerButton(plain(reply));
}

void powerOff(MachineRunner& machine, Json const&, Reply const& reply)
{
    machine.powerOff(plain(reply));
}

void suspend(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.suspend(plain(reply), textIn(params, "directory"), !flagIn(params, "keepRunning"));
}

void discardState(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.discardState(plain(reply), flagIn(params, "really") ? Really::Yes : Really::No);
}

void cancel(MachineRunner& machine, Json const&, Reply const& reply)
{
    machine.cancelJob(plain(reply));
}

void insert(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.insertMedium(textIn(params, "drive"), textIn(params, "path"), plain(reply));
}

void eject(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.ejectMedium(textIn(params, "drive"), flagIn(params, "force"), plain(reply));
}

void setCable(MachineRunner& machine, Json const& params, Reply const& reply)
{
    if (!params.contains("connected"))
        return reply(vmm::fail(vmm::ErrorCode::InvalidArgument, "\"connected\" is true or false"));
    machine.setConnected(textIn(params, "network"), flagIn(params, "connected"), plain(reply));
}

void setPlugged(MachineRunner& machine, Json const& params, Reply const& reply)
{
    if (!params.contains("plugged"))
        return reply(vmm::fail(vmm::ErrorCode::InvalidArgument, "\"plugged\" is true or false"));
    machine.setPlugged(textIn(params, "device"), flagIn(params, "plugged"), plain(reply));
}

void addUsb(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const addition = ownUsbFromJson(params);
    if (!addition)
        return reply(vmm::fail(addition.error()));
    machine.addUsb(*addition, [reply](vmm::Result<std::string> const& id) {
        reply(id ? vmm::Result<Json>(Json { { "device", *id } }) : vmm::fail(id.error()));
    });
}

void removeUsb(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.removeUsb(textIn(params, "device"), plain(reply));
}

void hostUsb(MachineRunner& machine, Json const&, Reply const& reply)
{
    auto devices = Json::array();
    for (auto const& device : machine.attachedHostUsb())
        devices.push_back(hostUsbToJson(device));
    reply(Json { { "devices", std::move(devices) }, { "questions", usbQuestionsToJson(machine.usbQuestions()) } });
}

void dismissUsb(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.dismissUsbQuestion(textIn(params, "port"));
    reply(Json::object());
}

void attachUsb(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.attachHostUsb(textIn(params, "device"), flagIn(params, "really") ? Really::Yes : Really::No, plain(reply));
}

void detachUsb(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.detachHostUsb(textIn(params, "device"), plain(reply));
}

void redirectUsb(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const from = textIn(params, "from"), listen = textIn(params, "listen");
    if (from.empty() == listen.empty())
        return reply(vmm::fail(vmm::ErrorCode::InvalidArgument, "say either \"from\" where, or where to \"listen\""));
    auto const address = parseUsbPeerAddress(from.empty() ? listen : from);
    if (!address)
        return reply(vmm::fail(address.error()));
    auto const done = [reply](vmm::Result<RedirectedUsb> const& outcome) {
        reply(outcome ? vmm::Result<Json>(redirectedUsbToJson(*outcome)) : vmm::fail(outcome.error()));
    };
    from.empty() ? machine.listenForUsb(*address, done) : machine.redirectUsb(*address, done);
}

void redirectedUsb(MachineRunner& machine, Json const&, Reply const& reply)
{
    reply(Json { { "redirected", redirectedUsbToJson(machine.redirectedUsb()) } });
}

void endUsbRedirection(MachineRunner& machine, Json const& params, Reply const& reply)
{
    machine.endUsbRedirection(textIn(params, "id"), plain(reply));
}

void setForwards(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const forwards = forwardsFromJson(params.value("forwards", Json()));
    if (!forwards)
        return reply(vmm::fail(forwards.error()));
    machine.setForwards(textIn(params, "network"), *forwards, plain(reply));
}

void statistics(MachineRunner& machine, Json const&, Reply const& reply)
{
    auto const figures = machine.statistics();
    reply(Json { { "cpuNanoseconds", figures.cpuNanoseconds }, { "residentBytes", figures.residentBytes },
        { "diskBytesRead", figures.diskBytesRead }, { "diskBytesWritten", figures.diskBytesWritten },
        { "networkBytesReceived", figures.networkBytesReceived }, { "networkBytesSent", figures.networkBytesSent } });
}

void sendKeys(MachineRunner& machine, Json const& params, Reply const& reply)
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
    if (machine.state() != SessionState::Running)
        return reply(vmm::fail(vmm::ErrorCode::NotNow, fmt::format("the machine is {}", stateName(machine.state()))));
    for (auto const& chord : chords) {
        for (auto const code : chord)
            machine.sendInput(vmm::KeyInput { code, true });
        for (auto code = chord.rbegin(); code != chord.rend(); ++code)
            machine.sendInput(vmm::KeyInput { *code, false });
    }
    reply(Json::object());
}

void sendPointer(MachineRunner& machine, Json const& params, Reply const& reply)
{
    static constexpr std::array<std::string_view, 3> buttons { "left", "right", "middle" };
    constexpr std::uint64_t farthest = 32767;
    auto const x = numberIn(params, "x"), y = numberIn(params, "y");
    auto const click = textIn(params, "click");
    auto const button = std::find(buttons.begin(), buttons.end(), click);
    if (x > farthest || y > farthest || (!click.empty() && button == buttons.end()))
        return reply(vmm::fail(
            vmm::ErrorCode::InvalidArgument, "\"x\" and \"y\" are 0 to 32767, and \"click\" is left, right or middle"));
    if (machine.state() != SessionState::Running)
        return reply(vmm::fail(vmm::ErrorCode::NotNow, fmt::format("the machine is {}", stateName(machine.state()))));
    machine.sendInput(vmm::AbsoluteMove { static_cast<std::uint16_t>(x), static_cast<std::uint16_t>(y) });
    for (bool const pressed : { true, false }) {
        if (button != buttons.end())
            machine.sendInput(vmm::ButtonInput { static_cast<vmm::PointerButton>(button - buttons.begin()), pressed });
    }
    reply(Json::object());
}

/// As a whole: what is not named is let go.
void sendGamepad(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto input = gamepadFromJson(params);
    if (!input)
        return reply(vmm::fail(input.error()));
    auto const devices = machine.config().usbDevices;
    if (std::none_of(devices.begin(), devices.end(), [&](vmm::UsbDeviceConfig const& device) {
            return device.id == input->device && device.kind == vmm::UsbKind::Gamepad;
        }))
        return reply(
            vmm::fail(vmm::ErrorCode::NotFound, fmt::format("the machine has no gamepad \"{}\"", input->device)));
    if (machine.state() != SessionState::Running)
        return reply(vmm::fail(vmm::ErrorCode::NotNow, fmt::format("the machine is {}", stateName(machine.state()))));
    machine.sendInput(std::move(*input));
    reply(Json::object());
}

void screenshot(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto display = textIn(params, "display");
    auto const displays = machine.config().displays;
    if (display.empty() && !displays.empty())
        display = displays.front().id;
    auto const screen = machine.screen(display);
    if (!screen)
        return reply(vmm::fail(vmm::ErrorCode::NotFound, "the machine has no such display"));
    vmm::Frame frame;
    screen->refresh(frame);
    screen->forget(frame);
    auto const picture = pictureOf(frame);
    auto const png = encodePng(picture);
    if (!png)
        return reply(vmm::fail(png.error()));
    reply(Json { { "width", picture.width }, { "height", picture.height }, { "png", vmm::state::base64Encode(*png) } });
}

void writeConsole(MachineRunner& machine, Json const& params, Reply const& reply)
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

void resizeConsole(MachineRunner& machine, Json const& params, Reply const& reply)
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

using Handler = void (*)(MachineRunner&, Json const&, Reply const&);

std::map<std::string_view, Handler> const& handlers()
{
    static std::map<std::string_view, Handler> const all {
        { "machine.show", &show },
        { "machine.start", &start },
        { "machine.pause", &pause },
        { "machine.resume", &resume },
        { "machine.reset", &reset },
        { "machine.shutdown", &shutdown },
        { "machine.powerOff", &powerOff },
        { "machine.suspend", &suspend },
        { "machine.discardState", &discardState },
        { "machine.cancel", &cancel },
        { "machine.insert", &insert },
        { "machine.eject", &eject },
        { "machine.setCable", &setCable },
        { "machine.setForwards", &setForwards },
        { "machine.setPlugged", &setPlugged },
        { "machine.addUsb", &addUsb },
        { "machine.removeUsb", &removeUsb },
        { "machine.hostUsb", &hostUsb },
        { "machine.attachUsb", &attachUsb },
        { "machine.detachUsb", &detachUsb },
        { "machine.redirectUsb", &redirectUsb },
        { "machine.redirectedUsb", &redirectedUsb },
        { "machine.endUsbRedirection", &endUsbRedirection },
        { "machine.dismissUsb", &dismissUsb },
        { "machine.sendKeys", &sendKeys },
        { "machine.sendPointer", &sendPointer },
        { "machine.sendGamepad", &sendGamepad },
        { "machine.screenshot", &screenshot },
        { "machine.statistics", &statistics },
        { "console.write", &writeConsole },
        { "console.resize", &resizeConsole },
    };
    return all;
}

}

Json machineToJson(MachineRunner const& runner)
{
    auto const config = runner.config();
    Json json { { "uuid", config.uuid }, { "name", config.name }, { "state", std::string(stateName(runner.state())) },
        { "cpus", config.cpus }, { "memoryMiB", config.memoryMiB } };
    if (auto const reason = runner.reason())
        json["reason"] = errorToJson(*reason);
    return json;
}

std::shared_ptr<ConsoleLink> consoleIn(MachineRunner const& machine, Json const& params, std::string& id)
{
    id = textIn(params, "console");
    auto const consoles = vmm::consoleIds(machine.config());
    if (id.empty() && !consoles.empty())
        id = consoles.front();
    return machine.console(id);
}

bool isMachineMethod(std::string const& method)
{
    return handlers().contains(method);
}

bool callMachineMethod(MachineRunner& machine, std::string const& method, Json const& params, Reply const& reply)
{
    auto const handler = handlers().find(method);
    if (handler == handlers().end())
        return false;
    handler->second(machine, params, reply);
    return true;
}

}
