#pragma once

#include "app/runner/links.h"
#include "app/runner/machine_factory.h"
#include "app/runner/session_state.h"
#include "app/runner/usb_redirections.h"
#include "app/usb/usb_question.h"
#include "vmm/base/event_loop.h"
#include "vmm/machine/disk_chains.h"
#include "vmm/timeline/thinning.h"

#include <atomic>
#include <optional>
#include <variant>

namespace app {

/// What a runner tells, from the runner's or the machine's thread; a receiver returns at once.
namespace notice {

struct StateChanged {
    SessionState state;
    std::optional<vmm::Error> reason; ///< why, where nobody asked for it
};
struct Progress {
    /// "suspend", "keep", and those of work(): "fork", "verify", "prune", "stream", "commit", "grow",
    /// "compare", "inspect", "costs", "disks", "export".
    std::string job;
    double fraction; ///< 0 to 1; a state change ends the job, KeepingEnded a "keep", JobEnded the rest
};
/// One of work().
struct JobEnded {
    std::string job;
};
struct PointerModeChanged {
    bool absolute;
};
struct MediumChanged {
    std::string drive, path; ///< empty path: none
};
/// The cable or the port forwards of a network card of the machine in memory.
struct NetworkChanged {
    vmm::NetworkConfig network;
};
/// A USB device of the machine in memory was plugged in or pulled out.
struct PluggedChanged {
    std::string device;
    bool plugged;
};
/// A USB device of the machine's own has come, now and for the next start.
struct UsbAdded {
    vmm::UsbAddition device;
};
struct UsbRemoved {
    std::string device;
};
/// These USB devices of the host's the machine in memory has now.
struct HostUsbChanged {
    std::vector<vmm::HostUsbInfo> devices;
};
/// These USB devices of other computers the machine in memory has now, and these places it waits for some at.
struct RedirectedUsbChanged {
    std::vector<RedirectedUsb> redirected;
    std::string lost;                 ///< the id of one that has gone by itself
    std::optional<vmm::Error> reason; ///< why
};
/// All questions that stand now. Every machine in memory raises its own: of a device that was plugged in each does, and
/// who shows them shows that of the machine with the focus.
struct UsbQuestionsChanged {
    std::vector<UsbQuestion> questions;
};
/// A device that was to come to the machine by itself did not: told once each time that it is plugged in.
struct HostUsbFailed {
    vmm::HostUsbInfo device;
    vmm::Error error;
};
/// The machine came back without these ports of the host's, which somebody else has.
struct ForwardsMissed {
    std::string network;
    vmm::Error why;
};
/// The machine is off, and its configuration that of a moment.
struct ConfigChanged {
    vmm::VmConfig config;
};
/// What disks are whose format the configuration did not say: that is theirs from now on.
struct FormatsFound {
    std::vector<vmm::DiskConfig> disks;
};
struct GuestRebooted { };
/// By whomever, from outside of it.
struct MachineReset { };
struct MomentKept {
    std::string id;
    std::chrono::nanoseconds stoodStill; ///< how long the guest did
};
/// The machine has gone on elsewhere, or without its suspended state. What it was until then is that moment, kept for
/// this reason.
struct PresentLeft {
    std::string moment; ///< empty: it could not be kept
    vmm::timeline::Reason reason;
};
/// No moment is being kept any more, whether one came of it or not.
struct KeepingEnded { };
/// What the machine does for its past without being asked does not work; told once until it works again.
struct PastNeglected {
    enum class What : std::uint8_t {
        Moment,   ///< No moment was kept.
        Timeline, ///< It could not be read, or not all of it: the machine runs without.
    } what;
    vmm::Error why;
};

}

using Notice = std::variant<notice::StateChanged, notice::Progress, notice::PointerModeChanged, notice::MediumChanged,
    notice::NetworkChanged, notice::PluggedChanged, notice::UsbAdded, notice::UsbRemoved, notice::HostUsbChanged,
    notice::RedirectedUsbChanged, notice::UsbQuestionsChanged, notice::HostUsbFailed, notice::ForwardsMissed,
    notice::ConfigChanged, notice::FormatsFound, notice::GuestRebooted, notice::MachineReset, notice::MomentKept,
    notice::PresentLeft, notice::KeepingEnded, notice::JobEnded, notice::PastNeglected>;

/// Where a machine keeps what is its own.
struct MachinePlaces {
    std::string stateDirectory; ///< of suspend and restore
    std::string lockFile;       ///< empty: no lock (a machine that is in no library)
    std::string timelineFolder; ///< of its moments; empty: it can have none
    std::string cpuFile {};     ///< of the CPU that its guest keeps; empty: none is kept
    std::string libraryRoot;    ///< of the MachineStore that has it; empty: it is in none
    bool keepsState = false;    ///< an exported state: it stays when the machine runs on
};

/// The moment that the machine goes to at its next start, before anything else: a fork goes to its first one, and a
/// machine whose disks were on their way to one when its process ended arrives there. Empty: none.
vmm::Result<std::string> momentOnTheWay(std::string const& timelineFolder);

/// The policy of that timeline; where there is none, the one that a new timeline begins with.
vmm::Result<vmm::timeline::Policy> policyOf(std::string const& timelineFolder);

/// One machine, running or not, without Qt: it makes and ends vmm::Machine objects on a thread of its own, so that
/// nobody ever waits for one, holds the machine's lock while one is in memory, and passes commands in and notices out.
/// VmSession (the desktop) and the control socket are its two users. Any thread.
class MachineRunner {
public:
    using Completion = std::function<void(vmm::Result<>)>;

