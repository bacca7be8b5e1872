#pragma once

#include "vmm/usb/host_usb_device.h"

#include <libusb.h>

// What the source files of a host's device share.

namespace vmm::libusb {

/// Of one request: the most that Linux' usb-storage asks for, so that a device does not stand still between two parts.
/// usbfs has 16 MiB for all that is in flight (usbcore.usbfs_memory_mb); what finds none left waits.
constexpr std::size_t mostAtOnce = 1u << 20;
/// Of one isochronous stream, about: 64 ms of the fastest high-speed one are 1.5 MiB, but those of SuperSpeed ones
/// would be all that usbfs has.
constexpr std::size_t mostOfStream = 4u << 20;

/// Of a transfer, and of an isochronous packet.
inline UsbStatus statusOf(libusb_transfer_status status)
{
    switch (status) {
    case LIBUSB_TRANSFER_COMPLETED: return UsbStatus::Success;
    case LIBUSB_TRANSFER_CANCELLED: return UsbStatus::Cancelled;
    case LIBUSB_TRANSFER_STALL: return UsbStatus::Stall;
    case LIBUSB_TRANSFER_OVERFLOW: return UsbStatus::Babble;
    case LIBUSB_TRANSFER_ERROR:
    case LIBUSB_TRANSFER_TIMED_OUT:
    case LIBUSB_TRANSFER_NO_DEVICE: break;
    }
    return UsbStatus::TransactionError;
}

/// What a request that was refused tells the guest: the device is there and does not like it, or is not there.
inline UsbStatus statusOfCode(int code)
{
    switch (code) {
    case LIBUSB_SUCCESS: return UsbStatus::Success;
    case LIBUSB_ERROR_NO_DEVICE:
    case LIBUSB_ERROR_NO_MEM:
    case LIBUSB_ERROR_IO: return UsbStatus::TransactionError;
    default: return UsbStatus::Stall;
    }
}

}
