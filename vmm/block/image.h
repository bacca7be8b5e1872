#pragma once

#include "vmm/block/host_file.h"
#include "vmm/block/io_engine.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vmm {

namespace qcow2 {
class TableCache;
}

/// One piece of work of a disk device. The device owns it, keeps it where it is until `completed` was called, and uses
/// it again for the next: nothing is allocated for a request.
struct BlockRequest {
    enum class Kind : std::uint8_t {
        Read,
        Write,
        Flush,       ///< What was completed before is durable after.
        Discard,     ///< The content is of no interest any more; it may read as anything that was there, or zeros.
        WriteZeroes, ///< Reads as zeros afterwards.
    };

    Kind kind = Kind::Read;
    bool mayUnmap = true;           ///< WriteZeroes: the space may be given back to the host.
    std::uint64_t offset = 0;       ///< bytes, a multiple of BlockImage::sectorSize
    std::uint64_t length = 0;       ///< bytes, a multiple of BlockImage::sectorSize
    std::span<iovec const> buffers; ///< Read, Write: guest memory, `length` bytes in all; kept by the device
    /// Called on the disk's thread, maybe from within submit(). NoSpace and IoError leave the image as it was or with
    /// a part of the range written: the same request may be submitted again when the person has made room.
    std::function<void(Result<>)> completed;

private:
    friend class BlockImage;
    friend class RawImage;
    friend class Qcow2Image;
    BlockRequest* m_next = nullptr;
    std::uint64_t m_position = 0;  // how far the work has been started
    std::size_t m_parts = 0;       // transfers in flight, and one while starting them
    std::size_t m_bufferIndex = 0; // where in `buffers` m_position is
    std::size_t m_bufferOffset = 0;
    std::optional<Error> m_error;
};

enum class ImageFormat : std::uint8_t { Raw, Qcow2 };

struct ImageOptions {
    Access access = Access::ReadWrite;
    CacheMode cache = CacheMode::Writeback;
    /// Unset: as the file's first bytes say. A guest can write any first bytes into a raw disk, so a machine sets
    /// what its configuration remembers.
    std::optional<ImageFormat> format;
    HostFile::Lock lock = HostFile::Lock::Yes;
    /// The disk as it was at this internal snapshot (its id), for reading only. With Lock::No also while a machine
    /// writes to the image, as long as that snapshot stays; opened on the disk's thread, or while no snapshot is taken
    /// or deleted.
    std::string snapshot {};
    /// What an image names below itself is the word of whoever made it, and the guest can read all that is in there. So
    /// only a regular file of the folder of the image that names it is opened, or one of these, of any kind.
    std::vector<std::string> backing {};
};

/// An internal snapshot: a moment of the disk that is kept in the image itself.
struct DiskSnapshot {
    std::string id;              ///< no other snapshot of the image has it; 1 to 127 bytes of UTF-8
    std::string name;            ///< for people, up to 255 bytes of UTF-8; where empty, the id
    std::uint64_t time = 0;      ///< when it was taken, nanoseconds since 1970
    std::uint64_t guestTime = 0; ///< how long the guest had run by then, nanoseconds
    std::uint64_t diskSize = 0;  ///< bytes; a new one has the disk's
    std::uint64_t stateSize = 0; ///< bytes of machine state that QEMU has put into it
    bool operator==(DiskSnapshot const&) const = default;
};

struct ImageInfo {
    ImageFormat format = ImageFormat::Raw;
    std::string path;
    std::uint64_t virtualSize = 0;    ///< bytes that a guest sees
    std::uint64_t allocatedBytes = 0; ///< bytes on the host
    std::uint64_t clusterSize = 0;    ///< 0 for raw
    unsigned snapshots = 0;           ///< internal ones
    bool dirty = false;               ///< not closed properly
    bool corrupt = false;             ///< marked so
    std::vector<ImageInfo> backing;   ///< the files below, nearest first
};

/// A virtual disk: a file of some format with the files below it. All on the disk's own thread, or on any thread while
/// that one's loop does not run.
class BlockImage {
public:
    static constexpr std::uint64_t sectorSize = 512;
    static constexpr std::uint64_t maximumSize = 1ULL << 62; ///< bytes
    /// How many files a chain may have.
    static constexpr unsigned maximumDepth = 64;

    /// Unsupported, by name, for a format or feature that is known and not served; Corrupt where the file contradicts
    /// itself; Busy when somebody else has it open; InvalidArgument for a backing file that may not be opened. `engine`
    /// outlives the image and carries out its transfers.
    static Result<std::unique_ptr<BlockImage>> open(
        IoEngine& engine, std::string const& path, ImageOptions const& options = {});
    /// The same over files that are already open; `backing` opens what the image names as its backing file.
    using OpenBacking = std::function<Result<std::unique_ptr<BlockImage>>(
        std::string const& name, std::optional<ImageFormat> format)>;
    static Result<std::unique_ptr<BlockImage>> open(
        IoEngine& engine, std::unique_ptr<BlockFile> file, ImageOptions const& options, OpenBacking const& openBacking);

