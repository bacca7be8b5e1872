#pragma once

#include "vmm/base/bytes.h"
#include "vmm/kvm/vcpu_state.h"

namespace vmm {

/// Does one instruction that some KVMs can neither run nor emulate in the guest's kernel mode, where its effect is
/// simple and can be had exactly from the registers alone: INT3, INT n, CLAC, STAC, POPCNT, LZCNT, TZCNT and CRC32
/// between registers, XGETBV, FWAIT, MONITOR and MWAIT (which may return at any time). False, and nothing changed, for
/// any other.
/// (Intel SDM, order number 325383, Vol. 2 "Instruction Set Reference".)
bool stepOver(VcpuState& state, ConstByteSpan instruction);

}
