#pragma once

#include "tests/fakes/fake_board.h"
#include "vmm/virtio/virtio_pci.h"

#include <chrono>
#include <stdexcept>

/// A driver for virtio devices as a guest has one: it knows the device by its PCI registers alone, and its rings are in
/// guest memory.
namespace tests {

class VirtioDriver {
public:
    static constexpr std::uint64_t msixPlace = 0xfd000000, registerPlace = 0xfe000000;
    static constexpr std::uint64_t version1 = 1ull << 32, indirect = 1ull << 28, eventIndex = 1ull << 29,
                                   ringReset = 1ull << 40;

    struct Ring {
        std::uint16_t size = 0;
        std::uint64_t descriptors = 0, driver = 0, device = 0;
        std::uint16_t nextDescriptor = 0, available = 0, seen = 0;
    };
    struct Part {
        std::uint64_t address;
        std::uint32_t length;
        bool writable;
    };
    struct Used {
        std::uint32_t head, length;
    };

    VirtioDriver(FakeBoard& board, vmm::virtio::VirtioDevice& device) : m_board(board), m_device(device)
    {
        config(0x14, std::uint32_t(msixPlace));
        config(0x20, std::uint32_t(registerPlace));
        config(0x24, std::uint32_t(0));
        config(0x04, std::uint16_t(0x6)); // memory, bus master
        for (unsigned at = configRead<std::uint8_t>(0x34); at != 0; at = configRead<std::uint8_t>(at + 1)) {
            if (configRead<std::uint8_t>(at) == 0x11)
                m_msix = at;
            if (configRead<std::uint8_t>(at) == 0x09)
                m_capabilities[configRead<std::uint8_t>(at + 3)] = at;
        }
        m_common = registerPlace + configRead<std::uint32_t>(m_capabilities.at(1) + 8);
        m_notify = registerPlace + configRead<std::uint32_t>(m_capabilities.at(2) + 8);
        m_isr = registerPlace + configRead<std::uint32_t>(m_capabilities.at(3) + 8);
        if (m_capabilities.contains(4))
            m_deviceConfig = registerPlace + configRead<std::uint32_t>(m_capabilities.at(4) + 8);
    }

    // Registers

    template<typename T>
    void config(unsigned offset, T value)
    {
        std::lock_guard const lock(m_device.mutex());
        m_device.writeConfig(offset, vmm::bytesOf(value));
    }
    template<typename T>
    T configRead(unsigned offset)
    {
        T value {};
        std::lock_guard const lock(m_device.mutex());
        m_device.readConfig(offset, vmm::writableBytesOf(value));
        return value;
    }
    template<typename T>
    T common(unsigned offset)
    {
        return read<T>(m_common + offset);
    }
    template<typename T>
    void setCommon(unsigned offset, T value)
    {
        write(m_common + offset, value);
    }
    template<typename T>
    T deviceConfig(unsigned offset)
    {
        return read<T>(m_deviceConfig + offset);
    }
    template<typename T>
    void setDeviceConfig(unsigned offset, T value)
    {
        write(m_deviceConfig + offset, value);
    }
    std::uint8_t isr() { return read<std::uint8_t>(m_isr); }
    std::uint8_t status() { return common<std::uint8_t>(0x14); }
    void setStatus(std::uint8_t value) { setCommon(0x14, value); }
    unsigned capability(std::uint8_t type) const { return m_capabilities.at(type); }
    std::uint64_t notifyAddress(unsigned queue) const { return m_notify + 4 * queue; }

    // Set-up

    std::uint64_t deviceFeatures()
    {
        setCommon(0x00, std::uint32_t(0));
        std::uint64_t const low = common<std::uint32_t>(0x04);
        setCommon(0x00, std::uint32_t(1));
        return low | std::uint64_t(common<std::uint32_t>(0x04)) << 32;
    }
    bool negotiate(std::uint64_t features)
    {
        setStatus(0);
        setStatus(1);
        setStatus(3);
        m_features = features;
        setCommon(0x08, std::uint32_t(0));
        setCommon(0x0c, std::uint32_t(features));
        setCommon(0x08, std::uint32_t(1));
        setCommon(0x0c, std::uint32_t(features >> 32));
        setStatus(0xb);
        return (status() & 8) != 0;
    }
    void setUpQueue(unsigned index, std::uint16_t size)
    {
        Ring ring;
        ring.size = size;
        ring.descriptors = allocate(16u * size, 16);
        ring.driver = allocate(6u + 2u * size, 2);
        ring.device = allocate(6u + 8u * size, 4);
        setUpQueue(index, ring);
    }
    void setUpQueue(unsigned index, Ring const& ring)
    {
        m_rings[index] = ring;
        setCommon(0x16, std::uint16_t(index));
        setCommon(0x18, ring.size);
        setCommon(0x1a, std::uint16_t(index + 1));
        setCommon(0x20, ring.descriptors);
        setCommon(0x28, std::uint32_t(ring.driver));
        setCommon(0x2c, std::uint32_t(ring.driver >> 32));
        setCommon(0x30, ring.device);
        setCommon(0x1c, std::uint16_t(1));
    }
    void start() { setStatus(0xf); }
    /// All of it with the features and queue sizes given.
    bool start(std::uint64_t features, std::initializer_list<std::uint16_t> sizes)
    {
        if (!negotiate(features | version1))
            return false;
        unsigned index = 0;
        for (auto const size : sizes)
            setUpQueue(index++, size);
        start();
        return true;
    }
    void enableMsix()
    {
        unsigned const vectors = (configRead<std::uint16_t>(m_msix + 2) & 0x7ff) + 1;
        for (unsigned i = 0; i < vectors; ++i) {
            write(msixPlace + 16 * i, std::uint32_t(0xfee00000));
            write(msixPlace + 16 * i + 4, std::uint32_t(0));
            write(msixPlace + 16 * i + 8, std::uint32_t(0x40 + i));
            write(msixPlace + 16 * i + 12, std::uint32_t(0));
        }
        config(m_msix + 2, std::uint16_t(0x8000));
    }

