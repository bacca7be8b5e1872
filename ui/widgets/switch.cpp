#include "ui/widgets/switch.h"

#include <QApplication>
#include <QPainter>

namespace ui {

namespace {

constexpr QSizeF pill(30, 17);
constexpr int ring = 3; // around it, where the focus is shown

}

Switch::Switch(QWidget* parent) : QCheckBox(parent)
{
    setSizePolicy(QSizePolicy::Fixed, QSizePolicy::Fixed);
}

QSize Switch::sizeHint() const
{
    return pill.toSize() + QSize(2 * ring + 1, 2 * ring + 1);
}

void Switch::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    // The widget's own palette is a style sheet's.
    auto const palette = QApplication::palette();
    auto const quiet = palette.color(QPalette::PlaceholderText);
    auto const accent = palette.color(QPalette::Highlight);
    QRectF const groove(
        QPointF((width() - pill.width()) / 2, (height() - pill.height()) / 2), QSizeF(pill.width(), pill.height()));
    if (!isEnabled())
        painter.setOpacity(0.45);
    auto const radius = groove.height() / 2;
    painter.setPen(isChecked() ? Qt::NoPen : QPen(quiet, 1.25));
    painter.setBrush(isChecked() ? accent : palette.color(QPalette::Base));
    painter.drawRoundedRect(isChecked() ? groove : groove.adjusted(0.6, 0.6, -0.6, -0.6), radius, radius);
    bool const isAtRight = isChecked() != isRightToLeft();
    auto const centre = QPointF(isAtRight ? groove.right() - radius : groove.left() + radius, groove.center().y());
    painter.setPen(Qt::NoPen);
    painter.setBrush(isChecked() ? palette.color(QPalette::HighlightedText) : quiet);
    auto const knob = isDown() ? radius - 2.2 : radius - 3.2;
    painter.drawEllipse(centre, knob, knob);
    if (hasFocus()) {
        painter.setPen(QPen(accent, 1.5));
        painter.setBrush(Qt::NoBrush);
        painter.drawRoundedRect(groove.adjusted(-2.2, -2.2, 2.2, 2.2), radius + 2.2, radius + 2.2);
    }
}

}
