#pragma once

#include "app/session/vm_session.h"
#include "ui/serial/terminal_widget.h"

#include <QTabWidget>

namespace ui {

/// The serial consoles of one machine, a terminal each, with all that they have printed since the machine started.
/// Where it goes to a moment a line says so, and what they showed before is above it.
class ConsoleTabs final : public QTabWidget {
    Q_OBJECT
public:
    explicit ConsoleTabs(app::VmSession& session, QWidget* parent = nullptr);

    /// Anew, when the machine's devices have changed.
    void rebuild();
    /// Whether any of the terminals shows something.
    bool hasText() const;
    TerminalWidget* currentTerminal() const { return qobject_cast<TerminalWidget*>(currentWidget()); }

protected:
    void changeEvent(QEvent* event) override;

private:
    void add(app::ConsoleSession& console);
    static QString originText(app::RunOrigin const& origin);
    void updateTexts();

    app::VmSession& m_session;
    QStringList m_ids;
};

}
