#include "tests/support/suite.h"
#include "vmm/boot/aml.h"

using namespace vmm;
using namespace vmm::aml;

class AmlTest : public QObject {
    Q_OBJECT
private slots:
    void namesHavePrefixes()
    {
        QCOMPARE(name("RTC"), Bytes({ 'R', 'T', 'C', '_' }));
        QCOMPARE(name("\\"), Bytes({ '\\', 0 }));
        QCOMPARE(name("\\_SB"), Bytes({ '\\', '_', 'S', 'B', '_' }));
        QCOMPARE(name("_SB.PCI0"), Bytes({ 0x2e, '_', 'S', 'B', '_', 'P', 'C', 'I', '0' }));
        QCOMPARE(name("^A.B.C"), Bytes({ '^', 0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', '_', '_', '_' }));
    }

    void integersAreAsShortAsTheyCanBe()
    {
        QCOMPARE(integer(0), Bytes({ 0 }));
        QCOMPARE(integer(1), Bytes({ 1 }));
        QCOMPARE(integer(0xff), Bytes({ 0x0a, 0xff }));
        QCOMPARE(integer(0x100), Bytes({ 0x0b, 0x00, 0x01 }));
        QCOMPARE(integer(0x12345678), Bytes({ 0x0c, 0x78, 0x56, 0x34, 0x12 }));
        QCOMPARE(integer(0x100000000), Bytes({ 0x0e, 0, 0, 0, 0, 1, 0, 0, 0 }));
    }

    void packageLengthGrowsWithTheContents()
    {
        QCOMPARE(buffer(Bytes(3, 9)), Bytes({ 0x11, 6, 0x0a, 3, 9, 9, 9 }));
        auto const medium = buffer(Bytes(100, 9)); // 2 of length, 2 of size
        QCOMPARE(Bytes(medium.begin(), medium.begin() + 5), Bytes({ 0x11, 0x48, 0x06, 0x0a, 100 }));
        auto const large = buffer(Bytes(0x2000, 9)); // 3 of length, 3 of size
        QCOMPARE(Bytes(large.begin(), large.begin() + 7), Bytes({ 0x11, 0x86, 0x00, 0x02, 0x0b, 0x00, 0x20 }));
        QCOMPARE(large.size(), 1u + 0x2006u);
    }

    void eisaIdsAreCompressed()
    {
        QCOMPARE(eisaId("PNP0A03"), Bytes({ 0x0c, 0x41, 0xd0, 0x0a, 0x03 }));
        QCOMPARE(eisaId("PNP0C0F"), Bytes({ 0x0c, 0x41, 0xd0, 0x0c, 0x0f }));
    }

    void longPackagesAreOfVariableLength()
    {
        QCOMPARE(package(std::vector<Bytes>(2, integer(0))), Bytes({ 0x12, 4, 2, 0, 0 }));
        QCOMPARE(package(std::vector<Bytes>(256, integer(0)))[0], std::uint8_t(0x13));
    }

    void windowsTellTheirLength()
    {
        QCOMPARE(memoryWindow32(0xc0000000, 0xfebfffff),
            Bytes({ 0x87, 23, 0, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff, 0xbf, 0xfe, 0, 0, 0, 0, 0, 0, 0xc0,
                0x3e }));
        QCOMPARE(busWindow(0, 0xff), Bytes({ 0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 1 }));
        QCOMPARE(resources({}), Bytes({ 0x11, 5, 0x0a, 2, 0x79, 0 }));
    }
};

REGISTER_SUITE(AmlTest);
#include "aml_test.moc"
