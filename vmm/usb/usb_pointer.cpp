#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/usb/hid_device.h"

#include <algorithm>
#include <utility>

namespace vmm {

namespace {

// clang-format off
/// HID 1.11, Appendix E.10 "Report Descriptor (Mouse)", with five buttons and two wheels.
constexpr std::uint8_t mouseReports[] {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, // generic desktop, mouse, pointer
    0x05, 0x09, 0x19, 0x01, 0x29, 0x05, 0x15, 0x00, 0x25, 0x01, 0x95, 0x05, 0x75, 0x01, 0x81, 0x02, // 5 buttons
    0x95, 0x01, 0x75, 0x03, 0x81, 0x01,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x75, 0x08, 0x95, 0x03, 0x81, 0x06, // X, Y, wheel
    0x05, 0x0c, 0x0a, 0x38, 0x02, 0x95, 0x01, 0x81, 0x06,       // AC pan
    0xc0, 0xc0
};
/// The same with X and Y from 0 to 32767 in 16 bits.
constexpr std::uint8_t tabletReports[] {
    0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00,
    0x05, 0x09, 0x19, 0x01, 0x29, 0x05, 0x15, 0x00, 0x25, 0x01, 0x95, 0x05, 0x75, 0x01, 0x81, 0x02,
    0x95, 0x01, 0x75, 0x03, 0x81, 0x01,
    0x05, 0x01, 0x09, 0x30, 0x09, 0x31, 0x15, 0x00, 0x26, 0xff, 0x7f, 0x35, 0x00, 0x46, 0xff, 0x7f,
    0x75, 0x10, 0x95, 0x02, 0x81, 0x02,
    0x09, 0x38, 0x15, 0x81, 0x25, 0x7f, 0x35, 0x00, 0x45, 0x00, 0x75, 0x08, 0x95, 0x01, 0x81, 0x06,
    0x05, 0x0c, 0x0a, 0x38, 0x02, 0x81, 0x06,
    0xc0, 0xc0
};
// clang-format on

constexpr std::int32_t mostSteps = 127, farthest = 32767;

/// The part of a movement that fits into one report.
std::int32_t take(std::int32_t& left)
{
    auto const now = std::clamp(left, -mostSteps, mostSteps);
    left -= now;
    return now;
}

std::int32_t sum(std::int32_t a, std::int32_t b)
{
    constexpr std::int64_t limit = 1 << 20;
    return static_cast<std::int32_t>(std::clamp(std::int64_t(a) + b, -limit, limit));
}

}

UsbPointer::UsbPointer(std::string const& id, Kind kind, std::function<void()> changed)
    : HidDevice(UsbSpeed::Full, (kind == Kind::Mouse ? "mouse " : "tablet ") + id,
        kind == Kind::Mouse ? "USB Mouse" : "USB Tablet", kind == Kind::Mouse ? Boot::Mouse : Boot::None,
        kind == Kind::Mouse ? Bytes(std::begin(mouseReports), std::end(mouseReports))
                            : Bytes(std::begin(tabletReports), std::end(tabletReports)),
        8, std::move(changed)),
      m_kind(kind)
{
}

void UsbPointer::reset()
{
    m_standard = {};
    m_hid = {};
    forgetInput();
    updateReady();
}

void UsbPointer::forgetInput()
{
    m_last = {};
    m_queue.clear();
}

/// How things are after all that waits.
UsbPointer::Event& UsbPointer::newest()
{
    return m_queue.empty() ? m_last : m_queue.back();
}

void UsbPointer::post(Event event, bool mayMerge)
{
    wakeHost();
    if (!isConfigured())
        return;
    // Moves in a row become one; what a button changes stays where it was.
    bool const absolute = m_kind == Kind::Tablet;
    bool const isLike = mayMerge && !m_queue.empty() && m_queue.back().buttons == event.buttons;
    if (isLike || m_queue.size() >= queueLimit) { // what is missed is a click, and no button stays down
        auto& last = m_queue.back();
        last.buttons = event.buttons;
        last.x = absolute ? event.x : sum(last.x, event.x);
        last.y = absolute ? event.y : sum(last.y, event.y);
        last.wheel = sum(last.wheel, event.wheel);
        last.pan = sum(last.pan, event.pan);
    } else {
        m_queue.push_back(event);
    }
    serve();
}

void UsbPointer::move(AbsoluteMove to)
{
    if (!isPlugged() || m_kind != Kind::Tablet)
        return;
    std::lock_guard const lock(host().usbMutex());
    post({ newest().buttons, std::min<std::int32_t>(to.x, farthest), std::min<std::int32_t>(to.y, farthest), 0, 0 },
        true);
}

void UsbPointer::move(RelativeMove by)
{
    if (!isPlugged() || m_kind != Kind::Mouse)
        return;
    std::lock_guard const lock(host().usbMutex());
    post({ newest().buttons, by.dx, by.dy, 0, 0 }, true);
}

void UsbPointer::button(ButtonInput input)
{
    if (!isPlugged())
        return;
    std::lock_guard const lock(host().usbMutex());
    auto const bit = static_cast<std::uint8_t>(1u << static_cast<unsigned>(input.button));
    auto event = newest();
    event.buttons = static_cast<std::uint8_t>(input.pressed ? event.buttons | bit : event.buttons & ~bit);
    event.wheel = event.pan = 0;
    if (m_kind == Kind::Mouse)
        event.x = event.y = 0;
    post(event, false);
}

void UsbPointer::wheel(WheelMove move)
{
    if (!isPlugged())
        return;
    std::lock_guard const lock(host().usbMutex());
    auto event = newest();
    event.wheel = move.vertical;
    event.pan = move.horizontal;
    if (m_kind == Kind::Mouse)
        event.x = event.y = 0;
    post(event, true);
}

std::optional<Bytes> UsbPointer::nextReport()
{
    if (m_queue.empty())
        return std::nullopt;
    auto& next = m_queue.front();
    Event report = next;
    report.wheel = take(next.wheel);
    report.pan = take(next.pan);
    if (m_kind == Kind::Mouse) {
        report.x = take(next.x);
        report.y = take(next.y);
    }
    bool const more = next.wheel != 0 || next.pan != 0 || (m_kind == Kind::Mouse && (next.x != 0 || next.y != 0));
    if (!more)
        m_queue.pop_front();
    m_last = report;
    // A movement is news once.
    m_last.wheel = m_last.pan = 0;
    if (m_kind == Kind::Mouse)
        m_last.x = m_last.y = 0;
    return reportOf(report);
}

Bytes UsbPointer::reportOf(Event const& event) const
{
    auto const byte = [](std::int32_t value, unsigned shift = 0) {
        return static_cast<std::uint8_t>(static_cast<std::uint32_t>(value) >> shift);
    };
    // HID counts downwards what a wheel counts as towards the person.
    if (m_kind == Kind::Tablet)
        return { event.buttons, byte(event.x), byte(event.x, 8), byte(event.y), byte(event.y, 8), byte(event.wheel),
            byte(event.pan) };
    Bytes report { event.buttons, byte(event.x), byte(event.y) };
    if (m_hid.protocol != 0)
        report.insert(report.end(), { byte(event.wheel), byte(event.pan) });
    return report;
}

Section UsbPointer::save() const
{
    return state::save(State { m_kind == Kind::Tablet, m_standard, m_hid, m_last, { m_queue.begin(), m_queue.end() } });
}

Result<> UsbPointer::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    if (saved.absolute != (m_kind == Kind::Tablet))
        return fail(ErrorCode::Corrupt, "the state of another kind of pointer");
    m_standard = saved.standard;
    m_hid = saved.hid;
    m_last = saved.last;
    m_queue.assign(saved.queue.begin(), saved.queue.end());
    updateReady();
    return {};
}

}
