#include "lib/check.h"

/// The i8042 with keyboard and mouse (IBM PC/AT; commands as in the PS/2 hardware reference).

enum { statusPort = 0x64, dataPort = 0x60, outputFull = 1, inputFull = 2, fromMouse = 0x20 };

static bool send(uint16_t port, uint8_t value)
{
    if (!WAIT(!(in8(statusPort) & inputFull), 1))
        return false;
    out8(port, value);
    return true;
}

static int receive(void)
{
    return WAIT(in8(statusPort) & outputFull, 1) ? in8(dataPort) : -1;
}

static void drain(void)
{
    while (in8(statusPort) & outputFull)
        in8(dataPort);
}

static uint8_t commandByte(void)
{
    send(statusPort, 0x20);
    return (uint8_t)receive();
}

static void setCommandByte(uint8_t value)
{
    send(statusPort, 0x60);
    send(dataPort, value);
}

static int keyboard(uint8_t command)
{
    send(dataPort, command);
    return receive();
}

static int mouse(uint8_t command)
{
    send(statusPort, 0xd4);
    send(dataPort, command);
    return receive();
}

static void controllerTestsItself(void)
{
    send(statusPort, 0xad);
    send(statusPort, 0xa7);
    drain();
    send(statusPort, 0xaa);
    EXPECT_EQUAL(receive(), 0x55);
    send(statusPort, 0xab);
    EXPECT_EQUAL(receive(), 0);
    send(statusPort, 0xa9);
    EXPECT_EQUAL(receive(), 0);
}

static void commandByteHolds(void)
{
    setCommandByte(0x40);
    EXPECT_EQUAL(commandByte(), 0x40);
    send(statusPort, 0xad); // keyboard off: bit 4
    EXPECT_EQUAL(commandByte() & 0x10, 0x10);
    send(statusPort, 0xae);
    EXPECT_EQUAL(commandByte() & 0x10, 0);
    send(statusPort, 0xa7); // mouse off: bit 5
    EXPECT_EQUAL(commandByte() & 0x20, 0x20);
    send(statusPort, 0xa8);
    EXPECT_EQUAL(commandByte() & 0x20, 0);
}

static void keyboardResets(void)
{
    setCommandByte(0x00); // untranslated, no interrupts
    EXPECT_EQUAL(keyboard(0xff), 0xfa);
    EXPECT_EQUAL(receive(), 0xaa);
    EXPECT_EQUAL(keyboard(0xf5), 0xfa);
}

static void keyboardIdentifies(void)
{
    EXPECT_EQUAL(keyboard(0xf2), 0xfa);
    EXPECT_EQUAL(receive(), 0xab);
    EXPECT_EQUAL(receive(), 0x83);
    EXPECT_EQUAL(keyboard(0xee), 0xee); // echo
}

static void keyboardSetsLampsAndRate(void)
{
    EXPECT_EQUAL(keyboard(0xed), 0xfa);
    EXPECT_EQUAL(keyboard(0x02), 0xfa);
    EXPECT_EQUAL(keyboard(0xf3), 0xfa);
    EXPECT_EQUAL(keyboard(0x20), 0xfa);
}

static void scanCodeSetIsKept(void)
{
    EXPECT_EQUAL(keyboard(0xf0), 0xfa);
    EXPECT_EQUAL(keyboard(0x00), 0xfa);
    EXPECT_EQUAL(receive(), 0x02);
}

static void mouseResets(void)
{
    EXPECT_EQUAL(mouse(0xff), 0xfa);
    EXPECT_EQUAL(receive(), 0xaa);
    EXPECT_EQUAL(receive(), 0x00);
    EXPECT_EQUAL(mouse(0xf2), 0xfa);
    EXPECT_EQUAL(receive(), 0x00);
}

static void mouseGetsItsWheel(void)
{
    static uint8_t const knock[] = { 200, 100, 80 };
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQUAL(mouse(0xf3), 0xfa);
        EXPECT_EQUAL(mouse(knock[i]), 0xfa);
    }
    EXPECT_EQUAL(mouse(0xf2), 0xfa);
    EXPECT_EQUAL(receive(), 0x03);
}

static void mouseTellsItsState(void)
{
    EXPECT_EQUAL(mouse(0xe8), 0xfa); // resolution
    EXPECT_EQUAL(mouse(0x02), 0xfa);
    EXPECT_EQUAL(mouse(0xe9), 0xfa);
    EXPECT_EQUAL(receive() & 0x30, 0x00); // not reporting, scale 1:1
    EXPECT_EQUAL(receive(), 0x02);
    EXPECT_EQUAL(receive(), 80);
}

