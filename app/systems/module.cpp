#include "app/systems/module.h"

extern "C" __attribute__((visibility("default"))) void chronovisorIdentifyMedium1(
    std::string const& iso, std::optional<app::SystemOnMedium>& found, std::optional<app::SystemNeeds>& needs)
{
    app::SystemDatabase const database;
    found = database.identify(iso);
    if (found)
        needs = database.needs(found->system.id);
}
