#include "tests/support/checkpoint_story.h"
#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/block/checkpoint_choice.h"
#include "vmm/block/checkpoint_files.h"
#include "vmm/block/checkpoint_zfs.h"
#include "vmm/block/overlay_files.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <map>
#include <sys/stat.h>

using namespace vmm;
using namespace tests;

namespace {

/// A `zfs` that keeps snapshots of one file system by copying its files, as .zfs/snapshot would show them.
struct FakeZfs {
    std::string mountPoint;
    std::vector<std::string> snapshots;
    std::vector<std::string> denied; ///< verbs
    std::vector<std::string> calls;
    std::string sizes = "\t8192\t20480"; ///< of each snapshot
    bool isLoaded = true;                ///< the kernel's part

    Result<std::string> operator()(std::vector<std::string> const& arguments)
    {
        if (arguments[0] != "zfs")
            return runProgram(arguments);
        auto const& verb = arguments[1];
        auto const& name = arguments.back();
        calls.push_back(verb + " " + name);
        if (!isLoaded)
            return fail(ErrorCode::IoError, "The ZFS modules cannot be auto-loaded.");
        if (std::ranges::find(denied, verb) != denied.end())
            return fail(ErrorCode::PermissionDenied, "cannot: permission denied");
        QString const folder = QString::fromStdString(mountPoint + "/.zfs/snapshot/" + name.substr(name.find('@') + 1));
        if (verb == "list" && arguments[4] == "filesystem")
            return "pool\t/\npool/none\tnone\npool/disks\t" + mountPoint + "\n";
        if (verb == "list" && name.find('@') != std::string::npos)
            return std::ranges::find(snapshots, name) != snapshots.end()
                ? Result<std::string>(name + "\n")
                : fail(ErrorCode::IoError, "cannot open '" + name + "': dataset does not exist");
        if (verb == "list") {
            bool const withSizes = arguments[arguments.size() - 2] == "name,used,referenced";
            std::string all;
            for (auto const& snapshot : snapshots)
                all += snapshot + (withSizes ? sizes : "") + "\n";
            return all;
        }
        if (verb == "snapshot") {
            snapshots.push_back(name);
            QDir().mkpath(folder);
            for (auto const& file : QDir(QString::fromStdString(mountPoint)).entryList(QDir::Files))
                QFile::copy(QString::fromStdString(mountPoint) + "/" + file, folder + "/" + file);
            return std::string();
        }
        if (verb == "destroy") {
            std::erase(snapshots, name);
            QDir(folder).removeRecursively();
        }
        return std::string();
    }
};

/// One that is open to a disk or not, and is asked for nothing else.
struct Pretended final : CheckpointMethod {
    CheckpointWay way;
    bool isOpen;
    Pretended(CheckpointWay its, bool open) : way(its), isOpen(open) { }
    Result<> probe(CheckpointedDisk&) override
    {
        return isOpen ? Result<>()
                      : fail(ErrorCode::Unsupported, std::string(stateNames(way)[std::size_t(way)]) + " is not open");
    }
    Result<Checkpoint> plan(CheckpointedDisk&, std::string const& id) override { return Checkpoint { way, id, "" }; }
    Result<> prepare(CheckpointedDisk&, Checkpoint const&) override { return notAsked(); }
    Result<> take(CheckpointedDisk&, Checkpoint const&, DiskSnapshot const&) override { return notAsked(); }
    Result<> seal(CheckpointedDisk&, Checkpoint const&) override { return notAsked(); }
    Result<> goBack(CheckpointedDisk&, Checkpoint const&) override { return notAsked(); }
    Result<std::unique_ptr<BlockImage>> openReadOnly(
        IoEngine&, std::string const&, Checkpoint const&, std::vector<std::string> const&) override
    {
        return fail(notAsked().error());
    }
    Result<ImageFormat> fork(CheckpointedDisk&, Checkpoint const&, std::string const&, CopyProgress const&) override
    {
        return fail(notAsked().error());
    }
    Result<> remove(CheckpointedDisk&, Checkpoint const&) override { return notAsked(); }
    static Result<> notAsked() { return fail(ErrorCode::Unsupported, "nobody asks for that"); }
};

}

