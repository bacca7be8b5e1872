#include "ui/machine/machine_page.h"

#include "ui/display/screen_view.h"
#include "ui/library/library_model.h"
#include "ui/machine/inspector.h"
#include "ui/machine/page_settings.h"
#include "ui/serial/console_tabs.h"
#include "ui/timeline/moment_words.h"
#include "ui/timeline/timeline_panel.h"
#include "ui/usb/usb_control.h"
#include "ui/usb/usb_words.h"
#include "ui/widgets/file_dialog.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/words.h"
#include "ui/widgets/work_line.h"

#include <QApplication>
#include <QBoxLayout>
#include <QClipboard>
#include <QCursor>
#include <QDateTime>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QLabel>
#include <QPointer>
#include <QPushButton>
#include <QSplitter>
#include <QStandardPaths>
#include <QToolButton>
#include <algorithm>
#include <utility>

namespace ui {

MachinePage::MachinePage(app::Library& library, QString id, QWidget* parent)
    : QWidget(parent),
      m_library(library),
      m_id(std::move(id)),
      m_session(library.session(m_id)),
      m_toolbar(new QFrame(this)),
      m_messages(new MessageBar(this)),
      m_work(new WorkLine(this)),
      m_columns(new QSplitter(Qt::Horizontal, this)),
      m_rows(new QSplitter(Qt::Vertical, m_columns)),
      m_screen(new ScreenView(*m_session, m_rows)),
      m_consoles(new ConsoleTabs(*m_session, m_rows)),
      m_usb(new UsbControl(library, m_id, this, m_rows)),
      m_inspector(new Inspector(library, m_id, *m_usb, m_columns)),
      m_timeline(new TimelinePanel(*m_session, this))
{
    m_rows->setStretchFactor(0, 3);
    m_rows->setStretchFactor(1, 1);
    m_columns->setStretchFactor(0, 1);
    m_columns->setStretchFactor(1, 0);
    // Keys go to what is shown: who hides it says so, with its button.
    for (auto* splitter : { m_rows, m_columns }) {
        splitter->setCollapsible(0, false);
        splitter->setCollapsible(1, false);
    }
    m_columns->setHandleWidth(1);
    m_rows->setHandleWidth(1);
    m_rows->setSizes({ 520, 190 });
    m_columns->setSizes({ 800, 260 });
    m_rows->restoreState(settings::machineRows());
    m_columns->restoreState(settings::machineColumns());

    makeActions();
    makeToolbar();
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_toolbar);
    layout->addWidget(m_messages);
    layout->addWidget(m_work);
    layout->addWidget(m_columns, 1);
    layout->addWidget(m_timeline);

    m_screen->setZoom(settings::screenZoom());
    m_actions.consoles->setChecked(settings::showConsoles());
    m_actions.inspector->setChecked(settings::showInspector());
    m_inspector->setVisible(settings::showInspector());
    m_revealTimer.setInterval(80);
    connect(&m_revealTimer, &QTimer::timeout, this, &MachinePage::revealToolbar);
    m_shutDownTimer.setSingleShot(true);
    m_shutDownTimer.setInterval(std::chrono::seconds(15));
    connect(&m_shutDownTimer, &QTimer::timeout, this, [this] {
        tellShutDown(
            tr("The guest has not shut down so far."), tr("Power off at once"), [this] { m_session->powerOff(); });
    });
    connect(m_columns, &QSplitter::splitterMoved, this, &MachinePage::saveSplitters);
    connect(m_rows, &QSplitter::splitterMoved, this, &MachinePage::saveSplitters);
    connectSession();
    connectTimeline();
    connectUsb();
    updateTexts();
    refresh();
    reportReason();
    reportForwards();
    foreseeUsb();
}

