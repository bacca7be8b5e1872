#include "app/media/medium.h"
#include "app/systems/media_advisor.h"
#include "tests/support/media.h"
#include "tests/ui/main_window/desk.h"
#include "ui/machine/machine_page.h"
#include "ui/new_machine/new_machine_page.h"
#include "ui/widgets/message_bar.h"
#include "vmm/block/image.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDir>
#include <QDragEnterEvent>
#include <QFile>
#include <QLineEdit>
#include <QMimeData>
#include <QPlainTextEdit>
#include <QSpinBox>

using tests::button;
using tests::shows;

namespace {

int const limit = 60'000 * tests::patience(); // libosinfo's database is read first

/// A window on its page for a new machine, and files to make one for.
struct Bench : tests::Desk {
    ui::NewMachinePage* page = nullptr;

    Bench()
    {
        open();
        window->showNewMachine();
        page = window->newMachinePage();
    }
    QString write(QString const& name, QByteArray const& contents)
    {
        QFile file(directory.filePath(name));
        if (!file.open(QIODevice::WriteOnly) || file.write(contents) != contents.size())
            qFatal("cannot write %s", qPrintable(file.fileName()));
        return file.fileName();
    }
    /// A qcow2 image of 2 GiB.
    QString writeDisk(QString const& name)
    {
        auto const path = directory.filePath(name);
        vmm::NewImage what;
        what.size = 2ull << 30;
        tests::must(vmm::createImage(path.toStdString(), what));
        return path;
    }
    /// Chooses a system, when they are listed; an empty one is "Another system".
    void choose(QString const& system)
    {
        auto* systems = named<QComboBox>(page, "System");
        if (!tests::becomes([&] { return systems->findData(system) >= 0; }, limit))
            qFatal("there is no %s", qPrintable(system));
        systems->setCurrentIndex(systems->findData(system));
        emit systems->activated(systems->currentIndex());
    }
    QSpinBox* number(QString const& name) { return named<QSpinBox>(page, name); }
    bool isReady() const
    {
        return tests::becomes([&] { return page->isReady(); }, limit);
    }
    /// What stands in the library after the button was pressed.
    vmm::VmConfig create()
    {
        named<QLineEdit>(page, "Name")->setText("mine");
        for (auto* box : page->findChildren<QCheckBox*>())
            box->setChecked(false); // "Start it at once"
        button(page, "&Create")->click();
        if (!tests::becomes([&] { return !library->ids().isEmpty(); }))
            return {};
        return library->config(library->ids().front());
    }
    bool drop(QWidget* where, QList<QUrl> const& urls)
    {
        QMimeData data;
        data.setUrls(urls);
        QDragEnterEvent enter({ 10, 10 }, Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
        enter.ignore();
        QApplication::sendEvent(where, &enter);
        if (!enter.isAccepted())
            return false;
        QDropEvent drop({ 10, 10 }, Qt::CopyAction, &data, Qt::LeftButton, Qt::NoModifier);
        QApplication::sendEvent(where, &drop);
        return true;
    }
};

}

/// From a file to a machine in the library: what the page says of it, proposes, lets one change, and makes.
class NewMachineTest final : public QObject {
    Q_OBJECT
private slots:
    void aCd()
    {
        Bench bench;
        auto const path = bench.write("some.iso", tests::iso("Some System", { 0, 0xef }));
        bench.page->useFile(path);
        QVERIFY(bench.isReady());
        QVERIFY(shows(bench.page, "<b>Some System</b> on the CD some.iso"));
        QCOMPARE(bench.named<QLineEdit>(bench.page, "Name")->text(), "some");
        QCOMPARE(bench.number("Disk")->text(), "20 GiB");
        bench.number("Processors")->setValue(3);
        bench.number("Memory")->setValue(192);
        bench.number("Disk")->setValue(5);
        auto const made = bench.create();
        QCOMPARE(made.name, "mine");
        QCOMPARE(made.cpus, 3);
        QCOMPARE(made.memoryMiB, 192u);
        QVERIFY(!made.kernel);
        QCOMPARE(made.cds.at(0).path, path.toStdString());
        QCOMPARE(made.bootOrder, (std::vector<std::string> { "disk0", "cd0" }));
        auto const disk = app::inspectMedium(made.disks.at(0).path);
        REQUIRE_OK(disk);
        QCOMPARE(disk->format, "qcow2");
        QCOMPARE(disk->diskBytes, 5ull << 30);
        QCOMPARE(made.networks.at(0).mode, vmm::NetworkMode::User);
        QCOMPARE(bench.session(bench.library->ids().front()).state(), app::SessionState::Off);
    }

