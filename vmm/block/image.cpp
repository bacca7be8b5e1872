#include "vmm/block/image.h"

#include <algorithm>
#include <fmt/format.h>

namespace vmm {

Error fileError(std::string const& what, int error)
{
    if (error == fileHasShrunk)
        return { ErrorCode::IoError, what + ": somebody has made the file shorter", error };
    if (error == ENOENT)
        return { ErrorCode::NotFound, what + ": the file was deleted, and lasts only until the machine lets go of it",
            error };
    if (error == EFAULT)
        return { ErrorCode::OutOfMemory, what + ": the host did not give a page of the guest's memory", error };
    return osError(what, error);
}

void BlockImage::letGo()
{
    m_held = false;
    for (auto* request : std::exchange(m_waiting, {}))
        begin(*request);
}

void BlockImage::passWaitingTo(BlockImage& other)
{
    other.m_held = m_held.exchange(false);
    other.m_waiting = std::exchange(m_waiting, {});
}

void BlockImage::becomeBacking()
{
    m_readOnly = true;
    m_file->writeNoMore();
}

void BlockImage::submit(BlockRequest& request)
{
    if (m_held)
        m_waiting.push_back(&request);
    else
        begin(request);
}

void BlockImage::begin(BlockRequest& request)
{
    using Kind = BlockRequest::Kind;
    ++m_requestsInFlight;
    request.m_next = nullptr;
    request.m_position = 0;
    request.m_parts = 0;
    request.m_bufferIndex = 0;
    request.m_bufferOffset = 0;
    request.m_error.reset();
    if (request.kind != Kind::Flush) {
        if (request.offset % sectorSize != 0 || request.length % sectorSize != 0)
            return complete(request, fail(ErrorCode::InvalidArgument, "the range is not one of whole sectors"));
        if (request.offset > m_size || request.length > m_size - request.offset)
            return complete(request, fail(ErrorCode::InvalidArgument, "the range is outside of the disk"));
    }
    if (request.kind == Kind::Read || request.kind == Kind::Write) {
        std::uint64_t total = 0;
        for (auto const& buffer : request.buffers)
            total += buffer.iov_len;
        if (total != request.length)
            return complete(request, fail(ErrorCode::InvalidArgument, "the buffers do not add up to the length"));
    }
    if (m_readOnly && request.kind != Kind::Read) {
        if (request.kind == Kind::Flush)
            return complete(request, {});
        return complete(request, fail(ErrorCode::PermissionDenied, m_file->name() + " is open for reading only"));
    }
    if (request.length == 0 && request.kind != Kind::Flush)
        return complete(request, {});
    if (request.kind == Kind::Read)
        return startRead(request);
    if (m_watch && request.kind != Kind::Flush)
        m_watch(request);
    start(request);
}

Result<> BlockImage::checkGrowth(std::uint64_t size) const
{
    auto const invalid = [&](std::string detail) {
        return fail(ErrorCode::InvalidArgument, m_file->name() + ": " + std::move(detail));
    };
    if (size % sectorSize != 0)
        return invalid(fmt::format("a disk of {} bytes: its size is a multiple of {}", size, sectorSize));
    if (size > maximumSize)
        return invalid(fmt::format("{} bytes are more than a disk can have", size));
    if (size <= m_size)
        return invalid(fmt::format("it has {} bytes, and a disk can only be made larger", m_size));
    return {};
}

Result<> BlockImage::grow(std::uint64_t size)
{
    if (m_readOnly)
        return fail(ErrorCode::PermissionDenied, m_file->name() + " is open for reading only");
    TRY(checkGrowth(size));
    drain();
    return growTo(size);
}

Result<> BlockImage::changeBacking(std::string const&, std::unique_ptr<BlockImage>)
{
    return fail(ErrorCode::Unsupported, m_file->name() + ": this format has no backing files");
}

Result<std::vector<DiskSnapshot>> BlockImage::snapshots()
{
    return fail(ErrorCode::Unsupported, m_file->name() + ": a raw image has no snapshots of its own");
}

Result<> BlockImage::takeSnapshot(DiskSnapshot const&)
{
    return fail(ErrorCode::Unsupported, m_file->name() + ": a raw image cannot have snapshots of its own");
}

Result<> BlockImage::applySnapshot(std::string_view)
{
    return fail(ErrorCode::Unsupported, m_file->name() + ": a raw image has no snapshots of its own");
}

Result<> BlockImage::deleteSnapshot(std::string_view)
{
    return fail(ErrorCode::Unsupported, m_file->name() + ": a raw image has no snapshots of its own");
}

void BlockImage::drain()
{
    while (m_requestsInFlight != 0 || m_oldest != nullptr) {
        if (!m_engine.wait())
            break;
    }
}

void BlockImage::complete(BlockRequest& request, Result<> result)
{
    --m_requestsInFlight;
    request.completed(std::move(result));
}

Error BlockImage::fileError(char const* what, int error) const
{
    return vmm::fileError(std::string(what) + " " + m_file->name(), error);
}

void BlockImage::finishPart(BlockRequest& request, int error)
{
    if (error == 0)
        return finishPart(request);
    finishPart(request, fileError(request.kind == BlockRequest::Kind::Read ? "reading" : "writing", error));
}

void BlockImage::finishPart(BlockRequest& request, std::optional<Error> error)
{
    if (error && !request.m_error)
        request.m_error = std::move(error);
    if (--request.m_parts != 0)
        return;
    if (request.m_error)
        complete(request, fail(std::move(*request.m_error)));
    else
        complete(request, {});
}

Result<BlockImage::Mapping> BlockImage::resolve(std::uint64_t offset, std::uint64_t length)
{
    auto* image = this;
    while (true) {
        auto mapping = TRY(image->map(offset, length));
        if (mapping.kind != Mapping::Kind::Unallocated)
            return mapping;
        length = std::min(length, mapping.length);
        image = image->m_backing.get();
        // A backing file may be shorter than what lies over it: zeros follow.
        if (image == nullptr || offset >= image->m_size)
            return Mapping { .kind = Mapping::Kind::Zero, .length = length };
        length = std::min(length, image->m_size - offset);
    }
}

Result<BlockImage::Mapping> BlockImage::resolveWithin(std::size_t below, std::uint64_t offset, std::uint64_t length)
{
    auto* image = this;
    for (;; --below) {
        if (offset >= image->m_size)
            return Mapping { .kind = Mapping::Kind::Zero, .length = length };
        auto mapping = TRY(image->map(offset, std::min(length, image->m_size - offset)));
        if (mapping.kind != Mapping::Kind::Unallocated || below == 0 || !image->m_backing)
            return mapping;
        length = mapping.length;
        image = image->m_backing.get();
    }
}

Result<> BlockImage::readCompressed(Mapping const&, std::uint64_t, ByteSpan)
{
    return fail(ErrorCode::Internal, "this format has no compressed clusters");
}

void BlockImage::takeBuffers(BlockRequest& request, std::uint64_t length, std::vector<iovec>& to)
{
    request.m_position += length;
    while (length != 0) {
        auto const& buffer = request.buffers[request.m_bufferIndex];
        auto const count = std::min<std::uint64_t>(length, buffer.iov_len - request.m_bufferOffset);
        if (count != 0)
            to.push_back({ static_cast<std::uint8_t*>(buffer.iov_base) + request.m_bufferOffset, count });
        length -= count;
        request.m_bufferOffset += count;
        if (request.m_bufferOffset == buffer.iov_len) {
            ++request.m_bufferIndex;
            request.m_bufferOffset = 0;
        }
    }
}

void BlockImage::startRead(BlockRequest& request)
{
    request.m_parts = 1;
    while (request.m_position < request.length) {
        auto const offset = request.offset + request.m_position;
        auto const mapping = resolve(offset, request.length - request.m_position);
        if (!mapping)
            return finishPart(request, mapping.error());
        if (mapping->kind == Mapping::Kind::Data) {
            auto& transfer
                = makeTransfer(IoOperation::Kind::Read, *mapping->image, mapping->hostOffset, mapping->length);
            transfer.request = &request;
            transfer.finished = &BlockImage::transferDone;
            if (mapping->length == request.length) {
                // The usual case: one place, the device's own list of buffers.
                request.m_position = request.length;
                transfer.buffers = request.buffers.data();
                transfer.bufferCount = request.buffers.size();
            } else {
                takeBuffers(request, mapping->length, transfer.vectors);
                transfer.buffers = transfer.vectors.data();
                transfer.bufferCount = transfer.vectors.size();
            }
            ++request.m_parts;
            submit(transfer);
            continue;
        }
        m_parts.clear();
        takeBuffers(request, mapping->length, m_parts);
        auto position = offset;
        for (auto const& part : m_parts) {
            ByteSpan const target(static_cast<std::uint8_t*>(part.iov_base), part.iov_len);
            if (mapping->kind == Mapping::Kind::Zero) {
                std::memset(target.data(), 0, target.size());
            } else if (auto const read = mapping->image->readCompressed(*mapping, position, target); !read) {
                return finishPart(request, read.error());
            }
            position += part.iov_len;
        }
    }
    finishPart(request);
}

void BlockImage::transferDone(Transfer& transfer, int error)
{
    auto& request = *transfer.request;
    auto const* where = transfer.file; // that of an image below, where those bytes are there
    release(transfer);
    if (error == 0)
        return finishPart(request);
    auto const* what = request.kind == BlockRequest::Kind::Read ? "reading " : "writing ";
    finishPart(request, vmm::fileError(what + where->name(), error));
}

BlockImage::Transfer& BlockImage::makeTransfer(
    IoOperation::Kind kind, BlockImage& where, std::uint64_t offset, std::uint64_t length)
{
    if (m_freeTransfers == nullptr) {
        m_transfers.push_back(std::make_unique<Transfer>());
        m_freeTransfers = m_transfers.back().get();
        m_freeTransfers->image = this;
        m_freeTransfers->done = operationDone;
    }
    auto& transfer = *m_freeTransfers;
    m_freeTransfers = transfer.next;
    transfer.kind = kind;
    transfer.file = where.m_file.get();
    transfer.offset = offset;
    transfer.length = length;
    transfer.vectors.clear();
    transfer.buffers = nullptr;
    transfer.bufferCount = 0;
    transfer.request = nullptr;
    transfer.context = nullptr;
    transfer.next = nullptr;
    return transfer;
}

void BlockImage::submit(Transfer& transfer)
{
    transfer.sequence = m_nextSequence++;
    transfer.previous = m_newest;
    (m_newest == nullptr ? m_oldest : m_newest->next) = &transfer;
    m_newest = &transfer;
    m_engine.submit(transfer);
}

void BlockImage::operationDone(IoOperation& operation, int error)
{
    auto& transfer = static_cast<Transfer&>(operation);
    auto& image = *transfer.image;
    (transfer.previous == nullptr ? image.m_oldest : transfer.previous->next) = transfer.next;
    (transfer.next == nullptr ? image.m_newest : transfer.next->previous) = transfer.previous;
    transfer.previous = transfer.next = nullptr;
    (image.*transfer.finished)(transfer, error);
}

void BlockImage::release(Transfer& transfer)
{
    transfer.next = m_freeTransfers;
    m_freeTransfers = &transfer;
}

Result<> BlockImage::readSync(std::uint64_t offset, ByteSpan data)
{
    iovec const buffer { data.data(), data.size() };
    return runSync(BlockRequest::Kind::Read, offset, data.size(), true, { &buffer, 1 });
}

Result<> BlockImage::writeSync(std::uint64_t offset, ConstByteSpan data)
{
    iovec const buffer { const_cast<std::uint8_t*>(data.data()), data.size() };
    return runSync(BlockRequest::Kind::Write, offset, data.size(), true, { &buffer, 1 });
}

Result<> BlockImage::runSync(
    BlockRequest::Kind kind, std::uint64_t offset, std::uint64_t length, bool mayUnmap, std::span<iovec const> buffers)
{
    std::optional<Result<>> outcome;
    BlockRequest request;
    request.kind = kind;
    request.offset = offset;
    request.length = length;
    request.mayUnmap = mayUnmap;
    request.buffers = buffers;
    request.completed = [&](Result<> result) { outcome = std::move(result); };
    begin(request);
    while (!outcome && m_engine.wait()) { }
    return outcome ? std::move(*outcome) : fail(ErrorCode::Internal, "a request was lost");
}

}
