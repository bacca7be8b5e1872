#include "ui/serial/terminal_screen.h"

#include <QList>
#include <algorithm>

namespace ui {

namespace {

TerminalColor colorOf(VTermColor const& color)
{
    using Kind = TerminalColor::Kind;
    if (VTERM_COLOR_IS_DEFAULT_FG(&color) || VTERM_COLOR_IS_DEFAULT_BG(&color))
        return {};
    if (VTERM_COLOR_IS_INDEXED(&color))
        return { Kind::Indexed, color.indexed.idx, 0, 0 };
    return { Kind::Rgb, color.rgb.red, color.rgb.green, color.rgb.blue };
}

int usedCells(TerminalLine const& line)
{
    auto used = static_cast<int>(line.cells.size());
    while (used > 0 && line.cells[static_cast<std::size_t>(used - 1)].isBlank())
        --used;
    return used;
}

}

/// libvterm's C functions, each handing on to the object behind `user`.
struct TerminalScreen::Callbacks {
    static TerminalScreen& self(void* user) { return *static_cast<TerminalScreen*>(user); }

    static constexpr VTermStateCallbacks table {
        .putglyph = [](VTermGlyphInfo* glyph, VTermPos position, void* user) -> int {
            self(user).putGlyph(*glyph, position);
            return 1;
        },
        .movecursor = [](VTermPos position, VTermPos, int, void* user) -> int {
            self(user).cursorMoved(position);
            return 1;
        },
        .scrollrect = [](VTermRect rect, int downward, int rightward, void* user) -> int {
            return self(user).scroll(rect, downward, rightward);
        },
        .moverect = [](VTermRect destination, VTermRect source, void* user) -> int {
            self(user).move(destination, source);
            return 1;
        },
        .erase = [](VTermRect rect, int, void* user) -> int {
            self(user).erase(rect);
            return 1;
        },
        .initpen = [](void* user) -> int {
            self(user).m_pen = {};
            return 1;
        },
        .setpenattr = [](VTermAttr attribute, VTermValue* value, void* user) -> int {
            self(user).setPen(attribute, *value);
            return 1;
        },
        .settermprop = [](VTermProp property, VTermValue* value, void* user) -> int {
            return self(user).setProperty(property, *value);
        },
        .bell = [](void* user) -> int {
            if (self(user).bell)
                self(user).bell();
            return 1;
        },
        .resize = [](int rows, int columns, VTermPos* delta, void* user) -> int {
            auto const before = self(user).m_cursor;
            auto const after = self(user).rearrange(rows, columns);
            *delta = { after.row - before.row, after.col - before.col };
            return 1;
        },
        .setlineinfo = [](int, VTermLineInfo const*, VTermLineInfo const*, void*) -> int {
            return 0; // lines of double width and height are drawn as single ones
        },
    };

