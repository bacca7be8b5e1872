#include "tests/battery/battery.h"
#include "tests/fakes/fake_memory.h"
#include "tests/support/open_timeline.h"
#include "tests/support/suite.h"
#include "vmm/base/random.h"
#include "vmm/timeline/thinning.h"

#include <QDir>
#include <QTemporaryDir>
#include <random>
#include <set>
#include <sys/stat.h>

using namespace vmm;
using namespace vmm::timeline;
using tests::FakeFolder;
using tests::FakeFolderDisk;
using Memory = tests::FakeMemory;

namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib;

std::unique_ptr<Timeline> open(FakeFolderDisk& disk, Timeline::Access access = Timeline::Access::ReadWrite)
{
    return tests::openTimeline(disk, access);
}

NewMoment named(std::string name, std::uint64_t time = 1)
{
    return { .name = name, .time = time, .state = "state of " + name, .picture = Bytes(100, 7) };
}

/// What a timeline should hold.
using Model = std::map<std::string, std::vector<Bytes>>;

std::vector<Bytes> read(Timeline const& timeline, std::string const& id)
{
    auto const tree = tests::must(timeline.memory(id));
    std::vector<Bytes> data;
    for (std::size_t block = 0; block < tree.roots().size(); ++block) {
        data.emplace_back(tree.roots()[block].size);
        tests::must(tree.read(block, 0, data.back()));
    }
    return data;
}

/// The first thing that is not as the model says; empty: nothing.
QString difference(Timeline const& timeline, Model const& model)
{
    for (auto const& [id, data] : model) {
        auto const moment = timeline.moment(id);
        if (!moment)
            return QString::fromStdString(id + ": " + moment.error().message());
        if (read(timeline, id) != data)
            return QString::fromStdString(moment->name + ": its memory differs");
        if (auto const state = timeline.state(id); !state || *state != "state of " + moment->name)
            return QString::fromStdString(moment->name + ": its state differs");
    }
    auto const damaged = tests::must(timeline.verify());
    return damaged.empty() ? ""
                           : QString::fromStdString(damaged.front().moment + ": " + damaged.front().error.message());
}

}

class TimelineTest : public QObject {
    Q_OBJECT

private slots:
    void layoutOfAMoment() { tests::goldenSchema<Moment>(); }
    void layoutOfTheRecord() { tests::goldenSchema<TimelineRecord>(); }
    void layoutOfTheSet() { tests::goldenSchema<WorkingSet>(); }

    void memoryComesBack()
    {
        FakeFolderDisk disk;
        auto timeline = open(disk);
        // Sizes that need one level, two, and three, none of them whole nodes.
        Memory memory({ 3 * 4096, 17 * mib + 4096, 80 * kib });
        std::mt19937 random(1);
        memory.scribble(random, 900);
        auto const taken = tests::must(timeline->take(named("first"), memory, [](auto, auto) { return true; }));
        QCOMPARE(difference(*timeline, { { taken.id, memory.data } }), QString());
        timeline = open(disk, Timeline::Access::ReadOnly);
        QCOMPARE(difference(*timeline, { { taken.id, memory.data } }), QString());
        QCOMPARE(timeline->present(), taken.id);
        QCOMPARE(tests::must(timeline->picture(taken.id)), Bytes(100, 7));
    }

    void whatIsKnownIsNotStoredAgain()
    {
        FakeFolderDisk disk;
        auto const timeline = open(disk);
        Memory memory({ 4 * mib });
        for (unsigned page = 0; page < 100; ++page)
            memory.fill(0, page, 1 + page % 10);
        auto const first = tests::must(timeline->take(named("first"), memory, [](auto, auto) { return true; }));
        QCOMPARE(first.changedPages, 100u);
        QCOMPARE(first.newPages, 10u);

        memory.fill(0, 500, 3);  // known from elsewhere
        memory.fill(0, 501, 77); // new
        memory.fill(0, 502, 77);
        memory.fill(0, 7, 0); // zeros now
        auto const second = tests::must(timeline->take(named("second"), memory, [](auto, auto) { return true; }));
        QCOMPARE(second.changedPages, 3u);
        QCOMPARE(second.newPages, 1u);
        QCOMPARE(second.parent, first.id);

        auto const third = tests::must(timeline->take(named("third"), memory, [](auto, auto) { return true; }));
        QCOMPARE(third.changedPages, 0u);
        QCOMPARE(third.storedBytes, 0u);
        QCOMPARE(third.memory, second.memory);
    }

