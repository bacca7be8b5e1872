#include "vmm/filesystems/ext_files.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <set>
#include <xxhash.h>

extern "C" {
#include <ext2fs/ext2fs.h>
}

/// By way of libext2fs, whose file is our source. What a guest could make it allocate is looked at before it is called,
/// what it could make it read is counted below it.
namespace vmm {

namespace {

constexpr std::uint64_t superblockAt = 1024;
constexpr std::uint64_t mostDescriptorBytes = 64u << 20;
constexpr std::size_t mostPathBytes = 4096;

/// What stands behind an io_channel.
struct Below {
    ByteSource& part;
    FileTreeLimits const& limits;
    std::uint64_t bytesRead = 0;
    bool isOverLimit = false, isCancelled = false;
    std::optional<Error> error;

    errcode_t read(std::uint64_t offset, ByteSpan data)
    {
        isCancelled = isCancelled || (limits.goOn && !limits.goOn());
        bytesRead += data.size();
        isOverLimit = isOverLimit || bytesRead > limits.bytesRead;
        if (isCancelled || isOverLimit || offset > part.size() || data.size() > part.size() - offset)
            return EXT2_ET_SHORT_READ;
        auto const outcome = part.read(offset, data);
        if (!outcome && !error)
            error = outcome.error();
        return outcome ? 0 : EXT2_ET_SHORT_READ;
    }

    /// Why there is no going on.
    Result<> state() const
    {
        if (isCancelled)
            return fail(ErrorCode::Cancelled, "looking at the files was cancelled");
        if (isOverLimit)
            return fail(ErrorCode::Unsupported, "the file system has more files than can be looked at");
        return error ? Result<>(fail(*error)) : Result<>();
    }
};

thread_local Below* opening = nullptr; // the library's open() takes nothing but a name

Below& belowOf(io_channel channel)
{
    return *static_cast<Below*>(channel->private_data);
}

errcode_t openChannel(char const*, int, io_channel* made);

errcode_t closeChannel(io_channel channel)
{
    if (--channel->refcount > 0)
        return 0;
    delete channel;
    return 0;
}

errcode_t setBlockSize(io_channel channel, int size)
{
    channel->block_size = size;
    return 0;
}

errcode_t readBlocks(io_channel channel, unsigned long long block, int count, void* data)
{
    auto const blockSize = static_cast<std::uint64_t>(channel->block_size);
    // A negative count is one of bytes.
    auto const bytes = count < 0 ? std::uint64_t(-std::int64_t(count)) : std::uint64_t(count) * blockSize;
    if (block > (std::uint64_t(1) << 48))
        return EXT2_ET_SHORT_READ;
    return belowOf(channel).read(block * blockSize, { static_cast<std::uint8_t*>(data), bytes });
}

errcode_t readFewBlocks(io_channel channel, unsigned long block, int count, void* data)
{
    return readBlocks(channel, block, count, data);
}

errcode_t refuseWrite(io_channel, unsigned long, int, void const*)
{
    return EXT2_ET_RO_FILSYS;
}

errcode_t refuseWrite64(io_channel, unsigned long long, int, void const*)
{
    return EXT2_ET_RO_FILSYS;
}

errcode_t flushNothing(io_channel)
{
    return 0;
}

io_manager channelManager()
{
    static struct_io_manager manager = [] {
        struct_io_manager made {};
        made.magic = EXT2_ET_MAGIC_IO_MANAGER;
        made.name = "Chronovisor";
        made.open = openChannel;
        made.close = closeChannel;
        made.set_blksize = setBlockSize;
        made.read_blk = readFewBlocks;
        made.read_blk64 = readBlocks;
        made.write_blk = refuseWrite;
        made.write_blk64 = refuseWrite64;
        made.flush = flushNothing;
        return made;
    }();
    return &manager;
}

errcode_t openChannel(char const*, int, io_channel* made)
{
    static char name[] = "image";
    auto* channel = new struct_io_channel {};
    channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
    channel->manager = channelManager();
    channel->name = name;
    channel->block_size = 1024;
    channel->refcount = 1;
    channel->private_data = opening;
    *made = channel;
    return 0;
}

Result<std::array<std::uint8_t, 1024>> readSuperblock(ByteSource& part)
{
    std::array<std::uint8_t, 1024> superblock {};
    if (part.size() >= superblockAt + superblock.size())
        TRY(part.read(superblockAt, superblock));
    return superblock;
}

/// The library believes these as it allocates.
Result<> checkSuperblock(ConstByteSpan superblock, std::uint64_t size)
{
    auto const word = [&](std::size_t at) { return loadLittle<std::uint32_t>(superblock.subspan(at, 4)); };
    auto const logBlockSize = word(24);
    if (logBlockSize > 6)
        return fail(ErrorCode::Corrupt, "the file system's blocks have no size that there is");
    auto const blockSize = std::uint64_t(1024) << logBlockSize;
    bool const is64 = (word(96) & EXT4_FEATURE_INCOMPAT_64BIT) != 0;
    auto const blocks = std::uint64_t(word(4)) | (is64 ? std::uint64_t(word(336)) << 32 : 0);
    auto const perGroup = word(32), inodesPerGroup = word(40);
    if (blocks == 0 || blocks > size / blockSize || perGroup == 0 || inodesPerGroup == 0 || perGroup > 8 * blockSize
        || inodesPerGroup > 8 * blockSize)
        return fail(ErrorCode::Corrupt, "the file system does not fit where it lies");
    if ((blocks / perGroup + 1) * 64 > mostDescriptorBytes)
        return fail(ErrorCode::Unsupported, "the file system has more groups than can be looked at");
    return {};
}

class Walk {
public:
    Walk(ext2_filsys files, Below& below) : m_files(files), m_below(below) { }

