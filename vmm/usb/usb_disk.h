#pragma once

#include "vmm/base/event_loop.h"
#include "vmm/usb/emulated_usb_device.h"
#include "vmm/usb/scsi_disk.h"

#include <functional>
#include <span>

namespace vmm {

/// A memory stick, whichever transport brings its commands (UsbStorage, UasStorage): a ScsiDisk on an image.
///
/// What the host cannot do (no space, an I/O error) is none of the guest's business: the transfer is kept, `hostError`
/// asks for a pause, which takes the transfer back, and it begins anew when the machine resumes.
///
/// Threads: as UsbDevice; `loop` is where the image lives.
class UsbDisk : public EmulatedUsbDevice {
public:
    /// Called once for each time that the machine runs, with the lock held: it posts.
    using HostError = std::function<void(Error const&)>;

    /// The disk has another image of the same size and contents from now on, to which what waited was passed. On the
    /// disk's loop.
    void setImage(BlockImage& image) { m_disk.setImage(image); }

    /// Since the device was made. Any thread.
    std::uint64_t bytesRead() const { return m_bytesRead; }
    std::uint64_t bytesWritten() const { return m_bytesWritten; }

protected:
    /// `transport`: "storage", "uas"; `interface`: its descriptors, from the interface's on.
    UsbDisk(UsbSpeed speed, std::string_view transport, std::string const& id, Bytes const& interface, EventLoop& loop,
        BlockImage& image, bool readOnly, HostError hostError);

    /// Gives it to the image, on the disk's loop. It stays where it is until it is completed.
    void submitWork(BlockRequest& request);
    /// The host has refused something. Told, and written to the log, once for each time that the machine runs.
    void reportHostError(Error const& error);
    /// Whether that may be said again.
    void forgetHostError() { m_errorReported = false; }
    void countMoved(bool in, std::uint64_t bytes) { (in ? m_bytesRead : m_bytesWritten) += bytes; }

    ScsiDisk m_disk;

private:
    EventLoop& m_loop;
    HostError const m_hostError;
    bool m_errorReported = false;
    std::atomic<std::uint64_t> m_bytesRead { 0 }, m_bytesWritten { 0 };
};

}
