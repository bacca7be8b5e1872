#include "bare/pci.h"
#include "lib/check.h"

/// VGA (IBM VGA; text mode as far as its memory and registers go) and the Bochs VBE extensions.

enum {
    sequencer = 0x3c4,
    graphics = 0x3ce,
    crtc = 0x3d4,
    idIndex = 0,
    xres = 1,
    yres = 2,
    bpp = 3,
    enable = 4,
    virtualWidth = 6,
    virtualHeight = 7,
    xOffset = 8,
    yOffset = 9,
    memory64k = 10
};

static struct PciDevice* vga;

static uint16_t vbeRead(uint16_t index)
{
    out16(0x1ce, index);
    return in16(0x1cf);
}

static void vbeWrite(uint16_t index, uint16_t value)
{
    out16(0x1ce, index);
    out16(0x1cf, value);
}

static void indexed(uint16_t port, uint8_t index, uint8_t value)
{
    out8(port, index);
    out8(port + 1, value);
}

static uint8_t indexedRead(uint16_t port, uint8_t index)
{
    out8(port, index);
    return in8(port + 1);
}

static void isThere(void)
{
    EXPECT(vga);
    EXPECT_EQUAL(vga->classCode >> 8, 0x0300);
    EXPECT_EQUAL(vbeRead(idIndex) & 0xfff0, 0xb0c0);
    NOTE("memory %u KiB", vbeRead(memory64k) * 64);
    EXPECT(vbeRead(memory64k) * 65536ull <= vga->barSize[0]);
}

static void setMode(uint16_t width, uint16_t height, uint16_t depth)
{
    vbeWrite(enable, 0);
    vbeWrite(xres, width);
    vbeWrite(yres, height);
    vbeWrite(bpp, depth);
    vbeWrite(enable, 0x41);
}

static void modesAreTaken(void)
{
    static uint16_t const modes[][3] = { { 640, 480, 32 }, { 800, 600, 32 }, { 1024, 768, 32 }, { 1280, 1024, 32 },
        { 1920, 1080, 32 }, { 800, 600, 16 }, { 640, 480, 8 } };
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        setMode(modes[i][0], modes[i][1], modes[i][2]);
        EXPECT_EQUAL(vbeRead(xres), modes[i][0]);
        EXPECT_EQUAL(vbeRead(yres), modes[i][1]);
        EXPECT_EQUAL(vbeRead(bpp), modes[i][2]);
        EXPECT(vbeRead(enable) & 1);
        EXPECT(vbeRead(virtualWidth) >= modes[i][0]);
    }
}

static void capabilitiesAreTold(void)
{
    vbeWrite(enable, 2); // GETCAPS
    unsigned const width = vbeRead(xres), height = vbeRead(yres), depth = vbeRead(bpp);
    vbeWrite(enable, 0);
    NOTE("at most %ux%u, %u bits", width, height, depth);
    EXPECT(width >= 1920 && height >= 1080 && depth == 32);
}

static uint64_t fill(uint64_t size)
{
    uint32_t volatile* const pixels = (uint32_t volatile*)vga->bar[0];
    for (uint64_t i = 0; i < size; i++)
        pixels[i] = (uint32_t)(i * 0x9e3779b1u);
    uint64_t wrong = 0;
    for (uint64_t i = 0; i < size; i++)
        wrong += pixels[i] != (uint32_t)(i * 0x9e3779b1u);
    return wrong;
}

static void frameBufferIsMemory(void)
{
    setMode(800, 600, 32);
    EXPECT_EQUAL(runInRing3(fill, 800 * 600), 0);
    uint32_t volatile* const last = (uint32_t volatile*)(vga->bar[0] + vbeRead(memory64k) * 65536ull - 4);
    *last = 0xcafe;
    EXPECT_EQUAL(*last, 0xcafe);
}

static void enablingClears(void)
{
    MMIO32(vga->bar[0]) = 0x00ffffff;
    setMode(800, 600, 32);
    EXPECT_EQUAL(MMIO32(vga->bar[0]), 0);
    MMIO32(vga->bar[0]) = 0x00ffffff;
    vbeWrite(enable, 0);
    vbeWrite(enable, 0xc1); // keep the memory
    EXPECT_EQUAL(MMIO32(vga->bar[0]), 0x00ffffff);
}

static void widePicturesScroll(void)
{
    setMode(800, 600, 32);
    vbeWrite(virtualWidth, 1024);
    EXPECT_EQUAL(vbeRead(virtualWidth), 1024);
    vbeWrite(xOffset, 10);
    vbeWrite(yOffset, 20);
    EXPECT_EQUAL(vbeRead(xOffset), 10);
    EXPECT_EQUAL(vbeRead(yOffset), 20);
    vbeWrite(xOffset, 0);
    vbeWrite(yOffset, 0);
}

