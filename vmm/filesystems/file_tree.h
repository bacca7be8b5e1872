#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

/// The files of a guest, for people who want to know which of them changed. Read only, and only what says where things
/// are; a guest that is running may not have written all of that yet.
namespace vmm {

/// The bytes of a disk, or of a part of it. One thread at a time.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    virtual std::uint64_t size() const = 0;
    /// All of `data`, which lies within the size.
    virtual Result<> read(std::uint64_t offset, ByteSpan data) = 0;
};

/// What a file system says of a file besides its name.
struct FileFacts {
    enum class Kind : std::uint8_t { File, Folder, Link, Other };
    Kind kind = Kind::File;
    std::uint64_t size = 0;    ///< bytes
    std::int64_t modified = 0; ///< seconds since 1970, as the guest's clock had it
    std::uint64_t place = 0;   ///< a hash of where its contents are
    bool operator==(FileFacts const&) const = default;
};

/// By path from the file system's root, without the first '/', in the guest's own bytes.
using FileTree = std::map<std::string, FileFacts>;

/// What nobody needs to read more than of a hostile disk.
struct FileTreeLimits {
    std::size_t files = 2'000'000;
    std::uint64_t bytesRead = std::uint64_t(4) << 30;
    std::function<bool()> goOn; ///< false: cancelled
};

struct FileChange {
    enum class What : std::uint8_t { Added, Changed, Removed };
    std::string path;
    What what = What::Changed;
    FileFacts::Kind kind = FileFacts::Kind::File;
    std::uint64_t before = 0, after = 0; ///< bytes
    bool operator==(FileChange const&) const = default;
};

struct FileChanges {
    std::vector<FileChange> files; ///< sorted by path
    std::uint64_t count = 0;       ///< those that are left out too
    bool operator==(FileChanges const&) const = default;
};

/// At most so many are listed. A folder whose contents changed is not itself in the list, what changed in it is.
FileChanges compareTrees(FileTree const& before, FileTree const& after, std::size_t most);

}
