#include "app/runner/machine_runner_private.h"
#include "vmm/base/time_of_day.h"
#include "vmm/block/overlay_files.h"

#include <algorithm>

/// What a machine does for its past without being asked: it keeps moments, and lets go of old ones.
namespace app {

namespace {

using vmm::timeline::Policy;
using vmm::timeline::Pruned;
using vmm::timeline::Reason;
using vmm::timeline::Timeline;

/// A new disk image has less than this: its tables.
constexpr std::uint64_t emptyDisk = 1u << 20;

bool isWanted(Reason reason, Policy const& policy)
{
    switch (reason) {
    case Reason::Automatic: return policy.automatic;
    case Reason::BeforeChange:
    case Reason::BeforeDiscard: return policy.beforeChange;
    case Reason::OnClose: return policy.onClose;
    case Reason::Kept:
    case Reason::BeforeGoing: break;
    }
    return true;
}

/// What the same hand puts back that has changed it is left out: names, and what is plugged in and taken out.
vmm::VmConfig whatIsGoneBackTo(vmm::VmConfig config)
{
    config.name.clear();
    config.notes.clear();
    config.usbDevices.clear();
    for (auto& network : config.networks)
        network.connected = true;
    for (auto& cd : config.cds)
        cd.path.clear();
    for (auto& disk : config.disks)
        disk.plugged = true;
    return config;
}

/// Or stands on what does: its own file has little in it just after a moment, and in a fork.
bool holdsAnything(vmm::DiskConfig const& disk)
{
    struct stat status { };
    return !disk.readOnly && ::stat(disk.path.c_str(), &status) == 0
        && (static_cast<std::uint64_t>(status.st_blocks) * 512 > emptyDisk
            || !vmm::backingNameOf(disk.path).value_or("").empty());
}

}

Policy MachineRunner::Private::policy()
{
    if (timeline)
        return timeline->policy();
    auto const known = policyOf(runner.m_places.timelineFolder);
    Policy none;
    none.automatic = none.beforeChange = none.onClose = false; // what cannot be read cannot be added to
    return known.value_or(none);
}

vmm::Result<Policy> policyOf(std::string const& timelineFolder)
{
    struct stat status { };
    if (timelineFolder.empty() || ::stat(timelineFolder.c_str(), &status) != 0)
        return Policy();
    auto const folder = TRY(vmm::timeline::openFolder(timelineFolder));
    return Timeline::policy(*folder);
}

void MachineRunner::Private::makeSchedule()
{
    keptAutomatically();
    if (runner.m_places.timelineFolder.empty())
        return;
    auto const keep = [this] {
        if (!std::exchange(keepsAutomatically, true))
            keepUnasked(Reason::Automatic, [this](vmm::Result<> const&) { keptAutomatically(); });
    };
    schedule = std::make_unique<MomentSchedule>(
        thread->loop(), MomentSchedule::Calls { [this] { return runner.statistics(); }, keep }, minute);
}

void MachineRunner::Private::keptAutomatically()
{
    keepsAutomatically = false;
    for (auto const& task : std::exchange(afterAutomatic, {}))
        task();
}

void MachineRunner::Private::followSchedule()
{
    if (!schedule)
        return;
    if (runner.m_state == SessionState::Running)
        schedule->begin(policy());
    else
        schedule->end();
}

bool MachineRunner::Private::isWorthKeeping(Reason reason)
{
    auto const state = runner.m_state.load();
    if (reason == Reason::BeforeDiscard)
        return state == SessionState::Suspended && hasSavedState(runner.m_places.stateDirectory)
            && !runner.m_places.timelineFolder.empty();
    // What a saved state still holds needs no moment.
    if (state == SessionState::Running || state == SessionState::Paused)
        return machine && schedule && !savedStateInUse && schedule->hasAnythingNew();
    if (state != SessionState::Off || machine || reason != Reason::BeforeChange)
        return false;
    auto const disks = runner.config().disks;
    return !runner.m_places.timelineFolder.empty() && std::any_of(disks.begin(), disks.end(), &holdsAnything);
}

void MachineRunner::Private::keepUnasked(Reason reason, Completion const& done)
{
    tryKeeping(reason, [done](auto const&) { finish(done, {}); });
}

void MachineRunner::Private::tryKeeping(Reason reason, Unasked const& done)
{
    // Where it cannot be read, nobody has said that a state may be lost.
    bool const isUnread = reason == Reason::BeforeDiscard && !timeline && !policyOf(runner.m_places.timelineFolder);
    if (!(isUnread || isWanted(reason, policy())) || !isWorthKeeping(reason))
        return done(std::optional<vmm::timeline::Moment>());
    vmm::timeline::NewMoment what;
    what.reason = reason;
    keepMoment(keepingCancelled, what, [this, reason, done](vmm::Result<vmm::timeline::Moment> const& kept) {
        post(
            [this, reason, done, kept] {
                if (!kept)
                    couldNotKeep(kept.error());
                else if (machine && reason != Reason::OnClose) // which shall not take longer
                    thinning.now();
                done(kept ? vmm::Result<std::optional<vmm::timeline::Moment>>(*kept) : vmm::fail(kept.error()));
            },
            {});
    });
}

void MachineRunner::Private::keepBeforeChange(vmm::VmConfig const& wanted, Completion const& done)
{
    if (whatIsGoneBackTo(wanted) == whatIsGoneBackTo(runner.config()))
        return finish(done, {});
    keepUnasked(Reason::BeforeChange, done);
}

void MachineRunner::Private::couldNotKeep(vmm::Error const& error)
{
    // Something else is under way: the schedule asks again in a minute.
    if (error.code == vmm::ErrorCode::Busy)
        return;
    if (schedule)
        schedule->postpone();
    if (error.code == vmm::ErrorCode::Cancelled) // who cancels knows it
        return;
    neglect(notice::PastNeglected::What::Moment, error);
}

vmm::Result<Pruned> MachineRunner::Private::pruneNow(Timeline& past, Policy const& policy, JobProgress const& progress)
{
    auto const purge = [&](std::string const& moment) -> vmm::Result<bool> {
        std::lock_guard const guard(headingMutex);
        if (moment == heading)
            return false;
        TRY(past.purge(moment));
        return true;
    };
    return vmm::timeline::prune(past, policy, vmm::timeOfDay(), purge, [&](std::uint64_t part, std::uint64_t all) {
        return progress(static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(all, 1)));
    });
}

