#pragma once

#include "app/runner/machine_configs.h"
#include "app/runner/machine_play.h"
#include "app/runner/machine_runner.h"

namespace app {

/// USB devices of the machine's own, which come to it, go, and are plugged in, whether it runs or not. All on the
/// runner's loop, where every answer comes, too.
class OwnUsbDevices {
public:
    using Completion = MachineRunner::Completion;
    using Added = MachineRunner::UsbAdded;
    struct Calls {
        std::function<vmm::Machine*()> machine; ///< in memory; null: none
        std::function<std::uint64_t()> number;  ///< another one with each machine
        /// NotNow while the machine neither is in memory nor off. `what`: is refused.
        std::function<vmm::Result<>(std::string_view what)> mayChange;
        /// Has the machine in memory do it.
        std::function<void(std::string_view what, vmm::Command command, Completion const& done)> forward;
        /// What would keep a stick from being kept once more.
        std::function<vmm::Result<>()> disksMayGo;
        /// To look at; null: there is none.
        std::function<vmm::Result<std::shared_ptr<vmm::timeline::Timeline const>>()> timeline;
        std::function<void(Completion const& done)> keepMoment;
        std::function<void(Notice const&)> tell;
    };
    OwnUsbDevices(Calls calls, MachineConfigs& configs, MachinePlay& play);

    // See MachineRunner.
    void add(vmm::UsbAddition addition, Added const& done);
    void remove(std::string const& device, Completion const& done);

    // The machine in memory has done it.
    void machineAdded(vmm::UsbAddition const& addition);
    void machineRemoved(std::string const& device);
    /// The same; of a machine that is off there is but the next start.
    vmm::Result<> notePlugged(std::string const& device, bool plugged);

private:
    void giveId(vmm::UsbAddition& addition);
    vmm::Result<bool> isInMoments(vmm::DiskConfig const* stick) const;
    void keepAndTakeAway(std::string const& device, Completion const& done);
    void takeAway(std::string const& device, Completion const& done);
    vmm::Result<> changeNext(std::function<vmm::Result<>(vmm::VmConfig&)> const& change);

    Calls const m_calls;
    MachineConfigs& m_configs;
    MachinePlay& m_play;
    std::vector<std::string> m_coming; // ids of devices that the machine has been told to add
};

}
