#pragma once

#include "vmm/backends/audio.h"

#include <deque>
#include <vector>

namespace tests {

/// A host's sound that keeps what it hears, and says what a test has put in.
class FakeAudio final : public vmm::AudioBackend {
public:
    void setPlaying(bool now) override
    {
        changes += playing != now ? 1 : 0;
        playing = now;
    }
    void play(std::span<vmm::AudioFrame const> frames) override
    {
        heard.insert(heard.end(), frames.begin(), frames.end());
    }
    void setRecording(bool now) override
    {
        changes += recording != now ? 1 : 0;
        recording = now;
    }
    void record(std::span<std::int16_t> samples) override
    {
        for (auto& sample : samples) {
            sample = said.empty() ? std::int16_t(0) : said.front();
            if (!said.empty())
                said.pop_front();
        }
    }

    bool playing = false, recording = false;
    int changes = 0;
    std::vector<vmm::AudioFrame> heard;
    std::deque<std::int16_t> said;
};

}
