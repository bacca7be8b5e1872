#pragma once

#include <QHelpEvent>
#include <QLabel>
#include <QPainter>
#include <QStyle>
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
        auto const toward = QStyle::visualAlignment(layoutDirection(), alignment());
        painter.drawText(contentsRect(), static_cast<int>(toward | Qt::TextSingleLine), shown());
    }

private:
    QString shown() const { return fontMetrics().elidedText(text(), Qt::ElideRight, contentsRect().width()); }

    Tone const m_tone;
};

}
