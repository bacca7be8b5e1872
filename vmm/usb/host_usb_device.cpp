#include "vmm/base/log.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"
#include "vmm/usb/host_usb_private.h"
#include "vmm/usb/usb_requests.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace vmm {

using namespace libusb;

namespace {

constexpr std::size_t setupSize = LIBUSB_CONTROL_SETUP_SIZE, page = 4096;
constexpr std::string_view pluggedOut = "this host does not have it any more";

bool changesNothing(UsbTransfer const& transfer)
{
    constexpr std::uint8_t in = 0x80, typeMask = 0x60;
    return transfer.kind == UsbTransfer::Kind::Control && (transfer.setup[0] & in) != 0
        && (transfer.setup[0] & typeMask) == 0;
}

/// All of a configuration, in every setting. Where descriptors contradict each other libusb counts endpoints that it
/// has not read; its own functions that look for one go there.
void eachEndpoint(libusb_config_descriptor const& configuration,
    std::function<void(libusb_interface_descriptor const&, libusb_endpoint_descriptor const&)> const& call)
{
    for (unsigned i = 0; i < configuration.bNumInterfaces; ++i) {
        auto const& interface = configuration.interface[i];
        for (int alternate = 0; alternate < interface.num_altsetting; ++alternate) {
            auto const& setting = interface.altsetting[alternate];
            for (unsigned e = 0; setting.endpoint && e < setting.bNumEndpoints; ++e)
                call(setting, setting.endpoint[e]);
        }
    }
}

/// Those whose companion (USB 3.0, 9.6.7 "SuperSpeed Endpoint Companion") knows streams, a bit each.
std::uint32_t streamEndpointsOf(libusb_config_descriptor const& configuration)
{
    constexpr unsigned maxStreams = 0x1f;
    std::uint32_t found = 0;
    eachEndpoint(configuration, [&](auto const&, libusb_endpoint_descriptor const& endpoint) {
        libusb_ss_endpoint_companion_descriptor* companion = nullptr;
        if (libusb_get_ss_endpoint_companion_descriptor(nullptr, &endpoint, &companion) != LIBUSB_SUCCESS)
            return;
        bool const isBulk = (endpoint.bmAttributes & LIBUSB_TRANSFER_TYPE_MASK) == LIBUSB_TRANSFER_TYPE_BULK;
        if (isBulk && (companion->bmAttributes & maxStreams) != 0)
            found |= 1u << usb::indexOf(endpoint.bEndpointAddress);
        libusb_free_ss_endpoint_companion_descriptor(companion);
    });
    return found;
}

/// In an identity, of which a saved state has 128 bytes.
constexpr std::size_t longestSerial = 60;

}

HostUsbTrace HostUsbTrace::of(HostUsbInfo const& device)
{
    return { device.vendor, device.product, device.port, plainUsbText(device.serial, longestSerial) };
}

bool HostUsbTrace::fits(HostUsbInfo const& device) const
{
    return device.vendor == vendor && device.product == product
        && (serial.empty() ? device.serial.empty() && device.port == port
                           : plainUsbText(device.serial, longestSerial) == serial);
}

std::optional<HostUsbTrace> HostUsbTrace::in(std::string_view identity)
{
    // "host 0951:1666 1-2.3 123456789 SERIAL", where the last may have blanks in it, or be nothing; "redirected
    // 0951:1666 123456789".
    constexpr std::string_view ofHost = "host ", ofAnother = "redirected ";
    constexpr std::size_t numbers = 9, digits = 4;
    bool const isRedirected = identity.starts_with(ofAnother);
    if (!isRedirected && !identity.starts_with(ofHost))
        return std::nullopt;
    identity.remove_prefix((isRedirected ? ofAnother : ofHost).size());
    if (identity.size() < numbers + 1)
        return std::nullopt;
    HostUsbTrace trace;
    auto const read = [](std::string_view text, std::uint16_t& into) {
        auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), into, 16);
        return error == std::errc() && end == text.data() + text.size();
    };
    if (identity[digits] != ':' || identity[numbers] != ' ' || !read(identity.substr(0, digits), trace.vendor)
        || !read(identity.substr(digits + 1, digits), trace.product))
        return std::nullopt;
    if (isRedirected)
        return trace;
    identity.remove_prefix(numbers + 1);
    auto const blank = identity.find(' '), next = identity.find(' ', std::min(blank, identity.size() - 1) + 1);
    if (blank == 0 || blank == std::string_view::npos || next == std::string_view::npos)
        return std::nullopt;
    trace.port = identity.substr(0, blank);
    trace.serial = identity.substr(next + 1);
    return trace;
}

