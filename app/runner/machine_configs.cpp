#include "app/runner/machine_configs.h"

#include "app/store/disk_images.h"
#include "app/store/own_usb.h"
#include "vmm/machine/moment_disks.h"

#include <algorithm>
#include <fmt/format.h>
#include <optional>

namespace app {

MachineConfigs::MachineConfigs(vmm::VmConfig next)
{
    setNext(std::move(next));
}

vmm::VmConfig MachineConfigs::now() const
{
    std::lock_guard const guard(m_mutex);
    return m_now;
}

MachineConfigs::Both MachineConfigs::both() const
{
    std::lock_guard const guard(m_mutex);
    return { m_now, m_next };
}

std::string MachineConfigs::uuid() const
{
    std::lock_guard const guard(m_mutex);
    return m_now.uuid;
}

void MachineConfigs::setNext(vmm::VmConfig next)
{
    std::lock_guard const guard(m_mutex);
    m_next = std::move(next);
    if (!m_hasMachine) {
        take(m_next);
    } else {
        m_now.name = m_next.name;
        m_now.notes = m_next.notes;
    }
}

void MachineConfigs::take(vmm::VmConfig const& taken)
{
    m_now = taken;
    makeConsoles();
    for (auto const& display : m_now.displays) {
        if (auto& link = m_screens[display.id]; !link)
            link = std::make_shared<ScreenLink>();
    }
}

void MachineConfigs::makeConsoles()
{
    for (auto const& id : vmm::consoleIds(m_now)) {
        if (auto& link = m_consoles[id]; !link)
            link = std::make_shared<ConsoleLink>();
    }
}

void MachineConfigs::machineCameUp(vmm::Machine& machine, std::optional<RunOrigin> const& origin)
{
    std::lock_guard const guard(m_mutex);
    // The machine knows best what it is made of: a restored one brings its configuration along. What it is called
    // is the person's, who may have changed it meanwhile.
    auto its = machine.config();
    its.name = m_next.name;
    its.notes = m_next.notes;
    m_hasMachine = true;
    take(its);
    for (auto const& [id, link] : m_consoles) {
        if (auto* console = machine.console(id))
            link->attach(*console, origin);
    }
    for (auto const& [id, link] : m_screens) {
        if (auto* screen = machine.screen(id))
            link->attach(*screen);
    }
}

void MachineConfigs::detach()
{
    std::lock_guard const guard(m_mutex);
    for (auto const& [id, link] : m_consoles)
        link->detach();
    for (auto const& [id, link] : m_screens)
        link->detach();
}

void MachineConfigs::machineEnded()
{
    auto raw = now().disks;
    std::erase_if(raw, [](auto const& disk) { return disk.format != vmm::DiskFormat::Raw; });
    for (auto& disk : raw)
        disk.format = vmm::readFormatNow(disk).value_or(disk.format); // of what is raw the next start asks again
    std::lock_guard const guard(m_mutex);
    m_hasMachine = false;
    // While a moment had made it qcow2 it was read as such, and a commit may have made it raw again.
    for (auto& next : m_next.disks) {
        auto const its = std::ranges::find(raw, next.id, &vmm::DiskConfig::id);
        if (its != raw.end() && its->path == next.path)
            next.format = its->format;
    }
    take(m_next);
}

std::vector<vmm::DiskConfig> MachineConfigs::findFormats()
{
    auto found = both().next.disks;
    std::erase_if(found, [](auto const& disk) { return disk.format.has_value(); });
    app::findFormats(found);
    std::erase_if(found, [](auto const& disk) { return !disk.format; });
    std::lock_guard const guard(m_mutex);
    for (auto const& disk : found)
        keepFormat(m_next, disk);
    if (!m_hasMachine && !found.empty())
        take(m_next);
    return found;
}

vmm::Result<vmm::NetworkConfig> MachineConfigs::changeNetwork(
    std::string const& id, std::function<void(vmm::NetworkConfig&)> const& change)
{
    std::lock_guard const guard(m_mutex);
    std::optional<vmm::NetworkConfig> changed;
    for (auto* one : { &m_next, &m_now }) {
        for (auto& network : one->networks) {
            if (network.id == id) {
                change(network);
                changed = network;
            }
        }
    }
    if (!changed)
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no network card called {}", id));
    return *changed;
}

vmm::Result<> MachineConfigs::setPlugged(std::string const& device, bool plugged)
{
    std::lock_guard const guard(m_mutex);
    bool isKnown = false;
    for (auto* one : { &m_next, &m_now }) {
        if (auto* const mark = vmm::pluggedMark(*one, device)) {
            *mark = plugged;
            isKnown = true;
        }
    }
    if (!isKnown)
        return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("there is no USB device called {}", device));
    return {};
}

void MachineConfigs::setMedium(std::string const& drive, std::string const& path)
{
    std::lock_guard const guard(m_mutex);
    for (auto* one : { &m_next, &m_now }) {
        for (auto& cd : one->cds) {
            if (cd.id == drive)
                cd.path = path;
        }
    }
}

vmm::Result<> MachineConfigs::addUsb(vmm::UsbAddition const& addition)
{
    std::lock_guard const guard(m_mutex);
    vmm::ignore(vmm::addUsb(m_now, addition)); // as the machine has done it
    auto const adopted = adoptUsb(m_next, addition);
    makeConsoles();
    return adopted;
}

void MachineConfigs::removeUsb(std::string const& device)
{
    std::lock_guard const guard(m_mutex);
    for (auto* one : { &m_now, &m_next })
        vmm::ignore(vmm::removeUsb(*one, device)); // the next start may be without it already
}

void MachineConfigs::attachConsole(vmm::Machine& machine, std::string const& device)
{
    auto const links = consoles();
    auto* const console = links.contains(device) ? machine.console(device) : nullptr;
    if (console != nullptr)
        links.at(device)->attach(*console);
}

void MachineConfigs::detachConsole(std::string const& device)
{
    if (auto const links = consoles(); links.contains(device))
        links.at(device)->detach();
}

std::string MachineConfigs::mediumPath(std::string const& drive) const
{
    std::lock_guard const guard(m_mutex);
    auto const found = std::ranges::find(m_now.cds, drive, &vmm::CdConfig::id);
    return found == m_now.cds.end() ? std::string() : found->path;
}

std::map<std::string, std::shared_ptr<ConsoleLink>> MachineConfigs::consoles()
{
    std::lock_guard const guard(m_mutex);
    std::map<std::string, std::shared_ptr<ConsoleLink>> links;
    for (auto const& id : vmm::consoleIds(m_now))
        links[id] = m_consoles[id];
    return links;
}

std::shared_ptr<ScreenLink> MachineConfigs::screen(std::string const& id) const
{
    std::lock_guard const guard(m_mutex);
    bool const isThere = std::ranges::find(m_now.displays, id, &vmm::DisplayConfig::id) != m_now.displays.end();
    return isThere ? m_screens.at(id) : nullptr;
}

std::shared_ptr<ScreenLink> MachineConfigs::firstScreen() const
{
    std::lock_guard const guard(m_mutex);
    return m_now.displays.empty() ? nullptr : m_screens.at(m_now.displays.front().id);
}

}
