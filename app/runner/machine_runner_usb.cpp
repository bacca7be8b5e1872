#include "app/runner/machine_runner_private.h"

#include <algorithm>

/// USB devices, as the runner brings them and the machine together: its own, the host's, and other computers'.
namespace app {

UsbPorts MachineRunner::Private::usbPorts(std::string const& attaching)
{
    UsbPorts ports;
    ports.loop = [this]() -> vmm::EventLoop& { return thread->loop(); };
    ports.machine = [this] { return machine ? std::optional(generation) : std::nullopt; };
    ports.refusal = [this, attaching] {
        return machine ? vmm::Error { vmm::ErrorCode::NotNow, "the machine is another one meanwhile", 0 }
                       : notNow(attaching, runner.m_state);
    };
    ports.plug = [this, attaching](std::string const& id, std::shared_ptr<vmm::UsbDevice> device, auto const& done) {
        forward({}, attaching, vmm::command::PlugUsb { id, std::move(device) }, done);
    };
    ports.unplug = [this](std::string const& id, auto const& done) {
        forward({}, "detach a USB device from", vmm::command::UnplugUsb { id }, done);
    };
    return ports;
}

HostUsbPassthrough::Events MachineRunner::Private::hostUsbEvents()
{
    HostUsbPassthrough::Events events;
    events.devicesChanged = [this](auto const& devices) { tell(notice::HostUsbChanged { devices }); };
    events.questionsChanged = [this](auto const& questions) { tell(notice::UsbQuestionsChanged { questions }); };
    events.failed = [this](auto const& device, auto const& why) { tell(notice::HostUsbFailed { device, why }); };
    return events;
}

OwnUsbDevices::Calls MachineRunner::Private::ownUsbCalls()
{
    OwnUsbDevices::Calls calls;
    calls.machine = [this] { return machine.get(); };
    calls.number = [this] { return generation; };
    calls.mayChange = [this](std::string_view what) -> vmm::Result<> {
        auto const state = runner.m_state.load();
        if (!machine && state != SessionState::Off)
            return vmm::fail(notNow(what, state));
        return {};
    };
    calls.forward = [this](std::string_view what, vmm::Command command, Completion const& done) {
        forward({}, what, std::move(command), done);
    };
    calls.disksMayGo = [this] { return disksMayGo(); };
    calls.timeline = [this]() -> vmm::Result<std::shared_ptr<vmm::timeline::Timeline const>> {
        if (!hasTimeline())
            return nullptr;
        return runner.timeline();
    };
    calls.keepMoment = [this](Completion const& done) {
        vmm::timeline::NewMoment now;
        now.reason = vmm::timeline::Reason::BeforeChange;
        keepMoment(keepingCancelled, now, [this, done](vmm::Result<vmm::timeline::Moment> const& moment) {
            auto const outcome = moment ? vmm::Result<>() : vmm::fail(moment.error());
            post([done, outcome] { done(outcome); }, {});
        });
    };
    calls.tell = [this](Notice const& notice) { tell(notice); };
    return calls;
}

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

void MachineRunner::addUsb(vmm::UsbAddition device, UsbAdded const& done)
{
    auto const hearError = [done](vmm::Result<> const& outcome) {
        if (done && !outcome)
            done(vmm::fail(outcome.error()));
    };
    m_private->post([this, device = std::move(device), done] { m_private->ownUsb.add(device, done); }, hearError);
}

void MachineRunner::removeUsb(std::string device, Completion const& done)
{
    m_private->post([this, device = std::move(device), done] { m_private->ownUsb.remove(device, done); }, done);
}

void MachineRunner::attachHostUsb(std::string which, Really really, Completion const& done)
{
    m_private->post(
        [this, which = std::move(which), really, done] { m_private->hostUsb.attach(which, really, done); }, done);
}

void MachineRunner::detachHostUsb(std::string which, Completion const& done)
{
    m_private->post([this, which = std::move(which), done] { m_private->hostUsb.detach(which, done); }, done);
}

std::vector<vmm::HostUsbInfo> MachineRunner::attachedHostUsb() const
{
    return m_private->hostUsb.devices();
}

std::vector<UsbQuestion> MachineRunner::usbQuestions() const
{
    return m_private->hostUsb.questions();
}

void MachineRunner::dismissUsbQuestion(std::string port)
{
    m_private->post([this, port = std::move(port)] { m_private->hostUsb.dismiss(port); }, {});
}

vmm::Result<std::vector<UsbFate>> MachineRunner::foreseeUsb(std::string const& moment) const
{
    auto const& directory = m_places.stateDirectory;
    std::vector<vmm::HostUsbTrace> had;
    if (auto const to = moment.empty() && !isInMemory(state()) ? TRY(momentOnTheWay(m_places.timelineFolder)) : moment;
        !to.empty())
        had = hostUsbAt(*TRY(timeline()), to);
    else if (!isInMemory(state()) && hasSavedState(directory))
        had = TRY(savedHostUsb(directory));
    // Those of other computers stay while a moment takes the machine's place, and end with the process of a suspend.
    auto const outcome = moment.empty() ? UsbFate::Outcome::NotHere : UsbFate::Outcome::PluggedAnew;
    std::vector<UsbFate> redirected;
    for (auto const& one : redirectedUsb()) {
        if (one.isListening)
            continue;
        auto const& device = one.device;
        redirected.push_back({ device.vendor, device.product, {}, {}, {}, one.address, true, outcome });
        // A state tells the model alone: that is taken for the one which is still there.
        auto const same = std::ranges::find_if(had, [&](vmm::HostUsbTrace const& trace) {
            return trace.isRedirected() && trace.vendor == device.vendor && trace.product == device.product;
        });
        if (same != had.end())
            had.erase(same);
    }
    auto fates = m_private->hostUsb.foresee(had);
    fates.insert(fates.end(), redirected.begin(), redirected.end());
    return fates;
}

namespace {

MachineRunner::Completion hearError(MachineRunner::Redirected const& done)
{
    return [done](vmm::Result<> const& outcome) {
        if (done)
            done(vmm::fail(outcome.error()));
    };
}

}

void MachineRunner::redirectUsb(UsbPeerAddress from, Redirected const& done)
{
    m_private->post(
        [this, from = std::move(from), done] { m_private->redirectedUsb.connect(from, done); }, hearError(done));
}

void MachineRunner::callOffUsb(UsbPeerAddress from, Completion const& done)
{
    m_private->post([this, from = std::move(from), done] { m_private->redirectedUsb.callOff(from, done); }, done);
}

void MachineRunner::listenForUsb(UsbPeerAddress at, Redirected const& done)
{
    m_private->post([this, at = std::move(at), done] { m_private->redirectedUsb.listen(at, done); }, hearError(done));
}

void MachineRunner::endUsbRedirection(std::string id, Completion const& done)
{
    m_private->post([this, id = std::move(id), done] { m_private->redirectedUsb.end(id, done); }, done);
}

std::vector<RedirectedUsb> MachineRunner::redirectedUsb() const
{
    return m_private->redirectedUsb.list();
}

}
