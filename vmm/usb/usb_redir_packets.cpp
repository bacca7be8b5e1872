#include "vmm/base/log.h"
#include "vmm/usb/usb_redir_private.h"

#include <cstring>
#include <fmt/format.h>

// What the other side says. Each number in it is somebody else's word.

namespace vmm {

namespace {

/// "Status code list": what is not in it is an error too.
UsbStatus statusOf(std::uint8_t status)
{
    switch (status) {
    case usb_redir_success: return UsbStatus::Success;
    case usb_redir_stall: return UsbStatus::Stall;
    case usb_redir_babble: return UsbStatus::Babble;
    default: return UsbStatus::TransactionError;
    }
}

std::string printable(char const* text, std::size_t most)
{
    std::string clean(text, ::strnlen(text, most));
    for (auto& c : clean) {
        if (c < ' ' || c > '~')
            c = '?';
    }
    return clean;
}

}

void UsbRedirDevice::lie(std::string what)
{
    if (!m_ending)
        m_ending = Error { ErrorCode::Corrupt, fmt::format("{} breaks the usbredir protocol: it {}", m_peer, what), 0 };
}

/// A packet is whole.
bool UsbRedirDevice::mayTake()
{
    m_begun = 0;
    if (!m_saidHello)
        lie("does not begin with a hello");
    return !m_ending;
}

void UsbRedirDevice::Calls::setAll(usbredirparser& parser)
{
    parser.log_func = [](void* self, int level, char const* text) {
        auto& its = *static_cast<UsbRedirDevice*>(self);
        auto const said = printable(text, 256);
        if (level == usbredirparser_error && its.m_takes)
            its.lie(fmt::format("sends what cannot be taken ({})", said));
        else
            log(LogLevel::Debug, "usb", "{}: {}", its.m_peer, said);
    };
    parser.hello_func = [](void* self, usb_redir_hello_header* hello) {
        auto& its = *static_cast<UsbRedirDevice*>(self);
        its.m_begun = 0;
        its.m_saidHello = true;
        its.m_info.program = printable(hello->version, sizeof hello->version);
    };
    parser.device_connect_func = [](void* self, usb_redir_device_connect_header* device) {
        auto& its = *static_cast<UsbRedirDevice*>(self);
        if (!its.mayTake())
            return;
        constexpr std::uint8_t hubClass = 9;
        if (its.m_isOffered)
            return its.lie("offers a second device");
        if (device->speed > usb_redir_speed_super && device->speed != usb_redir_speed_unknown)
            return its.lie(fmt::format("has a device of the speed {}", device->speed));
        its.m_info.speed = device->speed == usb_redir_speed_unknown ? UsbSpeed::Full : UsbSpeed(device->speed);
        its.m_info.vendor = device->vendor_id;
        its.m_info.product = device->product_id;
        its.m_info.deviceClass = device->device_class;
        if (device->device_class != hubClass) {
            its.m_isOffered = true;
            return;
        }
        its.m_ending = Error { ErrorCode::Unsupported,
            fmt::format("{} offers a hub; a hub's devices come one by one", its.m_peer), 0 };
        if (its.peerHas(usb_redir_cap_filter))
            usbredirparser_send_filter_reject(its.m_parser);
    };
    parser.device_disconnect_func = [](void* self) {
        auto& its = *static_cast<UsbRedirDevice*>(self);
        if (its.mayTake())
            its.m_ending = Error { ErrorCode::Disconnected, "the device was unplugged at " + its.m_peer, 0 };
    };
    parser.interface_info_func
        = [](void* self, usb_redir_interface_info_header*) { (void)static_cast<UsbRedirDevice*>(self)->mayTake(); };
    parser.ep_info_func = [](void* self, usb_redir_ep_info_header* info) {
        auto& its = *static_cast<UsbRedirDevice*>(self);
        if (!its.mayTake())
            return;
        for (unsigned index = 0; index < its.m_endpoints.size(); ++index) {
            auto const type = info->type[index];
            bool const isPeriodic = type == usb_redir_type_iso || type == usb_redir_type_interrupt;
            if (type > usb_redir_type_interrupt && type != usb_redir_type_invalid)
                return its.lie(fmt::format("has an endpoint {:02x} of the type {}", usb::endpointOf(index), type));
            if (isPeriodic && info->interval[index] == 0)
                return its.lie(fmt::format("has an endpoint {:02x} without an interval", usb::endpointOf(index)));
        }
        for (unsigned index = 0; index < its.m_endpoints.size(); ++index) {
            auto& endpoint = its.m_endpoints[index];
            if (endpoint.type != info->type[index])
                its.stop(index);
            endpoint.type = info->type[index];
            // USB 2.0, 9.6.6 "Endpoint": bInterval, which the other side passes on as it is.
            if (endpoint.type == usb_redir_type_iso)
                endpoint.interval = 1u << (std::min<unsigned>(info->interval[index], 16) - 1);
            endpoint.interface = info->interface[index];
            endpoint.maxPacket = its.peerHas(usb_redir_cap_ep_info_max_packet_size) ? info->max_packet_size[index] : 0;
            endpoint.maxStreams = its.peerHas(usb_redir_cap_bulk_streams) ? info->max_streams[index] : 0;
        }
    };
    parser.configuration_status_func = [](void* self, std::uint64_t id, usb_redir_configuration_status_header* status) {
        auto& its = *static_cast<UsbRedirDevice*>(self);
        auto const known = its.m_flights.find(id);
        bool const isSet = known != its.m_flights.end() && known->second.what == Asked::SetConfiguration;
        if (auto const flight = its.answerTo(id, isSet ? Asked::SetConfiguration : Asked::Configuration, 0))
            its.statusAnswer(*flight, status->status, status->configuration);
    };
    parser.alt_setting_status_func = [](void* self, std::uint64_t id, usb_redir_alt_setting_status_header* status) {
        auto& its = *static_cast<UsbRedirDevice*>(self);
        auto const known = its.m_flights.find(id);
        bool const isSet = known != its.m_flights.end() && known->second.what == Asked::SetSetting;
        auto const flight = its.answerTo(id, isSet ? Asked::SetSetting : Asked::Setting, status->interface);
        if (!flight)
            return;
        if (isSet && status->status == usb_redir_success && status->alt != 0)
            its.m_settings[status->interface] = status->alt;
        else if (isSet && status->status == usb_redir_success)
            its.m_settings.erase(status->interface);
        its.statusAnswer(*flight, status->status, status->alt);
    };
    parser.iso_stream_status_func = [](void* self, std::uint64_t, usb_redir_iso_stream_status_header* status) {
        static_cast<UsbRedirDevice*>(self)->streamStatus(status->endpoint, usb_redir_type_iso, status->status);
    };
    parser.interrupt_receiving_status_func = [](void* self, std::uint64_t,
                                                 usb_redir_interrupt_receiving_status_header* status) {
        static_cast<UsbRedirDevice*>(self)->streamStatus(status->endpoint, usb_redir_type_interrupt, status->status);
    };
    parser.bulk_streams_status_func = [](void* self, std::uint64_t, usb_redir_bulk_streams_status_header* status) {
        auto& its = *static_cast<UsbRedirDevice*>(self);
        if (its.mayTake() && status->status != usb_redir_success && status->no_streams != 0)
            its.m_ending = Error { ErrorCode::Unsupported,
                fmt::format("{} has no {} streams for the device", its.m_peer, unsigned(status->no_streams)), 0 };
    };
    parser.bulk_receiving_status_func = [](void* self, std::uint64_t, usb_redir_bulk_receiving_status_header*) {
        static_cast<UsbRedirDevice*>(self)->lie("receives bulk data without being asked to");
    };
    parser.filter_filter_func = [](void* self, usbredirfilter_rule* rules, int) {
        usbredirfilter_free(rules);
        (void)static_cast<UsbRedirDevice*>(self)->mayTake(); // what it would take itself is no matter of ours
    };
    parser.filter_reject_func
        = [](void* self) { static_cast<UsbRedirDevice*>(self)->lie("refuses a device, and it is its own"); };

    parser.control_packet_func
        = [](void* self, std::uint64_t id, usb_redir_control_packet_header* header, std::uint8_t* data, int size) {
              auto& its = *static_cast<UsbRedirDevice*>(self);
              its.dataAnswer(id, Asked::Control, header->endpoint, 0, header->status, header->length,
                  Data(its.m_parser, data, size));
          };
    parser.bulk_packet_func
        = [](void* self, std::uint64_t id, usb_redir_bulk_packet_header* header, std::uint8_t* data, int size) {
              auto& its = *static_cast<UsbRedirDevice*>(self);
              its.dataAnswer(id, Asked::Bulk, header->endpoint, header->stream_id, header->status,
                  std::uint32_t(header->length_high) << 16 | header->length, Data(its.m_parser, data, size));
          };
    parser.interrupt_packet_func
        = [](void* self, std::uint64_t id, usb_redir_interrupt_packet_header* header, std::uint8_t* data, int size) {
              auto& its = *static_cast<UsbRedirDevice*>(self);
              Data const owned(its.m_parser, data, size);
              if ((header->endpoint & 0x80) != 0)
                  its.packetCame(header->endpoint, usb_redir_type_interrupt, header->status, owned);
              else
                  its.dataAnswer(id, Asked::Interrupt, header->endpoint, 0, header->status, header->length, owned);
          };
    parser.iso_packet_func
        = [](void* self, std::uint64_t, usb_redir_iso_packet_header* header, std::uint8_t* data, int size) {
              auto& its = *static_cast<UsbRedirDevice*>(self);
              its.packetCame(header->endpoint, usb_redir_type_iso, header->status, Data(its.m_parser, data, size));
          };
    parser.buffered_bulk_packet_func
        = [](void* self, std::uint64_t, usb_redir_buffered_bulk_packet_header*, std::uint8_t* data, int size) {
              auto& its = *static_cast<UsbRedirDevice*>(self);
              Data const owned(its.m_parser, data, size);
              its.lie("sends buffered bulk data, which nobody has asked for");
          };
}

// Answers

/// What was asked, which is answered with that; nothing: the other side lies.
std::optional<UsbRedirDevice::Flight> UsbRedirDevice::answerTo(
    std::uint64_t id, Asked what, std::uint8_t endpoint, std::uint32_t stream)
{
    if (!mayTake())
        return {};
    auto const found = m_flights.find(id);
    if (found == m_flights.end()) {
        lie(fmt::format("answers what nobody has asked (id {})", id));
        return {};
    }
    auto const flight = found->second;
    if (flight.what != what || flight.endpoint != endpoint || flight.stream != stream) {
        lie(fmt::format("answers something else than was asked (id {}, endpoint {:02x})", id, endpoint));
        return {};
    }
    m_flights.erase(found);
    if (flight.transfer)
        flight.transfer->deviceData = nullptr;
    return flight;
}

void UsbRedirDevice::dataAnswer(std::uint64_t id, Asked what, std::uint8_t endpoint, std::uint32_t stream,
    std::uint8_t status, std::uint32_t length, Data const& data)
{
    auto const flight = answerTo(id, what, endpoint, stream);
    if (!flight)
        return;
    if (length > flight->part) {
        lie(fmt::format("answers with {} bytes where {} were asked for", length, flight->part));
        return landed(*flight, UsbStatus::TransactionError, 0);
    }
    auto& transfer = *flight->transfer;
    std::uint64_t count = length;
    if (what == Asked::Control && transfer.isIn()) {
        Bytes answer(data.bytes().begin(), data.bytes().end());
        usb::hideRemoteWakeup(transfer, answer);
        count = transfer.copyIn(answer, flight->done);
    } else if (transfer.isIn()) {
        count = transfer.copyIn(data.bytes(), flight->done);
    }
    auto outcome = statusOf(status);
    if (status == usb_redir_cancelled && flight->cancelled != 0)
        outcome = UsbStatus::Cancelled;
    else if (status == usb_redir_inval && what == Asked::Control)
        outcome = UsbStatus::Stall; // a request that nobody takes
    landed(*flight, outcome, count);
}

/// Of a request that has packets of its own.
void UsbRedirDevice::statusAnswer(Flight const& flight, std::uint8_t status, std::uint8_t value)
{
    if (flight.transfer) {
        auto const outcome = status == usb_redir_success ? UsbStatus::Success : UsbStatus::Stall;
        bool const tells = outcome == UsbStatus::Success && flight.transfer->isIn();
        complete(*flight.transfer, outcome, tells ? flight.transfer->copyIn(bytesOf(value)) : 0);
    }
    deliverAll();
}

/// A part of a transfer is done.
void UsbRedirDevice::landed(Flight const& flight, UsbStatus status, std::uint64_t count)
{
    auto& transfer = *flight.transfer;
    auto const done = flight.done + count;
    bool const goesOn = transfer.kind != UsbTransfer::Kind::Control && status == UsbStatus::Success
        && count == flight.part && done < transfer.length;
    auto& pipe = pipeOf(transfer);
    if (pipe.unfinished == &transfer)
        pipe.unfinished = nullptr;
    if (goesOn && flight.cancelled == 0 && !m_ending) {
        transfer.deviceData = nullptr;
        pipe.waiting.push_front({ &transfer, done });
        return serve(pipe);
    }
    complete(transfer, goesOn && flight.cancelled != 0 ? UsbStatus::Cancelled : status, done);
    serve(pipe);
}

// What comes by itself

void UsbRedirDevice::packetCame(std::uint8_t address, std::uint8_t type, std::uint8_t status, Data const& data)
{
    constexpr std::size_t mostBytes = 1u << 20, mostHeld = 32;
    constexpr unsigned mostBehind = 160, mostLead = 800; // microframes
    if (!mayTake())
        return;
    auto const index = usb::indexOf(address);
    auto& endpoint = m_endpoints[index];
    if (endpoint.type != type)
        return lie(fmt::format("sends data of the endpoint {:02x}, which is of another kind", address));
    if (endpoint.stream == Stream::Off)
        return; // it was on its way when it was to stop
    bool const isIsochronous = type == usb_redir_type_iso;
    auto const isFull = [&] { return endpoint.packets.size() >= endpoint.mostPackets || endpoint.bytes >= mostBytes; };
    if (isFull() && isIsochronous && endpoint.ended == endpoint.endedWhenFull)
        return stop(index); // nobody listens any more
    if (isFull() && !isIsochronous)
        return log(LogLevel::Debug, "usb", "{}: data of endpoint {:02x} are lost", m_peer, address);
    if (isFull()) {
        // The stream is interrupted anyway: the newest half stays.
        endpoint.endedWhenFull = endpoint.ended;
        for (auto rest = endpoint.packets.size() / 2 + 1; rest > 0; --rest) {
            endpoint.bytes -= endpoint.packets.front().data.size();
            endpoint.packets.pop_front();
        }
    }
    auto const bytes = data.bytes();
    endpoint.packets.push_back({ statusOf(status), { bytes.begin(), bytes.end() } });
    endpoint.bytes += bytes.size();
    if (!endpoint.readers.empty())
        return deliver(index);
    if (!isIsochronous && endpoint.packets.size() == mostHeld)
        return hold(index);
    // Where the device's clock is faster than the guest's, its transfers are wanted earlier.
    auto const interval = endpoint.interval * (m_info.speed < UsbSpeed::High ? 8 : 1);
    if (isIsochronous && endpoint.packets.size() * interval > mostBehind)
        m_lead = std::min(m_lead + interval, mostLead);
}

/// Of an endpoint that sends by itself, or takes isochronous data. Stall: it has stopped.
void UsbRedirDevice::streamStatus(std::uint8_t address, std::uint8_t type, std::uint8_t status)
{
    if (!mayTake())
        return;
    auto const index = usb::indexOf(address);
    auto& endpoint = m_endpoints[index];
    if (endpoint.type != type || endpoint.stream == Stream::Off || status == usb_redir_success)
        return;
    if (status == usb_redir_inval)
        return; // it had begun already
    if (status == usb_redir_stall)
        endpoint.stream = Stream::Off;
    endpoint.error = status == usb_redir_stall && type == usb_redir_type_interrupt ? UsbStatus::Stall
                                                                                   : UsbStatus::TransactionError;
    deliver(index);
}

}
