#include "app/ctl/description.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace app::ctl {

namespace {

std::vector<CLI::App const*> verbs(CLI::App const& description)
{
    std::vector<CLI::App const*> found;
    for (auto const* verb : description.get_subcommands([](CLI::App const*) { return true; })) {
        if (!verb->get_group().empty())
            found.push_back(verb);
    }
    return found;
}

/// What is shown of an option: those of an empty group are between our own processes.
std::vector<CLI::Option const*> optionsOf(CLI::App const& verb)
{
    std::vector<CLI::Option const*> found;
    for (auto const* option : verb.get_options()) {
        if (!option->get_group().empty())
            found.push_back(option);
    }
    return found;
}

std::string words(CLI::App const& verb)
{
    std::string text;
    for (auto const* option : optionsOf(verb)) {
        for (auto const& name : option->get_lnames())
            text += fmt::format("{}--{}", text.empty() ? "" : " ", name);
    }
    return text;
}

bool takesMachine(CLI::App const& verb)
{
    return verb.get_option_no_throw("machine") != nullptr;
}

std::string quoted(std::string text, std::string_view quote)
{
    for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += quote.size())
        text.replace(at, 1, quote);
    return text;
}

constexpr std::string_view machineNames
    = "chronoctl --json list 2>/dev/null | sed -n 's/^ *\"name\": \"\\(.*\\)\",*$/\\1/p'";

std::string bash(CLI::App const& description)
{
    std::string names, cases;
    for (auto const* verb : verbs(description)) {
        names += fmt::format("{}{}", names.empty() ? "" : " ", verb->get_name());
        cases += fmt::format("        {}) words=\"{}\"{} ;;\n", verb->get_name(), words(*verb),
            takesMachine(*verb) ? fmt::format("; machines=1") : "");
    }
    return fmt::format(
        "# bash completion for chronoctl\n_chronoctl() {{\n    local current=${{COMP_WORDS[COMP_CWORD]}} verb= "
        "words= machines= word\n    for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n        case "
        "$word in -*) ;; *) verb=$word; break ;; esac\n    done\n    case $verb in\n        '') "
        "words=\"{} {}\" ;;\n{}    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n    if [ -n "
        "\"$machines\" ] && [[ $current != -* ]]; then\n        local IFS=$'\\n'\n        COMPREPLY+=($(compgen -W "
        "\"$({})\" -- \"$current\") $(compgen -f -- \"$current\"))\n    fi\n}}\ncomplete -F _chronoctl chronoctl\n",
        names, words(description), cases, machineNames);
}

std::string zsh(CLI::App const& description)
{
    std::string names, cases;
    for (auto const* verb : verbs(description)) {
        names += fmt::format("        '{}:{}'\n", verb->get_name(), quoted(verb->get_description(), "'\\''"));
        std::string lines;
        for (auto const* option : optionsOf(*verb)) {
            for (auto const& name : option->get_lnames())
                lines += fmt::format(" '--{}'", name);
        }
        cases += fmt::format("        {}) compadd --{}{} ;;\n", verb->get_name(), lines,
            takesMachine(*verb) ? fmt::format("; compadd -- ${{(f)\"$({})\"}}; _files", machineNames) : "; _files");
    }
    return fmt::format(
        "#compdef chronoctl\n_chronoctl() {{\n    local -a verbs\n    verbs=(\n{}    )\n    if (( CURRENT == 2 "
        ")); then\n        _describe verb verbs\n        return\n    fi\n    case $words[2] in\n{}    "
        "esac\n}}\n_chronoctl \"$@\"\n",
        names, cases);
}

std::string fish(CLI::App const& description)
{
    std::string text = "# fish completion for chronoctl\n";
    for (auto const* verb : verbs(description)) {
        text += fmt::format("complete -c chronoctl -f -n __fish_use_subcommand -a {} -d '{}'\n", verb->get_name(),
            quoted(verb->get_description(), "\\'"));
        for (auto const* option : optionsOf(*verb)) {
            for (auto const& name : option->get_lnames()) {
                text += fmt::format("complete -c chronoctl -n '__fish_seen_subcommand_from {}' -l {}{} -d '{}'\n",
                    verb->get_name(), name, option->get_expected_max() > 0 ? " -r" : "",
                    quoted(option->get_description(), "\\'"));
            }
        }
        if (takesMachine(*verb)) {
            text += fmt::format("complete -c chronoctl -n '__fish_seen_subcommand_from {}' -a '({})'\n",
                verb->get_name(), quoted(std::string(machineNames), "\\'"));
        }
    }
    return text;
}

/// Text for roff: no line may begin with a dot, and a hyphen that is typed is a minus.
std::string roff(std::string text)
{
    for (std::size_t at = 0; (at = text.find('\\', at)) != std::string::npos; at += 2)
        text.replace(at, 1, "\\e");
    for (std::size_t at = 0; (at = text.find('-', at)) != std::string::npos; at += 2)
        text.replace(at, 1, "\\-");
    return text.starts_with('.') || text.starts_with('\'') ? "\\&" + text : text;
}

std::string roffOption(CLI::Option const& option)
{
    return fmt::format(
        ".TP\n.B {}\n{}\n", roff(option.get_name(option.get_positional(), true)), roff(option.get_description()));
}

}

std::string completionScript(CLI::App const& description, std::string const& shell)
{
    return shell == "bash" ? bash(description)
        : shell == "zsh"   ? zsh(description)
        : shell == "fish"  ? fish(description)
                           : std::string();
}

std::string manualPage(CLI::App const& description)
{
    std::string text
        = fmt::format(".TH CHRONOCTL 1\n.SH NAME\nchronoctl \\- {}\n.SH SYNOPSIS\n.B chronoctl\n[\\-\\-json] VERB "
                      "[ARGUMENTS]\n.SH OPTIONS\n",
            roff(description.get_description()));
    for (auto const* option : optionsOf(description))
        text += roffOption(*option);
    text += ".SH VERBS\n";
    for (auto const* verb : verbs(description)) {
        text += fmt::format(".SS {}\n{}\n", roff(verb->get_name()), roff(verb->get_description()));
        for (auto const* option : optionsOf(*verb)) {
            if (!option->check_name("--help"))
                text += roffOption(*option);
        }
    }
    text += ".SH EXIT STATUS\n.TP\n0\nDone; of \\fBrun\\fR: the guest powered off.\n.TP\n1\nIt failed; the reason is "
            "on the "
            "standard error.\n.TP\n2\nIt was called wrongly.\n.TP\n3\nOf \\fBrun\\fR: the guest has "
            "crashed.\n.TP\n4\nOf "
            "\\fBrun\\fR: the machine was suspended.\n.TP\n5\nOf \\fBrun\\fR: the machine was powered off from "
            "outside.\n"
            ".SH FILES\n.TP\n$XDG_DATA_HOME/chronovisor/machines/\nThe "
            "machines.\n.TP\n$XDG_RUNTIME_DIR/chronovisor/\nThe "
            "control sockets of processes that host machines.\n";
    return text;
}

}
