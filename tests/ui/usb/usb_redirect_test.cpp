#include "app/runner/usb_peer_address.h"
#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/display/screen_view.h"
#include "ui/machine/machine_page.h"
#include "ui/usb/usb_redirect_card.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/switch.h"

#include <QApplication>
#include <QClipboard>
#include <QLayout>
#include <QLineEdit>
#include <QMenu>
#include <QRadioButton>
#include <QSysInfo>
#include <QToolButton>
#include <sys/socket.h>

using app::UsbMeeting;
using tests::Desk;
using ui::UsbCall;
using ui::UsbRedirectCard;

namespace {

template<typename Widget>
Widget* called(QWidget* page, QString const& name)
{
    for (auto* one : page->findChildren<Widget*>()) {
        if (one->accessibleName() == name)
            return one;
    }
    qFatal("there is no %s", qPrintable(name));
}

QRadioButton* choice(QWidget* page, QString const& text)
{
    for (auto* one : page->findChildren<QRadioButton*>()) {
        if (one->text() == text)
            return one;
    }
    qFatal("there is no choice %s", qPrintable(text));
}

constexpr char const* waiting = "Wait until that computer connects";

ui::Problem noAddress()
{
    return { "No USB device came from the other computer.", "That is no address.", "It is a name and a port.",
        "details" };
}

/// A page with a field that has the focus, and the card over it.
struct Bench {
    QTemporaryDir directory;
    QWidget page;
    QLineEdit* field = new QLineEdit(&page);
    UsbRedirectCard* card = new UsbRedirectCard(&page);
    std::vector<UsbCall> wanted;

    Bench()
    {
        app::usePreferencesFile(directory.filePath("preferences"));
        page.resize(800, 600);
        card->place(page.rect());
        page.show();
        [&] { QVERIFY(QTest::qWaitForWindowActive(&page)); }();
        field->setFocus();
        QObject::connect(card, &UsbRedirectCard::wanted, card, [this](UsbCall const& call) { wanted.push_back(call); });
    }
    QLineEdit* address() const { return called<QLineEdit>(card, "Address"); }
    QString command() const { return called<QLineEdit>(card, "What to start on the other computer")->text(); }
    /// By keys alone.
    void ask(QString const& text) const
    {
        card->open();
        QTest::keyClicks(QApplication::focusWidget(), text);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Return);
    }
};

}

/// The card that asks where a USB device of another computer comes from.
class UsbRedirectCardTest final : public QObject {
    Q_OBJECT
private slots:
    void whatIsStartedThereFollowsWhatIsTyped()
    {
        Bench bench;
        bench.card->open();
        QString const start = "sudo usbredirect --device VENDOR:PRODUCT ";
        QCOMPARE(bench.command(), start + "--as 0.0.0.0:PORT");
        QTest::keyClicks(bench.address(), "desk:4000");
        QCOMPARE(bench.command(), start + "--as 0.0.0.0:4000");
        QTest::mouseClick(called<QToolButton>(bench.card, "Copy what to start on the other computer"), Qt::LeftButton);
        QCOMPARE(QApplication::clipboard()->text(), start + "--as 0.0.0.0:4000");
        choice(bench.card, waiting)->click();
        QCOMPARE(bench.address()->text(), "0.0.0.0:4000");
        QCOMPARE(bench.command(), start + "--to " + QSysInfo::machineHostName() + ":4000");
        bench.address()->setText("127.0.0.1:4001"); // a tunnel's
        QCOMPARE(bench.command(), start + "--to 127.0.0.1:4001");
    }

