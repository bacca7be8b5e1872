#pragma once

#include "app/runner/usb_ports.h"
#include "app/runner/usb_redirections.h"

#include <mutex>

namespace app {

/// USB devices of other computers in whatever machine is in memory: what UsbRedirections brings is plugged into it.
///
/// The runner has one, which is there before its loop runs and after that has ended. All is done on the loop, but for
/// list(). Devices, and places where some are waited for, end with the machine; close() ends the threads beside.
class RedirectedUsbDevices {
public:
    using Completion = UsbPorts::Completion;
    using Redirected = std::function<void(vmm::Result<RedirectedUsb>)>;
    /// What there is now; `lost`: the id of one that has gone by itself, and why. Called on the loop.
    using Changed = std::function<void(
        std::vector<RedirectedUsb> const&, std::string const& lost, std::optional<vmm::Error> const& why)>;
    RedirectedUsbDevices(UsbPorts ports, Changed changed);

    void connect(UsbPeerAddress const& from, Redirected const& done);
    void callOff(UsbPeerAddress const& from, Completion const& done);
    void listen(UsbPeerAddress const& at, Redirected const& done);
    /// By the id of the device, or of the place.
    void end(std::string const& id, Completion const& done);

    /// Another machine has taken the place of the one in memory: the devices are plugged into it as if somebody had
    /// done that just now.
    void machineCameUp();
    void machineEnded();
    /// Before the loop ends. What is asked of it after that is refused.
    void close();

    std::vector<RedirectedUsb> list() const; ///< any thread, as it was told last

private:
    UsbRedirections& redirections();
    void plug(std::string const& id, UsbRedirections::Device const& device, Redirected const& done);
    void unplug(std::string const& id, std::optional<vmm::Error> const& why, Completion const& done);
    void tell(std::string const& lost = {}, std::optional<vmm::Error> const& why = {});

    UsbPorts const m_ports;
    Changed const m_changed;
    std::unique_ptr<UsbRedirections> m_redirections; // made when it is needed

    mutable std::mutex m_toldMutex;
    std::vector<RedirectedUsb> m_told;
};

}
