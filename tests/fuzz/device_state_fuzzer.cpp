#include "tests/fakes/fake_audio.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/vmm/devices/ahci_driver.h"
#include "tests/vmm/usb/usb_guest.h"
#include "tests/vmm/usb/xhci_driver.h"
#include "vmm/backends/console.h"
#include "vmm/backends/network.h"
#include "vmm/bus/pci_bus.h"
#include "vmm/devices/fw_cfg.h"
#include "vmm/devices/i8042.h"
#include "vmm/devices/ich9_lpc.h"
#include "vmm/devices/isa_debug.h"
#include "vmm/devices/legacy_memory.h"
#include "vmm/devices/pflash_cfi.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/q35_host.h"
#include "vmm/devices/rtc_mc146818.h"
#include "vmm/devices/uart_16550.h"
#include "vmm/devices/vga.h"
#include "vmm/devices/vm_generation_id.h"
#include "vmm/usb/hid_device.h"
#include "vmm/usb/uas_storage.h"
#include "vmm/usb/usb_audio.h"
#include "vmm/usb/usb_gamepad.h"
#include "vmm/usb/usb_hub.h"
#include "vmm/usb/usb_serial.h"
#include "vmm/usb/usb_storage.h"
#include "vmm/virtio/block_device.h"
#include "vmm/virtio/console_port.h"
#include "vmm/virtio/network_card.h"
#include "vmm/virtio/random_generator.h"
#include "vmm/virtio/tablet.h"

#include <nlohmann/json.hpp>

