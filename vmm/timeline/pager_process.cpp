#include "vmm/timeline/pager_process.h"

#include "vmm/base/helper_program.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

namespace vmm::timeline {

namespace {

constexpr timeval patience { .tv_sec = 10 };

struct Received {
    PagerMessage kind {};
    std::string text;
    UniqueFd descriptor;
};

Result<Received> receive(int socket)
{
    std::array<char, maximumPagerMessage> contents {};
    iovec part { contents.data(), contents.size() };
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control {};
    msghdr message {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    ssize_t got = -1;
    while ((got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) { }
    if (got < 0)
        return failOs("the program that brings the memory back does not answer");
    if (got == 0)
        return fail(ErrorCode::Disconnected, "the program that brings the memory back has ended");
    Received received;
    received.kind = static_cast<PagerMessage>(contents[0]);
    received.text.assign(contents.data() + 1, static_cast<std::size_t>(got) - 1);
    if (auto const* header = CMSG_FIRSTHDR(&message); header && header->cmsg_type == SCM_RIGHTS) {
        int descriptor = -1;
        std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
        received.descriptor.reset(descriptor);
    }
    return received;
}

}

std::vector<std::uint64_t> pagerOffsets(std::vector<MemoryRoot> const& memory)
{
    constexpr std::uint64_t alignment = 2u << 20; // so that no large page has two blocks' contents
    std::vector<std::uint64_t> offsets { 0 };
    for (auto const& root : memory)
        offsets.push_back(offsets.back() + alignUp(root.size, alignment));
    return offsets;
}

Result<> sendToPager(int socket, PagerMessage kind, ConstByteSpan contents, int descriptor)
{
    Bytes packet { static_cast<std::uint8_t>(kind) };
    auto const fits = contents.first(std::min(contents.size(), maximumPagerMessage - 1));
    packet.insert(packet.end(), fits.begin(), fits.end());
    iovec part { packet.data(), packet.size() };
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control {};
    msghdr message {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        auto* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof descriptor);
        std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    // What is only worth knowing is lost rather than waited for.
    int const flags = MSG_NOSIGNAL | (kind == PagerMessage::Touched ? MSG_DONTWAIT : 0);
    if (::sendmsg(socket, &message, flags) < 0)
        return failOs("the other side is gone");
    return {};
}

void detachPagerMount(std::string const& place)
{
    if (::umount2(place.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
        if (auto const process = spawnProgram("fusermount3", { "fusermount3", "-u", "-z", "-q", place }, nullptr))
            waitForProgram(*process);
    }
    ::rmdir(place.c_str());
}

Result<std::unique_ptr<PagerProcess>> PagerProcess::start(
    std::string const& folder, PagerRequest const& request, SavedMemory::Listener listener)
{
    auto const text = state::toText(state::save(request).toJson(), -1);
    UniqueFd const file(::memfd_create("request", MFD_CLOEXEC));
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return failOs("cannot say which memory is to be shown");
    std::unique_ptr<PagerProcess> pager(new PagerProcess);
    TRY(pager->launch(folder, file.get()));
    TRY(pager->openFile(pagerOffsets(request.memory).back()));
    pager->m_listening = std::thread([one = pager.get(), listener = std::move(listener)] { one->listen(listener); });
    return pager;
}

Result<> PagerProcess::launch(std::string const& folder, int request)
{
    auto const program = TRY(findHelper("chronovisor-pager"));
    std::array<int, 2> ends {};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return failOs("cannot make a connection");
    m_socket.reset(ends[0]);
    // Out of the way of the numbers that they get there.
    UniqueFd const theirs(::fcntl(ends[1], F_DUPFD_CLOEXEC, pagerRequestFile + 1));
    ::close(ends[1]);
    UniqueFd const what(::fcntl(request, F_DUPFD_CLOEXEC, pagerRequestFile + 1));
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), pagerSocket);
    ::posix_spawn_file_actions_adddup2(&actions, what.get(), pagerRequestFile);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, pagerRequestFile + 1);
    auto const process = spawnProgram(program, { program, folder }, &actions);
    ::posix_spawn_file_actions_destroy(&actions);
    m_process = TRY(process);
    return {};
}

Result<> PagerProcess::openFile(std::uint64_t size)
{
    ::setsockopt(m_socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    auto const ready = TRY(receive(m_socket.get()));
    if (ready.kind != PagerMessage::Ready)
        return fail(ErrorCode::Unsupported, ready.text);
    m_file.reset(ready.descriptor
            ? ::openat(ready.descriptor.get(), pagerFileName, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
            : ::open((ready.text + "/" + pagerFileName).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    auto const error = errno;
    if (!ready.descriptor && !sendToPager(m_socket.get(), PagerMessage::Opened, {}))
        detachPagerMount(ready.text); // it died before it could
    if (!m_file)
        return fail(osError("the memory's file cannot be opened", error));
    struct stat status { };
    if (::fstat(m_file.get(), &status) != 0 || static_cast<std::uint64_t>(status.st_size) != size)
        return fail(ErrorCode::Internal, "the memory's file has another size");
    timeval const forEver {};
    ::setsockopt(m_socket.get(), SOL_SOCKET, SO_RCVTIMEO, &forEver, sizeof forEver);
    return {};
}

void PagerProcess::listen(SavedMemory::Listener const& listener)
{
    ::pthread_setname_np(::pthread_self(), "pager");
    for (;;) {
        auto const received = receive(m_socket.get());
        if (m_ending)
            return;
        if (!received)
            return listener.failed({ ErrorCode::Corrupt, received.error().message(), 0 });
        if (received->kind == PagerMessage::Failed) {
            listener.failed({ ErrorCode::Corrupt, received->text, 0 });
        } else if (PagerTouch touch {};
                   received->kind == PagerMessage::Touched && received->text.size() == sizeof touch) {
            std::memcpy(&touch, received->text.data(), sizeof touch);
            listener.touched({ touch.block, touch.page * pageSize, touch.count * pageSize });
        }
    }
}

PagerProcess::~PagerProcess()
{
    m_ending = true;
    ::shutdown(m_socket.get(), SHUT_RDWR);
    if (m_listening.joinable())
        m_listening.join();
    if (m_process == 0)
        return;
    ::kill(m_process, SIGKILL);
    waitForProgram(m_process);
}

}
