#pragma once

#include "vmm/base/event_loop.h"
#include "vmm/bus/pci.h"
#include "vmm/virtio/queue.h"

#include <condition_variable>

namespace vmm::virtio {

/// Feature bits that belong to no device type (2.2 "Feature Bits", 6 "Reserved Feature Bits").
constexpr std::uint64_t featureIndirect = 1ull << 28, featureEventIndex = 1ull << 29, featureVersion1 = 1ull << 32,
                        featureRingReset = 1ull << 40;

/// What survives of the transport.
struct TransportState {
    std::uint8_t status = 0, isr = 0, configGeneration = 0;
    std::uint32_t deviceFeatureSelect = 0, driverFeatureSelect = 0;
    std::uint64_t driverFeatures = 0;
    std::uint16_t configVector = noVector, queueSelect = 0;
    std::vector<QueueState> queues;
    bool operator==(TransportState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("status", s.status);
        v.field("isr", s.isr);
        v.field("configGeneration", s.configGeneration);
        v.field("deviceFeatureSelect", s.deviceFeatureSelect);
        v.field("driverFeatureSelect", s.driverFeatureSelect);
        v.field("driverFeatures", s.driverFeatures);
        v.field("configVector", s.configVector);
        v.field("queueSelect", s.queueSelect);
        v.field("queues", s.queues, state::Max { 64 });
    }
};

/// A virtio device behind the PCI transport (Virtual I/O Device (VIRTIO) Version 1.2, 4.1 "Virtio Over PCI Bus"),
/// without the legacy interface. BAR 1 holds MSI-X: vector 0 … as the driver distributes them, one for each queue and
/// one for changes of the configuration. BAR 4:
///
///   offset | capability      | content
///   0x0000 | COMMON_CFG      | 4.1.4.3 "Common configuration structure layout"
///   0x1000 | ISR_CFG         | one byte, cleared by reading
///   0x2000 | DEVICE_CFG      | the device type's own
///   0x3000 | NOTIFY_CFG      | one doorbell of 4 bytes for each queue
///
/// PCI_CFG reaches BAR 4 through configuration space, for firmware that cannot address it.
///
/// Threads. Two locks, always taken in this order:
///   mutex()       registers: PCI's, the transport's, interrupts. vCPU threads hold it for each access.
///   service lock  the queues and what the device does with them. The loop's thread holds it while it serves.
/// Who holds the service lock never waits for mutex(): interrupts are noted, and sent when the service lock is free. So
/// a vCPU that resets the device waits no longer than the service in hand. Requests that are with the host end on the
/// loop's thread; who waits for them to end lets go of mutex() meanwhile, and what other vCPUs write to the transport
/// in that time is lost, as on a device that is busy resetting.
class VirtioDevice : public PciFunction {
public:
    void pause() final;
    void resume() final;

    EventLoop& loop() const { return m_loop; }

protected:
    struct Type {
        std::uint16_t id; ///< 5 "Device Types"
        std::uint32_t classCode;
        std::uint64_t features;                ///< of the device type; the transport adds its own
        std::vector<std::uint16_t> queueSizes; ///< the largest that the driver may choose; at most 32 queues
        std::uint16_t configSize;              ///< bytes of device configuration
    };

    /// `loop` serves the queues and outlives the device.
    VirtioDevice(PciServices const& services, EventLoop& loop, Type type);
    ~VirtioDevice() override;
    /// The first thing in the destructor of a device: after it no queue is served.
    void detach();

    // What a device type does. All with the service lock held.

    /// Loop thread: the driver may have put something into the queue.
    virtual void serve(unsigned queue) = 0;
    /// The device's part of configuration space. `offset` + size is within configSize.
    virtual void readDeviceConfig(std::uint64_t offset, ByteSpan data) = 0;
    virtual void writeDeviceConfig(std::uint64_t offset, ConstByteSpan data);
    /// The driver has said DRIVER_OK. Any thread.
    virtual void driverReady() { }
    /// The driver has gone: all its requests are forgotten. Nothing is in flight. Any thread.
    virtual void driverGone() { }
    /// The same for one queue.
    virtual void queueGone(unsigned queue) { (void)queue; }
    /// Nothing is in flight any more, nothing will be begun. Any thread.
    virtual void paused() { }
    /// Loop thread, before the queues are served again.
    virtual void resumed() { }

    // What the transport offers to it, with the service lock held.