    static void write(char const* bytes, std::size_t length, void* user)
    {
        if (self(user).output)
            self(user).output(QByteArray(bytes, static_cast<qsizetype>(length)));
    }
};

TerminalScreen::TerminalScreen(int rows, int columns)
    : m_terminal(vterm_new(rows, columns)), m_rows(rows), m_columns(columns)
{
    m_grid.assign(static_cast<std::size_t>(rows), blankLine());
    m_otherGrid = m_grid;
    m_touched.assign(static_cast<std::size_t>(rows), true);
    vterm_set_utf8(m_terminal.get(), 1);
    vterm_output_set_callback(m_terminal.get(), &Callbacks::write, this);
    m_state = vterm_obtain_state(m_terminal.get());
    vterm_state_set_callbacks(m_state, &Callbacks::table, this);
    vterm_state_reset(m_state, 1);
}

void TerminalScreen::feed(QByteArrayView bytes)
{
    vterm_input_write(m_terminal.get(), bytes.data(), static_cast<std::size_t>(bytes.size()));
}

void TerminalScreen::resize(int rows, int columns)
{
    rows = std::clamp(rows, 1, maximumSize);
    columns = std::clamp(columns, 2, maximumSize);
    if (rows < m_rows || columns < m_columns)
        endScrollRegion();
    if (rows != m_rows || columns != m_columns)
        vterm_set_size(m_terminal.get(), rows, columns);
}

/// One that begins below the new last row has no rows in libvterm 0.1.4, which moves memory beyond its own in that.
void TerminalScreen::endScrollRegion()
{
    VTermPos before {}, after {};
    vterm_state_get_cursorpos(m_state, &before);
    feed("\x18\x1b[r\x1b[s"); // what was sent of a sequence ends, too
    vterm_state_get_cursorpos(m_state, &after);
    if (vterm_pos_cmp(before, after) != 0)
        feed(QStringLiteral("\x1b[%1;%2H").arg(before.row + 1).arg(before.col + 1).toLatin1());
}

void TerminalScreen::reset()
{
    beginAnew();
    m_scrollback.clear();
    m_dropped = 0; // nobody looks at what there was
}

void TerminalScreen::beginAnew()
{
    // What libvterm's reset leaves as it is: a sequence that is not complete, the alternate screen, and modes.
    feed("\x18\x1b[?1049l\x1b[?5l\x1b[?1000l\x1b[?1002l\x1b[?1003l");
    auto used = m_rows;
    while (used > 0 && usedCells(m_grid[static_cast<std::size_t>(used - 1)]) == 0)
        --used;
    for (int row = 0; row < used; ++row)
        keep(std::move(m_grid[static_cast<std::size_t>(row)]));
    m_lineFull = false;
    vterm_state_reset(m_state, 1);
    vterm_state_get_cursorpos(m_state, &m_cursor); // it moves there without a word
    touchAll();
}

TerminalLine const& TerminalScreen::line(int index) const
{
    auto const kept = scrollbackCount();
    return index < kept ? m_scrollback[static_cast<std::size_t>(index)]
                        : m_grid[static_cast<std::size_t>(std::min(index - kept, m_rows - 1))];
}

TerminalPosition TerminalScreen::cursor() const
{
    return { scrollbackCount() + m_cursor.row, m_cursor.col };
}

TerminalScreen::Changes TerminalScreen::takeChanges()
{
    Changes changes;
    for (int row = 0; row < m_rows; ++row) {
        if (m_touched[static_cast<std::size_t>(row)])
            changes.rows.push_back(row);
    }
    std::fill(m_touched.begin(), m_touched.end(), false);
    changes.dropped = std::exchange(m_dropped, 0);
    return changes;
}

void TerminalScreen::sendKey(VTermKey key, VTermModifier modifiers)
{
    vterm_keyboard_key(m_terminal.get(), key, modifiers);
}

void TerminalScreen::sendCharacter(char32_t character, VTermModifier modifiers)
{
    vterm_keyboard_unichar(m_terminal.get(), character, modifiers);
}

void TerminalScreen::paste(QString const& text)
{
    vterm_keyboard_start_paste(m_terminal.get());
    auto normalised = text;
    normalised.replace(QLatin1String("\r\n"), QLatin1String("\n"));
    QByteArray bytes;
    for (auto const code : normalised.toUcs4()) {
        auto const character = static_cast<char32_t>(code);
        if (character == U'\n' || character == U'\r')
            bytes += '\r';
        else if (character == U'\t'
            || (character >= 0x20 && character != 0x7f && !(character >= 0x80 && character < 0xa0)))
            bytes += QString::fromUcs4(&character, 1).toUtf8();
    }
    if (output && !bytes.isEmpty())
        output(bytes);
    vterm_keyboard_end_paste(m_terminal.get());
}

void TerminalScreen::sendMouseMove(int row, int column, VTermModifier modifiers)
{
    vterm_mouse_move(m_terminal.get(), row, column, modifiers);
}

void TerminalScreen::sendMouseButton(int button, bool pressed, VTermModifier modifiers)
{
    vterm_mouse_button(m_terminal.get(), button, pressed, modifiers);
}

void TerminalScreen::setFocused(bool focused)
{
    focused ? vterm_state_focus_in(m_state) : vterm_state_focus_out(m_state);
}

QString TerminalScreen::text(TerminalPosition from, TerminalPosition to) const
{
    QString result;
    for (int index = std::max(from.line, 0); index <= to.line && index < lineCount(); ++index) {
        auto const& cells = line(index).cells;
        auto const used = usedCells(line(index));
        auto const first = index == from.line ? from.column : 0;
        auto const last = index == to.line ? std::min(to.column, used) : used;
        for (int column = first; column < last; ++column) {
            auto const& cell = cells[static_cast<std::size_t>(column)];
            if (cell.width == 0)
                continue;
            if (cell.text[0] == 0)
                result += QLatin1Char(' ');
            for (auto const character : cell.text) {
                if (character != 0)
                    result += QString::fromUcs4(&character, 1);
            }
        }
        if (index != to.line && !line(index).wrapped)
            result += QLatin1Char('\n');
    }
    return result;
}

QString TerminalScreen::lineText(int index) const
{
    return text({ index, 0 }, { index, maximumSize });
}

TerminalLine TerminalScreen::blankLine() const
{
    return { std::vector<TerminalCell>(static_cast<std::size_t>(m_columns)), false };
}

void TerminalScreen::putGlyph(VTermGlyphInfo const& glyph, VTermPos position)
{
    if (position.row < 0 || position.row >= m_rows || position.col < 0 || position.col >= m_columns)
        return;
    if (position.col == 0 && position.row > 0)
        m_grid[static_cast<std::size_t>(position.row - 1)].wrapped = m_lineFull;
    auto& cells = m_grid[static_cast<std::size_t>(position.row)].cells;
    auto& cell = cells[static_cast<std::size_t>(position.col)];
    cell = {};
    for (std::size_t i = 0; i < std::size(cell.text) && glyph.chars[i] != 0; ++i)
        cell.text[i] = glyph.chars[i];
    cell.width = static_cast<std::uint8_t>(glyph.width == 2 && position.col + 1 < m_columns ? 2 : 1);
    cell.style = m_pen;
    if (cell.width == 2) {
        auto& half = cells[static_cast<std::size_t>(position.col + 1)];
        half = {};
        half.width = 0;
        half.style = m_pen;
    }
    m_lineFull = position.col + glyph.width >= m_columns;
    touch(position.row, position.row + 1);
}

bool TerminalScreen::scroll(VTermRect rect, int downward, int rightward)
{
    auto const height = rect.end_row - rect.start_row;
    if (rightward != 0 || rect.start_col != 0 || rect.end_col < m_columns || rect.start_row < 0 || rect.end_row > m_rows
        || height <= 0)
        return false; // libvterm then moves and erases
    auto const count = std::min(std::abs(downward), height);
    auto const begin = m_grid.begin() + rect.start_row, end = m_grid.begin() + rect.end_row;
    if (downward > 0) {
        if (rect.start_row == 0 && !m_alternate) {
            for (int row = 0; row < count; ++row)
                keep(std::move(m_grid[static_cast<std::size_t>(row)]));
        }
        std::rotate(begin, begin + count, end);
        erase({ rect.end_row - count, rect.end_row, 0, m_columns });
    } else {
        std::rotate(begin, end - count, end);
        erase({ rect.start_row, rect.start_row + count, 0, m_columns });
    }
    touch(rect.start_row, rect.end_row);
    return true;
}

void TerminalScreen::move(VTermRect destination, VTermRect source)
{
    auto copy = [this](VTermPos to, VTermPos from) {
        if (to.row < 0 || to.row >= m_rows || from.row < 0 || from.row >= m_rows || to.col < 0 || to.col >= m_columns
            || from.col < 0 || from.col >= m_columns)
            return;
        m_grid[static_cast<std::size_t>(to.row)].cells[static_cast<std::size_t>(to.col)]
            = m_grid[static_cast<std::size_t>(from.row)].cells[static_cast<std::size_t>(from.col)];
    };
    vterm_copy_cells(
        destination, source,
        [](VTermPos to, VTermPos from, void* user) { (*static_cast<decltype(copy)*>(user))(to, from); }, &copy);
    touch(destination.start_row, destination.end_row);
}

void TerminalScreen::erase(VTermRect rect)
{
    TerminalCell blank;
    blank.style.background = m_pen.background;
    auto const firstColumn = std::clamp(rect.start_col, 0, m_columns),
               lastColumn = std::clamp(rect.end_col, 0, m_columns);
    for (int row = std::max(rect.start_row, 0); row < std::min(rect.end_row, m_rows); ++row) {
        auto& line = m_grid[static_cast<std::size_t>(row)];
        line.cells.resize(static_cast<std::size_t>(m_columns)); // a line that was kept left an empty one behind
        std::fill(line.cells.begin() + firstColumn, line.cells.begin() + std::max(firstColumn, lastColumn), blank);
        if (lastColumn == m_columns)
            line.wrapped = false;
    }
    touch(rect.start_row, rect.end_row);
}

void TerminalScreen::setPen(VTermAttr attribute, VTermValue const& value)
{
    switch (attribute) {
    case VTERM_ATTR_BOLD: m_pen.bold = value.boolean; break;
    case VTERM_ATTR_UNDERLINE: m_pen.underline = static_cast<std::uint8_t>(value.number & 3); break;
    case VTERM_ATTR_ITALIC: m_pen.italic = value.boolean; break;
    case VTERM_ATTR_REVERSE: m_pen.reverse = value.boolean; break;
    case VTERM_ATTR_STRIKE: m_pen.strike = value.boolean; break;
    case VTERM_ATTR_FOREGROUND: m_pen.foreground = colorOf(value.color); break;
    case VTERM_ATTR_BACKGROUND: m_pen.background = colorOf(value.color); break;
    default: break; // blinking text and other fonts are drawn as plain text
    }
}

bool TerminalScreen::setProperty(VTermProp property, VTermValue const& value)
{
    switch (property) {
    case VTERM_PROP_CURSORVISIBLE: m_cursorVisible = value.boolean; break;
    case VTERM_PROP_CURSORBLINK: m_cursorBlinks = value.boolean; break;
    case VTERM_PROP_CURSORSHAPE:
        m_cursorShape = value.number == VTERM_PROP_CURSORSHAPE_UNDERLINE ? CursorShape::Underline
            : value.number == VTERM_PROP_CURSORSHAPE_BAR_LEFT            ? CursorShape::Bar
                                                                         : CursorShape::Block;
        break;
    case VTERM_PROP_MOUSE: m_mouseMode = static_cast<MouseMode>(std::clamp(value.number, 0, 3)); break;
    case VTERM_PROP_REVERSE:
        m_reversed = value.boolean;
        touchAll();
        break;
    case VTERM_PROP_ALTSCREEN:
        if (m_alternate != static_cast<bool>(value.boolean)) {
            m_alternate = value.boolean;
            std::swap(m_grid, m_otherGrid);
            touchAll();
        }
        break;
    case VTERM_PROP_TITLE:
        m_title = value.string;
        if (titleChanged)
            titleChanged(QString::fromUtf8(m_title).left(256));
        break;
    default: break;
    }
    touch(m_cursor.row, m_cursor.row + 1);
    return true;
}

void TerminalScreen::cursorMoved(VTermPos position)
{
    if (position.col != m_columns - 1)
        m_lineFull = false;
    touch(m_cursor.row, m_cursor.row + 1);
    m_cursor = position;
    touch(m_cursor.row, m_cursor.row + 1);
}

/// Wraps the primary screen and the scrollback for the new width, cuts the alternate screen to size, and says where the
/// cursor is then.
VTermPos TerminalScreen::rearrange(int rows, int columns)
{
    auto& primary = m_alternate ? m_otherGrid : m_grid;
    auto& alternate = m_alternate ? m_grid : m_otherGrid;
    auto const cursorRow = m_alternate ? m_rows - 1 : m_cursor.row;
    auto used = m_rows;
    while (used > cursorRow + 1 && usedCells(primary[static_cast<std::size_t>(used - 1)]) == 0)
        --used;
    if (m_alternate) {
        while (used > 0 && usedCells(primary[static_cast<std::size_t>(used - 1)]) == 0)
            --used;
    }
    auto source = std::move(m_scrollback);
    auto const cursorLine = static_cast<int>(source.size()) + cursorRow;
    for (int row = 0; row < used; ++row)
        source.push_back(std::move(primary[static_cast<std::size_t>(row)]));

    std::deque<TerminalLine> lines;
    VTermPos cursor { 0, 0 };
    auto const width = static_cast<std::size_t>(columns);
    for (std::size_t index = 0; index < source.size();) {
        TerminalLine whole;
        auto cursorAt = std::size_t { 0 };
        auto hasCursor = false;
        for (auto more = true; more && index < source.size(); ++index) {
            auto& piece = source[index];
            more = piece.wrapped;
            if (!more)
                piece.cells.resize(static_cast<std::size_t>(usedCells(piece)));
            if (static_cast<int>(index) == cursorLine) {
                hasCursor = true;
                cursorAt = whole.cells.size() + static_cast<std::size_t>(m_cursor.col);
            }
            if (whole.cells.empty())
                whole.cells = std::move(piece.cells);
            else
                whole.cells.insert(whole.cells.end(), piece.cells.begin(), piece.cells.end());
        }
        auto const firstRow = lines.size();
        if (whole.cells.size() <= width) {
            lines.push_back(std::move(whole));
        } else {
            for (std::size_t at = 0; at < whole.cells.size(); at += width) {
                auto const end = std::min(at + width, whole.cells.size());
                lines.push_back({ { whole.cells.begin() + static_cast<std::ptrdiff_t>(at),
                                      whole.cells.begin() + static_cast<std::ptrdiff_t>(end) },
                    end < whole.cells.size() });
            }
        }
        if (hasCursor) {
            cursor = { static_cast<int>(firstRow + cursorAt / width), static_cast<int>(cursorAt % width) };
            while (static_cast<int>(lines.size()) <= cursor.row)
                lines.push_back({});
        }
    }

    auto const kept = std::max(0, static_cast<int>(lines.size()) - rows);
    primary.clear();
    for (auto line = lines.begin() + kept; line != lines.end(); ++line) {
        primary.push_back(std::move(*line));
        primary.back().cells.resize(width);
    }
    lines.erase(lines.begin() + kept, lines.end());
    auto const oldAlternateCursor = m_cursor;
    m_rows = rows;
    m_columns = columns;
    primary.resize(static_cast<std::size_t>(rows), blankLine());
    alternate.resize(static_cast<std::size_t>(rows), blankLine());
    for (auto& line : alternate)
        line.cells.resize(width);
    m_scrollback = {};
    for (auto& line : lines)
        keep(std::move(line));
    m_lineFull = false;
    m_touched.assign(static_cast<std::size_t>(rows), true);
    if (m_alternate)
        return { std::min(oldAlternateCursor.row, rows - 1), std::min(oldAlternateCursor.col, columns - 1) };
    return { std::clamp(cursor.row - kept, 0, rows - 1), cursor.col };
}

void TerminalScreen::keep(TerminalLine line)
{
    if (!line.wrapped)
        line.cells.resize(static_cast<std::size_t>(usedCells(line)));
    line.cells.shrink_to_fit();
    m_scrollback.push_back(std::move(line));
    if (m_scrollback.size() > scrollbackLimit) {
        m_scrollback.pop_front();
        ++m_dropped;
    }
}

void TerminalScreen::touch(int first, int last)
{
    for (int row = std::max(first, 0); row < std::min(last, static_cast<int>(m_touched.size())); ++row)
        m_touched[static_cast<std::size_t>(row)] = true;
}

}
