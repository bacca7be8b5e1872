#include "app/control/control_server.h"
#include "app/control/moment_methods.h"
#include "app/ctl/paths.h"
#include "app/ctl/serial_pump.h"
#include "app/ctl/verbs.h"
#include "app/runner/host_process.h"
#include "app/store/whole_file.h"
#include "vmm/base/random.h"
#include "vmm/config/config_paths.h"
#include "vmm/machine/saved_machine.h"

#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace app::ctl {

namespace {

bool isConfigFile(std::string const& machine)
{
    return machine.find('/') != std::string::npos || machine.ends_with(".json");
}

/// What is to be run, from wherever it is described.
struct Subject {
    vmm::VmConfig config;
    MachinePlaces places;
    bool isInLibrary = false;
};

vmm::Result<Subject> findSubject(RunOptions const& options, Surroundings& around)
{
    Subject subject;
    auto const directory = absolute(options.stateDirectory);
    if (!options.restoreFrom.empty()) {
        TRY(refuseHardware(options.hardware, "a saved state has its hardware in it"));
        subject.places.stateDirectory = absolute(options.restoreFrom);
        subject.places.keepsState = true;
        subject.config = TRY(vmm::readSavedMachine(subject.places.stateDirectory)).config;
        return subject;
    }
    if (options.machine.empty()) {
        subject.config.uuid = vmm::makeUuid();
        subject.config.name = fmt::format("run-{}", ::getpid());
        subject.config.serials = { { "serial0" } };
        subject.config.displays = { {} };
        subject.places.stateDirectory = directory;
    } else if (isConfigFile(options.machine)) {
        auto const text = TRY(readWholeFile(options.machine, 4u << 20));
        subject.config = TRY_WITHIN(options.machine, vmm::configFromText(text));
        vmm::makePathsAbsolute(subject.config, std::filesystem::path(absolute(options.machine)).parent_path());
        subject.places.stateDirectory = directory;
    } else {
        auto stored = TRY(around.store.find(options.machine));
        if (stored.isSuspended) {
            TRY(refuseHardware(options.hardware,
                fmt::format(
                    "{} is suspended, and its saved state has its hardware in it; discard-state throws that away",
                    stored.config.name)));
        }
        subject.config = std::move(stored.config);
        subject.places = around.store.placesOf(stored.id);
        subject.isInLibrary = true;
    }
    if (!options.moment.empty())
        TRY(refuseHardware(options.hardware, "a moment has its hardware in it"));
    if (!subject.isInLibrary && vmm::holdsSavedMachine(directory)) {
        TRY(refuseHardware(
            options.hardware, fmt::format("{} holds a saved state, which has its hardware in it", directory)));
    }
    TRY(applyHardware(subject.config, options.hardware));
    if (!options.hardware.cpu.empty())
        subject.places.cpuFile.clear(); // for this once
    while (vmm::consoleIds(subject.config).size() < options.hardware.serials.size())
        subject.config.serials.push_back({ freeDeviceId(subject.config, "serial") });
    TRY(vmm::checkConfig(subject.config));
    return subject;
}

/// On the descriptor that who waits for a machine in the background reads.
constexpr std::string_view readyLine = "ready\n";

/// Takes that line out of what a process has said, where it is there.
bool takeReady(std::string& said)
{
    auto const place = ("\n" + said).find("\n" + std::string(readyLine));
    if (place == std::string::npos)
        return false;
    said.erase(place, readyLine.size());
    return true;
}

/// SIGINT, SIGTERM and SIGHUP come through a descriptor while the object lives. Made before any thread, which would
/// otherwise take them.
class Signals {
public:
    Signals()
    {
        sigset_t wanted;
        ::sigemptyset(&wanted);
        for (int const signal : { SIGINT, SIGTERM, SIGHUP })
            ::sigaddset(&wanted, signal);
        ::pthread_sigmask(SIG_BLOCK, &wanted, &m_before);
        m_fd.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
    }
    ~Signals() { ::pthread_sigmask(SIG_SETMASK, &m_before, nullptr); }
    int fd() const { return m_fd.get(); }
    bool take() const
    {
        signalfd_siginfo information {};
        return ::read(m_fd.get(), &information, sizeof information) == sizeof information;
    }

private:
    sigset_t m_before {};
    vmm::UniqueFd m_fd;
};

/// One machine in the foreground; everything here is on the loop's thread, which is the caller's.
class Host {
public:
    Host(RunOptions const& options, Surroundings& around, Output const& output, vmm::EventLoop& loop,
        TerminalSizes& sizes, Subject subject)
        : m_options(options),
          m_around(around),
          m_output(output),
          m_loop(loop),
          m_sizes(sizes),
          m_subject(std::move(subject)),
          m_runner(std::make_shared<MachineRunner>(m_subject.config, m_subject.places, around.factory))
    {
    }

