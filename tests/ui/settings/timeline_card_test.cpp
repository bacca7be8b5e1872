#include "app/session/vm_session.h"
#include "tests/fakes/fake_machine.h"
#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/settings/language.h"
#include "ui/settings/tier_row.h"
#include "ui/settings/timeline_card.h"
#include "ui/timeline/moment_words.h"
#include "vmm/block/image.h"

#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QFile>
#include <QLabel>
#include <QSpinBox>
#include <QTemporaryDir>
#include <QToolButton>

using tests::button;
using tests::Desk;

namespace {

QCheckBox* box(QWidget& page, QString const& text)
{
    for (auto* one : page.findChildren<QCheckBox*>()) {
        if (one->text().remove('&').contains(text))
            return one;
    }
    qFatal("there is no box %s", qPrintable(text));
}

bool says(QWidget const& page, QString const& text)
{
    for (auto const* one : page.findChildren<QLabel*>()) {
        if (one->text().contains(text))
            return true;
    }
    return false;
}

}

class TimelineCardTest final : public QObject {
    Q_OBJECT
private slots:
    void showsAPolicyAndChangesOnlyWhatIsTouched()
    {
        Desk const desk; // whose preferences these are
        ui::settings::language.set("en");
        ui::applyLanguage();
        app::TimelinePolicy policy;
        policy.everyMinutes = 25;
        policy.budget = 500'000'000; // which its field can only show rounded
        policy.tiers = { { 0, 3 }, { 15, 24 }, { 1440, 48 } };
        ui::TimelineCard card;
        card.setPolicy(policy);
        QCOMPARE(card.policy(), policy);
        QCOMPARE(card.findChild<QSpinBox*>()->value(), 25);
        QCOMPARE(card.findChild<QDoubleSpinBox*>()->value(), 0.5);
        QVERIFY(says(card, "all of them for 3 hours, one every 15 minutes for 1 day, one a day for 2 days"));

        box(card, "busy")->click();
        policy.automatic = false;
        QCOMPARE(card.policy(), policy);
        QVERIFY(!card.findChild<QSpinBox*>()->isEnabled());
        box(card, "settings")->click();
        policy.beforeChange = false;
        box(card, "closed")->click();
        policy.onClose = false;
        QCOMPARE(card.policy(), policy);
        box(card, "at most")->click();
        policy.budget = 0;
        QCOMPARE(card.policy(), policy);
        QVERIFY(!card.findChild<QDoubleSpinBox*>()->isEnabled());
        box(card, "at most")->click();
        QCOMPARE(card.policy().budget, app::TimelinePolicy {}.budget);
        card.findChild<QDoubleSpinBox*>()->setValue(2.5);
        QCOMPARE(card.policy().budget, std::uint64_t(5) << 29);
    }

