#include "bare/virtio.h"
#include "lib/check.h"

/// virtio-net (VIRTIO 1.2, 5.1 "Network Device") on a network with addresses by DHCP; option nets=N: how many there
/// are.

enum { mostNets = 4, frameSize = 2048, headerSize = 12, receiveBuffers = 8 };
static uint64_t const featureMac = 1 << 5, featureStatus = 1 << 16;

static struct Net {
    struct Virtio device;
    struct Queue receive, transmit;
    uint8_t mac[6];
    uint8_t* buffers[receiveBuffers];
    int bufferOf[receiveBuffers];
    uint8_t address[4], gateway[4], gatewayMac[6];
} nets[mostNets];
static unsigned netCount;
static uint8_t out[frameSize];

static void offer(struct Net* net, int buffer)
{
    struct Buffer const chain = { net->buffers[buffer], frameSize };
    int const id = queueAdd(&net->receive, &chain, 0, 1);
    if (id >= 0)
        net->bufferOf[id] = buffer;
}

static void allAreFound(void)
{
    for (; netCount < mostNets; netCount++) {
        struct Net* const net = &nets[netCount];
        if (!virtioOpen(&net->device, virtioNet, netCount, featureMac | featureStatus))
            break;
        EXPECT(net->device.features & featureMac);
        EXPECT(virtioQueue(&net->device, &net->receive, 0, receiveBuffers, 0xffff));
        EXPECT(virtioQueue(&net->device, &net->transmit, 1, 8, 0xffff));
        for (unsigned i = 0; i < 6; i++)
            net->mac[i] = MMIO8(net->device.config + i);
        for (int i = 0; i < net->receive.size; i++) {
            net->buffers[i] = allocate(frameSize, 16);
            offer(net, i);
        }
        virtioGo(&net->device);
        queueNotify(&net->receive);
        NOTE("net %u: slot %u, %02x:%02x:%02x:%02x:%02x:%02x, features %lx", netCount, net->device.pci->slot,
            net->mac[0], net->mac[1], net->mac[2], net->mac[3], net->mac[4], net->mac[5], net->device.offered);
        EXPECT(!(net->mac[0] & 1));
        for (unsigned i = 0; i < netCount; i++)
            EXPECT(memcmp(net->mac, nets[i].mac, 6) != 0);
    }
    EXPECT_EQUAL(netCount, option("nets", netCount));
    EXPECT(netCount > 0);
}

static void linkIsUp(void)
{
    for (unsigned i = 0; i < netCount; i++)
        EXPECT(!(nets[i].device.features & featureStatus) || (MMIO16(nets[i].device.config + 6) & 1));
}

/// Sends what is in `out` behind the header.
static bool send(struct Net* net, uint32_t size)
{
    struct Buffer const chain[] = { { out, headerSize + (size < 60 ? 60 : size) } };
    return queueDo(&net->transmit, chain, 1, 0, 5) >= 0;
}

static bool (*wanted)(struct Net*, uint8_t const* frame, uint32_t size);

/// Takes frames until one is wanted.
static bool awaitFrame(struct Net* net, unsigned seconds)
{
    for (uint64_t const end = now() + seconds * ticksPerSecond; now() < end; halt()) {
        uint32_t size;
        for (int id; (id = queueTake(&net->receive, &size)) >= 0;) {
            int const buffer = net->bufferOf[id];
            bool const is = size >= headerSize + 14 && size <= frameSize
                && wanted(net, net->buffers[buffer] + headerSize, size - headerSize);
            offer(net, buffer);
            queueNotify(&net->receive);
            if (is)
                return true;
        }
    }
    return false;
}

static uint8_t* put(uint8_t* at, void const* bytes, unsigned count)
{
    memcpy(at, bytes, count);
    return at + count;
}

