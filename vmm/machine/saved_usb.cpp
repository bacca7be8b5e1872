#include "vmm/machine/saved_usb.h"

#include "vmm/state/reader.h"
#include "vmm/usb/xhci_controller.h"

#include <algorithm>

namespace vmm {

std::vector<HostUsbTrace> hostUsbIn(SavedMachine const& machine)
{
    std::vector<HostUsbTrace> found;
    auto const add = [&found](std::string const& identity) {
        if (auto trace = HostUsbTrace::in(identity))
            found.push_back(std::move(*trace));
    };
    for (auto const& part : machine.parts) {
        if (part.section.kind() != XhciController::State::kind)
            continue;
        auto const controller = state::load<XhciController::State>(part.section);
        for (auto const& port : controller ? controller->ports : std::vector<XhciPortState>()) {
            add(port.device);
            std::ranges::for_each(port.behind, add);
        }
    }
    return found;
}

}
