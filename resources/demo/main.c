#include "bare/pci.h"
#include "demo.h"

/// The demo machine's only program. Ring 0 answers interrupts and carries out port accesses; everything that one can
/// read here runs in ring 3, where every host is fast.

static uint64_t live(uint64_t unused)
{
    (void)unused;
    pciStart();
    diskStart();
    pictureStart();
    powerStart();
    inputStart();
    shellStart();
    for (;;) {
        diskWork();
        shellWork();
        inputWork();
        powerWork();
        pictureWork();
        halt();
    }
    return 0;
}

void program(void)
{
    runInRing3(live, 0);
}

void unexpectedFault(struct Frame const* frame)
{
    print("\nfault %lu, error %lx, at %lx\n", frame->vector, frame->error, frame->rip);
    for (;;)
        __asm__ volatile("cli; hlt");
}
