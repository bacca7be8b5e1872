#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <memory>
#include <string>
#include <vector>

namespace vmm::timeline {

/// A file that is there, for reading. Any thread.
class StoredFile {
public:
    virtual ~StoredFile() = default;
    virtual std::string const& name() const = 0;
    virtual Result<std::uint64_t> size() const = 0;
    /// All of `data`; Corrupt where the file ends before.
    virtual Result<> read(std::uint64_t offset, ByteSpan data) const = 0;
    /// That part will be read soon: the disk may begin.
    virtual void readAhead(std::uint64_t /*offset*/, std::uint64_t /*size*/) const { }
};

/// A file in the making.
class NewFile {
public:
    virtual ~NewFile() = default;
    virtual Result<> append(ConstByteSpan data) = 0;
    /// What was appended is durable.
    virtual Result<> sync() = 0;
};

/// Where a timeline is kept: a folder with folders in it, one level deep. Names are "packs/00000001". It is the only
/// way in which the timeline touches the disk, so that tests can let every step fail, and cut the power at each.
class Folder {
public:
    virtual ~Folder() = default;
    /// Where another process finds it; empty: nowhere.
    virtual std::string path() const { return {}; }
    virtual Result<std::shared_ptr<StoredFile const>> open(std::string const& name) const = 0;
    /// Empty; one of that name is replaced.
    virtual Result<std::unique_ptr<NewFile>> create(std::string const& name) = 0;
    /// One of the new name is replaced, in one step. Durable after the sync() of their folder, which must be the same.
    virtual Result<> rename(std::string const& from, std::string const& to) = 0;
    virtual Result<> remove(std::string const& name) = 0;
    /// The names (without the folder's) of the files in a folder. One that is not there is made.
    virtual Result<std::vector<std::string>> list(std::string const& folder) = 0;
    /// Gives a file of any folder, which is never written to again, a second name here, which nothing has; each of
    /// the two can go without the other. Durable after the sync() of the folder. Unsupported where there can be no
    /// second name (another file system, one without links, too many of them): such a file is copied.
    virtual Result<> link(StoredFile const& file, std::string const& name) = 0;
    /// Which files are in the folder is durable.
    virtual Result<> sync(std::string const& folder) = 0;
};

/// A real one; `path` is made if it is not there.
Result<std::unique_ptr<Folder>> openFolder(std::string path);

/// Writes `name` whole, durable, in place of what was there: either this or that is there after a crash.
Result<> writeWhole(Folder& folder, std::string const& name, ConstByteSpan contents);
/// The same with what another file holds. Cancelled where `goOn` says so.
Result<> copyWhole(StoredFile const& file, Folder& folder, std::string const& name, std::function<bool()> const& goOn);
/// Corrupt where it is longer than `limit`.
Result<Bytes> readWhole(Folder const& folder, std::string const& name, std::uint64_t limit);

/// "packs" of "packs/00000001".
std::string folderOf(std::string const& name);

}
