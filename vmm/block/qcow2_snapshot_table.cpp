#include "vmm/base/log.h"
#include "vmm/block/qcow2_format.h"

#include <algorithm>
#include <limits>
#include <set>

namespace vmm::qcow2 {

namespace {

// docs/interop/qcow2.txt, section "Snapshots". The extra data that we know: the state's size in 64 bits, the disk's
// size, QEMU's instruction count.
constexpr std::size_t fixedBytes = 40, knownExtraBytes = 24, maximumExtraBytes = 1024;
constexpr std::uint64_t nanosecondsPerSecond = 1'000'000'000;
constexpr std::uint64_t noInstructionCount = ~0ULL;

/// Reads ahead, so that a table of thousands of entries takes few reads.
class TableReader {
public:
    TableReader(BlockFile& file, std::uint64_t start) : m_file(file), m_start(start) { }

    Result<ConstByteSpan> take(std::size_t bytes)
    {
        if (m_data.size() - m_position < bytes) {
            m_start += m_position;
            m_position = 0;
            m_data.resize(std::max<std::size_t>(bytes, 64 << 10));
            TRY(m_file.read(m_start, m_data));
        }
        auto const data = ConstByteSpan(m_data).subspan(m_position, bytes);
        m_position += bytes;
        return data;
    }

private:
    BlockFile& m_file;
    std::uint64_t m_start;
    Bytes m_data;
    std::size_t m_position = 0;
};

/// Well-formed UTF-8 without NUL (The Unicode Standard, Version 15.0, table 3-7 "Well-Formed UTF-8 Byte Sequences").
bool isText(std::string_view text)
{
    for (std::size_t i = 0; i < text.size();) {
        auto const byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
        unsigned const first = byte(i);
        unsigned const length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        if (first == 0 || length == 0 || first > 0xf4)
            return false;
        unsigned const second = byte(i + 1);
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90)
            || (first == 0xf4 && second > 0x8f))
            return false;
        for (unsigned k = 1; k < length; ++k) {
            if ((byte(i + k) & 0xc0) != 0x80)
                return false;
        }
        i += length;
    }
    return true;
}

template<typename T>
T field(ConstByteSpan data, std::size_t offset)
{
    return loadBig<T>(data.subspan(offset, sizeof(T)));
}

template<typename T>
void put(Bytes& data, std::size_t offset, T value)
{
    storeBig<T>(ByteSpan(data).subspan(offset, sizeof(T)), value);
}

std::string text(ConstByteSpan data)
{
    return { reinterpret_cast<char const*>(data.data()), data.size() };
}

}

Result<> checkSnapshot(DiskSnapshot const& what)
{
    if (what.id.empty() || what.id.size() > maximumSnapshotId || !isText(what.id))
        return fail(ErrorCode::InvalidArgument, "a snapshot's id is 1 to 127 bytes of UTF-8");
    if (what.name.size() > maximumSnapshotName || !isText(what.name))
        return fail(ErrorCode::InvalidArgument, "a snapshot's name is up to 255 bytes of UTF-8");
    if (what.time / nanosecondsPerSecond > std::numeric_limits<std::uint32_t>::max())
        return fail(ErrorCode::InvalidArgument, "a snapshot's time is after the year 2105");
    return {};
}

Bytes encodeSnapshot(Snapshot const& snapshot)
{
    auto const& what = snapshot.what;
    auto const bytes = fixedBytes + knownExtraBytes + what.id.size() + what.name.size();
    Bytes data(alignUp<std::size_t>(bytes, 8));
    put<std::uint64_t>(data, 0, snapshot.l1Offset);
    put<std::uint32_t>(data, 8, snapshot.l1Size);
    put<std::uint16_t>(data, 12, static_cast<std::uint16_t>(what.id.size()));
    put<std::uint16_t>(data, 14, static_cast<std::uint16_t>(what.name.size()));
    put<std::uint32_t>(data, 16, static_cast<std::uint32_t>(what.time / nanosecondsPerSecond));
    put<std::uint32_t>(data, 20, static_cast<std::uint32_t>(what.time % nanosecondsPerSecond));
    put<std::uint64_t>(data, 24, what.guestTime);
    put<std::uint32_t>(data, 36, knownExtraBytes);
    put<std::uint64_t>(data, 48, what.diskSize);
    put<std::uint64_t>(data, 56, noInstructionCount);
    auto const end = std::ranges::copy(what.id, data.begin() + fixedBytes + knownExtraBytes).out;
    std::ranges::copy(what.name, end);
    return data;
}

