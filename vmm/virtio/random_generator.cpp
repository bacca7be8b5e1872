#include "vmm/virtio/random_generator.h"

#include "vmm/state/reader.h"
#include "vmm/state/writer.h"

#include <algorithm>
#include <sys/random.h>

namespace vmm::virtio {

RandomGenerator::RandomGenerator(PciServices const& services, EventLoop& loop)
    : VirtioDevice(
        services, loop, { .id = 4, .classCode = 0x00ff00, .features = 0, .queueSizes = { 64 }, .configSize = 0 })
{
}

RandomGenerator::~RandomGenerator()
{
    detach();
    loop().call([this] { m_nextPeriod.reset(); });
}

/// Whether this period has something left; else the queue is looked at again in the next one.
bool RandomGenerator::mayFill()
{
    auto const now = EventLoop::now();
    if (now >= m_begin + period) {
        m_begin = now;
        m_spent = 0;
    }
    if (m_spent < bytesPerPeriod)
        return true;
    m_nextPeriod = loop().at(m_begin + period, [this] { kick(0); });
    return false;
}

void RandomGenerator::serve(unsigned index)
{
    while (mayFill()) {
        queue(index).suppressKicks();
        if (queue(index).take(m_chain) != Queue::Taken::Chain) {
            if (!queue(index).allowKicks())
                return;
            continue;
        }
        std::size_t filled = 0;
        for (auto const& part : m_chain.writable) {
            auto const length = std::min(part.iov_len, bytesPerBuffer - filled);
            if (length == 0)
                break;
            // The guest's memory itself: nobody else has to know the bytes.
            auto const got = ::getrandom(part.iov_base, length, 0);
            filled += got > 0 ? static_cast<std::size_t>(got) : 0;
            if (got != static_cast<ssize_t>(length))
                break;
        }
        m_spent += filled + 64; // an empty buffer is not for nothing either
        give(index, m_chain.head, static_cast<std::uint32_t>(filled));
    }
}

Section RandomGenerator::save() const
{
    return state::save(State { pciState(), transportState() });
}

Result<> RandomGenerator::load(Section const& section)
{
    auto const saved = TRY(state::load<State>(section));
    TRY(checkTransport(saved.pci, saved.transport));
    loadTransport(saved.pci, saved.transport);
    return {};
}

}
