#pragma once

#include "vmm/base/bytes.h"
#include "vmm/state/options.h"

#include <array>
#include <cstdint>
#include <optional>

namespace vmm {

/// A PS/2 keyboard on its wire (IBM Personal System/2 Hardware Interface Technical Reference, 1988, "Keyboard"): sends
/// scan codes of set 1, 2 or 3 and answers commands. A part of I8042, which translates and holds the lock. Repeating a
/// held key is up to its owner, at the delay and rate that the guest has set. Left out: making only some keys of
/// set 3 repeat or send breaks; all do.
class Ps2Keyboard {
public:
    static constexpr std::size_t queueLimit = 1024; ///< bytes of scan codes that wait for the guest

    struct State {
        bool scanning = true;
        std::uint8_t set = 2, leds = 0, typematic = 0x2b;
        std::uint8_t pendingCommand = 0; // waits for its argument; 0: none
        std::uint8_t lastSent = 0;
        Bytes replies, codes;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("scanning", s.scanning);
            v.field("set", s.set, state::Range { 1, 3 });
            v.field("leds", s.leds);
            v.field("typematic", s.typematic);
            v.field("pendingCommand", s.pendingCommand);
            v.field("lastSent", s.lastSent);
            v.field("replies", s.replies, state::Max { 16 });
            v.field("codes", s.codes, state::Max { queueLimit });
        }
    };

    void reset() { m_state = {}; }
    State const& state() const { return m_state; }
    void setState(State state) { m_state = std::move(state); }

    /// A byte from the controller.
    void receive(std::uint8_t value);
    /// The next byte to the controller.
    std::optional<std::uint8_t> send();

    /// Queues what a key sends; false for one that this keyboard does not have, or that found no room.
    bool key(std::uint16_t code, bool pressed);
    /// Pause sends all that it has when it is pressed, and neither repeats nor breaks.
    static bool repeats(std::uint16_t code);
    std::uint64_t repeatDelay() const;  ///< nanoseconds
    std::uint64_t repeatPeriod() const; ///< nanoseconds

private:
    void argument(std::uint8_t command, std::uint8_t value);
    void reply(std::initializer_list<std::uint8_t> bytes);
    void defaults();

    State m_state;
};

/// What the controller makes of a byte of set 2 when it translates to set 1; 0xf0 is its caller's matter.
std::uint8_t translateScanCode(std::uint8_t code);

}
