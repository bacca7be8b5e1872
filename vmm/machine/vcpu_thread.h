#pragma once

#include "vmm/kvm/vcpu.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace vmm {

/// The thread of one vCPU. It is parked from its start; the machine's thread lets it run and parks it again.
class VcpuThread {
public:
    /// `stopped` is called on this thread when the guest cannot go on; the thread is parked then.
    VcpuThread(Vcpu& vcpu, Bus& ports, Bus& memory, std::function<void(VcpuExit const&)> stopped);
    ~VcpuThread();

    void run();
    /// Asks it to park, and does not wait: all vCPUs are asked before the first is waited for.
    void requestPark();
    void waitUntilParked();

    std::uint64_t cpuNanoseconds() const;

private:
    void main(Bus& ports, Bus& memory);

    Vcpu& m_vcpu;
    std::function<void(VcpuExit const&)> m_stopped;
    mutable std::mutex m_mutex;
    std::condition_variable m_changed;
    bool m_mayRun = false, m_running = false, m_quit = false;
    std::thread m_thread; // last: it uses all of the above
};

}