    /// `minute`: of the machine's own moments; tests have shorter ones.
    MachineRunner(vmm::VmConfig config, MachinePlaces places, MachineFactory factory,
        vmm::Nanoseconds minute = std::chrono::minutes(1));
    /// Ends the machine without asking, and waits for that.
    ~MachineRunner();

    std::string id() const;       ///< the uuid
    vmm::VmConfig config() const; ///< of the machine in memory, else the one for the next start
    /// For the next start: a machine in memory keeps its own until it has ended, but for its name and notes.
    void setConfig(vmm::VmConfig config);
    /// Whether there is a saved state may have changed on disk.
    void lookAgain();
    MachinePlaces const& places() const { return m_places; }

    SessionState state() const { return m_state.load(); }
    std::optional<vmm::Error> reason() const; ///< of the present state
    bool isPointerAbsolute() const { return m_absolutePointer.load(); }
    std::string mediumPath(std::string const& drive) const;
    /// Zeroes while no machine is in memory. Walks over all of the guest's memory.
    vmm::MachineStatistics statistics() const;
    /// The same on the runner's own thread, for who must not wait: `done` is called there, unless nothing runs there.
    void measure(std::function<void(vmm::MachineStatistics const&)> done);
    /// vmm::Machine::memoryChangeRate(), in the same way; nothing while no machine is in memory.
    void measureChange(std::function<void(std::optional<double> rate)> done);
    /// Why it cannot be saved now; empty when it can. Waits for the machine's thread.
    std::vector<vmm::Error> saveObstacles() const;

