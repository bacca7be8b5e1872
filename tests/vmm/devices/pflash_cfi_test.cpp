#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/devices/pflash_cfi.h"

using namespace vmm;

namespace {

constexpr GuestAddress address = 0xffc00000;
constexpr std::uint64_t chipSize = 64 << 10;

std::unique_ptr<MemoryBlock> makeContents()
{
    auto block = std::move(*MemoryBlock::create("variables", chipSize));
    std::memset(block->data(), 0xff, chipSize);
    return block;
}

struct Chip {
    explicit Chip(PflashCfi::Writable writable = PflashCfi::Writable::Yes)
        : flash(mapper, address, *contents, writable, [this](std::uint64_t offset, ConstByteSpan bytes) {
              stored.emplace_back(offset, Bytes(bytes.begin(), bytes.end()));
          })
    {
    }
    std::uint8_t in(std::uint64_t offset)
    {
        std::uint8_t value = 0;
        flash.read(offset, { &value, 1 });
        return value;
    }
    void out(std::uint64_t offset, std::uint8_t value) { flash.write(offset, { &value, 1 }); }
    void program(std::uint64_t offset, std::string_view text)
    {
        for (char const c : text) {
            out(offset, 0x10);
            out(offset++, static_cast<std::uint8_t>(c));
        }
        out(offset - 1, 0xff);
    }
    std::string array(std::uint64_t offset, std::size_t length)
    {
        return { reinterpret_cast<char const*>(contents->data()) + offset, length };
    }

    tests::FakeMapper mapper;
    std::unique_ptr<MemoryBlock> contents = makeContents();
    std::vector<std::pair<std::uint64_t, Bytes>> stored;
    PflashCfi flash;
};

}

class PflashCfiTest : public QObject {
    Q_OBJECT
private slots:
    void batteryHolds()
    {
        tests::FakeMapper mapper;
        auto const contents = makeContents();
        tests::battery<PflashCfi>(
            [&] { return std::make_unique<PflashCfi>(mapper, address, *contents, PflashCfi::Writable::Yes); },
            [](PflashCfi& flash) {
                for (std::uint8_t const value : { 0xe8, 0x03, 0x11 })
                    flash.write(0x100, { &value, 1 });
            });
    }

    void anyAccessIsSafe()
    {
        Chip chip;
        for (unsigned seed = 0; seed < 5; ++seed)
            tests::accessAtRandom(chip.flash, chipSize, seed);
    }

    void arrayIsMappedReadOnlyUntilACommand()
    {
        Chip chip;
        QCOMPARE(chip.mapper.mappings.size(), 1u);
        QCOMPARE(chip.mapper.mappings.begin()->second.address, address);
        QVERIFY(chip.mapper.mappings.begin()->second.access == MemoryMapper::Access::ReadOnly);
        chip.out(0, 0x70);
        QVERIFY(chip.mapper.mappings.empty());
        chip.out(0, 0xff);
        QCOMPARE(chip.mapper.mappings.size(), 1u);
    }

    void isFlashToOvmf()
    {
        // How OVMF tells flash from RAM and ROM: at a byte that is neither command nor status.
        Chip chip;
        QCOMPARE(chip.in(0x20), 0xff);
        chip.out(0x20, 0x50);
        QCOMPARE(chip.in(0x20), 0x00);
        chip.out(0x20, 0x70);
        QCOMPARE(chip.in(0x20), 0x00);
        chip.out(0x20, 0xff);
        QCOMPARE(chip.in(0x20), 0xff);
    }

    void variableIsStoredWhenItIsWhole()
    {
        Chip chip;
        chip.program(0x1234, "name=value");
        QCOMPARE(chip.array(0x1234, 10), std::string("name=value"));
        QCOMPARE(chip.stored.size(), 1u);
        QCOMPARE(chip.stored[0].first, 0x1234u);
        QCOMPARE(chip.stored[0].second.size(), 10u);
    }

