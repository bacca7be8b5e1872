#pragma once

#include "app/media/proposal.h"
#include "app/systems/system_database.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace app {

inline void takeSystem(Medium& medium, SystemOnMedium const& found)
{
    medium.isLive = found.isLive;
    medium.isInstaller = found.isInstaller;
    medium.system = found.system.id;
    medium.systemName = found.system.name;
    medium.systemShortName = found.system.shortName;
}

/// Recognises systems with libosinfo and its database. Loading that takes a second: make one, on a worker thread, and
/// use it on one thread at a time.
class MediaAdvisor {
public:
    /// Without a database (`loadDatabase` false, or none installed) media are still told apart, without a system's
    /// name.
    explicit MediaAdvisor(bool loadDatabase = true);

    vmm::Result<Medium> recognise(std::string const& path) const;

    /// See SystemDatabase.
    std::vector<System> systems() const;

    /// For `medium`, or for the `system` that a person chose instead of its own (empty: one that nobody knows).
    Proposal propose(Medium medium, HostReport const& host, std::optional<std::string> const& system = {}) const;

private:
    std::unique_ptr<SystemDatabase> m_database;
};

}
