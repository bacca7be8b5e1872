#include "app/store/moment_bundles.h"
#include "app/store/whole_file.h"
#include "tests/support/still_machine.h"
#include "tests/support/suite.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/moment_export.h"

#include <QTemporaryDir>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

using namespace app;
using namespace vmm;
using namespace vmm::timeline;
using tests::StillMachine;

extern "C" {
/// A system call that the filter below lets through, since it is made here.
long permittedCall(long number, long a, long b, long c, long d, long e, long f);
extern char const permittedCallDone;
}
asm(R"(
    .pushsection .text
    .globl permittedCall, permittedCallDone
permittedCall:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    mov %r8, %r10
    mov %r9, %r8
    mov 8(%rsp), %r9
    syscall
permittedCallDone:
    ret
    .popsection
)");

namespace {

namespace fs = std::filesystem;

/// What changes files or makes them, and what makes them durable. Not what removes them: what has failed must be able
/// to tidy up.
constexpr auto changingCalls = std::to_array<unsigned>({ SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_pwritev2,
    SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_fallocate, SYS_copy_file_range, SYS_sendfile, SYS_rename, SYS_renameat,
    SYS_renameat2, SYS_link, SYS_linkat, SYS_mkdir, SYS_mkdirat, SYS_open, SYS_openat, SYS_ioctl });

/// Of the process, after faultsBegin().
struct Faults {
    std::atomic<unsigned> calls = 0; ///< that changed files, so far
    unsigned strikeAt = ~0u;         ///< that call fails …
    bool stays = false;              ///< … and so do all after it
    int error = EIO;
    bool hasStruck() const { return calls > strikeAt; }
    bool strikes() { return stays ? calls++ >= strikeAt : calls++ == strikeAt; }
} faults;

bool isOfAFile(long number, greg_t const* registers)
{
    auto const argument = [&](int which) { return static_cast<unsigned long>(registers[which]); };
    switch (number) {
    case SYS_rename:
    case SYS_renameat:
    case SYS_renameat2:
    case SYS_link:
    case SYS_linkat:
    case SYS_mkdir:
    case SYS_mkdirat: return true;
    case SYS_open: return (argument(REG_RSI) & O_CREAT) != 0;
    case SYS_openat: return (argument(REG_RDX) & O_CREAT) != 0;
    case SYS_ioctl:
        if (argument(REG_RSI) != FICLONE)
            return false;
    }
    struct stat status { };
    return ::fstat(int(argument(REG_RDI)), &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

void onChangingCall(int, siginfo_t* info, void* context)
{
    auto const before = errno;
    auto* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    long const number = info->si_syscall;
    registers[REG_RAX] = isOfAFile(number, registers) && faults.strikes()
        ? -faults.error
        : permittedCall(number, registers[REG_RDI], registers[REG_RSI], registers[REG_RDX], registers[REG_R10],
            registers[REG_R8], registers[REG_R9]);
    errno = before;
}

/// From now on every call that changes a file comes to us first, whoever makes it. There is no way back, and no
/// io_uring, whose transfers are no calls.
bool faultsBegin()
{
    struct sigaction action { };
    action.sa_sigaction = &onChangingCall;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    ::sigaction(SIGSYS, &action, nullptr);
    auto const done = reinterpret_cast<std::uintptr_t>(&permittedCallDone);
    constexpr std::uint32_t pointer = offsetof(seccomp_data, instruction_pointer);
    std::vector<sock_filter> filter {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, pointer),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, std::uint32_t(done), 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, pointer + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, std::uint32_t(done >> 32), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    for (auto const number : changingCalls) {
        filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
        filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
    }
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog const program { static_cast<unsigned short>(filter.size()), filter.data() };
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

constexpr unsigned numberNow = 40; ///< what the disks hold, after the moments 10, 20 and 30

/// Something that is done with a machine's past, and what must hold whether it could be done or not.
struct Work {
    StillMachine const& machine;
    std::shared_ptr<Timeline> timeline = machine.open();
    std::vector<Moment> moments = timeline->moments();
    MachineStore store { machine.folder + "/library" };
    std::string const exported = machine.folder + "/exported", bundle = machine.folder + "/it.bundle",
                      suspended = machine.folder + "/suspended";

    Result<> keep() { return only(Machine::keepOff(machine.config, *timeline, { .name = std::to_string(numberNow) })); }
    Result<> go() { return only(Machine::goToOff(timeline, moments[0].id)); }
    Result<> endAndMerge()
    {
        if (timeline->moment(moments[1].id))
            TRY(timeline->purge(moments[1].id));
        return machine.tidy(*timeline);
    }
    Result<> exportDirectory() { return exportMoment(timeline, moments[1].id, exported, ExportFiles::All, {}); }
    Result<> exportOneFile() { return exportBundleFile(store, timeline, moments[1].id, bundle); }
    Result<> import()
    {
        auto const file = TRY(openFile(machine.folder + "/other.bundle", O_RDONLY));
        return only(importBundle(store, file.get(), "imported", [](auto const&) { return Result<>(); }));
    }

    Result<> suspend() { return writeState(suspended, "new"); }

    /// All that replacing a state asks of one.
    static Result<> writeState(std::string const& directory, std::string_view text)
    {
        return replaceDirectory(directory, [text](std::string const& fresh) -> Result<> {
            TRY(writeFileSynced(fresh + "/ram", text));
            return writeFileSynced(fresh + "/state.json", text);
        });
    }

    template<typename T>
    static Result<> only(Result<T> const& result)
    {
        return result ? Result<>() : fail(result.error());
    }

    /// The first thing that is not as it must be.
    QString problem(bool isDone) const
    {
        std::set<std::string> ids { moments[0].id, moments[2].id };
        if (auto const found = machine.problem(timeline, ids); !found.isEmpty())
            return found;
        // Where its disks were on their way it is not at rest yet.
        auto const now = timeline->goingTo().empty() && timeline->present() != moments[0].id
            ? machine.differenceNow(numberNow)
            : QString();
        if (!now.isEmpty())
            return "now " + now;
        if (fs::exists(exported)) {
            if (auto const found = StillMachine::problemOfExport(exported); !found.isEmpty())
                return "exported: " + found;
        }
        auto const state = readWholeFile(suspended + "/state.json", 100).value_or("");
        // Where nothing can be written any more a state cannot change its place again.
        if (state != "old" && (state != "new" || (!isDone && !faults.stays)))
            return "the saved state is another one, or none";
        for (auto const& one : store.list()) {
            if (one.problem)
                return QString::fromStdString(one.problem->message());
        }
        if (isDone)
            return {};
        // What is half made goes with whoever failed, but for what the next one of the machine's takes away.
        if (fs::exists(exported) || fs::exists(bundle) || !store.list().empty())
            return "it failed, and is there";
        for (auto const& entry : fs::recursive_directory_iterator(machine.folder)) {
            auto const name = entry.path().filename().string();
            if (name.starts_with(".making-") || name.ends_with(".part") || name.starts_with("exported."))
                return QString::fromStdString("left over: " + entry.path().string());
        }
        return {};
    }
};

using Operation = Result<> (Work::*)();

/// What happened in the process where that call failed, once and then no more, or with all after it; empty: nothing
/// that should not. `hasStruck`: there was such a call.
QString strike(StillMachine const& machine, Operation operation, unsigned at, bool stays, bool& hasStruck)
{
    std::array<int, 2> pipe {};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        qFatal("no pipe");
    auto const child = ::fork();
    if (child == 0) {
        auto const story = [&]() -> QString {
            Work work { machine };
            if (!faultsBegin())
                ::_exit(3);
            faults.stays = stays;
            faults.error = at % 3 == 0 ? EIO : ENOSPC;
            faults.calls = 0;
            faults.strikeAt = at;
            auto const outcome = (work.*operation)();
            hasStruck = faults.hasStruck();
            faults.strikeAt = ~0u;
            if (!outcome && !hasStruck)
                return QString::fromStdString(outcome.error().message());
            if (auto const found = work.problem(outcome.has_value()); !found.isEmpty())
                return found;
            if (outcome)
                return {};
            // It goes on, and does it then.
            if (auto const again = (work.*operation)(); !again)
                return QString::fromStdString("again: " + again.error().message());
            auto const found = work.problem(true);
            return found.isEmpty() ? QString() : "again: " + found;
        }();
        auto const said = (hasStruck ? "!" : ".") + story.toStdString();
        bool const isTold = ::write(pipe[1], said.data(), said.size()) == ssize_t(said.size());
        ::_exit(isTold ? 0 : 1);
    }
    ::close(pipe[1]);
    QByteArray said;
    std::array<char, 512> some {};
    for (ssize_t got; (got = ::read(pipe[0], some.data(), some.size())) > 0;)
        said.append(some.data(), got);
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    hasStruck = said.startsWith('!');
    return status == 0 ? QString::fromUtf8(said.mid(1)) : QStringLiteral("it ended as %1").arg(status);
}

}

/// Each call that changes a file fails once, or from then on, with an I/O error or a full disk, while a machine's
/// disks are kept, taken back and merged, and while its past travels: what was there is there, nothing half made
/// counts, and the next try does it.
class WriteFaultsTest final : public QObject {
    Q_OBJECT

private slots:
    void everyCallCanFail_data()
    {
        QTest::addColumn<int>("operation");
        for (int i = 0; i < int(operations.size()); ++i)
            QTest::newRow(operations[unsigned(i)].name) << i;
    }

    void everyCallCanFail()
    {
        QFETCH(int, operation);
        auto const [name, tried, changesDisks] = operations[unsigned(operation)];
        QTemporaryDir directory;
        auto const path = directory.path().toStdString();
        // Paths are in what is kept, so it is made where it is worked on, and put back each time.
        StillMachine const machine(path + "/machine");
        fs::create_directories(machine.folder + "/library/machines");
        tests::must(Work::writeState(machine.folder + "/suspended", "old"));
        machine.make();
        {
            auto const timeline = machine.open();
            for (auto const number : { 10u, 20u, 30u })
                tests::must(machine.keep(*timeline, number));
            MachineStore const store(machine.folder + "/library");
            tests::must(
                exportBundleFile(store, timeline, timeline->moments().front().id, machine.folder + "/other.bundle"));
            machine.write(numberNow);
        }
        fs::copy(machine.folder, path + "/before", fs::copy_options::recursive);
        unsigned at = 0;
        bool stays = true;
        for (bool hasStruck = true; hasStruck; at += stays || changesDisks ? 1 : 0) {
            // Both ways at each call where that takes little, else the one and the other in turn.
            stays = !stays;
            auto const wrong = strike(machine, tried, at, stays, hasStruck);
            QVERIFY2(wrong.isEmpty(), qPrintable(QStringLiteral("call %1: %2").arg(at).arg(wrong)));
            // As the next process finds it.
            auto const timeline = machine.open();
            machine.comeToRest(timeline);
            auto const found = machine.problem(timeline, {});
            QVERIFY2(found.isEmpty(), qPrintable(QStringLiteral("after call %1: %2").arg(at).arg(found)));
            putBack(path + "/before", machine.folder, changesDisks);
        }
        QVERIFY2(at > 8, qPrintable(QString::number(at)));
    }

private:
    struct Tried {
        char const* name;
        Operation operation;
        bool changesDisks;
    };
    /// `now` as `before`; where disks were only read they stay as they are, for copying them takes most of the time.
    static void putBack(fs::path const& before, fs::path const& now, bool hasChangedDisks)
    {
        std::vector<fs::path> changed;
        for (auto const& entry : fs::directory_iterator(now)) {
            auto const name = entry.path().filename();
            if (hasChangedDisks || name == "library" || name == "suspended" || !fs::exists(before / name))
                changed.push_back(entry.path());
        }
        for (auto const& path : changed)
            fs::remove_all(path);
        fs::copy(before, now, fs::copy_options::recursive | fs::copy_options::skip_existing);
    }

    static inline std::vector<Tried> const operations {
        { "take", &Work::keep, true },
        { "restore", &Work::go, true },
        { "delete and merge", &Work::endAndMerge, true },
        { "export", &Work::exportDirectory, false },
        { "export a bundle", &Work::exportOneFile, false },
        { "import a bundle", &Work::import, false },
        { "replace a saved state", &Work::suspend, false },
    };
};

REGISTER_SUITE(WriteFaultsTest);
#include "write_faults_test.moc"
