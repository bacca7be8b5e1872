#pragma once

#include "vmm/block/qcow2_refcounts.h"

#include <functional>
#include <map>

namespace vmm::qcow2 {

/// What uses each cluster of a file, counted from its tables.
class Uses {
public:
    static constexpr std::uint64_t maximumClusters = 1ULL << 28; ///< 1 GiB of counters

    /// `goOn` is asked at each table, and what it says ends the counting. Unsupported where the file is too large.
    static Result<Uses> count(File& file, Refcounts const& refcounts, std::function<Result<>()> const& goOn);

    std::uint32_t at(std::uint64_t offset) const
    {
        auto const cluster = offset >> m_file.header().clusterBits;
        return cluster < m_counts.size() ? m_counts[cluster] : 0;
    }
    std::vector<std::uint32_t>& counts() { return m_counts; }

    /// What the active tables call theirs alone must be: otherwise a write in place would change a snapshot too.
    Result<bool> flagsAgree() const;

private:
    Uses(File& file, std::uint64_t clusters) : m_file(file), m_counts(clusters) { }
    Result<> use(std::uint64_t offset, std::uint64_t bytes, std::uint32_t times = 1);
    Result<> useTable(std::uint64_t l1Offset, std::uint64_t l1Size);
    Result<> followTables(std::function<Result<>()> const& goOn);

    File& m_file;
    std::vector<std::uint32_t> m_counts;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint32_t> m_l1Tables; // offset and entries, times used
};

}
