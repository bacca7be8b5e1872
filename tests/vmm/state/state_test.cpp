#include "tests/support/suite.h"
#include "vmm/state/reader.h"
#include "vmm/state/schema.h"
#include "vmm/state/writer.h"

#include <nlohmann/json.hpp>

using namespace vmm;

namespace {

enum class Phase : std::uint8_t { Idle, Data };
constexpr auto stateNames(Phase)
{
    return std::to_array<std::string_view>({ "idle", "data" });
}

struct Inner {
    std::uint16_t index = 0;
    bool operator==(Inner const&) const = default;
    static void describe(auto& v, auto& s) { v.field("index", s.index, state::Range { 0, 255 }); }
};

struct Everything {
    static constexpr std::string_view kind = "everything";
    static constexpr unsigned version = 2; // 2: late; early is gone
    bool flag = false;
    std::uint8_t small = 0;
    std::uint64_t wide = 0;
    std::int64_t negative = 0;
    std::int32_t narrow = 0;
    Phase phase = Phase::Idle;
    std::string name;
    Bytes buffer;
    std::array<std::uint8_t, 4> exact {};
    std::array<std::uint32_t, 2> pair {};
    std::vector<Inner> list;
    std::optional<Inner> maybe;
    std::uint32_t late = 77;
    bool operator==(Everything const&) const = default;
    static void describe(auto& v, auto& s)
    {
        v.field("flag", s.flag);
        v.field("small", s.small);
        v.field("wide", s.wide);
        v.field("negative", s.negative);
        v.field("narrow", s.narrow);
        v.field("phase", s.phase);
        v.field("name", s.name, state::Max { 8 });
        v.field("buffer", s.buffer, state::Max { 4 });
        v.field("exact", s.exact);
        v.field("pair", s.pair);
        v.field("list", s.list, state::Max { 3 });
        v.field("maybe", s.maybe);
        v.field("late", s.late, state::Since { 2 });
        v.gone("early", state::Until { 1 });
    }
};

Everything sample()
{
    return { true, 200, 18446744073709551615u, -9000000000000000000, -5, Phase::Data, "uart", { 1, 2, 3 },
        { 4, 5, 6, 7 }, { 8, 9 }, { { 10 }, { 255 } }, Inner { 12 }, 13 };
}

struct Names {
    static constexpr std::string_view kind = "names";
    static constexpr unsigned version = 1;
    std::vector<std::string> names;
    bool operator==(Names const&) const = default;
    static void describe(auto& v, auto& s) { v.field("names", s.names, state::Max { 9 }); }
};

}

class StateTest : public QObject {
    Q_OBJECT
private slots:
    void roundTripThroughTextKeepsEveryField()
    {
        auto const text = state::toText(state::save(sample()).toJson());
        auto const json = state::parseJson(text);
        REQUIRE_OK(json);
        auto const section = Section::fromJson(*json);
        REQUIRE_OK(section);
        auto const loaded = state::load<Everything>(*section);
        REQUIRE_OK(loaded);
        QVERIFY(*loaded == sample());
    }

    void olderFileKeepsTheDefaultOfALaterField()
    {
        auto json = state::save(sample()).toJson();
        json["version"] = 1u;
        json["state"].erase("late");
        json["state"]["early"] = "whatever it was";
        auto const loaded = state::load<Everything>(*Section::fromJson(json));
        REQUIRE_OK(loaded);
        QCOMPARE(loaded->late, 77u);
    }

    void aFieldThatIsGoneBelongsToOlderFilesAlone()
    {
        auto json = state::save(sample()).toJson();
        QVERIFY(!json["state"].contains("early"));
        json["state"]["early"] = 1u;
        QVERIFY(!state::load<Everything>(*Section::fromJson(json)));
        json["version"] = 1u;
        json["state"].erase("late");
        json["state"].erase("early");
        QVERIFY(!state::load<Everything>(*Section::fromJson(json)));
    }

