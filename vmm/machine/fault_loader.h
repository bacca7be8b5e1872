#pragma once

#include "vmm/machine/ram_loader.h"
#include "vmm/memory/page_faults.h"

#include <deque>

namespace vmm {

/// Each page comes when it is first touched, with its neighbours; before that what was needed at earlier times, and
/// when the guest has settled the rest.
class FaultLoader final : public RamLoader {
public:
    static Result<std::unique_ptr<RamLoader>> create(
        std::unique_ptr<SavedMemory> source, std::vector<Part> parts, std::unique_ptr<PageFaults> faults);
    ~FaultLoader() override;

private:
    using Piece = SavedMemory::Piece;

    FaultLoader(std::unique_ptr<SavedMemory> source, std::vector<Part> parts, std::unique_ptr<PageFaults> faults);
    Result<> load() override;
    void interrupt() override;
    void letGo() override;
    /// On a thread of its own: what is touched comes at once, whatever else is under way.
    void serve();
    void serveTouch(std::uint8_t* page);
    void cannotHave(Part const& part, std::uint64_t offset, Error const& error);
    Result<> bring(Part const& part, std::uint64_t offset, std::uint64_t size);
    Result<> bringAll(std::deque<Piece>& pieces, unsigned threads);
    void unwatch();
    void finish();

    std::vector<Part> const m_parts; // by address
    std::unique_ptr<PageFaults> const m_faults;
    std::mutex m_mutex;
    std::deque<Piece> m_expected, m_rest; // what is still to be brought, by the loading thread and its helpers
    std::atomic<bool> m_ending { false };
    std::thread m_server; // last
};

}
