#pragma once

#include "vmm/backends/user_network.h"
#include "vmm/boot/direct_boot.h"
#include "vmm/bus/pci_bus.h"
#include "vmm/devices/ich9_lpc.h"
#include "vmm/devices/legacy_memory.h"
#include "vmm/devices/q35_host.h"
#include "vmm/devices/vm_generation_id.h"
#include "vmm/machine/board.h"
#include "vmm/machine/usb_visitors.h"
#include "vmm/virtio/network_card.h"

#include <array>
#include <deque>
#include <map>
#include <mutex>

namespace vmm {

class AhciController;
class FwCfg;
class PflashCfi;
class SataDevice;
class UsbDevice;
class UsbDisk;
class UsbGamepad;

/// The PC: a Q35 chipset and what the configuration plugs into it. Each file pc_board_*.cpp puts one kind of
/// part in; the order of m_parts is the order of reset, of saving and of loading.
class PcBoard final : public Board {
public:
    PcBoard(VmConfig const& config, Vm& vm, EventLoop& loop, GuestTime& time, BoardEvents events);
    ~PcBoard() override;
    Result<> assemble();

    Bus& ports() override { return m_ports; }
    Bus& memory() override { return m_memory; }
    std::vector<Part> const& parts() const override { return m_parts; }
    std::vector<Part> visitors() const override { return m_usbVisitors.all(); }
    std::vector<MemoryBlock*> memoryBlocks() override { return m_blocks; }
    void forgetMemory() override;
    Result<std::vector<SavedFile>> files(Disks which) const override;
    Result<std::vector<timeline::MomentDisk>> planDisks(
        std::string const& moment, timeline::Timeline const& timeline, CopyProgress const& progress) override;
    Result<> prepareDisks(std::vector<timeline::MomentDisk> const& planned) override;
    void keepDisks(std::vector<timeline::MomentDisk> const& kept, std::uint64_t guestTime, DisksKept done) override;
    Result<> sealDisks(std::vector<timeline::MomentDisk> const& kept) override;
    Result<> checkDisksHave(std::vector<timeline::MomentDisk> const& kept) const override;
    Result<> takeDisksTo(std::vector<timeline::MomentDisk> const& kept) override;
    std::optional<Result<>> forgetDisk(timeline::MomentDisk const& kept) override;
    Result<> streamDisk(
        std::string_view disk, std::string const& onto, std::function<bool(double)> const& goOn) override;
    Result<> commitDisk(std::string_view disk, CommitHow const& how, std::function<bool(double)> const& goOn) override;
    Result<> openBelowAgain(std::string const& path) override;
    Result<std::optional<BootCpuState>> prepareBoot() override;
    Result<> openForwards() override;
    Result<> restored() override;
    Result<> storeVariables() override;
    void pressPowerButton() override;
    void input(Input const& input) override;
    bool pointerIsAbsolute() const override { return tablet() != nullptr; }
    Result<> insertMedium(std::string_view drive, std::string const& path) override;
    Result<> ejectMedium(std::string_view drive, bool force) override;
    Result<> setForwards(std::string_view network, std::vector<PortForward> const& forwards) override;
    Result<> setConnected(std::string_view network, bool connected) override;
    Result<> setPlugged(std::string_view device, bool plugged) override;
    Result<> chooseConnector(UsbAddition& addition) const override;
    Result<> addUsb(UsbAddition const& addition) override;
    Result<> removeUsb(std::string_view id) override;
    void usbChanged() override;
    Result<> plugUsb(std::string const& id, std::shared_ptr<UsbDevice> device) override;
    Result<> unplugUsb(std::string_view id) override;
    void describeMedia(VmConfig& config) const override;
    Console* console(std::string_view id) override;
    Screen* screen(std::string_view id) override;
    AudioPort* audio(std::string_view id) override;
    Traffic traffic() const override;

private:
    /// Keeps a device alive and gives it its place among the parts.
    template<typename T>
    T& keep(std::string id, std::unique_ptr<T> device)
    {
        auto& kept = *device;
        m_parts.push_back({ std::move(id), &kept });
        m_devices.push_back(std::move(device));
        return kept;
    }
    /// A disk with its thread; complete in the file that opens them.
    struct Disk;
    struct DeleteDisk {
        void operator()(Disk* disk) const;
    };
    using DiskPointer = std::unique_ptr<Disk, DeleteDisk>;

    /// Where a USB device is plugged in, or can be.
    struct UsbPlace {
        UsbDevice* device = nullptr;
        std::string parent;
        XhciController* controller = nullptr; // of the two the one it hangs on
        UsbHub* hub = nullptr;
        unsigned connector = 0;
        bool plugged = true;
    };

    /// Gives a PCI device of the configuration the next free place; returns it as in an Open Firmware path ("4",
    /// "4,1").
    Result<std::string> plug(PciFunction& device);
    PointerSink* tablet() const;
    PointerSink* mouse() const;
    void key(KeyInput const& input);

