#include "vmm/devices/uart_16550.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm {

namespace {

constexpr std::uint8_t ierReceived = 0x01, ierTransmitterEmpty = 0x02, ierLineStatus = 0x04, ierModemStatus = 0x08;
constexpr std::uint8_t iirModemStatus = 0x00, iirNone = 0x01, iirTransmitterEmpty = 0x02, iirReceived = 0x04,
                       iirLineStatus = 0x06, iirTimeout = 0x0c, iirFifosEnabled = 0xc0;
constexpr std::uint8_t fcrEnable = 0x01, fcrClearReceiver = 0x02, fcrTrigger = 0xc0;
constexpr std::uint8_t lcrDivisorAccess = 0x80;
constexpr std::uint8_t mcrDtr = 0x01, mcrRts = 0x02, mcrOut1 = 0x04, mcrOut2 = 0x08, mcrLoopback = 0x10;
constexpr std::uint8_t lsrDataReady = 0x01, lsrOverrun = 0x02, lsrThrEmpty = 0x20, lsrTransmitterIdle = 0x40;
constexpr std::uint8_t msrRingEnded = 0x04, msrCts = 0x10, msrDsr = 0x20, msrRi = 0x40, msrDcd = 0x80;

}

Uart16550::Uart16550(IrqLine& irq, GuestTime& time, Console& console)
    : m_irq(irq), m_time(time), m_console(console), m_timeout(time.makeTimer(mutex(), [this] {
          m_state.timedOut = !m_state.rxFifo.empty();
          updateIrq();
      }))
{
    m_console.setInputReady([this] {
        std::lock_guard const lock(mutex());
        takeInput();
    });
}

Uart16550::~Uart16550()
{
    m_console.setInputReady({});
}

// A person may type at any time, so that these three take the lock, unlike those of most devices.

void Uart16550::reset()
{
    std::lock_guard const lock(mutex());
    m_state = {};
    updateTimeout();
    updateIrq();
    takeInput();
}

Section Uart16550::save() const
{
    std::lock_guard const lock(mutex());
    return state::save(m_state);
}

Result<> Uart16550::load(Section const& section)
{
    auto loaded = TRY(state::load<State>(section));
    std::lock_guard const lock(mutex());
    m_state = std::move(loaded);
    updateTimeout();
    updateIrq();
    m_irq.set(m_level); // also where it seems to be right
    return {};
}

void Uart16550::pause()
{
    std::lock_guard const lock(mutex());
    m_paused = true;
}

void Uart16550::resume()
{
    std::lock_guard const lock(mutex());
    m_paused = false;
    takeInput();
}

void Uart16550::read(std::uint64_t offset, ByteSpan data)
{
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = readRegister(static_cast<unsigned>(offset + i));
}

void Uart16550::write(std::uint64_t offset, ConstByteSpan data)
{
    for (std::size_t i = 0; i < data.size(); ++i)
        writeRegister(static_cast<unsigned>(offset + i), data[i]);
}

std::uint8_t Uart16550::readRegister(unsigned offset)
{
    bool const divisorAccess = m_state.lcr & lcrDivisorAccess;
    switch (offset) {
    case 0: return divisorAccess ? static_cast<std::uint8_t>(m_state.divisor) : readReceiver();
    case 1: return divisorAccess ? static_cast<std::uint8_t>(m_state.divisor >> 8) : m_state.ier;
    case 2: {
        auto const cause = interruptCause();
        // Reading it is one of the two ways to take note that the transmitter is empty.
        if (cause == iirTransmitterEmpty) {
            m_state.transmitterEmpty = false;
            updateIrq();
        }
        return cause | (m_state.fcr & fcrEnable ? iirFifosEnabled : 0);
    }
    case 3: return m_state.lcr;
    case 4: return m_state.mcr;
    case 5: {
        auto const status = lineStatus();
        m_state.overrun = false;
        updateIrq();
        return status;
    }
    case 6: {
        auto const status = static_cast<std::uint8_t>(m_state.modemLines | m_state.modemChanges);
        m_state.modemChanges = 0;
        updateIrq();
        return status;
    }
    case 7: return m_state.scr;
    default: return 0xff;
    }
}

void Uart16550::writeRegister(unsigned offset, std::uint8_t value)
{
    bool const divisorAccess = m_state.lcr & lcrDivisorAccess;
    switch (offset) {
    case 0:
        if (divisorAccess)
            m_state.divisor = static_cast<std::uint16_t>((m_state.divisor & 0xff00) | value);
        else
            writeTransmitter(value);
        break;
    case 1:
        if (divisorAccess) {
            m_state.divisor = static_cast<std::uint16_t>((m_state.divisor & 0x00ff) | value << 8);
            break;
        }
        // Enabling the interrupt of an empty transmitter raises it: drivers start to send this way, and Linux' 8250
        // driver tests for it.
        if ((value ^ m_state.ier) & ierTransmitterEmpty)
            m_state.transmitterEmpty = value & ierTransmitterEmpty;
        m_state.ier = value & 0x0f;
        updateIrq();
        break;
    case 2: writeFifoControl(value); break;
    case 3: m_state.lcr = value; break;
    case 4: writeModemControl(value & 0x1f); break;
    case 7: m_state.scr = value; break;
    default: break; // LSR and MSR are written by factory tests only
    }
}

