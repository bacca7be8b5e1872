#include "vmm/boot/smbios.h"

#include <algorithm>
#include <fmt/format.h>
#include <numeric>

namespace vmm {

namespace {

constexpr std::size_t anchorSize = 31, intermediateOffset = 16;

template<typename T>
void append(Bytes& to, T value)
{
    auto const bytes = bytesOf(value);
    to.insert(to.end(), bytes.begin(), bytes.end());
}

/// One structure: the formatted part, then its strings, each ended by a zero, and a further zero.
class Structure {
public:
    Structure(std::uint8_t type, std::uint16_t handle)
    {
        append(m_formatted, type);
        append(m_formatted, std::uint8_t(0));
        append(m_formatted, handle);
    }
    template<typename T>
    Structure& value(T value)
    {
        append(m_formatted, value);
        return *this;
    }
    Structure& zeroes(std::size_t count)
    {
        m_formatted.resize(m_formatted.size() + count);
        return *this;
    }
    Structure& bytes(ConstByteSpan data)
    {
        m_formatted.insert(m_formatted.end(), data.begin(), data.end());
        return *this;
    }
    Structure& text(std::string_view text)
    {
        if (text.empty())
            return value(std::uint8_t(0));
        // A zero inside would end the string; 64 bytes are what every reader takes.
        for (auto const character : text.substr(0, 64))
            m_strings.push_back(character == 0 ? std::uint8_t('?') : static_cast<std::uint8_t>(character));
        m_strings.push_back(0);
        return value(++m_stringCount);
    }
    Bytes finish()
    {
        m_formatted[1] = static_cast<std::uint8_t>(m_formatted.size());
        auto all = m_formatted;
        all.insert(all.end(), m_strings.begin(), m_strings.end());
        if (m_strings.empty())
            all.push_back(0);
        all.push_back(0);
        return all;
    }

private:
    Bytes m_formatted, m_strings;
    std::uint8_t m_stringCount = 0;
};

/// The first three groups are little-endian (7.2.1 "System — UUID").
Result<Bytes> parseUuid(std::string_view text)
{
    Bytes bytes;
    int high = -1;
    for (auto const character : text) {
        if (character == '-')
            continue;
        auto const digits = std::string_view("0123456789abcdef");
        auto const digit = digits.find(character);
        if (digit == std::string_view::npos)
            return fail(ErrorCode::InvalidArgument, fmt::format("\"{}\" is not a UUID", text));
        if (high < 0)
            high = static_cast<int>(digit);
        else {
            bytes.push_back(static_cast<std::uint8_t>(high << 4 | static_cast<int>(digit)));
            high = -1;
        }
    }
    if (bytes.size() != 16 || high >= 0)
        return fail(ErrorCode::InvalidArgument, fmt::format("\"{}\" is not a UUID", text));
    std::reverse(bytes.begin(), bytes.begin() + 4);
    std::reverse(bytes.begin() + 4, bytes.begin() + 6);
    std::reverse(bytes.begin() + 6, bytes.begin() + 8);
    return bytes;
}

void addUp(ByteSpan bytes, std::size_t checksumOffset)
{
    bytes[checksumOffset] = 0;
    bytes[checksumOffset] = static_cast<std::uint8_t>(0u - std::accumulate(bytes.begin(), bytes.end(), 0u));
}

}

Result<Smbios> buildSmbios(SmbiosConfig const& config)
{
    auto const uuid = TRY(parseUuid(config.uuid));
    auto const mebibytes = config.ramSize >> 20;
    std::vector<Bytes> structures;

    // 7.1 "BIOS Information": characteristics are "not supported", and that this is a virtual machine.
    structures.push_back(Structure(0, 0x0000)
                             .text("Chronovisor")
                             .text("1")
                             .value(std::uint16_t(0xe800))
                             .text("01/01/2026")
                             .value(std::uint8_t(0))
                             .value(std::uint64_t(8))
                             .value(std::uint8_t(0))
                             .value(std::uint8_t(0x1c)) // content distribution, UEFI may be, virtual machine
                             .zeroes(2)
                             .value(std::uint16_t(0xffff))
                             .finish());
    // 7.2 "System Information"; woken by the power switch.
    structures.push_back(Structure(1, 0x0100)
                             .text("Chronovisor")
                             .text("Chronovisor PC (Q35 + ICH9)")
                             .text("1")
                             .text(config.uuid)
                             .bytes(uuid)
                             .value(std::uint8_t(6))
                             .text(config.name)
                             .text("Virtual Machine")
                             .finish());
    // 7.4 "System Enclosure": "other", all states safe, security unknown.
    structures.push_back(Structure(3, 0x0300)
                             .text("Chronovisor")
                             .value(std::uint8_t(1))
                             .text("1")
                             .zeroes(2)
                             .value(std::uint32_t(0x02030303))
                             .zeroes(8)
                             .value(std::uint8_t(0))
                             .finish());
    // 7.5 "Processor Information", one for each: central processor, "other" family, enabled.
    for (unsigned cpu = 0; cpu < config.cpus; ++cpu)
        structures.push_back(Structure(4, static_cast<std::uint16_t>(0x0400 + cpu))
                                 .text(fmt::format("CPU {}", cpu))
                                 .value(std::uint8_t(3))
                                 .value(std::uint8_t(1))
                                 .text("Chronovisor")
                                 .zeroes(8)
                                 .text("1")
                                 .zeroes(7)
                                 .value(std::uint8_t(0x41)) // populated, enabled
                                 .value(std::uint8_t(1))
                                 .value(std::uint16_t(0xffff))
                                 .value(std::uint16_t(0xffff))
                                 .value(std::uint16_t(0xffff))
                                 .zeroes(3)
                                 .value(std::uint8_t(1))
                                 .value(std::uint8_t(1))
                                 .value(std::uint8_t(1))
                                 .value(std::uint16_t(2))
                                 .value(std::uint16_t(1))
                                 .finish());
    // 7.17 "Physical Memory Array", 7.18 "Memory Device", 7.20 "Memory Array Mapped Address".
    structures.push_back(Structure(16, 0x1000)
                             .value(std::uint8_t(1))
                             .value(std::uint8_t(3))
                             .value(std::uint8_t(6))
                             .value(std::uint32_t(0x80000000)) // the 64-bit capacity counts
                             .value(std::uint16_t(0xfffe))
                             .value(std::uint16_t(1))
                             .value(config.ramSize)
                             .finish());
    structures.push_back(Structure(17, 0x1100)
                             .value(std::uint16_t(0x1000))
                             .value(std::uint16_t(0xfffe))
                             .value(std::uint16_t(0xffff))
                             .value(std::uint16_t(0xffff))
                             .value(static_cast<std::uint16_t>(std::min<std::uint64_t>(mebibytes, 0x7fff)))
                             .value(std::uint8_t(9)) // DIMM
                             .value(std::uint8_t(0))
                             .text("DIMM 0")
                             .value(std::uint8_t(0))
                             .value(std::uint8_t(7)) // RAM
                             .value(std::uint16_t(2))
                             .value(std::uint16_t(0))
                             .text("Chronovisor")
                             .zeroes(4)
                             .value(static_cast<std::uint32_t>(mebibytes >= 0x7fff ? mebibytes : 0))
                             .zeroes(8)
                             .finish());
    structures.push_back(Structure(19, 0x1300)
                             .value(std::uint32_t(0xffffffff))
                             .value(std::uint32_t(0xffffffff))
                             .value(std::uint16_t(0x1000))
                             .value(std::uint8_t(1))
                             .value(std::uint64_t(0))
                             .value(config.ramSize - 1)
                             .finish());
    structures.push_back(Structure(32, 0x2000).zeroes(7).finish());
    structures.push_back(Structure(127, 0x7f00).finish());

    Smbios out;
    std::size_t largest = 0;
    for (auto const& structure : structures) {
        largest = std::max(largest, structure.size());
        out.tables.insert(out.tables.end(), structure.begin(), structure.end());
    }
    // 5.2.1 "SMBIOS 2.1 (32-bit) Entry Point".
    for (auto const character : std::string_view("_SM_"))
        append(out.anchor, character);
    append(out.anchor, std::uint8_t(0));
    append(out.anchor, std::uint8_t(anchorSize));
    append(out.anchor, std::uint8_t(2));
    append(out.anchor, std::uint8_t(8));
    append(out.anchor, static_cast<std::uint16_t>(largest));
    out.anchor.resize(intermediateOffset);
    for (auto const character : std::string_view("_DMI_"))
        append(out.anchor, character);
    append(out.anchor, std::uint8_t(0));
    append(out.anchor, static_cast<std::uint16_t>(out.tables.size()));
    append(out.anchor, std::uint32_t(0));
    append(out.anchor, static_cast<std::uint16_t>(structures.size()));
    append(out.anchor, std::uint8_t(0x28));
    out.place(0);
    return out;
}

void Smbios::place(std::uint32_t tablesAddress)
{
    storeLittle(ByteSpan(anchor).subspan(24, 4), tablesAddress);
    addUp(ByteSpan(anchor).subspan(intermediateOffset), 5);
    addUp(anchor, 4);
}

}
