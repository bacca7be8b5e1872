#include "vmm/backends/user_network.h"

#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <arpa/inet.h>
#include <fmt/format.h>
#include <slirp/libslirp.h>
#include <sys/epoll.h>
#include <sys/random.h>

namespace vmm {

namespace {

constexpr std::size_t maximumBacklog = 1024; // frames; more are lost, as by any switch
constexpr unsigned probes = 5;
constexpr Nanoseconds probeInterval = std::chrono::seconds(1);

in_addr ipv4(std::uint32_t address)
{
    return { .s_addr = htonl(address) };
}

in6_addr ipv6(char const* text)
{
    in6_addr address {};
    ::inet_pton(AF_INET6, text, &address);
    return address;
}

std::string describeForward(PortForward const& forward)
{
    return fmt::format("{} {}:{}", stateNames(forward.protocol)[static_cast<std::size_t>(forward.protocol)],
        forward.hostAddress, forward.hostPort);
}

Result<in_addr> hostAddress(PortForward const& forward)
{
    in_addr address {};
    auto const text = forward.hostAddress.empty() ? std::string("0.0.0.0") : forward.hostAddress;
    if (::inet_pton(AF_INET, text.c_str(), &address) != 1)
        return fail(ErrorCode::InvalidArgument, fmt::format("\"{}\" is no IPv4 address", forward.hostAddress));
    return address;
}

}

struct UserNetwork::SlirpTimer {
    SlirpTimerCb due;
    void* context;
    EventLoop::Handle handle;
    std::optional<Nanoseconds> deadline; // guest time
};

/// What libslirp calls; all of it on the thread, from within one of our calls.
struct UserNetwork::Callbacks {
    static UserNetwork& self(void* opaque) { return *static_cast<UserNetwork*>(opaque); }

    static ssize_t sendPacket(void const* data, std::size_t length, void* opaque)
    {
        self(opaque).fromSlirp({ static_cast<std::uint8_t const*>(data), length });
        return static_cast<ssize_t>(length);
    }
    static void guestError(char const* message, void*) { trace("network", "{}", message); }
    static std::int64_t clock(void* opaque) { return self(opaque).m_time.now().count(); }
    static void* newTimer(SlirpTimerCb due, void* context, void* opaque)
    {
        auto& timers = self(opaque).m_timers;
        return timers.emplace_back(std::make_unique<SlirpTimer>(SlirpTimer { due, context, nullptr, {} })).get();
    }
    static void freeTimer(void* timer, void* opaque)
    {
        std::erase_if(self(opaque).m_timers, [&](auto const& each) { return each.get() == timer; });
    }
    static void moveTimer(void* timer, std::int64_t milliseconds, void* opaque)
    {
        static_cast<SlirpTimer*>(timer)->deadline = std::chrono::milliseconds(milliseconds);
        armTimer(self(opaque), *static_cast<SlirpTimer*>(timer));
    }
    static void armTimer(UserNetwork& network, SlirpTimer& timer)
    {
        timer.handle.reset();
        if (!timer.deadline || network.m_paused)
            return;
        auto const in = std::max(*timer.deadline - network.m_time.now(), Nanoseconds(0));
        timer.handle = network.loop().at(EventLoop::now() + in, [&timer] {
            timer.deadline.reset();
            timer.due(timer.context);
        });
    }
    static void registerFd(int fd, void* opaque) { self(opaque).forget(fd); }
    static void unregisterFd(int fd, void* opaque) { self(opaque).forget(fd); }
    static void notify(void* opaque) { self(opaque).m_work = true; }

