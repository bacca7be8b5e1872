#include "tests/support/killed_process.h"
#include "tests/support/nothing_durable.h"
#include "tests/support/still_machine.h"
#include "vmm/base/random.h"
#include "vmm/base/time_of_day.h"
#include "vmm/base/unique_fd.h"
#include "vmm/machine/moment_export.h"
#include "vmm/timeline/thinning.h"

#include <QDir>
#include <filesystem>
#include <random>
#include <unistd.h>

using namespace vmm;
using namespace vmm::timeline;
using tests::StillMachine;

namespace {

constexpr std::size_t keptMoments = 4;
constexpr unsigned turnsPerGoing = 10; ///< after so many kills the machine goes to each of its moments

/// What the process says before it is killed.
struct Word {
    enum class What : std::uint8_t { Ready, Kept, WillBeEnded } what;
    char id[idLength + 1];
};

/// Works on a machine in a process that is killed at it.
class Worker {
public:
    Worker(StillMachine const& machine, bool isSuspended, unsigned seed, int to)
        : m_machine(machine), m_timeline(machine.open()), m_random(seed), m_to(to)
    {
        while (m_timeline->moments().size() < keptMoments)
            keep();
        if (isSuspended)
            machine.suspendTo(stateOf(machine));
    }
    static std::string stateOf(StillMachine const& machine) { return machine.folder + "/state"; }

    void say(Word::What what, std::string const& id = {}) const
    {
        Word word { what, {} };
        std::copy(id.begin(), id.end(), word.id);
        if (::write(m_to, &word, sizeof word) != sizeof word)
            ::_exit(1);
    }
    void keep()
    {
        auto const number = static_cast<unsigned>(m_random() % 1000);
        say(Word::What::Kept, tests::must(m_machine.keep(*m_timeline, number)).id);
    }
    void keepSuspended()
    {
        say(Word::What::Kept, tests::must(Machine::keepSuspended(stateOf(m_machine), *m_timeline, {})).id);
    }
    void go() { tests::must(Machine::goToOff(m_timeline, any())); }
    /// What stands on the file of a moment that has ended is merged with it.
    void merge()
    {
        auto const id = any();
        say(Word::What::WillBeEnded, id);
        if (auto const ended = m_timeline->purge(id); !ended)
            return go(); // the machine is on its way there
        tests::must(m_machine.tidy(*m_timeline));
        keep();
    }
    /// Of moments that the machine has kept by itself those go that are not the last of their branch.
    void prune()
    {
        for (int i = 0; i < 2; ++i) {
            m_machine.write(static_cast<unsigned>(m_random() % 1000));
            NewMoment what;
            what.reason = Reason::Automatic;
            say(Word::What::Kept, tests::must(Machine::keepOff(m_machine.config, *m_timeline, what)).id);
        }
        Policy none;
        none.tiers.clear();
        auto const purge = [&](std::string const& id) -> Result<bool> {
            say(Word::What::WillBeEnded, id);
            TRY(m_timeline->purge(id));
            return true;
        };
        tests::must(vmm::timeline::prune(*m_timeline, none, timeOfDay(), purge));
        tests::must(m_machine.tidy(*m_timeline));
    }
    void exportIt()
    {
        auto const name = m_machine.folder + "/export";
        tests::must(exportMoment(m_timeline, any(), name, ExportFiles::All, {}));
        std::filesystem::rename(name, name + "-" + makeUuid());
    }

private:
    std::string any()
    {
        auto const moments = m_timeline->moments();
        return moments[m_random() % moments.size()].id;
    }

