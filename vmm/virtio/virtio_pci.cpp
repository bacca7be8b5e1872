#include "vmm/virtio/virtio_pci.h"

#include "vmm/base/log.h"

#include <algorithm>
#include <cassert>
#include <sys/epoll.h>

namespace vmm::virtio {

namespace {

constexpr unsigned msixBar = 1, registerBar = 4;
constexpr std::uint32_t commonOffset = 0x0000, isrOffset = 0x1000, deviceOffset = 0x2000, notifyOffset = 0x3000,
                        regionSize = 0x1000, registersSize = 0x4000, notifyMultiplier = 4;

// 4.1.4 "Virtio Structure PCI Capabilities".
enum CapabilityType : std::uint8_t { CommonConfig = 1, NotifyConfig, IsrConfig, DeviceConfig, PciConfig };
constexpr std::uint8_t vendorCapability = 0x09;
constexpr unsigned capabilityBar = 4, capabilityOffset = 8, capabilityLength = 12, capabilityData = 16;

// 2.1 "Device Status Field".
enum Status : std::uint8_t { DriverOk = 4, FeaturesOk = 8, NeedsReset = 64, Failed = 128 };

// 4.1.4.5 "ISR status capability".
constexpr std::uint8_t isrQueue = 1, isrConfig = 2;

constexpr std::uint64_t configEvent = 1ull << 62, resetEvent = 1ull << 63;

// 4.1.4.3 "Common configuration structure layout".
enum CommonRegister : std::uint8_t {
    DeviceFeatureSelect = 0x00,
    DeviceFeature = 0x04,
    DriverFeatureSelect = 0x08,
    DriverFeature = 0x0c,
    ConfigVector = 0x10,
    QueueCount = 0x12,
    DeviceStatus = 0x14,
    ConfigGeneration = 0x15,
    QueueSelect = 0x16,
    QueueSize = 0x18,
    QueueVector = 0x1a,
    QueueEnable = 0x1c,
    QueueNotifyOffset = 0x1e,
    QueueDescriptors = 0x20,
    QueueDriver = 0x28,
    QueueDevice = 0x30,
    QueueNotifyData = 0x38,
    QueueReset = 0x3a,
    CommonEnd = 0x3c,
};

std::uint32_t half(std::uint64_t features, std::uint32_t select)
{
    return select < 2 ? static_cast<std::uint32_t>(features >> (32 * select)) : 0;
}

/// A write of the whole of a 64-bit register, or of one of its halves.
std::uint64_t merged(std::uint64_t old, std::uint64_t into, ConstByteSpan data)
{
    std::copy_n(data.begin(), std::min<std::size_t>(data.size(), 8 - into),
        writableBytesOf(old).begin() + static_cast<std::ptrdiff_t>(into));
    return old;
}

}

VirtioDevice::VirtioDevice(PciServices const& services, EventLoop& loop, Type type)
    : PciFunction(services,
        { .vendor = 0x1af4,
            .device = static_cast<std::uint16_t>(0x1040 + type.id), // 4.1.2.1
            .classCode = type.classCode,
            .revision = 1,
            .subsystemVendor = 0x1af4,
            .subsystem = 0x1100, // above 0x40, as 4.1.2.1 wants it from a device without the legacy interface
            .hasInterruptPin = true }),
      m_loop(loop),
      m_offered(type.features | featureVersion1 | featureIndirect | featureEventIndex | featureRingReset),
      m_configSize(type.configSize)
{
    assert(type.queueSizes.size() <= 32);
    addBar(registerBar, BarKind::Prefetchable64, registersSize);
    addMsix(msixBar, static_cast<unsigned>(type.queueSizes.size()) + 1);
    addVirtioCapability(CommonConfig, commonOffset, CommonEnd);
    addVirtioCapability(IsrConfig, isrOffset, 1);
    if (m_configSize != 0)
        addVirtioCapability(DeviceConfig, deviceOffset, m_configSize);
    addVirtioCapability(
        NotifyConfig, notifyOffset, static_cast<std::uint32_t>(type.queueSizes.size()) * notifyMultiplier);
    addVirtioCapability(PciConfig, 0, 0);

    for (auto const size : type.queueSizes)
        m_queues.emplace_back(services.ram, size);
    m_doorbells.resize(m_queues.size());
    for (auto& doorbell : m_doorbells) {
        // Without one the guest's write traps and is passed on by kick().
        if (auto made = makeEventFd())
            doorbell = std::move(*made);
    }
    m_loop.call([this] {
        for (unsigned i = 0; i < m_doorbells.size(); ++i) {
            auto const fd = m_doorbells[i].get();
            auto watch = fd < 0 ? nullptr : m_loop.watch(fd, EPOLLIN, [this, i, fd](std::uint32_t) {
                drainEventFd(fd);
                serveNow(i);
            });
            if (watch)
                m_watches.push_back(std::move(watch));
            else
                m_doorbells[i].reset();
        }
        m_beforeSleep = m_loop.beforeSleep([this] {
            beforeSleep();
            return false;
        });
    });
}

VirtioDevice::~VirtioDevice()
{
    detach();
}

void VirtioDevice::detach()
{
    m_loop.call([this] {
        m_watches.clear();
        m_beforeSleep.reset();
    });
}

void VirtioDevice::addVirtioCapability(std::uint8_t type, std::uint32_t offset, std::uint32_t length)
{
    // The body behind id and next: cap_len, cfg_type, bar, id, two bytes of padding, offset, length, and one more word.
    std::array<std::uint8_t, 18> body {}, writable {};
    bool const extended = type == NotifyConfig || type == PciConfig;
    auto const size = extended ? body.size() : body.size() - 4;
    body[0] = static_cast<std::uint8_t>(size + 2);
    body[1] = type;
    body[2] = type == PciConfig ? 0 : registerBar;
    storeLittle(ByteSpan(body).subspan(6, 4), offset);
    storeLittle(ByteSpan(body).subspan(10, 4), length);
    if (type == NotifyConfig)
        storeLittle(ByteSpan(body).subspan(14, 4), notifyMultiplier);
    if (type == PciConfig) {
        // 4.1.4.9: the driver says where and how much, and then reads or writes the data.
        writable[2] = 0xff;
        std::fill(writable.begin() + 6, writable.end(), 0xff);
    }
    auto const place
        = addCapability(vendorCapability, ConstByteSpan(body).first(size), ConstByteSpan(writable).first(size));
    if (type == PciConfig)
        m_pciConfigCapability = place;
}

// Configuration space

void VirtioDevice::accessThroughConfig(bool write)
{
    auto const capability = config().subspan(m_pciConfigCapability);
    auto const offset = loadLittle<std::uint32_t>(capability.subspan(capabilityOffset, 4));
    auto const length = loadLittle<std::uint32_t>(capability.subspan(capabilityLength, 4));
    bool const good = capability[capabilityBar] == registerBar && (length == 1 || length == 2 || length == 4)
        && offset % length == 0 && offset < registersSize;
    if (!good)
        return;
    if (write) {
        // A copy: what is written may be a reset, which lets others have the configuration space meanwhile.
        auto const value = loadLittle<std::uint32_t>(capability.subspan(capabilityData, 4));
        writeBar(registerBar, offset, bytesOf(value).first(length));
    } else {
        readBar(registerBar, offset, capability.subspan(capabilityData, length));
    }
}

void VirtioDevice::beforeConfigRead(unsigned offset, unsigned size)
{
    auto const data = m_pciConfigCapability + capabilityData;
    if (offset < data + 4 && offset + size > data)
        accessThroughConfig(false);
}

void VirtioDevice::configWritten(unsigned offset, unsigned size)
{
    auto const data = m_pciConfigCapability + capabilityData;
    if (offset < data + 4 && offset + size > data)
        accessThroughConfig(true);
    bool begins = false;
    {
        auto const service = lockService();
        begins = isBusMaster() && !m_busMaster;
        m_busMaster = isBusMaster();
    }
    for (unsigned i = 0; begins && i < m_queues.size(); ++i)
        kick(i);
}

// Registers

std::vector<Doorbell> VirtioDevice::doorbells(unsigned index)
{
    std::vector<Doorbell> all;
    for (unsigned i = 0; index == registerBar && i < m_doorbells.size(); ++i) {
        if (m_doorbells[i])
            all.push_back({ notifyOffset + i * notifyMultiplier, 0, {}, m_doorbells[i].get() });
    }
    return all;
}

void VirtioDevice::readBar(unsigned, std::uint64_t offset, ByteSpan data)
{
    std::fill(data.begin(), data.end(), 0);
    auto const region = alignDown<std::uint64_t>(offset, regionSize);
    auto const into = offset - region;
    if (region == commonOffset) {
        readCommon(into, data);
    } else if (region == isrOffset && into == 0) {
        data[0] = std::exchange(m_state.isr, 0);
        setInterrupt(false);
    } else if (region == deviceOffset && into < m_configSize) {
        auto const service = lockService();
        readDeviceConfig(into, data.first(std::min<std::size_t>(data.size(), m_configSize - into)));
    }
}

void VirtioDevice::writeBar(unsigned, std::uint64_t offset, ConstByteSpan data)
{
    if (m_changing)
        return;
    auto const region = alignDown<std::uint64_t>(offset, regionSize);
    auto const into = offset - region;
    if (region == commonOffset) {
        writeCommon(into, data);
    } else if (region == deviceOffset && into < m_configSize) {
        auto const service = lockService();
        writeDeviceConfig(into, data.first(std::min<std::size_t>(data.size(), m_configSize - into)));
    } else if (region == notifyOffset && into / notifyMultiplier < m_queues.size()) {
        kick(static_cast<unsigned>(into / notifyMultiplier));
    }
}

void VirtioDevice::writeDeviceConfig(std::uint64_t, ConstByteSpan) { }

void VirtioDevice::readCommon(std::uint64_t offset, ByteSpan data)
{
    std::array<std::uint8_t, CommonEnd> image {};
    auto const put = [&](unsigned at, auto value) { storeLittle(ByteSpan(image).subspan(at, sizeof value), value); };
    put(DeviceFeatureSelect, m_state.deviceFeatureSelect);
    put(DeviceFeature, half(m_offered, m_state.deviceFeatureSelect));
    put(DriverFeatureSelect, m_state.driverFeatureSelect);
    put(DriverFeature, half(m_state.driverFeatures, m_state.driverFeatureSelect));
    put(ConfigVector, m_state.configVector);
    put(QueueCount, static_cast<std::uint16_t>(m_queues.size()));
    put(DeviceStatus, m_state.status);
    put(ConfigGeneration, m_state.configGeneration);
    put(QueueSelect, m_state.queueSelect);
    // A queue that is not there has size 0.
    if (m_state.queueSelect < m_queues.size()) {
        auto const& state = m_queues[m_state.queueSelect].state();
        put(QueueSize, state.size);
        put(QueueVector, state.vector);
        put(QueueEnable, static_cast<std::uint16_t>(state.enabled));
        put(QueueNotifyOffset, m_state.queueSelect);
        put(QueueDescriptors, state.descriptors);
        put(QueueDriver, state.driver);
        put(QueueDevice, state.device);
        put(QueueNotifyData, m_state.queueSelect);
    }
    if (offset < image.size())
        std::copy_n(image.begin() + static_cast<std::ptrdiff_t>(offset),
            std::min<std::size_t>(data.size(), image.size() - offset), data.begin());
}

std::uint16_t VirtioDevice::checkedVector(std::uint64_t value) const
{
    return value <= m_queues.size() ? static_cast<std::uint16_t>(value) : noVector;
}

void VirtioDevice::writeCommon(std::uint64_t offset, ConstByteSpan data)
{
    auto const value = loadLittle<std::uint64_t>(data);
    switch (offset) {
    case DeviceFeatureSelect: m_state.deviceFeatureSelect = static_cast<std::uint32_t>(value); break;
    case DriverFeatureSelect: m_state.driverFeatureSelect = static_cast<std::uint32_t>(value); break;
    case DriverFeature:
        if ((m_state.status & FeaturesOk) == 0 && m_state.driverFeatureSelect < 2) {
            auto const shift = 32 * m_state.driverFeatureSelect;
            auto const keep = ~(std::uint64_t(0xffffffff) << shift);
            m_state.driverFeatures = (m_state.driverFeatures & keep) | (value & 0xffffffff) << shift;
        }
        break;
    case ConfigVector: m_state.configVector = checkedVector(value); break;
    case DeviceStatus: setStatus(static_cast<std::uint8_t>(value)); break;
    case QueueSelect: m_state.queueSelect = static_cast<std::uint16_t>(value); break;
    default:
        if (offset >= QueueSize && offset < CommonEnd && m_state.queueSelect < m_queues.size())
            writeQueueRegister(offset, data);
    }
}

Queue::Options VirtioDevice::queueOptions() const
{
    return { .indirect = negotiated(featureIndirect), .eventIndex = negotiated(featureEventIndex) };
}

void VirtioDevice::writeQueueRegister(std::uint64_t offset, ConstByteSpan data)
{
    auto const index = m_state.queueSelect;
    auto& ring = m_queues[index];
    auto const value = loadLittle<std::uint64_t>(data);

    if (offset == QueueReset) {
        if (value != 1 || !negotiated(featureRingReset) || !ring.state().enabled)
            return;
        // 2.6.1 "Virtqueue Reset".
        whileQuiet([&] {
            queueGone(index);
            ring.reset();
            m_events.fetch_and(~(1ull << index));
        });
        for (unsigned i = 0; i < m_queues.size(); ++i)
            kick(i);
        return;
    }

    auto const service = lockService();
    auto const& state = ring.state();
    if (offset == QueueVector)
        return ring.setVector(checkedVector(value));
    // The rest is fixed as soon as the queue is in use.
    if (state.enabled)
        return;
    switch (alignDown<std::uint64_t>(offset, offset >= QueueDescriptors && offset < QueueNotifyData ? 8 : 2)) {
    case QueueSize: ring.setSize(static_cast<std::uint16_t>(value)); break;
    case QueueDescriptors:
        ring.setAddresses(merged(state.descriptors, offset % 8, data), state.driver, state.device);
        break;
    case QueueDriver: ring.setAddresses(state.descriptors, merged(state.driver, offset % 8, data), state.device); break;
    case QueueDevice: ring.setAddresses(state.descriptors, state.driver, merged(state.device, offset % 8, data)); break;
    case QueueEnable:
        if (value == 1) {
            ring.enable(queueOptions());
            checkQueues();
            kick(index);
        }
        break;
    default: break;
    }
}

void VirtioDevice::setStatus(std::uint8_t value)
{
    if (value == 0)
        return resetByDriver();
    // Bits are only ever added by the driver; NEEDS_RESET is the device's own.
    auto const added = static_cast<std::uint8_t>(value & ~m_state.status & ~NeedsReset);
    if ((added & FeaturesOk) != 0) {
        // 3.1.1 step 5: the bit stays only when the device can work with the selection.
        if ((m_state.driverFeatures & ~m_offered) != 0 || (m_state.driverFeatures & featureVersion1) == 0) {
            trace("virtio", "features {:#x} refused", m_state.driverFeatures);
            m_state.status |= added & ~FeaturesOk & ~DriverOk;
            return;
        }
    }
    m_state.status |= added;
    {
        auto const service = lockService();
        if ((added & FeaturesOk) != 0)
            m_features = m_state.driverFeatures;
        if ((m_state.status & Failed) != 0)
            m_live = false;
        else if ((added & DriverOk) != 0 && (m_state.status & FeaturesOk) != 0) {
            m_live = true;
            driverReady();
            checkQueues();
        }
    }
    sendEvents();
    for (unsigned i = 0; (added & DriverOk) != 0 && i < m_queues.size(); ++i)
        kick(i);
}

/// Runs `change` with both locks while nothing is served and nothing is in flight.
template<typename Change>
void VirtioDevice::whileQuiet(Change const& change)
{
    auto service = lockService();
    if (m_inFlight != 0) {
        m_stopping = m_changing = true;
        mutex().unlock();
        m_idle.wait(service, [this] { return m_inFlight == 0; });
        service.unlock();
        mutex().lock();
        service.lock();
        m_stopping = m_changing = false;
    }
    publishAll();
    change();
}

void VirtioDevice::resetByDriver()
{
    whileQuiet([this] {
        driverGone();
        forgetDriver();
    });
}

/// Both locks held, or nobody else there.
void VirtioDevice::forgetDriver()
{
    for (auto& ring : m_queues)
        ring.reset();
    auto const generation = m_state.configGeneration;
    m_state = {};
    m_state.configGeneration = generation;
    m_features = 0;
    m_live = false;
    m_dirty = false;
    m_events = 0;
    setInterrupt(false);
}

// Service

VirtioDevice::Service::Service(VirtioDevice& device)
    : m_device(device), m_nested(device.m_loop.isLoopThread() && device.m_nesting != 0)
{
    if (!m_nested)
        m_device.m_service.lock();
    if (m_device.m_loop.isLoopThread())
        ++m_device.m_nesting;
}

VirtioDevice::Service::~Service()
{
    if (m_device.m_loop.isLoopThread())
        --m_device.m_nesting;
    if (!m_nested)
        m_device.m_service.unlock();
}

void VirtioDevice::kick(unsigned queue)
{
    if (m_doorbells[queue])
        signalEventFd(m_doorbells[queue].get());
    else
        m_loop.post([this, queue] { serveNow(queue); });
}

void VirtioDevice::serveNow(unsigned queue)
{
    Service const service(*this);
    if (!isServing() || !m_queues[queue].isReady())
        return;
    serve(queue);
    checkQueues();
}

void VirtioDevice::checkQueues()
{
    if (!m_live)
        return;
    for (unsigned i = 0; i < m_queues.size(); ++i) {
        if (!m_queues[i].brokenReason().empty())
            needsReset(i, m_queues[i].brokenReason());
    }
}

void VirtioDevice::needsReset(unsigned queue, std::string reason)
{
    log(LogLevel::Debug, "virtio", "device {:#x}, queue {}: {}", identity().device, queue, reason);
    m_queues[queue].markBroken(std::move(reason));
    m_live = false;
    m_events.fetch_or(resetEvent);
}

void VirtioDevice::give(unsigned queue, std::uint16_t head, std::uint32_t written)
{
    m_queues[queue].give(head, written);
    m_dirty.store(true, std::memory_order_relaxed);
}

void VirtioDevice::ended()
{
    if (--m_inFlight == 0)
        m_idle.notify_all();
}

void VirtioDevice::noteConfigChange()
{
    m_events.fetch_or(configEvent);
}

void VirtioDevice::publishAll()
{
    m_dirty.store(false, std::memory_order_relaxed);
    for (unsigned i = 0; i < m_queues.size(); ++i) {
        if (m_queues[i].publish())
            m_events.fetch_or(1ull << i);
    }
}

void VirtioDevice::beforeSleep()
{
    if (m_dirty.load(std::memory_order_relaxed)) {
        Service const service(*this);
        publishAll();
    }
    deliverInterrupts();
}

// Interrupts

void VirtioDevice::deliverInterrupts()
{
    if (m_events.load() == 0)
        return;
    std::lock_guard const lock(mutex());
    sendEvents();
}

/// With mutex() held.
void VirtioDevice::sendEvents()
{
    auto events = m_events.exchange(0);
    if (events == 0)
        return;
    if ((events & resetEvent) != 0) {
        m_state.status |= NeedsReset;
        // 2.1.2: the driver is only told once it has said that it is ready.
        events = (m_state.status & DriverOk) != 0 ? configEvent : 0;
    }
    if ((events & configEvent) != 0)
        ++m_state.configGeneration;
    auto const send = [this](std::uint16_t vector, std::uint8_t isr) {
        if (msixEnabled()) {
            if (vector != noVector)
                sendMsix(vector);
        } else {
            m_state.isr |= isr;
            setInterrupt(true);
        }
    };
    for (unsigned i = 0; i < m_queues.size(); ++i) {
        if ((events >> i & 1) != 0)
            send(m_queues[i].state().vector, isrQueue);
    }
    if ((events & configEvent) != 0 && (m_state.status & DriverOk) != 0)
        send(m_state.configVector, isrConfig);
}

// Life

void VirtioDevice::pause()
{
    {
        auto service = lockService();
        m_paused = true;
        // What is in flight ends on the loop's thread; a device whose loop this is has nothing in flight.
        m_idle.wait(service, [this] { return m_inFlight == 0; });
        paused();
        publishAll();
    }
    // Whatever there is to send: the loop's thread may be in the middle of what it has taken, and a state that is saved
    // before that has arrived would lack it.
    std::lock_guard const lock(mutex());
    sendEvents();
}

void VirtioDevice::resume()
{
    {
        auto const service = lockService();
        m_paused = false;
    }
    m_loop.post([this] {
        {
            Service const service(*this);
            resumed();
            checkQueues();
        }
        for (unsigned i = 0; i < m_queues.size(); ++i)
            serveNow(i);
    });
}

void VirtioDevice::resetTransport()
{
    auto const service = lockService();
    driverGone();
    forgetDriver();
    m_state = {};
    resetPci();
    m_busMaster = isBusMaster();
}

TransportState VirtioDevice::transportState() const
{
    auto state = m_state;
    for (auto const& ring : m_queues)
        state.queues.push_back(ring.state());
    return state;
}

Result<> VirtioDevice::checkTransport(PciState const& pci, TransportState const& saved) const
{
    TRY(checkPci(pci));
    if (saved.queues.size() != m_queues.size())
        return fail(ErrorCode::Corrupt,
            fmt::format("{} virtqueues, and this device has {}", saved.queues.size(), m_queues.size()));
    for (unsigned i = 0; i < m_queues.size(); ++i) {
        TRY_WITHIN(fmt::format("queue {}", i), m_queues[i].check(saved.queues[i]));
        if (checkedVector(saved.queues[i].vector) != saved.queues[i].vector)
            return fail(ErrorCode::Corrupt, fmt::format("queue {} has an interrupt vector beyond the table", i));
    }
    if (checkedVector(saved.configVector) != saved.configVector)
        return fail(ErrorCode::Corrupt, "the configuration's interrupt vector is beyond the table");
    bool const accepted = (saved.status & FeaturesOk) != 0;
    if (accepted && ((saved.driverFeatures & ~m_offered) != 0 || (saved.driverFeatures & featureVersion1) == 0))
        return fail(ErrorCode::Unsupported,
            fmt::format(
                "the driver uses features {:#x}, of {:#x} that this device offers", saved.driverFeatures, m_offered));
    return {};
}

void VirtioDevice::loadTransport(PciState const& pci, TransportState const& saved)
{
    auto const service = lockService();
    driverGone();
    m_state = saved;
    m_state.queues.clear();
    m_events = 0;
    m_dirty = false;
    m_features = (saved.status & FeaturesOk) != 0 ? saved.driverFeatures : 0;
    for (unsigned i = 0; i < m_queues.size(); ++i) {
        m_queues[i].reset();
        m_queues[i].load(saved.queues[i]);
        if (saved.queues[i].enabled)
            m_queues[i].enable(queueOptions());
    }
    m_live = (saved.status & (FeaturesOk | DriverOk | NeedsReset | Failed)) == (FeaturesOk | DriverOk);
    loadPci(pci);
    m_busMaster = isBusMaster();
}

}
