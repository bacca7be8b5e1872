#pragma once

#include "app/library/library.h"
#include "app/session/timeline_session.h"
#include "ui/widgets/page_frame.h"

#include <functional>
#include <map>

class QCheckBox;
class QComboBox;
class QLineEdit;
class QMenu;
class QPlainTextEdit;
class QPushButton;
class QSpinBox;
class QToolButton;

namespace ui {

class MessageBar;
class TimelineCard;

/// What one machine is made of, to change for its next start, and when it keeps moments by itself. While it is in
/// memory its name, notes, CDs, port forwards, the latter and what becomes of the host's USB devices can be changed, at
/// once; the rest stands there greyed, with the reason. Changes that are not saved stay when the page is left, for each
/// machine its own, until they are discarded.
class MachineSettingsPage final : public PageFrame {
    Q_OBJECT
public:
    explicit MachineSettingsPage(app::Library& library, QWidget* parent = nullptr);

    void open(QString const& id);
    QString id() const { return m_id; }
    /// What the page would save.
    vmm::VmConfig const& edited() const { return m_config; }
    std::vector<app::NewDisk> const& newDisks() const { return m_newDisks; }
    app::VmSession::DiskSizes const& largerDisks() const { return m_larger; }
    /// Answered with saved(), a message on the page, or failed().
    void save();
    /// The machine has changes here that are not saved.
    bool hasUnsaved(QString const& id) const;

signals:
    void saved(QString id);
    /// After that, unless a person has gone on with changes meanwhile.
    void finished();
    /// To save what was changed of a machine that is not seen here any more.
    void failed(QString id, vmm::Error error);
    void shutDownRequested(QString id);

protected:
    void updateTexts() override;

private:
    void makeGeneralCard();
    void makeHardwareCard();
    void makeDeviceCards();
    void makeScreensCard();
    void makeUsbCard();
    void makeBootCard();
    void makeTimelineCard();
    void followTimeline(app::TimelineSession& timeline);
    void fillFields();
    void fillDevices();
    void fillDisks();
    void fillNewDisk(QLayout* line, std::string const& id);
    void fillDiskSize(QLayout* line, std::string const& id, std::uint64_t bytes);
    void lookAtDiskSizes();
    bool isNeededByMoments(vmm::DiskConfig const& disk) const;
    void removeDisk(std::size_t index, bool withImage);
    void askFormats();
    void askFormat(vmm::DiskConfig const& disk, app::Medium const& medium);
    void fillCds();
    void changeCd(std::size_t index, std::string const& path);
    void fillNetworks();
    QCheckBox* makeCable(std::size_t network);
    void fillForwards(QVBoxLayout* layout, std::size_t network);
    void fillSerials();
    void fillScreens();
    void updateScreensTexts();
    void fillUsb();
    void fillAddUsb();
    void updateUsbTexts();
    void setUsbRestore(app::UsbRestore restore);
    void saveUsbRestore(QString const& id, app::UsbRestore restore, app::Library::Done<void> const& next);
    void fillBootOrder();
    void fillKernel();
    void moveInBootOrder(std::size_t index, int by);
    void addMedium(QString const& title, QString const& filter, std::function<void(std::string const&)> use);
    void updateEnabled();
    app::SessionState state() const;
    bool isLocked() const { return state() != app::SessionState::Off; }
    bool isLive() const { return app::isInMemory(state()); }
    bool isPolicyChanged() const;
    bool isChanged() const { return !draft().isEmpty(); }
    /// What was edited and is not stored.
    struct Draft {
        vmm::VmConfig config, before;
        std::vector<app::NewDisk> newDisks;
        std::vector<std::string> unwanted;
        app::VmSession::DiskSizes larger;
        std::optional<app::TimelinePolicy> policy; // where it is changed
        std::optional<app::UsbRestore> restore;    // likewise
        /// `was` has been saved, or of a machine in memory a part of it; `now` is stored.
        void leaveOut(Draft const& was, vmm::VmConfig const& now, bool isPart);
        bool isEmpty() const
        {
            return config == before && newDisks.empty() && unwanted.empty() && larger.empty() && !policy && !restore;
        }
    };
    Draft draft() const;
    void putAside();
    void discard();
    void growDisks(QString const& id, app::VmSession::DiskSizes left, app::Library::Done<void> const& next);
    void finishSave(Draft const& was, vmm::Result<> const& outcome, bool isPart);
    QWidget* addRow(QVBoxLayout* layout, QString const& iconName, QString const& text);
    QToolButton* addRemove(QWidget* row, QString const& what, std::function<void()> remove);

    app::Library& m_library;
    QString m_id;
    vmm::VmConfig m_config, m_before;
    std::vector<app::NewDisk> m_newDisks; // made when it is saved
    std::vector<std::string> m_unwanted;  // images that then go
    app::VmSession::DiskSizes m_sizes;    // of the disks that are stored
    app::VmSession::DiskSizes m_larger;   // what some of them then have
    app::TimelinePolicy m_policyBefore;   // what is edited is in m_timeline
    app::UsbRestore m_restore = app::UsbRestore::Attach, m_restoreBefore = app::UsbRestore::Attach;
    std::map<QString, Draft> m_drafts; // of the machines that are not on the page
    bool m_filling = false;
    std::vector<QMetaObject::Connection> m_sessionConnections;

    MessageBar* m_messages;
    QLabel *m_generalHeading, *m_hardwareHeading, *m_disksHeading, *m_cdsHeading, *m_networksHeading, *m_serialsHeading,
        *m_screensHeading, *m_usbHeading, *m_bootHeading, *m_timelineHeading;
    QLabel *m_nameLabel, *m_notesLabel, *m_cpusLabel, *m_memoryLabel, *m_modelLabel, *m_firmwareLabel,
        *m_generatorsLabel, *m_usbRestoreLabel, *m_hostHint;
    QLineEdit* m_name;
    QPlainTextEdit* m_notes;
    QSpinBox *m_cpus, *m_memory, *m_generators;
    QCheckBox *m_tablet, *m_debugConsole;
    QComboBox *m_model, *m_firmware, *m_usbRestore;
    TimelineCard* m_timeline;
    QWidget *m_hardwareFields, *m_disks, *m_cds, *m_networks, *m_serials, *m_screens, *m_usb, *m_boot;
    QPushButton *m_addNewDisk, *m_addDisk, *m_addCd, *m_addNetwork, *m_addSerial, *m_addScreen, *m_addUsb, *m_discard,
        *m_save;
    QMenu* m_addUsbMenu;
    QList<QWidget*> m_lockable;
};

}