void MachinePage::makeActions()
{
    auto add = [this](auto slot) {
        auto* action = new QAction(this);
        action->setShortcutContext(Qt::WidgetWithChildrenShortcut);
        connect(action, &QAction::triggered, this, slot);
        addAction(action);
        return action;
    };
    m_actions.run = add([this] { m_session->can(app::Action::Pause) ? m_session->pause() : startOrResume(); });
    m_actions.suspend = add([this] { m_session->suspend(); });
    m_actions.shutDown = add([this] { shutDown(); });
    m_actions.reset = add([this] { reset(); });
    m_actions.powerOff = add([this] { m_session->powerOff(); });
    m_actions.discard = add([this] {
        m_messages->dismiss();
        m_session->discardState();
    });
    m_actions.cancel = add([this] { m_session->cancelJob(); });
    m_actions.keep = add([this] { m_timeline->keep(); });
    m_actions.fork = add([this] { m_timeline->fork(); });
    m_actions.timeline = add([this] {
        if (m_fullScreen)
            emit fullScreenToggled(); // where it is hidden
        m_timeline->axis()->setFocus(Qt::ShortcutFocusReason);
    });
    m_actions.usb = add([this] { goToUsb(); });
    m_actions.fullScreen = add([this] { emit fullScreenToggled(); });
    m_actions.screenshotFile = add([this] { saveScreenshot(); });
    m_actions.screenshotCopy = add([this] {
        QApplication::clipboard()->setImage(m_screen->screenshot());
        m_messages->showNotice(tr("The screenshot is in the clipboard."));
    });
    m_actions.typeClipboard = add([this] { typeClipboard(); });
    m_actions.consoles = add([this](bool on) { setConsolesVisible(on); });
    m_actions.inspector = add([this](bool on) { setInspectorVisible(on); });
    m_actions.ownWindow = add([this] { emit ownWindowToggled(); });
    m_actions.settings = add([this] { emit settingsRequested(); });
    m_actions.consoles->setCheckable(true);
    m_actions.inspector->setCheckable(true);
    m_actions.run->setShortcut(Qt::CTRL | Qt::Key_R);
    m_actions.suspend->setShortcut(Qt::CTRL | Qt::Key_S);
    m_actions.shutDown->setShortcut(Qt::CTRL | Qt::Key_D);
    // With Shift, as the terminal lets such keys pass.
    m_actions.keep->setShortcut(Qt::CTRL | Qt::SHIFT | Qt::Key_K);
    m_actions.timeline->setShortcut(Qt::CTRL | Qt::SHIFT | Qt::Key_T);
    m_actions.usb->setShortcut(Qt::CTRL | Qt::SHIFT | Qt::Key_U);
    m_actions.fullScreen->setShortcut(Qt::Key_F11);
    m_actions.screenshotFile->setShortcut(Qt::CTRL | Qt::Key_P);
    m_actions.consoles->setShortcut(Qt::CTRL | Qt::Key_T);
    m_actions.inspector->setShortcut(Qt::CTRL | Qt::Key_I);
    m_actions.settings->setShortcut(Qt::CTRL | Qt::Key_E);
    // They work from the library as well: its owner adds them to the window.
    for (auto* action : actions())
        action->setShortcutContext(Qt::WindowShortcut);
}

