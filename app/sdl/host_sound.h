#pragma once

#include "app/sdl/module.h"
#include "vmm/backends/audio.h"
#include "vmm/backends/audio_queue.h"
#include "vmm/base/event_loop.h"

namespace app {

/// This host's sound, for one sound card of a machine. Nothing of it is open, or loaded, before the guest plays or
/// listens; a second after it has stopped it is closed again. A host that has no sound is silent, with a line in the
/// log, and is asked anew when the guest plays the next time. Any thread, and none waits.
class HostSound final : public vmm::AudioBackend {
public:
    /// What of this there is (host_sdl.h); tests have other ones. Called on `loop`.
    struct Sdl {
        vmm::EventLoop* loop = nullptr;
        std::function<vmm::Result<SdlFunctions>()> functions;
    };
    static Sdl ofThisHost();

    /// `name` is shown by the host's mixer.
    explicit HostSound(std::string name, Sdl sdl = ofThisHost());
    ~HostSound() override;

    void setPlaying(bool playing) override;
    void play(std::span<vmm::AudioFrame const> frames) override;
    void setRecording(bool recording) override;
    void record(std::span<std::int16_t> samples) override;

private:
    struct Way;
    struct Shared;
    void set(Way& way, bool open) const;

    Sdl const m_sdl;
    std::shared_ptr<Shared> m_shared; // with what was posted to the loop
};

}
