#include "app/store/machine_store.h"
#include "app/store/whole_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/random.h"
#include "vmm/block/image.h"
#include "vmm/block/overlay_files.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/moment_disks.h"

#include <QDir>
#include <QScopeGuard>
#include <QTemporaryDir>
#include <filesystem>

using namespace app;

namespace {

constexpr std::uint64_t mib = 1u << 20;

/// A library with one machine, whose two disks, qcow2 and raw, lie elsewhere and have kept a moment.
struct Bench {
    QTemporaryDir directory;
    std::string const disks = directory.filePath("disks").toStdString(), qcow2 = disks + "/one.qcow2",
                      raw = disks + "/two.img";
    MachineStore store { directory.filePath("library").toStdString() };
    StoredMachine machine;

    /// `base`: the name of a file below the qcow2 one.
    explicit Bench(vmm::MomentPlace moments = vmm::MomentPlace::Automatic, std::string const& base = {})
    {
        std::filesystem::create_directories(disks);
        if (!base.empty()) {
            tests::must(vmm::createImage(disks + "/" + base, { .size = mib }));
            write({ .id = "base", .path = disks + "/" + base, .format = DiskFormat::Qcow2 }, 0, 1);
        }
        tests::must(
            vmm::createImage(qcow2, { .size = mib, .backingFile = base, .backingFormat = vmm::ImageFormat::Qcow2 }));
        tests::must(vmm::createImage(raw, { .format = vmm::ImageFormat::Raw, .size = mib }));
        MachineRequest request;
        request.config = tests::exampleConfig("web");
        request.config.uuid.clear();
        request.config.disks = { { .id = "disk0", .path = qcow2, .format = DiskFormat::Qcow2, .moments = moments },
            { .id = "disk1", .path = raw, .format = DiskFormat::Raw } };
        machine = tests::must(store.create(std::move(request)));
        keep();
    }
    void keep() const
    {
        auto const timeline = tests::openTimeline(past(machine.directory));
        tests::must(vmm::Machine::keepOff(tests::must(store.load(machine.id)).config, *timeline, {}));
    }
    static std::unique_ptr<vmm::BlockImage> open(vmm::InlineEngine& engine, vmm::DiskConfig disk)
    {
        disk.format = vmm::formatNow(disk);
        return tests::must(vmm::BlockImage::open(engine, disk.path, vmm::imageOptions(disk)));
    }
    static void write(vmm::DiskConfig const& disk, std::uint64_t at, std::uint8_t what)
    {
        vmm::InlineEngine engine;
        auto const image = open(engine, disk);
        tests::must(image->writeSync(at, vmm::Bytes(64 << 10, what)));
        tests::must(image->flushSync());
    }
    /// On three moments one after the other, each with something of its own: one byte of each 64 KiB, of both disks.
    void writeAndKeep() const
    {
        for (std::uint8_t number = 2; number < 5; ++number) {
            for (auto const& disk : machine.config.disks) {
                write(disk, number * (64U << 10), number);
                write(disk, 9 * (64U << 10), number);
            }
            if (number != 4)
                keep();
        }
    }
    /// What writeAndKeep() has written, and the base; empty: all of it is there.
    QString problem() const
    {
        vmm::InlineEngine engine;
        for (auto const& disk : machine.config.disks) {
            auto const image = open(engine, disk);
            vmm::Bytes data(mib);
            tests::must(image->readSync(0, data));
            for (unsigned part = 0; part < mib >> 16; ++part) {
                auto const expected = part >= 2 && part < 5 ? part : part == 9 ? 4 : 0;
                bool const isBases = part == 0 && disk.path == qcow2 && data[0] == 1;
                if (data[part << 16] != expected && !isBases)
                    return QStringLiteral("%1: part %2 is %3").arg(disk.id.c_str()).arg(part).arg(data[part << 16]);
            }
        }
        return {};
    }
    QStringList files() const { return QDir(QString::fromStdString(disks)).entryList(QDir::Files); }
    static std::string past(std::string const& machine) { return machine + "/timeline"; }
    std::size_t kept() const
    {
        vmm::InlineEngine engine;
        vmm::ImageOptions options;
        options.format = vmm::ImageFormat::Qcow2;
        auto const image = tests::must(vmm::BlockImage::open(engine, qcow2, options));
        auto const besides = QDir(QString::fromStdString(disks)).entryList({ "one.qcow2.*" }, QDir::Files).size();
        return tests::must(image->snapshots()).size() + std::size_t(besides);
    }
    QStringList library(char const* folder) const
    {
        return QDir(directory.filePath(QStringLiteral("library/") + folder))
            .entryList(QDir::Dirs | QDir::Hidden | QDir::NoDotAndDotDot);
    }
};

}

