#pragma once

#include "bare/bare.h"

/// Our own typeface: each character is a few strokes on a grid of 6 by 12, drawn with round pens at any size.

enum { firstGlyph = ' ', glyphCount = 97, glyphCheck = 0x7f, glyphDot = 0x80 };

struct Face {
    unsigned advance, height; ///< of one character's cell, in pixels
    uint8_t* coverage;        ///< one byte a pixel, cell after cell
};

/// Draws all characters once. `unit` is the grid's step in pixels, `pen` the stroke's width in 1/16 pixels.
struct Face makeFace(unsigned unit, unsigned pen);

uint8_t const* glyph(struct Face const*, char character);
