#include "tests/battery/battery.h"

#include <QFile>
#include <nlohmann/json.hpp>
#include <random>

namespace tests {

void compareWithGolden(std::string_view kind, unsigned version, std::string const& schema)
{
    auto const text = QByteArray::fromStdString(schema);
    QFile file(QStringLiteral(CHRONOVISOR_TEST_DATA "/golden/state/%1.v%2.txt")
                   .arg(QString::fromUtf8(kind.data(), qsizetype(kind.size())))
                   .arg(version));
    if (qEnvironmentVariableIsSet("CHRONOVISOR_REWRITE_GOLDEN")) {
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(text);
        return;
    }
    QVERIFY2(file.open(QIODevice::ReadOnly),
        qPrintable(file.fileName() + ": no golden schema; a changed layout needs a new version, a new one this file"));
    QCOMPARE(QString::fromUtf8(text), QString::fromUtf8(file.readAll()));
}

void accessAtRandom(vmm::BusHandler& handler, std::uint64_t size, unsigned seed, int count)
{
    std::mt19937 random(seed);
    for (int i = 0; i < count; ++i) {
        auto const offset = random() % size;
        auto const length = std::min<std::uint64_t>(size - offset, std::uint64_t(1) << (random() % 4));
        std::uint64_t value = random();
        vmm::ByteSpan const data = vmm::writableBytesOf(value).first(length);
        std::lock_guard const lock(handler.busMutex());
        if (random() % 2 == 0)
            handler.read(offset, data);
        else
            handler.write(offset, data);
    }
}

void runBattery(MakeDevice const& make, DisturbDevice const& disturb, std::vector<std::string> const& keeps)
{
    auto const fresh = make();
    auto const asNew = fresh->save();
    REQUIRE_OK(fresh->canSave());

    auto const used = make();
    disturb(*used);
    auto const state = used->save();
    QVERIFY2(state != asNew, "disturb() changes nothing that is saved");
    QVERIFY2(used->save() == state, "saving changes the device");

    auto const other = make();
    REQUIRE_OK(other->load(state));
    QVERIFY2(other->save() == state, "what was loaded is not what was saved");

    used->reset();
    auto expected = asNew.toJson();
    for (auto const& field : keeps)
        expected["state"].at(field) = state.toJson()["state"].at(field);
    QVERIFY2(used->save().toJson() == expected, "a reset device is not like a new one");

    // Files that are wrong change nothing.
    auto const refuse = [&](vmm::Json const& json, char const* what) {
        auto const section = vmm::Section::fromJson(json);
        QVERIFY2(!section || !other->load(*section), what);
        QVERIFY2(other->save() == state, what);
    };
    auto const good = state.toJson();
    auto bad = good;
    bad["state"]["fieldFromTheFuture"] = 1u;
    refuse(bad, "an unknown field is accepted");
    bad = good;
    bad["version"] = 1'000u;
    refuse(bad, "a newer version is accepted");
    bad = good;
    bad["kind"] = "another-kind";
    refuse(bad, "another kind is accepted");
    for (auto const& [key, value] : good["state"].items()) {
        bad = good;
        bad["state"].erase(key);
        refuse(bad, ("a file without " + key + " is accepted").c_str());
        bad = good;
        bad["state"][key] = { { "no", "such type" } };
        refuse(bad, ("a wrong type of " + key + " is accepted").c_str());
    }
}

void runStatelessBattery(MakeDevice const& make)
{
    auto const device = make();
    REQUIRE_OK(device->canSave());
    auto const saved = device->save();
    QVERIFY2(saved.toJson()["state"].empty(), "it has state");
    REQUIRE_OK(device->load(saved));
    auto bad = saved.toJson();
    bad["state"]["fieldFromTheFuture"] = 1u;
    QVERIFY(!device->load(*vmm::Section::fromJson(bad)));
    bad = saved.toJson();
    bad["kind"] = "another-kind";
    QVERIFY(!device->load(*vmm::Section::fromJson(bad)));
}

}
