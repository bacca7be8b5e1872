#include "ui/timeline/timeline_panel.h"

#include "app/session/vm_session.h"
#include "ui/theme/icons.h"
#include "ui/timeline/compare_view.h"
#include "ui/timeline/moment_words.h"
#include "ui/timeline/past_view.h"
#include "ui/usb/usb_words.h"
#include "ui/widgets/elided_label.h"
#include "ui/widgets/file_dialog.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/words.h"

#include <QApplication>
#include <QBoxLayout>
#include <QDir>
#include <QFileDialog>
#include <QKeyEvent>
#include <QLineEdit>
#include <QLocale>
#include <QMenu>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QShortcut>
#include <QStandardPaths>
#include <QTextDocument>
#include <QToolButton>

namespace ui {

using Request = TimelineAxis::Request;
using Step = app::TimelineSession::Step;
using Form = app::TimelineSession::Form;

TimelinePanel::TimelinePanel(app::VmSession& session, QWidget* parent)
    : QFrame(parent),
      m_session(session),
      m_timeline(session.timeline()),
      m_past(new PastView(this)),
      m_axis(new TimelineAxis(m_timeline, this)),
      m_footer(new QFrame(this)),
      m_words(new ElidedLabel(ElidedLabel::Tone::Quiet)),
      m_summary(new ElidedLabel(ElidedLabel::Tone::Quiet)),
      m_progress(new QProgressBar),
      m_cancel(new QPushButton),
      m_unreadable(new QPushButton),
      m_closer(new QToolButton),
      m_farther(new QToolButton),
      m_menu(new QMenu(this))
{
    setObjectName(QStringLiteral("timeline"));
    m_past->hide(); // until somebody takes it to where the screen is
    makeFooter();
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 1, 0, 0);
    layout->setSpacing(0);
    layout->addWidget(m_axis);
    layout->addWidget(m_footer);
    setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    m_toldTimer.setSingleShot(true);
    m_toldTimer.setInterval(6000);

    m_usbTimer.setSingleShot(true);
    m_usbTimer.setInterval(200); // for who stays there, and not for who scrubs

    connect(m_axis, &TimelineAxis::requested, this, &TimelinePanel::perform);
    connect(m_axis, &TimelineAxis::selectionChanged, this, &TimelinePanel::showSelected);
    connect(&m_timeline.pictures(), &app::MomentPictures::arrived, this, &TimelinePanel::showPictureOfSelected);
    connect(&m_timeline.pictures(), &app::MomentPictures::arrived, this, &TimelinePanel::showComparedPictures);
    connect(&m_timeline, &app::TimelineSession::changed, this, &TimelinePanel::showSelected);
    connect(&m_timeline, &app::TimelineSession::costsChanged, this, &TimelinePanel::showSelected);
    connect(&m_timeline, &app::TimelineSession::changeRateChanged, this, &TimelinePanel::updateFooter);
    connect(&m_timeline, &app::TimelineSession::keepingChanged, this, &TimelinePanel::updateFooter);
    connect(&m_timeline, &app::TimelineSession::obstaclesChanged, this, &TimelinePanel::updateFooter);
    connect(&m_timeline, &app::TimelineSession::neglectedChanged, this, &TimelinePanel::updateFooter);
    connect(&m_timeline, &app::TimelineSession::failed, this, &TimelinePanel::fail);
    connect(&m_timeline, &app::TimelineSession::kept, this, [this](QString const&, std::chrono::nanoseconds stood) {
        tell(stood.count() == 0 ? tr("Kept.")
                                : tr("Kept. The machine stood still for %1 ms.")
                                      .arg(QLocale().toString(static_cast<double>(stood.count()) / 1e6, 'f', 1)));
    });
    connect(&m_timeline, &app::TimelineSession::exported, this,
        [this](QString const& path, std::vector<app::UsbFate> const& stay) {
            auto const text = tr("The moment is in %1.").arg(QDir::toNativeSeparators(path));
            emit notice(stay.empty() ? text : text + QLatin1Char(' ') + stayingText(stay), {}, {});
        });
    connect(&session, &app::VmSession::stateChanged, this, &TimelinePanel::updateFooter);
    connect(&session, &app::VmSession::workChanged, this, &TimelinePanel::updateFooter);
    connect(m_past, &PastView::goRequested, this, [this] { perform(Request::Go); });
    connect(m_past, &PastView::forkRequested, this, [this] { perform(Request::Fork); });
    connect(m_past, &PastView::leaveRequested, this, [this] {
        m_axis->setFocus();
        m_axis->select({});
    });
    connect(&m_timeline, &app::TimelineSession::disksLookedAt, this, &TimelinePanel::showSelected);
    connect(&m_usbTimer, &QTimer::timeout, this, &TimelinePanel::foreseeUsb);
    for (auto const usbChanged : { &app::VmSession::hostUsbChanged, &app::VmSession::redirectedUsbChanged }) {
        connect(&session, usbChanged, this, [this] {
            if (!m_foreseen.isEmpty())
                m_usbTimer.start();
        });
    }
    connect(&m_toldTimer, &QTimer::timeout, this, [this] { tell({}); });
    connect(qApp, &QApplication::focusChanged, this, [this](QWidget*, QWidget* now) { focusChanged(now); });
    updateTexts();
}

