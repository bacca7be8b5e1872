#include "app/library/host_usb_watch.h"

#include "app/session/gate.h"
#include "app/usb/usb_rule_store.h"
#include "vmm/base/event_loop.h"

#include <QFileSystemWatcher>
#include <QTimer>

namespace app {

/// What one look tells.
struct HostUsbWatch::Found {
    std::shared_ptr<vmm::HostUsb> usb;
    std::optional<vmm::Error> problem, rulesProblem;
    std::vector<HostUsbEntry> devices;
    UsbRules rules;
    bool isAskedFor = false; ///< by refresh()
};

struct HostUsbWatch::Private {
    Private(HostUsbWatch& owner, std::string root)
        : store(std::move(root)), gate(std::make_shared<Gate<HostUsbWatch>>(&owner))
    {
    }

    static Found look(UsbRuleStore const& store)
    {
        Found found;
        if (auto rules = store.read())
            found.rules = std::move(*rules);
        else
            found.rulesProblem = rules.error();
        if (auto usb = app::hostUsb()) {
            found.devices = listHostUsb(**usb, found.rules);
            found.usb = std::move(*usb);
        } else {
            found.problem = usb.error();
        }
        return found;
    }

    UsbRuleStore store;
    std::shared_ptr<Gate<HostUsbWatch>> gate;
    QFileSystemWatcher files;
    QTimer soon; // several changes of one moment are one look
    bool isOpen = false, isLooking = false, looksAgain = false, isAsked = false;
    std::shared_ptr<vmm::HostUsb> usb;
    std::unique_ptr<vmm::HostUsb::Listener> listener;
    std::unique_ptr<vmm::LoopThread> reader;
};

HostUsbWatch::HostUsbWatch(std::string root, QObject* parent)
    : QObject(parent), m_private(std::make_unique<Private>(*this, std::move(root)))
{
    constexpr int settling = 50; // ms
    m_private->soon.setSingleShot(true);
    m_private->soon.setInterval(settling);
    connect(&m_private->soon, &QTimer::timeout, this, [this] { look(); });
    connect(&m_private->files, &QFileSystemWatcher::directoryChanged, this, [this] { m_private->soon.start(); });
}

HostUsbWatch::~HostUsbWatch()
{
    m_private->gate->close();
}

void HostUsbWatch::open()
{
    if (std::exchange(m_private->isOpen, true))
        return;
    auto started = vmm::LoopThread::start("host usb");
    if (!started)
        return take({ .problem = started.error() });
    m_private->reader = std::move(*started);
    // Where the first cannot be made, what other machines take and let go is seen with the next look.
    vmm::ignore(UsbClaim::makeDirectory());
    m_private->files.addPath(QString::fromStdString(UsbClaim::directory()));
    m_private->files.addPath(QString::fromStdString(m_private->store.directory()));
    look();
}

void HostUsbWatch::refresh()
{
    m_private->isAsked = true;
    open();
    look();
}

void HostUsbWatch::look()
{
    auto& its = *m_private;
    if (!its.reader)
        return;
    if (std::exchange(its.isLooking, true)) {
        its.looksAgain = true;
        return;
    }
    its.reader->loop().post([store = its.store, gate = its.gate, isAskedFor = std::exchange(its.isAsked, false)] {
        auto found = Private::look(store);
        found.isAskedFor = isAskedFor;
        Gate<HostUsbWatch>::post(gate, [found = std::move(found)](HostUsbWatch& watch) { watch.take(found); });
    });
}

std::string HostUsbWatch::rulesFile() const
{
    return m_private->store.path();
}

void HostUsbWatch::take(Found found)
{
    auto& its = *m_private;
    if (!its.listener && found.usb) {
        its.usb = std::move(found.usb);
        its.listener = its.usb->listen([gate = its.gate] {
            Gate<HostUsbWatch>::post(gate, [](HostUsbWatch& watch) { watch.m_private->soon.start(); });
        });
        its.looksAgain = true; // for what has come before that
    }
    auto const detail = [](std::optional<vmm::Error> const& error) { return error ? error->detail : std::string(); };
    bool const isSame = m_isRead && m_devices == found.devices && m_rules == found.rules
        && detail(m_problem) == detail(found.problem) && detail(m_rulesProblem) == detail(found.rulesProblem);
    m_isRead = true;
    m_devices = std::move(found.devices);
    m_rules = std::move(found.rules);
    m_problem = std::move(found.problem);
    m_rulesProblem = std::move(found.rulesProblem);
    its.isLooking = false;
    if (std::exchange(its.looksAgain, false))
        look();
    if (!isSame)
        emit changed();
    if (found.isAskedFor)
        emit refreshed();
}

}

#include "moc_host_usb_watch.cpp"
