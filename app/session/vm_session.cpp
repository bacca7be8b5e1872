#include "app/session/vm_session.h"

#include "app/session/timeline_session.h"
#include "vmm/base/cases.h"
#include "vmm/block/overlay_files.h"

#include <algorithm>
#include <utility>

namespace app {

VmSession::VmSession(std::shared_ptr<MachineRunner> runner, QObject* parent)
    : QObject(parent),
      m_runner(std::move(runner)),
      m_gate(std::make_shared<Gate<VmSession>>(this)),
      m_id(QString::fromStdString(m_runner->id())),
      m_state(m_runner->state()),
      m_attachedHostUsb(m_runner->attachedHostUsb()),
      m_usbQuestions(m_runner->usbQuestions())
{
    m_observer = m_runner->addObserver([gate = m_gate](Notice const& notice) {
        Gate<VmSession>::post(gate, [notice](VmSession& session) { session.take(notice); });
    });
}

VmSession::~VmSession()
{
    m_runner->removeObserver(m_observer);
    m_gate->close();
}

TimelineSession& VmSession::timeline()
{
    if (!m_timeline)
        m_timeline = std::make_unique<TimelineSession>(m_runner);
    return *m_timeline;
}

VmSession::Threads VmSession::retire()
{
    m_isOver = true;
    auto threads = m_timeline ? m_timeline->retire() : Threads();
    threads.push_back(std::move(m_reader));
    return threads;
}

void VmSession::take(Notice const& notice)
{
    if (m_timeline)
        m_timeline->take(notice);
    std::visit(
        vmm::Cases {
            [this](notice::StateChanged const& change) { takeState(change); },
            [this](notice::Progress const& one) {
                takeProgress({ QString::fromStdString(one.job), one.fraction });
            },
            [this](notice::JobEnded const& one) { endWork(QString::fromStdString(one.job)); },
            [this](notice::KeepingEnded const&) { endWork(QStringLiteral("keep")); },
            [this](notice::PointerModeChanged const& one) {
                m_absolutePointer = one.absolute;
                emit pointerModeChanged(one.absolute);
            },
            [this](notice::MediumChanged const& one) {
                emit mediumChanged(QString::fromStdString(one.drive), QString::fromStdString(one.path));
            },
            [this](notice::NetworkChanged const& one) { emit networkChanged(one.network); },
            [this](notice::PluggedChanged const& one) {
                emit pluggedChanged(QString::fromStdString(one.device), one.plugged);
            },
            [this](notice::UsbAdded const& one) { emit usbAdded(one.device); },
            [this](notice::UsbRemoved const& one) { emit usbRemoved(QString::fromStdString(one.device)); },
            [this](notice::HostUsbChanged const& one) {
                m_attachedHostUsb = one.devices;
                emit hostUsbChanged();
            },
            [this](notice::RedirectedUsbChanged const& one) {
                if (one.reason) // before whoever shows it has let go of it
                    emit redirectedUsbLost(QString::fromStdString(one.lost), *one.reason);
                emit redirectedUsbChanged();
            },
            [this](notice::UsbQuestionsChanged const& one) {
                m_usbQuestions = one.questions;
                emit hostUsbChanged();
            },
            [this](notice::HostUsbFailed const& one) { emit hostUsbFailed(one.device, one.error); },
            [this](notice::ForwardsMissed const& one) { m_forwardsMissed.insert_or_assign(one.network, one.why); },
            [this](notice::ConfigChanged const& one) { emit configChanged(one.config); },
            [this](notice::FormatsFound const& one) { emit formatsFound(one.disks); },
            [this](notice::GuestRebooted const&) { emit guestRebooted(); },
            [this](notice::MachineReset const&) { emit machineReset(); },
            [](vmm::OneOf<notice::MomentKept, notice::PresentLeft, notice::PastNeglected> auto const&) {
                // the timeline's
            },
        },
        notice);
}

void VmSession::takeState(notice::StateChanged const& change)
{
    m_state = change.state;
    m_reason = change.reason;
    if (m_job) {
        m_job.reset();
        emit jobEnded();
    }
    if (!isInMemory(m_state) || m_state == SessionState::Restoring)
        m_forwardsMissed.clear();
    if (!isInMemory(m_state)) {
        m_statistics.reset();
        endWork(QStringLiteral("keep")); // of a machine that is gone
    }
    if (!isInMemory(m_state) && m_absolutePointer) {
        m_absolutePointer = false;
        emit pointerModeChanged(false);
    }
    emit stateChanged(m_state, m_reason);
}

void VmSession::takeProgress(Job job)
{
    if (job.name == QLatin1String("suspend")) {
        m_job = std::move(job);
        emit jobProgressed(*m_job);
        return;
    }
    auto const known = std::ranges::find(m_works, job.name, &Job::name);
    if (known == m_works.end())
        m_works.push_back(std::move(job));
    else
        *known = std::move(job);
    emit workChanged();
}

void VmSession::endWork(QString const& name)
{
    if (std::erase_if(m_works, [&](Job const& work) { return work.name == name; }) > 0)
        emit workChanged();
}

std::optional<Job> VmSession::work() const
{
    return m_works.empty() ? std::nullopt : std::optional(m_works.front());
}

std::optional<Job> VmSession::work(QLatin1String name) const
{
    auto const found = std::ranges::find(m_works, name, &Job::name);
    return found == m_works.end() ? std::nullopt : std::optional(*found);
}

MachineRunner::Completion VmSession::reporting(Action tried)
{
    return [gate = m_gate, tried](vmm::Result<> outcome) {
        // Who cancels knows it.
        if (!outcome && outcome.error().code != vmm::ErrorCode::Cancelled)
            Gate<VmSession>::post(
                gate, [tried, error = outcome.error()](VmSession& session) { emit session.failed(tried, error); });
    };
}

MachineRunner::Completion VmSession::reportingMedium(QString const& drive)
{
    return [gate = m_gate, drive](vmm::Result<> outcome) {
        if (!outcome) {
            Gate<VmSession>::post(gate,
                [drive, error = outcome.error()](VmSession& session) { emit session.mediumFailed(drive, error); });
        }
    };
}

QString VmSession::mediumPath(QString const& drive) const
{
    return QString::fromStdString(m_runner->mediumPath(drive.toStdString()));
}

std::optional<vmm::MachineStatistics> VmSession::statistics()
{
    if (!std::exchange(m_measuring, true)) {
        m_runner->measure([gate = m_gate](vmm::MachineStatistics const& figures) {
            Gate<VmSession>::post(gate, [figures](VmSession& session) {
                session.m_measuring = false;
                if (isInMemory(session.m_state))
                    session.m_statistics = figures;
            });
        });
    }
    return m_statistics;
}

std::optional<vmm::Error> VmSession::takeForwardsMissed()
{
    std::optional<vmm::Error> all;
    for (auto& [network, why] : std::exchange(m_forwardsMissed, {})) {
        auto missed = std::move(why).within(network);
        if (all)
            all->detail += "; " + missed.detail;
        else
            all = std::move(missed);
    }
    return all;
}

ConsoleSession* VmSession::console(QString const& deviceId)
{
    auto link = m_runner->console(deviceId.toStdString());
    if (!link)
        return nullptr;
    auto& session = m_consoles[deviceId];
    if (!session)
        session = std::make_unique<ConsoleSession>(deviceId, std::move(link));
    return session.get();
}

ScreenSession* VmSession::screen(QString const& deviceId)
{
    auto link = m_runner->screen(deviceId.toStdString());
    if (!link)
        return nullptr;
    auto& session = m_screens[deviceId];
    if (!session)
        session = std::make_unique<ScreenSession>(deviceId, std::move(link));
    return session.get();
}

ScreenSession* VmSession::mainScreen()
{
    auto const displays = m_runner->config().displays;
    return displays.empty() ? nullptr : screen(QString::fromStdString(displays.front().id));
}

void VmSession::start()
{
    m_runner->start(reporting(Action::Start));
}
void VmSession::pause()
{
    m_runner->pause(reporting(Action::Pause));
}
void VmSession::resume()
{
    m_runner->resume(reporting(Action::Resume));
}
void VmSession::reset()
{
    m_runner->reset(reporting(Action::Reset));
}
void VmSession::pressPowerButton()
{
    m_runner->pressPowerButton(reporting(Action::PressPowerButton));
}
void VmSession::powerOff()
{
    m_runner->powerOff(reporting(Action::PowerOff));
}
void VmSession::suspend()
{
    m_runner->suspend(reporting(Action::Suspend));
}
void VmSession::discardState(Really really)
{
    m_runner->discardState(reporting(Action::DiscardState), really);
}
void VmSession::cancelJob()
{
    if (auto const beside = work(); !m_job && beside)
        return cancelWork(beside->name);
    m_runner->cancelNamed("suspend", reporting(Action::CancelJob));
}

void VmSession::cancelWork(QString const& name)
{
    m_runner->cancelNamed(name.toStdString());
}

void VmSession::insertMedium(QString const& drive, QString const& path)
{
    m_runner->insertMedium(drive.toStdString(), path.toStdString(), reportingMedium(drive));
}

void VmSession::ejectMedium(QString const& drive, bool force)
{
    m_runner->ejectMedium(drive.toStdString(), force, reportingMedium(drive));
}

MachineRunner::Completion VmSession::here(UsbDone done)
{
    return [gate = m_gate, done = std::move(done)](vmm::Result<> const& outcome) {
        Gate<VmSession>::post(gate, [done, outcome](VmSession&) { done(outcome); });
    };
}

void VmSession::attachHostUsb(QString const& port, Really really, UsbDone done)
{
    m_runner->attachHostUsb(port.toStdString(), really, here(std::move(done)));
}

void VmSession::detachHostUsb(QString const& port, UsbDone done)
{
    m_runner->detachHostUsb(port.toStdString(), here(std::move(done)));
}

void VmSession::dismissUsbQuestion(QString const& port)
{
    m_runner->dismissUsbQuestion(port.toStdString());
}

void VmSession::redirectUsb(UsbMeeting how, QString const& address, UsbDone done)
{
    auto const told = here(std::move(done));
    auto const parsed = parseUsbPeerAddress(address.toStdString());
    if (!parsed)
        return told(vmm::fail(parsed.error()));
    auto const outcome
        = [told](vmm::Result<RedirectedUsb> const& made) { told(made ? vmm::Result<>() : vmm::fail(made.error())); };
    how == UsbMeeting::Call ? m_runner->redirectUsb(*parsed, outcome) : m_runner->listenForUsb(*parsed, outcome);
}

void VmSession::callOffUsb(QString const& address)
{
    if (auto const parsed = parseUsbPeerAddress(address.toStdString()))
        m_runner->callOffUsb(*parsed);
}

void VmSession::endUsbRedirection(QString const& id, UsbDone done)
{
    m_runner->endUsbRedirection(id.toStdString(), here(std::move(done)));
}

vmm::Result<vmm::EventLoop*> VmSession::reader()
{
    if (m_isOver)
        return vmm::fail(vmm::ErrorCode::Cancelled, "the machine is gone");
    if (!m_reader)
        m_reader = TRY(vmm::LoopThread::start("session reader"));
    return &m_reader->loop();
}

void VmSession::foreseeUsb(QString const& moment, std::function<void(vmm::Result<std::vector<UsbFate>>)> done)
{
    auto const loop = reader();
    if (!loop)
        return done(vmm::fail(loop.error()));
    (*loop)->post([runner = m_runner, gate = m_gate, moment = moment.toStdString(), done = std::move(done)] {
        Gate<VmSession>::post(gate, [done, fates = runner->foreseeUsb(moment)](VmSession&) { done(fates); });
    });
}

void VmSession::lookAtDisks(std::function<void(std::vector<DiskBase>)> done)
{
    auto const loop = reader();
    if (!loop)
        return done({});
    (*loop)->post([config = m_runner->config(), gate = m_gate, done = std::move(done)] {
        std::vector<DiskBase> bases;
        for (auto const& chain : vmm::diskChains(config)) {
            DiskBase base { QString::fromStdString(chain.disk) };
            if (!chain.image)
                continue; // what cannot be read is told when the machine starts
            for (auto const& below : chain.image->backing) {
                if (vmm::isCheckpointName(below.path))
                    continue; // the machine's own, which comes and goes with its moments
                ++base.files;
                base.bytes += below.allocatedBytes;
            }
            if (base.files != 0)
                bases.push_back(std::move(base));
        }
        Gate<VmSession>::post(gate, [done, bases](VmSession&) { done(bases); });
    });
}

void VmSession::lookAtDiskSizes(std::function<void(DiskSizes)> done)
{
    auto const loop = reader();
    if (!loop)
        return done({});
    (*loop)->post([config = m_runner->config(), gate = m_gate, done = std::move(done)] {
        DiskSizes sizes;
        for (auto const& chain : vmm::diskChains(config)) {
            if (chain.image)
                sizes[chain.disk] = chain.image->virtualSize;
        }
        Gate<VmSession>::post(gate, [done, sizes](VmSession&) { done(sizes); });
    });
}

void VmSession::growDisk(std::string const& disk, std::uint64_t bytes, std::function<void(vmm::Result<>)> done)
{
    m_runner->growDisk(disk, bytes, here(std::move(done)));
}

void VmSession::streamDisk(QString const& disk, std::function<void(vmm::Result<>)> done)
{
    m_runner->streamDisk(disk.toStdString(), {}, here(std::move(done)));
}

void VmSession::cancelDisk(QString const& disk)
{
    m_runner->cancelDisk(disk.toStdString());
}

void VmSession::sendChord(std::vector<std::uint16_t> const& evdevCodes)
{
    for (auto const code : evdevCodes)
        sendKey({ code, true });
    for (auto code = evdevCodes.rbegin(); code != evdevCodes.rend(); ++code)
        sendKey({ *code, false });
}

}

#include "moc_vm_session.cpp"
