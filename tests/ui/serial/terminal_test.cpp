#include "tests/support/suite.h"
#include "ui/serial/terminal_widget.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QPointer>
#include <QScrollBar>
#include <QSignalSpy>
#include <QTimer>

namespace {

QByteArray numberedLines(int count)
{
    QByteArray text;
    for (int i = 1; i <= count; ++i)
        text += "line " + QByteArray::number(i) + "\r\n";
    return text;
}

}

class TerminalScreenTest final : public QObject {
    Q_OBJECT
private slots:
    void textLandsWhereTheCursorIs()
    {
        ui::TerminalScreen screen(4, 20);
        screen.feed("hello\r\n\x1b[3;5Hthere");
        QCOMPARE(screen.lineText(0), "hello");
        QCOMPARE(screen.lineText(2), "    there");
        QCOMPARE(screen.cursor().line, 2);
        QCOMPARE(screen.cursor().column, 9);
    }

    void coloursOfSixteenTwoHundredAndAll()
    {
        using Kind = ui::TerminalColor::Kind;
        ui::TerminalScreen screen(2, 20);
        screen.feed("\x1b[31mA\x1b[38;5;200mB\x1b[38;2;1;2;3mC\x1b[0;1;3;4;7;9mD");
        auto const& cells = screen.line(0).cells;
        QVERIFY((cells[0].style.foreground == ui::TerminalColor { Kind::Indexed, 1, 0, 0 }));
        QVERIFY((cells[1].style.foreground == ui::TerminalColor { Kind::Indexed, 200, 0, 0 }));
        QVERIFY((cells[2].style.foreground == ui::TerminalColor { Kind::Rgb, 1, 2, 3 }));
        auto const style = cells[3].style;
        QVERIFY(style.bold && style.italic && style.underline == 1 && style.reverse && style.strike);
    }

    void whatScrollsOutIsKept()
    {
        ui::TerminalScreen screen(5, 20);
        screen.feed(numberedLines(100));
        QCOMPARE(screen.lineCount(), 101);
        QCOMPARE(screen.lineText(0), "line 1");
        QCOMPARE(screen.lineText(99), "line 100");
    }

    void scrollbackIsBounded()
    {
        ui::TerminalScreen screen(5, 20);
        screen.feed(numberedLines(ui::TerminalScreen::scrollbackLimit + 50));
        QCOMPARE(screen.scrollbackCount(), ui::TerminalScreen::scrollbackLimit);
        QCOMPARE(screen.takeChanges().dropped, 46);
        QCOMPARE(screen.lineText(0), "line 47");
    }

    void whatBeginsAnewKeepsWhatWasShown()
    {
        ui::TerminalScreen screen(4, 20);
        screen.feed("one\r\ntwo\r\n\x1b[?1049h\x1b[?1002h\x1b[?5h\x1b[31medit\x1b]0;half a tit");
        screen.beginAnew();
        screen.feed("new");
        QVERIFY(!screen.alternateScreen() && !screen.reversed());
        QCOMPARE(screen.mouseMode(), ui::TerminalScreen::MouseMode::None);
        QCOMPARE(screen.lineCount(), 6);
        QCOMPARE(screen.lineText(0), "one");
        QCOMPARE(screen.lineText(1), "two");
        QCOMPARE(screen.lineText(2), "new");
        QCOMPARE(screen.cursor(), (ui::TerminalPosition { 2, 3 }));
        QVERIFY(screen.line(2).cells[0].style == ui::TerminalStyle {});
        screen.reset();
        QCOMPARE(screen.lineCount(), 4);
        QCOMPARE(screen.lineText(0), QString());
    }

    /// What scrolls there would have no rows: libvterm moves memory that is not its own.
    void aScrollRegionBelowTheNewEndIsGone()
    {
        ui::TerminalScreen screen(8, 20);
        screen.feed("one\r\ntwo\x1b[6;8r\x1b[2;4H");
        screen.resize(3, 20);
        QCOMPARE(screen.cursor(), (ui::TerminalPosition { 1, 3 }));
        screen.feed("\r\n3\r\n4\r\n5\r\n6");
        QCOMPARE(screen.lineText(screen.lineCount() - 1), "6");
        QCOMPARE(screen.lineText(0), "one");
    }

