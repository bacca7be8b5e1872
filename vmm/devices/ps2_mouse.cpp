#include "vmm/devices/ps2_mouse.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace vmm {

namespace {

constexpr std::uint8_t replyAck = 0xfa, replyResend = 0xfe, replySelfTestPassed = 0xaa;
/// What has not been reported is kept up to this; nobody moves further between two packets.
constexpr std::int32_t maximumDistance = 1 << 20;

void accumulate(std::int32_t& total, std::int32_t by)
{
    by = std::clamp(by, -maximumDistance, maximumDistance);
    total = std::clamp(std::clamp(total, -maximumDistance, maximumDistance) + by, -maximumDistance, maximumDistance);
}

/// Takes from a distance what fits into [low, high].
std::int32_t take(std::int32_t& total, std::int32_t low, std::int32_t high)
{
    auto const part = std::clamp(total, low, high);
    total -= part;
    return part;
}

/// Scaling 2:1 makes slow movements slower against fast ones.
std::int32_t scaled(std::int32_t value)
{
    static constexpr std::array<std::int32_t, 6> slow { 0, 1, 1, 3, 6, 9 };
    auto const size = std::abs(value);
    auto const result = size < 6 ? slow[static_cast<std::size_t>(size)] : size * 2;
    return std::clamp(value < 0 ? -result : result, -255, 255);
}

}

void Ps2Mouse::move(std::int32_t dx, std::int32_t dy)
{
    if (!m_state.reporting)
        return;
    accumulate(m_state.dx, dx);
    accumulate(m_state.dy, dy);
    if (m_state.packets.empty())
        queuePacket();
}

void Ps2Mouse::wheel(std::int32_t notchesUp)
{
    if (!m_state.reporting)
        return;
    accumulate(m_state.dz, -std::clamp(notchesUp, -maximumDistance, maximumDistance));
    if (m_state.packets.empty() && m_state.id != 0)
        queuePacket();
}

void Ps2Mouse::button(PointerButton button, bool pressed)
{
    auto const bit = static_cast<std::uint8_t>(1u << static_cast<unsigned>(button));
    auto const before = m_state.buttons;
    m_state.buttons = static_cast<std::uint8_t>(pressed ? before | bit : before & ~bit);
    if (m_state.buttons != before && m_state.reporting)
        queuePacket();
}

Bytes Ps2Mouse::makePacket()
{
    auto dx = take(m_state.dx, -255, 255);
    auto dy = -take(m_state.dy, -255, 255); // a mouse counts upwards
    if (m_state.doubleScale && !m_state.remote) {
        dx = scaled(dx);
        dy = scaled(dy);
    }
    Bytes packet {
        static_cast<std::uint8_t>(0x08 | (m_state.buttons & 7) | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0)),
        static_cast<std::uint8_t>(dx),
        static_cast<std::uint8_t>(dy),
    };
    if (m_state.id == 3)
        packet.push_back(static_cast<std::uint8_t>(take(m_state.dz, -127, 127)));
    else if (m_state.id == 4)
        packet.push_back(static_cast<std::uint8_t>((take(m_state.dz, -7, 7) & 0x0f) | ((m_state.buttons & 0x18) << 1)));
    else
        m_state.dz = 0;
    return packet;
}

void Ps2Mouse::queuePacket()
{
    if (!streams() || m_state.packets.size() + 4 > queueLimit)
        return;
    auto const packet = makePacket();
    m_state.packets.insert(m_state.packets.end(), packet.begin(), packet.end());
}

std::optional<std::uint8_t> Ps2Mouse::send()
{
    auto& queue = m_state.replies.empty() ? m_state.packets : m_state.replies;
    if (queue.empty())
        return std::nullopt;
    auto const value = queue.front();
    queue.erase(queue.begin());
    m_state.lastSent = value;
    if (m_state.packets.empty() && hasMoved())
        queuePacket();
    return value;
}

void Ps2Mouse::reply(std::initializer_list<std::uint8_t> bytes)
{
    if (m_state.replies.size() + bytes.size() <= 16)
        m_state.replies.insert(m_state.replies.end(), bytes);
}

void Ps2Mouse::defaults()
{
    m_state.reporting = m_state.remote = m_state.wrap = m_state.doubleScale = false;
    m_state.resolution = 2;
    m_state.sampleRate = 100;
    m_state.dx = m_state.dy = m_state.dz = 0;
    m_state.packets.clear();
}

void Ps2Mouse::receive(std::uint8_t value)
{
    if (m_state.wrap && value != 0xec && value != 0xff)
        return reply({ value });
    if (m_state.pendingCommand != 0)
        return argument(std::exchange(m_state.pendingCommand, 0), value);
    switch (value) {
    case 0xe6:
    case 0xe7: m_state.doubleScale = value == 0xe7; return reply({ replyAck });
    case 0xe8:
    case 0xf3: m_state.pendingCommand = value; return reply({ replyAck });
    case 0xe9: {
        auto const left = m_state.buttons & 1, right = m_state.buttons >> 1 & 1, middle = m_state.buttons >> 2 & 1;
        auto const status = static_cast<std::uint8_t>((m_state.remote ? 0x40 : 0) | (m_state.reporting ? 0x20 : 0)
            | (m_state.doubleScale ? 0x10 : 0) | left << 2 | middle << 1 | right);
        return reply({ replyAck, status, m_state.resolution, m_state.sampleRate });
    }
    case 0xea:
    case 0xf0:
        m_state.remote = value == 0xf0;
        m_state.packets.clear();
        return reply({ replyAck });
    case 0xeb: {
        reply({ replyAck });
        auto const packet = makePacket();
        if (m_state.replies.size() + packet.size() <= 16)
            m_state.replies.insert(m_state.replies.end(), packet.begin(), packet.end());
        return;
    }
    case 0xec:
    case 0xee:
        m_state.wrap = value == 0xee;
        m_state.packets.clear();
        return reply({ replyAck });
    case 0xf2: return reply({ replyAck, m_state.id });
    case 0xf4:
        m_state.reporting = true;
        m_state.packets.clear();
        return reply({ replyAck });
    case 0xf5:
        m_state.reporting = false;
        m_state.packets.clear();
        return reply({ replyAck });
    case 0xf6: defaults(); return reply({ replyAck });
    case 0xfe: return reply({ m_state.lastSent });
    case 0xff: {
        auto const buttons = m_state.buttons; // a finger stays where it is
        m_state = {};
        m_state.buttons = buttons;
        return reply({ replyAck, replySelfTestPassed, m_state.id });
    }
    default: return reply({ replyResend });
    }
}

void Ps2Mouse::argument(std::uint8_t command, std::uint8_t value)
{
    if (command == 0xe8)
        m_state.resolution = value & 3;
    else
        setSampleRate(value);
    reply({ replyAck });
}

void Ps2Mouse::setSampleRate(std::uint8_t rate)
{
    m_state.sampleRate = rate;
    if (m_state.knock[0] == 200 && rate == 80) {
        if (m_state.knock[1] == 100)
            m_state.id = 3;
        else if (m_state.knock[1] == 200)
            m_state.id = 4;
    }
    m_state.knock = { m_state.knock[1], rate };
}

}
