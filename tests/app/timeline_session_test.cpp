#include "app/session/timeline_session.h"
#include "app/session/vm_session.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"

#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>

using namespace app;
using tests::FakeMachine;

namespace {

/// A machine's past over a fake machine, in a directory of its own.
struct Past {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::shared_ptr<MachineRunner> runner = std::make_shared<MachineRunner>(tests::exampleConfig(),
        MachinePlaces { path("state"), path("machine.lock"), path("timeline") }, FakeMachine::factory(script));
    VmSession session { runner };
    TimelineSession& timeline = session.timeline();

    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    bool becomes(SessionState state)
    {
        return tests::becomes([&] { return session.state() == state; });
    }
    bool run()
    {
        timeline.open();
        session.start();
        return becomes(SessionState::Running) && tests::becomes([&] { return timeline.isRead(); });
    }
    QString keep(QString const& name)
    {
        auto const before = timeline.moments().size();
        timeline.keep(name);
        auto const isKept = [&] {
            return timeline.moments().size() == before + 1 && timeline.present() == timeline.moments().back().id
                && !timeline.keeping();
        };
        if (!tests::becomes(isKept))
            qFatal("no moment was kept");
        return timeline.moments().back().id;
    }
    /// Of the machine that is off; 8 KiB of its disk change in between.
    std::pair<QString, QString> twoMomentsOfADisk()
    {
        auto const disk = path("disk.qcow2");
        tests::must(vmm::createImage(disk, { .size = 1 << 20 }));
        auto config = runner->config();
        config.disks.push_back({ "disk0", disk, vmm::DiskFormat::Qcow2 });
        runner->setConfig(config);
        timeline.open();
        if (!tests::becomes([&] { return timeline.isRead(); }))
            qFatal("the timeline is not read");
        auto const first = keep("first");
        vmm::InlineEngine engine;
        vmm::ImageOptions options;
        options.format = vmm::ImageFormat::Qcow2;
        tests::must(
            tests::must(vmm::BlockImage::open(engine, disk, options))->writeSync(128 << 10, vmm::Bytes(8192, 7)));
        return { first, keep("second") };
    }
    bool has(std::size_t count)
    {
        return tests::becomes([&] { return timeline.moments().size() == count; });
    }
};

}

class TimelineSessionTest final : public QObject {
    Q_OBJECT
private slots:
    void aMachineWithoutPastHasNoneAndLookingMakesNone()
    {
        Past past;
        past.timeline.open();
        QTRY_VERIFY(past.timeline.isRead());
        QVERIFY(past.timeline.moments().empty());
        QVERIFY(past.timeline.present().isEmpty());
        QVERIFY(!QFile::exists(past.directory.filePath("timeline")));
    }

    void keepingTellsWhatWasKeptAndFromWhereItCame()
    {
        Past past;
        QVERIFY(past.run());
        QVERIFY(past.timeline.canKeep());
        QSignalSpy const kept(&past.timeline, &TimelineSession::kept);
        auto const first = past.keep("first");
        auto const second = past.keep("second");
        QCOMPARE(kept.size(), 2);
        QCOMPARE(past.timeline.moment(first)->name, "first");
        QCOMPARE(past.timeline.moment(second)->parent, first);
        QCOMPARE(past.timeline.present(), second);
        QVERIFY(past.timeline.moment(second)->time > 0);
        QVERIFY(!past.timeline.moment(second)->isAutomatic());
    }

    void aMomentHasThePictureOfTheFirstScreen()
    {
        Past past;
        QVERIFY(past.run());
        past.script->last->screens["display0"]->paint(640, 400, 0x00336699);
        auto const id = past.keep("blue");
        QVERIFY(past.timeline.moment(id)->hasPicture);
        auto& pictures = past.timeline.pictures();
        QVERIFY(!pictures.find(id, MomentPictures::Size::Whole));
        QTRY_VERIFY(pictures.peek(id, MomentPictures::Size::Whole) != nullptr);
        auto const whole = pictures.find(id, MomentPictures::Size::Whole);
        QCOMPARE(whole->width, 640u);
        QCOMPARE(whole->height, 400u);
        QCOMPARE(whole->pixels[12345], 0xff336699u);
        auto const small = pictures.find(id, MomentPictures::Size::Small);
        QCOMPARE(small->width, MomentPictures::smallWidth);
        QCOMPARE(small->pixels[123] & 0xffffff, 0x336699u);
    }

