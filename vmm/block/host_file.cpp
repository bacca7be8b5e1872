#include "vmm/block/host_file.h"

#include "vmm/base/log.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

namespace vmm {

namespace {

constexpr std::size_t sectorSize = 512;
constexpr std::size_t bufferAlignment = 4096;

// QEMU's permissions, as bits of its byte-range locks (block/file-posix.c and BLK_PERM_* of
// include/block/block-common.h, QEMU 7.2): a byte at 100 + n is locked by who uses permission n, one at 200 + n by
// who lets nobody else use it.
constexpr ::off_t usedBase = 100, unsharedBase = 200;
constexpr int consistentRead = 0, writing = 1, resizing = 3;

constexpr std::chrono::milliseconds patience(1000), between(10);

/// F_OFD_SETLK of a shared lock, or F_OFD_GETLK for an exclusive one. True where nobody is in the way.
Result<bool> lockByte(int fd, int command, short type, ::off_t byte)
{
    struct flock lock { };
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = byte;
    lock.l_len = 1;
    if (::fcntl(fd, command, &lock) != 0) {
        if (errno == EAGAIN || errno == EACCES)
            return false;
        return failOs("cannot lock");
    }
    return command == F_OFD_SETLK || lock.l_type == F_UNLCK;
}

}

AlignedBuffer allocateAligned(std::size_t size)
{
    auto* const memory = std::aligned_alloc(bufferAlignment, alignUp(size, bufferAlignment));
    return { static_cast<std::uint8_t*>(memory), std::free };
}

Result<std::unique_ptr<HostFile>> HostFile::open(std::string path, Access access, CacheMode cache, Lock locking)
{
    // Non-blocking, because the path may name a FIFO, which is refused below instead of waited for.
    auto fd = TRY(openFile(path, (access == Access::ReadWrite ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_NOCTTY));
    struct stat status { };
    if (::fstat(fd.get(), &status) != 0)
        return failOs("cannot examine " + path);
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode))
        return fail(ErrorCode::InvalidArgument, path + " is neither a file nor a block device");
    std::unique_ptr<HostFile> file(new HostFile(std::move(path), std::move(fd)));
    file->m_blockDevice = S_ISBLK(status.st_mode);
    file->m_knownSize = file->m_blockDevice ? 0 : static_cast<std::uint64_t>(status.st_size);
    auto const device = file->m_blockDevice ? status.st_rdev : status.st_dev;
    file->m_identity
        = (static_cast<std::uint64_t>(device) * 0x9e3779b97f4a7c15) ^ (file->m_blockDevice ? ~0ULL : status.st_ino);
    if (locking == Lock::Yes)
        TRY(file->lock(access));
    if (cache == CacheMode::Direct)
        file->tryDirect();
    return file;
}

Result<std::unique_ptr<HostFile>> HostFile::create(std::string path)
{
    auto fd = TRY(openFile(path, O_RDWR | O_CREAT | O_EXCL, 0644));
    return std::unique_ptr<HostFile>(new HostFile(std::move(path), std::move(fd)));
}

Result<> HostFile::lock(Access access)
{
    std::vector<int> used { consistentRead };
    if (access == Access::ReadWrite)
        used.insert(used.end(), { writing, resizing });
    constexpr std::array unshared { writing, resizing };

    auto const attempt = [&]() -> Result<bool> {
        for (int const permission : used) {
            if (!TRY(lockByte(m_fd.get(), F_OFD_SETLK, F_RDLCK, usedBase + permission)))
                return false;
        }
        for (int const permission : unshared) {
            if (!TRY(lockByte(m_fd.get(), F_OFD_SETLK, F_RDLCK, unsharedBase + permission)))
                return false;
        }
        // Everybody locks first and looks afterwards, so of two who come at once at least one sees the other.
        for (int const permission : used) {
            if (!TRY(lockByte(m_fd.get(), F_OFD_GETLK, F_WRLCK, unsharedBase + permission)))
                return false;
        }
        for (int const permission : unshared) {
            if (!TRY(lockByte(m_fd.get(), F_OFD_GETLK, F_WRLCK, usedBase + permission)))
                return false;
        }
        return true;
    };
    // Of two who wait for each other one has the file.
    auto const letGo = [&] {
        for (int const permission : used)
            ignore(lockByte(m_fd.get(), F_OFD_SETLK, F_UNLCK, usedBase + permission));
        for (int const permission : unshared)
            ignore(lockByte(m_fd.get(), F_OFD_SETLK, F_UNLCK, unsharedBase + permission));
    };
    auto locked = attempt();
    for (std::chrono::milliseconds waited(0); locked && !*locked && waited < patience; waited += between) {
        letGo();
        std::this_thread::sleep_for(between);
        locked = attempt();
    }
    if (!locked) {
        // A file system without locks (some network mounts): the disk is worth more than the guard.
        log(LogLevel::Warning, "block", "{}: not locked, {}", m_path, locked.error().message());
        return {};
    }
    if (!*locked) {
        return fail(ErrorCode::Busy,
            m_path
                + (access == Access::ReadWrite ? " is in use by another machine or program"
                                               : " is being written by another machine or program"));
    }
    return {};
}

