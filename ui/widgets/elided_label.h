#pragma once

#include <QHelpEvent>
#include <QLabel>
#include <QPainter>
#include <QToolTip>

namespace ui {

/// A line of text that is cut off where it does not fit, and makes nothing wider; who points at it reads all of it
/// then, where it has no tool tip of its own.
class ElidedLabel final : public QLabel {
public:
    enum class Tone { Plain, Quiet };
    explicit ElidedLabel(Tone tone = Tone::Plain) : m_tone(tone) { setTextFormat(Qt::PlainText); }

    QSize minimumSizeHint() const override { return { 0, QLabel::minimumSizeHint().height() }; }

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
        auto const toward = isRightToLeft() ? Qt::AlignRight : Qt::AlignLeft;
        painter.drawText(rect(), static_cast<int>(toward | Qt::AlignVCenter | Qt::TextSingleLine), shown());
    }

private:
    QString shown() const { return fontMetrics().elidedText(text(), Qt::ElideRight, width()); }

    Tone const m_tone;
};

}