void MachinePage::connectSession()
{
    connect(m_session, &app::VmSession::stateChanged, this, [this](app::SessionState state) {
        tellShutDown({});
        if (state == app::SessionState::Running || state == app::SessionState::Restoring)
            m_messages->dismiss(); // it is about what was before
        reportReason();
        reportForwards();
        foreseeUsb();
        updateState();
    });
    connect(m_session, &app::VmSession::jobProgressed, this, &MachinePage::updateJob);
    connect(m_session, &app::VmSession::jobEnded, this, &MachinePage::updateState);
    connect(m_session, &app::VmSession::workChanged, this, [this] {
        m_actions.cancel->setEnabled(m_session->canCancel());
        updateStillState();
    });
    connect(m_session, &app::VmSession::mediumChanged, this, [this] { m_inspector->refresh(); });
    connect(m_session, &app::VmSession::networkChanged, this, [this] { m_inspector->refresh(); });
    auto const devicesChanged = [this] {
        m_consoles->rebuild();
        m_inspector->refresh();
        updateState();
    };
    connect(m_session, &app::VmSession::usbAdded, this, devicesChanged);
    connect(m_session, &app::VmSession::usbRemoved, this, devicesChanged);
    connect(m_session, &app::VmSession::guestRebooted, this, [this] {
        if (!m_messages->hasProblem()) // which nobody may have read yet
            m_messages->showNotice(tr("The guest has restarted."));
    });
    connect(m_session, &app::VmSession::failed, this, [this](app::Action tried, vmm::Error const& error) {
        static constexpr Task tasks[] = { Task::Start, Task::Pause, Task::Resume, Task::Reset, Task::PressPowerButton,
            Task::PowerOff, Task::Suspend, Task::DiscardState, Task::Cancel };
        auto task = tasks[static_cast<std::size_t>(tried)];
        if (task == Task::Start && m_session->state() == app::SessionState::Suspended)
            task = Task::Restore;
        if (task == Task::PressPowerButton)
            tellShutDown({});
        if (error.code != vmm::ErrorCode::Cancelled)
            report(task, error);
    });
    connect(m_session, &app::VmSession::mediumFailed, this, [this](QString const& drive, vmm::Error const& error) {
        auto const task = m_session->mediumPath(drive).isEmpty() ? Task::InsertMedium : Task::EjectMedium;
        auto const problem = problemFor(task, error);
        m_messages->showProblem(problem, remedyFor(problem.remedy, task, drive));
    });
    connect(m_screen, &ScreenView::startRequested, this, &MachinePage::startOrResume);
    connect(m_screen, &ScreenView::suspendThereRequested, this, &MachinePage::suspendThere);
    connect(m_screen, &ScreenView::settingsRequested, this, &MachinePage::settingsRequested);
    connect(m_screen, &ScreenView::fullScreenRequested, this, &MachinePage::fullScreenToggled);
    connect(m_screen, &ScreenView::leaveRequested, this, [this] {
        if (m_fullScreen) {
            m_toolbar->show();
            m_toolbar->raise();
        }
        if (!m_usb->focusQuestion())
            m_runButton->setFocus(Qt::ShortcutFocusReason);
        emit leaveRequested();
    });
    connect(m_inspector, &Inspector::settingsRequested, this, &MachinePage::settingsRequested);
    connect(m_inspector, &Inspector::failed, this,
        [this](vmm::Error const& error) { report(Task::ChangeSettings, error); });
    connect(m_screen, &ScreenView::typingChanged, this, &MachinePage::updateJob);
    connect(m_work, &WorkLine::cancelRequested, this,
        [this] { m_session->job() ? m_session->cancelJob() : m_screen->stopTyping(); });
}

void MachinePage::connectTimeline()
{
    connect(m_timeline, &TimelinePanel::viewWanted, m_screen, &ScreenView::showInstead);
    connect(m_timeline, &TimelinePanel::possibilitiesChanged, this, &MachinePage::updateKeep);
    connect(m_timeline, &TimelinePanel::forkRequested, this, &MachinePage::forkRequested);
    connect(m_timeline, &TimelinePanel::importRequested, this, &MachinePage::importRequested);
    connect(m_timeline, &TimelinePanel::leaveRequested, this, &MachinePage::focusMachine);
    connect(m_timeline, &TimelinePanel::problem, m_messages, &MessageBar::showProblem);
    connect(m_timeline, &TimelinePanel::notice, m_messages, &MessageBar::showNotice);
    connect(&m_timeline->timeline(), &app::TimelineSession::left, this, &MachinePage::tellLeft);
}

void MachinePage::tellLeft(QString const& moment, app::MomentReason reason)
{
    if (m_messages->hasProblem() && reason == app::MomentReason::BeforeGoing)
        return; // of where the machine is now, which matters more
    if (moment.isEmpty())
        return m_messages->showNotice(tr("The machine as it was could not be kept as a moment."));
    m_messages->showNotice(tr("The machine as it was is kept as “%1”.").arg(momentTitle(reason)), tr("Undo"),
        [this, moment] { m_timeline->goTo(moment); });
}

