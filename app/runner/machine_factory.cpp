#include "app/runner/machine_factory.h"

#include "app/sdl/host_sound.h"
#include "vmm/machine/host_check.h"

namespace app {

MachineFactory kvmMachines()
{
    return { &vmm::Machine::create, &vmm::Machine::restore,
        [](auto const& timeline, auto const& moment, auto listener, auto const& leave) {
            return vmm::Machine::goTo(timeline, moment, std::move(listener), vmm::MemoryWay::Best, leave);
        },
        &vmm::checkHost, [](std::string const& name) { return std::make_shared<HostSound>(name); },
        &HostGamepads::ofThisProcess() };
}

}
