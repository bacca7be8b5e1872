#include "canvas.h"
#include "demo.h"
#include "numbers.h"

/// The screen from top to bottom: title and clock, the count in large figures, a curve that runs with the machine's
/// time over its timeline, and the terminal. Each part is drawn again only when it changes. Time runs from left to
/// right; what happens leaves a mark on the curve.

enum {
    margin = 48,
    titleY = 34,
    countY = 118,
    captionY = 260,
    curveTop = 300,
    curveMiddle = 352,
    curveBottom = 404,
    axisY = 408,
    labelY = 416,
    terminalY = 462,
    lineHeight = 20,
    nowX = 700,
    ticksPerPixel = 5, // ten pixels a second
    ticksPerFrame = ticksPerSecond / 12,
};

static Colour const ink = 0xe8edf6, soft = 0x8a97ad, faint = 0x333f54, warning = 0xff7b72;

static struct {
    char const* name;
    Colour colour;
} const colours[] = {
    { "blue", 0x5aa9ff },
    { "green", 0x45d19c },
    { "amber", 0xf5b85b },
    { "violet", 0xac8fff },
};
static Colour accent = 0x5aa9ff;

static Colour const eventColours[eventCount] = { 0xf5b85b, 0x45d19c, 0xac8fff };
static struct Mark {
    uint64_t when;
    enum Event kind;
} marks[128];
static unsigned markCount;

static struct Face small, large, figures;
static bool present;

// ---- A line of text put together piece by piece ----

struct Text {
    char text[96];
    unsigned length;
};

static void append(struct Text* to, char const* text)
{
    while (*text && to->length + 1 < sizeof to->text)
        to->text[to->length++] = *text++;
    to->text[to->length] = '\0';
}

static void appendNumber(struct Text* to, uint64_t value, unsigned width)
{
    char digits[24] = "";
    unsigned at = sizeof digits - 1;
    for (; value || width || at == sizeof digits - 1; value /= 10, width -= width != 0)
        digits[--at] = (char)('0' + value % 10);
    append(to, digits + at);
}

static void appendTime(struct Text* to, uint64_t seconds)
{
    appendNumber(to, seconds / 60, 0);
    append(to, ":");
    appendNumber(to, seconds % 60, 2);
}

// ---- The parts ----

static void showTitle(void)
{
    drawText(&large, margin - 4, titleY, ink, "Chronovisor");
    drawText(&small, margin - 2, titleY + 42, soft, "the demo machine");
    show(0, titleY, screenWidth / 2, 70);
}

static void showClock(void)
{
    struct Clock const clock = readClock();
    struct Text date = { "", 0 }, time = { "", 0 };
    appendNumber(&date, clock.year, 4);
    append(&date, "-");
    appendNumber(&date, clock.month, 2);
    append(&date, "-");
    appendNumber(&date, clock.day, 2);
    appendNumber(&time, clock.hour, 2);
    append(&time, ":");
    appendNumber(&time, clock.minute, 2);
    append(&time, ":");
    appendNumber(&time, clock.second, 2);
    append(&time, " UTC");
    int const x = screenWidth - margin - 12 * (int)small.advance;
    clearBox(x, titleY + 14, 12 * (int)small.advance, 52);
    drawText(&small, screenWidth - margin - (int)date.length * (int)small.advance + 2, titleY + 14, soft, date.text);
    drawText(&small, screenWidth - margin - (int)time.length * (int)small.advance + 2, titleY + 42, soft, time.text);
    show(x, titleY + 14, 12 * (int)small.advance, 52);
}

static void showCount(void)
{
    struct Text count = { "", 0 }, boots = { "", 0 };
    appendNumber(&count, disk.seconds, 0);
    clearBox(0, countY, screenWidth, (int)figures.height);
    drawText(&figures, margin - (int)figures.advance / 5, countY, ink, count.text);
    show(0, countY, screenWidth, (int)figures.height);

    append(&boots, disk.seconds == 1 ? "second lived, boot " : "seconds lived, boot ");
    appendNumber(&boots, disk.boots, 0);
    append(&boots, " \x80 ");
    struct Text state = { "", 0 };
    Colour colour = soft;
    switch (disk.state) {
    case diskAbsent: append(&state, "no disk, counted in memory"); break;
    case diskForeign: append(&state, "the disk is someone else's: left alone"); break;
    case diskAgrees:
        append(&state, "disk and memory agree \x7f");
        colour = accent;
        break;
    case diskDisagrees:
        append(&state, "THE DISK SAYS ");
        appendNumber(&state, disk.found, 0);
        colour = warning;
        break;
    case diskFailed:
        append(&state, "the disk fails");
        colour = warning;
        break;
    }
    clearBox(0, captionY, screenWidth, (int)small.height);
    drawText(&small, drawText(&small, margin - 2, captionY, soft, boots.text), captionY, colour, state.text);
    show(0, captionY, screenWidth, (int)small.height);
}

