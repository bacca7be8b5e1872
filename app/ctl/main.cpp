#include "app/control/protocol.h"
#include "app/ctl/chronoctl.h"

#include <filesystem>

int main(int argc, char** argv)
{
    app::ctl::Surroundings surroundings;
    surroundings.runtimeDirectory = app::control::runtimeDirectory();
    std::error_code unknown;
    auto const bin = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
    surroundings.systemsModule = (bin.parent_path() / "lib/chronovisor/systems.so").string();
    surroundings.factory = app::kvmMachines();
    return app::ctl::runChronoctl({ argv + 1, argv + argc }, surroundings);
}