    /// A machine that went back, and of whose memory not all has come yet.
    void whatHasNotComeIsReferredTo_data()
    {
        QTest::addColumn<bool>("isBase");
        QTest::newRow("nothing was kept in between") << true;
        QTest::newRow("another moment was") << false;
    }
    void whatHasNotComeIsReferredTo()
    {
        QFETCH(bool, isBase);
        FakeFolderDisk disk;
        auto const timeline = open(disk);
        Memory memory({ 3 * 4096, 17 * mib + 4096, 5 * mib });
        std::mt19937 random(5);
        memory.scribble(random, 900);
        auto const origin = tests::must(timeline->take(named("origin"), memory, {}));
        Model model { { origin.id, memory.data } };
        auto now = memory;
        if (!isBase) {
            now.scribble(random, 300);
            model[tests::must(timeline->take(named("base"), now, {})).id] = now.data;
            now = memory;
        }
        // Whole leaves of it, parts of others, and what is written to meanwhile.
        auto here = now;
        here.from = std::make_shared<MemoryTree>(tests::must(timeline->memory(origin.id)));
        for (std::size_t block = 0; block < now.data.size(); ++block) {
            for (std::uint64_t page = 0; page < now.data[block].size() / 4096; ++page) {
                if (page % 1000 < 500 || random() % 2 == 0)
                    here.setMissing(block, page);
            }
        }
        std::uint64_t written = 0;
        for (auto const page : { 3, 700, 801, 802, 4352 }) {
            auto const at = static_cast<std::uint64_t>(page);
            for (auto* both : { &now, &here })
                both->fill(1, at, 1000 + static_cast<std::uint32_t>(page));
            here.missing.erase({ 1, at * 4096 });
            ++written;
        }
        here.reads.clear();
        auto const taken = tests::must(timeline->take(named("taken"), here, {}));
        QCOMPARE(taken.newPages, written);
        if (isBase)
            QCOMPARE(taken.changedPages, written);
        for (auto const& [block, offset] : here.reads)
            QVERIFY(!here.missing.contains({ block, offset }));
        model[taken.id] = now.data;
        QCOMPARE(difference(*timeline, model), QString());
        // What it refers to stays when the moment is gone that it comes from.
        here.from.reset();
        REQUIRE_OK(timeline->purge(origin.id));
        REQUIRE_OK(timeline->sweep());
        model.erase(origin.id);
        QCOMPARE(difference(*timeline, model), QString());
    }

    /// The guest is likely to write there next, and pays for what is not read yet.
    void whatChangedLatelyIsReadFirst()
    {
        FakeFolderDisk disk;
        auto const timeline = open(disk);
        Memory memory({ 16 * mib, 9 * mib });
        for (unsigned i = 0; i < 16; ++i)
            memory.fill(0, i * 256, 1 + i);
        memory.fill(1, 2000, 99);
        ignore(timeline->take(named("first"), memory, {}));
        memory.fill(0, 7 * 256, 100);
        memory.fill(1, 2000, 101);
        ignore(timeline->take(named("second"), memory, {}));
        memory.reads.clear();
        memory.lettingGo.clear();
        memory.fill(0, 0, 102);
        auto const third = tests::must(timeline->take(named("third"), memory, {}));
        // What large pages of the host hold is read together.
        auto const at = [&](std::size_t block, std::uint64_t offset) {
            return std::find(memory.reads.begin(), memory.reads.end(), std::pair(block, offset));
        };
        QVERIFY(at(0, 7 * mib) < at(1, 2000 * 4096 / (256 * kib) * (256 * kib)));
        QVERIFY(at(1, 2000 * 4096 / (256 * kib) * (256 * kib)) < at(0, 0));
        QVERIFY(at(0, 0) != memory.reads.end());
        // All of it, once.
        QCOMPARE(memory.lettingGo.size(), (16 + 9) * mib / 4096);
        QCOMPARE(memory.lettingGo.count({ 1, 9 * mib - 4096 }), 1u);
        QCOMPARE(difference(*timeline, { { third.id, memory.data } }), QString());
    }

    /// More than waits to be compressed at any time, and the same pages again far away.
    void manyPages()
    {
        FakeFolderDisk disk;
        auto const timeline = open(disk);
        Memory memory({ 128 * mib });
        for (unsigned page = 0; page < 30000; ++page)
            std::memcpy(memory.data[0].data() + std::size_t(page) * 4096, &page, sizeof page);
        std::uint64_t told = 0;
        auto const first = tests::must(timeline->take(named("first"), memory, [&](auto done, auto) {
            told = std::max(told, done);
            return true;
        }));
        QCOMPARE(first.newPages, 29999u); // the first holds a zero
        QVERIFY(told <= 128 * mib);
        std::copy_n(memory.data[0].begin(), 100 * 4096, memory.data[0].end() - 100 * 4096);
        auto const second = tests::must(timeline->take(named("second"), memory, {}));
        QCOMPARE(second.changedPages, 99u);
        QCOMPARE(second.newPages, 0u);
        QCOMPARE(difference(*timeline, { { second.id, memory.data } }), QString());
    }

