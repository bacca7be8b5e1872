#pragma once

#include "vmm/backends/input.h"
#include "vmm/usb/emulated_usb_device.h"

#include <atomic>
#include <deque>
#include <functional>
#include <optional>

namespace vmm {

/// What all human interface devices remember (Device Class Definition for Human Interface Devices (HID), Version 1.11,
/// 7.2 "Class-Specific Requests").
struct HidState {
    std::uint8_t protocol = 1; ///< 0: boot, 1: report
    std::uint8_t idle = 0;     ///< a report is repeated after this time, of 4 ms; 0: never
    bool operator==(HidState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("protocol", s.protocol, state::Range { 0, 1 });
        v.field("idle", s.idle);
    }
};

/// A device with one interrupt endpoint, 81, that has a report ready or keeps the transfer until there is one.
class HidDevice : public EmulatedUsbDevice {
public:
    void cancel(UsbTransfer& transfer) override;
    void setHost(UsbHost* host) override;
    void resume() override;

protected:
    enum class Boot : std::uint8_t { None = 0, Keyboard = 1, Mouse = 2 };
    /// Whose device it shows itself to be.
    struct Ids {
        std::uint16_t vendor, product;
    };
    /// `readyChanged` is called, with the lock held, when the guest's driver comes or goes.
    HidDevice(UsbSpeed speed, std::string identity, std::string product, Boot boot, Bytes reportDescriptor,
        unsigned packetSize, std::function<void()> readyChanged = {}, std::optional<Ids> ids = {});

    /// The next report that is news; nothing: there is none.
    virtual std::optional<Bytes> nextReport() = 0;
    /// How things are, for GET_REPORT and repeating.
    virtual Bytes currentReport() const = 0;
    virtual void output(ConstByteSpan report) { (void)report; }
    virtual void forgetInput() = 0;

    /// There is something new, maybe.
    void serve();
    /// Whether the guest's driver has configured it. Any thread.
    bool isReady() const { return m_ready; }
    /// After a change of the standard state.
    void updateReady();
    HidState m_hid;

private:
    void unconfigured() override;
    void data(UsbTransfer& transfer) override;
    void request(UsbTransfer& transfer) override;
    ConstByteSpan interfaceDescriptor(unsigned type, unsigned interface) const override;
    void send(Bytes const& report);
    void armIdle();

    Bytes const m_reportDescriptor;
    Bytes const m_hidDescriptor;
    std::function<void()> const m_readyChanged;
    std::atomic<bool> m_ready { false };
    std::deque<UsbTransfer*> m_waiting;
    std::unique_ptr<Timer> m_idleTimer;
};

/// A keyboard of 6 keys at once and modifiers, in the boot protocol's layout (HID 1.11, Appendix B.1 "Protocol 1
/// (Keyboard)"). Keys come one in a report, so that none is missed however slowly the guest asks.
///
/// Threads: as UsbDevice; key() on the machine's thread without the lock.
class UsbKeyboard final : public HidDevice, public KeyboardSink {
public:
    static constexpr std::size_t queueLimit = 256, keysAtOnce = 6;

    struct State {
        static constexpr std::string_view kind = "usb-keyboard";
        static constexpr unsigned version = 1;
        UsbStandardState standard;
        HidState hid;
        std::uint8_t modifiers = 0, leds = 0;
        Bytes pressed; ///< usages, in the order in which they were
        Bytes queue;   ///< pairs of usage and 1 or 0, that the guest has not seen
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("standard", s.standard);
            v.field("hid", s.hid);
            v.field("modifiers", s.modifiers);
            v.field("leds", s.leds);
            v.field("pressed", s.pressed, state::Max { 128 });
            v.field("queue", s.queue, state::Max { queueLimit });
        }
    };

    explicit UsbKeyboard(std::string const& id);
    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void key(KeyInput input) override;
    bool isListenedTo() const override { return isReady(); }
    std::uint8_t leds() const { return m_leds; }

private:
    std::optional<Bytes> nextReport() override;
    Bytes currentReport() const override;
    void output(ConstByteSpan report) override;
    void forgetInput() override;
    void apply(std::uint8_t usage, bool pressed);

    std::uint8_t m_modifiers = 0, m_leds = 0;
    Bytes m_pressed;
    std::deque<std::uint8_t> m_queue;
};

/// A mouse (relative, the boot protocol's layout with wheels behind) or a tablet (absolute). Five buttons, two wheels.
///
/// Threads: as UsbDevice; its input on the machine's thread without the lock.
class UsbPointer final : public HidDevice, public PointerSink {
public:
    static constexpr std::size_t queueLimit = 128;
    enum class Kind : std::uint8_t { Mouse, Tablet };

    /// One report to be, or what a mouse still has to move: as large as it gets, and sent in pieces.
    struct Event {
        std::uint8_t buttons = 0;
        std::int32_t x = 0, y = 0, wheel = 0, pan = 0;
        bool operator==(Event const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("buttons", s.buttons);
            v.field("x", s.x);
            v.field("y", s.y);
            v.field("wheel", s.wheel);
            v.field("pan", s.pan);
        }
    };
    struct State {
        static constexpr std::string_view kind = "usb-pointer";
        static constexpr unsigned version = 1;
        bool absolute = false;
        UsbStandardState standard;
        HidState hid;
        Event last; ///< that the guest has seen
        std::vector<Event> queue;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("absolute", s.absolute);
            v.field("standard", s.standard);
            v.field("hid", s.hid);
            v.field("last", s.last);
            v.field("queue", s.queue, state::Max { queueLimit });
        }
    };

    /// `changed` is called, with the lock held, when the guest's driver comes or goes.
    UsbPointer(std::string const& id, Kind kind, std::function<void()> changed = {});
    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    bool wantsAbsolute() const override { return m_kind == Kind::Tablet && isReady(); }
    bool isListenedTo() const override { return isReady(); }
    void move(AbsoluteMove to) override;
    void move(RelativeMove by) override;
    void button(ButtonInput input) override;
    void wheel(WheelMove move) override;

private:
    std::optional<Bytes> nextReport() override;
    Bytes currentReport() const override { return reportOf(m_last); }
    void forgetInput() override;
    Bytes reportOf(Event const& event) const;
    Event& newest();
    void post(Event event, bool mayMerge);

    Kind const m_kind;
    Event m_last;
    std::deque<Event> m_queue;
};

}
