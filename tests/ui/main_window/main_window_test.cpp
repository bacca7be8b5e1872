#include "app/media/medium.h"
#include "app/settings/settings.h"
#include "app/store/machine_lock.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/display/screen_view.h"
#include "ui/library/library_panel.h"
#include "ui/machine/machine_page.h"
#include "ui/main_window/closing_page.h"
#include "ui/main_window/empty_page.h"
#include "ui/main_window/main_window.h"
#include "ui/new_machine/new_machine_page.h"
#include "ui/serial/console_tabs.h"
#include "ui/settings/language.h"
#include "ui/settings/machine_settings_page.h"
#include "ui/settings/preferences_page.h"
#include "ui/theme/theme.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/words.h"
#include "ui/widgets/work_line.h"

#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QFileInfo>
#include <QLineEdit>
#include <QListView>
#include <QMenu>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScopeGuard>
#include <QScrollArea>
#include <QScrollBar>
#include <QSignalSpy>
#include <QSpinBox>
#include <QStatusBar>
#include <QTemporaryDir>
#include <QToolButton>
#include <QWheelEvent>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using tests::button;
using tests::Desk;

/// The whole window over machines that only go through the motions.
class MainWindowTest final : public QObject {
    Q_OBJECT
private slots:
    void withoutMachinesThereAreTwoWaysOn()
    {
        Desk desk;
        desk.open();
        auto* empty = qobject_cast<ui::EmptyPage*>(desk.window->currentPage());
        QVERIFY(empty);
        QCOMPARE(empty->findChildren<QPushButton*>().size(), 2);
        empty->findChildren<QPushButton*>().first()->click();
        QVERIFY(qobject_cast<ui::NewMachinePage*>(desk.window->currentPage()));
        QTest::keyClick(desk.window->currentPage(), Qt::Key_Escape);
        QVERIFY(qobject_cast<ui::EmptyPage*>(desk.window->currentPage()));
    }

