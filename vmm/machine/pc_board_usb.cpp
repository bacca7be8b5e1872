#include "vmm/machine/pc_board_disk.h"
#include "vmm/usb/hid_device.h"
#include "vmm/usb/uas_storage.h"
#include "vmm/usb/usb_audio.h"
#include "vmm/usb/usb_gamepad.h"
#include "vmm/usb/usb_hub.h"
#include "vmm/usb/usb_serial.h"
#include "vmm/usb/usb_storage.h"
#include "vmm/usb/xhci_controller.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

namespace {

/// What std::map::erase() does for a key that is no std::string (of C++23).
void eraseAt(auto& map, std::string_view key)
{
    if (auto const found = map.find(key); found != map.end())
        map.erase(found);
}

}

/// Devices come before what they are plugged into, so that it goes before them: a saved state is loaded in the same
/// order, and each finds what is below it.
Result<> PcBoard::addUsb()
{
    m_usbConnectors = TRY(usbConnectorsOf(m_config));
    for (auto const& config : m_config.usbControllers) {
        for (auto const& device : m_config.usbDevices) {
            if (m_usbConnectors.at(device.id).parent == config.id)
                TRY(addUsbDevice(device));
        }
        for (auto const& disk : m_config.disks) {
            if (isUsb(disk.bus) && m_usbConnectors.at(disk.id).parent == config.id)
                TRY(addUsbStick(disk));
        }
        auto& controller = keep(config.id, std::make_unique<XhciController>(m_services, m_time, config.connectors));
        m_usbControllers.push_back({ config.id, &controller, TRY(plug(controller)) });
        m_usbVisitors.add(controller);
        TRY(plugInAllOn(config.id));
        setBootPaths(m_usbControllers.back());
    }
    return {};
}

/// The parent is there now.
Result<> PcBoard::plugInAllOn(std::string_view parent)
{
    for (auto& [id, place] : m_usbPlaces) {
        if (place.parent != parent)
            continue;
        findParent(place);
        if (place.plugged)
            TRY_WITHIN(place.parent, plugIn(place));
    }
    return {};
}

void PcBoard::findParent(UsbPlace& place) const
{
    for (auto const& one : m_usbControllers) {
        if (one.id == place.parent)
            place.controller = one.controller;
    }
    if (auto const found = m_usbPlaces.find(place.parent); found != m_usbPlaces.end())
        place.hub = static_cast<UsbHub*>(found->second.device);
}

void PcBoard::setBootPaths(UsbController const& on)
{
    for (auto const& [id, place] : m_usbPlaces) {
        if (place.controller != on.controller)
            continue;
        // SeaBIOS counts the connectors of each USB version, OVMF the controller's ports.
        auto const pathOf = [&on](unsigned port) {
            return fmt::format("/pci@i0cf8/usb@{}/storage@{:x}/channel@0/disk@0,0", on.slot, port);
        };
        m_bootPaths[id] = pathOf(place.connector + 1);
        if (auto const port = place.controller->portOf(place.connector, *place.device); port != place.connector)
            m_bootPaths[id] += "\n" + pathOf(port + 1);
    }
}

Result<> PcBoard::addUsbDevice(UsbDeviceConfig const& config)
{
    if (config.kind == UsbKind::Hub) {
        for (auto const& device : m_config.usbDevices) {
            if (device.parent == config.id)
                TRY(addUsbDevice(device));
        }
    }
    auto* const device = TRY(makeUsbDevice(config));
    auto const& connector = m_usbConnectors.at(config.id);
    m_usbPlaces[config.id] = { device, connector.parent, nullptr, nullptr, connector.number - 1, config.plugged };
    return config.kind == UsbKind::Hub ? plugInAllOn(config.id) : Result<>();
}

Result<UsbDevice*> PcBoard::makeUsbDevice(UsbDeviceConfig const& config)
{
    auto const addPointer = [&](UsbPointer::Kind kind, std::vector<PointerSink*>& all) {
        auto& pointer = keep(config.id, std::make_unique<UsbPointer>(config.id, kind, m_events.pointerModeChanged));
        all.push_back(&pointer);
        return &pointer;
    };
    switch (config.kind) {
    case UsbKind::Hub: return &keep(config.id, std::make_unique<UsbHub>(config.id));
    case UsbKind::Mouse: return addPointer(UsbPointer::Kind::Mouse, m_mice);
    case UsbKind::Tablet: return addPointer(UsbPointer::Kind::Tablet, m_tablets);
    case UsbKind::Keyboard: {
        auto& keyboard = keep(config.id, std::make_unique<UsbKeyboard>(config.id));
        m_keyboards.push_back(&keyboard);
        return &keyboard;
    }
    case UsbKind::Serial: {
        auto& console = addConsole(config.id);
        return &keep(config.id, std::make_unique<UsbSerial>(config.id, m_loop, console));
    }
    case UsbKind::Audio: {
        auto made = std::make_unique<AudioPort>();
        auto& port = *made;
        std::lock_guard const lock(m_listsMutex);
        m_audio[config.id] = std::move(made);
        return &keep(config.id, std::make_unique<UsbAudio>(config.id, port));
    }
    case UsbKind::Gamepad: {
        auto rumbled = [this, id = config.id](std::uint16_t strong, std::uint16_t weak) {
            if (m_events.rumbled)
                m_events.rumbled(id, strong, weak);
        };
        auto& gamepad = keep(config.id, std::make_unique<UsbGamepad>(config.id, std::move(rumbled)));
        m_gamepads[config.id] = &gamepad;
        return &gamepad;
    }
    }
    return fail(ErrorCode::Unsupported, fmt::format("{} is a USB device of no known kind", config.id));
}

