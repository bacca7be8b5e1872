#include "tests/support/suite.h"
#include "ui/display/key_codes.h"
#include "ui/display/screen_widget.h"
#include "ui/display/text_typist.h"

#include <QApplication>
#include <QLabel>
#include <QPaintEvent>
#include <QProcess>
#include <QSignalSpy>
#include <linux/input-event-codes.h>

Q_DECLARE_METATYPE(vmm::KeyInput)
Q_DECLARE_METATYPE(vmm::AbsoluteMove)
Q_DECLARE_METATYPE(vmm::ButtonInput)

using ui::ScreenGeometry;

namespace {

std::vector<std::uint32_t> chequered(QSize size)
{
    std::vector<std::uint32_t> pixels;
    for (int y = 0; y < size.height(); ++y) {
        for (int x = 0; x < size.width(); ++x)
            pixels.push_back((x + y) % 2 == 0 ? 0xffffffff : 0xff000000);
    }
    return pixels;
}

template<typename Value>
std::vector<Value> valuesOf(QSignalSpy const& spy)
{
    std::vector<Value> values;
    for (auto const& call : spy)
        values.push_back(call[0].value<Value>());
    return values;
}

/// As the host tells that the pointer is so far from the middle.
void moveTo(ui::ScreenWidget& screen, QPoint fromMiddle)
{
    auto const at = screen.rect().center() + fromMiddle;
    QMouseEvent event(QEvent::MouseMove, at, screen.mapToGlobal(at), Qt::NoButton, Qt::NoButton, {});
    QApplication::sendEvent(&screen, &event);
}

/// What a widget is asked to paint.
class PaintedRegion final : public QObject {
public:
    explicit PaintedRegion(QWidget& widget) { widget.installEventFilter(this); }
    bool eventFilter(QObject*, QEvent* event) override
    {
        if (event->type() == QEvent::Paint)
            region += static_cast<QPaintEvent*>(event)->region();
        return false;
    }
    QRegion region;
};

}

class ScreenGeometryTest final : public QObject {
    Q_OBJECT
private slots:
    void integerScalesAreExact()
    {
        auto const same = ScreenGeometry::fit({ 640, 480 }, 1, {}, { 640, 480 }, 0);
        QCOMPARE(same.target, QRect(0, 0, 640, 480));
        auto const doubled = ScreenGeometry::fit({ 640, 480 }, 2, {}, { 640, 480 }, 1);
        QCOMPARE(doubled.scale, 2.0);
        QVERIFY(doubled.isExact());
        auto const almost = ScreenGeometry::fit({ 660, 500 }, 1, {}, { 640, 480 }, 0);
        QCOMPARE(almost.scale, 1.0);
        QCOMPARE(almost.target, QRect(10, 10, 640, 480));
    }

    void fitKeepsProportions()
    {
        auto const wide = ScreenGeometry::fit({ 1000, 300 }, 1, {}, { 640, 480 }, 0);
        QCOMPARE(wide.target, QRect(300, 0, 400, 300));
    }

    void fractionalRatioIsStillExactAtOne()
    {
        auto const geometry = ScreenGeometry::fit({ 800, 600 }, 1.25, { 126.25, 40.75 }, { 640, 480 }, 1);
        QVERIFY(geometry.isExact());
        QCOMPARE(geometry.scale, 1.0);
        QCOMPARE(geometry.alignment(), QPointF(0.75, 0.25));
        QCOMPARE(ScreenGeometry::sizeFor({ 640, 480 }, 1.25, 1), QSize(512, 384));
    }

    void pointerHitsTheSamePixelAtEveryScale_data()
    {
        QTest::addColumn<QSize>("widget");
        QTest::addColumn<qreal>("ratio");
        QTest::newRow("1x") << QSize(640, 480) << 1.0;
        QTest::newRow("smaller") << QSize(400, 300) << 1.0;
        QTest::newRow("larger") << QSize(1999, 1117) << 1.0;
        QTest::newRow("125%") << QSize(640, 480) << 1.25;
        QTest::newRow("200%") << QSize(500, 480) << 2.0;
    }
    void pointerHitsTheSamePixelAtEveryScale()
    {
        QFETCH(QSize, widget);
        QFETCH(qreal, ratio);
        auto const geometry = ScreenGeometry::fit(widget, ratio, {}, { 640, 480 }, 0);
        auto const place = QPointF(geometry.target.left() + (320.5) * geometry.target.width() / 640.0,
                               geometry.target.top() + (120.5) * geometry.target.height() / 480.0)
            / ratio;
        auto const move = geometry.toGuest(place);
        QCOMPARE(move.x * 640 / 32768, 320);
        QCOMPARE(move.y * 480 / 32768, 120);
    }

