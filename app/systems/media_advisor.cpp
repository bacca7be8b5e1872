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

Proposal MediaAdvisor::propose(Medium medium, HostReport const& host, std::optional<std::string> const& system) const
{
    if (system)
        medium.system = *system;
    return app::propose(medium, host, m_database ? m_database->needs(medium.system) : std::nullopt);
}

}
