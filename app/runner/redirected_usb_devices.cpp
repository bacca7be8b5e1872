#include "app/runner/redirected_usb_devices.h"

#include "vmm/base/log.h"

#include <algorithm>
#include <fmt/format.h>

namespace app {

namespace {

void answer(RedirectedUsbDevices::Redirected const& done, vmm::Result<RedirectedUsb> const& outcome)
{
    if (done)
        done(outcome);
}

void finish(RedirectedUsbDevices::Completion const& done, vmm::Result<> outcome)
{
    if (done)
        done(std::move(outcome));
}

}

RedirectedUsbDevices::RedirectedUsbDevices(UsbPorts ports, Changed changed)
    : m_ports(std::move(ports)), m_changed(std::move(changed))
{
}

UsbRedirections& RedirectedUsbDevices::redirections()
{
    if (!m_redirections) {
        m_redirections = std::make_unique<UsbRedirections>(m_ports.loop(),
            UsbRedirections::Events { [this](std::string const& id, UsbRedirections::Device const& device) {
                                         plug(id, device, [device](vmm::Result<RedirectedUsb> const& outcome) {
                                             if (!outcome)
                                                 vmm::log(vmm::LogLevel::Warning, "runner",
                                                     "the USB device of {} is refused: {}", device->peer(),
                                                     outcome.error().message());
                                         });
                                     },
                [this](std::string const& id, vmm::Error const& why) { unplug(id, why, {}); } });
    }
    return *m_redirections;
}

void RedirectedUsbDevices::connect(UsbPeerAddress const& from, Redirected const& done)
{
    if (!m_ports.machine())
        return answer(done, vmm::fail(m_ports.refusal()));
    redirections().connect(
        from, [this, done](vmm::Result<std::pair<std::string, UsbRedirections::Device>> const& opened) {
            if (!opened)
                return answer(done, vmm::fail(opened.error()));
            plug(opened->first, opened->second, done);
        });
}

void RedirectedUsbDevices::callOff(UsbPeerAddress const& from, Completion const& done)
{
    bool const isCalledOff = m_redirections && m_redirections->callOff(from);
    finish(done,
        isCalledOff ? vmm::Result<>()
                    : vmm::fail(vmm::ErrorCode::NotFound,
                        fmt::format("the machine is not connecting to {} for a USB device", from.text())));
}

void RedirectedUsbDevices::listen(UsbPeerAddress const& at, Redirected const& done)
{
    if (!m_ports.machine())
        return answer(done, vmm::fail(m_ports.refusal()));
    auto const place = redirections().listen(at);
    if (place)
        tell();
    answer(done, place);
}

/// It is offered.
void RedirectedUsbDevices::plug(std::string const& id, UsbRedirections::Device const& device, Redirected const& done)
{
    auto const plugged = [this, id, done, mine = m_ports.machine()](vmm::Result<> const& outcome) {
        if (!m_redirections)
            return answer(done, vmm::fail(vmm::ErrorCode::Cancelled, "the machine has ended"));
        if (!outcome || !m_ports.isStill(mine)) {
            m_redirections->refuse(id);
            return answer(done, vmm::fail(outcome ? m_ports.refusal() : outcome.error()));
        }
        if (!m_redirections->keep(id)) { // which may tell that it is lost already
            return m_ports.unplug(id, [done](vmm::Result<> const&) {
                answer(done, vmm::fail(vmm::ErrorCode::Disconnected, "nobody waits for such devices any more"));
            });
        }
        tell();
        auto const all = m_redirections->list();
        auto const its = std::ranges::find(all, id, &RedirectedUsb::id);
        if (its == all.end())
            return answer(done, vmm::fail(vmm::ErrorCode::Disconnected, "the other side has gone"));
        answer(done, *its);
    };
    m_ports.plug(id, device, plugged);
}

void RedirectedUsbDevices::machineCameUp()
{
    if (!m_redirections)
        return;
    for (auto const& [id, device] : m_redirections->devices()) {
        m_ports.plug(id, device, [this, id = id, mine = m_ports.machine()](vmm::Result<> const& outcome) {
            if (outcome || !m_ports.isStill(mine))
                return;
            vmm::log(vmm::LogLevel::Warning, "runner", "{}: {}", id, outcome.error().message());
            m_redirections->refuse(id);
            tell(id, outcome.error());
        });
    }
}

void RedirectedUsbDevices::end(std::string const& id, Completion const& done)
{
    unplug(id, {}, done);
}

/// By a person, or because it is lost.
void RedirectedUsbDevices::unplug(std::string const& id, std::optional<vmm::Error> const& why, Completion const& done)
{
    auto const isDevice = m_redirections && m_redirections->devices().contains(id);
    if (!isDevice && !(m_redirections && m_redirections->isListener(id))) {
        return finish(
            done, vmm::fail(vmm::ErrorCode::NotFound, fmt::format("the machine has no USB redirection {}", id)));
    }
    auto const mine = m_ports.machine();
    auto const out = [this, id, why, done, mine](vmm::Result<> const& outcome) {
        if (m_ports.isAnother(mine) && m_redirections && m_redirections->devices().contains(id))
            return unplug(id, why, done);
        bool const isOut = outcome || outcome.error().code == vmm::ErrorCode::NotFound;
        if (isOut && m_redirections && m_redirections->remove(id))
            tell(why ? id : "", why);
        finish(done, isOut ? vmm::Result<>() : outcome);
    };
    if (!isDevice || !mine)
        return out({});
    m_ports.unplug(id, out);
}

void RedirectedUsbDevices::machineEnded()
{
    if (!m_redirections)
        return;
    auto const any = !m_redirections->list().empty();
    m_redirections->removeAll();
    if (any)
        tell();
}

void RedirectedUsbDevices::close()
{
    m_redirections.reset();
}

void RedirectedUsbDevices::tell(std::string const& lost, std::optional<vmm::Error> const& why)
{
    auto const all = m_redirections->list();
    {
        std::lock_guard const guard(m_toldMutex);
        m_told = all;
    }
    m_changed(all, lost, why);
}

std::vector<RedirectedUsb> RedirectedUsbDevices::list() const
{
    std::lock_guard const guard(m_toldMutex);
    return m_told;
}

}
