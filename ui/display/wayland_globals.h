#pragma once

#if CHRONOVISOR_WAYLAND

struct wl_display;
struct zwp_keyboard_shortcuts_inhibit_manager_v1;
struct zwp_pointer_constraints_v1;
struct zwp_relative_pointer_manager_v1;

namespace ui {

/// Protocols that Qt 6.4 does not speak, but lets us speak on its connection. Null: the compositor has not got it.
struct WaylandGlobals {
    zwp_pointer_constraints_v1* constraints = nullptr;
    zwp_relative_pointer_manager_v1* relative = nullptr;
    zwp_keyboard_shortcuts_inhibit_manager_v1* shortcuts = nullptr;
};

/// Asks the compositor once; the objects then live as long as the connection.
WaylandGlobals const& waylandGlobals(wl_display* display);

}

#endif
