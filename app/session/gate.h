#pragma once

#include <QMetaObject>
#include <memory>
#include <mutex>
#include <utility>

namespace app {

/// Where answers from other threads come to an object of the GUI thread, for as long as there is one. Who owns it
/// closes it in its destructor.
template<typename Owner>
class Gate {
public:
    explicit Gate(Owner* owner) : m_owner(owner) { }

    /// Runs `work(owner)` on the owner's thread, unless it has gone by then. Any thread.
    template<typename Work>
    static void post(std::shared_ptr<Gate> const& gate, Work work)
    {
        std::lock_guard const lock(gate->m_mutex);
        if (gate->m_owner == nullptr)
            return;
        QMetaObject::invokeMethod(
            gate->m_owner,
            [gate, work = std::move(work)] {
                // On the owner's thread, where alone it is destroyed.
                if (auto* owner = gate->m_owner)
                    work(*owner);
            },
            Qt::QueuedConnection);
    }

    void close()
    {
        std::lock_guard const lock(m_mutex);
        m_owner = nullptr;
    }

private:
    std::mutex m_mutex;
    Owner* m_owner;
};

}
