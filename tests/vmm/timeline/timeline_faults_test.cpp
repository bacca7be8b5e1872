#include "tests/fakes/fake_memory.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/timeline/thinning.h"

#include <random>
#include <set>

using namespace vmm;
using namespace vmm::timeline;
using tests::FakeFolderDisk;
using Fault = FakeFolderDisk::Fault;

namespace {

/// Four moments, of which the machine has kept the second and the third by itself. The third's pack is written anew
/// when that one is purged: the last moment needs some of it, and the rest cannot be compressed.
struct Kept {
    std::shared_ptr<FakeFolderDisk> disk = std::make_shared<FakeFolderDisk>();
    tests::FakeMemory memory { { 1 << 20, 64 << 10 } }; ///< what the next moment has
    std::vector<std::string> ids;
    std::map<std::string, std::vector<Bytes>> model; ///< what each has

    Kept()
    {
        auto const timeline = tests::openTimeline(*disk);
        std::mt19937 random(5);
        for (auto const& [pages, reason] : { std::pair(150, Reason::Kept), { 20, Reason::Automatic },
                 { 150, Reason::Automatic }, { 110, Reason::Kept } }) {
            for (std::size_t i = 0; i < std::size_t(pages) * pageSize; ++i)
                memory.data[0][i] = static_cast<std::uint8_t>(random());
            memory.scribble(random, 10);
            ids.push_back(tests::must(timeline->take(next(reason), memory, {})).id);
            model[ids.back()] = memory.data;
        }
        memory.scribble(random, 50);
    }
    NewMoment next(Reason reason = Reason::Kept) const
    {
        return { .reason = reason, .time = ids.size() + 1, .state = "{}", .picture = Bytes(100, 7) };
    }
};

Result<> take(Timeline& timeline, Kept& past)
{
    auto const taken = timeline.take(past.next(), past.memory, {});
    if (!taken)
        return fail(taken.error());
    past.model[taken->id] = past.memory.data;
    return {};
}

/// What is read of a moment is what it has, or an error.
Result<> readOf(Timeline const& timeline, Kept const& past, std::string const& id)
{
    TRY(timeline.state(id));
    TRY(timeline.picture(id));
    auto const tree = TRY(timeline.memory(id));
    for (std::size_t block = 0; block < tree.roots().size(); ++block) {
        Bytes data(tree.roots()[block].size);
        TRY(tree.read(block, 0, data));
        if (data != past.model.at(id)[block])
            return fail(ErrorCode::Internal, id + ": its memory differs");
    }
    return {};
}

Result<> go(Timeline& timeline, Kept& past)
{
    TRY(timeline.setGoingTo(past.ids[0]));
    TRY(readOf(timeline, past, past.ids[0]));
    return timeline.setPresent(past.ids[0]);
}

Result<> change(Timeline& timeline, Kept& past)
{
    TRY(timeline.rename(past.ids[1], "other"));
    TRY(timeline.setNote(past.ids[1], std::string(3000, 'n')));
    TRY(timeline.setPinned(past.ids[1], true));
    TRY(timeline.remove(past.ids[1], 1));
    return timeline.bringBack(past.ids[1]);
}

Result<> purge(Timeline& timeline, Kept& past)
{
    past.model.erase(past.ids[2]); // from now on it may be there or not
    if (timeline.moment(past.ids[2]))
        TRY(timeline.purge(past.ids[2]));
    return timeline.sweep();
}

Result<> prune(Timeline& timeline, Kept& past)
{
    past.model.erase(past.ids[1]);
    past.model.erase(past.ids[2]);
    Policy nothing;
    nothing.tiers.clear();
    auto const purge = [&](std::string const& id) -> Result<bool> {
        TRY(timeline.purge(id));
        return true;
    };
    TRY(vmm::timeline::prune(timeline, nothing, 2 * removedStays, purge));
    return timeline.moment(past.ids[1]) || timeline.moment(past.ids[2])
        ? fail(ErrorCode::Internal, "what may go did not")
        : Result<>();
}

/// As an export does.
Result<> read(Timeline& timeline, Kept& past)
{
    for (auto const& id : past.ids)
        TRY(readOf(timeline, past, id));
    return {};
}

enum class Uses : std::uint8_t { Both, WritesOnly, ReadsOnly };

struct Operation {
    char const* name;
    Result<> (*work)(Timeline&, Kept&);
    Uses uses = Uses::Both;
};
constexpr auto operations
    = std::to_array<Operation>({ { "take", &take }, { "go", &go }, { "change", &change, Uses::WritesOnly },
        { "purge and sweep", &purge }, { "prune", &prune }, { "read", &read, Uses::ReadsOnly } });

struct Kind {
    char const* name;
    Fault fault;
    int error;
    bool stays;
};
constexpr auto kinds = std::to_array<Kind>({ { "full once", Fault::Fail, ENOSPC, false },
    { "full from then on", Fault::Fail, ENOSPC, true }, { "writing fails once", Fault::Fail, EIO, false },
    { "writing fails from then on", Fault::Fail, EIO, true }, { "reading fails once", Fault::Unreadable, EIO, false },
    { "reading fails from then on", Fault::Unreadable, EIO, true }, { "power cut", Fault::PowerCut, EIO, true } });

/// The first thing that is not as it must be with what lies there; empty: nothing.
QString problem(Timeline const& timeline, Kept const& past)
{
    for (auto const& [id, data] : past.model) {
        if (auto const got = timeline.moment(id) ? readOf(timeline, past, id) : fail(timeline.moment(id).error()); !got)
            return QString::fromStdString(got.error().message());
    }
    auto const damaged = tests::must(timeline.verify());
    return damaged.empty() ? QString() : QString::fromStdString(damaged.front().error.message());
}

/// The first file that no moment has, or how much nobody needs; empty: nothing is left over.
QString leftover(FakeFolderDisk const& disk, Timeline const& timeline)
{
    for (auto const& [name, content] : disk.files) {
        auto const folder = vmm::timeline::folderOf(name);
        auto const id = folder.empty() ? "" : name.substr(folder.size() + 1, idLength);
        bool const isKnown = folder == "packs" ? id.size() == 8
            : folder == "moments"              ? !name.ends_with(".new") && timeline.moment(id)
                                               : name == "timeline.json" || name == "timeline.copy.json";
        if (!isKnown)
            return QString::fromStdString(name);
    }
    auto const free = tests::must(timeline.usage()).free;
    if (timeline.hasWaste() || free > (256 << 10))
        return QStringLiteral("%1 bytes that nobody needs").arg(free);
    return {};
}

/// It can be done now, nothing is lost by it, and what nobody needs goes. `disk`: where the timeline lies.
QString problemOfNext(std::unique_ptr<Timeline>& timeline, FakeFolderDisk& disk, Kept past, Operation const& operation)
{
    if (auto const again = operation.work(*timeline, past); !again)
        return QString::fromStdString("again: " + again.error().message());
    if (auto const wrong = problem(*timeline, past); !wrong.isEmpty())
        return "again: " + wrong;
    tests::must(timeline->sweep());
    for (auto const& id : past.ids) { // a machine can go to each that is there
        if (!past.model.contains(id))
            continue;
        tests::must(timeline->setGoingTo(id));
        tests::must(timeline->setPresent(id));
    }
    timeline.reset();
    timeline = tests::openTimeline(disk);
    auto const wrong = problem(*timeline, past);
    return wrong.isEmpty() ? leftover(disk, *timeline) : wrong;
}

}

