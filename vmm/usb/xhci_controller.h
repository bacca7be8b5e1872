#pragma once

#include "vmm/bus/pci.h"
#include "vmm/usb/usb_device.h"
#include "vmm/usb/xhci_state.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>

namespace vmm {

/// An xHCI controller, 1b36:000d as QEMU's qemu-xhci (eXtensible Host Controller Interface for Universal Serial Bus,
/// Revision 1.2, as a controller of version 1.1: chapter 5 "Register Interface", 4 "Operational Model"). It has
/// connectors, each of them a USB 2 port and a USB 3 port; a device takes the one of its speed.
///
///   BAR 0 + | what
///   0000    | capabilities, 5.3
///   0040    | USBCMD 00, USBSTS 04, PAGESIZE 08, DNCTRL 14, CRCR 18, DCBAAP 30, CONFIG 38, 5.4
///   0440 + 10 x port | PORTSC 0, PORTPMSC 4, PORTLI 8, PORTHLPMC C
///   0600    | extended capabilities: supported protocols, 7.2; with more than 13 connectors at 0800
///   1000    | MFINDEX; 1020 + 20 x n: IMAN 0, IMOD 4, ERSTSZ 8, ERSTBA 10, ERDP 18, 5.5
///   2000    | doorbells, 5.6
///
/// A doorbell is served by whoever rings it: TDs are read, checked, and given to devices with the guest's own memory.
/// How much is done at a time is bounded; what is left goes on by a timer, so that neither a vCPU nor the machine's
/// thread is held by rings that never end. Events of a TD are written when the whole of it is done, so between two
/// accesses each TD is done or not begun, but for the bytes that a device has told to be done (`progress`).
///
/// pause() cancels what is in flight: such TDs are not begun, and begin anew from their ring when the machine resumes,
/// here or where it is restored. A device that a restored machine misses is unplugged, with all that follows for the
/// guest.
///
/// Left out: virtualisation (VFs, Force Event), debug capability, secondary stream arrays, bandwidth that runs out,
/// link states U1 and U2, latency tolerance and extended properties (both optional).
///
/// Threads: all state is under mutex(), that of the devices on it too. Timers come from the machine's thread.
class XhciController final : public PciFunction, public UsbHost {
public:
    /// Linux takes no more ports of a USB 3 root hub.
    static constexpr unsigned mostConnectors = 15, slotCount = 64, interrupterCount = 8;

    struct State {
        static constexpr std::string_view kind = "xhci";
        static constexpr unsigned version = 3; // 2: slots that are lost, empty ports; 3: 30 ports, what is behind them
        PciState pci;
        std::uint32_t command = 0;       ///< [USBCMD]
        std::uint32_t status = 0x01;     ///< [USBSTS]
        std::uint32_t notifications = 0; ///< [DNCTRL]
        XhciRingState commandRing;       ///< [CRCR]; active: CRR
        std::uint64_t contexts = 0;      ///< [DCBAAP]
        std::uint32_t config = 0;        ///< [CONFIG]
        std::uint64_t frameBase = 0;     ///< guest time of microframe 0, in nanoseconds, while it runs
        std::uint64_t frame = 0;         ///< microframes, while it stands
        std::uint64_t nextWrap = 0;      ///< the microframe of the next MFINDEX wrap event
        std::vector<XhciInterrupterState> interrupters;
        std::vector<XhciPortState> ports;
        std::vector<XhciSlotState> deviceSlots; ///< in order of their numbers
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("pci", s.pci);
            v.field("command", s.command);
            v.field("status", s.status);
            v.field("notifications", s.notifications);
            v.field("commandRing", s.commandRing);
            v.field("contexts", s.contexts);
            v.field("config", s.config);
            v.field("frameBase", s.frameBase);
            v.field("frame", s.frame);
            v.field("nextWrap", s.nextWrap);
            v.field("interrupters", s.interrupters, state::Max { interrupterCount });
            v.field("ports", s.ports, state::Max { 2 * mostConnectors });
            v.field("slots", s.deviceSlots, state::Max { slotCount });
        }
    };

    XhciController(PciServices const& services, GuestTime& time, unsigned connectors);
    ~XhciController() override;

    /// The device, which outlives its being plugged in, appears at a connector (from 0 on), whose other port may have
    /// another one, as a USB 3 hub is one at each. Where another one, or the same, was just pulled out there, it
    /// appears a little later, so that every driver has seen that it was. Not on a thread that holds mutex().
    Result<> plug(unsigned connector, UsbDevice& device);
    /// Both devices of a connector, or one that is plugged in. Returns when nothing of them is in flight.
    void unplug(unsigned connector);
    void unplug(UsbDevice& device);
    /// Which of the controller's ports (from 0 on) a device takes there.
    unsigned portOf(unsigned connector, UsbDevice const& device) const
    {
        return connector + (device.speed() == UsbSpeed::Super ? m_connectors : 0);
    }
    unsigned connectors() const { return m_connectors; }
    /// Which connector is free; nothing when all are taken.
    std::optional<unsigned> freeConnector() const;

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void pause() override;
    void resume() override;

