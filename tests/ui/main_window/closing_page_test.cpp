#include "app/session/timeline_session.h"
#include "tests/ui/main_window/desk.h"
#include "ui/machine/machine_page.h"
#include "ui/main_window/closing_page.h"
#include "ui/widgets/message_bar.h"

#include <QApplication>
#include <QCheckBox>
#include <QFileDialog>
#include <QLineEdit>
#include <QMenu>
#include <QSignalSpy>

using app::OnClose;
using app::SessionState;
using tests::button;
using tests::Desk;

namespace {

/// A window whose machine runs, and that asks what to do with it.
struct Asking : Desk {
    QString id = create("first");

    explicit Asking(OnClose setting = OnClose::Ask)
    {
        open();
        app::settings::onClose.set(setting);
        session(id).start();
        if (!waitFor(id, SessionState::Running))
            qFatal("the machine does not run");
    }
    ui::ClosingPage* page() const { return qobject_cast<ui::ClosingPage*>(window->currentPage()); }
    void choose(QString const& text, bool always)
    {
        window->close();
        page()->findChild<QCheckBox*>()->setChecked(always);
        button(page(), text)->click();
    }
    bool isHidden() const
    {
        return tests::becomes([&] { return !window->isVisible(); });
    }
    /// A window as the next start of the program makes it, and the machine running in it.
    void reopen()
    {
        window.reset();
        app::usePreferencesFile(directory.filePath("preferences"));
        open();
        session(id).start();
        if (!waitFor(id, SessionState::Running))
            qFatal("the machine does not run");
    }
};

}

/// What becomes of machines that run when the window is closed: each answer for this once, and for always.
class ClosingPageTest final : public QObject {
    Q_OBJECT
private slots:
    void init() { QApplication::setQuitOnLastWindowClosed(false); }

    void theUsualIsToSuspendUnasked()
    {
        Desk desk;
        QCOMPARE(app::settings::onClose(), OnClose::Suspend);
    }

    void eachAnswerForOnceAndForAlways_data()
    {
        QTest::addColumn<QString>("answer");
        QTest::addColumn<bool>("always");
        QTest::addColumn<OnClose>("setting");
        QTest::newRow("suspend once") << "&Suspend" << false << OnClose::Ask;
        QTest::newRow("suspend always") << "&Suspend" << true << OnClose::Suspend;
        QTest::newRow("keep running once") << "&Keep running" << false << OnClose::Ask;
        QTest::newRow("keep running always") << "&Keep running" << true << OnClose::KeepRunning;
        QTest::newRow("shut down once") << "Shut &down" << false << OnClose::Ask;
        QTest::newRow("shut down always") << "Shut &down" << true << OnClose::ShutDown;
    }
    void eachAnswerForOnceAndForAlways()
    {
        QFETCH(QString, answer);
        QFETCH(bool, always);
        QFETCH(OnClose, setting);
        Asking desk;
        desk.choose(answer, always);
        QCOMPARE(app::settings::onClose(), setting);
        // It is there again after the next start.
        app::usePreferencesFile(desk.directory.filePath("preferences"));
        QCOMPARE(app::settings::onClose(), setting);
    }

    void suspendEndsEverything()
    {
        Asking desk;
        desk.choose("&Suspend", false);
        QVERIFY(desk.isHidden());
        QVERIFY(desk.script->has("suspend"));
        QCOMPARE(desk.session(desk.id).state(), SessionState::Suspended);
        QCOMPARE(desk.script->alive.load(), 0);
        desk.reopen();
        desk.window->close();
        QVERIFY(desk.page() && button(desk.page(), "&Suspend")->isVisible()); // asked again
    }

    void shutDownWaitsForTheGuest()
    {
        Asking desk;
        desk.choose("Shut &down", true);
        QTRY_VERIFY(desk.script->has("power button"));
        QVERIFY(desk.window->isVisible());
        QVERIFY(!button(desk.page(), "&Power off at once")->isHidden());
        desk.script->last->guestPowersOff();
        QVERIFY(desk.isHidden());
        QVERIFY(!desk.script->has("suspend"));
        QCOMPARE(desk.session(desk.id).state(), SessionState::Off);
        // From now on unasked.
        desk.script->log.clear();
        desk.reopen();
        desk.window->close();
        QTRY_VERIFY(desk.script->has("power button"));
        desk.script->last->guestPowersOff();
        QVERIFY(desk.isHidden());
    }

    void whoDoesNotWaitPullsThePlug()
    {
        Asking desk(OnClose::ShutDown);
        desk.window->close();
        QTRY_VERIFY(desk.script->has("power button"));
        button(desk.page(), "&Power off at once")->click();
        QVERIFY(desk.isHidden());
        QTRY_VERIFY(desk.script->has("power off"));
        QTRY_COMPARE(desk.script->alive.load(), 0);
    }

