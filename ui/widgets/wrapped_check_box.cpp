#include "ui/widgets/wrapped_check_box.h"

#include <QStyle>
#include <QStyleOptionButton>
#include <QStylePainter>
#include <algorithm>

namespace ui {

namespace {

constexpr int leastText = 120; // pixels of a line

}

WrappedCheckBox::WrappedCheckBox(QWidget* parent) : QCheckBox(parent)
{
    setSizePolicy(QSizePolicy::Preferred, QSizePolicy::Preferred); // more lines are taller than what it asks for
}

int WrappedCheckBox::flags() const
{
    return Qt::AlignLeading | Qt::AlignTop | Qt::TextWordWrap | Qt::TextShowMnemonic;
}

int WrappedCheckBox::besideText() const
{
    return QCheckBox::sizeHint().width() - fontMetrics().size(Qt::TextShowMnemonic, text()).width();
}

QSize WrappedCheckBox::minimumSizeHint() const
{
    auto const whole = QCheckBox::sizeHint();
    return { std::min(whole.width(), besideText() + leastText), whole.height() };
}

int WrappedCheckBox::heightForWidth(int width) const
{
    auto const oneLine = QCheckBox::sizeHint();
    if (width >= oneLine.width())
        return oneLine.height();
    auto const room = std::max(1, width - besideText());
    auto const words = fontMetrics().boundingRect(0, 0, room, 0, flags(), text()).height();
    return std::max(oneLine.height(), oneLine.height() + words - fontMetrics().height());
}

void WrappedCheckBox::paintEvent(QPaintEvent*)
{
    QStylePainter painter(this);
    QStyleOptionButton option;
    initStyleOption(&option);
    // The box is beside the first line.
    option.rect.setHeight(QCheckBox::sizeHint().height());
    auto box = option;
    box.rect = style()->subElementRect(QStyle::SE_CheckBoxIndicator, &option, this);
    painter.drawPrimitive(QStyle::PE_IndicatorCheckBox, box);
    QRect const words(
        besideText(), (option.rect.height() - fontMetrics().height()) / 2, width() - besideText(), height());
    painter.drawItemText(QStyle::visualRect(layoutDirection(), rect(), words), flags(), palette(), isEnabled(), text(),
        QPalette::WindowText);
}

}
