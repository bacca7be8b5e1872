#pragma once

#include <QKeyEvent>
#include <QString>
#include <cstdint>
#include <vector>

namespace ui {

/// Linux' code (linux/input-event-codes.h) of the key that was pressed, by its place on the keyboard: X11 and Wayland
/// deliver it as native scan code minus 8. Where the platform delivers none it is taken from the key's name. 0:
/// unknown.
std::uint16_t evdevCode(QKeyEvent const& event);

/// A combination that the host keeps for itself or that is awkward to press: sent from a menu.
struct KeyChord {
    enum class Group { Common, FunctionKeys, ConsoleKeys }; ///< ConsoleKeys: function keys with Ctrl+Alt

    QString label;                    ///< "Ctrl+Alt+Del": the keys' own names, not translated
    std::vector<std::uint16_t> codes; ///< pressed in this order
    bool separatorBefore = false;
    Group group = Group::Common;
};
std::vector<KeyChord> const& keyChords();

}