    void aShutDownIsCancelled()
    {
        Asking desk(OnClose::ShutDown);
        desk.window->close();
        QTRY_VERIFY(desk.script->has("power button"));
        button(desk.page(), "&Cancel")->click();
        QCOMPARE(desk.window->currentPage(), desk.window->pageOf(desk.id));
        desk.script->last->guestPowersOff(); // the guest heard it; the window stays
        QVERIFY(desk.waitFor(desk.id, SessionState::Off));
        QVERIFY(desk.window->isVisible());
    }

    /// Without a tray, as there is none offscreen: what brings the window back is a second start.
    void keptRunningTheWindowHidesAndComesBack()
    {
        Asking desk;
        desk.choose("&Keep running", true);
        QVERIFY(!desk.window->isVisible());
        QVERIFY(!desk.script->has("suspend"));
        QCOMPARE(desk.session(desk.id).state(), SessionState::Running);
        desk.window->comeBack();
        QVERIFY(desk.window->isVisible());
        QCOMPARE(desk.window->currentPage(), desk.window->pageOf(desk.id));
        // Nobody would know where it has gone, so that is asked again, for this once.
        desk.window->close();
        QVERIFY(desk.page());
        QVERIFY(!desk.page()->findChild<QCheckBox*>()->isChecked());
        button(desk.page(), "&Keep running")->click();
        QVERIFY(!desk.window->isVisible());
        QCOMPARE(desk.session(desk.id).state(), SessionState::Running);
        // The session's end suspends what goes on unseen.
        desk.window->endWithoutAsking();
        QTRY_COMPARE(desk.session(desk.id).state(), SessionState::Suspended);
        QTRY_COMPARE(desk.script->alive.load(), 0);
    }

    void withATrayItGoesThereUnasked()
    {
        Asking desk;
        ui::ClosingPage page(*desk.library);
        QSignalSpy hides(&page, &ui::ClosingPage::background);
        page.begin(OnClose::Ask);
        QCOMPARE(hides.count(), 0);
        page.begin(OnClose::KeepRunning);
        QCOMPARE(hides.count(), 1);
    }

    void whatRunsInTheBackgroundCanBeQuit()
    {
        Asking desk(OnClose::KeepRunning);
        desk.choose("&Keep running", false);
        QVERIFY(!desk.window->isVisible());
        auto* quit = desk.window->findChild<QMenu*>("trayMenu")->actions().last();
        QCOMPARE(quit->text(), "Quit");
        quit->trigger();
        QVERIFY(desk.window->isVisible());
        QVERIFY(desk.page());
        button(desk.page(), "&Suspend")->click();
        QVERIFY(desk.isHidden());
        QCOMPARE(desk.session(desk.id).state(), SessionState::Suspended);
        QCOMPARE(app::settings::onClose(), OnClose::KeepRunning);
    }

    void theTrayOpensTheWindow()
    {
        Asking desk;
        desk.choose("&Keep running", false);
        desk.window->findChild<QMenu*>("trayMenu")->actions().first()->trigger();
        QVERIFY(desk.window->isVisible());
    }

    void whenThePlugIsPulledIsToldBefore()
    {
        Asking desk;
        desk.choose("Shut &down", false);
        QVERIFY(tests::shows(desk.page(), "in 60 second"));
        QTRY_VERIFY(tests::shows(desk.page(), "in 5")); // 59 seconds, and less
        button(desk.page(), "&Cancel")->click();
    }

    void whoCannotBeSuspendedIsNamedAndTriedAgain()
    {
        Asking desk;
        desk.script->failSuspend = vmm::Error { vmm::ErrorCode::NoSpace, "full", 0 };
        desk.choose("&Suspend", false);
        auto* messages = desk.page()->findChild<ui::MessageBar*>();
        QTRY_VERIFY(messages->isVisible());
        QVERIFY2(messages->text().contains("“first” could not be suspended."), qPrintable(messages->text()));
        QVERIFY(button(desk.page(), "&Power off at once")->isVisible());
        desk.script->failSuspend.reset();
        button(messages, "Try again")->click();
        QVERIFY(desk.isHidden());
        QCOMPARE(desk.session(desk.id).state(), SessionState::Suspended);
    }

