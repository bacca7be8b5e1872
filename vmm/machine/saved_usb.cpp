#include "vmm/machine/saved_usb.h"

#include "vmm/state/reader.h"
#include "vmm/usb/xhci_controller.h"

namespace vmm {

std::vector<HostUsbTrace> hostUsbIn(SavedMachine const& machine)
{
    std::vector<HostUsbTrace> found;
    for (auto const& part : machine.parts) {
        if (part.section.kind() != XhciController::State::kind)
            continue;
        auto const controller = state::load<XhciController::State>(part.section);
        for (auto const& port : controller ? controller->ports : std::vector<XhciPortState>()) {
            if (auto trace = HostUsbTrace::in(port.device))
                found.push_back(std::move(*trace));
        }
    }
    return found;
}

}
