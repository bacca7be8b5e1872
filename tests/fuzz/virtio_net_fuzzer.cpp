#include "tests/fuzz/virtio_fuzz.h"
#include "vmm/backends/tcp_flows.h"
#include "vmm/virtio/network_card.h"

namespace {

/// Takes frames as the real one does, and looks into them.
class Network final : public vmm::NetworkBackend {
public:
    explicit Network(vmm::EventLoop& loop) : m_loop(loop) { }
    vmm::EventLoop& loop() override { return m_loop; }
    void setReceiver(vmm::FrameReceiver* receiver) override { m_receiver = receiver; }
    void send(vmm::ConstByteSpan frame) override
    {
        m_flows.fromGuest(frame);
        for (auto const& flow : m_flows.open())
            m_flows.toGuest(m_flows.probe(flow, 1));
    }
    void receiverReady() override { }
    bool linkUp() const override { return true; }
    bool takesLargeSegments() const override { return true; }
    void arrive(vmm::ConstByteSpan frame) { m_receiver->receive(frame); }

private:
    vmm::EventLoop& m_loop;
    vmm::FrameReceiver* m_receiver = nullptr;
    vmm::TcpFlows m_flows;
};

}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeBoard board;
    tests::ManualLoop loop;
    Network network(loop);
    vmm::virtio::NetworkCard device(board.pci, network, { 0x52, 0x54, 0, 1, 2, 3 });
    fuzz::driveVirtio(
        input, board, loop, device, [&] { network.arrive(input.takeBytes(input.take<std::uint16_t>())); }, [] {});
    return 0;
}
