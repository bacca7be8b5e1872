#include "app/ctl/verbs.h"

#include "app/ctl/paths.h"
#include "app/runner/picture.h"
#include "app/store/whole_file.h"
#include "app/systems/media_advisor.h"
#include "app/systems/module.h"
#include "vmm/base/cases.h"

#include <algorithm>
#include <ctime>
#include <dlfcn.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <future>
#include <unistd.h>

namespace app::ctl {

namespace {

/// What the process that has the machine says of it; nothing when none has.
std::optional<Json> shownByOwner(std::string const& uuid, Surroundings const& around)
{
    auto client = control::connectToOwner(around.runtimeDirectory, uuid);
    if (!client)
        return std::nullopt;
    auto shown = client->call("machine.show", { { "machine", uuid } }, control::hostPatience);
    return shown ? std::optional(std::move(*shown)) : std::nullopt;
}

/// What all processes say of their machines. Each is asked once, for one that does not answer takes its time.
std::vector<Json> shownByAll(Surroundings const& around)
{
    std::vector<Json> shown;
    for (auto const& path : control::liveSockets(around.runtimeDirectory)) {
        auto client = control::ControlClient::connect(path);
        auto const host = client ? client->call("host.describe", Json::object(), control::hostPatience)
                                 : vmm::Result<Json>(vmm::fail(client.error()));
        if (!host)
            continue;
        for (auto machine : host->value("machines", Json::array())) {
            machine["pid"] = host->value("pid", 0);
            shown.push_back(std::move(machine));
        }
    }
    return shown;
}

std::string stateOf(StoredMachine const& machine, std::vector<Json> const& shown)
{
    if (machine.problem)
        return "unreadable";
    std::string resting;
    for (auto const& one : shown) {
        if (one.value("uuid", "") != machine.id)
            continue;
        // A desktop shows also what another process has in memory.
        resting = one.value("state", "unknown");
        if (resting != "off" && resting != "suspended")
            return resting;
    }
    if (!resting.empty())
        return resting;
    return machine.owner ? "unknown" : machine.isSuspended ? "suspended" : "off";
}

Json describe(StoredMachine const& machine, std::string const& state)
{
    Json json { { "uuid", machine.id }, { "name", machine.config.name }, { "state", state },
        { "cpus", machine.config.cpus }, { "memoryMiB", machine.config.memoryMiB },
        { "directory", machine.directory } };
    if (machine.owner)
        json["pid"] = *machine.owner;
    if (machine.problem)
        json["problem"] = machine.problem->message();
    return json;
}

}

namespace {

/// Refuses a name that another machine than `id` has.
vmm::Result<> checkIsFree(std::string const& name, MachineStore const& store, std::string const& id = {})
{
    auto const taken = store.find(name);
    // Another error than that there is none: several have it, or one that cannot be read.
    if (taken ? taken->id != id : taken.error().code != vmm::ErrorCode::NotFound)
        return vmm::fail(vmm::ErrorCode::AlreadyExists, fmt::format("there is a machine called {}", name));
    return {};
}

/// Of a machine in the trash.
vmm::Result<std::string> placeOf(std::string const& given, MachineStore const& store)
{
    std::vector<std::string> named, begun, images;
    for (auto const& machine : store.removed()) {
        auto const place = machine.place();
        if (place == given)
            return place;
        if (machine.config.name == given)
            (machine.isImages ? images : named).push_back(place);
        else if (given.size() >= 4 && place.starts_with(given))
            begun.push_back(place);
    }
    // Its images where it is not there itself.
    auto const& found = !named.empty() ? named : !images.empty() ? images : begun;
    if (found.empty())
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no removed machine called {}", given));
    if (found.size() > 1 && named.empty() && !images.empty()) {
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            fmt::format("images of {} were removed {} times; name them by what \"removed\" lists as UUID", given,
                found.size()));
    }
    if (found.size() > 1) {
        return vmm::fail(vmm::ErrorCode::InvalidArgument,
            fmt::format("{} removed machines are called {}; name one by its uuid", found.size(), given));
    }
    return found.front();
}

/// What the desktop would propose for this medium.
vmm::Result<MachineRequest> propose(std::string const& given, Surroundings const& around, Output const& output)
{
    auto const path = absolute(given);
    auto const host = inspectHost(around.store.machinesDirectory());
    auto medium = TRY(inspectMedium(path));
    if (medium.refusal)
        return vmm::fail(*medium.refusal);
    std::optional<SystemNeeds> needs;
    if (mayHoldSystem(medium) && !around.systemsModule.empty()) {
        // Never closed: GLib cannot be. Without it the system has no name, and gets what is usual.
        auto* module = ::dlopen(around.systemsModule.c_str(), RTLD_NOW | RTLD_LOCAL);
        auto* function = module != nullptr ? ::dlsym(module, identifyMediumName) : nullptr;
        std::optional<SystemOnMedium> found;
        if (function != nullptr)
            reinterpret_cast<IdentifyMedium*>(function)(path, found, needs);
        if (found)
            takeSystem(medium, *found);
    }
    auto const proposal = app::propose(medium, host, needs);
    auto const& request = proposal.request;
    output.note(fmt::format("{}: {} CPUs, {} MiB{}",
        medium.systemName.empty() ? medium.label.empty() ? "an unknown system" : medium.label : medium.systemName,
        request.config.cpus, request.config.memoryMiB,
        request.newDisks.empty() ? "" : fmt::format(", a new disk of {} GiB", request.newDisks.front().bytes >> 30)));
    if (proposal.lacksNetworkDriver)
        output.note("its network card needs a driver for virtio 1.0, which this system may not have");
    return request;
}

}

