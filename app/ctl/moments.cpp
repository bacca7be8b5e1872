#include "app/control/disk_methods.h"
#include "app/control/moment_methods.h"
#include "app/ctl/verbs.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <future>
#include <map>
#include <string_view>
#include <unistd.h>

/// `chronoctl moment …`: the same methods, whether a process has the machine in memory or nobody.
namespace app::ctl {

namespace {

/// Of the process that has the machine, while a person hears what it tells meanwhile.
vmm::Result<vmm::Result<Json>> callProcess(std::string const& machine, std::string const& method, Json params,
    Surroundings const& around, Output const& output)
{
    return askOwner(machine, around, [&](Owner& owner) {
        bool const tells = !output.json && ::isatty(output.err) == 1;
        owner.client.onNotification([&, tells, uuid = owner.uuid](std::string const& event, Json const& told) {
            if (tells && event == "machine.progress" && told.value("machine", "") == uuid)
                writeAll(output.err, fmt::format("\r{:3.0f} %\r", told.value("fraction", 0.0) * 100));
            noteMissedForwards(uuid, event, told, output);
            notePresentLeft(uuid, event, told, output);
        });
        vmm::ignore(owner.client.call("events.subscribe"));
        params["machine"] = owner.uuid;
        return owner.client.call(method, params);
    });
}

/// A process is started that goes there.
int goToMoment(MomentOptions const& options, Surroundings& around, Output const& output)
{
    auto const stored = around.store.find(options.machine);
    if (!stored)
        return output.failed(stored.error());
    std::vector<std::string> arguments { stored->id, "--moment", options.moment };
    if (options.losePresent)
        arguments.emplace_back("--lose-present");
    return runDetached(std::move(arguments), around, output);
}

}

vmm::Result<Json> callOnMachine(
    std::string const& machine, std::string const& method, Json params, Surroundings& around, Output const& output)
{
    auto asked = callProcess(machine, method, params, around, output);
    if (asked)
        return std::move(*asked);
    if (asked.error().code != vmm::ErrorCode::NotNow)
        return vmm::fail(asked.error());
    auto const stored = TRY(around.store.find(machine));
    Interruption const interruption;
    MachineRunner runner(stored.config, around.store.placesOf(stored.id), around.factory);
    std::promise<vmm::Result<Json>> answer;
    auto answered = answer.get_future();
    auto const tell = [&](vmm::Result<Json> outcome) { answer.set_value(std::move(outcome)); };
    method.starts_with("disk.") ? control::callDiskMethod(runner, method, params, tell)
                                : control::callMomentMethod(runner, method, params, tell);
    while (answered.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout) {
        if (!interruption.hasCome())
            continue;
        runner.cancelJob();
        runner.cancelKeeping();
    }
    return answered.get();
}

namespace {

void print(Json const& list, Output const& output)
{
    output.text(fmt::format("{:<2}{:<9} {:<19} {:<14} {:>10} {:>10} {:>10} {:>10}  {}", "", "MOMENT", "TIME", "WHY",
        "OWN", "SHARED", "DISKS OWN", "SHARED", "NAME"));
    std::map<std::string, unsigned> unknown; // why, of how many moments
    auto const present = list.value("present", "");
    for (auto const& moment : list.value("moments", Json::array())) {
        auto const id = moment.value("id", "");
        auto const seconds = static_cast<std::time_t>(moment.value("time", std::uint64_t(0)) / 1'000'000'000u);
        auto const size = [&](char const* field) {
            return moment.contains(field) ? sizeText(moment.value(field, std::uint64_t(0))) : "unknown";
        };
        output.text(fmt::format("{:<2}{:<9} {:%Y-%m-%d %H:%M:%S} {:<14} {:>10} {:>10} {:>10} {:>10}  {}{}",
            id == present ? "*" : "", id.substr(0, 8), fmt::localtime(seconds), moment.value("reason", ""),
            size("ownBytes"), size("sharedBytes"), size("diskOwnBytes"), size("diskSharedBytes"),
            moment.value("name", ""), moment.value("pinned", false) ? " (pinned)" : ""));
        if (moment.contains("diskUnknown"))
            ++unknown[moment.value("diskUnknown", "")];
    }
    for (auto const& [why, count] : unknown)
        output.text(fmt::format("what disks take is unknown of {} of them: {}", count, why));
    auto const budget = list.value("budgetBytes", std::uint64_t(0)), over = list.value("overBytes", std::uint64_t(0));
    output.text(fmt::format("{} in all, {}{}{}", sizeText(list.value("totalBytes", std::uint64_t(0))), disksText(list),
        budget == 0 ? "" : ", of a budget of " + sizeText(budget),
        over == 0                         ? ""
            : list.value("mayThin", true) ? ": " + sizeText(over) + " too much"
                                          : ": " + sizeText(over) + " over it, which only you can free"));
    auto const damaged = list.value("damaged", Json::array());
    for (auto const& damage : damaged)
        output.text(fmt::format("  {:<9} cannot be read: {}", damage.value("moment", "").substr(0, 8),
            control::errorFromJson(damage["error"]).message()));
    if (!damaged.empty())
        output.text("while one cannot be read nothing is given back, for what it needs is not known; delete ends it");
}

}

int moment(MomentOptions const& options, Surroundings& around, Output const& output)
{
    if (options.action == "import")
        return importMoment(options, around, output);
    if (options.action == "diff" || options.action == "inspect" || options.action == "export")
        return lookAtMoment(options, around, output);
    if (options.action == "prune")
        return pruneMoments(options, around, output);
    if (options.action == "policy")
        return momentPolicy(options, around, output);
    Json params = Json::object();
    if (!options.moment.empty())
        params["moment"] = options.moment;
    std::string method;
    if (options.action == "take") {
        method = "moment.keep";
        params = { { "name", options.name.value_or(options.moment) }, { "note", options.note.value_or("") } };
    } else if (options.action == "cancel") {
        method = "moment.cancel";
    } else if (options.action == "list") {
        method = "moment.list";
        params["costs"] = true;
    } else if (options.action == "restore") {
        if (!output.json && findOwner(options.machine, around))
            noteUsbFates(options.machine, options.moment, around, output);
        params["losePresent"] = options.losePresent;
        auto const gone = callProcess(options.machine, "moment.go", params, around, output);
        // Nobody has it: going there here would be the end of the machine with this process.
        return gone || gone.error().code != vmm::ErrorCode::NotNow ? told(gone, output)
                                                                   : goToMoment(options, around, output);
    } else if (options.action == "delete") {
        method = "moment.end";
    } else if (options.action == "fork") {
        method = "moment.fork";
        params["name"] = options.name.value_or("");
    } else if (options.action == "change") {
        method = "moment.change";
        if (options.name)
            params["name"] = *options.name;
        if (options.note)
            params["note"] = *options.note;
        if (options.pinned)
            params["pinned"] = *options.pinned;
    } else {
        method = "moment.verify";
    }
    auto answer = callOnMachine(options.machine, method, std::move(params), around, output);
    if (!answer)
        return output.failed(answer.error());
    auto const damaged = answer->value("damaged", Json::array()), unread = answer->value("unread", Json::array());
    if (output.json) {
        output.value(*answer);
    } else if (options.action == "take") {
        output.text(answer->value("id", ""));
    } else if (options.action == "fork") {
        output.text(answer->value("uuid", ""));
    } else if (options.action == "list") {
        print(*answer, output);
    } else if (options.action == "verify") {
        for (auto const& damage : damaged)
            output.text(
                fmt::format("{}: {}", damage.value("moment", ""), control::errorFromJson(damage["error"]).message()));
        for (auto const& one : unread)
            output.text(fmt::format("{} could not be read, and may be whole: {}", one.value("moment", ""),
                control::errorFromJson(one["error"]).message()));
    }
    return options.action == "verify" && !(damaged.empty() && unread.empty()) ? int(Failed) : int(Done);
}

}
