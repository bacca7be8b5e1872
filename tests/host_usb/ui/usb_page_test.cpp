#include "tests/host_usb/redir_host.h"
#include "tests/host_usb/simulated_usb.h"
#include "tests/ui/main_window/desk.h"
#include "ui/display/screen_view.h"
#include "ui/machine/machine_page.h"
#include "ui/settings/preferences_page.h"
#include "ui/timeline/past_view.h"
#include "ui/timeline/timeline_panel.h"
#include "ui/usb/usb_bar.h"
#include "ui/usb/usb_control.h"
#include "ui/usb/usb_drop.h"
#include "ui/usb/usb_panel.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/switch.h"

#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QDropEvent>
#include <QFileDialog>
#include <QMenu>
#include <QToolButton>
#include <sys/socket.h>

using tests::Desk;
using tests::SimulatedUsbDevice;

namespace {

constexpr char const* loop = "Example Loop"; // what the simulated device calls itself

/// A window with a machine that runs and has room for USB devices.
struct Bench : Desk {
    QString id = createWithUsb("Debian");

    QString createWithUsb(std::string const& name)
    {
        auto const made = create(name);
        auto config = library->config(made);
        config.usbControllers = { { "usb0" } };
        config.usbDevices = { { "usb-tablet-0", vmm::UsbKind::Tablet, "usb0", true } };
        change(config);
        return made;
    }
    ui::MachinePage* run()
    {
        open();
        window->showMachine(id);
        session(id).start();
        [&] { QVERIFY(waitFor(id, app::SessionState::Running)); }();
        return window->pageOf(id);
    }
    /// What is simulated, to the machine.
    bool attach() const
    {
        std::optional<vmm::Result<>> attached;
        session(id).attachHostUsb("1-1", app::Really::No, [&](vmm::Result<> const& done) { attached = done; });
        return tests::becomes([&] { return attached.has_value(); }) && *attached;
    }
    /// One moment.
    app::TimelineSession& keep() const
    {
        auto& timeline = session(id).timeline();
        timeline.keep("one");
        [&] { QTRY_VERIFY(!timeline.moments().empty() && !timeline.keeping()); }();
        return timeline;
    }
    ui::UsbBar* bar() const { return window->pageOf(id)->usb()->bar(); }
    QPushButton* answer(QString const& text) const
    {
        for (auto* one : bar()->findChildren<QPushButton*>()) {
            if (one->text().remove('&') == text)
                return one;
        }
        qFatal("there is no answer %s", qPrintable(text));
    }
    ui::Switch* find(QWidget* page, QString const& name) const
    {
        QCoreApplication::processEvents();
        for (auto* one : page->findChildren<ui::Switch*>()) {
            if (one->accessibleName() == name && one->isVisibleTo(page))
                return one;
        }
        return nullptr;
    }
    /// A line each, as chronoctl names them.
    std::string rules() const
    {
        std::string all;
        for (auto const& rule : library->hostUsb().rules().rules)
            all += app::usbMatchText(rule.match) + (rule.action == app::UsbAction::Attach ? " attach" : " never")
                + "\n";
        return all;
    }
};

/// Plugs it in until the machine asks: what is there when a machine first looks was not plugged in just now.
std::unique_ptr<SimulatedUsbDevice> plugIn(Bench const& bench)
{
    int const limit = 2000 * tests::patience();
    for (int tries = 0; tries < 5; ++tries) {
        auto device = std::make_unique<SimulatedUsbDevice>("1-1", 2);
        if (tests::becomes([&] { return bench.bar()->isVisible(); }, limit))
            return device;
    }
    return {};
}

/// A wireless adapter with a disk and keys in it, the disk twice.
vmm::Bytes ofThreeClasses()
{
    auto all = SimulatedUsbDevice::usualDescriptors();
    all.resize(18);
    all[4] = 0xe0;
    all.insert(all.end(), { 9, 2, 9 + 3 * 9, 0, 3, 1, 0, 0x80, 50 });
    for (std::uint8_t number = 0; auto const kind : std::to_array<std::uint8_t>({ 0x08, 0x03, 0x08 }))
        all.insert(all.end(), { 9, 4, number++, 0, 0, kind, 0, 0, 0 });
    return all;
}

/// Ctrl+Alt, as a person taps it.
void leaveMachine(ui::MachinePage* page)
{
    auto* screen = page->screenView()->screen();
    QTest::keyPress(screen, Qt::Key_Control);
    QTest::keyPress(screen, Qt::Key_Alt, Qt::ControlModifier);
    QTest::keyRelease(screen, Qt::Key_Alt, Qt::ControlModifier);
    QTest::keyRelease(screen, Qt::Key_Control);
}

}