/// The ways in which a disk keeps what it held, on the files of this host.
class CheckpointTest : public QObject {
    Q_OBJECT

private slots:
    void init() { m_folder = std::make_unique<QTemporaryDir>(); }
    void initTestCase() { setLogLevel(LogLevel::Off); }
    void cleanupTestCase() { setLogLevel(LogLevel::Info); }

    void internal()
    {
        auto const method = CheckpointMethod::create(CheckpointWay::Internal);
        CheckpointStory(*method, path("disk"), ImageFormat::Qcow2).tell(path("fork"));
        CheckpointStory(*method, path("larger"), ImageFormat::Qcow2).tellOfGrowth();
    }

    void internalIsNotForRawImages()
    {
        auto const method = CheckpointMethod::create(CheckpointWay::Internal);
        CheckpointStory story(*method, path("disk"), ImageFormat::Raw);
        QCOMPARE(method->probe(story.disk()).error().code, ErrorCode::Unsupported);
    }

    void overlay_data() { formats(); }

    void overlay()
    {
        QFETCH(ImageFormat, format);
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        CheckpointStory(*method, path("disk"), format).tell(path("fork"));
        CheckpointStory(*method, path("larger"), format).tellOfGrowth();
    }

    /// What waits while the disk is held goes to the overlay, not to the base.
    void whatWaitedIsWrittenToTheOverlay()
    {
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        CheckpointStory story(*method, path("disk"), ImageFormat::Raw);
        story.write(1);
        auto const one = must(method->plan(story.disk(), "one"));
        REQUIRE_OK(method->prepareFiles(story.disk(), one));
        REQUIRE_OK(method->prepare(story.disk(), one));
        story.disk().image->hold();
        Bytes data(8192, 2);
        iovec const buffer { data.data(), data.size() };
        BlockRequest request;
        request.kind = BlockRequest::Kind::Write;
        request.offset = CheckpointStory::size / 2;
        request.length = data.size();
        request.buffers = { &buffer, 1 };
        bool done = false;
        request.completed = [&](Result<> result) { done = result.has_value(); };
        story.disk().image->submit(request);
        REQUIRE_OK(method->take(story.disk(), one, { .id = "one", .name = "" }));
        QVERIFY(!done);
        story.disk().image->letGo();
        story.disk().image->drain();
        QVERIFY(done);
        QCOMPARE(story.at(one), 1);
        QCOMPARE(story.now(), 2);
        QCOMPARE(story.disk().image->info().path, path("disk"));
        QCOMPARE(story.disk().image->info().backing[0].path, path("disk.one"));
    }

    /// What the guest has been told of discards holds on, and 4 KiB that it writes cost no 64.
    void anOverlayHasTheClustersOfWhatIsBelow_data()
    {
        QTest::addColumn<unsigned>("below");
        QTest::addColumn<std::uint64_t>("above");
        QTest::newRow("as small") << 12u << std::uint64_t(4 << 10);
        QTest::newRow("in between") << 14u << std::uint64_t(16 << 10);
        QTest::newRow("smaller than the host's blocks") << 9u << std::uint64_t(4 << 10);
        QTest::newRow("large") << 21u << std::uint64_t(64 << 10);
    }

    void anOverlayHasTheClustersOfWhatIsBelow()
    {
        QFETCH(unsigned, below);
        QFETCH(std::uint64_t, above);
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        CheckpointStory story(*method, path("disk"), ImageFormat::Qcow2);
        story.disk().image.reset();
        REQUIRE_OK(removeFile(path("disk")));
        must(createImage(path("disk"), { .size = CheckpointStory::size, .clusterBits = below }));
        story.openAgain();
        story.write(1);
        auto const one = story.keep(makeUuid());
        QCOMPARE(story.disk().image->info().clusterSize, above);
        story.write(2);
        auto const two = story.keep(makeUuid());
        REQUIRE_OK(method->goBack(story.disk(), one));
        QCOMPARE(story.disk().image->info().clusterSize, above);
        must(method->fork(story.disk(), one, path("fork")));
        QCOMPARE(must(BlockImage::open(story.engine(), path("fork")))->info().clusterSize, above);
        REQUIRE_OK(OverlayFiles(story.engine(), path("disk"), {}).mergeBelow(path(two.place), 1));
        QCOMPARE(must(method->openReadOnly(story.engine(), path("disk"), two))->info().clusterSize, above);
        QCOMPARE(story.at(two), 2);
        QCOMPARE(story.now(), 1);
    }