    void aDiskImage()
    {
        Bench bench;
        auto const path = bench.writeDisk("old.qcow2");
        bench.page->useFile(path);
        QVERIFY(bench.isReady());
        QVERIFY(shows(bench.page, "<b>old.qcow2</b>: a disk image of 2 GiB (qcow2)"));
        QVERIFY(shows(bench.page, "The machine writes to this file where it lies."));
        for (auto* box : bench.page->findChildren<QSpinBox*>())
            QVERIFY(box->accessibleName() != "Disk" || !box->isVisible()); // it has one
        bench.number("Processors")->setValue(4);
        bench.number("Memory")->setValue(320);
        auto const made = bench.create();
        QCOMPARE(made.cpus, 4);
        QCOMPARE(made.memoryMiB, 320u);
        QCOMPARE(made.disks.size(), 1u);
        QCOMPARE(made.disks[0].path, path.toStdString());
        QCOMPARE(made.disks[0].format, std::optional(vmm::DiskFormat::Qcow2));
        QVERIFY(made.cds.at(0).path.empty());
    }

    void aDiskImageThatLooksLikeQcow2CanBeSaidToBeRaw()
    {
        Bench bench;
        auto const path = bench.writeDisk("old.qcow2");
        bench.page->useFile(path);
        QVERIFY(bench.isReady());
        auto* format = bench.named<QComboBox>(bench.page, "Format of the disk image");
        QCOMPARE(format->currentText(), "qcow2, as it looks");
        format->setCurrentText("raw");
        QVERIFY(!shows(bench.page, "a disk image of 2 GiB"));
        QVERIFY(shows(bench.page, "(raw)"));
        QCOMPARE(bench.create().disks.at(0).format, std::optional(vmm::DiskFormat::Raw));
        // A choice is not the next image's.
        bench.window->showNewMachine();
        bench.page->useFile(bench.writeDisk("next.qcow2"));
        QVERIFY(bench.isReady());
        QCOMPARE(format->currentText(), "qcow2, as it looks");
        bench.page->useFile(bench.write("blank.img", QByteArray(1 << 20, '\0')));
        QVERIFY(bench.isReady());
        QVERIFY(!format->isVisible());
    }

    /// A guest could have written that into its raw disk, to read the file.
    void anImageThatStandsOnAFileIsTakenWhenSomebodyHasSeenWhich_data()
    {
        QTest::addColumn<bool>("elsewhere");
        QTest::addColumn<QString>("said");
        QTest::addColumn<vmm::DiskFormat>("format");
        for (bool const elsewhere : { false, true }) {
            auto const* where = elsewhere ? "elsewhere" : "beside";
            QTest::addRow("qcow2, %s", where) << elsewhere << "qcow2, as it looks" << vmm::DiskFormat::Qcow2;
            QTest::addRow("raw, %s", where) << elsewhere << "raw" << vmm::DiskFormat::Raw;
        }
    }
    void anImageThatStandsOnAFileIsTakenWhenSomebodyHasSeenWhich()
    {
        QFETCH(bool, elsewhere);
        QFETCH(QString, said);
        QFETCH(vmm::DiskFormat, format);
        Bench bench;
        QVERIFY(QDir(bench.directory.path()).mkdir("safe"));
        auto const below = bench.write(elsewhere ? "safe/secret.img" : "secret.img", QByteArray(4096, 's'));
        auto const path = bench.directory.filePath("top.qcow2");
        REQUIRE_OK(vmm::createImage(path.toStdString(),
            { .size = 1 << 20, .backingFile = below.toStdString(), .backingFormat = vmm::ImageFormat::Raw }));
        bench.page->useFile(path);
        QVERIFY(bench.isReady());
        QVERIFY(shows(bench.page, "secret.img"));
        auto* chosen = bench.named<QComboBox>(bench.page, "Format of the disk image");
        QCOMPARE(chosen->currentIndex(), -1);
        QVERIFY(!button(bench.page, "&Create and start")->isEnabled());
        bench.page->createMachine();
        chosen->setCurrentText(said);
        QVERIFY(button(bench.page, "&Create and start")->isEnabled());
        auto const made = bench.create();
        QCOMPARE(made.disks.size(), 1u);
        QCOMPARE(made.disks[0].format, std::optional(format));
        bool const isNamed = elsewhere && format == vmm::DiskFormat::Qcow2;
        QCOMPARE(made.disks[0].backing, isNamed ? std::vector { below.toStdString() } : std::vector<std::string>());
    }