void MachinePage::connectUsb()
{
    m_usb->setMenu(m_usbMenu);
    connect(
        m_usb, &UsbControl::failed, m_messages, [this](Problem const& problem) { m_messages->showProblem(problem); });
    connect(m_usb, &UsbControl::rulesRequested, this, &MachinePage::usbRulesRequested);
    connect(m_usb, &UsbControl::panelRequested, this, &MachinePage::goToUsb);
    connect(m_usb, &UsbControl::leaveRequested, this, &MachinePage::focusMachine);
    connect(m_session, &app::VmSession::hostUsbChanged, this, &MachinePage::foreseeUsb);
    connect(m_session, &app::VmSession::redirectedUsbChanged, this, &MachinePage::foreseeUsb);
    connect(&m_library.hostUsb(), &app::HostUsbWatch::changed, this, &MachinePage::foreseeUsb); // the rules
}

/// What suspending, or coming back, does to devices of this computer and of others: for its tip.
void MachinePage::foreseeUsb()
{
    auto const state = m_session->state();
    if (!app::isInMemory(state) && state != app::SessionState::Suspended) {
        m_usbFates.clear();
        return;
    }
    m_session->foreseeUsb({}, guarded(this, [this, state](vmm::Result<std::vector<app::UsbFate>> const& fates) {
        if (m_session->state() != state)
            return; // which has been asked about since
        m_usbFates = fates ? fatesText(*fates) : QString();
        updateTexts();
    }));
}

void MachinePage::tellUsb()
{
    m_session->foreseeUsb({}, guarded(this, [this](vmm::Result<std::vector<app::UsbFate>> const& fates) {
        if (fates && !fates->empty())
            m_messages->showNotice(tr("The machine had USB devices. When it goes on here, this becomes of them. %1")
                                       .arg(fatesText(*fates)));
    }));
}

/// To what is asked, or to the panel; on a whole screen, where that has no place, to the menu.
void MachinePage::goToUsb()
{
    if (m_usb->focusQuestion())
        return;
    if (m_fullScreen) {
        m_toolbar->show();
        m_toolbar->raise();
        m_usbButton->showMenu();
        return;
    }
    setInspectorVisible(true);
    m_inspector->focusUsb();
}

std::function<void()> MachinePage::remedyFor(Remedy remedy, Task task, QString const& drive)
{
    switch (remedy) {
    case Remedy::Retry:
        if (task == Task::Suspend)
            return [this] { m_session->suspend(); };
        return [this] { m_session->start(); };
    case Remedy::StartWithoutCd:
        return [this, drive] {
            m_session->ejectMedium(drive);
            m_session->start();
        };
    case Remedy::ForceEject: return [this, drive] { m_session->ejectMedium(drive, true); };
    case Remedy::ChangeSettings: return [this] { emit settingsRequested(); };
    case Remedy::DiscardState: return [this] { m_session->discardState(); };
    case Remedy::Reset: return [this] { reset(); };
    case Remedy::DiscardReally: return [this] { m_session->discardState(app::Really::Yes); };
    case Remedy::Resume: return [this] { m_session->resume(); };
    case Remedy::ShowFolder:
    case Remedy::DeleteForGood:
    case Remedy::None: break;
    }
    return {};
}

void MachinePage::report(Task task, vmm::Error const& error)
{
    auto problem = problemFor(task, error);
    QString drive;
    if ((task == Task::Start || task == Task::Restore) && error.code == vmm::ErrorCode::NotFound) {
        auto const config = m_library.config(m_id);
        auto const isMissing
            = [](std::string const& path) { return !path.empty() && !QFileInfo::exists(QString::fromStdString(path)); };
        std::vector<std::string> files;
        for (auto const& disk : config.disks)
            files.push_back(disk.path);
        if (config.kernel)
            files.insert(files.end(), { config.kernel->kernel, config.kernel->initrd });
        if (auto const file = std::find_if(files.begin(), files.end(), isMissing); file != files.end())
            problem = withMissingFile(problem, QString::fromStdString(*file), false);
        for (auto const& cd : config.cds) {
            if (!isMissing(cd.path))
                continue;
            drive = QString::fromStdString(cd.id);
            problem = withMissingFile(problem, QString::fromStdString(cd.path), task == Task::Start);
        }
    }
    m_messages->showProblem(problem, remedyFor(problem.remedy, task, drive));
}

/// Why it stands still, where nobody asked for that.
void MachinePage::reportReason()
{
    auto const state = m_session->state();
    if (m_session->reason() && (state == app::SessionState::Paused || state == app::SessionState::Crashed))
        report(Task::Run, *m_session->reason());
}

