#pragma once

#include "vmm/base/unique_fd.h"

#include <QtGlobal>
#include <arpa/inet.h>
#include <sys/socket.h>

namespace tests {

/// A TCP port of 127.0.0.1 that nobody else has meanwhile.
struct HeldPort {
    vmm::UniqueFd fd { ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    std::uint16_t port = 0;

    HeldPort()
    {
        sockaddr_in address {};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0
            || ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
            qFatal("this host has no port");
        port = ntohs(address.sin_port);
    }
};

}
