#include "tests/fakes/fake_block_file.h"
#include "tests/fakes/manual_loop.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/vmm/usb/uas_initiator.h"

/// An initiator that has gone mad: any information units, transfers on any stream, resets, cancellation, host errors.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::ManualLoop loop;
    vmm::InlineEngine engine;
    tests::FakeDisk disk { vmm::Bytes(64 << 10) };
    auto const image = std::move(*vmm::BlockImage::open(engine, std::make_unique<tests::FakeBlockFile>(disk),
        { .access = vmm::Access::ReadWrite, .format = vmm::ImageFormat::Raw }, {}));
    vmm::UasStorage storage("stick", loop, *image, false, {});
    auto const settle = [&] {
        do {
            loop.turn();
        } while (engine.wait());
        loop.turn();
    };
    {
        tests::UasInitiator initiator(storage);
        for (unsigned steps = 0; !input.empty() && steps < 512; ++steps) {
            auto const tag = static_cast<std::uint8_t>(1 + input.take<std::uint8_t>() % 4);
            switch (input.take<std::uint8_t>() % 12) {
            case 0: {
                auto const bytes = input.takeBytes(input.take<std::uint8_t>() % 40u);
                initiator.unit({ bytes.begin(), bytes.end() });
                break;
            }
            case 1: {
                vmm::Bytes unit(16);
                unit[0] = 5;
                unit[3] = tag;
                unit[4] = input.take<std::uint8_t>();
                unit[7] = input.take<std::uint8_t>() % 5;
                initiator.unit(unit);
                break;
            }
            case 2: initiator.cancelAll(); break;
            case 3: settle(); break;
            case 4:
                disk.fault = (input.take<std::uint8_t>() & 1) != 0 ? tests::FakeDisk::Fault::Fail
                                                                   : tests::FakeDisk::Fault::None;
                disk.faultAt = 0;
                disk.faultStays = true;
                break;
            case 5: { // as a pause and a restore do
                initiator.cancelAll();
                settle();
                initiator.cancelAll();
                auto const saved = storage.save();
                if (initiator.anyPending() || !storage.load(saved) || !(storage.save() == saved))
                    __builtin_trap();
                storage.resume();
                break;
            }
            case 6: initiator.status(tag); break;
            case 7: initiator.read(tag, input.take<std::uint16_t>() % 8192u); break;
            case 8: initiator.write(tag, vmm::Bytes(input.take<std::uint16_t>() % 8192u)); break;
            default: { // a command that makes sense, nearly
                static constexpr std::uint8_t operations[] { 0x00, 0x03, 0x12, 0x1a, 0x25, 0x28, 0x2a, 0x35, 0x88,
                    0x9e };
                auto const operation = operations[input.take<std::uint8_t>() % sizeof operations];
                vmm::Bytes cdb { operation };
                auto const bytes = input.takeBytes(15);
                cdb.insert(cdb.end(), bytes.begin(), bytes.end());
                initiator.command(tag, cdb, input.take<std::uint8_t>() % 8 == 0 ? 1 : 0);
            }
            }
        }
        initiator.cancelAll();
        settle();
        initiator.cancelAll();
    }
    return 0;
}
