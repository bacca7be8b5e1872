#pragma once

#include "ui/serial/terminal_palette.h"
#include "ui/serial/terminal_screen.h"

#include <QAbstractScrollArea>
#include <QBasicTimer>
#include <QClipboard>

namespace ui {

class Hint;

/// A serial console as a terminal. Bytes from the guest go into feed(), what is typed comes out of typed(). It knows no
/// machine. Large output is taken in slices, so that the window never stands still. Its accessible description says how
/// the keys are had back, and is shown once to who came without the pointer.
class TerminalWidget final : public QAbstractScrollArea {
    Q_OBJECT
public:
    explicit TerminalWidget(QWidget* parent = nullptr);
    ~TerminalWidget() override;

    enum class Answers { Send, Swallow };
    /// `Swallow` for what the guest printed in the past: questions to the terminal in it have been answered long ago.
    void feed(QByteArray const& bytes, Answers answers = Answers::Send);
    /// Forgets everything shown, for another console's output.
    void clear();
    /// What is shown stays to be scrolled to; `rule`, a dim line, says why what comes next does not go on from it.
    void beginAnew(QString const& rule);

    TerminalScreen const& screen() const { return m_screen; }
    QString visibleText() const;
    int firstVisibleLine() const;
    int visibleRows() const { return m_screen.rows(); }
    QSize cellSize() const { return m_cell; }
    QRect cellRect(TerminalPosition position) const;
    TerminalPosition positionAt(QPoint point) const;

    bool hasSelection() const { return m_selectionFrom != m_selectionTo; }
    QString selectedText() const;

    int zoom() const { return m_zoom; } ///< points added to the font
    void setZoom(int zoom);
    bool markMode() const { return m_markMode; }
    /// A sentence over the text, for some seconds.
    void showHint(QString const& text);

    QSize sizeHint() const override;

public slots:
    void copy();
    void paste(QClipboard::Mode from = QClipboard::Clipboard);
    void selectAll();
    void clearScrollback();
    /// Arrow keys then move a mark; Shift extends the selection, Enter copies, Esc leaves.
    void setMarkMode(bool on);
    void zoomIn() { setZoom(m_zoom + 1); }
    void zoomOut() { setZoom(m_zoom - 1); }
    void zoomReset() { setZoom(0); }

signals:
    void typed(QByteArray const& bytes);
    void bellRang();
    void titleChanged(QString const& title);
    void zoomChanged(int zoom);
    void sizeChanged(int columns, int rows);

protected:
    bool event(QEvent* event) override;
    void paintEvent(QPaintEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;
    void focusInEvent(QFocusEvent* event) override;
    void focusOutEvent(QFocusEvent* event) override;
    void contextMenuEvent(QContextMenuEvent* event) override;
    void inputMethodEvent(QInputMethodEvent* event) override;
    QVariant inputMethodQuery(Qt::InputMethodQuery query) const override;
    void timerEvent(QTimerEvent* event) override;
    void changeEvent(QEvent* event) override;
    void scrollContentsBy(int dx, int dy) override;
    bool focusNextPrevChild(bool) override { return false; } // Tab belongs to the guest

private:
    enum class SelectBy { Character, Word, Line };

    void takeSlice();
    void showChanges();
    void updateFont();
    void updatePalette();
    void updateGrid();
    void updateScrollBar(bool follow);
    void updateCursor();
    void paintLine(QPainter& painter, int index, int top);
    void paintCursor(QPainter& painter);
    void setSelection(TerminalPosition from, TerminalPosition to);
    void extendSelection(TerminalPosition to);
    bool handleShortcut(QKeyEvent* event);
    void handleMarkKey(QKeyEvent* event);
    bool reportsMouse(Qt::KeyboardModifiers modifiers) const;
    void announce();

    TerminalScreen m_screen { 24, 80 };
    TerminalPalette m_palette;
    QByteArray m_pending;
    qsizetype m_past = 0; // bytes at the head of m_pending whose answers are swallowed
    QFont m_font;
    QSize m_cell { 8, 16 };
    int m_ascent = 12;
    int m_zoom = 0;
    TerminalPosition m_selectionFrom, m_selectionTo, m_anchor, m_mark;
    SelectBy m_selectBy = SelectBy::Character;
    bool m_selecting = false, m_markMode = false, m_swallow = false;
    bool m_cursorOn = true, m_bellFlash = false;
    int m_wheelRemainder = 0;
    QString m_composing; // what an input method has not finished yet
    QString m_announced; // the text that a screen reader was last told
    Hint* m_hint;
    QBasicTimer m_sliceTimer, m_blinkTimer, m_bellTimer, m_announceTimer, m_dragTimer;
};

}
