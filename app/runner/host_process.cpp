#include "app/runner/host_process.h"

#include "vmm/base/log.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <pthread.h>
#include <sys/resource.h>

namespace app {

namespace {

rlimit filesAtFirst {};

void limitChildsFiles()
{
    ::setrlimit(RLIMIT_NOFILE, &filesAtFirst);
}

void raiseFileLimit()
{
    rlimit files {};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max)
        return;
    filesAtFirst = files;
    files.rlim_cur = files.rlim_max;
    if (::pthread_atfork(nullptr, nullptr, limitChildsFiles) == 0 && ::setrlimit(RLIMIT_NOFILE, &files) != 0)
        vmm::log(vmm::LogLevel::Warning, "host", "no more than {} open files: {}", filesAtFirst.rlim_cur,
            std::strerror(errno));
}

}

void becomeHostProcess()
{
    std::signal(SIGXFSZ, SIG_IGN);
    std::signal(SIGPIPE, SIG_IGN);
    raiseFileLimit();
}

}
