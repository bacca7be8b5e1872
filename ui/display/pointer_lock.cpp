#include "ui/display/pointer_lock.h"

#include <QCursor>
#include <QGuiApplication>
#include <QPointer>
#include <optional>

namespace ui {

namespace {

/// The pointer is put back to the middle, so that it never meets an edge.
class WarpedPointer final : public PointerLock {
public:
    explicit WarpedPointer(QWidget& widget) : m_widget(&widget)
    {
        widget.grabMouse();
        QCursor::setPos(middle());
    }
    ~WarpedPointer() override
    {
        if (m_widget)
            m_widget->releaseMouse();
    }
    void motion(QPoint global) override
    {
        auto const delta = global - middle();
        if (delta.isNull())
            return; // our own doing
        QCursor::setPos(middle());
        emit moved(delta);
    }

private:
    QPoint middle() const { return m_widget->mapToGlobal(m_widget->rect().center()); }
    QPointer<QWidget> m_widget;
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
