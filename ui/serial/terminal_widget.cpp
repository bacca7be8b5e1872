#include "ui/serial/terminal_widget.h"

#include "ui/serial/terminal_accessible.h"
#include "ui/serial/terminal_keys.h"
#include "ui/widgets/hint.h"

#include <QApplication>
#include <QContextMenuEvent>
#include <QFontDatabase>
#include <QMenu>
#include <QPainter>
#include <QScrollBar>
#include <QTimerEvent>

namespace ui {

namespace {

constexpr int margin = 6;                  // pixels around the text
constexpr qsizetype sliceBytes = 32 << 10; // about a millisecond or two of parsing

bool isWordCharacter(QChar character)
{
    return character.isLetterOrNumber() || QStringLiteral("_-./:~@%+=").contains(character);
}

}

TerminalWidget::TerminalWidget(QWidget* parent) : QAbstractScrollArea(parent), m_hint(new Hint(this))
{
    installTerminalAccessibility();
    setFrameShape(QFrame::NoFrame);
    setFocusPolicy(Qt::StrongFocus);
    setAttribute(Qt::WA_InputMethodEnabled);
    setVerticalScrollBarPolicy(Qt::ScrollBarAsNeeded);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    viewport()->setCursor(Qt::IBeamCursor);
    viewport()->setMouseTracking(true);
    viewport()->setAttribute(Qt::WA_OpaquePaintEvent);
    m_screen.output = [this](QByteArray const& bytes) {
        if (!m_swallow)
            emit typed(bytes);
    };
    m_screen.bell = [this] {
        m_bellFlash = true;
        m_bellTimer.start(120, this);
        viewport()->update();
        emit bellRang();
    };
    m_screen.titleChanged = [this](QString const& title) { emit titleChanged(title); };
    updateFont();
    updatePalette();
}

TerminalWidget::~TerminalWidget() = default;

void TerminalWidget::feed(QByteArray const& bytes, Answers answers)
{
    if (bytes.isEmpty())
        return;
    m_pending += bytes;
    if (answers == Answers::Swallow)
        m_past = m_pending.size();
    if (m_pending.size() <= sliceBytes)
        takeSlice();
    else if (!m_sliceTimer.isActive())
        m_sliceTimer.start(0, this);
}

void TerminalWidget::takeSlice()
{
    auto const slice = m_pending.left(m_past > 0 ? std::min(m_past, sliceBytes) : sliceBytes);
    m_pending.remove(0, slice.size());
    m_swallow = m_past > 0;
    m_past = std::max<qsizetype>(0, m_past - slice.size());
    m_screen.feed(slice);
    m_swallow = false;
    if (m_pending.isEmpty())
        m_sliceTimer.stop();
    else if (!m_sliceTimer.isActive())
        m_sliceTimer.start(0, this);
    showChanges();
}

void TerminalWidget::clear()
{
    m_pending.clear();
    m_sliceTimer.stop();
    m_past = 0;
    m_screen.reset();
    setSelection({}, {});
    showChanges();
}

void TerminalWidget::beginAnew(QString const& rule)
{
    while (!m_pending.isEmpty())
        takeSlice();
    m_screen.beginAnew();
    QString words;
    for (auto const code : rule.toUcs4()) {
        auto const character = static_cast<char32_t>(code);
        words += QChar::isPrint(character) ? QString::fromUcs4(&character, 1) : QStringLiteral(" ");
    }
    m_screen.feed("\x1b[90m" + words.toUtf8() + "\x1b[0m\r\n");
    setSelection({}, {});
    verticalScrollBar()->setValue(
        verticalScrollBar()->maximum()); // whoever looked at older lines sees that there is more
    showChanges();
}

void TerminalWidget::clearScrollback()
{
    auto const visible = m_screen.rows();
    auto const columns = m_screen.columns();
    m_screen.reset();
    m_screen.resize(visible, columns);
    setSelection({}, {});
    showChanges();
}

void TerminalWidget::showChanges()
{
    auto* bar = verticalScrollBar();
    auto const follow = bar->value() >= bar->maximum();
    auto const first = firstVisibleLine();
    auto const changes = m_screen.takeChanges();
    if (changes.dropped > 0) {
        auto shift = [&](TerminalPosition& position) {
            position.line -= changes.dropped;
            if (position.line < 0)
                position = {};
        };
        shift(m_selectionFrom);
        shift(m_selectionTo);
        shift(m_anchor);
        shift(m_mark);
        if (!follow)
            bar->setValue(bar->value() - changes.dropped);
    }
    updateScrollBar(follow);
    if (firstVisibleLine() != first) {
        viewport()->update();
    } else {
        auto const offset = m_screen.scrollbackCount() - first;
        for (auto const row : changes.rows)
            viewport()->update(0, margin + (row + offset) * m_cell.height(), viewport()->width(), m_cell.height());
    }
    if (m_screen.cursorBlinks() && hasFocus() && !m_blinkTimer.isActive())
        updateCursor();
    if (QAccessible::isActive() && !m_announceTimer.isActive())
        m_announceTimer.start(200, this);
}

QString TerminalWidget::visibleText() const
{
    QStringList lines;
    for (int row = 0; row < m_screen.rows(); ++row)
        lines += m_screen.lineText(firstVisibleLine() + row);
    while (!lines.isEmpty() && lines.last().isEmpty())
        lines.removeLast();
    return lines.join(QLatin1Char('\n'));
}

int TerminalWidget::firstVisibleLine() const
{
    return std::min(verticalScrollBar()->value(), m_screen.scrollbackCount());
}

QRect TerminalWidget::cellRect(TerminalPosition position) const
{
    return { QPoint(margin + position.column * m_cell.width(),
                 margin + (position.line - firstVisibleLine()) * m_cell.height()),
        m_cell };
}

TerminalPosition TerminalWidget::positionAt(QPoint point) const
{
    auto const row = std::clamp((point.y() - margin) / m_cell.height(), 0, m_screen.rows() - 1);
    auto const column = std::clamp((point.x() - margin + m_cell.width() / 2) / m_cell.width(), 0, m_screen.columns());
    return { firstVisibleLine() + row, column };
}

QString TerminalWidget::selectedText() const
{
    return hasSelection() ? m_screen.text(m_selectionFrom, m_selectionTo) : QString();
}

QSize TerminalWidget::sizeHint() const
{
    return { m_cell.width() * 80 + 2 * margin + verticalScrollBar()->sizeHint().width(),
        m_cell.height() * 24 + 2 * margin };
}

void TerminalWidget::setZoom(int zoom)
{
    zoom = std::clamp(zoom, -6, 30);
    if (zoom == m_zoom)
        return;
    m_zoom = zoom;
    updateFont();
    updateGrid();
    viewport()->update();
    emit zoomChanged(zoom);
}

void TerminalWidget::copy()
{
    if (hasSelection())
        QApplication::clipboard()->setText(selectedText());
}

void TerminalWidget::paste(QClipboard::Mode from)
{
    verticalScrollBar()->setValue(verticalScrollBar()->maximum()); // to where it appears
    m_screen.paste(QApplication::clipboard()->text(from));
}

void TerminalWidget::selectAll()
{
    setSelection({ 0, 0 }, { m_screen.lineCount() - 1, m_screen.columns() });
}

void TerminalWidget::setMarkMode(bool on)
{
    if (m_markMode == on)
        return;
    m_markMode = on;
    if (on) {
        m_mark = m_anchor = m_screen.cursor();
    } else {
        setSelection({}, {});
        verticalScrollBar()->setValue(verticalScrollBar()->maximum());
    }
    viewport()->update();
}

void TerminalWidget::updateFont()
{
    m_font = QFontDatabase::systemFont(QFontDatabase::FixedFont);
    m_font.setStyleHint(QFont::Monospace);
    m_font.setFixedPitch(true);
    auto const base = QApplication::font().pointSizeF() > 0 ? QApplication::font().pointSizeF() : 10.0;
    m_font.setPointSizeF(std::max(5.0, base + m_zoom));
    m_font.setKerning(false);
    QFontMetricsF const metrics(m_font);
    auto const advance = metrics.horizontalAdvance(QLatin1Char('M'));
    m_cell = { std::max(1, qRound(advance)), std::max(1, qCeil(metrics.ascent()) + qCeil(metrics.descent())) };
    m_ascent = qCeil(metrics.ascent());
    // So that a run of letters stays on the grid whatever the font's fraction of a pixel is.
    m_font.setLetterSpacing(QFont::AbsoluteSpacing, m_cell.width() - advance);
}

void TerminalWidget::updatePalette()
{
    auto const dark = QApplication::palette().color(QPalette::Base).lightness() < 128;
    m_palette = dark ? TerminalPalette::dark() : TerminalPalette::light();
    viewport()->update();
}

void TerminalWidget::updateGrid()
{
    auto const columns = std::max(2, (viewport()->width() - 2 * margin) / m_cell.width());
    auto const rows = std::max(1, (viewport()->height() - 2 * margin) / m_cell.height());
    auto const follow = verticalScrollBar()->value() >= verticalScrollBar()->maximum();
    if (rows == m_screen.rows() && columns == m_screen.columns())
        return;
    setSelection({}, {});
    m_screen.resize(rows, columns);
    m_screen.takeChanges();
    updateScrollBar(follow);
    viewport()->update();
    emit sizeChanged(columns, rows);
}

void TerminalWidget::updateScrollBar(bool follow)
{
    auto* bar = verticalScrollBar();
    bar->setPageStep(m_screen.rows());
    bar->setRange(0, m_screen.scrollbackCount());
    if (follow)
        bar->setValue(bar->maximum());
}

void TerminalWidget::updateCursor()
{
    m_cursorOn = true;
    auto const flash = QApplication::cursorFlashTime();
    if (hasFocus() && m_screen.cursorBlinks() && flash > 0)
        m_blinkTimer.start(flash / 2, this);
    else
        m_blinkTimer.stop();
    viewport()->update(cellRect(m_screen.cursor()));
    updateMicroFocus();
}

void TerminalWidget::setSelection(TerminalPosition from, TerminalPosition to)
{
    m_selectionFrom = std::min(from, to);
    m_selectionTo = std::max(from, to);
    viewport()->update();
    if (hasSelection() && QApplication::clipboard()->supportsSelection())
        QApplication::clipboard()->setText(selectedText(), QClipboard::Selection);
}

void TerminalWidget::extendSelection(TerminalPosition to)
{
    auto from = std::min(m_anchor, to), until = std::max(m_anchor, to);
    if (m_selectBy == SelectBy::Line) {
        from.column = 0;
        until.column = m_screen.columns();
    } else if (m_selectBy == SelectBy::Word) {
        auto characterAt = [this](int line, int column) {
            auto const& cells = m_screen.line(line).cells;
            return column >= 0 && column < static_cast<int>(cells.size())
                ? QChar(static_cast<char16_t>(cells[static_cast<std::size_t>(column)].text[0]))
                : QChar(u' ');
        };
        while (from.column > 0 && isWordCharacter(characterAt(from.line, from.column - 1)))
            --from.column;
        while (until.column < m_screen.columns() && isWordCharacter(characterAt(until.line, until.column)))
            ++until.column;
    }
    setSelection(from, until);
}

bool TerminalWidget::event(QEvent* event)
{
    // Keys belong to the guest before they belong to the window's shortcuts, except those with Ctrl+Shift, and F11.
    if (event->type() == QEvent::ShortcutOverride) {
        auto* key = static_cast<QKeyEvent*>(event);
        auto const both = Qt::ControlModifier | Qt::ShiftModifier;
        if ((key->modifiers() & both) != both && key->key() != Qt::Key_F11) {
            event->accept();
            return true;
        }
    }
    return QAbstractScrollArea::event(event);
}

bool TerminalWidget::handleShortcut(QKeyEvent* event)
{
    auto* bar = verticalScrollBar();
    auto const modifiers = event->modifiers() & ~Qt::KeypadModifier;
    if (modifiers == (Qt::ControlModifier | Qt::ShiftModifier)) {
        switch (event->key()) {
        case Qt::Key_C: copy(); return true;
        case Qt::Key_V: paste(); return true;
        case Qt::Key_A: selectAll(); return true;
        case Qt::Key_M: setMarkMode(true); return true;
        case Qt::Key_Plus: zoomIn(); return true;
        default: break;
        }
    }
    if (modifiers & Qt::ControlModifier) {
        switch (event->key()) {
        case Qt::Key_Plus:
        case Qt::Key_Equal: zoomIn(); return true;
        case Qt::Key_Minus: zoomOut(); return true;
        case Qt::Key_0: zoomReset(); return true;
        default: break;
        }
    }
    if (modifiers == Qt::ShiftModifier) {
        switch (event->key()) {
        case Qt::Key_PageUp: bar->setValue(bar->value() - bar->pageStep()); return true;
        case Qt::Key_PageDown: bar->setValue(bar->value() + bar->pageStep()); return true;
        case Qt::Key_Insert: paste(); return true;
        default: break;
        }
    }
    return false;
}

void TerminalWidget::handleMarkKey(QKeyEvent* event)
{
    auto next = m_mark;
    auto const last = m_screen.lineCount() - 1;
    switch (event->key()) {
    case Qt::Key_Left: --next.column; break;
    case Qt::Key_Right: ++next.column; break;
    case Qt::Key_Up: --next.line; break;
    case Qt::Key_Down: ++next.line; break;
    case Qt::Key_PageUp: next.line -= m_screen.rows(); break;
    case Qt::Key_PageDown: next.line += m_screen.rows(); break;
    case Qt::Key_Home: next.column = 0; break;
    case Qt::Key_End: next.column = m_screen.columns(); break;
    case Qt::Key_Return:
    case Qt::Key_Enter: copy(); [[fallthrough]];
    case Qt::Key_Escape: setMarkMode(false); return;
    default: return;
    }
    m_mark = { std::clamp(next.line, 0, last), std::clamp(next.column, 0, m_screen.columns()) };
    m_selectBy = SelectBy::Character;
    if (event->modifiers() & Qt::ShiftModifier)
        extendSelection(m_mark);
    else
        setSelection(m_anchor = m_mark, m_mark);
    auto* bar = verticalScrollBar();
    if (m_mark.line < bar->value())
        bar->setValue(m_mark.line);
    else if (m_mark.line >= bar->value() + m_screen.rows())
        bar->setValue(m_mark.line - m_screen.rows() + 1);
    viewport()->update();
}

void TerminalWidget::keyPressEvent(QKeyEvent* event)
{
    if (handleShortcut(event))
        return;
    if (m_markMode) {
        handleMarkKey(event);
        return;
    }
    auto const key = terminalKey(*event);
    if (key.key == VTERM_KEY_NONE && key.character == 0) {
        QAbstractScrollArea::keyPressEvent(event);
        return;
    }
    verticalScrollBar()->setValue(verticalScrollBar()->maximum());
    if (key.key != VTERM_KEY_NONE)
        m_screen.sendKey(key.key, key.modifiers);
    else
        m_screen.sendCharacter(key.character, key.modifiers);
    updateCursor();
}

bool TerminalWidget::reportsMouse(Qt::KeyboardModifiers modifiers) const
{
    return m_screen.mouseMode() != TerminalScreen::MouseMode::None && !(modifiers & Qt::ShiftModifier);
}

void TerminalWidget::mousePressEvent(QMouseEvent* event)
{
    auto const position = positionAt(event->pos());
    if (reportsMouse(event->modifiers())) {
        auto const modifiers = terminalModifiers(event->modifiers());
        auto const button = event->button() == Qt::LeftButton ? 1 : event->button() == Qt::MiddleButton ? 2 : 3;
        m_screen.sendMouseMove(
            position.line - m_screen.scrollbackCount(), (event->pos().x() - margin) / m_cell.width(), modifiers);
        m_screen.sendMouseButton(button, true, modifiers);
        return;
    }
    if (event->button() == Qt::LeftButton) {
        m_selecting = true;
        m_selectBy = SelectBy::Character;
        if (event->modifiers() & Qt::ShiftModifier)
            extendSelection(position);
        else
            setSelection(m_anchor = position, position);
    } else if (event->button() == Qt::MiddleButton) {
        paste(QClipboard::Selection);
    }
}

void TerminalWidget::mouseMoveEvent(QMouseEvent* event)
{
    if (m_selecting) {
        if (event->pos().y() < 0)
            verticalScrollBar()->setValue(verticalScrollBar()->value() - 1);
        else if (event->pos().y() > viewport()->height())
            verticalScrollBar()->setValue(verticalScrollBar()->value() + 1);
        extendSelection(positionAt(event->pos()));
    } else if (reportsMouse(event->modifiers())) {
        m_screen.sendMouseMove(positionAt(event->pos()).line - m_screen.scrollbackCount(),
            std::max(0, (event->pos().x() - margin) / m_cell.width()), terminalModifiers(event->modifiers()));
    }
}

void TerminalWidget::mouseReleaseEvent(QMouseEvent* event)
{
    if (m_selecting && event->button() == Qt::LeftButton) {
        m_selecting = false;
    } else if (reportsMouse(event->modifiers())) {
        auto const button = event->button() == Qt::LeftButton ? 1 : event->button() == Qt::MiddleButton ? 2 : 3;
        m_screen.sendMouseButton(button, false, terminalModifiers(event->modifiers()));
    }
}

void TerminalWidget::mouseDoubleClickEvent(QMouseEvent* event)
{
    if (reportsMouse(event->modifiers()) || event->button() != Qt::LeftButton) {
        mousePressEvent(event);
        return;
    }
    m_selecting = true;
    m_selectBy = m_selectBy == SelectBy::Word && hasSelection() ? SelectBy::Line : SelectBy::Word;
    m_anchor = positionAt(event->pos() - QPoint(m_cell.width() / 2, 0));
    extendSelection(m_anchor);
}

void TerminalWidget::wheelEvent(QWheelEvent* event)
{
    m_wheelRemainder += event->angleDelta().y();
    auto const steps = m_wheelRemainder / 120;
    m_wheelRemainder -= steps * 120;
    if (steps == 0)
        return;
    if (event->modifiers() & Qt::ControlModifier) {
        setZoom(m_zoom + steps);
    } else if (reportsMouse(event->modifiers())) {
        for (int i = 0; i < std::abs(steps); ++i)
            m_screen.sendMouseButton(steps > 0 ? 4 : 5, true, terminalModifiers(event->modifiers()));
    } else if (m_screen.alternateScreen()) {
        for (int i = 0; i < std::abs(steps) * 3; ++i)
            m_screen.sendKey(steps > 0 ? VTERM_KEY_UP : VTERM_KEY_DOWN, VTERM_MOD_NONE);
    } else {
        verticalScrollBar()->setValue(verticalScrollBar()->value() - steps * 3);
    }
}

void TerminalWidget::focusInEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusInEvent(event);
    m_screen.setFocused(true);
    updateCursor();
    m_hint->sayWayOut(event->reason());
}

