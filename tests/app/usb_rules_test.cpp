#include "app/store/whole_file.h"
#include "app/usb/usb_rule_store.h"
#include "tests/battery/battery.h"
#include "tests/support/suite.h"

#include <QProcess>
#include <QTemporaryDir>
#include <QTest>
#include <algorithm>
#include <sys/stat.h>
#include <thread>

using namespace app;
using vmm::ErrorCode;

namespace {

vmm::HostUsbInfo stick()
{
    vmm::HostUsbInfo info;
    info.port = "1-2.3";
    info.vendor = 0x0951;
    info.product = 0x1666;
    info.manufacturer = "Kingston";
    info.name = "DataTraveler";
    info.serial = "AB12";
    info.interfaceClasses = { 0x03, 0x08 };
    return info;
}

UsbRule ruleFor(std::string_view match, UsbAction action, std::string machine = {})
{
    return { tests::must(parseUsbMatch(match)), action, std::move(machine), {} };
}

UsbRules rulesOf(std::vector<UsbRule> const& list)
{
    UsbRules rules;
    for (auto const& rule : list)
        tests::must(rules.set(rule));
    return rules;
}

std::string heldBy(UsbRules const& rules, vmm::HostUsbInfo const& device)
{
    auto const* const rule = rules.ruleFor(device);
    return rule ? usbMatchText(rule->match) : "none";
}

/// JSON that is easier to read in C++.
std::string quoted(std::string json)
{
    std::replace(json.begin(), json.end(), '\'', '"');
    return json;
}

struct Place {
    QTemporaryDir directory;
    UsbRuleStore store { directory.path().toStdString() };

    void write(std::string const& text) const { tests::must(writeWholeFile(store.path(), vmm::bytesOf(text))); }
    std::string text() const { return readWholeFile(store.path(), 1u << 20).value_or(std::string()); }
};

}

class UsbRulesTest final : public QObject {
    Q_OBJECT
private slots:
    void layoutOfTheFile() { tests::goldenSchema<UsbRules>(); }

    void matchesAreReadAsTheyAreWritten_data()
    {
        QTest::addColumn<QString>("text");
        for (auto const* text : { "any", "0951:1666", "0951:*", "class=08", "port=1-2.3", "serial=AB,12=x",
                 "0951:1666,class=08,port=1-2.3,serial=a b" })
            QTest::addRow("%s", text) << text;
    }
    void matchesAreReadAsTheyAreWritten()
    {
        QFETCH(QString, text);
        QCOMPARE(usbMatchText(tests::must(parseUsbMatch(text.toStdString()))), text.toStdString());
    }

    void whatIsNoMatchIsRefused_data()
    {
        QTest::addColumn<QString>("text");
        for (auto const* text : { "", "0951", "0951:", ":1666", "*:1666", "09510:1666", "0951:16666", "0951:1666,", ",",
                 "class=", "class=100", "class=-1", "class=0x", "port=", "port=../../etc", "serial=", "any,class=08",
                 "0951:1666,0951:1667", "class=08,class=03", "port=1-1,port=1-2", "vendor=0951" })
            QTest::addRow("%s", text) << text;
    }
    void whatIsNoMatchIsRefused()
    {
        QFETCH(QString, text);
        QCOMPARE(parseUsbMatch(text.toStdString()).error().code, ErrorCode::InvalidArgument);
    }

    void allThatIsSaidMustFit()
    {
        auto const fits = [](char const* match) { return tests::must(parseUsbMatch(match)).fits(stick()); };
        QVERIFY(fits("any") && fits("0951:1666") && fits("0951:*") && fits("class=08") && fits("class=03"));
        QVERIFY(fits("0951:1666,class=08,port=1-2.3,serial=AB12"));
        QVERIFY(!fits("0951:1667") && !fits("0952:1666") && !fits("class=01") && !fits("class=00,port=1-2"));
        QVERIFY(!fits("port=1-2") && !fits("serial=AB1") && !fits("0951:1666,serial=AB13"));
    }

