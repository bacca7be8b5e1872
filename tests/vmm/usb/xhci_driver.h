#pragma once

#include "tests/fakes/fake_board.h"
#include "tests/fakes/fake_usb_device.h"
#include "vmm/usb/xhci_controller.h"

namespace tests {

/// An event, or a command or transfer TRB, as a driver sees it.
struct XhciTrb {
    std::uint64_t parameter = 0;
    std::uint32_t status = 0, control = 0;

    unsigned type() const { return control >> 10 & 0x3f; }
    unsigned code() const { return status >> 24; }
    unsigned length() const { return status & 0xffffff; }
    unsigned slot() const { return control >> 24; }
    unsigned endpoint() const { return control >> 16 & 0x1f; }
};

// Completion codes, endpoint types, and states of endpoints.
namespace usb {
enum Code : unsigned {
    Success = 1,
    Babble = 3,
    Transaction = 4,
    TrbError = 5,
    Stall = 6,
    Resource = 7,
    NoSlots = 9,
    SlotNotEnabled = 11,
    EndpointNotEnabled = 12,
    ShortPacket = 13,
    Underrun = 14,
    Overrun = 15,
    Parameter = 17,
    ContextState = 19,
    RingFull = 21,
    Missed = 23,
    CommandStopped = 24,
    CommandAborted = 25,
    Stopped = 26,
    StoppedInvalid = 27
};
enum Type : unsigned { IsochOut = 1, BulkOut, InterruptOut, Control, IsochIn, BulkIn, InterruptIn };
enum State : unsigned { Disabled = 0, Running = 1, Halted = 2, StoppedState = 3, ErrorState = 4 };
constexpr std::array<std::uint8_t, 8> getDescriptor { 0x80, 6, 0, 1, 0, 0, 64, 0 };
}

/// A small driver: an xHCI controller with its command ring and event rings, in 1 MiB of memory.
class XhciDriver {
public:
    static constexpr std::uint64_t bar = 0xe0000000, msixBar = 0xe1000000, contexts = 0x1000, commands = 0x2000,
                                   table = 0x3000, events = 0x4000, inputContext = 0xa000, heap = 0x10000;
    static constexpr unsigned ringTrbs = 16, trbSize = 16;
    enum Operational : unsigned { UsbCmd = 0x40, UsbSts = 0x44, Crcr = 0x58, Dcbaap = 0x70, Config = 0x78 };
    enum TrbType : std::uint32_t {
        Normal = 1,
        Setup = 2,
        Data = 3,
        Status = 4,
        Isoch = 5,
        Link = 6,
        EventData = 7,
        NoOp = 8,
        EnableSlot = 9,
        DisableSlot = 10,
        AddressDevice = 11,
        ConfigureEndpoint = 12,
        EvaluateContext = 13,
        ResetEndpoint = 14,
        StopEndpoint = 15,
        SetDequeue = 16,
        ResetDevice = 17,
        GetBandwidth = 21,
        NoOpCommand = 23,
        TransferEvent = 32,
        CommandEvent = 33,
        PortEvent = 34
    };
    enum Flag : std::uint32_t { Isp = 1 << 2, Chain = 1 << 4, Ioc = 1 << 5, Idt = 1 << 6, Sia = 1u << 31 };

    explicit XhciDriver(unsigned connectors = 8) : controller(board.pci, board.time, connectors)
    {
        controller.connectInterrupt(irq);
    }

    void config(unsigned offset, std::uint32_t value)
    {
        std::lock_guard const lock(controller.mutex());
        controller.writeConfig(offset, vmm::bytesOf(value));
    }
    std::uint32_t read(unsigned offset)
    {
        std::uint32_t value = 0xeeeeeeee;
        board.memory.read(bar + offset, vmm::writableBytesOf(value));
        return value;
    }
    void write(unsigned offset, std::uint32_t value) { board.memory.write(bar + offset, vmm::bytesOf(value)); }
    void write64(unsigned offset, std::uint64_t value) { board.memory.write(bar + offset, vmm::bytesOf(value)); }
    std::uint32_t portStatus(unsigned port) { return read(0x440 + 0x10 * (port - 1)); }
    void setPort(unsigned port, std::uint32_t value) { write(0x440 + 0x10 * (port - 1), value); }
    std::uint8_t* ram(std::uint64_t address) { return board.ramBlock->data() + address; }
    template<typename T>
    T load(std::uint64_t address)
    {
        return vmm::loadLittle<T>({ ram(address), sizeof(T) });
    }
    template<typename T>
    void store(std::uint64_t address, T value)
    {
        vmm::storeLittle(vmm::ByteSpan(ram(address), sizeof(T)), value);
    }
    vmm::Bytes bytes(std::uint64_t address, std::size_t size) { return { ram(address), ram(address) + size }; }

