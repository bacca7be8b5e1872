#pragma once

#include <QtGlobal>
#include <vector>

namespace ui {

/// Where the moments of a timeline are: time to the right, a lane for each branch, the one that leads to the present at
/// the top. Positions are in steps, which a zoom makes pixels of: moments that follow each other closely are a step
/// apart, and a night is no desert. Plain numbers, so that it is tested alone.
class TimelineLayout {
public:
    struct Node {
        qint64 time;     ///< ms; nodes come in the order of their times
        int parent = -1; ///< index; -1: none
    };
    static constexpr int none = -1;
    /// A line that goes off from the way to now, or begins by itself.
    struct Branch {
        int parent; ///< none: it begins by itself
        int first, last;
    };

    TimelineLayout() = default;
    /// `present`: the index of the moment that the present came from, or none. `now`: ms.
    TimelineLayout(std::vector<Node> const& nodes, int present, qint64 now);

    int count() const { return static_cast<int>(m_position.size()); }
    int lanes() const { return static_cast<int>(m_laneNodes.size()); }
    int lane(int node) const { return m_lane[static_cast<std::size_t>(node)]; }
    double position(int node) const { return m_position[static_cast<std::size_t>(node)]; }
    int parent(int node) const { return m_parent[static_cast<std::size_t>(node)]; }
    int present() const { return m_present; }
    /// Of now, right of all moments. The first moment is at 0.
    double nowPosition() const { return m_now; }

    /// The moments of a lane from left to right.
    std::vector<int> const& inLane(int lane) const { return m_laneNodes[static_cast<std::size_t>(lane)]; }
    std::vector<Branch> const& branches() const { return m_branches; }
    /// Where the way to now begins; none: nothing leads to it.
    int first() const { return m_chains.empty() || m_chains.front().empty() ? none : m_chains.front().front(); }
    /// The nearest moment of a lane; none where it has none.
    int nearest(int lane, double position) const;
    /// The first node whose position is not less.
    int firstFrom(double position) const;

    // A step by the keyboard; none: there is nothing further. `none` as where it begins means now.
    int before(int node) const;
    /// None after the last on the way to now: that is now. After the last of a branch the next branch of its lane.
    int after(int node) const;
    bool isLast(int node) const; ///< of its lane's branch, and now does not come after it
    int above(int node) const;
    int below(int node) const;

private:
    void place(std::vector<Node> const& nodes, qint64 now);
    void findWayToNow();
    void findBranches();
    void findLanes();

    std::vector<double> m_position;
    std::vector<int> m_parent, m_lane, m_chain;
    std::vector<int> m_next; // which child goes on in the same lane
    std::vector<Branch> m_branches;
    std::vector<std::vector<int>> m_chains, m_laneNodes { {} };
    int m_present = none;
    double m_now = 0;
};

}
