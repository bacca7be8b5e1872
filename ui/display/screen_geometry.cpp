#include "ui/display/screen_geometry.h"

#include <QtMath>
#include <algorithm>
#include <cmath>

namespace ui {

ScreenGeometry ScreenGeometry::fit(QSize widget, qreal ratio, QPointF origin, QSize guest, int zoom)
{
    ScreenGeometry result { guest, ratio, origin, {}, 1 };
    if (guest.isEmpty() || widget.isEmpty())
        return result;
    auto const width = std::floor(widget.width() * ratio), height = std::floor(widget.height() * ratio);
    if (zoom > 0) {
        result.scale = zoom * std::max(1, qFloor(ratio));
    } else {
        result.scale = std::min(width / guest.width(), height / guest.height());
        // A picture that would be a few percent larger than an integer scale is better exact than large.
        auto const whole = std::floor(result.scale);
        if (whole >= 1 && result.scale <= whole * 1.08)
            result.scale = whole;
    }
    auto const targetWidth = std::max(1, qRound(guest.width() * result.scale));
    auto const targetHeight = std::max(1, qRound(guest.height() * result.scale));
    result.target = QRect(std::max(0, qFloor((width - targetWidth) / 2)),
        std::max(0, qFloor((height - targetHeight) / 2)), targetWidth, targetHeight);
    return result;
}

QSize ScreenGeometry::sizeFor(QSize guest, qreal ratio, int zoom)
{
    auto const scale = zoom * std::max(1, qFloor(ratio)) / ratio;
    return { qCeil(guest.width() * scale), qCeil(guest.height() * scale) };
}

bool ScreenGeometry::isExact() const
{
    return scale == std::floor(scale);
}

QPointF ScreenGeometry::alignment() const
{
    return { std::ceil(origin.x()) - origin.x(), std::ceil(origin.y()) - origin.y() };
}

QRect ScreenGeometry::rowsToWidget(int first, int last) const
{
    auto const blur = isExact() ? 0 : std::ceil(scale) + 1;
    auto const top = (target.top() + alignment().y() + std::floor(first * scale) - blur) / ratio;
    auto const bottom = (target.top() + alignment().y() + std::ceil(last * scale) + blur) / ratio;
    auto const left = target.left() / ratio, right = (target.left() + target.width() + 1) / ratio;
    return QRect(QPoint(qFloor(left), qFloor(top)), QPoint(qCeil(right), qCeil(bottom) - 1));
}

vmm::AbsoluteMove ScreenGeometry::toGuest(QPointF position) const
{
    auto along = [&](qreal at, qreal start, qreal shift, int length, int pixels) {
        if (length <= 0 || pixels <= 0)
            return std::uint16_t { 0 };
        // The middle of the guest's pixel under the pointer, so that every scale hits the same one.
        auto const pixel = std::clamp(std::floor((at * ratio - start - shift) / length * pixels), 0.0, pixels - 1.0);
        return static_cast<std::uint16_t>(std::clamp((pixel + 0.5) / pixels * 32768, 0.0, 32767.0));
    };
    return { along(position.x(), target.left(), alignment().x(), target.width(), guest.width()),
        along(position.y(), target.top(), alignment().y(), target.height(), guest.height()) };
}

bool ScreenGeometry::contains(QPointF position) const
{
    return QRectF(target).translated(alignment()).contains(position * ratio);
}

}
