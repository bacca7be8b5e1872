// The card of MachineSettingsPage for screens and the pointer, and for what there is nothing to choose of but how many.

#include "app/store/machine_store.h"
#include "ui/settings/machine_settings_page.h"
#include "ui/theme/icons.h"
#include "ui/widgets/refill.h"
#include "ui/widgets/wrapped_check_box.h"

#include <QComboBox>
#include <QLabel>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QToolButton>

namespace ui {

namespace {

constexpr std::size_t mostScreens = 4; // more are refused when they are saved

}

void MachineSettingsPage::makeScreensCard()
{
    auto* card = addCard(m_screensHeading);
    m_screens = new QWidget;
    auto* rows = new QVBoxLayout(m_screens);
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setSpacing(8);
    card->addWidget(m_screens);
    m_addScreen = new QPushButton;
    card->addWidget(m_addScreen, 0, Qt::AlignLeft);
    m_tablet = new WrappedCheckBox;
    m_debugConsole = new WrappedCheckBox;
    m_generators = new QSpinBox;
    m_generators->setRange(0, vmm::maximumDevices);
    m_generatorsLabel = new QLabel;
    m_generatorsLabel->setBuddy(m_generators);
    auto* generators = new QHBoxLayout;
    generators->addWidget(m_generatorsLabel);
    generators->addWidget(m_generators);
    generators->addStretch(1);
    card->addWidget(m_tablet);
    card->addLayout(generators);
    card->addWidget(m_debugConsole);
    m_lockable += { m_screens, m_tablet, m_generatorsLabel, m_generators, m_debugConsole };
    connect(m_addScreen, &QPushButton::clicked, this, [this] {
        vmm::DisplayConfig display;
        display.id = app::freeDeviceId(m_config, "display");
        m_config.displays.push_back(display);
        fillScreens();
    });
    connect(m_tablet, &QCheckBox::toggled, this, [this](bool on) { m_config.tablet = on; });
    connect(m_debugConsole, &QCheckBox::toggled, this, [this](bool on) { m_config.debugConsole = on; });
    connect(m_generators, &QSpinBox::valueChanged, this,
        [this](int count) { m_config.randomGenerators = static_cast<std::uint16_t>(count); });
}

void MachineSettingsPage::fillScreens()
{
    Refill const refill(m_screens);
    for (std::size_t i = 0; i < m_config.displays.size(); ++i) {
        auto const& display = m_config.displays[i];
        auto const id = QString::fromStdString(display.id);
        auto* row = addRow(static_cast<QVBoxLayout*>(m_screens->layout()), QStringLiteral("machine"), id);
        auto* memory = new QComboBox;
        // A card has a power of two of it.
        for (int size = 1; size <= 256; size *= 2)
            memory->addItem(tr("%1 MiB of video memory").arg(size), size);
        for (int at = 0; at < memory->count(); ++at) {
            if (memory->itemData(at).toInt() < display.videoMemoryMiB)
                memory->setCurrentIndex(std::min(at + 1, memory->count() - 1));
        }
        memory->setAccessibleName(tr("Video memory of %1").arg(id));
        connect(memory, &QComboBox::activated, this, [this, i, memory](int index) {
            m_config.displays[i].videoMemoryMiB = static_cast<std::uint16_t>(memory->itemData(index).toInt());
        });
        row->layout()->addWidget(memory);
        addRemove(row, id, [this, i] {
            m_config.displays.erase(m_config.displays.begin() + static_cast<std::ptrdiff_t>(i));
            fillScreens();
        });
    }
    m_addScreen->setEnabled(!isLocked() && m_config.displays.size() < mostScreens);
    QSignalBlocker const tablet(m_tablet), console(m_debugConsole), generators(m_generators);
    m_tablet->setChecked(m_config.tablet);
    m_debugConsole->setChecked(m_config.debugConsole);
    m_generators->setValue(m_config.randomGenerators);
}

void MachineSettingsPage::updateScreensTexts()
{
    m_screensHeading->setText(tr("Screens and pointer"));
    m_addScreen->setText(tr("Add a screen"));
    m_addScreen->setIcon(icon(QStringLiteral("add")));
    m_tablet->setText(tr("Pointer without capture (Virtio tablet)"));
    m_tablet->setToolTip(
        tr("Without it, and where the machine's system has no driver for it, the pointer is captured."));
    m_generatorsLabel->setText(tr("&Random number generators"));
    m_generators->setAccessibleName(tr("Random number generators"));
    m_debugConsole->setText(tr("Ports on which firmware writes its log"));
}

}
