#include "bare/pci.h"
#include "demo.h"

/// Without ACPI tables: the registers of the ICH9 where the machine has them, or where this asks them to be.

enum {
    pmBase = 0x600,
    status = pmBase,
    enable = pmBase + 2,
    control = pmBase + 4,
    powerButton = 1 << 8,
    sleep = 1 << 13
};

static bool hasRegisters;

void powerStart(void)
{
    struct PciDevice const* const bridge = pciFind(0x8086, 0x2918, 0);
    if (!bridge)
        return;
    hasRegisters = true;
    pciWrite32(bridge, 0x40, pmBase | 1);
    pciWrite8(bridge, 0x44, 0x80); // ACPI_EN: decode them
    out16(status, powerButton);    // a press from before counts no more
    out16(enable, powerButton);    // its interrupt stays masked: the status is polled
}

void powerWork(void)
{
    static uint64_t next;
    if (!hasRegisters || now() < next)
        return;
    next = now() + ticksPerSecond / 5;
    if (in16(status) & powerButton) {
        out16(status, powerButton);
        print("\nThe power button was pressed.\n");
        powerOff();
    }
}

static uint8_t readCmos(uint8_t index)
{
    out8(0x70, index);
    return in8(0x71);
}

struct Clock readClock(void)
{
    while (readCmos(0x0a) & 0x80) { } // the update takes less than 2 ms
    unsigned value[] = { readCmos(9), readCmos(8), readCmos(7), readCmos(4), readCmos(2), readCmos(0) };
    bool const binary = readCmos(0x0b) & 4;
    for (unsigned i = 0; !binary && i < 6; i++)
        value[i] = (value[i] >> 4) * 10 + (value[i] & 15);
    return (struct Clock) { 2000 + value[0], value[1], value[2], value[3], value[4], value[5] };
}

static void end(char const* text)
{
    print("%s\n", text);
    pictureFarewell(text);
    diskClose();
}

void powerOff(void)
{
    end("Good night.");
    out16(control, sleep); // SLP_TYP 0 is "soft off" here
    for (;;)
        halt();
}

void reboot(void)
{
    end("Back in a moment.");
    out8(0xcf9, 0x02);
    out8(0xcf9, 0x06);
    for (;;)
        halt();
}
