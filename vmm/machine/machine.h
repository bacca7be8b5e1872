#pragma once

#include "vmm/backends/audio.h"
#include "vmm/backends/console.h"
#include "vmm/backends/display.h"
#include "vmm/backends/input.h"
#include "vmm/config/usb_config.h"
#include "vmm/memory/memory_way.h"
#include "vmm/timeline/timeline.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <variant>

namespace vmm {

class UsbDevice;
struct CpuFeatures;

enum class RunState : std::uint8_t {
    Off, ///< Put together, never run or powered off; memory holds nothing.
    Running,
    Paused,  ///< Whole and standing still: by a person, or with a reason why it cannot go on.
    Crashed, ///< The guest cannot go on (triple fault, panic, an instruction that cannot be emulated).
};

/// What a machine is told. Each says when it is legal; told at another time it fails with ErrorCode::NotNow.
namespace command {

struct Start { };            ///< Off: power on. Crashed: reset and run.
struct Pause { };            ///< Running.
struct Resume { };           ///< Paused; also after what stopped it has been mended (disk full …).
struct Reset { };            ///< All but Off: the reset button.
struct PressPowerButton { }; ///< Running: ACPI, the guest decides.
struct PowerOff { };         ///< All but Off: pulls the plug.
/// Running or Paused: writes the state beside the disks; then powers off, or goes on as before. It begins when a moment
/// that is being kept is stored; only an automatic one ends for it.
struct Suspend {
    std::string directory; ///< gets "state.json" and "ram"
    bool thenPowerOff = true;
};
/// Running or Paused: keeps the present as a moment, whose id event::MomentKept tells. The machine stands still for the
/// instant only, and takes other commands while the moment is written, also when it is Off by then.
struct KeepMoment {
    std::shared_ptr<timeline::Timeline> timeline;
    timeline::NewMoment what; ///< its time and state are the machine's to say
    /// Makes its picture (PNG; empty: none), just after the instant, while the guest runs on and on a thread that may
    /// take its time.
    std::function<Bytes()> picture = {};
};
/// Any time: the disks let go of what no moment needs. Done when as much of that is done as could be; the machine takes
/// other commands meanwhile.
struct TidyDisks {
    std::shared_ptr<timeline::Timeline> timeline;
};
/// Any time: a disk takes over what it has of the files below it, and stands on `onto` (one of them) alone, or on none.
/// The guest goes on meanwhile, and so does the machine with other commands, but for KeepMoment: what a moment
/// remembers stands on files that stay what they are. A Suspend ends it. What was copied until an end of any kind
/// stays, and the next time goes on from there.
struct StreamDisk {
    std::string disk;
    std::string onto = {};                     ///< a path
    std::function<bool(double)> progress = {}; ///< 0 to 1, on a thread of its own; false ends it
};
/// Any time, and with the same said of other commands: what the disk's own file holds goes into the file below it, up
/// to `files` times, see commitDisk(). A Suspend ends it, and then the disk is as it was.
struct CommitDisk {
    std::string disk;
    unsigned files = 1;
    /// Asked on a thread of its own, each time, with the path of the file that would change.
    std::function<Result<>(std::string const& base)> mayChange = [](std::string const&) { return Result<>(); };
    std::function<bool(double)> progress = {}; ///< as StreamDisk's
};
struct InsertMedium { ///< Any time.
    std::string drive, path;
};
struct EjectMedium { ///< Any time; `force` also where the guest has locked the tray.
    std::string drive;
    bool force = false;
};
/// Any time: which ports of the host lead to the guest, of a network in mode User, in place of those before. All or
/// none: where one cannot be had (Busy, PermissionDenied), the old ones stay.
struct SetForwards {
    std::string network;
    std::vector<PortForward> forwards;
};
/// Any time: plugs the cable of a network card in, or pulls it out.
struct SetConnected {
    std::string network;
    bool connected;
};
/// Any time: plugs a USB device of the configuration in (a stick too), or pulls it out.
struct SetPlugged {
    std::string device;
    bool plugged;
};
/// Any time: makes a USB device, or a stick, a part of the machine, as one that was in its configuration from the
/// beginning, in a free connector if it names none. It waits until a moment has its disks; a stick is Busy in a stream.
struct AddUsb {
    UsbAddition device;
};
/// Any time: the opposite, of any that the configuration has. What is in flight ends first, a stick's image is whole
/// and closed when this has succeeded. It waits as AddUsb does.
struct RemoveUsb {
    std::string device;
};
/// On: plugs a device in that the configuration knows nothing of (one of the host's), where a USB controller has a free
/// connector, until it is unplugged or the machine ends. A saved state does not bring it back.
struct PlugUsb {
    std::string id; ///< to unplug it by
    std::shared_ptr<UsbDevice> device;
};
/// Any time. It does nothing for the guest any more when this has succeeded.
struct UnplugUsb {
    std::string id;
};
struct SendInput { ///< Running; else it is dropped.
    Input input;
};
struct CancelJob { };     ///< Ends a Suspend under way, else a KeepMoment; the machine is as before it.
struct CancelKeeping { }; ///< Ends a KeepMoment under way, also where a Suspend waits for it.

}

using Command = std::variant<command::Start, command::Pause, command::Resume, command::Reset, command::PressPowerButton,
    command::PowerOff, command::Suspend, command::KeepMoment, command::TidyDisks, command::InsertMedium,
    command::EjectMedium, command::SetForwards, command::SetConnected, command::SetPlugged, command::AddUsb,
    command::RemoveUsb, command::PlugUsb, command::UnplugUsb, command::SendInput, command::CancelJob,
    command::CancelKeeping, command::StreamDisk, command::CommitDisk>;

/// What a machine tells. Sent from the machine's thread; a receiver takes it to its own thread and returns at once.
namespace event {

struct StateChanged {
    RunState state;
    /// Why, where nobody asked for it: a crash, a full disk, "the guest powered off".
    std::optional<Error> reason;
};
struct Progress {
    std::string job; ///< "suspend", "keep"; a restore is over before it could tell how far it is
    double fraction; ///< 0 to 1
};
struct MomentKept {
    std::string id;
    std::chrono::nanoseconds stoodStill; ///< how long the vCPUs did
};
struct PointerModeChanged {
    bool absolute;
};
struct MediumChanged {
    std::string drive, path; ///< empty path: none
};
/// The guest has a gamepad shake: its slow motor and its fast one, from 0 (still) to 65535.
struct Rumbled {
    std::string device;
    std::uint16_t strong, weak;
};
/// AddUsb has added this.
struct UsbAdded {
    UsbAddition device;
};
/// RemoveUsb has begun with this, and then it was `removed`, or could not be: it is unplugged then.
struct UsbRemoved {
    std::string device;
    bool removed;
};
/// A machine that came back is there without these ports of the host's: somebody else has them.
struct ForwardsMissed {
    std::string network;
    Error why;
};
struct GuestRebooted { }; ///< The guest asked for a reset and got it.

}

using Event = std::variant<event::StateChanged, event::Progress, event::MomentKept, event::PointerModeChanged,
    event::MediumChanged, event::Rumbled, event::UsbAdded, event::UsbRemoved, event::ForwardsMissed,
    event::GuestRebooted>;

struct MachineStatistics {
    std::uint64_t cpuNanoseconds = 0; ///< of all vCPU threads, since power-on
    std::uint64_t residentBytes = 0;  ///< of guest memory
    std::uint64_t diskBytesRead = 0, diskBytesWritten = 0;
    std::uint64_t networkBytesReceived = 0, networkBytesSent = 0;
};

/// A whole machine with its threads: one for each vCPU, one for the board (commands, timers, serial ports), one for
/// each disk and each network. Any thread may use it; only its destruction must not be raced.
class Machine {
public:
    using Completion = std::function<void(Result<>)>;
    using Listener = std::function<void(Event const&)>;
    /// Lets go of what the present is besides its disks, as the last thing before they go elsewhere.
    using Leave = std::function<Result<>()>;

