#include "tests/fakes/fake_audio.h"
#include "tests/support/suite.h"
#include "vmm/backends/audio_queue.h"

#include <cmath>
#include <cstdlib>
#include <numbers>
#include <numeric>

using namespace vmm;
using tests::FakeAudio;

namespace {

using Samples = std::vector<std::int16_t>;

Samples counting(std::size_t from, std::size_t count)
{
    Samples samples(count);
    std::iota(samples.begin(), samples.end(), static_cast<std::int16_t>(from));
    return samples;
}

Samples taken(AudioQueue& queue, std::size_t count)
{
    Samples samples(count, 12345);
    queue.take(samples);
    return samples;
}

/// A tone of the full scale's half, without an end.
class Tone {
public:
    explicit Tone(double hertz) : m_step(2 * std::numbers::pi * hertz / audioRate) { }
    Samples next(std::size_t count)
    {
        Samples samples(count);
        for (auto& sample : samples)
            sample = static_cast<std::int16_t>(std::lround(16000 * std::sin(m_step * static_cast<double>(m_at++))));
        return samples;
    }

private:
    double m_step;
    std::uint64_t m_at = 0;
};

/// The largest difference of two neighbours: what a click is made of.
int largestStep(Samples const& samples)
{
    int largest = 0;
    for (std::size_t i = 1; i < samples.size(); ++i)
        largest = std::max(largest, std::abs(samples[i] - samples[i - 1]));
    return largest;
}

}

class AudioTest : public QObject {
    Q_OBJECT
private slots:
    void nobodyAtThePortIsSilence()
    {
        AudioPort port;
        port.setPlaying(true);
        port.setRecording(true);
        port.play(std::vector<AudioFrame>(48, { 1, 2 }));
        Samples samples(48, 7);
        port.record(samples);
        QCOMPARE(samples, Samples(48));
    }

    void whoComesLaterLearnsWhatIsOpen()
    {
        AudioPort port;
        port.setPlaying(true);
        auto const first = std::make_shared<FakeAudio>(), second = std::make_shared<FakeAudio>();
        port.connect(first);
        QVERIFY(first->playing && !first->recording);
        port.setPlaying(true);
        QCOMPARE(first->changes, 1);
        port.play(std::vector<AudioFrame>(2, { 1, 2 }));
        QCOMPARE(first->heard, std::vector<AudioFrame>(2, { 1, 2 }));
        port.setRecording(true);
        port.connect(second);
        QVERIFY(!first->playing && !first->recording);
        QVERIFY(second->playing && second->recording);
        port.connect(nullptr);
        QVERIFY(!second->playing && !second->recording);
    }

    void whatIsPutInComesOutAfterTheDelay()
    {
        AudioQueue queue(1, 100);
        QCOMPARE(taken(queue, 10), Samples(10)); // nothing yet
        queue.put(counting(1, 99));
        QCOMPARE(taken(queue, 10), Samples(10)); // not enough yet
        queue.put(counting(100, 1));
        QCOMPARE(taken(queue, 60), counting(1, 60));
        queue.put(counting(101, 60));
        QCOMPARE(taken(queue, 60), counting(61, 60));
        QCOMPARE(queue.statistics().gaps, 0u);
    }

    void channelsStayTogether()
    {
        AudioQueue queue(2, 50);
        queue.put(counting(0, 100));
        QCOMPARE(taken(queue, 20), counting(0, 20));
        QCOMPARE(queue.level(), std::size_t(40));
    }

    void emptyQueueIsSilentUntilItHasItsDelayAgain()
    {
        AudioQueue queue(1, 100);
        queue.put(counting(1, 100));
        auto expected = counting(1, 100);
        expected.resize(150);
        QCOMPARE(taken(queue, 150), expected);
        QCOMPARE(queue.statistics().gaps, 1u);
        queue.put(counting(200, 99));
        QCOMPARE(taken(queue, 50), Samples(50));
        queue.put(counting(299, 1));
        QCOMPARE(taken(queue, 50), counting(200, 50));
        QCOMPARE(queue.statistics().gaps, 1u);
    }

