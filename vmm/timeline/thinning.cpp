#include "vmm/timeline/thinning.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <set>
#include <tuple>

namespace vmm::timeline {

namespace {

constexpr std::uint64_t minute = 60ULL * 1'000'000'000, hour = 60 * minute; // ns

/// One that its clock puts into the future is new.
std::uint64_t ageOf(Moment const& moment, std::uint64_t now)
{
    return now > moment.time ? now - moment.time : 0;
}

/// The moments that another one came from, which is not removed.
std::set<std::string> parentsIn(std::vector<Moment> const& moments)
{
    std::set<std::string> parents;
    for (auto const& moment : moments) {
        if (moment.removedAt == 0)
            parents.insert(moment.parent);
    }
    return parents;
}

Past pastOf(Timeline const& timeline, std::uint64_t now)
{
    return { timeline.moments(), timeline.present(), timeline.goingTo(), now };
}

/// The ids of those that a tier keeps: `moments` in the order of their times.
void keepByTier(
    std::vector<Moment const*> const& moments, Tier const& tier, std::uint64_t now, std::set<std::string>& kept)
{
    std::optional<std::uint64_t> last;
    for (auto const* moment : moments) {
        auto const piece = tier.everyMinutes == 0 ? 0 : moment->time / (tier.everyMinutes * minute);
        bool const isFirst = tier.everyMinutes == 0 || last != piece;
        last = piece;
        if (isFirst && ageOf(*moment, now) < tier.forHours * hour)
            kept.insert(moment->id);
    }
}

std::uint64_t bytesOver(std::uint64_t bytes, Policy const& policy)
{
    return policy.budget != 0 && bytes > policy.budget ? bytes - policy.budget : 0;
}

/// `known`: its total. What is not known is nothing here; fails only where it was cancelled.
Result<Freed> freedByDisks(
    DisksOfMoments const& disks, std::vector<std::string> const& order, Result<std::uint64_t>& known)
{
    auto freed = disks.freed ? disks.freed(order) : Freed {};
    if (!freed && freed.error().code == ErrorCode::Cancelled)
        return freed;
    known = freed ? Result<std::uint64_t>(freed->total) : fail(freed.error());
    auto kept = std::move(freed).value_or(Freed {});
    kept.each.resize(order.size());
    return kept;
}

}

bool isOwn(Moment const& moment)
{
    return moment.reason != Reason::Kept && !moment.pinned && moment.name.empty() && moment.note.empty();
}

Thinning thin(Past const& past, Policy const& policy)
{
    Thinning thinning;
    std::vector<Moment const*> own;
    auto const parents = parentsIn(past.moments);
    for (auto const& moment : past.moments) {
        if (moment.removedAt != 0) {
            bool const isOver = past.now > moment.removedAt && past.now - moment.removedAt >= removedStays;
            if (moment.id == past.goingTo)
                continue;
            if (isOver)
                thinning.going.push_back({ moment.id, Thinned::Removed });
            else
                thinning.waiting.push_back(moment.id);
            continue;
        }
        if (isOwn(moment))
            own.push_back(&moment);
    }
    std::sort(own.begin(), own.end(), [](auto const* one, auto const* other) {
        return std::tie(one->time, one->id) < std::tie(other->time, other->id);
    });

    std::set<std::string> kept;
    for (auto const& tier : policy.tiers)
        keepByTier(own, tier, past.now, kept);
    for (auto const* moment : own) {
        bool const isTip = !parents.contains(moment->id);
        if (isTip || moment->id == past.goingTo || moment->id == past.present)
            continue;
        if (kept.contains(moment->id))
            thinning.spare.push_back(moment->id);
        else
            thinning.going.push_back({ moment->id, Thinned::Tier });
    }
    return thinning;
}

BudgetPlan keepBudget(
    Thinning const& thinning, Policy const& policy, std::uint64_t bytes, std::vector<std::uint64_t> const& freed)
{
    BudgetPlan plan;
    plan.bytes = bytes;
    for (std::size_t i = 0; i < std::min(freed.size(), thinning.spare.size()) && bytesOver(plan.bytes, policy) > 0;
         ++i) {
        plan.going.push_back({ thinning.spare[i], Thinned::Budget });
        plan.bytes -= std::min(plan.bytes, freed[i]);
    }
    plan.over = bytesOver(plan.bytes, policy);
    return plan;
}

Result<ThinningPlan> planThinning(Timeline const& timeline, Policy const& policy, std::uint64_t now,
    std::function<bool()> const& goOn, DisksOfMoments const& disks)
{
    auto const thinning = thin(pastOf(timeline, now), policy);
    std::vector<std::string> order;
    for (auto const& moment : thinning.going)
        order.push_back(moment.id);
    order.insert(order.end(), thinning.waiting.begin(), thinning.waiting.end());
    order.insert(order.end(), thinning.spare.begin(), thinning.spare.end());
    auto freed = TRY(timeline.freed(order, goOn));
    ThinningPlan plan;
    auto const byDisks = TRY(freedByDisks(disks, order, plan.onDisks));
    freed.total += byDisks.total;
    freed.first += byDisks.first;
    std::ranges::transform(freed.each, byDisks.each, freed.each.begin(), std::plus());
    auto const waiting = freed.each.begin() + static_cast<std::ptrdiff_t>(thinning.going.size());
    auto const spare = waiting + static_cast<std::ptrdiff_t>(thinning.waiting.size());
    auto const atOnce = std::accumulate(freed.each.begin(), waiting, freed.first);
    auto const later = std::accumulate(waiting, spare, std::uint64_t(0));
    auto const budget = keepBudget(
        thinning, policy, freed.total - std::min(freed.total, atOnce + later), { spare, freed.each.end() });
    plan.going = thinning.going;
    plan.going.insert(plan.going.end(), budget.going.begin(), budget.going.end());
    plan.bytes = freed.total;
    plan.bytesAfter = budget.bytes + later;
    plan.waiting = later;
    plan.over = budget.over;
    plan.loose = byDisks.first;
    plan.onDisksAfter = byDisks.total - byDisks.first;
    for (std::size_t i = 0; i < order.size(); ++i) {
        bool const isWaiting = i >= thinning.going.size() && i < thinning.going.size() + thinning.waiting.size();
        if (!isWaiting && i < plan.going.size() + thinning.waiting.size())
            plan.onDisksAfter -= byDisks.each[i];
    }
    return plan;
}

bool isStillGoing(Timeline const& timeline, ThinnedMoment const& planned)
{
    auto const moment = timeline.moment(planned.id);
    if (!moment || planned.id == timeline.goingTo())
        return false;
    if (planned.why == Thinned::Removed)
        return moment->removedAt != 0;
    // Meanwhile what came from it may have been removed.
    return isOwn(*moment) && moment->removedAt == 0 && planned.id != timeline.present()
        && parentsIn(timeline.moments()).contains(planned.id);
}

bool isPruningDue(
    Timeline const& timeline, Policy const& policy, std::uint64_t now, std::optional<std::uint64_t> onDisks)
{
    auto const thinning = thin(pastOf(timeline, now), policy);
    if (timeline.hasWaste() || !thinning.going.empty())
        return true;
    bool const mayAsk = policy.budget != 0 && !thinning.spare.empty();
    return mayAsk && (!onDisks || timeline.size() + *onDisks > policy.budget);
}

bool mayThin(Timeline const& timeline, Policy const& policy, std::uint64_t now)
{
    auto const thinning = thin(pastOf(timeline, now), policy);
    return !thinning.going.empty() || !thinning.waiting.empty() || !thinning.spare.empty();
}

Result<Pruned> prune(Timeline& timeline, Policy const& policy, std::uint64_t now, Purge const& purge,
    Progress const& progress, DisksOfMoments const& disks)
{
    Pruned pruned;
    // What a person has deleted goes even where a damaged moment keeps anybody from telling what else may.
    for (auto const& going : thin(pastOf(timeline, now), policy).going) {
        auto const moment = timeline.moment(going.id);
        if (going.why == Thinned::Removed && moment && isStillGoing(timeline, going) && TRY(purge(going.id)))
            pruned.gone.push_back({ *moment, going.why });
    }
    std::uint64_t onDisksBefore = 0;
    bool hasGone = true;
    for (unsigned round = 0; hasGone; ++round) {
        hasGone = false;
        auto const plan = TRY(planThinning(
            timeline, policy, now, [&] { return goOn(progress, 0, 1); }, disks));
        if (round == 0) {
            pruned.bytesBefore = plan.bytes;
            onDisksBefore = plan.onDisks.value_or(0);
        }
        for (auto const& going : plan.going) {
            if (!goOn(progress, 0, 1))
                return fail(ErrorCode::Cancelled, "thinning the timeline out was cancelled");
            auto const moment = timeline.moment(going.id);
            if (!moment || !isStillGoing(timeline, going) || !TRY(purge(going.id)))
                continue;
            hasGone = true;
            pruned.gone.push_back({ *moment, going.why });
        }
        if (hasGone || round == 0)
            TRY(timeline.sweep(progress));
        // What comes back of pages that are compressed together is an estimate, and what disks let go of is not sure:
        // the budget decides by what is there.
        pruned.onDisks = plan.onDisks;
        if (hasGone || plan.loose > 0) {
            if (disks.tidy)
                disks.tidy();
            pruned.loose = TRY(freedByDisks(disks, {}, pruned.onDisks)).first;
        }
        pruned.bytesAfter = timeline.size() + pruned.onDisks.value_or(0);
        pruned.over = bytesOver(pruned.bytesAfter - std::min(pruned.bytesAfter, plan.waiting), policy);
        hasGone = hasGone && pruned.over > 0;
    }
    if (!pruned.onDisks)
        pruned.bytesBefore -= onDisksBefore;
    return pruned;
}

}
