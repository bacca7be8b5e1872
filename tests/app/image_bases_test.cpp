#include "app/store/disk_images.h"
#include "app/store/image_removal.h"
#include "app/store/machine_directory.h"
#include "app/store/machine_store.h"
#include "app/store/scaffold.h"
#include "app/store/whole_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/call_faults.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/bytes.h"
#include "vmm/base/random.h"
#include "vmm/machine/disk_chains.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/moment_disks.h"

#include <QDir>
#include <QStorageInfo>
#include <QTemporaryDir>
#include <algorithm>
#include <fstream>
#include <unistd.h>

using namespace app;
using vmm::timeline::Timeline;

namespace {

/// A library with one machine, whose disk stands on the file of its moment.
struct Bench {
    QTemporaryDir directory;
    MachineStore store { directory.path().toStdString() };
    StoredMachine machine;
    std::string moment, base; ///< the file's name

    Bench()
    {
        MachineRequest request;
        request.config = tests::exampleConfig("web");
        request.config.uuid.clear();
        request.config.disks = { { .id = "disk0", .moments = vmm::MomentPlace::Beside } };
        request.newDisks = { { "disk0", 1u << 20, DiskFormat::Raw } };
        machine = tests::must(store.create(std::move(request)));
        write(1);
        auto const kept = tests::must(vmm::Machine::keepOff(machine.config, *timelineOf(machine), {}));
        moment = kept.id;
        base = kept.disks.front().checkpoint.place;
        machine = tests::must(store.load(machine.id));
        write(2);
    }
    std::string const& disk() const { return machine.config.disks[0].path; }
    std::unique_ptr<Timeline> timelineOf(StoredMachine const& whose) const
    {
        return tests::openTimeline(whose.directory + "/timeline");
    }
    static std::unique_ptr<vmm::BlockImage> open(vmm::IoEngine& engine, vmm::DiskConfig const& disk)
    {
        return tests::must(vmm::BlockImage::open(engine, disk.path, vmm::imageOptions(disk)));
    }
    void write(std::uint8_t part) const
    {
        vmm::InlineEngine engine;
        auto const image = open(engine, machine.config.disks[0]);
        tests::must(image->writeSync(part * (64U << 10), vmm::Bytes(512, part)));
        tests::must(image->flushSync());
    }
    bool hasAll() const { return hasAll(machine.id); }
    bool hasAll(std::string const& id) const
    {
        vmm::InlineEngine engine;
        vmm::Bytes data(1 << 20);
        tests::must(open(engine, tests::must(store.load(id)).config.disks[0])->readSync(0, data));
        return data[1 << 16] == 1 && data[2 << 16] == 2;
    }
    void removeDisk()
    {
        auto config = machine.config;
        config.disks.clear();
        tests::must(store.save(config, {}, { disk() }));
    }
    bool hasBase(StoredMachine const& whose) const { return vmm::existsFile(whose.directory + "/" + base); }
};

/// Does it anew for each read of a file that it makes, which fails once; `look` tells what is wrong after it, if
/// anything. In a process where calls can fail.
QString tryEachRead(std::function<vmm::Result<>()> const& what, std::function<QString()> const& look)
{
    bool goesOn = true;
    for (unsigned at = 0; goesOn; ++at) {
        tests::CallFaults::plan({ .at = at, .calls = tests::CallFault::Calls::Reading });
        auto const outcome = what();
        goesOn = tests::CallFaults::hasStruck();
        tests::CallFaults::end();
        auto wrong = look();
        if (wrong.isEmpty() && !outcome && (!goesOn || outcome.error().code != vmm::ErrorCode::IoError))
            wrong = QString::fromStdString("it fails: " + outcome.error().message());
        if (!wrong.isEmpty())
            return QStringLiteral("read %1: ").arg(at) + wrong;
    }
    return {};
}

QString whereEachReadFails(std::function<vmm::Result<>()> const& what, std::function<QString()> const& look)
{
    auto const told = tests::tellWithFaults([&]() -> QString {
        if (!tests::CallFaults::begin())
            ::_exit(3);
        return tryEachRead(what, look);
    });
    return told.wrong;
}

/// A library with one machine, which has a disk in its folder and one that stands on a file `below`.
struct Pair {
    QTemporaryDir directory;
    MachineStore store { directory.path().toStdString() };
    StoredMachine machine;
    std::string base, top;

