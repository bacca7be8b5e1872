#include "vmm/base/random.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/machine.h"
#include "vmm/timeline/timeline.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <future>
#include <optional>
#include <thread>
#include <unistd.h>
#include <zstd.h>

/// What tests/bench/moment_figures.py cannot see from outside: a machine of the library with tests/bench/dirty.c in it,
/// its vCPU's time, and what moments cost it. Prints a word and numbers a line, all times in seconds.
///
///   bench_moments run FOLDER KERNEL MEBIBYTES WORDS MOMENTS EVERY
///       keeps moments, and as long an untouched time between
///   bench_moments restore FOLDER warm|cold set|lazy|whole UNITS
///       goes to the present's moment: what was needed before comes first, nothing comes before it is touched, or all
///       is read before; until the guest has done so many units (0: says something)
///
/// sample AT UNITS WAITED | moment BEGAN ENDED PAUSE CHANGED | stored BYTES ALONE | restored MADE FIRST
namespace {

using namespace vmm;
using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

[[noreturn]] void give(Error const& error)
{
    fmt::print(stderr, "{}\n", error.message());
    std::exit(1);
}

template<typename T>
T must(Result<T> result)
{
    if (!result)
        give(result.error());
    if constexpr (!std::is_void_v<T>)
        return std::move(*result);
}

double now()
{
    return Seconds(Clock::now().time_since_epoch()).count();
}

/// How long the vCPU has waited for a processor of the host: what it lost to neighbours.
class Waits {
public:
    double seconds()
    {
        for (auto const& task : std::filesystem::directory_iterator("/proc/self/task")) {
            std::string name;
            if (m_path.empty() && std::getline(std::ifstream(task.path() / "comm"), name) && name == "vcpu 0")
                m_path = task.path() / "schedstat";
        }
        double ran = 0, waited = 0;
        std::ifstream(m_path) >> ran >> waited;
        return waited / 1e9;
    }

private:
    std::string m_path;
};

/// Takes the guest's lines and says when each came.
class Guest {
public:
    explicit Guest(Machine& machine) : m_console(*machine.console("serial0"))
    {
        m_listener = m_console.addListener([this] {
            std::lock_guard const lock(m_mutex);
            m_hasMore = true;
            m_changed.notify_all();
        });
        m_thread = std::jthread([this](std::stop_token const& end) { read(end); });
    }
    ~Guest() { m_console.removeListener(m_listener); }

    /// The first that is a number, and then one that is larger by so much.
    void waitForNumber(long long more = 0)
    {
        std::unique_lock lock(m_mutex);
        m_changed.wait(lock, [&] { return m_first && m_last - *m_first >= more; });
    }

private:
    void read(std::stop_token const& end)
    {
        std::string text;
        std::uint64_t position = 0;
        Waits waits;
        for (std::unique_lock lock(m_mutex); m_changed.wait(lock, end, [this] { return m_hasMore; });) {
            m_hasMore = false;
            lock.unlock();
            Bytes bytes;
            position = m_console.readFrom(position, bytes);
            text.append(bytes.begin(), bytes.end());
            lock.lock();
            for (std::size_t length; (length = text.find('\n')) != std::string::npos; text.erase(0, length + 1)) {
                auto const line = text.substr(0, length);
                if (line.find_first_not_of("0123456789\r") == std::string::npos) {
                    m_last = std::atoll(line.c_str());
                    m_first = m_first.value_or(m_last);
                    fmt::print("sample {:.6f} {} {:.6f}\n", now(), m_last, waits.seconds());
                } else {
                    fmt::print("guest {}\n", line);
                }
                m_changed.notify_all();
            }
        }
    }

