#include "ui/usb/usb_drop.h"

#include <QApplication>
#include <QDropEvent>
#include <QPainter>

namespace ui {

namespace {

QString const mimeOut = QStringLiteral("application/x-chronovisor-usb");
QString const mimeIn = QStringLiteral("application/x-chronovisor-usb-plugged");

}

QMimeData* DraggedUsb::toMime() const
{
    auto* mime = new QMimeData;
    mime->setData(plugged ? mimeIn : mimeOut, id.toUtf8());
    return mime;
}

std::optional<DraggedUsb> DraggedUsb::from(QMimeData const* mime)
{
    if (mime->hasFormat(mimeOut))
        return DraggedUsb { QString::fromUtf8(mime->data(mimeOut)), false };
    if (mime->hasFormat(mimeIn))
        return DraggedUsb { QString::fromUtf8(mime->data(mimeIn)), true };
    return {};
}

UsbDropZone::UsbDropZone(QWidget* parent) : QWidget(parent)
{
    setAcceptDrops(true);
    hide();
}

void UsbDropZone::offer(QRect where, QString const& text)
{
    m_text = text;
    m_isOver = false;
    setAccessibleName(text);
    setGeometry(where);
    show();
    raise();
}

void UsbDropZone::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    auto const palette = QApplication::palette();
    auto const accent = palette.color(QPalette::Highlight);
    auto veil = palette.color(QPalette::Window);
    veil.setAlpha(m_isOver ? 150 : 110);
    painter.fillRect(rect(), veil);
    auto wash = accent;
    wash.setAlpha(m_isOver ? 60 : 24);
    painter.setBrush(wash);
    painter.setPen(QPen(accent, m_isOver ? 3 : 2, m_isOver ? Qt::SolidLine : Qt::DashLine));
    painter.drawRoundedRect(QRectF(rect()).adjusted(12, 12, -12, -12), 12, 12);
    auto font = this->font();
    font.setPointSizeF(font.pointSizeF() * 1.25);
    font.setWeight(QFont::DemiBold);
    painter.setFont(font);
    auto const box
        = painter.boundingRect(rect().adjusted(40, 40, -40, -40), Qt::AlignCenter | Qt::TextWordWrap, m_text);
    painter.setPen(Qt::NoPen);
    painter.setBrush(palette.color(QPalette::Base));
    painter.drawRoundedRect(QRectF(box).adjusted(-16, -9, 16, 9), 9, 9);
    painter.setPen(palette.color(QPalette::Text));
    painter.drawText(box, Qt::AlignCenter | Qt::TextWordWrap, m_text);
}

void UsbDropZone::dragEnterEvent(QDragEnterEvent* event)
{
    auto const dragged = DraggedUsb::from(event->mimeData());
    if (!dragged || dragged->plugged)
        return;
    event->acceptProposedAction();
    m_isOver = true;
    update();
}

void UsbDropZone::dragLeaveEvent(QDragLeaveEvent*)
{
    m_isOver = false;
    update();
}

void UsbDropZone::dropEvent(QDropEvent* event)
{
    auto const dragged = DraggedUsb::from(event->mimeData());
    if (!dragged || dragged->plugged)
        return;
    event->acceptProposedAction();
    m_isOver = false;
    emit dropped(dragged->id);
}

}
