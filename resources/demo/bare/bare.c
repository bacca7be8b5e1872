#include "traps.h"

#include <stdarg.h>

/// The start in C, memory, text and the serial line.

char commandLine[1024];
struct MemoryRange memoryMap[64];
unsigned memoryRanges;
extern uint32_t startInfo;
extern char imageEnd[];

/// PVH's struct hvm_start_info, as far as it is used here (Xen, public/arch-x86/hvm/start_info.h, version 1).
struct StartInfo {
    uint32_t magic, version, flags, moduleCount;
    uint64_t modules, commandLine, rsdp, memoryMap;
    uint32_t memoryRanges, reserved;
};

/// Copies what the loader left in low memory, before anything else is written there.
static void readStartInfo(void)
{
    struct StartInfo const* info = (struct StartInfo const*)(uintptr_t)startInfo;
    if (!info || info->magic != 0x336ec578)
        return;
    char const* text = (char const*)info->commandLine;
    for (size_t i = 0; text && text[i] && i + 1 < sizeof commandLine; i++)
        commandLine[i] = text[i];
    struct MemoryRange const* ranges = (struct MemoryRange const*)info->memoryMap;
    for (unsigned i = 0; info->version >= 1 && i < info->memoryRanges && i < 64; i++)
        memoryMap[memoryRanges++] = ranges[i];
}

void bareMain(void);
void bareMain(void)
{
    readStartInfo();
    serialStart(com1);
    startInterrupts();
    program();
}

uint64_t option(char const* name, uint64_t otherwise)
{
    size_t const length = strlen(name);
    for (char const* at = commandLine; *at; at++) {
        if ((at != commandLine && at[-1] != ' ') || !startsWith(at, name) || at[length] != '=')
            continue;
        uint64_t value = 0;
        for (at += length + 1; *at >= '0' && *at <= '9'; at++)
            value = value * 10 + (uint64_t)(*at - '0');
        return value;
    }
    return otherwise;
}

void* allocate(size_t size, size_t alignment)
{
    static uintptr_t next;
    uintptr_t seen = next, start;
    do
        start = ((seen ? seen : (uintptr_t)imageEnd) + alignment - 1) & ~(alignment - 1);
    while (!__atomic_compare_exchange_n(&next, &seen, start + size, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
    return memset((void*)start, 0, size);
}

// Eight bytes at a time: where ring 0 is emulated, each step of a string instruction costs the same.

void* memset(void* to, int value, size_t size)
{
    void* const start = to;
    uint64_t const pattern = (uint8_t)value * 0x0101010101010101ull;
    size_t words = size / 8;
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    size &= 7;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(pattern) : "memory");
    return start;
}

void* memcpy(void* to, void const* from, size_t size)
{
    void* const start = to;
    size_t words = size / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
    size &= 7;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
    return start;
}

int memcmp(void const* a, void const* b, size_t size)
{
    uint8_t const *x = a, *y = b;
    for (; size; size--, x++, y++) {
        if (*x != *y)
            return *x - *y;
    }
    return 0;
}

size_t strlen(char const* text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

int strcmp(char const* a, char const* b)
{
    while (*a && *a == *b)
        a++, b++;
    return (uint8_t)*a - (uint8_t)*b;
}

bool startsWith(char const* text, char const* beginning)
{
    while (*beginning) {
        if (*text++ != *beginning++)
            return false;
    }
    return true;
}

void serialStart(uint16_t base)
{
    out8(base + 3, 0x80); // DLAB
    out8(base + 0, 1);    // 115200 baud
    out8(base + 1, 0);
    out8(base + 3, 0x03); // 8N1
    out8(base + 2, 0x07); // FIFOs on and empty
    out8(base + 4, 0x0b); // DTR, RTS, OUT2: the last lets the interrupt out
    out8(base + 1, 0x01); // when something was received
}

void serialPut(uint16_t base, char c)
{
    while (!(in8(base + 5) & 0x20)) { }
    out8(base, (uint8_t)c);
}

int serialGet(uint16_t base)
{
    return in8(base + 5) & 1 ? in8(base) : -1;
}

static void printToCom1(char c)
{
    if (c == '\n')
        serialPut(com1, '\r');
    serialPut(com1, c);
}

void (*printTo)(char) = printToCom1;

static void printNumber(uint64_t value, unsigned base, unsigned width, char fill)
{
    char digits[24];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    for (; width > count; width--)
        printTo(fill);
    while (count)
        printTo(digits[--count]);
}

void print(char const* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    for (char const* at = format; *at; at++) {
        if (*at != '%') {
            printTo(*at);
            continue;
        }
        char const fill = *++at == '0' ? '0' : ' ';
        unsigned width = 0;
        for (; *at >= '0' && *at <= '9'; at++)
            width = width * 10 + (unsigned)(*at - '0');
        bool const isLong = *at == 'l';
        if (isLong)
            at++;
        switch (*at) {
        case 'c': printTo((char)va_arg(arguments, int)); break;
        case 's': {
            char const* text = va_arg(arguments, char const*);
            for (; *text; text++, width -= width != 0)
                printTo(*text);
            for (; width; width--)
                printTo(' ');
            break;
        }
        case 'd': {
            int64_t const value = isLong ? va_arg(arguments, int64_t) : va_arg(arguments, int);
            if (value < 0)
                printTo('-');
            printNumber(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width, fill);
            break;
        }
        case 'u':
        case 'x': {
            uint64_t const value = isLong ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
            printNumber(value, *at == 'x' ? 16 : 10, width, fill);
            break;
        }
        default: printTo(*at);
        }
    }
    va_end(arguments);
}
