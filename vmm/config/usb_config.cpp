#include "vmm/config/usb_config.h"

#include <algorithm>
#include <bitset>
#include <fmt/format.h>

namespace vmm {

namespace {

/// What has connectors: a controller or a hub.
struct Parent {
    unsigned connectors = 0;
    std::bitset<mostUsbConnectors> taken {};
    unsigned tier = 0;

    std::size_t left() const { return connectors - taken.count(); }
    unsigned firstFree() const
    {
        unsigned number = 1;
        while (number <= connectors && taken[number - 1])
            ++number;
        return number;
    }
};

class Connectors {
public:
    explicit Connectors(VmConfig const& config) : m_config(config)
    {
        for (auto const& controller : config.usbControllers)
            m_parents[controller.id] = { controller.connectors };
    }

    Result<UsbConnectors> placeAll()
    {
        for (auto const& device : m_config.usbDevices)
            TRY(know(device));
        for (auto const& stick : m_config.disks) {
            if (isUsb(stick.bus))
                TRY(checkParent(stick));
        }
        for (auto const& device : m_config.usbDevices) {
            if (device.connector != 0)
                TRY(take(device.id, parentOf(device.parent), device.connector));
        }
        for (auto const& stick : m_config.disks) {
            if (isUsb(stick.bus) && stick.connector != 0)
                TRY(take(stick.id, parentOf(stick.parent), stick.connector));
        }
        for (auto const& device : m_config.usbDevices) {
            if (device.connector == 0)
                TRY(take(device.id, parentOf(device.parent), m_parents[parentOf(device.parent)].firstFree()));
        }
        TRY(placeSticks());
        return std::move(m_placed);
    }

private:
    std::string parentOf(std::string const& parent) const
    {
        return parent.empty() && !m_config.usbControllers.empty() ? m_config.usbControllers.front().id : parent;
    }

    Result<> know(UsbDeviceConfig const& device)
    {
        if (m_config.usbControllers.empty())
            return fail(ErrorCode::InvalidArgument, fmt::format("{} has no USB controller", device.id));
        auto const parent = m_parents.find(parentOf(device.parent));
        if (parent == m_parents.end()) {
            return fail(ErrorCode::InvalidArgument,
                fmt::format("{} is no USB controller, nor a hub before {} in the list", device.parent, device.id));
        }
        if (device.kind != UsbKind::Hub)
            return {};
        if (parent->second.tier == usbTiers) {
            return fail(
                ErrorCode::InvalidArgument, fmt::format("{} is behind {} other hubs", device.id, parent->second.tier));
        }
        m_parents[device.id] = { .connectors = hubConnectors, .tier = parent->second.tier + 1 };
        return {};
    }

    Result<> take(std::string const& device, std::string const& parent, unsigned number)
    {
        auto& taken = m_parents[parent].taken;
        if (auto const connectors = m_parents[parent].connectors; number > connectors) {
            return fail(
                ErrorCode::InvalidArgument, fmt::format("{} has {} connectors, and more devices", parent, connectors));
        }
        if (taken[number - 1]) {
            return fail(ErrorCode::InvalidArgument,
                fmt::format("two devices are in connector {} of {}, one of them {}", number, parent, device));
        }
        taken.set(number - 1);
        m_placed[device] = { parent, number };
        return {};
    }

    /// A stick is faster than any hub of ours, so it goes into a controller.
    Result<> checkParent(DiskConfig const& stick) const
    {
        if (stick.parent.empty() && stick.connector == 0)
            return {};
        if (m_config.usbControllers.empty())
            return fail(ErrorCode::InvalidArgument, fmt::format("{} has no USB controller", stick.id));
        auto const isIt = [parent = parentOf(stick.parent)](auto const& controller) { return controller.id == parent; };
        if (std::ranges::none_of(m_config.usbControllers, isIt)) {
            return fail(ErrorCode::InvalidArgument,
                fmt::format("{} is no USB controller, and {} fits into nothing else", stick.parent, stick.id));
        }
        return {};
    }

