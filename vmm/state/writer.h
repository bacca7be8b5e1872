#pragma once

#include "vmm/state/options.h"
#include "vmm/state/section.h"

#include <array>
#include <optional>

namespace vmm::state {

/// Turns a described struct into a Section. How each type stands in JSON:
///   bool, integers of up to 32 bits, strings    as JSON's own
///   64-bit integers                             {"u64": "18446744073709551615"}, {"i64": "-1"}
///   buffers                                     {"base64": "…"}
///   enums                                       their name
///   lists, fixed arrays                         arrays
///   optional values                             null or the value
///   described structs                           objects
class Writer {
public:
    Writer();
    ~Writer();
    Writer(Writer const&) = delete;
    Writer& operator=(Writer const&) = delete;

    template<typename T, typename... Options>
    void field(std::string_view name, T const& value, Options...)
    {
        enter(name);
        put(value);
        leave();
    }

    void gone(std::string_view, Until) { }

    friend Section makeSection(std::string_view kind, unsigned version, Writer& writer);

private:
    template<typename T>
    void put(T const& value)
    {
        if constexpr (std::is_same_v<T, bool>)
            putBool(value);
        else if constexpr (NamedEnum<T>)
            putText(stateNames(value)[static_cast<std::size_t>(value)]);
        else if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8)
            putUnsigned64(value);
        else if constexpr (std::is_signed_v<T> && sizeof(T) == 8)
            putSigned64(value);
        else if constexpr (std::is_integral_v<T>)
            putNumber(static_cast<std::int64_t>(value));
        else if constexpr (std::is_same_v<T, std::string>)
            putText(value);
        else if constexpr (std::is_same_v<T, Bytes>)
            putBytes(value);
        else
            putCompound(value);
    }
    template<std::size_t n>
    void putCompound(std::array<std::uint8_t, n> const& value)
    {
        putBytes(value);
    }
    template<typename T, std::size_t n>
    void putCompound(std::array<T, n> const& values)
    {
        putList(values);
    }
    template<typename T>
    void putCompound(std::vector<T> const& values)
    {
        putList(values);
    }
    template<typename T>
    void putCompound(std::optional<T> const& value)
    {
        if (value)
            put(*value);
    }
    template<typename T>
        requires requires(Writer& writer, T const& value) { T::describe(writer, value); }
    void putCompound(T const& value)
    {
        beginObject();
        T::describe(*this, value);
    }
    template<typename List>
    void putList(List const& values)
    {
        beginList();
        for (auto const& value : values) {
            enterElement();
            put(value);
            leave();
        }
    }

    void enter(std::string_view name);
    void enterElement();
    void leave();
    void beginObject();
    void beginList();
    void putBool(bool value);
    void putNumber(std::int64_t value);
    void putUnsigned64(std::uint64_t value);
    void putSigned64(std::int64_t value);
    void putText(std::string_view value);
    void putBytes(ConstByteSpan value);

    struct Tree;
    std::unique_ptr<Tree> m_tree;
};

Section makeSection(std::string_view kind, unsigned version, Writer& writer);

/// The section of a State: `save(m_state)` is all that a device's save() says.
template<typename State>
Section save(State const& value)
{
    Writer writer;
    State::describe(writer, value);
    return makeSection(State::kind, State::version, writer);
}

}
