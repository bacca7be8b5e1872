#pragma once

#include "app/runner/machine_factory.h"
#include "app/store/whole_file.h"
#include "tests/vmm/usb/usb_guest.h"
#include "vmm/base/event_loop.h"
#include "vmm/base/random.h"
#include "vmm/devices/uart_16550.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/state/writer.h"
#include "vmm/usb/xhci_controller.h"
#include "vmm/virtio/network_card.h"

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

namespace tests {

/// A screen whose picture a test paints.
class FakeScreen final : public vmm::Screen {
public:
    void paint(std::uint32_t width, std::uint32_t height, std::uint32_t colour)
    {
        std::lock_guard const lock(m_mutex);
        m_width = width;
        m_height = height;
        m_pixels.assign(std::size_t(width) * height, colour);
        ++m_version;
    }
    void paintRow(std::uint32_t row, std::uint32_t colour)
    {
        std::lock_guard const lock(m_mutex);
        std::fill_n(m_pixels.begin() + std::ptrdiff_t(row) * m_width, m_width, colour);
        ++m_version;
    }
    std::vector<vmm::RowRange> refresh(vmm::Frame& frame) override
    {
        std::lock_guard const lock(m_mutex);
        ++refreshes;
        if (frame.width != m_width || frame.height != m_height) {
            frame = { m_width, m_height, m_pixels };
            return { { 0, m_height } };
        }
        std::vector<vmm::RowRange> changed;
        for (std::uint32_t row = 0; row < m_height; ++row) {
            auto const from = m_pixels.begin() + std::ptrdiff_t(row) * m_width;
            auto const to = frame.pixels.begin() + std::ptrdiff_t(row) * m_width;
            if (std::equal(from, from + m_width, to))
                continue;
            std::copy_n(from, m_width, to);
            changed.push_back({ row, row + 1 });
        }
        return changed;
    }
    void forget(vmm::Frame const&) override { }

    std::atomic<int> refreshes = 0;

private:
    std::mutex m_mutex;
    std::uint32_t m_width = 0, m_height = 0;
    std::vector<std::uint32_t> m_pixels;
    std::uint64_t m_version = 0;
};

/// A machine that only goes through the motions, on a thread of its own as a real one: it prints "boot\n" when it is
/// started, answers what is typed with the same in brackets, and suspends into files of the right names.
class FakeMachine final : public vmm::Machine {
public:
    /// What tests want to go otherwise, and what they want to know. Shared by all machines of one factory.
    struct Script {
        std::mutex mutex;
        std::optional<vmm::Error> failCreate, failStart, failSuspend, failForwards, failHost, failPlug, failRemove,
            failRestore;
        std::atomic<bool> holdSuspend = false; ///< a suspend waits until it is cancelled
        std::atomic<bool> holdStream = false;  ///< a disk's stream or commit waits until it is cancelled
        std::string below;                     ///< what a commit writes to
        std::atomic<bool> holdKeep = false;    ///< a moment waits until it is cancelled, or keepWhatIsHeld() is called
        std::vector<std::string> log;          ///< "create", "start", "key 30 1" …
        std::atomic<std::thread::id> measuredOn;
        std::atomic<std::uint64_t> cpuNanoseconds = 42, diskBytesWritten = 0; ///< of the guest
        std::optional<double> memoryChangeRate;
        std::atomic<unsigned> rateLooks = 0;
        std::optional<vmm::Error> failKeep;
        std::optional<vmm::Error> failGo;      ///< the next one alone, by the machine that is made
        int failGoAgain = 0;                   ///< so many after that, too
        std::function<void()> beforeObstacles; ///< called by who asks for them
        std::function<void()> beforePlug;      ///< called by the machine, before it plugs a visitor in
        std::vector<vmm::Error> obstacles;     ///< to saving
        vmm::CpuFeatures hostCpu { { { 0, 0, false, 1, 0, 0, 0 },
            { 1, 0, false, 0, 0, 1, 0 } } }; ///< of a machine that has had none
        std::atomic<int> alive = 0;
        std::atomic<std::uint8_t> moments = 0;                         ///< that were kept
        FakeMachine* last = nullptr;                                   ///< the machine made last
        std::map<std::string, std::weak_ptr<vmm::UsbDevice>> visitors; ///< of any machine, by PlugUsb::id
        FakeUsbHost usb;                                               ///< that they are plugged into

