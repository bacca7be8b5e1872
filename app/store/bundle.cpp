#include "app/store/bundle.h"

#include "app/archive/tar_module.h"
#include "app/store/whole_file.h"
#include "vmm/base/bytes.h"
#include "vmm/base/unique_fd.h"
#include "vmm/base/write_behind.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

namespace app {

namespace {

using vmm::fail;
using vmm::Result;

constexpr char const *recordName = "bundle.json", *stateName = "state.json", *endName = "checksums.json";
constexpr std::uint64_t recordLimit = 1u << 20, stateLimit = 64u << 20;
constexpr std::size_t pieceSize = 1u << 20, pageSize = 4096;

/// What a file holds, fed in its order, with holes as zeros.
class Hash {
public:
    Hash() : m_state(XXH3_createState(), &XXH3_freeState) { XXH3_128bits_reset(m_state.get()); }
    void add(vmm::ConstByteSpan data) { XXH3_128bits_update(m_state.get(), data.data(), data.size()); }
    /// At most a piece of them.
    void addZeros(std::uint64_t count)
    {
        static vmm::Bytes const zeros(pieceSize);
        add(vmm::ConstByteSpan(zeros).first(count));
    }
    BundleEnd::Sum sum(std::string name) const
    {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(m_state.get()));
        BundleEnd::Sum sum { std::move(name), {} };
        std::copy(std::begin(canonical.digest), std::end(canonical.digest), sum.hash.begin());
        return sum;
    }

private:
    std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> m_state;
};

BundleEnd::Sum sumOf(std::string name, std::string_view text)
{
    Hash hash;
    hash.add(vmm::bytesOf(text));
    return hash.sum(std::move(name));
}

/// Tells how far all files together are.
class Steps {
public:
    Steps(BundleRecord const& record, BundleProgress const& progress) : m_progress(progress)
    {
        for (auto const& file : record.files)
            m_total += static_cast<double>(file.size);
    }
    Result<> add(std::uint64_t bytes)
    {
        m_done += static_cast<double>(bytes);
        if (m_progress && !m_progress(m_total > 0 ? m_done / m_total : 1))
            return fail(vmm::ErrorCode::Cancelled, "it was cancelled");
        return {};
    }

private:
    BundleProgress const& m_progress;
    double m_total = 0, m_done = 0;
};

template<typename T>
std::string textOf(T const& described)
{
    return vmm::state::toText(vmm::state::save(described).toJson(), 1) + "\n";
}

template<typename T>
Result<T> fromText(std::string_view text, std::size_t limit)
{
    auto const json = TRY(vmm::state::parseJson(text, limit));
    auto const section = TRY(vmm::Section::fromJson(json));
    return vmm::state::load<T>(section);
}

// Writing

Result<> written(TarOutcome const& outcome)
{
    if (!outcome)
        return {};
    return fail(outcome->osError > 0 ? vmm::osError("cannot write the bundle", outcome->osError)
                                     : vmm::Error { vmm::ErrorCode::IoError, outcome->text, 0 });
}

Result<> addText(TarWriter& writer, std::string const& name, std::string_view text)
{
    TRY(written(writer.begin(name, text.size(), {})));
    return written(writer.write(text.data(), text.size()));
}

/// Where a file has data.
std::vector<TarWriter::Run> runsOf(int file, std::uint64_t size)
{
    std::vector<TarWriter::Run> runs;
    for (off_t at = 0;;) {
        auto const begin = ::lseek(file, at, SEEK_DATA);
        if (begin < 0)
            break;
        auto const end = ::lseek(file, begin, SEEK_HOLE);
        if (end <= begin)
            break;
        runs.push_back({ std::uint64_t(begin), std::uint64_t(end - begin) });
        at = end;
    }
    // Nothing but a hole is one run of nothing at the end; nothing but data needs no map.
    if (runs.size() == 1 && runs[0].offset == 0 && runs[0].length == size)
        return {};
    if (size > 0 && (runs.empty() || runs.back().offset + runs.back().length < size))
        runs.push_back({ size, 0 });
    return runs;
}

Result<vmm::UniqueFd> openNamed(std::string const& directory, std::string const& name)
{
    return vmm::openRegularFile(directory + "/" + name);
}

Result<BundleEnd::Sum> addFile(TarWriter& writer, std::string const& directory, BundleFile const& file,
    std::function<Result<>(std::uint64_t)> const& added)
{
    auto const open = TRY(openNamed(directory, file.name));
    auto const runs = runsOf(open.get(), file.size);
    TRY(written(writer.begin(file.name, file.size, runs)));
    Hash hash;
    vmm::Bytes piece(pieceSize);
    for (std::uint64_t at = 0; at < file.size;) {
        auto const wanted = std::min<std::uint64_t>(pieceSize, file.size - at);
        auto const got = ::pread(open.get(), piece.data(), wanted, static_cast<off_t>(at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? fail(vmm::osError("cannot read " + file.name))
                           : fail(vmm::ErrorCode::IoError, file.name + " has become shorter");
        auto const count = static_cast<std::size_t>(got);
        hash.add(vmm::ConstByteSpan(piece).first(count));
        TRY(written(writer.write(piece.data(), count)));
        at += count;
        TRY(added(count));
    }
    return hash.sum(file.name);
}

// Reading

Result<> checkRecord(BundleRecord const& record)
{
    std::set<std::string_view> names { recordName, endName };
    for (auto const& file : record.files) {
        if (!isBundleName(file.name))
            return fail(vmm::ErrorCode::Corrupt, fmt::format("\"{}\" is no name of a file in a bundle", file.name));
        if (!names.insert(file.name).second)
            return fail(vmm::ErrorCode::Corrupt, fmt::format("the bundle has {} twice", file.name));
    }
    if (record.files.empty() || record.files.front().name != stateName)
        return fail(vmm::ErrorCode::Corrupt, "the bundle does not begin with a machine's state");
    return {};
}

class Reader {
public:
    static Result<Reader> open(int descriptor)
    {
        auto const tar = TRY(tarFunctions());
        Reader reader;
        TRY(check(tar.openReader(descriptor, reader.m_tar)));
        return reader;
    }

    /// The next file, which must have that name.
    Result<std::uint64_t> next(std::string const& name)
    {
        std::optional<TarReader::Entry> entry;
        TRY(check(m_tar->next(entry)));
        if (!entry)
            return fail(vmm::ErrorCode::Corrupt, fmt::format("the bundle ends before {}", name));
        if (entry->name != name)
            return fail(
                vmm::ErrorCode::Corrupt, fmt::format("the bundle has {} where {} should be", entry->name, name));
        if (!entry->isFile)
            return fail(vmm::ErrorCode::Corrupt, fmt::format("{} is no file", name));
        return entry->size;
    }

    Result<std::string> text(std::string const& name, std::uint64_t limit)
    {
        auto const size = TRY(next(name));
        if (size > limit)
            return fail(vmm::ErrorCode::Corrupt, fmt::format("{} cannot have {} bytes", name, size));
        std::string text(size, '\0');
        TRY(eachPiece(size, [&](std::uint64_t offset, vmm::ConstByteSpan data) -> Result<> {
            std::copy(data.begin(), data.end(), text.begin() + static_cast<std::ptrdiff_t>(offset));
            return {};
        }));
        return text;
    }

    /// What the present file holds, in its order, without its holes.
    Result<> eachPiece(
        std::uint64_t size, std::function<Result<>(std::uint64_t offset, vmm::ConstByteSpan data)> const& take)
    {
        for (std::uint64_t end = 0;;) {
            std::optional<TarReader::Piece> piece;
            TRY(check(m_tar->read(piece)));
            if (!piece)
                return {};
            if (piece->offset < end || piece->offset > size || piece->size > size - piece->offset)
                return fail(vmm::ErrorCode::Corrupt, "a file of the bundle is longer than it says");
            end = piece->offset + piece->size;
            if (piece->size > 0)
                TRY(take(piece->offset, { piece->data, piece->size }));
        }
    }

private:
    static Result<> check(TarOutcome const& outcome)
    {
        if (!outcome)
            return {};
        if (outcome->osError > 0)
            return fail(vmm::osError("cannot read the bundle", outcome->osError));
        return fail(vmm::ErrorCode::Corrupt, fmt::format("this is no whole bundle: {}", outcome->text));
    }

    std::unique_ptr<TarReader> m_tar;
};

Result<> writeAt(int file, std::uint64_t offset, vmm::ConstByteSpan data)
{
    while (!data.empty()) {
        auto const written = ::pwrite(file, data.data(), data.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return vmm::failOs("cannot write what is in the bundle");
        offset += static_cast<std::uint64_t>(written);
        data = data.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

/// Zeros stay holes, whatever the archive makes of them.
Result<> writeUsed(int file, std::uint64_t offset, vmm::ConstByteSpan data)
{
    while (!data.empty()) {
        auto const piece = data.first(std::min<std::size_t>(data.size(), pageSize - offset % pageSize));
        if (std::any_of(piece.begin(), piece.end(), [](auto byte) { return byte != 0; }))
            TRY(writeAt(file, offset, piece));
        offset += piece.size();
        data = data.subspan(piece.size());
    }
    return {};
}

Result<BundleEnd::Sum> unpack(Reader& reader, std::string const& directory, BundleFile const& file, Steps& steps)
{
    if (TRY(reader.next(file.name)) != file.size)
        return fail(vmm::ErrorCode::Corrupt, fmt::format("{} is not as long as the bundle says", file.name));
    auto const path = directory + "/" + file.name;
    auto const made = TRY(vmm::openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (::ftruncate(made.get(), static_cast<off_t>(file.size)) != 0)
        return vmm::failOs("cannot make " + path);
    Hash hash;
    vmm::WriteBehind behind(made.get());
    std::uint64_t end = 0;
    // Of a hole only the hash takes time, but there may be terabytes of it.
    auto const addHole = [&](std::uint64_t until) -> Result<> {
        while (end < until) {
            auto const step = std::min<std::uint64_t>(until - end, pieceSize);
            hash.addZeros(step);
            end += step;
            TRY(steps.add(step));
        }
        return {};
    };
    auto const take = [&](std::uint64_t offset, vmm::ConstByteSpan data) -> Result<> {
        TRY(addHole(offset));
        hash.add(data);
        TRY(writeUsed(made.get(), offset, data));
        end += data.size();
        behind.wroteUpTo(end);
        return steps.add(data.size());
    };
    TRY(reader.eachPiece(file.size, take));
    TRY(addHole(file.size));
    if (::fsync(made.get()) != 0)
        return vmm::failOs("cannot write " + path + " to the disk");
    return hash.sum(file.name);
}

}

bool isBundleName(std::string_view name)
{
    constexpr std::string_view good = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return !name.empty() && name.size() <= 100 && name.front() != '.' && name.front() != '-'
        && name.find_first_not_of(good) == std::string_view::npos;
}

Result<> writeBundle(std::string const& directory, BundleRecord record, int descriptor, BundleProgress const& progress)
{
    for (auto& file : record.files) {
        auto const open = TRY(openNamed(directory, file.name));
        struct stat status { };
        if (::fstat(open.get(), &status) != 0)
            return vmm::failOs("cannot look at " + file.name);
        file.size = static_cast<std::uint64_t>(status.st_size);
    }
    TRY(checkRecord(record));
    Steps steps(record, progress);
    vmm::WriteBehind behind(descriptor);
    auto const added = [&](std::uint64_t bytes) {
        if (auto const end = ::lseek(descriptor, 0, SEEK_CUR); end > 0) // of a pipe there is none
            behind.wroteUpTo(static_cast<std::uint64_t>(end));
        return steps.add(bytes);
    };
    std::unique_ptr<TarWriter> writer;
    auto const tar = TRY(tarFunctions());
    TRY(written(tar.openWriter(descriptor, writer)));
    BundleEnd end;
    auto const text = textOf(record);
    TRY(addText(*writer, recordName, text));
    end.files.push_back(sumOf(recordName, text));
    for (auto const& file : record.files)
        end.files.push_back(TRY_WITHIN(file.name, addFile(*writer, directory, file, added)));
    TRY(addText(*writer, endName, textOf(end)));
    return written(writer->end());
}

Result<BundleRecord> readBundle(
    int descriptor, std::string const& directory, BundleAcceptor const& accept, BundleProgress const& progress)
{
    auto reader = TRY(Reader::open(descriptor));
    std::vector<BundleEnd::Sum> sums;
    auto const text = TRY(reader.text(recordName, recordLimit));
    sums.push_back(sumOf(recordName, text));
    auto record = TRY_WITHIN(recordName, fromText<BundleRecord>(text, recordLimit));
    TRY(checkRecord(record));
    Steps steps(record, progress);
    auto const state = TRY(reader.text(stateName, stateLimit));
    sums.push_back(sumOf(stateName, state));
    if (state.size() != record.files.front().size)
        return fail(vmm::ErrorCode::Corrupt, "the state is not as long as the bundle says");
    TRY(accept(record, state));
    TRY(writeWholeFile(directory + "/" + stateName, vmm::bytesOf(state)));
    TRY(steps.add(state.size()));
    for (std::size_t i = 1; i < record.files.size(); ++i)
        sums.push_back(TRY_WITHIN(record.files[i].name, unpack(reader, directory, record.files[i], steps)));
    auto const endText = TRY(reader.text(endName, recordLimit));
    auto const end = TRY_WITHIN(endName, fromText<BundleEnd>(endText, recordLimit));
    if (end.files.size() != sums.size())
        return fail(vmm::ErrorCode::Corrupt, "the bundle does not have a checksum for each of its files");
    for (std::size_t i = 0; i < sums.size(); ++i) {
        if (end.files[i] != sums[i])
            return fail(vmm::ErrorCode::Corrupt, fmt::format("{} is damaged", sums[i].name));
    }
    TRY(syncDirectory(directory));
    return record;
}

}
