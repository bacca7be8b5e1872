#pragma once

#include "vmm/block/image.h"

namespace vmm {

/// Makes a qcow2 image independent of what is below it, while it is in use: what only the files below have is copied
/// up, piece by piece, and when all of it is durable the image forgets its backing file. Stopping in between is fine,
/// and so is a crash: what was copied is the same as what is below. On the image's thread.
class ImageStream {
public:
    /// Unsupported where the image has none below it, or internal snapshots, which need it too.
    static Result<ImageStream> begin(BlockImage& image);

    /// A piece: requests wait for as long as a MiB takes. True while more is left.
    Result<bool> step();
    std::uint64_t position() const { return m_position; } ///< bytes of image.size()

private:
    explicit ImageStream(BlockImage& image) : m_image(&image) { }
    Result<> copyPiece();

    BlockImage* m_image;
    std::uint64_t m_position = 0;
};

}
