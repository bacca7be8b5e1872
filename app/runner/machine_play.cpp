#include "app/runner/machine_play.h"

namespace app {

MachinePlay::MachinePlay(MachineFactory const& factory, Input input) : m_factory(factory), m_input(std::move(input)) { }

void MachinePlay::connect(vmm::Machine& machine, std::string const& name, vmm::UsbDeviceConfig const& device)
{
    if (device.kind == vmm::UsbKind::Audio && m_factory.sound) {
        if (auto* const port = machine.audio(device.id))
            port->connect(m_factory.sound(name));
    }
    if (device.kind == vmm::UsbKind::Gamepad && m_factory.gamepads) {
        auto play = [this, id = device.id](vmm::GamepadState const& state) { m_input({ id, state }); };
        m_seats.push_back(std::make_unique<HostGamepads::Seat>(*m_factory.gamepads, std::move(play)));
        m_seatsOf.push_back(device.id);
    }
}

void MachinePlay::disconnect(std::string const& device)
{
    for (std::size_t i = 0; i < m_seats.size(); ++i) {
        if (m_seatsOf[i] != device)
            continue;
        m_seats.erase(m_seats.begin() + static_cast<std::ptrdiff_t>(i));
        m_seatsOf.erase(m_seatsOf.begin() + static_cast<std::ptrdiff_t>(i));
        return;
    }
}

void MachinePlay::machineEnded()
{
    m_seats.clear();
    m_seatsOf.clear();
}

void MachinePlay::machineRuns()
{
    for (auto const& seat : m_seats)
        seat->repeat();
}

void MachinePlay::rumble(vmm::event::Rumbled const& what)
{
    for (std::size_t i = 0; i < m_seats.size(); ++i) {
        if (m_seatsOf[i] == what.device)
            m_seats[i]->rumble(what.strong, what.weak);
    }
}

void MachinePlay::prefer()
{
    if (m_factory.gamepads && !m_seats.empty())
        m_factory.gamepads->prefer(m_seats);
}

}
