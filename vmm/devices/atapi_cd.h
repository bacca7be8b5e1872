#pragma once

#include "vmm/devices/sata_device.h"

#include <functional>

namespace vmm {

/// A CD or DVD drive that takes SCSI commands in ATA packets (INCITS 430 MMC-5 and SPC-3; ACS-3, 7.18 "PACKET"): discs
/// of one data track, from an image. The guest can lock the tray and open it; the host puts discs in and takes them
/// out. Left out: audio, raw sectors (READ CD), writing, several sessions.
class AtapiCd final : public SataDevice {
public:
    static constexpr std::uint64_t blockSize = 2048;

    /// `ejected`: the guest has opened the tray with a medium in it, which is not used any more. Called with the
    /// controller's mutex held.
    AtapiCd(EventLoop& loop, std::function<void()> ejected);

    // The host's side, with the controller's mutex held.

    bool isLocked() const { return m_state.locked; }
    bool hasMedium() const { return m_state.medium; }
    /// The person presses the button on a locked drive: the guest hears of it.
    void noteEjectRequest();
    /// null: none. The tray is closed with a medium, and open without.
    void setMedium(BlockImage* image);

    std::uint32_t signature() const override { return 0xeb140101; }
    std::uint8_t statusAfterReset() const override { return 0; }
    void powerOn() override;
    void reset() override;
    void begin(SataCommand& command) override;
    SataDeviceState state() const override { return { std::nullopt, m_state }; }
    Result<> check(SataDeviceState const& saved) const override;
    void load(SataDeviceState const& saved) override;

private:
    struct Sense {
        std::uint8_t key, code, qualifier;
    };
    std::uint32_t blocks() const;
    void begunPacket(SataCommand& command);
    void execute(SataCommand& command);
    void fail(SataCommand& command, Sense sense);
    bool reportAttention(SataCommand& command);
    bool reportNoMedium(SataCommand& command);
    void answer(SataCommand& command, ConstByteSpan data, std::uint64_t allocated);
    void identify(SataCommand& command) const;
    void requestSense(SataCommand& command);
    void inquiry(SataCommand& command);
    void read(SataCommand& command, std::uint32_t block, std::uint32_t count);
    void readToc(SataCommand& command);
    void readDiscInformation(SataCommand& command);
    void modeSense(SataCommand& command, bool wide);
    void getConfiguration(SataCommand& command);
    void getEventStatus(SataCommand& command);
    void mechanismStatus(SataCommand& command);
    void startStop(SataCommand& command);

    std::function<void()> const m_ejected;
    BlockImage* m_image = nullptr; // what the host has put in
    AtapiCdState m_state;
};

}
