#pragma once

#include "vmm/base/unique_fd.h"

#include <QtGlobal>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace tests {

/// The control socket of a process that is stopped: who comes there waits. It is process 1's, which is always there.
struct StoppedHost {
    std::string path;
    vmm::UniqueFd listening { makeSocket() };
    std::vector<vmm::UniqueFd> waiting;

    explicit StoppedHost(std::string const& runtimeDirectory) : path(runtimeDirectory + "/1.sock")
    {
        auto const here = address();
        if (::bind(listening.get(), reinterpret_cast<sockaddr const*>(&here), sizeof here) != 0
            || ::listen(listening.get(), 16) != 0)
            qFatal("no socket at %s", path.c_str());
    }
    ~StoppedHost() { ::unlink(path.c_str()); }

    /// Until nobody else can come.
    void fill()
    {
        auto const here = address();
        for (;;) {
            auto visitor = makeSocket();
            if (::connect(visitor.get(), reinterpret_cast<sockaddr const*>(&here), sizeof here) != 0)
                return;
            waiting.push_back(std::move(visitor));
        }
    }
    /// How many have come.
    int visitors() const
    {
        int count = 0;
        while (vmm::UniqueFd(::accept(listening.get(), nullptr, nullptr)))
            ++count;
        return count;
    }

private:
    static vmm::UniqueFd makeSocket()
    {
        return vmm::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    }
    sockaddr_un address() const
    {
        sockaddr_un its {};
        its.sun_family = AF_UNIX;
        std::memcpy(its.sun_path, path.data(), path.size());
        return its;
    }
};

}
