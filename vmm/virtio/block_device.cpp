#include "vmm/virtio/block_device.h"

#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm::virtio {

namespace {

// 5.2.3 "Feature bits".
constexpr std::uint64_t featureSegments = 1 << 2, featureReadOnly = 1 << 5, featureBlockSize = 1 << 6,
                        featureFlush = 1 << 9, featureTopology = 1 << 10, featureQueues = 1 << 12,
                        featureDiscard = 1 << 13, featureWriteZeroes = 1 << 14;

// 5.2.6 "Device Operation".
enum RequestType : std::uint32_t { In = 0, Out = 1, Flush = 4, GetId = 8, Discard = 11, WriteZeroes = 13 };
enum RequestStatus : std::uint8_t { Ok = 0, IoError = 1, Unsupported = 2 };
constexpr std::uint32_t flagUnmap = 1;
constexpr std::size_t headerSize = 16, rangeSize = 16, idSize = 20;

constexpr std::uint16_t queueSize = 256, configSize = 60;
constexpr std::uint64_t sectorSize = BlockImage::sectorSize;
constexpr std::uint32_t maximumRange = 1u << 22; // sectors of one discard: 2 GiB
constexpr std::uint32_t hostPageSectors = 8;
constexpr std::uint64_t maximumTransfer = 64u << 20; // bytes of one request; guests ask for a few MiB at most
constexpr std::uint64_t maximumTurn = 512u << 10;    // bytes of a turn's requests, see serve()

std::uint64_t features(BlockOptions const& options, bool readOnly)
{
    auto const changes = readOnly ? featureReadOnly : featureFlush | featureDiscard | featureWriteZeroes;
    return changes | featureSegments | featureBlockSize | featureTopology | (options.queues > 1 ? featureQueues : 0);
}

}

struct BlockDevice::Request {
    Chain chain;
    unsigned queue = 0;
    std::uint32_t type = 0;
    std::uint64_t sector = 0;
    std::uint8_t* status = nullptr;
    bool flushing = false; // a write that must be durable before it is done
    std::vector<iovec> buffers;
    BlockRequest io;
};

BlockDevice::BlockDevice(
    PciServices const& services, EventLoop& loop, BlockImage& image, BlockOptions options, HostError hostError)
    : VirtioDevice(services, loop,
        { .id = 2,
            .classCode = 0x010000,
            .features = features(options, options.readOnly || image.readOnly()),
            .queueSizes = std::vector<std::uint16_t>(options.queues, queueSize),
            .configSize = configSize }),
      m_image(&image),
      m_options([&] {
          options.readOnly |= image.readOnly();
          return std::move(options);
      }()),
      m_hostError(std::move(hostError)),
      m_sectors(image.size() / sectorSize),
      m_clusterSectors(
          std::max<std::uint32_t>(static_cast<std::uint32_t>(image.info().clusterSize / sectorSize), hostPageSectors))
{
}

BlockDevice::~BlockDevice()
{
    pause(); // the image still holds what is in flight
    detach();
}

void BlockDevice::readDeviceConfig(std::uint64_t offset, ByteSpan data)
{
    // 5.2.4 "Device configuration layout".
    std::array<std::uint8_t, configSize> config {};
    auto const put = [&](unsigned at, auto value) { storeLittle(ByteSpan(config).subspan(at, sizeof value), value); };
    put(0, m_sectors);
    put(12, std::uint32_t(queueSize - 2)); // seg_max: one descriptor for the header, one for the status
    put(20, std::uint32_t(sectorSize));    // blk_size
    put(24, std::uint8_t(3));              // physical blocks of 2^3 sectors
    put(26, std::uint16_t(hostPageSectors));
    put(28, m_clusterSectors); // opt_io_size
    put(32, std::uint8_t(1));  // writeback
    put(34, m_options.queues);
    if (!m_options.readOnly) {
        put(36, maximumRange); // max_discard_sectors, max_discard_seg, discard_sector_alignment
        put(40, std::uint32_t(1));
        put(44, m_clusterSectors);
        put(48, maximumRange); // max_write_zeroes_sectors, max_write_zeroes_seg, write_zeroes_may_unmap
        put(52, std::uint32_t(1));
        put(56, std::uint8_t(1));
    }
    std::copy_n(config.begin() + static_cast<std::ptrdiff_t>(offset), data.size(), data.begin());
}

