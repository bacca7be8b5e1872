#include "vmm/devices/ich9_lpc.h"

#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace vmm {

namespace {

constexpr unsigned pmBaseRegister = 0x40, acpiControl = 0x44, pirqA = 0x60, pirqE = 0x68, rcba = 0xf0;
constexpr std::uint8_t acpiControlEnable = 0x80, routeOff = 0x80;
// What the router can reach: not the timer, keyboard, cascade, RTC and coprocessor.
constexpr std::uint16_t routable = 0xdef8;

constexpr std::uint16_t pmSize = 128;
constexpr std::uint16_t timerStatus = 1 << 0, globalStatus = 1 << 5, powerButtonStatus = 1 << 8,
                        sleepButtonStatus = 1 << 9, rtcStatus = 1 << 10, wakeStatus = 1 << 15;
constexpr std::uint16_t pm1Clearable
    = timerStatus | 1 << 4 | globalStatus | powerButtonStatus | sleepButtonStatus | rtcStatus | wakeStatus;
constexpr std::uint16_t pm1Enables = timerStatus | globalStatus | powerButtonStatus | sleepButtonStatus | rtcStatus;
constexpr std::uint16_t sciEnable = 1 << 0, sleepEnable = 1 << 13;

constexpr std::uint64_t timerFrequency = 3'579'545, timerPeriod = 0x800000;
constexpr std::uint64_t nanosecondsPerSecond = 1'000'000'000;

}

Ich9Lpc::Ich9Lpc(PciServices const& pci, GuestTime& time, std::array<IrqLine*, gsiCount> const& gsi, Requests requests)
    : PciFunction(pci,
        { .vendor = 0x8086,
            .device = 0x2918,
            .classCode = 0x060100,
            .revision = 2,
            .subsystemVendor = 0x1af4,
            .subsystem = 0x1100 }),
      m_time(time),
      m_gsi(gsi),
      m_requests(std::move(requests)),
      m_timer(time.makeTimer(mutex(), [this] { updateSci(); }))
{
    addRegisters(pmBaseRegister, bytesOf(std::uint32_t(1)), bytesOf(std::uint32_t(0xff80)));
    addRegisters(acpiControl, bytesOf(std::uint8_t(0)), bytesOf(std::uint8_t(0x87)));
    std::array<std::uint8_t, 4> off {}, routeMask {};
    off.fill(routeOff);
    routeMask.fill(0x8f);
    addRegisters(pirqA, off, routeMask);
    addRegisters(pirqE, off, routeMask);
    // Registers that firmware and drivers set and expect to read again: GPIOBASE, GPIO_CNTL, SERIRQ_CNTL, the I/O
    // decode ranges, GEN_PMCON_1 to 3, BIOS_CNTL, RCBA.
    auto const keep
        = [this](unsigned offset, std::size_t size) { addRegisters(offset, Bytes(size, 0x00), Bytes(size, 0xff)); };
    keep(0x48, 5);
    keep(0x64, 1);
    keep(0x80, 20);
    keep(0xa0, 8);
    keep(0xdc, 1);
    addRegisters(rcba, bytesOf(std::uint32_t(0)), bytesOf(std::uint32_t(0xffffc001)));

    for (unsigned i = 0; i < pirqCount; ++i) {
        m_pirqs[i].owner = this;
        m_pirqs[i].index = i;
    }
    m_routes.fill(routeOff);
    ignore(services().ports.map(0x92, 1, m_port92Window));
    ignore(services().ports.map(0xb2, 2, m_apmWindow));
}

Ich9Lpc::~Ich9Lpc()
{
    for (auto* window : { &m_pmWindow, &m_apmWindow, &m_port92Window })
        services().ports.unmap(*window);
}

std::array<IrqLine*, Ich9Lpc::pirqCount> Ich9Lpc::pirqs()
{
    std::array<IrqLine*, pirqCount> lines {};
    for (unsigned i = 0; i < pirqCount; ++i)
        lines[i] = &m_pirqs[i];
    return lines;
}

void Ich9Lpc::setUpLikeFirmware()
{
    storeLittle(config().subspan(pmBaseRegister, 4), std::uint32_t(pmBase | 1));
    config()[acpiControl] = acpiControlEnable;
    mapPm();
}

void Ich9Lpc::pressPowerButton()
{
    std::lock_guard const lock(mutex());
    m_state.pm1Status |= powerButtonStatus;
    updateSci();
}

void Ich9Lpc::raiseGpe(unsigned bit)
{
    std::lock_guard const lock(mutex());
    m_state.gpeStatus |= std::uint64_t(1) << bit % 64;
    updateSci();
}

