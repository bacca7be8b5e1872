#include "font.h"

#include "numbers.h"

// A stroke is a row of points, each an x and a y (base 17: 0-9, a-g); strokes are parted by blanks. A ~ makes the next
// point the control point of a quadratic curve; between two of them lies the middle. Capitals reach from 0 to c, small
// letters from 4 to c, descenders down to g. A single point is a dot.
static char const* const strokes[glyphCount] = {
    "",                                           // space
    "3038 3c",                                    // !
    "1013 5053",                                  // "
    "201c 504c 0464 0868",                        // #
    "63~6131~0103~0636~6669~6b3b~0b09 303c",      // $
    "600c 11 5b",                                 // %
    "6c13~1030~5043~0708~0c3c~5c67",              // &
    "3033",                                       // '
    "40~064c",                                    // (
    "20~662c",                                    // )
    "3339 0458 5408",                             // *
    "3339 0666",                                  // +
    "3c2e",                                       // ,
    "0666",                                       // -
    "3c",                                         // .
    "600c",                                       // /
    "30~0006~0c3c~6c66~6030",                     // 0
    "03303c 0c6c",                                // 1
    "03~0030~6063~660c6c",                        // 2
    "03~0030~6063~6636~6669~6c3c~0c09",           // 3
    "4c400868",                                   // 4
    "60000535~6568~6c3c~0c09",                    // 5
    "63~6030~000309~0c3c~6c69~6636~0609",         // 6
    "00602c",                                     // 7
    "36~0603~0030~6063~6636~0609~0c3c~6c69~6636", // 8
    "09~0c3c~6c6963~6030~0003~0636~6663",         // 9
    "35 3b",                                      // :
    "35 3b2e",                                    // ;
    "53065a",                                     // <
    "0464 0868",                                  // =
    "13661a",                                     // >
    "03~0030~6063~6636 39 3c",                    // ?
    "5c3c~0c06~0030~60666a 6634~1417~1a3a~6a66",  // @
    "0c306c 1858",                                // A
    "0c0030~60~663606 36~66~6c3c0c",              // B
    "63~6030~000309~0c3c~6c69",                   // C
    "0c0020~606468~6c2c0c",                       // D
    "60000c6c 0656",                              // E
    "60000c 0656",                                // F
    "63~6030~000309~0c3c~6c696737",               // G
    "000c 606c 0666",                             // H
    "1050 303c 1c5c",                             // I
    "6069~6c3c~0c09",                             // J
    "000c 6006 246c",                             // K
    "000c6c",                                     // L
    "0c0037606c",                                 // M
    "0c006c60",                                   // N
    "30~000309~0c3c~6c6963~6030",                 // O
    "0c0030~60~673707",                           // P
    "30~000309~0c3c~6c6963~6030 396d",            // Q
    "0c0030~60~673707 376c",                      // R
    "63~6030~0003~0636~6669~6c3c~0c09",           // S
    "0060 303c",                                  // T
    "0009~0c3c~6c6960",                           // U
    "003c60",                                     // V
    "001c345c60",                                 // W
    "006c 600c",                                  // X
    "003660 363c",                                // Y
    "00600c6c",                                   // Z
    "40202c4c",                                   // [
    "006c",                                       // backslash
    "20404c2c",                                   // ]
    "043064",                                     // ^
    "0d6d",                                       // _
    "2042",                                       // `
    "646c 68~6434~0408~0c3c~6c68",                // a
    "000c 08~0434~6468~6c3c~0c08",                // b
    "66~6434~0408~0c3c~6c6a",                     // c
    "606c 68~6434~0408~0c3c~6c68",                // d
    "0868~6434~0408~0c3c~5c6a",                   // e
    "60~20242c 0454",                             // f
    "646d~6g3g~0g0e 68~6434~0408~0c3c~6c68",      // g
    "000c 08~0434~64686c",                        // h
    "14343c 0c6c 30",                             // i
    "24444d~4g2g~0g1g 40",                        // j
    "000c 6409 276c",                             // k
    "10303a~3c5c",                                // l
    "040c 06~04~34363c 36~34~64666c",             // m
    "040c 08~0434~64686c",                        // n
    "34~0408~0c3c~6c68~6434",                     // o
    "040g 08~0434~6468~6c3c~0c08",                // p
    "646g 68~6434~0408~0c3c~6c68",                // q
    "040c 08~0434~6466",                          // r
    "66~6434~0406~0838~686a~6c3c~0c0a",           // s
    "2029~2c5c 0454",                             // t
    "0408~0c3c~6c68 646c",                        // u
    "043c64",                                     // v
    "041c365c64",                                 // w
    "046c 640c",                                  // x
    "0408~0c3c~6c68 646d~6g3g~0g0e",              // y
    "04640c6c",                                   // z
    "50~3033~3616~3639~3c5c",                     // {
    "303d",                                       // |
    "10~3033~3656~3639~3c1c",                     // }
    "07~1435~5865",                               // ~
    "073b62",                                     // a check mark
    "36",                                         // a middle dot
};

