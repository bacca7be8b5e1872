#include "ui/display/pointer_lock.h"

#include <QCursor>
#include <QGuiApplication>
#include <QPointer>
#include <algorithm>
#include <optional>
#include <utility>

namespace ui {

namespace {

/// The pointer is put back to the middle before it meets an edge. Motions that the host has told before it did that are
/// on their way then, and go on from where the pointer was: so each has to come, and Qt else leaves out all but the
/// last.
class WarpedPointer final : public PointerLock {
public:
    explicit WarpedPointer(QWidget& widget) : m_widget(&widget)
    {
        QCoreApplication::setAttribute(Qt::AA_CompressHighFrequencyEvents, false);
        widget.grabMouse();
        putBack();
    }
    ~WarpedPointer() override
    {
        QCoreApplication::setAttribute(Qt::AA_CompressHighFrequencyEvents, true);
        if (m_widget)
            m_widget->releaseMouse();
    }
    void motion(QPoint global) override
    {
        if (m_isOnItsWay && distance(global, middle()) <= distance(global, m_last)) {
            m_isOnItsWay = false;
            m_last = middle();
        }
        auto const delta = global - std::exchange(m_last, global);
        if (!m_isOnItsWay && distance(global, middle()) > std::min(m_widget->width(), m_widget->height()) / 4)
            putBack();
        if (!delta.isNull()) // else our own doing
            emit moved(delta);
    }

private:
    static int distance(QPoint from, QPoint to) { return (from - to).manhattanLength(); }
    QPoint middle() const { return m_widget->mapToGlobal(m_widget->rect().center()); }
    void putBack()
    {
        QCursor::setPos(middle());
        m_isOnItsWay = true;
    }

    QPointer<QWidget> m_widget;
    QPoint m_last = QCursor::pos(); ///< where it was told to be
    bool m_isOnItsWay = false;      ///< back to the middle
};

/// Where nobody may put the pointer anywhere: its own steps are all that there is.
class FreePointer final : public PointerLock {
public:
    explicit FreePointer(QWidget& widget) : m_widget(&widget) { widget.grabMouse(); }
    ~FreePointer() override
    {
        if (m_widget)
            m_widget->releaseMouse();
    }
    bool isHeld() const override { return false; }
    void motion(QPoint global) override
    {
        auto const from = std::exchange(m_last, global).value_or(global);
        if (global != from)
            emit moved(global - from);
    }

private:
    QPointer<QWidget> m_widget;
    std::optional<QPoint> m_last;
};

}

std::unique_ptr<PointerLock> PointerLock::over(QWidget& widget)
{
    if (!QGuiApplication::platformName().startsWith(QLatin1String("wayland")))
        return std::make_unique<WarpedPointer>(widget);
#if CHRONOVISOR_WAYLAND
    if (auto lock = lockWaylandPointer(widget))
        return lock;
#endif
    return std::make_unique<FreePointer>(widget);
}

}
