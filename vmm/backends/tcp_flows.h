#pragma once

#include "vmm/base/bytes.h"
#include "vmm/state/options.h"

#include <array>
#include <map>
#include <optional>

namespace vmm {

/// A TCP connection as the guest sees it: its own end and the other. IPv4 addresses stand in the first four bytes.
struct TcpFlow {
    bool version6 = false;
    std::array<std::uint8_t, 16> guest {}, peer {};
    std::uint16_t guestPort = 0, peerPort = 0;
    auto operator<=>(TcpFlow const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("version6", s.version6);
        v.field("guest", s.guest);
        v.field("peer", s.peer);
        v.field("guestPort", s.guestPort);
        v.field("peerPort", s.peerPort);
    }
};

using MacAddress = std::array<std::uint8_t, 6>;

/// Which TCP connections a guest has open, learned from the frames that begin and end them. Needed after a restore: the
/// other ends are gone with the old process, and a guest that only waits for data would never hear of it.
class TcpFlows {
public:
    static constexpr std::size_t maximum = 1024; ///< of the others nothing is known

    void fromGuest(ConstByteSpan frame) { look(frame, true); }
    void toGuest(ConstByteSpan frame) { look(frame, false); }

    std::vector<TcpFlow> open() const;
    bool contains(TcpFlow const& flow) const { return m_flows.contains(flow); }
    void add(TcpFlow const& flow) { m_flows.try_emplace(flow); }
    void clear() { m_flows.clear(); }

    /// The guest's card, as its frames name it.
    MacAddress guestMac() const { return m_guestMac; }
    void setGuestMac(MacAddress mac) { m_guestMac = mac; }

    /// A segment out of nowhere. The guest answers it with where it stands (RFC 9293, 3.10.7.4), and to that a network
    /// that knows no such connection answers with a reset which the guest believes.
    Bytes probe(TcpFlow const& flow, std::uint32_t sequence) const;

private:
    struct Ends {
        bool guest = false, peer = false; ///< have sent a FIN
    };
    void look(ConstByteSpan frame, bool fromGuest);

    std::map<TcpFlow, Ends> m_flows;
    MacAddress m_guestMac {};
};

}
