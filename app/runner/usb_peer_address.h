#pragma once

#include "vmm/base/unique_fd.h"

#include <cstdint>
#include <string>
#include <sys/socket.h>

namespace app {

/// Where the other end of a USB redirection is, or is waited for: HOST:PORT, [ADDRESS]:PORT, a PORT of this host alone,
/// or the path of a UNIX socket.
struct UsbPeerAddress {
    std::string host; ///< a name or an address
    std::uint16_t port = 0;
    std::string path; ///< of a UNIX socket; then neither of the others
    bool operator==(UsbPeerAddress const&) const = default;
    std::string text() const;
};

/// How both ends come together: this one calls who has the device, or waits until that one calls.
enum class UsbMeeting : bool { Call, Wait };

/// InvalidArgument, with how it is written.
vmm::Result<UsbPeerAddress> parseUsbPeerAddress(std::string const& text);

/// Connects, and waits for that: up to `milliseconds`, and as long as it takes to look up a name. It gives up as soon
/// as `cancel`, an eventfd, is signalled.
vmm::Result<vmm::UniqueFd> connectToUsbPeer(UsbPeerAddress const& address, int milliseconds, int cancel);

struct UsbPeerListener {
    vmm::UniqueFd socket;
    UsbPeerAddress address; ///< with the port that it got, where none was said
};
/// A socket that was forgotten at the path is replaced, one that somebody listens at is not.
vmm::Result<UsbPeerListener> listenForUsbPeers(UsbPeerAddress const& address);

/// One who has connected, and what it is called.
struct UsbPeerConnection {
    vmm::UniqueFd socket;
    std::string name;
};
/// Of what vmm::acceptFrom() gives.
UsbPeerConnection receiveUsbPeer(UsbPeerListener const& listener, vmm::UniqueFd accepted, sockaddr_storage const& from);

}
