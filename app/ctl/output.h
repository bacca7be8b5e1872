#pragma once

#include "app/ctl/chronoctl.h"
#include "vmm/backends/console.h"
#include "vmm/base/unique_fd.h"
#include "vmm/state/section.h"

#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace app::ctl {

using vmm::Json;

/// What every verb prints with.
struct Output {
    int out, err;
    bool json = false;

    void text(std::string_view line) const; ///< for people, to the standard output
    void value(Json const& value) const;    ///< for programs
    void note(std::string_view line) const; ///< for people, to the standard error
    /// Says what went wrong in one sentence, and returns the exit code for it.
    int failed(vmm::Error const& error) const;
    /// Nothing to say where it went well.
    int finish(vmm::Result<> const& outcome) const { return outcome ? int(Done) : failed(outcome.error()); }
    /// Where it went well people are told nothing, and programs `told`.
    int answer(vmm::Result<> const& outcome, Json const& told = Json::object()) const;
};

void writeAll(int fd, std::string_view data);
/// "12 KiB", "345 MiB".
std::string sizeText(std::uint64_t bytes);

/// A terminal in raw mode, for as long as the object lives. Does nothing to what is no terminal.
class RawTerminal {
public:
    explicit RawTerminal(int fd);
    ~RawTerminal();
    RawTerminal(RawTerminal const&) = delete;
    RawTerminal& operator=(RawTerminal const&) = delete;
    bool isTerminal() const { return m_isTerminal; }

private:
    struct Saved;
    int m_fd;
    bool m_isTerminal = false;
    std::unique_ptr<Saved> m_saved;
};

/// While it lives SIGINT, SIGTERM and SIGHUP are noted once each, for what is half made to be taken away; a second one
/// ends us. A reader who goes away is an error to who writes to it, and no signal.
class Interruption {
public:
    Interruption();
    ~Interruption();
    Interruption(Interruption const&) = delete;
    Interruption& operator=(Interruption const&) = delete;
    bool hasCome() const;

private:
    struct Saved;
    std::unique_ptr<Saved> m_saved;
};

/// How large a terminal is, and a descriptor that can be read from when that may have changed: SIGWINCH comes there
/// while the object lives. Made before any thread, which would otherwise take it.
class TerminalSizes {
public:
    explicit TerminalSizes(int terminal);
    ~TerminalSizes();
    TerminalSizes(TerminalSizes const&) = delete;
    TerminalSizes& operator=(TerminalSizes const&) = delete;
    int fd() const { return m_fd.get(); }
    /// Nothing where it is no terminal, or does not know. The descriptor is as if nothing had changed.
    std::optional<vmm::TerminalSize> take();

private:
    int m_terminal;
    sigset_t m_before {};
    vmm::UniqueFd m_fd;
};

}