    void theMostSpecificRuleHoldsInWhateverOrder()
    {
        std::vector<UsbRule> list;
        for (auto const* match : { "any", "class=08", "0951:*", "0951:*,class=08", "0951:1666", "port=1-2.3",
                 "port=1-2.3,0951:1666", "serial=AB12" })
            list.push_back(ruleFor(match, UsbAction::Ask));
        while (!list.empty()) {
            auto const expected = usbMatchText(list.back().match);
            QCOMPARE(heldBy(rulesOf(list), stick()), expected);
            std::vector const reversed(list.rbegin(), list.rend());
            QCOMPARE(heldBy(rulesOf(reversed), stick()), expected);
            list.pop_back();
        }
        QCOMPARE(heldBy({}, stick()), "none");
    }

    void ofTwoClassesTheMoreCarefulRuleHolds()
    {
        auto const attach = ruleFor("class=03", UsbAction::Attach, "web"),
                   never = ruleFor("class=08", UsbAction::Never);
        QCOMPARE(heldBy(rulesOf({ attach, never }), stick()), "class=08");
        QCOMPARE(heldBy(rulesOf({ never, attach }), stick()), "class=08");
        auto const ask = ruleFor("class=08", UsbAction::Ask);
        QCOMPARE(heldBy(rulesOf({ ask, attach }), stick()), "class=08");
        auto const other = ruleFor("class=08", UsbAction::Attach, "db");
        QCOMPARE(heldBy(rulesOf({ other, attach }), stick()), "class=03"); // the lower one
    }

    void theSameMatchReplacesItsRule()
    {
        auto rules = rulesOf({ ruleFor("0951:1666", UsbAction::Ask), ruleFor("0951:1666", UsbAction::Attach, "web") });
        QCOMPARE(rules.rules.size(), 1u);
        QCOMPARE(rules.rules.front().machine, "web");
        QCOMPARE(rules.remove(tests::must(parseUsbMatch("0951:*"))).error().code, ErrorCode::NotFound);
        REQUIRE_OK(rules.remove(tests::must(parseUsbMatch("0951:1666"))));
        QVERIFY(rules.rules.empty());
    }

    void oneThatIsAddedReplacesNone()
    {
        auto rules = rulesOf({ ruleFor("0951:1666", UsbAction::Attach, "web") });
        auto const before = rules;
        QCOMPARE(rules.add(ruleFor("0951:1666", UsbAction::Ask)).error().code, ErrorCode::AlreadyExists);
        QCOMPARE(rules, before);
        REQUIRE_OK(rules.add(ruleFor("0951:*", UsbAction::Ask)));
        QCOMPARE(rules.rules.size(), 2u);
    }

    void aRuleCanBeForOthers()
    {
        auto const match = [](char const* text) { return tests::must(parseUsbMatch(text)); };
        auto named = ruleFor("0951:1666", UsbAction::Attach, "web");
        named.name = "Kingston DataTraveler";
        auto rules = rulesOf({ named, ruleFor("class=08", UsbAction::Never) });
        REQUIRE_OK(rules.setMatch(match("0951:1666"), match("0951:1666,port=1-2")));
        named.match.port = "1-2";
        QCOMPARE(rules.rules.front(), named);
        REQUIRE_OK(rules.setMatch(named.match, match("0951:*")));
        QCOMPARE(rules.rules.front(), ruleFor("0951:*", UsbAction::Attach, "web")); // it is no DataTraveler's any more

        auto const before = rules;
        QCOMPARE(rules.setMatch(match("0951:*"), match("class=08")).error().code, ErrorCode::AlreadyExists);
        QCOMPARE(rules.setMatch(match("0951:1666"), match("class=03")).error().code, ErrorCode::NotFound);
        QCOMPARE(rules.setMatch(match("0951:*"), match("any")).error().code, ErrorCode::InvalidArgument);
        REQUIRE_OK(rules.setMatch(match("0951:*"), match("0951:*")));
        QCOMPARE(rules, before);
    }

    void whatWouldTakeEverythingIsRefused()
    {
        UsbRules rules;
        QCOMPARE(rules.set(ruleFor("any", UsbAction::Attach, "web")).error().code, ErrorCode::InvalidArgument);
        QCOMPARE(rules.set(ruleFor("0951:1666", UsbAction::Attach)).error().code, ErrorCode::InvalidArgument);
        QCOMPARE(rules.set(ruleFor("0951:1666", UsbAction::Ask, "web")).error().code, ErrorCode::InvalidArgument);
        UsbRule product = ruleFor("0951:1666", UsbAction::Ask);
        product.match.vendor.reset();
        QCOMPARE(rules.set(product).error().code, ErrorCode::InvalidArgument);
        auto escape = ruleFor("0951:1666", UsbAction::Ask);
        escape.name = "\x1b[2J";
        QCOMPARE(rules.set(escape).error().code, ErrorCode::InvalidArgument);
        REQUIRE_OK(rules.set(ruleFor("any", UsbAction::Never)));
        QCOMPARE(rules.rules.size(), 1u);
    }

