#pragma once

#include "app/runner/machine_runner.h"
#include "app/store/machine_lock.h"
#include "vmm/config/vm_config.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace app {

using vmm::DiskFormat;
class ImageRemoval;

/// A disk image that is made together with its machine, empty.
struct NewDisk {
    std::string id; ///< of a disk in the configuration whose path is empty
    std::uint64_t bytes = 0;
    DiskFormat format = DiskFormat::Qcow2;
};

/// What a machine is made from.
struct MachineRequest {
    /// uuid, MACs and paths may be empty: they are made up. Paths of media (CD, kernel, an existing disk) are used
    /// where they are.
    vmm::VmConfig config;
    std::vector<NewDisk> newDisks;
};

/// A machine on disk, as it is found.
struct StoredMachine {
    std::string id; ///< the uuid, and the name of its directory
    std::string directory;
    vmm::VmConfig config;              ///< paths made absolute
    std::optional<vmm::Error> problem; ///< machine.json cannot be read; `config` has only uuid and name then
    bool isSuspended = false;          ///< its next start goes on from a saved state, or from a moment
    std::optional<pid_t> owner;        ///< the process that has it in memory (ourselves too)
};

/// A machine in the trash; `directory` is where it lies there.
struct RemovedMachine : StoredMachine {
    std::int64_t removedAt = 0; ///< in seconds since 1970
    bool isImages = false;      ///< not the machine itself: disks of it, whose images were removed alone
    /// What restoreRemoved() takes it by: the uuid, followed by another one where a machine of the same was removed
    /// later, and by ".images-" and another one where it is images.
    std::string place() const { return directory.substr(directory.rfind('/') + 1); }
};

/// The person's machines on disk, without Qt:
///
///     machines/<uuid>/machine.json    the configuration; paths inside the directory are kept relative
///                     cpu.json        the CPU that its guest found at the first start, and keeps
///                     disk0.qcow2 …   images made with the machine
///                     nvram.fd        OVMF's variables
///                     state/          of a suspended machine: state.json, ram
///                     thumbnail.png
///                     machine.lock    locked, with a pid in it, by who has the machine in memory
///                     machine.json.lock  locked while the configuration is read, changed and written
///     machines/.making-<uuid>/        being made; with a machine.lock held by who does
///     trash/<uuid>/                   removed, until emptied; trash/<uuid>.<another>/ one of the same uuid, removed
///     before; trash/<uuid>.images-<another>/ images alone, with a machine.json that has their disks;
///     trash/.ending-<uuid>.<another>/ one that is being emptied, or what is needed of it until its disks can be
///
/// Every change of a file is whole or not at all. Any thread; several processes may use one store.
class MachineStore {
public:
    /// `root` holds machines/ and trash/; made when missing.
    explicit MachineStore(std::string root);
    /// $XDG_DATA_HOME/chronovisor, by default ~/.local/share/chronovisor.
    static std::string defaultRoot();

    std::string const& root() const { return m_root; }
    std::string machinesDirectory() const { return m_root + "/machines"; }
    std::string directoryOf(std::string const& id) const;
    MachinePlaces placesOf(std::string const& id) const;
    std::string thumbnailOf(std::string const& id) const { return directoryOf(id) + "/thumbnail.png"; }

    /// Sorted by name, then id.
    std::vector<StoredMachine> list() const;
    vmm::Result<StoredMachine> load(std::string const& id) const;
    /// What lies in the trash and can still come back; what was removed last is first.
    std::vector<RemovedMachine> removed() const;
    /// By uuid, name, or the unambiguous beginning of a uuid (4 characters and more).
    vmm::Result<StoredMachine> find(std::string const& nameOrId) const;

    vmm::Result<StoredMachine> create(MachineRequest request);
    /// Replaces the configuration. Busy while another process has the machine in memory; the uuid stays. Disks whose
    /// path is empty are made as `newDisks` says; `unwanted` are images in the machine's directory that go into the
    /// trash, except those that it still names or a disk stands on. The place where they lie there; empty: none does.
    /// On an error nothing of it is done.
    vmm::Result<std::string> save(
        vmm::VmConfig config, std::vector<NewDisk> const& newDisks = {}, std::vector<std::string> const& unwanted = {});
    /// What is in a CD drive at the next start.
    vmm::Result<> keepMedium(std::string const& id, std::string const& drive, std::string const& path);
    /// The cable and the port forwards of a network card at the next start.
    vmm::Result<> keepNetwork(std::string const& id, vmm::NetworkConfig const& network);
    /// Whether a USB device is plugged in at the next start.
    vmm::Result<> keepPlugged(std::string const& id, std::string const& device, bool plugged);
    /// A USB device of the machine's own that has come, or gone.
    vmm::Result<> keepUsbAdded(std::string const& id, vmm::UsbAddition const& device);
    vmm::Result<> keepUsbRemoved(std::string const& id, std::string const& device);
    /// What a moment has brought back, but for the name and the notes.
    vmm::Result<> keepConfig(vmm::VmConfig const& config);
    /// The formats that were found of disks whose configuration says none.
    vmm::Result<> keepFormats(std::string const& id, std::vector<vmm::DiskConfig> const& found);
    vmm::Result<> rename(std::string const& id, std::string const& name);
    /// Lets go of the CPU that its guest has had: the next start gives it what its model is on this host then. Whether
    /// there was one. Busy while it is in memory; NotNow for a suspended one, whose guest goes on with what it has.
    vmm::Result<bool> renewCpu(std::string const& id);
    /// What is on disk, with what `change` does to it; as save().
    vmm::Result<> change(std::string const& id, std::function<void(vmm::VmConfig&)> const& change);
    /// Whether `path` lies in the machine's own directory.
    bool owns(std::string const& id, std::string const& path) const;

