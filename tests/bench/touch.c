#include "bare/bare.h"

/// Fills `mebibytes=` of its memory with numbers that do not repeat, and then counts on the serial line for ever: the
/// first number after a restore says when the guest went on.

enum { gap = 300 }; // turns between two numbers; where they are emulated, about half a millisecond

static uint64_t fill(uint64_t bytes)
{
    uint64_t* const memory = (uint64_t*)0x1000000;
    uint64_t number = 88172645463325252ull;
    for (uint64_t i = 0; i < bytes / 8; i++) { // xorshift64
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        memory[i] = number;
    }
    return number;
}

void program(void)
{
    runInRing3(fill, option("mebibytes", 256) << 20);
    print("TOUCHED\n");
    for (uint64_t number = 0;; number++) {
        print("%lu\n", number);
        for (unsigned i = 0; i < gap; i++)
            __asm__ volatile("");
    }
}

void unexpectedFault(struct Frame const* frame)
{
    print("FAULT %lu at %lx\n", frame->vector, frame->rip);
    for (;;)
        halt();
}
