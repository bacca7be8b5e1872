// The host's shortcuts on Wayland: the protocol keyboard-shortcuts-inhibit-unstable-v1.

#include "ui/display/keyboard_grab.h"
#include "ui/display/wayland_globals.h"

#if CHRONOVISOR_WAYLAND

#include <QGuiApplication>
#include <QWindow>
#include <keyboard-shortcuts-inhibit-unstable-v1-client-protocol.h>
#include <qpa/qplatformnativeinterface.h>

namespace ui {

namespace {

class InhibitedShortcuts final : public KeyboardGrab {
public:
    InhibitedShortcuts(zwp_keyboard_shortcuts_inhibit_manager_v1* manager, wl_surface* surface, wl_seat* seat)
        : m_inhibitor(zwp_keyboard_shortcuts_inhibit_manager_v1_inhibit_shortcuts(manager, surface, seat))
    {
    }
    ~InhibitedShortcuts() override { zwp_keyboard_shortcuts_inhibitor_v1_destroy(m_inhibitor); }

private:
    zwp_keyboard_shortcuts_inhibitor_v1* m_inhibitor;
};

}

std::unique_ptr<KeyboardGrab> inhibitWaylandShortcuts(QWidget& widget)
{
    auto* native = QGuiApplication::platformNativeInterface();
    auto* window = widget.window()->windowHandle();
    if (native == nullptr || window == nullptr)
        return nullptr;
    auto* display = static_cast<wl_display*>(native->nativeResourceForIntegration("wl_display"));
    auto* seat = static_cast<wl_seat*>(native->nativeResourceForIntegration("wl_seat"));
    auto* surface = static_cast<wl_surface*>(native->nativeResourceForWindow("surface", window));
    if (display == nullptr || seat == nullptr || surface == nullptr)
        return nullptr;
    auto* manager = waylandGlobals(display).shortcuts;
    return manager != nullptr ? std::make_unique<InhibitedShortcuts>(manager, surface, seat) : nullptr;
}

}

#endif
