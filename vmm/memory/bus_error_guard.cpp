#include "vmm/memory/bus_error_guard.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <sys/mman.h>
#include <unistd.h>

namespace vmm {

namespace {

constexpr std::uintptr_t pageSize = 4096;

struct Slot {
    std::atomic<bool> taken { false }, lost { false };
    std::atomic<std::uintptr_t> begin { 0 }, end { 0 };
    std::atomic<int> told { -1 };
    bool has(std::uintptr_t address) const { return address >= begin && address < end; }
};

std::array<Slot, 1024> slots;
struct sigaction before { };

/// Only what signal-safety(7) and plain system calls allow.
void onBusError(int signal, siginfo_t* information, void*)
{
    int const savedErrno = errno;
    auto const address = reinterpret_cast<std::uintptr_t>(information->si_addr);
    bool isReplaced = false;
    for (auto& slot : slots) {
        if (information->si_code <= 0 || !slot.has(address))
            continue;
        void* const page = reinterpret_cast<void*>(address & ~(pageSize - 1));
        if (!isReplaced
            && ::mmap(page, pageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
                == MAP_FAILED)
            break;
        isReplaced = true;
        slot.lost = true;
        std::uint64_t const one = 1;
        if (int const told = slot.told; told >= 0)
            static_cast<void>(::write(told, &one, sizeof one) == sizeof one);
    }
    errno = savedErrno;
    if (isReplaced)
        return;
    // Not ours. An access is repeated when we return and meets who was there before; one that was sent is sent again.
    ::sigaction(SIGBUS, &before, nullptr);
    if (information->si_code <= 0)
        static_cast<void>(::raise(signal));
    errno = savedErrno;
}

bool install()
{
    struct sigaction action { };
    action.sa_sigaction = onBusError;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    return ::sigaction(SIGBUS, &action, &before) == 0;
}

}

Result<std::unique_ptr<BusErrorGuard>> BusErrorGuard::watch(ByteSpan range, int told)
{
    static bool const installed = install();
    if (!installed)
        return fail(ErrorCode::Internal, "cannot handle the loss of mapped memory");
    for (std::size_t i = 0; i < slots.size(); ++i) {
        auto& slot = slots[i];
        if (slot.taken.exchange(true))
            continue;
        slot.lost = false;
        slot.told = told;
        slot.begin = reinterpret_cast<std::uintptr_t>(range.data());
        slot.end = reinterpret_cast<std::uintptr_t>(range.data()) + range.size();
        return std::unique_ptr<BusErrorGuard>(new BusErrorGuard(i));
    }
    return fail(ErrorCode::Busy, "too many machines at once");
}

BusErrorGuard::~BusErrorGuard()
{
    auto& slot = slots[m_slot];
    slot.end = 0;
    slot.begin = 0;
    slot.taken = false;
}

bool BusErrorGuard::lost() const
{
    return slots[m_slot].lost;
}

}