static uint8_t* put16(uint8_t* at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static unsigned get16(uint8_t const* at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static uint8_t const everyone[6] = { 255, 255, 255, 255, 255, 255 }, nobody[6];

static uint16_t checksum(uint8_t const* data, unsigned size)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < size; i += 2)
        sum += get16(data + i);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/// Starts a frame with an IPv4 header (RFC 791) for `size` bytes of payload; returns where these go.
static uint8_t* startIp(struct Net* net, uint8_t const* mac, uint8_t const* to, uint8_t protocol, unsigned size)
{
    memset(out, 0, sizeof out);
    uint8_t* at = put16(put(put(out + headerSize, mac, 6), net->mac, 6), 0x0800);
    uint8_t* const ip = at;
    at = put16(put16(at, 0x4500), 20 + size);
    at = put16(put16(at, 1), 0);
    *at++ = 64;
    *at++ = protocol;
    at = put(put(put16(at, 0), net->address, 4), to, 4);
    put16(ip + 10, checksum(ip, 20));
    return at;
}

static bool isOffer(struct Net* net, uint8_t const* frame, uint32_t size)
{
    uint8_t const *udp = frame + 34, *bootp = udp + 8;
    if (size < 34 + 8 + 240 || get16(frame + 12) != 0x0800 || frame[23] != 17 || get16(udp + 2) != 68 || bootp[0] != 2)
        return false;
    memcpy(net->address, bootp + 16, 4);
    for (uint8_t const* at = bootp + 240; at + 2 < frame + size && *at != 255; at += 2 + at[1]) {
        if (*at == 3 && at + 6 <= frame + size)
            memcpy(net->gateway, at + 2, 4);
    }
    return true;
}

/// DHCPDISCOVER (RFC 2131) and the server's offer.
static void addressesAreOffered(void)
{
    static uint8_t const options[] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 55, 2, 1, 3, 255 };
    static uint8_t const anyone[4] = { 255, 255, 255, 255 };
    for (unsigned i = 0; i < netCount; i++) {
        struct Net* const net = &nets[i];
        uint8_t* const udp = startIp(net, everyone, anyone, 17, 8 + 300);
        put16(put16(put16(udp, 68), 67), 8 + 300);
        uint8_t* const bootp = udp + 8;
        bootp[0] = 1;
        bootp[1] = 1;
        bootp[2] = 6;
        put16(bootp + 4, 0x1234 + i);
        put16(bootp + 10, 0x8000); // answer to everyone
        put(bootp + 28, net->mac, 6);
        put(bootp + 236, options, sizeof options);
        EXPECT(send(net, 14 + 20 + 8 + 300));
        wanted = isOffer;
        EXPECT(awaitFrame(net, 5));
        NOTE("net %u: offered %u.%u.%u.%u by way of %u.%u.%u.%u", i, net->address[0], net->address[1], net->address[2],
            net->address[3], net->gateway[0], net->gateway[1], net->gateway[2], net->gateway[3]);
        EXPECT(net->address[0] != 0 && net->gateway[0] != 0);
    }
}

static bool isArpReply(struct Net* net, uint8_t const* frame, uint32_t size)
{
    if (size < 42 || get16(frame + 12) != 0x0806 || get16(frame + 20) != 2 || memcmp(frame + 28, net->gateway, 4) != 0)
        return false;
    memcpy(net->gatewayMac, frame + 22, 6);
    return true;
}

static void gatewayHasAnAddress(void)
{
    for (unsigned i = 0; i < netCount; i++) {
        struct Net* const net = &nets[i];
        static uint8_t const request[] = { 0, 1, 8, 0, 6, 4, 0, 1 };
        memset(out, 0, sizeof out);
        uint8_t* at = put16(put(put(out + headerSize, everyone, 6), net->mac, 6), 0x0806);
        put(put(put(put(put(at, request, 8), net->mac, 6), net->address, 4), nobody, 6), net->gateway, 4);
        EXPECT(send(net, 42));
        wanted = isArpReply;
        EXPECT(awaitFrame(net, 5));
    }
}

static bool isEcho(struct Net* net, uint8_t const* frame, uint32_t size)
{
    (void)net;
    return size >= 14 + 20 + 8 + 32 && get16(frame + 12) == 0x0800 && frame[23] == 1 && frame[34] == 0
        && get16(frame + 38) == 0x4321 && frame[42 + 31] == 31;
}