static void mouseBytesAreMarked(void)
{
    send(statusPort, 0xd4);
    send(dataPort, 0xe6);
    EXPECT(WAIT(in8(statusPort) & outputFull, 1));
    EXPECT(in8(statusPort) & fromMouse);
    drain();
    send(dataPort, 0xee);
    EXPECT(WAIT(in8(statusPort) & outputFull, 1));
    EXPECT(!(in8(statusPort) & fromMouse));
    drain();
}

static void bothInterrupt(void)
{
    drain();
    uint64_t const keys = interrupts[picBase + 1], moves = interrupts[picBase + 12];
    enableIrq(1, true);
    enableIrq(12, true);
    setCommandByte(0x03);
    send(dataPort, 0xee);
    EXPECT(WAIT(interrupts[picBase + 1] > keys, 1));
    drain();
    send(statusPort, 0xd4);
    send(dataPort, 0xe6);
    EXPECT(WAIT(interrupts[picBase + 12] > moves, 1));
    drain();
}

static void writtenOutputComesBack(void)
{
    send(statusPort, 0xd2); // as if the keyboard had sent it
    send(dataPort, 0x3c);
    EXPECT_EQUAL(receive(), 0x3c);
    send(statusPort, 0xd3); // as if the mouse had
    send(dataPort, 0x5c);
    EXPECT(WAIT(in8(statusPort) & outputFull, 1));
    EXPECT(in8(statusPort) & fromMouse);
    EXPECT_EQUAL(in8(dataPort), 0x5c);
}

/// With option keys=N the harness presses and releases keys until N scan codes have come.
static void keysArrive(void)
{
    uint64_t const wanted = option("keys", 0);
    if (!wanted) {
        skip("nobody types");
        return;
    }
    setCommandByte(0x41); // translated
    EXPECT_EQUAL(keyboard(0xf4), 0xfa);
    NOTE("type");
    for (uint64_t i = 0; i < wanted; i++) {
        EXPECT(WAIT(in8(statusPort) & outputFull, 20));
        NOTE("scan code %02x", in8(dataPort));
    }
}

static int nextByte(void)
{
    for (unsigned i = 0; i < ticksPerSecond && !(in8(statusPort) & outputFull); i++)
        halt();
    return in8(dataPort);
}

/// Each byte of the keyboard and each packet of the mouse, a line each.
static void tellInput(void)
{
    uint8_t const state = in8(statusPort);
    if (!(state & outputFull)) {
        halt();
        return;
    }
    int const first = in8(dataPort);
    if (!(state & fromMouse)) {
        NOTE("scan code %02x", (unsigned)first);
        return;
    }
    int const x = nextByte(), y = nextByte();
    int8_t const wheel = (int8_t)nextByte();
    NOTE("mouse %d %d wheel %d buttons %d", x - (first << 4 & 0x100), y - (first << 3 & 0x100), wheel, first & 7);
}

/// A person uses keyboard and mouse until the first serial port is told "x".
static void personIsHeard(void)
{
    drain();
    EXPECT_EQUAL(mouse(0xf4), 0xfa);
    setCommandByte(0x43); // translated, both interrupt
    EXPECT_EQUAL(keyboard(0xf4), 0xfa);
    NOTE("listening");
    while (serialGet(com1) != 'x')
        tellInput();
}

void program(void)
{
    run("keyboard.controllerTestsItself", controllerTestsItself);
    run("keyboard.commandByteHolds", commandByteHolds);
    run("keyboard.keyboardResets", keyboardResets);
    run("keyboard.keyboardIdentifies", keyboardIdentifies);
    run("keyboard.keyboardSetsLampsAndRate", keyboardSetsLampsAndRate);
    run("keyboard.scanCodeSetIsKept", scanCodeSetIsKept);
    run("keyboard.mouseResets", mouseResets);
    run("keyboard.mouseGetsItsWheel", mouseGetsItsWheel);
    run("keyboard.mouseTellsItsState", mouseTellsItsState);
    run("keyboard.mouseBytesAreMarked", mouseBytesAreMarked);
    run("keyboard.bothInterrupt", bothInterrupt);
    run("keyboard.writtenOutputComesBack", writtenOutputComesBack);
    run("keyboard.keysArrive", keysArrive);
    if (option("listen", 0))
        run("keyboard.personIsHeard", personIsHeard);
    finish();
}
