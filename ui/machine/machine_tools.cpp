// MachinePage's toolbar and menus: their making and their words.

#include "app/session/timeline_session.h"
#include "ui/display/key_codes.h"
#include "ui/display/keyboard_layout.h"
#include "ui/display/screen_view.h"
#include "ui/machine/machine_page.h"
#include "ui/machine/page_settings.h"
#include "ui/serial/console_tabs.h"
#include "ui/theme/icons.h"
#include "ui/widgets/message_bar.h"

#include <QActionGroup>
#include <QFileInfo>
#include <QFrame>
#include <QHBoxLayout>
#include <QPushButton>
#include <QStyle>
#include <QToolButton>
#include <map>

namespace ui {

void MachinePage::makeToolbar()
{
    m_toolbar->setObjectName(QStringLiteral("toolbar"));
    auto* layout = new QHBoxLayout(m_toolbar);
    layout->setContentsMargins(8, 6, 8, 6);
    layout->setSpacing(2);
    auto button = [&](QAction* action, QMenu* menu = nullptr) {
        auto* tool = new QToolButton(m_toolbar);
        tool->setFocusPolicy(Qt::StrongFocus);
        tool->setIconSize({ 20, 20 });
        if (action != nullptr)
            tool->setDefaultAction(action);
        if (menu != nullptr) {
            tool->setMenu(menu);
            tool->setPopupMode(action != nullptr ? QToolButton::MenuButtonPopup : QToolButton::InstantPopup);
        }
        layout->addWidget(tool);
        return tool;
    };
    auto gap = [&] { layout->addSpacing(10); };
    m_powerMenu = new QMenu(this);
    m_usbMenu = new QMenu(this);
    m_cdMenu = new QMenu(this);
    m_keysMenu = new QMenu(this);
    m_cameraMenu = new QMenu(this);
    m_zoomMenu = new QMenu(this);

    m_runButton = button(m_actions.run);
    m_suspendButton = button(m_actions.suspend);
    m_powerButton = button(nullptr, m_powerMenu);
    m_powerButton->setObjectName(QStringLiteral("power"));
    connect(m_powerButton, &QToolButton::clicked, m_actions.shutDown, &QAction::trigger);
    m_keepButton = button(m_actions.keep);
    gap();
    m_usbButton = button(nullptr, m_usbMenu);
    m_cdButton = button(nullptr, m_cdMenu);
    m_keysButton = button(nullptr, m_keysMenu);
    m_cameraButton = button(nullptr, m_cameraMenu);
    m_zoomButton = button(nullptr, m_zoomMenu);
    m_fullScreenButton = button(m_actions.fullScreen);
    layout->addStretch(1);
    m_consolesButton = button(m_actions.consoles);
    m_windowButton = button(m_actions.ownWindow);
    m_settingsButton = button(m_actions.settings);
    m_inspectorButton = button(m_actions.inspector);

    for (auto* tool : { m_cameraButton, m_zoomButton, m_fullScreenButton, m_consolesButton, m_windowButton,
             m_settingsButton, m_inspectorButton })
        tool->setToolButtonStyle(Qt::ToolButtonIconOnly);
    // It takes what the page has, and says less where that is little.
    m_toolbar->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);

    m_powerMenu->addActions({ m_actions.shutDown, m_actions.reset, m_actions.powerOff });
    m_powerMenu->addSeparator();
    m_powerMenu->addAction(m_actions.discard);
    m_cameraMenu->addActions({ m_actions.screenshotFile, m_actions.screenshotCopy });
    connect(m_cdMenu, &QMenu::aboutToShow, this, &MachinePage::fillCdMenu);
    connect(m_keysMenu, &QMenu::aboutToShow, this, &MachinePage::fillKeysMenu);
    connect(m_zoomMenu, &QMenu::aboutToShow, this, &MachinePage::fillZoomMenu);
}

