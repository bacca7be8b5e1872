#pragma once

#include "tests/vmm/usb/usb_guest.h"
#include "vmm/usb/uas_storage.h"

namespace tests {

/// A driver of a UasStorage: information units, and transfers on streams, many at a time.
class UasInitiator {
public:
    explicit UasInitiator(vmm::UasStorage& storage) : m_storage(storage)
    {
        m_storage.setHost(&m_host);
        submit(make(vmm::UsbTransfer::Kind::Control, 0, 0, {}, { 0, 9, 1, 0, 0, 0, 0, 0 }));
    }
    ~UasInitiator()
    {
        cancelAll();
        m_storage.setHost(nullptr);
    }

    vmm::UsbStatus unit(vmm::Bytes const& bytes)
    {
        return submit(make(vmm::UsbTransfer::Kind::Bulk, 0x01, 0, bytes)).transfer.status;
    }
    void command(std::uint8_t tag, vmm::Bytes const& cdb, std::uint8_t lun = 0)
    {
        vmm::Bytes bytes(32);
        bytes[0] = 1;
        bytes[3] = tag;
        bytes[9] = lun;
        std::copy(cdb.begin(), cdb.end(), bytes.begin() + 16);
        unit(bytes);
    }
    void status(std::uint8_t tag)
    {
        m_status[tag] = &submit(make(vmm::UsbTransfer::Kind::Bulk, 0x82, tag, vmm::Bytes(64)));
    }
    void read(std::uint8_t tag, std::size_t size)
    {
        m_data[tag] = &submit(make(vmm::UsbTransfer::Kind::Bulk, 0x83, tag, vmm::Bytes(size)));
    }
    void write(std::uint8_t tag, vmm::Bytes const& bytes)
    {
        m_data[tag] = &submit(make(vmm::UsbTransfer::Kind::Bulk, 0x04, tag, bytes));
    }
    /// What came on the tag's last status transfer; empty: nothing yet.
    vmm::Bytes answer(std::uint8_t tag) { return m_status.contains(tag) ? received(*m_status[tag]) : vmm::Bytes {}; }
    vmm::Bytes dataOf(std::uint8_t tag) { return received(*m_data[tag]); }
    vmm::UsbStatus statusOf(std::uint8_t tag) { return m_data[tag]->transfer.status; }
    /// The last one first, as a host controller does.
    void cancelAll()
    {
        std::lock_guard const lock(m_host.usbMutex());
        for (auto pending = m_pending.rbegin(); pending != m_pending.rend(); ++pending) {
            if (!isDone(**pending))
                m_storage.cancel((*pending)->transfer);
        }
    }
    bool anyPending() const
    {
        return std::any_of(m_pending.begin(), m_pending.end(), [this](auto const& one) { return !isDone(*one); });
    }

private:
    struct Pending {
        vmm::UsbTransfer transfer;
        vmm::Bytes data;
        iovec buffer {};
    };

    static std::unique_ptr<Pending> make(vmm::UsbTransfer::Kind kind, std::uint8_t endpoint, std::uint8_t stream,
        vmm::Bytes data, std::array<std::uint8_t, 8> const& setup = {})
    {
        auto pending = std::make_unique<Pending>();
        pending->data = std::move(data);
        pending->buffer = { pending->data.data(), pending->data.size() };
        pending->transfer.kind = kind;
        pending->transfer.endpoint = endpoint;
        pending->transfer.stream = stream;
        pending->transfer.setup = setup;
        pending->transfer.buffers = { &pending->buffer, pending->data.empty() ? 0u : 1u };
        pending->transfer.length = pending->data.size();
        return pending;
    }
    Pending& submit(std::unique_ptr<Pending> pending)
    {
        std::lock_guard const lock(m_host.usbMutex());
        auto& kept = *m_pending.emplace_back(std::move(pending));
        m_storage.submit(kept.transfer);
        return kept;
    }
    bool isDone(Pending const& pending) const
    {
        return std::find(m_host.ended.begin(), m_host.ended.end(), &pending.transfer) != m_host.ended.end();
    }
    vmm::Bytes received(Pending const& pending) const
    {
        if (!isDone(pending))
            return {};
        auto data = pending.data;
        data.resize(pending.transfer.transferred);
        return data;
    }

    vmm::UasStorage& m_storage;
    FakeUsbHost m_host;
    std::vector<std::unique_ptr<Pending>> m_pending;
    std::map<std::uint8_t, Pending*> m_status, m_data;
};

}
