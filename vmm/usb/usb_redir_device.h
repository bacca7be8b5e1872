#pragma once

#include "vmm/base/event_loop.h"
#include "vmm/usb/visiting_usb_device.h"

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>

struct usbredirparser;

namespace vmm {

/// What the other side of a redirection says of its device.
struct UsbRedirInfo {
    std::uint16_t vendor = 0, product = 0;
    UsbSpeed speed = UsbSpeed::Full;
    std::uint8_t deviceClass = 0; ///< 0: its interfaces have their own
    std::string program;          ///< who passes it on, as it calls itself
    bool operator==(UsbRedirInfo const&) const = default;
};

/// A USB device of another computer, over a connection that speaks the USB network redirection protocol, version 0.7
/// (usb-redirection-protocol.md of usbredir; libusbredirparser knows its packets). We are its usb-guest, who has the
/// device is its usb-host.
///
/// the guest's transfer        | packets
/// --------------------------- | -----------------------------------------------------------------------------
/// control, bulk               | one there, and one back with the same id; long ones in parts, one by one
/// interrupt OUT               | the same
/// interrupt IN                | the other side asks the device while we have it receive, and sends what comes
/// isochronous IN              | the same
/// isochronous OUT             | only there, where some milliseconds are kept in hand
/// SET_CONFIGURATION, GET_ …   | packets of their own, since the other side must know of it; as SET_INTERFACE
///
/// Nothing that the other side does or leaves undone holds up the machine or takes more than a bounded amount of
/// memory. Whoever breaks the rules (the order and the form of packets; ids, endpoints, lengths that nobody has asked
/// for) is named, and the device is gone; likewise who does not answer a cancellation, does not read, or ends in the
/// middle of a packet, for a while.
///
/// A transfer that is cancelled ends when the other side says how: what had come meanwhile is not lost. So a moment
/// waits as long as a packet goes there and back, once. Bytes of a transfer that the device has moved, and the other
/// side says nothing of when it is cancelled, are; the protocol has no word for them.
///
/// Left out: buffered bulk input, for which the other side would have to be told which devices want it; waking the
/// guest by the device, which the protocol does not have; another device over the same connection, after the first is
/// unplugged there.
///
/// Threads: the connection belongs to the loop, everything else is under the lock of the bus, or while the device is
/// unplugged, of alone().
class UsbRedirDevice final : public VisitingUsbDevice {
public:
    /// For people who read a saved state; nothing of it comes back.
    struct State {
        static constexpr std::string_view kind = "usb-redirected-device";
        static constexpr unsigned version = 1;
        std::uint16_t vendor = 0, product = 0;
        std::string peer;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("vendor", s.vendor);
            v.field("product", s.product);
            v.field("peer", s.peer, state::Max { 256 });
        }
    };

    /// Called on the loop's thread, without locks.
    struct Events {
        /// The other side has a device, which info() tells of: it may be plugged in.
        std::function<void()> offered;
        /// Once: there is none, or none any more, and why. From then on every transfer fails.
        std::function<void(Error const&)> gone;
    };
    /// `peer`: what the other end is called, for people. What happens to the connection happens on the loop, which
    /// outlives the device.
    UsbRedirDevice(EventLoop& loop, UniqueFd connection, std::string peer, Events events);
    /// Not with the lock of the bus held. Events have ended when it returns.
    ~UsbRedirDevice() override;
    UsbRedirDevice(UsbRedirDevice const&) = delete;
    UsbRedirDevice& operator=(UsbRedirDevice const&) = delete;

    std::string const& peer() const { return m_peer; }
    /// Once it was offered.
    UsbRedirInfo const& info() const { return m_info; }
    bool isGone() const { return m_isGone; }
    /// Tells the other side that its device is not wanted here, and ends. On the loop's thread; no event follows.
    void refuse();

    UsbSpeed speed() const override { return m_info.speed; }
    void busReset() override;
    void submit(UsbTransfer& transfer) override;
    void cancel(UsbTransfer& transfer) override;
    /// As with a device of the host's: what comes, and not the guest's clock, is what its transfers follow.
    unsigned isochronousLead() const override { return usualLead + m_lead; }
    void resetEndpoint(std::uint8_t endpoint) override;
    bool setStreams(std::uint8_t endpoint, unsigned count) override;
    void setHost(UsbHost* host) override;
    /// Always: a machine that comes back finds it unplugged, whatever was going on.
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

private:
    std::string newIdentity() const override;

