#include "app/control/gamepad_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace app::control {

namespace {

constexpr std::array<char const*, 17> names { "south", "east", "west", "north", "left-shoulder", "right-shoulder",
    "select", "start", "home", "left-stick", "right-stick", "capture", "assistant", "up", "right", "down", "left" };
static_assert(names.size() == static_cast<std::size_t>(vmm::GamepadButton::Left) + 1);

/// Two numbers from `lowest` to 1.
vmm::Result<std::array<double, 2>> pairIn(vmm::Json const& json, char const* name, double lowest)
{
    auto const found = json.find(name);
    if (found == json.end())
        return std::array<double, 2> {};
    std::array<double, 2> pair {};
    bool good = found->is_array() && found->size() == pair.size();
    for (std::size_t i = 0; good && i < pair.size(); ++i) {
        good = (*found)[i].is_number();
        pair[i] = good ? (*found)[i].get<double>() : 0;
        good = good && pair[i] >= lowest && pair[i] <= 1;
    }
    if (!good)
        return vmm::fail(
            vmm::ErrorCode::InvalidArgument, fmt::format("\"{}\" is two numbers from {} to 1", name, lowest));
    return pair;
}

std::int16_t axisOf(double part)
{
    return static_cast<std::int16_t>(std::lround(part * 32767));
}

std::uint8_t triggerOf(double part)
{
    return static_cast<std::uint8_t>(std::lround(part * 255));
}

}

std::vector<std::string> gamepadButtonNames()
{
    return { names.begin(), names.end() };
}

vmm::Result<vmm::GamepadInput> gamepadFromJson(vmm::Json const& json)
{
    vmm::GamepadInput input;
    auto const device = json.find("device");
    if (device == json.end() || !device->is_string())
        return vmm::fail(vmm::ErrorCode::InvalidArgument, "\"device\" is the id of a gamepad");
    input.device = device->get<std::string>();
    if (auto const buttons = json.find("buttons"); buttons != json.end()) {
        bool good = buttons->is_array();
        for (std::size_t i = 0; good && i < buttons->size(); ++i) {
            auto const& button = (*buttons)[i];
            auto const found
                = button.is_string() ? std::find(names.begin(), names.end(), button.get<std::string>()) : names.end();
            good = found != names.end();
            if (good)
                input.state.press(static_cast<vmm::GamepadButton>(found - names.begin()));
        }
        if (!good)
            return vmm::fail(vmm::ErrorCode::InvalidArgument,
                fmt::format("\"buttons\" is a list of these: {}", fmt::join(names, ", ")));
    }
    auto const left = TRY(pairIn(json, "left", -1)), right = TRY(pairIn(json, "right", -1)),
               triggers = TRY(pairIn(json, "triggers", 0));
    input.state.leftX = axisOf(left[0]);
    input.state.leftY = axisOf(left[1]);
    input.state.rightX = axisOf(right[0]);
    input.state.rightY = axisOf(right[1]);
    input.state.leftTrigger = triggerOf(triggers[0]);
    input.state.rightTrigger = triggerOf(triggers[1]);
    return input;
}

}
