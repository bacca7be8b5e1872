#include "ui/library/machine_delegate.h"

#include "ui/library/library_model.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/widgets/words.h"

#include <QApplication>
#include <QMouseEvent>
#include <QPainter>
#include <QPainterPath>

namespace ui {

namespace {

constexpr QSize pictureSize(72, 46);
constexpr int gap = 11;

QRect pictureRect(QRect row)
{
    return { QPoint(row.left() + gap, row.top() + (row.height() - pictureSize.height()) / 2), pictureSize };
}

QRect textRect(QRect row)
{
    auto const left = pictureRect(row).right() + gap;
    return { left, row.top() + 8, row.right() - left - gap, row.height() - 16 };
}

void paintPicture(QPainter& painter, QRect rect, QImage const& image, bool isLit)
{
    QPainterPath outline;
    outline.addRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);
    painter.save();
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setRenderHint(QPainter::SmoothPixmapTransform);
    painter.fillPath(outline, image.isNull() ? themeColors().raised : QColor(0x0c0e11));
    painter.setClipPath(outline);
    if (image.isNull()) {
        auto const size = 22;
        icon(QStringLiteral("machine"), themeColors().faint)
            .paint(&painter, QRect(rect.center() - QPoint(size / 2 - 1, size / 2 - 1), QSize(size, size)));
    } else {
        auto const scaled = image.size().scaled(rect.size(), Qt::KeepAspectRatio);
        painter.setOpacity(isLit ? 1 : 0.45);
        painter.drawImage(
            QRect(rect.center() - QPoint(scaled.width() / 2 - 1, scaled.height() / 2 - 1), scaled), image);
        painter.setOpacity(1);
    }
    painter.setClipping(false);
    painter.setPen(themeColors().border);
    painter.drawPath(outline);
    painter.restore();
}

}

QRect MachineDelegate::cancelRect(QRect row)
{
    auto const text = textRect(row);
    return { text.right() - 20, text.bottom() - 22, 22, 22 };
}

void MachineDelegate::paint(QPainter* painter, QStyleOptionViewItem const& option, QModelIndex const& index) const
{
    auto const state = static_cast<app::SessionState>(index.data(LibraryModel::StateRole).toInt());
    auto const isSelected = option.state & QStyle::State_Selected;
    // The list's own palette is a style sheet's: its window is transparent.
    auto const palette = QApplication::palette();
    painter->save();
    painter->setRenderHint(QPainter::Antialiasing);
    auto const row = QRectF(option.rect).adjusted(6, 2, -6, -2);
    if (isSelected || (option.state & QStyle::State_MouseOver)) {
        auto tint = palette.color(QPalette::Highlight);
        tint.setAlpha(isSelected ? 44 : 18);
        QPainterPath path;
        path.addRoundedRect(row, 8, 8);
        painter->fillPath(path, tint);
        if (option.state & QStyle::State_HasFocus) {
            painter->setPen(QPen(palette.color(QPalette::Highlight), 1.5));
            painter->drawPath(path);
        }
    }
    paintPicture(*painter, pictureRect(option.rect), index.data(LibraryModel::ThumbnailRole).value<QImage>(),
        app::isInMemory(state));

    auto const text = textRect(option.rect);
    auto font = option.font;
    font.setWeight(QFont::DemiBold);
    painter->setFont(font);
    painter->setPen(palette.color(QPalette::Text));
    QFontMetrics const bold(font), plain(option.font);
    auto const progress = index.data(LibraryModel::ProgressRole);
    auto const wordsHeight = bold.height() + 3 + plain.height();
    auto const nameTop
        = progress.isValid() ? text.top() - 4 : option.rect.top() + (option.rect.height() - wordsHeight) / 2;
    painter->drawText(QRect(text.left(), nameTop, text.width(), bold.height()), Qt::AlignVCenter | Qt::AlignLeft,
        bold.elidedText(index.data().toString(), Qt::ElideRight, text.width()));

    auto const statusTop = nameTop + bold.height() + 3;
    painter->setBrush(index.data(LibraryModel::ProblemRole).toBool() ? themeColors().problem : stateColor(state));
    painter->setPen(Qt::NoPen);
    painter->drawEllipse(QPointF(text.left() + 4, statusTop + plain.height() / 2.0), 3.5, 3.5);
    painter->setFont(option.font);
    painter->setPen(palette.color(QPalette::PlaceholderText));
    auto const statusWidth = text.width() - 13 - (progress.isValid() ? 24 : 0);
    painter->drawText(QRect(text.left() + 13, statusTop, statusWidth, plain.height()), Qt::AlignVCenter | Qt::AlignLeft,
        plain.elidedText(index.data(LibraryModel::StatusRole).toString(), Qt::ElideRight, statusWidth));

    if (progress.isValid()) {
        auto const width = text.width() - 28;
        QRectF const groove(text.left(), text.bottom() - 2, width, 4);
        painter->setPen(Qt::NoPen);
        painter->setBrush(themeColors().border);
        painter->drawRoundedRect(groove, 2, 2);
        painter->setBrush(palette.color(QPalette::Highlight));
        painter->drawRoundedRect(QRectF(groove.topLeft(), QSizeF(groove.width() * progress.toDouble(), 4)), 2, 2);
        icon(QStringLiteral("close"), palette.color(QPalette::PlaceholderText))
            .paint(painter, cancelRect(option.rect).adjusted(4, 4, -4, -4));
    }
    painter->restore();
}

QSize MachineDelegate::sizeHint(QStyleOptionViewItem const& option, QModelIndex const&) const
{
    return { 200, std::max(66, QFontMetrics(option.font).height() * 2 + 28) };
}

void MachineDelegate::updateEditorGeometry(
    QWidget* editor, QStyleOptionViewItem const& option, QModelIndex const&) const
{
    auto rect = textRect(option.rect);
    rect.setHeight(editor->sizeHint().height());
    editor->setGeometry(rect);
}

bool MachineDelegate::editorEvent(
    QEvent* event, QAbstractItemModel* model, QStyleOptionViewItem const& option, QModelIndex const& index)
{
    if (event->type() == QEvent::MouseButtonRelease && index.data(LibraryModel::ProgressRole).isValid()
        && cancelRect(option.rect).contains(static_cast<QMouseEvent*>(event)->pos())) {
        emit cancelRequested(index);
        return true;
    }
    return QStyledItemDelegate::editorEvent(event, model, option, index);
}

}
