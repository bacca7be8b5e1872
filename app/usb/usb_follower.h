#pragma once

#include "app/usb/host_usb_list.h"
#include "app/usb/usb_question.h"
#include "vmm/base/event_loop.h"
#include "vmm/usb/host_usb_device.h"

#include <map>
#include <set>

namespace app {

/// Which of the host's USB devices come to one machine by themselves, and which the person is asked about. It only
/// decides: it is told what is plugged in, at which time, and says what is to be attached. One thread.
class UsbFollower {
public:
    /// `asks`: about devices that are plugged in; a machine without a USB controller could not take them.
    UsbFollower(std::string machine, bool asks) : m_machine(std::move(machine)), m_asks(asks) { }

    /// Why a device comes by itself.
    enum class Cause : std::uint8_t {
        Rule,     ///< It is set to this machine.
        Comeback, ///< The machine had it, and it left a moment ago.
        Restored, ///< The machine had it at the moment that it came back from.
    };
    struct Step {
        vmm::HostUsbInfo device;
        Cause cause = Cause::Rule;
        bool operator==(Step const&) const = default;
    };

    /// The machine is in memory now: at the next look() all that is plugged in counts as new, and nothing of it is
    /// asked about only for that. `had`: the devices that it had where it came from, if it came back.
    void cameUp(std::vector<vmm::HostUsbTrace> had = {}, UsbRestore policy = UsbRestore::Attach);
    /// A person has given it back to the host, where it stays as long as it is plugged in, or until comesUp().
    void givenBack(vmm::HostUsbInfo const& device) { m_givenBack.insert(appearanceOf(device)); }
    /// The machine is about to be in memory: what follows is cameUp(), when what is plugged in is known.
    void comesUp() { m_givenBack.clear(); }
    /// The machine's device was plugged out, or died.
    void lost(vmm::HostUsbInfo const& device, vmm::Nanoseconds now);
    /// What is plugged in, and which of that the machine has: what is to be attached now. It forgets what has gone.
    std::vector<Step> look(
        std::vector<HostUsbEntry> const& plugged, std::vector<vmm::HostUsbInfo> const& attached, vmm::Nanoseconds now);
    /// A step was refused, for the host used the device just then: as if the last look() had found that.
    void refused(Step const& step, vmm::Nanoseconds now);
    /// A step failed for what may be over soon: the device has just come, and drivers and programs of the host's are at
    /// it, or it has left and comes again. False: it was tried long enough, and is left to the host.
    bool triesAgain(Step const& step, vmm::Nanoseconds now);
    /// The machine has got it, or shall not: the person said so.
    void settled(std::string const& port);
    /// A device that would come is in use by a program, which may only be looking at it, or failed to: look() again
    /// soon.
    bool isWaiting() const { return !m_waiting.empty(); }

    std::vector<UsbQuestion> const& questions() const { return m_questions; }
    /// What the last look() left to the host because the machine has lost it again and again.
    std::vector<vmm::HostUsbInfo> const& givenUp() const { return m_givenUp; }

    /// Whether a step may be done, as the host uses the device now. The word that was once given holds for a device
    /// that comes back, but not for a disk or a port of it that is in use.
    static bool mayTake(Cause cause, std::vector<HostUse> const& uses);

private:
    struct Gone {
        vmm::HostUsbInfo device;
        vmm::Nanoseconds when;
    };
    /// Since when a device is plugged in: another one each time.
    using Appearance = std::tuple<std::string, std::uint8_t, std::uint8_t>;
    static Appearance appearanceOf(vmm::HostUsbInfo const& device)
    {
        return { device.port, device.bus, device.address };
    }
    std::optional<Cause> causeFor(HostUsbEntry const& entry, bool isNew, vmm::Nanoseconds now) const;
    /// Whether it is left alone at this look(), and looked at again.
    bool waitsFor(HostUsbEntry const& entry, Cause cause, vmm::Nanoseconds now);
    bool isAskedFor(HostUsbEntry const& entry, vmm::Nanoseconds now) const;
    bool isComingBack(HostUsbEntry const& entry, vmm::Nanoseconds now) const;
    bool had(HostUsbEntry const& entry) const;
    bool isLostAgainAndAgain(vmm::HostUsbInfo const& device) const;
    void ask(HostUsbEntry const& entry, UsbQuestion::Reason reason);

    std::string m_machine;
    bool m_asks;
    bool m_cameUp = true;
    std::vector<vmm::HostUsbTrace> m_had;
    UsbRestore m_policy = UsbRestore::Attach;
    std::map<Appearance, vmm::HostUsbInfo> m_seen;
    std::map<std::string, Gone> m_lost; // of the machine, by port
    std::map<std::string, Gone> m_left; // of the host, by port
    std::vector<Gone> m_losses;         // of the last minute
    struct Waiting {
        Cause cause;
        vmm::Nanoseconds since;
    };
    std::map<Appearance, Waiting> m_waiting;
    std::map<Appearance, vmm::Nanoseconds> m_failedSince;
    std::set<Appearance> m_givenBack;
    std::vector<UsbQuestion> m_questions;
    std::vector<vmm::HostUsbInfo> m_givenUp;
};

/// What a machine that has `attached` finds when it comes back from a state in which it had `had`: what UsbFollower
/// and the runner will do then, as the host is now.
std::vector<UsbFate> foresee(std::vector<vmm::HostUsbInfo> const& attached, std::vector<vmm::HostUsbTrace> const& had,
    std::vector<HostUsbEntry> const& plugged, UsbRules const& rules, std::string const& machine);

}
