#include "tests/images/qemu_tools.h"
#include "tests/support/call_faults.h"
#include "tests/support/checkpoint_story.h"
#include "tests/support/killed_process.h"
#include "tests/support/nothing_durable.h"
#include "tests/support/still_machine.h"
#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/block/commit.h"
#include "vmm/block/overlay_files.h"
#include "vmm/block/stream.h"
#include "vmm/machine/disk_chains.h"

#include <QDir>
#include <QFile>
#include <QScopeGuard>
#include <filesystem>

using namespace vmm;
using namespace tests;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t mib = 1 << 20, size = 8 * mib;
constexpr int kills = 26; // of each, the first of which is only measured

/// A machine's disk over another file, both with something of their own, in a folder.
struct Chain {
    std::string folder, base, top;
    ImageFormat baseFormat;
    VmConfig config;
    std::vector<std::string> allowed { base }; ///< ImageOptions::backing
    Bytes content { Bytes(size) };

    /// `base`: beside the disk, as it is called there. `own`: so much up to its seventh MiB is in the disk's own
    /// file.
    Chain(std::string in, std::string const& baseName, DiskFormat configured, ImageFormat below,
        std::uint64_t own = 2 * mib)
        : folder(std::move(in)), base(folder + "/" + baseName), top(folder + "/disk"), baseFormat(below)
    {
        fs::create_directories(folder);
        config.disks = { { .id = "disk0", .path = top, .format = configured } };
        make(base, { .format = baseFormat, .size = size }, 0, 6 * mib, 3);
        make(top, { .size = size, .backingFile = baseName, .backingFormat = baseFormat }, 7 * mib - own, 7 * mib, 9);
    }
    void make(std::string const& path, NewImage const& what, std::uint64_t from, std::uint64_t to, unsigned seed)
    {
        must(createImage(path, what));
        InlineEngine engine;
        ImageOptions options;
        options.format = what.format;
        options.backing = allowed;
        auto const image = must(BlockImage::open(engine, path, options));
        std::mt19937 random(seed);
        for (auto at = from; at < to; at += 64 << 10) {
            if (random() % 4 == 0)
                continue;
            Bytes const data(48 << 10, static_cast<std::uint8_t>(1 + random() % 200));
            must(image->writeSync(at, data));
            std::ranges::copy(data, content.begin() + static_cast<std::ptrdiff_t>(at));
        }
        // Zeros that hide what is below.
        if (!what.backingFile.empty()) {
            must(image->runSync(BlockRequest::Kind::WriteZeroes, mib, mib));
            std::fill_n(content.begin() + mib, mib, std::uint8_t(0));
        }
        must(image->flushSync());
    }
    ImageFormat formatNow() const
    {
        auto const& disk = config.disks[0];
        return formatInPlace(disk.path, *disk.format == DiskFormat::Raw ? ImageFormat::Raw : ImageFormat::Qcow2);
    }
    std::unique_ptr<BlockImage> open(IoEngine& engine) const
    {
        ImageOptions options;
        options.format = formatNow();
        options.backing = allowed;
        return must(BlockImage::open(engine, top, options));
    }
    /// The disk alone, with something in what it gains.
    void grow(std::uint64_t bytes)
    {
        InlineEngine engine;
        auto const image = open(engine);
        must(image->grow(bytes));
        Bytes const data(48 << 10, 201);
        must(image->writeSync(bytes - mib, data));
        must(image->flushSync());
        content.resize(bytes);
        std::ranges::copy(data, content.begin() + static_cast<std::ptrdiff_t>(bytes - mib));
    }
    /// What is wrong with the disk; empty: nothing. `judged`: by qemu-img, too.
    QString problem(bool judged = true) const
    {
        InlineEngine engine;
        {
            auto const image = open(engine);
            Bytes data(content.size());
            if (auto const got = image->readSync(0, data); !got)
                return QString::fromStdString(got.error().message());
            if (data != content)
                return QString("byte %1 is another").arg(std::ranges::mismatch(data, content).in1 - data.begin());
        }
        for (auto const& [path, format] : { std::pair(top, formatNow()), std::pair(base, baseFormat) }) {
            if (!judged || !fs::exists(path) || format == ImageFormat::Raw)
                continue;
            if (auto wrong = QemuTools::check(QString::fromStdString(path), QemuTools::Leaks::Allowed);
                !wrong.isEmpty())
                return wrong;
        }
        return {};
    }
    std::size_t below() const
    {
        InlineEngine engine;
        return filesBelow(open(engine)->info());
    }
    Result<> stream(std::string const& onto = {}) const { return streamStillDisk(config, "disk0", onto, {}); }
    Result<> commit(OtherImages const& others = {}, unsigned files = 1) const
    {
        return commitStillDisk(config, "disk0", files, nullptr, others, {});
    }
    /// As of a machine that is on. Its guest does `meanwhile` after each step, and goes on when it `ended`.
    Result<> commitLive(
        std::function<void(BlockImage&)> const& meanwhile = [](BlockImage&) {},
        std::function<void()> const& ended = [] {}) const
    {
        InlineEngine engine;
        CheckpointedDisk disk { engine, top, {}, nullptr, {} };
        disk.options.format = formatNow();
        disk.options.backing = allowed;
        disk.image = TRY(BlockImage::open(engine, top, disk.options));
        TRY(LiveCommit::check(disk.image->info()));
        auto const outcome = [&]() -> Result<> {
            auto const isRaw = config.disks[0].format == DiskFormat::Raw;
            auto const commit = TRY(LiveCommit::begin(disk, isRaw ? ImageFormat::Raw : ImageFormat::Qcow2));
            for (Result<bool> more = true; *more;) {
                disk.image->hold();
                more = commit->step();
                disk.image->letGo();
                TRY(more);
                meanwhile(*disk.image);
            }
            return {};
        }();
        ended();
        must(disk.image->flushSync());
        return outcome;
    }
};

