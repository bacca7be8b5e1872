#include "ui/settings/machine_settings_page.h"

#include "ui/settings/timeline_card.h"
#include "ui/theme/icons.h"
#include "ui/widgets/busy.h"
#include "ui/widgets/file_dialog.h"
#include "ui/widgets/flow_layout.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/words.h"

#include <QComboBox>
#include <QFileDialog>
#include <QGridLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSpinBox>
#include <QStandardPaths>

namespace ui {

namespace {

/// What is stored now, with the changes that a person has made to what was stored before.
vmm::VmConfig rebased(vmm::VmConfig const& edited, vmm::VmConfig const& before, vmm::VmConfig const& now)
{
    auto result = now;
    auto const take = [&](auto... members) {
        ((edited.*members != before.*members ? void(result.*members = edited.*members) : void()), ...);
    };
    using Config = vmm::VmConfig;
    take(&Config::name, &Config::notes, &Config::cpus, &Config::memoryMiB, &Config::cpuModel, &Config::firmware,
        &Config::bootOrder, &Config::kernel, &Config::disks, &Config::cds, &Config::networks, &Config::serials,
        &Config::displays, &Config::tablet, &Config::randomGenerators, &Config::debugConsole, &Config::usbControllers,
        &Config::usbDevices);
    return result;
}

}

MachineSettingsPage::MachineSettingsPage(app::Library& library, QWidget* parent)
    : PageFrame(parent), m_library(library), m_messages(new MessageBar)
{
    above()->addWidget(m_messages);
    makeGeneralCard();
    makeHardwareCard();
    makeDeviceCards();
    makeScreensCard();
    makeUsbCard();
    makeBootCard();
    makeTimelineCard();
    content()->addStretch(1);
    m_hostHint = new QLabel;
    m_hostHint->setProperty("quiet", true);
    m_hostHint->setWordWrap(true);
    m_save = new QPushButton;
    m_save->setProperty("primary", true);
    m_save->setDefault(true);
    footer()->addWidget(m_hostHint, 1);
    m_discard = new QPushButton;
    footer()->addWidget(m_discard);
    footer()->addWidget(m_save);
    connect(m_discard, &QPushButton::clicked, this, &MachineSettingsPage::discard);
    connect(m_save, &QPushButton::clicked, this, &MachineSettingsPage::save);
    setFocusProxy(m_name);
    connect(&library, &app::Library::machineRemoved, this, [this](QString const& removed) { m_drafts.erase(removed); });
    updateTexts();
}

void MachineSettingsPage::makeGeneralCard()
{
    auto* card = addCard(m_generalHeading);
    auto* grid = new QGridLayout;
    grid->setHorizontalSpacing(14);
    grid->setVerticalSpacing(9);
    grid->setColumnStretch(1, 1);
    m_name = new QLineEdit;
    m_name->setMaxLength(256);
    m_notes = new QPlainTextEdit;
    m_notes->setTabChangesFocus(true);
    m_notes->setFixedHeight(84);
    m_nameLabel = new QLabel;
    m_nameLabel->setBuddy(m_name);
    m_notesLabel = new QLabel;
    m_notesLabel->setBuddy(m_notes);
    grid->addWidget(m_nameLabel, 0, 0);
    grid->addWidget(m_name, 0, 1);
    grid->addWidget(m_notesLabel, 1, 0, Qt::AlignTop);
    grid->addWidget(m_notes, 1, 1);
    card->addLayout(grid);
    connect(m_name, &QLineEdit::textEdited, this,
        [this](QString const& text) { m_config.name = text.trimmed().toStdString(); });
    connect(m_notes, &QPlainTextEdit::textChanged, this, [this] {
        if (!m_filling)
            m_config.notes = m_notes->toPlainText().toStdString();
    });
}

void MachineSettingsPage::makeHardwareCard()
{
    auto* card = addCard(m_hardwareHeading);
    m_hardwareFields = new QWidget;
    auto* grid = new QGridLayout(m_hardwareFields);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(14);
    grid->setVerticalSpacing(9);
    grid->setColumnStretch(2, 1);
    m_cpus = new QSpinBox;
    m_cpus->setRange(1, 16);
    m_memory = new QSpinBox;
    m_memory->setRange(1, 1 << 20);
    m_memory->setSingleStep(256);
    m_memory->setSuffix(QStringLiteral(" MiB"));
    m_memory->setGroupSeparatorShown(true);
    m_model = new QComboBox;
    m_firmware = new QComboBox;
    auto row = [&](QLabel*& label, QWidget* field) {
        label = new QLabel;
        label->setBuddy(field);
        auto const at = grid->rowCount();
        grid->addWidget(label, at, 0);
        grid->addWidget(field, at, 1);
    };
    row(m_cpusLabel, m_cpus);
    row(m_memoryLabel, m_memory);
    row(m_modelLabel, m_model);
    row(m_firmwareLabel, m_firmware);
    card->addWidget(m_hardwareFields);
    m_lockable += m_hardwareFields;
    connect(m_cpus, &QSpinBox::valueChanged, this,
        [this](int value) { m_config.cpus = static_cast<std::uint16_t>(value); });
    connect(m_memory, &QSpinBox::valueChanged, this,
        [this](int value) { m_config.memoryMiB = static_cast<std::uint32_t>(value); });
    connect(m_model, &QComboBox::activated, this,
        [this](int index) { m_config.cpuModel = static_cast<vmm::CpuModel>(index); });
    connect(m_firmware, &QComboBox::activated, this,
        [this](int index) { m_config.firmware = static_cast<vmm::Firmware>(index); });
}

void MachineSettingsPage::makeDeviceCards()
{
    auto make = [this](QLabel*& heading, QWidget*& rows, std::initializer_list<QPushButton**> adds) {
        auto* card = addCard(heading);
        rows = new QWidget;
        auto* layout = new QVBoxLayout(rows);
        layout->setContentsMargins(0, 0, 0, 0);
        layout->setSpacing(8);
        card->addWidget(rows);
        auto* buttons = new FlowLayout;
        for (auto** add : adds) {
            *add = new QPushButton;
            buttons->addWidget(*add);
            m_lockable += *add;
        }
        card->addLayout(buttons);
    };
    make(m_disksHeading, m_disks, { &m_addNewDisk, &m_addDisk });
    make(m_cdsHeading, m_cds, { &m_addCd });
    make(m_networksHeading, m_networks, { &m_addNetwork });
    make(m_serialsHeading, m_serials, { &m_addSerial });
    m_lockable += { m_disks, m_serials };
    connect(m_addNewDisk, &QPushButton::clicked, this, [this] {
        vmm::DiskConfig disk;
        disk.id = app::freeDeviceId(m_config, "disk");
        m_config.disks.push_back(disk);
        m_newDisks.push_back({ disk.id, 20ull << 30, vmm::DiskFormat::Qcow2 });
        fillDisks();
        fillBootOrder();
    });
    connect(m_addDisk, &QPushButton::clicked, this, [this] {
        addMedium(tr("Add a disk image"), tr("Disk images (*.qcow2 *.img *.raw);;All files (*)"),
            [this](std::string const& path) {
                vmm::DiskConfig disk;
                disk.id = app::freeDeviceId(m_config, "disk");
                disk.path = path;
                m_config.disks.push_back(disk);
                fillDisks();
                fillBootOrder();
                askFormats();
            });
    });
    connect(m_addCd, &QPushButton::clicked, this, [this] {
        m_config.cds.push_back({ app::freeDeviceId(m_config, "cd"), {} });
        fillCds();
        fillBootOrder();
    });
    connect(m_addNetwork, &QPushButton::clicked, this, [this] {
        m_config.networks.push_back({ app::freeDeviceId(m_config, "net"), vmm::makeMac(), vmm::NetworkMode::User, {} });
        fillNetworks();
        fillBootOrder();
    });
    connect(m_addSerial, &QPushButton::clicked, this, [this] {
        m_config.serials.push_back({ app::freeDeviceId(m_config, "serial"), false });
        fillSerials();
    });
}

void MachineSettingsPage::makeBootCard()
{
    m_boot = new QWidget;
    auto* layout = new QVBoxLayout(m_boot);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(8);
    addCard(m_bootHeading)->addWidget(m_boot);
    m_lockable += m_boot;
}

void MachineSettingsPage::makeTimelineCard()
{
    m_timeline = new TimelineCard;
    addCard(m_timelineHeading)->addWidget(m_timeline);
}

bool MachineSettingsPage::isPolicyChanged() const
{
    return m_timeline->policy() != m_policyBefore;
}

/// What is not edited here is as it is there.
void MachineSettingsPage::followTimeline(app::TimelineSession& timeline)
{
    auto const take = [this, &timeline] {
        m_timeline->setEnabled(timeline.isRead()); // before that it would show what nobody has chosen
        bool const isEdited = isPolicyChanged();
        m_policyBefore = timeline.policy();
        if (!isEdited)
            m_timeline->setPolicy(m_policyBefore);
    };
    auto const count = [this, &timeline] {
        m_timeline->setUsed(timeline.costs());
        if (isVisible() && timeline.costs())
            timeline.findDiskCosts();
    };
    m_sessionConnections.push_back(connect(&timeline, &app::TimelineSession::changed, this, take));
    m_sessionConnections.push_back(connect(&timeline, &app::TimelineSession::costsChanged, this, count));
    timeline.open();
    take();
    count();
    timeline.findDiskCosts();
}

void MachineSettingsPage::open(QString const& id)
{
    for (auto const& connection : m_sessionConnections)
        disconnect(connection);
    m_sessionConnections.clear();
    closeFileDialogs(this);
    putAside();
    m_id = id;
    toTop(); // it may have shown another machine just before
    m_config = m_before = m_library.config(id);
    m_newDisks.clear();
    m_unwanted.clear();
    m_sizes.clear();
    m_larger.clear();
    m_timeline->setPolicy(m_policyBefore);
    m_library.hostUsb().open();
    m_restoreBefore = m_library.hostUsb().rules().restoreOf(id.toStdString());
    setUsbRestore(m_restoreBefore);
    if (auto* session = m_library.session(id))
        followTimeline(session->timeline());
    if (auto const draft = m_drafts.extract(id)) {
        auto& kept = draft.mapped();
        m_config = rebased(kept.config, kept.before, m_before);
        m_newDisks = std::move(kept.newDisks);
        m_unwanted = std::move(kept.unwanted);
        m_larger = std::move(kept.larger);
        m_timeline->setPolicy(kept.policy.value_or(m_policyBefore));
        setUsbRestore(kept.restore.value_or(m_restoreBefore));
    }
    m_messages->dismiss();
    if (auto* session = m_library.session(id)) {
        m_sessionConnections.push_back(connect(session, &app::VmSession::stateChanged, this, [this] {
            updateEnabled();
            fillDevices();
            lookAtDiskSizes(); // which going to a moment changes
        }));
        m_sessionConnections.push_back(
            connect(session, &app::VmSession::mediumChanged, this, [this](QString const& drive, QString const& path) {
                for (auto* config : { &m_config, &m_before }) {
                    for (auto& cd : config->cds) {
                        if (cd.id == drive.toStdString())
                            cd.path = path.toStdString();
                    }
                }
                fillCds();
            }));
        m_sessionConnections.push_back(
            connect(session, &app::VmSession::networkChanged, this, [this](vmm::NetworkConfig const& changed) {
                auto now = m_before;
                for (auto& network : now.networks) {
                    if (network.id == changed.id)
                        network = changed;
                }
                for (auto& network : m_config.networks) {
                    auto const is = [&](auto const& one) { return one.id == network.id; };
                    auto const before = std::find_if(m_before.networks.begin(), m_before.networks.end(), is);
                    if (network.id != changed.id || before == m_before.networks.end())
                        continue;
                    network.connected = changed.connected;
                    if (network.forwards == before->forwards)
                        network.forwards = changed.forwards;
                }
                m_before = now;
                fillNetworks();
            }));
        m_sessionConnections.push_back(
            connect(session, &app::VmSession::pluggedChanged, this, [this](QString const& device, bool plugged) {
                for (auto* config : { &m_config, &m_before }) {
                    if (auto* const mark = vmm::pluggedMark(*config, device.toStdString()))
                        *mark = plugged;
                }
            }));
        m_sessionConnections.push_back(connect(session, &app::VmSession::mediumFailed, this,
            [this, session](QString const& drive, vmm::Error const& error) {
                auto const problem
                    = problemFor(session->mediumPath(drive).isEmpty() ? Task::InsertMedium : Task::EjectMedium, error);
                if (problem.remedy == Remedy::ForceEject)
                    m_messages->showProblem(problem, [this, id = m_id, drive] {
                        if (auto* of = m_library.session(id))
                            of->ejectMedium(drive, true);
                    });
                else
                    m_messages->showProblem(problem);
            }));
    }
    m_library.inspectHost(guarded(this, [this](vmm::Result<app::HostReport> host) {
        if (host)
            m_hostHint->setText(
                tr("This computer has %n core(s), %1 of free memory and %2 of free disk.", nullptr,
                    static_cast<int>(host->cores))
                    .arg(bytesText(host->freeMemoryBytes >> 20 << 20), bytesText(host->freeDiskBytes >> 20 << 20)));
    }));
    fillFields();
    updateTexts();
    updateEnabled();
    lookAtDiskSizes();
    askFormats();
}

app::SessionState MachineSettingsPage::state() const
{
    auto const* session = m_library.session(m_id);
    return session != nullptr ? session->state() : app::SessionState::Off;
}

void MachineSettingsPage::updateEnabled()
{
    auto const reason = isLive()
        ? tr("Name, notes, CDs, cables, port forwards, the timeline and what becomes of USB devices can be changed "
             "while "
             "the machine runs, the rest once it is off.")
        : tr("The machine is suspended: name, notes and the timeline can be changed, the rest once it was restored and "
             "shut down.");
    for (auto* widget : m_lockable) {
        widget->setEnabled(!isLocked());
        widget->setToolTip(isLocked() ? reason : QString());
    }
    m_discard->setVisible(isChanged());
    auto const* session = m_library.session(m_id);
    if (isLocked() && session->can(app::Action::PressPowerButton))
        m_messages->showNotice(reason, tr("Shut down"), [this, id = m_id] { emit shutDownRequested(id); });
    else if (isLocked())
        m_messages->showNotice(reason);
    else if (isChanged())
        m_messages->showNotice(tr("These changes are not saved yet."));
    else
        m_messages->dismiss();
}

bool MachineSettingsPage::hasUnsaved(QString const& id) const
{
    return id == m_id ? isChanged() : m_drafts.contains(id);
}

MachineSettingsPage::Draft MachineSettingsPage::draft() const
{
    return { m_config, m_before, m_newDisks, m_unwanted, m_larger,
        isPolicyChanged() ? std::optional(m_timeline->policy()) : std::nullopt,
        m_restore != m_restoreBefore ? std::optional(m_restore) : std::nullopt };
}

void MachineSettingsPage::putAside()
{
    if (isChanged() && m_library.entry(m_id))
        m_drafts[m_id] = draft();
}

void MachineSettingsPage::discard()
{
    m_config = m_before = m_library.config(m_id);
    m_newDisks.clear();
    m_unwanted.clear();
    m_larger.clear();
    m_timeline->setPolicy(m_policyBefore);
    setUsbRestore(m_restoreBefore);
    updateTexts();
    updateEnabled();
}

void MachineSettingsPage::save()
{
    if (m_config.name.empty()) {
        m_name->setFocus();
        m_messages->showNotice(tr("A machine needs a name."));
        return;
    }
    if (m_config.name != m_before.name && m_library.isTaken(QString::fromStdString(m_config.name), m_id)) {
        m_name->setFocus();
        m_messages->showNotice(tr("Another machine has this name."));
        return;
    }
    setBusy(m_save, true);
    // By then the page may show another machine or have been changed again, and the machine be off or not.
    auto finish = guarded(this, [this, was = draft(), locked = isLocked()](vmm::Result<> const& outcome) {
        setBusy(m_save, false);
        finishSave(was, outcome, locked);
    });
    auto saveSettings = [this, finish, config = m_config, newDisks = m_newDisks, unwanted = m_unwanted](
                            vmm::Result<> const& outcome) mutable {
        outcome ? m_library.changeSettings(config, newDisks, unwanted, finish) : finish(outcome);
    };
    auto saveRest = [this, finish, saveSettings, locked = isLocked(), config = m_config, larger = m_larger, id = m_id](
                        vmm::Result<> const& outcome) mutable {
        if (!outcome)
            finish(outcome);
        else if (locked)
            m_library.changeWhileInMemory(config, finish);
        else
            growDisks(id, larger, saveSettings);
    };
    auto saveConfig = [this, saveRest, id = m_id, restore = draft().restore](vmm::Result<> const& outcome) mutable {
        if (outcome && restore)
            saveUsbRestore(id, *restore, saveRest);
        else
            saveRest(outcome);
    };
    if (!isPolicyChanged())
        return saveConfig({});
    m_library.changePolicy(m_id, m_timeline->policy(),
        guarded(
            this, [this, saveConfig, id = m_id, policy = m_timeline->policy()](vmm::Result<> const& outcome) mutable {
                if (outcome && m_id == id)
                    m_policyBefore = policy;
                saveConfig(outcome);
            }));
}

/// One after the other. What is done is no change any more, whatever becomes of the rest.
void MachineSettingsPage::growDisks(
    QString const& id, app::VmSession::DiskSizes left, app::Library::Done<void> const& next)
{
    auto* session = m_library.session(id);
    if (left.empty() || session == nullptr)
        return next({});
    auto const first = left.extract(left.begin());
    auto grown = [this, id, left, next, disk = first.key(), bytes = first.mapped()](vmm::Result<> const& outcome) {
        if (!outcome)
            return next(outcome);
        auto const isDone = [&](auto const& chosen) { return chosen.first == disk && chosen.second <= bytes; };
        if (id == m_id) {
            std::erase_if(m_larger, isDone);
            lookAtDiskSizes();
        } else if (auto const aside = m_drafts.find(id); aside != m_drafts.end()) {
            std::erase_if(aside->second.larger, isDone);
        }
        growDisks(id, left, next);
    };
    session->growDisk(first.key(), first.mapped(), guarded(this, grown));
}

void MachineSettingsPage::Draft::leaveOut(Draft const& was, vmm::VmConfig const& now, bool isPart)
{
    config = rebased(config, isPart ? before : was.config, now);
    before = now;
    if (policy == was.policy)
        policy.reset();
    if (restore == was.restore)
        restore.reset();
    if (isPart)
        return;
    for (auto& disk : config.disks) { // made meanwhile
        auto const made = std::ranges::find(now.disks, disk.id, &vmm::DiskConfig::id);
        if (disk.path.empty() && made != now.disks.end())
            disk.path = made->path;
    }
    std::erase_if(newDisks, [&](app::NewDisk const& disk) {
        return std::ranges::find(was.newDisks, disk.id, &app::NewDisk::id) != was.newDisks.end();
    });
    std::erase_if(
        unwanted, [&](std::string const& path) { return std::ranges::find(was.unwanted, path) != was.unwanted.end(); });
}

/// `isPart`: of a machine in memory, or suspended.
void MachineSettingsPage::finishSave(Draft const& was, vmm::Result<> const& outcome, bool isPart)
{
    auto const id = QString::fromStdString(was.config.uuid);
    if (!outcome && (id != m_id || !isVisible())) {
        emit failed(id, outcome.error());
        return;
    }
    if (!outcome) {
        m_messages->showProblem(problemFor(Task::ChangeSettings, outcome.error()));
        return askFormats(); // which may be the reason
    }
    auto const now = m_library.config(id);
    if (id != m_id) {
        auto const aside = m_drafts.find(id);
        if (aside == m_drafts.end())
            return;
        aside->second.leaveOut(was, now, isPart);
        if (aside->second.isEmpty())
            m_drafts.erase(aside);
        return;
    }
    auto left = draft(), unchanged = was;
    for (auto* one : { &left, &unchanged })
        one->leaveOut(was, now, isPart);
    bool const isChangedSince = left.config != unchanged.config || left.policy || left.restore
        || left.newDisks.size() != unchanged.newDisks.size() || left.unwanted != unchanged.unwanted
        || (!isPart && !left.larger.empty());
    m_config = std::move(left.config);
    m_before = now;
    m_newDisks = std::move(left.newDisks);
    m_unwanted = std::move(left.unwanted);
    lookAtDiskSizes();
    emit saved(m_id);
    if (!isChangedSince)
        return emit finished();
    fillDevices();
    updateEnabled();
}

void MachineSettingsPage::addMedium(
    QString const& title, QString const& filter, std::function<void(std::string const&)> use)
{
    auto* dialog = fileDialog(this, title, QStandardPaths::writableLocation(QStandardPaths::HomeLocation), filter);
    connect(dialog, &QFileDialog::fileSelected, this, [use](QString const& path) { use(path.toStdString()); });
    dialog->show();
}

void MachineSettingsPage::fillFields()
{
    m_filling = true;
    m_name->setText(QString::fromStdString(m_config.name));
    m_notes->setPlainText(QString::fromStdString(m_config.notes));
    {
        QSignalBlocker const cpus(m_cpus), memory(m_memory);
        m_cpus->setValue(m_config.cpus);
        m_memory->setValue(static_cast<int>(m_config.memoryMiB));
    }
    m_firmware->setEnabled(!m_config.kernel);
    m_firmware->setToolTip(m_config.kernel ? tr("A kernel is started without firmware.") : QString());
    m_filling = false;
    fillDevices();
}

void MachineSettingsPage::fillDevices()
{
    fillDisks();
    fillCds();
    fillNetworks();
    fillSerials();
    fillScreens();
    fillUsb();
    fillBootOrder();
}

void MachineSettingsPage::updateTexts()
{
    setTitle(m_config.name.empty() ? tr("Settings") : tr("Settings of %1").arg(QString::fromStdString(m_config.name)));
    m_generalHeading->setText(tr("General"));
    m_hardwareHeading->setText(tr("Processors and memory"));
    m_disksHeading->setText(tr("Disks"));
    m_cdsHeading->setText(tr("CD drives"));
    m_networksHeading->setText(tr("Networks"));
    m_serialsHeading->setText(tr("Serial ports"));
    m_bootHeading->setText(tr("Starts from, in this order"));
    m_timelineHeading->setText(tr("Timeline"));
    m_nameLabel->setText(tr("&Name"));
    m_notesLabel->setText(tr("N&otes"));
    m_cpusLabel->setText(tr("&Processors"));
    m_memoryLabel->setText(tr("&Memory"));
    m_modelLabel->setText(tr("Processor &kind"));
    m_firmwareLabel->setText(tr("&Firmware"));
    m_name->setAccessibleName(tr("Name"));
    m_notes->setAccessibleName(tr("Notes"));
    m_cpus->setAccessibleName(tr("Processors"));
    m_memory->setAccessibleName(tr("Memory"));
    m_model->setAccessibleName(tr("Processor kind"));
    m_firmware->setAccessibleName(tr("Firmware"));
    auto fill = [](QComboBox* box, QStringList const& items, int index) {
        QSignalBlocker const blocker(box);
        box->clear();
        box->addItems(items);
        box->setCurrentIndex(index);
    };
    fill(m_model, { tr("As in this computer"), tr("Basic, for other computers too") },
        static_cast<int>(m_config.cpuModel));
    m_model->setItemData(0,
        tr("All that this computer's processor can. Where another one lacks some of it, or is of another maker, "
           "neither a suspended machine nor its moments go on."),
        Qt::ToolTipRole);
    m_model->setItemData(1,
        tr("What each processor of this maker can since about 2011: the machine and its moments go on on other "
           "computers, too."),
        Qt::ToolTipRole);
    fill(m_firmware, { tr("BIOS"), tr("UEFI"), tr("None") }, static_cast<int>(m_config.firmware));
    m_addNewDisk->setText(tr("Add a new disk"));
    m_addDisk->setText(tr("Add a disk image…"));
    m_addCd->setText(tr("Add a CD drive"));
    m_addNetwork->setText(tr("Add a network"));
    m_addSerial->setText(tr("Add a serial port"));
    for (auto* button : { m_addNewDisk, m_addDisk, m_addCd, m_addNetwork, m_addSerial })
        button->setIcon(icon(QStringLiteral("add")));
    updateScreensTexts();
    updateUsbTexts();
    m_save->setText(tr("&Save"));
    m_discard->setText(tr("&Discard changes"));
    if (!m_id.isEmpty())
        fillFields();
}

}
