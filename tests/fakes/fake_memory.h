#pragma once

#include "vmm/base/bytes.h"
#include "vmm/timeline/memory_tree.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace tests {

/// A machine's memory, as plain bytes.
class FakeMemory final : public vmm::timeline::FrozenMemory {
public:
    explicit FakeMemory(std::vector<std::uint64_t> const& sizes)
    {
        for (auto const size : sizes) {
            m_blocks.push_back({ "block" + std::to_string(m_blocks.size()), size });
            data.emplace_back(size);
        }
    }
    std::vector<Block> const& blocks() const override { return m_blocks; }
    vmm::Result<std::uint64_t> nextUsed(std::size_t block, std::uint64_t offset) override
    {
        auto const& bytes = data[block];
        auto const found = std::find_if(
            bytes.begin() + static_cast<std::ptrdiff_t>(offset), bytes.end(), [](auto byte) { return byte != 0; });
        return found == bytes.end()
            ? bytes.size()
            : vmm::alignDown<std::uint64_t>(static_cast<std::uint64_t>(found - bytes.begin()), 4096);
    }
    vmm::Result<> read(std::size_t block, std::uint64_t offset, vmm::ByteSpan to) override
    {
        if (reads.size() >= readable)
            return vmm::fail(vmm::ErrorCode::OutOfMemory, "who held the memory has gone");
        std::copy_n(data[block].begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
        reads.emplace_back(block, offset);
        return {};
    }
    vmm::timeline::MemoryTree const* origin() const override { return from.get(); }
    vmm::Result<std::uint64_t> away(std::size_t block, std::uint64_t offset) override
    {
        std::uint64_t bits = 0;
        for (std::uint64_t i = 0; i < vmm::timeline::pagesPerLeaf; ++i)
            bits |= std::uint64_t(missing.contains({ block, offset + i * 4096 })) << i;
        return bits;
    }
    void letGo(std::size_t block, std::uint64_t offset, std::uint64_t size) override
    {
        for (auto page = offset; page < offset + size; page += 4096)
            lettingGo.emplace(block, page);
    }

    /// Fills a page with numbers that follow from `value`; 0: zeros.
    void fill(std::size_t block, std::uint64_t page, std::uint32_t value)
    {
        auto const bytes = vmm::ByteSpan(data[block]).subspan(page * 4096, 4096);
        std::ranges::fill(bytes, static_cast<std::uint8_t>(value));
        std::mt19937 random(value);
        for (std::size_t at = 0; value != 0 && at < 2048; at += 4)
            vmm::storeLittle(bytes.subspan(at, 4), static_cast<std::uint32_t>(random()));
    }
    void scribble(std::mt19937& random, unsigned pages)
    {
        for (unsigned i = 0; i < pages; ++i) {
            auto const block = random() % data.size();
            fill(block, random() % (data[block].size() / 4096), random() % 50);
        }
    }

    /// A page comes to nobody who asks for it here, for it is still in `from`.
    void setMissing(std::size_t block, std::uint64_t page)
    {
        missing.emplace(block, page * 4096);
        std::fill_n(data[block].begin() + static_cast<std::ptrdiff_t>(page * 4096), 4096, std::uint8_t(0xee));
    }

    std::shared_ptr<vmm::timeline::MemoryTree const> from;
    std::set<std::pair<std::size_t, std::uint64_t>> missing; // block and offset
    std::vector<vmm::Bytes> data;
    std::vector<std::pair<std::size_t, std::uint64_t>> reads;       // block and offset
    std::size_t readable = std::numeric_limits<std::size_t>::max(); // so many reads end well
    std::multiset<std::pair<std::size_t, std::uint64_t>> lettingGo; // of each page

private:
    std::vector<Block> m_blocks;
};

}
