#include "vmm/machine/file_schemas.h"

#include "vmm/machine/kept_cpu.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/state/schema.h"
#include "vmm/timeline/moment.h"

#include <nlohmann/json.hpp>

namespace vmm {

namespace {

constexpr char const* draft = "https://json-schema.org/draft/2020-12/schema";

/// A section of any version until the present one.
template<typename State>
Json anyVersion()
{
    auto versions = Json::array();
    for (unsigned version = 1; version <= State::version; ++version)
        versions.push_back(state::sectionSchema<State>(version));
    return { { "anyOf", std::move(versions) } };
}

/// Parts are sections with an id.
Json partSchema()
{
    auto kinds = partSchemas();
    for (auto& kind : kinds) {
        kind["properties"]["id"] = { { "type", "string" } };
        kind["required"].push_back("id");
    }
    return { { "anyOf", std::move(kinds) } };
}

Json stateSchema()
{
    return { { "type", "object" },
        { "properties",
            { { "format", { { "const", savedFormatName } } }, { "formatVersion", { { "const", savedFormatVersion } } },
                { "header", anyVersion<SavedHeader>() }, { "config", anyVersion<VmConfig>() },
                { "parts", { { "type", "array" }, { "maxItems", maximumSavedParts }, { "items", partSchema() } } } } },
        { "required", { "format", "formatVersion", "header", "config", "parts" } }, { "additionalProperties", false } };
}

}

Json fileSchema(std::string_view kind)
{
    Json schema { { "$schema", draft }, { "title", kind } };
    schema.update(kind == "machine" ? anyVersion<VmConfig>()
            : kind == "cpu"         ? anyVersion<KeptCpu>()
            : kind == "moment"      ? anyVersion<timeline::Moment>()
            : kind == "timeline"    ? anyVersion<timeline::TimelineRecord>()
                                    : stateSchema());
    return schema;
}

}
