#include "bare/pci.h"
#include "lib/check.h"

/// What else only firmware meets: the flash chip that holds its variables (Intel 290667, "3 Volt Intel StrataFlash
/// Memory", "Command Definitions"), the registers by which C0000-FFFFF is ROM or RAM, and the port for its log. The
/// harness boots it as firmware: 512 KiB that end at 4 GiB, and right below them 64 KiB of flash, each byte of which it
/// has given firstByte(). While it is in the middle of something the machine goes away.

enum { sectorSize = 4096, flashSize = 16 * sectorSize, debugPort = 0x402 };
enum { erase = 0x20, program8 = 0x40, clear = 0x50, lock = 0x60, status = 0x70, identify = 0x90, query = 0x98 };
enum { confirm = 0xd0, buffer = 0xe8, array = 0xff };
enum { ready = 0x80, eraseError = 0x20, programError = 0x10 };
/// Of the flash what is not touched, is programmed, is written by way of a buffer, and is erased.
enum { programmed = 2, buffered = 4, erased = 6 };
static uint64_t const flash = 0xfff70000;
static bool strict;

static void waitForReturn(void)
{
    static unsigned round;
    NOTE("suspend me %u", ++round);
    while (serialGet(com1) != 'x')
        halt();
}

static uint8_t readFlash(unsigned offset)
{
    return MMIO8(flash + offset);
}

static void writeFlash(unsigned offset, uint8_t value)
{
    MMIO8(flash + offset) = value;
}

static uint8_t firstByte(unsigned offset)
{
    return (uint8_t)(offset + offset / sectorSize);
}

static bool sectorIsErased(unsigned sector)
{
    for (unsigned i = 0; i < sectorSize; i++) {
        if (readFlash(sector * sectorSize + i) != 0xff)
            return false;
    }
    return true;
}

static bool sectorIsAsItWas(unsigned sector)
{
    for (unsigned i = sector * sectorSize; i < (sector + 1) * sectorSize; i++) {
        if (readFlash(i) != firstByte(i))
            return false;
    }
    return true;
}

static void flashHoldsWhatItWasGiven(void)
{
    for (unsigned sector = 0; sector < flashSize / sectorSize; sector++)
        EXPECT(sectorIsAsItWas(sector));
}

/// JEDEC JESD68.01, "Common Flash Interface". In the middle of it the machine goes away.
static void queryDescribesTheChip(void)
{
    writeFlash(0x55, query);
    for (unsigned time = 0; time < 2; time++) {
        EXPECT_EQUAL(readFlash(0x10), 'Q');
        EXPECT_EQUAL(readFlash(0x11), 'R');
        EXPECT_EQUAL(readFlash(0x12), 'Y');
        EXPECT_EQUAL(1u << readFlash(0x27), flashSize);
        EXPECT_EQUAL(readFlash(0x2c), 1); // one region of this many sectors of this size
        EXPECT_EQUAL(readFlash(0x2d) + (readFlash(0x2e) << 8) + 1, flashSize / sectorSize);
        EXPECT_EQUAL((readFlash(0x2f) << 8) + (readFlash(0x30) << 16), sectorSize);
        if (strict) // QEMU's buffer has fewer bytes
            EXPECT_EQUAL(1u << readFlash(0x2a), 2048);
        if (time == 0)
            waitForReturn();
    }
    writeFlash(0, array);
    EXPECT(sectorIsAsItWas(0));
}

static void identifierIsNobodys(void)
{
    writeFlash(0, identify);
    EXPECT_EQUAL(readFlash(0), 0);
    EXPECT_EQUAL(readFlash(1), 0);
    writeFlash(0, strict ? 0xf0 : array); // AMD's command for it, which QEMU does not know here
    EXPECT(sectorIsAsItWas(0));
}

static void statusIsReadUntilTheArrayIs(void)
{
    writeFlash(0, status);
    EXPECT_EQUAL(readFlash(0), ready);
    EXPECT_EQUAL(readFlash(flashSize - 1), ready);
    writeFlash(0, array);
    EXPECT_EQUAL(readFlash(1), firstByte(1));
}

static void erasingMakesOnesOfOneSector(void)
{
    for (unsigned const* sector = (unsigned const[]) { programmed, buffered, 0 }; *sector; sector++) {
        writeFlash(*sector * sectorSize + 123, erase); // any address in it
        writeFlash(*sector * sectorSize + 123, confirm);
        EXPECT_EQUAL(readFlash(0), ready);
        writeFlash(0, array);
        EXPECT(sectorIsErased(*sector));
        EXPECT(sectorIsAsItWas(*sector - 1));
        EXPECT(sectorIsAsItWas(*sector + 1));
    }
}

static void erasingGoesOnAfterASuspend(void)
{
    writeFlash(erased * sectorSize, erase);
    waitForReturn();
    EXPECT_EQUAL(readFlash(0), ready); // it shows its status meanwhile
    writeFlash(erased * sectorSize, confirm);
    EXPECT_EQUAL(readFlash(0), ready);
    writeFlash(0, array);
    EXPECT(sectorIsErased(erased));
    EXPECT(sectorIsAsItWas(erased - 1));
    EXPECT(sectorIsAsItWas(erased + 1));
}

