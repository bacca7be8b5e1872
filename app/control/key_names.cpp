#include "app/control/key_names.h"

#include <algorithm>
#include <fmt/format.h>
#include <linux/input-event-codes.h>

namespace app::control {

namespace {

struct KeyName {
    std::string_view name;
    std::uint16_t code;
};

constexpr KeyName keyNames[] {
    { "esc", KEY_ESC },
    { "1", KEY_1 },
    { "2", KEY_2 },
    { "3", KEY_3 },
    { "4", KEY_4 },
    { "5", KEY_5 },
    { "6", KEY_6 },
    { "7", KEY_7 },
    { "8", KEY_8 },
    { "9", KEY_9 },
    { "0", KEY_0 },
    { "minus", KEY_MINUS },
    { "equal", KEY_EQUAL },
    { "backspace", KEY_BACKSPACE },
    { "tab", KEY_TAB },
    { "q", KEY_Q },
    { "w", KEY_W },
    { "e", KEY_E },
    { "r", KEY_R },
    { "t", KEY_T },
    { "y", KEY_Y },
    { "u", KEY_U },
    { "i", KEY_I },
    { "o", KEY_O },
    { "p", KEY_P },
    { "leftbrace", KEY_LEFTBRACE },
    { "rightbrace", KEY_RIGHTBRACE },
    { "enter", KEY_ENTER },
    { "return", KEY_ENTER },
    { "leftctrl", KEY_LEFTCTRL },
    { "ctrl", KEY_LEFTCTRL },
    { "a", KEY_A },
    { "s", KEY_S },
    { "d", KEY_D },
    { "f", KEY_F },
    { "g", KEY_G },
    { "h", KEY_H },
    { "j", KEY_J },
    { "k", KEY_K },
    { "l", KEY_L },
    { "semicolon", KEY_SEMICOLON },
    { "apostrophe", KEY_APOSTROPHE },
    { "grave", KEY_GRAVE },
    { "leftshift", KEY_LEFTSHIFT },
    { "shift", KEY_LEFTSHIFT },
    { "backslash", KEY_BACKSLASH },
    { "z", KEY_Z },
    { "x", KEY_X },
    { "c", KEY_C },
    { "v", KEY_V },
    { "b", KEY_B },
    { "n", KEY_N },
    { "m", KEY_M },
    { "comma", KEY_COMMA },
    { "dot", KEY_DOT },
    { "slash", KEY_SLASH },
    { "rightshift", KEY_RIGHTSHIFT },
    { "kpasterisk", KEY_KPASTERISK },
    { "leftalt", KEY_LEFTALT },
    { "alt", KEY_LEFTALT },
    { "space", KEY_SPACE },
    { "capslock", KEY_CAPSLOCK },
    { "f1", KEY_F1 },
    { "f2", KEY_F2 },
    { "f3", KEY_F3 },
    { "f4", KEY_F4 },
    { "f5", KEY_F5 },
    { "f6", KEY_F6 },
    { "f7", KEY_F7 },
    { "f8", KEY_F8 },
    { "f9", KEY_F9 },
    { "f10", KEY_F10 },
    { "f11", KEY_F11 },
    { "f12", KEY_F12 },
    { "numlock", KEY_NUMLOCK },
    { "scrolllock", KEY_SCROLLLOCK },
    { "kp7", KEY_KP7 },
    { "kp8", KEY_KP8 },
    { "kp9", KEY_KP9 },
    { "kpminus", KEY_KPMINUS },
    { "kp4", KEY_KP4 },
    { "kp5", KEY_KP5 },
    { "kp6", KEY_KP6 },
    { "kpplus", KEY_KPPLUS },
    { "kp1", KEY_KP1 },
    { "kp2", KEY_KP2 },
    { "kp3", KEY_KP3 },
    { "kp0", KEY_KP0 },
    { "kpdot", KEY_KPDOT },
    { "102nd", KEY_102ND },
    { "kpenter", KEY_KPENTER },
    { "rightctrl", KEY_RIGHTCTRL },
    { "kpslash", KEY_KPSLASH },
    { "sysrq", KEY_SYSRQ },
    { "print", KEY_SYSRQ },
    { "rightalt", KEY_RIGHTALT },
    { "altgr", KEY_RIGHTALT },
    { "home", KEY_HOME },
    { "up", KEY_UP },
    { "pageup", KEY_PAGEUP },
    { "left", KEY_LEFT },
    { "right", KEY_RIGHT },
    { "end", KEY_END },
    { "down", KEY_DOWN },
    { "pagedown", KEY_PAGEDOWN },
    { "insert", KEY_INSERT },
    { "delete", KEY_DELETE },
    { "del", KEY_DELETE },
    { "pause", KEY_PAUSE },
    { "leftmeta", KEY_LEFTMETA },
    { "meta", KEY_LEFTMETA },
    { "rightmeta", KEY_RIGHTMETA },
    { "compose", KEY_COMPOSE },
    { "menu", KEY_COMPOSE },
};

/// Of ASCII, whatever the person's locale makes of an I.
std::string lowerCase(std::string_view text)
{
    std::string lower(text);
    for (char& c : lower) {
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    }
    return lower;
}

}

vmm::Result<std::vector<std::uint16_t>> parseChord(std::string_view text)
{
    std::vector<std::uint16_t> codes;
    for (std::size_t at = 0; at <= text.size();) {
        auto const end = std::min(text.find_first_of("-+", at), text.size());
        auto const name = lowerCase(text.substr(at, end - at));
        auto const* found = std::find_if(
            std::begin(keyNames), std::end(keyNames), [&](KeyName const& key) { return key.name == name; });
        if (found == std::end(keyNames))
            return vmm::fail(vmm::ErrorCode::InvalidArgument,
                fmt::format("no key is called \"{}\"; chronoctl send-keys --help lists them", name));
        codes.push_back(found->code);
        at = end + 1;
    }
    return codes;
}

std::string allKeyNames()
{
    std::string names;
    for (auto const& key : keyNames)
        names += fmt::format("{}{}", names.empty() ? "" : " ", key.name);
    return names;
}

}
