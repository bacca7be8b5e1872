#include "vmm/kvm/step_over.h"

#include <bit>
#include <optional>

namespace vmm {

namespace {

constexpr std::uint64_t carry = 1u << 0, parity = 1u << 2, adjust = 1u << 4, zero = 1u << 6, sign = 1u << 7;
constexpr std::uint64_t overflow = 1u << 11, alignmentCheck = 1u << 18;
constexpr std::uint64_t arithmeticFlags = carry | parity | adjust | zero | sign | overflow;
constexpr std::uint64_t taskSwitched = 1u << 3, emulateFpu = 1u << 2, monitorFpu = 1u << 1;
constexpr std::uint32_t injectedSoftware = 1;

/// An instruction taken apart as far as we need it: prefixes, opcode, and a ModRM byte that names two registers.
class Decoder {
public:
    Decoder(VcpuState const& state, ConstByteSpan bytes)
        : m_longMode(state.cs.longMode), m_wide(state.cs.defaultSize), m_bytes(bytes)
    {
        while (m_at < m_bytes.size()) {
            auto const byte = m_bytes[m_at];
            if (byte == 0x66)
                operandSize = true;
            else if (byte == 0xf3)
                repeat = true;
            else if (byte == 0xf2)
                repeatNot = true;
            else if (byte != 0x2e && byte != 0x36 && byte != 0x3e && byte != 0x26 && byte != 0x64 && byte != 0x65)
                break;
            ++m_at;
        }
        if (m_longMode && m_at < m_bytes.size() && (m_bytes[m_at] & 0xf0) == 0x40)
            rex = m_bytes[m_at++];
    }

    std::optional<std::uint8_t> next() { return m_at < m_bytes.size() ? std::optional(m_bytes[m_at++]) : std::nullopt; }
    std::size_t length() const { return m_at; }
    /// 2, 4 or 8 bytes.
    unsigned operandBytes() const
    {
        if ((rex & 8) != 0)
            return 8;
        return (m_longMode || m_wide) != operandSize ? 4 : 2;
    }

