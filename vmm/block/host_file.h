#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/block/block_file.h"

#include <atomic>
#include <memory>

namespace vmm {

enum class Access : std::uint8_t { ReadOnly, ReadWrite };

enum class CacheMode : std::uint8_t {
    Writeback, ///< Through the host's page cache.
    Direct,    ///< Past it (O_DIRECT), where the file system can do that for 512-byte sectors; else as Writeback.
};

/// A regular file or block device of the host, locked for as long as it is open: one writer, or any number of readers.
/// The locks are QEMU's (block/file-posix.c: byte ranges at 100 and 200, open file description locks), so that
/// neither QEMU nor qemu-img touches a disk of a running machine, nor we one of theirs.
class HostFile final : public BlockFile {
public:
    enum class Lock : std::uint8_t { Yes, No };

    /// Busy when somebody else has it open in a way that excludes `access`, and still has after a second: that long the
    /// kernel may need for what a killed program had under way.
    static Result<std::unique_ptr<HostFile>> open(
        std::string path, Access access, CacheMode cache, Lock lock = Lock::Yes);
    /// A new file, empty; AlreadyExists when there is one.
    static Result<std::unique_ptr<HostFile>> create(std::string path);

    std::string const& name() const override { return m_path; }
    void renamed(std::string const& path) override { m_path = path; }
    void writeNoMore() override;
    Result<std::uint64_t> size() const override;
    Result<> read(std::uint64_t offset, ByteSpan data) override;
    Result<> write(std::uint64_t offset, ConstByteSpan data) override;
    Result<> sync() override;
    Result<> resize(std::uint64_t size) override;
    Result<> deallocate(std::uint64_t offset, std::uint64_t length) override;
    Result<> zero(std::uint64_t offset, std::uint64_t length) override;
    int fd() const override { return m_fd.get(); }
    std::size_t memoryAlignment() const override { return m_memoryAlignment; }
    bool isBlockDevice() const override { return m_blockDevice; }
    std::uint64_t identity() const override { return m_identity; }
    std::uint64_t allocatedBytes() const override;
    void noteSyncFailure(int error) override;
    int syncFailure() override;
    std::uint64_t knownSize() const override { return m_knownSize; }
    void noteWritten(std::uint64_t end) override;

private:
    HostFile(std::string path, UniqueFd fd) : m_path(std::move(path)), m_fd(std::move(fd)) { }
    Result<> lock(Access access);
    void tryDirect();
    Result<> readAligned(std::uint64_t offset, ByteSpan data);
    Result<> writeAligned(std::uint64_t offset, ConstByteSpan data);
    bool isAligned(std::uint64_t offset, ConstByteSpan data) const;

    std::string m_path;
    UniqueFd m_fd;
    std::size_t m_memoryAlignment = 1;
    std::uint64_t m_identity = 0;
    bool m_blockDevice = false;
    bool m_direct = false;
    std::atomic<int> m_syncError { 0 };
    std::atomic<std::uint64_t> m_knownSize { 0 }; // 0 for a block device, which does not grow
    std::atomic<bool> m_deletionReported { false };
};

/// Whether somebody has the file open to write to it, in this process or another: by the locks, without taking any, so
/// that nobody is in anybody's way.
bool isBeingWritten(HostFile const& file);

/// Memory at an address that every kind of direct transfer accepts.
using AlignedBuffer = std::unique_ptr<std::uint8_t, void (*)(void*)>;
/// Its content is not initialised. OutOfMemory as an empty pointer.
AlignedBuffer allocateAligned(std::size_t size);

}
