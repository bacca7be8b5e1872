#pragma once

#include "vmm/kvm/cpu_model.h"

namespace vmm {

/// The CPU that a machine keeps for life: what its configuration's model was where its guest saw it first. Systems are
/// installed and programs built for what they find, so a later start, with another kernel or on another host, shows the
/// same and no more.
struct KeptCpu {
    static constexpr std::string_view kind = "cpu";
    static constexpr unsigned version = 1;

    CpuModel model = CpuModel::Host; ///< of which it was made: another model is another CPU
    CpuFeatures features;
    bool operator==(KeptCpu const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("model", s.model);
        v.field("features", s.features);
    }
};

/// As a file's text, and back; Corrupt where it is no CPU.
std::string keptCpuToText(KeptCpu const& cpu);
Result<KeptCpu> keptCpuFromText(std::string_view text);

}
