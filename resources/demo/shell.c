#include "demo.h"

static char line[64];
static unsigned length;
static uint64_t serialInterrupts;

/// What is printed goes to the serial line and to the screen.
static void putBoth(char c)
{
    terminalPut(c);
    if (c == '\n')
        serialPut(com1, '\r');
    serialPut(com1, c);
}

static void sayHelp(char const* argument);

static void sayTime(char const* argument)
{
    (void)argument;
    struct Clock const clock = readClock();
    uint64_t const seconds = now() / ticksPerSecond;
    print("%u-%02u-%02u %02u:%02u:%02u UTC, %lu:%02lu since this boot\n", clock.year, clock.month, clock.day,
        clock.hour, clock.minute, clock.second, seconds / 60, seconds % 60);
}

static void sayCount(char const* argument)
{
    (void)argument;
    static char const* const said[]
        = { "There is no disk: the count is in memory alone", "The disk holds something else and is left alone",
              "Memory and disk agree", "MEMORY AND DISK DO NOT AGREE", "The disk does not answer as it should" };
    print("%s. Boot %lu, %lu seconds in all", said[disk.state], disk.boots, disk.seconds);
    if (disk.state == diskAgrees || disk.state == diskDisagrees)
        print(", %lu on disk", disk.found);
    print(".\n");
}

static void draw(char const* argument)
{
    if (!pictureShape(argument))
        print("draw wave, draw pulse or draw steps\n");
}

static void colour(char const* argument)
{
    if (!pictureColour(argument))
        print("color blue, color green, color amber or color violet\n");
}

// A pattern over much memory, to be found again after a suspend. It lies above the program and below 1 GiB.
static uint64_t const patternStart = 32 << 20, patternEnd = 1024 << 20;
static uint64_t patternSize, patternSeed;

static uint64_t usableFrom(uint64_t start)
{
    for (unsigned i = 0; i < memoryRanges; i++) {
        uint64_t const end = memoryMap[i].start + memoryMap[i].size;
        if (memoryMap[i].type == 1 && memoryMap[i].start <= start && end > start)
            return (end < patternEnd ? end : patternEnd) - start;
    }
    return 0;
}

static void fillMemory(uint64_t mebibytes)
{
    uint64_t const limit = usableFrom(patternStart);
    patternSize = mebibytes << 20;
    if (mebibytes > 1024 || patternSize > limit)
        patternSize = limit & ~0xfffull;
    patternSeed = now() * 0x9e3779b97f4a7c15;
    for (uint64_t at = 0; at < patternSize; at += 8)
        *(uint64_t*)(patternStart + at) = (at + patternSeed) * 0xff51afd7ed558ccd;
    print("%lu MiB filled; \"mem check\" reads them again.\n", patternSize >> 20);
}

static void checkMemory(void)
{
    uint64_t wrong = 0;
    for (uint64_t at = 0; at < patternSize; at += 8)
        wrong += *(uint64_t*)(patternStart + at) != (at + patternSeed) * 0xff51afd7ed558ccd;
    print("%lu MiB read, %lu of %lu words wrong.\n", patternSize >> 20, wrong, patternSize / 8);
}

static void memory(char const* argument)
{
    if (startsWith(argument, "fill ")) {
        uint64_t mebibytes = 0;
        for (char const* at = argument + 5; *at >= '0' && *at <= '9' && mebibytes < 1 << 20; at++)
            mebibytes = mebibytes * 10 + (uint64_t)(*at - '0');
        fillMemory(mebibytes);
    } else if (!strcmp(argument, "check")) {
        checkMemory();
    } else {
        uint64_t total = 0;
        for (unsigned i = 0; i < memoryRanges; i++) {
            if (memoryMap[i].type != 1)
                continue;
            print("%012lx - %012lx\n", memoryMap[i].start, memoryMap[i].start + memoryMap[i].size - 1);
            total += memoryMap[i].size;
        }
        print("%lu MiB of memory; also: mem fill MEGABYTES, mem check\n", total >> 20);
    }
}

static void about(char const* argument)
{
    (void)argument;
    print("A few kilobytes of C that need no operating system: resources/demo in\n"
          "Chronovisor's source. Suspend this machine, close the window, come back:\n"
          "picture, count and disk go on together.\n");
}

static void doReboot(char const* argument)
{
    (void)argument;
    reboot();
}

static void doPowerOff(char const* argument)
{
    (void)argument;
    powerOff();
}

static struct {
    char const *name, *meaning;
    void (*run)(char const* argument);
} const commands[] = {
    { "help", "this list", sayHelp },
    { "time", "the clock, and the time since boot", sayTime },
    { "count", "what memory and disk have counted", sayCount },
    { "draw", "wave, pulse or steps", draw },
    { "color", "blue, green, amber or violet", colour },
    { "mem", "the memory; fill it and check it", memory },
    { "about", "what this is", about },
    { "reboot", "start again", doReboot },
    { "poweroff", "stop in good order", doPowerOff },
};

enum { commandCount = sizeof commands / sizeof commands[0] };

static void sayHelp(char const* argument)
{
    (void)argument;
    for (unsigned i = 0; i < commandCount; i++)
        print("%9s%s%s", commands[i].name, commands[i].meaning, i % 2 && i + 1 < commandCount ? "\n" : "    ");
    print("\n");
}

static void run(void)
{
    unsigned split = 0;
    while (line[split] && line[split] != ' ')
        split++;
    char const* const argument = line[split] ? line + split + 1 : "";
    line[split] = '\0';
    if (!line[0])
        return;
    for (unsigned i = 0; i < commandCount; i++) {
        if (!strcmp(line, commands[i].name)) {
            commands[i].run(argument);
            return;
        }
    }
    print("\"%s\" is no command here; \"help\" lists them.\n", line);
}

static void prompt(void)
{
    length = 0;
    print("> ");
}

void shellType(char c)
{
    if (c == '\r' || c == '\n') {
        print("\n");
        line[length] = '\0';
        run();
        prompt();
    } else if (c == '\b' || c == 0x7f) {
        if (length) {
            length--;
            print("\b \b");
        }
    } else if (c >= ' ' && c < 0x7f && length + 1 < sizeof line) {
        line[length++] = c;
        print("%c", c);
    }
}

void shellStart(void)
{
    printTo = putBoth;
    enableIrq(4, true);
    print("\nChronovisor demo machine, boot %lu. Type \"help\".\n", disk.boots);
    prompt();
}

void shellWork(void)
{
    static char last;
    if (serialInterrupts == interrupts[picBase + 4])
        return;
    serialInterrupts = interrupts[picBase + 4];
    for (int c; (c = serialGet(com1)) >= 0; last = (char)c) {
        if (c == '\n' && last == '\r')
            continue; // one key, two characters
        shellType((char)c);
        pictureNote(eventSerial);
    }
}