vmm::Result<Owner> findOwner(std::string const& machine, Surroundings const& around)
{
    auto const stored = around.store.find(machine);
    if (!stored && stored.error().code != vmm::ErrorCode::NotFound)
        return vmm::fail(stored.error());
    // Not in the library: it may be one that `run` has made up.
    auto const uuid = stored ? stored->id : machine;
    auto client = control::connectToOwner(around.runtimeDirectory, uuid);
    if (client)
        return Owner { std::move(*client), uuid };
    if (!stored)
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no machine called {}", machine));
    if (auto const owner = stored->owner)
        return vmm::fail(
            vmm::ErrorCode::Busy, fmt::format("process {} has {} and does not answer", *owner, stored->config.name));
    return vmm::fail(vmm::ErrorCode::NotNow,
        fmt::format("{} is {}", stored->config.name, stored->isSuspended ? "suspended" : "off"));
}

void noteMissedForwards(std::string const& machine, std::string const& event, Json const& told, Output const& output)
{
    if (event != "machine.forwardsMissed" || told.value("machine", "") != machine)
        return;
    auto why = control::errorFromJson(told.value("error", Json::object()));
    output.failed(std::move(why).within(told.value("network", "")));
}

void notePresentLeft(std::string const& moment, Output const& output)
{
    output.note(moment.empty() ? "chronoctl: what the machine was could not be kept as a moment"
                               : fmt::format("chronoctl: what the machine was is the moment {}", moment.substr(0, 8)));
}

void notePresentLeft(std::string const& machine, std::string const& event, Json const& told, Output const& output)
{
    if (event == "machine.presentLeft" && told.value("machine", "") == machine)
        notePresentLeft(told.value("moment", ""), output);
}

vmm::Result<Configured> findConfigured(std::string const& machine, Surroundings const& around)
{
    auto asked = askOwner(machine, around, [](Owner& owner) -> vmm::Result<Configured> {
        auto const shown = TRY(owner.client.call("machine.show", { { "machine", owner.uuid } }));
        auto config = TRY(vmm::configFromText(shown.value("config", Json::object()).dump()));
        auto const state = shown.value("state", "off");
        bool const isInMemory = state != "off" && state != "suspended";
        return Configured { std::move(owner), std::move(config), false, isInMemory };
    });
    if (asked)
        return std::move(*asked);
    if (asked.error().code != vmm::ErrorCode::NotNow)
        return vmm::fail(asked.error());
    auto stored = TRY(around.store.find(machine));
    return Configured { {}, std::move(stored.config), stored.isSuspended, false };
}

vmm::Result<Configured> findChangeable(std::string const& machine, Surroundings const& around)
{
    auto configured = TRY(findConfigured(machine, around));
    if (configured.isSuspended)
        return vmm::fail(vmm::ErrorCode::NotNow, fmt::format("{} is suspended", configured.config.name));
    return configured;
}

