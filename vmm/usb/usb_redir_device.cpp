#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/usb/usb_redir_private.h"

#include <cerrno>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace vmm {

namespace {

using namespace std::chrono_literals;

constexpr auto patienceForOffer = 10s, patienceForTransport = 30s, patienceForAnswer = 5s;
constexpr auto patienceForReaders = 100ms;
constexpr std::size_t mostAtOnce = 256u << 10;

}

UsbRedirDevice::UsbRedirDevice(EventLoop& loop, UniqueFd connection, std::string peer, Events events)
    : m_loop(loop),
      m_peer(std::move(peer)),
      m_events(std::move(events)),
      m_parser(usbredirparser_create()),
      m_connection(std::move(connection)),
      m_input(mostAtOnce)
{
    if (m_parser) {
        m_parser->priv = this;
        Calls::setAll(*m_parser);
        m_parser->read_func = [](void* self, std::uint8_t* data, int count) {
            return static_cast<UsbRedirDevice*>(self)->give(data, count);
        };
        m_parser->write_func = [](void* self, std::uint8_t* data, int count) {
            return static_cast<UsbRedirDevice*>(self)->queue(data, count);
        };
        std::array<std::uint32_t, USB_REDIR_CAPS_SIZE> capabilities {};
        for (int const one : { usb_redir_cap_bulk_streams, usb_redir_cap_connect_device_version, usb_redir_cap_filter,
                 usb_redir_cap_device_disconnect_ack, usb_redir_cap_ep_info_max_packet_size, usb_redir_cap_64bits_ids,
                 usb_redir_cap_32bits_bulk_length })
            usbredirparser_caps_set_cap(capabilities.data(), one);
        usbredirparser_init(m_parser, CHRONOVISOR_VERSION_TEXT, capabilities.data(), USB_REDIR_CAPS_SIZE,
            usbredirparser_fl_write_cb_owns_buffer);
        send();
    }
    m_loop.post([this, self = std::weak_ptr(m_self)] {
        if (!self.expired())
            open();
    });
}

UsbRedirDevice::~UsbRedirDevice()
{
    m_loop.call([this] {
        m_self.reset();
        close();
    });
    for (auto const* buffers : { &m_queue, &m_sending }) {
        for (auto const& buffer : *buffers)
            usbredirparser_free_write_buffer(m_parser, buffer.data);
    }
    if (m_parser)
        usbredirparser_destroy(m_parser);
}

void UsbRedirDevice::setHost(UsbHost* host)
{
    if (!host)
        stopAll(); // what comes meanwhile is for nobody
    VisitingUsbDevice::setHost(host);
}

std::string UsbRedirDevice::newIdentity() const
{
    return fmt::format("redirected {:04x}:{:04x} {}", m_info.vendor, m_info.product, EventLoop::now().count());
}

// The connection

void UsbRedirDevice::open()
{
    if (!m_parser)
        return end({ ErrorCode::OutOfMemory, "there is no memory for a connection to " + m_peer, 0 });
    m_offerTimer = m_loop.at(EventLoop::now() + patienceForOffer, [this] {
        if (!m_isOffered)
            end({ ErrorCode::TimedOut, m_peer + " offers no USB device", 0 });
    });
    watch(EPOLLIN);
    flush();
}

void UsbRedirDevice::watch(std::uint32_t events)
{
    if (m_watched == events)
        return;
    m_watched = events;
    m_watch.reset(); // before the same descriptor is watched again
    m_watch = m_loop.watch(m_connection.get(), events, [this](std::uint32_t ready) {
        if ((ready & EPOLLOUT) != 0)
            flush();
        if (m_connection && (ready & ~std::uint32_t(EPOLLOUT)) != 0)
            read();
    });
    if (!m_watch)
        end(osError("cannot watch the connection to " + m_peer));
}

