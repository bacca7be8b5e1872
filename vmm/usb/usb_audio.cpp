#include "vmm/usb/usb_audio.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace vmm {

namespace {

constexpr std::uint8_t outEndpoint = 0x01, inEndpoint = 0x82;
constexpr std::uint8_t loudspeakerUnit = 2, microphoneUnit = 5;
constexpr unsigned loudspeakerChannels = 2, microphoneChannels = 1;
constexpr unsigned framesInPacket = audioRate / 1000, mostFramesInPacket = framesInPacket + 1;

// Audio Devices 1.0, Appendix A "Audio Device Class Codes".
enum AudioRequest : std::uint8_t {
    SetCurrent = 0x01,
    GetCurrent = 0x81,
    GetMinimum = 0x82,
    GetMaximum = 0x83,
    GetResolution = 0x84
};
enum FeatureControl : std::uint8_t { MuteControl = 1, VolumeControl = 2 };
constexpr unsigned toInterface = 0x21, fromInterface = 0xa1; // [bmRequestType]

constexpr std::uint8_t low(unsigned value)
{
    return static_cast<std::uint8_t>(value);
}
constexpr std::uint8_t high(unsigned value)
{
    return static_cast<std::uint8_t>(value >> 8);
}

/// Audio Devices 1.0, chapter 4 "Descriptors".
UsbDescriptors descriptorsOf(std::string const& id)
{
    constexpr std::uint8_t audioClass = 1, control = 1, streaming = 2, ofInterface = 0x24, ofEndpoint = 0x25;
    constexpr std::uint8_t header = 1, inputTerminal = 2, outputTerminal = 3, featureUnit = 6, general = 1, format = 2;
    constexpr std::uint8_t usb = 0x01, microphone = 0x01,
                           loudspeaker = 0x01; // low bytes of terminal types 01xx to 03xx
    constexpr std::uint8_t mute = 1 << 0, volume = 1 << 1, pcm = 1, typeOne = 1;
    constexpr std::uint8_t isochronous = 1, adaptive = 2 << 2, synchronous = 3 << 2;
    constexpr unsigned outPacket = mostFramesInPacket * 4, inPacket = mostFramesInPacket * 2;
    constexpr unsigned controlsLength = 10 + 12 + 10 + 9 + 12 + 9 + 9;

    auto const pcmFormat = [](unsigned channels) -> Bytes {
        return { 11, ofInterface, format, typeOne, low(channels), 2, 16, 1, low(audioRate), high(audioRate),
            low(audioRate >> 16) };
    };
    UsbDescriptors descriptors;
    descriptors.device = { 18, 1, 0x10, 0x01, 0, 0, 0, 64, 0x27, 0x06, 0x40, 0x00, 0x00, 0x01, 1, 2, 3, 1 };
    descriptors.configuration = usbConfiguration(3, 0,
        { { 9, 4, 0, 0, 0, audioClass, control, 0, 0 },
            { 10, ofInterface, header, 0x00, 0x01, low(controlsLength), high(controlsLength), 2, 1, 2 },
            // What the guest plays: terminal 1, unit 2, terminal 3.
            { 12, ofInterface, inputTerminal, 1, usb, 0x01, 0, loudspeakerChannels, 0x03, 0x00, 0, 0 },
            { 10, ofInterface, featureUnit, loudspeakerUnit, 1, 1, mute, volume, volume, 0 },
            { 9, ofInterface, outputTerminal, 3, loudspeaker, 0x03, 0, loudspeakerUnit, 0 },
            // What it hears: terminal 4, unit 5, terminal 6.
            { 12, ofInterface, inputTerminal, 4, microphone, 0x02, 0, microphoneChannels, 0x00, 0x00, 0, 0 },
            { 9, ofInterface, featureUnit, microphoneUnit, 4, 1, mute, volume, 0 },
            { 9, ofInterface, outputTerminal, 6, usb, 0x01, 0, microphoneUnit, 0 },

            { 9, 4, 1, 0, 0, audioClass, streaming, 0, 0 }, { 9, 4, 1, 1, 1, audioClass, streaming, 0, 0 },
            { 7, ofInterface, general, 1, 1, pcm, 0 }, pcmFormat(loudspeakerChannels),
            { 9, 5, outEndpoint, isochronous | adaptive, low(outPacket), high(outPacket), 1, 0, 0 },
            { 7, ofEndpoint, general, 0, 0, 0, 0 },

            { 9, 4, 2, 0, 0, audioClass, streaming, 0, 0 }, { 9, 4, 2, 1, 1, audioClass, streaming, 0, 0 },
            { 7, ofInterface, general, 6, 1, pcm, 0 }, pcmFormat(microphoneChannels),
            { 9, 5, inEndpoint, isochronous | synchronous, low(inPacket), high(inPacket), 1, 0, 0 },
            { 7, ofEndpoint, general, 0, 0, 0, 0 } });
    descriptors.strings = { "Chronovisor", "USB Audio", id };
    return descriptors;
}

float gainOf(UsbAudio::Feature const& feature, unsigned channel)
{
    auto const volume = feature.volumes[channel];
    if (feature.muted || volume <= UsbAudio::silence)
        return 0;
    return std::pow(10.0f, static_cast<float>(volume) / (20 * 256));
}

std::int16_t amplified(std::int16_t sample, float gain)
{
    return static_cast<std::int16_t>(std::lround(static_cast<float>(sample) * gain));
}

}

