#include "tests/fakes/fake_memory.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/timeline/thinning.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <thread>

using namespace vmm;
using namespace vmm::timeline;

namespace {

constexpr std::uint64_t minute = 60ULL * 1'000'000'000, hour = 60 * minute, day = 24 * hour; // ns
constexpr std::uint64_t today = 20'000 * day;

Moment at(std::uint64_t time, std::string parent = {}, Reason reason = Reason::Automatic)
{
    Moment moment;
    moment.id = std::to_string(time);
    moment.parent = std::move(parent);
    moment.reason = reason;
    moment.time = time;
    return moment;
}

/// One after the other, each come from the one before; the present comes from the last.
Past chain(std::vector<std::uint64_t> const& times, std::uint64_t now)
{
    Past past;
    for (auto const time : times) {
        past.moments.push_back(at(time, past.present));
        past.present = past.moments.back().id;
    }
    past.now = now;
    return past;
}

std::set<std::string> idsOf(Past const& past)
{
    std::set<std::string> ids;
    for (auto const& moment : past.moments)
        ids.insert(moment.id);
    return ids;
}

/// One that is not removed.
bool hasChild(Past const& past, std::string const& id)
{
    return std::any_of(past.moments.begin(), past.moments.end(),
        [&](auto const& moment) { return moment.parent == id && moment.removedAt == 0; });
}

/// The past without what goes; children come from their grandparents then, as Timeline::purge() has it.
Past after(Past past, std::vector<ThinnedMoment> const& going)
{
    for (auto const& gone : going) {
        auto const where = std::find_if(
            past.moments.begin(), past.moments.end(), [&](auto const& moment) { return moment.id == gone.id; });
        auto const parent = where->parent;
        past.moments.erase(where);
        for (auto& child : past.moments) {
            if (child.parent == gone.id)
                child.parent = parent;
        }
        if (past.present == gone.id)
            past.present = parent;
    }
    return past;
}

Past thinned(Past const& past, Policy const& policy)
{
    return after(past, thin(past, policy).going);
}

/// Any past: branches, names, pins, reasons, some removed.
Past anyPast(std::mt19937& random, unsigned count)
{
    Past past;
    past.now = today;
    for (unsigned i = 0; i < count; ++i) {
        auto const age = random() % 3 == 0 ? random() % (2 * hour) : random() % (60 * day);
        past.moments.push_back(at(today - age - i));
    }
    std::sort(past.moments.begin(), past.moments.end(), [](auto const& a, auto const& b) { return a.time < b.time; });
    for (unsigned i = 0; i < count; ++i) {
        auto& moment = past.moments[i];
        moment.reason = static_cast<Reason>(random() % 5);
        if (i > 0)
            moment.parent = past.moments[random() % 4 == 0 ? random() % i : i - 1].id;
        moment.pinned = random() % 20 == 0;
        if (random() % 20 == 0)
            moment.name = "named";
        if (random() % 20 == 0)
            moment.note = "noted";
        if (random() % 20 == 0)
            moment.removedAt = today - random() % (2 * hour);
    }
    past.present = past.moments[random() % count].id;
    past.goingTo = random() % 4 == 0 ? past.moments[random() % count].id : "";
    return past;
}

Policy anyPolicy(std::mt19937& random)
{
    Policy policy;
    policy.tiers.clear();
    for (unsigned i = 0; i < random() % 4; ++i) {
        auto const number = [&](unsigned most) { return static_cast<std::uint32_t>(1 + random() % most); };
        policy.tiers.push_back({ random() % 3 == 0 ? 0 : number(3000), number(2000) });
    }
    return policy;
}

}

namespace {

/// Disks that keep as much for each moment.
struct Disks {
    static constexpr std::uint64_t each = 10 << 20;
    Timeline& timeline;
    std::uint64_t loose = 0;
    bool letGo = true;
    unsigned tidied = 0;
    std::optional<ErrorCode> problem = {};