Result<> PcBoard::addUsbStick(DiskConfig const& config)
{
    auto& disk = *TRY(openDisk(config));
    auto& loop = disk.thread->loop();
    auto hostError = [this, id = config.id](Error const& error) { m_events.hostFailed(Error(error).within(id)); };
    if (config.bus == DiskBus::Uas)
        disk.stick = &keep(config.id,
            std::make_unique<UasStorage>(config.id, loop, *disk.file->image, config.readOnly, std::move(hostError)));
    else
        disk.stick = &keep(config.id,
            std::make_unique<UsbStorage>(
                UsbSpeed::Super, config.id, loop, *disk.file->image, config.readOnly, std::move(hostError)));
    {
        std::lock_guard const lock(m_listsMutex);
        m_sticks.push_back(disk.stick);
    }
    auto const& connector = m_usbConnectors.at(config.id);
    m_usbPlaces[config.id] = { disk.stick, connector.parent, nullptr, nullptr, connector.number - 1, config.plugged };
    return {};
}

Console& PcBoard::addConsole(std::string const& id)
{
    auto console = std::make_unique<Console>();
    auto& added = *console;
    std::lock_guard const lock(m_listsMutex);
    m_consoles[id] = std::move(console);
    return added;
}

Result<> PcBoard::plugIn(UsbPlace const& place)
{
    return place.hub ? place.hub->plug(place.connector + 1, *place.device)
                     : place.controller->plug(place.connector, *place.device);
}

Result<> PcBoard::setPlugged(std::string_view device, bool plugged)
{
    auto const found = m_usbPlaces.find(device);
    if (found == m_usbPlaces.end())
        return fail(ErrorCode::NotFound, fmt::format("there is no USB device {}", device));
    auto& place = found->second;
    if (place.plugged == plugged)
        return {};
    if (plugged)
        TRY_WITHIN(place.parent, plugIn(place));
    else
        place.hub ? place.hub->unplug(place.connector + 1) : place.controller->unplug(*place.device);
    place.plugged = plugged;
    if (!plugged)
        resetUnplugged(device);
    return {};
}

void PcBoard::resetUnplugged(std::string_view device)
{
    m_usbPlaces.find(device)->second.device->reset();
    for (auto const& [id, place] : m_usbPlaces) {
        if (place.parent == device)
            resetUnplugged(id);
    }
}

bool PcBoard::isOwn(XhciController const& controller, unsigned connector) const
{
    return std::ranges::any_of(m_usbPlaces, [&](auto const& taken) {
        return taken.second.controller == &controller && taken.second.connector == connector;
    });
}

Result<> PcBoard::plugUsb(std::string const& id, std::shared_ptr<UsbDevice> device)
{
    return m_usbVisitors.plug(id, std::move(device));
}

Result<> PcBoard::unplugUsb(std::string_view id)
{
    return m_usbVisitors.unplug(id);
}

// What comes to a machine that is there already, and goes

