#include "tests/fakes/manual_loop.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/vmm/usb/usb_guest.h"
#include "vmm/usb/usb_redir_device.h"

#include <list>
#include <sys/socket.h>

namespace {

/// Bytes of a packet with ids of 64 bits.
vmm::Bytes packet(std::uint32_t type, std::uint64_t id, vmm::ConstByteSpan content)
{
    vmm::Bytes bytes(16);
    vmm::storeLittle<std::uint32_t>(vmm::ByteSpan(bytes).first(4), type);
    vmm::storeLittle<std::uint32_t>(vmm::ByteSpan(bytes).subspan(4, 4), static_cast<std::uint32_t>(content.size()));
    vmm::storeLittle<std::uint64_t>(vmm::ByteSpan(bytes).subspan(8, 8), id);
    bytes.insert(bytes.end(), content.begin(), content.end());
    return bytes;
}

/// What the device has asked for: control, bulk and interrupt data.
struct Question {
    std::uint32_t type;
    std::uint64_t id;
    vmm::Bytes header;
};

/// Reads what the device has sent.
void hear(int socket, vmm::Bytes& heard, std::vector<Question>& questions)
{
    vmm::Bytes room(1u << 16);
    auto const got = ::recv(socket, room.data(), room.size(), MSG_DONTWAIT);
    heard.insert(heard.end(), room.begin(), room.begin() + std::max<std::ptrdiff_t>(got, 0));
    for (vmm::ConstByteSpan rest(heard);; rest = heard) {
        auto const type = vmm::loadLittle<std::uint32_t>(rest);
        std::size_t const before = type == 0 ? 12 : 16; // the hello has a short id
        auto const size = before + (rest.size() < before ? 0 : vmm::loadLittle<std::uint32_t>(rest.subspan(4)));
        if (rest.size() < size)
            return;
        std::size_t const headerSize = type == 101 || type == 100 ? 10 : 4;
        if ((type == 100 || type == 101 || type == 103) && questions.size() < 64) {
            auto const header = rest.subspan(before, headerSize);
            questions.push_back(
                { type, vmm::loadLittle<std::uint64_t>(rest.subspan(8)), { header.begin(), header.end() } });
        }
        heard.erase(heard.begin(), heard.begin() + static_cast<std::ptrdiff_t>(size));
    }
}

}