    void thereAreNotMoreRulesThanAFileMayHold()
    {
        UsbRules rules;
        auto rule = ruleFor("0951:0000", UsbAction::Ask);
        for (std::size_t i = 0; i < UsbRules::mostRules; ++i) {
            rule.match.product = static_cast<std::uint16_t>(i);
            REQUIRE_OK(rules.set(rule));
        }
        REQUIRE_OK(rules.set(rule)); // in place of itself
        rule.match.product = 0xffff;
        QCOMPARE(rules.set(rule).error().code, ErrorCode::InvalidArgument);
    }

    void alwaysMeansTheDeviceAndNoOtherOfItsKind()
    {
        auto const rule = alwaysAttach(stick(), "web");
        QCOMPARE(usbMatchText(rule.match), "0951:1666,serial=AB12");
        QCOMPARE(rule.name, "Kingston DataTraveler");
        auto elsewhere = stick();
        elsewhere.port = "2-1";
        QVERIFY(rule.match.fits(elsewhere));
        elsewhere.serial = "AB13";
        QVERIFY(!rule.match.fits(elsewhere));
    }

    void namesAreThoseOfTheDevice()
    {
        auto device = stick();
        device.name = "Kingston Stick";
        QCOMPARE(usbDeviceName(device), "Kingston Stick");
        device.name.clear();
        QCOMPARE(usbDeviceName(device), "Kingston");
        device.manufacturer.clear();
        QCOMPARE(usbDeviceName(device), "0951:1666");
    }

    void thePolicyOfARestoreIsPerMachine()
    {
        UsbRules rules;
        rules.setRestore("web", UsbRestore::Ask);
        rules.setRestore("web", UsbRestore::Leave);
        QCOMPARE(rules.restoreOf("web"), UsbRestore::Leave);
        QCOMPARE(rules.restoreOf("db"), UsbRestore::Attach);
        rules.setRestore("web", UsbRestore::Attach);
        QVERIFY(rules.machines.empty());
    }

    void whatIsChangedIsThereForOthers()
    {
        Place const place;
        QVERIFY(tests::must(place.store.read()).rules.empty()); // no file
        REQUIRE_OK(place.store.change([](UsbRules& rules) {
            rules.setRestore("web", UsbRestore::Ask);
            return rules.set(alwaysAttach(stick(), "web"));
        }));
        auto const read = tests::must(UsbRuleStore(place.store.directory()).read());
        QCOMPARE(heldBy(read, stick()), "0951:1666,serial=AB12");
        QCOMPARE(read.restoreOf("web"), UsbRestore::Ask);
        // What is refused changes nothing.
        auto const refuse = [](UsbRules& rules) {
            rules.rules.clear();
            return vmm::Result<>(vmm::fail(ErrorCode::Cancelled, "no"));
        };
        QCOMPARE(place.store.change(refuse).error().code, ErrorCode::Cancelled);
        QCOMPARE(tests::must(place.store.read()), read);
    }