        void note(std::string line)
        {
            std::lock_guard const lock(mutex);
            log.push_back(std::move(line));
        }
        std::ptrdiff_t times(std::string const& line)
        {
            std::lock_guard const lock(mutex);
            return std::count(log.begin(), log.end(), line);
        }
        bool has(std::string const& line) { return times(line) > 0; }
    };

    static app::MachineFactory factory(std::shared_ptr<Script> script = std::make_shared<Script>())
    {
        return { [script](vmm::VmConfig const& config, Listener listener,
                     vmm::CpuFeatures const* cpu) -> app::MachineFactory::Made {
                    script->note("create");
                    if (cpu)
                        script->note("with the CPU that it has had");
                    if (script->failCreate)
                        return vmm::fail(*script->failCreate);
                    return make(config, cpu ? *cpu : script->hostCpu, std::move(listener), script, vmm::RunState::Off);
                },
            [script](std::string const& directory, Listener listener) -> app::MachineFactory::Made {
                script->note("restore");
                if (script->failRestore)
                    return vmm::fail(*script->failRestore);
                auto const text = TRY(app::readWholeFile(directory + "/state.json", 1u << 20));
                auto const saved = TRY(vmm::savedMachineFromText(text, directory));
                missForwards(*script, saved.config, listener);
                return make(saved.config, saved.header.cpu, std::move(listener), script, vmm::RunState::Paused);
            },
            [script](std::shared_ptr<vmm::timeline::Timeline> const& timeline, std::string const& moment,
                Listener listener, Leave const& leave) -> app::MachineFactory::Made {
                script->note("go " + TRY(timeline->moment(moment)).name);
                auto const saved = TRY(vmm::savedMachineAt(*timeline, moment));
                if (auto const refused = script->failGo) {
                    if (script->failGoAgain-- <= 0)
                        script->failGo.reset();
                    return vmm::fail(*refused);
                }
                if (leave)
                    TRY(leave());
                TRY(timeline->setPresent(moment));
                missForwards(*script, saved.config, listener);
                return make(saved.config, saved.header.cpu, std::move(listener), script, vmm::RunState::Paused);
            },
            [script](vmm::CpuFeatures const&) {
                return script->failHost ? vmm::Result<>(vmm::fail(*script->failHost)) : vmm::Result<>();
            } };
    }

    static void missForwards(Script const& script, vmm::VmConfig const& config, Listener const& listener)
    {
        for (auto const& network : config.networks) {
            if (script.failForwards)
                listener(vmm::event::ForwardsMissed { network.id, *script.failForwards });
        }
    }

    ~FakeMachine() override
    {
        m_thread.reset();
        if (m_keeping)
            answer(m_keeping->second, vmm::fail(vmm::ErrorCode::Cancelled, "the machine is gone"));
        for (auto const& [id, device] : m_visitors)
            device->setHost(nullptr);
        --m_script->alive;
    }

    void post(vmm::Command command, Completion done) override
    {
        m_thread->loop().post([this, command = std::move(command), done = std::move(done)] {
            std::visit([&](auto const& one) { run(one, done); }, command);
        });
    }
    vmm::RunState state() const override { return m_state; }
    vmm::VmConfig const& config() const override { return m_config; }
    vmm::CpuFeatures const& cpu() const override { return m_cpu; }
    vmm::MachineStatistics statistics() const override
    {
        m_script->measuredOn = std::this_thread::get_id();
        return { .cpuNanoseconds = m_script->cpuNanoseconds, .diskBytesWritten = m_script->diskBytesWritten };
    }
    std::optional<double> memoryChangeRate() override
    {
        ++m_script->rateLooks;
        return m_script->memoryChangeRate;
    }
    vmm::Console* console(std::string_view id) override
    {
        auto const found = consoles.find(std::string(id));
        return found == consoles.end() ? nullptr : found->second.get();
    }
    vmm::Screen* screen(std::string_view id) override
    {
        auto const found = screens.find(std::string(id));
        return found == screens.end() ? nullptr : found->second.get();
    }
    vmm::AudioPort* audio(std::string_view id) override
    {
        auto const found = ports.find(std::string(id));
        return found == ports.end() ? nullptr : found->second.get();
    }
    std::vector<vmm::Error> saveObstacles() override
    {
        if (m_script->beforeObstacles)
            m_script->beforeObstacles();
        return m_script->obstacles;
    }

