#include "tests/fakes/fake_folder.h"
#include "tests/fuzz/accepted.h"
#include "vmm/base/log.h"
#include "vmm/timeline/moment_memory.h"
#include "vmm/timeline/record_files.h"

namespace {

using namespace vmm::timeline;

constexpr char const* id = "01234567-89ab-4cde-8f01-23456789abcd";

void writeText(tests::FakeFolderDisk& disk, std::string const& name, std::string const& text)
{
    auto content = std::make_shared<tests::FakeFolderDisk::Content>();
    content->bytes.assign(text.begin(), text.end());
    disk.files[name] = std::move(content);
}

vmm::Result<std::shared_ptr<Timeline>> open(tests::FakeFolderDisk& disk)
{
    return TRY(Timeline::open(std::make_unique<tests::FakeFolder>(disk), Timeline::Access::ReadWrite));
}

/// A timeline with one moment of two blocks of zeros.
tests::FakeFolderDisk small()
{
    Moment moment;
    moment.id = id;
    moment.memory = { { "ram", 8u << 20 }, { "vram", 16 * pageSize } };
    tests::FakeFolderDisk disk;
    writeText(disk, "timeline.json", textOf({ .present = id }));
    writeText(disk, std::string("moments/") + id + ".json", recordText(moment));
    return disk;
}

vmm::Result<TimelineRecord> recordFrom(std::string const& text)
{
    return vmm::state::load<TimelineRecord>(TRY(sectionFrom(text)));
}

/// timeline.json. What it says is there again when it was written anew.
void asRecord(std::string const& text)
{
    tests::FakeFolderDisk disk;
    writeText(disk, "timeline.json", text);
    ignore(open(disk));
    auto const record = recordFrom(text);
    if (!record)
        return;
    fuzz::accept();
    disk = {};
    writeText(disk, "timeline.json", textOf(*record)); // a hostile one has the right checksum
    auto const timeline = open(disk);
    if (!timeline || (*timeline)->policy() != record->policy || (*timeline)->loose() != record->loose)
        __builtin_trap();
    if (!(*timeline)->setPresent({}))
        return;
    auto const again = open(disk);
    if (!again || (*again)->policy() != record->policy || (*again)->loose() != record->loose)
        __builtin_trap();
}

/// moments/ID.json. It is a moment or a damage, and a moment is the same again when it was written anew.
void asMoment(std::string const& text)
{
    auto disk = small();
    writeText(disk, std::string("moments/") + id + ".json", text);
    auto const timeline = open(disk);
    if (!timeline || (*timeline)->moments().size() + (*timeline)->damages().size() != 1)
        __builtin_trap();
    auto expected = (*timeline)->moment(id);
    if (!expected || !(*timeline)->rename(id, "renamed"))
        return;
    fuzz::accept();
    expected->name = "renamed";
    auto const again = open(disk);
    if (!again || (*again)->moments() != std::vector { *expected })
        __builtin_trap();
}

/// moments/ID.set. None of its pieces lies outside of the memory.
void asWorkingSet(std::string const& text)
{
    auto disk = small();
    writeText(disk, std::string("moments/") + id + ".set", text);
    auto const timeline = open(disk);
    if (!timeline)
        __builtin_trap();
    auto const memory = MomentMemory::open(*timeline, id, *timeline);
    if (!memory)
        __builtin_trap();
    auto const pieces = (*memory)->expected();
    if (!pieces.empty())
        fuzz::accept();
    for (auto const& piece : pieces) {
        auto const size = (*memory)->blocks().at(piece.block).size;
        if (piece.size == 0 || piece.offset >= size || piece.size > size - piece.offset)
            __builtin_trap();
    }
    (*memory)->remember(pieces);
    if ((*memory)->expected() != pieces)
        __builtin_trap();
}

}

/// The text of a timeline's small files, from anywhere: each of them has it in turn.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    vmm::setLogLevel(vmm::LogLevel::Off);
    std::string const text(reinterpret_cast<char const*>(data), size);
    asRecord(text);
    asMoment(text);
    asWorkingSet(text);
    return 0;
}