    /// Puts the machine together: opens KVM, images, firmware. It is Off then. `cpu`: the one that its guest has had
    /// before, Unsupported where this host lacks a feature of it; null: what the configuration's model is on this host.
    static Result<std::unique_ptr<Machine>> create(
        VmConfig const& config, Listener listener, CpuFeatures const* cpu = nullptr);
    /// Builds the machine that a Suspend wrote, from its directory alone. Everything is checked, and each device has
    /// taken its state, before KVM makes a virtual machine; of /dev/kvm itself it is asked before what it can do. It is
    /// Paused then.
    static Result<std::unique_ptr<Machine>> restore(std::string const& directory, Listener listener);
    /// The machine as it was at a moment, from the timeline alone; it is Paused then, and its present comes from there.
    /// What the timeline has of the present is not touched: who wants to keep that keeps it first.
    /// It runs before its memory has been read; a fork at its first start reads only what is touched.
    ///
    /// Checked as in restore(), and all of it before a disk moves. What is refused by then leaves disks and timeline as
    /// they were. `leave` is called in between, and may still refuse.
    static Result<std::unique_ptr<Machine>> goTo(std::shared_ptr<timeline::Timeline> timeline, std::string_view moment,
        Listener listener, MemoryWay way = MemoryWay::Best, Leave const& leave = {});

