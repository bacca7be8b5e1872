#pragma once

#include <QString>

namespace ui {

/// One USB device as the panel and the menu show it.
struct UsbRow {
    enum class Group : std::uint8_t {
        Machine, ///< one of the host's that the machine has
        Remote,  ///< one of another computer that it has
        Place,   ///< where devices of other computers are waited for
        Host,    ///< one that it could have
        Own,     ///< an emulated one, or a stick on a disk image: no other machine can have it
    };
    QString id; ///< one of the host's: where it is plugged in ("1-2.3"); else its id
    Group group = Group::Host;
    QString iconName, name;
    QString details; ///< speed, and who uses it
    QString tip;     ///< which one it is, for who has two of a kind
    QString whyNot;  ///< why it cannot be plugged in or out now; empty: it can
    bool plugged = false;
    bool operator==(UsbRow const&) const = default;

    bool isOfHost() const { return group == Group::Machine || group == Group::Host; }
};

}