    BlockImage(BlockImage const&) = delete;
    BlockImage& operator=(BlockImage const&) = delete;
    /// Drains and flushes; use close() to hear of errors.
    virtual ~BlockImage() = default;

    /// Bytes; a multiple of sectorSize.
    std::uint64_t size() const { return m_size; }
    bool readOnly() const { return m_readOnly; }

    /// What is submitted from now on waits until letGo(). While nothing is in flight, from any thread.
    void hold() { m_held = true; }
    bool isHeld() const { return m_held; }
    /// Starts what has waited. The image's thread.
    void letGo();

    /// `other` gets what waits in this image, and is held if this one is.
    void passWaitingTo(BlockImage& other);
    /// From now on only read, as the backing file of another image. After flushSync().
    void becomeBacking();
    /// `watch` hears of each request that changes the disk, before it does; empty: nobody. Nothing in flight.
    void watchChanges(std::function<void(BlockRequest const&)> watch) { m_watch = std::move(watch); }
    /// Other files with the same contents below this one. Nothing in flight.
    virtual void replaceBacking(std::unique_ptr<BlockImage> backing) { m_backing = std::move(backing); }

    /// Starts the request. What lies outside of the disk, is not aligned or writes to a read-only image is refused.
    void submit(BlockRequest& request);
    /// Returns when nothing is in flight.
    virtual void drain();
    /// drain(), and everything durable, the image's own tables too.
    virtual Result<> flushSync() = 0;

    /// Makes the disk larger, to `size` bytes; what it gains reads as zeros, whatever is below. Meanwhile nobody
    /// submits. When it returns that is durable; after an error or a crash the disk has the old size or the new one.
    Result<> grow(std::uint64_t size);
    /// What is known to speak against that before it is tried, also of an image that is open for reading only:
    /// InvalidArgument where the size is no larger one, no multiple of sectorSize, or more than maximumSize or what the
    /// image's clusters can hold; Unsupported for a block device, and where an internal snapshot does not say how large
    /// its own disk is.
    virtual Result<> checkGrowth(std::uint64_t size) const;

    virtual ImageInfo info() const = 0;

    // Internal snapshots. Each first lets end what is in flight; meanwhile nobody submits. When one returns it is
    // durable; after an error or a crash there is the old list or the new one, and every disk state of it is whole.
    // Unsupported for other formats than qcow2.

    virtual Result<std::vector<DiskSnapshot>> snapshots();
    /// Does ahead what a take would otherwise do while the disk waits. Changes nothing that a guest or a list shows.
    virtual Result<> prepareSnapshot() { return flushSync(); }
    /// AlreadyExists where the id is taken; Unsupported where the image's counts of uses are too narrow.
    virtual Result<> takeSnapshot(DiskSnapshot const& snapshot);
    /// The disk becomes what it was then, of the size that it had then; what it was until now is gone.
    virtual Result<> applySnapshot(std::string_view id);
    virtual Result<> deleteSnapshot(std::string_view id);

    /// Does a piece of the work that can wait (giving the space of a deleted snapshot back to the host): some
    /// milliseconds. True while more is left. To be called now and then on the disk's thread; at worst space stays with
    /// the file, which uses it again.
    virtual bool workWhenIdle() { return false; }

    /// It stands on `backing` from now on, under that name in its header, or on nothing (an empty name): wherever it
    /// has nothing of its own that reads as what was below until now. Everything durable, then in one step. Nothing in
    /// flight.
    virtual Result<> changeBacking(std::string const& name, std::unique_ptr<BlockImage> backing);

    /// For tools: whole transfers that return when done.
    Result<> readSync(std::uint64_t offset, ByteSpan data);
    Result<> writeSync(std::uint64_t offset, ConstByteSpan data);
    Result<> runSync(BlockRequest::Kind kind, std::uint64_t offset, std::uint64_t length, bool mayUnmap = true,
        std::span<iovec const> buffers = {});

    // For the image on top of this one in a chain.

    /// Where the bytes at an offset are.
    struct Mapping {
        enum class Kind : std::uint8_t { Data, Zero, Compressed, Unallocated };
        Kind kind = Kind::Zero;
        std::uint64_t length = 0;     ///< bytes for which this holds
        std::uint64_t hostOffset = 0; ///< Data: in `file`; Compressed: the format's own descriptor
        BlockImage* image = nullptr;  ///< whose file it is
    };
    /// How the first of `length` bytes at `offset`, and as many more as possible, are stored in this file.
    virtual Result<Mapping> map(std::uint64_t offset, std::uint64_t length) = 0;
    /// map() of the first file of the chain that has the bytes; never Unallocated.
    Result<Mapping> resolve(std::uint64_t offset, std::uint64_t length);
    /// The same of this file and the `below` next ones alone; Unallocated: none of them has the bytes.
    Result<Mapping> resolveWithin(std::size_t below, std::uint64_t offset, std::uint64_t length);
    /// The part of a compressed cluster at `offset`.
    virtual Result<> readCompressed(Mapping const& mapping, std::uint64_t offset, ByteSpan data);
    /// What it and the files below it have of their tables in memory counts there, with that of those above.
    virtual void shareTables(std::shared_ptr<qcow2::TableCache> const&) { }
    BlockFile& file() { return *m_file; }
    BlockImage* backing() { return m_backing.get(); }
    /// What was below goes on without this one, which reads as nothing there.
    std::unique_ptr<BlockImage> takeBacking() { return std::move(m_backing); }
    IoEngine& engine() { return m_engine; }

protected:
    BlockImage(IoEngine& engine, std::unique_ptr<BlockFile> file, bool readOnly)
        : m_engine(engine), m_file(std::move(file)), m_readOnly(readOnly)
    {
    }

