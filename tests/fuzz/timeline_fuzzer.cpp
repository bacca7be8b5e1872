#include "tests/fakes/fake_folder.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/state/writer.h"
#include "vmm/timeline/memory_diff.h"
#include "vmm/timeline/timeline.h"

#include <nlohmann/json.hpp>
#include <xxhash.h>

namespace {

using namespace vmm::timeline;

constexpr std::uint64_t seed = 1;
constexpr char const* ids[] = { "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000001" };

void writeText(tests::FakeFolderDisk& disk, std::string const& name, std::string const& text)
{
    auto content = std::make_shared<tests::FakeFolderDisk::Content>();
    content->bytes.assign(text.begin(), text.end());
    disk.files[name] = std::move(content);
}

/// Small numbers, so that what they refer to is often there.
std::uint64_t takeReference(fuzz::Input& input)
{
    auto const choice = input.take<std::uint8_t>();
    return choice == 0 ? input.take<std::uint64_t>() : packReference({ choice / 64u % 3, choice % 64u });
}

/// A whole pack of a few nodes and pages, then with some bytes changed. Its ends are made to fit again, for a hostile
/// store has the right checksums.
void makePack(tests::FakeFolderDisk& disk, std::uint32_t number, fuzz::Input& input)
{
    tests::FakeFolder folder(disk);
    auto const writer = PackWriter::create(folder, number, seed);
    if (!writer)
        __builtin_trap();
    vmm::Bytes page(pageSize);
    for (auto count = input.take<std::uint8_t>() % 40; count > 0; --count) {
        page[0] = input.take<std::uint8_t>();
        ignore((*writer)->addPage(page, page[0] == 255 ? PageHash {} : hashOf(page, seed)));
    }
    for (auto count = input.take<std::uint8_t>() % 8; count > 0; --count) {
        Node node {};
        for (auto words = input.take<std::uint8_t>() % 16; words > 0; --words)
            node[input.take<std::uint8_t>() % wordsPerNode] = takeReference(input);
        (*writer)->addNode(node);
    }
    if (!(*writer)->seal())
        __builtin_trap();

    auto& bytes = disk.files[packName(number)]->bytes;
    for (auto changes = input.take<std::uint8_t>() % 8; changes > 0; --changes) {
        // Many of them at the end, where the tables are.
        auto const back = input.take<std::uint16_t>() % std::min<std::size_t>(bytes.size(), 2048);
        bytes[bytes.size() - 1 - back] = input.take<std::uint8_t>();
    }
    auto const footer = bytes.end() - 64;
    vmm::Bytes ends(bytes.begin(), bytes.begin() + 64);
    ends.insert(ends.end(), footer, footer + 48);
    vmm::storeLittle(vmm::ByteSpan(bytes).subspan(bytes.size() - 16, 8),
        static_cast<std::uint64_t>(XXH3_64bits_withSeed(ends.data(), ends.size(), seed)));
}

/// Pages of one byte's value.
class FewPages final : public FrozenMemory {
public:
    explicit FewPages(fuzz::Input& input)
    {
        auto const values = input.takeBytes(200);
        m_values.assign(values.begin(), values.end());
    }
    std::vector<Block> const& blocks() const override { return m_blocks; }
    vmm::Result<std::uint64_t> nextUsed(std::size_t, std::uint64_t offset) override
    {
        return std::min<std::uint64_t>(offset, m_blocks[0].size);
    }
    vmm::Result<> read(std::size_t, std::uint64_t offset, vmm::ByteSpan data) override
    {
        for (std::size_t i = 0; i < data.size(); ++i) {
            auto const page = (offset + i) / pageSize;
            data[i] = i % pageSize == 0 && page < m_values.size() ? m_values[page] : 0;
        }
        return {};
    }

private:
    std::vector<std::uint8_t> m_values;
    std::vector<Block> m_blocks { { "ram", 200 * pageSize } };
};

}

/// Runs lie within the block, in their order. Trees that refer to themselves would be compared for a long time.
void compare(Timeline const& timeline)
{
    auto const before = timeline.memory(ids[0]), after = timeline.memory(ids[1]);
    if (!before || !after)
        return;
    std::size_t steps = 0;
    auto const differences = compareMemory(*before, *after, 8, [&](auto, auto) { return ++steps < 500; });
    for (std::size_t i = 0; differences && i < differences->size(); ++i) {
        auto const& one = (*differences)[i];
        std::uint64_t end = 0, bytes = 0;
        for (auto const& run : one.changed.runs) {
            if (run.offset < end || run.offset + run.length > std::max(one.before, one.after))
                __builtin_trap();
            end = run.offset + run.length;
            bytes += run.length;
        }
        if (one.changed.runs.size() > 8 || bytes > one.changed.bytes
            || (one.changed.isWhole && bytes != one.changed.bytes))
            __builtin_trap();
    }
}

/// A timeline from anywhere: packs whose checksums are right and whose contents are not, and moments that refer to
/// them. All of it is read, counted, checked, swept and added to.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    fuzz::Input input(data, size);
    tests::FakeFolderDisk disk;
    writeText(disk, "timeline.json", textOf({ .seed = seed, .present = ids[0] }));
    makePack(disk, 1, input);
    makePack(disk, 2, input);
    for (auto const* id : ids) {
        Moment moment;
        moment.id = id;
        // Of a state with nothing in it.
        auto const hash = XXH3_128bits_withSeed("", 0, seed);
        moment.stateHash.resize(16);
        vmm::storeLittle(vmm::ByteSpan(moment.stateHash).first(8), static_cast<std::uint64_t>(hash.low64));
        vmm::storeLittle(vmm::ByteSpan(moment.stateHash).last(8), static_cast<std::uint64_t>(hash.high64));
        disk.files[std::string("moments/") + id + ".state"] = std::make_shared<tests::FakeFolderDisk::Content>();
        for (auto roots = input.take<std::uint8_t>() % 4; roots > 0; --roots) {
            auto const root = unpackReference(takeReference(input));
            auto const pages = input.take<std::uint8_t>() % 8 != 0 ? 200 : input.take<std::uint64_t>();
            moment.memory.push_back(
                { roots == 1 ? "ram" : "block" + std::to_string(roots), pages * pageSize, root.pack, root.number });
        }
        writeText(disk, std::string("moments/") + id + ".json", vmm::state::toText(vmm::state::save(moment).toJson()));
    }
    auto const timeline = Timeline::open(std::make_unique<tests::FakeFolder>(disk), Timeline::Access::ReadWrite);
    if (!timeline)
        return 0;
    vmm::Bytes pages(32 * pageSize);
    for (auto const& moment : (*timeline)->moments()) {
        auto const memory = (*timeline)->memory(moment.id);
        for (std::size_t block = 0; memory && block < memory->roots().size(); ++block) {
            auto const offset = input.take<std::uint16_t>() * pageSize;
            if (offset + pages.size() <= memory->roots()[block].size)
                ignore(memory->read(block, offset, pages));
        }
    }
    compare(**timeline);
    ignore((*timeline)->usage());
    ignore((*timeline)->verify());
    FewPages fresh(input);
    tests::FakeFolder folder(disk);
    PageStore store(folder, seed);
    ignore(store.open(true));
    auto const base = (*timeline)->moment(ids[0]);
    auto const stored = storeMemory(store, fresh, base ? base->memory : std::vector<MemoryRoot>(), {});
    if (!stored)
        __builtin_trap(); // a damaged moment must not keep the next from being taken
    ignore((*timeline)->sweep({}));
    return 0;
}
