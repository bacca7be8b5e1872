#pragma once

#include <QObject>
#include <QWidget>
#include <memory>

namespace ui {

/// Holds the pointer in place over a widget for as long as the object lives, and tells how it would have moved: for
/// guests that only know relative motion.
class PointerLock : public QObject {
    Q_OBJECT
public:
    /// The best that the desktop has: pointer constraints on Wayland; elsewhere, the pointer is grabbed and put back to
    /// the middle after each motion.
    static std::unique_ptr<PointerLock> over(QWidget& widget);

    /// False where the desktop does not let go of the pointer (a Wayland compositor without constraints): the guest's
    /// pointer then stops when the person's reaches the widget's edge.
    virtual bool isHeld() const { return true; }
    /// The widget passes on the motions that it gets.
    virtual void motion(QPoint global) = 0;

signals:
    void moved(QPoint delta);
};

#if CHRONOVISOR_WAYLAND
/// Null where the compositor has not both of the protocols that it takes.
std::unique_ptr<PointerLock> lockWaylandPointer(QWidget& widget);
#endif

}