    /// A part of a request's work on its way to or from a file.
    struct Transfer : IoOperation {
        BlockImage* image = nullptr;
        BlockRequest* request = nullptr;
        void* context = nullptr;
        void (BlockImage::*finished)(Transfer&, int error) = nullptr;
        std::vector<iovec> vectors;
        std::uint64_t sequence = 0;
        Transfer* previous = nullptr;
        Transfer* next = nullptr;
    };

    /// A derived class's function as Transfer::finished has it.
    template<typename Image>
    static auto as(void (Image::*function)(Transfer&, int))
    {
        return static_cast<void (BlockImage::*)(Transfer&, int)>(function);
    }

    virtual void start(BlockRequest& request) = 0;
    virtual Result<> growTo(std::uint64_t size) = 0; ///< which nothing that is known speaks against
    /// submit(), also while the image is held: what it does itself does not wait.
    void begin(BlockRequest& request);
    /// Reads the request's range from wherever in the chain it is.
    void startRead(BlockRequest& request);
    /// Ends one part; the last one completes the request.
    void finishPart(BlockRequest& request, std::optional<Error> error = {});
    void finishPart(BlockRequest& request, int error);
    void complete(BlockRequest& request, Result<> result);

    Transfer& makeTransfer(IoOperation::Kind kind, BlockImage& where, std::uint64_t offset, std::uint64_t length);
    void submit(Transfer& transfer);
    void release(Transfer& transfer);
    /// Appends the request's next `length` bytes of buffer and moves m_position on.
    static void takeBuffers(BlockRequest& request, std::uint64_t length, std::vector<iovec>& to);
    void transferDone(Transfer& transfer, int error);
    /// The error of an operation on the file, with its name.
    Error fileError(char const* what, int error) const;

    /// The oldest transfer in flight; what was unlinked from the tables before it began is not in use any more.
    std::uint64_t oldestSequence() const { return m_oldest != nullptr ? m_oldest->sequence : m_nextSequence; }

    IoEngine& m_engine;
    std::unique_ptr<BlockFile> m_file;
    std::unique_ptr<BlockImage> m_backing;
    std::uint64_t m_size = 0;
    bool m_readOnly = false;
    std::size_t m_requestsInFlight = 0;
    std::uint64_t m_nextSequence = 1;

private:
    static void operationDone(IoOperation& operation, int error);

    std::function<void(BlockRequest const&)> m_watch;
    std::atomic<bool> m_held { false };
    std::vector<BlockRequest*> m_waiting; // for letGo()
    std::vector<iovec> m_parts;           // of startRead(), kept for its memory
    std::vector<std::unique_ptr<Transfer>> m_transfers;
    Transfer* m_freeTransfers = nullptr;
    Transfer* m_oldest = nullptr;
    Transfer* m_newest = nullptr;
};

/// What create() makes.
struct NewImage {
    ImageFormat format = ImageFormat::Qcow2;
    std::uint64_t size = 0;     ///< bytes, a multiple of 512; 0: the backing file's
    unsigned clusterBits = 16;  ///< qcow2: 9 to 21
    unsigned refcountBits = 16; ///< qcow2: a power of two up to 64
    unsigned version = 3;       ///< qcow2: 2 or 3
    std::string backingFile {}; ///< as it shall be named in the image: relative to the image, or absolute
    ImageFormat backingFormat = ImageFormat::Qcow2;
    std::string permissionsOf {}; ///< a file that no more people shall be able to read and write than this one
};

/// Makes an empty image under another name and renames it when it is whole and durable: after a crash there is the
/// image or there is none. AlreadyExists when there is a file of that name.
Result<> createImage(std::string const& path, NewImage const& what);

/// The same into an open, empty file.
Result<> formatImage(BlockFile& file, NewImage const& what);

/// The format by the file's first bytes; Unsupported, by name, for those that are known and not served.
Result<ImageFormat> detectFormat(BlockFile& file);

/// Whether an image may stand on that file, directly: it lies in the same folder, or is one of `allowed`
/// (ImageOptions::backing). Links are followed first, for they may come with the image.
Result<> checkBacking(std::string const& imagePath, std::string const& below, std::vector<std::string> const& allowed);

}