    void byKeyboardAlone()
    {
        Bench bench;
        bench.card->open();
        QVERIFY(bench.address()->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Backtab);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Down);
        QVERIFY(choice(bench.card, waiting)->isChecked());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QVERIFY(bench.address()->hasFocus());
        for (auto const* name : { "What to start on the other computer", "Copy what to start on the other computer" }) {
            QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
            QCOMPARE(QApplication::focusWidget()->accessibleName(), name);
        }
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QVERIFY(tests::button(bench.card, "Back")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QVERIFY(tests::button(bench.card, "Wait")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        UsbCall const call { UsbMeeting::Wait, "0.0.0.0:4000" };
        QCOMPARE(bench.wanted, std::vector { call });
        QVERIFY(bench.card->answer(call, {}));
        QVERIFY(!bench.card->isVisible());
        QVERIFY(bench.field->hasFocus());
    }

    void isAskedForOnceUntilItIsAnswered()
    {
        Bench bench;
        bench.ask("desk:4000");
        QVERIFY(tests::shows(bench.card, "Connecting…"));
        QVERIFY(!tests::button(bench.card, "Connect")->isEnabled());
        QTest::keyClick(bench.address(), Qt::Key_Return);
        UsbCall const call { UsbMeeting::Call, "desk:4000" };
        QCOMPARE(bench.wanted, std::vector { call });
        QTest::keyClicks(bench.address(), "1");
        QVERIFY(tests::button(bench.card, "Connect")->isEnabled());
        QVERIFY(!bench.card->answer(call, {})); // that is another address now
        QVERIFY(bench.card->isVisible());
    }

    void aProblemIsToldBesideTheField()
    {
        Bench bench;
        bench.ask("desk");
        QVERIFY(bench.card->answer({ UsbMeeting::Call, "desk" }, noAddress()));
        QVERIFY(tests::shows(bench.card, "That is no address. It is a name and a port."));
        QCOMPARE(bench.address()->accessibleDescription(), "That is no address. It is a name and a port.");
        QVERIFY(bench.address()->hasFocus());
        QVERIFY(tests::button(bench.card, "Connect")->isEnabled());
        QTest::keyClicks(bench.address(), "d");
        QVERIFY(!tests::shows(bench.card, "That is no address."));
    }

    void escapeGoesBackAndCallsItOff()
    {
        Bench bench;
        bench.ask("desk");
        std::vector<UsbCall> calledOff;
        QObject::connect(bench.card, &UsbRedirectCard::calledOff, bench.card,
            [&](UsbCall const& call) { calledOff.push_back(call); });
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Escape);
        QCOMPARE(calledOff, (std::vector { UsbCall { UsbMeeting::Call, "desk" } }));
        QVERIFY(!bench.card->isVisible());
        QVERIFY(bench.field->hasFocus());
        QVERIFY(!bench.card->answer({ UsbMeeting::Call, "desk" }, noAddress()));
    }

    void whereTheFocusWasMayBeGone()
    {
        Bench bench;
        int done = 0;
        QObject::connect(bench.card, &UsbRedirectCard::done, bench.card, [&] { ++done; });
        bench.card->open();
        bench.field->hide();
        QTest::mouseClick(tests::button(bench.card, "Back"), Qt::LeftButton);
        QVERIFY(!bench.card->isVisible());
        QCOMPARE(done, 1);
    }

    void whatWasAskedForIsThereTheNextTime()
    {
        Bench bench;
        bench.ask("desk:4000");
        QVERIFY(bench.card->answer({ UsbMeeting::Call, "desk:4000" }, {}));
        bench.ask("nonsense");
        bench.card->leave();
        bench.card->open();
        QCOMPARE(bench.address()->text(), "desk:4000");
        choice(bench.card, waiting)->click();
        bench.ask("4001");
        UsbRedirectCard later(&bench.page);
        later.open();
        QVERIFY(choice(&later, waiting)->isChecked());
        QCOMPARE(called<QLineEdit>(&later, "Address")->text(), "4001");
        choice(&later, "Connect to the computer that has it")->click();
        QCOMPARE(called<QLineEdit>(&later, "Address")->text(), "desk:4000");
    }

    void fitsWhereItIs()
    {
        Bench bench;
        bench.card->open();
        auto const widest = bench.card->width();
        bench.card->place({ 0, 0, 400, 600 });
        QCOMPARE(bench.card->width(), 400 - 2 * 12);
        QVERIFY(bench.card->width() < widest);
        QVERIFY(bench.card->height() >= bench.card->layout()->totalHeightForWidth(bench.card->width()));
    }
};

namespace {

QString const entry = "From another computer…";

/// A machine with a USB controller, and its page.
struct Room : Desk {
    QString id = create("first");
    ui::MachinePage* page = nullptr;

    Room()
    {
        auto config = library->config(id);
        config.usbControllers = { { "usb0" } };
        [&] { QVERIFY(change(config)); }();
        open();
        window->showMachine(id);
        page = window->pageOf(id);
        page->setInspectorVisible(true);
    }
    UsbRedirectCard* card() const { return page->findChild<UsbRedirectCard*>(); }
    QPushButton* entryInPanel() const { return tests::button(page, entry); }
    QAction* entryInMenu()
    {
        auto* menu = named<QToolButton>(page, "USB: attach and detach")->menu();
        emit menu->aboutToShow();
        for (auto* action : menu->actions()) {
            if (action->text() == entry)
                return action;
        }
        qFatal("the menu has no such entry");
    }
    /// By keys alone, from the panel.
    void ask(QString const& address) const
    {
        entryInPanel()->setFocus();
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QTest::keyClicks(QApplication::focusWidget(), address);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Return);
    }
    std::string socketPath() const { return directory.filePath("usb.sock").toStdString(); }
};

}

