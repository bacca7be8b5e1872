#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What a program without an operating system needs: a start, interrupts, a tick, ports, memory and a serial line.
///
/// A program may run in ring 0 or in ring 3 (see runInRing3), and all of this header works in both: IN, OUT and HLT
/// fault in ring 3, and the fault handler carries them out. Ring 3 is worth it because some hosts (nested
/// virtualisation without hardware help) run it natively but emulate everything else, a thousand times slower.

/// Supplied by the program. Interrupts are on, the tick is running, and the program is in ring 0.
void program(void);

// ---- Ports and memory-mapped registers ----
// The operand forms are those that the fault handler knows: the port is always in DX.

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %%dx, %%al" : "=a"(value) : "d"(port) : "memory");
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %%dx, %%ax" : "=a"(value) : "d"(port) : "memory");
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %%dx, %%eax" : "=a"(value) : "d"(port) : "memory");
    return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %%al, %%dx" ::"a"(value), "d"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %%ax, %%dx" ::"a"(value), "d"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %%eax, %%dx" ::"a"(value), "d"(port) : "memory");
}

#define MMIO8(address) (*(uint8_t volatile*)(uintptr_t)(address))
#define MMIO16(address) (*(uint16_t volatile*)(uintptr_t)(address))
#define MMIO32(address) (*(uint32_t volatile*)(uintptr_t)(address))
#define MMIO64(address) (*(uint64_t volatile*)(uintptr_t)(address))

/// Orders memory accesses that a device also sees.
static inline void barrier(void)
{
    __asm__ volatile("lock addl $0, (%%rsp)" ::: "memory", "cc");
}

static inline uint64_t readTsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

// ---- Interrupts and time ----

enum { ticksPerSecond = 50, picBase = 0x20 };

/// What the entry code leaves on the stack.
struct Frame {
    uint64_t r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

/// How often each vector has come. Line n of the two 8259s is vector picBase + n.
extern volatile uint64_t interrupts[256];

/// The time since the start, in ticks: it stands still while the machine is suspended.
static inline uint64_t now(void)
{
    return interrupts[picBase];
}

/// Sleeps until the next interrupt; at once if one came since the last call from ring 3.
static inline void halt(void)
{
    __asm__ volatile("hlt" ::: "memory");
}

/// Lets a line of the 8259s through (true) or masks it.
void enableIrq(unsigned line, bool enable);

/// Called in ring 0 for each interrupt of the local APIC, after it was counted and before it is acknowledged; may be
/// null. Vector 0xff is the spurious one.
extern void (*interruptHandler)(struct Frame*);

/// Runs action() and returns the vector of the fault it ended in, or -1. Ring 0 only.
int faultOf(void (*action)(void));

/// Where the fault that faultOf() has seen last was to go on.
extern uint64_t faultAddress;

// ---- Ring 3 ----

/// Runs function(argument) in ring 3 and returns its result; interrupts are on meanwhile.
uint64_t runInRing3(uint64_t (*function)(uint64_t), uint64_t argument);

// ---- What the loader told ----

struct MemoryRange {
    uint64_t start, size;
    uint32_t type, reserved; ///< type 1 is usable RAM
};

extern char commandLine[1024];
extern struct MemoryRange memoryMap[64];
extern unsigned memoryRanges;

/// The value after "name=" in the command line as a number, or otherwise.
uint64_t option(char const* name, uint64_t otherwise);

// ---- Memory and text ----

/// Zeroed memory that is never given back. Any processor.
void* allocate(size_t size, size_t alignment);

void* memset(void* to, int value, size_t size);
void* memcpy(void* to, void const* from, size_t size);
int memcmp(void const* a, void const* b, size_t size);
size_t strlen(char const* text);
int strcmp(char const* a, char const* b);
bool startsWith(char const* text, char const* beginning);

/// Where print() goes; the first serial port by default.
extern void (*printTo)(char);

/// Knows %s %c %d %u %x, a width with or without leading zeros (%08x), and %lu %lx for 64 bits.
void print(char const* format, ...) __attribute__((format(printf, 1, 2)));

/// Sets up a 16550 for 115200 baud with FIFOs; its receive interrupt is on.
void serialStart(uint16_t base);
void serialPut(uint16_t base, char c);
int serialGet(uint16_t base); ///< -1: nothing there

enum { com1 = 0x3f8, com2 = 0x2f8 };

/// Called for a fault that nobody expects, with printTo working; must not return. Supplied by the program.
void unexpectedFault(struct Frame const*) __attribute__((noreturn));
