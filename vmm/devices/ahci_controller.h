#pragma once

#include "vmm/bus/pci.h"
#include "vmm/devices/sata_device.h"

#include <condition_variable>
#include <functional>

namespace vmm {

/// The registers of one port. The names in brackets are the specification's.
struct AhciPortState {
    std::uint64_t commandList = 0, receivedFis = 0; ///< [PxCLB, PxFB]
    std::uint32_t interrupts = 0;                   ///< [PxIS] without what follows from `errors`
    std::uint32_t interruptEnable = 0;              ///< [PxIE]
    std::uint32_t command = 0;                      ///< [PxCMD] what is written, and the current slot
    std::uint16_t taskFile = 0x7f;                  ///< [PxTFD] error and status
    std::uint32_t signature = 0xffffffff;           ///< [PxSIG]
    std::uint32_t control = 0;                      ///< [PxSCTL]
    std::uint32_t errors = 0;                       ///< [PxSERR]
    std::uint32_t active = 0, issued = 0;           ///< [PxSACT, PxCI]
    std::uint32_t accepted = 0;                     ///< queued commands that the device has taken and not done
    bool linked = false;                            ///< the device answers on the wire
    bool halted = false;                            ///< by an error, until the driver stops and starts the port
    bool inSoftReset = false;                       ///< SRST is set
    bool signatureWaits = false;                    ///< the FIS after a reset waits to be received
    SataDeviceState device;
    bool operator==(AhciPortState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("commandList", s.commandList);
        v.field("receivedFis", s.receivedFis);
        v.field("interrupts", s.interrupts);
        v.field("interruptEnable", s.interruptEnable);
        v.field("command", s.command);
        v.field("taskFile", s.taskFile);
        v.field("signature", s.signature);
        v.field("control", s.control);
        v.field("errors", s.errors);
        v.field("active", s.active);
        v.field("issued", s.issued);
        v.field("accepted", s.accepted);
        v.field("linked", s.linked);
        v.field("halted", s.halted);
        v.field("inSoftReset", s.inSoftReset);
        v.field("signatureWaits", s.signatureWaits);
        v.field("device", s.device);
    }
};

/// A SATA controller, 8086:2922 as in the ICH9 (Serial ATA AHCI Specification, Rev. 1.3.1, 3 "HBA Memory Registers", 4
/// "System Memory Structures", 5 "Data Transfer Operation"), with up to six devices that are always there.
///
///   BAR 5 + | what
///   00–2B   | CAP, GHC, IS, PI, VS … CAP2, BOHC
///   100 + 80 x port | CLB 00, FB 08, IS 10, IE 14, CMD 18, TFD 20, SIG 24, SSTS 28, SCTL 2C, SERR 30, SACT 34, CI 38
///
/// A command is fetched and judged when it is issued, by whoever writes the register; its work is done on the loop of
/// the device. Queued commands run all at once, others one after the other. A port that is stopped or reset shows that
/// it is still busy (PxCMD.CR, GHC.HR, no link) until nothing of it is in flight, so that no vCPU waits.
///
/// What the guest asks wrongly ends in the task file or in a fatal error of the port. What the host cannot do (no
/// space, an I/O error) is none of the guest's business: the command stays issued, `hostError` asks for a pause, and
/// the command begins anew when the machine resumes, here or where it was restored.
///
/// Left out: hot plug of devices, port multipliers, FIS-based switching, enclosure management, coalescing, power
/// management of the link (accepted, without effect), several MSIs (there is one, or INTA#).
///
/// Threads: all state is under mutex(). On a device's loop images are called without it.
class AhciController final : public PciFunction {
public:
    static constexpr unsigned maximumPorts = 6, slotCount = 32;

    struct State {
        static constexpr std::string_view kind = "ahci";
        static constexpr unsigned version = 1;
        PciState pci;
        bool interruptsEnabled = false; ///< [GHC.IE]
        std::uint32_t interrupts = 0;   ///< [IS]
        std::vector<AhciPortState> ports;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("pci", s.pci);
            v.field("interruptsEnabled", s.interruptsEnabled);
            v.field("interrupts", s.interrupts);
            v.field("ports", s.ports, state::Max { maximumPorts });
        }
    };

    /// Called once a port for each time that the machine runs, on the device's loop with mutex() held: it posts.
    using HostError = std::function<void(unsigned port, Error const&)>;

    /// One to six devices, for the ports from 0 on.
    AhciController(PciServices const& services, std::vector<std::unique_ptr<SataDevice>> devices, HostError hostError);
    ~AhciController() override;

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void pause() override;
    void resume() override;

    /// Runs `change` on a port's device, with mutex() held, and returns when nothing is in flight that was before.
    /// Not from a device's loop.
    void changeDevice(unsigned port, std::function<void()> const& change);
    /// The disk on the port has another image of the same size and contents, to which what waited was passed. On the
    /// disk's loop.
    void replaceImage(unsigned port, BlockImage const& old, BlockImage& image);

    /// Since the device was made. Any thread.
    std::uint64_t bytesRead() const { return m_bytesRead; }
    std::uint64_t bytesWritten() const { return m_bytesWritten; }

private:
    struct Slot;
    struct Port;

    void readBar(unsigned index, std::uint64_t offset, ByteSpan data) override;
    void writeBar(unsigned index, std::uint64_t offset, ConstByteSpan data) override;
    void configWritten(unsigned offset, unsigned size) override;

    std::uint32_t readRegister(unsigned offset) const;
    std::uint32_t readPort(Port const& port, unsigned offset) const;
    void writeRegister(unsigned offset, std::uint32_t value);
    void writePort(Port& port, unsigned offset, std::uint32_t value);
    void writeCommand(Port& port, std::uint32_t value);
    void writeControl(Port& port, std::uint32_t value);

    // Life of a port.
    void resetHba();
    void abandon(Port& port);
    void linkDown(Port& port);
    void linkUp(Port& port);
    void sendSignature(Port& port);
    void deliverSignature(Port& port);
    void landed(Port& port, std::uint32_t bit);
    void updateMsi();
    void updateInterrupt();

    // Commands.
    void serve(Port& port);
    bool begin(Port& port, unsigned index);
    bool fetch(Port& port, Slot& slot);
    void collectRegions(Slot& slot) const;
    void softReset(Port& port, bool asserted);
    void launch(Port& port, Slot& slot);
    void submit(Slot& slot);
    void completed(Slot& slot, Result<> result);
    void finish(Port& port, Slot& slot);
    void finishQueued(Port& port, Slot& slot);
    void fatal(Port& port, std::uint32_t interrupt);
    void receive(Port& port, unsigned offset, ConstByteSpan fis);
    void receiveRegisters(Port& port, SataRegisters const& registers, bool interrupt);
    void receivePioSetup(Port& port, Slot const& slot, bool interrupt);

    HostError const m_hostError;
    std::vector<std::unique_ptr<Port>> m_ports;
    bool m_interruptsEnabled = false;
    std::uint32_t m_interrupts = 0;
    unsigned m_msiCapability = 0;
    std::optional<MsiMessage> m_message; // while MSI is enabled
    bool m_wereEnabled = false;          // interrupts, when they were last looked at
    bool m_resetting = false;            // GHC.HR, until nothing is in flight
    bool m_paused = false;
    unsigned m_inFlight = 0;
    std::condition_variable m_idle;
    std::atomic<std::uint64_t> m_bytesRead { 0 }, m_bytesWritten { 0 };
};

}