    void aBaseThatIsInUseStays()
    {
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        CheckpointStory story(*method, path("disk"), ImageFormat::Raw);
        story.write(1);
        auto const one = story.keep("one");
        auto const two = story.keep("two");
        QCOMPARE(method->remove(story.disk(), one).error().code, ErrorCode::Busy);
        QCOMPARE(method->remove(story.disk(), two).error().code, ErrorCode::Busy);
        REQUIRE_OK(method->goBack(story.disk(), one));
        REQUIRE_OK(method->remove(story.disk(), two));
        QCOMPARE(story.now(), 1);
    }

    /// The longest names are those of what is to become a merged file.
    void aNameThatLeavesNoRoomIsNoOverlays()
    {
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        for (auto const& [length, isOpen] : { std::pair { 197u, true }, { 198u, false } }) {
            auto const name = std::string(length, 'd');
            {
                CheckpointStory story(*method, path(name), ImageFormat::Qcow2);
                QCOMPARE(method->probe(story.disk()).has_value(), isOpen);
                QCOMPARE(QDir(m_folder->path()).entryList(QDir::Files), QStringList { QString::fromStdString(name) });
            }
            QVERIFY(QFile::remove(QString::fromStdString(path(name))));
        }
    }

    void anOverlayThatWasNotPreparedIsAnError()
    {
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        CheckpointStory story(*method, path("disk"), ImageFormat::Raw);
        story.write(1);
        Checkpoint const one { CheckpointWay::Overlay, "one", "disk.one", ImageFormat::Raw };
        QVERIFY(!method->take(story.disk(), one, { .id = "one", .name = "" }));
        QCOMPARE(story.now(), 1);
        story.write(2);
    }

    void reflinkSaysWhyNot()
    {
        auto const method = CheckpointMethod::create(CheckpointWay::Reflink);
        CheckpointStory story(*method, path("disk"), ImageFormat::Raw);
        auto const open = method->probe(story.disk());
        QVERIFY(open || open.error().detail.find("cannot share blocks") != std::string::npos);
        QCOMPARE(QDir(m_folder->path()).entryList(QDir::Files), QStringList { "disk" });
    }

    void recordsDoNotLeadElsewhere()
    {
        for (auto const way : { CheckpointWay::Overlay, CheckpointWay::Reflink }) {
            auto const method = CheckpointMethod::create(way);
            CheckpointStory story(*method, path(way == CheckpointWay::Overlay ? "disk1" : "disk2"), ImageFormat::Raw);
            QFile other(m_folder->filePath("other"));
            QVERIFY(other.open(QIODevice::WriteOnly));
            for (std::string const place : { "../x", "/etc/passwd", "", "disk1", "disk2", ".", "other", "one", ".one",
                     "disk1.one2", "../x.one" }) {
                Checkpoint const hostile { way, "one", place, ImageFormat::Raw };
                QVERIFY2(!method->remove(story.disk(), hostile), place.c_str());
                QVERIFY2(!method->goBack(story.disk(), hostile), place.c_str());
                QVERIFY2(!method->openReadOnly(story.engine(), story.disk().path, hostile), place.c_str());
            }
            QVERIFY(other.exists());
        }
    }

    /// Who may not read a disk cannot read it at a moment, nor after going back to one.
    void whatFollowsADiskIsAsPrivate()
    {
        for (auto const way : { CheckpointWay::Overlay, CheckpointWay::Reflink }) {
            auto const method = CheckpointMethod::create(way);
            CheckpointStory story(*method, path(way == CheckpointWay::Overlay ? "one" : "other"), ImageFormat::Raw);
            auto const mode = [](std::string const& file) {
                struct stat status { };
                return ::stat(file.c_str(), &status) == 0 ? unsigned(status.st_mode) & 07777u : 0u;
            };
            QCOMPARE(::chmod(story.disk().path.c_str(), 0600), 0);
            if (!method->probe(story.disk()))
                continue; // no reflinks here
            auto const kept = story.keep("kept");
            QCOMPARE(mode(story.disk().path), 0600u);
            QCOMPARE(mode(path(kept.place.c_str())), 0600u);
            REQUIRE_OK(method->goBack(story.disk(), kept));
            QCOMPARE(mode(story.disk().path), 0600u);
            must(method->fork(story.disk(), kept, path(way == CheckpointWay::Overlay ? "fork" : "other fork")));
            QCOMPARE(mode(path(way == CheckpointWay::Overlay ? "fork" : "other fork")), 0600u);
        }
    }

