#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/devices/rtc_mc146818.h"

#include <nlohmann/json.hpp>

using namespace vmm;
using namespace std::chrono_literals;

namespace {

struct Chip {
    tests::FakeIrq irq;
    tests::FakeTime time;
    RtcMc146818 rtc { irq, time };

    std::uint8_t in(std::uint8_t index)
    {
        rtc.write(0, { &index, 1 });
        std::uint8_t value = 0;
        rtc.read(1, { &value, 1 });
        return value;
    }
    void out(std::uint8_t index, std::uint8_t value)
    {
        rtc.write(0, { &index, 1 });
        rtc.write(1, { &value, 1 });
    }
    /// Year to second, as the registers show them.
    QByteArray now()
    {
        QByteArray text;
        for (std::uint8_t const index : { 0x32, 9, 8, 7, 4, 2, 0 })
            text += static_cast<char>(in(index));
        return text.toHex();
    }
};

}

class RtcMc146818Test : public QObject {
    Q_OBJECT
private slots:
    void batteryHolds()
    {
        tests::FakeIrq irq;
        tests::FakeTime time;
        tests::battery<RtcMc146818>([&] { return std::make_unique<RtcMc146818>(irq, time); },
            [](RtcMc146818& rtc) {
                rtc.setByte(0x40, 7);
                std::uint8_t const writes[][2] { { 0, 4 }, { 1, 0x21 }, { 2, 5 }, { 3, 9 }, { 0, 11 }, { 1, 0x42 },
                    { 0, 10 }, { 1, 0x2f }, { 0, 13 } };
                for (auto const& [port, value] : writes)
                    rtc.write(port, { &value, 1 });
            },
            { "a", "cmos", "extended", "offset", "lastSecond" });
    }

    void anyAccessIsSafe()
    {
        Chip chip;
        for (unsigned seed = 0; seed < 10; ++seed) {
            tests::accessAtRandom(chip.rtc, RtcMc146818::size, seed, 2000);
            chip.time.advance(100ms);
        }
    }

    void showsTheTimeOfDay()
    {
        Chip chip; // 1'700'000'000 is 14 November 2023, 22:13:20, a Tuesday
        QCOMPARE(chip.now(), QByteArray("20231114221320"));
        QCOMPARE(chip.in(6), 3);
        chip.out(11, 0x00); // 12 hours
        QCOMPARE(chip.in(4), 0x90);
        chip.out(11, 0x06); // binary
        QCOMPARE(chip.now(), QByteArray("14170b0e160d14"));
        chip.time.advance(41s);
        QCOMPARE(chip.in(0), 1);
        QCOMPARE(chip.in(2), 14);
    }

    void guestSetsTheClock()
    {
        Chip chip;
        chip.out(11, 0x82);
        std::pair<std::uint8_t, std::uint8_t> const registers[] { { 0x32, 0x19 }, { 9, 0x99 }, { 8, 0x12 }, { 7, 0x31 },
            { 4, 0x23 }, { 2, 0x59 }, { 0, 0x58 } };
        for (auto const& [index, value] : registers)
            chip.out(index, value);
        chip.time.advance(10s);
        QCOMPARE(chip.now(), QByteArray("19991231235958"));
        chip.out(11, 0x02);
        chip.time.advance(2s);
        QCOMPARE(chip.now(), QByteArray("20000101000000"));
    }

    void dividerResetDelaysTheFirstUpdateByHalfASecond()
    {
        Chip chip;
        chip.out(10, 0x76);
        chip.out(0, 0x30);
        chip.time.advance(3s);
        QCOMPARE(chip.in(0), 0x30);
        chip.out(10, 0x26);
        chip.time.advance(499ms);
        QCOMPARE(chip.in(0), 0x30);
        chip.time.advance(2ms);
        QCOMPARE(chip.in(0), 0x31);
    }

    void impossibleDatesDoNoHarm()
    {
        Chip chip;
        for (unsigned index = 0; index < 10; ++index)
            chip.out(static_cast<std::uint8_t>(index), 0xff);
        chip.out(0x32, 0xff);
        chip.out(11, 0x06);
        chip.out(0x32, 0xff);
        chip.time.advance(1s);
        QCOMPARE(chip.now().size(), 14);
    }

    void updateIsAnnounced()
    {
        Chip chip;
        QCOMPARE(chip.in(10), 0x26);
        chip.time.advance(999800us);
        QCOMPARE(chip.in(10), 0xa6);
        chip.time.advance(200us);
        QCOMPARE(chip.in(10), 0x26);
    }

    void updateInterruptComesEachSecond()
    {
        Chip chip;
        chip.out(11, 0x12);
        chip.time.advance(1s);
        QVERIFY(chip.irq.level);
        QCOMPARE(chip.in(12) & 0xb0, 0x90);
        QVERIFY(!chip.irq.level);
        QCOMPARE(chip.in(12), 0x00);
        chip.time.advance(1s);
        QCOMPARE(chip.irq.rises, 2);
    }

