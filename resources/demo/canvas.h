#pragma once

#include "font.h"

/// The screen: pictures are made in ordinary memory and shown when they are whole, so that nothing flickers.

enum { screenWidth = 800, screenHeight = 600 };

typedef uint32_t Colour; ///< 0xRRGGBB

/// Finds the Bochs VGA adapter and switches it to 800x600 in true colour. False: there is none; drawing goes nowhere.
bool canvasStart(void);

/// The pixel at (x, y), which must be on the canvas.
Colour* pixelAt(int x, int y);

/// What is behind everything at this row.
Colour background(int y);

static inline Colour mix(Colour under, Colour over, unsigned amount) ///< amount: 0 to 256
{
    Colour const pink = (under & 0xff00ff) * (256 - amount) + (over & 0xff00ff) * amount;
    Colour const green = (under & 0x00ff00) * (256 - amount) + (over & 0x00ff00) * amount;
    return (pink >> 8 & 0xff00ff) | (green >> 8 & 0x00ff00);
}

void clearBox(int x, int y, int width, int height);
void fillBox(int x, int y, int width, int height, Colour);
void drawDisc(int x, int y, int radius, Colour, unsigned amount);         ///< x, y and radius in 1/16 pixels
int drawText(struct Face const*, int x, int y, Colour, char const* text); ///< returns the x behind it

/// Shows a part of the canvas, with the pointer over it.
void show(int x, int y, int width, int height);

/// Moves the pointer there; it is invisible until the first time.
void movePointer(int x, int y, bool pressed);