/// When the machine runs: the message would go when it begins to.
void MachinePage::reportForwards()
{
    if (m_session->state() != app::SessionState::Running)
        return;
    if (auto const missed = m_session->takeForwardsMissed())
        report(Task::ForwardPorts, *missed);
}

void MachinePage::startOrResume()
{
    m_messages->dismiss();
    if (m_session->can(app::Action::Resume))
        m_session->resume();
    else
        m_session->start();
    focusMachine();
}

/// The process that has the machine, where that is not this one.
std::optional<qint64> MachinePage::otherOwner() const
{
    auto const entry = m_library.entry(m_id);
    return entry ? entry->otherOwner : std::nullopt;
}

void MachinePage::suspendThere()
{
    m_messages->showNotice(tr("The other program was asked to suspend the machine."));
    m_screen->setSuspendThereEnabled(false);
    m_library.suspendElsewhere(m_id, guarded(this, [this](vmm::Result<> const& asked) {
        m_screen->setSuspendThereEnabled(true);
        asked ? m_messages->dismissNotice()
              : m_messages->showProblem(problemFor(Task::SuspendElsewhere, asked.error()));
    }));
}

void MachinePage::reset()
{
    m_screen->cutTyping();
    m_session->reset();
}

void MachinePage::shutDown()
{
    tellShutDown(tr("The guest was asked to shut down."));
    m_shutDownTimer.start();
    m_session->pressPowerButton();
}

/// In the place of what was told of it before; an empty `text`: nothing more is to be told.
void MachinePage::tellShutDown(QString const& text, QString const& button, std::function<void()> action)
{
    m_shutDownTimer.stop();
    if (m_messages->text() == std::exchange(m_shutDownText, text))
        m_messages->dismissNotice();
    if (!text.isEmpty())
        m_messages->showNotice(text, button, std::move(action));
}

void MachinePage::focusMachine()
{
    if (m_screen->hasScreen() || m_consoles->count() == 0)
        m_screen->focusPicture();
    else if (auto* terminal = m_consoles->currentTerminal())
        terminal->setFocus(Qt::OtherFocusReason);
}

void MachinePage::refresh()
{
    if (auto const entry = m_library.entry(m_id)) {
        m_screen->setName(entry->name);
        m_library.lastPicture(m_id, guarded(this, [this](vmm::Result<app::Picture> const& picture) {
            if (picture)
                m_screen->setCardPicture(LibraryModel::imageOf(*picture));
        }));
    }
    m_consoles->rebuild();
    m_inspector->refresh();
    m_usb->updateTexts();
    updateState();
}

void MachinePage::updateState()
{
    using app::Action;
    auto const can = [this](Action action) { return m_session->can(action); };
    auto const state = m_session->state();
    QPointer<QWidget> const before(QApplication::focusWidget());
    auto const hadFocus = before != nullptr && isAncestorOf(before);
    auto const owner = otherOwner();
    m_screen->setOtherOwner(owner);
    m_timeline->setOtherOwner(owner);
    m_actions.suspend->setEnabled(can(Action::Suspend));
    m_actions.shutDown->setEnabled(can(Action::PressPowerButton));
    m_actions.reset->setEnabled(can(Action::Reset));
    m_actions.powerOff->setEnabled(can(Action::PowerOff));
    updateStillState();
    m_actions.cancel->setEnabled(m_session->canCancel());
    auto const running = state == app::SessionState::Running;
    auto const hasPicture = app::isInMemory(state) && m_screen->hasScreen();
    m_keysButton->setEnabled(running && m_screen->hasScreen());
    m_cameraButton->setEnabled(hasPicture);
    m_zoomButton->setEnabled(m_screen->hasScreen());
    m_actions.screenshotFile->setEnabled(hasPicture);
    m_actions.screenshotCopy->setEnabled(hasPicture);
    auto const config = m_session->config();
    m_cdButton->setVisible(!config.cds.empty());

    // An empty terminal of a machine that is off would only ask what it is for.
    auto const showConsoles = m_actions.consoles->isChecked() && m_consoles->count() > 0
        && !(m_fullScreen && m_screen->hasScreen()) && (app::isInMemory(state) || m_consoles->hasText());
    m_consoles->setVisible(showConsoles);
    m_consolesButton->setVisible(m_consoles->count() > 0);
    m_actions.consoles->setEnabled(app::isInMemory(state) || m_consoles->hasText());
    // Without a screen the card is all that the upper half would hold; while the machine runs, the console has it.
    m_screen->setVisible(m_screen->hasScreen() || !app::isInMemory(state) || !showConsoles);
    m_inspector->refresh();
    m_timeline->setVisible(!m_fullScreen);
    updateKeep();
    updateJob();
    updateTexts();
    updateToolStyle();
    // What had the focus may just have been greyed: on to what a person wants next.
    if (hadFocus && before && (!before->isEnabled() || !before->isVisible()))
        m_runButton->setFocus(Qt::OtherFocusReason);
}

