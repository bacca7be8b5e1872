#include "tests/support/suite.h"
#include "tests/ui/find_by_text.h"
#include "ui/usb/usb_drop.h"
#include "ui/usb/usb_panel.h"
#include "ui/usb/usb_row_view.h"
#include "ui/widgets/switch.h"

#include <QAccessible>
#include <QApplication>
#include <QDrag>
#include <QDropEvent>
#include <QMouseEvent>
#include <QPushButton>
#include <QSignalSpy>

using ui::UsbPanel;
using ui::UsbRow;

namespace {

UsbRow stick(bool plugged = false)
{
    return { "1-2", plugged ? UsbRow::Group::Machine : UsbRow::Group::Host, "stick", "Kingston DataTraveler",
        "480 Mbit/s", "Port 1-2", {}, plugged };
}

UsbRow keyboard()
{
    return { "1-3", UsbRow::Group::Host, "keyboard", "Cherry Keyboard", "1.5 Mbit/s", "Port 1-3", {}, false };
}

UsbRow tablet()
{
    return { "usb-tablet-0", UsbRow::Group::Own, "pointer", "USB tablet", "usb-tablet-0", "usb-tablet-0", {}, true };
}

UsbRow remote()
{
    return { "redir1", UsbRow::Group::Remote, "stick", "0951:1666", "480 Mbit/s · from 10.0.0.7:4000",
        "usbredirect 0.13", {}, true };
}

UsbRow place()
{
    return { "redir2", UsbRow::Group::Place, "usb", "127.0.0.1:4000", "What is passed on to here is plugged in",
        "redir2", {}, true };
}

/// The panel in a window that has the focus.
struct Bench {
    QWidget window;
    UsbPanel* panel = new UsbPanel(&window);
    QSignalSpy wanted { panel, &UsbPanel::wanted };

    explicit Bench(std::vector<UsbRow> rows)
    {
        window.resize(260, 500);
        panel->resize(260, 500);
        panel->setRows(std::move(rows));
        window.show();
        [&] { QVERIFY(QTest::qWaitForWindowActive(&window)); }();
    }
    ui::Switch* plug(QString const& name) const
    {
        for (auto* one : panel->findChildren<ui::Switch*>()) {
            if (one->accessibleName() == name && one->isVisible())
                return one;
        }
        qFatal("there is no %s", qPrintable(name));
    }
    ui::UsbGroup* group(QString const& heading) const
    {
        for (auto* one : panel->findChildren<ui::UsbGroup*>()) {
            if (one->accessibleName() == heading)
                return one;
        }
        qFatal("there is no group %s", qPrintable(heading));
    }
    ui::UsbRowView* row(QString const& id) const
    {
        for (auto* one : panel->findChildren<ui::UsbRowView*>()) {
            if (one->row().id == id)
                return one;
        }
        qFatal("there is no row %s", qPrintable(id));
    }
    /// The mouse, pressed on a row and moved to the right; what hangs on it then. Offscreen a drag ends where it began.
    std::optional<ui::DraggedUsb> drag(QString const& id, int distance, Qt::MouseButton button = Qt::LeftButton) const
    {
        auto* over = row(id);
        auto const send = [over, button](QEvent::Type type, QPoint at) {
            QMouseEvent event(type, at, over->mapToGlobal(at), button, button, {});
            QApplication::sendEvent(over, &event);
        };
        send(QEvent::MouseButtonPress, { 3, 3 });
        send(QEvent::MouseMove, { 3 + distance, 3 });
        std::unique_ptr<QDrag> const dragged(panel->findChild<QDrag*>());
        return dragged ? ui::DraggedUsb::from(dragged->mimeData()) : std::nullopt;
    }
    QList<QVariant> takeWanted() { return wanted.isEmpty() ? QList<QVariant>() : wanted.takeFirst(); }
};

/// What the window system sends when a device is dropped on `target`; false: it was not taken.
bool drop(QWidget* target, ui::DraggedUsb const& device)
{
    std::unique_ptr<QMimeData> const mime(device.toMime());
    QDragEnterEvent enter(target->rect().center(), Qt::MoveAction, mime.get(), Qt::LeftButton, Qt::NoModifier);
    enter.ignore();
    QApplication::sendEvent(target, &enter);
    if (!enter.isAccepted())
        return false;
    QDropEvent event(QPointF(target->rect().center()), Qt::MoveAction, mime.get(), Qt::LeftButton, Qt::NoModifier);
    event.ignore();
    QApplication::sendEvent(target, &event);
    return event.isAccepted();
}

}

