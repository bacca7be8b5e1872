#include "tests/support/call_faults.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

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

namespace tests {

namespace {

constexpr auto changingCalls = std::to_array<unsigned>({ SYS_write, SYS_pwrite64, SYS_writev, SYS_pwritev, SYS_pwritev2,
    SYS_fsync, SYS_fdatasync, SYS_ftruncate, SYS_fallocate, SYS_copy_file_range, SYS_sendfile, SYS_rename, SYS_renameat,
    SYS_renameat2, SYS_link, SYS_linkat, SYS_mkdir, SYS_mkdirat, SYS_open, SYS_openat, SYS_ioctl });

constexpr auto readingCalls = std::to_array<unsigned>({ SYS_read, SYS_pread64, SYS_readv, SYS_preadv, SYS_preadv2 });

CallFault planned;               ///< set while nobody else is at work
std::atomic<unsigned> calls = 0; ///< of that kind, since it was planned
std::atomic<bool> wasWrite = false, hasEnded = false;

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

bool isReading(long number)
{
    return std::ranges::find(readingCalls, unsigned(number)) != readingCalls.end();
}

bool strikes(long number, greg_t const* registers)
{
    bool const isPlanned = isReading(number) == (planned.calls == CallFault::Calls::Reading);
    if (hasEnded || !isPlanned || !isOfAFile(number, registers))
        return false;
    auto const call = calls++;
    return planned.way == CallFault::Way::FromThenOn ? call >= planned.at : call == planned.at;
}

long asItIs(long number, greg_t const* registers)
{
    return permittedCall(number, registers[REG_RDI], registers[REG_RSI], registers[REG_RDX], registers[REG_R10],
        registers[REG_R8], registers[REG_R9]);
}

long withFault(long number, greg_t const* registers)
{
    using enum CallFault::Way;
    bool const isWrite = number == SYS_write || number == SYS_pwrite64;
    if (calls == planned.at + 1)
        wasWrite = isWrite;
    bool const isRead = number == SYS_read || number == SYS_pread64;
    bool const isHalf = (isWrite && planned.way == Torn) || ((isWrite || isRead) && planned.way == Short);
    auto const done = isHalf   ? permittedCall(number, registers[REG_RDI], registers[REG_RSI],
                            (registers[REG_RDX] + 1) / 2, registers[REG_R10], 0, 0)
        : planned.way == Short ? asItIs(number, registers)
                               : 0;
    return planned.way == Short ? done : -planned.error;
}

void onCall(int, siginfo_t* info, void* context)
{
    auto const before = errno;
    auto* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    long const number = info->si_syscall;
    auto const result = strikes(number, registers) ? withFault(number, registers) : asItIs(number, registers);
    registers[REG_RAX] = result;
    errno = before;
}

}

bool CallFaults::begin()
{
    struct sigaction action { };
    action.sa_sigaction = &onCall;
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
    auto const trap = [&filter](unsigned number) {
        filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
        filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
    };
    std::ranges::for_each(changingCalls, trap);
    std::ranges::for_each(readingCalls, trap);
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    sock_fprog const program { static_cast<unsigned short>(filter.size()), filter.data() };
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

void CallFaults::plan(CallFault const& fault)
{
    planned = fault;
    calls = 0;
    hasEnded = false;
}

void CallFaults::end()
{
    hasEnded = true;
}

bool CallFaults::hasStruck()
{
    return calls > planned.at;
}

FaultStory tellWithFaults(std::function<QString()> const& story)
{
    std::array<int, 2> pipe {};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        qFatal("no pipe");
    auto const child = ::fork();
    if (child == 0) {
        auto const wrong = story();
        auto const said = std::string(CallFaults::hasStruck() ? wasWrite ? "w" : "!" : ".") + wrong.toStdString();
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
    return { status == 0 ? QString::fromUtf8(said.mid(1)) : QStringLiteral("it ended as %1").arg(status),
        !said.startsWith('.'), said.startsWith('w') };
}

}