    /// A person may name a base after the disk; it is no checkpoint's file for that.
    void aPersonsBaseIsNoCheckpoint()
    {
        must(createImage(path("disk.base"), { .size = 1 << 20 }));
        must(createImage(path("disk"), { .backingFile = "disk.base" }));
        InlineEngine engine;
        CheckpointedDisk disk { engine, path("disk"), {}, nullptr, CheckpointWay::Internal };
        disk.options.format = ImageFormat::Qcow2;
        disk.image = must(BlockImage::open(engine, disk.path, disk.options));
        auto const method = must(CheckpointMethod::choose(disk, {}));
        QCOMPARE(must(method->plan(disk, makeUuid())).way, CheckpointWay::Internal);
    }

    /// What would harm the checkpoints that a disk has is not chosen.
    void waysAreNotMixed()
    {
        using enum CheckpointWay;
        auto const method = CheckpointMethod::create(Internal);
        CheckpointStory story(*method, path("disk"), ImageFormat::Qcow2);
        auto const chosen = [&](std::vector<CheckpointWay> const& used) {
            return must(must(CheckpointMethod::choose(story.disk(), used))->plan(story.disk(), "some")).way;
        };
        QVERIFY(chosen({ Overlay }) == Overlay || chosen({ Overlay }) == Reflink);
        QCOMPARE(chosen({ Internal, Overlay }), Internal);
        QVERIFY(!CheckpointMethod::choose(story.disk(), { Zfs })); // it is on no ZFS any more
        // A person's own snapshots are looked for in the file where they are, whatever is preferred.
        story.disk().preferred = Overlay;
        must(story.disk().image->takeSnapshot({ .id = "mine", .name = "before the upgrade" }));
        QVERIFY(chosen({}) == Internal || chosen({}) == Reflink);
        QVERIFY(chosen({ Overlay }) == Overlay || chosen({ Overlay }) == Reflink);
        // One that nobody remembers, of a moment whose record cannot be read, counts too.
        must(story.disk().image->takeSnapshot({ .id = "one", .name = std::string(momentSnapshotName) }));
        QCOMPARE(chosen({}), Internal);
        QCOMPARE(chosen({ Overlay }), Internal);
    }

    void theBestThatIsOpenIsChosen_data()
    {
        using enum CheckpointWay;
        using Ways = std::vector<CheckpointWay>;
        QTest::addColumn<ImageFormat>("format");
        QTest::addColumn<std::optional<CheckpointWay>>("preferred");
        QTest::addColumn<Ways>("used");
        QTest::addColumn<Ways>("open");
        QTest::addColumn<int>("chosen"); // -1: none
        for (auto const format : { ImageFormat::Raw, ImageFormat::Qcow2 }) {
            auto const row = [&](char const* what, Ways const& used, Ways const& open, int chosen,
                                 std::optional<CheckpointWay> preferred = {}) {
                QTest::addRow("%s, %s", format == ImageFormat::Raw ? "raw" : "qcow2", what)
                    << format << preferred << used << open << chosen;
            };
            row("on btrfs or XFS", {}, { Reflink, Internal, Overlay }, int(Reflink));
            row("on ZFS that shares blocks", {}, { Reflink, Zfs, Internal, Overlay }, int(Reflink));
            row("on ZFS", {}, { Zfs, Internal, Overlay }, int(Zfs));
            row("on anything else, qcow2", {}, { Internal, Overlay }, int(Internal));
            row("on anything else, raw", {}, { Overlay }, int(Overlay));
            row("on nothing that can", {}, {}, -1);
            row("has overlays", { Overlay }, { Zfs, Internal, Overlay }, int(Overlay));
            row("has overlays, and may share blocks now", { Overlay }, { Reflink, Zfs, Overlay }, int(Reflink));
            row("has reflinks, and was copied elsewhere", { Reflink }, { Zfs, Internal, Overlay }, int(Overlay));
            row("has internal ones", { Internal }, { Reflink, Zfs, Internal, Overlay }, int(Internal));
            row("has some of ZFS", { Zfs }, { Reflink, Zfs, Internal, Overlay }, int(Zfs));
            row("has some of ZFS, and was copied elsewhere", { Zfs }, { Reflink, Internal, Overlay }, -1);
            row("inside, on btrfs", {}, { Reflink, Internal, Overlay }, int(Internal), Internal);
            row("inside, where that cannot be", {}, { Zfs, Overlay }, int(Zfs), Internal);
            row("inside, but has overlays", { Overlay }, { Internal, Overlay }, int(Overlay), Internal);
            row("beside, on btrfs", {}, { Reflink, Internal, Overlay }, int(Reflink), Overlay);
            row("beside, on anything else", {}, { Internal, Overlay }, int(Overlay), Overlay);
            row("beside, where names cannot be exchanged", {}, { Internal }, int(Internal), Overlay);
            row("beside, but has internal ones", { Internal }, { Internal, Overlay }, int(Internal), Overlay);
        }
    }