void TimelinePanel::makeFooter()
{
    auto* layout = new QHBoxLayout(m_footer);
    layout->setContentsMargins(14, 0, 8, 3);
    layout->setSpacing(8);
    m_progress->setTextVisible(false);
    m_progress->setRange(0, 1000);
    m_progress->setMaximumWidth(220);
    m_unreadable->setObjectName(QStringLiteral("unreadable"));
    for (auto* button : { m_cancel, m_unreadable })
        button->setProperty("link", true);
    layout->addWidget(m_words);
    layout->addWidget(m_unreadable);
    layout->addStretch();
    layout->addWidget(m_progress, 1);
    layout->addWidget(m_cancel);
    layout->addWidget(m_summary, 1); // in what the words have left
    m_summary->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
    for (auto* button : { m_farther, m_closer }) {
        button->setIconSize({ 14, 14 });
        button->setFocusPolicy(Qt::TabFocus);
        layout->addWidget(button);
    }
    connect(m_cancel, &QPushButton::clicked, this, [this] { m_session.cancelWork(m_shownWork); });
    connect(m_unreadable, &QPushButton::clicked, this, &TimelinePanel::showUnreadable);
    connect(m_closer, &QToolButton::clicked, this, [this] { m_axis->zoomBy(1.5); });
    connect(m_farther, &QToolButton::clicked, this, [this] { m_axis->zoomBy(1 / 1.5); });
}

void TimelinePanel::makeComparison()
{
    m_compare = new CompareView(this);
    m_compare->hide();
    connect(m_compare, &CompareView::leaveRequested, this, [this] {
        m_axis->setFocus();
        endComparing();
    });
    connect(m_compare, &CompareView::stopRequested, &m_timeline, &app::TimelineSession::stopComparingDisks);
    connect(&m_timeline, &app::TimelineSession::compared, m_compare, &CompareView::showComparison);
    connect(&m_timeline, &app::TimelineSession::comparingDisks, m_compare, &CompareView::showDiskProgress);
    connect(&m_timeline, &app::TimelineSession::disksCompared, m_compare, &CompareView::showDisks);
}