static void programmingOnlyClearsBits(void)
{
    unsigned const first = programmed * sectorSize;
    static uint8_t const written[][2] = { { 0, 0x5a }, { 1, 0x5a }, { 0, 0xa5 } };
    for (unsigned i = 0; i < 3; i++) {
        writeFlash(first + written[i][0], i == 1 ? 0x10 : program8); // both mean it
        writeFlash(first + written[i][0], written[i][1]);
        EXPECT_EQUAL(readFlash(first), ready);
    }
    writeFlash(0, array);
    EXPECT_EQUAL(readFlash(first), strict ? 0x5a & 0xa5 : 0xa5); // QEMU's sets bits, too
    EXPECT_EQUAL(readFlash(first + 1), 0x5a);
    EXPECT_EQUAL(readFlash(first + 2), 0xff);
}

/// Half of it before the machine goes away, and half after.
static void bufferIsWrittenWhenItIsConfirmed(void)
{
    enum { count = 16, half = 8 };
    unsigned const first = buffered * sectorSize + 0x20;
    writeFlash(first, buffer);
    EXPECT_EQUAL(readFlash(first) & ready, ready); // there is one
    writeFlash(first, count - 1);
    for (unsigned i = 0; i < half; i++)
        writeFlash(first + i, (uint8_t)(0xc0 + i));
    waitForReturn();
    for (unsigned i = half; i < count; i++)
        writeFlash(first + i, (uint8_t)(0xc0 + i));
    waitForReturn();
    writeFlash(first, confirm);
    EXPECT_EQUAL(readFlash(first), ready);
    writeFlash(0, array);
    for (unsigned i = 0; i < count; i++)
        EXPECT_EQUAL(readFlash(first + i), 0xc0 + i);
    EXPECT_EQUAL(readFlash(first - 1), 0xff);
    EXPECT_EQUAL(readFlash(first + count), 0xff);
}

static void wrongSequencesAreErrorsUntilTheyAreCleared(void)
{
    if (!strict) { // QEMU's chip tells of fewer
        skip("not strict");
        return;
    }
    static uint8_t const sequences[][3] = {
        { erase, array },    // not confirmed
        { lock, array },     // no such lock
        { buffer, 0, 0x55 }, // a byte, not confirmed
    };
    for (unsigned i = 0; i < 3; i++) {
        writeFlash(0, sequences[i][0]);
        writeFlash(0, sequences[i][1]);
        if (sequences[i][0] == buffer) {
            writeFlash(0, sequences[i][2]);
            writeFlash(0, array);
        }
        EXPECT_EQUAL(readFlash(0), ready | eraseError | programError);
        writeFlash(0, array);
        EXPECT(sectorIsAsItWas(0));
        if (i == 0)
            waitForReturn();
        writeFlash(0, status);
        EXPECT_EQUAL(readFlash(0), ready | eraseError | programError); // and stays
        writeFlash(0, clear);
        EXPECT_EQUAL(readFlash(0), 0); // by which OVMF tells it from RAM
        writeFlash(0, lock);
        writeFlash(0, 0x01);
        EXPECT_EQUAL(readFlash(0), ready);
        writeFlash(0, array);
    }
    // Data that does not follow what came before it.
    writeFlash(0, buffer);
    writeFlash(0, 3);
    writeFlash(0, 0);
    writeFlash(2, 0);
    EXPECT_EQUAL(readFlash(0), ready | eraseError | programError);
    writeFlash(0, clear);
    writeFlash(0, lock);
    writeFlash(0, confirm);
    EXPECT_EQUAL(readFlash(0), ready);
    writeFlash(0, 0x77); // no command at all
    EXPECT(sectorIsAsItWas(0));
}

// ---- C0000-FFFFF, in twelve segments of 16 KiB and one of 64 KiB ----

enum { segments = 13, readRam = 1, writeRam = 2, pam0 = 0x90, smram = 0x9d };
static struct PciDevice const host; // 00:00.0

static uint64_t firstWord(unsigned segment)
{
    return 0xc0000 + segment * 0x4000ul;
}

static uint64_t lastWord(unsigned segment)
{
    return segment < 12 ? firstWord(segment + 1) - 4 : 0xffffc;
}

static void setMode(unsigned segment, unsigned mode)
{
    unsigned const offset = segment == 12 ? pam0 : pam0 + 1 + segment / 2;
    unsigned const shift = segment == 12 || segment % 2 ? 4 : 0;
    pciWrite8(&host, offset, (uint8_t)((pciRead8(&host, offset) & ~(0xfu << shift)) | mode << shift));
}

static void writeSegment(unsigned segment, uint32_t value)
{
    MMIO32(firstWord(segment)) = value;
    MMIO32(lastWord(segment)) = ~value;
}