    void theBestThatIsOpenIsChosen()
    {
        QFETCH(ImageFormat, format);
        QFETCH(std::optional<CheckpointWay>, preferred);
        QFETCH(std::vector<CheckpointWay>, used);
        QFETCH(std::vector<CheckpointWay>, open);
        QFETCH(int, chosen);
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        CheckpointStory story(*method, path("disk"), format);
        story.disk().preferred = preferred;
        auto const make = [&](CheckpointWay way) -> std::unique_ptr<CheckpointMethod> {
            return std::make_unique<Pretended>(way, std::ranges::find(open, way) != open.end());
        };
        auto const found = chooseFrom(make, story.disk(), used);
        QCOMPARE(found ? int(must((*found)->plan(story.disk(), "some")).way) : -1, chosen);
        // The reasons, of each that was tried.
        if (!found)
            QVERIFY(found.error().detail.find("is not open") != std::string::npos);
    }

    /// What a disk stands on says what it has, whatever is preferred: its moments may be gone, or another machine's.
    void whatAnOverlayStandsOnCounts()
    {
        using enum CheckpointWay;
        auto const method = CheckpointMethod::create(Overlay);
        CheckpointStory story(*method, path("disk"), ImageFormat::Qcow2);
        auto const kept = story.keep(makeUuid());
        auto const fork = path("fork");
        must(method->fork(story.disk(), kept, fork));
        CheckpointedDisk disk { story.engine(), fork, {}, nullptr, Internal };
        disk.options.format = ImageFormat::Qcow2;
        disk.image = must(BlockImage::open(disk.engine, fork, disk.options));
        story.disk().preferred = Internal;
        for (auto* const one : { &disk, &story.disk() }) {
            auto const chosen = must(must(CheckpointMethod::choose(*one, {}))->plan(*one, "some")).way;
            QVERIFY(chosen == Overlay || chosen == Reflink);
        }
    }

    void zfs_data() { formats(); }

    void zfs()
    {
        QFETCH(ImageFormat, format);
        FakeZfs fake;
        fake.mountPoint = m_folder->path().toStdString();
        auto const method = createZfsMethod([&](auto const& arguments) { return fake(arguments); });
        CheckpointStory(*method, path("disk"), format).tell(path("fork"));
        QCOMPARE(fake.snapshots.size(), 1u);
        QVERIFY(fake.snapshots[0].starts_with("pool/disks@chronovisor-one-"));
    }

    void zfsSaysWhatToPermit()
    {
        FakeZfs fake;
        fake.mountPoint = m_folder->path().toStdString();
        fake.denied = { "snapshot" };
        auto const method = createZfsMethod([&](auto const& arguments) { return fake(arguments); });
        CheckpointStory story(*method, path("disk"), ImageFormat::Raw);
        auto const refused = method->probe(story.disk());
        QCOMPARE(refused.error().code, ErrorCode::PermissionDenied);
        QVERIFY(refused.error().detail.find("zfs allow") != std::string::npos);
        QVERIFY(refused.error().detail.ends_with("pool/disks"));
        Checkpoint const hostile { CheckpointWay::Zfs, "one", "other/pool@chronovisor-one", ImageFormat::Raw };
        fake.calls.clear();
        QCOMPARE(method->remove(story.disk(), hostile).error().code, ErrorCode::Corrupt);
        QCOMPARE(method->goBack(story.disk(), hostile).error().code, ErrorCode::Corrupt);
        QVERIFY(std::ranges::none_of(fake.calls, [](auto const& call) { return call.starts_with("destroy"); }));
    }

