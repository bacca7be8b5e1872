#include "app/control/moment_methods.h"

#include "app/control/host_usb_json.h"
#include "app/runner/host_usb_traces.h"
#include "app/store/forking.h"
#include "app/store/moment_bundles.h"
#include "vmm/base/time_of_day.h"
#include "vmm/machine/disk_costs.h"
#include "vmm/machine/moment_diff.h"
#include "vmm/machine/moment_export.h"
#include "vmm/machine/moment_verify.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fmt/format.h>
#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

namespace app::control {

vmm::Result<std::string> findMoment(
    vmm::timeline::Timeline const& timeline, std::string const& wanted, DamagedOnes damagedOnes)
{
    if (wanted.empty()) // which is the name of all that have none
        return vmm::fail(vmm::ErrorCode::InvalidArgument, "no moment was named");
    auto const begins = [&](std::string const& id) { return wanted.size() >= 4 && id.starts_with(wanted); };
    std::vector<std::string> found;
    for (auto const& moment : timeline.moments()) {
        if (moment.id == wanted)
            return moment.id;
        if (moment.name == wanted || begins(moment.id))
            found.push_back(moment.id);
    }
    for (auto const& damage : timeline.damages()) {
        if (damagedOnes == DamagedOnes::Too && begins(damage.moment))
            found.push_back(damage.moment);
    }
    if (found.size() == 1)
        return found.front();
    return found.empty()
        ? vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no moment \"{}\"", wanted))
        : vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("several moments are called \"{}\"", wanted));
}

vmm::Result<std::pair<std::string, std::string>> momentsToCompare(
    vmm::timeline::Timeline const& timeline, std::string const& moment, std::string const& other)
{
    auto const id = TRY(findMoment(timeline, moment));
    if (!other.empty())
        return std::pair { id, TRY(findMoment(timeline, other)) };
    auto const parent = TRY(timeline.moment(id)).parent;
    if (parent.empty())
        return vmm::fail(
            vmm::ErrorCode::InvalidArgument, "that moment came from no other; say with which to compare it");
    return std::pair { parent, id };
}

namespace {

Json fieldsToJson(std::vector<vmm::state::Difference> const& fields)
{
    Json list = Json::array();
    for (auto const& field : fields)
        list.push_back({ { "path", field.path }, { "before", field.before }, { "after", field.after } });
    return list;
}

Json runsToJson(vmm::ChangedRuns const& changed)
{
    Json runs = Json::array();
    for (auto const& run : changed.runs)
        runs.push_back({ { "offset", run.offset }, { "length", run.length } });
    return { { "bytes", changed.bytes }, { "runs", std::move(runs) }, { "whole", changed.isWhole } };
}

Json filesToJson(vmm::PartitionDiff const& part)
{
    static constexpr std::array<char const*, 3> kinds { "added", "changed", "removed" };
    Json files = Json::array();
    for (auto const& file : part.changes.files) {
        files.push_back({ { "path", file.path }, { "what", kinds.at(static_cast<std::size_t>(file.what)) },
            { "before", file.before }, { "after", file.after } });
    }
    Json json { { "partition", part.number }, { "offset", part.offset }, { "count", part.changes.count },
        { "files", std::move(files) } };
    if (!part.problem.empty())
        json["problem"] = part.problem;
    return json;
}

Json diskToJson(vmm::DiskDiff const& disk)
{
    Json files = Json::array();
    for (auto const& part : disk.files)
        files.push_back(filesToJson(part));
    Json json { { "id", disk.id }, { "before", disk.before }, { "after", disk.after },
        { "changed", runsToJson(disk.changed) }, { "files", std::move(files) } };
    if (!disk.problem.empty())
        json["problem"] = disk.problem;
    return json;
}

}

Json momentDiffToJson(vmm::MomentDiff const& diff, std::string const& before, std::string const& after)
{
    static constexpr std::array<char const*, 3> presences { "both", "added", "removed" };
    Json parts = Json::array(), memory = Json::array(), disks = Json::array();
    for (auto const& part : diff.parts) {
        parts.push_back({ { "id", part.id }, { "kind", part.kind },
            { "presence", presences.at(static_cast<std::size_t>(part.presence)) },
            { "fields", fieldsToJson(part.fields) } });
    }
    for (auto const& block : diff.memory) {
        memory.push_back({ { "name", block.name }, { "before", block.before }, { "after", block.after },
            { "changed", runsToJson(block.changed) } });
    }
    for (auto const& disk : diff.disks)
        disks.push_back(diskToJson(disk));
    return { { "before", before }, { "after", after }, { "config", fieldsToJson(diff.config) },
        { "parts", std::move(parts) }, { "memory", std::move(memory) }, { "disks", std::move(disks) } };
}

