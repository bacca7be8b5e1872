#include "vmm/backends/tcp_flows.h"

#include "vmm/backends/checksum.h"

#include <algorithm>

namespace vmm {

namespace {

constexpr std::size_t ethernetSize = 14, ipv4Size = 20, ipv6Size = 40, tcpSize = 20;
constexpr std::uint8_t tcpProtocol = 6, flagFin = 1, flagSyn = 2, flagRst = 4, flagAck = 16;
// The MAC that libslirp gives to the gateway; any but the guest's own would do.
constexpr MacAddress gatewayMac { 0x52, 0x55, 0x0a, 0x00, 0x02, 0x02 };

}

void TcpFlows::look(ConstByteSpan frame, bool fromGuest)
{
    if (frame.size() < ethernetSize + ipv4Size + tcpSize)
        return;
    auto const etherType = loadBig<std::uint16_t>(frame.subspan(12, 2));
    auto const packet = frame.subspan(ethernetSize);
    TcpFlow flow;
    std::size_t header = 0, addressSize = 4, addresses = 12;
    if (etherType == 0x0800 && packet[9] == tcpProtocol) {
        header = std::size_t(packet[0] & 15) * 4;
    } else if (etherType == 0x86dd && packet[6] == tcpProtocol) {
        header = ipv6Size;
        addressSize = 16;
        addresses = 8;
        flow.version6 = true;
    } else {
        return;
    }
    if (packet.size() < header + tcpSize)
        return;
    auto const tcp = packet.subspan(header);
    auto const flags = tcp[13];
    if ((flags & (flagFin | flagSyn | flagRst)) == 0)
        return; // the most of all frames
    auto const source = packet.subspan(addresses, addressSize),
               target = packet.subspan(addresses + addressSize, addressSize);
    std::copy(source.begin(), source.end(), (fromGuest ? flow.guest : flow.peer).begin());
    std::copy(target.begin(), target.end(), (fromGuest ? flow.peer : flow.guest).begin());
    (fromGuest ? flow.guestPort : flow.peerPort) = loadBig<std::uint16_t>(tcp.subspan(0, 2));
    (fromGuest ? flow.peerPort : flow.guestPort) = loadBig<std::uint16_t>(tcp.subspan(2, 2));

    if ((flags & flagRst) != 0) {
        m_flows.erase(flow);
    } else if ((flags & flagSyn) != 0) {
        if (fromGuest && m_flows.size() < maximum) {
            m_flows[flow] = {};
            std::copy_n(frame.begin() + 6, 6, m_guestMac.begin());
        }
    } else if (auto const known = m_flows.find(flow); known != m_flows.end()) {
        (fromGuest ? known->second.guest : known->second.peer) = true;
        if (known->second.guest && known->second.peer)
            m_flows.erase(known);
    }
}

std::vector<TcpFlow> TcpFlows::open() const
{
    std::vector<TcpFlow> all;
    for (auto const& [flow, ends] : m_flows)
        all.push_back(flow);
    return all;
}

Bytes TcpFlows::probe(TcpFlow const& flow, std::uint32_t sequence) const
{
    auto const header = flow.version6 ? ipv6Size : ipv4Size;
    auto const addressSize = flow.version6 ? 16u : 4u;
    Bytes frame(ethernetSize + header + tcpSize);
    ByteSpan const whole(frame);
    std::copy(m_guestMac.begin(), m_guestMac.end(), frame.begin());
    std::copy(gatewayMac.begin(), gatewayMac.end(), frame.begin() + 6);
    storeBig(whole.subspan(12, 2), std::uint16_t(flow.version6 ? 0x86dd : 0x0800));

    auto const packet = whole.subspan(ethernetSize);
    auto const addresses = packet.subspan(flow.version6 ? 8 : 12, 2 * addressSize);
    std::copy_n(flow.peer.begin(), addressSize, addresses.begin());
    std::copy_n(flow.guest.begin(), addressSize, addresses.begin() + addressSize);
    if (flow.version6) {
        packet[0] = 0x60;
        storeBig(packet.subspan(4, 2), std::uint16_t(tcpSize));
        packet[6] = tcpProtocol;
        packet[7] = 64;
    } else {
        packet[0] = 0x45;
        storeBig(packet.subspan(2, 2), std::uint16_t(ipv4Size + tcpSize));
        packet[8] = 64;
        packet[9] = tcpProtocol;
        storeLittle(packet.subspan(10, 2), static_cast<std::uint16_t>(~onesSum(packet.first(ipv4Size))));
    }

    auto const tcp = packet.subspan(header);
    storeBig(tcp.subspan(0, 2), flow.peerPort);
    storeBig(tcp.subspan(2, 2), flow.guestPort);
    storeBig(tcp.subspan(4, 4), sequence);
    storeBig(tcp.subspan(8, 4), sequence);
    tcp[12] = (tcpSize / 4) << 4;
    tcp[13] = flagAck;
    // The pseudo header: both addresses, the protocol and the length.
    std::array<std::uint8_t, 4> tail { 0, tcpProtocol, 0, tcpSize };
    auto const sum = onesSum(tcp, std::uint64_t(onesSum(addresses)) + onesSum(tail));
    storeLittle(tcp.subspan(16, 2), static_cast<std::uint16_t>(~sum));
    return frame;
}

}
