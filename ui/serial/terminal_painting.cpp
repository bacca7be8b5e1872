// The drawing half of TerminalWidget: rows that changed, in runs of equal style.

#include "ui/serial/terminal_widget.h"

#include <QPaintEvent>
#include <QPainter>

namespace ui {

namespace {

constexpr int margin = 6;

QString textOf(TerminalCell const& cell)
{
    QString text;
    for (auto const character : cell.text) {
        if (character != 0)
            text += QString::fromUcs4(&character, 1);
    }
    return text;
}

bool isPlain(TerminalCell const& cell)
{
    return cell.width == 1 && cell.text[1] == 0 && cell.text[0] < 0x7f;
}

}

void TerminalWidget::paintEvent(QPaintEvent* event)
{
    QPainter painter(viewport());
    auto const region = event->region();
    auto const back = m_screen.reversed() != m_bellFlash ? m_palette.foreground : m_palette.background;
    for (auto const& rect : region)
        painter.fillRect(rect, back);
    painter.setFont(m_font);
    auto const first = firstVisibleLine();
    for (int row = 0; row < m_screen.rows(); ++row) {
        auto const top = margin + row * m_cell.height();
        if (region.intersects(QRect(0, top, viewport()->width(), m_cell.height())))
            paintLine(painter, first + row, top);
    }
    paintCursor(painter);
}

void TerminalWidget::paintLine(QPainter& painter, int index, int top)
{
    auto const& cells = m_screen.line(index).cells;
    auto const count = std::min(static_cast<int>(cells.size()), m_screen.columns());
    auto const selectedFrom = index < m_selectionFrom.line || index > m_selectionTo.line ? m_screen.columns()
        : index == m_selectionFrom.line                                                  ? m_selectionFrom.column
                                                                                         : 0;
    auto const selectedTo = index < m_selectionFrom.line || index > m_selectionTo.line ? 0
        : index == m_selectionTo.line                                                  ? m_selectionTo.column
                                                                                       : m_screen.columns();
    auto const inverse = m_screen.reversed() != m_bellFlash;
    if (hasSelection() && selectedFrom < selectedTo)
        painter.fillRect(margin + selectedFrom * m_cell.width(), top, (selectedTo - selectedFrom) * m_cell.width(),
            m_cell.height(), m_palette.selection);

    for (int column = 0; column < count;) {
        auto const& cell = cells[static_cast<std::size_t>(column)];
        auto const selected = hasSelection() && column >= selectedFrom && column < selectedTo;
        auto end = column + 1;
        QString text;
        if (isPlain(cell)) {
            // One run as long as the style stays and the letters are on the font's grid.
            text = QChar(cell.text[0] == 0 ? u' ' : static_cast<char16_t>(cell.text[0]));
            while (end < count) {
                auto const& next = cells[static_cast<std::size_t>(end)];
                auto const nextSelected = hasSelection() && end >= selectedFrom && end < selectedTo;
                if (!isPlain(next) || next.style != cell.style || nextSelected != selected)
                    break;
                text += QChar(next.text[0] == 0 ? u' ' : static_cast<char16_t>(next.text[0]));
                ++end;
            }
        } else {
            text = textOf(cell);
            end = column + std::max<int>(1, cell.width);
        }

        auto style = cell.style;
        if (style.bold && style.foreground.kind == TerminalColor::Kind::Indexed && style.foreground.red < 8)
            style.foreground.red += 8;
        auto foreground = m_palette.resolve(style.foreground, inverse ? m_palette.background : m_palette.foreground);
        auto background = m_palette.resolve(style.background, inverse ? m_palette.foreground : m_palette.background);
        auto fill = style.background.kind != TerminalColor::Kind::Default;
        if (style.reverse) {
            std::swap(foreground, background);
            fill = true;
        }
        QRect const area(margin + column * m_cell.width(), top, (end - column) * m_cell.width(), m_cell.height());
        if (fill && !selected)
            painter.fillRect(area, background);
        if (selected)
            foreground = m_palette.foreground;

        if (!text.trimmed().isEmpty()) {
            if (style.bold || style.italic) {
                auto font = m_font;
                font.setBold(style.bold);
                font.setItalic(style.italic);
                painter.setFont(font);
            } else if (painter.font() != m_font) {
                painter.setFont(m_font);
            }
            painter.setPen(foreground);
            painter.drawText(area.left(), top + m_ascent, text);
        }
        auto const line = [&](int y) { painter.fillRect(area.left(), y, area.width(), 1, foreground); };
        if (style.underline > 0)
            line(top + m_ascent + 1);
        if (style.underline > 1)
            line(std::min(top + m_ascent + 3, area.bottom()));
        if (style.strike)
            line(top + m_ascent - m_ascent / 3);
        column = end;
    }
}

void TerminalWidget::paintCursor(QPainter& painter)
{
    auto const position = m_markMode ? m_mark : m_screen.cursor();
    if (!m_markMode && !m_screen.cursorVisible())
        return;
    auto rect = cellRect(position);
    if (!viewport()->rect().intersects(rect))
        return;
    auto const& cells = m_screen.line(position.line).cells;
    auto const* cell = position.column < static_cast<int>(cells.size())
        ? &cells[static_cast<std::size_t>(position.column)]
        : nullptr;
    if (cell != nullptr && cell->width == 2)
        rect.setWidth(2 * m_cell.width());

    if (!m_composing.isEmpty()) {
        auto const width = painter.fontMetrics().horizontalAdvance(m_composing);
        painter.fillRect(QRect(rect.topLeft(), QSize(width, m_cell.height())), m_palette.selection);
        painter.setPen(m_palette.foreground);
        painter.drawText(rect.left(), rect.top() + m_ascent, m_composing);
        return;
    }
    if (!hasFocus()) {
        // Strictly within the cell, which a pen is not at every scale: nothing else is painted anew when it moves.
        auto const edge = m_palette.cursor;
        painter.fillRect(rect.left(), rect.top(), rect.width(), 1, edge);
        painter.fillRect(rect.left(), rect.bottom(), rect.width(), 1, edge);
        painter.fillRect(rect.left(), rect.top(), 1, rect.height(), edge);
        painter.fillRect(rect.right(), rect.top(), 1, rect.height(), edge);
        return;
    }
    if (!m_cursorOn)
        return;
    switch (m_markMode ? TerminalScreen::CursorShape::Bar : m_screen.cursorShape()) {
    case TerminalScreen::CursorShape::Underline:
        painter.fillRect(rect.left(), rect.bottom() - 1, rect.width(), 2, m_palette.cursor);
        break;
    case TerminalScreen::CursorShape::Bar:
        painter.fillRect(rect.left(), rect.top(), 2, rect.height(), m_palette.cursor);
        break;
    case TerminalScreen::CursorShape::Block:
        painter.fillRect(rect, m_palette.cursor);
        if (cell != nullptr && cell->text[0] != 0) {
            auto font = m_font;
            font.setBold(cell->style.bold);
            painter.setFont(font);
            painter.setPen(m_palette.background);
            painter.drawText(rect.left(), rect.top() + m_ascent, textOf(*cell));
        }
        break;
    }
}

}
