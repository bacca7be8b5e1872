#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/bus/pci_bus.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <nlohmann/json.hpp>
#include <random>

using namespace vmm;

namespace {

constexpr unsigned msixCapability = 0x40;

/// Registers in BAR 0 (ports) and BAR 1 (memory, with a doorbell), RAM in BAR 2/3, MSI-X in BAR 4, and a ROM.
class Sample final : public PciFunction {
public:
    struct State {
        static constexpr std::string_view kind = "pci-sample";
        static constexpr unsigned version = 1;
        std::uint32_t value = 0;
        PciState pci;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("value", s.value);
            v.field("pci", s.pci);
        }
    };

    Sample(PciServices const& services, MemoryBlock& block, MemoryBlock& rom)
        : PciFunction(services,
            { .vendor = 0x1234,
                .device = 0x5678,
                .classCode = 0x028000,
                .revision = 7,
                .subsystemVendor = 0x1af4,
                .subsystem = 0x1100,
                .hasInterruptPin = true })
    {
        addMsix(4, 70);
        addBar(0, BarKind::Port, 32);
        addBar(1, BarKind::Memory32, 4096);
        addRamBar(2, BarKind::Prefetchable64, block, MemoryMapper::DirtyLog::On);
        addRom(rom);
        vendorCapability = addCapability(
            0x09, std::array<std::uint8_t, 6> { 8, 1, 2, 3, 4, 5 }, std::array<std::uint8_t, 4> { 0, 0, 0xf0, 0xff });
    }
    void reset() override
    {
        m_state = {};
        resetPci();
    }
    Result<> canSave() const override { return {}; }
    Section save() const override
    {
        auto state = m_state;
        state.pci = pciState();
        return state::save(state);
    }
    Result<> load(Section const& section) override
    {
        auto const next = TRY(state::load<State>(section));
        TRY(checkPci(next.pci));
        loadPci(next.pci);
        m_state = next;
        return {};
    }
    void readBar(unsigned index, std::uint64_t offset, ByteSpan data) override
    {
        lastBar = index;
        lastOffset = offset;
        storeLittle(data, m_state.value);
    }
    void writeBar(unsigned index, std::uint64_t offset, ConstByteSpan data) override
    {
        lastBar = index;
        lastOffset = offset;
        m_state.value = loadLittle<std::uint32_t>(data);
    }
    std::vector<Doorbell> doorbells(unsigned index) override
    {
        if (index != 1)
            return {};
        return { { 0x10, 2, std::nullopt, 77 } };
    }
    void configWritten(unsigned offset, unsigned) override { lastConfigWrite = offset; }

    using PciFunction::msixEnabled;
    using PciFunction::ramBarSlot;
    using PciFunction::sendMsix;
    using PciFunction::setInterrupt;
    unsigned vendorCapability = 0, lastBar = 99, lastConfigWrite = 0;
    std::uint64_t lastOffset = 0;

private:
    State m_state;
};

struct Fixture : tests::FakeBoard {
    Fixture()
    {
        std::array<IrqLine*, 8> lines {};
        for (std::size_t i = 0; i < lines.size(); ++i)
            lines[i] = &pirqs[i];
        bus = std::make_unique<PciBus>(ports, memory, lines);
        ignore(bus->plug(3, 0, sample));
    }
    template<typename T>
    T config(unsigned offset, unsigned slot = 3)
    {
        T value {};
        ports.write(0xcf8, bytesOf(0x80000000u | slot << 11 | (offset & 0xfc)));
        ports.read(0xcfc + offset % 4, writableBytesOf(value));
        return value;
    }
    template<typename T>
    void setConfig(unsigned offset, T value, unsigned slot = 3)
    {
        ports.write(0xcf8, bytesOf(0x80000000u | slot << 11 | (offset & 0xfc)));
        ports.write(0xcfc + offset % 4, bytesOf(value));
    }
    template<typename T>
    T read(Bus& on, std::uint64_t address)
    {
        T value {};
        on.read(address, writableBytesOf(value));
        return value;
    }
    void enableMsix(std::uint16_t control = 0x8000)
    {
        setConfig<std::uint32_t>(0x20, 0xc0010000);
        setConfig<std::uint16_t>(4, 0x6);
        setConfig<std::uint16_t>(msixCapability + 2, control);
    }
    void setVector(unsigned vector, std::uint64_t address, std::uint32_t data, std::uint32_t control)
    {
        memory.write(0xc0010000 + vector * 16, bytesOf(address));
        memory.write(0xc0010000 + vector * 16 + 8, bytesOf(data));
        memory.write(0xc0010000 + vector * 16 + 12, bytesOf(control));
    }
    std::array<tests::FakeIrq, 8> pirqs;
    std::unique_ptr<MemoryBlock> block = std::move(*MemoryBlock::create("video", 0x10000));
    std::unique_ptr<MemoryBlock> rom = std::move(*MemoryBlock::create("rom", 0x8000));
    Sample sample { pci, *block, *rom };
    std::unique_ptr<PciBus> bus;
};

}

