#pragma once

#include "vmm/state/options.h"
#include "vmm/state/section.h"

#include <array>
#include <limits>
#include <optional>

namespace vmm::state {

/// Fills a described struct from a Section, and trusts nothing in it: every type, bound and name is checked. The first
/// thing that is wrong is kept with its path ("queues[1].size"); what follows it is not read.
class Reader {
public:
    explicit Reader(Section const& section);
    ~Reader();
    Reader(Reader const&) = delete;
    Reader& operator=(Reader const&) = delete;

    template<typename T, typename... Options>
    void field(std::string_view name, T& value, Options... options)
    {
        Limits limits;
        (limits.take(options), ...);
        constexpr bool hasMax = (std::is_same_v<Options, Max> || ...);
        static_assert(hasMax || !hasLength<T>(), "a string, buffer or list needs Max{n}: the file is untrusted");
        if (!enter(name, limits))
            return;
        get(value, limits);
        leave();
    }

    void gone(std::string_view name, Until last);

    /// A check across fields; the first that does not hold becomes the error.
    void require(bool holds, std::string_view what);

    /// What was wrong, or a member that no field asked for; else nothing.
    Result<> finish();

private:
    struct Limits {
        std::uint64_t max = 0, low = 0, high = std::numeric_limits<std::uint64_t>::max();
        unsigned since = 0;
        bool optional = false;
        void take(Max option) { max = option.count; }
        void take(Range option) { low = option.low, high = option.high; }
        void take(Since option) { since = option.version; }
        void take(Optional) { optional = true; }
    };

    template<typename T>
    static constexpr bool hasLength()
    {
        return std::is_same_v<T, std::string> || requires(T& value) { value.push_back({}); };
    }

    template<typename T>
    void get(T& value, Limits const& limits)
    {
        if constexpr (std::is_same_v<T, bool>)
            getBool(value);
        else if constexpr (NamedEnum<T>) {
            auto const names = stateNames(value);
            value = static_cast<T>(getName(names));
        } else if constexpr (std::is_unsigned_v<T>)
            value = static_cast<T>(getUnsigned(sizeof(T) == 8, std::numeric_limits<T>::max(), limits));
        else if constexpr (std::is_signed_v<T>)
            value = static_cast<T>(
                getSigned(sizeof(T) == 8, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
        else if constexpr (std::is_same_v<T, std::string>)
            getText(value, limits.max);
        else if constexpr (std::is_same_v<T, Bytes>)
            getBytes(value, limits.max);
        else
            getCompound(value, limits);
    }
    template<std::size_t n>
    void getCompound(std::array<std::uint8_t, n>& value, Limits const&)
    {
        getExactBytes(value);
    }
    template<typename T, std::size_t n>
    void getCompound(std::array<T, n>& values, Limits const& limits)
    {
        if (beginList(n, n))
            getElements(values, limits);
    }
    template<typename T>
    void getCompound(std::vector<T>& values, Limits const& limits)
    {
        auto const size = beginList(0, limits.max);
        if (!size)
            return;
        values.assign(*size, T {});
        getElements(values, limits);
    }
    template<typename T>
    void getCompound(std::optional<T>& value, Limits const& limits)
    {
        value.reset();
        if (isNull())
            return;
        get(value.emplace(), limits);
    }
    template<typename T>
        requires requires(Reader& reader, T& value) { T::describe(reader, value); }
    void getCompound(T& value, Limits const&)
    {
        if (!beginObject())
            return;
        T::describe(*this, value);
        endObject();
    }
    template<typename List>
    void getElements(List& values, Limits const& limits)
    {
        for (std::size_t i = 0; i < values.size() && !failed(); ++i) {
            enterElement(i);
            get(values[i], limits);
            leave();
        }
    }

    bool failed() const;
    bool enter(std::string_view name, Limits const& limits);
    void enterElement(std::size_t index);
    void leave();
    bool isNull() const;
    bool beginObject();
    void endObject();
    std::optional<std::size_t> beginList(std::uint64_t low, std::uint64_t high);
    void getBool(bool& value);
    std::size_t getName(std::span<std::string_view const> names);
    std::uint64_t getUnsigned(bool wide, std::uint64_t typeMax, Limits const& limits);
    std::int64_t getSigned(bool wide, std::int64_t low, std::int64_t high);
    void getText(std::string& value, std::uint64_t max);
    void getBytes(Bytes& value, std::uint64_t max);
    void getExactBytes(ByteSpan value);
    void refuse(std::string what);

    struct Cursor;
    std::unique_ptr<Cursor> m_cursor;
};

/// Refuses another kind, and a version that is newer than ours.
Result<> checkKind(Section const& section, std::string_view kind, unsigned version);

/// A State from a section, whole or not at all. A State with a `void check(Reader&) const` has its say at the end.
template<typename State>
Result<State> load(Section const& section)
{
    TRY(checkKind(section, State::kind, State::version));
    State value {};
    Reader reader(section);
    State::describe(reader, value);
    if constexpr (requires { value.check(reader); })
        value.check(reader);
    TRY(reader.finish());
    return value;
}

}
