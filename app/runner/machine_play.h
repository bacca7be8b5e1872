#pragma once

#include "app/runner/machine_factory.h"

#include <vector>

namespace app {

/// The host's sound and gamepads at the devices of the machine in memory, where the factory has any. On the runner's
/// loop.
class MachinePlay {
public:
    /// Called on SDL's thread.
    using Input = std::function<void(vmm::GamepadInput)>;
    MachinePlay(MachineFactory const& factory, Input input);

    /// The machine in memory has that device. `name`: of the machine, for the host's mixer.
    void connect(vmm::Machine& machine, std::string const& name, vmm::UsbDeviceConfig const& device);
    /// It has it no more.
    void disconnect(std::string const& device);
    void machineEnded();
    /// While it stood still it has dropped what was done with the pads.
    void machineRuns();
    void rumble(vmm::event::Rumbled const& what);
    /// Where machines have more gamepads than the host, this one's come first from now on.
    void prefer();

private:
    MachineFactory const& m_factory;
    Input const m_input;
    std::vector<std::unique_ptr<HostGamepads::Seat>> m_seats; // of the machine's gamepads …
    std::vector<std::string> m_seatsOf;                       // … and their ids
};

}