    ~Host()
    {
        m_server.reset();
        m_runner->removeObserver(m_observer);
    }

    int run(Signals const& signals)
    {
        auto const signalled = m_loop.watch(signals.fd(), EPOLLIN, [&](std::uint32_t) {
            if (signals.take())
                askToEnd();
        });
        if (auto const connected = connectSerials(); !connected)
            return m_output.failed(connected.error());
        m_observer
            = m_runner->addObserver([this](Notice const& notice) { m_loop.post([this, notice] { take(notice); }); });
        auto const begun = [this](vmm::Result<> const& outcome) { m_loop.post([this, outcome] { started(outcome); }); };
        begin(begun);
        // While the machine is being put together on its own thread.
        auto server
            = control::ControlServer::start(m_around.runtimeDirectory, "chronoctl run", control::Serves::InMemory);
        if (server) {
            m_server = std::move(*server);
            m_server->setRunners({ m_runner });
        } else {
            m_unreachable = server.error();
        }
        m_loop.run();
        if (m_failure)
            return m_output.failed(*m_failure);
        if (m_hasCrashed && m_reason)
            complain("the guest has crashed", *m_reason);
        return m_hasCrashed ? int(GuestCrashed) : m_code;
    }

private:
    /// Who has asked for the end from outside hears that it came, and who waits for something else its outcome.
    void leave()
    {
        if (std::exchange(m_isLeaving, true))
            return;
        for (auto& pump : m_pumps)
            pump->flush();
        m_pumps.clear(); // the terminal is as before, also while somebody is waited for
        if (!m_server)
            return m_loop.stop();
        endJobsAfter(std::chrono::seconds(5));
        m_server->finish([this] { m_loop.post([this] { m_loop.stop(); }); });
    }

    /// While something looks at the past nobody else can have the machine.
    void endJobsAfter(std::chrono::seconds time)
    {
        m_patience = m_loop.at(vmm::EventLoop::now() + time, [this] {
            m_runner->cancelJob();
            m_runner->cancelKeeping();
            endJobsAfter(std::chrono::seconds(1)); // what has begun only then
        });
    }

    void complain(std::string_view what, vmm::Error why) const { m_output.failed(std::move(why).within(what)); }

    vmm::Result<> connectSerials()
    {
        auto wanted = m_options.hardware.serials;
        if (wanted.empty() && m_options.readyFd < 0)
            wanted = { "stdio" };
        auto const serials = vmm::consoleIds(m_subject.config);
        for (std::size_t i = 0; i < wanted.size() && i < serials.size(); ++i) {
            if (wanted[i] == "none")
                continue;
            auto pump = TRY(SerialPump::create(m_loop, m_runner->console(serials[i]), wanted[i], m_around.in,
                m_around.out, [this](char key) { escape(key); }));
            if (wanted[i] == "stdio")
                followSize(m_runner->console(serials[i]));
            if (!pump->name().empty())
                m_output.note(fmt::format("chronoctl: {} is {}", serials[i], pump->name()));
            m_pumps.push_back(std::move(pump));
        }
        return {};
    }

    void followSize(std::shared_ptr<ConsoleLink> const& link)
    {
        auto const tell = [this, link](std::uint32_t) {
            if (auto const size = m_sizes.take())
                link->setSize(*size);
        };
        tell(0);
        m_resized = m_loop.watch(m_sizes.fd(), EPOLLIN, tell);
    }