    /// Between the look at the page and the button.
    void aHeaderThatIsWrittenMeanwhileIsNotBelieved()
    {
        Bench bench;
        auto const path = bench.writeDisk("old.qcow2");
        bench.page->useFile(path);
        QVERIFY(bench.isReady());
        bench.write("secret.img", QByteArray(4096, 's'));
        QVERIFY(QFile::remove(path));
        REQUIRE_OK(vmm::createImage(path.toStdString(),
            { .size = 1 << 20, .backingFile = "secret.img", .backingFormat = vmm::ImageFormat::Raw }));
        button(bench.page, "&Create and start")->click();
        auto* messages = bench.page->findChild<ui::MessageBar*>();
        QTRY_VERIFY(messages->text().contains("The machine could not be created."));
        QCOMPARE(bench.library->ids(), QStringList());
    }

    void anEmptyDisk()
    {
        Bench bench;
        auto const path = bench.write("blank.img", QByteArray(1 << 20, '\0'));
        bench.page->useFile(path);
        QVERIFY(bench.isReady());
        QVERIFY(shows(bench.page, "<b>blank.img</b>: a disk image of 1 MiB (raw)"));
        auto const made = bench.create();
        QCOMPARE(made.disks.at(0).path, path.toStdString());
        QCOMPARE(made.disks[0].format, std::optional(vmm::DiskFormat::Raw));
    }

    void aLinuxKernel()
    {
        Bench bench;
        auto const initrd = bench.write("initrd.img", "initial");
        auto const path = bench.write("vmlinuz", tests::bzImage("6.1.0-test"));
        bench.page->useFile(path);
        QVERIFY(bench.isReady());
        QVERIFY(shows(bench.page, "<b>vmlinuz</b>: a kernel that is started directly"));
        button(bench.page, "More")->click();
        QVERIFY(!bench.named<QComboBox>(bench.page, "Firmware")->isEnabled());
        QVERIFY(shows(bench.page, "a kernel is started without firmware"));
        bench.number("Processors")->setValue(1);
        bench.number("Memory")->setValue(256);
        bench.number("Disk")->setValue(1);
        QCOMPARE(bench.named<QLineEdit>(bench.page, "Initial RAM disk")->text(), initrd);
        auto* commandLine = bench.named<QLineEdit>(bench.page, "The kernel's command line");
        QCOMPARE(commandLine->text(), "console=tty0 console=ttyS0");
        commandLine->setText("console=ttyS0 single");
        auto const made = bench.create();
        QCOMPARE(made.firmware, vmm::Firmware::None);
        QCOMPARE(made.kernel->initrd, initrd.toStdString());
        QVERIFY(made.kernel);
        QCOMPARE(made.kernel->kernel, path.toStdString());
        QCOMPARE(made.kernel->commandLine, "console=ttyS0 single");
        QCOMPARE(made.cpus, 1);
        QCOMPARE(made.memoryMiB, 256u);
        QCOMPARE(tests::must(app::inspectMedium(made.disks.at(0).path)).diskBytes, 1ull << 30);
    }

    void aPvhKernel()
    {
        Bench bench;
        auto const path = bench.write("tiny.elf", tests::elf());
        bench.page->useFile(path);
        QVERIFY(bench.isReady());
        QVERIFY(shows(bench.page, "<b>tiny.elf</b>: a kernel that is started directly"));
        bench.number("Memory")->setValue(64);
        auto const made = bench.create();
        QCOMPARE(made.kernel->kernel, path.toStdString());
        QCOMPARE(made.memoryMiB, 64u);
        QVERIFY(made.disks.empty());
    }

