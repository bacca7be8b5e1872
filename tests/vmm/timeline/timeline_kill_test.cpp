#include "tests/support/killed_process.h"
#include "tests/support/nothing_durable.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/unique_fd.h"
#include "vmm/timeline/thinning.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <fcntl.h>
#include <random>
#include <set>
#include <unistd.h>

using namespace vmm;
using namespace vmm::timeline;

namespace {

constexpr std::uint64_t pages = 300;
constexpr std::size_t keptMoments = 4;

/// Memory that follows from a number; each page changes every so many numbers.
Bytes contents(unsigned number)
{
    Bytes data(pages * pageSize);
    for (std::uint64_t page = 0; page < pages; ++page) {
        std::mt19937_64 random(page * 1000 + number / (page % 7 + 1) + 1);
        for (std::uint64_t i = 0; i < pageSize / 4; i += 8)
            storeLittle(ByteSpan(data).subspan(page * pageSize + i, 8), random());
    }
    return data;
}

class NumberedMemory final : public FrozenMemory {
public:
    explicit NumberedMemory(unsigned number) : m_data(contents(number)) { }
    std::vector<Block> const& blocks() const override { return m_blocks; }
    Result<std::uint64_t> nextUsed(std::size_t, std::uint64_t offset) override { return offset; }
    Result<> read(std::size_t, std::uint64_t offset, ByteSpan to) override
    {
        std::copy_n(m_data.begin() + static_cast<std::ptrdiff_t>(offset), to.size(), to.begin());
        return {};
    }

private:
    Bytes m_data;
    std::vector<Block> m_blocks { { "ram", pages* pageSize } };
};

/// What the process says before it is killed.
struct Word {
    enum class What : std::uint8_t { Ready, Taken, WillBePurged } what;
    char id[idLength + 1];
};

/// Works on a timeline in a process that is killed at it.
class Worker {
public:
    Worker(Timeline& timeline, unsigned seed, int to) : m_timeline(timeline), m_random(seed), m_to(to)
    {
        while (timeline.moments().size() < keptMoments)
            take();
    }

    void say(Word::What what, std::string const& id = {}) const
    {
        Word word { what, {} };
        std::copy(id.begin(), id.end(), word.id);
        if (::write(m_to, &word, sizeof word) != sizeof word)
            ::_exit(1);
    }

    void take() { takeFor(Reason::Kept); }
    void takeFor(Reason reason)
    {
        auto const number = static_cast<unsigned>(m_random() % 1000);
        NumberedMemory memory(number);
        NewMoment what;
        what.reason = reason;
        what.time = ++m_time;
        what.state = std::to_string(number);
        what.picture = Bytes(5000, 1);
        say(Word::What::Taken, tests::must(m_timeline.take(what, memory, {})).id);
    }
    void go()
    {
        auto const id = any();
        tests::must(m_timeline.setGoingTo(id));
        Bytes data(pages * pageSize);
        tests::must(tests::must(m_timeline.memory(id)).read(0, 0, data));
        tests::must(m_timeline.setPresent(id));
    }
    void change()
    {
        auto const id = any();
        tests::must(m_timeline.setPinned(id, m_random() % 2 == 0));
        tests::must(m_timeline.setNote(id, std::string(m_random() % 3000, 'n')));
        tests::must(m_timeline.remove(id, 1));
        tests::must(m_timeline.bringBack(id));
    }
    void purge()
    {
        auto const id = any();
        say(Word::What::WillBePurged, id);
        tests::must(m_timeline.purge(id));
        take();
    }
    void sweep()
    {
        auto const id = any();
        say(Word::What::WillBePurged, id);
        tests::must(m_timeline.purge(id));
        tests::must(m_timeline.sweep());
        take();
    }

    /// Of moments that a machine has kept by itself.
    void prune()
    {
        takeFor(Reason::Automatic);
        Policy policy;
        policy.tiers.clear();      // none of them stays…
        if (m_random() % 2 == 0) { // …or as many as there is room for
            policy.tiers = { { 0, 1 } };
            policy.budget = tests::must(m_timeline.usage()).total * 2 / 3;
        }
        auto const purge = [&](std::string const& id) -> Result<bool> {
            say(Word::What::WillBePurged, id);
            TRY(m_timeline.purge(id));
            return true;
        };
        tests::must(vmm::timeline::prune(m_timeline, policy, m_time, purge));
    }

private:
    std::string any()
    {
        auto const moments = m_timeline.moments();
        return moments[m_random() % moments.size()].id;
    }