static bool hasInRam(unsigned segment, uint32_t value)
{
    return MMIO32(firstWord(segment)) == value && MMIO32(lastWord(segment)) == ~value;
}

/// The end of the firmware; before it there is nobody.
static uint32_t inRom(uint64_t address)
{
    return address >= 0xe0000 ? MMIO32(0xfff00000 + address) : 0xffffffff;
}

static bool showsRom(unsigned segment)
{
    return MMIO32(firstWord(segment)) == inRom(firstWord(segment))
        && MMIO32(lastWord(segment)) == inRom(lastWord(segment));
}

static void shadowRegistersHold(void)
{
    for (unsigned i = 0; i < 7; i++) {
        EXPECT_EQUAL(pciRead8(&host, pam0 + i), 0);
        pciWrite8(&host, pam0 + i, strict ? 0xff : 0x33); // QEMU keeps what is reserved
        EXPECT_EQUAL(pciRead8(&host, pam0 + i), i || !strict ? 0x33 : 0x30);
        pciWrite8(&host, pam0 + i, 0);
    }
    if (!strict) // QEMU has a system management mode
        return;
    EXPECT_EQUAL(pciRead8(&host, smram), 0x12); // closed and locked
    pciWrite8(&host, smram, 0x4a);
    EXPECT_EQUAL(pciRead8(&host, smram), 0x12);
}

static void eachSegmentIsRoutedByItself(void)
{
    if (!strict) { // QEMU routes writes as it does reads
        skip("not strict");
        return;
    }
    for (unsigned i = 0; i < segments; i++) {
        EXPECT(showsRom(i)); // as after each reset
        setMode(i, readRam | writeRam);
        writeSegment(i, 0x11110000 + i);
    }
    for (unsigned i = 0; i < segments; i++) {
        setMode(i, readRam);
        writeSegment(i, 0x22220000); // is dropped
        EXPECT(hasInRam(i, 0x11110000 + i));
        setMode(i, 0);
        EXPECT(showsRom(i));
        writeSegment(i, 0x33330000); // is dropped, too
        EXPECT(showsRom(i));
        setMode(i, readRam);
        EXPECT(hasInRam(i, 0x11110000 + i));
        setMode(i, writeRam);
        EXPECT(showsRom(i));
        writeSegment(i, 0x44440000 + i); // goes to the RAM that is not seen
        EXPECT(showsRom(i));
        setMode(i, readRam | writeRam);
        for (unsigned j = 0; j < segments; j++)
            EXPECT(hasInRam(j, (j <= i ? 0x44440000 : 0x11110000) + j));
    }
}

static void routesOutlastASuspend(void)
{
    if (!strict) { // QEMU routes writes as it does reads
        skip("not strict");
        return;
    }
    for (unsigned i = 0; i < segments; i++)
        setMode(i, (i + 1) % 4);
    waitForReturn();
    for (unsigned i = 0; i < segments; i++) {
        EXPECT((i + 1) % 4 & readRam ? hasInRam(i, 0x44440000 + i) : showsRom(i));
        writeSegment(i, 0x55550000 + i);
    }
    for (unsigned i = 0; i < segments; i++)
        setMode(i, readRam);
    for (unsigned i = 0; i < segments; i++)
        EXPECT(hasInRam(i, ((i + 1) % 4 & writeRam ? 0x55550000 : 0x44440000) + i));
}

static void debugPortTakesALog(void)
{
    EXPECT_EQUAL(in8(debugPort), 0xe9); // somebody listens
    for (char const* text = "before\n"; *text; text++)
        out8(debugPort, (uint8_t)*text);
    waitForReturn();
    EXPECT_EQUAL(in8(debugPort), 0xe9);
    for (char const* text = "after\n"; *text; text++)
        out8(debugPort, (uint8_t)*text);
}

void program(void)
{
    strict = option("strict", 0);
    run("flash.holdsWhatItWasGiven", flashHoldsWhatItWasGiven);
    run("flash.queryDescribesTheChip", queryDescribesTheChip);
    run("flash.identifierIsNobodys", identifierIsNobodys);
    run("flash.statusIsReadUntilTheArrayIs", statusIsReadUntilTheArrayIs);
    run("flash.erasingMakesOnesOfOneSector", erasingMakesOnesOfOneSector);
    run("flash.erasingGoesOnAfterASuspend", erasingGoesOnAfterASuspend);
    run("flash.programmingOnlyClearsBits", programmingOnlyClearsBits);
    run("flash.bufferIsWrittenWhenItIsConfirmed", bufferIsWrittenWhenItIsConfirmed);
    run("flash.wrongSequencesAreErrorsUntilTheyAreCleared", wrongSequencesAreErrorsUntilTheyAreCleared);
    run("shadow.registersHold", shadowRegistersHold);
    run("shadow.eachSegmentIsRoutedByItself", eachSegmentIsRoutedByItself);
    run("shadow.routesOutlastASuspend", routesOutlastASuspend);
    run("debug.portTakesALog", debugPortTakesALog);
    finish();
}
