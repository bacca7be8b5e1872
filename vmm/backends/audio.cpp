#include "vmm/backends/audio.h"

#include <algorithm>
#include <utility>

namespace vmm {

void AudioPort::connect(std::shared_ptr<AudioBackend> backend)
{
    std::shared_ptr<AudioBackend> before; // goes when the lock has gone
    std::lock_guard const lock(m_mutex);
    before = std::exchange(m_backend, std::move(backend));
    if (before && m_playing)
        before->setPlaying(false);
    if (before && m_recording)
        before->setRecording(false);
    if (m_backend && m_playing)
        m_backend->setPlaying(true);
    if (m_backend && m_recording)
        m_backend->setRecording(true);
}

void AudioPort::setPlaying(bool playing)
{
    std::lock_guard const lock(m_mutex);
    if (std::exchange(m_playing, playing) != playing && m_backend)
        m_backend->setPlaying(playing);
}

void AudioPort::play(std::span<AudioFrame const> frames)
{
    std::lock_guard const lock(m_mutex);
    if (m_backend && m_playing)
        m_backend->play(frames);
}

void AudioPort::setRecording(bool recording)
{
    std::lock_guard const lock(m_mutex);
    if (std::exchange(m_recording, recording) != recording && m_backend)
        m_backend->setRecording(recording);
}

void AudioPort::record(std::span<std::int16_t> samples)
{
    std::lock_guard const lock(m_mutex);
    if (m_backend && m_recording)
        m_backend->record(samples);
    else
        std::fill(samples.begin(), samples.end(), std::int16_t(0));
}

}
