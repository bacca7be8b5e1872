#include "ui/settings/trash_card.h"

#include "ui/timeline/moment_words.h"
#include "ui/widgets/busy.h"
#include "ui/widgets/elided_label.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/refill.h"
#include "ui/widgets/words.h"

#include <QEvent>
#include <QKeyEvent>
#include <QProgressBar>
#include <QPushButton>
#include <QVBoxLayout>

namespace ui {

TrashCard::TrashCard(app::Library& library, QWidget* parent)
    : QWidget(parent),
      m_library(library),
      m_messages(new MessageBar),
      m_summary(new QLabel),
      m_warning(new QLabel),
      m_rows(new QWidget),
      m_question(new QWidget),
      m_work(new QWidget),
      m_progress(new QProgressBar),
      m_empty(new QPushButton),
      m_keep(new QPushButton),
      m_delete(new QPushButton),
      m_cancel(new QPushButton)
{
    m_summary->setWordWrap(true);
    m_warning->setWordWrap(true);
    auto* rows = new QVBoxLayout(m_rows);
    rows->setContentsMargins(0, 0, 0, 0);
    rows->setSpacing(8);
    auto* question = new QVBoxLayout(m_question);
    question->setContentsMargins(0, 0, 0, 0);
    auto* answers = new QHBoxLayout;
    answers->addWidget(m_keep);
    answers->addWidget(m_delete);
    answers->addStretch(1);
    question->addWidget(m_warning);
    question->addLayout(answers);
    m_progress->setTextVisible(false);
    m_progress->setRange(0, 1000);
    auto* work = new QHBoxLayout(m_work);
    work->setContentsMargins(0, 0, 0, 0);
    work->addWidget(m_progress, 1);
    work->addWidget(m_cancel);
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->setSpacing(10);
    layout->addWidget(m_messages);
    layout->addWidget(m_summary);
    layout->addWidget(m_work);
    layout->addWidget(m_rows);
    layout->addWidget(m_empty, 0, Qt::AlignLeft);
    layout->addWidget(m_question);
    m_question->hide();
    m_work->hide();

    connect(m_empty, &QPushButton::clicked, this, [this] {
        setAsking(true);
        m_keep->setFocus();
    });
    connect(m_keep, &QPushButton::clicked, this, [this] {
        setAsking(false);
        m_empty->setFocus();
    });
    connect(m_delete, &QPushButton::clicked, this, &TrashCard::empty);
    connect(m_cancel, &QPushButton::clicked, this, [this] {
        setBusy(m_cancel, true);
        m_library.cancelEmptying();
    });
    auto const lookIfSeen = [this] {
        if (isVisible())
            look();
    };
    connect(&library, &app::Library::machineAdded, this, lookIfSeen);
    connect(&library, &app::Library::machineRemoved, this, lookIfSeen);
    updateTexts();
}

void TrashCard::look()
{
    m_library.trashUsage(guarded(this, [this](vmm::Result<quint64> const& bytes) { m_bytes = bytes.value_or(0); }));
    m_library.listRemoved(guarded(this, [this](vmm::Result<std::vector<app::RemovedMachine>> removed) {
        m_removed = removed ? std::move(*removed) : std::vector<app::RemovedMachine>();
        fillRows();
        updateTexts();
    }));
}

void TrashCard::fillRows()
{
    if (m_removed.empty() && m_rows->isAncestorOf(window()->focusWidget()))
        setFocus(); // before what had it is gone
    Refill const refill(m_rows);
    auto* last = m_empty->previousInFocusChain();
    while (last->focusPolicy() == Qt::NoFocus)
        last = last->previousInFocusChain();
    for (auto const& machine : m_removed) {
        auto name = QString::fromStdString(machine.config.name);
        if (machine.isImages)
            name = tr("%n image(s) of %1", nullptr, static_cast<int>(machine.config.disks.size())).arg(name);
        auto* label = new ElidedLabel;
        label->setText(name);
        auto* when = new QLabel(momentTime(machine.removedAt * 1000));
        when->setProperty("quiet", true);
        auto* back = new QPushButton(tr("Bring back"));
        back->setAccessibleName(tr("Bring “%1” back").arg(name));
        connect(back, &QPushButton::clicked, this,
            [this, back, place = QString::fromStdString(machine.place()),
                task = machine.isImages ? Task::BringImagesBack : Task::BringBack] {
                setBusy(back, true);
                bringBack(place, task);
            });
        auto* row = new QWidget;
        auto* line = new QHBoxLayout(row);
        line->setContentsMargins(0, 0, 0, 0);
        line->setSpacing(10);
        line->addWidget(label, 1);
        line->addWidget(when);
        line->addWidget(back);
        m_rows->layout()->addWidget(row);
        setTabOrder(last, back);
        last = back;
    }
}

void TrashCard::bringBack(QString const& place, Task task)
{
    m_library.bringBack(place, guarded(this, [this, task](vmm::Result<> const& outcome) {
        outcome ? m_messages->dismiss() : m_messages->showProblem(problemFor(task, outcome.error()));
        look();
    }));
}

void TrashCard::setAsking(bool asks)
{
    m_question->setVisible(asks);
    updateTexts();
}

void TrashCard::empty()
{
    m_isEmptying = true;
    m_messages->dismiss();
    m_progress->setValue(0);
    m_cancel->setEnabled(true);
    updateTexts();
    m_cancel->setFocus(); // before what had it is hidden
    setAsking(false);
    m_library.emptyTrash(m_removed,
        guarded(this,
            [this](vmm::Result<> const& outcome) {
                m_isEmptying = false;
                if (!outcome && outcome.error().code != vmm::ErrorCode::Cancelled)
                    m_messages->showProblem(problemFor(Task::EmptyTrash, outcome.error()));
                look();
            }),
        guarded(this, [this](double fraction) { m_progress->setValue(qRound(fraction * 1000)); }));
}

void TrashCard::updateTexts()
{
    auto const isEmpty = m_removed.empty() && m_bytes == 0;
    m_summary->setText(m_isEmptying ? tr("The trash is being emptied …")
            : isEmpty ? tr("There are no removed machines. One that is removed can be had back for 30 days.")
                      : tr("Removed machines take %1. They are deleted after 30 days.").arg(bytesText(m_bytes)));
    m_warning->setText(tr("%n entry(s) (%1) will be deleted for good.", nullptr, static_cast<int>(m_removed.size()))
                           .arg(bytesText(m_bytes)));
    m_empty->setText(tr("&Empty the trash now…"));
    m_keep->setText(tr("&Keep them"));
    m_delete->setText(tr("&Delete for good"));
    m_delete->setAccessibleDescription(m_warning->text());
    m_empty->setEnabled(!isEmpty && !m_isEmptying && m_question->isHidden());
    m_rows->setEnabled(!m_isEmptying);
    m_progress->setAccessibleName(m_summary->text());
    m_cancel->setText(tr("Cancel"));
    auto const* focus = window()->focusWidget();
    if (!m_isEmptying && (focus == m_work || m_work->isAncestorOf(focus)))
        setFocus();
    m_work->setVisible(m_isEmptying);
    if (window()->focusWidget() == this && m_empty->isEnabled())
        m_empty->setFocus();
}

void TrashCard::showEvent(QShowEvent* event)
{
    QWidget::showEvent(event);
    setAsking(false);
    look();
}

void TrashCard::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape && m_question->isVisible())
        m_keep->click();
    else
        QWidget::keyPressEvent(event);
}

void TrashCard::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange) {
        fillRows();
        updateTexts();
    }
}

}
