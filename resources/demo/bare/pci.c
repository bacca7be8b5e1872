#include "pci.h"

struct PciDevice pciDevices[64];
unsigned pciCount;

// Where addresses are given out when nobody has: the 32-bit hole of the machine, and ports that nothing fixed uses.
static uint64_t nextMemory = 0xc0000000, nextPort = 0xc000;
static uint64_t const memoryEnd = 0xfec00000, portEnd = 0x10000;

static void select(struct PciDevice const* device, unsigned offset)
{
    out32(0xcf8, 0x80000000u | (uint32_t)device->slot << 11 | (uint32_t)device->function << 8 | (offset & 0xfc));
}

uint32_t pciRead32(struct PciDevice const* device, unsigned offset)
{
    select(device, offset);
    return in32(0xcfc);
}

uint16_t pciRead16(struct PciDevice const* device, unsigned offset)
{
    select(device, offset);
    return in16((uint16_t)(0xcfc + (offset & 2)));
}

uint8_t pciRead8(struct PciDevice const* device, unsigned offset)
{
    select(device, offset);
    return in8((uint16_t)(0xcfc + (offset & 3)));
}

void pciWrite32(struct PciDevice const* device, unsigned offset, uint32_t value)
{
    select(device, offset);
    out32(0xcfc, value);
}

void pciWrite16(struct PciDevice const* device, unsigned offset, uint16_t value)
{
    select(device, offset);
    out16((uint16_t)(0xcfc + (offset & 2)), value);
}

void pciWrite8(struct PciDevice const* device, unsigned offset, uint8_t value)
{
    select(device, offset);
    out8((uint16_t)(0xcfc + (offset & 3)), value);
}

static uint64_t place(uint64_t* next, uint64_t end, uint64_t size)
{
    uint64_t const address = (*next + size - 1) & ~(size - 1);
    if (address + size > end)
        return 0;
    *next = address + size;
    return address;
}

/// Reads a BAR, measures it, and gives it an address if it has none. Returns how many registers it takes.
static unsigned setUpBar(struct PciDevice* device, unsigned index)
{
    unsigned const offset = 0x10 + 4 * index;
    uint32_t const before = pciRead32(device, offset);
    pciWrite32(device, offset, 0xffffffff);
    uint32_t const mask = pciRead32(device, offset);
    pciWrite32(device, offset, before);
    if (mask == 0)
        return 1;
    bool const isPort = mask & 1;
    bool const isWide = !isPort && (mask & 6) == 4;
    uint32_t const flags = isPort ? 3 : 15;
    uint64_t address = before & ~flags;
    if (isWide)
        address |= (uint64_t)pciRead32(device, offset + 4) << 32;
    uint64_t const size = isPort ? -(mask & 0xfffcu) & 0xffff : -(uint64_t)(mask & ~flags) & 0xffffffff;
    if (address == 0) {
        address = isPort ? place(&nextPort, portEnd, size) : place(&nextMemory, memoryEnd, size);
        pciWrite32(device, offset, (uint32_t)address);
        if (isWide)
            pciWrite32(device, offset + 4, 0);
    }
    device->bar[index] = address;
    device->barSize[index] = size;
    device->barIsPort[index] = isPort;
    return isWide ? 2 : 1;
}

static void setUp(struct PciDevice* device, unsigned bars)
{
    uint16_t const decoding = 3, mastering = 4, noIntx = 0x400;
    uint16_t const command = pciRead16(device, 4);
    pciWrite16(device, 4, command & ~decoding); // nothing may answer at the addresses that measuring writes
    for (unsigned i = 0; i < bars;)
        i += setUpBar(device, i);
    pciWrite16(device, 4, command | decoding | mastering | noIntx);
}

void pciStart(void)
{
    if (pciCount)
        return;
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned function = 0; function < 8 && pciCount < 64; function++) {
            struct PciDevice* const device = &pciDevices[pciCount];
            *device = (struct PciDevice) { .slot = (uint8_t)slot, .function = (uint8_t)function };
            uint32_t const identity = pciRead32(device, 0);
            if ((identity & 0xffff) == 0xffff) {
                if (function == 0)
                    break;
                continue;
            }
            device->vendor = (uint16_t)identity;
            device->device = (uint16_t)(identity >> 16);
            device->classCode = pciRead32(device, 8) >> 8;
            uint8_t const headerType = pciRead8(device, 14);
            pciCount++;
            if (device->classCode >> 8 != 0x0600) // the host bridge has none
                setUp(device, (headerType & 0x7f) == 0 ? 6 : 2);
            if (function == 0 && !(headerType & 0x80))
                break;
        }
    }
}

struct PciDevice* pciFind(uint16_t vendor, uint16_t device, unsigned n)
{
    for (unsigned i = 0; i < pciCount; i++) {
        if (pciDevices[i].vendor == vendor && pciDevices[i].device == device && n-- == 0)
            return &pciDevices[i];
    }
    return NULL;
}

struct PciDevice* pciFindClass(unsigned classCode, unsigned n)
{
    for (unsigned i = 0; i < pciCount; i++) {
        if (pciDevices[i].classCode >> 8 == classCode && n-- == 0)
            return &pciDevices[i];
    }
    return NULL;
}

unsigned pciCapability(struct PciDevice const* device, uint8_t kind, unsigned after)
{
    if (!(pciRead16(device, 6) & 0x10))
        return 0;
    unsigned at = pciRead8(device, after ? after + 1 : 0x34) & 0xfc;
    for (unsigned hops = 0; at && hops < 48; hops++) {
        if (pciRead8(device, at) == kind)
            return at;
        at = pciRead8(device, at + 1) & 0xfc;
    }
    return 0;
}
