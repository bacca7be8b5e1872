#include "vmm/memory/change_sampler.h"

#include "vmm/memory/pagemap.h"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <random>
#include <unistd.h>
#include <utility>
#include <xxhash.h>

namespace vmm {

namespace {

constexpr std::chrono::minutes tooLong(1); // by then most that changes at all has changed
constexpr std::uint64_t pageSize = AnonymousMemory::pageSize;
constexpr std::uint64_t ofNoPage = 0;

}

std::optional<double> ChangeSampler::look(std::vector<MemoryBlock*> const& blocks, std::chrono::nanoseconds now)
{
    if (!std::ranges::all_of(blocks, &MemoryBlock::isComplete) || !open()) {
        m_samples.clear();
        return std::nullopt;
    }
    auto const since = std::chrono::duration<double>(now - m_last);
    bool const isFirst = m_samples.empty() || since > tooLong || since.count() <= 0;
    if (m_samples.empty())
        choose(blocks);
    std::size_t changed = 0;
    for (auto& sample : m_samples)
        changed += std::exchange(sample.hash, hashOf(sample)) != sample.hash ? 1 : 0;
    m_last = now;
    if (isFirst || m_samples.empty())
        return std::nullopt;
    auto const share = static_cast<double>(changed) / static_cast<double>(m_samples.size());
    return share * static_cast<double>(m_bytes) / since.count();
}

Result<> ChangeSampler::open()
{
    if (!m_pagemap)
        m_pagemap = TRY(openFile("/proc/self/pagemap", O_RDONLY));
    if (!m_contents)
        m_contents = TRY(openFile("/proc/self/mem", O_RDONLY));
    return {};
}

/// One of each of so many equal parts, so that a small memory is looked at as a whole.
void ChangeSampler::choose(std::vector<MemoryBlock*> const& blocks)
{
    m_bytes = 0;
    for (auto const* block : blocks)
        m_bytes += block->size();
    auto const pages = m_bytes / pageSize;
    auto const count = std::min<std::uint64_t>(samples, pages);
    std::minstd_rand random(static_cast<std::uint32_t>(m_bytes));
    auto block = blocks.begin();
    std::uint64_t before = 0; // pages, in the blocks that lie behind us
    for (std::uint64_t i = 0; i < count; ++i) {
        auto const first = i * pages / count, end = (i + 1) * pages / count;
        auto const page = first + random() % (end - first);
        for (; page - before >= (*block)->size() / pageSize; ++block)
            before += (*block)->size() / pageSize;
        m_samples.push_back({ (*block)->data() + (page - before) * pageSize, ofNoPage });
    }
}

/// By read(), which asks nobody for a page that is lost, nor minds that the guest writes meanwhile.
std::uint64_t ChangeSampler::hashOf(Sample const& sample) const
{
    auto const address = reinterpret_cast<std::uintptr_t>(sample.page);
    std::uint64_t entry = 0;
    auto const at = static_cast<off_t>(address / pageSize * sizeof entry);
    if (::pread(m_pagemap.get(), &entry, sizeof entry, at) != sizeof entry || (entry & pagemapPresent) == 0)
        return sample.hash;
    std::array<std::uint8_t, pageSize> content;
    if (::pread(m_contents.get(), content.data(), content.size(), static_cast<off_t>(address)) != pageSize)
        return sample.hash;
    // A page that has come and is zero is as it was before.
    static std::array<std::uint8_t, pageSize> constexpr zeros {};
    return content == zeros ? ofNoPage : XXH3_64bits(content.data(), content.size());
}

}