enum { fraction = 16, unitsWide = 10, unitsHigh = 20, left = 2, top = 2 }; // where 00 lies in its cell, in units

struct Point {
    int x, y;
}; // in 1/16 pixels
struct Pen {
    uint8_t* cell;
    int width, height, unit, radius;
};

/// How far p is from the line between a and b.
static int distance(struct Point p, struct Point a, struct Point b)
{
    int const dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
    int const along = length ? clamp((p.x - a.x) * dx + (p.y - a.y) * dy, 0, length) : 0;
    int const ex = p.x - a.x - (length ? (int)((int64_t)dx * along / length) : 0);
    int const ey = p.y - a.y - (length ? (int)((int64_t)dy * along / length) : 0);
    return (int)squareRoot((unsigned)(ex * ex + ey * ey));
}

/// Covers every pixel near the line as far as the round pen reaches it.
static void drawLine(struct Pen const* pen, struct Point a, struct Point b)
{
    int const reach = pen->radius + fraction;
    int const x0 = ((a.x < b.x ? a.x : b.x) - reach) / fraction, x1 = ((a.x > b.x ? a.x : b.x) + reach) / fraction;
    int const y0 = ((a.y < b.y ? a.y : b.y) - reach) / fraction, y1 = ((a.y > b.y ? a.y : b.y) + reach) / fraction;
    for (int y = clamp(y0, 0, pen->height - 1); y <= clamp(y1, 0, pen->height - 1); y++) {
        for (int x = clamp(x0, 0, pen->width - 1); x <= clamp(x1, 0, pen->width - 1); x++) {
            struct Point const centre = { x * fraction + fraction / 2, y * fraction + fraction / 2 };
            int const inside = pen->radius + fraction / 2 - distance(centre, a, b);
            int const covered = clamp(inside * 255 / fraction, 0, 255);
            uint8_t* const pixel = &pen->cell[y * pen->width + x];
            if (covered > *pixel)
                *pixel = (uint8_t)covered;
        }
    }
}

/// A dot is half as wide again as a line, or it looks too small beside one.
static void drawDot(struct Pen const* pen, struct Point at)
{
    struct Pen wide = *pen;
    wide.radius = pen->radius * 3 / 2;
    drawLine(&wide, at, at);
}

static void drawCurve(struct Pen const* pen, struct Point a, struct Point control, struct Point b)
{
    enum { steps = 12 };
    struct Point from = a;
    for (int i = 1; i <= steps; i++) {
        int const u = steps - i, v = i;
        struct Point const to = { (a.x * u * u + 2 * control.x * u * v + b.x * v * v) / (steps * steps),
            (a.y * u * u + 2 * control.y * u * v + b.y * v * v) / (steps * steps) };
        drawLine(pen, from, to);
        from = to;
    }
}

static int digit(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

static void drawGlyph(struct Pen const* pen, char const* at)
{
    struct Point from = { 0, 0 }, control = { 0, 0 };
    bool drawing = false, curving = false;
    for (; *at; at++) {
        if (*at == ' ') {
            drawing = curving = false;
            continue;
        }
        bool const isControl = *at == '~';
        at += isControl;
        struct Point point = { (left + digit(at[0])) * pen->unit, (top + digit(at[1])) * pen->unit };
        at++;
        struct Point const middle = { (control.x + point.x) / 2, (control.y + point.y) / 2 };
        struct Point const end = isControl ? middle : point;
        if (curving)
            drawCurve(pen, from, control, end);
        else if (drawing && !isControl)
            drawLine(pen, from, point);
        else if (at[1] == ' ' || at[1] == '\0')
            drawDot(pen, point);
        if (curving || !isControl)
            from = end;
        control = point;
        curving = isControl;
        drawing = true;
    }
}

struct Face makeFace(unsigned unit, unsigned pen)
{
    struct Face face = { unitsWide * unit, unitsHigh * unit, NULL };
    size_t const cell = face.advance * face.height;
    face.coverage = allocate(cell * glyphCount, 16);
    for (unsigned i = 0; i < glyphCount; i++) {
        struct Pen const tool
            = { face.coverage + i * cell, (int)face.advance, (int)face.height, (int)unit * fraction, (int)pen / 2 };
        drawGlyph(&tool, strokes[i]);
    }
    return face;
}

uint8_t const* glyph(struct Face const* face, char character)
{
    unsigned const index = (uint8_t)character - (unsigned)firstGlyph;
    return face->coverage + (index < glyphCount ? index : '?' - firstGlyph) * face->advance * face->height;
}
