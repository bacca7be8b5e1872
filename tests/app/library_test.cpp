#include "app/control/control_client.h"
#include "app/library/library.h"
#include "app/library/library_control.h"
#include "app/session/timeline_session.h"
#include "app/store/whole_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"

#include <QDir>
#include <QElapsedTimer>
#include <QFile>
#include <QPointer>
#include <QScopeGuard>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <algorithm>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <future>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>

using namespace app;
using tests::FakeMachine;

namespace {

MachineRequest request(char const* name, std::uint64_t diskBytes = 1u << 20, DiskFormat format = DiskFormat::Raw)
{
    MachineRequest made;
    made.config = tests::exampleConfig(name);
    made.config.uuid.clear();
    made.config.networks = { { "net0", {}, vmm::NetworkMode::User, {} } };
    made.config.disks.resize(1);
    made.config.disks[0].id = "disk0";
    made.newDisks = { { "disk0", diskBytes, format } };
    return made;
}

/// The threads on which it was copied: each runner has a factory of its own.
struct CopiedOn {
    std::shared_ptr<std::vector<std::thread::id>> threads = std::make_shared<std::vector<std::thread::id>>();

    CopiedOn() = default;
    CopiedOn(CopiedOn const& other) : threads(other.threads) { threads->push_back(std::this_thread::get_id()); }
    vmm::Result<> operator()(vmm::CpuFeatures const&) const { return {}; }
};

struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    MachineStore store { directory.path().toStdString() };
    Library library { directory.path(), FakeMachine::factory(script) };

    QString create(char const* name)
    {
        std::optional<vmm::Result<QString>> outcome;
        library.create(request(name), [&](vmm::Result<QString> made) { outcome = made; });
        return tests::becomes([&] { return outcome.has_value(); }) && *outcome ? **outcome : QString();
    }
    bool becomes(QString const& id, SessionState state)
    {
        return tests::becomes([&] { return library.session(id)->state() == state; });
    }
};

}

