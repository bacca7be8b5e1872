#include "tests/fuzz/fuzz_input.h"
#include "tests/vmm/usb/xhci_driver.h"
#include "vmm/usb/hid_device.h"
#include "vmm/usb/usb_hub.h"

/// A driver that has gone mad, and devices, one of them behind a hub, that may do anything they are allowed to:
/// registers, rings, contexts, commands, transfers that end in any way and at any time, being plugged, paused and
/// restored.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using D = tests::XhciDriver;
    fuzz::Input input(data, size);
    tests::FakeUsbDevice fast(vmm::UsbSpeed::Super, "fast"), behind(vmm::UsbSpeed::High, "behind");
    vmm::UsbKeyboard keyboard("k");
    vmm::UsbHub hub("h");
    D d((size & 2) != 0 ? 15 : 8);
    constexpr unsigned port = 2; // of the hub
    if (!d.controller.plug(0, d.device) || !d.controller.plug(1, fast) || !d.controller.plug(2, keyboard)
        || !d.controller.plug(3, hub) || !hub.plug(port, behind))
        __builtin_trap();
    d.start();
    std::vector<D::TransferRing> rings { d.address(1), d.address(d.controller.connectors() + 2, 4), d.address(3, 1) };
    rings.push_back(d.addEndpoint(1, 3, tests::usb::BulkIn));
    rings.push_back(d.addEndpoint(1, 4, tests::usb::IsochOut, 3));
    rings.push_back(d.addEndpoint(2, 5, tests::usb::BulkIn, 0, 2));
    rings.push_back(d.addEndpoint(3, 3, tests::usb::InterruptIn, 3));
    rings.push_back(d.address(4));
    constexpr std::uint8_t power = 8, reset = 4; // features of the hub's port
    d.request(rings.back(), { 0, 9, 1, 0, 0, 0, 0, 0 }, 0, 0);
    for (auto const feature : { power, reset })
        d.request(rings.back(), { 0x23, 3, feature, 0, port, 0, 0, 0 }, 0, 0);
    rings.push_back(d.addEndpoint(4, 3, tests::usb::InterruptIn, 3));
    rings.push_back(d.address(4, 3, port));
    rings.push_back(d.addEndpoint(5, 3, tests::usb::BulkIn));
    if (d.lastCode != tests::usb::Success || !hub.child(port))
        __builtin_trap();
    d.tellsDequeue = (size & 1) != 0;
    std::array<vmm::Device*, 2> const parts { &hub, &d.controller }; // as a machine has them
    auto const end = [&](tests::FakeUsbDevice& device) {
        auto const status = static_cast<vmm::UsbStatus>(input.take<std::uint8_t>() % 5);
        if (device.waiting.empty() || !device.isPlugged())
            return;
        // A device may only say Cancelled of what was.
        bool const cancelled = status == vmm::UsbStatus::Cancelled && !device.cancelsLater;
        device.end(cancelled ? vmm::UsbStatus::Stall : status, input.take<std::uint16_t>());
    };
    auto const settle = [&] {
        for (auto* const device : { &d.device, &fast, &behind }) {
            device->cancelsLater = false;
            while (!device->waiting.empty() && device->isPlugged())
                device->end(vmm::UsbStatus::Stall);
        }
    };
    for (unsigned steps = 0; !input.empty() && steps < 4096; ++steps) {
        auto& ring = rings[input.take<std::uint8_t>() % rings.size()];
        switch (input.take<std::uint8_t>() % 18) {
        case 0: d.write(input.take<std::uint16_t>() % 0x2200u & ~3u, input.take<std::uint32_t>()); break;
        case 1: d.read(input.take<std::uint16_t>() % 0x2200u); break;
        case 2: { // anything in the structures
            auto const bytes = input.takeBytes(input.take<std::uint8_t>() % 64u);
            std::copy(bytes.begin(), bytes.end(), d.ram(0x1000 + input.take<std::uint16_t>() % 0xfff0u));
            break;
        }
        case 3: {
            auto const slot = input.take<std::uint8_t>() % 7u, endpoint = input.take<std::uint8_t>() % 8u;
            d.postCommand(input.take<std::uint8_t>() % 26u, D::inputContext, D::slotBits(slot, endpoint),
                input.take<std::uint8_t>() % 4u << 16);
            break;
        }
        case 4:
            d.postCommand(D::SetDequeue, ring.base | 1, D::slotBits(ring.slot, ring.endpoint));
            ring.index = 0;
            ring.cycle = 1;
            break;
        case 5: d.postCommand(D::StopEndpoint, 0, D::slotBits(ring.slot, ring.endpoint)); break;
        case 6:
        case 7: {
            auto const type = input.take<std::uint8_t>() % 9u;
            d.put(ring, type, 0xf000 + input.take<std::uint8_t>(), input.take<std::uint16_t>(),
                input.take<std::uint16_t>() & ~(0x3fu << 10) & ~1u);
            break;
        }
        case 8:
            ring.stream = input.take<std::uint8_t>() % 9u;
            d.kick(ring);
            break;
        case 9: d.request(ring, { 0x80, 6, 0, 1, 0, 0, 64, 0 }, 0xf000, input.take<std::uint8_t>()); break;
        case 10: end(d.device); break;
        case 11: end(fast); break;
        case 12: d.board.time.advance(std::chrono::microseconds(16 * input.take<std::uint16_t>())); break;
        case 13: {
            settle();
            for (auto* const part : parts)
                part->pause();
            for (auto* const part : parts) {
                auto const saved = part->save();
                if (!part->load(saved) || !(part->save() == saved))
                    __builtin_trap();
            }
            for (auto* const part : parts)
                part->resume();
            break;
        }
        case 14:
            settle();
            if (d.device.isPlugged())
                d.controller.unplug(0);
            else
                vmm::ignore(d.controller.plug(0, d.device));
            break;
        case 15: end(behind); break;
        case 16:
            settle();
            if (behind.isPlugged())
                hub.unplug(port);
            else
                vmm::ignore(hub.plug(port, behind));
            break;
        default:
            d.device.cancelsLater = fast.cancelsLater = behind.cancelsLater = (input.take<std::uint8_t>() & 1) != 0;
            keyboard.key({ input.take<std::uint8_t>(), true });
            d.event();
            break;
        }
    }
    settle();
    return 0;
}