BlockDevice::Request& BlockDevice::obtain()
{
    if (m_free.empty()) {
        auto& made = *m_requests.emplace_back(std::make_unique<Request>());
        made.io.completed = [this, request = &made](Result<> result) { completed(*request, std::move(result)); };
        m_free.reserve(m_requests.size());
        m_stalled.reserve(m_requests.size());
        m_free.push_back(&made);
    }
    auto& request = *m_free.back();
    m_free.pop_back();
    return request;
}

void BlockDevice::release(Request& request)
{
    m_free.push_back(&request);
}

void BlockDevice::serve(unsigned index)
{
    auto& ring = queue(index);
    // What the host refused before a pause comes first, from the rings again.
    auto const held = ring.state().held;
    ring.setHeld({});
    for (auto const head : held) {
        auto& request = obtain();
        request.queue = index;
        if (!ring.read(head, request.chain))
            return release(request);
        start(request);
    }
    // A turn has an end, however much the guest asks for: whoever stops the machine waits for it. And an early one:
    // what is in the host's page cache is copied as it is submitted, so the guest takes the first of many large
    // requests, and asks for more, while the others are copied.
    unsigned left = queueSize;
    std::uint64_t bytes = 0;
    do {
        ring.suppressKicks();
        for (;;) {
            auto& request = obtain();
            request.queue = index;
            if (ring.take(request.chain) != Queue::Taken::Chain) {
                release(request);
                break;
            }
            bytes += std::min(request.chain.readableBytes + request.chain.writableBytes, maximumTransfer);
            start(request);
            if (--left == 0 || bytes >= maximumTurn)
                return kick(index);
        }
    } while (ring.allowKicks());
}

bool BlockDevice::isInside(std::uint64_t sector, std::uint64_t length) const
{
    return length % sectorSize == 0 && sector <= m_sectors && length / sectorSize <= m_sectors - sector;
}

void BlockDevice::start(Request& request)
{
    auto const& chain = request.chain;
    std::array<std::uint8_t, headerSize> header {};
    auto const last = std::find_if(
        chain.writable.rbegin(), chain.writable.rend(), [](iovec const& part) { return part.iov_len != 0; });
    if (chain.read(0, header) != header.size() || last == chain.writable.rend()) {
        needsReset(request.queue, "a disk request without header or status");
        return release(request);
    }
    request.status = static_cast<std::uint8_t*>(last->iov_base) + last->iov_len - 1;
    request.type = loadLittle<std::uint32_t>(ConstByteSpan(header).first(4));
    request.sector = loadLittle<std::uint64_t>(ConstByteSpan(header).subspan(8));
    request.flushing = false;
    request.buffers.clear();
    request.io.buffers = {};
    switch (request.type) {
    case In:
    case Out: return startTransfer(request);
    case Discard:
    case WriteZeroes: return startRange(request);
    case Flush:
        if (m_options.readOnly) // All that is there is durable.
            return finish(request, Ok);
        request.io.kind = BlockRequest::Kind::Flush;
        request.io.offset = request.io.length = 0;
        begun();
        return m_image->submit(request.io);
    case GetId: {
        std::array<std::uint8_t, idSize> id {};
        std::copy_n(m_options.serial.begin(), std::min(m_options.serial.size(), idSize), id.begin());
        chain.write(0, ConstByteSpan(id).first(std::min<std::uint64_t>(idSize, chain.writableBytes - 1)));
        return finish(request, Ok);
    }
    default: return finish(request, Unsupported);
    }
}

void BlockDevice::startTransfer(Request& request)
{
    auto const& chain = request.chain;
    bool const write = request.type == Out;
    auto const length = write ? chain.readableBytes - headerSize : chain.writableBytes - 1;
    if (!isInside(request.sector, length) || length > maximumTransfer || (write && m_options.readOnly)) {
        trace("virtio-blk", "{} bytes at sector {} refused", length, request.sector);
        return finish(request, IoError);
    }
    if (length == 0)
        return finish(request, Ok);
    slicePieces(write ? chain.readable : chain.writable, write ? headerSize : 0, length, request.buffers);
    request.io.kind = write ? BlockRequest::Kind::Write : BlockRequest::Kind::Read;
    request.io.offset = request.sector * sectorSize;
    request.io.length = length;
    request.io.buffers = request.buffers;
    begun();
    m_image->submit(request.io);
}

