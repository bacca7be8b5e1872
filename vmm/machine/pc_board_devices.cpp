#include "vmm/backends/user_network.h"
#include "vmm/devices/i8042.h"
#include "vmm/devices/isa_debug.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/rtc_mc146818.h"
#include "vmm/devices/uart_16550.h"
#include "vmm/devices/vga.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/pc_board.h"
#include "vmm/memory/layout.h"
#include "vmm/virtio/console_port.h"
#include "vmm/virtio/random_generator.h"
#include "vmm/virtio/tablet.h"

#include <bit>
#include <fmt/format.h>

namespace vmm {

Result<> PcBoard::addLegacyDevices()
{
    auto& keyboard
        = keep("i8042", std::make_unique<I8042>(m_vm.line(1), m_vm.line(12), m_time, m_events.resetRequested));
    TRY(m_ports.map(I8042::dataPort, 1, keyboard.dataWindow()));
    TRY(m_ports.map(I8042::commandPort, 1, keyboard.commandWindow()));
    m_keyboards.push_back(&keyboard.keyboard());
    m_mice.push_back(&keyboard.mouse());

    constexpr unsigned cmosCpuCount = 0x5f; // how many processors SeaBIOS waits for, less one
    auto& rtc = keep("rtc", std::make_unique<RtcMc146818>(m_vm.line(8), m_time));
    auto const size = std::uint64_t(m_config.memoryMiB) << 20;
    rtc.setMemorySize(layout::lowRamSize(size), layout::highRamSize(size));
    rtc.setByte(cmosCpuCount, static_cast<std::uint8_t>(m_config.cpus - 1));
    TRY(m_ports.map(RtcMc146818::port, RtcMc146818::size, rtc));

    m_generation = &keep("generation-id", TRY(VmGenerationId::create(m_vm, VmGenerationId::randomId())));
    return {};
}

Result<> PcBoard::addDisplays()
{
    bool first = true;
    for (auto const& config : m_config.displays) {
        auto const size = std::bit_ceil(std::uint64_t(config.videoMemoryMiB)) << 20;
        auto& memory = *m_ownBlocks.emplace_back(TRY(MemoryBlock::create(config.id + "-memory", size)));
        m_blocks.push_back(&memory);
        m_volatile.push_back(&memory);
        // The old ports and the window at A0000 are there once.
        auto const legacy = first ? Vga::Legacy::Yes : Vga::Legacy::No;
        auto* const bios = first ? TRY(loadDisplayBios(config.id)) : nullptr;
        auto& vga = keep(config.id, std::make_unique<Vga>(m_services, m_time, memory, legacy, bios));
        TRY(plug(vga));
        m_screens[config.id] = &vga;
        first = false;
    }
    return {};
}

Result<> PcBoard::addNetworks()
{
    for (auto const& config : m_config.networks) {
        NetworkBackend* backend = nullptr;
        if (config.mode == NetworkMode::User) {
            auto& user = keep(config.id + "-user", TRY_WITHIN(config.id, UserNetwork::create(m_time)));
            m_userNetworks[config.id] = &user;
            backend = &user;
        } else {
            backend = m_unplugged.emplace_back(std::make_unique<NoNetwork>(m_loop)).get();
        }
        auto const mac = TRY(parseMac(config.mac));
        auto& card = keep(config.id, std::make_unique<virtio::NetworkCard>(m_services, *backend, mac));
        card.setConnected(config.connected);
        m_networkCards[config.id] = &card;
        TRY(plug(card));
    }
    return {};
}

Result<> PcBoard::openForwards()
{
    for (auto const& network : m_config.networks) {
        auto const user = m_userNetworks.find(network.id);
        for (auto const& forward : network.forwards) {
            if (user != m_userNetworks.end())
                TRY_WITHIN(network.id, user->second->addForward(forward));
        }
    }
    return {};
}

void PcBoard::openForwardsThatCanBeHad()
{
    for (auto const& network : m_config.networks) {
        auto const user = m_userNetworks.find(network.id);
        if (user == m_userNetworks.end())
            continue;
        std::optional<Error> why;
        for (auto const& forward : network.forwards) {
            auto const opened = user->second->addForward(forward);
            if (!opened && why)
                why->detail += fmt::format(", nor {}:{}", forward.hostAddress, forward.hostPort);
            else if (!opened)
                why = opened.error();
        }
        if (why)
            m_events.forwardsMissed(network.id, std::move(*why));
    }
}

Result<> PcBoard::setForwards(std::string_view network, std::vector<PortForward> const& forwards)
{
    auto const found = m_userNetworks.find(network);
    if (found == m_userNetworks.end())
        return fail(ErrorCode::NotFound, fmt::format("there is no network {} that can forward ports", network));
    return found->second->setForwards(forwards);
}

Result<> PcBoard::setConnected(std::string_view network, bool connected)
{
    auto const found = m_networkCards.find(network);
    if (found == m_networkCards.end())
        return fail(ErrorCode::NotFound, fmt::format("there is no network card {}", network));
    found->second->setConnected(connected);
    return {};
}

Result<> PcBoard::addSerials()
{
    auto& com13 = m_sharedLines.emplace_back(m_vm.line(comPorts[0].irq));
    auto& com24 = m_sharedLines.emplace_back(m_vm.line(comPorts[1].irq));
    unsigned next = 0;
    for (auto const& serial : m_config.serials) {
        auto& console = addConsole(serial.id);
        if (serial.virtio)
            continue;
        auto const& com = comPorts.at(next++);
        auto& line = (com.irq == comPorts[0].irq ? com13 : com24).addSource();
        auto& uart = keep(serial.id, std::make_unique<Uart16550>(line, m_time, console));
        TRY(m_ports.map(com.port, Uart16550::size, uart));
    }

    auto& panic = keep("pvpanic", std::make_unique<PvPanic>([this](std::uint8_t events) {
        if ((events & PvPanic::panicked) != 0)
            m_events.crashed({ ErrorCode::GuestFault, "the guest's system has panicked", 0 });
    }));
    TRY(m_ports.map(PvPanic::port, PvPanic::size, panic));
    if (m_config.debugConsole) {
        auto& console = addConsole("debug");
        auto& debug = keep("debug-console", std::make_unique<IsaDebugConsole>(console));
        TRY(m_ports.map(IsaDebugConsole::port, IsaDebugConsole::size, debug));
        auto& exit = keep("debug-exit", std::make_unique<IsaDebugExit>([this](std::uint32_t value) {
            m_events.crashed({ ErrorCode::GuestFault, fmt::format("the guest ended itself with {:#x}", value), 0 });
        }));
        TRY(m_ports.map(IsaDebugExit::port, IsaDebugExit::size, exit));
    }
    return {};
}

Result<> PcBoard::addVirtio()
{
    for (auto const& serial : m_config.serials) {
        if (!serial.virtio)
            continue;
        auto& port = keep(serial.id, std::make_unique<virtio::ConsolePort>(m_services, m_loop, *m_consoles[serial.id]));
        TRY(plug(port));
    }
    for (unsigned i = 0; i < m_config.randomGenerators; ++i) {
        auto& generator = keep(fmt::format("rng{}", i), std::make_unique<virtio::RandomGenerator>(m_services, m_loop));
        TRY(plug(generator));
    }
    if (m_config.tablet) {
        auto& tablet
            = keep("tablet", std::make_unique<virtio::Tablet>(m_services, m_loop, m_events.pointerModeChanged));
        TRY(plug(tablet));
        m_tablets.push_back(&tablet);
    }
    return {};
}

}
