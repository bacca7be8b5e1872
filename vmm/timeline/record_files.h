#pragma once

#include "vmm/base/relative_path.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/timeline/folder.h"
#include "vmm/timeline/moment.h"

#include <nlohmann/json.hpp>

/// How the small files of a timeline are read and written, for the files that Timeline is written in.
namespace vmm::timeline {

constexpr char const* recordName = "timeline.json";
constexpr char const* copyName = "timeline.copy.json";
constexpr char const* momentFolder = "moments";
constexpr std::uint64_t maximumRecord = 4u << 20;

template<typename T>
std::string recordText(T const& record)
{
    return state::toText(state::save(record).toJson(), 1) + "\n";
}

inline Result<Section> sectionFrom(std::string_view text)
{
    return Section::fromJson(TRY(state::parseJson(text, maximumRecord)));
}

/// The text of a record for its file. InvalidArgument, where it could not be read again: lists and texts have bounds,
/// and so has the file.
template<typename T>
Result<std::string> readableText(std::string text)
{
    auto const read = [&]() -> Result<T> { return state::load<T>(TRY(sectionFrom(text))); }();
    if (!read)
        return fail(ErrorCode::InvalidArgument, "the record could not be read again: " + read.error().detail);
    return text;
}

inline Result<Section> readSection(Folder const& folder, std::string const& name)
{
    auto const bytes = TRY(readWhole(folder, name, maximumRecord));
    return sectionFrom({ reinterpret_cast<char const*>(bytes.data()), bytes.size() });
}

template<typename T>
Result<T> readRecord(Folder const& folder, std::string const& name)
{
    return state::load<T>(TRY(readSection(folder, name)));
}

inline void forEachDisk(Moment& moment, auto const& visit)
{
    for (auto& disk : moment.disks)
        visit(disk);
}

inline void forEachDisk(TimelineRecord& record, auto const& visit)
{
    for (auto& loose : record.loose) {
        for (auto& disk : loose.disks)
            visit(disk);
    }
}

/// Its disks as a file of the folder names them.
template<typename T>
T asWritten(T record, Folder const& folder)
{
    forEachDisk(record, [&](MomentDisk& disk) { disk.path = relativePath(disk.path, folder.path()); });
    return record;
}

/// Its disks as we know them.
template<typename T>
T asRead(T record, Folder const& folder)
{
    forEachDisk(record, [&](MomentDisk& disk) { disk.path = absolutePath(disk.path, folder.path()); });
    return record;
}

}
