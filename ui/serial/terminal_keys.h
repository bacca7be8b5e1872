#pragma once

#include <QKeyEvent>
#include <vterm.h>

namespace ui {

/// What a key press means to a terminal: a named key, or a character; neither for keys that type nothing.
struct TerminalKey {
    VTermKey key = VTERM_KEY_NONE;
    char32_t character = 0;
    VTermModifier modifiers = VTERM_MOD_NONE;
};

TerminalKey terminalKey(QKeyEvent const& event);
VTermModifier terminalModifiers(Qt::KeyboardModifiers modifiers);

}
