#pragma once

#include "vmm/base/iovec.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/state/options.h"

#include <string>
#include <sys/uio.h>
#include <vector>

namespace vmm::virtio {

constexpr std::uint16_t maximumQueueSize = 1024;
constexpr std::uint16_t noVector = 0xffff; ///< VIRTIO_MSI_NO_VECTOR

/// What survives of one split virtqueue. The indices are the ring's own: free-running, modulo 2^16.
struct QueueState {
    std::uint16_t size = 0;
    bool enabled = false;
    std::uint16_t vector = noVector;
    GuestAddress descriptors = 0, driver = 0, device = 0;
    std::uint16_t nextAvailable = 0; ///< of the driver's ring: what is taken next
    std::uint16_t nextUsed = 0;      ///< of the device's ring: what is filled next
    /// Heads of chains that were taken and not given back: requests that wait for the host.
    std::vector<std::uint16_t> held;
    bool operator==(QueueState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("size", s.size, state::Range { 0, maximumQueueSize });
        v.field("enabled", s.enabled);
        v.field("vector", s.vector);
        v.field("descriptors", s.descriptors);
        v.field("driver", s.driver);
        v.field("device", s.device);
        v.field("nextAvailable", s.nextAvailable);
        v.field("nextUsed", s.nextUsed);
        v.field("held", s.held, state::Max { maximumQueueSize });
    }
};

/// One request of the driver: a chain of buffers as host memory, what the device reads first, then what it writes.
/// Reused from request to request, so that the lists keep their room.
struct Chain {
    std::uint16_t head = 0;
    std::vector<iovec> readable, writable;
    std::uint64_t readableBytes = 0, writableBytes = 0;

    void clear();
    /// Copies from (to) the readable (writable) part, beginning `offset` bytes into it; how many bytes there were.
    std::size_t read(std::uint64_t offset, ByteSpan data) const;
    std::size_t write(std::uint64_t offset, ConstByteSpan data) const;
};

/// A split virtqueue (Virtual I/O Device (VIRTIO) Version 1.2, 2.7 "Split Virtqueues"), the device's side. Descriptors
/// are read once into host memory and then checked: the guest may change them meanwhile. Whatever the driver cannot
/// have meant (a loop, memory that is no RAM, a device-readable part behind a writable one …) breaks the queue: it is
/// not served any more until the driver resets it.
///
/// Threads: everything under the device's service lock, see VirtioDevice.
class Queue {
public:
    enum class Taken : std::uint8_t { Chain, Empty, Broken };

    Queue(GuestMemory const& ram, std::uint16_t maximumSize);

    QueueState const& state() const { return m_state; }
    std::uint16_t maximumSize() const { return m_maximumSize; }
    /// Back to how it is before the driver has set it up.
    void reset();

    // What the driver programs while the queue is not enabled.
    void setSize(std::uint16_t size);
    void setVector(std::uint16_t vector) { m_state.vector = vector; }
    void setAddresses(GuestAddress descriptors, GuestAddress driver, GuestAddress device);

    struct Options {
        bool indirect = false, eventIndex = false;
    };
    /// Finds the rings in RAM. Where they are not there, or not aligned, the queue is broken from the beginning.
    void enable(Options options);
    /// Whether a saved queue can be continued: what the driver could not have programmed is refused.
    Result<> check(QueueState const& saved) const;
    /// Takes over what check() accepted; enable() must follow for a queue that is enabled.
    void load(QueueState const& saved) { m_state = saved; }

    /// Enabled and whole.
    bool isReady() const { return m_descriptors != nullptr && m_broken.empty(); }
    /// Why it is broken; empty when it is not.
    std::string const& brokenReason() const { return m_broken; }
    /// For what a device finds wrong in a request itself.
    void markBroken(std::string reason);

    /// The next chain that the driver has made available.
    Taken take(Chain& chain);
    /// Is there something to take? Never true for a broken queue.
    bool hasAvailable();
    /// The chain behind `head`, read again: for requests that were held over a save.
    bool read(std::uint16_t head, Chain& chain);
    /// Takes back the last take(), so that the same chain comes next.
    void untake(Chain const& chain);

    /// The driver need not ring while the queue is worked through.
    void suppressKicks();
    /// Asks for a ring again; true when something came meanwhile that was not announced: then go on working.
    [[nodiscard]] bool allowKicks();

    /// Gives a chain back with `written` bytes in it. The driver sees it with the next publish().
    void give(std::uint16_t head, std::uint32_t written);
    /// Shows the driver what was given back; true when it wants an interrupt for that.
    [[nodiscard]] bool publish();

    /// Makes `heads` part of what is saved and of what is outstanding: taken and not given back.
    void setHeld(std::vector<std::uint16_t> heads) { m_state.held = std::move(heads); }

private:
    struct Descriptor;

    bool walk(std::uint16_t head, Chain& chain);
    bool walkIndirect(Descriptor const& table, Chain& chain, unsigned& count);
    bool append(Descriptor const& descriptor, Chain& chain);
    std::uint16_t availableIndex() const;
    void unmap();

    GuestMemory const& m_ram;
    std::uint16_t const m_maximumSize;
    QueueState m_state;

    // Found again by enable(), hence not saved.
    Options m_options;
    std::uint8_t* m_descriptors = nullptr;
    std::uint8_t* m_driver = nullptr;
    std::uint8_t* m_device = nullptr;
    std::uint16_t m_knownAvailable = 0; // the driver's index as last read
    unsigned m_unpublished = 0, m_outstanding = 0;
    std::string m_broken;
};

}
