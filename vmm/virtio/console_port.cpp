#include "vmm/virtio/console_port.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm::virtio {

namespace {

// 5.3.2 "Virtqueues", 5.3.3 "Feature bits", 5.3.4 "Device configuration layout".
constexpr unsigned receiveQueue = 0, transmitQueue = 1;
constexpr std::uint64_t featureSize = 1 << 0, featureEmergencyWrite = 1 << 2;
constexpr std::uint16_t configSize = 12, emergencyWriteOffset = 8;

}

ConsolePort::ConsolePort(PciServices const& services, EventLoop& loop, Console& console)
    : VirtioDevice(services, loop,
        { .id = 3,
            .classCode = 0x078000,
            .features = featureSize | featureEmergencyWrite,
            .queueSizes = { 64, 64 },
            .configSize = configSize }),
      m_console(console),
      m_size(console.size().value_or(TerminalSize {}))
{
    m_console.setInputReady([this] { kick(receiveQueue); });
    m_console.setSizeSaid([this] {
        {
            auto const service = lockService();
            takeSize();
        }
        deliverInterrupts();
    });
}

ConsolePort::~ConsolePort()
{
    m_console.setInputReady({});
    m_console.setSizeSaid({});
    detach();
}

void ConsolePort::reset()
{
    resetTransport();
    m_size = m_console.size().value_or(TerminalSize {}); // a machine that is reset is before the same terminal
}

void ConsolePort::serve(unsigned index)
{
    if (index == receiveQueue)
        return receive();
    serveAll(
        index, m_chain,
        [this, index](Chain& chain) {
            print(chain);
            give(index, chain.head, 0);
        },
        Console::scrollback);
}

/// Of more than the console keeps only the end could ever be read.
void ConsolePort::print(Chain const& chain)
{
    auto const kept = std::min<std::uint64_t>(chain.readableBytes, Console::scrollback);
    m_printed.clear();
    slicePieces(chain.readable, chain.readableBytes - kept, kept, m_printed);
    for (auto const& part : m_printed)
        m_console.output({ static_cast<std::uint8_t const*>(part.iov_base), part.iov_len });
}

void ConsolePort::receive()
{
    auto& ring = queue(receiveQueue);
    for (unsigned left = ring.state().size; m_console.hasInput(); --left) {
        if (left == 0) // Others want the loop too.
            return kick(receiveQueue);
        if (ring.take(m_chain) != Queue::Taken::Chain) {
            // Typed text stays in the console until the driver brings a buffer and rings.
            if (!ring.allowKicks())
                return;
            continue;
        }
        std::size_t filled = 0;
        for (auto const& part : m_chain.writable)
            filled += m_console.takeInput({ static_cast<std::uint8_t*>(part.iov_base), part.iov_len });
        give(receiveQueue, m_chain.head, static_cast<std::uint32_t>(filled));
    }
}

void ConsolePort::readDeviceConfig(std::uint64_t offset, ByteSpan data)
{
    std::array<std::uint8_t, configSize> config {};
    storeLittle(ByteSpan(config).subspan(0, 2), m_size.columns);
    storeLittle(ByteSpan(config).subspan(2, 2), m_size.rows);
    storeLittle(ByteSpan(config).subspan(4, 4), 1u); // max_nr_ports
    std::copy_n(config.begin() + static_cast<std::ptrdiff_t>(offset), data.size(), data.begin());
}

void ConsolePort::writeDeviceConfig(std::uint64_t offset, ConstByteSpan data)
{
    // Works before any queue does: a kernel's last words.
    if (offset == emergencyWriteOffset)
        m_console.output(data.first(1));
}

/// With the service lock held. Of a machine that stands still nothing changes: it may be being saved.
void ConsolePort::takeSize()
{
    auto const said = m_console.size();
    if (isPaused() || !said || *said == m_size)
        return;
    m_size = *said;
    noteConfigChange();
}

void ConsolePort::resumed()
{
    takeSize();
}

Section ConsolePort::save() const
{
    return state::save(State { pciState(), transportState(), m_size.columns, m_size.rows });
}

Result<> ConsolePort::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    TRY(checkTransport(saved.pci, saved.transport));
    loadTransport(saved.pci, saved.transport);
    m_size = { saved.columns, saved.rows };
    return {};
}

}