vmm::Result<> keepChange(MachineStore& store, std::string const& id, Notice const& notice)
{
    return std::visit(
        vmm::Cases {
            [&](notice::MediumChanged const& one) { return store.keepMedium(id, one.drive, one.path); },
            [&](notice::NetworkChanged const& one) { return store.keepNetwork(id, one.network); },
            [&](notice::PluggedChanged const& one) { return store.keepPlugged(id, one.device, one.plugged); },
            [&](notice::UsbAdded const& one) { return store.keepUsbAdded(id, one.device); },
            [&](notice::UsbRemoved const& one) { return store.keepUsbRemoved(id, one.device); },
            [&](notice::ConfigChanged const& one) { return store.keepConfig(one.config); },
            [&](notice::FormatsFound const& one) { return store.keepFormats(id, one.disks); },
            [](vmm::OneOf<notice::StateChanged, notice::Progress, notice::JobEnded, notice::PointerModeChanged,
                notice::HostUsbChanged, notice::RedirectedUsbChanged, notice::UsbQuestionsChanged,
                notice::HostUsbFailed, notice::ForwardsMissed, notice::GuestRebooted, notice::MachineReset,
                notice::MomentKept, notice::PresentLeft, notice::KeepingEnded, notice::PastNeglected> auto const&) {
                return vmm::Result<>(); // nothing that is on the disk
            },
        },
        notice);
}

vmm::Result<> changeHere(std::string const& machine, Surroundings& around,
    std::function<void(MachineRunner&, MachineRunner::Completion)> const& change)
{
    auto const stored = TRY(around.store.find(machine));
    vmm::Result<> written;
    std::promise<vmm::Result<>> answer;
    auto answered = answer.get_future();
    MachineRunner runner(stored.config, around.store.placesOf(stored.id), around.factory);
    runner.addObserver([&](Notice const& notice) {
        if (auto const kept = keepChange(around.store, stored.id, notice); !kept)
            written = kept;
    });
    change(runner, [&](vmm::Result<> const& outcome) { answer.set_value(outcome); });
    TRY(answered.get());
    return written;
}

int create(CreateOptions const& options, Surroundings& around, Output const& output)
{
    MachineRequest request;
    auto& config = request.config;
    config.serials = { { "serial0" } };
    config.displays = { {} };
    auto const made = [&]() -> vmm::Result<StoredMachine> {
        if (!options.from.empty())
            request = TRY(propose(options.from, around, output));
        config.name = options.name;
        config.notes = options.notes;
        TRY(checkIsFree(options.name, around.store));
        if (!options.newDisk.empty()) {
            auto const bytes = TRY(parseSize(options.newDisk));
            if (request.newDisks.empty()) {
                vmm::DiskConfig disk;
                disk.id = freeDeviceId(config, "disk");
                config.disks.push_back(disk);
                request.newDisks.push_back({ disk.id, bytes, DiskFormat::Qcow2 });
            }
            request.newDisks.front().bytes = bytes;
        }
        TRY(applyHardware(config, options.hardware));
        return around.store.create(std::move(request));
    }();
    if (!made)
        return output.failed(made.error());
    if (output.json)
        output.value(describe(*made, "off"));
    else
        output.text(fmt::format("{}  {}", made->id, made->config.name));
    return Done;
}

int list(Surroundings& around, Output const& output)
{
    Json all = Json::array();
    auto const stored = around.store.list();
    auto const shown = shownByAll(around);
    for (auto const& machine : stored)
        all.push_back(describe(machine, stateOf(machine, shown)));
    // And those that belong to no library.
    for (auto const& machine : shown) {
        auto const isKnown
            = std::any_of(all.begin(), all.end(), [&](Json const& one) { return one["uuid"] == machine["uuid"]; });
        if (!isKnown)
            all.push_back(machine);
    }
    if (output.json) {
        output.value(all);
        return Done;
    }
    output.text(fmt::format("{:<24} {:<11} {:>4} {:>9}  {}", "NAME", "STATE", "CPUS", "MEMORY", "UUID"));
    for (auto const& machine : all) {
        output.text(
            fmt::format("{:<24} {:<11} {:>4} {:>5} MiB  {}", machine.value("name", ""), machine.value("state", ""),
                machine.value("cpus", 0), machine.value("memoryMiB", 0), machine.value("uuid", "")));
    }
    return Done;
}

