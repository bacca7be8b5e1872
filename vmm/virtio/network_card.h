#pragma once

#include "vmm/backends/network.h"
#include "vmm/state/section.h"
#include "vmm/virtio/virtio_pci.h"

namespace vmm::virtio {

/// A network card (Virtual I/O Device (VIRTIO) Version 1.2, 5.1 "Network Device") with one pair of queues. Received
/// frames may be spread over several buffers. Where the network takes them, the guest hands over TCP segments of up to
/// 64 KiB and leaves all checksums to us.
/// Left out: the control queue, more queue pairs, segmentation on the way to the guest.
///
/// Threads: as VirtioDevice; the loop is the network's, so that frames come in on it.
class NetworkCard final : public VirtioDevice, private FrameReceiver {
public:
    struct State {
        static constexpr std::string_view kind = "virtio-net";
        static constexpr unsigned version = 2; // 2: connected
        PciState pci;
        TransportState transport;
        std::array<std::uint8_t, 6> mac {};
        bool connected = true;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("pci", s.pci);
            v.field("transport", s.transport);
            v.field("mac", s.mac);
            v.field("connected", s.connected, state::Since { 2 });
        }
    };

    NetworkCard(PciServices const& services, NetworkBackend& network, std::array<std::uint8_t, 6> mac);
    ~NetworkCard() override;
    void reset() override { resetTransport(); }
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

    /// Plugs the cable in or pulls it out; the driver is told. Without it frames are lost both ways. A reset changes
    /// nothing of it. Any thread but the network's.
    void setConnected(bool connected);

    /// Before it sends anything else, the card tells the network where it is: it was elsewhere, or in another time.
    /// While the machine stands still.
    void announce();

    /// Since the device was made. Any thread.
    std::uint64_t bytesReceived() const { return m_bytesReceived; }
    std::uint64_t bytesSent() const { return m_bytesSent; }

private:
    bool receive(ConstByteSpan frame) override;
    void serve(unsigned index) override;
    void readDeviceConfig(std::uint64_t offset, ByteSpan data) override;
    void resumed() override;
    void transmit(Chain const& chain);
    bool finishChecksum(ConstByteSpan header, ByteSpan frame) const;

    NetworkBackend& m_network;
    std::array<std::uint8_t, 6> const m_mac;
    bool m_connected = true;        // under the service lock
    bool m_announces = false;       // the same
    std::vector<Chain> m_receiving; // the buffers of the frame in hand
    Chain m_sending;
    Bytes m_frame = Bytes(NetworkBackend::maximumFrame);
    std::atomic<std::uint64_t> m_bytesReceived { 0 }, m_bytesSent { 0 };
};

}
