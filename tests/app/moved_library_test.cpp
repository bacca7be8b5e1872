#include "app/store/machine_store.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/folder_contents.h"
#include "tests/support/suite.h"
#include "vmm/machine/moment_disks.h"

#include <QTemporaryDir>
#include <algorithm>
#include <set>

using namespace app;
using tests::FakeMachine;

namespace {

/// A machine of a library, in this process; what its disks hold is a number.
struct Guest {
    MachineStore store;
    StoredMachine machine;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    std::unique_ptr<MachineRunner> runner;

    Guest(std::string const& root, std::string const& name) : store(root), machine(tests::must(store.find(name)))
    {
        runner
            = std::make_unique<MachineRunner>(machine.config, store.placesOf(machine.id), FakeMachine::factory(script));
    }
    template<typename Ask>
    vmm::Result<> wait(Ask ask) const
    {
        auto outcome = tests::answerOf(ask);
        runner->drain();
        return outcome;
    }
    std::string keep(std::string const& name) const
    {
        auto const moment = tests::must(
            tests::answerOf<vmm::timeline::Moment>([&](auto done) { runner->keepMoment({ .name = name }, done); }));
        runner->drain();
        return moment.id;
    }
    vmm::VmConfig config() const { return tests::must(store.load(machine.id)).config; }
    void write(std::uint8_t number) const
    {
        vmm::InlineEngine engine;
        for (auto const& disk : config().disks) {
            auto const image = tests::must(vmm::BlockImage::open(engine, disk.path, imageOptions(disk)));
            tests::must(image->writeSync(0, vmm::Bytes(512, number)));
            tests::must(image->flushSync());
        }
    }
    /// That of all disks; nothing where they differ.
    std::optional<std::uint8_t> number() const
    {
        vmm::InlineEngine engine;
        std::set<std::uint8_t> found;
        for (auto const& disk : config().disks) {
            vmm::Bytes sector(512);
            auto const image = tests::must(vmm::BlockImage::open(engine, disk.path, imageOptions(disk)));
            tests::must(image->readSync(0, sector));
            found.insert(sector[0]);
        }
        return found.size() == 1 ? std::optional(*found.begin()) : std::nullopt;
    }
};

std::vector<std::string> pathsOf(auto const& disks)
{
    std::vector<std::string> paths;
    for (auto const& disk : disks)
        paths.push_back(disk.path);
    return paths;
}

/// A library with the machine "web": moments of 1 and 2 without power; then it was started and suspended, with 3 on its
/// disks.
struct Past {
    QTemporaryDir directory;
    QString const root = directory.filePath("home/library");
    std::string one, two;

    Past()
    {
        MachineStore store(root.toStdString());
        MachineRequest request { tests::exampleConfig("web"),
            { { "disk0", 1u << 20, DiskFormat::Qcow2 }, { "disk1", 1u << 20, DiskFormat::Raw } } };
        request.config.disks = { { .id = "disk0" }, { .id = "disk1" } };
        tests::must(store.create(std::move(request)));
        Guest const guest(root.toStdString(), "web");
        guest.write(1);
        one = guest.keep("one");
        guest.write(2);
        two = guest.keep("two");
        guest.write(3);
        tests::must(guest.wait([&](auto done) { guest.runner->start(done); }));
        tests::must(guest.wait([&](auto done) { guest.runner->suspend(done); }));
    }
};

/// All that a person does with the machine's past, in a library at `root`.
void goOnIn(QString const& root, Past const& past)
{
    Guest const guest(root.toStdString(), "web");
    QVERIFY(guest.machine.isSuspended);
    QCOMPARE(guest.number(), std::uint8_t(3));
    REQUIRE_OK(guest.wait([&](auto done) { guest.runner->start(done); }));
    QVERIFY(guest.script->has("restore"));
    QCOMPARE(pathsOf(guest.script->last->config().disks), pathsOf(guest.config().disks));
    REQUIRE_OK(guest.wait([&](auto done) { guest.runner->powerOff(done); }));

    auto const fork = tests::must(MachineStore(guest.store).fork(guest.machine.id, past.two, "fork"));
    QVERIFY(
        std::ranges::all_of(fork.config.disks, [&](auto const& disk) { return guest.store.owns(fork.id, disk.path); }));
    QCOMPARE(Guest(root.toStdString(), "fork").number(), std::uint8_t(2));

    REQUIRE_OK(guest.wait([&](auto done) { guest.runner->goTo(past.one, MachineRunner::Present::Lose, done); }));
    QCOMPARE(guest.number(), std::uint8_t(1));
    REQUIRE_OK(guest.wait([&](auto done) { guest.runner->endMoment(past.two, done); }));
    auto const timeline = tests::must(guest.runner->timeline());
    QCOMPARE(timeline->moments().size(), 1u);
    QVERIFY(tests::must(timeline->verify()).empty());
    auto disks = timeline->moments().front().disks;
    QCOMPARE(disks.size(), 2u);
    // An overlay that stood on the other moment may be left over, until there is another one.
    for (auto const& loose : timeline->loose())
        disks.insert(disks.end(), loose.disks.begin(), loose.disks.end());
    for (auto const& disk : disks)
        QVERIFY(guest.store.owns(guest.machine.id, disk.path));
    QCOMPARE(guest.number(), std::uint8_t(1));
    // The fork does as its original.
    Guest const other(root.toStdString(), "fork");
    REQUIRE_OK(other.wait([&](auto done) { other.runner->start(done); }));
    QCOMPARE(other.number(), std::uint8_t(2));
}

}

/// A library that a person moves or copies works where it is then, and on nothing else.
class MovedLibraryTest final : public QObject {
    Q_OBJECT

private slots:
    void aCopyLeavesTheOriginalAlone()
    {
        Past const past;
        auto const copy = past.directory.filePath("backup/of the library");
        tests::copyFolder(past.root, copy);
        auto const before = tests::contentsOf(past.root);
        goOnIn(copy, past);
        if (QTest::currentTestFailed())
            return;
        QVERIFY(tests::contentsOf(past.root) == before);
        QVERIFY(QDir(copy).removeRecursively());
        goOnIn(past.root, past);
    }

    void aMovedOneGoesOn()
    {
        Past const past;
        auto const moved = past.directory.filePath("new home");
        QVERIFY(QDir().rename(past.root, moved));
        goOnIn(moved, past);
        QVERIFY(!QFile::exists(past.root));
    }

    /// It was put together under another name than it has.
    void aForkNamesItsOwnFiles()
    {
        Past const past;
        Guest const guest(past.root.toStdString(), "web");
        auto const fork = tests::must(MachineStore(guest.store).fork(guest.machine.id, past.two, "fork"));
        auto const moved = past.directory.filePath("new home");
        QVERIFY(QDir().rename(past.root, moved));
        Guest const other(moved.toStdString(), "fork");
        auto const moment = tests::must(other.runner->timeline())->moments().front();
        QCOMPARE(pathsOf(moment.disks), pathsOf(other.config().disks));
        auto const saved = tests::must(vmm::savedMachineAt(*tests::must(other.runner->timeline()), moment.id));
        QCOMPARE(pathsOf(saved.config.disks), pathsOf(other.config().disks));
    }
};

REGISTER_SUITE(MovedLibraryTest);
#include "moved_library_test.moc"