int show(std::string const& machine, Surroundings& around, Output const& output)
{
    auto const stored = around.store.find(machine);
    auto const shown = shownByOwner(stored ? stored->id : machine, around);
    if (!stored && !shown)
        return output.failed(stored.error());
    Json json = stored ? describe(*stored, stateOf(*stored, {})) : Json::object();
    if (shown)
        json.update(*shown);
    else
        json["config"] = *vmm::state::parseJson(vmm::configToText(stored->config));
    if (output.json) {
        output.value(json);
        return Done;
    }
    for (auto const& [key, value] : json.items()) {
        if (key == "config")
            continue;
        output.text(fmt::format(
            "{:<14} {}", key, value.is_string() ? value.get<std::string>() : vmm::state::toText(value, -1)));
    }
    if (json.contains("config"))
        output.text(vmm::state::toText(json["config"].value("state", Json::object())));
    return Done;
}

int told(vmm::Result<vmm::Result<Json>> const& answer, Output const& output)
{
    if (!answer)
        return output.failed(answer.error());
    return *answer ? output.answer({}, **answer) : output.failed(answer->error());
}

int control(
    std::string const& machine, std::string const& method, Json params, Surroundings& around, Output const& output)
{
    return told(askOwner(machine, around,
                    [&](Owner& owner) {
                        params["machine"] = owner.uuid;
                        return owner.client.call(method, params);
                    }),
        output);
}

int suspend(std::string const& machine, std::string const& directory, bool keepRunning, Surroundings& around,
    Output const& output)
{
    bool const tells = !output.json && ::isatty(output.err) == 1;
    Json params { { "keepRunning", keepRunning } };
    if (!directory.empty())
        params["directory"] = absolute(directory);
    auto const answer = askOwner(machine, around, [&](Owner& owner) {
        owner.client.onNotification([&, uuid = owner.uuid](std::string const& method, Json const& event) {
            if (tells && method == "machine.progress" && event.value("machine", "") == uuid
                && event.value("job", "") == "suspend")
                writeAll(output.err, fmt::format("\rsuspending: {:3.0f} %", event.value("fraction", 0.0) * 100));
        });
        vmm::ignore(owner.client.call("events.subscribe"));
        params["machine"] = owner.uuid;
        return owner.client.call("machine.suspend", params);
    });
    if (tells)
        writeAll(output.err, "\r                \r");
    return told(answer, output);
}

int renewCpu(std::string const& machine, Surroundings& around, Output const& output)
{
    auto const renewed = [&]() -> vmm::Result<bool> {
        auto const id = TRY(around.store.find(machine)).id;
        // As another model in the settings it is other hardware, which the guest may write down on its disks.
        if (::access(around.store.placesOf(id).cpuFile.c_str(), F_OK) == 0) {
            TRY(changeHere(machine, around, [](MachineRunner& runner, auto const& done) {
                runner.keepUnasked(vmm::timeline::Reason::BeforeChange, done);
            }));
        }
        return around.store.renewCpu(id);
    }();
    if (!renewed)
        return output.failed(renewed.error());
    if (output.json)
        output.value({ { "wasKept", *renewed } });
    else if (!*renewed)
        output.text("there was none that it had to keep");
    return Done;
}

int restore(std::string const& machine, bool foreground, Surroundings& around, Output const& output)
{
    RunOptions options;
    if (vmm::holdsSavedMachine(machine)) {
        options.restoreFrom = absolute(machine);
        return foreground ? run(options, around, output)
                          : runDetached({ "--restore", options.restoreFrom }, around, output);
    }
    auto const stored = around.store.find(machine);
    if (!stored)
        return output.failed(stored.error());
    if (!stored->isSuspended) {
        auto const state = stateOf(*stored, shownByAll(around));
        return output.failed({ vmm::ErrorCode::NotNow,
            fmt::format("{} is {}, not suspended{}", stored->config.name, state,
                state == "off" ? "; start begins it anew" : ""),
            0 });
    }
    options.machine = stored->id;
    return foreground ? run(options, around, output) : start(stored->id, false, around, output);
}