    void whoTriesAgainDoesNotComeToPoweringOff()
    {
        Asking desk;
        desk.script->failSuspend = vmm::Error { vmm::ErrorCode::NoSpace, "full", 0 };
        desk.choose("&Suspend", false);
        QTRY_VERIFY(desk.page()->findChild<ui::MessageBar*>()->isVisible());
        QVERIFY(button(desk.page(), "&Power off at once")->isVisible());
        desk.script->failSuspend.reset();
        desk.script->holdSuspend = true;
        auto* suspend = button(desk.page(), "&Suspend");
        suspend->setFocus();
        QTest::keyClick(suspend, Qt::Key_Space);
        QVERIFY(desk.waitFor(desk.id, SessionState::Suspending));
        QCOMPARE(desk.window->focusWidget(), button(desk.page(), "&Cancel"));
        button(desk.page(), "&Cancel")->click();
        QVERIFY(desk.waitFor(desk.id, SessionState::Running));
    }

    void whoWasStartedMeanwhileIsNotSaidToHaveFailed()
    {
        Asking desk;
        auto const other = desk.create("second");
        desk.script->holdSuspend = true;
        desk.choose("&Suspend", false);
        QVERIFY(desk.waitFor(desk.id, SessionState::Suspending));
        desk.session(other).start();
        QVERIFY(desk.waitFor(other, SessionState::Running));
        desk.session(desk.id).cancelJob();
        auto const* messages = desk.page()->findChild<ui::MessageBar*>();
        QTRY_VERIFY(messages->isVisible());
        QVERIFY2(messages->text().contains("“first” could not be suspended."), qPrintable(messages->text()));
    }

    void thePreferencesAreNamedWhereTheyDecide()
    {
        Asking desk;
        desk.script->holdSuspend = true;
        desk.choose("&Suspend", false);
        QVERIFY(tests::shows(desk.page(), "The window closes when all of them have ended."));
        QVERIFY(!tests::shows(desk.page(), "The preferences say"));
        button(desk.page(), "&Cancel")->click();
        QVERIFY(desk.waitFor(desk.id, SessionState::Running));
        app::settings::onClose.set(OnClose::Suspend);
        desk.window->close();
        QVERIFY(tests::shows(desk.page(), "The preferences say"));
        button(desk.page(), "&Cancel")->click();
        QVERIFY(desk.waitFor(desk.id, SessionState::Running));
    }

    void whoGoesElsewhereMeanwhileHasCancelled()
    {
        Asking desk(OnClose::Suspend);
        auto const other = desk.create("second");
        desk.script->holdSuspend = true;
        desk.window->close();
        QVERIFY(desk.waitFor(desk.id, SessionState::Suspending));
        auto* settings = desk.settings(other); // where something may be changed, and not be saved yet
        QVERIFY(desk.waitFor(desk.id, SessionState::Running));
        QCOMPARE(desk.window->currentPage(), settings);
        QVERIFY(desk.window->isVisible());
    }

    void theSessionEndsWhereverSomebodyGoes()
    {
        Asking desk;
        auto const other = desk.create("second");
        desk.script->cpuNanoseconds = 5'000'000'000; // worth a moment
        desk.script->holdKeep = true;
        desk.window->endWithoutAsking();
        QTRY_VERIFY(desk.script->has("keep on-close"));
        desk.window->showMachine(other);
        desk.script->last->keepWhatIsHeld();
        QVERIFY(desk.isHidden());
        QCOMPARE(desk.session(desk.id).state(), SessionState::Suspended);
    }

    void whoIsElsewhereIsToldThatTheSessionDoesNotEnd_data()
    {
        QTest::addColumn<bool>("isHidden");
        QTest::newRow("on another page") << false;
        QTest::newRow("in the background") << true;
    }
    void whoIsElsewhereIsToldThatTheSessionDoesNotEnd()
    {
        QFETCH(bool, isHidden);
        Asking desk;
        auto const other = desk.create("second");
        desk.script->cpuNanoseconds = 5'000'000'000; // worth a moment
        desk.script->holdKeep = true;
        desk.script->failSuspend = vmm::Error { vmm::ErrorCode::NoSpace, "full", 0 };
        desk.window->endWithoutAsking();
        QTRY_VERIFY(desk.script->has("keep on-close"));
        isHidden ? desk.window->hide() : desk.window->showMachine(other);
        desk.script->last->keepWhatIsHeld();
        QTRY_VERIFY(desk.window->isVisible() && desk.page() != nullptr);
        auto const* messages = desk.page()->findChild<ui::MessageBar*>();
        QTRY_VERIFY2(messages->text().contains("“first” could not be suspended."), qPrintable(messages->text()));
        QVERIFY(messages->isVisible());
    }