// The curves: how high at a time, in 1/256 pixels over the middle.
static int wave(uint64_t t)
{
    return (22 * sine((unsigned)(t * 65536 / 430)) + 9 * sine((unsigned)(t * 65536 / 170))
               + 4 * sine((unsigned)(t * 65536 / 77)))
        / 16;
}

static int pulse(uint64_t t)
{
    int const phase = (int)(t % ticksPerSecond) * 1024 / ticksPerSecond; // one beat a second
    int const up = 256 * 34, down = -256 * 18;
    int const rest = 2 * sine((unsigned)(t * 65536 / 400)) / 4;
    if (phase < 600)
        return rest;
    if (phase < 700)
        return rest + (up - rest) * (phase - 600) / 100;
    if (phase < 820)
        return up + (down - up) * (phase - 700) / 120;
    return down + (rest - down) * (phase - 820) / 204;
}

static int steps(uint64_t t)
{
    unsigned const terrace = 40; // ticks
    uint64_t const here = t / terrace;
    int const from = wave(here * terrace), to = wave((here + 1) * terrace), into = (int)(t % terrace);
    return into < 32 ? from : from + (to - from) * (into - 32) / 8;
}

static struct {
    char const* name;
    int (*height)(uint64_t t);
} const shapes[] = {
    { "wave", wave },
    { "pulse", pulse },
    { "steps", steps },
};
static int (*shape)(uint64_t t) = wave;

static int curveAt(uint64_t time, int x) ///< y in 1/256 pixels
{
    int64_t const t = (int64_t)time - (nowX - x) * ticksPerPixel;
    return curveMiddle * 256 - (t < 0 ? 0 : shape((uint64_t)t));
}

/// One column of the curve: a line that is thicker where it is steep, and a glow under it that fades with the past.
static void drawColumn(int x, uint64_t time, int before, int here, int after)
{
    int const slope = (after - before) / 2;
    int const half = 310 * (int)squareRoot((unsigned)(65536 + clamp(slope * slope, 0, 1 << 28))) / 256;
    unsigned const age = (unsigned)(256 - clamp((nowX - x) * 220 / nowX, 0, 220));
    bool const born = time >= (uint64_t)(nowX - x) * ticksPerPixel;
    for (int y = curveTop; y < curveBottom; y++) {
        int const off = y * 256 + 128 - here;
        unsigned const line = (unsigned)clamp(half + 128 - (off < 0 ? -off : off), 0, 256);
        unsigned const glow = off > 0 ? (unsigned)clamp(72 - off / 256, 0, 72) : 0;
        Colour const under = mix(background(y), accent, born ? glow * age / 256 : 0);
        *pixelAt(x, y) = mix(under, born ? accent : faint, line * (born ? age : 256) / 256);
    }
}

static void drawAxis(uint64_t time)
{
    clearBox(0, axisY, screenWidth, labelY + (int)small.height - axisY);
    fillBox(0, axisY, nowX, 1, faint);
    uint64_t const second = time / ticksPerSecond;
    for (uint64_t back = 0; back <= second && back < nowX / 10 + 5; back++) {
        uint64_t const moment = second - back;
        int const offset = (int)(time - moment * ticksPerSecond); // ticks ago
        int const x = nowX - offset / ticksPerPixel, part = offset % ticksPerPixel * 256 / ticksPerPixel;
        if (x < 1)
            break;
        bool const isTen = moment % 10 == 0;
        for (int y = axisY + 1; y < axisY + (isTen ? 9 : 5); y++) {
            *pixelAt(x, y) = mix(background(y), isTen ? soft : faint, (unsigned)(256 - part));
            *pixelAt(x - 1, y) = mix(background(y), isTen ? soft : faint, (unsigned)part);
        }
        struct Text label = { "", 0 };
        appendTime(&label, moment);
        int const labelX = x - (int)(label.length * small.advance) / 2;
        if (isTen && labelX > 8 && x < nowX - 58)
            drawText(&small, labelX, labelY, soft, label.text);
    }
    struct Text here = { "", 0 };
    appendTime(&here, second);
    drawText(&small, nowX - (int)(here.length * small.advance) / 2, labelY, ink, here.text);
}

