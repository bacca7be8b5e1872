#include "vmm/state/reader.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace vmm::state {

struct Reader::Cursor {
    struct Step {
        Json const* value;
        std::string name;
        std::vector<std::string> seen {}; // the members that a field asked for, where value is an object
    };

    Section section;
    std::vector<Step> path;
    std::optional<Error> error;

    Json const& value() const { return *path.back().value; }

    std::string where() const
    {
        std::string text;
        for (std::size_t i = 1; i < path.size(); ++i) {
            if (!text.empty() && !path[i].name.starts_with('['))
                text += '.';
            text += path[i].name;
        }
        return text.empty() ? section.kind() : section.kind() + " field " + text;
    }

    /// The text of {"tag": "…"}, the form of what JSON has no type for.
    std::string const* tagged(char const* tag) const
    {
        auto const& json = value();
        if (!json.is_object() || json.size() != 1)
            return nullptr;
        auto const member = json.find(tag);
        return member == json.end() ? nullptr : member->get_ptr<std::string const*>();
    }
};

Reader::Reader(Section const& section) : m_cursor(std::make_unique<Cursor>())
{
    m_cursor->section = section;
    m_cursor->path.push_back({ &m_cursor->section.fields(), {} });
}

Reader::~Reader() = default;

bool Reader::failed() const
{
    return m_cursor->error.has_value();
}

void Reader::refuse(std::string what)
{
    if (!m_cursor->error)
        m_cursor->error = Error { ErrorCode::Corrupt, m_cursor->where() + ": " + std::move(what), 0 };
}

void Reader::require(bool holds, std::string_view what)
{
    if (!holds)
        refuse(std::string(what));
}

Result<> Reader::finish()
{
    if (!failed())
        endObject();
    if (m_cursor->error)
        return fail(*m_cursor->error);
    return {};
}

bool Reader::enter(std::string_view name, Limits const& limits)
{
    if (failed() || m_cursor->section.version() < limits.since)
        return false;
    auto& step = m_cursor->path.back();
    auto const member = step.value->find(std::string(name));
    if (member == step.value->end()) {
        if (!limits.optional)
            refuse(fmt::format("the field \"{}\" is missing", name));
        return false;
    }
    step.seen.emplace_back(name);
    m_cursor->path.push_back({ &*member, std::string(name) });
    return true;
}

void Reader::gone(std::string_view name, Until last)
{
    if (m_cursor->section.version() <= last.version && enter(name, {}))
        leave();
}

void Reader::enterElement(std::size_t index)
{
    m_cursor->path.push_back({ &m_cursor->value()[index], fmt::format("[{}]", index) });
}

void Reader::leave()
{
    // After an error the path stays where it happened, for nothing is read any more.
    if (!failed())
        m_cursor->path.pop_back();
}

bool Reader::isNull() const
{
    return m_cursor->value().is_null();
}

bool Reader::beginObject()
{
    if (!m_cursor->value().is_object())
        refuse("an object was expected");
    return !failed();
}

void Reader::endObject()
{
    if (failed())
        return;
    auto const& step = m_cursor->path.back();
    for (auto const& [key, value] : step.value->items()) {
        if (std::find(step.seen.begin(), step.seen.end(), key) == step.seen.end())
            return refuse(fmt::format("the field \"{}\" is unknown to this version", key));
    }
}

std::optional<std::size_t> Reader::beginList(std::uint64_t low, std::uint64_t high)
{
    auto const& json = m_cursor->value();
    if (!json.is_array())
        refuse("a list was expected");
    else if (json.size() < low || json.size() > high)
        refuse(fmt::format("a list of {} elements, where {} to {} are possible", json.size(), low, high));
    if (failed())
        return std::nullopt;
    return json.size();
}

void Reader::getBool(bool& value)
{
    if (auto const* json = m_cursor->value().get_ptr<Json::boolean_t const*>())
        value = *json;
    else
        refuse("true or false was expected");
}

