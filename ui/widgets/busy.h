#pragma once

#include <QWidget>

namespace ui {

/// Disables what was pressed while that is done. It has the focus again then, unless somebody has gone on: Qt would
/// give that to whatever control comes next, so what is around it has it meanwhile.
inline void setBusy(QWidget* pressed, bool busy)
{
    auto* around = pressed->parentWidget();
    while (around->focusProxy() != nullptr && !around->isWindow())
        around = around->parentWidget();
    auto const* focus = pressed->window()->focusWidget();
    if (busy && focus == pressed)
        around->setFocus();
    pressed->setEnabled(!busy);
    if (!busy && focus == around)
        pressed->setFocus();
}

}
