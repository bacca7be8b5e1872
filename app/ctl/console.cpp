#include "app/ctl/verbs.h"

#include <cerrno>
#include <fmt/format.h>
#include <poll.h>
#include <regex.h>
#include <unistd.h>

namespace app::ctl {

namespace {

constexpr std::size_t searchWindow = 256u << 10; // the newest output, in which a pattern is looked for

/// "\n", "\r", "\t", "\e", "\\", "\x1b" in what is typed by a script.
std::string unescaped(std::string const& text)
{
    std::string result;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            result.push_back(text[i]);
            continue;
        }
        switch (char const c = text[++i]) {
        case 'n': result.push_back('\n'); break;
        case 'r': result.push_back('\r'); break;
        case 't': result.push_back('\t'); break;
        case 'e': result.push_back('\x1b'); break;
        case 'x':
            result.push_back(static_cast<char>(std::strtoul(text.substr(i + 1, 2).c_str(), nullptr, 16)));
            i += std::min<std::size_t>(2, text.size() - i - 1);
            break;
        default: result.push_back(c);
        }
    }
    return result;
}

class Pattern {
public:
    static vmm::Result<std::unique_ptr<Pattern>> compile(std::string const& text)
    {
        std::unique_ptr<Pattern> pattern(new Pattern);
        if (int const error = ::regcomp(&pattern->m_regex, text.c_str(), REG_EXTENDED | REG_NOSUB | REG_NEWLINE)) {
            char why[256];
            ::regerror(error, &pattern->m_regex, why, sizeof why);
            pattern->m_isCompiled = false;
            return vmm::fail(vmm::ErrorCode::InvalidArgument, fmt::format("the pattern \"{}\": {}", text, why));
        }
        return pattern;
    }
    ~Pattern()
    {
        if (m_isCompiled)
            ::regfree(&m_regex);
    }
    bool isIn(std::string text) const
    {
        std::replace(text.begin(), text.end(), '\0', ' ');
        std::erase(text, '\r'); // so that $ finds the end of a terminal's line
        return ::regexec(&m_regex, text.c_str(), 0, nullptr, 0) == 0;
    }

private:
    Pattern() = default;
    regex_t m_regex {};
    bool m_isCompiled = true;
};

/// What has come from the machine.
struct Heard {
    std::uint64_t bytes = 0;
    std::string text;      ///< all of it, where somebody wants that
    bool hasEnded = false; ///< nothing is in memory any more
};

/// All that was printed until now; of a machine that has ended all that it ever will.
vmm::Result<> hearAll(Owner& owner, Heard const& heard)
{
    std::uint64_t before = 0;
    do {
        before = heard.bytes;
        TRY(owner.client.call(
            "host.describe", Json::object(), control::hostPatience)); // output that is older comes first
    } while (heard.hasEnded && heard.bytes != before);
    return {};
}

vmm::Result<> type(Owner& owner, std::string const& console, std::string_view text)
{
    TRY(owner.client.call("console.write",
        { { "machine", owner.uuid }, { "console", console }, { "data", vmm::state::base64Encode(vmm::bytesOf(text)) } },
        control::hostPatience));
    return {};
}

/// Types and waits, for scripts. What comes is printed as it comes.
vmm::Result<> converse(Owner& owner, ConsoleOptions const& options, std::string const& console, Heard const& heard)
{
    using Clock = std::chrono::steady_clock;
    std::unique_ptr<Pattern> pattern;
    if (options.wait)
        pattern = TRY(Pattern::compile(*options.wait));
    std::size_t from = 0;
    if (options.send) {
        TRY(hearAll(owner, heard)); // what was printed before is no answer
        from = heard.text.size();
        TRY(type(owner, console, unescaped(*options.send)));
    }
    if (!pattern)
        return {};
    auto const isThere = [&] {
        auto const size = heard.text.size();
        return pattern->isIn(heard.text.substr(std::max(from, size > searchWindow ? size - searchWindow : 0)));
    };
    auto const deadline
        = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.timeout));
    std::size_t seen = std::string::npos;
    while (!heard.hasEnded) {
        if (std::exchange(seen, heard.text.size()) != heard.text.size() && isThere())
            return {};
        auto const left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) {
            return vmm::fail(vmm::ErrorCode::TimedOut,
                fmt::format("\"{}\" did not come within {} s", *options.wait, options.timeout));
        }
        TRY(owner.client.serve(left));
    }
    vmm::ignore(hearAll(owner, heard)); // unless who has had it goes, too
    if (isThere())
        return {};
    return vmm::fail(
        vmm::ErrorCode::Disconnected, fmt::format("the machine has ended, and \"{}\" did not come", *options.wait));
}

