#include "vmm/devices/ps2_keyboard.h"

#include <algorithm>
#include <utility>

namespace vmm {

namespace {

constexpr std::uint8_t replyAck = 0xfa, replyResend = 0xfe, replySelfTestPassed = 0xaa, replyEcho = 0xee;
constexpr std::uint8_t breakPrefix = 0xf0, extendedPrefix = 0xe0;

/// Set 2 to set 1, of the codes below 0x85; those above stay as they are.
// clang-format off
constexpr std::array<std::uint8_t, 0x85> set1OfSet2 {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54,
};
// clang-format on

/// The other way; where two codes mean the same key, the one that keyboards send.
constexpr auto set2OfSet1 = [] {
    std::array<std::uint8_t, 128> codes {};
    for (std::size_t i = 1; i < set1OfSet2.size(); ++i) {
        if (set1OfSet2[i] < codes.size())
            codes[set1OfSet2[i]] = static_cast<std::uint8_t>(i);
    }
    return codes;
}();

// Linux' codes of the keys that send something of their own.
constexpr std::uint16_t keySysRq = 99, keyPause = 119;

/// Set 1 code of a key, with 0xe000 where the extended prefix stands before it; 0: no such key. Up to F10 Linux has
/// numbered its keys after set 1.
constexpr auto set1OfKey = [] {
    std::array<std::uint16_t, 256> codes {};
    for (std::uint16_t key = 1; key <= 83; ++key)
        codes[key] = key;
    struct Pair {
        std::uint8_t key;
        std::uint16_t code;
    };
    // clang-format off
    constexpr Pair others[] {
        { 86, 0x56 }, { 87, 0x57 }, { 88, 0x58 }, // the key beside left shift, F11, F12
        { 89, 0x73 }, { 90, 0x78 }, { 91, 0x77 }, { 92, 0x79 }, // Japanese keys
        { 93, 0x70 }, { 94, 0x7b }, { 95, 0x5c }, { 124, 0x7d }, { 117, 0x59 }, { 121, 0x7e }, // keypad equal, comma
        { 96, 0xe01c }, { 97, 0xe01d }, { 98, 0xe035 }, { 100, 0xe038 }, // enter, control, slash, alt of the right
        { 102, 0xe047 }, { 103, 0xe048 }, { 104, 0xe049 }, // home, up, page up
        { 105, 0xe04b }, { 106, 0xe04d }, { 107, 0xe04f }, // left, right, end
        { 108, 0xe050 }, { 109, 0xe051 }, // down, page down
        { 110, 0xe052 }, { 111, 0xe053 }, // insert, delete
        { 113, 0xe020 }, { 114, 0xe02e }, { 115, 0xe030 }, // mute, quieter, louder
        { 116, 0xe05e }, { 142, 0xe05f }, { 143, 0xe063 }, // power, sleep, wake up
        { 125, 0xe05b }, { 126, 0xe05c }, { 127, 0xe05d }, // left and right logo, menu
        { 140, 0xe021 }, { 155, 0xe06c }, { 157, 0xe06b }, // calculator, mail, computer
        { 156, 0xe066 }, { 158, 0xe06a }, { 159, 0xe069 }, // bookmarks, back, forward
        { 163, 0xe019 }, { 164, 0xe022 }, { 165, 0xe010 }, { 166, 0xe024 }, // next, play, previous, stop
        { 172, 0xe032 }, { 173, 0xe067 }, { 217, 0xe065 }, { 226, 0xe06d }, // home page, refresh, search, media
        { 183, 0x64 }, { 184, 0x65 }, { 185, 0x66 }, { 186, 0x67 }, // F13 to F24
        { 187, 0x68 }, { 188, 0x69 }, { 189, 0x6a }, { 190, 0x6b }, { 191, 0x6c }, { 192, 0x6d }, { 193, 0x6e },
        { 194, 0x76 },
    };
    // clang-format on
    for (auto const& [key, code] : others)
        codes[key] = code;
    return codes;
}();

/// Set 3 has one code for each key, without prefixes; most are those of set 2.
std::uint8_t set3OfKey(std::uint16_t key)
{
    struct Pair {
        std::uint8_t key, code;
    };
    // clang-format off
    static constexpr Pair own[] {
        { 1, 0x08 }, { 59, 0x07 }, { 60, 0x0f }, { 61, 0x17 }, { 62, 0x1f }, { 63, 0x27 }, { 64, 0x2f }, { 65, 0x37 },
        { 66, 0x3f }, { 67, 0x47 }, { 68, 0x4f }, { 87, 0x56 }, { 88, 0x5e }, { keySysRq, 0x57 }, { 70, 0x5f },
        { keyPause, 0x62 }, { 43, 0x5c }, { 86, 0x13 }, { 29, 0x11 }, { 58, 0x14 }, { 56, 0x19 }, { 100, 0x39 },
        { 97, 0x58 }, { 96, 0x79 }, { 69, 0x76 }, { 98, 0x77 }, { 55, 0x7e }, { 74, 0x84 }, { 78, 0x7c },
        { 110, 0x67 }, { 111, 0x64 }, { 102, 0x6e }, { 107, 0x65 }, { 104, 0x6f }, { 109, 0x6d }, { 103, 0x63 },
        { 105, 0x61 }, { 108, 0x60 }, { 106, 0x6a }, { 125, 0x8b }, { 126, 0x8c }, { 127, 0x8d },
    };
    // clang-format on
    for (auto const& pair : own) {
        if (pair.key == key)
            return pair.code;
    }
    auto const code = key < set1OfKey.size() ? set1OfKey[key] : 0;
    return code < 0x80 ? set2OfSet1[code] : 0;
}

/// Appends the bytes of one stroke in set 1 or 2.
void appendStroke(Bytes& bytes, unsigned set, std::uint16_t code, bool pressed)
{
    if (code >= 0xe000)
        bytes.push_back(extendedPrefix);
    auto const low = static_cast<std::uint8_t>(code & 0x7f);
    if (set == 1) {
        bytes.push_back(pressed ? low : low | 0x80);
        return;
    }
    if (!pressed)
        bytes.push_back(breakPrefix);
    bytes.push_back(set2OfSet1[low]);
}

}

std::uint8_t translateScanCode(std::uint8_t code)
{
    return code < set1OfSet2.size() ? set1OfSet2[code] : code;
}

bool Ps2Keyboard::repeats(std::uint16_t code)
{
    return code != keyPause;
}

bool Ps2Keyboard::key(std::uint16_t code, bool pressed)
{
    if (!m_state.scanning)
        return false;
    Bytes bytes;
    if (m_state.set == 3) {
        auto const own = set3OfKey(code);
        if (own == 0)
            return false;
        if (!pressed)
            bytes.push_back(breakPrefix);
        bytes.push_back(own);
    } else if (code == keyPause) {
        if (!pressed)
            return true;
        if (m_state.set == 1)
            bytes = { 0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5 };
        else
            bytes = { 0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77 };
    } else if (code == keySysRq) {
        // Print Screen stands for shift and keypad asterisk.
        appendStroke(bytes, m_state.set, pressed ? 0xe02a : 0xe037, pressed);
        appendStroke(bytes, m_state.set, pressed ? 0xe037 : 0xe02a, pressed);
    } else {
        auto const stroke = code < set1OfKey.size() ? set1OfKey[code] : 0;
        if (stroke == 0)
            return false;
        appendStroke(bytes, m_state.set, stroke, pressed);
    }
    // All of a stroke or nothing: half of one would change the meaning of the next.
    if (m_state.codes.size() + bytes.size() > queueLimit)
        return false;
    m_state.codes.insert(m_state.codes.end(), bytes.begin(), bytes.end());
    return true;
}

std::uint64_t Ps2Keyboard::repeatDelay() const
{
    return (((m_state.typematic >> 5) & 3) + 1) * 250'000'000ull;
}

/// (8 + A) * 2^B / 240 seconds, A and B being bits 0 to 2 and 3 to 4.
std::uint64_t Ps2Keyboard::repeatPeriod() const
{
    return (8ull + (m_state.typematic & 7)) * (1ull << (m_state.typematic >> 3 & 3)) * 1'000'000'000ull / 240;
}

std::optional<std::uint8_t> Ps2Keyboard::send()
{
    auto& queue = m_state.replies.empty() ? m_state.codes : m_state.replies;
    if (queue.empty())
        return std::nullopt;
    auto const value = queue.front();
    queue.erase(queue.begin());
    m_state.lastSent = value;
    return value;
}

void Ps2Keyboard::reply(std::initializer_list<std::uint8_t> bytes)
{
    if (m_state.replies.size() + bytes.size() <= 16)
        m_state.replies.insert(m_state.replies.end(), bytes);
}

void Ps2Keyboard::defaults()
{
    m_state.set = 2;
    m_state.typematic = 0x2b;
    m_state.codes.clear();
}

void Ps2Keyboard::receive(std::uint8_t value)
{
    // Each command ends what was being answered; an argument is what comes after one that wants it, below 0xed.
    if (m_state.pendingCommand != 0 && value < 0xed)
        return argument(std::exchange(m_state.pendingCommand, 0), value);
    m_state.pendingCommand = 0;
    switch (value) {
    case 0xee: return reply({ replyEcho });
    case 0xed:
    case 0xf0:
    case 0xf3:
    case 0xfb:
    case 0xfc:
    case 0xfd: m_state.pendingCommand = value; return reply({ replyAck });
    case 0xf2: return reply({ replyAck, 0xab, 0x83 });
    case 0xf4:
        m_state.scanning = true;
        m_state.codes.clear();
        return reply({ replyAck });
    case 0xf5:
        m_state.scanning = false;
        defaults();
        return reply({ replyAck });
    case 0xf6: defaults(); return reply({ replyAck });
    case 0xf7:
    case 0xf8:
    case 0xf9:
    case 0xfa: return reply({ replyAck });
    case 0xfe: return reply({ m_state.lastSent });
    case 0xff: m_state = {}; return reply({ replyAck, replySelfTestPassed });
    default: return reply({ replyResend });
    }
}

void Ps2Keyboard::argument(std::uint8_t command, std::uint8_t value)
{
    switch (command) {
    case 0xed: m_state.leds = value & 7; break;
    case 0xf0:
        if (value == 0)
            return reply({ replyAck, m_state.set });
        if (value > 3)
            return reply({ replyResend });
        m_state.set = value;
        m_state.codes.clear();
        break;
    case 0xf3: m_state.typematic = value & 0x7f; break;
    default: break; // the type of one key in set 3
    }
    reply({ replyAck });
}

}