    void pointerOutsideIsClamped()
    {
        auto const geometry = ScreenGeometry::fit({ 1000, 300 }, 1, {}, { 640, 480 }, 0);
        QCOMPARE(geometry.toGuest({ 0, -5 }).x * 640 / 32768, 0);
        QCOMPARE(geometry.toGuest({ 999, 900 }).x * 640 / 32768, 639);
        QCOMPARE(geometry.toGuest({ 999, 900 }).y * 480 / 32768, 479);
    }

    void emptyPicturesAreNoDivision()
    {
        auto const geometry = ScreenGeometry::fit({ 0, 0 }, 1, {}, { 0, 0 }, 0);
        QCOMPARE(geometry.toGuest({ 5, 5 }).x, std::uint16_t { 0 });
    }
};

class ScreenWidgetTest final : public QObject {
    Q_OBJECT
private slots:
    void aCapturedPointerTellsStepsUntilItIsLetGo()
    {
        ui::ScreenWidget screen;
        screen.resize(64, 48);
        screen.show();
        screen.setInputEnabled(true);
        QPoint moved;
        QObject::connect(&screen, &ui::ScreenWidget::relativeMove,
            [&](vmm::RelativeMove move) { moved += QPoint(move.dx, move.dy); });
        moveTo(screen, { 9, 9 });
        QVERIFY(!screen.isCaptured());
        QCOMPARE(moved, QPoint());
        QTest::mouseClick(&screen, Qt::LeftButton);
        QVERIFY(screen.isCaptured());
        moveTo(screen, { 5, 3 });
        moveTo(screen, { -7, 1 });
        QCOMPARE(moved, QPoint(-7, 1));
        screen.releaseEverything();
        QVERIFY(!screen.isCaptured());
    }

    void whatWasOnItsWayAsThePointerWasPutBackIsToldOnce()
    {
        ui::ScreenWidget screen;
        screen.resize(64, 48);
        screen.show();
        screen.setInputEnabled(true);
        QPoint moved;
        QObject::connect(&screen, &ui::ScreenWidget::relativeMove,
            [&](vmm::RelativeMove move) { moved += QPoint(move.dx, move.dy); });
        QTest::mouseClick(&screen, Qt::LeftButton);
        moveTo(screen, { 0, 0 });
        moveTo(screen, { 20, 0 }); // from here it is put back
        moveTo(screen, { 23, 1 });
        QCOMPARE(moved, QPoint(23, 1));
        moveTo(screen, { 0, 0 }); // as which the host tells it
        QCOMPARE(moved, QPoint(23, 1));
        moveTo(screen, { -4, 0 });
        QCOMPARE(moved, QPoint(19, 1));
    }

    void pictureIsPaintedPixelForPixel()
    {
        ui::ScreenWidget screen;
        screen.resize(64, 48);
        auto const pixels = chequered({ 64, 48 });
        screen.showRows({ 64, 48 }, pixels.data(), {});
        auto const shot = screen.grab().toImage().convertToFormat(QImage::Format_RGB32);
        QCOMPARE(shot, screen.image());
    }

    void doubledPixelsStayExact()
    {
        ui::ScreenWidget screen;
        screen.resize(128, 96);
        auto const pixels = chequered({ 64, 48 });
        screen.showRows({ 64, 48 }, pixels.data(), {});
        auto const shot = screen.grab().toImage();
        for (int y = 0; y < 96; ++y) {
            for (int x = 0; x < 128; ++x)
                QCOMPARE(shot.pixel(x, y), (x / 2 + y / 2) % 2 == 0 ? 0xffffffff : 0xff000000);
        }
    }

    void onlyChangedRowsAreTaken()
    {
        ui::ScreenWidget screen;
        screen.resize(64, 48);
        auto pixels = chequered({ 64, 48 });
        screen.showRows({ 64, 48 }, pixels.data(), {});
        std::fill(pixels.begin(), pixels.end(), 0xff00ff00);
        screen.showRows({ 64, 48 }, pixels.data(), { { 10, 12 } });
        QCOMPARE(screen.image().pixel(0, 10), 0xff00ff00);
        QCOMPARE(screen.image().pixel(0, 11), 0xff00ff00);
        QCOMPARE(screen.image().pixel(0, 12), 0xffffffff);
    }

