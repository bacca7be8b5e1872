#pragma once

#include "app/ctl/chronoctl.h"
#include "vmm/state/section.h"

#include <nlohmann/json.hpp>
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

}
