#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/memory/saved_memory.h"
#include "vmm/timeline/memory_tree.h"

#include <atomic>
#include <memory>
#include <sys/types.h>
#include <thread>

/// A moment's memory as a file that the kernel pages in, for who may not use userfaultfd: a program of its own
/// (app/pager) serves it over FUSE. Not a thread of ours: a process that is killed while it waits for its own file
/// system never ends.
namespace vmm::timeline {

/// What the program is to show.
struct PagerRequest {
    static constexpr std::string_view kind = "pager-request";
    static constexpr unsigned version = 1;

    std::uint64_t seed = 0; ///< of the store
    std::vector<MemoryRoot> memory;
    Bytes expected; ///< what will be read first: a PagerTouch each
    static void describe(auto& v, auto& s)
    {
        v.field("seed", s.seed);
        v.field("memory", s.memory, state::Max { 256 });
        v.field("expected", s.expected, state::Max { 1u << 20 });
    }
};

/// Where each block begins in the file, and behind the last where it ends.
std::vector<std::uint64_t> pagerOffsets(std::vector<MemoryRoot> const& memory);
constexpr char const* pagerFileName = "memory";
/// Where the program finds its end of the connection, and the request.
constexpr int pagerSocket = 0, pagerRequestFile = 3;

/// What the two tell each other: this, then what is said of it. Each is one packet.
enum class PagerMessage : char {
    Ready = 'R', ///< to us: the file system is there, as a descriptor that comes along, or (text) mounted at that place
    Opened = 'O',  ///< from us: the place is not needed any more
    Touched = 'T', ///< to us: (PagerTouch) that was read
    Failed = 'F',  ///< to us: (text) it cannot be shown, or what was touched cannot be read
};
struct PagerTouch {
    std::uint32_t block, page, count;
};
constexpr std::size_t maximumPagerMessage = 4096;
Result<> sendToPager(int socket, PagerMessage kind, ConstByteSpan contents, int descriptor = -1);

/// Nobody finds the file system at that place any more; who has it open goes on.
void detachPagerMount(std::string const& place);

/// The program, while it runs.
class PagerProcess {
public:
    /// `folder`: the timeline's. The listener hears of touches, and also when the program has ended by itself.
    static Result<std::unique_ptr<PagerProcess>> start(
        std::string const& folder, PagerRequest const& request, SavedMemory::Listener listener);
    /// Ends it: the file has nothing in it from then on.
    ~PagerProcess();

    int file() const { return m_file.get(); }
    pid_t id() const { return m_process; }

private:
    PagerProcess() = default;
    Result<> launch(std::string const& folder, int request);
    Result<> openFile(std::uint64_t size);
    void listen(SavedMemory::Listener const& listener);

    pid_t m_process = 0;
    UniqueFd m_socket, m_file;
    std::atomic<bool> m_ending { false };
    std::thread m_listening; // last
};

}
