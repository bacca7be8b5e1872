#pragma once

#include "vmm/filesystems/file_tree.h"

namespace vmm {

/// A part of a disk that may hold a file system.
struct Partition {
    unsigned number = 0; ///< as the guest counts; 0: the whole disk
    std::uint64_t offset = 0, size = 0;
    bool operator==(Partition const&) const = default;
};

/// The parts of a disk by its MBR (with what an extended partition holds) or GPT; where it has neither, the whole disk.
/// Those that lie outside of the disk are left out; at most 128.
Result<std::vector<Partition>> findPartitions(ByteSource& disk);

/// A part of `whole`, which outlives it.
class PartSource final : public ByteSource {
public:
    PartSource(ByteSource& whole, Partition const& part) : m_whole(whole), m_part(part) { }
    std::uint64_t size() const override { return m_part.size; }
    Result<> read(std::uint64_t offset, ByteSpan data) override { return m_whole.read(m_part.offset + offset, data); }

private:
    ByteSource& m_whole;
    Partition const m_part;
};

}