    void begin(MachineRunner::Completion const& begun)
    {
        if (m_options.moment.empty()) {
            m_options.paused ? m_runner->startPaused(begun) : m_runner->start(begun);
            return;
        }
        control::Json const params { { "moment", m_options.moment }, { "losePresent", m_options.losePresent } };
        control::callMomentMethod(*m_runner, "moment.go", params, [begun](vmm::Result<control::Json> const& outcome) {
            begun(outcome ? vmm::Result<>() : vmm::fail(outcome.error()));
        });
    }

    void started(vmm::Result<> const& outcome)
    {
        if (!outcome) {
            m_failure = outcome.error();
            return leave();
        }
        if (m_unreachable)
            complain("no control socket", *m_unreachable);
        if (m_options.readyFd >= 0) {
            writeAll(m_options.readyFd, readyLine);
            ::close(m_options.readyFd);
        }
        // It went to a moment at which it was off.
        if (m_runner->state() == SessionState::Off && !m_options.moment.empty())
            leave();
    }

    void take(Notice const& notice)
    {
        if (auto const kept
            = m_subject.isInLibrary ? keepChange(m_around.store, m_runner->id(), notice) : vmm::Result<>();
            !kept)
            complain("the next start goes without this change", kept.error());
        if (auto const* missed = std::get_if<notice::ForwardsMissed>(&notice))
            complain(missed->network, missed->why);
        if (auto const* left = std::get_if<notice::PresentLeft>(&notice))
            notePresentLeft(left->moment, m_output);
        auto const* change = std::get_if<notice::StateChanged>(&notice);
        if (change == nullptr || m_hasCrashed || m_isLeaving)
            return;
        m_reason = change->reason;
        if (change->state == SessionState::Crashed) {
            m_hasCrashed = true;
            // Which waits for a moment that somebody has asked for.
            m_runner->powerOff([this](vmm::Result<> const&) { m_loop.post([this] { leave(); }); });
        } else if (isInMemory(change->state)) {
            // Whether a start fails is told by started(), whichever of the two comes first.
            m_wasInMemory |= change->state != SessionState::Starting && change->state != SessionState::Restoring;
            m_isSuspending = change->state == SessionState::Suspending;
            if (change->state == SessionState::Paused && change->reason)
                complain("paused", *change->reason);
        } else if (m_wasInMemory) {
            // Nobody asked for what has a reason. The guest may power off while a suspend waits for a moment, too.
            bool const hasPoweredOff = m_reason && (m_isSuspending || m_reason->code == vmm::ErrorCode::Cancelled);
            if (m_reason && !hasPoweredOff)
                m_failure = vmm::Error(*m_reason).within("the machine has ended");
            m_code = hasPoweredOff ? Done : m_isSuspending ? MachineSuspended : MachineStopped;
            leave();
        }
    }

    /// A signal. Who asks again does not want to wait.
    void askToEnd()
    {
        if (m_isLeaving)
            return m_loop.stop();
        if (m_asked++ > 0) {
            m_runner->cancelKeeping();
            return powerOff();
        }
        // What is now stays as a moment, where the policy of the timeline wants that.
        m_runner->keepUnasked(vmm::timeline::Reason::OnClose, [this](vmm::Result<> const&) {
            m_loop.post([this] {
                if (m_asked == 1)
                    endAsAsked();
            });
        });
    }

    void endAsAsked()
    {
        bool const canSuspend = !m_subject.places.stateDirectory.empty();
        if (m_options.onSignal == "shutdown")
            m_runner->pressPowerButton();
        else if (m_options.onSignal == "suspend" && canSuspend)
            suspend();
        else
            powerOff();
    }

    void suspend()
    {
        m_runner->suspend([this](vmm::Result<> const& outcome) {
            m_loop.post([this, outcome] {
                if (!outcome)
                    complain("cannot suspend", outcome.error());
            });
        });
    }

