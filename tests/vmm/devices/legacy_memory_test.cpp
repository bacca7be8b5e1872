#include "tests/fakes/fake_board.h"
#include "tests/support/suite.h"
#include "vmm/devices/legacy_memory.h"
#include "vmm/memory/layout.h"

using namespace vmm;

namespace {

struct Fixture : tests::FakeBoard {
    explicit Fixture(std::uint64_t firmwareSize = 0x40000)
    {
        if (firmwareSize == 0)
            return;
        firmware = std::move(*MemoryBlock::create("firmware", firmwareSize));
        for (std::uint64_t i = 0; i < firmwareSize; i += 4096)
            firmware->data()[i] = static_cast<std::uint8_t>(i >> 12);
    }
    std::unique_ptr<LegacyMemory> make()
    {
        return std::move(*LegacyMemory::create(mapper, memory, *ramBlock, firmware.get()));
    }

    /// What an access sees: the slot that covers the address.
    tests::FakeMapper::Mapping const* at(std::uint64_t address)
    {
        for (auto const& [slot, mapping] : mapper.mappings) {
            if (address >= mapping.address && address - mapping.address < mapping.size)
                return &mapping;
        }
        return nullptr;
    }
    std::uint8_t* host(std::uint64_t address)
    {
        auto const* mapping = at(address);
        return mapping ? mapping->block->data() + mapping->offset + (address - mapping->address) : nullptr;
    }
    std::unique_ptr<MemoryBlock> firmware;
};

LegacyMemory::Modes all(ShadowMode mode)
{
    LegacyMemory::Modes modes;
    modes.fill(mode);
    return modes;
}

}

class LegacyMemoryTest : public QObject {
    Q_OBJECT
private slots:
    void startsWithTheEndOfTheFirmware()
    {
        Fixture f;
        auto const legacy = f.make();
        QCOMPARE(f.host(0xe0000), f.firmware->data() + 0x20000);
        QCOMPARE(f.host(0xfffff), f.firmware->data() + 0x3ffff);
        QCOMPARE(f.host(0xfffc0000), f.firmware->data());
        QVERIFY(f.at(0xe0000)->access == MemoryMapper::Access::ReadOnly);
        QVERIFY(!f.at(0xc0000));
        QVERIFY(!f.at(0x100000));
    }

    void smallFirmwareIsSeenInTheLastSegment()
    {
        Fixture f(0x10000);
        auto const legacy = f.make();
        QVERIFY(!f.at(0xe0000));
        QCOMPARE(f.host(0xf0000), f.firmware->data());
    }

    void shadowedMemoryIsOneSlot()
    {
        Fixture f;
        auto const legacy = f.make();
        legacy->apply(all({ true, true }));
        QCOMPARE(f.mapper.mappings.size(), 2u); // and the flash
        QCOMPARE(f.host(0xc0000), f.ramBlock->data() + 0xc0000);
        QCOMPARE(f.at(0xc0000)->size, 0x40000u);
        QVERIFY(f.at(0xc0000)->access == MemoryMapper::Access::ReadWrite);
    }

    void readOnlyShadowDropsWrites()
    {
        Fixture f;
        auto const legacy = f.make();
        legacy->apply(all({ true, false }));
        QVERIFY(f.at(0xf0000)->access == MemoryMapper::Access::ReadOnly);
        QCOMPARE(f.host(0xf0000), f.ramBlock->data() + 0xf0000);
        QVERIFY(!f.memory.write(0xf0000, bytesOf(std::uint8_t(1))));
    }

    void writesGoToRamWhileReadsSeeRom()
    {
        Fixture f;
        auto const legacy = f.make();
        legacy->apply(all({ false, true }));
        QCOMPARE(f.host(0xe1000), f.firmware->data() + 0x21000);
        QVERIFY(f.memory.write(0xe1000, bytesOf(std::uint8_t(0x77))));
        QCOMPARE(f.ramBlock->data()[0xe1000], 0x77);
        std::uint8_t byte = 0;
        QVERIFY(f.memory.read(0xe1000, writableBytesOf(byte)));
        QCOMPARE(byte, 0x21);
        QVERIFY(f.memory.read(0xc0000, writableBytesOf(byte)));
        QCOMPARE(byte, 0xff);
    }

    void segmentsAreSwitchedOneByOne()
    {
        Fixture f;
        auto const legacy = f.make();
        LegacyMemory::Modes modes;
        modes[1] = { true, true };  // C4000
        modes[12] = { true, true }; // F0000
        legacy->apply(modes);
        QVERIFY(!f.at(0xc0000));
        QCOMPARE(f.at(0xc4000)->size, 0x4000u);
        QVERIFY(!f.at(0xc8000));
        QCOMPARE(f.host(0xec000), f.firmware->data() + 0x2c000);
        QCOMPARE(f.host(0xf0000), f.ramBlock->data() + 0xf0000);
    }

    void directBootNeedsNoFirmware()
    {
        Fixture f(0);
        auto const legacy = f.make();
        QVERIFY(f.mapper.mappings.empty());
        legacy->apply(all({ true, true }));
        QCOMPARE(f.mapper.mappings.size(), 1u);
    }

    void nothingIsLeftBehind()
    {
        Fixture f;
        auto legacy = f.make();
        legacy->apply(all({ false, true }));
        legacy.reset();
        QVERIFY(f.mapper.mappings.empty());
        QVERIFY(!f.memory.write(0xe0000, bytesOf(std::uint8_t(1))));
    }

    void unsuitableSizesAreRefused()
    {
        Fixture tooLarge(layout::flashMaximum + 4096), tooSmall(4096);
        QVERIFY(!LegacyMemory::create(tooLarge.mapper, tooLarge.memory, *tooLarge.ramBlock, tooLarge.firmware.get()));
        QVERIFY(!LegacyMemory::create(tooSmall.mapper, tooSmall.memory, *tooSmall.ramBlock, tooSmall.firmware.get()));
        auto const tiny = std::move(*MemoryBlock::create("tiny", 4096));
        QVERIFY(!LegacyMemory::create(tooSmall.mapper, tooSmall.memory, *tiny, nullptr));
    }
};

REGISTER_SUITE(LegacyMemoryTest);
#include "legacy_memory_test.moc"