void Ich9Lpc::reset()
{
    resetPci();
    auto const now = ticks();
    m_state = {};
    // The timer itself runs on over a reset, as the guest's clock does.
    m_state.timerOverflow = alignDown(now, timerPeriod) + timerPeriod;
    mapPm();
    updateRouting();
    updateTimer();
    updateSci();
}

Section Ich9Lpc::save() const
{
    auto state = m_state;
    state.pci = pciState();
    return state::save(state);
}

Result<> Ich9Lpc::load(Section const& section)
{
    auto const next = TRY(state::load<State>(section));
    TRY(checkPci(next.pci));
    if (next.timerOverflow > ticks() + timerPeriod)
        return fail(ErrorCode::Corrupt, fmt::format("the power management timer overflows at {}", next.timerOverflow));
    loadPci(next.pci);
    m_state = next;
    mapPm();
    updateRouting();
    updateTimer();
    updateSci();
    return {};
}

void Ich9Lpc::configWritten(unsigned offset, unsigned size)
{
    if (offset < acpiControl + 1 && offset + size > pmBaseRegister)
        mapPm();
    if (offset < pirqE + 4 && offset + size > pirqA)
        updateRouting();
}

void Ich9Lpc::mapPm()
{
    services().ports.unmap(m_pmWindow);
    auto const base = loadLittle<std::uint32_t>(config().subspan(pmBaseRegister, 4)) & 0xff80;
    if ((config()[acpiControl] & acpiControlEnable) != 0 && base != 0)
        ignore(services().ports.map(base, pmSize, m_pmWindow, BusPriority::Window)); // below 64 KiB in any case
}

std::uint64_t Ich9Lpc::ticks() const
{
    auto const now = static_cast<unsigned __int128>(m_time.now().count());
    return static_cast<std::uint64_t>(now * timerFrequency / nanosecondsPerSecond);
}

std::uint16_t Ich9Lpc::pm1Status() const
{
    return static_cast<std::uint16_t>(m_state.pm1Status | (ticks() >= m_state.timerOverflow ? timerStatus : 0));
}

/// Arms the clock for the moment at which the timer's status bit will interrupt.
void Ich9Lpc::updateTimer()
{
    if ((m_state.pm1Enable & timerStatus) == 0 || ticks() >= m_state.timerOverflow) {
        m_timer->cancel();
        return;
    }
    auto const due = (static_cast<unsigned __int128>(m_state.timerOverflow) * nanosecondsPerSecond + timerFrequency - 1)
        / timerFrequency;
    m_timer->arm(Nanoseconds(static_cast<std::int64_t>(std::min<unsigned __int128>(due, INT64_MAX))));
}

void Ich9Lpc::updateSci()
{
    bool const event
        = (pm1Status() & m_state.pm1Enable & pm1Enables) != 0 || (m_state.gpeStatus & m_state.gpeEnable) != 0;
    std::lock_guard const lock(m_routerMutex);
    m_sci = event && (m_state.pm1Control & sciEnable) != 0; // else it would be an SMI, of which there are none
    driveLines();
}

std::array<std::uint8_t, 0x40> Ich9Lpc::pmBytes() const
{
    std::array<std::uint8_t, 0x40> bytes {};
    auto const put
        = [&](std::size_t offset, auto value) { storeLittle(ByteSpan(bytes).subspan(offset, sizeof value), value); };
    put(0x00, pm1Status());
    put(0x02, m_state.pm1Enable);
    put(0x04, m_state.pm1Control);
    put(0x08, static_cast<std::uint32_t>(ticks() & 0xffffff));
    put(0x20, m_state.gpeStatus);
    put(0x28, m_state.gpeEnable);
    put(0x30, m_state.smiEnable);
    return bytes;
}

void Ich9Lpc::readPm(std::uint64_t offset, ByteSpan data)
{
    auto const bytes = pmBytes();
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = offset + i < bytes.size() ? bytes[offset + i] : 0;
}

