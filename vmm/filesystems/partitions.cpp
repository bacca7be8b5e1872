#include "vmm/filesystems/partitions.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace vmm {

namespace {

constexpr std::uint64_t sector = 512;
constexpr std::size_t mostPartitions = 128;
using Sector = std::array<std::uint8_t, sector>;

class Finder {
public:
    explicit Finder(ByteSource& disk) : m_disk(disk) { }

    Result<std::vector<Partition>> all()
    {
        auto const first = TRY(readSector(0));
        if (!isTable(first)) {
            add(0, 0, m_disk.size());
            return m_found;
        }
        bool const isProtective
            = std::ranges::any_of(entriesOf(first), [](Entry const& one) { return one.type == 0xee; });
        if (isProtective)
            TRY(addGpt());
        if (m_found.empty())
            TRY(addMbr(first));
        // A boot sector of a file system ends as a table does.
        if (m_found.empty())
            add(0, 0, m_disk.size());
        return m_found;
    }

private:
    /// A table's entry: status, CHS, type, CHS, first sector (4), number of sectors (4).
    struct Entry {
        std::uint8_t status = 0, type = 0;
        std::uint64_t first = 0, count = 0;
    };

    static bool isTable(Sector const& data) { return data[510] == 0x55 && data[511] == 0xaa; }

    static std::array<Entry, 4> entriesOf(Sector const& data)
    {
        std::array<Entry, 4> entries;
        for (std::size_t i = 0; i < entries.size(); ++i) {
            auto const raw = ConstByteSpan(data).subspan(446 + 16 * i, 16);
            entries[i] = { raw[0], raw[4], loadLittle<std::uint32_t>(raw.subspan(8, 4)),
                loadLittle<std::uint32_t>(raw.subspan(12, 4)) };
        }
        return entries;
    }

    Result<Sector> readSector(std::uint64_t number)
    {
        Sector data {};
        if (number < m_disk.size() / sector)
            TRY(m_disk.read(number * sector, data));
        return data;
    }

    void add(unsigned number, std::uint64_t first, std::uint64_t bytes)
    {
        auto const all = m_disk.size();
        if (bytes > 0 && first < all / sector && bytes <= all - first * sector && m_found.size() < mostPartitions)
            m_found.push_back({ number, first * sector, bytes });
    }

    static bool isExtended(Entry const& entry)
    {
        return entry.type == 0x05 || entry.type == 0x0f || entry.type == 0x85;
    }

    Result<> addMbr(Sector const& table)
    {
        auto const entries = entriesOf(table);
        for (unsigned i = 0; i < entries.size(); ++i) {
            auto const& entry = entries[i];
            if (entry.type == 0 || (entry.status & 0x7f) != 0)
                continue;
            if (isExtended(entry))
                TRY(addLogical(entry.first));
            else
                add(i + 1, entry.first, entry.count * sector);
        }
        return {};
    }

    /// A chain of tables, each with a partition and where the next table is, from the first one on.
    Result<> addLogical(std::uint64_t begin)
    {
        std::uint64_t at = begin;
        for (unsigned number = 5; number < 5 + mostPartitions; ++number) {
            auto const table = TRY(readSector(at));
            auto const entries = entriesOf(table);
            if (!isTable(table) || entries[0].type == 0)
                return {};
            add(number, at + entries[0].first, entries[0].count * sector);
            if (!isExtended(entries[1]))
                return {};
            at = begin + entries[1].first;
        }
        return {};
    }

    /// UEFI 2.10, 5.3.2 "GPT Header": "EFI PART", at 72 where the entries are, at 80 how many and 84 how long each.
    Result<> addGpt()
    {
        auto const header = TRY(readSector(1));
        auto const bytes = ConstByteSpan(header);
        constexpr std::string_view signature = "EFI PART";
        if (!std::equal(signature.begin(), signature.end(), bytes.begin()))
            return {};
        auto const table = loadLittle<std::uint64_t>(bytes.subspan(72, 8));
        auto const count = loadLittle<std::uint32_t>(bytes.subspan(80, 4));
        auto const length = loadLittle<std::uint32_t>(bytes.subspan(84, 4));
        if (length < 128 || length > 4096 || table >= m_disk.size() / sector)
            return {};
        for (unsigned i = 0; i < count && i < mostPartitions; ++i) {
            std::array<std::uint8_t, 48> entry {};
            auto const at = table * sector + std::uint64_t(i) * length;
            if (at + entry.size() > m_disk.size())
                return {};
            TRY(m_disk.read(at, entry));
            auto const raw = ConstByteSpan(entry);
            auto const isUsed = std::ranges::any_of(raw.first(16), [](auto byte) { return byte != 0; });
            auto const first = loadLittle<std::uint64_t>(raw.subspan(32, 8));
            auto const last = loadLittle<std::uint64_t>(raw.subspan(40, 8));
            if (isUsed && last >= first && last < m_disk.size() / sector)
                add(i + 1, first, (last - first + 1) * sector);
        }
        return {};
    }

    ByteSource& m_disk;
    std::vector<Partition> m_found;
};

}

Result<std::vector<Partition>> findPartitions(ByteSource& disk)
{
    return Finder(disk).all();
}

}
