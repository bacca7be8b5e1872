#include "tests/support/asks.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/moment_verify.h"

#include <QFile>
#include <QTemporaryDir>
#include <filesystem>
#include <functional>
#include <set>

using namespace vmm;
using namespace vmm::timeline;

namespace {

/// A machine that is off, with a raw disk and a qcow2 one, and three moments of it.
struct Past {
    QTemporaryDir directory;
    VmConfig config { .uuid = "8f3a4c1e-2a4f-4d0a-9a64-0d4f0e5b7c11", .name = "still" };
    std::unique_ptr<Timeline> timeline = tests::openTimeline(path("timeline"));
    std::vector<Moment> moments;

    Past()
    {
        config.disks = { { .id = "disk0", .path = path("one.img"), .format = DiskFormat::Raw },
            { .id = "disk1", .path = path("two.qcow2"), .format = DiskFormat::Qcow2, .moments = MomentPlace::Inside } };
        tests::must(createImage(config.disks[0].path, { .format = ImageFormat::Raw, .size = 8 << 20 }));
        tests::must(createImage(config.disks[1].path, { .size = 8 << 20 }));
        for (std::uint8_t number : { 1, 2, 3 }) {
            write(number);
            moments.push_back(tests::must(Machine::keepOff(config, *timeline, {})));
        }
    }
    std::string path(char const* name) const { return directory.filePath(name).toStdString(); }
    void write(std::uint8_t number) const
    {
        InlineEngine engine;
        for (auto disk : config.disks) {
            disk.format = formatNow(disk);
            auto const image = tests::must(BlockImage::open(engine, disk.path, imageOptions(disk)));
            tests::must(image->writeSync(number * 1u << 20, Bytes(256 << 10, number)));
            tests::must(image->flushSync());
        }
    }
    /// The word of the qcow2 disk's file; the files are small enough for one block of counts.
    std::uint64_t wordAt(std::uint64_t offset) const
    {
        QFile file(QString::fromStdString(config.disks[1].path));
        std::uint64_t value = 0;
        if (!file.open(QIODevice::ReadOnly) || !file.seek(qint64(offset))
            || file.read(reinterpret_cast<char*>(&value), 8) != 8)
            qFatal("cannot read the image");
        return __builtin_bswap64(value);
    }
    void changeByte(std::uint64_t offset, std::function<char(char)> const& change) const
    {
        QFile file(QString::fromStdString(config.disks[1].path));
        char byte = 0;
        bool const isOpen = file.open(QIODevice::ReadWrite) && file.seek(qint64(offset)) && file.getChar(&byte);
        if (!isOpen || !file.seek(qint64(offset)) || !file.putChar(change(byte)))
            qFatal("cannot change the image");
    }
    std::vector<Damage> verify() const { return tests::must(verifyDisks(*timeline)); }
};

}

class MomentVerifyTest : public QObject {
    Q_OBJECT

private slots:
    void whatIsWholeIsFoundSo()
    {
        Past const past;
        QVERIFY(past.verify().empty());
    }

    void aFileThatIsGoneIsToldByMomentAndDisk()
    {
        Past const past;
        auto const& checkpoint = past.moments[2].disks[0].checkpoint;
        if (checkpoint.place.empty())
            QSKIP("CHRONOVISOR-SKIP: raw disks have no files of their own here");
        QVERIFY(QFile::remove(past.directory.filePath(QString::fromStdString(checkpoint.place))));
        auto const damaged = past.verify();
        QCOMPARE(damaged.size(), 1u);
        QCOMPARE(damaged[0].moment, past.moments[2].id);
        QVERIFY2(damaged[0].error.message().find("disk0") != std::string::npos, damaged[0].error.message().c_str());
    }

