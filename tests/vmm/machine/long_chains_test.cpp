#include "tests/support/nothing_durable.h"
#include "tests/support/still_machine.h"
#include "vmm/base/random.h"
#include "vmm/machine/forked_machine.h"

#include <QDir>

using namespace vmm;
using tests::StillMachine;

/// A disk whose moments are overlays stands on one file more with each. Nothing else merges any here: to keep the next
/// one makes room for it.
class LongChainsTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { tests::makeNothingDurable(); }
    void init()
    {
        m_machine = std::make_unique<tests::TemporaryStillMachine>();
        m_machine->config.disks.resize(1);
        m_timeline = m_machine->open();
        m_number = 0;
        m_ids.clear();
        REQUIRE_OK(keep());
        if (tests::must(m_timeline->moment(*m_ids.begin())).disks[0].checkpoint.way != CheckpointWay::Overlay)
            QSKIP("CHRONOVISOR-SKIP: raw disks have no overlays here");
        while (below() < OverlayFiles::mostBelow + 1) {
            REQUIRE_OK(keep());
            QVERIFY(m_number < BlockImage::maximumDepth);
        }
    }

    void aMachineThatIsOff()
    {
        REQUIRE_OK(keep());
        QCOMPARE(below(), OverlayFiles::mostBelow / 2 + 1);
        REQUIRE_OK(keep());
        isWhole();
    }

    /// Files are merged first, and that is half of it.
    void itTellsHowFarItIs()
    {
        std::vector<double> told;
        auto const tell = [&](double part) {
            told.push_back(part);
            return true;
        };
        REQUIRE_OK(keep(tell));
        QVERIFY(std::ranges::is_sorted(told));
        QVERIFY(std::ranges::count_if(told, [](double part) { return part > 0 && part < 0.5; }) > 8);
        QCOMPARE(told.back(), 0.5); // there is no memory
    }

    void itIsCancelled()
    {
        auto const files = QDir(m_machine->directory.path()).entryList(QDir::Files);
        auto const cancelled = keep([](double part) { return part == 0 || part >= 0.5; });
        QCOMPARE(cancelled.error().code, ErrorCode::Cancelled);
        QCOMPARE(QDir(m_machine->directory.path()).entryList(QDir::Files), files);
        QVERIFY(m_timeline->loose().empty());
        REQUIRE_OK(keep());
        isWhole();
    }

    void oneThatIsSuspended()
    {
        auto const state = m_machine->directory.filePath("state").toStdString();
        m_machine->suspendTo(state);
        for (unsigned i = 0; i < 2; ++i) {
            auto const kept
                = tests::must(Machine::keepSuspended(state, *m_timeline, { .name = std::to_string(m_number) }));
            m_ids.insert(kept.id);
        }
        QCOMPARE(m_machine->problemOfState(state, StillMachine::Asks::AsBefore), QString());
        isWhole();
    }

    /// It would stand on one file more than the original did.
    void aFork()
    {
        QVERIFY(QDir(m_machine->directory.path()).mkdir("fork"));
        auto forked = m_machine->config;
        for (auto& disk : forked.disks)
            disk.path = m_machine->directory.filePath("fork/" + QString::fromStdString(disk.id)).toStdString();
        auto const moment = tests::must(m_timeline->moment(m_timeline->present()));
        std::vector<double> told;
        auto const tell = [&](double part) {
            told.push_back(part);
            return true;
        };
        auto const made = tests::must(forkDisks(m_machine->config, moment, forked, makeUuid(), tell));
        QVERIFY(std::ranges::is_sorted(told));
        QVERIFY(std::ranges::count_if(told, [](double part) { return part > 0 && part < 1; }) > 8); // of the merging
        QCOMPARE(told.back(), 1.0);
        QCOMPARE(made.loose.size(), OverlayFiles::mostBelow + 1); // what is merged goes when the fork tidies
        InlineEngine engine;
        for (auto const& disk : forked.disks) {
            auto const image = tests::must(BlockImage::open(engine, disk.path, imageOptions(disk)));
            QCOMPARE(StillMachine::difference(*image, m_number), QString());
        }
        isWhole();
    }

private:
    Result<> keep(Machine::StillProgress const& progress = {})
    {
        m_machine->write(++m_number);
        auto const kept
            = TRY(Machine::keepOff(m_machine->config, *m_timeline, { .name = std::to_string(m_number) }, progress));
        m_ids.insert(kept.id);
        return {};
    }
    std::size_t below() const
    {
        return tests::must(basesOf(m_machine->config.disks[0].path, m_machine->folder + "/")).size();
    }
    void isWhole() const
    {
        QCOMPARE(m_machine->problem(m_timeline, m_ids), QString());
        QCOMPARE(m_machine->differenceNow(m_number), QString());
    }

    std::unique_ptr<tests::TemporaryStillMachine> m_machine;
    std::shared_ptr<timeline::Timeline> m_timeline;
    unsigned m_number = 0;
    std::set<std::string> m_ids;
};

REGISTER_SUITE(LongChainsTest);
#include "long_chains_test.moc"
