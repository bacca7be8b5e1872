#include "app/runner/host_usb_passthrough.h"

#include "app/runner/host_usb_devices.h"
#include "app/usb/usb_rule_store.h"
#include "vmm/base/log.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

namespace app {

namespace {

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

/// What a device that has come just now, and that no other machine has, may answer for a moment.
bool mayPass(vmm::ErrorCode code)
{
    using enum vmm::ErrorCode;
    return code == Disconnected || code == Busy || code == IoError;
}

void finish(HostUsbPassthrough::Completion const& done, vmm::Result<> outcome)
{
    if (done)
        done(std::move(outcome));
}

}

struct HostUsbPassthrough::CameUp {
    HadUsb had;                              ///< null: it was started
    std::vector<vmm::HostUsbTrace> given {}; ///< that it had until now
    UsbRestore policy = UsbRestore::Attach;
};

/// While a machine in memory may get devices by itself.
struct HostUsbPassthrough::Following {
    UsbFollower follower;
    std::optional<CameUp> cameUp {}; ///< until the next look
    std::shared_ptr<vmm::HostUsb> usb {};
    std::unique_ptr<vmm::HostUsb::Listener> listener {};
    vmm::UniqueFd claims {}; ///< told when a machine takes a device or lets it go
    vmm::EventLoop::Handle claimsChange {};
    vmm::EventLoop::Handle nextLook {}; ///< while the follower waits
    bool isLooking = false, looksAgain = false;
};

HostUsbPassthrough::HostUsbPassthrough(
    UsbPorts ports, std::string root, std::function<vmm::VmConfig()> config, Events events)
    : m_ports(std::move(ports)), m_root(std::move(root)), m_config(std::move(config)), m_events(std::move(events))
{
}

HostUsbPassthrough::~HostUsbPassthrough() = default;

HostUsbDevices& HostUsbPassthrough::taken()
{
    if (!m_taken) {
        m_taken
            = std::make_unique<HostUsbDevices>(m_ports.loop(), m_root, [this](std::string const& port) { lose(port); });
    }
    return *m_taken;
}

UsbHolder HostUsbPassthrough::holder() const
{
    auto const config = m_config();
    return { config.uuid, config.name, ::getpid() };
}

/// None hold where they cannot be read.
UsbRules HostUsbPassthrough::rules() const
{
    return m_root.empty() ? UsbRules {} : UsbRuleStore(m_root).read().value_or(UsbRules {});
}

void HostUsbPassthrough::attach(std::string const& which, Really really, Completion const& done)
{
    auto const allows = [really](HostUsbEntry const& entry) {
        return really == Really::Yes ? vmm::Result<>() : mayTakeByHand(entry);
    };
    attach(which, allows, done);
}

void HostUsbPassthrough::attach(std::string const& which, Allows const& allows, Completion const& done)
{
    auto const refuse = [this, done] { finish(done, vmm::fail(m_ports.refusal())); };
    if (!m_ports.machine())
        return refuse();
    auto const opened = [this, done, refuse](vmm::Result<std::shared_ptr<vmm::HostUsbDevice>> const& device) {
        if (!device)
            return finish(done, vmm::fail(device.error()));
        auto const mine = m_ports.machine();
        if (!mine)
            return refuse();
        auto const port = (*device)->info().port;
        m_ports.plug(port, *device, [this, done, refuse, mine, port, device = *device](vmm::Result<> const& outcome) {
            if (!outcome)
                return finish(done, outcome);
            if (!m_ports.isStill(mine))
                return refuse();
            m_taken->keep(device);
            tellDevices();
            bool const isFirst = !m_following;
            follow();
            m_following->follower.settled(port);
            tellQuestions();
            if (isFirst)
                look(); // from now on
            if (device->isGone())
                lose(port);
            finish(done, {});
        });
    };
    taken().open(which, allows, holder(), opened);
}

void HostUsbPassthrough::detach(std::string const& which, Completion const& done)
{
    auto const device = findHostUsb(devices(), which);
    // Before what is plugged in has been looked at, after the machine came up, too.
    if (device && m_following)
        m_following->follower.givenBack(*device);
    unplug(device ? device->port : which, done);
}

void HostUsbPassthrough::unplug(std::string const& port, Completion const& done)
{
    if (!m_taken || !m_taken->devices().contains(port)) {
        return finish(
            done, vmm::fail(vmm::ErrorCode::NotFound, fmt::format("the machine has no USB device of port {}", port)));
    }
    auto const mine = m_ports.machine();
    auto const back = [this, port, done, mine](vmm::Result<> const& outcome) {
        if (m_ports.isAnother(mine) && m_taken && m_taken->devices().contains(port))
            return unplug(port, done);
        bool const isOut = outcome || outcome.error().code == vmm::ErrorCode::NotFound;
        if (!isOut || !m_taken)
            return finish(done, isOut ? vmm::Result<>() : outcome);
        m_taken->giveBack(port, [done] { finish(done, {}); });
        tellDevices();
    };
    if (!mine)
        return back({});
    m_ports.unplug(port, back);
}

/// It was plugged out, or died where it is; it may be about to come again.
void HostUsbPassthrough::lose(std::string const& port)
{
    if (!m_taken || !m_taken->devices().contains(port))
        return;
    auto const device = m_taken->devices().at(port)->info();
    unplug(port, [this, device](vmm::Result<> const&) {
        if (!m_following)
            return;
        m_following->follower.lost(device, vmm::EventLoop::now());
        look();
    });
}

void HostUsbPassthrough::machineCameUp(HadUsb had)
{
    if (!had && !m_root.empty())
        comeUp({});
    if (!had)
        return;
    auto const known = rules();
    auto const machine = m_config().uuid;
    auto const policy = known.restoreOf(machine);
    std::vector<vmm::HostUsbTrace> given;
    for (auto const& info : m_taken ? m_taken->infos() : std::vector<vmm::HostUsbInfo>()) {
        if (m_taken->devices().at(info.port)->isGone())
            lose(info.port); // which the machine before this one has not come to
        else if (policy == UsbRestore::Attach || isSetTo(known.ruleFor(info), machine)) {
            plugAnew(info.port);
        } else {
            given.push_back(vmm::HostUsbTrace::of(info));
            m_taken->giveBack(info.port, [] {});
        }
    }
    if (!given.empty())
        tellDevices();
    comeUp({ std::move(had), std::move(given), policy });
}

void HostUsbPassthrough::plugAnew(std::string const& port)
{
    auto const again = [this, port, mine = m_ports.machine()](vmm::Result<> const& outcome) {
        if (outcome || !m_ports.isStill(mine) || !m_taken->devices().contains(port))
            return;
        fail(m_taken->devices().at(port)->info(), outcome.error());
        m_taken->giveBack(port, [] {});
        tellDevices();
    };
    m_ports.plug(port, m_taken->devices().at(port), again);
}

void HostUsbPassthrough::comeUp(CameUp cameUp)
{
    follow();
    m_following->cameUp = std::move(cameUp);
    m_following->follower.comesUp();
    look();
}

void HostUsbPassthrough::follow()
{
    if (m_following)
        return;
    auto const config = m_config();
    bool const asks = !m_root.empty() && !config.usbControllers.empty();
    m_following = std::make_shared<Following>(Following { UsbFollower(config.uuid, asks) });
    // What another machine has taken is nobody's question any more. Without it one may stand for longer.
    if (!UsbClaim::makeDirectory())
        return;
    auto& claims = m_following->claims;
    claims.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (::inotify_add_watch(claims.get(), UsbClaim::directory().c_str(), IN_MODIFY | IN_DELETE) < 0)
        return;
    m_following->claimsChange = m_ports.loop().watch(claims.get(), EPOLLIN, [this](std::uint32_t) {
        std::array<char, 4096> events;
        while (::read(m_following->claims.get(), events.data(), events.size()) > 0) { }
        if (!m_following->follower.questions().empty())
            look();
    });
}

void HostUsbPassthrough::look()
{
    if (!m_following || !m_ports.machine())
        return;
    if (std::exchange(m_following->isLooking, true)) {
        m_following->looksAgain = true;
        return;
    }
    auto const cameUp = std::make_shared<std::optional<CameUp>>(std::exchange(m_following->cameUp, {}));
    auto const before = [cameUp] {
        if (!*cameUp || !(*cameUp)->had)
            return;
        auto const had = (*cameUp)->had();
        (*cameUp)->given.insert((*cameUp)->given.end(), had.begin(), had.end());
    };
    taken().look(before, [this, cameUp, mine = std::weak_ptr(m_following)](vmm::Result<HostUsbDevices::Look> looked) {
        auto const following = mine.lock();
        if (!following || following != m_following)
            return;
        following->isLooking = false;
        if (*cameUp)
            following->follower.cameUp(std::move((*cameUp)->given), (*cameUp)->policy);
        if (looked)
            takeLook(std::move(looked->usb), looked->entries);
        else
            vmm::log(vmm::LogLevel::Debug, "usb", "{}", looked.error().message());
        if (std::exchange(following->looksAgain, false))
            look();
    });
}

void HostUsbPassthrough::takeLook(std::shared_ptr<vmm::HostUsb> usb, std::vector<HostUsbEntry> const& entries)
{
    auto& following = *m_following;
    if (!following.listener) {
        following.usb = std::move(usb);
        following.listener = following.usb->listen([this, loop = &m_ports.loop()] { loop->post([this] { look(); }); });
        following.looksAgain = true; // for what has come before that
    }
    auto const steps = following.follower.look(entries, m_taken->infos(), vmm::EventLoop::now());
    tellQuestions();
    for (auto const& device : following.follower.givenUp()) {
        fail(device, { vmm::ErrorCode::Disconnected, "it was lost again and again, and is left to this host", 0 });
    }
    following.nextLook.reset();
    if (following.follower.isWaiting())
        lookSoon();
    for (auto const& step : steps)
        takeStep(step);
}

void HostUsbPassthrough::lookSoon()
{
    constexpr vmm::Nanoseconds soon = std::chrono::milliseconds(200);
    m_following->nextLook = m_ports.loop().at(vmm::EventLoop::now() + soon, [this] { look(); });
}

/// One that the host has begun to use since it was looked at is the follower's again.
void HostUsbPassthrough::takeStep(UsbFollower::Step const& step)
{
    struct Tried {
        bool isClaimed = false, isInUse = false;
    };
    auto const tried = std::make_shared<Tried>();
    auto const allows = [cause = step.cause, tried](HostUsbEntry const& entry) -> vmm::Result<> {
        *tried = { true, !UsbFollower::mayTake(cause, entry.uses) };
        return tried->isInUse ? vmm::fail(vmm::ErrorCode::Busy, hostUseText(entry.uses.front())) : vmm::Result<>();
    };
    auto const done = [this, step, tried, mine = std::weak_ptr(m_following)](vmm::Result<> const& outcome) {
        bool const isOver = !m_ports.machine() || outcome || outcome.error().code == vmm::ErrorCode::AlreadyExists;
        if (isOver)
            return;
        bool const isStill = m_following && m_following == mine.lock();
        auto const now = vmm::EventLoop::now();
        if (tried->isInUse && isStill) {
            m_following->follower.refused(step, now);
            return look();
        }
        bool const isAway = outcome.error().code == vmm::ErrorCode::NotFound;
        bool const passes = isAway || (tried->isClaimed && mayPass(outcome.error().code));
        if (isStill && passes && m_following->follower.triesAgain(step, now))
            return lookSoon();
        if (!isAway && !tried->isInUse)
            fail(step.device, outcome.error());
    };
    attach(step.device.port, allows, done);
}

void HostUsbPassthrough::fail(vmm::HostUsbInfo const& device, vmm::Error const& why)
{
    vmm::log(vmm::LogLevel::Warning, "usb", "{} at port {} does not come to the machine: {}", usbDeviceName(device),
        device.port, why.message());
    m_events.failed(device, why);
}

void HostUsbPassthrough::machineEnded()
{
    if (m_following) {
        m_following.reset();
        tellQuestions();
    }
    if (!m_taken || m_taken->devices().empty())
        return;
    m_taken->giveBackAll();
    tellDevices();
}

void HostUsbPassthrough::close()
{
    m_following.reset();
    m_taken.reset();
}

void HostUsbPassthrough::tellDevices()
{
    auto const infos = m_taken->infos();
    {
        std::lock_guard const guard(m_toldMutex);
        m_toldDevices = infos;
    }
    m_events.devicesChanged(infos);
}

void HostUsbPassthrough::tellQuestions()
{
    auto const questions = m_following ? m_following->follower.questions() : std::vector<UsbQuestion>();
    {
        std::lock_guard const guard(m_toldMutex);
        if (m_toldQuestions == questions)
            return;
        m_toldQuestions = questions;
    }
    m_events.questionsChanged(questions);
}

void HostUsbPassthrough::dismiss(std::string const& port)
{
    if (!m_following)
        return;
    m_following->follower.settled(port);
    tellQuestions();
}

std::vector<vmm::HostUsbInfo> HostUsbPassthrough::devices() const
{
    std::lock_guard const guard(m_toldMutex);
    return m_toldDevices;
}

std::vector<UsbQuestion> HostUsbPassthrough::questions() const
{
    std::lock_guard const guard(m_toldMutex);
    return m_toldQuestions;
}

std::vector<UsbFate> HostUsbPassthrough::foresee(std::vector<vmm::HostUsbTrace> const& had) const
{
    auto const attached = devices();
    if (attached.empty() && had.empty())
        return {};
    auto const known = rules();
    auto const usb = hostUsb();
    auto const plugged = usb ? listHostUsb(**usb, known) : std::vector<HostUsbEntry>();
    return app::foresee(attached, had, plugged, known, m_config().uuid);
}

}