    /// A part of memory that cannot be read any more, and holds nothing now, is no part of the next moment.
    void whatWasDamagedAndIsZeroNowIsNotReferredTo()
    {
        FakeFolderDisk disk;
        auto timeline = open(disk);
        Memory memory({ 512 * kib });
        memory.fill(0, 0, 1);
        memory.fill(0, 100, 2);
        auto const first = tests::must(timeline->take(named("first"), memory, {}));
        auto& pack = disk.files.at("packs/00000001")->bytes;
        auto const nodesAt = loadLittle<std::uint64_t>(ConstByteSpan(pack).subspan(pack.size() - 64 + 8, 8));
        pack[nodesAt + 8] ^= 1; // the first leaf
        timeline = open(disk);
        memory.fill(0, 0, 0);
        auto const second = tests::must(timeline->take(named("second"), memory, {}));
        QVERIFY(read(*timeline, second.id) == memory.data);
        QCOMPARE(tests::must(timeline->verify()).size(), 1u);
        QCOMPARE(tests::must(timeline->verify()).front().moment, first.id);
    }

    /// Another look finds it whole.
    void whatOnlyCannotBeReadIsNotCalledDamaged()
    {
        FakeFolderDisk disk;
        Memory memory({ 512 * kib });
        for (unsigned page = 0; page < 128; ++page)
            memory.fill(0, page, std::uint8_t(page + 1));
        tests::must(open(disk)->take(named("first"), memory, {}));
        std::size_t told = 0;
        bool goesOn = true;
        for (unsigned at = 0; goesOn; ++at) {
            auto const timeline = open(disk);
            disk.plan(FakeFolderDisk::Fault::Unreadable, at, false);
            auto const found = tests::must(timeline->verify());
            goesOn = disk.hasStruck();
            disk.fault = FakeFolderDisk::Fault::None;
            told += found.size(); // not of a read that is tried anew
            for (auto const& one : found)
                QVERIFY2(one.isUnread() && one.error.osError == EIO, one.error.message().c_str());
            QVERIFY(tests::must(timeline->verify()).empty());
        }
        QVERIFY2(told > 24, qPrintable(QString::number(told))); // three for each frame, and others
    }

    void namesAreCutBetweenCharacters()
    {
        FakeFolderDisk disk;
        auto timeline = open(disk);
        Memory memory({ mib });
        auto const cut = tests::must(timeline->take(named(std::string(255, 'a') + "\xc3\xa4", 1), memory, {})).id;
        auto const odd = tests::must(timeline->take(named(std::string(256, '\xff'), 2), memory, {})).id;
        REQUIRE_OK(timeline->setNote(odd, std::string(65535, 'b') + "\xe2\x82\xac"));
        timeline = open(disk);
        QVERIFY(timeline->damages().empty());
        QCOMPARE(tests::must(timeline->moment(cut)).name, std::string(255, 'a'));
        QCOMPARE(tests::must(timeline->moment(odd)).name.size(), 255u); // 85 replacement characters
        QCOMPARE(tests::must(timeline->moment(odd)).note, std::string(65535, 'b'));
    }

    void branchesAndNames()
    {
        FakeFolderDisk disk;
        auto timeline = open(disk);
        Memory memory({ mib });
        auto const take = [&](std::string const& name, std::uint64_t time) {
            return tests::must(timeline->take(named(name, time), memory, {})).id;
        };
        auto const a = take("a", 1);
        auto const b = take("b", 2);
        REQUIRE_OK(timeline->setPresent(a));
        auto const c = take("c", 3);
        QCOMPARE(tests::must(timeline->moment(c)).parent, a);
        REQUIRE_OK(timeline->rename(b, "before the upgrade"));
        REQUIRE_OK(timeline->setNote(b, "worked"));
        REQUIRE_OK(timeline->setPinned(b, true));
        REQUIRE_OK(timeline->remove(c, 5));
        QCOMPARE(timeline->setPresent("nowhere").error().code, ErrorCode::NotFound);
        timeline = open(disk);
        QCOMPARE(timeline->present(), c);
        auto const kept = tests::must(timeline->moment(b));
        QCOMPARE(kept.name, "before the upgrade");
        QCOMPARE(kept.note, "worked");
        QVERIFY(kept.pinned);
        QCOMPARE(tests::must(timeline->moment(c)).removedAt, 5u);
        REQUIRE_OK(timeline->bringBack(c));
        REQUIRE_OK(timeline->purge(a));
        QCOMPARE(tests::must(timeline->moment(b)).parent, "");
        REQUIRE_OK(timeline->purge(c));
        QCOMPARE(timeline->present(), "");
        QCOMPARE(timeline->moments().size(), 1u);
    }

