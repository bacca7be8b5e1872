#include "app/usb/usb_rules.h"
#include "tests/fuzz/accepted.h"
#include "vmm/usb/host_usb_device.h"

#include <cstdlib>

/// What a rules file, a person, a saved state and a device say of USB devices.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    vmm::HostUsbInfo device;
    device.vendor = 0x0951;
    device.product = 0x1666;
    device.interfaceClasses = { 8 };
    device.serial = vmm::plainUsbText(text, 256);
    if (device.serial.size() > 256 || vmm::plainUsbText(device.serial, 256) != device.serial)
        __builtin_trap();
    if (auto const rules = app::usbRulesFromText(text)) {
        fuzz::accept();
        if (auto const again = app::usbRulesFromText(app::usbRulesToText(*rules)); !again || *again != *rules)
            __builtin_trap();
        // No file has every device attached.
        auto const* const rule = rules->ruleFor(device);
        if (rule && (!rule->match.fits(device) || (rule->match.isEmpty() && rule->action == app::UsbAction::Attach)))
            __builtin_trap();
    }
    if (auto const match = app::parseUsbMatch(text)) {
        fuzz::accept();
        if (auto const again = app::parseUsbMatch(app::usbMatchText(*match)); !again || *again != *match)
            __builtin_trap();
    }
    if (auto const trace = vmm::HostUsbTrace::in(text)) {
        fuzz::accept();
        if (trace->port.size() + trace->serial.size() > size)
            __builtin_trap();
    }
    return 0;
}
