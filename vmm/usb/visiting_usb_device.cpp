#include "vmm/usb/visiting_usb_device.h"

#include <thread>

namespace vmm {

void VisitingUsbDevice::setHost(UsbHost* host)
{
    std::lock_guard const lock(m_presence);
    if (host)
        m_identity = newIdentity();
    UsbDevice::setHost(host);
}

void VisitingUsbDevice::withBus(std::function<void()> const& task)
{
    run(task, Unplugged::Skip);
}

void VisitingUsbDevice::alone(std::function<void()> const& task)
{
    run(task, Unplugged::Run);
}

/// The host may be leaving: it is not waited for with m_presence held, and without it nothing waits.
void VisitingUsbDevice::run(std::function<void()> const& task, Unplugged unplugged)
{
    for (;; std::this_thread::yield()) {
        std::unique_lock presence(m_presence);
        if (!isPlugged()) {
            if (unplugged == Unplugged::Run)
                task();
            return;
        }
        std::unique_lock const bus(host().usbMutex(), std::try_to_lock);
        if (!bus)
            continue;
        presence.unlock(); // it cannot leave without the lock of the bus
        return task();
    }
}

}
