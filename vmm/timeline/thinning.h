#pragma once

#include "vmm/timeline/timeline.h"

/// Which moments go when a machine's past is thinned out. thin() and keepBudget() are functions of values.
namespace vmm::timeline {

/// Why a moment goes.
enum class Thinned : std::uint8_t {
    Removed, ///< A person has removed it, and the time in which it could be brought back is over.
    Tier,    ///< The policy keeps another one of that time, or none that old.
    Budget,  ///< It is the oldest of those that may go, and the disk space is used up.
};
constexpr auto stateNames(Thinned)
{
    return std::to_array<std::string_view>({ "removed", "tier", "budget" });
}

struct ThinnedMoment {
    std::string id;
    Thinned why = Thinned::Tier;
    bool operator==(ThinnedMoment const&) const = default;
};

/// So long what was removed can be brought back.
constexpr std::uint64_t removedStays = 3600ULL * 1'000'000'000; // ns

/// What there is to thin.
struct Past {
    std::vector<Moment> moments;  ///< in any order
    std::string present, goingTo; ///< as TimelineRecord has them
    std::uint64_t now = 0;        ///< ns since 1970
};

struct Thinning {
    std::vector<ThinnedMoment> going; ///< in this order
    std::vector<std::string> waiting; ///< a person has removed them, and may yet bring them back; then they go
    std::vector<std::string> spare;   ///< what would go for the budget, in this order
};

/// Whether the machine has kept it by itself, and no person has said anything of it since.
bool isOwn(Moment const& moment);

/// What goes by itself: never the present, nor where the machine is on its way to, nor anything that a person has kept,
/// named, noted or pinned, nor the last moment of a branch: nothing else has what the machine was there. Of the rest a
/// tier keeps the first one of each of its pieces of time, which begin at whole multiples since 1970: what stays now
/// would also have stayed had nothing been thinned before.
Thinning thin(Past const& past, Policy const& policy);

/// What goes for the budget besides, the oldest first.
struct BudgetPlan {
    std::vector<ThinnedMoment> going;
    std::uint64_t bytes = 0; ///< that are left
    std::uint64_t over = 0;  ///< of those, what the budget does not have: only a person can give it back
};
/// `bytes`: what there is without thinning.going and thinning.waiting; `freed`: what each of thinning.spare gives back
/// when those before it have gone.
BudgetPlan keepBudget(
    Thinning const& thinning, Policy const& policy, std::uint64_t bytes, std::vector<std::uint64_t> const& freed);

/// What disks keep for moments, of which a timeline knows nothing. Empty: they keep nothing.
struct DisksOfMoments {
    /// As Timeline::freed() has it of what is in the timeline. What fails is not known, and not counted.
    std::function<Result<Freed>(std::vector<std::string> const& order)> freed;
    /// Has them let go of what no moment needs, as far as they can; returns when they have.
    std::function<void()> tidy;
};

/// Both, for a timeline as it is, and its disks.
struct ThinningPlan {
    std::vector<ThinnedMoment> going;
    std::uint64_t bytes = 0, bytesAfter = 0; ///< all that moments take, now and then, as far as that can be known
    std::uint64_t waiting = 0;               ///< of bytesAfter, what goes with Thinning::waiting
    std::uint64_t over = 0;                  ///< as BudgetPlan has it
    Result<std::uint64_t> onDisks = 0;       ///< of bytes, what disks keep; an error: nothing, for it is not known
    std::uint64_t onDisksAfter = 0;          ///< of bytesAfter
    std::uint64_t loose = 0;                 ///< of onDisks, for no moment any more
};
/// Refuses what Timeline::freed() does.
Result<ThinningPlan> planThinning(Timeline const& timeline, Policy const& policy, std::uint64_t now,
    std::function<bool()> const& goOn = {}, DisksOfMoments const& disks = {});

/// Whether that one would still go, should the past have changed since the plan was made: a person may have pinned it.
bool isStillGoing(Timeline const& timeline, ThinnedMoment const& planned);

/// Whether there is anything to thin, or to give back. Quick: reads no tree. `onDisks`: what disks kept when somebody
/// last looked; nothing: nobody has, or too long ago, so that it is due where the budget could ask for a moment.
bool isPruningDue(Timeline const& timeline, Policy const& policy, std::uint64_t now,
    std::optional<std::uint64_t> onDisks = std::uint64_t(0));

/// Whether anything may go without a person's word: else what is over the budget is that person's to free.
bool mayThin(Timeline const& timeline, Policy const& policy, std::uint64_t now);

/// What prune() has done.
struct Pruned {
    struct Gone {
        Moment moment;
        Thinned why;
    };
    std::vector<Gone> gone;
    std::uint64_t bytesBefore = 0, bytesAfter = 0; ///< all that moments take
    std::uint64_t over = 0;                        ///< as BudgetPlan has it
    Result<std::uint64_t> onDisks = 0;             ///< of bytesAfter; an error: not known, and in none of the figures
    std::uint64_t loose = 0;                       ///< of onDisks, for no moment any more
};
/// Ends what planThinning() says and gives back what nothing needs, until the budget is kept or nothing is left that
/// may go. What disks do not let go of ends no other moment: it is over the budget. `purge` does the first for one
/// moment, or returns false: not now. Cancelled it leaves less to do. Progress: nothing of 1 until what goes has gone,
/// then sweep()'s, and so again in each round.
using Purge = std::function<Result<bool>(std::string const& moment)>;
Result<Pruned> prune(Timeline& timeline, Policy const& policy, std::uint64_t now, Purge const& purge,
    Progress const& progress = {}, DisksOfMoments const& disks = {});

}
