#include "vmm/usb/usb_gamepad.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm {

namespace {

constexpr std::uint8_t inputId = 3, outputId = 5;
constexpr std::uint8_t nowhere = 8; // of the directional pad
constexpr std::uint8_t pulled = 32; // from here on a trigger is a button too
constexpr std::uint16_t vendor = 0x18d1, product = 0x9400;

/// HID Usage Tables: "Generic Desktop Page", "Button Page", "Simulation Controls Page", "Consumer Page", "Physical
/// Input Device Page".
// clang-format off
constexpr std::uint8_t gamepadReports[] {
    0x05, 0x01, 0x09, 0x05, 0xa1, 0x01, 0x85, inputId,          // generic desktop, game pad, application
    0x09, 0x39, 0x15, 0x00, 0x25, 0x07, 0x35, 0x00, 0x46, 0x3b, 0x01, 0x65, 0x14, 0x75, 0x04, 0x95, 0x01, 0x81, 0x42, // hat
    0x45, 0x00, 0x65, 0x00, 0x75, 0x01, 0x95, 0x04, 0x81, 0x01, //   4 bits of nothing
    0x05, 0x09, 0x25, 0x01, 0x95, 0x0f,                         //   15 buttons, in this order
    0x09, 0x12, 0x09, 0x11, 0x09, 0x14, 0x09, 0x13, 0x09, 0x0d, 0x09, 0x0c, 0x09, 0x0b, 0x09, 0x0f,
    0x09, 0x0e, 0x09, 0x08, 0x09, 0x07, 0x09, 0x05, 0x09, 0x04, 0x09, 0x02, 0x09, 0x01, 0x81, 0x02,
    0x95, 0x01, 0x81, 0x01,
    0x05, 0x01, 0x15, 0x01, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x02,
    0x09, 0x01, 0xa1, 0x00, 0x09, 0x30, 0x09, 0x31, 0x81, 0x02, 0xc0, //   X, Y
    0x09, 0x01, 0xa1, 0x00, 0x09, 0x32, 0x09, 0x35, 0x81, 0x02, 0xc0, //   Z, Rz
    0x05, 0x02, 0x15, 0x00, 0x09, 0xc5, 0x09, 0xc4, 0x81, 0x02, //   brake, accelerator
    0x05, 0x0c, 0x25, 0x01, 0x75, 0x01, 0x09, 0xe9, 0x09, 0xea, 0x81, 0x02, // louder, quieter
    0x09, 0xcd, 0x95, 0x01, 0x81, 0x02, 0x95, 0x05, 0x81, 0x01, //   play or pause, 5 bits of nothing
    0x85, outputId, 0x06, 0x0f, 0x00, 0x09, 0x97, 0x27, 0xff, 0xff, 0x00, 0x00, 0x75, 0x10, 0x95, 0x02, 0x91, 0x02, // motors
    0xc0
};
// clang-format on

/// Which bits of bytes 1 and 2 a button is.
struct ButtonBit {
    GamepadButton button;
    std::uint16_t bit;
};
constexpr ButtonBit buttonBits[] {
    { GamepadButton::Assistant, 1 << 1 },
    { GamepadButton::Capture, 1 << 0 },
    { GamepadButton::Home, 1 << 4 },
    { GamepadButton::Start, 1 << 5 },
    { GamepadButton::Select, 1 << 6 },
    { GamepadButton::RightStick, 1 << 7 },
    { GamepadButton::LeftStick, 1 << 8 },
    { GamepadButton::RightShoulder, 1 << 9 },
    { GamepadButton::LeftShoulder, 1 << 10 },
    { GamepadButton::North, 1 << 11 },
    { GamepadButton::West, 1 << 12 },
    { GamepadButton::East, 1 << 13 },
    { GamepadButton::South, 1 << 14 },
};
constexpr std::uint16_t leftTriggerBit = 1 << 2, rightTriggerBit = 1 << 3;

/// 128 is the middle, and both ends are as far from it.
std::uint8_t axis(std::int16_t value)
{
    constexpr int middle = 128, most = 127, full = 32767;
    auto const half = value < 0 ? -full / 2 : full / 2;
    return static_cast<std::uint8_t>(middle + (std::max<int>(value, -full) * most + half) / full);
}

/// Opposite directions are none.
std::uint8_t hatOf(GamepadState const& state)
{
    int const x = int(state.has(GamepadButton::Right)) - int(state.has(GamepadButton::Left));
    int const y = int(state.has(GamepadButton::Down)) - int(state.has(GamepadButton::Up));
    constexpr std::uint8_t hats[3][3] { { 7, 0, 1 }, { 6, nowhere, 2 }, { 5, 4, 3 } };
    return hats[y + 1][x + 1];
}

Bytes reportOf(GamepadState const& state)
{
    std::uint16_t buttons = 0;
    for (auto const& [button, bit] : buttonBits)
        buttons = static_cast<std::uint16_t>(buttons | (state.has(button) ? bit : 0));
    buttons = static_cast<std::uint16_t>(buttons | (state.leftTrigger >= pulled ? leftTriggerBit : 0)
        | (state.rightTrigger >= pulled ? rightTriggerBit : 0));
    return { inputId, hatOf(state), static_cast<std::uint8_t>(buttons), static_cast<std::uint8_t>(buttons >> 8),
        axis(state.leftX), axis(state.leftY), axis(state.rightX), axis(state.rightY), state.leftTrigger,
        state.rightTrigger, 0 };
}

}