    Pair()
    {
        MachineRequest request;
        request.config = tests::exampleConfig("web");
        request.config.uuid.clear();
        request.config.disks = { { .id = "disk0" } };
        request.newDisks = { { "disk0", 1u << 20, DiskFormat::Raw } };
        machine = tests::must(store.create(std::move(request)));
        base = machine.config.disks[0].path;
    }
    void putOn(std::string const& below, std::string const& folder, std::vector<std::string> backing)
    {
        top = folder + "/top.qcow2";
        tests::must(
            vmm::createImage(top, { .size = 1u << 20, .backingFile = below, .backingFormat = vmm::ImageFormat::Raw }));
        auto config = machine.config;
        config.disks.insert(config.disks.begin(),
            { .id = "disk1", .path = top, .format = DiskFormat::Qcow2, .backing = std::move(backing) });
        tests::must(store.save(config));
        machine = tests::must(store.load(machine.id));
    }
    vmm::Result<std::string> remove(std::vector<std::string> const& images)
    {
        auto config = machine.config;
        std::erase_if(config.disks,
            [&](vmm::DiskConfig const& disk) { return std::ranges::find(images, disk.path) != images.end(); });
        return store.save(config, {}, images);
    }
    bool isAsBefore() const
    {
        return tests::must(store.load(machine.id)).config == machine.config && vmm::existsFile(base)
            && vmm::existsFile(top) && QDir(directory.filePath("trash")).isEmpty();
    }
};

}

/// What a disk stands on since its moment was kept, when the disk is copied or goes.
class ImageBasesTest final : public QObject {
    Q_OBJECT

private slots:
    /// As it was said to be before its moment made it qcow2, whatever else was saved since.
    void aDiskThatIsRawAgainIsReadSo()
    {
        Bench bench;
        QCOMPARE(bench.machine.config.disks[0].format, std::optional(DiskFormat::Qcow2));
        bench.machine.config.name = "other";
        REQUIRE_OK(bench.store.save(bench.machine.config));
        auto config = tests::must(bench.store.load(bench.machine.id)).config;
        QCOMPARE(config.name, std::string("other"));
        QCOMPARE(config.disks[0].format, std::optional(DiskFormat::Qcow2));
        config.disks[0].format = DiskFormat::Raw; // as the machine knows it that was started before
        REQUIRE_OK(vmm::commitStillDisk(config, "disk0", 1, nullptr, {}, {}));
        QVERIFY(!bench.hasBase(bench.machine));
        QCOMPARE(
            tests::must(bench.store.load(bench.machine.id)).config.disks[0].format, std::optional(DiskFormat::Raw));
        QVERIFY(bench.hasAll());
    }

    /// What a disk is, is never made up of a read that failed, whichever those are when it is read and saved.
    void aFormatThatNobodyCouldReadIsNotWrittenDown_data()
    {
        QTest::addColumn<bool>("isOverlay");
        QTest::newRow("an overlay") << true;
        QTest::newRow("raw, beside what was kept of it") << false;
    }
    void aFormatThatNobodyCouldReadIsNotWrittenDown()
    {
        QFETCH(bool, isOverlay);
        Bench bench;
        auto& [id, directory, config, problem, isSuspended, owner] = bench.machine;
        if (!isOverlay) {
            REQUIRE_OK(vmm::removeFile(bench.disk()));
            REQUIRE_OK(makeDiskImage(bench.disk(), DiskFormat::Raw, 1u << 20));
        }
        auto const written = [&] { return tests::must(readWrittenConfig(directory, id)).disks[0].format; };
        QCOMPARE(written(), std::optional(DiskFormat::Raw));
        vmm::Result<StoredMachine> read = bench.machine;
        auto const readIt = [&]() -> vmm::Result<> {
            read = bench.store.load(id);
            return read ? vmm::Result<>() : vmm::fail(read.error());
        };
        unsigned number = 0;
        auto const saveIt = [&]() -> vmm::Result<> {
            read->config.name = "web " + std::to_string(++number);
            TRY(bench.store.save(read->config));
            return {};
        };
        auto const look = [&] { return written() == DiskFormat::Raw ? QString() : QStringLiteral("it is written"); };
        auto const lookAndSave = [&]() -> QString {
            if (!read)
                return {};
            if (!isOverlay && read->config.disks[0].format != DiskFormat::Raw)
                return "a raw disk is told as qcow2";
            return tryEachRead(saveIt, look);
        };
        QCOMPARE(whereEachReadFails(readIt, lookAndSave), QString());
        QCOMPARE(bench.hasAll(), isOverlay);
    }