    void whatIsNoMediumIsRefused_data()
    {
        QTest::addColumn<QByteArray>("contents");
        QTest::addColumn<QString>("why");
        QTest::addColumn<QString>("details");
        QTest::newRow("vmdk") << tests::vmdk() << "This version cannot do that."
                              << "is a VMDK image";
        QTest::newRow("xz") << tests::xz() << "The details say what the file is."
                            << "is compressed with xz, to be unpacked first";
        QTest::newRow("rubbish") << QByteArray(4097, 'x')
                                 << "It is damaged, or neither a CD image nor a disk image nor a kernel."
                                 << "neither a CD nor a disk image nor a kernel";
        QTest::newRow("empty") << QByteArray() << "It is damaged, or neither a CD image nor a disk image nor a kernel."
                               << "neither a CD nor a disk image nor a kernel";
        QTest::newRow("machine.json") << QByteArray(R"({"kind":"machine","version":1,"state":{}})")
                                      << "This version cannot do that."
                                      << "the description of a machine";
    }
    void whatIsNoMediumIsRefused()
    {
        QFETCH(QByteArray, contents);
        QFETCH(QString, why);
        QFETCH(QString, details);
        Bench bench;
        bench.page->useFile(bench.write("file", contents));
        auto* messages = bench.page->findChild<ui::MessageBar*>();
        QTRY_VERIFY_WITH_TIMEOUT(messages->isVisible(), limit);
        QVERIFY2(messages->text().contains("This file cannot be used."), qPrintable(messages->text()));
        QVERIFY2(messages->text().contains(why), qPrintable(messages->text()));
        for (auto* one : messages->findChildren<QPushButton*>())
            one->isCheckable() ? one->click() : void();
        auto const* told = messages->findChild<QPlainTextEdit*>();
        QVERIFY(told->isVisible());
        QVERIFY2(told->toPlainText().contains(details), qPrintable(told->toPlainText()));
        QVERIFY(!bench.page->isReady());
        QVERIFY(!button(bench.page, "&Create and start")->isEnabled());
        // The next one is looked at as if nothing had been.
        bench.page->useFile(bench.write("some.iso", tests::iso("Some System")));
        QVERIFY(bench.isReady());
        QVERIFY(!messages->isVisible());
    }

    void aFileThatIsNotThereIsToldAndTheLastOneChosenCounts()
    {
        Bench bench;
        bench.page->useFile("/nowhere/at.all");
        QTRY_VERIFY_WITH_TIMEOUT(bench.page->findChild<ui::MessageBar*>()->isVisible(), limit);
        QVERIFY(bench.page->findChild<ui::MessageBar*>()->text().contains("not there"));
        bench.page->useFile(bench.write("first.iso", tests::iso("First")));
        bench.page->useFile(bench.write("second.iso", tests::iso("Second")));
        QVERIFY(bench.isReady());
        QVERIFY(shows(bench.page, "<b>Second</b> on the CD second.iso"));
        QCOMPARE(bench.create().cds.at(0).path, bench.directory.filePath("second.iso").toStdString());
    }

    void theHostsLimitsAreTold()
    {
        Bench bench;
        bench.page->useFile(bench.write("some.iso", tests::iso("Some System")));
        QVERIFY(bench.isReady());
        QVERIFY(!shows(bench.page, "is more than this computer has"));
        bench.number("Memory")->setValue(1 << 20);
        QVERIFY(shows(bench.page, "is more than this computer has"));
    }

    void anotherSystemProposesAnotherMachine()
    {
        if (app::MediaAdvisor().systems().empty())
            QSKIP("CHRONOVISOR-SKIP: no osinfo-db installed");
        Bench bench;
        bench.page->useFile(bench.write("some.iso", tests::iso("Some System", { 0 })));
        QVERIFY(bench.isReady());
        auto* systems = bench.named<QComboBox>(bench.page, "System");
        QTRY_VERIFY_WITH_TIMEOUT(systems->count() > 1, limit);
        QCOMPARE(systems->currentText(), "Another system");
        auto const debian = systems->findData("http://debian.org/debian/11");
        QVERIFY(debian > 0);
        systems->setCurrentIndex(debian);
        emit systems->activated(debian);
        QTRY_COMPARE_WITH_TIMEOUT(bench.named<QLineEdit>(bench.page, "Name")->text(), "debian11", limit);
        QVERIFY(shows(bench.page, "what this system's makers recommend"));
        QCOMPARE(systems->currentIndex(), debian);
        QCOMPARE(bench.create().system, "http://debian.org/debian/11");
    }

