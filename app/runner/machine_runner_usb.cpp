#include "app/runner/machine_runner_private.h"
#include "app/usb/usb_rule_store.h"
#include "vmm/machine/saved_usb.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sys/epoll.h>
#include <sys/inotify.h>

/// USB devices of the host's, while a machine has them, and those that come to it by themselves.
namespace app {

namespace {

constexpr std::uint64_t savedStateLimit = 64u << 20;

/// Most states do not, and are not parsed to find that out.
bool tellsOfHostUsb(std::string const& state)
{
    return state.find("\"host ") != std::string::npos;
}

std::vector<vmm::HostUsbTrace> hostUsbIn(std::string const& state)
{
    if (!tellsOfHostUsb(state))
        return {};
    auto const json = vmm::state::parseJson(state, savedStateLimit);
    auto const saved = json ? vmm::savedMachineFromJson(*json) : vmm::fail(json.error());
    return saved ? vmm::hostUsbIn(*saved) : std::vector<vmm::HostUsbTrace>();
}

bool isSetTo(UsbRule const* rule, std::string const& machine)
{
    return rule && rule->action == UsbAction::Attach && rule->machine == machine;
}

/// What a person has to know before they say so.
vmm::Result<> mayTakeByHand(HostUsbEntry const& entry)
{
    auto const name = usbDeviceName(entry.device);
    if (entry.rule && entry.rule->action == UsbAction::Never) {
        return vmm::fail(vmm::ErrorCode::Busy,
            fmt::format("a rule ({}) keeps {} for this host; attach it with --force, or remove the rule",
                usbMatchText(entry.rule->match), name));
    }
    if (entry.uses.empty())
        return {};
    std::vector<std::string> texts;
    for (auto const& use : entry.uses)
        texts.push_back(hostUseText(use));
    return vmm::fail(vmm::ErrorCode::Busy,
        fmt::format("this host uses {}: {}; attach it with --force if it shall lose it", name, fmt::join(texts, ", ")));
}

}

std::vector<vmm::HostUsbTrace> hostUsbAt(vmm::timeline::Timeline const& timeline, std::string const& moment)
{
    auto const saved = vmm::savedMachineAt(timeline, moment);
    return saved ? vmm::hostUsbIn(*saved) : std::vector<vmm::HostUsbTrace>();
}

HostUsbDevices& MachineRunner::Private::hostDevices()
{
    if (!hostUsbDevices) {
        hostUsbDevices = std::make_unique<HostUsbDevices>(
            thread->loop(), runner.m_places.libraryRoot, [this](std::string const& port) { loseHostUsb(port); });
    }
    return *hostUsbDevices;
}

UsbHolder MachineRunner::Private::usbHolder()
{
    std::lock_guard const guard(configMutex);
    return { config.uuid, config.name, ::getpid() };
}

UsbRules MachineRunner::Private::usbRules() const
{
    auto const& root = runner.m_places.libraryRoot;
    return root.empty() ? UsbRules {} : UsbRuleStore(root).read().value_or(UsbRules {});
}

void MachineRunner::Private::attachHostUsb(
    std::string const& which, HostUsbDevices::Allows const& allows, Completion const& done)
{
    auto const refuse
        = [this, done] { finish(done, vmm::fail(notNow("attach a USB device of the host's to", runner.m_state))); };
    if (!machine)
        return refuse();
    auto const opened = [this, done, refuse](vmm::Result<std::shared_ptr<vmm::HostUsbDevice>> const& device) {
        if (!device)
            return finish(done, vmm::fail(device.error()));
        if (!machine)
            return refuse();
        auto const plugged = [this, done, refuse, mine = generation, taken = *device](vmm::Result<> const& outcome) {
            if (!outcome)
                return finish(done, outcome);
            if (!machine || mine != generation)
                return refuse();
            auto const port = taken->info().port;
            hostUsbDevices->keep(taken);
            tellHostUsb();
            bool const isFirst = !usbFollowing;
            followHostUsb();
            usbFollowing->follower.settled(port);
            tellUsbQuestions();
            if (isFirst)
                lookAtHostUsb(); // from now on
            if (taken->isGone())
                loseHostUsb(port);
            finish(done, {});
        };
        forward({}, "attach a USB device of the host's to", vmm::command::PlugUsb { (*device)->info().port, *device },
            plugged);
    };
    hostDevices().open(which, allows, usbHolder(), opened);
}

void MachineRunner::Private::detachHostUsb(std::string const& port, Completion const& done)
{
    if (!hostUsbDevices || !hostUsbDevices->devices().contains(port)) {
        return finish(
            done, vmm::fail(vmm::ErrorCode::NotFound, fmt::format("the machine has no USB device of port {}", port)));
    }
    auto const back = [this, port, done, mine = generation](vmm::Result<> const& outcome) {
        // The machine that has taken the place of the one that was asked was given the device, too.
        if (machine && mine != generation && hostUsbDevices && hostUsbDevices->devices().contains(port))
            return detachHostUsb(port, done);
        bool const isOut = outcome || outcome.error().code == vmm::ErrorCode::NotFound;
        if (!isOut || !hostUsbDevices)
            return finish(done, isOut ? vmm::Result<>() : outcome);
        hostUsbDevices->giveBack(port, [done] { finish(done, {}); });
        tellHostUsb();
    };
    if (!machine)
        return back({});
    forward({}, "detach a USB device from", vmm::command::UnplugUsb { port }, back);
}

/// It was plugged out, or died where it is; it may be about to come again.
void MachineRunner::Private::loseHostUsb(std::string const& port)
{
    if (!hostUsbDevices || !hostUsbDevices->devices().contains(port))
        return;
    auto const device = hostUsbDevices->devices().at(port)->info();
    detachHostUsb(port, [this, device](vmm::Result<> const&) {
        if (!usbFollowing)
            return;
        usbFollowing->follower.lost(device, vmm::EventLoop::now());
        lookAtHostUsb();
    });
}

/// Another machine is in memory, from a moment or a saved state, where the host's devices are none of it: they are
/// plugged in as if somebody had done that just now, or left to the host, as the person wants it.
void MachineRunner::Private::comeBackHostUsb(HadUsb had)
{
    auto const rules = usbRules();
    auto const policy = rules.restoreOf(runner.id());
    std::vector<vmm::HostUsbTrace> given;
    for (auto const& info : hostUsbDevices ? hostUsbDevices->infos() : std::vector<vmm::HostUsbInfo>()) {
        if (hostUsbDevices->devices().at(info.port)->isGone())
            loseHostUsb(info.port); // which the machine before this one has not come to
        else if (policy == UsbRestore::Attach || isSetTo(rules.ruleFor(info), runner.id())) {
            plugAnew(info.port);
        } else {
            given.push_back(vmm::HostUsbTrace::of(info));
            hostUsbDevices->giveBack(info.port, [] {});
        }
    }
    if (!given.empty())
        tellHostUsb();
    if (usbFollowing || had)
        cameUpWithHostUsb({ std::move(had), std::move(given), policy });
}

void MachineRunner::Private::plugAnew(std::string const& port)
{
    forward({}, "attach a USB device of the host's to",
        vmm::command::PlugUsb { port, hostUsbDevices->devices().at(port) },
        [this, port, mine = generation](vmm::Result<> const& outcome) {
            if (outcome || !machine || mine != generation || !hostUsbDevices->devices().contains(port))
                return;
            tell(notice::HostUsbFailed { hostUsbDevices->devices().at(port)->info(), outcome.error() });
            hostUsbDevices->giveBack(port, [] {});
            tellHostUsb();
        });
}

/// The machine is in memory, and what is set to it comes.
void MachineRunner::Private::cameUpWithHostUsb(UsbFollowing::CameUp cameUp)
{
    followHostUsb();
    usbFollowing->cameUp = std::move(cameUp);
    usbFollowing->follower.comesUp();
    lookAtHostUsb();
}

void MachineRunner::Private::followHostUsb()
{
    if (usbFollowing)
        return;
    bool const asks = !runner.m_places.libraryRoot.empty() && !runner.config().usbControllers.empty();
    usbFollowing = std::make_shared<UsbFollowing>(UsbFollowing { UsbFollower(runner.id(), asks) });
    // What another machine has taken is nobody's question any more. Without it one may stand for longer.
    if (!UsbClaim::makeDirectory())
        return;
    auto& claims = usbFollowing->claims;
    claims.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (::inotify_add_watch(claims.get(), UsbClaim::directory().c_str(), IN_MODIFY | IN_DELETE) < 0)
        return;
    usbFollowing->claimsChange = thread->loop().watch(claims.get(), EPOLLIN, [this](std::uint32_t) {
        std::array<char, 4096> events;
        while (::read(usbFollowing->claims.get(), events.data(), events.size()) > 0) { }
        if (!usbFollowing->follower.questions().empty())
            lookAtHostUsb();
    });
}

void MachineRunner::Private::lookAtHostUsb()
{
    if (!usbFollowing || !machine)
        return;
    if (std::exchange(usbFollowing->isLooking, true)) {
        usbFollowing->looksAgain = true;
        return;
    }
    auto const cameUp = std::make_shared<std::optional<UsbFollowing::CameUp>>(std::exchange(usbFollowing->cameUp, {}));
    auto const before = [cameUp] {
        if (!*cameUp || !(*cameUp)->had)
            return;
        auto const had = (*cameUp)->had();
        (*cameUp)->given.insert((*cameUp)->given.end(), had.begin(), had.end());
    };
    hostDevices().look(
        before, [this, cameUp, mine = std::weak_ptr(usbFollowing)](vmm::Result<HostUsbDevices::Look> looked) {
            auto const following = mine.lock();
            if (!following || following != usbFollowing)
                return;
            following->isLooking = false;
            if (*cameUp)
                following->follower.cameUp(std::move((*cameUp)->given), (*cameUp)->policy);
            if (looked)
                takeLook(std::move(*looked));
            else
                vmm::log(vmm::LogLevel::Debug, "usb", "{}", looked.error().message());
            if (std::exchange(following->looksAgain, false))
                lookAtHostUsb();
        });
}

void MachineRunner::Private::takeLook(HostUsbDevices::Look looked)
{
    auto& following = *usbFollowing;
    if (!following.listener) {
        following.usb = std::move(looked.usb);
        following.listener = following.usb->listen([this] { post([this] { lookAtHostUsb(); }, {}); });
        following.looksAgain = true; // for what has come before that
    }
    auto const steps = following.follower.look(looked.entries, hostUsbDevices->infos(), vmm::EventLoop::now());
    tellUsbQuestions();
    for (auto const& device : following.follower.givenUp()) {
        tell(notice::HostUsbFailed {
            device, { vmm::ErrorCode::Disconnected, "it was lost again and again, and is left to this host", 0 } });
    }
    following.nextLook.reset();
    if (following.follower.isWaiting()) {
        constexpr vmm::Nanoseconds soon = std::chrono::milliseconds(200);
        following.nextLook = thread->loop().at(vmm::EventLoop::now() + soon, [this] { lookAtHostUsb(); });
    }
    for (auto const& step : steps)
        takeStep(step);
}

/// One that the host has begun to use since it was looked at is the follower's again.
void MachineRunner::Private::takeStep(UsbFollower::Step const& step)
{
    auto const isInUse = std::make_shared<bool>(false);
    auto const allows = [cause = step.cause, isInUse](HostUsbEntry const& entry) -> vmm::Result<> {
        *isInUse = !UsbFollower::mayTake(cause, entry.uses);
        return *isInUse ? vmm::fail(vmm::ErrorCode::Busy, hostUseText(entry.uses.front())) : vmm::Result<>();
    };
    auto const taken = [this, step, isInUse, mine = std::weak_ptr(usbFollowing)](vmm::Result<> const& outcome) {
        bool const isOver = !machine || outcome || outcome.error().code == vmm::ErrorCode::NotFound
            || outcome.error().code == vmm::ErrorCode::AlreadyExists;
        if (isOver)
            return;
        if (!*isInUse)
            return tell(notice::HostUsbFailed { step.device, outcome.error() });
        if (usbFollowing && usbFollowing == mine.lock()) {
            usbFollowing->follower.refused(step, vmm::EventLoop::now());
            lookAtHostUsb();
        }
    };
    attachHostUsb(step.device.port, allows, taken);
}

/// Before the guest runs the state is forgotten: what it tells is kept until the host is asked.
void MachineRunner::Private::noteSavedHostUsb(std::string const& directory)
{
    savedHostUsb = readWholeFile(directory + "/state.json", savedStateLimit).value_or(std::string());
    if (!tellsOfHostUsb(savedHostUsb))
        savedHostUsb.clear();
}

void MachineRunner::Private::startHostUsb()
{
    if (auto state = std::exchange(savedHostUsb, {}); !state.empty())
        comeBackHostUsb([state = std::move(state)] { return hostUsbIn(state); });
    else if (!runner.m_places.libraryRoot.empty())
        cameUpWithHostUsb({});
}

/// The machine is no more.
void MachineRunner::Private::giveBackHostUsb()
{
    savedHostUsb.clear();
    if (usbFollowing) {
        usbFollowing.reset();
        tellUsbQuestions();
    }
    if (!hostUsbDevices || hostUsbDevices->devices().empty())
        return;
    hostUsbDevices->giveBackAll();
    tellHostUsb();
}

void MachineRunner::Private::tellHostUsb()
{
    auto infos = hostUsbDevices->infos();
    {
        std::lock_guard const guard(configMutex);
        attachedHostUsb = infos;
    }
    tell(notice::HostUsbChanged { std::move(infos) });
}

void MachineRunner::Private::tellUsbQuestions()
{
    auto const questions = usbFollowing ? usbFollowing->follower.questions() : std::vector<UsbQuestion>();
    {
        std::lock_guard const guard(configMutex);
        if (usbQuestions == questions)
            return;
        usbQuestions = questions;
    }
    tell(notice::UsbQuestionsChanged { questions });
}

void MachineRunner::attachHostUsb(std::string which, Really really, Completion const& done)
{
    auto const allows = [really](HostUsbEntry const& entry) {
        return really == Really::Yes ? vmm::Result<>() : mayTakeByHand(entry);
    };
    m_private->post(
        [this, which = std::move(which), allows, done] { m_private->attachHostUsb(which, allows, done); }, done);
}

void MachineRunner::detachHostUsb(std::string which, Completion const& done)
{
    auto const detach = [this, which = std::move(which), done] {
        auto const device = findHostUsb(attachedHostUsb(), which);
        // Before what is plugged in has been looked at, after the machine came up, too.
        if (device && m_private->usbFollowing)
            m_private->usbFollowing->follower.givenBack(*device);
        m_private->detachHostUsb(device ? device->port : which, done);
    };
    m_private->post(detach, done);
}

std::vector<vmm::HostUsbInfo> MachineRunner::attachedHostUsb() const
{
    std::lock_guard const guard(m_private->configMutex);
    return m_private->attachedHostUsb;
}

std::vector<UsbQuestion> MachineRunner::usbQuestions() const
{
    std::lock_guard const guard(m_private->configMutex);
    return m_private->usbQuestions;
}

void MachineRunner::dismissUsbQuestion(std::string port)
{
    auto const dismiss = [this, port = std::move(port)] {
        if (!m_private->usbFollowing)
            return;
        m_private->usbFollowing->follower.settled(port);
        m_private->tellUsbQuestions();
    };
    m_private->post(dismiss, {});
}

vmm::Result<std::vector<UsbFate>> MachineRunner::foreseeUsb(std::string const& moment) const
{
    auto const attached = attachedHostUsb();
    auto const& directory = m_places.stateDirectory;
    std::vector<vmm::HostUsbTrace> had;
    if (auto const to = moment.empty() && !isInMemory(state()) ? TRY(momentOnTheWay(m_places.timelineFolder)) : moment;
        !to.empty())
        had = hostUsbAt(*TRY(timeline()), to);
    else if (!isInMemory(state()) && hasSavedState(directory))
        had = hostUsbIn(TRY(readWholeFile(directory + "/state.json", savedStateLimit)));
    auto fates = std::vector<UsbFate>();
    if (!attached.empty() || !had.empty()) {
        auto const rules = m_private->usbRules();
        auto const usb = hostUsb();
        fates = foresee(attached, had, usb ? listHostUsb(**usb, rules) : std::vector<HostUsbEntry>(), rules, id());
    }
    // Those of other computers stay while a moment takes the machine's place, and end with the process of a suspend.
    auto const outcome = moment.empty() ? UsbFate::Outcome::NotHere : UsbFate::Outcome::PluggedAnew;
    for (auto const& one : redirectedUsb()) {
        if (!one.isListening)
            fates.push_back({ one.device.vendor, one.device.product, {}, {}, {}, one.address, true, outcome });
    }
    return fates;
}

}
