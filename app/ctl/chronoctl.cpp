#include "app/ctl/chronoctl.h"

#include "app/control/gamepad_json.h"
#include "app/control/key_names.h"
#include "app/ctl/description.h"
#include "app/ctl/paths.h"
#include "app/ctl/verbs.h"
#include "app/store/file_schemas.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fmt/ranges.h>
#include <map>
#include <set>
#include <sstream>

namespace app::ctl {

namespace {

/// What the command line can say, and what it has said.
struct CommandLine {
    CLI::App root { "Machines on the command line", "chronoctl" };
    bool json = false;
    unsigned days = 0, x = 0, y = 0;
    std::string machine, name, path, directory, drive, shell, network, plug, forwardText, click;
    bool force = false, remove = false, keepRunning = false, paused = false, detach = false, foreground = false,
         really = false;
    std::vector<std::string> keys, padButtons;
    std::string pad;
    std::vector<double> leftStick, rightStick, triggers;
    CreateOptions create;
    RunOptions run;
    ConsoleOptions console;
    MomentOptions moment;
    DiskOptions disk;
    UsbOptions usb;
    std::function<int(Surroundings&, Output const&)> action;

    using Action = std::function<int(Surroundings&, Output const&)>;

    /// Throws what CLI11 does where the verb is not to be said so.
    using Check = std::function<void(CLI::App const&)>;

    CLI::App* verb(
        char const* name, char const* what, Action does, Check check = [](CLI::App const&) {})
    {
        auto* added = root.add_subcommand(name, what);
        added->callback([this, added, does = std::move(does), check = std::move(check)] {
            check(*added);
            action = does;
        });
        return added;
    }
    /// Which of its actions each option goes with, or an argument; all others go with each.
    using Places = std::map<std::string, std::set<std::string_view>>;
    static void refuseMisplaced(CLI::App const& verb, std::string_view action, Places const& places)
    {
        for (auto const& [option, actions] : places) {
            if (verb.count(option) > 0 && !actions.contains(action))
                throw CLI::ValidationError(option, fmt::format("goes with {}", fmt::join(actions, ", ")));
        }
    }
    static bool isSaid(CLI::App const& verb, char const* argument)
    {
        return verb.count(argument) > 0 && !verb.get_option(argument)->results().front().empty();
    }
    static void demand(CLI::App const& verb, char const* argument)
    {
        if (!isSaid(verb, argument))
            throw CLI::RequiredError(argument);
    }
    static void demandOne(CLI::App const& verb, std::initializer_list<char const*> arguments)
    {
        if (std::ranges::count_if(arguments, [&](char const* one) { return isSaid(verb, one); }) != 1)
            throw CLI::RequiredError(fmt::format("one of {}", fmt::join(arguments, ", ")));
    }
    CLI::App* onMachine(
        char const* name, char const* what, Action does, Check check = [](CLI::App const&) {})
    {
        auto* added = verb(name, what, std::move(does), std::move(check));
        added->add_option("machine", machine, "The machine's name or uuid")->required();
        return added;
    }
    /// A verb that is one method of the control socket without parameters.
    void method(char const* name, char const* what, char const* method)
    {
        onMachine(name, what, [this, method](Surroundings& around, Output const& output) {
            return control(machine, method, Json::object(), around, output);
        });
    }

