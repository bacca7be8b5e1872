// USB devices that come from other computers.

#include "app/control/redirected_usb_json.h"
#include "app/ctl/paths.h"
#include "app/ctl/verbs.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace app::ctl {

namespace {

vmm::Result<Json> redirect(std::string const& machine, RedirectUsb how, std::string address, Surroundings& around)
{
    auto const meant = TRY(parseUsbPeerAddress(address));
    if (!meant.path.empty()) // who hosts the machine may be somewhere else
        address = absolute(meant.path);
    auto configured = TRY(findConfigured(machine, around));
    if (!configured.owner) {
        return vmm::fail(vmm::ErrorCode::NotNow,
            fmt::format("{} is not running, and a USB device of another computer can be attached while it is",
                configured.config.name));
    }
    return configured.owner->client.call("machine.redirectUsb",
        { { "machine", configured.owner->uuid }, { how == RedirectUsb::From ? "from" : "listen", address } });
}

}

int redirectUsb(
    std::string const& machine, RedirectUsb how, std::string const& address, Surroundings& around, Output const& output)
{
    auto const redirected = redirect(machine, how, address, around);
    if (!redirected)
        return output.failed(redirected.error());
    if (!output.json)
        output.text(redirectedText(*redirected));
    return output.answer({}, *redirected);
}

std::string redirectedText(Json const& redirected)
{
    auto const id = redirected.value("id", ""), where = redirected.value("address", "");
    if (redirected.value("listening", false))
        return fmt::format("{:<16} {:<8} USB devices are waited for at {}", id, "open", where);
    return fmt::format("{:<16} {:<8} {} from {}", id, "in", redirected["device"].value("id", ""), where);
}

}
