#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/settings/preferences_page.h"
#include "ui/usb/usb_words.h"

#include <QAbstractItemView>
#include <QApplication>
#include <QComboBox>
#include <QDir>
#include <QFile>
#include <QLineEdit>
#include <QMenu>
#include <QTimer>
#include <QToolButton>

using app::UsbAction;
using tests::button;
using tests::Desk;

namespace {

bool change(Desk& desk, std::function<vmm::Result<>(app::UsbRules&)> const& what)
{
    std::optional<vmm::Result<>> saved;
    desk.library->changeUsbRules(what, [&](vmm::Result<> const& outcome) { saved = outcome; });
    return tests::becomes([&] { return saved.has_value(); }) && *saved;
}

app::UsbRule stickRule(std::string machine = {})
{
    app::UsbRule rule;
    rule.match.vendor = 0x0951;
    rule.match.product = 0x1666;
    rule.action = machine.empty() ? UsbAction::Never : UsbAction::Attach;
    rule.machine = std::move(machine);
    rule.name = "Kingston DataTraveler";
    return rule;
}

/// Null: it is not there (yet).
QComboBox* choice(QWidget* page, QString const& about)
{
    for (auto* one : page->findChildren<QComboBox*>()) {
        if (one->accessibleName() == "What happens with " + about && one->isVisibleTo(page))
            return one;
    }
    return nullptr;
}

/// The field that is open for what is written by hand; null: none is.
QLineEdit* field(QWidget* page)
{
    for (auto* one : page->findChildren<QLineEdit*>()) {
        if (one->accessibleName().startsWith("Which devices") && one->isVisible())
            return one;
    }
    return nullptr;
}

QAction* anotherDevice(QWidget* page)
{
    auto* menu = button(page, "Add a rule for…")->menu();
    emit menu->aboutToShow();
    for (auto* action : menu->actions()) {
        if (action->text() == "Another device…")
            return action;
    }
    qFatal("the menu has no such entry");
}

/// By keys alone, from the button on, in whichever event loop its menu is. Offscreen no window is the active one after
/// that.
void chooseAnotherDevice(QPushButton* add)
{
    QTimer::singleShot(0, add, [menu = add->menu()] {
        for (int tries = 0; tries < 20 && (!menu->activeAction() || menu->activeAction()->text() != "Another device…");
             ++tries)
            QTest::keyClick(menu, Qt::Key_Up);
        QTest::keyClick(menu, Qt::Key_Return);
    });
    QTest::keyClick(add, Qt::Key_Space);
    [&] { QTRY_VERIFY(!add->menu()->isVisible()); }();
    add->window()->activateWindow();
    [&] { QVERIFY(QTest::qWaitForWindowActive(add->window())); }();
}

void type(QString const& text)
{
    QTest::keyClick(QApplication::focusWidget(), Qt::Key_A, Qt::ControlModifier);
    QTest::keyClicks(QApplication::focusWidget(), text);
    QTest::keyClick(QApplication::focusWidget(), Qt::Key_Return);
}

constexpr char const* stick = "Kingston DataTraveler (0951:1666, every one of this model)";

}

/// The person's rules for USB devices, in the preferences.
class UsbRulesTest final : public QObject {
    Q_OBJECT
private slots:
    void rulesAreShownTheMostExactFirst()
    {
        Desk desk;
        auto const id = desk.create("web");
        desk.open();
        QVERIFY(change(desk, [&](app::UsbRules& rules) -> vmm::Result<> {
            app::UsbRule disks;
            disks.match.deviceClass = 0x08;
            disks.action = UsbAction::Ask;
            TRY(rules.set(disks));
            return rules.set(stickRule(id.toStdString()));
        }));
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(choice(page, stick));
        QCOMPARE(choice(page, stick)->currentText(), "Always into “web”");
        auto* disks = choice(page, "disks and memory sticks");
        QCOMPARE(disks->currentText(), "Ask each time");
        auto const y = [page](QWidget* widget) { return widget->mapTo(page, QPoint(0, 0)).y(); };
        QVERIFY(y(choice(page, stick)) < y(disks));
    }