Result<std::unique_ptr<HostUsbDevice>> HostUsbDevice::open(
    std::shared_ptr<HostUsb> usb, HostUsbInfo const& info, Gone gone)
{
    auto handle = TRY(usb->openDevice(info));
    auto worker = TRY(LoopThread::start("usb " + info.port.substr(0, 10)));
    std::unique_ptr<HostUsbDevice> device(
        new HostUsbDevice(std::move(usb), info, std::move(handle), std::move(worker), std::move(gone)));
    TRY_WITHIN(fmt::format("{:04x}:{:04x} at port {}", info.vendor, info.product, info.port), device->take());
    return device;
}

HostUsbDevice::HostUsbDevice(std::shared_ptr<HostUsb> usb, HostUsbInfo const& info, HostUsb::Handle handle,
    std::unique_ptr<LoopThread> worker, Gone gone)
    : m_usb(std::move(usb)),
      m_info(info),
      m_gone(std::move(gone)),
      m_handle(std::move(handle)),
      m_worker(std::move(worker))
{
}

HostUsbDevice::~HostUsbDevice()
{
    m_listener.reset();
    m_worker->end();
    m_usb->settle(); // what has landed last may still be on its way out of us
    for (auto& flight : m_flights) {
        freeMemory(flight);
        libusb_free_transfer(flight.request);
    }
    giveBack();
}

Result<> HostUsbDevice::take()
{
    libusb_get_configuration(m_handle.get(), &m_configuration);
    auto watched = UsbReturn::watch(m_info, m_configuration);
    if (watched)
        m_return = std::move(*watched);
    else
        log(LogLevel::Warning, "usb", "{} will have no driver if this process is killed: {}", m_info.port,
            watched.error().message());
    if (auto const code = claimInterfaces(); code != LIBUSB_SUCCESS) {
        giveBack();
        if (code == LIBUSB_ERROR_BUSY)
            return fail(ErrorCode::Busy, "another program, or another machine, has it");
        return fail(hostUsbError("it cannot be taken from the drivers of this host", code));
    }
    m_listener = m_usb->listen([this] {
        if (!m_usb->isThere(m_info))
            noteGone(pluggedOut);
    });
    if (!m_usb->isThere(m_info))
        noteGone(pluggedOut);
    m_worker->loop().post([this] { lookNowAndThen(); });
    return {};
}

void HostUsbDevice::giveBack()
{
    releaseInterfaces();
    if (m_isGone || (m_wasPlugged && m_return && m_return->giveBack(m_detached, [this] { m_handle.reset(); })))
        return;
    if (m_wasPlugged) {
        // What the guest has made of it is nothing that a driver here would expect.
        int present = 0;
        if (libusb_get_configuration(m_handle.get(), &present) == LIBUSB_SUCCESS && present != m_configuration)
            libusb_set_configuration(m_handle.get(), m_configuration == 0 ? -1 : m_configuration);
        libusb_reset_device(m_handle.get());
    }
    for (auto const interface : std::exchange(m_detached, {})) {
        if (auto const code = libusb_attach_kernel_driver(m_handle.get(), interface); code != LIBUSB_SUCCESS)
            log(LogLevel::Debug, "usb", "{}", hostUsbError("no driver of the host takes " + m_info.port, code).detail);
    }
}

void HostUsbDevice::setHost(UsbHost* host)
{
    if (host) {
        m_isFresh = false;
        m_wasPlugged = true;
    }
    forgetStreams(); // of another guest, or of another time of this one
    VisitingUsbDevice::setHost(host);
}

std::string HostUsbDevice::newIdentity() const
{
    return fmt::format("host {:04x}:{:04x} {} {} {}", m_info.vendor, m_info.product, m_info.port,
        EventLoop::now().count(), plainUsbText(m_info.serial, longestSerial));
}

void HostUsbDevice::noteGone(std::string_view why)
{
    if (m_isGone.exchange(true))
        return;
    log(LogLevel::Warning, "usb", "{:04x}:{:04x} at port {} is lost: {}", m_info.vendor, m_info.product, m_info.port,
        why);
    if (m_gone)
        m_gone();
}

