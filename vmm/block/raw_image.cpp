#include "vmm/block/raw_image.h"

#include "vmm/block/zeros.h"

#include <algorithm>

namespace vmm {

Result<std::unique_ptr<RawImage>> RawImage::open(IoEngine& engine, std::unique_ptr<BlockFile> file, Access access)
{
    auto const bytes = TRY(file->size());
    if (bytes > maximumSize)
        return fail(ErrorCode::InvalidArgument, file->name() + " is larger than a disk can be");
    std::unique_ptr<RawImage> image(new RawImage(engine, std::move(file), access == Access::ReadOnly));
    // A last sector that is not whole reads as if zeros followed; it becomes whole when it is written.
    image->m_size = alignUp(bytes, sectorSize);
    return image;
}

RawImage::~RawImage()
{
    ignore(flushSync());
}

Result<> RawImage::flushSync()
{
    drain();
    if (m_readOnly || m_synced == m_written)
        return {};
    TRY(m_file->sync());
    m_synced = m_written;
    return {};
}

ImageInfo RawImage::info() const
{
    ImageInfo info;
    info.format = ImageFormat::Raw;
    info.path = m_file->name();
    info.virtualSize = m_size;
    info.allocatedBytes = m_file->allocatedBytes();
    return info;
}

Result<BlockImage::Mapping> RawImage::map(std::uint64_t offset, std::uint64_t length)
{
    return Mapping { .kind = Mapping::Kind::Data, .length = length, .hostOffset = offset, .image = this };
}

Result<> RawImage::checkGrowth(std::uint64_t size) const
{
    if (m_file->isBlockDevice())
        return fail(ErrorCode::Unsupported, m_file->name() + " is a block device and keeps its size");
    return BlockImage::checkGrowth(size);
}

Result<> RawImage::growTo(std::uint64_t size)
{
    TRY(m_file->resize(size));
    TRY(m_file->sync());
    m_size = size;
    return {};
}

void RawImage::start(BlockRequest& request)
{
    request.m_parts = 1;
    switch (request.kind) {
    case BlockRequest::Kind::Read: break; // BlockImage serves it through map()
    case BlockRequest::Kind::Write: {
        auto& transfer = makeTransfer(IoOperation::Kind::Write, *this, request.offset, request.length);
        transfer.buffers = request.buffers.data();
        transfer.bufferCount = request.buffers.size();
        transfer.request = &request;
        transfer.finished = as(&RawImage::writeDone);
        submit(transfer);
        break;
    }
    case BlockRequest::Kind::Flush: {
        if (m_synced == m_written)
            return finishPart(request);
        auto& transfer = makeTransfer(IoOperation::Kind::Sync, *this, m_written, 0);
        transfer.request = &request;
        transfer.finished = as(&RawImage::syncDone);
        submit(transfer);
        break;
    }
    case BlockRequest::Kind::Discard:
    case BlockRequest::Kind::WriteZeroes: startRange(request); break;
    }
}

void RawImage::startRange(BlockRequest& request)
{
    bool const keep = request.kind == BlockRequest::Kind::WriteZeroes && !request.mayUnmap;
    auto& transfer = makeTransfer(
        keep ? IoOperation::Kind::Zero : IoOperation::Kind::Deallocate, *this, request.offset, request.length);
    transfer.request = &request;
    transfer.finished = as(&RawImage::rangeDone);
    submit(transfer);
}

void RawImage::rangeDone(Transfer& transfer, int error)
{
    auto& request = *transfer.request;
    release(transfer);
    ++m_written;
    bool const cannot = error == EOPNOTSUPP || error == ENOSYS || error == EINVAL || error == ENODEV;
    if (!cannot)
        return finishPart(request, error);
    if (request.kind == BlockRequest::Kind::Discard)
        return finishPart(request); // a hint that this host has no use for
    writeZeroBuffers(request);
}

void RawImage::writeZeroBuffers(BlockRequest& request)
{
    constexpr std::uint64_t step = 4 << 20;
    auto const length = std::min(request.length - request.m_position, step);
    auto& transfer = makeTransfer(IoOperation::Kind::Write, *this, request.offset + request.m_position, length);
    appendZeros(transfer.vectors, length);
    transfer.buffers = transfer.vectors.data();
    transfer.bufferCount = transfer.vectors.size();
    transfer.request = &request;
    transfer.finished = as(&RawImage::zeroBuffersDone);
    submit(transfer);
}

void RawImage::zeroBuffersDone(Transfer& transfer, int error)
{
    auto& request = *transfer.request;
    request.m_position += transfer.length;
    release(transfer);
    ++m_written;
    if (error != 0 || request.m_position == request.length)
        return finishPart(request, error);
    writeZeroBuffers(request);
}

void RawImage::writeDone(Transfer& transfer, int error)
{
    ++m_written;
    transferDone(transfer, error);
}

void RawImage::syncDone(Transfer& transfer, int error)
{
    if (error == 0)
        m_synced = std::max(m_synced, transfer.offset);
    transferDone(transfer, error);
}

}
