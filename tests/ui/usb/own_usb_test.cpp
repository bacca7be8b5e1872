#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/machine/machine_page.h"
#include "ui/widgets/switch.h"

#include <QApplication>

using tests::Desk;

/// The USB devices that a machine is made with, on its page.
class OwnUsbTest final : public QObject {
    Q_OBJECT
private slots:
    void pluggedInAndOutWhetherItRunsOrNot()
    {
        Desk desk;
        auto const id = desk.create("first");
        auto config = desk.library->config(id);
        config.usbControllers = { { "usb0" } };
        config.usbDevices = { { "usb-keyboard-0", vmm::UsbKind::Keyboard, "usb0", true } };
        QVERIFY(desk.change(config));
        desk.open();
        desk.window->showMachine(id);
        auto* machine = desk.window->pageOf(id);
        machine->setInspectorVisible(true);
        QTest::mouseClick(desk.named<ui::Switch>(machine, "USB keyboard"), Qt::LeftButton);
        QTRY_VERIFY(!desk.library->config(id).usbDevices[0].plugged);
        QTRY_VERIFY(!desk.named<ui::Switch>(machine, "USB keyboard")->isChecked());
        desk.session(id).start();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        desk.named<ui::Switch>(machine, "USB keyboard")->setFocus();
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QTRY_VERIFY(desk.script->has("usb usb-keyboard-0 in"));
        QTRY_VERIFY(desk.named<ui::Switch>(machine, "USB keyboard")->isChecked());
    }

    void aSuspendedMachineSaysWhyNot()
    {
        Desk desk;
        auto const id = desk.create("first");
        auto config = desk.library->config(id);
        config.usbControllers = { { "usb0" } };
        config.usbDevices = { { "usb-tablet-0", vmm::UsbKind::Tablet, "usb0", true } };
        QVERIFY(desk.change(config));
        desk.open();
        desk.session(id).start();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        desk.session(id).suspend();
        QVERIFY(desk.waitFor(id, app::SessionState::Suspended));
        desk.window->showMachine(id);
        auto* machine = desk.window->pageOf(id);
        machine->setInspectorVisible(true);
        auto* plug = desk.named<ui::Switch>(machine, "USB tablet");
        QVERIFY(!plug->isEnabled());
        QCOMPARE(plug->toolTip(), "Restore the machine first.");
    }
};

REGISTER_SUITE(OwnUsbTest);
#include "own_usb_test.moc"
