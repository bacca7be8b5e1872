#pragma once

#include "vmm/base/bytes.h"

#include <functional>

namespace vmm {

/// Makes large pages of all of `memory`, where the host can (MADV_COLLAPSE, Linux 6.1): false with errno.
bool makeLarge(ByteSpan memory);

/// Copying on write (a fork that is gone) and page faults that were served one by one leave small pages behind, which
/// cost the guest at each miss of the TLB and the next fork() at each page. Copies those of `memory`, which is aligned
/// to large pages, into large ones where at least half of one is in use, and the host can.
/// The contents stay as they are and may be used meanwhile. Takes about 0.2 ms for each; ends early when `goOn` returns
/// false.
void joinPages(ByteSpan memory, std::function<bool()> const& goOn);

}
