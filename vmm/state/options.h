#pragma once

#include <cstdint>
#include <string_view>

/// What a describe() may say of a field besides its name. The description is the file format: it is what Writer,
/// Reader and Schema agree on, and the only place where a field is listed.
namespace vmm::state {

/// The most elements (bytes of a string or buffer, items of a list) that a file may hold. Required where a length is.
struct Max {
    std::uint64_t count;
};

/// The version of the section that brought the field. Files of an older version do not have it; it keeps its default.
struct Since {
    unsigned version;
};

/// The last version of the section that had a field: `v.gone("scr", Until { 1 })` stands in a describe() for what is no
/// more. Files of that time must have it, and its value is dropped.
struct Until {
    unsigned version;
};

/// The inclusive bounds of a number, where they are narrower than its type's.
struct Range {
    std::uint64_t low, high;
};

/// May be absent in any version and then keeps its default. For configuration, which people write by hand; a device's
/// state says all or nothing.
struct Optional { };

/// An enum that is saved by name gives its names in the order of its values, from 0 on:
/// `constexpr auto stateNames(Phase) { return std::to_array<std::string_view>({ "idle", "data" }); }` beside the enum.
template<typename Enum>
concept NamedEnum = requires(Enum value) { stateNames(value).size(); };

}