    /// 0 to 1; returns false to give up (the copy is removed, ErrorCode::Cancelled).
    using Progress = std::function<bool(double)>;
    /// A machine of its own with a new uuid, MACs and copies of the disks in the directory (shared blocks where the
    /// file system can; what moments have put below them is shared anyway, and goes with the last who needs it). Disks
    /// elsewhere are refused unless read-only. The saved state is not copied. Not while in memory, nor on its way to a
    /// moment.
    vmm::Result<StoredMachine> clone(std::string const& id, std::string const& name, Progress progress = {});
    /// A machine of its own that goes on from that moment (its id) at its first start: with a new uuid and MACs, the
    /// disks as they were then, and what is stored of the moment shared with the original as far as the file system
    /// can. The original may be in memory, of any process, and may go afterwards.
    vmm::Result<StoredMachine> fork(
        std::string const& id, std::string const& moment, std::string const& name, Progress const& progress = {});

    /// Into the trash. Not while in memory.
    vmm::Result<> remove(std::string const& id);
    /// AlreadyExists while one of the same uuid is in the library. Images become disks of the machine again, under
    /// names that are free; not while it is in memory. What was cut off in that goes on where it was.
    vmm::Result<> restoreRemoved(std::string const& place);
    /// Ends those that were removed more than `seconds` ago, and those that could not be ended before; with them what
    /// disks elsewhere keep for their moments, as far as those can be reached: what cannot be is logged. A disk image
    /// elsewhere becomes one file; what is left of a machine of which one cannot be is some files that know of it. The
    /// first error, after all that could be done. `progress` is asked before each machine and each file: what it ends
    /// at is gone on with the next time.
    vmm::Result<> emptyTrash(std::uint64_t seconds = 0, Progress const& progress = {});
    /// Ends these as they were listed, in place of those of an age: what has come back, or was removed anew, stays.
    vmm::Result<> emptyTrash(std::vector<RemovedMachine> const& those, Progress const& progress = {});
    std::uint64_t trashUsage() const; ///< bytes
    /// Removes what was half made when a process was killed. What is being made now stays.
    void sweepHalfMade();

    /// Bytes that the machine's directory takes on disk.
    std::uint64_t diskUsage(std::string const& id) const;

private:
    /// By the name in the trash, and when it was removed.
    using IsToEnd = std::function<bool(std::string const& name, std::int64_t removedAt)>;
    vmm::Result<> endRemovedWhere(IsToEnd const& isToEnd, Progress const& progress);
    vmm::Result<vmm::UniqueFd> lockConfig(std::string const& id) const;
    vmm::Result<> changeIfPossible(std::string const& id, std::function<vmm::Result<>(vmm::VmConfig&)> const& change);
    vmm::Result<std::string> saveLocked(
        vmm::VmConfig config, std::vector<NewDisk> const& newDisks, std::vector<std::string> const& unwanted);
    vmm::Result<> endRemoved(std::string const& removed, Progress const& progress);
    vmm::Result<> restoreImagesFrom(std::string const& trash, std::string const& id);
    /// Null: none of them goes.
    vmm::Result<std::unique_ptr<ImageRemoval>> prepareRemoval(
        vmm::VmConfig const& before, vmm::VmConfig const& after, std::vector<std::string> const& unwanted) const;

    std::string m_root;
};

/// Device ids in the order "disk0", "disk1"…: the first of `prefix` that is not taken.
std::string freeDeviceId(vmm::VmConfig const& config, std::string_view prefix);
/// One that is not in `config` yet.
vmm::UsbControllerConfig newUsbController(vmm::VmConfig const& config);
/// A USB controller with a connector that is free; a new one where there is none.
std::string freeUsbController(vmm::VmConfig& config);

}