    void onlyChangedRowsArePainted_data()
    {
        QTest::addColumn<QSize>("size");
        QTest::addColumn<int>("scale");
        QTest::newRow("pixel for pixel") << QSize(640, 480) << 1;
        QTest::newRow("doubled") << QSize(1280, 960) << 2;
    }
    void onlyChangedRowsArePainted()
    {
        QFETCH(QSize, size);
        QFETCH(int, scale);
        ui::ScreenWidget screen;
        screen.resize(size);
        screen.show();
        QVERIFY(QTest::qWaitForWindowExposed(&screen));
        auto const pixels = chequered({ 640, 480 });
        screen.showRows({ 640, 480 }, pixels.data(), {});
        QTest::qWait(1);
        PaintedRegion painted(screen);
        screen.showRows({ 640, 480 }, pixels.data(), { { 100, 102 }, { 300, 301 } });
        QTRY_VERIFY(!painted.region.isEmpty());
        QRegion const changed
            = QRegion(0, 100 * scale, size.width(), 2 * scale) + QRegion(0, 300 * scale, size.width(), scale);
        QVERIFY((changed - painted.region).isEmpty());
        auto area = 0;
        for (auto const& rectangle : painted.region - changed)
            area += rectangle.width() * rectangle.height();
        QVERIFY2(area <= 4 * size.width(), qPrintable(QString::number(area))); // a row on each side, for smoothing
    }

    /// In a process of its own each: the ratio is the platform's.
    void thePictureIsExactAtEveryRatio_data()
    {
        QTest::addColumn<QString>("ratio");
        for (auto const* ratio : { "1", "1.25", "1.5", "2" })
            QTest::newRow(ratio) << ratio;
    }
    void thePictureIsExactAtEveryRatio()
    {
        QFETCH(QString, ratio);
        QProcess child;
        auto environment = QProcessEnvironment::systemEnvironment();
        environment.insert("QT_SCALE_FACTOR", ratio);
        environment.insert("CHRONOVISOR_TEST_RATIO", ratio);
        child.setProcessEnvironment(environment);
        child.start(QCoreApplication::applicationFilePath(), { "ScreenRatioTest" });
        QVERIFY(child.waitForFinished(60000));
        QVERIFY2(child.exitCode() == 0, child.readAllStandardOutput());
    }

    void keysGoByPlace()
    {
        QKeyEvent const fromX11(QEvent::KeyPress, Qt::Key_Z, {}, 29, 0, 0); // a German keyboard's Z is at KEY_Y
        QCOMPARE(ui::evdevCode(fromX11), std::uint16_t { KEY_Y });
        QKeyEvent const withoutCode(QEvent::KeyPress, Qt::Key_F11, {});
        QCOMPARE(ui::evdevCode(withoutCode), std::uint16_t { KEY_F11 });
    }

    void autoRepeatIsFilteredAndKeysGoUpWithTheFocus()
    {
        ui::ScreenWidget screen;
        screen.setInputEnabled(true);
        QSignalSpy keys(&screen, &ui::ScreenWidget::key);
        QTest::keyPress(&screen, Qt::Key_A);
        QKeyEvent repeat(QEvent::KeyPress, Qt::Key_A, {}, QStringLiteral("a"), true);
        QCoreApplication::sendEvent(&screen, &repeat);
        QFocusEvent lost(QEvent::FocusOut);
        QCoreApplication::sendEvent(&screen, &lost);
        QCOMPARE(valuesOf<vmm::KeyInput>(keys), (std::vector<vmm::KeyInput> { { KEY_A, true }, { KEY_A, false } }));
    }

    void controlAndAltAloneGetOut()
    {
        ui::ScreenWidget screen;
        screen.setInputEnabled(true);
        QSignalSpy leave(&screen, &ui::ScreenWidget::leaveRequested);
        QTest::keyPress(&screen, Qt::Key_Control);
        QTest::keyPress(&screen, Qt::Key_Alt);
        QTest::keyClick(&screen, Qt::Key_Delete);
        QTest::keyRelease(&screen, Qt::Key_Alt);
        QTest::keyRelease(&screen, Qt::Key_Control);
        QCOMPARE(leave.count(), 0);
        QTest::keyPress(&screen, Qt::Key_Control);
        QTest::keyPress(&screen, Qt::Key_Alt);
        QTest::keyRelease(&screen, Qt::Key_Alt);
        QCOMPARE(leave.count(), 1);
    }

