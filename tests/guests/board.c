#include "bare/pci.h"
#include "lib/check.h"

/// The chipset: configuration space both ways, BARs, the LPC bridge's registers, ACPI's, fw_cfg, pvpanic.

enum { pmBase = 0x600, fwCfgSelect = 0x510, fwCfgData = 0x511, fwCfgDma = 0x514, panicPort = 0x505 };

/// Takes back what a firmware may have given, so that pciStart() has to give addresses itself.
static void forgetAddresses(void)
{
    for (uint8_t slot = 0; slot < 32; slot++) {
        for (uint8_t function = 0; function < 8; function++) {
            struct PciDevice const device = { .slot = slot, .function = function };
            if (pciRead16(&device, 0) == 0xffff || pciRead16(&device, 10) == 0x0600)
                continue;
            unsigned const bars = pciRead8(&device, 14) & 0x7f ? 2 : 6;
            pciWrite16(&device, 4, 0);
            for (unsigned i = 0; i < bars; i++)
                pciWrite32(&device, 0x10 + 4 * i, 0);
        }
    }
}

static void findsTheBoard(void)
{
    forgetAddresses();
    pciStart();
    for (unsigned i = 0; i < pciCount; i++) {
        struct PciDevice const* const device = &pciDevices[i];
        NOTE("pci %02x.%u %04x:%04x class %06x", device->slot, device->function, device->vendor, device->device,
            device->classCode);
    }
    EXPECT(pciFind(0x8086, 0x29c0, 0)); // the host bridge
    EXPECT(pciFind(0x8086, 0x2918, 0)); // the LPC bridge
    EXPECT_EQUAL(pciFind(0x8086, 0x2918, 0)->slot, 31);
}

static void emptySlotsAreAllOnes(void)
{
    for (uint8_t slot = 0; slot < 32; slot++) {
        bool taken = false;
        for (unsigned i = 0; i < pciCount; i++)
            taken |= pciDevices[i].slot == slot;
        struct PciDevice const nobody = { .slot = slot };
        if (!taken)
            EXPECT_EQUAL(pciRead32(&nobody, 0), 0xffffffff);
    }
}

static void addressPortHolds(void)
{
    out32(0xcf8, 0x80001234);
    EXPECT_EQUAL(in32(0xcf8), 0x80001234);
    out32(0xcf8, 0);
    EXPECT_EQUAL(in32(0xcfc), 0xffffffff); // not enabled
}

static void bothWaysAgree(void)
{
    struct PciDevice* const host = pciFind(0x8086, 0x29c0, 0);
    uint32_t ecam = pciRead32(host, 0x60);
    if (!(ecam & 1)) {
        pciWrite32(host, 0x60, 0xb0000001); // 256 buses
        ecam = pciRead32(host, 0x60);
    }
    EXPECT_EQUAL(ecam, 0xb0000001);
    for (unsigned i = 0; i < pciCount; i++) {
        struct PciDevice const* const device = &pciDevices[i];
        uint64_t const base = 0xb0000000 + ((uint64_t)device->slot << 15) + ((uint64_t)device->function << 12);
        for (unsigned offset = 0; offset < 64; offset += 4)
            EXPECT_EQUAL(MMIO32(base + offset), pciRead32(device, offset));
        EXPECT_EQUAL(MMIO8(base + 1), device->vendor >> 8);
        EXPECT_EQUAL(MMIO16(base + 2), device->device);
    }
}

static void barsAreApartAndAligned(void)
{
    for (unsigned i = 0; i < pciCount * 6; i++) {
        struct PciDevice const* const a = &pciDevices[i / 6];
        if (!a->barSize[i % 6])
            continue;
        NOTE("bar %02x.%u %u %lx %lx", a->slot, a->function, i % 6, a->bar[i % 6], a->barSize[i % 6]);
        EXPECT(a->bar[i % 6] != 0);
        EXPECT_EQUAL(a->bar[i % 6] & (a->barSize[i % 6] - 1), 0);
        for (unsigned j = 0; j < i; j++) {
            struct PciDevice const* const b = &pciDevices[j / 6];
            if (!b->barSize[j % 6] || a->barIsPort[i % 6] != b->barIsPort[j % 6])
                continue;
            EXPECT(a->bar[i % 6] >= b->bar[j % 6] + b->barSize[j % 6]
                || b->bar[j % 6] >= a->bar[i % 6] + a->barSize[i % 6]);
        }
    }
}

