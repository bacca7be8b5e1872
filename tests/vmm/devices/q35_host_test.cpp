#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/devices/q35_host.h"
#include "vmm/memory/layout.h"

using namespace vmm;

namespace {

struct Fixture : tests::FakeBoard {
    Fixture() { ignore(bus.plug(0, 0, host)); }
    template<typename T>
    void write(unsigned offset, T value)
    {
        host.writeConfig(offset, bytesOf(value));
    }
    std::uint32_t read(std::uint64_t address)
    {
        std::uint32_t value = 0;
        memory.read(address, writableBytesOf(value));
        return value;
    }
    tests::FakeIrq irq;
    PciBus bus { ports, memory, { &irq, &irq, &irq, &irq, &irq, &irq, &irq, &irq } };
    std::unique_ptr<LegacyMemory> legacy = std::move(*LegacyMemory::create(mapper, memory, *ramBlock, nullptr));
    Q35Host host { pci, bus, *legacy };
};

}

class Q35HostTest : public QObject {
    Q_OBJECT
private slots:
    void ecamGoesWhereFirmwarePutsIt()
    {
        Fixture f;
        QVERIFY(!f.host.ecamBase());
        QCOMPARE(f.read(layout::ecam), 0xffffffffu);
        f.write<std::uint32_t>(0x64, 0);
        f.write<std::uint32_t>(0x60, 0xe0000001);
        QCOMPARE(f.host.ecamBase().value_or(0), 0xe0000000u);
        QCOMPARE(f.read(0xe0000000), 0x29c08086u);
        f.write<std::uint32_t>(0x64, 1);
        QCOMPARE(f.read(0x1e0000000), 0x29c08086u);
        QCOMPARE(f.read(0xe0000000), 0xffffffffu);
        f.write<std::uint8_t>(0x60, 0);
        QCOMPARE(f.read(0x1e0000000), 0xffffffffu);
    }

    void ecamLengthDecidesTheNumberOfBuses()
    {
        Fixture f;
        f.write<std::uint32_t>(0x60, 0xe4000005); // 64 buses
        QCOMPARE(f.host.ecamBase().value_or(0), 0xe4000000u);
        QCOMPARE(f.read(0xe4000000), 0x29c08086u);
        f.write<std::uint32_t>(0x60, 0xe4000007); // reserved
        QVERIFY(!f.host.ecamBase());
    }

    void ecamCanBeMovedThroughItself()
    {
        Fixture f;
        f.host.setUpLikeFirmware();
        QVERIFY(f.memory.write(layout::ecam + 0x60, bytesOf(std::uint32_t(0xd0000001))));
        QCOMPARE(f.read(0xd0000000), 0x29c08086u);
        QCOMPARE(f.read(layout::ecam), 0xffffffffu);
    }

    void shadowFollowsThePamRegisters()
    {
        Fixture f;
        f.write<std::uint8_t>(0x90, 0xff); // F0000, the low half is reserved
        f.write<std::uint8_t>(0x91, 0x10); // C4000: RAM, read-only
        QCOMPARE(f.mapper.mappings.size(), 2u);
        auto mapping = f.mapper.mappings.begin();
        QCOMPARE(mapping->second.address, 0xc4000u);
        QVERIFY(mapping->second.access == MemoryMapper::Access::ReadOnly);
        ++mapping;
        QCOMPARE(mapping->second.address, 0xf0000u);
        QCOMPARE(mapping->second.size, 0x10000u);
        f.host.reset();
        QVERIFY(f.mapper.mappings.empty());
    }

    void systemManagementMemoryStaysClosed()
    {
        Fixture f;
        f.write<std::uint8_t>(0x9d, 0x4a);
        std::uint8_t value = 0;
        f.host.readConfig(0x9d, writableBytesOf(value));
        QCOMPARE(value, 0x12);
    }

    void stateBringsEcamAndShadowBack()
    {
        Fixture f, g;
        f.write<std::uint32_t>(0x60, 0xe0000001);
        f.write<std::uint8_t>(0x96, 0x33);
        REQUIRE_OK(g.host.load(f.host.save()));
        QCOMPARE(g.read(0xe0000000), 0x29c08086u);
        QCOMPARE(g.mapper.mappings.size(), 1u);
        QCOMPARE(g.mapper.mappings.begin()->second.address, 0xe8000u);
    }

    void battery()
    {
        static Fixture f;
        tests::battery<Q35Host>([] { return std::make_unique<Q35Host>(f.pci, f.bus, *f.legacy); },
            [](Q35Host& host) { host.setUpLikeFirmware(); });
    }
};

REGISTER_SUITE(Q35HostTest);
#include "q35_host_test.moc"