std::uint8_t Uart16550::readReceiver()
{
    if (m_state.rxFifo.empty())
        return 0;
    auto const value = m_state.rxFifo.front();
    m_state.rxFifo.erase(m_state.rxFifo.begin());
    m_state.timedOut = false;
    takeInput();
    updateTimeout();
    updateIrq();
    return value;
}

void Uart16550::writeTransmitter(std::uint8_t value)
{
    // The interrupt falls with the write and rises when the byte has left, which is at once: an edge. Bytes that follow
    // each other into the FIFO make one such edge, for they empty it once.
    if (!(m_state.fcr & fcrEnable) || !m_state.transmitterEmpty) {
        m_state.transmitterEmpty = false;
        updateIrq();
    }
    if (!loopback())
        m_console.output({ &value, 1 });
    else if (m_state.rxFifo.size() < capacity())
        m_state.rxFifo.push_back(value);
    else
        m_state.overrun = true;
    m_state.transmitterEmpty = true;
    updateTimeout();
    updateIrq();
}

void Uart16550::writeFifoControl(std::uint8_t value)
{
    bool const toggled = (value ^ m_state.fcr) & fcrEnable;
    if (toggled || (value & fcrEnable && value & fcrClearReceiver)) {
        m_state.rxFifo.clear();
        m_state.timedOut = false;
    }
    // The other bits are programmed only together with the enable bit.
    m_state.fcr = value & fcrEnable ? value & (fcrEnable | fcrTrigger) : 0;
    takeInput();
    updateTimeout();
    updateIrq();
}

void Uart16550::writeModemControl(std::uint8_t value)
{
    m_state.mcr = value;
    std::uint8_t lines = msrDcd | msrDsr | msrCts;
    if (loopback()) {
        lines = static_cast<std::uint8_t>((value & mcrRts ? msrCts : 0) | (value & mcrDtr ? msrDsr : 0)
            | (value & mcrOut1 ? msrRi : 0) | (value & mcrOut2 ? msrDcd : 0));
    }
    auto const changed = lines ^ m_state.modemLines;
    m_state.modemChanges |= (changed & (msrCts | msrDsr | msrDcd)) >> 4;
    if (changed & msrRi && !(lines & msrRi))
        m_state.modemChanges |= msrRingEnded;
    m_state.modemLines = lines;
    takeInput();
    updateIrq();
}

std::uint8_t Uart16550::lineStatus() const
{
    return static_cast<std::uint8_t>(lsrThrEmpty | lsrTransmitterIdle | (m_state.rxFifo.empty() ? 0 : lsrDataReady)
        | (m_state.overrun ? lsrOverrun : 0));
}

/// The pending interrupt of the highest priority, as IIR shows it.
std::uint8_t Uart16550::interruptCause() const
{
    if (m_state.ier & ierLineStatus && m_state.overrun)
        return iirLineStatus;
    if (m_state.ier & ierReceived && m_state.rxFifo.size() >= triggerLevel())
        return iirReceived;
    if (m_state.ier & ierReceived && m_state.timedOut)
        return iirTimeout;
    if (m_state.ier & ierTransmitterEmpty && m_state.transmitterEmpty)
        return iirTransmitterEmpty;
    if (m_state.ier & ierModemStatus && m_state.modemChanges)
        return iirModemStatus;
    return iirNone;
}

std::size_t Uart16550::capacity() const
{
    return m_state.fcr & fcrEnable ? fifoDepth : 1;
}

std::size_t Uart16550::triggerLevel() const
{
    static constexpr std::array<std::size_t, 4> levels { 1, 4, 8, 14 };
    return m_state.fcr & fcrEnable ? levels[m_state.fcr >> 6] : 1;
}

bool Uart16550::loopback() const
{
    return m_state.mcr & mcrLoopback;
}

/// Fills the receiver from what has been typed; in loopback the line is cut.
void Uart16550::takeInput()
{
    if (m_paused || loopback() || m_state.rxFifo.size() >= capacity())
        return;
    std::array<std::uint8_t, fifoDepth> bytes;
    auto const count = m_console.takeInput(std::span(bytes).first(capacity() - m_state.rxFifo.size()));
    if (count == 0)
        return;
    m_state.rxFifo.insert(m_state.rxFifo.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    updateTimeout();
    updateIrq();
}

/// Bytes that do not reach the trigger level are reported when nothing has happened for the time of four characters.
void Uart16550::updateTimeout()
{
    bool const waiting = m_state.fcr & fcrEnable && !m_state.rxFifo.empty() && !m_state.timedOut
        && m_state.rxFifo.size() < triggerLevel();
    if (!waiting) {
        m_timeout->cancel();
        return;
    }
    // A divisor unit is 16 / 1.8432 MHz; start bit, 5 to 8 data bits, parity and stop bits make a character.
    auto const divisor = m_state.divisor ? m_state.divisor : 1;
    auto const bits = 1 + 5 + (m_state.lcr & 3) + (m_state.lcr & 8 ? 1 : 0) + (m_state.lcr & 4 ? 2 : 1);
    m_timeout->arm(m_time.now() + Nanoseconds(8681LL * divisor * bits * 4));
}

void Uart16550::updateIrq()
{
    // On a PC the interrupt goes through a gate that OUT2 opens.
    bool const level = m_state.mcr & mcrOut2 && interruptCause() != iirNone;
    if (level == m_level)
        return;
    m_level = level;
    m_irq.set(level);
}

}