struct Word {
    enum class What : std::uint8_t { Ready, Done } what;
};

}

/// Chains of images that are merged upwards (stream) and downwards (commit), judged by qemu-img.
class DiskChainTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        SKIP_WITHOUT_QEMU_TOOLS();
        makeNothingDurable();
    }
    void init() { m_folder = std::make_unique<QTemporaryDir>(); }

    void aPersonsOverlayStandsAlone()
    {
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Raw);
        REQUIRE_OK(chain.stream());
        QVERIFY(must(backingNameOf(chain.top)).empty());
        QVERIFY(fs::exists(chain.base)); // it is the person's
        fs::remove(chain.base);
        QCOMPARE(chain.problem(), QString());
        QCOMPARE(chain.stream().error().code, ErrorCode::Unsupported);
        QCOMPARE(chain.commit().error().code, ErrorCode::Unsupported);
    }

    /// What is zero below takes no space above.
    void zerosAreNotCopied()
    {
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Raw);
        auto const allocated = [&] {
            InlineEngine engine;
            return chain.open(engine)->info().allocatedBytes;
        };
        REQUIRE_OK(chain.stream());
        QVERIFY2(allocated() < 7 * mib, qPrintable(QString::number(allocated())));
    }

    /// A raw disk that a checkpoint has made an overlay is known as one by what it stands on, so it gets something to
    /// stand on.
    void aCheckpointsOverlayIsStillKnownForWhatItIs()
    {
        auto const name = "disk." + makeUuid();
        Chain const chain(path("a"), name, DiskFormat::Raw, ImageFormat::Raw);
        QCOMPARE(chain.formatNow(), ImageFormat::Qcow2);
        REQUIRE_OK(chain.stream());
        QCOMPARE(chain.formatNow(), ImageFormat::Qcow2);
        QCOMPARE(chain.below(), std::size_t(0));
        QVERIFY(must(imagesOn(chain.base)).empty());
        fs::remove(chain.base);
        QCOMPARE(chain.problem(), QString());
        QCOMPARE(chain.stream().error().code, ErrorCode::Unsupported);
    }

    /// What a stream has put below a disk for its name goes when nobody stands on it.
    void anEmptyBaseGoesWithWhatStoodOnIt()
    {
        StillMachine const machine(path("machine"));
        fs::create_directory(machine.folder);
        machine.make();
        auto const timeline = machine.open();
        auto const moment = must(machine.keep(*timeline, 10));
        if (moment.disks[0].checkpoint.way != CheckpointWay::Overlay)
            QSKIP("CHRONOVISOR-SKIP: disks stand on nothing where blocks can be shared");
        REQUIRE_OK(streamStillDisk(machine.config, "disk0", {}, {}));
        auto const base = machine.folder + "/" + must(backingNameOf(machine.config.disks[0].path));
        QCOMPARE(fs::file_size(base), BlockImage::sectorSize);
        auto const leftover = machine.config.disks[0].path + "." + makeUuid(); // of a stream that was cut off
        must(createImage(leftover, { .format = ImageFormat::Raw, .size = BlockImage::sectorSize }));
        REQUIRE_OK(machine.tidy(*timeline));
        QVERIFY(fs::exists(base) && !fs::exists(leftover));
        QCOMPARE(machine.differenceNow(10), QString());
        must(Machine::goToOff(timeline, moment.id));
        REQUIRE_OK(machine.tidy(*timeline));
        QVERIFY(!fs::exists(base));
        QCOMPARE(machine.differenceNow(10), QString());
        QCOMPARE(machine.problem(timeline, { moment.id }), QString());
    }

    void momentsKeepWhatTheyStandOn()
    {
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        CheckpointStory story(*method, path("disk"), ImageFormat::Raw);
        std::vector<Checkpoint> kept;
        for (std::uint8_t i = 1; i <= 3; ++i) {
            story.write(i);
            kept.push_back(story.keep(makeUuid()));
        }
        story.write(4);
        {
            auto stream = must(streamDisk(story.disk(), {}));
            while (must(stream.step())) { }
        }
        QCOMPARE(filesBelow(story.disk().image->info()), std::size_t(0));
        QCOMPARE(story.now(), 4);
        for (std::size_t i = 0; i < kept.size(); ++i)
            QCOMPARE(story.at(kept[i]), int(i) + 1);
        // A moment of what it is now, and both ways.
        kept.push_back(story.keep(makeUuid()));
        story.write(5);
        story.openAgain();
        QCOMPARE(story.now(), 5);
        REQUIRE_OK(method->goBack(story.disk(), kept[0]));
        QCOMPARE(story.now(), 1);
        REQUIRE_OK(method->goBack(story.disk(), kept[3]));
        QCOMPARE(story.now(), 4);
        // Nothing stands on the others any more but they themselves.
        for (auto const& one : { kept[2], kept[1], kept[0] })
            REQUIRE_OK(method->remove(story.disk(), one));
        QCOMPARE(story.now(), 4);
        QCOMPARE(story.at(kept[3]), 4);
    }

    /// A disk that was raw is still known as qcow2, also where a merge has taken in its first file; one that never was
    /// stands alone.
    void onlyADiskThatWasRawGetsAnEmptyBase_data()
    {
        QTest::addColumn<ImageFormat>("format");
        QTest::newRow("raw") << ImageFormat::Raw;
        QTest::newRow("qcow2") << ImageFormat::Qcow2;
    }
    void onlyADiskThatWasRawGetsAnEmptyBase()
    {
        QFETCH(ImageFormat, format);
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        CheckpointStory story(*method, path("disk"), format);
        story.write(1);
        auto const first = story.keep(makeUuid());
        story.write(2);
        auto const second = story.keep(makeUuid());
        story.write(3);
        must(story.disk().image->flushSync());
        OverlayFiles files(story.engine(), path("disk"), {});
        REQUIRE_OK(files.freeBases({ path(first.place) }, OverlayFiles::MayMerge::Yes));
        REQUIRE_OK(openBelowAgain(story.disk()));
        {
            auto stream = must(streamDisk(story.disk(), {}));
            while (must(stream.step())) { }
        }
        QCOMPARE(filesBelow(story.disk().image->info()), std::size_t(0));
        QCOMPARE(must(backingNameOf(path("disk"))).empty(), format == ImageFormat::Qcow2);
        QCOMPARE(formatInPlace(path("disk"), format), ImageFormat::Qcow2);
        REQUIRE_OK(method->remove(story.disk(), second));
        story.openAgain();
        QCOMPARE(story.now(), 3);
    }

    void ontoAFileFurtherBelow()
    {
        Chain chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Raw);
        auto const middle = path("a") + "/middle";
        fs::rename(chain.top, middle);
        chain.make(
            chain.top, { .size = size, .backingFile = "middle", .backingFormat = ImageFormat::Qcow2 }, 0, 2 * mib, 5);
        QCOMPARE(chain.below(), std::size_t(2));
        QCOMPARE(chain.stream(middle).error().code, ErrorCode::InvalidArgument);
        QCOMPARE(chain.stream(path("elsewhere")).error().code, ErrorCode::NotFound);
        REQUIRE_OK(chain.stream(chain.base));
        QCOMPARE(must(backingNameOf(chain.top)), std::string("base.img"));
        fs::remove(middle);
        QCOMPARE(chain.problem(), QString());
        auto const said = runTool("qemu-img", { "info", QString::fromStdString(chain.top) }).output;
        QVERIFY2(said.contains("backing file format: raw"), qPrintable(said));
    }

    void ontoAFileOfAnotherFolder_data()
    {
        QTest::addColumn<bool>("absolute");
        QTest::newRow("relative") << false;
        QTest::newRow("absolute") << true;
    }
    /// Folders that name each other without saying where all of them are may still be moved together afterwards.
    void ontoAFileOfAnotherFolder()
    {
        QFETCH(bool, absolute);
        auto const common = path("common") + "/";
        fs::create_directory(common);
        Chain chain(path("a"), "../common/base.img", DiskFormat::Qcow2, ImageFormat::Raw, 0);
        auto const from = [&](std::string const& folder) { return absolute ? common : folder; };
        chain.make(common + "middle",
            { .size = size, .backingFile = from("") + "base.img", .backingFormat = ImageFormat::Raw }, 2 * mib, 4 * mib,
            5);
        chain.allowed.push_back(common + "middle");
        fs::remove(chain.top);
        chain.make(chain.top,
            { .size = size, .backingFile = from("../common/") + "middle", .backingFormat = ImageFormat::Qcow2 }, 0, mib,
            7);
        // On its base directly it could not be opened again.
        chain.config.disks[0].backing = { common + "middle" };
        QCOMPARE(chain.stream(chain.base).error().code, ErrorCode::InvalidArgument);
        QCOMPARE(chain.problem(), QString());
        chain.config.disks[0].backing = chain.allowed;
        REQUIRE_OK(chain.stream(chain.base));
        fs::remove(common + "middle");
        QCOMPARE(must(backingNameOf(chain.top)), from("../common/") + "base.img");
        QCOMPARE(chain.problem(), QString());
    }

    /// The file below takes the disk's place, and the disk is raw again.
    void aCommitMakesTheChainShorter()
    {
        for (bool const live : { false, true }) {
            Chain const chain(path(live ? "live" : "still"), "disk." + makeUuid(), DiskFormat::Raw, ImageFormat::Raw);
            REQUIRE_OK(live ? chain.commitLive() : chain.commit());
            QVERIFY(!fs::exists(chain.base));
            QCOMPARE(chain.formatNow(), ImageFormat::Raw);
            QCOMPARE(chain.problem(), QString());
        }
    }

    void whatIsWrittenMeanwhileGoesAlong_data()
    {
        QTest::addColumn<bool>("isCheckpoints");
        QTest::addColumn<ImageFormat>("below");
        QTest::newRow("to a person's raw base") << false << ImageFormat::Raw;
        QTest::newRow("to a person's qcow2 base") << false << ImageFormat::Qcow2;
        QTest::newRow("to a checkpoint's raw base") << true << ImageFormat::Raw;
        QTest::newRow("to a checkpoint's qcow2 base") << true << ImageFormat::Qcow2;
    }

    /// Before it is there, where it was already, after the last of it, and in the image that has come at last.
    void whatIsWrittenMeanwhileGoesAlong()
    {
        QFETCH(bool, isCheckpoints);
        QFETCH(ImageFormat, below);
        Chain chain(path("a"), isCheckpoints ? "disk." + makeUuid() : "base.img",
            isCheckpoints && below == ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2, below);
        std::mt19937 random(3);
        std::uint8_t written = 0;
        REQUIRE_OK(chain.commitLive([&](BlockImage& image) {
            for (int i = 0; i < 4; ++i) {
                Bytes const data((1 + random() % 40) << 9, ++written);
                auto const at = random() % (size / 512 - 40) * 512;
                must(image.writeSync(at, data));
                std::ranges::copy(data, chain.content.begin() + static_cast<std::ptrdiff_t>(at));
            }
        }));
        QVERIFY(written >= 12);
        QCOMPARE(chain.problem(), QString());
        QCOMPARE(chain.below(), isCheckpoints ? 0U : 1U);
        QCOMPARE(fs::exists(chain.base), !isCheckpoints);
        REQUIRE_OK(isCheckpoints ? Result<>() : chain.commitLive());
        QCOMPARE(chain.problem(), QString());
    }

    /// What the guest has not flushed is not written to the disk's old file, which has gone.
    void nobodyMissesTheFileThatGoes()
    {
        static std::string missed;
        missed.clear();
        auto const asBefore = qScopeGuard([] { setLogSink(nullptr); });
        setLogSink([](LogLevel level, std::string_view, std::string_view text) {
            if (level == LogLevel::Error)
                missed += text;
        });
        for (bool const isCheckpoints : { false, true }) {
            Chain chain(path(isCheckpoints ? "checkpoint" : "person"),
                isCheckpoints ? "disk." + makeUuid() : "base.img", DiskFormat::Qcow2, ImageFormat::Qcow2);
            REQUIRE_OK(chain.commitLive([](BlockImage& image) { must(image.writeSync(0, Bytes(512, 7))); }));
        }
        QCOMPARE(missed, std::string());
    }

    /// Another program has it: the disk goes on, and nothing was written.
    void aBaseThatIsInUseIsNotCommittedTo()
    {
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Raw);
        auto const reader = must(HostFile::open(chain.base, Access::ReadOnly, CacheMode::Writeback));
        QCOMPARE(chain.commitLive().error().code, ErrorCode::Busy);
        QCOMPARE(chain.problem(), QString());
    }

    void aCommitGoesDownAsFarAsItIsTold()
    {
        auto const method = CheckpointMethod::create(CheckpointWay::Overlay);
        auto const disk = path("disk");
        {
            CheckpointStory story(*method, disk, ImageFormat::Raw);
            for (std::uint8_t i = 1; i <= 3; ++i) {
                story.write(i);
                story.keep(makeUuid());
            }
            story.write(4);
        }
        VmConfig config;
        config.disks = { { .id = "disk0", .path = disk, .format = DiskFormat::Raw } };
        QCOMPARE(QDir(m_folder->path()).entryList(QDir::Files).size(), 4);
        REQUIRE_OK(commitStillDisk(config, "disk0", 2, nullptr, {}, {}));
        QCOMPARE(QDir(m_folder->path()).entryList(QDir::Files).size(), 2);
        REQUIRE_OK(commitStillDisk(config, "disk0", 64, nullptr, {}, {}));
        QCOMPARE(QDir(m_folder->path()).entryList(QDir::Files).size(), 1);
        QCOMPARE(formatInPlace(disk, ImageFormat::Raw), ImageFormat::Raw);
        InlineEngine engine;
        ImageOptions options;
        options.format = ImageFormat::Raw;
        QCOMPARE(CheckpointStory::read(*must(BlockImage::open(engine, disk, options))), 4);
    }

    /// A person's file keeps its name, and is what the disk was; the disk's own file begins anew.
    void aPersonsBaseKeepsItsName_data()
    {
        QTest::addColumn<ImageFormat>("format");
        QTest::newRow("raw") << ImageFormat::Raw;
        QTest::newRow("qcow2") << ImageFormat::Qcow2;
    }
    void aPersonsBaseKeepsItsName()
    {
        QFETCH(ImageFormat, format);
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, format);
        REQUIRE_OK(chain.commit({}, 5));
        QCOMPARE(chain.problem(), QString());
        InlineEngine engine;
        auto const own = must(chain.open(engine)->map(0, size));
        QCOMPARE(own.kind, BlockImage::Mapping::Kind::Unallocated);
        QCOMPARE(own.length, size);
        ImageOptions options;
        options.format = format;
        Bytes data(size);
        must(must(BlockImage::open(engine, chain.base, options))->readSync(0, data));
        QVERIFY(data == chain.content);
    }

    void aShorterRawBaseGrows()
    {
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Raw);
        fs::resize_file(chain.base, 6 * mib);
        REQUIRE_OK(chain.commit());
        QCOMPARE(fs::file_size(chain.base), size);
        QCOMPARE(chain.problem(), QString());
    }

    void aDiskThatWasMadeLargerGoesIntoItsBase_data() { kindsOfBase(); }

    void aDiskThatWasMadeLargerGoesIntoItsBase()
    {
        QFETCH(bool, isCheckpoints);
        QFETCH(ImageFormat, below);
        auto chain = Chain(path("a"), isCheckpoints ? "disk." + makeUuid() : "base.img",
            isCheckpoints && below == ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2, below);
        chain.grow(2 * size + 512);
        REQUIRE_OK(chain.commit());
        QCOMPARE(chain.problem(), QString());
        QCOMPARE(fs::exists(chain.base), !isCheckpoints); // it has taken the disk's place
        InlineEngine engine;
        auto const all = isCheckpoints ? chain.open(engine)->info() : chain.open(engine)->info().backing[0];
        QCOMPARE(all.virtualSize, 2 * size + 512);
        QCOMPARE(all.format, below);
    }

    void aDiskThatWasMadeLargerStandsAlone_data() { kindsOfBase(); }

    void aDiskThatWasMadeLargerStandsAlone()
    {
        QFETCH(bool, isCheckpoints);
        QFETCH(ImageFormat, below);
        auto chain = Chain(path("a"), isCheckpoints ? "disk." + makeUuid() : "base.img",
            isCheckpoints && below == ImageFormat::Raw ? DiskFormat::Raw : DiskFormat::Qcow2, below);
        chain.grow(2 * size + 512);
        REQUIRE_OK(chain.stream());
        fs::remove(chain.base);
        QCOMPARE(chain.problem(), QString());
    }

    void whoNeedsTheBaseIsNamed()
    {
        auto const refusal = [](Result<> const& outcome) {
            return outcome                                ? QString("it was done")
                : outcome.error().code != ErrorCode::Busy ? QString("not busy")
                                                          : QString::fromStdString(outcome.error().message());
        };
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Raw);
        auto const before = must(backingNameOf(chain.top));
        auto const other = path("a") + "/other";
        must(createImage(other, { .size = size, .backingFile = "base.img", .backingFormat = ImageFormat::Raw }));
        QVERIFY2(refusal(chain.commit()).contains("other stands on"), qPrintable(refusal(chain.commit())));
        fs::remove(other);
        fs::create_hard_link(chain.base, path("link"));
        QVERIFY2(refusal(chain.commit()).contains("a fork of the machine"), qPrintable(refusal(chain.commit())));
        fs::remove(path("link"));
        auto const elsewhere = path("elsewhere.qcow2");
        must(createImage(elsewhere, { .size = size, .backingFile = chain.base, .backingFormat = ImageFormat::Raw }));
        OtherImages::Image const web { "the machine \"web\"",
            { .id = "disk0", .path = elsewhere, .format = DiskFormat::Qcow2, .backing = { chain.base } } };
        auto const said = refusal(chain.commit({ .images = { web } }));
        QVERIFY2(said.contains("the machine \"web\" needs"), qPrintable(said));
        OtherImages::Image const db { "the machine \"db\"",
            { .id = "disk0", .path = chain.base, .format = DiskFormat::Raw } };
        QVERIFY(refusal(chain.commit({ .images = { db } })).contains("the machine \"db\" needs"));
        {
            InlineEngine engine;
            REQUIRE_OK(chain.open(engine)->takeSnapshot({ .id = "1", .name = "mine" }));
        }
        QVERIFY2(refusal(chain.commit()).contains("inside"), qPrintable(refusal(chain.commit())));
        QCOMPARE(chain.stream().error().code, ErrorCode::Unsupported);
        QCOMPARE(must(backingNameOf(chain.top)), before);
        QCOMPARE(chain.problem(), QString());
    }

    /// A moment of another machine stands on it, whose disk does not any more.
    void whatAnotherMachinesMomentNeedsIsNamed()
    {
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Raw);
        fs::create_directory(path("b"));
        auto const other = path("b") + "/disk.qcow2", kept = other + "." + makeUuid();
        must(createImage(other, { .size = size }));
        must(createImage(kept, { .size = size, .backingFile = chain.base, .backingFormat = ImageFormat::Raw }));
        OtherImages::Image const web { "the machine \"web\"",
            { .id = "disk0", .path = other, .format = DiskFormat::Qcow2, .backing = { chain.base } } };
        auto const refused = chain.commit({ .images = { web } });
        QVERIFY2(!refused && refused.error().message().find("the machine \"web\" needs") != std::string::npos,
            refused ? "" : refused.error().message().c_str());
        fs::remove(kept);
        REQUIRE_OK(chain.commit({ .images = { web } }));
    }

    void whatCannotBeReadMayNeedTheBase_data()
    {
        QTest::addColumn<QString>("folder"); // of the other image
        QTest::addColumn<DiskFormat>("format");
        QTest::addColumn<bool>("isThere");
        QTest::addColumn<bool>("namesBase");
        QTest::addColumn<bool>("mayNeed");
        QTest::newRow("damaged, beside the base") << "a" << DiskFormat::Qcow2 << true << false << true;
        QTest::newRow("gone from beside the base") << "a" << DiskFormat::Qcow2 << false << false << false;
        QTest::newRow("damaged, elsewhere") << "b" << DiskFormat::Qcow2 << true << false << false;
        QTest::newRow("damaged, elsewhere, names the base") << "b" << DiskFormat::Qcow2 << true << true << true;
        QTest::newRow("gone, names the base") << "b" << DiskFormat::Qcow2 << false << true << true;
        QTest::newRow("a raw disk stands on nothing") << "a" << DiskFormat::Raw << false << false << false;
    }

    void whatCannotBeReadMayNeedTheBase()
    {
        QFETCH(QString, folder);
        QFETCH(DiskFormat, format);
        QFETCH(bool, isThere);
        QFETCH(bool, namesBase);
        QFETCH(bool, mayNeed);
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Raw);
        fs::create_directory(path("b"));
        auto const other = path(folder.toStdString()) + "/other.qcow2";
        if (isThere)
            QemuTools::writeFile(QString::fromStdString(other), bytesOf("no image any more"));
        OtherImages others { .images
            = { { "the machine \"web\"", { .id = "disk0", .path = other, .format = format } } } };
        if (namesBase)
            others.images[0].disk.backing = { chain.base };
        auto const first = chain.commit(others);
        QCOMPARE(first.has_value(), !mayNeed);
        if (mayNeed) {
            QCOMPARE(first.error().code, ErrorCode::Busy);
            for (auto const& part : { other, std::string("the machine \"web\""), chain.base, std::string("--force") })
                QVERIFY2(first.error().message().find(part) != std::string::npos, first.error().message().c_str());
            QCOMPARE(chain.problem(), QString());
        }
        others.unreadable = OtherImages::Unreadable::Ignore;
        REQUIRE_OK(chain.commit(others));
        QCOMPARE(chain.problem(), QString());
    }

    void aMachineThatCannotBeReadMayNeedIt()
    {
        OtherImages others { .images = {}, .unknown = { "the machine \"web\"" } };
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Raw);
        QCOMPARE(chain.commit(others).error().code, ErrorCode::Busy);
        // A checkpoint's file has a name that nobody else knows.
        Chain const own(path("b"), "disk." + makeUuid(), DiskFormat::Raw, ImageFormat::Raw);
        REQUIRE_OK(own.commit(others));
        others.unreadable = OtherImages::Unreadable::Ignore;
        REQUIRE_OK(chain.commit(others));
    }

    void aCancelledCommitChangesNothing()
    {
        Chain const chain(path("a"), "base.img", DiskFormat::Qcow2, ImageFormat::Qcow2);
        int steps = 0;
        auto const some = [&](double) { return ++steps < 4; };
        QCOMPARE(commitStillDisk(chain.config, "disk0", 1, nullptr, {}, some).error().code, ErrorCode::Cancelled);
        QCOMPARE(chain.problem(), QString());
        REQUIRE_OK(chain.commit());
        QCOMPARE(chain.problem(), QString());
    }

    void everyCallOfACommitCanFail_data()
    {
        QTest::addColumn<bool>("isCheckpoints");
        QTest::addColumn<ImageFormat>("below");
        QTest::addColumn<bool>("isSmaller");
        QTest::addColumn<bool>("live");
        for (bool const live : { false, true }) {
            auto const when = live ? ", live" : "";
            QTest::addRow("to a person's raw base%s", when) << false << ImageFormat::Raw << false << live;
            QTest::addRow("to a raw base that is smaller%s", when) << false << ImageFormat::Raw << true << live;
            QTest::addRow("to a person's qcow2 base%s", when) << false << ImageFormat::Qcow2 << false << live;
            QTest::addRow("to a qcow2 base that is smaller%s", when) << false << ImageFormat::Qcow2 << true << live;
            QTest::addRow("to a checkpoint's base%s", when) << true << ImageFormat::Raw << false << live;
        }
    }

    /// With a full disk or an I/O error, once or for good, and with writes of which only half is done: the disk reads
    /// the same, nothing half made is left, and the next try comes to the end. qemu-img, which takes longer than all
    /// else, judges each third of both.
    void everyCallOfACommitCanFail()
    {
        QFETCH(bool, isCheckpoints);
        QFETCH(ImageFormat, below);
        QFETCH(bool, isSmaller);
        QFETCH(bool, live);
        auto const folder = path("a");
        Chain chain(folder, isCheckpoints ? "disk." + makeUuid() : "base.img",
            isCheckpoints ? DiskFormat::Raw : DiskFormat::Qcow2, below, mib / 4);
        if (isSmaller)
            chain.grow(10 * mib);
        auto const before = path("before");
        fs::copy(folder, before);
        unsigned at = 0;
        for (bool goesOn = true; goesOn; ++at) {
            using enum CallFault::Way;
            std::vector ways { Once, FromThenOn };
            for (std::size_t i = 0; i < ways.size() && goesOn; ++i) {
                CallFault const fault { at, ways[i], (at + i) % 2 == 0 ? EIO : ENOSPC };
                auto const told = tellWithFaults([&]() -> QString {
                    if (!CallFaults::begin())
                        ::_exit(3);
                    setLogLevel(LogLevel::Off);
                    CallFaults::plan(fault);
                    auto const outcome = live ? chain.commitLive([](BlockImage&) {}, &CallFaults::end) : chain.commit();
                    CallFaults::end();
                    bool const mayFail = CallFaults::hasStruck() && fault.way != Short;
                    return outcome || mayFail ? QString() : QString::fromStdString(outcome.error().message());
                });
                goesOn = told.hasStruck;
                if (told.wasWrite && ways.back() != Torn && ways.back() != Short)
                    ways.push_back(at % 2 == 0 ? Torn : Short);
                auto const where = QStringLiteral("call %1, way %2: ").arg(at).arg(int(fault.way));
                QVERIFY2(told.wrong.isEmpty(), qPrintable(where + told.wrong));
                auto const found = chain.problem((at + i) % 3 == 0);
                QVERIFY2(found.isEmpty(), qPrintable(where + found));
                for (auto const& entry : fs::directory_iterator(folder))
                    QVERIFY2(entry.path() == chain.base || entry.path() == chain.top,
                        qPrintable(where + entry.path().c_str()));
                auto const again = chain.commit();
                bool const wasDone = !again && again.error().code == ErrorCode::Unsupported;
                QVERIFY2(again || wasDone, qPrintable(where + (again ? "" : again.error().message().c_str())));
                QCOMPARE(chain.problem((at + i) % 3 == 1), QString());
                QCOMPARE(fs::exists(chain.base), !isCheckpoints);
                fs::remove_all(folder);
                fs::copy(before, folder);
            }
        }
        QVERIFY2(at > 8, qPrintable(QString::number(at)));
    }

    void killedAtAnyInstant_data()
    {
        QTest::addColumn<QString>("work");
        QTest::addColumn<bool>("isCheckpoints");
        for (auto const* work : { "stream", "commit", "live commit" }) {
            QTest::addRow("%s, over a person's file", work) << QString(work) << false;
            QTest::addRow("%s, over a checkpoint's", work) << QString(work) << true;
        }
    }

    /// The old chain or the new one; and what was begun can be done again.
    void killedAtAnyInstant()
    {
        QFETCH(QString, work);
        QFETCH(bool, isCheckpoints);
        std::mt19937 random(7);
        int ended = 0;
        unsigned longest = 0; // microseconds: for some of them to come to the end and for others not, here and now
        for (int i = 0; i < kills; ++i) {
            auto const folder = path(std::to_string(i));
            Chain const chain(folder, isCheckpoints ? "disk." + makeUuid() : "base.img",
                isCheckpoints ? DiskFormat::Raw : DiskFormat::Qcow2, ImageFormat::Raw);
            auto const run = [&] {
                return work == "stream" ? chain.stream() : work == "commit" ? chain.commit() : chain.commitLive();
            };
            if (longest == 0) {
                longest = longestOf([&] { must(run()); });
                fs::remove_all(folder);
                continue;
            }
            auto const said = workAndBeKilled<Word>(random, longest, [&](unsigned, int words) {
                auto const say = [words](Word::What what) {
                    Word const word { what };
                    if (::write(words, &word, sizeof word) != sizeof word)
                        ::_exit(1);
                };
                say(Word::What::Ready);
                must(run());
                say(Word::What::Done);
                for (;;)
                    ::pause();
            });
            QCOMPARE(chain.problem(), QString());
            auto const again = run();
            QVERIFY2(
                again || again.error().code == ErrorCode::Unsupported, again ? "" : again.error().message().c_str());
            bool const isDone = said.back().what == Word::What::Done;
            ended += isDone ? 1 : 0;
            longest = longestAfter(longest, isDone);
            QCOMPARE(chain.problem(), QString());
            fs::remove_all(folder);
        }
        QVERIFY2(ended > 0 && ended < kills - 1, qPrintable(QString::number(ended))); // else none was killed at it
    }

private:
    static void kindsOfBase()
    {
        QTest::addColumn<bool>("isCheckpoints");
        QTest::addColumn<ImageFormat>("below");
        for (auto const& [name, format] : { std::pair("raw", ImageFormat::Raw), { "qcow2", ImageFormat::Qcow2 } }) {
            QTest::addRow("a person's %s base", name) << false << format;
            QTest::addRow("a checkpoint's %s base", name) << true << format;
        }
    }
    std::string path(std::string const& name) const
    {
        return m_folder->filePath(QString::fromStdString(name)).toStdString();
    }

    std::unique_ptr<QTemporaryDir> m_folder;
};

REGISTER_SUITE(DiskChainTest);
#include "disk_chain_test.moc"
