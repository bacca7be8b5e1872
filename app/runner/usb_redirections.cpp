#include "app/runner/usb_redirections.h"

#include "vmm/base/accept_from.h"
#include "vmm/base/log.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace app {

namespace {

vmm::Error removed()
{
    return { vmm::ErrorCode::Cancelled, "the machine has ended", 0 };
}

}

UsbRedirections::UsbRedirections(vmm::EventLoop& loop, Events events) : m_loop(loop), m_events(std::move(events)) { }

UsbRedirections::~UsbRedirections()
{
    for (auto& [number, call] : m_calls) // without a word
        call.opened = {};
    m_arrivals.clear();
    removeAll();
    m_connecting.reset();
}

vmm::Result<> UsbRedirections::needThreads()
{
    if (!m_thread)
        m_thread = TRY(vmm::LoopThread::start("usb redirection"));
    if (!m_connecting)
        m_connecting = TRY(vmm::LoopThread::start("usb connecting"));
    return {};
}

void UsbRedirections::connect(UsbPeerAddress const& address, Opened opened)
{
    constexpr int patience = 10'000; // ms
    if (auto const ready = needThreads(); !ready)
        return opened(vmm::fail(ready.error()));
    auto cancelFd = vmm::makeEventFd();
    if (!cancelFd)
        return opened(vmm::fail(cancelFd.error()));
    auto const cancel = std::make_shared<vmm::UniqueFd>(std::move(*cancelFd));
    auto const number = ++m_lastCall;
    m_calls[number] = { address, cancel, std::move(opened) };
    auto const take = [this, self = std::weak_ptr(m_self), number](auto const& socket) {
        if (self.expired() || !m_calls.contains(number))
            return;
        auto const call = std::move(m_calls.extract(number).mapped());
        if (!*socket)
            return call.opened(vmm::fail(socket->error()));
        add(std::move(**socket), call.address.text(), {}, call.opened);
    };
    m_connecting->loop().post([loop = &m_loop, address, cancel, take] {
        auto const socket
            = std::make_shared<vmm::Result<vmm::UniqueFd>>(connectToUsbPeer(address, patience, cancel->get()));
        loop->post([take, socket] { take(socket); });
    });
}

bool UsbRedirections::callOff(UsbPeerAddress const& address)
{
    std::vector<Opened> waiting;
    std::erase_if(m_calls, [&](auto& one) {
        if (one.second.address != address)
            return false;
        vmm::signalEventFd(one.second.cancel->get());
        waiting.push_back(std::move(one.second.opened));
        return true;
    });
    std::erase_if(m_arrivals, [&](auto& one) {
        if (!one.second.opened || one.second.device->peer() != address.text())
            return false;
        waiting.push_back(std::move(one.second.opened));
        return true;
    });
    for (auto const& opened : waiting)
        opened(vmm::fail(vmm::ErrorCode::Cancelled, "connecting was called off"));
    return !waiting.empty();
}

vmm::Result<RedirectedUsb> UsbRedirections::listen(UsbPeerAddress const& address)
{
    TRY(needThreads());
    auto listener = std::make_unique<Listener>(Listener { TRY(listenForUsbPeers(address)), nullptr });
    auto const id = nextId();
    auto const arrive = [this, self = std::weak_ptr(m_self), id](auto const& connection) {
        if (!self.expired() && m_listeners.contains(id))
            add(std::move(connection->socket), connection->name, id, {});
    };
    auto& its = *listener;
    m_thread->loop().call([this, &its, arrive] {
        its.accepting = vmm::acceptFrom(m_thread->loop(), its.listening.socket.get(),
            [&its, loop = &m_loop, arrive](vmm::UniqueFd socket, sockaddr_storage const& from) {
                auto const connection
                    = std::make_shared<UsbPeerConnection>(receiveUsbPeer(its.listening, std::move(socket), from));
                loop->post([arrive, connection] { arrive(connection); });
            });
    });
    if (!its.accepting)
        return vmm::fail(vmm::ErrorCode::IoError, "cannot watch the socket at " + its.listening.address.text());
    RedirectedUsb const place { .id = id, .address = its.listening.address.text(), .isListening = true };
    m_listeners[id] = std::move(listener);
    return place;
}