int discardState(std::string const& machine, bool really, Surroundings& around, Output const& output)
{
    auto const discarded = [&]() -> vmm::Result<> {
        auto const answer = askOwner(machine, around, [&](Owner& owner) {
            owner.client.onNotification([&, uuid = owner.uuid](std::string const& event, Json const& told) {
                notePresentLeft(uuid, event, told, output);
            });
            vmm::ignore(owner.client.call("events.subscribe"));
            return owner.client.call("machine.discardState", { { "machine", owner.uuid }, { "really", really } });
        });
        if (answer)
            return *answer ? vmm::Result<>() : vmm::fail(answer->error());
        if (answer.error().code != vmm::ErrorCode::NotNow)
            return vmm::fail(answer.error());
        return changeHere(machine, around, [&](MachineRunner& runner, auto const& done) {
            runner.addObserver([&output](Notice const& notice) {
                if (auto const* left = std::get_if<notice::PresentLeft>(&notice))
                    notePresentLeft(left->moment, output);
            });
            runner.discardState(done, really ? Really::Yes : Really::No);
        });
    }();
    return output.answer(discarded);
}

int renameMachine(std::string const& machine, std::string const& name, Surroundings& around, Output const& output)
{
    auto const renamed = [&]() -> vmm::Result<> {
        auto const id = TRY(around.store.find(machine)).id;
        TRY(checkIsFree(name, around.store, id));
        return around.store.rename(id, name);
    }();
    return output.answer(renamed);
}

int removeMachine(std::string const& machine, Surroundings& around, Output const& output)
{
    auto const found = around.store.find(machine);
    // One whose configuration cannot be read goes by its uuid.
    auto removed = around.store.remove(found ? found->id : machine);
    if (!found && !removed && removed.error().code == vmm::ErrorCode::NotFound)
        removed = vmm::fail(found.error());
    return output.answer(removed);
}

int listRemoved(Surroundings& around, Output const& output)
{
    auto const removed = around.store.removed();
    if (output.json) {
        Json all = Json::array();
        for (auto const& machine : removed) {
            all.push_back(describe(machine, "removed"));
            all.back()["removedAt"] = machine.removedAt * 1'000'000'000;
            if (machine.isImages)
                all.back()["place"] = machine.place();
        }
        output.value(all);
        return Done;
    }
    output.text(fmt::format("{:<24} {:<19}  {}", "NAME", "REMOVED", "UUID"));
    for (auto const& machine : removed) {
        output.text(fmt::format("{:<24} {:%Y-%m-%d %H:%M:%S}  {}",
            machine.isImages ? "images of " + machine.config.name : machine.config.name,
            fmt::localtime(static_cast<std::time_t>(machine.removedAt)), machine.place()));
    }
    return Done;
}

int bringBack(std::string const& removed, Surroundings& around, Output const& output)
{
    auto const back
        = [&]() -> vmm::Result<> { return around.store.restoreRemoved(TRY(placeOf(removed, around.store))); }();
    return output.answer(back);
}

int emptyTrash(unsigned days, Surroundings& around, Output const& output)
{
    auto const before = around.store.trashUsage();
    if (auto const emptied = around.store.emptyTrash(std::uint64_t { days } * 24 * 3600); !emptied)
        return output.failed(emptied.error());
    auto const freed = before - std::min(before, around.store.trashUsage());
    if (output.json)
        output.value({ { "freedBytes", freed } });
    else
        output.text(fmt::format("{} MiB freed", freed >> 20));
    return Done;
}

int screenshot(std::string const& machine, std::string const& path, Surroundings& around, Output const& output)
{
    auto const asked = askOwner(machine, around, [](Owner& owner) {
        return owner.client.call("machine.screenshot", { { "machine", owner.uuid } }, std::chrono::seconds(30));
    });
    if (!asked || !*asked)
        return output.failed(asked ? asked->error() : asked.error());
    auto const& answer = *asked;
    auto const png = vmm::state::base64Decode(answer->value("png", ""));
    if (!png)
        return output.failed(png.error());
    if (path.ends_with(".ppm")) {
        auto const picture = decodePng(*png);
        return picture ? output.answer(writePicture(*picture, path)) : output.failed(picture.error());
    }
    if (!path.ends_with(".png")) {
        return output.failed(
            { vmm::ErrorCode::InvalidArgument, fmt::format("{} is called neither .png nor .ppm", path), 0 });
    }
    return output.answer(writeWholeFile(path, *png, Durable::No));
}

}
