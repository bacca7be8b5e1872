#pragma once

#include "app/library/library.h"
#include "app/settings/settings.h"
#include "ui/widgets/problem.h"

#include <QMainWindow>
#include <QSystemTrayIcon>
#include <QTimer>
#include <map>
#include <set>

class QLabel;
class QMenu;
class QSplitter;
class QStackedWidget;

namespace ui {

class ClosingPage;
class EmptyPage;
class LibraryPanel;
class MachinePage;
class MachineSettingsPage;
class MachineWindow;
class MessageBar;
class NewMachinePage;
class PreferencesPage;
class WorkLine;

/// The one window: the library on the left, on the right a machine or the page that was asked for.
class MainWindow final : public QMainWindow {
    Q_OBJECT
public:
    MainWindow(app::Library& library, QString const& demoKernel, QWidget* parent = nullptr);
    ~MainWindow() override;

    LibraryPanel* libraryPanel() const { return m_panel; }
    NewMachinePage* newMachinePage() const { return m_newMachine; }
    /// Null while the machine cannot be read.
    MachinePage* pageOf(QString const& id);
    QWidget* currentPage() const;

    void showMachine(QString const& id);
    void showNewMachine();
    void showSettings(QString const& id);
    void showPreferences();
    void showUsbRules();
    /// What this computer can give, in the status line.
    void showHost(app::HostReport const& host);
    /// Brings everything back that closing into the background has hidden.
    void comeBack();
    /// The session ends: machines are suspended, which is quick and loses nothing, and then the program ends.
    void endWithoutAsking();

protected:
    void closeEvent(QCloseEvent* event) override;
    void changeEvent(QEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void makePages(QString const& demoKernel);
    void makeMenu();
    void connectLibrary();
    bool isOf(QString const& id, QWidget const* page) const; ///< a page that shows that machine
    void showPage(QWidget* page);
    void tellUnsaved(QString const& id);
    QStringList unsaved() const;
    QString unsavedText(QStringList const& ids) const;
    void back();
    void tellMade(QString const& id);
    void showFolder(QString const& id);
    void removeMachine(QString const& id);
    void shutDown(QString const& id);
    void tellImagesRemoved(QString const& id, QString const& place);
    void cloneMachine(QString const& id);
    std::function<void(double)> beginCopy(QString const& text);
    void endCopy();
    std::function<bool()> whileNobodyGoesOn() const;
    void chooseImport();
    void importMoment(QString const& path);
    void forkMachine(QString const& id, QString const& moment, QString const& title);
    void makeMachineFrom(QString const& path);
    void offerCd(MachinePage& page, QString const& drive, QString const& path);
    void toggleOwnWindow(QString const& id);
    void setWhole(bool on);
    void setFullScreen(MachinePage* page, bool on);
    MachinePage* fullScreenPage() const;
    void endFullScreen();
    void goToBackground();
    void quit();
    void end();
    void leave(app::OnClose choice);
    bool mayEnd() const;
    void updateStatus();
    void updateTexts();
    void saveState();
    void forgetGuestLayouts();
    void showAbout();

    app::Library& m_library;
    QSplitter* m_splitter;
    LibraryPanel* m_panel;
    QStackedWidget* m_stack;
    MessageBar* m_messages;
    WorkLine* m_copies; // and imports, which a line of their own tells of
    unsigned m_copiesLeft = 0;
    EmptyPage* m_empty;
    QWidget* m_blank; // beside a machine that cannot be shown here
    NewMachinePage* m_newMachine;
    MachineSettingsPage* m_settingsPage;
    PreferencesPage* m_preferences;
    ClosingPage* m_closing;
    std::map<QString, MachinePage*> m_pages;
    std::map<QString, MachineWindow*> m_windows;
    QString m_current;
    std::set<QString> m_forking, m_copying; // machines that one is being made of
    QLabel *m_status, *m_host;
    app::KvmStatus m_kvm = app::KvmStatus::Usable;
    QMenu* m_menu;
    QAction *m_newAction, *m_importAction, *m_demoAction, *m_preferencesAction, *m_filterAction, *m_listAction,
        *m_aboutAction, *m_quitAction, *m_menuAction, *m_renameAction, *m_openAction;
    QMenu* m_trayMenu;
    QTimer m_hostTimer;
    std::unique_ptr<QSystemTrayIcon> m_tray;
    bool m_mayClose = false, m_endsUnasked = false;
};

}
