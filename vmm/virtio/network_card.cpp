#include "vmm/virtio/network_card.h"

#include "vmm/backends/checksum.h"
#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm::virtio {

namespace {

// 5.1.2 "Virtqueues", 5.1.3 "Feature bits".
constexpr unsigned receiveQueue = 0, transmitQueue = 1;
constexpr std::uint64_t featureChecksum = 1 << 0, featureGuestChecksum = 1 << 1, featureMac = 1 << 5,
                        featureHostTso4 = 1 << 11, featureHostTso6 = 1 << 12, featureMergeBuffers = 1 << 15,
                        featureStatus = 1 << 16;
constexpr std::uint16_t linkUp = 1, configSize = 10;

// 5.1.6 "Device Operation": struct virtio_net_hdr.
constexpr std::size_t headerSize = 12, checksumStartOffset = 6, checksumOffsetOffset = 8, bufferCountOffset = 10;
constexpr std::uint8_t needsChecksum = 1, dataValid = 2;
constexpr std::size_t ethernetSize = 14;
// A frame of 64 KiB in the smallest buffers that make sense.
constexpr std::size_t maximumBuffers = 64;

std::uint64_t features(NetworkBackend const& network)
{
    auto const large = network.takesLargeSegments() ? featureChecksum | featureHostTso4 | featureHostTso6 : 0;
    return featureMac | featureStatus | featureMergeBuffers | featureGuestChecksum | large;
}

/// A request of the reverse address resolution protocol (RFC 903) to all, in the card's name: bridges and switches
/// learn from it, and nobody answers. It needs nothing of the guest: which addresses that has we do not know.
Bytes announcement(std::array<std::uint8_t, 6> const& mac)
{
    Bytes frame(60);
    auto const put = [&](std::size_t at, ConstByteSpan bytes) {
        std::copy(bytes.begin(), bytes.end(), frame.begin() + static_cast<std::ptrdiff_t>(at));
    };
    std::fill_n(frame.begin(), 6, std::uint8_t(0xff));
    put(6, mac);
    // The type 0x8035; Ethernet, IPv4, the lengths of their addresses, request reverse; sender, then the one asked for.
    put(12, std::to_array<std::uint8_t>({ 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3 }));
    put(22, mac);
    put(32, mac);
    return frame;
}

/// Whether the guest's stack would check a checksum behind the IP header: then we say that this is done.
bool hasTransportChecksum(ConstByteSpan frame)
{
    auto const isTransport = [](std::uint8_t protocol) { return protocol == 6 || protocol == 17; };
    if (frame.size() < ethernetSize + 20)
        return false;
    switch (loadBig<std::uint16_t>(frame.subspan(12, 2))) {
    // Not for a fragment: its checksum is over the whole.
    case 0x0800: return isTransport(frame[23]) && (loadBig<std::uint16_t>(frame.subspan(20, 2)) & 0x3fff) == 0;
    case 0x86dd: return isTransport(frame[20]);
    default: return false;
    }
}

}

NetworkCard::NetworkCard(PciServices const& services, NetworkBackend& network, std::array<std::uint8_t, 6> mac)
    : VirtioDevice(services, network.loop(),
        { .id = 1,
            .classCode = 0x020000,
            .features = features(network),
            .queueSizes = { 256, 256 },
            .configSize = configSize }),
      m_network(network),
      m_mac(mac)
{
    loop().call([this] { m_network.setReceiver(this); });
}

NetworkCard::~NetworkCard()
{
    loop().call([this] { m_network.setReceiver(nullptr); });
    detach();
}

void NetworkCard::readDeviceConfig(std::uint64_t offset, ByteSpan data)
{
    // 5.1.4 "Device configuration layout": mac, status, max_virtqueue_pairs.
    std::array<std::uint8_t, configSize> config {};
    std::copy(m_mac.begin(), m_mac.end(), config.begin());
    bool const isUp = m_connected && m_network.linkUp();
    storeLittle(ByteSpan(config).subspan(6, 2), std::uint16_t(isUp ? linkUp : 0));
    storeLittle(ByteSpan(config).subspan(8, 2), std::uint16_t(1));
    std::copy_n(config.begin() + static_cast<std::ptrdiff_t>(offset), data.size(), data.begin());
}

void NetworkCard::setConnected(bool connected)
{
    {
        auto const service = lockService();
        if (m_connected == connected)
            return;
        m_connected = connected;
        noteConfigChange();
    }
    deliverInterrupts();
    // What the network has kept for us meanwhile is lost, or comes in.
    loop().post([this] { m_network.receiverReady(); });
}

void NetworkCard::announce()
{
    auto const service = lockService();
    m_announces = true;
}

