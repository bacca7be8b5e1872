#include "vmm/machine/disk_diff.h"

#include "vmm/filesystems/ext_files.h"
#include "vmm/filesystems/partitions.h"

#include <algorithm>

namespace vmm {

namespace {

/// An image's bytes, wherever they begin.
class ImageSource final : public ByteSource {
public:
    explicit ImageSource(BlockImage& image) : m_image(image) { }
    std::uint64_t size() const override { return m_image.size(); }
    Result<> read(std::uint64_t offset, ByteSpan data) override
    {
        constexpr auto sector = BlockImage::sectorSize;
        auto const first = alignDown(offset, sector), end = alignUp(offset + data.size(), sector);
        if (first == offset && end == offset + data.size())
            return m_image.readSync(offset, data);
        m_sectors.resize(end - first);
        TRY(m_image.readSync(first, m_sectors));
        std::copy_n(m_sectors.begin() + static_cast<std::ptrdiff_t>(offset - first), data.size(), data.begin());
        return {};
    }

private:
    BlockImage& m_image;
    Bytes m_sectors;
};

bool changesIn(ChangedRuns const& changed, Partition const& part)
{
    // Of what is left out nobody knows where it is.
    return !changed.isWhole || std::ranges::any_of(changed.runs, [&](auto const& run) {
        return run.offset < part.offset + part.size && run.offset + run.length > part.offset;
    });
}

Result<FileChanges> compareFiles(ByteSource& before, ByteSource& after, std::size_t most, FileTreeLimits const& limits)
{
    auto const old = TRY(listExtFiles(before, limits)), fresh = TRY(listExtFiles(after, limits));
    return compareTrees(old, fresh, most);
}

/// The parts that both have at the same place.
Result<std::vector<PartitionDiff>> comparePartitions(
    ByteSource& before, ByteSource& after, ChangedRuns const& changed, std::size_t most, FileTreeLimits const& limits)
{
    auto const old = TRY(findPartitions(before)), fresh = TRY(findPartitions(after));
    std::vector<PartitionDiff> differences;
    for (auto const& part : fresh) {
        if (std::ranges::find(old, part) == old.end() || !changesIn(changed, part))
            continue;
        PartSource was(before, part), is(after, part);
        if (!TRY(isExt(was)) || !TRY(isExt(is)))
            continue;
        PartitionDiff difference { .number = part.number, .offset = part.offset };
        auto const changes = compareFiles(was, is, most, limits);
        if (!changes && changes.error().code == ErrorCode::Cancelled)
            return fail(changes.error());
        if (changes)
            difference.changes = *changes;
        else
            difference.problem = changes.error().message();
        differences.push_back(std::move(difference));
    }
    return differences;
}

}

Result<DiskDiff> compareDisks(std::string id, BlockImage& before, BlockImage& after, std::size_t mostRuns,
    std::size_t mostFiles, ImageDiffProgress const& progress)
{
    DiskDiff diff { .id = std::move(id), .before = before.size(), .after = after.size() };
    auto const compared = [&]() -> Result<> {
        diff.changed = TRY(compareImages(before, after, mostRuns, progress));
        if (diff.changed.bytes == 0 || mostFiles == 0)
            return {};
        auto const size = std::max(before.size(), after.size());
        FileTreeLimits limits;
        limits.goOn = [&] { return !progress || progress(size); };
        ImageSource was(before), is(after);
        diff.files = TRY(comparePartitions(was, is, diff.changed, mostFiles, limits));
        return {};
    }();
    if (!compared && compared.error().code == ErrorCode::Cancelled)
        return fail(compared.error());
    if (!compared)
        diff.problem = compared.error().message();
    return diff;
}

}