    void howLongMomentsStayIsChangedByKeyboardAlone()
    {
        Desk desk;
        auto const id = desk.create("web");
        desk.open();
        auto* page = desk.settings(id);
        QTRY_VERIFY(says(*page, "all of them for 1 hour, one an hour for 1 day, one a day for 30 days"));
        auto* card = page->findChild<ui::TimelineCard*>();
        QTRY_VERIFY(card->isEnabled());
        QTest::keyClick(button(page, "Change how lon&g they stay"), Qt::Key_Space);

        // "one an hour for 1 day" becomes "one every 6 hours for 2 days".
        auto const rows = card->findChildren<ui::TierRow*>();
        QCOMPARE(rows.size(), 3);
        rows[1]->interval()->setFocus();
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Down);
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Tab);
        QCOMPARE(QApplication::focusWidget()->accessibleName(), "How long they stay");
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Up);
        std::vector<app::TimelineTier> tiers { { 0, 1 }, { 360, 48 }, { 1440, 720 } };
        QCOMPARE(card->policy().tiers, tiers);
        QVERIFY(says(*page, "one every 6 hours for 2 days"));

        button(page, "Add another")->click();
        tiers.push_back({ 7 * 1440, 365 * 24 });
        QCOMPARE(card->policy().tiers, tiers);
        QCOMPARE(QApplication::focusWidget()->accessibleName(), "Which moments stay");
        rows[0]->removal()->setFocus();
        QTest::keyClick(QApplication::focusWidget(), Qt::Key_Space);
        tiers.erase(tiers.begin());
        QCOMPARE(card->policy().tiers, tiers);
        QCOMPARE(QApplication::focusWidget(), rows[0]->removal()); // of what was the second
        QVERIFY(says(*page, "Of these moments stay: one every 6 hours for 2 days"));

        button(page, "&Save")->click();
        auto const folder = desk.library->store().placesOf(id.toStdString()).timelineFolder;
        QTRY_COMPARE(tests::must(app::policyOf(folder)).tiers, tiers);
        // All of them may go, and no more than a file can hold can be added.
        page = desk.settings(id);
        while (!card->policy().tiers.empty()) {
            card->findChildren<ui::TierRow*>().front()->removal()->click();
            QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
        }
        QVERIFY(says(*page, "only the last one stays"));
        while (button(page, "Add another")->isEnabled())
            button(page, "Add another")->click();
        QVERIFY(app::checkPolicy(card->policy()));
        QCOMPARE(card->policy().tiers.size(), 16u);
    }

    void hoursStayHours()
    {
        Desk const desk; // whose preferences these are
        ui::settings::language.set("en");
        ui::applyLanguage();
        ui::TierRow row;
        row.setTier({ 60, 24 });
        auto* age = row.findChild<QSpinBox*>();
        auto* unit = row.findChildren<QComboBox*>().back();
        QCOMPARE(unit->currentText(), "day");
        QCOMPARE(unit->itemText(0), "hour");
        QCOMPARE(age->value(), 1);
        unit->setCurrentIndex(0);
        emit unit->activated(0);
        QCOMPARE(row.tier().forHours, 1u);
        age->setValue(48);
        QCOMPARE(row.tier().forHours, 48u);
        row.setTier(row.tier());
        QCOMPARE(unit->currentText(), "hours"); // as it was typed
        row.setTier({ 7, 5 });
        QCOMPARE(row.interval()->currentText(), "one every 7 minutes");
    }

    void tellsWhatIsUsedAndWhatIsTooMuch()
    {
        app::TimelinePolicy policy;
        policy.budget = 1 << 30;
        ui::TimelineCard card;
        card.setPolicy(policy);
        card.setUsed(std::nullopt);
        QVERIFY(!says(card, "now"));
        app::TimelineCosts costs;
        costs.files = 512 << 20;
        card.setUsed(costs);
        QVERIFY(says(card, "They take 512 MiB now, without what disks keep for them."));
        costs.onDisks = quint64(0);
        card.setUsed(costs);
        QVERIFY(says(card, "They take 512 MiB now."));
        costs.onDisks = quint64(256) << 20;
        card.setUsed(costs);
        QVERIFY(says(card, "They take 768 MiB now; 256 MiB of that is what disks keep for them."));
        QVERIFY(!says(card, "too much"));
        costs.onDisks = vmm::fail(vmm::ErrorCode::NotFound, "there is no disk0.img");
        card.setUsed(costs);
        QVERIFY(says(card, "They take 512 MiB now, and what disks keep for them, which is not known: "));
        QVERIFY(!says(card, "too much"));
        costs.onDisks = quint64(5) << 29;
        card.setUsed(costs);
        QVERIFY(says(card, "That is 2 GiB too much"));
        policy.tiers.clear();
        card.setPolicy(policy);
        QVERIFY(says(card, "only the last one stays"));
    }

    void isSavedWithItsMachineAtAnyTime()
    {
        Desk desk;
        auto const first = desk.create("first"), second = desk.create("second");
        desk.open();
        auto* page = desk.settings(first);
        auto* minutes = desk.named<QSpinBox>(page, "Minutes between two moments");
        QCOMPARE(minutes->value(), 10);
        minutes->setValue(7);
        QVERIFY(page->hasUnsaved(first));
        // Another machine is clicked: its settings are its own.
        page = desk.settings(second);
        QCOMPARE(desk.named<QSpinBox>(page, "Minutes between two moments")->value(), 10);
        QVERIFY(page->hasUnsaved(first) && !page->hasUnsaved(second));
        page = desk.settings(first);
        QCOMPARE(desk.named<QSpinBox>(page, "Minutes between two moments")->value(), 7);

        QVERIFY(desk.start(first));
        auto const known = [&] {
            return tests::must(app::policyOf(desk.library->store().placesOf(first.toStdString()).timelineFolder));
        };
        page = desk.settings(first);
        desk.named<QSpinBox>(page, "Minutes between two moments")->setValue(8);
        button(page, "&Save")->click();
        QTRY_COMPARE(known().everyMinutes, 8);
        QTRY_VERIFY(!page->hasUnsaved(first));
        // It is the timeline's, and no part of the machine's configuration.
        QTRY_VERIFY(desk.session(first).timeline().policy() == known());
    }

    void theLineUnderTheTimelineTellsWhatDisksKeep()
    {
        QTemporaryDir const directory;
        auto const path = [&](char const* name) { return directory.filePath(name).toStdString(); };
        auto config = tests::exampleConfig();
        config.disks.push_back({ "disk0", path("disk.qcow2"), vmm::DiskFormat::Qcow2 });
        tests::must(vmm::createImage(config.disks[0].path, { .size = 1 << 20 }));
        auto const script = std::make_shared<tests::FakeMachine::Script>();
        app::VmSession session(std::make_shared<app::MachineRunner>(config,
            app::MachinePlaces { path("state"), path("machine.lock"), path("timeline") },
            tests::FakeMachine::factory(script)));
        auto& timeline = session.timeline();
        auto const write = [&](std::uint8_t what) {
            vmm::InlineEngine engine;
            vmm::ImageOptions options;
            options.format = vmm::ImageFormat::Qcow2;
            auto const image = tests::must(vmm::BlockImage::open(engine, config.disks[0].path, options));
            tests::must(image->writeSync(0, vmm::Bytes(64 << 10, what)));
            tests::must(image->flushSync());
        };
        timeline.open();
        QTRY_VERIFY(timeline.isRead());
        write(1);
        timeline.keep("one");
        QTRY_VERIFY(!timeline.keeping() && !timeline.present().isEmpty());
        write(2);
        timeline.findDiskCosts();
        QTRY_VERIFY2(ui::timelineSummary(timeline).contains(" (disks: 64 KiB) of 20 GiB"),
            qPrintable(ui::timelineSummary(timeline)));
        QVERIFY(QFile::remove(QString::fromStdString(config.disks[0].path)));
        timeline.rename(timeline.moments()[0].id, "another"); // with which what was known is old
        QTRY_COMPARE(timeline.moments()[0].name, "another");
        timeline.findDiskCosts();
        QTRY_VERIFY2(ui::timelineSummary(timeline).contains(" (disks: not known) of 20 GiB"),
            qPrintable(ui::timelineSummary(timeline)));
    }

    void theLineUnderTheTimelineTellsTheBudget()
    {
        Desk desk;
        auto const id = desk.create("web");
        desk.open();
        desk.window->showMachine(id);
        QVERIFY(desk.start(id));
        auto& timeline = desk.session(id).timeline();
        timeline.keep("one");
        QTRY_VERIFY(timeline.costs() && !timeline.costs()->moments.empty());
        QVERIFY2(ui::timelineSummary(timeline).contains(" of 20 GiB"), qPrintable(ui::timelineSummary(timeline)));
        app::TimelinePolicy policy;
        policy.budget = 1024;
        desk.library->changePolicy(id, policy, [](vmm::Result<> const&) {});
        QTRY_VERIFY2(ui::timelineSummary(timeline).contains("over the budget of 1 KiB, which only you can free"),
            qPrintable(ui::timelineSummary(timeline)));
    }
};

REGISTER_SUITE(TimelineCardTest);
#include "timeline_card_test.moc"
