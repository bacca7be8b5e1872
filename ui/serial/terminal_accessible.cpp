#include "ui/serial/terminal_accessible.h"

#include "ui/serial/terminal_widget.h"

namespace ui {

TerminalAccessible::TerminalAccessible(TerminalWidget* terminal)
    : QAccessibleWidget(terminal, QAccessible::Terminal) { }

TerminalWidget& TerminalAccessible::terminal() const
{
    return *static_cast<TerminalWidget*>(widget());
}

void* TerminalAccessible::interface_cast(QAccessible::InterfaceType type)
{
    if (type == QAccessible::TextInterface)
        return static_cast<QAccessibleTextInterface*>(this);
    return QAccessibleWidget::interface_cast(type);
}

QString TerminalAccessible::text(QAccessible::Text kind) const
{
    return kind == QAccessible::Value ? terminal().visibleText() : QAccessibleWidget::text(kind);
}

QAccessible::State TerminalAccessible::state() const
{
    auto state = QAccessibleWidget::state();
    state.multiLine = true;
    state.readOnly = true;
    return state;
}

void TerminalAccessible::selection(int, int* start, int* end) const
{
    *start = *end = 0;
}

int TerminalAccessible::cursorPosition() const
{
    auto const& screen = terminal().screen();
    auto const cursor = screen.cursor();
    auto offset = 0;
    for (int line = terminal().firstVisibleLine(); line < cursor.line; ++line)
        offset += static_cast<int>(screen.lineText(line).size()) + 1;
    return std::min(offset + cursor.column, characterCount());
}

QString TerminalAccessible::text(int start, int end) const
{
    return terminal().visibleText().mid(start, end - start);
}

int TerminalAccessible::characterCount() const
{
    return static_cast<int>(terminal().visibleText().size());
}

QRect TerminalAccessible::characterRect(int offset) const
{
    auto const before = terminal().visibleText().left(offset);
    auto const line = static_cast<int>(before.count(QLatin1Char('\n')));
    auto const column = static_cast<int>(before.size() - before.lastIndexOf(QLatin1Char('\n')) - 1);
    auto const rect = terminal().cellRect({ terminal().firstVisibleLine() + line, column });
    return { terminal().viewport()->mapToGlobal(rect.topLeft()), rect.size() };
}

int TerminalAccessible::offsetAtPoint(QPoint const& point) const
{
    auto const position = terminal().positionAt(terminal().viewport()->mapFromGlobal(point));
    auto offset = 0;
    for (int line = terminal().firstVisibleLine(); line < position.line; ++line)
        offset += static_cast<int>(terminal().screen().lineText(line).size()) + 1;
    return std::min(offset + position.column, characterCount());
}

QString TerminalAccessible::attributes(int, int* start, int* end) const
{
    *start = 0;
    *end = characterCount();
    return {};
}

void installTerminalAccessibility()
{
    static bool const installed = [] {
        QAccessible::installFactory([](QString const&, QObject* object) -> QAccessibleInterface* {
            auto* terminal = qobject_cast<TerminalWidget*>(object);
            return terminal != nullptr ? new TerminalAccessible(terminal) : nullptr;
        });
        return true;
    }();
    Q_UNUSED(installed)
}

}
