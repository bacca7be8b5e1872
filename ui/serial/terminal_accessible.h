#pragma once

#include <QAccessible>
#include <QAccessibleWidget>

namespace ui {

class TerminalWidget;

/// The visible lines of a terminal as text for a screen reader.
class TerminalAccessible final : public QAccessibleWidget, public QAccessibleTextInterface {
public:
    explicit TerminalAccessible(TerminalWidget* terminal);

    void* interface_cast(QAccessible::InterfaceType type) override;
    QString text(QAccessible::Text kind) const override;
    QAccessible::State state() const override;

    void selection(int index, int* start, int* end) const override;
    int selectionCount() const override { return 0; }
    void addSelection(int, int) override { }
    void removeSelection(int) override { }
    void setSelection(int, int, int) override { }
    int cursorPosition() const override;
    void setCursorPosition(int) override { }
    QString text(int start, int end) const override;
    int characterCount() const override;
    QRect characterRect(int offset) const override;
    int offsetAtPoint(QPoint const& point) const override;
    void scrollToSubstring(int, int) override { }
    QString attributes(int offset, int* start, int* end) const override;

private:
    TerminalWidget& terminal() const;
};

/// Makes Qt give every TerminalWidget its TerminalAccessible; once is enough.
void installTerminalAccessibility();

}
