#pragma once

#include "vmm/block/image.h"
#include "vmm/state/section.h"
#include "vmm/virtio/virtio_pci.h"

#include <functional>

namespace vmm::virtio {

struct BlockOptions {
    std::string serial;       ///< what VIRTIO_BLK_T_GET_ID says, up to 20 bytes
    std::uint16_t queues = 1; ///< 1 to 16
    bool readOnly = false;    ///< also where the image is not
};

/// A disk (Virtual I/O Device (VIRTIO) Version 1.2, 5.2 "Block Device") over an image. As many requests are in flight
/// as the rings hold. What the guest asks wrongly ends in a status. What the host cannot do (no space, an I/O error,
/// the image gone) is none of the guest's business: the request is kept, `hostError` asks for a pause, and the request
/// is tried again when the machine resumes, here or where it was restored. Left out: VIRTIO_BLK_F_CONFIG_WCE, zoned
/// devices, secure erase, life time.
///
/// Threads: as VirtioDevice; `loop` is the disk's own, where the image lives. Memory for requests is kept and used
/// again.
class BlockDevice final : public VirtioDevice {
public:
    struct State {
        static constexpr std::string_view kind = "virtio-blk";
        static constexpr unsigned version = 1;
        PciState pci;
        TransportState transport;
        std::uint64_t sectors = 0; ///< of 512 bytes; a restored disk must be as large
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("pci", s.pci);
            v.field("transport", s.transport);
            v.field("sectors", s.sectors);
        }
    };

    /// Called once for each time that the machine runs, on the disk's thread with the service lock held: it posts.
    using HostError = std::function<void(Error const&)>;

    BlockDevice(
        PciServices const& services, EventLoop& loop, BlockImage& image, BlockOptions options, HostError hostError);
    ~BlockDevice() override;
    void reset() override { resetTransport(); }
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;

    /// The disk has another image of the same size and contents from now on, to which what waited was passed. On the
    /// disk's loop.
    void setImage(BlockImage& image) { m_image = &image; }

    /// Since the device was made. Any thread.
    std::uint64_t bytesRead() const { return m_bytesRead; }
    std::uint64_t bytesWritten() const { return m_bytesWritten; }

private:
    struct Request;

    void serve(unsigned index) override;
    void readDeviceConfig(std::uint64_t offset, ByteSpan data) override;
    void driverGone() override;
    void queueGone(unsigned queue) override;
    void paused() override;
    void resumed() override { m_errorReported = false; }

    Request& obtain();
    void release(Request& request);
    void start(Request& request);
    void startTransfer(Request& request);
    void startRange(Request& request);
    void finish(Request& request, std::uint8_t status);
    void completed(Request& request, Result<> result);
    bool isInside(std::uint64_t sector, std::uint64_t length) const;

    BlockImage* m_image; // the loop's
    BlockOptions const m_options;
    HostError const m_hostError;
    std::uint64_t const m_sectors;
    std::uint32_t const m_clusterSectors;
    bool m_errorReported = false;
    std::vector<std::unique_ptr<Request>> m_requests;
    std::vector<Request*> m_free;
    std::vector<Request*> m_stalled; // what the host has refused, in the order of refusal
    std::atomic<std::uint64_t> m_bytesRead { 0 }, m_bytesWritten { 0 };
};

}
