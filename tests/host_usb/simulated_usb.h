#pragma once

#include "vmm/base/bytes.h"

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

struct usbdevfs_urb;

namespace tests {

/// A USB device that an unmodified libusb finds, opens and talks to, through umockdev: the program must run in
/// umockdev-wrapper. Usually at high speed, with configuration 1 and two settings of its only interface:
///
/// endpoint   | what it does
/// ---------- | -------------------------------------------------------------------------------------------
/// 0          | vendor requests: IN 1 counts bytes, OUT 2 is kept, 3 is refused; string EE is asked for in vain
/// 02, 81     | bulk: what goes out comes in again
/// 83         | interrupt IN: what the test has put there, later or now
/// 84         | isochronous IN: packets of 176 bytes, which are numbered, or as the test has it
/// 05         | isochronous OUT: packets are kept
///
/// What other descriptors say beside that (more interfaces and configurations, a hub, no serial number, streams) is
/// true of it too; each interface has a driver of the host's at first, and those of a configuration that is set.
///
/// Each URB is read and answered where libusb has it, for both are in one process; what else usbfs can do is there for
/// other processes too. Any thread.
class SimulatedUsbDevice {
public:
    /// `port` may be behind hubs that are there ("1-1.2"); `speed` as sysfs has it.
    SimulatedUsbDevice(std::string const& port, unsigned address, vmm::Bytes const& descriptors = usualDescriptors(),
        char const* speed = "480");
    ~SimulatedUsbDevice();
    SimulatedUsbDevice(SimulatedUsbDevice const&) = delete;
    SimulatedUsbDevice& operator=(SimulatedUsbDevice const&) = delete;

    /// Device, configuration, interface 0 with its settings 0 and 1, of five endpoints each.
    static vmm::Bytes usualDescriptors();

    void unplug();
    /// It becomes the only keyboard of this host.
    void typeOnTheHost();
    /// Nobody has the right to open its node: libusb says so, for nothing is closed to root.
    void denyAccess();
    /// The host has a serial port of it, whose node is a file that anybody can open: /dev/full.
    void becomePort();
    void interrupt(vmm::Bytes const& report);
    /// Endpoint 81 stalls until its halt is cleared.
    void halt();
    /// The next URB of endpoint 81 ends with that error of the kernel's.
    void fail(int error);
    /// The next isochronous packets are so long, or have that error of the kernel's (-EXDEV …).
    struct IsochronousPacket {
        unsigned length;
        int error = 0;
    };
    void scriptIsochronous(std::vector<IsochronousPacket> const& packets);
    /// No isochronous URB ends any more, but for `packets` more packets; those before an end stay done in an URB that
    /// is cancelled.
    void holdIsochronous(unsigned packets);
    void letIsochronousGo();
    /// So many microframes pass, each with a packet; for how many of them there was no room in any URB.
    unsigned passMicroframes(unsigned count);
    /// How many packets each of these URBs has had.
    std::vector<int> isochronousUrbs() const;
    std::vector<vmm::Bytes> isochronousOut() const;
    std::vector<int> bulkUrbs() const;           ///< how long each of them was
    std::vector<void const*> bulkMemory() const; ///< and where
    std::vector<unsigned> bulkStreams() const;   ///< and of which stream
    /// From now on the host's kernel refuses as many requests for want of memory.
    void refuseForMemory(unsigned count);
    /// The kernel waits for it when it clears a halt or resets it, until it answers again. Who asks the kernel for
    /// something of a device that clears a halt waits, too (Linux, drivers/usb/core/devio.c, usbdev_do_ioctl(),
    /// usb_lock_device()).
    void hang();
    void answerAgain();
    /// The host's controller has no streams.
    void refuseStreams();
    /// The reset that comes next finds another device.
    void changeAtReset();
    /// The host has slept, or another program has reset it: drivers of the host have it, wherever it was.
    void resetByTheHost();
    /// The host has none for this interface.
    void losesDriver(unsigned interface);

    /// What the kernel was asked for, but for URBs: "set-interface 0 1", "clear-halt 81", "reset", "detach 0" …
    std::vector<std::string> calls() const;
    bool hasDriver() const;             ///< interface 0
    std::set<unsigned> drivers() const; ///< the interfaces that have one
    std::size_t waiting() const;        ///< URBs
    vmm::Bytes kept() const;

private:
    struct Private;
    std::unique_ptr<Private> m_private;
};

}