UsbGamepad::UsbGamepad(std::string const& id, Rumble rumble)
    : HidDevice(UsbSpeed::Full, "gamepad " + id, "USB Gamepad", Boot::None,
        Bytes(std::begin(gamepadReports), std::end(gamepadReports)), 16, {}, Ids { vendor, product }),
      m_rumble(std::move(rumble))
{
}

UsbGamepad::~UsbGamepad()
{
    tell(0, 0);
}

void UsbGamepad::reset()
{
    m_standard = {};
    m_hid = {};
    forgetInput();
    updateReady();
}

void UsbGamepad::forgetInput()
{
    m_last = {};
    m_queue.clear();
    shake(0, 0);
}

void UsbGamepad::set(GamepadState const& state)
{
    if (!isPlugged())
        return;
    std::lock_guard const lock(host().usbMutex());
    auto const& newest = m_queue.empty() ? m_last : m_queue.back();
    if (state == newest)
        return;
    if (state.buttons != newest.buttons)
        wakeHost(); // a stick that trembles does not
    if (!isConfigured())
        return;
    // What only sticks and triggers tell apart becomes one; every button is seen, however short it was pressed.
    bool const merges = !m_queue.empty() && m_queue.back().buttons == state.buttons;
    if (merges || m_queue.size() == queueLimit)
        m_queue.back() = state;
    else
        m_queue.push_back(state);
    serve();
}

std::optional<Bytes> UsbGamepad::nextReport()
{
    auto const before = currentReport();
    while (!m_queue.empty()) {
        m_last = m_queue.front();
        m_queue.pop_front();
        if (auto report = currentReport(); report != before)
            return report;
    }
    return std::nullopt;
}

Bytes UsbGamepad::currentReport() const
{
    return reportOf(m_last);
}

void UsbGamepad::output(ConstByteSpan report)
{
    if (report.size() >= 5 && report[0] == outputId)
        shake(loadLittle<std::uint16_t>(report.subspan(1, 2)), loadLittle<std::uint16_t>(report.subspan(3, 2)));
}

void UsbGamepad::shake(std::uint16_t strong, std::uint16_t weak)
{
    m_strong = strong;
    m_weak = weak;
    tell(strong, weak);
}

void UsbGamepad::tell(std::uint16_t strong, std::uint16_t weak)
{
    if (strong == m_toldStrong && weak == m_toldWeak)
        return;
    m_toldStrong = strong;
    m_toldWeak = weak;
    if (m_rumble)
        m_rumble(strong, weak);
}

/// A pad does not shake while the machine stands still.
void UsbGamepad::pause()
{
    std::unique_lock<std::mutex> lock;
    if (isPlugged())
        lock = std::unique_lock(host().usbMutex());
    tell(0, 0);
}

void UsbGamepad::resume()
{
    HidDevice::resume();
    std::unique_lock<std::mutex> lock;
    if (isPlugged())
        lock = std::unique_lock(host().usbMutex());
    tell(m_strong, m_weak);
}

Section UsbGamepad::save() const
{
    return state::save(State { m_standard, m_hid, m_last, { m_queue.begin(), m_queue.end() }, m_strong, m_weak });
}

Result<> UsbGamepad::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    m_standard = saved.standard;
    m_hid = saved.hid;
    m_last = saved.last;
    m_queue.assign(saved.queue.begin(), saved.queue.end());
    m_strong = saved.strong;
    m_weak = saved.weak;
    updateReady();
    return {};
}

}
