#include "app/runner/machine_runner_private.h"

/// The host's sound and gamepads, while a machine is in memory.
namespace app {

void MachineRunner::Private::connectPlay()
{
    for (auto const& device : runner.config().usbDevices)
        connectPlay(device);
}

void MachineRunner::Private::connectPlay(vmm::UsbDeviceConfig const& device)
{
    if (device.kind == vmm::UsbKind::Audio && factory.sound) {
        if (auto* const port = machine->audio(device.id))
            port->connect(factory.sound(runner.config().name));
    }
    if (device.kind == vmm::UsbKind::Gamepad && factory.gamepads) {
        auto play = [this, id = device.id](vmm::GamepadState const& state) {
            runner.sendInput(vmm::GamepadInput { id, state });
        };
        seats.push_back(std::make_unique<HostGamepads::Seat>(*factory.gamepads, std::move(play)));
        seatsOf.push_back(device.id);
    }
}

void MachineRunner::Private::disconnectPlay()
{
    seats.clear();
    seatsOf.clear();
}

void MachineRunner::Private::disconnectPlay(std::string const& device)
{
    for (std::size_t i = 0; i < seats.size(); ++i) {
        if (seatsOf[i] != device)
            continue;
        seats.erase(seats.begin() + static_cast<std::ptrdiff_t>(i));
        seatsOf.erase(seatsOf.begin() + static_cast<std::ptrdiff_t>(i));
        return;
    }
}

/// While it did not run, the machine has dropped what was done with the pads.
void MachineRunner::Private::followPlay(SessionState state)
{
    if (state != SessionState::Running)
        return;
    for (auto const& seat : seats)
        seat->repeat();
}

void MachineRunner::Private::rumble(vmm::event::Rumbled const& what)
{
    for (std::size_t i = 0; i < seats.size(); ++i) {
        if (seatsOf[i] == what.device)
            seats[i]->rumble(what.strong, what.weak);
    }
}

void MachineRunner::preferGamepads()
{
    m_private->post(
        [this] {
            if (m_private->factory.gamepads && !m_private->seats.empty())
                m_private->factory.gamepads->prefer(m_private->seats);
        },
        {});
}

}
