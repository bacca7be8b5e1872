#include "app/runner/machine_runner_private.h"
#include "vmm/base/time_of_day.h"

#include <algorithm>

/// A timeline lets go of old moments, and gives back what no moment needs.
namespace app {

using vmm::timeline::Policy;
using vmm::timeline::Pruned;
using vmm::timeline::Timeline;

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
    auto const what = [this, pruned, wanted = once ? *once : unasked.policy()](
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