    void whoClosesAfterASessionThatDidNotEndCanGiveUp()
    {
        Asking desk;
        auto const other = desk.create("second");
        desk.script->failSuspend = vmm::Error { vmm::ErrorCode::NoSpace, "full", 0 };
        desk.window->endWithoutAsking();
        QTRY_VERIFY(desk.page()->findChild<ui::MessageBar*>()->isVisible());
        desk.window->showMachine(other);
        desk.script->failSuspend.reset();
        desk.script->holdSuspend = true;
        desk.choose("&Suspend", false);
        QVERIFY(desk.waitFor(desk.id, SessionState::Suspending));
        desk.window->showMachine(other);
        QVERIFY(desk.waitFor(desk.id, SessionState::Running));
        QVERIFY(desk.window->isVisible());
    }

    void whatComesOrGoesMeanwhileDoesNotGiveUp()
    {
        Asking desk;
        auto const other = desk.create("second"), gone = desk.create("third");
        auto& timeline = desk.session(other).timeline();
        desk.window->showMachine(other);
        timeline.keep("good");
        QTRY_VERIFY(timeline.moments().size() == 1 && !timeline.keeping());
        auto const bundle = desk.directory.filePath("good.tar.zst");
        QSignalSpy exported(&timeline, &app::TimelineSession::exported);
        timeline.exportTo(bundle, timeline.moments()[0].id, app::TimelineSession::Form::Bundle);
        QTRY_COMPARE(exported.count(), 1);
        desk.window->showMachine(gone);
        desk.script->holdSuspend = true;
        desk.choose("&Suspend", false);
        QVERIFY(desk.waitFor(desk.id, SessionState::Suspending));
        auto const* page = desk.page();
        auto const actions = desk.window->findChildren<QAction*>();
        (*std::ranges::find(actions, QStringLiteral("Import a moment as a machine…"), &QAction::text))->trigger();
        emit desk.window->findChild<QFileDialog*>()->fileSelected(bundle);
        auto const names = [&] {
            QStringList all;
            for (auto const& one : desk.library->ids())
                all += desk.library->entry(one)->name;
            return all;
        };
        QTRY_COMPARE(names(), (QStringList { "first", "second", "second 2", "third" }));
        desk.library->remove(gone, [](vmm::Result<> const&) {}); // as another program does
        QTRY_COMPARE(names(), (QStringList { "first", "second", "second 2" }));
        QVERIFY(desk.window->currentPage() == page);
        QCOMPARE(desk.session(desk.id).state(), SessionState::Suspending);
        button(desk.page(), "&Cancel")->click();
        QVERIFY(desk.waitFor(desk.id, SessionState::Running));
    }

    void unsavedSettingsAreAskedAboutFirst_data()
    {
        QTest::addColumn<bool>("runs");
        QTest::newRow("while the machine runs") << true;
        QTest::newRow("while it is off") << false;
    }
    void unsavedSettingsAreAskedAboutFirst()
    {
        QFETCH(bool, runs);
        Asking desk(OnClose::Suspend);
        if (!runs) {
            desk.session(desk.id).powerOff();
            QVERIFY(desk.waitFor(desk.id, SessionState::Off));
        }
        auto* settings = desk.settings(desk.id);
        desk.named<QLineEdit>(settings, "Name")->selectAll();
        QTest::keyClicks(desk.named<QLineEdit>(settings, "Name"), "second");
        QVERIFY(settings->hasUnsaved(desk.id));
        desk.window->close();
        QVERIFY(desk.window->isVisible());
        QVERIFY(desk.page());
        auto* messages = desk.page()->findChild<ui::MessageBar*>();
        QVERIFY2(messages->text().contains("“first” are not saved"), qPrintable(messages->text()));
        button(messages, "Back to them")->click();
        QCOMPARE(desk.window->currentPage(), settings);
        QCOMPARE(settings->edited().name, std::string("second"));
        QVERIFY(!desk.script->has("suspend"));
        desk.window->close();
        button(desk.page(), runs ? "&Suspend" : "C&lose")->click();
        QVERIFY(desk.isHidden());
    }

    void windowsOfMachinesHideAndComeBackWithIt()
    {
        Asking desk;
        auto* page = desk.window->pageOf(desk.id);
        emit page->ownWindowToggled();
        QVERIFY(page->window() != desk.window.get() && page->window()->isVisible());
        desk.choose("&Keep running", false);
        QVERIFY(!desk.window->isVisible());
        QVERIFY(!page->window()->isVisible());
        desk.window->comeBack();
        QVERIFY(desk.window->isVisible());
        QVERIFY(page->window() != desk.window.get() && page->window()->isVisible());
        QVERIFY(!desk.page()); // the question is answered
    }
};

REGISTER_SUITE(ClosingPageTest);
#include "closing_page_test.moc"
