#pragma once

#include "vmm/backends/console.h"
#include "vmm/backends/display.h"
#include "vmm/timeline/moment.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

namespace app {

/// The moment that a run of a machine began at, as far as a person is told of it.
struct RunOrigin {
    std::string name; ///< empty: it has none
    vmm::timeline::Reason reason = vmm::timeline::Reason::Kept;
    std::uint64_t time = 0; ///< ns since 1970
    bool operator==(RunOrigin const&) const = default;
};

/// One serial port of a machine of the library, over all its runs: a handle that stays when the machine goes, with the
/// last run's output. Any thread; waits for nothing but a copy.
class ConsoleLink {
public:
    /// Output of the present (or last) run since `position`, appended to `into`; the position to go on from. `run` is
    /// set to the run's number: when it differs from the one of the call before, a new run has begun and the reader
    /// starts again at 0.
    std::uint64_t readFrom(std::uint64_t position, vmm::Bytes& into, std::uint64_t& run) const;
    /// What a terminal had shown before the present run's output: of a machine that was suspended, in this process or
    /// another. Who only wants what happens now needs it not.
    vmm::Bytes past() const;
    /// Where the present run, or the last one, came from, if it went to a moment: its guest has printed other things
    /// before than the run before it, and what they were is not known.
    std::optional<RunOrigin> origin() const;
    /// False when no machine is in memory, or the guest has left too much unread.
    bool type(vmm::ConstByteSpan data);
    /// How large the terminal is that shows this; each run is told of it. Of several the last one to say it counts.
    void setSize(vmm::TerminalSize size);

    using ListenerId = std::uint64_t;
    /// `changed` is called on whatever thread printed, also when a run begins or ends: it only wakes somebody up.
    ListenerId addListener(std::function<void()> changed);
    void removeListener(ListenerId id);

    // The runner's side. Attached between the machine's making and its end; detaching keeps the output.
    /// The run that is attached next goes on from `past`; until then there is only that.
    void setPast(vmm::Bytes past);
    /// `origin`: it does not, for it went to a moment.
    void attach(vmm::Console& console, std::optional<RunOrigin> const& origin = {});
    void detach();

private:
    void tell();

    mutable std::mutex m_mutex;
    vmm::Console* m_console = nullptr;
    vmm::Console::ListenerId m_consoleListener = 0;
    std::uint64_t m_run = 0;
    std::uint64_t m_keptFrom = 0; // position of the first byte of m_kept
    vmm::Bytes m_kept;
    vmm::Bytes m_past;
    bool m_hasNewPast = false; // nothing was attached since it was set
    std::optional<RunOrigin> m_origin;

    mutable std::mutex m_listenersMutex;
    std::map<ListenerId, std::function<void()>> m_listeners;
    ListenerId m_nextListener = 1;

    std::optional<vmm::TerminalSize> m_size; // that was said; with m_mutex
};

/// One screen of a machine of the library, over all its runs. Any thread.
class ScreenLink {
public:
    /// As vmm::Screen::refresh(); nothing, and `frame` untouched, while no machine is in memory.
    std::vector<vmm::RowRange> refresh(vmm::Frame& frame);
    void forget(vmm::Frame const& frame);
    bool isAttached() const;

    // The runner's side; detaching waits for a refresh under way.
    void attach(vmm::Screen& screen);
    void detach();

private:
    mutable std::mutex m_mutex;
    vmm::Screen* m_screen = nullptr;
};

}
