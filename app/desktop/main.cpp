#include "app/desktop/end_signals.h"
#include "app/desktop/single_instance.h"
#include "app/library/library.h"
#include "app/library/library_control.h"
#include "app/runner/host_process.h"
#include "ui/main_window/main_window.h"
#include "ui/main_window/stall_monitor.h"
#include "ui/new_machine/new_machine_page.h"
#include "ui/settings/language.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QCommandLineParser>
#include <QFileInfo>
#include <optional>

namespace {

/// The demo guest beside the program, as it is built and as it is installed; empty where there is none.
QString demoKernel()
{
    auto const directory = QCoreApplication::applicationDirPath();
    for (auto const* place : { "/../share/chronovisor/demo.elf", "/share/chronovisor/demo.elf" }) {
        QFileInfo const file(directory + QLatin1String(place));
        if (file.isFile())
            return file.canonicalFilePath();
    }
    return {};
}

}

int main(int argc, char** argv)
{
    app::becomeHostProcess();
    app::EndSignals endSignals;
    QApplication application(argc, argv);
    QCoreApplication::setOrganizationName(QStringLiteral("chronovisor"));
    QCoreApplication::setApplicationName(QStringLiteral("chronovisor"));
    QCoreApplication::setApplicationVersion(QStringLiteral(CHRONOVISOR_VERSION));
    QGuiApplication::setApplicationDisplayName(QStringLiteral("Chronovisor"));
    QGuiApplication::setDesktopFileName(QStringLiteral("chronovisor"));
    // Machines may go on in the background, without a window.
    QApplication::setQuitOnLastWindowClosed(false);
    ui::applyTheme(application);
    ui::applyLanguage();

    QCommandLineParser parser;
    parser.addHelpOption();
    parser.addVersionOption();
    parser.addPositionalArgument(QStringLiteral("medium"),
        QCoreApplication::translate("main", "A CD image, a disk image or a kernel to make a machine for."),
        QStringLiteral("[medium]"));
    parser.process(application);
    auto const medium = parser.positionalArguments().value(0);

    // One desktop for one library: a second start brings the first one's window to the front.
    app::SingleInstance instance(QString::fromStdString(app::MachineStore::defaultRoot()));
    auto const path = medium.isEmpty() ? QString() : QFileInfo(medium).absoluteFilePath();
    if (instance.handOver(path))
        return 0;

    std::optional<ui::StallMonitor> stalls;
    app::Library library({});
    app::LibraryControl const control(library);
    ui::MainWindow window(library, demoKernel());
    auto const open = [&window](QString const& file) {
        window.comeBack();
        if (file.isEmpty())
            return;
        window.showNewMachine();
        window.newMachinePage()->useFile(file);
    };
    QObject::connect(&instance, &app::SingleInstance::asked, &window, open);
    endSignals.listen();
    QObject::connect(&endSignals, &app::EndSignals::asked, &window, &ui::MainWindow::endWithoutAsking);
    window.show();
    if (!path.isEmpty())
        open(path);
    if (ui::StallMonitor::isWanted())
        stalls.emplace();
    auto const code = QApplication::exec();
    instance.retire();
    return code;
}
