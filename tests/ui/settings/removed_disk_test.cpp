#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"

#include <QMenu>
#include <QToolButton>

/// What the settings say of a disk that goes with its image.
class RemovedDiskTest final : public QObject {
    Q_OBJECT
private slots:
    void whatBecomesOfItsMomentsIsSaid_data()
    {
        QTest::addColumn<vmm::MomentPlace>("moments");
        QTest::addColumn<QString>("said");
        QTest::newRow("kept beside it") << vmm::MomentPlace::Automatic << "bring it back as it was then";
        QTest::newRow("kept inside") << vmm::MomentPlace::Inside << "Without it nobody can go back to a moment";
    }
    void whatBecomesOfItsMomentsIsSaid()
    {
        QFETCH(vmm::MomentPlace, moments);
        QFETCH(QString, said);
        tests::Desk desk;
        app::MachineRequest request { tests::exampleConfig("first"), { { "disk0", 1u << 20 } } };
        request.config.disks = { { .id = "disk0", .moments = moments } };
        auto const id = QString::fromStdString(request.config.uuid);
        std::optional<vmm::Result<QString>> made;
        desk.library->create(request, [&](vmm::Result<QString> const& outcome) { made = outcome; });
        QTRY_VERIFY(made);
        REQUIRE_OK(*made);
        desk.open();
        auto* page = desk.settings(id);
        auto const choices = desk.named<QToolButton>(page, "Remove disk0")->menu()->actions();
        QCOMPARE(choices[1]->text(), "Remove, with its image");
        choices[1]->trigger();
        QVERIFY(tests::shows(page, said));
    }
};

REGISTER_SUITE(RemovedDiskTest);
#include "removed_disk_test.moc"
