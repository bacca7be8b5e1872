#include "app/sdl/host_sound.h"

#include "app/sdl/host_sdl.h"
#include "vmm/base/log.h"

#include <chrono>
#include <utility>

namespace app {

namespace {

/// The delay between the guest and SDL, in frames: 43 ms. A third of it is what SDL takes or brings at once; the rest
/// is what the machine's thread may be late.
constexpr std::size_t delay = 2048;
constexpr std::chrono::seconds linger { 1 };

}

/// One direction. What is not the queue belongs to the loop's thread.
struct HostSound::Way {
    Way(SoundWay itsWay, unsigned channels) : way(itsWay), queue(channels, delay) { }
    SoundWay const way;
    vmm::AudioQueue queue;
    std::unique_ptr<SoundStream> stream;
    vmm::EventLoop::Handle closing; // a while after the guest has
    bool complained = false;
};

struct HostSound::Shared {
    explicit Shared(std::string itsName) : name(std::move(itsName)) { }
    std::string const name;
    Way playing { SoundWay::Playing, 2 }, recording { SoundWay::Recording, 1 };

    void open(Way& which, Sdl const& sdl)
    {
        which.closing.reset();
        if (which.stream)
            return;
        which.queue.clear();
        std::string problem;
        if (auto const functions = sdl.functions()) {
            auto const move
                = [&queue = which.queue, plays = which.way == SoundWay::Playing](std::span<std::int16_t> some) {
                      if (plays)
                          queue.take(some);
                      else
                          queue.put(some);
                  };
            which.stream = functions->openSound(which.way, name, move, problem); // ends before the queue
        } else {
            problem = functions.error().message();
        }
        if (!which.stream && !std::exchange(which.complained, true)) {
            vmm::log(vmm::LogLevel::Warning, "sound", "{}: this host {}, so the machine {}: {}", name,
                which.way == SoundWay::Playing ? "plays no sound" : "has nothing to record from",
                which.way == SoundWay::Playing ? "is silent" : "hears nothing", problem);
        }
        if (which.stream)
            which.complained = false;
    }

    void closeSoon(Way& which, vmm::EventLoop& loop)
    {
        if (which.stream)
            which.closing = loop.at(vmm::EventLoop::now() + linger, [this, &which] { close(which); });
    }

    void close(Way& which) const
    {
        if (!std::exchange(which.stream, nullptr))
            return;
        auto const figures = which.queue.statistics();
        vmm::log(vmm::LogLevel::Debug, "sound", "{}: closed; so far {} gaps, {} frames dropped, {} times out of step",
            name, figures.gaps, figures.dropped, figures.stretches);
    }

    void end()
    {
        for (auto* way : { &playing, &recording }) {
            way->closing.reset();
            close(*way);
        }
    }
};

HostSound::Sdl HostSound::ofThisHost()
{
    return { sdlLoop(), &sdlFunctions };
}

HostSound::HostSound(std::string name, Sdl sdl)
    : m_sdl(std::move(sdl)), m_shared(std::make_shared<Shared>(std::move(name)))
{
}

HostSound::~HostSound()
{
    if (m_sdl.loop)
        m_sdl.loop->post([shared = std::move(m_shared)] { shared->end(); });
}

void HostSound::set(Way& way, bool open) const
{
    if (!m_sdl.loop)
        return;
    m_sdl.loop->post([shared = m_shared, &way, open, sdl = m_sdl] {
        if (open)
            shared->open(way, sdl);
        else
            shared->closeSoon(way, *sdl.loop);
    });
}

void HostSound::setPlaying(bool playing)
{
    set(m_shared->playing, playing);
}

void HostSound::play(std::span<vmm::AudioFrame const> frames)
{
    static_assert(sizeof(vmm::AudioFrame) == 2 * sizeof(std::int16_t));
    m_shared->playing.queue.put({ &frames.data()->left, 2 * frames.size() });
}

void HostSound::setRecording(bool recording)
{
    set(m_shared->recording, recording);
}

void HostSound::record(std::span<std::int16_t> samples)
{
    m_shared->recording.queue.take(samples);
}

}
