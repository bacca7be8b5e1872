#pragma once

#include <QWidget>

namespace ui {

class MachinePage;

/// A machine's page in a window of its own.
class MachineWindow final : public QWidget {
    Q_OBJECT
public:
    explicit MachineWindow(MachinePage* page);

    MachinePage* page() const { return m_page; }
    /// The page, to be put elsewhere; the window is then empty.
    MachinePage* takePage();
    /// For the next window of a machine.
    void savePlace() const;
    void setName(QString const& name);
    void toggleFullScreen();

signals:
    void closing();

protected:
    void closeEvent(QCloseEvent* event) override;

private:
    MachinePage* m_page;
};

}
