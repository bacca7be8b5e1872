#include "ui/display/key_codes.h"

#include "ui/display/keyboard_layout.h"

#include <linux/input-event-codes.h>

namespace ui {

namespace {

/// For platforms without scan codes (the offscreen one of the tests, VNC).
std::uint16_t codeOfKey(int key)
{
    static constexpr std::uint16_t letters[]
        = { KEY_A, KEY_B, KEY_C, KEY_D, KEY_E, KEY_F, KEY_G, KEY_H, KEY_I, KEY_J, KEY_K, KEY_L, KEY_M, KEY_N, KEY_O,
              KEY_P, KEY_Q, KEY_R, KEY_S, KEY_T, KEY_U, KEY_V, KEY_W, KEY_X, KEY_Y, KEY_Z };
    if (key >= Qt::Key_A && key <= Qt::Key_Z)
        return letters[key - Qt::Key_A];
    if (key == Qt::Key_0)
        return KEY_0;
    if (key >= Qt::Key_1 && key <= Qt::Key_9)
        return static_cast<std::uint16_t>(KEY_1 + key - Qt::Key_1);
    if (key >= Qt::Key_F1 && key <= Qt::Key_F10)
        return static_cast<std::uint16_t>(KEY_F1 + key - Qt::Key_F1);
    switch (key) {
    case Qt::Key_F11: return KEY_F11;
    case Qt::Key_F12: return KEY_F12;
    case Qt::Key_Escape: return KEY_ESC;
    case Qt::Key_Tab:
    case Qt::Key_Backtab: return KEY_TAB;
    case Qt::Key_Backspace: return KEY_BACKSPACE;
    case Qt::Key_Return: return KEY_ENTER;
    case Qt::Key_Enter: return KEY_KPENTER;
    case Qt::Key_Insert: return KEY_INSERT;
    case Qt::Key_Delete: return KEY_DELETE;
    case Qt::Key_Pause: return KEY_PAUSE;
    case Qt::Key_Print:
    case Qt::Key_SysReq: return KEY_SYSRQ;
    case Qt::Key_Home: return KEY_HOME;
    case Qt::Key_End: return KEY_END;
    case Qt::Key_Left: return KEY_LEFT;
    case Qt::Key_Up: return KEY_UP;
    case Qt::Key_Right: return KEY_RIGHT;
    case Qt::Key_Down: return KEY_DOWN;
    case Qt::Key_PageUp: return KEY_PAGEUP;
    case Qt::Key_PageDown: return KEY_PAGEDOWN;
    case Qt::Key_Shift: return KEY_LEFTSHIFT;
    case Qt::Key_Control: return KEY_LEFTCTRL;
    case Qt::Key_Meta:
    case Qt::Key_Super_L: return KEY_LEFTMETA;
    case Qt::Key_Super_R: return KEY_RIGHTMETA;
    case Qt::Key_Alt: return KEY_LEFTALT;
    case Qt::Key_AltGr: return KEY_RIGHTALT;
    case Qt::Key_CapsLock: return KEY_CAPSLOCK;
    case Qt::Key_NumLock: return KEY_NUMLOCK;
    case Qt::Key_ScrollLock: return KEY_SCROLLLOCK;
    case Qt::Key_Menu: return KEY_COMPOSE;
    default: break;
    }
    static KeyboardLayout const us(QStringLiteral("us"));
    auto const strokes = key > 0 && key < 0x80 ? us.strokesFor(static_cast<char32_t>(key)) : std::vector<KeyStroke> {};
    return strokes.empty() ? 0 : strokes.front().back();
}

}

std::uint16_t evdevCode(QKeyEvent const& event)
{
    auto const native = event.nativeScanCode();
    if (native > 8 && native - 8 < KEY_CNT)
        return static_cast<std::uint16_t>(native - 8);
    return codeOfKey(event.key());
}

std::vector<KeyChord> const& keyChords()
{
    static auto const chords = [] {
        std::vector<KeyChord> all {
            { QStringLiteral("Ctrl+Alt+Del"), { KEY_LEFTCTRL, KEY_LEFTALT, KEY_DELETE } },
            { QStringLiteral("Ctrl+Alt+Backspace"), { KEY_LEFTCTRL, KEY_LEFTALT, KEY_BACKSPACE } },
            { QStringLiteral("Ctrl+Esc"), { KEY_LEFTCTRL, KEY_ESC } },
            { QStringLiteral("Esc"), { KEY_ESC } },
            { QStringLiteral("Alt+Tab"), { KEY_LEFTALT, KEY_TAB } },
            { QStringLiteral("Alt+F4"), { KEY_LEFTALT, KEY_F4 } },
            { QStringLiteral("Super"), { KEY_LEFTMETA } },
            { QStringLiteral("Menu"), { KEY_COMPOSE } },
            { QStringLiteral("Print"), { KEY_SYSRQ }, true },
            { QStringLiteral("Alt+SysRq"), { KEY_LEFTALT, KEY_SYSRQ } },
            { QStringLiteral("Pause"), { KEY_PAUSE } },
        };
        for (std::uint16_t number = 1; number <= 12; ++number) {
            auto const key = static_cast<std::uint16_t>(number <= 10 ? KEY_F1 + number - 1 : KEY_F11 + number - 11);
            all.push_back({ QStringLiteral("F%1").arg(number), { key }, false, KeyChord::Group::FunctionKeys });
            all.push_back({ QStringLiteral("Ctrl+Alt+F%1").arg(number), { KEY_LEFTCTRL, KEY_LEFTALT, key }, false,
                KeyChord::Group::ConsoleKeys });
        }
        return all;
    }();
    return chords;
}

}
