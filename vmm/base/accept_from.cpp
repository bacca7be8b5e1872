#include "vmm/base/accept_from.h"

#include <cerrno>
#include <sys/epoll.h>

namespace vmm {

namespace {

using namespace std::chrono_literals;

class Accepting final : public EventLoop::Registration {
public:
    using Came = std::function<void(UniqueFd, sockaddr_storage const&)>;

    Accepting(EventLoop& loop, int listening, Came came) : m_loop(loop), m_listening(listening), m_came(std::move(came))
    {
    }

    bool watch()
    {
        m_watch = m_loop.watch(m_listening, EPOLLIN, [this](std::uint32_t) { accept(); });
        return m_watch != nullptr;
    }

private:
    void accept()
    {
        sockaddr_storage from {};
        socklen_t length = sizeof from;
        UniqueFd connection(
            ::accept4(m_listening, reinterpret_cast<sockaddr*>(&from), &length, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (connection) {
            auto const came = m_came; // which may end us
            return came(std::move(connection), from);
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest();
    }

    void rest()
    {
        m_watch.reset();
        m_again = m_loop.at(EventLoop::now() + 100ms, [this] {
            if (!watch())
                rest();
        });
    }

    EventLoop& m_loop;
    int m_listening;
    Came m_came;
    EventLoop::Handle m_watch, m_again;
};

}

EventLoop::Handle acceptFrom(
    EventLoop& loop, int listening, std::function<void(UniqueFd connection, sockaddr_storage const& from)> came)
{
    auto accepting = std::make_unique<Accepting>(loop, listening, std::move(came));
    if (!accepting->watch())
        return nullptr;
    return accepting;
}

}