std::uint64_t snapshotTableBytes(std::vector<Snapshot> const& snapshots)
{
    std::uint64_t bytes = 0;
    for (auto const& snapshot : snapshots)
        bytes += snapshot.raw.size();
    return bytes;
}

Result<std::vector<Snapshot>> File::readSnapshots() const
{
    std::vector<Snapshot> snapshots;
    std::set<std::string> ids;
    TableReader reader(m_file, m_header.snapshotsOffset);
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i < m_header.snapshotCount; ++i) {
        auto const corrupt = [&](std::string const& detail) {
            return fail(corruptError(fmt::format("snapshot {} of {} {}", i + 1, m_header.snapshotCount, detail)));
        };
        if (m_header.snapshotsOffset >= m_highWater || bytes >= m_highWater - m_header.snapshotsOffset)
            return corrupt("is outside of the file");
        auto const start = TRY(reader.take(fixedBytes));
        Snapshot snapshot;
        snapshot.raw.assign(start.begin(), start.end());
        snapshot.l1Offset = field<std::uint64_t>(start, 0);
        snapshot.l1Size = field<std::uint32_t>(start, 8);
        auto const idBytes = field<std::uint16_t>(start, 12), nameBytes = field<std::uint16_t>(start, 14);
        auto const seconds = field<std::uint32_t>(start, 16), nanoseconds = field<std::uint32_t>(start, 20);
        auto& what = snapshot.what;
        what.time = seconds * nanosecondsPerSecond + nanoseconds;
        what.guestTime = field<std::uint64_t>(start, 24);
        what.stateSize = field<std::uint32_t>(start, 32);
        what.diskSize = m_header.size;
        auto const extraBytes = field<std::uint32_t>(start, 36);
        auto const clusters = (std::uint64_t(snapshot.l1Size) * 8 + clusterSize() - 1) / clusterSize();
        if (snapshot.l1Size > maximumL1Bytes / 8)
            return corrupt(fmt::format("has an L1 table of {} entries", snapshot.l1Size));
        if (snapshot.l1Size != 0 && !isClusterInFile(snapshot.l1Offset, clusters))
            return corrupt(fmt::format("has its L1 table at {}, outside of the file", snapshot.l1Offset));
        if (extraBytes > maximumExtraBytes)
            return corrupt(fmt::format("has {} bytes of extra data", extraBytes));
        auto const rest = alignUp<std::size_t>(fixedBytes + extraBytes + idBytes + nameBytes, 8) - fixedBytes;
        bytes += fixedBytes + rest;
        if (bytes > maximumSnapshotTableBytes)
            return corrupt("makes the snapshot table too large");
        auto const variable = TRY(reader.take(rest));
        snapshot.raw.insert(snapshot.raw.end(), variable.begin(), variable.end());
        if (extraBytes >= 8)
            what.stateSize = field<std::uint64_t>(variable, 0);
        snapshot.saysDiskSize = extraBytes >= 16;
        if (snapshot.saysDiskSize)
            what.diskSize = field<std::uint64_t>(variable, 8);
        what.id = text(variable.subspan(extraBytes, idBytes));
        what.name = text(variable.subspan(extraBytes + idBytes, nameBytes));
        if (!isText(what.id) || !isText(what.name))
            return corrupt("has a name that is not UTF-8");
        if (!ids.insert(what.id).second)
            return corrupt(fmt::format("has the id \"{}\", which another one has too", what.id));
        auto disk = m_header;
        disk.size = what.diskSize;
        if (what.diskSize > BlockImage::maximumSize || disk.neededL1() > maximumL1Bytes / 8)
            return corrupt(fmt::format("is of a disk of {} bytes", what.diskSize));
        snapshots.push_back(std::move(snapshot));
    }
    return snapshots;
}

}