void BlockDevice::startRange(Request& request)
{
    std::array<std::uint8_t, rangeSize> range {};
    if (request.chain.readableBytes != headerSize + rangeSize || request.chain.read(headerSize, range) != rangeSize)
        return finish(request, IoError);
    auto const sector = loadLittle<std::uint64_t>(ConstByteSpan(range).first(8));
    auto const count = loadLittle<std::uint32_t>(ConstByteSpan(range).subspan(8, 4));
    auto const flags = loadLittle<std::uint32_t>(ConstByteSpan(range).subspan(12, 4));
    // 5.2.6.2: flags that are unknown, and unmap with a discard, are unsupported.
    if ((flags & ~(request.type == WriteZeroes ? flagUnmap : 0)) != 0)
        return finish(request, Unsupported);
    if (m_options.readOnly || count > maximumRange || !isInside(sector, count * sectorSize))
        return finish(request, IoError);
    if (count == 0)
        return finish(request, Ok);
    request.io.kind = request.type == Discard ? BlockRequest::Kind::Discard : BlockRequest::Kind::WriteZeroes;
    request.io.mayUnmap = (flags & flagUnmap) != 0;
    request.io.offset = sector * sectorSize;
    request.io.length = count * sectorSize;
    begun();
    m_image->submit(request.io);
}

void BlockDevice::completed(Request& request, Result<> result)
{
    Service const service(*this);
    if (!result && result.error().code == ErrorCode::Unsupported && request.type == Discard) {
        result = {}; // It was only advice.
    }
    if (!result) {
        m_stalled.push_back(&request);
        if (!std::exchange(m_errorReported, true)) {
            log(LogLevel::Warning, "virtio-blk", "{}", result.error().message());
            if (m_hostError)
                m_hostError(result.error());
        }
        return ended();
    }
    // 5.2.6.2: without VIRTIO_BLK_F_FLUSH a write is durable when it is done.
    if ((request.type == Out || request.type == WriteZeroes) && !negotiated(featureFlush) && !request.flushing) {
        request.flushing = true;
        request.io.kind = BlockRequest::Kind::Flush;
        request.io.buffers = {};
        request.io.offset = request.io.length = 0;
        return m_image->submit(request.io);
    }
    finish(request, Ok);
    ended();
}

void BlockDevice::finish(Request& request, std::uint8_t status)
{
    std::uint64_t written = 1;
    if (status == Ok && request.type == In) {
        written = request.chain.writableBytes;
        m_bytesRead += written - 1;
    } else if (status == Ok && request.type == Out) {
        m_bytesWritten += request.chain.readableBytes - headerSize;
    } else if (status == Ok && request.type == GetId) {
        written = request.chain.writableBytes;
    }
    std::atomic_ref(*request.status).store(status, std::memory_order_relaxed);
    give(request.queue, request.chain.head,
        static_cast<std::uint32_t>(std::min<std::uint64_t>(written, std::numeric_limits<std::uint32_t>::max())));
    release(request);
}

void BlockDevice::driverGone()
{
    for (auto* request : m_stalled)
        release(*request);
    m_stalled.clear();
}

void BlockDevice::queueGone(unsigned queue)
{
    std::erase_if(m_stalled, [&](Request* request) {
        if (request->queue == queue)
            release(*request);
        return request->queue == queue;
    });
}

/// The heads of what the host refused become part of the rings' state; serve() begins with them.
void BlockDevice::paused()
{
    if (m_stalled.empty())
        return;
    for (unsigned i = 0; i < queueCount(); ++i) {
        auto held = queue(i).state().held;
        for (auto const* request : m_stalled) {
            if (request->queue == i)
                held.push_back(request->chain.head);
        }
        queue(i).setHeld(std::move(held));
    }
    driverGone();
}

Section BlockDevice::save() const
{
    return state::save(State { pciState(), transportState(), m_sectors });
}

Result<> BlockDevice::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    TRY(checkTransport(saved.pci, saved.transport));
    if (saved.sectors != m_sectors)
        return fail(ErrorCode::Corrupt,
            fmt::format("the state belongs to a disk of {} sectors, and this one has {}", saved.sectors, m_sectors));
    loadTransport(saved.pci, saved.transport);
    return {};
}

}
