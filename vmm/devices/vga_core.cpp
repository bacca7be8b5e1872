#include "vmm/devices/vga_core.h"

#include <algorithm>

namespace vmm {

namespace {

enum Dispi : unsigned {
    Id,
    Width,
    Height,
    Depth,
    Enable,
    Bank,
    VirtualWidth,
    VirtualHeight,
    OffsetX,
    OffsetY,
    Memory64K
};
constexpr std::uint16_t enableOn = 0x01, enableCapabilities = 0x02, enable8BitDac = 0x20, enableNoClear = 0x80;

constexpr std::uint8_t attributeOn = 0x20;

/// Each of the low four bits as a byte of ones or zeros: a mask for the four planes.
constexpr std::uint32_t spread(unsigned bits)
{
    return (bits & 1 ? 0xffu : 0) | (bits & 2 ? 0xff00u : 0) | (bits & 4 ? 0xff0000u : 0)
        | (bits & 8 ? 0xff000000u : 0);
}

bool isDepth(std::uint16_t depth)
{
    return depth == 4 || depth == 8 || depth == 15 || depth == 16 || depth == 24 || depth == 32;
}

}

void VgaCore::setRegisters(VgaRegisters const& registers)
{
    m_registers = registers;
    fixDispi();
}

void VgaCore::markWritten(std::uint64_t offset, std::uint64_t length)
{
    if (length == 0)
        return;
    for (auto page = offset >> 12; page <= (offset + length - 1) >> 12; ++page)
        m_written[page / 64] |= std::uint64_t(1) << page % 64;
}

std::uint8_t VgaCore::readPort(std::uint16_t port)
{
    auto& r = m_registers;
    bool const color = r.misc & 1;
    switch (port) {
    case 0x3c0: return r.attributeIndex;
    case 0x3c1: return r.attribute[r.attributeIndex & 0x1f];
    case 0x3c4: return r.sequencerIndex;
    case 0x3c5: return r.sequencer[r.sequencerIndex & 7];
    case 0x3c6: return r.pixelMask;
    case 0x3c7: return r.dacState;
    case 0x3c8: return r.dacWriteIndex;
    case 0x3c9: return readDac();
    case 0x3ca: return r.feature;
    case 0x3cc: return r.misc;
    case 0x3ce: return r.graphicsIndex;
    case 0x3cf: return r.graphics[r.graphicsIndex & 15];
    case 0x3c2: return 0x10; // a monitor is there
    case 0x3b4:
    case 0x3d4: return color == (port == 0x3d4) ? r.crtcIndex : 0xff;
    case 0x3b5:
    case 0x3d5: return color == (port == 0x3d5) ? r.crtc[r.crtcIndex & 31] : 0xff;
    case 0x3ba:
    case 0x3da:
        if (color != (port == 0x3da))
            return 0xff;
        // Who waits for the beam to come or to go never waits long.
        r.attributeData = false;
        r.retrace = !r.retrace;
        return r.retrace ? 0x09 : 0x00;
    default: return 0xff;
    }
}

void VgaCore::writePort(std::uint16_t port, std::uint8_t value)
{
    auto& r = m_registers;
    bool const color = r.misc & 1;
    switch (port) {
    case 0x3c0:
        if (r.attributeData) {
            // The palette can be changed only while it is cut off from the screen.
            auto const index = r.attributeIndex & 0x1fu;
            if (index >= 16 || !(r.attributeIndex & attributeOn))
                r.attribute[index] = index < 16 ? value & 0x3f : value;
        } else {
            r.attributeIndex = value & 0x3f;
        }
        r.attributeData = !r.attributeData;
        break;
    case 0x3c2: r.misc = value; break;
    case 0x3c4: r.sequencerIndex = value & 7; break;
    case 0x3c5: r.sequencer[r.sequencerIndex & 7] = value; break;
    case 0x3c6: r.pixelMask = value; break;
    case 0x3c7:
        r.dacReadIndex = value;
        r.dacComponent = 0;
        r.dacState = 3;
        break;
    case 0x3c8:
        r.dacWriteIndex = value;
        r.dacComponent = 0;
        r.dacState = 0;
        break;
    case 0x3c9: writeDac(value); break;
    case 0x3ce: r.graphicsIndex = value & 15; break;
    case 0x3cf: r.graphics[r.graphicsIndex & 15] = value; break;
    case 0x3b4:
    case 0x3d4:
        if (color == (port == 0x3d4))
            r.crtcIndex = value & 31;
        break;
    case 0x3b5:
    case 0x3d5:
        if (color == (port == 0x3d5))
            writeCrtc(value);
        break;
    case 0x3ba:
    case 0x3da:
        if (color == (port == 0x3da))
            r.feature = value & 0x10;
        break;
    default: break;
    }
}

void VgaCore::writeCrtc(std::uint8_t value)
{
    auto& crtc = m_registers.crtc;
    auto const index = m_registers.crtcIndex & 31u;
    bool const isProtected = crtc[0x11] & 0x80;
    if (isProtected && index == 7)
        crtc[7] = static_cast<std::uint8_t>((crtc[7] & ~0x10) | (value & 0x10)); // of it only line compare
    else if (!isProtected || index > 7)
        crtc[index] = value;
}

std::uint8_t VgaCore::readDac()
{
    auto& r = m_registers;
    auto const value = r.dac[r.dacReadIndex * 3u + r.dacComponent];
    r.dacComponent = static_cast<std::uint8_t>((r.dacComponent + 1) % 3);
    if (r.dacComponent == 0)
        ++r.dacReadIndex;
    return value;
}

/// A color changes when its third component has come.
void VgaCore::writeDac(std::uint8_t value)
{
    auto& r = m_registers;
    if (r.dacComponent < 2) {
        r.dacPending[r.dacComponent++] = value;
        return;
    }
    auto* const entry = &r.dac[r.dacWriteIndex * 3u];
    entry[0] = r.dacPending[0];
    entry[1] = r.dacPending[1];
    entry[2] = value;
    r.dacComponent = 0;
    ++r.dacWriteIndex;
}

bool VgaCore::dispiEnabled() const
{
    return m_registers.dispi[Enable] & enableOn;
}

std::uint16_t VgaCore::readDispi(std::uint16_t index) const
{
    auto const& dispi = m_registers.dispi;
    if (dispi[Enable] & enableCapabilities) {
        switch (index) {
        case Width: return maximumWidth;
        case Height: return maximumHeight;
        case Depth: return 32;
        default: break;
        }
    }
    if (index == Memory64K)
        return static_cast<std::uint16_t>(std::min<std::size_t>(m_memory.size() >> 16, 0xffff));
    return index < dispi.size() ? dispi[index] : 0;
}

void VgaCore::writeDispi(std::uint16_t index, std::uint16_t value)
{
    auto& dispi = m_registers.dispi;
    switch (index) {
    case Id:
        if (value >= 0xb0c0 && value <= 0xb0c5)
            dispi[Id] = value;
        break;
    case Enable: writeDispiEnable(value); break;
    case Bank: dispi[Bank] = static_cast<std::uint16_t>(value % (m_memory.size() >> 16)); break;
    case Width:
    case Height:
    case Depth:
    case VirtualWidth:
    case OffsetX:
    case OffsetY:
        dispi[index] = value;
        fixDispi();
        break;
    default: break;
    }
}

void VgaCore::writeDispiEnable(std::uint16_t value)
{
    auto& dispi = m_registers.dispi;
    bool const was = dispiEnabled();
    dispi[Enable] = value & 0xe3;
    dispi[Bank] = 0;
    if (!was && dispiEnabled()) {
        dispi[VirtualWidth] = dispi[OffsetX] = dispi[OffsetY] = 0;
        fixDispi();
        if (!(value & enableNoClear)) {
            auto const length = std::min<std::uint64_t>(m_memory.size(), std::uint64_t(bytesPerLine()) * dispi[Height]);
            std::memset(m_memory.data(), 0, length);
            markWritten(0, length);
        }
    }
}

std::uint32_t VgaCore::bytesPerLine() const
{
    auto const& dispi = m_registers.dispi;
    // Four bits a pixel are in planes, eight pixels to a byte of each.
    return dispi[Depth] == 4 ? dispi[VirtualWidth] / 8u * 4 : dispi[VirtualWidth] * ((dispi[Depth] + 7u) / 8);
}

/// While it is on, the mode always fits into memory.
void VgaCore::fixDispi()
{
    auto& dispi = m_registers.dispi;
    dispi[Bank] = static_cast<std::uint16_t>(dispi[Bank] % (m_memory.size() >> 16));
    if (!dispiEnabled())
        return;
    if (!isDepth(dispi[Depth]))
        dispi[Depth] = 8;
    dispi[Width] = std::clamp<std::uint16_t>(dispi[Width], 1, maximumWidth);
    dispi[VirtualWidth] = std::clamp<std::uint16_t>(dispi[VirtualWidth], dispi[Width], maximumWidth);
    auto const line = std::max(1u, bytesPerLine());
    auto const lines = std::min<std::size_t>(m_memory.size() / line, 0xffff);
    dispi[VirtualHeight] = static_cast<std::uint16_t>(lines);
    dispi[Height] = std::clamp<std::uint16_t>(
        dispi[Height], 1, static_cast<std::uint16_t>(std::min<std::size_t>(lines, maximumHeight)));
    if (dispi[OffsetX] + dispi[Width] > dispi[VirtualWidth] || std::size_t(dispi[OffsetY]) + dispi[Height] > lines)
        dispi[OffsetX] = dispi[OffsetY] = 0;
}

/// Where an address of the window lies, before planes; nothing where the window is smaller.
std::optional<std::uint32_t> VgaCore::windowAddress(std::uint32_t offset) const
{
    auto const bank = dispiEnabled() ? std::uint32_t(m_registers.dispi[Bank]) << 16 : 0;
    switch (m_registers.graphics[6] >> 2 & 3) {
    case 0: return offset;
    case 1: return offset < 0x10000 ? std::optional(bank + offset) : std::nullopt;
    case 2: return offset >= 0x10000 && offset < 0x18000 ? std::optional(offset - 0x10000) : std::nullopt;
    default: return offset >= 0x18000 ? std::optional(offset - 0x18000) : std::nullopt;
    }
}

/// The planes wrap around at 64 KiB each, but in the extension's planar modes.
std::uint32_t VgaCore::planesAt(std::uint32_t address) const
{
    auto const size = dispiEnabled() ? static_cast<std::uint32_t>(m_memory.size()) : planeMemory;
    return address % (size / 4) * 4;
}

std::uint8_t VgaCore::readWindow(std::uint32_t offset)
{
    auto& r = m_registers;
    if (dispiEnabled() && r.dispi[Depth] >= 8)
        return offset < 0x10000 ? m_memory[(std::size_t(r.dispi[Bank]) << 16) + offset] : 0xff;
    auto const address = windowAddress(offset);
    if (!address)
        return 0xff;
    if (r.sequencer[4] & 0x08) // chain 4
        return m_memory[*address % planeMemory];
    if (r.graphics[5] & 0x10) { // odd/even
        auto const plane = (r.graphics[4] & 2u) | (*address & 1);
        return m_memory[((*address & ~1u) << 1 | plane) % planeMemory];
    }
    auto const at = planesAt(*address);
    std::copy_n(m_memory.begin() + at, 4, r.latch.begin());
    if (!(r.graphics[5] & 0x08))
        return r.latch[r.graphics[4] & 3];
    // Read mode 1 compares: ones where all planes of interest have the color.
    auto const different = (loadLittle<std::uint32_t>(r.latch) ^ spread(r.graphics[2])) & spread(r.graphics[7]);
    return static_cast<std::uint8_t>(~(different | different >> 8 | different >> 16 | different >> 24));
}

void VgaCore::writeWindow(std::uint32_t offset, std::uint8_t value)
{
    auto const& r = m_registers;
    if (dispiEnabled() && r.dispi[Depth] >= 8) {
        if (offset < 0x10000) {
            auto const at = (std::size_t(r.dispi[Bank]) << 16) + offset;
            m_memory[at] = value;
            markWritten(at, 1);
        }
        return;
    }
    auto const address = windowAddress(offset);
    if (!address)
        return;
    if (r.sequencer[4] & 0x08) {
        auto const at = *address % planeMemory;
        if (r.sequencer[2] & 1u << (at & 3)) {
            m_memory[at] = value;
            markWritten(at, 1);
        }
    } else if (r.graphics[5] & 0x10) {
        auto const plane = (r.graphics[4] & 2u) | (*address & 1);
        auto const at = ((*address & ~1u) << 1 | plane) % planeMemory;
        if (r.sequencer[2] & 1u << plane) {
            m_memory[at] = value;
            markWritten(at, 1);
        }
    } else {
        writePlanes(planesAt(*address), value);
    }
}

/// The write modes, on the four planes at once.
void VgaCore::writePlanes(std::uint32_t address, std::uint8_t value)
{
    auto const& r = m_registers;
    auto const latch = loadLittle<std::uint32_t>(r.latch);
    auto const rotation = r.graphics[3] & 7u;
    auto const rotated = static_cast<std::uint8_t>(value >> rotation | value << (8 - rotation));
    auto mask = r.graphics[8];
    std::uint32_t planes;
    switch (r.graphics[5] & 3) {
    case 0: {
        auto const reset = spread(r.graphics[1]);
        planes = (rotated * 0x01010101u & ~reset) | (spread(r.graphics[0]) & reset);
        break;
    }
    case 1: planes = latch; break;
    case 2: planes = spread(value); break;
    default: planes = spread(r.graphics[0]); mask &= rotated;
    }
    if ((r.graphics[5] & 3) != 1) {
        switch (r.graphics[3] >> 3 & 3) {
        case 1: planes &= latch; break;
        case 2: planes |= latch; break;
        case 3: planes ^= latch; break;
        default: break;
        }
        auto const bits = mask * 0x01010101u;
        planes = (planes & bits) | (latch & ~bits);
    }
    auto const enabled = spread(r.sequencer[2]);
    auto const at = m_memory.subspan(address, 4);
    storeLittle(at, (loadLittle<std::uint32_t>(at) & ~enabled) | (planes & enabled));
    markWritten(address, 4);
}

/// An entry of the DAC as XRGB8888.
std::uint32_t VgaCore::color(unsigned index) const
{
    auto const* const entry = &m_registers.dac[(index & m_registers.pixelMask) * 3u];
    bool const wide = m_registers.dispi[Enable] & enable8BitDac;
    auto const component = [&](unsigned i) -> std::uint32_t {
        return wide ? entry[i] : (entry[i] & 0x3fu) << 2 | (entry[i] & 0x3fu) >> 4;
    };
    return 0xff000000 | component(0) << 16 | component(1) << 8 | component(2);
}

void VgaCore::setPalette(VgaPicture& picture) const
{
    auto const& attribute = m_registers.attribute;
    bool const direct = picture.kind == VgaPicture::Kind::Linear || picture.kind == VgaPicture::Kind::Packed256;
    for (unsigned i = 0; i < 256; ++i) {
        if (direct) {
            picture.palette[i] = color(i);
            continue;
        }
        auto const entry = attribute[i & 15];
        picture.palette[i] = color(attribute[0x10] & 0x80 ? (attribute[0x14] & 0x0fu) << 4 | (entry & 0x0fu)
                                                          : (attribute[0x14] & 0x0cu) << 4 | (entry & 0x3fu));
    }
}

VgaPicture VgaCore::picture(bool blinkOn) const
{
    auto const& r = m_registers;
    auto const& dispi = r.dispi;
    VgaPicture picture;
    if (dispiEnabled()) {
        picture.width = dispi[Width];
        picture.height = dispi[Height];
        picture.stride = bytesPerLine();
        picture.depth = dispi[Depth];
        picture.bigEndian = r.bigEndian;
        picture.start = dispi[OffsetY] * picture.stride;
        if (picture.depth == 4) {
            picture.kind = VgaPicture::Kind::Planar16;
            picture.start += dispi[OffsetX] / 8u * 4;
            picture.planes = r.attribute[0x12] & 15;
        } else {
            picture.kind = VgaPicture::Kind::Linear;
            picture.start += dispi[OffsetX] * ((picture.depth + 7u) / 8);
        }
    } else {
        auto const& crtc = r.crtc;
        picture.stride = crtc[0x13] * 8u;
        picture.start = (crtc[0x0c] << 8 | crtc[0x0d]) * 4u;
        if (r.graphics[6] & 1)
            setGraphics(picture);
        else
            setText(picture, blinkOn);
    }
    if (!(r.attributeIndex & attributeOn) || r.sequencer[1] & 0x20 || picture.width == 0 || picture.height == 0) {
        picture.kind = VgaPicture::Kind::Blank;
        if (picture.width < 8 || picture.height < 8) // registers as after power-on
            picture.width = 720, picture.height = 400;
        return picture;
    }
    setPalette(picture);
    return picture;
}

void VgaCore::setText(VgaPicture& picture, bool blinkOn) const
{
    auto const& r = m_registers;
    auto const& crtc = r.crtc;
    auto const lines = (crtc[0x12] | (crtc[7] & 0x02u) << 7 | (crtc[7] & 0x40u) << 3) + 1;
    picture.kind = VgaPicture::Kind::Text;
    picture.cellHeight = static_cast<std::uint8_t>((crtc[9] & 0x1f) + 1);
    picture.cellWidth = r.sequencer[1] & 1 ? 8 : 9;
    picture.width = (crtc[1] + 1u) * picture.cellWidth;
    picture.height = lines / picture.cellHeight * picture.cellHeight;
    auto const select = r.sequencer[3];
    // Three bits each choose one of eight fonts; they lie 16 KiB apart, the upper four in between.
    auto const slot = [](unsigned index) { return (index & 3) * 2 + (index >> 2); };
    picture.fonts = { static_cast<std::uint8_t>(slot((select & 3u) | (select >> 4 & 1u) << 2)),
        static_cast<std::uint8_t>(slot((select >> 2 & 3u) | (select >> 5 & 1u) << 2)) };
    picture.lineGraphics = r.attribute[0x10] & 0x04;
    picture.blinks = r.attribute[0x10] & 0x08;
    picture.blinkOn = blinkOn;
    picture.cursorOn = blinkOn && !(crtc[0x0a] & 0x20);
    picture.cursor = (crtc[0x0e] << 8 | crtc[0x0f]) * 4u;
    picture.cursorFirst = crtc[0x0a] & 0x1f;
    picture.cursorLast = crtc[0x0b] & 0x1f;
}

void VgaCore::setGraphics(VgaPicture& picture) const
{
    auto const& r = m_registers;
    auto const& crtc = r.crtc;
    auto const lines = (crtc[0x12] | (crtc[7] & 0x02u) << 7 | (crtc[7] & 0x40u) << 3) + 1;
    auto const width = (crtc[1] + 1u) * 8;
    auto const shift = r.graphics[5] >> 5 & 3;
    // Lines that only repeat the one above are not part of the picture.
    unsigned const doubled = crtc[9] & 0x80 ? 2 : 1;
    bool const interleaved = !(crtc[0x17] & 1);
    picture.repeat = interleaved ? doubled : ((crtc[9] & 0x1fu) + 1) * doubled;
    picture.height = lines / picture.repeat;
    picture.lineCompare = (crtc[0x18] | (crtc[7] & 0x10u) << 4 | (crtc[9] & 0x40u) << 3) / picture.repeat;
    picture.interleaved = interleaved;
    picture.planes = r.attribute[0x12] & 15;
    if (shift >= 2) {
        picture.kind = VgaPicture::Kind::Packed256;
        picture.width = width / 2;
    } else {
        picture.kind = shift == 1 ? VgaPicture::Kind::Cga4 : VgaPicture::Kind::Planar16;
        picture.width = width;
    }
}

}
