#include "ui/usb/usb_model.h"

#include "ui/usb/usb_words.h"
#include "ui/widgets/guarded.h"

#include <QFileInfo>
#include <QStringList>
#include <algorithm>
#include <utility>

namespace ui {

namespace {

QString text(std::string const& utf8)
{
    return QString::fromStdString(utf8);
}

}

UsbModel::UsbModel(app::Library& library, QString id, QObject* parent)
    : QObject(parent), m_library(library), m_id(std::move(id))
{
    auto* machine = session();
    connect(machine, &app::VmSession::stateChanged, this, &UsbModel::fill);
    connect(machine, &app::VmSession::hostUsbChanged, this, &UsbModel::fill);
    connect(machine, &app::VmSession::redirectedUsbChanged, this, &UsbModel::fill);
    connect(machine, &app::VmSession::pluggedChanged, this, &UsbModel::fill);
    connect(machine, &app::VmSession::usbAdded, this, &UsbModel::fill);
    connect(machine, &app::VmSession::usbRemoved, this, &UsbModel::fill);
    connect(machine, &app::VmSession::configChanged, this, &UsbModel::fill);
    connect(&library, &app::Library::machineChanged, this, &UsbModel::fill);
    auto const& host = library.hostUsb();
    connect(&host, &app::HostUsbWatch::changed, this, &UsbModel::fill);
    connect(&host, &app::HostUsbWatch::refreshed, this, &UsbModel::attachLookedAt);
    fill();
}

void UsbModel::open()
{
    m_library.hostUsb().open();
    m_library.hostUsb().refresh();
}

QString UsbModel::problem() const
{
    auto const& host = m_library.hostUsb();
    if (!host.isRead())
        return tr("Looking for USB devices…");
    return host.problem() ? tr("The USB devices of this computer cannot be used here.") : QString();
}

app::HostUsbEntry const* UsbModel::entry(QString const& port) const
{
    auto const& all = m_library.hostUsb().devices();
    auto const found = std::ranges::find_if(
        all, [wanted = port.toStdString()](app::HostUsbEntry const& one) { return one.device.port == wanted; });
    return found == all.end() ? nullptr : &*found;
}

// What is asked for

void UsbModel::setPlugged(QString const& id, bool plugged)
{
    auto const row = std::ranges::find(m_rows, id, &UsbRow::id);
    auto const isKnown = row != m_rows.end();
    if (m_onTheirWay.contains(id) || (isKnown && (row->plugged == plugged || !row->whyNot.isEmpty())))
        return;
    m_onTheirWay.insert(id);
    if (isKnown && row->group == UsbRow::Group::Own) {
        m_library.setPlugged(m_id, id, plugged,
            guarded(this, [this, id](vmm::Result<> const& outcome) { finish(id, Task::PlugUsb, outcome); }));
    } else if (isKnown && (row->group == UsbRow::Group::Remote || row->group == UsbRow::Group::Place)) {
        session()->endUsbRedirection(
            id, guarded(this, [this, id](vmm::Result<> const& outcome) { finish(id, Task::DetachUsb, outcome); }));
    } else if (plugged) {
        // The host may have begun to use it since: a mount tells nobody.
        m_toAttach.insert(id);
        open();
    } else {
        session()->detachHostUsb(
            id, guarded(this, [this, id](vmm::Result<> const& outcome) { finish(id, Task::DetachUsb, outcome); }));
    }
    fill();
}

void UsbModel::addStick(QString const& image)
{
    vmm::DiskConfig stick;
    stick.path = image.toStdString();
    stick.bus = vmm::DiskBus::Usb;
    stick.readOnly = QFileInfo::exists(image) && !QFileInfo(image).isWritable();
    add(stick);
}

void UsbModel::add(vmm::UsbKind kind)
{
    vmm::UsbDeviceConfig device;
    device.kind = kind;
    add(vmm::UsbAddition(device));
}

void UsbModel::add(vmm::UsbAddition const& device)
{
    m_library.addUsb(m_id, device, guarded(this, [this](vmm::Result<> const& outcome) {
        fill();
        if (!outcome)
            emit failed(Task::AddUsb, outcome.error(), {});
    }));
}

void UsbModel::remove(QString const& id)
{
    if (!m_leaving.insert(id).second)
        return;
    m_library.removeUsb(m_id, id, guarded(this, [this, id](vmm::Result<> const& outcome) {
        m_leaving.erase(id);
        fill();
        if (!outcome)
            emit failed(Task::RemoveUsb, outcome.error(), {});
    }));
    fill();
}

void UsbModel::attachLookedAt()
{
    if (m_toAttach.empty())
        return;
    for (auto const& port : std::exchange(m_toAttach, {})) {
        auto const* device = entry(port);
        bool const isKept = device != nullptr && device->rule && device->rule->action == app::UsbAction::Never;
        if (device == nullptr || (!isKept && device->uses.empty())) {
            attach(port, app::Really::No);
            continue;
        }
        m_onTheirWay.erase(port);
        emit used({ device->device, app::UsbQuestion::Reason::UsedByHost, device->uses });
    }
    fill();
}

void UsbModel::attachAnyway(QString const& port)
{
    attach(port, app::Really::Yes);
    fill();
}

void UsbModel::attach(QString const& port, app::Really really)
{
    m_onTheirWay.insert(port);
    session()->attachHostUsb(port, really,
        guarded(this, [this, port](vmm::Result<> const& outcome) { finish(port, Task::AttachUsb, outcome); }));
}

void UsbModel::finish(QString const& id, Task task, vmm::Result<> const& outcome)
{
    m_onTheirWay.erase(id);
    m_library.hostUsb().refresh(); // who has it has changed
    fill();
    if (!outcome) {
        auto const* device = entry(id);
        emit failed(task, outcome.error(), device != nullptr ? text(device->device.node()) : QString());
    }
}

void UsbModel::setRule(vmm::HostUsbInfo const& device, bool attach)
{
    auto rule = app::alwaysAttach(device, m_id.toStdString());
    if (!attach) {
        rule.action = app::UsbAction::Never;
        rule.machine.clear();
    }
    m_library.changeUsbRules(
        [rule](app::UsbRules& rules) { return rules.set(rule); }, guarded(this, [this](vmm::Result<> const& outcome) {
            if (!outcome)
                emit failed(Task::ChangeUsbRules, outcome.error(), {});
        }));
}

// What is shown

QString UsbModel::whyNot() const
{
    auto const state = session()->state();
    if (session()->config().usbControllers.empty())
        return tr("The machine has no USB controller: give it one in its settings.");
    if (app::isInMemory(state))
        return {};
    return state == app::SessionState::Suspended ? tr("Restore the machine to plug something in.")
                                                 : tr("Start the machine to plug something in.");
}

QString UsbModel::whyNotAdd() const
{
    auto const state = session()->state();
    if (state == app::SessionState::Suspended)
        return tr("Restore the machine first.");
    // While it is off it gets one.
    return app::isInMemory(state) ? whyNot() : QString();
}

QString UsbModel::machineName(std::string const& uuid, std::string const& otherwise) const
{
    auto const known = m_library.entry(text(uuid));
    return known ? known->name : text(otherwise);
}

void UsbModel::addHostRows(std::vector<UsbRow>& rows) const
{
    auto const why = whyNot();
    auto const& attached = session()->attachedHostUsb();
    auto const isHere = [&](vmm::HostUsbInfo const& device) {
        return std::ranges::any_of(attached, [&](vmm::HostUsbInfo const& one) { return one.port == device.port; });
    };
    auto const add = [&](app::HostUsbEntry const& one, bool isAttached) {
        auto const& device = one.device;
        UsbRow row { text(device.port), isAttached ? UsbRow::Group::Machine : UsbRow::Group::Host, usbIconName(device),
            usbName(device), {}, usbIdentityText(device), {}, isAttached };
        QStringList details { speedText(device) };
        if (m_onTheirWay.contains(row.id)) {
            details = { isAttached ? tr("Giving it back…") : tr("Attaching…") };
        } else if (one.holder && !isAttached && one.holder->machine != m_id.toStdString()) {
            // What is our own still was given back just now: the list is a look older.
            auto const name = machineName(one.holder->machine, one.holder->name);
            details += tr("in “%1”").arg(name);
            row.whyNot = tr("“%1” has it: give it back there first.").arg(name);
        } else if (!isAttached) {
            for (auto const& use : one.uses)
                details += hostUseWords(use);
            if (one.uses.empty() && !device.nodes.empty())
                details += tr("used as %1").arg(text(device.nodes.front()));
            if (one.rule && one.rule->action == app::UsbAction::Never)
                details += tr("stays on this computer");
        }
        if (one.rule && one.rule->action == app::UsbAction::Attach) {
            details += one.rule->machine == m_id.toStdString()
                ? tr("always in this machine")
                : tr("always in “%1”").arg(machineName(one.rule->machine, one.rule->machine));
        }
        if (row.whyNot.isEmpty())
            row.whyNot = why;
        details.removeDuplicates();
        row.details = details.join(QStringLiteral(" · "));
        rows.push_back(row);
    };
    auto const& all = m_library.hostUsb().devices();
    for (auto const& one : all)
        add(one, isHere(one.device));
    // The list is a look older than what the machine has.
    for (auto const& device : attached) {
        if (entry(text(device.port)) == nullptr)
            add({ device, {}, {}, {} }, true);
    }
}

/// Who passes one on says what it is by its numbers alone.
void UsbModel::addRemoteRows(std::vector<UsbRow>& rows) const
{
    for (auto const& one : session()->redirectedUsb()) {
        auto const id = text(one.id), from = text(one.address);
        if (one.isListening) {
            rows.push_back({ id, UsbRow::Group::Place, QStringLiteral("usb"), from,
                tr("What is passed on to here is plugged in"), id, {}, true });
            continue;
        }
        vmm::HostUsbInfo device;
        device.vendor = one.device.vendor;
        device.product = one.device.product;
        device.speed = one.device.speed;
        device.deviceClass = one.device.deviceClass;
        auto const details = m_onTheirWay.contains(id)
            ? tr("Giving it back…")
            : QStringLiteral("%1 · %2").arg(speedText(device), tr("from %1").arg(from));
        rows.push_back({ id, UsbRow::Group::Remote, usbIconName(device), usbName(device), details,
            text(one.device.program), {}, true });
    }
}

void UsbModel::addOwnRows(std::vector<UsbRow>& rows) const
{
    auto const state = session()->state();
    auto const config = app::isInMemory(state) ? session()->config() : m_library.config(m_id);
    auto const why = state == app::SessionState::Suspended ? tr("Restore the machine first.") : QString();
    auto const add = [&](std::string const& id, QString const& iconName, QString const& name, QString const& details,
                         bool plugged) {
        auto const shown = m_leaving.contains(text(id)) ? tr("Removing…") : plugged ? details : tr("Unplugged");
        rows.push_back({ text(id), UsbRow::Group::Own, iconName, name, shown, text(id), why, plugged });
    };
    for (auto const& disk : config.disks) {
        if (vmm::isUsb(disk.bus))
            add(disk.id, QStringLiteral("stick"), QFileInfo(text(disk.path)).fileName(), tr("Memory stick"),
                disk.plugged);
    }
    for (auto const& device : config.usbDevices)
        add(device.id, usbIconName(device.kind), usbName(device.kind), text(device.id), device.plugged);
}

void UsbModel::fill()
{
    if (session() == nullptr)
        return; // the machine is being removed
    std::vector<UsbRow> rows;
    addHostRows(rows);
    addRemoteRows(rows);
    addOwnRows(rows);
    std::ranges::stable_sort(rows, {}, &UsbRow::group);
    m_rows = std::move(rows);
    emit changed(); // problem() too
}

}