void MachinePage::fillCdMenu()
{
    m_cdMenu->clear();
    auto const config = m_session->config();
    for (auto const& cd : config.cds) {
        auto const drive = QString::fromStdString(cd.id);
        auto const path = m_session->mediumPath(drive);
        if (config.cds.size() > 1)
            m_cdMenu->addSection(drive);
        m_cdMenu->addAction(icon(QStringLiteral("disc")), path.isEmpty() ? tr("Insert a CD…") : tr("Change the CD…"),
            this, [this, drive] { insertCd(drive); });
        if (!path.isEmpty())
            m_cdMenu->addAction(icon(QStringLiteral("eject")), tr("Eject “%1”").arg(QFileInfo(path).fileName()), this,
                [this, drive] { m_session->ejectMedium(drive); });
    }
}

void MachinePage::fillKeysMenu()
{
    m_keysMenu->clear();
    qDeleteAll(m_keysMenu->findChildren<QMenu*>(Qt::FindDirectChildrenOnly));
    m_keysMenu->addAction(m_actions.typeClipboard);
    m_keysMenu->addSeparator();
    auto* functionKeys = new QMenu(tr("Function key"), m_keysMenu);
    auto* consoleKeys = new QMenu(tr("Ctrl+Alt with a function key"), m_keysMenu);
    std::map<KeyChord::Group, QMenu*> const menus { { KeyChord::Group::Common, m_keysMenu },
        { KeyChord::Group::FunctionKeys, functionKeys }, { KeyChord::Group::ConsoleKeys, consoleKeys } };
    for (auto const& chord : keyChords()) {
        auto* menu = menus.at(chord.group);
        if (chord.separatorBefore)
            menu->addSeparator();
        menu->addAction(chord.label, this, [this, &chord] {
            m_screen->sendChord(chord.codes);
            m_screen->screen()->setFocus();
        });
    }
    m_keysMenu->addMenu(functionKeys);
    m_keysMenu->addMenu(consoleKeys);
    fillLayouts();
}

/// Which keys the clipboard's text is typed with.
void MachinePage::fillLayouts()
{
    m_keysMenu->addSeparator();
    auto* menu = m_keysMenu->addMenu(tr("Keyboard layout of the guest"));
    auto* group = new QActionGroup(menu);
    auto const chosen = guestLayout();
    for (auto const& [name, label] : keyboardLayouts()) {
        auto* action = menu->addAction(label, this, [this, name = name] { settings::setGuestLayout(m_id, name); });
        action->setCheckable(true);
        action->setChecked(name == chosen);
        group->addAction(action);
    }
}

QString MachinePage::guestLayout() const
{
    return settings::guestLayouts().value(m_id, hostLayout()).toString();
}

void MachinePage::fillZoomMenu()
{
    m_zoomMenu->clear();
    auto* group = new QActionGroup(m_zoomMenu);
    for (auto const zoom : { 0, 1, 2, 3 }) {
        auto* action = m_zoomMenu->addAction(
            zoom == 0 ? tr("Fit into the window") : tr("%1 %").arg(zoom * 100), this, [this, zoom] {
                settings::screenZoom.set(zoom);
                m_screen->setZoom(zoom);
            });
        action->setCheckable(true);
        action->setChecked(m_screen->zoom() == zoom);
        group->addAction(action);
    }
    fillDisplays();
}

/// Which of several screens is shown.
void MachinePage::fillDisplays()
{
    auto const displays = m_session->config().displays;
    if (displays.size() < 2)
        return;
    m_zoomMenu->addSeparator();
    auto* group = new QActionGroup(m_zoomMenu);
    for (std::size_t number = 0; number < displays.size(); ++number) {
        auto const id = QString::fromStdString(displays[number].id);
        auto* action
            = m_zoomMenu->addAction(tr("Display %1").arg(number + 1), this, [this, id] { m_screen->setDisplay(id); });
        action->setCheckable(true);
        action->setChecked(m_screen->display() == id);
        group->addAction(action);
    }
}

