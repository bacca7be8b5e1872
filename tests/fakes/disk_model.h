#pragma once

#include "vmm/base/log.h"
#include "vmm/block/image.h"

#include <algorithm>
#include <deque>
#include <random>
#include <string>

namespace tests {

/// What a disk must contain: random requests go to an image and to this, several in flight and never two on the same
/// sectors (which would have no right answer), often on the same clusters.
class DiskModel {
public:
    DiskModel(std::uint64_t size, unsigned seed)
        : m_random(seed), m_content(size), m_known(size / 512, true), m_durable(size), m_durableKnown(size / 512, true)
    {
    }

    vmm::Bytes& content() { return m_content; }
    /// What the disk contains now counts as durable.
    void noteDurable()
    {
        m_durable = m_content;
        m_durableKnown = m_known;
    }
    unsigned failures() const { return m_failures; }

    /// The disk as it is now, to be compared with or gone back to later.
    struct Moment {
        vmm::Bytes content;
        std::vector<bool> known;
    };
    Moment moment() const { return { m_content, m_known }; }
    void goBack(Moment const& moment)
    {
        m_content = moment.content;
        m_known = moment.known;
        noteDurable();
    }
    static std::string compare(vmm::BlockImage& image, Moment const& moment)
    {
        return compare(image, moment.content, moment.known);
    }

    /// `batches` of up to eight requests at once. Returns what was wrong, or nothing. Failing requests leave what they
    /// were to change unknown.
    std::string run(vmm::BlockImage& image, vmm::IoEngine& engine, unsigned batches, bool withDiscard = true)
    {
        for (unsigned i = 0; i < batches; ++i) {
            if (auto problem = runBatch(image, engine, withDiscard); !problem.empty())
                return problem;
        }
        return {};
    }

    std::string flush(vmm::BlockImage& image)
    {
        if (auto const result = image.runSync(vmm::BlockRequest::Kind::Flush, 0, 0); !result)
            return result.error().message();
        noteDurable();
        return {};
    }

    /// Compares everything that is known.
    std::string compare(vmm::BlockImage& image) const { return compare(image, m_content, m_known); }
    /// The same with what was durable: for an image after a power cut.
    std::string compareDurable(vmm::BlockImage& image) const { return compare(image, m_durable, m_durableKnown); }

private:
    using Kind = vmm::BlockRequest::Kind;

    struct Running {
        vmm::BlockRequest request;
        vmm::Bytes data;
        std::vector<iovec> buffers;
        bool done = false;
        bool failed = false;
    };

    std::string runBatch(vmm::BlockImage& image, vmm::IoEngine& engine, bool withDiscard)
    {
        std::deque<Running> batch;
        auto const sectors = m_content.size() / 512;
        auto const near = m_random() % sectors; // so that requests meet in the same clusters
        for (unsigned i = 0, count = 1 + m_random() % 8; i < count; ++i) {
            auto& running = batch.emplace_back();
            auto& request = running.request;
            auto const choice = m_random() % 16;
            request.kind = choice < 7 ? Kind::Write
                : choice < 12         ? Kind::Read
                : choice == 12        ? Kind::Flush
                : choice == 13        ? (withDiscard ? Kind::Discard : Kind::Read)
                                      : Kind::WriteZeroes;
            request.mayUnmap = choice == 14;
            if (request.kind != Kind::Flush) {
                auto const first = (m_random() % 2 == 0 ? m_random() : near + m_random() % 64) % sectors;
                auto const most = m_random() % 4 == 0 ? 600 : 24;
                auto const length = std::min<std::uint64_t>(1 + m_random() % most, sectors - first);
                request.offset = first * 512;
                request.length = length * 512;
                bool const overlaps = std::ranges::any_of(batch, [&](Running const& other) {
                    return &other != &running && other.request.kind != Kind::Flush
                        && other.request.offset < request.offset + request.length
                        && request.offset < other.request.offset + other.request.length;
                });
                if (overlaps) {
                    batch.pop_back();
                    continue;
                }
            }
            prepare(running);
        }
        for (auto& running : batch) {
            if (changes(running)) {
                auto const first = running.request.offset / 512;
                std::fill_n(
                    m_durableKnown.begin() + static_cast<std::ptrdiff_t>(first), running.request.length / 512, false);
            }
            image.submit(running.request);
            if (m_random() % 4 == 0)
                engine.wait();
        }
        auto const allDone = [&] { return std::ranges::all_of(batch, &Running::done); };
        while (!allDone()) {
            if (!engine.wait() && !allDone())
                return "a request never completes";
        }
        for (auto& running : batch) {
            if (auto problem = judge(running); !problem.empty())
                return problem;
        }
        return {};
    }

    static bool changes(Running const& running)
    {
        return running.request.kind != Kind::Flush && running.request.kind != Kind::Read;
    }

    void prepare(Running& running)
    {
        auto& request = running.request;
        if (request.kind == Kind::Write || request.kind == Kind::Read) {
            running.data.resize(request.length);
            if (request.kind == Kind::Write) {
                auto const seed = m_random();
                for (std::size_t i = 0; i < running.data.size(); ++i)
                    running.data[i] = static_cast<std::uint8_t>((i * 31 + seed) >> (i / 512 % 8));
            }
            for (std::size_t at = 0; at < running.data.size();) {
                auto const count = std::min<std::size_t>(running.data.size() - at, 1 + m_random() % 3000);
                running.buffers.push_back({ running.data.data() + at, count });
                at += count;
            }
            request.buffers = running.buffers;
        }
        request.completed = [&running](vmm::Result<> result) {
            running.done = true;
            running.failed = !result.has_value();
        };
    }

    std::string judge(Running& running)
    {
        auto const& request = running.request;
        auto const at = static_cast<std::ptrdiff_t>(request.offset);
        auto const first = static_cast<std::ptrdiff_t>(request.offset / 512);
        auto const count = static_cast<std::ptrdiff_t>(request.length / 512);
        m_failures += running.failed ? 1 : 0;
        switch (request.kind) {
        case Kind::Flush: break;
        case Kind::Read:
            for (std::ptrdiff_t i = 0; i < count && !running.failed; ++i) {
                auto const* sector = running.data.data() + i * 512;
                if (m_known[static_cast<std::size_t>(first + i)]
                    && !std::equal(sector, sector + 512, m_content.begin() + at + i * 512))
                    return fmt::format("sector {} was read wrongly", first + i);
            }
            break;
        case Kind::Write: std::ranges::copy(running.data, m_content.begin() + at); break;
        case Kind::Discard: break;
        case Kind::WriteZeroes: std::fill_n(m_content.begin() + at, request.length, 0); break;
        }
        if (changes(running))
            std::fill_n(m_known.begin() + first, count, request.kind != Kind::Discard && !running.failed);
        return {};
    }

    static std::string compare(vmm::BlockImage& image, vmm::Bytes const& expected, std::vector<bool> const& known)
    {
        vmm::Bytes data(expected.size());
        if (auto const read = image.readSync(0, data); !read)
            return read.error().message();
        for (std::size_t i = 0; i < known.size(); ++i) {
            auto const at = static_cast<std::ptrdiff_t>(i * 512);
            if (known[i] && !std::equal(data.begin() + at, data.begin() + at + 512, expected.begin() + at))
                return fmt::format("sector {} is wrong", i);
        }
        return {};
    }

    std::mt19937 m_random;
    vmm::Bytes m_content;
    std::vector<bool> m_known;
    vmm::Bytes m_durable;
    std::vector<bool> m_durableKnown;
    unsigned m_failures = 0;
};

}
