#include "vmm/machine/pc_board.h"

#include "vmm/base/log.h"
#include "vmm/kvm/vm.h"
#include "vmm/memory/layout.h"
#include "vmm/usb/usb_gamepad.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

Result<std::unique_ptr<Board>> Board::create(
    VmConfig const& config, Vm& vm, EventLoop& loop, GuestTime& time, BoardEvents events)
{
    auto board = std::make_unique<PcBoard>(config, vm, loop, time, std::move(events));
    TRY(board->assemble());
    return std::unique_ptr<Board>(std::move(board));
}

PcBoard::PcBoard(VmConfig const& config, Vm& vm, EventLoop& loop, GuestTime& time, BoardEvents events)
    : m_config(config),
      m_vm(vm),
      m_loop(loop),
      m_time(time),
      m_events(std::move(events)),
      m_services { m_ports, m_memory, vm, vm, vm, m_ram }
{
}

PcBoard::~PcBoard()
{
    m_usbVisitors.clear();
    m_parts.clear();
    while (!m_devices.empty())
        m_devices.pop_back();
}

Result<> PcBoard::assemble()
{
    TRY(addMemory());
    TRY(addChipset());
    TRY(addLegacyDevices());
    TRY(addSerials());
    TRY(addDisplays());
    TRY(addDisks());
    TRY(addNetworks());
    TRY(addVirtio());
    TRY(addUsb());
    return addFirmwareConfig();
}

Result<> PcBoard::addMemory()
{
    auto const size = std::uint64_t(m_config.memoryMiB) << 20;
    auto& ram = *m_ownBlocks.emplace_back(TRY(MemoryBlock::create("ram", size)));
    m_blocks.push_back(&ram);
    m_volatile.push_back(&ram);
    auto const low = layout::lowRamSize(size), high = layout::highRamSize(size);
    m_ram.add({ 0, low, &ram, 0 });
    if (high > 0)
        m_ram.add({ layout::highRam, high, &ram, low });

    // A0000 is the display's window, C0000 to FFFFF is LegacyMemory's.
    auto const map = [&](std::uint64_t address, std::uint64_t offset, std::uint64_t bytes) -> Result<> {
        TRY(m_vm.map(address, ram, offset, bytes, MemoryMapper::Access::ReadWrite, MemoryMapper::DirtyLog::Off));
        return {};
    };
    TRY(map(0, 0, layout::legacyVga));
    if (low > layout::legacyEnd)
        TRY(map(layout::legacyEnd, layout::legacyEnd, low - layout::legacyEnd));
    if (high > 0)
        TRY(map(layout::highRam, low, high));
    auto* const firmware = TRY(loadFirmware());
    m_legacy = TRY(LegacyMemory::create(m_vm, m_memory, ram, firmware));
    return addVariables(firmware ? firmware->size() : 0);
}

Result<> PcBoard::addChipset()
{
    std::array<IrqLine*, Ich9Lpc::gsiCount> lines {};
    for (unsigned gsi = 0; gsi < lines.size(); ++gsi)
        lines[gsi] = &m_vm.line(gsi);
    Ich9Lpc::Requests requests;
    requests.powerOff = m_events.powerOffRequested;
    requests.reset = m_events.resetRequested;
    requests.sleep
        = [](unsigned type) { log(LogLevel::Info, "board", "the guest asks for sleep state type {}", type); };
    auto lpc = std::make_unique<Ich9Lpc>(m_services, m_time, lines, std::move(requests));
    auto bus = std::make_unique<PciBus>(m_ports, m_memory, lpc->pirqs());
    auto host = std::make_unique<Q35Host>(m_services, *bus, *m_legacy);
    TRY(bus->plug(0, 0, *host));
    TRY(bus->plug(0x1f, 0, *lpc));
    bus->setResetControl(lpc->resetControl());
    m_lpc = &keep("lpc", std::move(lpc));
    m_pci = &keep("pci", std::move(bus));
    m_host = &keep("host-bridge", std::move(host));
    return {};
}