class PciTest : public QObject {
    Q_OBJECT
private slots:
    void identityIsReadWithEveryWidth()
    {
        Fixture f;
        QCOMPARE(f.config<std::uint32_t>(0), 0x56781234u);
        QCOMPARE(f.config<std::uint16_t>(2), 0x5678);
        QCOMPARE(f.config<std::uint8_t>(3), 0x56);
        QCOMPARE(f.config<std::uint32_t>(8), 0x02800007u);
        QCOMPARE(f.config<std::uint32_t>(0x2c), 0x11001af4u);
        QCOMPARE(f.config<std::uint8_t>(0x3d), 1);
        f.setConfig<std::uint32_t>(0, 0);
        QCOMPARE(f.config<std::uint32_t>(0), 0x56781234u);
    }

    void emptySlotsReadAllOnes()
    {
        Fixture f;
        QCOMPARE(f.config<std::uint32_t>(0, 4), 0xffffffffu);
        f.ports.write(0xcf8, bytesOf(0x80010000u | 3 << 11)); // bus 1
        QCOMPARE(f.read<std::uint32_t>(f.ports, 0xcfc), 0xffffffffu);
        f.ports.write(0xcf8, bytesOf(0x00000000u | 3 << 11)); // not enabled
        QCOMPARE(f.read<std::uint32_t>(f.ports, 0xcfc), 0xffffffffu);
    }

    void addressPortTakesOnlyDwords()
    {
        Fixture f;
        f.ports.write(0xcf8, bytesOf(0xffffffffu));
        QCOMPARE(f.read<std::uint32_t>(f.ports, 0xcf8), 0x80fffffcu);
        f.ports.write(0xcf8, bytesOf(std::uint16_t(0)));
        QCOMPARE(f.read<std::uint32_t>(f.ports, 0xcf8), 0x80fffffcu);
    }

    void barsTellTheirSize()
    {
        Fixture f;
        for (unsigned bar = 0; bar < 6; ++bar)
            f.setConfig<std::uint32_t>(0x10 + 4 * bar, 0xffffffff);
        QCOMPARE(f.config<std::uint32_t>(0x10), 0xffffffe1u);
        QCOMPARE(f.config<std::uint32_t>(0x14), 0xfffff000u);
        QCOMPARE(f.config<std::uint32_t>(0x18), 0xffff000cu);
        QCOMPARE(f.config<std::uint32_t>(0x1c), 0xffffffffu);
        QCOMPARE(f.config<std::uint32_t>(0x20), 0xfffff000u);
        QCOMPARE(f.config<std::uint32_t>(0x24), 0u);
    }