void TerminalWidget::showHint(QString const& text)
{
    m_hint->say(text);
}

void TerminalWidget::focusOutEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusOutEvent(event);
    m_screen.setFocused(false);
    updateCursor();
}

void TerminalWidget::contextMenuEvent(QContextMenuEvent* event)
{
    auto* menu = new QMenu(this); // nothing waits for it: its console may go meanwhile
    menu->setAttribute(Qt::WA_DeleteOnClose);
    menu->addAction(tr("&Copy"), QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_C), this, &TerminalWidget::copy)
        ->setEnabled(hasSelection());
    menu->addAction(tr("&Paste"), QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_V), this, [this] { paste(); });
    menu->addAction(
        tr("Select &all"), QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_A), this, &TerminalWidget::selectAll);
    menu->addAction(tr("Select with the &keyboard"), QKeySequence(Qt::CTRL | Qt::SHIFT | Qt::Key_M), this,
        [this] { setMarkMode(true); });
    menu->addSeparator();
    menu->addAction(tr("&Larger text"), QKeySequence(Qt::CTRL | Qt::Key_Plus), this, &TerminalWidget::zoomIn);
    menu->addAction(tr("&Smaller text"), QKeySequence(Qt::CTRL | Qt::Key_Minus), this, &TerminalWidget::zoomOut);
    menu->addAction(tr("&Normal size"), QKeySequence(Qt::CTRL | Qt::Key_0), this, &TerminalWidget::zoomReset);
    menu->addSeparator();
    menu->addAction(tr("Clear the &window"), this, &TerminalWidget::clearScrollback);
    menu->popup(event->globalPos());
}