    void readOnlyChangesNothing()
    {
        FakeFolderDisk disk;
        auto const id = [&] {
            Memory memory({ mib });
            return tests::must(open(disk)->take(named("a"), memory, {})).id;
        }();
        auto const before = disk.operations;
        auto const timeline = open(disk, Timeline::Access::ReadOnly);
        Memory memory({ mib });
        QCOMPARE(timeline->take(named("b"), memory, {}).error().code, ErrorCode::PermissionDenied);
        QCOMPARE(timeline->purge(id).error().code, ErrorCode::PermissionDenied);
        QCOMPARE(timeline->sweep().error().code, ErrorCode::PermissionDenied);
        QCOMPARE(disk.operations, before);
    }

    /// Each time that it tells how far it is; and the next one, which has everything to do, is whole.
    void cancelledAtAnyTimeATakeLeavesNothing()
    {
        FakeFolderDisk disk;
        auto const timeline = open(disk);
        Memory memory({ 2 * mib });
        std::mt19937 random(3);
        memory.scribble(random, 300);
        auto const first = tests::must(timeline->take(named("first"), memory, {}));
        memory.scribble(random, 300);
        auto const before = disk.files.size();
        unsigned at = 0;
        for (;; ++at) {
            unsigned told = 0;
            bool wasAsked = false;
            auto const taken = timeline->take(named("a"), memory, [&](std::uint64_t, std::uint64_t) {
                wasAsked = wasAsked || told == at;
                return told++ != at;
            });
            if (!wasAsked) {
                REQUIRE_OK(taken);
                break;
            }
            QVERIFY(!taken);
            QCOMPARE(taken.error().code, ErrorCode::Cancelled);
            QCOMPARE(disk.files.size(), before);
            QCOMPARE(timeline->moments().size(), std::size_t(1));
            QCOMPARE(timeline->present(), first.id);
        }
        QVERIFY2(at > 3, qPrintable(QString::number(at)));
        QCOMPARE(timeline->moments().size(), std::size_t(2));
        QVERIFY(tests::must(timeline->verify()).empty());
    }

    void removedInAnyOrder()
    {
        for (unsigned seed = 0; seed < 8; ++seed) {
            FakeFolderDisk disk;
            auto timeline = open(disk);
            Memory memory({ 2 * mib, 300 * kib });
            std::mt19937 random(seed);
            Model model;
            for (unsigned turn = 0; turn < 60; ++turn) {
                auto const any
                    = [&] { return std::next(model.begin(), random() % static_cast<unsigned>(model.size())); };
                switch (model.empty() ? 0 : random() % 5) {
                case 0:
                case 1: {
                    memory.scribble(random, 1 + random() % 200);
                    auto const taken = tests::must(timeline->take(named("m" + std::to_string(turn)), memory, {}));
                    model[taken.id] = memory.data;
                    break;
                }
                case 2: {
                    auto const where = any();
                    REQUIRE_OK(timeline->setPresent(where->first));
                    memory.data = where->second;
                    break;
                }
                case 3: {
                    auto const gone = any();
                    REQUIRE_OK(timeline->purge(gone->first));
                    model.erase(gone);
                    break;
                }
                default:
                    REQUIRE_OK(timeline->sweep());
                    if (random() % 2 == 0)
                        timeline = open(disk);
                }
                if (turn % 10 == 9)
                    QCOMPARE(difference(*timeline, model), QString());
            }
            for (auto const& [id, data] : model)
                REQUIRE_OK(timeline->purge(id));
            REQUIRE_OK(timeline->sweep());
            QVERIFY(timeline->moments().empty());
            QCOMPARE(disk.files.size(), 2u); // the record and its copy
        }
    }

