#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/result.h"

#include <memory>

namespace vmm {

/// Memory that shows a file can lose it under our hands: when somebody cuts the file off, touching it is SIGBUS, which
/// would end the process with all its machines. So is touching memory that broke in the host's hardware. Within a
/// guarded range a page of zeros takes the place of what was lost (also of pages that were written to: the host drops
/// those too), and lost() tells. SIGBUS from anywhere else does what it did before. Installs a handler for the whole
/// process when first used.
class BusErrorGuard {
public:
    /// Of a number of ranges that is fixed, for the handler may not allocate; Busy where there are more. They may be
    /// within each other. `told`: an eventfd that outlives the guard and hears of each page; -1: none does.
    static Result<std::unique_ptr<BusErrorGuard>> watch(ByteSpan range, int told = -1);
    ~BusErrorGuard();
    BusErrorGuard(BusErrorGuard const&) = delete;
    BusErrorGuard& operator=(BusErrorGuard const&) = delete;

    bool lost() const;

private:
    explicit BusErrorGuard(std::size_t slot) : m_slot(slot) { }
    std::size_t const m_slot;
};

}