/// What a machine that is kept while it is suspended has to wait with.
void MachinePage::updateStillState()
{
    using app::Action;
    auto const isKept = m_session->state() == app::SessionState::Suspended && m_session->work(QLatin1String("keep"));
    auto const isFree = !isKept && !otherOwner();
    auto const can = [this](Action action) { return m_session->can(action); };
    m_actions.run->setEnabled(isFree && (can(Action::Start) || can(Action::Pause) || can(Action::Resume)));
    m_actions.discard->setEnabled(isFree && can(Action::DiscardState));
    m_powerButton->setEnabled(can(Action::PowerOff) || m_actions.discard->isEnabled());
}

void MachinePage::updateJob()
{
    auto const& job = m_session->job();
    auto const typed = m_screen->typist().progress();
    m_actions.typeClipboard->setEnabled(
        m_session->state() == app::SessionState::Running && !m_screen->typist().isTyping());
    if (!job && !typed) {
        if (m_work->isAncestorOf(window()->focusWidget()))
            focusMachine(); // before Qt takes it to whatever is next
        return m_work->hide();
    }
    m_work->tell(job ? jobWord(job->name) : tr("Typing the clipboard's text …"), job ? job->fraction : *typed);
    m_work->setCancellable(!job || m_session->can(app::Action::CancelJob));
}

void MachinePage::updateKeep()
{
    auto const why = m_timeline->whyNotKeep();
    m_actions.keep->setEnabled(why.isEmpty());
    m_actions.fork->setEnabled(why.isEmpty());
    updateKeepText(why);
}

void MachinePage::setConsolesVisible(bool visible)
{
    m_actions.consoles->setChecked(visible);
    settings::showConsoles.set(visible);
    updateState();
    if (visible && m_consoles->currentTerminal() != nullptr)
        m_consoles->currentTerminal()->setFocus(Qt::ShortcutFocusReason);
}

void MachinePage::setInspectorVisible(bool visible)
{
    m_actions.inspector->setChecked(visible);
    settings::showInspector.set(visible);
    m_inspector->setVisible(visible && !m_fullScreen);
}

void MachinePage::saveSplitters()
{
    settings::machineRows.set(m_rows->saveState());
    settings::machineColumns.set(m_columns->saveState());
}

void MachinePage::insertCd(QString const& drive)
{
    auto* dialog = fileDialog(this, tr("Insert a CD"),
        QStandardPaths::writableLocation(QStandardPaths::DownloadLocation), tr("CD images (*.iso);;All files (*)"));
    connect(dialog, &QFileDialog::fileSelected, this,
        [this, drive](QString const& path) { m_session->insertMedium(drive, path); });
    dialog->show();
}

QString MachinePage::driveFor(QString const& path) const
{
    auto const cds = m_session->config().cds;
    if (cds.empty() || !app::isInMemory(m_session->state())
        || !path.endsWith(QLatin1String(".iso"), Qt::CaseInsensitive))
        return {};
    auto const empty = std::ranges::find_if(
        cds, [this](auto const& cd) { return m_session->mediumPath(QString::fromStdString(cd.id)).isEmpty(); });
    return QString::fromStdString(empty != cds.end() ? empty->id : cds.front().id);
}