/// Where the host has slept, or another program has reset the device, the kernel ends what is in flight without an
/// error and lets its own drivers take the interfaces, for usbfs keeps none through a reset that is not its own (Linux,
/// drivers/usb/core/driver.c, usb_resume_interface() and rebind_marked_interfaces()).
void HostUsbDevice::lookSoonWhoHasIt()
{
    if (m_isGone || m_looksSoon.exchange(true))
        return;
    m_worker->loop().post([this] {
        m_looksSoon = false;
        if (isTaken())
            noteGone("a driver of this host has taken it");
    });
}

/// Where nothing is in flight, nothing else tells of it.
void HostUsbDevice::lookNowAndThen()
{
    constexpr Nanoseconds pause = std::chrono::seconds(2);
    m_nextLook = m_worker->loop().at(EventLoop::now() + pause, [this] {
        lookSoonWhoHasIt();
        lookNowAndThen();
    });
}

// What the guest asks for

void HostUsbDevice::submit(UsbTransfer& transfer)
{
    transfer.deviceData = nullptr;
    auto& pipe = pipeOf(transfer);
    pipe.waiting.push_back(&transfer);
    if (transfer.kind == UsbTransfer::Kind::Isochronous)
        gather(pipe);
    else
        serve(pipe);
}

HostUsbDevice::Pipe& HostUsbDevice::pipeOf(UsbTransfer const& transfer)
{
    auto const endpoint = transfer.kind == UsbTransfer::Kind::Control ? 0u : transfer.endpoint;
    return m_pipes[endpoint | std::uint32_t(transfer.stream) << 8];
}

void HostUsbDevice::serve(Pipe& pipe)
{
    while (m_works == 0 && !pipe.unfinished && !pipe.waiting.empty()) {
        auto& transfer = *pipe.waiting.front();
        if (transfer.kind == UsbTransfer::Kind::Isochronous) {
            if (pipe.flying * transfer.length >= mostOfStream)
                return; // what lands makes room
            if (!beginTogether(pipe))
                return tryAgainSoon();
            continue;
        }
        pipe.waiting.pop_front();
        if (begin(transfer))
            continue;
        pipe.waiting.push_front(&transfer);
        return tryAgainSoon();
    }
}

void HostUsbDevice::serveAll()
{
    for (auto& flight : m_flights) {
        if (flight.cancelWaits)
            cancelAtHost(flight);
        if (!flight.waits || m_works != 0)
            continue;
        auto const code = request(flight);
        if (code == LIBUSB_ERROR_NO_MEM)
            tryAgainSoon();
        else if (flight.waits = false; code != LIBUSB_SUCCESS)
            end(flight, statusOfCode(code));
    }
    for (auto& [key, pipe] : m_pipes)
        serve(pipe);
}

/// The kernel has no memory for it now. Others' transfers, and ours, give theirs back.
void HostUsbDevice::tryAgainSoon()
{
    if (m_triesAgain.exchange(true))
        return;
    m_worker->loop().post([this] {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        m_triesAgain = false;
        withBus([this] { serveAll(); });
    });
}

void HostUsbDevice::serveSoon()
{
    if (m_servesSoon.exchange(true))
        return;
    m_worker->loop().post([this] {
        m_servesSoon = false;
        withBus([this] { serveAll(); });
    });
}

/// False: not now, for want of memory.
bool HostUsbDevice::begin(UsbTransfer& transfer)
{
    if (m_isGone)
        return complete(transfer, UsbStatus::TransactionError), true;
    if (!changesNothing(transfer))
        m_isFresh = false;
    if (transfer.kind == UsbTransfer::Kind::Control) {
        if (usb::requestOf(transfer) == usb::setAddress) // the host's kernel has given it one
            return complete(transfer, UsbStatus::Success), true;
        if (auto work = workFor(transfer))
            return doWork(&transfer, std::move(work)), true;
    }
    return start(transfer);
}

