#pragma once

#include "vmm/base/unique_fd.h"

#include <QtGlobal>
#include <arpa/inet.h>
#include <sys/socket.h>

namespace tests {

/// A port of 127.0.0.1 that nobody else has meanwhile.
struct HeldPort {
    vmm::UniqueFd fd;
    std::uint16_t port = 0;

    /// `type`: of TCP, or SOCK_DGRAM: of UDP.
    explicit HeldPort(int type = SOCK_STREAM) : fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0))
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
