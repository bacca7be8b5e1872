// The USB card of MachineSettingsPage: what the machine is made with, and what becomes of the host's devices when it
// goes back to a moment. The latter is no part of its configuration, which a moment brings back.

#include "app/store/machine_store.h"
#include "ui/settings/machine_settings_page.h"
#include "ui/theme/icons.h"
#include "ui/usb/usb_words.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/refill.h"

#include <QComboBox>
#include <QLabel>
#include <QMenu>
#include <QPushButton>
#include <QToolButton>

namespace ui {

namespace {

/// As many as a person makes sense of in a machine, in the order of the menu.
constexpr vmm::UsbKind kinds[] = { vmm::UsbKind::Keyboard, vmm::UsbKind::Mouse, vmm::UsbKind::Tablet,
    vmm::UsbKind::Audio, vmm::UsbKind::Gamepad, vmm::UsbKind::Serial, vmm::UsbKind::Hub };

bool isParent(vmm::VmConfig const& config, std::string const& id)
{
    return std::ranges::find(config.usbDevices, id, &vmm::UsbDeviceConfig::parent) != config.usbDevices.end();
}

}

void MachineSettingsPage::makeUsbCard()
{
    auto* card = addCard(m_usbHeading);
    m_usb = new QWidget;
    auto* rows = new QVBoxLayout(m_usb);
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setSpacing(8);
    card->addWidget(m_usb);
    m_addUsb = new QPushButton;
    m_addUsbMenu = new QMenu(m_addUsb);
    m_addUsb->setMenu(m_addUsbMenu);
    card->addWidget(m_addUsb, 0, Qt::AlignLeft);
    m_lockable += { m_usb, m_addUsb };
    connect(m_addUsbMenu, &QMenu::aboutToShow, this, &MachineSettingsPage::fillAddUsb);

    m_usbRestore = new QComboBox;
    m_usbRestoreLabel = new QLabel;
    m_usbRestoreLabel->setWordWrap(true);
    m_usbRestoreLabel->setBuddy(m_usbRestore);
    auto* line = new QHBoxLayout;
    line->addWidget(m_usbRestoreLabel, 1);
    line->addWidget(m_usbRestore);
    card->addLayout(line);
    connect(m_usbRestore, &QComboBox::activated, this,
        [this](int index) { m_restore = static_cast<app::UsbRestore>(index); });
    // What is not edited here is as it is there.
    connect(&m_library.hostUsb(), &app::HostUsbWatch::changed, this, [this] {
        auto const now = m_library.hostUsb().rules().restoreOf(m_id.toStdString());
        if (m_restore == std::exchange(m_restoreBefore, now))
            setUsbRestore(now);
    });
}

void MachineSettingsPage::setUsbRestore(app::UsbRestore restore)
{
    m_restore = restore;
    m_usbRestore->setCurrentIndex(static_cast<int>(restore));
}

/// And then `next`, where that went well.
void MachineSettingsPage::saveUsbRestore(
    QString const& id, app::UsbRestore restore, app::Library::Done<void> const& next)
{
    m_library.changeUsbRules(
        [id = id.toStdString(), restore](app::UsbRules& rules) -> vmm::Result<> {
            rules.setRestore(id, restore);
            return {};
        },
        guarded(this, [this, next, id, restore](vmm::Result<> const& outcome) {
            if (outcome && m_id == id)
                m_restoreBefore = restore;
            next(outcome);
        }));
}

void MachineSettingsPage::fillUsb()
{
    Refill const refill(m_usb);
    auto* layout = static_cast<QVBoxLayout*>(m_usb->layout());
    for (auto const& controller : m_config.usbControllers) {
        auto const id = QString::fromStdString(controller.id);
        auto* row = addRow(layout, QStringLiteral("usb"), tr("%1 – USB controller (xHCI)").arg(id));
        auto* remove = addRemove(row, id, [this, id = controller.id] {
            std::erase_if(m_config.usbControllers, [&](auto const& one) { return one.id == id; });
            fillUsb();
        });
        // Without one there would be nowhere to plug in what has no other.
        auto const isLast = m_config.usbControllers.size() == 1;
        auto const isNeeded = isParent(m_config, controller.id)
            || (isLast && (!m_config.usbDevices.empty() || std::ranges::any_of(m_config.disks, [](auto const& disk) {
                   return vmm::isUsb(disk.bus);
               })));
        remove->setEnabled(remove->isEnabled() && !isNeeded);
    }
    for (auto const& device : m_config.usbDevices) {
        auto const id = QString::fromStdString(device.id);
        auto* row = addRow(layout, usbIconName(device.kind), QStringLiteral("%1 – %2").arg(id, usbName(device.kind)));
        auto* remove = addRemove(row, id, [this, id = device.id] {
            std::erase_if(m_config.usbDevices, [&](auto const& one) { return one.id == id; });
            fillUsb();
        });
        remove->setEnabled(remove->isEnabled() && !isParent(m_config, device.id));
    }
}

void MachineSettingsPage::fillAddUsb()
{
    m_addUsbMenu->clear();
    for (auto const kind : kinds) {
        m_addUsbMenu->addAction(icon(usbIconName(kind)), usbName(kind), this, [this, kind] {
            auto const name = stateNames(kind)[static_cast<std::size_t>(kind)];
            vmm::UsbDeviceConfig device;
            device.kind = kind;
            device.parent = app::freeUsbController(m_config);
            device.id = app::freeDeviceId(m_config, "usb-" + std::string(name) + "-"); // as chronoctl names it
            m_config.usbDevices.push_back(device);
            fillUsb();
        });
    }
    m_addUsbMenu->addSeparator();
    m_addUsbMenu->addAction(icon(QStringLiteral("usb")), tr("USB controller"), this, [this] {
        m_config.usbControllers.push_back(app::newUsbController(m_config));
        fillUsb();
    });
}

void MachineSettingsPage::updateUsbTexts()
{
    m_usbHeading->setText(tr("USB"));
    m_addUsb->setText(tr("Add a USB device"));
    m_addUsb->setIcon(icon(QStringLiteral("add")));
    m_usbRestoreLabel->setText(
        tr("When the machine comes back from a moment or is restored, devices of this computer &are"));
    m_usbRestore->setAccessibleName(tr("USB devices of this computer after going back"));
    // In the order of app::UsbRestore.
    m_usbRestore->clear();
    m_usbRestore->addItems({ tr("plugged in anew"), tr("left on this computer"), tr("asked about") });
    setUsbRestore(m_restore);
}

}
