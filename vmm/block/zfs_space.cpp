#include "vmm/block/zfs_space.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <set>

namespace vmm {

namespace {

std::vector<std::string_view> split(std::string_view text, char separator)
{
    std::vector<std::string_view> parts;
    for (std::size_t at = 0; at < text.size();) {
        auto const end = std::min(text.find(separator, at), text.size());
        parts.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

/// The snapshots of a volume or file system, in the order in which they were taken, of which some have gone.
///
/// `zfs destroy -n` would tell of them by name: its one argument for 2,000 is longer than the kernel passes on, and
/// asked again after each it is given, and looks at, the square of them. So it is worked out in the way in which ZFS
/// does (dsl_dataset_space_wouldfree() of OpenZFS 2.1): a run of neighbours gives back what was written while they were
/// taken, and is not there any more in what comes after it.
class Snapshots {
public:
    Snapshots(std::string dataset, RunProgram const& run) : m_dataset(std::move(dataset)), m_run(run) { }

    Result<> read()
    {
        m_origin = TRY(ask({ "get", "-H", "-p", "-o", "value", "origin", m_dataset }));
        if (m_origin.ends_with('\n'))
            m_origin.pop_back();
        auto const listed = TRY(ask(
            { "list", "-H", "-p", "-d", "1", "-t", "snapshot", "-o", "name,written", "-s", "createtxg", m_dataset }));
        m_writtenBefore.push_back(0);
        for (auto const line : split(listed, '\n')) {
            auto const parts = split(line, '\t');
            if (parts.size() != 2 || !parts[0].starts_with(m_dataset + "@"))
                return unexpected(line);
            m_positions.emplace(parts[0], m_names.size());
            m_names.emplace_back(parts[0]);
            m_writtenBefore.push_back(m_writtenBefore.back() + TRY(number(parts[1], line)));
        }
        return {};
    }

    void destroy(std::string const& name)
    {
        auto const found = m_positions.find(name);
        if (found == m_positions.end())
            return;
        auto first = found->second, last = first;
        m_positions.erase(found);
        if (auto const later = m_gone.find(last + 1); later != m_gone.end())
            last = takeOut(later).last;
        if (auto earlier = m_gone.lower_bound(first); earlier != m_gone.begin()) {
            if (--earlier; earlier->second.last + 1 == first) {
                first = earlier->first;
                takeOut(earlier);
            }
        }
        m_gone[first] = { last, 0 };
        m_unknown.insert(first);
    }

    /// Of all that have gone.
    Result<std::uint64_t> reclaimed()
    {
        for (auto const first : m_unknown) {
            auto& gone = m_gone.at(first);
            gone.bytes = TRY(ofRun(first, gone.last));
            m_reclaimed += gone.bytes;
        }
        m_unknown.clear();
        return m_reclaimed;
    }

private:
    struct Run {
        std::size_t last;
        std::uint64_t bytes; ///< that it gives back
    };
    using Gone = std::map<std::size_t, Run>; // by the first

    Run takeOut(Gone::iterator which)
    {
        auto const [first, gone] = *which;
        if (m_unknown.erase(first) == 0)
            m_reclaimed -= gone.bytes;
        m_gone.erase(which);
        return gone;
    }

    Result<std::uint64_t> ofRun(std::size_t first, std::size_t last)
    {
        auto const written = m_writtenBefore[last + 1] - m_writtenBefore[first];
        auto const& after = last + 1 < m_names.size() ? m_names[last + 1] : m_dataset;
        // zfsprops(7), "written@snapshot": "The amount of space referenced by this dataset that was written since the
        // previous snapshot", of the same file system or, by its full name, of the origin of a clone.
        std::string const sinceBefore = first > 0 ? sinceOf(m_names[first - 1])
            : m_origin == "-"                     ? "referenced"
                                                  : "written@" + m_origin;
        auto const told
            = TRY(ask({ "get", "-H", "-p", "-o", "value", sinceBefore + "," + sinceOf(m_names[last]), after }));
        auto const values = split(told, '\n');
        if (values.size() != 2)
            return unexpected(told);
        auto const all = TRY(number(values[0], told)), later = TRY(number(values[1], told));
        auto const stillThere = all - std::min(all, later);
        return written - std::min(written, stillThere);
    }

    static std::string sinceOf(std::string const& snapshot) { return "written" + snapshot.substr(snapshot.find('@')); }

    Result<std::string> ask(std::vector<std::string> arguments)
    {
        auto const verb = arguments.front();
        arguments.insert(arguments.begin(), "zfs");
        return TRY_WITHIN("zfs " + verb, m_run(arguments));
    }

    static Result<std::uint64_t> number(std::string_view text, std::string_view line)
    {
        std::uint64_t value = 0;
        auto const* const end = text.data() + text.size();
        if (auto const read = std::from_chars(text.data(), end, value);
            read.ptr != end || read.ec != std::errc {} || text.empty())
            return unexpected(line);
        return value;
    }
    static tl::unexpected<Error> unexpected(std::string_view line)
    {
        return fail(ErrorCode::IoError, fmt::format("zfs: \"{}\" is not what was asked for", line));
    }

    std::string const m_dataset;
    RunProgram const& m_run;
    std::string m_origin; // of a clone; "-": it is none
    std::vector<std::string> m_names;
    std::vector<std::uint64_t> m_writtenBefore; // bytes that were written before each, in all
    std::map<std::string, std::size_t> m_positions;
    Gone m_gone;
    std::set<std::size_t> m_unknown; // the first ones of runs whose bytes are not known yet
    std::uint64_t m_reclaimed = 0;   // by all other runs
};

}

Result<std::vector<std::uint64_t>> zfsReclaimed(std::string const& dataset,
    std::vector<std::vector<std::string>> const& inOrder, RunProgram const& run, std::function<bool()> const& mayGoOn)
{
    TRY(checkZfsName(dataset));
    Snapshots snapshots(dataset, run);
    TRY(snapshots.read());
    std::vector<std::uint64_t> each;
    std::uint64_t before = 0;
    for (auto const& names : inOrder) {
        if (mayGoOn && !mayGoOn())
            return fail(ErrorCode::Cancelled, "asking ZFS what comes back was cancelled");
        for (auto const& name : names)
            snapshots.destroy(name);
        auto const bytes = TRY(snapshots.reclaimed());
        each.push_back(bytes - std::min(bytes, before));
        before = bytes;
    }
    return each;
}

}
