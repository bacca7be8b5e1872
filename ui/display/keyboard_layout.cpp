#include "ui/display/keyboard_layout.h"

#include <QSettings>
#include <QStringList>
#include <algorithm>
#include <linux/input-event-codes.h>
#include <memory>
#include <optional>
#include <span>
#include <xkbcommon/xkbcommon.h>

namespace ui {

namespace {

constexpr xkb_keycode_t evdevOffset = 8; // xkb's numbers of keys are Linux' and this

struct Unref {
    void operator()(xkb_context* context) const { xkb_context_unref(context); }
    void operator()(xkb_keymap* keymap) const { xkb_keymap_unref(keymap); }
};

xkb_mod_mask_t maskOf(xkb_keymap* keymap, char const* modifier)
{
    auto const index = xkb_keymap_mod_get_index(keymap, modifier);
    return index == XKB_MOD_INVALID ? 0 : xkb_mod_mask_t { 1 } << index;
}

/// What a dead key types with a space behind it, the same on all systems; 0 for all other keys.
char32_t deadCharacter(xkb_keysym_t symbol)
{
    switch (symbol) {
    case XKB_KEY_dead_grave: return U'`';
    case XKB_KEY_dead_circumflex: return U'^';
    case XKB_KEY_dead_tilde: return U'~';
    default: return 0;
    }
}

/// The modifiers that lead to a level of a key; empty where Shift and AltGr do not.
std::optional<xkb_mod_mask_t> modifiersFor(
    xkb_keymap* keymap, xkb_keycode_t key, xkb_level_index_t level, xkb_mod_mask_t usable)
{
    xkb_mod_mask_t masks[8];
    auto const count = xkb_keymap_key_get_mods_for_level(keymap, key, 0, level, masks, std::size(masks));
    for (auto const mask : std::span(masks, count)) {
        if ((mask & ~usable) == 0)
            return mask;
    }
    return {};
}

}

KeyboardLayout::KeyboardLayout(QString const& name)
    : m_strokes { { U'\n', { { KEY_ENTER } } }, { U'\r', { { KEY_ENTER } } }, { U'\t', { { KEY_TAB } } } }
{
    std::unique_ptr<xkb_context, Unref> const context(xkb_context_new(XKB_CONTEXT_NO_FLAGS));
    if (context == nullptr)
        return;
    auto const layout = name.toLatin1();
    xkb_rule_names const names { "evdev", "pc105", layout.constData(), "", "" };
    std::unique_ptr<xkb_keymap, Unref> const owner(
        xkb_keymap_new_from_names(context.get(), &names, XKB_KEYMAP_COMPILE_NO_FLAGS));
    if (owner == nullptr)
        return;
    auto* keymap = owner.get();
    auto const shift = maskOf(keymap, XKB_MOD_NAME_SHIFT), altGr = maskOf(keymap, "Mod5");
    std::map<char32_t, std::vector<KeyStroke>> dead;
    auto const add = [&](std::uint16_t code, xkb_level_index_t level, bool withAltGr) {
        auto const key = code + evdevOffset;
        xkb_keysym_t const* symbols = nullptr;
        auto const modifiers = modifiersFor(keymap, key, level, shift | altGr);
        if (!modifiers || ((*modifiers & altGr) != 0) != withAltGr
            || xkb_keymap_key_get_syms_by_level(keymap, key, 0, level, &symbols) != 1)
            return;
        auto const symbol = symbols[0];
        if (symbol >= XKB_KEY_KP_Space && symbol <= XKB_KEY_KP_9)
            return; // what these type depends on Num Lock
        KeyStroke stroke;
        if (withAltGr)
            stroke.push_back(KEY_RIGHTALT);
        if ((*modifiers & shift) != 0)
            stroke.push_back(KEY_LEFTSHIFT);
        stroke.push_back(code);
        if (auto const character = deadCharacter(symbol); character != 0)
            dead.emplace(character, std::vector<KeyStroke> { stroke, { KEY_SPACE } });
        else if (char32_t const typed = xkb_keysym_to_utf32(symbol); typed >= 0x20 && typed != 0x7f)
            m_strokes.emplace(typed, std::vector<KeyStroke> { stroke });
    };
    // The first one holds: what needs no AltGr is the same on more systems, and so is all but the 102nd key.
    for (auto const withAltGr : { false, true }) {
        for (std::uint16_t code = KEY_1; code <= KEY_102ND; ++code) {
            auto const levels = xkb_keymap_num_levels_for_key(keymap, code + evdevOffset, 0);
            for (xkb_level_index_t level = 0; level < levels; ++level)
                add(code, level, withAltGr);
        }
    }
    m_strokes.merge(dead);
}

std::vector<KeyStroke> KeyboardLayout::strokesFor(char32_t character) const
{
    auto const found = m_strokes.find(character);
    return found != m_strokes.end() ? found->second : std::vector<KeyStroke> {};
}

std::vector<LayoutChoice> const& keyboardLayouts()
{
    static std::vector<LayoutChoice> const all {
        { QStringLiteral("us"), QStringLiteral("English (US)") },
        { QStringLiteral("gb"), QStringLiteral("English (UK)") },
        { QStringLiteral("de"), QStringLiteral("Deutsch") },
        { QStringLiteral("ch"), QStringLiteral("Deutsch (Schweiz)") },
        { QStringLiteral("es"), QStringLiteral("Español") },
        { QStringLiteral("fr"), QStringLiteral("Français") },
        { QStringLiteral("it"), QStringLiteral("Italiano") },
    };
    return all;
}

QString hostLayout()
{
    auto layouts = qEnvironmentVariable("XKB_DEFAULT_LAYOUT");
    if (layouts.isEmpty()) {
        QSettings const keyboard(QStringLiteral("/etc/default/keyboard"), QSettings::IniFormat); // keyboard(5)
        layouts = keyboard.value(QStringLiteral("XKBLAYOUT")).toStringList().join(QLatin1Char(','));
    }
    auto const first = layouts.section(QLatin1Char(','), 0, 0);
    auto const isThere = std::ranges::find(keyboardLayouts(), first, &LayoutChoice::name) != keyboardLayouts().end();
    return isThere ? first : QStringLiteral("us");
}

}
