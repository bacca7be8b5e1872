#include "tests/support/open_timeline.h"
#include "tests/support/still_machine.h"
#include "vmm/base/random.h"

using namespace vmm;
using namespace vmm::timeline;

/// What disks let go of when moments have gone, with a timeline that fails on demand.
class DiskTidierTest final : public QObject {
    Q_OBJECT

private slots:
    void init()
    {
        m_machine = std::make_unique<tests::TemporaryStillMachine>();
        m_machine->config.disks.resize(1);
        m_files = std::make_unique<tests::FakeFolderDisk>();
        m_timeline = tests::openTimeline(*m_files);
        m_moments.clear();
        for (auto const number : { 10u, 20u, 30u, 40u, 50u })
            m_moments.push_back(tests::must(m_machine->keep(*m_timeline, number)));
        if (m_moments[0].disks[0].checkpoint.way != CheckpointWay::Overlay)
            QSKIP("CHRONOVISOR-SKIP: raw disks have no overlays here");
    }

    /// The next time nobody knows of what was replaced now.
    void aDiskIsOpenedAgainThoughNothingCanBeNoted()
    {
        REQUIRE_OK(m_timeline->purge(m_moments[1].id));
        std::vector<std::string> changed;
        auto const tidy = [&] {
            changed.clear();
            DiskTidier::How how { .merge = OverlayFiles::MayMerge::Yes };
            how.belowChanged = [&](std::string const& path) {
                changed.push_back(path);
                return Result<>();
            };
            return DiskTidier(*m_timeline, m_machine->config, std::move(how)).run();
        };
        m_files->isFull = true;
        QVERIFY(!tidy());
        QVERIFY(!existsFile(fileOf(1)));
        QCOMPARE(changed, std::vector { m_machine->config.disks[0].path });
        m_files->isFull = false;
        REQUIRE_OK(tidy());
        QVERIFY(m_timeline->loose().empty());
        QCOMPARE(m_machine->differenceNow(50), QString());
    }

    /// While everybody waits for the disks.
    void allIsNotedInOneStep()
    {
        auto const stepsOf = [&](std::initializer_list<std::size_t> moments) {
            for (auto const one : moments)
                tests::must(m_timeline->purge(m_moments[one].id));
            auto const before = m_files->operations;
            tests::must(m_machine->tidy(*m_timeline));
            return m_files->operations - before;
        };
        auto const one = stepsOf({ 3 });
        QCOMPARE(stepsOf({ 2, 1 }), one);
        QVERIFY(m_timeline->loose().empty());
    }

    /// As on a file system that shares blocks: a raw disk beside raw files, and nothing stands on anything.
    void whatAGuestWroteKeepsNothing()
    {
        auto config = m_machine->config;
        auto& disk = config.disks[0];
        disk.path = m_machine->folder + "/other";
        Checkpoint const kept { CheckpointWay::Reflink, makeUuid(), "other.", ImageFormat::Raw };
        LooseDisks loose { makeUuid(), { { "disk0", disk.path, kept } } };
        auto& place = loose.disks[0].checkpoint.place;
        place += kept.id;
        for (auto const& path : { disk.path, m_machine->folder + "/" + place })
            tests::must(writeFileSynced(path, "QFI\xfb"));
        REQUIRE_OK(m_timeline->setLoose(loose));
        REQUIRE_OK(DiskTidier(*m_timeline, config, {}).run());
        QVERIFY(m_timeline->loose().empty() && existsFile(disk.path) && !existsFile(m_machine->folder + "/" + place));
    }

    /// Whoever was killed at it does not come back to it: the disk has gone to a moment, or nobody asks for another
    /// one.
    void whatIsHalfMadeGoes()
    {
        auto const& disk = m_machine->config.disks[0].path;
        auto const trial = disk + std::string(trialSuffix);
        std::vector const half { fileOf(3) + ".merging", fileOf(3) + ".merging.new-01234567", trial,
            trial + ".trial-of-the-names-1", disk + ".going-back" };
        std::vector const others { disk + ".old", disk + "2" + std::string(trialSuffix),
            m_machine->folder + "/other.merging", fileOf(3) };
        for (auto const* const all : { &half, &others }) {
            for (auto const& path : *all) {
                if (!existsFile(path))
                    tests::must(writeFileSynced(path, "something"));
            }
        }
        QVERIFY(m_timeline->loose().empty());
        tests::must(m_machine->tidy(*m_timeline));
        QVERIFY(std::ranges::none_of(half, existsFile));
        QVERIFY(std::ranges::all_of(others, existsFile));
    }

    void norDoesItEndTheTidying()
    {
        auto config = m_machine->config;
        config.disks[0].path = m_machine->folder + "/other";
        QCOMPARE(*config.disks[0].format, DiskFormat::Raw);
        tests::must(createImage(
            config.disks[0].path, { .size = 1 << 20, .backingFile = "other.gone", .backingFormat = ImageFormat::Raw }));
        DiskTidier::How how;
        how.merge = OverlayFiles::MayMerge::Yes;
        REQUIRE_OK(DiskTidier(*m_timeline, config, std::move(how)).run());
    }

private:
    std::string fileOf(std::size_t moment) const
    {
        return m_machine->folder + "/" + m_moments[moment].disks[0].checkpoint.place;
    }

    std::unique_ptr<tests::TemporaryStillMachine> m_machine;
    std::unique_ptr<tests::FakeFolderDisk> m_files;
    std::unique_ptr<Timeline> m_timeline;
    std::vector<Moment> m_moments;
};

REGISTER_SUITE(DiskTidierTest);
#include "disk_tidier_test.moc"