/// A fault of the disk at each step of whatever is done with a timeline: what was there is there, what was half done
/// is gone, what is told is what is wrong with the disk, and the next try does it. (tests/README.md has what else
/// fails.)
class TimelineFaultsTest final : public QObject {
    Q_OBJECT

private slots:
    void everyStepCanFail_data()
    {
        QTest::addColumn<std::size_t>("operation");
        QTest::addColumn<std::size_t>("kind");
        for (std::size_t operation = 0; operation < operations.size(); ++operation) {
            for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
                auto const never = kinds[kind].fault == Fault::Unreadable ? Uses::WritesOnly : Uses::ReadsOnly;
                if (operations[operation].uses != never)
                    QTest::addRow("%s, %s", operations[operation].name, kinds[kind].name) << operation << kind;
            }
        }
    }

    void everyStepCanFail()
    {
        QFETCH(std::size_t, operation);
        QFETCH(std::size_t, kind);
        auto const& [name, fault, error, stays] = kinds[kind];
        auto const& tried = operations[operation];
        Kept const begun;
        for (std::uint64_t at = 0;; ++at) {
            auto const copy = begun.disk->afterPowerCut(1);
            auto& disk = *copy;
            auto past = begun;
            auto timeline = tests::openTimeline(disk);
            disk.error = error;
            disk.plan(fault, at, stays);
            auto const outcome = tried.work(*timeline, past);
            bool const struck = disk.hasStruck();
            disk.fault = Fault::None;
            auto const where = QStringLiteral("step %1: ").arg(at);
            if (!outcome) {
                QVERIFY2(struck, qPrintable(where + outcome.error().message().c_str()));
                auto const code = outcome.error().code;
                QVERIFY2(code == (error == ENOSPC ? ErrorCode::NoSpace : ErrorCode::IoError),
                    qPrintable(where + outcome.error().message().c_str()));
            }
            for (unsigned seed = 0; seed < (fault == Fault::PowerCut ? 4 : 1); ++seed) {
                auto after = fault == Fault::PowerCut ? disk.afterPowerCut(seed) : nullptr;
                if (after)
                    timeline = tests::openTimeline(*after);
                auto found = problem(*timeline, past);
                if (found.isEmpty())
                    found = problemOfNext(timeline, after ? *after : disk, past, tried);
                QVERIFY2(found.isEmpty(), qPrintable(where + found));
                timeline.reset(); // before its disk
            }
            if (!struck) {
                QVERIFY2(at > 2, qPrintable(where));
                return;
            }
        }
    }
};

REGISTER_SUITE(TimelineFaultsTest);
#include "timeline_faults_test.moc"
