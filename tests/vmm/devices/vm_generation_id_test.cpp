#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "vmm/devices/vm_generation_id.h"
#include "vmm/memory/layout.h"

#include <nlohmann/json.hpp>

using namespace vmm;

namespace {

std::unique_ptr<VmGenerationId> make(tests::FakeBoard& board, std::uint8_t first)
{
    return std::move(*VmGenerationId::create(board.mapper, { first, 2, 3 }));
}

}

class VmGenerationIdTest : public QObject {
    Q_OBJECT
private slots:
    void guestSeesItAndCannotWriteIt()
    {
        tests::FakeBoard board;
        auto const device = make(board, 1);
        auto const& mapping = board.mapper.mappings.begin()->second;
        QCOMPARE(mapping.address, layout::generationId);
        QVERIFY(mapping.access == MemoryMapper::Access::ReadOnly);
        QCOMPARE(mapping.block->data()[0], 1);
        device->setId({ 9 });
        QCOMPARE(mapping.block->data()[0], 9);
        QCOMPARE(mapping.block->data()[1], 0);
    }

    void resetKeepsIt()
    {
        tests::FakeBoard board;
        auto const device = make(board, 1);
        device->setId({ 7 });
        device->reset();
        QCOMPARE(device->id()[0], 7);
    }

    void stateComesBackOrIsRefusedWhole()
    {
        tests::goldenSchema<VmGenerationId::State>();
        tests::FakeBoard board, other;
        auto const device = make(board, 1), copy = make(other, 5);
        auto json = device->save().toJson();
        REQUIRE_OK(copy->load(*Section::fromJson(json)));
        QVERIFY(copy->id() == device->id());
        QCOMPARE(other.mapper.mappings.begin()->second.block->data()[0], 1);
        json["state"]["id"] = "no";
        QVERIFY(!copy->load(*Section::fromJson(json)));
        QVERIFY(copy->id() == device->id());
    }

    void randomIdsDiffer() { QVERIFY(VmGenerationId::randomId() != VmGenerationId::randomId()); }
};

REGISTER_SUITE(VmGenerationIdTest);
#include "vm_generation_id_test.moc"
