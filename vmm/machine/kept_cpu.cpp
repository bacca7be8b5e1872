#include "vmm/machine/kept_cpu.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace vmm {

std::string keptCpuToText(KeptCpu const& cpu)
{
    return state::toText(state::save(cpu).toJson()) + "\n";
}

Result<KeptCpu> keptCpuFromText(std::string_view text)
{
    auto const json = TRY(state::parseJson(text));
    auto const section = TRY(Section::fromJson(json));
    auto cpu = TRY(state::load<KeptCpu>(section));
    auto const& entries = cpu.features.entries;
    auto const has = [&](std::uint32_t function) {
        return std::any_of(
            entries.begin(), entries.end(), [&](CpuidEntry const& entry) { return entry.function == function; });
    };
    // Its vendor and what it can do: no guest gets far without.
    if (!has(0) || !has(1))
        return fail(ErrorCode::Corrupt, "a CPU without leaf 0 or 1 of CPUID");
    return cpu;
}

}