    /// BARs, MSI-X, rings, run.
    void start(unsigned segments = 1)
    {
        config(0x10, static_cast<std::uint32_t>(bar));
        config(0x18, static_cast<std::uint32_t>(msixBar));
        config(0x04, 6);
        config(0x40, 0x8000'0000 | 0x11);
        for (unsigned vector = 0; vector < vmm::XhciController::interrupterCount; ++vector) {
            board.memory.write(msixBar + 16 * vector, vmm::bytesOf(std::uint64_t(0xfee00000)));
            board.memory.write(msixBar + 16 * vector + 8, vmm::bytesOf(std::uint64_t(vector)));
        }
        setUp(segments);
    }
    void setUp(unsigned segments = 1)
    {
        std::fill_n(ram(0), heap, 0);
        m_eventSegments = segments;
        m_eventIndex = 0;
        m_eventCycle = true;
        m_commandIndex = 0;
        m_commandCycle = 1;
        write(Config, vmm::XhciController::slotCount);
        write64(Dcbaap, contexts);
        write64(Crcr, commands | 1);
        for (unsigned i = 0; i < segments; ++i) {
            store<std::uint64_t>(table + 16 * i, events + 0x400 * i);
            store<std::uint32_t>(table + 16 * i + 8, ringTrbs);
        }
        write(0x1028, segments);
        write64(0x1038, events);
        write64(0x1030, table);
        write(0x1024, 0); // no moderation
        write(0x1020, 2);
        write(UsbCmd, 5);
    }

    // Events

    bool hasEvent() { return (load<std::uint32_t>(eventAt() + 12) & 1) == (m_eventCycle ? 1u : 0u); }
    /// The next event, with which the driver is done; type 0 where there is none.
    XhciTrb event()
    {
        if (!hasEvent())
            return {};
        auto const trb = peekEvent();
        if (++m_eventIndex == m_eventSegments * ringTrbs) {
            m_eventIndex = 0;
            m_eventCycle = !m_eventCycle;
        }
        if (tellsDequeue)
            write64(0x1038, eventAt() | 8);
        return trb;
    }
    /// The next one of that type; others are dropped.
    XhciTrb event(unsigned type)
    {
        for (;;) {
            auto const next = event();
            if (next.type() == type || next.type() == 0)
                return next;
        }
    }
    void dropEvents()
    {
        while (hasEvent())
            event();
    }
    XhciTrb peekEvent() { return trbAt(eventAt()); }
    XhciTrb trbAt(std::uint64_t at)
    {
        return { load<std::uint64_t>(at), load<std::uint32_t>(at + 8), load<std::uint32_t>(at + 12) };
    }

    // Commands

    /// Where the next one goes, which its event will name.
    std::uint64_t nextCommand() const { return commands + trbSize * m_commandIndex; }
    void postCommand(std::uint32_t type, std::uint64_t parameter = 0, std::uint32_t flags = 0, std::uint32_t status = 0)
    {
        {
            std::lock_guard const lock(controller.mutex()); // as if processors wrote in order
            putTrb(commands + trbSize * m_commandIndex, { parameter, status, type << 10 | flags | m_commandCycle });
            if (++m_commandIndex == ringTrbs - 1) {
                putTrb(
                    commands + trbSize * m_commandIndex, { commands, 0, Link << 10 | 2 | linkFlags | m_commandCycle });
                m_commandIndex = 0;
                m_commandCycle ^= 1;
            }
        }
        write(0x2000, 0);
    }
    XhciTrb command(std::uint32_t type, std::uint64_t parameter = 0, std::uint32_t flags = 0, std::uint32_t status = 0)
    {
        postCommand(type, parameter, flags, status);
        return event(CommandEvent);
    }
    static std::uint32_t slotBits(unsigned slot, unsigned endpoint = 0) { return slot << 24 | endpoint << 16; }

    // Rings

    struct TransferRing {
        std::uint64_t base = 0;
        unsigned index = 0;
        std::uint32_t cycle = 1;
        unsigned slot = 0, endpoint = 0, stream = 0, trbs = ringTrbs;
    };
    std::uint64_t allocate(std::uint64_t size)
    {
        auto const at = m_next;
        m_next += vmm::alignUp<std::uint64_t>(size, 64);
        std::fill_n(ram(at), size, 0);
        return at;
    }
    TransferRing makeRing(unsigned slot, unsigned endpoint, unsigned stream = 0, unsigned trbs = ringTrbs)
    {
        return { allocate(trbs * trbSize), 0, 1, slot, endpoint, stream, trbs };
    }
    void putTrb(std::uint64_t at, XhciTrb const& trb)
    {
        store(at, trb.parameter);
        store(at + 8, trb.status);
        store(at + 12, trb.control);
    }
    /// Appends a TRB, behind the Link TRB where the ring is at its end; its address.
    std::uint64_t put(
        TransferRing& ring, std::uint32_t type, std::uint64_t parameter, std::uint32_t length, std::uint32_t flags = 0)
    {
        if (ring.index == ring.trbs - 1) {
            auto const chain = trbAt(ring.base + trbSize * (ring.index - 1)).control & Chain;
            putTrb(ring.base + trbSize * ring.index, { ring.base, 0, Link << 10 | 2 | chain | linkFlags | ring.cycle });
            ring.index = 0;
            ring.cycle ^= 1;
        }
        auto const at = ring.base + trbSize * ring.index++;
        putTrb(at, { parameter, length, type << 10 | flags | ring.cycle });
        return at;
    }
    void kick(TransferRing const& ring) { write(0x2000 + 4 * ring.slot, ring.endpoint | ring.stream << 16); }
    void request(
        TransferRing& ring, std::array<std::uint8_t, 8> const& setup, std::uint64_t buffer, std::uint32_t length)
    {
        bool const in = (setup[0] & 0x80) != 0;
        put(ring, Setup, vmm::loadLittle<std::uint64_t>(setup), 8, Idt | (length == 0 ? 0 : in ? 3u << 16 : 2u << 16));
        if (length != 0)
            put(ring, Data, buffer, length, Isp | (in ? 1u << 16 : 0));
        put(ring, Status, 0, 0, Ioc | (in && length != 0 ? 0 : 1u << 16));
        kick(ring);
    }

    // Devices

    /// A slot for the device at the port, with an address and its control ring.
    TransferRing address(unsigned port, unsigned speed = 3, std::uint32_t route = 0)
    {
        if ((portStatus(port) & 2) == 0)
            setPort(port, 0x10); // reset
        auto const slot = command(EnableSlot).slot();
        auto const ring = makeRing(slot, 1);
        store<std::uint64_t>(contexts + 8 * slot, allocate(0x400));
        std::fill_n(ram(inputContext), 0x420, 0);
        store<std::uint32_t>(inputContext + 4, 3);
        store<std::uint32_t>(inputContext + 0x20, 1u << 27 | speed << 20 | route);
        store<std::uint32_t>(inputContext + 0x24, port << 16);
        store<std::uint32_t>(inputContext + 0x44, 64u << 16 | 4u << 3 | 3u << 1);
        store<std::uint64_t>(inputContext + 0x48, ring.base | 1);
        lastCode = command(AddressDevice, inputContext, slotBits(slot)).code();
        return ring;
    }
    /// Runs, with `device` at port 1, which has an address; its control ring.
    TransferRing startWithDevice()
    {
        vmm::ignore(controller.plug(0, device)); // nothing is there yet
        start();
        return address(1);
    }
    /// Adds one endpoint: type as in an endpoint context, interval as a power of two of microframes.
    TransferRing addEndpoint(unsigned slot, unsigned id, unsigned type, unsigned interval = 0, unsigned streams = 0,
        unsigned trbs = ringTrbs)
    {
        auto const ring = makeRing(slot, id, 0, trbs);
        auto const array = streams != 0 ? allocate(16u * (2u << streams)) : 0;
        std::fill_n(ram(inputContext), 0x420, 0);
        store<std::uint32_t>(inputContext + 4, 1u << id | 1);
        store<std::uint32_t>(inputContext + 0x20, id << 27);
        auto const context = inputContext + 0x20 * (id + 1);
        store<std::uint32_t>(context, interval << 16 | streams << 10 | (streams != 0 ? 1u << 15 : 0));
        store<std::uint32_t>(context + 4, 512u << 16 | type << 3 | 3u << 1);
        store<std::uint64_t>(context + 8, streams != 0 ? array : ring.base | 1);
        streamArray = array;
        lastCode = command(ConfigureEndpoint, inputContext, slotBits(slot)).code();
        return ring;
    }
    unsigned endpointState(TransferRing const& ring)
    {
        return load<std::uint32_t>(load<std::uint64_t>(contexts + 8 * ring.slot) + 0x20 * ring.endpoint) & 7;
    }

    FakeBoard board;
    FakeIrq irq;
    unsigned lastCode = 0;
    std::uint64_t streamArray = 0;
    bool tellsDequeue = true;
    std::uint32_t linkFlags = 0; ///< of the Link TRBs at the ends of rings
    FakeUsbDevice device;
    vmm::XhciController controller;

private:
    std::uint64_t eventAt() const
    {
        return events + 0x400 * (m_eventIndex / ringTrbs) + trbSize * (m_eventIndex % ringTrbs);
    }

    unsigned m_eventSegments = 1, m_eventIndex = 0, m_commandIndex = 0;
    bool m_eventCycle = true;
    std::uint32_t m_commandCycle = 1;
    std::uint64_t m_next = heap;
};

}
