#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/machine/machine_page.h"
#include "ui/serial/terminal_widget.h"
#include "ui/usb/usb_model.h"
#include "ui/widgets/switch.h"
#include "vmm/block/image.h"

#include <QApplication>
#include <QFileDialog>
#include <QMenu>
#include <QToolButton>
#include <algorithm>

using tests::button;
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
        QVERIFY(desk.start(id));
        desk.named<ui::Switch>(machine, "USB keyboard")->setFocus();
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QTRY_VERIFY(desk.script->has("usb usb-keyboard-0 in"));
        QTRY_VERIFY(desk.named<ui::Switch>(machine, "USB keyboard")->isChecked());
    }

    void addedAndRemovedWhetherItRunsOrNot()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.window->showMachine(id);
        auto* machine = desk.window->pageOf(id);
        machine->setInspectorVisible(true);
        auto const choose = [&](QString const& text) {
            auto* menu = button(machine, "Add")->menu();
            emit menu->aboutToShow();
            for (auto* action : menu->actions()) {
                if (action->text() == text && action->isEnabled())
                    return action->trigger();
            }
            QFAIL(qPrintable("there is no " + text));
        };
        choose("USB keyboard");
        QTRY_COMPARE(desk.library->config(id).usbDevices.size(), std::size_t(1));
        QVERIFY(desk.start(id));
        QTRY_VERIFY(desk.named<ui::Switch>(machine, "USB keyboard")->isChecked());

        // A stick from an image, by its file dialog.
        auto const image = desk.directory.filePath("holiday.img");
        REQUIRE_OK(app::writeWholeFile(image.toStdString(), vmm::Bytes(1 << 16)));
        choose("A stick from an image…");
        auto* dialog = machine->findChild<QFileDialog*>();
        QVERIFY(dialog);
        emit dialog->fileSelected(image);
        dialog->close();
        QTRY_VERIFY(desk.script->has("usb disk0 added"));
        QTRY_COMPARE(desk.library->config(id).disks.size(), std::size_t(1));
        QVERIFY(desk.named<ui::Switch>(machine, "holiday.img")->isChecked());

        QTest::mouseClick(desk.named<QToolButton>(machine, "Remove holiday.img"), Qt::LeftButton);
        QTRY_VERIFY(desk.script->has("usb disk0 removed"));
        QTRY_COMPARE(desk.library->config(id).disks.size(), std::size_t(0));
        QTRY_COMPARE(desk.session(id).config().disks.size(), std::size_t(0));
        QCOMPARE(desk.library->config(id).usbDevices.size(), std::size_t(1));

        // Its terminal comes and goes with a serial port.
        auto const terminals = [&] { return machine->findChildren<ui::TerminalWidget*>().size(); };
        auto const before = terminals();
        choose("USB serial port");
        QTRY_COMPARE(terminals(), before + 1);
        desk.script->last->consoles.at("usb-serial-0")->output(vmm::bytesOf("hello"));
        auto const saysHello = [](auto const* terminal) { return terminal->visibleText().contains("hello"); };
        QTRY_VERIFY(std::ranges::any_of(machine->findChildren<ui::TerminalWidget*>(), saysHello));
        QTest::mouseClick(desk.named<QToolButton>(machine, "Remove USB serial port"), Qt::LeftButton);
        QTRY_COMPARE(terminals(), before);
    }

    void whatCannotBeAddedIsSaid()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.window->showMachine(id);
        auto* machine = desk.window->pageOf(id);
        machine->setInspectorVisible(true);
        QVERIFY(desk.start(id));
        auto* menu = button(machine, "Add")->menu();
        emit menu->aboutToShow();
        auto actions = menu->actions();
        actions.removeIf([](auto const* action) { return action->isSeparator(); });
        QVERIFY(!actions.isEmpty());
        for (auto const* action : actions) {
            QVERIFY(!action->isEnabled());
            QCOMPARE(action->toolTip(), "The machine has no USB controller: give it one in its settings.");
        }
        desk.session(id).powerOff();
        QVERIFY(desk.waitFor(id, app::SessionState::Off));
        std::optional<vmm::Result<>> outcome;
        vmm::DiskConfig stick;
        stick.path = desk.directory.filePath("none.img").toStdString();
        stick.bus = vmm::DiskBus::Usb;
        desk.library->addUsb(id, stick, [&](vmm::Result<> const& told) { outcome = told; });
        QTRY_VERIFY(outcome);
        QCOMPARE(outcome->error().code, vmm::ErrorCode::NotFound);
        QVERIFY(desk.library->config(id).disks.empty());
    }

    void aStickThatStandsOnAnotherFileIsRefusedWithAWay()
    {
        Desk desk;
        auto const id = desk.create("first");
        auto config = desk.library->config(id);
        config.usbControllers = { { "usb0" } };
        QVERIFY(desk.change(config));
        desk.open();
        desk.window->showMachine(id);
        QVERIFY(desk.start(id));
        auto const base = desk.directory.filePath("base.raw"), image = desk.directory.filePath("top.qcow2");
        QFile file(base);
        QVERIFY(file.open(QIODevice::WriteOnly) && file.resize(1 << 20));
        REQUIRE_OK(vmm::createImage(image.toStdString(),
            { .size = 1 << 20, .backingFile = base.toStdString(), .backingFormat = vmm::ImageFormat::Raw }));
        std::optional<ui::Problem> problem;
        ui::UsbModel model(*desk.library, id);
        connect(&model, &ui::UsbModel::failed, &model,
            [&](ui::Task task, vmm::Error const& error) { problem = ui::problemFor(task, error); });
        model.addStick(image);
        QTRY_VERIFY(problem);
        QVERIFY2(problem->reason.contains("stands on another file"), qPrintable(problem->reason));
        QVERIFY2(problem->advice.contains("add the image to the disks in the settings"), qPrintable(problem->advice));
        QVERIFY(desk.library->config(id).disks.empty());
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
        QVERIFY(desk.start(id));
        QVERIFY(desk.suspend(id));
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
