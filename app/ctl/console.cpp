#include "app/ctl/verbs.h"

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

vmm::Result<> type(Owner& owner, std::string const& console, std::string_view text)
{
    TRY(owner.client.call("console.write",
        { { "machine", owner.uuid }, { "console", console },
            { "data", vmm::state::base64Encode(vmm::bytesOf(text)) } }));
    return {};
}

/// Types and waits, for scripts. What comes is printed as it comes.
vmm::Result<> converse(
    Owner& owner, ConsoleOptions const& options, std::string const& console, std::string const& output)
{
    using Clock = std::chrono::steady_clock;
    std::unique_ptr<Pattern> pattern;
    if (options.wait)
        pattern = TRY(Pattern::compile(*options.wait));
    std::size_t from = 0;
    if (options.send) {
        // What was printed before is no answer. It has come when the answer to another question has.
        TRY(owner.client.call("machine.statistics", { { "machine", owner.uuid } }));
        from = output.size();
        TRY(type(owner, console, unescaped(*options.send)));
    }
    if (!options.wait || !pattern)
        return {};
    auto const deadline
        = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.timeout));
    std::size_t seen = std::string::npos;
    for (;;) {
        if (output.size() != seen) {
            seen = output.size();
            auto const start = std::max(from, seen > searchWindow ? seen - searchWindow : 0);
            if (pattern->isIn(output.substr(start)))
                return {};
        }
        auto const left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) {
            return vmm::fail(vmm::ErrorCode::TimedOut,
                fmt::format("\"{}\" did not come within {} s", *options.wait, options.timeout));
        }
        TRY(owner.client.serve(left));
    }
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

/// A terminal of a person, until Ctrl-] or the machine's end.
vmm::Result<> interact(Owner& owner, std::string const& console, Surroundings& around, Output const& output)
{
    RawTerminal const terminal(around.in);
    if (terminal.isTerminal())
        output.note("Ctrl-] leaves.\r");
    TerminalSizes sizes(around.in);
    TRY(tellSize(owner, console, sizes));
    bool canType = true;
    for (;;) {
        pollfd waits[] { { owner.client.fd(), POLLIN, 0 }, { canType ? around.in : -1, POLLIN, 0 },
            { sizes.fd(), POLLIN, 0 } };
        if (::poll(waits, std::size(waits), -1) < 0)
            continue;
        if (waits[2].revents != 0)
            TRY(tellSize(owner, console, sizes));
        if (waits[0].revents != 0)
            TRY(owner.client.serve(std::chrono::milliseconds(0)));
        if (waits[1].revents == 0)
            continue;
        char buffer[4096];
        auto const got = ::read(around.in, buffer, sizeof buffer);
        if (got <= 0) {
            canType = false;
            if (terminal.isTerminal())
                return {};
            continue;
        }
        std::string_view const typed(buffer, static_cast<std::size_t>(got));
        auto const leave = terminal.isTerminal() ? typed.find('\x1d') : std::string_view::npos;
        if (!typed.substr(0, leave).empty())
            TRY(type(owner, console, typed.substr(0, leave)));
        if (leave != std::string_view::npos)
            return {};
    }
}

}

int console(ConsoleOptions const& options, Surroundings& around, Output const& output)
{
    bool const isScript = options.send || options.wait;
    if (output.json && !isScript) {
        return output.failed({ vmm::ErrorCode::InvalidArgument,
            "a conversation has no end that JSON could tell: say what to --send or to --wait for", 0 });
    }
    auto owner = findOwner(options.machine, around);
    if (!owner)
        return output.failed(owner.error());
    std::string said;
    owner->client.onNotification([&](std::string const& method, Json const& params) {
        if (method != "console.output")
            return;
        auto const data = vmm::state::base64Decode(params.value("data", ""));
        if (!data)
            return;
        std::string_view const text(reinterpret_cast<char const*>(data->data()), data->size());
        said += text;
        if (!output.json)
            writeAll(around.out, text);
    });
    auto const attached
        = owner->client.call("console.attach", { { "machine", owner->uuid }, { "console", options.console } });
    if (!attached)
        return output.failed(attached.error());
    auto const id = attached->value("console", "");
    auto outcome = isScript ? converse(*owner, options, id, said) : interact(*owner, id, around, output);
    // The machine's end is no failure of a terminal.
    if (!outcome && outcome.error().code == vmm::ErrorCode::Disconnected && !options.wait)
        outcome = {};
    return output.answer(outcome, { { "output", said } });
}

}
