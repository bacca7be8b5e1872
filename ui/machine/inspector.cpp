#include "ui/machine/inspector.h"

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/usb/usb_control.h"
#include "ui/usb/usb_panel.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/refill.h"
#include "ui/widgets/usage_graph.h"
#include "ui/widgets/words.h"

#include <QCheckBox>
#include <QEvent>
#include <QFileInfo>
#include <QLabel>
#include <QLocale>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QVBoxLayout>
#include <algorithm>

namespace ui {

namespace {

QLabel* makeTitle()
{
    auto* title = new QLabel;
    auto font = title->font();
    font.setWeight(QFont::DemiBold);
    title->setFont(font);
    return title;
}

QString fileName(std::string const& path)
{
    return QFileInfo(QString::fromStdString(path)).fileName();
}

}

Inspector::Inspector(app::Library& library, QString id, UsbControl& usb, QWidget* parent)
    : QScrollArea(parent), m_library(library), m_id(std::move(id)), m_usb(usb)
{
    setFrameShape(QFrame::NoFrame);
    setWidgetResizable(true);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    setMinimumWidth(220);
    connect(&m_timer, &QTimer::timeout, this, &Inspector::measure);
    m_timer.setInterval(1000);
}

void Inspector::makeContent()
{
    m_rows = new QWidget;
    m_usbPanel = new UsbPanel;
    m_processor = new UsageGraph;
    m_disk = new UsageGraph;
    m_network = new UsageGraph;
    m_hardwareTitle = makeTitle();
    m_activityTitle = makeTitle();
    m_notesTitle = makeTitle();
    m_memory = new QLabel;
    m_settings = new QPushButton;
    m_notes = new QPlainTextEdit;
    m_memory->setProperty("quiet", true);
    m_memory->setWordWrap(true);
    m_settings->setProperty("link", true);
    m_notes->setTabChangesFocus(true);
    m_notes->setMinimumHeight(90);
    m_notes->installEventFilter(this);

    auto* content = new QWidget(viewport());
    auto* layout = new QVBoxLayout(content);
    layout->setContentsMargins(16, 14, 16, 16);
    layout->setSpacing(8);
    layout->addWidget(m_hardwareTitle);
    auto* rows = new QVBoxLayout(m_rows);
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setSpacing(7);
    layout->addWidget(m_rows);
    layout->addWidget(m_settings, 0, Qt::AlignLeft);
    layout->addSpacing(10);
    layout->addWidget(m_usbPanel);
    layout->addSpacing(10);
    layout->addWidget(m_activityTitle);
    layout->addWidget(m_processor);
    layout->addWidget(m_disk);
    layout->addWidget(m_network);
    layout->addWidget(m_memory);
    layout->addSpacing(10);
    layout->addWidget(m_notesTitle);
    layout->addWidget(m_notes, 1);

    connect(m_settings, &QPushButton::clicked, this, &Inspector::settingsRequested);
    if (auto* session = m_library.session(m_id))
        connect(session, &app::VmSession::workChanged, this, &Inspector::followStream);
    m_usb.connectPanel(m_usbPanel);
    setWidget(content);
    updateTexts();
}

void Inspector::focusUsb()
{
    m_usbPanel->focusFirst();
    ensureWidgetVisible(m_usbPanel);
}

void Inspector::addRow(QString const& iconName, QString const& title, QString const& text)
{
    auto* row = new QWidget;
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(10);
    auto* picture = new QLabel;
    picture->setPixmap(icon(iconName, themeColors().faint).pixmap(QSize(18, 18), devicePixelRatioF()));
    auto* label = new QLabel(text);
    label->setTextFormat(Qt::PlainText);
    label->setWordWrap(true);
    label->setAccessibleName(title + QStringLiteral(": ") + text);
    label->setToolTip(title);
    layout->addWidget(picture, 0, Qt::AlignTop);
    layout->addWidget(label, 1);
    m_rows->layout()->addWidget(row);
}

void Inspector::addCable(vmm::NetworkConfig const& network)
{
    auto const id = QString::fromStdString(network.id);
    auto* row = new QWidget;
    auto* layout = new QHBoxLayout(row);
    layout->setContentsMargins(28, 0, 0, 0);
    auto* plugged = new QCheckBox(tr("Cable plugged in"));
    plugged->setAccessibleName(tr("The cable of %1 is plugged in").arg(id));
    plugged->setChecked(network.connected);
    auto const* session = m_library.session(m_id);
    plugged->setEnabled(session != nullptr && session->state() != app::SessionState::Suspended);
    layout->addWidget(plugged);
    m_rows->layout()->addWidget(row);
    // The row follows when it is done.
    connect(plugged, &QCheckBox::clicked, this, [this, id](bool on) {
        m_library.setConnected(m_id, id, on, guarded(this, [this](vmm::Result<> const& outcome) {
            if (outcome)
                return;
            m_shown = {};
            refresh();
            emit failed(outcome.error());
        }));
    });
}

/// Under its disk's row: that the disk stands on other files, and the way out of it, or how far that is.
void Inspector::addBase(app::DiskBase const& base)
{
    auto* session = m_library.session(m_id);
    auto* row = new QWidget;
    auto* layout = new QVBoxLayout(row);
    layout->setContentsMargins(28, 0, 0, 0);
    layout->setSpacing(2);
    auto* label = new QLabel(tr("Stands on %n other file(s), %1", nullptr, base.files).arg(bytesText(base.bytes)));
    label->setProperty("quiet", true);
    label->setWordWrap(true);
    layout->addWidget(label);
    auto* button = new QPushButton;
    button->setProperty("link", true);
    bool const isThisOne = base.disk == m_streamed || (m_streamed.isEmpty() && m_bases.size() == 1);
    if (m_streams && isThisOne) {
        m_streaming = label;
        button->setText(tr("Cancel"));
        button->setAccessibleName(tr("Stop making %1 independent").arg(base.disk));
        button->setToolTip(tr("What was copied so far stays."));
        connect(button, &QPushButton::clicked, this, [session, disk = base.disk] { session->cancelDisk(disk); });
    } else {
        button->setText(tr("Make independent"));
        button->setAccessibleName(tr("Make %1 independent of its base").arg(base.disk));
        button->setToolTip(tr(
            "What the disk has of other files is copied into its own. The machine goes on meanwhile, and those files "
            "stay."));
        auto const state = session->state();
        button->setEnabled(!m_streams && (state == app::SessionState::Off || app::isInMemory(state)));
        connect(button, &QPushButton::clicked, this, [this, disk = base.disk] { makeIndependent(disk); });
    }
    layout->addWidget(button, 0, Qt::AlignLeft);
    m_rows->layout()->addWidget(row);
}

void Inspector::makeIndependent(QString const& disk)
{
    m_streamed = disk;
    m_library.session(m_id)->streamDisk(disk, guarded(this, [this](vmm::Result<> const& outcome) {
        m_streamed.clear();
        lookAtDisks();
        if (!outcome && outcome.error().code != vmm::ErrorCode::Cancelled)
            emit failed(outcome.error());
    }));
}

void Inspector::followStream()
{
    auto const* session = m_library.session(m_id);
    auto const work = session ? session->work(QLatin1String("stream")) : std::nullopt;
    if (m_streams != work.has_value()) {
        m_streams = work.has_value();
        m_shown = {};
        refresh();
    }
    if (work && m_streaming)
        m_streaming->setText(tr("Being made independent: %1 %").arg(QLocale().toString(qRound(work->fraction * 100))));
}

void Inspector::lookAtDisks()
{
    auto* session = m_library.session(m_id);
    if (session == nullptr)
        return;
    session->lookAtDisks(guarded(this, [this](std::vector<app::DiskBase> const& bases) {
        if (bases == m_bases)
            return;
        m_bases = bases;
        fillRows(m_shown);
        followStream();
    }));
}

void Inspector::refresh()
{
    if (!isVisible() || widget() == nullptr)
        return;
    lookAtDisks();
    auto const* session = m_library.session(m_id);
    auto config = m_library.config(m_id);
    // What lies in the drives now, and which cable is plugged in.
    if (session != nullptr && app::isInMemory(session->state())) {
        config.networks = session->config().networks;
        for (auto& cd : config.cds)
            cd.path = session->mediumPath(QString::fromStdString(cd.id)).toStdString();
    }
    if (!m_notes->hasFocus() && m_notes->toPlainText().toStdString() != config.notes)
        m_notes->setPlainText(QString::fromStdString(config.notes));
    auto const isSuspended = session != nullptr && session->state() == app::SessionState::Suspended;
    if (config != m_shown || isSuspended != m_shownSuspended)
        fillRows(config);
    m_shown = std::move(config);
    m_shownSuspended = isSuspended;
    measure();
}

void Inspector::fillRows(vmm::VmConfig const& config)
{
    Refill const refill(m_rows);
    addRow(QStringLiteral("chip"), tr("Processors"), tr("%n processor(s)", nullptr, config.cpus));
    addRow(
        QStringLiteral("memory"), tr("Memory"), tr("%1 of memory").arg(bytesText(quint64 { config.memoryMiB } << 20)));
    for (auto const& disk : config.disks) {
        addRow(QStringLiteral("disk"), tr("Disk"), fileName(disk.path));
        auto const base = std::ranges::find(m_bases, QString::fromStdString(disk.id), &app::DiskBase::disk);
        if (base != m_bases.end())
            addBase(*base);
    }
    for (auto const& cd : config.cds)
        addRow(QStringLiteral("disc"), tr("CD drive"), cd.path.empty() ? tr("Empty CD drive") : fileName(cd.path));
    for (auto const& network : config.networks) {
        auto const isShared = network.mode == vmm::NetworkMode::User;
        addRow(QStringLiteral("network"), tr("Network"),
            isShared ? tr("Network shared with this computer") : tr("Network, not connected"));
        if (isShared)
            addCable(network);
    }
    if (auto const ports = vmm::consoleIds(config).size(); ports != 0)
        addRow(QStringLiteral("serial"), tr("Serial ports"), tr("%n serial port(s)", nullptr, static_cast<int>(ports)));
    addRow(QStringLiteral("boot"), tr("Start"),
        config.kernel                                ? tr("Starts the kernel %1").arg(fileName(config.kernel->kernel))
            : config.firmware == vmm::Firmware::Ovmf ? tr("Starts with UEFI")
                                                     : tr("Starts with a BIOS"));
}

void Inspector::updateTexts()
{
    m_hardwareTitle->setText(tr("Hardware"));
    m_activityTitle->setText(tr("Activity"));
    m_notesTitle->setText(tr("Notes"));
    m_settings->setText(tr("Change…"));
    m_processor->setAccessibleName(tr("Processor use"));
    m_disk->setAccessibleName(tr("Disk throughput"));
    m_network->setAccessibleName(tr("Network throughput"));
    m_notes->setAccessibleName(tr("Notes"));
    m_notes->setPlaceholderText(tr("What is this machine for?"));
    m_shown = {}; // the rows' words, and the icons' colours
    refresh();
}

void Inspector::measure()
{
    auto* session = m_library.session(m_id);
    auto const running = session != nullptr && app::isInMemory(session->state());
    m_activityTitle->setVisible(running);
    m_processor->setVisible(running);
    m_disk->setVisible(running);
    m_network->setVisible(running);
    m_memory->setVisible(running);
    if (!running) {
        m_hasLast = false;
        for (auto* graph : { m_processor, m_disk, m_network })
            graph->clear();
        return;
    }
    auto const measured = session->statistics();
    if (!measured)
        return;
    auto const& now = *measured;
    if (std::exchange(m_hasLast, true)) {
        auto rate = [](std::uint64_t before, std::uint64_t after) { return after > before ? after - before : 0; };
        auto const usage
            = static_cast<double>(rate(m_last.cpuNanoseconds, now.cpuNanoseconds)) / 1e9 / session->config().cpus;
        m_processor->add(usage, tr("Processor %1 %").arg(QLocale().toString(qRound(usage * 100))));
        auto const disk
            = rate(m_last.diskBytesRead + m_last.diskBytesWritten, now.diskBytesRead + now.diskBytesWritten);
        m_disk->add(static_cast<double>(disk) / 500e6, tr("Disks %1/s").arg(bytesText(disk)));
        auto const network = rate(
            m_last.networkBytesReceived + m_last.networkBytesSent, now.networkBytesReceived + now.networkBytesSent);
        m_network->add(static_cast<double>(network) / 125e6, tr("Network %1/s").arg(bytesText(network)));
        m_memory->setText(tr("%1 of memory in use").arg(bytesText(now.residentBytes)));
    }
    m_last = now;
}

void Inspector::saveNotes()
{
    auto const notes = m_notes->toPlainText();
    if (notes.toStdString() == m_library.config(m_id).notes)
        return;
    m_library.changeNotes(m_id, notes, guarded(this, [this](vmm::Result<> const& outcome) {
        if (!outcome)
            emit failed(outcome.error());
    }));
}

bool Inspector::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_notes && event->type() == QEvent::FocusOut)
        saveNotes();
    return QScrollArea::eventFilter(watched, event);
}

void Inspector::showEvent(QShowEvent* event)
{
    QScrollArea::showEvent(event);
    // Most of the time it is hidden, and the dearest part of making a page.
    widget() == nullptr ? makeContent() : refresh();
    m_timer.start();
}

void Inspector::hideEvent(QHideEvent* event)
{
    QScrollArea::hideEvent(event);
    m_timer.stop();
    m_hasLast = false;
    if (widget() != nullptr)
        saveNotes();
}

void Inspector::changeEvent(QEvent* event)
{
    QScrollArea::changeEvent(event);
    if ((event->type() == QEvent::LanguageChange || event->type() == QEvent::PaletteChange) && widget() != nullptr)
        updateTexts();
}

}
