#include "bare/virtio.h"
#include "canvas.h"
#include "demo.h"

// ---- The keyboard behind the i8042, in its translated scan code set 1 ----

static char const plain[] = "\0\0331234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static char const shifted[] = "\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
static bool shiftDown, extended;
static uint64_t keyboardInterrupts;

static bool keyboardWait(uint8_t mask, uint8_t value)
{
    for (unsigned i = 0; i < 1000; i++) {
        if ((in8(0x64) & mask) == value)
            return true;
    }
    return false;
}

static void keyboardCommand(uint16_t port, uint8_t value)
{
    if (keyboardWait(2, 0))
        out8(port, value);
}

static void keyboardStart(void)
{
    if (in8(0x64) == 0xff)
        return;
    keyboardCommand(0x64, 0xa7); // no mouse: the tablet points
    keyboardCommand(0x64, 0xae);
    keyboardCommand(0x64, 0x60);
    keyboardCommand(0x60, 0x61); // interrupt, translation, mouse off
    keyboardCommand(0x60, 0xf4); // start scanning
    keyboardWait(1, 1);
    while (in8(0x64) & 1)
        in8(0x60);
    enableIrq(1, true);
}

static void keyboardByte(uint8_t code)
{
    bool const wasExtended = extended, pressed = !(code & 0x80);
    extended = code == 0xe0;
    if (extended)
        return;
    code &= 0x7f;
    if ((code == 0x2a || code == 0x36) && !wasExtended)
        shiftDown = pressed;
    else if (pressed && wasExtended && code == 0x1c)
        shellType('\n');
    else if (pressed && !wasExtended && code < sizeof plain && plain[code])
        shellType(shiftDown ? shifted[code] : plain[code]);
    else
        return;
    if (pressed)
        pictureNote(eventKey);
}

static void keyboardWork(void)
{
    if (keyboardInterrupts == interrupts[picBase + 1])
        return;
    keyboardInterrupts = interrupts[picBase + 1];
    for (uint8_t state; (state = in8(0x64)) & 1;) {
        uint8_t const byte = in8(0x60);
        if (!(state & 0x20))
            keyboardByte(byte);
    }
}

// ---- The tablet: virtio-input, absolute axes ----

enum {
    selectName = 1,
    selectAxis = 0x12,
    typeSync = 0,
    typeKey = 1,
    typeAbsolute = 3,
    buttonLeft = 0x110,
    events = 32
};

static struct Virtio tablet;
static struct Queue tabletQueue;
static struct {
    uint16_t type, code;
    uint32_t value;
} tabletEvents[events];
static uint32_t axisRange[2], axis[2];
static int tabletBuffer[events]; ///< which event a chain's id stands for
static bool pressed;

/// Asks the device for a part of its self-description; returns how long it is.
static uint8_t tabletSelect(uint8_t what, uint8_t of)
{
    MMIO8(tablet.config + 0) = what;
    MMIO8(tablet.config + 1) = of;
    return MMIO8(tablet.config + 2);
}

static bool isTablet(void)
{
    char name[129] = "";
    unsigned const length = tabletSelect(selectName, 0);
    for (unsigned i = 0; i < length && i < 128; i++)
        name[i] = (char)(MMIO8(tablet.config + 8 + i) | 0x20);
    for (unsigned i = 0; name[i]; i++) {
        if (startsWith(name + i, "tablet"))
            return true;
    }
    return false;
}

static void offerEvent(int event)
{
    struct Buffer const buffer = { &tabletEvents[event], sizeof tabletEvents[0] };
    int const id = queueAdd(&tabletQueue, &buffer, 0, 1);
    if (id >= 0)
        tabletBuffer[id] = event;
}

static void tabletStart(void)
{
    unsigned n = 0;
    do {
        if (!virtioOpen(&tablet, virtioInput, n++, 0))
            return;
    } while (!tablet.config || !isTablet() || !virtioQueue(&tablet, &tabletQueue, 0, events, 0xffff));
    for (uint8_t i = 0; i < 2; i++)
        axisRange[i] = tabletSelect(selectAxis, i) >= 8 ? MMIO32(tablet.config + 8 + 4) : 0x7fff;
    for (int i = 0; i < tabletQueue.size; i++)
        offerEvent(i);
    virtioGo(&tablet);
    queueNotify(&tabletQueue);
}

static void tabletWork(void)
{
    bool moved = false;
    for (int id; tabletQueue.size && (id = queueTake(&tabletQueue, NULL)) >= 0;) {
        int const event = tabletBuffer[id];
        uint16_t const type = tabletEvents[event].type, code = tabletEvents[event].code;
        uint32_t const value = tabletEvents[event].value;
        if (type == typeAbsolute && code < 2)
            axis[code] = value;
        else if (type == typeKey && code == buttonLeft)
            pressed = value;
        moved = true;
        offerEvent(event);
    }
    if (!moved)
        return;
    queueNotify(&tabletQueue);
    int const x = (int)((uint64_t)axis[0] * screenWidth / (axisRange[0] + 1));
    int const y = (int)((uint64_t)axis[1] * screenHeight / (axisRange[1] + 1));
    if (pressed) {
        drawDisc(x * 16, y * 16, 3 * 16, 0xf5b85b, 200);
        pictureNote(eventPointer);
    }
    movePointer(x, y, pressed);
}

void inputStart(void)
{
    keyboardStart();
    tabletStart();
}

void inputWork(void)
{
    keyboardWork();
    tabletWork();
}
