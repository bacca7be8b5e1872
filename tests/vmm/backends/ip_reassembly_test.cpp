#include "tests/fakes/fake_board.h"
#include "tests/support/suite.h"
#include "vmm/backends/checksum.h"
#include "vmm/backends/ip_reassembly.h"
#include "vmm/backends/user_network.h"

#include <algorithm>
#include <arpa/inet.h>
#include <random>
#include <sys/socket.h>
#include <sys/time.h>

using namespace vmm;

namespace {

constexpr std::uint16_t more = 0x2000;

/// A frame with an IP datagram, or a part of one, from 10.0.2.15 to 10.0.2.2.
Bytes frameOf(
    std::uint16_t id, std::uint16_t fragment, ConstByteSpan data, std::size_t options = 0, std::uint8_t protocol = 17)
{
    auto const header = 20 + options;
    Bytes frame(14 + header + data.size());
    ByteSpan const whole(frame);
    std::fill_n(frame.begin(), 6, std::uint8_t(0xff));
    storeBig(whole.subspan(12, 2), std::uint16_t(0x0800));
    auto const ip = whole.subspan(14);
    ip[0] = static_cast<std::uint8_t>(0x40 | header / 4);
    storeBig(ip.subspan(2, 2), static_cast<std::uint16_t>(ip.size()));
    storeBig(ip.subspan(4, 2), id);
    storeBig(ip.subspan(6, 2), fragment);
    ip[8] = 64;
    ip[9] = protocol;
    storeBig(ip.subspan(12, 4), 0x0a00020fu);
    storeBig(ip.subspan(16, 4), 0x0a000202u);
    std::fill_n(ip.begin() + 20, options, std::uint8_t(1)); // no operation
    storeLittle(ip.subspan(10, 2), static_cast<std::uint16_t>(~onesSum(ip.first(header))));
    std::copy(data.begin(), data.end(), frame.begin() + static_cast<std::ptrdiff_t>(14 + header));
    return frame;
}

Bytes numbers(std::size_t size)
{
    std::mt19937 random(static_cast<unsigned>(size));
    Bytes bytes(size);
    std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(random()); });
    return bytes;
}

/// The parts of a datagram, each of so many bytes.
std::vector<Bytes> fragmentsOf(std::uint16_t id, Bytes const& data, std::size_t size, std::size_t options = 0)
{
    std::vector<Bytes> parts;
    for (std::size_t at = 0; at < data.size(); at += size) {
        auto const here = ConstByteSpan(data).subspan(at, std::min(size, data.size() - at));
        parts.push_back(frameOf(id, static_cast<std::uint16_t>(at / 8 | (at + size < data.size() ? more : 0)), here,
            at == 0 ? options : 0));
    }
    return parts;
}

}

class IpReassemblyTest : public QObject {
    Q_OBJECT

private slots:
    void whatIsNoFragmentPasses()
    {
        IpReassembly reassembly;
        for (auto const& frame :
            { frameOf(1, 0, numbers(100)), frameOf(1, 0x4000, numbers(100)), Bytes(10), Bytes(2000, 7) })
            QVERIFY(std::ranges::equal(reassembly.take(frame, {}).value(), frame));
    }

    void anyOrderMakesTheSame_data()
    {
        QTest::addColumn<int>("size");
        QTest::addColumn<int>("options");
        QTest::newRow("two") << 2000 << 0;
        QTest::newRow("an odd end") << 7001 << 0;
        QTest::newRow("options in the first") << 4000 << 8;
        QTest::newRow("the largest") << 65507 + 8 << 0;
    }
    void anyOrderMakesTheSame()
    {
        QFETCH(int, size);
        QFETCH(int, options);
        auto const data = numbers(static_cast<std::size_t>(size));
        auto parts = fragmentsOf(9, data, 1480, static_cast<std::size_t>(options));
        IpReassembly reassembly;
        std::mt19937 random(3);
        for (int round = 0; round < 20; ++round) {
            for (std::size_t i = 0; i < parts.size(); ++i) {
                auto const whole = reassembly.take(parts[i], {});
                QCOMPARE(whole.has_value(), i + 1 == parts.size());
                if (whole) {
                    auto const expected = frameOf(9, 0, data, static_cast<std::size_t>(options));
                    QVERIFY(std::ranges::equal(*whole, expected));
                }
            }
            std::ranges::shuffle(parts, random);
        }
    }

