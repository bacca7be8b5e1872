#include "vmm/block/image_check.h"

#include "vmm/base/log.h"
#include "vmm/block/qcow2_uses.h"

#include <sys/stat.h>
#include <tuple>

namespace vmm {

using namespace qcow2;

namespace {

Result<bool> compare(HostFile& file, std::function<Result<>()> const& goOn)
{
    auto const size = TRY(file.size());
    auto header = TRY(Header::read(file, size));
    if ((header.incompatible & dirtyBit) != 0)
        return false;
    File qcow(file, std::move(header), size);
    Refcounts refcounts(qcow);
    TRY(refcounts.open());
    auto uses = TRY(Uses::count(qcow, refcounts, goOn));
    auto const& counts = uses.counts();
    for (std::uint64_t cluster = 0; cluster < counts.size(); ++cluster) {
        if (counts[cluster] == 0)
            continue;
        if (auto const counted = TRY(refcounts.get(cluster)); counted < counts[cluster]) {
            return fail(qcow.corruptError(
                fmt::format("cluster {} is used {} times and counts {} times", cluster, counts[cluster], counted)));
        }
    }
    if (!TRY(uses.flagsAgree()))
        return fail(qcow.corruptError("it would write in place what a snapshot needs"));
    return true;
}

/// What changes with each write.
auto stampOf(HostFile const& file)
{
    struct stat status { };
    (void)::fstat(file.fd(), &status);
    return std::tuple(status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

}

Result<bool> checkCounts(std::string const& path, std::function<Result<>()> const& goOn)
{
    auto const file = TRY(HostFile::open(path, Access::ReadOnly, CacheMode::Writeback, HostFile::Lock::No));
    constexpr int tries = 3;
    for (int i = 0; i < tries && !isBeingWritten(*file); ++i) {
        auto const before = stampOf(*file);
        auto agrees = compare(*file, goOn);
        if (agrees || agrees.error().code == ErrorCode::Cancelled)
            return agrees;
        if (agrees.error().code == ErrorCode::Unsupported) {
            log(LogLevel::Debug, "block", "{}", agrees.error().message());
            return false;
        }
        if (stampOf(*file) == before && !isBeingWritten(*file))
            return agrees;
    }
    return false;
}

}