    // Each returns at once. `done` is called once, on another thread, when the step is complete or refused
    // (not at all when the runner is destroyed before that).
    void start(Completion const& done = {});       ///< Off, Crashed: power on. Suspended: restore and run.
    void startPaused(Completion const& done = {}); ///< Suspended: restore, and stand still.
    void pause(Completion const& done = {});
    void resume(Completion const& done = {});
    void reset(Completion const& done = {});
    void pressPowerButton(Completion const& done = {});
    /// Also a machine that is off already is in memory until a moment that somebody asked for is stored, or cancelled.
    void powerOff(Completion const& done = {});
    /// Into `directory`, or where it is empty into the machine's own place; there only with `thenPowerOff`.
    void suspend(Completion const& done = {}, std::string directory = {}, bool thenPowerOff = true);
    /// The state is kept as a moment first, where the timeline's policy wants that: who cancels the keeping keeps the
    /// state. One that cannot be kept goes all the same, but for `really` No where the disk is full or fails. Who asks
    /// while it is kept hears the same.
    void discardState(Completion const& done = {}, Really really = Really::No);
    /// Keeps the present as a moment; `done` hears which. Running, Paused: with a picture of the first screen. Off:
    /// disks, configuration and the firmware's variables. Suspended: what the state has.
    using Kept = std::function<void(vmm::Result<vmm::timeline::Moment>)>;
    void keepMoment(vmm::timeline::NewMoment what, Kept const& done = {});
    /// The same without being asked, where the timeline's policy wants it and there is anything new: of a machine that
    /// is off only before a change, where its disks hold something. `done` hears no error: what it is kept for goes on.
    void keepUnasked(vmm::timeline::Reason reason, Completion const& done = {});
    /// keepUnasked() before a change of the settings, where `wanted` differs in more than what the same hand puts back:
    /// name and notes, cables, media, USB devices, and what of those is plugged in.
    void keepBeforeChange(vmm::VmConfig wanted, Completion const& done = {});
    /// Thins the timeline out, and gives back what no moment needs: job "prune". `policy`: for this once; none: the
    /// timeline's own. A machine in memory does so by itself after each of its own moments.
    using PruneDone = std::function<void(vmm::Result<vmm::timeline::Pruned>)>;
    void prune(std::optional<vmm::timeline::Policy> policy = {}, PruneDone const& done = {});
    /// When the machine keeps moments by itself, and how long those stay. Makes a timeline where there is none.
    void setPolicy(vmm::timeline::Policy policy, Completion const& done = {});
    enum class Present : std::uint8_t {
        Keep, ///< As a moment, first; where that is not possible nothing is done.
        Lose,
    };
    /// The machine becomes what it was at that moment, and runs, or is off if it was then. What was Suspended is a
    /// present like any other.
    void goTo(std::string moment, Present present, Completion const& done = {});
    /// The moments go on being as they are told. Reads the disk, and waits for the runner's thread.
    vmm::Result<std::shared_ptr<vmm::timeline::Timeline const>> timeline() const;
    /// Does `what` with the timeline; the machine is this process's meanwhile.
    void changeTimeline(std::function<vmm::Result<>(vmm::timeline::Timeline&)> what, Completion const& done = {});
    /// What takes long, beside everything else: one such thing after the other. notice::Progress tells of it under the
    /// name `job`; cancelJob() ends it.
    using JobProgress = std::function<bool(double)>; ///< 0 to 1; false: give up
    using Job = std::function<vmm::Result<>(JobProgress const&)>;
    void work(std::string job, Job what, Completion const& done = {});
    /// The same with the timeline, on a thread that leaves the disk and the processor to the guest; the machine is this
    /// process's meanwhile.
    using TimelineJob = std::function<vmm::Result<>(vmm::timeline::Timeline&, JobProgress const&)>;
    void workOnTimeline(std::string job, TimelineJob what, Completion const& done = {});
    /// Ends a moment for good, with what the disks kept of it, and gives back what nobody else needs: of a machine in
    /// memory in the background (job "prune"), of another before `done`.
    void endMoment(std::string moment, Completion const& done = {});
    /// A disk takes over what it has of the files below it, and stands on `onto` (one of them; empty: on none): job
    /// "stream", of a machine that is on or off; one disk of it at a time, else Busy. Other machines and moments keep
    /// what they stand on, and a file on which nobody stands any more is not deleted.
    void streamDisk(std::string disk, std::string onto, Completion const& done = {});
    /// What a disk's own file holds goes into the file below it, up to `files` times down the chain, where neither a
    /// moment nor one of `others` needs that as it is: job "commit", otherwise as streamDisk().
    void commitDisk(std::string disk, unsigned files, vmm::OtherImages others, Completion const& done = {});
    /// A disk of a machine that is off gets `bytes` (a multiple of 512), more than it has: job "grow". A moment is kept
    /// before, as before a change of the settings; moments have the size of their time.
    void growDisk(std::string disk, std::uint64_t bytes, Completion const& done = {});
    /// The stream or commit of that disk, and nothing else. NotNow where there is none.
    void cancelDisk(std::string disk, Completion const& done = {});
    /// What is under way in the machine, and all that is being worked on beside it.
    void cancelJob(Completion const& done = {});
    /// What notice::Progress tells of under that name ("suspend", "keep", "export" …), and nothing else; of several
    /// what was begun first. NotNow where there is none.
    void cancelNamed(std::string job, Completion const& done = {});
    /// The moment that is being kept, and what waits to be kept: nothing of it stays.
    void cancelKeeping(Completion const& done = {});
    void insertMedium(std::string drive, std::string path, Completion const& done = {});
    void ejectMedium(std::string drive, bool force = false, Completion const& done = {});
    /// Which ports of the host lead to the guest, now and at the next start; of a machine in memory, or one that is
    /// off. keepBeforeChange() comes before it.
    void setForwards(std::string network, std::vector<vmm::PortForward> forwards, Completion const& done = {});
    /// Plugs the cable of a network card in, or pulls it out; as setForwards(), but nothing is kept.
    void setConnected(std::string network, bool connected, Completion const& done = {});
    /// The same for a USB device of the machine's own.
    void setPlugged(std::string device, bool plugged, Completion const& done = {});
    /// Makes a USB device, or a stick on a disk image, the machine's own, now and for the next start; of a machine in
    /// memory, or one that is off. Its id is made up, and `done` hears it.
    using UsbAdded = std::function<void(vmm::Result<std::string>)>;
    void addUsb(vmm::UsbAddition device, UsbAdded const& done = {});
    /// The opposite. What is in flight ends first. A stick of which moments have something is unplugged, and the
    /// machine kept as one more moment before it goes: going to another one later takes nothing away that is nowhere
    /// else. Where that fails it stays, unplugged.
    void removeUsb(std::string device, Completion const& done = {});
    /// A USB device of the host's, as findHostUsb() understands it, for as long as the machine is in memory. What is
    /// plugged out of the host is detached by itself; what comes back to the same port within usbComeback, of the same
    /// vendor and with whatever address and product, is attached again (firmware that was loaded, a phone that changed
    /// its mode, a host that slept). Devices that a rule of the library attaches to this machine come by themselves,
    /// also later and at each start. `done` hears Busy where another machine has it, and where the host uses it or a
    /// rule says "never" and `really` is No; PermissionDenied with the one line that helps.
    void attachHostUsb(std::string which, Really really, Completion const& done = {});
    /// Back to the host's drivers, where it stays until it is plugged in again, or the machine starts or comes back
    /// from a moment, whatever the rules say.
    void detachHostUsb(std::string which, Completion const& done = {});
    /// Any thread, as it was told last.
    std::vector<vmm::HostUsbInfo> attachedHostUsb() const;
    std::vector<UsbQuestion> usbQuestions() const;
    /// The answer "no" to the question about the device at that port; nothing where there is none.
    void dismissUsbQuestion(std::string port);
    /// What going to that moment does to devices of the host's and of other computers; an empty `moment`: what
    /// suspending the machine and bringing it back does, or bringing it back where it is suspended. Reads the disk and
    /// asks the host: any thread that may wait some milliseconds.
    vmm::Result<std::vector<UsbFate>> foreseeUsb(std::string const& moment) const;
    /// A USB device of another computer, over the usbredir protocol: connects to who has it (usbredirect --as), and
    /// plugs it in. It stays, as one of the host's, as long as the machine is in memory and the connection lasts.
    /// Nothing is encrypted: beyond networks that one trusts this goes through a tunnel.
    using Redirected = std::function<void(vmm::Result<RedirectedUsb>)>;
    void redirectUsb(UsbPeerAddress from, Redirected const& done = {});
    /// Who is connecting there gives up, which is Cancelled then. NotFound where nobody is, or the device is there.
    void callOffUsb(UsbPeerAddress from, Completion const& done = {});
    /// Waits for those who bring devices (usbredirect --to), for as long as the machine is in memory; `done` hears
    /// where. Each is plugged in when it comes.
    void listenForUsb(UsbPeerAddress at, Redirected const& done = {});
    /// By the id of the device, or of the place where we listen; devices that came there stay.
    void endUsbRedirection(std::string id, Completion const& done = {});
    std::vector<RedirectedUsb> redirectedUsb() const;
    void sendInput(vmm::Input input);
    /// A person looks at this machine: where machines have more gamepads than the host, its own come first from now on.
    void preferGamepads();

    /// By device id; one for each of its consoleIds() and each display of the configuration, else null. They outlive
    /// the machine.
    std::shared_ptr<ConsoleLink> console(std::string const& id) const;
    std::shared_ptr<ScreenLink> screen(std::string const& id) const;

    /// Returns when every step that is complete has told its completion.
    void drain();

    using Observer = std::function<void(Notice const&)>;
    using ObserverId = std::uint64_t;
    ObserverId addObserver(Observer observer);
    /// When it returns, the observer is not being called and never will be. Not from an observer.
    void removeObserver(ObserverId id);

private:
    struct Private;
    MachinePlaces m_places;
    std::atomic<SessionState> m_state { SessionState::Off };
    std::atomic<bool> m_absolutePointer { false };
    std::unique_ptr<Private> m_private;
};

}
