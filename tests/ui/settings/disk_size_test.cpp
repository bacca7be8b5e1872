#include "app/media/medium.h"
#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"

#include <QSignalSpy>
#include <QSpinBox>

using tests::button;
using tests::Desk;
using tests::shows;

namespace {

constexpr std::uint64_t gib = 1u << 30;

/// The machine "first" with a disk of three GiB, on its settings page.
struct Bench : Desk {
    QString const id = create("first");
    ui::MachineSettingsPage* page = nullptr;

    void open()
    {
        Desk::open();
        page = settings(id);
        button(page, "Add a new disk")->click();
        named<QSpinBox>(page, "Size of disk0")->setValue(3);
        page->save();
        QTRY_COMPARE(library->config(id).disks.size(), std::size_t(1));
        page = settings(id);
        QTRY_VERIFY(shows(page, "disk0.qcow2, 3 GiB"));
    }
    void chooseFive()
    {
        named<QPushButton>(page, "New size of disk0")->click();
        auto* size = named<QSpinBox>(page, "New size of disk0");
        QCOMPARE(size->minimum(), 4);
        size->setValue(5);
    }
    std::uint64_t bytes() const { return tests::must(app::inspectMedium(library->config(id).disks[0].path)).diskBytes; }
};

}

/// The size of a machine's disk on its settings page.
class DiskSizeTest final : public QObject {
    Q_OBJECT
private slots:
    void aDiskIsMadeLargerWithSave()
    {
        Bench bench;
        bench.open();
        bench.chooseFive();
        QVERIFY(bench.page->hasUnsaved(bench.id));
        QCOMPARE(bench.bytes(), 3 * gib);
        QSignalSpy const saved(bench.page, &ui::MachineSettingsPage::saved);
        bench.page->save();
        QTRY_COMPARE(saved.size(), 1);
        QCOMPARE(bench.bytes(), 5 * gib);
        QVERIFY(!bench.page->hasUnsaved(bench.id));
        bench.page = bench.settings(bench.id);
        QTRY_VERIFY(shows(bench.page, "disk0.qcow2, 5 GiB"));
    }

    void whatIsNotSavedWaitsOrIsDiscarded()
    {
        Bench bench;
        auto const second = bench.create("second");
        bench.open();
        bench.chooseFive();
        bench.settings(second);
        bench.page = bench.settings(bench.id);
        QTRY_VERIFY(shows(bench.page, "disk0.qcow2, 3 GiB"));
        QCOMPARE(bench.named<QSpinBox>(bench.page, "New size of disk0")->value(), 5);
        button(bench.page, "Discard changes")->click();
        QVERIFY(bench.page->largerDisks().empty());
        bench.named<QPushButton>(bench.page, "New size of disk0");
        QCOMPARE(bench.bytes(), 3 * gib);
    }

    void whatIsChosenWhileItIsSavedIsAChangeStill()
    {
        Bench bench;
        bench.open();
        bench.chooseFive();
        auto* size = bench.named<QSpinBox>(bench.page, "New size of disk0");
        QSignalSpy const saved(bench.page, &ui::MachineSettingsPage::saved);
        bench.page->save();
        size->setValue(6);
        QTRY_COMPARE(saved.size(), 1);
        QCOMPARE(bench.bytes(), 5 * gib);
        QCOMPARE(bench.page->largerDisks().at("disk0"), 6 * gib);
    }

    /// Of a machine that runs the rest is saved all the same.
    void itWaitsUntilTheMachineIsOff()
    {
        Bench bench;
        bench.open();
        bench.chooseFive();
        QVERIFY(bench.start(bench.id));
        QSignalSpy const saved(bench.page, &ui::MachineSettingsPage::saved);
        bench.page->save();
        QTRY_COMPARE(saved.size(), 1);
        QVERIFY(bench.page->hasUnsaved(bench.id));
        QCOMPARE(bench.bytes(), 3 * gib);
    }
};

REGISTER_SUITE(DiskSizeTest);
#include "disk_size_test.moc"
