#include "ui/timeline/timeline_layout.h"

#include <algorithm>
#include <cmath>

namespace ui {

namespace {

/// How far apart two moments are drawn: a step, and a little more for each doubling of the time between them.
double stepFor(qint64 milliseconds)
{
    constexpr double unit = 60'000, most = 1.6, perDoubling = 0.16;
    auto const minutes = static_cast<double>(std::max<qint64>(0, milliseconds)) / unit;
    return 1 + std::min(most, perDoubling * std::log2(1 + minutes));
}

constexpr double beforeNow = 1.2;
/// Between the end of one branch and the beginning of another in the same lane.
constexpr double betweenBranches = 0.9;

std::size_t at(int index)
{
    return static_cast<std::size_t>(index);
}

}

TimelineLayout::TimelineLayout(std::vector<Node> const& nodes, int present, qint64 now) : m_present(present)
{
    for (auto const& node : nodes)
        m_parent.push_back(node.parent);
    place(nodes, now);
    m_lane.assign(nodes.size(), 0);
    m_chain.assign(nodes.size(), none);
    m_next.assign(nodes.size(), none);
    findWayToNow();
    findBranches();
    findLanes();
}

void TimelineLayout::place(std::vector<Node> const& nodes, qint64 now)
{
    double position = 0;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (i > 0)
            position += stepFor(nodes[i].time - nodes[i - 1].time);
        m_position.push_back(position);
    }
    m_now = nodes.empty() ? 0 : position + std::max(beforeNow, stepFor(now - nodes.back().time));
}

/// The first chain is what led to the present, from its beginning.
void TimelineLayout::findWayToNow()
{
    std::vector<int> way;
    // A parent is always earlier, or the file is not to be believed.
    for (int node = m_present; node != none; node = m_parent[at(node)] < node ? m_parent[at(node)] : none)
        way.push_back(node);
    std::reverse(way.begin(), way.end());
    for (std::size_t i = 0; i < way.size(); ++i) {
        m_chain[at(way[i])] = 0;
        if (i + 1 < way.size())
            m_next[at(way[i])] = way[i + 1];
    }
    m_chains.push_back(std::move(way));
}

/// A moment goes on in the chain of its parent where it is the first to do so; else it begins a branch.
void TimelineLayout::findBranches()
{
    for (int node = 0; node < count(); ++node) {
        if (m_chain[at(node)] != none)
            continue;
        auto const parent = m_parent[at(node)] < node ? m_parent[at(node)] : none;
        // The present's own line goes on to now.
        auto const joins = parent != none && m_next[at(parent)] == none && parent != m_present;
        if (joins) {
            m_next[at(parent)] = node;
            m_chain[at(node)] = m_chain[at(parent)];
        } else {
            m_chain[at(node)] = static_cast<int>(m_chains.size());
            m_chains.emplace_back();
            m_branches.push_back({ parent, node, node });
        }
        m_chains[at(m_chain[at(node)])].push_back(node);
        m_branches[at(m_chain[at(node)] - 1)].last = node;
    }
}

/// Branches that do not overlap share a lane.
void TimelineLayout::findLanes()
{
    m_laneNodes.assign(1, m_chains.front());
    std::vector<double> ends { m_now };
    for (std::size_t chain = 1; chain < m_chains.size(); ++chain) {
        auto const& nodes = m_chains[chain];
        auto const parent = m_parent[at(nodes.front())];
        auto const from = parent != none ? position(parent) : position(nodes.front()) - betweenBranches;
        std::size_t lane = 1;
        while (lane < ends.size() && ends[lane] + betweenBranches > from)
            ++lane;
        if (lane == ends.size()) {
            ends.push_back(0);
            m_laneNodes.emplace_back();
        }
        ends[lane] = position(nodes.back());
        for (auto const node : nodes)
            m_lane[at(node)] = static_cast<int>(lane);
        m_laneNodes[lane].insert(m_laneNodes[lane].end(), nodes.begin(), nodes.end());
    }
}

int TimelineLayout::nearest(int lane, double wanted) const
{
    auto const& nodes = inLane(lane);
    auto const after = std::lower_bound(
        nodes.begin(), nodes.end(), wanted, [this](int node, double value) { return position(node) < value; });
    if (after == nodes.begin())
        return nodes.empty() ? none : nodes.front();
    if (after == nodes.end() || wanted - position(*(after - 1)) <= position(*after) - wanted)
        return *(after - 1);
    return *after;
}

int TimelineLayout::firstFrom(double wanted) const
{
    return static_cast<int>(std::lower_bound(m_position.begin(), m_position.end(), wanted) - m_position.begin());
}

int TimelineLayout::before(int node) const
{
    return node == none ? m_present : m_parent[at(node)];
}

int TimelineLayout::after(int node) const
{
    if (!isLast(node))
        return node == none ? none : m_next[at(node)];
    // There may be no moment in another lane that the next branch is the nearest to.
    auto const& nodes = inLane(lane(node));
    auto const next = std::upper_bound(nodes.begin(), nodes.end(), node);
    return next == nodes.end() ? node : *next;
}

bool TimelineLayout::isLast(int node) const
{
    return node != none && m_next[at(node)] == none && node != m_present;
}

int TimelineLayout::above(int node) const
{
    if (node == none || lane(node) == 0)
        return node;
    auto const found = nearest(lane(node) - 1, position(node));
    return found == none ? node : found;
}

int TimelineLayout::below(int node) const
{
    auto const from = node == none ? 0 : lane(node);
    if (from + 1 >= lanes())
        return node;
    return nearest(from + 1, node == none ? m_now : position(node));
}

}
