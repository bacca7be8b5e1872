#include "tests/fakes/fake_block_file.h"
#include "tests/fakes/manual_loop.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/vmm/usb/usb_guest.h"
#include "vmm/block/io_engine.h"
#include "vmm/usb/usb_storage.h"

/// A driver that has gone mad: any wrappers, data of any length and way, resets, cancellation, host errors.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::ManualLoop loop;
    vmm::InlineEngine engine;
    tests::FakeDisk disk { vmm::Bytes(64 << 10) };
    auto const image = std::move(*vmm::BlockImage::open(engine, std::make_unique<tests::FakeBlockFile>(disk),
        { .access = vmm::Access::ReadWrite, .format = vmm::ImageFormat::Raw }, {}));
    vmm::UsbStorage storage(vmm::UsbSpeed::Super, "stick", loop, *image, false, {});
    auto const settle = [&] {
        do {
            loop.turn();
        } while (engine.wait());
        loop.turn();
    };
    tests::UsbGuest guest(storage);
    guest.configure();
    for (unsigned steps = 0; !input.empty() && steps < 512; ++steps) {
        // What the image does for the last transfer ends before the next one.
        settle();
        switch (input.take<std::uint8_t>() % 10) {
        case 0: {
            auto const bytes = input.takeBytes(input.take<std::uint8_t>() % 40u);
            guest.write(0x02, { bytes.begin(), bytes.end() });
            break;
        }
        case 1: guest.put({ 0x21, 0xff, 0, 0, 0, 0, 0, 0 }); break;
        case 2:
            guest.put({ 2, 1, 0, 0, static_cast<std::uint8_t>(input.take<std::uint8_t>() % 2 ? 0x81 : 2), 0, 0, 0 });
            break;
        case 3:
            disk.fault
                = (input.take<std::uint8_t>() & 1) != 0 ? tests::FakeDisk::Fault::Fail : tests::FakeDisk::Fault::None;
            disk.faultAt = 0;
            disk.faultStays = true;
            break;
        case 4: {                                        // as a pause and a restore do
            guest.put({ 0x21, 0xfe, 0, 0, 0, 0, 0, 0 }); // takes back what waits
            auto const saved = storage.save();
            if (!storage.load(saved) || !(storage.save() == saved))
                __builtin_trap();
            storage.resume();
            break;
        }
        case 5:
        case 6: guest.read(0x81, input.take<std::uint16_t>() % 8192u); break;
        case 7: guest.write(0x02, vmm::Bytes(input.take<std::uint16_t>() % 8192u)); break;
        default: { // a command that makes sense, nearly
            static constexpr std::uint8_t operations[] { 0x00, 0x03, 0x12, 0x1a, 0x25, 0x28, 0x2a, 0x35, 0x88, 0x9e };
            vmm::Bytes wrapper(31);
            vmm::storeLittle(vmm::ByteSpan(wrapper).first(4), 0x43425355u);
            vmm::storeLittle(vmm::ByteSpan(wrapper).subspan(8, 4), input.take<std::uint32_t>() % 8192u);
            wrapper[12] = static_cast<std::uint8_t>(input.take<std::uint8_t>() % 2 ? 0x80 : 0);
            wrapper[14] = 10;
            wrapper[15] = operations[input.take<std::uint8_t>() % sizeof operations];
            auto const bytes = input.takeBytes(9);
            std::copy(bytes.begin(), bytes.end(), wrapper.begin() + 16);
            guest.write(0x02, wrapper);
        }
        }
    }
    settle();
    return 0;
}
