#include "tests/support/suite.h"
#include "vmm/boot/memory_map.h"
#include "vmm/boot/smbios.h"
#include "vmm/memory/layout.h"

#include <numeric>

using namespace vmm;

namespace {

SmbiosConfig sample()
{
    return { .uuid = "00112233-4455-6677-8899-aabbccddeeff",
        .name = "a machine",
        .cpus = 2,
        .ramSize = std::uint64_t(64) << 30 };
}

std::uint8_t sum(ConstByteSpan bytes)
{
    return std::accumulate(bytes.begin(), bytes.end(), std::uint8_t(0));
}

/// The offsets of all structures, by walking from one to the next as a reader does.
std::vector<std::pair<std::uint8_t, std::size_t>> walk(Bytes const& tables)
{
    std::vector<std::pair<std::uint8_t, std::size_t>> found;
    for (std::size_t at = 0; at < tables.size();) {
        found.emplace_back(tables[at], at);
        at += tables[at + 1];
        while (tables[at] != 0 || tables[at + 1] != 0)
            ++at;
        at += 2;
    }
    return found;
}

}

class SmbiosTest : public QObject {
    Q_OBJECT
private slots:
    void anchorAddsUpWhereverItIsPlaced()
    {
        auto smbios = *buildSmbios(sample());
        QCOMPARE(smbios.anchor.size(), 31u);
        for (std::uint32_t const address : { 0u, 0xf1000u }) {
            smbios.place(address);
            QCOMPARE(sum(smbios.anchor), 0);
            QCOMPARE(sum(ConstByteSpan(smbios.anchor).subspan(16)), 0);
            QCOMPARE(loadLittle<std::uint32_t>(ConstByteSpan(smbios.anchor).subspan(24)), address);
        }
        QCOMPARE(loadLittle<std::uint16_t>(ConstByteSpan(smbios.anchor).subspan(22, 2)), smbios.tables.size());
    }

    void structuresHaveTheLengthsOfTheirVersion()
    {
        auto const smbios = *buildSmbios(sample());
        auto const found = walk(smbios.tables);
        QCOMPARE(found.size(), loadLittle<std::uint16_t>(ConstByteSpan(smbios.anchor).subspan(28, 2)));
        QCOMPARE(found.back().first, 127);
        std::map<int, int> const lengths { { 0, 0x18 }, { 1, 0x1b }, { 3, 0x16 }, { 4, 0x2a }, { 16, 0x17 },
            { 17, 0x28 }, { 19, 0x1f }, { 32, 0x0b }, { 127, 4 } };
        for (auto const& [type, at] : found)
            QCOMPARE(int(smbios.tables[at + 1]), lengths.at(type));
        QCOMPARE(std::count_if(found.begin(), found.end(), [](auto const& entry) { return entry.first == 4; }), 2);
    }

    void uuidIsMixedEndian()
    {
        auto const smbios = *buildSmbios(sample());
        auto const system = walk(smbios.tables)[1].second;
        QCOMPARE(Bytes(smbios.tables.begin() + std::ptrdiff_t(system + 8),
                     smbios.tables.begin() + std::ptrdiff_t(system + 24)),
            Bytes({ 0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff }));
    }

    void wrongUuidIsRefused()
    {
        for (auto const* uuid :
            { "", "0011", "zz112233-4455-6677-8899-aabbccddeeff", "00112233-4455-6677-8899-aabbccddeeff00" }) {
            auto config = sample();
            config.uuid = uuid;
            QVERIFY(!buildSmbios(config));
        }
    }

    void longAndOddNamesAreCut()
    {
        auto config = sample();
        config.name = std::string(1000, 'n') + std::string(1, '\0');
        QCOMPARE(walk(buildSmbios(config)->tables).size(), 10u);
        config.name = std::string("a\0b", 3);
        QCOMPARE(walk(buildSmbios(config)->tables).size(), 10u);
    }

    void mapsCoverAllOfRamOnceAndInOrder()
    {
        for (std::uint64_t const ram :
            { std::uint64_t(64) << 20, std::uint64_t(0xb0000000), std::uint64_t(3) << 30, std::uint64_t(8) << 30 }) {
            for (auto const& map : { firmwareMemoryMap(ram), directBootMemoryMap(ram) }) {
                std::uint64_t total = 0, end = 0;
                for (auto const& entry : map) {
                    QVERIFY(entry.size > 0 && entry.address >= end);
                    end = entry.address + entry.size;
                    if (entry.type == MemoryMapEntry::Type::Ram)
                        total += entry.size;
                }
                QVERIFY(total <= ram && total >= ram - (layout::legacyEnd - layout::lowMemoryEnd));
                QCOMPARE(memoryMapBytes(map).size(), 20 * map.size());
            }
        }
    }
};

REGISTER_SUITE(SmbiosTest);
#include "smbios_test.moc"
