#pragma once

#include "app/usb/usb_rules.h"

#include <functional>

namespace app {

/// The person's rules on disk: `usb.json` beside the machines of a library, which name them by uuid. Any thread;
/// several processes may use it: a change is read, made and written while a lock is held (`usb.json.lock`), so none is
/// lost. The file is untrusted as any.
class UsbRuleStore {
public:
    /// `root`: MachineStore::root().
    explicit UsbRuleStore(std::string root) : m_root(std::move(root)) { }

    std::string const& directory() const { return m_root; }
    std::string path() const { return m_root + "/usb.json"; }
    /// No file: no rules. Corrupt, VersionTooNew, InvalidArgument: it is not one of ours, and nothing of it is used.
    vmm::Result<UsbRules> read() const;
    /// Reads, lets `change` do its part, and writes; what is there afterwards. A file that cannot be read is not
    /// written over. Waits for others who are at it, up to 5 s: Busy.
    vmm::Result<UsbRules> change(std::function<vmm::Result<>(UsbRules&)> const& change) const;

private:
    std::string m_root;
};

}
