#include "tests/support/suite.h"
#include "vmm/bus/bus.h"

using namespace vmm;

namespace {

class Recorder final : public BusDevice {
public:
    explicit Recorder(std::uint8_t answer) : m_answer(answer) { }
    void reset() override { }
    Section save() const override { return {}; }
    Result<> load(Section const&) override { return {}; }
    void read(std::uint64_t offset, ByteSpan data) override
    {
        lastOffset = offset;
        lastSize = data.size();
        std::fill(data.begin(), data.end(), m_answer);
    }
    void write(std::uint64_t offset, ConstByteSpan data) override
    {
        lastOffset = offset;
        lastSize = data.size();
    }
    std::uint64_t lastOffset = 0;
    std::size_t lastSize = 0;

private:
    std::uint8_t m_answer;
};

std::uint32_t read32(Bus& bus, std::uint64_t address)
{
    std::uint32_t value = 0;
    bus.read(address, writableBytesOf(value));
    return value;
}

}

class BusTest : public QObject {
    Q_OBJECT
private slots:
    void nobodyAnswersWithAllOnes()
    {
        Bus bus;
        QCOMPARE(read32(bus, 0x80), 0xffffffffu);
        QVERIFY(!bus.write(0x80, bytesOf(std::uint8_t(1))));
    }

    void offsetCountsFromTheRange()
    {
        Bus bus;
        Recorder device(0x11);
        REQUIRE_OK(bus.map(0x3f8, 8, device));
        QCOMPARE(read32(bus, 0x3fa), 0x11111111u);
        QCOMPARE(device.lastOffset, 2u);
    }

    void accessOverTheEndIsCut()
    {
        Bus bus;
        Recorder device(0);
        REQUIRE_OK(bus.map(0x100, 2, device));
        QCOMPARE(read32(bus, 0x101), 0xffffff00u);
        QCOMPARE(device.lastSize, 1u);
    }

    void fixedRangeWinsOverWindowThatCoversIt()
    {
        Bus bus;
        Recorder window(0x22), fixed(0x33);
        REQUIRE_OK(bus.map(0x1000, 0x1000, window, BusPriority::Window));
        REQUIRE_OK(bus.map(0x1400, 0x100, fixed));
        QCOMPARE(read32(bus, 0x1400), 0x33333333u);
        QCOMPARE(read32(bus, 0x1500), 0x22222222u);
        QCOMPARE(window.lastOffset, 0x500u);
        bus.unmap(fixed);
        QCOMPARE(read32(bus, 0x1400), 0x22222222u);
        QCOMPARE(window.lastOffset, 0x400u);
    }

    void rangeAtTheTopOfTheAddressSpaceWorks()
    {
        Bus bus;
        Recorder device(0x44), wraps(0x55);
        REQUIRE_OK(bus.map(0xfffffffffffffff0, 16, device));
        QCOMPARE(read32(bus, 0xfffffffffffffff0), 0x44444444u);
        QVERIFY(!bus.map(0xfffffffffffffff0, 17, wraps));
        QVERIFY(!bus.map(0, 0, wraps));
    }

    void viewSeesAChangeAtItsNextAccess()
    {
        Bus bus;
        BusView view(bus);
        std::uint8_t byte = 0;
        QVERIFY(!view.read(0x60, writableBytesOf(byte)));
        Recorder device(0x66);
        REQUIRE_OK(bus.map(0x60, 1, device));
        QVERIFY(view.read(0x60, writableBytesOf(byte)));
        QCOMPARE(byte, 0x66);
    }
};

REGISTER_SUITE(BusTest);
#include "bus_test.moc"
