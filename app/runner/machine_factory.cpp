#include "app/runner/machine_factory.h"

namespace app {

MachineFactory kvmMachines()
{
    return { &vmm::Machine::create, &vmm::Machine::restore, &vmm::Machine::goTo };
}

}
