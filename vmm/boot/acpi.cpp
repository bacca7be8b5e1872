#include "vmm/boot/acpi.h"

#include "vmm/devices/ich9_lpc.h"
#include "vmm/memory/layout.h"

#include <cassert>
#include <numeric>

namespace vmm {

namespace {

/// Room for all tables: a fixed size, since firmware asks for it before it programs what they depend on.
constexpr std::size_t tablesSize = 0x8000;

constexpr unsigned headerSize = 36, checksumOffset = 9;

template<typename T>
void append(Bytes& to, T value)
{
    auto const bytes = bytesOf(value);
    to.insert(to.end(), bytes.begin(), bytes.end());
}

void appendText(Bytes& to, std::string_view text, std::size_t width)
{
    for (std::size_t i = 0; i < width; ++i)
        to.push_back(static_cast<std::uint8_t>(i < text.size() ? text[i] : ' '));
}

/// 5.2.6 "System Description Table Header"; the length and the checksum come last.
Bytes tableHeader(std::string_view signature, std::uint8_t revision)
{
    Bytes table;
    appendText(table, signature, 4);
    append(table, std::uint32_t(0));
    append(table, revision);
    append(table, std::uint8_t(0));
    appendText(table, "CHRONO", 6);
    appendText(table, "CHRONOVM", 8);
    append(table, std::uint32_t(1));
    appendText(table, "CHRV", 4);
    append(table, std::uint32_t(1));
    return table;
}

class Assembler {
public:
    explicit Assembler(AcpiTables& out) : m_out(out) { }

