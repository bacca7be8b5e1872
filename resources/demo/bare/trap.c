#include "traps.h"

/// Faults, interrupts, and the three instructions that ring 3 cannot execute itself.

volatile uint64_t interrupts[256];
void (*interruptHandler)(struct Frame*);

extern char const vectorEntries[], ring3Exit[];
extern uint64_t gdt[];
extern struct __attribute__((packed)) {
    uint16_t limit;
    uint64_t base;
} gdtPointer;
uint64_t ring3Call(uint64_t (*function)(uint64_t), uint64_t argument, void* stackTop, void* rsp0);
void ring3Leave(uint64_t result, void* frameEnd) __attribute__((noreturn));

static struct __attribute__((packed)) {
    uint32_t reserved;
    uint64_t rsp0;
    uint8_t rest[90];
    uint16_t ioMap; // past the end: ring 3 has no ports
} taskState[maxCpus];

static struct {
    uint64_t low, high;
} idt[256];
static void* faultResume[5]; // __builtin_setjmp's buffer
static int volatile faultExpected, faultSeen;
uint64_t faultAddress;
static bool volatile woken;

static void endOfInterrupt(unsigned line)
{
    if (line >= 8)
        out8(0xa0, 0x20);
    out8(0x20, 0x20);
}

void enableIrq(unsigned line, bool enable)
{
    uint16_t const port = line < 8 ? 0x21 : 0xa1;
    uint8_t const bit = (uint8_t)(1 << (line & 7));
    uint8_t const mask = in8(port);
    out8(port, enable ? mask & ~bit : mask | bit);
}

/// Sleeps for ring 3. What came since the last time counts, so that nothing is missed between looking and sleeping.
static void sleep(void)
{
    if (!woken)
        __asm__ volatile("sti; hlt; cli" ::: "memory");
    woken = false;
}

/// Carries out the instruction that ring 3 was refused; false if it is none that it may have.
static bool carryOut(struct Frame* frame)
{
    uint8_t const* code = (uint8_t const*)frame->rip;
    bool const word = code[0] == 0x66;
    uint8_t const opcode = code[word];
    uint16_t const port = (uint16_t)frame->rdx;
    switch (opcode) {
    case 0xec: frame->rax = (frame->rax & ~0xffull) | in8(port); break;
    case 0xed: frame->rax = word ? (frame->rax & ~0xffffull) | in16(port) : in32(port); break;
    case 0xee: out8(port, (uint8_t)frame->rax); break;
    case 0xef:
        if (word)
            out16(port, (uint16_t)frame->rax);
        else
            out32(port, (uint32_t)frame->rax);
        break;
    case 0xf4: sleep(); break;
    default: return false;
    }
    frame->rip += 1 + word;
    return true;
}

void trap(struct Frame* frame)
{
    unsigned const vector = (unsigned)frame->vector;
    interrupts[vector]++;
    if (vector >= picBase && vector < picBase + 16) {
        woken = true;
        endOfInterrupt(vector - picBase);
        return;
    }
    if (vector >= picBase) {
        woken = true;
        if (interruptHandler)
            interruptHandler(frame);
        if (vector != 0xff)
            MMIO32(0xfee000b0) = 0; // end of interrupt
        return;
    }
    if ((frame->cs & 3) == 3) {
        if (vector == 13 && carryOut(frame))
            return;
        if (vector == 6 && frame->rip == (uint64_t)ring3Exit)
            ring3Leave(frame->rax, frame + 1);
    }
    if (faultExpected) {
        faultSeen = (int)vector;
        faultAddress = frame->rip;
        faultExpected = 0;
        __builtin_longjmp(faultResume, 1);
    }
    unexpectedFault(frame);
}

int faultOf(void (*action)(void))
{
    faultSeen = -1;
    if (__builtin_setjmp(faultResume) == 0) {
        faultExpected = 1;
        action();
    }
    faultExpected = 0;
    __asm__ volatile("sti"); // a fault's gate had turned them off
    return faultSeen;
}

uint64_t runInRing3(uint64_t (*function)(uint64_t), uint64_t argument)
{
    enum { stackSize = 64 * 1024 };
    static char* stacks[maxCpus];
    unsigned const cpu = thisCpu();
    if (!stacks[cpu])
        stacks[cpu] = allocate(stackSize, 16);
    return ring3Call(function, argument, stacks[cpu] + stackSize, &taskState[cpu].rsp0);
}

unsigned thisCpu(void)
{
    uint16_t selector;
    __asm__ volatile("str %0" : "=r"(selector));
    return (unsigned)(selector - firstTaskState) / 16;
}

void loadTables(unsigned cpu)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } const idtPointer = { sizeof idt - 1, (uint64_t)idt };
    uint64_t const base = (uint64_t)&taskState[cpu], limit = sizeof taskState[0] - 1;
    uint64_t* const descriptor = gdt + firstTaskState / 8 + cpu * 2;
    taskState[cpu].ioMap = sizeof taskState[0];
    descriptor[0] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56; // available 64-bit TSS
    descriptor[1] = base >> 32;
    __asm__ volatile("lgdt %0" ::"m"(gdtPointer));
    __asm__ volatile("lidt %0" ::"m"(idtPointer));
    __asm__ volatile("ltr %w0" ::"r"(firstTaskState + cpu * 16));
}

static void startPic(void)
{
    out8(0x20, 0x11); // initialise, cascaded, with ICW4
    out8(0xa0, 0x11);
    out8(0x21, picBase);
    out8(0xa1, picBase + 8);
    out8(0x21, 4); // the second is on line 2
    out8(0xa1, 2);
    out8(0x21, 1); // 8086 mode
    out8(0xa1, 1);
    out8(0x21, 0xfb); // all masked but the cascade
    out8(0xa1, 0xff);
}

static void startTick(void)
{
    unsigned const divisor = 1193182 / ticksPerSecond;
    out8(0x43, 0x34); // channel 0, both bytes, mode 2
    out8(0x40, divisor & 0xff);
    out8(0x40, divisor >> 8);
    enableIrq(0, true);
}

void startInterrupts(void)
{
    for (unsigned i = 0; i < 256; i++) {
        uint64_t const entry = (uint64_t)vectorEntries + 16 * i;
        idt[i].low = (entry & 0xffff) | 0x08 << 16 | 0x8eull << 40 | (entry >> 16) << 48; // interrupt gate, ring 0
        idt[i].high = entry >> 32;
    }
    loadTables(0);
    MMIO32(0xfee000f0) = 0x1ff; // local APIC on; LINT0 takes what the 8259s say
    MMIO32(0xfee00350) = 0x700;
    startPic();
    startTick();
    __asm__ volatile("sti");
}
