#pragma once

#include <QLabel>
#include <QPainter>

namespace ui {

/// A line of text that is cut off where it does not fit, and makes nothing wider; all of it is in its tool tip then.
class ElidedLabel final : public QLabel {
public:
    enum class Tone { Plain, Quiet };
    explicit ElidedLabel(Tone tone = Tone::Plain) : m_tone(tone) { setTextFormat(Qt::PlainText); }

    QSize minimumSizeHint() const override { return { 0, QLabel::minimumSizeHint().height() }; }

protected:
    void paintEvent(QPaintEvent*) override
    {
        QPainter painter(this);
        auto const shown = fontMetrics().elidedText(text(), Qt::ElideRight, width());
        setToolTip(shown == text() ? QString() : text());
        painter.setPen(palette().color(m_tone == Tone::Quiet ? QPalette::PlaceholderText : QPalette::WindowText));
        auto const toward = isRightToLeft() ? Qt::AlignRight : Qt::AlignLeft;
        painter.drawText(rect(), static_cast<int>(toward | Qt::AlignVCenter | Qt::TextSingleLine), shown);
    }

private:
    Tone const m_tone;
};

}
