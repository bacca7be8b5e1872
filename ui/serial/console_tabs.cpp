#include "ui/serial/console_tabs.h"

#include "app/settings/settings.h"

#include <QApplication>
#include <QEvent>
#include <QTabBar>

namespace ui {

namespace settings {
inline app::Setting<int> const terminalZoom { "ui/terminalZoom", 0 };
}

ConsoleTabs::ConsoleTabs(app::VmSession& session, QWidget* parent) : QTabWidget(parent), m_session(session)
{
    setDocumentMode(true);
    tabBar()->setDrawBase(false);
    connect(&session, &app::VmSession::stateChanged, this, [this](app::SessionState state) {
        if (state == app::SessionState::Restoring || state == app::SessionState::Starting)
            m_restored = state == app::SessionState::Restoring;
    });
    rebuild();
}

void ConsoleTabs::rebuild()
{
    QStringList ids;
    for (auto const& serial : m_session.config().serials)
        ids += QString::fromStdString(serial.id);
    if (ids == m_ids)
        return;
    while (count() > 0) {
        auto* page = widget(0);
        removeTab(0);
        delete page;
    }
    m_ids.clear();
    for (auto const& id : ids) {
        if (auto* console = m_session.console(id)) {
            m_ids += id;
            add(*console);
        }
    }
    updateTexts();
}

void ConsoleTabs::add(app::ConsoleSession& console)
{
    auto* terminal = new TerminalWidget;
    terminal->setZoom(settings::terminalZoom());
    addTab(terminal, {});
    auto position = std::make_shared<app::ConsoleSession::Position>();
    auto read = [this, terminal, position, &console, first = true]() mutable {
        auto const output = console.read(*position);
        // A restored guest believes what it has printed still to be there.
        if (output.isNewRun && !m_restored)
            terminal->clear();
        auto const isPast = std::exchange(first, false);
        terminal->feed(output.data, isPast ? TerminalWidget::Answers::Swallow : TerminalWidget::Answers::Send);
    };
    connect(&console, &app::ConsoleSession::outputReady, terminal, read);
    connect(terminal, &TerminalWidget::typed, &console, [&console](QByteArray const& bytes) {
        if (!console.type(bytes))
            QApplication::beep();
    });
    connect(terminal, &TerminalWidget::zoomChanged, this, [](int zoom) { settings::terminalZoom.set(zoom); });
    read();
}

void ConsoleTabs::updateTexts()
{
    for (int i = 0; i < count(); ++i) {
        auto const name = tr("Serial %1").arg(i + 1);
        setTabText(i, name);
        setTabToolTip(i, m_ids.value(i));
        widget(i)->setAccessibleName(name);
    }
}

void ConsoleTabs::changeEvent(QEvent* event)
{
    QTabWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

}
