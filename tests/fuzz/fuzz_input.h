#pragma once

#include "vmm/bus/device.h"

#include <algorithm>

/// What libFuzzer found, taken apart as a guest's accesses.
namespace fuzz {

class Input {
public:
    Input(std::uint8_t const* data, std::size_t size) : m_rest(data, size) { }
    bool empty() const { return m_rest.empty(); }

    /// The next integer; zero bytes at the end of the input.
    template<typename T>
    T take()
    {
        auto const value = vmm::loadLittle<T>(m_rest);
        m_rest = m_rest.subspan(std::min(sizeof(T), m_rest.size()));
        return value;
    }

    /// Up to `length` bytes.
    vmm::ConstByteSpan takeBytes(std::size_t length)
    {
        auto const bytes = m_rest.first(std::min(length, m_rest.size()));
        m_rest = m_rest.subspan(bytes.size());
        return bytes;
    }

    /// One read or write of 1, 2, 4 or 8 bytes somewhere in the first `size` bytes of the handler's range.
    void access(vmm::BusHandler& handler, std::uint64_t size)
    {
        auto const kind = take<std::uint8_t>();
        auto const offset = (size <= 256 ? take<std::uint8_t>() : take<std::uint32_t>()) % size;
        auto const length = std::min<std::uint64_t>(std::uint64_t(1) << (kind >> 1 & 3), size - offset);
        std::uint64_t value = 0;
        if (kind & 1) {
            auto const bytes = takeBytes(length);
            std::copy(bytes.begin(), bytes.end(), vmm::writableBytesOf(value).begin());
        }
        auto const data = vmm::writableBytesOf(value).first(length);
        std::lock_guard const lock(handler.busMutex());
        if (kind & 1)
            handler.write(offset, data);
        else
            handler.read(offset, data);
    }

private:
    vmm::ConstByteSpan m_rest;
};

}
