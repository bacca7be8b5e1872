// The pointer held on Wayland: protocols pointer-constraints-unstable-v1 and relative-pointer-unstable-v1. Qt 6.4 has
// neither, but lets us at its connection.

#include "ui/display/pointer_lock.h"

#if CHRONOVISOR_WAYLAND

#include <QGuiApplication>
#include <QWindow>
#include <pointer-constraints-unstable-v1-client-protocol.h>
#include <qpa/qplatformnativeinterface.h>
#include <relative-pointer-unstable-v1-client-protocol.h>
#include <string_view>

namespace ui {

namespace {

struct Globals {
    zwp_pointer_constraints_v1* constraints = nullptr;
    zwp_relative_pointer_manager_v1* relative = nullptr;
};

/// Asks the compositor once; the two objects then live as long as the connection.
Globals const& globals(wl_display* display)
{
    static Globals const found = [display] {
        Globals globals;
        static wl_registry_listener const listener {
            [](void* data, wl_registry* registry, std::uint32_t name, char const* interface, std::uint32_t) {
                auto& into = *static_cast<Globals*>(data);
                if (interface == std::string_view(zwp_pointer_constraints_v1_interface.name))
                    into.constraints = static_cast<zwp_pointer_constraints_v1*>(
                        wl_registry_bind(registry, name, &zwp_pointer_constraints_v1_interface, 1));
                else if (interface == std::string_view(zwp_relative_pointer_manager_v1_interface.name))
                    into.relative = static_cast<zwp_relative_pointer_manager_v1*>(
                        wl_registry_bind(registry, name, &zwp_relative_pointer_manager_v1_interface, 1));
            },
            [](void*, wl_registry*, std::uint32_t) {}
        };
        // A queue of our own for the answers: Qt's events stay where Qt looks for them.
        auto* queue = wl_display_create_queue(display);
        auto* wrapper = static_cast<wl_display*>(wl_proxy_create_wrapper(display));
        wl_proxy_set_queue(reinterpret_cast<wl_proxy*>(wrapper), queue);
        auto* registry = wl_display_get_registry(wrapper);
        wl_proxy_wrapper_destroy(wrapper);
        wl_registry_add_listener(registry, &listener, &globals);
        wl_display_roundtrip_queue(display, queue);
        wl_registry_destroy(registry);
        // What is made with them from now on tells Qt's queue, which Qt empties on this thread.
        for (auto* proxy :
            { reinterpret_cast<wl_proxy*>(globals.constraints), reinterpret_cast<wl_proxy*>(globals.relative) }) {
            if (proxy != nullptr)
                wl_proxy_set_queue(proxy, nullptr);
        }
        wl_event_queue_destroy(queue);
        return globals;
    }();
    return found;
}

class WaylandPointer final : public PointerLock {
public:
    WaylandPointer(Globals const& globals, wl_surface* surface, wl_pointer* pointer)
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
    auto const& found = globals(display);
    if (found.constraints == nullptr || found.relative == nullptr)
        return nullptr;
    return std::make_unique<WaylandPointer>(found, surface, pointer);
}

}

#endif
