#pragma once

#include <cstdint>
#include <memory>
#include <optional>

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

/// One message that can be sent again and again; how it travels (irqfd) is the hypervisor's matter. Any thread.
class MsiRoute {
public:
    virtual ~MsiRoute() = default;
    /// Where the next trigger() goes; none: nowhere.
    virtual void update(std::optional<MsiMessage> message) = 0;
    virtual void trigger() = 0;
};

class MsiRouter {
public:
    virtual ~MsiRouter() = default;
    virtual std::unique_ptr<MsiRoute> makeRoute() = 0;
};

}
