#include "vmm/machine/vcpu_thread.h"

#include <ctime>
#include <fmt/format.h>
#include <pthread.h>

namespace vmm {

VcpuThread::VcpuThread(Vcpu& vcpu, Bus& ports, Bus& memory, std::function<void(VcpuExit const&)> stopped)
    : m_vcpu(vcpu), m_stopped(std::move(stopped)), m_thread([this, &ports, &memory] { main(ports, memory); })
{
}

VcpuThread::~VcpuThread()
{
    {
        std::lock_guard const lock(m_mutex);
        m_quit = true;
        m_mayRun = false;
        m_vcpu.kick(m_thread.native_handle());
        m_changed.notify_all();
    }
    m_thread.join();
}

void VcpuThread::run()
{
    std::lock_guard const lock(m_mutex);
    m_mayRun = true;
    m_vcpu.clearKick();
    m_changed.notify_all();
}

void VcpuThread::requestPark()
{
    std::lock_guard const lock(m_mutex);
    m_mayRun = false;
    if (m_running)
        m_vcpu.kick(m_thread.native_handle());
}

void VcpuThread::waitUntilParked()
{
    std::unique_lock lock(m_mutex);
    m_changed.wait(lock, [this] { return !m_running; });
}

std::uint64_t VcpuThread::cpuNanoseconds() const
{
    clockid_t clock {};
    timespec time {};
    if (::pthread_getcpuclockid(const_cast<std::thread&>(m_thread).native_handle(), &clock) != 0
        || ::clock_gettime(clock, &time) != 0)
        return 0;
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
}

void VcpuThread::main(Bus& ports, Bus& memory)
{
    ::pthread_setname_np(::pthread_self(), fmt::format("vcpu {}", m_vcpu.index()).c_str());
    BusView portView(ports), memoryView(memory);
    std::unique_lock lock(m_mutex);
    for (;;) {
        m_changed.wait(lock, [this] { return m_mayRun || m_quit; });
        if (m_quit)
            return;
        m_running = true;
        lock.unlock();
        auto const exit = m_vcpu.run(portView, memoryView);
        bool const stopped = exit.kind != VcpuExit::Kind::Kicked;
        // Before this counts as parked, so that whoever waits for that knows of it.
        if (stopped)
            m_stopped(exit);
        lock.lock();
        if (stopped)
            m_mayRun = false;
        m_running = false;
        m_changed.notify_all();
    }
}

}
