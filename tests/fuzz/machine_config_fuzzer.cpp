#include "vmm/config/vm_config.h"

#include <string_view>

/// A machine.json from anywhere. What is accepted must come out of its own text alike.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    auto const config = vmm::configFromText({ reinterpret_cast<char const*>(data), size });
    if (!config)
        return 0;
    auto const again = vmm::configFromText(vmm::configToText(*config));
    if (!again || *again != *config)
        __builtin_trap();
    return 0;
}
