#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <cstdint>
#include <string>

namespace vmm {

/// A host file (or block device) as the image formats use it: byte ranges that are read, written and made durable.
/// This is the seam where tests put a file that fails on demand and loses power. Any thread, one at a time.
class BlockFile {
public:
    BlockFile() = default;
    BlockFile(BlockFile const&) = delete;
    BlockFile& operator=(BlockFile const&) = delete;
    virtual ~BlockFile() = default;

    /// For messages: the path.
    virtual std::string const& name() const = 0;
    virtual Result<std::uint64_t> size() const = 0;

    /// Reads all of `data`; what lies behind the end of the file reads as zeros.
    virtual Result<> read(std::uint64_t offset, ByteSpan data) = 0;
    /// Writes all of `data`, growing the file where needed. After an error any part of it may have been written.
    virtual Result<> write(std::uint64_t offset, ConstByteSpan data) = 0;
    /// What was written before is durable after. Once it failed it fails for good where the host may have dropped the
    /// data, because a later success would be a lie.
    virtual Result<> sync() = 0;
    virtual Result<> resize(std::uint64_t size) = 0;
    /// Gives the range back to the host; it reads as zeros afterwards. Unsupported where the host cannot.
    virtual Result<> deallocate(std::uint64_t offset, std::uint64_t length) = 0;
    /// The range reads as zeros afterwards, and stays allocated. Unsupported where the host cannot.
    virtual Result<> zero(std::uint64_t offset, std::uint64_t length) = 0;

    /// The descriptor for asynchronous transfers, or -1: then they go through the functions above.
    virtual int fd() const { return -1; }
    /// What the addresses of transfer buffers must be a multiple of (more than 1 with O_DIRECT).
    virtual std::size_t memoryAlignment() const { return 1; }
    /// Space behind the end reads as zeros once the file grows; not so on a block device.
    virtual bool isBlockDevice() const { return false; }
    /// Same number: same file on the host. 0 where that is not known.
    virtual std::uint64_t identity() const { return 0; }
    /// Bytes that the host has allocated for it.
    virtual std::uint64_t allocatedBytes() const { return 0; }
    /// The outcome of an asynchronous sync, see sync().
    virtual void noteSyncFailure(int) { }
    virtual int syncFailure() const { return 0; }
};

}