UsbAudio::UsbAudio(std::string const& id, AudioBackend& backend)
    : EmulatedUsbDevice(UsbSpeed::Full, "audio " + id, descriptorsOf(id)), m_backend(backend)
{
}

UsbAudio::~UsbAudio()
{
    m_running = false;
    follow();
}

void UsbAudio::follow()
{
    m_backend.setPlaying(isOpen(Playing));
    m_backend.setRecording(isOpen(Recording));
}

void UsbAudio::reset()
{
    m_standard = {};
    m_loudspeakers = m_microphone = {};
    follow();
}

/// The volumes stay: they are the device's, and not its configuration's.
void UsbAudio::unconfigured()
{
    follow();
}

void UsbAudio::setHost(UsbHost* host)
{
    UsbDevice::setHost(host);
    follow();
}

void UsbAudio::setSuspended(bool suspended)
{
    EmulatedUsbDevice::setSuspended(suspended);
    follow();
}

void UsbAudio::pause()
{
    std::unique_lock<std::mutex> lock;
    if (isPlugged())
        lock = std::unique_lock(host().usbMutex());
    m_running = false;
    follow();
}

void UsbAudio::resume()
{
    std::unique_lock<std::mutex> lock;
    if (isPlugged())
        lock = std::unique_lock(host().usbMutex());
    m_running = true;
    follow();
}

bool UsbAudio::setAlternate(unsigned interface, unsigned setting)
{
    if (setting > (interface == Playing || interface == Recording ? 1u : 0u) || interface > Recording)
        return false;
    m_standard.alternates[interface] = static_cast<std::uint8_t>(setting);
    follow();
    return true;
}

/// "Feature Unit Control Requests".
void UsbAudio::request(UsbTransfer& transfer)
{
    auto const entity = transfer.index() >> 8, interface = transfer.index() & 0xff;
    bool const isOurs = interface == Controls && (entity == loudspeakerUnit || entity == microphoneUnit);
    if (!isOurs)
        return complete(transfer, UsbStatus::Stall);
    auto& feature = entity == loudspeakerUnit ? m_loudspeakers : m_microphone;
    auto const channels = entity == loudspeakerUnit ? loudspeakerChannels : microphoneChannels;
    if (transfer.setup[0] == fromInterface)
        return get(feature, channels, transfer);
    bool const good = transfer.setup[0] == toInterface && set(feature, channels, transfer);
    complete(transfer, good ? UsbStatus::Success : UsbStatus::Stall, good ? transfer.length : 0);
}

/// Mute is of the master channel, 0, and volume of the others.
bool UsbAudio::set(Feature& feature, unsigned channels, UsbTransfer const& transfer)
{
    unsigned const selector = transfer.value() >> 8, channel = transfer.value() & 0xff;
    std::array<std::uint8_t, 2> bytes {};
    auto const size = transfer.copyOut(bytes);
    if (transfer.setup[1] != SetCurrent)
        return false;
    if (selector == MuteControl && channel == 0 && size >= 1) {
        feature.muted = bytes[0] != 0;
        return true;
    }
    if (selector != VolumeControl || channel < 1 || channel > channels || size < 2)
        return false;
    // 5.2.2.4.3.2 "Volume Control": silence is always possible, whatever the range is.
    auto const asked = static_cast<std::int16_t>(loadLittle<std::uint16_t>(ConstByteSpan(bytes)));
    feature.volumes[channel - 1] = asked == silence ? silence : std::clamp(asked, lowest, loudest);
    return true;
}

