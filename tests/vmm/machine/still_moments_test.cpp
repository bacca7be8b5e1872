#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/machine/machine.h"
#include "vmm/timeline/timeline.h"

#include <QFile>
#include <QTemporaryDir>

using namespace vmm;

namespace {

/// A machine that is off, with firmware that keeps variables in a file.
struct StillMachine {
    QTemporaryDir directory;
    QString const variables = directory.filePath("nvram.fd");
    VmConfig config;
    std::shared_ptr<timeline::Timeline> timeline = tests::openTimeline(directory.filePath("timeline").toStdString());

    StillMachine()
    {
        config = { .uuid = "8f3a4c1e-2a4f-4d0a-9a64-0d4f0e5b7c11", .name = "still" };
        config.firmware = Firmware::Ovmf;
        config.firmwareVariables = variables.toStdString();
    }
    void setVariables(QByteArray const& contents) const
    {
        QFile file(variables);
        if (!file.open(QIODevice::WriteOnly) || file.write(contents) != contents.size())
            qFatal("the variables cannot be written");
    }
    QByteArray readVariables() const
    {
        QFile file(variables);
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }
    void damageFirstPack()
    {
        timeline.reset();
        QFile pack(directory.filePath("timeline/packs/00000001"));
        if (!pack.open(QIODevice::ReadWrite) || !pack.seek(70) || pack.write("damaged") != 7)
            qFatal("the pack cannot be written");
        pack.close();
        timeline = tests::openTimeline(directory.filePath("timeline").toStdString());
    }
    Result<std::string> keep() const { return TRY(Machine::keepOff(config, *timeline, {})).id; }
};

QByteArray filledWith(char what)
{
    return QByteArray(4096, what) + QByteArray(4096, '\0') + QByteArray(128 << 10, what);
}

}

/// Of a machine without power only its disks and the firmware's variables are something.
class StillMomentsTest final : public QObject {
    Q_OBJECT
private slots:
    void theFirmwaresVariablesFollow()
    {
        StillMachine const machine;
        auto const never = tests::must(machine.keep()); // it was not started yet
        machine.setVariables(filledWith('a'));
        auto const a = tests::must(machine.keep());
        machine.setVariables(filledWith('b'));
        auto const b = tests::must(machine.keep());
        machine.setVariables(filledWith('c'));
        for (auto const& [moment, what] : { std::pair { a, 'a' }, { b, 'b' }, { a, 'a' } }) {
            tests::must(Machine::goToOff(machine.timeline, moment));
            QVERIFY(machine.readVariables() == filledWith(what));
            QCOMPARE(machine.timeline->present(), moment);
        }
        tests::must(Machine::goToOff(machine.timeline, never));
        QVERIFY(!QFile::exists(machine.variables));
        tests::must(Machine::goToOff(machine.timeline, b));
        QVERIFY(machine.readVariables() == filledWith('b'));
    }

    void emptyVariablesAreNone()
    {
        StillMachine const machine;
        machine.setVariables({});
        auto const kept = tests::must(machine.keep());
        tests::must(Machine::goToOff(machine.timeline, kept));
        QVERIFY(!QFile::exists(machine.variables));
    }

    void variablesOfNoWholePagesAreRefused()
    {
        StillMachine const machine;
        machine.setVariables("short");
        auto const kept = machine.keep();
        QVERIFY(!kept);
        QVERIFY2(kept.error().message().find("whole pages") != std::string::npos, kept.error().message().c_str());
        QVERIFY(machine.timeline->moments().empty());
    }

    /// What they were then cannot be read: nothing has moved.
    void damagedVariablesChangeNothing()
    {
        StillMachine machine;
        machine.setVariables(filledWith('a'));
        auto const a = tests::must(machine.keep());
        machine.setVariables(filledWith('b'));
        auto const b = tests::must(machine.keep());
        machine.damageFirstPack();
        unsigned left = 0;
        auto const leave = [&] {
            ++left;
            return Result<>();
        };
        QVERIFY(!Machine::goToOff(machine.timeline, a, leave));
        QVERIFY(machine.readVariables() == filledWith('b'));
        QCOMPARE(machine.timeline->present(), b);
        QVERIFY(machine.timeline->goingTo().empty());
        QCOMPARE(left, 0u);
    }

    /// Who gives up the memory of a machine that is on its way needs to read none.
    void arrivesWithTheVariablesThatCanBeRead()
    {
        StillMachine machine;
        machine.setVariables(filledWith('a'));
        auto const a = tests::must(machine.keep());
        machine.setVariables(filledWith('b'));
        auto const b = tests::must(machine.keep());
        machine.damageFirstPack();
        machine.setVariables(filledWith('c'));
        REQUIRE_OK(machine.timeline->setGoingTo(b));
        REQUIRE_OK(Machine::arriveOff(machine.config, machine.timeline));
        QVERIFY(machine.readVariables() == filledWith('b'));
        QCOMPARE(machine.timeline->present(), b);
        REQUIRE_OK(machine.timeline->setGoingTo(a));
        REQUIRE_OK(Machine::arriveOff(machine.config, machine.timeline));
        QVERIFY(machine.readVariables() == filledWith('b'));
        QCOMPARE(machine.timeline->present(), a);
        QVERIFY(machine.timeline->goingTo().empty());
    }

    void whoDoesNotLeaveGoesNowhere()
    {
        StillMachine const machine;
        machine.setVariables(filledWith('a'));
        auto const a = tests::must(machine.keep());
        machine.setVariables(filledWith('b'));
        auto const stay = [] { return fail(ErrorCode::IoError, "it stays"); };
        auto const gone = Machine::goToOff(machine.timeline, a, stay);
        QVERIFY(!gone);
        QCOMPARE(gone.error().detail, "it stays");
        QVERIFY(machine.readVariables() == filledWith('b'));
        QVERIFY(machine.timeline->goingTo().empty());
    }
};

REGISTER_SUITE(StillMomentsTest);
#include "still_moments_test.moc"