    Queue& queue(unsigned index) { return m_queues[index]; }
    unsigned queueCount() const { return static_cast<unsigned>(m_queues.size()); }
    bool negotiated(std::uint64_t feature) const { return (m_features & feature) != 0; }
    /// The driver is ready and nothing stops the service.
    bool isServing() const { return m_live && m_busMaster && !m_paused && !m_stopping; }
    bool isDriverReady() const { return m_live; }
    bool isPaused() const { return m_paused; }
    /// Gives a chain back; the driver sees it, and is interrupted, before the loop sleeps.
    void give(unsigned queue, std::uint16_t head, std::uint32_t written);
    /// Takes chain after chain and hands each to `handle`, with the driver's kicks held off. Lets others have the loop
    /// after as many as the queue is long, or when `mostBytes` were in them.
    template<typename Handle>
    void serveAll(unsigned index, Chain& chain, Handle const& handle, std::uint64_t mostBytes = ~std::uint64_t(0))
    {
        auto& ring = queue(index);
        unsigned left = ring.state().size;
        std::uint64_t bytes = 0;
        do {
            ring.suppressKicks();
            while (ring.take(chain) == Queue::Taken::Chain) {
                bytes += chain.readableBytes;
                handle(chain);
                if (--left == 0 || bytes >= mostBytes)
                    return kick(index);
            }
        } while (ring.allowKicks());
    }
    /// A request is with the host; pause and reset wait for ended().
    void begun() { ++m_inFlight; }
    void ended();
    /// The device's configuration has changed: the driver is told.
    void noteConfigChange();
    /// The driver has done what it must not: the device stops until it is reset.
    void needsReset(unsigned queue, std::string reason);

    /// Has the loop serve the queue. Any thread.
    void kick(unsigned queue);
    /// Sends what interrupts were noted. Any thread, without any lock.
    void deliverInterrupts();

    /// The service lock, for whatever enters the device from outside of serve(). Loop thread: may be nested.
    class Service {
    public:
        explicit Service(VirtioDevice& device);
        ~Service();
        Service(Service const&) = delete;
        Service& operator=(Service const&) = delete;

    private:
        VirtioDevice& m_device;
        bool m_nested;
    };
    /// The same lock for other threads, not nested.
    std::unique_lock<std::mutex> lockService() const { return std::unique_lock(m_service); }

    // For the device's reset(), save() and load(). The machine's thread, nothing in flight.

    void resetTransport();
    TransportState transportState() const;
    Result<> checkTransport(PciState const& pci, TransportState const& saved) const;
    /// Takes over what checkTransport() accepted.
    void loadTransport(PciState const& pci, TransportState const& saved);

    void readBar(unsigned index, std::uint64_t offset, ByteSpan data) final;
    void writeBar(unsigned index, std::uint64_t offset, ConstByteSpan data) final;
    std::vector<Doorbell> doorbells(unsigned index) final;
    void configWritten(unsigned offset, unsigned size) final;
    void beforeConfigRead(unsigned offset, unsigned size) final;

private:
    void addVirtioCapability(std::uint8_t type, std::uint32_t offset, std::uint32_t length);
    void accessThroughConfig(bool write);
    void readCommon(std::uint64_t offset, ByteSpan data);
    void writeCommon(std::uint64_t offset, ConstByteSpan data);
    void writeQueueRegister(std::uint64_t offset, ConstByteSpan data);
    void setStatus(std::uint8_t value);
    void resetByDriver();
    void forgetDriver();
    std::uint16_t checkedVector(std::uint64_t value) const;
    Queue::Options queueOptions() const;
    template<typename Change>
    void whileQuiet(Change const& change);

    void serveNow(unsigned queue);
    void checkQueues();
    void publishAll();
    void beforeSleep();
    void sendEvents();

    EventLoop& m_loop;
    std::uint64_t const m_offered;
    std::uint16_t const m_configSize;
    unsigned m_pciConfigCapability = 0;

    // Under mutex().
    TransportState m_state; // without the queues; the negotiated features are valid from FEATURES_OK on
    bool m_changing = false;

    // Under the service lock.
    mutable std::mutex m_service;
    std::condition_variable m_idle;
    std::vector<Queue> m_queues; // their registers are written under both locks
    std::uint64_t m_features = 0;
    unsigned m_inFlight = 0;
    bool m_live = false, m_busMaster = false, m_paused = false, m_stopping = false;

    std::atomic<bool> m_dirty { false };       // something was given back and not published
    std::atomic<std::uint64_t> m_events { 0 }; // interrupts to send: one bit a queue, and two more
    unsigned m_nesting = 0;                    // of Service, on the loop's thread only

    std::vector<UniqueFd> m_doorbells;
    std::vector<EventLoop::Handle> m_watches;
    EventLoop::Handle m_beforeSleep;
};

}