/// No visitor is moved for it: the guest would see it pulled out, in the middle of whatever it does. So it comes into a
/// whole connector, or the port that visitors leave of one, or else onto a hub of the machine's own.
Result<> PcBoard::chooseConnector(UsbAddition& addition) const
{
    bool const isFast = std::holds_alternative<DiskConfig>(addition); // sticks
    auto const choose = [&](UsbAddition& device, auto const& isFree) {
        return chooseUsbConnector(m_config, device, [&](UsbConnector const& connector) {
            for (auto const& one : m_usbControllers) {
                if (one.id == connector.parent)
                    return isFree(*one.controller, connector.number - 1);
            }
            return true; // visitors take none of a hub's
        });
    };
    auto const isWhole
        = [this](XhciController& controller, unsigned connector) { return !m_usbVisitors.isIn(controller, connector); };
    auto const hasItsPort = [this, isFast](XhciController& controller, unsigned connector) {
        return !m_usbVisitors.isIn(controller, connector, isFast);
    };
    bool const isAnywhere = std::visit([](auto const& device) { return device.parent.empty(); }, addition);
    auto chosen = choose(addition, isWhole);
    if (!chosen && chosen.error().code == ErrorCode::NotNow)
        chosen = choose(addition, hasItsPort);
    if (chosen || chosen.error().code != ErrorCode::NotNow || !isAnywhere)
        return chosen;
    auto const* const device = std::get_if<UsbDeviceConfig>(&addition);
    bool const mayHang = device && device->kind != UsbKind::Hub;
    auto const isReached = [this](UsbDeviceConfig const* hub) {
        auto const& all = m_config.usbDevices;
        while (hub->plugged) {
            auto const parent = std::ranges::find(all, hub->parent, &UsbDeviceConfig::id);
            if (parent == all.end())
                return true; // it is in a controller
            hub = &*parent;
        }
        return false;
    };
    for (auto const& hub : m_config.usbDevices) {
        if (!mayHang || hub.kind != UsbKind::Hub || !isReached(&hub))
            continue;
        UsbAddition behind = *device;
        std::get<UsbDeviceConfig>(behind).parent = hub.id;
        if (!choose(behind, hasItsPort))
            continue;
        addition = behind;
        return {};
    }
    auto const others = m_usbVisitors.inTheWay(isFast);
    if (others.empty())
        return chosen;
    return fail(ErrorCode::NotNow,
        fmt::format("USB devices that visit the machine have the connectors that it needs; detach {} first",
            fmt::join(others, " and ")));
}

Result<> PcBoard::addUsb(UsbAddition const& addition)
{
    auto const before = m_parts.size();
    auto const add = [&](auto const& config) -> Result<> {
        m_usbConnectors[config.id] = { config.parent, config.connector };
        if constexpr (std::is_same_v<decltype(config), DiskConfig const&>)
            TRY(addUsbStick(config));
        else
            TRY(addUsbDevice(config));
        auto& place = m_usbPlaces.at(config.id);
        findParent(place);
        // Before what it is plugged into, as ever.
        auto const parent = std::ranges::find_if(m_parts, [&](Part const& part) { return part.id == place.parent; })
            - m_parts.begin();
        std::rotate(m_parts.begin() + parent, m_parts.begin() + static_cast<std::ptrdiff_t>(before), m_parts.end());
        std::rotate(
            m_devices.begin() + parent, m_devices.begin() + static_cast<std::ptrdiff_t>(before), m_devices.end());
        if (!std::exchange(place.plugged, false))
            return {};
        TRY_WITHIN(config.id, plugIn(place));
        place.plugged = true;
        return {};
    };
    auto const added = std::visit(add, addition);
    if (!added && m_usbPlaces.contains(idOf(addition)))
        ignore(removeUsb(idOf(addition)));
    if (!added)
        m_usbConnectors.erase(idOf(addition));
    return added;
}

Result<> PcBoard::removeUsb(std::string_view id)
{
    auto const found = m_usbPlaces.find(id);
    if (found == m_usbPlaces.end())
        return fail(ErrorCode::NotFound, fmt::format("there is no USB device {}", id));
    TRY(setPlugged(id, false));
    auto const disk = std::ranges::find_if(m_disks, [&](auto const& one) { return one->id == id; });
    // What the guest has written is in the file before that is anybody else's.
    if (disk != m_disks.end() && (*disk)->file->image)
        TRY(onDisk(**disk, [&] { return (*disk)->file->image->flushSync(); }));
    auto* const device = found->second.device;
    std::erase(m_keyboards, dynamic_cast<KeyboardSink*>(device));
    std::erase(m_mice, dynamic_cast<PointerSink*>(device));
    std::erase(m_tablets, dynamic_cast<PointerSink*>(device));
    std::erase_if(
        m_held, [keyboard = dynamic_cast<KeyboardSink*>(device)](auto const& key) { return key.second == keyboard; });
    eraseAt(m_gamepads, id);
    m_usbPlaces.erase(found);
    eraseAt(m_usbConnectors, id);
    eraseAt(m_bootPaths, id);
    {
        std::lock_guard const lock(m_listsMutex);
        if (auto const* const stick = dynamic_cast<UsbDisk*>(device)) {
            m_trafficOfRemoved.diskRead += stick->bytesRead();
            m_trafficOfRemoved.diskWritten += stick->bytesWritten();
            std::erase(m_sticks, stick);
        }
    }
    auto const part = std::ranges::find_if(m_parts, [&](Part const& one) { return one.device == device; });
    m_devices.erase(m_devices.begin() + (part - m_parts.begin()));
    m_parts.erase(part);
    // Then what it stood on.
    DiskPointer image;
    std::lock_guard const lock(m_listsMutex);
    if (disk != m_disks.end()) {
        image = std::move(*disk);
        m_disks.erase(disk);
    }
    eraseAt(m_consoles, id);
    eraseAt(m_audio, id);
    return {};
}

void PcBoard::usbChanged()
{
    for (auto const& one : m_usbControllers)
        setBootPaths(one);
    m_events.pointerModeChanged();
}

}
