#include "app/archive/tar.h"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <cerrno>
#include <unistd.h>

namespace {

using namespace app;

constexpr std::size_t blockSize = 1u << 20;

TarProblem problemOf(archive* archive)
{
    auto const* text = archive_error_string(archive);
    return { text != nullptr ? text : "libarchive gives no reason", std::max(0, archive_errno(archive)) };
}

class Writer final : public TarWriter {
public:
    Writer() = default;
    Writer(Writer const&) = delete;
    Writer& operator=(Writer const&) = delete;
    /// Else libarchive would fill up what is left of the present file, however long it is.
    ~Writer() override
    {
        if (!m_hasEnded)
            archive_write_fail(m_archive.get());
    }

    TarOutcome open(int descriptor)
    {
        for (auto const outcome :
            { archive_write_set_format_pax(m_archive.get()), archive_write_add_filter_zstd(m_archive.get()),
                archive_write_set_filter_option(m_archive.get(), "zstd", "compression-level", "3"),
                archive_write_open_fd(m_archive.get(), descriptor) }) {
            if (auto problem = check(outcome))
                return problem;
        }
        return {};
    }

    TarOutcome begin(std::string const& name, std::uint64_t size, std::vector<Run> const& runs) override
    {
        std::unique_ptr<archive_entry, decltype(&archive_entry_free)> const entry(
            archive_entry_new(), &archive_entry_free);
        archive_entry_set_pathname(entry.get(), name.c_str());
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        archive_entry_set_perm(entry.get(), 0600);
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
        for (auto const& run : runs) {
            archive_entry_sparse_add_entry(
                entry.get(), static_cast<la_int64_t>(run.offset), static_cast<la_int64_t>(run.length));
        }
        return check(archive_write_header(m_archive.get(), entry.get()));
    }

    TarOutcome write(void const* bytes, std::size_t size) override
    {
        auto const* at = static_cast<std::uint8_t const*>(bytes);
        while (size > 0) {
            auto const written = archive_write_data(m_archive.get(), at, size);
            if (written <= 0)
                return check(written < 0 ? static_cast<int>(written) : ARCHIVE_FATAL);
            at += written;
            size -= static_cast<std::size_t>(written);
        }
        return {};
    }

    TarOutcome end() override
    {
        m_hasEnded = true;
        return check(archive_write_close(m_archive.get()));
    }

private:
    TarOutcome check(int outcome) const
    {
        return outcome >= ARCHIVE_WARN ? TarOutcome() : TarOutcome(problemOf(m_archive.get()));
    }

    std::unique_ptr<archive, decltype(&archive_write_free)> m_archive { archive_write_new(), &archive_write_free };
    bool m_hasEnded = false;
};

class Reader final : public TarReader {
public:
    TarOutcome open(int descriptor)
    {
        m_descriptor = descriptor;
        // These and no others: each format that is understood is one more that could be wrong.
        for (auto const outcome :
            { archive_read_support_format_tar(m_archive.get()), archive_read_support_filter_zstd(m_archive.get()),
                archive_read_open(m_archive.get(), this, nullptr, &readMore, nullptr) }) {
            if (auto problem = check(outcome))
                return problem;
        }
        return {};
    }

    TarOutcome next(std::optional<Entry>& entry) override
    {
        archive_entry* found = nullptr;
        auto const outcome = archive_read_next_header(m_archive.get(), &found);
        entry.reset();
        if (outcome == ARCHIVE_EOF)
            return {};
        if (auto problem = check(outcome))
            return problem;
        auto const* name = archive_entry_pathname(found);
        auto const size = archive_entry_size(found);
        entry = { .name = name != nullptr ? name : "",
            .isFile
            = archive_entry_filetype(found) == AE_IFREG && archive_entry_hardlink(found) == nullptr && size >= 0,
            .size = static_cast<std::uint64_t>(std::max<la_int64_t>(0, size)) };
        return {};
    }

    TarOutcome read(std::optional<Piece>& piece) override
    {
        void const* data = nullptr;
        std::size_t length = 0;
        la_int64_t offset = 0;
        auto const outcome = archive_read_data_block(m_archive.get(), &data, &length, &offset);
        piece.reset();
        if (outcome == ARCHIVE_EOF)
            return {};
        if (auto problem = check(outcome))
            return problem;
        piece = { static_cast<std::uint8_t const*>(data), length, static_cast<std::uint64_t>(offset) };
        return {};
    }

private:
    /// Not libarchive's own, which keeps to itself what the host says while it looks for the format, or takes it for
    /// the end.
    static la_ssize_t readMore(archive* archive, void* reader, void const** data)
    {
        auto& self = *static_cast<Reader*>(reader);
        *data = self.m_block.data();
        for (;;) {
            auto const got = ::read(self.m_descriptor, self.m_block.data(), self.m_block.size());
            if (got >= 0)
                return got;
            if (errno == EINTR)
                continue;
            self.m_osError = errno;
            archive_set_error(archive, errno, "reading");
            return ARCHIVE_FATAL;
        }
    }

    /// What is only a warning to others makes it other than what we write. Of errors those alone are the host's that
    /// reading has met: libarchive has numbers for its own among them.
    TarOutcome check(int outcome) const
    {
        if (outcome == ARCHIVE_OK)
            return {};
        return TarProblem { problemOf(m_archive.get()).text, m_osError };
    }

    int m_descriptor = -1;
    int m_osError = 0;
    std::vector<std::uint8_t> m_block = std::vector<std::uint8_t>(blockSize);
    std::unique_ptr<archive, decltype(&archive_read_free)> m_archive { archive_read_new(), &archive_read_free };
};

template<typename Stream, typename Interface>
TarOutcome open(int descriptor, std::unique_ptr<Interface>& opened)
{
    auto stream = std::make_unique<Stream>();
    auto problem = stream->open(descriptor);
    if (!problem)
        opened = std::move(stream);
    return problem;
}

}

// Only what was built together with it calls it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wreturn-type-c-linkage"
extern "C" __attribute__((visibility("default"))) app::TarFunctions chronovisorTarFunctions1()
{
    return { &open<Writer, app::TarWriter>, &open<Reader, app::TarReader> };
}
#pragma GCC diagnostic pop