/// The desktop with USB devices of the host's, which umockdev simulates for the real libusb.
class UsbPageTest final : public QObject {
    Q_OBJECT

private slots:
    void initTestCase()
    {
        if (!qEnvironmentVariable("LD_PRELOAD").contains("umockdev"))
            QSKIP("CHRONOVISOR-SKIP: umockdev-preload is not in this program");
    }

    void attachedAndDetachedByAClick()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        page->setInspectorVisible(true);
        QTRY_VERIFY(bench.find(page, loop));
        auto* plug = bench.find(page, loop);
        QVERIFY2(plug->accessibleDescription().contains("480 Mbit/s"), qPrintable(plug->accessibleDescription()));
        QTest::mouseClick(plug, Qt::LeftButton);
        QTRY_VERIFY(plug->isChecked());
        QVERIFY(bench.script->has("usb 1-1 in"));
        QVERIFY(!simulated.hasDriver());
        QTest::mouseClick(plug, Qt::LeftButton);
        QTRY_VERIFY(!plug->isChecked());
        QTRY_VERIFY(simulated.hasDriver());
    }

    void attachedByKeyboardAlone()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        bench.library->hostUsb().open();
        QTRY_COMPARE(bench.library->hostUsb().devices().size(), 1u);
        page->screenView()->screen()->setFocus();
        leaveMachine(page);
        QTest::keyClick(bench.window.get(), Qt::Key_U, Qt::ControlModifier | Qt::ShiftModifier);
        QTRY_COMPARE(QApplication::focusWidget()->accessibleName(), loop);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QTRY_VERIFY(bench.script->has("usb 1-1 in"));
        QTRY_VERIFY(bench.find(page, loop)->isChecked());
        QCOMPARE(QApplication::focusWidget()->accessibleName(), loop); // in the other group, with the focus
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QTRY_VERIFY(bench.script->has("usb 1-1 out"));
    }

    void attachedFromTheMenu()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        auto* menu = bench.named<QToolButton>(page, "USB: attach and detach")->menu();
        auto const find = [menu](QString const& text) -> QAction* {
            for (auto* action : menu->actions()) {
                if (action->text().startsWith(text))
                    return action;
            }
            return nullptr;
        };
        menu->popup(page->mapToGlobal(QPoint(10, 10)));
        QTRY_VERIFY(find("Attach “Example Loop”")); // it fills while it is open
        QVERIFY(find("Unplug “USB tablet”"));
        find("Attach “Example Loop”")->trigger();
        menu->hide();
        QTRY_VERIFY(bench.script->has("usb 1-1 in"));
        QTRY_VERIFY(!bench.session(bench.id).attachedHostUsb().empty());
        menu->popup(page->mapToGlobal(QPoint(10, 10)));
        find("Unplug “USB tablet”")->trigger();
        QTRY_VERIFY(bench.script->has("usb usb-tablet-0 out"));
        QTRY_VERIFY(find("Detach “Example Loop”"));
        find("Detach “Example Loop”")->trigger();
        QTRY_VERIFY(bench.script->has("usb 1-1 out"));
        menu->hide();
    }

    void droppedOnTheDisplay()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        page->setInspectorVisible(true);
        QTRY_VERIFY(bench.find(page, loop));
        auto* panel = page->findChild<ui::UsbPanel*>();
        auto* zone = page->findChild<ui::UsbDropZone*>();
        QVERIFY(!zone->isVisible());
        emit panel->dragBegan(loop);
        QVERIFY(zone->isVisible());
        QCOMPARE(zone->accessibleName(), "Drop it here to attach “Example Loop” to Debian");
        std::unique_ptr<QMimeData> const mime(ui::DraggedUsb { "1-1", false }.toMime());
        QDragEnterEvent enter(QPoint(20, 20), Qt::MoveAction, mime.get(), Qt::LeftButton, Qt::NoModifier);
        QApplication::sendEvent(zone, &enter);
        QDropEvent drop(QPointF(20, 20), Qt::MoveAction, mime.get(), Qt::LeftButton, Qt::NoModifier);
        QApplication::sendEvent(zone, &drop);
        emit panel->dragEnded();
        QVERIFY(!zone->isVisible());
        QTRY_VERIFY(bench.find(page, loop)->isChecked());
    }

    void whatIsPluggedInIsAskedAboutOverTheDisplay()
    {
        Bench bench;
        auto* page = bench.run();
        page->screenView()->screen()->setFocus();
        auto const simulated = plugIn(bench);
        QVERIFY(simulated);
        QVERIFY(page->screenView()->screen()->hasFocus());
        QTest::mouseClick(bench.answer("Attach to Debian"), Qt::LeftButton);
        QTRY_VERIFY(bench.script->has("usb 1-1 in"));
        QVERIFY(!bench.bar()->isVisible());
        QCOMPARE(bench.rules(), "");
    }

    void alwaysBecomesARule()
    {
        Bench bench;
        auto* page = bench.run();
        page->screenView()->screen()->setFocus();
        auto const simulated = plugIn(bench);
        QVERIFY(simulated);
        leaveMachine(page); // leads to the question
        QVERIFY(bench.answer("Attach to Debian")->hasFocus());
        bench.bar()->findChild<QCheckBox*>()->setChecked(true);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QTRY_VERIFY(bench.script->has("usb 1-1 in"));
        QTRY_COMPARE(bench.rules(), "1209:0001,serial=S2 attach\n");
        QTRY_VERIFY(page->screenView()->screen()->hasFocus());
    }

    void keptHereForGood()
    {
        Bench bench;
        auto* page = bench.run();
        bench.library->hostUsb().open();
        auto const simulated = plugIn(bench);
        QVERIFY(simulated);
        bench.bar()->findChild<QCheckBox*>()->setChecked(true);
        QTest::mouseClick(bench.answer("Keep on this computer"), Qt::LeftButton);
        QTRY_COMPARE(bench.rules(), "1209:0001,serial=S2 never\n");
        QTRY_VERIFY(bench.session(bench.id).usbQuestions().empty());
        QVERIFY(!bench.script->has("usb 1-1 in"));
        // By hand it can still be had, after a question.
        page->setInspectorVisible(true);
        QTRY_VERIFY(bench.find(page, loop)
            && bench.find(page, loop)->accessibleDescription().contains("stays on this computer"));
        QTest::mouseClick(bench.find(page, loop), Qt::LeftButton);
        QTRY_VERIFY(bench.bar()->isVisible());
        QVERIFY(bench.bar()->accessibleName().contains("A rule says that it stays on this computer."));
        QVERIFY(bench.answer("Keep on this computer")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Escape);
        QVERIFY(!bench.bar()->isVisible());
        QVERIFY(!bench.script->has("usb 1-1 in"));
        QTest::mouseClick(bench.find(page, loop), Qt::LeftButton);
        QTRY_VERIFY(bench.bar()->isVisible());
        QTest::mouseClick(bench.answer("Attach anyway"), Qt::LeftButton);
        QTRY_VERIFY(bench.script->has("usb 1-1 in"));
    }

    void onlyTheMachineWithTheFocusAsks()
    {
        Bench bench;
        auto const other = bench.createWithUsb("mail");
        bench.run();
        QVERIFY(bench.start(other));
        auto* otherPage = bench.window->pageOf(other);
        auto const simulated = plugIn(bench);
        QVERIFY(simulated);
        QVERIFY(!otherPage->usb()->bar()->isAsking());
        simulated->unplug();
        QTRY_VERIFY(!bench.bar()->isVisible());
        bench.window->showPreferences();
        SimulatedUsbDevice const again("1-2", 3);
        QTRY_VERIFY(!bench.session(bench.id).usbQuestions().empty());
        QVERIFY(!bench.bar()->isAsking());
    }

    void anotherMachineIsNamed()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto const other = bench.createWithUsb("mail");
        auto* page = bench.run();
        QVERIFY(bench.start(other));
        std::optional<vmm::Result<>> attached;
        bench.session(other).attachHostUsb("1-1", app::Really::No, [&](vmm::Result<> const& done) { attached = done; });
        QTRY_VERIFY(attached.has_value());
        REQUIRE_OK(*attached);
        page->setInspectorVisible(true);
        QTRY_VERIFY(bench.find(page, loop) && bench.find(page, loop)->accessibleDescription().contains("in “mail”"));
        QVERIFY(!bench.find(page, loop)->isEnabled());
        QCOMPARE(bench.find(page, loop)->toolTip(), "“mail” has it: give it back there first.");
    }

    void whatFailsIsASentence()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        page->setInspectorVisible(true);
        QTRY_VERIFY(bench.find(page, loop));
        bench.script->failPlug = vmm::Error { vmm::ErrorCode::NotNow, "every connector is taken", 0 };
        QTest::mouseClick(bench.find(page, loop), Qt::LeftButton);
        QTRY_VERIFY(page->messages()->isVisible());
        auto const told = page->messages()->text();
        QVERIFY(told.contains("The USB device could not be attached."));
        QVERIFY2(told.contains("Every USB connector of the machine is taken"), qPrintable(told));
        QVERIFY2(told.contains("another USB controller in its settings"), qPrintable(told));
        QVERIFY(!bench.find(page, loop)->isChecked());
        QTRY_VERIFY(simulated.hasDriver());
    }

    void withoutTheRightToItTheLineThatHelpsIsShown()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        simulated.denyAccess();
        Bench bench;
        auto* page = bench.run();
        page->setInspectorVisible(true);
        QTRY_VERIFY(bench.find(page, loop));
        QTest::mouseClick(bench.find(page, loop), Qt::LeftButton);
        QTRY_VERIFY(page->messages()->isVisible());
        auto const told = page->messages()->text();
        QVERIFY2(told.contains("The USB device could not be attached."), qPrintable(told));
        QVERIFY2(told.contains("sudo setfacl -m u:") && told.endsWith(":rw /dev/bus/usb/001/002"), qPrintable(told));
        QVERIFY(!bench.find(page, loop)->isChecked());
    }

    void whatThisComputerUsesIsAskedAboutFirst()
    {
        SimulatedUsbDevice simulated("1-1", 2);
        simulated.typeOnTheHost();
        Bench bench;
        auto* page = bench.run();
        page->setInspectorVisible(true);
        QTRY_VERIFY(bench.find(page, loop)
            && bench.find(page, loop)->accessibleDescription().contains("the only keyboard of this computer"));
        QTest::mouseClick(bench.find(page, loop), Qt::LeftButton);
        QTRY_VERIFY(bench.bar()->isVisible());
        QVERIFY2(bench.bar()->accessibleName().contains("It is the only keyboard of this computer"),
            qPrintable(bench.bar()->accessibleName()));
        QTest::mouseClick(bench.answer("Keep on this computer"), Qt::LeftButton);
        QVERIFY(!bench.bar()->isVisible());
        QVERIFY(!bench.find(page, loop)->isChecked());
        QTest::mouseClick(bench.find(page, loop), Qt::LeftButton);
        QTRY_VERIFY(bench.bar()->isVisible());
        QVERIFY(!bench.script->has("usb 1-1 in"));
        QVERIFY(simulated.hasDriver());
        QTest::mouseClick(bench.answer("Attach anyway"), Qt::LeftButton);
        QTRY_VERIFY(bench.script->has("usb 1-1 in"));
        QTRY_VERIFY(bench.find(page, loop)->isChecked());
    }

    void goingBackTellsWhatIsUnplugged()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        bench.keep();
        QVERIFY(bench.attach());
        auto const* suspend = bench.named<QToolButton>(page, "Suspend");
        QTRY_VERIFY2(suspend->toolTip().contains("Unplugged and plugged in anew: “Example Loop”"),
            qPrintable(suspend->toolTip()));
        auto* axis = page->timeline()->axis();
        axis->setFocus();
        axis->selectIndex(0);
        auto* past = page->timeline()->past();
        QTRY_VERIFY2(past->accessibleDescription().contains("Unplugged and plugged in anew: “Example Loop”"),
            qPrintable(past->accessibleDescription()));

        // The machine's own policy: it is asked about when it has gone back.
        auto* settings = bench.settings(bench.id);
        bench.named<QComboBox>(settings, "USB devices of this computer after going back")->setFocus();
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_End);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Return);
        settings->save();
        QTRY_COMPARE(bench.library->hostUsb().rules().restoreOf(bench.id.toStdString()), app::UsbRestore::Ask);
        QTRY_VERIFY2(suspend->toolTip().contains("you are asked about it then"), qPrintable(suspend->toolTip()));
        bench.window->showMachine(bench.id);
        axis->setFocus();
        axis->selectIndex(0);
        QTRY_VERIFY2(past->accessibleDescription().contains("you are asked about it then"),
            qPrintable(past->accessibleDescription()));
        QTest::keyClick(axis, Qt::Key_Return);
        QTRY_VERIFY(bench.bar()->isVisible());
        QVERIFY(bench.bar()->accessibleName().contains("was in the machine before"));
        QTest::mouseClick(bench.answer("Attach again"), Qt::LeftButton);
        QTRY_COMPARE(bench.session(bench.id).attachedHostUsb().size(), 1u);
    }

    void aSuspendedMachineTellsWhatComingBackDoes()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        QVERIFY(bench.attach());
        auto const* suspend = bench.named<QToolButton>(page, "Suspend");
        QTRY_VERIFY(suspend->toolTip().contains(loop));
        QVERIFY(bench.suspend(bench.id));
        auto const* restore = bench.named<QToolButton>(page, "Restore");
        QTRY_VERIFY2(restore->toolTip().contains("Unplugged and plugged in anew: “Example Loop”"),
            qPrintable(restore->toolTip()));
        QVERIFY2(!suspend->toolTip().contains(loop), qPrintable(suspend->toolTip()));
    }

    void aForkTellsWhatItsFirstStartDoes()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        bench.run();
        QVERIFY(bench.attach());
        auto const& timeline = bench.keep();
        QString fork;
        bench.library->fork(bench.id, { timeline.moments()[0].id.toStdString(), "one" }, "fork",
            [&](vmm::Result<QString> const& made) { fork = tests::must(made); });
        QTRY_VERIFY(!fork.isEmpty());
        bench.window->showMachine(fork);
        auto const* restore = bench.named<QToolButton>(bench.window->pageOf(fork), "Restore");
        // The machine that it comes from has the device.
        QTRY_VERIFY2(restore->toolTip().contains("Unplugged, and not here after that: “1209:0001”"),
            qPrintable(restore->toolTip()));
    }

    /// On both sides: as it is exported, and as it is imported.
    void aMomentThatTravelsTellsOfItsDevices()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        QVERIFY(bench.attach());
        auto& timeline = bench.keep();
        auto const path = bench.directory.filePath("one.tar.zst");
        timeline.exportTo(path, timeline.moments()[0].id, app::TimelineSession::Form::Bundle);
        QTRY_VERIFY2(page->messages()->text().endsWith("USB devices do not travel with it: “1209:0001”."),
            qPrintable(page->messages()->text()));

        std::optional<vmm::Result<>> detached;
        bench.session(bench.id).detachHostUsb("1-1", [&](vmm::Result<> const& done) { detached = done; });
        QTRY_VERIFY(detached && *detached);
        emit page->importRequested();
        auto* dialog = bench.window->findChild<QFileDialog*>(QString(), Qt::FindDirectChildrenOnly);
        QVERIFY(dialog);
        emit dialog->fileSelected(path);
        dialog->close();
        QTRY_COMPARE(bench.library->ids().size(), 2);
        auto ids = bench.library->ids();
        ids.removeOne(bench.id); // until it has a name of its own, either may be the first
        auto const* imported = bench.window->pageOf(ids.first());
        QTRY_VERIFY2(imported->messages()->text().contains("Unplugged and plugged in anew: “Example Loop”"),
            qPrintable(imported->messages()->text()));
    }

    void ofAnotherComputerIsNamedAndGivenBack()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        page->setInspectorVisible(true);
        auto& session = bench.session(bench.id);
        session.runner()->listenForUsb(tests::must(app::parseUsbPeerAddress("127.0.0.1:0")));
        QTRY_COMPARE(session.redirectedUsb().size(), 1u);
        auto const place = session.redirectedUsb().front().address;
        auto const cancel = tests::must(vmm::makeEventFd());
        tests::RedirHost const other(tests::must(
            app::connectToUsbPeer(tests::must(app::parseUsbPeerAddress(place)), tests::waitLimit, cancel.get())));
        QTRY_VERIFY(bench.find(page, "1209:0001"));
        auto* device = bench.find(page, "1209:0001");
        QVERIFY2(device->accessibleDescription().startsWith("480 Mbit/s · from 127.0.0.1:"),
            qPrintable(device->accessibleDescription()));
        QTest::mouseClick(device, Qt::LeftButton);
        QTRY_VERIFY(!bench.find(page, "1209:0001"));
        QTRY_VERIFY(other.hasEnded());
        QVERIFY(bench.script->has("usb redir2 out"));
        auto* waiting = bench.find(page, QString::fromStdString(place));
        QVERIFY(waiting);
        QTest::mouseClick(waiting, Qt::LeftButton);
        QTRY_VERIFY(session.redirectedUsb().empty());
    }

    void ofAnotherComputerIsConnectedToByKeyboardAlone()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        page->setInspectorVisible(true);
        auto const listener = tests::must(app::listenForUsbPeers({ "127.0.0.1", 0, {} }));
        auto* entry = tests::button(page, "From another computer…");
        QTRY_VERIFY(entry->isEnabled());
        entry->setFocus();
        QTest::keyClick(entry, Qt::Key_Space);
        QTest::keyClicks(QApplication::focusWidget(), QString::fromStdString(listener.address.text()));
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Return);
        vmm::UniqueFd connection;
        QVERIFY(tests::becomes([&] {
            connection.reset(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            return bool(connection);
        }));
        tests::RedirHost const other(std::move(connection));
        QTRY_VERIFY(bench.find(page, "1209:0001"));
        QVERIFY(bench.script->has("usb redir1 in"));
        QTRY_VERIFY(entry->hasFocus());
    }

    void aRuleIsMadeFromADevice()
    {
        SimulatedUsbDevice const simulated("1-1", 2);
        Bench bench;
        auto* page = bench.run();
        emit page->usbRulesRequested();
        auto* preferences = qobject_cast<ui::PreferencesPage*>(bench.window->currentPage());
        QVERIFY(preferences);
        QTRY_COMPARE(bench.library->hostUsb().devices().size(), 1u);
        auto* add = tests::button(preferences, "Add a rule for…");
        QVERIFY(add->hasFocus());
        emit add->menu()->aboutToShow();
        auto* device = add->menu()->actions().front()->menu();
        QCOMPARE(device->title(), loop);
        device->actions().front()->trigger(); // this one only
        QString const choice = "What happens with Example Loop (1209:0001, serial number S2)";
        QTRY_COMPARE(QApplication::focusWidget()->accessibleName(), choice);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_End);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Return);
        QTRY_COMPARE(bench.rules(), "1209:0001,serial=S2 attach\n");
        bench.named<QToolButton>(preferences, "Remove the rule for Example Loop (1209:0001, serial number S2)")
            ->click();
        QTRY_COMPARE(bench.rules(), "");
    }

    void eachEntryMakesExactlyItsRule_data()
    {
        QTest::addColumn<int>("place");
        QTest::addColumn<QString>("entry");
        QTest::addColumn<QString>("match");
        QTest::addColumn<QString>("name");
        QTest::addRow("one") << 0 << "This one only (1209:0001, serial number S2)"
                             << "1209:0001,serial=S2" << loop;
        QTest::addRow("model") << 1 << "Every one of this model (1209:0001)"
                               << "1209:0001" << loop;
        QTest::addRow("maker") << 2 << "Every device of this maker (1209:*)"
                               << "1209:*"
                               << "Example";
        QTest::addRow("port") << 3 << "Whatever is plugged in here (port 1-1)"
                              << "port=1-1"
                              << "";
        QTest::addRow("an interface's class") << 4 << "All of its kind: keyboards, pointers and other input devices"
                                              << "class=03"
                                              << "";
        QTest::addRow("another's") << 5 << "All of its kind: disks and memory sticks"
                                   << "class=08"
                                   << "";
        QTest::addRow("the device's own") << 6 << "All of its kind: wireless adapters"
                                          << "class=e0"
                                          << "";
    }
    void eachEntryMakesExactlyItsRule()
    {
        QFETCH(int, place);
        QFETCH(QString, entry);
        QFETCH(QString, match);
        QFETCH(QString, name);
        SimulatedUsbDevice const simulated("1-1", 2, ofThreeClasses());
        Bench bench;
        bench.open();
        bench.window->showUsbRules();
        auto const& host = bench.library->hostUsb();
        QTRY_COMPARE(host.devices().size(), 1u);
        auto* menu = tests::button(bench.window->currentPage(), "Add a rule for…")->menu();
        auto const entries = [menu] {
            emit menu->aboutToShow();
            return menu->actions().front()->menu()->actions();
        };
        QCOMPARE(entries().size(), 7);
        QCOMPARE(entries()[place]->text(), entry);
        entries()[place]->trigger();
        QTRY_COMPARE(host.rules().rules.size(), 1u);
        app::UsbRule const expected { tests::must(app::parseUsbMatch(match.toStdString())), app::UsbAction::Ask, {},
            name.toStdString() };
        QCOMPARE(host.rules().rules.front(), expected);
        QVERIFY(!entries()[place]->isEnabled()); // there is one
    }
};

REGISTER_SUITE(UsbPageTest);
#include "usb_page_test.moc"
