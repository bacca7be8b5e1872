#include "vmm/base/log.h"
#include "vmm/base/unique_fd.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/direct_boot.h"
#include "vmm/boot/firmware_files.h"
#include "vmm/boot/memory_map.h"
#include "vmm/boot/smbios.h"
#include "vmm/devices/fw_cfg.h"
#include "vmm/devices/pflash_cfi.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/rtc_mc146818.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/pc_board.h"
#include "vmm/memory/layout.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

/// Firmware and what it reads about its machine; or, without it, the kernel that is booted directly.
namespace vmm {

namespace {

constexpr char const* seabiosImage = "seabios/bios-256k.bin";
constexpr char const* ovmfImage = "OVMF/OVMF_CODE_4M.fd";
constexpr char const* ovmfVariables = "OVMF/OVMF_VARS_4M.fd";
constexpr char const* vgaBios = "seabios/vgabios-stdvga.bin";

/// Where Debian's packages put it, or below the directory that CHRONOVISOR_FIRMWARE names.
std::string firmwarePath(char const* name)
{
    auto const* const own = std::getenv("CHRONOVISOR_FIRMWARE");
    return fmt::format("{}/{}", own ? own : "/usr/share", name);
}

Result<> writeAt(int fd, std::uint64_t offset, ConstByteSpan data)
{
    while (!data.empty()) {
        auto const written = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return failOs("cannot write the firmware's variables");
        data = data.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

/// What the machine has kept at `path`, or `first` before its first start.
Result<Bytes> readVariables(std::string const& path, Bytes const& first)
{
    if (path.empty())
        return first;
    auto kept = FileSource::open(path);
    if (!kept && kept.error().code == ErrorCode::NotFound)
        return first;
    return readKeptVariables(TRY(std::move(kept)), path, first);
}

Result<std::unique_ptr<MemoryBlock>> blockOf(std::string name, Bytes const& contents)
{
    auto block = TRY(MemoryBlock::create(std::move(name), contents.size()));
    std::copy(contents.begin(), contents.end(), block->data());
    return block;
}

}

/// The image that ends at 4 GiB. Part of the saved memory: a restored machine goes on with the firmware that it began
/// with, as long as the host's has the same size.
Result<MemoryBlock*> PcBoard::loadFirmware()
{
    if (m_config.firmware == Firmware::None)
        return nullptr;
    auto const path = firmwarePath(m_config.firmware == Firmware::Ovmf ? ovmfImage : seabiosImage);
    auto const file = TRY_WITHIN("the machine's firmware", FileSource::open(path));
    auto const contents = TRY_WITHIN("the machine's firmware", readFirmware(file, path));
    auto& block = *m_ownBlocks.emplace_back(TRY(blockOf("firmware", contents)));
    m_blocks.push_back(&block);
    return &block;
}

/// OVMF's variables lie right below its code, in a flash chip that the guest writes.
Result<> PcBoard::addVariables(std::uint64_t codeSize)
{
    if (m_config.firmware != Firmware::Ovmf)
        return {};
    auto const path = firmwarePath(ovmfVariables);
    auto const file = TRY_WITHIN("the firmware's variables", FileSource::open(path));
    auto const first = TRY_WITHIN("the firmware's variables", readFirstVariables(file, path, codeSize));
    auto const variables = TRY_WITHIN("the firmware's variables", readVariables(m_config.firmwareVariables, first));
    auto& block = *m_ownBlocks.emplace_back(TRY(blockOf(firmwareVariablesBlock, variables)));
    m_blocks.push_back(&block);

    m_variables = &block;

    PflashCfi::Store store;
    if (!m_config.firmwareVariables.empty()) {
        // On the machine's thread: a vCPU does not wait for a disk.
        store = [this](std::uint64_t offset, ConstByteSpan bytes) {
            m_loop.post([this, offset, copy = Bytes(bytes.begin(), bytes.end())] {
                if (auto const written = writeVariables(offset, copy); !written) {
                    m_flash->storeAgain();
                    m_events.hostFailed(written.error());
                }
            });
        };
    }
    auto const address = layout::flashEnd - codeSize - block.size();
    auto& flash
        = keep("firmware-flash", std::make_unique<PflashCfi>(m_vm, address, block, PflashCfi::Writable::Yes, store));
    m_flash = &flash;
    return m_memory.map(address, block.size(), flash);
}

/// The BIOS of the first display, in its expansion ROM: there it learns which card it runs, and so where the frame
/// buffer is. SeaBIOS wants one; OVMF brings its own driver.
Result<MemoryBlock*> PcBoard::loadDisplayBios(std::string const& display)
{
    if (m_config.firmware != Firmware::SeaBios)
        return nullptr;
    auto const path = firmwarePath(vgaBios);
    auto const file = TRY_WITHIN("the display's firmware", FileSource::open(path));
    auto const contents = TRY_WITHIN("the display's firmware", readDisplayBios(file, path));
    auto& block = *m_ownBlocks.emplace_back(TRY(blockOf(display + "-bios", contents)));
    m_blocks.push_back(&block);
    return &block;
}

Result<> PcBoard::writeVariables(std::uint64_t offset, ConstByteSpan bytes)
{
    TRY(writeAt(m_variablesFile.get(), offset, bytes));
    return ::fdatasync(m_variablesFile.get()) == 0 ? Result<>()
                                                   : failOs("cannot make the firmware's variables durable");
}

/// The whole chip goes into its file when the machine begins to run here: at a first start there is none, and a
/// restored chip is not what the file has.
Result<> PcBoard::storeVariables()
{
    if (!m_variables || m_config.firmwareVariables.empty())
        return {};
    TRY_WITHIN("the firmware's variables", replaceFile(m_config.firmwareVariables, m_variables->bytes()));
    m_variablesFile = TRY(openFile(m_config.firmwareVariables, O_RDWR));
    return {};
}

AcpiConfig PcBoard::acpiConfig() const
{
    AcpiConfig acpi;
    acpi.cpus = m_config.cpus;
    acpi.ramSize = std::uint64_t(m_config.memoryMiB) << 20;
    {
        std::lock_guard const lock(m_host->mutex());
        acpi.ecamBase = m_host->ecamBase().value_or(layout::ecam);
    }
    unsigned port = 1;
    for (auto const& serial : m_config.serials) {
        if (!serial.virtio)
            acpi.serialPorts.push_back(port++);
    }
    acpi.display = !m_config.displays.empty();
    return acpi;
}

SmbiosConfig PcBoard::smbiosConfig() const
{
    return { m_config.uuid, m_config.name, m_config.cpus, std::uint64_t(m_config.memoryMiB) << 20 };
}

Result<> PcBoard::addFirmwareConfig()
{
    auto fwCfg = std::make_unique<FwCfg>(m_ram);
    auto const ramSize = std::uint64_t(m_config.memoryMiB) << 20;
    fwCfg->addNumber(FwCfg::RamSize, ramSize);
    fwCfg->addNumber(FwCfg::CpuCount, std::uint16_t(m_config.cpus));
    fwCfg->addNumber(FwCfg::MaximumCpus, std::uint16_t(m_config.cpus));
    fwCfg->addNumber(FwCfg::NoGraphic, std::uint16_t(m_config.displays.empty()));

    // Where the tables say that PCI is depends on where firmware has put it, so they are made when they are asked for.
    auto const acpiFile = [&](std::string_view name, auto const& part) {
        fwCfg->addFile(std::string(name), part(buildAcpi(acpiConfig())),
            [this, part](Bytes& contents) { contents = part(buildAcpi(acpiConfig())); });
    };
    acpiFile(acpiRsdpFile, [](AcpiTables const& tables) { return tables.rsdp; });
    acpiFile(acpiTablesFile, [](AcpiTables const& tables) { return tables.tables; });
    acpiFile(acpiLoaderFile, [](AcpiTables const& tables) { return acpiLoaderScript(tables); });
    fwCfg->addFile("etc/system-states", acpiSystemStates());
    auto const smbios = TRY(buildSmbios(smbiosConfig()));
    fwCfg->addFile(std::string(smbiosAnchorFile), smbios.anchor);
    fwCfg->addFile(std::string(smbiosTablesFile), smbios.tables);
    fwCfg->addFile(std::string(memoryMapFile), memoryMapBytes(firmwareMemoryMap(ramSize)));
    constexpr std::uint16_t panicPort = PvPanic::port;
    auto const panicPortBytes = bytesOf(panicPort);
    fwCfg->addFile("etc/pvpanic-port", Bytes(panicPortBytes.begin(), panicPortBytes.end()));
    if (auto const order = bootOrder(); !order.empty())
        fwCfg->addFile("bootorder", order);

    auto& kept = keep("fw-cfg", std::move(fwCfg));
    m_firmwareConfig = &kept;
    TRY(m_ports.map(FwCfg::dataPort, FwCfg::dataSize, kept.dataWindow()));
    return m_ports.map(FwCfg::dmaPort, FwCfg::dmaSize, kept.dmaWindow());
}

/// Open Firmware device paths, the first to boot first, a line each and a zero at the end: what SeaBIOS and OVMF match
/// their devices with.
Bytes PcBoard::bootOrder() const
{
    std::vector<std::string> order = m_config.bootOrder;
    if (order.empty()) {
        for (auto const& disk : m_config.disks)
            order.push_back(disk.id);
        for (auto const& cd : m_config.cds)
            order.push_back(cd.id);
    }
    std::string text;
    for (auto const& id : order) {
        if (auto const found = m_bootPaths.find(id); found != m_bootPaths.end())
            text += (text.empty() ? "" : "\n") + found->second;
    }
    if (text.empty())
        return {};
    text += '\0';
    return Bytes(text.begin(), text.end());
}

void PcBoard::setBootOrder()
{
    auto order = bootOrder();
    std::lock_guard const lock(m_firmwareConfig->mutex());
    if (order.empty())
        m_firmwareConfig->removeFile("bootorder");
    else
        m_firmwareConfig->addFile("bootorder", std::move(order));
}

Result<std::optional<BootCpuState>> PcBoard::prepareBoot()
{
    if (!m_variablesFile)
        TRY(storeVariables());
    setBootOrder();
    if (!m_config.kernel)
        return std::optional<BootCpuState>();
    m_host->setUpLikeFirmware();
    m_lpc->setUpLikeFirmware();
    auto const kernel = TRY_WITHIN("the kernel", FileSource::open(m_config.kernel->kernel));
    std::optional<FileSource> initrd;
    if (!m_config.kernel->initrd.empty())
        initrd = TRY_WITHIN("the initrd", FileSource::open(m_config.kernel->initrd));
    BootImages const images { kernel, initrd ? &*initrd : nullptr, m_config.kernel->commandLine };
    return std::optional(TRY(bootDirectly(m_ram, images, acpiConfig(), smbiosConfig())));
}

}
