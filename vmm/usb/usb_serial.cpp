#include "vmm/usb/usb_serial.h"

#include "vmm/base/iovec.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>

namespace vmm {

namespace {

constexpr std::uint8_t inEndpoint = 0x81, outEndpoint = 0x02, notifyEndpoint = 0x83;

// PSTN 1.2, 6.3 "PSTN Subclass Specific Requests".
enum SerialRequest : std::uint8_t {
    SetLineCoding = 0x20,
    GetLineCoding = 0x21,
    SetControlLineState = 0x22,
    SendBreak = 0x23
};
constexpr std::size_t lineCodingSize = 7;

UsbDescriptors descriptorsOf(std::string const& id)
{
    constexpr std::uint8_t communications = 0x02, dataClass = 0x0a, abstractControl = 0x02, wakesUp = 1 << 5;
    constexpr std::uint8_t functional = 0x24, header = 0x00, callManagement = 0x01, abstractControlManagement = 0x02,
                           unionOf = 0x06, lineCodingAndState = 1 << 1, sendsBreak = 1 << 2;
    UsbDescriptors descriptors;
    descriptors.device
        = { 18, 1, 0x00, 0x02, communications, 0, 0, 64, 0x27, 0x06, 0x30, 0x00, 0x00, 0x00, 1, 2, 3, 1 };
    descriptors.configuration = usbConfiguration(2, wakesUp,
        { { 9, 4, 0, 0, 1, communications, abstractControl, 0, 0 }, { 5, functional, header, 0x20, 0x01 },
            { 5, functional, callManagement, 0, 1 },
            { 4, functional, abstractControlManagement, lineCodingAndState | sendsBreak },
            { 5, functional, unionOf, 0, 1 }, { 7, 5, notifyEndpoint, 3, 16, 0, 9 },
            { 9, 4, 1, 0, 2, dataClass, 0, 0, 0 }, { 7, 5, inEndpoint, 2, 0x00, 2, 0 },
            { 7, 5, outEndpoint, 2, 0x00, 2, 0 } });
    descriptors.strings = { "Chronovisor", "USB Serial Port", id };
    return descriptors;
}

}

UsbSerial::UsbSerial(std::string const& id, EventLoop& loop, Console& console)
    : EmulatedUsbDevice(UsbSpeed::High, "serial " + id, descriptorsOf(id)), m_loop(loop), m_console(console)
{
    m_console.setInputReady([this, alive = std::weak_ptr(m_alive)] {
        m_loop.post([this, alive] {
            if (!alive.expired())
                typed();
        });
    });
}

UsbSerial::~UsbSerial()
{
    m_console.setInputReady({});
}

void UsbSerial::reset()
{
    m_standard = {};
    m_state = {};
}

void UsbSerial::unconfigured()
{
    m_state = {};
}

/// On the machine's thread, which plugs and unplugs too.
void UsbSerial::typed()
{
    if (!isPlugged())
        return;
    std::lock_guard const lock(host().usbMutex());
    wakeHost();
    serve();
}

void UsbSerial::request(UsbTransfer& transfer)
{
    switch (transfer.setup[0] << 8 | transfer.setup[1]) {
    case 0x2100 | SetLineCoding: {
        std::array<std::uint8_t, lineCodingSize> coding {};
        if (transfer.copyOut(coding) < coding.size())
            break;
        m_state.rate = loadLittle<std::uint32_t>(coding);
        m_state.stopBits = coding[4];
        m_state.parity = coding[5];
        m_state.dataBits = coding[6];
        return complete(transfer, UsbStatus::Success, transfer.length);
    }
    case 0xa100 | GetLineCoding: {
        std::array<std::uint8_t, lineCodingSize> coding {};
        storeLittle(ByteSpan(coding).first(4), m_state.rate);
        coding[4] = m_state.stopBits;
        coding[5] = m_state.parity;
        coding[6] = m_state.dataBits;
        return answer(transfer, coding);
    }
    case 0x2100 | SetControlLineState:
        m_state.lines = transfer.value() & 3;
        return complete(transfer, UsbStatus::Success);
    case 0x2100 | SendBreak: return complete(transfer, UsbStatus::Success);
    default: break;
    }
    complete(transfer, UsbStatus::Stall);
}

void UsbSerial::data(UsbTransfer& transfer)
{
    switch (transfer.endpoint) {
    case inEndpoint: m_reading.push_back(&transfer); return serve();
    case notifyEndpoint: m_notifying.push_back(&transfer); return tellState();
    case outEndpoint: m_writing.push_back(&transfer); return print();
    default: return complete(transfer, UsbStatus::Stall);
    }
}

void UsbSerial::cancel(UsbTransfer& transfer)
{
    if (std::erase(m_reading, &transfer) + std::erase(m_writing, &transfer) + std::erase(m_notifying, &transfer) != 0)
        complete(transfer, UsbStatus::Cancelled);
}

void UsbSerial::serve()
{
    while (!m_reading.empty() && m_console.hasInput()) {
        auto& transfer = *m_reading.front();
        m_reading.pop_front();
        std::uint64_t taken = 0;
        for (auto const& buffer : transfer.buffers) {
            auto const count = m_console.takeInput({ static_cast<std::uint8_t*>(buffer.iov_base), buffer.iov_len });
            taken += count;
            if (count < buffer.iov_len)
                break;
        }
        complete(transfer, UsbStatus::Success, taken);
    }
}

/// Of more than the console keeps only the end could ever be read.
void UsbSerial::print()
{
    while (!m_writing.empty() && m_printed < Console::scrollback) {
        auto& transfer = *m_writing.front();
        m_writing.pop_front();
        auto const kept = std::min<std::uint64_t>(transfer.length, Console::scrollback);
        m_pieces.clear();
        slicePieces(transfer.buffers, transfer.length - kept, kept, m_pieces);
        for (auto const& piece : m_pieces)
            m_console.output({ static_cast<std::uint8_t const*>(piece.iov_base), piece.iov_len });
        m_printed += kept;
        if (m_printed >= Console::scrollback) { // Others want the loop too.
            m_loop.post([this, alive = std::weak_ptr(m_alive)] {
                if (!alive.expired())
                    printOn();
            });
        }
        complete(transfer, UsbStatus::Success, transfer.length);
    }
}

/// On the machine's thread, as typed(). Nothing waits in a port that is unplugged.
void UsbSerial::printOn()
{
    auto const lock = isPlugged() ? std::unique_lock(host().usbMutex()) : std::unique_lock<std::mutex>();
    m_printed = 0;
    print();
}

/// PSTN 1.2, "SerialState".
void UsbSerial::tellState()
{
    if (m_state.stateTold || m_notifying.empty())
        return;
    constexpr std::uint8_t serialState = 0x20, carrierAndReady = 3;
    constexpr std::array<std::uint8_t, 10> notification { 0xa1, serialState, 0, 0, 0, 0, 2, 0, carrierAndReady, 0 };
    auto& transfer = *m_notifying.front();
    m_notifying.pop_front();
    m_state.stateTold = true;
    complete(transfer, UsbStatus::Success, transfer.copyIn(notification));
}

Section UsbSerial::save() const
{
    auto state = m_state;
    state.standard = m_standard;
    return state::save(state);
}

Result<> UsbSerial::load(Section const& section)
{
    auto saved = TRY(state::load<State>(section));
    m_standard = std::exchange(saved.standard, {});
    m_state = saved;
    return {};
}

}