    DisksOfMoments calls()
    {
        DisksOfMoments calls;
        calls.freed = [this](std::vector<std::string> const& order) -> Result<Freed> {
            if (problem)
                return fail(*problem, "the disk is away");
            auto const total = loose + timeline.moments().size() * each;
            return Freed { total, loose, std::vector<std::uint64_t>(order.size(), each) };
        };
        calls.tidy = [this] {
            ++tidied;
            loose = letGo ? 0 : loose;
        };
        return calls;
    }
    Result<Pruned> prune(Policy const& policy)
    {
        auto const purge = [this](std::string const& id) -> Result<bool> {
            TRY(timeline.purge(id));
            loose += each;
            return true;
        };
        return vmm::timeline::prune(timeline, policy, today, purge, {}, calls());
    }
};

}

class ThinningTest : public QObject {
    Q_OBJECT

private slots:
    void theUsualTiers()
    {
        std::vector<std::uint64_t> times;
        for (std::uint64_t age = 40 * day; age > 0; age -= 10 * minute)
            times.push_back(today - age);
        auto const past = chain(times, today);
        auto const kept = thinned(past, {});
        std::uint64_t lastHour = 0, lastDay = 0, earlier = 0;
        for (auto const& moment : kept.moments) {
            auto const age = today - moment.time;
            ++(age < hour ? lastHour : age < day ? lastDay : earlier);
        }
        QCOMPARE(lastHour, 5u); // all
        QCOMPARE(lastDay, 23u); // hourly
        QCOMPARE(earlier, 29u); // daily
        QCOMPARE(thin(past, {}).going.size(), times.size() - 57);
    }

    void whatAPersonKeptStays()
    {
        Past past = chain({ today - 50 * day, today - 49 * day, today - 48 * day, today - 47 * day, today - 46 * day,
                              today - 45 * day, today - 44 * day },
            today);
        past.moments[0].reason = Reason::Kept;
        past.moments[1].name = "before the upgrade";
        past.moments[2].note = "slow";
        past.moments[3].pinned = true;
        past.goingTo = past.moments[4].id;
        // [5] has nothing, [6] is the present.
        auto const thinning = thin(past, {});
        QCOMPARE(thinning.going.size(), 1u);
        QCOMPARE(thinning.going[0], (ThinnedMoment { past.moments[5].id, Thinned::Tier }));
        QVERIFY(thinning.spare.empty());
    }

    /// Whatever it was kept for, however old it is, and however little space there is.
    void theLastMomentOfABranchStays()
    {
        Policy small;
        small.budget = 1;
        for (auto const reason : { Reason::BeforeGoing, Reason::OnClose, Reason::BeforeChange, Reason::Automatic }) {
            for (auto const age : { 20 * day - 30 * minute, 31 * day, 5000 * day }) {
                // Left in the same hour in which another one was kept first.
                auto const left = today - age;
                Past past = chain({ left - 2 * minute, left - minute }, today);
                past.moments.push_back(at(left, past.present, reason));
                past.present = past.moments[0].id;
                auto const thinning = thin(past, small);
                auto const budget = keepBudget(thinning, small, 100 * mib, { 40 * mib, 40 * mib });
                QVERIFY(idsOf(after(after(past, thinning.going), budget.going)).contains(past.moments[2].id));
                QVERIFY(budget.over > 0);
                // The one before it has it all but for what came since.
                past.moments[2].removedAt = today;
                QVERIFY(idsOf(thinned(past, small)).contains(past.moments[1].id));
            }
        }
    }

