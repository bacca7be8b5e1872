#pragma once

#include "vmm/base/unique_fd.h"

#include <atomic>
#include <thread>

namespace tests {

/// What usbredirect is on another computer: libusbredirhost passes the simulated USB device on, over a connection, on a
/// thread of its own. It ends with the connection, or when the device is not wanted.
class RedirHost {
public:
    explicit RedirHost(vmm::UniqueFd connection);
    ~RedirHost();
    RedirHost(RedirHost const&) = delete;
    RedirHost& operator=(RedirHost const&) = delete;

    bool hasEnded() const { return m_ended; }
    bool wasRefused() const { return m_refused; }

private:
    void run();

    vmm::UniqueFd m_connection;
    std::atomic<bool> m_stop = false, m_ended = false, m_refused = false;
    std::thread m_thread;
};

}
