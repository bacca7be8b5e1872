#include "tests/ui/main_window/desk.h"
#include "ui/display/screen_view.h"
#include "ui/library/library_model.h"
#include "ui/library/library_panel.h"
#include "ui/machine/machine_page.h"
#include "ui/serial/console_tabs.h"
#include "ui/timeline/timeline_panel.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/problem.h"
#include "ui/widgets/words.h"

#include <QApplication>
#include <QClipboard>
#include <QFile>
#include <QFileDialog>
#include <QLabel>
#include <QListView>
#include <QMenu>
#include <QPointer>
#include <QProgressBar>
#include <QScopeGuard>
#include <QSignalSpy>
#include <QStatusBar>
#include <QToolButton>
#include <algorithm>
#include <cerrno>
#include <linux/input-event-codes.h>

using tests::Desk;

namespace {

constexpr QRgb painted = 0xff204060; // by a fake screen

vmm::Error fullDisk()
{
    return { vmm::ErrorCode::NoSpace, "writing disk0.qcow2", ENOSPC };
}

/// A machine that runs, on its page.
struct Running : Desk {
    QString id = create("first");
    ui::MachinePage* page = nullptr;

    explicit Running(std::vector<vmm::DisplayConfig> displays = {})
    {
        auto config = library->config(id);
        if (!displays.empty()) {
            config.displays = std::move(displays);
            if (!change(config))
                qFatal("the displays are refused");
        }
        open();
        page = window->pageOf(id);
        page->startOrResume();
        if (!waitFor(id, app::SessionState::Running) || !tests::becomes([&] { return !picture().isNull(); }))
            qFatal("no picture");
    }
    ui::ScreenWidget* screen() const { return page->screenView()->screen(); }
    QImage picture() const { return screen()->image(); }
    QMenu* menuOf(QString const& button)
    {
        auto* menu = named<QToolButton>(page, button)->menu();
        emit menu->aboutToShow();
        return menu;
    }
    static void trigger(QObject* owner, QString const& text)
    {
        for (auto* action : owner->findChildren<QAction*>()) {
            if (action->text() == text)
                return action->trigger();
        }
        qFatal("there is no %s", qPrintable(text));
    }
    QFrame* toolbar() const { return page->findChild<QFrame*>("toolbar"); }
    void controlAltAnd(Qt::Key key) const
    {
        QTest::keyPress(screen(), Qt::Key_Control);
        QTest::keyPress(screen(), Qt::Key_Alt);
        QTest::keyClick(screen(), key);
        QTest::keyRelease(screen(), Qt::Key_Alt);
        QTest::keyRelease(screen(), Qt::Key_Control);
    }
    QImage thumbnail() const
    {
        return window->libraryPanel()
            ->list()
            ->model()
            ->index(0, 0)
            .data(ui::LibraryModel::ThumbnailRole)
            .value<QImage>();
    }
};

}

/// What a person does with a machine's screen: over machines that only go through the motions.
class MachinePageTest final : public QObject {
    Q_OBJECT
private slots:
    void init() { QApplication::setQuitOnLastWindowClosed(false); }

    void f11IsTheWindowsUntilTheMachineHasTheKeys()
    {
        Running desk;
        desk.window->libraryPanel()->focusList();
        QTest::keyClick(desk.window.get(), Qt::Key_F11);
        QVERIFY(desk.window->isFullScreen());
        QVERIFY(desk.page->isFullScreen());
        QVERIFY(!desk.window->libraryPanel()->isVisible() && !desk.window->statusBar()->isVisible());
        QVERIFY(!desk.toolbar()->isVisible());
        QTRY_COMPARE(QApplication::focusWidget(), desk.screen());
        QTest::keyClick(desk.screen(), Qt::Key_F11);
        QTRY_VERIFY(desk.script->has("key 87 1"));
        QVERIFY(desk.window->isFullScreen());
        desk.controlAltAnd(Qt::Key_Return);
        QVERIFY(!desk.window->isFullScreen());
        QVERIFY(desk.window->libraryPanel()->isVisible() && desk.window->statusBar()->isVisible());
        QVERIFY(desk.toolbar()->isVisible());
        QVERIFY(!desk.script->has("key 28 1")); // Enter was no guest's
        desk.controlAltAnd(Qt::Key_Return);
        QVERIFY(desk.window->isFullScreen());
    }