std::size_t Reader::getName(std::span<std::string_view const> names)
{
    auto const* text = m_cursor->value().get_ptr<std::string const*>();
    auto const found = text ? std::find(names.begin(), names.end(), *text) : names.end();
    if (found != names.end())
        return static_cast<std::size_t>(found - names.begin());
    refuse(text ? fmt::format("\"{}\" is unknown to this version", *text) : "a name was expected");
    return 0;
}

namespace {

template<typename T>
std::optional<T> parseNumber(std::string const& text)
{
    T value = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc {} || end != text.data() + text.size())
        return std::nullopt;
    return value;
}

}

std::uint64_t Reader::getUnsigned(bool wide, std::uint64_t typeMax, Limits const& limits)
{
    std::optional<std::uint64_t> number;
    if (wide) {
        if (auto const* text = m_cursor->tagged("u64"))
            number = parseNumber<std::uint64_t>(*text);
    } else if (m_cursor->value().is_number_unsigned()) {
        number = m_cursor->value().get<std::uint64_t>();
    }
    auto const high = std::min(typeMax, limits.high);
    if (!number)
        refuse(wide ? "{\"u64\": \"number\"} was expected" : "a non-negative number was expected");
    else if (*number < limits.low || *number > high)
        refuse(fmt::format("{} is outside {} to {}", *number, limits.low, high));
    return failed() ? 0 : *number;
}

std::int64_t Reader::getSigned(bool wide, std::int64_t low, std::int64_t high)
{
    std::optional<std::int64_t> number;
    auto const& json = m_cursor->value();
    if (wide) {
        if (auto const* text = m_cursor->tagged("i64"))
            number = parseNumber<std::int64_t>(*text);
    } else if (json.is_number_unsigned() ? json.get<std::uint64_t>() <= INT64_MAX : json.is_number_integer()) {
        number = json.get<std::int64_t>();
    }
    if (!number)
        refuse(wide ? "{\"i64\": \"number\"} was expected" : "a number was expected");
    else if (*number < low || *number > high)
        refuse(fmt::format("{} is outside {} to {}", *number, low, high));
    return failed() ? 0 : *number;
}

void Reader::getText(std::string& value, std::uint64_t max)
{
    auto const* text = m_cursor->value().get_ptr<std::string const*>();
    if (!text)
        refuse("a string was expected");
    else if (text->size() > max)
        refuse(fmt::format("a string of {} bytes, where {} are possible", text->size(), max));
    else
        value = *text;
}

void Reader::getBytes(Bytes& value, std::uint64_t max)
{
    auto const* text = m_cursor->tagged("base64");
    if (!text)
        return refuse("{\"base64\": \"…\"} was expected");
    if (text->size() / 4 * 3 > max + 2)
        return refuse(fmt::format("a buffer of more than the {} bytes that are possible", max));
    auto decoded = base64Decode(*text);
    if (!decoded)
        refuse(decoded.error().detail);
    else if (decoded->size() > max)
        refuse(fmt::format("a buffer of {} bytes, where {} are possible", decoded->size(), max));
    else
        value = std::move(*decoded);
}

void Reader::getExactBytes(ByteSpan value)
{
    Bytes bytes;
    getBytes(bytes, value.size());
    if (!failed() && bytes.size() != value.size())
        refuse(fmt::format("a buffer of {} bytes, where {} were expected", bytes.size(), value.size()));
    if (!failed())
        std::copy(bytes.begin(), bytes.end(), value.begin());
}

Result<> checkKind(Section const& section, std::string_view kind, unsigned version)
{
    if (section.kind() != kind)
        return fail(ErrorCode::Corrupt, fmt::format("a {} was expected, not a {}", kind, section.kind()));
    if (section.version() > version) {
        return fail(ErrorCode::VersionTooNew,
            fmt::format("{} has version {}, this program reads up to {}", kind, section.version(), version));
    }
    if (section.version() == 0)
        return fail(ErrorCode::Corrupt, fmt::format("{} has version 0, which never was", kind));
    return {};
}

}
