#include "tests/fakes/fake_board.h"
#include "tests/fuzz/fuzz_input.h"
#include "vmm/backends/user_network.h"
#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <sched.h>

/// libslirp with whatever a guest may send it, and with whatever a state may claim that it was.
namespace {

/// Frames go no further than this process: its network is its own, and nothing is in it.
bool isAlone()
{
    static bool const alone = ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    return alone;
}

/// A card that now and then has no room.
struct Receiver final : vmm::FrameReceiver {
    bool receive(vmm::ConstByteSpan) override { return ++frames % 8 != 0; }
    unsigned frames = 0;
};

/// RFC 1071, "Computing the Internet Checksum".
std::uint16_t checksum(vmm::ConstByteSpan bytes, std::uint32_t sum = 0)
{
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += i % 2 == 0 ? std::uint32_t(bytes[i]) << 8 : bytes[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

void put(vmm::Bytes& frame, std::size_t at, std::uint16_t value)
{
    frame[at] = static_cast<std::uint8_t>(value >> 8);
    frame[at + 1] = static_cast<std::uint8_t>(value);
}

/// Makes lengths and checksums of an IP packet right, so that what it says is looked at.
void seal(vmm::Bytes& frame)
{
    constexpr std::size_t ip = 14;
    auto const type = std::uint16_t(frame[12] << 8 | frame[13]);
    std::size_t payload = 0, addresses = 0, addressBytes = 0;
    unsigned protocol = 0;
    if (type == 0x0800 && frame.size() >= ip + 20) {
        frame[ip] = static_cast<std::uint8_t>(0x40 | std::max(5, frame[ip] & 15));
        payload = ip + (frame[ip] & 15u) * 4;
        if (payload > frame.size())
            return;
        put(frame, ip + 2, static_cast<std::uint16_t>(frame.size() - ip));
        put(frame, ip + 10, 0);
        put(frame, ip + 10, checksum(vmm::ConstByteSpan(frame).subspan(ip, payload - ip)));
        protocol = frame[ip + 9];
        addresses = ip + 12;
        addressBytes = 8;
    } else if (type == 0x86dd && frame.size() >= ip + 40) {
        frame[ip] = 0x60;
        payload = ip + 40;
        put(frame, ip + 4, static_cast<std::uint16_t>(frame.size() - payload));
        protocol = frame[ip + 6];
        addresses = ip + 8;
        addressBytes = 32;
    } else {
        return;
    }
    auto const length = frame.size() - payload;
    std::size_t const field = protocol == 6 ? 16 : protocol == 17 ? 6 : 2; // TCP, UDP, ICMP
    if (length < field + 2)
        return;
    if (protocol == 17)
        put(frame, payload + 4, static_cast<std::uint16_t>(length));
    put(frame, payload + field, 0);
    std::uint32_t pseudo = 0;
    if (protocol != 1) { // ICMP for IPv4 has none
        pseudo = static_cast<std::uint32_t>(length + protocol);
        for (std::size_t i = 0; i < addressBytes; i += 2)
            pseudo += std::uint32_t(frame[addresses + i] << 8 | frame[addresses + i + 1]);
    }
    put(frame, payload + field, checksum(vmm::ConstByteSpan(frame).subspan(payload), pseudo));
}

/// An Ethernet header for the gateway; what is in it is the input's.
vmm::Bytes frameFrom(fuzz::Input& input)
{
    static constexpr std::uint16_t types[] = { 0x0800, 0x0800, 0x86dd, 0x0806 };
    vmm::Bytes frame { 0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 1, 2, 3, 0, 0 };
    put(frame, 12, types[input.take<std::uint8_t>() % 4]);
    auto const body = input.takeBytes(input.take<std::uint16_t>() % 2048);
    frame.insert(frame.end(), body.begin(), body.end());
    if (frame.size() >= 34 && frame[13] == 0 && input.take<std::uint8_t>() % 2 == 0) { // to one of its own addresses
        std::uint8_t const to[] = { 10, 0, 2, input.take<std::uint8_t>() };
        std::copy(std::begin(to), std::end(to), frame.begin() + 30);
    }
    seal(frame);
    return frame;
}

vmm::UserNetwork::State stateFrom(fuzz::Input& input, vmm::Section const& own)
{
    auto state = *vmm::state::load<vmm::UserNetwork::State>(own);
    if (input.take<std::uint8_t>() % 2 == 0)
        state.slirpVersion = input.take<std::uint32_t>();
    for (unsigned changes = input.take<std::uint8_t>() % 16; changes > 0 && !state.slirp.empty(); --changes)
        state.slirp[input.take<std::uint16_t>() % state.slirp.size()] = input.take<std::uint8_t>();
    if (input.take<std::uint8_t>() % 4 == 0) {
        auto const bytes = input.takeBytes(input.take<std::uint16_t>());
        state.slirp.assign(bytes.begin(), bytes.end());
    }
    return state;
}

}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size)
{
    if (!isAlone())
        return 0;
    fuzz::Input input(data, size);
    tests::FakeTime time;
    Receiver receiver;
    auto const made = vmm::UserNetwork::create(time);
    if (!made)
        __builtin_trap();
    auto& network = **made;
    auto const onItsThread = [&](auto const& what) { network.loop().call(what); };
    onItsThread([&] { network.setReceiver(&receiver); });
    while (!input.empty()) {
        switch (input.take<std::uint8_t>() % 8) {
        case 0: {
            network.pause();
            auto const own = network.save();
            if (!network.load(own))
                __builtin_trap();
            if (auto const loaded = network.load(vmm::state::save(stateFrom(input, own))); !loaded) {
                if (!network.load(own))
                    __builtin_trap();
            }
            network.resume();
            break;
        }
        case 1:
            onItsThread([&] { time.advance(vmm::Nanoseconds(std::uint64_t(input.take<std::uint16_t>()) << 20)); });
            break;
        case 2: onItsThread([&] { network.send(input.takeBytes(input.take<std::uint16_t>() % 2048)); }); break;
        case 3: onItsThread([&] { network.receiverReady(); }); break;
        default: onItsThread([&] { network.send(frameFrom(input)); });
        }
    }
    onItsThread([&] { network.setReceiver(nullptr); });
    return 0;
}
