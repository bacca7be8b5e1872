#pragma once

#include "vmm/bus/device.h"
#include "vmm/state/options.h"

#include <array>
#include <optional>
#include <vector>

/// The chips that live in the kernel, as devices like any other: their state is read, described field by field, and
/// written back.
namespace vmm {

class Vm;

/// One 8259A (KVM's names; Intel 8259A datasheet, order number 231468).
struct PicState {
    std::uint8_t lastIrr = 0, irr = 0, imr = 0, isr = 0, priorityAdd = 0, irqBase = 0, readRegisterSelect = 0, poll = 0,
                 specialMask = 0, initState = 0, autoEoi = 0, rotateOnAutoEoi = 0, specialFullyNestedMode = 0,
                 init4 = 0, elcr = 0, elcrMask = 0;
    bool operator==(PicState const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("lastIrr", s.lastIrr);
        v.field("irr", s.irr);
        v.field("imr", s.imr);
        v.field("isr", s.isr);
        v.field("priorityAdd", s.priorityAdd);
        v.field("irqBase", s.irqBase);
        v.field("readRegisterSelect", s.readRegisterSelect);
        v.field("poll", s.poll);
        v.field("specialMask", s.specialMask);
        v.field("initState", s.initState);
        v.field("autoEoi", s.autoEoi);
        v.field("rotateOnAutoEoi", s.rotateOnAutoEoi);
        v.field("specialFullyNestedMode", s.specialFullyNestedMode);
        v.field("init4", s.init4);
        v.field("elcr", s.elcr);
        v.field("elcrMask", s.elcrMask);
    }
};

/// Both PICs and the IOAPIC (Intel 82093AA datasheet, order number 290566).
class KvmInterruptChips final : public Device {
public:
    struct State {
        static constexpr std::string_view kind = "kvm-interrupt-chips";
        static constexpr unsigned version = 1;
        PicState master, slave;
        std::uint64_t ioapicBase = 0;
        std::uint32_t ioapicSelect = 0, ioapicId = 0, ioapicIrr = 0;
        std::array<std::uint64_t, 24> redirection {};
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("master", s.master);
            v.field("slave", s.slave);
            v.field("ioapicBase", s.ioapicBase);
            v.field("ioapicSelect", s.ioapicSelect);
            v.field("ioapicId", s.ioapicId);
            v.field("ioapicIrr", s.ioapicIrr);
            v.field("redirection", s.redirection);
        }
    };

    explicit KvmInterruptChips(Vm& vm);
    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

private:
    State read() const;
    Result<> write(State const& state);
    Vm& m_vm;
    State m_powerOn;
};

/// The 8254 (KVM API, 4.72 "KVM_GET_PIT2").
class KvmPit final : public Device {
public:
    struct Channel {
        std::uint32_t count = 0;
        std::uint16_t latchedCount = 0;
        std::uint8_t countLatched = 0, statusLatched = 0, status = 0, readState = 0, writeState = 0, writeLatch = 0,
                     rwMode = 0, mode = 0, bcd = 0, gate = 0;
        std::int64_t countLoadTime = 0;
        bool operator==(Channel const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("count", s.count);
            v.field("latchedCount", s.latchedCount);
            v.field("countLatched", s.countLatched);
            v.field("statusLatched", s.statusLatched);
            v.field("status", s.status);
            v.field("readState", s.readState);
            v.field("writeState", s.writeState);
            v.field("writeLatch", s.writeLatch);
            v.field("rwMode", s.rwMode);
            v.field("mode", s.mode);
            v.field("bcd", s.bcd);
            v.field("gate", s.gate);
            v.field("countLoadTime", s.countLoadTime);
        }
    };
    struct State {
        static constexpr std::string_view kind = "kvm-pit";
        static constexpr unsigned version = 1;
        std::array<Channel, 3> channels {};
        std::uint32_t flags = 0;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("channels", s.channels);
            v.field("flags", s.flags);
        }
    };

    explicit KvmPit(Vm& vm);
    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    /// While it stands still the chip in the kernel counts nothing, and owes the guest no ticks afterwards.
    void pause() override;
    void resume() override;

private:
    State read() const;
    Result<> write(State const& state);
    Vm& m_vm;
    State m_powerOn;
    std::optional<State> m_stopped; // the state while the machine stands still
};

/// kvmclock: the guest's monotonic time in nanoseconds, and the host's time of day at the same instant, so that a
/// restored guest finds the time that has passed.
class KvmClock final : public Device {
public:
    struct State {
        static constexpr std::string_view kind = "kvm-clock";
        static constexpr unsigned version = 1;
        std::uint64_t clock = 0;    ///< ns
        std::uint64_t realTime = 0; ///< ns since 1970 when it was read
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("clock", s.clock);
            v.field("realTime", s.realTime);
        }
    };

    explicit KvmClock(Vm& vm);
    void reset() override { } // it counts on through a reset, as a PC's time does
    Result<> canSave() const override { return {}; }
    Section save() const override;
    /// Takes effect at resume(), with the time that has passed since it was saved added.
    Result<> load(Section const& section) override;
    /// A pause stands still: what was read at pause() is set again at resume().
    void pause() override;
    /// It was not paused, and resume() leaves it alone: in the kernel it has gone on.
    void catchUp() { m_stopped.reset(); }
    void resume() override;

private:
    State read() const;
    Vm& m_vm;
    bool const m_kernelAdds; ///< Linux 5.16 tells and takes both times of one instant: no preemption between them
    std::optional<State> m_stopped;
    bool m_addElapsed = false;
};

}