HostUsbDevice::Work HostUsbDevice::workFor(UsbTransfer const& transfer)
{
    auto const value = transfer.value(), index = transfer.index();
    switch (usb::requestOf(transfer)) {
    case usb::setConfiguration: return [this, value] { return setConfiguration(value & 0xff); };
    case usb::setInterface: return [this, value, index] { return setInterface(index & 0xff, value & 0xff); };
    case usb::clearEndpointFeature:
        if (value != 0) // ENDPOINT_HALT
            return {};
        return [this, index] { return libusb_clear_halt(m_handle.get(), index & 0xff); };
    default: return {};
    }
}

void HostUsbDevice::doWork(UsbTransfer* transfer, Work work)
{
    ++m_works;
    auto const number = ++m_lastWork;
    if (transfer)
        m_working[transfer] = number;
    m_worker->loop().post([this, transfer, number, work = std::move(work)] {
        auto const code = m_isGone ? int(LIBUSB_ERROR_NO_DEVICE) : work();
        if (code == LIBUSB_ERROR_NO_DEVICE)
            noteGone(pluggedOut);
        --m_works;
        withBus([&] {
            // It may have been cancelled, and be another one's by now.
            if (auto const waits = m_working.find(transfer); waits != m_working.end() && waits->second == number) {
                m_working.erase(waits);
                complete(*transfer, statusOfCode(code));
            }
            serveAll();
        });
    });
}

/// False: not now, for want of memory.
bool HostUsbDevice::start(UsbTransfer& transfer)
{
    bool const isControl = transfer.kind == UsbTransfer::Kind::Control;
    auto const size
        = isControl ? setupSize + usb::controlLength(transfer) : std::min<std::uint64_t>(transfer.length, mostAtOnce);
    bool const isWhole = !isControl || transfer.isIn() || usb::controlLength(transfer) == transfer.length;
    auto* const flight = isWhole ? obtainFlight(size) : nullptr;
    if (!flight) {
        complete(transfer, UsbStatus::TransactionError);
        return true;
    }
    flight->transfer = &transfer;
    flight->done = 0;
    flight->cancelled = false;
    auto const code = request(*flight);
    if (code == LIBUSB_SUCCESS) {
        transfer.deviceData = flight;
        return true;
    }
    rest(*flight);
    if (code == LIBUSB_ERROR_NO_MEM)
        return false;
    pipeOf(transfer).unfinished = nullptr;
    complete(transfer, statusOfCode(code));
    return true;
}

/// Asks the device for the next part of the transfer.
int HostUsbDevice::request(Flight& flight)
{
    auto const& transfer = *flight.transfer;
    auto& request = *flight.request;
    auto* const memory = flight.memory.data();
    auto const count = std::min<std::uint64_t>(transfer.length - flight.done, mostAtOnce);
    auto const callback = [](libusb_transfer* landed) {
        auto& its = *static_cast<Flight*>(landed->user_data);
        its.device->landed(its);
    };
    auto const room = transfer.kind == UsbTransfer::Kind::Control ? usb::controlLength(transfer) : count;
    if (!transfer.isIn()) {
        auto const begin = transfer.kind == UsbTransfer::Kind::Control ? setupSize : 0;
        (void)transfer.copyOut(flight.memory.subspan(begin, room), flight.done);
    }
    switch (transfer.kind) {
    case UsbTransfer::Kind::Control:
        std::copy(transfer.setup.begin(), transfer.setup.end(), memory);
        libusb_fill_control_transfer(&request, m_handle.get(), memory, callback, &flight, 0);
        break;
    case UsbTransfer::Kind::Bulk:
        libusb_fill_bulk_transfer(
            &request, m_handle.get(), transfer.endpoint, memory, static_cast<int>(count), callback, &flight, 0);
        if (transfer.stream != 0) {
            request.type = LIBUSB_TRANSFER_TYPE_BULK_STREAM;
            libusb_transfer_set_stream_id(&request, transfer.stream);
        }
        break;
    case UsbTransfer::Kind::Interrupt:
        libusb_fill_interrupt_transfer(
            &request, m_handle.get(), transfer.endpoint, memory, static_cast<int>(count), callback, &flight, 0);
        break;
    case UsbTransfer::Kind::Isochronous: break; // they go together
    }
    request.num_iso_packets = 0;
    auto const code = submitToHost(request);
    bool const isLast = transfer.kind == UsbTransfer::Kind::Control || flight.done + count == transfer.length;
    if (code == LIBUSB_SUCCESS)
        pipeOf(transfer).unfinished = isLast ? nullptr : flight.transfer;
    return code;
}

