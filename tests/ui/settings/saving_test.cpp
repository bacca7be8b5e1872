#include "app/store/file_lock.h"
#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/widgets/message_bar.h"

#include <QApplication>
#include <QComboBox>
#include <QDir>
#include <QSignalSpy>
#include <QSpinBox>

using app::UsbRestore;
using tests::button;
using tests::Desk;

namespace {

/// The settings of "first", of which something is changed, and another machine.
struct Bench : Desk {
    QString const id = create("first"), other = create("second");
    ui::MachineSettingsPage* page = nullptr;
    QSpinBox *memory = nullptr, *processors = nullptr;

    Bench()
    {
        open();
        page = settings(id);
        memory = named<QSpinBox>(page, "Memory");
        processors = named<QSpinBox>(page, "Processors");
        memory->setValue(128);
    }
    /// Nobody can lock the configuration.
    void makeItFail() const
    {
        QDir const directory(QString::fromStdString(library->store().directoryOf(id.toStdString())));
        QVERIFY(directory.mkdir("machine.json.lock"));
    }
    /// Nothing is saved while that is there.
    vmm::UniqueFd hold() const
    {
        return tests::must(app::lockForChange(library->store().directoryOf(id.toStdString()) + "/machine.json"));
    }
};

}

/// What a person does while a machine's settings are saved.
class SavingTest final : public QObject {
    Q_OBJECT
private slots:
    void whoSavesInVainCanTryAgainAtOnce()
    {
        Bench bench;
        bench.makeItFail();
        auto* save = button(bench.page, "&Save");
        save->setFocus();
        save->click();
        QVERIFY(!save->isEnabled());
        QCOMPARE(QApplication::focusWidget()->focusPolicy(), Qt::NoFocus); // no other control has it
        auto const* messages = bench.page->findChild<ui::MessageBar*>();
        QTRY_VERIFY2(messages->text().contains("The settings could not be saved."), qPrintable(messages->text()));
        QCOMPARE(QApplication::focusWidget(), save);
    }

    void whatIsChangedThenAndPutAsideIsStillThere()
    {
        Bench bench;
        bench.page->save();
        bench.processors->setValue(3);
        bench.settings(bench.other);
        QTRY_COMPARE(bench.library->config(bench.id).memoryMiB, 128u);
        QVERIFY(bench.page->hasUnsaved(bench.id));
        bench.settings(bench.id);
        QCOMPARE(bench.page->edited().memoryMiB, 128u);
        QCOMPARE(int(bench.page->edited().cpus), 3);
    }

    void whatIsSavedMeanwhileIsNoChangeAnyMore()
    {
        Bench bench;
        bench.page->save();
        bench.settings(bench.other);
        QTRY_COMPARE(bench.library->config(bench.id).memoryMiB, 128u);
        QVERIFY(!bench.page->hasUnsaved(bench.id));
    }

    void whatBecomesOfUsbDevicesIsSavedOfWhomItWasChosenFor()
    {
        Bench bench;
        bench.named<QSpinBox>(bench.page, "Minutes between two moments")->setValue(7); // which takes a while
        auto* restore = bench.named<QComboBox>(bench.page, "USB devices of this computer after going back");
        restore->setFocus();
        QTest::keyClick(restore, Qt::Key_Down);
        bench.page->save();
        bench.settings(bench.other);
        QTRY_COMPARE(bench.library->config(bench.id).memoryMiB, 128u);
        QTRY_VERIFY(!bench.page->hasUnsaved(bench.id));
        auto const& host = bench.library->hostUsb();
        QTRY_COMPARE(host.rules().restoreOf(bench.id.toStdString()), UsbRestore::Leave);
        QCOMPARE(host.rules().restoreOf(bench.other.toStdString()), UsbRestore::Attach);
    }

    void whatWaitsForTheMachineToBeOffStaysThoughItIsByThen()
    {
        Bench bench;
        QVERIFY(bench.start(bench.id));
        auto held = bench.hold();
        QSignalSpy const saved(bench.page, &ui::MachineSettingsPage::saved);
        bench.page->save();
        bench.session(bench.id).powerOff();
        QVERIFY(bench.waitFor(bench.id, app::SessionState::Off));
        held.reset();
        QTRY_COMPARE(saved.size(), 1);
        QVERIFY(bench.library->config(bench.id).memoryMiB != 128);
        QVERIFY(bench.page->hasUnsaved(bench.id));
        QCOMPARE(bench.page->edited().memoryMiB, 128u);
    }

    void whoGoesOnMeanwhileStaysThere()
    {
        Bench bench;
        auto held = bench.hold();
        QSignalSpy const saved(bench.page, &ui::MachineSettingsPage::saved);
        bench.page->save();
        bench.processors->setFocus();
        bench.processors->setValue(3);
        held.reset();
        QTRY_COMPARE(saved.size(), 1);
        QCOMPARE(bench.window->currentPage(), bench.page);
        QCOMPARE(QApplication::focusWidget(), bench.processors);
        QVERIFY(tests::shows(bench.page, "These changes are not saved yet."));
        QVERIFY(button(bench.page, "Discard changes")->isVisible());
        bench.page->save();
        QTRY_VERIFY(bench.window->currentPage() != bench.page);
        QCOMPARE(int(bench.library->config(bench.id).cpus), 3);
    }

    void whoHasGoneElsewhereIsToldWhoseSettingsAreNot()
    {
        Bench bench;
        bench.makeItFail();
        bench.page->save();
        bench.settings(bench.other);
        auto const* messages = bench.window->findChild<ui::MessageBar*>("windowMessages");
        QTRY_VERIFY2(
            messages->text().contains("The settings of “first” could not be saved."), qPrintable(messages->text()));
        QVERIFY(!tests::shows(bench.page, "could not be saved"));
        QVERIFY(bench.page->hasUnsaved(bench.id));
    }
};

REGISTER_SUITE(SavingTest);
#include "saving_test.moc"
