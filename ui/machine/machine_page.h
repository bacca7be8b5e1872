#pragma once

#include "app/library/library.h"
#include "app/session/timeline_session.h"
#include "ui/widgets/problem.h"

#include <QMenu>
#include <QTimer>
#include <QWidget>
#include <functional>

class QSplitter;
class QToolButton;
class QFrame;
class QLabel;
class QPushButton;

namespace ui {

class ConsoleTabs;
class Inspector;
class MessageBar;
class ScreenView;
class TimelinePanel;
class UsbControl;
class WorkLine;

/// One machine: its tools, its screen or card, its serial consoles and the inspector. It lives in the main window or in
/// one of its own, and is moved between them.
class MachinePage final : public QWidget {
    Q_OBJECT
public:
    MachinePage(app::Library& library, QString id, QWidget* parent = nullptr);

    QString id() const { return m_id; }
    app::VmSession& session() const { return *m_session; }
    ScreenView* screenView() const { return m_screen; }
    ConsoleTabs* consoles() const { return m_consoles; }
    MessageBar* messages() const { return m_messages; }
    TimelinePanel* timeline() const { return m_timeline; }
    UsbControl* usb() const { return m_usb; }

    /// Name, settings or devices have changed.
    void refresh();
    /// The tools then hide at the upper edge. The window itself is its owner's.
    void setFullScreen(bool on);
    bool isFullScreen() const { return m_fullScreen; }
    void setOwnWindow(bool own);
    void focusMachine();
    void report(Task task, vmm::Error const& error);
    void reportForwards();
    /// Asks the guest, and offers to power off where nothing comes of it.
    void shutDown();
    /// How long that is waited for; tests have less time.
    void setPatience(std::chrono::milliseconds patience) { m_shutDownTimer.setInterval(patience); }
    /// Where the image of a CD can be inserted while the machine is in memory; empty: nowhere, or it is none.
    QString driveFor(QString const& path) const;
    /// All that can be asked of the machine, as the context menu of the library shows it too.
    void fillMenu(QMenu* menu);

    void startOrResume();
    void setConsolesVisible(bool visible);
    void setInspectorVisible(bool visible);
    /// Where the machine has come from elsewhere: what becomes here of the USB devices that it had.
    void tellUsb();

signals:
    void settingsRequested();
    void fullScreenToggled();
    void ownWindowToggled();
    void leaveRequested();
    void usbRulesRequested();
    void removeRequested();
    void cloneRequested();
    void importRequested();
    /// As TimelinePanel has it.
    void forkRequested(QString moment, QString title);

protected:
    void changeEvent(QEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

private:
    struct Actions {
        QAction *run, *suspend, *shutDown, *reset, *powerOff, *discard, *cancel, *keep, *fork, *timeline, *usb;
        QAction *fullScreen, *screenshotFile, *screenshotCopy, *typeClipboard, *consoles, *inspector, *ownWindow,
            *settings;
    };

    void makeActions();
    void makeToolbar();
    void connectSession();
    void updateState();
    void updateStillState();
    void updateJob();
    void updateKeep();
    void updateKeepText(QString const& whyNot);
    void connectTimeline();
    void tellLeft(QString const& moment, app::MomentReason reason);
    void connectUsb();
    std::optional<qint64> otherOwner() const;
    void suspendThere();
    void reset();
    void reportReason();
    void goToUsb();
    void foreseeUsb();
    void tellShutDown(QString const& text, QString const& button = {}, std::function<void()> action = {});
    void updateTexts();
    void updateToolStyle();
    void fillCdMenu();
    void fillKeysMenu();
    void fillZoomMenu();
    void fillDisplays();
    void fillLayouts();
    void insertCd(QString const& drive);
    void saveScreenshot();
    void typeClipboard();
    QString guestLayout() const;
    void tellWayOut();
    void revealToolbar();
    void saveSplitters();
    std::function<void()> remedyFor(Remedy remedy, Task task, QString const& drive = {});

    app::Library& m_library;
    QString m_id;
    app::VmSession* m_session;
    Actions m_actions {};
    QFrame* m_toolbar;
    QToolButton *m_runButton, *m_suspendButton, *m_powerButton, *m_keepButton, *m_usbButton, *m_cdButton, *m_keysButton,
        *m_cameraButton, *m_zoomButton, *m_consolesButton, *m_fullScreenButton, *m_windowButton, *m_settingsButton,
        *m_inspectorButton;
    QMenu *m_powerMenu, *m_usbMenu, *m_cdMenu, *m_keysMenu, *m_cameraMenu, *m_zoomMenu;
    MessageBar* m_messages;
    WorkLine* m_work;
    QSplitter *m_columns, *m_rows;
    ScreenView* m_screen;
    ConsoleTabs* m_consoles;
    UsbControl* m_usb;
    Inspector* m_inspector;
    TimelinePanel* m_timeline;
    QTimer m_revealTimer, m_shutDownTimer;
    QString m_shutDownText; // told last of a guest that was asked to shut down
    QString m_usbFates;
    bool m_fullScreen = false, m_ownWindow = false;
};

}
