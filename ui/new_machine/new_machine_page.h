#pragma once

#include "app/library/library.h"
#include "ui/widgets/page_frame.h"

#include <set>

class QCheckBox;
class QComboBox;
class QFormLayout;
class QLineEdit;
class QPushButton;
class QSpinBox;

namespace ui {

class MessageBar;

/// One page that fills itself in: choose or drop a medium, look at the proposal, "Create and start".
class NewMachinePage final : public PageFrame {
    Q_OBJECT
public:
    /// `demoKernel`: the demo guest; empty where it was not built.
    NewMachinePage(app::Library& library, QString demoKernel, QWidget* parent = nullptr);

    /// Empty again, for the next machine.
    void begin();
    void useFile(QString const& path);
    void useDemo();
    /// Creates what the page shows, as the button does.
    void createMachine();
    bool isReady() const { return m_ready; }
    /// Nothing has been chosen that a machine could be made of.
    bool isEmpty() const;

signals:
    void created(QString id);

protected:
    void updateTexts() override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    void makeSourceCard();
    void makeProposalCard();
    void makeKernelFields();
    void chooseFile();
    void chooseInitrd();
    void takeAdvice(app::Library::Advice const& advice);
    void showFormats();
    bool saysFormat() const;
    void updateMediumText();
    void takeProposal(app::Proposal const& proposal);
    void loadSystems();
    void selectSystem();
    void chooseSystem(int index);
    app::MachineRequest request() const;
    void updateReasons();
    void updateConcerns();
    void updateState();

    app::Library& m_library;
    QString m_demoKernel;
    app::HostReport m_host;
    app::Medium m_medium;
    app::Proposal m_proposal;
    bool m_ready = false, m_busy = false, m_isDemo = false, m_filling = false;
    unsigned m_question = 0;      // answers to older questions are dropped
    std::set<QWidget*> m_touched; // fields that the person has changed

    QLabel *m_sourceHeading, *m_dropText, *m_mediumText, *m_standsOn, *m_formatLabel, *m_proposalHeading, *m_hostText,
        *m_concerns;
    QPushButton *m_chooseFile, *m_demo, *m_create;
    QWidget* m_proposalCard;
    QComboBox* m_system;
    QLineEdit *m_name, *m_initrd, *m_commandLine;
    QSpinBox *m_cpus, *m_memory, *m_disk;
    QComboBox *m_format, *m_firmware, *m_network;
    QCheckBox* m_start;
    QLabel *m_systemLabel, *m_nameLabel, *m_cpusLabel, *m_memoryLabel, *m_diskLabel, *m_firmwareLabel, *m_networkLabel;
    QLabel *m_initrdLabel, *m_commandLineLabel;
    QLabel *m_nameTaken, *m_cpusReason, *m_memoryReason, *m_diskReason, *m_firmwareReason;
    QPushButton *m_more, *m_chooseInitrd;
    QWidget *m_moreFields, *m_kernelFields;
    MessageBar* m_messages;
};

}