    void whereAReadFailsACopyIsWholeOrNone()
    {
        Bench bench;
        std::optional<StoredMachine> copy;
        auto const clone = [&]() -> vmm::Result<> {
            copy.reset();
            copy = TRY(bench.store.clone(bench.machine.id, "copy"));
            return {};
        };
        auto const look = [&]() -> QString {
            if (!copy)
                return {};
            bool const isWhole = bench.hasBase(*copy) && bench.hasAll(copy->id);
            tests::must(bench.store.remove(copy->id));
            return isWhole ? "" : "what it stands on is missing";
        };
        QCOMPARE(whereEachReadFails(clone, look), QString());
    }

    void whereAReadFailsAnImageGoesWithItsBasesOrStays()
    {
        Bench bench;
        REQUIRE_OK(bench.timelineOf(bench.machine)->purge(bench.moment));
        vmm::Result<std::string> place;
        auto const remove = [&]() -> vmm::Result<> {
            auto config = bench.machine.config;
            config.disks.clear();
            place = bench.store.save(config, {}, { bench.disk() });
            return place ? vmm::Result<>() : vmm::fail(place.error());
        };
        auto const look = [&]() -> QString {
            if (place && place->empty())
                return "it is neither kept nor thrown away";
            if (place)
                tests::must(bench.store.restoreRemoved(*place));
            return bench.hasBase(bench.machine) && bench.hasAll() ? "" : "it is not whole";
        };
        QCOMPARE(whereEachReadFails(remove, look), QString());
    }

    /// Also from the trash; and not where nothing comes of the going.
    void aMomentMakesAnImageAgainThatHasGone()
    {
        Bench bench;
        bench.removeDisk();
        REQUIRE_OK(bench.store.emptyTrash(0));
        std::shared_ptr<Timeline> const timeline = bench.timelineOf(bench.machine);
        auto const refuse = [] { return vmm::fail(vmm::ErrorCode::Busy, "not now"); };
        QCOMPARE(vmm::Machine::goToOff(timeline, bench.moment, refuse).error().code, vmm::ErrorCode::Busy);
        QVERIFY(!vmm::existsFile(bench.disk()));
        auto const gone = vmm::Machine::goToOff(timeline, bench.moment);
        REQUIRE_OK(gone);
        auto disk = gone->disks[0];
        QCOMPARE(disk.path, bench.disk());
        disk.format = vmm::formatNow(disk);
        vmm::InlineEngine engine;
        vmm::Bytes data(1 << 20);
        REQUIRE_OK(Bench::open(engine, disk)->readSync(0, data));
        QCOMPARE(data[1 << 16], std::uint8_t(1));
        QCOMPARE(data[2 << 16], std::uint8_t(0)); // was written after it
    }

    void whatAMomentKeepsInsideOfAnImageComesBackWithThat()
    {
        Pair pair;
        REQUIRE_OK(vmm::removeFile(pair.base));
        REQUIRE_OK(makeDiskImage(pair.base, DiskFormat::Qcow2, 1u << 20));
        pair.machine.config.disks[0].format = DiskFormat::Qcow2;
        pair.machine.config.disks[0].moments = vmm::MomentPlace::Inside;
        REQUIRE_OK(pair.store.save(pair.machine.config));
        auto const open = [&] { return tests::openTimeline(pair.machine.directory + "/timeline"); };
        auto const kept = tests::must(vmm::Machine::keepOff(pair.machine.config, *open(), {}));
        QCOMPARE(kept.disks[0].checkpoint.way, vmm::CheckpointWay::Internal);
        auto const place = tests::must(pair.remove({ pair.base }));
        QCOMPARE(vmm::Machine::goToOff(open(), kept.id).error().code, vmm::ErrorCode::NotFound);
        QVERIFY(!vmm::existsFile(pair.base));
        REQUIRE_OK(pair.store.restoreRemoved(place));
        REQUIRE_OK(vmm::Machine::goToOff(open(), kept.id));
    }