    void hostileFilesAreRefusedAndStay_data()
    {
        QTest::addColumn<QString>("state");
        QTest::addRow("no list") << "{'rules': 7}";
        QTest::addRow("unknown field") << "{'rules': [], 'everything': true}";
        QTest::addRow("attaches everything") << "{'rules': [{'match': {}, 'action': 'attach', 'machine': 'web'}]}";
        QTest::addRow("attaches to nobody") << "{'rules': [{'match': {'vendor': 1}, 'action': 'attach'}]}";
        QTest::addRow("unknown action") << "{'rules': [{'match': {'vendor': 1}, 'action': 'steal'}]}";
        QTest::addRow("vendor too large") << "{'rules': [{'match': {'vendor': 65536}, 'action': 'ask'}]}";
        QTest::addRow("negative class") << "{'rules': [{'match': {'class': -1}, 'action': 'ask'}]}";
        QTest::addRow("product alone") << "{'rules': [{'match': {'product': 1}, 'action': 'ask'}]}";
        QTest::addRow("a port that is a path") << "{'rules': [{'match': {'port': '../x'}, 'action': 'ask'}]}";
        QTest::addRow("escape sequence")
            << "{'rules': [{'match': {'vendor': 1}, 'action': 'ask', 'name': '\\u001b]0;x'}]}";
        QTest::addRow("8-bit escape") << "{'rules': [{'match': {'serial': '\\u009b2J'}, 'action': 'ask'}]}";
        QTest::addRow("twice the same")
            << "{'rules': [{'match': {'vendor': 1}, 'action': 'ask'}, {'match': {'vendor': 1}, 'action': 'never'}]}";
        QStringList const many(257, "{'match': {}, 'action': 'ask'}");
        QTest::addRow("too many") << QString("{'rules': [%1]}").arg(many.join(','));
        QTest::addRow("too long")
            << QString("{'rules': [{'match': {'serial': '%1'}, 'action': 'ask'}]}").arg(QString(257, 'x'));
        QTest::addRow("no JSON") << "{";
    }
    void hostileFilesAreRefusedAndStay()
    {
        QFETCH(QString, state);
        Place const place;
        auto const text = quoted("{'kind': 'usb-rules', 'version': 1, 'state': " + state.toStdString() + "}");
        place.write(text);
        QVERIFY(!place.store.read());
        QVERIFY2(place.store.read().error().detail.find(place.store.path()) != std::string::npos, "says which file");
        QVERIFY(!place.store.change([](UsbRules& rules) { return rules.set(alwaysAttach(stick(), "web")); }));
        QCOMPARE(place.text(), text);
    }

    void whatIsNoFileIsNotWaitedFor()
    {
        Place const place;
        ::mkfifo(place.store.path().c_str(), 0600);
        QCOMPARE(place.store.read().error().code, ErrorCode::InvalidArgument);
    }

    void aLaterVersionIsLeftAlone()
    {
        Place const place;
        place.write(quoted("{'kind': 'usb-rules', 'version': 2, 'state': {}}"));
        QCOMPARE(place.store.read().error().code, ErrorCode::VersionTooNew);
        place.write(quoted("{'kind': 'something', 'version': 1, 'state': {}}"));
        QVERIFY(!place.store.read());
    }

    void nothingIsLostWhenSeveralChangeThemAtOnce()
    {
        constexpr unsigned writers = 4, each = 8;
        Place const place;
        std::vector<std::thread> threads;
        std::atomic<unsigned> failed = 0;
        for (unsigned writer = 0; writer < writers; ++writer) {
            threads.emplace_back([&, writer] {
                UsbRuleStore const own(place.store.directory());
                for (unsigned i = 0; i < each; ++i) {
                    auto rule = ruleFor("0951:0000", UsbAction::Ask);
                    rule.match.product = static_cast<std::uint16_t>(writer * each + i);
                    if (!own.change([&](UsbRules& rules) { return rules.set(rule); }))
                        ++failed;
                }
            });
        }
        for (auto& thread : threads)
            thread.join();
        QCOMPARE(failed.load(), 0u);
        QCOMPARE(tests::must(place.store.read()).rules.size(), std::size_t(writers * each));
    }

    void norWhenTheyAreProcesses()
    {
        constexpr int processes = 6;
        QTemporaryDir const data;
        auto environment = QProcessEnvironment::systemEnvironment();
        environment.insert("XDG_DATA_HOME", data.path());
        std::vector<std::unique_ptr<QProcess>> running;
        for (int i = 0; i < processes; ++i) {
            auto& process = *running.emplace_back(std::make_unique<QProcess>());
            process.setProcessEnvironment(environment);
            process.start(CHRONOVISOR_BINARY "/bin/chronoctl",
                { "usb", "rule", "add", QStringLiteral("0951:000%1").arg(i), "--ask" });
        }
        for (auto const& process : running) {
            QVERIFY(process->waitForFinished());
            QCOMPARE(process->exitCode(), 0);
        }
        UsbRuleStore const store(data.filePath("chronovisor").toStdString());
        QCOMPARE(tests::must(store.read()).rules.size(), std::size_t(processes));
    }
};

REGISTER_SUITE(UsbRulesTest);
#include "usb_rules_test.moc"
