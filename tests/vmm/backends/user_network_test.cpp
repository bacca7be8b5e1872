#include "tests/battery/battery.h"
#include "tests/fakes/fake_board.h"
#include "tests/support/held_port.h"
#include "tests/support/patience.h"
#include "vmm/backends/checksum.h"
#include "vmm/backends/user_network.h"

#include <arpa/inet.h>
#include <condition_variable>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

using namespace vmm;

namespace {

constexpr MacAddress guestMac { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
constexpr std::uint8_t fin = 1, syn = 2, rst = 4, ack = 16;

/// A guest's own little network stack: enough to ask for an address and to speak TCP and UDP.
class Guest final : public FrameReceiver {
public:
    explicit Guest(UserNetwork& network) : m_network(network)
    {
        m_network.loop().call([&] { m_network.setReceiver(this); });
    }
    ~Guest() override
    {
        m_network.loop().call([&] { m_network.setReceiver(nullptr); });
    }
    bool receive(ConstByteSpan frame) override
    {
        if (frame.size() >= 42 && loadBig<std::uint16_t>(frame.subspan(12, 2)) == 0x0806) {
            answerArp(frame);
            return true;
        }
        std::lock_guard const lock(m_mutex);
        m_frames.emplace_back(frame.begin(), frame.end());
        m_arrived.notify_all();
        return true;
    }
    void send(Bytes const& frame)
    {
        m_network.loop().call([&] { m_network.send(frame); });
    }
    /// The next frame that `wanted` accepts; others are dropped.
    Bytes wait(std::function<bool(ConstByteSpan)> const& wanted)
    {
        std::unique_lock lock(m_mutex);
        Bytes found;
        m_arrived.wait_for(lock, std::chrono::seconds(10) * tests::patience(), [&] {
            while (found.empty() && !m_frames.empty()) {
                if (wanted(m_frames.front()))
                    found = m_frames.front();
                m_frames.pop_front();
            }
            return !found.empty();
        });
        return found;
    }
    Bytes tcp(std::uint16_t port, std::uint16_t peerPort, std::uint32_t sequence, std::uint32_t acknowledge,
        std::uint8_t flags, std::string_view data = {})
    {
        auto frame = packet(6, 20 + data.size());
        auto const ip = ByteSpan(frame).subspan(14);
        auto const segment = ip.subspan(20);
        storeBig(segment.subspan(0, 2), port);
        storeBig(segment.subspan(2, 2), peerPort);
        storeBig(segment.subspan(4, 4), sequence);
        storeBig(segment.subspan(8, 4), acknowledge);
        segment[12] = 0x50;
        segment[13] = flags;
        storeBig(segment.subspan(14, 2), std::uint16_t(65535));
        std::copy(data.begin(), data.end(), segment.begin() + 20);
        std::array<std::uint8_t, 4> tail { 0, 6, 0, 0 };
        storeBig(ByteSpan(tail).subspan(2, 2), static_cast<std::uint16_t>(segment.size()));
        storeLittle(segment.subspan(16, 2),
            static_cast<std::uint16_t>(~onesSum(segment, std::uint64_t(onesSum(ip.subspan(12, 8))) + onesSum(tail))));
        return frame;
    }
    Bytes udp(std::uint16_t port, std::uint16_t peerPort, std::string_view data)
    {
        auto frame = packet(17, 8 + data.size());
        auto const datagram = ByteSpan(frame).subspan(34); // without a checksum
        storeBig(datagram.subspan(0, 2), port);
        storeBig(datagram.subspan(2, 2), peerPort);
        storeBig(datagram.subspan(4, 2), static_cast<std::uint16_t>(datagram.size()));
        std::copy(data.begin(), data.end(), datagram.begin() + 8);
        return frame;
    }
    static bool isUdp(ConstByteSpan frame, std::uint16_t port)
    {
        return frame.size() >= 42 && loadBig<std::uint16_t>(frame.subspan(12, 2)) == 0x0800 && frame[23] == 17
            && loadBig<std::uint16_t>(frame.subspan(36, 2)) == port;
    }
    static bool isTcp(ConstByteSpan frame, std::uint16_t port, std::uint8_t flags)
    {
        return frame.size() >= 54 && loadBig<std::uint16_t>(frame.subspan(12, 2)) == 0x0800 && frame[23] == 6
            && loadBig<std::uint16_t>(frame.subspan(36, 2)) == port && (frame[47] & flags) == flags;
    }
    /// Opens a connection; the peer's next sequence number.
    std::uint32_t connect(std::uint16_t port, std::uint16_t peerPort)
    {
        send(tcp(port, peerPort, 1000, 0, syn));
        auto const answer = wait([=](ConstByteSpan frame) { return isTcp(frame, port, syn | ack); });
        if (answer.empty())
            return 0;
        auto const next = loadBig<std::uint32_t>(ConstByteSpan(answer).subspan(38, 4)) + 1;
        send(tcp(port, peerPort, 1001, next, ack));
        return next;
    }

private:
    /// To the gateway, with `size` bytes of the protocol's own to fill in.
    static Bytes packet(std::uint8_t protocol, std::size_t size)
    {
        Bytes frame(34 + size);
        ByteSpan const whole(frame);
        std::fill_n(frame.begin(), 6, 0xff);
        std::copy(guestMac.begin(), guestMac.end(), frame.begin() + 6);
        storeBig(whole.subspan(12, 2), std::uint16_t(0x0800));
        auto const ip = whole.subspan(14);
        ip[0] = 0x45;
        storeBig(ip.subspan(2, 2), static_cast<std::uint16_t>(ip.size()));
        ip[8] = 64;
        ip[9] = protocol;
        storeBig(ip.subspan(12, 4), 0x0a00020fu);
        storeBig(ip.subspan(16, 4), 0x0a000202u);
        storeLittle(ip.subspan(10, 2), static_cast<std::uint16_t>(~onesSum(ip.first(20))));
        return frame;
    }
    void answerArp(ConstByteSpan request)
    {
        if (loadBig<std::uint16_t>(request.subspan(20, 2)) != 1
            || loadBig<std::uint32_t>(request.subspan(38, 4)) != 0x0a00020f)
            return;
        Bytes answer(request.begin(), request.end());
        std::copy_n(request.begin() + 6, 6, answer.begin());
        std::copy(guestMac.begin(), guestMac.end(), answer.begin() + 6);
        answer[21] = 2;
        std::copy(guestMac.begin(), guestMac.end(), answer.begin() + 22);
        std::copy_n(request.begin() + 38, 4, answer.begin() + 28);
        std::copy_n(request.begin() + 22, 10, answer.begin() + 32);
        // Not from within slirp's own call.
        m_network.loop().post([this, answer] { m_network.send(answer); });
    }

    UserNetwork& m_network;
    std::mutex m_mutex;
    std::condition_variable m_arrived;
    std::deque<Bytes> m_frames;
};

struct Server : tests::HeldPort {
    Server() { ::listen(fd.get(), 4); }
};

/// One that nobody has, until somebody takes it: for whileBusy().
std::uint16_t freePort(int type = SOCK_STREAM)
{
    return tests::HeldPort(type).port;
}

/// To this port of the host.
bool connectTo(UniqueFd const& client, std::uint16_t port)
{
    sockaddr_in const address {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) }, .sin_zero = {}
    };
    return ::connect(client.get(), reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0;
}

/// What comes of `attempt`, which is made again where a port turns out to be taken.
auto whileBusy(auto const& attempt)
{
    auto outcome = attempt();
    for (int more = 20; more > 0 && !outcome && outcome.error().code == ErrorCode::Busy; --more)
        outcome = attempt();
    return outcome;
}

/// Somebody listens on this port of the host.
bool isBusy(std::uint16_t port)
{
    UniqueFd const client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connectTo(client, port);
}

Bytes dhcpDiscover()
{
    Bytes frame(14 + 20 + 8 + 244);
    ByteSpan const whole(frame);
    std::fill_n(frame.begin(), 6, 0xff);
    std::copy(guestMac.begin(), guestMac.end(), frame.begin() + 6);
    storeBig(whole.subspan(12, 2), std::uint16_t(0x0800));
    auto const ip = whole.subspan(14);
    ip[0] = 0x45;
    storeBig(ip.subspan(2, 2), static_cast<std::uint16_t>(ip.size()));
    ip[8] = 64;
    ip[9] = 17;
    storeBig(ip.subspan(16, 4), 0xffffffffu);
    storeLittle(ip.subspan(10, 2), static_cast<std::uint16_t>(~onesSum(ip.first(20))));
    auto const udp = ip.subspan(20);
    storeBig(udp.subspan(0, 2), std::uint16_t(68));
    storeBig(udp.subspan(2, 2), std::uint16_t(67));
    storeBig(udp.subspan(4, 2), static_cast<std::uint16_t>(udp.size()));
    auto const bootp = udp.subspan(8);
    bootp[0] = 1;
    bootp[1] = 1;
    bootp[2] = 6;
    std::copy(guestMac.begin(), guestMac.end(), bootp.begin() + 28);
    std::array<std::uint8_t, 8> const options { 99, 130, 83, 99, 53, 1, 1, 255 };
    std::copy(options.begin(), options.end(), bootp.begin() + 236);
    return frame;
}

}