    void barsAnswerWhileDecodingIsOn()
    {
        Fixture f;
        f.setConfig<std::uint32_t>(0x10, 0xc000);
        f.setConfig<std::uint32_t>(0x14, 0xc0000000);
        f.memory.write(0xc0000004, bytesOf(0x11u));
        QCOMPARE(f.sample.lastBar, 99u);
        f.setConfig<std::uint16_t>(4, 2);
        f.memory.write(0xc0000004, bytesOf(0x11u));
        QCOMPARE(f.sample.lastBar, 1u);
        QCOMPARE(f.sample.lastOffset, 4u);
        QCOMPARE(f.read<std::uint32_t>(f.ports, 0xc01c), 0xffffffffu);
        f.setConfig<std::uint16_t>(4, 3);
        QCOMPARE(f.read<std::uint32_t>(f.ports, 0xc01c), 0x11u);
        QCOMPARE(f.sample.lastBar, 0u);
        QCOMPARE(f.sample.lastOffset, 0x1cu);
        f.setConfig<std::uint32_t>(0x14, 0xd0000000);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xc0000000), 0xffffffffu);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xd0000000), 0x11u);
    }

    void placesThatCannotBeAreNotTaken()
    {
        Fixture f;
        f.setConfig<std::uint16_t>(4, 3);
        for (std::uint32_t const address : { 0u, 0xffffffffu }) {
            for (unsigned bar = 0; bar < 6; ++bar)
                f.setConfig<std::uint32_t>(0x10 + 4 * bar, address);
            for (std::uint64_t const place : { std::uint64_t(0), std::uint64_t(0xfffff000), ~std::uint64_t(0xfff) }) {
                QCOMPARE(f.read<std::uint32_t>(f.memory, place), 0xffffffffu);
                QCOMPARE(f.read<std::uint32_t>(f.ports, place & 0xffe0), 0xffffffffu);
            }
            QVERIFY(f.mapper.mappings.empty() && f.doorbells.doorbells.empty());
        }
        f.setConfig<std::uint32_t>(0x10, 0x10000); // ports end at FFFF
        QCOMPARE(f.read<std::uint32_t>(f.ports, 0), 0xffffffffu);
        QCOMPARE(f.sample.lastBar, 99u);
    }

    void overlappingBarsShareWithoutHarm()
    {
        Fixture f;
        f.setConfig<std::uint16_t>(4, 3);
        f.setConfig<std::uint32_t>(0x14, 0xc0000000);
        f.setConfig<std::uint32_t>(0x20, 0xc0000000);
        f.setConfig<std::uint32_t>(0x18, 0xc0000000);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xc0000000), 0u); // BAR 1 was there first
        QCOMPARE(f.sample.lastBar, 1u);
        f.setConfig<std::uint32_t>(0x14, 0xd0000000);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xc000000c), 1u); // the mask of MSI-X vector 0
    }

    void ramBarIsMappedWhole()
    {
        Fixture f;
        f.setConfig<std::uint32_t>(0x18, 0x80000000);
        f.setConfig<std::uint32_t>(0x1c, 0x12);
        QVERIFY(!f.sample.ramBarSlot(2));
        f.setConfig<std::uint16_t>(4, 2);
        QVERIFY(f.sample.ramBarSlot(2));
        auto const& mapping = f.mapper.mappings.at(*f.sample.ramBarSlot(2));
        QCOMPARE(mapping.address, 0x1280000000u);
        QCOMPARE(mapping.size, 0x10000u);
        f.setConfig<std::uint16_t>(4, 0);
        QVERIFY(f.mapper.mappings.empty());
    }

    void romIsMappedWhileItIsEnabled()
    {
        Fixture f;
        f.setConfig<std::uint32_t>(0x30, 0xfffffffe);
        QCOMPARE(f.config<std::uint32_t>(0x30), 0xffff8000u);
        f.setConfig<std::uint32_t>(0x30, 0xc0100000);
        f.setConfig<std::uint16_t>(4, 2);
        QVERIFY(f.mapper.mappings.empty());
        f.setConfig<std::uint32_t>(0x30, 0xc0100001);
        QCOMPARE(f.mapper.mappings.size(), 1u);
        auto const& mapping = f.mapper.mappings.begin()->second;
        QCOMPARE(mapping.address, 0xc0100000u);
        QCOMPARE(mapping.size, 0x8000u);
        QCOMPARE(mapping.access, MemoryMapper::Access::ReadOnly);
        f.setConfig<std::uint16_t>(4, 0);
        QVERIFY(f.mapper.mappings.empty());
    }

    void doorbellsFollowTheBar()
    {
        Fixture f;
        using Space = DoorbellRegistry::Space;
        f.setConfig<std::uint32_t>(0x14, 0xc0000000);
        f.setConfig<std::uint16_t>(4, 2);
        QCOMPARE(f.doorbells.doorbells.count({ Space::Memory, 0xc0000010 }), 1u);
        f.setConfig<std::uint32_t>(0x14, 0xc0100000);
        QCOMPARE(f.doorbells.doorbells.count({ Space::Memory, 0xc0100010 }), 1u);
        QCOMPARE(f.doorbells.doorbells.size(), 1u);
        f.sample.reset();
        QVERIFY(f.doorbells.doorbells.empty());
    }

    void capabilitiesAreALinkedList()
    {
        Fixture f;
        QVERIFY(f.config<std::uint8_t>(6) & 0x10);
        QCOMPARE(f.config<std::uint8_t>(0x34), msixCapability);
        QCOMPARE(f.config<std::uint16_t>(msixCapability), std::uint16_t(f.sample.vendorCapability << 8 | 0x11));
        QCOMPARE(f.config<std::uint16_t>(msixCapability + 2), 69);
        QCOMPARE(f.config<std::uint32_t>(msixCapability + 4), 4u);
        QCOMPARE(f.config<std::uint32_t>(msixCapability + 8), 0x804u);
        QCOMPARE(f.config<std::uint32_t>(f.sample.vendorCapability), 0x01080009u);
        f.setConfig<std::uint32_t>(f.sample.vendorCapability + 4, 0xffffffff);
        QCOMPARE(f.config<std::uint32_t>(f.sample.vendorCapability + 4), 0x0504fff2u);
        QCOMPARE(f.sample.lastConfigWrite, f.sample.vendorCapability + 4);
    }

    void ecamReachesTheExtendedSpace()
    {
        Fixture f;
        f.bus->moveEcam(0xb0000000, 256);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xb0000000 + (3 << 15)), 0x56781234u);
        QCOMPARE(f.read<std::uint64_t>(f.memory, 0xb0000000 + (3 << 15)), 0x0010000056781234u);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xb0000000 + (3 << 15) + 0x100), 0u);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xb0100000 + (3 << 15)), 0xffffffffu);
        f.memory.write(0xb0000000 + (3 << 15) + 4, bytesOf(std::uint16_t(0xffff)));
        QCOMPARE(f.config<std::uint16_t>(4), 0x0547);
        f.memory.write(0xb0000000 + (3 << 15) + 0x100, bytesOf(0x5au));
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xb0000000 + (3 << 15) + 0x100), 0u);
        f.bus->moveEcam(std::nullopt, 0);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xb0000000 + (3 << 15)), 0xffffffffu);
    }

    void interruptIsRoutedAndShared()
    {
        Fixture f;
        Sample neighbour(f.pci, *f.block, *f.rom);
        REQUIRE_OK(f.bus->plug(7, 0, neighbour));
        QVERIFY(!f.bus->plug(7, 0, neighbour));
        QVERIFY(!f.bus->plug(32, 0, neighbour));
        auto& line = f.pirqs[PciBus::pirqOf(3, 0)];
        QCOMPARE(PciBus::pirqOf(3, 0), PciBus::pirqOf(7, 0));
        QCOMPARE(PciBus::pirqOf(3, 0), 7u);
        QCOMPARE(PciBus::pirqOf(31, 0), 0u);
        f.sample.setInterrupt(true);
        neighbour.setInterrupt(true);
        f.sample.setInterrupt(false);
        QVERIFY(line.level);
        QCOMPARE(line.rises, 1);
        neighbour.setInterrupt(false);
        QVERIFY(!line.level);
    }

    void interruptDisableGatesTheLineOnly()
    {
        Fixture f;
        auto& line = f.pirqs[7];
        f.sample.setInterrupt(true);
        f.setConfig<std::uint16_t>(4, 0x400);
        QVERIFY(!line.level);
        QVERIFY(f.config<std::uint16_t>(6) & 8);
        f.setConfig<std::uint16_t>(4, 0);
        QVERIFY(line.level);
        f.enableMsix();
        QVERIFY(!line.level);
    }

    void multifunctionBitNeedsTwoFunctions()
    {
        Fixture f;
        QCOMPARE(f.config<std::uint8_t>(0x0e), 0);
        Sample second(f.pci, *f.block, *f.rom);
        REQUIRE_OK(f.bus->plug(3, 5, second));
        QCOMPARE(f.config<std::uint8_t>(0x0e), 0x80);
        f.sample.reset();
        QCOMPARE(f.config<std::uint8_t>(0x0e), 0x80);
    }

    void msixSendsWhatTheTableSays()
    {
        Fixture f;
        f.sample.sendMsix(2);
        f.enableMsix();
        f.setVector(2, 0xfee01000, 0x41, 0);
        f.sample.sendMsix(2);
        f.sample.sendMsix(70); // has none
        QCOMPARE(f.msi.sent, (std::vector<MsiMessage> { { 0xfee01000, 0x41 } }));
        QCOMPARE(f.read<std::uint64_t>(f.memory, 0xc0010020), 0xfee01000u);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xc0010028), 0x41u);
    }

    void maskedVectorWaits()
    {
        Fixture f;
        f.enableMsix();
        f.setVector(65, 0xfee00000, 1, 1);
        f.sample.sendMsix(65);
        QVERIFY(f.msi.sent.empty());
        QCOMPARE(f.read<std::uint64_t>(f.memory, 0xc0010000 + 0x808), 2u);
        f.setVector(65, 0xfee00000, 9, 0);
        QCOMPARE(f.msi.sent, (std::vector<MsiMessage> { { 0xfee00000, 9 } }));
        QCOMPARE(f.read<std::uint64_t>(f.memory, 0xc0010000 + 0x808), 0u);
    }

    void functionMaskHoldsAllVectors()
    {
        Fixture f;
        f.enableMsix(0xc000);
        f.setVector(0, 0xfee00000, 5, 0);
        f.sample.sendMsix(0);
        QVERIFY(f.msi.sent.empty());
        f.setConfig<std::uint16_t>(msixCapability + 2, 0x8000);
        QCOMPARE(f.msi.sent.size(), 1u);
    }

    void noMessageWithoutBusMaster()
    {
        Fixture f;
        f.enableMsix();
        f.setVector(0, 0xfee00000, 5, 0);
        f.setConfig<std::uint16_t>(4, 2);
        f.sample.sendMsix(0);
        QVERIFY(f.msi.sent.empty());
    }

    void wideWritesOverTwoEntriesAreTaken()
    {
        Fixture f;
        f.enableMsix();
        f.memory.write(0xc0010000 + 12, bytesOf(std::uint64_t(0xfee02000) << 32));
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xc0010000 + 12), 0u);
        QCOMPARE(f.read<std::uint32_t>(f.memory, 0xc0010000 + 16), 0xfee02000u);
    }

    void stateWithMappedBarsComesBack()
    {
        Fixture f, g;
        f.setConfig<std::uint32_t>(0x14, 0xc0000000);
        f.setConfig<std::uint32_t>(0x18, 0xd0000000);
        f.enableMsix();
        f.setVector(3, 0xfee00000, 0x33, 0);
        f.setVector(4, 0xfee00000, 0x44, 1);
        f.sample.sendMsix(4);
        f.memory.write(0xc0000000, bytesOf(0xabcdu));
        f.sample.setInterrupt(true);

        REQUIRE_OK(g.sample.load(f.sample.save()));
        QCOMPARE(g.read<std::uint32_t>(g.memory, 0xc0000000), 0xabcdu);
        QCOMPARE(g.mapper.mappings.size(), 1u);
        QCOMPARE(g.doorbells.doorbells.size(), 1u);
        g.sample.sendMsix(3);
        g.setVector(4, 0xfee00000, 0x44, 0);
        QCOMPARE(g.msi.sent, (std::vector<MsiMessage> { { 0xfee00000, 0x33 }, { 0xfee00000, 0x44 } }));
        g.setConfig<std::uint16_t>(msixCapability + 2, 0);
        QVERIFY(g.pirqs[7].level);
    }

    void stateOfAnotherFunctionIsRefused()
    {
        Fixture f;
        auto json = f.sample.save().toJson();
        auto& pci = json["state"]["pci"];
        auto const good = pci;
        auto const refused = [&] { return !f.sample.load(*Section::fromJson(json)); };
        auto config = *state::base64Decode(pci["config"]["base64"].get<std::string>());
        config[0] = 0x99;
        pci["config"]["base64"] = state::base64Encode(config);
        QVERIFY(refused());
        pci = good;
        pci["msix"].erase(0);
        QVERIFY(refused());
        pci = good;
        pci["pending"][1]["u64"] = "64"; // vector 70
        QVERIFY(refused());
        pci["pending"] = Json::array();
        QVERIFY(refused());
        pci = good;
        QVERIFY(!refused());
    }

    void battery()
    {
        static Fixture f;
        tests::battery<Sample>([] { return std::make_unique<Sample>(f.pci, *f.block, *f.rom); },
            [](Sample& sample) {
                sample.writeConfig(0x14, bytesOf(0xe0000000u));
                sample.writeConfig(4, bytesOf(std::uint16_t(6)));
                sample.setInterrupt(true);
            });
    }

    void batteryOfTheBus()
    {
        static tests::FakeBoard board;
        static tests::FakeIrq irq;
        static std::array<IrqLine*, 8> const lines { &irq, &irq, &irq, &irq, &irq, &irq, &irq, &irq };
        tests::battery<PciBus>([] { return std::make_unique<PciBus>(board.ports, board.memory, lines); },
            [](PciBus& bus) { bus.write(0, bytesOf(0x80001000u)); });
    }

    void anyAccessIsSafe()
    {
        Fixture f;
        f.bus->moveEcam(0xb0000000, 256);
        tests::accessAtRandom(*f.bus, 8, 1);
        std::mt19937 random(2);
        for (int i = 0; i < 20000; ++i) {
            auto const value = static_cast<std::uint32_t>(random());
            auto const offset = static_cast<unsigned>(random() % 0x60) & ~3u;
            f.setConfig<std::uint32_t>(offset, value);
            f.memory.write(0xc0010000 + random() % 4096, bytesOf(value));
            if (i % 16 == 0)
                f.enableMsix();
            f.sample.sendMsix(static_cast<unsigned>(random() % 80));
            f.read<std::uint64_t>(f.memory, 0xb0000000 + random() % 0x10000000);
        }
    }
};

REGISTER_SUITE(PciTest);
#include "pci_test.moc"
