#include "app/runner/host_usb_traces.h"

#include "app/store/whole_file.h"
#include "app/usb/usb_follower.h"

#include <nlohmann/json.hpp>

namespace app {

namespace {

constexpr std::uint64_t savedStateLimit = 64u << 20;

/// Most states do not, and are not parsed to find that out.
bool tellsOfHostUsb(std::string const& state)
{
    return state.find("\"host ") != std::string::npos || state.find("\"redirected ") != std::string::npos;
}

std::vector<vmm::HostUsbTrace> hostUsbIn(std::string const& state)
{
    if (!tellsOfHostUsb(state))
        return {};
    auto const json = vmm::state::parseJson(state, savedStateLimit);
    auto const saved = json ? vmm::savedMachineFromJson(*json) : vmm::fail(json.error());
    return saved ? vmm::hostUsbIn(*saved) : std::vector<vmm::HostUsbTrace>();
}

vmm::Result<std::string> stateIn(std::string const& directory)
{
    return readWholeFile(directory + "/state.json", savedStateLimit);
}

}

std::vector<vmm::HostUsbTrace> hostUsbAt(vmm::timeline::Timeline const& timeline, std::string const& moment)
{
    auto const saved = vmm::savedMachineAt(timeline, moment);
    return saved ? vmm::hostUsbIn(*saved) : std::vector<vmm::HostUsbTrace>();
}

std::vector<UsbFate> usbThatStays(vmm::timeline::Timeline const& timeline, std::string const& moment)
{
    return foresee({}, hostUsbAt(timeline, moment), {}, {}, {});
}

vmm::Result<std::vector<vmm::HostUsbTrace>> savedHostUsb(std::string const& directory)
{
    return hostUsbIn(TRY(stateIn(directory)));
}

HadUsb noteSavedHostUsb(std::string const& directory)
{
    auto state = stateIn(directory).value_or(std::string());
    if (!tellsOfHostUsb(state))
        return {};
    return [state = std::move(state)] { return hostUsbIn(state); };
}

}