void UsbRedirDevice::read()
{
    auto const count = ::recv(m_connection.get(), m_input.data(), m_input.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (count < 0)
        return end(osError("the connection to " + m_peer + " is lost"));
    if (count == 0)
        return end({ ErrorCode::Disconnected, m_peer + " has ended the connection", 0 });
    m_bytesIn += static_cast<std::uint64_t>(count);
    alone([&] { take(ConstByteSpan(m_input).first(static_cast<std::size_t>(count))); });
    flush();
    if (m_ending)
        return end(*m_ending);
    if (m_begun != 0)
        watchInput();
    if (m_isOffered && !std::exchange(m_hasTold, true)) {
        m_offerTimer.reset();
        if (m_events.offered)
            m_events.offered();
    }
    look();
}

void UsbRedirDevice::take(ConstByteSpan data)
{
    m_rest = data;
    m_takes = true;
    if (usbredirparser_do_read(m_parser) == usbredirparser_read_parse_error)
        lie("sends what is no packet"); // unless the parser has said more
    m_takes = false;
    send(); // what the parser has answered by itself
}

/// To the parser.
int UsbRedirDevice::give(std::uint8_t* data, int count)
{
    if (m_ending)
        return -1;
    if (static_cast<std::uint32_t>(count) > redir::mostOfBulk) {
        lie(fmt::format("sends a packet of {} bytes, more than anybody has asked for", count));
        return -1;
    }
    auto const given = std::min(static_cast<std::size_t>(count), m_rest.size());
    std::copy_n(m_rest.begin(), given, data);
    m_rest = m_rest.subspan(given);
    m_begun += given;
    return static_cast<int>(given);
}

/// From the parser, which hands the memory over.
int UsbRedirDevice::queue(std::uint8_t* data, int count)
{
    m_queue.push_back({ data, static_cast<std::size_t>(count) });
    m_unsent += static_cast<std::size_t>(count);
    return count;
}

void UsbRedirDevice::flush()
{
    if (!m_connection)
        return;
    alone([&] {
        m_sending.insert(m_sending.end(), m_queue.begin(), m_queue.end());
        m_queue.clear();
    });
    std::size_t total = 0;
    while (!m_sending.empty()) {
        std::array<iovec, 16> pieces {};
        std::size_t count = 0;
        for (auto at = m_sending.begin(); at != m_sending.end() && count < pieces.size(); ++at, ++count)
            pieces[count] = { at->data, at->size };
        pieces[0] = { m_sending.front().data + m_sent, m_sending.front().size - m_sent };
        msghdr message {};
        message.msg_iov = pieces.data();
        message.msg_iovlen = count;
        auto const written = ::sendmsg(m_connection.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            break;
        if (written < 0)
            return end(osError("the connection to " + m_peer + " is lost"));
        total += static_cast<std::size_t>(written);
        m_sent += static_cast<std::size_t>(written);
        while (!m_sending.empty() && m_sent >= m_sending.front().size) {
            m_sent -= m_sending.front().size;
            usbredirparser_free_write_buffer(m_parser, m_sending.front().data);
            m_sending.pop_front();
        }
    }
    m_bytesOut += total;
    bool isTooMuch = false;
    alone([&] {
        bool const wasFull = m_unsent >= redir::mostUnsent;
        m_unsent -= total;
        isTooMuch = m_unsent > redir::mostUnsentEver;
        if (wasFull && total > 0)
            serveAll();
    });
    if (isTooMuch)
        return end({ ErrorCode::TimedOut, m_peer + " does not read what is sent to it", 0 });
    watch(m_sending.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT);
    if (!m_sending.empty())
        watchOutput();
}

/// Is there anything whose time is measured?
void UsbRedirDevice::look()
{
    bool answers = false, readers = false;
    alone([&] {
        readers = m_watchesReaders;
        answers = std::any_of(
            m_flights.begin(), m_flights.end(), [](auto const& one) { return one.second.cancelled != 0; });
    });
    if (answers)
        watchAnswers();
    if (readers)
        watchReaders();
}

void UsbRedirDevice::watchInput()
{
    if (m_inputTimer)
        return;
    m_inputTimer = m_loop.at(EventLoop::now() + patienceForTransport, [this, seen = m_bytesIn] {
        m_inputTimer.reset();
        if (m_begun != 0 && m_bytesIn == seen)
            end({ ErrorCode::TimedOut, m_peer + " has fallen silent in the middle of a packet", 0 });
        else if (m_begun != 0)
            watchInput();
    });
}

void UsbRedirDevice::watchOutput()
{
    if (m_outputTimer)
        return;
    m_outputTimer = m_loop.at(EventLoop::now() + patienceForTransport, [this, seen = m_bytesOut] {
        m_outputTimer.reset();
        if (!m_sending.empty() && m_bytesOut == seen)
            end({ ErrorCode::TimedOut, m_peer + " does not read what is sent to it", 0 });
        else if (!m_sending.empty())
            watchOutput();
    });
}

void UsbRedirDevice::watchAnswers()
{
    if (m_answerTimer)
        return;
    std::uint64_t last = 0;
    alone([&] { last = m_cancels; });
    m_answerTimer = m_loop.at(EventLoop::now() + patienceForAnswer, [this, last] {
        m_answerTimer.reset();
        bool isSilent = false;
        alone([&] {
            isSilent = std::any_of(m_flights.begin(), m_flights.end(),
                [&](auto const& one) { return one.second.cancelled != 0 && one.second.cancelled <= last; });
        });
        if (isSilent)
            end({ ErrorCode::TimedOut, m_peer + " does not answer", 0 });
        else
            look();
    });
}

/// Isochronous transfers end at about their time, with or without data.
void UsbRedirDevice::watchReaders()
{
    if (m_readersTimer)
        return;
    std::array<std::uint64_t, 32> seen {};
    alone([&] {
        for (unsigned index = 0; index < seen.size(); ++index)
            seen[index] = m_endpoints[index].ended;
    });
    m_readersTimer = m_loop.at(EventLoop::now() + patienceForReaders, [this, seen] {
        m_readersTimer.reset();
        alone([&] {
            m_watchesReaders = false;
            for (unsigned index = 0; index < seen.size(); ++index) {
                auto& endpoint = m_endpoints[index];
                if (endpoint.type != usb_redir_type_iso)
                    continue;
                for (auto count = endpoint.ended == seen[index] ? endpoint.readers.size() : 0; count > 0; --count)
                    endReader(endpoint, UsbStatus::TransactionError);
                m_watchesReaders |= !endpoint.readers.empty();
            }
        });
        look();
    });
}

void UsbRedirDevice::refuse()
{
    m_events = {};
    alone([&] {
        if (m_isGone || !m_saidHello || !peerHas(usb_redir_cap_filter))
            return;
        usbredirparser_send_filter_reject(m_parser);
        send();
    });
    flush();
    end({ ErrorCode::Cancelled, "the device of " + m_peer + " is not wanted", 0 });
}

void UsbRedirDevice::end(Error const& why)
{
    if (m_isGone)
        return;
    log(LogLevel::Info, "usb", "{}", why.message());
    alone([&] { endTransfers(); });
    close();
    if (auto const gone = std::exchange(m_events.gone, {}))
        gone(why);
}

void UsbRedirDevice::close()
{
    m_watch.reset();
    for (auto* const timer : { &m_offerTimer, &m_inputTimer, &m_outputTimer, &m_answerTimer, &m_readersTimer })
        timer->reset();
    m_connection.reset();
}

// With the lock

void UsbRedirDevice::endTransfers()
{
    m_isGone = true; // from now on they end where they are submitted
    for (auto const& [id, flight] : std::exchange(m_flights, {})) {
        if (flight.transfer)
            complete(*flight.transfer, UsbStatus::TransactionError, flight.done);
    }
    for (auto& endpoint : m_endpoints) {
        endpoint.packets.clear();
        while (!endpoint.readers.empty())
            endReader(endpoint, UsbStatus::TransactionError);
    }
    for (auto& [key, pipe] : m_pipes) {
        for (auto const& [transfer, done] : std::exchange(pipe.waiting, {}))
            complete(*transfer, UsbStatus::TransactionError, done);
    }
}

/// What the parser has made goes to the loop.
void UsbRedirDevice::send()
{
    usbredirparser_do_write(m_parser);
    if (!m_queue.empty())
        wake();
}

void UsbRedirDevice::wake()
{
    if (m_wakes.exchange(true))
        return;
    m_loop.post([this, self = std::weak_ptr(m_self)] {
        if (self.expired())
            return;
        m_wakes = false;
        flush();
        look();
    });
}

bool UsbRedirDevice::peerHas(int capability) const
{
    return usbredirparser_peer_has_cap(m_parser, capability) != 0;
}

// State

Section UsbRedirDevice::save() const
{
    return state::save(State { m_info.vendor, m_info.product, m_peer.substr(0, 256) });
}

Result<> UsbRedirDevice::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    return (void)saved, Result<>();
}

}