    void whatIsBeingWrittenStaysWhereAnotherRuleIsToBeChanged()
    {
        Desk desk;
        desk.open();
        QVERIFY(change(desk, [&](app::UsbRules& rules) -> vmm::Result<> {
            app::UsbRule disks;
            disks.match.deviceClass = 0x08;
            TRY(rules.set(disks));
            return rules.set(stickRule());
        }));
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        auto const pencil = [&](char const* about) {
            return desk.named<QToolButton>(page, QString("Change which devices are meant: ") + about);
        };
        auto* disks = pencil("disks and memory sticks");
        pencil(stick)->click();
        QVERIFY(field(page));
        disks->click(); // nothing has been written
        QCOMPARE(field(page)->text(), "class=08");
        pencil(stick)->click();
        field(page)->setText("0951:1");
        disks->click();
        QCOMPARE(field(page)->text(), "0951:1");
        QVERIFY(field(page)->hasFocus());
        QVERIFY(tests::shows(page, "This is not saved yet. Choose “Change” or “Back” first."));
        anotherDevice(page)->trigger();
        QCOMPARE(field(page)->text(), "0951:1");
        QTest::keyClicks(field(page), "667");
        QVERIFY(!tests::shows(page, "This is not saved yet."));
        pencil(stick)->click();
        QCOMPARE(field(page)->text(), "0951:1667");
        QVERIFY(!tests::shows(page, "This is not saved yet."));
        QTest::keyClick(field(page), Qt::Key_Escape);
        disks->click();
        QCOMPARE(field(page)->text(), "class=08");
    }

