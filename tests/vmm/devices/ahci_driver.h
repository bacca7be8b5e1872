#pragma once

#include "tests/fakes/fake_block_file.h"
#include "tests/fakes/fake_board.h"
#include "tests/fakes/manual_loop.h"
#include "vmm/devices/ahci_controller.h"
#include "vmm/devices/ata_disk.h"
#include "vmm/devices/atapi_cd.h"

namespace tests {

/// An AHCI controller with a disk at port 0 and a CD drive at port 1, and a driver of it.
struct AhciSetup {
    static constexpr std::uint64_t bar = 0xe0000000, diskSize = 256 << 10, cdSize = 64 * 2048;
    static constexpr std::uint64_t listAt = 0x1000, fisAt = 0x3000, tableAt = 0x4000, dataAt = 0x20000;
    static constexpr unsigned disk = 0, cd = 1;
    enum Register : unsigned {
        Is = 0x10,
        Ie = 0x14,
        Cmd = 0x18,
        Tfd = 0x20,
        Sig = 0x24,
        Ssts = 0x28,
        Sctl = 0x2c,
        Serr = 0x30,
        Sact = 0x34,
        Ci = 0x38
    };

    AhciSetup()
    {
        controller.connectInterrupt(irq);
        config(0x24, static_cast<std::uint32_t>(bar));
        config(0x04, 6);
    }
    ~AhciSetup() { settle(); }

    static std::unique_ptr<vmm::BlockImage> openImage(vmm::IoEngine& engine, FakeDisk& file, vmm::Access access)
    {
        return std::move(*vmm::BlockImage::open(
            engine, std::make_unique<FakeBlockFile>(file), { .access = access, .format = vmm::ImageFormat::Raw }, {}));
    }

    void config(unsigned offset, std::uint32_t value)
    {
        std::lock_guard const lock(controller.mutex());
        controller.writeConfig(offset, vmm::bytesOf(value));
    }
    std::uint32_t read(unsigned offset)
    {
        std::uint32_t value = 0xeeeeeeee;
        board.memory.read(bar + offset, vmm::writableBytesOf(value));
        return value;
    }
    void write(unsigned offset, std::uint32_t value) { board.memory.write(bar + offset, vmm::bytesOf(value)); }
    std::uint32_t port(unsigned index, unsigned offset) { return read(0x100 + 0x80 * index + offset); }
    void setPort(unsigned index, unsigned offset, std::uint32_t value) { write(0x100 + 0x80 * index + offset, value); }
    std::uint8_t* ram(std::uint64_t address) { return board.ramBlock->data() + address; }
    vmm::ConstByteSpan data(std::size_t size) { return { ram(dataAt), size }; }
    vmm::ConstByteSpan received(unsigned index, unsigned offset, std::size_t size)
    {
        return { ram(fisAt + 256 * index + offset), size };
    }

    /// Everything that the host can do is done.
    void settle()
    {
        do {
            loop.turn();
        } while (engine.wait());
        loop.turn();
    }

    void startPort(unsigned index)
    {
        setPort(index, 0x00, static_cast<std::uint32_t>(listAt + 1024 * index));
        setPort(index, 0x08, static_cast<std::uint32_t>(fisAt + 256 * index));
        setPort(index, Serr, ~0u);
        setPort(index, Is, ~0u);
        setPort(index, Cmd, 0x11);
    }
    void recover(unsigned index)
    {
        setPort(index, Cmd, 0x10);
        startPort(index);
    }

