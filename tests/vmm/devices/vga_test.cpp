#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/devices/vga.h"

#include <nlohmann/json.hpp>
#include <numeric>

using namespace vmm;

namespace {

constexpr std::uint64_t memorySize = 4 << 20, framebuffer = 0xfd000000, registersAt = 0xfe000000;
constexpr std::uint32_t black = 0xff000000;

struct Card {
    tests::FakeBoard board;
    std::unique_ptr<MemoryBlock> memory = std::move(*MemoryBlock::create("display0", memorySize));
    Vga vga { board.pci, board.time, *memory };
    Frame frame;

    void out(std::uint16_t port, std::uint8_t value) { board.ports.write(port, bytesOf(value)); }
    std::uint8_t in(std::uint16_t port)
    {
        std::uint8_t value = 0;
        board.ports.read(port, writableBytesOf(value));
        return value;
    }
    void indexed(std::uint16_t port, std::uint8_t index, std::uint8_t value)
    {
        board.ports.write(port, bytesOf(static_cast<std::uint16_t>(value << 8 | index)));
    }
    void attribute(std::uint8_t index, std::uint8_t value)
    {
        in(0x3da);
        out(0x3c0, index);
        out(0x3c0, value);
    }
    void show()
    {
        in(0x3da);
        out(0x3c0, 0x20);
    }
    void dispi(std::uint16_t index, std::uint16_t value)
    {
        board.ports.write(0x1ce, bytesOf(index));
        board.ports.write(0x1cf, bytesOf(value));
    }
    std::uint16_t dispi(std::uint16_t index)
    {
        std::uint16_t value = 0;
        board.ports.write(0x1ce, bytesOf(index));
        board.ports.read(0x1d0, writableBytesOf(value));
        return value;
    }
    void mode(std::uint16_t width, std::uint16_t height, std::uint16_t depth)
    {
        dispi(4, 0);
        dispi(1, width);
        dispi(2, height);
        dispi(3, depth);
        dispi(4, 0x41);
        show();
    }
    void poke(std::uint64_t address, std::uint8_t value) { board.memory.write(address, bytesOf(value)); }
    std::uint8_t peek(std::uint64_t address)
    {
        std::uint8_t value = 0;
        board.memory.read(address, writableBytesOf(value));
        return value;
    }
    void config(unsigned offset, std::uint32_t value)
    {
        std::lock_guard const lock(vga.mutex());
        vga.writeConfig(offset, bytesOf(value));
    }
    void mapBars()
    {
        config(0x10, framebuffer);
        config(0x18, registersAt);
        config(0x04, 0x0003);
    }
    /// As the guest would through BAR 0, which KVM logs.
    void pokeVideo(std::uint64_t offset, std::uint32_t value)
    {
        std::memcpy(memory->data() + offset, &value, sizeof value);
        for (auto& [slot, mapping] : board.mapper.mappings)
            mapping.dirty[offset / 4096 / 64] |= std::uint64_t(1) << offset / 4096 % 64;
    }
    std::uint32_t pixel(std::uint32_t x, std::uint32_t y) const
    {
        return frame.pixels.at(std::size_t(y) * frame.width + x);
    }

    /// 80 by 25 characters of 9 by 16 dots, as a VGA BIOS sets them up; color n is n times 4 of blue.
    void textMode()
    {
        out(0x3c2, 0x67);
        for (auto const& [index, value] : std::initializer_list<std::pair<std::uint8_t, std::uint8_t>> {
                 { 0, 3 }, { 1, 0 }, { 2, 3 }, { 3, 0 }, { 4, 2 } })
            indexed(0x3c4, index, value);
        for (auto const& [index, value] : std::initializer_list<std::pair<std::uint8_t, std::uint8_t>> { { 0x11, 0 },
                 { 1, 79 }, { 7, 0x1f }, { 9, 15 }, { 0x0a, 0x20 }, { 0x12, 0x8f }, { 0x13, 40 }, { 0x17, 0xa3 } })
            indexed(0x3d4, index, value);
        indexed(0x3ce, 5, 0x10);
        indexed(0x3ce, 6, 0x0e);
        for (std::uint8_t i = 0; i < 16; ++i)
            attribute(i, i);
        attribute(0x10, 0x0c);
        attribute(0x12, 0x0f);
        for (std::uint8_t i = 0; i < 16; ++i) {
            out(0x3c8, i);
            out(0x3c9, 0);
            out(0x3c9, 0);
            out(0x3c9, i);
        }
        show();
    }
    void glyph(unsigned character, unsigned line, std::uint8_t dots)
    {
        memory->data()[(character * 32 + line) * 4 + 2] = dots;
    }
    static std::uint32_t blue(unsigned index) { return black | index << 2 | index >> 4; }
};

using Rows = std::vector<RowRange>;

}

