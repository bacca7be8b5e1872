#pragma once

#include "bare/pci.h"

/// The local APIC, the IOAPIC, and MSI-X.

enum {
    localApic = 0xfee00000,
    ioApic = 0xfec00000,
    apicId = 0x20,
    apicVersion = 0x30,
    apicEoi = 0xb0,
    apicSpurious = 0xf0,
    apicIrr = 0x200,
    apicCommand = 0x300,
    apicTimer = 0x320,
    apicLint0 = 0x350,
    apicInitial = 0x380,
    apicCurrent = 0x390,
    apicDivide = 0x3e0,
};

static inline uint32_t apicRead(unsigned offset)
{
    return MMIO32(localApic + offset);
}
static inline void apicWrite(unsigned offset, uint32_t value)
{
    MMIO32(localApic + offset) = value;
}

/// Sends an interrupt command and waits until it is on its way.
void apicSend(unsigned to, uint32_t command);

enum { ioLevel = 1 << 15, ioLow = 1 << 13, ioMasked = 1 << 16 };

uint32_t ioApicRead(unsigned index);
void ioApicWrite(unsigned index, uint32_t value);

/// Lets a pin raise `vector` on the first processor; flags as above.
void ioApicRoute(unsigned pin, uint8_t vector, uint32_t flags);

/// A device's table entry; the number of entries, 0 without MSI-X.
unsigned msixEntries(struct PciDevice const*);
void msixRoute(struct PciDevice const*, unsigned entry, uint8_t vector);
void msixMask(struct PciDevice const*, unsigned entry, bool masked);
bool msixPending(struct PciDevice const*, unsigned entry);