static void barMovesWithItsDevice(void)
{
    struct PciDevice* const vga = pciFind(0x1234, 0x1111, 0);
    if (!vga) {
        skip("no VGA");
        return;
    }
    uint32_t volatile* const here = (uint32_t volatile*)vga->bar[0];
    *here = 0x12345678;
    uint64_t const elsewhere = 0xe0000000;
    pciWrite16(vga, 4, pciRead16(vga, 4) & ~2);
    EXPECT(*here != 0x12345678); // nothing answers
    pciWrite32(vga, 0x10, (uint32_t)elsewhere);
    pciWrite16(vga, 4, pciRead16(vga, 4) | 2);
    EXPECT_EQUAL(MMIO32(elsewhere), 0x12345678);
    pciWrite16(vga, 4, pciRead16(vga, 4) & ~2);
    pciWrite32(vga, 0x10, (uint32_t)vga->bar[0]);
    pciWrite16(vga, 4, pciRead16(vga, 4) | 2);
    EXPECT_EQUAL(*here, 0x12345678);
}

static void readOnlyRegistersStay(void)
{
    for (unsigned i = 0; i < pciCount; i++) {
        struct PciDevice const* const device = &pciDevices[i];
        uint32_t const identity = pciRead32(device, 0), class = pciRead32(device, 8);
        pciWrite32(device, 0, ~identity);
        pciWrite32(device, 8, ~class);
        EXPECT_EQUAL(pciRead32(device, 0), identity);
        EXPECT_EQUAL(pciRead32(device, 8), class);
    }
}

static void pmRegistersAnswer(void)
{
    struct PciDevice* const bridge = pciFind(0x8086, 0x2918, 0);
    pciWrite32(bridge, 0x40, pmBase | 1);
    pciWrite8(bridge, 0x44, 0x80);
    EXPECT_EQUAL(pciRead32(bridge, 0x40), pmBase | 1);
    out16(pmBase + 2, 0x0120);
    EXPECT_EQUAL(in16(pmBase + 2), 0x0120);
    out16(pmBase + 2, 0);
    EXPECT_EQUAL(in16(pmBase + 2), 0);
    out16(pmBase, 0xffff); // writing ones clears
    EXPECT_EQUAL(in16(pmBase) & 0x0100, 0);
    EXPECT_EQUAL(in16(pmBase + 4) & 0x2000, 0); // SLP_EN reads as zero
    uint32_t const a = in32(pmBase + 8);
    wait(1);
    EXPECT(in32(pmBase + 8) != a);
}

/// With option button=1 the harness presses the power button.
static void powerButtonIsSeen(void)
{
    if (!option("button", 0)) {
        skip("nobody presses it");
        return;
    }
    out16(pmBase, 0x0100);
    out16(pmBase + 2, 0x0100);
    NOTE("press the power button");
    EXPECT(WAIT(in16(pmBase) & 0x0100, 20));
    out16(pmBase, 0x0100);
    EXPECT_EQUAL(in16(pmBase) & 0x0100, 0);
}

static uint32_t swap(uint32_t value)
{
    return __builtin_bswap32(value);
}

static void fwCfgSelects(uint16_t key)
{
    out16(fwCfgSelect, key);
}

static void fwCfgSigns(void)
{
    fwCfgSelects(0);
    char signature[5] = "";
    for (unsigned i = 0; i < 4; i++)
        signature[i] = (char)in8(fwCfgData);
    EXPECT(!strcmp(signature, "QEMU"));
    fwCfgSelects(1);
    EXPECT_EQUAL(in8(fwCfgData) & 3, 3);            // ports and DMA
    EXPECT_EQUAL(in32(fwCfgDma), swap(0x51454d55)); // "QEMU CFG", big-endian
}

