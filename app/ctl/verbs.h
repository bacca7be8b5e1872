#pragma once

#include "app/control/control_client.h"
#include "app/control/protocol.h"
#include "app/ctl/output.h"
#include "vmm/config/usb_config.h"
#include "vmm/machine/saved_machine.h"

#include <functional>
#include <optional>

namespace app::ctl {

struct HardwareOptions {
    std::string kernel, initrd, append;
    std::vector<std::string> disks, cds, networks, serials, consoles, usb;
    std::optional<unsigned> cpus, memory, displays, randomGenerators;
    std::string firmware, cpu;
    bool noDisplay = false, noTablet = false, debugConsole = false;
};

struct CreateOptions {
    std::string name, notes;
    std::string from;    ///< a medium: the rest is proposed
    std::string newDisk; ///< "20G"
    HardwareOptions hardware;
};
int create(CreateOptions const& options, Surroundings& around, Output const& output);
int list(Surroundings& around, Output const& output);
int show(std::string const& machine, Surroundings& around, Output const& output);

struct RunOptions {
    std::string machine;     ///< a name, a uuid, a configuration's file, or nothing
    std::string restoreFrom; ///< a saved state's directory
    std::string stateDirectory;
    std::string onSignal = "suspend";
    bool paused = false; ///< bring a suspended one back, and let it stand still
    std::string moment;  ///< go there instead of starting
    bool losePresent = false;
    HardwareOptions hardware;
    int readyFd = -1; ///< told when the machine runs; then the terminal is left alone
};
int run(RunOptions const& options, Surroundings& around, Output const& output);
/// `run` in a process of its own; returns when the machine runs, or why it does not.
int runDetached(std::vector<std::string> arguments, Surroundings& around, Output const& output);
int start(std::string const& machine, bool paused, Surroundings& around, Output const& output);
/// A machine that is suspended, or one whose state is in that directory; in the foreground as `run`.
int restore(std::string const& machine, bool foreground, Surroundings& around, Output const& output);

/// Sends a method to the process that has the machine.
int control(
    std::string const& machine, std::string const& method, Json params, Surroundings& around, Output const& output);
/// Plugs the cable of a network card in or pulls it out; `network` may be empty: the first. Of a machine that is off,
/// for its next start.
int cable(
    std::string const& machine, std::string const& network, bool connected, Surroundings& around, Output const& output);
/// Adds or takes away a port forward ("tcp:2222:22"), as cable(); an empty `forward` lists them.
int forward(std::string const& machine, std::string const& network, std::string const& forward, bool remove,
    Surroundings& around, Output const& output);
/// A USB device of another computer: from there, or waits for it here.
enum class RedirectUsb : bool { From, Listen };
int redirectUsb(std::string const& machine, RedirectUsb how, std::string const& address, Surroundings& around,
    Output const& output);
/// A line of `usb list`.
std::string redirectedText(Json const& redirected);
struct UsbOptions {
    std::string action;          ///< list add remove attach detach foresee restore rule
    std::string machine, device; ///< of add: what it is; of foresee: the moment; of restore: what it does; of rule: its
                                 ///< action, and a match
    bool always = false, force = false; ///< attach
    std::string attachTo;               ///< rule add: a machine
    bool asks = false, never = false;   ///< rule add
    std::string from, listen;           ///< attach: one of another computer
    std::string stick;                  ///< add: an image, as a disk is said
};
/// This host's USB devices, a machine's, as cable(), and the person's rules.
int usb(UsbOptions const& options, Surroundings& around, Output const& output);
/// What becomes of USB devices when the machine goes to that moment, as moment.foreseeUsb has it: people are told.
/// Nothing where it cannot be foreseen.
Json noteUsbFates(std::string const& machine, std::string const& moment, Surroundings& around, Output const& output);
int suspend(std::string const& machine, std::string const& directory, bool keepRunning, Surroundings& around,
    Output const& output);
/// The CPU that the machine has had is not kept any more.
int renewCpu(std::string const& machine, Surroundings& around, Output const& output);
/// Of a suspended machine; its next start begins it anew. `really`: also where it cannot be kept as a moment first, as
/// the disk is full or fails.
int discardState(std::string const& machine, bool really, Surroundings& around, Output const& output);
int renameMachine(std::string const& machine, std::string const& name, Surroundings& around, Output const& output);
/// Into the trash.
int removeMachine(std::string const& machine, Surroundings& around, Output const& output);
int listRemoved(Surroundings& around, Output const& output);
/// Out of the trash: by its name, its uuid, or the unambiguous beginning of that (4 characters and more). Of images
/// alone by the name too, where they are the only ones that are called so.
int bringBack(std::string const& removed, Surroundings& around, Output const& output);
/// Ends machines that were removed `days` ago and before.
int emptyTrash(unsigned days, Surroundings& around, Output const& output);
int screenshot(std::string const& machine, std::string const& path, Surroundings& around, Output const& output);

/// What of a machine's state is shown.
struct InspectOptions {
    std::string part;    ///< only this one
    bool schema = false; ///< what each kind of part has, in place of the values
};

struct MomentOptions {
    std::string action; ///< take cancel list restore fork delete change diff inspect export import verify prune policy
    std::string machine, moment;
    std::string other; ///< diff: the moment to compare with
    std::optional<std::string> name, note;
    std::optional<bool> pinned;
    bool losePresent = false; ///< restore: what is now is not kept first
    InspectOptions inspect;
    std::string to;            ///< export: a directory, or the file of a bundle; "-": the standard output
    bool bundle = false;       ///< export
    bool withoutFiles = false; ///< export
    bool dryRun = false;       ///< prune
    std::optional<std::string> tiers, budget;                    ///< prune, policy
    std::optional<std::string> automatic, beforeChange, onClose; ///< policy: "on", "off"
    std::optional<unsigned> everyMinutes;                        ///< policy
};
int moment(MomentOptions const& options, Surroundings& around, Output const& output);
/// A method of the control socket on a machine that a process has in memory, or that nobody has.
vmm::Result<Json> callOnMachine(
    std::string const& machine, std::string const& method, Json params, Surroundings& around, Output const& output);
int pruneMoments(MomentOptions const& options, Surroundings& around, Output const& output);
int momentPolicy(MomentOptions const& options, Surroundings& around, Output const& output);
/// "all:1h,1h:1d,1d:30d": all of the last hour, hourly for a day, daily for a month; "none": no tier. As "tiers" of the
/// control socket has them.
vmm::Result<Json> parseTiers(std::string const& text);
/// How much of what moments take, as moment.list and moment.prune answer it, is what disks keep.
std::string disksText(Json const& answer);
/// diff, inspect and export: they only read, and do it here, whoever has the machine in memory.
int lookAtMoment(MomentOptions const& options, Surroundings& around, Output const& output);
int importMoment(MomentOptions const& options, Surroundings& around, Output const& output);

struct DiskOptions {
    std::string action; ///< list stream commit grow cancel
    std::string machine, disk;
    std::string size;              ///< grow
    std::string onto;              ///< stream
    std::optional<unsigned> files; ///< commit
    bool force = false;            ///< commit
};
int disk(DiskOptions const& options, Surroundings& around, Output const& output);

struct ConsoleOptions {
    std::string machine, console;
    std::optional<std::string> send, wait;
    double timeout = 30;
};
int console(ConsoleOptions const& options, Surroundings& around, Output const& output);

int inspect(std::string const& given, InspectOptions const& options, Surroundings const& around, Output const& output);
vmm::Result<> printMachine(vmm::SavedMachine const& machine, InspectOptions const& options, Output const& output);
/// Prints the JSON Schema of one of our kinds of files.
int schema(std::string const& kind, Output const& output);
int validate(std::string const& given, Surroundings const& around, Output const& output);

/// The client of the process that has `machine` in memory, and the machine's uuid. Says "web is off" where none has.
struct Owner {
    control::ControlClient client;
    std::string uuid;
};
vmm::Result<Owner> findOwner(std::string const& machine, Surroundings const& around);
/// What `ask` hears from that process; where it ends without having begun what it was asked, from who has the machine
/// then. The outer error is findOwner()'s.
template<typename Ask>
vmm::Result<std::invoke_result_t<Ask, Owner&>> askOwner(
    std::string const& machine, Surroundings const& around, Ask const& ask)
{
    for (;;) {
        auto owner = TRY(findOwner(machine, around));
        auto answer = ask(owner);
        if (answer || answer.error().code != vmm::ErrorCode::Disconnected || !owner.client.isUnheard())
            return answer;
    }
}
/// The end of a verb that is one method.
int told(vmm::Result<vmm::Result<Json>> const& answer, Output const& output);
/// Of what that process tells: which ports of the host's `machine` came back without.
void noteMissedForwards(std::string const& machine, std::string const& event, Json const& told, Output const& output);
/// Which moment the present went to, when the machine left it.
void notePresentLeft(std::string const& moment, Output const& output);
void notePresentLeft(std::string const& machine, std::string const& event, Json const& told, Output const& output);

/// A machine's configuration, and who would change it: the process that has the machine, or nobody but its file.
struct Configured {
    std::optional<Owner> owner;
    vmm::VmConfig config;
    bool isSuspended = false; ///< its saved state has a configuration of its own, which it would come back with
    bool isInMemory = false;  ///< of the owner
};
vmm::Result<Configured> findConfigured(std::string const& machine, Surroundings const& around);
/// Refuses one that is suspended.
vmm::Result<Configured> findChangeable(std::string const& machine, Surroundings const& around);

/// What a machine has changed by itself, for its next start.
vmm::Result<> keepChange(MachineStore& store, std::string const& id, Notice const& notice);
/// What nobody has in memory is changed here, as who has it would, and written.
vmm::Result<> changeHere(std::string const& machine, Surroundings& around,
    std::function<void(MachineRunner&, MachineRunner::Completion)> const& change);

/// Refuses what would build a machine otherwise that comes back as it was, and says `why`. Not --cpu: that it keeps
/// nothing holds then too.
vmm::Result<> refuseHardware(HardwareOptions const& options, std::string_view why);
/// Changes `config` as the options say, where each file must be there.
vmm::Result<> applyHardware(vmm::VmConfig& config, HardwareOptions const& options);
/// "tablet,on=usb-hub-0"; of a stick "PATH,readonly". The device has no id yet.
vmm::Result<vmm::UsbDeviceConfig> parseUsbDevice(std::string const& text);
vmm::Result<vmm::DiskConfig> parseStick(std::string const& text);
/// "tcp:127.0.0.1:2222:22", or "tcp:2222:22".
vmm::Result<vmm::PortForward> parseForward(std::string const& text);
/// "20G", "512M", "1T", "1048576".
vmm::Result<std::uint64_t> parseSize(std::string const& text);

}
