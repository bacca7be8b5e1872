#pragma once

#include "tests/fakes/fake_board.h"
#include "vmm/usb/usb_device.h"

namespace tests {

/// A host controller of nothing but a clock, and who asks one device behind it.
class FakeUsbHost : public vmm::UsbHost {
public:
    std::mutex& usbMutex() const override { return m_mutex; }
    vmm::GuestTime& time() override { return clock; }
    std::uint64_t microframe() const override { return static_cast<std::uint64_t>(clock.now().count()) / 125'000; }
    void completed(vmm::UsbTransfer& transfer) override { ended.push_back(&transfer); }
    void wake(vmm::UsbDevice&) override { ++wakes; }
    void removed(vmm::UsbDevice&) override { ++removals; }
    void drain(vmm::UsbDevice&, std::function<void()> const& then) override
    {
        ++drains;
        std::lock_guard const lock(usbMutex());
        then();
    }

    FakeTime clock;
    std::vector<vmm::UsbTransfer*> ended;
    int wakes = 0, removals = 0, drains = 0;

private:
    mutable std::mutex m_mutex;
};

/// A transfer with memory of its own, in two pieces.
struct Asked {
    Asked(vmm::UsbTransfer::Kind kind, std::uint8_t endpoint, vmm::Bytes content,
        std::array<std::uint8_t, 8> const& setup = {})
        : data(std::move(content))
    {
        auto const half = data.size() / 2;
        buffers = { iovec { data.data(), half }, iovec { data.data() + half, data.size() - half } };
        transfer.kind = kind;
        transfer.endpoint = endpoint;
        transfer.setup = setup;
        transfer.buffers = buffers;
        transfer.length = data.size();
    }
    vmm::Bytes got() const
    {
        return { data.begin(), data.begin() + static_cast<std::ptrdiff_t>(transfer.transferred) };
    }

    vmm::Bytes data;
    std::array<iovec, 2> buffers {};
    vmm::UsbTransfer transfer;
};

inline vmm::Bytes counting(std::size_t size)
{
    vmm::Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i)
        bytes[i] = static_cast<std::uint8_t>(i + i / 251);
    return bytes;
}

class UsbGuest {
public:
    struct Result {
        bool done = false;
        vmm::UsbStatus status = vmm::UsbStatus::Success;
        vmm::Bytes data;
    };

    explicit UsbGuest(vmm::UsbDevice& usbDevice) : device(usbDevice) { device.setHost(&host); }
    ~UsbGuest()
    {
        if (m_last && !result().done)
            cancel();
        device.setHost(nullptr);
    }

    /// A control transfer with data from the device.
    vmm::Bytes get(std::array<std::uint8_t, 8> const& setup)
    {
        auto const length = setup[6] | setup[7] << 8;
        auto const answer
            = run(vmm::UsbTransfer::Kind::Control, 0x80, setup, vmm::Bytes(static_cast<std::size_t>(length)));
        status = answer.status;
        return answer.data;
    }
    /// One with data to the device, or with none.
    void put(std::array<std::uint8_t, 8> const& setup, vmm::Bytes const& data = {})
    {
        status = run(vmm::UsbTransfer::Kind::Control, 0, setup, data).status;
    }
    void configure() { put({ 0, 9, 1, 0, 0, 0, 0, 0 }); }
    Result read(std::uint8_t endpoint, std::size_t size)
    {
        return run(vmm::UsbTransfer::Kind::Interrupt, endpoint, {}, vmm::Bytes(size));
    }
    Result write(std::uint8_t endpoint, vmm::Bytes const& data)
    {
        return run(vmm::UsbTransfer::Kind::Bulk, endpoint, {}, data);
    }
    void cancel()
    {
        std::lock_guard const lock(host.usbMutex());
        device.cancel(m_last->transfer);
    }
    /// Of the last transfer.
    Result result() const
    {
        bool const done = std::find(host.ended.begin(), host.ended.end(), &m_last->transfer) != host.ended.end();
        if (!done)
            return {};
        auto data = m_last->data;
        if (m_last->transfer.isIn())
            data.resize(m_last->transfer.transferred);
        return { true, m_last->transfer.status, data };
    }

    FakeUsbHost host;
    vmm::UsbDevice& device;
    vmm::UsbStatus status = vmm::UsbStatus::Success;

private:
    struct Pending {
        vmm::UsbTransfer transfer;
        vmm::Bytes data;
        iovec buffer {};
    };

    Result run(
        vmm::UsbTransfer::Kind kind, std::uint8_t endpoint, std::array<std::uint8_t, 8> const& setup, vmm::Bytes data)
    {
        if (m_last && !result().done)
            cancel();
        host.ended.clear();
        m_last = std::make_unique<Pending>();
        m_last->data = std::move(data);
        m_last->buffer = { m_last->data.data(), m_last->data.size() };
        m_last->transfer.kind = kind;
        m_last->transfer.endpoint = endpoint;
        m_last->transfer.setup = setup;
        m_last->transfer.buffers = { &m_last->buffer, m_last->data.empty() ? 0u : 1u };
        m_last->transfer.length = m_last->data.size();
        {
            std::lock_guard const lock(host.usbMutex());
            device.submit(m_last->transfer);
        }
        return result();
    }

    std::unique_ptr<Pending> m_last;
};

}