    void changedAndRemovedByKeyboardAlone()
    {
        Desk desk;
        auto const id = desk.create("web");
        desk.open();
        QVERIFY(change(desk, [](app::UsbRules& rules) { return rules.set(stickRule()); }));
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(choice(page, stick) && choice(page, stick)->isVisible());
        choice(page, stick)->setFocus();
        QCOMPARE(choice(page, stick)->currentText(), "Stays on this computer");
        QTest::keyClick(choice(page, stick), Qt::Key_Down);
        auto const& rules = desk.library->hostUsb();
        QTRY_COMPARE(rules.rules().rules.front().action, UsbAction::Attach);
        QCOMPARE(rules.rules().rules.front().machine, id.toStdString());
        QVERIFY(choice(page, stick) && choice(page, stick)->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Home); // and on from there
        QTRY_COMPARE(rules.rules().rules.front().action, UsbAction::Ask);
        QVERIFY(choice(page, stick) && choice(page, stick)->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QCOMPARE(QApplication::focusWidget()->accessibleName(), QString("Change which devices are meant: ") + stick);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QCOMPARE(QApplication::focusWidget()->accessibleName(), QString("Remove the rule for ") + stick);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QTRY_VERIFY(rules.rules().rules.empty());
        QTRY_VERIFY(button(page, "Add a rule for…")->hasFocus());
    }

    void whoRemovesOneIsAtTheNext()
    {
        Desk desk;
        desk.open();
        QVERIFY(change(desk, [](app::UsbRules& rules) -> vmm::Result<> {
            for (std::uint8_t const kind : { 0x03, 0x08, 0x0e }) {
                app::UsbRule rule;
                rule.match.deviceClass = kind;
                TRY(rules.set(rule));
            }
            return {};
        }));
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(choice(page, "webcams"));
        QStringList order;
        for (auto* one : page->findChildren<QComboBox*>()) {
            if (one->accessibleName().startsWith("What happens with"))
                order += one->accessibleName();
        }
        QCOMPARE(order.size(), 3);
        auto const remove = [&](int which) {
            auto const name = QString(order[which]).replace("What happens with", "Remove the rule for");
            desk.named<QToolButton>(page, name)->setFocus();
            QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        };
        remove(1);
        QTRY_COMPARE(QApplication::focusWidget()->accessibleName(), order[2]);
        remove(2);
        QTRY_COMPARE(QApplication::focusWidget()->accessibleName(), order[0]);
    }

    void whatHappensMeanwhileDisturbsNobody()
    {
        Desk desk;
        auto const id = desk.create("web");
        desk.open();
        QVERIFY(change(desk, [](app::UsbRules& rules) { return rules.set(stickRule()); }));
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(choice(page, stick) && choice(page, stick)->isVisible());
        choice(page, stick)->setFocus();
        auto& host = desk.library->hostUsb();
        emit host.changed();
        emit host.changed(); // before anything was drawn
        QVERIFY(choice(page, stick) && choice(page, stick)->hasFocus());

        // A list that is open stays open, and knows the machines.
        choice(page, stick)->showPopup();
        auto const* list = choice(page, stick)->view();
        QTRY_VERIFY(list->isVisible());
        auto config = desk.library->config(id);
        config.name = "mail";
        QVERIFY(desk.change(config));
        QTRY_COMPARE(choice(page, stick)->itemText(2), "Always into “mail”");
        QVERIFY(choice(page, stick)->view() == list && list->isVisible());
        choice(page, stick)->hidePopup();
    }

    /// Who has gone on while the rule was written stays where they are.
    void anAddedRuleTakesTheFocusOnlyFromWhereItWasAdded()
    {
        Desk desk;
        desk.open();
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        auto* add = button(page, "Add a rule for…");
        QTRY_VERIFY(add->hasFocus());
        emit add->menu()->aboutToShow();
        add->menu()->actions().back()->trigger();
        auto* colours = desk.named<QComboBox>(page, "Colours");
        colours->setFocus();
        QTRY_VERIFY(choice(page, "every device"));
        QCoreApplication::processEvents();
        QVERIFY(colours->hasFocus());
    }

    void aDeviceThatIsNotHereIsWrittenByHand_data()
    {
        QTest::addColumn<QString>("written");
        QTest::addColumn<QString>("match");
        QTest::addRow("a model") << "0951:16AB"
                                 << "0951:16ab";
        QTest::addRow("a maker") << " 951:* "
                                 << "0951:*";
        QTest::addRow("a class") << "class=08"
                                 << "class=08";
        QTest::addRow("a port") << "port=1-2.3"
                                << "port=1-2.3";
        QTest::addRow("a serial number") << "serial=AB,12"
                                         << "serial=AB,12";
        QTest::addRow("all of it") << "port=1-2,0951:1666,class=8,serial=AB"
                                   << "0951:1666,class=08,port=1-2,serial=AB";
        QTest::addRow("every device") << "any"
                                      << "any";
    }
    void aDeviceThatIsNotHereIsWrittenByHand()
    {
        QFETCH(QString, written);
        QFETCH(QString, match);
        Desk desk;
        desk.open();
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        anotherDevice(page)->trigger();
        QVERIFY(field(page) && field(page)->hasFocus());
        type(written);
        QVERIFY(!field(page));
        auto const& rules = desk.library->hostUsb();
        QTRY_COMPARE(rules.rules().rules.size(), 1u);
        QCOMPARE(app::usbMatchText(rules.rules().rules.front().match), match.toStdString());
        app::UsbRule const expected { tests::must(app::parseUsbMatch(match.toStdString())), UsbAction::Ask, {}, {} };
        QCOMPARE(rules.rules().rules.front(), expected);
        QTRY_COMPARE(
            QApplication::focusWidget()->accessibleName(), "What happens with " + ui::usbMatchWords(expected.match));
    }

    void whatIsWrittenWronglyIsToldUnderIt_data()
    {
        QTest::addColumn<QString>("written");
        QTest::addColumn<QString>("told");
        QString const saysNothing = "That does not say which devices are meant.";
        QTest::addRow("nothing") << "" << saysNothing;
        QTest::addRow("a name") << "Kingston" << saysNothing;
        QTest::addRow("no product") << "0951:" << saysNothing;
        QTest::addRow("a comma too many") << "0951:1666," << saysNothing;
        QTest::addRow("one that is there") << "0951:1666"
                                           << "There is a rule for these devices already.";
    }
    void whatIsWrittenWronglyIsToldUnderIt()
    {
        QFETCH(QString, written);
        QFETCH(QString, told);
        Desk desk;
        desk.open();
        QVERIFY(change(desk, [](app::UsbRules& rules) { return rules.set(stickRule()); }));
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(choice(page, stick));
        anotherDevice(page)->trigger();
        type(written);
        QVERIFY(field(page) && field(page)->hasFocus());
        QVERIFY(tests::shows(page, told));
        QCOMPARE(field(page)->accessibleDescription(), told);
        QTest::keyClicks(field(page), "0");
        QVERIFY(!tests::shows(page, told));
        type("0951:*");
        auto const& rules = desk.library->hostUsb();
        QTRY_COMPARE(rules.rules().rules.size(), 2u);
        QCOMPARE(rules.rules().rules.front(), stickRule());
    }

    void whatCannotBeSavedIsThereToBeTriedAgain()
    {
        Desk desk;
        desk.open();
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(button(page, "Add a rule for…")->hasFocus());
        QDir const data(desk.directory.filePath("data"));
        QVERIFY(data.mkdir("usb.json.lock"));
        anotherDevice(page)->trigger();
        type("0951:*");
        QTRY_VERIFY(tests::shows(page, "The rule for USB devices could not be saved."));
        QVERIFY(field(page) && field(page)->hasFocus());
        QCOMPARE(field(page)->text(), "0951:*");
        QVERIFY(data.rmdir("usb.json.lock"));
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Return);
        QTRY_VERIFY(choice(page, "everything of maker 0951") && choice(page, "everything of maker 0951")->hasFocus());
    }

