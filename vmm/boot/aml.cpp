#include "vmm/boot/aml.h"

#include <algorithm>
#include <cassert>
#include <cctype>

namespace vmm::aml {

namespace {

void append(Bytes& to, ConstByteSpan what)
{
    to.insert(to.end(), what.begin(), what.end());
}

template<typename T>
void appendValue(Bytes& to, T value)
{
    append(to, bytesOf(value));
}

Bytes join(Bytes head, std::vector<Bytes> const& parts)
{
    for (auto const& part : parts)
        append(head, part);
    return head;
}

/// PkgLength counts itself: one byte for up to 63 in all, else up to four with the low nibble in the first.
Bytes packageLength(std::size_t contents)
{
    for (unsigned extra = 0; extra < 4; ++extra) {
        auto const total = contents + 1 + extra;
        if (extra == 0 && total < 64)
            return { static_cast<std::uint8_t>(total) };
        if (extra > 0 && total < (std::size_t(1) << (4 + 8 * extra))) {
            Bytes bytes { static_cast<std::uint8_t>(extra << 6 | (total & 0xf)) };
            for (unsigned i = 0; i < extra; ++i)
                bytes.push_back(static_cast<std::uint8_t>(total >> (4 + 8 * i)));
            return bytes;
        }
    }
    assert(false);
    return {};
}

/// An opcode, then the length of what follows, then that.
Bytes wrapped(Bytes opcode, Bytes const& contents)
{
    append(opcode, packageLength(contents.size()));
    append(opcode, contents);
    return opcode;
}

void appendSegment(Bytes& to, std::string_view segment)
{
    assert(!segment.empty() && segment.size() <= 4);
    for (std::size_t i = 0; i < 4; ++i)
        to.push_back(static_cast<std::uint8_t>(i < segment.size() ? segment[i] : '_'));
}

template<typename T>
Bytes addressSpace(std::uint8_t tag, std::uint8_t type, std::uint8_t typeFlags, T first, T last)
{
    // Produced by the bridge, minimum and maximum fixed, positive decoding.
    Bytes bytes { tag, static_cast<std::uint8_t>(3 + 5 * sizeof(T)), 0, type, 0x0c, typeFlags };
    appendValue(bytes, T(0)); // granularity
    appendValue(bytes, first);
    appendValue(bytes, last);
    appendValue(bytes, T(0)); // translation
    appendValue(bytes, static_cast<T>(last - first + 1));
    return bytes;
}

}

Bytes name(std::string_view path)
{
    Bytes bytes;
    while (!path.empty() && (path.front() == '\\' || path.front() == '^')) {
        bytes.push_back(static_cast<std::uint8_t>(path.front()));
        path.remove_prefix(1);
    }
    auto const segments = path.empty() ? 0 : std::count(path.begin(), path.end(), '.') + 1;
    if (segments == 0)
        bytes.push_back(0x00);
    else if (segments == 2)
        bytes.push_back(0x2e);
    else if (segments > 2) {
        bytes.push_back(0x2f);
        bytes.push_back(static_cast<std::uint8_t>(segments));
    }
    while (!path.empty()) {
        auto const end = std::min(path.find('.'), path.size());
        appendSegment(bytes, path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return bytes;
}

Bytes integer(std::uint64_t value)
{
    if (value <= 1)
        return { static_cast<std::uint8_t>(value) };
    Bytes bytes;
    if (value <= 0xff) {
        bytes.push_back(0x0a);
        appendValue(bytes, static_cast<std::uint8_t>(value));
    } else if (value <= 0xffff) {
        bytes.push_back(0x0b);
        appendValue(bytes, static_cast<std::uint16_t>(value));
    } else if (value <= 0xffffffff) {
        bytes.push_back(0x0c);
        appendValue(bytes, static_cast<std::uint32_t>(value));
    } else {
        bytes.push_back(0x0e);
        appendValue(bytes, value);
    }
    return bytes;
}

Bytes string(std::string_view text)
{
    Bytes bytes { 0x0d };
    append(bytes, bytesOf(text));
    bytes.push_back(0);
    return bytes;
}

Bytes buffer(ConstByteSpan data)
{
    auto contents = integer(data.size());
    append(contents, data);
    return wrapped({ 0x11 }, contents);
}

Bytes package(std::vector<Bytes> const& elements)
{
    // More than 255 elements need the opcode of a variable-length package.
    if (elements.size() > 0xff)
        return wrapped({ 0x13 }, join(integer(elements.size()), elements));
    return wrapped({ 0x12 }, join({ static_cast<std::uint8_t>(elements.size()) }, elements));
}

Bytes eisaId(std::string_view id)
{
    assert(id.size() == 7);
    auto const hex = [&](std::size_t at) {
        auto const digit = static_cast<unsigned char>(id[at]);
        return static_cast<std::uint32_t>(std::isdigit(digit) ? digit - '0' : digit - 'A' + 10);
    };
    std::uint32_t const value = static_cast<std::uint32_t>(id[0] - 0x40) << 26
        | static_cast<std::uint32_t>(id[1] - 0x40) << 21 | static_cast<std::uint32_t>(id[2] - 0x40) << 16 | hex(3) << 12
        | hex(4) << 8 | hex(5) << 4 | hex(6);
    Bytes bytes { 0x0c };
    bytes.resize(5);
    storeBig(ByteSpan(bytes).subspan(1), value);
    return bytes;
}

Bytes nameDecl(std::string_view path, Bytes const& value)
{
    return join({ 0x08 }, { name(path), value });
}

Bytes scope(std::string_view path, std::vector<Bytes> const& terms)
{
    return wrapped({ 0x10 }, join(name(path), terms));
}

Bytes device(std::string_view path, std::vector<Bytes> const& terms)
{
    return wrapped({ 0x5b, 0x82 }, join(name(path), terms));
}

Bytes method(std::string_view path, unsigned arguments, std::vector<Bytes> const& terms, bool serialized)
{
    auto head = name(path);
    head.push_back(static_cast<std::uint8_t>(arguments | (serialized ? 8 : 0)));
    return wrapped({ 0x14 }, join(std::move(head), terms));
}

Bytes operationRegion(std::string_view path, Space space, std::uint64_t offset, std::uint64_t length)
{
    return join({ 0x5b, 0x80 }, { name(path), { static_cast<std::uint8_t>(space) }, integer(offset), integer(length) });
}

Bytes byteField(std::string_view region, std::initializer_list<FieldUnit> units)
{
    auto contents = name(region);
    contents.push_back(0x01);
    for (auto const& unit : units) {
        if (unit.name.empty())
            contents.push_back(0x00);
        else
            appendSegment(contents, unit.name);
        // A field's width has the form of a package's length, but does not count itself.
        assert(unit.bits < 64);
        contents.push_back(static_cast<std::uint8_t>(unit.bits));
    }
    return wrapped({ 0x5b, 0x81 }, contents);
}

Bytes createDwordField(Bytes const& source, unsigned offset, std::string_view path)
{
    return join({ 0x8a }, { source, integer(offset), name(path) });
}

Bytes argument(unsigned index)
{
    return { static_cast<std::uint8_t>(0x68 + index) };
}

Bytes local(unsigned index)
{
    return { static_cast<std::uint8_t>(0x60 + index) };
}

Bytes store(Bytes const& value, Bytes const& target)
{
    return join({ 0x70 }, { value, target });
}

Bytes bitAnd(Bytes const& a, Bytes const& b)
{
    return join({ 0x7b }, { a, b, { 0x00 } });
}

Bytes bitOr(Bytes const& a, Bytes const& b)
{
    return bitOr(a, b, { 0x00 });
}

Bytes bitOr(Bytes const& a, Bytes const& b, Bytes const& target)
{
    return join({ 0x7d }, { a, b, target });
}

Bytes returnValue(Bytes const& value)
{
    return join({ 0xa4 }, { value });
}

Bytes ifTrue(Bytes const& condition, std::vector<Bytes> const& terms)
{
    return wrapped({ 0xa0 }, join(condition, terms));
}

Bytes otherwise(std::vector<Bytes> const& terms)
{
    return wrapped({ 0xa1 }, join({}, terms));
}

Bytes notify(Bytes const& object, unsigned value)
{
    return join({ 0x86 }, { object, integer(value) });
}

Bytes resources(std::vector<Bytes> const& descriptors)
{
    auto bytes = join({}, descriptors);
    bytes.push_back(0x79); // end tag; a checksum of 0 means that there is none
    bytes.push_back(0x00);
    return buffer(bytes);
}

Bytes ioPorts(std::uint16_t base, std::uint8_t length)
{
    Bytes bytes { 0x47, 0x01 }; // 16-bit decoding
    appendValue(bytes, base);
    appendValue(bytes, base);
    bytes.push_back(1);
    bytes.push_back(length);
    return bytes;
}

Bytes irq(unsigned number)
{
    Bytes bytes { 0x22 };
    appendValue(bytes, static_cast<std::uint16_t>(1u << number));
    return bytes;
}

Bytes sharedInterrupts(std::initializer_list<std::uint32_t> numbers)
{
    Bytes bytes { 0x89 };
    appendValue(bytes, static_cast<std::uint16_t>(2 + 4 * numbers.size()));
    bytes.push_back(0x09); // consumer, level, active high, shared
    bytes.push_back(static_cast<std::uint8_t>(numbers.size()));
    for (auto const number : numbers)
        appendValue(bytes, number);
    return bytes;
}

Bytes fixedMemory(std::uint32_t base, std::uint32_t length, bool writable)
{
    Bytes bytes { 0x86, 9, 0, static_cast<std::uint8_t>(writable ? 1 : 0) };
    appendValue(bytes, base);
    appendValue(bytes, length);
    return bytes;
}

Bytes busWindow(std::uint16_t first, std::uint16_t last)
{
    return addressSpace<std::uint16_t>(0x88, 2, 0, first, last);
}

Bytes portWindow(std::uint16_t first, std::uint16_t last)
{
    return addressSpace<std::uint16_t>(0x88, 1, 3, first, last); // the whole range, not only ISA's part
}

Bytes memoryWindow32(std::uint32_t first, std::uint32_t last, bool cacheable)
{
    return addressSpace<std::uint32_t>(0x87, 0, cacheable ? 3 : 1, first, last);
}

Bytes memoryWindow64(std::uint64_t first, std::uint64_t last)
{
    return addressSpace<std::uint64_t>(0x8a, 0, 3, first, last);
}

}
