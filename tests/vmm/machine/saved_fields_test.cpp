#include "tests/support/each_value.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/machine/saved_machine.h"

#include <QDir>

using namespace vmm;

namespace {

QString const goldenFolder = QStringLiteral(CHRONOVISOR_TEST_DATA "/golden/moments");

/// The state of a machine with all that there can be, as this version writes it: what a release has kept as a moment,
/// with a file of memory and one of a disk's, as what is suspended has them.
Json suspendedState(QString const& golden)
{
    auto const timeline = tests::openTimeline(
        (goldenFolder + "/" + golden + "/timeline").toStdString(), timeline::Timeline::Access::ReadOnly);
    auto saved = tests::must(savedMachineAt(*timeline, timeline->moments().front().id));
    for (auto& part : saved.parts)
        part.section = tests::must(currentSection(part));
    saved.header.ram = { 64 << 20, { { "ram", 0, 64 << 20 } }, Bytes(64 * 8, 1) };
    saved.header.files = { { "disk0", "/disk0.qcow2", 196'608, 1'700'000'000'000'000'000 } };
    return savedMachineToJson(saved);
}

}

/// Each field of a machine's state, and how they are put together, is looked at before anything is made of it.
class SavedFieldsTest final : public QObject {
    Q_OBJECT

private slots:
    void eachFieldIsChecked_data() { everyVendor(); }
    void eachFieldIsChecked();
    void structureIsChecked();

private:
    static void everyVendor()
    {
        QTest::addColumn<QString>("golden");
        for (auto const& folder : QDir(goldenFolder).entryList({ "*-everything-*" }, QDir::Dirs))
            QTest::newRow(qPrintable(folder)) << folder;
    }
};

void SavedFieldsTest::eachFieldIsChecked()
{
    QFETCH(QString, golden);
    auto const state = suspendedState(golden);
    REQUIRE_OK(savedMachineFromJson(state));
    unsigned fields = 0;
    QStringList accepted;
    // One part at a time, because a state with all of them takes long to copy.
    auto const check = [&](Json const& whole) {
        auto const tryWith = [&](Json const& bad, std::string const& what) {
            if (savedMachineFromJson(bad))
                accepted << QString::fromStdString(what);
        };
        tests::eachValue(whole, Json::json_pointer(), [&](Json::json_pointer const& at) {
            if (at.empty())
                return;
            ++fields;
            auto bad = whole;
            bad[at] = { { "no", "such type" } };
            tryWith(bad, "another type for " + at.to_string());
            auto const& parent = whole[at.parent_pointer()];
            // Much of a configuration need not be said, and nothing was asked for in the oldest states.
            if (!parent.is_object() || at.to_string().starts_with("/config/state/")
                || at.to_string() == "/header/state/requested")
                return;
            bad = whole;
            bad[at.parent_pointer()].erase(at.back());
            tryWith(bad, "without " + at.to_string());
        });
    };
    auto whole = state;
    whole["parts"] = Json::array();
    check(whole);
    for (auto const& part : state["parts"]) {
        Json const one = { { "format", state["format"] }, { "formatVersion", state["formatVersion"] },
            { "header", state["header"] }, { "config", state["config"] }, { "parts", Json::array({ part }) } };
        auto light = one;
        tests::eachValue(part, Json::json_pointer("/parts/0"), [&](Json::json_pointer const& at) {
            ++fields;
            light[at] = { { "no", "such type" } };
            if (savedMachineFromJson(light))
                accepted << QString::fromStdString(
                    part["id"].get<std::string>() + ": another type for " + at.to_string());
            light["parts"][0] = part;
            auto const& parent = light[at.parent_pointer()];
            if (!parent.is_object())
                return;
            light[at.parent_pointer()].erase(at.back());
            if (savedMachineFromJson(light))
                accepted << QString::fromStdString(part["id"].get<std::string>() + ": without " + at.to_string());
            light["parts"][0] = part;
        });
    }
    QVERIFY2(fields > 800, qPrintable(QString::number(fields)));
    QVERIFY2(accepted.isEmpty(), qPrintable(accepted.join('\n')));
}

void SavedFieldsTest::structureIsChecked()
{
    auto const state = suspendedState(QDir(goldenFolder).entryList({ "*-everything-*" }, QDir::Dirs).first());
    auto const refused = [&](std::function<void(Json&)> const& spoil, char const* says) {
        auto bad = state;
        spoil(bad);
        auto const loaded = savedMachineFromJson(bad);
        bool const good = !loaded && loaded.error().detail.find(says) != std::string::npos;
        if (!good)
            qWarning("\"%s\" is not in \"%s\"", says, loaded ? "" : loaded.error().detail.c_str());
        return good;
    };
    QVERIFY(refused([](Json& json) { json["formatVersion"] = 2u; }, "format version 2"));
    QVERIFY(refused([](Json& json) { json["format"] = "another"; }, "not the state of a machine"));
    QVERIFY(refused([](Json& json) { json["more"] = 1; }, "more"));
    QVERIFY(refused([](Json& json) { json["parts"].push_back(json["parts"][0]); }, "two parts are called"));
    QVERIFY(refused([](Json& json) { json["parts"][0]["kind"] = "flux-capacitor"; }, "flux-capacitor"));
    QVERIFY(refused(
        [](Json& json) { json["parts"][0]["version"] = 1000u; }, state["parts"][0]["id"].get<std::string>().c_str()));
    QVERIFY(refused([](Json& json) { json["parts"] = std::vector<int>(maximumSavedParts + 1); }, "list of parts"));
    QVERIFY(refused([](Json& json) { json["config"]["state"]["cpus"] = 17u; }, "17 is outside 1 to 16"));
}

REGISTER_SUITE(SavedFieldsTest);
#include "saved_fields_test.moc"
