#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/bus/pci_bus.h"
#include "vmm/devices/ich9_lpc.h"

#include <nlohmann/json.hpp>
#include <random>

using namespace vmm;

namespace {

constexpr std::uint16_t pm = Ich9Lpc::pmBase;

struct Fixture : tests::FakeBoard {
    Fixture() { bus.setResetControl(lpc.resetControl()); }
    std::array<IrqLine*, 24> lines()
    {
        std::array<IrqLine*, 24> result {};
        for (std::size_t i = 0; i < result.size(); ++i)
            result[i] = &gsi[i];
        return result;
    }
    template<typename T>
    T in(std::uint16_t port)
    {
        T value {};
        ports.read(port, writableBytesOf(value));
        return value;
    }
    template<typename T>
    void out(std::uint16_t port, T value)
    {
        ports.write(port, bytesOf(value));
    }
    std::array<tests::FakeIrq, 24> gsi;
    int poweredOff = 0, resets = 0;
    unsigned slept = 0;
    Ich9Lpc lpc { pci, time, lines(),
        { .powerOff = [this] { ++poweredOff; },
            .reset = [this] { ++resets; },
            .sleep = [this](unsigned t) { slept = t; } } };
    PciBus bus { ports, memory, lpc.pirqs() };
};

}

class Ich9LpcTest : public QObject {
    Q_OBJECT
private slots:
    void powerManagementAnswersWhereFirmwarePutsIt()
    {
        Fixture f;
        QCOMPARE(f.in<std::uint16_t>(pm + 2), 0xffff);
        f.lpc.writeConfig(0x40, bytesOf(std::uint32_t(0x601)));
        QCOMPARE(f.in<std::uint16_t>(pm + 2), 0xffff);
        f.lpc.writeConfig(0x44, bytesOf(std::uint8_t(0x80)));
        QCOMPARE(f.in<std::uint16_t>(pm + 2), 0);
        f.lpc.writeConfig(0x40, bytesOf(std::uint32_t(0xb000)));
        QCOMPARE(f.in<std::uint16_t>(pm + 2), 0xffff);
        QCOMPARE(f.in<std::uint16_t>(0xb002), 0);
        std::uint32_t base = 0;
        f.lpc.readConfig(0x40, writableBytesOf(base));
        QCOMPARE(base, 0xb001u);
    }

    void timerCountsAt3579545Hz()
    {
        Fixture f;
        f.lpc.setUpLikeFirmware();
        QCOMPARE(f.in<std::uint32_t>(pm + 8), 0u);
        f.time.advance(std::chrono::seconds(1));
        QCOMPARE(f.in<std::uint32_t>(pm + 8), 3'579'545u);
        f.time.advance(std::chrono::hours(24 * 365 * 10));
        auto const tenYears = 3'579'545ull * (1 + 3600ull * 24 * 365 * 10);
        QCOMPARE(f.in<std::uint32_t>(pm + 8), static_cast<std::uint32_t>(tenYears & 0xffffff));
    }

    void timerInterruptsWhenItsTopBitChanges()
    {
        Fixture f;
        f.lpc.setUpLikeFirmware();
        f.out<std::uint8_t>(0xb2, 2);
        f.out<std::uint16_t>(pm + 2, 1);
        f.time.advance(std::chrono::milliseconds(2343));
        QVERIFY(!f.gsi[9].level);
        f.time.advance(std::chrono::milliseconds(1));
        QVERIFY(f.gsi[9].level);
        QCOMPARE(f.in<std::uint16_t>(pm) & 1, 1);
        f.out<std::uint16_t>(pm, 1);
        QVERIFY(!f.gsi[9].level);
        f.time.advance(std::chrono::milliseconds(2344));
        QVERIFY(f.gsi[9].level);
    }

    void powerButtonInterruptsInAcpiMode()
    {
        Fixture f;
        f.lpc.setUpLikeFirmware();
        f.out<std::uint16_t>(pm + 2, 0x100);
        f.lpc.pressPowerButton();
        QVERIFY(!f.gsi[9].level);
        f.out<std::uint8_t>(0xb2, 2);
        QCOMPARE(f.in<std::uint16_t>(pm + 4) & 1, 1);
        QVERIFY(f.gsi[9].level);
        QCOMPARE(f.in<std::uint16_t>(pm), 0x100);
        f.out<std::uint16_t>(pm, 0xfeff); // all others
        QCOMPARE(f.in<std::uint16_t>(pm), 0x100);
        f.out<std::uint8_t>(pm + 1, 1);
        QCOMPARE(f.in<std::uint16_t>(pm), 0);
        QVERIFY(!f.gsi[9].level);
        f.out<std::uint8_t>(0xb2, 3);
        QCOMPARE(f.in<std::uint16_t>(pm + 4) & 1, 0);
    }

    void generalPurposeEventInterrupts()
    {
        Fixture f;
        f.lpc.setUpLikeFirmware();
        f.out<std::uint8_t>(0xb2, 2);
        f.lpc.raiseGpe(Ich9Lpc::generationGpe);
        QVERIFY(!f.gsi[9].level);
        f.out<std::uint8_t>(pm + 0x28, 0x20);
        QVERIFY(f.gsi[9].level);
        QCOMPARE(f.in<std::uint32_t>(pm + 0x20), 0x20u);
        f.out<std::uint8_t>(pm + 0x20, 0x20);
        QVERIFY(!f.gsi[9].level);
    }