/// USB devices as rows, to be plugged in and out by a click, a key or by dragging them.
class UsbPanelTest final : public QObject {
    Q_OBJECT
private slots:
    void aSwitchAsksAndFollowsWhatIs()
    {
        Bench bench({ stick() });
        QTest::mouseClick(bench.plug("Kingston DataTraveler"), Qt::LeftButton);
        QCOMPARE(bench.takeWanted(), (QList<QVariant> { "1-2", true }));
        QVERIFY(!bench.plug("Kingston DataTraveler")->isChecked());
        bench.panel->setRows({ stick(true) });
        QVERIFY(bench.plug("Kingston DataTraveler")->isChecked());
        QTest::mouseClick(bench.plug("Kingston DataTraveler"), Qt::LeftButton);
        QCOMPARE(bench.takeWanted(), (QList<QVariant> { "1-2", false }));
    }

    void byKeyboardAlone()
    {
        Bench bench({ stick(), keyboard(), tablet() });
        bench.panel->focusFirst();
        QVERIFY(bench.plug("Kingston DataTraveler")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QCOMPARE(bench.takeWanted(), (QList<QVariant> { "1-2", true }));
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Down);
        QVERIFY(bench.plug("Cherry Keyboard")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QCOMPARE(QApplication::focusWidget()->accessibleName(), "Remove USB tablet");
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QVERIFY(bench.plug("USB tablet")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QCOMPARE(bench.takeWanted(), (QList<QVariant> { "usb-tablet-0", false }));
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Up);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Up);
        QVERIFY(bench.plug("Cherry Keyboard")->hasFocus());
        // The order is that of the rows, wherever they have been before.
        bench.panel->setRows({ keyboard(), stick(), tablet() });
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QVERIFY(bench.plug("Kingston DataTraveler")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Backtab);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Backtab);
        auto* rules = qobject_cast<QPushButton*>(QApplication::focusWidget());
        QVERIFY(rules && rules->text() == "Rules…");
        QSignalSpy const requested(bench.panel, &UsbPanel::rulesRequested);
        QTest::keyClick(rules, Qt::Key_Space);
        QCOMPARE(requested.size(), 1);
    }

    void theFocusGoesWithADeviceAndOnWhereItIsGone()
    {
        Bench bench({ stick(), keyboard() });
        bench.plug("Kingston DataTraveler")->setFocus();
        bench.panel->setRows({ stick(true), keyboard() });
        QVERIFY(bench.plug("Kingston DataTraveler")->hasFocus());
        QVERIFY(bench.group("In the machine")->isAncestorOf(bench.plug("Kingston DataTraveler")));
        bench.panel->setRows({ keyboard() });
        QVERIFY(bench.plug("Cherry Keyboard")->hasFocus());
    }

    void ofOtherComputers()
    {
        Bench bench({ remote(), place(), stick() });
        auto* device = bench.plug("0951:1666");
        QVERIFY(bench.group("From other computers")->isAncestorOf(device));
        QCOMPARE(device->accessibleDescription(), "480 Mbit/s · from 10.0.0.7:4000");
        QCOMPARE(device->toolTip(), "Give it back to the other computer");
        QTest::mouseClick(device, Qt::LeftButton);
        QCOMPARE(bench.takeWanted(), (QList<QVariant> { "redir1", false }));
        QVERIFY(!drop(bench.group("From other computers"), { "1-2", false }));
        auto* waiting = bench.plug("127.0.0.1:4000");
        QVERIFY(bench.group("Waiting for devices of other computers")->isAncestorOf(waiting));
        QCOMPARE(waiting->toolTip(), "Do not wait there any more");
        waiting->setFocus();
        QTest::keyClick(waiting, Qt::Key_Space);
        QCOMPARE(bench.takeWanted(), (QList<QVariant> { "redir2", false }));
        bench.panel->setRows({ stick() });
        QVERIFY(!bench.group("From other computers")->isVisible());
    }

    void aDragBeginsWhenTheMouseHasGoneFarEnough()
    {
        Bench bench({ stick() });
        QSignalSpy began(bench.panel, &UsbPanel::dragBegan);
        QSignalSpy const ended(bench.panel, &UsbPanel::dragEnded);
        auto const enough = QApplication::startDragDistance();
        QVERIFY(!bench.drag("1-2", enough - 1));
        QVERIFY(!bench.drag("1-2", enough, Qt::RightButton));
        QVERIFY(began.isEmpty());
        auto const dragged = bench.drag("1-2", enough);
        QVERIFY(dragged && dragged->id == "1-2" && !dragged->plugged);
        QCOMPARE(began.takeFirst(), QList<QVariant> { "Kingston DataTraveler" });
        QCOMPARE(ended.size(), 1);
        bench.panel->setRows({ stick(true) });
        auto const back = bench.drag("1-2", enough);
        QVERIFY(back && back->id == "1-2" && back->plugged);
        QVERIFY(began.isEmpty()); // the display has nothing to take
        QCOMPARE(ended.size(), 2);
    }

    void whatCannotGoElsewhereIsNotDragged()
    {
        auto taken = keyboard();
        taken.whyNot = "“mail” has it: give it back there first.";
        Bench bench({ taken, tablet(), remote(), place() });
        for (auto const* id : { "1-3", "usb-tablet-0", "redir1", "redir2" })
            QVERIFY(!bench.drag(id, 2 * QApplication::startDragDistance()));
    }

    void draggedFromOneGroupToTheOther()
    {
        Bench bench({ stick(), tablet() });
        QVERIFY(!drop(bench.group("On this computer"), { "1-2", false })); // it is there
        bench.panel->setRows({ stick(true), tablet() });
        QVERIFY(drop(bench.group("On this computer"), { "1-2", true }));
        QCOMPARE(bench.takeWanted(), (QList<QVariant> { "1-2", false }));
        QVERIFY(!drop(bench.group("In the machine"), { "1-2", true }));
        QVERIFY(drop(bench.group("In the machine"), { "1-3", false }));
        QCOMPARE(bench.takeWanted(), (QList<QVariant> { "1-3", true }));
        QVERIFY(!drop(bench.group("The machine's own"), { "1-3", false }));
        QVERIFY(bench.wanted.isEmpty());
    }

    void draggedOntoTheDisplay()
    {
        QWidget page;
        page.resize(400, 300);
        ui::UsbDropZone zone(&page);
        QSignalSpy dropped(&zone, &ui::UsbDropZone::dropped);
        zone.offer({ 0, 0, 400, 300 }, "Drop it here to attach “Kingston DataTraveler” to web");
        QCOMPARE(zone.accessibleName(), "Drop it here to attach “Kingston DataTraveler” to web");
        QVERIFY(drop(&zone, { "1-2", false }));
        QCOMPARE(dropped.takeFirst(), QList<QVariant> { "1-2" });
        QVERIFY(!drop(&zone, { "1-2", true })); // it is in the machine
        QMimeData other;
        other.setText("1-2");
        QDragEnterEvent enter(QPoint(9, 9), Qt::MoveAction, &other, Qt::LeftButton, Qt::NoModifier);
        enter.ignore();
        QApplication::sendEvent(&zone, &enter);
        QVERIFY(!enter.isAccepted());
        QVERIFY(dropped.isEmpty());
    }

    void whatCannotBePluggedInSaysWhy()
    {
        auto row = stick();
        row.details = "480 Mbit/s · in “mail”";
        row.whyNot = "“mail” has it: give it back there first.";
        Bench bench({ row, keyboard() });
        auto* plug = bench.plug("Kingston DataTraveler");
        QVERIFY(!plug->isEnabled());
        QCOMPARE(plug->toolTip(), row.whyNot);
        QVERIFY(plug->accessibleDescription().contains(row.whyNot));
        bench.panel->focusFirst();
        QVERIFY(bench.plug("Cherry Keyboard")->hasFocus());
    }

    void aScreenReaderFindsSwitchesWithTheirNamesAndStates()
    {
        Bench bench({ stick(true), keyboard() });
        auto* plugged = QAccessible::queryAccessibleInterface(bench.plug("Kingston DataTraveler"));
        QCOMPARE(plugged->role(), QAccessible::CheckBox);
        QCOMPARE(plugged->text(QAccessible::Name), "Kingston DataTraveler");
        QCOMPARE(plugged->text(QAccessible::Description), "480 Mbit/s");
        QVERIFY(plugged->state().checked);
        QVERIFY(!QAccessible::queryAccessibleInterface(bench.plug("Cherry Keyboard"))->state().checked);
        plugged->actionInterface()->doAction(QAccessibleActionInterface::toggleAction());
        QCOMPARE(bench.takeWanted(), (QList<QVariant> { "1-2", false }));
    }

    void whereNothingIsPluggedInThatIsSaid()
    {
        Bench bench({ tablet() });
        QVERIFY(tests::shows(bench.panel, "No USB device is plugged in."));
        bench.panel->setRows({ stick(true) });
        QVERIFY(tests::shows(bench.panel, "No other USB device is plugged in."));
        bench.panel->setRows({ tablet() });
        QVERIFY(!bench.group("In the machine")->isVisible());
        bench.panel->setRows({}, "The USB devices of this computer cannot be used here.");
        QVERIFY(tests::shows(bench.panel, "The USB devices of this computer cannot be used here."));
        QVERIFY(!bench.group("The machine's own")->isVisible());
    }
};

REGISTER_SUITE(UsbPanelTest);
#include "usb_panel_test.moc"