void UsbAudio::get(Feature const& feature, unsigned channels, UsbTransfer& transfer)
{
    unsigned const selector = transfer.value() >> 8, channel = transfer.value() & 0xff;
    if (selector == MuteControl && channel == 0 && transfer.setup[1] == GetCurrent) {
        std::uint8_t const muted = feature.muted ? 1 : 0;
        return answer(transfer, { &muted, 1 });
    }
    if (selector != VolumeControl || channel < 1 || channel > channels)
        return complete(transfer, UsbStatus::Stall);
    std::int16_t value = 0;
    switch (transfer.setup[1]) {
    case GetCurrent: value = feature.volumes[channel - 1]; break;
    case GetMinimum: value = lowest; break;
    case GetMaximum: value = loudest; break;
    case GetResolution: value = step; break;
    default: return complete(transfer, UsbStatus::Stall);
    }
    std::array<std::uint8_t, 2> bytes {};
    storeLittle(ByteSpan(bytes), static_cast<std::uint16_t>(value));
    answer(transfer, bytes);
}

void UsbAudio::data(UsbTransfer& transfer)
{
    if (transfer.endpoint == outEndpoint)
        play(transfer);
    else if (transfer.endpoint == inEndpoint)
        record(transfer);
    else
        complete(transfer, UsbStatus::Stall);
}

/// Nobody acknowledges an isochronous packet: what is too long or comes to a closed stream is lost, and not an error.
void UsbAudio::play(UsbTransfer& transfer)
{
    if (isOpen(Playing)) {
        std::array<std::uint8_t, mostFramesInPacket * sizeof(AudioFrame)> bytes {};
        auto const size = transfer.copyOut(bytes);
        std::array<AudioFrame, mostFramesInPacket> frames;
        auto const count = size / sizeof(AudioFrame);
        auto const left = gainOf(m_loudspeakers, 0), right = gainOf(m_loudspeakers, 1);
        for (std::size_t i = 0; i < count; ++i) {
            auto const sample = [&](std::size_t at) {
                return static_cast<std::int16_t>(loadLittle<std::uint16_t>(ConstByteSpan(bytes).subspan(at, 2)));
            };
            frames[i] = { amplified(sample(4 * i), left), amplified(sample(4 * i + 2), right) };
        }
        m_backend.play(std::span(frames).first(count));
    }
    complete(transfer, UsbStatus::Success, transfer.length);
}

void UsbAudio::record(UsbTransfer& transfer)
{
    if (!isOpen(Recording))
        return complete(transfer, UsbStatus::Success);
    std::array<std::int16_t, framesInPacket> samples {};
    m_backend.record(samples);
    std::array<std::uint8_t, framesInPacket * 2> bytes {};
    auto const gain = gainOf(m_microphone, 0);
    for (std::size_t i = 0; i < samples.size(); ++i)
        storeLittle(ByteSpan(bytes).subspan(2 * i, 2), static_cast<std::uint16_t>(amplified(samples[i], gain)));
    auto const sent = transfer.copyIn(bytes);
    complete(transfer, sent == bytes.size() ? UsbStatus::Success : UsbStatus::Babble, sent);
}

/// Nothing waits here: each packet has ended when submit() returns.
void UsbAudio::cancel(UsbTransfer&) { }

Section UsbAudio::save() const
{
    return state::save(State { m_standard, m_loudspeakers, m_microphone });
}

Result<> UsbAudio::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    for (auto const* feature : { &saved.loudspeakers, &saved.microphone }) {
        for (auto const volume : feature->volumes) {
            if (volume != silence && (volume < lowest || volume > loudest))
                return fail(ErrorCode::Corrupt, fmt::format("a volume of {} / 256 dB", volume));
        }
    }
    m_standard = saved.standard;
    m_loudspeakers = saved.loudspeakers;
    m_microphone = saved.microphone;
    follow();
    return {};
}

}
