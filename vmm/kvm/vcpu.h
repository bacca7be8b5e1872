#pragma once

#include "vmm/bus/bus.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu_state.h"

#include <atomic>
#include <optional>

struct kvm_run;

namespace vmm {

class Vm;
struct BootCpuState;

/// Why Vcpu::run() came back.
struct VcpuExit {
    enum class Kind : std::uint8_t {
        Kicked,      ///< kick() was called; all of the guest's accesses are complete and the state can be read
        TripleFault, ///< the guest can only be reset; `error` says whose it was
        Fault,       ///< `error` says what cannot go on, with the instruction where there is one
    };
    Kind kind;
    std::optional<Error> error;
};

/// One vCPU. Belongs to the thread that runs it, except for kick().
class Vcpu final {
public:
    static Result<std::unique_ptr<Vcpu>> create(Vm& vm, unsigned index, std::vector<CpuidEntry> const& cpuid);
    ~Vcpu();

    unsigned index() const { return m_index; }

    /// Runs the guest and serves its port and memory accesses on the buses, until something else happens.
    VcpuExit run(BusView& ports, BusView& memory);

    /// Makes run(), now or when it is called next, return Kicked. From any thread; `thread` is the one that runs it.
    void kick(pthread_t thread);
    /// Takes a kick back; before run().
    void clearKick();
    /// Installs the handler of the signal that interrupts KVM_RUN, once in the process.
    static void prepareKicks();

    /// The state after power-on: the boot processor at the reset vector, others waiting for INIT.
    Result<> reset();
    /// Where a kernel that is booted directly begins.
    Result<> setBootState(BootCpuState const& state);

    /// Whether it can be the state of a vCPU at all. Of its registers KVM is the judge, when they are loaded.
    static Result<> check(VcpuState const& state);
    Result<VcpuState> save() const;
    /// Unsupported where this host cannot go on with it; the vCPU is then good for nothing but a reset.
    Result<> load(VcpuState const& state);

    /// Where it stands, for a person who looks into a crash. While nobody runs it. Some KVMs (AMD's) have put a vCPU
    /// that gave up in a triple fault back to its reset vector by then.
    std::string whereabouts() const;

    /// Tells the guest's kvmclock that it was stopped for a while, so that its watchdogs do not bark.
    void markStopped();

private:
    Vcpu(Vm& vm, unsigned index) : m_vm(vm), m_index(index) { }
    Result<> open(std::vector<CpuidEntry> const& cpuid);
    /// load(), for a state of our own making: what this host refuses keeps the host's value.
    Result<> set(VcpuState const& state);
    /// Returns the model-specific registers that KVM has refused.
    Result<std::vector<MsrState>> write(VcpuState const& state);
    void servePort(BusView& ports);
    void serveMemory(BusView& memory);
    VcpuExit unhandledInstruction();
    VcpuExit fault(ErrorCode code, std::string detail) const;
    int fd() const { return m_fd.get(); }

    Vm& m_vm;
    unsigned m_index;
    UniqueFd m_fd;
    kvm_run* m_run = nullptr;
    std::atomic<bool> m_kicked { false };
    std::vector<std::uint32_t> m_msrs;
    std::optional<VcpuState> m_powerOn; // what reset() goes back to
};

}