class LibraryTest : public QObject {
    Q_OBJECT
private slots:
    void aMachineIsMadeWithItsDiskAndFoundAgain()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const made = store.create(request("web", 3u << 20, DiskFormat::Qcow2));
        REQUIRE_OK(made);
        QCOMPARE(made->config.name, std::string("web"));
        QCOMPARE(made->config.disks[0].path, made->directory + "/disk0.qcow2");
        QVERIFY(QFile::exists(QString::fromStdString(made->config.disks[0].path)));
        QCOMPARE(made->config.networks[0].mac.size(), std::size_t(17));
        // Paths of its own are kept relative: the directory may be moved.
        auto const text = readWholeFile(made->directory + "/machine.json", 1u << 20);
        QVERIFY(text->find("\"disk0.qcow2\"") != std::string::npos);
        QCOMPARE(store.find("web")->id, made->id);
        QCOMPARE(store.find(made->id.substr(0, 6))->id, made->id);
        QCOMPARE(store.find("nobody").error().code, vmm::ErrorCode::NotFound);
    }

    void ofTwoOfOneNameNoneIsGuessed()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        REQUIRE_OK(store.create(request("twin")));
        REQUIRE_OK(store.create(request("twin")));
        QCOMPARE(store.find("twin").error().code, vmm::ErrorCode::InvalidArgument);
    }

    void whatCannotBeMadeLeavesNothing()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto wrong = request("wrong");
        wrong.config.networks[0].mac = "no mac";
        QVERIFY(!store.create(wrong));
        auto odd = request("odd", 1000, DiskFormat::Qcow2); // no multiple of a sector
        QVERIFY(!store.create(odd));
        QVERIFY(store.list().empty());
        QCOMPARE(QDir(QString::fromStdString(store.machinesDirectory()))
                     .entryList(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot)
                     .size(),
            0);
    }

    void changesOfTwoAtOnceAreBothKept()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString()), other(directory.path().toStdString());
        auto const made = store.create(request("web"));
        REQUIRE_OK(made);
        std::future<vmm::Result<>> renamed;
        REQUIRE_OK(store.change(made->id, [&](vmm::VmConfig& config) {
            config.notes = "noted";
            renamed = std::async(std::launch::async, [&] { return other.rename(made->id, "renamed"); });
            QCOMPARE(renamed.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout); // it waits for us
        }));
        REQUIRE_OK(renamed.get());
        auto const now = tests::must(store.load(made->id));
        QCOMPARE(now.config.name, std::string("renamed"));
        QCOMPARE(now.config.notes, std::string("noted"));
    }

    void aNameThatIsTakenGetsANumber()
    {
        Bench bench;
        QCOMPARE(bench.library.freeName("first"), "first");
        QVERIFY(!bench.create("first").isEmpty());
        QCOMPARE(bench.library.freeName("first"), "first 2");
        QVERIFY(!bench.create("first 2").isEmpty());
        QCOMPARE(bench.library.freeName("first"), "first 3");
    }

    void aCloneIsAMachineOfItsOwn()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const source = store.create(request("source"));
        REQUIRE_OK(source);
        QFile image(QString::fromStdString(source->config.disks[0].path));
        QVERIFY(image.open(QIODevice::ReadWrite));
        image.seek(500000);
        image.write("something");
        image.close();
        auto const clone = store.clone(source->id, "copy");
        REQUIRE_OK(clone);
        QVERIFY(clone->id != source->id);
        QVERIFY(clone->config.networks[0].mac != source->config.networks[0].mac);
        QFile copy(QString::fromStdString(clone->config.disks[0].path));
        QVERIFY(copy.open(QIODevice::ReadOnly));
        QCOMPARE(copy.size(), 1 << 20);
        copy.seek(500000);
        QCOMPARE(copy.read(9), QByteArray("something"));
    }

    void aCopyKeepsNobodyWaitingAndIsCancelledAlone()
    {
        vmm::UniqueFd writer; // is there until the library is gone, whatever fails
        Bench bench;
        auto const id = bench.create("large"), small = bench.create("small");
        // A disk of which nothing comes.
        auto const disk = bench.library.config(id).disks[0].path;
        QVERIFY(QFile::remove(QString::fromStdString(disk)));
        QCOMPARE(::mkfifo(disk.c_str(), 0600), 0);
        auto const goOn = qScopeGuard([&] { writer.reset(::open(disk.c_str(), O_RDWR | O_CLOEXEC)); });
        std::optional<vmm::Result<QString>> first, second;
        bench.library.clone(id, "first", [&](vmm::Result<QString> const& made) { first = made; });
        bench.library.clone(small, "second", [&](vmm::Result<QString> const& made) { second = made; });
        QTRY_VERIFY(MachineLock::owner(bench.store.placesOf(id.toStdString()).lockFile));
        QVERIFY(!bench.create("meanwhile").isEmpty());
        bench.library.cancelCopy();
        writer.reset(::open(disk.c_str(), O_RDWR | O_CLOEXEC));
        QTRY_VERIFY(first && second);
        QCOMPARE(first->error().code, vmm::ErrorCode::Cancelled);
        REQUIRE_OK(*second);
    }

    /// Emptying waits for copies, and what a person removes meanwhile was not in what they have agreed to.
    void whatIsRemovedWhileTheTrashWaitsToBeEmptiedStays()
    {
        vmm::UniqueFd writer; // is there until the library is gone, whatever fails
        Bench bench;
        auto const large = bench.create("large"), old = bench.create("old"), again = bench.create("again"),
                   young = bench.create("young");
        auto const disk = bench.library.config(large).disks[0].path;
        QVERIFY(QFile::remove(QString::fromStdString(disk)));
        QCOMPARE(::mkfifo(disk.c_str(), 0600), 0);
        auto const goOn = qScopeGuard([&] { writer.reset(::open(disk.c_str(), O_RDWR | O_CLOEXEC)); });
        for (auto const& id : { old, again })
            REQUIRE_OK(bench.store.remove(id.toStdString()));
        auto const listed = bench.store.removed();
        QCOMPARE(listed.size(), std::size_t(2));
        bench.library.clone(large, "copy", [](vmm::Result<QString> const&) {});
        QTRY_VERIFY(MachineLock::owner(bench.store.placesOf(large.toStdString()).lockFile));
        std::optional<vmm::Result<>> emptied;
        bench.library.emptyTrash(listed, [&](vmm::Result<> const& outcome) { emptied = outcome; });
        REQUIRE_OK(bench.store.remove(young.toStdString()));
        // One that has come back and was removed once more, a minute later.
        REQUIRE_OK(bench.store.restoreRemoved(again.toStdString()));
        REQUIRE_OK(bench.store.remove(again.toStdString()));
        timespec const later[2] = { { std::time(nullptr) + 60, 0 }, { std::time(nullptr) + 60, 0 } };
        auto const place = bench.directory.filePath("trash/" + again).toUtf8();
        QCOMPARE(::utimensat(AT_FDCWD, place.constData(), later, 0), 0);
        bench.library.cancelCopies();
        writer.reset(::open(disk.c_str(), O_RDWR | O_CLOEXEC));
        QTRY_VERIFY(emptied);
        REQUIRE_OK(*emptied);
        QStringList left;
        for (auto const& machine : bench.store.removed())
            left += QString::fromStdString(machine.config.name);
        QCOMPARE(left, (QStringList { "again", "young" }));
    }

    void removingCanBeUndone()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const made = store.create(request("precious"));
        REQUIRE_OK(made);
        REQUIRE_OK(store.remove(made->id));
        QVERIFY(store.list().empty());
        REQUIRE_OK(store.restoreRemoved(made->id));
        QCOMPARE(store.list().size(), std::size_t(1));
        REQUIRE_OK(store.remove(made->id));
        REQUIRE_OK(store.emptyTrash(3600)); // too young
        REQUIRE_OK(store.restoreRemoved(made->id));
        REQUIRE_OK(store.remove(made->id));
        REQUIRE_OK(store.emptyTrash());
        QVERIFY(!store.restoreRemoved(made->id));
    }

    void emptyingTheTrashTellsHowFarItIs()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        for (auto const* name : { "one", "another" })
            REQUIRE_OK(store.remove(tests::must(store.create(request(name))).id));
        std::vector<double> told;
        REQUIRE_OK(store.emptyTrash(0, [&](double part) {
            told.push_back(part);
            return true;
        }));
        QCOMPARE(told.front(), 0.0);
        QCOMPARE(told.back(), 0.5); // at the last file of the second
        QVERIFY(std::ranges::is_sorted(told));
    }

    void whatTheTrashStillHasWhenThatIsCancelledComesBack()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        for (auto const* name : { "one", "another" })
            REQUIRE_OK(store.remove(tests::must(store.create(request(name))).id));
        auto emptied = store.emptyTrash(0, [](double part) { return part < 0.5; });
        QVERIFY(!emptied && emptied.error().code == vmm::ErrorCode::Cancelled);
        auto const left = store.removed();
        QCOMPARE(left.size(), std::size_t(1));
        // Between two files of one machine, which cannot come back.
        int asked = 0;
        emptied = store.emptyTrash(0, [&](double) { return ++asked < 3; });
        QVERIFY(!emptied && emptied.error().code == vmm::ErrorCode::Cancelled);
        QVERIFY(store.removed().empty());
        QDir const trash(directory.filePath("trash"));
        auto const everything = QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot;
        QVERIFY(!trash.isEmpty(everything));
        REQUIRE_OK(store.emptyTrash(3600));
        QVERIFY(trash.isEmpty(everything));
    }

    void anImageThatIsRemovedAloneComesBack()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const made = tests::must(store.create(request("precious")));
        auto const path = made.config.disks[0].path;
        QFile image(QString::fromStdString(path));
        QVERIFY(image.open(QIODevice::ReadWrite));
        image.write("something");
        image.close();
        auto without = made.config;
        without.disks.clear();
        REQUIRE_OK(store.save(without, {}, { path }));
        QVERIFY(!image.exists());
        QCOMPARE(store.removed().size(), std::size_t(1)); // which others that stand on it are told
        QVERIFY(!store.removed()[0].problem);
        REQUIRE_OK(store.emptyTrash(3600)); // too young
        QVERIFY(store.removed()[0].isImages);
        REQUIRE_OK(store.restoreRemoved(store.removed()[0].place()));
        QVERIFY(image.open(QIODevice::ReadOnly));
        QCOMPARE(image.read(9), QByteArray("something"));
        image.close();
        QVERIFY(tests::must(store.load(made.id)).config.disks == made.config.disks);
        QVERIFY(store.removed().empty());

        auto const place = tests::must(store.save(without, {}, { path }));
        QCOMPARE(place, store.removed()[0].place());
        REQUIRE_OK(store.emptyTrash());
        QVERIFY(store.removed().empty());
        QCOMPARE(store.restoreRemoved(place).error().code, vmm::ErrorCode::NotFound);
    }

    /// Its name is another one's by now, which is not replaced.
    void anImageWhoseNameIsTakenComesBackUnderAnother()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const made = tests::must(store.create(request("precious")));
        auto const path = made.config.disks[0].path;
        REQUIRE_OK(writeWholeFile(path, vmm::bytesOf(std::string("something"))));
        auto without = made.config;
        without.disks.clear();
        auto const place = tests::must(store.save(without, {}, { path }));
        auto with = without;
        with.disks.resize(1);
        with.disks[0].id = "disk0";
        REQUIRE_OK(store.save(with, { { "disk0", 1u << 20, DiskFormat::Raw } }));
        REQUIRE_OK(store.restoreRemoved(place));
        auto const disks = tests::must(store.load(made.id)).config.disks;
        QCOMPARE(disks.size(), std::size_t(2));
        QCOMPARE(disks[0].path, path);
        QCOMPARE(disks[1].id, std::string("disk1"));
        QCOMPARE(disks[1].path, made.directory + "/disk0-2.img");
        QCOMPARE(tests::must(readWholeFile(disks[1].path, 100)), std::string("something"));
        QVERIFY(store.removed().empty());
    }

    void bringingImagesBackGoesOnWhereItWasCutOff()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto two = request("precious");
        two.config.disks.resize(2);
        two.config.disks[1].id = "disk1";
        two.newDisks.push_back({ "disk1", 1u << 20, DiskFormat::Raw });
        auto const made = tests::must(store.create(two));
        auto const first = made.config.disks[0].path, second = made.config.disks[1].path;
        auto without = made.config;
        without.disks.clear();
        auto const place = tests::must(store.save(without, {}, { first, second }));
        // The first one is back, and the second only in the configuration.
        auto const trash = directory.path().toStdString() + "/trash/" + place;
        QCOMPARE(::rename((trash + "/disk0.img").c_str(), first.c_str()), 0);
        REQUIRE_OK(store.save(made.config));
        REQUIRE_OK(store.restoreRemoved(place));
        QVERIFY(tests::must(store.load(made.id)).config.disks == made.config.disks);
        QVERIFY(QFile::exists(QString::fromStdString(first)));
        QVERIFY(QFile::exists(QString::fromStdString(second)));
        QVERIFY(store.removed().empty());
    }

    void whereImagesLieThatWentIntoTheTrashIsTold()
    {
        Bench bench;
        auto const id = bench.create("web");
        QSignalSpy told(&bench.library, &Library::imagesRemoved);
        auto const before = bench.library.config(id);
        auto without = before;
        without.disks.clear();
        bench.library.changeSettings(without, {}, { before.disks[0].path }, [](vmm::Result<> const&) {});
        QTRY_COMPARE(told.count(), 1);
        QCOMPARE(told[0][0].toString(), id);
        std::optional<vmm::Result<>> back;
        bench.library.bringBack(told[0][1].toString(), [&](vmm::Result<> const& outcome) { back = outcome; });
        QTRY_VERIFY(back);
        REQUIRE_OK(*back);
        QVERIFY(bench.library.config(id).disks == before.disks);
        without.disks = before.disks;
        without.disks[0].path = bench.directory.filePath("elsewhere.img").toStdString();
        std::optional<vmm::Result<>> saved;
        bench.library.changeSettings(without, {}, { "/elsewhere.img" }, [&](auto const& outcome) { saved = outcome; });
        QTRY_VERIFY(saved);
        QCoreApplication::processEvents();
        QCOMPARE(told.count(), 1); // nothing has moved
    }

    /// It came out of a bundle again after it was removed.
    void eachOfTwoRemovedAlikeComesBack()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const first = store.create(request("first"));
        REQUIRE_OK(first);
        REQUIRE_OK(store.remove(first->id));
        auto again = request("second");
        again.config.uuid = first->id;
        REQUIRE_OK(store.create(again));
        REQUIRE_OK(store.remove(first->id));
        auto const removed = store.removed();
        QCOMPARE(removed.size(), std::size_t(2));
        auto const older = std::ranges::find_if(removed, [](auto const& one) { return one.config.name == "first"; });
        QVERIFY(older != removed.end() && older->place() != first->id);
        REQUIRE_OK(store.restoreRemoved(older->place()));
        QCOMPARE(store.load(first->id)->config.name, std::string("first"));
        auto const refused = store.restoreRemoved(first->id);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, vmm::ErrorCode::AlreadyExists);
    }

    void whatCannotBeReadIsRemovedAndComesBack()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const made = store.create(request("broken"));
        REQUIRE_OK(made);
        REQUIRE_OK(writeWholeFile(made->directory + "/machine.json", vmm::bytesOf(std::string("nothing"))));
        REQUIRE_OK(store.remove(made->id));
        QVERIFY(store.removed().front().problem);
        REQUIRE_OK(store.restoreRemoved(made->id));
        QVERIFY(store.list().front().problem);
    }

    void whatWasRemovedLongAgoGoesWhenTheLibraryComes()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const old = store.create(request("old")), young = store.create(request("young"));
        REQUIRE_OK(store.remove(old->id));
        REQUIRE_OK(store.remove(young->id));
        auto const trash = directory.filePath("trash/");
        timespec const then[2]
            = { { std::time(nullptr) - 31 * 24 * 3600, 0 }, { std::time(nullptr) - 31 * 24 * 3600, 0 } };
        QCOMPARE(::utimensat(AT_FDCWD, (trash + QString::fromStdString(old->id)).toUtf8().constData(), then, 0), 0);
        Library library(directory.path(), FakeMachine::factory());
        QTRY_VERIFY(!QFile::exists(trash + QString::fromStdString(old->id)));
        QVERIFY(QFile::exists(trash + QString::fromStdString(young->id)));
        std::optional<quint64> before, after;
        library.trashUsage([&](vmm::Result<quint64> bytes) { before = *bytes; });
        QTRY_VERIFY(before);
        library.emptyTrash(store.removed(),
            [&](vmm::Result<> const&) { library.trashUsage([&](vmm::Result<quint64> bytes) { after = *bytes; }); });
        QTRY_VERIFY(after);
        QVERIFY(*before > 0);
        QCOMPARE(*after, 0u);
    }

    void whatWasHalfMadeIsSweptAwayUnlessItIsBeingMade()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        QDir const machines(QString::fromStdString(store.machinesDirectory()));
        auto const make = [&](char const* name, bool isOld) {
            QVERIFY(machines.mkpath(QString(".making-") + name));
            timespec const then[2] = { { std::time(nullptr) - 100, 0 }, { std::time(nullptr) - 100, 0 } };
            if (isOld)
                ::utimensat(AT_FDCWD, machines.filePath(QString(".making-") + name).toUtf8().constData(), then, 0);
        };
        make("young", false);
        make("locked", false);
        auto const lock = MachineLock::take(store.machinesDirectory() + "/.making-locked/machine.lock");
        REQUIRE_OK(lock);
        make("locked", true);
        make("left", true);
        store.sweepHalfMade();
        QVERIFY(machines.exists(".making-young"));
        QVERIFY(machines.exists(".making-locked"));
        QVERIFY(!machines.exists(".making-left"));
    }

    void whatIsBeingMadeIsLocked()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const source = store.create(request("source"));
        REQUIRE_OK(source);
        QVERIFY(!MachineLock::owner(store.placesOf(source->id).lockFile));
        bool isLocked = false;
        auto const clone = store.clone(source->id, "copy", [&](double) {
            for (auto const& entry : std::filesystem::directory_iterator(store.machinesDirectory())) {
                if (entry.path().filename().string().starts_with(".making-"))
                    isLocked = MachineLock::owner(entry.path() / "machine.lock").has_value();
            }
            return true;
        });
        REQUIRE_OK(clone);
        QVERIFY(isLocked);
    }

    void aRunningMachineIsNeitherRemovedNorCloned()
    {
        Bench bench;
        auto const id = bench.create("busy");
        bench.library.session(id)->start();
        QVERIFY(bench.becomes(id, SessionState::Running));
        std::optional<vmm::Result<>> removed;
        bench.library.remove(id, [&](vmm::Result<> const& refused) { removed = refused; });
        QTRY_VERIFY(removed);
        QCOMPARE(removed->error().code, vmm::ErrorCode::Busy);
        QCOMPARE(bench.store.clone(id.toStdString(), "copy").error().code, vmm::ErrorCode::Busy);
        std::optional<vmm::Result<>> outcome;
        bench.library.changeSettings(
            bench.library.config(id), {}, {}, [&](vmm::Result<> const& refused) { outcome = refused; });
        QTRY_VERIFY(outcome);
        QCOMPARE(outcome->error().code, vmm::ErrorCode::NotNow);
    }

    /// Before the settings of a machine change its past has what it was, if there is anything in it.
    void aMachineIsKeptBeforeItsSettingsChange()
    {
        Bench bench;
        auto const id = bench.create("web");
        auto const moments = [&] { return tests::must(bench.library.session(id)->runner()->timeline())->moments(); };
        auto const change = [&](vmm::VmConfig const& config, std::vector<std::string> const& unwanted = {}) {
            std::optional<vmm::Result<>> saved;
            bench.library.changeSettings(config, {}, unwanted, [&](auto const& outcome) { saved = outcome; });
            return tests::becomes([&] { return saved.has_value(); }) && *saved;
        };
        auto config = bench.library.config(id);
        config.cpus = 2;
        QVERIFY(change(config)); // its disk is empty
        QVERIFY(moments().empty());
        auto const path = config.disks[0].path;
        QFile disk(QString::fromStdString(path));
        QVERIFY(disk.open(QIODevice::WriteOnly));
        disk.write(QByteArray(4 << 20, 'x'));
        disk.close();
        config = bench.library.config(id);
        config.cpus = 3;
        QVERIFY(change(config));
        QCOMPARE(moments().size(), std::size_t(1));
        QCOMPARE(moments()[0].reason, vmm::timeline::Reason::BeforeChange);
        QCOMPARE(int(bench.library.config(id).cpus), 3);
        config = bench.library.config(id);
        config.notes = "three processors";
        QVERIFY(change(config)); // which is no change of the machine
        QCOMPARE(moments().size(), std::size_t(1));
        config.disks.clear(); // and its image goes into the trash
        QVERIFY(change(config, { path }) && !disk.exists());
        auto* const runner = bench.library.session(id)->runner().get();
        REQUIRE_OK(
            tests::answerOf([&](auto done) { runner->goTo(moments().at(1).id, MachineRunner::Present::Keep, done); }));
        QTRY_COMPARE(bench.library.config(id).disks.size(), std::size_t(1));
        QVERIFY(disk.exists());
    }

    void aRunningMachineIsKeptBeforeItsForwardsChange()
    {
        Bench bench;
        auto const id = bench.create("web");
        auto config = bench.library.config(id);
        config.networks = { { "net0", vmm::makeMac(), vmm::NetworkMode::User, {} } };
        std::optional<vmm::Result<>> saved;
        bench.library.changeSettings(config, {}, {}, [&](auto const& outcome) { saved = outcome; });
        QTRY_VERIFY(saved);
        bench.library.session(id)->start();
        QTRY_COMPARE(bench.library.session(id)->state(), SessionState::Running);
        bench.script->cpuNanoseconds = 5'000'000'000;
        auto const change = [&](vmm::VmConfig const& wanted) {
            saved.reset();
            bench.library.changeWhileInMemory(wanted, [&](auto const& outcome) { saved = outcome; });
            return tests::becomes([&] { return saved.has_value(); }) && *saved;
        };
        config.notes = "of no matter";
        QVERIFY(change(config));
        QVERIFY(!bench.script->has("keep before-change"));
        config.networks[0].forwards = { { vmm::Protocol::Tcp, "127.0.0.1", 2222, 22 } };
        QVERIFY(change(config));
        auto const& log = bench.script->log;
        QVERIFY(std::find(log.begin(), log.end(), "keep before-change")
            < std::find(log.begin(), log.end(), "forwards net0 1"));
        QCOMPARE(std::ranges::count(log, "keep before-change"), 1);
        bench.library.session(id)->pause();
        QTRY_COMPARE(bench.library.session(id)->state(), SessionState::Paused);
        bench.script->cpuNanoseconds += 5'000'000'000;
        config.networks[0].forwards.clear();
        QVERIFY(change(config));
        QCOMPARE(std::ranges::count(log, "keep before-change"), 2);
    }

    void thePolicyOfAMachineCanBeChanged()
    {
        Bench bench;
        auto const id = bench.create("web");
        vmm::timeline::Policy policy;
        policy.everyMinutes = 7;
        std::optional<vmm::Result<>> saved;
        bench.library.changePolicy(id, policy, [&](auto const& outcome) { saved = outcome; });
        QTRY_VERIFY(saved);
        REQUIRE_OK(*saved);
        QCOMPARE(tests::must(policyOf(bench.store.placesOf(id.toStdString()).timelineFolder)), policy);
        policy.everyMinutes = 0;
        saved.reset();
        bench.library.changePolicy(id, policy, [&](auto const& outcome) { saved = outcome; });
        QTRY_VERIFY(saved);
        QCOMPARE(saved->error().code, vmm::ErrorCode::InvalidArgument);
    }

    void changesAreWrittenInTheirOrderWhileNobodyWaits()
    {
        Bench bench;
        auto const id = bench.create("web");
        int written = 0;
        auto const count = [&](vmm::Result<> const& outcome) { written += outcome ? 1 : 100; };
        auto config = bench.library.config(id);
        config.cpus = 2;
        bench.library.changeSettings(config, {}, {}, count);
        bench.library.changeNotes(id, "for the web", count);
        bench.library.rename(id, "first", count);
        bench.library.rename(id, "last", count);
        QCOMPARE(written, 0);
        QCOMPARE(bench.store.load(id.toStdString())->config.uuid, id.toStdString()); // whole at any time
        QTRY_COMPARE(written, 4);
        auto const stored = bench.store.load(id.toStdString());
        QCOMPARE(stored->config.name, std::string("last"));
        QCOMPARE(stored->config.notes, std::string("for the web"));
        QCOMPARE(int(stored->config.cpus), 2);
        QVERIFY(bench.library.config(id) == stored->config);
        QCOMPARE(bench.library.session(id)->config().name, std::string("last"));
    }

    void aNameThatIsTakenIsRefused()
    {
        Bench bench;
        auto const id = bench.create("web");
        bench.create("mail");
        std::optional<vmm::Result<>> renamed;
        bench.library.rename(id, "mail", [&](vmm::Result<> const& outcome) { renamed = outcome; });
        QTRY_VERIFY(renamed);
        QCOMPARE(renamed->error().code, vmm::ErrorCode::AlreadyExists);
        QCOMPARE(bench.store.load(id.toStdString())->config.name, std::string("web"));
        renamed.reset();
        bench.library.rename(id, "web", [&](vmm::Result<> const& outcome) { renamed = outcome; }); // its own
        QTRY_VERIFY(renamed);
        REQUIRE_OK(*renamed);
    }

    void whatIsAskedForLastIsWrittenThoughTheLibraryGoes()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const made = store.create(request("before"));
        REQUIRE_OK(made);
        Library(directory.path(), FakeMachine::factory())
            .rename(QString::fromStdString(made->id), "after", [](vmm::Result<> const&) {});
        QCOMPARE(store.load(made->id)->config.name, std::string("after"));
    }

    void brokenFilesAreShownWithTheirProblem_data()
    {
        QTest::addColumn<QByteArray>("contents");
        QTest::newRow("empty") << QByteArray();
        QTest::newRow("no JSON") << QByteArray("{\"kind\": ");
        QTest::newRow("another kind") << QByteArray("{\"kind\":\"x\",\"version\":1,\"state\":{}}");
        QTest::newRow("deep") << QByteArray(100000, '[');
        QTest::newRow("binary") << QByteArray(4096, '\0');
        QTest::newRow("huge") << QByteArray(5 << 20, ' ');
    }
    void brokenFilesAreShownWithTheirProblem()
    {
        QFETCH(QByteArray, contents);
        Bench bench;
        auto const id = bench.create("fine");
        REQUIRE_OK(writeWholeFile(bench.store.directoryOf(id.toStdString()) + "/machine.json",
            { reinterpret_cast<std::uint8_t const*>(contents.constData()), std::size_t(contents.size()) }));
        QTRY_VERIFY(bench.library.entry(id)->problem.has_value());
        Library again(bench.directory.path(), FakeMachine::factory());
        QCOMPARE(again.ids(), QStringList { id });
        QVERIFY(again.session(id) == nullptr);
    }

    /// What a machine in memory has become is not lost in silence.
    void aChangeThatCannotBeKeptIsTold()
    {
        Bench bench;
        auto const id = bench.create("web");
        auto const runner = bench.library.runners().front();
        bench.library.session(id)->start();
        QVERIFY(bench.becomes(id, SessionState::Running));
        QSignalSpy lost(&bench.library, &Library::notKept);
        auto const network = runner->config().networks[0].id;
        runner->setConnected(network, false);
        QTRY_VERIFY(!bench.store.find("web")->config.networks[0].connected);
        QCOMPARE(lost.count(), 0);
        REQUIRE_OK(writeWholeFile(
            bench.store.directoryOf(id.toStdString()) + "/machine.json", vmm::bytesOf(std::string("nothing"))));
        runner->setConnected(network, true);
        QTRY_COMPARE(lost.count(), 1);
        QCOMPARE(lost[0][0].toString(), id);
        QVERIFY(!lost[0][1].value<vmm::Error>().message().empty());
    }

    void theLibrarySeesWhatOthersDo()
    {
        Bench bench;
        QSignalSpy added(&bench.library, &Library::machineAdded);
        QSignalSpy changed(&bench.library, &Library::machineChanged);
        QSignalSpy removed(&bench.library, &Library::machineRemoved);
        MachineStore other(bench.directory.path().toStdString());
        auto const made = other.create(request("new"));
        REQUIRE_OK(made);
        QVERIFY(added.wait(tests::waitLimit));
        auto const id = QString::fromStdString(made->id);
        REQUIRE_OK(other.rename(made->id, "renamed"));
        QVERIFY(changed.wait(tests::waitLimit));
        QCOMPARE(bench.library.entry(id)->name, QString("renamed"));
        REQUIRE_OK(other.remove(made->id));
        QVERIFY(removed.wait(tests::waitLimit));
        QVERIFY(bench.library.ids().isEmpty());
    }

    /// Also in the instant between taking it and saying so; or what is asked of our own machine then is refused, as
    /// that of another process.
    void whoHasALockIsKnownAtAnyInstant()
    {
        Bench bench;
        auto const path = bench.directory.filePath("lock").toStdString();
        std::atomic<bool> goesOn = true;
        std::thread taker([&] {
            while (goesOn) {
                // What one leaves that was killed.
                vmm::ignore(writeWholeFile(path, vmm::bytesOf("4194303\n"), Durable::No));
                auto const lock = MachineLock::take(path);
            }
        });
        int seen = 0;
        std::optional<pid_t> wrong;
        QElapsedTimer timer;
        for (timer.start(); seen < 1000 && !wrong && timer.elapsed() < 20000;) {
            auto const owner = MachineLock::owner(path);
            if (owner && *owner != ::getpid())
                wrong = owner;
            seen += owner.has_value();
        }
        goesOn = false;
        taker.join();
        QVERIFY2(!wrong, qPrintable(QString::number(wrong.value_or(0))));
        QVERIFY(seen > 0);
    }

    void aMachineOfAnotherProcessIsShownWithItsPid()
    {
        Bench bench;
        auto const id = bench.create("elsewhere");
        auto const path = bench.store.placesOf(id.toStdString()).lockFile;
        auto const child = ::fork();
        if (child == 0) {
            auto const lock = MachineLock::take(path);
            ::pause();
            ::_exit(lock ? 0 : 1);
        }
        QTRY_VERIFY(bench.library.entry(id)->otherOwner.has_value());
        QTRY_COMPARE(*bench.library.entry(id)->otherOwner, qint64(child));
        // Whoever dies lets go.
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        QTRY_VERIFY(!bench.library.entry(id)->otherOwner);
    }

    void whoHasAMachineIsAskedToSuspendIt()
    {
        Bench bench;
        qputenv("XDG_RUNTIME_DIR", bench.directory.path().toUtf8());
        auto const unset = qScopeGuard([] { qunsetenv("XDG_RUNTIME_DIR"); });
        auto const id = bench.create("elsewhere");
        std::optional<vmm::Result<>> asked;
        auto const ask = [&] {
            asked.reset();
            bench.library.suspendElsewhere(id, [&](vmm::Result<> const& outcome) { asked = outcome; });
            return tests::becomes([&] { return asked.has_value(); });
        };
        QVERIFY(ask());
        QCOMPARE(asked->error().code, vmm::ErrorCode::NotFound);
        {
            // Nor is it we, who serve it as one that is off.
            LibraryControl const control(bench.library, control::runtimeDirectory());
            QVERIFY(ask());
            QCOMPARE(asked->error().code, vmm::ErrorCode::NotFound);
        }
        auto const script = std::make_shared<FakeMachine::Script>();
        auto const runner = std::make_shared<MachineRunner>(
            bench.library.config(id), bench.store.placesOf(id.toStdString()), FakeMachine::factory(script));
        auto const server = tests::must(control::ControlServer::start(control::runtimeDirectory(), "test"));
        server->setRunners({ runner });
        runner->start();
        QTRY_COMPARE(runner->state(), SessionState::Running);
        // While it takes its time, nobody else here waits; and that it fails in the end is told.
        script->holdSuspend = true;
        asked.reset();
        bench.library.suspendElsewhere(id, [&](vmm::Result<> const& outcome) { asked = outcome; });
        QTRY_COMPARE(runner->state(), SessionState::Suspending);
        QVERIFY(!bench.create("meanwhile").isEmpty());
        QVERIFY(!asked);
        runner->cancelJob();
        QTRY_VERIFY(asked);
        QCOMPARE(asked->error().code, vmm::ErrorCode::Cancelled);
        script->holdSuspend = false;
        QTRY_COMPARE(runner->state(), SessionState::Running);
        QVERIFY(ask());
        REQUIRE_OK(*asked);
        QCOMPARE(runner->state(), SessionState::Suspended);
        QVERIFY(bench.becomes(id, SessionState::Suspended));
    }

    void itsMachinesAreDrivenFromOutside()
    {
        Bench bench;
        auto const first = bench.create("first");
        auto const directory = bench.directory.filePath("run").toStdString();
        LibraryControl const control(bench.library, directory);
        auto const second = bench.create("second");
        for (auto const& id : { first, second }) {
            auto client = control::connectToOwner(directory, id.toStdString());
            REQUIRE_OK(client);
            REQUIRE_OK(client->call("machine.start", { { "machine", id.toStdString() } }));
            QVERIFY(bench.becomes(id, SessionState::Running));
        }
    }

    void theRunnerOfAMachineThatAppearsIsMadeOnAnotherThread()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        CopiedOn copied;
        auto factory = FakeMachine::factory();
        factory.checkHost = copied;
        Library const library(directory.path(), factory);
        copied.threads->clear();
        REQUIRE_OK(store.create(request("web")));
        QTRY_COMPARE(library.ids().size(), 1);
        QVERIFY(!copied.threads->empty());
        QCOMPARE(std::ranges::count(*copied.threads, std::this_thread::get_id()), 0);
    }

    void whatAMachineIsAtThatGoesKeepsNobodyWaiting()
    {
        std::promise<void> release;
        std::atomic<bool> isHeld = false, isOver = false;
        Bench bench;
        auto const id = bench.create("web");
        QPointer const session(bench.library.session(id));
        session->runner()->changeTimeline([&](vmm::timeline::Timeline&) {
            isHeld = true;
            release.get_future().wait_for(std::chrono::seconds(20) * tests::patience());
            isOver = true;
            return vmm::Result<>();
        });
        QTRY_VERIFY(isHeld);
        session->timeline().open(); // reads it, for which the runner is waited for
        QVERIFY(QDir(bench.directory.filePath("machines/" + id)).removeRecursively());
        QTRY_VERIFY_WITH_TIMEOUT(session.isNull(), 15'000 * tests::patience());
        QVERIFY(!isOver);
        release.set_value();
    }

    void theLastPictureIsOpaque()
    {
        Bench bench;
        auto const id = bench.create("seen");
        Picture const painted { 2, 1, { 0xff102030, 0xff405060 } };
        REQUIRE_OK(writePicture(painted, bench.store.thumbnailOf(id.toStdString())));
        std::optional<vmm::Result<Picture>> found;
        bench.library.lastPicture(id, [&](vmm::Result<Picture> picture) { found = picture; });
        QTRY_VERIFY(found);
        REQUIRE_OK(*found);
        QCOMPARE((*found)->pixels, painted.pixels);
    }

    void theFirstPictureIsOfAScreenThatHasComeLater()
    {
        Bench bench;
        auto const id = bench.create("seen");
        auto const change = [&](std::vector<vmm::DisplayConfig> const& displays) {
            auto config = bench.library.config(id);
            config.displays = displays;
            std::optional<vmm::Result<>> saved;
            bench.library.changeSettings(config, {}, {}, [&](auto const& outcome) { saved = outcome; });
            return tests::becomes([&] { return saved.has_value(); }) && *saved;
        };
        QVERIFY(change({}));
        Library again(bench.directory.path(), FakeMachine::factory());
        QVERIFY(change({ { "display1" } }));
        QTRY_COMPARE(again.config(id).displays.size(), std::size_t(1));
        again.session(id)->start();
        QTRY_VERIFY(QFile::exists(QString::fromStdString(bench.store.thumbnailOf(id.toStdString()))));
    }

    void aMediumIsKeptForTheNextStart()
    {
        Bench bench;
        auto const id = bench.create("with cd");
        bench.library.session(id)->insertMedium("cd0", "/tmp/some.iso");
        QTRY_COMPARE(bench.store.load(id.toStdString())->config.cds[0].path, std::string("/tmp/some.iso"));
    }
};

REGISTER_SUITE(LibraryTest);
#include "library_test.moc"