int HostUsbDevice::submitToHost(libusb_transfer& request)
{
    auto const code = libusb_submit_transfer(&request);
    if (code == LIBUSB_ERROR_IO)
        lookSoonWhoHasIt();
    return code;
}

void HostUsbDevice::cancel(UsbTransfer& transfer)
{
    auto& pipe = pipeOf(transfer);
    if (auto const found = std::find(pipe.waiting.begin(), pipe.waiting.end(), &transfer);
        found != pipe.waiting.end()) {
        pipe.waiting.erase(found);
        return complete(transfer, UsbStatus::Cancelled);
    }
    if (m_working.erase(&transfer) != 0) {
        m_isFresh = false;
        return complete(transfer, UsbStatus::Cancelled); // the work goes on, and what comes waits for it
    }
    auto* const flight = static_cast<Flight*>(transfer.deviceData);
    if (!flight)
        return;
    if (!flight->packets.empty()) {
        transfer.deviceData = nullptr; // the sign that it was to end
        if (!std::exchange(flight->cancelled, true))
            cancelAtHost(*flight);
        return;
    }
    flight->cancelled = true; // also where libusb has it no more, and another part would follow
    if (flight->waits)
        end(*flight, UsbStatus::Cancelled);
    else
        cancelAtHost(*flight);
}

/// The kernel does one thing of a device at a time: while a device does not answer the worker, whoever asks would wait
/// too, with the lock of the bus held.
void HostUsbDevice::cancelAtHost(Flight& flight)
{
    flight.cancelWaits = m_works != 0;
    if (!flight.cancelWaits)
        libusb_cancel_transfer(flight.request);
}

/// On libusb's thread.
void HostUsbDevice::landed(Flight& flight)
{
    bool const isGone = flight.request->status == LIBUSB_TRANSFER_NO_DEVICE;
    {
        std::lock_guard const lock(host().usbMutex()); // which cannot go while this is in flight
        if (!flight.packets.empty())
            landedTogether(flight);
        else if (!goesOn(flight))
            serveAll();
    }
    if (isGone)
        noteGone(pluggedOut);
}

/// Takes what has come; whether there is more to come.
bool HostUsbDevice::goesOn(Flight& flight)
{
    auto& transfer = *flight.transfer;
    auto const& request = *flight.request;
    if (request.actual_length == 0 && !flight.cancelled)
        lookSoonWhoHasIt();
    auto status = statusOf(request.status);
    auto count = static_cast<std::uint64_t>(std::max(0, request.actual_length));
    bool const isControl = transfer.kind == UsbTransfer::Kind::Control;
    auto const begin = isControl ? setupSize : 0;
    count = std::min<std::uint64_t>({ count, flight.memory.size() - begin, transfer.length - flight.done });
    if (isControl)
        usb::hideRemoteWakeup(transfer, flight.memory.subspan(begin, count));
    if (transfer.isIn())
        (void)transfer.copyIn(flight.memory.subspan(begin, count), flight.done);
    flight.done += count;
    // A packet that was under way when it was cancelled may have ended it, by its length too.
    if (status == UsbStatus::Cancelled && count > 0 && !isControl) {
        auto const packet = m_packetSizes[usb::indexOf(transfer.endpoint)].load();
        if (flight.done == transfer.length || (packet > 0 && count % packet != 0))
            status = UsbStatus::Success;
    }
    bool const isFull = !isControl && count == mostAtOnce && flight.done < transfer.length;
    if (status != UsbStatus::Success || !isFull)
        return end(flight, status), false;
    if (flight.cancelled)
        return end(flight, UsbStatus::Cancelled), false;
    if (m_works != 0) {
        flight.waits = true;
        return true;
    }
    auto const code = this->request(flight);
    if (code == LIBUSB_ERROR_NO_MEM) {
        flight.waits = true;
        tryAgainSoon();
    } else if (code != LIBUSB_SUCCESS) {
        return end(flight, statusOfCode(code)), false;
    }
    return true;
}

void HostUsbDevice::end(Flight& flight, UsbStatus status)
{
    auto& transfer = *flight.transfer;
    auto const done = flight.done;
    if (auto& pipe = pipeOf(transfer); pipe.unfinished == &transfer)
        pipe.unfinished = nullptr;
    transfer.deviceData = nullptr;
    flight.waits = false;
    if (status != UsbStatus::Success && status != UsbStatus::Stall)
        m_isFresh = false; // a device that does not answer is reset, whatever it was asked
    rest(flight);
    complete(transfer, status, done);
}

