#pragma once

#include "vmm/base/bytes.h"
#include "vmm/devices/vga_render.h"
#include "vmm/state/options.h"

#include <array>

namespace vmm {

/// What the guest has written to a VGA and its extension. Indexed registers are named by their group.
struct VgaRegisters {
    std::uint8_t misc = 0, feature = 0;
    std::uint8_t sequencerIndex = 0, crtcIndex = 0, graphicsIndex = 0, attributeIndex = 0;
    std::array<std::uint8_t, 8> sequencer {};
    std::array<std::uint8_t, 32> crtc {};
    std::array<std::uint8_t, 16> graphics {};
    std::array<std::uint8_t, 32> attribute {};
    bool attributeData = false; // the next write to 0x3c0 is data
    bool retrace = false;       // as status register 1 shows it: it changes with each look
    std::array<std::uint8_t, 4> latch {};
    std::uint8_t pixelMask = 0xff;
    std::uint8_t dacReadIndex = 0, dacWriteIndex = 0, dacState = 0, dacComponent = 0;
    std::array<std::uint8_t, 2> dacPending {};
    std::array<std::uint8_t, 768> dac {};
    std::uint16_t dispiIndex = 0;
    std::array<std::uint16_t, 10> dispi { 0xb0c5 };
    bool bigEndian = false;
    bool operator==(VgaRegisters const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("misc", s.misc);
        v.field("feature", s.feature);
        v.field("sequencerIndex", s.sequencerIndex);
        v.field("crtcIndex", s.crtcIndex);
        v.field("graphicsIndex", s.graphicsIndex);
        v.field("attributeIndex", s.attributeIndex);
        v.field("sequencer", s.sequencer);
        v.field("crtc", s.crtc);
        v.field("graphics", s.graphics);
        v.field("attribute", s.attribute);
        v.field("attributeData", s.attributeData);
        v.field("retrace", s.retrace);
        v.field("latch", s.latch);
        v.field("pixelMask", s.pixelMask);
        v.field("dacReadIndex", s.dacReadIndex);
        v.field("dacWriteIndex", s.dacWriteIndex);
        v.field("dacState", s.dacState, state::Range { 0, 3 });
        v.field("dacComponent", s.dacComponent, state::Range { 0, 2 });
        v.field("dacPending", s.dacPending);
        v.field("dac", s.dac);
        v.field("dispiIndex", s.dispiIndex);
        v.field("dispi", s.dispi);
        v.field("bigEndian", s.bigEndian);
    }
};

/// The registers and the memory of a VGA (IBM VGA/XGA Technical Reference, 1992, "VGA Function"; QEMU documentation,
/// "QEMU Standard VGA") without bus and screen: what a port or an address in the window does. The planes lie beside
/// each other in video memory: byte `address * 4 + plane`. Left out: panning by pixels, hardware zoom, light pen.
class VgaCore {
public:
    static constexpr std::uint16_t maximumWidth = 8192, maximumHeight = 8192;
    static constexpr std::uint64_t windowSize = 0x20000; ///< from 0xa0000

    /// `memory` is at least 1 MiB.
    explicit VgaCore(ByteSpan memory) : m_memory(memory), m_written(memory.size() / 4096 / 64 + 1) { }

    VgaRegisters const& registers() const { return m_registers; }
    /// Brings what cannot be (a mode that does not fit into memory) into bounds.
    void setRegisters(VgaRegisters const& registers);

    /// `port` is from 0x3b0 to 0x3df.
    std::uint8_t readPort(std::uint16_t port);
    void writePort(std::uint16_t port, std::uint8_t value);
    std::uint16_t readDispi(std::uint16_t index) const;
    void writeDispi(std::uint16_t index, std::uint16_t value);
    void setDispiIndex(std::uint16_t index) { m_registers.dispiIndex = index; }
    void setBigEndian(bool big) { m_registers.bigEndian = big; }
    std::uint8_t readWindow(std::uint32_t offset);
    void writeWindow(std::uint32_t offset, std::uint8_t value);

    /// What is to be seen; `blinkOn` is the phase in which the cursor shows.
    VgaPicture picture(bool blinkOn) const;
    /// One bit a page of memory, set where something was written through here; the caller clears it.
    std::vector<std::uint64_t>& written() { return m_written; }
    void markWritten(std::uint64_t offset, std::uint64_t length);

private:
    bool dispiEnabled() const;
    std::uint32_t bytesPerLine() const;
    void fixDispi();
    void writeDispiEnable(std::uint16_t value);
    std::optional<std::uint32_t> windowAddress(std::uint32_t offset) const;
    std::uint32_t planesAt(std::uint32_t address) const;
    void writePlanes(std::uint32_t address, std::uint8_t value);
    void writeCrtc(std::uint8_t value);
    std::uint8_t readDac();
    void writeDac(std::uint8_t value);
    std::uint32_t color(unsigned index) const;
    void setPalette(VgaPicture& picture) const;
    void setText(VgaPicture& picture, bool blinkOn) const;
    void setGraphics(VgaPicture& picture) const;

    ByteSpan m_memory;
    std::vector<std::uint64_t> m_written;
    VgaRegisters m_registers;
};

}