    Console& m_console;
    Console::ListenerId m_listener = 0;
    std::mutex m_mutex;
    std::condition_variable_any m_changed;
    bool m_hasMore = true;
    std::optional<long long> m_first;
    long long m_last = 0;
    std::jthread m_thread;
};

std::shared_ptr<timeline::Timeline> openTimeline(std::string const& folder)
{
    return must(timeline::Timeline::open(must(timeline::openFolder(folder)), timeline::Timeline::Access::ReadWrite));
}

/// The pages of a pack, compressed one behind the other in one stream: the least that they could take.
std::uint64_t alone(timeline::Pack const& pack)
{
    Bytes frame, out(ZSTD_CStreamOutSize());
    auto* const stream = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(stream, ZSTD_c_compressionLevel, timeline::PackWriter::defaultLevel);
    std::uint64_t bytes = 0;
    auto const feed = [&](ConstByteSpan data, ZSTD_EndDirective how) {
        ZSTD_inBuffer in { data.data(), data.size(), 0 };
        std::size_t left = 0;
        do {
            ZSTD_outBuffer to { out.data(), out.size(), 0 };
            left = ZSTD_compressStream2(stream, &to, &in, how);
            bytes += to.pos;
        } while (how == ZSTD_e_end ? left != 0 : in.pos < in.size);
    };
    for (std::uint32_t i = 0; i < pack.frames(); ++i) {
        frame.resize(pack.pagesIn(i) * timeline::pageSize);
        must(pack.readFrame(i, frame));
        feed(frame, ZSTD_e_continue);
    }
    feed({}, ZSTD_e_end);
    ZSTD_freeCCtx(stream);
    return bytes;
}

/// Of each pack, which is what one moment has stored.
void tellStored(std::string const& folder)
{
    auto const files = must(timeline::openFolder(folder));
    for (auto const& name : must(files->list(timeline::packFolder))) {
        std::array<std::uint8_t, 24> header {};
        must(must(files->open(fmt::format("{}/{}", timeline::packFolder, name)))->read(0, header));
        auto const seed = loadLittle<std::uint64_t>(ConstByteSpan(header).subspan(16, 8));
        auto const number = loadLittle<std::uint32_t>(ConstByteSpan(header).subspan(12, 4));
        auto const pack = must(timeline::Pack::open(*files, number, seed));
        fmt::print("stored {} {}\n", pack->fileSize(), alone(*pack));
    }
}

int run(char** words)
{
    std::string const folder = words[0];
    VmConfig config;
    config.uuid = makeUuid();
    config.name = "bench";
    config.memoryMiB = static_cast<unsigned>(std::atoi(words[2]));
    config.firmware = Firmware::None;
    config.kernel = KernelConfig { words[1], {}, words[3] };
    config.serials = { { "serial0", false } };
    auto const moments = std::atoi(words[4]);
    Seconds const every(std::atof(words[5]));

    std::promise<event::MomentKept> promise;
    auto const machine = must(Machine::create(config, [&](Event const& event) {
        if (auto const* kept = std::get_if<event::MomentKept>(&event))
            promise.set_value(*kept);
    }));
    Guest guest(*machine);
    must(machine->call(command::Start {}));
    guest.waitForNumber();
    std::this_thread::sleep_for(every);
    auto const timeline = openTimeline(folder);
    for (int i = 0; i < moments; ++i) {
        promise = {};
        auto const began = Clock::now();
        must(machine->call(command::KeepMoment { timeline, { .reason = timeline::Reason::Automatic } }));
        auto const ended = Clock::now();
        auto const kept = promise.get_future().get();
        auto const moment = must(timeline->moment(kept.id));
        fmt::print("moment {:.6f} {:.6f} {:.6f} {}\n", Seconds(began.time_since_epoch()).count(),
            Seconds(ended.time_since_epoch()).count(), Seconds(kept.stoodStill).count(),
            moment.changedPages * timeline::pageSize);
        // As long with a moment as without one.
        std::this_thread::sleep_until(std::max(began + 2 * every, ended + every));
    }
    tellStored(folder);
    return 0;
}

/// The cache of the host lets go of all files of a timeline.
void makeCold(std::string const& folder)
{
    for (auto const& file : std::filesystem::recursive_directory_iterator(folder)) {
        if (!file.is_regular_file())
            continue;
        auto const fd = must(openFile(file.path(), O_RDONLY));
        ::fsync(fd.get());
        ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    }
}

/// As long as it lives, what was needed at earlier times is forgotten.
class Forgotten {
public:
    explicit Forgotten(std::string const& folder)
    {
        for (auto const& file : std::filesystem::recursive_directory_iterator(folder)) {
            if (file.path().extension() != ".set")
                continue;
            std::ifstream stream(file.path(), std::ios::binary);
            m_sets.emplace_back(file.path(), std::string(std::istreambuf_iterator<char>(stream), {}));
        }
        for (auto const& [path, contents] : m_sets)
            std::filesystem::remove(path);
    }
    ~Forgotten()
    {
        for (auto const& [path, contents] : m_sets)
            std::ofstream(path, std::ios::binary) << contents;
    }

private:
    std::vector<std::pair<std::filesystem::path, std::string>> m_sets;
};

int restore(char** words)
{
    std::string const way = words[2];
    std::optional<Forgotten> forgotten;
    if (way == "lazy")
        forgotten.emplace(words[0]);
    if (std::string(words[1]) == "cold")
        makeCold(words[0]);
    auto const began = now();
    auto const timeline = openTimeline(words[0]);
    auto const machine = must(Machine::goTo(
        timeline, timeline->present(), [](Event const&) {}, way == "whole" ? MemoryWay::AtOnce : MemoryWay::Best));
    Guest guest(*machine);
    auto const made = now();
    must(machine->call(command::Resume {}));
    guest.waitForNumber(std::atoll(words[3]));
    fmt::print("restored {:.6f} {:.6f}\n", made - began, now() - began);
    if (way == "set") // it learns when the guest has settled
        std::this_thread::sleep_for(std::chrono::seconds(1));
    return 0;
}

}

int main(int argc, char** argv)
{
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    std::string const verb = argc > 1 ? argv[1] : "";
    if (verb == "run" && argc == 8)
        return run(argv + 2);
    if (verb == "restore" && argc == 6)
        return restore(argv + 2);
    fmt::print(stderr, "see the head of {}\n", __FILE__);
    return 1;
}