    void whatTheHostRefusedIsStoredWhenTheMachineResumes()
    {
        Chip chip;
        chip.program(0x2000, "one");
        chip.flash.pause();
        chip.flash.storeAgain();
        chip.stored.clear();
        chip.flash.resume();
        QCOMPARE(chip.stored.size(), 1u);
        QCOMPARE(chip.stored[0].first, 0u);
        QCOMPARE(chip.stored[0].second.size(), chipSize);
        QCOMPARE(chip.stored[0].second[0x2000], 'o');
        chip.flash.pause();
        chip.flash.resume();
        QCOMPARE(chip.stored.size(), 1u);
    }

    void storesKeepTheOrderOfChanges()
    {
        Chip chip;
        for (auto const offset : { 0x2000u, 0x1000u, 0x2000u }) {
            chip.out(offset, 0x40);
            chip.out(offset, 0x0f);
        }
        chip.flash.pause();
        QCOMPARE(chip.stored.size(), 3u);
        QCOMPARE(chip.stored[0].first, 0x2000u);
        QCOMPARE(chip.stored[1].first, 0x1000u);
        QCOMPARE(chip.stored[2].first, 0x2000u);
    }

    void programmingOnlyClearsBits()
    {
        Chip chip;
        chip.program(0, "\xf0");
        chip.program(0, "\x3c");
        QCOMPARE(chip.array(0, 1), std::string("\x30"));
    }

    void erasingFillsOneSector()
    {
        Chip chip;
        chip.program(0x0fff, "abc");
        chip.program(0x2000, "x");
        chip.out(0x1800, 0x20);
        chip.out(0x1800, 0xd0);
        QCOMPARE(chip.in(0), 0x80);
        chip.out(0, 0xff);
        QCOMPARE(chip.array(0x0fff, 3), std::string("a\xff\xff"));
        QCOMPARE(chip.array(0x2000, 1), std::string("x"));
        QCOMPARE(chip.stored.back().first, 0x1000u);
        QCOMPARE(chip.stored.back().second.size(), 4096u);
    }

    void eraseWithoutConfirmationIsAnError()
    {
        Chip chip;
        chip.program(0, "a");
        chip.out(0, 0x20);
        chip.out(0, 0xff);
        QCOMPARE(chip.in(0), 0xb0);
        QCOMPARE(chip.array(0, 1), std::string("a"));
    }

    void bufferedWriteHappensAtItsConfirmation()
    {
        Chip chip;
        chip.out(0x300, 0xe8);
        QCOMPARE(chip.in(0x300), 0x80);
        chip.out(0x300, 3);
        for (std::uint64_t i = 0; i < 4; ++i)
            chip.out(0x300 + i, static_cast<std::uint8_t>('a' + i));
        QCOMPARE(chip.array(0x300, 4), std::string("\xff\xff\xff\xff"));
        chip.out(0x300, 0xd0);
        QCOMPARE(chip.array(0x300, 4), std::string("abcd"));
    }

    void bufferedWriteOutOfOrderIsAnError()
    {
        Chip chip;
        chip.out(0x300, 0xe8);
        chip.out(0x300, 3);
        chip.out(0x300, 'a');
        chip.out(0x500, 'b');
        QCOMPARE(chip.in(0), 0xb0);
        chip.out(0x300, 0xff);
        QCOMPARE(chip.array(0x300, 1), std::string("\xff"));
    }

    void codeCannotBeChanged()
    {
        Chip chip(PflashCfi::Writable::No);
        chip.out(0, 0x10);
        chip.out(0, 0x00);
        QCOMPARE(chip.in(0), 0x90);
        chip.out(0, 0x50);
        chip.out(0, 0x20);
        chip.out(0, 0xd0);
        QCOMPARE(chip.in(0), 0xa0);
        QCOMPARE(chip.array(0, 1), std::string("\xff"));
        QVERIFY(chip.stored.empty());
    }

    void queryDescribesTheSectors()
    {
        Chip chip;
        chip.out(0x55, 0x98);
        QCOMPARE(chip.in(0x10), 'Q');
        QCOMPARE(chip.in(0x12), 'Y');
        QCOMPARE(chip.in(0x27), 16);
        QCOMPARE(chip.in(0x2d) + 1, 16);
        QCOMPARE(chip.in(0x2f), 0x10);
        chip.out(0, 0x90);
        QCOMPARE(chip.in(2), 0);
    }
};

REGISTER_SUITE(PflashCfiTest);
#include "pflash_cfi_test.moc"
