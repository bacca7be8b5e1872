#include "vmm/usb/hid_device.h"

#include <algorithm>
#include <utility>

namespace vmm {

namespace {

// HID 1.11, 7.1 "Standard Requests", 7.2 "Class-Specific Requests".
enum HidRequest : std::uint8_t {
    GetReport = 0x01,
    GetIdle = 0x02,
    GetProtocol = 0x03,
    SetReport = 0x09,
    SetIdle = 0x0a,
    SetProtocol = 0x0b
};
constexpr unsigned hidType = 0x21, reportType = 0x22;
constexpr std::uint8_t inputReport = 1;
constexpr std::uint16_t ownVendor = 0x0627;

Bytes hidDescriptor(std::size_t reportSize)
{
    return { 9, hidType, 0x11, 0x01, 0, 1, reportType, static_cast<std::uint8_t>(reportSize),
        static_cast<std::uint8_t>(reportSize >> 8) };
}

UsbDescriptors descriptorsOf(UsbSpeed speed, std::string product, unsigned boot, std::size_t reportSize,
    unsigned packetSize, std::uint16_t vendorId, std::uint16_t productId)
{
    constexpr std::uint8_t wakesUp = 1 << 5;
    bool const high = speed == UsbSpeed::High;
    // 8 ms: of a full speed device in frames, of a high speed one as a power of two of microframes.
    std::uint8_t const interval = high ? 7 : 8;
    UsbDescriptors descriptors;
    descriptors.device
        = { 18, 1, 0x00, 0x02, 0, 0, 0, static_cast<std::uint8_t>(high ? 64 : 8), 0, 0, 0, 0, 0x00, 0x00, 1, 2, 3, 1 };
    storeLittle(ByteSpan(descriptors.device).subspan(8, 2), vendorId);
    storeLittle(ByteSpan(descriptors.device).subspan(10, 2), productId);
    descriptors.configuration = usbConfiguration(1, wakesUp,
        { { 9, 4, 0, 0, 1, 3, static_cast<std::uint8_t>(boot != 0 ? 1 : 0), static_cast<std::uint8_t>(boot), 0 },
            hidDescriptor(reportSize), { 7, 5, 0x81, 3, static_cast<std::uint8_t>(packetSize), 0, interval } });
    descriptors.strings = { "Chronovisor", std::move(product), "1" };
    return descriptors;
}

}

HidDevice::HidDevice(UsbSpeed speed, std::string identity, std::string product, Boot boot, Bytes reportDescriptor,
    unsigned packetSize, std::function<void()> readyChanged, std::optional<Ids> ids)
    : EmulatedUsbDevice(speed, std::move(identity),
        descriptorsOf(speed, std::move(product), static_cast<unsigned>(boot), reportDescriptor.size(), packetSize,
            ids ? ids->vendor : ownVendor,
            ids ? ids->product : static_cast<std::uint16_t>(static_cast<unsigned>(boot) + 1))),
      m_reportDescriptor(std::move(reportDescriptor)),
      m_hidDescriptor(hidDescriptor(m_reportDescriptor.size())),
      m_readyChanged(std::move(readyChanged))
{
}

void HidDevice::updateReady()
{
    bool const ready = isConfigured();
    if (m_ready.exchange(ready) != ready && m_readyChanged)
        m_readyChanged();
}

void HidDevice::setHost(UsbHost* host)
{
    UsbDevice::setHost(host);
    m_idleTimer.reset();
    if (host)
        m_idleTimer = host->time().makeTimer(host->usbMutex(), [this] {
            if (!m_waiting.empty())
                send(currentReport());
        });
}

void HidDevice::resume()
{
    if (!isPlugged())
        return;
    std::lock_guard const lock(host().usbMutex());
    armIdle();
}

void HidDevice::unconfigured()
{
    m_hid = {};
    forgetInput();
    updateReady();
}

ConstByteSpan HidDevice::interfaceDescriptor(unsigned type, unsigned interface) const
{
    if (interface != 0)
        return {};
    return type == hidType ? ConstByteSpan(m_hidDescriptor) : type == reportType ? m_reportDescriptor : ConstByteSpan();
}

void HidDevice::request(UsbTransfer& transfer)
{
    auto const type = transfer.value() >> 8;
    auto const one = [&](std::uint8_t byte) { answer(transfer, { &byte, 1 }); };
    switch (transfer.setup[0] << 8 | transfer.setup[1]) {
    case 0xa100 | GetReport:
        if (type != inputReport)
            break;
        return answer(transfer, currentReport());
    case 0xa100 | GetIdle: return one(m_hid.idle);
    case 0xa100 | GetProtocol: return one(m_hid.protocol);
    case 0x2100 | SetReport: {
        std::array<std::uint8_t, 8> report {};
        output(ConstByteSpan(report).first(transfer.copyOut(report)));
        return complete(transfer, UsbStatus::Success, transfer.length);
    }
    case 0x2100 | SetIdle:
        m_hid.idle = static_cast<std::uint8_t>(type);
        armIdle();
        return complete(transfer, UsbStatus::Success);
    case 0x2100 | SetProtocol: m_hid.protocol = transfer.value() & 1; return complete(transfer, UsbStatus::Success);
    default: break;
    }
    complete(transfer, UsbStatus::Stall);
}

void HidDevice::data(UsbTransfer& transfer)
{
    if (transfer.endpoint != 0x81)
        return complete(transfer, UsbStatus::Stall);
    m_waiting.push_back(&transfer);
    serve();
}

void HidDevice::cancel(UsbTransfer& transfer)
{
    if (std::erase(m_waiting, &transfer) != 0)
        complete(transfer, UsbStatus::Cancelled);
}

void HidDevice::serve()
{
    while (!m_waiting.empty()) {
        auto const report = nextReport();
        if (!report)
            return;
        send(*report);
    }
}

void HidDevice::send(Bytes const& report)
{
    auto& transfer = *m_waiting.front();
    m_waiting.pop_front();
    bool const fits = report.size() <= transfer.length;
    auto const sent = transfer.copyIn(ConstByteSpan(report).first(fits ? report.size() : transfer.length));
    armIdle();
    complete(transfer, fits ? UsbStatus::Success : UsbStatus::Babble, sent);
}

void HidDevice::armIdle()
{
    if (!m_idleTimer)
        return;
    constexpr std::chrono::milliseconds unit { 4 };
    if (m_hid.idle == 0)
        m_idleTimer->cancel();
    else
        m_idleTimer->arm(host().time().now() + m_hid.idle * unit);
}

}
