#include "ui/serial/terminal_palette.h"

namespace ui {

TerminalPalette TerminalPalette::light()
{
    return { 0x24292f, 0xfbfbfc, 0xb6d7ff, 0x24292f,
        { QColor(0x24292f), 0xb3202a, 0x1a6b34, 0x7a5200, 0x0b57c4, 0x7b3fb5, 0x0f6674, 0x6a7079, 0x4d545d, 0xd1242f,
            0x2a8a47, 0x946300, 0x2a72e0, 0x9350cf, 0x1b8091, 0x3a4048 } };
}

TerminalPalette TerminalPalette::dark()
{
    return { 0xdfe3e8, 0x14171b, 0x2d4f7c, 0xdfe3e8,
        { QColor(0x3a4149), 0xf2777a, 0x8fcf8a, 0xe6c07b, 0x7ab0ff, 0xcf9bf0, 0x6fcdd0, 0xcdd3da, 0x767f8a, 0xff9698,
            0xaee6a5, 0xf5d898, 0xa2c8ff, 0xe0b8fa, 0x96e3e4, 0xffffff } };
}

QColor TerminalPalette::resolve(TerminalColor color, QColor const& fallback) const
{
    switch (color.kind) {
    case TerminalColor::Kind::Default: return fallback;
    case TerminalColor::Kind::Rgb: return QColor(color.red, color.green, color.blue);
    case TerminalColor::Kind::Indexed: break;
    }
    // xterm's 256 colours: 16 of ours, a cube of 6x6x6, 24 greys.
    auto const index = color.red;
    if (index < 16)
        return colors[index];
    if (index >= 232) {
        auto const grey = 8 + (index - 232) * 10;
        return QColor(grey, grey, grey);
    }
    auto level = [](int step) { return step == 0 ? 0 : 55 + step * 40; };
    auto const cube = index - 16;
    return QColor(level(cube / 36), level(cube / 6 % 6), level(cube % 6));
}

}