    void narrowerWrapsAndWiderJoins()
    {
        ui::TerminalScreen screen(4, 20);
        screen.feed("abcdefghijklmnopqrstuvwxyz\r\nsecond\r\n> ");
        screen.resize(4, 10);
        QCOMPARE(screen.lineText(screen.cursor().line), "> ");
        QCOMPARE(
            screen.text({ 0, 0 }, { screen.lineCount() - 1, 1000 }).left(33), "abcdefghijklmnopqrstuvwxyz\nsecond");
        screen.resize(4, 40);
        QCOMPARE(screen.lineText(0), "abcdefghijklmnopqrstuvwxyz");
        QCOMPARE(screen.lineText(1), "second");
        QCOMPARE(screen.cursor().line, 2);
        QCOMPARE(screen.cursor().column, 2);
        screen.feed("typed");
        QCOMPARE(screen.lineText(2), "> typed");
    }

    void lineThatFillsTheWidthIsNotJoinedWithTheNext()
    {
        ui::TerminalScreen screen(4, 10);
        screen.feed("0123456789\r\nnext");
        screen.resize(4, 30);
        QCOMPARE(screen.lineText(0), "0123456789");
        QCOMPARE(screen.lineText(1), "next");
    }

    void growingTallerBringsScrollbackBack()
    {
        ui::TerminalScreen screen(5, 20);
        screen.feed(numberedLines(8));
        QCOMPARE(screen.scrollbackCount(), 4);
        screen.resize(9, 20);
        QCOMPARE(screen.scrollbackCount(), 0);
        QCOMPARE(screen.lineText(0), "line 1");
        QCOMPARE(screen.cursor().line, 8);
    }

    void alternateScreenLeavesTheFirstAlone()
    {
        ui::TerminalScreen screen(4, 20);
        screen.feed("before\x1b[?1049h\x1b[Hfull screen");
        QVERIFY(screen.alternateScreen());
        QCOMPARE(screen.lineText(0), "full screen");
        screen.resize(6, 12);
        screen.feed("\x1b[?1049l");
        QVERIFY(!screen.alternateScreen());
        QCOMPARE(screen.lineText(0), "before");
    }

    void keysBecomeSequences()
    {
        ui::TerminalScreen screen(4, 20);
        QByteArray sent;
        screen.output = [&](QByteArray const& bytes) { sent += bytes; };
        screen.sendKey(VTERM_KEY_UP, VTERM_MOD_NONE);
        screen.sendKey(static_cast<VTermKey>(VTERM_KEY_FUNCTION(5)), VTERM_MOD_NONE);
        screen.sendCharacter(U'c', VTERM_MOD_CTRL);
        QCOMPARE(sent, QByteArray("\x1b[A\x1b[15~\x03"));
    }

    void pastedTextIsBracketedWhereAskedAndNeverPressesKeys()
    {
        ui::TerminalScreen screen(4, 20);
        QByteArray sent;
        screen.output = [&](QByteArray const& bytes) { sent += bytes; };
        screen.paste("a\nb\x1b[201~\x03");
        QCOMPARE(sent, QByteArray("a\rb[201~"));
        sent.clear();
        screen.feed("\x1b[?2004h");
        screen.paste("x");
        QCOMPARE(sent, QByteArray("\x1b[200~x\x1b[201~"));
    }

    void onlyChangedRowsAreReported()
    {
        ui::TerminalScreen screen(10, 20);
        screen.takeChanges();
        screen.feed("\x1b[4;1Hx");
        QCOMPARE(screen.takeChanges().rows, (std::vector<int> { 0, 3 })); // the cursor left the first row
    }

    void wideAndCombiningCharacters()
    {
        ui::TerminalScreen screen(2, 10);
        screen.feed(QString::fromUtf8("日本e\u0301").toUtf8());
        QCOMPARE(screen.lineText(0), QString::fromUtf8("日本e\u0301"));
        QCOMPARE(screen.line(0).cells[0].width, std::uint8_t { 2 });
        QCOMPARE(screen.line(0).cells[1].width, std::uint8_t { 0 });
    }

