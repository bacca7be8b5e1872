// The rows of devices of MachineSettingsPage: each shows one and writes its changes into the edited configuration.

#include "ui/settings/machine_settings_page.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFileInfo>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QSpinBox>
#include <QToolButton>

namespace ui {

namespace {

void clearRows(QWidget* rows)
{
    while (auto* item = rows->layout()->takeAt(0)) {
        if (item->widget() != nullptr) {
            item->widget()->hide(); // one of its buttons may be the sender
            item->widget()->deleteLater();
        }
        delete item;
    }
}

QVBoxLayout* rowsOf(QWidget* rows)
{
    return static_cast<QVBoxLayout*>(rows->layout());
}

}

QWidget* MachineSettingsPage::addRow(QVBoxLayout* layout, QString const& iconName, QString const& text)
{
    auto* row = new QWidget;
    auto* line = new QHBoxLayout(row);
    line->setContentsMargins(0, 0, 0, 0);
    line->setSpacing(8);
    auto* picture = new QLabel;
    picture->setPixmap(icon(iconName, themeColors().faint).pixmap(QSize(18, 18), devicePixelRatioF()));
    auto* label = new QLabel(text);
    label->setTextFormat(Qt::PlainText);
    label->setWordWrap(true);
    line->addWidget(picture);
    line->addWidget(label, 1);
    layout->addWidget(row);
    return row;
}

void MachineSettingsPage::addRemove(QWidget* row, QString const& what, std::function<void()> remove)
{
    auto* button = new QToolButton;
    button->setIcon(icon(QStringLiteral("trash")));
    button->setFocusPolicy(Qt::StrongFocus);
    button->setToolTip(tr("Remove %1").arg(what));
    button->setAccessibleName(button->toolTip());
    row->layout()->addWidget(button);
    connect(button, &QToolButton::clicked, this, remove);
}

void MachineSettingsPage::fillDisks()
{
    clearRows(m_disks);
    for (std::size_t i = 0; i < m_config.disks.size(); ++i) {
        auto const& disk = m_config.disks[i];
        auto const id = QString::fromStdString(disk.id);
        auto* row = addRow(rowsOf(m_disks), QStringLiteral("disk"),
            QStringLiteral("%1 – %2").arg(id, QFileInfo(QString::fromStdString(disk.path)).fileName()));
        row->setToolTip(QString::fromStdString(disk.path));
        auto* bus = new QComboBox;
        bus->addItems({ tr("Virtio"), tr("SATA") });
        bus->setCurrentIndex(static_cast<int>(disk.bus));
        bus->setAccessibleName(tr("How %1 is connected").arg(id));
        connect(bus, &QComboBox::activated, this,
            [this, i](int index) { m_config.disks[i].bus = static_cast<vmm::DiskBus>(index); });
        auto* readOnly = new QCheckBox(tr("Read only"));
        readOnly->setChecked(disk.readOnly);
        connect(readOnly, &QCheckBox::toggled, this, [this, i](bool on) { m_config.disks[i].readOnly = on; });
        row->layout()->addWidget(bus);
        row->layout()->addWidget(readOnly);
        addRemove(row, id, [this, i] {
            std::erase(m_config.bootOrder, m_config.disks[i].id);
            m_config.disks.erase(m_config.disks.begin() + static_cast<std::ptrdiff_t>(i));
            fillDisks();
            fillBootOrder();
        });
    }
}

void MachineSettingsPage::fillCds()
{
    clearRows(m_cds);
    for (std::size_t i = 0; i < m_config.cds.size(); ++i) {
        auto const& cd = m_config.cds[i];
        auto const id = QString::fromStdString(cd.id);
        auto* row = addRow(rowsOf(m_cds), QStringLiteral("disc"),
            QStringLiteral("%1 – %2").arg(
                id, cd.path.empty() ? tr("empty") : QFileInfo(QString::fromStdString(cd.path)).fileName()));
        auto* choose = new QPushButton(tr("Insert…"));
        choose->setAccessibleName(tr("Insert a CD into %1").arg(id));
        connect(choose, &QPushButton::clicked, this, [this, i] {
            addMedium(tr("Insert a CD"), tr("CD images (*.iso);;All files (*)"), [this, i](std::string const& path) {
                if (i < m_config.cds.size())
                    m_config.cds[i].path = path;
                fillCds();
            });
        });
        row->layout()->addWidget(choose);
        if (!cd.path.empty()) {
            auto* eject = new QToolButton;
            eject->setIcon(icon(QStringLiteral("eject")));
            eject->setFocusPolicy(Qt::StrongFocus);
            eject->setToolTip(tr("Eject the CD of %1").arg(id));
            eject->setAccessibleName(eject->toolTip());
            connect(eject, &QToolButton::clicked, this, [this, i] {
                m_config.cds[i].path.clear();
                fillCds();
            });
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

void MachineSettingsPage::fillNetworks()
{
    clearRows(m_networks);
    for (std::size_t i = 0; i < m_config.networks.size(); ++i) {
        auto const& network = m_config.networks[i];
        auto const id = QString::fromStdString(network.id);
        auto* row = addRow(rowsOf(m_networks), QStringLiteral("network"), id);
        auto* mac = new QLineEdit(QString::fromStdString(network.mac));
        mac->setAccessibleName(tr("Hardware address of %1").arg(id));
        mac->setMaxLength(17);
        mac->setFixedWidth(fontMetrics().horizontalAdvance(QStringLiteral("00:00:00:00:00:00")) + 28);
        connect(mac, &QLineEdit::textEdited, this,
            [this, i](QString const& text) { m_config.networks[i].mac = text.trimmed().toLower().toStdString(); });
        auto* mode = new QComboBox;
        mode->addItems({ tr("Shared with this computer"), tr("Not connected") });
        mode->setCurrentIndex(static_cast<int>(network.mode));
        mode->setAccessibleName(tr("How %1 is connected").arg(id));
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

void MachineSettingsPage::fillForwards(QVBoxLayout* layout, std::size_t network)
{
    auto& forwards = m_config.networks[network].forwards;
    auto indented = [layout] {
        auto* row = new QWidget;
        auto* line = new QHBoxLayout(row);
        line->setContentsMargins(26, 0, 0, 0);
        line->setSpacing(8);
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
        line->addWidget(new QLabel(tr("Port")));
        line->addWidget(port(
            forwards[i].hostPort, tr("Port of this computer"), [at](std::uint16_t value) { at().hostPort = value; }));
        line->addWidget(address);
        line->addWidget(new QLabel(QStringLiteral("→")));
        line->addWidget(port(
            forwards[i].guestPort, tr("Port of the machine"), [at](std::uint16_t value) { at().guestPort = value; }));
        line->addWidget(protocol);
        line->addStretch(1);
        addRemove(row, tr("the port forward"), [this, network, i] {
            auto& all = m_config.networks[network].forwards;
            all.erase(all.begin() + static_cast<std::ptrdiff_t>(i));
            fillNetworks();
        });
    }
    auto const [row, line] = indented();
    auto* add = new QPushButton(tr("Forward a port"));
    add->setProperty("link", true);
    line->addWidget(add);
    line->addStretch(1);
    connect(add, &QPushButton::clicked, this, [this, network] {
        m_config.networks[network].forwards.push_back({ vmm::Protocol::Tcp, "127.0.0.1", 2222, 22 });
        fillNetworks();
    });
}

void MachineSettingsPage::fillSerials()
{
    clearRows(m_serials);
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
    clearRows(m_boot);
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
        addRow(rowsOf(m_boot), QStringLiteral("boot"),
            tr("The kernel %1, directly").arg(QFileInfo(QString::fromStdString(m_config.kernel->kernel)).fileName()));
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

void MachineSettingsPage::moveInBootOrder(std::size_t index, int by)
{
    std::swap(m_config.bootOrder[index], m_config.bootOrder[static_cast<std::size_t>(static_cast<int>(index) + by)]);
    fillBootOrder();
}

}
