#include "vmm/base/helper_program.h"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

namespace vmm {

Result<std::string> findHelper(std::string const& name)
{
    std::error_code unknown;
    auto const own = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
    for (auto const& place : { name, "../libexec/" + name }) {
        auto const program = (own / place).lexically_normal();
        if (::access(program.c_str(), X_OK) == 0)
            return program.string();
    }
    return fail(ErrorCode::NotFound, name + " is not beside this program");
}

Result<pid_t> spawnProgram(std::string const& program, std::vector<std::string> arguments,
    posix_spawn_file_actions_t* actions, OwnSession session)
{
    std::vector<char*> pointers;
    for (auto& argument : arguments)
        pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    auto const flags = POSIX_SPAWN_SETSIGMASK | (session == OwnSession::Yes ? POSIX_SPAWN_SETSID : 0);
    ::posix_spawnattr_setflags(&attributes, static_cast<short>(flags));
    pid_t process = 0;
    auto const problem = ::posix_spawnp(&process, program.c_str(), actions, &attributes, pointers.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    if (problem != 0)
        return fail(osError("cannot start " + program, problem));
    return process;
}

int waitForProgram(pid_t process)
{
    int status = 0;
    pid_t ended = -1;
    while ((ended = ::waitpid(process, &status, 0)) < 0 && errno == EINTR) { }
    return ended == process && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}