namespace {

/// To who has asked.
struct Reply {
    std::function<void(vmm::Result<Json>)> tell;
    std::function<bool()> isWanted;

    void operator()(vmm::Result<Json> answer) const { tell(std::move(answer)); }
    MachineRunner::JobProgress whileWanted(MachineRunner::JobProgress const& progress) const
    {
        return [isWanted = isWanted, progress](double part) { return progress(part) && (!isWanted || isWanted()); };
    }
};
using vmm::timeline::Moment;
using vmm::timeline::Policy;
using vmm::timeline::Timeline;

Json momentToJson(Moment const& moment)
{
    return { { "id", moment.id }, { "parent", moment.parent }, { "name", moment.name }, { "note", moment.note },
        { "reason", std::string(stateNames(moment.reason)[static_cast<std::size_t>(moment.reason)]) },
        { "pinned", moment.pinned }, { "isOff", moment.power == vmm::timeline::Power::Off }, { "time", moment.time },
        { "changedBytes", moment.changedPages * 4096 }, { "storedBytes", moment.storedBytes } };
}

Json damagesToJson(std::vector<vmm::timeline::Damage> const& damages)
{
    Json list = Json::array();
    for (auto const& damage : damages)
        list.push_back({ { "moment", damage.moment }, { "error", errorToJson(damage.error) } });
    return list;
}

/// A budget of 0 is any amount.
std::uint64_t bytesOver(std::uint64_t bytes, std::uint64_t budget)
{
    return budget != 0 && bytes > budget ? bytes - budget : 0;
}

MachineRunner::Completion plain(Reply const& reply)
{
    return [reply](vmm::Result<> outcome) {
        reply(outcome ? vmm::Result<Json>(Json::object()) : vmm::fail(outcome.error()));
    };
}

void keep(MachineRunner& machine, Json const& params, Reply const& reply)
{
    vmm::timeline::NewMoment what;
    what.name = textIn(params, "name");
    what.note = textIn(params, "note");
    machine.keepMoment(std::move(what), [reply](vmm::Result<Moment> kept) {
        reply(kept ? vmm::Result<Json>(momentToJson(*kept)) : vmm::fail(kept.error()));
    });
}

void cancel(MachineRunner& machine, Json const&, Reply const& reply)
{
    machine.cancelKeeping(plain(reply));
}

/// Calls `then` with the id of the moment that the parameters name.
void withMoment(MachineRunner& machine, Json const& params, Reply const& reply,
    std::function<void(std::string const&)> const& then, DamagedOnes damagedOnes = DamagedOnes::No)
{
    auto const id = [&]() -> vmm::Result<std::string> {
        auto const timeline = TRY(machine.timeline());
        return findMoment(*timeline, textIn(params, "moment"), damagedOnes);
    }();
    if (id)
        then(*id);
    else
        reply(vmm::fail(id.error()));
}

void go(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const present = flagIn(params, "losePresent") ? MachineRunner::Present::Lose : MachineRunner::Present::Keep;
    withMoment(machine, params, reply, [&](std::string const& id) { machine.goTo(id, present, plain(reply)); });
}

/// Without a moment: what a suspend, and coming back, does.
void foreseeUsb(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const tell = [&](std::string const& id) {
        auto const fates = machine.foreseeUsb(id);
        reply(fates ? vmm::Result<Json>(Json { { "devices", usbFatesToJson(*fates) } }) : vmm::fail(fates.error()));
    };
    if (textIn(params, "moment").empty())
        return tell({});
    withMoment(machine, params, reply, tell);
}

void change(MachineRunner& machine, Json const& params, Reply const& reply)
{
    withMoment(machine, params, reply, [&](std::string const& id) {
        auto const what = [id, params](Timeline& timeline) -> vmm::Result<> {
            if (params.contains("name"))
                TRY(timeline.rename(id, textIn(params, "name")));
            if (params.contains("note"))
                TRY(timeline.setNote(id, textIn(params, "note")));
            if (params.contains("pinned"))
                TRY(timeline.setPinned(id, flagIn(params, "pinned")));
            return {};
        };
        machine.changeTimeline(what, plain(reply));
    });
}

void end(MachineRunner& machine, Json const& params, Reply const& reply)
{
    withMoment(
        machine, params, reply, [&](std::string const& id) { machine.endMoment(id, plain(reply)); }, DamagedOnes::Too);
}

/// As a timeline tells how far it is.
vmm::timeline::Progress fractionOf(MachineRunner::JobProgress const& progress)
{
    return [progress](std::uint64_t done, std::uint64_t total) {
        return progress(total > 0 ? double(done) / double(total) : 0);
    };
}

void verify(MachineRunner& machine, Json const&, Reply const& reply)
{
    auto const found = std::make_shared<std::vector<vmm::timeline::Damage>>();
    auto const what = [found, reply](Timeline& timeline, MachineRunner::JobProgress const& told) -> vmm::Result<> {
        auto const progress = reply.whileWanted(told);
        // The disks' tables are read in a fraction of the time that all of the memory takes.
        constexpr double memory = 0.9;
        *found = TRY(timeline.verify(fractionOf([&](double part) { return progress(memory * part); })));
        auto const disks = TRY(vmm::verifyDisks(
            timeline, fractionOf([&](double part) { return progress(memory + (1 - memory) * part); })));
        found->insert(found->end(), disks.begin(), disks.end());
        return {};
    };
    machine.workOnTimeline("verify", what, [found, reply](vmm::Result<> outcome) {
        if (!outcome)
            return reply(vmm::fail(outcome.error()));
        auto const unread = std::ranges::stable_partition(*found, std::not_fn(&vmm::timeline::Damage::isUnread));
        reply(vmm::Result<Json>(Json { { "damaged", damagesToJson({ found->begin(), unread.begin() }) },
            { "unread", damagesToJson({ unread.begin(), unread.end() }) } }));
    });
}

using Found
    = std::function<vmm::Result<Json>(std::shared_ptr<Timeline const> const&, MachineRunner::JobProgress const&)>;

/// Answers with what `what` finds out of the timeline, beside what the machine does.
void answerFromTimeline(MachineRunner& machine, std::string job, Reply const& reply, Found what)
{
    auto const timeline = machine.timeline();
    if (!timeline)
        return reply(vmm::fail(timeline.error()));
    auto const found = std::make_shared<Json>();
    auto const read = [found, reply, timeline = *timeline, what = std::move(what)](
                          MachineRunner::JobProgress const& progress) -> vmm::Result<> {
        *found = TRY(what(timeline, reply.whileWanted(progress)));
        return {};
    };
    machine.work(std::move(job), read, [found, reply](vmm::Result<> outcome) {
        reply(outcome ? vmm::Result<Json>(std::move(*found)) : vmm::fail(outcome.error()));
    });
}

/// `json`: a moment's. With what its disks take.
void addCost(Json& json, vmm::Result<vmm::DiskCost> const& cost)
{
    if (cost) {
        json["diskOwnBytes"] = cost->own;
        json["diskSharedBytes"] = cost->shared;
    } else {
        json["diskUnknown"] = cost.error().message();
    }
}

Json listToJson(Timeline const& timeline)
{
    Json moments = Json::array();
    for (auto const& moment : timeline.moments())
        moments.push_back(momentToJson(moment));
    return { { "present", timeline.present() }, { "moments", std::move(moments) },
        { "damaged", damagesToJson(timeline.damages()) } };
}

/// What disks keep, in all or why that is not known.
void addOnDisks(Json& json, vmm::Result<std::uint64_t> const& onDisks)
{
    if (onDisks)
        json["diskBytes"] = *onDisks;
    else
        json["diskUnknown"] = onDisks.error().message();
}

vmm::Result<Json> listWithCosts(
    Timeline const& timeline, vmm::VmConfig const& config, MachineRunner::JobProgress const& progress)
{
    auto const usage = TRY(timeline.usage([&] { return progress(0); }));
    auto const disks = vmm::diskCosts(timeline, config, fractionOf(progress));
    if (!disks && disks.error().code == vmm::ErrorCode::Cancelled)
        return vmm::fail(disks.error());
    auto const costOf = [&](std::string const& id) -> vmm::Result<vmm::DiskCost> {
        if (!disks)
            return vmm::fail(disks.error());
        auto const known = disks->moments.find(id);
        return known == disks->moments.end() ? vmm::fail(vmm::ErrorCode::NotFound, "it was not there yet")
                                             : known->second;
    };
    auto all = listToJson(timeline);
    for (auto& moment : all["moments"]) {
        auto const id = textIn(moment, "id");
        if (auto const cost = usage.moments.find(id); cost != usage.moments.end()) {
            moment["ownBytes"] = cost->second.own;
            moment["sharedBytes"] = cost->second.shared;
        }
        addCost(moment, costOf(id));
    }
    auto const onDisks = disks ? disks->total : vmm::fail(disks.error());
    auto const total = usage.total + onDisks.value_or(0), budget = timeline.policy().budget;
    addOnDisks(all, onDisks);
    all["totalBytes"] = total;
    all["budgetBytes"] = budget;
    all["overBytes"] = bytesOver(total, budget);
    all["mayThin"] = vmm::timeline::mayThin(timeline, timeline.policy(), vmm::timeOfDay());
    return all;
}

void list(MachineRunner& machine, Json const& params, Reply const& reply)
{
    if (flagIn(params, "costs"))
        return answerFromTimeline(machine, "costs", reply,
            [config = machine.config()](auto const& timeline, MachineRunner::JobProgress const& progress) {
                return listWithCosts(*timeline, config, progress);
            });
    auto const timeline = machine.timeline();
    reply(timeline ? vmm::Result<Json>(listToJson(**timeline)) : vmm::fail(timeline.error()));
}

void compare(MachineRunner& machine, Json const& params, Reply const& reply)
{
    answerFromTimeline(machine, "compare", reply,
        [params](auto const& timeline, MachineRunner::JobProgress const& progress) -> vmm::Result<Json> {
            auto const [before, after]
                = TRY(momentsToCompare(*timeline, textIn(params, "moment"), textIn(params, "other")));
            auto const diff = TRY(vmm::compareMoments(*timeline, before, after, {}, fractionOf(progress)));
            return momentDiffToJson(diff, before, after);
        });
}

void inspect(MachineRunner& machine, Json const& params, Reply const& reply)
{
    answerFromTimeline(machine, "inspect", reply,
        [params](auto const& timeline, MachineRunner::JobProgress const&) -> vmm::Result<Json> {
            auto const id = TRY(findMoment(*timeline, textIn(params, "moment")));
            auto const moment = TRY(timeline->moment(id));
            auto const saved = TRY(vmm::savedMachineAt(*timeline, id));
            return Json { { "moment", momentToJson(moment) }, { "machine", vmm::savedMachineToJson(saved) } };
        });
}

void diskCosts(MachineRunner& machine, Json const&, Reply const& reply)
{
    answerFromTimeline(machine, "costs", reply,
        [config = machine.config()](
            auto const& timeline, MachineRunner::JobProgress const& progress) -> vmm::Result<Json> {
            auto const costs = TRY(vmm::diskCosts(*timeline, config, fractionOf(progress)));
            Json moments = Json::object();
            for (auto const& [id, cost] : costs.moments)
                moments[id] = cost ? Json { { "ownBytes", cost->own }, { "sharedBytes", cost->shared } }
                                   : Json { { "unknown", cost.error().message() } };
            Json all { { "moments", std::move(moments) } };
            addOnDisks(all, costs.total);
            return all;
        });
}

// Thinning out

Json policyToJson(Policy const& policy)
{
    Json tiers = Json::array();
    for (auto const& tier : policy.tiers)
        tiers.push_back({ { "everyMinutes", tier.everyMinutes }, { "forHours", tier.forHours } });
    return { { "automatic", policy.automatic }, { "everyMinutes", policy.everyMinutes },
        { "beforeChange", policy.beforeChange }, { "onClose", policy.onClose }, { "tiers", std::move(tiers) },
        { "budgetBytes", policy.budget } };
}

template<typename T>
vmm::Result<> take(Json const& from, char const* name, T& to)
{
    auto const found = from.find(name);
    if (found == from.end())
        return {};
    auto const wrong = [&] {
        return vmm::fail(
            vmm::ErrorCode::InvalidArgument, fmt::format("{} is not possible as \"{}\"", found->dump(), name));
    };
    if constexpr (std::is_same_v<T, bool>) {
        if (!found->is_boolean())
            return wrong();
    } else if (!found->is_number_unsigned() || found->get<std::uint64_t>() > std::numeric_limits<T>::max()) {
        return wrong();
    }
    to = found->get<T>();
    return {};
}

/// `policy` with what the parameters say of it.
vmm::Result<Policy> changed(Policy policy, Json const& params)
{
    TRY(take(params, "automatic", policy.automatic));
    TRY(take(params, "everyMinutes", policy.everyMinutes));
    TRY(take(params, "beforeChange", policy.beforeChange));
    TRY(take(params, "onClose", policy.onClose));
    TRY(take(params, "budgetBytes", policy.budget));
    if (auto const tiers = params.find("tiers"); tiers != params.end()) {
        if (!tiers->is_array())
            return vmm::fail(vmm::ErrorCode::InvalidArgument, "\"tiers\" is a list");
        policy.tiers.clear();
        for (auto const& json : *tiers) {
            auto& tier = policy.tiers.emplace_back();
            if (!json.is_object() || !json.contains("everyMinutes") || !json.contains("forHours"))
                return vmm::fail(
                    vmm::ErrorCode::InvalidArgument, "each of \"tiers\" has \"everyMinutes\" and \"forHours\"");
            TRY(take(json, "everyMinutes", tier.everyMinutes));
            TRY(take(json, "forHours", tier.forHours));
        }
    }
    TRY(vmm::timeline::checkPolicy(policy));
    return policy;
}

void policy(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const known = policyOf(machine.places().timelineFolder);
    auto const wanted = known ? changed(*known, params) : known;
    if (!wanted)
        return reply(vmm::fail(wanted.error()));
    auto tell = [&machine, reply, json = policyToJson(*wanted)](vmm::Result<> const& outcome) mutable {
        if (!outcome)
            return reply(vmm::fail(outcome.error()));
        // Looking makes no timeline.
        std::error_code unknown;
        auto const timeline = std::filesystem::exists(machine.places().timelineFolder, unknown)
            ? machine.timeline()
            : vmm::fail(vmm::ErrorCode::NotFound, "there is none");
        json["totalBytes"] = timeline ? (*timeline)->size() : 0;
        reply(std::move(json));
    };
    if (*wanted == *known)
        tell({});
    else
        machine.setPolicy(*wanted, tell);
}

Json goneToJson(Moment const& moment, vmm::timeline::Thinned why)
{
    return { { "id", moment.id }, { "name", moment.name }, { "time", moment.time },
        { "why", std::string(stateNames(why)[static_cast<std::size_t>(why)]) } };
}

/// `onDisks`: of what is left.
Json prunedToJson(Json gone, std::uint64_t before, std::uint64_t after, vmm::Result<std::uint64_t> const& onDisks,
    std::uint64_t over, std::uint64_t budget)
{
    Json json { { "gone", std::move(gone) }, { "bytesBefore", before }, { "bytesAfter", after },
        { "freedBytes", before - std::min(before, after) }, { "budgetBytes", budget }, { "overBytes", over } };
    addOnDisks(json, onDisks);
    return json;
}

void prune(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const known = policyOf(machine.places().timelineFolder);
    auto const wanted = known ? changed(*known, params) : known;
    if (!wanted)
        return reply(vmm::fail(wanted.error()));
    if (!flagIn(params, "dryRun")) {
        machine.prune(*wanted, [reply, budget = wanted->budget](vmm::Result<vmm::timeline::Pruned> const& pruned) {
            if (!pruned)
                return reply(vmm::fail(pruned.error()));
            Json gone = Json::array();
            for (auto const& one : pruned->gone)
                gone.push_back(goneToJson(one.moment, one.why));
            auto json = prunedToJson(
                std::move(gone), pruned->bytesBefore, pruned->bytesAfter, pruned->onDisks, pruned->over, budget);
            json["looseBytes"] = pruned->loose;
            reply(std::move(json));
        });
        return;
    }
    answerFromTimeline(machine, "prune", reply,
        [wanted = *wanted, config = machine.config()](
            auto const& timeline, MachineRunner::JobProgress const& progress) -> vmm::Result<Json> {
            auto const goOn = [&](auto...) { return progress(0); };
            vmm::timeline::DisksOfMoments disks;
            disks.freed = [&](std::vector<std::string> const& order) {
                return vmm::freedByDisks(*timeline, config, order, goOn);
            };
            auto const plan = TRY(vmm::timeline::planThinning(*timeline, wanted, vmm::timeOfDay(), goOn, disks));
            Json gone = Json::array();
            for (auto const& one : plan.going)
                gone.push_back(goneToJson(TRY(timeline->moment(one.id)), one.why));
            auto const onDisksAfter = plan.onDisks ? vmm::Result<std::uint64_t>(plan.onDisksAfter) : plan.onDisks;
            return prunedToJson(std::move(gone), plan.bytes, plan.bytesAfter, onDisksAfter, plan.over, wanted.budget);
        });
}

void exportIt(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const to = textIn(params, "to"), bundle = textIn(params, "bundle");
    if (to.empty() == bundle.empty() || (to + bundle).front() != '/')
        return reply(
            vmm::fail(vmm::ErrorCode::InvalidArgument, "one of \"to\" and \"bundle\" says where, as an absolute path"));
    auto const root = machine.places().libraryRoot;
    if (root.empty())
        return reply(vmm::fail(vmm::ErrorCode::Unsupported, "a machine that is in no library has no moments"));
    answerFromTimeline(machine, "export", reply,
        [=](auto const& timeline, MachineRunner::JobProgress const& progress) -> vmm::Result<Json> {
            auto const id = TRY(findMoment(*timeline, textIn(params, "moment")));
            auto const wanted = params.value("files", Json(false)); // a number in another method
            if (!wanted.is_boolean())
                return vmm::fail(vmm::ErrorCode::InvalidArgument, "\"files\" is true or false");
            auto const files = wanted.get<bool>() ? vmm::ExportFiles::All : vmm::ExportFiles::None;
            auto const devices = usbThatStays(*timeline, id);
            if (bundle.empty())
                TRY(vmm::exportMoment(timeline, id, to, files, progress));
            else
                TRY(exportBundleFile(MachineStore(root), timeline, id, bundle, progress));
            return Json { { "devices", usbFatesToJson(devices) } };
        });
}

void fork(MachineRunner& machine, Json const& params, Reply const& reply)
{
    auto const forkAt = [&](std::string const& moment) {
        forkMachine(
            machine, { moment, textIn(params, "keptAs") }, textIn(params, "name"),
            [reply](vmm::Result<StoredMachine> const& made) {
                reply(made ? vmm::Result<Json>(Json { { "uuid", made->id }, { "name", made->config.name } })
                           : vmm::fail(made.error()));
            },
            reply.isWanted);
    };
    if (params.contains("moment"))
        withMoment(machine, params, reply, forkAt);
    else
        forkAt({});
}

}

bool callMomentMethod(MachineRunner& machine, std::string const& method, Json const& params,
    std::function<void(vmm::Result<Json>)> const& reply, std::function<bool()> const& isWanted)
{
    using Handler = void (*)(MachineRunner&, Json const&, Reply const&);
    static std::map<std::string_view, Handler> const handlers {
        { "moment.keep", &keep },
        { "moment.cancel", &cancel },
        { "moment.list", &list },
        { "moment.go", &go },
        { "moment.foreseeUsb", &foreseeUsb },
        { "moment.change", &change },
        { "moment.end", &end },
        { "moment.verify", &verify },
        { "moment.prune", &prune },
        { "moment.policy", &policy },
        { "moment.fork", &fork },
        { "moment.diff", &compare },
        { "moment.inspect", &inspect },
        { "moment.diskCosts", &diskCosts },
        { "moment.export", &exportIt },
    };
    auto const handler = handlers.find(method);
    if (handler == handlers.end())
        return false;
    handler->second(machine, params, { reply, isWanted });
    return true;
}

}
