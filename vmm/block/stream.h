#pragma once

#include "vmm/block/checkpoint.h"

#include <limits>

namespace vmm {

/// Makes a qcow2 image independent of what is below it, while it is in use: what only the files below have is copied
/// up, piece by piece, and when all of it is durable the image forgets its backing file, or names one further below.
/// Stopping in between is fine, and so is a crash: what was copied is the same as what is below, stays, and is not
/// copied again. On the image's thread; the image outlives this.
class ImageStream {
public:
    /// What it stands on in the end.
    struct Onto {
        std::string name; ///< as the image's header shall name it; empty: nothing
        /// So many of the files below are copied, nearest first: those that `name` does not hold.
        std::size_t layers = std::numeric_limits<std::size_t>::max();
        std::function<Result<std::unique_ptr<BlockImage>>()> open {}; ///< called once, at the end
    };

    /// Unsupported where the image has none below it, or internal snapshots, which need it too.
    static Result<ImageStream> begin(BlockImage& image, Onto onto);
    static Result<ImageStream> begin(BlockImage& image) { return begin(image, Onto {}); }

    /// A piece: requests wait for as long as a MiB takes. True while more is left.
    Result<bool> step();
    std::uint64_t position() const { return m_position; } ///< bytes of image.size()

private:
    ImageStream(BlockImage& image, Onto onto) : m_image(&image), m_onto(std::move(onto)) { }
    Result<> copyPiece();
    Result<> copy(std::uint64_t offset, ConstByteSpan data);
    bool leavesSome() const { return m_onto.layers != std::numeric_limits<std::size_t>::max(); }
    Result<> standOnTheRest();

    BlockImage* m_image;
    Onto m_onto;
    std::uint64_t m_position = 0;
};

/// The stream of a machine's disk. `onto`: the path of a file below it that it goes on standing on; empty: none. A disk
/// that was raw once is known as qcow2 by the name of what it stands on (formatInPlace()), so it gets an empty file of
/// such a name below it instead of nothing.
Result<ImageStream> streamDisk(CheckpointedDisk& disk, std::string const& onto);

/// How many files a disk stands on that hold anything.
std::size_t filesBelow(ImageInfo const& disk);

}
