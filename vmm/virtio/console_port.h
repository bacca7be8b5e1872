#pragma once

#include "vmm/backends/console.h"
#include "vmm/state/section.h"
#include "vmm/virtio/virtio_pci.h"

namespace vmm::virtio {

/// A console with one port (Virtual I/O Device (VIRTIO) Version 1.2, 5.3 "Console Device"): hvc0 of a Linux guest.
/// What is typed waits in the Console until the driver has a buffer for it. How large the person's terminal is the
/// guest hears at once, or when the machine goes on. Left out: VIRTIO_CONSOLE_F_MULTIPORT; more ports are more devices.
///
/// Threads: as VirtioDevice. The Console is safe from any.
class ConsolePort final : public VirtioDevice {
public:
    struct State {
        static constexpr std::string_view kind = "virtio-console";
        static constexpr unsigned version = 1;
        PciState pci;
        TransportState transport;
        std::uint16_t columns = 80, rows = 25;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("pci", s.pci);
            v.field("transport", s.transport);
            v.field("columns", s.columns);
            v.field("rows", s.rows);
        }
    };

    ConsolePort(PciServices const& services, EventLoop& loop, Console& console);
    ~ConsolePort() override;
    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

private:
    void serve(unsigned index) override;
    void resumed() override;
    void readDeviceConfig(std::uint64_t offset, ByteSpan data) override;
    void writeDeviceConfig(std::uint64_t offset, ConstByteSpan data) override;
    void print(Chain const& chain);
    void receive();
    void takeSize();

    Console& m_console;
    Chain m_chain;
    std::vector<iovec> m_printed; // here for its room
    TerminalSize m_size;
};

}
