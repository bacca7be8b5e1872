#include "vmm/usb/usb_device.h"

#include <algorithm>

namespace vmm {

namespace {

/// Calls `copy` with each piece of memory from `offset` on, and where its bytes are in the whole; how many bytes.
template<typename Copy>
std::size_t forEachPiece(UsbTransfer const& transfer, std::uint64_t offset, std::size_t size, Copy copy)
{
    std::size_t done = 0;
    for (auto const& buffer : transfer.buffers) {
        if (done == size)
            break;
        if (offset >= buffer.iov_len) {
            offset -= buffer.iov_len;
            continue;
        }
        auto const count = std::min<std::size_t>(size - done, buffer.iov_len - offset);
        copy(static_cast<std::uint8_t*>(buffer.iov_base) + offset, done, count);
        done += count;
        offset = 0;
    }
    return done;
}

}

std::size_t UsbTransfer::copyIn(ConstByteSpan data, std::uint64_t offset) const
{
    return forEachPiece(*this, offset, data.size(), [&](std::uint8_t* memory, std::size_t at, std::size_t count) {
        std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(at), count, memory);
    });
}

std::size_t UsbTransfer::copyOut(ByteSpan data, std::uint64_t offset) const
{
    return forEachPiece(*this, offset, data.size(), [&](std::uint8_t const* memory, std::size_t at, std::size_t count) {
        std::copy_n(memory, count, data.begin() + static_cast<std::ptrdiff_t>(at));
    });
}

void UsbDevice::complete(UsbTransfer& transfer, UsbStatus status, std::uint64_t transferred) const
{
    transfer.status = status;
    transfer.transferred = transferred;
    host().completed(transfer);
}

}
