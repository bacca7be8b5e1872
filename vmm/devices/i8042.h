#pragma once

#include "vmm/bus/device.h"
#include "vmm/bus/guest_time.h"
#include "vmm/bus/interrupts.h"
#include "vmm/devices/ps2_keyboard.h"
#include "vmm/devices/ps2_mouse.h"

#include <functional>

namespace vmm {

/// The keyboard controller of the PS/2 (IBM Personal System/2 Hardware Interface Technical Reference, 1988, "Keyboard
/// and Auxiliary Device Controller") with a keyboard and a mouse plugged in.
///
///   port | read          | write
///   0x60 | output buffer | a byte for the keyboard, or what a command asked for
///   0x64 | status        | command
///
/// Everything is answered at once. IRQ 1 and IRQ 12 are up while the output buffer holds a byte of theirs. Left out:
/// the A20 line, whose bit is kept and which is always open, the password, and the controller's RAM beyond its command
/// byte, which no system uses.
class I8042 final : public Device {
public:
    static constexpr std::uint64_t dataPort = 0x60, commandPort = 0x64; ///< one byte each

    enum class Source : std::uint8_t { None, Controller, Keyboard, Mouse };

    struct State {
        static constexpr std::string_view kind = "i8042";
        static constexpr unsigned version = 1;
        std::uint8_t mode = 0x03;        // the command byte
        bool lastWasCommand = true;      // status bit 3
        std::uint8_t pendingCommand = 0; // waits for its byte at port 0x60
        Source source = Source::None;    // of the byte in the output buffer
        bool fromMouse = false;          // status bit 5
        std::uint8_t output = 0;
        std::optional<std::uint8_t> answer; // the controller's own, until the output buffer is free
        bool answerFromMouse = false;
        std::uint8_t outputPort = 0x03;
        bool translatesBreak = false; // 0xf0 has come
        Ps2Keyboard::State keyboard;
        Ps2Mouse::State mouse;
        static void describe(auto& v, auto& s)
        {
            v.field("mode", s.mode);
            v.field("lastWasCommand", s.lastWasCommand);
            v.field("pendingCommand", s.pendingCommand);
            v.field("source", s.source);
            v.field("fromMouse", s.fromMouse);
            v.field("output", s.output);
            v.field("answer", s.answer);
            v.field("answerFromMouse", s.answerFromMouse);
            v.field("outputPort", s.outputPort);
            v.field("translatesBreak", s.translatesBreak);
            v.field("keyboard", s.keyboard);
            v.field("mouse", s.mouse);
        }
    };

    /// `resetMachine` is called with mutex() held, on a vCPU's thread.
    I8042(IrqLine& keyboardIrq, IrqLine& mouseIrq, GuestTime& time, std::function<void()> resetMachine);

    BusHandler& dataWindow() { return m_dataWindow; }
    BusHandler& commandWindow() { return m_commandWindow; }

    /// Machine thread, without mutex() held.
    KeyboardSink& keyboard() { return m_keyboardSink; }
    PointerSink& mouse() { return m_mouseSink; }

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void pause() override;

private:
    class Keys final : public KeyboardSink {
    public:
        explicit Keys(I8042& owner) : m_owner(owner) { }
        void key(KeyInput input) override;

    private:
        I8042& m_owner;
    };
    class Pointer final : public PointerSink {
    public:
        explicit Pointer(I8042& owner) : m_owner(owner) { }
        bool wantsAbsolute() const override { return false; }
        using PointerSink::move;
        void move(RelativeMove move) override;
        void button(ButtonInput input) override;
        void wheel(WheelMove move) override;

    private:
        I8042& m_owner;
    };

    void readData(std::uint64_t offset, ByteSpan data);
    void writeData(std::uint64_t offset, ConstByteSpan data);
    void readStatus(std::uint64_t offset, ByteSpan data);
    void writeCommand(std::uint64_t offset, ConstByteSpan data);
    void command(std::uint8_t value);
    void argument(std::uint8_t command, std::uint8_t value);
    void setOutputPort(std::uint8_t value);
    void answer(std::uint8_t value, bool fromMouse = false);
    void put(Source source, std::uint8_t value, bool fromMouse);
    std::optional<std::uint8_t> nextFromKeyboard();
    void fillOutput();
    void updateIrqs();
    void repeatKey();

    IrqLine& m_keyboardIrq;
    IrqLine& m_mouseIrq;
    GuestTime& m_time;
    std::function<void()> m_resetMachine;
    std::unique_ptr<Timer> m_repeat;
    std::uint16_t m_heldKey = 0; // the one that repeats; a person's finger is no part of the machine's state
    bool m_keyboardLevel = false, m_mouseLevel = false;
    State m_state; // but for its last two, which live in these
    Ps2Keyboard m_keyboard;
    Ps2Mouse m_mouse;
    Keys m_keyboardSink { *this };
    Pointer m_mouseSink { *this };
    BusWindow<I8042> m_dataWindow { *this, &I8042::readData, &I8042::writeData };
    BusWindow<I8042> m_commandWindow { *this, &I8042::readStatus, &I8042::writeCommand };
};

constexpr auto stateNames(I8042::Source)
{
    return std::to_array<std::string_view>({ "none", "controller", "keyboard", "mouse" });
}

}
