#pragma once

#include "vmm/base/event_loop.h"

#include <sys/socket.h>

namespace vmm {

/// Accepts whoever connects to `listening`, a non-blocking socket, for as long as the handle lives: `came` gets each
/// connection, non-blocking too, with where it is from. While no descriptor is to be had it tries ten times a second,
/// for who has to wait is ready all the time. Nothing where the socket cannot be watched.
EventLoop::Handle acceptFrom(
    EventLoop& loop, int listening, std::function<void(UniqueFd connection, sockaddr_storage const& from)> came);

}
