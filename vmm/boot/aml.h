#pragma once

#include "vmm/base/bytes.h"

#include <initializer_list>
#include <string_view>

/// ACPI machine language, as values that are put into each other: `device("RTC", { nameDecl("_HID", eisaId("PNP0B00"))
/// })`. Each function returns the encoding of one term (ACPI Specification 6.4, chapter 20 "ACPI Machine Language (AML)
/// Specification"). Names are of the form "\\_SB.PCI0"; segments of fewer than four characters are filled up.
namespace vmm::aml {

using Terms = std::initializer_list<Bytes>;

Bytes name(std::string_view path);
Bytes integer(std::uint64_t value);
Bytes string(std::string_view text);
Bytes buffer(ConstByteSpan data);
Bytes package(std::vector<Bytes> const& elements);
/// "PNP0A08" as the compressed 32-bit identifier.
Bytes eisaId(std::string_view id);

Bytes nameDecl(std::string_view path, Bytes const& value);
Bytes scope(std::string_view path, std::vector<Bytes> const& terms);
Bytes device(std::string_view path, std::vector<Bytes> const& terms);
Bytes method(std::string_view path, unsigned arguments, std::vector<Bytes> const& terms, bool serialized = false);

enum class Space : std::uint8_t { SystemMemory = 0, SystemIo = 1, PciConfig = 2 };
Bytes operationRegion(std::string_view path, Space space, std::uint64_t offset, std::uint64_t length);
struct FieldUnit {
    std::string_view name; ///< empty: bits to skip
    unsigned bits;
};
/// Byte accesses, no lock, what is not written is preserved.
Bytes byteField(std::string_view region, std::initializer_list<FieldUnit> units);
/// Names the four bytes at `offset` of a buffer.
Bytes createDwordField(Bytes const& buffer, unsigned offset, std::string_view path);

Bytes argument(unsigned index);
Bytes local(unsigned index);
Bytes store(Bytes const& value, Bytes const& target);
Bytes bitAnd(Bytes const& a, Bytes const& b);
Bytes bitOr(Bytes const& a, Bytes const& b);
Bytes bitOr(Bytes const& a, Bytes const& b, Bytes const& target);
Bytes returnValue(Bytes const& value);
Bytes ifTrue(Bytes const& condition, std::vector<Bytes> const& terms);
Bytes otherwise(std::vector<Bytes> const& terms);
Bytes notify(Bytes const& object, unsigned value);

/// Resource descriptors (6.4 "Resource Data Types for ACPI"), to be joined by resources().
Bytes resources(std::vector<Bytes> const& descriptors);
Bytes ioPorts(std::uint16_t base, std::uint8_t length);
Bytes irq(unsigned number);
/// Level-triggered, active high, shared; of several only one is chosen.
Bytes sharedInterrupts(std::initializer_list<std::uint32_t> numbers);
Bytes fixedMemory(std::uint32_t base, std::uint32_t length, bool writable);
/// Windows of a bridge, both ends inclusive.
Bytes busWindow(std::uint16_t first, std::uint16_t last);
Bytes portWindow(std::uint16_t first, std::uint16_t last);
Bytes memoryWindow32(std::uint32_t first, std::uint32_t last, bool cacheable = false);
Bytes memoryWindow64(std::uint64_t first, std::uint64_t last);

}
