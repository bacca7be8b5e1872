#include "lib/check.h"

/// The 16550s (TI PC16550D). The first carries the results, so the second is the one that is tested to the bottom;
/// option ports=1 says that there is none.

enum {
    data = 0,
    interruptEnable = 1,
    interruptId = 2,
    fifoControl = 2,
    lineControl = 3,
    modemControl = 4,
    lineStatus = 5,
    modemStatus = 6,
    scratch = 7
};

static void scratchHolds(void)
{
    for (unsigned value = 1; value < 256; value <<= 1) {
        out8(com2 + scratch, (uint8_t)value);
        EXPECT_EQUAL(in8(com2 + scratch), value);
    }
}

static void portsAreApart(void)
{
    out8(com1 + scratch, 0x11);
    out8(com2 + scratch, 0x22);
    EXPECT_EQUAL(in8(com1 + scratch), 0x11);
    EXPECT_EQUAL(in8(com2 + scratch), 0x22);
}

static void divisorIsBehindDlab(void)
{
    out8(com2 + lineControl, 0x83);
    out8(com2 + data, 0x34);
    out8(com2 + interruptEnable, 0x12);
    EXPECT_EQUAL(in8(com2 + data), 0x34);
    EXPECT_EQUAL(in8(com2 + interruptEnable), 0x12);
    out8(com2 + data, 1);
    out8(com2 + interruptEnable, 0);
    out8(com2 + lineControl, 0x03);
    out8(com2 + interruptEnable, 0x05);
    EXPECT_EQUAL(in8(com2 + interruptEnable), 0x05);
    out8(com2 + interruptEnable, 0xff);
    EXPECT_EQUAL(in8(com2 + interruptEnable), 0x0f); // the upper half is always zero
    out8(com2 + interruptEnable, 0);
    EXPECT_EQUAL(in8(com2 + lineControl), 0x03);
}

static void startsLoop(void)
{
    out8(com2 + interruptEnable, 0);
    out8(com2 + lineControl, 0x03);
    out8(com2 + fifoControl, 0x07);
    out8(com2 + modemControl, 0x10);
}

static void loopReturnsBytesInOrder(void)
{
    startsLoop();
    EXPECT_EQUAL(in8(com2 + lineStatus) & 0x61, 0x60);
    for (uint8_t i = 0; i < 8; i++) {
        out8(com2 + data, (uint8_t)(0xa0 + i));
        EXPECT(WAIT(in8(com2 + lineStatus) & 0x20, 1));
    }
    for (uint8_t i = 0; i < 8; i++) {
        EXPECT(WAIT(in8(com2 + lineStatus) & 1, 1));
        EXPECT_EQUAL(in8(com2 + data), 0xa0 + i);
    }
    EXPECT_EQUAL(in8(com2 + lineStatus) & 1, 0);
}

static void fifoIsReportedAndCleared(void)
{
    startsLoop();
    EXPECT_EQUAL(in8(com2 + interruptId) & 0xc0, 0xc0);
    out8(com2 + data, 1);
    EXPECT(WAIT(in8(com2 + lineStatus) & 1, 1));
    out8(com2 + fifoControl, 0x03); // clear what was received
    EXPECT_EQUAL(in8(com2 + lineStatus) & 1, 0);
    out8(com2 + fifoControl, 0x00);
    EXPECT_EQUAL(in8(com2 + interruptId) & 0xc0, 0);
    out8(com2 + fifoControl, 0x07);
}

static void overrunIsReportedOnce(void)
{
    startsLoop();
    out8(com2 + fifoControl, 0x00);
    out8(com2 + data, 1);
    wait(1);
    out8(com2 + data, 2);
    wait(1);
    EXPECT_EQUAL(in8(com2 + lineStatus) & 0x03, 0x03);
    EXPECT_EQUAL(in8(com2 + lineStatus) & 0x02, 0);
    in8(com2 + data);
    out8(com2 + fifoControl, 0x07);
}

static void loopTurnsModemLines(void)
{
    startsLoop();
    static uint8_t const pairs[][2] = { { 0x11, 0x20 }, { 0x12, 0x10 }, { 0x14, 0x40 }, { 0x18, 0x80 } };
    for (unsigned i = 0; i < 4; i++) {
        out8(com2 + modemControl, pairs[i][0]);
        EXPECT_EQUAL(in8(com2 + modemStatus) & 0xf0, pairs[i][1]);
    }
    in8(com2 + modemStatus);
    EXPECT_EQUAL(in8(com2 + modemStatus) & 0x0f, 0); // reading clears what changed
}

static void interruptsComeWithTheirReason(void)
{
    startsLoop();
    out8(com2 + modemControl, 0x08); // out of the loop: OUT2 lets the interrupt out
    uint64_t const before = interrupts[picBase + 3];
    enableIrq(3, true);
    out8(com2 + interruptEnable, 0x02); // the transmitter is empty: at once
    EXPECT(WAIT(interrupts[picBase + 3] > before, 1));
    EXPECT_EQUAL(in8(com2 + interruptId) & 0x0f, 0x02);
    EXPECT_EQUAL(in8(com2 + interruptId) & 0x0f, 0x01); // reading it acknowledged it
    out8(com2 + interruptEnable, 0);
    enableIrq(3, false);
}

static void receiveInterruptInLoop(void)
{
    startsLoop();
    out8(com2 + interruptEnable, 0x01);
    out8(com2 + fifoControl, 0x01); // trigger at one byte
    out8(com2 + data, 'x');
    EXPECT(WAIT((in8(com2 + interruptId) & 0x0f) == 0x04, 1));
    EXPECT_EQUAL(in8(com2 + data), 'x');
    EXPECT_EQUAL(in8(com2 + interruptId) & 0x0f, 0x01);
    out8(com2 + interruptEnable, 0);
    out8(com2 + modemControl, 0);
}

/// The harness sees this line on the second port.
static void secondPortSpeaks(void)
{
    serialStart(com2);
    for (char const* text = "hello from the second port\r\n"; *text; text++)
        serialPut(com2, *text);
}

/// With option echo=1 the harness sends a line to the second port, and gets it back there.
static void secondPortEchoes(void)
{
    if (!option("echo", 0)) {
        skip("nobody types");
        return;
    }
    uint64_t const before = interrupts[picBase + 3];
    enableIrq(3, true);
    NOTE("type on the second port");
    for (int c = 0; c != '\n' && c != '\r';) {
        EXPECT(WAIT((c = serialGet(com2)) >= 0, 10));
        serialPut(com2, (char)c);
    }
    EXPECT(interrupts[picBase + 3] > before);
}

void program(void)
{
    if (option("ports", 2) >= 2) {
        run("uart.scratchHolds", scratchHolds);
        run("uart.portsAreApart", portsAreApart);
        run("uart.divisorIsBehindDlab", divisorIsBehindDlab);
        run("uart.loopReturnsBytesInOrder", loopReturnsBytesInOrder);
        run("uart.fifoIsReportedAndCleared", fifoIsReportedAndCleared);
        run("uart.overrunIsReportedOnce", overrunIsReportedOnce);
        run("uart.loopTurnsModemLines", loopTurnsModemLines);
        run("uart.interruptsComeWithTheirReason", interruptsComeWithTheirReason);
        run("uart.receiveInterruptInLoop", receiveInterruptInLoop);
        run("uart.secondPortSpeaks", secondPortSpeaks);
        run("uart.secondPortEchoes", secondPortEchoes);
    }
    finish();
}
