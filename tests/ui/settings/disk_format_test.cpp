#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/widgets/message_bar.h"
#include "vmm/block/image.h"

#include <QDir>
#include <QFile>
#include <QFileDialog>
#include <QSignalSpy>
#include <QToolButton>

using tests::button;
using tests::Desk;

namespace {

/// The settings of a machine that gets an image which says that it stands on "safe/secret.img".
struct Bench : Desk {
    QString const id = create("first");
    std::string const image = directory.filePath("top.qcow2").toStdString(),
                      below = directory.filePath("safe/secret.img").toStdString();
    ui::MachineSettingsPage* page = nullptr;
    ui::MessageBar* messages = nullptr;

    Bench()
    {
        QVERIFY(QDir(directory.path()).mkdir("safe"));
        REQUIRE_OK(vmm::createImage(below, { .format = vmm::ImageFormat::Raw, .size = 4096 }));
        REQUIRE_OK(
            vmm::createImage(image, { .size = 4096, .backingFile = below, .backingFormat = vmm::ImageFormat::Raw }));
        open();
        page = settings(id);
        messages = page->findChild<ui::MessageBar*>();
    }
    void add() const
    {
        button(page, "Add a disk image…")->click();
        emit page->findChild<QFileDialog*>()->fileSelected(QString::fromStdString(image));
    }
    bool asks() const
    {
        return tests::becomes([&] { return messages->isVisible() && messages->text().contains("secret.img"); });
    }
    std::vector<vmm::DiskConfig> disks() const { return library->config(id).disks; }
};

}

/// What a disk image is that somebody adds on a machine's settings page.
class DiskFormatTest final : public QObject {
    Q_OBJECT
private slots:
    void whoAddsAnImageThatStandsOnAFileIsAskedWhatItIs_data()
    {
        QTest::addColumn<QString>("answer");
        QTest::addColumn<vmm::DiskFormat>("format");
        QTest::newRow("qcow2") << "It is qcow2" << vmm::DiskFormat::Qcow2;
        QTest::newRow("raw") << "It is raw" << vmm::DiskFormat::Raw;
    }
    void whoAddsAnImageThatStandsOnAFileIsAskedWhatItIs()
    {
        QFETCH(QString, answer);
        QFETCH(vmm::DiskFormat, format);
        Bench bench;
        bench.add();
        QVERIFY(bench.asks());
        button(bench.page, answer)->click();
        QVERIFY(!bench.messages->isVisible());
        QSignalSpy const saved(bench.page, &ui::MachineSettingsPage::saved);
        bench.page->save();
        QTRY_COMPARE(saved.size(), 1);
        QCOMPARE(bench.disks().at(0).format, std::optional(format));
        QCOMPARE(bench.disks()[0].backing,
            format == vmm::DiskFormat::Qcow2 ? std::vector { bench.below } : std::vector<std::string>());
    }

    void whoSavesWithoutAnAnswerIsAskedOnceMore()
    {
        Bench bench;
        bench.add();
        QVERIFY(bench.asks());
        bench.messages->dismiss();
        bench.page->save();
        QVERIFY(bench.asks());
        QVERIFY(bench.disks().empty());
        button(bench.page, "It is raw")->click();
        QVERIFY(!bench.messages->isVisible()); // nor what could not be saved
        bench.page->save();
        QTRY_COMPARE(bench.disks().size(), std::size_t(1));
    }

    void whatIsNoDiskAnyMoreIsNotAskedFor()
    {
        Bench bench;
        bench.add();
        QVERIFY(bench.asks());
        auto* answer = button(bench.page, "It is qcow2");
        bench.named<QToolButton>(bench.page, "Remove disk0")->click();
        answer->click();
        QVERIFY(bench.page->edited().disks.empty());
    }
};

REGISTER_SUITE(DiskFormatTest);
#include "disk_format_test.moc"