void UsbRedirections::add(vmm::UniqueFd socket, std::string const& peer, std::string const& listener, Opened opened)
{
    constexpr std::size_t most = 32; // there are hardly more places to plug them in
    if (m_arrivals.size() >= most) {
        vmm::log(vmm::LogLevel::Info, "usb", "{} is refused: there are {} redirections", peer, most);
        if (opened)
            opened(vmm::fail(vmm::ErrorCode::NotNow, fmt::format("the machine has {} redirections already", most)));
        return;
    }
    auto const id = nextId();
    auto const tell = [this, loop = &m_loop, self = std::weak_ptr(m_self)](auto what) {
        loop->post([self, what] {
            if (!self.expired())
                what();
        });
    };
    vmm::UsbRedirDevice::Events events { [this, tell, id] { tell([this, id] { offered(id); }); },
        [this, tell, id](vmm::Error const& why) { tell([this, id, why] { gone(id, why); }); } };
    // Its thread ends after it, whoever has it last.
    Device device(new vmm::UsbRedirDevice(m_thread->loop(), std::move(socket), peer, std::move(events)),
        [thread = m_thread](vmm::UsbRedirDevice* last) { delete last; });
    m_arrivals[id] = { std::move(device), listener, std::move(opened) };
}

void UsbRedirections::offered(std::string const& id)
{
    auto const found = m_arrivals.find(id);
    if (found == m_arrivals.end())
        return;
    found->second.isOffered = true;
    auto const device = found->second.device;
    if (auto const opened = std::exchange(found->second.opened, {}))
        opened(std::pair(id, device));
    else
        m_events.arrived(id, device);
}

void UsbRedirections::gone(std::string const& id, vmm::Error const& why)
{
    auto const found = m_arrivals.find(id);
    if (found == m_arrivals.end())
        return;
    auto& arrival = found->second;
    if (arrival.isKept)
        return m_events.lost(id, why);
    if (arrival.isOffered) {
        arrival.end = why; // keep() tells it
        return;
    }
    auto const opened = std::exchange(arrival.opened, {});
    m_arrivals.erase(found);
    if (opened)
        opened(vmm::fail(why));
}

bool UsbRedirections::keep(std::string const& id)
{
    auto const found = m_arrivals.find(id);
    if (found == m_arrivals.end())
        return false;
    found->second.isKept = true;
    if (auto const end = found->second.end)
        m_events.lost(id, *end);
    return true;
}

void UsbRedirections::refuse(std::string const& id)
{
    auto const found = m_arrivals.find(id);
    if (found == m_arrivals.end())
        return;
    auto const device = found->second.device;
    m_arrivals.erase(found);
    m_thread->loop().call([&] { device->refuse(); });
}

bool UsbRedirections::remove(std::string const& id)
{
    if (auto const found = m_listeners.find(id); found != m_listeners.end()) {
        m_thread->loop().call([&] { found->second->accepting.reset(); });
        if (auto const& path = found->second->listening.address.path; !path.empty())
            ::unlink(path.c_str());
        m_listeners.erase(found);
        std::erase_if(m_arrivals, [&](auto const& one) { return one.second.listener == id && !one.second.isKept; });
        return true;
    }
    return m_arrivals.erase(id) != 0;
}

void UsbRedirections::removeAll()
{
    for (auto const& [number, call] : std::exchange(m_calls, {})) {
        vmm::signalEventFd(call.cancel->get());
        if (call.opened)
            call.opened(vmm::fail(removed()));
    }
    while (!m_listeners.empty())
        remove(m_listeners.begin()->first);
    for (auto const& [id, arrival] : std::exchange(m_arrivals, {})) {
        if (arrival.opened)
            arrival.opened(vmm::fail(removed()));
    }
}

std::map<std::string, UsbRedirections::Device> UsbRedirections::devices() const
{
    std::map<std::string, Device> kept;
    for (auto const& [id, arrival] : m_arrivals) {
        if (arrival.isKept)
            kept[id] = arrival.device;
    }
    return kept;
}

std::vector<RedirectedUsb> UsbRedirections::list() const
{
    std::vector<RedirectedUsb> all;
    for (auto const& [id, listener] : m_listeners)
        all.push_back({ .id = id, .address = listener->listening.address.text(), .isListening = true });
    for (auto const& [id, device] : devices())
        all.push_back({ id, device->peer(), false, m_arrivals.at(id).listener, device->info() });
    auto const number = [](RedirectedUsb const& one) { return std::stoul(one.id.substr(std::strlen("redir"))); };
    std::sort(all.begin(), all.end(), [&](auto const& one, auto const& other) { return number(one) < number(other); });
    return all;
}

}
