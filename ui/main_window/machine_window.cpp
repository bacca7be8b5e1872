#include "ui/main_window/machine_window.h"

#include "app/settings/settings.h"
#include "ui/machine/machine_page.h"
#include "ui/theme/icons.h"
#include "ui/widgets/window_place.h"

#include <QCloseEvent>
#include <QVBoxLayout>

namespace ui {

namespace settings {
inline app::Setting<QByteArray> const machineWindow { "ui/machineWindow", {} };
}

MachineWindow::MachineWindow(MachinePage* page) : QWidget(nullptr, Qt::Window), m_page(page)
{
    setWindowIcon(applicationIcon());
    auto* layout = new QVBoxLayout(this);
    layout->setContentsMargins(0, 0, 0, 0);
    layout->addWidget(page);
    page->setOwnWindow(true);
    page->show();
    restoreWindow(*this, settings::machineWindow(), { 1000, 720 });
    connect(page, &MachinePage::fullScreenToggled, this, &MachineWindow::toggleFullScreen);
}

MachinePage* MachineWindow::takePage()
{
    if (m_page != nullptr) {
        savePlace();
        disconnect(m_page, nullptr, this, nullptr);
        m_page->setFullScreen(false);
        m_page->setOwnWindow(false);
        layout()->removeWidget(m_page);
    }
    return std::exchange(m_page, nullptr);
}

void MachineWindow::savePlace() const
{
    if (!isFullScreen())
        settings::machineWindow.set(saveGeometry());
}

void MachineWindow::setName(QString const& name)
{
    setWindowTitle(name);
}

void MachineWindow::toggleFullScreen()
{
    auto const on = !isFullScreen();
    setWindowState(windowState().setFlag(Qt::WindowFullScreen, on)); // maximised before, maximised after
    m_page->setFullScreen(on);
}

void MachineWindow::closeEvent(QCloseEvent* event)
{
    event->accept();
    emit closing();
}

}
