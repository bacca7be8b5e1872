#include "app/pager/memory_file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

namespace pager {

namespace {

using namespace vmm;
using namespace vmm::timeline;

constexpr fuse_ino_t fileNode = 2; // the folder is 1
constexpr double forEver = 1e9;    // seconds: nothing of it ever changes
constexpr unsigned mostThreads = 4;
constexpr std::uint32_t maximumPages = 512; // of a piece that is expected

MemoryFile& self(fuse_req_t request)
{
    return *static_cast<MemoryFile*>(::fuse_req_userdata(request));
}

struct stat statusOf(fuse_req_t request, fuse_ino_t node)
{
    struct stat status { };
    status.st_ino = node;
    status.st_mode = node == fileNode ? S_IFREG | 0400 : S_IFDIR | 0500;
    status.st_nlink = 1;
    status.st_uid = ::geteuid();
    status.st_gid = ::getegid();
    status.st_size = node == fileNode ? static_cast<off_t>(self(request).size()) : 0;
    return status;
}

void lookUp(fuse_req_t request, fuse_ino_t parent, char const* name)
{
    if (parent != FUSE_ROOT_ID || std::strcmp(name, pagerFileName) != 0)
        return static_cast<void>(::fuse_reply_err(request, ENOENT));
    fuse_entry_param entry {};
    entry.ino = fileNode;
    entry.attr = statusOf(request, fileNode);
    entry.attr_timeout = entry.entry_timeout = forEver;
    ::fuse_reply_entry(request, &entry);
}

void getAttributes(fuse_req_t request, fuse_ino_t node, fuse_file_info*)
{
    auto const status = statusOf(request, node);
    ::fuse_reply_attr(request, &status, forEver);
}

void openFile(fuse_req_t request, fuse_ino_t node, fuse_file_info* file)
{
    if (node != fileNode)
        return static_cast<void>(::fuse_reply_err(request, EISDIR));
    file->keep_cache = 1;
    auto& memory = self(request);
    ::fuse_reply_open(request, file);
    memory.opened();
}

void readFile(fuse_req_t request, fuse_ino_t, std::size_t size, off_t offset, fuse_file_info*)
{
    thread_local Bytes data;
    auto& memory = self(request);
    auto const from = std::min(static_cast<std::uint64_t>(offset), memory.size());
    data.resize(std::min<std::uint64_t>(size, memory.size() - from));
    memory.touched(from, data.size());
    if (auto const read = memory.read(from, data); !read) {
        // First the reason, for the error reaches the machine's processor.
        ignore(sendToPager(pagerSocket, PagerMessage::Failed, bytesOf(read.error().message())));
        return static_cast<void>(::fuse_reply_err(request, EIO));
    }
    ::fuse_reply_buf(request, reinterpret_cast<char const*>(data.data()), data.size());
}

void serveRequests(fuse_session* session)
{
    fuse_buf buffer {};
    for (;;) {
        auto const got = ::fuse_session_receive_buf(session, &buffer);
        if (got > 0)
            ::fuse_session_process_buf(session, &buffer);
        else if (got != -EINTR && got != -EAGAIN)
            break; // nobody has it open any more
    }
    std::free(buffer.mem); // libfuse has it from malloc()
}

}

Result<std::unique_ptr<MemoryFile>> MemoryFile::create(std::string const& folder, PagerRequest const& request)
{
    return std::unique_ptr<MemoryFile>(new MemoryFile(TRY(openFolder(folder)), request));
}

MemoryFile::MemoryFile(std::unique_ptr<Folder> folder, PagerRequest const& request)
    : m_folder(std::move(folder)),
      m_store(*m_folder, request.seed),
      m_tree(m_store, request.memory),
      m_offsets(pagerOffsets(request.memory)),
      m_expected(request.expected)
{
}

Result<> MemoryFile::serve(UniqueFd connection)
{
    // libfuse takes a connection that somebody has opened by such a name, and keeps it.
    return startSession("/dev/fd/" + std::to_string(connection.release()));
}

Result<std::string> MemoryFile::serveAtPlace()
{
    auto const* const folder = std::getenv("XDG_RUNTIME_DIR");
    std::string place = std::string(folder ? folder : "/tmp") + "/chronovisor-XXXXXX";
    if (!::mkdtemp(place.data()))
        return failOs("cannot make a folder to mount at");
    if (auto const started = startSession(place); !started) {
        ::rmdir(place.c_str());
        return fail(started.error());
    }
    return place;
}

Result<> MemoryFile::startSession(std::string const& place)
{
    fuse_lowlevel_ops calls {};
    calls.lookup = lookUp;
    calls.getattr = getAttributes;
    calls.open = openFile;
    calls.read = readFile;
    std::array<std::string, 3> words { "chronovisor-pager", "-o", "ro,fsname=chronovisor,subtype=memory" };
    std::array<char*, 3> pointers { words[0].data(), words[1].data(), words[2].data() };
    fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
    m_session = ::fuse_session_new(&arguments, &calls, sizeof calls, this);
    ::fuse_opt_free_args(&arguments);
    if (!m_session || ::fuse_session_mount(m_session, place.c_str()) != 0)
        return fail(ErrorCode::Unsupported, "the host lets us have no file system in user space (FUSE)");
    for (auto i = std::clamp(std::thread::hardware_concurrency(), 2u, mostThreads); i > 0; --i)
        std::thread(serveRequests, m_session).detach();
    return {};
}

std::size_t MemoryFile::blockAt(std::uint64_t offset) const
{
    auto const after = std::upper_bound(m_offsets.begin(), m_offsets.end() - 1, offset);
    return static_cast<std::size_t>(after - m_offsets.begin()) - 1;
}

Result<> MemoryFile::read(std::uint64_t offset, ByteSpan data) const
{
    if (offset % pageSize != 0 || data.size() % pageSize != 0)
        return fail(ErrorCode::InvalidArgument, "only whole pages can be read");
    while (!data.empty()) {
        auto const block = blockAt(offset);
        auto const into = offset - m_offsets[block], size = m_tree.roots()[block].size;
        auto const inside = into < size ? std::min<std::uint64_t>(data.size(), size - into) : 0;
        TRY(m_tree.read(block, into, data.first(inside)));
        // Behind it nothing, up to the next one.
        auto const length = std::min<std::uint64_t>(data.size(), m_offsets[block + 1] - offset);
        std::fill_n(data.begin() + static_cast<std::ptrdiff_t>(inside), length - inside, std::uint8_t(0));
        data = data.subspan(length);
        offset += length;
    }
    return {};
}

void MemoryFile::touched(std::uint64_t offset, std::uint64_t size) const
{
    auto const block = blockAt(offset);
    PagerTouch const touch { static_cast<std::uint32_t>(block),
        static_cast<std::uint32_t>((offset - m_offsets[block]) / pageSize),
        static_cast<std::uint32_t>(size / pageSize) };
    ignore(sendToPager(pagerSocket, PagerMessage::Touched, bytesOf(touch)));
}

void MemoryFile::opened()
{
    if (!m_isOpen.exchange(true))
        std::thread([this] { giveExpected(); }).detach();
}

/// Into the kernel's cache, so that nobody has to ask for it.
void MemoryFile::giveExpected() const
{
    Bytes data;
    for (std::size_t at = 0; at + sizeof(PagerTouch) <= m_expected.size(); at += sizeof(PagerTouch)) {
        PagerTouch piece {};
        std::memcpy(&piece, m_expected.data() + at, sizeof piece);
        if (piece.block >= m_tree.roots().size())
            continue;
        auto const offset = piece.page * pageSize;
        auto const size = m_tree.roots()[piece.block].size;
        if (offset >= size || piece.count > maximumPages)
            continue;
        data.resize(std::min(piece.count * pageSize, size - offset));
        if (!m_tree.read(piece.block, offset, data))
            continue; // who touches it gets to know
        auto contents = fuse_bufvec FUSE_BUFVEC_INIT(data.size());
        contents.buf[0].mem = data.data();
        ::fuse_lowlevel_notify_store(m_session, fileNode, static_cast<off_t>(m_offsets[piece.block] + offset),
            &contents, static_cast<fuse_buf_copy_flags>(0));
    }
}

}
