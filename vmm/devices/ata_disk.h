#pragma once

#include "vmm/devices/sata_device.h"

#include <string>

namespace vmm {

/// A disk that speaks ATA (ATA/ATAPI Command Set - 3, T13/2161-D, ACS-3, clause 7 "Command descriptions") over an
/// image: reads and writes by PIO, DMA and queued DMA, flush, TRIM, IDENTIFY, power commands and the log of queued
/// errors. Left out: SMART, security, HPA, CHS addresses, READ/WRITE BUFFER; the disk says so and aborts them.
class AtaDisk final : public SataDevice {
public:
    /// `serial`: up to 20 characters.
    AtaDisk(EventLoop& loop, BlockImage& image, std::string serial, bool readOnly);

    std::uint32_t signature() const override { return 0x00000101; }
    std::uint8_t statusAfterReset() const override { return SataRegisters::ready; }
    void powerOn() override;
    void reset() override;
    bool isQueued(SataRegisters const& in) const override;
    void begin(SataCommand& command) override;
    void queuedFailed(SataCommand const& command) override;
    SataDeviceState state() const override { return { m_state, std::nullopt }; }
    void replaceImage(BlockImage& image) override { m_image = &image; }
    Result<> check(SataDeviceState const& saved) const override;
    void load(SataDeviceState const& saved) override { m_state = *saved.disk; }

private:
    struct Range;
    void transfer(SataCommand& command, Range const& range, bool write, SataCommand::Transfer how, bool durable);
    void queued(SataCommand& command, bool write);
    void verify(SataCommand& command, Range const& range);
    void flush(SataCommand& command);
    void trim(SataCommand& command);
    void setFeatures(SataCommand& command);
    void identify(SataCommand& command) const;
    void readLog(SataCommand& command);

    BlockImage* m_image;
    std::string const m_serial;
    bool const m_readOnly;
    AtaDiskState m_state;
};

}
