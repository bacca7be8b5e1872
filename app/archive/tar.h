#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

/// A POSIX tar archive (pax) compressed with zstd, as a stream. libarchive does the work; these interfaces stand before
/// it so that no program carries libarchive, and what that brings along, until it has a bundle to write or to read
/// (tar_module.h).
namespace app {

/// What went wrong; nothing is good.
struct TarProblem {
    std::string text;
    int osError = 0; ///< errno, where the host said no
};
using TarOutcome = std::optional<TarProblem>;

class TarWriter {
public:
    virtual ~TarWriter() = default;

    struct Run {
        std::uint64_t offset, length;
    };
    /// A regular file: `runs` is where it has data, in their order; none means everywhere.
    virtual TarOutcome begin(std::string const& name, std::uint64_t size, std::vector<Run> const& runs) = 0;
    /// All bytes of the present file in their order, those in holes too, which are left out.
    virtual TarOutcome write(void const* bytes, std::size_t size) = 0;
    /// What has not been ended is cut off.
    virtual TarOutcome end() = 0;
};

class TarReader {
public:
    virtual ~TarReader() = default;

    struct Entry {
        std::string name;
        bool isFile = false; ///< a regular one, and no link
        std::uint64_t size = 0;
    };
    /// The next entry, or none at the end.
    virtual TarOutcome next(std::optional<Entry>& entry) = 0;

    struct Piece {
        std::uint8_t const* data; ///< good until the next call
        std::size_t size;
        std::uint64_t offset;
    };
    /// What the present entry holds without its holes, as the archive has it: nothing is checked against its size. None
    /// at its end.
    virtual TarOutcome read(std::optional<Piece>& piece) = 0;
};

/// The one function of the module "archive.so", which is built together with who loads it. Descriptors stay the
/// caller's.
struct TarFunctions {
    TarOutcome (*openWriter)(int descriptor, std::unique_ptr<TarWriter>& writer) = nullptr;
    TarOutcome (*openReader)(int descriptor, std::unique_ptr<TarReader>& reader) = nullptr;
};
using GetTarFunctions = TarFunctions();
inline constexpr char const* getTarFunctionsName = "chronovisorTarFunctions1";

}
