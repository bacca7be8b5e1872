#include "app/ctl/description.h"

#include <CLI/CLI.hpp>
#include <algorithm>
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

/// The words that an option or argument is one of, with blanks between; empty: any.
std::string choicesOf(CLI::Option const& option)
{
    auto const type = option.get_type_name(); // "TEXT:{on,off}"
    auto const open = type.find('{'), close = type.rfind('}');
    if (open == std::string::npos || close == std::string::npos || close < open)
        return {};
    auto choices = type.substr(open + 1, close - open - 1);
    std::replace(choices.begin(), choices.end(), ',', ' ');
    return choices;
}

/// What a verb is given without a name, in order.
std::vector<CLI::Option const*> argumentsOf(CLI::App const& verb)
{
    auto found = optionsOf(verb);
    std::erase_if(found, [](auto const* option) { return option->nonpositional(); });
    return found;
}

/// "--name --note".
std::string optionNames(CLI::App const& verb)
{
    std::string text;
    for (auto const* option : optionsOf(verb)) {
        for (auto const& name : option->get_lnames())
            text += fmt::format("{}--{}", text.empty() ? "" : " ", name);
    }
    return text;
}

/// The verb that lists what may follow an argument of this name; empty: none does.
std::string_view listing(std::string_view argument)
{
    return argument == "machine" ? "list" : argument == "removed" ? "removed" : "";
}

/// That of a verb's arguments.
std::string_view listing(CLI::App const& verb)
{
    for (auto const* argument : argumentsOf(verb)) {
        if (auto const found = listing(argument->get_name(true)); !found.empty())
            return found;
    }
    return {};
}

std::string quoted(std::string text, std::string_view quote)
{
    for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += quote.size())
        text.replace(at, 1, quote);
    return text;
}

/// The bodies of a `case $place in` and a `case $previous in`, for bash and zsh: where nothing but choices can follow.
std::string placeCases(CLI::App const& verb)
{
    std::string text;
    auto const arguments = argumentsOf(verb);
    for (std::size_t place = 0; place < arguments.size(); ++place) {
        if (auto const choices = choicesOf(*arguments[place]); !choices.empty())
            text += fmt::format(" {}) choices=({}); only=1 ;;", place, choices);
    }
    return text;
}

std::string optionCases(CLI::App const& verb)
{
    std::string text;
    for (auto const* option : optionsOf(verb)) {
        auto const choices = option->nonpositional() ? choicesOf(*option) : std::string();
        if (!choices.empty())
            text += fmt::format(" --{}) choices=({}); only=1 ;;", option->get_lnames().front(), choices);
    }
    return text;
}

/// The body of a `case $verb in`, for bash and zsh, whose arrays are the same here.
std::string verbCases(CLI::App const& description)
{
    std::string text;
    for (auto const* verb : verbs(description)) {
        text += fmt::format(
            "    {}) flags=({}) listing={}\n        case $place in{} esac\n        case $previous in{} esac ;;\n",
            verb->get_name(), optionNames(*verb), listing(*verb), placeCases(*verb), optionCases(*verb));
    }
    return text;
}

/// A shell's words for the names that this verb lists.
std::string namesListed(std::string_view verb)
{
    return fmt::format("chronoctl --json {} 2>/dev/null | sed -n 's/^ *\"name\": \"\\(.*\\)\",*$/\\1/p'", verb);
}

std::string bash(CLI::App const& description)
{
    std::string names;
    for (auto const* verb : verbs(description))
        names += fmt::format("{}{}", names.empty() ? "" : " ", verb->get_name());
    // A machine's name is anybody's text: it is quoted, and never a word list of compgen, which would expand it.
    return fmt::format(R"bash(# bash completion for chronoctl
_chronoctl() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}} verb= place=0 listing= only= word
    local -a flags=() choices=()
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case $word in -*) ;; *) if [ -z "$verb" ]; then verb=$word; else place=$((place + 1)); fi ;; esac
    done
    case $verb in
    '') flags=({}) choices=({}) only=1 ;;
{}    esac
    COMPREPLY=()
    case $current in
    -*) choices=("${{flags[@]}}") ;;
    *)
        if [ -z "$only" ]; then
            local IFS=$'\n'
            if [ -n "$listing" ]; then
                while read -r word; do
                    printf -v word %q "$word"
                    [[ $word != "$current"* ]] || COMPREPLY+=("$word")
                done < <({})
            fi
            COMPREPLY+=($(compgen -f -- "$current"))
        fi ;;
    esac
    for word in "${{choices[@]}}"; do
        [[ $word != "$current"* ]] || COMPREPLY+=("$word")
    done
}}
complete -F _chronoctl chronoctl
)bash",
        optionNames(description), names, verbCases(description), namesListed("\"$listing\""));
}

