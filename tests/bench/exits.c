#include "bare/bare.h"
#include "bare/pci.h"

/// Leaves the processor to user space as often as `count=` says, by a port and by memory, `series=` times each, and
/// marks both ends of each series on the serial line, where the time is taken. Its first word is also the end of the
/// way from a process's start.

enum { bochsVendor = 0x1234, bochsDisplay = 0x1111, bochsRegisters = 0x500, scratch = 7 };

void program(void)
{
    uint64_t const count = option("count", 0), series = option("series", 1);
    print("START\n");
    // Whatever else a process does when it starts is not what an exit costs.
    while (count && now() < ticksPerSecond / 2)
        halt();

    if (count)
        pciStart();
    struct PciDevice const* display = count ? pciFind(bochsVendor, bochsDisplay, 0) : NULL;
    for (uint64_t turn = 0; turn < series; turn++) {
        print("PORT BEGIN\n");
        for (uint64_t i = 0; i < count; i++)
            out8(com1 + scratch, (uint8_t)i);
        print("PORT END\n");
        if (display && display->bar[2]) {
            print("MMIO BEGIN\n");
            for (uint64_t i = 0; i < count; i++)
                (void)MMIO16(display->bar[2] + bochsRegisters);
            print("MMIO END\n");
        }
    }
    print("DONE\n");
    for (;;)
        halt();
}

void unexpectedFault(struct Frame const* frame)
{
    print("FAULT %lu at %lx\n", frame->vector, frame->rip);
    for (;;)
        halt();
}