    void fullQueueDropsTheOldest()
    {
        AudioQueue queue(1, 100);
        for (std::size_t i = 0; i < 100; ++i)
            queue.put(counting(48 * i, 48));
        QVERIFY(queue.statistics().dropped > 0);
        QVERIFY(queue.level() < 512);
        QCOMPARE(taken(queue, 48), counting(4700, 48)); // the newest, a delay's worth
        queue.put(counting(0, 10000));                  // more than it is to hold
        QVERIFY(queue.level() <= 512);
    }

    void clearedQueueBeginsAnew()
    {
        AudioQueue queue(1, 100);
        queue.put(counting(1, 100));
        taken(queue, 10);
        queue.clear();
        QCOMPARE(taken(queue, 10), Samples(10));
        queue.put(counting(500, 100));
        QCOMPARE(taken(queue, 10), counting(500, 10));
    }

    void clocksThatAgreeChangeNothing()
    {
        // Two minutes, with the host's blocks and the guest's bursts.
        AudioQueue queue(1, 2048);
        Tone played(440), expected(440);
        std::uint64_t put = 0;
        bool begun = false;
        for (unsigned block = 1; block <= 11250; ++block) {
            auto const until = std::uint64_t(block) * 512 / 960 * 960; // it comes in bursts of 20 ms
            queue.put(played.next(until - put));
            put = until;
            auto const out = taken(queue, 512);
            if (!begun && put < 2048)
                continue;
            if (!std::exchange(begun, true))
                expected.next(put - 2048); // the newest, when it begins
            if (out != expected.next(512))
                QFAIL(qPrintable(QString("block %1 is another").arg(block)));
        }
        QVERIFY(begun);
        QCOMPARE(queue.statistics().stretches, 0u);
    }

    void clocksThatDifferAreLevelledOut_data()
    {
        QTest::addColumn<int>("parts"); // of a million by which the host's is faster
        QTest::newRow("none") << 0;
        QTest::newRow("host faster") << 300;
        QTest::newRow("host slower") << -300;
        QTest::newRow("host much faster") << 1500;
        QTest::newRow("host much slower") << -1500;
    }
    void clocksThatDifferAreLevelledOut()
    {
        QFETCH(int, parts);
        AudioQueue queue(1, 2048);
        Tone tone(440);
        Samples heard;
        double guest = 0, host = 0;             // seconds
        for (unsigned i = 0; i < 60'000; ++i) { // a minute, a packet each millisecond
            queue.put(tone.next(48));
            guest += 0.001;
            while (host < guest) {
                auto const block = taken(queue, 512);
                heard.insert(heard.end(), block.begin(), block.end());
                host += 512.0 / audioRate / (1 + parts / 1e6);
            }
        }
        QCOMPARE(queue.statistics().gaps, 0u);
        QCOMPARE(queue.statistics().dropped, 0u);
        QVERIFY(queue.level() > 256 && queue.level() < 4096);
        QVERIFY(std::abs(parts) < 1000 || queue.statistics().stretches > 0);
        // No click either: the tone's own steps are 921 at most.
        auto const begin = std::find_if(heard.begin(), heard.end(), [](auto sample) { return sample != 0; });
        QVERIFY2(largestStep({ begin, heard.end() }) < 940,
            qPrintable(QString::number(largestStep({ begin, heard.end() }))));
    }

    void clockThatIsFarOffEndsInGapsAndNotInSilence()
    {
        AudioQueue queue(1, 2048);
        std::uint64_t sounding = 0;
        for (unsigned i = 0; i < 10000; ++i) {
            queue.put(Samples(48, 1000));
            for (auto const sample : taken(queue, i % 2 == 0 ? 48 : 72)) // a quarter faster
                sounding += sample != 0 ? 1 : 0;
        }
        QVERIFY(queue.statistics().gaps > 0);
        QVERIFY(sounding > 470'000);
    }
};

REGISTER_SUITE(AudioTest);
#include "audio_test.moc"