/// What is left of a machine when the trash is emptied.
class EndedMachineTest final : public QObject {
    Q_OBJECT

private slots:
    void disksElsewhereLetGo()
    {
        Bench bench;
        QCOMPARE(bench.kept(), std::size_t(1));
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        QCOMPARE(bench.kept(), std::size_t(1)); // it may come back
        REQUIRE_OK(bench.store.emptyTrash());
        QCOMPARE(bench.kept(), std::size_t(0));
        QVERIFY(bench.library("trash").isEmpty());
    }

    void whatCannotBeReachedIsNoObstacle()
    {
        Bench bench;
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        std::filesystem::rename(bench.disks, bench.disks + "-away");
        REQUIRE_OK(bench.store.emptyTrash());
        QVERIFY(bench.library("trash").isEmpty());
    }

    /// By hand, with the moments, which are of the same disks.
    void aCopyKeepsItsMoments()
    {
        Bench bench;
        std::filesystem::copy(bench.machine.directory, bench.store.directoryOf(vmm::makeUuid()),
            std::filesystem::copy_options::recursive);
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        REQUIRE_OK(bench.store.emptyTrash());
        QCOMPARE(bench.kept(), std::size_t(1));
    }

    void anImageElsewhereIsOneFileAgain()
    {
        Bench bench(vmm::MomentPlace::Beside);
        bench.writeAndKeep();
        QVERIFY(bench.files().size() > 2);
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        REQUIRE_OK(bench.store.emptyTrash());
        QCOMPARE(bench.files(), QStringList({ "one.qcow2", "two.img" }));
        QCOMPARE(std::filesystem::file_size(bench.raw), mib); // raw again
        QCOMPARE(bench.problem(), QString());
        QVERIFY(bench.library("trash").isEmpty());
    }

    void aPersonsFileBelowItStays()
    {
        Bench bench(vmm::MomentPlace::Beside, "base.qcow2");
        bench.writeAndKeep();
        auto const before = tests::must(readWholeFile(bench.disks + "/base.qcow2", 8 * mib));
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        REQUIRE_OK(bench.store.emptyTrash());
        QCOMPARE(bench.files(), QStringList({ "base.qcow2", "one.qcow2", "two.img" }));
        QVERIFY(tests::must(readWholeFile(bench.disks + "/base.qcow2", 8 * mib)) == before);
        QCOMPARE(tests::must(vmm::backingNameOf(bench.qcow2)), std::string("base.qcow2"));
        QCOMPARE(bench.problem(), QString());
    }

    void whatAForkHasTooIsLeftToItAsItIs()
    {
        Bench bench(vmm::MomentPlace::Beside);
        std::filesystem::create_directory(bench.disks + "/fork");
        std::vector<std::string> shared;
        for (auto const& name : bench.files()) {
            shared.push_back(bench.disks + "/fork/" + name.toStdString());
            std::filesystem::create_hard_link(bench.disks + "/" + name.toStdString(), shared.back());
        }
        std::erase_if(shared, [](auto const& path) { return !vmm::isCheckpointName(path); });
        QVERIFY(!shared.empty());
        auto const before = tests::must(readWholeFile(shared.front(), 8 * mib));
        bench.writeAndKeep();
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        REQUIRE_OK(bench.store.emptyTrash());
        QCOMPARE(bench.files(), QStringList({ "one.qcow2", "two.img" }));
        QCOMPARE(bench.problem(), QString());
        QVERIFY(tests::must(readWholeFile(shared.front(), 8 * mib)) == before);
    }

    /// What knows of its files is all that stays.
    void anImageInUseBecomesOneFileTheNextTime()
    {
        Bench bench(vmm::MomentPlace::Beside);
        bench.writeAndKeep();
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        {
            vmm::InlineEngine engine;
            auto const used = Bench::open(engine, bench.machine.config.disks[0]);
            auto const emptied = bench.store.emptyTrash();
            QVERIFY(!emptied && emptied.error().code == vmm::ErrorCode::Busy);
        }
        QCOMPARE(bench.problem(), QString());
        QCOMPARE(bench.library("trash").size(), 1);
        QDir const left(bench.directory.filePath("library/trash/" + bench.library("trash").front()));
        QCOMPARE(left.entryList(QDir::AllEntries | QDir::NoDotAndDotDot),
            QStringList({ "machine.json", "machine.lock", "timeline" }));
        REQUIRE_OK(bench.store.emptyTrash());
        QCOMPARE(bench.files(), QStringList({ "one.qcow2", "two.img" }));
        QCOMPARE(bench.problem(), QString());
        QVERIFY(bench.library("trash").isEmpty());
    }