    void spaceComesBack()
    {
        FakeFolderDisk disk;
        auto const timeline = open(disk);
        Memory memory({ 8 * mib });
        for (unsigned page = 0; page < 1000; ++page)
            memory.fill(0, page, 1000 + page);
        auto const first = tests::must(timeline->take(named("a"), memory, {}));
        for (unsigned page = 0; page < 900; ++page)
            memory.fill(0, page, 5000 + page);
        auto const second = tests::must(timeline->take(named("b"), memory, {}));

        auto const usage = tests::must(timeline->usage());
        auto const own = usage.moments.at(first.id).own, shared = usage.moments.at(first.id).shared;
        QVERIFY2(own > 6 * shared && shared > 0, qPrintable(QString("%1 %2").arg(own).arg(shared)));
        QCOMPARE(usage.free, 0u);

        REQUIRE_OK(timeline->purge(first.id));
        QVERIFY(tests::must(timeline->usage()).free >= own * 9 / 10);
        REQUIRE_OK(timeline->sweep());
        auto const after = tests::must(timeline->usage());
        QVERIFY2(after.total < usage.total - own * 8 / 10,
            qPrintable(QString("%1 of %2").arg(after.total).arg(usage.total)));
        QCOMPARE(difference(*timeline, { { second.id, memory.data } }), QString());
    }

    void forkSharesAndParts_data()
    {
        QTest::addColumn<bool>("hasLinks");
        QTest::newRow("links") << true;
        QTest::newRow("copies") << false;
    }

    /// Two timelines of one moment, each of which goes its own way.
    void forkSharesAndParts()
    {
        QFETCH(bool, hasLinks);
        FakeFolderDisk disk, other;
        other.hasLinks = hasLinks;
        Memory memory({ 2 * mib, 64 * kib });
        std::mt19937 random(4);
        auto timeline = open(disk);
        Model model;
        std::vector<std::string> ids;
        for (unsigned i = 0; i < 3; ++i) {
            for (unsigned page = 0; page < 150; ++page)
                memory.fill(0, page, i * 1000 + page + 1);
            memory.scribble(random, 20);
            ids.push_back(tests::must(timeline->take(named("m" + std::to_string(i)), memory, {})).id);
            model[ids.back()] = memory.data;
        }
        auto const as = makeUuid();
        FakeFolder into(other);
        auto const made = tests::must(timeline->fork(ids[1], as, "state of m1", into));
        QCOMPARE(made.id, as);
        QCOMPARE(made.name, "m1");
        QCOMPARE(made.parent, "");
        QCOMPARE(tests::must(Timeline::goingTo(into)), as);
        // Only what that moment needs, and where it can be shared nothing twice.
        QVERIFY(!other.files.contains("packs/00000003"));
        QCOMPARE(other.files.at("packs/00000002") == disk.files.at("packs/00000002"), hasLinks);

        auto fork = open(other);
        Model forked { { as, model[ids[1]] } };
        QCOMPARE(difference(*fork, forked), QString());
        QCOMPARE(tests::must(fork->picture(as)), Bytes(100, 7));
        QCOMPARE(fork->purge(as).error().code, ErrorCode::NotNow); // the machine is on its way there
        REQUIRE_OK(fork->setPresent(as));

        // The original loses all but one, and gives it back.
        for (auto const* gone : { &ids[0], &ids[1] }) {
            REQUIRE_OK(timeline->purge(*gone));
            model.erase(*gone);
        }
        REQUIRE_OK(timeline->sweep());
        QCOMPARE(difference(*fork, forked), QString());
        // The fork goes on, and forgets its beginning.
        for (unsigned page = 0; page < 150; ++page)
            memory.fill(0, page, 9000 + page);
        auto const later = tests::must(fork->take(named("later"), memory, {})).id;
        forked[later] = memory.data;
        QCOMPARE(difference(*fork, forked), QString());
        REQUIRE_OK(fork->purge(as));
        forked.erase(as);
        REQUIRE_OK(fork->sweep());
        QCOMPARE(difference(*fork, forked), QString());
        QCOMPARE(difference(*timeline, model), QString());
        fork = open(other);
        timeline = open(disk);
        QCOMPARE(difference(*fork, forked), QString());
        QCOMPARE(difference(*timeline, model), QString());
    }

    void forkRefusesWhatItCannotBe()
    {
        FakeFolderDisk disk, other;
        auto const timeline = open(disk);
        Memory memory({ mib });
        memory.fill(0, 0, 1);
        auto const id = tests::must(timeline->take(named("a"), memory, {})).id;
        FakeFolder into(other);
        QCOMPARE(timeline->fork(makeUuid(), makeUuid(), "", into).error().code, ErrorCode::NotFound);
        QCOMPARE(timeline->fork(id, "../../../etc", "", into).error().code, ErrorCode::InvalidArgument);
        QCOMPARE(timeline->fork(id, id, "", into).error().code, ErrorCode::InvalidArgument);
        QCOMPARE(timeline->fork(id, makeUuid(), "", into, [](auto, auto) { return false; }).error().code,
            ErrorCode::Cancelled);
        QVERIFY(other.files.empty());
        REQUIRE_OK(timeline->fork(id, makeUuid(), "", into));
        QCOMPARE(timeline->fork(id, makeUuid(), "", into).error().code, ErrorCode::AlreadyExists);
        // Of a damaged moment nothing is made.
        auto& pack = disk.files.at("packs/00000001")->bytes;
        pack[pack.size() - 5] ^= 1;
        auto const damaged = open(disk, Timeline::Access::ReadOnly);
        FakeFolderDisk third;
        FakeFolder elsewhere(third);
        QCOMPARE(damaged->fork(id, makeUuid(), "", elsewhere).error().code, ErrorCode::Corrupt);
    }

