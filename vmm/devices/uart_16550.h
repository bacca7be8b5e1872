#pragma once

#include "vmm/backends/console.h"
#include "vmm/bus/device.h"
#include "vmm/bus/guest_time.h"
#include "vmm/bus/interrupts.h"
#include "vmm/state/options.h"

#include <array>

namespace vmm {

/// COM1 to COM4 as every PC has them; the odd ones share a wire, and the even ones.
struct ComPort {
    std::uint16_t port;
    unsigned irq;
};
inline constexpr std::array comPorts { ComPort { 0x3f8, 4 }, ComPort { 0x2f8, 3 }, ComPort { 0x3e8, 4 },
    ComPort { 0x2e8, 3 } };

/// A serial port (TI SNLS378, PC16550D, "Registers"), eight byte-wide registers:
///
///   offset | DLAB | read | write
///   0      | 0    | RBR  | THR
///   0      | 1    | DLL  | DLL
///   1      | 0    | IER  | IER
///   1      | 1    | DLM  | DLM
///   2      |      | IIR  | FCR
///   3      |      | LCR  | LCR
///   4      |      | MCR  | MCR
///   5      |      | LSR  | -
///   6      |      | MSR  | -
///   7      |      | SCR  | SCR
///
/// A byte is sent the moment it is written. What comes in waits in the Console until the receiver has room, so it never
/// overruns. The other side always asserts DCD, DSR and CTS. Left out: DMA signalling, parity and framing errors, and
/// breaks, none of which a line without noise has.
class Uart16550 final : public BusDevice {
public:
    static constexpr std::uint64_t size = 8; ///< of its range
    static constexpr std::size_t fifoDepth = 16;

    struct State {
        static constexpr std::string_view kind = "uart-16550";
        static constexpr unsigned version = 1;
        std::uint8_t ier = 0, fcr = 0, lcr = 0, mcr = 0, scr = 0;
        std::uint16_t divisor = 12;     // 9600 baud
        std::uint8_t modemLines = 0xb0; // the upper half of MSR, as it was last sampled
        std::uint8_t modemChanges = 0;  // the lower half
        bool overrun = false;           // LSR bit 1
        bool transmitterEmpty = false;  // "THR empty" has not been reported yet
        bool timedOut = false;          // received bytes have waited for four characters' time
        Bytes rxFifo;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("ier", s.ier, state::Range { 0, 0x0f });
            v.field("fcr", s.fcr);
            v.field("lcr", s.lcr);
            v.field("mcr", s.mcr, state::Range { 0, 0x1f });
            v.field("scr", s.scr);
            v.field("divisor", s.divisor);
            v.field("modemLines", s.modemLines);
            v.field("modemChanges", s.modemChanges, state::Range { 0, 0x0f });
            v.field("overrun", s.overrun);
            v.field("transmitterEmpty", s.transmitterEmpty);
            v.field("timedOut", s.timedOut);
            v.field("rxFifo", s.rxFifo, state::Max { fifoDepth });
        }
    };

    Uart16550(IrqLine& irq, GuestTime& time, Console& console);
    ~Uart16550() override;

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void pause() override;
    void resume() override;
    void read(std::uint64_t offset, ByteSpan data) override;
    void write(std::uint64_t offset, ConstByteSpan data) override;

private:
    std::uint8_t readRegister(unsigned offset);
    void writeRegister(unsigned offset, std::uint8_t value);
    std::uint8_t readReceiver();
    void writeTransmitter(std::uint8_t value);
    void writeFifoControl(std::uint8_t value);
    void writeModemControl(std::uint8_t value);
    std::uint8_t lineStatus() const;
    std::uint8_t interruptCause() const;
    std::size_t capacity() const;
    std::size_t triggerLevel() const;
    bool loopback() const;
    void takeInput();
    void updateTimeout();
    void updateIrq();

    IrqLine& m_irq;
    GuestTime& m_time;
    Console& m_console;
    std::unique_ptr<Timer> m_timeout;
    bool m_level = false;
    bool m_paused = false;
    State m_state;
};

}
