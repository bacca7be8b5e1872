#include "app/runner/unasked_thinning.h"

#include <utility>

namespace app {

void UnaskedThinning::soon()
{
    m_timer = m_loop().at(vmm::EventLoop::now() + m_minute, [this] { now(); });
}

void UnaskedThinning::now()
{
    m_again = m_stop != nullptr;
    if (m_stop)
        return;
    m_stop = std::make_shared<std::atomic<bool>>(false);
    m_thin(m_stop, [this] {
        m_stop.reset();
        if (std::exchange(m_again, false))
            now();
    });
}

void UnaskedThinning::end()
{
    m_timer.reset();
    m_again = false;
    if (m_stop)
        *m_stop = true;
}

}
