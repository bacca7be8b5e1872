#include "vmm/state/section.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
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

/// Depth of the brackets outside strings; enough to refuse a document before a tree is built from it.
bool deeperThanAllowed(std::string_view text)
{
    std::size_t depth = 0;
    bool inString = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        switch (text[i]) {
        case '"': inString = !inString; break;
        case '\\': i += inString ? 1 : 0; break;
        case '{':
        case '[':
            if (!inString && ++depth > maximumDepth)
                return true;
            break;
        case '}':
        case ']': depth -= !inString && depth > 0 ? 1 : 0; break;
        default: break;
        }
    }
    return false;
}

void collect(std::string const& path, Json const* before, Json const* after, std::vector<Difference>& out)
{
    if (before && after && *before == *after)
        return;
    if (before && after && before->is_object() && after->is_object()) {
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
        for (std::size_t i = 0; i < std::max(before->size(), after->size()); ++i) {
            collect(path + "[" + std::to_string(i) + "]", i < before->size() ? &(*before)[i] : nullptr,
                i < after->size() ? &(*after)[i] : nullptr, out);
        }
        return;
    }
    out.push_back({ path, before ? toText(*before, -1) : "", after ? toText(*after, -1) : "" });
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
    if (deeperThanAllowed(text))
        return fail(ErrorCode::Corrupt, fmt::format("JSON nested deeper than {}", maximumDepth));
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