    static void checkMoment(CLI::App const& verb, std::string const& action)
    {
        static std::set<std::string_view> const needMoment { "restore", "delete", "change", "diff", "inspect",
            "export" };
        static Places const places {
            { "moment", { "take", "fork", "restore", "delete", "change", "diff", "inspect", "export" } },
            { "other", { "diff" } },
            { "--name", { "take", "change", "fork", "import" } },
            { "--note", { "take", "change" } },
            { "--pin", { "change" } },
            { "--lose-present", { "restore" } },
            { "--part", { "inspect" } },
            { "--schema", { "inspect" } },
            { "--to", { "export" } },
            { "--bundle", { "export" } },
            { "--without-files", { "export" } },
            { "--dry-run", { "prune" } },
            { "--tiers", { "prune", "policy" } },
            { "--budget", { "prune", "policy" } },
            { "--automatic", { "policy" } },
            { "--every", { "policy" } },
            { "--before-change", { "policy" } },
            { "--on-close", { "policy" } },
        };
        refuseMisplaced(verb, action, places);
        if (needMoment.contains(action))
            demand(verb, "moment");
        if (action == "export") {
            demand(verb, "--to");
            if (verb.get_option("--to")->results().front() == "-" && verb.count("--bundle") == 0)
                throw CLI::ValidationError("--to", "- goes with --bundle");
        }
        if (action == "take" && verb.count("moment") > 0 && verb.count("--name") > 0)
            throw CLI::ExcludesError("--name", "moment");
    }

    void checkUsb(CLI::App const& verb) const
    {
        static Places const places {
            { "device", { "add", "remove", "attach", "detach", "restore", "foresee", "rule add", "rule remove" } },
            { "--from", { "attach" } },
            { "--listen", { "attach" } },
            { "--always", { "attach" } },
            { "--force", { "attach" } },
            { "--stick", { "add" } },
            { "--attach", { "rule add" } },
            { "--ask", { "rule add" } },
            { "--never", { "rule add" } },
        };
        static std::set<std::string_view> const rules { "list", "add", "remove" };
        if (usb.action == "rule" && !rules.contains(usb.machine))
            throw CLI::RequiredError(fmt::format("one of {}", fmt::join(rules, ", ")));
        auto const action = usb.action == "rule" ? "rule " + usb.machine : usb.action;
        refuseMisplaced(verb, action, places);
        if (action != "list")
            demand(verb, "machine");
        if (action == "add")
            demandOne(verb, { "device", "--stick" });
        else if (action == "attach")
            demandOne(verb, { "device", "--from", "--listen" });
        else if (action == "remove" || action == "detach" || action == "rule add" || action == "rule remove")
            demand(verb, "device");
        if (action == "rule add")
            demandOne(verb, { "--attach", "--ask", "--never" });
    }

    static void addInspection(CLI::App& verb, InspectOptions& options)
    {
        verb.add_option("--part", options.part, "Of inspect: only this device: serial0");
        verb.add_flag("--schema", options.schema, "Of inspect: which fields there are, and of which type and bounds");
    }

    void addThinning(CLI::App& verb)
    {
        verb.add_flag("--dry-run", moment.dryRun, "Of prune: only tell what would go");
        verb.add_option("--tiers", moment.tiers,
            "Of policy, and of prune for this once: which moments stay, as PERIOD:AGE,…: all:1h,1h:1d,1d:30d keeps all"
            " of the last hour, hourly ones for a day, daily ones for a month; none keeps only the present");
        verb.add_option("--budget", moment.budget,
            "Of policy, and of prune for this once: what all moments may take: 20G, or none for any amount. What disks"
            " keep for them is not counted");
        auto const onOff = CLI::IsMember({ "on", "off" });
        verb.add_option("--automatic", moment.automatic, "Of policy: moments while the guest is busy: on or off")
            ->check(onOff);
        verb.add_option("--every", moment.everyMinutes, "Of policy: after so many minutes");
        verb.add_option("--before-change", moment.beforeChange,
                "Of policy: a moment before the machine's settings change, or its suspended state is thrown away: on or"
                " off")
            ->check(onOff);
        verb.add_option("--on-close", moment.onClose,
                "Of policy: a moment before the program ends that has the machine in memory: on or off")
            ->check(onOff);
    }

