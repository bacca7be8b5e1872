#include "app/control/protocol.h"
#include "app/ctl/chronoctl.h"

int main(int argc, char** argv)
{
    app::ctl::Surroundings surroundings;
    surroundings.runtimeDirectory = app::control::runtimeDirectory();
    surroundings.factory = app::kvmMachines();
    return app::ctl::runChronoctl({ argv + 1, argv + argc }, surroundings);
}