    /// A fault at each step of a fork: there is a whole timeline or none, and the original is as it was.
    void everyStepOfAForkCanFail()
    {
        FakeFolderDisk disk;
        auto const timeline = open(disk);
        Memory memory({ mib });
        std::mt19937 random(6);
        Model model;
        std::string id;
        for (unsigned i = 0; i < 3; ++i) {
            memory.scribble(random, 60);
            id = tests::must(timeline->take(named("m" + std::to_string(i)), memory, {})).id;
            model[id] = memory.data;
        }
        for (auto const kind : { FakeFolderDisk::Fault::Fail, FakeFolderDisk::Fault::PowerCut }) {
            for (bool const hasLinks : { true, false }) {
                bool struck = true;
                for (std::uint64_t at = 0; struck; ++at) {
                    FakeFolderDisk other;
                    other.hasLinks = hasLinks;
                    other.fault = kind;
                    other.faultAt = at;
                    FakeFolder into(other);
                    auto const as = makeUuid();
                    auto const made = timeline->fork(id, as, "state of m2", into);
                    struck = other.operations > at;
                    QVERIFY(struck ? !made || kind == FakeFolderDisk::Fault::Fail : bool(made));
                    other.fault = FakeFolderDisk::Fault::None;
                    QCOMPARE(difference(*timeline, model), QString());
                    for (unsigned seed = 0; seed < 3; ++seed) {
                        auto const after = other.afterPowerCut(seed);
                        QVERIFY(!made || after->files.contains("timeline.json"));
                        if (after->files.contains("timeline.json"))
                            QCOMPARE(difference(*open(*after), { { as, model[id] } }), QString());
                    }
                }
            }
        }
    }

    /// What disks keep is known before there is any of it, until there is nothing of it any more, and across crashes.
    void disksAreNotedUntilTheyHaveLetGo()
    {
        FakeFolderDisk disk;
        auto timeline = open(disk);
        Memory memory({ 64 * kib });
        auto what = named("one");
        what.id = makeUuid();
        what.disks = { { "disk0", "/disks/0", { CheckpointWay::Overlay, what.id, "0." + what.id, ImageFormat::Raw } },
            { "disk1", "/disks/1", { CheckpointWay::Internal, what.id, "", ImageFormat::Qcow2 } } };
        LooseDisks const noted { what.id, what.disks };
        REQUIRE_OK(timeline->setLoose(noted));
        timeline = open(disk); // as if the process had ended here
        QCOMPARE(timeline->loose(), std::vector { noted });
        auto const taken = tests::must(timeline->take(what, memory, {}));
        QCOMPARE(taken.disks, what.disks);
        QVERIFY(timeline->loose().empty());
        // A crash between the two records: the moment is there, so its disks are not loose.
        REQUIRE_OK(timeline->setLoose(noted));
        timeline = open(disk);
        QVERIFY(timeline->loose().empty());
        REQUIRE_OK(timeline->purge(taken.id));
        timeline = open(disk);
        QCOMPARE(timeline->loose(), std::vector { noted });
        LooseDisks const left { what.id, { what.disks[0] } };
        REQUIRE_OK(timeline->setLoose(left));
        QCOMPARE(timeline->loose(), std::vector { left });
        REQUIRE_OK(timeline->setLoose({ what.id, {} }));
        timeline = open(disk);
        QVERIFY(timeline->loose().empty());
    }

