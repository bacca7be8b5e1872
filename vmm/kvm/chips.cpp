#include "vmm/kvm/chips.h"

#include "vmm/base/log.h"
#include "vmm/base/time_of_day.h"
#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/vm.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm {

namespace {

PicState fromKvm(kvm_pic_state const& in)
{
    return { in.last_irr, in.irr, in.imr, in.isr, in.priority_add, in.irq_base, in.read_reg_select, in.poll,
        in.special_mask, in.init_state, in.auto_eoi, in.rotate_on_auto_eoi, in.special_fully_nested_mode, in.init4,
        in.elcr, in.elcr_mask };
}

kvm_pic_state toKvm(PicState const& in)
{
    kvm_pic_state out {};
    out.last_irr = in.lastIrr;
    out.irr = in.irr;
    out.imr = in.imr;
    out.isr = in.isr;
    out.priority_add = in.priorityAdd;
    out.irq_base = in.irqBase;
    out.read_reg_select = in.readRegisterSelect;
    out.poll = in.poll;
    out.special_mask = in.specialMask;
    out.init_state = in.initState;
    out.auto_eoi = in.autoEoi;
    out.rotate_on_auto_eoi = in.rotateOnAutoEoi;
    out.special_fully_nested_mode = in.specialFullyNestedMode;
    out.init4 = in.init4;
    out.elcr = in.elcr;
    out.elcr_mask = in.elcrMask;
    return out;
}

/// The kernel does not fail to read a chip that it has; a chip that it has not would have failed at the VM's creation.
kvm_irqchip readChip(int vm, std::uint32_t id)
{
    kvm_irqchip chip {};
    chip.chip_id = id;
    ::ioctl(vm, KVM_GET_IRQCHIP, &chip);
    return chip;
}

}

KvmInterruptChips::KvmInterruptChips(Vm& vm) : m_vm(vm), m_powerOn(read()) { }

KvmInterruptChips::State KvmInterruptChips::read() const
{
    State state;
    state.master = fromKvm(readChip(m_vm.fd(), KVM_IRQCHIP_PIC_MASTER).chip.pic);
    state.slave = fromKvm(readChip(m_vm.fd(), KVM_IRQCHIP_PIC_SLAVE).chip.pic);
    auto const ioapic = readChip(m_vm.fd(), KVM_IRQCHIP_IOAPIC).chip.ioapic;
    state.ioapicBase = ioapic.base_address;
    state.ioapicSelect = ioapic.ioregsel;
    state.ioapicId = ioapic.id;
    state.ioapicIrr = ioapic.irr;
    for (std::size_t i = 0; i < state.redirection.size(); ++i)
        state.redirection[i] = ioapic.redirtbl[i].bits;
    return state;
}

Result<> KvmInterruptChips::write(State const& state)
{
    auto const set = [this](kvm_irqchip& chip) {
        return ioctlChecked(m_vm.fd(), KVM_SET_IRQCHIP, &chip, "KVM refuses an interrupt controller's state");
    };
    kvm_irqchip chip {};
    chip.chip_id = KVM_IRQCHIP_PIC_MASTER;
    chip.chip.pic = toKvm(state.master);
    TRY(set(chip));
    chip = {};
    chip.chip_id = KVM_IRQCHIP_PIC_SLAVE;
    chip.chip.pic = toKvm(state.slave);
    TRY(set(chip));
    chip = {};
    chip.chip_id = KVM_IRQCHIP_IOAPIC;
    auto& ioapic = chip.chip.ioapic;
    ioapic.base_address = state.ioapicBase;
    ioapic.ioregsel = state.ioapicSelect;
    ioapic.id = state.ioapicId;
    ioapic.irr = state.ioapicIrr;
    for (std::size_t i = 0; i < state.redirection.size(); ++i)
        ioapic.redirtbl[i].bits = state.redirection[i];
    return set(chip);
}

void KvmInterruptChips::reset()
{
    // The levels of the wires are their devices', which set them again as they are reset.
    ignore(write(m_powerOn));
}

Section KvmInterruptChips::save() const
{
    return state::save(read());
}

Result<> KvmInterruptChips::load(Section const& section)
{
    return write(TRY(state::load<State>(section)));
}