/// A few keep their memory: all machines and programs of the host share 16 MiB of it.
void HostUsbDevice::rest(Flight& flight)
{
    constexpr std::size_t mostIdle = 2 * mostAtOnce; // one of data, and what goes around it
    flight.cancelWaits = false;
    auto idle = flight.memory.size();
    for (auto const* other : m_idle)
        idle += other->memory.size();
    if (idle > mostIdle)
        freeMemory(flight);
    m_idle.push_back(&flight);
}

HostUsbDevice::Flight* HostUsbDevice::obtainFlight(std::size_t size)
{
    auto const fits = [&](Flight const* flight) { return flight->memory.size() >= size; };
    auto found = std::find_if(m_idle.rbegin(), m_idle.rend(), fits);
    if (found == m_idle.rend())
        found = m_idle.rbegin(); // its memory is exchanged
    Flight* flight = nullptr;
    if (found != m_idle.rend()) {
        flight = *found;
        m_idle.erase(std::prev(found.base()));
    } else {
        auto* const request = libusb_alloc_transfer(mostTogether);
        if (!request)
            return nullptr;
        flight = &m_flights.emplace_back(Flight { .device = this, .request = request });
    }
    if (fits(flight))
        return flight;
    freeMemory(*flight);
    auto const room = alignUp(std::max<std::size_t>(size, 1), page);
    auto* memory = libusb_dev_mem_alloc(m_handle.get(), room);
    flight->isKernelMemory = memory != nullptr;
    if (!memory)
        memory = new std::uint8_t[room];
    flight->memory = { memory, room };
    return flight;
}

void HostUsbDevice::freeMemory(Flight& flight)
{
    if (flight.isKernelMemory)
        libusb_dev_mem_free(m_handle.get(), flight.memory.data(), flight.memory.size());
    else
        delete[] flight.memory.data();
    flight.memory = {};
    flight.isKernelMemory = false;
}

bool HostUsbDevice::setStreams(std::uint8_t endpoint, unsigned count)
{
    auto const index = usb::indexOf(endpoint);
    if (count != 0 && (m_mayStream >> index & 1) == 0)
        return false;
    if (count != 0)
        m_isFresh = false;
    if (m_wantedStreams[index].exchange(count) != count && !m_streamsChange.exchange(true))
        doWork(nullptr, [this] { return applyStreams(); });
    return true;
}

void HostUsbDevice::forgetStreams()
{
    for (auto& wanted : m_wantedStreams)
        wanted = 0;
}

void HostUsbDevice::busReset()
{
    m_ahead = 0;
    forgetStreams();
    // Behind one that waits there is nothing but streams, for the guest's requests wait for it.
    if (!std::exchange(m_isFresh, true) && !m_resetWaits.exchange(true))
        doWork(nullptr, [this] { return resetPort(); });
}

// What takes its time

int HostUsbDevice::applyStreams()
{
    m_streamsChange = false;
    for (unsigned index = 0; index < m_streams.size(); ++index) {
        auto const wanted = m_wantedStreams[index].load();
        if (m_streams[index] == wanted)
            continue;
        std::array<unsigned char, 1> endpoint { usb::endpointOf(index) };
        int code = LIBUSB_SUCCESS;
        // Whoever has some gets no others (Linux, drivers/usb/core/hcd.c, usb_alloc_streams()): they go first.
        if (m_streams[index] != 0)
            code = libusb_free_streams(m_handle.get(), endpoint.data(), 1);
        if (code >= 0 && wanted != 0)
            code = libusb_alloc_streams(m_handle.get(), wanted, endpoint.data(), 1);
        m_streams[index] = code < 0 ? 0 : wanted;
        // The guest asks as often as it likes.
        if (code < 0 && !std::exchange(m_streamsFailed, true))
            log(LogLevel::Warning, "usb", "{}", hostUsbError("streams of " + m_info.port, code).detail);
    }
    return LIBUSB_SUCCESS;
}