    /// What a guest can do on its own.
    void guestPowersOff()
    {
        m_thread->loop().post([this] {
            become(vmm::RunState::Off, vmm::Error { vmm::ErrorCode::Cancelled, "the guest powered off", 0 });
        });
    }
    void guestCrashes()
    {
        m_thread->loop().post([this] {
            become(vmm::RunState::Crashed, vmm::Error { vmm::ErrorCode::GuestFault, "triple fault at 0x1000", 0 });
        });
    }
    /// As where a disk's file has no room.
    void hostPauses(vmm::Error const& why)
    {
        m_thread->loop().post([this, why] { become(vmm::RunState::Paused, why); });
    }
    void keepWhatIsHeld()
    {
        m_thread->loop().post([this] {
            if (auto const held = std::exchange(m_keeping, {}))
                keep(held->first, held->second);
            suspendAsAsked();
        });
    }
    void guestWantsAbsolutePointer()
    {
        m_thread->loop().post([this] { m_listener(vmm::event::PointerModeChanged { true }); });
    }
    void guestShakes(std::string const& device)
    {
        m_thread->loop().post([this, device] { m_listener(vmm::event::Rumbled { device, 1000, 2000 }); });
    }
    void guestPrints(std::string_view text) { consoles.begin()->second->output(vmm::bytesOf(text)); }

    std::map<std::string, std::unique_ptr<vmm::Console>> consoles;
    std::map<std::string, std::unique_ptr<FakeScreen>> screens;
    std::map<std::string, std::unique_ptr<vmm::AudioPort>> ports;

private:
    FakeMachine(vmm::VmConfig config, Listener listener, std::shared_ptr<Script> script, vmm::RunState state)
        : m_config(std::move(config)), m_listener(std::move(listener)), m_script(std::move(script)), m_state(state)
    {
        makeEnds();
        for (auto const& display : m_config.displays) {
            screens[display.id] = std::make_unique<FakeScreen>();
            screens[display.id]->paint(64, 48, 0x00204060);
        }
        ++m_script->alive;
    }

    /// What serial ports and sound have on our side.
    void makeEnds()
    {
        for (auto const& id : vmm::consoleIds(m_config)) {
            auto& console = consoles[id];
            if (console)
                continue;
            console = std::make_unique<vmm::Console>();
            console->setInputReady([port = console.get()] {
                vmm::Bytes typed(4096);
                typed.resize(port->takeInput(typed));
                std::string const answer = "[" + std::string(typed.begin(), typed.end()) + "]";
                port->output(vmm::bytesOf(answer));
            });
        }
        for (auto const& device : m_config.usbDevices) {
            if (auto& port = ports[device.id]; device.kind == vmm::UsbKind::Audio && !port)
                port = std::make_unique<vmm::AudioPort>();
        }
    }

    static app::MachineFactory::Made make(vmm::VmConfig const& config, vmm::CpuFeatures const& cpu, Listener listener,
        std::shared_ptr<Script> const& script, vmm::RunState state)
    {
        std::unique_ptr<FakeMachine> machine(new FakeMachine(config, std::move(listener), script, state));
        machine->m_cpu = cpu;
        machine->m_thread = TRY(vmm::LoopThread::start("fake machine"));
        std::lock_guard const lock(script->mutex);
        script->last = machine.get();
        return app::MachineFactory::Made(std::move(machine));
    }

    void become(vmm::RunState state, std::optional<vmm::Error> reason = {})
    {
        m_state = state;
        m_listener(vmm::event::StateChanged { state, std::move(reason) });
    }
    void answer(Completion const& done, vmm::Result<> outcome = {})
    {
        if (done)
            done(std::move(outcome));
    }
    void to(vmm::RunState state, char const* what, Completion const& done)
    {
        m_script->note(what);
        become(state);
        answer(done);
    }