KvmPit::KvmPit(Vm& vm) : m_vm(vm), m_powerOn(read()) { }

KvmPit::State KvmPit::read() const
{
    kvm_pit_state2 pit {};
    ::ioctl(m_vm.fd(), KVM_GET_PIT2, &pit);
    State state;
    for (std::size_t i = 0; i < state.channels.size(); ++i) {
        auto const& in = pit.channels[i];
        state.channels[i] = { in.count, in.latched_count, in.count_latched, in.status_latched, in.status, in.read_state,
            in.write_state, in.write_latch, in.rw_mode, in.mode, in.bcd, in.gate, in.count_load_time };
    }
    state.flags = pit.flags;
    return state;
}

Result<> KvmPit::write(State const& state)
{
    kvm_pit_state2 pit {};
    for (std::size_t i = 0; i < state.channels.size(); ++i) {
        auto& out = pit.channels[i];
        auto const& in = state.channels[i];
        out.count = in.count;
        out.latched_count = in.latchedCount;
        out.count_latched = in.countLatched;
        out.status_latched = in.statusLatched;
        out.status = in.status;
        out.read_state = in.readState;
        out.write_state = in.writeState;
        out.write_latch = in.writeLatch;
        out.rw_mode = in.rwMode;
        out.mode = in.mode;
        out.bcd = in.bcd;
        out.gate = in.gate;
        out.count_load_time = in.countLoadTime;
    }
    pit.flags = state.flags;
    return ioctlChecked(m_vm.fd(), KVM_SET_PIT2, &pit, "KVM refuses the timer's state");
}

void KvmPit::reset()
{
    if (m_stopped)
        m_stopped = m_powerOn;
    else
        ignore(write(m_powerOn));
}

Section KvmPit::save() const
{
    return state::save(m_stopped ? *m_stopped : read());
}

Result<> KvmPit::load(Section const& section)
{
    auto const state = TRY(state::load<State>(section));
    TRY(write(state));
    pause();
    m_stopped = state;
    return {};
}

void KvmPit::pause()
{
    if (m_stopped)
        return;
    m_stopped = read();
    // In mode 5 KVM has no timer for a channel.
    constexpr std::uint8_t hardwareStrobe = 5;
    auto silent = *m_stopped;
    silent.channels[0].mode = hardwareStrobe;
    ignore(write(silent));
}

void KvmPit::resume()
{
    if (!m_stopped)
        return;
    if (auto const written = write(*m_stopped); !written)
        log(LogLevel::Warning, "kvm", "{}", written.error().message());
    m_stopped.reset();
}

KvmClock::KvmClock(Vm& vm) : m_vm(vm), m_kernelAdds((vm.capability(KVM_CAP_ADJUST_CLOCK) & KVM_CLOCK_REALTIME) != 0) { }

KvmClock::State KvmClock::read() const
{
    kvm_clock_data data {};
    ::ioctl(m_vm.fd(), KVM_GET_CLOCK, &data);
    return { data.clock, (data.flags & KVM_CLOCK_REALTIME) != 0 ? data.realtime : timeOfDay() };
}

Section KvmClock::save() const
{
    return state::save(m_stopped ? *m_stopped : read());
}

Result<> KvmClock::load(Section const& section)
{
    m_stopped = TRY(state::load<State>(section));
    m_addElapsed = true;
    return {};
}

void KvmClock::pause()
{
    if (!m_stopped)
        m_stopped = read();
}

void KvmClock::resume()
{
    if (!m_stopped)
        return;
    kvm_clock_data data {};
    data.clock = m_stopped->clock;
    if (m_addElapsed && m_kernelAdds) {
        data.flags = KVM_CLOCK_REALTIME;
        data.realtime = m_stopped->realTime;
    } else if (auto const now = timeOfDay(); m_addElapsed && now > m_stopped->realTime) {
        data.clock += now - m_stopped->realTime;
    }
    if (::ioctl(m_vm.fd(), KVM_SET_CLOCK, &data) != 0)
        log(LogLevel::Warning, "kvm", "{}", osError("cannot set the guest's clock").message());
    m_stopped.reset();
    m_addElapsed = false;
}

}
