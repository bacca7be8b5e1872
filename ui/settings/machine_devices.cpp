// The rows of devices of MachineSettingsPage: each shows one and writes its changes into the edited configuration.

#include "ui/settings/machine_settings_page.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/widgets/elided_label.h"
#include "ui/widgets/flow_layout.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/refill.h"
#include "ui/widgets/words.h"

#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QFileInfo>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPushButton>
#include <QSpinBox>
#include <QToolButton>

namespace ui {

namespace {

constexpr std::uint64_t mostGib = 16384; // of a disk, here

QVBoxLayout* rowsOf(QWidget* rows)
{
    return static_cast<QVBoxLayout*>(rows->layout());
}

}

QWidget* MachineSettingsPage::addRow(QVBoxLayout* layout, QString const& iconName, QString const& text)
{
    auto* row = new QWidget;
    auto* line = new FlowLayout(row);
    line->setContentsMargins(0, 0, 0, 0);
    line->setSpacing(8);
    auto* picture = new QLabel;
    picture->setPixmap(icon(iconName, themeColors().faint).pixmap(QSize(18, 18), devicePixelRatioF()));
    auto* label = new ElidedLabel; // a file's name may have any length, and nowhere to be broken
    label->setText(text);
    line->addWidget(picture);
    line->addWidget(label, 1);
    layout->addWidget(row);
    return row;
}

QToolButton* MachineSettingsPage::addRemove(QWidget* row, QString const& what, std::function<void()> remove)
{
    auto* button = new QToolButton;
    button->setIcon(icon(QStringLiteral("trash")));
    button->setFocusPolicy(Qt::StrongFocus);
    button->setToolTip(tr("Remove %1").arg(what));
    button->setAccessibleName(button->toolTip());
    row->layout()->addWidget(button);
    button->setEnabled(!isLocked());
    if (remove)
        connect(button, &QToolButton::clicked, this, remove);
    return button;
}

void MachineSettingsPage::fillNewDisk(QLayout* line, std::string const& id)
{
    auto made = [this, id]() -> app::NewDisk& {
        return *std::find_if(
            m_newDisks.begin(), m_newDisks.end(), [&](app::NewDisk const& disk) { return disk.id == id; });
    };
    auto const name = QString::fromStdString(id);
    auto* size = new QSpinBox;
    size->setRange(1, static_cast<int>(mostGib));
    size->setSuffix(QStringLiteral(" GiB"));
    size->setValue(static_cast<int>(made().bytes >> 30));
    size->setAccessibleName(tr("Size of %1").arg(name));
    size->setToolTip(tr("The image grows as it fills."));
    connect(size, &QSpinBox::valueChanged, this,
        [made](int value) { made().bytes = static_cast<std::uint64_t>(value) << 30; });
    auto* format = new QComboBox;
    format->addItems({ QStringLiteral("raw"), QStringLiteral("qcow2") });
    format->setCurrentIndex(static_cast<int>(made().format));
    format->setAccessibleName(tr("Format of %1").arg(name));
    connect(format, &QComboBox::activated, this,
        [made](int index) { made().format = static_cast<vmm::DiskFormat>(index); });
    line->addWidget(size);
    line->addWidget(format);
}

/// Of a disk that the guest writes to.
void MachineSettingsPage::fillDiskSize(QLayout* line, std::string const& id, std::uint64_t bytes)
{
    auto const leastGib = (bytes >> 30) + 1;
    if (leastGib > mostGib)
        return;
    auto const least = static_cast<int>(leastGib);
    auto const name = QString::fromStdString(id);
    auto const larger = m_larger.find(id);
    if (larger == m_larger.end()) {
        auto* grow = new QPushButton(tr("Make larger…"));
        grow->setAccessibleName(tr("New size of %1").arg(name)); // what takes its place gets the focus
        connect(grow, &QPushButton::clicked, this, [this, id, name, least] {
            m_larger[id] = static_cast<std::uint64_t>(least) << 30;
            fillDisks();
            m_messages->showNotice(
                tr("When you save, %1 becomes larger, and nobody can make it smaller again. What is "
                   "on it grows when you make a partition and its file system larger in the machine.")
                    .arg(name));
        });
        line->addWidget(grow);
        return;
    }
    auto* size = new QSpinBox;
    size->setRange(least, static_cast<int>(mostGib));
    size->setSuffix(QStringLiteral(" GiB"));
    size->setValue(static_cast<int>(larger->second >> 30));
    size->setAccessibleName(tr("New size of %1").arg(name));
    connect(size, &QSpinBox::valueChanged, this,
        [this, id](int value) { m_larger[id] = static_cast<std::uint64_t>(value) << 30; });
    line->addWidget(size);
}

void MachineSettingsPage::lookAtDiskSizes()
{
    auto* session = m_library.session(m_id);
    if (session == nullptr)
        return;
    session->lookAtDiskSizes(guarded(this, [this, id = m_id](app::VmSession::DiskSizes const& sizes) {
        if (id != m_id || sizes == m_sizes)
            return;
        m_sizes = sizes;
        std::erase_if(m_larger, [this](auto const& disk) {
            auto const now = m_sizes.find(disk.first);
            return now != m_sizes.end() && now->second >= disk.second;
        });
        fillDisks();
    }));
}

/// Other disks are kept beside their images, and come back without these.
bool MachineSettingsPage::isNeededByMoments(vmm::DiskConfig const& disk) const
{
    auto* session = m_library.session(m_id);
    auto const isInside = [&](app::MomentEntry const& moment) {
        return std::ranges::find(moment.inImages, disk.path) != moment.inImages.end();
    };
    return disk.readOnly || disk.moments == vmm::MomentPlace::Inside
        || (session != nullptr && std::ranges::any_of(session->timeline().moments(), isInside));
}

void MachineSettingsPage::removeDisk(std::size_t index, bool withImage)
{
    auto const disk = m_config.disks[index];
    std::erase(m_config.bootOrder, disk.id);
    std::erase_if(m_newDisks, [&](app::NewDisk const& made) { return made.id == disk.id; });
    m_larger.erase(disk.id);
    m_config.disks.erase(m_config.disks.begin() + static_cast<std::ptrdiff_t>(index));
    if (withImage) {
        m_unwanted.push_back(disk.path);
        auto const text = isNeededByMoments(disk)
            ? tr("When you save, the image of %1 goes into the trash, and is deleted after 30 days. Without it nobody "
                 "can go back to a moment that has this disk.")
            : tr("When you save, the image of %1 goes into the trash, and is deleted after 30 days. Moments that have "
                 "this disk bring it back as it was then. What they keep of it takes room until they are deleted.");
        m_messages->showNotice(text.arg(QString::fromStdString(disk.id)));
    }
    fillDisks();
    fillBootOrder();
}

void MachineSettingsPage::fillDisks()
{
    Refill const refill(m_disks);
    for (std::size_t i = 0; i < m_config.disks.size(); ++i) {
        auto const& disk = m_config.disks[i];
        auto const id = QString::fromStdString(disk.id);
        auto const isNew = disk.path.empty();
        auto const isStored = [&](vmm::DiskConfig const& one) { return one.id == disk.id && one.path == disk.path; };
        auto const stored = std::ranges::find_if(m_before.disks, isStored);
        auto const size = stored == m_before.disks.end() ? m_sizes.end() : m_sizes.find(disk.id);
        auto text = QStringLiteral("%1 – %2").arg(
            id, isNew ? tr("new") : QFileInfo(QString::fromStdString(disk.path)).fileName());
        if (size != m_sizes.end())
            text += QStringLiteral(", ") + bytesText(size->second);
        auto* row = addRow(rowsOf(m_disks), QStringLiteral("disk"), text);
        row->setToolTip(QString::fromStdString(disk.path));
        if (isNew)
            fillNewDisk(row->layout(), disk.id);
        else if (size != m_sizes.end() && !stored->readOnly)
            fillDiskSize(row->layout(), disk.id, size->second);
        auto* bus = new QComboBox;
        bus->addItems({ tr("Virtio"), tr("SATA"), tr("USB stick"), tr("USB stick (UAS)") });
        bus->setCurrentIndex(static_cast<int>(disk.bus));
        bus->setAccessibleName(tr("How %1 is connected").arg(id));
        connect(bus, &QComboBox::activated, this, [this, i](int index) {
            auto const chosen = static_cast<vmm::DiskBus>(index);
            if (vmm::isUsb(chosen) && !vmm::isUsb(m_config.disks[i].bus))
                app::freeUsbController(m_config);
            m_config.disks[i].bus = chosen;
        });
        row->layout()->addWidget(bus);
        if (!isNew) {
            auto* readOnly = new QCheckBox(tr("Read only"));
            readOnly->setAccessibleName(tr("%1 is read only").arg(id));
            readOnly->setChecked(disk.readOnly);
            connect(readOnly, &QCheckBox::toggled, this, [this, i](bool on) { m_config.disks[i].readOnly = on; });
            row->layout()->addWidget(readOnly);
        }
        if (isNew || !m_library.store().owns(m_config.uuid, disk.path)) {
            addRemove(row, id, [this, i] { removeDisk(i, false); });
            continue;
        }
        auto* button = addRemove(row, id, {});
        auto* menu = new QMenu(button);
        menu->addAction(tr("Remove, and keep its image"), this, [this, i] { removeDisk(i, false); });
        menu->addAction(tr("Remove, with its image"), this, [this, i] { removeDisk(i, true); });
        button->setMenu(menu);
        button->setPopupMode(QToolButton::InstantPopup);
    }
}

/// What looks like qcow2 is taken for that when it is saved, but where it stands on a file: the guest whose raw disk it
/// is could have written that, to read all of the file.
void MachineSettingsPage::askFormats()
{
    for (auto const& disk : m_config.disks) {
        if (disk.format || disk.path.empty() || isLocked())
            continue;
        m_library.advise(QString::fromStdString(disk.path),
            guarded(this, [this, id = m_id, disk](vmm::Result<app::Library::Advice> const& advice) {
                if (advice && id == m_id)
                    askFormat(disk, advice->medium);
            }));
    }
}

void MachineSettingsPage::askFormat(vmm::DiskConfig const& disk, app::Medium const& medium)
{
    // The rows can have changed meanwhile.
    auto const isIt
        = [disk](vmm::DiskConfig const& one) { return one.id == disk.id && one.path == disk.path && !one.format; };
    bool const isNamed = std::ranges::find(disk.backing, medium.backing) != disk.backing.end();
    if (medium.backing.empty() || isNamed || std::ranges::none_of(m_config.disks, isIt))
        return;
    auto const say = [this, isIt, medium, id = m_id](vmm::DiskFormat said) {
        return [this, isIt, medium, id, said] {
            m_messages->dismiss(); // what it has covered was for want of this
            auto const at = std::ranges::find_if(m_config.disks, isIt);
            if (id != m_id || at == m_config.disks.end())
                return;
            app::sayFormat(*at, medium, said);
            askFormats();
        };
    };
    m_messages->showChoice(
        tr("%1 looks like a qcow2 image that stands on %2, and the machine could read all of that. A system whose raw "
           "disk %1 was can have made it look so. What is it?")
            .arg(pathText(QFileInfo(QString::fromStdString(disk.path)).fileName().toStdString()),
                pathText(medium.backing)),
        { tr("It is qcow2"), say(vmm::DiskFormat::Qcow2) }, { tr("It is raw"), say(vmm::DiskFormat::Raw) });
}

void MachineSettingsPage::fillCds()
{
    Refill const refill(m_cds);
    for (std::size_t i = 0; i < m_config.cds.size(); ++i) {
        auto const& cd = m_config.cds[i];
        auto const id = QString::fromStdString(cd.id);
        auto* row = addRow(rowsOf(m_cds), QStringLiteral("disc"),
            QStringLiteral("%1 – %2").arg(
                id, cd.path.empty() ? tr("empty") : QFileInfo(QString::fromStdString(cd.path)).fileName()));
        auto* choose = new QPushButton(tr("Insert…"));
        choose->setAccessibleName(tr("Insert a CD into %1").arg(id));
        connect(choose, &QPushButton::clicked, this, [this, drive = cd.id] {
            addMedium(tr("Insert a CD"), tr("CD images (*.iso);;All files (*)"), [this, drive](auto const& path) {
                // The rows can have changed meanwhile.
                auto const at = std::ranges::find(m_config.cds, drive, &vmm::CdConfig::id);
                if (at != m_config.cds.end())
                    changeCd(static_cast<std::size_t>(at - m_config.cds.begin()), path);
            });
        });
        choose->setEnabled(!isLocked() || isLive());
        row->layout()->addWidget(choose);
        if (!cd.path.empty()) {
            auto* eject = new QToolButton;
            eject->setIcon(icon(QStringLiteral("eject")));
            eject->setFocusPolicy(Qt::StrongFocus);
            eject->setToolTip(tr("Eject the CD of %1").arg(id));
            eject->setAccessibleName(eject->toolTip());
            eject->setEnabled(!isLocked() || isLive());
            connect(eject, &QToolButton::clicked, this, [this, i] { changeCd(i, {}); });
            row->layout()->addWidget(eject);
        }
        addRemove(row, id, [this, i] {
            std::erase(m_config.bootOrder, m_config.cds[i].id);
            m_config.cds.erase(m_config.cds.begin() + static_cast<std::ptrdiff_t>(i));
            fillCds();
            fillBootOrder();
        });
    }
}

void MachineSettingsPage::changeCd(std::size_t index, std::string const& path)
{
    auto& cd = m_config.cds[index];
    auto const drive = QString::fromStdString(cd.id);
    if (isLive()) {
        // At once; the row follows when the machine says that it is done.
        auto* session = m_library.session(m_id);
        path.empty() ? session->ejectMedium(drive) : session->insertMedium(drive, QString::fromStdString(path));
        return;
    }
    cd.path = path;
    fillCds();
}

void MachineSettingsPage::fillNetworks()
{
    Refill const refill(m_networks);
    for (std::size_t i = 0; i < m_config.networks.size(); ++i) {
        auto const& network = m_config.networks[i];
        auto const id = QString::fromStdString(network.id);
        auto* row = addRow(rowsOf(m_networks), QStringLiteral("network"), id);
        auto* mac = new QLineEdit(QString::fromStdString(network.mac));
        mac->setAccessibleName(tr("Hardware address of %1").arg(id));
        mac->setEnabled(!isLocked());
        mac->setMaxLength(17);
        mac->setFixedWidth(fontMetrics().horizontalAdvance(QStringLiteral("00:00:00:00:00:00")) + 28);
        connect(mac, &QLineEdit::textEdited, this,
            [this, i](QString const& text) { m_config.networks[i].mac = text.trimmed().toLower().toStdString(); });
        auto* mode = new QComboBox;
        mode->addItems({ tr("Shared with this computer"), tr("Not connected") });
        mode->setCurrentIndex(static_cast<int>(network.mode));
        mode->setAccessibleName(tr("How %1 is connected").arg(id));
        mode->setEnabled(!isLocked());
        connect(mode, &QComboBox::activated, this, [this, i](int index) {
            m_config.networks[i].mode = static_cast<vmm::NetworkMode>(index);
            fillNetworks();
        });
        row->layout()->addWidget(mac);
        row->layout()->addWidget(mode);
        addRemove(row, id, [this, i] {
            std::erase(m_config.bootOrder, m_config.networks[i].id);
            m_config.networks.erase(m_config.networks.begin() + static_cast<std::ptrdiff_t>(i));
            fillNetworks();
            fillBootOrder();
        });
        if (network.mode == vmm::NetworkMode::User)
            fillForwards(rowsOf(m_networks), i);
    }
}

QCheckBox* MachineSettingsPage::makeCable(std::size_t network)
{
    auto const id = QString::fromStdString(m_config.networks[network].id);
    auto* plugged = new QCheckBox(tr("Plugged in"));
    plugged->setAccessibleName(tr("The cable of %1 is plugged in").arg(id));
    plugged->setToolTip(plugged->accessibleName());
    plugged->setChecked(m_config.networks[network].connected);
    plugged->setEnabled(!isLocked() || isLive());
    connect(plugged, &QCheckBox::toggled, this, [this, network, id](bool on) {
        if (!isLive()) {
            m_config.networks[network].connected = on;
            return;
        }
        // At once; the row follows when the machine says that it is done.
        m_library.setConnected(m_id, id, on, guarded(this, [this](vmm::Result<> const& outcome) {
            if (outcome)
                return;
            m_messages->showProblem(problemFor(Task::ChangeSettings, outcome.error()));
            fillNetworks();
        }));
    });
    return plugged;
}

void MachineSettingsPage::fillForwards(QVBoxLayout* layout, std::size_t network)
{
    auto& forwards = m_config.networks[network].forwards;
    auto indented = [this, layout] {
        auto* row = new QWidget;
        auto* line = new FlowLayout(row);
        line->setContentsMargins(26, 0, 0, 0);
        line->setSpacing(8);
        row->setEnabled(!isLocked() || isLive());
        layout->addWidget(row);
        return std::pair(row, line);
    };
    auto port = [this](std::uint16_t value, QString const& name, std::function<void(std::uint16_t)> set) {
        auto* box = new QSpinBox;
        box->setRange(1, 65535);
        box->setValue(value);
        box->setAccessibleName(name);
        connect(box, &QSpinBox::valueChanged, this, [set](int changed) { set(static_cast<std::uint16_t>(changed)); });
        return box;
    };
    for (std::size_t i = 0; i < forwards.size(); ++i) {
        auto const [row, line] = indented();
        auto at = [this, network, i]() -> vmm::PortForward& { return m_config.networks[network].forwards[i]; };
        auto* protocol = new QComboBox;
        protocol->addItems({ QStringLiteral("TCP"), QStringLiteral("UDP") });
        protocol->setCurrentIndex(static_cast<int>(forwards[i].protocol));
        protocol->setMinimumContentsLength(3);
        protocol->setAccessibleName(tr("Protocol"));
        connect(protocol, &QComboBox::activated, this,
            [at](int index) { at().protocol = static_cast<vmm::Protocol>(index); });
        auto* address = new QComboBox;
        address->addItem(tr("this computer only"), QStringLiteral("127.0.0.1"));
        address->addItem(tr("the whole network"), QStringLiteral("0.0.0.0"));
        auto const current = QString::fromStdString(forwards[i].hostAddress);
        if (address->findData(current) < 0)
            address->addItem(current, current);
        address->setCurrentIndex(address->findData(current));
        address->setAccessibleName(tr("Reachable from"));
        connect(address, &QComboBox::activated, this,
            [at, address](int index) { at().hostAddress = address->itemData(index).toString().toStdString(); });
        auto const together = [line = line](std::initializer_list<QWidget*> parts) {
            auto* group = new QWidget;
            auto* side = new QHBoxLayout(group);
            side->setContentsMargins(0, 0, 0, 0);
            side->setSpacing(line->spacing());
            for (auto* part : parts)
                side->addWidget(part);
            line->addWidget(group);
            return group;
        };
        together({ new QLabel(tr("Port")),
            port(forwards[i].hostPort, tr("Port of this computer"),
                [at](std::uint16_t value) { at().hostPort = value; }),
            address });
        auto* inside = together({ new QLabel(QStringLiteral("→")),
            port(forwards[i].guestPort, tr("Port of the machine"),
                [at](std::uint16_t value) { at().guestPort = value; }),
            protocol });
        auto* remove = addRemove(inside, tr("the port forward"), [this, network, i] {
            auto& all = m_config.networks[network].forwards;
            all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
            fillNetworks();
        });
        remove->setEnabled(true);
    }
    auto const [row, line] = indented();
    auto* add = new QPushButton(tr("Forward a port"));
    add->setProperty("link", true);
    line->addWidget(makeCable(network));
    line->addWidget(add);
    connect(add, &QPushButton::clicked, this, [this, network] {
        auto& all = m_config.networks[network].forwards;
        auto free = std::uint16_t { 2222 };
        while (std::any_of(all.begin(), all.end(), [&](auto const& one) { return one.hostPort == free; }))
            ++free;
        all.push_back({ vmm::Protocol::Tcp, "127.0.0.1", free, 22 });
        fillNetworks();
    });
}

void MachineSettingsPage::fillSerials()
{
    Refill const refill(m_serials);
    for (std::size_t i = 0; i < m_config.serials.size(); ++i) {
        auto const id = QString::fromStdString(m_config.serials[i].id);
        auto* row = addRow(rowsOf(m_serials), QStringLiteral("serial"), id);
        auto* kind = new QComboBox;
        kind->addItems({ tr("Serial port (16550)"), tr("Virtio console") });
        kind->setCurrentIndex(m_config.serials[i].virtio ? 1 : 0);
        kind->setAccessibleName(tr("Kind of %1").arg(id));
        connect(kind, &QComboBox::activated, this, [this, i](int index) { m_config.serials[i].virtio = index == 1; });
        row->layout()->addWidget(kind);
        addRemove(row, id, [this, i] {
            m_config.serials.erase(m_config.serials.begin() + static_cast<std::ptrdiff_t>(i));
            fillSerials();
        });
    }
}

void MachineSettingsPage::fillBootOrder()
{
    Refill const refill(m_boot);
    // What is not named comes after it, as the machine itself sees it.
    auto order = m_config.bootOrder;
    auto append = [&](std::string const& id) {
        if (std::find(order.begin(), order.end(), id) == order.end())
            order.push_back(id);
    };
    for (auto const& disk : m_config.disks)
        append(disk.id);
    for (auto const& cd : m_config.cds)
        append(cd.id);
    if (m_config.kernel) {
        fillKernel();
        return;
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
        auto const id = QString::fromStdString(order[i]);
        auto* row = addRow(
            rowsOf(m_boot), id.startsWith(QLatin1String("cd")) ? QStringLiteral("disc") : QStringLiteral("disk"), id);
        auto button = [&](QString const& iconName, QString const& help, int by, bool enabled) {
            auto* tool = new QToolButton;
            tool->setIcon(icon(iconName));
            tool->setFocusPolicy(Qt::StrongFocus);
            tool->setToolTip(help);
            tool->setAccessibleName(help);
            tool->setEnabled(enabled);
            row->layout()->addWidget(tool);
            connect(tool, &QToolButton::clicked, this, [this, order, i, by]() mutable {
                m_config.bootOrder = order;
                moveInBootOrder(i, by);
            });
        };
        button(QStringLiteral("up"), tr("Move %1 up").arg(id), -1, i > 0);
        button(QStringLiteral("down"), tr("Move %1 down").arg(id), 1, i + 1 < order.size());
    }
}

void MachineSettingsPage::fillKernel()
{
    auto const fileName = [](std::string const& path) { return QFileInfo(QString::fromStdString(path)).fileName(); };
    auto const addFile = [&](QString const& text, QString const& name, std::string vmm::KernelConfig::*file) {
        auto* row = addRow(rowsOf(m_boot), QStringLiteral("boot"), text);
        auto* choose = new QPushButton(tr("Choose…"));
        choose->setAccessibleName(name);
        connect(choose, &QPushButton::clicked, this, [this, name, file] {
            addMedium(name, tr("All files (*)"), [this, file](std::string const& path) {
                if (m_config.kernel)
                    (*m_config.kernel).*file = path;
                fillBootOrder();
            });
        });
        row->layout()->addWidget(choose);
        return row;
    };
    auto const& kernel = *m_config.kernel;
    addFile(tr("The kernel %1, directly").arg(fileName(kernel.kernel)), tr("Choose the kernel"),
        &vmm::KernelConfig::kernel);
    auto* initrd = addFile(kernel.initrd.empty() ? tr("without an initial RAM disk")
                                                 : tr("with the initial RAM disk %1").arg(fileName(kernel.initrd)),
        tr("Choose the initial RAM disk"), &vmm::KernelConfig::initrd);
    if (!kernel.initrd.empty())
        addRemove(initrd, tr("the initial RAM disk"), [this] {
            m_config.kernel->initrd.clear();
            fillBootOrder();
        });
    auto* row = addRow(rowsOf(m_boot), QStringLiteral("serial"), tr("Command line"));
    auto* line = new QLineEdit(QString::fromStdString(kernel.commandLine));
    line->setAccessibleName(tr("The kernel's command line"));
    connect(line, &QLineEdit::textEdited, this,
        [this](QString const& text) { m_config.kernel->commandLine = text.toStdString(); });
    static_cast<FlowLayout*>(row->layout())->addWidget(line, 3);
}

void MachineSettingsPage::moveInBootOrder(std::size_t index, int by)
{
    std::swap(m_config.bootOrder[index], m_config.bootOrder[static_cast<std::size_t>(static_cast<int>(index) + by)]);
    fillBootOrder();
}

}
