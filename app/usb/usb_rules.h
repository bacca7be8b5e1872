#pragma once

#include "vmm/base/result.h"
#include "vmm/state/options.h"
#include "vmm/usb/host_usb.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace vmm::state {
class Reader;
}

namespace app {

/// Which USB devices of the host's are meant: those that have all of what is said here. Nothing said: every device.
struct UsbMatch {
    std::optional<std::uint16_t> vendor, product; ///< a product only with its vendor
    std::string serial;
    std::string port;                        ///< where it is plugged in: "1-2.3"
    std::optional<std::uint8_t> deviceClass; ///< of the device or of any of its interfaces: 0x03 input, 0x08 disks …
    bool operator==(UsbMatch const&) const = default;

    bool isEmpty() const { return *this == UsbMatch {}; }
    bool fits(vmm::HostUsbInfo const& device) const;
    /// The more is said, the higher: a serial number goes before a port, that before a product, before a vendor, before
    /// a class. Two that say the same things of a device are equal or differ in the class alone.
    unsigned weight() const;

    static void describe(auto& v, auto& s)
    {
        v.field("vendor", s.vendor, vmm::state::Optional {});
        v.field("product", s.product, vmm::state::Optional {});
        v.field("serial", s.serial, vmm::state::Max { 256 }, vmm::state::Optional {});
        v.field("port", s.port, vmm::state::Max { 64 }, vmm::state::Optional {});
        v.field("class", s.deviceClass, vmm::state::Optional {});
    }
};

/// "0951:1666,port=1-2,serial=AB12", as chronoctl shows and takes it; "0951:*" for all of a vendor, "class=08", "any".
/// The serial number stands last: it may have commas in it.
std::string usbMatchText(UsbMatch const& match);
vmm::Result<UsbMatch> parseUsbMatch(std::string_view text);

enum class UsbAction : std::uint8_t {
    Attach, ///< To its machine, by itself.
    Ask,    ///< A question is raised.
    Never,  ///< Neither attached nor asked about; by hand only with Really::Yes.
};
constexpr auto stateNames(UsbAction)
{
    return std::to_array<std::string_view>({ "attach", "ask", "never" });
}

struct UsbRule {
    UsbMatch match; ///< its identity: there is one rule of each
    UsbAction action = UsbAction::Ask;
    std::string machine; ///< the uuid, of Attach; else empty
    /// What the device called itself when the rule was made, for people: "Kingston DataTraveler"; "Kingston" where all
    /// of the vendor's are meant.
    std::string name;
    bool operator==(UsbRule const&) const = default;

    static void describe(auto& v, auto& s)
    {
        v.field("match", s.match);
        v.field("action", s.action);
        v.field("machine", s.machine, vmm::state::Max { 64 }, vmm::state::Optional {});
        v.field("name", s.name, vmm::state::Max { 512 }, vmm::state::Optional {});
    }
};

/// What becomes of this host's devices when a machine comes back from a moment or from a saved state, where they have
/// been unplugged in any case: no state knows what a real device is at. Those of other computers are plugged in anew as
/// long as they are passed on, and else have to be passed on again.
enum class UsbRestore : std::uint8_t {
    Attach, ///< They are plugged in anew.
    Leave,  ///< They go back to the host, and its connectors stay empty; those that rules attach come nevertheless.
    Ask,    ///< As Leave, and a question is raised for each.
};
constexpr auto stateNames(UsbRestore)
{
    return std::to_array<std::string_view>({ "attach", "leave", "ask" });
}

/// A person's rules for USB devices, and per machine what no moment may bring back. A value; UsbRuleStore keeps it.
///
/// The most specific rule that fits a device holds (UsbMatch::weight()); the order in the list means nothing. Where two
/// differ in the class alone the more careful one does: Never, then Ask, then Attach, then the lower class. A device
/// without any rule is asked about when it is plugged in. Rules are applied when a device is plugged in, when a machine
/// starts, and when it comes back from a moment; changing them takes or gives nothing at that instant.
struct UsbRules {
    static constexpr std::string_view kind = "usb-rules";
    static constexpr unsigned version = 1;
    static constexpr std::size_t mostRules = 256;

    struct Machine {
        std::string machine; ///< the uuid
        UsbRestore restore = UsbRestore::Attach;
        bool operator==(Machine const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("machine", s.machine, vmm::state::Max { 64 });
            v.field("restore", s.restore);
        }
    };

    std::vector<UsbRule> rules;
    std::vector<Machine> machines; ///< those whose policy is not Attach
    bool operator==(UsbRules const&) const = default;

    /// Null: none fits.
    UsbRule const* ruleFor(vmm::HostUsbInfo const& device) const;
    /// In place of the rule with the same match, where there is one. InvalidArgument: Attach without a machine or of
    /// every device, a product without its vendor, or too many rules.
    vmm::Result<> set(UsbRule rule);
    /// As set(); AlreadyExists where there is a rule with the same match.
    vmm::Result<> add(UsbRule rule);
    /// The rule for `from` is for `to` instead; where that is another model it loses its name. NotFound, AlreadyExists,
    /// or InvalidArgument as of set().
    vmm::Result<> setMatch(UsbMatch const& from, UsbMatch const& to);
    /// NotFound.
    vmm::Result<> remove(UsbMatch const& match);
    UsbRestore restoreOf(std::string_view machine) const;
    void setRestore(std::string const& machine, UsbRestore restore);

    static void describe(auto& v, auto& s)
    {
        v.field("rules", s.rules, vmm::state::Max { mostRules }, vmm::state::Optional {});
        v.field("machines", s.machines, vmm::state::Max { 4096 }, vmm::state::Optional {});
    }
    void check(vmm::state::Reader& reader) const;
};

/// As the file has them: checked as a whole.
std::string usbRulesToText(UsbRules const& rules);
vmm::Result<UsbRules> usbRulesFromText(std::string_view text);

/// "Always to this machine" for a device: by vendor, product and serial number. One without a serial number is meant
/// wherever it is plugged in, as every other of its kind.
UsbRule alwaysAttach(vmm::HostUsbInfo const& device, std::string machine);

/// "Kingston DataTraveler"; its numbers where it does not say what it is.
std::string usbDeviceName(vmm::HostUsbInfo const& device);

}