    void aClonesBasesGoWhenItDoesNotStandOnThem()
    {
        Bench bench;
        auto const clone = tests::must(bench.store.clone(bench.machine.id, "copy"));
        QVERIFY(bench.hasBase(clone));
        REQUIRE_OK(vmm::streamStillDisk(clone.config, "disk0", {}, {}));
        auto const timeline = bench.timelineOf(clone);
        REQUIRE_OK(vmm::DiskTidier(*timeline, clone.config, {}).run());
        QVERIFY(!bench.hasBase(clone));
        QVERIFY(timeline->loose().empty());
        QVERIFY(bench.hasBase(bench.machine) && bench.hasAll());
    }

    void aRemovedImagesBasesGoWithIt()
    {
        Bench bench;
        REQUIRE_OK(bench.timelineOf(bench.machine)->purge(bench.moment));
        bench.removeDisk();
        QVERIFY(!bench.hasBase(bench.machine));
        REQUIRE_OK(bench.store.restoreRemoved(bench.store.removed().front().place()));
        QVERIFY(bench.hasBase(bench.machine) && bench.hasAll());
        bench.removeDisk(); // they are known again
        QVERIFY(!bench.hasBase(bench.machine));
    }

    /// As of a disk whose image was not there when its machine was saved.
    void whereNobodySaysThatAnImageIsQcow2ItsBasesGoWithIt()
    {
        Bench bench;
        REQUIRE_OK(bench.timelineOf(bench.machine)->purge(bench.moment));
        auto unsaid = bench.machine.config;
        unsaid.disks[0].format.reset();
        REQUIRE_OK(writeConfig(unsaid, bench.machine.directory));
        QVERIFY(bench.hasBase(tests::must(bench.store.clone(bench.machine.id, "copy"))));
        bench.removeDisk();
        QVERIFY(!bench.hasBase(bench.machine));
        REQUIRE_OK(bench.store.restoreRemoved(bench.store.removed().front().place()));
        QVERIFY(bench.hasBase(bench.machine) && bench.hasAll());
    }

    /// What the images are they must say then.
    void imagesOfADamagedMachineGoAndComeBack()
    {
        Bench bench;
        auto const asWas = bench.machine.config;
        REQUIRE_OK(writeWholeFile(bench.machine.directory + "/machine.json", vmm::bytesOf(std::string("nothing"))));
        auto config = asWas;
        config.disks.clear();
        auto const elsewhere = bench.directory.filePath("elsewhere.img").toStdString();
        REQUIRE_OK(writeWholeFile(elsewhere, vmm::bytesOf(std::string("a person's"))));
        auto const place = tests::must(bench.store.save(config, {}, { bench.disk(), elsewhere }));
        QVERIFY(!vmm::existsFile(bench.disk()) && vmm::existsFile(elsewhere));
        QVERIFY(tests::must(bench.store.load(bench.machine.id)).config.disks.empty());
        REQUIRE_OK(bench.store.restoreRemoved(place));
        QCOMPARE(tests::must(bench.store.load(bench.machine.id)).config.disks.front().path, bench.disk());
        QVERIFY(bench.hasAll());
    }

    void whatElseCannotGoIsNoObstacle()
    {
        Bench bench;
        auto const other = vmm::makeUuid(), noImage = bench.machine.directory + "/machine.json";
        REQUIRE_OK(bench.timelineOf(bench.machine)
                       ->setLoose({ other, { { "disk9", noImage, { vmm::CheckpointWay::Internal, other, {} } } } }));
        auto config = bench.machine.config;
        config.disks.clear();
        auto const place = bench.store.save(config, {}, { bench.disk() });
        REQUIRE_OK(place);
        QCOMPARE(*place, bench.store.removed().front().place());
        QCOMPARE(bench.timelineOf(bench.machine)->loose().size(), std::size_t(1));
    }