    static void addHardware(CLI::App& verb, HardwareOptions& hardware)
    {
        verb.add_option("--kernel", hardware.kernel, "Boot this Linux bzImage or PVH ELF directly");
        verb.add_option("--initrd", hardware.initrd, "The kernel's initial RAM disk");
        verb.add_option("--append", hardware.append, "The kernel's command line");
        verb.add_option("--disk", hardware.disks,
            "Another disk: PATH[,bus=virtio|ahci|usb|uas][,format=raw|qcow2][,readonly][,queues=N][,backing=FILE]"
            "[,moments=beside|inside]. Each file that the image stands on and that is not beside it has to be named "
            "with"
            " backing=. A virtio disk has as many queues as the machine has processors. Moments beside a disk are "
            "files that a fork shares: that is so for disks in the machine's own "
            "folder. Inside a qcow2 image they are its snapshots, and a fork copies it: so for images elsewhere. In a "
            "path ,, stands for a comma");
        verb.add_option("--cd", hardware.cds, "Another CD drive, with this image in it");
        verb.add_option("--net", hardware.networks,
            "Another network: user[,forward=tcp:ADDRESS:PORT:GUEST-PORT]…, isolated; none takes all away");
        verb.add_option("--usb", hardware.usb,
            "Another USB device: keyboard, mouse, tablet, serial, audio, gamepad or hub[,on=PARENT]; controller: one "
            "more of"
            " those, up to 16 with 15 connectors each; none takes all away");
        verb.add_option("--cpus", hardware.cpus, "Virtual CPUs, 1 to 16");
        verb.add_option("--memory", hardware.memory, "Memory in MiB");
        verb.add_option("--cpu", hardware.cpu,
                "The CPU's model: host, or baseline, which is the same on every host of one vendor")
            ->check(CLI::IsMember({ "host", "baseline" }));
        verb.add_option("--firmware", hardware.firmware, "The firmware")->check(CLI::IsMember({ "seabios", "ovmf" }));
        verb.add_option("--console", hardware.consoles,
                "Another serial console: serial (a 16550, up to 4), or virtio; none takes all away")
            ->check(CLI::IsMember({ "serial", "virtio", "none" }));
        auto* const displays = verb.add_option("--displays", hardware.displays, "How many screens it has, up to 4");
        verb.add_flag("--no-display", hardware.noDisplay, "A machine without a screen")->excludes(displays);
        verb.add_option("--random-generators", hardware.randomGenerators, "How many virtio-rng devices it has");
        verb.add_flag("--no-tablet", hardware.noTablet, "A machine without the virtio tablet: its pointer is captured");
        verb.add_flag("--debug-console", hardware.debugConsole, "The ports on which firmware writes its log");
    }