void MachineRunner::Private::prune(std::optional<Policy> const& once, PruneDone const& done)
{
    auto const pruned = std::make_shared<Pruned>();
    auto const what = [this, pruned, wanted = once ? *once : policy()](
                          Timeline& past, JobProgress const& progress) -> vmm::Result<> {
        *pruned = TRY(pruneNow(past, wanted, progress));
        return {};
    };
    workOnTimeline("prune", what, [this, pruned, done](vmm::Result<> const& outcome) {
        auto const tidy = [this] {
            tidyLoose();
            return vmm::Result<>();
        };
        withTimeline(tidy, [pruned, done, outcome](vmm::Result<> const&) {
            if (done)
                done(outcome ? vmm::Result<Pruned>(std::move(*pruned)) : vmm::fail(outcome.error()));
        });
    });
}

void MachineRunner::Private::thinOut(
    std::shared_ptr<std::atomic<bool> const> const& stop, std::function<void()> const& ended)
{
    auto const what = [this, stop](Timeline& past, JobProgress const& progress) -> vmm::Result<> {
        auto const goOn = [&](double part) { return progress(part) && !*stop; };
        if (vmm::timeline::isPruningDue(past, past.policy(), vmm::timeOfDay()))
            TRY(pruneNow(past, past.policy(), goOn));
        return {};
    };
    workOnTimeline("prune", what, [this, ended](vmm::Result<> const& outcome) {
        tidyLoose();
        ended();
        if (!outcome && outcome.error().code != vmm::ErrorCode::Cancelled)
            vmm::log(
                vmm::LogLevel::Warning, "runner", "the timeline was not thinned out: {}", outcome.error().message());
    });
}

void MachineRunner::Private::giveBack(Completion const& done)
{
    auto const sweep = [](Timeline& past, JobProgress const& progress) {
        return past.sweep([&](std::uint64_t part, std::uint64_t all) {
            return progress(static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(all, 1)));
        });
    };
    workOnTimeline("prune", sweep, [done](vmm::Result<> const& outcome) {
        if (!outcome && outcome.error().code != vmm::ErrorCode::Cancelled)
            vmm::log(vmm::LogLevel::Warning, "runner", "nothing was given back: {}", outcome.error().message());
        finish(done, {});
    });
}

void MachineRunner::keepUnasked(Reason reason, Completion const& done)
{
    m_private->post([this, reason, done] { m_private->keepUnasked(reason, done); }, done);
}

void MachineRunner::keepBeforeChange(vmm::VmConfig wanted, Completion const& done)
{
    m_private->post([this, wanted = std::move(wanted), done] { m_private->keepBeforeChange(wanted, done); }, done);
}

void MachineRunner::prune(std::optional<Policy> policy, PruneDone const& done)
{
    auto const hearError = [done](vmm::Result<> const& outcome) {
        if (done && !outcome)
            done(vmm::fail(outcome.error()));
    };
    m_private->post([this, policy = std::move(policy), done] { m_private->prune(policy, done); }, hearError);
}

void MachineRunner::setPolicy(Policy policy, Completion const& done)
{
    m_private->post(
        [this, policy = std::move(policy), done] {
            auto const set = [&] { return m_private->timeline->setPolicy(policy); };
            m_private->withTimeline(set, [this, done](vmm::Result<> const& outcome) {
                // A person who has lowered the budget by mistake has a minute.
                if (outcome && m_private->machine)
                    m_private->thinning.soon();
                Private::finish(done, outcome);
            });
        },
        done);
}

}
