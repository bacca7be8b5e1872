#include "canvas.h"

#include "bare/pci.h"
#include "numbers.h"

static Colour* canvas;
static Colour volatile* screen;
static int pointerX, pointerY;
static bool pointerSeen, pointerPressed;

static void writeVbe(uint16_t index, uint16_t value)
{
    out16(0x1ce, index);
    out16(0x1cf, value);
}

static bool setMode(void)
{
    out16(0x1ce, 0);
    if ((in16(0x1cf) & 0xfff0) != 0xb0c0)
        return false;
    writeVbe(4, 0); // off while it changes
    writeVbe(1, screenWidth);
    writeVbe(2, screenHeight);
    writeVbe(3, 32);
    writeVbe(6, screenWidth);
    writeVbe(8, 0);
    writeVbe(9, 0);
    writeVbe(4, 0x41); // on, linear frame buffer
    in8(0x3da);        // the attribute controller's next byte is an index
    out8(0x3c0, 0x20); // and this one ends the blanking that a reset leaves
    return true;
}

bool canvasStart(void)
{
    canvas = allocate(screenWidth * screenHeight * sizeof(Colour), 4096);
    struct PciDevice const* const vga = pciFind(0x1234, 0x1111, 0);
    if (!vga || !vga->bar[0] || !setMode())
        return false;
    screen = (Colour volatile*)vga->bar[0];
    clearBox(0, 0, screenWidth, screenHeight);
    show(0, 0, screenWidth, screenHeight);
    return true;
}

Colour* pixelAt(int x, int y)
{
    return canvas + y * screenWidth + x;
}

Colour background(int y)
{
    return mix(0x161d2b, 0x0a0d14, (unsigned)(y * 256 / screenHeight));
}

void clearBox(int x, int y, int width, int height)
{
    for (int row = y; row < y + height; row++) {
        Colour const colour = background(row);
        for (int i = 0; i < width; i++)
            pixelAt(x, row)[i] = colour;
    }
}

void fillBox(int x, int y, int width, int height, Colour colour)
{
    for (int row = y; row < y + height; row++) {
        for (int i = 0; i < width; i++)
            pixelAt(x, row)[i] = colour;
    }
}

void drawDisc(int x, int y, int radius, Colour colour, unsigned amount)
{
    int const reach = radius + 16;
    for (int row = clamp((y - reach) / 16, 0, screenHeight); row < clamp((y + reach) / 16 + 1, 0, screenHeight);
         row++) {
        for (int i = clamp((x - reach) / 16, 0, screenWidth); i < clamp((x + reach) / 16 + 1, 0, screenWidth); i++) {
            int const dx = i * 16 + 8 - x, dy = row * 16 + 8 - y;
            int const inside = clamp(radius + 8 - (int)squareRoot((unsigned)(dx * dx + dy * dy)), 0, 16);
            Colour* const pixel = pixelAt(i, row);
            *pixel = mix(*pixel, colour, amount * (unsigned)inside / 16);
        }
    }
}

int drawText(struct Face const* face, int x, int y, Colour colour, char const* text)
{
    for (; *text && x + (int)face->advance <= screenWidth; text++, x += (int)face->advance) {
        uint8_t const* coverage = glyph(face, *text);
        for (unsigned row = 0; row < face->height; row++) {
            Colour* const pixels = pixelAt(x, y + (int)row);
            for (unsigned i = 0; i < face->advance; i++, coverage++) {
                if (*coverage)
                    pixels[i] = mix(pixels[i], colour, *coverage + 1u);
            }
        }
    }
    return x;
}

// ---- The pointer: a ring over the picture, made on the way to the screen so that the canvas keeps what is under it
// ----

enum { pointerReach = 9 };

static Colour withPointer(Colour under, int x, int y)
{
    int const dx = (x - pointerX) * 16, dy = (y - pointerY) * 16;
    int const from = (int)squareRoot((unsigned)(dx * dx + dy * dy)) - 6 * 16;
    int const covered = clamp(24 + 8 - (pointerPressed && from < 0 ? 0 : from < 0 ? -from : from), 0, 16);
    return mix(under, 0xffffff, (unsigned)covered * 14);
}

void show(int x, int y, int width, int height)
{
    if (!screen)
        return;
    for (int row = y; row < y + height; row++) {
        bool const nearPointer = pointerSeen && row >= pointerY - pointerReach && row <= pointerY + pointerReach;
        Colour const* const from = pixelAt(0, row);
        Colour volatile* const to = screen + row * screenWidth;
        for (int i = x; i < x + width; i++) {
            bool const under = nearPointer && i >= pointerX - pointerReach && i <= pointerX + pointerReach;
            to[i] = under ? withPointer(from[i], i, row) : from[i];
        }
    }
}

static void showAround(int x, int y)
{
    int const x0 = clamp(x - pointerReach, 0, screenWidth), x1 = clamp(x + pointerReach + 1, 0, screenWidth);
    int const y0 = clamp(y - pointerReach, 0, screenHeight), y1 = clamp(y + pointerReach + 1, 0, screenHeight);
    show(x0, y0, x1 - x0, y1 - y0);
}

void movePointer(int x, int y, bool pressed)
{
    int const oldX = pointerX, oldY = pointerY;
    pointerX = clamp(x, 0, screenWidth - 1);
    pointerY = clamp(y, 0, screenHeight - 1);
    pointerPressed = pressed;
    showAround(oldX, oldY);
    pointerSeen = true;
    showAround(pointerX, pointerY);
}
