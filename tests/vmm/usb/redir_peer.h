#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/unique_fd.h"

#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <functional>
#include <string>
#include <sys/socket.h>
#include <usbredirparser.h>

namespace tests {

/// The other end of a redirection, which does what a test has it do: libusbredirparser makes its packets, and tells of
/// those that come.
class RedirPeer {
public:
    static constexpr std::uint32_t allCapabilities = 0x7f; ///< but for bulk receiving

    explicit RedirPeer(std::uint32_t capabilities = allCapabilities) : parser(usbredirparser_create())
    {
        std::array<int, 2> ends {};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
            std::abort();
        m_socket.reset(ends[0]);
        theirs.reset(ends[1]);
        begin(capabilities);
    }
    /// Over a connection, non-blocking, of which `theirs` is elsewhere.
    explicit RedirPeer(vmm::UniqueFd socket) : parser(usbredirparser_create()), m_socket(std::move(socket))
    {
        begin(allCapabilities);
    }
    ~RedirPeer() { usbredirparser_destroy(parser); }
    RedirPeer(RedirPeer const&) = delete;
    RedirPeer& operator=(RedirPeer const&) = delete;

    /// Reads what has come, and writes what there is to write.
    void pump()
    {
        usbredirparser_do_read(parser);
        usbredirparser_do_write(parser);
    }
    /// Whatever it is.
    void sendRaw(vmm::Bytes const& bytes) { (void)::send(m_socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    void close() { m_socket.reset(); }
    /// All that was heard since, in short: "bulk 02 512", "reset" …
    std::string heard() { return fmt::format("{}", fmt::join(std::exchange(m_heard, {}), ", ")); }

    struct Endpoints {
        std::array<std::uint8_t, 32> type {}, interval {}, interface {
        };
        std::array<std::uint16_t, 32> maxPacket {};
        std::array<std::uint32_t, 32> maxStreams {};
    } endpoints;
    void addEndpoint(std::uint8_t address, std::uint8_t type, std::uint16_t maxPacket, std::uint8_t interval = 1)
    {
        auto const index = static_cast<std::size_t>((address & 0xf) | (address & 0x80) >> 3);
        endpoints.type[index] = type;
        endpoints.maxPacket[index] = maxPacket;
        endpoints.interval[index] = interval;
        endpoints.maxStreams[index] = type == usb_redir_type_bulk ? 16 : 0;
    }
    void sendEndpoints()
    {
        usb_redir_ep_info_header info {};
        std::copy(endpoints.type.begin(), endpoints.type.end(), info.type);
        std::copy(endpoints.interval.begin(), endpoints.interval.end(), info.interval);
        std::copy(endpoints.interface.begin(), endpoints.interface.end(), info.interface);
        for (std::size_t i = 0; i < 32; ++i) {
            info.max_packet_size[i] = endpoints.maxPacket[i];
            info.max_streams[i] = endpoints.maxStreams[i];
        }
        usbredirparser_send_ep_info(parser, &info);
    }
    void offer(std::uint8_t speed = usb_redir_speed_high, std::uint8_t deviceClass = 0)
    {
        sendEndpoints();
        usb_redir_interface_info_header interfaces {};
        interfaces.interface_count = 1;
        usbredirparser_send_interface_info(parser, &interfaces);
        usb_redir_device_connect_header device { speed, deviceClass, 0, 0, 0x1209, 0x0001, 0x0100 };
        usbredirparser_send_device_connect(parser, &device);
        pump();
    }

    // Answers to what came last, unless another id is said.

    void control(vmm::Bytes data, std::uint8_t status = usb_redir_success)
    {
        auto header = lastControl;
        header.status = status;
        header.length = static_cast<std::uint16_t>(data.size());
        usbredirparser_send_control_packet(parser, lastId, &header, data.data(), static_cast<int>(data.size()));
        pump();
    }
    /// To a control transfer that goes out.
    void controlTaken(std::uint16_t length, std::uint8_t status = usb_redir_success)
    {
        auto header = lastControl;
        header.status = status;
        header.length = length;
        usbredirparser_send_control_packet(parser, lastId, &header, nullptr, 0);
        pump();
    }
    void bulk(std::uint64_t id, std::uint8_t endpoint, vmm::Bytes data, std::uint8_t status = usb_redir_success,
        std::uint32_t stream = 0)
    {
        usb_redir_bulk_packet_header header { endpoint, status, static_cast<std::uint16_t>(data.size()), stream,
            static_cast<std::uint16_t>(data.size() >> 16) };
        usbredirparser_send_bulk_packet(
            parser, id, &header, data.empty() ? nullptr : data.data(), static_cast<int>(data.size()));
        pump();
    }
    void bulkTaken(std::uint64_t id, std::uint8_t endpoint, std::uint32_t length,
        std::uint8_t status = usb_redir_success, std::uint32_t stream = 0)
    {
        usb_redir_bulk_packet_header header { endpoint, status, static_cast<std::uint16_t>(length), stream,
            static_cast<std::uint16_t>(length >> 16) };
        usbredirparser_send_bulk_packet(parser, id, &header, nullptr, 0);
        pump();
    }
    void interrupt(std::uint8_t endpoint, vmm::Bytes data, std::uint8_t status = usb_redir_success)
    {
        usb_redir_interrupt_packet_header header { endpoint, status, static_cast<std::uint16_t>(data.size()) };
        usbredirparser_send_interrupt_packet(
            parser, 0, &header, data.empty() ? nullptr : data.data(), static_cast<int>(data.size()));
        pump();
    }
    void isochronous(std::uint8_t endpoint, vmm::Bytes data, std::uint8_t status = usb_redir_success)
    {
        usb_redir_iso_packet_header header { endpoint, status, static_cast<std::uint16_t>(data.size()) };
        usbredirparser_send_iso_packet(
            parser, 0, &header, data.empty() ? nullptr : data.data(), static_cast<int>(data.size()));
        pump();
    }
    void streamStatus(std::uint8_t endpoint, std::uint8_t type, std::uint8_t status)
    {
        if (type == usb_redir_type_iso) {
            usb_redir_iso_stream_status_header header { status, endpoint };
            usbredirparser_send_iso_stream_status(parser, 0, &header);
        } else {
            usb_redir_interrupt_receiving_status_header header { status, endpoint };
            usbredirparser_send_interrupt_receiving_status(parser, 0, &header);
        }
        pump();
    }
    void configured(std::uint8_t value, std::uint8_t status = usb_redir_success)
    {
        usb_redir_configuration_status_header header { status, value };
        usbredirparser_send_configuration_status(parser, lastId, &header);
        pump();
    }
    void setting(std::uint8_t interface, std::uint8_t alternate, std::uint8_t status = usb_redir_success)
    {
        usb_redir_alt_setting_status_header header { status, interface, alternate };
        usbredirparser_send_alt_setting_status(parser, lastId, &header);
        pump();
    }

    usbredirparser* parser;
    vmm::UniqueFd theirs; ///< for the device
    std::uint64_t lastId = 0;
    std::vector<std::uint64_t> ids;     ///< of all data packets
    std::vector<std::uint32_t> streams; ///< of the same
    usb_redir_control_packet_header lastControl {};
    vmm::Bytes lastData;

private:
    void begin(std::uint32_t capabilities)
    {
        parser->priv = this;
        parser->log_func = [](void*, int, char const*) {};
        parser->read_func = [](void* self, std::uint8_t* data, int count) {
            auto const got = ::recv(its(self).m_socket.get(), data, static_cast<std::size_t>(count), 0);
            return got < 0 ? 0 : got == 0 ? -1 : static_cast<int>(got);
        };
        parser->write_func = [](void* self, std::uint8_t* data, int count) {
            auto const put = ::send(its(self).m_socket.get(), data, static_cast<std::size_t>(count), MSG_NOSIGNAL);
            return put < 0 ? 0 : static_cast<int>(put);
        };
        hear();
        usbredirparser_init(parser, "a test", &capabilities, 1, usbredirparser_fl_usb_host);
        endpoints.type.fill(usb_redir_type_invalid);
        endpoints.type[0] = endpoints.type[16] = usb_redir_type_control;
    }
    static RedirPeer& its(void* self) { return *static_cast<RedirPeer*>(self); }
    void note(std::string what) { m_heard.push_back(std::move(what)); }
    void noteData(std::uint64_t id, std::uint8_t* data, int size, std::uint32_t stream = 0)
    {
        lastId = id;
        ids.push_back(id);
        streams.push_back(stream);
        lastData.assign(data, data + size);
        usbredirparser_free_packet_data(parser, data);
    }
    void hear()
    {
        parser->hello_func = [](void* self, usb_redir_hello_header* hello) {
            its(self).note(fmt::format("hello {}", std::string(hello->version).substr(0, 11)));
        };
        parser->reset_func = [](void* self) { its(self).note("reset"); };
        parser->set_configuration_func = [](void* self, std::uint64_t id, usb_redir_set_configuration_header* set) {
            its(self).lastId = id;
            its(self).note(fmt::format("set-configuration {}", set->configuration));
        };
        parser->get_configuration_func = [](void* self, std::uint64_t id) {
            its(self).lastId = id;
            its(self).note("get-configuration");
        };
        parser->set_alt_setting_func = [](void* self, std::uint64_t id, usb_redir_set_alt_setting_header* set) {
            its(self).lastId = id;
            its(self).note(fmt::format("set-setting {} {}", set->interface, set->alt));
        };
        parser->get_alt_setting_func = [](void* self, std::uint64_t id, usb_redir_get_alt_setting_header* get) {
            its(self).lastId = id;
            its(self).note(fmt::format("get-setting {}", get->interface));
        };
        parser->start_iso_stream_func = [](void* self, std::uint64_t, usb_redir_start_iso_stream_header* start) {
            its(self).note(fmt::format("start-iso {:02x} {}x{}", start->endpoint, start->no_urbs, start->pkts_per_urb));
        };
        parser->stop_iso_stream_func = [](void* self, std::uint64_t, usb_redir_stop_iso_stream_header* stop) {
            its(self).note(fmt::format("stop-iso {:02x}", stop->endpoint));
        };
        parser->start_interrupt_receiving_func
            = [](void* self, std::uint64_t, usb_redir_start_interrupt_receiving_header* start) {
                  its(self).note(fmt::format("start-interrupt {:02x}", start->endpoint));
              };
        parser->stop_interrupt_receiving_func
            = [](void* self, std::uint64_t, usb_redir_stop_interrupt_receiving_header* stop) {
                  its(self).note(fmt::format("stop-interrupt {:02x}", stop->endpoint));
              };
        parser->alloc_bulk_streams_func = [](void* self, std::uint64_t, usb_redir_alloc_bulk_streams_header* alloc) {
            its(self).note(fmt::format("streams {:x} {}", unsigned(alloc->endpoints), unsigned(alloc->no_streams)));
        };
        parser->free_bulk_streams_func = [](void* self, std::uint64_t, usb_redir_free_bulk_streams_header* freed) {
            its(self).note(fmt::format("no-streams {:x}", unsigned(freed->endpoints)));
        };
        parser->cancel_data_packet_func
            = [](void* self, std::uint64_t id) { its(self).note(fmt::format("cancel {}", id)); };
        parser->filter_reject_func = [](void* self) { its(self).note("reject"); };
        parser->device_disconnect_ack_func = [](void* self) { its(self).note("disconnect-ack"); };
        parser->control_packet_func
            = [](void* self, std::uint64_t id, usb_redir_control_packet_header* header, std::uint8_t* data, int size) {
                  its(self).lastControl = *header;
                  its(self).note(fmt::format(
                      "control {:02x} {:02x} {}", header->requesttype, header->request, unsigned(header->length)));
                  its(self).noteData(id, data, size);
              };
        parser->bulk_packet_func = [](void* self, std::uint64_t id, usb_redir_bulk_packet_header* header,
                                       std::uint8_t* data, int size) {
            auto const stream = header->stream_id == 0 ? "" : fmt::format(" stream {}", unsigned(header->stream_id));
            its(self).note(
                fmt::format("bulk {:02x} {}{}", header->endpoint, header->length_high << 16 | header->length, stream));
            its(self).noteData(id, data, size, header->stream_id);
        };
        parser->interrupt_packet_func = [](void* self, std::uint64_t id, usb_redir_interrupt_packet_header* header,
                                            std::uint8_t* data, int size) {
            its(self).note(fmt::format("interrupt {:02x} {}", header->endpoint, unsigned(header->length)));
            its(self).noteData(id, data, size);
        };
        parser->iso_packet_func
            = [](void* self, std::uint64_t id, usb_redir_iso_packet_header* header, std::uint8_t* data, int size) {
                  its(self).note(fmt::format("iso {:02x} {}", header->endpoint, unsigned(header->length)));
                  its(self).noteData(id, data, size);
              };
    }

    vmm::UniqueFd m_socket;
    std::vector<std::string> m_heard;
};

}
