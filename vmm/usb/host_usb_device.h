#pragma once

#include "vmm/base/event_loop.h"
#include "vmm/usb/usb_return.h"
#include "vmm/usb/visiting_usb_device.h"

#include <deque>
#include <list>
#include <map>
#include <optional>

struct libusb_config_descriptor;
struct libusb_transfer;

namespace vmm {

/// What a saved state tells of a real device that the guest had: of one of the host's its port and the beginning of its
/// serial number, of another computer's neither.
struct HostUsbTrace {
    std::uint16_t vendor = 0, product = 0;
    std::string port, serial;
    bool operator==(HostUsbTrace const&) const = default;

    static HostUsbTrace of(HostUsbInfo const& device);
    /// Whether it is the same device: by its serial number, or without one by its port. None is, of another computer's.
    bool fits(HostUsbInfo const& device) const;
    bool isRedirected() const { return port.empty(); }
    /// Of UsbDevice::identity(); nothing where we made the device.
    static std::optional<HostUsbTrace> in(std::string_view identity);
};

/// A USB device of the host's that a guest has: each transfer of the guest's is one of libusb's. It is opened, taken
/// from the drivers of the host, and given back to them in the end.
///
/// What must not go to the device as it is, because the host's kernel has to know of it, is done by the calls that are
/// there for it (libusb's documentation, "Device handling and enumeration"): SET_CONFIGURATION, SET_INTERFACE,
/// CLEAR_FEATURE(ENDPOINT_HALT), and the reset of the port. These wait for the device, so a thread of the device's own
/// makes them, and what the guest submits meanwhile waits its turn. SET_ADDRESS never goes there at all.
///
/// Left out: control transfers of more than 4 KiB, which usbfs does not have (they stall); waking the guest by the
/// device (the host's own hub sees that).
class HostUsbDevice final : public VisitingUsbDevice {
public:
    /// For people who read a saved state; nothing of it comes back, since what a real device has in it is not ours to
    /// save.
    struct State {
        static constexpr std::string_view kind = "usb-host-device";
        static constexpr unsigned version = 1;
        std::uint16_t vendor = 0, product = 0;
        std::string serial, port;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("vendor", s.vendor);
            v.field("product", s.product);
            v.field("serial", s.serial, state::Max { 256 });
            v.field("port", s.port, state::Max { 64 });
        }
    };

    /// `gone` is called once, on libusb's thread or the device's own, when the device has been plugged out, does not
    /// come back from a reset, or is a driver's of this host again; from then on every transfer fails. It must not
    /// wait.
    using Gone = std::function<void()>;
    static Result<std::unique_ptr<HostUsbDevice>> open(
        std::shared_ptr<HostUsb> usb, HostUsbInfo const& info, Gone gone);
    ~HostUsbDevice() override;
    HostUsbDevice(HostUsbDevice const&) = delete;
    HostUsbDevice& operator=(HostUsbDevice const&) = delete;

    HostUsbInfo const& info() const { return m_info; }
    bool isGone() const { return m_isGone; }

    UsbSpeed speed() const override { return m_info.speed; }
    void busReset() override;
    void submit(UsbTransfer& transfer) override;
    void cancel(UsbTransfer& transfer) override;
    unsigned isochronousLead() const override;
    bool setStreams(std::uint8_t endpoint, unsigned count) override;

    void setHost(UsbHost* host) override;
    /// Always: a machine that comes back finds it unplugged, whatever was going on.
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

private:
    /// Packets of one isochronous request.
    static constexpr std::size_t mostTogether = 8;
    static constexpr std::uint64_t mostAhead = 4096; // microframes, half a second

    std::string newIdentity() const override;

    /// One request of libusb's, with memory that is used again. A transfer that is longer than that is several in turn.
    struct Flight {
        HostUsbDevice* device = nullptr;
        libusb_transfer* request = nullptr;
        UsbTransfer* transfer = nullptr;
        std::vector<UsbTransfer*> packets {}; ///< isochronous ones instead, a packet each
        std::uint64_t done = 0;               ///< bytes of the transfer, before this request
        bool cancelled = false;
        bool cancelWaits = false; ///< until the kernel has done what else it was asked for
        bool waits = false;       ///< for that, or for memory of the kernel's, between two requests
        ByteSpan memory;
        bool isKernelMemory = false; ///< the host's controller reads and writes it, without another copy
    };
    /// What is submitted to one endpoint, or stream: in order.
    struct Pipe {
        std::deque<UsbTransfer*> waiting;
        UsbTransfer* unfinished = nullptr; ///< one of several requests, of which the last is not made yet
        std::size_t flying = 0;            ///< isochronous packets
    };
    /// What waits for the device, outside the lock: one of libusb's numbers.
    using Work = std::function<int()>;