    /// Any byte of any file wrong, or the file cut there: what is damaged is named, the rest is as it was.
    void damageIsNamed()
    {
        FakeFolderDisk disk;
        Model model;
        Memory memory({ 256 * kib });
        {
            auto const timeline = open(disk);
            for (unsigned i = 0; i < 3; ++i) {
                memory.fill(0, i, 100 + i);
                model[tests::must(timeline->take(named("m" + std::to_string(i)), memory, {})).id] = memory.data;
            }
        }
        std::mt19937 random(9);
        unsigned harmless = 0, seen = 0;
        auto const present = open(disk)->present();
        for (auto const& [name, content] : disk.files) {
            bool const isRecord = name.starts_with("timeline."); // which is there twice
            auto const original = content->bytes;
            for (std::size_t at = 0; at < original.size(); at += 1 + random() % 61) {
                if (random() % 4 == 0)
                    content->bytes.resize(at);
                else
                    content->bytes[at] ^= static_cast<std::uint8_t>(1 + random() % 255);
                auto const timeline = open(disk, Timeline::Access::ReadOnly);
                auto const damaged = tests::must(timeline->verify());
                for (auto const& [id, data] : model) {
                    auto const named = std::any_of(
                        damaged.begin(), damaged.end(), [&](auto const& damage) { return damage.moment == id; });
                    if (!named) {
                        QVERIFY(read(*timeline, id) == data);
                        // A record's own words have no checksum: a letter of the name is another letter then.
                        QVERIFY(timeline->state(id));
                    }
                }
                if (isRecord)
                    QVERIFY(damaged.empty() && timeline->present() == present && !timeline->wasRebuilt());
                else
                    (damaged.empty() ? harmless : seen) += 1;
                content->bytes = original;
            }
        }
        QVERIFY2(seen > 20 * harmless, qPrintable(QString("%1 %2").arg(seen).arg(harmless)));
    }

    /// By a process that has ended, too.
    void whatWasPurgedIsNotedUntilItIsSwept()
    {
        FakeFolderDisk disk;
        Memory memory({ mib });
        auto timeline = open(disk);
        for (unsigned i = 0; i < 3; ++i) {
            memory.fill(0, i, i + 1);
            ignore(timeline->take(named("m"), memory, {}));
        }
        auto const now = timeline->moments().back().time;
        QVERIFY(!timeline->hasWaste() && !isPruningDue(*timeline, {}, now));
        REQUIRE_OK(timeline->purge(timeline->moments()[1].id));
        timeline = open(disk);
        QVERIFY(timeline->hasWaste() && isPruningDue(*timeline, {}, now));
        QCOMPARE(timeline->sweep([](auto, auto) { return false; }).error().code, ErrorCode::Cancelled);
        QVERIFY(timeline->hasWaste());
        auto held = timeline->hold(tests::must(timeline->memory(timeline->moments()[0].id)));
        REQUIRE_OK(timeline->sweep()); // what a machine still comes back to may be some of it
        QVERIFY(timeline->hasWaste());
        held.reset();
        REQUIRE_OK(timeline->sweep());
        QVERIFY(!timeline->hasWaste() && !isPruningDue(*timeline, {}, now));
    }

    /// Both of its records: the packs say with what seed they were written, and nothing goes that was kept till then.
    void aTimelineWithoutItsRecordsIsMadeAnew()
    {
        std::mt19937 random(10);
        for (unsigned turn = 0; turn < 40; ++turn) {
            FakeFolderDisk disk;
            Model model;
            Memory memory({ 256 * kib });
            for (unsigned i = 0; i < 3; ++i) {
                memory.fill(0, i, 100 + i);
                auto const timeline = open(disk);
                model[tests::must(timeline->take(named("m" + std::to_string(i)), memory, {})).id] = memory.data;
                REQUIRE_OK(timeline->setNote(timeline->present(), "note"));
            }
            for (auto const* name : { "timeline.json", "timeline.copy.json" }) {
                auto& bytes = disk.files.at(name)->bytes;
                bytes[random() % (bytes.size() - 2)] ^= 0x11; // the last one is the line's end
            }
            auto timeline = open(disk);
            QVERIFY(timeline->wasRebuilt());
            QCOMPARE(difference(*timeline, model), QString());
            QVERIFY(timeline->present().empty() && timeline->goingTo().empty());
            QCOMPARE(timeline->moments().back().note, "note");
            QVERIFY(thin({ timeline->moments(), {}, {}, ~0ULL }, timeline->policy()).going.empty());
            QCOMPARE(timeline->policy().budget, 0u);
            auto const next = tests::must(timeline->take(named("next"), memory, {}));
            REQUIRE_OK(timeline->sweep());
            timeline = open(disk);
            QVERIFY(!timeline->wasRebuilt());
            QCOMPARE(timeline->present(), next.id);
            QCOMPARE(difference(*timeline, model), QString());
        }
    }