    Result<> addMemory();
    Result<MemoryBlock*> loadFirmware();
    Result<MemoryBlock*> loadDisplayBios(std::string const& display);
    Result<> addVariables(std::uint64_t codeSize);
    Result<> writeVariables(std::uint64_t offset, ConstByteSpan bytes);
    Result<> addChipset();
    Result<> addLegacyDevices();
    Result<> addSerials();
    Result<> addDisplays();
    Result<> addDisks();
    Result<> addNetworks();
    void openForwardsThatCanBeHad();
    Result<> addVirtio();
    struct UsbController {
        std::string id;
        XhciController* controller;
        std::string slot; ///< as in an Open Firmware path
    };
    Result<> addUsb();
    /// With what hangs on it. Each has its place then, and is plugged in when its parent is there.
    Result<> addUsbDevice(UsbDeviceConfig const& config);
    Result<UsbDevice*> makeUsbDevice(UsbDeviceConfig const& config);
    Result<> addUsbStick(DiskConfig const& config);
    Result<> plugInAllOn(std::string_view parent);
    void findParent(UsbPlace& place) const;
    void setBootPaths(UsbController const& on);
    Console& addConsole(std::string const& id);
    bool isOwn(XhciController const& controller, unsigned connector) const;
    static Result<> plugIn(UsbPlace const& place);
    /// The device has no power any more, and what hangs on it.
    void resetUnplugged(std::string_view device);
    /// Last, for it names the others.
    Result<> addFirmwareConfig();

    /// A disk with its thread, and its image where there is a path.
    Result<Disk*> openDisk(DiskConfig const& config);
    Result<> addVirtioDisks();
    Result<> addSataDevices();
    Result<> addCdDrive(CdConfig const& config, std::vector<std::unique_ptr<SataDevice>>& devices);
    /// Those that the guest writes to.
    std::vector<Disk*> followingDisks() const;
    Result<Disk*> followingDisk(std::string_view id) const;
    Result<> commitOnce(Disk& disk, ImageFormat configured, std::function<bool(double)> const& goOn);
    /// On the disk's thread; the device learns of another image.
    Result<> onDisk(Disk& disk, std::function<Result<>()> const& what) const;
    /// With each of those disks and what is kept of it, one after the other; ends with the first error.
    Result<> onDisksOf(std::vector<timeline::MomentDisk> const& kept,
        std::function<Result<>(CheckpointedDisk&, Checkpoint const&)> const& what) const;
    /// The same on the caller's thread: of files beside the disks, which nobody waits for.
    Result<> besideDisksOf(std::vector<timeline::MomentDisk> const& kept,
        std::function<Result<>(CheckpointedDisk&, Checkpoint const&)> const& what) const;
    /// The disk's thread: its device gets the image, if that is another one than `before`.
    void imageChanged(Disk& disk, BlockImage const* before) const;
    /// The disk's thread: the image does what it left for later, piece by piece.
    void workWhenIdle(Disk& disk) const;
    /// One of those that the guest writes to; null: none of ours.
    Disk* diskAt(std::string const& path) const;
    Result<Disk*> findDrive(std::string_view id) const;
    void closeMedium(Disk& disk);
    void mediumEjected(Disk& disk);
    AcpiConfig acpiConfig() const;
    SmbiosConfig smbiosConfig() const;
    Bytes bootOrder() const;
    /// For a start of the firmware: sticks may have come and gone since the last one.
    void setBootOrder();

    VmConfig const& m_config;
    Vm& m_vm;
    EventLoop& m_loop;
    GuestTime& m_time;
    BoardEvents m_events;

    Bus m_ports, m_memory;
    GuestMemory m_ram;
    std::vector<std::unique_ptr<MemoryBlock>> m_ownBlocks;
    std::vector<MemoryBlock*> m_blocks;   // all that is saved
    std::vector<MemoryBlock*> m_volatile; // what loses its contents without power
    std::unique_ptr<LegacyMemory> m_legacy;
    std::deque<SharedLine> m_sharedLines;
    std::map<std::string, std::unique_ptr<Console>, std::less<>> m_consoles;
    std::map<std::string, Screen*, std::less<>> m_screens;
    std::map<std::string, std::unique_ptr<AudioPort>, std::less<>> m_audio;
    PciServices m_services;
    std::map<std::string, std::string, std::less<>> m_bootPaths; // by device id
    UniqueFd m_variablesFile;
    PflashCfi* m_flash = nullptr;
    MemoryBlock* m_variables = nullptr; // the contents of the chip that the file keeps
    std::vector<DiskPointer> m_disks;
    std::vector<std::unique_ptr<NetworkBackend>> m_unplugged;
    std::map<std::string, UserNetwork*, std::less<>> m_userNetworks;

    // Devices go before what they use.
    std::vector<std::unique_ptr<Device>> m_devices;
    std::vector<Part> m_parts;
    unsigned m_plugged = 0; ///< PCI devices so far, without the chipset

    // Those that the machine talks to; owned by m_devices.
    Ich9Lpc* m_lpc = nullptr;
    Q35Host* m_host = nullptr;
    PciBus* m_pci = nullptr;
    VmGenerationId* m_generation = nullptr;
    std::map<std::string, virtio::NetworkCard*, std::less<>> m_networkCards;
    std::vector<AhciController*> m_sataControllers;
    FwCfg* m_firmwareConfig = nullptr;
    std::vector<UsbController> m_usbControllers;
    UsbConnectors m_usbConnectors;
    std::map<std::string, UsbPlace, std::less<>> m_usbPlaces; // by device id
    UsbVisitors m_usbVisitors { [this](
                                    auto const& controller, auto connector) { return isOwn(controller, connector); } };
    std::vector<UsbDisk*> m_sticks;
    Traffic m_trafficOfRemoved;
    /// Of m_disks, m_sticks, m_consoles and m_audio, which other threads look into: the machine's thread changes them.
    mutable std::mutex m_listsMutex;
    // Those that are found on every PC first: the last one that the guest listens to gets the input.
    std::vector<KeyboardSink*> m_keyboards;
    std::vector<PointerSink*> m_mice, m_tablets;
    std::map<std::string, UsbGamepad*, std::less<>> m_gamepads;
    std::map<std::uint16_t, KeyboardSink*> m_held; ///< keys go up where they went down
};

}
