#pragma once

#include "vmm/bus/device.h"

#include <functional>

namespace vmm {

/// The port on which a guest's kernel says that it has panicked (QEMU documentation, "PVPANIC device", "ISA
/// Interface"). Reading tells which events are understood. The guest finds the port in ACPI (QEMU0001) and in the
/// fw_cfg file "etc/pvpanic-port".
class PvPanic final : public BusDevice {
public:
    static constexpr std::uint64_t port = 0x505, size = 1;
    static constexpr std::uint8_t panicked = 0x01;    ///< The guest has panicked; the host should act.
    static constexpr std::uint8_t crashLoaded = 0x02; ///< It has panicked and runs its own crash kernel.

    struct State {
        static constexpr std::string_view kind = "pvpanic";
        static constexpr unsigned version = 1;
        static void describe(auto&, auto&) { }
    };

    /// `happened` gets the events that are understood, at least one; called on a vCPU's thread with mutex() held.
    explicit PvPanic(std::function<void(std::uint8_t)> happened) : m_happened(std::move(happened)) { }
    void reset() override { }
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void read(std::uint64_t offset, ByteSpan data) override;
    void write(std::uint64_t offset, ConstByteSpan data) override;

private:
    std::function<void(std::uint8_t)> m_happened;
};

}
