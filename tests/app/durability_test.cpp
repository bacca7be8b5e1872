#include "app/runner/machine_runner.h"
#include "app/store/machine_store.h"
#include "app/store/whole_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"

#include <QDir>
#include <QTemporaryDir>
#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <functional>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

using namespace app;
using tests::FakeMachine;

namespace {

/// The file system that the calls at the end of this file make of the host's.
struct FileSystem {
    std::mutex mutex;
    std::vector<std::string> synced;
    std::function<void(std::string const&)> onSync;
    std::atomic<bool> sharesBlocks = false, sharesNoBlocks = false, lacksNoReplace = false;

    bool hasSynced(std::string const& path)
    {
        std::lock_guard const guard(mutex);
        return std::find(synced.begin(), synced.end(), path) != synced.end();
    }
    void tellOfSyncs(std::function<void(std::string const&)> heard)
    {
        std::lock_guard const guard(mutex);
        onSync = std::move(heard);
    }
    void forget()
    {
        std::lock_guard const guard(mutex);
        synced.clear();
        onSync = {};
    }
};

FileSystem& fileSystem()
{
    static FileSystem one;
    return one;
}

MachineRequest request(char const* name)
{
    MachineRequest made;
    made.config = tests::exampleConfig(name);
    made.config.disks.resize(1);
    made.config.disks[0].id = "disk0";
    made.newDisks = { { "disk0", 1u << 20, DiskFormat::Raw } };
    return made;
}

}

/// What is promised to be there after a power cut is on the disk in time, on file systems of every kind.
class DurabilityTest : public QObject {
    Q_OBJECT
private slots:
    void cleanup()
    {
        fileSystem().sharesBlocks = false;
        fileSystem().sharesNoBlocks = false;
        fileSystem().lacksNoReplace = false;
        fileSystem().forget();
    }

    void aStateThatIsUsedUpIsGoneBeforeTheGuestRuns()
    {
        QTemporaryDir directory;
        auto const script = std::make_shared<FakeMachine::Script>();
        auto const state = directory.filePath("state").toStdString();
        MachineRunner runner(tests::exampleConfig(), { state, {} }, FakeMachine::factory(script));
        runner.start();
        QTRY_COMPARE(runner.state(), SessionState::Running);
        runner.suspend();
        QTRY_COMPARE(runner.state(), SessionState::Suspended);
        fileSystem().tellOfSyncs([script](std::string const& path) { script->note("sync " + path); });
        runner.start();
        QTRY_VERIFY(script->has("resume"));
        std::lock_guard const guard(script->mutex);
        auto const resumed = std::ranges::find(script->log, "resume");
        QVERIFY(std::find(script->log.begin(), resumed, "sync " + state) != resumed);
    }

    void whatIsMadeIsInItsDirectoryForGood()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const made = store.create(request("made"));
        REQUIRE_OK(made);
        QVERIFY(fileSystem().hasSynced(store.machinesDirectory()));
        fileSystem().forget();
        REQUIRE_OK(store.clone(made->id, "copy"));
        QVERIFY(fileSystem().hasSynced(store.machinesDirectory()));
    }

    void sharedBlocksAreWrittenToo()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const made = store.create(request("made"));
        REQUIRE_OK(made);
        fileSystem().forget();
        fileSystem().sharesBlocks = true;
        auto const copy = store.clone(made->id, "copy");
        REQUIRE_OK(copy);
        QVERIFY(fileSystem().hasSynced(store.machinesDirectory() + "/.making-" + copy->id + "/disk0.img"));
    }

    void aCancelledCloneLeavesNothing()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        auto const source = store.create(request("source"));
        REQUIRE_OK(source);
        REQUIRE_OK(writeWholeFile(source->config.disks[0].path, vmm::bytesOf(std::string(1 << 20, 'x'))));
        fileSystem().sharesNoBlocks = true; // else there is nothing to wait for
        auto const clone = store.clone(source->id, "copy", [](double) { return false; });
        QVERIFY(!clone);
        QCOMPARE(clone.error().code, vmm::ErrorCode::Cancelled);
        QCOMPARE(QDir(QString::fromStdString(store.machinesDirectory()))
                     .entryList(QDir::AllEntries | QDir::Hidden | QDir::NoDotAndDotDot),
            QStringList(QString::fromStdString(source->id)));
    }

    void machinesMoveWhereNothingIsKeptFromBeingReplaced()
    {
        QTemporaryDir directory;
        MachineStore store(directory.path().toStdString());
        fileSystem().lacksNoReplace = true;
        auto const made = store.create(request("made"));
        REQUIRE_OK(made);
        auto again = request("again");
        again.config.uuid = made->id;
        QVERIFY(!store.create(again));
        QCOMPARE(store.load(made->id)->config.name, std::string("made"));
        REQUIRE_OK(store.remove(made->id));
        REQUIRE_OK(store.restoreRemoved(made->id));
    }
};

// In place of libc's, for the whole program.
extern "C" {

int fsync(int fd)
{
    char name[4096] {};
    auto const link = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(link.c_str(), name, sizeof name - 1) > 0) {
        std::lock_guard const guard(fileSystem().mutex);
        fileSystem().synced.emplace_back(name);
        if (fileSystem().onSync)
            fileSystem().onSync(name);
    }
    return static_cast<int>(::syscall(SYS_fsync, fd));
}

int ioctl(int fd, unsigned long request, ...) noexcept
{
    va_list list;
    va_start(list, request);
    auto* const argument = va_arg(list, void*);
    va_end(list);
    // Only the call is looked at: what the copy has in it, other tests do.
    if (request == FICLONE && fileSystem().sharesBlocks)
        return 0;
    if (request == FICLONE && fileSystem().sharesNoBlocks) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_ioctl, fd, request, argument));
}

int renameat2(int fromDirectory, char const* from, int toDirectory, char const* to, unsigned flags) noexcept
{
    if (flags != 0 && fileSystem().lacksNoReplace) {
        errno = EINVAL;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_renameat2, fromDirectory, from, toDirectory, to, flags));
}
}

REGISTER_SUITE(DurabilityTest);
#include "durability_test.moc"