Result<std::string> PcBoard::plug(PciFunction& device)
{
    // Every slot once, as most guests expect; when all are taken, the second function of each, and so on.
    constexpr unsigned firstSlot = 1, slots = 0x1f - firstSlot; // 0 and 1f are the chipset's
    auto const slot = firstSlot + m_plugged % slots, function = m_plugged / slots;
    if (function >= PciBus::functionCount)
        return fail(ErrorCode::InvalidArgument,
            fmt::format("the machine has more than {} PCI devices", slots * PciBus::functionCount));
    TRY(m_pci->plug(slot, function, device));
    ++m_plugged;
    return function == 0 ? fmt::format("{:x}", slot) : fmt::format("{:x},{:x}", slot, function);
}

void PcBoard::forgetMemory()
{
    for (auto* block : m_volatile)
        block->clear();
}

Result<> PcBoard::restored()
{
    // The guest has gone back: what it drew from its random numbers since may be drawn again.
    m_generation->setId(VmGenerationId::randomId());
    m_lpc->raiseGpe(Ich9Lpc::generationGpe);
    for (auto const& [id, card] : m_networkCards)
        card->announce();
    openForwardsThatCanBeHad();
    return m_variablesFile ? Result<>() : storeVariables();
}

void PcBoard::pressPowerButton()
{
    m_lpc->pressPowerButton();
}

PointerSink* PcBoard::tablet() const
{
    auto const found = std::find_if(
        m_tablets.rbegin(), m_tablets.rend(), [](PointerSink const* tablet) { return tablet->wantsAbsolute(); });
    return found == m_tablets.rend() ? nullptr : *found;
}

PointerSink* PcBoard::mouse() const
{
    auto const found
        = std::find_if(m_mice.rbegin(), m_mice.rend(), [](PointerSink const* mouse) { return mouse->isListenedTo(); });
    return found == m_mice.rend() ? nullptr : *found;
}

void PcBoard::key(KeyInput const& input)
{
    auto const listening = std::find_if(m_keyboards.rbegin(), m_keyboards.rend(),
        [](KeyboardSink const* keyboard) { return keyboard->isListenedTo(); });
    auto& target = m_held.try_emplace(input.code, *listening).first->second;
    target->key(input);
    if (!input.pressed)
        m_held.erase(input.code);
}

void PcBoard::input(Input const& input)
{
    // Buttons and wheel go where the pointer's position goes.
    auto* const absolutePointer = tablet();
    auto* const pointer = absolutePointer ? absolutePointer : mouse();
    if (auto const* pressed = std::get_if<KeyInput>(&input))
        key(*pressed);
    else if (auto const* absolute = std::get_if<AbsoluteMove>(&input); absolute && absolutePointer)
        absolutePointer->move(*absolute);
    else if (auto const* relative = std::get_if<RelativeMove>(&input); relative && mouse())
        mouse()->move(*relative);
    else if (auto const* button = std::get_if<ButtonInput>(&input); button && pointer)
        pointer->button(*button);
    else if (auto const* wheel = std::get_if<WheelMove>(&input); wheel && pointer)
        pointer->wheel(*wheel);
    else if (auto const* pad = std::get_if<GamepadInput>(&input)) {
        if (auto const found = m_gamepads.find(pad->device); found != m_gamepads.end())
            found->second->set(pad->state);
    }
}

Console* PcBoard::console(std::string_view id)
{
    std::lock_guard const lock(m_listsMutex);
    auto const found = m_consoles.find(id);
    return found == m_consoles.end() ? nullptr : found->second.get();
}

AudioPort* PcBoard::audio(std::string_view id)
{
    std::lock_guard const lock(m_listsMutex);
    auto const found = m_audio.find(id);
    return found == m_audio.end() ? nullptr : found->second.get();
}

Screen* PcBoard::screen(std::string_view id)
{
    auto const found = m_screens.find(id);
    return found == m_screens.end() ? nullptr : found->second;
}

}
