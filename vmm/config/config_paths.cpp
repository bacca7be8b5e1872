#include "vmm/config/config_paths.h"

namespace vmm {

void forEachPath(VmConfig& config, std::function<void(std::string&)> const& visit)
{
    visit(config.firmwareVariables);
    if (config.kernel) {
        visit(config.kernel->kernel);
        visit(config.kernel->initrd);
    }
    for (auto& disk : config.disks) {
        visit(disk.path);
        for (auto& path : disk.backing)
            visit(path);
    }
    for (auto& cd : config.cds)
        visit(cd.path);
}

void makePathsAbsolute(VmConfig& config, std::string const& directory)
{
    forEachPath(config, [&](std::string& path) {
        if (!path.empty() && path.front() != '/')
            path = directory + "/" + path;
    });
}

}
