#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace vmm {

using Bytes = std::vector<std::uint8_t>;
using ByteSpan = std::span<std::uint8_t>;
using ConstByteSpan = std::span<std::uint8_t const>;

inline ConstByteSpan bytesOf(std::string_view text)
{
    return { reinterpret_cast<std::uint8_t const*>(text.data()), text.size() };
}

/// The object representation of a trivially copyable value.
template<typename T>
    requires(std::is_trivially_copyable_v<T> && !std::is_convertible_v<T const&, std::string_view>)
ConstByteSpan bytesOf(T const& value)
{
    return { reinterpret_cast<std::uint8_t const*>(&value), sizeof value };
}

template<typename T>
    requires std::is_trivially_copyable_v<T>
ByteSpan writableBytesOf(T& value)
{
    return { reinterpret_cast<std::uint8_t*>(&value), sizeof value };
}

/// Whether there is nothing but zeros in it.
inline bool isZero(ConstByteSpan data)
{
    return data.empty() || (data[0] == 0 && std::memcmp(data.data(), data.data() + 1, data.size() - 1) == 0);
}

/// Little-endian integer at the start of `data`; bytes that are not there read as zero. The hosts we run on are
/// little-endian, and so is everything a PC's bus carries.
template<typename T>
    requires std::is_integral_v<T>
T loadLittle(ConstByteSpan data)
{
    T value = 0;
    if (data.size() >= sizeof value)
        std::memcpy(&value, data.data(), sizeof value);
    else
        std::copy(data.begin(), data.end(), writableBytesOf(value).begin());
    return value;
}

/// Stores the low bytes of `value`, as many as `data` holds, and zeroes what is beyond the value's width.
template<typename T>
    requires std::is_integral_v<T>
void storeLittle(ByteSpan data, T value)
{
    auto const bytes = bytesOf(value);
    auto const rest = std::copy_n(bytes.begin(), std::min(data.size(), bytes.size()), data.begin());
    std::fill(rest, data.end(), 0);
}

template<typename T>
T loadBig(ConstByteSpan data)
{
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T) && i < data.size(); ++i)
        value = static_cast<T>(static_cast<T>(value << 8) | data[i]);
    return value;
}

template<typename T>
void storeBig(ByteSpan data, T value)
{
    for (std::size_t i = sizeof(T); i-- > 0; value = static_cast<T>(sizeof(T) > 1 ? value >> 8 : 0)) {
        if (i < data.size())
            data[i] = static_cast<std::uint8_t>(value);
    }
}

template<typename T>
constexpr T alignDown(T value, T alignment)
{
    return value - value % alignment;
}

template<typename T>
constexpr T alignUp(T value, T alignment)
{
    return alignDown<T>(value + alignment - 1, alignment);
}

}
