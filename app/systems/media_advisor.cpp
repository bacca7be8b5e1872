#include "app/systems/media_advisor.h"

namespace app {

MediaAdvisor::MediaAdvisor(bool loadDatabase)
{
    if (loadDatabase)
        m_database = std::make_unique<SystemDatabase>();
}

vmm::Result<Medium> MediaAdvisor::recognise(std::string const& path) const
{
    auto medium = TRY(inspectMedium(path));
    if (mayHoldSystem(medium) && m_database) {
        if (auto const found = m_database->identify(path))
            takeSystem(medium, *found);
    }
    return medium;
}

std::vector<System> MediaAdvisor::systems() const
{
    return m_database ? m_database->systems() : std::vector<System>();
}

Proposal MediaAdvisor::propose(Medium const& medium, HostReport const& host, std::string const& system) const
{
    return app::propose(
        medium, host, m_database ? m_database->needs(system.empty() ? medium.system : system) : std::nullopt);
}

}
