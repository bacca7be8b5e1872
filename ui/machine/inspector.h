#pragma once

#include "app/library/library.h"
#include "app/session/vm_session.h"

#include <QPointer>
#include <QScrollArea>
#include <QTimer>

class QLabel;
class QPlainTextEdit;
class QPushButton;

namespace ui {

class UsageGraph;
class UsbControl;
class UsbPanel;

/// What a machine is made of, its USB devices, how busy it is, and the person's notes about it.
class Inspector final : public QScrollArea {
    Q_OBJECT
public:
    Inspector(app::Library& library, QString id, UsbControl& usb, QWidget* parent = nullptr);

    void refresh();
    /// It is shown.
    void focusUsb();

signals:
    void settingsRequested();
    void failed(vmm::Error error);

protected:
    void changeEvent(QEvent* event) override;
    void showEvent(QShowEvent* event) override;
    void hideEvent(QHideEvent* event) override;
    bool eventFilter(QObject* watched, QEvent* event) override;

private:
    void makeContent();
    void fillRows(vmm::VmConfig const& config);
    void updateTexts();
    void measure();
    void saveNotes();
    void addCable(vmm::NetworkConfig const& network);
    void addRow(QString const& iconName, QString const& title, QString const& text);
    void addBase(app::DiskBase const& base);
    void lookAtDisks();
    void followStream();
    void makeIndependent(QString const& disk);

    app::Library& m_library;
    QString m_id;
    UsbControl& m_usb;
    // Made when it is shown for the first time.
    QWidget* m_rows = nullptr;
    UsbPanel* m_usbPanel = nullptr;
    UsageGraph *m_processor = nullptr, *m_disk = nullptr, *m_network = nullptr;
    QLabel *m_hardwareTitle = nullptr, *m_activityTitle = nullptr, *m_notesTitle = nullptr, *m_memory = nullptr;
    QPushButton* m_settings = nullptr;
    QPlainTextEdit* m_notes = nullptr;
    QTimer m_timer;
    vmm::VmConfig m_shown; // what the rows tell
    bool m_shownSuspended = false;
    std::vector<app::DiskBase> m_bases; // of the disks that stand on other files
    QString m_streamed;                 // the disk that was asked for here
    QPointer<QLabel> m_streaming;       // how far that is
    bool m_streams = false;
    vmm::MachineStatistics m_last;
    bool m_hasLast = false;
};

}
