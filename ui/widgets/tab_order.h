#pragma once

#include <QWidget>

namespace ui {

/// The Tab key comes to it; `window` is not that of a list that opens.
inline bool takesTab(QWidget const* widget, QWidget const* window)
{
    return (widget->focusPolicy() & Qt::TabFocus) != 0 && widget->focusProxy() == nullptr && widget->window() == window;
}

/// The Tab key comes from `before` to what is in `part`, in the order in which that was made; Qt has what is made later
/// at the end of the window. The last of it.
inline QWidget* tabThrough(QWidget* before, QWidget const* part)
{
    for (auto* child : part->findChildren<QWidget*>()) {
        if (!takesTab(child, part->window()))
            continue;
        QWidget::setTabOrder(before, child);
        before = child;
    }
    return before;
}

}
