#include "ui/serial/terminal_keys.h"

namespace ui {

namespace {

VTermKey namedKey(int key, bool keypad)
{
    if (key >= Qt::Key_F1 && key <= Qt::Key_F24)
        return static_cast<VTermKey>(VTERM_KEY_FUNCTION(key - Qt::Key_F1 + 1));
    switch (key) {
    case Qt::Key_Return: return VTERM_KEY_ENTER;
    case Qt::Key_Enter: return keypad ? VTERM_KEY_KP_ENTER : VTERM_KEY_ENTER;
    case Qt::Key_Tab:
    case Qt::Key_Backtab: return VTERM_KEY_TAB;
    case Qt::Key_Backspace: return VTERM_KEY_BACKSPACE;
    case Qt::Key_Escape: return VTERM_KEY_ESCAPE;
    case Qt::Key_Up: return VTERM_KEY_UP;
    case Qt::Key_Down: return VTERM_KEY_DOWN;
    case Qt::Key_Left: return VTERM_KEY_LEFT;
    case Qt::Key_Right: return VTERM_KEY_RIGHT;
    case Qt::Key_Insert: return VTERM_KEY_INS;
    case Qt::Key_Delete: return VTERM_KEY_DEL;
    case Qt::Key_Home: return VTERM_KEY_HOME;
    case Qt::Key_End: return VTERM_KEY_END;
    case Qt::Key_PageUp: return VTERM_KEY_PAGEUP;
    case Qt::Key_PageDown: return VTERM_KEY_PAGEDOWN;
    default: return VTERM_KEY_NONE;
    }
}

}

VTermModifier terminalModifiers(Qt::KeyboardModifiers modifiers)
{
    auto result = static_cast<int>(VTERM_MOD_NONE);
    if (modifiers & Qt::ShiftModifier)
        result |= VTERM_MOD_SHIFT;
    if (modifiers & Qt::AltModifier)
        result |= VTERM_MOD_ALT;
    if (modifiers & Qt::ControlModifier)
        result |= VTERM_MOD_CTRL;
    return static_cast<VTermModifier>(result);
}

TerminalKey terminalKey(QKeyEvent const& event)
{
    TerminalKey result;
    result.modifiers = terminalModifiers(event.modifiers());
    if (event.key() == Qt::Key_Backtab)
        result.modifiers = static_cast<VTermModifier>(result.modifiers | VTERM_MOD_SHIFT);
    result.key = namedKey(event.key(), event.modifiers() & Qt::KeypadModifier);
    if (result.key != VTERM_KEY_NONE)
        return result;

    auto const control = event.modifiers() & Qt::ControlModifier;
    auto const text = event.text().toUcs4();
    if (!text.isEmpty() && text[0] >= 0x20 && text[0] != 0x7f) {
        // Layouts with AltGr deliver the character they made; Alt or Control alone are the terminal's.
        result.character = static_cast<char32_t>(text[0]);
        auto keep = static_cast<int>(result.modifiers) & ~VTERM_MOD_SHIFT;
        if ((keep & VTERM_MOD_CTRL) && (keep & VTERM_MOD_ALT))
            keep = 0;
        result.modifiers = static_cast<VTermModifier>(keep);
    } else if (control && event.key() >= Qt::Key_Space && event.key() <= Qt::Key_AsciiTilde) {
        auto character = static_cast<char32_t>(event.key());
        if (character >= U'A' && character <= U'Z')
            character += U'a' - U'A';
        result.character = character;
        result.modifiers = static_cast<VTermModifier>(result.modifiers & ~VTERM_MOD_SHIFT);
    }
    return result;
}

}