vmm::Result<> tellSize(Owner& owner, std::string const& console, TerminalSizes& sizes)
{
    if (auto const size = sizes.take()) {
        TRY(owner.client.call("console.resize",
            { { "machine", owner.uuid }, { "console", console }, { "columns", size->columns },
                { "rows", size->rows } }));
    }
    return {};
}

/// A terminal of a person until Ctrl-], what is typed otherwise until its end, and either until the machine's.
vmm::Result<> interact(
    Owner& owner, std::string const& console, Heard const& heard, Surroundings& around, Output const& output)
{
    constexpr int untilNextTry = 20;     // ms
    constexpr std::size_t atOnce = 4096; // of what is typed
    RawTerminal const terminal(around.in);
    if (terminal.isTerminal())
        output.note("Ctrl-] leaves.\r");
    TerminalSizes sizes(around.in);
    TRY(tellSize(owner, console, sizes));
    std::string typed; // and not taken yet: there may be no machine, or one that does not listen
    for (bool isOver = false; !heard.hasEnded && !(isOver && typed.empty());) {
        // A person is heard meanwhile, who may want to leave; a file waits.
        bool const listens = !isOver && (typed.empty() || terminal.isTerminal());
        pollfd waits[] { { owner.client.fd(), POLLIN, 0 }, { listens ? around.in : -1, POLLIN, 0 },
            { sizes.fd(), POLLIN, 0 } };
        if (::poll(waits, std::size(waits), typed.empty() ? -1 : untilNextTry) < 0)
            continue;
        if (waits[2].revents != 0)
            TRY(tellSize(owner, console, sizes));
        if (waits[0].revents != 0)
            TRY(owner.client.serve(std::chrono::milliseconds(0)));
        bool leaves = false;
        if (waits[1].revents != 0) {
            char buffer[atOnce];
            auto const got = ::read(around.in, buffer, sizeof buffer);
            if (got < 0 && (errno == EINTR || errno == EAGAIN))
                continue;
            std::string_view const part(buffer, got > 0 ? static_cast<std::size_t>(got) : 0);
            auto const leave = terminal.isTerminal() ? part.find('\x1d') : std::string_view::npos;
            typed += part.substr(0, leave);
            isOver = got <= 0;
            leaves = terminal.isTerminal() && (isOver || leave != std::string_view::npos);
        }
        if (!typed.empty()) {
            auto const now = typed.substr(0, atOnce);
            auto const taken = type(owner, console, now);
            if (!taken && taken.error().code != vmm::ErrorCode::Busy)
                return taken;
            if (taken)
                typed.erase(0, now.size());
        }
        if (leaves)
            return {};
    }
    return hearAll(owner, heard);
}

}

int console(ConsoleOptions const& options, Surroundings& around, Output const& output)
{
    bool const isScript = options.send || options.wait;
    auto owner = findOwner(options.machine, around);
    if (!owner)
        return output.failed(owner.error());
    Heard heard;
    owner->client.onNotification([&](std::string const& method, Json const& params) {
        if (method == "machine.stateChanged" && params.value("machine", "") == owner->uuid) {
            auto const state = params.value("state", "");
            heard.hasEnded = state == "off" || state == "suspended";
        }
        if (method != "console.output")
            return;
        auto const data = vmm::state::base64Decode(params.value("data", ""));
        if (!data)
            return;
        std::string_view const text(reinterpret_cast<char const*>(data->data()), data->size());
        heard.bytes += text.size();
        if (isScript)
            heard.text += text;
        if (!output.json)
            writeAll(around.out, text);
    });
    auto attached = owner->client.call("events.subscribe");
    if (attached)
        attached = owner->client.call("console.attach", { { "machine", owner->uuid }, { "console", options.console } });
    if (!attached)
        return output.failed(attached.error());
    auto const id = attached->value("console", "");
    auto outcome = isScript ? converse(*owner, options, id, heard) : interact(*owner, id, heard, around, output);
    // The machine's end is no failure of a terminal.
    if (!outcome && outcome.error().code == vmm::ErrorCode::Disconnected && !options.wait)
        outcome = {};
    return output.answer(outcome, { { "output", heard.text } });
}

}
