#pragma once

#include "vmm/base/bytes.h"

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>

namespace vmm {

/// Of a terminal, in characters.
struct TerminalSize {
    std::uint16_t columns = 80, rows = 25;
    bool operator==(TerminalSize const&) const = default;
};

/// The host's end of a serial port: what the guest has printed, kept so that a terminal opened later still shows it,
/// and what a person has typed until the guest takes it. Any thread.
class Console {
public:
    static constexpr std::size_t scrollback = 1u << 20; ///< bytes of output kept
    static constexpr std::size_t inputLimit = 1u << 20; ///< bytes typed ahead; more is refused

    // The device's side.
    void output(ConstByteSpan data);
    /// Takes up to `into.size()` typed bytes; how many there were.
    std::size_t takeInput(ByteSpan into);
    bool hasInput() const;
    /// Called, on the thread that types, when input has come where there was none. One device only.
    void setInputReady(std::function<void()> ready);
    /// Nothing until a terminal has said it.
    std::optional<TerminalSize> size() const;
    /// Called, on the thread that says it, when a size is said. One device only, and only one that can tell its guest.
    void setSizeSaid(std::function<void()> said);

    // The person's side.
    /// False, and nothing taken, when the guest has left too much unread.
    bool type(ConstByteSpan data);
    /// How large the terminal is that shows this. Of several the last one to say it counts.
    void setSize(TerminalSize size);

    /// Output since `position` (0: all that is kept) appended to `into`; the position to go on from.
    std::uint64_t readFrom(std::uint64_t position, Bytes& into) const;

    /// `changed` is called, on the thread that prints, after output has been added: it only wakes somebody up.
    using ListenerId = std::uint64_t;
    ListenerId addListener(std::function<void()> changed);
    void removeListener(ListenerId id);

private:
    mutable std::mutex m_mutex;
    Bytes m_ring = Bytes(scrollback);
    std::uint64_t m_written = 0; // bytes ever; the ring holds the last of them
    Bytes m_input;
    std::function<void()> m_inputReady;
    std::map<ListenerId, std::function<void()>> m_listeners;
    ListenerId m_nextListener = 1;
    std::optional<TerminalSize> m_size;
    std::function<void()> m_sizeSaid;
};

}
