#pragma once

#include "vmm/backends/input.h"
#include "vmm/base/bytes.h"
#include "vmm/state/options.h"

#include <array>
#include <optional>

namespace vmm {

/// A PS/2 mouse on its wire (IBM Personal System/2 Hardware Interface Technical Reference, 1988, "Mouse"), with a wheel
/// and five buttons for a driver that knocks for them with sample rates: 200, 100, 80 for packets of four bytes
/// (IntelliMouse), 200, 200, 80 for the two more buttons (Explorer). A part of I8042, which holds the lock.
///
/// A packet is made when the guest has taken the one before, whatever the sample rate; a button makes one at once, so
/// that no click is lost. Left out: horizontal wheels.
class Ps2Mouse {
public:
    static constexpr std::size_t queueLimit = 256;

    struct State {
        std::uint8_t id = 0; // 0, 3 (wheel) or 4 (five buttons)
        bool reporting = false, remote = false, wrap = false, doubleScale = false;
        std::uint8_t resolution = 2, sampleRate = 100;
        std::array<std::uint8_t, 2> knock {}; // the two sample rates before the last
        std::uint8_t pendingCommand = 0;
        std::uint8_t lastSent = 0;
        std::uint8_t buttons = 0;            // bit 0 left, 1 right, 2 middle, 3 back, 4 forward
        std::int32_t dx = 0, dy = 0, dz = 0; // not yet reported; y grows downwards, z towards the person
        Bytes replies, packets;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("id", s.id, state::Range { 0, 4 });
            v.field("reporting", s.reporting);
            v.field("remote", s.remote);
            v.field("wrap", s.wrap);
            v.field("doubleScale", s.doubleScale);
            v.field("resolution", s.resolution);
            v.field("sampleRate", s.sampleRate);
            v.field("knock", s.knock);
            v.field("pendingCommand", s.pendingCommand);
            v.field("lastSent", s.lastSent);
            v.field("buttons", s.buttons, state::Range { 0, 31 });
            v.field("dx", s.dx);
            v.field("dy", s.dy);
            v.field("dz", s.dz);
            v.field("replies", s.replies, state::Max { 16 });
            v.field("packets", s.packets, state::Max { queueLimit });
        }
    };

    void reset() { m_state = {}; }
    State const& state() const { return m_state; }
    void setState(State state) { m_state = std::move(state); }

    void receive(std::uint8_t value);
    std::optional<std::uint8_t> send();

    void move(std::int32_t dx, std::int32_t dy);
    void button(PointerButton button, bool pressed);
    void wheel(std::int32_t notchesUp);

private:
    void argument(std::uint8_t command, std::uint8_t value);
    void setSampleRate(std::uint8_t rate);
    void reply(std::initializer_list<std::uint8_t> bytes);
    void defaults();
    bool streams() const { return m_state.reporting && !m_state.remote && !m_state.wrap; }
    bool hasMoved() const { return m_state.dx != 0 || m_state.dy != 0 || (m_state.id != 0 && m_state.dz != 0); }
    Bytes makePacket();
    void queuePacket();

    State m_state;
};

}