static void gatewayAnswersPing(void)
{
    for (unsigned i = 0; i < netCount; i++) {
        struct Net* const net = &nets[i];
        uint8_t* const icmp = startIp(net, net->gatewayMac, net->gateway, 1, 8 + 32);
        icmp[0] = 8;
        put16(icmp + 4, 0x4321);
        put16(icmp + 6, 1);
        for (uint8_t j = 0; j < 32; j++)
            icmp[8 + j] = j;
        put16(icmp + 2, checksum(icmp, 8 + 32));
        EXPECT(send(net, 14 + 20 + 8 + 32));
        wanted = isEcho;
        EXPECT(awaitFrame(net, 5));
    }
}

static void manyFramesGoOut(void)
{
    for (unsigned i = 0; i < 100; i++) {
        memset(out, 0, headerSize);
        put16(put(put(out + headerSize, everyone, 6), nets[0].mac, 6), 0x88b5); // an experimental protocol
        struct Buffer const chain = { out, headerSize + 1500 };
        while (queueTake(&nets[0].transmit, NULL) >= 0) { }
        EXPECT(queueAdd(&nets[0].transmit, &chain, 1, 0) >= 0 || i >= nets[0].transmit.size);
        queueNotify(&nets[0].transmit);
        if (nets[0].transmit.freeCount == 0)
            EXPECT(WAIT(queueTake(&nets[0].transmit, NULL) >= 0, 2));
    }
    EXPECT(WAIT(queueTake(&nets[0].transmit, NULL) < 0 && nets[0].transmit.freeCount == nets[0].transmit.size, 2));
    gatewayAnswersPing();
}

static void oddFramesDoNoHarm(void)
{
    if (!option("strict", 0)) {
        skip("some hosts end here"); // QEMU 7.2 aborts
        return;
    }
    static uint32_t const sizes[] = { 1, 11, 12, 13, 26, 2048 };
    memset(out, 0xff, sizeof out);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct Buffer const chain = { out, sizes[i] };
        queueDo(&nets[0].transmit, &chain, 1, 0, 1);
    }
    memset(out, 0, sizeof out);
    bool const stopped = MMIO8(nets[0].device.common + 0x14) & 0x40; // it may ask for a reset
    if (!stopped)
        gatewayAnswersPing();
}

static unsigned linkState(void)
{
    return MMIO16(nets[0].device.config + 6) & 1;
}

/// Option cable=1: somebody outside pulls the cable when he is told to, and plugs it in again.
static void cableComesAndGoes(void)
{
    if (!option("cable", 0)) {
        skip("nobody there to pull it");
        return;
    }
    uint8_t const generation = MMIO8(nets[0].device.common + 0x15);
    NOTE("pull the cable");
    EXPECT(WAIT(!linkState(), 10));
    EXPECT(MMIO8(nets[0].device.common + 0x15) != generation);
    memset(out, 0, sizeof out);
    wanted = isEcho;
    startIp(&nets[0], nets[0].gatewayMac, nets[0].gateway, 1, 8 + 32)[0] = 8;
    EXPECT(send(&nets[0], 14 + 20 + 8 + 32)); // taken, and lost
    EXPECT(!awaitFrame(&nets[0], 1));
    NOTE("plug the cable in");
    EXPECT(WAIT(linkState(), 10));
    gatewayAnswersPing();
}

void program(void)
{
    pciStart();
    run("network.allAreFound", allAreFound);
    if (!netCount)
        finish();
    run("network.linkIsUp", linkIsUp);
    run("network.addressesAreOffered", addressesAreOffered);
    run("network.gatewayHasAnAddress", gatewayHasAnAddress);
    run("network.gatewayAnswersPing", gatewayAnswersPing);
    run("network.manyFramesGoOut", manyFramesGoOut);
    run("network.cableComesAndGoes", cableComesAndGoes);
    run("network.oddFramesDoNoHarm", oddFramesDoNoHarm);
    finish();
}