void TimelinePanel::makeEditor()
{
    m_editor = new QFrame(this);
    m_save = new QPushButton;
    m_dontSave = new QPushButton;
    m_editorTitle = new QLabel;
    m_name = new QLineEdit;
    m_note = new QPlainTextEdit;
    layout()->addWidget(m_editor);
    auto* layout = new QHBoxLayout(m_editor);
    layout->setContentsMargins(14, 4, 10, 8);
    layout->setSpacing(8);
    m_name->setMaxLength(120);
    m_note->setTabChangesFocus(true);
    m_note->setFixedHeight(m_note->fontMetrics().lineSpacing() * 3 + 18);
    m_save->setProperty("primary", true);
    layout->addWidget(m_editorTitle);
    layout->addWidget(m_name, 1);
    layout->addWidget(m_note, 1);
    layout->addWidget(m_dontSave, 0, Qt::AlignTop);
    layout->addWidget(m_save, 0, Qt::AlignTop);
    connect(m_name, &QLineEdit::returnPressed, this, [this] { endEditing(true); });
    connect(m_save, &QPushButton::clicked, this, [this] { endEditing(true); });
    connect(m_dontSave, &QPushButton::clicked, this, [this] { endEditing(false); });
    auto* leave = new QShortcut(Qt::Key_Escape, m_editor);
    leave->setContext(Qt::WidgetWithChildrenShortcut);
    connect(leave, &QShortcut::activated, this, [this] { endEditing(false); });
    auto* accept = new QShortcut(Qt::CTRL | Qt::Key_Return, m_editor);
    accept->setContext(Qt::WidgetWithChildrenShortcut);
    connect(accept, &QShortcut::activated, this, [this] { endEditing(true); });
    m_editor->hide();
}

// What is asked for

void TimelinePanel::perform(Request request)
{
    switch (request) {
    case Request::Keep: return keep();
    case Request::Undo: return undoRemove();
    case Request::Import: emit importRequested(); return;
    case Request::Menu: return showMenu();
    case Request::Leave: emit leaveRequested(); return;
    default: break;
    }
    if (auto const* moment = m_axis->selectedMoment())
        performOn(request, *moment);
    else if (request == Request::Fork)
        fork();
}

void TimelinePanel::performOn(Request request, app::MomentEntry const& moment)
{
    switch (request) {
    case Request::Go: return goTo(moment.id);
    case Request::Fork: emit forkRequested(moment.id, momentTitle(moment)); return;
    case Request::Remove: return remove(moment);
    case Request::Rename: return edit(Editing::Name, moment);
    case Request::Note: return edit(Editing::Note, moment);
    case Request::Pin: return m_timeline.setPinned(moment.id, !moment.pinned);
    case Request::Mark: return markOrCompare(moment.id);
    case Request::Export: return exportMoment(moment, Form::Bundle);
    case Request::ExportFolder: return exportMoment(moment, Form::Folder);
    default: return;
    }
}

void TimelinePanel::setOtherOwner(std::optional<qint64> pid)
{
    if (std::exchange(m_otherOwner, pid) != pid)
        showSelected();
}

QString TimelinePanel::whyNotKeep() const
{
    return m_otherOwner ? otherOwnerWord(*m_otherOwner) : ui::whyNotKeep(m_timeline, m_session.state());
}

QString TimelinePanel::whyNotGo() const
{
    return m_otherOwner ? otherOwnerWord(*m_otherOwner) : ui::whyNotGo(m_timeline);
}

QString TimelinePanel::usualName() const
{
    auto number = 1;
    for (auto const& moment : m_timeline.moments())
        number += moment.isAutomatic() ? 0 : 1;
    return tr("Moment %1").arg(number);
}

void TimelinePanel::keep()
{
    if (auto const reason = whyNotKeep(); !reason.isEmpty())
        return tell(reason);
    m_axis->select({});
    m_timeline.keep(usualName());
}

void TimelinePanel::fork()
{
    if (auto const reason = whyNotKeep(); !reason.isEmpty())
        return tell(reason);
    emit forkRequested({}, usualName());
}

void TimelinePanel::goTo(QString const& id)
{
    if (auto const reason = whyNotGo(); !reason.isEmpty())
        return tell(reason);
    if (m_timeline.keepsPresent()) {
        m_timeline.goTo(id);
    } else {
        // Nobody loses what is now without having said so.
        emit notice(
            tr("The machine has crashed, so its present cannot be kept first: what its memory and disks hold now would "
               "be lost."),
            tr("Go back anyway"),
            guarded(this, [this, id] { m_timeline.goTo(id, app::TimelineSession::Present::Lose); }));
        return;
    }
    m_axis->select({});
    emit leaveRequested();
}