/// Another computer that says anything: bytes, packets that are nearly right, answers to what was and was not asked,
/// silence, the end of the connection, while the guest submits, cancels and resets. Nothing stays in flight.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    using Kind = vmm::UsbTransfer::Kind;
    fuzz::Input input(data, size);
    std::array<int, 2> ends {};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
        return 0;
    vmm::UniqueFd peer(ends[0]);
    auto const say = [&](vmm::Bytes const& bytes) {
        if (peer)
            (void)::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    };
    tests::ManualLoop loop;
    tests::FakeUsbHost host;
    bool isOffered = false, isGone = false;
    vmm::UsbRedirDevice device(
        loop, vmm::UniqueFd(ends[1]), "peer", { [&] { isOffered = true; }, [&](vmm::Error const&) { isGone = true; } });
    std::list<tests::Asked> asked;
    vmm::Bytes heard;
    std::vector<Question> questions;
    auto const isRare = [&] { return input.take<std::uint8_t>() % 32 == 0; };
    if ((input.take<std::uint8_t>() & 3) != 0) { // a good beginning
        vmm::Bytes hello(12 + 68);
        hello[4] = 68;
        hello[12 + 64] = 0x7f;
        say(hello);
        vmm::Bytes endpoints(288, 0xff);
        for (std::size_t i = 32; i < 64; ++i)
            endpoints[i] = 1;
        endpoints[0] = endpoints[16] = 0;
        endpoints[1] = endpoints[17] = 2;
        endpoints[2] = endpoints[18] = 3;
        endpoints[3] = endpoints[19] = 1;
        std::fill(endpoints.begin() + 64, endpoints.begin() + 96, 0);
        say(packet(5, 0, endpoints));
        vmm::Bytes connect { 3, 0, 0, 0, 1, 2, 3, 4, 5, 6 };
        say(packet(1, 0, connect));
        loop.turn();
    }
    auto const isIn = [](std::uint8_t endpoint) { return (endpoint & 0x80) != 0; };
    for (unsigned steps = 0; !input.empty() && steps < 512; ++steps) {
        if (isOffered && !device.isPlugged() && !isGone)
            device.setHost(&host);
        switch (input.take<std::uint8_t>() % 12) {
        case 0: { // anything
            auto const bytes = input.takeBytes(input.take<std::uint8_t>());
            if (isRare())
                say({ bytes.begin(), bytes.end() });
            break;
        }
        case 1: { // a packet of any type
            auto const type = input.take<std::uint8_t>() % 110u;
            auto const id = input.take<std::uint8_t>() % 16u;
            auto const content = input.takeBytes(input.take<std::uint8_t>());
            if (isRare())
                say(packet(type, id, content));
            break;
        }
        case 2: { // data of an endpoint, mostly of the kind that it has
            auto const which = input.take<std::uint8_t>() % 2u;
            auto const type = isRare() ? 104 : which == 0 ? 103u : 102u;
            auto const status = static_cast<std::uint8_t>(input.take<std::uint8_t>() % 8);
            auto const payload = input.takeBytes(input.take<std::uint8_t>());
            vmm::Bytes content { static_cast<std::uint8_t>(which == 0 ? 0x82 : 0x83), status,
                static_cast<std::uint8_t>(payload.size()), 0 };
            content.insert(content.end(), payload.begin(), payload.end());
            for (unsigned times = input.take<std::uint8_t>() % 64u; times > 0; --times)
                say(packet(type, 0, content));
            break;
        }
        case 3: { // an answer to what was asked, in any order
            hear(peer.get(), heard, questions);
            if (questions.empty())
                break;
            auto const at
                = questions.begin() + input.take<std::uint8_t>() % static_cast<std::ptrdiff_t>(questions.size());
            auto question = *at;
            questions.erase(at);
            auto& header = question.header;
            header[question.type == 100 ? 3 : 1] = input.take<std::uint8_t>() % 8;
            auto const lengthAt = question.type == 100 ? 8u : 2u;
            auto const length
                = std::min<unsigned>(vmm::loadLittle<std::uint16_t>(vmm::ConstByteSpan(header).subspan(lengthAt, 2)),
                    input.take<std::uint8_t>());
            vmm::storeLittle<std::uint16_t>(
                vmm::ByteSpan(header).subspan(lengthAt, 2), static_cast<std::uint16_t>(isRare() ? length + 1 : length));
            if (question.type == 101)
                header[8] = header[9] = 0;
            if ((header[0] & 0x80) != 0)
                header.resize(header.size() + length);
            say(packet(question.type, question.id, header));
            break;
        }
        case 4: loop.turn(); break;
        case 5: hear(peer.get(), heard, questions); break;
        case 6: loop.runTimers(); break;
        case 7:
        case 8:
            if (device.isPlugged() && asked.size() < 64) {
                auto const kind = static_cast<Kind>(input.take<std::uint8_t>() % 4);
                auto const endpoint = static_cast<std::uint8_t>(
                    (input.take<std::uint8_t>() & 0x80) | (kind == Kind::Control ? 0 : input.take<std::uint8_t>() % 4));
                std::array<std::uint8_t, 8> setup {};
                auto const bytes = input.takeBytes(kind == Kind::Control ? 8 : 0);
                std::copy(bytes.begin(), bytes.end(), setup.begin());
                setup[0] = static_cast<std::uint8_t>((setup[0] & 0x7f) | (isIn(endpoint) ? 0x80 : 0));
                auto& one = asked.emplace_back(kind, endpoint, vmm::Bytes(input.take<std::uint8_t>() * 16u), setup);
                std::lock_guard const lock(host.usbMutex());
                device.submit(one.transfer);
            }
            break;
        case 9: {
            auto const which = input.take<std::uint8_t>();
            if (!device.isPlugged() || asked.empty())
                break;
            auto& transfer = std::next(asked.begin(), which % asked.size())->transfer;
            std::lock_guard const lock(host.usbMutex());
            if (std::find(host.ended.begin(), host.ended.end(), &transfer) == host.ended.end())
                device.cancel(transfer);
            break;
        }
        case 10:
            if (device.isPlugged()) {
                std::lock_guard const lock(host.usbMutex());
                if ((input.take<std::uint8_t>() & 1) != 0)
                    device.busReset();
                else
                    (void)device.setStreams(0x81, input.take<std::uint8_t>() % 3u);
            }
            break;
        default:
            if (isRare())
                peer.reset();
            break;
        }
    }
    // Whatever was said: what is cancelled ends, at the latest when patience does.
    if (device.isPlugged()) {
        {
            std::lock_guard const lock(host.usbMutex());
            for (auto one = asked.rbegin(); one != asked.rend(); ++one) {
                if (std::find(host.ended.begin(), host.ended.end(), &one->transfer) == host.ended.end())
                    device.cancel(one->transfer);
            }
        }
        for (int round = 0; round < 3; ++round) {
            loop.turn();
            loop.runTimers();
        }
        for (auto const& one : asked) {
            if (std::count(host.ended.begin(), host.ended.end(), &one.transfer) != 1)
                __builtin_trap();
        }
        device.setHost(nullptr);
    }
    return 0;
}