    Result<FileTree> all()
    {
        m_folders.push_back({ EXT2_ROOT_INO, {} });
        m_seen.insert(EXT2_ROOT_INO);
        while (!m_folders.empty()) {
            m_present = std::move(m_folders.front());
            m_folders.pop_front();
            auto const problem = ext2fs_dir_iterate2(m_files, m_present.inode, 0, nullptr, &visit, this);
            TRY(m_below.state());
            if (problem != 0 && m_problem.empty())
                m_problem = fmt::format("folder \"{}\": {}", m_present.path, error_message(problem));
        }
        if (!m_problem.empty())
            return fail(ErrorCode::Corrupt, m_problem);
        return std::move(m_tree);
    }

private:
    struct Folder {
        ext2_ino_t inode = 0;
        std::string path;
    };

    static int visit(ext2_ino_t, int, ext2_dir_entry* entry, int, int, char*, void* context)
    {
        return static_cast<Walk*>(context)->add(*entry) ? 0 : DIRENT_ABORT;
    }

    bool add(ext2_dir_entry const& entry)
    {
        std::string_view const name(entry.name, entry.name_len & 0xff);
        if (name == "." || name == ".." || name.empty() || entry.inode == 0)
            return true;
        auto path = m_present.path.empty() ? std::string(name) : fmt::format("{}/{}", m_present.path, name);
        if (m_tree.size() >= m_below.limits.files || path.size() > mostPathBytes)
            m_below.isOverLimit = true;
        if (m_below.isOverLimit)
            return false;
        ext2_inode inode {};
        if (auto const problem = ext2fs_read_inode(m_files, entry.inode, &inode); problem != 0) {
            if (m_problem.empty())
                m_problem = fmt::format("\"{}\": {}", path, error_message(problem));
            return m_below.state().has_value();
        }
        auto const facts = factsOf(entry.inode, inode);
        if (facts.kind == FileFacts::Kind::Folder && m_seen.insert(entry.inode).second)
            m_folders.push_back({ entry.inode, path });
        m_tree.emplace(std::move(path), facts);
        return true;
    }

    static FileFacts factsOf(ext2_ino_t number, ext2_inode const& inode)
    {
        FileFacts facts;
        facts.kind = LINUX_S_ISREG(inode.i_mode) ? FileFacts::Kind::File
            : LINUX_S_ISDIR(inode.i_mode)        ? FileFacts::Kind::Folder
            : LINUX_S_ISLNK(inode.i_mode)        ? FileFacts::Kind::Link
                                                 : FileFacts::Kind::Other;
        facts.size = EXT2_I_SIZE(&inode);
        facts.modified = static_cast<std::int32_t>(inode.i_mtime);
        // Its extents, or what stands in their place; which inode, and of which file that had the number.
        std::array<std::uint32_t, 3> const which { number, inode.i_generation, inode.i_mode };
        facts.place
            = XXH3_64bits_withSeed(inode.i_block, sizeof inode.i_block, XXH3_64bits(which.data(), sizeof which));
        return facts;
    }

    ext2_filsys m_files;
    Below& m_below;
    std::deque<Folder> m_folders;
    std::set<ext2_ino_t> m_seen;
    Folder m_present;
    FileTree m_tree;
    std::string m_problem; // the first part that is damaged
};

}

Result<bool> isExt(ByteSource& part)
{
    auto const superblock = TRY(readSuperblock(part));
    return loadLittle<std::uint16_t>(ConstByteSpan(superblock).subspan(56, 2)) == EXT2_SUPER_MAGIC;
}

Result<FileTree> listExtFiles(ByteSource& part, FileTreeLimits const& limits)
{
    auto const superblock = TRY(readSuperblock(part));
    TRY(checkSuperblock(superblock, part.size()));
    Below below { part, limits };
    // A guest that runs has not written all checksums anew yet.
    opening = &below;
    ext2_filsys opened = nullptr;
    auto const problem = ext2fs_open2(
        "image", nullptr, EXT2_FLAG_64BITS | EXT2_FLAG_IGNORE_CSUM_ERRORS, 0, 0, channelManager(), &opened);
    opening = nullptr;
    struct Close {
        void operator()(ext2_filsys files) const { ext2fs_free(files); }
    };
    std::unique_ptr<struct_ext2_filsys, Close> const files(opened);
    TRY(below.state());
    if (problem != 0)
        return fail(ErrorCode::Unsupported, fmt::format("the file system: {}", error_message(problem)));
    return Walk(files.get(), below).all();
}

}
