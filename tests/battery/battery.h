#pragma once

#include "tests/support/suite.h"
#include "vmm/bus/device.h"
#include "vmm/state/schema.h"

#include <QFile>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>

/// What must be true of every device, in one line of its test: `tests::battery<Uart16550>(make)`, where `make` returns
/// a fresh device (as a std::unique_ptr) on surroundings that outlive the call.
namespace tests {

/// The layout of State is the one in tests/golden/state/KIND.vVERSION.txt. With CHRONOVISOR_REWRITE_GOLDEN=1 in the
/// environment (target `rewrite-golden`) the file is written instead; the difference belongs in the commit.
template<typename State>
void goldenSchema()
{
    auto const text = QByteArray::fromStdString(vmm::state::schemaText<State>());
    QFile file(QStringLiteral(CHRONOVISOR_TEST_DATA "/golden/state/%1.v%2.txt")
                   .arg(QString::fromUtf8(State::kind.data(), qsizetype(State::kind.size())))
                   .arg(State::version));
    if (qEnvironmentVariableIsSet("CHRONOVISOR_REWRITE_GOLDEN")) {
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(text);
        return;
    }
    QVERIFY2(file.open(QIODevice::ReadOnly),
        qPrintable(file.fileName() + ": no golden schema; a changed layout needs a new version, a new one this file"));
    QCOMPARE(QString::fromUtf8(text), QString::fromUtf8(file.readAll()));
}

/// Makes random accesses on a handler: none may crash, whatever the device is told.
inline void accessAtRandom(vmm::BusHandler& handler, std::uint64_t size, unsigned seed, int count = 20000)
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

/// `disturb` brings a device into some state that is not the one after reset. `keeps` names the fields that outlive a
/// reset: what a battery keeps.
template<typename DeviceType>
void battery(std::function<std::unique_ptr<DeviceType>()> const& make, std::function<void(DeviceType&)> const& disturb,
    std::vector<std::string> const& keeps = {})
{
    goldenSchema<typename DeviceType::State>();
    if (QTest::currentTestFailed())
        return;

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

/// The battery's counterpart for a device that remembers nothing.
template<typename DeviceType>
void statelessBattery(std::function<std::unique_ptr<DeviceType>()> const& make)
{
    goldenSchema<typename DeviceType::State>();
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
