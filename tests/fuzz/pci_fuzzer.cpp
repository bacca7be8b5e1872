#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/devices/q35_host.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

namespace {

/// A function with every kind of BAR.
class Everything final : public vmm::PciFunction {
public:
    struct State {
        static constexpr std::string_view kind = "fuzzed";
        static constexpr unsigned version = 1;
        vmm::PciState pci;
        static void describe(auto& v, auto& s) { v.field("pci", s.pci); }
    };
    Everything(vmm::PciServices const& services, vmm::MemoryBlock& block)
        : PciFunction(services, { .vendor = 1, .device = 2, .hasInterruptPin = true })
    {
        addBar(0, BarKind::Port, 64);
        addBar(1, BarKind::Memory32, 16);
        addRamBar(2, BarKind::Prefetchable64, block, vmm::MemoryMapper::DirtyLog::On);
        addMsix(4, 5);
    }
    void reset() override { resetPci(); }
    vmm::Section save() const override { return vmm::state::save(State { pciState() }); }
    vmm::Result<> load(vmm::Section const& section) override
    {
        auto const next = TRY(vmm::state::load<State>(section));
        TRY(checkPci(next.pci));
        loadPci(next.pci);
        return {};
    }
    std::vector<vmm::Doorbell> doorbells(unsigned) override { return { { 4, 4, 1, 3 } }; }
    using PciFunction::sendMsix;
    using PciFunction::setInterrupt;
};

}

/// Configuration accesses both ways, accesses to whatever they have mapped, interrupts, and saved states in between.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeBoard board;
    tests::FakeIrq irq;
    auto const block = std::move(*vmm::MemoryBlock::create("video", 65536));
    auto const firmware = std::move(*vmm::MemoryBlock::create("firmware", 65536));
    auto const legacy
        = std::move(*vmm::LegacyMemory::create(board.mapper, board.memory, *board.ramBlock, firmware.get()));
    vmm::PciBus bus(board.ports, board.memory, { &irq, &irq, &irq, &irq, &irq, &irq, &irq, &irq });
    vmm::Q35Host host(board.pci, bus, *legacy);
    Everything function(board.pci, *block);
    ignore(bus.plug(0, 0, host));
    ignore(bus.plug(1, 0, function));
    host.setUpLikeFirmware();
    while (!input.empty()) {
        auto const choice = input.take<std::uint8_t>();
        switch (choice % 8) {
        case 0: function.sendMsix(input.take<std::uint8_t>() % 8); break;
        case 1: function.setInterrupt(choice & 0x80); break;
        case 2:
            if (!function.load(function.save()) || !host.load(host.save()) || !bus.load(bus.save()))
                __builtin_trap();
            break;
        case 3: input.access(bus, 8); break;
        case 4: { // as a driver does it
            auto const offset = input.take<std::uint8_t>() & 0xfc;
            board.ports.write(0xcf8, vmm::bytesOf(std::uint32_t(0x80000000 | (choice >> 7) << 11 | offset)));
            board.ports.write(0xcfc, vmm::bytesOf(input.take<std::uint32_t>()));
            break;
        }
        case 5: board.ports.write(input.take<std::uint16_t>(), vmm::bytesOf(input.take<std::uint32_t>())); break;
        default: {
            auto const address = input.take<std::uint32_t>();
            board.memory.write(address, vmm::bytesOf(input.take<std::uint64_t>()));
            std::uint64_t read = 0;
            board.memory.read(address, vmm::writableBytesOf(read));
        }
        }
    }
    return 0;
}
