#include "tests/fuzz/accepted.h"
#include "vmm/machine/saved_machine.h"

#include <nlohmann/json.hpp>

/// A state.json from anywhere, or one part of it: then each kind of device is reached without a whole machine around.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    auto const json = vmm::state::parseJson({ reinterpret_cast<char const*>(data), size }, 1 << 20);
    if (!json)
        return 0;
    if (json->is_object() && json->contains("kind")) {
        auto const section = vmm::Section::fromJson(*json);
        if (!section)
            return 0;
        fuzz::accept();
        // The differences of two moments are made of these.
        if (!vmm::state::diff(*section, *section).empty())
            __builtin_trap();
        if (auto const current = vmm::currentSection({ "part", *section }))
            static_cast<void>(vmm::state::diff(*section, *current));
        static_cast<void>(vmm::state::diff({}, *section));
        return 0;
    }
    auto const machine = vmm::savedMachineFromJson(*json);
    if (!machine)
        return 0;
    fuzz::accept();
    static_cast<void>(vmm::checkRamRecord(machine->header.ram, size));
    auto const again = vmm::savedMachineFromJson(vmm::savedMachineToJson(*machine));
    if (!again || again->header != machine->header || again->config != machine->config)
        __builtin_trap();
    return 0;
}