    CommandLine()
    {
        root.require_subcommand(1);
        root.fallthrough();
        root.add_flag("--json", json, "Answer in JSON");
        root.set_version_flag("--version", CHRONOVISOR_VERSION, "The version");

        auto* making = verb(
            "create", "Make a machine in the library",
            [this](Surroundings& around, Output const& output) { return ctl::create(create, around, output); },
            [](CLI::App const& said) {
                if (said.count("--initrd") + said.count("--append") > 0 && said.count("--from") == 0)
                    demand(said, "--kernel");
            });
        making->add_option("name", create.name, "What it is called")->required();
        making->add_option("--from", create.from,
            "What it is for: an installation CD, a disk image or a kernel. Memory, CPUs and disk are then proposed as"
            " the desktop does; what else is said here goes before");
        making->add_option("--new-disk", create.newDisk, "Make a disk of this size for it: 20G");
        making->add_option("--notes", create.notes, "Notes on it");
        addHardware(*making, create.hardware);

        verb("list", "List the machines and what they do",
            [](Surroundings& around, Output const& output) { return ctl::list(around, output); });
        onMachine("show", "Show what a machine is made of",
            [this](Surroundings& around, Output const& output) { return show(machine, around, output); });
        auto* starting = onMachine("start", "Start a machine in the background, or bring a suspended one back",
            [this](Surroundings& around, Output const& output) { return start(machine, paused, around, output); });
        starting->add_flag("--paused", paused, "Bring it back and let it stand still");
        method("pause", "Let a machine stand still", "machine.pause");
        method("resume", "Let a paused machine go on", "machine.resume");
        method("reset", "Press the reset button", "machine.reset");
        method("shutdown", "Press the power button; the guest decides", "machine.shutdown");
        method("stop", "Pull the plug", "machine.powerOff");
        onMachine("renew-cpu", "Give a machine at its next start what its model of CPU is on this host now",
            [this](Surroundings& around, Output const& output) { return renewCpu(machine, around, output); });
        onMachine("discard-state", "Throw a suspended machine's saved state away; its next start begins it anew",
            [this](
                Surroundings& around, Output const& output) { return discardState(machine, really, around, output); })
            ->add_flag(
                "--really", really, "Also where the disk is full or fails, so that no moment can be kept of it first");
        onMachine("rename", "Give a machine another name",
            [this](Surroundings& around, Output const& output) { return renameMachine(machine, name, around, output); })
            ->add_option("name", name, "What it is called from now on")
            ->required();
        onMachine("remove", "Put a machine into the trash, with the disks that were made for it",
            [this](Surroundings& around, Output const& output) { return removeMachine(machine, around, output); });
        verb("removed", "List the machines in the trash, from where they can be brought back for 30 days",
            [](Surroundings& around, Output const& output) { return listRemoved(around, output); });
        verb("bring-back", "Take a machine, or images of one, out of the trash again",
            [this](Surroundings& around, Output const& output) { return bringBack(machine, around, output); })
            ->add_option("removed", machine, "The removed machine's name or uuid, as \"removed\" lists it")
            ->required();
        verb("empty-trash", "Delete for good the machines that were removed, with their disks",
            [this](Surroundings& around, Output const& output) { return emptyTrash(days, around, output); })
            ->add_option("--older-than", days, "Only those that were removed this many days ago and before");
        auto* suspending = onMachine(
            "suspend", "Write a machine's state to the disk and end it",
            [this](Surroundings& around, Output const& output) {
                return suspend(machine, directory, keepRunning, around, output);
            },
            [this](CLI::App const& said) {
                if (keepRunning) // what goes on has no saved state of its own
                    demand(said, "--to");
            });
        suspending->add_option("--to", directory, "Into this directory, not the machine's own");
        suspending->add_flag("--keep-running", keepRunning, "Let it go on afterwards; with --to");
        auto* momentous = verb(
            "moment",
            "A machine's past: take, cancel, list, restore, fork, delete, change, diff, inspect, export, import, "
            "verify, prune,"
            " policy",
            [this](Surroundings& around, Output const& output) { return ctl::moment(moment, around, output); },
            [this](CLI::App const& said) { checkMoment(said, moment.action); });
        momentous
            ->add_option("action", moment.action,
                "take keeps the present; cancel breaks that off, and nothing of it stays; restore goes to a moment; "
                "fork makes another machine that goes on from it, or "
                "from the present; change gives it another name, note or pin; diff "
                "tells"
                " what is otherwise at one than at another, or what it has changed; inspect shows all that it knows"
                " of each device; export writes it to a directory or a bundle, import makes a machine from either;"
                " verify compares all memory with its hashes, and looks whether what the disks keep is there and fits"
                " together, for what is in them has no hash;"
                " prune lets go of what the machine has kept by itself and the policy does not want any more, and frees"
                " what no moment needs; policy shows when the machine keeps moments by itself, how long and in how much"
                " space, or changes that")
            ->required()
            ->check(CLI::IsMember({ "take", "cancel", "list", "restore", "fork", "delete", "change", "diff", "inspect",
                "export", "import", "verify", "prune", "policy" }));
        momentous
            ->add_option("machine", moment.machine,
                "The machine's name or uuid; of import: the bundle's file, - for the standard input, or a directory"
                " that export has written")
            ->required();
        momentous->add_option("moment", moment.moment,
            "The moment's id, the beginning of it, or its name; of take: what it is to be called");
        momentous->add_option(
            "other", moment.other, "Of diff: the moment to compare it with; without it the one before");
        momentous->add_option("--name", moment.name,
            "Of take and change: what it is called; of fork and import: what the new machine is called");
        momentous->add_option("--note", moment.note, "Of take and change: a note on it");
        momentous->add_flag("--pin,!--unpin", moment.pinned, "Of change: whether it is never thinned out");
        momentous->add_flag(
            "--lose-present", moment.losePresent, "Of restore: do not keep what is now as a moment first");
        addInspection(*momentous, moment.inspect);
        momentous->add_option("--to", moment.to,
            "Of export: a directory that is not there yet, for the machine's state and memory with all that it reads; "
            "of"
            " a bundle the file, or - for the standard output");
        auto* const bundle = momentous->add_flag(
            "--bundle", moment.bundle, "Of export: one file, which import understands on any host");
        momentous
            ->add_flag("--without-files", moment.withoutFiles,
                "Of export to a directory: state and memory alone; it fits no disks but those as they were then")
            ->excludes(bundle);
        addThinning(*momentous);
        auto* restoring
            = verb("restore", "Bring a suspended machine back", [this](Surroundings& around, Output const& output) {
                  return restore(machine, foreground, around, output);
              });
        restoring->add_option("machine", machine, "The machine, or the directory of its state")->required();
        restoring->add_flag("--foreground", foreground, "Stay with it, with its first serial port on this terminal");
        auto* picturing = onMachine("screenshot", "Save the picture of a machine's screen",
            [this](Surroundings& around, Output const& output) { return screenshot(machine, path, around, output); });
        picturing->add_option("file", path, "A .png or .ppm file")->required();
        auto* talking = verb(
            "console", "Use a machine's serial port, until Ctrl-], the end of what is typed, or the machine's end",
            [this](Surroundings& around, Output const& output) { return ctl::console(console, around, output); },
            [this](CLI::App const& said) {
                if (json && said.count("--send") + said.count("--wait") == 0) // or it has no end that JSON could tell
                    throw CLI::RequiredError("--send or --wait");
            });
        talking->add_option("machine", console.machine, "The machine's name or uuid")->required();
        talking->add_option("port", console.console, "The port's id; without it the first: serial0");
        talking->add_option("--send", console.send, "Type this (\\n, \\r, \\t, \\e, \\xNN) and leave, or wait");
        auto* const waiting = talking->add_option("--wait", console.wait,
            "Wait until this extended regular expression is in the output: in all that is kept, or after --send in "
            "what follows");
        constexpr double week = 7.0 * 24 * 3600;
        talking->add_option("--timeout", console.timeout, "Seconds to wait")
            ->needs(waiting)
            ->check(CLI::Range(0.0, week))
            ->capture_default_str();
        auto* typing = onMachine("send-keys", "Press keys", [this](Surroundings& around, Output const& output) {
            return control(machine, "machine.sendKeys", { { "keys", keys } }, around, output);
        });
        typing
            ->add_option("keys", keys,
                "Key names, those of a chord with - between: ctrl-alt-del. They are " + control::allKeyNames())
            ->required();
        auto* pointing = onMachine(
            "send-pointer", "Move the pointer, and click", [this](Surroundings& around, Output const& output) {
                return control(
                    machine, "machine.sendPointer", { { "x", x }, { "y", y }, { "click", click } }, around, output);
            });
        pointing->add_option("x", x, "From left to right, 0 to 32767")->required();
        pointing->add_option("y", y, "From top to bottom, 0 to 32767")->required();
        pointing->add_option("--click", click, "Press this button there, and let it go: left, right, middle")
            ->check(CLI::IsMember({ "left", "right", "middle" }));
        auto* playing = onMachine("send-gamepad",
            "Do something with a machine's gamepad: what is named is pressed or held, all else let go",
            [this](Surroundings& around, Output const& output) {
                Json params { { "device", pad }, { "buttons", padButtons } };
                for (auto const& [name, pair] : { std::pair("left", &leftStick), std::pair("right", &rightStick),
                         std::pair("triggers", &triggers) }) {
                    if (!pair->empty())
                        params[name] = *pair;
                }
                return control(machine, "machine.sendGamepad", params, around, output);
            });
        playing->add_option("device", pad, "The gamepad's id: usb-gamepad-0")->required();
        playing->add_option("buttons", padButtons, "Buttons, by their places")
            ->check(CLI::IsMember(control::gamepadButtonNames()));
        playing->add_option("--left", leftStick, "The left stick: X and Y from -1 to 1, right and down positive")
            ->expected(2);
        playing->add_option("--right", rightStick, "The right stick")->expected(2);
        playing->add_option("--triggers", triggers, "The left and the right trigger, from 0 to 1")->expected(2);
        auto* inserting
            = onMachine("insert", "Put a medium into a drive", [this](Surroundings& around, Output const& output) {
                  return control(
                      machine, "machine.insert", { { "drive", drive }, { "path", absolute(path) } }, around, output);
              });
        inserting->add_option("drive", drive, "The drive's id: cd0")->required();
        inserting->add_option("image", path, "The image")->required();
        auto* ejecting
            = onMachine("eject", "Take a medium out of a drive", [this](Surroundings& around, Output const& output) {
                  return control(machine, "machine.eject", { { "drive", drive }, { "force", force } }, around, output);
              });
        ejecting->add_option("drive", drive, "The drive's id: cd0")->required();
        ejecting->add_flag("--force", force, "Also where the guest has locked it");
        auto* plugging = onMachine("cable", "Plug a network cable in, or pull it out; also while the machine runs",
            [this](Surroundings& around, Output const& output) {
                return cable(machine, network, plug == "in", around, output);
            });
        plugging->add_option("where", plug, "in or out")->required()->check(CLI::IsMember({ "in", "out" }));
        auto* forwarding = onMachine(
            "forward", "List, add or take away the ports of this host that lead to the machine; also while it runs",
            [this](Surroundings& around, Output const& output) {
                return forward(machine, network, forwardText, remove, around, output);
            },
            [this](CLI::App const& said) {
                if (remove)
                    demand(said, "forward");
            });
        forwarding->add_option("forward", forwardText, "PROTOCOL:[HOST-ADDRESS:]HOST-PORT:GUEST-PORT: tcp:2222:22");
        forwarding->add_flag("--remove", remove, "Take it away");
        addDisk();
        addUsb();
        for (auto* one : { plugging, forwarding })
            one->add_option("--network", network, "The network's id; without it the first: net0");
        auto* inspecting = verb("inspect", "Show a saved state, each device's fields by name",
            [this](Surroundings& around, Output const& output) {
                return inspect(directory, moment.inspect, around, output);
            });
        inspecting->add_option("state", directory, "A suspended machine's name, or the directory of a saved state")
            ->required();
        addInspection(*inspecting, moment.inspect);
        verb("schema", "Print the JSON Schema of a kind of file",
            [this](Surroundings&, Output const& output) { return schema(path, output); })
            ->add_option("file", path,
                "machine: machine.json; cpu: cpu.json beside it; moment, timeline, working-set: of a timeline; state: "
                "of a suspended machine, or of a moment; bundle, checksums: of a bundle; usb-rules: usb.json")
            ->required()
            ->check(CLI::IsMember(fileKinds()));
        verb("validate", "Check a configuration, a disk image, a saved state with its memory, or all of a machine",
            [this](Surroundings& around, Output const& output) { return validate(path, around, output); })
            ->add_option(
                "file", path, "The file, the directory of a state, or a machine's name: all that it is made of")
            ->required();
        addRun();
        verb("completion", "Print completion for a shell",
            [this](Surroundings&, Output const& output) { return print(completionScript(root, shell), output); })
            ->add_option("shell", shell, "bash, zsh or fish")
            ->required()
            ->check(CLI::IsMember({ "bash", "zsh", "fish" }));
        verb("manual", "Print the manual page",
            [this](Surroundings&, Output const& output) { return print(manualPage(root), output); });
    }

