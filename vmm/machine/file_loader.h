#pragma once

#include "vmm/machine/ram_loader.h"

namespace vmm {

/// The blocks show the source's file at first, or one that it makes for that, which the kernel itself pages in. The
/// thread reads the source into fresh memory, which compares the checksums, and puts the pieces into their places while
/// the machine stands still for a moment each.
///
/// Until then the file should stay as it is. Where it does not, the machine gets to know of it: a checksum differs, or
/// pages are gone (BusErrorGuard); both are Corrupt.
class FileLoader final : public RamLoader {
public:
    static Result<std::unique_ptr<RamLoader>> create(
        std::unique_ptr<SavedMemory> source, std::vector<Part> parts, MemoryWay way);
    ~FileLoader() override;

private:
    /// What both sides of an exchange look at; the other one may come to it when this loader is gone.
    struct Exchange {
        std::mutex mutex;
        std::condition_variable changed;
        bool cancelled = false, done = false;
        Result<> outcome;
    };
    using Loaded = std::vector<std::pair<Part, AnonymousMemory>>;

    using RamLoader::RamLoader;
    Result<> makeFiles();
    Result<> load() override;
    void interrupt() override;
    Result<> exchange(Loaded loaded);

    std::vector<Part> m_parts;
    bool m_filesAreMade = false; // for us, by whom they are read through
    std::uint64_t m_batchSize = 0;
    std::size_t m_next = 0; // of m_parts; the thread's
    std::shared_ptr<Exchange> m_exchange = std::make_shared<Exchange>();
};

}
