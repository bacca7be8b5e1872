#include "vmm/virtio/queue.h"

#include "vmm/base/log.h"

#include <algorithm>

namespace vmm::virtio {

namespace {

// 2.7.5 "The Virtqueue Descriptor Table", 2.7.6 "The Virtqueue Available Ring", 2.7.8 "The Virtqueue Used Ring".
enum DescriptorFlag : std::uint16_t { Next = 1, Write = 2, Indirect = 4 };
constexpr std::uint16_t noInterrupt = 1; // in the driver's ring
constexpr std::uint16_t noNotify = 1;    // in the device's ring
constexpr std::size_t ringHeader = 4, availableEntry = 2, usedEntry = 8, descriptorSize = 16;

// A driver must not chain more descriptors than the queue has; some do with indirect tables, and all hypervisors
// let them, up to this many.
constexpr unsigned maximumChain = 1024;

std::uint16_t load16(std::uint8_t* at)
{
    return std::atomic_ref(*reinterpret_cast<std::uint16_t*>(at)).load(std::memory_order_acquire);
}

void store16(std::uint8_t* at, std::uint16_t value)
{
    std::atomic_ref(*reinterpret_cast<std::uint16_t*>(at)).store(value, std::memory_order_release);
}

}

void Chain::clear()
{
    readable.clear();
    writable.clear();
    readableBytes = writableBytes = 0;
}

std::size_t Chain::read(std::uint64_t offset, ByteSpan data) const
{
    return copyFromPieces(readable, offset, data);
}

std::size_t Chain::write(std::uint64_t offset, ConstByteSpan data) const
{
    return copyToPieces(writable, offset, data);
}

struct Queue::Descriptor {
    std::uint64_t address;
    std::uint32_t length;
    std::uint16_t flags, next;

