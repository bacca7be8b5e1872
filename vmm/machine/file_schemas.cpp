#include "vmm/machine/file_schemas.h"

#include "vmm/machine/kept_cpu.h"
#include "vmm/machine/saved_machine.h"
#include "vmm/state/file_schema.h"
#include "vmm/timeline/moment.h"
#include "vmm/timeline/working_set.h"

namespace vmm {

namespace {

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
                { "header", state::anyVersion<SavedHeader>() }, { "config", state::anyVersion<VmConfig>() },
                { "parts", { { "type", "array" }, { "maxItems", maximumSavedParts }, { "items", partSchema() } } } } },
        { "required", { "format", "formatVersion", "header", "config", "parts" } }, { "additionalProperties", false } };
}

}

Json fileSchema(std::string_view kind)
{
    return state::schemaDocument(kind,
        kind == "machine"           ? state::anyVersion<VmConfig>()
            : kind == "cpu"         ? state::anyVersion<KeptCpu>()
            : kind == "moment"      ? state::anyVersion<timeline::Moment>()
            : kind == "timeline"    ? state::anyVersion<timeline::TimelineRecord>()
            : kind == "working-set" ? state::anyVersion<timeline::WorkingSet>()
                                    : stateSchema());
}

}