    void powerOff()
    {
        m_runner->cancelJob();
        m_runner->powerOff([this](vmm::Result<> const& outcome) {
            // It may be about to start; without a machine there is nothing to wait for.
            if (!outcome)
                m_loop.post([this] {
                    if (!m_isLeaving)
                        m_code = MachineStopped;
                    leave();
                });
        });
    }

    void escape(char key)
    {
        switch (key) {
        case 'q': powerOff(); break;
        case 's': suspend(); break;
        case 'r': m_runner->reset(); break;
        case 'p': m_runner->pressPowerButton(); break;
        default:
            m_output.note("\r\nAfter Ctrl-]: q powers off, p presses the power button, s suspends, r resets,"
                          " Ctrl-] is typed itself.\r");
        }
    }

    RunOptions const& m_options;
    Surroundings& m_around;
    Output const& m_output;
    vmm::EventLoop& m_loop;
    TerminalSizes& m_sizes;
    vmm::EventLoop::Handle m_resized, m_patience;
    Subject m_subject;
    std::shared_ptr<MachineRunner> m_runner;
    MachineRunner::ObserverId m_observer = 0;
    std::unique_ptr<control::ControlServer> m_server;
    std::vector<std::unique_ptr<SerialPump>> m_pumps;
    std::optional<vmm::Error> m_failure, m_reason;
    std::optional<vmm::Error> m_unreachable; // why there is no control socket
    int m_code = Done;
    int m_asked = 0;
    bool m_wasInMemory = false, m_isSuspending = false, m_hasCrashed = false, m_isLeaving = false;
};

}

int run(RunOptions const& options, Surroundings& around, Output const& output)
{
    auto subject = findSubject(options, around);
    if (!subject)
        return output.failed(subject.error());
    becomeHostProcess();
    Signals const signals;
    TerminalSizes sizes(around.in);
    auto loop = vmm::EventLoop::create();
    if (!loop)
        return output.failed(loop.error());
    Host host(options, around, output, **loop, sizes, std::move(*subject));
    return host.run(signals);
}

int runDetached(std::vector<std::string> arguments, Surroundings& around, Output const& output)
{
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return output.failed(vmm::osError("making a pipe"));
    vmm::UniqueFd const reading(ends[0]);
    vmm::UniqueFd writing(ends[1]);

    // Its words come to us until it runs; afterwards nobody reads them. Descriptor 3 says so.
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, writing.get(), 2);
    posix_spawn_file_actions_adddup2(&actions, writing.get(), 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    arguments.insert(arguments.begin(), { "chronoctl", "run", "--ready-fd", "3" });
    if (output.json)
        arguments.emplace_back("--json");
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (auto& argument : arguments)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_t child = 0;
    int const spawned = ::posix_spawn(&child, around.program.c_str(), &actions, &attributes, argv.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (spawned != 0)
        return output.failed(vmm::osError("starting a process for the machine", spawned));
    writing.reset();

    std::string said;
    char buffer[4096];
    for (;;) {
        auto const got = ::read(reading.get(), buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        said.append(buffer, static_cast<std::size_t>(got));
        if (takeReady(said)) {
            writeAll(output.err, said);
            return output.answer({});
        }
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (said.empty())
        return output.failed({ vmm::ErrorCode::Internal, "the process for the machine has ended without a word", 0 });
    writeAll(output.err, said);
    return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : int(Failed);
}

int start(std::string const& machine, bool paused, Surroundings& around, Output const& output)
{
    // A desktop that has the library open hosts its machines.
    auto const answer = askOwner(machine, around, [&](Owner& owner) {
        owner.client.onNotification([&, uuid = owner.uuid](std::string const& event, Json const& told) {
            noteMissedForwards(uuid, event, told, output);
        });
        vmm::ignore(owner.client.call("events.subscribe"));
        return owner.client.call("machine.start", { { "machine", owner.uuid }, { "paused", paused } });
    });
    if (answer || answer.error().code != vmm::ErrorCode::NotNow)
        return told(answer, output);
    auto const stored = around.store.find(machine);
    if (!stored)
        return output.failed(stored.error());
    if (paused)
        return runDetached({ stored->id, "--paused" }, around, output);
    return runDetached({ stored->id }, around, output);
}

}
