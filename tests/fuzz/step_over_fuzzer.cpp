#include "tests/fuzz/fuzz_input.h"
#include "vmm/kvm/step_over.h"

/// An instruction that the host's KVM could not run, at any place, in any mode. It is done whole or not at all, from
/// its own bytes alone, and gives the guest no rights that it had not.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    auto const mode = input.take<std::uint8_t>(), events = input.take<std::uint8_t>();
    vmm::VcpuState before;
    before.cr0 = input.take<std::uint8_t>();
    before.cs.longMode = (mode & 1) != 0;
    before.cs.defaultSize = (mode & 2) != 0;
    before.ss.dpl = mode >> 2 & 3;
    before.xsave = vmm::Bytes((mode & 0x10) != 0 ? 576 : 0, mode);
    before.events.exceptionInjected = events & 1;
    before.events.exceptionPending = events >> 1 & 1;
    before.events.interruptInjected = events >> 2 & 1;
    before.events.interruptShadow = events >> 3 & 1;
    before.xcr0 = 7;
    before.rip = input.take<std::uint64_t>();
    before.rax = before.r8 = input.take<std::uint64_t>();
    before.rcx = before.r9 = input.take<std::uint64_t>();
    auto const code = input.takeBytes(15);

    auto after = before;
    if (!vmm::stepOver(after, code)) {
        if (after != before)
            __builtin_trap();
        return 0;
    }
    auto const length = (after.rip - before.rip) & (before.cs.longMode ? ~0ull : 0xffffffff);
    if (length == 0 || length > code.size())
        __builtin_trap();
    auto again = before;
    if (!vmm::stepOver(again, code.first(length)) || again != after)
        __builtin_trap();
    if (after.cs != before.cs || after.ss != before.ss || after.cr0 != before.cr0 || after.xcr0 != before.xcr0)
        __builtin_trap();
    return 0;
}
