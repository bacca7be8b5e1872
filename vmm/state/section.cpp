#include "vmm/state/section.h"

#include "vmm/state/leaf_text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <nlohmann/json.hpp>

namespace vmm {

Section::Section(std::string kind, unsigned version, Json fields)
    : m_kind(std::move(kind)), m_version(version), m_fields(std::make_shared<Json const>(std::move(fields)))
{
}

Json const& Section::fields() const
{
    static Json const empty = Json::object();
    return m_fields ? *m_fields : empty;
}

Json Section::toJson() const
{
    return { { "kind", m_kind }, { "version", m_version }, { "state", fields() } };
}

Result<Section> Section::fromJson(Json const& json)
{
    if (!json.is_object())
        return fail(ErrorCode::Corrupt, "a section is not an object");
    for (auto const& [key, value] : json.items()) {
        if (key != "kind" && key != "version" && key != "state")
            return fail(ErrorCode::Corrupt, "a section has the unknown member \"" + key + "\"");
    }
    auto const kind = json.find("kind");
    auto const version = json.find("version");
    auto const fields = json.find("state");
    if (kind == json.end() || !kind->is_string())
        return fail(ErrorCode::Corrupt, "a section has no kind");
    auto const& name = kind->get_ref<std::string const&>();
    if (version == json.end() || !version->is_number_unsigned() || version->get<std::uint64_t>() > 1'000'000)
        return fail(ErrorCode::Corrupt, name + ": the section has no version");
    if (fields == json.end() || !fields->is_object())
        return fail(ErrorCode::Corrupt, name + ": the section has no state");
    return Section(name, version->get<unsigned>(), *fields);
}

bool Section::operator==(Section const& other) const
{
    return m_kind == other.m_kind && m_version == other.m_version && fields() == other.fields();
}

namespace state {

namespace {

constexpr std::size_t maximumDepth = 64;
/// Each member is compared with those before it in its object as it is read: so often in all, about a second.
constexpr std::size_t maximumComparisons = std::size_t(1) << 28;

/// Looks at the brackets and colons outside strings: what would be dear is refused before a tree is built from it.
Result<> checkShape(std::string_view text)
{
    std::array<std::size_t, maximumDepth + 1> members {}; // so far, of what is open at each depth
    std::size_t depth = 0, comparisons = 0;
    bool inString = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (inString && text[i] != '"') {
            i += text[i] == '\\' ? 1 : 0;
            continue;
        }
        switch (text[i]) {
        case '"': inString = !inString; break;
        case '{':
        case '[':
            if (++depth > maximumDepth)
                return fail(ErrorCode::Corrupt, fmt::format("JSON nested deeper than {}", maximumDepth));
            members[depth] = 0;
            break;
        case '}':
        case ']': depth -= depth > 0 ? 1 : 0; break;
        case ':':
            comparisons += members[depth]++;
            if (comparisons > maximumComparisons)
                return fail(ErrorCode::Corrupt, "JSON with too many members in its objects");
            break;
        default: break;
        }
    }
    return {};
}

/// The member of an object that only says the type of a value: {"u64": "5"}.
std::string const* tagged(Json const& value, std::string_view tag)
{
    if (!value.is_object() || value.size() != 1 || value.begin().key() != tag || !value.begin()->is_string())
        return nullptr;
    return &value.begin()->get_ref<std::string const&>();
}

std::string const* taggedNumber(Json const& value)
{
    auto const* number = tagged(value, "u64");
    return number != nullptr ? number : tagged(value, "i64");
}

std::string hexText(ConstByteSpan bytes)
{
    constexpr std::size_t most = 16;
    auto text = fmt::format("{:02x}", fmt::join(bytes.first(std::min(bytes.size(), most)), ""));
    return bytes.size() > most ? text + fmt::format("... ({} bytes)", bytes.size()) : text;
}

/// Buffers of one length are compared byte by byte; runs with a gap of a few bytes are told as one.
void collectBytes(std::string const& path, ConstByteSpan before, ConstByteSpan after, std::vector<Difference>& out)
{
    constexpr std::size_t gap = 8, mostRuns = 64;
    std::size_t runs = 0;
    for (std::size_t at = 0; at < before.size(); ++at) {
        if (before[at] == after[at])
            continue;
        auto end = at + 1;
        for (auto next = end; next < before.size() && (next < end + gap || runs == mostRuns - 1); ++next)
            end = before[next] != after[next] ? next + 1 : end;
        ++runs;
        out.push_back(
            { fmt::format("{}[{}]", path, end == at + 1 ? std::to_string(at) : fmt::format("{}..{}", at, end - 1)),
                hexText(before.subspan(at, end - at)), hexText(after.subspan(at, end - at)) });
        at = end;
    }
}

/// Whether both are buffers of one length; then they are compared.
bool collectBuffers(std::string const& path, Json const& before, Json const& after, std::vector<Difference>& out)
{
    auto const *old = tagged(before, "base64"), *fresh = tagged(after, "base64");
    if (old == nullptr || fresh == nullptr)
        return false;
    auto const oldBytes = base64Decode(*old), freshBytes = base64Decode(*fresh);
    if (!oldBytes || !freshBytes || oldBytes->size() != freshBytes->size())
        return false;
    collectBytes(path, *oldBytes, *freshBytes, out);
    return true;
}

/// The "id" of each element, where all have one and no two the same.
std::map<std::string, Json const*> elementsById(Json const& list)
{
    std::map<std::string, Json const*> elements;
    for (auto const& element : list) {
        auto const id = element.is_object() ? element.find("id") : element.end();
        if (!element.is_object() || id == element.end() || !id->is_string() || !elements.emplace(*id, &element).second)
            return {};
    }
    return elements;
}

void collect(std::string const& path, Json const* before, Json const* after, std::vector<Difference>& out);

/// What has an id is compared with its like, so that one device more or less does not make others of all behind it.
bool collectById(std::string const& path, Json const& before, Json const& after, std::vector<Difference>& out)
{
    auto const old = elementsById(before), fresh = elementsById(after);
    if (old.size() != before.size() || fresh.size() != after.size())
        return false;
    for (auto const& [id, value] : old) {
        auto const other = fresh.find(id);
        collect(path + "[" + id + "]", value, other == fresh.end() ? nullptr : other->second, out);
    }
    for (auto const& [id, value] : fresh) {
        if (!old.contains(id))
            collect(path + "[" + id + "]", nullptr, value, out);
    }
    return true;
}

void collect(std::string const& path, Json const* before, Json const* after, std::vector<Difference>& out)
{
    if (before && after && *before == *after)
        return;
    if (before && after && collectBuffers(path, *before, *after, out))
        return;
    bool const isLeaf = (before && leafText(*before)) || (after && leafText(*after));
    if (!isLeaf && before && after && before->is_object() && after->is_object()) {
        auto const child = [&](std::string const& key) { return path.empty() ? key : path + "." + key; };
        for (auto const& [key, value] : before->items()) {
            auto const other = after->find(key);
            collect(child(key), &value, other == after->end() ? nullptr : &*other, out);
        }
        for (auto const& [key, value] : after->items()) {
            if (!before->contains(key))
                collect(child(key), nullptr, &value, out);
        }
        return;
    }
    if (before && after && before->is_array() && after->is_array()) {
        if (collectById(path, *before, *after, out))
            return;
        for (std::size_t i = 0; i < std::max(before->size(), after->size()); ++i) {
            collect(path + "[" + std::to_string(i) + "]", i < before->size() ? &(*before)[i] : nullptr,
                i < after->size() ? &(*after)[i] : nullptr, out);
        }
        return;
    }
    auto const text
        = [](Json const* value) { return value ? leafText(*value).value_or(toText(*value, -1)) : std::string(); };
    out.push_back({ path, text(before), text(after) });
}

constexpr std::string_view base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr auto base64Values = [] {
    std::array<std::int8_t, 256> values {};
    values.fill(-1);
    for (std::size_t i = 0; i < base64Alphabet.size(); ++i)
        values[static_cast<unsigned char>(base64Alphabet[i])] = static_cast<std::int8_t>(i);
    return values;
}();

}

Result<Json> parseJson(std::string_view text, std::size_t limit)
{
    if (text.size() > limit)
        return fail(ErrorCode::Corrupt, fmt::format("{} bytes of JSON, more than the {} allowed", text.size(), limit));
    TRY(checkShape(text));
    try {
        return Json::parse(text);
    } catch (Json::exception const& error) {
        return fail(ErrorCode::Corrupt, std::string("not JSON: ") + error.what());
    }
}

std::string toText(Json const& json, int indent)
{
    // A string that is not UTF-8 can only come from outside (a file's name): it is shown, not refused.
    return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::optional<std::string> leafText(Json const& value)
{
    if (auto const* number = taggedNumber(value))
        return *number;
    if (auto const* buffer = tagged(value, "base64")) {
        auto const bytes = base64Decode(*buffer);
        return bytes ? hexText(*bytes) : "not base64";
    }
    if (value.is_structured())
        return std::nullopt;
    return toText(value, -1);
}

std::vector<Difference> diff(Section const& before, Section const& after)
{
    std::vector<Difference> differences;
    collect("", &before.fields(), &after.fields(), differences);
    return differences;
}

std::string base64Encode(ConstByteSpan data)
{
    std::string text;
    text.reserve((data.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < data.size(); i += 3) {
        auto const left = data.size() - i;
        auto const byte = [&](std::size_t n) { return n < left ? std::uint32_t(data[i + n]) : 0u; };
        auto const group = byte(0) << 16 | byte(1) << 8 | byte(2);
        text += base64Alphabet[group >> 18];
        text += base64Alphabet[group >> 12 & 63];
        text += left > 1 ? base64Alphabet[group >> 6 & 63] : '=';
        text += left > 2 ? base64Alphabet[group & 63] : '=';
    }
    return text;
}

Result<Bytes> base64Decode(std::string_view text)
{
    if (text.size() % 4 != 0)
        return fail(ErrorCode::Corrupt, "base64 whose length is not a multiple of four");
    Bytes data;
    data.reserve(text.size() / 4 * 3);
    for (std::size_t i = 0; i < text.size(); i += 4) {
        bool const last = i + 4 == text.size();
        unsigned const padding = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 1) : 0;
        std::uint32_t group = 0;
        for (unsigned n = 0; n < 4 - padding; ++n) {
            auto const value = base64Values[static_cast<unsigned char>(text[i + n])];
            if (value < 0)
                return fail(ErrorCode::Corrupt, "a character that base64 does not have");
            group |= static_cast<std::uint32_t>(value) << (18 - 6 * n);
        }
        data.push_back(static_cast<std::uint8_t>(group >> 16));
        if (padding < 2)
            data.push_back(static_cast<std::uint8_t>(group >> 8));
        if (padding < 1)
            data.push_back(static_cast<std::uint8_t>(group));
    }
    return data;
}

}
}