    /// What a person has left stays when a year of moments came after it on another branch, and only that.
    void aBudgetTakesNoBranch()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        tests::FakeMemory memory({ 4 * mib });
        unsigned pages = 0;
        auto const keep = [&](Reason reason, std::uint64_t time) {
            for (unsigned page = 0; page < 256; ++page)
                memory.fill(0, page, ++pages);
            return tests::must(timeline->take({ .reason = reason, .time = time, .state = "s" }, memory, {})).id;
        };
        auto const first = keep(Reason::Kept, today - 400 * day);
        auto const left = keep(Reason::BeforeGoing, today - 390 * day);
        REQUIRE_OK(timeline->setPresent(first));
        auto const old = keep(Reason::Automatic, today - 3 * minute);
        auto const present = keep(Reason::Automatic, today - 2 * minute);
        Policy policy;
        policy.budget = 1;
        auto const purge = [&](std::string const& id) -> Result<bool> {
            TRY(timeline->purge(id));
            return true;
        };
        auto const pruned = tests::must(prune(*timeline, policy, today, purge));
        QCOMPARE(pruned.gone.size(), std::size_t(1));
        QCOMPARE(pruned.gone[0].moment.id, old);
        QVERIFY(timeline->moment(left).has_value() && timeline->moment(present).has_value());
        QCOMPARE(pruned.over, timeline->size() - 1);
        QVERIFY(tests::must(timeline->verify()).empty());
    }

    void whatWasRemovedGoesAfterAnHour()
    {
        Past past = chain({ today - 2 * hour, today - hour, today - minute }, today);
        past.moments[0].removedAt = today - hour;
        past.moments[0].pinned = true; // it was removed all the same
        past.moments[1].removedAt = today - hour + minute;
        QCOMPARE(thin(past, {}).going, (std::vector { ThinnedMoment { past.moments[0].id, Thinned::Removed } }));
        QCOMPARE(thin(past, {}).waiting, (std::vector { past.moments[1].id }));
        past.goingTo = past.moments[0].id;
        QVERIFY(thin(past, {}).going.empty());
    }

    void theBudgetTakesTheOldest()
    {
        Past past = chain({ today - 3 * minute, today - 2 * minute, today - minute, today - 1 }, today);
        past.moments[0].reason = Reason::Kept;
        auto const thinning = thin(past, {});
        QVERIFY(thinning.going.empty());
        QCOMPARE(thinning.spare, (std::vector { past.moments[1].id, past.moments[2].id }));
        Policy policy;
        policy.budget = 100 * mib;
        auto budget = keepBudget(thinning, policy, 100 * mib, { 30 * mib, 30 * mib });
        QVERIFY(budget.going.empty());
        budget = keepBudget(thinning, policy, 120 * mib, { 30 * mib, 30 * mib });
        QCOMPARE(budget.going, (std::vector { ThinnedMoment { past.moments[1].id, Thinned::Budget } }));
        QCOMPARE(budget.bytes, 90 * mib);
        QCOMPARE(budget.over, 0u);
        budget = keepBudget(thinning, policy, 200 * mib, { 30 * mib, 30 * mib });
        QCOMPARE(budget.going.size(), 2u);
        QCOMPARE(budget.over, 40 * mib);
        policy.budget = 0;
        QVERIFY(keepBudget(thinning, policy, 200 * mib, { 30 * mib, 30 * mib }).going.empty());
    }

    /// For any past and policy.
    void propertiesHold()
    {
        for (unsigned seed = 0; seed < 300; ++seed) {
            std::mt19937 random(seed);
            auto const past = anyPast(random, 1 + random() % 120);
            auto const policy = anyPolicy(random);
            auto const thinning = thin(past, policy);
            auto const once = thinned(past, policy);
            // Nothing goes twice, and what goes could go.
            std::set<std::string> seen;
            for (auto const& gone : thinning.going) {
                QVERIFY(seen.insert(gone.id).second);
                auto const moment = *std::find_if(
                    past.moments.begin(), past.moments.end(), [&](auto const& one) { return one.id == gone.id; });
                QVERIFY(gone.id != past.goingTo);
                if (moment.removedAt != 0)
                    continue;
                QVERIFY(gone.id != past.present);
                QVERIFY(moment.reason != Reason::Kept && !moment.pinned && moment.name.empty() && moment.note.empty());
                QVERIFY(hasChild(past, gone.id));
            }
            for (auto const& spare : thinning.spare) {
                QVERIFY(seen.insert(spare).second && spare != past.present && spare != past.goingTo);
                QVERIFY(hasChild(past, spare));
            }
            // Each piece of time of a tier keeps its first one.
            for (auto const& tier : policy.tiers) {
                auto const period = std::max<std::uint64_t>(1, tier.everyMinutes * minute);
                std::set<std::uint64_t> pieces;
                for (auto const& moment : past.moments) {
                    bool const isOwn = moment.reason != Reason::Kept && !moment.pinned && moment.name.empty()
                        && moment.note.empty() && moment.removedAt == 0;
                    if (isOwn && (pieces.insert(moment.time / period).second || tier.everyMinutes == 0)
                        && past.now - moment.time < tier.forHours * hour)
                        QVERIFY(idsOf(once).contains(moment.id));
                }
            }
            // Idempotent.
            QVERIFY(thin(once, policy).going.empty());
            // Time only takes away, and thinning before changes nothing of what stays later.
            auto later = past, laterOnce = once;
            later.now = laterOnce.now = past.now + random() % (5 * day);
            auto const direct = idsOf(thinned(later, policy)), byWayOfOnce = idsOf(thinned(laterOnce, policy));
            for (auto const& id : direct)
                QVERIFY(idsOf(once).contains(id));
            for (auto const& id : direct)
                QVERIFY(byWayOfOnce.contains(id));
        }
    }

    void whatAPolicyMayBe()
    {
        REQUIRE_OK(checkPolicy({}));
        Policy policy;
        policy.everyMinutes = 0;
        auto const refused = checkPolicy(policy);
        QCOMPARE(refused.error().code, ErrorCode::InvalidArgument);
        QVERIFY2(refused.error().detail.find("everyMinutes") != std::string::npos, refused.error().detail.c_str());
        policy = {};
        policy.tiers.assign(17, {});
        QCOMPARE(checkPolicy(policy).error().code, ErrorCode::InvalidArgument);
        policy.tiers = { { 60, 0 } };
        QCOMPARE(checkPolicy(policy).error().code, ErrorCode::InvalidArgument);
    }

    void aTimelineRemembersItsPolicy()
    {
        tests::FakeFolderDisk disk;
        auto timeline = tests::openTimeline(disk);
        QCOMPARE(timeline->policy(), Policy {});
        Policy policy;
        policy.automatic = false;
        policy.everyMinutes = 3;
        policy.tiers = { { 5, 2 } };
        policy.budget = 1;
        REQUIRE_OK(timeline->setPolicy(policy));
        policy.everyMinutes = 0;
        QCOMPARE(timeline->setPolicy(policy).error().code, ErrorCode::InvalidArgument);
        policy.everyMinutes = 3;
        timeline = tests::openTimeline(disk);
        QCOMPARE(timeline->policy(), policy);
        QCOMPARE(tests::must(Timeline::policy(tests::FakeFolder(disk))), policy);
        tests::FakeFolderDisk none;
        QCOMPARE(tests::must(Timeline::policy(tests::FakeFolder(none))), Policy {});
    }

    /// What freed() says of each is what purging and sweeping then gives back, whatever the order.
    void whatIsSaidToBeFreedIsFreed()
    {
        for (unsigned seed = 0; seed < 12; ++seed) {
            std::mt19937 random(seed);
            tests::FakeFolderDisk disk;
            auto const timeline = tests::openTimeline(disk);
            tests::FakeMemory memory({ 6 * mib });
            std::vector<std::string> ids;
            for (unsigned i = 0; i < 6; ++i) {
                if (i > 0 && random() % 3 == 0) {
                    auto const from = ids[random() % ids.size()];
                    REQUIRE_OK(timeline->setPresent(from));
                    REQUIRE_OK(tests::must(timeline->memory(from)).read(0, 0, memory.data[0]));
                }
                auto const first = random() % 1000;
                for (unsigned page = 0; page < 400; ++page)
                    memory.fill(0, first + page, 1 + i * 1000 + page);
                NewMoment const what { .time = today + i, .state = std::string(1000, 's') };
                ids.push_back(tests::must(timeline->take(what, memory, {})).id);
            }
            if (seed % 2 == 0) // something that sweep() gives back before any of them
                REQUIRE_OK(timeline->purge(ids[seed / 2]));
            std::erase_if(ids, [&](auto const& id) { return !timeline->moment(id); });
            std::shuffle(ids.begin(), ids.end(), random);
            ids.resize(1 + random() % ids.size());

            auto const told = tests::must(timeline->freed(ids));
            QCOMPARE(told.total, bytesOn(disk));
            REQUIRE_OK(timeline->sweep());
            QVERIFY(isNear(told.total - told.first, bytesOn(disk), told.total));
            for (std::size_t i = 0; i < ids.size(); ++i) {
                auto const before = bytesOn(disk);
                REQUIRE_OK(timeline->purge(ids[i]));
                REQUIRE_OK(timeline->sweep());
                QVERIFY2(isNear(told.each[i], before - bytesOn(disk), told.total),
                    qPrintable(QString("seed %1, moment %2 of %3: %4 told, %5 freed")
                                   .arg(seed)
                                   .arg(i)
                                   .arg(ids.size())
                                   .arg(told.each[i])
                                   .arg(before - bytesOn(disk))));
            }
        }
    }

    void whatAMachineStillReadsIsNotFreed()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        tests::FakeMemory memory({ 4 * mib });
        for (unsigned page = 0; page < 1000; ++page)
            memory.fill(0, page, 1 + page);
        auto const id = tests::must(timeline->take({ .state = "s" }, memory, {})).id;
        QVERIFY(tests::must(timeline->freed({ id })).each[0] > mib);
        auto held = timeline->hold(tests::must(timeline->memory(id)));
        QVERIFY(tests::must(timeline->freed({ id })).each[0] < 10'000);
        held.reset();
        QVERIFY(tests::must(timeline->freed({ id })).each[0] > mib);
        QCOMPARE(timeline->freed({ "nowhere" }).error().code, ErrorCode::NotFound);
    }

    /// No moment goes for space that cannot be given back.
    void nothingIsPlannedWhileAMomentIsDamaged()
    {
        tests::FakeFolderDisk disk;
        std::string id;
        {
            auto const timeline = tests::openTimeline(disk);
            tests::FakeMemory memory({ mib });
            memory.fill(0, 0, 1);
            id = tests::must(timeline->take({ .reason = Reason::Automatic, .time = 1 }, memory, {})).id;
            memory.fill(0, 0, 2);
            ignore(timeline->take({ .reason = Reason::Automatic, .time = 2 }, memory, {}));
        }
        disk.files.at("moments/" + id + ".json")->bytes.resize(10);
        auto const timeline = tests::openTimeline(disk);
        QCOMPARE(timeline->damages().size(), 1u);
        auto const plan = planThinning(*timeline, {}, today);
        QVERIFY(!plan);
        QCOMPARE(plan.error().message(), timeline->sweep().error().message());
    }

    /// What a timeline says that goes frees as much as it says, and no more goes than has to.
    void thePlanOfATimeline()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        tests::FakeMemory memory({ 4 * mib });
        std::vector<std::string> ids;
        for (unsigned i = 0; i < 6; ++i) {
            for (unsigned page = 0; page < 256; ++page)
                memory.fill(0, page, 1 + i * 1000 + page);
            NewMoment const what { .reason = i == 0 ? Reason::Kept : Reason::Automatic,
                .time = today - (10 - i) * minute,
                .state = std::string(1000, 's') };
            ids.push_back(tests::must(timeline->take(what, memory, {})).id);
        }
        Policy policy;
        auto plan = tests::must(planThinning(*timeline, policy, today));
        QVERIFY(plan.going.empty());
        QCOMPARE(plan.bytes, plan.bytesAfter);
        QCOMPARE(plan.bytes, bytesOn(disk));

        // One moment's pages too little for all.
        policy.budget = plan.bytes - 256 * kib;
        plan = tests::must(planThinning(*timeline, policy, today));
        QCOMPARE(plan.going, (std::vector<ThinnedMoment> { { ids[1], Thinned::Budget } }));
        QCOMPARE(plan.over, 0u);
        REQUIRE_OK(timeline->purge(ids[1]));
        REQUIRE_OK(timeline->sweep());
        auto const after = tests::must(planThinning(*timeline, policy, today));
        QVERIFY(after.going.empty());
        QCOMPARE(after.bytes, bytesOn(disk));
        QCOMPARE(after.bytes, plan.bytesAfter);

        // So little that only what a person has kept could give it back: that, and the present, are left.
        policy.budget = 1;
        plan = tests::must(planThinning(*timeline, policy, today));
        QCOMPARE(plan.going.size(), 3u);
        QCOMPARE(plan.over, plan.bytesAfter - 1);
        // Meanwhile a person has pinned one, and removed another.
        REQUIRE_OK(timeline->setPinned(ids[2], true));
        REQUIRE_OK(timeline->remove(ids[3], today));
        REQUIRE_OK(timeline->setPresent(ids[4]));
        for (auto const& gone : plan.going)
            QVERIFY(!isStillGoing(*timeline, gone));
        QVERIFY(!isStillGoing(*timeline, { ids[5], Thinned::Budget })); // the last of its branch now
        QVERIFY(isStillGoing(*timeline, { ids[3], Thinned::Removed }));
        QVERIFY(!isStillGoing(*timeline, { "nowhere", Thinned::Budget }));
    }

    /// Who deletes to make room loses nothing else while that can be brought back.
    void whatWasRemovedIsRoomForTheBudget()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        tests::FakeMemory memory({ 4 * mib });
        std::vector<std::string> ids;
        for (unsigned i = 0; i < 5; ++i) {
            for (unsigned page = 0; page < 256; ++page)
                memory.fill(0, page, 1 + i * 1000 + page);
            NewMoment const what {
                .reason = i == 3 ? Reason::Kept : Reason::Automatic, .time = today - (10 - i) * minute, .state = "s"
            };
            ids.push_back(tests::must(timeline->take(what, memory, {})).id);
        }
        Policy policy;
        policy.tiers = { { 0, 48 } };
        policy.budget = bytesOn(disk) - 256 * kib;
        QCOMPARE(tests::must(planThinning(*timeline, policy, today)).going,
            (std::vector<ThinnedMoment> { { ids[0], Thinned::Budget } }));
        REQUIRE_OK(timeline->remove(ids[3], today));
        auto plan = tests::must(planThinning(*timeline, policy, today));
        QVERIFY(plan.going.empty());
        QVERIFY(plan.waiting > 256 * kib);
        QCOMPARE(plan.bytesAfter, bytesOn(disk));
        QCOMPARE(plan.over, 0u);
        auto const purge = [&](std::string const& id) -> Result<bool> {
            TRY(timeline->purge(id));
            return true;
        };
        auto pruned = tests::must(prune(*timeline, policy, today, purge));
        QVERIFY(pruned.gone.empty());
        QCOMPARE(pruned.over, 0u);

        // What goes besides is what is too much even then.
        auto less = policy;
        less.budget = bytesOn(disk) - plan.waiting - 256 * kib;
        plan = tests::must(planThinning(*timeline, less, today));
        QCOMPARE(plan.going, (std::vector<ThinnedMoment> { { ids[0], Thinned::Budget } }));
        QCOMPARE(plan.over, 0u);

        pruned = tests::must(prune(*timeline, policy, today + hour, purge));
        QCOMPARE(pruned.gone.size(), std::size_t(1));
        QCOMPARE(pruned.gone[0].moment.id, ids[3]);
        QVERIFY(bytesOn(disk) <= policy.budget);
        QCOMPARE(timeline->moments().size(), std::size_t(4));

        for (auto const& moment : timeline->moments())
            REQUIRE_OK(timeline->setPinned(moment.id, true));
        QVERIFY(!mayThin(*timeline, policy, today));
        REQUIRE_OK(timeline->remove(ids[0], today));
        QVERIFY(mayThin(*timeline, policy, today));
    }

    void whatDisksKeepIsInTheBudget()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        auto const ids = keepFive(*timeline);
        Disks disks { *timeline };
        Policy policy;
        policy.budget = bytesOn(disk) + 5 * Disks::each - 15 * mib; // a moment's disks are not enough
        QVERIFY(tests::must(planThinning(*timeline, policy, today)).going.empty());
        auto plan = tests::must(planThinning(*timeline, policy, today, {}, disks.calls()));
        QCOMPARE(plan.going, (std::vector<ThinnedMoment> { { ids[0], Thinned::Budget }, { ids[1], Thinned::Budget } }));
        QCOMPARE(plan.bytes, bytesOn(disk) + 5 * Disks::each);
        QCOMPARE(tests::must(plan.onDisks), 5 * Disks::each);
        QCOMPARE(plan.onDisksAfter, 3 * Disks::each);
        QCOMPARE(plan.over, 0u);

        // What a person has removed counts as gone there too.
        REQUIRE_OK(timeline->setPinned(ids[2], true));
        REQUIRE_OK(timeline->remove(ids[3], today));
        plan = tests::must(planThinning(*timeline, policy, today, {}, disks.calls()));
        QCOMPARE(plan.going, (std::vector<ThinnedMoment> { { ids[0], Thinned::Budget } }));
        QVERIFY(plan.waiting > Disks::each);
        QCOMPARE(plan.onDisksAfter, 4 * Disks::each);
    }

    void pruningSeesWhatDisksHaveLetGoOf()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        keepFive(*timeline);
        Disks disks { *timeline };
        Policy policy;
        policy.budget = bytesOn(disk) + 5 * Disks::each - 15 * mib;
        auto const before = bytesOn(disk);
        auto const pruned = tests::must(disks.prune(policy));
        QCOMPARE(pruned.gone.size(), std::size_t(2));
        QCOMPARE(pruned.bytesBefore, before + 5 * Disks::each);
        QCOMPARE(pruned.bytesAfter, bytesOn(disk) + 3 * Disks::each);
        QCOMPARE(tests::must(pruned.onDisks), 3 * Disks::each);
        QCOMPARE(pruned.over, 0u);
        QCOMPARE(pruned.loose, 0u);
        QCOMPARE(disks.tidied, 1u);
    }

    /// No other moment goes for it: it would give back as little.
    void whatDisksDoNotLetGoOfIsOverTheBudget()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        keepFive(*timeline);
        Disks disks { *timeline };
        disks.letGo = false;
        Policy policy;
        policy.budget = bytesOn(disk) + 5 * Disks::each - 15 * mib;
        for (unsigned time = 0; time < 2; ++time) {
            auto const pruned = tests::must(disks.prune(policy));
            QCOMPARE(pruned.gone.size(), std::size_t(time == 0 ? 2 : 0));
            QCOMPARE(tests::must(pruned.onDisks), 5 * Disks::each);
            QCOMPARE(pruned.bytesAfter, bytesOn(disk) + 5 * Disks::each);
            QCOMPARE(pruned.over, pruned.bytesAfter - policy.budget);
            QCOMPARE(pruned.loose, 2 * Disks::each);
            QCOMPARE(timeline->moments().size(), std::size_t(3));
        }
    }

    void whatIsNotKnownOfDisksEndsNoMoment()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        keepFive(*timeline);
        Disks disks { *timeline };
        disks.problem = ErrorCode::NotFound;
        Policy policy;
        policy.budget = bytesOn(disk);
        auto const pruned = tests::must(disks.prune(policy));
        QVERIFY(pruned.gone.empty());
        QCOMPARE(pruned.onDisks.error().detail, "the disk is away");
        QCOMPARE(pruned.bytesAfter, bytesOn(disk));
        QCOMPARE(pruned.bytesBefore, bytesOn(disk));
        QCOMPARE(pruned.over, 0u);
        disks.problem = ErrorCode::Cancelled;
        QCOMPARE(disks.prune(policy).error().code, ErrorCode::Cancelled);
    }

    void pruningIsDueByWhatDisksKept()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        auto const ids = keepFive(*timeline);
        Policy policy;
        policy.budget = bytesOn(disk) + mib;
        QVERIFY(!isPruningDue(*timeline, policy, today));
        QVERIFY(!isPruningDue(*timeline, policy, today, mib));
        QVERIFY(isPruningDue(*timeline, policy, today, mib + 1));
        QVERIFY(isPruningDue(*timeline, policy, today, std::nullopt)); // nobody knows
        auto any = policy;
        any.budget = 0;
        QVERIFY(!isPruningDue(*timeline, any, today, std::nullopt));
        for (auto const& id : ids) // and nothing may go
            REQUIRE_OK(timeline->setPinned(id, true));
        QVERIFY(!isPruningDue(*timeline, policy, today, std::nullopt));
        QVERIFY(!isPruningDue(*timeline, policy, today, 2 * mib));
    }

    /// A moment that is to be taken goes before a sweep, which begins anew after it.
    void aSweepGivesWayToAMoment()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        tests::FakeMemory memory({ mib }), other({ mib });
        for (unsigned i = 0; i < 300; ++i) { // as many packs
            memory.fill(0, 0, 1 + i);
            memory.fill(0, 1 + i % 200, 1000 + i);
            auto const id = tests::must(timeline->take({ .time = i }, memory, {})).id;
            if (i % 2 == 0)
                REQUIRE_OK(timeline->purge(id));
        }
        other.fill(0, 7, 1000); // of a page that nobody needs any more
        std::thread taker;
        std::atomic<bool> isAsking { false }, isTaken { false };
        unsigned told = 0, toldAfter = 0;
        auto const swept = timeline->sweep([&](std::uint64_t, std::uint64_t) {
            if (told++ == 0) {
                taker = std::thread([&] {
                    isAsking = true;
                    tests::must(timeline->take({ .name = "between", .time = 1000 }, other, {}));
                    isTaken = true;
                });
            }
            while (!isAsking)
                std::this_thread::yield();
            // Until it waits for its turn, if not for ever.
            if (!isTaken && told < 100)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            toldAfter += isTaken ? 1 : 0;
            return true;
        });
        taker.join();
        REQUIRE_OK(swept);
        QVERIFY(toldAfter > 0);
        QVERIFY(tests::must(timeline->verify()).empty());
        auto const between = timeline->moments().back();
        QCOMPARE(between.name, "between");
        Bytes data(mib);
        REQUIRE_OK(tests::must(timeline->memory(between.id)).read(0, 0, data));
        QCOMPARE(data, other.data[0]);
    }

    void aCancelledSweepSaysSo()
    {
        tests::FakeFolderDisk disk;
        auto const timeline = tests::openTimeline(disk);
        tests::FakeMemory memory({ mib });
        memory.fill(0, 0, 1);
        ignore(timeline->take({ .time = 1 }, memory, {}));
        QCOMPARE(timeline->sweep([](auto, auto) { return false; }).error().code, ErrorCode::Cancelled);
        REQUIRE_OK(timeline->sweep());
    }