void MachinePage::saveScreenshot()
{
    auto const image = m_screen->screenshot();
    if (image.isNull())
        return;
    auto const entry = m_library.entry(m_id);
    auto const folder = QStandardPaths::writableLocation(QStandardPaths::PicturesLocation);
    auto name = entry ? entry->name : m_id;
    name.replace(QLatin1Char('/'), QLatin1Char('-'));
    auto* dialog = fileDialog(this, tr("Save the screenshot"), folder, tr("Pictures (*.png)"));
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix(QStringLiteral("png"));
    dialog->selectFile(QStringLiteral("%1 %2.png")
                           .arg(name, QDateTime::currentDateTime().toString(QStringLiteral("yyyy-MM-dd hh-mm-ss"))));
    connect(dialog, &QFileDialog::fileSelected, this, [this, image](QString const& path) {
        if (image.save(path))
            m_messages->showNotice(tr("The screenshot is in %1.").arg(QDir::toNativeSeparators(path)));
        else
            report(Task::SaveScreenshot, vmm::osError("writing " + path.toStdString()));
    });
    dialog->show();
}

void MachinePage::typeClipboard()
{
    auto const text = QApplication::clipboard()->text();
    if (text.isEmpty()) {
        m_messages->showNotice(tr("There is no text in the clipboard."));
        return;
    }
    auto const left = m_screen->typeText(text, KeyboardLayout(guestLayout()));
    QStringList sentences;
    if (left.isCut)
        sentences += tr("Only the first %n character(s) are typed.", nullptr, TextTypist::limit);
    if (left.withoutKey > 0)
        sentences += tr("%n character(s) could not be typed: the guest's keyboard layout has no key for them.", nullptr,
            left.withoutKey);
    if (!sentences.isEmpty())
        m_messages->showNotice(sentences.join(QLatin1Char(' ')));
    m_screen->screen()->setFocus();
}

void MachinePage::setFullScreen(bool on)
{
    if (m_fullScreen == on)
        return;
    m_fullScreen = on;
    m_screen->screen()->setFullScreen(on);
    if (on) {
        layout()->removeWidget(m_toolbar);
        m_toolbar->hide();
        m_revealTimer.start();
        m_inspector->hide();
        m_messages->dismissNotice();
    } else {
        m_revealTimer.stop();
        static_cast<QBoxLayout*>(layout())->insertWidget(0, m_toolbar);
        m_toolbar->show();
        m_inspector->setVisible(m_actions.inspector->isChecked());
    }
    updateState();
    if (on)
        tellWayOut();
    focusMachine();
}

/// How the tools are had back, over what is seen. Only a screen takes F11 for the guest.
void MachinePage::tellWayOut()
{
    if (m_screen->isHidden() || m_screen->showsCard()) {
        auto const text
            = tr("Move the pointer to the upper edge to get the tools back, or press F11 to leave full screen.");
        m_screen->isHidden() ? m_consoles->currentTerminal()->showHint(text) : m_screen->showHint(text);
    } else {
        m_screen->showHint(tr("Move the pointer to the upper edge, or press Ctrl+Alt, to get the tools back."));
    }
}

void MachinePage::revealToolbar()
{
    auto const at = mapFromGlobal(QCursor::pos());
    auto const height = m_toolbar->sizeHint().height();
    if (at.y() <= 1 && rect().contains(at)) {
        m_toolbar->setGeometry(0, 0, width(), height);
        m_toolbar->setAutoFillBackground(true);
        m_toolbar->show();
        m_toolbar->raise();
    } else if (at.y() > height + 40 && !m_toolbar->isAncestorOf(QApplication::focusWidget())
        && QApplication::activePopupWidget() == nullptr) {
        m_toolbar->hide();
    }
}

void MachinePage::setOwnWindow(bool own)
{
    m_ownWindow = own;
    updateTexts();
}

void MachinePage::resizeEvent(QResizeEvent* event)
{
    QWidget::resizeEvent(event);
    if (m_fullScreen)
        m_toolbar->setGeometry(0, 0, width(), m_toolbar->sizeHint().height());
    updateToolStyle();
}

void MachinePage::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange) {
        updateTexts();
        m_usb->updateTexts();
    }
}

}
