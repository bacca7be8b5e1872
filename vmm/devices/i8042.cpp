#include "vmm/devices/i8042.h"

#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm {

namespace {

constexpr std::uint8_t statusOutputFull = 0x01, statusSystem = 0x04, statusCommand = 0x08, statusUnlocked = 0x10,
                       statusMouse = 0x20;
constexpr std::uint8_t modeKeyboardIrq = 0x01, modeMouseIrq = 0x02, modeSystem = 0x04, modeKeyboardOff = 0x10,
                       modeMouseOff = 0x20, modeTranslate = 0x40;
constexpr std::uint8_t portNoReset = 0x01, portA20 = 0x02, portKeyboardFull = 0x10, portMouseFull = 0x20;

}

I8042::I8042(IrqLine& keyboardIrq, IrqLine& mouseIrq, GuestTime& time, std::function<void()> resetMachine)
    : m_keyboardIrq(keyboardIrq),
      m_mouseIrq(mouseIrq),
      m_time(time),
      m_resetMachine(std::move(resetMachine)),
      m_repeat(time.makeTimer(mutex(), [this] { repeatKey(); }))
{
}

void I8042::reset()
{
    m_state = {};
    m_keyboard.reset();
    m_mouse.reset();
    m_heldKey = 0;
    m_repeat->cancel();
    updateIrqs();
}

Section I8042::save() const
{
    auto whole = m_state;
    whole.keyboard = m_keyboard.state();
    whole.mouse = m_mouse.state();
    return state::save(whole);
}

Result<> I8042::load(Section const& section)
{
    auto loaded = TRY(state::load<State>(section));
    if (loaded.mouse.id != 0 && loaded.mouse.id < 3)
        return fail(ErrorCode::Corrupt, "i8042 field mouse.id: no such mouse");
    m_keyboard.setState(std::move(loaded.keyboard));
    m_mouse.setState(std::move(loaded.mouse));
    loaded.keyboard = {};
    loaded.mouse = {};
    m_state = std::move(loaded);
    m_heldKey = 0;
    m_repeat->cancel();
    updateIrqs();
    m_keyboardIrq.set(m_keyboardLevel);
    m_mouseIrq.set(m_mouseLevel);
    return {};
}

void I8042::pause()
{
    std::lock_guard const lock(mutex());
    m_heldKey = 0;
    m_repeat->cancel();
}

void I8042::readData(std::uint64_t, ByteSpan data)
{
    for (auto& byte : data) {
        byte = m_state.output;
        m_state.source = Source::None;
        updateIrqs(); // falls before it may rise again: each byte is an edge
        fillOutput();
    }
}

void I8042::readStatus(std::uint64_t, ByteSpan data)
{
    auto const status = statusUnlocked | (m_state.source != Source::None ? statusOutputFull : 0)
        | (m_state.mode & modeSystem ? statusSystem : 0) | (m_state.lastWasCommand ? statusCommand : 0)
        | (m_state.fromMouse && m_state.source != Source::None ? statusMouse : 0);
    std::ranges::fill(data, static_cast<std::uint8_t>(status));
}

void I8042::writeData(std::uint64_t, ConstByteSpan data)
{
    if (data.empty())
        return;
    m_state.lastWasCommand = false;
    if (m_state.pendingCommand != 0) {
        argument(std::exchange(m_state.pendingCommand, 0), data[0]);
    } else {
        // Talking to the keyboard switches it on.
        m_state.mode &= static_cast<std::uint8_t>(~modeKeyboardOff);
        m_keyboard.receive(data[0]);
    }
    fillOutput();
    updateIrqs();
}

void I8042::writeCommand(std::uint64_t, ConstByteSpan data)
{
    if (data.empty())
        return;
    m_state.lastWasCommand = true;
    m_state.pendingCommand = 0;
    command(data[0]);
    fillOutput();
    updateIrqs();
}

void I8042::command(std::uint8_t value)
{
    switch (value) {
    case 0x20: return answer(m_state.mode);
    case 0x60:
    case 0xd1:
    case 0xd2:
    case 0xd3:
    case 0xd4: m_state.pendingCommand = value; return;
    case 0xa4: return answer(0xf1); // no password
    case 0xa7: m_state.mode |= modeMouseOff; return;
    case 0xa8: m_state.mode &= static_cast<std::uint8_t>(~modeMouseOff); return;
    case 0xa9: return answer(0x00);
    case 0xaa: m_state.mode |= modeSystem; return answer(0x55);
    case 0xab: return answer(0x00);
    case 0xad: m_state.mode |= modeKeyboardOff; return;
    case 0xae: m_state.mode &= static_cast<std::uint8_t>(~modeKeyboardOff); return;
    case 0xc0: return answer(0x80); // input port: the keyboard is not locked
    case 0xd0: {
        auto const full = m_state.source == Source::None ? 0 : m_state.fromMouse ? portMouseFull : portKeyboardFull;
        return answer(static_cast<std::uint8_t>(m_state.outputPort | full));
    }
    case 0xdd: return setOutputPort(m_state.outputPort & static_cast<std::uint8_t>(~portA20));
    case 0xdf: return setOutputPort(m_state.outputPort | portA20);
    case 0xe0: return answer(0x00);
    default:
        if (value >= 0x21 && value <= 0x3f)
            return answer(0x00);
        if (value >= 0x61 && value <= 0x7f) {
            m_state.pendingCommand = value;
        } else if (value >= 0xf0) {
            // Pulses those lines of the output port whose bits are 0; the lowest one resets the machine.
            if (!(value & portNoReset))
                m_resetMachine();
        } else {
            trace("i8042", "command {:#x} is unknown", value);
        }
    }
}

