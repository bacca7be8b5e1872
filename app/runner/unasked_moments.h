#pragma once

#include "app/runner/moment_schedule.h"
#include "app/runner/session_state.h"
#include "app/runner/unasked_thinning.h"
#include "vmm/timeline/timeline.h"

#include <optional>

namespace app {

/// Moments that a machine keeps without being asked: while its guest is busy, before its settings change, before its
/// suspended state is thrown away, and on close; where the timeline's policy wants that, and there is anything new. All
/// on the runner's loop, where every answer comes, too.
class UnaskedMoments {
public:
    using Completion = std::function<void(vmm::Result<>)>;
    using Kept = std::function<void(vmm::Result<vmm::timeline::Moment>)>;
    /// The machine as it is now.
    struct Present {
        SessionState state;
        bool canHaveMoments;
        bool isSaved; ///< a saved state holds what it is
        vmm::VmConfig config;
    };
    struct Calls {
        std::function<vmm::EventLoop&()> loop;
        std::function<Present()> present;
        std::function<vmm::MachineStatistics()> measure;
        std::function<vmm::Result<vmm::timeline::Policy>()> policy; ///< of the timeline, as it is now
        std::function<void(vmm::timeline::NewMoment, Kept const&)> keep;
        std::function<void(vmm::Error const&)> failed;
    };
    /// `minute`: of the schedule. `thinning`: is begun when a moment of a machine in memory is kept.
    UnaskedMoments(Calls calls, vmm::Nanoseconds minute, UnaskedThinning& thinning);

    void machineCameUp();
    void machineEnded();
    /// The machine's state, or the policy, may be another one.
    void follow();

    /// The timeline's; where that cannot be read, one that wants no moment.
    vmm::timeline::Policy policy() const;
    /// `done` hears what came of it; nothing where nothing was to be kept.
    using Tried = std::function<void(vmm::Result<std::optional<vmm::timeline::Moment>> const&)>;
    void tryKeeping(vmm::timeline::Reason reason, Tried const& done);
    /// The same, and `done` hears no error.
    void keep(vmm::timeline::Reason reason, Completion const& done);
    /// keep(), where `wanted` differs in more than what the same hand puts back.
    void keepBefore(vmm::VmConfig const& wanted, Completion const& done);

    /// The machine was told that an automatic one is due, and has not answered yet.
    bool isKeepingAutomatically() const { return m_isKeeping; }
    /// When it has: what was asked for meanwhile.
    void afterAutomatic(std::function<void()> task) { m_after.push_back(std::move(task)); }
    bool isWaitedFor() const { return !m_after.empty(); }

    /// For a moment of a machine in memory that is being kept now, for whatever reason; see MomentSchedule.
    MomentSchedule::Mark mark() { return m_schedule->mark(); }
    void kept(MomentSchedule::Mark const& upTo);

private:
    bool isWorthKeeping(vmm::timeline::Reason reason) const;
    void answered();
    void couldNotKeep(vmm::Error const& error);

    Calls const m_calls;
    vmm::Nanoseconds const m_minute;
    UnaskedThinning& m_thinning;
    std::unique_ptr<MomentSchedule> m_schedule; // of the machine in memory, if it can have moments
    bool m_isKeeping = false;                   // isKeepingAutomatically()
    std::vector<std::function<void()>> m_after;
};

}