    /// A person may still mend it.
    void anImageThatCannotBeReadComesBackWithItsBases()
    {
        Bench bench;
        REQUIRE_OK(bench.timelineOf(bench.machine)->purge(bench.moment));
        bench.removeDisk();
        auto const removed = bench.store.removed().front();
        auto const name = bench.disk().substr(bench.disk().rfind('/'));
        auto const swapMagic = [](std::string const& image, vmm::Bytes const& with) {
            std::fstream file(image, std::ios::in | std::ios::out | std::ios::binary);
            vmm::Bytes before(with.size());
            file.read(reinterpret_cast<char*>(before.data()), std::streamsize(before.size()));
            file.seekp(0);
            file.write(reinterpret_cast<char const*>(with.data()), std::streamsize(with.size()));
            return before;
        };
        auto const magic = swapMagic(removed.directory + name, vmm::Bytes(4));
        REQUIRE_OK(bench.store.restoreRemoved(removed.place()));
        QVERIFY(bench.hasBase(bench.machine));
        swapMagic(bench.disk(), magic);
        QVERIFY(bench.hasAll());
    }

    void whatIsBeingEndedDoesNotComeBack()
    {
        Bench bench;
        bench.removeDisk();
        auto const removed = bench.store.removed().front();
        {
            auto const ends = MachineLock::take(removed.directory + "/machine.lock");
            REQUIRE_OK(ends);
            QCOMPARE(bench.store.restoreRemoved(removed.place()).error().code, vmm::ErrorCode::Busy);
            QVERIFY(tests::must(bench.store.load(bench.machine.id)).config.disks.empty());
        }
        REQUIRE_OK(bench.store.restoreRemoved(removed.place()));
        QVERIFY(bench.hasAll());
    }

    void whatAnotherDiskStandsOnStays_data()
    {
        QTest::addColumn<bool>("isElsewhere");
        QTest::newRow("beside it") << false;
        QTest::newRow("elsewhere, by its backing") << true;
    }
    void whatAnotherDiskStandsOnStays()
    {
        QFETCH(bool, isElsewhere);
        Pair pair;
        if (isElsewhere)
            pair.putOn(pair.base, pair.directory.path().toStdString(), { pair.base });
        else
            pair.putOn("disk0.img", pair.machine.directory, {});
        QCOMPARE(tests::must(pair.remove({ pair.base })), std::string());
        QVERIFY(vmm::existsFile(pair.base));
        QCOMPARE(tests::must(pair.store.load(pair.machine.id)).config.disks.size(), std::size_t(1));
    }

    void whatIsInADriveStays()
    {
        Pair pair;
        pair.machine.config.cds.push_back({ .id = "cd7", .path = pair.base });
        REQUIRE_OK(pair.store.save(pair.machine.config));
        QCOMPARE(tests::must(pair.remove({ pair.base })), std::string());
        QVERIFY(vmm::existsFile(pair.base));
    }

    void imagesOfTheSameNameGoAndComeBackTogether()
    {
        Pair pair;
        for (auto const* folder : { "a", "b" }) {
            auto const place = pair.machine.directory + "/" + folder;
            QVERIFY(QDir().mkdir(QString::fromStdString(place)));
            tests::must(vmm::createImage(
                place + "/own.img", { .format = vmm::ImageFormat::Raw, .size = *folder == 'a' ? 1u << 20 : 2u << 20 }));
            pair.machine.config.disks.push_back(
                { .id = std::string("disk-") + folder, .path = place + "/own.img", .format = DiskFormat::Raw });
        }
        REQUIRE_OK(pair.store.save(pair.machine.config));
        auto const &a = pair.machine.config.disks[1].path, &b = pair.machine.config.disks[2].path;
        auto const place = tests::must(pair.remove({ a, b }));
        QVERIFY(!vmm::existsFile(a) && !vmm::existsFile(b));
        REQUIRE_OK(pair.store.restoreRemoved(place));
        auto const disks = tests::must(pair.store.load(pair.machine.id)).config.disks;
        QCOMPARE(disks.size(), std::size_t(3));
        QCOMPARE(QFileInfo(QString::fromStdString(disks[1].path)).size(), qint64(1) << 20);
        QCOMPARE(QFileInfo(QString::fromStdString(disks[2].path)).size(), qint64(2) << 20);
    }

    /// When the machine was saved without the disk, and its image not moved yet.
    void whatHasNotLeftWhenThatWasCutOffComesBack()
    {
        Pair pair;
        auto const place = tests::must(pair.remove({ pair.base }));
        REQUIRE_OK(moveDirectory(pair.store.root() + "/trash/" + place + "/disk0.img", pair.base));
        REQUIRE_OK(pair.store.restoreRemoved(place));
        QCOMPARE(tests::must(pair.store.load(pair.machine.id)).config.disks, pair.machine.config.disks);
        QVERIFY(vmm::existsFile(pair.base) && pair.store.removed().empty());
    }

