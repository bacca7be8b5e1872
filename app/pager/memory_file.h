#pragma once

#include "vmm/base/unique_fd.h"
#include "vmm/timeline/pager_process.h"

#include <atomic>
#include <memory>
#include <string>

struct fuse_session;

namespace pager {

/// A file system of one file, the memory of a moment. What is read is told to the program that we are for; and from the
/// moment the file is opened on, the kernel is given what is expected to be read.
class MemoryFile {
public:
    static vmm::Result<std::unique_ptr<MemoryFile>> create(
        std::string const& folder, vmm::timeline::PagerRequest const& request);

    /// Answers on threads of its own, for as long as the process lives.
    vmm::Result<> serve(vmm::UniqueFd connection);
    /// The same, for a file system that has to be mounted somewhere: where it is.
    vmm::Result<std::string> serveAtPlace();

    // For the calls of libfuse.
    std::uint64_t size() const { return m_offsets.back(); }
    vmm::Result<> read(std::uint64_t offset, vmm::ByteSpan data) const;
    void touched(std::uint64_t offset, std::uint64_t size) const;
    void opened();

private:
    MemoryFile(std::unique_ptr<vmm::timeline::Folder> folder, vmm::timeline::PagerRequest const& request);
    vmm::Result<> startSession(std::string const& place);
    std::size_t blockAt(std::uint64_t offset) const;
    void giveExpected() const;

    std::unique_ptr<vmm::timeline::Folder> const m_folder;
    vmm::timeline::PageStore const m_store;
    vmm::timeline::MemoryTree const m_tree;
    std::vector<std::uint64_t> const m_offsets;
    vmm::Bytes const m_expected;
    fuse_session* m_session = nullptr;
    std::atomic<bool> m_isOpen { false };
};

}
