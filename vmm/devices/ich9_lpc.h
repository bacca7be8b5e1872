#pragma once

#include "vmm/bus/guest_time.h"
#include "vmm/bus/pci.h"

namespace vmm {

/// The LPC bridge of the ICH9, 8086:2918 at 00:1f.0 (Intel I/O Controller Hub 9 Family datasheet, 316972, "LPC
/// Interface Bridge Registers (D31:F0)"): the interrupt router, ACPI power management, and the board's reset.
///
///   configuration | width | what
///   40            | 4     | PMBASE: ports of the power management block (15:7)
///   44            | 1     | ACPI_CNTL: the block answers (7)
///   60–63, 68–6B  | 1     | PIRQA–H: to which PIC input (3:0), or none (7)
///   F0            | 4     | RCBA: kept, nothing answers there
///
///   PMBASE + | width | what
///   00, 02   | 2     | PM1 status (write 1 to clear), PM1 enable
///   04       | 4     | PM1 control: SCI_EN (0), SLP_TYP (12:10), SLP_EN (13)
///   08       | 4     | 24-bit timer at 3.579545 MHz
///   20, 28   | 8     | GPE0 status (write 1 to clear), GPE0 enable
///   30, 34   | 4     | SMI enable, SMI status
///
///   port | what
///   92   | A20 (1, kept: the line is always open), reset (0, on its rise)
///   B2   | APMC: 2 and 3 switch ACPI mode on and off, as the FADT says
///   B3   | APMS: a byte to keep
///   CF9  | reset (2)
///
/// Each PIRQ also goes to input 16 and up of the IOAPIC. Left out: SMI, TCO, GPIO, the bus's decoding of ISA ranges.
class Ich9Lpc final : public PciFunction {
public:
    static constexpr unsigned gsiCount = 24, pirqCount = 8, sciGsi = 9;
    static constexpr std::uint16_t pmBase = 0x600; ///< where firmware puts the block; the FADT says so
    static constexpr std::uint8_t acpiEnable = 2, acpiDisable = 3;
    static constexpr unsigned generationGpe = 5; ///< VM generation id changed (_E05)

    struct State {
        static constexpr std::string_view kind = "ich9-lpc";
        static constexpr unsigned version = 1;
        PciState pci;
        std::uint16_t pm1Status = 0, pm1Enable = 0, pm1Control = 0;
        std::uint64_t timerOverflow = 0x800000; ///< the tick at which the timer's top bit changes next
        std::uint64_t gpeStatus = 0, gpeEnable = 0;
        std::uint32_t smiEnable = 0x20; ///< APMC_EN: firmware then takes SMM as set up, and leaves it alone
        std::uint8_t apmControl = 0, apmStatus = 0, resetControl = 0, port92 = 0;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("pci", s.pci);
            v.field("pm1Status", s.pm1Status);
            v.field("pm1Enable", s.pm1Enable);
            v.field("pm1Control", s.pm1Control);
            v.field("timerOverflow", s.timerOverflow);
            v.field("gpeStatus", s.gpeStatus);
            v.field("gpeEnable", s.gpeEnable);
            v.field("smiEnable", s.smiEnable);
            v.field("apmControl", s.apmControl);
            v.field("apmStatus", s.apmStatus);
            v.field("resetControl", s.resetControl);
            v.field("port92", s.port92);
        }
    };

    /// What the guest asks of the machine. Called with mutex() held on a vCPU's thread: take note, and return.
    struct Requests {
        std::function<void()> powerOff, reset;
        /// A sleep state that the tables do not offer (SLP_TYP 1 to 7).
        std::function<void(unsigned type)> sleep;
    };

    /// `gsi`: the inputs of the interrupt controllers, 0 to 15 to both, 16 to 23 to the IOAPIC.
    Ich9Lpc(PciServices const& services, GuestTime& time, std::array<IrqLine*, gsiCount> const& gsi, Requests requests);
    ~Ich9Lpc() override;

    /// Inputs of the interrupt router, for PciBus.
    std::array<IrqLine*, pirqCount> pirqs();
    /// For PciBus::setResetControl().
    BusHandler& resetControl() { return m_resetWindow; }

    /// What firmware would have done, for direct boot: the power management block at pmBase. After each reset.
    void setUpLikeFirmware();

    /// The person's finger. Takes mutex().
    void pressPowerButton();
    /// A general purpose event: sets its status bit, and SCI if it is enabled. Takes mutex().
    void raiseGpe(unsigned bit);

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

protected:
    void configWritten(unsigned offset, unsigned size) override;

private:
    struct Pirq final : IrqLine {
        void set(bool level) override;
        Ich9Lpc* owner = nullptr;
        unsigned index = 0;
    };

    void readPm(std::uint64_t offset, ByteSpan data);
    void writePm(std::uint64_t offset, ConstByteSpan data);
    void readApm(std::uint64_t offset, ByteSpan data);
    void writeApm(std::uint64_t offset, ConstByteSpan data);
    void read92(std::uint64_t offset, ByteSpan data);
    void write92(std::uint64_t offset, ConstByteSpan data);
    void readReset(std::uint64_t offset, ByteSpan data);
    void writeReset(std::uint64_t offset, ConstByteSpan data);

    std::array<std::uint8_t, 0x40> pmBytes() const;
    std::uint64_t ticks() const;
    std::uint16_t pm1Status() const;
    void writeSleep(std::uint16_t control);
    void mapPm();
    void updateTimer();
    void updateSci();
    void updateRouting();
    void driveLines(); // with m_routerMutex held

    GuestTime& m_time;
    std::array<IrqLine*, gsiCount> m_gsi;
    Requests m_requests;
    State m_state;
    std::unique_ptr<Timer> m_timer;
    BusWindow<Ich9Lpc> m_pmWindow { *this, &Ich9Lpc::readPm, &Ich9Lpc::writePm };
    BusWindow<Ich9Lpc> m_apmWindow { *this, &Ich9Lpc::readApm, &Ich9Lpc::writeApm };
    BusWindow<Ich9Lpc> m_port92Window { *this, &Ich9Lpc::read92, &Ich9Lpc::write92 };
    BusWindow<Ich9Lpc> m_resetWindow { *this, &Ich9Lpc::readReset, &Ich9Lpc::writeReset };

    // The router works on any thread, so it has a lock of its own, inside all others.
    std::mutex m_routerMutex;
    std::array<Pirq, pirqCount> m_pirqs;
    std::array<std::uint8_t, pirqCount> m_routes {};
    std::uint32_t m_pirqHigh = 0, m_driven = 0; // one bit a PIRQ; one bit a GSI
    bool m_sci = false;
};

}
