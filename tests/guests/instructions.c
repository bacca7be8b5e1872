#include "lib/check.h"

/// Instructions of the kernel that a KVM without hardware help can neither run nor emulate: done for it, refused as a
/// processor refuses them, or the end of the machine, but never a hang.

struct Identity {
    uint32_t a, b, c, d;
};

static struct Identity identify(uint32_t leaf)
{
    struct Identity found = { leaf, 0, 0, 0 };
    __asm__ volatile("cpuid" : "+a"(found.a), "=b"(found.b), "+c"(found.c), "=d"(found.d));
    return found;
}

static uint64_t countBits(uint64_t value)
{
    uint64_t count;
    __asm__ volatile("popcntq %1, %0" : "=r"(count) : "r"(value) : "cc");
    return count;
}

static void populationCount(void)
{
    if (!(identify(1).c & 1 << 23)) {
        skip("this processor has no POPCNT");
        return;
    }
    EXPECT_EQUAL(countBits(0), 0);
    EXPECT_EQUAL(countBits(0x8000000000000001), 2);
    EXPECT_EQUAL(countBits(~0ull), 64);
}

static void checksum(void)
{
    if (!(identify(1).c & 1 << 20)) {
        skip("this processor has no SSE4.2");
        return;
    }
    uint64_t sum = 0xffffffff;
    __asm__ volatile("crc32q %1, %0" : "+r"(sum) : "r"(0x3837363534333231)); // "12345678"
    EXPECT_EQUAL(sum, 0x9f787f65);
}

static uint64_t flags(void)
{
    uint64_t value;
    __asm__ volatile("pushfq; popq %0" : "=r"(value));
    return value;
}

static void accessFlag(void)
{
    if (identify(0).a < 7 || !(identify(7).b & 1 << 20)) {
        skip("this processor has no SMAP");
        return;
    }
    __asm__ volatile("stac" ::: "cc");
    uint64_t const with = flags();
    __asm__ volatile("clac" ::: "cc");
    uint64_t const without = flags();
    EXPECT_EQUAL(with & 1 << 18, 1 << 18);
    EXPECT_EQUAL(without & 1 << 18, 0);
}

extern char const behindBreakpoint[];

static void breakHere(void)
{
    __asm__ volatile("int3; .globl behindBreakpoint; behindBreakpoint:");
}

static void breakpoint(void)
{
    EXPECT_EQUAL(faultOf(breakHere), 3);
    EXPECT_EQUAL(faultAddress, (uint64_t)behindBreakpoint);
}

static void softwareInterrupt(void)
{
    uint64_t const before = interrupts[0x77];
    __asm__ volatile("int $0x77" ::: "memory");
    EXPECT_EQUAL(interrupts[0x77], before + 1);
}

static uint64_t answer;

static void vmcall(void)
{
    __asm__ volatile("vmcall" : "=a"(answer) : "a"(0xffff) : "memory");
}

static void vmmcall(void)
{
    __asm__ volatile("vmmcall" : "=a"(answer) : "a"(0xffff) : "memory");
}

/// KVM has no hypercall of that number (-KVM_ENOSYS), or the processor does not know the instruction.
static void hypercalls(void)
{
    static void (*const both[])(void) = { vmcall, vmmcall };
    for (unsigned i = 0; i < 2; i++) {
        answer = 0;
        int const fault = faultOf(both[i]);
        NOTE("hypercall %u: fault %d, answer %lx", i, fault, answer);
        if (fault != 6) {
            EXPECT_EQUAL(fault, -1);
            EXPECT_EQUAL(answer, (uint64_t)-1000);
        }
    }
}

/// No KVM emulates this one on registers of a device, where nothing is.
static void exchange16(void)
{
    uint64_t low = 0, high = 0;
    __asm__ volatile(".globl exchangeHere; exchangeHere: cmpxchg16b (%2)"
                     : "+a"(low), "+d"(high)
                     : "D"(0xfed40000ull), "b"(0), "c"(0)
                     : "memory", "cc");
}

extern char const exchangeHere[];

/// Goes on where neither memory nor a device is.
static void nowhere(void)
{
    ((void (*)(void))0xfed40000ull)();
}

void program(void)
{
    run("instructions.populationCount", populationCount);
    run("instructions.checksum", checksum);
    run("instructions.accessFlag", accessFlag);
    run("instructions.breakpoint", breakpoint);
    run("instructions.softwareInterrupt", softwareInterrupt);
    run("instructions.hypercalls", hypercalls);
    if (option("crash", 0)) {
        NOTE("crash at %lx", (uint64_t)exchangeHere);
        run("instructions.exchange16", exchange16);
    }
    if (option("nowhere", 0))
        run("instructions.nowhere", nowhere);
    finish();
}