    void run(vmm::command::Start const&, Completion const& done)
    {
        if (m_script->failStart)
            return answer(done, vmm::fail(*m_script->failStart));
        for (auto const& [id, console] : consoles)
            console->output(vmm::bytesOf("boot\n"));
        to(vmm::RunState::Running, "start", done);
    }
    void run(vmm::command::Pause const&, Completion const& done) { to(vmm::RunState::Paused, "pause", done); }
    void run(vmm::command::Resume const&, Completion const& done) { to(vmm::RunState::Running, "resume", done); }
    void run(vmm::command::Reset const&, Completion const& done) { to(vmm::RunState::Running, "reset", done); }
    void run(vmm::command::PressPowerButton const&, Completion const& done)
    {
        m_script->note("power button");
        answer(done);
    }
    void run(vmm::command::PowerOff const&, Completion const& done) { to(vmm::RunState::Off, "power off", done); }
    void run(vmm::command::Suspend const& command, Completion const& done)
    {
        if (m_state != vmm::RunState::Running && m_state != vmm::RunState::Paused)
            return answer(done, vmm::fail(vmm::ErrorCode::NotNow, "only a machine that is on can be suspended"));
        if (m_keeping) {
            m_suspendToCome.emplace(command, done);
            return;
        }
        m_script->note("suspend");
        if (!m_script->obstacles.empty())
            return answer(done, vmm::fail(m_script->obstacles.front()));
        m_before = m_state;
        become(vmm::RunState::Paused);
        m_listener(vmm::event::Progress { "suspend", 0.25 });
        m_suspending = done;
        if (m_script->holdSuspend)
            return;
        finishSuspend(command);
    }
    void suspendAsAsked()
    {
        if (auto const next = std::exchange(m_suspendToCome, {}))
            run(next->first, next->second);
    }
    void finishSuspend(vmm::command::Suspend const& command)
    {
        auto const done = std::exchange(m_suspending, {});
        if (m_script->failSuspend) {
            become(m_before);
            return answer(done, vmm::fail(*m_script->failSuspend));
        }
        std::filesystem::create_directories(command.directory);
        auto written = app::writeWholeFile(command.directory + "/ram", vmm::bytesOf("memory"));
        if (written)
            written
                = app::writeWholeFile(command.directory + "/state.json", vmm::bytesOf(stateText(command.directory)));
        become(command.thenPowerOff && written ? vmm::RunState::Off : m_before);
        answer(done, written);
    }
    void run(vmm::command::StreamDisk const& command, Completion const& done)
    {
        m_script->note("stream " + command.disk + (command.onto.empty() ? "" : " onto " + command.onto));
        answer(done, putFilesTogether(command.progress));
    }
    void run(vmm::command::CommitDisk const& command, Completion const& done)
    {
        m_script->note("commit " + command.disk + " by " + std::to_string(command.files));
        auto const may = command.mayChange(m_script->below);
        answer(done, may ? putFilesTogether(command.progress) : may);
    }
    vmm::Result<> putFilesTogether(std::function<bool(double)> const& progress)
    {
        bool goesOn = progress(0.5);
        while (goesOn && m_script->holdStream) {
            std::this_thread::yield();
            goesOn = progress(0.5);
        }
        return goesOn ? vmm::Result<>() : vmm::fail(vmm::ErrorCode::Cancelled, "what was copied so far stays");
    }
    void run(vmm::command::CancelJob const&, Completion const& done)
    {
        auto const cancelled = vmm::fail(vmm::ErrorCode::Cancelled, "suspending was cancelled");
        if (auto const waits = std::exchange(m_suspendToCome, {})) {
            answer(waits->second, cancelled);
        } else if (auto const suspending = std::exchange(m_suspending, {})) {
            become(m_before);
            answer(suspending, cancelled);
        }
        answer(done);
    }
    void run(vmm::command::CancelKeeping const&, Completion const& done)
    {
        if (auto const held = std::exchange(m_keeping, {}))
            answer(held->second, vmm::fail(vmm::ErrorCode::Cancelled, "keeping was cancelled"));
        answer(done);
        suspendAsAsked();
    }
    std::string stateText(std::string const& folder) const
    {
        vmm::SavedMachine saved { .config = m_config };
        saved.header.cpu = m_cpu;
        for (auto const& serial : m_config.serials)
            saved.parts.push_back({ serial.id, vmm::state::save(vmm::Uart16550::State {}) });
        for (auto const& network : m_config.networks)
            saved.parts.push_back({ network.id, vmm::state::save(vmm::virtio::NetworkCard::State {}) });
        vmm::XhciController::State controller;
        for (auto const& [id, device] : m_visitors)
            controller.ports.emplace_back().device = device->identity();
        if (!m_visitors.empty())
            saved.parts.push_back({ "usb0", vmm::state::save(controller) });
        return vmm::savedMachineText(std::move(saved), folder);
    }
    void run(vmm::command::KeepMoment const& command, Completion const& done)
    {
        auto const reason = stateNames(command.what.reason)[static_cast<std::size_t>(command.what.reason)];
        bool const isHeld = m_script->holdKeep; // who waits for the note may let go of the next one
        m_script->note(
            "keep " + (command.what.reason == vmm::timeline::Reason::Kept ? command.what.name : std::string(reason)));
        if (m_script->failKeep)
            return answer(done, vmm::fail(*m_script->failKeep));
        if (m_keeping)
            return answer(done, vmm::fail(vmm::ErrorCode::Busy, "a moment is being kept"));
        if (!isHeld)
            return keep(command, done);
        m_keeping.emplace(command, done);
        m_listener(vmm::event::Progress { "keep", 0.5 });
    }
    /// Its memory is a page of one number: how many moments were kept before.
    void keep(vmm::command::KeepMoment const& command, Completion const& done)
    {
        struct Page final : vmm::timeline::FrozenMemory {
            std::vector<Block> all { { "ram", 4096 } };
            std::vector<Block> const& blocks() const override { return all; }
            vmm::Result<std::uint64_t> nextUsed(std::size_t, std::uint64_t) override { return 0; }
            std::uint8_t number = 0;
            vmm::Result<> read(std::size_t, std::uint64_t, vmm::ByteSpan data) override
            {
                std::fill(data.begin(), data.end(), number);
                return {};
            }
        };
        auto what = command.what;
        what.state = stateText(command.timeline->path());
        for (auto const& disk : m_config.disks) {
            if (vmm::isUsb(disk.bus) && !disk.readOnly)
                what.disks.push_back({ disk.id, disk.path, {} });
        }
        if (command.picture)
            what.picture = command.picture();
        what.time = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
        Page page;
        page.number = m_script->moments++;
        auto const taken = command.timeline->take(what, page, {});
        if (!taken)
            return answer(done, vmm::fail(taken.error()));
        m_listener(vmm::event::MomentKept { taken->id, std::chrono::nanoseconds(1) });
        answer(done);
    }
    void run(vmm::command::TidyDisks const&, Completion const& done)
    {
        m_script->note("tidy");
        answer(done);
    }
    void run(vmm::command::InsertMedium const& command, Completion const& done)
    {
        if (!std::filesystem::exists(command.path))
            return answer(done, vmm::fail(vmm::ErrorCode::NotFound, "there is no " + command.path));
        m_listener(vmm::event::MediumChanged { command.drive, command.path });
        answer(done);
    }
    void run(vmm::command::EjectMedium const& command, Completion const& done)
    {
        m_listener(vmm::event::MediumChanged { command.drive, {} });
        answer(done);
    }
    void run(vmm::command::SetForwards const& command, Completion const& done)
    {
        m_script->note("forwards " + command.network + " " + std::to_string(command.forwards.size()));
        answer(done, m_script->failForwards ? vmm::Result<>(vmm::fail(*m_script->failForwards)) : vmm::Result<>());
    }
    void run(vmm::command::SetConnected const& command, Completion const& done)
    {
        m_script->note("cable " + command.network + (command.connected ? " in" : " out"));
        answer(done);
    }
    void run(vmm::command::SetPlugged const& command, Completion const& done)
    {
        if (!vmm::pluggedMark(m_config, command.device))
            return answer(done, vmm::fail(vmm::ErrorCode::NotFound, command.device));
        m_script->note("usb " + command.device + (command.plugged ? " in" : " out"));
        answer(done);
    }
    void run(vmm::command::AddUsb const& command, Completion const& done)
    {
        auto addition = command.device;
        auto const outcome = [&]() -> vmm::Result<> {
            TRY(vmm::chooseUsbConnector(m_config, addition, [](vmm::UsbConnector const&) { return true; }));
            return vmm::addUsb(m_config, addition);
        }();
        m_script->note("usb " + idOf(addition) + (outcome ? " added" : " refused"));
        if (outcome) {
            makeEnds();
            m_listener(vmm::event::UsbAdded { addition });
        }
        answer(done, outcome);
    }
    void run(vmm::command::RemoveUsb const& command, Completion const& done)
    {
        m_script->note("usb " + command.device + " removed");
        auto const outcome = m_script->failRemove ? vmm::Result<>(vmm::fail(*m_script->failRemove))
                                                  : vmm::removeUsb(m_config, command.device);
        if (outcome) {
            consoles.erase(command.device);
            ports.erase(command.device);
        }
        m_listener(vmm::event::UsbRemoved { command.device, outcome.has_value() });
        answer(done, outcome);
    }
    void run(vmm::command::PlugUsb const& command, Completion const& done)
    {
        m_script->note("usb " + command.id + " in");
        if (m_script->beforePlug)
            m_script->beforePlug();
        if (m_script->failPlug)
            return answer(done, vmm::fail(*m_script->failPlug));
        command.device->setHost(&m_script->usb);
        m_visitors[command.id] = command.device;
        {
            std::lock_guard const lock(m_script->mutex);
            m_script->visitors[command.id] = command.device;
        }
        answer(done);
    }
    void run(vmm::command::UnplugUsb const& command, Completion const& done)
    {
        m_script->note("usb " + command.id + " out");
        if (auto const found = m_visitors.find(command.id); found != m_visitors.end()) {
            found->second->setHost(nullptr);
            m_visitors.erase(found);
        }
        answer(done);
    }
    void run(vmm::command::SendInput const& command, Completion const& done)
    {
        if (auto const* key = std::get_if<vmm::KeyInput>(&command.input))
            m_script->note("key " + std::to_string(key->code) + (key->pressed ? " 1" : " 0"));
        else if (auto const* move = std::get_if<vmm::AbsoluteMove>(&command.input))
            m_script->note("pointer " + std::to_string(move->x) + " " + std::to_string(move->y));
        else if (auto const* pad = std::get_if<vmm::GamepadInput>(&command.input))
            m_script->note("pad " + pad->device + " " + std::to_string(pad->state.buttons));
        else if (auto const* button = std::get_if<vmm::ButtonInput>(&command.input))
            m_script->note("button " + std::to_string(int(button->button)) + (button->pressed ? " 1" : " 0"));
        answer(done);
    }

    vmm::VmConfig m_config;
    vmm::CpuFeatures m_cpu;
    Listener m_listener;
    std::shared_ptr<Script> m_script;
    std::atomic<vmm::RunState> m_state;
    vmm::RunState m_before = vmm::RunState::Off;
    std::map<std::string, std::shared_ptr<vmm::UsbDevice>> m_visitors;
    Completion m_suspending;
    std::optional<std::pair<vmm::command::Suspend, Completion>> m_suspendToCome; ///< when the moment is stored
    std::optional<std::pair<vmm::command::KeepMoment, Completion>> m_keeping;
    std::unique_ptr<vmm::LoopThread> m_thread;
};

/// A configuration that passes every check.
inline vmm::VmConfig exampleConfig(std::string name = "example")
{
    vmm::VmConfig config;
    config.uuid = vmm::makeUuid();
    config.name = std::move(name);
    config.memoryMiB = 64;
    config.cds = { { "cd0", "" } };
    config.serials = { { "serial0" }, { "serial1" } };
    config.displays = { {} };
    return config;
}

}
