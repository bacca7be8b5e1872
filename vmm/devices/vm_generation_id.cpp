#include "vmm/devices/vm_generation_id.h"

#include "vmm/base/random.h"
#include "vmm/memory/layout.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm {

Result<std::unique_ptr<VmGenerationId>> VmGenerationId::create(MemoryMapper& mapper, Id const& id)
{
    auto page = TRY(MemoryBlock::create("vm-generation-id", 4096));
    auto const slot = TRY(mapper.map(
        layout::generationId, *page, 0, page->size(), MemoryMapper::Access::ReadOnly, MemoryMapper::DirtyLog::Off));
    std::unique_ptr<VmGenerationId> device(new VmGenerationId(mapper, std::move(page)));
    device->m_slot = slot;
    device->setId(id);
    return device;
}

VmGenerationId::VmGenerationId(MemoryMapper& mapper, std::unique_ptr<MemoryBlock> page)
    : m_mapper(mapper), m_page(std::move(page))
{
}

VmGenerationId::~VmGenerationId()
{
    m_mapper.unmap(m_slot);
}

VmGenerationId::Id VmGenerationId::randomId()
{
    Id id {};
    fillRandom(id);
    return id;
}

void VmGenerationId::setId(Id const& id)
{
    m_state.id = id;
    std::copy(id.begin(), id.end(), m_page->data());
}

Section VmGenerationId::save() const
{
    return state::save(m_state);
}

Result<> VmGenerationId::load(Section const& section)
{
    setId(TRY(state::load<State>(section)).id);
    return {};
}

}
