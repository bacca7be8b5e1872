#pragma once

#include "vmm/block/checkpoint.h"

namespace vmm {

/// A disk that is open nowhere, and what its configuration says of it.
struct ClosedDisk {
    std::string path;
    ImageOptions options;                        ///< its format as it lies there
    ImageFormat configured = ImageFormat::Qcow2; ///< see formatInPlace()
};

/// What a disk's own file has, and the `between` ones below it, is written to the file below those, `base`; durable
/// after. The disk reads the same at each instant, for what changes below is what it has above.
Result<> writeToBase(BlockImage& disk, BlockImage& base, CopyProgress const& progress = {}, std::size_t between = 0);

/// The same of a disk's own file while the disk is used, piece by piece. Both images outlive this; all on their thread.
class BaseWriter {
public:
    BaseWriter(BlockImage& disk, BlockImage& base);
    BaseWriter(BaseWriter const&) = delete;
    BaseWriter& operator=(BaseWriter const&) = delete;
    ~BaseWriter();

    /// Nothing is in flight. Once nothing is left (false) the base has, durably, all that the disk has; what is written
    /// to the disk from then on is left again. So that this comes to an end however much is written meanwhile, the
    /// pieces grow once everything was written: from 1 to 64 MiB, or twice the most that was written between two of
    /// them.
    Result<bool> writePiece();
    /// Of the disk, what was written once; 1: only what has changed since is left.
    double part() const;

private:
    Result<> writeFirst();
    Result<> writeChanged();
    void noteChange(BlockRequest const& request);

    BlockImage& m_disk;
    BlockImage& m_base;
    Bytes m_data;
    std::uint64_t m_position = 0;                       // up to there everything was written once
    std::uint64_t m_changedPiece;                       // 64 KiB; more for very large disks
    std::vector<bool> m_changed;                        // since it was written, by such pieces
    std::size_t m_changedPieces = 0, m_changedLeft = 0; // now, and when the last ones were written
    std::size_t m_nextPiece = 0;                        // to be looked at
    std::uint64_t m_budget = 1 << 20;                   // of a piece of those, bytes
    std::uint64_t m_unsynced = 0;                       // bytes
};

/// Puts what a disk's own file holds into the file directly below it. A file of the disk's checkpoints then takes the
/// disk's place, so that the chain is shorter by one; any other keeps its name, and the disk's own file is empty after.
/// Busy, by name, where another image of the folder or a fork needs that file as it is; of moments and other machines
/// the caller knows. Cut off at any instant, the disk reads as before: what is below changes only where its own file
/// has everything, which goes when all of that is durable. With `between`, what so many files below it hold goes along,
/// to the one below those, and they are of no use then.
Result<> commitDisk(
    IoEngine& engine, ClosedDisk const& disk, CopyProgress const& progress = {}, std::size_t between = 0);

/// commitDisk() of a disk that is in use, and of its own file alone. On the disk's thread, its end too.
class LiveCommit {
public:
    /// What speaks against it. On any thread; nobody changes what stands on what meanwhile, and until it ends.
    static Result<> check(ImageInfo const& disk);
    /// What is below is opened for writing. `configured`: as in ClosedDisk.
    static Result<std::unique_ptr<LiveCommit>> begin(CheckpointedDisk& disk, ImageFormat configured);
    LiveCommit(LiveCommit const&) = delete;
    LiveCommit& operator=(LiveCommit const&) = delete;
    /// Before all is done: the disk stays as it is, and what is below is only read again.
    ~LiveCommit();

    /// The disk is held. True while more is left. At last another image is in the place of the disk's.
    Result<bool> step();
    double part() const { return m_writer->part(); } ///< as BaseWriter::part(); while more is left

private:
    LiveCommit(CheckpointedDisk& disk, ImageFormat configured);
    Result<> changeFiles();
    void letBaseBeTheDisk(ImageFormat format);
    Result<> standOnBase(ImageInfo const& info);
    void replaceImage(std::unique_ptr<BlockImage> image);

    CheckpointedDisk& m_disk;
    ImageFormat const m_configured;
    std::optional<BaseWriter> m_writer; // none: it has ended
};

}