static void drawMarks(uint64_t time)
{
    for (unsigned i = 0; i < markCount; i++) {
        int64_t const x = (int64_t)nowX * 16 - (int64_t)(time - marks[i].when) * 16 / ticksPerPixel;
        if (x < 64)
            continue;
        int const y = curveMiddle * 256 - shape(marks[i].when);
        drawDisc((int)x, y / 16, 72, background(curveMiddle), 256);
        drawDisc((int)x, y / 16, 48, eventColours[marks[i].kind], 256);
    }
}

static void drawNow(uint64_t time)
{
    int const y = curveAt(time, nowX) / 16;
    for (int row = curveTop; row < axisY; row++)
        *pixelAt(nowX, row) = mix(*pixelAt(nowX, row), accent, 90);
    unsigned const breath = (unsigned)(sine((unsigned)(time * 65536 / (2 * ticksPerSecond))) + 4096) / 64; // 0 to 128
    drawDisc(nowX * 16 + 8, y, 12 * 16, accent, 30 + breath / 3);
    drawDisc(nowX * 16 + 8, y, 5 * 16, ink, 256);
}

static void showTimeline(void)
{
    uint64_t const time = now();
    int before = curveAt(time, -1), here = curveAt(time, 0);
    for (int x = 0; x < screenWidth; x++) {
        int const after = curveAt(time, x + 1);
        if (x <= nowX) {
            drawColumn(x, time, before, here, after);
        } else { // what has not happened yet
            for (int y = curveTop; y < curveBottom; y++)
                *pixelAt(x, y) = mix(background(y), faint, y == curveMiddle && x % 8 < 2 ? 256 : 0);
        }
        before = here;
        here = after;
    }
    drawMarks(time);
    drawNow(time);
    drawAxis(time);
    show(0, curveTop, screenWidth, labelY + (int)small.height - curveTop);
}

static void showTerminal(void)
{
    terminalChanged = false;
    clearBox(0, terminalY, screenWidth, terminalLines * lineHeight);
    for (int i = 0; i < terminalLines; i++) {
        bool const isLast = i + 1 == terminalLines, isPrompt = startsWith(terminalText[i], "> ");
        int const y = terminalY + i * lineHeight;
        int x = drawText(&small, margin - 2, y, isPrompt ? ink : soft, terminalText[i]);
        if (isPrompt)
            drawText(&small, margin - 2, y, accent, ">");
        if (isLast)
            fillBox(x + 1, y + 1, 2, 16, accent);
    }
    show(0, terminalY, screenWidth, terminalLines * lineHeight);
}

// ---- What the others call ----

bool pictureStart(void)
{
    present = canvasStart();
    if (!present)
        return false;
    small = makeFace(1, 26);
    large = makeFace(2, 40);
    figures = makeFace(9, 7 * 16);
    showTitle();
    return true;
}

void pictureWork(void)
{
    static uint64_t nextFrame, shownSeconds = UINT64_MAX;
    static enum DiskState shownState;
    if (!present)
        return;
    if (terminalChanged)
        showTerminal();
    if (now() < nextFrame)
        return;
    nextFrame = now() + ticksPerFrame;
    showTimeline();
    if (shownSeconds != disk.seconds || shownState != disk.state) {
        shownSeconds = disk.seconds;
        shownState = disk.state;
        showCount();
        showClock();
    }
}

void pictureNote(enum Event kind)
{
    enum { most = sizeof marks / sizeof marks[0] };
    if (markCount && marks[markCount - 1].when + ticksPerSecond / 4 > now())
        return; // closer together they could not be told apart
    if (markCount == most) {
        for (unsigned i = 1; i < most; i++)
            marks[i - 1] = marks[i];
        markCount--;
    }
    marks[markCount++] = (struct Mark) { now(), kind };
}

bool pictureShape(char const* name)
{
    for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (!strcmp(name, shapes[i].name)) {
            shape = shapes[i].height;
            return true;
        }
    }
    return false;
}

bool pictureColour(char const* name)
{
    for (unsigned i = 0; i < sizeof colours / sizeof colours[0]; i++) {
        if (!strcmp(name, colours[i].name)) {
            accent = colours[i].colour;
            terminalChanged = true;
            return true;
        }
    }
    return false;
}

void pictureFarewell(char const* text)
{
    if (!present)
        return;
    clearBox(0, 0, screenWidth, screenHeight);
    int const width = (int)(strlen(text) * large.advance);
    drawText(&large, (screenWidth - width) / 2, screenHeight / 2 - 30, ink, text);
    show(0, 0, screenWidth, screenHeight);
}