    void whatIsWrongIsNamed_data()
    {
        QTest::addColumn<QString>("pointer");
        QTest::addColumn<QString>("value");
        QTest::addColumn<QString>("words");
        QTest::newRow("unknown field") << "/state/extra"
                                       << "1"
                                       << "\"extra\" is unknown";
        QTest::newRow("wrong type") << "/state/flag"
                                    << "1"
                                    << "field flag: true or false";
        QTest::newRow("too large") << "/state/small"
                                   << "256"
                                   << "field small: 256 is outside 0 to 255";
        QTest::newRow("negative") << "/state/small"
                                  << "-1"
                                  << "field small";
        QTest::newRow("wide as number") << "/state/wide"
                                        << "5"
                                        << "field wide";
        QTest::newRow("wide overflow") << "/state/wide"
                                       << R"({"u64":"18446744073709551616"})"
                                       << "field wide";
        QTest::newRow("bad name") << "/state/phase"
                                  << "\"gone\""
                                  << "\"gone\" is unknown";
        QTest::newRow("long string") << "/state/name"
                                     << "\"123456789\""
                                     << "field name";
        QTest::newRow("long buffer") << "/state/buffer"
                                     << R"({"base64":"AAAAAAAA"})"
                                     << "field buffer";
        QTest::newRow("bad base64") << "/state/buffer"
                                    << R"({"base64":"A*=="})"
                                    << "field buffer";
        QTest::newRow("short exact") << "/state/exact"
                                     << R"({"base64":"AAA="})"
                                     << "field exact";
        QTest::newRow("long list") << "/state/list"
                                   << "[{},{},{},{}]"
                                   << "field list";
        QTest::newRow("bad element") << "/state/list"
                                     << R"([{"index":1},{"index":300}])"
                                     << "field list[1].index";
        QTest::newRow("missing in element") << "/state/maybe"
                                            << "{}"
                                            << "field maybe: the field \"index\" is missing";
        QTest::newRow("newer version") << "/version"
                                       << "3"
                                       << "version 3";
        QTest::newRow("version zero") << "/version"
                                      << "0"
                                      << "version 0";
    }
    void whatIsWrongIsNamed()
    {
        QFETCH(QString, pointer);
        QFETCH(QString, value);
        QFETCH(QString, words);
        auto json = state::save(sample()).toJson();
        json[Json::json_pointer(pointer.toStdString())] = Json::parse(value.toStdString());
        auto const loaded = state::load<Everything>(*Section::fromJson(json));
        QVERIFY(!loaded);
        QVERIFY2(QString::fromStdString(loaded.error().detail).contains(words), loaded.error().detail.c_str());
    }

    void missingFieldIsNamed()
    {
        auto json = state::save(sample()).toJson();
        json["state"].erase("narrow");
        auto const loaded = state::load<Everything>(*Section::fromJson(json));
        QVERIFY(!loaded);
        QVERIFY(loaded.error().detail.find("\"narrow\" is missing") != std::string::npos);
    }

    void deepNestingIsRefusedBeforeParsing()
    {
        QVERIFY(!state::parseJson(std::string(1000, '[')));
        QVERIFY(!state::parseJson("{", 1 << 20));
        QVERIFY(!state::parseJson("[1,2,3]", 3));
    }