    void whoComesWithoutThePointerIsToldTheWayOutOnce()
    {
        ui::ScreenWidget screen;
        screen.setAccessibleDescription("Ctrl+Alt leads out.");
        screen.setInputEnabled(true);
        auto const* hint = screen.findChild<QLabel*>();
        auto const come = [&](Qt::FocusReason reason) {
            QFocusEvent event(QEvent::FocusIn, reason);
            QCoreApplication::sendEvent(&screen, &event);
        };
        come(Qt::MouseFocusReason);
        QVERIFY(hint->isHidden());
        come(Qt::TabFocusReason);
        QVERIFY(!hint->isHidden());
        QCOMPARE(hint->text(), "Ctrl+Alt leads out.");
        screen.findChild<QLabel*>()->hide();
        come(Qt::TabFocusReason);
        QVERIFY(hint->isHidden());
    }

    void absolutePointerNeedsNoCapture()
    {
        ui::ScreenWidget screen;
        screen.resize(64, 48);
        auto const pixels = chequered({ 64, 48 });
        screen.showRows({ 64, 48 }, pixels.data(), {});
        screen.setInputEnabled(true);
        screen.setAbsolutePointer(true);
        QSignalSpy moves(&screen, &ui::ScreenWidget::absoluteMove);
        QSignalSpy buttons(&screen, &ui::ScreenWidget::button);
        QTest::mouseClick(&screen, Qt::LeftButton, {}, { 32, 24 });
        QVERIFY(!screen.isCaptured());
        QCOMPARE(moves[0][0].value<vmm::AbsoluteMove>().x * 64 / 32768, 32);
        QCOMPARE(buttons.count(), 2);
    }

    void relativePointerIsCapturedUntilReleased()
    {
        ui::ScreenWidget screen;
        screen.resize(64, 48);
        screen.setInputEnabled(true);
        QSignalSpy buttons(&screen, &ui::ScreenWidget::button);
        QTest::mouseClick(&screen, Qt::LeftButton, {}, { 32, 24 });
        QVERIFY(screen.isCaptured());
        QCOMPARE(buttons.count(), 0);
        QTest::keyPress(&screen, Qt::Key_Control);
        QTest::keyPress(&screen, Qt::Key_Alt);
        QTest::keyRelease(&screen, Qt::Key_Control);
        QVERIFY(!screen.isCaptured());
    }

    void everyLayoutHasKeysForAsciiText_data()
    {
        QTest::addColumn<QString>("name");
        for (auto const& layout : ui::keyboardLayouts())
            QTest::newRow(qPrintable(layout.name)) << layout.name;
    }
    void everyLayoutHasKeysForAsciiText()
    {
        QFETCH(QString, name);
        ui::KeyboardLayout const layout(name);
        for (char32_t character = 0x20; character < 0x7f; ++character)
            QVERIFY2(!layout.strokesFor(character).empty(), qPrintable(QString::number(character)));
        QCOMPARE(layout.strokesFor(U'\n'), (std::vector<ui::KeyStroke> { { KEY_ENTER } }));
        QVERIFY(layout.strokesFor(U'\x1b').empty()); // the key is there, and no text
    }

    void charactersAreTypedWithTheGuestsKeys()
    {
        using Strokes = std::vector<ui::KeyStroke>;
        ui::KeyboardLayout const us("us"), german("de");
        QCOMPARE(us.strokesFor(U'z'), (Strokes { { KEY_Z } }));
        QCOMPARE(us.strokesFor(U'A'), (Strokes { { KEY_LEFTSHIFT, KEY_A } }));
        QCOMPARE(us.strokesFor(U'<'), (Strokes { { KEY_LEFTSHIFT, KEY_COMMA } })); // most have no 102nd key
        QVERIFY(us.strokesFor(U'ä').empty());
        QCOMPARE(german.strokesFor(U'z'), (Strokes { { KEY_Y } }));
        QCOMPARE(german.strokesFor(U'ä'), (Strokes { { KEY_APOSTROPHE } }));
        QCOMPARE(german.strokesFor(U'/'), (Strokes { { KEY_LEFTSHIFT, KEY_7 } })); // and not the keypad's
        QCOMPARE(german.strokesFor(U'@'), (Strokes { { KEY_RIGHTALT, KEY_Q } }));
        QCOMPARE(german.strokesFor(U'<'), (Strokes { { KEY_102ND } }));
        QCOMPARE(german.strokesFor(U'^'), (Strokes { { KEY_GRAVE }, { KEY_SPACE } })); // a dead key
    }