    // Requests

    std::uint64_t allocate(std::uint64_t size, std::uint64_t alignment = 16)
    {
        m_top = vmm::alignUp(m_top, alignment);
        auto const place = m_top;
        m_top += size;
        if (m_top > m_board.ramBlock->size())
            throw std::runtime_error("the test's memory is too small");
        return place;
    }
    std::uint64_t put(vmm::ConstByteSpan data)
    {
        auto const place = allocate(data.size());
        std::copy(data.begin(), data.end(), m_board.ramBlock->data() + place);
        return place;
    }
    vmm::ByteSpan memory(std::uint64_t address, std::size_t size)
    {
        return m_board.ramBlock->bytes().subspan(address, size);
    }

    void setDescriptor(std::uint64_t table, unsigned index, std::uint64_t address, std::uint32_t length,
        std::uint16_t flags, std::uint16_t next)
    {
        auto const at = memory(table + 16 * index, 16);
        vmm::storeLittle(at.subspan(0, 8), address);
        vmm::storeLittle(at.subspan(8, 4), length);
        vmm::storeLittle(at.subspan(12, 2), flags);
        vmm::storeLittle(at.subspan(14, 2), next);
    }
    /// Writes the chain into the descriptor table and makes it available, without ringing.
    std::uint16_t add(unsigned index, std::vector<Part> const& parts)
    {
        auto& ring = m_rings.at(index);
        auto const head = ring.nextDescriptor;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            auto const place = ring.nextDescriptor;
            ring.nextDescriptor = static_cast<std::uint16_t>((ring.nextDescriptor + 1) % ring.size);
            bool const last = i + 1 == parts.size();
            setDescriptor(ring.descriptors, place, parts[i].address, parts[i].length,
                static_cast<std::uint16_t>((last ? 0 : 1) | (parts[i].writable ? 2 : 0)), ring.nextDescriptor);
        }
        makeAvailable(index, head);
        return head;
    }
    void makeAvailable(unsigned index, std::uint16_t head)
    {
        auto& ring = m_rings.at(index);
        vmm::storeLittle(memory(ring.driver + 4 + 2 * (ring.available % ring.size), 2), head);
        ++ring.available;
        std::ignore = m_board.ram.store(ring.driver + 2, ring.available);
    }
    /// Rings as a guest without ioeventfd support underneath would: a register write.
    void ring(unsigned index) { write(notifyAddress(index), std::uint16_t(index)); }
    std::uint16_t usedIndex(unsigned index)
    {
        return m_board.ram.load<std::uint16_t>(m_rings.at(index).device + 2).value();
    }
    /// What the device has given back and nobody has taken yet.
    std::optional<Used> takeUsed(unsigned index)
    {
        auto& ring = m_rings.at(index);
        if (ring.seen == usedIndex(index))
            return std::nullopt;
        auto const at = memory(ring.device + 4 + 8 * (ring.seen % ring.size), 8);
        ++ring.seen;
        return Used { vmm::loadLittle<std::uint32_t>(at.first(4)), vmm::loadLittle<std::uint32_t>(at.subspan(4)) };
    }
    /// The same, and waits up to ten seconds for it.
    std::optional<Used> waitUsed(unsigned index)
    {
        auto const end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (std::chrono::steady_clock::now() < end) {
            settle();
            if (auto const used = takeUsed(index))
                return used;
            std::this_thread::yield();
        }
        return std::nullopt;
    }
    std::optional<Used> request(unsigned index, std::vector<Part> const& parts)
    {
        add(index, parts);
        ring(index);
        return waitUsed(index);
    }
    /// Returns when the device's thread has done what it was told: served what was rung, published, interrupted.
    void settle()
    {
        for (int i = 0; i < 4; ++i)
            m_device.loop().call([] {});
    }
    Ring& ringState(unsigned index) { return m_rings.at(index); }

    template<typename T>
    T read(std::uint64_t address)
    {
        T value {};
        m_board.memory.read(address, vmm::writableBytesOf(value));
        return value;
    }
    template<typename T>
    void write(std::uint64_t address, T value)
    {
        m_board.memory.write(address, vmm::bytesOf(value));
    }

private:
    FakeBoard& m_board;
    vmm::virtio::VirtioDevice& m_device;
    std::map<std::uint8_t, unsigned> m_capabilities;
    std::map<unsigned, Ring> m_rings;
    unsigned m_msix = 0;
    std::uint64_t m_common = 0, m_notify = 0, m_isr = 0, m_deviceConfig = 0, m_features = 0;
    std::uint64_t m_top = 0x1000;
};

inline std::unique_ptr<vmm::LoopThread> startLoop()
{
    return std::move(*vmm::LoopThread::start("test-loop"));
}

}