    std::mutex& usbMutex() const override { return mutex(); }
    GuestTime& time() override { return m_time; }
    std::uint64_t microframe() const override;
    void completed(UsbTransfer& transfer) override;
    void wake(UsbDevice& device) override;
    void removed(UsbDevice& device) override;
    void drain(UsbDevice& device, std::function<void()> const& then) override;

private:
    struct Endpoint;
    struct Ring;
    struct Slot;
    struct Td;
    struct Fetched;
    enum class Quiet : std::uint8_t { No, Yes };
    /// Everything that changes something happens within one; what follows from it happens at its end.
    class Work;

    void readBar(unsigned index, std::uint64_t offset, ByteSpan data) override;
    void writeBar(unsigned index, std::uint64_t offset, ConstByteSpan data) override;
    void configWritten(unsigned offset, unsigned size) override;

    // Registers (xhci_registers.cpp).
    std::uint32_t readRegister(unsigned offset) const;
    std::uint32_t readCapability(unsigned offset) const;
    std::uint32_t readOperational(unsigned offset) const;
    std::uint32_t readRuntime(unsigned offset) const;
    void writeRegister(unsigned offset, std::uint32_t value);
    void writeOperational(unsigned offset, std::uint32_t value);
    void writeRuntime(unsigned offset, std::uint32_t value);
    void writeCommand(std::uint32_t value);
    void writeCommandRing(unsigned offset, std::uint32_t value);
    void ringDoorbell(unsigned slot, std::uint32_t value);

    // Life (xhci_controller.cpp).
    bool isRunning() const { return (m_state.command & 1) != 0; }
    bool mayStart() const { return isRunning() && !m_paused && !m_resetting && isBusMaster(); }
    void start();
    void queueAll();
    void queueActive(Endpoint& endpoint);
    void spend(std::size_t trbs) { m_budget -= static_cast<unsigned>(std::min<std::size_t>(m_budget, trbs)); }
    void resetChip();
    void finishWork();
    void schedule();
    void timeHasCome();
    void hostSystemError();
    void cancelAll();
    void allLanded();
    Result<> checkState(State const& saved) const;
    Result<> checkSlot(XhciSlotState const& saved) const;
    void takeSlots(std::vector<XhciSlotState> const& saved);

    // Interrupters (xhci_events.cpp).
    void readSegments(XhciInterrupterState& interrupter);
    void postEvent(unsigned interrupter, std::uint64_t parameter, std::uint32_t status, std::uint32_t control,
        Quiet quiet = Quiet::No);
    bool storeEvent(XhciInterrupterState& interrupter, XhciEvent const& event);
    void flushEvents(unsigned interrupter);
    bool eventsWait() const;
    void updateInterrupts();

    // Ports (xhci_ports.cpp).
    std::uint32_t readPort(unsigned port, unsigned offset) const;
    void writePort(unsigned port, unsigned offset, std::uint32_t value);
    void writePortStatus(unsigned port, std::uint32_t value);
    void writeLink(unsigned port, unsigned link);
    void resetPort(unsigned port, bool warm);
    void disablePort(unsigned port);
    void connectPort(unsigned port);
    void disconnectPort(unsigned port);
    void unplugPort(std::unique_lock<std::mutex>& lock, unsigned port);
    bool waitsToConnect(unsigned port) const;
    void connectThoseDue();
    void resetPorts();
    void reconcilePorts();
    void notePortChange(unsigned port, std::uint32_t change);
    void announcePort(unsigned port);
    unsigned portCount() const { return 2 * m_connectors; }
    bool isUsb3(unsigned port) const { return port >= m_connectors; }
    static bool isIn(UsbDevice& tree, UsbDevice const& device);
    UsbDevice* deviceAt(unsigned rootPort, std::uint32_t route) const;
    UsbDevice* deviceOf(Slot const& slot) const;
    void loseAddressesAt(unsigned port);
    void loseAddressesIn(UsbDevice& tree);