void MachinePage::fillMenu(QMenu* menu)
{
    menu->addActions(
        { m_actions.run, m_actions.suspend, m_actions.shutDown, m_actions.reset, m_actions.powerOff, m_actions.keep });
    if (m_session->canCancel())
        menu->addAction(m_actions.cancel);
    if (m_session->can(app::Action::DiscardState))
        menu->addAction(m_actions.discard);
    menu->addSeparator();
    menu->addActions({ m_actions.settings, m_actions.ownWindow, m_actions.fork });
    auto const isFree = !app::isInMemory(m_session->state()) && !otherOwner();
    menu->addAction(icon(QStringLiteral("copy")), tr("Copy the machine"), this, &MachinePage::cloneRequested)
        ->setEnabled(isFree);
    auto* remove
        = menu->addAction(icon(QStringLiteral("trash")), tr("Remove the machine"), this, &MachinePage::removeRequested);
    remove->setEnabled(isFree);
}

void MachinePage::updateTexts()
{
    auto set = [](QAction* action, QString const& text, QString const& iconName, QString const& help = {}) {
        action->setText(text);
        action->setIcon(icon(iconName));
        auto tip = help.isEmpty() ? text : help;
        tip.remove(QLatin1Char('&'));
        if (!action->shortcut().isEmpty())
            tip += QStringLiteral(" (%1)").arg(action->shortcut().toString(QKeySequence::NativeText));
        action->setToolTip(tip);
    };
    auto const state = m_session->state();
    if (m_session->can(app::Action::Pause))
        set(m_actions.run, tr("Pause"), QStringLiteral("pause"), tr("Let the machine stand still"));
    else if (m_session->can(app::Action::Resume))
        set(m_actions.run, tr("Resume"), QStringLiteral("start"), tr("Let the machine go on"));
    else if (state == app::SessionState::Suspended)
        set(m_actions.run, tr("Restore"), QStringLiteral("start"), tr("Go on where the machine was suspended"));
    else
        set(m_actions.run, tr("Start"), QStringLiteral("start"), tr("Start the machine"));
    set(m_actions.suspend, tr("Suspend"), QStringLiteral("suspend"),
        tr("Write the machine's state to disk, and bring it back later"));
    if (!m_usbFates.isEmpty()) {
        auto* action = app::isInMemory(state) ? m_actions.suspend : m_actions.run;
        action->setToolTip(QStringLiteral("%1\n%2").arg(action->toolTip(), m_usbFates));
    }
    set(m_actions.shutDown, tr("Shut down"), QStringLiteral("power"), tr("Press the machine's power button"));
    set(m_actions.reset, tr("Reset"), QStringLiteral("restart"));
    set(m_actions.powerOff, tr("Power off at once"), QStringLiteral("plug"));
    set(m_actions.discard, tr("Throw the suspended state away"), QStringLiteral("trash"));
    set(m_actions.cancel, tr("Cancel"), QStringLiteral("close"));
    set(m_actions.fork, tr("Fork the machine"), QStringLiteral("fork"),
        tr("Make another machine that goes on from now, while this one runs on"));
    set(m_actions.timeline, tr("Timeline"), QStringLiteral("moment"), tr("Go to the timeline"));
    set(m_actions.usb, tr("USB"), QStringLiteral("usb"), tr("Go to the USB devices"));
    updateKeep();
    set(m_actions.fullScreen, m_fullScreen ? tr("Leave full screen") : tr("Full screen"),
        m_fullScreen ? QStringLiteral("unfullscreen") : QStringLiteral("fullscreen"),
        m_fullScreen ? QString() : tr("Full screen; from within the machine Ctrl+Alt+Enter"));
    set(m_actions.screenshotFile, tr("Save a screenshot…"), QStringLiteral("camera"));
    set(m_actions.screenshotCopy, tr("Copy a screenshot"), QStringLiteral("copy"));
    set(m_actions.typeClipboard, tr("Type the clipboard's text"), QStringLiteral("clipboard"));
    set(m_actions.consoles, tr("Serial console"), QStringLiteral("serial"), tr("Show the serial console"));
    set(m_actions.inspector, tr("Inspector"), QStringLiteral("inspector"), tr("Show what the machine is made of"));
    set(m_actions.ownWindow, m_ownWindow ? tr("Back into the main window") : tr("In a window of its own"),
        QStringLiteral("window"));
    set(m_actions.settings, tr("Settings"), QStringLiteral("settings"), tr("Change the machine's settings"));
    auto tool = [](QToolButton* button, QString const& text, QString const& iconName, QString const& help) {
        button->setText(text);
        button->setIcon(icon(iconName));
        button->setToolTip(help);
        button->setAccessibleName(help);
    };
    // One click for what is wanted most; where that cannot be, it is a menu alone.
    bool const shutsDown = m_actions.shutDown->isEnabled();
    if (auto const mode = shutsDown ? QToolButton::MenuButtonPopup : QToolButton::InstantPopup;
        mode != m_powerButton->popupMode()) {
        m_powerButton->setPopupMode(mode);
        m_powerButton->style()->polish(m_powerButton); // its arrow has room only then
    }
    tool(m_powerButton, shutsDown ? m_actions.shutDown->text() : tr("Power"), QStringLiteral("power"),
        shutsDown ? m_actions.shutDown->toolTip() : tr("Power: shut down, reset and power off"));
    tool(m_usbButton, tr("USB"), QStringLiteral("usb"), tr("USB: attach and detach"));
    tool(m_cdButton, tr("CD"), QStringLiteral("disc"), tr("CD: insert and eject"));
    tool(m_keysButton, tr("Keys"), QStringLiteral("keyboard"), tr("Send key combinations and text"));
    tool(m_cameraButton, tr("Screenshot"), QStringLiteral("camera"), tr("Screenshot"));
    tool(
        m_zoomButton, tr("Size"), QStringLiteral("search"), tr("The machine's screen: its size, and which of several"));
    for (auto* button : { m_runButton, m_suspendButton, m_keepButton, m_fullScreenButton, m_consolesButton,
             m_windowButton, m_settingsButton, m_inspectorButton })
        button->setAccessibleName(button->defaultAction()->text());
}