private:
    static constexpr std::uint64_t kib = 1024, mib = 1024 * kib;

    /// By itself, one after the other in the last hour; of each no page is another's.
    static std::vector<std::string> keepFive(Timeline& timeline)
    {
        tests::FakeMemory memory({ 4 * mib });
        std::vector<std::string> ids;
        for (unsigned i = 0; i < 5; ++i) {
            for (unsigned page = 0; page < 256; ++page)
                memory.fill(0, page, 1 + i * 1000 + page);
            NewMoment const what { .reason = Reason::Automatic, .time = today - (10 - i) * minute, .state = "s" };
            ids.push_back(tests::must(timeline.take(what, memory, {})).id);
        }
        return ids;
    }
    /// All but the timeline's own record.
    static std::uint64_t bytesOn(tests::FakeFolderDisk const& disk)
    {
        std::uint64_t sum = 0;
        for (auto const& [name, content] : disk.files)
            sum += name.starts_with("timeline.") ? 0 : content->bytes.size();
        return sum;
    }
    /// Within what pages that are compressed together cannot tell beforehand.
    static bool isNear(std::uint64_t told, std::uint64_t real, std::uint64_t total)
    {
        return std::max(told, real) - std::min(told, real) <= total / 50;
    }
};

REGISTER_SUITE(ThinningTest);
#include "thinning_test.moc"
