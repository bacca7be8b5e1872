#include "vmm/devices/rtc_mc146818.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <chrono>

namespace vmm {

namespace {

enum Register : unsigned {
    Seconds = 0,
    SecondsAlarm = 1,
    Minutes = 2,
    MinutesAlarm = 3,
    Hours = 4,
    HoursAlarm = 5,
    DayOfWeek = 6,
    DayOfMonth = 7,
    Month = 8,
    Year = 9,
    A = 10,
    B = 11,
    C = 12,
    D = 13,
    Century = 0x32, // where ACPI's FADT says it is
};

constexpr std::uint8_t aUpdating = 0x80, aDividerReset = 0x60;
constexpr std::uint8_t bSet = 0x80, bPeriodic = 0x40, bAlarm = 0x20, bUpdate = 0x10, bSquareWave = 0x08, bBinary = 0x04,
                       b24Hours = 0x02;
constexpr std::uint8_t cRequest = 0x80, cPeriodic = 0x40, cAlarm = 0x20, cUpdate = 0x10;
constexpr std::uint8_t dValid = 0x80;

constexpr std::int64_t nanosecondsPerSecond = 1'000'000'000;
/// How long before the clock moves on it says that it is about to.
constexpr std::int64_t updateWarning = 244'141;
/// Far beyond any date that the registers can hold.
constexpr std::int64_t maximumOffset = 400'000'000'000;
constexpr unsigned secondsPerDay = 86400;

constexpr bool isTime(unsigned index)
{
    return index == Seconds || index == Minutes || index == Hours || (index >= DayOfWeek && index <= Year)
        || index == Century;
}

std::int64_t floorDivide(std::int64_t value, std::int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

}

RtcMc146818::RtcMc146818(IrqLine& irq, GuestTime& time)
    : m_irq(irq), m_time(time), m_timer(time.makeTimer(mutex(), [this] { timerDue(); }))
{
    m_state.lastSecond = second();
    m_state.lastTick = tick(periodShift());
}

void RtcMc146818::setMemorySize(std::uint64_t below4GiB, std::uint64_t above4GiB)
{
    auto const put = [&](unsigned index, std::uint64_t value, unsigned bytes) {
        value = std::min(value, (std::uint64_t(1) << 8 * bytes) - 1);
        for (unsigned i = 0; i < bytes; ++i)
            setByte(index + i, static_cast<std::uint8_t>(value >> 8 * i));
    };
    constexpr std::uint64_t mebibyte = 1 << 20;
    auto const above1MiB = below4GiB > mebibyte ? below4GiB - mebibyte : 0;
    put(0x15, 640, 2); // KiB of conventional memory
    put(0x17, above1MiB >> 10, 2);
    put(0x30, above1MiB >> 10, 2);
    put(0x34, below4GiB > 16 * mebibyte ? (below4GiB - 16 * mebibyte) >> 16 : 0, 2);
    put(0x5b, above4GiB >> 16, 3);
}

void RtcMc146818::reset()
{
    m_state.index = m_state.extendedIndex = 0;
    m_state.b &= static_cast<std::uint8_t>(~(bPeriodic | bAlarm | bUpdate | bSquareWave));
    m_state.c = 0;
    m_state.lastSecond = second();
    m_state.lastTick = tick(periodShift());
    m_state.missedTicks = 0;
    updateTimer();
    updateIrq();
}

Section RtcMc146818::save() const
{
    return state::save(m_state);
}

Result<> RtcMc146818::load(Section const& section)
{
    auto const loaded = TRY(state::load<State>(section));
    if (loaded.offset < -maximumOffset || loaded.offset > maximumOffset || loaded.c & 0x0f)
        return fail(ErrorCode::Corrupt, "rtc-mc146818: a time or a flag that cannot be");
    m_state = loaded;
    updateTimer();
    updateIrq();
    m_irq.set(m_level);
    return {};
}

void RtcMc146818::resume()
{
    std::lock_guard const lock(mutex());
    catchUp();
    updateTimer();
    updateIrq();
}

void RtcMc146818::read(std::uint64_t offset, ByteSpan data)
{
    for (auto& byte : data) {
        switch (offset++) {
        case 1: byte = readRegister(m_state.index); break;
        case 2: byte = m_state.extendedIndex; break;
        case 3: byte = m_state.extended[m_state.extendedIndex]; break;
        default: byte = 0xff;
        }
    }
}

void RtcMc146818::write(std::uint64_t offset, ConstByteSpan data)
{
    for (auto const byte : data) {
        switch (offset++) {
        case 0: m_state.index = byte & 0x7f; break;
        case 1: writeRegister(m_state.index, byte); break;
        case 2: m_state.extendedIndex = byte & 0x7f; break;
        case 3: m_state.extended[m_state.extendedIndex] = byte; break;
        default: break;
        }
    }
}

std::uint8_t RtcMc146818::readRegister(unsigned index)
{
    if (isTime(index) && runs())
        storeTime(second());
    switch (index) {
    case A: {
        bool const updating = runs() && nanosecondsOfSecond() >= nanosecondsPerSecond - updateWarning;
        return static_cast<std::uint8_t>(m_state.a | (updating ? aUpdating : 0));
    }
    case B: return m_state.b;
    case C: {
        catchUp();
        auto const request = m_state.c & m_state.b & (cPeriodic | cAlarm | cUpdate) ? cRequest : 0;
        auto const value = static_cast<std::uint8_t>(m_state.c | request);
        m_state.c = 0;
        updateTimer();
        updateIrq();
        return value;
    }
    case D: return dValid;
    default: return m_state.cmos[index];
    }
}

void RtcMc146818::writeRegister(unsigned index, std::uint8_t value)
{
    catchUp();
    if (index == A) {
        writeControl(value & 0x7f, m_state.b);
    } else if (index == B) {
        writeControl(m_state.a, value & bSet ? value & ~bUpdate : value);
    } else if (index == C || index == D) {
        return;
    } else if (isTime(index) && runs()) {
        storeTime(second());
        m_state.cmos[index] = value;
        setSecond(storedTime());
    } else {
        m_state.cmos[index] = value;
    }
    updateTimer();
    updateIrq();
}

void RtcMc146818::writeControl(std::uint8_t a, std::uint8_t b)
{
    bool const ran = runs();
    if (ran)
        storeTime(second());
    bool const dividerStarts = (m_state.a & aDividerReset) == aDividerReset && (a & aDividerReset) != aDividerReset;
    bool const newRate = (a ^ m_state.a) & 0x7f;
    m_state.a = a;
    m_state.b = b;
    if (dividerStarts) {
        // The first update comes half a second after the divider has been let go.
        auto const shift = nanosecondsPerSecond / 2 - nanosecondsOfSecond();
        m_state.phase
            = static_cast<std::uint32_t>((m_state.phase + shift + nanosecondsPerSecond) % nanosecondsPerSecond);
    }
    if (!ran && runs())
        setSecond(storedTime());
    if (newRate || !(b & bPeriodic)) {
        m_state.lastTick = tick(periodShift());
        m_state.missedTicks = 0;
    }
}

bool RtcMc146818::runs() const
{
    return !(m_state.b & bSet) && (m_state.a & aDividerReset) != aDividerReset;
}

std::int64_t RtcMc146818::nanosecondsOfSecond() const
{
    auto const now = m_time.timeOfDay().count() + m_state.phase;
    return now - floorDivide(now, nanosecondsPerSecond) * nanosecondsPerSecond;
}

/// The guest's clock, in seconds since 1970.
std::int64_t RtcMc146818::second() const
{
    return floorDivide(m_time.timeOfDay().count() + m_state.phase, nanosecondsPerSecond) + m_state.offset;
}

void RtcMc146818::setSecond(std::int64_t wanted)
{
    m_state.offset = std::clamp(m_state.offset + wanted - second(), -maximumOffset, maximumOffset);
    m_state.lastSecond = second();
}

void RtcMc146818::storeTime(std::int64_t seconds)
{
    namespace chrono = std::chrono;
    auto const days = floorDivide(seconds, secondsPerDay);
    auto const ofDay = static_cast<unsigned>(seconds - days * secondsPerDay);
    chrono::sys_days const day { chrono::days(days) };
    chrono::year_month_day const date { day };
    auto const year = static_cast<unsigned>(std::max(0, static_cast<int>(date.year())));

    auto& cmos = m_state.cmos;
    cmos[Seconds] = encode(ofDay % 60);
    cmos[Minutes] = encode(ofDay / 60 % 60);
    auto const hour = ofDay / 3600;
    if (m_state.b & b24Hours)
        cmos[Hours] = encode(hour);
    else
        cmos[Hours] = static_cast<std::uint8_t>(encode(hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? 0x80 : 0));
    cmos[DayOfWeek] = encode(chrono::weekday(day).c_encoding() + 1);
    cmos[DayOfMonth] = encode(static_cast<unsigned>(date.day()));
    cmos[Month] = encode(static_cast<unsigned>(date.month()));
    cmos[Year] = encode(year % 100);
    cmos[Century] = encode(year / 100 % 100);
}

/// Whatever the guest has left in the registers, made a date.
std::int64_t RtcMc146818::storedTime() const
{
    namespace chrono = std::chrono;
    auto const& cmos = m_state.cmos;
    auto const year = decode(cmos[Century]) % 100 * 100 + decode(cmos[Year]) % 100;
    auto const month = std::clamp(decode(cmos[Month]), 1u, 12u);
    auto const day = std::clamp(decode(cmos[DayOfMonth]), 1u, 31u);
    chrono::sys_days const first { chrono::year(static_cast<int>(year)) / chrono::month(month) / 1 };
    std::int64_t const days = first.time_since_epoch().count() + day - 1;
    auto const hour = decodeHour(cmos[Hours]) % 24;
    return days * secondsPerDay + hour * 3600 + decode(cmos[Minutes]) % 60 * 60 + decode(cmos[Seconds]) % 60;
}

std::uint8_t RtcMc146818::encode(unsigned value) const
{
    return static_cast<std::uint8_t>(m_state.b & bBinary ? value : value / 10 << 4 | value % 10);
}

unsigned RtcMc146818::decode(std::uint8_t value) const
{
    return m_state.b & bBinary ? value : (value >> 4) * 10u + (value & 0x0f);
}

unsigned RtcMc146818::decodeHour(std::uint8_t value) const
{
    if (m_state.b & b24Hours)
        return decode(value);
    return decode(value & 0x7f) % 12 + (value & 0x80 ? 12 : 0);
}

/// How many seconds after `after` the alarm goes, from 1 to a day; nothing when it never does.
std::optional<unsigned> RtcMc146818::nextAlarm(std::int64_t after) const
{
    // The two highest bits set: any value will do.
    auto const wanted = [&](Register index, unsigned value, bool isHour = false) {
        auto const byte = m_state.cmos[index];
        return (byte & 0xc0) == 0xc0 || (isHour ? decodeHour(byte) : decode(byte)) == value;
    };
    // No second is like that, and a whole day of them would be tried.
    if (auto const second = m_state.cmos[SecondsAlarm]; (second & 0xc0) != 0xc0 && decode(second) > 59)
        return std::nullopt;
    auto const start = static_cast<unsigned>(after - floorDivide(after, secondsPerDay) * secondsPerDay);
    for (unsigned delta = 1; delta <= secondsPerDay;) {
        auto const ofDay = (start + delta) % secondsPerDay;
        if (!wanted(HoursAlarm, ofDay / 3600, true))
            delta += 3600 - ofDay % 3600;
        else if (!wanted(MinutesAlarm, ofDay / 60 % 60))
            delta += 60 - ofDay % 60;
        else if (!wanted(SecondsAlarm, ofDay % 60))
            ++delta;
        else
            return delta;
    }
    return std::nullopt;
}

/// The periodic interrupt comes every 2^n cycles of 32768 Hz; 0 for never.
unsigned RtcMc146818::periodShift() const
{
    auto const rate = m_state.a & 0x0fu;
    if (rate == 0 || (m_state.a & 0x70) != 0x20)
        return 0;
    return rate < 3 ? rate + 6 : rate - 1; // at least 2
}

/// How many periods of 2^shift cycles have passed.
std::uint64_t RtcMc146818::tick(unsigned shift) const
{
    auto const now = static_cast<unsigned __int128>(m_time.now().count());
    return static_cast<std::uint64_t>((now << 15) / nanosecondsPerSecond >> shift);
}

Nanoseconds RtcMc146818::timeOfTick(std::uint64_t number, unsigned shift)
{
    auto const cycles = static_cast<unsigned __int128>(number) << shift;
    return Nanoseconds(static_cast<std::int64_t>((cycles * nanosecondsPerSecond + 32767) >> 15));
}

void RtcMc146818::catchUp()
{
    if (runs()) {
        auto const now = second();
        if (now > m_state.lastSecond) {
            m_state.c |= cUpdate;
            auto const alarm = nextAlarm(m_state.lastSecond);
            if (alarm && m_state.lastSecond + *alarm <= now)
                m_state.c |= cAlarm;
        }
        m_state.lastSecond = now;
    }
    auto const ticked = tick(periodShift());
    if (periodShift() != 0 && ticked > m_state.lastTick) {
        auto const lost = ticked - m_state.lastTick - (m_state.c & cPeriodic ? 0 : 1);
        if (m_state.b & bPeriodic)
            m_state.missedTicks = static_cast<std::uint32_t>(std::min<std::uint64_t>(
                m_state.missedTicks + std::min<std::uint64_t>(lost, maximumMissedTicks), maximumMissedTicks));
        m_state.c |= cPeriodic;
    }
    m_state.lastTick = ticked;
}

void RtcMc146818::timerDue()
{
    catchUp();
    if (!(m_state.c & cPeriodic) && m_state.missedTicks > 0) {
        --m_state.missedTicks;
        m_state.c |= cPeriodic;
    }
    updateTimer();
    updateIrq();
}

void RtcMc146818::updateTimer()
{
    auto const now = m_time.now();
    auto next = Nanoseconds::max();
    auto const waitsFor = [&](std::uint8_t flag) { return m_state.b & flag && !(m_state.c & flag); };
    if (auto const shift = periodShift(); shift != 0 && waitsFor(cPeriodic)) {
        // What was missed is made up for at four times the rate.
        auto const step = m_state.missedTicks > 0 ? shift - 2 : shift;
        next = timeOfTick(tick(step) + 1, step);
    }
    if (runs()) {
        auto const toSecond = Nanoseconds(nanosecondsPerSecond - nanosecondsOfSecond());
        if (waitsFor(cUpdate))
            next = std::min(next, now + toSecond);
        if (waitsFor(cAlarm)) {
            if (auto const alarm = nextAlarm(second()))
                next = std::min(next, now + toSecond + std::chrono::seconds(*alarm - 1));
        }
    }
    if (next == Nanoseconds::max())
        m_timer->cancel();
    else
        m_timer->arm(next);
}

void RtcMc146818::updateIrq()
{
    bool const level = m_state.b & m_state.c & (cPeriodic | cAlarm | cUpdate);
    if (level == m_level)
        return;
    m_level = level;
    m_irq.set(level);
}

}
