#include "tests/support/chronoctl_bench.h"

#include <QMap>
#include <QProcess>
#include <QStandardPaths>

using namespace app;
using Bench = tests::ChronoctlBench;

namespace {

/// What a real shell offers, or makes of each line, when Tab is pressed at its end, with chronoctl and its machines at
/// hand.
QMap<QString, QStringList> completions(Bench& bench, QString const& shell, QStringList const& lines)
{
    // zsh completes at a prompt alone. That is on a terminal of zsh's own; a widget writes down what could be inserted.
    static constexpr char zsh[] = R"(
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "cd $HOME; fpath=($HOME \$fpath); autoload -U compinit; compinit -D -u; . $HOME/capture; touch ready"
repeat 300; do [ -f $HOME/ready ] && break; sleep 0.1; done
i=0
for line; do
    zpty -w -n shell "$line"$'\x18'
    ((++i))
    repeat 3000; do [[ $(grep -c '^=$' $HOME/offered) -ge $i ]] && break; sleep 0.01; done
done
zpty -d shell
cat $HOME/offered
)";
    static constexpr char capture[] = R"(
: > $HOME/offered
setopt no_auto_list no_beep
compadd() {
    [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]] && { builtin compadd "$@"; return $?; }
    local -a offered
    builtin compadd -A offered "$@"
    print -rl -- $offered >> $HOME/offered
    builtin compadd "$@"
}
finish() { zle complete-word; print = >> $HOME/offered; BUFFER=; }
zle -N finish
bindkey '^X' finish
zle -C complete-word complete-word _main_complete
)";
    static constexpr char bash[] = R"(
. ./script
for line; do
    read -ra COMP_WORDS <<<"$line"
    [[ $line != *' ' ]] || COMP_WORDS+=('')
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _chronoctl
    printf '%s\n' "${COMPREPLY[@]}" =
done
)";
    static constexpr char fish[] = R"(
. ./script
for line in $argv
    complete -C $line
    echo =
end
)";
    QDir const home(bench.directory.path());
    auto const put = [&](char const* name, std::string_view text) {
        tests::must(app::writeWholeFile(bench.path(name), vmm::bytesOf(text)));
    };
    auto const script = bench.call({ "completion", shell.toStdString() }).out.toStdString();
    put("script", script);
    put("_chronoctl", script);
    put("capture", capture);
    QDir().mkpath(home.filePath("runtime"));
    QFile::link(home.filePath("data"), home.filePath("chronovisor"));
    QProcess process;
    auto environment = QProcessEnvironment::systemEnvironment();
    environment.insert("HOME", home.path());
    environment.insert("XDG_DATA_HOME", home.path());
    environment.insert("XDG_RUNTIME_DIR", home.filePath("runtime"));
    environment.insert("PATH", CHRONOVISOR_BINARY "/bin:" + environment.value("PATH"));
    process.setProcessEnvironment(environment);
    process.setWorkingDirectory(home.path());
    QMap<QString, QStringList> const arguments { { "bash", { "--norc", "-c", bash, "bash" } },
        { "fish", { "--no-config", "-c", fish } }, { "zsh", { "-f", "-c", zsh, "zsh" } } };
    process.start(shell, arguments[shell] + lines);
    if (!process.waitForFinished(60000))
        process.kill();
    QMap<QString, QStringList> found;
    auto line = lines.begin();
    for (auto const& one : QString::fromUtf8(process.readAllStandardOutput()).split('\n', Qt::SkipEmptyParts)) {
        if (one == "=")
            ++line;
        else if (line != lines.end() && !found[*line].contains(one.section('\t', 0, 0)))
            found[*line] += one.section('\t', 0, 0);
    }
    return found;
}

}

/// Completion for bash, zsh and fish.
class CompletionTest : public QObject {
    Q_OBJECT
private slots:
    void theShellsComplete_data()
    {
        QTest::addColumn<QString>("shell");
        QTest::addRow("bash") << "bash";
        QTest::addRow("zsh") << "zsh";
        QTest::addRow("fish") << "fish";
    }
    /// As the real shell does it: what it makes of a line, when the Tab key is pressed at its end.
    void theShellsComplete()
    {
        QFETCH(QString, shell);
        if (QStandardPaths::findExecutable(shell).isEmpty())
            QSKIP(qPrintable("CHRONOVISOR-SKIP: no " + shell + " installed"));
        Bench bench;
        QCOMPARE(bench.call({ "create", "web server" }).code, 0);
        QCOMPARE(bench.call({ "create", "$(touch taken)" }).code, 0);
        QMap<QString, QStringList> const wanted { { "chronoctl ", bench.verbs() },
            { "chronoctl send-k", { "send-keys" } }, { "chronoctl --json send-k", { "send-keys" } },
            { "chronoctl suspend --keep", { "--keep-running" } }, { "chronoctl moment ", bench.choices("moment") },
            { "chronoctl moment pru", { "prune" } }, { "chronoctl completion f", { "fish" } },
            { "chronoctl create web --firmware o", { "ovmf" } }, { "chronoctl run --ready", {} } };
        // A machine, where one is to be named, in the shell's own quotes.
        QStringList const wantsMachine { "chronoctl start we", "chronoctl moment take we", "chronoctl cable we" };
        QCOMPARE(bench.call({ "create", "gone" }).code, 0);
        QCOMPARE(bench.call({ "remove", "gone" }).code, 0);
        auto const found = completions(
            bench, shell, wanted.keys() + wantsMachine + QStringList { "chronoctl start ", "chronoctl bring-back " });
        for (auto line = wanted.begin(); line != wanted.end(); ++line) {
            auto offered = found[line.key()], expected = line.value();
            offered.sort();
            expected.sort();
            QVERIFY2(offered == expected, qPrintable(line.key() + ": " + offered.join(' ')));
        }
        for (auto const& line : wantsMachine)
            QVERIFY2(found[line].contains(shell == "fish" ? "web server" : "web\\ server"),
                qPrintable(line + ": " + found[line].join(' ')));
        QVERIFY(found["chronoctl start "].size() >= 2);
        QVERIFY(!found["chronoctl start "].contains("gone"));
        QVERIFY2(found["chronoctl bring-back "].contains("gone"), qPrintable(found["chronoctl bring-back "].join(' ')));
        QVERIFY(!found["chronoctl bring-back "].contains(shell == "fish" ? "web server" : "web\\ server"));
        QVERIFY(!QFile::exists(bench.directory.filePath("taken"))); // a name is never run
    }

    void completionKnowsEveryOption_data() { theShellsComplete_data(); }
    void completionKnowsEveryOption()
    {
        QFETCH(QString, shell);
        Bench bench;
        auto const script = bench.call({ "completion", shell.toStdString() }).out;
        for (auto const& verb : bench.verbs()) {
            for (auto const& option : bench.options(verb))
                QVERIFY2(script.contains(option.toUtf8().mid(2)), qPrintable(verb + " " + option));
        }
        QVERIFY(!script.contains("ready-fd"));
    }
};

REGISTER_SUITE(CompletionTest);
#include "completion_test.moc"
