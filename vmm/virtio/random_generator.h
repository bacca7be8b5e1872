#pragma once

#include "vmm/state/section.h"
#include "vmm/virtio/virtio_pci.h"

namespace vmm::virtio {

/// The entropy device (Virtual I/O Device (VIRTIO) Version 1.2, 5.4 "Entropy Device"): fills buffers from the host's
/// getrandom(2). Not more than bytesPerPeriod in each period, so that a guest that reads for ever does not keep a
/// host's processor busy.
///
/// Threads: as VirtioDevice; it has no state besides the transport's.
class RandomGenerator final : public VirtioDevice {
public:
    struct State {
        static constexpr std::string_view kind = "virtio-rng";
        static constexpr unsigned version = 1;
        PciState pci;
        TransportState transport;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("pci", s.pci);
            v.field("transport", s.transport);
        }
    };

    static constexpr std::uint64_t bytesPerPeriod = 1u << 20;
    static constexpr Nanoseconds period = std::chrono::milliseconds(50);
    /// One buffer gets no more than this; the driver comes back for the rest.
    static constexpr std::size_t bytesPerBuffer = 64u << 10;

    RandomGenerator(PciServices const& services, EventLoop& loop);
    ~RandomGenerator() override;
    void reset() override { resetTransport(); }
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

private:
    void serve(unsigned index) override;
    void readDeviceConfig(std::uint64_t, ByteSpan) override { }
    bool mayFill();

    Chain m_chain;
    std::uint64_t m_spent = 0; // in the period that began at m_begin
    Nanoseconds m_begin { 0 };
    EventLoop::Handle m_nextPeriod;
};

}