    void whatWasChangedByHandIsNotProposedOver()
    {
        if (app::MediaAdvisor().systems().empty())
            QSKIP("CHRONOVISOR-SKIP: no osinfo-db installed");
        Bench bench;
        bench.page->useFile(bench.write("some.iso", tests::iso("Some System", { 0 })));
        QVERIFY(bench.isReady());
        bench.named<QLineEdit>(bench.page, "Name")->setText("typed");
        bench.number("Memory")->setValue(192);
        button(bench.page, "More")->click();
        bench.named<QComboBox>(bench.page, "Firmware")->setCurrentText("UEFI");
        bench.choose("http://microsoft.com/win/11");
        QTRY_VERIFY_WITH_TIMEOUT(bench.number("Disk")->value() != 20, limit);
        QCOMPARE(bench.named<QLineEdit>(bench.page, "Name")->text(), "typed");
        QCOMPARE(bench.number("Memory")->value(), 192);
        bench.choose({});
        QTRY_COMPARE_WITH_TIMEOUT(bench.number("Disk")->value(), 20, limit);
        QCOMPARE(bench.named<QLineEdit>(bench.page, "Name")->text(), "typed");
        auto const made = bench.create();
        QCOMPARE(made.system, "");
        QCOMPARE(made.memoryMiB, 192u);
        QCOMPARE(made.firmware, vmm::Firmware::Ovmf);
    }

    void aSystemWithoutVirtioDriversGetsWhatItKnows()
    {
        if (app::MediaAdvisor().systems().empty())
            QSKIP("CHRONOVISOR-SKIP: no osinfo-db installed");
        Bench bench;
        bench.page->useFile(bench.write("some.iso", tests::iso("Some System", { 0 })));
        QVERIFY(bench.isReady());
        bench.choose("http://microsoft.com/win/11");
        QTRY_VERIFY_WITH_TIMEOUT(shows(bench.page, "The network card needs a driver"), limit);
        button(bench.page, "More")->click();
        bench.named<QComboBox>(bench.page, "Network")->setCurrentText("Not connected");
        QVERIFY(!shows(bench.page, "The network card needs a driver"));
        auto const made = bench.create();
        QCOMPARE(made.disks.at(0).bus, vmm::DiskBus::Ahci);
        QVERIFY(!made.tablet);
        QCOMPARE(made.usbDevices.at(0).kind, vmm::UsbKind::Tablet);
    }

    void aSystemForAFileThatIsGoneIsNotChosen()
    {
        if (app::MediaAdvisor().systems().empty())
            QSKIP("CHRONOVISOR-SKIP: no osinfo-db installed");
        Bench bench;
        auto const path = bench.write("some.iso", tests::iso("Some System", { 0 }));
        bench.page->useFile(path);
        QVERIFY(bench.isReady());
        QVERIFY(QFile::remove(path));
        bench.choose("http://debian.org/debian/11");
        QTRY_VERIFY_WITH_TIMEOUT(bench.page->findChild<ui::MessageBar*>()->isVisible(), limit);
        QCOMPARE(bench.named<QComboBox>(bench.page, "System")->currentText(), "Another system");
    }

    void thePageKeepsWhatIsOnItUntilTheMachineIsMade()
    {
        Bench bench;
        bench.page->useFile(bench.write("some.iso", tests::iso("Some System")));
        QVERIFY(bench.isReady());
        bench.named<QLineEdit>(bench.page, "Name")->setText("typed");
        QTest::keyClick(bench.page, Qt::Key_Escape);
        QVERIFY(bench.window->currentPage() != bench.page);
        bench.window->showNewMachine();
        QVERIFY(bench.page->isReady());
        QCOMPARE(bench.named<QLineEdit>(bench.page, "Name")->text(), "typed");
        QCOMPARE(bench.create().name, "mine");
        QTRY_VERIFY(bench.window->currentPage() != bench.page);
        QVERIFY(!bench.page->isReady());
    }

    void aNameThatIsTakenIsNeitherProposedNorAccepted()
    {
        Bench bench;
        QVERIFY(!bench.Desk::create("some").isEmpty());
        bench.page->useFile(bench.write("some.iso", tests::iso("Some System")));
        QVERIFY(bench.isReady());
        auto* name = bench.named<QLineEdit>(bench.page, "Name");
        auto* create = button(bench.page, "&Create and start");
        QCOMPARE(name->text(), "some 2");
        QVERIFY(create->isEnabled());
        name->setText("some");
        QVERIFY(!create->isEnabled());
        QVERIFY(shows(bench.page, "Another machine has this name."));
        name->setText("some other");
        QVERIFY(create->isEnabled());
        QVERIFY(!shows(bench.page, "Another machine has this name."));
        QVERIFY(!bench.Desk::create("some other").isEmpty());
        QVERIFY(!create->isEnabled());
    }

