// The pointer held on Wayland: protocols pointer-constraints-unstable-v1 and relative-pointer-unstable-v1.

#include "ui/display/pointer_lock.h"
#include "ui/display/wayland_globals.h"

#if CHRONOVISOR_WAYLAND

#include <QGuiApplication>
#include <QWindow>
#include <pointer-constraints-unstable-v1-client-protocol.h>
#include <qpa/qplatformnativeinterface.h>
#include <relative-pointer-unstable-v1-client-protocol.h>

namespace ui {

namespace {

class WaylandPointer final : public PointerLock {
public:
    WaylandPointer(WaylandGlobals const& globals, wl_surface* surface, wl_pointer* pointer)
        : m_lock(zwp_pointer_constraints_v1_lock_pointer(
            globals.constraints, surface, pointer, nullptr, ZWP_POINTER_CONSTRAINTS_V1_LIFETIME_PERSISTENT)),
          m_relative(zwp_relative_pointer_manager_v1_get_relative_pointer(globals.relative, pointer))
    {
        static zwp_relative_pointer_v1_listener const listener { [](void* data, zwp_relative_pointer_v1*, std::uint32_t,
                                                                     std::uint32_t, wl_fixed_t, wl_fixed_t,
                                                                     wl_fixed_t dx, wl_fixed_t dy) {
            // Not accelerated: the guest does that itself.
            static_cast<WaylandPointer*>(data)->add({ wl_fixed_to_double(dx), wl_fixed_to_double(dy) });
        } };
        zwp_relative_pointer_v1_add_listener(m_relative, &listener, this);
    }
    ~WaylandPointer() override
    {
        zwp_relative_pointer_v1_destroy(m_relative);
        zwp_locked_pointer_v1_destroy(m_lock);
    }
    void motion(QPoint) override { }

private:
    void add(QPointF step)
    {
        m_rest += step;
        QPoint const whole(static_cast<int>(m_rest.x()), static_cast<int>(m_rest.y()));
        m_rest -= whole;
        if (!whole.isNull())
            emit moved(whole);
    }

    zwp_locked_pointer_v1* m_lock;
    zwp_relative_pointer_v1* m_relative;
    QPointF m_rest; // less than a step
};

}

std::unique_ptr<PointerLock> lockWaylandPointer(QWidget& widget)
{
    auto* native = QGuiApplication::platformNativeInterface();
    auto* window = widget.window()->windowHandle();
    if (native == nullptr || window == nullptr)
        return nullptr;
    auto* display = static_cast<wl_display*>(native->nativeResourceForIntegration("wl_display"));
    auto* pointer = static_cast<wl_pointer*>(native->nativeResourceForIntegration("wl_pointer"));
    auto* surface = static_cast<wl_surface*>(native->nativeResourceForWindow("surface", window));
    if (display == nullptr || pointer == nullptr || surface == nullptr)
        return nullptr;
    auto const& found = waylandGlobals(display);
    if (found.constraints == nullptr || found.relative == nullptr)
        return nullptr;
    return std::make_unique<WaylandPointer>(found, surface, pointer);
}

}

#endif
