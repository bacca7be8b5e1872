#include "app/library/library_private.h"
#include "app/usb/usb_rule_store.h"

/// What a person changes of machines that there are.
namespace app {

void Library::rename(QString const& id, QString const& name, Done<void> done)
{
    if (isTaken(name, id))
        return done(vmm::fail(vmm::ErrorCode::AlreadyExists, "there is a machine called " + name.toStdString()));
    m_private->write(
        [this, id = id.toStdString(), name = name.toStdString()] { return m_store.rename(id, name); }, std::move(done));
}

void Library::changeSettings(
    vmm::VmConfig config, std::vector<NewDisk> newDisks, std::vector<std::string> unwanted, Done<void> done)
{
    auto const* changed = session(text(config.uuid));
    if (changed != nullptr && changed->runner()->state() != SessionState::Off) {
        return done(vmm::fail(vmm::ErrorCode::NotNow,
            std::string("the machine is ") + std::string(stateName(changed->runner()->state()))));
    }
    auto const before = changed != nullptr ? changed->runner() : nullptr;
    auto const id = text(config.uuid);
    auto const trashed = std::make_shared<std::string>();
    m_private->write(
        [this, before, trashed, config = std::move(config), newDisks = std::move(newDisks),
            unwanted = std::move(unwanted)]() -> vmm::Result<> {
            if (before)
                Private::keepBeforeChange(*before, config);
            *trashed = TRY(m_store.save(config, newDisks, unwanted));
            return {};
        },
        [this, id, trashed, done = std::move(done)](vmm::Result<> const& saved) {
            done(saved);
            if (!trashed->empty())
                emit imagesRemoved(id, text(*trashed));
        });
}

void Library::changePolicy(QString const& id, vmm::timeline::Policy const& policy, Done<void> done)
{
    auto const* changed = session(id);
    if (changed == nullptr)
        return done(vmm::fail(vmm::ErrorCode::NotFound, "there is no machine " + id.toStdString()));
    changed->runner()->setPolicy(
        policy, m_private->onOurThread([done = std::move(done)](vmm::Result<> const& outcome) { done(outcome); }));
}

void Library::changeNotes(QString const& id, QString const& notes, Done<void> done)
{
    m_private->write(
        [this, id = id.toStdString(), notes = notes.toStdString()] {
            return m_store.change(id, [&](vmm::VmConfig& config) { config.notes = notes; });
        },
        std::move(done));
}

void Library::changeWhileInMemory(vmm::VmConfig const& wanted, Done<void> const& done)
{
    auto const id = text(wanted.uuid);
    auto* changed = session(id);
    if (changed == nullptr)
        return done(vmm::fail(vmm::ErrorCode::NotFound, "there is no machine " + wanted.uuid));
    struct Change {
        vmm::Result<> outcome;
        std::size_t waiting = 1;
    };
    auto const change = std::make_shared<Change>();
    auto const arrived = [this, id = wanted.uuid, name = wanted.name, notes = wanted.notes, change, done] {
        if (--change->waiting > 0)
            return;
        // Name and notes are kept, whatever else was refused; of what the machine has taken keepNetwork() is told.
        auto const apply = [name, notes](vmm::VmConfig& config) {
            config.name = name;
            config.notes = notes;
        };
        m_private->write([this, id, apply] { return m_store.change(id, apply); },
            [change, done](vmm::Result<> const& saved) { done(change->outcome ? saved : change->outcome); });
    };
    auto const inMachine = changed->config().networks;
    for (auto const& network : wanted.networks) {
        auto const now
            = std::find_if(inMachine.begin(), inMachine.end(), [&](auto const& one) { return one.id == network.id; });
        if (!isInMemory(changed->state()) || now == inMachine.end() || now->forwards == network.forwards)
            continue;
        ++change->waiting;
        changed->runner()->setForwards(
            network.id, network.forwards, m_private->onOurThread([change, arrived](vmm::Result<> const& outcome) {
                if (!outcome)
                    change->outcome = outcome;
                arrived();
            }));
    }
    arrived();
}

void Library::setConnected(QString const& id, QString const& network, bool connected, Done<void> done)
{
    auto* changed = session(id);
    if (changed != nullptr && isInMemory(changed->runner()->state())) {
        changed->runner()->setConnected(network.toStdString(), connected,
            m_private->onOurThread([done = std::move(done)](vmm::Result<> const& o) { done(o); }));
        return;
    }
    if (changed != nullptr && changed->runner()->state() == SessionState::Suspended)
        return done(vmm::fail(vmm::ErrorCode::NotNow, "the machine is suspended"));
    m_private->write(
        [this, id = id.toStdString(), network = network.toStdString(), connected] {
            return m_store.change(id, [&](vmm::VmConfig& config) {
                for (auto& one : config.networks) {
                    if (one.id == network)
                        one.connected = connected;
                }
            });
        },
        std::move(done));
}

HostUsbWatch& Library::hostUsb()
{
    if (!m_private->hostUsb)
        m_private->hostUsb = std::make_unique<HostUsbWatch>(m_store.root());
    return *m_private->hostUsb;
}

void Library::changeUsbRules(std::function<vmm::Result<>(UsbRules&)> change, Done<void> done)
{
    m_private->onWriter(
        [root = m_store.root(), change = std::move(change)] { return UsbRuleStore(root).change(change); },
        [this, done = std::move(done)](vmm::Result<UsbRules> const& changed) {
            hostUsb().refresh();
            done(changed ? vmm::Result<>() : vmm::fail(changed.error()));
        });
}

void Library::setPlugged(QString const& id, QString const& device, bool plugged, Done<void> done)
{
    auto* changed = session(id);
    if (changed != nullptr && isInMemory(changed->runner()->state())) {
        changed->runner()->setPlugged(device.toStdString(), plugged,
            m_private->onOurThread([done = std::move(done)](vmm::Result<> const& o) { done(o); }));
        return;
    }
    if (changed != nullptr && changed->runner()->state() == SessionState::Suspended)
        return done(vmm::fail(vmm::ErrorCode::NotNow, "the machine is suspended"));
    m_private->write([this, id = id.toStdString(), device = device.toStdString(),
                         plugged] { return m_store.keepPlugged(id, device, plugged); },
        std::move(done));
}

void Library::addUsb(QString const& id, vmm::UsbAddition device, Done<void> done)
{
    auto* changed = session(id);
    if (changed == nullptr)
        return done(vmm::fail(vmm::ErrorCode::NotFound, "there is no machine " + id.toStdString()));
    // It is written when the session has told of it.
    auto const tell = m_private->onOurThread([done = std::move(done)](vmm::Result<> const& o) { done(o); });
    changed->runner()->addUsb(std::move(device),
        [tell](vmm::Result<std::string> const& added) { tell(added ? vmm::Result<>() : vmm::fail(added.error())); });
}

void Library::removeUsb(QString const& id, QString const& device, Done<void> done)
{
    auto* changed = session(id);
    if (changed == nullptr)
        return done(vmm::fail(vmm::ErrorCode::NotFound, "there is no machine " + id.toStdString()));
    changed->runner()->removeUsb(
        device.toStdString(), m_private->onOurThread([done = std::move(done)](vmm::Result<> const& o) { done(o); }));
}

}