    void softOffNeedsSleepEnable()
    {
        Fixture f;
        f.lpc.setUpLikeFirmware();
        f.out<std::uint16_t>(pm + 4, 0x0001);
        QCOMPARE(f.poweredOff, 0);
        f.out<std::uint16_t>(pm + 4, 0x2001);
        QCOMPARE(f.poweredOff, 1);
        QCOMPARE(f.in<std::uint16_t>(pm + 4), 1);
        f.out<std::uint16_t>(pm + 4, 0x3401);
        QCOMPARE(f.slept, 5u);
        QCOMPARE(f.poweredOff, 1);
    }

    void threeWaysToReset()
    {
        Fixture f;
        f.out<std::uint8_t>(0xcf9, 2);
        QCOMPARE(f.resets, 0);
        QCOMPARE(f.in<std::uint8_t>(0xcf9), 2);
        f.out<std::uint8_t>(0xcf9, 6);
        QCOMPARE(f.resets, 1);
        f.out<std::uint8_t>(0x92, 2);
        QCOMPARE(f.in<std::uint8_t>(0x92), 2);
        QCOMPARE(f.resets, 1);
        f.out<std::uint8_t>(0x92, 1);
        f.out<std::uint8_t>(0x92, 1);
        QCOMPARE(f.resets, 2);
    }

    void systemManagementLooksSetUp()
    {
        Fixture f;
        f.lpc.setUpLikeFirmware();
        QCOMPARE(f.in<std::uint32_t>(pm + 0x30), 0x20u);
        f.out<std::uint8_t>(0xb3, 0x5a);
        QCOMPARE(f.in<std::uint16_t>(0xb2), 0x5a00);
    }

    void pirqGoesToBothControllers()
    {
        Fixture f;
        auto const pirqs = f.lpc.pirqs();
        pirqs[4]->set(true);
        QVERIFY(f.gsi[20].level);
        QVERIFY(!f.gsi[11].level);
        f.lpc.writeConfig(0x68, bytesOf(std::uint8_t(11)));
        QVERIFY(f.gsi[11].level);
        f.lpc.writeConfig(0x61, bytesOf(std::uint8_t(11)));
        pirqs[1]->set(true);
        pirqs[4]->set(false);
        QVERIFY(f.gsi[11].level);
        QVERIFY(!f.gsi[20].level);
        f.lpc.writeConfig(0x61, bytesOf(std::uint8_t(0))); // the timer's input is out of reach
        QVERIFY(!f.gsi[11].level);
        QVERIFY(!f.gsi[0].level);
    }

    void stateBringsLinesBack()
    {
        Fixture f, g;
        f.lpc.setUpLikeFirmware();
        f.lpc.writeConfig(0x68, bytesOf(std::uint8_t(11)));
        f.out<std::uint16_t>(pm + 2, 0x100);
        f.out<std::uint8_t>(0xb2, 2);
        f.lpc.pressPowerButton();
        g.lpc.pirqs()[4]->set(true);
        REQUIRE_OK(g.lpc.load(f.lpc.save()));
        QVERIFY(g.gsi[9].level);
        QVERIFY(g.gsi[11].level);
        QCOMPARE(g.in<std::uint16_t>(pm), 0x100);
        g.lpc.reset();
        QVERIFY(!g.gsi[9].level);
        QVERIFY(!g.gsi[11].level);
        QCOMPARE(g.in<std::uint16_t>(pm), 0xffff);
    }

    void aTimerThatNeverOverflowsIsRefused()
    {
        Fixture f;
        auto state = f.lpc.save().toJson();
        state["state"]["timerOverflow"] = { { "u64", "18446744073709551615" } };
        QVERIFY(!f.lpc.load(tests::must(Section::fromJson(state))));
        f.lpc.setUpLikeFirmware();
        f.out<std::uint16_t>(pm + 2, 1);
        QCOMPARE(f.time.armedTimers(), std::size_t(1));
        f.time.advance(std::chrono::seconds(3));
        QCOMPARE(f.in<std::uint16_t>(pm) & 1, 1);
    }

    void anyAccessIsSafe()
    {
        Fixture f;
        std::mt19937 random(7);
        for (int i = 0; i < 50000; ++i) {
            auto const value = static_cast<std::uint32_t>(random());
            switch (random() % 4) {
            case 0: f.lpc.writeConfig(random() % 64 * 4, bytesOf(value)); break;
            case 1: f.out<std::uint32_t>(static_cast<std::uint16_t>(pm + random() % 128), value); break;
            case 2: f.in<std::uint64_t>(static_cast<std::uint16_t>(pm + random() % 128)); break;
            default: f.time.advance(Nanoseconds(random() % 1'000'000'000)); break;
            }
            if (i % 64 == 0)
                f.lpc.setUpLikeFirmware();
        }
    }

    void battery()
    {
        static Fixture f;
        tests::battery<Ich9Lpc>(
            [] { return std::make_unique<Ich9Lpc>(f.pci, f.time, f.lines(), Ich9Lpc::Requests {}); },
            [](Ich9Lpc& lpc) {
                lpc.setUpLikeFirmware();
                lpc.pressPowerButton();
            });
    }
};

REGISTER_SUITE(Ich9LpcTest);
#include "ich9_lpc_test.moc"
