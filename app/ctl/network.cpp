// A machine's cables and port forwards, whether it runs or not.

#include "app/ctl/verbs.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace app::ctl {

namespace {

/// A machine's network cards.
struct Wiring : Configured {
    vmm::Result<vmm::NetworkConfig*> network(std::string const& id)
    {
        for (auto& one : config.networks) {
            if (id.empty() || one.id == id)
                return &one;
        }
        return vmm::fail(vmm::ErrorCode::NotFound,
            id.empty() ? fmt::format("{} has no network", config.name)
                       : fmt::format("{} has no network {}", config.name, id));
    }

    vmm::Result<> connect(vmm::NetworkConfig const& network, bool connected, Surroundings& around)
    {
        if (owner)
            return ask(*owner, "machine.setCable", network, { { "connected", connected } });
        return changeHere(config.uuid, around,
            [&](MachineRunner& runner, auto const& done) { runner.setConnected(network.id, connected, done); });
    }

    vmm::Result<> forward(
        vmm::NetworkConfig const& network, std::vector<vmm::PortForward> const& forwards, Surroundings& around)
    {
        if (owner)
            return ask(*owner, "machine.setForwards", network, { { "forwards", control::forwardsToJson(forwards) } });
        return changeHere(config.uuid, around,
            [&](MachineRunner& runner, auto const& done) { runner.setForwards(network.id, forwards, done); });
    }

private:
    static vmm::Result<> ask(Owner& owner, char const* method, vmm::NetworkConfig const& network, Json params)
    {
        params["machine"] = owner.uuid;
        params["network"] = network.id;
        TRY(owner.client.call(method, std::move(params)));
        return {};
    }
};

std::string textOf(vmm::PortForward const& forward)
{
    return fmt::format("{}:{}:{}:{}", forward.protocol == vmm::Protocol::Udp ? "udp" : "tcp", forward.hostAddress,
        forward.hostPort, forward.guestPort);
}

}

int cable(
    std::string const& machine, std::string const& network, bool connected, Surroundings& around, Output const& output)
{
    auto const outcome = [&]() -> vmm::Result<> {
        Wiring wiring { TRY(findChangeable(machine, around)) };
        return wiring.connect(*TRY(wiring.network(network)), connected, around);
    }();
    return output.answer(outcome);
}

int forward(std::string const& machine, std::string const& network, std::string const& text, bool remove,
    Surroundings& around, Output const& output)
{
    auto const outcome = [&]() -> vmm::Result<Json> {
        Wiring wiring { TRY(text.empty() ? findConfigured(machine, around) : findChangeable(machine, around)) };
        auto const* changed = TRY(wiring.network(network));
        auto forwards = changed->forwards;
        if (text.empty()) {
            for (auto const& one : forwards) {
                if (!output.json)
                    output.text(textOf(one));
            }
            return control::forwardsToJson(forwards);
        }
        auto const wanted = TRY(parseForward(text));
        auto const known = std::find(forwards.begin(), forwards.end(), wanted);
        if (remove && known == forwards.end())
            return vmm::fail(vmm::ErrorCode::NotFound, fmt::format("{} is not forwarded", textOf(wanted)));
        if (!remove && known != forwards.end())
            return control::forwardsToJson(forwards);
        if (changed->mode != vmm::NetworkMode::User)
            return vmm::fail(vmm::ErrorCode::Unsupported, fmt::format("{} leads nowhere", changed->id));
        remove ? void(forwards.erase(known)) : forwards.push_back(wanted);
        TRY(wiring.forward(*changed, forwards, around));
        return control::forwardsToJson(forwards);
    }();
    return outcome ? output.answer({}, *outcome) : output.failed(outcome.error());
}

}