bool isBeingWritten(HostFile const& file)
{
    // Of a file system without locks nobody knows.
    return !lockByte(file.fd(), F_OFD_GETLK, F_WRLCK, usedBase + writing).value_or(true);
}

void HostFile::writeNoMore()
{
    for (int const permission : { writing, resizing })
        ignore(lockByte(m_fd.get(), F_OFD_SETLK, F_UNLCK, usedBase + permission));
}

void HostFile::tryDirect()
{
    int const flags = ::fcntl(m_fd.get(), F_GETFL);
    if (flags < 0 || ::fcntl(m_fd.get(), F_SETFL, flags | O_DIRECT) != 0) {
        log(LogLevel::Info, "block", "{}: no direct transfers here, using the page cache", m_path);
        return;
    }
    // Asked by trying, which is right on every kernel: a sector at an odd sector offset, memory aligned to as little.
    AlignedBuffer const buffer = allocateAligned(bufferAlignment);
    if (buffer && ::pread(m_fd.get(), buffer.get() + sectorSize, sectorSize, sectorSize) >= 0) {
        m_direct = true;
        m_memoryAlignment = sectorSize;
        return;
    }
    if (buffer && ::pread(m_fd.get(), buffer.get(), sectorSize, sectorSize) >= 0) {
        m_direct = true;
        m_memoryAlignment = bufferAlignment;
        return;
    }
    // The host's sectors are larger than the guest's: half-written ones are the page cache's work.
    ::fcntl(m_fd.get(), F_SETFL, flags);
    log(LogLevel::Info, "block", "{}: the host's sectors are larger than 512 bytes, using the page cache", m_path);
}

Result<std::uint64_t> HostFile::size() const
{
    if (m_blockDevice) {
        std::uint64_t bytes = 0;
        if (::ioctl(m_fd.get(), BLKGETSIZE64, &bytes) != 0)
            return failOs("cannot find out the size of " + m_path);
        return bytes;
    }
    struct stat status { };
    if (::fstat(m_fd.get(), &status) != 0)
        return failOs("cannot find out the size of " + m_path);
    return static_cast<std::uint64_t>(status.st_size);
}

std::uint64_t HostFile::allocatedBytes() const
{
    struct stat status { };
    return ::fstat(m_fd.get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_blocks) * 512 : 0;
}

bool HostFile::isAligned(std::uint64_t offset, ConstByteSpan data) const
{
    return !m_direct
        || (offset % sectorSize == 0 && data.size() % sectorSize == 0
            && reinterpret_cast<std::uintptr_t>(data.data()) % m_memoryAlignment == 0);
}

Result<> HostFile::readAligned(std::uint64_t offset, ByteSpan data)
{
    while (!data.empty()) {
        auto const known = m_knownSize.load(); // before the transfer: another thread may be making the file longer
        auto const count = ::pread(m_fd.get(), data.data(), data.size(), static_cast<::off_t>(offset));
        if (count < 0) {
            if (errno == EINTR)
                continue;
            return failOs(fmt::format("reading {} bytes at {} of {}", data.size(), offset, m_path));
        }
        // With O_DIRECT a short count is the end of the file, whatever its alignment.
        if (count == 0 || (m_direct && count % static_cast<::ssize_t>(sectorSize) != 0)) {
            if (offset + static_cast<std::uint64_t>(count) < known)
                return fail(fileError("reading " + m_path, fileHasShrunk));
            std::memset(data.data() + count, 0, data.size() - static_cast<std::size_t>(count));
            return {};
        }
        data = data.subspan(static_cast<std::size_t>(count));
        offset += static_cast<std::uint64_t>(count);
    }
    return {};
}