    void inFullScreenTheKeyboardIsTheMachinesWhileItListens()
    {
        Running desk;
        desk.screen()->setFocus();
        QVERIFY(!QWidget::keyboardGrabber());
        desk.controlAltAnd(Qt::Key_Return);
        QTRY_COMPARE(QWidget::keyboardGrabber(), desk.screen());
        QTest::keyPress(desk.screen(), Qt::Key_Control);
        QTest::keyPress(desk.screen(), Qt::Key_Alt);
        QTest::keyRelease(desk.screen(), Qt::Key_Alt);
        QVERIFY(!QWidget::keyboardGrabber());
        QTest::mouseClick(desk.screen(), Qt::LeftButton);
        QCOMPARE(QWidget::keyboardGrabber(), desk.screen());

        QWidget other; // of another program, as far as the window knows
        other.show();
        other.activateWindow();
        QVERIFY(QTest::qWaitForWindowActive(&other));
        QVERIFY(!QWidget::keyboardGrabber());
        other.close();
        desk.window->activateWindow();
        desk.screen()->setFocus();
        QTRY_COMPARE(QWidget::keyboardGrabber(), desk.screen());

        desk.session(desk.id).pause();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Paused));
        QTRY_VERIFY(!QWidget::keyboardGrabber());
        desk.session(desk.id).resume();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
        desk.screen()->setFocus();
        QTRY_COMPARE(QWidget::keyboardGrabber(), desk.screen());
        desk.controlAltAnd(Qt::Key_Return);
        QVERIFY(!QWidget::keyboardGrabber());
        QVERIFY(!desk.window->isFullScreen());
        desk.controlAltAnd(Qt::Key_Return);
        QTRY_COMPARE(QWidget::keyboardGrabber(), desk.screen());
        desk.window->hide();
        QVERIFY(!QWidget::keyboardGrabber());
        other.show(); // gets the focus, as on any desktop; without it Qt's offscreen one leaves it to the hidden window
        QVERIFY(QTest::qWaitForWindowActive(&other));
        desk.window->show();
        QTRY_COMPARE(QWidget::keyboardGrabber(), desk.screen());
    }

    void theScreenAndTheTerminalSayHowToLeaveThem()
    {
        Running desk;
        QVERIFY(desk.screen()->accessibleDescription().contains("Ctrl+Alt leads back"));
        auto* terminal = desk.page->consoles()->currentTerminal();
        QVERIFY(terminal->accessibleDescription().contains("Ctrl+Shift+T leads to the timeline"));
        terminal->setFocus(Qt::ShortcutFocusReason);
        auto const labels = terminal->findChildren<QLabel*>();
        QVERIFY(std::ranges::any_of(labels, [&](QLabel const* label) {
            return label->isVisible() && label->text() == terminal->accessibleDescription();
        }));
        QTest::keyClick(terminal, Qt::Key_T, Qt::ControlModifier | Qt::ShiftModifier);
        QCOMPARE(QApplication::focusWidget(), desk.page->timeline()->axis());
    }

    void theToolsComeBackAtTheUpperEdgeAndWithCtrlAlt()
    {
        Running desk;
        desk.controlAltAnd(Qt::Key_Return);
        QVERIFY(!desk.toolbar()->isVisible());
        QCursor::setPos(desk.page->mapToGlobal(QPoint(desk.page->width() / 2, 0)));
        QTRY_VERIFY(desk.toolbar()->isVisible());
        QCursor::setPos(desk.page->mapToGlobal(desk.page->rect().center()));
        QTRY_VERIFY(!desk.toolbar()->isVisible());
        QTest::keyPress(desk.screen(), Qt::Key_Control);
        QTest::keyPress(desk.screen(), Qt::Key_Alt);
        QTest::keyRelease(desk.screen(), Qt::Key_Alt);
        QVERIFY(desk.toolbar()->isVisible());
        QVERIFY(desk.toolbar()->isAncestorOf(QApplication::focusWidget()));
        QTest::qWait(200); // the focus keeps them
        QVERIFY(desk.toolbar()->isVisible());
    }

    void aWindowOfItsOwnIsFullScreenAlone()
    {
        Running desk;
        emit desk.page->ownWindowToggled();
        auto* own = desk.page->window();
        desk.screen()->setFocus();
        desk.controlAltAnd(Qt::Key_Return);
        QVERIFY(own->isFullScreen() && !desk.window->isFullScreen());
        desk.controlAltAnd(Qt::Key_Return);
        QVERIFY(!own->isFullScreen());
    }

    void aScreenshotIsCopied()
    {
        Running desk;
        Running::trigger(desk.page, "Copy a screenshot");
        auto const copied = QApplication::clipboard()->image();
        QCOMPARE(copied.size(), QSize(64, 48));
        QCOMPARE(copied.pixel(5, 5), painted);
        QVERIFY(desk.page->messages()->text().contains("in the clipboard"));
    }

    void aScreenshotIsSaved()
    {
        Running desk;
        Running::trigger(desk.page, QStringLiteral("Save a screenshot…"));
        auto* dialog = desk.page->findChild<QFileDialog*>();
        QVERIFY(dialog);
        QVERIFY(dialog->selectedFiles().value(0).contains("first "));
        auto const path = desk.directory.filePath("shot.png");
        emit dialog->fileSelected(path);
        QImage const saved(path);
        QCOMPARE(saved.size(), QSize(64, 48));
        QCOMPARE(saved.pixel(5, 5), painted);
        QVERIFY(desk.page->messages()->text().contains(path));
        emit dialog->fileSelected("/nowhere/shot.png");
        QVERIFY(desk.page->messages()->text().contains("The screenshot could not be saved."));
        dialog->close();
    }

    void aFileDialogStopsNothingIsThereOnceAndGoesWithItsPage()
    {
        Running desk;
        Running::trigger(desk.page, QStringLiteral("Save a screenshot…"));
        QPointer<QFileDialog> const dialog(desk.page->findChild<QFileDialog*>());
        QVERIFY(dialog && dialog->isVisible());
        QVERIFY(!dialog->isModal());
        Running::trigger(desk.page, QStringLiteral("Save a screenshot…"));
        QCOMPARE(desk.page->findChildren<QFileDialog*>(), QList<QFileDialog*> { dialog });
        desk.window->showNewMachine();
        QTRY_VERIFY(dialog == nullptr);
    }

    void aMachineThatHasNotRunSinceItCameBackGoesOnBeforeItsPresentIsKept()
    {
        Running desk;
        auto& session = desk.session(desk.id);
        session.suspend();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Suspended));
        session.runner()->startPaused();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Paused));
        desk.page->findChild<ui::TimelinePanel*>()->keep();
        auto* messages = desk.page->messages();
        QTRY_VERIFY(messages->isVisible());
        QVERIFY2(messages->text().contains("has not run since it came back"), qPrintable(messages->text()));
        tests::button(messages, ui::remedyText(ui::Remedy::Resume))->click();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
    }

    void whatStandsStillIsPoweredOffWithTheTools()
    {
        Running desk;
        auto* power = desk.toolbar()->findChild<QToolButton*>("power");
        auto const offers = [&](QString const& text) {
            auto const actions = power->menu()->actions();
            return power->isEnabled() && std::ranges::any_of(actions, [&](auto const* action) {
                return action->isEnabled() && action->text() == text;
            });
        };
        auto const isReached = [&] {
            desk.toolbar()->findChildren<QToolButton*>().first()->setFocus();
            for (int tabs = 0; tabs < 3 && !power->hasFocus(); ++tabs)
                QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
            return power->hasFocus();
        };
        QVERIFY(offers("Shut down") && isReached());
        desk.session(desk.id).pause();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Paused));
        QVERIFY(offers("Reset") && offers("Power off at once") && isReached());
        desk.script->last->guestCrashes();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Crashed));
        QVERIFY(offers("Reset") && offers("Power off at once") && isReached());
        Running::trigger(desk.page, "Reset");
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
        QVERIFY(desk.suspend(desk.id));
        QVERIFY(offers("Throw the suspended state away") && isReached());
        Running::trigger(desk.page, "Throw the suspended state away");
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Off));
        QVERIFY(!power->isEnabled());
    }

    void oneClickShutsDown()
    {
        Running desk;
        auto* power = desk.toolbar()->findChild<QToolButton*>("power");
        QCOMPARE(power->text(), "Shut down");
        power->click();
        QTRY_VERIFY(desk.script->has("power button"));
        desk.session(desk.id).pause();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Paused));
        QCOMPARE(power->text(), "Power");
    }

    void whoDoesNotShutDownCanBePoweredOff()
    {
        Running desk;
        desk.page->setPatience(std::chrono::milliseconds(1));
        Running::trigger(desk.page, "Shut down");
        auto* messages = desk.page->messages();
        QCOMPARE(messages->text(), "The guest was asked to shut down.");
        QTRY_VERIFY(desk.script->has("power button"));
        QTRY_COMPARE(messages->text(), "The guest has not shut down so far.");
        tests::button(messages, "Power off at once")->click();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Off));
    }

    void whoShutsDownIsNotToldAboutAnyMore()
    {
        Running desk;
        Running::trigger(desk.page, "Shut down");
        QVERIFY(desk.page->messages()->isVisible());
        desk.script->last->guestPowersOff();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Off));
        QVERIFY(!desk.page->messages()->isVisible());
    }

    void whyItStandsStillIsToldByAPageThatIsMadeLater()
    {
        Desk desk;
        auto const id = desk.create("first");
        QVERIFY(desk.start(id));
        desk.script->last->hostPauses(fullDisk());
        QVERIFY(desk.waitFor(id, app::SessionState::Paused));
        desk.open();
        auto const* messages = desk.window->pageOf(id)->messages();
        QVERIFY(messages->isVisible());
        QVERIFY2(messages->text().contains("The machine has stopped."), qPrintable(messages->text()));
    }

    void aNoticeGivesTheProblemBackThatItCovers()
    {
        Running desk;
        desk.script->last->hostPauses(fullDisk());
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Paused));
        auto* messages = desk.page->messages();
        auto* dismiss = desk.named<QToolButton>(messages, "Dismiss this message");
        emit desk.session(desk.id).guestRebooted(); // which nobody has asked for
        QVERIFY2(messages->text().contains("The machine has stopped."), qPrintable(messages->text()));
        Running::trigger(desk.page, "Copy a screenshot");
        QVERIFY2(messages->text().contains("in the clipboard"), qPrintable(messages->text()));
        dismiss->click();
        QVERIFY(messages->isVisible());
        QVERIFY2(messages->text().contains("The machine has stopped."), qPrintable(messages->text()));
        Running::trigger(desk.page, "Copy a screenshot");
        emit desk.page->fullScreenToggled();
        QVERIFY2(messages->text().contains("The machine has stopped."), qPrintable(messages->text()));
        tests::button(messages, ui::remedyText(ui::Remedy::Resume))->click();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
        QVERIFY(!messages->isVisible());
    }

    void aMachineWithoutAScreenHasItsConsoleOnTheWholeScreen()
    {
        Desk desk;
        auto const id = desk.create("first");
        auto config = desk.library->config(id);
        config.displays.clear();
        QVERIFY(desk.change(config));
        desk.open();
        auto* page = desk.window->pageOf(id);
        page->startOrResume();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        emit page->fullScreenToggled();
        QVERIFY(page->isFullScreen());
        QVERIFY(page->consoles()->isVisible() && !page->screenView()->isVisible());
        auto* terminal = page->consoles()->currentTerminal();
        QTRY_COMPARE(QApplication::focusWidget(), terminal);
        QVERIFY(tests::shows(terminal, "press F11 to leave full screen"));
        QTest::keyClick(terminal, Qt::Key_F11);
        QVERIFY(!page->isFullScreen());
        emit page->fullScreenToggled();
        QTest::keyClick(terminal, Qt::Key_T, Qt::ControlModifier | Qt::ShiftModifier); // as the terminal says
        QVERIFY(!page->isFullScreen());
        QCOMPARE(QApplication::focusWidget(), page->timeline()->axis());
    }

    void theCardOnTheWholeScreenSaysHowToLeaveIt()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.window->pageOf(id);
        emit page->fullScreenToggled();
        QVERIFY(page->isFullScreen() && page->screenView()->showsCard());
        QVERIFY(tests::shows(page->screenView(), "press F11 to leave full screen"));
    }

    void aScreenReaderIsToldWhatTheMachineIsAt()
    {
        Running desk;
        desk.script->holdSuspend = true;
        desk.session(desk.id).suspend();
        QTRY_VERIFY(desk.session(desk.id).job());
        QVERIFY(desk.named<QProgressBar>(desk.page, ui::jobWord("suspend")));
        desk.session(desk.id).cancelJob();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
    }

    void whoGoesBackIsToldWhereThePresentWentAndCanReturn()
    {
        Running desk;
        auto& timeline = desk.session(desk.id).timeline();
        timeline.keep("good");
        QTRY_COMPARE(timeline.moments().size(), std::size_t(1));
        QTRY_VERIFY(!timeline.keeping());
        timeline.goTo(timeline.moments()[0].id);
        auto* messages = desk.page->messages();
        QTRY_VERIFY(messages->isVisible());
        QCOMPARE(messages->text(), QStringLiteral("The machine as it was is kept as “Before going back”."));
        QTRY_COMPARE(timeline.moments().size(), std::size_t(2));
        auto const left = timeline.moments()[1].id;
        tests::button(messages, "Undo")->click();
        QTRY_COMPARE(timeline.present(), left);
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
        QTRY_VERIFY(messages->isVisible()); // and back again
    }

    void theConsoleSaysThatTheMachineWentBack()
    {
        Running desk;
        auto& timeline = desk.session(desk.id).timeline();
        timeline.keep("good\x1b[2J");
        QTRY_COMPARE(timeline.moments().size(), std::size_t(1));
        QTRY_VERIFY(!timeline.keeping());
        auto* terminal = desk.page->consoles()->currentTerminal();
        desk.script->last->guestPrints("later\r\n");
        QTRY_VERIFY(terminal->visibleText().contains("later"));
        timeline.goTo(timeline.moments()[0].id);
        QString const rule = QStringLiteral("— back at “good [2J” (");
        QTRY_VERIFY2(terminal->visibleText().contains(rule), qPrintable(terminal->visibleText()));
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
        desk.script->last->guestPrints("then");
        QTRY_VERIFY(terminal->visibleText().endsWith("then"));
        auto const all = terminal->screen().text({}, { terminal->screen().lineCount(), 0 });
        QVERIFY2(all.indexOf("later") >= 0 && all.indexOf("later") < all.indexOf(rule)
                && all.indexOf(rule) < all.indexOf("then"),
            qPrintable(all));
    }

    void aSuspendedStateThatIsThrownAwayCanBeHadBack()
    {
        Running desk;
        QVERIFY(desk.suspend(desk.id));
        // The fake's file is of no size that a record of memory has.
        QVERIFY(QFile::resize(desk.directory.filePath("data/machines/" + desk.id + "/state/ram"), 0));
        Running::trigger(desk.page, "Throw the suspended state away");
        auto* messages = desk.page->messages();
        QTRY_VERIFY(messages->isVisible());
        QCOMPARE(desk.session(desk.id).state(), app::SessionState::Off);
        QVERIFY2(
            messages->text().contains("“Before the suspended state was thrown away”"), qPrintable(messages->text()));
        auto& timeline = desk.session(desk.id).timeline();
        QTRY_COMPARE(timeline.moments().size(), std::size_t(1));
        auto const thrownAway = timeline.moments()[0].id;
        tests::button(messages, "Undo")->click();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
        QTRY_COMPARE(timeline.present(), thrownAway);
    }

    void aSuspendedStateThatCouldNotBeKeptIsSaidToBeGone()
    {
        Running desk;
        QVERIFY(desk.suspend(desk.id));
        Running::trigger(desk.page, "Throw the suspended state away"); // whose memory is no record's
        auto* messages = desk.page->messages();
        QTRY_VERIFY(messages->isVisible());
        QCOMPARE(messages->text(), QStringLiteral("The machine as it was could not be kept as a moment."));
        QCOMPARE(desk.session(desk.id).state(), app::SessionState::Off);
    }

    void aProblemIsNotCoveredByWhereThePresentWent()
    {
        Running desk;
        auto& timeline = desk.session(desk.id).timeline();
        timeline.keep("good");
        QTRY_COMPARE(timeline.moments().size(), std::size_t(1));
        QTRY_VERIFY(!timeline.keeping());
        desk.script->failForwards = vmm::Error { vmm::ErrorCode::Busy, "127.0.0.1:2222 is taken", 0 };
        QSignalSpy left(&timeline, &app::TimelineSession::left);
        timeline.goTo(timeline.moments()[0].id);
        QTRY_COMPARE(left.size(), 1);
        QVERIFY(desk.page->messages()->hasProblem());
    }

    void aProblemOfBeforeDoesNotHideWhereThePresentWent()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto& session = desk.session(id);
        auto& timeline = session.timeline();
        timeline.keep("as it was made");
        QTRY_COMPARE(timeline.moments().size(), std::size_t(1));
        QTRY_VERIFY(!timeline.keeping());
        desk.script->failCreate = fullDisk();
        auto* page = desk.window->pageOf(id);
        page->startOrResume();
        QTRY_VERIFY(page->messages()->hasProblem());
        timeline.goTo(timeline.moments()[0].id); // at which it was off: it does not run
        QTRY_VERIFY2(page->messages()->text().contains("“Before going back”"), qPrintable(page->messages()->text()));
    }

    void aProblemIsCoveredByWhereASuspendedStateWentAndComesBack()
    {
        Running desk;
        auto& session = desk.session(desk.id);
        session.suspend();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Suspended));
        desk.script->failRestore = fullDisk();
        desk.page->startOrResume();
        auto* messages = desk.page->messages();
        QTRY_VERIFY(messages->hasProblem());
        auto const problem = messages->text();
        session.discardState(); // as another program asks for it
        QTRY_COMPARE(messages->text(), QStringLiteral("The machine as it was could not be kept as a moment."));
        desk.named<QToolButton>(messages, "Dismiss this message")->click();
        QCOMPARE(messages->text(), problem);
    }

    void keyCombinationsAreSentFromTheMenu()
    {
        Running desk;
        auto* keys = desk.menuOf("Send key combinations and text");
        Running::trigger(keys, "Ctrl+Alt+Del");
        auto const codes = { KEY_LEFTCTRL, KEY_LEFTALT, KEY_DELETE };
        for (int const code : codes)
            QTRY_VERIFY(desk.script->has("key " + std::to_string(code) + " 1"));
        QTRY_VERIFY(desk.script->has("key " + std::to_string(KEY_LEFTCTRL) + " 0"));
        Running::trigger(keys, "Ctrl+Alt+F2");
        QTRY_VERIFY(desk.script->has("key " + std::to_string(KEY_F2) + " 1"));
        Running::trigger(keys, "F11");
        QTRY_VERIFY(desk.script->has("key " + std::to_string(KEY_F11) + " 1"));
        Running::trigger(keys, "Esc");
        QTRY_VERIFY(desk.script->has("key " + std::to_string(KEY_ESC) + " 1"));
        Running::trigger(keys, "Print");
        QTRY_VERIFY(desk.script->has("key " + std::to_string(KEY_SYSRQ) + " 1"));
    }

    void theClipboardsTextIsTypedWithTheGuestsLayout()
    {
        Running desk;
        QApplication::clipboard()->setText("z");
        Running::trigger(desk.menuOf("Send key combinations and text"), "Deutsch");
        Running::trigger(desk.page, "Type the clipboard's text");
        QTRY_VERIFY(desk.script->has("key " + std::to_string(KEY_Y) + " 0"));
        QCOMPARE(QApplication::focusWidget(), desk.screen());
        Running::trigger(desk.menuOf("Send key combinations and text"), "English (US)");
        Running::trigger(desk.page, "Type the clipboard's text");
        QTRY_VERIFY(desk.script->has("key " + std::to_string(KEY_Z) + " 0"));
    }

    void eachGuestHasAKeyboardLayoutOfItsOwnThatACopyTakes()
    {
        qputenv("XKB_DEFAULT_LAYOUT", "us");
        auto const unset = qScopeGuard([] { qunsetenv("XKB_DEFAULT_LAYOUT"); });
        Desk desk;
        auto const first = desk.create("first"), second = desk.create("second");
        desk.open();
        auto const action = [&](QString const& id, QString const& layout) {
            auto* menu = desk.named<QToolButton>(desk.window->pageOf(id), "Send key combinations and text")->menu();
            emit menu->aboutToShow();
            auto const all = menu->findChildren<QAction*>();
            return *std::ranges::find(all, layout, &QAction::text);
        };
        action(first, "Deutsch")->trigger();
        QVERIFY(action(first, "Deutsch")->isChecked());
        QVERIFY(action(second, "English (US)")->isChecked());
        desk.window->showMachine(first);
        emit desk.window->pageOf(first)->cloneRequested();
        QTRY_VERIFY(desk.window->libraryPanel()->currentId() != first);
        QVERIFY(action(desk.window->libraryPanel()->currentId(), "Deutsch")->isChecked());
    }

    void aLongTextIsTypedWithProgressAndCanBeCancelled()
    {
        Running desk;
        QApplication::clipboard()->setText(QString(ui::TextTypist::limit + 1, 'z'));
        Running::trigger(desk.page, "Type the clipboard's text");
        QVERIFY(tests::shows(desk.page, "Typing the clipboard's text …"));
        QVERIFY(desk.page->messages()->text().contains("Only the first 10000"));
        auto const isOffered = [&] {
            auto const actions = desk.page->actions();
            return std::ranges::any_of(actions, [](QAction const* action) {
                return action->text() == "Type the clipboard's text" && action->isEnabled();
            });
        };
        QVERIFY(!isOffered());
        auto* cancel = tests::button(desk.page, "Cancel");
        cancel->setFocus();
        cancel->click();
        QVERIFY(!tests::shows(desk.page, "Typing the clipboard's text …"));
        QVERIFY(isOffered());
        QCOMPARE(QApplication::focusWidget(), desk.screen());
    }

    void theRestOfATextIsNotTypedIntoAnotherPresent()
    {
        Running desk;
        auto& session = desk.session(desk.id);
        auto& timeline = session.timeline();
        timeline.keep("good");
        QTRY_COMPARE(timeline.moments().size(), std::size_t(1));
        QTRY_VERIFY(!timeline.keeping());
        QApplication::clipboard()->setText(QString(ui::TextTypist::limit, 'z')); // which takes minutes
        auto const& typist = desk.page->screenView()->typist();
        auto const begins = [&] {
            Running::trigger(desk.page, "Type the clipboard's text");
            return typist.isTyping();
        };
        QVERIFY(begins());
        session.pause();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Paused));
        session.resume();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
        QVERIFY(typist.isTyping()); // it is the same one
        timeline.goTo(timeline.moments()[0].id);
        QTRY_VERIFY(!typist.isTyping());
        QVERIFY(tests::shows(desk.screen(), "The rest of the text was not typed."));
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
        QVERIFY(begins());
        Running::trigger(desk.page, "Reset");
        QVERIFY(!typist.isTyping());
        QVERIFY(begins());
        session.runner()->reset(); // as another program asks for
        QTRY_VERIFY(!typist.isTyping());
        QVERIFY(begins());
        emit session.guestRebooted();
        QVERIFY(!typist.isTyping());
        QVERIFY(begins());
        desk.script->last->guestCrashes();
        QTRY_VERIFY(!typist.isTyping());
    }

    void theLibrarysPictureFollowsTheScreen()
    {
        Running desk;
        QTRY_VERIFY(!desk.thumbnail().isNull());
        QTRY_COMPARE(desk.thumbnail().pixel(3, 3), painted);
        desk.script->last->screens.at("display0")->paint(64, 48, 0x00c00000);
        QTRY_COMPARE(desk.thumbnail().pixel(3, 3), 0xffc00000);
        // It stays when the machine goes.
        desk.session(desk.id).powerOff();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Off));
        QTest::qWait(1);
        QCOMPARE(desk.thumbnail().pixel(3, 3), 0xffc00000);
    }

    void ofSeveralDisplaysOneIsChosen()
    {
        Running desk({ { "display0" }, { "display1" } });
        desk.script->last->screens.at("display1")->paint(32, 20, 0x00c00000);
        QCOMPARE(desk.picture().size(), QSize(64, 48));
        auto const sizes = QStringLiteral("The machine's screen: its size, and which of several");
        Running::trigger(desk.menuOf(sizes), "Display 2");
        QTRY_COMPARE(desk.picture().size(), QSize(32, 20));
        QCOMPARE(desk.picture().pixel(3, 3), 0xffc00000);
        desk.script->last->screens.at("display1")->paintRow(3, 0x0000c000);
        QTRY_COMPARE(desk.picture().pixel(3, 3), 0xff00c000);
        Running::trigger(desk.page, "Copy a screenshot");
        QCOMPARE(QApplication::clipboard()->image().size(), QSize(32, 20));
        // The first one is not looked at meanwhile, and is whole again.
        desk.script->last->screens.at("display0")->paint(64, 48, 0x000000c0);
        Running::trigger(desk.menuOf(sizes), "Display 1");
        QTRY_COMPARE(desk.picture().size(), QSize(64, 48));
        QTRY_COMPARE(desk.picture().pixel(3, 3), 0xff0000c0);
        // The choice outlives a run.
        Running::trigger(desk.menuOf(sizes), "Display 2");
        desk.session(desk.id).powerOff();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Off));
        desk.page->startOrResume();
        QVERIFY(desk.waitFor(desk.id, app::SessionState::Running));
        desk.script->last->screens.at("display1")->paint(40, 30, 0x00c000c0);
        QTRY_COMPARE(desk.picture().size(), QSize(40, 30));
    }
};

REGISTER_SUITE(MachinePageTest);
#include "machine_page_test.moc"