void TimelinePanel::remove(app::MomentEntry const& moment)
{
    auto const id = moment.id;
    auto const title = momentTitle(moment);
    // On to its neighbour, as a person goes on deleting.
    auto const index = m_axis->selectedIndex();
    auto const& layout = m_axis->layoutOfMoments();
    auto const next = layout.isLast(index) ? layout.before(index) : layout.after(index);
    m_timeline.remove(id);
    m_axis->selectIndex(next == TimelineLayout::none ? m_axis->count() : next);
    emit notice(tr("“%1” is deleted.").arg(title), tr("Undo"), guarded(this, [this, id] { m_timeline.bringBack(id); }));
}

void TimelinePanel::undoRemove()
{
    if (!m_timeline.removed().empty())
        m_timeline.bringBack(m_timeline.removed().front().id);
}

void TimelinePanel::exportMoment(app::MomentEntry const& moment, Form form)
{
    bool const isBundle = form == Form::Bundle;
    auto const title = momentTitle(moment);
    auto* dialog = fileDialog(this,
        isBundle ? tr("Export “%1” as one file").arg(title) : tr("Export “%1” as a folder").arg(title),
        QStandardPaths::writableLocation(QStandardPaths::DocumentsLocation), isBundle ? bundleFilter() : QString());
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setFileMode(QFileDialog::AnyFile);
    dialog->setOption(QFileDialog::DontConfirmOverwrite); // nothing that is there is replaced
    auto name = QStringLiteral("%1 %2").arg(QString::fromStdString(m_session.config().name), title);
    name.replace(QLatin1Char('/'), QLatin1Char('-'));
    if (isBundle)
        dialog->setDefaultSuffix(bundleEnding); // else who imports it would not see it
    dialog->selectFile(isBundle ? name + bundleEnding : name);
    connect(dialog, &QFileDialog::fileSelected, this,
        [this, id = moment.id, form](QString const& path) { m_timeline.exportTo(path, id, form); });
    dialog->show();
}

void TimelinePanel::showUnreadable()
{
    auto const& damages = m_timeline.damages();
    if (damages.empty())
        return; // somebody else was faster
    auto unreadable = problemFor(Task::ReadMoments, damages.front().error);
    unreadable.title = unreadableText(damages.size());
    emit problem(unreadable, [this] { m_timeline.endDamaged(); });
}

void TimelinePanel::showMenu()
{
    m_menu->clear();
    auto const add = [this](char const* iconName, QString const& text, QKeySequence const& key, Request request,
                         QString const& why = {}) {
        auto* action = m_menu->addAction(icon(QLatin1String(iconName)),
            text + QLatin1Char('\t') + key.toString(QKeySequence::NativeText), this,
            [this, request] { perform(request); });
        action->setEnabled(why.isEmpty());
        action->setToolTip(why);
    };
    m_menu->setToolTipsVisible(true);
    if (auto const* moment = m_axis->selectedMoment()) {
        add("back", tr("Go back to this moment"), Qt::Key_Return, Request::Go, whyNotGo());
        add("fork", tr("Fork: another machine from this moment"), Qt::Key_F, Request::Fork);
        m_menu->addSeparator();
        add("pencil", tr("Rename"), Qt::Key_R, Request::Rename);
        add("note", tr("Note"), Qt::Key_N, Request::Note);
        auto const* marked = m_timeline.moment(m_axis->marked());
        add("compare",
            marked == nullptr      ? tr("Mark for comparing")
                : marked == moment ? tr("Unmark")
                                   : tr("Compare with “%1”").arg(momentTitle(*marked)),
            Qt::Key_Space, Request::Mark);
        add("pin", moment->pinned ? tr("Unpin") : tr("Pin"), Qt::Key_P, Request::Pin);
        m_menu->addSeparator();
        add("export", tr("Export as one file…"), Qt::Key_E, Request::Export);
        m_menu->addAction(icon(QStringLiteral("folder")), tr("Export as a folder…"), this,
            [this] { perform(Request::ExportFolder); });
        m_menu->addSeparator();
        add("trash", tr("Delete"), Qt::Key_Delete, Request::Remove);
    }
    if (!m_timeline.removed().empty())
        add("restart", tr("Bring “%1” back").arg(momentTitle(m_timeline.removed().front())), QKeySequence::Undo,
            Request::Undo);
    if (!m_menu->isEmpty())
        m_menu->addSeparator();
    add("moment", tr("Keep this moment"), Qt::Key_M, Request::Keep, whyNotKeep());
    if (m_axis->selectedMoment() == nullptr)
        add("fork", tr("Fork: another machine from now"), Qt::Key_F, Request::Fork, whyNotKeep());
    m_menu->addAction(
        icon(QStringLiteral("import")), tr("Import a moment as a machine…"), this, &TimelinePanel::importRequested);
    if (!m_timeline.damages().empty())
        m_menu->addAction(
            icon("warning"), unreadableText(m_timeline.damages().size()), this, &TimelinePanel::showUnreadable);
    auto const rect = m_axis->rectOf(m_axis->selectedIndex());
    m_menu->popup(m_axis->viewport()->mapToGlobal(QPoint(rect.center().x(), rect.center().y())));
}