int HostUsbDevice::resetPort()
{
    m_resetWaits = false;
    auto const code = libusb_reset_device(m_handle.get());
    m_streams.fill(0); // the kernel has freed them
    if (code == LIBUSB_SUCCESS)
        return applyStreams(); // those that were wanted since
    if (code != LIBUSB_ERROR_NOT_FOUND)
        return code;
    noteGone("it has come back from its reset as another device");
    return LIBUSB_ERROR_NO_DEVICE;
}

int HostUsbDevice::setConfiguration(int value)
{
    int present = 0;
    if (auto const code = libusb_get_configuration(m_handle.get(), &present); code != LIBUSB_SUCCESS)
        return code;
    if (present != value) {
        releaseInterfaces();
        if (auto const code = libusb_set_configuration(m_handle.get(), value == 0 ? -1 : value); code != LIBUSB_SUCCESS)
            return code;
    }
    return claimInterfaces();
}

/// The kernel frees an interface's streams with its setting.
int HostUsbDevice::setInterface(int number, int setting)
{
    auto const code = libusb_set_interface_alt_setting(m_handle.get(), number, setting);
    libusb_config_descriptor* configuration = nullptr;
    if (code != LIBUSB_SUCCESS
        || libusb_get_active_config_descriptor(libusb_get_device(m_handle.get()), &configuration) != LIBUSB_SUCCESS)
        return code;
    eachEndpoint(*configuration, [&](auto const& of, libusb_endpoint_descriptor const& endpoint) {
        if (of.bInterfaceNumber == number)
            m_streams[usb::indexOf(endpoint.bEndpointAddress)] = 0;
    });
    libusb_free_config_descriptor(configuration);
    return applyStreams();
}

/// All of the active configuration, each in its first setting.
int HostUsbDevice::claimInterfaces()
{
    libusb_config_descriptor* configuration = nullptr;
    auto code = libusb_get_active_config_descriptor(libusb_get_device(m_handle.get()), &configuration);
    if (code == LIBUSB_ERROR_NOT_FOUND)
        return LIBUSB_SUCCESS; // it has none now
    if (code != LIBUSB_SUCCESS)
        return code;
    m_mayStream = streamEndpointsOf(*configuration);
    notePacketSizes(*configuration);
    for (unsigned i = 0; code == LIBUSB_SUCCESS && i < configuration->bNumInterfaces; ++i) {
        auto const& interface = configuration->interface[i];
        if (interface.num_altsetting == 0)
            continue;
        int const number = interface.altsetting[0].bInterfaceNumber;
        if (std::find(m_claimed.begin(), m_claimed.end(), number) == m_claimed.end()) {
            bool const isKnown = std::find(m_detached.begin(), m_detached.end(), number) != m_detached.end();
            if (libusb_detach_kernel_driver(m_handle.get(), number) == LIBUSB_SUCCESS && !isKnown)
                m_detached.push_back(number);
            code = libusb_claim_interface(m_handle.get(), number);
            if (code == LIBUSB_SUCCESS)
                m_claimed.push_back(number);
        }
        if (code == LIBUSB_SUCCESS && interface.num_altsetting > 1)
            code = setInterface(number, 0);
    }
    libusb_free_config_descriptor(configuration);
    return code;
}

/// The first of each endpoint's, where its settings differ; 0: there is no such endpoint.
void HostUsbDevice::notePacketSizes(libusb_config_descriptor const& configuration)
{
    std::array<std::uint16_t, 32> sizes {};
    eachEndpoint(configuration, [&](auto const&, libusb_endpoint_descriptor const& endpoint) {
        auto& size = sizes[usb::indexOf(endpoint.bEndpointAddress)];
        if (size == 0)
            size = endpoint.wMaxPacketSize;
    });
    std::copy(sizes.begin(), sizes.end(), m_packetSizes.begin());
}

void HostUsbDevice::releaseInterfaces()
{
    for (auto const interface : m_claimed)
        libusb_release_interface(m_handle.get(), interface);
    m_claimed.clear();
}

bool HostUsbDevice::isTaken() const
{
    return std::ranges::any_of(
        m_claimed, [this](int interface) { return libusb_kernel_driver_active(m_handle.get(), interface) == 1; });
}

// State

Section HostUsbDevice::save() const
{
    return state::save(State { m_info.vendor, m_info.product, m_info.serial, m_info.port });
}

Result<> HostUsbDevice::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    return (void)saved, Result<>();
}

}