    /// Returns the table's offset.
    std::uint32_t add(Bytes table)
    {
        align(16);
        auto const offset = static_cast<std::uint32_t>(m_out.tables.size());
        auto const length = static_cast<std::uint32_t>(table.size());
        storeLittle(ByteSpan(table).subspan(4, 4), length);
        m_out.tables.insert(m_out.tables.end(), table.begin(), table.end());
        m_out.checksums.push_back({ AcpiTables::Blob::Tables, offset + checksumOffset, offset, length });
        return offset;
    }
    std::uint32_t addRaw(Bytes const& table)
    {
        align(64);
        auto const offset = static_cast<std::uint32_t>(m_out.tables.size());
        m_out.tables.insert(m_out.tables.end(), table.begin(), table.end());
        return offset;
    }
    void pointer(AcpiTables::Blob blob, std::uint32_t at, std::uint8_t size, std::uint64_t target)
    {
        auto& bytes = blob == AcpiTables::Blob::Rsdp ? m_out.rsdp : m_out.tables;
        storeLittle(ByteSpan(bytes).subspan(at, size), target);
        m_out.pointers.push_back({ blob, at, size });
    }

private:
    void align(std::size_t to) { m_out.tables.resize(alignUp(m_out.tables.size(), to)); }
    AcpiTables& m_out;
};

/// 5.2.10 "Firmware ACPI Control Structure (FACS)": no waking, so only the frame of it.
Bytes facs()
{
    Bytes table;
    appendText(table, "FACS", 4);
    append(table, std::uint32_t(64));
    table.resize(64);
    table[32] = 1; // version
    return table;
}

/// 3.2.3.1 "Generic Address Structure" for an I/O port.
void appendPort(Bytes& to, std::uint8_t bits, std::uint64_t port)
{
    append(to, std::uint8_t(1));
    append(to, bits);
    append(to, std::uint8_t(0));
    append(to, std::uint8_t(0));
    append(to, port);
}

constexpr std::uint32_t fadtFacs = 36, fadtDsdt = 40, fadtXDsdt = 140;

/// 5.2.9 "Fixed ACPI Description Table (FADT)", as of ACPI 2.0 with the extended addresses (revision 3).
Bytes fadt(AcpiConfig const& config)
{
    constexpr std::uint16_t pm = Ich9Lpc::pmBase;
    auto t = tableHeader("FACP", 3);
    append(t, std::uint32_t(0)); // FACS, DSDT: pointers
    append(t, std::uint32_t(0));
    append(t, std::uint8_t(0));
    append(t, std::uint8_t(1)); // preferred profile: desktop
    append(t, std::uint16_t(Ich9Lpc::sciGsi));
    append(t, std::uint32_t(0xb2)); // SMI_CMD
    append(t, Ich9Lpc::acpiEnable);
    append(t, Ich9Lpc::acpiDisable);
    append(t, std::uint8_t(0));   // S4BIOS
    append(t, std::uint8_t(0));   // P-state control
    append(t, std::uint32_t(pm)); // PM1a event
    append(t, std::uint32_t(0));
    append(t, std::uint32_t(pm + 4)); // PM1a control
    append(t, std::uint32_t(0));
    append(t, std::uint32_t(0));         // PM2
    append(t, std::uint32_t(pm + 8));    // timer
    append(t, std::uint32_t(pm + 0x20)); // GPE0
    append(t, std::uint32_t(0));
    for (std::uint8_t const length : { 4, 2, 0, 4, 16, 0 }) // PM1 event, PM1 control, PM2, timer, GPE0, GPE1
        append(t, length);
    append(t, std::uint8_t(0));      // GPE1 base
    append(t, std::uint8_t(0));      // C-state control
    append(t, std::uint16_t(0xfff)); // C2 and C3 latency: not supported
    append(t, std::uint16_t(0xfff));
    append(t, std::uint32_t(0));                          // flush size and stride: WBINVD works
    for (std::uint8_t const value : { 0, 0, 0, 0, 0x32 }) // duty cycle (2), day and month alarm, century in the RTC
        append(t, value);
    // Legacy devices, a keyboard controller; without a display adapter: do not probe for one.
    append(t, std::uint16_t(0x0003 | (config.display ? 0 : 0x0004)));
    append(t, std::uint8_t(0));
    // WBINVD, C1 on all processors, no sleep button, a reset register.
    append(t, std::uint32_t(1 << 0 | 1 << 2 | 1 << 5 | 1 << 10));
    appendPort(t, 8, 0xcf9);
    append(t, std::uint8_t(0x06));
    append(t, std::uint16_t(0));
    append(t, std::uint8_t(0));
    append(t, std::uint64_t(0)); // X_FACS: the 32-bit one is used
    append(t, std::uint64_t(0)); // X_DSDT: pointer
    appendPort(t, 32, pm);
    t.resize(t.size() + 12);
    appendPort(t, 16, pm + 4);
    t.resize(t.size() + 24);
    appendPort(t, 32, pm + 8);
    appendPort(t, 128, pm + 0x20);
    t.resize(t.size() + 12);
    assert(t.size() == 244);
    return t;
}

/// 5.2.12 "Multiple APIC Description Table (MADT)".
Bytes madt(AcpiConfig const& config)
{
    auto t = tableHeader("APIC", 1);
    append(t, static_cast<std::uint32_t>(layout::localApic));
    append(t, std::uint32_t(1)); // there are 8259s too
    for (unsigned cpu = 0; cpu < config.cpus; ++cpu) {
        append(t, std::uint16_t(0x0800)); // local APIC
        append(t, static_cast<std::uint8_t>(cpu));
        append(t, static_cast<std::uint8_t>(cpu));
        append(t, std::uint32_t(1));
    }
    append(t, std::uint16_t(0x0c01)); // IOAPIC 0, from interrupt 0 on
    append(t, std::uint16_t(0));
    append(t, static_cast<std::uint32_t>(layout::ioApic));
    append(t, std::uint32_t(0));
    auto const overrides = [&](std::uint8_t source, std::uint32_t gsi, std::uint16_t flags) {
        append(t, std::uint16_t(0x0a02));
        append(t, std::uint8_t(0));
        append(t, source);
        append(t, gsi);
        append(t, flags);
    };
    overrides(0, 2, 0);                                  // the timer
    overrides(Ich9Lpc::sciGsi, Ich9Lpc::sciGsi, 0x000d); // SCI: active high, level
    append(t, std::uint16_t(0x0604));                    // NMI at LINT1 of all processors
    append(t, std::uint8_t(0xff));
    append(t, std::uint16_t(0));
    append(t, std::uint8_t(1));
    return t;
}

/// PCI Firmware Specification, Rev. 3.0, 4.1.2 "MCFG Table Description".
Bytes mcfg(AcpiConfig const& config)
{
    auto t = tableHeader("MCFG", 1);
    append(t, std::uint64_t(0));
    append(t, config.ecamBase);
    append(t, std::uint16_t(0));
    append(t, std::uint8_t(0));
    append(t, std::uint8_t(0xff));
    append(t, std::uint32_t(0));
    return t;
}

/// Windows ACPI Emulated Devices Table: the PM timer may be read once, it is always right.
Bytes waet()
{
    auto t = tableHeader("WAET", 1);
    append(t, std::uint32_t(1 << 1));
    return t;
}

}

AcpiTables buildAcpi(AcpiConfig const& config)
{
    using Blob = AcpiTables::Blob;
    AcpiTables out;
    Assembler assembler(out);

    auto const facsAt = assembler.addRaw(facs());
    auto dsdt = tableHeader("DSDT", 2);
    auto const body = buildDsdt(config);
    dsdt.insert(dsdt.end(), body.begin(), body.end());
    auto const dsdtAt = assembler.add(std::move(dsdt));
    auto const fadtAt = assembler.add(fadt(config));
    assembler.pointer(Blob::Tables, fadtAt + fadtFacs, 4, facsAt);
    assembler.pointer(Blob::Tables, fadtAt + fadtDsdt, 4, dsdtAt);
    assembler.pointer(Blob::Tables, fadtAt + fadtXDsdt, 8, dsdtAt);

    std::vector<std::uint32_t> const listed { fadtAt, assembler.add(madt(config)), assembler.add(mcfg(config)),
        assembler.add(waet()) };
    auto const list = [&](std::string_view signature, std::uint8_t width) {
        auto t = tableHeader(signature, 1);
        t.resize(t.size() + listed.size() * width);
        auto const at = assembler.add(std::move(t));
        for (std::size_t i = 0; i < listed.size(); ++i)
            assembler.pointer(Blob::Tables, static_cast<std::uint32_t>(at + headerSize + i * width), width, listed[i]);
        return at;
    };
    auto const rsdtAt = list("RSDT", 4);
    auto const xsdtAt = list("XSDT", 8);

    // 5.2.5.3 "Root System Description Pointer (RSDP) Structure".
    appendText(out.rsdp, "RSD PTR ", 8);
    append(out.rsdp, std::uint8_t(0));
    appendText(out.rsdp, "CHRONO", 6);
    append(out.rsdp, std::uint8_t(2));
    out.rsdp.resize(36);
    out.rsdp[20] = 36;
    assembler.pointer(Blob::Rsdp, 16, 4, rsdtAt);
    assembler.pointer(Blob::Rsdp, 24, 8, xsdtAt);
    out.checksums.push_back({ Blob::Rsdp, 8, 0, 20 });
    out.checksums.push_back({ Blob::Rsdp, 32, 0, 36 });

    assert(out.tables.size() <= tablesSize);
    out.tables.resize(tablesSize);
    return out;
}

namespace {

/// One command of the loader script: 128 bytes, the fields packed without gaps.
class LoaderCommand {
public:
    explicit LoaderCommand(std::uint32_t code) { append(m_bytes, code); }
    LoaderCommand& file(AcpiTables::Blob blob)
    {
        auto const name = blob == AcpiTables::Blob::Rsdp ? acpiRsdpFile : acpiTablesFile;
        m_bytes.insert(m_bytes.end(), name.begin(), name.end());
        m_bytes.resize(m_bytes.size() + 56 - name.size());
        return *this;
    }
    template<typename T>
    LoaderCommand& value(T value)
    {
        append(m_bytes, value);
        return *this;
    }
    void addTo(Bytes& script)
    {
        m_bytes.resize(128);
        script.insert(script.end(), m_bytes.begin(), m_bytes.end());
    }

private:
    Bytes m_bytes;
};

constexpr std::uint32_t loaderAllocate = 1, loaderAddPointer = 2, loaderAddChecksum = 3;
constexpr std::uint8_t zoneHigh = 1, zoneFSegment = 2;

}

Bytes acpiLoaderScript(AcpiTables const& tables)
{
    using Blob = AcpiTables::Blob;
    Bytes script;
    LoaderCommand(loaderAllocate).file(Blob::Rsdp).value(std::uint32_t(16)).value(zoneFSegment).addTo(script);
    LoaderCommand(loaderAllocate).file(Blob::Tables).value(std::uint32_t(64)).value(zoneHigh).addTo(script);
    for (auto const& pointer : tables.pointers)
        LoaderCommand(loaderAddPointer)
            .file(pointer.blob)
            .file(Blob::Tables)
            .value(pointer.offset)
            .value(pointer.size)
            .addTo(script);
    for (auto const& checksum : tables.checksums)
        LoaderCommand(loaderAddChecksum)
            .file(checksum.blob)
            .value(checksum.offset)
            .value(checksum.start)
            .value(checksum.length)
            .addTo(script);
    return script;
}

Bytes acpiSystemStates()
{
    // One byte for each of S0 to S5; the top bit says that the state exists.
    return { 0x80, 0, 0, 0, 0, 0x80 };
}

void placeAcpi(AcpiTables& tables, std::uint64_t tablesAddress)
{
    auto const blob = [&](AcpiTables::Blob which) {
        return ByteSpan(which == AcpiTables::Blob::Rsdp ? tables.rsdp : tables.tables);
    };
    for (auto const& pointer : tables.pointers) {
        auto const place = blob(pointer.blob).subspan(pointer.offset, pointer.size);
        storeLittle(place, loadLittle<std::uint64_t>(place) + tablesAddress);
    }
    for (auto const& checksum : tables.checksums) {
        auto const bytes = blob(checksum.blob);
        bytes[checksum.offset] = 0;
        auto const covered = bytes.subspan(checksum.start, checksum.length);
        bytes[checksum.offset] = static_cast<std::uint8_t>(0u - std::accumulate(covered.begin(), covered.end(), 0u));
    }
    tables.pointers.clear();
    tables.checksums.clear();
}

}
