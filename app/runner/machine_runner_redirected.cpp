#include "app/runner/machine_runner_private.h"

#include <algorithm>

/// USB devices of other computers, while a machine has them.
namespace app {

namespace {

constexpr auto attaching = "attach a USB device of another computer to";

void answer(MachineRunner::Redirected const& done, vmm::Result<RedirectedUsb> const& outcome)
{
    if (done)
        done(outcome);
}

}

UsbRedirections& MachineRunner::Private::usbRedirections()
{
    if (!redirections) {
        redirections = std::make_unique<UsbRedirections>(thread->loop(),
            UsbRedirections::Events {
                [this](std::string const& id, UsbRedirections::Device const& device) {
                    plugRedirected(id, device, [device](vmm::Result<RedirectedUsb> const& outcome) {
                        if (!outcome)
                            vmm::log(vmm::LogLevel::Warning, "runner", "the USB device of {} is refused: {}",
                                device->peer(), outcome.error().message());
                    });
                },
                [this](std::string const& id, vmm::Error const& why) { endRedirection(id, {}, why); } });
    }
    return *redirections;
}

void MachineRunner::Private::redirectUsb(UsbPeerAddress const& from, Redirected const& done)
{
    if (!machine)
        return answer(done, vmm::fail(notNow(attaching, runner.m_state)));
    usbRedirections().connect(
        from, [this, done](vmm::Result<std::pair<std::string, UsbRedirections::Device>> const& opened) {
            if (!opened)
                return answer(done, vmm::fail(opened.error()));
            plugRedirected(opened->first, opened->second, done);
        });
}

void MachineRunner::Private::listenForUsb(UsbPeerAddress const& at, Redirected const& done)
{
    if (!machine)
        return answer(done, vmm::fail(notNow(attaching, runner.m_state)));
    auto const place = usbRedirections().listen(at);
    if (place)
        tellRedirected();
    answer(done, place);
}

/// It is offered.
void MachineRunner::Private::plugRedirected(
    std::string const& id, UsbRedirections::Device const& device, Redirected const& done)
{
    auto const plugged = [this, id, done, mine = generation](vmm::Result<> const& outcome) {
        if (!redirections)
            return answer(done, vmm::fail(vmm::ErrorCode::Cancelled, "the machine has ended"));
        if (!outcome || !machine || mine != generation) {
            redirections->refuse(id);
            return answer(done, vmm::fail(outcome ? notNow(attaching, runner.m_state) : outcome.error()));
        }
        if (!redirections->keep(id)) { // which may tell that it is lost already
            return forward({}, attaching, vmm::command::UnplugUsb { id }, [done](vmm::Result<> const&) {
                answer(done, vmm::fail(vmm::ErrorCode::Disconnected, "nobody waits for such devices any more"));
            });
        }
        tellRedirected();
        auto const all = redirections->list();
        auto const its = std::find_if(all.begin(), all.end(), [&](auto const& one) { return one.id == id; });
        if (its == all.end())
            return answer(done, vmm::fail(vmm::ErrorCode::Disconnected, "the other side has gone"));
        answer(done, *its);
    };
    forward({}, attaching, vmm::command::PlugUsb { id, device }, plugged);
}

/// Another machine is in memory: the devices are plugged into it as if somebody had done that just now.
void MachineRunner::Private::plugRedirectedAnew()
{
    if (!redirections)
        return;
    for (auto const& [id, device] : redirections->devices()) {
        forward({}, attaching, vmm::command::PlugUsb { id, device },
            [this, id = id, mine = generation](vmm::Result<> const& outcome) {
                if (outcome || !machine || mine != generation)
                    return;
                vmm::log(vmm::LogLevel::Warning, "runner", "{}: {}", id, outcome.error().message());
                redirections->refuse(id);
                tellRedirected(id, outcome.error());
            });
    }
}

/// By a person, or because it is lost.
void MachineRunner::Private::endRedirection(
    std::string const& id, Completion const& done, std::optional<vmm::Error> const& reason)
{
    auto const isDevice = redirections && redirections->devices().contains(id);
    if (!isDevice && !(redirections && redirections->isListener(id))) {
        return finish(
            done, vmm::fail(vmm::ErrorCode::NotFound, fmt::format("the machine has no USB redirection {}", id)));
    }
    auto const out = [this, id, done, reason, mine = generation](vmm::Result<> const& outcome) {
        // The machine that has taken the place of the one that was asked was given the device, too.
        if (machine && mine != generation && redirections && redirections->devices().contains(id))
            return endRedirection(id, done, reason);
        bool const isOut = outcome || outcome.error().code == vmm::ErrorCode::NotFound;
        if (isOut && redirections && redirections->remove(id))
            tellRedirected(reason ? id : "", reason);
        finish(done, isOut ? vmm::Result<>() : outcome);
    };
    if (!isDevice || !machine)
        return out({});
    forward({}, "detach a USB device from", vmm::command::UnplugUsb { id }, out);
}

/// The machine is no more.
void MachineRunner::Private::endRedirections()
{
    if (!redirections)
        return;
    auto const any = !redirections->list().empty();
    redirections->removeAll();
    if (any)
        tellRedirected();
}

void MachineRunner::Private::tellRedirected(std::string const& lost, std::optional<vmm::Error> const& reason)
{
    auto list = redirections->list();
    {
        std::lock_guard const guard(configMutex);
        redirectedUsb = list;
    }
    tell(notice::RedirectedUsbChanged { std::move(list), lost, reason });
}

void MachineRunner::redirectUsb(UsbPeerAddress from, Redirected const& done)
{
    m_private->post([this, from = std::move(from), done] { m_private->redirectUsb(from, done); },
        [done](vmm::Result<> const& outcome) { answer(done, vmm::fail(outcome.error())); });
}

void MachineRunner::listenForUsb(UsbPeerAddress at, Redirected const& done)
{
    m_private->post([this, at = std::move(at), done] { m_private->listenForUsb(at, done); },
        [done](vmm::Result<> const& outcome) { answer(done, vmm::fail(outcome.error())); });
}

void MachineRunner::endUsbRedirection(std::string id, Completion const& done)
{
    m_private->post([this, id = std::move(id), done] { m_private->endRedirection(id, done); }, done);
}

std::vector<RedirectedUsb> MachineRunner::redirectedUsb() const
{
    std::lock_guard const guard(m_private->configMutex);
    return m_private->redirectedUsb;
}

}
