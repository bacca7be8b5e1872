#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/devices/fw_cfg.h"

#include <nlohmann/json.hpp>

using namespace vmm;

namespace {

constexpr GuestAddress requestAt = 0x1000, bufferAt = 0x2000;
constexpr std::uint32_t readBit = 2, skipBit = 4, selectBit = 8, writeBit = 16;

struct Port {
    tests::FakeBoard board;
    FwCfg device { board.ram };

    Port()
    {
        device.addNumber<std::uint16_t>(FwCfg::CpuCount, 4);
        device.addFile("etc/b", { 'b', 'b' });
        device.addFile("bootorder", { 'x' });
    }
    void select(std::uint16_t key) { device.dataWindow().write(0, bytesOf(key)); }
    std::string take(std::size_t length)
    {
        std::string text;
        for (std::size_t i = 0; i < length; ++i) {
            std::uint8_t byte = 0;
            device.dataWindow().read(1, { &byte, 1 });
            text += static_cast<char>(byte);
        }
        return text;
    }
    /// What the device answers to a DMA request.
    std::uint32_t dma(std::uint32_t control, std::uint32_t length, GuestAddress address, GuestAddress at = requestAt)
    {
        std::array<std::uint8_t, 16> request;
        storeBig(request, control);
        storeBig(std::span(request).subspan(4), length);
        storeBig(std::span(request).subspan(8), address);
        if (!board.ram.write(at, request))
            return 0xdead;
        std::array<std::uint8_t, 8> where;
        storeBig(where, at);
        device.dmaWindow().write(0, std::span(where).first(4));
        device.dmaWindow().write(4, std::span(where).subspan(4));
        std::array<std::uint8_t, 4> answer {};
        return board.ram.read(at, answer) ? loadBig<std::uint32_t>(answer) : 0xdead;
    }
    std::string memory(std::size_t length)
    {
        return { reinterpret_cast<char const*>(board.ram.at(bufferAt, length)), length };
    }
};

}

class FwCfgTest : public QObject {
    Q_OBJECT
private slots:
    void batteryHolds()
    {
        tests::FakeBoard board;
        tests::battery<FwCfg>([&] { return std::make_unique<FwCfg>(board.ram); },
            [](FwCfg& device) {
                device.dataWindow().write(0, bytesOf(std::uint16_t(FwCfg::Signature)));
                std::uint8_t byte = 0;
                device.dataWindow().read(1, { &byte, 1 });
                std::array<std::uint8_t, 4> half;
                storeBig(half, std::uint32_t(0x12));
                device.dmaWindow().write(0, half);
            });
    }

    void stateWithTheListOfWritableFilesIsRead()
    {
        Port port;
        port.select(FwCfg::Signature);
        port.take(2);
        auto json = port.device.save().toJson();
        json["version"] = 1u;
        json["state"]["writable"] = Json::array();
        json["state"].erase("files");
        Port other;
        REQUIRE_OK(other.device.load(*Section::fromJson(json)));
        QCOMPARE(other.take(2), std::string("MU"));
    }

    void anyAccessIsSafe()
    {
        Port port;
        tests::accessAtRandom(port.device.dataWindow(), FwCfg::dataSize, 1);
        tests::accessAtRandom(port.device.dmaWindow(), FwCfg::dmaSize, 2);
    }

    void signatureIdAndDmaAreFound()
    {
        Port port;
        port.select(FwCfg::Signature);
        QCOMPARE(port.take(4), std::string("QEMU"));
        port.select(FwCfg::Id);
        QCOMPARE(port.take(4), std::string("\3\0\0\0", 4));
        std::array<std::uint8_t, 4> half {};
        port.device.dmaWindow().read(4, half);
        QCOMPARE(loadBig<std::uint32_t>(half), 0x20434647u);
    }

    void bytesBeyondTheEndAreZero()
    {
        Port port;
        port.select(FwCfg::CpuCount);
        QCOMPARE(port.take(4), std::string("\4\0\0\0", 4));
        port.select(0x3fff);
        QCOMPARE(port.take(2), std::string("\0\0", 2));
    }

    void directoryIsSortedByName()
    {
        Port port;
        port.select(FwCfg::FileDirectory);
        auto const directory = port.take(4 + 2 * 64);
        QCOMPARE(directory.substr(0, 4), std::string("\0\0\0\2", 4));
        QCOMPARE(std::string(directory.data() + 12), std::string("bootorder"));
        QCOMPARE(directory.substr(4, 8), std::string("\0\0\0\1\0\x20\0\0", 8));
        QCOMPARE(std::string(directory.data() + 64 + 12), std::string("etc/b"));
        QCOMPARE(directory.substr(4 + 64, 8), std::string("\0\0\0\2\0\x21\0\0", 8));
        port.select(0x21);
        QCOMPARE(port.take(2), std::string("bb"));

        port.device.removeFile("bootorder");
        port.device.removeFile("none");
        port.select(FwCfg::FileDirectory);
        auto const rest = port.take(4 + 64);
        QCOMPARE(rest.substr(0, 4), std::string("\0\0\0\1", 4));
        QCOMPARE(std::string(rest.data() + 12), std::string("etc/b"));
        QCOMPARE(rest.substr(4, 8), std::string("\0\0\0\2\0\x20\0\0", 8));
        port.select(0x20);
        QCOMPARE(port.take(2), std::string("bb"));
    }