    // For a machine that is in no process's memory. Each takes as long as it takes.

    /// Called with the part that is done, 0 to 1; false cancels.
    using StillProgress = std::function<bool(double)>;
    /// Keeps a machine that is off as a moment: its configuration, disks and the firmware's variables.
    static Result<timeline::Moment> keepOff(VmConfig const& config, timeline::Timeline& timeline,
        timeline::NewMoment what, StillProgress const& progress = {});
    /// Keeps what a Suspend wrote to that directory, which stays as good as it was.
    static Result<timeline::Moment> keepSuspended(std::string const& directory, timeline::Timeline& timeline,
        timeline::NewMoment what, StillProgress const& progress = {});
    /// goTo() for a moment at which the machine was off: it is off then, with the configuration that is returned.
    static Result<VmConfig> goToOff(
        std::shared_ptr<timeline::Timeline> const& timeline, std::string_view moment, Leave const& leave = {});
    /// Ends a going that was cut off, or a fork's first one, without power: the disks go where they were on their way
    /// to, whatever can be read of the moment besides. The firmware's variables go along if theirs can be. `config`:
    /// whose disks they are where the moment cannot tell.
    static Result<> arriveOff(VmConfig const& config, std::shared_ptr<timeline::Timeline> const& timeline);
    /// TidyDisks for a machine that is in no process's memory; what takes long is left for when it runs.
    static Result<> tidyDisks(VmConfig const& config, timeline::Timeline& timeline);
    /// Powers off without asking.
    virtual ~Machine() = default;

    /// Does `command` on the machine's thread and says there how it went, in the order of posting.
    virtual void post(Command command, Completion done = {}) = 0;
    /// The same, and waits. Not from the listener.
    Result<> call(Command command);

    virtual RunState state() const = 0;
    /// Not while a SetForwards, SetConnected, SetPlugged, AddUsb or RemoveUsb is under way, which change it.
    virtual VmConfig const& config() const = 0;
    /// The one that its guest has, as long as this object is there.
    virtual CpuFeatures const& cpu() const = 0;
    virtual MachineStatistics statistics() const = 0;
    /// How many bytes of memory a second have become other ones since this was last asked, by a sample; nothing the
    /// first time, after a minute, and while the memory has not all come (ChangeSampler).
    virtual std::optional<double> memoryChangeRate() = 0;

    /// By device id; null where there is none. Who uses one lets go of it before a RemoveUsb.
    virtual Console* console(std::string_view id) = 0;
    virtual Screen* screen(std::string_view id) = 0;
    virtual AudioPort* audio(std::string_view id) = 0;

    /// Why the machine cannot be saved now: one error a device that says no, its id in front; empty when it can.
    virtual std::vector<Error> saveObstacles() = 0;
};

}