    void wrongOnesAreDropped()
    {
        IpReassembly reassembly;
        auto const data = numbers(3000);
        auto const parts = fragmentsOf(5, data, 1480);
        auto const passes = [&](Bytes const& frame) { return reassembly.take(frame, {}).has_value(); };
        // One that overlaps takes the others with it.
        QVERIFY(!passes(parts[0]));
        QVERIFY(!passes(frameOf(5, more | 8, numbers(1480))));
        QVERIFY(!passes(parts[1]));
        QVERIFY(!passes(parts[2]));
        QVERIFY(passes(parts[0]));
        // Behind the end, a second end, more than a datagram has, no whole units, no length, a wrong sum.
        QVERIFY(!passes(parts[2]));
        QVERIFY(!passes(frameOf(5, more | 1000, numbers(8))));
        QVERIFY(!passes(parts[2]));
        QVERIFY(!passes(frameOf(5, 500, numbers(8))));
        QVERIFY(!passes(frameOf(6, 0x1fff, numbers(64))));
        QVERIFY(!passes(frameOf(6, more, numbers(63))));
        QVERIFY(!passes(frameOf(6, more, {})));
        auto broken = parts[0];
        broken[14 + 8] = 63;
        QVERIFY(!passes(broken));
        auto cut = parts[0];
        cut.resize(cut.size() - 1);
        QVERIFY(!passes(cut));
        // Nothing of all that is left.
        for (std::size_t i = 0; i < parts.size(); ++i)
            QCOMPARE(passes(parts[i]), i + 1 == parts.size());
    }

    void whatIsNotCompletedGoes()
    {
        IpReassembly reassembly;
        auto const first = fragmentsOf(1, numbers(2000), 1480);
        QVERIFY(!reassembly.take(first[0], {}));
        QVERIFY(!reassembly.take(first[1], IpReassembly::patience + Nanoseconds(1)));
        reassembly.clear();
        QVERIFY(!reassembly.take(first[0], {}));
        for (std::uint16_t other = 2; other < 2 + IpReassembly::mostDatagrams; ++other)
            QVERIFY(!reassembly.take(frameOf(other, more, numbers(8)), {}));
        QVERIFY(!reassembly.take(first[1], {}));
    }

    /// libslirp, which gets what comes out.
    void aNetworkOutlivesAnyFragments()
    {
        tests::FakeTime time;
        auto const network = tests::must(UserNetwork::create(time));
        std::mt19937 random(1);
        network->loop().call([&] {
            for (int i = 0; i < 50000; ++i) {
                auto const isFar = random() % 8 == 0;
                auto const offset = random() % (isFar ? 8192 : 16);
                std::size_t const size = random() % (random() % 4 == 0 ? 1480 : 64) & ~7u;
                static constexpr std::uint8_t protocols[] = { 1, 6, 17, 255 };
                network->send(frameOf(static_cast<std::uint16_t>(random() % 3),
                    static_cast<std::uint16_t>(offset | (random() % 2 != 0 ? more : 0)), numbers(size),
                    random() % 11 * 4, protocols[random() % 4]));
            }
        });
    }

    void aDatagramInFragmentsReachesTheHost()
    {
        UniqueFd const socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_in address {
            .sin_family = AF_INET, .sin_port = 0, .sin_addr = { htonl(INADDR_LOOPBACK) }, .sin_zero = {}
        };
        QCOMPARE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        socklen_t length = sizeof address;
        QCOMPARE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
        timeval const patience { .tv_sec = 10, .tv_usec = 0 };
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);

        auto const told = numbers(9000);
        Bytes datagram(8);
        storeBig(ByteSpan(datagram).subspan(0, 2), std::uint16_t(5000));
        storeBig(ByteSpan(datagram).subspan(2, 2), ntohs(address.sin_port));
        storeBig(ByteSpan(datagram).subspan(4, 2), static_cast<std::uint16_t>(8 + told.size())); // without a checksum
        datagram.insert(datagram.end(), told.begin(), told.end());

        tests::FakeTime time;
        auto const network = tests::must(UserNetwork::create(time));
        network->loop().call([&] {
            for (auto const& part : fragmentsOf(77, datagram, 1480))
                network->send(part);
        });
        Bytes heard(20000);
        auto const got = ::recv(socket.get(), heard.data(), heard.size(), 0);
        QCOMPARE(got, static_cast<ssize_t>(told.size()));
        heard.resize(told.size());
        QVERIFY(heard == told);
    }
};

REGISTER_SUITE(IpReassemblyTest);
#include "ip_reassembly_test.moc"