class VgaTest : public QObject {
    Q_OBJECT
private slots:
    void batteryHolds()
    {
        tests::FakeBoard board;
        auto const memory = std::move(*MemoryBlock::create("display0", memorySize));
        tests::battery<Vga>([&] { return std::make_unique<Vga>(board.pci, board.time, *memory, Vga::Legacy::No); },
            [](Vga& vga) {
                vga.portWindow().write(0x12, bytesOf(std::uint8_t(0x67)));
                vga.dispiWindow().write(0, bytesOf(std::uint16_t(1)));
                vga.dispiWindow().write(1, bytesOf(std::uint16_t(1024)));
                vga.writeConfig(4, bytesOf(std::uint16_t(3)));
            });
    }

    void anyAccessIsSafeWhileSomebodyLooks()
    {
        Card card;
        for (unsigned seed = 0; seed < 60; ++seed) {
            tests::accessAtRandom(card.vga.portWindow(), Vga::portCount, seed, 1000);
            tests::accessAtRandom(card.vga.dispiWindow(), Vga::dispiCount, seed, 40);
            tests::accessAtRandom(card.vga.memoryWindow(), VgaCore::windowSize, seed, 1000);
            card.show();
            card.vga.refresh(card.frame);
            QCOMPARE(card.frame.pixels.size(), std::size_t(card.frame.width) * card.frame.height);
        }
    }

    void stateWithAModeThatDoesNotFitIsRefused()
    {
        Card card;
        card.mode(640, 480, 32);
        auto state = Vga::State {};
        auto json = card.vga.save().toJson();
        state.registers.dispi = { 0xb0c5, 8000, 8000, 32, 0x41, 0, 8000, 8000, 0, 0 };
        json["state"]["registers"]["dispi"] = state.registers.dispi;
        QVERIFY(!card.vga.load(*Section::fromJson(json)));
    }

    void showsNothingAfterReset()
    {
        Card card;
        QCOMPARE(card.vga.refresh(card.frame), Rows({ { 0, 400 } }));
        QCOMPARE(card.pixel(0, 0), black);
        QCOMPARE(card.vga.refresh(card.frame), Rows());
    }

    void extensionIsIdentified()
    {
        Card card;
        QCOMPARE(card.dispi(0), 0xb0c5);
        QCOMPARE(card.dispi(10), memorySize >> 16);
        card.dispi(4, 2);
        QCOMPARE(card.dispi(3), 32);
        QVERIFY(card.dispi(1) >= 1920);
    }

    void changedRowsAreConverted()
    {
        Card card;
        card.mapBars();
        card.mode(1024, 768, 32); // a row is a page
        QCOMPARE(card.vga.refresh(card.frame), Rows({ { 0, 768 } }));
        QCOMPARE(card.vga.refresh(card.frame), Rows());
        card.pokeVideo(4096 * 5 + 8, 0x00123456);
        card.pokeVideo(4096 * 6, 0x00abcdef);
        card.pokeVideo(4096 * 9 + 4092, 0x00000001);
        QCOMPARE(card.vga.refresh(card.frame), Rows({ { 5, 7 }, { 9, 10 } }));
        QCOMPARE(card.pixel(2, 5), 0x00123456u);
        QCOMPARE(card.pixel(0, 6), 0x00abcdefu);
        QCOMPARE(card.pixel(1023, 9), 0x00000001u);
    }

    void eachReaderSeesEachChange()
    {
        Card card;
        card.mapBars();
        card.mode(1024, 768, 32);
        Frame other;
        card.vga.refresh(card.frame);
        card.vga.refresh(other);
        card.pokeVideo(4096 * 3, 1);
        QCOMPARE(card.vga.refresh(card.frame), Rows({ { 3, 4 } }));
        card.pokeVideo(4096 * 8, 1);
        QCOMPARE(card.vga.refresh(other), Rows({ { 3, 4 }, { 8, 9 } }));
        QCOMPARE(card.vga.refresh(card.frame), Rows({ { 8, 9 } }));
        card.vga.forget(other);
        QCOMPARE(card.vga.refresh(other), Rows({ { 0, 768 } }));
    }

    void movingTheMemoryLosesNothing()
    {
        Card card;
        card.mapBars();
        card.mode(1024, 768, 32);
        card.vga.refresh(card.frame);
        card.pokeVideo(4096 * 3, 7);
        card.config(0x10, framebuffer - (64 << 20));
        card.vga.refresh(card.frame);
        QCOMPARE(card.pixel(0, 3), 7u);
    }

