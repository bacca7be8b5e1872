#pragma once

#include "ui/serial/terminal_cell.h"

#include <QColor>
#include <array>

namespace ui {

/// What the guest's colours look like: readable on a light and on a dark background.
struct TerminalPalette {
    QColor foreground, background, selection, cursor;
    std::array<QColor, 16> colors;

    static TerminalPalette light();
    static TerminalPalette dark();

    /// `fallback` where the guest asked for nothing.
    QColor resolve(TerminalColor color, QColor const& fallback) const;
};

}
