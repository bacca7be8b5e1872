#include "tests/ui/main_window/desk.h"
#include "ui/display/screen_view.h"
#include "ui/library/library_panel.h"
#include "ui/machine/machine_page.h"
#include "ui/serial/console_tabs.h"

#include <QApplication>
#include <QMenu>
#include <QMouseEvent>
#include <QSplitter>
#include <QToolButton>

using tests::Desk;

namespace {

/// Drags the handle after the first part, as a pointer does.
void drag(QSplitter* splitter, QPoint by)
{
    auto* handle = splitter->handle(1);
    auto const from = handle->rect().center();
    auto const send = [&](QEvent::Type type, QPoint at, Qt::MouseButton button, Qt::MouseButtons buttons) {
        QMouseEvent event(type, at, handle->mapToGlobal(at), button, buttons, {});
        QApplication::sendEvent(handle, &event);
    };
    send(QEvent::MouseButtonPress, from, Qt::LeftButton, Qt::LeftButton);
    send(QEvent::MouseMove, from + by, Qt::NoButton, Qt::LeftButton);
    send(QEvent::MouseButtonRelease, from, Qt::LeftButton, Qt::NoButton);
}

QSplitter* splitterOf(QWidget* owner, Qt::Orientation orientation)
{
    for (auto* one : owner->findChildren<QSplitter*>()) {
        if (one->orientation() == orientation)
            return one;
    }
    qFatal("there is no splitter");
}

}

/// What a person has arranged is there again after the next start.
class WindowStateTest final : public QObject {
    Q_OBJECT
private slots:
    void init() { QApplication::setQuitOnLastWindowClosed(false); }

    void whatIsMinimisedComesBack()
    {
        Desk desk;
        desk.open();
        desk.window->showMinimized();
        QVERIFY(desk.window->isMinimized());
        desk.window->comeBack(); // the program is started again
        QVERIFY(!desk.window->isMinimized());
    }

    void theWindowIsAsItWasLeft()
    {
        Desk desk;
        auto const first = desk.create("alpha"), second = desk.create("beta");
        desk.open();
        desk.window->resize(780, 740);
        desk.window->showMachine(first);
        QVERIFY(desk.start(first));
        auto* page = desk.window->pageOf(first);
        page->setInspectorVisible(true);
        QCoreApplication::processEvents();
        auto* own = desk.window->pageOf(second);
        emit own->ownWindowToggled();
        own->window()->resize(640, 555);
        desk.window->showMachine(first);

        auto* library = qobject_cast<QSplitter*>(desk.window->centralWidget());
        auto* rows = splitterOf(page, Qt::Vertical);
        auto* columns = splitterOf(page, Qt::Horizontal);
        auto const sizes = [&] { return QList { library->sizes(), rows->sizes(), columns->sizes() }; };
        auto const usual = sizes();
        drag(library, { -25, 0 });
        drag(rows, { 0, -60 });
        drag(columns, { -30, 0 });
        auto const wanted = sizes();
        for (int i = 0; i < 3; ++i)
            QVERIFY(wanted[i] != usual[i]);
        auto* zoom = desk.named<QToolButton>(page, "The machine's screen: its size, and which of several")->menu();
        emit zoom->aboutToShow();
        zoom->actions().at(2)->trigger();
        QCOMPARE(page->screenView()->zoom(), 2);
        auto* terminal = page->consoles()->currentTerminal();
        terminal->zoomIn();
        auto const letters = terminal->zoom();
        QVERIFY(letters > 0);
        desk.window->close();
        QTRY_VERIFY(!desk.window->isVisible());

        desk.window.reset();
        app::usePreferencesFile(desk.directory.filePath("preferences"));
        desk.open();
        QCOMPARE(desk.window->size(), QSize(780, 740));
        QCOMPARE(desk.window->libraryPanel()->currentId(), first);
        page = desk.window->pageOf(first);
        own = desk.window->pageOf(second);
        QVERIFY(own->window() != desk.window.get() && own->window()->isVisible());
        QCOMPARE(own->window()->size(), QSize(640, 555));
        QVERIFY(desk.start(first));
        QCoreApplication::processEvents();
        library = qobject_cast<QSplitter*>(desk.window->centralWidget());
        rows = splitterOf(page, Qt::Vertical);
        columns = splitterOf(page, Qt::Horizontal);
        QCOMPARE(sizes(), wanted);
        QCOMPARE(page->screenView()->zoom(), 2);
        QCOMPARE(page->consoles()->currentTerminal()->zoom(), letters);

        // What was hidden stays hidden, and the other way round.
        page->setInspectorVisible(false);
        page->setConsolesVisible(false);
        desk.window->close();
        QTRY_VERIFY(!desk.window->isVisible());
        desk.window.reset();
        desk.open();
        QVERIFY(desk.start(first));
        page = desk.window->pageOf(first);
        QVERIFY(!page->consoles()->isVisible());
        QCOMPARE(splitterOf(page, Qt::Horizontal)->sizes().at(1), 0);
    }

    /// Its keys would go on leading to what nobody sees.
    void nothingIsDraggedShut()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        auto* page = desk.window->pageOf(id);
        page->setInspectorVisible(true);
        QCoreApplication::processEvents();
        auto* library = qobject_cast<QSplitter*>(desk.window->centralWidget());
        auto* rows = splitterOf(page, Qt::Vertical);
        auto* columns = splitterOf(page, Qt::Horizontal);
        drag(library, { -2000, 0 });
        drag(rows, { 0, 2000 });
        drag(columns, { 2000, 0 });
        for (auto const* one : { library, rows, columns })
            QVERIFY(!one->sizes().contains(0));
    }
};

REGISTER_SUITE(WindowStateTest);
#include "window_state_test.moc"