void NetworkCard::resumed()
{
    if (std::exchange(m_announces, false) && m_connected) {
        auto const frame = announcement(m_mac);
        m_bytesSent += frame.size();
        m_network.send(frame);
    }
    m_network.receiverReady();
}

void NetworkCard::serve(unsigned index)
{
    if (index == receiveQueue) {
        queue(index).suppressKicks();
        m_network.receiverReady();
        return;
    }
    serveAll(index, m_sending, [this](Chain& chain) {
        transmit(chain);
        give(transmitQueue, chain.head, 0);
    });
}

void NetworkCard::transmit(Chain const& chain)
{
    std::array<std::uint8_t, headerSize> header {};
    auto const length = chain.readableBytes - std::min<std::uint64_t>(chain.readableBytes, headerSize);
    if (length < ethernetSize || length > m_frame.size()) {
        trace("virtio-net", "a frame of {} bytes is lost", length);
        return;
    }
    chain.read(0, header);
    auto const frame = ByteSpan(m_frame).first(length);
    chain.read(headerSize, frame); // a copy: what follows looks at it more than once
    if ((header[0] & needsChecksum) != 0 && !finishChecksum(header, frame))
        return;
    if (!m_connected)
        return;
    m_bytesSent += length;
    m_network.send(frame);
}

/// The guest has put the sum of the pseudo header where the checksum belongs; the rest is added to it.
bool NetworkCard::finishChecksum(ConstByteSpan header, ByteSpan frame) const
{
    std::size_t const start = loadLittle<std::uint16_t>(header.subspan(checksumStartOffset, 2));
    std::size_t const offset = loadLittle<std::uint16_t>(header.subspan(checksumOffsetOffset, 2));
    if (!negotiated(featureChecksum) || start + offset + 2 > frame.size()) {
        trace("virtio-net", "a checksum at {} + {} of {} bytes cannot be finished", start, offset, frame.size());
        return false;
    }
    auto sum = static_cast<std::uint16_t>(~onesSum(frame.subspan(start)));
    if (sum == 0)
        sum = 0xffff; // the same number, and UDP's 0 means "none"
    storeLittle(frame.subspan(start + offset, 2), sum);
    return true;
}

bool NetworkCard::receive(ConstByteSpan frame)
{
    Service const service(*this);
    auto& ring = queue(receiveQueue);
    if (!m_connected || !isDriverReady() || !ring.isReady())
        return true; // Nobody listens: lost.
    if (!isServing())
        return false;

    bool const merge = negotiated(featureMergeBuffers);
    std::uint64_t room = 0;
    std::size_t count = 0;
    while (room < headerSize + frame.size() && count < (merge ? maximumBuffers : 1)) {
        if (count == m_receiving.size())
            m_receiving.emplace_back();
        auto taken = ring.take(m_receiving[count]);
        if (taken == Queue::Taken::Empty && ring.allowKicks()) {
            ring.suppressKicks();
            taken = ring.take(m_receiving[count]);
        }
        if (taken != Queue::Taken::Chain) {
            while (count != 0)
                ring.untake(m_receiving[--count]);
            // Broken: lost. Empty: the driver rings when it has brought more.
            return taken == Queue::Taken::Broken;
        }
        room += m_receiving[count++].writableBytes;
    }
    if (room < headerSize + frame.size()) {
        trace("virtio-net", "{} bytes do not fit into the driver's buffers", frame.size());
        while (count != 0)
            ring.untake(m_receiving[--count]);
        return true;
    }

    std::array<std::uint8_t, headerSize> header {};
    if (negotiated(featureGuestChecksum) && hasTransportChecksum(frame))
        header[0] = dataValid;
    storeLittle(ByteSpan(header).subspan(bufferCountOffset, 2), static_cast<std::uint16_t>(count));
    auto headerLeft = ConstByteSpan(header);
    auto frameLeft = frame;
    for (std::size_t i = 0; i < count; ++i) {
        auto const& chain = m_receiving[i];
        auto const ofHeader = chain.write(0, headerLeft);
        headerLeft = headerLeft.subspan(ofHeader);
        auto const ofFrame = chain.write(ofHeader, frameLeft);
        frameLeft = frameLeft.subspan(ofFrame);
        give(receiveQueue, chain.head, static_cast<std::uint32_t>(ofHeader + ofFrame));
    }
    m_bytesReceived += frame.size();
    return true;
}

Section NetworkCard::save() const
{
    return state::save(State { pciState(), transportState(), m_mac, m_connected });
}

Result<> NetworkCard::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    TRY(checkTransport(saved.pci, saved.transport));
    if (saved.mac != m_mac)
        return fail(ErrorCode::Corrupt, "the state belongs to a card with another MAC address");
    loadTransport(saved.pci, saved.transport);
    auto const service = lockService();
    m_connected = saved.connected;
    return {};
}

}
