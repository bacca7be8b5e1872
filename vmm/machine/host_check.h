#pragma once

#include "vmm/kvm/cpu_model.h"

namespace vmm {

/// Whether this host's KVM can go on with the CPU that a guest has had: what it lacks is named.
Result<> checkHost(CpuFeatures const& cpu);

}
