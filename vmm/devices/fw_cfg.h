#pragma once

#include "vmm/bus/device.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/state/options.h"

#include <functional>
#include <map>
#include <string>

namespace vmm {

/// How firmware learns about its machine (QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device"): items of
/// bytes, found by a 16-bit key or by a name in the directory.
///
///   port          | read                         | write
///   0x510 (2)     | all ones                     | the item to select, from its start
///   0x511 (1)     | the next byte of the item    | -
///   0x514 (8, BE) | the signature "QEMU CFG"     | address of a DMA request; the low half starts it
///
/// The machine adds all items before the guest runs.
class FwCfg final : public Device {
public:
    static constexpr std::uint64_t dataPort = 0x510, dataSize = 2, dmaPort = 0x514, dmaSize = 8;
    static constexpr std::uint64_t maximumFiles = 256;
    static constexpr std::uint64_t maximumWritable = 1u << 20; ///< bytes of one writable file
    static constexpr std::size_t maximumName = 55;

    /// The items that have a number of their own.
    enum Key : std::uint16_t {
        Signature = 0x00,
        Id = 0x01,
        Uuid = 0x02,
        RamSize = 0x03,
        NoGraphic = 0x04,
        CpuCount = 0x05,
        MachineId = 0x06,
        KernelAddress = 0x07,
        KernelSize = 0x08,
        KernelCommandLine = 0x09,
        InitrdAddress = 0x0a,
        InitrdSize = 0x0b,
        BootDevice = 0x0c,
        Numa = 0x0d,
        BootMenu = 0x0e,
        MaximumCpus = 0x0f,
        KernelEntry = 0x10,
        KernelData = 0x11,
        InitrdData = 0x12,
        CommandLineAddress = 0x13,
        CommandLineSize = 0x14,
        CommandLineData = 0x15,
        SetupAddress = 0x16,
        SetupSize = 0x17,
        SetupData = 0x18,
        FileDirectory = 0x19,
        FirstFile = 0x20,
        // Of the PC alone.
        AcpiTables = 0x8000,
        SmbiosTables = 0x8001,
        Irq0Override = 0x8002,
        E820Table = 0x8003,
        Hpet = 0x8004,
    };

    struct WritableItem {
        std::string name;
        Bytes contents;
        bool operator==(WritableItem const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("name", s.name, state::Max { maximumName });
            v.field("contents", s.contents, state::Max { maximumWritable });
        }
    };
    struct State {
        static constexpr std::string_view kind = "fw-cfg";
        static constexpr unsigned version = 1;
        std::uint16_t selector = 0;
        std::uint32_t offset = 0;
        std::uint32_t dmaAddressHigh = 0;
        std::vector<WritableItem> writable; // sorted by name
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("selector", s.selector);
            v.field("offset", s.offset);
            v.field("dmaAddressHigh", s.dmaAddressHigh);
            v.field("writable", s.writable, state::Max { maximumFiles });
        }
    };

    /// Both are called with mutex() held, on a vCPU's thread.
    struct Hooks {
        /// Brings the contents up to date when the guest selects the item; what they are made of is saved elsewhere.
        std::function<void(Bytes& contents)> onSelect;
        /// After the guest has written to the item. The guest may write to it only if this is set.
        std::function<void(ConstByteSpan contents)> onWrite;
    };

    explicit FwCfg(GuestMemory& ram);

    void add(std::uint16_t key, Bytes contents);
    /// A little-endian number.
    template<typename T>
        requires std::is_integral_v<T>
    void addNumber(std::uint16_t key, T value)
    {
        auto const bytes = bytesOf(value);
        add(key, Bytes(bytes.begin(), bytes.end()));
    }
    /// Replaces a file of that name. The name has up to maximumName characters, there are up to maximumFiles files and
    /// a writable one has up to maximumWritable bytes.
    void addFile(std::string name, Bytes contents, Hooks hooks = {});
    bool hasFile(std::string const& name) const { return m_files.contains(name); }
    /// The kernel as QEMU's loaders expect it: the real-mode part of a bzImage and the rest, an initrd, a command line.
    void addKernel(Bytes setup, Bytes kernel, Bytes initrd, std::string const& commandLine);

    BusHandler& dataWindow() { return m_dataWindow; }
    BusHandler& dmaWindow() { return m_dmaWindow; }

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

private:
    struct Item {
        Bytes contents;
        Hooks hooks {};
        Bytes initial {}; // of a writable one
    };

    void readData(std::uint64_t offset, ByteSpan data);
    void writeData(std::uint64_t offset, ConstByteSpan data);
    void readDma(std::uint64_t offset, ByteSpan data);
    void writeDma(std::uint64_t offset, ConstByteSpan data);
    void transfer(GuestAddress request);
    bool copyToGuest(Item const* item, GuestAddress address, std::uint32_t length);
    bool copyFromGuest(Item* item, GuestAddress address, std::uint32_t length);
    void select(std::uint16_t key);
    Item* selected();
    void advance(Item const* item, std::uint64_t length);
    void rebuildDirectory();

    GuestMemory& m_ram;
    std::map<std::uint16_t, Item> m_items;
    std::map<std::string, Item> m_files; // the n-th has key FirstFile + n
    std::vector<Item*> m_filesByIndex;
    bool m_stale = false; // restored in the middle of an item with onSelect
    State m_state;
    BusWindow<FwCfg> m_dataWindow { *this, &FwCfg::readData, &FwCfg::writeData };
    BusWindow<FwCfg> m_dmaWindow { *this, &FwCfg::readDma, &FwCfg::writeDma };
};

}
