#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/timeline/record_files.h"
#include "vmm/timeline/timeline.h"

#include <cerrno>
#include <fmt/format.h>
#include <set>
#include <utility>
#include <xxhash.h>

/// The timeline's own record, which is there twice.
namespace vmm::timeline {

namespace {

Bytes checkOf(TimelineRecord record)
{
    record.check.clear();
    auto const text = recordText(record);
    Bytes check(8);
    storeLittle(check, static_cast<std::uint64_t>(XXH3_64bits(text.data(), text.size())));
    return check;
}

Result<TimelineRecord> readOneRecord(Folder const& folder, char const* name)
{
    constexpr unsigned withCheck = 3;
    auto const section = TRY(readSection(folder, name));
    auto record = TRY(state::load<TimelineRecord>(section));
    auto const check = std::exchange(record.check, {});
    if (section.version() >= withCheck && check != checkOf(record))
        return fail(ErrorCode::Corrupt, fmt::format("{} is damaged", name));
    return asRead(std::move(record), folder);
}

/// What the disk does not give any more; all else may be another time, or to another version.
bool isLost(Error const& error)
{
    return error.code == ErrorCode::Corrupt || error.code == ErrorCode::NotFound || error.osError == EIO;
}

/// Where it is lost, the copy: at most a step behind, one that nobody has been told of.
Result<TimelineRecord> readTimelineRecord(Folder const& folder)
{
    auto record = readOneRecord(folder, recordName);
    if (record || !isLost(record.error()))
        return record;
    auto copy = readOneRecord(folder, copyName);
    return copy || !isLost(copy.error()) ? copy : record;
}

}

std::string textOf(TimelineRecord record)
{
    record.check = checkOf(record);
    return recordText(record);
}

Result<> Timeline::loadRecord()
{
    auto const known = readTimelineRecord(*m_folder);
    if (known) {
        m_record = *known;
        if (m_access == Access::ReadOnly)
            return {};
        // Each of the two mends the other.
        if (!readOneRecord(*m_folder, recordName)) {
            log(LogLevel::Warning, "timeline", "{} was damaged, and is as its copy again", recordName);
            return storeRecord(m_record);
        }
        if (auto const copy = readOneRecord(*m_folder, copyName); !copy || *copy != m_record)
            storeCopy(textOf(asWritten(m_record, *m_folder)));
        return {};
    }
    bool const isGone = known.error().code == ErrorCode::NotFound;
    if (known.error().code == ErrorCode::Corrupt || (isGone && !TRY(m_folder->list(momentFolder)).empty()))
        return rebuildRecord(known.error());
    if (!isGone)
        return fail(Error(known.error()).within("the timeline's record"));
    TimelineRecord fresh;
    fillRandom(writableBytesOf(fresh.seed));
    if (m_access == Access::ReadWrite)
        return storeRecord(fresh);
    m_record = fresh;
    return {};
}

/// Without its seed no hash of what is there means anything, and nothing is begun anew over an older timeline: packs
/// say it. The rest is known from nowhere.
Result<> Timeline::rebuildRecord(Error const& why)
{
    PageStore packs(*m_folder, 0);
    TRY(packs.open(false));
    std::set<std::uint64_t> seeds;
    for (auto const number : packs.packs()) {
        if (auto const seed = seedOf(*m_folder, number))
            seeds.insert(*seed);
    }
    if (seeds.size() != 1)
        return fail(Error(why).within("the timeline's record"));
    log(LogLevel::Warning, "timeline", "the timeline's record is made anew: {}", why.message());
    TimelineRecord record;
    record.seed = *seeds.begin();
    record.policy.tiers = { { 0, longestTier } };
    record.policy.budget = 0;
    record.unswept = true;
    m_wasRebuilt = true;
    if (m_access == Access::ReadWrite)
        return storeRecord(record);
    m_record = record;
    return {};
}

Result<> Timeline::storeRecord(TimelineRecord const& record)
{
    auto const text = TRY(readableText<TimelineRecord>(textOf(asWritten(record, *m_folder))));
    TRY(writeWhole(*m_folder, recordName, bytesOf(text)));
    storeCopy(text);
    std::lock_guard const lock(m_mutex);
    m_record = record;
    return {};
}

/// An old one is worse than none.
void Timeline::storeCopy(std::string const& text)
{
    auto const stored = writeWhole(*m_folder, copyName, bytesOf(text));
    if (stored)
        return;
    log(LogLevel::Warning, "timeline", "the timeline's record has no copy: {}", stored.error().message());
    ignore(m_folder->remove(copyName));
}

namespace {

/// What is there of it; nothing where there is no timeline.
Result<TimelineRecord> recordIn(Folder const& folder)
{
    auto const record = readTimelineRecord(folder);
    if (!record && record.error().code == ErrorCode::NotFound)
        return TimelineRecord();
    return TRY_WITHIN("the timeline's record", record);
}

}

Result<std::string> Timeline::goingTo(Folder const& folder)
{
    return TRY(recordIn(folder)).goingTo;
}

Result<Policy> Timeline::policy(Folder const& folder)
{
    return TRY(recordIn(folder)).policy;
}

}
