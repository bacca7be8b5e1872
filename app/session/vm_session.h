#pragma once

#include "app/runner/machine_runner.h"
#include "app/session/console_session.h"
#include "app/session/gate.h"
#include "app/session/screen_session.h"

#include <QObject>
#include <QString>
#include <map>

namespace app {

class TimelineSession;

/// A piece of work that takes a while.
struct Job {
    QString name;        ///< as notice::Progress has it
    double fraction = 0; ///< 0 to 1
};

/// A disk that stands on other files.
struct DiskBase {
    QString disk;      ///< its id
    int files = 0;     ///< so many
    quint64 bytes = 0; ///< that they take on this host
    bool operator==(DiskBase const&) const = default;
};

/// One machine of the library, running or not, for the desktop: commands in, signals out. GUI thread only; it never
/// waits for a machine. What a command could not do comes back as failed().
class VmSession final : public QObject {
    Q_OBJECT
public:
    explicit VmSession(std::shared_ptr<MachineRunner> runner, QObject* parent = nullptr);
    ~VmSession() override;

    QString id() const { return m_id; }
    SessionState state() const { return m_state; }
    /// Why it is in this state, where nobody asked for it.
    std::optional<vmm::Error> const& reason() const { return m_reason; }
    bool can(Action action) const { return isPossible(action, m_state); }
    /// What the machine itself is at: "suspend".
    std::optional<Job> const& job() const { return m_job; }
    /// What is being done with its moments beside that: "keep", "fork", "verify" …; of several what was begun first.
    std::optional<Job> work() const;
    std::optional<Job> work(QLatin1String name) const; ///< that one
    /// What cancelJob() is about can be cancelled.
    bool canCancel() const { return can(Action::CancelJob) || (!m_job && !m_works.empty()); }

    /// Of the machine in memory, else the one for the next start.
    vmm::VmConfig config() const { return m_runner->config(); }
    bool isPointerAbsolute() const { return m_absolutePointer; }
    QString mediumPath(QString const& drive) const;
    /// As of the last time it was asked for: measuring walks over all of the guest's memory, and is done meanwhile.
    /// Nothing before the first answer of a run.
    std::optional<vmm::MachineStatistics> statistics();
    /// Why it came back without some of its port forwards, those of all networks. Once: who takes it tells it. Nothing
    /// after it was off or has gone to a moment.
    std::optional<vmm::Error> takeForwardsMissed();
    /// Why it cannot be suspended now; empty when it can.
    std::vector<vmm::Error> saveObstacles() const { return m_runner->saveObstacles(); }

    /// By device id ("serial0", "display0"); null where the configuration has none. Owned by the session, and the same
    /// object over all runs.
    ConsoleSession* console(QString const& deviceId);
    ScreenSession* screen(QString const& deviceId);
    /// Of the first display; null when the machine has none.
    ScreenSession* mainScreen();

    /// The host's USB devices that the machine has now; what there is besides tells Library::hostUsb().
    std::vector<vmm::HostUsbInfo> const& attachedHostUsb() const { return m_attachedHostUsb; }
    /// What a person is to be asked; hostUsbChanged() tells of it too.
    std::vector<UsbQuestion> const& usbQuestions() const { return m_usbQuestions; }
    /// `done` on the GUI thread, unless this is gone then; see MachineRunner::attachHostUsb(). Look at the device's
    /// HostUsbEntry::uses first, and ask.
    using UsbDone = std::function<void(vmm::Result<>)>;
    void attachHostUsb(QString const& port, Really really, UsbDone done);
    void detachHostUsb(QString const& port, UsbDone done);
    void dismissUsbQuestion(QString const& port);
    /// The USB devices of other computers that the machine has now, and the places where it waits for some;
    /// redirectedUsbChanged() tells of them.
    std::vector<RedirectedUsb> redirectedUsb() const { return m_runner->redirectedUsb(); }
    /// See MachineRunner::redirectUsb() and listenForUsb(); `done` as above. InvalidArgument: that is no address.
    void redirectUsb(UsbMeeting how, QString const& address, UsbDone done);
    /// Who is still connecting there hears Cancelled.
    void callOffUsb(QString const& address);
    /// See MachineRunner::endUsbRedirection(); `done` as above.
    void endUsbRedirection(QString const& id, UsbDone done);
    /// See MachineRunner::foreseeUsb(); on a thread of its own, `done` on the GUI thread, unless this is gone then.
    void foreseeUsb(QString const& moment, std::function<void(vmm::Result<std::vector<UsbFate>>)> done);

    /// Which of its disks stand on other files; on a thread of its own, `done` on the GUI thread, unless this is gone
    /// then.
    void lookAtDisks(std::function<void(std::vector<DiskBase>)> done);
    /// How large its disks are in bytes, by their ids; those that cannot be read are not among them. `done` as above.
    using DiskSizes = std::map<std::string, std::uint64_t>;
    void lookAtDiskSizes(std::function<void(DiskSizes)> done);
    /// See MachineRunner::growDisk(); `done` as above.
    void growDisk(std::string const& disk, std::uint64_t bytes, std::function<void(vmm::Result<>)> done);
    /// See MachineRunner::streamDisk(); work() tells of it as "stream". `done` as above.
    void streamDisk(QString const& disk, std::function<void(vmm::Result<>)> done);
    /// That disk's stream, and nothing else that the machine is at.
    void cancelDisk(QString const& disk);

