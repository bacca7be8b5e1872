#include "ui/usb/usb_control.h"

#include "ui/theme/icons.h"
#include "ui/usb/usb_bar.h"
#include "ui/usb/usb_drop.h"
#include "ui/usb/usb_panel.h"
#include "ui/usb/usb_redirect_card.h"
#include "ui/usb/usb_words.h"
#include "ui/widgets/file_dialog.h"
#include "ui/widgets/guarded.h"

#include <QEvent>
#include <QFileDialog>
#include <QMenu>
#include <utility>

namespace ui {

namespace {

constexpr int widestWords = 420, widestDetails = 220; // the menu's columns, which have room in a small window

/// What nobody can choose, beside `sign`; a menu breaks no lines itself.
void addSentence(QMenu* menu, QIcon sign, QString const& text)
{
    auto const add = [&](QString const& line) { menu->addAction(std::exchange(sign, {}), line)->setEnabled(false); };
    QString line;
    for (auto const& word : text.split(QLatin1Char(' '))) {
        auto const longer = line.isEmpty() ? word : line + QLatin1Char(' ') + word;
        if (line.isEmpty() || menu->fontMetrics().horizontalAdvance(longer) <= widestWords) {
            line = longer;
        } else {
            add(line);
            line = word;
        }
    }
    add(line);
}

}

using Reason = app::UsbQuestion::Reason;

UsbControl::UsbControl(app::Library& library, QString id, QWidget* page, QWidget* display)
    : QObject(page),
      m_library(library),
      m_id(std::move(id)),
      m_page(page),
      m_display(display),
      m_model(new UsbModel(library, m_id, this)),
      m_bar(new UsbBar(page)),
      m_drop(new UsbDropZone(page)),
      m_redirect(new UsbRedirectCard(page)),
      m_addMenu(new QMenu(page)),
      m_removeMenu(new QMenu(page))
{
    m_addMenu->setToolTipsVisible(true);
    connect(m_addMenu, &QMenu::aboutToShow, this, &UsbControl::fillAddMenu);
    display->installEventFilter(this);
    connect(m_model, &UsbModel::used, m_bar, &UsbBar::askNow);
    connect(m_model, &UsbModel::failed, this, &UsbControl::report);
    connect(m_bar, &UsbBar::answered, this, &UsbControl::answer);
    connect(m_bar, &UsbBar::done, this, &UsbControl::leaveRequested);
    connect(m_redirect, &UsbRedirectCard::wanted, this, &UsbControl::redirect);
    connect(m_redirect, &UsbRedirectCard::calledOff, this, [this](UsbCall const& call) {
        if (call.how == app::UsbMeeting::Call)
            session()->callOffUsb(call.address);
    });
    connect(m_redirect, &UsbRedirectCard::done, this, &UsbControl::leaveRequested);
    connect(m_model, &UsbModel::changed, m_redirect, [this] {
        if (!m_model->whyNot().isEmpty())
            m_redirect->leave();
    });
    connect(m_drop, &UsbDropZone::dropped, this, [this](QString const& port) { m_model->setPlugged(port, true); });
    connect(session(), &app::VmSession::hostUsbChanged, this, &UsbControl::follow);
    connect(session(), &app::VmSession::hostUsbFailed, this,
        [this](vmm::HostUsbInfo const& device, vmm::Error const& error) {
            report(Task::AttachUsb, error, QString::fromStdString(device.node()));
        });
    connect(session(), &app::VmSession::redirectedUsbLost, this, &UsbControl::tellLost);
    follow();
}

QString UsbControl::name() const
{
    auto const entry = m_library.entry(m_id);
    return entry ? entry->name : QString();
}

// Questions

/// Who plugs something in looks at this machine.
bool UsbControl::isWatched() const
{
    return m_page->isVisible() && m_page->window()->isActiveWindow();
}

void UsbControl::follow()
{
    m_bar->setMachine(name());
    std::set<std::string> standing;
    for (auto const& question : session()->usbQuestions()) {
        auto const& port = question.device.port;
        standing.insert(port);
        // Every machine in memory asks about what is plugged in; what nobody was shown then stays unasked.
        if (!m_seen.contains(port) && (question.reason != Reason::PluggedIn || isWatched()))
            m_bar->ask(question);
    }
    for (auto const& port : std::exchange(m_seen, standing)) {
        if (!standing.contains(port))
            m_bar->withdraw(QString::fromStdString(port));
    }
}

void UsbControl::answer(app::UsbQuestion const& question, bool yes, bool always)
{
    auto const port = QString::fromStdString(question.device.port);
    if (always)
        m_model->setRule(question.device, yes);
    if (yes && question.reason == Reason::UsedByHost)
        m_model->attachAnyway(port);
    else if (yes)
        m_model->setPlugged(port, true); // this computer may have begun to use it since
    else
        session()->dismissUsbQuestion(port);
}

bool UsbControl::focusQuestion()
{
    if (!m_bar->isAsking())
        return false;
    m_bar->focusAnswer();
    return true;
}

// The panel and the menu

void UsbControl::connectPanel(UsbPanel* panel)
{
    auto const show = [this, panel] {
        panel->setRows(m_model->rows(), m_model->problem());
        panel->setWhyNoOther(m_model->whyNot());
    };
    connect(m_model, &UsbModel::changed, panel, show);
    connect(panel, &UsbPanel::shown, m_model, &UsbModel::open);
    connect(panel, &UsbPanel::wanted, m_model, &UsbModel::setPlugged);
    connect(panel, &UsbPanel::removalWanted, m_model, &UsbModel::remove);
    panel->setAddMenu(m_addMenu);
    connect(panel, &UsbPanel::rulesRequested, this, &UsbControl::rulesRequested);
    connect(panel, &UsbPanel::otherRequested, this, &UsbControl::openRedirect);
    connect(panel, &UsbPanel::dragBegan, this, &UsbControl::offerDrop);
    connect(panel, &UsbPanel::dragEnded, m_drop, &QWidget::hide);
    show();
}

void UsbControl::setMenu(QMenu* menu)
{
    menu->setToolTipsVisible(true);
    connect(menu, &QMenu::aboutToShow, this, [this, menu] {
        m_model->open();
        fillMenu(menu);
    });
    connect(m_model, &UsbModel::changed, menu, [this, menu] {
        if (menu->isVisible())
            fillMenu(menu);
    });
}

void UsbControl::fillMenu(QMenu* menu)
{
    menu->clear();
    auto const why = m_model->whyNot();
    if (!why.isEmpty()) // said once, and not only to who points at what is disabled
        addSentence(menu, icon(QStringLiteral("inspector")), why);
    auto const add = [&](std::initializer_list<UsbRow::Group> groups, QString const& heading) {
        auto const before = menu->actions().size();
        for (auto const group : groups) {
            for (auto const& row : m_model->rows()) {
                if (row.group != group)
                    continue;
                if (menu->actions().size() == before)
                    menu->addSection(heading);
                addToMenu(menu, row);
            }
        }
        return menu->actions().size() > before;
    };
    if (!add({ UsbRow::Group::Machine, UsbRow::Group::Host }, tr("Of this computer"))) {
        auto const problem = m_model->problem();
        addSentence(menu, {}, problem.isEmpty() ? tr("No USB device is plugged into this computer.") : problem);
    }
    add({ UsbRow::Group::Remote, UsbRow::Group::Place }, tr("Of other computers"));
    m_removeMenu->clear();
    if (add({ UsbRow::Group::Own }, tr("The machine's own"))) {
        for (auto const& row : m_model->rows()) {
            if (row.group != UsbRow::Group::Own)
                continue;
            auto const name = m_removeMenu->fontMetrics().elidedText(row.name, Qt::ElideRight, widestWords);
            auto* action = m_removeMenu->addAction(
                icon(row.iconName), name, m_model, [this, id = row.id] { m_model->remove(id); });
            action->setEnabled(row.whyNot.isEmpty());
            action->setToolTip(row.name);
        }
    } else {
        menu->addSeparator();
    }
    m_addMenu->setTitle(tr("Add"));
    m_addMenu->setIcon(icon(QStringLiteral("add")));
    fillAddMenu();
    menu->addMenu(m_addMenu);
    if (!m_removeMenu->isEmpty()) {
        m_removeMenu->setTitle(tr("Remove"));
        m_removeMenu->setIcon(icon(QStringLiteral("trash")));
        menu->addMenu(m_removeMenu);
    }
    menu->addSeparator();
    auto* other = menu->addAction(
        icon(QStringLiteral("network")), tr("From another computer…"), this, &UsbControl::openRedirect);
    other->setEnabled(why.isEmpty());
    other->setToolTip(why.isEmpty() ? other->text() : why);
    menu->addSeparator();
    menu->addAction(icon(QStringLiteral("inspector")), tr("Show beside the screen"), this, &UsbControl::panelRequested);
    menu->addAction(icon(QStringLiteral("settings")), tr("Rules…"), this, &UsbControl::rulesRequested);
}

void UsbControl::fillAddMenu()
{
    m_addMenu->clear();
    auto const why = m_model->whyNotAdd();
    auto const add = [&](QString const& iconName, QString const& name, auto slot) {
        auto* action = m_addMenu->addAction(icon(iconName), name, this, slot);
        action->setEnabled(why.isEmpty());
        action->setToolTip(why.isEmpty() ? name : why);
    };
    add(QStringLiteral("stick"), tr("A stick from an image…"), [this] { chooseStick(); });
    m_addMenu->addSeparator();
    for (std::size_t i = 0; i < stateNames(vmm::UsbKind {}).size(); ++i) {
        auto const kind = static_cast<vmm::UsbKind>(i);
        add(usbIconName(kind), usbName(kind), [this, kind] { m_model->add(kind); });
    }
}

void UsbControl::chooseStick()
{
    auto* dialog = fileDialog(m_page, tr("Add a stick"), {},
        tr("Disk images (*.img *.raw *.qcow2 *.iso)") + QStringLiteral(";;") + tr("All files (*)"));
    connect(dialog, &QFileDialog::fileSelected, m_model, &UsbModel::addStick);
    dialog->show();
}

void UsbControl::openRedirect()
{
    m_redirect->place(displayRect());
    m_redirect->open();
}

void UsbControl::redirect(UsbCall const& call)
{
    session()->redirectUsb(call.how, call.address, guarded(this, [this, call](vmm::Result<> const& outcome) {
        std::optional<Problem> problem;
        if (!outcome) {
            auto const task = call.how == app::UsbMeeting::Call ? Task::CallForUsb : Task::WaitForUsb;
            problem = problemFor(task, outcome.error());
        }
        auto const isHeard = m_redirect->answer(call, problem);
        if (problem && !isHeard && outcome.error().code != vmm::ErrorCode::Cancelled)
            emit failed(*problem);
    }));
}

/// A device of another computer, which the guest has not any more.
void UsbControl::tellLost(QString const& id, vmm::Error const& why)
{
    auto problem = problemFor(Task::HaveUsb, why);
    auto const& rows = m_model->rows();
    if (auto const row = std::ranges::find(rows, id, &UsbRow::id); row != rows.end())
        problem.title = tr("The USB device “%1” (%2) is gone.").arg(row->name, row->details);
    emit failed(problem);
}

void UsbControl::addToMenu(QMenu* menu, UsbRow const& row)
{
    auto const isOwn = row.group == UsbRow::Group::Own;
    auto const verb = row.group == UsbRow::Group::Place ? tr("Do not wait at “%1” any more")
        : row.plugged                                   ? isOwn ? tr("Unplug “%1”") : tr("Detach “%1”")
                                          : isOwn ? tr("Plug in “%1”")
                                                        : tr("Attach “%1”");
    auto const metrics = menu->fontMetrics();
    auto const name
        = metrics.elidedText(row.name, Qt::ElideRight, widestWords - metrics.horizontalAdvance(verb.arg(QString())));
    auto const details = metrics.elidedText(row.details, Qt::ElideRight, widestDetails);
    auto* action = menu->addAction(icon(row.iconName), verb.arg(name) + QLatin1Char('\t') + details, this,
        [this, id = row.id, plug = !row.plugged] { m_model->setPlugged(id, plug); });
    action->setEnabled(row.whyNot.isEmpty());
    auto const isCut = name != row.name || details != row.details;
    auto const tip = isCut ? row.name + QLatin1Char('\n') + row.details + QLatin1Char('\n') + row.tip : row.tip;
    action->setToolTip(row.whyNot.isEmpty() ? tip : row.whyNot);
}

void UsbControl::offerDrop(QString const& device)
{
    m_drop->offer(displayRect(), tr("Drop it here to attach “%1” to %2").arg(device, name()));
}

void UsbControl::report(Task task, vmm::Error const& error, QString const& node)
{
    auto problem = problemFor(task, error);
    if (task == Task::AttachUsb && error.code == vmm::ErrorCode::PermissionDenied && !node.isEmpty()) {
        problem.advice
            = tr("Chronovisor's package brings a rule for that. Without it, until the device is plugged out, "
                 "this helps in a terminal: sudo setfacl -m u:%1:rw %2")
                  .arg(qEnvironmentVariable("USER", QStringLiteral("$USER")), node);
    }
    emit failed(problem);
}

// Where things are

QRect UsbControl::displayRect() const
{
    return { m_display->mapTo(m_page, QPoint(0, 0)), m_display->size() };
}

bool UsbControl::eventFilter(QObject* watched, QEvent* event)
{
    if (watched == m_display && (event->type() == QEvent::Resize || event->type() == QEvent::Move)) {
        m_bar->place(displayRect());
        m_redirect->place(displayRect());
    }
    return QObject::eventFilter(watched, event);
}

void UsbControl::updateTexts()
{
    m_bar->setMachine(name());
    m_model->updateTexts();
}

}
