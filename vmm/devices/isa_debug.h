#pragma once

#include "vmm/backends/console.h"
#include "vmm/bus/device.h"

#include <functional>

namespace vmm {

/// The port on which SeaBIOS and OVMF write their logs (0x402 by convention): what is written goes to the console, and
/// reading gives 0xe9, by which firmware finds out that somebody listens.
class IsaDebugConsole final : public BusDevice {
public:
    static constexpr std::uint64_t port = 0x402, size = 1;

    struct State {
        static constexpr std::string_view kind = "isa-debug-console";
        static constexpr unsigned version = 1;
        static void describe(auto&, auto&) { }
    };

    explicit IsaDebugConsole(Console& console) : m_console(console) { }
    void reset() override { }
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void read(std::uint64_t offset, ByteSpan data) override;
    void write(std::uint64_t offset, ConstByteSpan data) override;

private:
    Console& m_console;
};

/// A port by which a test guest ends its machine with a number (QEMU's "isa-debug-exit").
class IsaDebugExit final : public BusDevice {
public:
    static constexpr std::uint64_t port = 0x501, size = 2;

    struct State {
        static constexpr std::string_view kind = "isa-debug-exit";
        static constexpr unsigned version = 1;
        static void describe(auto&, auto&) { }
    };

    /// `exited` gets the value written; called on a vCPU's thread with mutex() held.
    explicit IsaDebugExit(std::function<void(std::uint32_t)> exited) : m_exited(std::move(exited)) { }
    void reset() override { }
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void read(std::uint64_t offset, ByteSpan data) override;
    void write(std::uint64_t offset, ConstByteSpan data) override;

private:
    std::function<void(std::uint32_t)> m_exited;
};

}