    /// The machine's past. It reads nothing before it is opened.
    TimelineSession& timeline();

    /// Gives away the threads of what is looked at for it, and begins none any more: each ends when what it is at has
    /// ended, for which the GUI thread need not wait.
    using Threads = std::vector<std::unique_ptr<vmm::LoopThread>>;
    Threads retire();

    std::shared_ptr<MachineRunner> const& runner() const { return m_runner; }

public slots:
    void start(); ///< Suspended: restores.
    void pause();
    void resume();
    void reset();
    void pressPowerButton();
    void powerOff();
    void suspend();
    void restore() { start(); }
    void discardState(Really really = Really::No);
    /// What job() tells of, or else work(); nothing else.
    void cancelJob();
    /// Of what is done beside that what work() tells of under this name. It may have ended meanwhile.
    void cancelWork(QString const& name);
    void insertMedium(QString const& drive, QString const& path);
    void ejectMedium(QString const& drive, bool force = false);

public:
    void sendKey(vmm::KeyInput input) { m_runner->sendInput(input); }
    void sendButton(vmm::ButtonInput input) { m_runner->sendInput(input); }
    void sendMove(vmm::AbsoluteMove input) { m_runner->sendInput(input); }
    void sendMove(vmm::RelativeMove input) { m_runner->sendInput(input); }
    void sendWheel(vmm::WheelMove input) { m_runner->sendInput(input); }
    /// Its gamepads get the host's pads first.
    void preferGamepads() { m_runner->preferGamepads(); }
    /// Presses all of them in this order and lets go in the other: Ctrl+Alt+Del.
    void sendChord(std::vector<std::uint16_t> const& evdevCodes);

signals:
    void stateChanged(app::SessionState state, std::optional<vmm::Error> reason);
    void jobProgressed(app::Job job);
    void jobEnded();
    void workChanged();
    void pointerModeChanged(bool absolute);
    void mediumChanged(QString drive, QString path);
    void networkChanged(vmm::NetworkConfig network);   ///< its cable or port forwards, by whomever
    void pluggedChanged(QString device, bool plugged); ///< a USB device, by whomever
    /// A USB device of its own has come, or gone, by whomever.
    void usbAdded(vmm::UsbAddition const& device);
    void usbRemoved(QString const& device);
    void hostUsbChanged();       ///< attachedHostUsb(), usbQuestions(), by whomever
    void redirectedUsbChanged(); ///< redirectedUsb(), by whomever
    /// One has gone by itself; redirectedUsbChanged() comes after that.
    void redirectedUsbLost(QString const& id, vmm::Error const& why);
    /// It was to come to the machine by itself, and could not: told once each time that it is plugged in.
    void hostUsbFailed(vmm::HostUsbInfo device, vmm::Error error);
    /// A moment has brought back another one, and the machine is off.
    void configChanged(vmm::VmConfig const& config);
    /// Of disks whose configuration says none.
    void formatsFound(std::vector<vmm::DiskConfig> const& disks);
    void guestRebooted(); ///< by itself
    void machineReset();  ///< by whomever
    /// `tried` is what failed; for InsertMedium and EjectMedium see mediumFailed().
    void failed(app::Action tried, vmm::Error error);
    void mediumFailed(QString drive, vmm::Error error);

private:
    void take(Notice const& notice);
    void takeState(notice::StateChanged const& change);
    void takeProgress(Job job);
    void endWork(QString const& name);
    MachineRunner::Completion reporting(Action tried);
    MachineRunner::Completion reportingMedium(QString const& drive);
    MachineRunner::Completion here(UsbDone done);
    vmm::Result<vmm::EventLoop*> reader();

    std::shared_ptr<MachineRunner> m_runner;
    std::shared_ptr<Gate<VmSession>> m_gate;
    MachineRunner::ObserverId m_observer = 0;
    QString m_id;
    SessionState m_state = SessionState::Off;
    std::optional<vmm::Error> m_reason;
    std::optional<Job> m_job;
    std::vector<Job> m_works; // by when they were begun
    std::optional<vmm::MachineStatistics> m_statistics;
    std::vector<vmm::HostUsbInfo> m_attachedHostUsb;
    std::vector<UsbQuestion> m_usbQuestions;
    std::map<std::string, vmm::Error> m_forwardsMissed; // by network
    bool m_measuring = false;
    bool m_isOver = false; // see retire()
    bool m_absolutePointer = false;
    std::map<QString, std::unique_ptr<ConsoleSession>> m_consoles;
    std::map<QString, std::unique_ptr<ScreenSession>> m_screens;
    std::unique_ptr<TimelineSession> m_timeline;
    std::unique_ptr<vmm::LoopThread> m_reader; // of what takes milliseconds; made when it is needed
};

}