    void depthsAreConverted_data()
    {
        QTest::addColumn<int>("depth");
        QTest::addColumn<quint32>("memory");
        QTest::addColumn<quint32>("pixel");
        QTest::newRow("8") << 8 << 0x05u << Card::blue(5);
        QTest::newRow("15") << 15 << 0x7c1fu << 0xffff00ffu;
        QTest::newRow("16") << 16 << 0x07e0u << 0xff00ff00u;
        QTest::newRow("24") << 24 << 0x00a1b2c3u << 0xffa1b2c3u;
        QTest::newRow("32") << 32 << 0x00a1b2c3u << 0x00a1b2c3u;
    }
    void depthsAreConverted()
    {
        QFETCH(int, depth);
        QFETCH(quint32, memory);
        QFETCH(quint32, pixel);
        Card card;
        card.textMode(); // for its palette
        card.mapBars();
        card.mode(640, 480, static_cast<std::uint16_t>(depth));
        card.pokeVideo(0, memory);
        card.vga.refresh(card.frame);
        QCOMPARE(card.frame.width, 640u);
        QCOMPARE(card.frame.height, 480u);
        QCOMPARE(card.pixel(0, 0), pixel);
    }

    void paletteChangeShows()
    {
        Card card;
        card.mode(320, 200, 8);
        card.vga.refresh(card.frame);
        card.out(0x3c8, 0);
        for (int i = 0; i < 3; ++i)
            card.out(0x3c9, 0x3f);
        QCOMPARE(card.vga.refresh(card.frame), Rows({ { 0, 200 } }));
        QCOMPARE(card.pixel(0, 0), 0xffffffffu);
    }

    void picturesPanOverALargerOne()
    {
        Card card;
        card.mapBars();
        card.mode(640, 480, 32);
        card.dispi(6, 1024);
        card.dispi(8, 10);
        card.dispi(9, 20);
        card.pokeVideo((20 * 1024 + 10) * 4, 0x42);
        card.vga.refresh(card.frame);
        QCOMPARE(card.pixel(0, 0), 0x42u);
        QCOMPARE(card.dispi(7), memorySize / 4096);
    }

    void modesNeverLeaveMemory()
    {
        Card card;
        for (std::uint16_t const depth : { 4, 8, 15, 16, 24, 32, 7, 0, 0xffff }) {
            for (std::uint16_t const size : { 0, 1, 5, 2047, 0xffff }) {
                card.mode(size, size, depth);
                card.dispi(9, 0xffff);
                card.dispi(6, size);
                card.vga.refresh(card.frame);
                QVERIFY(std::size_t(card.frame.width) * card.frame.height <= memorySize * 2);
            }
        }
    }

    void bankWindowReachesAllMemory()
    {
        Card card;
        card.mode(640, 480, 32);
        card.vga.refresh(card.frame);
        card.dispi(5, 3);
        card.poke(0xa0010, 0x99);
        QCOMPARE(card.memory->data()[0x30010], 0x99);
        QCOMPARE(card.peek(0xa0010), 0x99);
        QCOMPARE(card.vga.refresh(card.frame), Rows({ { 0x30000 / 2560, 0x30fff / 2560 + 1 } }));
    }

    void registersAreReachedThroughMemory()
    {
        Card card;
        card.mapBars();
        auto const at = [&](std::uint64_t offset) {
            std::uint32_t value = 0;
            card.board.memory.read(registersAt + offset, writableBytesOf(value));
            return value;
        };
        card.board.memory.write(registersAt + 0x502, bytesOf(std::uint16_t(800)));
        QCOMPARE(card.dispi(1), 800);
        QCOMPARE(at(0x500) & 0xffff, 0xb0c5u);
        card.board.memory.write(registersAt + 0x40e, bytesOf(std::uint16_t(0x0506)));
        QCOMPARE(card.in(0x3ce), 6);
        QCOMPARE(at(0x600), 8u);
        QCOMPARE(at(0x604), 0x1e1e1e1eu);
        card.mode(640, 480, 32);
        card.board.memory.write(registersAt + 0x604, bytesOf(std::uint32_t(0xbebebebe)));
        card.pokeVideo(0, 0x33221100);
        card.vga.refresh(card.frame);
        QCOMPARE(card.pixel(0, 0), 0x00112233u);
    }

