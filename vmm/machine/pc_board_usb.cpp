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

/// Devices come before what they are plugged into, so that it goes before them: a saved state is loaded in the same
/// order, and each finds what is below it.
Result<> PcBoard::addUsb()
{
    auto stick = m_config.disks.begin();
    auto const nextStick = [&] {
        return stick
            = std::find_if(stick, m_config.disks.end(), [](DiskConfig const& disk) { return isUsb(disk.bus); });
    };
    for (auto const& config : m_config.usbControllers) {
        std::vector<UsbPlace*> places;
        auto const take = [&](std::string const& id, bool plugged, UsbDevice* device) {
            auto const connector = static_cast<unsigned>(places.size());
            places.push_back(&(m_usbPlaces[id] = { device, config.id, nullptr, nullptr, connector, plugged }));
        };
        for (auto const& device : m_config.usbDevices) {
            auto const first = &config == &m_config.usbControllers.front();
            if (device.parent == config.id || (device.parent.empty() && first))
                take(device.id, device.plugged, TRY(addUsbDevice(device)));
        }
        for (; places.size() < XhciController::connectorCount && nextStick() != m_config.disks.end(); ++stick)
            take(stick->id, stick->plugged, TRY(addUsbStick(*stick)));
        auto& controller = keep(config.id, std::make_unique<XhciController>(m_services, m_time));
        m_usbControllers.push_back(&controller);
        auto const slot = TRY(plug(controller));
        for (auto* place : places) {
            place->controller = &controller;
            if (place->plugged)
                TRY_WITHIN(config.id, plugIn(*place));
        }
        for (auto const& [id, place] : m_usbPlaces) {
            if (place.controller != &controller)
                continue;
            // SeaBIOS counts the connectors of each USB version, OVMF the controller's ports.
            auto const pathOf = [&slot](unsigned port) {
                return fmt::format("/pci@i0cf8/usb@{}/storage@{:x}/channel@0/disk@0,0", slot, port);
            };
            m_bootPaths[id] = pathOf(place.connector + 1);
            if (auto const port = XhciController::portOf(place.connector, *place.device); port != place.connector)
                m_bootPaths[id] += "\n" + pathOf(port + 1);
        }
    }
    return {};
}

Result<UsbDevice*> PcBoard::addUsbDevice(UsbDeviceConfig const& config)
{
    auto const addPointer = [&](UsbPointer::Kind kind, std::vector<PointerSink*>& all) {
        auto& pointer = keep(config.id, std::make_unique<UsbPointer>(config.id, kind, m_events.pointerModeChanged));
        all.push_back(&pointer);
        return &pointer;
    };
    switch (config.kind) {
    case UsbKind::Hub: return addUsbHub(config);
    case UsbKind::Mouse: return addPointer(UsbPointer::Kind::Mouse, m_mice);
    case UsbKind::Tablet: return addPointer(UsbPointer::Kind::Tablet, m_tablets);
    case UsbKind::Keyboard: {
        auto& keyboard = keep(config.id, std::make_unique<UsbKeyboard>(config.id));
        m_keyboards.push_back(&keyboard);
        return &keyboard;
    }
    case UsbKind::Serial: {
        auto& console = *(m_consoles[config.id] = std::make_unique<Console>());
        return &keep(config.id, std::make_unique<UsbSerial>(config.id, m_loop, console));
    }
    case UsbKind::Audio: {
        auto& port = *(m_audio[config.id] = std::make_unique<AudioPort>());
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

Result<UsbDevice*> PcBoard::addUsbHub(UsbDeviceConfig const& config)
{
    std::vector<UsbPlace*> places;
    for (auto const& device : m_config.usbDevices) {
        if (device.parent != config.id)
            continue;
        auto* const behind = TRY(addUsbDevice(device));
        auto const connector = static_cast<unsigned>(places.size());
        places.push_back(
            &(m_usbPlaces[device.id] = { behind, config.id, nullptr, nullptr, connector, device.plugged }));
    }
    auto& hub = keep(config.id, std::make_unique<UsbHub>(config.id));
    for (auto* place : places) {
        place->hub = &hub;
        if (place->plugged)
            TRY_WITHIN(config.id, plugIn(*place));
    }
    return &hub;
}

Result<UsbDevice*> PcBoard::addUsbStick(DiskConfig const& config)
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
    m_sticks.push_back(disk.stick);
    return disk.stick;
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
        place.hub ? place.hub->unplug(place.connector + 1) : place.controller->unplug(place.connector);
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

bool PcBoard::isFree(XhciController const& controller, unsigned connector) const
{
    auto const isHere = [&](auto const& taken) {
        return taken.second.controller == &controller && taken.second.connector == connector;
    };
    return std::none_of(m_usbPlaces.begin(), m_usbPlaces.end(), isHere)
        && std::none_of(m_usbVisitors.begin(), m_usbVisitors.end(), isHere);
}

Result<> PcBoard::plugUsb(std::string const& id, std::shared_ptr<UsbDevice> device)
{
    if (m_usbControllers.empty())
        return fail(ErrorCode::Unsupported, "the machine has no USB controller; give it one while it is off");
    if (m_usbVisitors.contains(id))
        return fail(ErrorCode::AlreadyExists, fmt::format("{} is plugged in already", id));
    for (auto* const controller : m_usbControllers) {
        for (unsigned connector = 0; connector < XhciController::connectorCount; ++connector) {
            if (!isFree(*controller, connector))
                continue;
            TRY(controller->plug(connector, *device));
            m_usbVisitors[id] = { std::move(device), controller, connector };
            return {};
        }
    }
    return fail(ErrorCode::NotNow, "every connector of the machine's USB controllers is taken; unplug something first");
}

std::vector<Board::Part> PcBoard::visitors() const
{
    std::vector<Part> visitors;
    for (auto const& [id, visitor] : m_usbVisitors)
        visitors.push_back({ id, visitor.device.get() });
    return visitors;
}

Result<> PcBoard::unplugUsb(std::string_view id)
{
    auto const found = m_usbVisitors.find(id);
    if (found == m_usbVisitors.end())
        return fail(ErrorCode::NotFound, fmt::format("there is no USB device {}", id));
    found->second.controller->unplug(found->second.connector);
    m_usbVisitors.erase(found);
    return {};
}

}
