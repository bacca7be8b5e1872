#include "app/runner/machine_runner_private.h"
#include "vmm/base/time_of_day.h"
#include "vmm/machine/disk_costs.h"

#include <algorithm>
#include <future>

/// A timeline lets go of old moments, and gives back what no moment needs.
namespace app {

using vmm::timeline::Policy;
using vmm::timeline::Pruned;
using vmm::timeline::Timeline;

namespace {

/// A guest that writes has its disks keep more, and to look takes long where there are many moments.
constexpr auto onDisksStays = std::chrono::hours(1);

}

void MachineRunner::Private::tidyAndWait(std::function<bool()> const& goOn)
{
    std::future<void> answer;
    { // A machine that ends may drop the answer: that is one too.
        auto const ended = std::make_shared<std::promise<void>>();
        answer = ended->get_future();
        auto const tell = [ended](vmm::Result<> const&) { ended->set_value(); };
        post([this, tell] { tidyLoose(tell); }, tell);
    }
    // The loop may be waiting for this worker to end.
    while (answer.wait_for(std::chrono::milliseconds(50)) == std::future_status::timeout && goOn()) { }
}

vmm::Result<Pruned> MachineRunner::Private::pruneNow(
    Timeline& past, Policy const& policy, JobProgress const& progress, Disks which)
{
    auto const purge = [&](std::string const& moment) -> vmm::Result<bool> {
        std::lock_guard const guard(headingMutex);
        if (moment == heading)
            return false;
        TRY(past.purge(moment));
        return true;
    };
    auto const told = [&](std::uint64_t part, std::uint64_t all) {
        return progress(static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(all, 1)));
    };
    auto const mayGoOn = [&](auto...) { return progress(0); };
    vmm::timeline::DisksOfMoments ofMoments;
    if (which == Disks::Asked) {
        ofMoments.freed = [&](std::vector<std::string> const& order) {
            return vmm::freedByDisks(past, runner.config(), order, mayGoOn);
        };
        ofMoments.tidy = [&] { tidyAndWait(mayGoOn); };
    }
    auto pruned = TRY(vmm::timeline::prune(past, policy, vmm::timeOfDay(), purge, told, ofMoments));
    if (which == Disks::Asked)
        onDisks = OnDisks { pruned.onDisks.value_or(0), vmm::EventLoop::now() };
    if (!pruned.onDisks)
        vmm::log(vmm::LogLevel::Warning, "runner", "what disks keep for moments is not known, nor in the budget: {}",
            pruned.onDisks.error().message());
    return pruned;
}

vmm::Result<> MachineRunner::Private::thinOutNow(Timeline& past, JobProgress const& progress)
{
    auto const policy = past.policy();
    std::optional<std::uint64_t> known;
    if (onDisks && vmm::EventLoop::now() - onDisks->at < onDisksStays)
        known = onDisks->bytes;
    if (!vmm::timeline::isPruningDue(past, policy, vmm::timeOfDay(), known))
        return {};
    bool const isInDoubt = policy.budget != 0 && (!known || past.size() + *known > policy.budget);
    TRY(pruneNow(past, policy, progress, isInDoubt ? Disks::Asked : Disks::LeftOut));
    return {};
}

void MachineRunner::Private::prune(std::optional<Policy> const& once, PruneDone const& done)
{
    auto const pruned = std::make_shared<Pruned>();
    auto const what = [this, pruned, wanted = once ? *once : unasked.policy()](
                          Timeline& past, JobProgress const& progress) -> vmm::Result<> {
        *pruned = TRY(pruneNow(past, wanted, progress, Disks::Asked));
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
        return thinOutNow(past, goOn);
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
