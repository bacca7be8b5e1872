#include "vmm/bus/device.h"

namespace vmm {

Result<> Device::canSave() const
{
    return fail(ErrorCode::Unsupported, "this device does not say whether it can be saved");
}

}