std::string zsh(CLI::App const& description)
{
    std::string names;
    for (auto const* verb : verbs(description))
        names += fmt::format("    '{}:{}'\n", verb->get_name(), quoted(verb->get_description(), "'\\''"));
    return fmt::format(R"zsh(#compdef chronoctl
_chronoctl() {{
    local current=$words[CURRENT] previous=$words[CURRENT-1] verb= place=0 listing= only= word
    local -a flags choices verbs
    verbs=(
{}    )
    for word in "${{(@)words[2,CURRENT-1]}}"; do
        case $word in -*) ;; *) if [ -z "$verb" ]; then verb=$word; else place=$((place + 1)); fi ;; esac
    done
    case $verb in
    '') flags=({}) only=1 ;;
{}    esac
    case $current in
    -*) compadd -- $flags; return ;;
    esac
    if [ -z "$verb" ]; then
        _describe verb verbs
        return
    fi
    compadd -- $choices
    [ -z "$only" ] || return 0
    [ -z "$listing" ] || compadd -- ${{(f)"$({})"}}
    _files
}}
_chronoctl "$@"
)zsh",
        names, optionNames(description), verbCases(description), namesListed("$listing"));
}

std::string fish(CLI::App const& description)
{
    std::string text = R"fish(# fish completion for chronoctl
function __chronoctl_words
    for word in (commandline -opc)[2..]
        string match -q -- '-*' $word; or echo $word
    end
end
# VERB [PLACE]: is it that one, and the next word its argument of that number?
function __chronoctl_at
    set -l words (__chronoctl_words)
    test "$words[1]" = "$argv[1]"; or return 1
    test (count $argv) -lt 2; or test (count $words) -eq (math $argv[2] + 1)
end
)fish";
    for (auto const* verb : verbs(description)) {
        auto const name = verb->get_name();
        text += fmt::format("complete -c chronoctl -f -n 'test (count (__chronoctl_words)) -eq 0' -a {} -d '{}'\n",
            name, quoted(verb->get_description(), "\\'"));
        for (auto const* option : optionsOf(*verb)) {
            auto const choices = choicesOf(*option);
            for (auto const& longName : option->get_lnames()) {
                text += fmt::format("complete -c chronoctl -n '__chronoctl_at {}' -l {}{} -d '{}'\n", name, longName,
                    option->get_expected_max() == 0 ? ""
                        : choices.empty()           ? " -r"
                                                    : fmt::format(" -x -a '{}'", choices),
                    quoted(option->get_description(), "\\'"));
            }
        }
        auto const arguments = argumentsOf(*verb);
        for (std::size_t place = 0; place < arguments.size(); ++place) {
            if (auto const choices = choicesOf(*arguments[place]); !choices.empty())
                text += fmt::format(
                    "complete -c chronoctl -f -n '__chronoctl_at {} {}' -a '{}'\n", name, place, choices);
            else if (auto const lists = listing(arguments[place]->get_name(true)); !lists.empty())
                text += fmt::format("complete -c chronoctl -n '__chronoctl_at {} {}' -a '({})'\n", name, place,
                    quoted(namesListed(lists), "\\'"));
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

/// "--pin,--unpin", as it is said; CLI11 adds what a flag stands for: "--unpin{false}".
std::string namesOf(CLI::Option const& option)
{
    auto names = option.get_name(option.get_positional(), true);
    for (std::size_t at; (at = names.find('{')) != std::string::npos;)
        names.erase(at, names.find('}', at) - at + 1);
    return names;
}

std::string roffOption(CLI::Option const& option)
{
    auto what = option.get_description();
    if (auto choices = choicesOf(option); !choices.empty()) {
        for (std::size_t at = 0; (at = choices.find(' ', at)) != std::string::npos; at += 2)
            choices.replace(at, 1, ", ");
        what += fmt::format(" ({})", choices);
    }
    if (auto const otherwise = option.get_default_str(); !otherwise.empty())
        what += fmt::format("; {} without it", otherwise);
    return fmt::format(".TP\n.B {}\n{}\n", roff(namesOf(option)), roff(what));
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
            "standard error.\n.TP\n2\nIt was called wrongly: something is missing, or does not go with the "
            "rest.\n.TP\n3\nOf \\fBrun\\fR: the guest has "
            "crashed.\n.TP\n4\nOf "
            "\\fBrun\\fR: the machine was suspended.\n.TP\n5\nOf \\fBrun\\fR: the machine was powered off from "
            "outside.\n"
            ".SH FILES\n.TP\n$XDG_DATA_HOME/chronovisor/machines/\nThe "
            "machines.\n.TP\n$XDG_RUNTIME_DIR/chronovisor/\nThe "
            "control sockets of processes that host machines.\n";
    return text;
}
}