static void fwCfgListsFiles(void)
{
    fwCfgSelects(0x19);
    uint32_t count = 0;
    for (unsigned i = 0; i < 4; i++)
        count = count << 8 | in8(fwCfgData);
    EXPECT(count > 0 && count < 256);
    for (uint32_t i = 0; i < count; i++) {
        struct __attribute__((packed)) {
            uint32_t size;
            uint16_t key, reserved;
            char name[56];
        } file;
        for (unsigned j = 0; j < sizeof file; j++)
            ((uint8_t*)&file)[j] = in8(fwCfgData);
        EXPECT_EQUAL(file.name[55], 0);
        EXPECT(file.name[0] != 0);
        EXPECT(__builtin_bswap16(file.key) >= 0x20);
        NOTE("fw_cfg %s %u", file.name, swap(file.size));
    }
}

static struct __attribute__((packed)) {
    uint32_t control, length;
    uint64_t address;
} dma __attribute__((aligned(16)));

static void fwCfgReadsByDma(void)
{
    static uint8_t byPort[64], byDma[64];
    fwCfgSelects(0x19);
    for (unsigned i = 0; i < sizeof byPort; i++)
        byPort[i] = in8(fwCfgData);
    dma.control = swap(0x19u << 16 | 8 | 2); // select and read
    dma.length = swap(sizeof byDma);
    dma.address = __builtin_bswap64((uint64_t)byDma);
    barrier();
    out32(fwCfgDma, 0);
    out32(fwCfgDma + 4, swap((uint32_t)(uintptr_t)&dma));
    EXPECT(WAIT(*(uint32_t volatile*)&dma.control == 0, 1));
    EXPECT(memcmp(byPort, byDma, sizeof byPort) == 0);
}

static void fwCfgRefusesBadDma(void)
{
    dma.control = swap(0x19u << 16 | 8 | 2);
    dma.length = swap(4096);
    dma.address = __builtin_bswap64(0xfffffffffffff000);
    barrier();
    out32(fwCfgDma, 0);
    out32(fwCfgDma + 4, swap((uint32_t)(uintptr_t)&dma));
    wait(1);
    EXPECT(*(uint32_t volatile*)&dma.control == 0 || *(uint32_t volatile*)&dma.control == swap(1));
}

static void panicDeviceTellsWhatItKnows(void)
{
    uint8_t const events = in8(panicPort);
    if (events == 0xff) {
        skip("no pvpanic");
        return;
    }
    EXPECT(events & 1);
}

static void missingPortsAreAllOnes(void)
{
    EXPECT_EQUAL(in8(0x1f7), 0xff); // no IDE channel
    EXPECT_EQUAL(in16(0xeee0), 0xffff);
    EXPECT_EQUAL(in32(0xeee0), 0xffffffff);
    if (option("strict", 0)) // QEMU answers with zeros here
        EXPECT_EQUAL(MMIO32(0xf8000000), 0xffffffff);
}

void program(void)
{
    run("board.findsTheBoard", findsTheBoard);
    run("board.emptySlotsAreAllOnes", emptySlotsAreAllOnes);
    run("board.addressPortHolds", addressPortHolds);
    run("board.bothWaysAgree", bothWaysAgree);
    run("board.barsAreApartAndAligned", barsAreApartAndAligned);
    run("board.barMovesWithItsDevice", barMovesWithItsDevice);
    run("board.readOnlyRegistersStay", readOnlyRegistersStay);
    run("board.pmRegistersAnswer", pmRegistersAnswer);
    run("board.powerButtonIsSeen", powerButtonIsSeen);
    run("board.fwCfgSigns", fwCfgSigns);
    run("board.fwCfgListsFiles", fwCfgListsFiles);
    run("board.fwCfgReadsByDma", fwCfgReadsByDma);
    run("board.fwCfgRefusesBadDma", fwCfgRefusesBadDma);
    run("board.panicDeviceTellsWhatItKnows", panicDeviceTellsWhatItKnows);
    run("board.missingPortsAreAllOnes", missingPortsAreAllOnes);
    finish();
}