    /// Each member is looked for among those before it: a file of a few megabytes could take minutes.
    void objectsOfTooManyMembersAreRefusedBeforeParsing()
    {
        auto const object = [](unsigned members) {
            auto text = std::string("{\"a:b\\\":\": 0");
            for (unsigned i = 1; i < members; ++i)
                text += ",\"" + std::to_string(i) + "\":{}";
            return text + "}";
        };
        auto const list = [](std::string const& element, unsigned count) {
            auto text = "[" + element;
            for (unsigned i = 1; i < count; ++i)
                text += "," + element;
            return text + "]";
        };
        auto const wide = object(2000);
        QCOMPARE(state::parseJson(wide)->size(), 2000u);
        QCOMPARE(state::parseJson(list(wide, 3))->size(), 3u);
        QCOMPARE(state::parseJson(list("{\"a\":1}", 100'000))->size(), 100'000u);
        for (auto const& text : { object(500'000), list(wide, 500), "{\"a\":[" + object(500'000) + "]}" }) {
            auto const parsed = state::parseJson(text);
            QVERIFY(!parsed);
            QCOMPARE(parsed.error().code, ErrorCode::Corrupt);
            QVERIFY(parsed.error().detail.find("too many members") != std::string::npos);
        }
    }

    void differenceNamesTheFieldThatChanged()
    {
        auto after = sample();
        after.list[1].index = 7;
        auto const differences = state::diff(state::save(sample()), state::save(after));
        QCOMPARE(differences.size(), 1u);
        QCOMPARE(differences[0].path, std::string("list[1].index"));
        QCOMPARE(differences[0].before, std::string("255"));
        QCOMPARE(differences[0].after, std::string("7"));
    }

    void differencesAreToldWithoutTheTagsOfTypes()
    {
        auto after = sample();
        after.wide = 6;
        after.maybe.reset();
        QCOMPARE(state::diff(state::save(sample()), state::save(after)),
            (std::vector<state::Difference> {
                { "wide", "18446744073709551615", "6" }, { "maybe", R"({"index":12})", "null" } }));
    }

    void differencesOfABufferSayWhere()
    {
        Json before = { { "data", { { "base64", state::base64Encode(Bytes(100)) } } } }, after = before;
        Bytes changed(100);
        changed[3] = 1;
        changed[60] = changed[65] = 0xff;
        after["data"]["base64"] = state::base64Encode(changed);
        QCOMPARE(state::diff({ "x", 1, before }, { "x", 1, after }),
            (std::vector<state::Difference> {
                { "data[3]", "00", "01" }, { "data[60..65]", "000000000000", "ff00000000ff" } }));
        after["data"]["base64"] = state::base64Encode(Bytes(20, 7));
        QCOMPARE(state::diff({ "x", 1, before }, { "x", 1, after }),
            (std::vector<state::Difference> { { "data", "00000000000000000000000000000000... (100 bytes)",
                "07070707070707070707070707070707... (20 bytes)" } }));
    }

    void whatIsDifferentEverywhereIsToldInBoundedMany()
    {
        Json before = { { "data", { { "base64", state::base64Encode(Bytes(100'000)) } } } }, after = before;
        Bytes changed(100'000);
        for (std::size_t i = 0; i < changed.size(); i += 20)
            changed[i] = 1;
        after["data"]["base64"] = state::base64Encode(changed);
        auto const differences = state::diff({ "x", 1, before }, { "x", 1, after });
        QCOMPARE(differences.size(), 64u);
        QCOMPARE(differences.back().path, std::string("data[1260..99980]"));
    }

    void whatHasAnIdIsComparedWithItsLike()
    {
        auto const device = [](char const* id, int value) { return Json { { "id", id }, { "value", value } }; };
        Json const before = { { "list", { device("a", 1), device("b", 2) } } };
        Json const after = { { "list", { device("b", 3), device("c", 4) } } };
        QCOMPARE(state::diff({ "x", 1, before }, { "x", 1, after }),
            (std::vector<state::Difference> { { "list[a]", R"({"id":"a","value":1})", "" },
                { "list[b].value", "2", "3" }, { "list[c]", "", R"({"id":"c","value":4})" } }));
    }

    void theSchemaOfAVersionHasTheFieldsOfThatTime()
    {
        auto const fields
            = [](unsigned version) { return state::sectionSchema<Everything>(version)["properties"]["state"]; };
        QVERIFY(fields(2)["properties"].contains("late") && !fields(2)["properties"].contains("early"));
        QVERIFY(!fields(1)["properties"].contains("late") && fields(1)["properties"].contains("early"));
        QCOMPARE(fields(1)["required"].size(), fields(2)["required"].size());
        QCOMPARE(fields(2)["properties"]["list"]["items"]["properties"]["index"]["maximum"].get<int>(), 255);
    }

    /// Which is what is said of their list.
    void textsOfAListHaveABound()
    {
        auto const names = state::sectionSchema<Names>(1)["properties"]["state"]["properties"]["names"];
        QCOMPARE(names["maxItems"].get<int>(), 9);
        QCOMPARE(names["items"]["maxLength"].get<int>(), 9);
        REQUIRE_OK(state::load<Names>(state::save(Names { { "123456789" } })));
        QVERIFY(!state::load<Names>(state::save(Names { { "1234567890" } })));
        QCOMPARE(state::schemaText<Names>(), std::string("names version 1\nnames list max=9 string\n"));
    }

    void schemaListsEveryFieldWithItsBounds()
    {
        auto const text = state::schemaText<Everything>();
        QVERIFY(text.starts_with("everything version 2\nflag bool\nsmall u8\nwide u64\n"));
        QVERIFY(text.find("phase one of idle|data\n") != std::string::npos);
        QVERIFY(text.find("list list max=3 {\n  index u16 min=0 max=255\n}\n") != std::string::npos);
        QVERIFY(text.find("late since=2 u32\n") != std::string::npos);
    }

    void base64MatchesRfc4648Vectors()
    {
        QCOMPARE(state::base64Encode(bytesOf("foob")), std::string("Zm9vYg=="));
        QCOMPARE(state::base64Encode(bytesOf("foobar")), std::string("Zm9vYmFy"));
        auto const decoded = state::base64Decode("Zm9vYg==");
        REQUIRE_OK(decoded);
        QCOMPARE(*decoded, Bytes({ 'f', 'o', 'o', 'b' }));
        QVERIFY(!state::base64Decode("Zg=a"));
    }
};

REGISTER_SUITE(StateTest);
#include "state_test.moc"