    void anyBytesAndAnySizeAreSurvived()
    {
        ui::TerminalScreen screen(24, 80);
        std::uint32_t random = 12345;
        for (int round = 0; round < 400; ++round) {
            QByteArray bytes;
            for (int i = 0; i < 200; ++i) {
                random = random * 1664525 + 1013904223;
                auto const value = static_cast<char>(random >> 24);
                bytes += (random & 0x700000) == 0 ? QByteArray("\x1b[") : QByteArray(1, value);
                if ((random & 0xf0000) == 0)
                    bytes += "\x1b[?1049" + QByteArray((random & 0x8000) ? "h" : "l");
            }
            screen.feed(bytes);
            screen.resize(1 + static_cast<int>(random >> 8) % 40, 1 + static_cast<int>(random >> 16) % 120);
            QVERIFY(screen.cursor().line < screen.lineCount());
            QVERIFY(screen.cursor().column <= screen.columns());
        }
        QVERIFY(!screen.text({ 0, 0 }, { screen.lineCount(), 1000 }).isNull());
    }
};

class TerminalWidgetTest final : public QObject {
    Q_OBJECT
private slots:
    void typedKeysComeOut()
    {
        ui::TerminalWidget terminal;
        QSignalSpy typed(&terminal, &ui::TerminalWidget::typed);
        QTest::keyClicks(&terminal, "ls");
        QTest::keyClick(&terminal, Qt::Key_Return);
        QTest::keyClick(&terminal, Qt::Key_D, Qt::ControlModifier);
        QByteArray all;
        for (auto const& call : typed)
            all += call[0].toByteArray();
        QCOMPARE(all, QByteArray("ls\r\x04"));
    }

    void keysPasteAndWhereTheGuestAsksInBrackets_data()
    {
        QTest::addColumn<Qt::Key>("key");
        QTest::addColumn<Qt::KeyboardModifiers>("modifiers");
        QTest::newRow("Ctrl+Shift+V") << Qt::Key_V << Qt::KeyboardModifiers(Qt::ControlModifier | Qt::ShiftModifier);
        QTest::newRow("Shift+Insert") << Qt::Key_Insert << Qt::KeyboardModifiers(Qt::ShiftModifier);
    }
    void keysPasteAndWhereTheGuestAsksInBrackets()
    {
        QFETCH(Qt::Key, key);
        QFETCH(Qt::KeyboardModifiers, modifiers);
        ui::TerminalWidget terminal;
        QByteArray all;
        connect(&terminal, &ui::TerminalWidget::typed, this, [&](QByteArray const& bytes) { all += bytes; });
        QGuiApplication::clipboard()->setText("ls\ncd");
        QTest::keyClick(&terminal, key, modifiers);
        QCOMPARE(all, QByteArray("ls\rcd"));
        all.clear();
        terminal.feed("\x1b[?2004h");
        QTest::keyClick(&terminal, key, modifiers);
        QCOMPARE(all, QByteArray("\x1b[200~ls\rcd\x1b[201~"));
        all.clear();
        terminal.feed("\x1b[?2004l");
        QTest::keyClick(&terminal, key, modifiers);
        QCOMPARE(all, QByteArray("ls\rcd"));
    }

    void whatIsPastedIsSeen()
    {
        ui::TerminalWidget terminal;
        terminal.resize(600, 300);
        terminal.show();
        terminal.feed(numberedLines(200));
        auto const* bar = terminal.verticalScrollBar();
        terminal.verticalScrollBar()->setValue(50);
        QVERIFY(bar->value() != bar->maximum());
        terminal.paste();
        QCOMPARE(bar->value(), bar->maximum());
    }

    /// A serial console of USB can be pulled out under it.
    void itsMenuGoesWithIt()
    {
        auto terminal = std::make_unique<ui::TerminalWidget>();
        terminal->resize(600, 300);
        terminal->show();
        QTimer::singleShot(0, this, [] {
            if (auto* waiting = QApplication::activePopupWidget())
                waiting->close();
        });
        QContextMenuEvent event(QContextMenuEvent::Keyboard, QPoint(), terminal->mapToGlobal(QPoint(10, 10)));
        QCoreApplication::sendEvent(terminal.get(), &event);
        QPointer<QWidget> const menu(QApplication::activePopupWidget());
        QVERIFY(menu); // nobody has waited for it
        terminal.reset();
        QVERIFY(!menu);
    }

    void pastQuestionsAreNotAnsweredAgain()
    {
        ui::TerminalWidget terminal;
        QSignalSpy typed(&terminal, &ui::TerminalWidget::typed);
        terminal.feed("\x1b[6n", ui::TerminalWidget::Answers::Swallow);
        QCOMPARE(typed.count(), 0);
        terminal.feed("\x1b[6n");
        QCOMPARE(typed.count(), 1);
        QCOMPARE(typed[0][0].toByteArray(), QByteArray("\x1b[1;1R"));
    }