class UserNetworkTest : public QObject {
    Q_OBJECT
private slots:
    void battery()
    {
        auto const time = std::make_shared<tests::FakeTime>();
        tests::battery<UserNetwork>(
            [=]() -> std::unique_ptr<UserNetwork> { return std::move(*UserNetwork::create(*time)); },
            [](UserNetwork& network) {
                Guest guest(network);
                guest.send(guest.tcp(4000, 9, 1000, 0, syn));
                network.pause();
            });
    }

    void dhcpGivesAnAddress()
    {
        tests::FakeTime time;
        auto const network = UserNetwork::create(time);
        REQUIRE_OK(network);
        Guest guest(**network);
        guest.send(dhcpDiscover());
        auto const offer = guest.wait([](ConstByteSpan frame) { return frame.size() > 300 && frame[23] == 17; });
        QVERIFY(!offer.empty());
        QCOMPARE(loadBig<std::uint32_t>(ConstByteSpan(offer).subspan(14 + 28 + 16, 4)), 0x0a00020fu);
    }

    void dataReachesAServerOnTheHostAndComesBack()
    {
        tests::FakeTime time;
        auto const network = UserNetwork::create(time);
        REQUIRE_OK(network);
        Guest guest(**network);
        Server const server;
        auto const next = guest.connect(4001, server.port);
        QVERIFY(next != 0);
        UniqueFd const peer(::accept4(server.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
        QVERIFY(peer);
        guest.send(guest.tcp(4001, server.port, 1001, next, ack, "ping"));
        char text[4] = {};
        QCOMPARE(::recv(peer.get(), text, sizeof text, MSG_WAITALL), 4);
        QCOMPARE(std::string_view(text, 4), "ping");
        QCOMPARE(::send(peer.get(), "pong", 4, 0), 4);
        auto const answer
            = guest.wait([](ConstByteSpan frame) { return Guest::isTcp(frame, 4001, ack) && frame.size() > 54; });
        QCOMPARE(std::string_view(reinterpret_cast<char const*>(answer.data() + 54), 4), "pong");
    }

    void segmentLargerThanAnyMtuIsTaken()
    {
        tests::FakeTime time;
        auto const network = UserNetwork::create(time);
        REQUIRE_OK(network);
        Guest guest(**network);
        Server const server;
        auto const next = guest.connect(4005, server.port);
        UniqueFd const peer(::accept4(server.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
        std::string const data(60000, 'x');
        guest.send(guest.tcp(4005, server.port, 1001, next, ack, data));
        std::string got(data.size(), 0);
        QCOMPARE(::recv(peer.get(), got.data(), got.size(), MSG_WAITALL), ssize_t(data.size()));
        QVERIFY(got == data);
    }

    void forwardIsAddedRefusedAndRemoved()
    {
        tests::FakeTime time;
        auto const network = UserNetwork::create(time);
        REQUIRE_OK(network);
        Server const server; // holds its port
        PortForward forward { Protocol::Tcp, "127.0.0.1", server.port, 22 };
        auto const refused = (*network)->addForward(forward);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::Busy);
        forward.hostAddress = "nowhere";
        QCOMPARE((*network)->addForward(forward).error().code, ErrorCode::InvalidArgument);
        REQUIRE_OK(whileBusy([&] {
            forward = { Protocol::Tcp, "127.0.0.1", freePort(), 22 };
            return (*network)->addForward(forward);
        }));
        UniqueFd const client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        Guest guest(**network);
        QVERIFY(connectTo(client, forward.hostPort));
        QVERIFY(!guest.wait([](ConstByteSpan frame) { return Guest::isTcp(frame, 22, syn); }).empty());
        REQUIRE_OK((*network)->removeForward(forward));
        QCOMPARE((*network)->removeForward(forward).error().code, ErrorCode::NotFound);
    }

    void datagramsAreForwardedAndAnswered()
    {
        tests::FakeTime time;
        auto const network = UserNetwork::create(time);
        REQUIRE_OK(network);
        Guest guest(**network);
        tests::HeldPort const client(SOCK_DGRAM);
        PortForward forward { Protocol::Udp, "127.0.0.1", client.port, 7 };
        auto const refused = (*network)->addForward(forward);
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::Busy);
        REQUIRE_OK(whileBusy([&] {
            forward.hostPort = freePort(SOCK_DGRAM);
            return (*network)->addForward(forward);
        }));
        QVERIFY(connectTo(client.fd, forward.hostPort));
        QCOMPARE(::send(client.fd.get(), "ping", 4, 0), 4);
        auto const arrived = guest.wait([](ConstByteSpan frame) { return Guest::isUdp(frame, 7); });
        QVERIFY(arrived.size() >= 46);
        QCOMPARE(std::string_view(reinterpret_cast<char const*>(arrived.data() + 42), 4), "ping");
        QCOMPARE(loadBig<std::uint16_t>(ConstByteSpan(arrived).subspan(34, 2)), client.port);
        guest.send(guest.udp(7, client.port, "pong"));
        char text[4] = {};
        QCOMPARE(::recv(client.fd.get(), text, sizeof text, 0), 4);
        QCOMPARE(std::string_view(text, 4), "pong");
        REQUIRE_OK((*network)->removeForward(forward));
        QCOMPARE(::send(client.fd.get(), "ping", 4, 0), 4);
        QVERIFY(::recv(client.fd.get(), text, sizeof text, 0) == -1 && errno == ECONNREFUSED);
    }

    void forwardsAreReplacedAllOrNone()
    {
        tests::FakeTime time;
        auto const network = UserNetwork::create(time);
        REQUIRE_OK(network);
        std::uint16_t first = 0;
        REQUIRE_OK(whileBusy([&] {
            first = freePort();
            return (*network)->addForward({ Protocol::Tcp, "127.0.0.1", first, 22 });
        }));
        auto second = freePort();
        Server const taken; // holds its port
        auto const refused = (*network)->setForwards(
            { { Protocol::Tcp, "127.0.0.1", second, 80 }, { Protocol::Tcp, "127.0.0.1", taken.port, 80 } });
        QVERIFY(!refused);
        QCOMPARE(refused.error().code, ErrorCode::Busy);
        QVERIFY(isBusy(first));
        QVERIFY(!isBusy(second));
        // The same port of the host, to another of the guest's; and one more.
        REQUIRE_OK(whileBusy([&] {
            second = freePort();
            return (*network)->setForwards(
                { { Protocol::Tcp, "127.0.0.1", first, 80 }, { Protocol::Tcp, "127.0.0.1", second, 80 } });
        }));
        QVERIFY(isBusy(first) && isBusy(second));
        REQUIRE_OK((*network)->setForwards({}));
        QVERIFY(!isBusy(first) && !isBusy(second));
    }

    void restoredGuestIsToldThatItsConnectionIsCut()
    {
        tests::FakeTime time;
        auto network = UserNetwork::create(time);
        REQUIRE_OK(network);
        Server const server;
        std::uint32_t next = 0;
        Section saved;
        {
            Guest guest(**network);
            next = guest.connect(4002, server.port);
            (*network)->pause();
            saved = (*network)->save();
        }
        network->reset();

        auto const restored = UserNetwork::create(time);
        REQUIRE_OK(restored);
        REQUIRE_OK((*restored)->load(saved));
        Guest guest(**restored);
        (*restored)->resume();
        // Something unexpected on the connection, which the guest answers with where it stands.
        auto const probe = guest.wait([&](ConstByteSpan frame) { return Guest::isTcp(frame, 4002, ack); });
        QVERIFY(!probe.empty());
        QVERIFY(std::equal(guestMac.begin(), guestMac.end(), probe.begin()));
        QCOMPARE(onesSum(ConstByteSpan(probe).subspan(14, 20)), 0xffff);
        guest.send(guest.tcp(4002, server.port, 1001, next, ack));
        auto const reset = guest.wait([&](ConstByteSpan frame) { return Guest::isTcp(frame, 4002, rst); });
        QVERIFY(!reset.empty());
        QCOMPARE(loadBig<std::uint32_t>(ConstByteSpan(reset).subspan(38, 4)), next);
        // And a new one works at once.
        QVERIFY(guest.connect(4003, server.port) != 0);
    }

    void closedConnectionsAreForgotten()
    {
        TcpFlows flows;
        tests::FakeTime time;
        auto const network = UserNetwork::create(time);
        REQUIRE_OK(network);
        Guest guest(**network);
        flows.fromGuest(guest.tcp(1, 2, 0, 0, syn));
        flows.fromGuest(guest.tcp(3, 4, 0, 0, syn));
        flows.fromGuest(guest.tcp(5, 6, 0, 0, ack));
        QCOMPARE(flows.open().size(), 2u);
        flows.fromGuest(guest.tcp(1, 2, 0, 0, rst));
        QCOMPARE(flows.open().size(), 1u);
        flows.fromGuest(guest.tcp(3, 4, 0, 0, fin | ack));
        QCOMPARE(flows.open().size(), 1u);
        auto const left = flows.open()[0];
        auto closing = flows.probe(left, 7);
        closing[47] |= fin;
        flows.toGuest(closing);
        QVERIFY(flows.open().empty());
    }

    void foreignStateOfSlirpIsRefused()
    {
        tests::FakeTime time;
        auto const network = UserNetwork::create(time);
        REQUIRE_OK(network);
        auto const good = (*network)->save();
        for (auto const* blob : { "", "AAAA", "KgAAAAAAAAAAAAAA" }) {
            auto json = good.toJson();
            json["state"]["slirp"] = { { "base64", blob } };
            QVERIFY(!(*network)->load(*Section::fromJson(json)));
        }
        auto json = good.toJson();
        json["state"]["slirpVersion"] = 99u;
        QVERIFY(!(*network)->load(*Section::fromJson(json)));
        QVERIFY((*network)->save() == good);
    }
};

REGISTER_SUITE(UserNetworkTest);
#include "user_network_test.moc"