/// USB devices of other computers, begun on a machine's page.
class UsbRedirectTest final : public QObject {
    Q_OBJECT
private slots:
    void connectsToExactlyThatAndTellsWhatBecomesOfIt()
    {
        Room room;
        QVERIFY(room.start(room.id));
        auto const other = tests::must(app::listenForUsbPeers({ .path = room.socketPath() }));
        room.ask(QString::fromStdString(room.socketPath()));
        vmm::UniqueFd caller;
        QVERIFY(tests::becomes([&] {
            caller.reset(::accept4(other.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
            return bool(caller);
        }));
        caller.reset();
        QTRY_VERIFY(
            tests::shows(room.card(), "No device is passed on there. Start usbredirect on the other computer first."));
        QVERIFY(called<QLineEdit>(room.card(), "Address")->hasFocus());
    }

    void whoGoesBackDoesNotConnectAnyMore()
    {
        Room room;
        QVERIFY(room.start(room.id));
        auto const other = tests::must(app::listenForUsbPeers({ .path = room.socketPath() }));
        room.ask(QString::fromStdString(room.socketPath()));
        vmm::UniqueFd caller;
        QVERIFY(tests::becomes([&] {
            caller.reset(::accept4(other.socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            return bool(caller);
        }));
        QVERIFY(tests::shows(room.card(), "Connecting…"));
        QTest::mouseClick(tests::button(room.card(), "Back"), Qt::LeftButton);
        QVERIFY(!room.card()->isVisible());
        QVERIFY(tests::becomes([&] {
            char bytes[256];
            return ::recv(caller.get(), bytes, sizeof bytes, 0) == 0;
        }));
        QVERIFY(!room.page->messages()->isVisible()); // nobody is told what they did themselves
    }

    void waitsExactlyThereUntilThatIsEnded()
    {
        Room room;
        QVERIFY(room.start(room.id));
        QTest::mouseClick(room.entryInPanel(), Qt::LeftButton);
        choice(room.card(), waiting)->click();
        auto* address = called<QLineEdit>(room.card(), "Address");
        address->setText(QString::fromStdString(room.socketPath()));
        QTest::mouseClick(tests::button(room.card(), "Wait"), Qt::LeftButton);
        QTRY_VERIFY(!room.card()->isVisible());
        QVERIFY(room.entryInPanel()->hasFocus());
        auto const places = room.session(room.id).redirectedUsb();
        QCOMPARE(places.size(), 1u);
        QVERIFY(places[0].isListening);
        QCOMPARE(places[0].address, room.socketPath());
        QTest::mouseClick(room.named<ui::Switch>(room.page, address->text()), Qt::LeftButton);
        QTRY_VERIFY(room.session(room.id).redirectedUsb().empty());
    }

    void aWrongAddressIsRefusedAndEscapeGoesBack()
    {
        Room room;
        QVERIFY(room.start(room.id));
        room.ask("desk");
        QTRY_VERIFY(tests::shows(room.card(), "That is no address. It is a name and a port, such as desk:4000"));
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Escape);
        QVERIFY(!room.card()->isVisible());
        QVERIFY(room.entryInPanel()->hasFocus());
    }

    void oneThatIsGoneIsToldOf()
    {
        Room room;
        QVERIFY(room.start(room.id));
        emit room.session(room.id).redirectedUsbLost(
            "redir1", { vmm::ErrorCode::Disconnected, "desk:4000 has ended the connection", 0 });
        QVERIFY(tests::shows(room.page, "A USB device of another computer is gone."));
        QVERIFY(tests::shows(room.page, "The connection was closed by the other side. Bring it again"));
    }

    void fromTheMenuAndBackToTheScreen()
    {
        Room room;
        QVERIFY(room.start(room.id));
        auto* screen = room.page->screenView()->screen();
        screen->setFocus();
        room.entryInMenu()->trigger();
        QVERIFY(called<QLineEdit>(room.card(), "Address")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Escape);
        QVERIFY(screen->hasFocus());
    }

    void onlyWhereItIsPossibleAndElseTheReasonIsTold()
    {
        Room room;
        QVERIFY(!room.entryInPanel()->isEnabled());
        QCOMPARE(room.entryInPanel()->toolTip(), "Start the machine to plug something in.");
        QVERIFY(!room.entryInMenu()->isEnabled());
        QCOMPARE(room.entryInMenu()->toolTip(), "Start the machine to plug something in.");
        // Not only to who points at it.
        QVERIFY(tests::shows(room.page, "Start the machine to plug something in."));
        auto const* menu = qobject_cast<QMenu*>(room.entryInMenu()->parent());
        QVERIFY(menu != nullptr);
        QCOMPARE(menu->actions().front()->text(), "Start the machine to plug something in.");
        QVERIFY(room.start(room.id));
        QTRY_VERIFY(room.entryInPanel()->isEnabled());
        QVERIFY(room.entryInMenu()->isEnabled());
        QTest::mouseClick(room.entryInPanel(), Qt::LeftButton);
        QVERIFY(room.card()->isVisible());
        room.session(room.id).powerOff();
        QTRY_VERIFY(!room.card()->isVisible());
        QVERIFY(!room.entryInPanel()->isEnabled());
        auto config = room.library->config(room.id);
        config.usbControllers.clear();
        QVERIFY(room.change(config));
        QTRY_COMPARE(room.entryInPanel()->toolTip(), "The machine has no USB controller: give it one in its settings.");
    }
};

REGISTER_SUITE(UsbRedirectCardTest);
REGISTER_SUITE(UsbRedirectTest);
#include "usb_redirect_test.moc"
