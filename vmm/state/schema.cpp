#include "vmm/state/schema.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace vmm::state {

struct Schema::Tree {
    std::string text;
    std::string indent;
    Json root = { { "type", "object" }, { "properties", Json::object() }, { "required", Json::array() },
        { "additionalProperties", false } };
    std::vector<Json*> objects { &root };
    std::vector<Json*> slots; // where the type of the present field or element goes
    bool nullable = false;

    void put(Json schema)
    {
        if (std::exchange(nullable, false))
            schema = Json { { "anyOf", { { { "type", "null" } }, std::move(schema) } } };
        *slots.back() = std::move(schema);
    }
};

Schema::Schema(unsigned version) : m_version(version), m_tree(std::make_unique<Tree>()) { }

Schema::~Schema() = default;

std::string Schema::text() const
{
    return m_tree->text;
}

Json Schema::jsonSchema() const
{
    return m_tree->root;
}

Json sectionSchema(std::string_view kind, unsigned version, Schema const& fields)
{
    return { { "type", "object" },
        { "properties",
            { { "kind", { { "const", kind } } }, { "version", { { "const", version } } },
                { "state", fields.jsonSchema() } } },
        { "required", { "kind", "version", "state" } }, { "additionalProperties", false } };
}

void Schema::gone(std::string_view name, Until last)
{
    if (m_version > last.version)
        return;
    auto& object = *m_tree->objects.back();
    object["required"].push_back(name);
    object["properties"][std::string(name)] = true; // what it was is of no interest
}

void Schema::begin(std::string_view name, Notes const& notes)
{
    auto& tree = *m_tree;
    tree.text += tree.indent + std::string(name);
    if (notes.since > 1)
        tree.text += fmt::format(" since={}", notes.since);
    if (notes.optional)
        tree.text += " optional";
    else
        (*tree.objects.back())["required"].push_back(name);
    tree.slots.push_back(&(*tree.objects.back())["properties"][std::string(name)]);
}

void Schema::end()
{
    m_tree->text += '\n';
    m_tree->slots.pop_back();
}

void Schema::leaf(std::string_view type, unsigned bits, Notes const& notes)
{
    auto& tree = *m_tree;
    tree.text += fmt::format(" {}", type);
    if (bits != 0)
        tree.text += std::to_string(bits);
    if (notes.low && !notes.ofList)
        tree.text += fmt::format(" min={}", *notes.low);
    if (notes.high && !notes.ofList)
        tree.text += fmt::format(" max={}", *notes.high);
    if (notes.max && !notes.ofList)
        tree.text += fmt::format(" max={}", *notes.max);

    if (type == "bool")
        return tree.put({ { "type", "boolean" } });
    if (type == "string")
        return tree.put({ { "type", "string" }, { "maxLength", notes.max.value_or(0) } });
    auto const tagged = [&](std::string const& tag, Json inner) {
        tree.put({ { "type", "object" }, { "properties", { { tag, std::move(inner) } } },
            { "required", Json::array({ tag }) }, { "additionalProperties", false } });
    };
    if (type == "bytes")
        return tagged("base64", { { "type", "string" }, { "maxLength", (notes.max.value_or(0) + 2) / 3 * 4 } });
    bool const isSigned = type == "i";
    if (bits == 64)
        return tagged(isSigned ? "i64" : "u64", { { "type", "string" }, { "pattern", "^-?[0-9]{1,20}$" } });
    auto const low = isSigned ? -(std::int64_t(1) << (bits - 1)) : std::int64_t(notes.low.value_or(0));
    auto const high = (std::int64_t(1) << (bits - (isSigned ? 1 : 0))) - 1;
    tree.put({ { "type", "integer" }, { "minimum", low },
        { "maximum", notes.high ? std::min<std::int64_t>(high, std::int64_t(*notes.high)) : high } });
}

void Schema::names(std::vector<std::string_view> const& names)
{
    m_tree->text += fmt::format(" one of {}", fmt::join(names, "|"));
    m_tree->put({ { "enum", names } });
}

void Schema::nullable()
{
    m_tree->text += " nullable";
    m_tree->nullable = true;
}

void Schema::beginList(std::size_t fixed, Notes const& notes)
{
    auto& tree = *m_tree;
    tree.text += fixed != 0 ? fmt::format(" list of {}", fixed) : fmt::format(" list max={}", notes.max.value_or(0));
    tree.put({ { "type", "array" }, { "minItems", fixed }, { "maxItems", fixed != 0 ? fixed : notes.max.value_or(0) },
        { "items", Json::object() } });
    auto* list = tree.slots.back();
    if (list->contains("anyOf"))
        list = &(*list)["anyOf"][1];
    tree.slots.push_back(&(*list)["items"]);
}

void Schema::endList()
{
    m_tree->slots.pop_back();
}

void Schema::beginObject()
{
    auto& tree = *m_tree;
    tree.text += " {\n";
    tree.indent += "  ";
    tree.put({ { "type", "object" }, { "properties", Json::object() }, { "required", Json::array() },
        { "additionalProperties", false } });
    auto* object = tree.slots.back();
    if (object->contains("anyOf"))
        object = &(*object)["anyOf"][1];
    tree.objects.push_back(object);
}

void Schema::endObject()
{
    auto& tree = *m_tree;
    tree.objects.pop_back();
    tree.indent.resize(tree.indent.size() - 2);
    tree.text += tree.indent + "}";
}

}