    void monitorIsDescribed()
    {
        auto const edid = makeEdid(1280, 800);
        QCOMPARE(std::accumulate(edid.begin(), edid.end(), 0) % 256, 0);
        QCOMPARE(edid[0], 0x00);
        QCOMPARE(edid[1], 0xff);
        QCOMPARE(edid[7], 0x00);
        QCOMPARE(edid[56] | (edid[58] >> 4) << 8, 1280);
        QCOMPARE(edid[59] | (edid[61] >> 4) << 8, 800);
        Card card;
        card.mapBars();
        std::array<std::uint8_t, 8> first {};
        card.board.memory.read(registersAt, first);
        QVERIFY(std::equal(first.begin(), first.end(), edid.begin()));
    }

    void textIsDrawnWithTheGuestsFont()
    {
        Card card;
        card.textMode();
        card.glyph('A', 3, 0x81);
        card.poke(0xb8000 + 2 * 81, 'A'); // second column of the second line
        card.poke(0xb8000 + 2 * 81 + 1, 0x1e);
        card.vga.refresh(card.frame);
        QCOMPARE(card.frame.width, 720u);
        QCOMPARE(card.frame.height, 400u);
        QCOMPARE(card.pixel(9, 16 + 3), Card::blue(14));
        QCOMPARE(card.pixel(10, 16 + 3), Card::blue(1));
        QCOMPARE(card.pixel(16, 16 + 3), Card::blue(14));
        QCOMPARE(card.pixel(17, 16 + 3), Card::blue(1)); // the ninth dot
        QCOMPARE(card.pixel(9, 16 + 4), Card::blue(1));
        QCOMPARE(card.peek(0xb8000 + 2 * 81), 'A');
    }

    void onlyTheRowsOfAChangedCharacterAreReported()
    {
        Card card;
        card.textMode();
        card.glyph('B', 5, 0xff);
        card.vga.refresh(card.frame);
        card.poke(0xb8000 + 2 * 160, 'B');
        card.poke(0xb8000 + 2 * 160 + 1, 0x07);
        QCOMPARE(card.vga.refresh(card.frame), Rows({ { 37, 38 } }));
    }

    void lineGraphicsMeet()
    {
        Card card;
        card.textMode();
        card.glyph(0xc4, 0, 0xff);
        card.poke(0xb8000, 0xc4);
        card.poke(0xb8001, 0x0f);
        card.vga.refresh(card.frame);
        QCOMPARE(card.pixel(8, 0), Card::blue(15));
        card.attribute(0x10, 0x08);
        card.show();
        card.vga.refresh(card.frame);
        QCOMPARE(card.pixel(8, 0), Card::blue(0));
    }

    void cursorBlinks()
    {
        Card card;
        card.textMode();
        card.poke(0xb8003, 0x07);
        card.indexed(0x3d4, 0x0a, 13);
        card.indexed(0x3d4, 0x0b, 14);
        card.indexed(0x3d4, 0x0f, 1);
        card.vga.refresh(card.frame);
        QCOMPARE(card.pixel(9, 13), Card::blue(7));
        QCOMPARE(card.pixel(9, 12), Card::blue(0));
        QCOMPARE(card.pixel(8, 13), Card::blue(0));
        card.board.time.advance(std::chrono::milliseconds(300));
        QCOMPARE(card.vga.refresh(card.frame), Rows({ { 13, 15 } }));
        QCOMPARE(card.pixel(9, 13), Card::blue(0));
    }

    void planesAreWrittenInEachMode()
    {
        Card card;
        card.indexed(0x3c4, 2, 0x0f);
        card.indexed(0x3c4, 4, 0x06);
        card.indexed(0x3ce, 6, 0x05);
        card.indexed(0x3ce, 8, 0xff);
        auto const planes = [&](std::uint64_t address) {
            return loadBig<std::uint32_t>({ card.memory->data() + address * 4, 4 });
        };
        card.poke(0xa0000, 0xc3); // mode 0: the same to all
        QCOMPARE(planes(0), 0xc3c3c3c3u);
        card.indexed(0x3ce, 3, 0x01); // rotated
        card.poke(0xa0001, 0x03);
        QCOMPARE(planes(1), 0x81818181u);
        card.indexed(0x3ce, 3, 0x18); // XOR with what was read
        QCOMPARE(card.peek(0xa0000), 0xc3);
        card.poke(0xa0002, 0xff);
        QCOMPARE(planes(2), 0x3c3c3c3cu);
        card.indexed(0x3ce, 3, 0);
        card.indexed(0x3ce, 0, 0x05); // set/reset in planes 0 to 2
        card.indexed(0x3ce, 1, 0x07);
        card.poke(0xa0003, 0x11);
        QCOMPARE(planes(3), 0xff00ff11u);
        card.indexed(0x3ce, 1, 0);
        card.indexed(0x3ce, 5, 1); // mode 1: copies
        card.peek(0xa0003);
        card.poke(0xa0004, 0);
        QCOMPARE(planes(4), 0xff00ff11u);
        card.indexed(0x3ce, 5, 2); // mode 2: a color
        card.indexed(0x3ce, 8, 0x0f);
        card.peek(0xa0000);
        card.poke(0xa0005, 0x0a);
        QCOMPARE(planes(5), 0xc0cfc0cfu);
        card.indexed(0x3ce, 5, 3); // mode 3: set/reset where the byte says
        card.indexed(0x3ce, 8, 0xff);
        card.poke(0xa0006, 0xf0);
        QCOMPARE(planes(6), 0xf303f303u);
    }

