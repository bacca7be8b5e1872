#include "app/usb/usb_follower.h"

#include <algorithm>

namespace app {

namespace {

using namespace std::chrono_literals;

/// A device that dies so often where it is, or at whose port so many are lost, is broken or not to be had.
constexpr int mostDeaths = 3, mostLosses = 12;
constexpr vmm::Nanoseconds lossesWithin = 1min;
/// So long a program may have open what was plugged in just now: udev, desktops and modem managers look at it. So long
/// what cannot be taken is tried again, too.
constexpr vmm::Nanoseconds lookedAtFor = 5s;

bool isSetTo(UsbRule const* rule, std::string const& machine)
{
    return rule && rule->action == UsbAction::Attach && rule->machine == machine;
}

/// A rule keeps it for the host, or for another machine.
bool isForOthers(UsbRule const* rule, std::string const& machine)
{
    return rule && rule->action != UsbAction::Ask && !isSetTo(rule, machine);
}

UsbRule const* ruleOf(HostUsbEntry const& entry)
{
    return entry.rule ? &*entry.rule : nullptr;
}

bool isRecent(vmm::Nanoseconds when, vmm::Nanoseconds now)
{
    return now - when <= usbComeback;
}

/// It may be the host's no more in a moment.
bool isInPassing(std::vector<HostUse> const& uses)
{
    return std::ranges::none_of(uses, [](HostUse const& use) { return use.kind == HostUse::Kind::MountedDisk; })
        && std::ranges::any_of(uses, [](HostUse const& use) {
               return use.kind == HostUse::Kind::DiskInUse || use.kind == HostUse::Kind::PortInUse;
           });
}

}

bool UsbFollower::mayTake(Cause cause, std::vector<HostUse> const& uses)
{
    if (cause != Cause::Comeback)
        return isTakenByRule(uses);
    return std::ranges::none_of(uses, [](HostUse const& use) {
        return use.kind == HostUse::Kind::MountedDisk || use.kind == HostUse::Kind::DiskInUse
            || use.kind == HostUse::Kind::PortInUse;
    });
}

void UsbFollower::cameUp(std::vector<vmm::HostUsbTrace> had, UsbRestore policy)
{
    m_cameUp = true;
    m_had = std::move(had);
    m_policy = policy;
    m_questions.clear();
    m_losses.clear();
    m_waiting.clear();
    m_failedSince.clear();
}

void UsbFollower::lost(vmm::HostUsbInfo const& device, vmm::Nanoseconds now)
{
    m_lost[device.port] = { device, now };
    m_losses.push_back({ device, now });
}

bool UsbFollower::isLostAgainAndAgain(vmm::HostUsbInfo const& device) const
{
    auto const deaths = std::ranges::count_if(
        m_losses, [&](Gone const& gone) { return appearanceOf(gone.device) == appearanceOf(device); });
    auto const losses
        = std::ranges::count_if(m_losses, [&](Gone const& gone) { return gone.device.port == device.port; });
    return deaths > mostDeaths || losses > mostLosses;
}

void UsbFollower::refused(Step const& step, vmm::Nanoseconds now)
{
    m_waiting.try_emplace(appearanceOf(step.device), Waiting { step.cause, now });
}

bool UsbFollower::triesAgain(Step const& step, vmm::Nanoseconds now)
{
    auto const appearance = appearanceOf(step.device);
    auto const since = m_failedSince.try_emplace(appearance, now).first->second;
    if (now - since >= lookedAtFor)
        return false;
    m_waiting.try_emplace(appearance, Waiting { step.cause, since });
    if (step.cause == Cause::Comeback) // it may have left, and the next one at that port be it
        m_lost.try_emplace(step.device.port, Gone { step.device, now });
    return true;
}

bool UsbFollower::waitsFor(HostUsbEntry const& entry, Cause cause, vmm::Nanoseconds now)
{
    return isInPassing(entry.uses)
        && now - m_waiting.try_emplace(appearanceOf(entry.device), Waiting { cause, now }).first->second.since
        < lookedAtFor;
}

void UsbFollower::settled(std::string const& port)
{
    std::erase_if(m_waiting, [&](auto const& one) { return std::get<0>(one.first) == port; });
    std::erase_if(m_failedSince, [&](auto const& one) { return std::get<0>(one.first) == port; });
    std::erase_if(m_givenBack, [&](Appearance const& one) { return std::get<0>(one) == port; });
    m_lost.erase(port);
    std::erase_if(m_questions, [&](UsbQuestion const& question) { return question.device.port == port; });
}

/// Before it came back, and may have it again.
bool UsbFollower::had(HostUsbEntry const& entry) const
{
    return !isForOthers(ruleOf(entry), m_machine)
        && std::ranges::any_of(m_had, [&](vmm::HostUsbTrace const& trace) { return trace.fits(entry.device); });
}

bool UsbFollower::isComingBack(HostUsbEntry const& entry, vmm::Nanoseconds now) const
{
    auto const& device = entry.device;
    auto const found = m_lost.find(device.port);
    if (found == m_lost.end() || !isRecent(found->second.when, now) || found->second.device.vendor != device.vendor)
        return false;
    // What it has become may be for others; a rule that was overruled when it was attached still is.
    return !isForOthers(ruleOf(entry), m_machine) || found->second.device.product == device.product;
}

std::optional<UsbFollower::Cause> UsbFollower::causeFor(
    HostUsbEntry const& entry, bool isNew, vmm::Nanoseconds now) const
{
    if (isComingBack(entry, now))
        return Cause::Comeback;
    if (isNew && isSetTo(ruleOf(entry), m_machine))
        return Cause::Rule;
    if (m_cameUp && m_policy == UsbRestore::Attach && had(entry))
        return Cause::Restored;
    if (auto const waiting = m_waiting.find(appearanceOf(entry.device)); waiting != m_waiting.end())
        return waiting->second.cause;
    return std::nullopt;
}

bool UsbFollower::isAskedFor(HostUsbEntry const& entry, vmm::Nanoseconds now) const
{
    if (!m_asks || entry.holder || (entry.rule && entry.rule->action != UsbAction::Ask))
        return false;
    // What has only got another address is nothing new: the host slept, or a cable is loose.
    auto const& device = entry.device;
    auto const left = m_left.find(device.port);
    return left == m_left.end() || !isRecent(left->second.when, now) || left->second.device.vendor != device.vendor
        || left->second.device.product != device.product || left->second.device.serial != device.serial;
}

void UsbFollower::ask(HostUsbEntry const& entry, UsbQuestion::Reason reason)
{
    std::erase_if(m_questions, [&](UsbQuestion const& one) { return one.device.port == entry.device.port; });
    m_questions.push_back({ entry.device, reason, entry.uses });
}

std::vector<UsbFollower::Step> UsbFollower::look(
    std::vector<HostUsbEntry> const& plugged, std::vector<vmm::HostUsbInfo> const& attached, vmm::Nanoseconds now)
{
    std::map<Appearance, vmm::HostUsbInfo> seen;
    for (auto const& entry : plugged)
        seen.emplace(appearanceOf(entry.device), entry.device);
    for (auto const& [appearance, device] : m_seen) {
        if (!seen.contains(appearance))
            m_left[device.port] = { device, now };
    }
    std::erase_if(m_left, [&](auto const& gone) { return !isRecent(gone.second.when, now); });
    std::erase_if(m_losses, [&](Gone const& gone) { return now - gone.when > lossesWithin; });
    m_givenUp.clear();
    std::erase_if(m_lost, [&](auto const& gone) { return !isRecent(gone.second.when, now); });
    std::erase_if(m_questions, [&](UsbQuestion const& question) {
        return std::ranges::none_of(plugged, [&](HostUsbEntry const& entry) {
            return appearanceOf(entry.device) == appearanceOf(question.device) && !entry.holder;
        });
    });

    std::vector<Step> steps;
    for (auto const& entry : plugged) {
        auto const& device = entry.device;
        if (entry.holder)
            m_waiting.erase(appearanceOf(device));
        auto const ours = std::ranges::find(attached, device.port, &vmm::HostUsbInfo::port);
        if (ours != attached.end()) {
            // The one before it has gone, which the machine is about to hear: it is new then.
            if (appearanceOf(*ours) != appearanceOf(device))
                seen.erase(appearanceOf(device));
            continue;
        }
        if (m_givenBack.contains(appearanceOf(device)))
            continue;
        bool const isNew = m_cameUp || !m_seen.contains(appearanceOf(device));
        if (auto const cause = causeFor(entry, isNew, now)) {
            m_lost.erase(device.port);
            if (isLostAgainAndAgain(device))
                m_givenUp.push_back(device);
            else if (mayTake(*cause, entry.uses))
                steps.push_back({ device, *cause });
            else if (waitsFor(entry, *cause, now))
                continue;
            else
                ask(entry, UsbQuestion::Reason::UsedByHost);
            m_waiting.erase(appearanceOf(device));
        } else if (m_cameUp && m_policy == UsbRestore::Ask && had(entry) && !entry.holder) {
            ask(entry, UsbQuestion::Reason::Restored);
        } else if (isNew && !m_cameUp && isAskedFor(entry, now)) {
            ask(entry, UsbQuestion::Reason::PluggedIn);
        } else if (isNew && !m_cameUp && entry.holder && entry.holder->machine == m_machine) {
            seen.erase(appearanceOf(device)); // what was there before it is being given back: it is new after that
        }
    }
    std::erase_if(m_givenBack, [&](Appearance const& one) { return !seen.contains(one); });
    std::erase_if(m_waiting, [&](auto const& one) { return !seen.contains(one.first); });
    std::erase_if(m_failedSince, [&](auto const& one) { return !seen.contains(one.first); });
    m_seen = std::move(seen);
    m_cameUp = false;
    m_had.clear();
    return steps;
}

std::vector<UsbFate> foresee(std::vector<vmm::HostUsbInfo> const& attached, std::vector<vmm::HostUsbTrace> const& had,
    std::vector<HostUsbEntry> const& plugged, UsbRules const& rules, std::string const& machine)
{
    using Outcome = UsbFate::Outcome;
    auto const policy = rules.restoreOf(machine);
    auto const byPolicy = policy == UsbRestore::Attach ? Outcome::PluggedAnew
        : policy == UsbRestore::Ask                    ? Outcome::Asked
                                                       : Outcome::Unplugged;
    std::vector<UsbFate> fates;
    for (auto const& device : attached) {
        bool const isSet = isSetTo(rules.ruleFor(device), machine);
        fates.push_back({ device.vendor, device.product, usbDeviceName(device), device.serial, device.port, {}, true,
            isSet ? Outcome::PluggedAnew : byPolicy });
    }
    for (auto const& trace : had) {
        if (std::ranges::any_of(attached, [&](auto const& device) { return trace.fits(device); }))
            continue;
        UsbFate fate { trace.vendor, trace.product, {}, trace.serial, trace.port, {}, false, Outcome::NotHere };
        auto const here = std::ranges::find_if(plugged, [&](auto const& entry) { return trace.fits(entry.device); });
        if (here != plugged.end() && (!here->holder || here->holder->machine == machine)) { // which gives it back now
            auto const* const rule = ruleOf(*here);
            fate.name = usbDeviceName(here->device);
            fate.port = here->device.port;
            fate.outcome = isSetTo(rule, machine) ? Outcome::PluggedAnew
                : isForOthers(rule, machine)      ? Outcome::Unplugged
                                                  : byPolicy;
            if (fate.outcome == Outcome::PluggedAnew && !isTakenByRule(here->uses))
                fate.outcome = Outcome::Asked;
        }
        fates.push_back(std::move(fate));
    }
    return fates;
}

}
