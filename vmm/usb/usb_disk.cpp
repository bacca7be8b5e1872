#include "vmm/usb/usb_disk.h"

#include "vmm/base/log.h"

#include <algorithm>
#include <utility>

namespace vmm {

namespace {

/// Hosts want twelve hexadecimal digits at least, and nothing else (Universal Serial Bus Mass Storage Class, Bulk-Only
/// Transport, Revision 1.0, 4.1.1 "Serial Number").
std::string serialOf(std::string_view id)
{
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string serial;
    for (char const c : id) {
        serial.push_back(digits[static_cast<unsigned char>(c) >> 4]);
        serial.push_back(digits[static_cast<unsigned char>(c) & 0xf]);
    }
    serial.resize(std::max<std::size_t>(serial.size(), 12), '0');
    return serial;
}

UsbDescriptors descriptorsOf(UsbSpeed speed, std::string const& id, Bytes const& interface)
{
    bool const super = speed == UsbSpeed::Super;
    UsbDescriptors descriptors;
    descriptors.device = { 18, 1, 0x00, static_cast<std::uint8_t>(super ? 3 : 2), 0, 0, 0,
        static_cast<std::uint8_t>(super ? 9 : 64), 0x27, 0x06, 0x10, 0x00, 0x00, 0x00, 1, 2, 3, 1 };
    descriptors.configuration = usbConfiguration(1, 0, { interface });
    descriptors.strings = { "Chronovisor", "USB Stick", serialOf(id) };
    if (super) // BOS with the USB 2.0 extension and the SuperSpeed capability
        descriptors.capabilities = { 5, 15, 22, 0, 2, 7, 16, 2, 0, 0, 0, 0, 10, 16, 3, 0, 0x0e, 0x00, 3, 0, 0, 0 };
    return descriptors;
}

}

UsbDisk::UsbDisk(UsbSpeed speed, std::string_view transport, std::string const& id, Bytes const& interface,
    EventLoop& loop, BlockImage& image, bool readOnly, HostError hostError)
    : EmulatedUsbDevice(speed, std::string(transport) + " " + id, descriptorsOf(speed, id, interface)),
      m_disk(image, id.substr(0, 20), readOnly),
      m_loop(loop),
      m_hostError(std::move(hostError))
{
}

void UsbDisk::submitWork(BlockRequest& request)
{
    m_loop.post([this, &request] { m_disk.image().submit(request); });
}

void UsbDisk::reportHostError(Error const& error)
{
    if (std::exchange(m_errorReported, true))
        return; // a guest that gives up and asks again would fill the log
    log(LogLevel::Warning, "usb-storage", "{}", error.message());
    if (m_hostError)
        m_hostError(error);
}

}