    void theSmallPictureIsInTheWholeOneAndHereFirst()
    {
        Past past;
        QVERIFY(past.run());
        past.script->last->screens["display0"]->paint(640, 400, 0x00336699);
        auto const id = past.keep("blue");
        QFile file(past.directory.filePath("timeline/moments/" + id + ".png"));
        QVERIFY(file.open(QIODevice::ReadOnly));
        auto const bytes = file.readAll();
        vmm::Bytes png(bytes.begin(), bytes.end());
        auto const small = smallPictureIn(png);
        QCOMPARE(small.width, smallPictureWidth);
        QCOMPARE(small.pixels[100], 0xff336699u);
        QCOMPARE(tests::must(decodePng(png)).width, 640u); // others read it as any PNG
        auto& pictures = past.timeline.pictures();
        std::vector<bool> wholeWasHere;
        connect(&pictures, &MomentPictures::arrived, this, [&] {
            QVERIFY(pictures.peek(id, MomentPictures::Size::Small));
            wholeWasHere.push_back(pictures.peek(id, MomentPictures::Size::Whole) != nullptr);
            QVERIFY(wholeWasHere.back() || !pictures.find(id, MomentPictures::Size::Whole)); // asked again, made once
        });
        pictures.find(id, MomentPictures::Size::Whole);
        QTRY_VERIFY(wholeWasHere.size() == 2);
        QCOMPARE(wholeWasHere, (std::vector { false, true }));
    }

    void aPictureWithoutASmallOneOrWithALieIsStillShown()
    {
        Picture const picture { 640, 400, std::vector<std::uint32_t>(640 * 400, 0xff102030) };
        QVERIFY(smallPictureIn(tests::must(encodePng(picture))).isNull()); // as older moments have it
        QVERIFY(smallPictureIn({}).isNull());
        auto png = tests::must(encodeMomentPicture({ 640, 400, picture.pixels }));
        QVERIFY(!smallPictureIn(png).isNull());
        vmm::storeBig(vmm::ByteSpan(png).subspan(33, 4), 0xffffffffu);
        QVERIFY(smallPictureIn(png).isNull());
        vmm::storeBig(vmm::ByteSpan(png).subspan(33, 4), 20u);
        QVERIFY(smallPictureIn(png).isNull());
        // One that claims to be larger than it may is not unpacked.
        Picture const large { 4000, 4000, std::vector<std::uint32_t>(4000 * 4000) };
        auto const claim = tests::must(encodePng(large));
        png.insert(png.begin() + 33 + 8, claim.begin(), claim.end());
        vmm::storeBig(vmm::ByteSpan(png).subspan(33, 4), static_cast<std::uint32_t>(claim.size()));
        QVERIFY(smallPictureIn(png).isNull());
    }

    void whatIsDamagedHasNoPictureAndIsNotAskedForAgain()
    {
        Past past;
        QVERIFY(past.run());
        auto const id = past.keep("torn");
        QFile file(past.directory.filePath("timeline/moments/" + id + ".png"));
        QVERIFY(file.open(QIODevice::ReadWrite));
        QVERIFY(file.resize(file.size() / 2));
        auto& pictures = past.timeline.pictures();
        pictures.find(id, MomentPictures::Size::Whole);
        QTRY_VERIFY(pictures.peek(id, MomentPictures::Size::Whole) != nullptr);
        QVERIFY(pictures.find(id, MomentPictures::Size::Whole)->isNull());
    }

    void picturesAreKeptWithinABound()
    {
        Past past;
        QVERIFY(past.run());
        past.script->last->screens["display0"]->paint(1920, 1200, 0x00112233);
        std::vector<QString> ids;
        for (int i = 0; i < 10; ++i)
            ids.push_back(past.keep(QString::number(i)));
        auto& pictures = past.timeline.pictures();
        for (auto const& id : ids) {
            pictures.find(id, MomentPictures::Size::Whole);
            QTRY_VERIFY(pictures.peek(id, MomentPictures::Size::Whole) != nullptr);
        }
        QVERIFY(pictures.keptBytes() <= MomentPictures::mostSmall + MomentPictures::mostWhole);
        QVERIFY(!pictures.peek(ids.front(), MomentPictures::Size::Whole));
        QVERIFY(pictures.peek(ids.back(), MomentPictures::Size::Whole));
    }

