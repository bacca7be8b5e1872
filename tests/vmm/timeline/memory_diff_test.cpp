#include "tests/fakes/fake_memory.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/timeline/memory_diff.h"
#include "vmm/timeline/timeline.h"

#include <random>

using namespace vmm;
using namespace vmm::timeline;
using tests::FakeFolderDisk;
using tests::FakeMemory;

namespace {

constexpr std::uint64_t mib = 1u << 20;

/// A timeline in memory.
struct Past {
    FakeFolderDisk disk;
    std::unique_ptr<Timeline> timeline = tests::openTimeline(disk);

    std::string take(FakeMemory& memory) { return tests::must(timeline->take({ .time = 1 }, memory, {})).id; }
    std::vector<MemoryDiff> compare(
        std::string const& before, std::string const& after, std::size_t mostRuns = 100, Progress const& progress = {})
    {
        return tests::must(compareMemory(
            tests::must(timeline->memory(before)), tests::must(timeline->memory(after)), mostRuns, progress));
    }
};

}

class MemoryDiffTest : public QObject {
    Q_OBJECT

private slots:
    void changedPagesAreToldInRuns()
    {
        Past past;
        FakeMemory memory({ 20 * mib, mib });
        std::mt19937 random(1);
        memory.scribble(random, 900);
        memory.fill(0, 7, 9);
        auto const before = past.take(memory);
        QVERIFY(past.compare(before, before).empty());
        memory.fill(0, 7, 0);
        memory.fill(0, 63, 1001);
        memory.fill(0, 64, 1002);
        memory.fill(0, 5119, 1003);
        memory.fill(1, 0, 1004);
        auto const after = past.take(memory);
        std::vector<MemoryDiff> const expected {
            { "block0", 20 * mib, 20 * mib,
                { { { 7 * pageSize, pageSize }, { 63 * pageSize, 2 * pageSize }, { 5119 * pageSize, pageSize } },
                    4 * pageSize } },
            { "block1", mib, mib, { { { 0, pageSize } }, pageSize } },
        };
        QVERIFY(past.compare(before, after) == expected);
        QVERIFY(past.compare(after, before) == expected);
    }

    void itAgreesWithComparingTheBytes()
    {
        Past past;
        std::mt19937 random(7);
        FakeMemory memory({ 18 * mib, 80 * 1024 });
        std::vector<std::pair<std::string, std::vector<Bytes>>> moments;
        for (unsigned i = 0; i < 5; ++i) {
            memory.scribble(random, 300);
            moments.emplace_back(past.take(memory), memory.data);
        }
        for (auto const& [before, old] : moments) {
            for (auto const& [after, fresh] : moments) {
                std::uint64_t changed = 0, told = 0;
                for (std::size_t block = 0; block < old.size(); ++block) {
                    for (std::size_t at = 0; at < old[block].size(); at += pageSize)
                        changed += std::memcmp(&old[block][at], &fresh[block][at], pageSize) != 0 ? pageSize : 0;
                }
                for (auto const& block : past.compare(before, after, 10'000)) {
                    for (auto const& run : block.changed.runs)
                        told += run.length;
                    QCOMPARE(block.changed.isWhole, true);
                }
                QCOMPARE(told, changed);
            }
        }
    }

    void blocksThatCameOrGrewCountAsZerosBefore()
    {
        Past past;
        FakeMemory small({ 2 * 4096 }), large({ 17 * mib, 4096 });
        for (auto* memory : { &small, &large }) {
            memory->fill(0, 0, 1);
            memory->fill(0, 1, 2);
        }
        large.fill(0, 4200, 3);
        auto const before = past.take(small), after = past.take(large);
        std::vector<MemoryDiff> const expected {
            { "block0", 2 * 4096, 17 * mib, { { { 4200 * pageSize, pageSize } }, pageSize } },
            { "block1", 0, 4096, {} },
        };
        QVERIFY(past.compare(before, after) == expected);
        auto const back = past.compare(after, before);
        QCOMPARE(back.front().before, 17 * mib);
        QVERIFY(back.front().changed == expected.front().changed);
    }

    void whatBothHaveIsNotRead()
    {
        Past past;
        FakeMemory memory({ 64 * mib });
        std::mt19937 random(3);
        memory.scribble(random, 3000);
        auto const before = past.take(memory);
        memory.fill(0, 100, 5000);
        auto const after = past.take(memory);
        // Where the pages of the first are gone, only what is different could be missed.
        std::size_t calls = 0;
        past.compare(before, after, 100, [&](auto, auto) { return ++calls > 0; });
        QCOMPARE(calls, 3u); // a node on each level
    }

    void aListThatIsTooLongSaysSo()
    {
        Past past;
        FakeMemory memory({ mib });
        auto const before = past.take(memory);
        for (unsigned page = 0; page < 256; page += 2)
            memory.fill(0, page, 1 + page);
        auto const after = past.take(memory);
        auto const differences = past.compare(before, after, 10);
        QCOMPARE(differences.front().changed.runs.size(), 10u);
        QCOMPARE(differences.front().changed.bytes, 128 * pageSize);
        QVERIFY(!differences.front().changed.isWhole);
    }

    void itCanBeCancelled()
    {
        Past past;
        FakeMemory memory({ mib });
        auto const before = past.take(memory);
        memory.fill(0, 9, 9);
        auto const after = past.take(memory);
        auto const outcome = compareMemory(tests::must(past.timeline->memory(before)),
            tests::must(past.timeline->memory(after)), 10, [](auto, auto) { return false; });
        QVERIFY(!outcome);
        QCOMPARE(outcome.error().code, ErrorCode::Cancelled);
    }
};

REGISTER_SUITE(MemoryDiffTest);
#include "memory_diff_test.moc"
