#pragma once

#include "vmm/backends/input.h"
#include "vmm/state/section.h"
#include "vmm/virtio/virtio_pci.h"

#include <deque>

namespace vmm::virtio {

/// One event as the guest gets it: Linux' own numbers (linux/input-event-codes.h).
struct TabletEvent {
    std::uint16_t type = 0, code = 0;
    std::uint32_t value = 0;
    bool operator==(TabletEvent const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("type", s.type);
        v.field("code", s.code);
        v.field("value", s.value);
    }
};

/// A tablet (Virtual I/O Device (VIRTIO) Version 1.2, 5.8 "Input Device"): an absolute pointer from 0 to 32767 on both
/// axes, with five buttons and two wheels. What the guest does not fetch is kept up to queuedEvents; of moves in a row
/// only the last is kept, for that is where the pointer is.
///
/// Threads: as VirtioDevice; input comes from any thread, without locks held.
class Tablet final : public VirtioDevice, public PointerSink {
public:
    static constexpr std::size_t queuedEvents = 512;

    struct State {
        static constexpr std::string_view kind = "virtio-tablet";
        static constexpr unsigned version = 1;
        PciState pci;
        TransportState transport;
        std::uint8_t select = 0, subselect = 0; ///< of configuration space
        std::vector<TabletEvent> events;        ///< that wait for a buffer
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("pci", s.pci);
            v.field("transport", s.transport);
            v.field("select", s.select);
            v.field("subselect", s.subselect);
            v.field("events", s.events, state::Max { queuedEvents });
        }
    };

    /// `wantsAbsoluteChanged` is called with the device's lock held when the driver comes or goes.
    Tablet(PciServices const& services, EventLoop& loop, std::function<void()> wantsAbsoluteChanged = {});
    ~Tablet() override;
    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

    bool wantsAbsolute() const override { return m_ready; }
    using PointerSink::move;
    void move(AbsoluteMove to) override;
    void button(ButtonInput input) override;
    void wheel(WheelMove move) override;

private:
    void serve(unsigned index) override;
    void readDeviceConfig(std::uint64_t offset, ByteSpan data) override;
    void writeDeviceConfig(std::uint64_t offset, ConstByteSpan data) override;
    void driverReady() override { setReady(true); }
    void driverGone() override;
    void resumed() override { setReady(isDriverReady()); }
    void setReady(bool ready);
    void post(std::initializer_list<TabletEvent> events);

    Chain m_chain;
    std::uint8_t m_select = 0, m_subselect = 0;
    std::deque<TabletEvent> m_events;
    std::function<void()> m_wantsAbsoluteChanged;
    std::atomic<bool> m_ready { false };
};

}
