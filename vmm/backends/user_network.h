#pragma once

#include "vmm/backends/ip_reassembly.h"
#include "vmm/backends/network.h"
#include "vmm/backends/tcp_flows.h"
#include "vmm/bus/device.h"
#include "vmm/bus/guest_time.h"
#include "vmm/config/vm_config.h"

#include <deque>
#include <map>

struct Slirp;

namespace vmm {

/// A network of the guest's own behind the host's sockets (libslirp): 10.0.2.0/24 and fec0::/64 with the gateway at .2,
/// a DNS forwarder at .3, and DHCP from .15 on. Needs no rights on the host.
///
/// As a Device it has its own section of state, beside the card's: DHCP leases go on. Connections cannot, for their
/// other ends know nothing of a restore: each is provoked to end in a reset, at once and not by a timeout; new ones
/// work.
///
/// Threads: everything of libslirp's on a thread of its own, so that neither vCPUs nor disks wait for it; the member
/// functions hand their work over to it. Its timers stand still while the machine is paused.
class UserNetwork final : public Device, public NetworkBackend {
public:
    struct State {
        static constexpr std::string_view kind = "user-network";
        static constexpr unsigned version = 1;
        std::uint32_t slirpVersion = 0; ///< of the format of `slirp`
        Bytes slirp;                    ///< as libslirp wrote it: DHCP leases
        MacAddress guestMac {};
        std::vector<TcpFlow> connections;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("slirpVersion", s.slirpVersion);
            v.field("slirp", s.slirp, state::Max { 65536 });
            v.field("guestMac", s.guestMac);
            v.field("connections", s.connections, state::Max { TcpFlows::maximum });
        }
    };

    static Result<std::unique_ptr<UserNetwork>> create(GuestTime const& time);
    ~UserNetwork() override;

    /// Busy where somebody else listens on the host's port, PermissionDenied below 1024, InvalidArgument for what is no
    /// address.
    Result<> addForward(PortForward const& forward);
    /// NotFound where there is none.
    Result<> removeForward(PortForward const& forward);
    /// All of them anew; as before where one cannot be had. Those in both go on without a break.
    Result<> setForwards(std::vector<PortForward> const& forwards);

    // Device
    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void pause() override;
    void resume() override;

    // NetworkBackend
    EventLoop& loop() override { return m_thread->loop(); }
    void setReceiver(FrameReceiver* receiver) override { m_receiver = receiver; }
    void send(ConstByteSpan frame) override;
    void receiverReady() override;
    bool linkUp() const override { return true; }
    bool takesLargeSegments() const override { return true; }

private:
    struct Callbacks;
    struct SlirpTimer;
    struct Watch {
        EventLoop::Handle handle;
        int events = 0; // that are watched for, as poll(2) has them
        int ready = 0;  // that have come up since slirp was last told
        bool wanted = false;
    };
    struct Polled {
        int fd, ready;
    };

    UserNetwork(GuestTime const& time, std::unique_ptr<LoopThread> thread);
    Result<> open();
    void close();
    Result<> startForward(PortForward const& forward);
    void fromSlirp(ConstByteSpan frame);
    bool deliverBacklog();
    void turn();
    void watchSockets();
    int wantPoll(int fd, int events);
    void forget(int fd);
    void probeConnections();
    Bytes saveSlirp() const;

    GuestTime const& m_time;
    std::unique_ptr<LoopThread> m_thread;

    // On the thread.
    Slirp* m_slirp = nullptr;
    FrameReceiver* m_receiver = nullptr;
    bool m_paused = false, m_work = true;
    std::deque<Bytes> m_backlog; // frames that the card had no room for
    std::map<int, Watch> m_watches;
    std::vector<Polled> m_polled; // in the order in which slirp asked
    EventLoop::Handle m_beforeSleep, m_timeout, m_probe;
    Nanoseconds m_timeoutAt { 0 };
    std::vector<std::unique_ptr<SlirpTimer>> m_timers;
    std::vector<PortForward> m_forwards;
    TcpFlows m_flows;
    IpReassembly m_reassembly;  // of what the guest sends
    std::vector<TcpFlow> m_cut; // connections of before the restore that the guest still believes in
    unsigned m_probesLeft = 0;
};

}
