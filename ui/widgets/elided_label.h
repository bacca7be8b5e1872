#pragma once

#include <QHelpEvent>
#include <QLabel>
#include <QPainter>
#include <QStyle>
#include <QToolTip>

namespace ui {

/// A line of text that is cut off or said shorter where it does not fit, and makes nothing wider; who points at it
/// reads all of it then, where it has no tool tip of its own.
class ElidedLabel final : public QLabel {
public:
    enum class Tone { Plain, Quiet };
    explicit ElidedLabel(Tone tone = Tone::Plain) : m_tone(tone) { setTextFormat(Qt::PlainText); }

    /// What is shown in its place where it does not fit, the longest first: it asks for no more room than for the last.
    void setShorter(QStringList const& texts)
    {
        if (m_shorter == texts)
            return;
        m_shorter = texts;
        updateGeometry();
        update();
    }

    QSize minimumSizeHint() const override { return { 0, QLabel::minimumSizeHint().height() }; }
    QSize sizeHint() const override
    {
        auto const whole = QLabel::sizeHint();
        return m_shorter.isEmpty() ? whole : whole - QSize(lengthOf(text()) - lengthOf(m_shorter.last()), 0);
    }

protected:
    bool event(QEvent* event) override
    {
        if (event->type() != QEvent::ToolTip || !toolTip().isEmpty() || shown() == text())
            return QLabel::event(event);
        QToolTip::showText(static_cast<QHelpEvent*>(event)->globalPos(), text(), this);
        return true;
    }

    void paintEvent(QPaintEvent*) override
    {
        QPainter painter(this);
        painter.setPen(palette().color(m_tone == Tone::Quiet ? QPalette::PlaceholderText : QPalette::WindowText));
        auto const toward = QStyle::visualAlignment(layoutDirection(), alignment());
        painter.drawText(contentsRect(), static_cast<int>(toward | Qt::TextSingleLine), shown());
    }

private:
    int lengthOf(QString const& words) const { return fontMetrics().horizontalAdvance(words); }
    QString shown() const
    {
        auto const room = contentsRect().width();
        for (auto const& words : QStringList(text()) + m_shorter) {
            if (lengthOf(words) <= room)
                return words;
        }
        return fontMetrics().elidedText(m_shorter.isEmpty() ? text() : m_shorter.last(), Qt::ElideRight, room);
    }

    Tone const m_tone;
    QStringList m_shorter;
};

}
