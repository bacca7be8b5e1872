#include "app/runner/own_usb_devices.h"

#include "app/store/disk_images.h"
#include "app/store/own_usb.h"
#include "vmm/base/log.h"

#include <algorithm>
#include <fmt/format.h>
#include <unistd.h>

namespace app {

using vmm::UsbAddition;

namespace {

constexpr std::string_view removing = "remove a USB device from";

/// What would be refused later is refused with everything as it was.
vmm::Result<> prepare(vmm::DiskConfig& stick)
{
    if (stick.path.empty() || stick.path.front() != '/')
        return vmm::fail(vmm::ErrorCode::InvalidArgument, "the path of a stick's image begins with /");
    if (!vmm::isUsb(stick.bus))
        return vmm::fail(vmm::ErrorCode::InvalidArgument, "only a stick can be added to a machine that is there");
    if (::access(stick.path.c_str(), stick.readOnly ? R_OK : R_OK | W_OK) != 0)
        return vmm::failOs(fmt::format("cannot {} {}", stick.readOnly ? "read" : "write to", stick.path));
    return attachDisk(stick);
}

vmm::DiskConfig const* findStick(vmm::VmConfig const& config, std::string const& device)
{
    auto const found = std::ranges::find_if(
        config.disks, [&](auto const& disk) { return disk.id == device && vmm::isUsb(disk.bus); });
    return found == config.disks.end() ? nullptr : &*found;
}

void finish(OwnUsbDevices::Completion const& done, vmm::Result<> outcome)
{
    if (done)
        done(std::move(outcome));
}

}

OwnUsbDevices::OwnUsbDevices(Calls calls, MachineConfigs& configs, MachinePlay& play)
    : m_calls(std::move(calls)), m_configs(configs), m_play(play)
{
}

/// One that neither the machine nor its next start has, nor one that is on its way; a stick that comes back at the next
/// start anyway is the same.
void OwnUsbDevices::giveId(UsbAddition& addition)
{
    auto const [now, next] = m_configs.both();
    auto all = now;
    all.disks.insert(all.disks.end(), next.disks.begin(), next.disks.end());
    all.usbDevices.insert(all.usbDevices.end(), next.usbDevices.begin(), next.usbDevices.end());
    for (auto const& id : m_coming)
        all.usbDevices.push_back({ id, vmm::UsbKind::Tablet });
    auto* const stick = std::get_if<vmm::DiskConfig>(&addition);
    if (stick == nullptr) {
        auto& device = std::get<vmm::UsbDeviceConfig>(addition);
        device.id = freeUsbDeviceId(all, device.kind);
        return;
    }
    stick->id = freeDeviceId(all, "disk");
    for (auto const& known : next.disks) {
        auto const isKnown = [&](auto const& one) { return one.id == known.id; };
        if (vmm::isUsb(known.bus) && known.path == stick->path && std::ranges::none_of(now.disks, isKnown))
            stick->id = known.id;
    }
}

void OwnUsbDevices::add(UsbAddition addition, Added const& done)
{
    auto const answer = [done](vmm::Result<std::string> const& outcome) {
        if (done)
            done(outcome);
    };
    constexpr std::string_view what = "add a USB device to";
    if (auto const possible = m_calls.mayChange(what); !possible)
        return answer(vmm::fail(possible.error()));
    if (auto* const stick = std::get_if<vmm::DiskConfig>(&addition)) {
        if (auto const ready = prepare(*stick); !ready)
            return answer(vmm::fail(ready.error()));
    }
    giveId(addition);
    auto const id = idOf(addition);
    if (!m_calls.machine()) {
        auto const added = changeNext([&](vmm::VmConfig& next) { return adoptUsb(next, addition); });
        if (added)
            m_calls.tell(notice::UsbAdded { addition });
        return answer(added ? vmm::Result<std::string>(id) : vmm::fail(added.error()));
    }
    m_coming.push_back(id);
    m_calls.forward(what, vmm::command::AddUsb { addition }, [this, answer, id](vmm::Result<> const& outcome) {
        std::erase(m_coming, id);
        answer(outcome ? vmm::Result<std::string>(id) : vmm::fail(outcome.error()));
    });
}

void OwnUsbDevices::remove(std::string const& device, Completion const& done)
{
    if (auto const possible = m_calls.mayChange(removing); !possible)
        return finish(done, possible);
    auto const known = m_configs.now();
    auto without = known;
    if (auto const possible = vmm::removeUsb(without, device); !possible)
        return finish(done, possible);
    auto const* const stick = findStick(known, device);
    if (auto const free = stick ? m_calls.disksMayGo() : vmm::Result<>(); !free)
        return finish(done, free);
    auto const kept = isInMoments(stick);
    if (!kept)
        return finish(done, vmm::fail(vmm::Error(kept.error()).within("the timeline cannot be read")));
    *kept ? keepAndTakeAway(device, done) : takeAway(device, done);
}

/// Whoever goes to a moment that has something of the stick takes it back to what it held then. What it holds now is
/// kept once more while it still belongs to the machine, and nothing is written to it any more.
void OwnUsbDevices::keepAndTakeAway(std::string const& device, Completion const& done)
{
    auto const keepIt = [this, device, done, mine = m_calls.number()](vmm::Result<> const& unplugged) {
        if (!unplugged)
            return finish(done, unplugged);
        m_calls.keepMoment([this, device, done, mine](vmm::Result<> outcome) {
            if (outcome && mine != m_calls.number())
                outcome = vmm::fail(vmm::ErrorCode::NotNow, "the machine is another one meanwhile");
            if (outcome)
                return takeAway(device, done);
            finish(done,
                vmm::fail(
                    vmm::Error(outcome.error()).within("what the stick holds now could not be kept, so it stays")));
        });
    };
    if (!m_calls.machine())
        return keepIt({});
    m_calls.forward(
        removing, vmm::command::SetPlugged { device, false }, [this, device, keepIt](vmm::Result<> const& unplugged) {
            if (unplugged)
                vmm::ignore(notePlugged(device, false));
            keepIt(unplugged);
        });
}

/// Whether a moment has something of the stick; null: no stick.
vmm::Result<bool> OwnUsbDevices::isInMoments(vmm::DiskConfig const* stick) const
{
    if (stick == nullptr || stick->readOnly)
        return false;
    auto const past = TRY(m_calls.timeline());
    return past && std::ranges::any_of(past->moments(), [&](auto const& moment) {
        return std::ranges::any_of(moment.disks, [&](auto const& disk) { return disk.path == stick->path; });
    });
}

void OwnUsbDevices::takeAway(std::string const& device, Completion const& done)
{
    if (!m_calls.machine()) {
        auto const removed = changeNext([&](vmm::VmConfig& next) { return vmm::removeUsb(next, device); });
        if (removed)
            m_calls.tell(notice::UsbRemoved { device });
        return finish(done, removed);
    }
    m_configs.detachConsole(device);
    m_calls.forward(removing, vmm::command::RemoveUsb { device },
        [this, device, done, mine = m_calls.number()](vmm::Result<> const& outcome) {
            auto* const machine = m_calls.machine();
            if (!outcome && machine && mine == m_calls.number())
                m_configs.attachConsole(*machine, device);
            finish(done, outcome);
        });
}

/// Of a machine that is off.
vmm::Result<> OwnUsbDevices::changeNext(std::function<vmm::Result<>(vmm::VmConfig&)> const& change)
{
    auto next = m_configs.now();
    TRY(change(next));
    m_configs.setNext(std::move(next));
    return {};
}

void OwnUsbDevices::machineAdded(UsbAddition const& addition)
{
    if (auto const kept = m_configs.addUsb(addition); !kept)
        vmm::log(vmm::LogLevel::Warning, "runner", "the next start goes without {}: {}", idOf(addition),
            kept.error().message());
    auto* const machine = m_calls.machine();
    auto const* const device = std::get_if<vmm::UsbDeviceConfig>(&addition);
    if (machine && device) {
        m_configs.attachConsole(*machine, device->id);
        m_play.connect(*machine, m_configs.now().name, *device);
    }
    m_calls.tell(notice::UsbAdded { addition });
}

void OwnUsbDevices::machineRemoved(std::string const& device)
{
    m_configs.removeUsb(device);
    m_play.disconnect(device);
    m_calls.tell(notice::UsbRemoved { device });
}

vmm::Result<> OwnUsbDevices::notePlugged(std::string const& device, bool plugged)
{
    TRY(m_configs.setPlugged(device, plugged));
    m_calls.tell(notice::PluggedChanged { device, plugged });
    return {};
}

}
