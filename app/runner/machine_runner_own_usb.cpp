#include "app/runner/machine_runner_private.h"
#include "app/store/disk_images.h"
#include "app/store/own_usb.h"

#include <algorithm>
#include <unistd.h>

/// USB devices of the machine's own that come to it, and go, whether it runs or not.
namespace app {

using vmm::UsbAddition;

namespace {

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

}

/// One that neither the machine nor its next start has, nor one that is on its way; a stick that comes back at the next
/// start anyway is the same.
void MachineRunner::Private::giveId(UsbAddition& addition)
{
    auto const [now, next] = configs.both();
    auto all = now;
    all.disks.insert(all.disks.end(), next.disks.begin(), next.disks.end());
    all.usbDevices.insert(all.usbDevices.end(), next.usbDevices.begin(), next.usbDevices.end());
    for (auto const& id : comingUsb)
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

void MachineRunner::Private::addUsb(UsbAddition addition, UsbAdded const& done)
{
    auto const answer = [done](vmm::Result<std::string> const& outcome) {
        if (done)
            done(outcome);
    };
    auto const state = runner.m_state.load();
    if (!machine && state != SessionState::Off)
        return answer(vmm::fail(notNow("add a USB device to", state)));
    if (auto* const stick = std::get_if<vmm::DiskConfig>(&addition)) {
        if (auto const ready = prepare(*stick); !ready)
            return answer(vmm::fail(ready.error()));
    }
    giveId(addition);
    auto const id = idOf(addition);
    if (!machine) {
        auto const added = changeNext([&](vmm::VmConfig& next) { return adoptUsb(next, addition); });
        if (added)
            tell(notice::UsbAdded { addition });
        return answer(added ? vmm::Result<std::string>(id) : vmm::fail(added.error()));
    }
    comingUsb.push_back(id);
    forward(
        {}, "add a USB device to", vmm::command::AddUsb { addition }, [this, answer, id](vmm::Result<> const& outcome) {
            std::erase(comingUsb, id);
            answer(outcome ? vmm::Result<std::string>(id) : vmm::fail(outcome.error()));
        });
}

void MachineRunner::Private::removeUsb(std::string const& device, Completion const& done)
{
    auto const state = runner.m_state.load();
    if (!machine && state != SessionState::Off)
        return finish(done, vmm::fail(notNow("remove a USB device from", state)));
    auto its = runner.config();
    auto const known = its;
    if (auto const possible = vmm::removeUsb(its, device); !possible)
        return finish(done, possible);
    auto const* const stick = findStick(known, device);
    if (auto const free = stick ? disksMayGo() : vmm::Result<>(); !free)
        return finish(done, free);
    auto const kept = isInMoments(stick);
    if (!kept || !*kept) {
        return kept ? takeUsbAway(device, done)
                    : finish(done, vmm::fail(vmm::Error(kept.error()).within("the timeline cannot be read")));
    }
    // Whoever goes to one of those takes the stick back to what it held then. What it holds now is kept once more while
    // it still belongs to the machine, and nothing is written to it any more.
    auto const keepIt = [this, device, done, mine = generation](vmm::Result<> const& unplugged) {
        if (!unplugged)
            return finish(done, unplugged);
        vmm::timeline::NewMoment now;
        now.reason = vmm::timeline::Reason::BeforeChange;
        keepMoment(keepingCancelled, now, [this, device, done, mine](vmm::Result<vmm::timeline::Moment> const& moment) {
            auto outcome = moment ? vmm::Result<>() : vmm::fail(moment.error());
            post(
                [this, device, done, mine, outcome = std::move(outcome)]() mutable {
                    if (outcome && mine != generation)
                        outcome = vmm::fail(vmm::ErrorCode::NotNow, "the machine is another one meanwhile");
                    outcome ? takeUsbAway(device, done)
                            : finish(done,
                                vmm::fail(vmm::Error(outcome.error())
                                              .within("what the stick holds now could not be kept, so it stays")));
                },
                done);
        });
    };
    if (!machine)
        return keepIt({});
    forward({}, "remove a USB device from", vmm::command::SetPlugged { device, false },
        [this, device, keepIt](vmm::Result<> const& unplugged) {
            if (unplugged)
                vmm::ignore(changePlugged(device, false));
            keepIt(unplugged);
        });
}

/// What would keep its last moment from being kept is found out while the guest still has it.
vmm::Result<> MachineRunner::Private::disksMayGo() const
{
    TRY(disks.areLeftAlone());
    TRY(savedStateIsLeft());
    if (!jobs.diskAtWork().empty())
        return vmm::fail(vmm::ErrorCode::Busy,
            "the files of a disk are being put together: to remove a stick wait for that, or cancel it");
    if (keepsWhatWasAsked())
        return vmm::fail(vmm::ErrorCode::Busy, "a moment is being kept: to remove a stick wait for that, or cancel it");
    return {};
}

/// Whether a moment has something of the stick; null: no stick.
vmm::Result<bool> MachineRunner::Private::isInMoments(vmm::DiskConfig const* stick)
{
    if (stick == nullptr || stick->readOnly || !hasTimeline())
        return false;
    std::shared_ptr<vmm::timeline::Timeline const> past = timeline;
    if (!past)
        past = TRY(runner.timeline());
    return std::ranges::any_of(past->moments(), [&](auto const& moment) {
        return std::ranges::any_of(moment.disks, [&](auto const& disk) { return disk.path == stick->path; });
    });
}

void MachineRunner::Private::takeUsbAway(std::string const& device, Completion const& done)
{
    if (!machine) {
        auto const removed = changeNext([&](vmm::VmConfig& next) { return vmm::removeUsb(next, device); });
        if (removed)
            tell(notice::UsbRemoved { device });
        return finish(done, removed);
    }
    if (auto const links = configs.consoles(); links.contains(device))
        links.at(device)->detach();
    forward({}, "remove a USB device from", vmm::command::RemoveUsb { device },
        [this, device, done, mine = generation](vmm::Result<> const& outcome) {
            if (!outcome && mine == generation)
                attachConsole(device);
            finish(done, outcome);
        });
}

vmm::Result<> MachineRunner::Private::changeNext(std::function<vmm::Result<>(vmm::VmConfig&)> const& change)
{
    auto next = runner.config();
    TRY(change(next));
    configs.setNext(std::move(next));
    return {};
}

void MachineRunner::Private::attachConsole(std::string const& device)
{
    if (!machine)
        return;
    auto const links = configs.consoles();
    auto* const console = links.contains(device) ? machine->console(device) : nullptr;
    if (console != nullptr)
        links.at(device)->attach(*console);
}

void MachineRunner::Private::usbAdded(UsbAddition const& addition)
{
    if (auto const kept = configs.addUsb(addition); !kept)
        vmm::log(vmm::LogLevel::Warning, "runner", "the next start goes without {}: {}", idOf(addition),
            kept.error().message());
    if (auto const* device = std::get_if<vmm::UsbDeviceConfig>(&addition)) {
        attachConsole(device->id);
        play.connect(*machine, runner.config().name, *device);
    }
    tell(notice::UsbAdded { addition });
}

void MachineRunner::Private::usbRemoved(std::string const& device)
{
    configs.removeUsb(device);
    play.disconnect(device);
    tell(notice::UsbRemoved { device });
}

void MachineRunner::addUsb(UsbAddition device, UsbAdded const& done)
{
    auto const hearError = [done](vmm::Result<> const& outcome) {
        if (done && !outcome)
            done(vmm::fail(outcome.error()));
    };
    m_private->post([this, device = std::move(device), done] { m_private->addUsb(device, done); }, hearError);
}

void MachineRunner::removeUsb(std::string device, Completion const& done)
{
    m_private->post([this, device = std::move(device), done] { m_private->removeUsb(device, done); }, done);
}

}