    void namesNotesAndPinsAreKept()
    {
        Past past;
        QVERIFY(past.run());
        auto const id = past.keep("old");
        past.timeline.rename(id, "new");
        past.timeline.setNote(id, "two\nlines");
        past.timeline.setPinned(id, true);
        QTRY_VERIFY(past.timeline.moment(id)->pinned);
        QCOMPARE(past.timeline.moment(id)->name, "new");
        QCOMPARE(past.timeline.moment(id)->note, "two\nlines");
    }

    void goingBackKeepsThePresentAndBranchesFromThere()
    {
        Past past;
        QVERIFY(past.run());
        auto const first = past.keep("first");
        auto const second = past.keep("second");
        past.timeline.goTo(first);
        QVERIFY(past.has(3));
        QTRY_VERIFY(past.timeline.present() == first);
        QVERIFY(past.becomes(SessionState::Running));
        auto const& kept = past.timeline.moments().back();
        QCOMPARE(kept.reason, MomentReason::BeforeGoing);
        QCOMPARE(kept.parent, second);
        auto const branch = past.keep("branch");
        QCOMPARE(past.timeline.moment(branch)->parent, first);
    }

    void aMachineThatIsOffHasMomentsToo()
    {
        Past past;
        past.timeline.open();
        QTRY_VERIFY(past.timeline.isRead());
        QVERIFY(past.timeline.canKeep() && past.timeline.canGo() && past.timeline.keepsPresent());
        auto const off = past.keep("off");
        QVERIFY(past.timeline.moment(off)->wasOff);
        past.session.start();
        QVERIFY(past.becomes(SessionState::Running));
        auto const on = past.keep("on");
        QVERIFY(!past.timeline.moment(on)->wasOff);
        past.timeline.goTo(off);
        QVERIFY(past.becomes(SessionState::Off));
        QVERIFY(past.has(3));
        past.timeline.goTo(on);
        QVERIFY(past.becomes(SessionState::Running));
        QVERIFY(past.has(4));
        QVERIFY(past.timeline.moments().back().wasOff);
    }

    void whoIsOnTheWayToAMomentHasNoPresent()
    {
        Past past;
        QVERIFY(past.run());
        auto const id = past.keep("there");
        past.keep("later");
        past.session.powerOff();
        QVERIFY(past.becomes(SessionState::Off));
        past.runner->changeTimeline(
            [id = id.toStdString()](vmm::timeline::Timeline& timeline) { return timeline.setGoingTo(id); });
        QTRY_VERIFY(past.timeline.isOnItsWay());
        QCOMPARE(past.timeline.present(), id);
        QVERIFY(!past.timeline.canKeep());
        QVERIFY(past.timeline.canGo() && past.timeline.keepsPresent());
        past.runner->lookAgain(); // as the library does when the folder changes
        QVERIFY(past.becomes(SessionState::Suspended));
        past.timeline.goTo(id);
        QVERIFY(past.becomes(SessionState::Running));
        QTRY_VERIFY(!past.timeline.isOnItsWay());
        QVERIFY(past.timeline.canKeep());
        QCOMPARE(past.timeline.moments().size(), std::size_t(2));
    }

    void whatIsRemovedComesBack()
    {
        Past past;
        QVERIFY(past.run());
        auto const first = past.keep("first");
        auto const second = past.keep("second");
        auto const third = past.keep("third");
        past.timeline.remove(second);
        QVERIFY(past.has(2));
        QCOMPARE(past.timeline.moment(third)->parent, first);
        QCOMPARE(past.timeline.removed().front().id, second);
        past.timeline.remove(third);
        QVERIFY(past.has(1));
        QCOMPARE(past.timeline.present(), first);
        past.timeline.bringBack(second);
        QVERIFY(past.has(2));
        past.timeline.bringBack(third);
        QVERIFY(past.has(3));
        QCOMPARE(past.timeline.moment(third)->parent, second);
        QCOMPARE(past.timeline.present(), third);
    }

