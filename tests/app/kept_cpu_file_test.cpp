#include "app/store/cpu_file.h"
#include "app/store/machine_store.h"
#include "app/store/whole_file.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/answer.h"
#include "tests/support/suite.h"

#include <QFile>
#include <QTemporaryDir>

using namespace app;
using tests::FakeMachine;

namespace {

vmm::CpuFeatures hostWith(std::uint32_t features)
{
    return { { { 0, 0, false, 1, 0, 0, 0 }, { 1, 0, false, 0, 0, features, 0 } } };
}

/// A machine that was never started, on a host that can do 0xf.
struct Bench {
    QTemporaryDir directory;
    std::shared_ptr<FakeMachine::Script> script = std::make_shared<FakeMachine::Script>();
    MachineStore store { directory.path().toStdString() };
    StoredMachine machine;

    Bench()
    {
        script->hostCpu = hostWith(0xf);
        MachineRequest request;
        request.config.name = "web";
        machine = tests::must(store.create(std::move(request)));
    }
    std::string path() const { return store.placesOf(machine.id).cpuFile; }
    std::unique_ptr<MachineRunner> open() const
    {
        return std::make_unique<MachineRunner>(
            store.load(machine.id)->config, store.placesOf(machine.id), FakeMachine::factory(script));
    }
    static vmm::Result<> start(MachineRunner& runner)
    {
        return tests::answerOf([&](auto done) { runner.start(done); });
    }
    /// What its guest finds at a start, which ends with the power off.
    vmm::Result<vmm::CpuFeatures> seen() const
    {
        auto const runner = open();
        TRY(start(*runner));
        auto const cpu = script->last->cpu();
        TRY(tests::answerOf([&](auto done) { runner->powerOff(done); }));
        runner->drain();
        return cpu;
    }
    vmm::Result<> giveModel(vmm::CpuModel model)
    {
        return store.change(machine.id, [&](vmm::VmConfig& config) { config.cpuModel = model; });
    }
};

}

/// The CPU that a machine keeps beside its configuration.
class KeptCpuFileTest final : public QObject {
    Q_OBJECT
private slots:
    void theFirstStartDecides()
    {
        Bench bench;
        QVERIFY(!tests::must(readCpuFile(bench.path())));
        QVERIFY(tests::must(bench.seen()) == hostWith(0xf));
        // A newer kernel, or another host, changes nothing.
        bench.script->hostCpu = hostWith(0xff);
        QVERIFY(tests::must(bench.seen()) == hostWith(0xf));
        QVERIFY(bench.script->has("with the CPU that it has had"));
    }

    void whatTheHostLacksIsSaidWithTheWaysToGoOn()
    {
        Bench bench;
        REQUIRE_OK(bench.seen());
        bench.script->failCreate = vmm::Error { vmm::ErrorCode::Unsupported, "it lacks AVX2", 0 };
        bench.script->failHost = bench.script->failCreate;
        auto const refused = bench.seen();
        QVERIFY(!refused);
        QVERIFY2(refused.error().detail.find("lacks AVX2; ") == 3, refused.error().detail.c_str());
        QVERIFY2(
            refused.error().detail.find("chronoctl renew-cpu") != std::string::npos, refused.error().detail.c_str());
        // Another reason is told as it is.
        bench.script->failHost.reset();
        QCOMPARE(bench.seen().error().detail, std::string("it lacks AVX2"));
    }

    void itIsRenewedWhenSomebodyAsks()
    {
        Bench bench;
        QVERIFY(!tests::must(bench.store.renewCpu(bench.machine.id)));
        REQUIRE_OK(bench.seen());
        bench.script->hostCpu = hostWith(0xff);
        QVERIFY(tests::must(bench.store.renewCpu(bench.machine.id)));
        QVERIFY(tests::must(bench.seen()) == hostWith(0xff));
    }

    void anotherModelIsAnotherProcessor()
    {
        Bench bench;
        REQUIRE_OK(bench.seen());
        bench.script->hostCpu = hostWith(0x3);
        REQUIRE_OK(bench.giveModel(vmm::CpuModel::Baseline));
        QVERIFY(!tests::must(readCpuFile(bench.path())));
        QVERIFY(tests::must(bench.seen()) == hostWith(0x3));
        QCOMPARE(tests::must(readCpuFile(bench.path()))->model, vmm::CpuModel::Baseline);
    }