// Names and notes

void TimelinePanel::edit(Editing what, app::MomentEntry const& moment)
{
    if (m_editor == nullptr)
        makeEditor();
    endEditing(true);
    m_editing = what;
    m_edited = moment.id;
    m_name->setText(moment.name);
    m_name->setPlaceholderText(momentTitle(moment));
    m_note->setPlainText(moment.note);
    m_name->setVisible(what == Editing::Name);
    m_note->setVisible(what == Editing::Note);
    updateEditorTexts();
    m_footer->hide();
    m_editor->show();
    auto* field = what == Editing::Name ? static_cast<QWidget*>(m_name) : m_note;
    field->setFocus(Qt::OtherFocusReason);
    if (what == Editing::Name)
        m_name->selectAll();
}

void TimelinePanel::endEditing(bool save)
{
    auto const what = std::exchange(m_editing, Editing::Nothing);
    if (what == Editing::Nothing)
        return;
    if (save && what == Editing::Name && m_name->isModified())
        m_timeline.rename(m_edited, m_name->text().trimmed());
    else if (save && what == Editing::Note && m_note->document()->isModified())
        m_timeline.setNote(m_edited, m_note->toPlainText().trimmed());
    auto const hadFocus = m_editor->isAncestorOf(QApplication::focusWidget());
    m_footer->show();
    if (hadFocus)
        m_axis->setFocus(Qt::OtherFocusReason);
    m_editor->hide();
}

// What is shown

void TimelinePanel::showSelected()
{
    auto const* moment = m_axis->selectedMoment();
    findDiskCosts();
    if (moment == nullptr || moment->id != m_edited)
        endEditing(m_timeline.moment(m_edited) != nullptr);
    if (auto const id = moment != nullptr ? moment->id : QString(); std::exchange(m_foreseen, id) != id) {
        m_past->showUsb({});
        id.isEmpty() ? m_usbTimer.stop() : m_usbTimer.start();
    }
    if (moment != nullptr) {
        auto const diskChange = m_before.isEmpty() ? m_timeline.diskChange(moment->id) : std::nullopt;
        m_past->showWords(momentTitle(*moment), momentTime(moment->time),
            momentDetails(*moment, m_timeline, diskChange),
            moment->wasOff ? tr("The machine was off.") : tr("This moment has no picture."));
        m_past->setWhyNotGo(whyNotGo());
        showPictureOfSelected();
    } else {
        m_past->showPicture(nullptr);
    }
    // Who goes on looks at that.
    if (!m_before.isEmpty() && m_axis->selected() != m_before && m_axis->selected() != m_after)
        return endComparing();
    auto* view = !m_before.isEmpty() ? static_cast<QWidget*>(m_compare) : moment != nullptr ? m_past : nullptr;
    emit viewWanted(view);
    updateFooter();
}

// Comparing