    void aMachineIsStartedTypedAtSuspendedAndRestored()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.window->pageOf(id);
        QCOMPARE(desk.window->currentPage(), page);
        QVERIFY(page->screenView()->showsCard());
        QTest::keyClick(desk.window.get(), Qt::Key_R, Qt::ControlModifier);
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        QVERIFY(!page->screenView()->showsCard());
        auto* terminal = page->consoles()->currentTerminal();
        QTRY_VERIFY(terminal->visibleText().contains("boot"));
        QTest::keyClicks(terminal, "x");
        QTRY_VERIFY(terminal->visibleText().contains("[x]"));
        QTRY_COMPARE(page->screenView()->screen()->image().size(), QSize(64, 48));
        QTest::keyClick(page->screenView()->screen(), Qt::Key_A);
        QTRY_VERIFY(desk.script->has("key 30 1") && desk.script->has("key 30 0"));
        QVERIFY(desk.suspend(id));
        QVERIFY(page->screenView()->showsCard());
        page->startOrResume();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
    }

    void theGuestHearsHowLargeItsTerminalIs()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        auto* terminal = desk.window->pageOf(id)->consoles()->currentTerminal();
        auto const shown = [&] {
            return std::optional(vmm::TerminalSize { static_cast<std::uint16_t>(terminal->screen().columns()),
                static_cast<std::uint16_t>(terminal->screen().rows()) });
        };
        auto const told = [&] { return desk.script->last->consoles.at("serial0")->size(); };
        auto const first = shown();
        QCOMPARE(told(), first);
        desk.window->resize(desk.window->size() + QSize(300, 200));
        QTRY_VERIFY(shown() != first);
        QCOMPARE(told(), shown());
        // The next run hears of it too.
        desk.session(id).powerOff();
        QVERIFY(desk.waitFor(id, app::SessionState::Off));
        QVERIFY(desk.start(id));
        QCOMPARE(told(), shown());
    }

    void aFailedStartIsASentenceWithDetails()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.script->failCreate = vmm::Error { vmm::ErrorCode::NotFound, "opening disk0.qcow2", 2 };
        desk.open();
        auto* page = desk.window->pageOf(id);
        page->startOrResume();
        QTRY_VERIFY(page->messages()->isVisible());
        QVERIFY(page->messages()->text().contains("could not be started"));
        QVERIFY(!page->messages()->text().contains("disk0.qcow2"));
        QCOMPARE(desk.session(id).state(), app::SessionState::Off);
    }

    void aMissingCdIsNamedAndCanBeLeftOut()
    {
        Desk desk;
        auto const id = desk.create("first");
        auto config = desk.library->config(id);
        config.cds[0].path = "/nowhere/gone.iso";
        QVERIFY(desk.change(config));
        desk.open();
        desk.script->failCreate = vmm::Error { vmm::ErrorCode::NotFound, "opening gone.iso", 2 };
        auto* page = desk.window->pageOf(id);
        page->startOrResume();
        QTRY_VERIFY(page->messages()->isVisible());
        QVERIFY(page->messages()->text().contains("“gone.iso” is no longer in the folder /nowhere"));
        desk.script->failCreate.reset();
        button(page->messages(), "Start without the CD")->click();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        QTRY_VERIFY(desk.library->config(id).cds[0].path.empty());
    }

    void whatIsMissingAtARestoreIsNamedAndNothingIsLost()
    {
        Desk desk;
        auto const id = desk.create("first");
        auto config = desk.library->config(id);
        config.cds[0].path = "/nowhere/gone.iso";
        QVERIFY(desk.change(config));
        desk.open();
        QVERIFY(desk.start(id));
        QVERIFY(desk.suspend(id));
        desk.script->failRestore = vmm::Error { vmm::ErrorCode::NotFound, "opening gone.iso", 2 };
        auto* page = desk.window->pageOf(id);
        page->startOrResume();
        QTRY_VERIFY(page->messages()->isVisible());
        QVERIFY(page->messages()->text().contains("“gone.iso” is no longer in the folder /nowhere"));
        desk.script->failRestore.reset(); // the stick with it is plugged in again
        button(page->messages(), ui::remedyText(ui::Remedy::Retry))->click();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        QCOMPARE(desk.script->times("restore"), 2);
        QCOMPARE(desk.script->times("create"), 1);
    }

    void aStateThatCannotBeReadCanBeThrownAway()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        QVERIFY(desk.suspend(id));
        desk.script->failRestore = vmm::Error { vmm::ErrorCode::Corrupt, "state.json ends too early", 0 };
        auto* page = desk.window->pageOf(id);
        page->startOrResume();
        QTRY_VERIFY(page->messages()->isVisible());
        button(page->messages(), ui::remedyText(ui::Remedy::DiscardState))->click();
        QVERIFY(desk.waitFor(id, app::SessionState::Off));
        QVERIFY(desk.start(id));
        QCOMPARE(desk.script->times("restore"), 1);
    }

    /// The message is there when the machine runs, though it was told of before.
    void aMachineThatCameBackWithoutItsPortsSaysSo()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        QVERIFY(desk.suspend(id));
        desk.script->failForwards = vmm::Error { vmm::ErrorCode::Busy, "cannot forward tcp :2222", EADDRINUSE };
        auto* page = desk.window->pageOf(id);
        page->startOrResume();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        QTRY_VERIFY(page->messages()->isVisible());
        QVERIFY2(page->messages()->text().contains("port forwards"), qPrintable(page->messages()->text()));
    }

    /// It came back while nobody looked.
    void missingPortsAreToldByAPageThatIsMadeLater()
    {
        Desk desk;
        auto const id = desk.create("first");
        QVERIFY(desk.start(id));
        QVERIFY(desk.suspend(id));
        desk.script->failForwards = vmm::Error { vmm::ErrorCode::Busy, "cannot forward tcp :2222", EADDRINUSE };
        QVERIFY(desk.start(id));
        desk.open();
        auto const* messages = desk.window->pageOf(id)->messages();
        QVERIFY2(messages->text().contains("port forwards"), qPrintable(messages->text()));
    }

    void aCrashOffersReset()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        desk.script->last->guestCrashes();
        auto* messages = desk.window->pageOf(id)->messages();
        QTRY_VERIFY(messages->isVisible());
        button(messages, ui::remedyText(ui::Remedy::Reset))->click();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        QVERIFY(desk.script->has("reset"));
    }

    void closingSuspendsAndCanBeCancelled()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        desk.script->holdSuspend = true;
        desk.window->close();
        QVERIFY(desk.waitFor(id, app::SessionState::Suspending));
        QTest::keyClick(desk.window->currentPage(), Qt::Key_Escape);
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        QCOMPARE(desk.window->currentPage(), desk.window->pageOf(id));
        desk.script->holdSuspend = false;
        desk.window->close();
        QTRY_VERIFY(!desk.window->isVisible());
        QCOMPARE(desk.script->alive.load(), 0);
    }

    void closingAsksWhereThatIsChosenAndSuspends()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        app::settings::onClose.set(app::OnClose::Ask);
        desk.window->close();
        QVERIFY(desk.window->isVisible());
        auto* closing = qobject_cast<ui::ClosingPage*>(desk.window->currentPage());
        QVERIFY(closing);
        QTest::keyClick(closing, Qt::Key_Escape);
        QCOMPARE(desk.window->currentPage(), desk.window->pageOf(id));
        app::settings::onClose.set(app::OnClose::Suspend);
        desk.window->close();
        QTRY_VERIFY(!desk.window->isVisible());
        QVERIFY(desk.script->has("suspend"));
        QCOMPARE(desk.script->alive.load(), 0);
    }

    void windowRemembersItsMachineAndSize()
    {
        Desk desk;
        desk.create("alpha");
        auto const second = desk.create("beta");
        desk.open();
        desk.window->showMachine(second);
        desk.window->resize(711, 566);
        desk.window->close();
        desk.open();
        QCOMPARE(desk.window->libraryPanel()->currentId(), second);
        QCOMPARE(desk.window->size(), QSize(711, 566));
    }

    void settingsAreShownFromTheirBeginning()
    {
        Desk desk;
        auto const first = desk.create("first"), second = desk.create("second");
        desk.open();
        desk.window->resize(800, 520);
        auto* bar = desk.settings(first)->findChild<QScrollArea*>()->verticalScrollBar();
        QTRY_VERIFY(bar->maximum() > 0);
        bar->setValue(bar->maximum());
        desk.settings(second);
        QCOMPARE(bar->value(), 0);
        bar->setValue(bar->maximum());
        desk.window->showMachine(first);
        desk.settings(second);
        QCOMPARE(bar->value(), 0);
    }

    void anImageThatIsRemovedCanBeHadBack()
    {
        Desk desk;
        app::MachineRequest request { tests::exampleConfig("first"), { { "disk0", 1u << 20 } } };
        request.config.disks = { { .id = "disk0" } };
        auto const id = QString::fromStdString(request.config.uuid);
        std::optional<vmm::Result<QString>> made;
        desk.library->create(request, [&](vmm::Result<QString> const& outcome) { made = outcome; });
        QTRY_VERIFY(made);
        REQUIRE_OK(*made);
        auto const disks = desk.library->config(id).disks;
        auto const image = QString::fromStdString(disks[0].path);
        desk.open();
        auto* page = desk.settings(id);
        auto* remove = desk.named<QToolButton>(page, "Remove disk0");
        remove->setFocus();
        auto const choices = remove->menu()->actions();
        QCOMPARE(choices[1]->text(), "Remove, with its image");
        choices[1]->trigger();
        QVERIFY(button(page, "Add a new disk")->hasFocus()); // there is no row any more
        page->save();
        QTRY_VERIFY(!QFileInfo::exists(image));
        auto* messages = desk.window->findChild<ui::MessageBar*>("windowMessages");
        QTRY_VERIFY(messages->isVisible());
        QVERIFY(desk.library->config(id).disks.empty());
        button(messages, "Undo")->click();
        QTRY_VERIFY(desk.library->config(id).disks == disks);
        QVERIFY(QFileInfo::exists(image));
    }

    void enterAfterANewNameStartsNothing()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.window->libraryPanel()->focusList();
        desk.window->libraryPanel()->renameCurrent();
        auto* name = qobject_cast<QLineEdit*>(QApplication::focusWidget());
        QVERIFY(name != nullptr);
        name->setText("second");
        QTest::keyClick(name, Qt::Key_Return);
        QTRY_COMPARE(desk.library->entry(id)->name, "second");
        QCOMPARE(desk.session(id).state(), app::SessionState::Off);
    }

    void whatRunsHereIsShutDownBeforeItIsRemoved()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        desk.window->libraryPanel()->focusList();
        QTest::keyClick(desk.window->libraryPanel()->list(), Qt::Key_Delete);
        auto* messages = desk.window->findChild<ui::MessageBar*>("windowMessages");
        QVERIFY2(messages->text().contains("is in memory here"), qPrintable(messages->text()));
        button(messages, "Shut down")->click();
        QTRY_VERIFY(desk.script->has("power button"));
        QCOMPARE(desk.window->pageOf(id)->messages()->text(), "The guest was asked to shut down.");
        QCOMPARE(desk.library->ids(), QStringList { id });
    }

    void whatHasGoneMeanwhileIsNotShutDown()
    {
        Desk desk;
        auto const first = desk.create("first"), second = desk.create("second");
        desk.open();
        desk.session(first).start();
        QVERIFY(desk.waitFor(first, app::SessionState::Running));
        desk.window->showMachine(second);
        emit desk.window->libraryPanel()->removeRequested(first);
        desk.session(first).powerOff();
        QVERIFY(desk.waitFor(first, app::SessionState::Off));
        desk.library->remove(first, [](vmm::Result<> const&) {}); // as another program does
        QTRY_COMPARE(desk.library->ids(), QStringList { second });
        button(desk.window->findChild<ui::MessageBar*>("windowMessages"), "Shut down")->click();
        QCOMPARE(desk.window->currentPage(), desk.window->pageOf(second));
    }

    void whoShutsDownForTheSettingsHearsWhatComesOfIt()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.session(id).start();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        button(desk.settings(id), "Shut down")->click();
        QTRY_VERIFY(desk.script->has("power button"));
        auto* page = desk.window->pageOf(id);
        QCOMPARE(desk.window->currentPage(), page);
        QCOMPARE(page->messages()->text(), "The guest was asked to shut down.");
    }

    void whatAnotherProgramHasIsSuspendedThereAndNotStartedHere()
    {
        Desk desk;
        auto const id = desk.create("first");
        auto const path = desk.library->store().placesOf(id.toStdString()).lockFile;
        auto const child = ::fork();
        if (child == 0) {
            auto const lock = app::MachineLock::take(path);
            ::pause();
            ::_exit(lock ? 0 : 1);
        }
        auto const end = qScopeGuard([child] {
            ::kill(child, SIGKILL);
            ::waitpid(child, nullptr, 0);
        });
        qputenv("XDG_RUNTIME_DIR", desk.directory.path().toUtf8());
        auto const unset = qScopeGuard([] { qunsetenv("XDG_RUNTIME_DIR"); });
        desk.open();
        auto* page = desk.window->pageOf(id);
        auto const word = ui::otherOwnerWord(child);
        QTRY_VERIFY(tests::shows(page, word));
        QVERIFY(tests::shows(desk.window->statusBar(), word));
        auto const* run = desk.named<QToolButton>(page, "Start");
        QVERIFY(!run->isEnabled());
        auto const* keep = desk.named<QToolButton>(page, "Keep this moment");
        QVERIFY(!keep->isEnabled());
        QVERIFY2(keep->toolTip().contains(word), qPrintable(keep->toolTip()));
        QMenu menu;
        page->fillMenu(&menu);
        for (auto const* text : { "Copy the machine", "Remove the machine", "Fork the machine" }) {
            auto const actions = menu.actions();
            auto const found = std::ranges::find(actions, QString(text), &QAction::text);
            QVERIFY2(found != actions.end() && !(*found)->isEnabled(), text);
        }
        emit desk.window->libraryPanel()->startRequested(id);
        desk.session(id).runner()->drain();
        QCoreApplication::processEvents();
        QVERIFY(!page->messages()->isVisible()); // nothing was tried
        page->focusMachine();
        auto* suspend = button(page, "Suspend it there");
        QCOMPARE(QApplication::focusWidget(), suspend);
        suspend->click(); // that process has no socket
        QVERIFY(!suspend->isEnabled());
        QCOMPARE(QApplication::focusWidget(), suspend->parentWidget()); // and no other control
        QTRY_VERIFY2(page->messages()->text().contains("The other program does not answer."),
            qPrintable(page->messages()->text()));
        QVERIFY(suspend->isEnabled());
        QCOMPARE(QApplication::focusWidget(), suspend);
        ::kill(child, SIGKILL);
        QTRY_VERIFY(run->isEnabled());
        QVERIFY(keep->isEnabled());
        QVERIFY(button(page->screenView(), "Start")->isEnabled());
    }

    void settingsAreSavedAndRefusedWhileRunning()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.settings(id);
        desk.named<QSpinBox>(page, "Processors")->setValue(3);
        page->save();
        QTRY_COMPARE(int(desk.library->config(id).cpus), 3);
        QVERIFY(desk.start(id));
        page = desk.settings(id);
        QVERIFY(!desk.named<QSpinBox>(page, "Processors")->isEnabled());
    }

    void whoGoesOnWhileSettingsAreSavedIsNotLedBack()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.settings(id);
        desk.named<QSpinBox>(page, "Processors")->setValue(3);
        QSignalSpy const saved(page, &ui::MachineSettingsPage::saved);
        page->save();
        desk.window->showPreferences();
        auto* preferences = desk.window->currentPage();
        QTRY_COMPARE(saved.count(), 1);
        QCOMPARE(int(desk.library->config(id).cpus), 3);
        QCOMPARE(desk.window->currentPage(), preferences);
    }

    void disksAreMadeAndRemovedWithTheSettings()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto const before = desk.library->config(id).disks.size();
        auto* page = desk.settings(id);
        button(page, "Add a new disk")->click();
        desk.named<QSpinBox>(page, "Size of disk0")->setValue(3);
        page->save();
        QTRY_COMPARE(desk.library->config(id).disks.size(), before + 1);
        auto const disks = desk.library->config(id).disks;
        auto const path = QString::fromStdString(disks.back().path);
        QVERIFY(path.endsWith("disk0.qcow2") && QFileInfo::exists(path));
        REQUIRE_OK(app::inspectMedium(path.toStdString()));
        QCOMPARE(app::inspectMedium(path.toStdString())->diskBytes, 3ull << 30);

        page = desk.settings(id);
        for (auto* action : desk.named<QToolButton>(page, "Remove disk0")->menu()->actions()) {
            if (action->text().contains("with its image"))
                action->trigger();
        }
        QVERIFY(QFileInfo::exists(path)); // not before it is saved
        page->save();
        QTRY_COMPARE(desk.library->config(id).disks.size(), before);
        QVERIFY(!QFileInfo::exists(path));
    }

    void soundAndGamepadsAreAddedAndRemoved()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.settings(id);
        auto* menu = button(page, "Add a USB device")->menu();
        for (auto const* kind : { "Loudspeakers and microphone", "Gamepad", "Gamepad" }) {
            emit menu->aboutToShow();
            for (auto* action : menu->actions()) {
                if (action->text() == kind)
                    action->trigger();
            }
        }
        page->save();
        QTRY_COMPARE(desk.library->config(id).usbDevices.size(), std::size_t(3));
        auto const config = desk.library->config(id);
        QCOMPARE(config.usbControllers.size(), std::size_t(1)); // where there was none
        QCOMPARE(config.usbDevices[0],
            (vmm::UsbDeviceConfig { "usb-audio-0", vmm::UsbKind::Audio, config.usbControllers[0].id }));
        QCOMPARE(config.usbDevices[2].id, std::string("usb-gamepad-1"));
        page = desk.settings(id);
        desk.named<QToolButton>(page, "Remove usb-gamepad-0")->click();
        page->save();
        QTRY_COMPARE(desk.library->config(id).usbDevices.size(), std::size_t(2));
        QCOMPARE(desk.library->config(id).usbDevices[1].id, std::string("usb-gamepad-1"));
    }

    void screensAndThePointerAreChosen()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.settings(id);
        auto* add = button(page, "Add a screen");
        for (int i = 0; i < 3; ++i)
            add->click();
        QVERIFY(!add->isEnabled()); // four are all that a machine has
        auto* memory = desk.named<QComboBox>(page, "Video memory of display2");
        QCOMPARE(memory->currentText(), "16 MiB of video memory");
        memory->setCurrentIndex(memory->findData(64));
        emit memory->activated(memory->currentIndex());
        desk.named<QToolButton>(page, "Remove display1")->click();
        QVERIFY(add->isEnabled());
        auto const check = [&](QString const& beginning, bool on) {
            for (auto* box : page->findChildren<QCheckBox*>()) {
                if (box->text().startsWith(beginning))
                    box->setChecked(on);
            }
        };
        check("Pointer without capture", false);
        check("Ports on which firmware", true);
        desk.named<QSpinBox>(page, "Random number generators")->setValue(3);
        page->save();
        QTRY_COMPARE(desk.library->config(id).displays.size(), std::size_t(3));
        auto const config = desk.library->config(id);
        QCOMPARE(config.displays[1], (vmm::DisplayConfig { "display2", 64 }));
        QVERIFY(!config.tablet);
        QVERIFY(config.debugConsole);
        QCOMPARE(config.randomGenerators, 3);
        // What is not of a machine's making is shown as it is: the next power of two, which the card has.
        auto odd = config;
        odd.displays = { { "display0", 48 } };
        QVERIFY(desk.change(odd));
        page = desk.settings(id);
        QCOMPARE(desk.named<QComboBox>(page, "Video memory of display0")->currentData().toInt(), 64);
        QCOMPARE(page->edited(), desk.library->config(id));
    }

    void whatRunningHasGreyedIsThereAgainOnceItIsOff()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        auto* page = desk.settings(id);
        auto const names = { "Remove serial1", "Remove display0", "Remove net0", "Remove cd0" };
        for (auto const* name : names)
            QVERIFY2(!desk.named<QToolButton>(page, name)->isEnabled(), name);
        QVERIFY(!button(page, "Add a screen")->isEnabled());
        desk.session(id).powerOff();
        QVERIFY(desk.waitFor(id, app::SessionState::Off));
        for (auto const* name : names)
            QVERIFY2(desk.named<QToolButton>(page, name)->isEnabled(), name);
        QVERIFY(button(page, "Add a screen")->isEnabled());
    }

    void whileItRunsSomeSettingsChangeAtOnce()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        auto* page = desk.settings(id);
        desk.named<QLineEdit>(page, "Name")->selectAll();
        QTest::keyClicks(desk.named<QLineEdit>(page, "Name"), "second");
        desk.named<QPlainTextEdit>(page, "Notes")->setPlainText("what it is for");
        button(page, "Forward a port")->click();
        page->save();
        QTRY_COMPARE(desk.library->entry(id)->name, "second");
        QVERIFY(desk.script->has("forwards net0 1"));
        auto const config = desk.library->config(id);
        QCOMPARE(config.notes, "what it is for");
        QCOMPARE(config.networks[0].forwards.size(), 1u);
        QVERIFY(desk.session(id).config().networks == config.networks);
        QCOMPARE(desk.session(id).config().name, "second");
        // A cable at once, without saving; the inspector's is the same.
        page = desk.settings(id);
        desk.named<QCheckBox>(page, "The cable of net0 is plugged in")->click();
        QTRY_VERIFY(desk.script->has("cable net0 out"));
        QTRY_VERIFY(!desk.library->config(id).networks[0].connected);
        desk.window->showMachine(id);
        auto* machine = desk.window->pageOf(id);
        machine->setInspectorVisible(true);
        auto* plugged = desk.named<QCheckBox>(machine, "The cable of net0 is plugged in");
        QVERIFY(!plugged->isChecked());
        plugged->setFocus();
        plugged->click();
        QTRY_VERIFY(desk.library->config(id).networks[0].connected);
        QTRY_COMPARE(QApplication::focusWidget()->accessibleName(), "The cable of net0 is plugged in");
        // The machine says no: the page stays, with a sentence.
        desk.script->failForwards = vmm::Error { vmm::ErrorCode::Busy, "127.0.0.1:2223", 0 };
        page = desk.settings(id);
        button(page, "Forward a port")->click();
        page->save();
        QTRY_VERIFY(page->findChild<ui::MessageBar*>()->text().contains("Another program"));
        QCOMPARE(desk.window->currentPage(), page);
        QCOMPARE(desk.library->config(id).networks[0].forwards.size(), 1u);
    }

    void theWheelMovesThePageAndNoField()
    {
        Desk desk;
        ui::applyTheme(*qApp);
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.settings(id);
        auto* mode = desk.named<QComboBox>(page, "How net0 is connected");
        auto* memory = desk.named<QSpinBox>(page, "Memory");
        auto const turn = [](QWidget* under) {
            QPointF const at(under->rect().center());
            QWheelEvent wheel(
                at, under->mapToGlobal(at), {}, { 0, -120 }, Qt::NoButton, Qt::NoModifier, Qt::NoScrollPhase, false);
            QApplication::sendEvent(under, &wheel);
        };
        turn(mode);
        turn(memory);
        QCOMPARE(mode->currentIndex(), 0);
        QCOMPARE(page->edited().memoryMiB, 64u);
        memory->setFocus();
        turn(memory);
        QVERIFY(page->edited().memoryMiB < 64u);
    }

    void unsavedSettingsStayWithTheirMachine()
    {
        Desk desk;
        auto const first = desk.create("first"), second = desk.create("second");
        desk.open();
        auto* page = desk.settings(first);
        desk.named<QSpinBox>(page, "Memory")->setValue(777);
        button(page, "Add a new disk")->click();
        // Another machine is clicked: its settings are its own.
        desk.window->showMachine(second);
        auto* messages = desk.window->findChild<ui::MessageBar*>("windowMessages");
        QVERIFY(messages->isVisible());
        QVERIFY(messages->text().contains("“first”"));
        page = desk.settings(second);
        QCOMPARE(page->edited().memoryMiB, 64u);
        QVERIFY(page->newDisks().empty());
        // What has changed meanwhile is not undone by what was put aside.
        bool noted = false;
        desk.library->changeNotes(first, "noted", [&](vmm::Result<> const& done) { noted = bool(done); });
        QTRY_VERIFY(noted);
        desk.window->showMachine(first);
        button(messages, "Back to them")->click();
        QCOMPARE(desk.window->currentPage(), page);
        QCOMPARE(page->edited().memoryMiB, 777u);
        QCOMPARE(page->edited().notes, "noted");
        QCOMPARE(page->newDisks().size(), 1u);
        page->save();
        QTRY_COMPARE(desk.library->config(first).memoryMiB, 777u);
        QTRY_VERIFY(desk.window->currentPage() != page);
        QVERIFY(!messages->isVisible());

        page = desk.settings(first);
        desk.named<QSpinBox>(page, "Memory")->setValue(888);
        desk.window->showMachine(first);
        QVERIFY(messages->isVisible());
        page = desk.settings(first);
        button(page, "&Discard changes")->click();
        QCOMPARE(page->edited().memoryMiB, 777u);
        desk.window->showMachine(first);
        QVERIFY(!messages->isVisible());
    }

    /// Whoever goes on typing while the settings are being written loses neither.
    void settingsCanBeChangedWhileTheyAreSaved()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.settings(id);
        desk.named<QSpinBox>(page, "Memory")->setValue(128);
        button(page, "Add a new disk")->click();
        page->save(); // which is done in the background
        desk.named<QSpinBox>(page, "Processors")->setValue(3);
        button(page, "Add a new disk")->click();
        QVERIFY(!button(page, "&Save")->isEnabled());
        QTRY_COMPARE(desk.library->config(id).memoryMiB, 128u);
        QTRY_VERIFY(button(page, "&Save")->isEnabled());
        QCOMPARE(desk.window->currentPage(), page);
        QCOMPARE(int(desk.library->config(id).cpus), 1);
        QCOMPARE(desk.library->config(id).disks.size(), 1u);
        // The rest is still there, and is told to be unsaved.
        QVERIFY(page->hasUnsaved(id));
        QCOMPARE(int(page->edited().cpus), 3);
        QCOMPARE(page->edited().disks.size(), 2u);
        QCOMPARE(page->newDisks().size(), 1u);
        page->save();
        QTRY_COMPARE(desk.library->config(id).disks.size(), 2u);
        QCOMPARE(int(desk.library->config(id).cpus), 3);
        QVERIFY(!page->hasUnsaved(id));
        for (auto const& disk : desk.library->config(id).disks)
            QVERIFY(QFileInfo::exists(QString::fromStdString(disk.path)));
    }

    void settingsKeepTheFocusAndWhatWasChanged()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.settings(id);
        for (int i = 0; i < 3; ++i)
            button(page, "Add a new disk")->click();
        auto* up = desk.named<QToolButton>(page, "Move disk2 up");
        up->setFocus();
        up->click();
        QTRY_COMPARE(QApplication::focusWidget()->accessibleName(), "Move disk2 up");
        QTest::keyClick(page, Qt::Key_Escape);
        QVERIFY(desk.window->currentPage() != page);
        QCOMPARE(desk.settings(id)->newDisks().size(), 3u);
    }

    void aNameThatAnotherMachineHasIsRefused()
    {
        Desk desk;
        auto const id = desk.create("web");
        desk.create("mail");
        desk.open();
        auto* model = desk.window->libraryPanel()->list()->model();
        QCOMPARE(model->index(1, 0).data().toString(), "web");
        model->setData(model->index(1, 0), "mail");
        auto* messages = desk.window->findChild<ui::MessageBar*>("windowMessages");
        QTRY_VERIFY(messages->text().contains("Another machine has this name."));
        QCOMPARE(desk.library->entry(id)->name, "web");

        auto* page = desk.settings(id);
        auto* name = desk.named<QLineEdit>(page, "Name");
        name->selectAll();
        QTest::keyClicks(name, "mail");
        page->save();
        QCOMPARE(page->findChild<ui::MessageBar*>()->text(), "Another machine has this name.");
        QTest::keyClicks(name, "box");
        page->save();
        QTRY_COMPARE(desk.library->entry(id)->name, "mailbox");
    }

    void filterFindsByName()
    {
        Desk desk;
        desk.create("debian");
        desk.create("windmill");
        desk.open();
        auto* filter = desk.window->libraryPanel()->findChild<QLineEdit*>();
        QTest::keyClicks(filter, "wind");
        QCOMPARE(desk.window->libraryPanel()->list()->model()->rowCount(), 1);
        QTest::keyClick(filter, Qt::Key_Return);
        QCOMPARE(desk.window->libraryPanel()->list()->currentIndex().data().toString(), "windmill");
        QVERIFY(!tests::shows(desk.window->libraryPanel(), "No machine has that in its name."));
        QTest::keyClicks(filter, "owless");
        QVERIFY(tests::shows(desk.window->libraryPanel(), "No machine has that in its name."));
        QTest::keyClick(filter, Qt::Key_Escape);
        QVERIFY(!tests::shows(desk.window->libraryPanel(), "No machine has that in its name."));
    }

    void withoutADemoNothingOffersIt()
    {
        Desk desk;
        desk.open();
        ui::MainWindow const without(*desk.library, {});
        auto const offersIt = [](ui::MainWindow const& window) {
            auto const actions = window.libraryPanel()->menuButton()->menu()->actions();
            return std::ranges::any_of(
                actions, [](auto const* one) { return one->text() == "Try the demo machine" && one->isVisible(); });
        };
        QVERIFY(offersIt(*desk.window));
        QVERIFY(!offersIt(without));
    }

    void eachCopyHasANameOfItsOwn()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.window->pageOf(id);
        for (qsizetype copies = 1; copies <= 2; ++copies) {
            desk.window->showMachine(id);
            emit page->cloneRequested();
            emit page->cloneRequested(); // a key that is held down makes one
            QTRY_VERIFY(desk.window->libraryPanel()->currentId() != id);
            QCOMPARE(desk.library->ids().size(), copies + 1);
        }
        QStringList names;
        for (auto const& one : desk.library->ids())
            names += desk.library->entry(one)->name;
        QCOMPARE(names, (QStringList { "first", "first (copy)", "first (copy) 2" }));
    }

    void whatIsBeingCopiedIsToldAndAnotherIsCopiedToo()
    {
        Desk desk;
        auto const first = desk.create("first"), second = desk.create("second");
        desk.open();
        auto* pageOfFirst = desk.window->pageOf(first);
        emit pageOfFirst->cloneRequested();
        emit pageOfFirst->cloneRequested();
        auto const* line = desk.window->findChild<ui::WorkLine*>("copies");
        QVERIFY(line->isVisible());
        QCOMPARE(line->text(), QStringLiteral("Copying to “first (copy)” …"));
        emit desk.window->pageOf(second)->cloneRequested();
        QTRY_COMPARE(desk.library->ids().size(), 4);
        QTRY_VERIFY(!line->isVisible());
    }

    void aDiskThatTwoMachinesWouldWriteToIsNotCopied()
    {
        Desk desk;
        auto const id = desk.create("first");
        auto config = desk.library->config(id);
        config.disks.resize(1);
        config.disks[0].id = "disk0";
        config.disks[0].path = desk.directory.filePath("elsewhere.img").toStdString();
        config.disks[0].format = vmm::DiskFormat::Raw;
        QVERIFY(desk.change(config));
        desk.open();
        emit desk.window->pageOf(id)->cloneRequested();
        auto* messages = desk.window->findChild<ui::MessageBar*>("windowMessages");
        QTRY_VERIFY2(messages->text().contains("is an image that lies elsewhere"), qPrintable(messages->text()));
        QVERIFY(messages->text().contains("Copy the image"));
        QCOMPARE(desk.library->ids().size(), 1);
    }

    void aMachineHasAWindowOfItsOwnAndComesBack()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.window->pageOf(id);
        emit page->ownWindowToggled();
        QVERIFY(page->window() != desk.window.get());
        QVERIFY(page->isVisible());
        emit page->ownWindowToggled();
        QCOMPARE(page->window(), desk.window.get());
        QCOMPARE(desk.window->currentPage(), page);
    }

    void languageAndColoursChangeWhileOpen()
    {
        Desk desk;
        desk.create("first");
        desk.open();
        auto* add = desk.window->libraryPanel()->findChild<QPushButton*>();
        QCOMPARE(add->text(), QStringLiteral("New machine…"));
        ui::settings::language.set("de");
        ui::applyLanguage();
        QTRY_COMPARE(add->text(), QStringLiteral("Neue Maschine …"));
        ui::settings::language.set("en");
        ui::applyLanguage();
        QTRY_COMPARE(add->text(), QStringLiteral("New machine…"));
        ui::settings::theme.set(ui::Theme::Dark);
        ui::applyTheme(*qApp);
        QVERIFY(desk.window->palette().color(QPalette::Window).lightness() < 128);
        ui::settings::theme.set(ui::Theme::Light);
        ui::applyTheme(*qApp);
        QVERIFY(desk.window->palette().color(QPalette::Window).lightness() > 128);
    }
};

REGISTER_SUITE(MainWindowTest);
#include "main_window_test.moc"