    void aModelThatIsChosenAnewIsMadeAnew()
    {
        Bench bench;
        REQUIRE_OK(bench.seen());
        bench.script->hostCpu = hostWith(0xff);
        REQUIRE_OK(bench.giveModel(vmm::CpuModel::Baseline));
        REQUIRE_OK(bench.giveModel(vmm::CpuModel::Host));
        QVERIFY(tests::must(bench.seen()) == hostWith(0xff));
    }

    void aSavedStateBringsItsOwn()
    {
        Bench bench;
        {
            auto const runner = bench.open();
            REQUIRE_OK(Bench::start(*runner));
            REQUIRE_OK(tests::answerOf([&](auto done) { runner->suspend(done); }));
            runner->drain();
        }
        QCOMPARE(bench.store.renewCpu(bench.machine.id).error().code, vmm::ErrorCode::NotNow);
        // As of a bundle, which came without the file.
        QVERIFY(QFile::remove(QString::fromStdString(bench.path())));
        bench.script->hostCpu = hostWith(0xff);
        QVERIFY(tests::must(bench.seen()) == hostWith(0xf));
        QVERIFY(tests::must(bench.seen()) == hostWith(0xf)); // and after the power off
        QVERIFY(bench.script->has("restore"));
    }

    void aCloneHasTheSame()
    {
        Bench bench;
        REQUIRE_OK(bench.seen());
        bench.machine = tests::must(bench.store.clone(bench.machine.id, "copy"));
        bench.script->hostCpu = hostWith(0xff);
        QVERIFY(tests::must(bench.seen()) == hostWith(0xf));
    }

    void aFileThatIsNoneIsRefusedUntilItIsRenewed_data()
    {
        QTest::addColumn<QByteArray>("text");
        auto const whole = QByteArray::fromStdString(vmm::keptCpuToText({ vmm::CpuModel::Host, hostWith(0xf) }));
        auto const poor = vmm::keptCpuToText({ vmm::CpuModel::Host, { { { 7, 0, true, 0, 0, 0, 0 } } } });
        vmm::CpuFeatures many;
        many.entries.resize(257);
        QTest::newRow("empty") << QByteArray();
        QTest::newRow("cut off") << whole.left(whole.size() / 2);
        QTest::newRow("newer") << QByteArray(whole).replace("\"version\": 1", "\"version\": 2");
        QTest::newRow("another kind") << QByteArray(whole).replace("\"cpu\"", "\"machine\"");
        QTest::newRow("no such model") << QByteArray(whole).replace("\"host\"", "\"best\"");
        QTest::newRow("nothing in it") << QByteArray::fromStdString(poor);
        QTest::newRow("too much in it") << QByteArray::fromStdString(
            vmm::keptCpuToText({ vmm::CpuModel::Host, std::move(many) }));
        QTest::newRow("far too large") << QByteArray((1 << 20) + 1, ' ');
    }

    void aFileThatIsNoneIsRefusedUntilItIsRenewed()
    {
        QFETCH(QByteArray, text);
        Bench bench;
        REQUIRE_OK(bench.seen());
        REQUIRE_OK(writeWholeFile(bench.path(), vmm::bytesOf(text.toStdString()), Durable::No));
        auto const refused = bench.seen();
        QVERIFY(!refused);
        QVERIFY2(refused.error().detail.find(bench.path()) != std::string::npos, refused.error().detail.c_str());
        REQUIRE_OK(bench.store.renewCpu(bench.machine.id));
        REQUIRE_OK(bench.seen());
    }

    void aTextComesBack()
    {
        vmm::KeptCpu const cpu { vmm::CpuModel::Baseline, hostWith(0xffffffff) };
        QVERIFY(tests::must(vmm::keptCpuFromText(vmm::keptCpuToText(cpu))) == cpu);
    }
};

REGISTER_SUITE(KeptCpuFileTest);
#include "kept_cpu_file_test.moc"