    void whatSomebodyElseDoesIsSeen()
    {
        Past past;
        QVERIFY(past.run());
        auto const id = past.keep("mine");
        QTest::qWait(0);
        past.runner->changeTimeline(
            [id = id.toStdString()](vmm::timeline::Timeline& timeline) { return timeline.rename(id, "theirs"); });
        QTRY_VERIFY(past.timeline.moment(id)->name == "theirs");
    }

    void whatCannotBeDoneIsToldWithTheMoment()
    {
        Past past;
        past.timeline.open();
        QSignalSpy const failed(&past.timeline, &TimelineSession::failed);
        auto config = past.runner->config();
        config.disks.push_back({ "disk0", "/no/such/disk", vmm::DiskFormat::Raw });
        past.runner->setConfig(config);
        past.timeline.keep("of nothing");
        QTRY_COMPARE(failed.size(), 1);
        QCOMPARE(failed[0][0].value<TimelineSession::Step>(), TimelineSession::Step::Keep);
        QVERIFY(!past.timeline.keeping());
        past.timeline.goTo("no-such-moment");
        QTRY_COMPARE(failed.size(), 2);
        QCOMPARE(failed[1][1].toString(), "no-such-moment");
    }

    void whatIsKeptOutlivesItsMachine_data()
    {
        QTest::addColumn<std::function<void(Past&)>>("end");
        QTest::addColumn<bool>("isCancelled");
        QTest::addColumn<SessionState>("after");
        using End = std::function<void(Past&)>;
        End const powerOff = [](Past& past) { past.session.powerOff(); };
        End const suspend = [](Past& past) { past.session.suspend(); };
        QTest::newRow("powered off") << powerOff << false << SessionState::Off;
        QTest::newRow("powered off, cancelled") << powerOff << true << SessionState::Off;
        QTest::newRow("off by its guest")
            << End([](Past& past) { past.script->last->guestPowersOff(); }) << false << SessionState::Off;
        QTest::newRow("suspended") << suspend << false << SessionState::Suspended;
        QTest::newRow("suspended, cancelled") << suspend << true << SessionState::Suspended;
        QTest::newRow("suspended when it is off") << End([](Past& past) {
            past.session.powerOff();
            QTRY_COMPARE(past.script->last->state(), vmm::RunState::Off);
            past.session.suspend();
        }) << false << SessionState::Off;
    }
    void whatIsKeptOutlivesItsMachine()
    {
        QFETCH(std::function<void(Past&)>, end);
        QFETCH(bool, isCancelled);
        QFETCH(SessionState, after);
        Past past;
        QVERIFY(past.run());
        past.script->holdKeep = true;
        past.timeline.keep("mine");
        QTRY_COMPARE(past.timeline.keeping(), 0.5);
        end(past);
        QTest::qWait(20);
        QVERIFY(isInMemory(past.runner->state()));
        QCOMPARE(past.timeline.keeping(), 0.5); // and is shown
        if (isCancelled)
            past.session.cancelJob();
        else
            past.script->last->keepWhatIsHeld();
        QVERIFY(past.becomes(after));
        QVERIFY(past.has(isCancelled ? 0 : 1));
        QVERIFY(!past.timeline.keeping());
    }

    void aSuspendThatWaitsForAMomentIsCancelledAlone()
    {
        Past past;
        QVERIFY(past.run());
        past.script->holdKeep = true;
        past.timeline.keep("mine");
        past.session.suspend();
        QVERIFY(past.becomes(SessionState::Suspending));
        past.runner->cancelJob();
        QVERIFY(past.becomes(SessionState::Running));
        past.script->last->keepWhatIsHeld();
        QVERIFY(past.has(1));
        QVERIFY(!past.script->has("suspend"));
    }