    void aTornImageIsToldForEachMomentThatNeedsIt()
    {
        Past const past;
        auto const& image = past.config.disks[1].path;
        std::filesystem::resize_file(image, 64 << 10); // its header alone
        std::set<std::string> told, all;
        for (auto const& one : past.verify()) {
            told.insert(one.moment);
            QVERIFY2(one.error.message().find("disk1") != std::string::npos, one.error.message().c_str());
        }
        for (auto const& moment : past.moments)
            all.insert(moment.id);
        QCOMPARE(told, all);
    }

    /// All reads well, until the next write to the disk.
    void whatOneSnapshotWouldDestroyOfAnotherIsTold_data()
    {
        QTest::addColumn<bool>("countsTooFew");
        QTest::newRow("it counts too few users") << true;
        QTest::newRow("it calls its own what others use") << false;
    }
    void whatOneSnapshotWouldDestroyOfAnotherIsTold()
    {
        QFETCH(bool, countsTooFew);
        Past const past;
        auto const& image = past.config.disks[1].path;
        constexpr std::uint64_t l1Field = 40, refcountsField = 48, offsets = 0x00fffffffffffe00, cluster = 64 << 10;
        auto const table = past.wordAt(past.wordAt(l1Field)) & offsets;
        constexpr std::uint64_t where = 1 << 20; // what the first moment has, and all others too
        auto const entryAt = table + where / cluster * 8;
        if (countsTooFew) {
            auto const counts = past.wordAt(past.wordAt(refcountsField));
            auto const low = counts + (past.wordAt(entryAt) & offsets) / cluster * 2 + 1;
            past.changeByte(low, [](char count) { return char(count - 1); });
        } else {
            past.changeByte(entryAt, [](char flags) { return char(flags | 0x80); });
        }
        {
            InlineEngine engine;
            auto const user = tests::must(BlockImage::open(engine, image, {}));
            QVERIFY(past.verify().empty()); // nobody can tell, for this one may be writing to it
        }
        std::set<std::string> told;
        for (auto const& one : past.verify()) {
            told.insert(one.moment);
            QVERIFY2(one.error.message().find("disk1") != std::string::npos, one.error.message().c_str());
        }
        QCOMPARE(told.size(), past.moments.size());
    }

    /// Room that is lost is no damage.
    void whatCountsTooOftenIsFoundWhole()
    {
        Past const past;
        constexpr std::uint64_t refcountsField = 48;
        auto const first = past.wordAt(past.wordAt(refcountsField));
        past.changeByte(first + 1, [](char count) { return char(count + 1); }); // the header's
        QVERIFY(past.verify().empty());
    }

    /// What is purged while it is looked at is not there as it was, and is no damage.
    void whatGoesMeanwhileIsNotDamaged()
    {
        Past const past;
        auto const& gone = past.moments[1];
        bool isGone = false;
        auto const damaged = verifyDisks(*past.timeline, [&](std::uint64_t at, std::uint64_t) {
            if (at == 1 && !std::exchange(isGone, true)) {
                tests::must(past.timeline->purge(gone.id));
                tests::must(DiskTidier(*past.timeline, past.config, {}).run());
            }
            return true;
        });
        REQUIRE_OK(damaged);
        QVERIFY2(damaged->empty(), damaged->empty() ? "" : damaged->front().error.message().c_str());
        QVERIFY(isGone);
    }

    void itIsCancelled()
    {
        Past const past;
        tests::Asks all;
        auto const asking
            = [](tests::Asks& asks) { return [&asks](std::uint64_t, std::uint64_t) { return asks.goOn(); }; };
        REQUIRE_OK(verifyDisks(*past.timeline, asking(all)));
        QVERIFY2(all.count > 8, qPrintable(QString::number(all.count)));
        for (auto const at : tests::Asks::toTry(all.count)) {
            tests::Asks asks { at };
            QCOMPARE(verifyDisks(*past.timeline, asking(asks)).error().code, ErrorCode::Cancelled);
        }
    }
};

REGISTER_SUITE(MomentVerifyTest);
#include "moment_verify_test.moc"
