#pragma once

#include "ui/serial/terminal_cell.h"

#include <QByteArray>
#include <QString>
#include <deque>
#include <functional>
#include <memory>
#include <vterm.h>

namespace ui {

/// A VT220/xterm-compatible terminal without a window: bytes in, lines and answers out. libvterm parses and keeps modes
/// and the cursor; the lines are kept here, so that they can be wrapped anew when the width changes and reach back
/// further than the screen. GUI thread only.
class TerminalScreen {
public:
    static constexpr int scrollbackLimit = 10000;
    static constexpr int maximumSize = 1000; ///< rows or columns

    enum class CursorShape { Block, Underline, Bar };
    enum class MouseMode { None, Click, Drag, Move };

    TerminalScreen(int rows, int columns);

    /// Called with what the terminal sends to the guest: keys, and answers to its questions.
    std::function<void(QByteArray const&)> output;
    std::function<void()> bell;
    std::function<void(QString const&)> titleChanged;

    void feed(QByteArrayView bytes);
    void resize(int rows, int columns);
    /// Clears everything, the scrollback too, as when a terminal is switched on.
    void reset();
    /// The same, but that what was shown stays in the scrollback.
    void beginAnew();

    int rows() const { return m_rows; }
    int columns() const { return m_columns; }
    /// Scrollback and screen together.
    int lineCount() const { return static_cast<int>(m_scrollback.size()) + m_rows; }
    int scrollbackCount() const { return static_cast<int>(m_scrollback.size()); }
    TerminalLine const& line(int index) const;

    TerminalPosition cursor() const;
    bool cursorVisible() const { return m_cursorVisible; }
    bool cursorBlinks() const { return m_cursorBlinks; }
    CursorShape cursorShape() const { return m_cursorShape; }
    MouseMode mouseMode() const { return m_mouseMode; }
    bool alternateScreen() const { return m_alternate; }
    bool reversed() const { return m_reversed; }

    /// What changed since the last call.
    struct Changes {
        std::vector<int> rows; ///< of the screen
        int dropped = 0;       ///< lines that fell off the far end of the scrollback
    };
    Changes takeChanges();

    void sendKey(VTermKey key, VTermModifier modifiers);
    void sendCharacter(char32_t character, VTermModifier modifiers);
    /// As pasted: bracketed where the guest asked for it, line ends as Enter, and no other control characters, so that
    /// a clipboard can never press keys.
    void paste(QString const& text);
    void sendMouseMove(int row, int column, VTermModifier modifiers);
    void sendMouseButton(int button, bool pressed, VTermModifier modifiers);
    void setFocused(bool focused);

    /// The text between two places, with wrapped lines joined.
    QString text(TerminalPosition from, TerminalPosition to) const;
    QString lineText(int index) const;

private:
    struct Callbacks;
    struct Deleter {
        void operator()(VTerm* terminal) const { vterm_free(terminal); }
    };
    using Grid = std::vector<TerminalLine>;

    TerminalLine blankLine() const;
    void putGlyph(VTermGlyphInfo const& glyph, VTermPos position);
    bool scroll(VTermRect rect, int downward, int rightward);
    void move(VTermRect destination, VTermRect source);
    void erase(VTermRect rect);
    void setPen(VTermAttr attribute, VTermValue const& value);
    bool setProperty(VTermProp property, VTermValue const& value);
    void cursorMoved(VTermPos position);
    VTermPos rearrange(int rows, int columns);
    void endScrollRegion();
    void keep(TerminalLine line);
    void touch(int first, int last);
    void touchAll() { touch(0, m_rows); }

    std::unique_ptr<VTerm, Deleter> m_terminal;
    VTermState* m_state = nullptr;
    int m_rows = 0, m_columns = 0;
    Grid m_grid, m_otherGrid; // the screen shown, and the other of primary and alternate
    std::deque<TerminalLine> m_scrollback;
    TerminalStyle m_pen;
    VTermPos m_cursor { 0, 0 };
    bool m_lineFull = false; // the last character went into the last column, and the cursor stayed there
    bool m_cursorVisible = true, m_cursorBlinks = true, m_alternate = false, m_reversed = false;
    CursorShape m_cursorShape = CursorShape::Block;
    MouseMode m_mouseMode = MouseMode::None;
    QByteArray m_title;
    std::vector<bool> m_touched;
    int m_dropped = 0;
};

}
