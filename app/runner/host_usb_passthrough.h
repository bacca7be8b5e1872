#pragma once

#include "app/runner/host_usb_traces.h"
#include "app/runner/usb_ports.h"
#include "app/usb/usb_follower.h"
#include "vmm/config/vm_config.h"

#include <mutex>

namespace app {

class HostUsbDevices;

/// The host's USB devices in whatever machine is in memory: those that a person gives it, those that come by
/// themselves, and what the person is asked about those. UsbFollower decides; here it is told what happens, and done
/// what it says.
///
/// The runner has one, which is there before its loop runs and after that has ended. All is done on the loop, but for
/// what may be asked on any thread. What the machine has ends with the machine; close() ends the threads beside.
class HostUsbPassthrough {
public:
    using Completion = UsbPorts::Completion;
    /// Called on the loop.
    struct Events {
        std::function<void(std::vector<vmm::HostUsbInfo> const&)> devicesChanged;
        std::function<void(std::vector<UsbQuestion> const&)> questionsChanged;
        /// A device that was to come by itself, or to stay, did not.
        std::function<void(vmm::HostUsbInfo const&, vmm::Error const&)> failed;
    };
    /// `root`: of the library whose rules hold; empty: none do, and nobody is asked. `config`: the machine's, as it is
    /// now; any thread.
    HostUsbPassthrough(UsbPorts ports, std::string root, std::function<vmm::VmConfig()> config, Events events);
    ~HostUsbPassthrough();
    HostUsbPassthrough(HostUsbPassthrough const&) = delete;
    HostUsbPassthrough& operator=(HostUsbPassthrough const&) = delete;

    /// By a person; see MachineRunner::attachHostUsb().
    void attach(std::string const& which, Really really, Completion const& done);
    void detach(std::string const& which, Completion const& done);
    /// The answer "no" to the question about the device at that port.
    void dismiss(std::string const& port);

    /// A machine is in memory, and what is set to it comes. `had`: what it had at the moment or in the saved state that
    /// it came from; null: it was started. Devices that are here are plugged in as if somebody had done that just now,
    /// or left to the host, as the person wants it.
    void machineCameUp(HadUsb had);
    /// There is none in memory any more: all go back to the host.
    void machineEnded();
    /// Before the loop ends. What is asked of it after that is refused.
    void close();

    // Any thread.
    std::vector<vmm::HostUsbInfo> devices() const;
    std::vector<UsbQuestion> questions() const;
    /// What becomes of the devices when a machine comes up that had those. Asks the host.
    std::vector<UsbFate> foresee(std::vector<vmm::HostUsbTrace> const& had) const;

private:
    using Allows = std::function<vmm::Result<>(HostUsbEntry const&)>;
    struct CameUp;
    struct Following;
    HostUsbDevices& taken();
    UsbHolder holder() const;
    UsbRules rules() const;
    void attach(std::string const& which, Allows const& allows, Completion const& done);
    void unplug(std::string const& port, Completion const& done);
    void lose(std::string const& port);
    void plugAnew(std::string const& port);
    void comeUp(CameUp cameUp);
    void follow();
    void look();
    void lookSoon();
    void takeLook(std::shared_ptr<vmm::HostUsb> usb, std::vector<HostUsbEntry> const& entries);
    void takeStep(UsbFollower::Step const& step);
    void fail(vmm::HostUsbInfo const& device, vmm::Error const& why);
    void tellDevices();
    void tellQuestions();

    UsbPorts const m_ports;
    std::string const m_root;
    std::function<vmm::VmConfig()> const m_config;
    Events const m_events;
    std::unique_ptr<HostUsbDevices> m_taken; // made when it is needed
    std::shared_ptr<Following> m_following;  // the same; of the machine in memory

    mutable std::mutex m_toldMutex; // as it was told last
    std::vector<vmm::HostUsbInfo> m_toldDevices;
    std::vector<UsbQuestion> m_toldQuestions;
};

}