    // Commands (xhci_commands.cpp).
    void serveCommands();
    bool beginCommand();
    bool finishCommand();
    void stopCommandRing();
    void endCommand(xhci::Code code, unsigned slot = 0);
    xhci::Code quiesceFor(xhci::Trb const& command);
    std::uint32_t endpointsOf(xhci::Trb const& command) const;
    xhci::Code execute(xhci::Trb const& command, unsigned& slot);
    xhci::Code enableSlot(unsigned& slot);
    xhci::Code disableSlot(Slot& slot);
    xhci::Code addressDevice(Slot& slot, xhci::Trb const& command);
    xhci::Code configureEndpoints(Slot& slot, xhci::Trb const& command);
    xhci::Code evaluateContext(Slot& slot, xhci::Trb const& command);
    xhci::Code resetEndpoint(Slot& slot, xhci::Trb const& command);
    xhci::Code stopEndpoint(Slot& slot, xhci::Trb const& command);
    xhci::Code setDequeue(Slot& slot, xhci::Trb const& command);
    xhci::Code resetDevice(Slot& slot);
    xhci::Code portBandwidth(xhci::Trb const& command) const;
    void saveContexts() const;
    bool restoreContexts();
    bool restoreSlot(Slot& slot, std::uint64_t address);
    void forgetSlot(Slot& slot);
    struct InputContext;
    bool readInput(std::uint64_t address, InputContext& input) const;
    xhci::Code checkEndpoint(unsigned id, xhci::EndpointContext const& context) const;
    Endpoint& addEndpoint(Slot& slot, unsigned id, xhci::EndpointContext const& context);
    bool changeStreams(Slot const& slot, InputContext const& input);
    void removeEndpoint(Slot& slot, unsigned id);
    void dropEndpoint(Slot& slot, unsigned id);
    void disableEndpoint(Slot& slot, unsigned id);
    void writeSlotContext(Slot const& slot) const;
    void writeEndpointContext(Endpoint const& endpoint) const;
    void setEndpointState(Endpoint& endpoint, unsigned state) const;
    Endpoint* findEndpoint(unsigned slot, unsigned id) const;

    // Rings and transfers (xhci_rings.cpp, xhci_transfers.cpp).
    enum class Links : std::uint8_t { Skip, Tell };
    Fetched fetch(XhciRingState& position, xhci::Trb& trb, Links links = Links::Skip);
    Fetched fetchTd(Ring& ring, Td& td);
    xhci::Code readStream(Endpoint& endpoint, unsigned stream);
    void queue(Ring& ring);
    void serve(Ring& ring);
    bool mayServe(Ring const& ring) const;
    bool waitsForItsTime(Ring& ring, Td& td);
    bool waitsInVain(Endpoint& endpoint);
    void ranEmpty(Ring& ring);
    bool prepare(Td& td);
    bool addMemory(Td& td, xhci::Trb const& trb);
    void submit(Ring& ring, std::unique_ptr<Td> td);
    void retire(Ring& ring);
    void finish(Ring& ring, Td const& td);
    void fail(Ring& ring, Td const& td, xhci::Code code, unsigned endpointState);
    void haltEndpoint(Endpoint& endpoint, unsigned state);
    void restart(Ring& ring, Td const& td);
    void reportTd(Ring const& ring, Td const& td);
    void transferEvent(Ring const& ring, xhci::Trb const& trb, xhci::Code code, std::uint64_t length);
    void ringEvent(Ring const& ring, xhci::Code code, std::uint64_t pointer, std::uint64_t length);
    void stoppedEvent(Ring& ring);
    void cancelRing(Ring& ring);
    void cancelEndpoint(Endpoint& endpoint);
    void cancelDevice(UsbDevice& tree);
    bool isFlying(UsbDevice& tree) const;
    std::unique_ptr<Td> obtainTd();
    void giveBack(std::unique_ptr<Td> td);

    unsigned const m_connectors;
    GuestTime& m_time;
    std::unique_ptr<Timer> m_timer;    // the next isochronous TD, wrap or interrupt
    std::unique_ptr<Timer> m_goOn;     // work that was left
    std::vector<UsbDevice*> m_devices; // by port
    State m_state;                     // but for the slots
    std::vector<std::unique_ptr<Slot>> m_slots;
    std::vector<std::unique_ptr<Td>> m_freeTds;
    std::deque<Ring*> m_queued;           // rings to look at
    std::vector<Ring*> m_later;           // when there is a budget again
    UsbDevice const* m_leaving = nullptr; // gets no transfers any more
    std::vector<Endpoint*> m_timed;       // isochronous ones, and those that nobody answers
    std::optional<Nanoseconds> m_armed;   // what m_timer waits for
    std::optional<xhci::Trb> m_command;   // begun, and not at its end
    std::uint32_t m_standing = 0;         // the endpoints that it changes, a bit for each id
    bool m_abortCommand = false, m_stopCommands = false;
    unsigned m_inFlight = 0; // transfers that devices have
    unsigned m_depth = 0;    // of Work
    unsigned m_budget = 0;   // TRBs that may still be read within it, and rings visited by commands
    std::size_t m_streamRings = 0;
    std::size_t m_trbsInFlight = 0;
    bool m_isCrowded = false; // until there are half as many
    bool m_commandsQueued = false;
    bool m_paused = false, m_resetting = false;
    std::condition_variable m_idle;
};

}
