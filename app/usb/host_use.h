#pragma once

#include "vmm/usb/host_usb.h"

#include <string>
#include <vector>

namespace app {

/// Taking a device that this host uses, or that a rule keeps for it: only with the person's word.
enum class Really : bool { No, Yes };

/// What a USB device is to this host at the moment.
struct HostUse {
    enum class Kind : std::uint8_t {
        Keyboard,    ///< It types here.
        Pointer,     ///< A mouse, touchpad or tablet of this host.
        MountedDisk, ///< A file system on it is mounted.
        DiskInUse,   ///< It is swap, part of a RAID, an encrypted or a logical volume, or open in a program.
        NetworkUp,   ///< A network interface that is up and has a link.
        PortInUse,   ///< A serial port that a program has open.
    };
    Kind kind;
    /// Which, in the host's words: the input device's name, the mount point, "sda1 in dm-0", "sda: dd (1234)", "eth1".
    std::string what;
    /// Keyboard, Pointer, NetworkUp: this host has no other that is plugged in. Virtual ones do not count.
    bool isOnly = false;
    bool operator==(HostUse const&) const = default;
};

/// Where the kernel tells it; tests have directories of their own.
struct HostPlaces {
    std::string sys = "/sys", proc = "/proc", run = "/run";
};

/// Any thread that may read some files of sysfs and procfs: milliseconds. Of programs only those of the same user are
/// seen.
std::vector<HostUse> usesOf(vmm::HostUsbInfo const& device, HostPlaces const& places = {});

/// Whether an "always" rule may take a device with these uses without asking. A rule is the person's word for a second
/// mouse or a network adapter, and never for a disk, a port that is in use or the only keyboard, pointer or network.
bool isTakenByRule(std::vector<HostUse> const& uses);

/// "it is mounted at /media/anna/STICK", for errors and chronoctl; `ui` has its own sentences.
std::string hostUseText(HostUse const& use);

}
