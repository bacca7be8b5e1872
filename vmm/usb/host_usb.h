#pragma once

#include "vmm/base/result.h"
#include "vmm/usb/usb_device.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

struct libusb_context;
struct libusb_device;
struct libusb_device_handle;

namespace vmm {

/// A USB device that is plugged into this host, as anybody may know of it.
struct HostUsbInfo {
    std::uint8_t bus = 0, address = 0; ///< of its node in /dev/bus/usb; another one each time that it is plugged in
    std::string port;                  ///< where it is plugged in, as the kernel names it: "1-2.3"
    std::uint16_t vendor = 0, product = 0;
    std::string manufacturer, name, serial; ///< what the device says of itself; empty: nothing
    UsbSpeed speed = UsbSpeed::Full;
    std::uint8_t deviceClass = 0;               ///< 0: its interfaces have their own
    std::vector<std::uint8_t> interfaceClasses; ///< of the active configuration, each once
    /// The device nodes that the kernel's drivers have made of it ("/dev/sda", "/dev/ttyUSB0"), as far as sysfs tells.
    std::vector<std::string> nodes;
    bool operator==(HostUsbInfo const&) const = default;

    /// "/dev/bus/usb/001/004"
    std::string node() const;
    bool isHub() const;
};

/// The host's USB, through libusb, with a thread that takes its events. Any thread; whoever has a device of it keeps
/// it.
class HostUsb {
public:
    static Result<std::shared_ptr<HostUsb>> open();
    ~HostUsb();
    HostUsb(HostUsb const&) = delete;
    HostUsb& operator=(HostUsb const&) = delete;

    /// What is plugged in, hubs left out, in the order of their ports. What a device says of itself is asked for once:
    /// while the kernel resets one, or waits for it, whoever reads that waits too.
    std::vector<HostUsbInfo> devices() const;

    /// Whether the device that `info` tells of has been there ever since.
    bool isThere(HostUsbInfo const& info) const;

    /// Returns when what was under way on the thread of the events has ended. Not from there.
    void settle();

    /// Called on the thread of the events each time that something was plugged in or out. It may ask for devices(), and
    /// must not wait.
    using Changed = std::function<void()>;
    class Listener {
    public:
        virtual ~Listener() = default;
    };
    /// It is called until what is returned is gone.
    [[nodiscard]] std::unique_ptr<Listener> listen(Changed changed);

    struct HandleCloser {
        void operator()(libusb_device_handle* handle) const;
    };
    using Handle = std::unique_ptr<libusb_device_handle, HandleCloser>;
    /// The device that is where `info` says. NotFound: it is gone, or another one is there. PermissionDenied, with what
    /// can be done about it.
    Result<Handle> openDevice(HostUsbInfo const& info) const;

private:
    class Registration;
    explicit HostUsb(libusb_context* context);
    void takeEvents();
    void changed();

    libusb_context* m_context;
    int m_callback = 0;
    std::mutex m_mutex;
    std::condition_variable m_turned;
    std::uint64_t m_turns = 0; // of the thread
    std::vector<Registration*> m_listeners;
    mutable std::mutex m_knownMutex;
    struct Known {
        std::shared_ptr<libusb_device> device; // kept, so that no other one can be taken for it
        HostUsbInfo info;
    };
    mutable std::vector<Known> m_known; // hubs too
    std::atomic<int> m_stop = 0;
    std::thread m_thread;
};

/// What a device says of itself, as it may be shown, printed and saved: at most so many bytes of UTF-8, with "?" for
/// what is none and for control characters.
std::string plainUsbText(std::string_view text, std::size_t most);

/// libusb's words for one of its error numbers, as an error of ours.
Error hostUsbError(std::string what, int libusbCode);

}