    void whatStandsOnEachOtherGoesAndComesBackTogether()
    {
        Pair pair;
        pair.putOn("disk0.img", pair.machine.directory, {});
        auto const place = tests::must(pair.remove({ pair.top, pair.base }));
        QVERIFY(!vmm::existsFile(pair.top) && !vmm::existsFile(pair.base));
        REQUIRE_OK(pair.store.restoreRemoved(place));
        QVERIFY(pair.isAsBefore());
    }

    void whatWouldNotBeWholeInTheTrashIsRefused()
    {
        Pair pair;
        auto const own = pair.store.machinesDirectory() + "/own";
        QVERIFY(QDir().mkdir(QString::fromStdString(own)));
        tests::must(vmm::createImage(own + "/base.img", { .format = vmm::ImageFormat::Raw, .size = 1u << 20 }));
        pair.putOn("../own/base.img", pair.machine.directory, { own + "/base.img" });
        auto const refused = pair.remove({ pair.top });
        QCOMPARE(refused.error().code, vmm::ErrorCode::Unsupported);
        QVERIFY2(
            refused.error().message().find("disk1 stands on") != std::string::npos, refused.error().message().c_str());
        QVERIFY(pair.isAsBefore());
        // As it is nobody can read it.
        QVERIFY(QDir(QString::fromStdString(own)).removeRecursively());
        QVERIFY(!tests::must(pair.remove({ pair.top })).empty());
        QVERIFY(!vmm::existsFile(pair.top));
    }

    void whereAnImageCannotGoNothingIsSaved()
    {
        Pair pair;
        QTemporaryDir const elsewhere("/dev/shm/chronovisor-XXXXXX");
        if (!elsewhere.isValid() || QStorageInfo(elsewhere.path()) == QStorageInfo(pair.directory.path()))
            QSKIP("CHRONOVISOR-SKIP: this host has no second file system");
        auto const folder = pair.machine.directory + "/images";
        QVERIFY(QFile::link(elsewhere.path(), QString::fromStdString(folder)));
        pair.putOn(pair.base, folder, { pair.base });
        std::ranges::reverse(pair.machine.config.disks); // what can go is tried first
        REQUIRE_OK(pair.store.save(pair.machine.config));
        auto const refused = pair.remove({ pair.base, pair.top });
        QVERIFY(!refused);
        QVERIFY(pair.isAsBefore());
    }

    void withoutATrashNothingIsSaved()
    {
        Pair pair;
        pair.putOn("disk0.img", pair.machine.directory, {});
        REQUIRE_OK(writeWholeFile(pair.directory.path().toStdString() + "/trash", vmm::bytesOf(std::string("a file"))));
        QVERIFY(!pair.remove({ pair.top }));
        QVERIFY(pair.isAsBefore());
    }

    /// By another process, before they are there.
    void whatIsOnItsWayIntoTheTrashIsNotEmptied()
    {
        Pair pair;
        pair.putOn("disk0.img", pair.machine.directory, {});
        auto removed = pair.machine.config;
        std::erase_if(removed.disks, [&](vmm::DiskConfig const& disk) { return disk.path != pair.top; });
        auto const place = pair.store.root() + "/trash/" + removed.uuid + ".images-" + vmm::makeUuid();
        auto const removal
            = tests::must(ImageRemoval::prepare(removed, place, pair.store.placesOf(removed.uuid).timelineFolder));
        REQUIRE_OK(pair.store.emptyTrash());
        REQUIRE_OK(removal->carryOut());
        QVERIFY(!vmm::existsFile(pair.top) && vmm::existsFile(place + "/top.qcow2"));
        REQUIRE_OK(pair.store.emptyTrash());
        QVERIFY(pair.store.removed().empty());
    }

    void whatAMomentNeedsStays()
    {
        Bench bench;
        bench.removeDisk();
        QVERIFY(bench.hasBase(bench.machine));
        REQUIRE_OK(bench.store.emptyTrash());
        QVERIFY(bench.hasBase(bench.machine));
        QVERIFY(bench.timelineOf(bench.machine)->loose().empty());
    }
};

REGISTER_SUITE(ImageBasesTest);
#include "image_bases_test.moc"
