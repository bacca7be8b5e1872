#include "app/settings/settings.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"
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

#include <QAccessible>
#include <QApplication>
#include <QLineEdit>
#include <QListView>
#include <QPushButton>
#include <QSpinBox>
#include <QTemporaryDir>
#include <QToolButton>

/// The whole window over machines that only go through the motions.
class MainWindowTest final : public QObject {
    Q_OBJECT

    struct Desk {
        QTemporaryDir directory;
        std::shared_ptr<tests::FakeMachine::Script> script = std::make_shared<tests::FakeMachine::Script>();
        std::unique_ptr<app::Library> library;
        std::unique_ptr<ui::MainWindow> window;

        Desk()
        {
            app::usePreferencesFile(directory.filePath("preferences"));
            library = std::make_unique<app::Library>(directory.filePath("data"), tests::FakeMachine::factory(script));
        }
        void open()
        {
            window = std::make_unique<ui::MainWindow>(*library, directory.filePath("demo.elf"));
            window->show();
            QVERIFY(QTest::qWaitForWindowActive(window.get()));
        }
        QString create(std::string const& name)
        {
            QString id;
            app::MachineRequest request;
            request.config = tests::exampleConfig(name);
            request.config.uuid.clear();
            library->create(request, [&](vmm::Result<QString> made) { id = made ? *made : QStringLiteral("failed"); });
            if (!QTest::qWaitFor([&] { return !id.isEmpty(); }))
                return {};
            return id;
        }
        app::VmSession& session(QString const& id) const { return *library->session(id); }
        bool waitFor(QString const& id, app::SessionState state) const
        {
            return QTest::qWaitFor([&] { return session(id).state() == state; });
        }
    };

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
        desk.session(id).suspend();
        QVERIFY(desk.waitFor(id, app::SessionState::Suspended));
        QVERIFY(page->screenView()->showsCard());
        page->startOrResume();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
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

    void aCrashOffersReset()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.session(id).start();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        desk.script->last->guestCrashes();
        auto* messages = desk.window->pageOf(id)->messages();
        QTRY_VERIFY(messages->isVisible());
        for (auto* button : messages->findChildren<QPushButton*>()) {
            if (button->text() == ui::remedyText(ui::Remedy::Reset))
                button->click();
        }
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        QVERIFY(desk.script->has("reset"));
    }

    void closingAsksOnceAndSuspends()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.session(id).start();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
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
        desk.window->resize(1111, 666);
        desk.window->close();
        desk.open();
        QCOMPARE(desk.window->libraryPanel()->currentId(), second);
        QCOMPARE(desk.window->size(), QSize(1111, 666));
    }

    void removingIsUndone()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.window->libraryPanel()->focusList();
        QTest::keyClick(desk.window->libraryPanel()->list(), Qt::Key_Delete);
        QTRY_VERIFY(desk.library->ids().isEmpty());
        auto const undo = desk.window->findChildren<QPushButton*>();
        auto const button = std::find_if(undo.begin(), undo.end(), [](auto* one) { return one->text() == "Undo"; });
        QVERIFY(button != undo.end());
        (*button)->click();
        QTRY_COMPARE(desk.library->ids(), QStringList { id });
    }

    void settingsAreSavedAndRefusedWhileRunning()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.window->showSettings(id);
        auto* page = qobject_cast<ui::MachineSettingsPage*>(desk.window->currentPage());
        QVERIFY(page);
        auto const boxes = page->findChildren<QSpinBox*>();
        auto const cpus
            = std::find_if(boxes.begin(), boxes.end(), [](auto* box) { return box->accessibleName() == "Processors"; });
        (*cpus)->setValue(3);
        QVERIFY(page->save());
        QCOMPARE(int(desk.library->config(id).cpus), 3);
        desk.session(id).start();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        desk.window->showSettings(id);
        QVERIFY(!(*cpus)->isEnabled());
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

    void everyControlHasAnAccessibleName()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.window->showSettings(id);
        desk.window->showPreferences();
        desk.window->showMachine(id);
        for (auto* widget : desk.window->findChildren<QWidget*>()) {
            auto* accessible = QAccessible::queryAccessibleInterface(widget);
            auto const isControl = qobject_cast<QAbstractButton*>(widget) || qobject_cast<QSpinBox*>(widget)
                || qobject_cast<QListView*>(widget) || qobject_cast<ui::TerminalWidget*>(widget);
            if (accessible == nullptr || !isControl || widget->objectName().startsWith("qt_")
                || QString::fromLatin1(widget->metaObject()->className()).contains("Private")
                || widget->focusPolicy() == Qt::NoFocus
                || widget->parentWidget()->inherits("QComboBoxPrivateContainer"))
                continue;
            QVERIFY2(!accessible->text(QAccessible::Name).isEmpty() || widget->isHidden(),
                qPrintable(
                    QStringLiteral("%1 in %2")
                        .arg(widget->metaObject()->className(), widget->parentWidget()->metaObject()->className())));
        }
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
