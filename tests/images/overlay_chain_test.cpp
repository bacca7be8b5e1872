#include "tests/images/qemu_tools.h"
#include "tests/support/call_faults.h"
#include "tests/support/checkpoint_story.h"
#include "vmm/base/random.h"
#include "vmm/block/guess_format.h"
#include "vmm/block/overlay_files.h"
#include "vmm/block/stream.h"

#include <QDir>
#include <QFile>
#include <array>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

using namespace vmm;
using namespace tests;

/// What becomes of the files below a disk when moments go, judged by qemu-img and by what the others read.
class OverlayChainTest : public QObject {
    Q_OBJECT

private slots:
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        m_method = CheckpointMethod::create(CheckpointWay::Overlay);
        m_story = std::make_unique<CheckpointStory>(*m_method, path("disk"), ImageFormat::Raw);
    }
    void cleanup() { m_story.reset(); }

    /// Of each order of deletion: the others stay, and in the end there is the disk and at most its first base, with
    /// the empty file that tells of the raw one.
    void anyOrder_data()
    {
        QTest::addColumn<QList<int>>("order");
        QList<int> order { 0, 1, 2, 3 };
        do {
            QTest::addRow("%d%d%d%d", order[0], order[1], order[2], order[3]) << order;
        } while (std::next_permutation(order.begin(), order.end()));
    }

    void anyOrder()
    {
        QFETCH(QList<int>, order);
        auto const kept = keep(4);
        m_story->write(9);
        QList<int> left = order;
        for (int const gone : order) {
            left.removeOne(gone);
            end(kept[std::size_t(gone)]);
            for (int const other : left)
                QCOMPARE(m_story->at(kept[std::size_t(other)]), other + 1);
            QCOMPARE(m_story->now(), 9);
        }
        m_story->openAgain();
        QCOMPARE(m_story->now(), 9);
        QVERIFY2(imageFiles().size() <= 3, qPrintable(imageFiles().join(' ')));
        m_story.reset();
        QCOMPARE(QemuTools::check(QString::fromStdString(path("disk"))), QString());
    }

    /// What everybody above has in his own file is given back, and nothing else.
    void coveredBlocksAreFreed()
    {
        must(m_story->disk().image->writeSync(0, Bytes(1 << 20, 7)));
        auto const one = keep(1).front();
        auto const place = path(one.place);
        must(m_story->disk().image->writeSync(0, Bytes(512 << 10, 8)));
        must(m_story->disk().image->flushSync());
        auto const before = allocated(place);
        QVERIFY(!end(one));
        auto const freed = before - allocated(place);
        QVERIFY2(freed >= (448 << 10) && freed <= (520 << 10), qPrintable(QString::number(freed)));
        // Once: the next time it is seen that they are given back already.
        std::array<timespec, 2> const longAgo {};
        QCOMPARE(::utimensat(AT_FDCWD, place.c_str(), longAgo.data(), 0), 0);
        QVERIFY(!end(one));
        struct stat status { };
        QCOMPARE(::stat(place.c_str(), &status), 0);
        QCOMPARE(status.st_mtim.tv_sec, longAgo[1].tv_sec);
        Bytes data(1 << 20);
        must(m_story->disk().image->readSync(0, data));
        QVERIFY(std::all_of(data.begin(), data.begin() + (512 << 10), [](auto byte) { return byte == 8; }));
        QVERIFY(std::all_of(data.begin() + (512 << 10), data.end(), [](auto byte) { return byte == 7; }));
    }

    /// A guest's raw disk is never taken for an image, wherever it lies by now.
    void whatAGuestWritesIsNoHeader_data()
    {
        QTest::addColumn<QByteArray>("header");
        QTest::newRow("version 1") << QByteArray("QFI\xfb\0\0\0\1", 8);
        QTest::newRow("version 99") << QByteArray("QFI\xfb\0\0\0\x63", 8);
        QTest::newRow("damaged") << QByteArray("QFI\xfb\0\0\0\3", 8);
        QTest::newRow("VMDK") << QByteArray("KDMV");
        QTest::newRow("VHDX") << QByteArray("vhdxfile");
        QTemporaryDir const folder;
        auto const image = folder.filePath("image").toStdString();
        must(createImage(image, { .size = 1 << 20 }));
        InlineEngine engine;
        must(must(BlockImage::open(engine, image))->takeSnapshot({ .id = "1", .name = "forged" }));
        QFile file(QString::fromStdString(image));
        QVERIFY(file.open(QIODevice::ReadOnly));
        QTest::newRow("with a snapshot") << file.read(512);
    }

    void whatAGuestWritesIsNoHeader()
    {
        QFETCH(QByteArray, header);
        Bytes sector(512);
        std::ranges::copy(header, sector.begin());
        must(m_story->disk().image->writeSync(0, sector));
        must(m_story->disk().image->writeSync(CheckpointStory::size - sector.size(), sector));
        auto const kept = keep(3);
        m_story->write(9);
        for (auto const& one : { kept[1], kept[0] })
            QVERIFY(end(one));
        QCOMPARE(m_story->at(kept[2]), 3);
        QCOMPARE(m_story->now(), 9);
    }

    /// Nothing stands on a disk and its copies that would say so.
    void norIsItWhereARecordSaysRaw()
    {
        Bytes sector(512);
        std::ranges::copy(bytesOf("QFI\xfb"), sector.begin());
        must(m_story->disk().image->writeSync(0, sector));
        auto const disk = m_story->disk().path, kept = disk + "." + makeUuid(), gone = disk + "." + makeUuid();
        for (auto const& copy : { kept, gone })
            must(copyFile(disk, copy, {}));
        OverlayFiles files(m_story->engine(), disk, {});
        QVERIFY(!files.freeBases({ gone }, OverlayFiles::MayMerge::Yes));
        REQUIRE_OK(files.freeBases({ gone }, OverlayFiles::MayMerge::Yes, 0, { disk, kept, gone }));
        QVERIFY(existsFile(kept) && !existsFile(gone));
    }

    /// On its raw disk a guest may write that what it has beside that, by the name of a disk, is raw.
    void norDoesItMakeAnotherDiskRaw()
    {
        auto const kept = keep(1).front();
        must(createImage(path("raw"), { .backingFile = "disk", .backingFormat = ImageFormat::Raw }));
        QVERIFY(!end(kept));
        m_story->openAgain();
        QCOMPARE(m_story->now(), 1);
    }

    /// Another program may put an image in the place of one that stands on a base.
    void aBaseThatIsNobodysMeanwhileIsLeftAlone()
    {
        std::vector<std::string> bases, above;
        for (auto const* const name : { "one", "two" }) {
            bases.push_back(path("disk." + makeUuid()));
            above.push_back(path(name));
            must(createImage(bases.back(), { .size = 1 << 20 }));
            must(createImage(above.back(), { .backingFile = nameOf(bases.back()) }));
        }
        bool isReplaced = false;
        auto const replace = [&](std::uint64_t, std::uint64_t) { // while the first base is looked at
            if (!std::exchange(isReplaced, true)) {
                must(removeFile(above[1]));
                must(createImage(above[1], { .size = 1 << 20 }));
            }
            return true;
        };
        OverlayFiles files(m_story->engine(), m_story->disk().path, {}, replace);
        REQUIRE_OK(files.freeBases(bases, OverlayFiles::MayMerge::No));
        QVERIFY(isReplaced && existsFile(bases[1]));
    }

    /// Its name does not tell a disk from a checkpoint: a person may have copied one, and attached the copy.
    void aDiskOfACheckpointsNameIsNotReplaced()
    {
        m_story = std::make_unique<CheckpointStory>(*m_method, path("disk." + makeUuid()), ImageFormat::Qcow2);
        auto const kept = keep(1);
        m_story->write(2);
        QVERIFY(!end(kept[0]));
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        QCOMPARE(files.mergeBelow(m_story->disk().path, 1).error().code, ErrorCode::InvalidArgument);
        m_story->write(3);
        m_story->openAgain();
        QCOMPARE(m_story->now(), 3);
    }

    /// The same of a disk that another machine writes to.
    void whatSomebodyWritesToIsNotReplaced()
    {
        auto const kept = keep(2);
        REQUIRE_OK(m_method->goBack(m_story->disk(), kept[0]));
        auto const others = path("other." + makeUuid());
        must(createImage(others, { .backingFile = kept[1].place }));
        InlineEngine engine;
        auto image = must(BlockImage::open(engine, others));
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        QCOMPARE(files.freeBases({ path(kept[1].place) }, OverlayFiles::MayMerge::Yes).error().code, ErrorCode::Busy);
        must(image->writeSync(CheckpointStory::size / 2, Bytes(8192, 7)));
        image.reset();
        QCOMPARE(CheckpointStory::read(*must(BlockImage::open(engine, others))), 7);
    }

    /// A base that a fork has too is never written to, and outlives the original.
    void aForkIsNotHarmed()
    {
        auto const kept = keep(3);
        QDir().mkpath(m_folder->filePath("fork"));
        auto const fork = path("fork/other");
        QCOMPARE(must(m_method->fork(m_story->disk(), kept[1], fork)), ImageFormat::Qcow2);
        m_story->write(8);
        must(m_story->disk().image->flushSync());
        for (auto const& one : kept)
            end(one);
        QCOMPARE(m_story->now(), 8);
        for (auto const& shared : { kept[0].place, kept[1].place })
            QVERIFY(isSameFile(path(shared), path("fork/" + shared))); // merged, each would have all of it
        m_story.reset();
        for (auto const& name : imageFiles())
            QVERIFY(QFile::remove(m_folder->filePath(name)));
        InlineEngine engine;
        ImageOptions options;
        options.format = ImageFormat::Qcow2;
        auto const image = must(BlockImage::open(engine, fork, options));
        QCOMPARE(CheckpointStory::read(*image), 2);
        must(image->writeSync(0, Bytes(4096, 3)));
        must(image->flushSync());
        QCOMPARE(runTool("qemu-img", { "check", "-U", QString::fromStdString(fork) }).status, 0);
    }

    /// What a fork gathers is not written anew for what it shares, until it is the only one to have that.
    void aForkStaysShared()
    {
        auto const kept = keep(2);
        QDir().mkpath(m_folder->filePath("fork"));
        auto const fork = path("fork/disk");
        must(m_method->fork(m_story->disk(), kept[1], fork));
        InlineEngine engine;
        CheckpointedDisk disk { engine, fork, {}, nullptr };
        disk.options.format = ImageFormat::Qcow2;
        disk.image = must(BlockImage::open(engine, fork, disk.options));
        auto const as = must(m_method->plan(disk, makeUuid()));
        must(m_method->prepareFiles(disk, as));
        must(m_method->prepare(disk, as));
        must(m_method->take(disk, as, { .id = as.id, .name = "" }));
        auto const endBelow = [&](Checkpoint const& one) {
            OverlayFiles files(engine, fork, {});
            must(files.freeBases({ path("fork/" + one.place) }, OverlayFiles::MayMerge::Yes));
            return !existsFile(path("fork/" + one.place));
        };
        for (auto const& one : { kept[1], kept[0] }) {
            QVERIFY(!endBelow(one));
            QVERIFY(isSameFile(path(one.place), path("fork/" + one.place)));
        }
        m_story.reset();
        for (auto const& name : imageFiles())
            QVERIFY(QFile::remove(m_folder->filePath(name)));
        for (auto const& one : { kept[1], kept[0] })
            QVERIFY(endBelow(one));
        REQUIRE_OK(openBelowAgain(disk));
        QCOMPARE(CheckpointStory::read(*disk.image), 2);
    }

    /// Where the names of what is below are others' already, or lead elsewhere, the fork has all of it itself.
    void whatCannotBeSharedIsCopied()
    {
        auto const kept = keep(2);
        QDir().mkpath(m_folder->filePath("fork"));
        QFile others(m_folder->filePath("fork/" + QString::fromStdString(kept[0].place)));
        QVERIFY(others.open(QIODevice::WriteOnly) && others.write("other") == 5);
        others.close();
        auto const refused = shareBases(m_story->disk().path, path(""), path("fork/"));
        QCOMPARE(refused.error().code, ErrorCode::AlreadyExists);
        QVERIFY(!existsFile(path("fork/" + kept[1].place))); // nor is half of it there
        must(m_method->fork(m_story->disk(), kept[1], path("fork/one")));
        QCOMPARE(others.size(), qint64(5));

        // A disk on a file in a folder beside it, and a fork from where that name leads nowhere.
        must(createImage(path("fork/base"), { .size = CheckpointStory::size }));
        InlineEngine engine;
        must(must(BlockImage::open(engine, path("fork/base")))->writeSync(CheckpointStory::size / 2, Bytes(8192, 2)));
        must(createImage(path("above"), { .backingFile = "fork/base" }));
        CheckpointedDisk disk { engine, path("above"), {}, nullptr };
        disk.options.format = ImageFormat::Qcow2;
        disk.options.backing = { path("fork/base") };
        disk.image = must(BlockImage::open(engine, disk.path, disk.options));
        auto const as = must(m_method->plan(disk, makeUuid()));
        must(m_method->prepareFiles(disk, as));
        must(m_method->prepare(disk, as));
        must(m_method->take(disk, as, { .id = as.id, .name = "" }));
        must(m_method->fork(disk, as, path("fork/two")));

        for (auto const* const name : { "fork/one", "fork/two" }) {
            auto const image = must(BlockImage::open(engine, path(name)));
            QVERIFY(image->info().backing.empty());
            QCOMPARE(CheckpointStory::read(*image), 2);
        }
    }

    /// A merge between the names of a fork that are made one by one; here, while the first file is copied.
    void whatIsMergedMeanwhileIsNotSharedByHalves()
    {
        auto const kept = keep(3);
        m_story->write(9);
        must(m_story->disk().image->flushSync());
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        auto const bases = must(basesOf(m_story->disk().path, path("")));
        QTemporaryDir const elsewhere("/dev/shm/chronovisor-XXXXXX");
        if (!elsewhere.isValid())
            QSKIP("CHRONOVISOR-SKIP: this host has no second file system");
        auto const to = elsewhere.path().toStdString() + "/";
        bool isMerged = false;
        auto const merge = [&](std::uint64_t, std::uint64_t) {
            if (!std::exchange(isMerged, true))
                must(files.mergeBelow(path(kept[2].place), 1));
            return true;
        };
        auto const shared = shareBases(m_story->disk().path, path(""), to, merge);
        if (!isMerged)
            QSKIP("CHRONOVISOR-SKIP: both folders are on one file system");
        QCOMPARE(shared.error().code, ErrorCode::NotFound);
        QVERIFY(QDir(elsewhere.path()).isEmpty());
        REQUIRE_OK(shareBases(m_story->disk().path, path(""), to));
        QVERIFY(existsFile(to + kept[2].place) && !existsFile(to + kept[1].place));
    }

    /// A fork may be open, and written to, while the original is: they share what neither writes to.
    void bothAreOpen()
    {
        auto const kept = keep(1);
        QDir().mkpath(m_folder->filePath("fork"));
        auto const fork = path("fork/other");
        must(m_method->fork(m_story->disk(), kept[0], fork));
        InlineEngine engine;
        ImageOptions options;
        options.format = ImageFormat::Qcow2;
        auto const image = must(BlockImage::open(engine, fork, options));
        must(image->writeSync(CheckpointStory::size / 2, Bytes(8192, 5)));
        m_story->write(6);
        QCOMPARE(CheckpointStory::read(*image), 5);
        QCOMPARE(m_story->now(), 6);
        QCOMPARE(m_story->at(kept[0]), 1);
    }

    /// However they are told of, what nothing stands on goes with all that only it stood on.
    void aBranchThatWasLeftGoesWhole()
    {
        auto const kept = keep(4);
        REQUIRE_OK(m_method->goBack(m_story->disk(), kept[0]));
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        must(files.freeBases(
            { path(kept[1].place), path(kept[2].place), path(kept[3].place) }, OverlayFiles::MayMerge::No));
        QCOMPARE(imageFiles(), (QStringList { "disk", QString::fromStdString(kept[0].place) }));
        QCOMPARE(m_story->now(), 1);
    }

    /// A whole run of what nobody needs costs one merge: what is between is not written for nobody.
    void aRunIsMergedAtOnce()
    {
        auto const kept = keep(5);
        m_story->write(9);
        must(m_story->disk().image->flushSync());
        std::set<std::string> written;
        auto const note = [&](std::uint64_t, std::uint64_t) {
            for (auto const& name : imageFiles()) {
                if (name.contains(".merging"))
                    written.insert(name.toStdString());
            }
            return true;
        };
        OverlayFiles files(m_story->engine(), m_story->disk().path, {}, note);
        must(files.freeBases(
            { path(kept[0].place), path(kept[1].place), path(kept[2].place) }, OverlayFiles::MayMerge::Yes));
        QCOMPARE(written, std::set { kept[3].place + ".merging" });
        REQUIRE_OK(openBelowAgain(m_story->disk()));
        QCOMPARE(filesBelow(m_story->disk().image->info()), 2u);
        QCOMPARE(m_story->at(kept[3]), 4);
        QCOMPARE(m_story->at(kept[4]), 5);
        QCOMPARE(m_story->now(), 9);
    }

    void bothBranchesTakeInWhatTheyStandOn()
    {
        auto const kept = keep(2);
        REQUIRE_OK(m_method->goBack(m_story->disk(), kept[0]));
        must(m_story->disk().image->writeSync(0, Bytes(8192, 7)));
        auto const other = m_story->keep(makeUuid());
        QVERIFY(end(kept[0]));
        QCOMPARE(m_story->at(kept[1]), 2);
        QCOMPARE(m_story->at(other), 1);
        QCOMPARE(m_story->now(), 1);
    }

    /// It would be held once for each of them.
    void whatIsLargeIsNotCopiedIntoSeveralBranches()
    {
        must(m_story->disk().image->writeSync(0, Bytes(3 << 19, 7)));
        auto const kept = keep(2);
        REQUIRE_OK(m_method->goBack(m_story->disk(), kept[0]));
        auto const other = m_story->keep(makeUuid());
        std::vector const places { path(kept[0].place), path(kept[1].place), path(other.place) };
        auto const held = [&] {
            qint64 bytes = 0;
            for (auto const& place : places)
                bytes += allocated(place);
            return bytes;
        };
        auto const before = held();
        QVERIFY(!end(kept[0]));
        QVERIFY(held() <= before);
        QCOMPARE(m_story->at(other), 1);
        QCOMPARE(m_story->at(kept[1]), 2);
        QCOMPARE(m_story->now(), 1);
    }

    /// Nor counted once that is written twice.
    void whatBothBranchesWriteCounts()
    {
        auto const kept = keep(2);
        REQUIRE_OK(m_method->goBack(m_story->disk(), kept[0]));
        must(m_story->disk().image->writeSync(0, Bytes(8192, 7)));
        auto const other = m_story->keep(makeUuid());
        must(m_story->disk().image->flushSync());
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        auto const freed = [&](qint64 most) {
            must(files.freeBases({ path(kept[0].place) }, OverlayFiles::MayMerge::Yes, std::uint64_t(most)));
            return !existsFile(path(kept[0].place));
        };
        QVERIFY(!freed(0)); // but what both have of their own is given back
        auto const all
            = 2 * allocated(path(kept[0].place)) + allocated(path(kept[1].place)) + allocated(path(other.place));
        QVERIFY(!freed(all - 1));
        QVERIFY(freed(all));
    }

    /// The bound of a merge is what is written, above the base too.
    void whatIsLargeIsNotWrittenForASmallBase()
    {
        auto const kept = keep(2);
        m_story->write(9);
        must(m_story->disk().image->flushSync());
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        auto const freed = [&](qint64 most) {
            must(files.freeBases({ path(kept[0].place) }, OverlayFiles::MayMerge::Yes, std::uint64_t(most)));
            return !existsFile(path(kept[0].place));
        };
        QVERIFY(!freed(0)); // but what is above has of its own is given back
        auto const both = allocated(path(kept[0].place)) + allocated(path(kept[1].place));
        QVERIFY(!freed(both - 1));
        QVERIFY(freed(both));
        QCOMPARE(m_story->at(kept[1]), 2);
        QCOMPARE(m_story->now(), 9);
    }

    void longChainsAreShortened()
    {
        auto const kept = keep(20);
        m_story->write(99);
        must(m_story->disk().image->flushSync());
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        QVERIFY(!must(files.shorten(20)));
        QVERIFY(must(files.shorten(10)));
        REQUIRE_OK(openBelowAgain(m_story->disk()));
        QCOMPARE(m_story->disk().image->info().backing.size(), 5u); // half of what there may be: the lowest stay
        QCOMPARE(m_story->now(), 99);
        for (std::size_t i = 0; i < kept.size(); ++i)
            QCOMPARE(m_story->at(kept[i]), int(i) + 1);
    }

    /// What a person has made in the disk's file with other tools is in the base then, and stays with it.
    void aPersonsSnapshotIsNoErrorAndStays()
    {
        auto const first = keep(2);
        must(m_story->disk().image->takeSnapshot({ .id = "1", .name = "mine" }));
        auto const with = keep(1);
        m_story->write(9);
        must(m_story->disk().image->flushSync());
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        QVERIFY(must(files.shorten(2))); // below it
        QCOMPARE(must(backingNameOf(path(with[0].place))), first[1].place);
        QVERIFY(must(imagesOn(path(first[0].place))).empty());
        auto const last = keep(1);
        m_story->write(9);
        must(m_story->disk().image->flushSync());
        must(files.freeBases(
            { path(first[0].place), path(first[1].place), path(with[0].place) }, OverlayFiles::MayMerge::Yes));
        QVERIFY(!existsFile(path(first[0].place))); // what the one with the snapshot stands on has taken it in
        QVERIFY(existsFile(path(first[1].place)) && existsFile(path(with[0].place)));
        ImageOptions options;
        options.access = Access::ReadOnly;
        options.format = ImageFormat::Qcow2;
        auto const image = must(BlockImage::open(m_story->engine(), path(with[0].place), options));
        QCOMPARE(must(image->snapshots()).size(), 1u);
        QCOMPARE(m_story->now(), 9);
        QCOMPARE(m_story->at(last[0]), 1);
    }

    /// And that alone: what is above keeps its tables.
    void onlyWhatWasReplacedIsOpenedAgain()
    {
        auto const kept = keep(4);
        m_story->write(9);
        must(m_story->disk().image->flushSync());
        auto* const nearest = m_story->disk().image->backing();
        auto* const next = nearest->backing();
        REQUIRE_OK(openBelowAgain(m_story->disk()));
        QCOMPARE(m_story->disk().image->backing(), nearest);
        QCOMPARE(nearest->backing(), next);
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        must(files.freeBases({ path(kept[0].place), path(kept[1].place) }, OverlayFiles::MayMerge::Yes));
        REQUIRE_OK(openBelowAgain(m_story->disk()));
        QCOMPARE(m_story->disk().image->backing(), nearest);
        QCOMPARE(filesBelow(m_story->disk().image->info()), 2u);
        QCOMPARE(nearest->backing()->file().name(), path(kept[2].place));
        QCOMPARE(m_story->now(), 9);
        must(m_story->disk().image->flushSync());
    }

    /// What a raw disk was is known after its first file was merged, and no merge makes another empty one.
    void aRawDiskEndsInARawFile()
    {
        auto const kept = keep(4);
        for (unsigned i = 0; i < 3; ++i) {
            QVERIFY(end(kept[i]));
            auto const below = m_story->disk().image->info().backing;
            QVERIFY(isEmptyBase(below.back()));
            QCOMPARE(imageFiles().size(), qsizetype(1 + below.size()));
        }
        QCOMPARE(m_story->now(), 4);
        // One that was never raw ends in none.
        CheckpointStory never(*m_method, path("never"), ImageFormat::Qcow2);
        never.write(1);
        auto const first = never.keep(makeUuid());
        never.write(2);
        auto const second = never.keep(makeUuid());
        must(never.disk().image->flushSync());
        REQUIRE_OK(OverlayFiles(never.engine(), path("never"), {}).mergeBelow(path(second.place), 1));
        QVERIFY(must(backingNameOf(path(second.place))).empty());
        QCOMPARE(never.at(second), 2);
    }

    void whatCannotBeFreedKeepsNothingElse()
    {
        auto const kept = keep(2);
        auto const other = path("other." + makeUuid());
        must(writeFileSynced(path("other"), "QFI\xfb")); // no one knows what it stands on
        must(writeFileSynced(other, "a checkpoint's"));
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        QVERIFY(!files.freeBases({ other, path(kept[0].place) }, OverlayFiles::MayMerge::Yes));
        QVERIFY(existsFile(other) && !existsFile(path(kept[0].place)));
        QCOMPARE(m_story->at(kept[1]), 2);
    }

    void nothingIsAskedForAfterACancel()
    {
        auto const kept = keep(3);
        REQUIRE_OK(m_method->goBack(m_story->disk(), kept[0]));
        auto const others = keep(2);
        must(m_story->disk().image->flushSync());
        int asked = 0, last = 0;
        OverlayFiles files(
            m_story->engine(), m_story->disk().path, {}, [&](std::uint64_t, std::uint64_t) { return ++asked < last; });
        auto const free = [&] {
            asked = 0;
            ++last;
            return files.freeBases({ path(kept[1].place), path(others[0].place) }, OverlayFiles::MayMerge::Yes);
        };
        for (auto freed = free(); !freed; freed = free()) {
            QCOMPARE(freed.error().code, ErrorCode::Cancelled);
            QCOMPARE(asked, last);
        }
        QVERIFY(last > 1); // else it was never cancelled
        QVERIFY(!existsFile(path(kept[1].place)) && !existsFile(path(others[0].place)));
        QCOMPARE(m_story->at(kept[2]), 3);
        QCOMPARE(m_story->at(others[1]), 2);
    }

    void aCancelledMergeLeavesNothing()
    {
        auto const kept = keep(3);
        int steps = 0;
        auto const cancelled = [&](std::uint64_t, std::uint64_t) { return ++steps < 4; };
        OverlayFiles files(m_story->engine(), m_story->disk().path, {}, cancelled);
        auto const before = imageFiles();
        QCOMPARE(files.mergeBelow(path(kept[2].place), 2).error().code, ErrorCode::Cancelled);
        QCOMPARE(imageFiles(), before);
        QCOMPARE(m_story->at(kept[2]), 3);
    }

    /// The name of what the merged one stands on was said from another folder.
    void aMergeOverAnotherFolder()
    {
        QVERIFY(QDir(m_folder->path()).mkdir("below"));
        auto const top = path("top"), middle = path("below/middle"), base = path("below/base");
        must(createImage(base, { .size = 1 << 20 }));
        auto& engine = m_story->engine();
        must(must(BlockImage::open(engine, base))->writeSync(0, Bytes(512, 7)));
        must(createImage(middle, { .backingFile = "base" }));
        must(createImage(top, { .backingFile = "below/middle" }));
        std::vector<std::string> const below { middle, base };
        REQUIRE_OK(OverlayFiles(engine, path("disk"), below).mergeBelow(top, 1));
        QCOMPARE(must(backingNameOf(top)), std::string("below/base"));
        ImageOptions options;
        options.backing = below;
        Bytes data(512);
        must(must(BlockImage::open(engine, top, options))->readSync(0, data));
        QCOMPARE(data, Bytes(512, 7));
    }

    /// What a crash cut off in a merge, or where a moment was kept, is removed by the next merge.
    void whatIsHalfMadeIsRemoved()
    {
        auto const kept = keep(2);
        auto const whole = m_folder->filePath(QString::fromStdString(kept[1].place));
        for (auto const* const half : { ".merging", ".merging.new-01234567", ".new-01234567" })
            QVERIFY(QFile::copy(whole, whole + half));
        QVERIFY(end(kept[0]));
        QCOMPARE(m_story->at(kept[1]), 2);
        QCOMPARE(imageFiles().size(), 3); // one of them is empty: see wasRaw()
    }

    /// An overlay says that it has taken a raw disk's place, whatever the configuration still says; a guest that writes
    /// such a header does not.
    void theFormatFollows()
    {
        QCOMPARE(formatInPlace(path("disk"), ImageFormat::Raw), ImageFormat::Raw);
        auto const kept = keep(2);
        QCOMPARE(formatInPlace(path("disk"), ImageFormat::Raw), ImageFormat::Qcow2);
        REQUIRE_OK(m_method->goBack(m_story->disk(), kept[0]));
        QCOMPARE(formatInPlace(path("disk"), ImageFormat::Raw), ImageFormat::Qcow2);

        auto const forged = path("forged");
        must(createImage(forged, { .size = 1 << 20, .backingFile = "forged." + makeUuid() }));
        QCOMPARE(formatInPlace(forged, ImageFormat::Raw), ImageFormat::Raw);
        QFile::remove(QString::fromStdString(forged));
        must(createImage(forged, { .size = 1 << 20, .backingFile = kept[0].place }));
        QCOMPARE(formatInPlace(forged, ImageFormat::Raw), ImageFormat::Raw);
    }

    /// An overlay whose first bytes the host cannot read just now is not taken for a raw disk, and what is to be
    /// written down is no guess then. What a raw disk has behind them may be unreadable.
    void theFormatOfWhatCannotBeRead_data()
    {
        QTest::addColumn<int>("error");
        QTest::newRow("the disk fails") << EIO;
        QTest::newRow("the server is silent") << ETIMEDOUT;
        QTest::newRow("no memory") << ENOMEM;
        QTest::newRow("busy") << EAGAIN;
    }
    void theFormatOfWhatCannotBeRead()
    {
        using enum ImageFormat;
        QFETCH(int, error);
        keep(1);
        auto const raw = path("raw");
        for (auto const& one : { raw, raw + "." + makeUuid(), path("alone") })
            must(createImage(one, { .format = Raw, .size = 1 << 20 }));
        auto const code = osError("", error).code;
        auto const told = tellWithFaults([&]() -> QString {
            if (!CallFaults::begin())
                ::_exit(3);
            auto const from = [&](unsigned at, CallFault::Way way) {
                CallFaults::plan({ at, way, error, CallFault::Calls::Reading });
            };
            from(0, CallFault::Way::Once);
            if (formatInPlace(path("disk"), Raw) != Qcow2)
                return "an overlay is raw";
            from(0, CallFault::Way::Once);
            if (formatInPlace(path("alone"), Raw) != Raw)
                return "what has no checkpoints is no raw disk";
            for (auto const& one : { path("disk"), raw }) {
                from(0, CallFault::Way::Once);
                if (auto const guessed = guessFormat(one, {}); guessed || guessed.error().code != code)
                    return "it is guessed";
                from(0, CallFault::Way::Once);
                if (auto const named = backingToName(one); named || named.error().code != code)
                    return "it stands on nothing";
            }
            from(1, CallFault::Way::FromThenOn);
            return formatInPlace(raw, Raw) == Raw ? "" : "more than the first bytes of a raw disk is read";
        });
        QCOMPARE(told.wrong, QString());
        QCOMPARE(must(guessFormat(path("disk"), {})), Qcow2);
        QCOMPARE(must(guessFormat(raw, {})), Raw);
        QCOMPARE(must(backingToName(path("disk"))), std::string());
    }

    /// Not even whether it is there: here a link that leads to itself.
    void aBaseThatCannotBeLookedAtIsThere()
    {
        auto const base = path(keep(2)[1].place);
        QVERIFY(must(isOverlayInPlace(path("disk"))));
        QCOMPARE(::rename(base.c_str(), path("aside").c_str()), 0);
        QVERIFY(!must(isOverlayInPlace(path("disk"))));
        QCOMPARE(::symlink(base.c_str(), base.c_str()), 0);
        auto const overlay = isOverlayInPlace(path("disk"));
        QVERIFY(!overlay);
        QCOMPARE(overlay.error().osError, ELOOP);
        QCOMPARE(formatInPlace(path("disk"), ImageFormat::Raw), ImageFormat::Qcow2);
        QVERIFY(!readFormatInPlace(path("disk"), ImageFormat::Raw));
    }

    /// A damaged header a guest can write: that does not make its raw disk qcow2.
    void aDamagedHeaderIsOfARawDisk_data()
    {
        QTest::addColumn<QByteArray>("start");
        QTest::newRow("clusters of no size") << QByteArray("QFI\xfb\0\0\0\x03", 8);
        QTest::newRow("another version") << QByteArray("QFI\xfb\0\0\0\x09", 8);
        QTest::newRow("the first version") << QByteArray("QFI\xfb\0\0\0\x01", 8);
        QTest::newRow("another format") << QByteArray("KDMV\0\0\0\x01", 8);
    }
    void aDamagedHeaderIsOfARawDisk()
    {
        QFETCH(QByteArray, start);
        auto const raw = path("raw");
        must(createImage(raw + "." + makeUuid(), { .format = ImageFormat::Raw, .size = 1 << 20 }));
        QFile file(QString::fromStdString(raw));
        QVERIFY(file.open(QIODevice::WriteOnly) && file.write(start) == start.size() && file.resize(1 << 20));
        file.close();
        QCOMPARE(formatInPlace(raw, ImageFormat::Raw), ImageFormat::Raw);
    }

