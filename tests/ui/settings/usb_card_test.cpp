#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"

#include <QApplication>
#include <QComboBox>
#include <QMenu>
#include <QToolButton>

using app::UsbRestore;
using tests::button;
using tests::Desk;

/// What a machine is made with on USB, and what going back to a moment does to devices of the host's.
class UsbCardTest final : public QObject {
    Q_OBJECT
private slots:
    void whatGoingBackDoesIsTheMachinesOwn()
    {
        Desk desk;
        auto const first = desk.create("first"), second = desk.create("second");
        desk.open();
        auto const name = QStringLiteral("USB devices of this computer after going back");
        auto* page = desk.settings(first);
        QCOMPARE(desk.named<QComboBox>(page, name)->currentText(), "plugged in anew");
        desk.named<QComboBox>(page, name)->setFocus();
        QTest::keyClick(desk.named<QComboBox>(page, name), Qt::Key_Down);
        QVERIFY(page->hasUnsaved(first));
        page = desk.settings(second);
        QCOMPARE(desk.named<QComboBox>(page, name)->currentText(), "plugged in anew");
        page = desk.settings(first);
        QCOMPARE(desk.named<QComboBox>(page, name)->currentText(), "left on this computer");
        QVERIFY(desk.start(first)); // at any time
        page->save();
        auto const& rules = desk.library->hostUsb();
        QTRY_COMPARE(rules.rules().restoreOf(first.toStdString()), UsbRestore::Leave);
        QCOMPARE(rules.rules().restoreOf(second.toStdString()), UsbRestore::Attach);
        QTRY_VERIFY(!page->hasUnsaved(first));
    }

    void emulatedDevicesAreAdded()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        auto* page = desk.settings(id);
        auto* menu = button(page, "Add a USB device")->menu();
        emit menu->aboutToShow();
        for (auto* action : menu->actions()) {
            if (action->text() == "USB keyboard")
                action->trigger();
        }
        QVERIFY(!desk.named<QToolButton>(page, "Remove usb0")->isEnabled()); // the keyboard hangs on it
        page->save();
        QTRY_COMPARE(desk.library->config(id).usbDevices.size(), 1u);
        QCOMPARE(desk.library->config(id).usbControllers.size(), 1u);
    }
};

REGISTER_SUITE(UsbCardTest);
#include "usb_card_test.moc"
