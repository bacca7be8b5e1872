#pragma once

#include "vmm/machine/machine.h"

#include <QString>
#include <QStringList>
#include <QTemporaryDir>
#include <chrono>
#include <map>
#include <mutex>

namespace tests {

/// A machine with one of our own guests in it (tests/guests, resources/demo), and an ear at its first serial port.
/// Test thread.
class GuestMachine {
public:
    using Action = std::function<void(GuestMachine&)>;

    /// One processor, 256 MiB, two serial ports, a display, the kernel `elf` below the build tree.
    explicit GuestMachine(QString const& elf, std::string const& options = {});
    ~GuestMachine();

    /// To be changed before start().
    vmm::VmConfig config;
    /// The one that the guest has had before; null: this host's.
    vmm::CpuFeatures const* cpu = nullptr;
    /// What is done when the guest says "NOTE …" with this text.
    std::map<QString, Action> onNote;

    /// A file of zeros in a folder that goes with this machine.
    QString makeFile(QString const& name, std::uint64_t size) const;
    void addDisk(vmm::DiskBus bus, std::uint64_t size = 1 << 20);
    /// Of a file or block device that is there.
    void addDiskAt(QString const& path, vmm::DiskBus bus);
    void addQcow2Disk(vmm::DiskBus bus, std::uint64_t size = 1 << 20);
    QString folder() const { return m_folder.path(); }
    /// Where disks that are added from now on lie; empty: in folder().
    QString diskFolder;

    vmm::Result<> start();
    /// As start(), and leaves it off.
    vmm::Result<> create();
    vmm::Machine& machine() { return *m_machine; }
    /// Ends the machine and lets go of its files. qemu-img judges each qcow2 image that it had; what is wrong with one
    /// fails the test.
    void end();
    /// Not where a test damages an image itself.
    bool imagesAreJudged = true;

    /// Called once, on the machine's thread, when a job is a first bit of its way. It must not wait.
    std::function<void()> atFirstProgress;

    enum class Then { Resume, StayPaused };
    /// Writes the state, ends this machine and its threads, and builds a new one from the files, which runs on. The
    /// parts in the state have another order by then, for it must not matter.
    vmm::Result<> suspendAndRestore(Then then = Then::Resume);
    /// From the state in "suspended" in folder().
    vmm::Result<> restore(Then then = Then::Resume);

    /// Keeps the present in the machine's timeline; the moment's id.
    vmm::Result<std::string> keepMoment(std::string name);
    /// Ends this machine, builds the one of that moment, and lets it run.
    vmm::Result<> goTo(std::string const& moment, vmm::MemoryWay way = vmm::MemoryWay::Best);
    /// Ends a moment for good, with what the disks kept of it.
    vmm::Result<> endMoment(std::string const& moment);
    std::shared_ptr<vmm::timeline::Timeline> timeline();
    /// The next use opens it anew.
    void closeTimeline() { m_timeline.reset(); }
    /// How long the vCPUs stood still for each moment, in milliseconds.
    std::vector<double> stoodStill();

    /// Everything that the first serial port has said, line by line; what is said later is waited for.
    bool waitForLine(QString const& beginning, std::chrono::seconds limit);
    /// The same, but for a line that has ended, so that lines() has it.
    bool waitForWholeLine(QString const& beginning, std::chrono::seconds limit);
    bool waitForState(vmm::RunState state, std::chrono::seconds limit);
    bool waitForReboot(std::chrono::seconds limit);
    QStringList lines() const { return m_lines; }
    /// Forgets the lines so far.
    void clearLines() { m_lines.clear(); }

    void type(std::string_view console, std::string_view text);
    void pressKey(std::uint16_t code);
    QString said(std::string_view console);
    /// Types the command at the first serial port, after an empty line: the guest may have been in the middle of one.
    /// What it says from then on is waited for.
    bool ask(std::string const& command, QString const& answer);

    /// Why the machine stopped, as its last event has it.
    QString reason();

private:
    vmm::Machine::Listener listener();
    bool wait(std::chrono::seconds limit, std::function<bool()> const& done);
    void takeOutput();

    QTemporaryDir m_folder;
    QStringList m_lines;
    QString m_rest;
    std::uint64_t m_position = 0;

    std::mutex m_mutex; // for what the listener, on the machine's thread, writes
    vmm::RunState m_state = vmm::RunState::Off;
    QString m_reason;
    unsigned m_reboots = 0;
    std::string m_moment; // kept last
    std::vector<double> m_stoodStill;
    std::shared_ptr<vmm::timeline::Timeline> m_timeline;

    std::unique_ptr<vmm::Machine> m_machine; // last: its threads call the listener
};

}
