#include "vmm/devices/pvpanic.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm {

Section PvPanic::save() const
{
    return state::save(State {});
}

Result<> PvPanic::load(Section const& section)
{
    TRY(state::load<State>(section));
    return {};
}

void PvPanic::read(std::uint64_t, ByteSpan data)
{
    std::ranges::fill(data, std::uint8_t(panicked | crashLoaded));
}

void PvPanic::write(std::uint64_t, ConstByteSpan data)
{
    auto const events = static_cast<std::uint8_t>(loadLittle<std::uint8_t>(data) & (panicked | crashLoaded));
    if (events != 0 && m_happened)
        m_happened(events);
}

}
