#pragma once

#include "vmm/bus/device.h"
#include "vmm/bus/guest_time.h"
#include "vmm/state/options.h"

#include <array>
#include <functional>
#include <span>
#include <string_view>
#include <sys/uio.h>

/// What a USB host controller and a USB device say to each other (Universal Serial Bus Specification, Rev. 2.0, 5.3
/// "USB Communication Flow"; Universal Serial Bus 3.0 Specification, 4.4 "SuperSpeed Transactions"). No frames, tokens
/// or toggles: a transfer is the unit, as in usbfs, libusb and usbredir.
namespace vmm {

class UsbDevice;

enum class UsbSpeed : std::uint8_t { Low, Full, High, Super };
constexpr auto stateNames(UsbSpeed)
{
    return std::to_array<std::string_view>({ "low", "full", "high", "super" });
}

enum class UsbStatus : std::uint8_t {
    Success,
    Stall,            ///< The endpoint is halted; a control endpoint only for this request.
    Babble,           ///< The device sends more than it was asked for.
    TransactionError, ///< The device does not answer, or is gone.
    Cancelled,        ///< Because of cancel(); `transferred` bytes of it are done.
};

/// One transfer. Its owner keeps it, and the memory of `buffers`, until it is completed.
struct UsbTransfer {
    enum class Kind : std::uint8_t { Control, Bulk, Interrupt, Isochronous };

    Kind kind = Kind::Control;
    std::uint8_t endpoint = 0; ///< its address, 0x80 for IN; of a control transfer 0, or 0x80 if data come IN
    std::uint16_t stream = 0;  ///< 0: none
    std::array<std::uint8_t, 8> setup {}; ///< of a control transfer
    std::span<iovec const> buffers;       ///< the guest's own memory
    std::uint64_t length = 0;             ///< bytes in all buffers
    std::uint64_t frame = 0; ///< isochronous: the microframe that it is for, as UsbHost::microframe() counts

    UsbStatus status = UsbStatus::Success; ///< once completed
    std::uint64_t transferred = 0;         ///< bytes, once completed
    void* deviceData = nullptr;            ///< for the device that has it

    bool isIn() const { return (endpoint & 0x80) != 0; }
    std::uint16_t value() const { return loadLittle<std::uint16_t>(ConstByteSpan(setup).subspan(2, 2)); }
    std::uint16_t index() const { return loadLittle<std::uint16_t>(ConstByteSpan(setup).subspan(4, 2)); }

    /// Copies between `data` and the buffers from `offset` on; how many bytes there was room for.
    std::size_t copyIn(ConstByteSpan data, std::uint64_t offset = 0) const;
    std::size_t copyOut(ByteSpan data, std::uint64_t offset = 0) const;
};

/// A host controller, as the devices on it see it. All of a bus is under one lock.
class UsbHost {
public:
    virtual ~UsbHost() = default;
    virtual std::mutex& usbMutex() const = 0;
    virtual GuestTime& time() = 0;
    /// Of the guest's clock, 125 us each; 64 bits that do not wrap.
    virtual std::uint64_t microframe() const = 0;

    // With the lock held.

    /// A transfer is at its end, with `status` and `transferred` set. Also from within submit() and cancel().
    virtual void completed(UsbTransfer& transfer) = 0;
    /// The device asks to be woken up from suspend.
    virtual void wake(UsbDevice& device) = 0;
    /// A hub has lost this device (and what hangs on it): transfers to it end.
    virtual void removed(UsbDevice& device) = 0;

    /// Without the lock, where a hub lets go of a device: no transfer reaches it any more, and when none is in flight,
    /// `then` is called with the lock held.
    virtual void drain(UsbDevice& device, std::function<void()> const& then) = 0;
};

/// What hangs on a port: an emulated device, a real one of the host's, one at the other end of a network.
///
/// Threads: its state is under host().usbMutex(), and all of UsbDevice's own functions are called with that held. Long
/// work is done elsewhere (a disk's loop, libusb's thread), which takes the lock to complete a transfer. As a Device
/// (reset(): power; save(), load()) it is called on the machine's thread while the machine stands still and nothing is
/// in flight.
class UsbDevice : public Device {
public:
    virtual UsbSpeed speed() const = 0;
    /// Tells the device of a saved state from another: a port whose device differs is unplugged by a restore. Real
    /// devices answer differently each time that they are plugged in, for what they have in them is not saved.
    virtual std::string_view identity() const = 0;

    /// The port's reset: unconfigured, address 0. What was in flight is cancelled, and may still have to land.
    virtual void busReset() = 0;
    /// Takes a transfer, and calls host().completed() once for it, now or later: an interrupt endpoint keeps it until
    /// there is something to say. In order on an endpoint (or stream).
    virtual void submit(UsbTransfer& transfer) = 0;
    /// Completes it soon: as it ends by itself, or Cancelled. The last submitted one is cancelled first. Cancelled with
    /// bytes transferred goes on later from there, so a device never has to undo anything.
    virtual void cancel(UsbTransfer& transfer) = 0;

    /// How many microframes before its time an isochronous transfer is wanted.
    virtual unsigned isochronousLead() const { return 0; }
    /// The endpoint begins anew (data toggle, sequence number).
    virtual void resetEndpoint(std::uint8_t endpoint) { (void)endpoint; }
    /// Streams 1 to `count` of an endpoint come into use; 0: none any more. False: not with this device.
    virtual bool setStreams(std::uint8_t endpoint, unsigned count) { return (void)endpoint, count == 0; }
    virtual void setSuspended(bool suspended) { (void)suspended; }
    /// Whether it is no part of the machine: then no saved state has it, and that it was there is known by its identity
    /// alone.
    virtual bool isVisitor() const { return false; }
    /// Adds the identities of such ones that hang on it, at whatever depth.
    virtual void addVisitors(std::vector<std::string>& identities) const { (void)identities; }
    /// What hangs on a hub's port (from 1 on).
    virtual UsbDevice* child(unsigned port) { return (void)port, nullptr; }

    /// Set by whoever has the port; null: unplugged, with nothing in flight.
    virtual void setHost(UsbHost* host) { m_host = host; }
    bool isPlugged() const { return m_host != nullptr; }
    UsbHost& host() const { return *m_host; }

protected:
    /// Ends a transfer; the device does not use it any more.
    void complete(UsbTransfer& transfer, UsbStatus status, std::uint64_t transferred = 0) const;

private:
    UsbHost* m_host = nullptr;
};

}
