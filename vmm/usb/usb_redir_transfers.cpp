#include "vmm/usb/usb_redir_private.h"

// What the guest asks for. Called with the lock of the bus held.

namespace vmm {

namespace {

bool isStream(UsbTransfer const& transfer)
{
    return transfer.kind == UsbTransfer::Kind::Isochronous
        || (transfer.kind == UsbTransfer::Kind::Interrupt && transfer.isIn());
}

std::uint8_t typeOf(UsbTransfer::Kind kind)
{
    switch (kind) {
    case UsbTransfer::Kind::Control: return usb_redir_type_control;
    case UsbTransfer::Kind::Bulk: return usb_redir_type_bulk;
    case UsbTransfer::Kind::Interrupt: return usb_redir_type_interrupt;
    case UsbTransfer::Kind::Isochronous: return usb_redir_type_iso;
    }
    return usb_redir_type_invalid;
}

}

void UsbRedirDevice::submit(UsbTransfer& transfer)
{
    transfer.deviceData = nullptr;
    bool const isControl = transfer.kind == UsbTransfer::Kind::Control;
    if (m_isGone || (!isControl && m_endpoints[usb::indexOf(transfer.endpoint)].type != typeOf(transfer.kind)))
        return complete(transfer, UsbStatus::TransactionError);
    if (isStream(transfer))
        return stream(transfer);
    auto& pipe = pipeOf(transfer);
    pipe.waiting.push_back({ &transfer });
    serve(pipe);
}

UsbRedirDevice::Pipe& UsbRedirDevice::pipeOf(UsbTransfer const& transfer)
{
    auto const endpoint = transfer.kind == UsbTransfer::Kind::Control ? 0u : transfer.endpoint;
    return m_pipes[endpoint | std::uint32_t(transfer.stream) << 8];
}

void UsbRedirDevice::serve(Pipe& pipe)
{
    while (!pipe.unfinished && !pipe.waiting.empty() && m_unsent < redir::mostUnsent) {
        auto const [transfer, done] = pipe.waiting.front();
        pipe.waiting.pop_front();
        begin(*transfer, done);
    }
}

void UsbRedirDevice::serveAll()
{
    for (auto& [key, pipe] : m_pipes)
        serve(pipe);
}

void UsbRedirDevice::begin(UsbTransfer& transfer, std::uint64_t done)
{
    if (m_isGone)
        return complete(transfer, UsbStatus::TransactionError);
    if (transfer.kind == UsbTransfer::Kind::Control)
        return control(transfer);
    auto const what = transfer.kind == UsbTransfer::Kind::Bulk ? Asked::Bulk : Asked::Interrupt;
    auto& flight = ask(what, transfer.endpoint, &transfer);
    flight.done = done;
    sendPart(flight);
}

UsbRedirDevice::Flight& UsbRedirDevice::ask(Asked what, std::uint8_t endpoint, UsbTransfer* transfer)
{
    auto const mask = peerHas(usb_redir_cap_64bits_ids) ? ~std::uint64_t(0) : 0xffffffff;
    do
        m_lastId = (m_lastId + 1) & mask;
    while (m_lastId == 0 || m_flights.contains(m_lastId));
    auto& flight = m_flights[m_lastId] = { .id = m_lastId, .what = what, .endpoint = endpoint, .transfer = transfer };
    if (transfer) {
        flight.stream = transfer->stream;
        transfer->deviceData = &flight;
    } else {
        flight.cancelled = ++m_cancels; // nobody else waits for the answer
    }
    return flight;
}

void UsbRedirDevice::control(UsbTransfer& transfer)
{
    auto const length = usb::controlLength(transfer);
    if (usb::requestOf(transfer) == usb::setAddress) // the other side's kernel has given it one
        return complete(transfer, UsbStatus::Success);
    if (configure(transfer))
        return;
    if (!transfer.isIn() && length != transfer.length)
        return complete(transfer, UsbStatus::TransactionError);
    auto& flight = ask(Asked::Control, transfer.endpoint & 0x80, &transfer);
    flight.part = length;
    usb_redir_control_packet_header header {};
    header.endpoint = flight.endpoint;
    header.requesttype = transfer.setup[0];
    header.request = transfer.setup[1];
    header.value = transfer.value();
    header.index = transfer.index();
    header.length = length;
    Bytes data(transfer.isIn() ? 0 : length);
    (void)transfer.copyOut(data);
    usbredirparser_send_control_packet(
        m_parser, flight.id, &header, data.empty() ? nullptr : data.data(), static_cast<int>(data.size()));
    send();
}

/// Requests that have packets of their own; whether this is one.
bool UsbRedirDevice::configure(UsbTransfer& transfer)
{
    auto const value = static_cast<std::uint8_t>(transfer.value()),
               interface = static_cast<std::uint8_t>(transfer.index());
    auto const setSetting = [this](UsbTransfer* of, std::uint8_t number, std::uint8_t setting) {
        usb_redir_set_alt_setting_header header { number, setting };
        usbredirparser_send_set_alt_setting(m_parser, ask(Asked::SetSetting, number, of).id, &header);
    };
    switch (usb::requestOf(transfer)) {
    case usb::setConfiguration: {
        stopAll();
        // To the other side it may be no change, and then what the guest had set before would stay.
        for (auto const& [number, setting] : m_settings)
            setSetting(nullptr, number, 0);
        usb_redir_set_configuration_header header { value };
        usbredirparser_send_set_configuration(m_parser, ask(Asked::SetConfiguration, 0, &transfer).id, &header);
        break;
    }
    case usb::getConfiguration:
        usbredirparser_send_get_configuration(m_parser, ask(Asked::Configuration, 0, &transfer).id);
        break;
    case usb::setInterface:
        for (unsigned index = 0; index < m_endpoints.size(); ++index) {
            if (m_endpoints[index].interface == interface)
                stop(index);
        }
        setSetting(&transfer, interface, value);
        break;
    case usb::getInterface: {
        usb_redir_get_alt_setting_header header { interface };
        usbredirparser_send_get_alt_setting(m_parser, ask(Asked::Setting, interface, &transfer).id, &header);
        break;
    }
    default: return false;
    }
    send();
    return true;
}

std::uint32_t UsbRedirDevice::mostOfPart(UsbTransfer const& transfer) const
{
    bool const isLong = transfer.kind == UsbTransfer::Kind::Bulk && peerHas(usb_redir_cap_32bits_bulk_length);
    return isLong ? redir::mostOfBulk : redir::mostOfShort;
}

void UsbRedirDevice::sendPart(Flight& flight)
{
    auto& transfer = *flight.transfer;
    flight.part
        = static_cast<std::uint32_t>(std::min<std::uint64_t>(transfer.length - flight.done, mostOfPart(transfer)));
    bool const isLast = flight.done + flight.part == transfer.length;
    pipeOf(transfer).unfinished = isLast ? nullptr : &transfer;
    Bytes data(transfer.isIn() ? 0 : flight.part);
    (void)transfer.copyOut(data, flight.done);
    auto* const bytes = data.empty() ? nullptr : data.data();
    auto const size = static_cast<int>(data.size());
    if (flight.what == Asked::Bulk) {
        usb_redir_bulk_packet_header header {};
        header.endpoint = transfer.endpoint;
        header.length = static_cast<std::uint16_t>(flight.part);
        header.length_high = static_cast<std::uint16_t>(flight.part >> 16);
        header.stream_id = transfer.stream;
        usbredirparser_send_bulk_packet(m_parser, flight.id, &header, bytes, size);
    } else {
        usb_redir_interrupt_packet_header header { transfer.endpoint, 0, static_cast<std::uint16_t>(flight.part) };
        usbredirparser_send_interrupt_packet(m_parser, flight.id, &header, bytes, size);
    }
    send();
}

void UsbRedirDevice::cancel(UsbTransfer& transfer)
{
    if (isStream(transfer)) {
        auto& readers = m_endpoints[usb::indexOf(transfer.endpoint)].readers;
        auto const found = std::find_if(
            readers.begin(), readers.end(), [&](Partial const& reader) { return reader.transfer == &transfer; });
        if (found == readers.end())
            return;
        auto const done = found->done;
        readers.erase(found);
        return complete(transfer, UsbStatus::Cancelled, done);
    }
    auto& waiting = pipeOf(transfer).waiting;
    if (auto const found = std::ranges::find(waiting, &transfer, &Partial::transfer); found != waiting.end()) {
        auto const done = found->done;
        waiting.erase(found);
        return complete(transfer, UsbStatus::Cancelled, done);
    }
    auto* const flight = static_cast<Flight*>(transfer.deviceData);
    if (!flight || flight->cancelled != 0)
        return;
    flight->cancelled = ++m_cancels;
    bool const hasPackets
        = flight->what == Asked::Control || flight->what == Asked::Bulk || flight->what == Asked::Interrupt;
    if (hasPackets) // the others are answered anyway
        usbredirparser_send_cancel_data_packet(m_parser, flight->id);
    send();
    wake(); // the time of the answer is measured
}

void UsbRedirDevice::busReset()
{
    if (m_isGone)
        return;
    stopAll();
    usbredirparser_send_reset(m_parser);
    send();
}

void UsbRedirDevice::resetEndpoint(std::uint8_t endpoint)
{
    if (!m_isGone)
        stop(usb::indexOf(endpoint));
}

bool UsbRedirDevice::setStreams(std::uint8_t endpoint, unsigned count)
{
    auto const index = usb::indexOf(endpoint);
    auto& its = m_endpoints[index];
    if (count != 0 && (m_isGone || its.type != usb_redir_type_bulk || count > its.maxStreams))
        return false;
    if (m_isGone || std::exchange(its.streams, count) == count)
        return true;
    if (count == 0) {
        usb_redir_free_bulk_streams_header header { 1u << index };
        usbredirparser_send_free_bulk_streams(m_parser, 0, &header);
    } else {
        usb_redir_alloc_bulk_streams_header header { 1u << index, count };
        usbredirparser_send_alloc_bulk_streams(m_parser, 0, &header);
    }
    send();
    return true;
}

// What comes by itself, and isochronous data

void UsbRedirDevice::stream(UsbTransfer& transfer)
{
    auto const index = usb::indexOf(transfer.endpoint);
    auto& endpoint = m_endpoints[index];
    if (!transfer.isIn())
        return sendIsochronous(transfer, endpoint);
    endpoint.readers.push_back({ &transfer, 0 });
    if (endpoint.type == usb_redir_type_iso && !std::exchange(m_watchesReaders, true))
        wake();
    deliver(index);
}

/// The other side says nothing of single packets, and has some in hand.
void UsbRedirDevice::sendIsochronous(UsbTransfer& transfer, Endpoint& endpoint)
{
    if (auto const error = std::exchange(endpoint.error, UsbStatus::Success); error != UsbStatus::Success)
        return complete(transfer, error);
    if (endpoint.stream == Stream::Off)
        start(usb::indexOf(transfer.endpoint));
    if (transfer.length > redir::mostOfShort)
        return complete(transfer, UsbStatus::TransactionError);
    if (m_unsent < redir::mostUnsent) { // else it would come too late
        Bytes data(transfer.length);
        (void)transfer.copyOut(data);
        usb_redir_iso_packet_header header { transfer.endpoint, 0, static_cast<std::uint16_t>(data.size()) };
        usbredirparser_send_iso_packet(
            m_parser, 0, &header, data.empty() ? nullptr : data.data(), static_cast<int>(data.size()));
        send();
    }
    complete(transfer, UsbStatus::Success, transfer.length);
}

void UsbRedirDevice::deliver(unsigned index)
{
    auto& endpoint = m_endpoints[index];
    while (!endpoint.readers.empty()) {
        if (!endpoint.packets.empty())
            fill(endpoint);
        else if (endpoint.error != UsbStatus::Success)
            endReader(endpoint, std::exchange(endpoint.error, UsbStatus::Success));
        else
            break;
    }
    bool const isStream = endpoint.type == usb_redir_type_iso || endpoint.type == usb_redir_type_interrupt;
    if (isStream && !endpoint.readers.empty() && endpoint.stream != Stream::On && !m_isGone)
        start(index);
}

void UsbRedirDevice::deliverAll()
{
    for (unsigned index = 0; index < m_endpoints.size(); ++index) {
        if (!m_endpoints[index].readers.empty())
            deliver(index);
    }
}

/// The first packet goes into the first transfer.
void UsbRedirDevice::fill(Endpoint& endpoint)
{
    auto const packet = std::move(endpoint.packets.front());
    endpoint.packets.pop_front();
    endpoint.bytes -= packet.data.size();
    auto& reader = endpoint.readers.front();
    auto const count = reader.transfer->copyIn(packet.data, reader.done);
    reader.done += count;
    if (packet.status != UsbStatus::Success)
        return endReader(endpoint, packet.status);
    if (count < packet.data.size())
        return endReader(endpoint, UsbStatus::Babble);
    // Packets that are full are followed by more of the same transfer, but for isochronous ones.
    bool const goesOn = endpoint.type == usb_redir_type_interrupt && endpoint.maxPacket != 0
        && packet.data.size() == endpoint.maxPacket && reader.done < reader.transfer->length;
    if (!goesOn)
        endReader(endpoint, UsbStatus::Success);
}

void UsbRedirDevice::endReader(Endpoint& endpoint, UsbStatus status)
{
    auto const reader = endpoint.readers.front();
    endpoint.readers.pop_front();
    ++endpoint.ended;
    complete(*reader.transfer, status, reader.done);
}

void UsbRedirDevice::start(unsigned index)
{
    constexpr unsigned patience = 60; // ms that the network may take
    auto& endpoint = m_endpoints[index];
    auto const address = usb::endpointOf(index);
    endpoint.stream = Stream::On;
    if (endpoint.type == usb_redir_type_interrupt) {
        endpoint.mostPackets = 1024;
        usb_redir_start_interrupt_receiving_header header { address };
        usbredirparser_send_start_interrupt_receiving(m_parser, 0, &header);
        return send();
    }
    auto const perSecond = std::max(1u, (m_info.speed < UsbSpeed::High ? 1000u : 8000u) / endpoint.interval);
    auto const wanted = std::max(1u, perSecond * patience / 1000);
    auto const together = std::clamp(perSecond / 100, 1u, 32u); // about a hundred times a second
    auto const requests = (wanted + together - 1) / together * ((address & 0x80) != 0 ? 1 : 2);
    endpoint.mostPackets = 2 * wanted + 2 * together;
    endpoint.endedWhenFull = endpoint.ended;
    usb_redir_start_iso_stream_header header { address, static_cast<std::uint8_t>(together),
        static_cast<std::uint8_t>(std::clamp(requests, 2u, 16u)) };
    usbredirparser_send_start_iso_stream(m_parser, 0, &header);
    send();
}

/// What the device has to say waits in the device.
void UsbRedirDevice::hold(unsigned index)
{
    auto& endpoint = m_endpoints[index];
    if (endpoint.stream != Stream::On)
        return;
    endpoint.stream = Stream::Held;
    usb_redir_stop_interrupt_receiving_header header { usb::endpointOf(index) };
    usbredirparser_send_stop_interrupt_receiving(m_parser, 0, &header);
    send();
}

/// What has come is for nobody.
void UsbRedirDevice::stop(unsigned index)
{
    auto& endpoint = m_endpoints[index];
    endpoint.packets.clear();
    endpoint.bytes = 0;
    endpoint.error = UsbStatus::Success;
    if (endpoint.stream == Stream::On && endpoint.type == usb_redir_type_iso) {
        usb_redir_stop_iso_stream_header header { usb::endpointOf(index) };
        usbredirparser_send_stop_iso_stream(m_parser, 0, &header);
        send();
    } else if (endpoint.stream == Stream::On) {
        hold(index);
    }
    endpoint.stream = Stream::Off;
}

void UsbRedirDevice::stopAll()
{
    m_lead = 0;
    for (unsigned index = 0; index < m_endpoints.size() && !m_isGone; ++index) {
        stop(index);
        m_endpoints[index].streams = 0;
    }
}

}