Result<> HostFile::writeAligned(std::uint64_t offset, ConstByteSpan data)
{
    while (!data.empty()) {
        auto const count = ::pwrite(m_fd.get(), data.data(), data.size(), static_cast<::off_t>(offset));
        if (count < 0) {
            if (errno == EINTR)
                continue;
            return failOs(fmt::format("writing {} bytes at {} of {}", data.size(), offset, m_path));
        }
        data = data.subspan(static_cast<std::size_t>(count));
        offset += static_cast<std::uint64_t>(count);
        noteWritten(offset);
    }
    return {};
}

Result<> HostFile::read(std::uint64_t offset, ByteSpan data)
{
    if (isAligned(offset, data))
        return readAligned(offset, data);
    auto const start = alignDown<std::uint64_t>(offset, sectorSize);
    auto const length = alignUp<std::uint64_t>(offset + data.size(), sectorSize) - start;
    auto const bounce = allocateAligned(length);
    if (!bounce)
        return fail(ErrorCode::OutOfMemory, "no memory for a transfer buffer");
    TRY(readAligned(start, { bounce.get(), length }));
    std::memcpy(data.data(), bounce.get() + (offset - start), data.size());
    return {};
}

Result<> HostFile::write(std::uint64_t offset, ConstByteSpan data)
{
    if (isAligned(offset, data))
        return writeAligned(offset, data);
    auto const start = alignDown<std::uint64_t>(offset, sectorSize);
    auto const length = alignUp<std::uint64_t>(offset + data.size(), sectorSize) - start;
    auto const bounce = allocateAligned(length);
    if (!bounce)
        return fail(ErrorCode::OutOfMemory, "no memory for a transfer buffer");
    TRY(readAligned(start, { bounce.get(), sectorSize }));
    if (length > sectorSize)
        TRY(readAligned(start + length - sectorSize, { bounce.get() + length - sectorSize, sectorSize }));
    std::memcpy(bounce.get() + (offset - start), data.data(), data.size());
    return writeAligned(start, { bounce.get(), length });
}

void HostFile::noteWritten(std::uint64_t end)
{
    auto known = m_knownSize.load();
    while (!m_blockDevice && known < end && !m_knownSize.compare_exchange_weak(known, end)) { }
}

Result<> HostFile::sync()
{
    if (m_syncError != 0)
        return fail(osError("an earlier attempt to make " + m_path + " durable failed", m_syncError));
    int error = 0;
    if (::fdatasync(m_fd.get()) == 0) {
        error = syncFailure();
        if (error == 0)
            return {};
    } else {
        error = errno;
        noteSyncFailure(error);
    }
    return fail(fileError("cannot make " + m_path + " durable", error));
}

int HostFile::syncFailure()
{
    auto const known = m_knownSize.load(); // before looking, as in readAligned()
    struct stat status { };
    if (m_syncError != 0 || m_blockDevice || ::fstat(m_fd.get(), &status) != 0)
        return m_syncError;
    if (static_cast<std::uint64_t>(status.st_size) < known)
        return fileHasShrunk;
    // The file works on without a name, until it is closed: whoever deleted it should hear of that in time, and once.
    if (status.st_nlink == 0 && !m_deletionReported.exchange(true))
        return ENOENT;
    return 0;
}

void HostFile::noteSyncFailure(int error)
{
    // The page cache forgets what it could not write; direct transfers have nothing in it to forget.
    if (!m_direct)
        m_syncError = error;
}

Result<> HostFile::resize(std::uint64_t bytes)
{
    if (m_blockDevice)
        return fail(ErrorCode::Unsupported, m_path + " is a block device and keeps its size");
    if (::ftruncate(m_fd.get(), static_cast<::off_t>(bytes)) != 0)
        return failOs("cannot resize " + m_path);
    m_knownSize = bytes;
    return {};
}

Result<> HostFile::deallocate(std::uint64_t offset, std::uint64_t length)
{
    if (::fallocate(m_fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<::off_t>(offset),
            static_cast<::off_t>(length))
        != 0)
        return failOs("cannot give back space of " + m_path);
    return {};
}

Result<> HostFile::zero(std::uint64_t offset, std::uint64_t length)
{
    if (::fallocate(m_fd.get(), FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, static_cast<::off_t>(offset),
            static_cast<::off_t>(length))
        != 0)
        return failOs("cannot zero a range of " + m_path);
    return {};
}

}
