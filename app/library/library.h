#pragma once

#include "app/library/closing.h"
#include "app/library/host_usb_watch.h"
#include "app/runner/picture.h"
#include "app/session/vm_session.h"
#include "app/store/forking.h"
#include "app/systems/media_advisor.h"

#include <QObject>
#include <QString>
#include <QStringList>
#include <functional>
#include <memory>

namespace app {

/// A machine in the library, as a list shows it.
struct LibraryEntry {
    QString id;
    QString name;
    QString directory;
    std::optional<vmm::Error> problem; ///< its machine.json cannot be read
    /// Another process, and not this one, has it in memory: it can be looked at, not used.
    std::optional<qint64> otherOwner;
};

/// The person's machines for the desktop: the store on disk, watched, with a session for each machine. GUI thread only;
/// what takes long happens on a worker, and answers through `done` on the GUI thread (unless the library is gone).
class Library final : public QObject {
    Q_OBJECT
public:
    /// MachineStore::defaultRoot() where `root` is empty.
    explicit Library(QString const& root, MachineFactory factory = kvmMachines(), QObject* parent = nullptr);
    /// Powers off what still runs; see suspendAll() for the gentle way.
    ~Library() override;

    template<typename T>
    using Done = std::function<void(vmm::Result<T>)>;

    QStringList ids() const; ///< by name
    std::optional<LibraryEntry> entry(QString const& id) const;
    bool isTaken(QString const& name, QString const& besides = {}) const; ///< by another machine than that one
    /// `wanted`, or that with a number where a machine is called so.
    QString freeName(QString const& wanted) const;
    VmSession* session(QString const& id) const; ///< null: no such machine, or it cannot be read
    vmm::VmConfig config(QString const& id) const;
    MachineStore const& store() const { return m_store; }
    /// Of all machines that can be read: what the control socket serves.
    std::vector<std::shared_ptr<MachineRunner>> runners() const;

    void create(MachineRequest request, Done<QString> done);
    void clone(QString const& id, QString const& name, Done<QString> done, std::function<void(double)> progress = {});
    /// Makes a machine from a moment that was exported (TimelineSession::exportTo()), as importFrom() does; under its
    /// name there, or that with a number.
    void importMoment(QString const& path, Done<QString> done, std::function<void(double)> progress = {});
    void cancelCopy();   ///< the clone or import under way, and not those that wait for it
    void cancelCopies(); ///< those, too
    /// A machine that goes on from there at its first start. The original may be in memory, for a moment that is there
    /// of any process. Its session tells how far it is, and cancels it.
    void fork(QString const& id, ForkPoint const& point, QString const& name, Done<QString> done);
    // Changes are written in the order in which they are asked for; `done` hears when that is so, and entry() and
    // config() tell it. Before settings change, the machine is kept as a moment, where its timeline's policy wants
    // that.
    void rename(QString const& id, QString const& name, Done<void> done); ///< AlreadyExists where it isTaken()
    /// The next start's; refused while the machine is in memory. Disks without a path are made as `newDisks` says;
    /// `unwanted` are images of the machine's own that go into the trash.
    void changeSettings(
        vmm::VmConfig config, std::vector<NewDisk> newDisks, std::vector<std::string> unwanted, Done<void> done);
    /// At any time: when the machine keeps moments by itself, how long those stay, and in how much space.
    void changePolicy(QString const& id, vmm::timeline::Policy const& policy, Done<void> done);
    /// At any time: what a person has noted about the machine.
    void changeNotes(QString const& id, QString const& notes, Done<void> done);
    /// The part of `config` that may change while the machine is in memory: name, notes and port forwards. What is in
    /// a CD drive is VmSession's to change.
    void changeWhileInMemory(vmm::VmConfig const& config, Done<void> const& done);
    /// Plugs the cable of a network card in or pulls it out, now and for the next start. Refused while the machine is
    /// suspended.
    void setConnected(QString const& id, QString const& network, bool connected, Done<void> done);
    /// Plugs a USB device of the machine's own in or pulls it out, now and for the next start. Refused while the
    /// machine is suspended.
    void setPlugged(QString const& id, QString const& device, bool plugged, Done<void> done);
    /// A USB device of the machine's own, or a stick on a disk image, comes or goes, now and for the next start; see
    /// MachineRunner. Refused while the machine is suspended.
    void addUsb(QString const& id, vmm::UsbAddition device, Done<void> done);
    void removeUsb(QString const& id, QString const& device, Done<void> done);
    /// This host's USB devices, who has each, and the person's rules. It looks at nothing before somebody asks for it.
    HostUsbWatch& hostUsb();
    /// Changes the rules (UsbRules::set(), remove(), setRestore()), while another process may change them too; `done`
    /// when they are on the disk. HostUsbWatch tells when it has read them. `change` is called on a worker, once.
    void changeUsbRules(std::function<vmm::Result<>(UsbRules&)> change, Done<void> done);

