#pragma once

#include "vmm/usb/usb_device.h"

#include <functional>
#include <string>

namespace vmm {

/// A device that is no part of the machine, as one of the host's or one of another computer: it stays while a moment
/// takes the machine's place, and what it does elsewhere comes back on a thread of its own.
class VisitingUsbDevice : public UsbDevice {
public:
    /// Another one each time that it is plugged in: a saved state that knows it from before does not know what it is at
    /// now.
    std::string_view identity() const override { return m_identity; }
    void setHost(UsbHost* host) override;
    void reset() override { }
    bool isVisitor() const override { return true; }

    /// Of isochronousLead(), in microframes. More than a guest's controller has in flight at an interval of one: then
    /// what it gives next follows what has landed, several together, and not its clock.
    static constexpr unsigned usualLead = 192;

protected:
    /// What identity() is when it is plugged in now.
    virtual std::string newIdentity() const = 0;

    // On the device's own thread. The controller may be letting go of the device: its lock is not waited for in a way
    // that it would wait for.

    /// Runs `task` with the lock of the bus; not at all while the device is unplugged.
    void withBus(std::function<void()> const& task);
    /// The same, but while the device is unplugged it runs `task` too, and nobody can plug it in meanwhile.
    void alone(std::function<void()> const& task);

private:
    enum class Unplugged : std::uint8_t { Skip, Run };
    void run(std::function<void()> const& task, Unplugged unplugged);

    std::string m_identity;
    std::mutex m_presence; // held to change who the host is; inside of the bus's lock
};

}
