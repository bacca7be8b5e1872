#include "lib/check.h"

/// Ways for a machine to end or to begin again, by option how=N. The harness watches what becomes of it.

enum { powerOffByAcpi, resetByPort, resetByKeyboard, tripleFault, panic, debugExit, halted, faultInRing0 };

static uint16_t emptyTable[5];

void program(void)
{
    uint64_t const how = option("how", powerOffByAcpi);
    print("NOTE end %lu\n", how);
    switch (how) {
    case powerOffByAcpi: powerOff(); break;
    case resetByPort:
        out8(0xcf9, 0x02);
        out8(0xcf9, 0x06);
        break;
    case resetByKeyboard: out8(0x64, 0xfe); break;
    case tripleFault: __asm__ volatile("lidt %0; ud2" ::"m"(emptyTable)); break;
    case panic: out8(0x505, 1); break;
    case debugExit: out8(0x501, 42); break;
    case halted: __asm__ volatile("cli; hlt"); break;
    case faultInRing0: __asm__ volatile("ud2"); break;
    }
    for (;;)
        halt();
}
