#pragma once

#include "vmm/state/options.h"
#include "vmm/state/section.h"

#include <array>
#include <optional>

namespace vmm::state {

/// The layout of a State as text, one line a field, and as JSON Schema (draft 2020-12). The text is what the golden
/// files of tests/golden/state keep: a change of layout without a new version fails there.
class Schema {
public:
    static constexpr unsigned newest = ~0u;
    /// As files of that version of the section have it.
    explicit Schema(unsigned version = newest);
    ~Schema();
    Schema(Schema const&) = delete;
    Schema& operator=(Schema const&) = delete;

    template<typename T, typename... Options>
    void field(std::string_view name, T const&, Options... options)
    {
        Notes notes;
        (notes.take(options), ...);
        if (notes.since > m_version)
            return;
        begin(name, notes);
        type<T>(notes);
        end();
    }

    void gone(std::string_view name, Until last);

    /// "ier u8\nrxFifo bytes max=16\n"
    std::string text() const;
    /// Of the object with these fields.
    Json jsonSchema() const;

private:
    struct Notes {
        std::optional<std::uint64_t> max, low, high;
        unsigned since = 1;
        bool optional = false;
        bool ofList = false; ///< a list's element has its bounds, as the reader has it, and the list has said them
        void take(Max option) { max = option.count; }
        void take(Range option) { low = option.low, high = option.high; }
        void take(Since option) { since = option.version; }
        void take(Optional) { optional = true; }
    };
    template<typename T>
    struct ListTraits {
        static constexpr bool isList = false;
    };
    template<typename T>
    struct ListTraits<std::vector<T>> {
        static constexpr bool isList = true;
        static constexpr std::size_t fixed = 0;
        using Element = T;
    };
    template<typename T, std::size_t n>
    struct ListTraits<std::array<T, n>> {
        static constexpr bool isList = true;
        static constexpr std::size_t fixed = n;
        using Element = T;
    };
    template<typename T>
    struct OptionalTraits {
        static constexpr bool isOptional = false;
    };
    template<typename T>
    struct OptionalTraits<std::optional<T>> {
        static constexpr bool isOptional = true;
        using Value = T;
    };

    template<typename T>
    void type(Notes const& notes)
    {
        if constexpr (std::is_same_v<T, bool>)
            leaf("bool", 0, notes);
        else if constexpr (NamedEnum<T>) {
            auto const all = stateNames(T {});
            names(std::vector<std::string_view>(all.begin(), all.end()));
        } else if constexpr (std::is_integral_v<T>)
            leaf(std::is_signed_v<T> ? "i" : "u", sizeof(T) * 8, notes);
        else if constexpr (std::is_same_v<T, std::string>)
            leaf("string", 0, notes);
        else if constexpr (std::is_same_v<T, Bytes>)
            leaf("bytes", 0, notes);
        else if constexpr (OptionalTraits<T>::isOptional) {
            nullable();
            type<typename OptionalTraits<T>::Value>(notes);
        } else if constexpr (ListTraits<T>::isList) {
            using Element = typename ListTraits<T>::Element;
            if constexpr (std::is_same_v<Element, std::uint8_t>) {
                Notes exact = notes;
                exact.low = exact.max = ListTraits<T>::fixed;
                exact.ofList = false;
                leaf("bytes", 0, exact);
            } else {
                beginList(ListTraits<T>::fixed, notes);
                Notes element = notes;
                element.ofList = true;
                type<Element>(element);
                endList();
            }
        } else {
            beginObject();
            T const value {};
            T::describe(*this, value);
            endObject();
        }
    }

    void begin(std::string_view name, Notes const& notes);
    void end();
    void leaf(std::string_view type, unsigned bits, Notes const& notes);
    void names(std::vector<std::string_view> const& names);
    void nullable();
    void beginList(std::size_t fixed, Notes const& notes);
    void endList();
    void beginObject();
    void endObject();

    struct Tree;
    unsigned m_version;
    std::unique_ptr<Tree> m_tree;
};

/// JSON Schema of a section as toJson() has it: what a file of that version of the kind may be. That a file fits is
/// necessary, not enough: lengths in bytes, bounds of wide numbers and what holds across fields only a reader knows.
Json sectionSchema(std::string_view kind, unsigned version, Schema const& fields);
template<typename State>
auto sectionSchema(unsigned version)
{
    Schema schema(version);
    State const value {};
    State::describe(schema, value);
    return sectionSchema(State::kind, version, schema);
}

/// The golden text of a State: a heading with kind and version, then its fields.
template<typename State>
std::string schemaText()
{
    Schema schema;
    State const value {};
    State::describe(schema, value);
    return std::string(State::kind) + " version " + std::to_string(State::version) + "\n" + schema.text();
}

}
