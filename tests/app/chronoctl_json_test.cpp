#include "app/store/whole_file.h"
#include "tests/support/chronoctl_bench.h"
#include "tests/support/suite.h"
#include "vmm/block/image.h"

#include <QJsonDocument>
#include <QJsonObject>

using namespace app;
using tests::Hosting;
using Bench = tests::ChronoctlBench;

namespace {

/// Everything that a verb does which is told by its first argument, and of `usb rule` by the second, as they are typed:
/// "disk grow". None for one that does one thing.
QStringList actionsOf(Bench& bench, QString const& verb)
{
    if (!bench.call({ verb.toStdString(), "--help" }).out.contains("\n  action TEXT:{"))
        return {};
    QStringList found;
    for (auto const& action : bench.choices(verb)) {
        auto const whole = verb + " " + action;
        // Only one with actions of its own says without anything more that it wants one of them.
        auto const said = QString::fromUtf8(bench.call({ verb.toStdString(), action.toStdString() }).err);
        if (!said.startsWith("one of ")) {
            found += whole;
            continue;
        }
        for (auto const& inner : said.section("one of ", 1).section(" is required", 0, 0).split(", "))
            found += whole + " " + inner;
    }
    return found;
}

}

/// What a program reads of chronoctl.
class ChronoctlJsonTest : public QObject {
    Q_OBJECT
private slots:
    /// Each verb of the help and each action of those that have some; one that is new needs a line here.
    void everyVerbAnswersInJson()
    {
        Bench bench;
        QStringList left;
        for (auto const& verb : bench.verbs()) {
            auto const actions = actionsOf(bench, verb);
            left += actions.isEmpty() ? QStringList(verb) : actions;
        }
        for (auto const* one : { "list", "moment export", "disk grow", "usb rule add" })
            QVERIFY2(left.contains(one), one);
        auto const check = [&](std::vector<std::string> const& line, int code = 0) {
            QStringList said;
            for (auto const& word : line) {
                said += QString::fromStdString(word);
                left.removeAll(said.join(' '));
            }
            auto const name = said.join(' ').toUtf8();
            auto words = line;
            words.insert(words.begin(), "--json");
            auto const answer = bench.call(words);
            QVERIFY2(answer.code == code, name + ": " + answer.err);
            auto const json = QJsonDocument::fromJson(code == 0 ? answer.out : answer.err);
            QVERIFY2(!json.isNull(), name + ": " + answer.out + answer.err);
            QVERIFY2(code == 0 || !json["error"]["code"].toString().isEmpty(), answer.err);
        };
        auto const cd = bench.path("some.iso"), bundle = bench.path("bundle");
        REQUIRE_OK(writeWholeFile(cd, vmm::Bytes(4096)));
        check({ "create", "web", "--cd", cd, "--net", "user", "--usb", "keyboard" });
        check({ "list" });
        check({ "show", "web" });
        check({ "validate", "web" });
        check({ "schema", "machine" });
        check({ "completion", "bash" });
        check({ "manual" });
        check({ "start", "web" }, 1); // the program that is to be left behind is /bin/false here
        check({ "restore", "web" }, 1);
        check({ "moment", "restore", "nobody", "one" }, 1);
        check({ "run", "nobody" }, 1);
        check({ "console", "nobody", "--wait", "x" }, 1);
        Hosting hosting(bench, { "web" });
        QVERIFY(hosting.isRunning("web"));
        for (std::string const verb : { "pause", "resume", "reset", "shutdown" })
            check({ verb, "web" });
        check({ "send-keys", "web", "a" });
        check({ "send-pointer", "web", "1", "2", "--click", "left" });
        check({ "send-gamepad", "web", "pad" }, 1); // it has none
        check({ "screenshot", "web", bench.path("picture.png") });
        check({ "console", "web", "--wait", "^boot$" });
        check({ "cable", "web", "out" });
        check({ "forward", "web", "tcp:2222:22" });
        check({ "insert", "web", "cd0", cd });
        check({ "eject", "web", "cd0" });
        check({ "disk", "list", "web" });
        check({ "disk", "cancel", "web", "disk0" }, 1); // nothing to cancel
        check({ "usb", "list", "web" });
        check({ "usb", "rule", "list" });
        check({ "usb", "rule", "add", "0951:1666", "--never" });
        check({ "usb", "rule", "remove", "0951:1666" });
        check({ "usb", "restore", "web" });
        check({ "usb", "foresee", "web" });
        check({ "usb", "add", "web", "mouse" });
        check({ "usb", "remove", "web", "usb-mouse-0" });
        check({ "usb", "detach", "web", "usb-keyboard-0" });
        check({ "usb", "attach", "web", "usb-keyboard-0" });
        check({ "moment", "take", "web", "one" });
        check({ "moment", "take", "web", "two" });
        check({ "moment", "list", "web" });
        check({ "moment", "change", "web", "two", "--note", "noted" });
        check({ "moment", "diff", "web", "two" });
        check({ "moment", "inspect", "web", "one" });
        check({ "moment", "export", "web", "one", "--bundle", "--to", bundle });
        check({ "moment", "export", "web", "one", "--to", bench.path("exported") });
        check({ "inspect", bench.path("exported") });
        check({ "moment", "import", bundle, "--name", "imported" });
        check({ "moment", "fork", "web", "one", "--name", "forked" });
        check({ "moment", "policy", "web" });
        check({ "moment", "prune", "web", "--dry-run" });
        check({ "moment", "verify", "web" });
        check({ "moment", "cancel", "web" });
        check({ "moment", "delete", "web", "two" });
        check({ "moment", "restore", "web", "one" });
        check({ "stop", "web" });
        hosting.end();
        Hosting again(bench, { "web" });
        QVERIFY(again.isRunning("web"));
        check({ "suspend", "web" });
        again.end();
        check({ "renew-cpu", "web" }, 1); // its saved state has it
        auto const base = bench.path("base.img"), top = bench.path("top.qcow2");
        REQUIRE_OK(vmm::createImage(base, { .format = vmm::ImageFormat::Raw, .size = 1 << 20 }));
        REQUIRE_OK(vmm::createImage(
            top, { .size = 1 << 20, .backingFile = "base.img", .backingFormat = vmm::ImageFormat::Raw }));
        check({ "create", "stacked", "--disk", top + ",format=qcow2" });
        check({ "disk", "commit", "stacked", "disk0" });
        check({ "disk", "stream", "stacked", "disk0" });
        check({ "disk", "grow", "stacked", "disk0", "2M" });
        check({ "discard-state", "web" });
        check({ "rename", "web", "site" });
        check({ "remove", "site" });
        check({ "removed" });
        check({ "bring-back", "site" });
        check({ "remove", "site" });
        check({ "empty-trash" });
        QVERIFY2(left.isEmpty(), qPrintable(left.join(", ") + " is not tried here"));
    }
};

REGISTER_SUITE(ChronoctlJsonTest);
#include "chronoctl_json_test.moc"
