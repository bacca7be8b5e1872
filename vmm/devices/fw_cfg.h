#pragma once

#include "vmm/bus/device.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/state/options.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace vmm {

/// How firmware learns about its machine (QEMU documentation, "QEMU Firmware Configuration (fw_cfg) Device"): items of
/// bytes, found by a 16-bit key or by a name in the directory.
///
///   port          | read                         | write
///   0x510 (2)     | all ones                     | the item to select, from its start
///   0x511 (1)     | the next byte of the item    | -
///   0x514 (8, BE) | the signature "QEMU CFG"     | address of a DMA request; the low half starts it
///
/// The machine adds all items before the guest runs. None can be written: a DMA request to write fails. A guest that
/// has read the directory finds each file under its key until it is reset, also in another process whose machine has
/// other files.
class FwCfg final : public Device {
public:
    static constexpr std::uint64_t dataPort = 0x510, dataSize = 2, dmaPort = 0x514, dmaSize = 8;
    static constexpr std::size_t maximumFiles = 256;
    static constexpr std::size_t maximumName = 55;

    /// Items that have a number of their own; there are more, which no firmware of ours asks for.
    enum Key : std::uint16_t {
        Signature = 0x00,
        Id = 0x01,
        RamSize = 0x03,
        NoGraphic = 0x04,
        CpuCount = 0x05,
        MaximumCpus = 0x0f,
        FileDirectory = 0x19,
        FirstFile = 0x20,
    };

    struct State {
        static constexpr std::string_view kind = "fw-cfg";
        static constexpr unsigned version = 3; // 2: without writable; 3: files
        std::uint16_t selector = 0;
        std::uint32_t offset = 0;
        std::uint32_t dmaAddressHigh = 0;
        std::vector<std::string> files; ///< in the order of their keys
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("selector", s.selector);
            v.field("offset", s.offset);
            v.field("dmaAddressHigh", s.dmaAddressHigh);
            v.gone("writable", state::Until { 1 });
            v.field("files", s.files, state::Max { maximumFiles }, state::Since { 3 });
        }
    };

    /// Brings contents up to date when the guest selects the item; what they are made of is saved elsewhere. Called
    /// with mutex() held, on a vCPU's thread.
    using Refresh = std::function<void(Bytes& contents)>;

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
    /// Replaces a file of that name. The name has up to maximumName characters, and there are up to maximumFiles files.
    /// Both change the keys of other files: with mutex() held, and while no guest can have read the directory.
    void addFile(std::string name, Bytes contents, Refresh refresh = {});
    void removeFile(std::string const& name);

    BusHandler& dataWindow() { return m_dataWindow; }
    BusHandler& dmaWindow() { return m_dmaWindow; }

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

private:
    struct Item {
        Bytes contents;
        Refresh refresh {};
    };

    void readData(std::uint64_t offset, ByteSpan data);
    void writeData(std::uint64_t offset, ConstByteSpan data);
    void readDma(std::uint64_t offset, ByteSpan data);
    void writeDma(std::uint64_t offset, ConstByteSpan data);
    void transfer(GuestAddress request);
    bool copyToGuest(Item const* item, GuestAddress address, std::uint32_t length);
    void select(std::uint16_t key);
    Item* selected();
    void advance(Item const* item, std::uint64_t length);
    void nameFiles();
    void rebuildDirectory();

    GuestMemory& m_ram;
    std::map<std::uint16_t, Item> m_items;
    std::map<std::string, Item> m_files;
    std::vector<Item*> m_filesByIndex; // the n-th has key FirstFile + n; null: a file of a saved state that is not here
    bool m_stale = false;              // restored in the middle of an item that is refreshed
    State m_state;
    BusWindow<FwCfg> m_dataWindow { *this, &FwCfg::readData, &FwCfg::writeData };
    BusWindow<FwCfg> m_dmaWindow { *this, &FwCfg::readDma, &FwCfg::writeDma };
};

}
