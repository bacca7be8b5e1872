#include "tests/support/suite.h"
#include "vmm/memory/change_sampler.h"

#include <cstring>

using namespace vmm;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t page = 4096, mib = 1 << 20;

/// Two blocks, the second of which has `changes` more pages changed at each turn, from anywhere in it.
struct Memory {
    explicit Memory(std::uint64_t first, std::uint64_t second)
        : low(tests::must(MemoryBlock::create("low", first))), high(tests::must(MemoryBlock::create("high", second)))
    {
    }
    std::unique_ptr<MemoryBlock> low, high;
    std::vector<MemoryBlock*> blocks { low.get(), high.get() };

    static void change(MemoryBlock& block, std::uint64_t from, std::uint64_t bytes, int with)
    {
        for (auto at = from; at < from + bytes; at += page)
            std::memset(block.data() + at + 64, with, 8);
    }
};

}

class ChangeSamplerTest final : public QObject {
    Q_OBJECT
private slots:
    void aSmallMemoryIsLookedAtWhole()
    {
        Memory memory(mib, mib);
        ChangeSampler sampler;
        QVERIFY(!sampler.look(memory.blocks, 10s));
        QCOMPARE(sampler.look(memory.blocks, 11s), std::optional(0.0));
        Memory::change(*memory.low, 0, 3 * page, 1);
        Memory::change(*memory.high, mib - page, page, 1);
        QCOMPARE(sampler.look(memory.blocks, 12s), std::optional(4.0 * page));
        // The same once more is no change; half a second makes twice the speed.
        Memory::change(*memory.low, 0, 3 * page, 1);
        QCOMPARE(sampler.look(memory.blocks, 13s), std::optional(0.0));
        Memory::change(*memory.low, 7 * page, page, 1);
        QCOMPARE(sampler.look(memory.blocks, 13s + 500ms), std::optional(2.0 * page));
    }

    void aShareOfALargeOneIsEstimated()
    {
        Memory memory(32 * mib, 96 * mib);
        ChangeSampler sampler;
        Memory::change(*memory.high, 0, 96 * mib, 1);
        QVERIFY(!sampler.look(memory.blocks, 1s));
        Memory::change(*memory.high, 16 * mib, 32 * mib, 2);
        auto const rate = sampler.look(memory.blocks, 3s);
        QVERIFY(rate);
        // A page of each part is looked at, so that a run of pages is off by no more than its two ends.
        QVERIFY2(std::abs(*rate - 16 * mib) <= 2.0 * 128 * mib / ChangeSampler::samples / 2,
            qPrintable(QString::number(*rate)));
    }

    void nothingComesIntoMemoryByIt()
    {
        Memory memory(32 * mib, 32 * mib);
        ChangeSampler sampler;
        Memory::change(*memory.low, 0, page, 1);
        auto const before = memory.low->residentBytes() + memory.high->residentBytes();
        QVERIFY(!sampler.look(memory.blocks, 1s));
        QCOMPARE(sampler.look(memory.blocks, 2s), std::optional(0.0));
        QCOMPARE(memory.low->residentBytes() + memory.high->residentBytes(), before);
        // Pages that have gone count as they were.
        memory.low->clear();
        QCOMPARE(sampler.look(memory.blocks, 3s), std::optional(0.0));
    }

    void whatComesByItselfIsNoChange()
    {
        Memory memory(mib, mib);
        ChangeSampler sampler;
        QVERIFY(!sampler.look(memory.blocks, 1s));
        REQUIRE_OK(memory.high->setIncomplete());
        QVERIFY(!sampler.look(memory.blocks, 2s));
        Memory::change(*memory.high, 0, mib, 1);
        memory.high->setComplete();
        QVERIFY(!sampler.look(memory.blocks, 3s)); // it begins anew
        QCOMPARE(sampler.look(memory.blocks, 4s), std::optional(0.0));
    }

    void afterAMinuteItBeginsAnew()
    {
        Memory memory(mib, mib);
        ChangeSampler sampler;
        QVERIFY(!sampler.look(memory.blocks, 1s));
        Memory::change(*memory.high, 0, mib, 1);
        QVERIFY(!sampler.look(memory.blocks, 62s));
        Memory::change(*memory.high, 0, mib, 2);
        QCOMPARE(sampler.look(memory.blocks, 63s), std::optional(double(mib)));
    }
};

REGISTER_SUITE(ChangeSamplerTest);

#include "change_sampler_test.moc"