    StillMachine const& m_machine;
    std::shared_ptr<Timeline> m_timeline;
    std::mt19937 m_random;
    int m_to;
};

struct Operation {
    char const* name;
    void (Worker::*work)();
    unsigned kills; ///< with those of TimelineKillTest three hundred of each kind
    bool isOfSuspended = false;
};

/// A process does the operation over and over until it is killed. What it has said.
std::vector<Word> workAndBeKilled(
    StillMachine const& machine, Operation const& operation, unsigned longest, std::mt19937& random)
{
    return tests::workAndBeKilled<Word>(random, longest, [&](unsigned seed, int words) {
        Worker worker(machine, operation.isOfSuspended, seed, words);
        worker.say(Word::What::Ready);
        for (;;)
            (worker.*operation.work)();
    });
}

/// What is wrong with what was exported: it is whole, or not there.
QString problemOfExports(StillMachine const& machine)
{
    QDir const folder(QString::fromStdString(machine.folder));
    if (folder.entryList({ "export.*" }, QDir::Dirs).size() > 1)
        return "an export leaves what others have left half made";
    for (auto const& name : folder.entryList({ "export", "export-*" }, QDir::Dirs)) {
        auto const found = StillMachine::problemOfExport(folder.filePath(name).toStdString());
        if (!found.isEmpty())
            return name + ": " + found;
    }
    return {};
}

}

/// A process that works on the moments of a machine that is off, disks and all, is killed at any instant: what it had
/// done is there and whole, on every disk, and the machine goes on from there.
class StillMachineKillTest : public QObject {
    Q_OBJECT

private slots:
    void initTestCase() { tests::makeNothingDurable(); }

    void killed_data()
    {
        QTest::addColumn<int>("operation");
        for (int i = 0; i < int(operations.size()); ++i)
            QTest::newRow(operations[unsigned(i)].name) << i;
    }

    void killed()
    {
        QFETCH(int, operation);
        auto const& what = operations[unsigned(operation)];
        tests::TemporaryStillMachine const machine;
        std::mt19937 random(static_cast<unsigned>(operation) + 1);
        std::set<std::string> ids;
        auto const longest = [&] {
            UniqueFd const nobody(::open("/dev/null", O_WRONLY | O_CLOEXEC));
            Worker worker(machine, what.isOfSuspended, 1, nobody.get());
            return tests::longestOf([&] { (worker.*what.work)(); });
        }();
        for (unsigned turn = 0; turn < what.kills; ++turn) {
            for (auto const& word : workAndBeKilled(machine, what, longest, random)) {
                if (word.what == Word::What::Kept)
                    ids.insert(word.id);
                else if (word.what == Word::What::WillBeEnded)
                    ids.erase(word.id);
            }
            if (what.isOfSuspended)
                QCOMPARE(machine.problemOfState(Worker::stateOf(machine)), QString());
            auto const timeline = machine.open();
            machine.comeToRest(timeline);
            QCOMPARE(machine.problem(timeline, ids), QString());
            QCOMPARE(machine.leftover(*timeline), QString());
            QCOMPARE(problemOfExports(machine), QString());
            for (auto const& name : QDir(machine.directory.path()).entryList({ "export", "export-*" }))
                QVERIFY(QDir(machine.directory.filePath(name)).removeRecursively());
            // It does not grow from turn to turn.
            while (timeline->moments().size() > keptMoments) {
                auto const id = timeline->moments()[random() % timeline->moments().size()].id;
                REQUIRE_OK(timeline->purge(id));
                ids.erase(id);
            }
            machine.comeToRest(timeline);
            REQUIRE_OK(timeline->sweep());
            QCOMPARE(machine.problem(timeline, ids), QString());
            QCOMPARE(machine.leftover(*timeline), QString());
            if (turn % turnsPerGoing == turnsPerGoing - 1)
                QCOMPARE(machine.problemOfGoing(timeline), QString());
        }
    }

private:
    static inline std::vector<Operation> const operations {
        { "take", &Worker::keep, 100 },
        { "take of a suspended machine", &Worker::keepSuspended, 50, true },
        { "restore", &Worker::go, 150 },
        { "delete and merge", &Worker::merge, 300 },
        { "prune", &Worker::prune, 150 },
        { "export", &Worker::exportIt, 300 },
    };
};

REGISTER_SUITE(StillMachineKillTest);
#include "still_machine_kill_test.moc"
