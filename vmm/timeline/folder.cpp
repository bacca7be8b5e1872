#include "vmm/timeline/folder.h"

#include "vmm/base/unique_fd.h"
#include "vmm/base/write_behind.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

namespace vmm::timeline {

namespace {

class HostStoredFile final : public StoredFile {
public:
    HostStoredFile(std::string name, UniqueFd fd) : m_name(std::move(name)), m_fd(std::move(fd)) { }

    std::string const& name() const override { return m_name; }
    UniqueFd const& fd() const { return m_fd; }

    Result<std::uint64_t> size() const override
    {
        struct stat status { };
        if (::fstat(m_fd.get(), &status) != 0)
            return failOs("cannot look at " + m_name);
        return static_cast<std::uint64_t>(status.st_size);
    }

    Result<> read(std::uint64_t offset, ByteSpan data) const override
    {
        while (!data.empty()) {
            auto const got = ::pread(m_fd.get(), data.data(), data.size(), static_cast<off_t>(offset));
            if (got < 0 && errno == EINTR)
                continue;
            if (got < 0)
                return failOs("cannot read " + m_name);
            if (got == 0)
                return fail(ErrorCode::Corrupt, m_name + " is shorter than it was");
            data = data.subspan(static_cast<std::size_t>(got));
            offset += static_cast<std::uint64_t>(got);
        }
        return {};
    }

    void readAhead(std::uint64_t offset, std::uint64_t size) const override
    {
        ::posix_fadvise(m_fd.get(), static_cast<off_t>(offset), static_cast<off_t>(size), POSIX_FADV_WILLNEED);
    }

private:
    std::string m_name;
    UniqueFd m_fd;
};

class HostNewFile final : public NewFile {
public:
    HostNewFile(std::string name, UniqueFd fd) : m_name(std::move(name)), m_fd(std::move(fd)), m_behind(m_fd.get()) { }

    Result<> append(ConstByteSpan data) override
    {
        while (!data.empty()) {
            auto const written = ::write(m_fd.get(), data.data(), data.size());
            if (written < 0 && errno == EINTR)
                continue;
            if (written <= 0)
                return failOs("cannot write " + m_name);
            data = data.subspan(static_cast<std::size_t>(written));
            m_size += static_cast<std::uint64_t>(written);
        }
        m_behind.wroteUpTo(m_size);
        return {};
    }

    Result<> sync() override
    {
        return ::fdatasync(m_fd.get()) == 0 ? Result<>() : failOs("cannot make durable " + m_name);
    }

private:
    std::string m_name;
    UniqueFd m_fd;
    WriteBehind m_behind;
    std::uint64_t m_size = 0;
};

class HostFolder final : public Folder {
public:
    explicit HostFolder(std::string path) : m_path(std::move(path)) { }

    std::string path() const override { return m_path; }

    Result<std::shared_ptr<StoredFile const>> open(std::string const& name) const override
    {
        auto path = at(name);
        auto fd = TRY(openRegularFile(path));
        return std::make_shared<HostStoredFile>(std::move(path), std::move(fd));
    }

    Result<std::unique_ptr<NewFile>> create(std::string const& name) override
    {
        auto path = at(name);
        auto fd = TRY(openFile(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
        return std::make_unique<HostNewFile>(std::move(path), std::move(fd));
    }

    Result<> rename(std::string const& from, std::string const& to) override
    {
        if (::rename(at(from).c_str(), at(to).c_str()) != 0)
            return failOs("cannot give its name to " + at(to));
        return {};
    }

    Result<> remove(std::string const& name) override
    {
        return ::unlink(at(name).c_str()) == 0 || errno == ENOENT ? Result<>() : failOs("cannot remove " + at(name));
    }

    Result<std::vector<std::string>> list(std::string const& folder) override
    {
        if (::mkdir(at(folder).c_str(), 0700) != 0 && errno != EEXIST)
            return failOs("cannot create " + at(folder));
        std::vector<std::string> names;
        std::error_code problem;
        for (std::filesystem::directory_iterator entry(at(folder), problem), end; entry != end;
             entry.increment(problem))
            names.push_back(entry->path().filename().string());
        if (problem)
            return fail(osError("cannot look into " + at(folder), problem.value()));
        return names;
    }

    Result<> link(StoredFile const& file, std::string const& name) override
    {
        auto const* here = dynamic_cast<HostStoredFile const*>(&file);
        if (here == nullptr)
            return fail(ErrorCode::Unsupported, file.name() + " is no file of this host");
        // By its descriptor: whatever has taken its first name meanwhile, it is the file that was opened.
        auto const open = fmt::format("/proc/self/fd/{}", here->fd().get());
        if (::linkat(AT_FDCWD, open.c_str(), AT_FDCWD, at(name).c_str(), AT_SYMLINK_FOLLOW) == 0)
            return {};
        auto error = osError("cannot give a second name to " + file.name());
        for (auto const impossible : { EXDEV, EPERM, EMLINK, EOPNOTSUPP, ENOENT /* its last name is gone */ }) {
            if (error.osError == impossible)
                error.code = ErrorCode::Unsupported;
        }
        return fail(std::move(error));
    }

    Result<> sync(std::string const& folder) override
    {
        auto const fd = TRY(openFile(at(folder), O_RDONLY | O_DIRECTORY));
        return ::fsync(fd.get()) == 0 ? Result<>() : failOs("cannot make durable " + at(folder));
    }

private:
    std::string at(std::string const& name) const { return name.empty() ? m_path : m_path + "/" + name; }

    std::string m_path;
};

}

Result<std::unique_ptr<Folder>> openFolder(std::string path)
{
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return failOs("cannot create " + path);
    return std::make_unique<HostFolder>(std::move(path));
}

std::string folderOf(std::string const& name)
{
    auto const slash = name.rfind('/');
    return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

namespace {

Result<> writeWhole(Folder& folder, std::string const& name, std::function<Result<>(NewFile&)> const& fill)
{
    auto const fresh = name + ".new";
    auto const written = [&]() -> Result<> {
        auto const file = TRY(folder.create(fresh));
        TRY(fill(*file));
        TRY(file->sync());
        return folder.rename(fresh, name);
    }();
    if (!written) {
        ignore(folder.remove(fresh));
        return written;
    }
    return folder.sync(folderOf(name));
}

}

Result<> writeWhole(Folder& folder, std::string const& name, ConstByteSpan contents)
{
    return writeWhole(folder, name, [&](NewFile& file) { return file.append(contents); });
}

Result<> copyWhole(StoredFile const& file, Folder& folder, std::string const& name, std::function<bool()> const& goOn)
{
    auto const size = TRY(file.size());
    return writeWhole(folder, name, [&](NewFile& copy) -> Result<> {
        Bytes piece;
        for (std::uint64_t offset = 0; offset < size; offset += piece.size()) {
            if (!goOn())
                return fail(ErrorCode::Cancelled, "copying " + name + " was cancelled");
            piece.resize(std::min<std::uint64_t>(1 << 20, size - offset));
            TRY(file.read(offset, piece));
            TRY(copy.append(piece));
        }
        return {};
    });
}

Result<Bytes> readWhole(Folder const& folder, std::string const& name, std::uint64_t limit)
{
    auto const file = TRY(folder.open(name));
    auto const size = TRY(file->size());
    if (size > limit)
        return fail(ErrorCode::Corrupt, fmt::format("{} has {} bytes, at most {} are possible", name, size, limit));
    Bytes contents(size);
    TRY(file->read(0, contents));
    return contents;
}

}