    /// Into the trash, from where bringBack() takes it.
    void remove(QString const& id, Done<void> done);
    /// What can come back; what was removed last is first.
    void listRemoved(Done<std::vector<RemovedMachine>> done);
    /// By RemovedMachine::place(), which is the id of what was removed last.
    void bringBack(QString const& place, Done<void> done);
    /// The last picture of a machine that is not in memory; a null picture where there is none.
    void lastPicture(QString const& id, Done<Picture> done);
    void diskUsage(QString const& id, Done<quint64> done);

    /// What removed machines take, and the end of those that were listed, behind copies that are under way: what has
    /// come back by then, or was removed since, stays. All are ended when they have been there for 30 days.
    void trashUsage(Done<quint64> done);
    void emptyTrash(std::vector<RemovedMachine> those, Done<void> done, std::function<void(double)> progress = {});
    /// What is half ended by then is gone on with when the trash is emptied again, or a library opened.
    void cancelEmptying();

    /// What the file is, and a machine that would suit it.
    struct Advice {
        Medium medium;
        Proposal proposal;
        HostReport host;
    };
    /// For the `system` that a person chose, or for the medium's own; see MediaAdvisor.
    void advise(QString const& path, Done<Advice> done, std::optional<QString> const& system = {});
    void listSystems(Done<std::vector<System>> done);
    void inspectHost(Done<HostReport> done);

    /// Asks the process that has the machine to suspend it; entry() tells when that has ended. NotFound where none
    /// answers that has it, TimedOut where that one does not say anything any more.
    void suspendElsewhere(QString const& id, Done<void> done);

    QStringList inMemory() const; ///< machines of ours that run, pause, crashed …
    // One of the two at a time; both mean the machines that are in memory now, and none that is started later.
    /// Suspends them; `done` when all have ended, with the first error (those stay as they were).
    void suspendAll(Done<void> done);
    /// Asks their guests to shut down; who has not after `seconds` is powered off. `left` hears each second how many
    /// those still are.
    void shutDownAll(int seconds, Done<void> done, std::function<void(int)> left = {});
    /// Gives that up: its `done` is not called, a suspend under way ends, and nobody is powered off.
    void cancelClosing();

signals:
    void machineAdded(QString id);
    void machineRemoved(QString id);
    void machineChanged(QString id); ///< name, settings, owner, thumbnail
    /// Images of its own have gone into the trash with a change of its settings, to where bringBack() finds them.
    void imagesRemoved(QString id, QString place);
    /// Any machine's state changed: for the list.
    void machineStateChanged(QString id, app::SessionState state);
    /// A machine that is in memory has changed (a medium, a cable, a USB device …), and its next start will not have
    /// that, for its file could not be written.
    void notKept(QString id, vmm::Error error);

private:
    void close(Closing::Way way, int seconds, Done<void> done, std::function<void(int)> left = {});

    struct Private;
    MachineStore m_store;
    MachineFactory m_factory;
    std::unique_ptr<Private> m_private;
};

}