    void whatWasNeglectedIsKnownUntilAMomentIsKept()
    {
        Past past;
        QVERIFY(past.run());
        QVERIFY(!past.timeline.neglected());
        QSignalSpy const changes(&past.timeline, &TimelineSession::neglectedChanged);
        past.script->failKeep = vmm::Error { vmm::ErrorCode::NoSpace, "the disk is full", 28 };
        for (int i = 0; i < 2; ++i) {
            past.script->cpuNanoseconds += 5'000'000'000;
            past.runner->keepUnasked(MomentReason::BeforeChange);
        }
        QTRY_VERIFY(past.timeline.neglected().has_value());
        past.runner->drain();
        QCoreApplication::processEvents();
        QCOMPARE(changes.size(), 1);
        QCOMPARE(past.timeline.neglected()->what, notice::PastNeglected::What::Moment);
        QCOMPARE(past.timeline.neglected()->why.code, vmm::ErrorCode::NoSpace);
        past.script->failKeep.reset();
        past.keep("there is room again");
        QVERIFY(!past.timeline.neglected());
    }

    void theLastMomentsTellTheRateOfChange()
    {
        Past past;
        QVERIFY(past.run());
        past.keep("first");
        QVERIFY(!past.timeline.changeRate());
        QTest::qWait(5);
        past.keep("second");
        QVERIFY(past.timeline.changeRate().has_value());
        // The fake's memory is one page, another one with each moment.
        auto const& moments = past.timeline.moments();
        QCOMPARE(*past.timeline.changeRate(), 4096.0 * 1000 / double(moments[1].time - moments[0].time));
    }

    void theRateOfChangeIsMeasuredWhileSomebodyLooks()
    {
        Past past;
        QSignalSpy const changes(&past.timeline, &TimelineSession::changeRateChanged);
        past.script->memoryChangeRate = 5e6;
        past.timeline.setWatched(true);
        QVERIFY(past.run());
        QTRY_COMPARE(past.timeline.changeRate(), std::optional(5e6));
        QCOMPARE(changes.size(), 1);
        // Nobody looks any more, or it stands still: then it is the past's, and there is none.
        past.timeline.setWatched(false);
        QVERIFY(!past.timeline.changeRate());
        past.timeline.setWatched(true);
        QTRY_COMPARE(past.timeline.changeRate(), std::optional(5e6));
        past.session.pause();
        QVERIFY(past.becomes(SessionState::Paused));
        QVERIFY(!past.timeline.changeRate());
        QCOMPARE(past.script->rateLooks.load(), 2u);
    }

    void whatAMomentWouldBeNowGrowsWhileTheGuestRuns()
    {
        Past past;
        QVERIFY(past.run());
        past.keep("first");
        QVERIFY(!past.timeline.forecast());
        QTest::qWait(5);
        past.keep("second");
        auto const changed = [&] { return past.timeline.forecast()->changedBytes; };
        QVERIFY(past.timeline.forecast() && past.timeline.forecast()->takes);
        auto const soon = changed();
        QTRY_VERIFY(changed() > soon);
        // It is stored as the last one was.
        auto const& last = past.timeline.moments()[1];
        auto const forecast = *past.timeline.forecast();
        QCOMPARE(forecast.storedBytes, quint64(double(forecast.changedBytes) * double(last.storedBytes) / 4096.0));
        past.session.pause();
        QVERIFY(past.becomes(SessionState::Paused));
        auto const still = changed();
        QTest::qWait(20);
        QCOMPARE(changed(), still);
        past.session.resume();
        QVERIFY(past.becomes(SessionState::Running));
        QTRY_VERIFY(changed() > still);
        past.session.powerOff();
        QVERIFY(past.becomes(SessionState::Off));
        QVERIFY(!past.timeline.forecast());
    }

    void disksAreComparedAfterEverythingElse()
    {
        Past past;
        auto const [before, after] = past.twoMomentsOfADisk();
        QSignalSpy const compared(&past.timeline, &TimelineSession::compared);
        std::optional<std::vector<DiskComparison>> disks;
        connect(&past.timeline, &TimelineSession::disksCompared, this, [&](auto const& found) {
            QCOMPARE(compared.size(), 1);
            disks = found;
        });
        past.timeline.compare(after, before); // in whichever order
        QTRY_VERIFY(disks.has_value());
        QCOMPARE(disks->size(), std::size_t(1));
        QCOMPARE(disks->front().id, "disk0");
        QCOMPARE(disks->front().changedBytes, 8192u);
        QCOMPARE(disks->front().runs.size(), std::size_t(1));
        QCOMPARE(disks->front().runs[0].offset, quint64(128 << 10));
        QVERIFY(disks->front().problem.isEmpty());
    }

