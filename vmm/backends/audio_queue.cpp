#include "vmm/backends/audio_queue.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace vmm {

namespace {

constexpr unsigned unit = 512;   // one frame, in m_fraction and m_step
constexpr std::size_t ahead = 3; // frames that interpolation looks at, from m_read on
constexpr double smoothing = 1.0 / 16;

}

AudioQueue::AudioQueue(unsigned channels, std::size_t target)
    : m_channels(channels),
      m_target(std::max(target, 2 * ahead)),
      m_capacity(std::bit_ceil(4 * m_target)),
      m_ring(m_capacity * m_channels),
      m_step(unit)
{
}

void AudioQueue::put(std::span<std::int16_t const> samples)
{
    std::lock_guard const lock(m_mutex);
    auto frames = samples.size() / m_channels;
    if (frames > m_target) { // of more than it is to hold the end is enough
        m_statistics.dropped += frames - m_target;
        samples = samples.subspan((frames - m_target) * m_channels);
        frames = m_target;
    }
    for (std::size_t i = 0; i < frames; ++i, ++m_written)
        std::copy_n(samples.begin() + static_cast<std::ptrdiff_t>(i * m_channels), m_channels,
            m_ring.begin() + static_cast<std::ptrdiff_t>(m_written % m_capacity * m_channels));
    // One frame before m_read stays, for interpolation.
    if (m_written - m_read < m_capacity)
        return;
    m_statistics.dropped += m_written - m_target - m_read;
    m_read = m_written - m_target;
    m_average = static_cast<double>(m_target);
}

void AudioQueue::clear()
{
    std::lock_guard const lock(m_mutex);
    m_read = m_written;
    m_fraction = 0;
    m_flows = false;
}

std::size_t AudioQueue::level() const
{
    std::lock_guard const lock(m_mutex);
    return m_written - m_read;
}

AudioQueue::Statistics AudioQueue::statistics() const
{
    std::lock_guard const lock(m_mutex);
    return m_statistics;
}

void AudioQueue::adjustSpeed()
{
    auto const level = static_cast<double>(m_written - m_read), target = static_cast<double>(m_target);
    m_average += (level - m_average) * smoothing;
    if (m_step == unit && std::abs(m_average - target) > target / 2) {
        m_step = m_average > target ? unit + 1 : unit - 1;
        ++m_statistics.stretches;
    }
}

/// The sample at m_read and the fraction after it: a cubic through four neighbours (Catmull-Rom).
std::int16_t AudioQueue::between(unsigned channel) const
{
    double const before = at(m_read == 0 ? 0 : m_read - 1, channel), here = at(m_read, channel),
                 next = at(m_read + 1, channel), after = at(m_read + 2, channel);
    auto const x = static_cast<double>(m_fraction) / unit;
    auto const value = here
        + x / 2
            * (next - before
                + x * (2 * before - 5 * here + 4 * next - after + x * (3 * (here - next) + after - before)));
    return static_cast<std::int16_t>(std::clamp(std::lround(value), -32768l, 32767l));
}

void AudioQueue::take(std::span<std::int16_t> samples)
{
    std::lock_guard const lock(m_mutex);
    auto to = samples.begin();
    if (!m_flows && m_written - m_read >= m_target) {
        m_flows = true;
        m_read = m_written - m_target; // the newest, where they have waited for somebody to take them
        m_fraction = 0;
        m_step = unit;
        m_average = static_cast<double>(m_target);
    }
    if (m_flows)
        adjustSpeed();
    for (; m_flows && samples.end() - to >= static_cast<std::ptrdiff_t>(m_channels);) {
        bool const plain = m_fraction == 0 && m_step == unit;
        if (m_written - m_read < (plain ? 1 : ahead)) {
            m_flows = false;
            ++m_statistics.gaps;
            break;
        }
        for (unsigned channel = 0; channel < m_channels; ++channel)
            *to++ = plain ? at(m_read, channel) : between(channel);
        m_fraction += m_step;
        m_read += m_fraction / unit;
        m_fraction %= unit;
        // Back at the middle, and at a whole frame: from here on every frame is as it was put in.
        auto const target = static_cast<double>(m_target);
        if (m_fraction == 0 && m_step != unit && (m_step > unit ? m_average <= target : m_average >= target))
            m_step = unit;
    }
    std::fill(to, samples.end(), std::int16_t(0));
}

}
