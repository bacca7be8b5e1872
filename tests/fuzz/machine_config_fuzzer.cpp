#include "tests/fuzz/accepted.h"
#include "vmm/config/vm_config.h"
#include "vmm/machine/kept_cpu.h"

#include <string_view>

/// A machine.json, or the cpu.json beside it, from anywhere. What is accepted must come out of its own text alike.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    std::string_view const text { reinterpret_cast<char const*>(data), size };
    if (auto const cpu = vmm::keptCpuFromText(text)) {
        fuzz::accept();
        auto const again = vmm::keptCpuFromText(vmm::keptCpuToText(*cpu));
        if (!again || *again != *cpu)
            __builtin_trap();
    }
    auto const config = vmm::configFromText(text);
    if (!config)
        return 0;
    fuzz::accept();
    auto const again = vmm::configFromText(vmm::configToText(*config));
    if (!again || *again != *config)
        __builtin_trap();
    return 0;
}
