#pragma once

#include "vmm/bus/device.h"
#include "vmm/memory/guest_memory.h"

#include <memory>

namespace vmm {

/// A number in a read-only page of the guest's that changes whenever its past was left: after a restore or in a copy
/// (Microsoft, "Virtual Machine Generation ID"). Random number generators and databases watch it. Whoever changes it
/// also raises the event Ich9Lpc::generationGpe; the ACPI tables say where it is.
class VmGenerationId final : public Device {
public:
    using Id = std::array<std::uint8_t, 16>;

    struct State {
        static constexpr std::string_view kind = "vm-generation-id";
        static constexpr unsigned version = 1;
        Id id {};
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s) { v.field("id", s.id); }
    };

    /// Maps the page at layout::generationId.
    static Result<std::unique_ptr<VmGenerationId>> create(MemoryMapper& mapper, Id const& id);
    ~VmGenerationId() override;

    static Id randomId();
    Id const& id() const { return m_state.id; }
    void setId(Id const& id);

    /// Changes nothing: a machine that starts anew has not gone back.
    void reset() override { }
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

private:
    VmGenerationId(MemoryMapper& mapper, std::unique_ptr<MemoryBlock> page);

    MemoryMapper& m_mapper;
    std::unique_ptr<MemoryBlock> m_page;
    MemoryMapper::Slot m_slot = 0;
    State m_state;
};

}
