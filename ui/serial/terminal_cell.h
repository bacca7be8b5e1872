#pragma once

#include <cstdint>
#include <vector>

namespace ui {

/// A colour as the guest asked for it; what it looks like is the palette's affair.
struct TerminalColor {
    enum class Kind : std::uint8_t { Default, Indexed, Rgb };
    Kind kind = Kind::Default;
    std::uint8_t red = 0; ///< the index where the kind is Indexed
    std::uint8_t green = 0, blue = 0;
    bool operator==(TerminalColor const&) const = default;
};

/// How a character looks.
struct TerminalStyle {
    TerminalColor foreground, background;
    bool bold : 1 = false;
    bool italic : 1 = false;
    bool strike : 1 = false;
    bool reverse : 1 = false;
    std::uint8_t underline : 2 = 0; ///< 0 none, 1 single, 2 double, 3 curly
    bool operator==(TerminalStyle const&) const = default;
};

struct TerminalCell {
    /// A character with up to two combining marks; 0 where nothing is written.
    char32_t text[3] = { 0, 0, 0 };
    /// 2: this and the next cell; 0: the second half of the cell before.
    std::uint8_t width = 1;
    TerminalStyle style;

    bool isBlank() const { return text[0] == 0 && style == TerminalStyle {}; }
};

struct TerminalLine {
    std::vector<TerminalCell> cells;
    bool wrapped = false; ///< the text goes on in the next line
};

/// A place in everything the terminal keeps: line 0 is the oldest one.
struct TerminalPosition {
    int line = 0, column = 0;
    auto operator<=>(TerminalPosition const&) const = default;
};

}
