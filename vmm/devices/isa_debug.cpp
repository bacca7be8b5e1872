#include "vmm/devices/isa_debug.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm {

Section IsaDebugConsole::save() const
{
    return state::save(State {});
}

Result<> IsaDebugConsole::load(Section const& section)
{
    TRY(state::load<State>(section));
    return {};
}

void IsaDebugConsole::read(std::uint64_t, ByteSpan data)
{
    std::ranges::fill(data, std::uint8_t(0xe9));
}

void IsaDebugConsole::write(std::uint64_t, ConstByteSpan data)
{
    m_console.output(data);
}

Section IsaDebugExit::save() const
{
    return state::save(State {});
}

Result<> IsaDebugExit::load(Section const& section)
{
    TRY(state::load<State>(section));
    return {};
}

void IsaDebugExit::read(std::uint64_t, ByteSpan data)
{
    std::ranges::fill(data, std::uint8_t(0));
}

void IsaDebugExit::write(std::uint64_t, ConstByteSpan data)
{
    if (m_exited)
        m_exited(loadLittle<std::uint32_t>(data));
}

}