    void whereverItIsCancelledItGoesOnTheNextTime()
    {
        Bench bench(vmm::MomentPlace::Beside);
        bench.writeAndKeep();
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        int most = 0;
        for (bool isDone = false; !isDone; ++most) {
            int asked = 0;
            auto const emptied = bench.store.emptyTrash(0, [&](double) { return asked++ < most; });
            QVERIFY(emptied || emptied.error().code == vmm::ErrorCode::Cancelled);
            QCOMPARE(bench.problem(), QString());
            isDone = emptied.has_value();
            QVERIFY(isDone || !bench.library("trash").isEmpty());
            QVERIFY(most < 1000);
        }
        QVERIFY(most > 2); // else it was never cancelled while it merges
        QCOMPARE(bench.files(), QStringList({ "one.qcow2", "two.img" }));
    }

    void howFarItIsNeverGoesBack()
    {
        Bench bench(vmm::MomentPlace::Beside);
        bench.writeAndKeep();
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        std::vector<double> told;
        REQUIRE_OK(bench.store.emptyTrash(0, [&](double part) {
            told.push_back(part);
            return true;
        }));
        QVERIFY(std::ranges::is_sorted(told));
        QCOMPARE(told.back(), 1.0);
        QVERIFY(std::ranges::any_of(told, [](double part) { return part > 0 && part < 1; })); // one of its two disks
    }

    void anImageOfAnotherMachineWaitsForThatOne()
    {
        Bench bench(vmm::MomentPlace::Beside);
        bench.writeAndKeep();
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        MachineRequest request;
        request.config = tests::exampleConfig("of the same disk");
        request.config.uuid.clear();
        request.config.disks = { { .id = "disk0", .path = bench.qcow2, .format = DiskFormat::Qcow2 } };
        auto const other = tests::must(bench.store.create(std::move(request)));
        auto const before = bench.files().filter("one.qcow2");
        REQUIRE_OK(bench.store.emptyTrash());
        QCOMPARE(bench.files().filter("one.qcow2.").size(), before.size() - 1);
        REQUIRE_OK(bench.store.remove(other.id));
        REQUIRE_OK(bench.store.emptyTrash());
        REQUIRE_OK(bench.store.emptyTrash()); // whichever came first
        QCOMPARE(bench.files(), QStringList({ "one.qcow2", "two.img" }));
        QCOMPARE(bench.problem(), QString());
        QVERIFY(bench.library("trash").isEmpty());
    }

    void ofOneThatCannotBeReadTheUuidIsTold()
    {
        static std::string told;
        told.clear();
        Bench bench;
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        auto const removed = bench.store.removed().front().directory;
        REQUIRE_OK(writeWholeFile(removed + "/machine.json", vmm::bytesOf(std::string("nothing"))));
        std::filesystem::remove_all(Bench::past(removed));
        REQUIRE_OK(writeWholeFile(Bench::past(removed), vmm::bytesOf(std::string("no folder"))));
        auto const asBefore = qScopeGuard([] { vmm::setLogSink(nullptr); });
        vmm::setLogSink([](vmm::LogLevel, std::string_view, std::string_view text) { told += text; });
        REQUIRE_OK(bench.store.emptyTrash());
        QVERIFY2(told.find("the removed machine " + bench.machine.id + ":") != std::string::npos, told.c_str());
    }

    /// Another process was killed at it.
    void whatIsHalfEndedGoesNextTime()
    {
        Bench bench;
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        auto const trash = bench.directory.filePath("library/trash").toStdString();
        std::filesystem::rename(
            trash + "/" + bench.machine.id, trash + "/.ending-" + bench.machine.id + "." + vmm::makeUuid());
        QVERIFY(bench.store.removed().empty());
        REQUIRE_OK(bench.store.emptyTrash(3600)); // however fresh it is
        QCOMPARE(bench.kept(), std::size_t(0));
        QVERIFY(bench.library("trash").isEmpty());
    }

    void whatAnotherProcessEndsIsLeftToIt()
    {
        Bench bench;
        REQUIRE_OK(bench.store.remove(bench.machine.id));
        auto const trash = bench.directory.filePath("library/trash").toStdString();
        {
            auto const others = MachineLock::take(trash + "/" + bench.machine.id + "/machine.lock");
            REQUIRE_OK(others);
            std::filesystem::rename(
                trash + "/" + bench.machine.id, trash + "/.ending-" + bench.machine.id + "." + vmm::makeUuid());
            REQUIRE_OK(bench.store.emptyTrash());
            QCOMPARE(bench.library("trash").size(), 1);
            QCOMPARE(bench.kept(), std::size_t(1));
        }
        REQUIRE_OK(bench.store.emptyTrash());
        QVERIFY(bench.library("trash").isEmpty());
    }
};

REGISTER_SUITE(EndedMachineTest);
#include "ended_machine_test.moc"