    static int print(std::string const& text, Output const& output)
    {
        output.json ? output.value({ { "text", text } }) : writeAll(output.out, text);
        return Done;
    }

    void addDisk()
    {
        auto* added = verb(
            "disk", "A machine's disks, and the files that they stand on: list, stream, commit, grow, cancel",
            [this](Surroundings& around, Output const& output) { return ctl::disk(disk, around, output); },
            [this](CLI::App const& said) {
                refuseMisplaced(said, disk.action,
                    { { "--onto", { "stream" } }, { "--files", { "commit" } }, { "--force", { "commit" } },
                        { "size", { "grow" } } });
                if (disk.action != "list")
                    demand(said, "disk");
                if (disk.action == "grow")
                    demand(said, "size");
            });
        added
            ->add_option("action", disk.action,
                "list tells which files those are; stream makes a disk independent of them: what it has of them is "
                "copied into its own file; commit puts what its own file holds into the file below it, where nobody "
                "else needs that as it is; both also while the machine runs; cancel breaks either off: nothing is "
                "lost; grow makes a disk larger, while the machine is off: moments keep the size that it had. A file "
                "of yours on which nobody stands any more is yours to delete; those of "
                "moments go with them")
            ->required()
            ->check(CLI::IsMember({ "list", "stream", "commit", "grow", "cancel" }));
        added->add_option("machine", disk.machine, "The machine's name or uuid")->required();
        added->add_option("disk", disk.disk, "The disk's id: disk0");
        added->add_option("size", disk.size, "Of grow: how large the disk shall be, as 40G");
        added->add_option(
            "--onto", disk.onto, "Of stream: the file further below that it goes on standing on; without it on none");
        added
            ->add_option("--files", disk.files, "Of commit: so many files down, if nobody else needs them; one without")
            ->check(CLI::Range(1, 64));
        added->add_flag("--force", disk.force, "Of commit: images of other machines that cannot be read do not matter");
    }

