#include "tests/battery/battery.h"
#include "tests/support/answer.h"
#include "tests/vmm/devices/ahci_driver.h"
#include "vmm/state/reader.h"

#include <future>
#include <nlohmann/json.hpp>
#include <thread>

using namespace vmm;
using tests::AhciSetup;

namespace {

constexpr std::uint32_t failed = 0x01, taskFileError = 1u << 30, hostBusError = 1u << 29, interfaceError = 1u << 27,
                        overflow = 1u << 24;
constexpr std::uint32_t goodTaskFile = 0x50;

using Sense = std::array<int, 3>;

/// Reads behind the disk's end.
void failTag5(AhciSetup& s)
{
    s.startPort(0);
    s.prepare(0, 5, AhciSetup::fis(0x60, AhciSetup::diskSize / 512, 5 << 3, 1), { { 0x30000, 512 } });
    s.setPort(0, AhciSetup::Sact, 1 << 5);
    s.issue(0, 1 << 5);
    s.settle();
}

/// A file of one byte value that is as large as it says, and that cannot be read while it has an `error`.
class DiscFile final : public BlockFile {
public:
    explicit DiscFile(std::uint64_t size, int const* error = nullptr) : m_size(size), m_error(error) { }
    std::string const& name() const override { return m_name; }
    Result<std::uint64_t> size() const override { return m_size; }
    Result<> read(std::uint64_t, ByteSpan data) override
    {
        if (m_error && *m_error != 0)
            return fail(osError("the disc has a scratch", *m_error));
        std::ranges::fill(data, std::uint8_t(0xd1));
        return {};
    }
    Result<> write(std::uint64_t, ConstByteSpan) override { return readOnly(); }
    Result<> sync() override { return readOnly(); }
    Result<> resize(std::uint64_t) override { return readOnly(); }
    Result<> deallocate(std::uint64_t, std::uint64_t) override { return readOnly(); }
    Result<> zero(std::uint64_t, std::uint64_t) override { return readOnly(); }

private:
    static Result<> readOnly() { return fail(ErrorCode::InvalidArgument, "a disc is read only"); }

    std::string m_name = "disc";
    std::uint64_t m_size;
    int const* m_error;
};

std::unique_ptr<BlockImage> openDisc(AhciSetup& s, std::unique_ptr<DiscFile> file)
{
    ImageOptions options;
    options.access = Access::ReadOnly;
    options.format = ImageFormat::Raw;
    return tests::must(BlockImage::open(s.engine, std::move(file), options, {}));
}

/// The drive with another disc, for as long as this lives, of which the guest has taken notice.
struct WithDisc {
    WithDisc(AhciSetup& setup, std::uint64_t size, int const* error = nullptr)
        : s(setup), disc(openDisc(s, std::make_unique<DiscFile>(size, error)))
    {
        s.startPort(AhciSetup::cd);
        s.controller.changeDevice(AhciSetup::cd, [&] { s.drive->setMedium(disc.get()); });
        s.sense(); // the reset
        s.sense(); // the new medium
    }
    ~WithDisc()
    {
        s.controller.changeDevice(AhciSetup::cd, [&] { s.drive->setMedium(nullptr); });
    }
    AhciSetup& s;
    std::unique_ptr<BlockImage> disc;
};

}

class AhciTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        AhciSetup surroundings;
        auto const make = [&] {
            std::vector<std::unique_ptr<SataDevice>> devices;
            devices.push_back(std::make_unique<AtaDisk>(surroundings.loop, *surroundings.diskImage, "s", false));
            auto drive = std::make_unique<AtapiCd>(surroundings.loop, [] {});
            drive->setMedium(surroundings.cdImage.get());
            devices.push_back(std::move(drive));
            return std::make_unique<AhciController>(
                surroundings.board.pci, std::move(devices), [](unsigned, Error const&) {});
        };
        tests::battery<AhciController>(make, [](AhciController& device) {
            std::lock_guard const lock(device.mutex());
            device.writeConfig(0x04, bytesOf(std::uint16_t(6)));
            device.writeConfig(0x3c, bytesOf(std::uint8_t(11)));
        });
    }

    void anyAccessIsSafe()
    {
        AhciSetup s;
        struct Registers final : BusHandler {
            explicit Registers(AhciSetup& setup) : s(setup) { }
            void read(std::uint64_t offset, ByteSpan data) override
            {
                s.board.memory.read(AhciSetup::bar + offset, data);
            }
            void write(std::uint64_t offset, ConstByteSpan data) override
            {
                s.board.memory.write(AhciSetup::bar + offset, data);
                if (++writes % 16 == 0)
                    s.settle();
            }
            std::mutex& busMutex() const override { return own; }
            AhciSetup& s;
            int writes = 0;
            mutable std::mutex own;
        } registers(s);
        for (unsigned seed = 0; seed < 4; ++seed)
            tests::accessAtRandom(registers, 0x240, seed, 5000);
        s.settle();
        REQUIRE_OK(s.controller.load(s.controller.save()));
    }

    void controllerSaysWhatItIs()
    {
        AhciSetup s;
        QCOMPARE(s.read(0x0c), 3u);                       // ports
        QCOMPARE(s.read(0x00) & 0x1f, 1u);                // their number, less one
        QCOMPARE(s.read(0x04), 0x80000000u);              // AHCI is on
        QCOMPARE(s.read(0x10), 0x00010301u);              // 1.3.1
        QCOMPARE(s.port(0, AhciSetup::Ssts), 0x133u);     // linked
        QCOMPARE(s.port(0, AhciSetup::Sig), 0x00000101u); // a disk
        QCOMPARE(s.port(1, AhciSetup::Sig), 0xeb140101u); // a CD drive
        QCOMPARE(s.port(2, AhciSetup::Ssts), 0u);
    }

    void signatureIsReceivedOnceThereIsMemory()
    {
        AhciSetup s;
        s.startPort(0);
        s.startPort(1);
        QCOMPARE(s.received(0, 0x40, 1)[0], 0x34);
        QCOMPARE(s.received(0, 0x40, 3)[2], 0x50);
        QCOMPARE(s.received(1, 0x44, 3)[1], 0x14);
        QCOMPARE(s.received(1, 0x44, 3)[2], 0xeb);
    }

    void diskIdentifiesItselfByPio()
    {
        AhciSetup s;
        s.startPort(0);
        QCOMPARE(s.ata(0, AhciSetup::fis(0xec, 0, 0), 512), goodTaskFile);
        QCOMPARE(s.transferred(0), 512u);
        QCOMPARE(loadLittle<std::uint64_t>(s.data(512).subspan(200, 8)), AhciSetup::diskSize / 512);
        QCOMPARE(s.data(512)[21], 'd'); // serial, bytes swapped
        QCOMPARE(s.data(512)[20], 'i');
        unsigned sum = 0;
        for (auto const byte : s.data(512))
            sum += byte;
        QCOMPARE(sum & 0xff, 0u);
        QCOMPARE(s.port(0, AhciSetup::Is), 2u); // PIO setup is the end
        QCOMPARE(s.received(0, 0x20, 1)[0], 0x5f);
        QCOMPARE(s.received(0, 0x2f, 1)[0], 0x50);
    }

    void diskIsReadAndWritten_data()
    {
        QTest::addColumn<int>("readCode");
        QTest::addColumn<int>("writeCode");
        QTest::newRow("dma") << 0xc8 << 0xca;
        QTest::newRow("dma ext") << 0x25 << 0x35;
        QTest::newRow("dma fua") << 0x25 << 0x3d;
        QTest::newRow("pio") << 0x20 << 0x30;
        QTest::newRow("pio ext") << 0x24 << 0x34;
        QTest::newRow("multiple") << 0xc4 << 0xc5;
        QTest::newRow("multiple ext") << 0x29 << 0x39;
    }
    void diskIsReadAndWritten()
    {
        QFETCH(int, readCode);
        QFETCH(int, writeCode);
        AhciSetup s;
        s.startPort(0);
        auto const last = AhciSetup::diskSize / 512 - 4;
        QCOMPARE(s.ata(0, AhciSetup::fis(static_cast<std::uint8_t>(readCode), last, 4), 2048), goodTaskFile);
        QVERIFY(std::equal(s.diskFile.content.end() - 2048, s.diskFile.content.end(), s.ram(AhciSetup::dataAt)));
        QCOMPARE(s.transferred(0), 2048u);
        std::fill_n(s.ram(AhciSetup::dataAt), 2048, 0x5a);
        QCOMPARE(s.ata(0, AhciSetup::fis(static_cast<std::uint8_t>(writeCode), last, 4), 2048), goodTaskFile);
        QCOMPARE(s.diskFile.content[last * 512 - 1], tests::patternBytes(AhciSetup::diskSize)[last * 512 - 1]);
        QVERIFY(std::all_of(
            s.diskFile.content.end() - 2048, s.diskFile.content.end(), [](auto byte) { return byte == 0x5a; }));
        QCOMPARE(s.controller.bytesRead(), 2048u);
        QCOMPARE(s.controller.bytesWritten(), 2048u);
    }

    void regionsAreFilledInOrder()
    {
        AhciSetup s;
        s.startPort(0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 2, 3), { { 0x30000, 2 }, { 0x31000, 1000 }, { 0x32000, 4096 } });
        s.issue(0);
        s.settle();
        auto const* expected = s.diskFile.content.data() + 1024;
        QVERIFY(std::equal(expected, expected + 2, s.ram(0x30000)));
        QVERIFY(std::equal(expected + 2, expected + 1002, s.ram(0x31000)));
        QVERIFY(std::equal(expected + 1002, expected + 1536, s.ram(0x32000)));
        QCOMPARE(s.ram(0x32000)[534], 0);
        QCOMPARE(s.transferred(0), 1536u);
    }

    void strangeActiveBitDoesNotDisturb()
    {
        AhciSetup s;
        s.startPort(0);
        s.setPort(0, AhciSetup::Sact, 1); // as a BIOS does before each command
        QCOMPARE(s.ata(0, AhciSetup::fis(0x25, 0, 1), 512), goodTaskFile);
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u);
        QCOMPARE(s.port(0, AhciSetup::Is), 1u);
    }

    void queuedCommandsFlyTogether()
    {
        AhciSetup s;
        s.startPort(0);
        for (unsigned i = 0; i < 3; ++i)
            s.prepare(0, i, AhciSetup::fis(0x60, 8 * i, i << 3, 2), { { 0x30000 + 0x1000 * i, 1024 } });
        s.setPort(0, AhciSetup::Sact, 7);
        s.issue(0, 7);
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u); // taken
        QCOMPARE(s.port(0, AhciSetup::Sact), 7u);
        QCOMPARE(s.port(0, AhciSetup::Tfd), goodTaskFile);
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Sact), 0u);
        QCOMPARE(s.port(0, AhciSetup::Is), 8u);
        QCOMPARE(s.received(0, 0x58, 1)[0], 0xa1);
        for (unsigned i = 0; i < 3; ++i) {
            auto const* expected = s.diskFile.content.data() + 4096 * i;
            QVERIFY(std::equal(expected, expected + 1024, s.ram(0x30000 + 0x1000 * i)));
        }
    }

    void otherCommandsWaitForQueuedOnes()
    {
        AhciSetup s;
        s.startPort(0);
        s.prepare(0, 0, AhciSetup::fis(0x60, 0, 0, 1), { { 0x30000, 512 } });
        s.prepare(0, 1, AhciSetup::fis(0x25, 1, 1), { { 0x31000, 512 } });
        s.prepare(0, 2, AhciSetup::fis(0x25, 2, 1), { { 0x32000, 512 } });
        s.setPort(0, AhciSetup::Sact, 1);
        s.issue(0, 7);
        QCOMPARE(s.port(0, AhciSetup::Ci), 6u);
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u);
        QVERIFY(std::equal(s.ram(0x32000), s.ram(0x32000) + 512, s.diskFile.content.data() + 1024));
    }

    void queuedErrorIsInTheLog()
    {
        AhciSetup s;
        failTag5(s);
        QVERIFY((s.port(0, AhciSetup::Is) & taskFileError) != 0);
        QCOMPARE(s.port(0, AhciSetup::Sact), 1u << 5);
        s.recover(0);
        QCOMPARE(s.ata(0, AhciSetup::fis(0x2f, 0x10, 1), 512), goodTaskFile);
        QCOMPARE(s.data(512)[0], 5);
        QCOMPARE(s.data(512)[3], 0x14);
    }

    void aCommandThatWaitsForQueuedOnesIsNotBegun()
    {
        AhciSetup s;
        failTag5(s);
        s.recover(0);
        s.prepare(0, 1, AhciSetup::fis(0x60, 0, 1 << 3, 1), { { 0x30000, 512 } });
        s.setPort(0, AhciSetup::Sact, 1 << 1);
        s.issue(0, 1 << 1);
        s.prepare(0, 0, AhciSetup::fis(0x2f, 0x10, 1), { { AhciSetup::dataAt, 512 } });
        s.issue(0, 1); // which tag has failed is told once
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u);
        QCOMPARE(s.data(512)[0], 5);
    }

    void errorHaltsThePortUntilItIsStopped()
    {
        AhciSetup s;
        s.startPort(0);
        QCOMPARE(s.ata(0, AhciSetup::fis(0xfd, 0, 0)), 0x451u); // aborted
        QVERIFY((s.port(0, AhciSetup::Is) & taskFileError) != 0);
        QCOMPARE(s.port(0, AhciSetup::Ci), 1u);
        s.prepare(0, 1, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        s.issue(0, 2);
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ci), 3u);
        s.setPort(0, AhciSetup::Cmd, 0x10);
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u);
        QCOMPARE(s.port(0, AhciSetup::Cmd) & 0x8000, 0u);
        s.startPort(0);
        QCOMPARE(s.ata(0, AhciSetup::fis(0x25, 0, 1), 512), goodTaskFile);
    }

    void rangesOutsideOfTheDiskAreRefused()
    {
        AhciSetup s;
        s.startPort(0);
        auto const sectors = AhciSetup::diskSize / 512;
        for (auto const& command : { AhciSetup::fis(0x25, sectors, 1), AhciSetup::fis(0x25, sectors - 1, 2),
                 AhciSetup::fis(0x35, 0xffff'ffff'ffff, 0), AhciSetup::fis(0xc8, 0, 1, 0, 0x4f),
                 AhciSetup::fis(0xc8, 0, 1, 0, 0), AhciSetup::fis(0x42, sectors, 1) }) {
            QVERIFY((s.ata(0, command, 4096) & failed) != 0);
            s.recover(0);
        }
        QVERIFY(s.diskFile.content == tests::patternBytes(AhciSetup::diskSize));
    }

    void oddStructuresAreErrorsOfThePort()
    {
        AhciSetup s;
        auto const isAfter = [&] {
            s.issue(0);
            s.settle();
            auto const is = s.port(0, AhciSetup::Is);
            s.recover(0);
            return is;
        };
        s.startPort(0);
        s.setPort(0, 0x04, 0x1000); // the list is nowhere
        QVERIFY((isAfter() & hostBusError) != 0);
        s.setPort(0, 0x04, 0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 1), { { 0x7fff'ffff'0000, 512 } });
        QVERIFY((isAfter() & hostBusError) != 0);
        s.prepare(0, 0, AhciSetup::fis(0xec, 0, 0), { { (1 << 20) - 256, 512 } }); // over the end of RAM
        QVERIFY((isAfter() & hostBusError) != 0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 4), { { AhciSetup::dataAt, 512 } }); // too little
        QVERIFY((isAfter() & (overflow | taskFileError)) == (overflow | taskFileError));
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        s.ram(s.table(0, 0))[0] = 0x99; // no command at all
        QVERIFY((isAfter() & interfaceError) != 0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        storeLittle(ByteSpan(s.ram(AhciSetup::listAt + 2), 2), std::uint16_t(0xffff)); // regions beyond RAM, not needed
        QVERIFY((isAfter() & (hostBusError | taskFileError)) == 0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        s.setPort(0, 0x0c, 0x1000); // nowhere to receive
        QVERIFY((isAfter() & hostBusError) != 0);
    }

    void nothingIsDoneWithoutBusMastering()
    {
        AhciSetup s;
        s.config(0x04, 2);
        s.startPort(0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        s.issue(0);
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ci), 1u);
        QCOMPARE(s.received(0, 0x40, 1)[0], 0);
        s.config(0x04, 6);
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u);
    }

    void interruptFollowsItsThreeGates()
    {
        AhciSetup s;
        s.startPort(0);
        s.setPort(0, AhciSetup::Ie, 1);
        s.ata(0, AhciSetup::fis(0x25, 0, 1), 512);
        QVERIFY(!s.irq.level);
        QCOMPARE(s.read(8), 1u);
        s.write(4, 0x80000002);
        QVERIFY(s.irq.level);
        s.write(8, 1); // still asked for by the port
        QVERIFY(s.irq.level);
        s.setPort(0, AhciSetup::Is, ~0u);
        QVERIFY(s.irq.level);
        s.write(8, 1);
        QVERIFY(!s.irq.level);
    }

    void messageGoesForEachNewInterrupt()
    {
        AhciSetup s;
        std::uint8_t capability = 0;
        s.controller.readConfig(0x34, writableBytesOf(capability));
        std::uint16_t header = 0;
        s.controller.readConfig(capability, writableBytesOf(header));
        QCOMPARE(header & 0xff, 5);
        s.config(capability + 4u, 0xfee01000);
        s.config(capability + 8u, 0);
        s.config(capability + 12u, 0x4051);
        s.config(capability, 1u << 16);
        s.startPort(0);
        s.setPort(0, AhciSetup::Ie, 1);
        s.write(4, 0x80000002);
        s.ata(0, AhciSetup::fis(0x25, 0, 1), 512);
        QVERIFY(s.board.msi.sent == std::vector<MsiMessage>({ { 0xfee01000, 0x4051 } }));
        QVERIFY(!s.irq.level);
        s.write(8, 1); // the port still asks
        QCOMPARE(s.board.msi.sent.size(), std::size_t(2));
        s.setPort(0, AhciSetup::Is, ~0u);
        s.write(8, 1);
        QCOMPARE(s.board.msi.sent.size(), std::size_t(2));
    }

    void stoppedPortRunsUntilNothingFlies()
    {
        AhciSetup s;
        s.startPort(0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        s.issue(0);
        s.setPort(0, AhciSetup::Cmd, 0x10);
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u);
        QVERIFY((s.port(0, AhciSetup::Cmd) & 0x8000) != 0);
        s.settle();
        QVERIFY((s.port(0, AhciSetup::Cmd) & 0x8000) == 0);
        QCOMPARE(s.port(0, AhciSetup::Is), 0u); // nobody hears of it
        s.startPort(0);
        QCOMPARE(s.ata(0, AhciSetup::fis(0x25, 0, 1), 512), goodTaskFile);
    }

    void linkComesBackOnceNothingFlies()
    {
        AhciSetup s;
        s.startPort(0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        s.issue(0);
        s.setPort(0, AhciSetup::Sctl, 0x301);
        QCOMPARE(s.port(0, AhciSetup::Sig), ~0u);
        s.setPort(0, AhciSetup::Sctl, 0x300);
        QCOMPARE(s.port(0, AhciSetup::Ssts), 0u);
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ssts), 0x133u);
        QCOMPARE(s.port(0, AhciSetup::Sig), 0x101u);
        QCOMPARE(s.port(0, AhciSetup::Tfd), 0x150u);
        QVERIFY((s.port(0, AhciSetup::Serr) & 1 << 26) != 0);
        QVERIFY((s.port(0, AhciSetup::Is) & 1 << 6) != 0);
    }

    void controllerResetWaitsForWhatFlies()
    {
        AhciSetup s;
        s.startPort(0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        s.issue(0);
        s.write(4, 0x80000003);
        QCOMPARE(s.read(4), 0x80000001u);
        s.settle();
        QCOMPARE(s.read(4), 0x80000000u);
        QCOMPARE(s.port(0, AhciSetup::Sig), 0x101u);
        QCOMPARE(s.port(0, AhciSetup::Cmd), 6u);
        s.startPort(0);
        QCOMPARE(s.ata(0, AhciSetup::fis(0x25, 0, 1), 512), goodTaskFile);
    }

    void softResetBringsTheSignature()
    {
        AhciSetup s;
        s.startPort(1);
        s.prepare(1, 0, std::vector<std::uint8_t>(14), {});
        s.ram(s.table(1, 0))[1] = 0;
        s.ram(s.table(1, 0))[15] = 4;
        s.issue(1);
        QVERIFY((s.port(1, AhciSetup::Tfd) & 0x80) != 0);
        std::fill_n(s.ram(AhciSetup::fisAt + 256 + 0x40), 20, 0);
        s.ram(s.table(1, 0))[15] = 0;
        s.issue(1);
        QCOMPARE(s.port(1, AhciSetup::Ci), 0u);
        QCOMPARE(s.port(1, AhciSetup::Tfd), 0x100u);
        QCOMPARE(s.received(1, 0x46, 1)[0], 0xeb);
    }

    void trimDiscardsItsRanges()
    {
        AhciSetup s;
        s.startPort(0);
        std::fill_n(s.ram(AhciSetup::dataAt), 512, 0);
        storeLittle(ByteSpan(s.ram(AhciSetup::dataAt), 8), 8ull | 8ull << 48);
        storeLittle(ByteSpan(s.ram(AhciSetup::dataAt + 16), 8), 64ull | 16ull << 48);
        QCOMPARE(s.ata(0, AhciSetup::fis(0x06, 0, 1, 1), 512), goodTaskFile);
        auto const isZero = [&](std::size_t from, std::size_t count) {
            auto const at = s.diskFile.content.begin() + static_cast<std::ptrdiff_t>(from * 512);
            return std::all_of(at, at + static_cast<std::ptrdiff_t>(count * 512), [](auto byte) { return byte == 0; });
        };
        QVERIFY(isZero(8, 8));
        QVERIFY(isZero(64, 16));
        QVERIFY(!isZero(16, 1));
        storeLittle(ByteSpan(s.ram(AhciSetup::dataAt), 8), 0xffffffull | 8ull << 48);
        QVERIFY((s.ata(0, AhciSetup::fis(0x06, 0, 1, 1), 512) & failed) != 0);
    }

    void withoutItsCacheEachWriteIsDurable()
    {
        AhciSetup s;
        s.startPort(0);
        QCOMPARE(s.ata(0, AhciSetup::fis(0xef, 0, 0, 0x82)), goodTaskFile);
        std::fill_n(s.ram(AhciSetup::dataAt), 512, 0x77);
        s.ata(0, AhciSetup::fis(0x35, 3, 1), 512);
        QCOMPARE(s.diskFile.afterPowerCut(0)[3 * 512], 0x77);
        QCOMPARE(s.ata(0, AhciSetup::fis(0xef, 0, 0, 0x02)), goodTaskFile);
        s.ata(0, AhciSetup::fis(0x35, 4, 1), 512);
        QVERIFY(s.diskFile.afterPowerCut(0)[4 * 512] != 0x77);
        QCOMPARE(s.ata(0, AhciSetup::fis(0xea, 0, 0)), goodTaskFile);
        QCOMPARE(s.diskFile.afterPowerCut(0)[4 * 512], 0x77);
    }

    void fullHostKeepsTheCommand()
    {
        AhciSetup s;
        s.startPort(0);
        s.diskFile.fault = tests::FakeDisk::Fault::Fail;
        s.diskFile.faultAt = 0;
        s.diskFile.faultStays = true;
        std::fill_n(s.ram(AhciSetup::dataAt), 512, 0x42);
        s.ata(0, AhciSetup::fis(0x35, 3, 1), 512);
        QCOMPARE(s.errors, 1);
        QCOMPARE(s.errorPort, 0u);
        QCOMPARE(s.port(0, AhciSetup::Ci), 1u);
        QCOMPARE(s.port(0, AhciSetup::Is) & taskFileError, 0u);
        s.controller.pause();
        s.controller.resume();
        s.settle();
        QCOMPARE(s.errors, 2); // and asks again
        s.controller.pause();
        s.diskFile.fault = tests::FakeDisk::Fault::None;
        s.controller.resume();
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u);
        QCOMPARE(s.diskFile.content[3 * 512], 0x42);
    }

    /// What was kept is done there too.
    void anotherImageTakesThePlace()
    {
        tests::FakeDisk otherFile { tests::patternBytes(AhciSetup::diskSize) };
        AhciSetup s;
        s.startPort(0);
        s.diskFile.fault = tests::FakeDisk::Fault::Fail;
        s.diskFile.faultAt = 0;
        s.diskFile.faultStays = true;
        std::fill_n(s.ram(AhciSetup::dataAt), 512, 0x42);
        s.ata(0, AhciSetup::fis(0x35, 3, 1), 512);
        s.controller.pause();
        auto const old = std::exchange(s.diskImage, AhciSetup::openImage(s.engine, otherFile, Access::ReadWrite));
        s.controller.replaceImage(0, *old, *s.diskImage);
        s.controller.resume();
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u);
        QCOMPARE(s.ata(0, AhciSetup::fis(0x35, 4, 1), 512), goodTaskFile);
        QCOMPARE(otherFile.content[3 * 512], 0x42);
        QCOMPARE(otherFile.content[4 * 512], 0x42);
    }

    void keptQueuedCommandsSurviveARestore()
    {
        AhciSetup s;
        s.startPort(0);
        s.diskFile.fault = tests::FakeDisk::Fault::Fail;
        s.diskFile.faultAt = 0;
        s.diskFile.faultStays = true;
        std::fill_n(s.ram(AhciSetup::dataAt), 512, 0x42);
        s.prepare(0, 4, AhciSetup::fis(0x61, 9, 4 << 3, 1), { { AhciSetup::dataAt, 512 } });
        s.setPort(0, AhciSetup::Sact, 1 << 4);
        s.issue(0, 1 << 4);
        s.settle();
        s.controller.pause();
        auto const saved = s.controller.save();
        s.controller.reset();
        REQUIRE_OK(s.controller.load(saved));
        s.diskFile.fault = tests::FakeDisk::Fault::None;
        s.controller.resume();
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Sact), 0u);
        QCOMPARE(s.diskFile.content[9 * 512], 0x42);
    }

    void pauseWaitsAndNothingBegins()
    {
        AhciSetup s;
        s.startPort(0);
        s.prepare(0, 0, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        s.issue(0);
        std::uint32_t atPause = ~0u;
        std::jthread pausing([&] {
            s.controller.pause();
            atPause = s.port(0, AhciSetup::Ci);
        });
        QTest::qWait(50); // for one that does not wait to come to its end
        s.settle();
        pausing.join();
        QCOMPARE(atPause, 0u);
        s.prepare(0, 1, AhciSetup::fis(0x25, 0, 1), { { AhciSetup::dataAt, 512 } });
        s.issue(0, 2);
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ci) & 2, 2u);
        s.controller.resume();
        s.settle();
        QCOMPARE(s.port(0, AhciSetup::Ci), 0u);
    }

    void stateOfOtherDrivesIsRefused()
    {
        AhciSetup s;
        auto const refused = [&](auto const& change) {
            auto json = s.controller.save().toJson();
            change(json["state"]["ports"]);
            auto const section = Section::fromJson(json);
            return !section || !s.controller.load(*section);
        };
        QVERIFY(refused([](Json& ports) { ports[0]["device"]["disk"]["sectors"] = { { "u64", "99" } }; }));
        QVERIFY(refused([](Json& ports) { ports[1]["device"]["cd"]["blocks"] = 3u; }));
        QVERIFY(refused([](Json& ports) { std::swap(ports[0]["device"], ports[1]["device"]); }));
        QVERIFY(refused([](Json& ports) { ports.erase(1); }));
        QVERIFY(!refused([](Json&) {}));
    }

    // The CD drive

    void newDriveTellsOfItsResetFirst()
    {
        AhciSetup s;
        s.startPort(1);
        QCOMPARE(s.packet({ 0x12, 0, 0, 0, 36 }, 36), goodTaskFile); // INQUIRY always answers
        QCOMPARE(s.data(36)[0], 5);
        QCOMPARE(s.packet({ 0 }), 0x6451u);
        QCOMPARE(s.sense(), (Sense { 6, 0x29, 0 }));
        QCOMPARE(s.packet({ 0 }), goodTaskFile);
        QCOMPARE(s.sense(), (Sense { 0, 0, 0 }));
    }

    void discIsRead()
    {
        AhciSetup s;
        s.startPort(1);
        s.sense();
        QCOMPARE(s.packet({ 0x25 }, 8), goodTaskFile);
        QCOMPARE(loadBig<std::uint32_t>(s.data(8)), 63u);
        QCOMPARE(loadBig<std::uint32_t>(s.data(8).subspan(4)), 2048u);
        QCOMPARE(s.packet({ 0x28, 0, 0, 0, 0, 62, 0, 0, 2 }, 4096), goodTaskFile);
        QVERIFY(std::equal(s.cdFile.content.end() - 4096, s.cdFile.content.end(), s.ram(AhciSetup::dataAt)));
        QCOMPARE(s.transferred(1), 4096u);
        QCOMPARE(s.packet({ 0xa8, 0, 0, 0, 0, 1, 0, 0, 0, 1 }, 2048, false), goodTaskFile); // by PIO
        QVERIFY(std::equal(s.ram(AhciSetup::dataAt), s.ram(AhciSetup::dataAt) + 2048, s.cdFile.content.data() + 2048));
        QCOMPARE(s.packet({ 0x28, 0, 0, 0, 0, 62, 0, 0, 3 }, 8192), 0x5451u);
        QCOMPARE(s.sense(), (Sense { 5, 0x21, 0 }));
        QCOMPARE(s.packet({ 0x28, 0, 0, 0, 0, 0, 0, 0, 2 }, 2048), 0x5451u); // no room
        QCOMPARE(s.packet({ 0xee }), 0x5451u);
        QCOMPARE(s.sense(), (Sense { 5, 0x20, 0 }));
    }

    void aDiscWithoutABlockIsThereAndHasNothing_data()
    {
        QTest::addColumn<int>("size");
        QTest::newRow("empty") << 0;
        QTest::newRow("cut off in a sector") << 1000;
        QTest::newRow("a sector short of a block") << 1536;
    }
    void aDiscWithoutABlockIsThereAndHasNothing()
    {
        QFETCH(int, size);
        AhciSetup s;
        WithDisc const disc(s, std::uint64_t(size));
        QCOMPARE(s.packet({ 0 }), goodTaskFile);
        QCOMPARE(s.packet({ 0x25 }, 8), 0x3451u);
        QCOMPARE(s.sense(), (Sense { 3, 0x30, 0 }));
        QCOMPARE(s.packet({ 0x28, 0, 0, 0, 0, 0, 0, 0, 1 }, 2048), 0x5451u);
        QCOMPARE(s.sense(), (Sense { 5, 0x21, 0 }));
        QCOMPARE(s.packet({ 0x2b }), 0x5451u); // SEEK
        QCOMPARE(s.packet({ 0x43, 0, 0, 0, 0, 0, 0, 0, 20 }, 20), goodTaskFile);
        QCOMPARE(loadBig<std::uint32_t>(s.data(20).subspan(16)), 0u); // where the track ends
        QCOMPARE(s.errors, 0);
    }

    /// What is behind its last whole block is not there.
    void aDiscOfNoWholeBlocksHasThoseThatAre()
    {
        AhciSetup s;
        WithDisc const disc(s, 3 * 2048 + 1536);
        QCOMPARE(s.packet({ 0x25 }, 8), goodTaskFile);
        QCOMPARE(loadBig<std::uint32_t>(s.data(4)), 2u);
        QCOMPARE(s.packet({ 0x28, 0, 0, 0, 0, 2, 0, 0, 1 }, 2048), goodTaskFile);
        QCOMPARE(s.packet({ 0x28, 0, 0, 0, 0, 3, 0, 0, 1 }, 2048), 0x5451u);
    }

    /// A block's number has 32 bits.
    void aDiscBeyondTheLimitHasAsMuchAsCanBeNamed()
    {
        AhciSetup s;
        WithDisc const disc(s, std::uint64_t(1) << 45);
        QCOMPARE(s.packet({ 0x25 }, 8), goodTaskFile);
        QCOMPARE(loadBig<std::uint32_t>(s.data(4)), 0xffff'fffdu);
        QCOMPARE(s.packet({ 0x28, 0, 0xff, 0xff, 0xff, 0xfd, 0, 0, 1 }, 2048), goodTaskFile);
        QCOMPARE(s.data(1)[0], 0xd1);
        for (auto const beyond : { 0xfe, 0xff }) {
            QCOMPARE(s.packet({ 0x28, 0, 0xff, 0xff, 0xff, std::uint8_t(beyond), 0, 0, 1 }, 2048), 0x5451u);
            QCOMPARE(s.sense(), (Sense { 5, 0x21, 0 }));
        }
        QCOMPARE(s.packet({ 0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff }, 2048), 0x5451u); // more than that are left
        QCOMPARE(s.sense(), (Sense { 5, 0x21, 0 }));
    }

    void aDiscThatCannotBeReadKeepsTheCommand()
    {
        int error = EIO;
        AhciSetup s;
        WithDisc const disc(s, 64 * 2048, &error);
        s.packet({ 0x28, 0, 0, 0, 0, 62, 0, 0, 2 }, 4096);
        QCOMPARE(s.errors, 1);
        QCOMPARE(s.errorPort, 1u);
        QCOMPARE(s.port(1, AhciSetup::Ci), 1u);
        QCOMPARE(s.port(1, AhciSetup::Is) & taskFileError, 0u);
        s.controller.pause();
        s.controller.resume();
        s.settle();
        QCOMPARE(s.errors, 2); // and asks again
        s.controller.pause();
        error = 0;
        s.controller.resume();
        s.settle();
        QCOMPARE(s.errors, 2);
        QCOMPARE(s.port(1, AhciSetup::Ci), 0u);
        QCOMPARE(s.port(1, AhciSetup::Tfd), goodTaskFile);
        QCOMPARE(s.transferred(1), 4096u);
        QVERIFY(std::ranges::all_of(s.data(4096), [](auto byte) { return byte == 0xd1; }));
    }

    void discHasOneTrack()
    {
        AhciSetup s;
        s.startPort(1);
        s.sense();
        QCOMPARE(s.packet({ 0x43, 0, 0, 0, 0, 0, 0, 0, 20 }, 20), goodTaskFile);
        QCOMPARE(loadBig<std::uint16_t>(s.data(2)), 18);
        QCOMPARE(s.data(20)[6], 1);
        QCOMPARE(s.data(20)[14], 0xaa);
        QCOMPARE(loadBig<std::uint32_t>(s.data(20).subspan(16)), 64u);
        QCOMPARE(s.packet({ 0x43, 2, 0, 0, 0, 0, 0xaa, 0, 12 }, 12), goodTaskFile); // as minutes
        QCOMPARE(s.data(12)[10], 2);                                                // 64 + 150 frames
        QCOMPARE(s.data(12)[11], 64);
        QCOMPARE(s.packet({ 0x51, 0, 0, 0, 0, 0, 0, 0, 34 }, 34), goodTaskFile);
        QCOMPARE(s.data(34)[2], 0x0e);
        QCOMPARE(s.packet({ 0x46, 0, 0, 0, 0, 0, 0, 0, 64 }, 64), goodTaskFile);
        QCOMPARE(loadBig<std::uint16_t>(s.data(8).subspan(6)), 8); // a CD
        QCOMPARE(s.packet({ 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64 }, 64), goodTaskFile);
        QCOMPARE(s.transferred(1), 28u);
        QCOMPARE(s.data(28)[8], 0x2a);
    }

    void mediumIsChangedWhileTheGuestLooks()
    {
        AhciSetup s;
        s.startPort(1);
        s.sense();
        auto const event = [&] {
            s.packet({ 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8 }, 8);
            return std::pair<int, int>(s.data(8)[4], s.data(8)[5]);
        };
        QCOMPARE(event(), (std::pair(0, 2)));
        s.controller.changeDevice(1, [&] { s.drive->setMedium(nullptr); });
        QCOMPARE(s.packet({ 0 }), 0x2451u);
        QCOMPARE(s.sense(), (Sense { 2, 0x3a, 2 }));
        QCOMPARE(event(), (std::pair(3, 1)));
        QCOMPARE(event(), (std::pair(0, 1)));
        s.controller.changeDevice(1, [&] { s.drive->setMedium(s.cdImage.get()); });
        QCOMPARE(event(), (std::pair(2, 2)));
        QCOMPARE(s.packet({ 0 }), 0x6451u);
        QCOMPARE(s.sense(), (Sense { 6, 0x28, 0 }));
        QCOMPARE(s.packet({ 0 }), goodTaskFile);
        s.drive->noteEjectRequest();
        QCOMPARE(event(), (std::pair(1, 2)));
    }

    void aChangeWaitsForWhatWasInFlightBefore()
    {
        AhciSetup s;
        s.startPort(1);
        s.sense();
        for (unsigned slot = 0; slot < 2; ++slot)
            s.prepare(1, slot, AhciSetup::fis(0xa0, 0xfeff00, 0, 1), { { AhciSetup::dataAt, 2048 } },
                { 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0 });
        s.issue(1, 3);
        s.loop.turn(); // the first is with the host
        std::promise<void> changed;
        auto returned
            = std::async(std::launch::async, [&] { s.controller.changeDevice(1, [&] { changed.set_value(); }); });
        QVERIFY(tests::comes(changed.get_future()));
        QVERIFY(s.engine.wait()); // it is done, and the second in flight
        bool const inTime = tests::comes(returned);
        QCOMPARE(s.port(1, AhciSetup::Ci), 2u);
        s.settle();
        QVERIFY(inTime);
    }

    void guestLocksAndEjects()
    {
        AhciSetup s;
        s.startPort(1);
        s.sense();
        QCOMPARE(s.packet({ 0x1e, 0, 0, 0, 1 }), goodTaskFile);
        QVERIFY(s.drive->isLocked());
        QCOMPARE(s.packet({ 0x1b, 0, 0, 0, 2 }), 0x5451u);
        QCOMPARE(s.sense(), (Sense { 5, 0x53, 2 }));
        QCOMPARE(s.packet({ 0x1e, 0, 0, 0, 0 }), goodTaskFile);
        QCOMPARE(s.packet({ 0x1b, 0, 0, 0, 2 }), goodTaskFile);
        QCOMPARE(s.ejects, 1);
        QVERIFY(!s.drive->hasMedium());
        QCOMPARE(s.packet({ 0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8 }, 8), goodTaskFile);
        QCOMPARE(s.data(8)[1], 0x10); // open
        QCOMPARE(s.packet({ 0x1b, 0, 0, 0, 3 }), goodTaskFile);
        s.packet({ 0 });
        QCOMPARE(s.sense(), (Sense { 2, 0x3a, 1 }));
        QCOMPARE(s.packet({ 0x1b, 0, 0, 0, 2 }), goodTaskFile);
        QCOMPARE(s.ejects, 1);
    }

    void driveTellsDisksDriverWhatItIs()
    {
        AhciSetup s;
        s.startPort(1);
        QCOMPARE(s.ata(1, AhciSetup::fis(0xec, 0, 0), 512), 0x451u);
        QCOMPARE(s.received(1, 0x45, 2)[0], 0x14);
        QCOMPARE(s.received(1, 0x46, 1)[0], 0xeb);
        s.recover(1);
        QCOMPARE(s.ata(1, AhciSetup::fis(0xa1, 0, 0), 512), goodTaskFile);
        QCOMPARE(loadLittle<std::uint16_t>(s.data(2)), 0x85c0);
    }
};

REGISTER_SUITE(AhciTest);
#include "ahci_test.moc"
