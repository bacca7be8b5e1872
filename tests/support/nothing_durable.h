#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

namespace tests {

/// From now on fsync() and fdatasync() go well at once, in this process and in those that it starts, and temporary
/// files lie in memory, where there is room: on a disk whoever replaces or removes a file waits for it, too. For who
/// has work killed, cancelled or failing over and over: the next one finds what was written without, and most of the
/// time would go by waiting for the disk. There is no way back.
inline void makeNothingDurable()
{
    constexpr auto* memory = "/dev/shm";
    constexpr std::uint64_t room = 2ULL << 30;
    struct statvfs there { };
    if (::statvfs(memory, &there) == 0 && std::uint64_t { there.f_bavail } * there.f_frsize >= room)
        ::setenv("TMPDIR", memory, 1);
    auto filter = std::to_array<sock_filter>({
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fdatasync, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO), // none
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    });
    sock_fprog const program { static_cast<unsigned short>(filter.size()), filter.data() };
    // A host that does not allow it is slow, and that is all.
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

}
