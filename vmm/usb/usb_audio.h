#pragma once

#include "vmm/backends/audio.h"
#include "vmm/usb/emulated_usb_device.h"

namespace vmm {

/// Loudspeakers and a microphone (Universal Serial Bus Device Class Definition for Audio Devices, Release 1.0; the
/// formats are of "Audio Data Formats", the terminals of "Terminal Types"). Version 1 at full speed, for every system
/// brings a driver for that: 48 kHz, 16 bits, two channels out and one in.
///
///   interface | endpoint | what
///   0         |          | controls: feature units 2 (loudspeakers) and 5 (microphone) have mute and volume
///   1         | 01       | a packet of 48 frames each millisecond, in alternate setting 1
///   2         | 82       | the same from the microphone
///
/// The guest sends by the controller's frames, so by its own clock. That the host's sound has another is not shown to
/// it: the loudspeakers are an adaptive endpoint, which takes what comes, the microphone a synchronous one, and the
/// AudioBackend levels the clocks out. An asynchronous endpoint with feedback was the alternative: the guest's driver
/// would then resample nothing and send 47 or 49 frames at times, but the feedback's format at full speed is what
/// drivers disagree about, its filter would be state, and a saved stream would go on with the feedback of another host.
///
/// Left out: other rates than 48 kHz, controls of all channels in one request (channel FFh), memory and status
/// requests.
///
/// Threads: as UsbDevice.
class UsbAudio final : public EmulatedUsbDevice {
public:
    /// In steps of 1/256 dB, as the guest asks for them; silence is -32768.
    static constexpr std::int16_t lowest = -60 * 256, loudest = 0, step = 128, silence = -32768;

    struct Feature {
        bool muted = false;
        std::array<std::int16_t, 2> volumes {}; ///< of the channels; the microphone has only the first
        bool operator==(Feature const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("muted", s.muted);
            v.field("volumes", s.volumes);
        }
    };
    struct State {
        static constexpr std::string_view kind = "usb-audio";
        static constexpr unsigned version = 1;
        UsbStandardState standard;
        Feature loudspeakers, microphone;
        bool operator==(State const&) const = default;
        static void describe(auto& v, auto& s)
        {
            v.field("standard", s.standard);
            v.field("loudspeakers", s.loudspeakers);
            v.field("microphone", s.microphone);
        }
    };

    UsbAudio(std::string const& id, AudioBackend& backend);
    ~UsbAudio() override;

    void reset() override;
    Result<> canSave() const override { return {}; }
    Section save() const override;
    Result<> load(Section const& section) override;
    void pause() override;
    void resume() override;
    void cancel(UsbTransfer& transfer) override;
    void setHost(UsbHost* host) override;
    void setSuspended(bool suspended) override;

private:
    enum Interface : std::uint8_t { Controls, Playing, Recording };

    void unconfigured() override;
    bool setAlternate(unsigned interface, unsigned setting) override;
    void data(UsbTransfer& transfer) override;
    void request(UsbTransfer& transfer) override;
    bool set(Feature& feature, unsigned channels, UsbTransfer const& transfer);
    void get(Feature const& feature, unsigned channels, UsbTransfer& transfer);
    void play(UsbTransfer& transfer);
    void record(UsbTransfer& transfer);
    bool isOpen(Interface interface) const
    {
        return isConfigured() && m_standard.alternates[interface] == 1 && isPlugged() && !m_standard.suspended
            && m_running;
    }
    /// Tells the backend which streams are open.
    void follow();

    AudioBackend& m_backend;
    Feature m_loudspeakers, m_microphone;
    bool m_running = true; // the machine does not stand still
};

}
