#pragma once

#include <cstdint>

namespace vmm {

/// One wire into an interrupt controller. Any thread.
class IrqLine {
public:
    virtual ~IrqLine() = default;
    /// Level-triggered: stays as set. For an edge, set(true) then set(false).
    virtual void set(bool level) = 0;
};

/// A message-signalled interrupt as the guest programmed it (PCI Local Bus 3.0, 6.8.1 "MSI Capability Structure").
struct MsiMessage {
    std::uint64_t address = 0;
    std::uint32_t data = 0;
    bool operator==(MsiMessage const&) const = default;
};

/// Takes messages to the processors. Any thread.
class MsiSender {
public:
    virtual ~MsiSender() = default;
    /// It has arrived when this returns: what a device says before it stands still is in the state of the processors.
    virtual void send(MsiMessage const& message) = 0;
};

}
