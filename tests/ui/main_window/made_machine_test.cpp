#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/library/library_panel.h"
#include "ui/machine/machine_page.h"
#include "ui/widgets/message_bar.h"

#include <QApplication>
#include <QFileDialog>
#include <QStatusBar>

using tests::button;
using tests::Desk;

namespace {

/// Two machines; the first one is shown, and the list has the focus.
struct Bench : Desk {
    QString const first = create("first"), second = create("second");

    Bench()
    {
        open();
        window->showMachine(first);
    }
    ui::MachinePage* page(QString const& id) const { return window->pageOf(id); }
    ui::MessageBar* messages() const { return window->findChild<ui::MessageBar*>("windowMessages"); }
    void copySecond() const { emit page(second)->cloneRequested(); }
    bool isCopied(QString const& name = "second (copy)") const
    {
        return tests::becomes([&] { return library->isTaken(name); });
    }
    bool isWhole() const { return window->isFullScreen() && !window->libraryPanel()->isVisible(); }
};

}

/// Machines that come while a person does something else, and the whole screen that one of them has.
class MadeMachineTest final : public QObject {
    Q_OBJECT
private slots:
    void init() { QApplication::setQuitOnLastWindowClosed(false); }

    void whoHasGoneToAnotherMachineIsNotTakenAway()
    {
        Bench bench;
        bench.copySecond();
        bench.window->showMachine(bench.second);
        QVERIFY(bench.isCopied());
        QTRY_COMPARE(bench.messages()->text(), QStringLiteral("“second (copy)” is in the list now."));
        QCOMPARE(bench.window->currentPage(), bench.page(bench.second));
        button(bench.messages(), "Show it")->click();
        auto const shown = bench.library->entry(bench.window->libraryPanel()->currentId());
        QCOMPARE(shown->name, QStringLiteral("second (copy)"));
    }

    void whoTypesIntoAMachineByThenStaysThere()
    {
        Bench bench;
        QVERIFY(bench.start(bench.first));
        bench.copySecond();
        bench.page(bench.first)->focusMachine();
        auto* focus = QApplication::focusWidget();
        QVERIFY(bench.page(bench.first)->isAncestorOf(focus));
        QVERIFY(bench.isCopied());
        QTRY_VERIFY(bench.messages()->isVisible());
        QCOMPARE(bench.window->currentPage(), bench.page(bench.first));
        QCOMPARE(QApplication::focusWidget(), focus);
    }

    void whatCanBeUndoneStays()
    {
        Bench bench;
        emit bench.window->libraryPanel()->removeRequested(bench.create("third"));
        QTRY_VERIFY(bench.messages()->isVisible());
        bench.copySecond();
        QVERIFY(bench.isCopied());
        QCoreApplication::processEvents();
        QVERIFY(button(bench.messages(), "Undo")->isVisible());
        QCOMPARE(bench.window->currentPage(), bench.page(bench.first));
    }

    void whoHasTheWholeScreenKeepsIt()
    {
        Bench bench;
        emit bench.page(bench.first)->fullScreenToggled();
        bench.copySecond();
        QVERIFY(bench.isCopied());
        QTRY_VERIFY(bench.messages()->isVisible());
        QVERIFY(bench.isWhole() && bench.page(bench.first)->isFullScreen());
        QCOMPARE(bench.window->currentPage(), bench.page(bench.first));
        button(bench.messages(), "Show it")->click(); // with the list
        QVERIFY(!bench.isWhole() && !bench.page(bench.first)->isFullScreen());
    }

    void aMachineThatGoesLeavesNoWholeScreenBehind()
    {
        Bench bench;
        emit bench.page(bench.first)->fullScreenToggled();
        QVERIFY(bench.isWhole());
        bench.library->remove(bench.first, [](vmm::Result<> const&) {}); // as another program does
        QTRY_COMPARE(bench.window->currentPage(), bench.page(bench.second));
        QVERIFY(!bench.window->isFullScreen());
        QVERIFY(bench.window->libraryPanel()->isVisible() && bench.window->statusBar()->isVisible());
    }

    void whatAWindowOfItsOwnBeginsIsSeen()
    {
        Bench bench;
        emit bench.page(bench.first)->ownWindowToggled();
        bench.window->showMinimized();
        emit bench.page(bench.first)->cloneRequested();
        QVERIFY(!bench.window->isMinimized());
        QVERIFY(bench.isCopied("first (copy)"));
        bench.window->showMinimized();
        emit bench.page(bench.first)->importRequested();
        QVERIFY(!bench.window->isMinimized());
        auto* dialog = bench.window->findChild<QFileDialog*>();
        QTRY_VERIFY(dialog->isVisible());
        dialog->reject();
    }
};

REGISTER_SUITE(MadeMachineTest);
#include "made_machine_test.moc"
