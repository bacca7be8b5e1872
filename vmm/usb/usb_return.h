#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/usb/host_usb.h"

#include <sys/types.h>

namespace vmm {

/// Sees to it that a device of the host's comes back to the host's drivers although this process is killed: the kernel
/// does not do that by itself, and the device would have no driver until it is plugged in again. A program beside us
/// (app/usb_return) waits for the end of a pipe; where that comes before the word that all is well, it gives the device
/// back. It holds nothing of the device's meanwhile.
class UsbReturn {
public:
    /// To be called before the first driver is taken away. `configuration`: what the device has now.
    static Result<std::unique_ptr<UsbReturn>> watch(HostUsbInfo const& device, int configuration);
    /// The device is back, or gone for good.
    ~UsbReturn();
    UsbReturn(UsbReturn const&) = delete;
    UsbReturn& operator=(UsbReturn const&) = delete;

private:
    UsbReturn(UniqueFd pipe, pid_t process) : m_pipe(std::move(pipe)), m_process(process) { }

    UniqueFd m_pipe;
    pid_t m_process;
};

}
