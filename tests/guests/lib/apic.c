#include "apic.h"

void apicSend(unsigned to, uint32_t command)
{
    apicWrite(apicCommand + 0x10, to << 24);
    apicWrite(apicCommand, command);
    while (apicRead(apicCommand) & 1 << 12) { }
}

uint32_t ioApicRead(unsigned index)
{
    MMIO32(ioApic) = index;
    return MMIO32(ioApic + 0x10);
}

void ioApicWrite(unsigned index, uint32_t value)
{
    MMIO32(ioApic) = index;
    MMIO32(ioApic + 0x10) = value;
}

void ioApicRoute(unsigned pin, uint8_t vector, uint32_t flags)
{
    ioApicWrite(0x11 + 2 * pin, (apicRead(apicId) >> 24) << 24);
    ioApicWrite(0x10 + 2 * pin, vector | flags);
}

static uint64_t table(struct PciDevice const* device, unsigned at, unsigned offset)
{
    uint32_t const where = pciRead32(device, at + offset);
    return device->bar[where & 7] + (where & ~7u);
}

unsigned msixEntries(struct PciDevice const* device)
{
    unsigned const at = pciCapability(device, 0x11, 0);
    return at ? (pciRead16(device, at + 2) & 0x7ffu) + 1 : 0;
}

void msixRoute(struct PciDevice const* device, unsigned entry, uint8_t vector)
{
    unsigned const at = pciCapability(device, 0x11, 0);
    uint64_t const row = table(device, at, 4) + 16 * entry;
    pciWrite16(device, at + 2, 0x8000); // on, nothing masked as a whole
    MMIO32(row) = localApic | (apicRead(apicId) >> 24) << 12;
    MMIO32(row + 4) = 0;
    MMIO32(row + 8) = vector;
    MMIO32(row + 12) = 0;
}

void msixMask(struct PciDevice const* device, unsigned entry, bool masked)
{
    MMIO32(table(device, pciCapability(device, 0x11, 0), 4) + 16 * entry + 12) = masked;
}

bool msixPending(struct PciDevice const* device, unsigned entry)
{
    uint64_t const bits = table(device, pciCapability(device, 0x11, 0), 8);
    return MMIO32(bits + entry / 32 * 4) >> (entry % 32) & 1;
}
