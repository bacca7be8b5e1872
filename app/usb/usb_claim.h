#pragma once

#include "vmm/base/unique_fd.h"

#include <optional>
#include <string>
#include <sys/types.h>

namespace app {

/// Which machine has a USB device of the host's.
struct UsbHolder {
    std::string machine; ///< the uuid
    std::string name;
    pid_t process = 0;
    bool operator==(UsbHolder const&) const = default;
};

/// That one machine has the device at a port of the host's, for all processes of this person to see: a locked file with
/// the machine's name in it. It ends with the object, or the process. Any thread.
class UsbClaim {
public:
    /// Busy, with the machine's name in the detail, where another one has it.
    static vmm::Result<UsbClaim> take(std::string const& port, UsbHolder const& holder);
    /// Nothing: no machine has it.
    static std::optional<UsbHolder> holder(std::string const& port);
    /// $XDG_RUNTIME_DIR/chronovisor/usb, else /tmp/chronovisor-UID/usb. Its contents change with every claim that is
    /// taken or let go.
    static std::string directory();
    static vmm::Result<> makeDirectory();

    UsbClaim(UsbClaim&&) = default;
    ~UsbClaim();

private:
    UsbClaim(std::string path, vmm::UniqueFd fd) : m_path(std::move(path)), m_fd(std::move(fd)) { }
    std::string m_path;
    vmm::UniqueFd m_fd;
};

}