    void whoStopsHearsNothing()
    {
        Past past;
        auto const [before, after] = past.twoMomentsOfADisk();
        QSignalSpy const compared(&past.timeline, &TimelineSession::compared),
            disks(&past.timeline, &TimelineSession::disksCompared), failed(&past.timeline, &TimelineSession::failed);
        past.timeline.compare(before, after);
        past.timeline.stopComparing();
        past.timeline.compare(before, after);
        QTRY_COMPARE(disks.size(), 1);
        QCOMPARE(compared.size(), 1);
        QVERIFY(failed.isEmpty());
    }

    void whoStopsTheDisksHearsOfTheRest()
    {
        Past past;
        auto const [before, after] = past.twoMomentsOfADisk();
        QSignalSpy const compared(&past.timeline, &TimelineSession::compared),
            progress(&past.timeline, &TimelineSession::comparingDisks),
            disks(&past.timeline, &TimelineSession::disksCompared), failed(&past.timeline, &TimelineSession::failed);
        past.timeline.compare(before, after);
        past.timeline.stopComparingDisks();
        QTRY_COMPARE(compared.size(), 1);
        past.timeline.compare(before, after); // is done after all of the first
        QTRY_COMPARE(disks.size(), 1);
        QCOMPARE(compared.size(), 2);
        QVERIFY(failed.isEmpty());
    }

    void howMuchOfTheDisksChangedIsFoundOutForWhoStays()
    {
        Past past;
        auto const [before, after] = past.twoMomentsOfADisk();
        QSignalSpy const lookedAt(&past.timeline, &TimelineSession::disksLookedAt);
        QVERIFY(!past.timeline.diskChange(before)); // which came from none
        QVERIFY(!past.timeline.diskChange(after));
        QTRY_COMPARE(lookedAt.size(), 1);
        QCOMPARE(past.timeline.diskChange(after), std::optional<quint64>(8192));
    }

    void whatTheDisksTakeIsFoundOutForWhoAsks()
    {
        Past past;
        auto const [before, after] = past.twoMomentsOfADisk();
        QSignalSpy const lookedAt(&past.timeline, &TimelineSession::disksLookedAt);
        QVERIFY(past.timeline.diskCost(after) == nullptr);
        past.timeline.findDiskCosts();
        QTRY_COMPARE(lookedAt.size(), 1);
        QCOMPARE(**past.timeline.diskCost(before), (vmm::DiskCost {}));
        auto const cost = **past.timeline.diskCost(after);
        QVERIFY(cost.own == 0 && cost.shared >= 8192); // with the disk as it is now
        auto const onDisks = [&] {
            auto const& costs = past.timeline.costs();
            return costs && costs->onDisks ? *costs->onDisks : vmm::Result<quint64>(1);
        };
        QTRY_COMPARE(onDisks().value_or(2), quint64(0)); // so nothing is kept beyond that

        // It is known; with another moment it is not any more.
        past.timeline.findDiskCosts();
        auto const third = past.keep("third");
        QVERIFY(past.timeline.diskCost(third) == nullptr);
        past.timeline.findDiskCosts();
        QTRY_VERIFY(past.timeline.diskCost(third) != nullptr);
        QCOMPARE(lookedAt.size(), 2);
        QVERIFY(QFile::remove(QString::fromStdString(past.path("disk.qcow2"))));
        past.timeline.remove(third);
        QVERIFY(past.has(2));
        past.timeline.findDiskCosts();
        QTRY_COMPARE(lookedAt.size(), 3);
        QVERIFY(!*past.timeline.diskCost(after)); // and says why
        QVERIFY(!onDisks());
    }

    void costsAreCounted()
    {
        Past past;
        QVERIFY(past.run());
        past.keep("first"); // whose memory is zeros, which cost nothing
        auto const id = past.keep("second");
        auto const isCounted = [&] {
            auto const costs = past.timeline.costs();
            return costs && costs->moments.contains(id) && costs->moments.at(id).own > 0;
        };
        QVERIFY(tests::becomes(isCounted));
        QVERIFY(past.timeline.costs()->total() > 0);
    }
};

REGISTER_SUITE(TimelineSessionTest);
#include "timeline_session_test.moc"