    Timeline& m_timeline;
    std::mt19937 m_random;
    std::uint64_t m_time = 0;
    int m_to;
};

std::unique_ptr<Timeline> openIn(QString const& path)
{
    return tests::openTimeline(path.toStdString());
}

/// A process does the operation over and over until it is killed. What it has said.
std::vector<Word> workAndBeKilled(
    QString const& path, void (Worker::*operation)(), unsigned longest, std::mt19937& random)
{
    return tests::workAndBeKilled<Word>(random, longest, [&](unsigned seed, int words) {
        auto const timeline = openIn(path);
        Worker worker(*timeline, seed, words);
        worker.say(Word::What::Ready);
        for (;;)
            (worker.*operation)();
    });
}

/// The record is there twice, and each of the two is enough at any time: what is wrong without that one.
QString presentWithout(QString const& path, QString const& record)
{
    QFile::rename(path + record, path + "/aside");
    auto const opened = Timeline::open(tests::must(openFolder(path.toStdString())), Timeline::Access::ReadOnly);
    QFile::rename(path + "/aside", path + record);
    if (!opened)
        return QString::fromStdString(opened.error().message());
    return (*opened)->wasRebuilt() ? record + " was all that there was" : QString();
}

/// The first file that no moment has and that is no pack; empty: there is none.
QString leftover(QString const& path, Timeline const& timeline)
{
    auto const files = [&](QString const& folder) { return QDir(path + folder).entryList(QDir::Files); };
    if (files("") != QStringList { "timeline.copy.json", "timeline.json" })
        return files("").join(' ');
    for (auto const& name : files("/moments")) {
        if (name.endsWith(".new") || !timeline.moment(name.section('.', 0, 0).toStdString()))
            return "moments/" + name;
    }
    for (auto const& name : files("/packs")) {
        if (name.size() != 8)
            return "packs/" + name;
    }
    return {};
}

/// The first thing that is not as it should be; empty: all is.
QString difference(Timeline const& timeline, std::set<std::string> const& ids)
{
    for (auto const& id : ids) {
        if (!timeline.moment(id))
            return QString::fromStdString(id + " is gone");
    }
    for (auto const& moment : timeline.moments()) {
        auto const tree = tests::must(timeline.memory(moment.id));
        Bytes data(pages * pageSize);
        if (auto const got = tree.read(0, 0, data); !got)
            return QString::fromStdString(moment.id + ": " + got.error().message());
        auto const state = timeline.state(moment.id);
        if (!state)
            return QString::fromStdString(moment.id + ": " + state.error().message());
        if (data != contents(static_cast<unsigned>(std::stoul(*state))))
            return QString::fromStdString(moment.id + ": its memory differs from " + *state);
    }
    auto const damaged = tests::must(timeline.verify());
    return damaged.empty() ? "" : QString::fromStdString(damaged.front().error.message());
}

}

/// A process that works on a timeline is killed at any instant: all that it had done is there, all of it is whole, and
/// what was half done is gone once the timeline has been opened again.
class TimelineKillTest : public QObject {
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
        QTemporaryDir directory;
        auto const path = directory.filePath("timeline");
        auto const work = operations[unsigned(operation)].work;
        std::mt19937 random(static_cast<unsigned>(operation) + 1);
        std::set<std::string> ids;
        auto const longest = [&] {
            auto const timeline = openIn(path);
            UniqueFd const nobody(::open("/dev/null", O_WRONLY | O_CLOEXEC));
            Worker worker(*timeline, 1, nobody.get());
            return tests::longestOf([&] { (worker.*work)(); });
        }();
        for (unsigned turn = 0; turn < operations[unsigned(operation)].kills; ++turn) {
            for (auto const& word : workAndBeKilled(path, work, longest, random)) {
                if (word.what == Word::What::Taken)
                    ids.insert(word.id);
                else if (word.what == Word::What::WillBePurged)
                    ids.erase(word.id);
            }
            for (QString const record : { "/timeline.json", "/timeline.copy.json" })
                QCOMPARE(presentWithout(path, record), QString());
            auto const timeline = openIn(path);
            QCOMPARE(leftover(path, *timeline), QString());
            QCOMPARE(difference(*timeline, ids), QString());
            // It works on, and does not grow from turn to turn.
            while (timeline->moments().size() > keptMoments) {
                auto const id = timeline->moments()[random() % timeline->moments().size()].id;
                if (!timeline->purge(id)) { // the machine was on its way there
                    REQUIRE_OK(timeline->setPresent(id));
                    REQUIRE_OK(timeline->purge(id));
                }
                ids.erase(id);
            }
            REQUIRE_OK(timeline->sweep());
            QCOMPARE(difference(*timeline, ids), QString());
        }
    }

private:
    struct Operation {
        char const* name;
        void (Worker::*work)();
        unsigned kills; ///< with those of StillMachineKillTest three hundred of each kind
    };
    static inline std::vector<Operation> const operations {
        { "take", &Worker::take, 150 },
        { "go", &Worker::go, 150 },
        { "change", &Worker::change, 50 },
        { "purge", &Worker::purge, 150 },
        { "sweep", &Worker::sweep, 150 },
        { "prune", &Worker::prune, 150 },
    };
};

REGISTER_SUITE(TimelineKillTest);
#include "timeline_kill_test.moc"