void TimelinePanel::markOrCompare(QString const& id)
{
    auto const* marked = m_timeline.moment(m_axis->marked());
    if (marked == nullptr || marked->id == id) {
        m_axis->setMarked(marked == nullptr ? id : QString());
        tell(marked == nullptr ? tr("Marked. Space on another moment compares the two.") : QString());
        return;
    }
    auto const* other = m_timeline.moment(id);
    auto const* before = marked->time <= other->time ? marked : other;
    auto const* after = before == marked ? other : marked;
    if (m_compare == nullptr)
        makeComparison();
    m_before = before->id;
    m_after = after->id;
    m_compare->begin(momentTitle(*before), momentTitle(*after));
    showComparedPictures();
    m_timeline.compare(m_before, m_after);
    m_axis->setMarked({});
    m_told.clear();
    showSelected();
}

void TimelinePanel::showComparedPictures()
{
    using Size = app::MomentPictures::Size;
    auto& pictures = m_timeline.pictures();
    if (!m_before.isEmpty())
        m_compare->showPictures(pictures.find(m_before, Size::Whole), pictures.find(m_after, Size::Whole));
}

void TimelinePanel::endComparing()
{
    m_timeline.stopComparing();
    m_before.clear();
    m_after.clear();
    showSelected();
}

void TimelinePanel::showPictureOfSelected()
{
    auto const* moment = m_axis->selectedMoment();
    if (moment == nullptr)
        return;
    using Size = app::MomentPictures::Size;
    auto& pictures = m_timeline.pictures();
    auto whole = pictures.find(moment->id, Size::Whole);
    // At once what the axis has of it; in a moment all. Until then the last one stays, as a film's does.
    if (auto const shown = whole ? whole : pictures.peek(moment->id, Size::Small))
        m_past->showPicture(shown);
    if (!whole)
        return;
    // A person who scrubs goes on: to the left and the right.
    auto const index = m_axis->selectedIndex();
    for (auto const next : { index - 1, index + 1 }) {
        if (next >= 0 && next < m_axis->count())
            pictures.find(m_axis->entry(next).id, Size::Whole);
    }
}

void TimelinePanel::foreseeUsb()
{
    m_session.foreseeUsb(
        m_foreseen, guarded(this, [this, id = m_foreseen](vmm::Result<std::vector<app::UsbFate>> const& fates) {
            // What cannot be foreseen is told when it is gone to.
            if (id == m_foreseen)
                m_past->showUsb(fates ? fatesText(*fates) : QString());
        }));
}

void TimelinePanel::tell(QString const& text)
{
    m_told = text;
    text.isEmpty() ? m_toldTimer.stop() : m_toldTimer.start();
    updateFooter();
}

void TimelinePanel::updateFooter()
{
    auto const keeping = m_timeline.keeping();
    auto const work = keeping ? app::Job { QStringLiteral("keep"), *keeping } : m_session.work();
    m_shownWork = work ? work->name : QString();
    m_progress->setVisible(work.has_value());
    m_cancel->setVisible(work.has_value());
    m_progress->setValue(work ? qRound(work->fraction * 1000) : 0);
    auto const* moment = m_axis->selectedMoment();
    bool const isUnreadable = !m_timeline.damages().empty();
    auto words = m_told;
    if (work)
        words = jobWord(work->name);
    else if (words.isEmpty() && moment != nullptr)
        // What is cut off where there is little room is in the menu.
        words
            = tr("Enter goes back · Esc: now · F forks · Del deletes · Space compares · R renames · N notes · P pins · "
                 "E exports");
    else if (words.isEmpty() && m_timeline.neglected())
        words = neglectText(*m_timeline.neglected());
    else if (words.isEmpty() && isUnreadable)
        words = unreadableText(m_timeline.damages().size());
    else if (words.isEmpty() && m_timeline.isRead() && m_timeline.moments().empty())
        words = m_timeline.canKeep() ? tr("Keep this moment, and come back to it at any time.") : tr("No moments yet.");
    m_unreadable->setVisible(isUnreadable && !work && moment == nullptr);
    m_progress->setAccessibleName(words);
    m_words->setText(words);
    m_words->setAccessibleName(words);
    bool const isOfNeglect = m_timeline.neglected() && words == neglectText(*m_timeline.neglected());
    m_words->setToolTip(isOfNeglect ? QString::fromStdString(m_timeline.neglected()->why.message()) : QString());
    auto summary = timelineSummary(m_timeline);
    auto const brief = shortSummary(m_timeline);
    QStringList const shorter { summary, brief, brief.section(QStringLiteral(" · "), -1) }; // what changes all the time
    if (auto const next = forecastText(m_timeline); !next.isEmpty())
        summary += QStringLiteral(" · ") + next;
    m_summary->setText(summary);
    m_summary->setShorter(shorter);
    m_summary->setVisible(moment == nullptr); // who looks at the past has the keys' names there
    m_summary->setAccessibleDescription(tr("Moments, their size on the disk, how much memory changes a second, and "
                                           "what a moment would take on the disk now"));
    m_summary->setStatusTip(m_summary->accessibleDescription());
    m_axis->setAccessibleDescription(summary);
    for (auto* button : { m_closer, m_farther })
        button->setVisible(!m_timeline.moments().empty());
    emit possibilitiesChanged();
}

