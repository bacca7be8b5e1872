#pragma once

#include "vmm/base/event_loop.h"
#include "vmm/machine/machine.h"

namespace app {

/// When a machine keeps its present by itself: after so many minutes of running since the last moment, in at least one
/// of which the guest was busy. An idle one gets none. Everything on the loop's thread.
class MomentSchedule {
public:
    struct Calls {
        std::function<vmm::MachineStatistics()> measure;
        /// A moment is due. kept() answers, now or later; until then it is due again each minute.
        std::function<void()> keep;
    };
    /// `minute`: of the clock; tests have shorter ones.
    MomentSchedule(vmm::EventLoop& loop, Calls calls, vmm::Nanoseconds minute);

    /// The guest runs on, from the beginning or after end(); also: the policy is another one.
    void begin(vmm::timeline::Policy const& policy);
    /// It stands still.
    void end();

    /// What was done until now, for the moment that is being kept now.
    struct Mark {
        unsigned busyMinutes = 0;
        vmm::MachineStatistics figures;
    };
    Mark mark();
    /// There is a moment of what was done until then.
    void kept(Mark const& upTo);
    /// That is not possible now: so many minutes later it is tried again.
    void postpone() { m_minutes = 0; }
    /// Whether the guest has done anything since the last moment, if it was only a little.
    bool hasAnythingNew() const;

private:
    void arm();
    void look();

    vmm::EventLoop& m_loop;
    Calls m_calls;
    vmm::Nanoseconds m_minute;
    vmm::timeline::Policy m_policy;
    vmm::MachineStatistics m_last; // when we looked last
    unsigned m_minutes = 0;        // of running since the last moment
    unsigned m_busyMinutes = 0;    // so far
    Mark m_kept;
    vmm::EventLoop::Handle m_timer;
};

}
