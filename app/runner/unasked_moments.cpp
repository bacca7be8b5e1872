#include "app/runner/unasked_moments.h"

#include "vmm/block/overlay_files.h"

#include <algorithm>
#include <sys/stat.h>

namespace app {

namespace {

using vmm::timeline::Policy;
using vmm::timeline::Reason;

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

/// Or stands on what does: its own file has little in it just after a moment, and in a fork. A block device takes no
/// blocks of any file system, and only whoever reads all of it knows.
bool holdsAnything(vmm::DiskConfig const& disk)
{
    struct stat status { };
    if (disk.readOnly || ::stat(disk.path.c_str(), &status) != 0)
        return false;
    return S_ISBLK(status.st_mode) || static_cast<std::uint64_t>(status.st_blocks) * 512 > emptyDisk
        || !vmm::backingNameOf(disk.path).value_or("").empty();
}

}

UnaskedMoments::UnaskedMoments(Calls calls, vmm::Nanoseconds minute, UnaskedThinning& thinning)
    : m_calls(std::move(calls)), m_minute(minute), m_thinning(thinning)
{
}

void UnaskedMoments::machineCameUp()
{
    answered();
    if (!m_calls.present().canHaveMoments)
        return;
    auto const keepDue = [this] {
        if (!std::exchange(m_isKeeping, true))
            keep(Reason::Automatic, [this](vmm::Result<> const&) { answered(); });
    };
    m_schedule = std::make_unique<MomentSchedule>(
        m_calls.loop(), MomentSchedule::Calls { m_calls.measure, keepDue }, m_minute);
}

void UnaskedMoments::machineEnded()
{
    m_schedule.reset();
}

void UnaskedMoments::follow()
{
    if (!m_schedule)
        return;
    if (m_calls.present().state == SessionState::Running)
        m_schedule->begin(policy());
    else
        m_schedule->end();
}

void UnaskedMoments::answered()
{
    m_isKeeping = false;
    for (auto const& task : std::exchange(m_after, {}))
        task();
}

void UnaskedMoments::kept(MomentSchedule::Mark const& upTo)
{
    if (m_schedule)
        m_schedule->kept(upTo);
}

Policy UnaskedMoments::policy() const
{
    Policy none;
    none.automatic = none.beforeChange = none.onClose = false; // what cannot be read cannot be added to
    return m_calls.policy().value_or(none);
}

bool UnaskedMoments::isWorthKeeping(Reason reason) const
{
    auto const present = m_calls.present();
    if (reason == Reason::BeforeDiscard)
        return present.state == SessionState::Suspended && present.isSaved && present.canHaveMoments;
    // What a saved state still holds needs no moment.
    if (present.state == SessionState::Running || present.state == SessionState::Paused)
        return m_schedule && !present.isSaved && m_schedule->hasAnythingNew();
    if (present.state != SessionState::Off || m_schedule || reason != Reason::BeforeChange)
        return false;
    return present.canHaveMoments && std::ranges::any_of(present.config.disks, &holdsAnything);
}

void UnaskedMoments::tryKeeping(Reason reason, Tried const& done)
{
    // Where it cannot be read, nobody has said that a state may be lost.
    bool const isUnread = reason == Reason::BeforeDiscard && !m_calls.policy();
    if (!(isUnread || isWanted(reason, policy())) || !isWorthKeeping(reason))
        return done(std::optional<vmm::timeline::Moment>());
    vmm::timeline::NewMoment what;
    what.reason = reason;
    m_calls.keep(what, [this, reason, done](vmm::Result<vmm::timeline::Moment> const& moment) {
        if (!moment)
            couldNotKeep(moment.error());
        else if (m_schedule && reason != Reason::OnClose) // which shall not take longer
            m_thinning.now();
        done(moment ? vmm::Result<std::optional<vmm::timeline::Moment>>(*moment) : vmm::fail(moment.error()));
    });
}

void UnaskedMoments::keep(Reason reason, Completion const& done)
{
    tryKeeping(reason, [done](auto const&) {
        if (done)
            done({});
    });
}

void UnaskedMoments::keepBefore(vmm::VmConfig const& wanted, Completion const& done)
{
    if (whatIsGoneBackTo(wanted) != whatIsGoneBackTo(m_calls.present().config))
        keep(Reason::BeforeChange, done);
    else if (done)
        done({});
}

void UnaskedMoments::couldNotKeep(vmm::Error const& error)
{
    // Something else is under way: the schedule asks again in a minute.
    if (error.code == vmm::ErrorCode::Busy)
        return;
    if (m_schedule)
        m_schedule->postpone();
    if (error.code != vmm::ErrorCode::Cancelled) // who cancels knows it
        m_calls.failed(error);
}

}