/// A device takes over a state that somebody has changed, whole or not at all, and goes on with it: every kind but
/// those of KVM, whose chips are the kernel's, and the user network, which has a fuzzer of its own.
namespace {

using vmm::Json;

/// Other values in some of the fields, of the right type.
vmm::Section spoilt(vmm::Section const& section, fuzz::Input& input)
{
    auto state = section.toJson()["state"];
    std::vector<std::string> paths;
    auto const flat = state.flatten();
    for (auto const& [path, value] : flat.items()) {
        if (!value.is_null())
            paths.push_back(path);
    }
    for (unsigned changes = 1 + input.take<std::uint8_t>() % 8; changes > 0 && !paths.empty(); --changes) {
        auto const& path = paths[input.take<std::uint16_t>() % paths.size()];
        auto& value = state[Json::json_pointer(path)];
        if (value.is_boolean()) {
            value = !value.get<bool>();
        } else if (value.is_number()) {
            value = input.take<std::uint8_t>() % 2 == 0 ? input.take<std::uint8_t>() : input.take<std::uint32_t>();
        } else if (path.ends_with("/u64")) {
            value = std::to_string(input.take<std::uint64_t>());
        } else if (path.ends_with("/i64")) {
            value = std::to_string(input.take<std::int64_t>());
        } else if (path.ends_with("/base64")) {
            auto bytes = vmm::state::base64Decode(value.get<std::string>());
            if (bytes && !bytes->empty()) {
                (*bytes)[input.take<std::uint16_t>() % bytes->size()] = input.take<std::uint8_t>();
                value = vmm::state::base64Encode(*bytes);
            }
        }
    }
    return { section.kind(), section.version(), state };
}

void goOn(
    fuzz::Input& input, vmm::Device& device, std::function<void()> const& use = [] {})
{
    device.pause();
    while (!input.empty()) {
        auto const before = device.save();
        auto const section = spoilt(before, input);
        if (!device.load(section)) {
            if (device.save() != before)
                __builtin_trap(); // a part of it was taken
            continue;
        }
        auto const taken = device.save();
        if (!device.load(taken) || device.save() != taken)
            __builtin_trap();
        device.resume();
        use();
        device.pause();
    }
    device.reset();
    device.resume();
    use();
}

/// For what has registers on a bus.
template<typename T>
void goOnWithAccesses(fuzz::Input& input, T& device, tests::FakeTime& time)
{
    goOn(input, device, [&] {
        for (int i = 0; i < 4; ++i)
            input.access(device, T::size);
        time.advance(std::chrono::milliseconds(1));
    });
}

struct ImageSetup {
    tests::ManualLoop loop;
    vmm::InlineEngine engine;
    tests::FakeDisk disk { vmm::Bytes(64 << 10) };
    std::unique_ptr<vmm::BlockImage> image = tests::AhciSetup::openImage(engine, disk, vmm::Access::ReadWrite);
    void settle()
    {
        do {
            loop.turn();
        } while (engine.wait());
        loop.turn();
    }
};

void withSmallChip(fuzz::Input& input, unsigned which)
{
    static vmm::Console console; // its ring is large; what is left in it does not matter
    tests::FakeBoard board(64 << 10);
    tests::FakeIrq irq, other;
    switch (which) {
    case 0: {
        vmm::Uart16550 uart(irq, board.time, console);
        return goOnWithAccesses(input, uart, board.time);
    }
    case 1: {
        vmm::RtcMc146818 rtc(irq, board.time);
        return goOnWithAccesses(input, rtc, board.time);
    }
    case 2: {
        vmm::I8042 chip(irq, other, board.time, [] {});
        return goOn(input, chip, [&] {
            input.access(chip.commandWindow(), 1);
            input.access(chip.dataWindow(), 1);
            board.time.advance(std::chrono::seconds(1));
        });
    }
    case 3: {
        vmm::IsaDebugConsole debug(console);
        return goOnWithAccesses(input, debug, board.time);
    }
    case 4: {
        vmm::IsaDebugExit exit([](std::uint32_t) {});
        return goOnWithAccesses(input, exit, board.time);
    }
    case 5: {
        vmm::PvPanic panic([](std::uint8_t) {});
        return goOnWithAccesses(input, panic, board.time);
    }
    case 6: {
        vmm::FwCfg device(board.ram);
        device.addFile("bootorder", vmm::Bytes(20));
        return goOn(input, device, [&] {
            input.access(device.dataWindow(), vmm::FwCfg::dataSize);
            input.access(device.dmaWindow(), vmm::FwCfg::dmaSize);
        });
    }
    case 7: {
        auto const contents = std::move(*vmm::MemoryBlock::create("variables", 16 << 10));
        vmm::PflashCfi flash(board.mapper, 0xffc00000, *contents, vmm::PflashCfi::Writable::Yes, {});
        return goOn(input, flash, [&] { input.access(flash, flash.size()); });
    }
    default: {
        auto const made = vmm::VmGenerationId::create(board.mapper, vmm::VmGenerationId::randomId());
        return goOn(input, **made);
    }
    }
}

void withPci(fuzz::Input& input, unsigned which)
{
    static vmm::Console console;
    tests::FakeBoard board;
    std::array<tests::FakeIrq, 24> gsi;
    std::array<vmm::IrqLine*, 24> lines {};
    for (std::size_t i = 0; i < lines.size(); ++i)
        lines[i] = &gsi[i];
    auto const firmware = std::move(*vmm::MemoryBlock::create("firmware", 65536));
    auto const legacy
        = std::move(*vmm::LegacyMemory::create(board.mapper, board.memory, *board.ramBlock, firmware.get()));
    auto const video = std::move(*vmm::MemoryBlock::create("video", 1 << 20));
    ImageSetup disk;
    vmm::Ich9Lpc lpc(board.pci, board.time, lines, {});
    vmm::PciBus bus(board.ports, board.memory, lpc.pirqs());
    bus.setResetControl(lpc.resetControl());
    vmm::Q35Host host(board.pci, bus, *legacy);
    vmm::Vga vga(board.pci, board.time, *video);
    vmm::virtio::BlockDevice block(
        board.pci, disk.loop, *disk.image, { .serial = "fuzz", .queues = 2 }, [](vmm::Error const&) {});
    vmm::virtio::ConsolePort port(board.pci, disk.loop, console);
    vmm::virtio::RandomGenerator generator(board.pci, disk.loop);
    vmm::virtio::Tablet tablet(board.pci, disk.loop);
    vmm::NoNetwork network(disk.loop);
    vmm::virtio::NetworkCard card(board.pci, network, { 0x52, 0x54, 0, 1, 2, 3 });
    std::array<vmm::PciFunction*, 8> const functions { &host, &lpc, &vga, &block, &port, &generator, &tablet, &card };
    for (unsigned slot = 0; slot < functions.size(); ++slot)
        ignore(bus.plug(slot, 0, *functions[slot]));
    auto const use = [&] {
        auto value = input.take<std::uint32_t>();
        board.memory.write(input.take<std::uint32_t>(), vmm::bytesOf(value));
        board.memory.read(input.take<std::uint32_t>(), vmm::writableBytesOf(value));
        board.ports.read(input.take<std::uint16_t>(), vmm::writableBytesOf(value));
        vmm::Frame frame;
        vga.refresh(frame);
        disk.settle();
    };
    if (which == 0)
        return goOn(input, bus, use);
    goOn(input, *functions[(which - 1) % functions.size()], use);
}

void withUsb(fuzz::Input& input, unsigned which)
{
    static vmm::Console console;
    ImageSetup disk;
    auto const plugged = [&](vmm::UsbDevice& device) {
        tests::UsbGuest guest(device);
        guest.configure();
        goOn(input, device, [&] {
            static_cast<void>(guest.get({ 0x80, 0, 0, 0, 0, 0, 2, 0 }));
            disk.settle();
        });
    };
    switch (which) {
    case 0: {
        vmm::UsbStorage storage(vmm::UsbSpeed::Super, "stick", disk.loop, *disk.image, false, {});
        return plugged(storage);
    }
    case 1: {
        vmm::UasStorage storage("stick", disk.loop, *disk.image, false, {});
        return plugged(storage);
    }
    case 2: {
        vmm::UsbHub hub("hub");
        return plugged(hub);
    }
    case 3: {
        vmm::UsbKeyboard keyboard("keyboard");
        return plugged(keyboard);
    }
    case 4: {
        vmm::UsbPointer pen("pen",
            (input.take<std::uint8_t>() & 1) != 0 ? vmm::UsbPointer::Kind::Tablet : vmm::UsbPointer::Kind::Mouse);
        return plugged(pen);
    }
    case 5: {
        vmm::UsbSerial serial("line", disk.loop, console);
        return plugged(serial);
    }
    case 6: {
        tests::FakeAudio sound;
        vmm::UsbAudio audio("audio", sound);
        return plugged(audio);
    }
    case 7: {
        vmm::UsbGamepad pad("pad", [](std::uint16_t, std::uint16_t) {});
        return plugged(pad);
    }
    case 8: {
        vmm::UsbKeyboard keyboard("k"); // the controller's end pulls it out
        tests::XhciDriver d;
        if (!d.controller.plug(0, d.device) || !d.controller.plug(1, keyboard))
            __builtin_trap();
        d.start();
        static_cast<void>(d.address(1));
        return goOn(input, d.controller, [&] { d.board.time.advance(std::chrono::milliseconds(2)); });
    }
    default: {
        tests::AhciSetup s;
        return goOn(input, s.controller, [&] {
            s.write(input.take<std::uint16_t>() % 0x1000u, input.take<std::uint32_t>());
            s.settle();
        });
    }
    }
}

}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, std::min<std::size_t>(size, 4096));
    auto const kind = input.take<std::uint8_t>() % 28u;
    if (kind < 9)
        withSmallChip(input, kind);
    else if (kind < 18)
        withPci(input, kind - 9);
    else
        withUsb(input, kind - 18);
    return 0;
}
