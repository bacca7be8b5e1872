#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace vmm {

/// A key by its place, not its letter: the code is Linux' (linux/input-event-codes.h, KEY_A = 30), so that the guest's
/// own layout decides what it means.
struct KeyInput {
    std::uint16_t code = 0;
    bool pressed = false;
    bool operator==(KeyInput const&) const = default;
};

enum class PointerButton : std::uint8_t { Left, Right, Middle, Back, Forward };

struct ButtonInput {
    PointerButton button = PointerButton::Left;
    bool pressed = false;
    bool operator==(ButtonInput const&) const = default;
};

/// Where the pointer is, as a part of the screen: 0 to 32767 from left to right and from top to bottom.
struct AbsoluteMove {
    std::uint16_t x = 0, y = 0;
    bool operator==(AbsoluteMove const&) const = default;
};

/// How far a captured pointer moved, in the mouse's own steps; y grows downwards.
struct RelativeMove {
    std::int32_t dx = 0, dy = 0;
    bool operator==(RelativeMove const&) const = default;
};

/// Notches of the wheels; up and right are positive.
struct WheelMove {
    std::int32_t vertical = 0, horizontal = 0;
    bool operator==(WheelMove const&) const = default;
};

/// The buttons of a gamepad by their places, whatever is printed on them; the last four are the directional pad.
enum class GamepadButton : std::uint8_t {
    South,
    East,
    West,
    North,
    LeftShoulder,
    RightShoulder,
    Select,
    Start,
    Home,
    LeftStick,
    RightStick,
    Capture,
    Assistant,
    Up,
    Right,
    Down,
    Left
};

/// What a person does with a gamepad, as a whole. By itself: nothing.
struct GamepadState {
    std::uint32_t buttons = 0;                                 ///< a bit for each GamepadButton
    std::int16_t leftX = 0, leftY = 0, rightX = 0, rightY = 0; ///< sticks; right and down are positive
    std::uint8_t leftTrigger = 0, rightTrigger = 0;
    bool has(GamepadButton button) const { return (buttons >> static_cast<unsigned>(button) & 1) != 0; }
    void press(GamepadButton button) { buttons |= 1u << static_cast<unsigned>(button); }
    bool operator==(GamepadState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("buttons", s.buttons);
        v.field("leftX", s.leftX);
        v.field("leftY", s.leftY);
        v.field("rightX", s.rightX);
        v.field("rightY", s.rightY);
        v.field("leftTrigger", s.leftTrigger);
        v.field("rightTrigger", s.rightTrigger);
    }
};

struct GamepadInput {
    std::string device; ///< of the machine's configuration
    GamepadState state;
    bool operator==(GamepadInput const&) const = default;
};

using Input = std::variant<KeyInput, ButtonInput, AbsoluteMove, RelativeMove, WheelMove, GamepadInput>;

/// A device that takes a person's input. Machine thread.
class KeyboardSink {
public:
    virtual ~KeyboardSink() = default;
    virtual void key(KeyInput input) = 0;
    /// The guest's driver listens to this one. Of several it gets the keys.
    virtual bool isListenedTo() const { return true; }
};

class PointerSink {
public:
    virtual ~PointerSink() = default;
    /// The guest's driver listens to this device, so absolute positions will be seen.
    virtual bool wantsAbsolute() const = 0;
    /// The same for movements.
    virtual bool isListenedTo() const { return true; }
    virtual void move(AbsoluteMove) { }
    virtual void move(RelativeMove) { }
    virtual void button(ButtonInput input) = 0;
    virtual void wheel(WheelMove move) = 0;
};

}
