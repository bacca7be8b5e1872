#include "vmm/usb/host_usb_private.h"

#include <algorithm>

// Isochronous transfers of a host's device: several go together, each a packet of one request, so that a stream of 8000
// a second costs the host 1000 requests; and several requests are in flight, so that the device never waits for us.

namespace vmm {

using namespace libusb;

/// Something was submitted. What comes one by one waits for more, as long as enough is in flight that there is time.
void HostUsbDevice::gather(Pipe& pipe)
{
    constexpr auto plenty = 2 * mostTogether; // when the first request lands the next one is under way
    if (pipe.waiting.size() >= mostTogether || m_isGone)
        serve(pipe);
    else if (!m_lands && pipe.flying < plenty)
        serveSoon();
}

/// What waits first goes into a request. False: not now, for want of memory.
bool HostUsbDevice::beginTogether(Pipe& pipe)
{
    auto const refuse = [&](UsbStatus status) {
        auto& transfer = *pipe.waiting.front();
        pipe.waiting.pop_front();
        complete(transfer, status);
        return true;
    };
    std::size_t count = 0, size = 0;
    for (; count < std::min(pipe.waiting.size(), mostTogether); ++count) {
        if (size + pipe.waiting[count]->length > mostAtOnce)
            break;
        size += pipe.waiting[count]->length;
    }
    m_isFresh = false;
    auto* const flight = count == 0 || m_isGone ? nullptr : obtainFlight(size);
    if (!flight)
        return refuse(UsbStatus::TransactionError);
    auto const code = requestTogether(*flight, pipe.waiting, count, size);
    if (code != LIBUSB_SUCCESS) {
        rest(*flight);
        return code != LIBUSB_ERROR_NO_MEM && refuse(statusOfCode(code));
    }
    auto const end = pipe.waiting.begin() + static_cast<std::ptrdiff_t>(count);
    flight->packets.assign(pipe.waiting.begin(), end);
    pipe.waiting.erase(pipe.waiting.begin(), end);
    pipe.flying += count;
    for (auto* const transfer : flight->packets)
        transfer->deviceData = flight;
    return true;
}

int HostUsbDevice::requestTogether(
    Flight& flight, std::deque<UsbTransfer*> const& waiting, std::size_t count, std::size_t size)
{
    auto& request = *flight.request;
    auto const callback = [](libusb_transfer* landed) {
        auto& its = *static_cast<Flight*>(landed->user_data);
        its.device->landed(its);
    };
    libusb_fill_iso_transfer(&request, m_handle.get(), waiting.front()->endpoint, flight.memory.data(),
        static_cast<int>(size), static_cast<int>(count), callback, &flight, 0);
    std::size_t offset = 0;
    for (std::size_t i = 0; i < count; ++i) {
        auto const& transfer = *waiting[i];
        request.iso_packet_desc[i].length = static_cast<unsigned>(transfer.length);
        if (!transfer.isIn())
            (void)transfer.copyOut(flight.memory.subspan(offset, transfer.length));
        offset += transfer.length;
    }
    flight.cancelled = false;
    return submitToHost(request);
}

/// Each packet has an outcome of its own. In a request that was cancelled those that the device has not had are errors
/// to libusb: the kernel calls them late (-EXDEV) until they are done.
void HostUsbDevice::landedTogether(Flight& flight)
{
    struct Outcome {
        UsbTransfer* transfer;
        UsbStatus status;
        std::size_t count;
    };
    auto const packets = std::exchange(flight.packets, {});
    auto const& request = *flight.request;
    auto& pipe = pipeOf(*packets.front());
    std::vector<Outcome> outcomes;
    std::vector<UsbTransfer*> again;
    std::size_t offset = 0;
    for (std::size_t i = 0; i < packets.size(); ++i) {
        auto const& packet = request.iso_packet_desc[i];
        auto& transfer = *packets[i];
        auto const at = std::exchange(offset, offset + packet.length);
        bool const tells = request.status == LIBUSB_TRANSFER_COMPLETED || request.status == LIBUSB_TRANSFER_CANCELLED;
        auto status = statusOf(tells ? packet.status : request.status);
        if (flight.cancelled && status != UsbStatus::Success) {
            bool const wasMeant = transfer.deviceData == nullptr;
            if (!wasMeant) {
                again.push_back(&transfer);
                continue;
            }
            status = UsbStatus::Cancelled;
        }
        auto const count
            = status == UsbStatus::Success ? std::min<std::size_t>(packet.actual_length, packet.length) : 0;
        if (transfer.isIn())
            (void)transfer.copyIn(flight.memory.subspan(at, count));
        outcomes.push_back({ &transfer, status, count });
    }
    pipe.waiting.insert(pipe.waiting.begin(), again.begin(), again.end());
    for (auto* const transfer : again)
        transfer->deviceData = nullptr;
    pipe.flying -= packets.size();
    // Where the device's clock is faster than the guest's, its transfers are wanted earlier.
    auto const frame = packets.back()->frame, now = host().microframe();
    m_ahead = static_cast<unsigned>(std::min<std::uint64_t>(frame > now ? frame - now : 0, mostAhead));
    flight.cancelled = false;
    rest(flight);
    m_lands = true;
    for (auto const& [transfer, status, count] : outcomes)
        complete(*transfer, status, count);
    m_lands = false;
    serveAll();
}

/// The host may be late by two thirds of that (as much as a controller has in flight), and loses nothing that the guest
/// has asked for.
unsigned HostUsbDevice::isochronousLead() const
{
    constexpr unsigned usualLead = 768; // 96 ms
    return usualLead + m_ahead;
}

}
