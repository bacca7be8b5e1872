#pragma once

#include "vmm/usb/usb_redir_device.h"
#include "vmm/usb/usb_requests.h"

#include <algorithm>
#include <usbredirfilter.h>
#include <usbredirparser.h>

// What the source files of a redirected device share.

namespace vmm {

namespace redir {

/// Of one packet: the other side's usbfs has 16 MiB for all that is in flight, and 16 of these are of one endpoint.
constexpr std::uint32_t mostOfBulk = 256u << 10;
/// Where the length has 16 bits; whole packets of any size that there is.
constexpr std::uint32_t mostOfShort = 60u << 10;
/// Bytes that are on their way there; what is asked beyond that waits.
constexpr std::size_t mostUnsent = 4u << 20;
/// With resets and all else that does not wait.
constexpr std::size_t mostUnsentEver = 5u << 20;

}

class UsbRedirDevice::Data {
public:
    Data(usbredirparser* parser, std::uint8_t* data, int size) : m_parser(parser), m_data(data), m_size(size) { }
    ~Data() { usbredirparser_free_packet_data(m_parser, m_data); }
    Data(Data const&) = delete;
    Data& operator=(Data const&) = delete;
    ConstByteSpan bytes() const { return { m_data, static_cast<std::size_t>(m_data ? m_size : 0) }; }

private:
    usbredirparser* m_parser;
    std::uint8_t* m_data;
    int m_size;
};

/// The parser's callbacks, each of which gets the device as its first argument.
struct UsbRedirDevice::Calls {
    static void setAll(usbredirparser& parser);
};

}
