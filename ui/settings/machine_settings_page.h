#pragma once

#include "app/library/library.h"
#include "ui/widgets/page_frame.h"

class QComboBox;
class QLineEdit;
class QPlainTextEdit;
class QPushButton;
class QSpinBox;

namespace ui {

class MessageBar;

/// What one machine is made of, to change for its next start. While it is in memory only its name can be changed.
class MachineSettingsPage final : public PageFrame {
    Q_OBJECT
public:
    explicit MachineSettingsPage(app::Library& library, QWidget* parent = nullptr);

    void open(QString const& id);
    QString id() const { return m_id; }
    /// What the page would save.
    vmm::VmConfig const& edited() const { return m_config; }
    bool save();

signals:
    void saved(QString id);

protected:
    void updateTexts() override;

private:
    void makeGeneralCard();
    void makeHardwareCard();
    void makeDeviceCards();
    void fillFields();
    void fillDisks();
    void fillCds();
    void fillNetworks();
    void fillForwards(QVBoxLayout* layout, std::size_t network);
    void fillSerials();
    void fillBootOrder();
    void moveInBootOrder(std::size_t index, int by);
    void addMedium(QString const& title, QString const& filter, std::function<void(std::string const&)> use);
    void updateEnabled();
    bool isLocked() const;
    QWidget* addRow(QVBoxLayout* layout, QString const& iconName, QString const& text);
    void addRemove(QWidget* row, QString const& what, std::function<void()> remove);

    app::Library& m_library;
    QString m_id;
    vmm::VmConfig m_config;
    bool m_filling = false;
    std::vector<QMetaObject::Connection> m_sessionConnections;

    MessageBar* m_messages;
    QLabel *m_generalHeading, *m_hardwareHeading, *m_disksHeading, *m_cdsHeading, *m_networksHeading, *m_serialsHeading,
        *m_bootHeading;
    QLabel *m_nameLabel, *m_notesLabel, *m_cpusLabel, *m_memoryLabel, *m_modelLabel, *m_firmwareLabel, *m_hostHint;
    QLineEdit* m_name;
    QPlainTextEdit* m_notes;
    QSpinBox *m_cpus, *m_memory;
    QComboBox *m_model, *m_firmware;
    QWidget *m_hardwareFields, *m_disks, *m_cds, *m_networks, *m_serials, *m_boot;
    QPushButton *m_addDisk, *m_addCd, *m_addNetwork, *m_addSerial, *m_save;
    QList<QWidget*> m_lockable;
};

}
