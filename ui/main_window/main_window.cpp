#include "ui/main_window/main_window.h"

#include "ui/display/screen_view.h"
#include "ui/library/library_panel.h"
#include "ui/machine/machine_page.h"
#include "ui/machine/page_settings.h"
#include "ui/main_window/closing_page.h"
#include "ui/main_window/empty_page.h"
#include "ui/main_window/machine_window.h"
#include "ui/new_machine/new_machine_page.h"
#include "ui/new_machine/reasons.h"
#include "ui/settings/machine_settings_page.h"
#include "ui/settings/preferences_page.h"
#include "ui/theme/icons.h"
#include "ui/timeline/moment_words.h"
#include "ui/widgets/elided_label.h"
#include "ui/widgets/file_dialog.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/window_place.h"
#include "ui/widgets/words.h"
#include "ui/widgets/work_line.h"

#include <QApplication>
#include <QCloseEvent>
#include <QDesktopServices>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QLabel>
#include <QMenu>
#include <QMimeData>
#include <QSplitter>
#include <QStackedWidget>
#include <QStandardPaths>
#include <QStatusBar>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

namespace ui {

namespace settings {
inline app::Setting<QByteArray> const windowGeometry { "ui/windowGeometry", {} };
inline app::Setting<QByteArray> const windowSplitter { "ui/windowSplitter", {} };
inline app::Setting<QString> const selectedMachine { "ui/selectedMachine", {} };
inline app::Setting<QStringList> const ownWindows { "ui/ownWindows", {} };
}

namespace {

/// The guest of `copy` is set up as that of `of` is.
void takeGuestLayout(QString const& copy, QString const& of)
{
    if (auto const chosen = settings::guestLayouts().value(of); chosen.isValid())
        settings::setGuestLayout(copy, chosen);
}

}

MainWindow::MainWindow(app::Library& library, QString const& demoKernel, QWidget* parent)
    : QMainWindow(parent),
      m_library(library),
      m_splitter(new QSplitter),
      m_panel(new LibraryPanel(library)),
      m_stack(new QStackedWidget),
      m_messages(new MessageBar),
      m_copies(new WorkLine),
      m_status(new ElidedLabel),
      m_host(new QLabel)
{
    setWindowIcon(applicationIcon());
    setAcceptDrops(true);
    m_messages->setObjectName(QStringLiteral("windowMessages"));
    m_copies->setObjectName(QStringLiteral("copies"));
    connect(m_copies, &WorkLine::cancelRequested, this, [this] { m_library.cancelCopy(); });
    auto* right = new QWidget;
    auto* column = new QVBoxLayout(right);
    column->setContentsMargins(0, 0, 0, 0);
    column->setSpacing(0);
    column->addWidget(m_messages);
    column->addWidget(m_copies);
    column->addWidget(m_stack, 1);
    m_splitter->addWidget(m_panel);
    m_splitter->addWidget(right);
    m_splitter->setStretchFactor(0, 0);
    m_splitter->setStretchFactor(1, 1);
    m_splitter->setHandleWidth(1);
    m_splitter->setCollapsible(0, false); // nobody would find it again
    m_splitter->setCollapsible(1, false);
    m_splitter->setSizes({ 250, 900 });
    setCentralWidget(m_splitter);
    statusBar()->setSizeGripEnabled(false);
    statusBar()->addWidget(m_status, 1);
    statusBar()->addPermanentWidget(m_host);
    m_host->setTextInteractionFlags(Qt::LinksAccessibleByMouse | Qt::LinksAccessibleByKeyboard);
    connect(m_host, &QLabel::linkActivated, this, [this] { m_messages->showNotice(kvmText(m_kvm)); });
    m_status->setContentsMargins(8, 0, 0, 0);
    m_host->setContentsMargins(0, 0, 8, 0);

    makePages(demoKernel);
    makeMenu();
    m_demoAction->setVisible(!demoKernel.isEmpty());
    connectLibrary();
    updateTexts();

    restoreWindow(*this, settings::windowGeometry(), { 1180, 780 });
    m_splitter->restoreState(settings::windowSplitter());
    for (auto const& id : settings::ownWindows()) {
        if (m_library.ids().contains(id))
            toggleOwnWindow(id);
    }
    auto const selected = settings::selectedMachine();
    if (m_library.ids().isEmpty())
        showPage(m_empty);
    else
        showMachine(m_library.ids().contains(selected) ? selected : m_library.ids().first());
    connect(&m_hostTimer, &QTimer::timeout, this, &MainWindow::updateStatus);
    m_hostTimer.start(15000);
    updateStatus();
    forgetGuestLayouts();
    m_library.ids().isEmpty() ? m_empty->setFocus() : m_panel->focusList();
}

MainWindow::~MainWindow()
{
    for (auto const& [id, window] : m_windows)
        delete window;
}

/// Of machines that are gone for good; what is in the trash may come back.
void MainWindow::forgetGuestLayouts()
{
    auto forget
        = [this, known = m_library.ids()](vmm::Result<std::vector<app::RemovedMachine>> const& removed) mutable {
              if (!removed)
                  return;
              known += m_library.ids();
              for (auto const& machine : *removed)
                  known += QString::fromStdString(machine.id);
              if (known.isEmpty())
                  return; // the library may be on a disk that is not there
              auto layouts = settings::guestLayouts();
              if (layouts.removeIf([&](auto const& layout) { return !known.contains(layout.key()); }) > 0)
                  settings::guestLayouts.set(layouts);
          };
    m_library.listRemoved(guarded(this, std::move(forget)));
}

void MainWindow::makePages(QString const& demoKernel)
{
    m_empty = new EmptyPage(!demoKernel.isEmpty());
    m_blank = new QWidget;
    m_newMachine = new NewMachinePage(m_library, demoKernel);
    m_settingsPage = new MachineSettingsPage(m_library);
    m_preferences = new PreferencesPage(m_library);
    m_closing = new ClosingPage(m_library);
    for (QWidget* page :
        std::initializer_list<QWidget*> { m_empty, m_blank, m_newMachine, m_settingsPage, m_preferences, m_closing })
        m_stack->addWidget(page);
    connect(m_empty, &EmptyPage::newMachineRequested, this, &MainWindow::showNewMachine);
    connect(m_empty, &EmptyPage::demoRequested, this, [this] {
        showNewMachine();
        m_newMachine->useDemo();
        m_newMachine->createMachine();
    });
    connect(m_newMachine, &NewMachinePage::created, this, [this](QString const& id) {
        if (currentPage() != m_newMachine) // somebody has gone on meanwhile
            return tellMade(id);
        showMachine(id);
        if (auto* page = pageOf(id))
            page->focusMachine();
    });
    connect(m_settingsPage, &MachineSettingsPage::saved, this, [this](QString const& id) {
        if (auto* page = pageOf(id))
            page->refresh();
    });
    connect(m_settingsPage, &MachineSettingsPage::finished, this, [this] {
        if (currentPage() == m_settingsPage) // else somebody has gone on meanwhile
            back();
    });
    connect(m_settingsPage, &MachineSettingsPage::failed, this, [this](QString const& id, vmm::Error const& error) {
        auto problem = problemFor(Task::ChangeSettings, error);
        if (auto const entry = m_library.entry(id))
            problem.title = tr("The settings of “%1” could not be saved.").arg(entry->name);
        m_messages->showProblem(problem);
    });
    connect(m_settingsPage, &MachineSettingsPage::shutDownRequested, this, &MainWindow::shutDown);
    for (PageFrame* page : std::initializer_list<PageFrame*> { m_newMachine, m_settingsPage, m_preferences })
        connect(page, &PageFrame::backRequested, this, &MainWindow::back);
    connect(m_closing, &ClosingPage::cancelled, this, [this] {
        m_endsUnasked = false;
        back();
    });
    connect(m_closing, &ClosingPage::failed, this, [this] {
        if (isVisible() && !isMinimized() && currentPage() == m_closing)
            return;
        comeBack(); // the session ends, and nobody would know why the program does not
        showPage(m_closing);
    });
    connect(m_closing, &ClosingPage::background, this, &MainWindow::goToBackground);
    connect(m_closing, &ClosingPage::finished, this, &MainWindow::end);
    connect(m_closing, &ClosingPage::unsavedRequested, this, [this] { showSettings(unsaved().value(0, m_current)); });

    connect(m_panel, &LibraryPanel::currentChanged, this, &MainWindow::showMachine);
    connect(m_panel, &LibraryPanel::newMachineRequested, this, &MainWindow::showNewMachine);
    connect(m_panel, &LibraryPanel::removeRequested, this, &MainWindow::removeMachine);
    connect(m_panel, &LibraryPanel::activated, this, [this](QString const& id) {
        if (m_windows.contains(id))
            m_windows[id]->activateWindow();
        else
            toggleOwnWindow(id);
    });
    connect(m_panel, &LibraryPanel::startRequested, this, [this](QString const& id) {
        showMachine(id);
        auto* page = pageOf(id);
        if (page == nullptr)
            return;
        auto const isElsewhere = m_library.entry(id)->otherOwner.has_value();
        page->session().can(app::Action::Start) && !isElsewhere ? page->startOrResume() : page->focusMachine();
    });
    connect(m_panel, &LibraryPanel::contextMenuRequested, this, [this](QString const& id, QMenu* menu) {
        if (auto* page = pageOf(id)) {
            page->fillMenu(menu);
            menu->addAction(m_renameAction);
            return;
        }
        menu->addAction(
            icon(QStringLiteral("folder")), remedyText(Remedy::ShowFolder), this, [this, id] { showFolder(id); });
        menu->addAction(
            icon(QStringLiteral("trash")), tr("Remove the machine"), this, [this, id] { removeMachine(id); });
    });
    connect(m_panel, &LibraryPanel::renameFailed, this,
        [this](QString const&, vmm::Error const& error) { m_messages->showProblem(problemFor(Task::Rename, error)); });
    connect(&m_library, &app::Library::imagesRemoved, this, &MainWindow::tellImagesRemoved);
    connect(&m_library, &app::Library::notKept, this, [this](QString const&, vmm::Error const& error) {
        m_messages->showProblem(problemFor(Task::ChangeSettings, error));
    });
}

void MainWindow::makeMenu()
{
    m_menu = new QMenu(this);
    auto add = [this](QKeySequence const& shortcut, auto slot) {
        auto* action = new QAction(this);
        action->setShortcut(shortcut);
        connect(action, &QAction::triggered, this, slot);
        addAction(action);
        return action;
    };
    m_newAction = add(QKeySequence::New, [this] { showNewMachine(); });
    m_demoAction = add({}, [this] { emit m_empty->demoRequested(); });
    m_importAction = add({}, [this] { chooseImport(); });
    m_preferencesAction = add(Qt::CTRL | Qt::Key_Comma, [this] { showPreferences(); });
    m_filterAction = add(QKeySequence::Find, [this] { m_panel->focusFilter(); });
    // With Shift, as the terminal lets such keys pass: the way out of it without a pointer.
    m_listAction = add(Qt::CTRL | Qt::SHIFT | Qt::Key_L, [this] { m_panel->focusList(); });
    m_renameAction = add(Qt::Key_F2, [this] { m_panel->renameCurrent(); });
    m_aboutAction = add({}, [this] { showAbout(); });
    m_quitAction = add(QKeySequence::Quit, [this] { quit(); });
    m_openAction = add({}, [this] { comeBack(); });
    m_menuAction = add(Qt::Key_F10, [this] { m_panel->menuButton()->showMenu(); });
    m_menu->addActions({ m_newAction, m_importAction, m_demoAction });
    m_menu->addSeparator();
    m_menu->addActions({ m_filterAction, m_listAction, m_renameAction });
    m_menu->addSeparator();
    m_menu->addActions({ m_preferencesAction, m_aboutAction });
    m_menu->addSeparator();
    m_menu->addAction(m_quitAction);
    m_panel->menuButton()->setMenu(m_menu);
    m_trayMenu = new QMenu(this);
    m_trayMenu->setObjectName(QStringLiteral("trayMenu"));
    m_trayMenu->addActions({ m_openAction, m_quitAction });
}

void MainWindow::connectLibrary()
{
    connect(&m_library, &app::Library::machineAdded, this, &MainWindow::updateStatus);
    connect(&m_library, &app::Library::machineRemoved, this, [this](QString const& id) {
        auto const isSeen = isOf(id, currentPage());
        if (auto* page = fullScreenPage(); page != nullptr && isOf(id, page))
            setWhole(false); // the page goes as it is
        if (auto const window = m_windows.find(id); window != m_windows.end()) {
            window->second->deleteLater();
            m_windows.erase(window);
        }
        if (auto const page = m_pages.find(id); page != m_pages.end()) {
            page->second->deleteLater();
            m_pages.erase(page);
        }
        if (m_current == id)
            m_current.clear();
        if (isSeen)
            back();
        updateStatus();
    });
    connect(&m_library, &app::Library::machineChanged, this, [this](QString const& id) {
        auto const page = m_pages.find(id);
        if (page != m_pages.end())
            page->second->refresh();
        auto const entry = m_library.entry(id);
        if (auto const window = m_windows.find(id); window != m_windows.end() && entry)
            window->second->setName(entry->name);
        if (id == m_current && m_stack->currentWidget() == m_blank && !m_windows.contains(id))
            showMachine(id); // it may be read by now
        else if (id == m_current)
            updateStatus();
    });
    connect(&m_library, &app::Library::machineStateChanged, this, &MainWindow::updateStatus);
}

MachinePage* MainWindow::pageOf(QString const& id)
{
    if (auto const known = m_pages.find(id); known != m_pages.end())
        return known->second;
    if (m_library.session(id) == nullptr)
        return nullptr;
    auto* page = new MachinePage(m_library, id, m_stack);
    m_pages[id] = page;
    m_stack->addWidget(page);
    connect(page, &MachinePage::settingsRequested, this, [this, id] { showSettings(id); });
    connect(page, &MachinePage::ownWindowToggled, this, [this, id] { toggleOwnWindow(id); });
    connect(page, &MachinePage::removeRequested, this, [this, id] { removeMachine(id); });
    connect(page, &MachinePage::usbRulesRequested, this, &MainWindow::showUsbRules);
    // What comes of these two is told here, and the machine may be in a window of its own.
    auto const showHere = [this, id] {
        if (m_windows.contains(id))
            comeBack();
    };
    connect(page, &MachinePage::importRequested, this, [this, showHere] {
        showHere();
        chooseImport();
    });
    connect(page, &MachinePage::cloneRequested, this, [this, id, showHere] {
        showHere();
        cloneMachine(id);
    });
    connect(page, &MachinePage::forkRequested, this,
        [this, id](QString const& moment, QString const& title) { forkMachine(id, moment, title); });
    connect(page, &MachinePage::fullScreenToggled, this, [this, page, id] {
        if (!m_windows.contains(id))
            setFullScreen(page, !isFullScreen());
    });
    return page;
}

bool MainWindow::isOf(QString const& id, QWidget const* page) const
{
    auto const its = m_pages.find(id);
    return (its != m_pages.end() && its->second == page) || (page == m_blank && id == m_current)
        || (page == m_settingsPage && id == m_settingsPage->id());
}

QWidget* MainWindow::currentPage() const
{
    return m_stack->currentWidget();
}

void MainWindow::showPage(QWidget* page)
{
    if (m_stack->currentWidget() == page)
        return; // what is told there stays
    m_messages->dismiss();
    if (m_stack->currentWidget() == m_closing && !m_endsUnasked)
        m_closing->giveUp(); // or the program would end under the hands of who goes on
    auto const wasSettings = m_stack->currentWidget() == m_settingsPage;
    m_stack->setCurrentWidget(page);
    if (wasSettings && page != m_closing && m_settingsPage->hasUnsaved(m_settingsPage->id()))
        tellUnsaved(m_settingsPage->id());
}

void MainWindow::tellUnsaved(QString const& id)
{
    if (m_library.entry(id))
        m_messages->showNotice(unsavedText({ id }), tr("Back to them"), [this, id] { showSettings(id); });
}

QStringList MainWindow::unsaved() const
{
    auto ids = m_library.ids();
    ids.removeIf([this](QString const& id) { return !m_settingsPage->hasUnsaved(id); });
    return ids;
}

QString MainWindow::unsavedText(QStringList const& ids) const
{
    QStringList names;
    for (auto const& id : ids)
        names += m_library.entry(id)->name;
    return tr("The changes to the settings of %1 are not saved yet.").arg(quotedNames(names));
}

void MainWindow::showMachine(QString const& id)
{
    if (auto const its = m_pages.find(id); its == m_pages.end() || !its->second->isFullScreen())
        endFullScreen(); // of another one
    m_current = id;
    m_panel->select(id);
    updateStatus();
    if (auto const window = m_windows.find(id); window != m_windows.end()) {
        showPage(m_blank);
        m_messages->showNotice(
            tr("This machine is in a window of its own."), tr("Bring it back"), [this, id] { toggleOwnWindow(id); });
        window->second->raise();
        return;
    }
    if (auto* page = pageOf(id)) {
        showPage(page);
        if (m_settingsPage->hasUnsaved(id))
            tellUnsaved(id);
        return;
    }
    showPage(m_blank);
    if (auto const entry = m_library.entry(id); entry && entry->problem)
        m_messages->showProblem(problemFor(Task::OpenMachine, *entry->problem), [this, id] { showFolder(id); });
}

/// A machine that has come is in the list; what is told already stays, and so does the closing page, which leaving it
/// would give up.
void MainWindow::tellMade(QString const& id)
{
    auto const entry = m_library.entry(id);
    if (entry && m_messages->isHidden() && currentPage() != m_closing)
        m_messages->showNotice(
            tr("“%1” is in the list now.").arg(entry->name), tr("Show it"), [this, id] { showMachine(id); });
}

void MainWindow::showFolder(QString const& id)
{
    auto const entry = m_library.entry(id);
    if (entry && !QDesktopServices::openUrl(QUrl::fromLocalFile(entry->directory)))
        m_messages->showNotice(tr("The folder is %1.").arg(QDir::toNativeSeparators(entry->directory)));
}

void MainWindow::showNewMachine()
{
    if (m_newMachine->isEmpty())
        m_newMachine->begin();
    showPage(m_newMachine);
    m_newMachine->setFocus();
}

void MainWindow::showSettings(QString const& id)
{
    if (m_windows.contains(id))
        comeBack();
    m_settingsPage->open(id);
    showPage(m_settingsPage);
    m_settingsPage->setFocus();
}

void MainWindow::showPreferences()
{
    showPage(m_preferences);
    m_preferences->setFocus();
}

void MainWindow::showUsbRules()
{
    comeBack(); // the machine may be in a window of its own
    endFullScreen();
    showPage(m_preferences);
    m_preferences->focusUsb();
}

void MainWindow::back()
{
    if (m_library.ids().isEmpty()) {
        showPage(m_empty);
        m_empty->setFocus();
        return;
    }
    showMachine(m_library.ids().contains(m_current) ? m_current : m_library.ids().first());
    m_panel->focusList();
}

void MainWindow::removeMachine(QString const& id)
{
    auto const entry = m_library.entry(id);
    auto const name = entry ? entry->name : id;
    if (auto const* session = m_library.session(id); session != nullptr && app::isInMemory(session->state())) {
        auto const canShutDown = session->can(app::Action::PressPowerButton);
        m_messages->showNotice(tr("“%1” is in memory here: shut it down or suspend it, and then remove it.").arg(name),
            canShutDown ? tr("Shut down") : QString(), [this, id] { shutDown(id); });
        return;
    }
    auto const disks = m_library.config(id).disks;
    auto const isWhole = entry && !entry->problem && std::ranges::all_of(disks, [&](vmm::DiskConfig const& disk) {
        return m_library.store().owns(id.toStdString(), disk.path);
    });
    m_library.remove(id, guarded(this, [this, id, name, isWhole](vmm::Result<> const& removed) {
        if (!removed)
            return m_messages->showProblem(problemFor(Task::Remove, removed.error()));
        // Undone rather than asked about.
        auto const text = isWhole ? tr("“%1” was removed, with its disks.")
                                  : tr("“%1” was removed, with its folder. Disk images elsewhere stay where they are.");
        m_messages->showNotice(text.arg(name), tr("Undo"), [this, id] {
            m_library.bringBack(id, guarded(this, [this, id](vmm::Result<> const& undone) {
                undone ? showMachine(id) : m_messages->showProblem(problemFor(Task::BringBack, undone.error()));
            }));
        });
    }));
}

/// On its page, which tells what comes of it.
void MainWindow::shutDown(QString const& id)
{
    auto* page = pageOf(id);
    if (page == nullptr)
        return; // it has gone since that was offered
    showMachine(id);
    page->shutDown();
}

void MainWindow::tellImagesRemoved(QString const& id, QString const& place)
{
    auto const entry = m_library.entry(id);
    m_messages->showNotice(
        tr("Images of “%1” are in the trash.").arg(entry ? entry->name : id), tr("Undo"), [this, place] {
            m_library.bringBack(place, guarded(this, [this](vmm::Result<> const& restored) {
                if (!restored)
                    m_messages->showProblem(problemFor(Task::BringImagesBack, restored.error()));
            }));
        });
}

void MainWindow::cloneMachine(QString const& id)
{
    auto const entry = m_library.entry(id);
    if (!entry)
        return;
    if (!m_copying.insert(id).second)
        return; // a key that is held down makes one machine
    auto const name = m_library.freeName(tr("%1 (copy)").arg(entry->name));
    auto progress = beginCopy(tr("Copying to “%1” …").arg(name));
    m_library.clone(id, name,
        guarded(this,
            [this, id, stays = whileNobodyGoesOn()](vmm::Result<QString> const& copy) {
                m_copying.erase(id);
                endCopy();
                if (copy) {
                    takeGuestLayout(*copy, id);
                    stays() ? showMachine(*copy) : tellMade(*copy);
                } else if (copy.error().code != vmm::ErrorCode::Cancelled) {
                    m_messages->showProblem(problemFor(Task::Clone, copy.error()));
                }
            }),
        progress);
}

/// Whether the same is seen, with the focus where it is now, and no message that would go with it.
std::function<bool()> MainWindow::whileNobodyGoesOn() const
{
    return [this, page = QPointer(currentPage()), focus = QPointer(focusWidget())] {
        auto const isSame = currentPage() == page && focusWidget() == focus;
        return isSame && page != m_closing && m_messages->isHidden() && fullScreenPage() == nullptr;
    };
}

/// To be told how far it is; of several the one that is at it is shown.
std::function<void(double)> MainWindow::beginCopy(QString const& text)
{
    auto progress = guarded(this, [this, text](double fraction) { m_copies->tell(text, fraction); });
    if (m_copiesLeft++ == 0)
        progress(0);
    return progress;
}

void MainWindow::endCopy()
{
    if (--m_copiesLeft > 0)
        return;
    if (m_copies->isAncestorOf(focusWidget()))
        m_panel->focusList();
    m_copies->hide();
}

void MainWindow::chooseImport()
{
    auto* dialog = fileDialog(this, tr("Import a moment as a machine"),
        QStandardPaths::writableLocation(QStandardPaths::DocumentsLocation), importFilter());
    connect(dialog, &QFileDialog::fileSelected, this, &MainWindow::importMoment);
    dialog->show();
}

void MainWindow::importMoment(QString const& path)
{
    QFileInfo const chosen(path);
    bool const isFolder = chosen.fileName() == QLatin1String("state.json"); // in the folder that a moment became
    auto progress = beginCopy(tr("Importing “%1” …").arg(isFolder ? chosen.dir().dirName() : chosen.fileName()));
    m_library.importMoment(path,
        guarded(this,
            [this, stays = whileNobodyGoesOn()](vmm::Result<QString> const& made) {
                endCopy();
                if (made) {
                    stays() ? showMachine(*made) : tellMade(*made);
                    if (auto* page = pageOf(*made))
                        page->tellUsb();
                } else if (made.error().code != vmm::ErrorCode::Cancelled) {
                    m_messages->showProblem(problemFor(Task::ImportMoment, made.error()));
                }
            }),
        progress);
}

void MainWindow::forkMachine(QString const& id, QString const& moment, QString const& title)
{
    auto const entry = m_library.entry(id);
    if (!entry || !m_forking.insert(id).second)
        return; // a key that is held down makes one machine
    auto const name = m_library.freeName(tr("%1 (%2)", "a machine, a moment").arg(entry->name, title));
    m_library.fork(id, { moment.toStdString(), title.toStdString() }, name,
        guarded(this, [this, id, name, title](vmm::Result<QString> const& made) {
            m_forking.erase(id);
            if (made)
                takeGuestLayout(*made, id);
            auto* page = pageOf(id);
            if (page == nullptr)
                return;
            if (!made) {
                if (made.error().code != vmm::ErrorCode::Cancelled)
                    page->report(Task::ForkMoment, made.error());
                return;
            }
            auto const text
                = tr("“%1” is a machine of its own, and goes on from “%2” at its first start.").arg(name, title);
            if (currentPage() != page || page->isFullScreen()) { // nobody is taken away from what they have gone on to
                page->messages()->showNotice(text, tr("Show it"), [this, fork = *made] {
                    showMachine(fork);
                    activateWindow();
                });
                return;
            }
            showMachine(*made);
            m_panel->focusList();
            m_messages->showNotice(text, tr("Rename it"), [this] { m_panel->renameCurrent(); });
        }));
}

void MainWindow::toggleOwnWindow(QString const& id)
{
    if (auto const known = m_windows.find(id); known != m_windows.end()) {
        auto* window = known->second;
        m_windows.erase(known);
        m_stack->addWidget(window->takePage());
        window->deleteLater();
        showMachine(id);
    } else if (auto* page = pageOf(id)) {
        if (page->isFullScreen())
            setFullScreen(page, false);
        m_stack->removeWidget(page);
        auto* window = new MachineWindow(page);
        m_windows[id] = window;
        if (auto const entry = m_library.entry(id))
            window->setName(entry->name);
        connect(window, &MachineWindow::closing, this, [this, id] { toggleOwnWindow(id); });
        window->show();
        showMachine(id);
        page->focusMachine();
    }
}

void MainWindow::setWhole(bool on)
{
    m_panel->setVisible(!on);
    statusBar()->setVisible(!on);
    setWindowState(windowState().setFlag(Qt::WindowFullScreen, on)); // maximised before, maximised after
}

void MainWindow::setFullScreen(MachinePage* page, bool on)
{
    setWhole(on);
    page->setFullScreen(on);
}

/// Null: no machine has the whole screen, besides those in windows of their own.
MachinePage* MainWindow::fullScreenPage() const
{
    auto const its = std::ranges::find_if(
        m_pages, [this](auto const& one) { return one.second->isFullScreen() && !m_windows.contains(one.first); });
    return its == m_pages.end() ? nullptr : its->second;
}

void MainWindow::endFullScreen()
{
    if (auto* page = fullScreenPage())
        setFullScreen(page, false);
}

void MainWindow::goToBackground()
{
    saveState();
    hide();
    for (auto const& [id, window] : m_windows)
        window->hide();
    if (!m_tray && QSystemTrayIcon::isSystemTrayAvailable()) {
        m_tray = std::make_unique<QSystemTrayIcon>(applicationIcon());
        m_tray->setContextMenu(m_trayMenu);
        connect(m_tray.get(), &QSystemTrayIcon::activated, this, [this](QSystemTrayIcon::ActivationReason reason) {
            if (reason != QSystemTrayIcon::Context)
                comeBack();
        });
    }
    if (m_tray) {
        m_tray->setToolTip(tr("Chronovisor: machines run in the background"));
        m_tray->show();
    }
}

void MainWindow::comeBack()
{
    if (m_tray)
        m_tray->hide();
    if (m_stack->currentWidget() == m_closing)
        back();
    setWindowState(windowState().setFlag(Qt::WindowMinimized, false));
    show();
    raise();
    activateWindow();
    for (auto const& [id, window] : m_windows)
        window->show();
}

void MainWindow::endWithoutAsking()
{
    if (m_library.inMemory().isEmpty())
        return end();
    m_endsUnasked = true;
    showPage(m_closing);
    m_closing->work(app::OnClose::Suspend);
}

void MainWindow::end()
{
    m_mayClose = true;
    close();
    QApplication::quit(); // the window may be hidden, and its closing none
}

bool MainWindow::mayEnd() const
{
    return m_mayClose || (m_library.inMemory().isEmpty() && unsaved().isEmpty());
}

/// Unlike closing the window never into the background unasked.
void MainWindow::quit()
{
    if (mayEnd())
        return end();
    if (!isVisible())
        comeBack();
    auto const choice = app::settings::onClose();
    leave(choice == app::OnClose::KeepRunning ? app::OnClose::Ask : choice);
}

void MainWindow::closeEvent(QCloseEvent* event)
{
    if (mayEnd()) {
        saveState();
        event->accept();
        QApplication::quit();
        return;
    }
    event->ignore();
    // Nobody looks for a window that has gone without a trace.
    auto const choice = app::settings::onClose();
    auto const isUntraceable = choice == app::OnClose::KeepRunning && !QSystemTrayIcon::isSystemTrayAvailable();
    leave(isUntraceable ? app::OnClose::Ask : choice);
}

void MainWindow::leave(app::OnClose choice)
{
    endFullScreen();
    if (m_stack->currentWidget() == m_closing)
        return;
    m_endsUnasked = false; // it did not end then
    auto const lost = unsaved();
    auto const isLost = !lost.isEmpty() && (choice != app::OnClose::KeepRunning || m_library.inMemory().isEmpty());
    showPage(m_closing);
    m_closing->begin(isLost ? app::OnClose::Ask : choice, lost.isEmpty() ? QString() : unsavedText(lost));
}

void MainWindow::saveState()
{
    if (!isFullScreen())
        settings::windowGeometry.set(saveGeometry());
    settings::windowSplitter.set(m_splitter->saveState());
    settings::selectedMachine.set(m_current);
    QStringList own;
    for (auto const& [id, window] : m_windows) {
        own += id;
        window->savePlace();
    }
    settings::ownWindows.set(own);
}

void MainWindow::updateStatus()
{
    QStringList parts;
    if (auto const entry = m_library.entry(m_current)) {
        parts += entry->name;
        auto const* session = m_library.session(m_current);
        if (session != nullptr && entry->otherOwner)
            parts += otherOwnerWord(*entry->otherOwner);
        else if (session != nullptr)
            parts += stateWord(session->state());
    }
    auto const running = m_library.inMemory().size();
    if (running > 0)
        parts += tr("%n machine(s) in memory", nullptr, static_cast<int>(running));
    m_status->setText(parts.join(QStringLiteral("  ·  ")));
    setWindowTitle(
        parts.isEmpty() ? QStringLiteral("Chronovisor") : QStringLiteral("%1 – Chronovisor").arg(parts.first()));
    m_library.inspectHost(guarded(this, [this](vmm::Result<app::HostReport> host) {
        if (host)
            showHost(*host);
    }));
}

void MainWindow::showHost(app::HostReport const& host)
{
    m_kvm = host.kvm;
    // The sentence with the way out has no room down here.
    m_host->setText(m_kvm == app::KvmStatus::Usable
            ? tr("%1 of memory free").arg(bytesText(host.freeMemoryBytes / (100 << 20) * (100 << 20)))
            : QStringLiteral("<a href=\"#\">%1</a>").arg(tr("Machines cannot start: why?").toHtmlEscaped()));
    m_host->setFocusPolicy(m_kvm == app::KvmStatus::Usable ? Qt::NoFocus : Qt::StrongFocus);
}

void MainWindow::updateTexts()
{
    auto set = [](QAction* action, QString const& text, QString const& iconName) {
        action->setText(text);
        action->setIcon(icon(iconName));
    };
    set(m_newAction, tr("New machine…"), QStringLiteral("add"));
    set(m_importAction, tr("Import a moment as a machine…"), QStringLiteral("import"));
    set(m_demoAction, tr("Try the demo machine"), QStringLiteral("demo"));
    set(m_preferencesAction, tr("Preferences"), QStringLiteral("settings"));
    set(m_filterAction, tr("Find a machine"), QStringLiteral("search"));
    set(m_listAction, tr("Go to the list"), QStringLiteral("machine"));
    set(m_renameAction, tr("Rename"), QStringLiteral("note"));
    set(m_aboutAction, tr("About Chronovisor"), QStringLiteral("inspector"));
    set(m_quitAction, tr("Quit"), QStringLiteral("power"));
    set(m_openAction, tr("Open Chronovisor"), QStringLiteral("window"));
    m_menuAction->setText(tr("Menu"));
    m_status->setAccessibleName(tr("State"));
    m_host->setAccessibleName(tr("This computer"));
    updateStatus();
}

void MainWindow::showAbout()
{
    m_messages->showNotice(tr("Chronovisor %1: machines that can be suspended and brought back. Free software under "
                              "the BSD 2-clause licence.")
                               .arg(QApplication::applicationVersion()));
}

void MainWindow::changeEvent(QEvent* event)
{
    QMainWindow::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event)
{
    auto const urls = event->mimeData()->urls();
    if (urls.size() == 1 && urls.front().isLocalFile())
        event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event)
{
    auto const urls = event->mimeData()->urls();
    if (urls.size() != 1)
        return;
    auto const path = urls.front().toLocalFile();
    auto* page = qobject_cast<MachinePage*>(currentPage());
    auto const drive = page != nullptr ? page->driveFor(path) : QString();
    drive.isEmpty() ? makeMachineFrom(path) : offerCd(*page, drive, path);
}

void MainWindow::makeMachineFrom(QString const& path)
{
    showNewMachine();
    m_newMachine->useFile(path);
}

void MainWindow::offerCd(MachinePage& page, QString const& drive, QString const& path)
{
    page.messages()->showChoice(tr("What shall be done with “%1”?").arg(QFileInfo(path).fileName()),
        { tr("Insert it into %1").arg(drive), [&page, drive, path] { page.session().insertMedium(drive, path); } },
        { tr("New machine"), [this, path] { makeMachineFrom(path); } });
}

}