    bool operandSize = false, repeat = false, repeatNot = false;
    std::uint8_t rex = 0;

private:
    bool m_longMode, m_wide;
    ConstByteSpan m_bytes;
    std::size_t m_at = 0;
};

std::uint64_t* registerByNumber(VcpuState& s, unsigned number)
{
    std::uint64_t* const all[] = { &s.rax, &s.rcx, &s.rdx, &s.rbx, &s.rsp, &s.rbp, &s.rsi, &s.rdi, &s.r8, &s.r9, &s.r10,
        &s.r11, &s.r12, &s.r13, &s.r14, &s.r15 };
    return all[number & 15];
}

bool isKernel(VcpuState const& state)
{
    return (state.cr0 & 1) == 0 || state.ss.dpl == 0;
}

/// POPCNT, LZCNT and TZCNT between two registers.
bool count(VcpuState& state, Decoder& code, std::uint8_t opcode)
{
    auto const modrm = code.next();
    if (!code.repeat || !modrm || (*modrm >> 6) != 3)
        return false;
    auto const bits = code.operandBytes() * 8;
    auto const mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
    auto const source = *registerByNumber(state, (*modrm & 7u) | ((code.rex & 1u) << 3)) & mask;
    std::uint64_t result = 0, flags = 0;
    if (opcode == 0xb8) {
        result = static_cast<std::uint64_t>(std::popcount(source));
        flags = source == 0 ? zero : 0;
    } else {
        if (source == 0)
            result = bits;
        else if (opcode == 0xbc)
            result = static_cast<std::uint64_t>(std::countr_zero(source));
        else
            result = static_cast<std::uint64_t>(std::countl_zero(source)) - (64 - bits);
        flags = (source == 0 ? carry : 0) | (result == 0 ? zero : 0);
    }
    auto& target = *registerByNumber(state, (*modrm >> 3 & 7u) | ((code.rex & 4u) << 1));
    // A 32-bit result clears the upper half, a 16-bit one leaves the rest alone.
    target = bits == 16 ? (target & ~mask) | result : result;
    state.rflags = (state.rflags & ~arithmeticFlags) | flags;
    return true;
}

/// CRC32 of a register, which changes no flags.
bool checksum(VcpuState& state, Decoder& code)
{
    constexpr std::uint32_t polynomial = 0x82f63b78; // 11EDC6F41h, the other way round
    auto const opcode = code.next();
    auto const modrm = code.next();
    if (!code.repeatNot || code.repeat || !modrm || (*opcode != 0xf0 && *opcode != 0xf1) || (*modrm >> 6) != 3)
        return false;
    bool const isByte = *opcode == 0xf0;
    unsigned const number = *modrm & 7u;
    bool const isHigh = isByte && code.rex == 0 && number >= 4; // AH, CH, DH, BH
    auto source = isHigh ? *registerByNumber(state, number - 4) >> 8
                         : *registerByNumber(state, number | ((code.rex & 1u) << 3));
    auto& target = *registerByNumber(state, (*modrm >> 3 & 7u) | ((code.rex & 4u) << 1));
    auto sum = static_cast<std::uint32_t>(target);
    for (unsigned bytes = isByte ? 1 : code.operandBytes(); bytes > 0; --bytes, source >>= 8) {
        sum ^= source & 0xff;
        for (int bit = 0; bit < 8; ++bit)
            sum = (sum >> 1) ^ ((sum & 1) != 0 ? polynomial : 0);
    }
    target = sum;
    return true;
}

/// A software interrupt: RIP already points behind the instruction, and delivery is KVM's.
bool interrupt(VcpuState& state, std::uint8_t vector)
{
    auto& events = state.events;
    if (events.exceptionInjected || events.exceptionPending || events.interruptInjected)
        return false;
    if (vector == 3) {
        events.exceptionInjected = 1;
        events.exceptionNumber = 3;
        events.exceptionHasErrorCode = 0;
    } else {
        events.interruptInjected = 1;
        events.interruptNumber = vector;
        events.interruptSoft = injectedSoftware;
    }
    return true;
}

bool twoByte(VcpuState& state, Decoder& code)
{
    auto const opcode = code.next();
    if (!opcode || (code.repeatNot && *opcode != 0x38))
        return false;
    switch (*opcode) {
    case 0x01: {
        auto const modrm = code.next();
        if (!modrm || !isKernel(state))
            return false;
        switch (*modrm) {
        case 0xca: state.rflags &= ~alignmentCheck; return true; // CLAC
        case 0xcb: state.rflags |= alignmentCheck; return true;  // STAC
        case 0xc8:                                               // MONITOR
        case 0xc9: return true;                                  // MWAIT may return at any time
        case 0xd0:                                               // XGETBV
            if ((state.rcx & 0xffffffff) != 0)
                return false;
            state.rax = state.xcr0 & 0xffffffff;
            state.rdx = state.xcr0 >> 32;
            return true;
        default: return false;
        }
    }
    case 0x38: return checksum(state, code);
    case 0xb8:
    case 0xbc:
    case 0xbd: return count(state, code, *opcode);
    default: return false;
    }
}

bool execute(VcpuState& state, Decoder& code)
{
    auto const opcode = code.next();
    if (!opcode || (code.repeatNot && *opcode != 0x0f))
        return false;
    switch (*opcode) {
    case 0x0f: return twoByte(state, code);
    case 0x9b: // FWAIT: only waits, unless an exception is to come first
        return (state.cr0 & (taskSwitched | monitorFpu)) != (taskSwitched | monitorFpu) && (state.cr0 & emulateFpu) == 0
            && state.xsave.size() >= 4
            && (loadLittle<std::uint16_t>(ConstByteSpan(state.xsave).subspan(2)) & 0x80) == 0;
    case 0xcc: return isKernel(state) && interrupt(state, 3);
    case 0xcd: {
        auto const vector = code.next();
        return vector && isKernel(state) && interrupt(state, *vector);
    }
    default: return false;
    }
}

}

bool stepOver(VcpuState& state, ConstByteSpan instruction)
{
    // In real mode INT goes through the vector table, and KVM emulates it itself.
    if ((state.cr0 & 1) == 0)
        return false;
    auto next = state;
    Decoder code(next, instruction);
    auto const start = next.rip;
    if (!execute(next, code))
        return false;
    auto const end = start + code.length();
    next.rip = next.cs.longMode ? end : end & 0xffffffff;
    next.events.interruptShadow = 0;
    state = next;
    return true;
}

}