private:
    std::string path(std::string const& name) const { return m_folder->path().toStdString() + "/" + name; }
    QStringList imageFiles() const { return QDir(m_folder->path()).entryList(QDir::Files, QDir::Name); }
    static qint64 allocated(std::string const& path)
    {
        struct stat status { };
        ::stat(path.c_str(), &status);
        return qint64(status.st_blocks) * 512;
    }
    std::vector<Checkpoint> keep(int count)
    {
        std::vector<Checkpoint> kept;
        for (int i = 1; i <= count; ++i) {
            m_story->write(std::uint8_t(i));
            kept.push_back(m_story->keep(makeUuid()));
        }
        return kept;
    }
    /// As the machine does it when a moment goes; true: all of it.
    bool end(Checkpoint const& checkpoint)
    {
        must(m_story->disk().image->flushSync());
        if (m_method->remove(m_story->disk(), checkpoint))
            return true;
        OverlayFiles files(m_story->engine(), m_story->disk().path, {});
        must(files.freeBases({ path(checkpoint.place) }, OverlayFiles::MayMerge::Yes));
        must(openBelowAgain(m_story->disk()));
        return !existsFile(path(checkpoint.place));
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    std::unique_ptr<CheckpointMethod> m_method;
    std::unique_ptr<CheckpointStory> m_story;
};

REGISTER_SUITE(OverlayChainTest);
#include "overlay_chain_test.moc"