    /// A machine may have other files than the one that was saved: its guest has read the directory, and begins anew
    /// with a reset.
    void aGuestThatComesBackFindsItsFilesUnderTheirKeys()
    {
        Port port;
        port.device.addFile("etc/a", { 'a', 'a' });
        auto const saved = port.device.save(); // bootorder, etc/a, etc/b
        port.device.removeFile("bootorder");
        port.device.addFile("etc/aa", { 'n' });
        REQUIRE_OK(port.device.load(saved));
        port.select(0x20);
        QCOMPARE(port.take(2), std::string("\0\0", 2));
        port.select(0x21);
        QCOMPARE(port.take(2), std::string("aa"));
        port.select(0x22);
        QCOMPARE(port.take(2), std::string("bb"));
        port.select(FwCfg::FileDirectory);
        auto const directory = port.take(4 + 3 * 64);
        QCOMPARE(directory.substr(0, 12), std::string("\0\0\0\3\0\0\0\0\0\x20\0\0", 12));
        QCOMPARE(std::string(directory.data() + 12), std::string("bootorder"));
        QVERIFY(port.device.save().toJson()["state"]["files"] == saved.toJson()["state"]["files"]);
        port.device.reset();
        port.select(0x21);
        QCOMPARE(port.take(2), std::string("n\0", 2));
    }

    /// States of version 2 did not tell the files.
    void anOlderStateHasTheFilesOfTheMachine()
    {
        Port port;
        auto json = port.device.save().toJson();
        json["version"] = 2u;
        json["state"].erase("files");
        REQUIRE_OK(port.device.load(tests::must(Section::fromJson(json))));
        port.select(0x21);
        QCOMPARE(port.take(2), std::string("bb"));
    }

    void filesThatCannotBeAreRefused()
    {
        Port port;
        for (auto const& name : { std::string(), std::string(FwCfg::maximumName + 1, 'x'), std::string("etc/b") }) {
            auto json = port.device.save().toJson();
            json["state"]["files"].push_back(name);
            auto const loaded = port.device.load(tests::must(Section::fromJson(json)));
            QVERIFY(!loaded);
            QCOMPARE(loaded.error().code, ErrorCode::Corrupt);
        }
        port.select(0x21);
        QCOMPARE(port.take(2), std::string("bb"));
    }

    void dmaReadsAndFillsWithZeros()
    {
        Port port;
        std::memset(port.board.ram.at(bufferAt, 8), 0xff, 8);
        QCOMPARE(port.dma((0x21u << 16) | selectBit | readBit, 4, bufferAt), 0u);
        QCOMPARE(port.memory(5), std::string("bb\0\0\xff", 5));
    }

    void dmaSkips()
    {
        Port port;
        port.select(FwCfg::Signature);
        QCOMPARE(port.dma(skipBit, 2, 0), 0u);
        QCOMPARE(port.take(2), std::string("MU"));
        QCOMPARE(port.dma(skipBit, 0xffffffff, 0), 0u);
        QCOMPARE(port.take(1), std::string("\0", 1));
    }

    void dmaOutsideRamFails()
    {
        Port port;
        QCOMPARE(port.dma((0x21u << 16) | selectBit | readBit, 2, 0xfffffffffffffffe), 1u);
        QCOMPARE(port.dma((0x21u << 16) | selectBit | readBit, 0xffffffff, bufferAt), 1u);
        port.device.dmaWindow().write(0, bytesOf(~std::uint64_t(0))); // no answer possible, and no crash
    }

    void dmaOfNothingButZerosFails()
    {
        Port port;
        std::memset(port.board.ram.at(bufferAt, 8), 0xff, 8);
        QCOMPARE(port.dma((0x21u << 16) | selectBit | readBit, 0xffffffff, bufferAt), 1u);
        QCOMPARE(port.memory(3), std::string("\xff\xff\xff"));
    }

    void dmaDoesNotWrite()
    {
        Port port;
        QVERIFY(port.board.ram.write(bufferAt, bytesOf("wxyz!")));
        QCOMPARE(port.dma((0x21u << 16) | selectBit | writeBit, 1, bufferAt), 1u);
        QCOMPARE(port.dma((0x21u << 16) | selectBit | writeBit, 0, bufferAt), 0u);
        port.select(0x21);
        QCOMPARE(port.take(2), std::string("bb"));
    }

    void contentsAreMadeAtSelection()
    {
        Port port;
        int made = 0;
        port.device.addFile("acpi", Bytes(1), [&](Bytes& bytes) { bytes[0] = static_cast<std::uint8_t>(++made); });
        port.select(0x20);
        QCOMPARE(port.take(1), std::string("\1"));
        QCOMPARE(made, 1);
        QCOMPARE(port.dma((0x20u << 16) | selectBit | readBit, 1, bufferAt), 0u);
        QCOMPARE(made, 2);
    }

    void contentsAreMadeAnewAfterRestoring()
    {
        Port port;
        bool made = false;
        port.device.addFile("acpi", Bytes(2), [&](Bytes& bytes) { made = true, bytes = { '1', '2' }; });
        port.select(0x20);
        port.take(1);
        auto const saved = port.device.save();
        made = false;
        REQUIRE_OK(port.device.load(saved));
        QVERIFY(!made);
        QCOMPARE(port.take(1), std::string("2"));
        QVERIFY(made);
    }
};

REGISTER_SUITE(FwCfgTest);
#include "fw_cfg_test.moc"
