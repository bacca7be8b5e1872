#pragma once

#include "app/usb/host_use.h"

#include <chrono>

namespace app {

/// So long a device that a machine had may be away and be the same to it: firmware that was loaded, a phone that
/// changes its mode, a host that slept.
constexpr std::chrono::seconds usbComeback { 15 };

/// Something that a machine would do with a device of the host's, if the person says so. It stands until it is
/// answered: MachineRunner::attachHostUsb() with the device's port and Really::Yes, or dismissUsbQuestion(). It ends by
/// itself when the device is plugged out, another machine takes it, or this machine ends. A rule ("always", "never") is
/// the person's to add.
struct UsbQuestion {
    enum class Reason : std::uint8_t {
        PluggedIn,  ///< It was plugged in just now, and its rule is Ask, or it has none.
        Restored,   ///< The machine had it, and came back from a moment or a saved state; its policy is to ask.
        UsedByHost, ///< It is set to this machine, and the host uses it: see `uses`.
    };
    vmm::HostUsbInfo device;
    Reason reason = Reason::PluggedIn;
    std::vector<HostUse> uses;
    bool operator==(UsbQuestion const&) const = default;
};

/// What becomes of a device of the host's, or of another computer, when the machine comes back from a moment: for the
/// person to know before.
struct UsbFate {
    enum class Outcome : std::uint8_t {
        PluggedAnew, ///< The guest has it now or had it then: it sees it pulled out, and plugged in again.
        Unplugged,   ///< The guest has it now or had it then, and finds it pulled out.
        Asked,       ///< As Unplugged, and the person is asked whether it comes back.
        NotHere,     ///< The guest had it then; it is not plugged into this host, or another machine has it. Of another
                     ///< computer's: nobody passes it on then.
    };
    std::uint16_t vendor = 0, product = 0;
    std::string name, serial; ///< empty where the state does not tell; `name` only of devices that are here
    std::string port;         ///< empty: it is of another computer
    std::string from;         ///< who passes it on now
    bool isAttached = false;  ///< the machine has it now
    Outcome outcome = Outcome::Unplugged;
    bool operator==(UsbFate const&) const = default;
};

}
