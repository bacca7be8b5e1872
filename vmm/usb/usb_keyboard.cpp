#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/usb/hid_device.h"

#include <algorithm>
#include <linux/input-event-codes.h>

namespace vmm {

namespace {

/// HID 1.11, Appendix E.6 "Report Descriptor (Keyboard)", with all usages that keyboards have.
// clang-format off
constexpr std::uint8_t keyboardReports[] {
    0x05, 0x01, 0x09, 0x06, 0xa1, 0x01,             // generic desktop, keyboard, application
    0x05, 0x07, 0x19, 0xe0, 0x29, 0xe7,             //   usages left control to right GUI
    0x15, 0x00, 0x25, 0x01, 0x75, 0x01, 0x95, 0x08, 0x81, 0x02, //   8 bits
    0x95, 0x01, 0x75, 0x08, 0x81, 0x01,             //   a byte of nothing
    0x95, 0x05, 0x75, 0x01, 0x05, 0x08, 0x19, 0x01, 0x29, 0x05, 0x91, 0x02, //   5 lights
    0x95, 0x01, 0x75, 0x03, 0x91, 0x01,
    0x95, 0x06, 0x75, 0x08, 0x15, 0x00, 0x26, 0xe7, 0x00, 0x05, 0x07, 0x19, 0x00, 0x29, 0xe7, 0x81, 0x00, // 6 keys
    0xc0
};

/// HID Usage Tables, "Keyboard/Keypad Page (0x07)": Linux' key of each usage from 4 on; 0: none.
constexpr std::uint16_t keyOfUsage[] {
    KEY_A, KEY_B, KEY_C, KEY_D, KEY_E, KEY_F, KEY_G, KEY_H, KEY_I, KEY_J, KEY_K, KEY_L, KEY_M,
    KEY_N, KEY_O, KEY_P, KEY_Q, KEY_R, KEY_S, KEY_T, KEY_U, KEY_V, KEY_W, KEY_X, KEY_Y, KEY_Z,
    KEY_1, KEY_2, KEY_3, KEY_4, KEY_5, KEY_6, KEY_7, KEY_8, KEY_9, KEY_0,
    KEY_ENTER, KEY_ESC, KEY_BACKSPACE, KEY_TAB, KEY_SPACE, KEY_MINUS, KEY_EQUAL, KEY_LEFTBRACE, KEY_RIGHTBRACE,
    KEY_BACKSLASH, 0 /* the same on European keyboards */, KEY_SEMICOLON, KEY_APOSTROPHE, KEY_GRAVE, KEY_COMMA,
    KEY_DOT, KEY_SLASH, KEY_CAPSLOCK,
    KEY_F1, KEY_F2, KEY_F3, KEY_F4, KEY_F5, KEY_F6, KEY_F7, KEY_F8, KEY_F9, KEY_F10, KEY_F11, KEY_F12,
    KEY_SYSRQ, KEY_SCROLLLOCK, KEY_PAUSE, KEY_INSERT, KEY_HOME, KEY_PAGEUP, KEY_DELETE, KEY_END, KEY_PAGEDOWN,
    KEY_RIGHT, KEY_LEFT, KEY_DOWN, KEY_UP,
    KEY_NUMLOCK, KEY_KPSLASH, KEY_KPASTERISK, KEY_KPMINUS, KEY_KPPLUS, KEY_KPENTER, KEY_KP1, KEY_KP2, KEY_KP3, KEY_KP4,
    KEY_KP5, KEY_KP6, KEY_KP7, KEY_KP8, KEY_KP9, KEY_KP0, KEY_KPDOT,
    KEY_102ND, KEY_COMPOSE, KEY_POWER, KEY_KPEQUAL,
    KEY_F13, KEY_F14, KEY_F15, KEY_F16, KEY_F17, KEY_F18, KEY_F19, KEY_F20, KEY_F21, KEY_F22, KEY_F23, KEY_F24,
    KEY_OPEN, KEY_HELP, KEY_PROPS, KEY_FRONT, KEY_STOP, KEY_AGAIN, KEY_UNDO, KEY_CUT, KEY_COPY, KEY_PASTE, KEY_FIND,
    KEY_MUTE, KEY_VOLUMEUP, KEY_VOLUMEDOWN, 0, 0, 0, KEY_KPCOMMA, 0,
    KEY_RO, KEY_KATAKANAHIRAGANA, KEY_YEN, KEY_HENKAN, KEY_MUHENKAN, KEY_KPJPCOMMA, 0, 0, 0,
    KEY_HANGEUL, KEY_HANJA, KEY_KATAKANA, KEY_HIRAGANA, KEY_ZENKAKUHANKAKU,
};
// clang-format on
constexpr std::uint16_t keyOfModifier[] { KEY_LEFTCTRL, KEY_LEFTSHIFT, KEY_LEFTALT, KEY_LEFTMETA, KEY_RIGHTCTRL,
    KEY_RIGHTSHIFT, KEY_RIGHTALT, KEY_RIGHTMETA };
constexpr std::uint8_t firstUsage = 4, firstModifier = 0xe0, rollOver = 1;

constexpr auto usageOfKey = [] {
    std::array<std::uint8_t, 256> usages {};
    for (std::size_t i = 0; i < std::size(keyOfUsage); ++i) {
        if (keyOfUsage[i] != 0)
            usages[keyOfUsage[i]] = static_cast<std::uint8_t>(firstUsage + i);
    }
    for (std::size_t i = 0; i < std::size(keyOfModifier); ++i)
        usages[keyOfModifier[i]] = static_cast<std::uint8_t>(firstModifier + i);
    return usages;
}();

}

UsbKeyboard::UsbKeyboard(std::string const& id)
    : HidDevice(UsbSpeed::Full, "keyboard " + id, "USB Keyboard", Boot::Keyboard,
        Bytes(std::begin(keyboardReports), std::end(keyboardReports)), 8)
{
}

void UsbKeyboard::reset()
{
    m_standard = {};
    m_hid = {};
    m_leds = 0;
    forgetInput();
    updateReady();
}

void UsbKeyboard::forgetInput()
{
    m_modifiers = 0;
    m_pressed.clear();
    m_queue.clear();
}

void UsbKeyboard::key(KeyInput input)
{
    auto const usage = input.code < usageOfKey.size() ? usageOfKey[input.code] : std::uint8_t(0);
    if (usage == 0 || !isPlugged())
        return;
    std::lock_guard const lock(host().usbMutex());
    wakeHost();
    // A guest that does not listen misses keys; those that it holds down it gets to see released.
    if (!isConfigured() || (m_queue.size() + 2 > queueLimit / 2 && input.pressed) || m_queue.size() + 2 > queueLimit)
        return;
    m_queue.insert(m_queue.end(), { usage, static_cast<std::uint8_t>(input.pressed ? 1 : 0) });
    serve();
}

void UsbKeyboard::apply(std::uint8_t usage, bool pressed)
{
    if (usage >= firstModifier) {
        auto const bit = static_cast<std::uint8_t>(1 << (usage - firstModifier));
        m_modifiers = static_cast<std::uint8_t>(pressed ? m_modifiers | bit : m_modifiers & ~bit);
        return;
    }
    std::erase(m_pressed, usage);
    if (pressed)
        m_pressed.push_back(usage);
}

std::optional<Bytes> UsbKeyboard::nextReport()
{
    // A key that is held down repeats in the guest, not here.
    auto const before = currentReport();
    while (!m_queue.empty()) {
        auto const usage = m_queue[0], pressed = m_queue[1];
        m_queue.erase(m_queue.begin(), m_queue.begin() + 2);
        apply(usage, pressed != 0);
        if (auto report = currentReport(); report != before)
            return report;
    }
    return std::nullopt;
}

Bytes UsbKeyboard::currentReport() const
{
    Bytes report(2 + keysAtOnce);
    report[0] = m_modifiers;
    auto const keys = ByteSpan(report).subspan(2);
    if (m_pressed.size() > keysAtOnce)
        std::ranges::fill(keys, rollOver);
    else
        std::ranges::copy(m_pressed, keys.begin());
    return report;
}

void UsbKeyboard::output(ConstByteSpan report)
{
    if (!report.empty())
        m_leds = report[0] & 0x1f;
}

Section UsbKeyboard::save() const
{
    return state::save(
        State { m_standard, m_hid, m_modifiers, m_leds, m_pressed, Bytes(m_queue.begin(), m_queue.end()) });
}

Result<> UsbKeyboard::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    if (saved.queue.size() % 2 != 0)
        return fail(ErrorCode::Corrupt, "a key of the queue is cut off");
    m_standard = saved.standard;
    m_hid = saved.hid;
    m_modifiers = saved.modifiers;
    m_leds = saved.leds;
    m_pressed = saved.pressed;
    m_queue.assign(saved.queue.begin(), saved.queue.end());
    updateReady();
    return {};
}

}
