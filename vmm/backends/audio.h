#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

namespace vmm {

constexpr unsigned audioRate = 48000; ///< frames a second, of all sound between guests and the host

/// A sample for each ear.
struct AudioFrame {
    std::int16_t left = 0, right = 0;
    bool operator==(AudioFrame const&) const = default;
};

/// The host's side of a sound card. A device calls it with its lock held, so nothing here waits: not for the host's
/// sound, and not for a thread that does.
class AudioBackend {
public:
    virtual ~AudioBackend() = default;
    /// The guest's stream is open: frames come at audioRate by the guest's clock, or not while the guest has none. A
    /// machine that stands still has no stream open.
    virtual void setPlaying(bool playing) = 0;
    virtual void play(std::span<AudioFrame const> frames) = 0;
    virtual void setRecording(bool recording) = 0;
    /// Fills all of `samples` (one channel), with silence where nothing was heard.
    virtual void record(std::span<std::int16_t> samples) = 0;
};

/// What a sound card is plugged into: a backend that can come and go while the guest plays, or none, and then nobody
/// hears it and it hears nothing. Any thread.
class AudioPort final : public AudioBackend {
public:
    void connect(std::shared_ptr<AudioBackend> backend);

    void setPlaying(bool playing) override;
    void play(std::span<AudioFrame const> frames) override;
    void setRecording(bool recording) override;
    void record(std::span<std::int16_t> samples) override;

private:
    std::mutex m_mutex;
    std::shared_ptr<AudioBackend> m_backend;
    bool m_playing = false, m_recording = false;
};

}
