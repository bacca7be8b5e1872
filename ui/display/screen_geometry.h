#pragma once

#include "vmm/backends/input.h"

#include <QPoint>
#include <QRect>
#include <QRectF>
#include <QSize>

namespace ui {

/// Where the guest's picture lies on a widget. Reckoned in device pixels, so that an integer scale is exact at any
/// device pixel ratio.
struct ScreenGeometry {
    QSize guest;     ///< pixels of the guest
    qreal ratio = 1; ///< device pixels in one of the widget's own
    QPointF origin;  ///< the widget's corner in the window's device pixels
    QRect target;    ///< device pixels, from the widget's corner rounded to a whole one
    qreal scale = 1; ///< device pixels for one of the guest's

    /// `zoom` 0 fits the picture into `widget`; 1, 2 … is that many pixels for one, times the whole part of `ratio`.
    static ScreenGeometry fit(QSize widget, qreal ratio, QPointF origin, QSize guest, int zoom);
    /// The widget size that shows all of `guest` at `zoom`.
    static QSize sizeFor(QSize guest, qreal ratio, int zoom);

    bool isExact() const;
    /// What moves device pixels of `target` onto whole ones of the window.
    QPointF alignment() const;
    /// In the widget's own coordinates, with a margin for what smooth scaling blurs.
    QRect rowsToWidget(int first, int last) const;
    /// Clamped to the picture.
    vmm::AbsoluteMove toGuest(QPointF position) const;
    bool contains(QPointF position) const;
};

}
