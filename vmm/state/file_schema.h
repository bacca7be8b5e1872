#pragma once

#include "vmm/state/schema.h"

#include <nlohmann/json.hpp>

namespace vmm::state {

/// JSON Schema of a section of any version until the present one.
template<typename State>
Json anyVersion()
{
    auto versions = Json::array();
    for (unsigned version = 1; version <= State::version; ++version)
        versions.push_back(sectionSchema<State>(version));
    return { { "anyOf", std::move(versions) } };
}

/// The same as a document of its own.
inline Json schemaDocument(std::string_view title, Json const& schema)
{
    Json document { { "$schema", "https://json-schema.org/draft/2020-12/schema" }, { "title", title } };
    document.update(schema);
    return document;
}

}
