#pragma once

#include "tests/support/suite.h"
#include "vmm/bus/device.h"
#include "vmm/state/schema.h"

#include <functional>

/// What must be true of every device, in one line of its test: `tests::battery<Uart16550>(make)`, where `make` returns
/// a fresh device (as a std::unique_ptr) on surroundings that outlive the call.
namespace tests {

/// The layout of State is the one in tests/golden/state/KIND.vVERSION.txt. With CHRONOVISOR_REWRITE_GOLDEN=1 in the
/// environment (target `rewrite-golden`) the file is written instead; the difference belongs in the commit.
void compareWithGolden(std::string_view kind, unsigned version, std::string const& schema);

template<typename State>
void goldenSchema()
{
    compareWithGolden(State::kind, State::version, vmm::state::schemaText<State>());
}

/// Makes random accesses on a handler: none may crash, whatever the device is told.
void accessAtRandom(vmm::BusHandler& handler, std::uint64_t size, unsigned seed, int count = 20000);

using MakeDevice = std::function<std::unique_ptr<vmm::Device>()>;
using DisturbDevice = std::function<void(vmm::Device&)>;
void runBattery(MakeDevice const& make, DisturbDevice const& disturb, std::vector<std::string> const& keeps);
void runStatelessBattery(MakeDevice const& make);

/// `disturb` brings a device into some state that is not the one after reset. `keeps` names the fields that outlive a
/// reset: what a battery keeps.
template<typename DeviceType>
void battery(std::function<std::unique_ptr<DeviceType>()> const& make, std::function<void(DeviceType&)> const& disturb,
    std::vector<std::string> const& keeps = {})
{
    goldenSchema<typename DeviceType::State>();
    if (!QTest::currentTestFailed())
        runBattery(
            make, [&](vmm::Device& device) { disturb(dynamic_cast<DeviceType&>(device)); }, keeps);
}

/// The battery's counterpart for a device that remembers nothing.
template<typename DeviceType>
void statelessBattery(std::function<std::unique_ptr<DeviceType>()> const& make)
{
    goldenSchema<typename DeviceType::State>();
    if (!QTest::currentTestFailed())
        runStatelessBattery(make);
}

}
