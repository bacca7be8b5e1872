#pragma once

#include <QWidget>
#include <memory>

namespace ui {

/// Keeps the host's own shortcuts (Alt+Tab, Super) from the host for as long as the object lives: they are keys of the
/// widget, which has the focus.
class KeyboardGrab {
public:
    /// A grab on X11, a wish to the compositor on Wayland. Null: the desktop keeps them.
    static std::unique_ptr<KeyboardGrab> over(QWidget& widget);
    virtual ~KeyboardGrab() = default;
};

#if CHRONOVISOR_WAYLAND
/// Null where the compositor has not the protocol that it takes.
std::unique_ptr<KeyboardGrab> inhibitWaylandShortcuts(QWidget& widget);
#endif

}
