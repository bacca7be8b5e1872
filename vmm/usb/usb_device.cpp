#include "vmm/usb/usb_device.h"

#include "vmm/base/iovec.h"

namespace vmm {

std::size_t UsbTransfer::copyIn(ConstByteSpan data, std::uint64_t offset) const
{
    return copyToPieces(buffers, offset, data);
}

std::size_t UsbTransfer::copyOut(ByteSpan data, std::uint64_t offset) const
{
    return copyFromPieces(buffers, offset, data);
}

void UsbDevice::complete(UsbTransfer& transfer, UsbStatus status, std::uint64_t transferred) const
{
    transfer.status = status;
    transfer.transferred = transferred;
    host().completed(transfer);
}

}
