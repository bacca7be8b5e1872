#include "app/store/machine_store.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/image.h"
#include "vmm/machine/machine.h"

#include <QDir>
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

    Bench()
    {
        std::filesystem::create_directories(disks);
        tests::must(vmm::createImage(qcow2, { .size = mib }));
        tests::must(vmm::createImage(raw, { .format = vmm::ImageFormat::Raw, .size = mib }));
        MachineRequest request;
        request.config = tests::exampleConfig("web");
        request.config.uuid.clear();
        request.config.disks = { { .id = "disk0", .path = qcow2, .format = DiskFormat::Qcow2 },
            { .id = "disk1", .path = raw, .format = DiskFormat::Raw } };
        machine = tests::must(store.create(std::move(request)));
        auto const timeline
            = tests::must(vmm::timeline::Timeline::open(tests::must(vmm::timeline::openFolder(past(machine.directory))),
                vmm::timeline::Timeline::Access::ReadWrite));
        tests::must(vmm::Machine::keepOff(machine.config, *timeline, {}));
    }
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