    void addUsb()
    {
        auto* added = verb(
            "usb",
            "USB devices of this host and of a machine, also while it runs, and the rules for them: list, add, "
            "remove, attach, detach, rule, restore, foresee",
            [this](Surroundings& around, Output const& output) {
                if (!usb.from.empty())
                    return redirectUsb(usb.machine, RedirectUsb::From, usb.from, around, output);
                if (!usb.listen.empty())
                    return redirectUsb(usb.machine, RedirectUsb::Listen, usb.listen, around, output);
                return ctl::usb(usb, around, output);
            },
            [this](CLI::App const& said) { checkUsb(said); });
        added
            ->add_option("action", usb.action,
                "list shows which this host has, what it does with them and which machine has one; with a machine "
                "which "
                "that has and whether they are plugged in; add makes one more the machine's own, remove takes one of "
                "those "
                "away again; attach plugs one in, detach pulls it out; rule list, rule "
                "add "
                "MATCH and rule remove MATCH are about which devices come to a machine by themselves; restore says "
                "what "
                "becomes of the host's devices when the machine comes back from a moment or a saved state; foresee "
                "tells "
                "which will be unplugged then")
            ->required()
            ->check(CLI::IsMember({ "list", "add", "remove", "attach", "detach", "rule", "restore", "foresee" }));
        added->add_option("machine", usb.machine, "The machine's name or uuid; of rule: list, add or remove");
        added->add_option("device", usb.device,
            "The device's id, a stick's is the disk's: disk0; of a device of the host's its port, VENDOR:PRODUCT or "
            "serial number; of one that comes from elsewhere its id: redir1. Of add what it is: keyboard, mouse, "
            "tablet, serial, audio, gamepad or hub[,on=PARENT]; it tells the id. Of rule the devices that are meant: "
            "VENDOR:PRODUCT or VENDOR:*, class=CLASS, port=PORT and "
            "serial=NUMBER, with commas between them, the serial number last; or any. Of restore: attach (they are "
            "plugged in anew), leave or ask; without it what holds. Of foresee: the moment; without it what suspending "
            "does");
        added->add_option("--stick", usb.stick,
            "Of add: a memory stick with this disk image: PATH[,bus=usb|uas][,format=raw|qcow2][,readonly]"
            "[,backing=FILE][,moments=beside|inside]. In a path ,, stands for a comma");
        auto* const always = added->add_flag(
            "--always", usb.always, "Of attach: and from now on by itself, whenever it is plugged in");
        auto* const force
            = added->add_flag("--force", usb.force, "Of attach: also what this host uses, or what a rule keeps for it");
        added->add_option("--attach", usb.attachTo, "Of rule add: to this machine, by themselves");
        added->add_flag("--ask", usb.asks, "Of rule add: the desktop asks when one is plugged in");
        added->add_flag("--never", usb.never, "Of rule add: neither by themselves nor asked about");
        auto* const from = added->add_option("--from", usb.from,
            "Of attach: a device of another computer, where \"usbredirect --as\" passes it on: HOST:PORT, or a "
            "socket's "
            "path. Nothing is encrypted; where that matters, take a tunnel (ssh -L)");
        auto* const listen = added->add_option("--listen", usb.listen,
            "Of attach: wait for devices of other computers, which \"usbredirect --to\" brings, at "
            "[ADDRESS:]PORT or the path of a socket; without an address only this host can bring some (or ssh -R)");
        for (auto* ofTheHost : { always, force })
            ofTheHost->excludes(from)->excludes(listen);
    }