    void flagsShowWithoutInterrupts()
    {
        Chip chip;
        chip.in(12);
        chip.time.advance(1s);
        QCOMPARE(chip.in(12), 0x50);
        QCOMPARE(chip.irq.rises, 0);
        QCOMPARE(chip.time.armedTimers(), 0u);
    }

    void alarmGoesAtItsTime()
    {
        Chip chip;
        chip.out(5, 0x22);
        chip.out(3, 0x14);
        chip.out(1, 0x05);
        chip.out(11, 0x22);
        chip.time.advance(44s);
        QVERIFY(!chip.irq.level);
        chip.time.advance(1s);
        QVERIFY(chip.irq.level);
        QCOMPARE(chip.in(12) & 0xa0, 0xa0);
        chip.time.advance(23h);
        QCOMPARE(chip.irq.rises, 1);
        chip.time.advance(1h);
        QCOMPARE(chip.irq.rises, 2);
    }

    void alarmWithWildcardsRepeats()
    {
        Chip chip;
        chip.out(5, 0xff);
        chip.out(3, 0xc0);
        chip.out(1, 0x30);
        chip.out(11, 0x22);
        for (int minute = 0; minute < 3; ++minute) {
            chip.time.advance(60s);
            chip.in(12);
        }
        QCOMPARE(chip.irq.rises, 3);
    }

    void alarmThatCannotBeNeverGoes()
    {
        Chip chip;
        chip.out(5, 0x25);
        chip.out(11, 0x22);
        QCOMPARE(chip.time.armedTimers(), 0u);
    }

    void periodicInterruptKeepsItsRate()
    {
        Chip chip;
        chip.out(10, 0x2a); // 64 Hz
        chip.out(11, 0x42);
        for (int i = 0; i < 1000; ++i) {
            chip.time.advance(1ms);
            chip.in(12);
        }
        QCOMPARE(chip.irq.rises, 64);
    }

    void lateGuestGetsWhatItMissed()
    {
        Chip chip;
        chip.out(10, 0x2a);
        chip.out(11, 0x42);
        chip.time.advance(100ms); // six ticks, one interrupt
        QCOMPARE(chip.irq.rises, 1);
        for (int i = 0; i < 900; ++i) {
            chip.in(12);
            chip.time.advance(1ms);
        }
        QCOMPARE(chip.irq.rises, 64);
    }

    void whatIsMadeUpForIsBounded()
    {
        Chip chip;
        chip.out(10, 0x23); // 8192 Hz
        chip.out(11, 0x42);
        chip.time.advance(1h);
        chip.in(12);
        auto const rises = chip.irq.rises;
        chip.out(10, 0x2f); // 2 Hz
        chip.time.advance(400ms);
        QVERIFY(chip.irq.rises - rises <= 1);
    }

    void memoryKeepsBytesInBothBanks()
    {
        Chip chip;
        chip.out(0x0f, 0x05);
        chip.rtc.write(2, bytesOf(std::uint8_t(0x85)));
        chip.rtc.write(3, bytesOf(std::uint8_t(0x77)));
        chip.rtc.reset();
        QCOMPARE(chip.in(0x8f), 0x05);
        chip.rtc.write(2, bytesOf(std::uint8_t(0x05)));
        std::uint8_t value = 0;
        chip.rtc.read(3, { &value, 1 });
        QCOMPARE(value, 0x77);
        QCOMPARE(chip.in(13), 0x80);
    }

    void firmwareFindsTheMemorySize()
    {
        Chip chip;
        chip.rtc.setMemorySize(0x80000000, 0x180000000);
        QCOMPARE(chip.in(0x34) | chip.in(0x35) << 8, (0x80000000u - (16u << 20)) >> 16);
        QCOMPARE(chip.in(0x5b) | chip.in(0x5c) << 8 | chip.in(0x5d) << 16, 0x18000);
        QCOMPARE(chip.in(0x30) | chip.in(0x31) << 8, 0xffff);
        QCOMPARE(chip.in(0x15) | chip.in(0x16) << 8, 640);
    }

    void clockGoesOnAfterRestoring()
    {
        Chip chip, restored;
        chip.out(4, 0x05);
        chip.out(11, 0x12);
        restored.time.wallClockAtStart += 60s;
        REQUIRE_OK(restored.rtc.load(chip.rtc.save()));
        QCOMPARE(restored.now(), QByteArray("20231114051420"));
        restored.time.advance(1s);
        QVERIFY(restored.irq.level);
    }

    void absurdOffsetIsRefused()
    {
        Chip chip;
        auto json = chip.rtc.save().toJson();
        json["state"]["offset"] = { { "i64", "9223372036854775807" } };
        QVERIFY(!chip.rtc.load(*Section::fromJson(json)));
    }
};

REGISTER_SUITE(RtcMc146818Test);
#include "rtc_mc146818_test.moc"
