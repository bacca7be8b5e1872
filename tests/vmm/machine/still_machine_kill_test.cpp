#include "tests/support/killed_process.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/block/image.h"
#include "vmm/block/overlay_files.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/moment_disks.h"
#include "vmm/machine/moment_export.h"
#include "vmm/machine/past_disk.h"
#include "vmm/machine/saved_machine.h"

#include <QDir>
#include <QTemporaryDir>
#include <random>
#include <set>
#include <unistd.h>

using namespace vmm;
using namespace vmm::timeline;

namespace {

constexpr unsigned killsOfEach = 40, longest = 25'000; // microseconds that a process may work
constexpr std::uint64_t blocks = 24, blockSize = 64 << 10, markSize = 512;
constexpr std::size_t keptMoments = 4;

/// A machine that is off, in a folder: a raw disk, which goes on in overlays, and a qcow2 one. What both hold at a
/// moment follows from the number that it is called; each block changes every so many numbers.
struct StillMachine {
    std::string const folder;
    VmConfig config;

    explicit StillMachine(QString const& path) : folder(path.toStdString())
    {
        config = { .uuid = "8f3a4c1e-2a4f-4d0a-9a64-0d4f0e5b7c11", .name = "still" };
        config.disks = { { .id = "disk0", .path = folder + "/one.img", .format = DiskFormat::Raw },
            { .id = "disk1", .path = folder + "/two.qcow2", .format = DiskFormat::Qcow2 } };
    }
    void make() const
    {
        tests::must(createImage(config.disks[0].path, { .format = ImageFormat::Raw, .size = blocks * blockSize }));
        tests::must(createImage(config.disks[1].path, { .size = blocks * blockSize }));
    }
    std::shared_ptr<Timeline> open(Timeline::Access access = Timeline::Access::ReadWrite) const
    {
        return tests::must(Timeline::open(tests::must(openFolder(folder + "/timeline")), access));
    }
    static std::uint64_t mark(unsigned number, std::uint64_t block) { return number / (block % 5 + 1) + 1; }

