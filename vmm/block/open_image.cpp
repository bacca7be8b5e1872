#include "vmm/base/log.h"
#include "vmm/block/guess_format.h"
#include "vmm/block/qcow2_image.h"
#include "vmm/block/raw_image.h"

#include <algorithm>
#include <array>
#include <filesystem>

namespace vmm {

namespace {

struct KnownFormat {
    std::string_view name;
    std::uint64_t offset; // of the signature; `fromEnd`: counted back from the end
    std::string_view signature;
    bool fromEnd = false;
};

using namespace std::string_view_literals;

// The signatures are facts of the formats; what unpacks first is listed because such files are what people
// download.
constexpr std::array knownFormats {
    KnownFormat { "a VMDK image", 0, "KDMV"sv },
    KnownFormat { "a VMDK image", 0, "COWD"sv },
    KnownFormat { "a VMDK descriptor", 0, "# Disk DescriptorFile"sv },
    KnownFormat { "a VDI image", 0x40, "\x7f\x10\xda\xbe"sv },
    KnownFormat { "a VHDX image", 0, "vhdxfile"sv },
    KnownFormat { "a VHD image", 0, "conectix"sv },
    KnownFormat { "a VHD image of fixed size", 512, "conectix"sv, true },
    KnownFormat { "a QED image", 0, "QED\0"sv },
    KnownFormat { "a Parallels image", 0, "WithoutFreeSpace"sv },
    KnownFormat { "a Parallels image", 0, "WithouFreSpacExt"sv },
    KnownFormat { "a Bochs image", 0, "Bochs Virtual HD Image"sv },
    KnownFormat { "an Apple disk image (DMG)", 512, "koly"sv, true },
    KnownFormat { "compressed with xz, to be unpacked first", 0,
        "\xfd"
        "7zXZ\0"sv },
    KnownFormat { "compressed with gzip, to be unpacked first", 0, "\x1f\x8b\x08"sv },
    KnownFormat { "compressed with bzip2, to be unpacked first", 0, "BZh"sv },
    KnownFormat { "compressed with zstd, to be unpacked first", 0, "\x28\xb5\x2f\xfd"sv },
    KnownFormat { "a zip archive, to be unpacked first", 0, "PK\x03\x04"sv },
    KnownFormat { "a tar archive (an OVA is one), to be unpacked first", 257, "ustar"sv },
};

/// Where the files of a chain are that have been opened on the way to this one.
struct ChainState {
    IoEngine& engine;
    ImageOptions options;
    std::vector<std::uint64_t> identities;
};

/// The format of a backing file that its image does not tell: raw. One that looks like another may be a raw disk into
/// which a guest has written a header that names any file, so a person has to say it.
Result<ImageFormat> unsaidFormat(std::string const& imagePath, std::string const& below)
{
    auto const file = TRY(HostFile::open(below, Access::ReadOnly, CacheMode::Writeback, HostFile::Lock::No));
    if (TRY(detectFormat(*file)) == ImageFormat::Raw)
        return ImageFormat::Raw;
    return fail(ErrorCode::InvalidArgument,
        fmt::format("{0} does not say of which format its backing file is, and {1} looks like qcow2. If it is, write "
                    "that into the image: qemu-img rebase -u -F qcow2 -b {1} {0}",
            imagePath, below));
}

}

Result<> checkBacking(std::string const& imagePath, std::string const& below, std::vector<std::string> const& allowed)
{
    namespace fs = std::filesystem;
    std::error_code error, other;
    auto const file = fs::canonical(below, error);
    if (error)
        return fail(osError("cannot open " + below, error.value()));
    if (std::ranges::any_of(allowed, [&](auto const& path) { return fs::weakly_canonical(path, other) == file; }))
        return {};
    bool const beside = file.parent_path() == fs::canonical(imagePath, other).parent_path();
    if (beside && fs::is_regular_file(file, other))
        return {};
    return fail(ErrorCode::InvalidArgument,
        fmt::format("{} wants to stand on {}, which is {}: the guest could read all of it. If that is meant, {}name it "
                    "as the disk's backing file (chronoctl: --disk PATH,backing={})",
            imagePath, file.string(), beside ? "no regular file" : "outside of its folder",
            beside ? "" : "put it beside the image, or ", file.string()));
}

namespace {

Result<std::unique_ptr<BlockImage>> openInChain(ChainState& chain, std::string const& path)
{
    if (chain.identities.size() >= BlockImage::maximumDepth)
        return fail(
            ErrorCode::Unsupported, fmt::format("more than {} images on top of each other", BlockImage::maximumDepth));
    auto const& options = chain.options;
    auto file = TRY(HostFile::open(path, options.access, options.cache, options.lock));
    if (std::ranges::find(chain.identities, file->identity()) != chain.identities.end())
        return fail(ErrorCode::Corrupt, path + " has itself as its backing file");
    chain.identities.push_back(file->identity());
    return BlockImage::open(chain.engine, std::move(file), options,
        [&](std::string const& name, std::optional<ImageFormat> format) -> Result<std::unique_ptr<BlockImage>> {
            auto const below = TRY(backingPath(path, name));
            TRY(checkBacking(path, below, chain.options.backing));
            chain.options.access = Access::ReadOnly;
            chain.options.snapshot.clear();
            chain.options.format = format ? *format : TRY(unsaidFormat(path, below));
            return openInChain(chain, below);
        });
}

}

Result<ImageFormat> detectFormat(BlockFile& file)
{
    auto const size = TRY(file.size());
    std::array<std::uint8_t, 512> start {}, end {};
    TRY(file.read(0, ByteSpan(start).first(std::min<std::size_t>(start.size(), size))));
    if (size >= 512)
        TRY(file.read(size - 512, end));
    if (loadBig<std::uint32_t>(start) == qcow2::magic) {
        if (loadBig<std::uint32_t>(ConstByteSpan(start).subspan(4)) == 1)
            return fail(ErrorCode::Unsupported, file.name() + " is a qcow image of version 1");
        return ImageFormat::Qcow2;
    }
    for (auto const& format : knownFormats) {
        auto const text = bytesOf(format.signature);
        auto const where = format.fromEnd ? ConstByteSpan(end) : ConstByteSpan(start).subspan(format.offset);
        if (std::ranges::equal(where.first(text.size()), text))
            return fail(ErrorCode::Unsupported, fmt::format("{} is {}", file.name(), format.name));
    }
    return ImageFormat::Raw;
}

Result<std::unique_ptr<BlockImage>> BlockImage::open(
    IoEngine& engine, std::string const& path, ImageOptions const& options)
{
    ChainState chain { engine, options, {} };
    return openInChain(chain, path);
}

Result<std::unique_ptr<BlockImage>> BlockImage::open(
    IoEngine& engine, std::unique_ptr<BlockFile> file, ImageOptions const& options, OpenBacking const& openBacking)
{
    auto const format = options.format ? *options.format : TRY(detectFormat(*file));
    if (format == ImageFormat::Raw) {
        if (!options.snapshot.empty())
            return fail(ErrorCode::Unsupported, file->name() + ": a raw image has no snapshots of its own");
        return std::unique_ptr<BlockImage>(TRY(RawImage::open(engine, std::move(file), options.access)));
    }
    return std::unique_ptr<BlockImage>(TRY(Qcow2Image::open(engine, std::move(file), options, openBacking)));
}

}
