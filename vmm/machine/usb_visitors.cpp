#include "vmm/machine/usb_visitors.h"

#include "vmm/base/event_loop.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

/// One behind the other, with seven places each and eight of the last. A controller has 64 slots: 14 devices in its
/// other connectors, the hubs, 22 devices behind them, and as many USB 3 devices as it has connectors are 54.
constexpr std::size_t mostHubs = 3;

bool isFast(UsbDevice const& device)
{
    return device.speed() == UsbSpeed::Super;
}

}

void UsbVisitors::clear()
{
    while (!m_visitors.empty())
        ignore(unplug(m_visitors.begin()->first));
}

Result<> UsbVisitors::plug(std::string const& id, std::shared_ptr<UsbDevice> device)
{
    if (m_controllers.empty())
        return fail(ErrorCode::Unsupported, "the machine has no USB controller; give it one while it is off");
    if (m_visitors.contains(id))
        return fail(ErrorCode::AlreadyExists, fmt::format("{} is plugged in already", id));
    auto const places = placesFor(isFast(*device));
    if (places.empty()) {
        return fail(ErrorCode::NotNow,
            fmt::format("every {} of the machine's USB controllers is taken; detach a device, or give the machine "
                        "another USB controller while it is off",
                isFast(*device) ? "USB 3 port" : "connector"));
    }
    auto place = places.front();
    if (places.size() == 1 && !isFast(*device) && m_hubs.size() < mostHubs)
        place = TRY(plugHub(place));
    if (auto const plugged = plugAt(place, *device); !plugged) {
        removeEmptyHubs();
        return plugged;
    }
    m_visitors[id] = { std::move(device), place };
    return {};
}

Result<> UsbVisitors::unplug(std::string_view id)
{
    auto const found = m_visitors.find(id);
    if (found == m_visitors.end())
        return fail(ErrorCode::NotFound, fmt::format("there is no USB device {}", id));
    unplugAt(found->second.place, *found->second.device);
    m_visitors.erase(found);
    removeEmptyHubs();
    return {};
}

bool UsbVisitors::isIn(XhciController const& controller, unsigned connector) const
{
    auto const isHere
        = [&](Place const& place) { return place.controller == &controller && place.number == connector; };
    return std::ranges::any_of(m_visitors, [&](auto const& one) { return isHere(one.second.place); })
        || std::ranges::any_of(m_hubs, [&](auto const& one) { return isHere(one.place); });
}

std::vector<std::string> UsbVisitors::inTheWay(bool isFast) const
{
    std::vector<std::string> behindHubs;
    for (auto const& [id, visitor] : m_visitors) {
        if (vmm::isFast(*visitor.device) != isFast)
            continue;
        auto const& place = visitor.place;
        if (place.controller && m_isOwn(*place.controller, place.number))
            continue; // beside a device of the machine's own: its leaving makes no room
        if (place.controller)
            return { id };
        behindHubs.push_back(id);
    }
    return behindHubs;
}

std::vector<Board::Part> UsbVisitors::all() const
{
    std::vector<Board::Part> all;
    for (auto const& [id, visitor] : m_visitors)
        all.push_back({ id, visitor.device.get() });
    for (auto const& hub : m_hubs)
        all.push_back({ hub.id, hub.device.get() });
    return all;
}

bool UsbVisitors::isTaken(Place const& place, bool fast) const
{
    auto const isHere = [&](auto const& one) { return one.place == place && isFast(*one.device) == fast; };
    return std::ranges::any_of(m_visitors, [&](auto const& one) { return isHere(one.second); })
        || std::ranges::any_of(m_hubs, isHere);
}

/// In the order in which they are taken: whole connectors, half ones, and hubs' ports, which are for slower devices.
std::vector<UsbVisitors::Place> UsbVisitors::placesFor(bool fast) const
{
    std::vector<Place> whole, others;
    for (auto* const controller : m_controllers) {
        for (unsigned connector = 0; connector < controller->connectors(); ++connector) {
            Place const place { controller, nullptr, connector };
            if (!m_isOwn(*controller, connector) && !isTaken(place, fast))
                (isTaken(place, !fast) ? others : whole).push_back(place);
        }
    }
    for (auto const& hub : m_hubs) {
        for (unsigned port = 1; port <= UsbHub::portCount && !fast; ++port) {
            if (Place const place { nullptr, hub.device.get(), port }; !isTaken(place, fast))
                others.push_back(place);
        }
    }
    whole.insert(whole.end(), others.begin(), others.end());
    return whole;
}

/// Another one each time: a saved state that knows one from before does not know what is on it now.
Result<UsbVisitors::Place> UsbVisitors::plugHub(Place const& place)
{
    auto id = fmt::format("visitors {}", EventLoop::now().count());
    auto hub = std::make_unique<UsbHub>(id);
    TRY(plugAt(place, *hub));
    Place const first { nullptr, hub.get(), 1 };
    m_hubs.push_back({ std::move(id), std::move(hub), place });
    return first;
}

void UsbVisitors::removeEmptyHubs()
{
    for (auto number = m_hubs.size(); number-- != 0;) {
        auto& hub = m_hubs[number];
        auto const isOn = [&](auto const& one) { return one.place.hub == hub.device.get(); };
        if (std::ranges::any_of(m_visitors, [&](auto const& one) { return isOn(one.second); })
            || std::ranges::any_of(m_hubs, isOn))
            continue;
        unplugAt(hub.place, *hub.device);
        m_hubs.erase(m_hubs.begin() + static_cast<std::ptrdiff_t>(number));
    }
}

Result<> UsbVisitors::plugAt(Place const& place, UsbDevice& device)
{
    return place.hub ? place.hub->plug(place.number, device) : place.controller->plug(place.number, device);
}

void UsbVisitors::unplugAt(Place const& place, UsbDevice& device)
{
    place.hub ? place.hub->unplug(place.number) : place.controller->unplug(device);
}

}
