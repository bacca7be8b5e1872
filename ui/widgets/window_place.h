#pragma once

#include <QScreen>
#include <QWidget>

namespace ui {

/// Puts a window where it was, or makes it as large as `usual`; never larger than the screen that there is now, whose
/// desktop draws a frame around it.
inline void restoreWindow(QWidget& window, QByteArray const& geometry, QSize usual)
{
    auto const isRestored = window.restoreGeometry(geometry);
    auto const wanted = isRestored ? window.size() : usual;
    auto const room = window.screen()->availableSize() - QSize(8, 36);
    if (!window.isMaximized() && !window.isFullScreen())
        window.resize(wanted.boundedTo(room));
}

}