static void oddModesDoNoHarm(void)
{
    static uint16_t const odd[][3]
        = { { 0, 0, 32 }, { 65535, 65535, 32 }, { 800, 600, 7 }, { 801, 600, 32 }, { 1, 1, 4 } };
    for (unsigned i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        setMode(odd[i][0], odd[i][1], odd[i][2]);
        vbeWrite(yOffset, 65535);
        vbeWrite(virtualWidth, 65535);
        wait(2); // somebody may look at the picture meanwhile
    }
    for (uint16_t index = 11; index < 64; index++)
        vbeWrite(index, 0xffff);
    setMode(800, 600, 32);
    EXPECT_EQUAL(vbeRead(xres), 800);
}

static void registersByMemory(void)
{
    if (!vga->bar[2]) {
        skip("no BAR 2");
        return;
    }
    setMode(1024, 768, 32);
    uint64_t const vbe = vga->bar[2] + 0x500;
    EXPECT_EQUAL(MMIO16(vbe + 2 * xres), 1024);
    MMIO16(vbe + 2 * enable) = 0;
    MMIO16(vbe + 2 * xres) = 640;
    EXPECT_EQUAL(vbeRead(xres), 640);
    EXPECT_EQUAL(MMIO32(vga->bar[2] + 0x600), 8); // how long the next part is
}

static void textMode(void)
{
    vbeWrite(enable, 0);
    out8(0x3c2, 0x67); // colour addresses, memory on
    indexed(sequencer, 0, 3);
    indexed(sequencer, 2, 3); // planes 0 and 1
    indexed(sequencer, 4, 2); // odd and even
    indexed(graphics, 5, 0x10);
    indexed(graphics, 6, 0x0e); // text, at B8000
    indexed(crtc, 0x11, 0);     // unlock
    indexed(crtc, 0x01, 79);
    indexed(crtc, 0x09, 15);
    indexed(crtc, 0x12, 0x8f);
    indexed(crtc, 0x07, 0x1f);
    indexed(crtc, 0x13, 40);
    indexed(crtc, 0x17, 0xa3);
    in8(0x3da);
    out8(0x3c0, 0x10);
    out8(0x3c0, 0x0c);
    out8(0x3c0, 0x20);
    EXPECT_EQUAL(indexedRead(crtc, 0x01), 79);
    EXPECT_EQUAL(indexedRead(graphics, 6), 0x0e);
    uint16_t volatile* const text = (uint16_t volatile*)0xb8000;
    for (unsigned i = 0; i < 80 * 25; i++)
        text[i] = (uint16_t)(0x0700 | (' ' + i % 95));
    unsigned wrong = 0;
    for (unsigned i = 0; i < 80 * 25; i++)
        wrong += text[i] != (uint16_t)(0x0700 | (' ' + i % 95));
    EXPECT_EQUAL(wrong, 0);
    indexed(crtc, 0x0e, 0x01);
    indexed(crtc, 0x0f, 0x23);
    EXPECT_EQUAL(indexedRead(crtc, 0x0e) << 8 | indexedRead(crtc, 0x0f), 0x0123); // the cursor
}

static void paletteHolds(void)
{
    out8(0x3c8, 16);
    for (uint8_t i = 0; i < 48; i++)
        out8(0x3c9, i);
    out8(0x3c7, 16);
    for (uint8_t i = 0; i < 48; i++)
        EXPECT_EQUAL(in8(0x3c9), i);
}

static void planesAreApart(void)
{
    indexed(sequencer, 4, 6); // planar
    indexed(graphics, 5, 0);
    indexed(graphics, 6, 5); // graphics, A0000
    indexed(graphics, 8, 0xff);
    for (uint8_t plane = 0; plane < 4; plane++) {
        indexed(sequencer, 2, (uint8_t)(1 << plane));
        MMIO8(0xa0000) = (uint8_t)(0x10 + plane);
    }
    for (uint8_t plane = 0; plane < 4; plane++) {
        indexed(graphics, 4, plane);
        EXPECT_EQUAL(MMIO8(0xa0000), 0x10 + plane);
    }
}

void program(void)
{
    pciStart();
    vga = pciFind(0x1234, 0x1111, 0);
    run("display.isThere", isThere);
    if (!vga)
        finish();
    run("display.capabilitiesAreTold", capabilitiesAreTold);
    run("display.modesAreTaken", modesAreTaken);
    run("display.frameBufferIsMemory", frameBufferIsMemory);
    run("display.enablingClears", enablingClears);
    run("display.widePicturesScroll", widePicturesScroll);
    run("display.oddModesDoNoHarm", oddModesDoNoHarm);
    run("display.registersByMemory", registersByMemory);
    run("display.textMode", textMode);
    run("display.paletteHolds", paletteHolds);
    run("display.planesAreApart", planesAreApart);
    finish();
}
