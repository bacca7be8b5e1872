#pragma once

#include "vmm/backends/display.h"
#include "vmm/bus/guest_time.h"
#include "vmm/bus/pci.h"
#include "vmm/devices/edid.h"
#include "vmm/devices/vga_core.h"

#include <map>

namespace vmm {

/// A graphics card, 1234:1111 (QEMU documentation, "QEMU Standard VGA"): a VGA with the Bochs extension.
///
///   BAR 0           video memory, as RAM
///   BAR 2, 4 KiB    000 EDID, 400 ports 3c0 to 3df, 500 extension (16 bits each), 600 size and byte order
///   ports           3b0 to 3df VGA, 1ce index and 1cf (or 1d0) data of the extension
///   a0000 to bffff  the window into video memory
///
/// Ports and window belong to a machine's first card. Video memory is saved by name as RAM is.
///
/// As a Screen it converts outside mutex() what the guest may be writing to, which can tear a picture as a real beam
/// would; the next refresh has the rest.
class Vga final : public PciFunction, public Screen {
public:
    enum class Legacy : std::uint8_t { No, Yes };
    static constexpr std::uint64_t minimumMemory = 1 << 20;

    struct State {
        static constexpr std::string_view kind = "vga";
        static constexpr unsigned version = 1;
        VgaRegisters registers;
        PciState pci;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("registers", s.registers);
            v.field("pci", s.pci);
        }
    };

    /// `memory` is a power of two of at least minimumMemory bytes. `preferredWidth` and `preferredHeight` are what the
    /// monitor prefers, in pixels. `bios` is the card's expansion ROM, where it has one.
    Vga(PciServices const& services, GuestTime& time, MemoryBlock& memory, Legacy legacy = Legacy::Yes,
        MemoryBlock* bios = nullptr, unsigned preferredWidth = 1280, unsigned preferredHeight = 800);
    ~Vga() override;

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

    std::vector<RowRange> refresh(Frame& frame) override;
    void forget(Frame const& frame) override;

    /// The ports and the window, which tests and fuzzers reach without a bus.
    static constexpr std::uint64_t portBase = 0x3b0, portCount = 0x30, dispiBase = 0x1ce, dispiCount = 4,
                                   windowBase = 0xa0000;
    BusHandler& portWindow() { return m_ports; }
    BusHandler& dispiWindow() { return m_dispi; }
    BusHandler& memoryWindow() { return m_window; }

protected:
    void readBar(unsigned index, std::uint64_t offset, ByteSpan data) override;
    void writeBar(unsigned index, std::uint64_t offset, ConstByteSpan data) override;
    void configWritten(unsigned offset, unsigned size) override;

private:
    using Bitmap = std::vector<std::uint64_t>; // a bit for each page of video memory
    struct Reader {
        bool all = true;    // nothing of its frame is right
        Bitmap dirty;       // since it looked
        VgaPicture picture; // that it shows
        Bytes legacy;       // what that was made from, where it is small
    };

    void readPorts(std::uint64_t offset, ByteSpan data);
    void writePorts(std::uint64_t offset, ConstByteSpan data);
    void readDispi(std::uint64_t offset, ByteSpan data);
    void writeDispi(std::uint64_t offset, ConstByteSpan data);
    void readWindow(std::uint64_t offset, ByteSpan data);
    void writeWindow(std::uint64_t offset, ConstByteSpan data);
    void readRegisters(std::uint64_t offset, ByteSpan data);
    void writeRegisters(std::uint64_t offset, ConstByteSpan data);
    void collectDirty();
    void markAll();
    std::vector<RowRange> refreshLegacy(Frame& frame, Reader& reader, bool resized);
    std::vector<RowRange> refreshLinear(Frame& frame, Reader& reader, Bitmap const& dirty, bool all);

    GuestTime& m_time;
    MemoryBlock& m_memory;
    Edid m_edid;
    VgaCore m_core;
    std::optional<GuestAddress> m_lastAddress; // of the memory, where the dirty log was taken
    std::map<Frame const*, Reader> m_readers;  // each used by its frame's owner, outside mutex() too
    BusWindow<Vga> m_ports { *this, &Vga::readPorts, &Vga::writePorts };
    BusWindow<Vga> m_dispi { *this, &Vga::readDispi, &Vga::writeDispi };
    BusWindow<Vga> m_window { *this, &Vga::readWindow, &Vga::writeWindow };
    Legacy m_legacy;
};

}
