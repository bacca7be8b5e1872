#include "ui/display/keyboard_grab.h"

#include <QGuiApplication>
#include <QPointer>

namespace ui {

namespace {

class GrabbedKeyboard final : public KeyboardGrab {
public:
    explicit GrabbedKeyboard(QWidget& widget) : m_widget(&widget) { widget.grabKeyboard(); }
    ~GrabbedKeyboard() override
    {
        if (m_widget)
            m_widget->releaseKeyboard();
    }

private:
    QPointer<QWidget> m_widget;
};

}

std::unique_ptr<KeyboardGrab> KeyboardGrab::over(QWidget& widget)
{
    if (!QGuiApplication::platformName().startsWith(QLatin1String("wayland")))
        return std::make_unique<GrabbedKeyboard>(widget);
#if CHRONOVISOR_WAYLAND
    return inhibitWaylandShortcuts(widget);
#else
    return nullptr;
#endif
}

}
