#pragma once

#include "tests/support/suite.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/timeline/timeline.h"

#include <nlohmann/json.hpp>

namespace tests {

/// Memory of zeros, in the blocks of a moment's.
class NoMemory final : public vmm::timeline::FrozenMemory {
public:
    explicit NoMemory(std::vector<vmm::timeline::MemoryRoot> const& roots)
    {
        for (auto const& root : roots)
            m_blocks.push_back({ root.name, root.size });
    }
    std::vector<Block> const& blocks() const override { return m_blocks; }
    vmm::Result<std::uint64_t> nextUsed(std::size_t block, std::uint64_t) override { return m_blocks[block].size; }
    vmm::Result<> read(std::size_t, std::uint64_t, vmm::ByteSpan data) override
    {
        std::fill(data.begin(), data.end(), std::uint8_t(0));
        return {};
    }

private:
    std::vector<Block> m_blocks;
};

/// Another moment like that one, whose state says something else. The present stays where it came from. Its id.
inline std::string alteredMoment(
    vmm::timeline::Timeline& timeline, std::string const& like, std::function<void(vmm::Json&)> const& alter)
{
    auto const known = must(timeline.moment(like));
    auto const present = timeline.present();
    auto json = must(vmm::state::parseJson(must(timeline.state(like)), vmm::timeline::maximumState));
    alter(json);
    vmm::timeline::NewMoment what;
    what.name = "altered";
    what.time = known.time + 1;
    what.state = vmm::state::toText(json, 1) + "\n";
    what.power = known.power;
    what.disks = known.disks;
    NoMemory memory(known.memory);
    auto const altered = must(timeline.take(what, memory, {}));
    must(timeline.setPresent(present));
    return altered.id;
}

/// The part of that name.
inline vmm::Json& partOf(vmm::Json& state, std::string const& id)
{
    for (auto& part : state["parts"]) {
        if (part["id"] == id)
            return part;
    }
    qFatal("there is no %s", id.c_str());
}

}
