#pragma once

#include "vmm/bus/device.h"
#include "vmm/bus/guest_time.h"
#include "vmm/bus/interrupts.h"
#include "vmm/state/options.h"

#include <array>
#include <optional>

namespace vmm {

/// The clock with its memory (Motorola MC146818A, 1984, "Address Map" and "Registers"), as a PC has it:
///
///   port | read          | write
///   0x70 | all ones      | index of a register (bit 7, the NMI mask, is not ours)
///   0x71 | that register | that register
///   0x72 | index         | index into the second bank
///   0x73 | that byte     | that byte
///
/// The time is the machine's time of day plus what the guest has set it apart. Flags are brought up to date when they
/// are looked at; a timer runs only towards an interrupt that is enabled and not yet pending. Time, memory, and
/// registers A and B outlive a reset, for the chip has a battery. Left out: daylight saving, the square wave.
class RtcMc146818 final : public BusDevice {
public:
    static constexpr std::uint64_t port = 0x70, size = 4;
    static constexpr unsigned maximumMissedTicks = 32; ///< periodic interrupts that a late guest still gets

    struct State {
        static constexpr std::string_view kind = "rtc-mc146818";
        static constexpr unsigned version = 1;
        std::uint8_t index = 0, extendedIndex = 0;
        std::uint8_t a = 0x26, b = 0x02, c = 0; // c without its bit 7, which follows from b
        std::array<std::uint8_t, 128> cmos {};  // its time bytes count while the clock stands still
        std::array<std::uint8_t, 128> extended {};
        std::int64_t offset = 0;     // seconds that the guest's clock is ahead of the time of day …
        std::uint32_t phase = 0;     // … and nanoseconds, below a second
        std::int64_t lastSecond = 0; // up to which c is right
        std::uint64_t lastTick = 0;  // of the periodic interrupt, up to which c is right
        std::uint32_t missedTicks = 0;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("index", s.index, state::Range { 0, 0x7f });
            v.field("extendedIndex", s.extendedIndex, state::Range { 0, 0x7f });
            v.field("a", s.a, state::Range { 0, 0x7f });
            v.field("b", s.b);
            v.field("c", s.c, state::Range { 0, 0x70 });
            v.field("cmos", s.cmos);
            v.field("extended", s.extended);
            v.field("offset", s.offset);
            v.field("phase", s.phase, state::Range { 0, 999'999'999 });
            v.field("lastSecond", s.lastSecond);
            v.field("lastTick", s.lastTick);
            v.field("missedTicks", s.missedTicks, state::Range { 0, maximumMissedTicks });
        }
    };

    RtcMc146818(IrqLine& irq, GuestTime& time);

    /// For the machine, while it is put together: a byte of CMOS that firmware reads, and the sizes of RAM in bytes.
    void setByte(unsigned index, std::uint8_t value) { m_state.cmos.at(index) = value; }
    void setMemorySize(std::uint64_t below4GiB, std::uint64_t above4GiB);

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    /// Alarms are in time of day, which went on while the machine stood still.
    void resume() override;
    void read(std::uint64_t offset, ByteSpan data) override;
    void write(std::uint64_t offset, ConstByteSpan data) override;

private:
    std::uint8_t readRegister(unsigned index);
    void writeRegister(unsigned index, std::uint8_t value);
    void writeControl(std::uint8_t a, std::uint8_t b);

    bool runs() const;
    std::int64_t nanosecondsOfSecond() const;
    std::int64_t second() const;
    void setSecond(std::int64_t second);
    void storeTime(std::int64_t second);
    std::int64_t storedTime() const;
    std::uint8_t encode(unsigned value) const;
    unsigned decode(std::uint8_t value) const;
    unsigned decodeHour(std::uint8_t value) const;
    std::optional<unsigned> nextAlarm(std::int64_t after) const;

    unsigned periodShift() const;
    std::uint64_t tick(unsigned shift) const;
    static Nanoseconds timeOfTick(std::uint64_t number, unsigned shift);

    void catchUp();
    void timerDue();
    void updateTimer();
    void updateIrq();

    IrqLine& m_irq;
    GuestTime& m_time;
    std::unique_ptr<Timer> m_timer;
    bool m_level = false;
    State m_state;
};

}
