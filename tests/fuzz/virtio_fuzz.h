#pragma once

#include "tests/fakes/manual_loop.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/vmm/virtio/driver.h"

/// A driver that has gone mad: it sets the device up as it should be and then writes into rings, descriptors and
/// registers whatever the input says.
namespace fuzz {

template<typename DeviceType>
void driveVirtio(Input& input, tests::FakeBoard& board, tests::ManualLoop& loop, DeviceType& device,
    std::function<void()> const& outside, std::function<void()> const& finishWork)
{
    tests::VirtioDriver driver(board, device);
    auto const queues = driver.template common<std::uint16_t>(0x12);
    constexpr std::uint16_t size = 16;
    constexpr std::uint64_t scratch = 0x8000, scratchSize = 0x4000;
    std::uint64_t const base = driver.allocate(0x4000, 0x1000);
    auto const start = [&](std::uint64_t features) {
        if (!driver.negotiate((driver.deviceFeatures() & features) | tests::VirtioDriver::version1))
            __builtin_trap();
        for (std::uint16_t i = 0; i < queues; ++i) {
            auto const place = base + 0x400 * i;
            driver.setUpQueue(
                i, { .size = size, .descriptors = place, .driver = place + 0x100, .device = place + 0x200 });
        }
        driver.start();
    };
    start(input.take<std::uint64_t>());

    while (!input.empty()) {
        auto const queue = static_cast<std::uint16_t>(input.take<std::uint8_t>() % queues);
        switch (input.take<std::uint8_t>() % 12) {
        case 0: { // bytes for requests
            auto const bytes = input.takeBytes(input.take<std::uint8_t>());
            auto const at = scratch + input.take<std::uint16_t>() % (scratchSize - 256);
            std::copy(bytes.begin(), bytes.end(), board.ramBlock->data() + at);
            break;
        }
        case 1: // a descriptor that makes sense
        case 2:
            driver.setDescriptor(base + 0x400 * queue, input.take<std::uint8_t>() % size,
                scratch + input.take<std::uint16_t>() % scratchSize, input.take<std::uint16_t>() % 0x2000,
                input.take<std::uint8_t>() & 7, input.take<std::uint8_t>() % (size + 1));
            break;
        case 3: // and one that need not
            driver.setDescriptor(base + 0x400 * queue, input.take<std::uint8_t>() % size, input.take<std::uint64_t>(),
                input.take<std::uint32_t>(), input.take<std::uint16_t>(), input.take<std::uint16_t>());
            break;
        case 4: // an indirect table's entry
            driver.setDescriptor(scratch, input.take<std::uint8_t>() % 64,
                scratch + input.take<std::uint16_t>() % scratchSize, input.take<std::uint16_t>(),
                input.take<std::uint8_t>() & 7, input.take<std::uint8_t>());
            break;
        case 5: // anything in the rings
            board.ramBlock->data()[base + input.take<std::uint16_t>() % 0x4000] = input.take<std::uint8_t>();
            break;
        case 6:
        case 7:
            driver.makeAvailable(queue, input.take<std::uint8_t>() % (size + 1));
            driver.ring(queue);
            loop.turn();
            finishWork();
            break;
        case 8: {
            auto const kind = input.take<std::uint8_t>();
            auto const address = tests::VirtioDriver::registerPlace + input.take<std::uint16_t>() % 0x4000;
            auto value = input.take<std::uint64_t>();
            auto const data = vmm::writableBytesOf(value).first(std::size_t(1) << (kind >> 1 & 3));
            if ((kind & 1) != 0)
                board.memory.write(address, data);
            else
                board.memory.read(address, data);
            break;
        }
        case 9: outside(); break;
        case 10: {
            device.pause();
            auto const saved = device.save();
            if (!device.load(saved) || !(device.save() == saved))
                __builtin_trap();
            device.resume();
            loop.turn();
            finishWork();
            break;
        }
        default: start(input.take<std::uint64_t>());
        }
    }
    loop.turn();
    finishWork();
}

}