    void writtenByKeyboardAlone()
    {
        Desk desk;
        desk.open();
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        auto* add = button(page, "Add a rule for…");
        QTRY_VERIFY(add->hasFocus());
        chooseAnotherDevice(add);
        QTRY_VERIFY(field(page) && field(page)->hasFocus());
        QCOMPARE(field(page)->accessibleName(), "Which devices the rule is about");
        QVERIFY(field(page)->accessibleDescription().startsWith("VENDOR:PRODUCT as lsusb tells it"));
        type("0951");
        QVERIFY(tests::shows(page, "That does not say which devices are meant."));
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Escape);
        QVERIFY(!field(page));
        QVERIFY(add->hasFocus());
        QCOMPARE(desk.window->currentPage(), page);

        chooseAnotherDevice(add);
        QTRY_VERIFY(field(page) && field(page)->hasFocus());
        QCOMPARE(field(page)->text(), "");
        QTest::keyClicks(QApplication::focusWidget(), "0951:*");
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QVERIFY(button(page, "Back")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QVERIFY(button(page, "Add")->hasFocus());
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        QTRY_VERIFY(choice(page, "everything of maker 0951") && choice(page, "everything of maker 0951")->hasFocus());
    }

    void whomARuleIsForIsChangedByKeyboardAlone()
    {
        Desk desk;
        auto const id = desk.create("web");
        desk.open();
        QVERIFY(change(desk, [&](app::UsbRules& rules) { return rules.set(stickRule(id.toStdString())); }));
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(choice(page, stick));
        auto* edit = desk.named<QToolButton>(page, QString("Change which devices are meant: ") + stick);
        edit->setFocus();
        QTest::keyClick(edit, Qt::Key_Space);
        QVERIFY(field(page) && field(page)->hasFocus());
        QCOMPARE(field(page)->text(), "0951:1666");
        QTest::keyClick(field(page), Qt::Key_Escape);
        QVERIFY(!field(page));
        QVERIFY(edit->hasFocus());

        QTest::keyClick(edit, Qt::Key_Space);
        type("any");
        QVERIFY(tests::shows(page, "No rule takes every device into a machine: say which ones it takes."));
        type("0951:1666,port=1-2");
        QString const there = "Kingston DataTraveler (0951:1666, plugged in at 1-2)";
        QTRY_VERIFY(choice(page, there) && choice(page, there)->hasFocus());
        auto expected = stickRule(id.toStdString());
        expected.match.port = "1-2";
        QCOMPARE(desk.library->hostUsb().rules().rules, std::vector { expected });
    }

    void aRuleThatIsRemovedMeanwhileIsNotChanged()
    {
        Desk desk;
        desk.open();
        QVERIFY(change(desk, [](app::UsbRules& rules) { return rules.set(stickRule()); }));
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(choice(page, stick));
        desk.named<QToolButton>(page, QString("Change which devices are meant: ") + stick)->click();
        QVERIFY(field(page) && field(page)->hasFocus());
        QVERIFY(change(desk, [](app::UsbRules& rules) { return rules.remove(stickRule().match); }));
        desk.library->hostUsb().refresh();
        QTRY_VERIFY(!field(page));
        QVERIFY(button(page, "Add a rule for…")->hasFocus());
    }

    void aMachineThatIsNotHereAnyMoreIsNotForgotten()
    {
        Desk desk;
        desk.open();
        QVERIFY(change(desk, [](app::UsbRules& rules) { return rules.set(stickRule(vmm::makeUuid())); }));
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(choice(page, stick));
        QCOMPARE(choice(page, stick)->currentText(), "Into a machine that is not here");
    }

    void aRuleForAllOthers()
    {
        Desk desk;
        desk.create("web");
        desk.open();
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        auto* menu = button(page, "Add a rule for…")->menu();
        emit menu->aboutToShow();
        menu->actions().back()->trigger();
        auto const& host = desk.library->hostUsb();
        QTRY_COMPARE(host.rules().rules.size(), 1u);
        QCOMPARE(host.rules().rules.front().action, UsbAction::Ask);
        QTRY_VERIFY(choice(page, "every device") && choice(page, "every device")->hasFocus());
        QCOMPARE(choice(page, "every device")->count(), 2); // it takes none into a machine
        emit menu->aboutToShow();
        QVERIFY(!menu->actions().back()->isEnabled()); // there is one
    }

    void rulesThatCannotBeReadAreTold()
    {
        Desk desk;
        desk.create("web");
        QFile file(desk.directory.filePath("data/usb.json"));
        QVERIFY(file.open(QIODevice::WriteOnly) && file.write("{ none of ours") > 0);
        file.close();
        desk.open();
        desk.window->showUsbRules();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(!button(page, "Add a rule for…")->isEnabled());
        QVERIFY(tests::shows(page, "The rules cannot be read, and none holds. A file is damaged"));
        QVERIFY(tests::shows(page, file.fileName()));
    }
};

REGISTER_SUITE(UsbRulesTest);
#include "usb_rules_test.moc"
