#pragma once

#include "app/runner/links.h"
#include "vmm/config/vm_config.h"
#include "vmm/machine/machine.h"

#include <map>
#include <memory>
#include <mutex>

namespace app {

/// What the machine in memory is made of and what its next start will be, with the links to consoles and screens of
/// either, which stay when a machine goes. While none is in memory both are the same. Any thread, but that the machine
/// comes and goes on the runner's loop.
class MachineConfigs {
public:
    explicit MachineConfigs(vmm::VmConfig next);

    vmm::VmConfig now() const; ///< of the machine in memory, else the next
    struct Both {
        vmm::VmConfig now, next;
    };
    Both both() const;
    std::string uuid() const;
    /// Name and notes are the present machine's, too.
    void setNext(vmm::VmConfig next);

    /// Another one is in memory, and the links lead to it. `origin`: see ConsoleLink::attach().
    void machineCameUp(vmm::Machine& machine, std::optional<RunOrigin> const& origin = {});
    /// Before it ends.
    void detach();
    void machineEnded();

    /// Finds out what disks are of which nothing says the format, and keeps that. Those that it has found.
    std::vector<vmm::DiskConfig> findFormats();

    // What the machine in memory has taken is the next start's too.
    vmm::Result<vmm::NetworkConfig> changeNetwork(
        std::string const& id, std::function<void(vmm::NetworkConfig&)> const& change);
    vmm::Result<> setPlugged(std::string const& device, bool plugged);
    void setMedium(std::string const& drive, std::string const& path);
    /// Says why the next start goes without it, where that has no room.
    vmm::Result<> addUsb(vmm::UsbAddition const& addition);
    void removeUsb(std::string const& device);

    // One device's alone, where it has a console.
    void attachConsole(vmm::Machine& machine, std::string const& device);
    void detachConsole(std::string const& device);

    std::string mediumPath(std::string const& drive) const;
    /// Of the devices of now().
    std::map<std::string, std::shared_ptr<ConsoleLink>> consoles();
    std::shared_ptr<ScreenLink> screen(std::string const& id) const; ///< null: there is no such display
    std::shared_ptr<ScreenLink> firstScreen() const;                 ///< null: there is none

private:
    // With the mutex held.
    void take(vmm::VmConfig const& taken);
    void makeConsoles();

    mutable std::mutex m_mutex;
    vmm::VmConfig m_next, m_now;
    bool m_hasMachine = false; // m_now is a machine's
    // Of every device that there has been, for who shows one that comes again has its link still.
    std::map<std::string, std::shared_ptr<ConsoleLink>> m_consoles;
    std::map<std::string, std::shared_ptr<ScreenLink>> m_screens;
};

}
