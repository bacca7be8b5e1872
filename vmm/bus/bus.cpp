#include "vmm/bus/bus.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

Bus::Bus() : m_map(std::make_shared<Map const>()), m_generation(1) { }

Bus::~Bus() = default;

Result<> Bus::map(std::uint64_t base, std::uint64_t size, BusHandler& handler, BusPriority priority)
{
    if (size == 0 || base + (size - 1) < base)
        return fail(ErrorCode::InvalidArgument, fmt::format("no range: {:#x} bytes at {:#x}", size, base));
    std::lock_guard const lock(m_mutex);
    m_mapped.push_back({ base, size, &handler, 0, priority });
    publish();
    return {};
}

void Bus::unmap(BusHandler& handler)
{
    std::lock_guard const lock(m_mutex);
    std::erase_if(m_mapped, [&](Range const& range) { return range.handler == &handler; });
    publish();
}

/// Lays the ranges over each other, the strongest first, each into the gaps that the ones before it left.
void Bus::publish()
{
    auto ordered = m_mapped;
    std::stable_sort(
        ordered.begin(), ordered.end(), [](Range const& a, Range const& b) { return a.priority < b.priority; });

    Map flat;
    for (auto const& range : ordered) {
        auto const last = range.base + (range.size - 1);
        Map pieces;
        auto from = range.base;
        bool done = false;
        for (auto const& taken : flat) {
            auto const takenLast = taken.base + (taken.size - 1);
            if (takenLast < from)
                continue;
            if (taken.base > last)
                break;
            if (taken.base > from)
                pieces.push_back({ from, taken.base - from, range.handler, from - range.base, range.priority });
            if (takenLast >= last) {
                done = true;
                break;
            }
            from = takenLast + 1;
        }
        if (!done)
            pieces.push_back({ from, last - from + 1, range.handler, from - range.base, range.priority });
        flat.insert(flat.end(), pieces.begin(), pieces.end());
        std::sort(flat.begin(), flat.end(), [](Range const& a, Range const& b) { return a.base < b.base; });
    }
    m_map = std::make_shared<Map const>(std::move(flat));
    m_generation.fetch_add(1, std::memory_order_release);
}

std::shared_ptr<Bus::Map const> Bus::current() const
{
    std::lock_guard const lock(m_mutex);
    return m_map;
}

Bus::Range const* Bus::find(Map const& map, std::uint64_t address)
{
    auto const after = std::upper_bound(
        map.begin(), map.end(), address, [](std::uint64_t wanted, Range const& range) { return wanted < range.base; });
    if (after == map.begin())
        return nullptr;
    auto const& range = *std::prev(after);
    return address - range.base < range.size ? &range : nullptr;
}

bool Bus::dispatchRead(Map const& map, std::uint64_t address, ByteSpan data)
{
    std::fill(data.begin(), data.end(), std::uint8_t(0xff));
    auto const* range = find(map, address);
    if (!range)
        return false;
    auto const inside = std::min<std::uint64_t>(data.size(), range->size - (address - range->base));
    std::lock_guard const lock(range->handler->busMutex());
    range->handler->read(range->offset + (address - range->base), data.first(inside));
    return true;
}

bool Bus::dispatchWrite(Map const& map, std::uint64_t address, ConstByteSpan data)
{
    auto const* range = find(map, address);
    if (!range)
        return false;
    auto const inside = std::min<std::uint64_t>(data.size(), range->size - (address - range->base));
    std::lock_guard const lock(range->handler->busMutex());
    range->handler->write(range->offset + (address - range->base), data.first(inside));
    return true;
}

bool Bus::read(std::uint64_t address, ByteSpan data)
{
    return dispatchRead(*current(), address, data);
}

bool Bus::write(std::uint64_t address, ConstByteSpan data)
{
    return dispatchWrite(*current(), address, data);
}

Bus::Map const& BusView::map()
{
    auto const generation = m_bus.m_generation.load(std::memory_order_acquire);
    if (generation != m_generation) {
        m_map = m_bus.current();
        m_generation = generation;
    }
    return *m_map;
}

}