void I8042::argument(std::uint8_t command, std::uint8_t value)
{
    switch (command) {
    case 0x60: m_state.mode = value; break;
    case 0xd1: setOutputPort(value); break;
    case 0xd2: answer(value); break;
    case 0xd3: answer(value, true); break;
    case 0xd4:
        m_state.mode &= static_cast<std::uint8_t>(~modeMouseOff);
        m_mouse.receive(value);
        break;
    default: break;
    }
}

void I8042::setOutputPort(std::uint8_t value)
{
    m_state.outputPort = value & (portNoReset | portA20);
    if (!(value & portNoReset)) {
        m_state.outputPort |= portNoReset;
        m_resetMachine();
    }
}

void I8042::answer(std::uint8_t value, bool fromMouse)
{
    m_state.answer = value;
    m_state.answerFromMouse = fromMouse;
}

void I8042::put(Source source, std::uint8_t value, bool fromMouse)
{
    m_state.source = source;
    m_state.output = value;
    m_state.fromMouse = fromMouse;
}

std::optional<std::uint8_t> I8042::nextFromKeyboard()
{
    while (auto const sent = m_keyboard.send()) {
        if (!(m_state.mode & modeTranslate))
            return sent;
        if (*sent == 0xf0) {
            m_state.translatesBreak = true;
            continue;
        }
        auto const code = translateScanCode(*sent);
        return std::exchange(m_state.translatesBreak, false) ? code | 0x80 : code;
    }
    return std::nullopt;
}

void I8042::fillOutput()
{
    if (m_state.source != Source::None)
        return;
    if (m_state.answer) {
        put(Source::Controller, *m_state.answer, m_state.answerFromMouse);
        m_state.answer.reset();
    } else if (!(m_state.mode & modeKeyboardOff)) {
        if (auto const value = nextFromKeyboard())
            put(Source::Keyboard, *value, false);
    }
    if (m_state.source == Source::None && !(m_state.mode & modeMouseOff)) {
        if (auto const value = m_mouse.send())
            put(Source::Mouse, *value, true);
    }
    updateIrqs();
}

void I8042::updateIrqs()
{
    bool const full = m_state.source != Source::None;
    bool const keyboard = full && !m_state.fromMouse && m_state.mode & modeKeyboardIrq;
    bool const mouse = full && m_state.fromMouse && m_state.mode & modeMouseIrq;
    if (std::exchange(m_keyboardLevel, keyboard) != keyboard)
        m_keyboardIrq.set(keyboard);
    if (std::exchange(m_mouseLevel, mouse) != mouse)
        m_mouseIrq.set(mouse);
}

void I8042::repeatKey()
{
    if (m_heldKey == 0)
        return;
    // A guest that does not read gets no heap of repetitions.
    if (m_keyboard.state().codes.size() < 16)
        m_keyboard.key(m_heldKey, true);
    fillOutput();
    m_repeat->arm(m_time.now() + Nanoseconds(m_keyboard.repeatPeriod()));
}

void I8042::Keys::key(KeyInput input)
{
    std::lock_guard const lock(m_owner.mutex());
    bool const sent = m_owner.m_keyboard.key(input.code, input.pressed);
    // The key pressed last repeats until it is released; another one's release changes nothing.
    if (input.pressed && sent && Ps2Keyboard::repeats(input.code)) {
        m_owner.m_heldKey = input.code;
        m_owner.m_repeat->arm(m_owner.m_time.now() + Nanoseconds(m_owner.m_keyboard.repeatDelay()));
    } else if (!input.pressed && input.code == m_owner.m_heldKey) {
        m_owner.m_heldKey = 0;
        m_owner.m_repeat->cancel();
    }
    m_owner.fillOutput();
}

void I8042::Pointer::move(RelativeMove move)
{
    std::lock_guard const lock(m_owner.mutex());
    m_owner.m_mouse.move(move.dx, move.dy);
    m_owner.fillOutput();
}

void I8042::Pointer::button(ButtonInput input)
{
    std::lock_guard const lock(m_owner.mutex());
    m_owner.m_mouse.button(input.button, input.pressed);
    m_owner.fillOutput();
}

void I8042::Pointer::wheel(WheelMove move)
{
    std::lock_guard const lock(m_owner.mutex());
    m_owner.m_mouse.wheel(move.vertical);
    m_owner.fillOutput();
}

}