void MachinePage::updateKeepText(QString const& whyNot)
{
    m_actions.keep->setText(tr("Keep this moment"));
    m_actions.keep->setIconText(tr("Keep"));
    m_actions.keep->setIcon(icon(QStringLiteral("moment")));
    auto const tip = !whyNot.isEmpty()        ? whyNot
        : app::isInMemory(m_session->state()) ? tr("Keep the whole machine as it is now, while it runs on")
                                              : tr("Keep the machine as it is now, with its disks");
    auto withDetails
        = QStringLiteral("%1 (%2)").arg(tip, m_actions.keep->shortcut().toString(QKeySequence::NativeText));
    for (auto const& obstacle : m_session->timeline().obstacles())
        withDetails += QLatin1Char('\n') + QString::fromStdString(obstacle.message());
    m_actions.keep->setToolTip(withDetails);
    m_keepButton->setAccessibleDescription(tip);
}

void MachinePage::updateToolStyle()
{
    // Words where there is room; the important three keep them longest.
    std::initializer_list<QToolButton*> const important { m_runButton, m_suspendButton, m_powerButton, m_keepButton };
    std::initializer_list<QToolButton*> const others { m_usbButton, m_cdButton, m_keysButton };
    auto const set = [](auto const& buttons, Qt::ToolButtonStyle style) {
        for (auto* button : buttons)
            button->setToolButtonStyle(style);
    };
    set(important, Qt::ToolButtonTextBesideIcon);
    set(others, Qt::ToolButtonTextBesideIcon);
    auto const fits = [this] { return m_toolbar->layout()->totalMinimumSize().width() <= width(); };
    if (!fits())
        set(others, Qt::ToolButtonIconOnly);
    if (!fits())
        set(important, Qt::ToolButtonIconOnly);
}

}
