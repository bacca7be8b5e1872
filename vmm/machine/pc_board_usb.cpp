#include "vmm/machine/pc_board_disk.h"
#include "vmm/usb/hid_device.h"
#include "vmm/usb/usb_hub.h"
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
        return stick = std::find_if(
                   stick, m_config.disks.end(), [](DiskConfig const& disk) { return disk.bus == DiskBus::Usb; });
    };
    for (auto const& config : m_config.usbControllers) {
        std::vector<UsbDevice*> devices;
        std::vector<std::string> ids;
        for (auto const& device : m_config.usbDevices) {
            auto const first = &config == &m_config.usbControllers.front();
            if (device.parent != config.id && !(device.parent.empty() && first))
                continue;
            devices.push_back(TRY(addUsbDevice(device)));
            ids.push_back(device.id);
        }
        for (; devices.size() < XhciController::connectorCount && nextStick() != m_config.disks.end(); ++stick) {
            devices.push_back(TRY(addUsbStick(*stick)));
            ids.push_back(stick->id);
        }
        auto& controller = keep(config.id, std::make_unique<XhciController>(m_services, m_time));
        auto const slot = TRY(plug(controller));
        for (unsigned connector = 0; connector < devices.size(); ++connector) {
            TRY_WITHIN(config.id, controller.plug(connector, *devices[connector]));
            m_bootPaths[ids[connector]]
                = fmt::format("/pci@i0cf8/usb@{}/storage@{:x}/channel@0/disk@0,0", slot, connector + 1);
        }
    }
    return {};
}

Result<UsbDevice*> PcBoard::addUsbDevice(UsbDeviceConfig const& config)
{
    if (config.kind == UsbKind::Hub)
        return addUsbHub(config);
    if (config.kind == UsbKind::Keyboard) {
        auto& keyboard = keep(config.id, std::make_unique<UsbKeyboard>(config.id));
        m_keyboards.push_back(&keyboard);
        return &keyboard;
    }
    bool const isMouse = config.kind == UsbKind::Mouse;
    auto const kind = isMouse ? UsbPointer::Kind::Mouse : UsbPointer::Kind::Tablet;
    auto& pointer = keep(config.id, std::make_unique<UsbPointer>(config.id, kind, m_events.pointerModeChanged));
    (isMouse ? m_mice : m_tablets).push_back(&pointer);
    return &pointer;
}

Result<UsbDevice*> PcBoard::addUsbHub(UsbDeviceConfig const& config)
{
    std::vector<UsbDevice*> devices;
    for (auto const& device : m_config.usbDevices) {
        if (device.parent == config.id)
            devices.push_back(TRY(addUsbDevice(device)));
    }
    auto& hub = keep(config.id, std::make_unique<UsbHub>(config.id));
    for (unsigned i = 0; i < devices.size(); ++i)
        TRY_WITHIN(config.id, hub.plug(i + 1, *devices[i]));
    return &hub;
}

Result<UsbDevice*> PcBoard::addUsbStick(DiskConfig const& config)
{
    auto& disk = *TRY(openDisk(config));
    auto& stick = keep(config.id,
        std::make_unique<UsbStorage>(UsbSpeed::Super, config.id, disk.thread->loop(), *disk.file->image,
            config.readOnly,
            [this, id = config.id](Error const& error) { m_events.hostFailed(Error(error).within(id)); }));
    disk.stick = &stick;
    m_sticks.push_back(&stick);
    return &stick;
}

}
