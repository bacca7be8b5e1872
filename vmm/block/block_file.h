#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <cerrno>
#include <cstdint>
#include <string>

namespace vmm {

/// The errno by which a file says that somebody else has made it shorter.
constexpr int fileHasShrunk = ENODATA;

/// The error of a transfer, in words that fit what happened.
Error fileError(std::string const& what, int error);

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
    /// It has another name now; the open file is the same.
    virtual void renamed(std::string const&) { }
    /// Others may read it from now on, as what nobody writes to.
    virtual void writeNoMore() { }
    virtual Result<std::uint64_t> size() const = 0;

    /// Reads all of `data`; what lies behind the end of the file reads as zeros, unless it was there before
    /// (knownSize()).
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
    /// Bytes that were there when it was opened, or were written since. An end in front of them is somebody else's
    /// doing: reading there fails with fileHasShrunk, and so does the next sync.
    virtual std::uint64_t knownSize() const { return 0; }
    /// An asynchronous write up to `end` was done.
    virtual void noteWritten(std::uint64_t) { }
    /// An asynchronous sync has failed, see sync().
    virtual void noteSyncFailure(int) { }
    /// What speaks against a sync that the host has done: 0, or an errno.
    virtual int syncFailure() { return 0; }
};

}