    void muchOutputArrivesInSlices()
    {
        ui::TerminalWidget terminal;
        terminal.resize(600, 300);
        terminal.feed(numberedLines(20000));
        QCoreApplication::processEvents(); // the first
        auto const last = [&] { return terminal.screen().lineText(terminal.screen().lineCount() - 2); };
        QVERIFY(last() != "line 20000");
        QTRY_COMPARE(last(), "line 20000");
    }

    void selectionIsCopied()
    {
        ui::TerminalWidget terminal;
        terminal.resize(600, 300);
        terminal.show();
        terminal.feed("first line\r\nsecond line\r\n");
        auto const from = terminal.cellRect({ 0, 6 }), to = terminal.cellRect({ 1, 6 });
        QTest::mousePress(terminal.viewport(), Qt::LeftButton, {}, from.topLeft() + QPoint(1, 4));
        QTest::mouseMove(terminal.viewport(), to.topLeft() + QPoint(1, 4));
        QTest::mouseRelease(terminal.viewport(), Qt::LeftButton, {}, to.topLeft() + QPoint(1, 4));
        QCOMPARE(terminal.selectedText(), "line\nsecond");
        QTest::keyClick(&terminal, Qt::Key_C, Qt::ControlModifier | Qt::ShiftModifier);
        QCOMPARE(QGuiApplication::clipboard()->text(), "line\nsecond");
    }

    void keyboardAloneSelects()
    {
        ui::TerminalWidget terminal;
        terminal.resize(600, 300);
        terminal.feed("alpha beta\r\n");
        QTest::keyClick(&terminal, Qt::Key_M, Qt::ControlModifier | Qt::ShiftModifier);
        QVERIFY(terminal.markMode());
        QTest::keyClick(&terminal, Qt::Key_Up);
        QTest::keyClick(&terminal, Qt::Key_End, Qt::ShiftModifier);
        QCOMPARE(terminal.selectedText(), "alpha beta");
        QTest::keyClick(&terminal, Qt::Key_Return);
        QVERIFY(!terminal.markMode());
        QCOMPARE(QGuiApplication::clipboard()->text(), "alpha beta");
    }

    void mouseIsReportedWhereTheGuestAsks()
    {
        ui::TerminalWidget terminal;
        terminal.resize(600, 300);
        terminal.feed("\x1b[?1000h\x1b[?1006h");
        QSignalSpy typed(&terminal, &ui::TerminalWidget::typed);
        QTest::mouseClick(terminal.viewport(), Qt::LeftButton, {}, terminal.cellRect({ 2, 3 }).center());
        QByteArray all;
        for (auto const& call : typed)
            all += call[0].toByteArray();
        QCOMPARE(all, QByteArray("\x1b[<0;4;3M\x1b[<0;4;3m"));
    }

    void zoomChangesTheGrid()
    {
        ui::TerminalWidget terminal;
        terminal.resize(800, 400);
        terminal.show();
        auto const before = terminal.screen().columns();
        QTest::keyClick(&terminal, Qt::Key_Plus, Qt::ControlModifier);
        QTest::keyClick(&terminal, Qt::Key_Plus, Qt::ControlModifier);
        QCOMPARE(terminal.zoom(), 2);
        QVERIFY(terminal.screen().columns() < before);
    }

    void readingBackIsNotDisturbedByOutput()
    {
        ui::TerminalWidget terminal;
        terminal.resize(600, 300);
        terminal.show();
        terminal.feed(numberedLines(200));
        terminal.verticalScrollBar()->setValue(50);
        auto const shown = terminal.visibleText();
        terminal.feed("more\r\n");
        QCOMPARE(terminal.visibleText(), shown);
    }

    void screenReaderSeesTheVisibleText()
    {
        ui::TerminalWidget terminal;
        terminal.resize(600, 300);
        terminal.feed("login: ");
        auto* accessible = QAccessible::queryAccessibleInterface(&terminal);
        QVERIFY(accessible && accessible->textInterface());
        QCOMPARE(accessible->role(), QAccessible::Terminal);
        QCOMPARE(accessible->textInterface()->text(0, 6), "login:");
        QCOMPARE(accessible->textInterface()->cursorPosition(), 7);
    }
};

REGISTER_SUITE(TerminalScreenTest);
REGISTER_SUITE(TerminalWidgetTest);
#include "terminal_test.moc"
