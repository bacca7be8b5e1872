#pragma once

#include "vmm/usb/hid_device.h"

namespace vmm {

/// A gamepad with two sticks, two triggers, a directional pad and fifteen buttons, and two motors. It has the ids and
/// the reports of a Stadia Controller (18d1:9400). HID alone says that button 4 is pressed, not where that is: a game,
/// a browser or SDL goes by a list of pads it knows, and this one is on the lists of all of them, while what is behind
/// it are plain HID reports that Linux' hid-generic, Windows and macOS read without a driver of their own. Under Linux'
/// names its buttons are BTN_SOUTH, BTN_EAST and so on, its triggers ABS_BRAKE and ABS_GAS.
///
///   report 3 | byte 0: the pad, 0 to 7 from up on clockwise, else 8; 1, 2: buttons; 3 to 6: X, Y, Z, Rz of 1 to 255,
///            | 128 in the middle; 7, 8: brake, accelerator; 9: media keys that it has not
///   report 5 | from the guest: how strong the slow motor and the fast one are to shake, 16 bits each
///
/// Left out: the vendor's own interface, and the headset's keys.
///
/// Threads: as UsbDevice; set() on the machine's thread without the lock.
class UsbGamepad final : public HidDevice {
public:
    static constexpr std::size_t queueLimit = 64;

    struct State {
        static constexpr std::string_view kind = "usb-gamepad";
        static constexpr unsigned version = 1;
        UsbStandardState standard;
        HidState hid;
        GamepadState last;               ///< that the guest has seen
        std::vector<GamepadState> queue; ///< that it has not
        std::uint16_t strong = 0, weak = 0;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("standard", s.standard);
            v.field("hid", s.hid);
            v.field("last", s.last);
            v.field("queue", s.queue, state::Max { queueLimit });
            v.field("strong", s.strong);
            v.field("weak", s.weak);
        }
    };

    using Rumble = std::function<void(std::uint16_t strong, std::uint16_t weak)>;
    /// `rumble` is called, with the lock held, when the motors are to do something else.
    explicit UsbGamepad(std::string const& id, Rumble rumble = {});
    ~UsbGamepad() override;
    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void pause() override;
    void resume() override;

    /// Everything as it is now.
    void set(GamepadState const& state);

private:
    std::optional<Bytes> nextReport() override;
    Bytes currentReport() const override;
    void output(ConstByteSpan report) override;
    void forgetInput() override;
    void shake(std::uint16_t strong, std::uint16_t weak);
    void tell(std::uint16_t strong, std::uint16_t weak);

    Rumble const m_rumble;
    GamepadState m_last;
    std::deque<GamepadState> m_queue;
    std::uint16_t m_strong = 0, m_weak = 0;
    std::uint16_t m_toldStrong = 0, m_toldWeak = 0; // what is behind m_rumble does
};

}
