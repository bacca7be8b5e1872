#include "tests/host_usb/redir_host.h"

#include <cerrno>
#include <libusb.h>
#include <sys/socket.h>
#include <usbredirhost.h>

namespace tests {

RedirHost::RedirHost(vmm::UniqueFd connection) : m_connection(std::move(connection)), m_thread([this] { run(); }) { }

RedirHost::~RedirHost()
{
    m_stop = true;
    m_thread.join();
}

void RedirHost::run()
{
    constexpr std::uint16_t vendor = 0x1209, product = 0x0001;
    libusb_context* context = nullptr;
    libusb_init(&context);
    auto* const handle = libusb_open_device_with_vid_pid(context, vendor, product);
    auto const read = [](void* self, std::uint8_t* data, int count) {
        auto const got = ::recv(
            static_cast<RedirHost*>(self)->m_connection.get(), data, static_cast<std::size_t>(count), MSG_DONTWAIT);
        return got > 0 ? static_cast<int>(got) : got < 0 && errno == EAGAIN ? 0 : -1;
    };
    auto const write = [](void* self, std::uint8_t* data, int count) {
        auto const put = ::send(static_cast<RedirHost*>(self)->m_connection.get(), data,
            static_cast<std::size_t>(count), MSG_DONTWAIT | MSG_NOSIGNAL);
        return put > 0 ? static_cast<int>(put) : put < 0 && errno == EAGAIN ? 0 : -1;
    };
    auto* const host = handle ? usbredirhost_open(
                           context, handle, [](void*, int, char const*) {}, read, write, this, "a host", 0, 0)
                              : nullptr;
    while (host && !m_stop) {
        timeval patience { 0, 1000 };
        libusb_handle_events_timeout(context, &patience);
        auto const code = usbredirhost_read_guest_data(host);
        if (code == usbredirhost_read_device_rejected)
            m_refused = true;
        if (code == usbredirhost_read_device_rejected || code == usbredirhost_read_io_error)
            break;
        if (usbredirhost_has_data_to_write(host) > 0 && usbredirhost_write_guest_data(host) < 0)
            break;
    }
    if (host)
        usbredirhost_close(host);
    libusb_exit(context);
    ::shutdown(m_connection.get(), SHUT_RDWR);
    m_ended = true;
}

}