void Ich9Lpc::writePm(std::uint64_t offset, ConstByteSpan data)
{
    // As if written byte by byte into a copy; status registers then take only the bytes that were written.
    auto merged = pmBytes();
    std::array<std::uint8_t, 0x40> written {};
    for (std::size_t i = 0; i < data.size() && offset + i < merged.size(); ++i)
        merged[offset + i] = written[offset + i] = data[i];
    auto const get = [](auto const& bytes, std::size_t at, auto type) {
        return loadLittle<decltype(type)>(ConstByteSpan(bytes).subspan(at, sizeof type));
    };

    auto const cleared = static_cast<std::uint16_t>(get(written, 0x00, std::uint16_t()) & pm1Clearable);
    if ((cleared & timerStatus) != 0)
        m_state.timerOverflow = alignDown(ticks(), timerPeriod) + timerPeriod;
    m_state.pm1Status &= static_cast<std::uint16_t>(~cleared);
    m_state.pm1Enable = get(merged, 0x02, std::uint16_t()) & pm1Enables;
    m_state.gpeStatus &= ~get(written, 0x20, std::uint64_t());
    m_state.gpeEnable = get(merged, 0x28, std::uint64_t());
    m_state.smiEnable = get(merged, 0x30, std::uint32_t());
    auto const control = get(merged, 0x04, std::uint16_t());
    m_state.pm1Control
        = control & static_cast<std::uint16_t>(~sleepEnable & 0x1c07); // SLP_TYP, GBL_RLS, BM_RLD, SCI_EN
    updateTimer();
    updateSci();
    if ((get(written, 0x04, std::uint16_t()) & sleepEnable) != 0)
        writeSleep(control);
}

void Ich9Lpc::writeSleep(std::uint16_t control)
{
    // SLP_TYP 0 is "soft off": SeaBIOS and OVMF use it so, and our _S5 does.
    auto const type = control >> 10 & 7u;
    if (type == 0) {
        if (m_requests.powerOff)
            m_requests.powerOff();
        return;
    }
    trace("ich9", "sleep type {} is not offered", type);
    if (m_requests.sleep)
        m_requests.sleep(type);
}

void Ich9Lpc::readApm(std::uint64_t offset, ByteSpan data)
{
    std::array<std::uint8_t, 2> const registers { m_state.apmControl, m_state.apmStatus };
    for (std::size_t i = 0; i < data.size(); ++i)
        data[i] = offset + i < registers.size() ? registers[offset + i] : 0xff;
}

void Ich9Lpc::writeApm(std::uint64_t offset, ConstByteSpan data)
{
    for (std::size_t i = 0; i < data.size(); ++i) {
        if (offset + i == 1) {
            m_state.apmStatus = data[i];
        } else if (offset + i == 0) {
            m_state.apmControl = data[i];
            if (data[i] == acpiEnable)
                m_state.pm1Control |= sciEnable;
            else if (data[i] == acpiDisable)
                m_state.pm1Control &= static_cast<std::uint16_t>(~sciEnable);
            updateSci();
        }
    }
}

void Ich9Lpc::read92(std::uint64_t, ByteSpan data)
{
    data[0] = m_state.port92;
}

void Ich9Lpc::write92(std::uint64_t, ConstByteSpan data)
{
    bool const rises = (data[0] & 1) != 0 && (m_state.port92 & 1) == 0;
    m_state.port92 = data[0] & 3;
    if (rises && m_requests.reset)
        m_requests.reset();
}

void Ich9Lpc::readReset(std::uint64_t, ByteSpan data)
{
    data[0] = m_state.resetControl;
}

void Ich9Lpc::writeReset(std::uint64_t, ConstByteSpan data)
{
    m_state.resetControl = data[0] & 0x0a; // RST_CPU does not stay
    if ((data[0] & 4) != 0 && m_requests.reset)
        m_requests.reset();
}

void Ich9Lpc::Pirq::set(bool level)
{
    std::lock_guard const lock(owner->m_routerMutex);
    auto const bit = std::uint32_t(1) << index;
    owner->m_pirqHigh = level ? owner->m_pirqHigh | bit : owner->m_pirqHigh & ~bit;
    owner->driveLines();
}

void Ich9Lpc::updateRouting()
{
    std::lock_guard const lock(m_routerMutex);
    for (unsigned i = 0; i < pirqCount; ++i)
        m_routes[i] = config()[i < 4 ? pirqA + i : pirqE + i - 4];
    driveLines();
}

void Ich9Lpc::driveLines()
{
    std::uint32_t wanted = m_sci ? 1u << sciGsi : 0;
    for (unsigned i = 0; i < pirqCount; ++i) {
        if ((m_pirqHigh >> i & 1) == 0)
            continue;
        wanted |= 1u << (16 + i);
        if ((m_routes[i] & routeOff) == 0)
            wanted |= 1u << (m_routes[i] & 0xf) & routable;
    }
    for (auto changed = wanted ^ m_driven; changed != 0; changed &= changed - 1) {
        auto const line = static_cast<unsigned>(std::countr_zero(changed));
        m_gsi[line]->set((wanted >> line & 1) != 0);
    }
    m_driven = wanted;
}

}