    static constexpr SlirpCb table {
        .send_packet = sendPacket,
        .guest_error = guestError,
        .clock_get_ns = clock,
        .timer_new = newTimer,
        .timer_free = freeTimer,
        .timer_mod = moveTimer,
        .register_poll_fd = registerFd,
        .unregister_poll_fd = unregisterFd,
        .notify = notify,
        .init_completed = nullptr,
        .timer_new_opaque = nullptr,
    };
};

Result<std::unique_ptr<UserNetwork>> UserNetwork::create(GuestTime const& time)
{
    auto thread = TRY(LoopThread::start("network"));
    std::unique_ptr<UserNetwork> network(new UserNetwork(time, std::move(thread)));
    Result<> opened;
    network->loop().call([&] { opened = network->open(); });
    TRY(opened);
    return network;
}

UserNetwork::UserNetwork(GuestTime const& time, std::unique_ptr<LoopThread> thread)
    : m_time(time), m_thread(std::move(thread))
{
    loop().call([this] {
        m_beforeSleep = loop().beforeSleep([this] {
            turn();
            return false;
        });
    });
}

UserNetwork::~UserNetwork()
{
    loop().call([this] {
        m_beforeSleep.reset();
        m_timeout.reset();
        m_probe.reset();
        close();
    });
}

Result<> UserNetwork::open()
{
    SlirpConfig config {};
    config.version = 3;
    config.in_enabled = true;
    config.vnetwork = ipv4(0x0a000200);
    config.vnetmask = ipv4(0xffffff00);
    config.vhost = ipv4(0x0a000202);
    config.vnameserver = ipv4(0x0a000203);
    config.vdhcp_start = ipv4(0x0a00020f);
    config.in6_enabled = true;
    config.vprefix_addr6 = ipv6("fec0::");
    config.vprefix_len = 64;
    config.vhost6 = ipv6("fec0::2");
    config.vnameserver6 = ipv6("fec0::3");
    m_slirp = slirp_new(&config, &Callbacks::table, this);
    if (!m_slirp)
        return fail(ErrorCode::Internal, "libslirp refuses its configuration");
    m_work = true;
    return {};
}

void UserNetwork::close()
{
    m_watches.clear();
    m_polled.clear();
    if (m_slirp)
        slirp_cleanup(std::exchange(m_slirp, nullptr));
    m_watches.clear();
    m_backlog.clear();
    m_flows.clear();
    m_reassembly.clear();
    m_cut.clear();
    m_probesLeft = 0;
}

// Forwards

Result<> UserNetwork::startForward(PortForward const& forward)
{
    auto const address = TRY(hostAddress(forward));
    // No guest address: the first that DHCP gives away.
    if (slirp_add_hostfwd(m_slirp, forward.protocol == Protocol::Udp, address, forward.hostPort, {}, forward.guestPort)
        != 0) {
        auto error = osError(fmt::format("cannot forward {}", describeForward(forward)));
        if (error.osError == EADDRINUSE)
            error.code = ErrorCode::Busy;
        return fail(std::move(error));
    }
    m_work = true;
    return {};
}

Result<> UserNetwork::addForward(PortForward const& forward)
{
    Result<> outcome;
    loop().call([&] {
        outcome = startForward(forward);
        if (outcome)
            m_forwards.push_back(forward);
    });
    return outcome;
}

Result<> UserNetwork::removeForward(PortForward const& forward)
{
    Result<> outcome;
    loop().call([&] {
        auto const address = hostAddress(forward);
        auto const known = std::find(m_forwards.begin(), m_forwards.end(), forward);
        if (!address || known == m_forwards.end()
            || slirp_remove_hostfwd(m_slirp, forward.protocol == Protocol::Udp, *address, forward.hostPort) != 0) {
            outcome = fail(ErrorCode::NotFound, fmt::format("{} is not forwarded", describeForward(forward)));
            return;
        }
        m_forwards.erase(known);
        m_work = true;
    });
    return outcome;
}

Result<> UserNetwork::setForwards(std::vector<PortForward> const& forwards)
{
    std::vector<PortForward> before;
    loop().call([&] { before = m_forwards; });
    auto const change = [this](std::vector<PortForward> const& from, std::vector<PortForward> const& to) -> Result<> {
        auto const has = [](auto const& list, PortForward const& one) {
            return std::find(list.begin(), list.end(), one) != list.end();
        };
        // First what goes: the same port of the host may lead elsewhere from now on.
        for (auto const& forward : from) {
            if (!has(to, forward))
                TRY(removeForward(forward));
        }
        for (auto const& forward : to) {
            if (!has(from, forward))
                TRY(addForward(forward));
        }
        return {};
    };
    auto const changed = change(before, forwards);
    if (!changed) {
        std::vector<PortForward> reached;
        loop().call([&] { reached = m_forwards; });
        ignore(change(reached, before));
    }
    return changed;
}

// Frames

void UserNetwork::send(ConstByteSpan frame)
{
    if (m_paused || !m_slirp)
        return;
    auto const whole = m_reassembly.take(frame, EventLoop::now());
    if (!whole)
        return;
    m_flows.fromGuest(*whole);
    slirp_input(m_slirp, whole->data(), static_cast<int>(whole->size()));
    m_work = true;
}

void UserNetwork::fromSlirp(ConstByteSpan frame)
{
    m_flows.toGuest(frame);
    if (!m_receiver)
        return;
    if (m_backlog.empty() && !m_paused && m_receiver->receive(frame))
        return;
    if (m_backlog.size() < maximumBacklog)
        m_backlog.emplace_back(frame.begin(), frame.end());
}

bool UserNetwork::deliverBacklog()
{
    while (!m_backlog.empty()) {
        if (m_receiver && !m_receiver->receive(m_backlog.front()))
            return false;
        m_backlog.pop_front();
    }
    return true;
}

void UserNetwork::receiverReady()
{
    if (!m_backlog.empty() && deliverBacklog())
        m_work = true;
}

// Sockets

/// Before the loop sleeps: tells slirp what has come up, and asks what to wait for next. While the card is full nothing
/// is read from sockets, so that their senders are slowed down and nothing is lost.
void UserNetwork::turn()
{
    if (!m_work || m_paused || !m_slirp)
        return;
    if (!deliverBacklog()) {
        m_watches.clear();
        m_polled.clear();
        return;
    }
    for (auto& polled : m_polled) {
        auto const known = m_watches.find(polled.fd);
        polled.ready = known == m_watches.end() ? 0 : std::exchange(known->second.ready, 0);
    }
    slirp_pollfds_poll(
        m_slirp, 0,
        [](int index, void* opaque) {
            auto const& polled = Callbacks::self(opaque).m_polled;
            return static_cast<std::size_t>(index) < polled.size() ? polled[static_cast<std::size_t>(index)].ready : 0;
        },
        this);
    m_work = false;
    watchSockets();
}

int UserNetwork::wantPoll(int fd, int events)
{
    m_polled.push_back({ fd, 0 });
    auto& watch = m_watches[fd];
    watch.wanted = true;
    if (watch.handle && watch.events == events)
        return static_cast<int>(m_polled.size()) - 1;
    // SLIRP_POLL_IN … are not poll(2)'s bits.
    std::uint32_t mask = 0;
    mask |= (events & SLIRP_POLL_IN) != 0 ? EPOLLIN : 0u;
    mask |= (events & SLIRP_POLL_OUT) != 0 ? EPOLLOUT : 0u;
    mask |= (events & SLIRP_POLL_PRI) != 0 ? EPOLLPRI : 0u;
    watch.handle.reset();
    watch.events = events;
    watch.handle = loop().watch(fd, mask, [this, fd](std::uint32_t ready) {
        auto const known = m_watches.find(fd);
        if (known == m_watches.end())
            return;
        int bits = 0;
        bits |= (ready & EPOLLIN) != 0 ? SLIRP_POLL_IN : 0;
        bits |= (ready & EPOLLOUT) != 0 ? SLIRP_POLL_OUT : 0;
        bits |= (ready & EPOLLPRI) != 0 ? SLIRP_POLL_PRI : 0;
        bits |= (ready & EPOLLERR) != 0 ? SLIRP_POLL_ERR : 0;
        bits |= (ready & EPOLLHUP) != 0 ? SLIRP_POLL_HUP : 0;
        known->second.ready |= bits;
        m_work = true;
    });
    return static_cast<int>(m_polled.size()) - 1;
}

void UserNetwork::watchSockets()
{
    m_polled.clear();
    for (auto& [fd, watch] : m_watches)
        watch.wanted = false;
    auto milliseconds = std::numeric_limits<std::uint32_t>::max();
    slirp_pollfds_fill(
        m_slirp, &milliseconds,
        [](int fd, int events, void* opaque) { return Callbacks::self(opaque).wantPoll(fd, events); }, this);
    std::erase_if(m_watches, [](auto const& entry) { return !entry.second.wanted; });

    auto const at = milliseconds == std::numeric_limits<std::uint32_t>::max()
        ? Nanoseconds(0)
        : EventLoop::now() + std::chrono::milliseconds(milliseconds);
    // One that is armed for an earlier time will do: it comes here again.
    if (m_timeout && at != Nanoseconds(0) && m_timeoutAt <= at)
        return;
    m_timeout.reset();
    m_timeoutAt = at;
    if (at != Nanoseconds(0)) {
        m_timeout = loop().at(at, [this] {
            m_timeout.reset();
            m_work = true;
        });
    }
}

/// The descriptor is about to be closed, or a new one has taken its number.
void UserNetwork::forget(int fd)
{
    m_watches.erase(fd);
    m_work = true;
}

// Life

void UserNetwork::pause()
{
    loop().call([this] {
        m_paused = true;
        m_watches.clear();
        m_polled.clear();
        m_timeout.reset();
        m_probe.reset();
        for (auto& timer : m_timers)
            timer->handle.reset();
    });
}

void UserNetwork::resume()
{
    loop().call([this] {
        m_paused = false;
        m_work = true;
        for (auto& timer : m_timers)
            Callbacks::armTimer(*this, *timer);
        if (!m_cut.empty())
            probeConnections();
    });
}

/// The guest of a restored machine believes in connections that nobody knows any more: makes it say something on each.
void UserNetwork::probeConnections()
{
    std::erase_if(m_cut, [this](TcpFlow const& flow) { return !m_flows.contains(flow); });
    if (m_cut.empty() || m_probesLeft == 0)
        return;
    --m_probesLeft;
    for (auto const& flow : m_cut) {
        std::uint32_t sequence = 0;
        std::ignore = ::getrandom(&sequence, sizeof sequence, 0);
        fromSlirp(m_flows.probe(flow, sequence));
    }
    m_probe = loop().at(EventLoop::now() + probeInterval, [this] { probeConnections(); });
}

void UserNetwork::reset()
{
    loop().call([this] {
        close();
        m_flows.setGuestMac({});
        if (auto opened = open(); !opened) {
            log(LogLevel::Error, "network", "{}", opened.error().message());
            return;
        }
        for (auto const& forward : m_forwards) {
            if (auto started = startForward(forward); !started)
                log(LogLevel::Warning, "network", "{}", started.error().message());
        }
    });
}

Bytes UserNetwork::saveSlirp() const
{
    Bytes saved;
    slirp_state_save(
        m_slirp,
        [](void const* data, std::size_t length, void* opaque) {
            auto const* bytes = static_cast<std::uint8_t const*>(data);
            auto& into = *static_cast<Bytes*>(opaque);
            into.insert(into.end(), bytes, bytes + length);
            return static_cast<ssize_t>(length);
        },
        &saved);
    return saved;
}

Section UserNetwork::save() const
{
    State state;
    m_thread->loop().call([&] {
        state.slirpVersion = static_cast<std::uint32_t>(slirp_state_version());
        state.slirp = saveSlirp();
        state.guestMac = m_flows.guestMac();
        state.connections = m_flows.open();
    });
    return state::save(state);
}

Result<> UserNetwork::load(Section const& section)
{
    auto saved = TRY(state::load<State>(section));
    Result<> outcome;
    loop().call([&] {
        // libslirp reads its own format without mistrust. What we let through has no sockets in it (first byte 0), and
        // then it is of one length: what remains are numbers.
        if (saved.slirpVersion > static_cast<std::uint32_t>(slirp_state_version())) {
            outcome = fail(ErrorCode::VersionTooNew,
                fmt::format("libslirp's state is of version {}, and this one knows {}", saved.slirpVersion,
                    slirp_state_version()));
            return;
        }
        if (saved.slirp.empty() || saved.slirp[0] != 0 || saved.slirp.size() != saveSlirp().size()) {
            outcome = fail(ErrorCode::Corrupt, "libslirp's state is not one of ours");
            return;
        }
        struct Input {
            ConstByteSpan left;
        } input { saved.slirp };
        auto const code = slirp_state_load(
            m_slirp, static_cast<int>(saved.slirpVersion),
            [](void* into, std::size_t length, void* opaque) {
                auto& left = static_cast<Input*>(opaque)->left;
                auto const here = std::min(length, left.size());
                std::copy_n(left.begin(), here, static_cast<std::uint8_t*>(into));
                std::fill_n(static_cast<std::uint8_t*>(into) + here, length - here, std::uint8_t(0));
                left = left.subspan(here);
                return static_cast<ssize_t>(length);
            },
            &input);
        if (code != 0) {
            outcome = fail(ErrorCode::Corrupt, fmt::format("libslirp refuses its state ({})", code));
            return;
        }
        m_flows.clear();
        m_flows.setGuestMac(saved.guestMac);
        for (auto const& flow : saved.connections)
            m_flows.add(flow);
        m_cut = saved.connections;
        m_probesLeft = probes;
    });
    return outcome;
}

}