    void addRun()
    {
        auto* running = verb("run", "Run a machine here, without a desktop",
            [this](Surroundings& around, Output const& output) { return ctl::run(run, around, output); });
        auto* const subject = running->add_option("machine", run.machine,
            "A machine of the library, or a configuration's file; without it a machine is made up from the options");
        addHardware(*running, run.hardware);
        running->add_option("--serial", run.hardware.serials,
            "Where each serial port goes: stdio (Ctrl-] is the escape key), pty, file:PATH, none");
        auto* const state = running->add_option(
            "--state", run.stateDirectory, "Where a machine that is in no library is suspended to");
        auto* const restoring = running->add_option(
            "--restore", run.restoreFrom, "Bring back the machine whose state is in this directory");
        restoring->excludes(subject)->excludes(state);
        running->add_option("--on-signal", run.onSignal, "What SIGINT, SIGTERM and SIGHUP do; a second one powers off")
            ->check(CLI::IsMember({ "suspend", "shutdown", "poweroff" }))
            ->capture_default_str();
        auto* const still
            = running->add_flag("--paused", run.paused, "Bring a suspended machine back, and let it stand still");
        auto* const going
            = running->add_option("--moment", run.moment, "Go to this moment of its timeline instead of starting it");
        going->needs(subject)->excludes(still);
        running->add_flag("--lose-present", run.losePresent, "With --moment: what its disks hold now need not be kept")
            ->needs(going);
        running->add_option("--ready-fd", run.readyFd)->group("");
    }
};

}

int runChronoctl(std::vector<std::string> const& arguments, Surroundings& surroundings)
{
    CommandLine line;
    try {
        // CLI11 takes the last one first.
        line.root.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    } catch (CLI::ParseError const& error) {
        std::ostringstream out, err;
        int const code = line.root.exit(error, out, err);
        // What was understood before the mistake is not told.
        if (code != 0 && std::find(arguments.begin(), arguments.end(), "--json") != arguments.end()) {
            Output { surroundings.out, surroundings.err, true }.failed(
                { vmm::ErrorCode::InvalidArgument, error.what(), 0 });
            return WrongUsage;
        }
        writeAll(surroundings.out, out.str());
        writeAll(surroundings.err, err.str());
        return code == 0 ? Done : WrongUsage;
    }
    return line.action(surroundings, Output { surroundings.out, surroundings.err, line.json });
}

}
