#pragma once

#include "vmm/block/image.h"
#include "vmm/block/io_engine.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <random>
#include <set>
#include <vector>

namespace tests {

/// Data that differ from sector to sector.
inline vmm::Bytes patternBytes(std::size_t size)
{
    vmm::Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::uint8_t>(i / 512 * 7 + i);
    return bytes;
}

/// A file in memory that fails when told to, and that forgets on a power cut what was not made durable: of the writes
/// since the last sync any subset survives, in sectors of 512 bytes.
class FakeDisk {
public:
    enum class Fault : std::uint8_t {
        None,
        Fail,       ///< the operation does nothing and reports `error`
        Torn,       ///< some sectors of it are written, and it reports `error`
        PowerCut,   ///< the power goes before it: nothing works any more
        Unreadable, ///< it strikes what reads, with EIO
    };

    vmm::Bytes content;           ///< as programs see it
    std::uint64_t operations = 0; ///< writes, syncs, resizes so far
    std::uint64_t reads = 0;      ///< so far
    Fault fault = Fault::None;
    std::uint64_t faultAt = ~0ULL; ///< the operation that it strikes, or the read
    bool faultStays = false;       ///< and all after it
    int error = ENOSPC;
    bool powered = true;
    bool canDeallocate = true;

    explicit FakeDisk(vmm::Bytes initial = {}) : content(std::move(initial)), m_durable(content) { }

    /// What is on the medium after the power came back; `seed` chooses which unsynced sectors made it.
    vmm::Bytes afterPowerCut(unsigned seed) const
    {
        auto result = m_durable;
        std::mt19937 random(seed);
        // Seed 0: none of it, seed 1: all of it, others: some.
        for (auto const& write : m_unsynced) {
            for (std::size_t at = 0; at < write.data.size(); at += 512) {
                bool const survives = seed == 1 || (seed > 1 && random() % 2 == 0);
                if (!survives)
                    continue;
                auto const count = std::min<std::size_t>(512, write.data.size() - at);
                if (result.size() < write.offset + at + count)
                    result.resize(write.offset + at + count);
                std::copy_n(write.data.begin() + static_cast<std::ptrdiff_t>(at), count,
                    result.begin() + static_cast<std::ptrdiff_t>(write.offset + at));
            }
        }
        return result;
    }

    /// Goes wrong so many steps from now on.
    void plan(Fault what, std::uint64_t steps, bool stays)
    {
        fault = what;
        faultAt = stepsOf(what) + steps;
        faultStays = stays;
    }
    bool hasStruck() const { return stepsOf(fault) > faultAt; }

    vmm::Result<> strikeAtReading()
    {
        auto const number = reads++;
        bool const strikes = number == faultAt || (number > faultAt && faultStays);
        return fault == Fault::Unreadable && strikes ? vmm::fail(vmm::osError("the fake disk cannot be read", EIO))
                                                     : vmm::Result<>();
    }

    vmm::Result<> write(std::uint64_t offset, vmm::ConstByteSpan data)
    {
        switch (strike()) {
        case Fault::None: put(offset, data); return {};
        case Fault::Torn: put(offset, data.first(vmm::alignDown<std::size_t>(data.size() / 2, 512))); break;
        default: break;
        }
        return vmm::fail(vmm::osError("the fake disk fails", powered ? error : EIO));
    }

    vmm::Result<> sync()
    {
        if (strike() != Fault::None)
            return vmm::fail(vmm::osError("the fake disk fails", powered ? error : EIO));
        m_durable = content;
        m_unsynced.clear();
        return {};
    }

    vmm::Result<> resize(std::uint64_t size)
    {
        if (strike() != Fault::None)
            return vmm::fail(vmm::osError("the fake disk fails", powered ? error : EIO));
        content.resize(size);
        m_durable.resize(size);
        return {};
    }

private:
    struct Write {
        std::uint64_t offset;
        vmm::Bytes data;
    };

    std::uint64_t stepsOf(Fault what) const { return what == Fault::Unreadable ? reads : operations; }

    Fault strike()
    {
        auto const number = operations++;
        if (!powered)
            return Fault::Fail;
        if (fault == Fault::None || fault == Fault::Unreadable || number < faultAt || (number > faultAt && !faultStays))
            return Fault::None;
        if (fault == Fault::PowerCut)
            powered = false;
        return fault;
    }

    void put(std::uint64_t offset, vmm::ConstByteSpan data)
    {
        if (data.empty())
            return;
        if (content.size() < offset + data.size())
            content.resize(offset + data.size());
        std::ranges::copy(data, content.begin() + static_cast<std::ptrdiff_t>(offset));
        m_unsynced.push_back({ offset, { data.begin(), data.end() } });
    }

    vmm::Bytes m_durable;
    std::vector<Write> m_unsynced;
};

/// A FakeDisk as the formats use it; the disk outlives the file, so that a test sees what is left.
class FakeBlockFile final : public vmm::BlockFile {
public:
    explicit FakeBlockFile(FakeDisk& disk, std::string name = "fake") : m_disk(disk), m_name(std::move(name)) { }

    std::string const& name() const override { return m_name; }
    vmm::Result<std::uint64_t> size() const override { return m_disk.content.size(); }
    vmm::Result<> read(std::uint64_t offset, vmm::ByteSpan data) override
    {
        TRY(m_disk.strikeAtReading());
        auto const& content = m_disk.content;
        auto const from = std::min<std::size_t>(offset, content.size());
        auto const count = std::min(data.size(), content.size() - from);
        std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(from), count, data.begin());
        std::ranges::fill(data.subspan(count), 0);
        return {};
    }
    vmm::Result<> write(std::uint64_t offset, vmm::ConstByteSpan data) override { return m_disk.write(offset, data); }
    vmm::Result<> sync() override { return m_disk.sync(); }
    vmm::Result<> resize(std::uint64_t size) override { return m_disk.resize(size); }
    vmm::Result<> deallocate(std::uint64_t offset, std::uint64_t length) override
    {
        if (!m_disk.canDeallocate)
            return vmm::fail(vmm::osError("the fake disk keeps its space", EOPNOTSUPP));
        if (offset >= m_disk.content.size())
            return {};
        return m_disk.write(offset, vmm::Bytes(std::min(length, m_disk.content.size() - offset)));
    }
    vmm::Result<> zero(std::uint64_t offset, std::uint64_t length) override { return deallocate(offset, length); }

private:
    FakeDisk& m_disk;
    std::string m_name;
};

/// What a new image has in it; nothing where it cannot be made.
inline vmm::Bytes emptyImage(vmm::NewImage const& what)
{
    FakeDisk disk;
    FakeBlockFile file(disk);
    return vmm::formatImage(file, what) ? disk.content : vmm::Bytes {};
}

/// Completes transfers in a random order.
class ShufflingEngine final : public vmm::InlineEngine {
public:
    explicit ShufflingEngine(unsigned seed) : m_random(seed) { }

protected:
    std::size_t pick(std::size_t waiting) override { return m_random() % waiting; }

private:
    std::mt19937 m_random;
};

}
