#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/usb/host_usb.h"

#include <functional>
#include <sys/types.h>
#include <vector>

namespace vmm {

/// Sees to it that a device of the host's comes back to the host's drivers although this process is killed: the kernel
/// does not do that by itself, and the device would have no driver until it is plugged in again. A program beside us
/// (app/usb_return) waits for the end of a pipe; where that comes before the word that all is well, it gives the device
/// back. It holds nothing of the device's meanwhile.
///
/// It does that for a process that lives, too: a reset takes as long as the device likes, and no signal ends who waits
/// in the kernel for one.
class UsbReturn {
public:
    /// To be called before the first driver is taken away. `configuration`: what the device has now.
    static Result<std::unique_ptr<UsbReturn>> watch(HostUsbInfo const& device, int configuration);
    /// Has the program do it now, with a driver for each of these interfaces. `letGo` is called once the program has
    /// the device open: it closes it here. False: the program cannot open it, and nothing is done.
    bool giveBack(std::vector<int> const& interfaces, std::function<void()> const& letGo);
    /// When the device is back, or gone for good. Where the program was told to give it back, this waits for that.
    ~UsbReturn();
    UsbReturn(UsbReturn const&) = delete;
    UsbReturn& operator=(UsbReturn const&) = delete;

private:
    UsbReturn(std::string port, UniqueFd pipe, pid_t process)
        : m_port(std::move(port)), m_pipe(std::move(pipe)), m_process(process)
    {
    }

    std::string m_port;
    UniqueFd m_pipe;
    pid_t m_process;
    bool m_givesBack = false;
};

}
