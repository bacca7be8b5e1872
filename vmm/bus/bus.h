#pragma once

#include "vmm/bus/device.h"

#include <atomic>
#include <memory>
#include <vector>

namespace vmm {

/// Who wins where ranges overlap; among equals the one that was mapped first.
enum class BusPriority : std::uint8_t {
    Fixed,  ///< The board's own registers.
    Window, ///< What the guest can move: PCI BARs.
};

/// Routes addresses to handlers: one instance for ports, one for memory-mapped registers. Any thread. The map changes
/// rarely and as a whole; who looks things up keeps the version it saw last (BusView).
class Bus {
public:
    Bus();
    ~Bus();
    Bus(Bus const&) = delete;
    Bus& operator=(Bus const&) = delete;

    /// The handler must be unmapped before it goes. Refused: an empty range, or one that wraps around.
    Result<> map(std::uint64_t base, std::uint64_t size, BusHandler& handler, BusPriority = BusPriority::Fixed);
    /// Not a barrier: an access that was under way on another thread may still arrive while any vCPU runs.
    void unmap(BusHandler& handler);

    /// False where nobody answers: reads see all ones, writes are lost, as on a real bus.
    bool read(std::uint64_t address, ByteSpan data);
    bool write(std::uint64_t address, ConstByteSpan data);

private:
    friend class BusView;
    struct Range {
        std::uint64_t base, size;
        BusHandler* handler;
        std::uint64_t offset = 0; ///< of `base` in the handler's range
        BusPriority priority = BusPriority::Fixed;
    };
    using Map = std::vector<Range>; // sorted, without overlaps

    static Range const* find(Map const& map, std::uint64_t address);
    static bool dispatchRead(Map const& map, std::uint64_t address, ByteSpan data);
    static bool dispatchWrite(Map const& map, std::uint64_t address, ConstByteSpan data);
    std::shared_ptr<Map const> current() const;
    void publish();

    mutable std::mutex m_mutex;
    std::vector<Range> m_mapped; // in the order of mapping, as asked
    std::shared_ptr<Map const> m_map;
    std::atomic<std::uint64_t> m_generation { 0 };
};

/// One thread's view of a Bus: an access costs one load to see that the map is still the one it knows.
class BusView {
public:
    explicit BusView(Bus& bus) : m_bus(bus) { }
    bool read(std::uint64_t address, ByteSpan data) { return Bus::dispatchRead(map(), address, data); }
    bool write(std::uint64_t address, ConstByteSpan data) { return Bus::dispatchWrite(map(), address, data); }

private:
    Bus::Map const& map();

    Bus& m_bus;
    std::shared_ptr<Bus::Map const> m_map;
    std::uint64_t m_generation = 0;
};

}
