#pragma once

#include "vmm/base/bytes.h"
#include "vmm/base/event_loop.h"

namespace vmm {

/// Who takes the frames that come from a network: a network card.
class FrameReceiver {
public:
    virtual ~FrameReceiver() = default;
    /// An Ethernet frame without its check sequence; its checksums are right. False when there is no room for it now:
    /// the same frame comes again after NetworkBackend::receiverReady(). Network's thread.
    virtual bool receive(ConstByteSpan frame) = 0;
};

/// The host's side of a network card: where its frames go to and come from. All on the network's thread, loop()'s.
class NetworkBackend {
public:
    /// Of a frame with all headers, when the card segments TCP itself.
    static constexpr std::size_t maximumFrame = 65536 + 64;

    virtual ~NetworkBackend() = default;
    virtual EventLoop& loop() = 0;
    /// One card, or none.
    virtual void setReceiver(FrameReceiver* receiver) = 0;
    /// Takes a frame from the guest or loses it, as an Ethernet does.
    virtual void send(ConstByteSpan frame) = 0;
    /// The receiver has room again.
    virtual void receiverReady() = 0;
    virtual bool linkUp() const = 0;
    /// Takes TCP segments far larger than its MTU, so that nobody has to cut them up.
    virtual bool takesLargeSegments() const { return false; }
};

/// A cable that is not plugged in.
class NoNetwork final : public NetworkBackend {
public:
    explicit NoNetwork(EventLoop& loop) : m_loop(loop) { }
    EventLoop& loop() override { return m_loop; }
    void setReceiver(FrameReceiver*) override { }
    void send(ConstByteSpan) override { }
    void receiverReady() override { }
    bool linkUp() const override { return false; }

private:
    EventLoop& m_loop;
};

}