    void theDemoCanBeConnected()
    {
        Bench bench;
        bench.write("demo.elf", tests::elf());
        bench.page->useDemo();
        QVERIFY(shows(bench.page, "The demo machine"));
        QCOMPARE(bench.number("Disk")->text(), "16 MiB");
        bench.number("Disk")->setValue(32);
        button(bench.page, "More")->click();
        auto* network = bench.named<QComboBox>(bench.page, "Network");
        QCOMPARE(network->currentText(), "Not connected");
        network->setCurrentIndex(0);
        auto const made = bench.create();
        QCOMPARE(made.networks.at(0).mode, vmm::NetworkMode::User);
        QCOMPARE(tests::must(app::inspectMedium(made.disks.at(0).path)).diskBytes, 32ull << 20);
    }

    void aFileIsDroppedOnThePageOrAnywhere()
    {
        Bench bench;
        auto const first = QUrl::fromLocalFile(bench.write("first.iso", tests::iso("First")));
        auto const second = QUrl::fromLocalFile(bench.write("second.iso", tests::iso("Second")));
        for (QWidget* where : { static_cast<QWidget*>(bench.page), static_cast<QWidget*>(bench.window.get()) }) {
            QVERIFY(!bench.drop(where, {}));
            QVERIFY(!bench.drop(where, { first, second }));
            QVERIFY(!bench.drop(where, { QUrl("http://example.org/some.iso") }));
        }
        QVERIFY(bench.drop(bench.page, { first }));
        QTRY_VERIFY_WITH_TIMEOUT(shows(bench.page, "<b>First</b>"), limit);
        QTest::keyClick(bench.page, Qt::Key_Escape);
        QVERIFY(bench.window->currentPage() != bench.page);
        QVERIFY(bench.drop(bench.window.get(), { second }));
        QCOMPARE(bench.window->currentPage(), bench.page);
        QTRY_VERIFY_WITH_TIMEOUT(shows(bench.page, "<b>Second</b>"), limit);
    }

    void aCdDroppedOnAMachineThatRunsIsInsertedOrTheNextMachines()
    {
        Bench bench;
        auto const id = bench.Desk::create("first");
        auto const path = bench.write("some.iso", tests::iso("Some System"));
        QVERIFY(bench.start(id));
        bench.window->showMachine(id);
        auto* messages = bench.window->pageOf(id)->messages();
        QVERIFY(bench.drop(bench.window.get(), { QUrl::fromLocalFile(path) }));
        QVERIFY(messages->isVisible());
        QVERIFY2(messages->text().contains("“some.iso”"), qPrintable(messages->text()));
        button(messages, "Insert it into cd0")->click();
        QVERIFY(!messages->isVisible());
        QTRY_COMPARE(bench.session(id).mediumPath("cd0"), path);
        QVERIFY(bench.drop(bench.window.get(), { QUrl::fromLocalFile(path) }));
        QCOMPARE(bench.window->currentPage(), bench.window->pageOf(id));
        button(messages, "New machine")->click();
        QCOMPARE(bench.window->currentPage(), bench.page);
        QTRY_VERIFY_WITH_TIMEOUT(shows(bench.page, "<b>Some System</b>"), limit);
        // What is no CD, or for a machine that is off, is for a new one.
        bench.window->showMachine(id);
        QVERIFY(bench.drop(bench.window.get(), { QUrl::fromLocalFile(bench.write("vmlinuz", tests::elf())) }));
        QCOMPARE(bench.window->currentPage(), bench.page);
        bench.session(id).powerOff();
        QVERIFY(bench.waitFor(id, app::SessionState::Off));
        bench.window->showMachine(id);
        QVERIFY(bench.drop(bench.window.get(), { QUrl::fromLocalFile(path) }));
        QCOMPARE(bench.window->currentPage(), bench.page);
    }
};

REGISTER_SUITE(NewMachineTest);
#include "new_machine_test.moc"