    Result<> placeSticks()
    {
        std::size_t left = 0, sticks = 0;
        for (auto const& controller : m_config.usbControllers)
            left += m_parents[controller.id].left();
        for (auto const& stick : m_config.disks)
            sticks += isUsb(stick.bus) && !m_placed.contains(stick.id) ? 1 : 0;
        if (sticks > left)
            return fail(ErrorCode::InvalidArgument, fmt::format("{} USB sticks, and connectors for {}", sticks, left));
        for (auto const& stick : m_config.disks) {
            if (!isUsb(stick.bus) || m_placed.contains(stick.id))
                continue;
            auto parent = stick.parent;
            for (auto const& controller : m_config.usbControllers) {
                if (parent.empty() && m_parents[controller.id].left() != 0)
                    parent = controller.id;
            }
            TRY(take(stick.id, parent, m_parents[parent].firstFree()));
        }
        return {};
    }

    VmConfig const& m_config;
    std::map<std::string, Parent, std::less<>> m_parents;
    UsbConnectors m_placed;
};

/// Of a controller, or else of a hub.
unsigned connectorsOf(VmConfig const& config, std::string_view parent)
{
    auto const found
        = std::ranges::find_if(config.usbControllers, [&](auto const& controller) { return controller.id == parent; });
    return found != config.usbControllers.end() ? found->connectors : hubConnectors;
}

/// Each names the connector that it is in.
Result<> nameConnectors(VmConfig& config)
{
    auto const placed = TRY(usbConnectorsOf(config));
    auto const name = [&](auto& device) {
        if (auto const found = placed.find(device.id); found != placed.end()) {
            device.parent = found->second.parent;
            device.connector = static_cast<std::uint8_t>(found->second.number);
        }
    };
    std::ranges::for_each(config.usbDevices, name);
    std::ranges::for_each(config.disks, name);
    return {};
}

}

Result<UsbConnectors> usbConnectorsOf(VmConfig const& config)
{
    return Connectors(config).placeAll();
}

std::string const& idOf(UsbAddition const& addition)
{
    return std::visit([](auto const& device) -> std::string const& { return device.id; }, addition);
}

Result<> chooseUsbConnector(VmConfig const& config, UsbAddition& addition, MayTakeUsb const& mayTake)
{
    if (config.usbControllers.empty())
        return fail(ErrorCode::Unsupported, "the machine has no USB controller; give it one while it is off");
    auto const placed = TRY(usbConnectorsOf(config));
    auto const isFree = [&](UsbConnector const& connector) {
        auto const isIt = [&](auto const& one) { return one.second == connector; };
        return std::ranges::none_of(placed, isIt) && mayTake(connector);
    };
    return std::visit(
        [&](auto& device) -> Result<> {
            if (device.connector != 0)
                return {};
            std::vector<std::string> parents { device.parent };
            if (device.parent.empty()) {
                parents.clear();
                for (auto const& controller : config.usbControllers)
                    parents.push_back(controller.id);
            }
            for (auto const& parent : parents) {
                for (unsigned number = 1; number <= connectorsOf(config, parent); ++number) {
                    if (!isFree({ parent, number }))
                        continue;
                    device.parent = parent;
                    device.connector = static_cast<std::uint8_t>(number);
                    return {};
                }
            }
            return fail(ErrorCode::NotNow,
                device.parent.empty()
                    ? "every connector of the machine's USB controllers is taken; unplug or remove something first"
                    : fmt::format("every connector of {} is taken; unplug or remove something first", device.parent));
        },
        addition);
}

Result<> addUsb(VmConfig& config, UsbAddition const& addition)
{
    auto next = config;
    TRY(nameConnectors(next));
    if (auto const* device = std::get_if<UsbDeviceConfig>(&addition)) {
        next.usbDevices.push_back(*device);
    } else {
        auto const& stick = std::get<DiskConfig>(addition);
        if (!isUsb(stick.bus))
            return fail(ErrorCode::InvalidArgument, fmt::format("{} is no USB stick", stick.id));
        next.disks.push_back(stick);
    }
    TRY(checkConfig(next));
    config = std::move(next);
    return {};
}

Result<> removeUsb(VmConfig& config, std::string_view id)
{
    auto next = config;
    if (pluggedMark(next, id) == nullptr)
        return fail(ErrorCode::NotFound, fmt::format("there is no USB device {}", id));
    for (auto const& device : config.usbDevices) {
        if (device.parent == id) {
            return fail(
                ErrorCode::Busy, fmt::format("{} is plugged into {}; remove what hangs on it first", device.id, id));
        }
    }
    TRY(nameConnectors(next));
    std::erase_if(next.usbDevices, [&](auto const& device) { return device.id == id; });
    std::erase_if(next.disks, [&](auto const& disk) { return disk.id == id; });
    std::erase(next.bootOrder, id);
    config = std::move(next);
    return {};
}

}
