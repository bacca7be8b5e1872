#include "tests/support/suite.h"
#include "ui/timeline/timeline_layout.h"

#include <algorithm>
#include <random>
#include <set>

using ui::TimelineLayout;

namespace {

/// How many moments the arrows and Home lead to, from now on.
int reachedByKeys(TimelineLayout const& layout)
{
    std::set<int> reached { TimelineLayout::none, 0 };
    std::vector<int> open { TimelineLayout::none, 0 };
    while (!open.empty()) {
        auto const node = open.back();
        open.pop_back();
        for (auto const next : { layout.before(node), layout.after(node), layout.above(node), layout.below(node) }) {
            if (reached.insert(next).second)
                open.push_back(next);
        }
    }
    return static_cast<int>(reached.size()) - 1; // without now
}

}

/// Where moments are on the axis, and which one a key leads to.
class TimelineLayoutTest final : public QObject {
    Q_OBJECT

    static constexpr qint64 minute = 60'000;

private slots:
    void nothingHasOneLaneAndNow()
    {
        TimelineLayout const layout({}, TimelineLayout::none, 0);
        QCOMPARE(layout.count(), 0);
        QCOMPARE(layout.lanes(), 1);
        QCOMPARE(layout.nearest(0, 5), TimelineLayout::none);
        QCOMPARE(layout.before(TimelineLayout::none), TimelineLayout::none);
    }

    void whatCameFromEachOtherIsInOneLane()
    {
        TimelineLayout const layout({ { 0, -1 }, { minute, 0 }, { 2 * minute, 1 } }, 2, 3 * minute);
        QCOMPARE(layout.lanes(), 1);
        QVERIFY(layout.position(0) < layout.position(1) && layout.position(1) < layout.position(2));
        QVERIFY(layout.position(2) < layout.nowPosition());
    }

    void wayToThePresentIsAboveWhatWasLeft()
    {
        // Back from 2 to 0; nothing was kept there yet.
        TimelineLayout const layout({ { 0, -1 }, { minute, 0 }, { 2 * minute, 1 } }, 0, 3 * minute);
        QCOMPARE(layout.lanes(), 2);
        QCOMPARE(layout.lane(0), 0);
        QCOMPARE(layout.lane(1), 1);
        QCOMPARE(layout.lane(2), 1);
        QCOMPARE(layout.branches().size(), std::size_t(1));
        QCOMPARE(layout.branches()[0].parent, 0);
        QCOMPARE(layout.branches()[0].last, 2);
    }

    void branchesThatDoNotOverlapShareALane()
    {
        // 0-1-2-3-4 with a branch from 0 before 2, and one from 3.
        TimelineLayout const layout({ { 0, -1 }, { minute, 0 }, { 2 * minute, 1 }, { 3 * minute, 1 }, { 4 * minute, 3 },
                                        { 5 * minute, 4 }, { 6 * minute, 5 }, { 7 * minute, 5 } },
            7, 8 * minute);
        QCOMPARE(layout.lane(2), 1);
        QCOMPARE(layout.lane(6), 1);
        QCOMPARE(layout.lanes(), 2);
    }

    void branchesThatOverlapDoNot()
    {
        TimelineLayout const layout(
            { { 0, -1 }, { minute, 0 }, { 2 * minute, 0 }, { 3 * minute, 0 }, { 4 * minute, 1 }, { 5 * minute, 2 } }, 3,
            6 * minute);
        QCOMPARE(layout.lanes(), 3);
        QVERIFY(layout.lane(1) != layout.lane(2));
        QCOMPARE(layout.lane(4), layout.lane(1));
        QCOMPARE(layout.lane(5), layout.lane(2));
    }

    void aNightIsNoDesert()
    {
        TimelineLayout const layout({ { 0, -1 }, { 1, 0 }, { 600 * minute, 1 } }, 2, 601 * minute);
        auto const close = layout.position(1) - layout.position(0), far = layout.position(2) - layout.position(1);
        QVERIFY(close >= 1);
        QVERIFY(far > close);
        QVERIFY(far < 3 * close);
    }

    void keysFollowTheBranchAndChangeLanes()
    {
        TimelineLayout const layout({ { 0, -1 }, { minute, 0 }, { 2 * minute, 1 }, { 3 * minute, 0 } }, 3, 4 * minute);
        QCOMPARE(layout.before(TimelineLayout::none), 3);
        QCOMPARE(layout.before(3), 0);
        QCOMPARE(layout.after(3), TimelineLayout::none);
        QVERIFY(!layout.isLast(3));
        QCOMPARE(layout.before(1), 0);
        QCOMPARE(layout.after(1), 2);
        QVERIFY(layout.isLast(2));
        QCOMPARE(layout.after(2), 2);
        QCOMPARE(layout.below(3), 2);
        QCOMPARE(layout.above(2), 3);
        QCOMPARE(layout.above(3), 3);
        QCOMPARE(layout.below(2), 2);
    }

    void keysLeadToEachMoment()
    {
        for (unsigned seed = 1; seed <= 200; ++seed) {
            std::mt19937 random(seed);
            std::vector<TimelineLayout::Node> nodes;
            for (int i = 0; i < 100; ++i) {
                auto const goesBack = i > 0 && random() % 25 == 0;
                auto const parent = goesBack ? static_cast<int>(random() % nodes.size()) : i - 1;
                auto const later = static_cast<qint64>(1000 * (1 + random() % 119));
                nodes.push_back({ nodes.empty() ? later : nodes.back().time + later, parent });
            }
            TimelineLayout const layout(nodes, 99, 100 * minute);
            QVERIFY2(reachedByKeys(layout) == 100, qPrintable(QString("of seed %1").arg(seed)));
        }
    }

    void theNearestOfALaneIsFound()
    {
        TimelineLayout const layout({ { 0, -1 }, { minute, 0 }, { 2 * minute, 1 } }, 2, 3 * minute);
        QCOMPARE(layout.nearest(0, -4), 0);
        QCOMPARE(layout.nearest(0, layout.position(1) + 0.1), 1);
        QCOMPARE(layout.nearest(0, 1000), 2);
    }

    void aStoreThatLiesDoesNoHarm()
    {
        // Each the other's parent, and its own.
        TimelineLayout const layout({ { 0, 1 }, { minute, 0 }, { 2 * minute, 2 } }, 2, 3 * minute);
        QCOMPARE(layout.count(), 3);
        for (int node = 0; node < 3; ++node)
            QVERIFY(layout.lane(node) < layout.lanes());
    }

    void aThousandMomentsAreArrangedAtOnce()
    {
        std::vector<TimelineLayout::Node> nodes;
        for (int i = 0; i < 1000; ++i)
            nodes.push_back({ i * minute, i == 0 ? -1 : i % 3 == 0 ? i / 2 : i - 1 });
        TimelineLayout const layout(nodes, 999, 1001 * minute);
        QCOMPARE(layout.count(), 1000);
        std::size_t placed = 0;
        for (int lane = 0; lane < layout.lanes(); ++lane) {
            auto const& inLane = layout.inLane(lane);
            placed += inLane.size();
            QVERIFY(std::is_sorted(inLane.begin(), inLane.end()));
        }
        QCOMPARE(placed, std::size_t(1000));
    }
};

REGISTER_SUITE(TimelineLayoutTest);
#include "timeline_layout_test.moc"
