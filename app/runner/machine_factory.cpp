#include "app/runner/machine_factory.h"

#include "vmm/machine/host_check.h"

namespace app {

MachineFactory kvmMachines()
{
    return { &vmm::Machine::create, &vmm::Machine::restore, &vmm::Machine::goTo, &vmm::checkHost };
}

}
