#include "ui/new_machine/new_machine_page.h"

#include "ui/new_machine/reasons.h"
#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/widgets/file_dialog.h"
#include "ui/widgets/flow_layout.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/words.h"

#include <QCheckBox>
#include <QComboBox>
#include <QCompleter>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QGridLayout>
#include <QLabel>
#include <QLineEdit>
#include <QMimeData>
#include <QPushButton>
#include <QSpinBox>
#include <QStandardPaths>
#include <algorithm>

namespace ui {

NewMachinePage::NewMachinePage(app::Library& library, QString demoKernel, QWidget* parent)
    : PageFrame(parent), m_library(library), m_demoKernel(std::move(demoKernel)), m_messages(new MessageBar)
{
    setAcceptDrops(true);
    above()->addWidget(m_messages);
    makeSourceCard();
    makeProposalCard();
    content()->addStretch(1);

    m_create = new QPushButton;
    m_create->setProperty("primary", true);
    m_create->setDefault(true);
    m_start = new QCheckBox;
    m_start->setChecked(true);
    m_hostText = new QLabel;
    m_hostText->setProperty("quiet", true);
    m_hostText->setWordWrap(true);
    footer()->addWidget(m_hostText, 1);
    footer()->addWidget(m_start);
    footer()->addSpacing(8);
    footer()->addWidget(m_create);
    connect(m_create, &QPushButton::clicked, this, &NewMachinePage::createMachine);
    m_chooseFile->setDefault(true);
    setFocusProxy(m_chooseFile);
    connect(m_start, &QCheckBox::toggled, this, &NewMachinePage::updateTexts);
    for (auto const namesChange :
        { &app::Library::machineAdded, &app::Library::machineRemoved, &app::Library::machineChanged })
        connect(&m_library, namesChange, this, &NewMachinePage::updateState);
    updateTexts();
    begin();
}

void NewMachinePage::makeSourceCard()
{
    auto* card = addCard(m_sourceHeading);
    m_dropText = new QLabel;
    m_dropText->setWordWrap(true);
    m_dropText->setProperty("quiet", true);
    m_mediumText = new QLabel;
    m_mediumText->setWordWrap(true);
    m_mediumText->setTextFormat(Qt::RichText);
    m_chooseFile = new QPushButton;
    m_demo = new QPushButton;
    m_demo->setVisible(!m_demoKernel.isEmpty());
    m_standsOn = new QLabel;
    m_standsOn->setWordWrap(true);
    m_standsOn->setTextFormat(Qt::RichText);
    m_format = new QComboBox;
    m_formatLabel = new QLabel;
    m_formatLabel->setBuddy(m_format);
    auto* format = new QHBoxLayout;
    format->setSpacing(14);
    format->addWidget(m_formatLabel);
    format->addWidget(m_format);
    format->addStretch(1);
    auto* buttons = new FlowLayout;
    buttons->addWidget(m_chooseFile);
    buttons->addWidget(m_demo);
    card->addWidget(m_dropText);
    card->addWidget(m_mediumText);
    card->addWidget(m_standsOn);
    card->addLayout(format);
    card->addLayout(buttons);
    connect(m_format, &QComboBox::currentIndexChanged, this, [this] {
        if (m_filling)
            return;
        updateMediumText();
        updateState();
    });
    connect(m_chooseFile, &QPushButton::clicked, this, &NewMachinePage::chooseFile);
    connect(m_demo, &QPushButton::clicked, this, &NewMachinePage::useDemo);
}

void NewMachinePage::makeProposalCard()
{
    auto* card = addCard(m_proposalHeading);
    m_proposalCard = card->parentWidget();
    m_system = new QComboBox;
    m_system->setEditable(true);
    m_system->setInsertPolicy(QComboBox::NoInsert);
    m_system->completer()->setFilterMode(Qt::MatchContains);
    m_system->completer()->setCompletionMode(QCompleter::PopupCompletion);
    m_name = new QLineEdit;
    m_name->setMaxLength(256);
    m_cpus = new QSpinBox;
    m_cpus->setRange(1, 16);
    m_memory = new QSpinBox;
    m_memory->setRange(16, 1 << 20);
    m_memory->setSingleStep(256);
    m_memory->setSuffix(QStringLiteral(" MiB"));
    m_memory->setGroupSeparatorShown(true);
    m_disk = new QSpinBox;
    m_disk->setRange(0, 16384);
    m_disk->setSuffix(QStringLiteral(" GiB"));
    m_firmware = new QComboBox;
    m_network = new QComboBox;

    auto makeGrid = [](QWidget* owner) {
        auto* grid = new QGridLayout(owner);
        grid->setContentsMargins(0, 0, 0, 0);
        grid->setHorizontalSpacing(14);
        grid->setVerticalSpacing(9);
        grid->setColumnStretch(2, 1);
        return grid;
    };
    auto addRow = [](QGridLayout* grid, QLabel*& label, QWidget* field, QLabel** reason) {
        auto const row = grid->rowCount();
        label = new QLabel;
        label->setBuddy(field);
        grid->addWidget(label, row, 0, Qt::AlignLeft);
        grid->addWidget(field, row, 1, 1, reason != nullptr ? 1 : 2);
        if (reason != nullptr) {
            field->setMinimumWidth(150);
            *reason = new QLabel;
            (*reason)->setProperty("quiet", true);
            (*reason)->setWordWrap(true);
            grid->addWidget(*reason, row, 2);
        }
    };
    auto* fields = new QWidget;
    auto* grid = makeGrid(fields);
    addRow(grid, m_systemLabel, m_system, nullptr);
    addRow(grid, m_nameLabel, m_name, nullptr);
    m_nameTaken = new QLabel;
    m_nameTaken->setWordWrap(true);
    m_nameTaken->setProperty("problem", true);
    grid->addWidget(m_nameTaken, grid->rowCount(), 1, 1, 2);
    addRow(grid, m_cpusLabel, m_cpus, &m_cpusReason);
    addRow(grid, m_memoryLabel, m_memory, &m_memoryReason);
    addRow(grid, m_diskLabel, m_disk, &m_diskReason);
    m_moreFields = new QWidget;
    auto* more = makeGrid(m_moreFields);
    addRow(more, m_firmwareLabel, m_firmware, &m_firmwareReason);
    addRow(more, m_networkLabel, m_network, nullptr);
    m_more = new QPushButton;
    m_more->setProperty("link", true);
    m_more->setCheckable(true);
    m_concerns = new QLabel;
    m_concerns->setWordWrap(true);
    m_concerns->setTextFormat(Qt::RichText);
    makeKernelFields();
    card->addWidget(fields);
    card->addWidget(m_kernelFields);
    card->addWidget(m_more, 0, Qt::AlignLeft);
    card->addWidget(m_moreFields);
    card->addWidget(m_concerns);
    m_moreFields->hide();

    connect(m_more, &QPushButton::toggled, m_moreFields, &QWidget::setVisible);
    connect(m_system, &QComboBox::activated, this, &NewMachinePage::chooseSystem);
    auto const watch = [this](auto* field, auto changed) {
        connect(field, changed, this, [this, field] {
            if (!m_filling)
                m_touched.insert(field);
            updateConcerns();
        });
    };
    for (auto* field : { m_name, m_initrd, m_commandLine })
        watch(field, &QLineEdit::textChanged);
    for (auto* field : { m_cpus, m_memory, m_disk })
        watch(field, &QSpinBox::valueChanged);
    for (auto* field : { m_firmware, m_network })
        watch(field, &QComboBox::currentIndexChanged);
}

/// What else a kernel is started with that has no firmware to look for it.
void NewMachinePage::makeKernelFields()
{
    m_kernelFields = new QWidget;
    auto* grid = new QGridLayout(m_kernelFields);
    grid->setContentsMargins(0, 0, 0, 0);
    grid->setHorizontalSpacing(14);
    grid->setVerticalSpacing(9);
    m_initrd = new QLineEdit;
    m_initrd->setClearButtonEnabled(true);
    m_chooseInitrd = new QPushButton;
    m_commandLine = new QLineEdit;
    m_initrdLabel = new QLabel;
    m_initrdLabel->setBuddy(m_initrd);
    m_commandLineLabel = new QLabel;
    m_commandLineLabel->setBuddy(m_commandLine);
    grid->addWidget(m_initrdLabel, 0, 0);
    grid->addWidget(m_initrd, 0, 1);
    grid->addWidget(m_chooseInitrd, 0, 2);
    grid->addWidget(m_commandLineLabel, 1, 0);
    grid->addWidget(m_commandLine, 1, 1, 1, 2);
    connect(m_chooseInitrd, &QPushButton::clicked, this, &NewMachinePage::chooseInitrd);
}

void NewMachinePage::chooseInitrd()
{
    auto* dialog = fileDialog(this, tr("Choose the initial RAM disk"),
        QFileInfo(QString::fromStdString(m_medium.path)).path(), tr("All files (*)"));
    connect(dialog, &QFileDialog::fileSelected, m_initrd, &QLineEdit::setText);
    dialog->show();
}

void NewMachinePage::begin()
{
    ++m_question;
    m_ready = m_busy = m_isDemo = false;
    m_medium = {};
    m_touched.clear();
    m_mediumText->hide();
    showFormats();
    m_proposalCard->hide();
    m_proposalHeading->hide();
    m_messages->dismiss();
    m_start->setChecked(true);
    m_library.inspectHost(guarded(this, [this](vmm::Result<app::HostReport> host) {
        if (host) {
            m_host = *host;
            updateTexts();
        }
    }));
    updateState();
}

bool NewMachinePage::isEmpty() const
{
    return m_mediumText->isHidden();
}

void NewMachinePage::chooseFile()
{
    auto* dialog
        = fileDialog(this, tr("Choose a medium"), QStandardPaths::writableLocation(QStandardPaths::DownloadLocation),
            tr("CDs, disk images and kernels (*.iso *.qcow2 *.img *.raw *.elf vmlinuz* bzImage*)")
                + QStringLiteral(";;") + tr("All files (*)"));
    connect(dialog, &QFileDialog::fileSelected, this, &NewMachinePage::useFile);
    dialog->show();
}

void NewMachinePage::useFile(QString const& path)
{
    begin();
    m_mediumText->setText(
        tr("Looking at %1 …").arg(pathText(QFileInfo(path).fileName().toStdString()).toHtmlEscaped()));
    m_mediumText->show();
    auto const question = ++m_question;
    m_library.advise(path, guarded(this, [this, question](vmm::Result<app::Library::Advice> advice) {
        if (question != m_question)
            return;
        if (!advice) {
            m_mediumText->hide();
            m_messages->showProblem(problemFor(Task::ReadFile, advice.error()));
            return;
        }
        takeAdvice(*advice);
    }));
}

void NewMachinePage::useDemo()
{
    begin();
    m_isDemo = true;
    m_proposal = {};
    m_proposal.request = app::demoMachine(m_demoKernel.toStdString());
    m_mediumText->setText(tr("<b>The demo machine</b>: a tiny system of our own that draws, answers keys and counts on "
                             "its disk. Nothing is downloaded."));
    m_mediumText->show();
    takeProposal(m_proposal);
    m_create->setFocus(Qt::OtherFocusReason);
}

void NewMachinePage::takeAdvice(app::Library::Advice const& advice)
{
    m_medium = advice.medium;
    m_host = advice.host;
    if (m_medium.refusal) {
        m_mediumText->hide();
        m_messages->showProblem(problemFor(Task::ReadFile, *m_medium.refusal));
        return;
    }
    showFormats();
    updateMediumText();
    m_mediumText->show();
    takeProposal(advice.proposal);
    (saysFormat() ? static_cast<QWidget*>(m_create) : m_format)->setFocus(Qt::OtherFocusReason);
}

/// A disk that looks like qcow2 can be raw, with a header that its guest has written. Where that stands on a file
/// nothing is chosen before somebody has seen which.
void NewMachinePage::showFormats()
{
    bool const mayBeRaw = m_medium.kind == app::MediumKind::Disk && m_medium.format == "qcow2";
    m_formatLabel->setVisible(mayBeRaw);
    m_format->setVisible(mayBeRaw);
    m_standsOn->setVisible(!m_medium.backing.empty());
    auto const wasFilling = std::exchange(m_filling, true);
    m_format->setCurrentIndex(m_medium.backing.empty() ? 0 : -1);
    m_filling = wasFilling;
}

bool NewMachinePage::saysFormat() const
{
    return m_format->isHidden() || m_format->currentIndex() >= 0;
}

void NewMachinePage::updateMediumText()
{
    auto const name = QFileInfo(QString::fromStdString(m_medium.path)).fileName().toStdString();
    auto const file = pathText(name).toHtmlEscaped(); // it may have nowhere to be broken
    auto const system
        = QString::fromStdString(m_medium.systemName.empty() ? m_medium.label : m_medium.systemName).toHtmlEscaped();
    QString text;
    switch (m_medium.kind) {
    case app::MediumKind::Iso:
        text = system.isEmpty() ? tr("<b>%1</b>: a CD whose system is not known").arg(file)
                                : tr("<b>%2</b> on the CD %1").arg(file, system);
        break;
    case app::MediumKind::Disk: {
        bool const isSaidRaw = !m_format->isHidden() && m_format->currentIndex() == 1;
        text = tr("<b>%1</b>: a disk image of %2 (%3)")
                   .arg(file, bytesText(isSaidRaw ? m_medium.bytes : m_medium.diskBytes),
                       isSaidRaw ? QStringLiteral("raw") : QString::fromStdString(m_medium.format))
            + QStringLiteral("<br>") + tr("The machine writes to this file where it lies. It is not copied.");
        break;
    }
    case app::MediumKind::Kernel:
    case app::MediumKind::PvhKernel: text = tr("<b>%1</b>: a kernel that is started directly").arg(file); break;
    case app::MediumKind::Unknown: break;
    }
    m_mediumText->setText(text);
    m_standsOn->setText(
        tr("This file looks like a qcow2 image that stands on <b>%1</b>, and the machine could read all of that. A "
           "system whose raw disk this file was can have made it look so. Choose what it is.")
            .arg(pathText(m_medium.backing).toHtmlEscaped()));
}

void NewMachinePage::takeProposal(app::Proposal const& proposal)
{
    m_proposal = proposal;
    auto const& config = proposal.request.config;
    auto const isOpen = [this](QWidget* field) { return !m_touched.contains(field); };
    m_filling = true;
    if (isOpen(m_name))
        m_name->setText(m_library.freeName(QString::fromStdString(config.name)));
    if (isOpen(m_cpus))
        m_cpus->setValue(config.cpus);
    if (isOpen(m_memory))
        m_memory->setValue(static_cast<int>(config.memoryMiB));
    auto const hasNewDisk = !proposal.request.newDisks.empty();
    auto const newBytes = hasNewDisk ? proposal.request.newDisks.front().bytes : 0;
    auto const isSmall = newBytes < (1ull << 30);
    m_disk->setSuffix(isSmall ? QStringLiteral(" MiB") : QStringLiteral(" GiB"));
    if (isOpen(m_disk))
        m_disk->setValue(static_cast<int>(newBytes >> (isSmall ? 20 : 30)));
    m_disk->setVisible(hasNewDisk);
    m_diskLabel->setVisible(hasNewDisk);
    m_diskReason->setVisible(hasNewDisk);
    if (isOpen(m_firmware))
        m_firmware->setCurrentIndex(m_firmware->findData(static_cast<int>(config.firmware)));
    m_firmware->setEnabled(!config.kernel);
    if (isOpen(m_network))
        m_network->setCurrentIndex(
            config.networks.empty() || config.networks.front().mode == vmm::NetworkMode::None ? 1 : 0);
    m_system->setVisible(!m_isDemo);
    m_systemLabel->setVisible(!m_isDemo);
    m_kernelFields->setVisible(config.kernel && !m_isDemo);
    if (config.kernel && isOpen(m_initrd))
        m_initrd->setText(QString::fromStdString(config.kernel->initrd));
    if (config.kernel && isOpen(m_commandLine))
        m_commandLine->setText(QString::fromStdString(config.kernel->commandLine));
    m_filling = false;
    m_ready = true;
    m_proposalHeading->show();
    m_proposalCard->show();
    if (!m_isDemo)
        loadSystems();
    updateConcerns();
}

void NewMachinePage::loadSystems()
{
    if (m_system->count() > 1) {
        selectSystem();
        return;
    }
    m_library.listSystems(guarded(this, [this](vmm::Result<std::vector<app::System>> systems) {
        m_system->clear();
        m_system->addItem(tr("Another system"), QString());
        if (systems) {
            for (auto const& system : *systems)
                m_system->addItem(QString::fromStdString(system.name), QString::fromStdString(system.id));
        }
        selectSystem();
    }));
}

void NewMachinePage::selectSystem()
{
    auto const known = m_system->findData(QString::fromStdString(m_proposal.request.config.system));
    m_system->setCurrentIndex(std::max(0, known));
}

void NewMachinePage::chooseSystem(int index)
{
    if (m_medium.path.empty())
        return;
    m_messages->dismiss();
    auto const question = ++m_question;
    m_library.advise(QString::fromStdString(m_medium.path),
        guarded(this,
            [this, question](vmm::Result<app::Library::Advice> advice) {
                if (question != m_question)
                    return;
                if (!advice) {
                    selectSystem();
                    m_messages->showProblem(problemFor(Task::ReadFile, advice.error()));
                    return;
                }
                takeProposal(advice->proposal);
            }),
        m_system->itemData(index).toString());
}

app::MachineRequest NewMachinePage::request() const
{
    auto request = m_proposal.request;
    auto& config = request.config;
    config.name = m_name->text().trimmed().toStdString();
    config.cpus = static_cast<std::uint16_t>(m_cpus->value());
    config.memoryMiB = static_cast<std::uint32_t>(m_memory->value());
    if (config.kernel) {
        config.kernel->initrd = m_initrd->text().trimmed().toStdString();
        config.kernel->commandLine = m_commandLine->text().toStdString();
    } else {
        config.firmware = static_cast<vmm::Firmware>(m_firmware->currentData().toInt());
    }
    if (config.networks.empty() && m_network->currentIndex() == 0)
        config.networks = { { "net0", {}, vmm::NetworkMode::User, {} } };
    for (auto& network : config.networks)
        network.mode = m_network->currentIndex() == 0 ? vmm::NetworkMode::User : vmm::NetworkMode::None;
    // What nobody has touched is guessed once more: the file may have got another header meanwhile.
    if (!m_format->isHidden() && (m_format->currentIndex() == 1 || !m_medium.backing.empty()))
        app::sayFormat(config.disks.front(), m_medium,
            m_format->currentIndex() == 1 ? vmm::DiskFormat::Raw : vmm::DiskFormat::Qcow2);
    if (!request.newDisks.empty()) {
        auto const isSmall = request.newDisks.front().bytes < (1ull << 30);
        request.newDisks.front().bytes = static_cast<std::uint64_t>(m_disk->value()) << (isSmall ? 20 : 30);
    }
    return request;
}

/// Why the values are as they are that were proposed and not changed.
void NewMachinePage::updateReasons()
{
    auto const reason = [this](QWidget* field, app::Reason why) {
        return m_touched.contains(field) ? QString() : m_isDemo ? tr("all that it needs") : reasonText(why);
    };
    m_cpusReason->setText(reason(m_cpus, m_proposal.cpus));
    m_memoryReason->setText(reason(m_memory, m_proposal.memory));
    auto const disk = reason(m_disk, m_proposal.disk);
    m_diskReason->setText(disk.isEmpty() ? disk : tr("grows as it fills; %1").arg(disk));
    m_firmwareReason->setText(m_proposal.request.config.kernel ? tr("a kernel is started without firmware")
                                                               : reason(m_firmware, m_proposal.firmware));
}

void NewMachinePage::updateConcerns()
{
    if (m_filling || !m_ready)
        return;
    updateReasons();
    auto const wanted = request();
    std::uint64_t newBytes = 0;
    for (auto const& disk : wanted.newDisks)
        newBytes += disk.bytes;
    QStringList sentences;
    for (auto const& concern : app::concerns(m_host, wanted.config, newBytes))
        sentences += concernText(concern, m_host.kvm);
    if (m_proposal.lacksNetworkDriver && m_network->currentIndex() == 0)
        sentences += tr("The network card needs a driver for virtio 1.0, which this system may not have.");
    QStringList lines;
    auto const tint = themeColors().problem.name();
    for (auto const& sentence : std::as_const(sentences))
        lines += QStringLiteral("<span style=\"color:%1\">%2</span>").arg(tint, sentence.toHtmlEscaped());
    m_concerns->setText(lines.join(QStringLiteral("<br>")));
    m_concerns->setVisible(!lines.isEmpty());
    updateState();
}

void NewMachinePage::createMachine()
{
    if (!m_create->isEnabled())
        return;
    m_busy = true;
    updateState();
    auto const startNow = m_start->isChecked();
    auto const question = ++m_question;
    m_library.create(request(), guarded(this, [this, startNow, question](vmm::Result<QString> id) {
        m_busy = false;
        updateState();
        if (!id) {
            m_messages->showProblem(problemFor(Task::Create, id.error()));
            return;
        }
        if (question == m_question) // else the page is for the next machine already
            begin();
        emit created(*id);
        if (auto* session = m_library.session(*id); session != nullptr && startNow)
            session->start();
    }));
}

void NewMachinePage::updateState()
{
    auto const name = m_name->text().trimmed();
    auto const isTaken = m_ready && !m_busy && m_library.isTaken(name);
    m_nameTaken->setVisible(isTaken);
    m_name->setAccessibleDescription(isTaken ? m_nameTaken->text() : QString());
    m_create->setEnabled(m_ready && !m_busy && !name.isEmpty() && !isTaken && saysFormat());
    m_start->setVisible(m_ready);
}

void NewMachinePage::dragEnterEvent(QDragEnterEvent* event)
{
    auto const urls = event->mimeData()->urls();
    if (urls.size() == 1 && urls.front().isLocalFile())
        event->acceptProposedAction();
}

void NewMachinePage::dropEvent(QDropEvent* event)
{
    auto const urls = event->mimeData()->urls();
    if (urls.size() == 1)
        useFile(urls.front().toLocalFile());
}

void NewMachinePage::updateTexts()
{
    setTitle(tr("New machine"));
    m_sourceHeading->setText(tr("What shall it start from?"));
    m_dropText->setText(
        tr("Drop a CD image, a disk image or a kernel here, or choose one. Everything else fills itself in."));
    m_chooseFile->setText(tr("Choose a file…"));
    m_chooseFile->setIcon(icon(QStringLiteral("folder")));
    m_demo->setText(tr("The demo machine"));
    m_demo->setIcon(icon(QStringLiteral("demo")));
    m_formatLabel->setText(tr("F&ormat"));
    m_format->setAccessibleName(tr("Format of the disk image"));
    m_format->setPlaceholderText(tr("Choose…"));
    m_proposalHeading->setText(tr("The machine"));
    m_systemLabel->setText(tr("S&ystem"));
    m_nameLabel->setText(tr("&Name"));
    m_nameTaken->setText(tr("Another machine has this name."));
    m_cpusLabel->setText(tr("&Processors"));
    m_memoryLabel->setText(tr("&Memory"));
    m_diskLabel->setText(tr("&Disk"));
    m_firmwareLabel->setText(tr("&Firmware"));
    m_networkLabel->setText(tr("N&etwork"));
    m_initrdLabel->setText(tr("&Initial RAM disk"));
    m_initrd->setPlaceholderText(tr("none"));
    m_initrd->setAccessibleName(tr("Initial RAM disk"));
    m_chooseInitrd->setText(tr("Choose…"));
    m_chooseInitrd->setAccessibleName(tr("Choose the initial RAM disk"));
    m_commandLineLabel->setText(tr("Command &line"));
    m_commandLine->setAccessibleName(tr("The kernel's command line"));
    m_system->setAccessibleName(tr("System"));
    m_system->lineEdit()->setAccessibleName(tr("System"));
    m_name->setAccessibleName(tr("Name"));
    m_cpus->setAccessibleName(tr("Processors"));
    m_memory->setAccessibleName(tr("Memory"));
    m_disk->setAccessibleName(tr("Disk"));
    m_firmware->setAccessibleName(tr("Firmware"));
    m_network->setAccessibleName(tr("Network"));
    m_more->setText(tr("More"));
    m_start->setText(tr("S&tart it at once"));
    m_create->setText(m_start->isChecked() ? tr("&Create and start") : tr("&Create"));
    auto refill = [](QComboBox* box, QList<std::pair<QString, int>> const& items) {
        auto const index = box->currentIndex();
        box->clear();
        for (auto const& [text, value] : items)
            box->addItem(text, value);
        box->setCurrentIndex(std::max(0, index));
    };
    auto const wasFilling = std::exchange(m_filling, true);
    auto const format = m_format->currentIndex(); // none may be chosen
    refill(m_format, { { tr("qcow2, as it looks"), 0 }, { tr("raw"), 1 } });
    m_format->setCurrentIndex(format);
    refill(m_firmware,
        { { tr("BIOS"), static_cast<int>(vmm::Firmware::SeaBios) },
            { tr("UEFI"), static_cast<int>(vmm::Firmware::Ovmf) },
            { tr("None"), static_cast<int>(vmm::Firmware::None) } });
    refill(m_network, { { tr("Shared with this computer"), 0 }, { tr("Not connected"), 1 } });
    m_filling = wasFilling;
    if (m_medium.kind != app::MediumKind::Unknown)
        updateMediumText();
    QStringList host;
    host += m_host.kvm == app::KvmStatus::Usable || m_host.memoryBytes == 0 ? QString() : kvmText(m_host.kvm);
    if (m_host.memoryBytes != 0)
        host += tr("This computer has %n core(s), %1 of free memory and %2 of free disk.", nullptr,
            static_cast<int>(m_host.cores))
                    .arg(bytesText(m_host.freeMemoryBytes >> 20 << 20), bytesText(m_host.freeDiskBytes >> 20 << 20));
    host.removeAll(QString());
    m_hostText->setText(host.join(QLatin1Char(' ')));
    // What is unfolded stands under the rest.
    int widest = 0;
    for (auto const* label :
        { m_systemLabel, m_nameLabel, m_cpusLabel, m_memoryLabel, m_diskLabel, m_firmwareLabel, m_networkLabel })
        widest = std::max(widest, label->sizeHint().width());
    for (auto* label : { m_nameLabel, m_firmwareLabel })
        label->setMinimumWidth(widest);
}

}
