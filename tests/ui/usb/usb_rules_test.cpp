#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/settings/preferences_page.h"

#include <QAbstractItemView>
#include <QApplication>
#include <QComboBox>
#include <QFile>
#include <QMenu>
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
