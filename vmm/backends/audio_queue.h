#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

namespace vmm {

/// Sound on its way between two clocks that should run at the same speed and do not: the guest's puts in, the host's
/// takes out, or the other way round. Either may come in bursts. Any thread; waits for nothing but a copy.
///
/// It begins when it holds `target` frames: that is the delay, and what either side may be late without a gap. While
/// the clocks agree, what is taken is what was put in, bit for bit. When the level has drifted half a target away,
/// frames are taken a 512th faster or slower (three hundredths of a semitone, interpolated) until it is back: clocks
/// that differ by less than 0.19 % leave no gap and no jump. More, or one side that stood still, ends in silence until
/// there is a target's worth again, or in the oldest frames being dropped.
class AudioQueue {
public:
    AudioQueue(unsigned channels, std::size_t target);

    // Samples of all channels in turn.
    void put(std::span<std::int16_t const> samples);
    /// Fills all of `samples`, with silence where there is nothing.
    void take(std::span<std::int16_t> samples);
    void clear();

    std::size_t level() const; ///< frames in it
    struct Statistics {
        std::uint64_t gaps = 0;      ///< how often it ran empty
        std::uint64_t dropped = 0;   ///< frames
        std::uint64_t stretches = 0; ///< how often it had to go faster or slower
    };
    Statistics statistics() const;

private:
    void adjustSpeed();
    std::int16_t at(std::uint64_t frame, unsigned channel) const
    {
        return m_ring[frame % m_capacity * m_channels + channel];
    }
    std::int16_t between(unsigned channel) const;

    unsigned const m_channels;
    std::size_t const m_target, m_capacity; // frames
    mutable std::mutex m_mutex;
    std::vector<std::int16_t> m_ring;
    std::uint64_t m_written = 0, m_read = 0; // frames ever
    unsigned m_fraction = 0;                 // of the way from m_read to the frame after it
    unsigned m_step = 0;                     // how far each frame that is taken leads
    double m_average = 0;                    // of the level, over some calls of take()
    bool m_flows = false;
    Statistics m_statistics;
};

}
