#pragma once

#include <cstdint>
#include <vector>

namespace vmm {

/// The picture of a screen as its reader keeps it: XRGB8888, rows without gaps.
struct Frame {
    std::uint32_t width = 0, height = 0;
    std::vector<std::uint32_t> pixels;
};

/// Rows [first, last) of a frame.
struct RowRange {
    std::uint32_t first, last;
    bool operator==(RowRange const&) const = default;
};

/// A machine's screen, as who shows it sees it.
class Screen {
public:
    virtual ~Screen() = default;

    /// Brings `frame` up to date and returns which rows of it changed, in order; all rows after a change of mode (the
    /// frame is resized) or for a frame that was just made. Several readers may each keep a frame of their own, told
    /// apart by the frame's address. Any thread; takes as long as converting the changed rows.
    virtual std::vector<RowRange> refresh(Frame& frame) = 0;
    /// `frame` will not be seen again.
    virtual void forget(Frame const& frame) = 0;
};

}
