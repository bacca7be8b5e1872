#pragma once

#include "app/usb/host_use.h"
#include "app/usb/usb_claim.h"
#include "app/usb/usb_rules.h"

#include <memory>

namespace app {

/// This host's USB, one for the process, for as long as somebody has it. Any thread.
vmm::Result<std::shared_ptr<vmm::HostUsb>> hostUsb();

/// Of the devices that are plugged in the one that a person means: by its port ("1-2.3"), its numbers ("0951:1666"), or
/// its serial number. InvalidArgument where several are meant.
vmm::Result<vmm::HostUsbInfo> findHostUsb(std::vector<vmm::HostUsbInfo> const& devices, std::string const& which);

/// A device of this host's, with all that a person has to know before it is given to a machine.
struct HostUsbEntry {
    vmm::HostUsbInfo device;
    std::vector<HostUse> uses;       ///< of this host; empty: it can be taken without a question
    std::optional<UsbHolder> holder; ///< the machine that has it, of any process of this person
    std::optional<UsbRule> rule;     ///< the one that holds for it
    bool operator==(HostUsbEntry const&) const = default;
};

/// All that are plugged in, hubs left out, by their ports. Milliseconds; any thread that may wait so long.
std::vector<HostUsbEntry> listHostUsb(vmm::HostUsb const& usb, UsbRules const& rules);

}
