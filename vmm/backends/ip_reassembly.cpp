#include "vmm/backends/ip_reassembly.h"

#include "vmm/backends/checksum.h"

#include <algorithm>

namespace vmm {

namespace {

// RFC 791, 3.1 "Internet Header Format", behind an Ethernet header.
constexpr std::size_t ethernetSize = 14, smallestHeader = 20, largestDatagram = 65535, unit = 8;
constexpr std::uint16_t typeIp = 0x0800, moreFragments = 0x2000, offsetMask = 0x1fff;

}

std::optional<ConstByteSpan> IpReassembly::take(ConstByteSpan frame, Nanoseconds now)
{
    if (frame.size() < ethernetSize + smallestHeader || loadBig<std::uint16_t>(frame.subspan(12, 2)) != typeIp)
        return frame;
    auto const ip = frame.subspan(ethernetSize);
    auto const fragment = loadBig<std::uint16_t>(ip.subspan(6, 2));
    bool const isLast = (fragment & moreFragments) == 0;
    auto const offset = std::size_t(fragment & offsetMask) * unit;
    if (isLast && offset == 0)
        return frame;
    auto const headerSize = std::size_t(ip[0] & 15) * 4;
    auto const total = loadBig<std::uint16_t>(ip.subspan(2, 2));
    if (ip[0] >> 4 != 4 || headerSize < smallestHeader || total <= headerSize || total > ip.size()
        || onesSum(ip.first(headerSize)) != 0xffff)
        return std::nullopt;
    auto const data = ip.subspan(headerSize, total - headerSize);
    if (offset + data.size() > largestDatagram - headerSize || (!isLast && data.size() % unit != 0))
        return std::nullopt;

    auto const datagram = find(ip, now);
    if (offset == 0)
        datagram->header.assign(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(ethernetSize + headerSize));
    if (!add(*datagram, offset, data, isLast)) {
        m_datagrams.erase(datagram);
        return std::nullopt;
    }
    bool const isWhole = datagram->size && datagram->units * unit >= *datagram->size && !datagram->header.empty();
    if (!isWhole)
        return std::nullopt;
    m_whole = std::move(datagram->header);
    auto const header = m_whole.size() - ethernetSize;
    m_whole.insert(
        m_whole.end(), datagram->data.begin(), datagram->data.begin() + static_cast<std::ptrdiff_t>(*datagram->size));
    m_datagrams.erase(datagram);
    if (m_whole.size() - ethernetSize > largestDatagram) // whose first fragment has the larger header
        return std::nullopt;
    auto const whole = ByteSpan(m_whole).subspan(ethernetSize);
    storeBig(whole.subspan(2, 2), static_cast<std::uint16_t>(whole.size()));
    storeBig(whole.subspan(6, 2), std::uint16_t(0));
    storeBig(whole.subspan(10, 2), std::uint16_t(0));
    storeLittle(whole.subspan(10, 2), static_cast<std::uint16_t>(~onesSum(whole.first(header))));
    return m_whole;
}

/// The datagram that a fragment is of; a new one if need be.
std::list<IpReassembly::Datagram>::iterator IpReassembly::find(ConstByteSpan ip, Nanoseconds now)
{
    std::erase_if(m_datagrams, [&](Datagram const& one) { return now - one.began > patience; });
    decltype(Datagram::key) key {};
    std::copy_n(ip.begin() + 12, 8, key.begin());
    key[8] = ip[9];
    std::copy_n(ip.begin() + 4, 2, key.begin() + 9);
    auto const known = std::ranges::find(m_datagrams, key, &Datagram::key);
    if (known != m_datagrams.end())
        return known;
    if (m_datagrams.size() == mostDatagrams)
        m_datagrams.pop_front();
    auto& made = m_datagrams.emplace_back();
    made.key = key;
    made.began = now;
    return std::prev(m_datagrams.end());
}

/// False: it contradicts what is here.
bool IpReassembly::add(Datagram& datagram, std::size_t offset, ConstByteSpan data, bool isLast)
{
    auto const end = offset + data.size();
    auto const first = offset / unit, last = (end + unit - 1) / unit;
    if (datagram.here.size() < last) {
        datagram.here.resize(last);
        datagram.data.resize(last * unit);
    }
    if ((isLast && (datagram.size || datagram.here.size() > last)) || (datagram.size && end > *datagram.size))
        return false;
    for (auto i = first; i < last; ++i) {
        if (datagram.here[i])
            return false;
        datagram.here[i] = true;
    }
    std::copy(data.begin(), data.end(), datagram.data.begin() + static_cast<std::ptrdiff_t>(offset));
    datagram.units += last - first;
    if (isLast)
        datagram.size = end;
    return true;
}

}