    void textIsTypedKeyByKey()
    {
        ui::TextTypist typist;
        QSignalSpy keys(&typist, &ui::TextTypist::key);
        QSignalSpy finished(&typist, &ui::TextTypist::finished);
        auto const left = typist.type(QString::fromUtf8("Aß"), ui::KeyboardLayout("us"));
        QCOMPARE(left.withoutKey, 1);
        QVERIFY(!left.isCut);
        QVERIFY(!typist.progress()); // it is done at once
        QTRY_COMPARE(finished.count(), 1);
        QCOMPARE(valuesOf<vmm::KeyInput>(keys),
            (std::vector<vmm::KeyInput> {
                { KEY_LEFTSHIFT, true }, { KEY_A, true }, { KEY_A, false }, { KEY_LEFTSHIFT, false } }));
    }

    void typingWaitsWhileTheMachineIsPaused()
    {
        ui::TextTypist typist;
        QSignalSpy keys(&typist, &ui::TextTypist::key);
        typist.setPaused(true);
        typist.type("a", ui::KeyboardLayout("us"));
        QTest::qWait(50);
        QCOMPARE(keys.count(), 0);
        typist.setPaused(false);
        QTRY_COMPARE(keys.count(), 2);
    }

    void whoStopsTypingLeavesNoKeyDown()
    {
        ui::TextTypist typist;
        QSignalSpy keys(&typist, &ui::TextTypist::key);
        QSignalSpy finished(&typist, &ui::TextTypist::finished);
        connect(&typist, &ui::TextTypist::key, &typist, &ui::TextTypist::stop); // when Shift is down
        typist.type("AA", ui::KeyboardLayout("us"));
        QTRY_COMPARE(finished.count(), 1);
        QVERIFY(!typist.isTyping());
        QCOMPARE(valuesOf<vmm::KeyInput>(keys),
            (std::vector<vmm::KeyInput> { { KEY_LEFTSHIFT, true }, { KEY_LEFTSHIFT, false } }));
    }

    void aTextThatIsTooLongIsCutAndSaysHowFarItIs()
    {
        ui::TextTypist typist;
        auto const left = typist.type(QString(ui::TextTypist::limit + 1, 'x'), ui::KeyboardLayout("us"));
        QVERIFY(left.isCut);
        QVERIFY(typist.progress());
        QTRY_VERIFY(typist.progress() > 0.0);
        typist.stop();
        QVERIFY(!typist.progress());
    }
};

/// At the ratio of device pixels that this process was started with; ScreenWidgetTest starts it with others.
class ScreenRatioTest final : public QObject {
    Q_OBJECT
private slots:
    void eachPixelOfTheGuestIsOneOfTheScreen()
    {
        ui::ScreenWidget screen;
        auto const ratio = screen.devicePixelRatioF();
        QCOMPARE(ratio, qEnvironmentVariable("CHRONOVISOR_TEST_RATIO", "1").toDouble());
        screen.resize(90, 71);
        screen.setZoom(1);
        auto const pixels = chequered({ 64, 48 });
        screen.showRows({ 64, 48 }, pixels.data(), {});
        auto const target = screen.geometryOfPicture().target;
        auto const scale = static_cast<int>(ratio); // 2 on a screen of twice as many
        QCOMPARE(target.size(), QSize(64, 48) * scale);
        auto const shot = screen.grab().toImage();
        for (int y = 0; y < target.height(); ++y) {
            for (int x = 0; x < target.width(); ++x)
                QCOMPARE(shot.pixel(target.topLeft() + QPoint(x, y)),
                    (x / scale + y / scale) % 2 == 0 ? 0xffffffff : 0xff000000);
        }
    }
};

REGISTER_SUITE(ScreenRatioTest);
REGISTER_SUITE(ScreenGeometryTest);
REGISTER_SUITE(ScreenWidgetTest);
#include "screen_test.moc"
