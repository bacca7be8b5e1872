#include "vmm/virtio/tablet.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <linux/input-event-codes.h>

namespace vmm::virtio {

namespace {

// 5.8.2 "Virtqueues", 5.8.4 "Device configuration layout".
constexpr unsigned eventQueue = 0;
constexpr std::uint16_t configSize = 136, payloadOffset = 8;
enum Select : std::uint8_t {
    Name = 0x01,
    Serial = 0x02,
    DeviceIds = 0x03,
    Properties = 0x10,
    EventBits = 0x11,
    AxisInfo = 0x12
};
constexpr std::uint16_t busVirtual = 0x06; // BUS_VIRTUAL of linux/input.h
constexpr std::uint16_t axisMaximum = 32767;
constexpr std::uint16_t buttonCodes[] = { BTN_LEFT, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA };

using Payload = std::array<std::uint8_t, configSize - payloadOffset>;

/// Sets the bits and returns how many bytes they take.
std::uint8_t setBits(Payload& payload, std::initializer_list<unsigned> bits)
{
    for (auto const bit : bits)
        payload[bit / 8] |= static_cast<std::uint8_t>(1u << bit % 8);
    return static_cast<std::uint8_t>(std::max(bits) / 8 + 1);
}

std::uint8_t setText(Payload& payload, std::string_view text)
{
    std::copy(text.begin(), text.end(), payload.begin());
    return static_cast<std::uint8_t>(text.size());
}

/// What configuration space shows for a selection; 0 bytes for what there is not.
std::uint8_t describeTablet(std::uint8_t select, std::uint8_t subselect, Payload& payload)
{
    auto const bytes = ByteSpan(payload);
    switch (select) {
    case Name: return subselect == 0 ? setText(payload, "Chronovisor Tablet") : 0;
    case Serial: return subselect == 0 ? setText(payload, "1") : 0;
    case DeviceIds:
        if (subselect != 0)
            return 0;
        storeLittle(bytes.subspan(0, 2), busVirtual);
        storeLittle(bytes.subspan(2, 2), std::uint16_t(0x1af4));
        storeLittle(bytes.subspan(4, 2), std::uint16_t(0x0003));
        storeLittle(bytes.subspan(6, 2), std::uint16_t(0x0001));
        return 8;
    case Properties: return 0;
    case EventBits:
        switch (subselect) {
        case EV_KEY: return setBits(payload, { BTN_LEFT, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA });
        case EV_REL: return setBits(payload, { REL_WHEEL, REL_HWHEEL });
        case EV_ABS: return setBits(payload, { ABS_X, ABS_Y });
        default: return 0;
        }
    case AxisInfo:
        if (subselect != ABS_X && subselect != ABS_Y)
            return 0;
        storeLittle(bytes.subspan(4, 4), std::uint32_t(axisMaximum)); // min, max, fuzz, flat, resolution
        return 20;
    default: return 0;
    }
}

}

Tablet::Tablet(PciServices const& services, EventLoop& loop, std::function<void()> wantsAbsoluteChanged)
    : VirtioDevice(services, loop,
        { .id = 18, .classCode = 0x098000, .features = 0, .queueSizes = { 64, 64 }, .configSize = configSize }),
      m_wantsAbsoluteChanged(std::move(wantsAbsoluteChanged))
{
}

Tablet::~Tablet()
{
    detach();
}

void Tablet::reset()
{
    resetTransport();
    m_select = m_subselect = 0;
}

void Tablet::driverGone()
{
    setReady(false);
    m_events.clear();
}

void Tablet::setReady(bool ready)
{
    if (m_ready.exchange(ready) != ready && m_wantsAbsoluteChanged)
        m_wantsAbsoluteChanged();
}

void Tablet::move(AbsoluteMove to)
{
    post({ { EV_ABS, ABS_X, std::min(to.x, axisMaximum) }, { EV_ABS, ABS_Y, std::min(to.y, axisMaximum) },
        { EV_SYN, SYN_REPORT, 0 } });
}

void Tablet::button(ButtonInput input)
{
    auto const index = static_cast<std::size_t>(input.button);
    if (index < std::size(buttonCodes))
        post({ { EV_KEY, buttonCodes[index], input.pressed ? 1u : 0u }, { EV_SYN, SYN_REPORT, 0 } });
}

void Tablet::wheel(WheelMove move)
{
    if (move.vertical != 0)
        post({ { EV_REL, REL_WHEEL, static_cast<std::uint32_t>(move.vertical) }, { EV_SYN, SYN_REPORT, 0 } });
    if (move.horizontal != 0)
        post({ { EV_REL, REL_HWHEEL, static_cast<std::uint32_t>(move.horizontal) }, { EV_SYN, SYN_REPORT, 0 } });
}

void Tablet::post(std::initializer_list<TabletEvent> events)
{
    {
        auto const service = lockService();
        if (!isDriverReady())
            return;
        bool const isMove = events.begin()->type == EV_ABS;
        bool const afterMove = m_events.size() >= 3 && m_events[m_events.size() - 3].type == EV_ABS;
        if (isMove && afterMove)
            m_events.resize(m_events.size() - 3);
        // A guest that does not listen misses whole reports, never a part of one, and never how a button is at last.
        constexpr std::size_t roomForButtons = 2 * std::size(buttonCodes);
        auto const size = m_events.size() + events.size();
        if (size > queuedEvents - roomForButtons) {
            auto const& first = *events.begin();
            auto const same = std::find_if(m_events.rbegin(), m_events.rend(),
                [&](TabletEvent const& event) { return event.type == EV_KEY && event.code == first.code; });
            if (first.type == EV_KEY && same != m_events.rend())
                same->value = first.value;
            if (first.type != EV_KEY || same != m_events.rend() || size > queuedEvents)
                return;
        }
        m_events.insert(m_events.end(), events);
    }
    kick(eventQueue);
}

void Tablet::serve(unsigned index)
{
    if (index != eventQueue) {
        // Lights that a tablet does not have.
        serveAll(index, m_chain, [this, index](Chain& chain) { give(index, chain.head, 0); });
        return;
    }
    auto& ring = queue(index);
    while (!m_events.empty()) {
        if (ring.take(m_chain) != Queue::Taken::Chain) {
            if (!ring.allowKicks())
                return;
            continue;
        }
        std::array<std::uint8_t, 8> bytes {};
        auto const& event = m_events.front();
        storeLittle(ByteSpan(bytes).subspan(0, 2), event.type);
        storeLittle(ByteSpan(bytes).subspan(2, 2), event.code);
        storeLittle(ByteSpan(bytes).subspan(4, 4), event.value);
        auto const written = m_chain.write(0, bytes);
        m_events.pop_front();
        give(index, m_chain.head, static_cast<std::uint32_t>(written));
    }
}

void Tablet::readDeviceConfig(std::uint64_t offset, ByteSpan data)
{
    std::array<std::uint8_t, configSize> config {};
    Payload payload {};
    config[0] = m_select;
    config[1] = m_subselect;
    config[2] = describeTablet(m_select, m_subselect, payload);
    std::copy(payload.begin(), payload.end(), config.begin() + payloadOffset);
    std::copy_n(config.begin() + static_cast<std::ptrdiff_t>(offset), data.size(), data.begin());
}

void Tablet::writeDeviceConfig(std::uint64_t offset, ConstByteSpan data)
{
    for (std::size_t i = 0; i < data.size(); ++i) {
        if (offset + i == 0)
            m_select = data[i];
        else if (offset + i == 1)
            m_subselect = data[i];
    }
}

Section Tablet::save() const
{
    return state::save(
        State { pciState(), transportState(), m_select, m_subselect, { m_events.begin(), m_events.end() } });
}

Result<> Tablet::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    TRY(checkTransport(saved.pci, saved.transport));
    loadTransport(saved.pci, saved.transport);
    m_select = saved.select;
    m_subselect = saved.subselect;
    m_events.assign(saved.events.begin(), saved.events.end());
    setReady(isDriverReady());
    return {};
}

}