void TimelinePanel::fail(Step step, QString const&, vmm::Error const& error)
{
    static constexpr Task tasks[] = { Task::ReadTimeline, Task::KeepMoment, Task::GoToMoment, Task::ChangeMoment,
        Task::RemoveMoment, Task::CompareMoments, Task::ExportMoment };
    if (step == Step::Compare)
        endComparing();
    auto const shown = problemFor(tasks[static_cast<std::size_t>(step)], error);
    std::function<void()> remedy;
    if (shown.remedy == Remedy::Resume && m_session.can(app::Action::Resume))
        remedy = [this] { m_session.resume(); };
    emit problem(shown, remedy);
}

/// Who goes elsewhere wants to see what is.
void TimelinePanel::focusChanged(QWidget* now)
{
    auto const isIn = [now](QWidget const* view) { return view == now || view->isAncestorOf(now); };
    if (now == nullptr || now->window() != window() || isIn(this) || isIn(m_past)
        || (m_compare != nullptr && isIn(m_compare)))
        return;
    m_axis->select({});
}

void TimelinePanel::updateTexts()
{
    m_axis->setAccessibleName(tr("Timeline"));
    m_cancel->setText(tr("Cancel"));
    m_unreadable->setText(tr("Why?"));
    m_unreadable->setAccessibleName(tr("Why moments cannot be read"));
    auto const tool = [](QToolButton* button, char const* iconName, QString const& help) {
        button->setIcon(icon(QLatin1String(iconName)));
        button->setToolTip(help);
        button->setAccessibleName(help);
    };
    tool(m_closer, "add", tr("Closer (+)"));
    tool(m_farther, "minus", tr("Farther (−)"));
    updateFooter();
}

void TimelinePanel::updateEditorTexts()
{
    m_save->setText(tr("Save"));
    m_dontSave->setText(tr("Cancel"));
    m_editorTitle->setText(m_editing == Editing::Note ? tr("Note") : tr("Name"));
    m_name->setAccessibleName(tr("Name of the moment"));
    m_note->setAccessibleName(tr("Note on the moment"));
}

void TimelinePanel::changeEvent(QEvent* event)
{
    QFrame::changeEvent(event);
    if (event->type() == QEvent::LanguageChange) {
        updateTexts();
        if (m_editor != nullptr)
            updateEditorTexts();
        showSelected();
    }
}

/// For who sees it: what they take is under the moments.
void TimelinePanel::findDiskCosts()
{
    if (isVisible() && !m_timeline.moments().empty())
        m_timeline.findDiskCosts();
}

void TimelinePanel::showEvent(QShowEvent* event)
{
    QFrame::showEvent(event);
    m_timeline.setWatched(true);
    findDiskCosts();
}

void TimelinePanel::hideEvent(QHideEvent* event)
{
    QFrame::hideEvent(event);
    m_timeline.setWatched(false);
    m_axis->select({});
}

}
