#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace vmm {

using Json = nlohmann::ordered_json;

/// The saved state of one thing: what kind it is, the version of that kind's description, and its fields by name.
/// A value; copies share the tree, which never changes.
class Section {
public:
    Section() = default;
    Section(std::string kind, unsigned version, Json fields);

    std::string const& kind() const { return m_kind; }
    unsigned version() const { return m_version; }
    Json const& fields() const;

    /// {"kind": …, "version": …, "state": {…}}
    Json toJson() const;
    static Result<Section> fromJson(Json const& json);

    bool operator==(Section const& other) const;

private:
    std::string m_kind;
    unsigned m_version = 0;
    std::shared_ptr<Json const> m_fields;
};

namespace state {

/// Parses one JSON document. Refuses more than `limit` bytes, nesting deeper than 64, and objects of more members than
/// can be read in a second or so: 20 000 in one.
Result<Json> parseJson(std::string_view text, std::size_t limit = 64u << 20);
std::string toText(Json const& json, int indent = 2);

/// One field that two sections do not have alike: its path ("queues[1].lastUsed") and both values as JSON text.
struct Difference {
    std::string path, before, after;
    bool operator==(Difference const&) const = default;
};
std::vector<Difference> diff(Section const& before, Section const& after);

std::string base64Encode(ConstByteSpan data);
Result<Bytes> base64Decode(std::string_view text);

}
}
