#pragma once

#include "vmm/backends/audio.h"
#include "vmm/backends/console.h"
#include "vmm/backends/display.h"
#include "vmm/backends/input.h"
#include "vmm/base/event_loop.h"
#include "vmm/bus/bus.h"
#include "vmm/bus/guest_time.h"
#include "vmm/config/usb_config.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/memory/guest_memory.h"
#include "vmm/timeline/moment.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vmm {

class UsbDevice;

class Vm;
struct BootCpuState;

/// The name of the block of memory that keeps the firmware's variables.
constexpr char const* firmwareVariablesBlock = "firmware-variables";

/// What happens on the board that the machine must act on. Called from any thread; each only passes it on.
struct BoardEvents {
    std::function<void()> resetRequested;
    std::function<void()> powerOffRequested;
    std::function<void(Error)> crashed;    ///< pvpanic, isa-debug-exit
    std::function<void(Error)> hostFailed; ///< a disk cannot go on; the machine pauses with the reason
    std::function<void()> pointerModeChanged;
    std::function<void(std::string const& drive, std::string const& path)> mediumChanged;
    std::function<void(std::string const& device, std::uint16_t strong, std::uint16_t weak)> rumbled;
    std::function<void(std::string const& network, Error)> forwardsMissed; ///< of restored()
};

/// All chips of the PC but its processors, wired up. The machine's thread, except where a device says otherwise.
class Board {
public:
    /// A chip under the id that it keeps for life.
    struct Part {
        std::string id;
        Device* device;
    };

    static Result<std::unique_ptr<Board>> create(
        VmConfig const& config, Vm& vm, EventLoop& loop, GuestTime& time, BoardEvents events);
    virtual ~Board() = default;

    virtual Bus& ports() = 0;
    virtual Bus& memory() = 0;
    virtual std::vector<Part> const& parts() const = 0;
    /// What is plugged in now and is no part of the machine: it pauses, resumes and is reset with it, before it, and is
    /// asked whether it can be saved.
    virtual std::vector<Part> visitors() const = 0;
    /// All memory that is saved with the machine.
    virtual std::vector<MemoryBlock*> memoryBlocks() = 0;
    /// Power is gone: RAM and video memory read as zero again. ROM and flash keep what they hold.
    virtual void forgetMemory() = 0;
    enum class Disks : std::uint8_t { All, ThoseThatStay };
    /// The files that it goes on using, as they are now; ThoseThatStay: without what the guest writes to.
    virtual Result<std::vector<SavedFile>> files(Disks which) const = 0;

    // Moments: the disks that the guest writes to go back with it. Any thread, besides where it says otherwise.

    /// What each will keep for a moment of that id, or why one of them cannot. Where one stands on too many files, some
    /// are merged first, beside the guest: `progress` is how far that is.
    virtual Result<std::vector<timeline::MomentDisk>> planDisks(
        std::string const& moment, timeline::Timeline const& timeline, CopyProgress const& progress)
        = 0;
    /// Does ahead what would otherwise be done while the disks wait.
    virtual Result<> prepareDisks(std::vector<timeline::MomentDisk> const& planned) = 0;
    using DisksKept = std::function<void(Result<>)>;
    /// While the machine stands still, on its thread: what each disk holds now is kept, on the disk's own thread before
    /// it serves anything else, so that the machine need not wait for it. `done` is called when all have, or with what
    /// failed, and then some may have.
    virtual void keepDisks(std::vector<timeline::MomentDisk> const& kept, std::uint64_t guestTime, DisksKept done) = 0;
    /// After that it is durable.
    virtual Result<> sealDisks(std::vector<timeline::MomentDisk> const& kept) = 0;
    /// Whether each has kept what it held then.
    virtual Result<> checkDisksHave(std::vector<timeline::MomentDisk> const& kept) const = 0;
    /// While the machine stands still: the disks become what they were, one after the other.
    virtual Result<> takeDisksTo(std::vector<timeline::MomentDisk> const& kept) = 0;
    /// What one disk has kept in its own file is not needed any more; fine where there is nothing of it. Nothing: it is
    /// none of the machine's disks, or is kept elsewhere.
    virtual std::optional<Result<>> forgetDisk(timeline::MomentDisk const& kept) = 0;
    /// Files below the disk at that path were replaced.
    virtual Result<> openBelowAgain(std::string const& path) = 0;

    /// Loads what runs first, after the parts were reset: where a kernel begins that is booted directly, or nothing for
    /// the reset vector.
    virtual Result<std::optional<BootCpuState>> prepareBoot() = 0;
    /// The host's ports that lead to a machine that begins anew: all of them, or an error.
    virtual Result<> openForwards() = 0;
    /// After a saved state was loaded: a new VM generation id, network cards that announce themselves. Of the host's
    /// ports those that can be had lead to it: what is suspended cannot be told to use others.
    virtual Result<> restored() = 0;
    /// What the chip of the firmware's variables holds becomes what its file holds, durably.
    virtual Result<> storeVariables() = 0;

    virtual void pressPowerButton() = 0;
    virtual void input(Input const& input) = 0;
    virtual bool pointerIsAbsolute() const = 0;
    virtual Result<> insertMedium(std::string_view drive, std::string const& path) = 0;
    virtual Result<> ejectMedium(std::string_view drive, bool force) = 0;
    virtual Result<> setForwards(std::string_view network, std::vector<PortForward> const& forwards) = 0;
    virtual Result<> setConnected(std::string_view network, bool connected) = 0;
    virtual Result<> setPlugged(std::string_view device, bool plugged) = 0;
    /// Where it goes, if it does not say so itself.
    virtual Result<> chooseConnector(UsbAddition& addition) const = 0;
    /// It has a part of its own then, as one that was there from the beginning, in its state after a reset.
    virtual Result<> addUsb(UsbAddition const& addition) = 0;
    /// Nothing of it is in flight any more, and a stick's image is whole and closed. Where that fails, it is unplugged
    /// and still there.
    virtual Result<> removeUsb(std::string_view id) = 0;
    /// After the two, when the configuration tells of it.
    virtual void usbChanged() = 0;
    /// NotNow where no connector is free, Unsupported where there is no USB controller.
    virtual Result<> plugUsb(std::string const& id, std::shared_ptr<UsbDevice> device) = 0;
    virtual Result<> unplugUsb(std::string_view id) = 0;
    /// Puts into `config` what is in the drives now.
    virtual void describeMedia(VmConfig& config) const = 0;

    virtual Console* console(std::string_view id) = 0;
    virtual Screen* screen(std::string_view id) = 0;
    virtual AudioPort* audio(std::string_view id) = 0;

    struct Traffic {
        std::uint64_t diskRead = 0, diskWritten = 0, networkReceived = 0, networkSent = 0;
    };
    virtual Traffic traffic() const = 0;

    /// Makes a disk independent of what is below it, piece by piece, between what the guest does with it. `goOn` gets
    /// the part that is done; where it says false, Cancelled.
    virtual Result<> streamDisk(std::string_view disk, std::string const& onto, std::function<bool(double)> const& goOn)
        = 0;
    struct CommitHow {
        unsigned files;         ///< see command::CommitDisk
        ImageFormat configured; ///< see ClosedDisk
        std::function<Result<>(std::string const& base)> mayChange;
    };
    /// The opposite, likewise: what its own file holds goes down.
    virtual Result<> commitDisk(std::string_view disk, CommitHow const& how, std::function<bool(double)> const& goOn)
        = 0;
};

}
