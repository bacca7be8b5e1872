#include "app/runner/machine_runner_private.h"

/// USB devices of the host's, while a machine has them.
namespace app {

HostUsbDevices& MachineRunner::Private::hostDevices()
{
    if (!hostUsbDevices) {
        hostUsbDevices = std::make_unique<HostUsbDevices>(
            thread->loop(), [this](std::string const& port) { detachHostUsb(port, {}); });
    }
    return *hostUsbDevices;
}

void MachineRunner::Private::attachHostUsb(std::string const& which, Completion const& done)
{
    auto const refuse
        = [this, done] { finish(done, vmm::fail(notNow("attach a USB device of the host's to", runner.m_state))); };
    if (!machine)
        return refuse();
    hostDevices().open(which, [this, done, refuse](vmm::Result<std::shared_ptr<vmm::HostUsbDevice>> opened) {
        if (!opened)
            return finish(done, vmm::fail(opened.error()));
        if (!machine)
            return refuse();
        auto const port = (*opened)->info().port;
        auto const plugged = [this, done, refuse, device = *opened, mine = generation](vmm::Result<> const& outcome) {
            if (!outcome)
                return finish(done, outcome);
            if (!machine || mine != generation)
                return refuse();
            hostUsbDevices->keep(device);
            tellHostUsb();
            if (device->isGone())
                detachHostUsb(device->info().port, {});
            finish(done, {});
        };
        forward({}, "attach a USB device of the host's to", vmm::command::PlugUsb { port, *opened }, plugged);
    });
}

/// Also after it was plugged out.
void MachineRunner::Private::detachHostUsb(std::string const& port, Completion const& done)
{
    if (!hostUsbDevices || !hostUsbDevices->devices().contains(port)) {
        return finish(
            done, vmm::fail(vmm::ErrorCode::NotFound, fmt::format("the machine has no USB device of port {}", port)));
    }
    auto const back = [this, port, done](vmm::Result<> const& outcome) {
        bool const isOut = outcome || outcome.error().code == vmm::ErrorCode::NotFound;
        if (isOut && hostUsbDevices) {
            hostUsbDevices->giveBack(port);
            tellHostUsb();
        }
        finish(done, isOut ? vmm::Result<>() : outcome);
    };
    if (!machine)
        return back({});
    forward({}, "detach a USB device from", vmm::command::UnplugUsb { port }, back);
}

/// Another machine is in memory: the devices are plugged into it as if somebody had done that just now.
void MachineRunner::Private::plugHostUsb()
{
    if (!hostUsbDevices)
        return;
    for (auto const& [port, device] : hostUsbDevices->devices()) {
        forward({}, "attach a USB device of the host's to", vmm::command::PlugUsb { port, device },
            [this, port = port, mine = generation](vmm::Result<> const& outcome) {
                if (outcome || !machine || mine != generation)
                    return;
                vmm::log(vmm::LogLevel::Warning, "runner", "{}: {}", port, outcome.error().message());
                hostUsbDevices->giveBack(port);
                tellHostUsb();
            });
    }
}

/// The machine is no more.
void MachineRunner::Private::giveBackHostUsb()
{
    if (!hostUsbDevices || hostUsbDevices->devices().empty())
        return;
    hostUsbDevices->giveBackAll();
    tellHostUsb();
}

void MachineRunner::Private::tellHostUsb()
{
    std::vector<vmm::HostUsbInfo> infos;
    for (auto const& [port, device] : hostUsbDevices->devices())
        infos.push_back(device->info());
    {
        std::lock_guard const guard(configMutex);
        attachedHostUsb = infos;
    }
    tell(notice::HostUsbChanged { std::move(infos) });
}

void MachineRunner::attachHostUsb(std::string which, Completion done)
{
    m_private->post([this, which = std::move(which), done] { m_private->attachHostUsb(which, done); }, done);
}

void MachineRunner::detachHostUsb(std::string which, Completion done)
{
    auto const detach = [this, which = std::move(which), done] {
        auto const port = findHostUsb(attachedHostUsb(), which);
        m_private->detachHostUsb(port ? port->port : which, done);
    };
    m_private->post(detach, done);
}

std::vector<vmm::HostUsbInfo> MachineRunner::attachedHostUsb() const
{
    std::lock_guard const guard(m_private->configMutex);
    return m_private->attachedHostUsb;
}

}
