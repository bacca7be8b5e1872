#include "app/control/machine_readers.h"

namespace app::control {

vmm::Result<> MachineReaders::Reader::post(Task task)
{
    if (!thread)
        thread = TRY(vmm::LoopThread::start("control reader"));
    thread->loop().post(std::move(task));
    return {};
}

vmm::Result<> MachineReaders::read(std::string const& machine, Task task)
{
    return m_readers[machine].post(std::move(task));
}

vmm::Result<> MachineReaders::change(std::string const& machine, Task task, LooksUp looksUp)
{
    auto& reader = m_readers[machine];
    if (looksUp == LooksUp::No && reader.changes == 0) {
        task();
        return {};
    }
    ++reader.changes;
    auto posted = reader.post([task = std::move(task), &reader] {
        task();
        --reader.changes;
    });
    if (!posted)
        --reader.changes;
    return posted;
}

void MachineReaders::keepOnly(std::set<std::string> const& machines)
{
    for (auto reader = m_readers.begin(); reader != m_readers.end();) {
        auto const its = reader++;
        if (!machines.contains(its->first))
            end(m_readers.extract(its));
    }
}

void MachineReaders::end(Readers::node_type reader)
{
    if (!m_ender) {
        auto started = vmm::LoopThread::start("control ender");
        if (!started)
            return; // it is waited for here
        m_ender = std::move(*started);
    }
    m_ender->loop().post([gone = std::make_shared<Readers::node_type>(std::move(reader))] { *gone = {}; });
}

}