    /// One copy, and the barrier keeps the compiler from looking a second time.
    static Descriptor copyOf(std::uint8_t const* at)
    {
        Descriptor descriptor;
        static_assert(sizeof descriptor == descriptorSize);
        std::memcpy(&descriptor, at, sizeof descriptor);
        std::atomic_signal_fence(std::memory_order_seq_cst);
        asm volatile("" : "+m"(descriptor) : : "memory");
        return descriptor;
    }
};

Queue::Queue(GuestMemory const& ram, std::uint16_t maximumSize) : m_ram(ram), m_maximumSize(maximumSize)
{
    reset();
}

void Queue::reset()
{
    m_state = {};
    m_state.size = m_maximumSize;
    m_options = {};
    unmap();
    m_broken.clear();
}

void Queue::unmap()
{
    m_descriptors = m_driver = m_device = nullptr;
    m_knownAvailable = 0;
    m_unpublished = m_outstanding = 0;
}

void Queue::setSize(std::uint16_t size)
{
    // 4.1.4.3.2: the driver writes a power of two, not above what it read.
    if (size != 0 && size <= m_maximumSize && (size & (size - 1)) == 0)
        m_state.size = size;
    else
        trace("virtio", "queue size {} refused", size);
}

void Queue::setAddresses(GuestAddress descriptors, GuestAddress driver, GuestAddress device)
{
    m_state.descriptors = descriptors;
    m_state.driver = driver;
    m_state.device = device;
}

void Queue::enable(Options options)
{
    unmap();
    m_broken.clear();
    m_options = options;
    m_state.enabled = true;
    if (m_state.size == 0)
        return markBroken("the queue has no entries");
    auto const size = std::size_t(m_state.size);
    // 2.7 "Split Virtqueues": alignments 16, 2 and 4. Behind each ring is one more index, for VIRTIO_F_EVENT_IDX.
    auto const eventBytes = options.eventIndex ? 2u : 0u;
    m_driver = m_ram.at(m_state.driver, ringHeader + size * availableEntry + eventBytes);
    m_device = m_ram.at(m_state.device, ringHeader + size * usedEntry + eventBytes);
    m_descriptors = m_ram.at(m_state.descriptors, size * descriptorSize);
    bool const aligned = m_state.descriptors % 16 == 0 && m_state.driver % 2 == 0 && m_state.device % 4 == 0;
    if (!m_driver || !m_device || !m_descriptors || !aligned) {
        unmap();
        return markBroken("the rings are not in memory, or not aligned");
    }
    m_knownAvailable = m_state.nextAvailable;
    m_outstanding = static_cast<unsigned>(m_state.held.size());
}

Result<> Queue::check(QueueState const& saved) const
{
    bool const good = saved.size != 0 && saved.size <= m_maximumSize && (saved.size & (saved.size - 1)) == 0
        && saved.held.size() <= saved.size && (saved.enabled || saved.held.empty())
        && std::all_of(saved.held.begin(), saved.held.end(), [&](std::uint16_t head) { return head < saved.size; });
    if (!good)
        return fail(ErrorCode::Corrupt, "the state of a virtqueue contradicts itself");
    return {};
}

void Queue::markBroken(std::string reason)
{
    trace("virtio", "queue broken: {}", reason);
    if (m_broken.empty())
        m_broken = std::move(reason);
}

std::uint16_t Queue::availableIndex() const
{
    return load16(m_driver + 2);
}

bool Queue::hasAvailable()
{
    if (!isReady())
        return false;
    if (m_knownAvailable == m_state.nextAvailable)
        m_knownAvailable = availableIndex();
    return m_knownAvailable != m_state.nextAvailable;
}

Queue::Taken Queue::take(Chain& chain)
{
    if (!isReady())
        return Taken::Broken;
    if (!hasAvailable())
        return Taken::Empty;
    if (static_cast<std::uint16_t>(m_knownAvailable - m_state.nextAvailable) > m_state.size) {
        markBroken("the driver's index is ahead by more than the queue has entries");
        return Taken::Broken;
    }
    if (m_outstanding >= m_state.size) {
        markBroken("more chains are available than there are descriptors");
        return Taken::Broken;
    }
    auto const slot = m_state.nextAvailable % m_state.size;
    if (!read(load16(m_driver + ringHeader + slot * availableEntry), chain))
        return Taken::Broken;
    ++m_state.nextAvailable;
    ++m_outstanding;
    return Taken::Chain;
}

void Queue::untake(Chain const&)
{
    --m_state.nextAvailable;
    --m_outstanding;
}

bool Queue::read(std::uint16_t head, Chain& chain)
{
    chain.clear();
    chain.head = head;
    return isReady() && walk(head, chain);
}

bool Queue::walk(std::uint16_t head, Chain& chain)
{
    unsigned count = 0;
    for (auto index = head;;) {
        if (index >= m_state.size) {
            markBroken("a descriptor's index is beyond the table");
            return false;
        }
        if (count++ >= m_state.size) {
            markBroken("a chain has a loop");
            return false;
        }
        auto const descriptor = Descriptor::copyOf(m_descriptors + index * descriptorSize);
        if ((descriptor.flags & Indirect) != 0) {
            // 2.7.5.3.1: an indirect table ends the chain, and is only used when that was negotiated.
            if (!m_options.indirect || (descriptor.flags & Next) != 0) {
                markBroken("an indirect table where none may be");
                return false;
            }
            return walkIndirect(descriptor, chain, count);
        }
        if (!append(descriptor, chain))
            return false;
        if ((descriptor.flags & Next) == 0)
            return true;
        index = descriptor.next;
    }
}

bool Queue::walkIndirect(Descriptor const& table, Chain& chain, unsigned& count)
{
    auto const entries = table.length / descriptorSize;
    if (entries == 0 || table.length % descriptorSize != 0 || entries > maximumChain) {
        markBroken("an indirect table of an impossible length");
        return false;
    }
    auto const* const memory = m_ram.at(table.address, table.length);
    if (!memory) {
        markBroken("an indirect table outside memory");
        return false;
    }
    for (std::uint32_t index = 0;;) {
        if (index >= entries) {
            markBroken("a descriptor's index is beyond its indirect table");
            return false;
        }
        if (count++ > maximumChain) {
            markBroken("an indirect chain has a loop");
            return false;
        }
        auto const descriptor = Descriptor::copyOf(memory + index * descriptorSize);
        if ((descriptor.flags & Indirect) != 0) {
            markBroken("an indirect table inside another");
            return false;
        }
        if (!append(descriptor, chain))
            return false;
        if ((descriptor.flags & Next) == 0)
            return true;
        index = descriptor.next;
    }
}

bool Queue::append(Descriptor const& descriptor, Chain& chain)
{
    bool const writable = (descriptor.flags & Write) != 0;
    if (!writable && !chain.writable.empty()) {
        markBroken("a part for the device to read behind one for it to write");
        return false;
    }
    auto& parts = writable ? chain.writable : chain.readable;
    (writable ? chain.writableBytes : chain.readableBytes) += descriptor.length;
    auto address = descriptor.address;
    std::uint64_t left = descriptor.length;
    while (left != 0) {
        auto length = left;
        auto* memory = m_ram.at(address, length);
        if (!memory) {
            // Adjoining ranges of RAM need not adjoin on the host.
            for (auto const& range : m_ram.ranges()) {
                if (address >= range.address && address - range.address < range.size)
                    length = std::min(left, range.size - (address - range.address));
            }
            memory = m_ram.at(address, length);
        }
        if (!memory) {
            markBroken(fmt::format("{} bytes at {:#x} are not memory", left, address));
            return false;
        }
        parts.push_back({ memory, length });
        left -= length;
        address += length;
    }
    return true;
}

void Queue::suppressKicks()
{
    // With event indices nothing is to be done: the driver rings only when it passes the index that was asked for.
    if (isReady() && !m_options.eventIndex)
        store16(m_device, noNotify);
}

bool Queue::allowKicks()
{
    if (!isReady())
        return false;
    if (m_options.eventIndex)
        store16(m_device + ringHeader + std::size_t(m_state.size) * usedEntry, m_state.nextAvailable);
    else
        store16(m_device, 0);
    // The driver writes its index and then looks whether to ring; we do it the other way round.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return hasAvailable();
}

void Queue::give(std::uint16_t head, std::uint32_t written)
{
    if (m_outstanding != 0)
        --m_outstanding;
    if (!isReady())
        return;
    auto const slot = static_cast<std::uint16_t>(m_state.nextUsed + m_unpublished) % m_state.size;
    auto* const entry = m_device + ringHeader + slot * usedEntry;
    storeLittle(ByteSpan(entry, 4), std::uint32_t(head));
    storeLittle(ByteSpan(entry + 4, 4), written);
    ++m_unpublished;
}

bool Queue::publish()
{
    if (m_unpublished == 0 || !isReady()) {
        m_unpublished = 0;
        return false;
    }
    auto const before = m_state.nextUsed;
    auto const after = static_cast<std::uint16_t>(before + m_unpublished);
    m_state.nextUsed = after;
    m_unpublished = 0;
    store16(m_device + 2, after);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!m_options.eventIndex)
        return (load16(m_driver) & noInterrupt) == 0;
    // 2.7.7.2: an interrupt when the index passes the one that the driver asked for.
    auto const wanted = load16(m_driver + ringHeader + std::size_t(m_state.size) * availableEntry);
    return static_cast<std::uint16_t>(after - wanted - 1) < static_cast<std::uint16_t>(after - before);
}

}
