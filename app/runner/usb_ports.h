#pragma once

#include "vmm/base/event_loop.h"
#include "vmm/usb/usb_device.h"

#include <optional>

namespace app {

/// The USB ports of whatever machine is in memory, for those whose devices stay when another takes its place. All on
/// the runner's loop, where every answer comes, too.
struct UsbPorts {
    using Completion = std::function<void(vmm::Result<>)>;

    std::function<vmm::EventLoop&()> loop;
    /// Each machine has a number of its own; nothing: none is in memory.
    std::function<std::optional<std::uint64_t>()> machine;
    /// Why nothing was plugged in: none is, or another one than it was meant for.
    std::function<vmm::Error()> refusal;
    /// `done` hears what that machine said, and the refusal where there is none.
    std::function<void(std::string const& id, std::shared_ptr<vmm::UsbDevice> device, Completion const& done)> plug;
    std::function<void(std::string const& id, Completion const& done)> unplug;

    /// Whether the machine with that number is in memory still.
    bool isStill(std::optional<std::uint64_t> const& one) const { return one && machine() == one; }
    /// Whether another one has taken its place, and was given the devices that it had.
    bool isAnother(std::optional<std::uint64_t> const& one) const { return machine() && machine() != one; }
};

}