    struct Region {
        std::uint64_t address;
        std::uint32_t size;
    };
    std::uint64_t table(unsigned index, unsigned slot) const { return tableAt + 0x2000 * index + 0x200 * slot; }
    /// Fills a slot; `fis` from the command byte on.
    void prepare(unsigned index, unsigned slot, std::vector<std::uint8_t> const& fis,
        std::vector<Region> const& regions, std::vector<std::uint8_t> const& packet = {})
    {
        auto const header = listAt + 1024 * index + 32 * slot, place = table(index, slot);
        std::fill_n(ram(place), 0x200, 0);
        std::fill_n(ram(header), 32, 0);
        ram(place)[0] = 0x27;
        ram(place)[1] = 0x80;
        std::copy(fis.begin(), fis.end(), ram(place) + 2);
        std::copy(packet.begin(), packet.end(), ram(place) + 0x40);
        for (std::size_t i = 0; i < regions.size(); ++i) {
            vmm::ByteSpan const entry(ram(place + 0x80 + 16 * i), 16);
            vmm::storeLittle(entry.first(8), regions[i].address);
            vmm::storeLittle(entry.subspan(12), regions[i].size - 1);
        }
        ram(header)[0] = packet.empty() ? 5 : 0x25;
        ram(header)[2] = static_cast<std::uint8_t>(regions.size());
        vmm::storeLittle(vmm::ByteSpan(ram(header) + 8, 8), place);
    }
    static std::vector<std::uint8_t> fis(
        std::uint8_t command, std::uint64_t lba, unsigned count, unsigned features = 0, std::uint8_t device = 0x40)
    {
        auto const byte = [](auto value, unsigned shift) { return static_cast<std::uint8_t>(value >> shift); };
        return { command, byte(features, 0), byte(lba, 0), byte(lba, 8), byte(lba, 16), device, byte(lba, 24),
            byte(lba, 32), byte(lba, 40), byte(features, 8), byte(count, 0), byte(count, 8), 0, 0 };
    }
    void issue(unsigned index, std::uint32_t which = 1) { setPort(index, Ci, which); }

    /// One command in slot 0, with `size` bytes of memory at dataAt. The task file after it.
    std::uint32_t ata(unsigned index, std::vector<std::uint8_t> const& command, std::uint32_t size = 0)
    {
        prepare(index, 0, command, size != 0 ? std::vector<Region> { { dataAt, size } } : std::vector<Region> {});
        issue(index);
        settle();
        return port(index, Tfd);
    }
    std::uint32_t packet(std::vector<std::uint8_t> bytes, std::uint32_t size = 0, bool dma = true)
    {
        bytes.resize(12);
        if ((port(cd, Is) & 1 << 30) != 0)
            recover(cd);
        prepare(cd, 0, fis(0xa0, 0xfeff00, 0, dma ? 1 : 0),
            size != 0 ? std::vector<Region> { { dataAt, size } } : std::vector<Region> {}, bytes);
        issue(cd);
        settle();
        return port(cd, Tfd);
    }
    std::uint32_t transferred(unsigned index, unsigned slot = 0)
    {
        return vmm::loadLittle<std::uint32_t>(vmm::ConstByteSpan(ram(listAt + 1024 * index + 32 * slot + 4), 4));
    }
    /// Key, code and qualifier.
    std::array<int, 3> sense()
    {
        packet({ 3, 0, 0, 0, 18 }, 18);
        return { ram(dataAt)[2] & 15, ram(dataAt)[12], ram(dataAt)[13] };
    }

    FakeBoard board;
    FakeIrq irq;
    ManualLoop loop;
    vmm::InlineEngine engine;
    FakeDisk diskFile { patternBytes(diskSize) }, cdFile { patternBytes(cdSize) };
    std::unique_ptr<vmm::BlockImage> diskImage = openImage(engine, diskFile, vmm::Access::ReadWrite),
                                     cdImage = openImage(engine, cdFile, vmm::Access::ReadOnly);
    int ejects = 0, errors = 0;
    unsigned errorPort = 99;
    vmm::AtapiCd* drive = nullptr;
    vmm::AhciController controller { board.pci, makeDevices(), [this](unsigned index, vmm::Error const&) {
                                        ++errors;
                                        errorPort = index;
                                    } };

private:
    std::vector<std::unique_ptr<vmm::SataDevice>> makeDevices()
    {
        std::vector<std::unique_ptr<vmm::SataDevice>> devices;
        devices.push_back(std::make_unique<vmm::AtaDisk>(loop, *diskImage, "disk-serial", false));
        auto made = std::make_unique<vmm::AtapiCd>(loop, [this] { ++ejects; });
        drive = made.get();
        drive->setMedium(cdImage.get());
        devices.push_back(std::move(made));
        return devices;
    }
};

}
