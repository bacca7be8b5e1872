#include "ui/serial/console_tabs.h"

#include "app/settings/settings.h"
#include "ui/timeline/moment_words.h"

#include <QApplication>
#include <QDateTime>
#include <QEvent>
#include <QLocale>
#include <QShortcut>
#include <QTabBar>
#include <algorithm>

namespace ui {

namespace settings {
inline app::Setting<int> const terminalZoom { "ui/terminalZoom", 0 };
}

ConsoleTabs::ConsoleTabs(app::VmSession& session, QWidget* parent) : QTabWidget(parent), m_session(session)
{
    setDocumentMode(true);
    tabBar()->setDrawBase(false);
    // With Shift, as the terminal lets such keys pass; Tab is the guest's.
    auto const addKey = [this](Qt::Key key, int step) {
        auto* shortcut = new QShortcut(Qt::CTRL | Qt::SHIFT | key, this);
        shortcut->setContext(Qt::WidgetWithChildrenShortcut);
        connect(shortcut, &QShortcut::activated, this, [this, step] {
            setCurrentIndex((currentIndex() + step + count()) % std::max(1, count()));
            if (auto* terminal = currentTerminal())
                terminal->setFocus(Qt::ShortcutFocusReason);
        });
    };
    addKey(Qt::Key_PageDown, 1);
    addKey(Qt::Key_PageUp, -1);
    rebuild();
}

void ConsoleTabs::rebuild()
{
    QStringList ids;
    for (auto const& id : vmm::consoleIds(m_session.config()))
        ids += QString::fromStdString(id);
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

bool ConsoleTabs::hasText() const
{
    for (int i = 0; i < count(); ++i) {
        if (!static_cast<TerminalWidget*>(widget(i))->visibleText().trimmed().isEmpty())
            return true;
    }
    return false;
}

void ConsoleTabs::add(app::ConsoleSession& console)
{
    auto* terminal = new TerminalWidget;
    terminal->setZoom(settings::terminalZoom());
    addTab(terminal, {});
    auto position = std::make_shared<app::ConsoleSession::Position>();
    auto read = [this, terminal, position, &console, first = true]() mutable {
        auto const output = console.read(*position);
        if (output.origin) {
            terminal->beginAnew(originText(*output.origin));
        } else if (output.isNewRun) {
            terminal->clear();
            // A restored guest believes what it has printed still to be there.
            terminal->feed(output.past, TerminalWidget::Answers::Swallow);
        }
        auto const isPast = std::exchange(first, false);
        terminal->feed(output.data, isPast ? TerminalWidget::Answers::Swallow : TerminalWidget::Answers::Send);
    };
    connect(&console, &app::ConsoleSession::outputReady, terminal, read);
    connect(terminal, &TerminalWidget::typed, &console, [&console](QByteArray const& bytes) {
        if (!console.type(bytes))
            QApplication::beep();
    });
    connect(terminal, &TerminalWidget::sizeChanged, &console, &app::ConsoleSession::setSize);
    console.setSize(terminal->screen().columns(), terminal->screen().rows());
    connect(terminal, &TerminalWidget::zoomChanged, this, [](int zoom) { settings::terminalZoom.set(zoom); });
    read();
}

/// With the date, for it stays there for days.
QString ConsoleTabs::originText(app::RunOrigin const& origin)
{
    auto const time = QDateTime::fromMSecsSinceEpoch(static_cast<qint64>(origin.time / 1'000'000));
    auto const title = origin.name.empty() ? momentTitle(origin.reason) : QString::fromStdString(origin.name);
    return tr("— back at “%1” (%2) —").arg(title, QLocale().toString(time, QLocale::ShortFormat));
}

void ConsoleTabs::updateTexts()
{
    for (int i = 0; i < count(); ++i) {
        auto const name = tr("Serial %1").arg(i + 1);
        setTabText(i, name);
        setTabToolTip(i, m_ids.value(i));
        widget(i)->setAccessibleName(name);
        widget(i)->setAccessibleDescription(tr("Keys go to the machine. Ctrl+Shift+T leads to the timeline."));
    }
}

void ConsoleTabs::changeEvent(QEvent* event)
{
    QTabWidget::changeEvent(event);
    if (event->type() == QEvent::LanguageChange)
        updateTexts();
}

}
