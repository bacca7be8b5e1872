#include "ui/display/wayland_globals.h"

#if CHRONOVISOR_WAYLAND

#include <keyboard-shortcuts-inhibit-unstable-v1-client-protocol.h>
#include <pointer-constraints-unstable-v1-client-protocol.h>
#include <relative-pointer-unstable-v1-client-protocol.h>
#include <string_view>

namespace ui {

namespace {

template<typename Global>
void bindIf(
    Global*& global, wl_interface const& wanted, std::string_view offered, wl_registry* registry, std::uint32_t name)
{
    if (offered == wanted.name)
        global = static_cast<Global*>(wl_registry_bind(registry, name, &wanted, 1));
}

}

WaylandGlobals const& waylandGlobals(wl_display* display)
{
    static WaylandGlobals const found = [display] {
        WaylandGlobals globals;
        static wl_registry_listener const listener {
            [](void* data, wl_registry* registry, std::uint32_t name, char const* interface, std::uint32_t) {
                auto& into = *static_cast<WaylandGlobals*>(data);
                bindIf(into.constraints, zwp_pointer_constraints_v1_interface, interface, registry, name);
                bindIf(into.relative, zwp_relative_pointer_manager_v1_interface, interface, registry, name);
                bindIf(into.shortcuts, zwp_keyboard_shortcuts_inhibit_manager_v1_interface, interface, registry, name);
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
        for (auto* proxy : { reinterpret_cast<wl_proxy*>(globals.constraints),
                 reinterpret_cast<wl_proxy*>(globals.relative), reinterpret_cast<wl_proxy*>(globals.shortcuts) }) {
            if (proxy != nullptr)
                wl_proxy_set_queue(proxy, nullptr);
        }
        wl_event_queue_destroy(queue);
        return globals;
    }();
    return found;
}

}

#endif
