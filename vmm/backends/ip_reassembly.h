#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/event_loop.h"

#include <list>
#include <optional>

namespace vmm {

/// Puts IPv4 datagrams together that a guest sends in fragments (RFC 791, "Internet Protocol", 3.2 "Discussion":
/// "Fragmentation and Reassembly"), so that nobody behind it ever sees one: libslirp 4.7 loses track of its memory over
/// fragments that overlap.
///
/// Bounds: a few datagrams at a time, the oldest gives way; each waits so long as RFC 1122, "Requirements for Internet
/// Hosts -- Communication Layers", 3.3.2 "Reassembly" has it. A datagram with parts that overlap is dropped whole. What
/// is half here when a machine is saved is lost, as a network may lose it.
class IpReassembly {
public:
    static constexpr std::size_t mostDatagrams = 16;
    static constexpr Nanoseconds patience = std::chrono::seconds(60);

    /// An Ethernet frame to pass on: the same one where it is no fragment, or all of a datagram with its last; nothing
    /// where more is to come, or the fragment is a wrong one. It lasts until the next call.
    std::optional<ConstByteSpan> take(ConstByteSpan frame, Nanoseconds now);
    void clear() { m_datagrams.clear(); }

private:
    struct Datagram {
        std::array<std::uint8_t, 11> key {}; // source, destination, protocol, identification
        Nanoseconds began {};
        Bytes header; // of the first fragment, Ethernet's too
        Bytes data;
        std::vector<bool> here; // by units of 8 bytes
        std::size_t units = 0;  // that are here
        std::optional<std::size_t> size;
    };

    std::list<Datagram>::iterator find(ConstByteSpan ip, Nanoseconds now);
    static bool add(Datagram& datagram, std::size_t offset, ConstByteSpan data, bool isLast);

    std::list<Datagram> m_datagrams; // the oldest first
    Bytes m_whole;
};

}
