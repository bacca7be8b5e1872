#include "app/pager/detached_mount.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

namespace pager {

namespace {

using namespace vmm;

Result<> writeFile(char const* path, std::string const& text)
{
    auto const file = TRY(openFile(path, O_WRONLY));
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return failOs(fmt::format("cannot write {}", path));
    return {};
}

/// One in which we are who we are outside of it, and may mount.
Result<> enterNamespace()
{
    auto const user = ::geteuid();
    auto const group = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return failOs("the host allows no namespace of our own");
    TRY(writeFile("/proc/self/setgroups", "deny"));
    TRY(writeFile("/proc/self/uid_map", fmt::format("{} {} 1", user, user)));
    return writeFile("/proc/self/gid_map", fmt::format("{} {} 1", group, group));
}

Result<DetachedMount> mount()
{
    DetachedMount made;
    made.connection = TRY(openFile("/dev/fuse", O_RDWR));
    UniqueFd const context(::fsopen("fuse", FSOPEN_CLOEXEC));
    if (!context)
        return failOs("the host does not let us mount");
    auto const set = [&](char const* key, std::string const& value) {
        return ::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
    };
    if (!set("source", "chronovisor") || !set("fd", std::to_string(made.connection.get())) || !set("rootmode", "40000")
        || !set("user_id", std::to_string(::geteuid())) || !set("group_id", std::to_string(::getegid()))
        || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
        return failOs("the host does not let us make a file system");
    made.root.reset(::fsmount(
        context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
    if (!made.root)
        return failOs("the host does not let us mount a file system");
    return made;
}

}

Result<DetachedMount> DetachedMount::create()
{
    auto made = mount();
    if (made || made.error().osError != EPERM)
        return made;
    TRY(enterNamespace());
    return mount();
}

}