    /// The program alone makes no disk one that fails.
    void zfsWithoutItsKernelIsNotOpen()
    {
        FakeZfs fake;
        fake.isLoaded = false;
        auto const method = createZfsMethod([&](auto const& arguments) { return fake(arguments); });
        CheckpointStory story(*method, path("disk"), ImageFormat::Raw);
        QCOMPARE(method->probe(story.disk()).error().code, ErrorCode::Unsupported);
        auto const make = [&](CheckpointWay way) -> std::unique_ptr<CheckpointMethod> {
            if (way == CheckpointWay::Zfs)
                return createZfsMethod([&](auto const& arguments) { return fake(arguments); });
            return std::make_unique<Pretended>(way, false);
        };
        QCOMPARE(chooseFrom(make, story.disk(), {}).error().code, ErrorCode::Unsupported);
    }

    void zfsSaysWhatItsSnapshotsTake()
    {
        FakeZfs fake;
        fake.mountPoint = m_folder->path().toStdString();
        fake.snapshots = { "pool/disks@chronovisor-one", "pool/disks@mine" };
        QFile disk(QString::fromStdString(path("disk")));
        QVERIFY(disk.open(QIODevice::WriteOnly));
        auto const spaces = [&] { return zfsSpaces(path("disk"), [&](auto const& what) { return fake(what); }); };
        auto const told = must(spaces());
        QCOMPARE(told.size(), 2u);
        QCOMPARE(told.at("pool/disks@chronovisor-one"), (ZfsSpace { 8192, 20480 }));
        for (auto const* sizes : { "", "\t8192", "\t8192\t", "\t\t1", "\t8192\t2K", "\t-1\t5", "\t1\t2\t3" }) {
            fake.sizes = sizes;
            QCOMPARE(spaces().error().code, ErrorCode::IoError);
        }
    }

    /// However many there are.
    void zfsIsAskedForOneThatGoesAlone()
    {
        FakeZfs fake;
        fake.mountPoint = m_folder->path().toStdString();
        auto const method = createZfsMethod([&](auto const& arguments) { return fake(arguments); });
        CheckpointStory story(*method, path("disk"), ImageFormat::Raw);
        auto const kept = must(method->plan(story.disk(), "one"));
        fake.snapshots = { "pool/disks@others", kept.place };
        fake.calls.clear();
        REQUIRE_OK(method->remove(story.disk(), kept));
        QVERIFY(std::ranges::find(fake.calls, "list pool/disks") == fake.calls.end());
        QCOMPARE(fake.snapshots, std::vector<std::string> { "pool/disks@others" });
        REQUIRE_OK(method->remove(story.disk(), kept)); // and when it has gone
        QCOMPARE(fake.snapshots, std::vector<std::string> { "pool/disks@others" });
    }

    void aProgramThatIsNotThereIsNamed()
    {
        auto const outcome = runProgram({ "chronovisor-no-such-program" });
        QCOMPARE(outcome.error().code, ErrorCode::Unsupported);
        QCOMPARE(must(runProgram({ "echo", "a b", "c" })), std::string("a b c\n"));
        QVERIFY(!runProgram({ "false" }));
    }

    void theRecordIsSavedAndLoaded()
    {
        Checkpoint const checkpoint { CheckpointWay::Reflink, "one", "disk.one", ImageFormat::Qcow2 };
        auto const loaded = state::load<Checkpoint>(state::save(checkpoint));
        REQUIRE_OK(loaded);
        QCOMPARE(*loaded, checkpoint);
    }

private:
    std::string path(std::string const& name) const { return m_folder->path().toStdString() + "/" + name; }
    static void formats()
    {
        QTest::addColumn<ImageFormat>("format");
        QTest::newRow("raw") << ImageFormat::Raw;
        QTest::newRow("qcow2") << ImageFormat::Qcow2;
    }

    std::unique_ptr<QTemporaryDir> m_folder;
};

REGISTER_SUITE(CheckpointTest);
#include "checkpoint_test.moc"
