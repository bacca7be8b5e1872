#pragma once

#include "app/store/machine_lock.h"
#include "vmm/base/result.h"
#include "vmm/config/vm_config.h"

#include <optional>
#include <string>

/// How a machine's directory comes to be.
namespace app {

class MachineStore;
struct StoredMachine;

/// How the names of directories begin that no list shows.
constexpr std::string_view makingPrefix = ".making-";

/// A directory while it is made: locked, so that nobody takes it for a leftover, and removed unless it is kept, at its
/// place too.
class Scaffold {
public:
    static vmm::Result<Scaffold> make(std::string path);
    Scaffold(Scaffold&& other) noexcept;
    ~Scaffold();
    std::string const& path() const { return m_path; }
    vmm::Result<> moveTo(std::string const& directory);
    void keep();

private:
    explicit Scaffold(std::string path) : m_path(std::move(path)) { }
    std::string m_path;
    std::optional<MachineLock> m_lock;
};

/// What was made gets its place in the library, or goes where it cannot be read there: nobody would be told of it.
vmm::Result<StoredMachine> adopt(MachineStore const& store, Scaffold made, std::string const& id);

bool isWithin(std::string const& path, std::string const& directory);
/// What lies in the machine's directory is named from there, so that the directory may be moved.
void makePathsRelative(vmm::VmConfig& config, std::string const& directory);
/// As `directory`'s machine.json.
vmm::Result<> writeConfig(vmm::VmConfig config, std::string const& directory);
vmm::Result<> makeDirectories(std::string const& path);
/// Replaces nothing but an empty one.
vmm::Result<> moveDirectory(std::string const& from, std::string const& to);
void removeTree(std::string const& path);

}
