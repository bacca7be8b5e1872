#include "vmm/machine/host_check.h"

#include "vmm/kvm/kvm.h"

namespace vmm {

Result<> checkHost(CpuFeatures const& cpu)
{
    auto const kvm = TRY(Kvm::open());
    auto const supported = TRY(kvm.supportedCpuid());
    return checkFeatures(cpu, supported);
}

}