    /// What is asked of the other side, and waits for its answer.
    enum class Asked : std::uint8_t { Control, Bulk, Interrupt, SetConfiguration, Configuration, SetSetting, Setting };
    struct Flight {
        std::uint64_t id = 0;
        Asked what = Asked::Control;
        std::uint8_t endpoint = 0; ///< or the interface
        std::uint16_t stream = 0;
        UsbTransfer* transfer = nullptr; ///< null: for us alone
        std::uint64_t done = 0;          ///< bytes of the transfer, before this part
        std::uint32_t part = 0;          ///< bytes of this part
        std::uint64_t cancelled = 0;     ///< which cancellation it was, since when its answer is due; 0: none
    };
    struct Partial {
        UsbTransfer* transfer = nullptr;
        std::uint64_t done = 0; ///< bytes of it
    };
    /// What is submitted to one endpoint, or stream: in order.
    struct Pipe {
        std::deque<Partial> waiting {};    ///< for room on the way there
        UsbTransfer* unfinished = nullptr; ///< of several parts, of which the last is not on its way yet
    };
    struct Packet {
        UsbStatus status = UsbStatus::Success;
        Bytes data;
    };
    /// Whether the other side sends by itself, or takes isochronous data.
    enum class Stream : std::uint8_t {
        Off,
        On,
        Held, ///< It was told to stop, and what is still on its way is wanted.
    };
    struct Endpoint {
        std::uint8_t type = 0xff; ///< as usb_redir_ep_info has it
        unsigned interval = 1;    ///< of an isochronous one, in frames or microframes
        std::uint8_t interface = 0;
        unsigned maxPacket = 0; ///< 0: the other side does not tell
        unsigned maxStreams = 0, streams = 0;
        Stream stream = Stream::Off;
        UsbStatus error = UsbStatus::Success; ///< to be told with the next transfer
        std::deque<Packet> packets {};        ///< that nobody has asked for yet
        std::size_t bytes = 0;                ///< in them
        std::size_t mostPackets = 0;
        std::deque<Partial> readers {};             ///< that wait for some
        std::uint64_t ended = 0, endedWhenFull = 0; ///< readers
    };
    struct Buffer {
        std::uint8_t* data;
        std::size_t size;
    };
    /// The data of a packet, which the parser hands over.
    class Data;
    /// What the parser calls.
    struct Calls;

    // The connection, on the loop (usb_redir_device.cpp).
    void open();
    void read();
    void take(ConstByteSpan data);
    void flush();
    void look();
    void watch(std::uint32_t events);
    void watchInput();
    void watchOutput();
    void watchAnswers();
    void watchReaders();
    void end(Error const& why);
    void close();
    int give(std::uint8_t* data, int count);
    int queue(std::uint8_t* data, int count);

    // With the lock, from here on.
    void send();
    void wake();
    bool peerHas(int capability) const;
    void endTransfers();

    // What the guest asks for (usb_redir_transfers.cpp).
    Pipe& pipeOf(UsbTransfer const& transfer);
    void serve(Pipe& pipe);
    void serveAll();
    void begin(UsbTransfer& transfer, std::uint64_t done);
    void control(UsbTransfer& transfer);
    bool configure(UsbTransfer& transfer);
    Flight& ask(Asked what, std::uint8_t endpoint, UsbTransfer* transfer);
    void sendPart(Flight& flight);
    std::uint32_t mostOfPart(UsbTransfer const& transfer) const;
    void stream(UsbTransfer& transfer);
    void sendIsochronous(UsbTransfer& transfer, Endpoint& endpoint);
    void deliver(unsigned index);
    void fill(Endpoint& endpoint);
    void endReader(Endpoint& endpoint, UsbStatus status);
    void start(unsigned index);
    void hold(unsigned index);
    void stop(unsigned index);
    void stopAll();
    void deliverAll();

    // What the other side says (usb_redir_packets.cpp).
    void lie(std::string what);
    bool mayTake();
    std::optional<Flight> answerTo(std::uint64_t id, Asked what, std::uint8_t endpoint, std::uint32_t stream = 0);
    void dataAnswer(std::uint64_t id, Asked what, std::uint8_t endpoint, std::uint32_t stream, std::uint8_t status,
        std::uint32_t length, Data const& data);
    void statusAnswer(Flight const& flight, std::uint8_t status, std::uint8_t value);
    void landed(Flight const& flight, UsbStatus status, std::uint64_t count);
    void packetCame(std::uint8_t address, std::uint8_t type, std::uint8_t status, Data const& data);
    void streamStatus(std::uint8_t address, std::uint8_t type, std::uint8_t status);

    EventLoop& m_loop;
    std::string const m_peer;
    Events m_events;
    usbredirparser* m_parser = nullptr;
    std::atomic<bool> m_isGone = false, m_wakes = false;

    // Under the lock.
    bool m_saidHello = false, m_isOffered = false;
    UsbRedirInfo m_info;
    std::array<Endpoint, 32> m_endpoints {};         // by usb::indexOf()
    std::map<std::uint8_t, std::uint8_t> m_settings; // of interfaces that are not in their first
    std::map<std::uint64_t, Flight> m_flights;       // by id
    std::map<std::uint32_t, Pipe> m_pipes;           // by endpoint and stream
    std::uint64_t m_lastId = 0, m_cancels = 0;
    unsigned m_lead = 0; // more than usual, in microframes
    bool m_watchesReaders = false;
    std::optional<Error> m_ending; // why this is at its end, once what has come is looked at
    ConstByteSpan m_rest;          // of what has come, for the parser
    bool m_takes = false;          // it is at that
    std::size_t m_begun = 0;       // bytes of a packet that is not whole yet
    std::deque<Buffer> m_queue;    // on its way to the loop
    std::size_t m_unsent = 0;      // bytes, there and in m_sending

    // Of the loop's thread alone.
    UniqueFd m_connection;
    EventLoop::Handle m_watch;
    std::uint32_t m_watched = 0;
    bool m_hasTold = false; // that it is offered
    std::deque<Buffer> m_sending;
    std::size_t m_sent = 0; // of the first of them
    Bytes m_input;
    std::uint64_t m_bytesIn = 0, m_bytesOut = 0;
    EventLoop::Handle m_offerTimer, m_inputTimer, m_outputTimer, m_answerTimer, m_readersTimer;
    std::shared_ptr<int> m_self = std::make_shared<int>(); // what was posted to the loop may come after us
};

}
