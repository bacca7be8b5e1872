#pragma once

#include "app/media/system_needs.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace app {

struct System {
    std::string id, shortName, name; ///< "http://debian.org/debian/12", "debian12", "Debian GNU/Linux 12"
};

/// What a CD says of itself.
struct SystemOnMedium {
    System system; ///< empty: not known
    bool isLive = false, isInstaller = false;
};

/// libosinfo with its database. Loading that takes a second; one thread at a time. It needs nothing else of ours, so
/// that it can be loaded as a module by who does not want to carry libosinfo (systems/module.h).
class SystemDatabase {
public:
    SystemDatabase();
    ~SystemDatabase();

    std::optional<SystemOnMedium> identify(std::string const& iso) const;
    std::optional<SystemNeeds> needs(std::string const& system) const;
    /// All that the database knows, newest first within a family; for a choice by hand. Empty where none is installed.
    std::vector<System> systems() const;

private:
    struct Private;
    std::unique_ptr<Private> m_private;
};

}