    HostUsbDevice(std::shared_ptr<HostUsb> usb, HostUsbInfo const& info, HostUsb::Handle handle,
        std::unique_ptr<LoopThread> worker, Gone gone);
    Result<> take();
    void giveBack();

    // With the lock of the bus held.
    Pipe& pipeOf(UsbTransfer const& transfer);
    void serve(Pipe& pipe);
    void serveAll();
    bool begin(UsbTransfer& transfer);
    Work workFor(UsbTransfer const& transfer);
    void doWork(UsbTransfer* transfer, Work work);
    bool start(UsbTransfer& transfer);
    int request(Flight& flight);
    int submitToHost(libusb_transfer& request);
    void cancelAtHost(Flight& flight);
    bool goesOn(Flight& flight);
    void end(Flight& flight, UsbStatus status);
    void tryAgainSoon();
    void serveSoon();
    void forgetStreams();
    // Isochronous (host_usb_isochronous.cpp).
    void gather(Pipe& pipe);
    bool beginTogether(Pipe& pipe);
    int requestTogether(Flight& flight, std::deque<UsbTransfer*> const& waiting, std::size_t count, std::size_t size);
    void landedTogether(Flight& flight);
    Flight* obtainFlight(std::size_t size);
    void rest(Flight& flight);
    void freeMemory(Flight& flight);

    void landed(Flight& flight);
    void noteGone(std::string_view why);
    void lookSoonWhoHasIt();
    void lookNowAndThen(); // on the worker

    // On the worker, without the lock.
    int setConfiguration(int value);
    int setInterface(int number, int setting);
    int claimInterfaces();
    void notePacketSizes(libusb_config_descriptor const& configuration);
    void releaseInterfaces();
    bool isTaken() const;
    int applyStreams();
    int resetPort();

    std::shared_ptr<HostUsb> m_usb;
    HostUsbInfo m_info;
    Gone m_gone;
    std::atomic<bool> m_isGone = false;
    HostUsb::Handle m_handle;

    std::list<Flight> m_flights;
    std::vector<Flight*> m_idle;
    std::map<std::uint32_t, Pipe> m_pipes;                 // by endpoint and stream
    std::atomic<unsigned> m_works = 0;                     // under way
    std::map<UsbTransfer const*, std::uint64_t> m_working; // what waits for which of them
    std::uint64_t m_lastWork = 0;
    std::atomic<bool> m_triesAgain = false, m_servesSoon = false, m_streamsChange = false, m_resetWaits = false,
                      m_looksSoon = false;
    bool m_lands = false; // isochronous packets, and what is submitted for them comes together
    unsigned m_ahead = 0; // of the guest's clock, in microframes
    std::array<std::atomic<std::uint32_t>, 32> m_wantedStreams {}; // by endpoint, as indexOf() counts them
    std::atomic<std::uint32_t> m_mayStream = 0;                    // a bit for each endpoint that can
    std::array<std::atomic<std::uint16_t>, 32> m_packetSizes {};   // the kernel would have to be asked
    bool m_isFresh = false; // nothing was changed since it was reset: one more reset would only take time
    bool m_wasPlugged = false;

    // Of the worker alone.
    int m_configuration = 0; // that it had before
    std::array<std::uint32_t, 32> m_streams {};
    bool m_streamsFailed = false;
    std::vector<int> m_claimed;
    std::vector<int> m_detached;         // interfaces from which a driver of the host's was taken
    std::unique_ptr<UsbReturn> m_return; // while there may be any

    std::unique_ptr<HostUsb::Listener> m_listener;
    std::unique_ptr<LoopThread> m_worker;
    EventLoop::Handle m_nextLook;
};

}
