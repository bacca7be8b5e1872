#include "tests/battery/battery.h"
#include "vmm/kvm/chips.h"
#include "vmm/kvm/cpu_model.h"
#include "vmm/kvm/vcpu_state.h"
#include "vmm/machine/kept_cpu.h"
#include "vmm/machine/saved_machine.h"

using namespace vmm;

/// What is saved of the chips and processors that live in the kernel, and of the machine itself.
class StateLayoutTest final : public QObject {
    Q_OBJECT

private slots:
    void interruptChips() { tests::goldenSchema<KvmInterruptChips::State>(); }
    void pit() { tests::goldenSchema<KvmPit::State>(); }
    void clock() { tests::goldenSchema<KvmClock::State>(); }
    void processor() { tests::goldenSchema<VcpuState>(); }
    void keptCpu() { tests::goldenSchema<KeptCpu>(); }
    void header() { tests::goldenSchema<SavedHeader>(); }
    void config() { tests::goldenSchema<VmConfig>(); }
};

REGISTER_SUITE(StateLayoutTest);
#include "state_layout_test.moc"