void TerminalWidget::inputMethodEvent(QInputMethodEvent* event)
{
    m_composing = event->preeditString();
    if (!event->commitString().isEmpty()) {
        for (auto const character : event->commitString().toUcs4())
            m_screen.sendCharacter(static_cast<char32_t>(character), VTERM_MOD_NONE);
    }
    viewport()->update();
    event->accept();
}

QVariant TerminalWidget::inputMethodQuery(Qt::InputMethodQuery query) const
{
    switch (query) {
    case Qt::ImCursorRectangle: return cellRect(m_screen.cursor()).translated(viewport()->pos());
    case Qt::ImFont: return m_font;
    case Qt::ImCursorPosition: return m_screen.cursor().column;
    case Qt::ImSurroundingText: return m_screen.lineText(m_screen.cursor().line);
    case Qt::ImCurrentSelection: return selectedText();
    default: return QAbstractScrollArea::inputMethodQuery(query);
    }
}

void TerminalWidget::timerEvent(QTimerEvent* event)
{
    if (event->timerId() == m_sliceTimer.timerId()) {
        takeSlice();
    } else if (event->timerId() == m_blinkTimer.timerId()) {
        m_cursorOn = !m_cursorOn;
        viewport()->update(cellRect(m_screen.cursor()));
    } else if (event->timerId() == m_bellTimer.timerId()) {
        m_bellTimer.stop();
        m_bellFlash = false;
        viewport()->update();
    } else if (event->timerId() == m_announceTimer.timerId()) {
        m_announceTimer.stop();
        announce();
    } else {
        QAbstractScrollArea::timerEvent(event);
    }
}

void TerminalWidget::announce()
{
    auto const text = visibleText();
    if (text == m_announced)
        return;
    QAccessibleTextUpdateEvent update(this, 0, m_announced, text);
    m_announced = text;
    QAccessible::updateAccessibility(&update);
}

void TerminalWidget::changeEvent(QEvent* event)
{
    QAbstractScrollArea::changeEvent(event);
    if (event->type() == QEvent::PaletteChange || event->type() == QEvent::StyleChange) {
        updatePalette();
    } else if (event->type() == QEvent::FontChange || event->type() == QEvent::ApplicationFontChange) {
        updateFont();
        updateGrid();
    }
}

void TerminalWidget::resizeEvent(QResizeEvent* event)
{
    QAbstractScrollArea::resizeEvent(event);
    updateGrid();
}

void TerminalWidget::scrollContentsBy(int, int)
{
    viewport()->update();
}

}
