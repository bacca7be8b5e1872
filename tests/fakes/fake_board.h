#pragma once

#include "vmm/bus/guest_time.h"
#include "vmm/bus/pci.h"

#include <map>

/// The surroundings of a chip for unit tests: wires that remember, a clock that a test moves, memory without KVM.
namespace tests {

class FakeIrq final : public vmm::IrqLine {
public:
    void set(bool newLevel) override
    {
        rises += newLevel && !level;
        level = newLevel;
    }
    bool level = false;
    int rises = 0;
};

class FakeTime final : public vmm::GuestTime {
public:
    vmm::Nanoseconds now() const override { return m_now; }
    vmm::Nanoseconds timeOfDay() const override { return wallClockAtStart + m_now; }
    std::unique_ptr<vmm::Timer> makeTimer(std::mutex& mutex, std::function<void()> due) override
    {
        return std::make_unique<FakeTimer>(*this, mutex, std::move(due));
    }
    /// Time passes; what comes due is called in order.
    void advance(vmm::Nanoseconds by)
    {
        auto const end = m_now + by;
        while (!m_armed.empty() && m_armed.begin()->first <= end) {
            auto* const timer = m_armed.begin()->second;
            m_now = std::max(m_now, m_armed.begin()->first);
            timer->cancel();
            std::lock_guard const lock(timer->mutex);
            timer->due();
        }
        m_now = end;
    }
    std::size_t armedTimers() const { return m_armed.size(); }
    vmm::Nanoseconds wallClockAtStart = std::chrono::seconds(1'700'000'000);

private:
    struct FakeTimer final : vmm::Timer {
        FakeTimer(FakeTime& owner, std::mutex& lock, std::function<void()> callback)
            : time(owner), mutex(lock), due(std::move(callback))
        {
        }
        ~FakeTimer() override { cancel(); }
        void arm(vmm::Nanoseconds deadline) override
        {
            cancel();
            time.m_armed.emplace(deadline, this);
        }
        void cancel() override
        {
            std::erase_if(time.m_armed, [this](auto const& entry) { return entry.second == this; });
        }
        FakeTime& time;
        std::mutex& mutex;
        std::function<void()> due;
    };
    vmm::Nanoseconds m_now { 0 };
    std::multimap<vmm::Nanoseconds, FakeTimer*> m_armed;
};

class FakeMapper final : public vmm::MemoryMapper {
public:
    struct Mapping {
        vmm::GuestAddress address;
        vmm::MemoryBlock* block;
        std::uint64_t offset, size;
        Access access;
        std::vector<std::uint64_t> dirty;
    };
    vmm::Result<Slot> map(vmm::GuestAddress address, vmm::MemoryBlock& block, std::uint64_t offset, std::uint64_t size,
        Access access, DirtyLog) override
    {
        Slot slot = 0; // the lowest that is free, as KVM's are given
        while (mappings.contains(slot))
            ++slot;
        mappings[slot] = { address, &block, offset, size, access, std::vector<std::uint64_t>(size / 4096 / 64 + 1) };
        return slot;
    }
    void unmap(Slot slot) override { mappings.erase(slot); }
    vmm::Result<> takeDirtyLog(Slot slot, std::vector<std::uint64_t>& bitmap) override
    {
        auto& dirty = mappings.at(slot).dirty;
        bitmap = dirty;
        dirty.assign(dirty.size(), 0);
        return {};
    }
    std::map<Slot, Mapping> mappings;
};

class FakeMsi final : public vmm::MsiSender {
public:
    void send(vmm::MsiMessage const& message) override { sent.push_back(message); }
    std::vector<vmm::MsiMessage> sent;
};

class FakeDoorbells final : public vmm::DoorbellRegistry {
public:
    vmm::Result<> add(Space space, std::uint64_t address, vmm::Doorbell const& doorbell) override
    {
        doorbells.emplace(std::pair(space, address), doorbell);
        return {};
    }
    void remove(Space space, std::uint64_t address, vmm::Doorbell const& doorbell) override
    {
        std::erase_if(doorbells, [&](auto const& entry) {
            return entry.first == std::pair(space, address) && entry.second.eventFd == doorbell.eventFd;
        });
    }
    std::multimap<std::pair<Space, std::uint64_t>, vmm::Doorbell> doorbells;
};

/// All of it together, with `ramSize` bytes of RAM at address 0.
struct FakeBoard {
    explicit FakeBoard(std::uint64_t ramSize = 1 << 20) : ramBlock(std::move(*vmm::MemoryBlock::create("ram", ramSize)))
    {
        ram.add({ 0, ramSize, ramBlock.get(), 0 });
    }
    vmm::Bus ports, memory;
    FakeMapper mapper;
    FakeDoorbells doorbells;
    FakeMsi msi;
    FakeTime time;
    std::unique_ptr<vmm::MemoryBlock> ramBlock;
    vmm::GuestMemory ram;
    vmm::PciServices pci { ports, memory, mapper, doorbells, msi, ram };
};

}
