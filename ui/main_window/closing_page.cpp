#include "ui/main_window/closing_page.h"

#include "app/settings/settings.h"
#include "ui/widgets/guarded.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/words.h"

#include <QCheckBox>
#include <QEvent>
#include <QKeyEvent>
#include <QLabel>
#include <QProgressBar>
#include <QPushButton>
#include <QVBoxLayout>

namespace ui {

ClosingPage::ClosingPage(app::Library& library, QWidget* parent)
    : QWidget(parent),
      m_library(library),
      m_title(new QLabel),
      m_text(new QLabel),
      m_rows(new QWidget),
      m_messages(new MessageBar),
      m_suspend(new QPushButton),
      m_background(new QPushButton),
      m_shutDown(new QPushButton),
      m_close(new QPushButton),
      m_cancel(new QPushButton),
      m_powerOff(new QPushButton),
      m_remember(new QCheckBox)
{
    auto font = m_title->font();
    font.setPointSizeF(font.pointSizeF() * 1.4);
    font.setWeight(QFont::DemiBold);
    m_title->setFont(font);
    m_text->setWordWrap(true);
    m_text->setProperty("quiet", true);
    m_suspend->setProperty("primary", true);
    m_suspend->setDefault(true);
    auto* rows = new QVBoxLayout(m_rows);
    rows->setContentsMargins(0, 8, 0, 8);
    rows->setSpacing(10);

    auto* column = new QWidget;
    column->setMaximumWidth(560);
    auto* inner = new QVBoxLayout(column);
    inner->setSpacing(10);
    inner->addWidget(m_title);
    inner->addWidget(m_text);
    inner->addWidget(m_messages);
    inner->addWidget(m_rows);
    auto* answers = new QHBoxLayout;
    for (auto* button : { m_suspend, m_background, m_shutDown })
        answers->addWidget(button);
    answers->addStretch(1);
    auto* others = new QHBoxLayout;
    others->addWidget(m_close);
    others->addWidget(m_powerOff);
    others->addStretch(1);
    others->addWidget(m_cancel);
    inner->addWidget(m_remember);
    inner->addSpacing(8);
    inner->addLayout(answers);
    inner->addLayout(others);
    auto* centring = new QHBoxLayout;
    centring->addStretch(1);
    centring->addWidget(column, 100);
    centring->addStretch(1);
    auto* layout = new QVBoxLayout(this);
    layout->addStretch(2);
    layout->addLayout(centring);
    layout->addStretch(3);

    connect(m_suspend, &QPushButton::clicked, this, [this] { choose(app::OnClose::Suspend); });
    connect(m_background, &QPushButton::clicked, this, [this] { choose(app::OnClose::KeepRunning); });
    connect(m_shutDown, &QPushButton::clicked, this, [this] { choose(app::OnClose::ShutDown); });
    connect(m_powerOff, &QPushButton::clicked, this, &ClosingPage::powerOffAll);
    connect(m_close, &QPushButton::clicked, this, &ClosingPage::finished);
    connect(m_cancel, &QPushButton::clicked, this, [this] {
        giveUp();
        emit cancelled();
    });
    connect(&library, &app::Library::machineStateChanged, this, [this] {
        if (isVisible()) {
            fillRows();
            updateTexts();
        }
    });
    updateTexts();
}

void ClosingPage::begin(app::OnClose choice, QString const& unsaved)
{
    m_messages->dismiss();
    m_remember->setChecked(false);
    m_working = m_hasFailed = false;
    fillRows();
    if (choice != app::OnClose::Ask)
        return work(choice);
    updateTexts();
    if (!unsaved.isEmpty())
        m_messages->showNotice(unsaved, tr("Back to them"), [this] { emit unsavedRequested(); });
    (m_library.inMemory().isEmpty() ? m_cancel : m_suspend)->setFocus();
}

void ClosingPage::choose(app::OnClose choice)
{
    if (m_remember->isChecked())
        app::settings::onClose.set(choice);
    work(choice);
}

void ClosingPage::work(app::OnClose choice)
{
    m_messages->dismiss();
    if (choice == app::OnClose::KeepRunning) {
        emit background();
        return;
    }
    constexpr int patience = 60; // seconds
    m_cancel->setFocus();        // before what had it is hidden: Qt would take it on, as far as to powering off
    m_working = true;
    m_hasFailed = false;
    m_choice = choice;
    m_asked = m_library.inMemory();
    m_secondsLeft = choice == app::OnClose::ShutDown ? std::optional(patience) : std::nullopt;
    updateTexts();
    fillRows();
    auto done = guarded(this, [this, choice](vmm::Result<> result) {
        m_working = false;
        if (m_library.inMemory().isEmpty()) {
            emit finished();
            return;
        }
        auto left = m_library.inMemory();
        left.removeIf([this](QString const& id) { return !m_asked.contains(id); });
        if (result || left.isEmpty())
            return work(choice); // somebody has started one since
        m_hasFailed = true;
        tellNotSuspended(left, result.error());
        updateTexts();
        fillRows();
        emit failed();
    });
    if (choice == app::OnClose::Suspend)
        m_library.suspendAll(done);
    else
        m_library.shutDownAll(patience, done, guarded(this, [this](int seconds) {
            m_secondsLeft = seconds;
            updateText();
        }));
}

void ClosingPage::giveUp()
{
    m_library.cancelClosing();
    m_working = false;
}

void ClosingPage::tellNotSuspended(QStringList const& ids, vmm::Error const& error)
{
    QStringList names;
    for (auto const& id : ids)
        names += m_library.entry(id)->name;
    auto problem = problemFor(Task::Suspend, error);
    problem.title = tr("%1 could not be suspended.", nullptr, static_cast<int>(names.size())).arg(quotedNames(names));
    problem.remedy = Remedy::Retry;
    m_messages->showProblem(problem, [this] { work(app::OnClose::Suspend); });
}

void ClosingPage::powerOffAll()
{
    for (auto const& id : m_library.inMemory()) {
        if (auto* session = m_library.session(id))
            session->powerOff();
    }
    emit finished();
}

void ClosingPage::fillRows()
{
    auto* layout = static_cast<QVBoxLayout*>(m_rows->layout());
    while (auto* item = layout->takeAt(0)) {
        delete item->widget();
        delete item;
    }
    for (auto const& id : m_library.inMemory()) {
        auto const entry = m_library.entry(id);
        auto* session = m_library.session(id);
        if (!entry || session == nullptr)
            continue;
        auto* row = new QWidget;
        auto* line = new QHBoxLayout(row);
        line->setContentsMargins(0, 0, 0, 0);
        auto* name = new QLabel(entry->name);
        name->setTextFormat(Qt::PlainText);
        auto* state = new QLabel(stateWord(session->state()));
        state->setProperty("quiet", true);
        auto* bar = new QProgressBar;
        bar->setTextVisible(false);
        bar->setRange(0, 1000);
        bar->setFixedWidth(160);
        bar->setVisible(m_working);
        bar->setAccessibleName(tr("Progress of %1").arg(entry->name));
        auto show = [bar](app::Job const& job) { bar->setValue(qRound(job.fraction * 1000)); };
        if (session->job())
            show(*session->job());
        connect(session, &app::VmSession::jobProgressed, bar, show);
        line->addWidget(name, 1);
        line->addWidget(state);
        line->addWidget(bar);
        layout->addWidget(row);
    }
}

void ClosingPage::updateTexts()
{
    auto const count = static_cast<int>(m_library.inMemory().size());
    auto const asks = !m_working && count > 0;
    m_title->setText(m_working || asks ? tr("%n machine(s) still run", nullptr, count) : tr("Close Chronovisor?"));
    m_text->setVisible(m_working || asks);
    updateText();
    m_suspend->setText(tr("&Suspend"));
    m_background->setText(tr("&Keep running"));
    m_shutDown->setText(tr("Shut &down"));
    m_powerOff->setText(tr("&Power off at once"));
    m_cancel->setText(tr("&Cancel"));
    m_remember->setText(tr("&Always do that"));
    m_close->setText(tr("C&lose"));
    for (QWidget* one : std::initializer_list<QWidget*> { m_suspend, m_background, m_shutDown, m_remember })
        one->setVisible(asks);
    m_powerOff->setVisible(m_working || (asks && m_hasFailed));
    m_close->setVisible(!m_working && !asks);
    setAccessibleName(m_title->text());
}

void ClosingPage::updateText()
{
    if (!m_working)
        m_text->setText(tr("A suspended machine goes on where it was when you restore it. What keeps running is there "
                           "again as soon as you open Chronovisor."));
    else if (m_secondsLeft)
        m_text->setText(tr("The window closes when all of them have ended. Those that have not shut down in %n "
                           "second(s) are powered off.",
            nullptr, *m_secondsLeft));
    else if (app::settings::onClose() == m_choice)
        m_text->setText(
            tr("The window closes when all of them have ended. The preferences say what is done with them."));
    else
        m_text->setText(tr("The window closes when all of them have ended."));
}

void ClosingPage::changeEvent(QEvent* event)
{
    QWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

void ClosingPage::keyPressEvent(QKeyEvent* event)
{
    if (event->key() == Qt::Key_Escape)
        m_cancel->click();
    else
        QWidget::keyPressEvent(event);
}

}