    void write(unsigned number) const
    {
        InlineEngine engine;
        for (auto disk : config.disks) {
            disk.format = formatNow(disk);
            auto const image = tests::must(BlockImage::open(engine, disk.path, imageOptions(disk)));
            for (std::uint64_t block = 0; block < blocks; ++block) {
                Bytes data(markSize);
                storeLittle(ByteSpan(data).first(8), mark(number, block));
                tests::must(image->writeSync(block * blockSize, data));
            }
            tests::must(image->flushSync());
        }
    }
    /// The first thing that is otherwise; empty: nothing.
    static QString difference(BlockImage& image, unsigned number)
    {
        for (std::uint64_t block = 0; block < blocks; ++block) {
            Bytes data(markSize);
            if (auto const got = image.readSync(block * blockSize, data); !got)
                return QString::fromStdString(got.error().message());
            if (loadLittle<std::uint64_t>(data) != mark(number, block))
                return QStringLiteral("block %1 differs").arg(block);
        }
        return {};
    }
};

/// What the process says before it is killed.
struct Word {
    enum class What : std::uint8_t { Ready, Kept, WillBeEnded } what;
    char id[idLength + 1];
};

/// Works on a machine in a process that is killed at it.
class Worker {
public:
    Worker(StillMachine const& machine, unsigned seed, int to)
        : m_machine(machine), m_timeline(machine.open()), m_random(seed), m_to(to)
    {
        while (m_timeline->moments().size() < keptMoments)
            keep();
    }

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
        m_machine.write(number);
        NewMoment what { .name = std::to_string(number) };
        say(Word::What::Kept, tests::must(Machine::keepOff(m_machine.config, *m_timeline, what)).id);
    }
    void go() { tests::must(Machine::goToOff(m_timeline, any())); }
    /// What stands on the file of a moment that has ended is merged with it.
    void merge()
    {
        auto const id = any();
        say(Word::What::WillBeEnded, id);
        if (auto const ended = m_timeline->purge(id); !ended)
            return go(); // the machine is on its way there
        tests::must(DiskTidier(*m_timeline, m_machine.config, { .merge = OverlayFiles::MayMerge::Yes }).run());
        keep();
    }
    void exportIt()
    {
        auto const name = m_machine.folder + "/export-" + makeUuid();
        tests::must(exportMoment(m_timeline, any(), name, ExportFiles::All, {}));
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

using Operation = void (Worker::*)();

/// A process does the operation over and over until it is killed. What it has said.
std::vector<Word> workAndBeKilled(StillMachine const& machine, Operation operation, std::mt19937& random)
{
    return tests::workAndBeKilled<Word>(random, longest, [&](unsigned seed, int words) {
        Worker worker(machine, seed, words);
        worker.say(Word::What::Ready);
        for (;;)
            (worker.*operation)();
    });
}

/// As every start does: what was on its way arrives, and what is left over goes.
void comeToRest(StillMachine const& machine, std::shared_ptr<Timeline> const& timeline)
{
    auto const folder = tests::must(openFolder(machine.folder + "/timeline"));
    if (auto const going = tests::must(Timeline::goingTo(*folder)); !going.empty())
        tests::must(Machine::goToOff(timeline, going));
    tests::must(DiskTidier(*timeline, machine.config, { .merge = OverlayFiles::MayMerge::Yes }).run());
}

/// The first thing that is not as it should be; empty: all is.
QString problem(
    StillMachine const& machine, std::shared_ptr<Timeline> const& timeline, std::set<std::string> const& ids)
{
    for (auto const& id : ids) {
        if (!timeline->moment(id))
            return QString::fromStdString(id + " is gone");
    }
    if (auto const damaged = tests::must(timeline->verify()); !damaged.empty())
        return QString::fromStdString(damaged.front().error.message());
    InlineEngine engine;
    for (auto const& moment : timeline->moments()) {
        for (auto const& disk : machine.config.disks) {
            auto const said = [&](QString const& what) {
                return QString::fromStdString(moment.name + ", " + disk.id + ": ") + what;
            };
            auto const image = openDiskAt(engine, moment, disk);
            if (!image)
                return said(QString::fromStdString(image.error().message()));
            if (auto const found = StillMachine::difference(**image, unsigned(std::stoul(moment.name)));
                !found.isEmpty())
                return said(found);
        }
    }
    // What the disk itself stands on waits until another moment lies between.
    for (auto const& loose : timeline->loose()) {
        for (auto const& disk : loose.disks) {
            if (disk.checkpoint.place.empty() || tests::must(backingNameOf(disk.path)) != disk.checkpoint.place)
                return QString::fromStdString(disk.device + " keeps something for nobody: " + disk.checkpoint.id);
        }
    }
    return {};
}

/// The same of what was exported: it is whole, or not there.
QString problemOfExports(StillMachine const& machine)
{
    QDir const folder(QString::fromStdString(machine.folder));
    InlineEngine engine;
    for (auto const& name : folder.entryList({ "export-*" }, QDir::Dirs)) {
        if (name.size() != int(std::string("export-").size() + idLength))
            continue; // half made; the next export of that name removes it
        auto const place = folder.filePath(name).toStdString();
        auto const saved = readSavedMachine(place);
        if (!saved)
            return name + ": " + QString::fromStdString(saved.error().message());
        std::set<std::uint64_t> numbers;
        for (auto const& disk : saved->config.disks) {
            auto options = imageOptions(disk);
            auto const image = BlockImage::open(engine, disk.path, options);
            Bytes data(markSize);
            if (!image || !(*image)->readSync(0, data))
                return name + ": " + QString::fromStdString(disk.path);
            numbers.insert(loadLittle<std::uint64_t>(data));
            if (auto const found = StillMachine::difference(**image, unsigned(*numbers.begin()) - 1); !found.isEmpty())
                return name + ": " + found;
        }
        if (numbers.size() != 1)
            return name + ": its disks are of two moments";
    }
    return {};
}

}

/// A process that works on the moments of a machine that is off, disks and all, is killed at any instant: what it had
/// done is there and whole, on every disk, and the machine goes on from there.
class StillMachineKillTest : public QObject {
    Q_OBJECT

private slots:
    void killed_data()
    {
        QTest::addColumn<int>("operation");
        for (int i = 0; i < int(operations.size()); ++i)
            QTest::newRow(operations[unsigned(i)].first) << i;
    }

    void killed()
    {
        QFETCH(int, operation);
        QTemporaryDir directory;
        StillMachine const machine(directory.path());
        machine.make();
        std::mt19937 random(static_cast<unsigned>(operation) + 1);
        std::set<std::string> ids;
        for (unsigned turn = 0; turn < killsOfEach; ++turn) {
            for (auto const& word : workAndBeKilled(machine, operations[unsigned(operation)].second, random)) {
                if (word.what == Word::What::Kept)
                    ids.insert(word.id);
                else if (word.what == Word::What::WillBeEnded)
                    ids.erase(word.id);
            }
            auto const timeline = machine.open();
            comeToRest(machine, timeline);
            QCOMPARE(problem(machine, timeline, ids), QString());
            QCOMPARE(problemOfExports(machine), QString());
            for (auto const& name : QDir(directory.path()).entryList({ "export-*" }))
                QVERIFY(QDir(directory.filePath(name)).removeRecursively());
            // It does not grow from turn to turn.
            while (timeline->moments().size() > keptMoments) {
                auto const id = timeline->moments()[random() % timeline->moments().size()].id;
                REQUIRE_OK(timeline->purge(id));
                ids.erase(id);
            }
            comeToRest(machine, timeline);
            REQUIRE_OK(timeline->sweep());
            QCOMPARE(problem(machine, timeline, ids), QString());
        }
    }

private:
    static inline std::vector<std::pair<char const*, Operation>> const operations {
        { "take", &Worker::keep },
        { "restore", &Worker::go },
        { "delete and merge", &Worker::merge },
        { "export", &Worker::exportIt },
    };
};

REGISTER_SUITE(StillMachineKillTest);
#include "still_machine_kill_test.moc"