    void aDamagedMomentDoesNotKeepTheNextFromBeingTaken()
    {
        FakeFolderDisk disk;
        auto timeline = open(disk);
        Memory memory({ mib });
        for (unsigned page = 0; page < 200; ++page)
            memory.fill(0, page, page + 1);
        auto const first = tests::must(timeline->take(named("first"), memory, {}));
        auto& pack = disk.files.at("packs/00000001")->bytes;
        pack[pack.size() - 5] ^= 1;
        timeline = open(disk);
        auto const second = tests::must(timeline->take(named("second"), memory, {}));
        QVERIFY(read(*timeline, second.id) == memory.data);
        // What the damaged one needs is not known, so nothing is given back until it is purged.
        QVERIFY(!timeline->sweep());
        REQUIRE_OK(timeline->purge(first.id));
        REQUIRE_OK(timeline->sweep());
        QCOMPARE(difference(*timeline, { { second.id, memory.data } }), QString());
    }

    /// Whichever file it is: who needs it is named, the others are read, and the next moment is taken.
    void filesThatCannotBeReadAreNamed()
    {
        FakeFolderDisk disk;
        Memory memory({ mib });
        Model model;
        for (unsigned i = 0; i < 3; ++i) {
            for (unsigned page = 0; page < 40; ++page)
                memory.fill(0, page + 30 * i, 100 * i + page + 1);
            model[tests::must(open(disk)->take(named("m" + std::to_string(i)), memory, {})).id] = memory.data;
        }
        std::vector<std::string> names;
        for (auto const& [name, content] : disk.files)
            names.push_back(name);
        for (auto const& name : names) {
            disk.unreadable = name;
            auto const timeline = open(disk);
            auto const damaged = tests::must(timeline->verify());
            QVERIFY2(damaged.empty() == name.starts_with("timeline."), name.c_str());
            for (auto const& [id, data] : model) {
                if (std::none_of(
                        damaged.begin(), damaged.end(), [&](auto const& damage) { return damage.moment == id; }))
                    QVERIFY(read(*timeline, id) == data);
            }
            auto const next = tests::must(timeline->take(named("next"), memory, {}));
            QVERIFY(read(*timeline, next.id) == memory.data);
            disk.unreadable.clear();
            // Nothing that is there was harmed.
            REQUIRE_OK(open(disk)->purge(next.id));
            QCOMPARE(difference(*open(disk), model), QString());
        }
    }

    void aTimelineWithoutItsRecordIsNotBegunAnew()
    {
        FakeFolderDisk disk;
        Memory memory({ mib });
        ignore(open(disk)->take(named("first"), memory, {}));
        disk.files.erase("timeline.json");
        disk.files.erase("timeline.copy.json");
        disk.files.erase("packs/00000001"); // without which nobody knows the seed
        auto const opened = Timeline::open(std::make_unique<FakeFolder>(disk), Timeline::Access::ReadWrite);
        QVERIFY(!opened);
        QVERIFY(!disk.files.contains("timeline.json") && !disk.files.contains("timeline.copy.json"));
    }

    void inARealFolder()
    {
        QTemporaryDir directory;
        auto const openHere = [&] { return tests::openTimeline(directory.filePath("timeline").toStdString()); };
        Memory memory({ 2 * mib });
        std::mt19937 random(2);
        Model model;
        for (unsigned i = 0; i < 3; ++i) {
            memory.scribble(random, 100);
            model[tests::must(openHere()->take(named("m" + std::to_string(i)), memory, {})).id] = memory.data;
        }
        auto const timeline = openHere();
        QCOMPARE(difference(*timeline, model), QString());
        auto const forked = std::next(model.begin());
        auto const into = tests::must(openFolder(directory.filePath("fork").toStdString()));
        auto const as = makeUuid();
        auto const name = tests::must(timeline->moment(forked->first)).name;
        REQUIRE_OK(timeline->fork(forked->first, as, "state of " + name, *into));
        for (auto const& file : QDir(directory.filePath("fork/packs")).entryList(QDir::Files)) {
            struct stat status { };
            QCOMPARE(::stat(directory.filePath("fork/packs/" + file).toUtf8().constData(), &status), 0);
            QCOMPARE(status.st_nlink, nlink_t(2));
        }
        REQUIRE_OK(timeline->purge(model.begin()->first));
        Model const fork { { as, forked->second } };
        model.erase(model.begin());
        REQUIRE_OK(timeline->sweep());
        QCOMPARE(difference(*timeline, model), QString());
        QVERIFY(QDir(directory.filePath("timeline")).removeRecursively());
        QCOMPARE(difference(*tests::openTimeline(directory.filePath("fork").toStdString()), fork), QString());
    }
};

REGISTER_SUITE(TimelineTest);
#include "timeline_test.moc"
