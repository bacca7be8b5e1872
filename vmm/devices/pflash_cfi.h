#pragma once

#include "vmm/bus/device.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/state/options.h"

#include <array>
#include <functional>

namespace vmm {

/// A NOR flash chip with Intel's command set, eight bits wide in sectors of 4 KiB (Intel 290667, "3 Volt Intel
/// StrataFlash Memory", "Command Definitions"; JEDEC JESD68.01 "Common Flash Interface"), as OVMF expects its firmware
/// and its variables to be in.
///
/// While it shows its array it is a read-only memory slot, so that the guest executes from it at full speed and only
/// writes come here; in any other mode the slot is gone and reads come here too. The status register reads 0 after
/// "clear status": OVMF tells flash from RAM by that, where the data sheet has the ready bit set. Lock commands are
/// accepted and lock nothing. Left out: suspending (nothing takes time) and the protection register.
class PflashCfi final : public BusDevice {
public:
    static constexpr std::uint64_t sectorSize = 4096;
    static constexpr std::size_t bufferSize = 2048; ///< of a buffered write, bytes

    enum class Writable : std::uint8_t { No, Yes };

    /// What reads show.
    enum class Mode : std::uint8_t { Array, Status, Identifier, Query };
    /// What the next write is, after the first cycle of a command.
    enum class Expect : std::uint8_t {
        Command,
        Byte,
        EraseConfirm,
        LockConfirm,
        BufferCount,
        BufferData,
        BufferConfirm
    };

    struct State {
        static constexpr std::string_view kind = "pflash-cfi";
        static constexpr unsigned version = 1;
        Mode mode = Mode::Array;
        Expect expect = Expect::Command;
        std::uint8_t status = 0x80;
        std::uint32_t bufferStart = 0; // offset in the chip
        std::uint16_t bufferLeft = 0;  // bytes still to come
        Bytes buffer;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("mode", s.mode);
            v.field("expect", s.expect);
            v.field("status", s.status);
            v.field("bufferStart", s.bufferStart);
            v.field("bufferLeft", s.bufferLeft, state::Range { 0, bufferSize });
            v.field("buffer", s.buffer, state::Max { bufferSize });
        }
    };

    /// Called when the array has changed, in the order of the changes, with mutex() held or on the machine's thread:
    /// where they are, and what is there now. The variables are safe once the machine has written that to its file.
    using Store = std::function<void(std::uint64_t offset, ConstByteSpan bytes)>;

    /// The array is `contents`, all of it, a multiple of 4 KiB and saved by name as RAM is; the machine has filled it.
    /// The device is also to be mapped at `address` on the memory bus.
    PflashCfi(MemoryMapper& mapper, GuestAddress address, MemoryBlock& contents, Writable writable, Store store = {});
    ~PflashCfi() override;

    std::uint64_t size() const { return m_contents.size(); }

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void pause() override;
    void resume() override;
    /// The host could not keep what it was given: when the machine resumes it is given the whole array. Any thread.
    void storeAgain();
    void read(std::uint64_t offset, ByteSpan data) override;
    void write(std::uint64_t offset, ConstByteSpan data) override;

private:
    void command(std::uint64_t offset, std::uint8_t value);
    void program(std::uint64_t offset, ConstByteSpan data);
    void erase(std::uint64_t offset);
    void takeBufferData(std::uint64_t offset, ConstByteSpan data);
    std::uint8_t identifier(std::uint64_t offset) const;
    std::uint8_t query(std::uint64_t offset) const;
    void finish(std::uint8_t error);
    void changed(std::uint64_t offset, std::uint64_t length);
    void flush();
    void updateMapping();

    MemoryMapper& m_mapper;
    GuestAddress m_address;
    MemoryBlock& m_contents;
    Writable m_writable;
    Store m_store;
    std::optional<MemoryMapper::Slot> m_slot;
    std::uint64_t m_changedStart = 0, m_changedEnd = 0; // not yet given to m_store
    bool m_storeAgain = false;
    State m_state;
};

constexpr auto stateNames(PflashCfi::Mode)
{
    return std::to_array<std::string_view>({ "array", "status", "identifier", "query" });
}
constexpr auto stateNames(PflashCfi::Expect)
{
    return std::to_array<std::string_view>(
        { "command", "byte", "erase-confirm", "lock-confirm", "buffer-count", "buffer-data", "buffer-confirm" });
}

}
