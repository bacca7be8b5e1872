#pragma once

#include "vmm/state/section.h"

#include <functional>
#include <nlohmann/json.hpp>

namespace tests {

/// Calls `visit` with the path of each value in `json`, objects and arrays too.
inline void eachValue(vmm::Json const& json, vmm::Json::json_pointer const& at,
    std::function<void(vmm::Json::json_pointer const&)> const& visit)
{
    visit(at);
    if (json.is_object()) {
        for (auto const& [key, value] : json.items())
            eachValue(value, at / key, visit);
    } else if (json.is_array()) {
        for (std::size_t i = 0; i < json.size(); ++i)
            eachValue(json[i], at / i, visit);
    }
}

}