    void readModeOneCompares()
    {
        Card card;
        card.indexed(0x3c4, 2, 0x01);
        card.indexed(0x3c4, 4, 0x06);
        card.indexed(0x3ce, 6, 0x05);
        card.indexed(0x3ce, 8, 0xff);
        card.poke(0xa0000, 0x3c);
        card.indexed(0x3ce, 5, 0x08);
        card.indexed(0x3ce, 2, 0x01);
        card.indexed(0x3ce, 7, 0x0f);
        QCOMPARE(card.peek(0xa0000), 0x3c);
        card.indexed(0x3ce, 2, 0x00);
        QCOMPARE(card.peek(0xa0000), 0xc3);
    }

    void sixteenColorsComeFromPlanes()
    {
        Card card;
        card.textMode();
        card.indexed(0x3c4, 1, 1);
        card.indexed(0x3c4, 2, 0x0a);
        card.indexed(0x3c4, 4, 0x06);
        card.indexed(0x3ce, 5, 0);
        card.indexed(0x3ce, 6, 0x05);
        card.indexed(0x3ce, 8, 0xff);
        card.indexed(0x3d4, 9, 0);
        card.indexed(0x3d4, 7, 0x3e);
        card.indexed(0x3d4, 0x12, 0xdf);
        card.indexed(0x3d4, 0x17, 0xe3);
        card.indexed(0x3d4, 0x18, 0xff);
        card.indexed(0x3d4, 9, 0x40);
        card.poke(0xa0000 + 80, 0x40);
        card.vga.refresh(card.frame);
        QCOMPARE(card.frame.width, 640u);
        QCOMPARE(card.frame.height, 480u);
        QCOMPARE(card.pixel(1, 1), Card::blue(10));
        QCOMPARE(card.pixel(0, 1), Card::blue(0));
    }

    void mode13hIsPacked()
    {
        Card card;
        card.textMode();
        card.indexed(0x3c4, 2, 0x0f);
        card.indexed(0x3c4, 4, 0x0e);
        card.indexed(0x3ce, 5, 0x40);
        card.indexed(0x3ce, 6, 0x05);
        card.indexed(0x3d4, 9, 0x41);
        card.poke(0xa0000 + 320 * 199 + 319, 9);
        card.vga.refresh(card.frame);
        QCOMPARE(card.frame.width, 320u);
        QCOMPARE(card.frame.height, 200u);
        QCOMPARE(card.pixel(319, 199), Card::blue(9));
    }

    void protectedTimingStays()
    {
        Card card;
        card.textMode();
        card.indexed(0x3d4, 0x11, 0x80);
        card.indexed(0x3d4, 1, 39);
        card.out(0x3d4, 1);
        QCOMPARE(card.in(0x3d5), 79);
    }

    void paletteReadsBack()
    {
        Card card;
        card.out(0x3c8, 0xff);
        for (std::uint8_t i = 0; i < 6; ++i)
            card.out(0x3c9, i);
        card.out(0x3c7, 0xff);
        for (std::uint8_t i = 0; i < 6; ++i)
            QCOMPARE(card.in(0x3c9), i);
    }

    void beamComesAndGoes()
    {
        Card card;
        card.out(0x3c2, 0x01);
        auto const first = card.in(0x3da);
        QVERIFY(first != card.in(0x3da));
    }

    void secondCardHasNoPorts()
    {
        tests::FakeBoard board;
        auto const memory = std::move(*MemoryBlock::create("display1", memorySize));
        Vga const vga(board.pci, board.time, *memory, Vga::Legacy::No);
        std::uint8_t value = 0;
        QVERIFY(!board.ports.read(0x3c0, writableBytesOf(value)));
        QVERIFY(!board.memory.read(0xa0000, writableBytesOf(value)));
    }
};

REGISTER_SUITE(VgaTest);
#include "vga_test.moc"
