#include "app/store/whole_file.h"
#include "tests/ui/main_window/desk.h"
#include "ui/library/library_panel.h"
#include "ui/machine/machine_page.h"
#include "ui/machine/page_settings.h"
#include "ui/widgets/message_bar.h"

#include <QApplication>
#include <QDesktopServices>
#include <QListView>
#include <QMenu>
#include <QPlainTextEdit>
#include <QToolButton>
#include <QUrl>

using tests::button;
using tests::Desk;

/// In place of the person's file manager.
class Folders final : public QObject {
    Q_OBJECT
public:
    Folders() { QDesktopServices::setUrlHandler("file", this, "open"); }
    ~Folders() override { QDesktopServices::unsetUrlHandler("file"); }
    QStringList opened;

public slots:
    void open(QUrl const& url) { opened += url.toLocalFile(); }
};

namespace {

/// A window in front of a machine whose configuration is damaged.
struct Damaged : Desk {
    Folders folders;
    QString id = create("first");
    std::string file = library->store().directoryOf(id.toStdString()) + "/machine.json";
    std::string good = tests::must(app::readWholeFile(file, 1u << 20));

    Damaged()
    {
        write("nothing");
        if (!tests::becomes([&] { return library->entry(id)->problem.has_value(); }))
            qFatal("the machine can be read");
        // As the next start of the program finds it.
        library = std::make_unique<app::Library>(directory.filePath("data"), tests::FakeMachine::factory(script));
        open();
    }
    void write(std::string const& text) const { tests::must(app::writeWholeFile(file, vmm::bytesOf(text))); }
    ui::MessageBar* messages() const { return window->findChild<ui::MessageBar*>("windowMessages"); }
};

}

/// Machines that go, and those that cannot be read.
class RemovingTest final : public QObject {
    Q_OBJECT
private slots:
    void init() { QApplication::setQuitOnLastWindowClosed(false); }

    void removingIsUndone()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        desk.window->libraryPanel()->focusList();
        QTest::keyClick(desk.window->libraryPanel()->list(), Qt::Key_Delete);
        QTRY_VERIFY(desk.library->ids().isEmpty());
        auto* messages = desk.window->findChild<ui::MessageBar*>("windowMessages");
        QTRY_VERIFY(messages->isVisible());
        button(messages, "Undo")->click();
        QTRY_COMPARE(desk.library->ids(), QStringList { id });
    }

    void whatBecomesOfTheDisksIsTold_data()
    {
        QTest::addColumn<bool>("isElsewhere");
        QTest::addColumn<QString>("told");
        QTest::newRow("in its folder") << false << "“first” was removed, with its disks.";
        QTest::newRow("elsewhere") << true << "Disk images elsewhere stay where they are.";
    }
    void whatBecomesOfTheDisksIsTold()
    {
        QFETCH(bool, isElsewhere);
        QFETCH(QString, told);
        Desk desk;
        auto const id = desk.create("first");
        auto config = desk.library->config(id);
        auto const folder
            = isElsewhere ? desk.directory.path().toStdString() : desk.library->store().directoryOf(id.toStdString());
        vmm::DiskConfig disk;
        disk.id = "disk9";
        disk.path = folder + "/image.img";
        tests::must(app::writeWholeFile(disk.path, std::vector<std::uint8_t>(1u << 20)));
        config.disks = { disk };
        QVERIFY(desk.change(config));
        desk.open();
        emit desk.window->libraryPanel()->removeRequested(id);
        auto* messages = desk.window->findChild<ui::MessageBar*>("windowMessages");
        QTRY_VERIFY(messages->isVisible());
        QVERIFY2(messages->text().contains(told), qPrintable(messages->text()));
    }

    void whoIsElsewhereIsNotLedAwayByAMachineThatGoes()
    {
        Desk desk;
        auto const first = desk.create("first"), second = desk.create("second");
        desk.open();
        desk.window->showMachine(first);
        desk.window->showPreferences();
        auto* preferences = desk.window->currentPage();
        desk.library->remove(first, [](vmm::Result<> const&) {}); // as another program does
        QTRY_COMPARE(desk.library->ids(), QStringList { second });
        QCOMPARE(desk.window->currentPage(), preferences);
        // But its settings go with it.
        desk.settings(second);
        desk.library->remove(second, [](vmm::Result<> const&) {});
        QTRY_VERIFY(desk.library->ids().isEmpty());
        QVERIFY(!qobject_cast<ui::MachineSettingsPage*>(desk.window->currentPage()));
    }

    void whatIsGoneForGoodHasNoKeyboardLayoutLeft()
    {
        Desk desk;
        auto const stays = desk.create("first"), removed = desk.create("second");
        desk.library->remove(removed, [](vmm::Result<> const& outcome) { REQUIRE_OK(outcome); });
        QTRY_COMPARE(desk.library->ids(), QStringList { stays });
        for (auto const& id : { stays, removed, QStringLiteral("gone") })
            ui::settings::setGuestLayout(id, "de");
        desk.open();
        QTRY_VERIFY(!ui::settings::guestLayouts().contains("gone"));
        for (auto const& id : { stays, removed })
            QVERIFY(ui::settings::guestLayouts().contains(id));
    }

    /// The disk that has the library may be connected later.
    void withoutAnyMachineNothingIsForgotten()
    {
        Desk desk;
        ui::settings::setGuestLayout("elsewhere", "de");
        desk.open();
        bool isRead = false; // after the window has
        desk.library->listRemoved([&](auto const&) { isRead = true; });
        QTRY_VERIFY(isRead);
        QVERIFY(ui::settings::guestLayouts().contains("elsewhere"));
    }

    /// Of a machine in memory only a part of what was changed is saved.
    void imagesThatStayAreNotToldOfAsRemoved()
    {
        Desk desk;
        app::MachineRequest request { tests::exampleConfig("first"), { { "disk0", 1u << 20 } } };
        request.config.disks = { { .id = "disk0" } };
        auto const id = QString::fromStdString(request.config.uuid);
        desk.library->create(request, [](vmm::Result<QString> const& made) { REQUIRE_OK(made); });
        QTRY_VERIFY(desk.library->entry(id));
        desk.open();
        auto* page = desk.settings(id);
        desk.named<QToolButton>(page, "Remove disk0")->menu()->actions()[1]->trigger();
        desk.session(id).start();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        desk.named<QPlainTextEdit>(page, "Notes")->setPlainText("runs");
        page->save();
        QTRY_COMPARE(desk.window->currentPage(), static_cast<QWidget*>(desk.window->pageOf(id)));
        QCOMPARE(desk.library->config(id).notes, std::string("runs"));
        auto const* messages = desk.window->findChild<ui::MessageBar*>("windowMessages");
        QVERIFY2(!messages->text().contains("in the trash"), qPrintable(messages->text()));
        QCOMPARE(desk.library->config(id).disks.size(), std::size_t(1));
    }

    void aMachineThatCannotBeReadHasItsFolderShown()
    {
        Damaged desk;
        QVERIFY(desk.messages()->isVisible());
        QVERIFY2(desk.messages()->text().contains("machine.json"), qPrintable(desk.messages()->text()));
        button(desk.messages(), "Show the folder")->click();
        auto const folder = QString::fromStdString(desk.library->store().directoryOf(desk.id.toStdString()));
        QCOMPARE(desk.folders.opened, QStringList { folder });
        // Once it is mended it is shown.
        desk.write(desk.good);
        QTRY_VERIFY(desk.library->session(desk.id) != nullptr);
        QTRY_COMPARE(desk.window->currentPage(), static_cast<QWidget*>(desk.window->pageOf(desk.id)));
    }

    void aMachineThatCannotBeReadIsRemovedAndComesBack()
    {
        Damaged desk;
        QMenu menu;
        emit desk.window->libraryPanel()->contextMenuRequested(desk.id, &menu);
        QStringList texts;
        for (auto const* action : menu.actions())
            texts += action->text();
        QCOMPARE(texts, (QStringList { "Show the folder", "Remove the machine" }));
        menu.actions().last()->trigger();
        QTRY_VERIFY(desk.library->ids().isEmpty());
        QTRY_VERIFY2(desk.messages()->text().contains("was removed"), qPrintable(desk.messages()->text()));
        button(desk.messages(), "Undo")->click();
        QTRY_COMPARE(desk.library->ids(), QStringList { desk.id });
        QTRY_VERIFY2(desk.messages()->text().contains("cannot be read"), qPrintable(desk.messages()->text()));
    }
};

REGISTER_SUITE(RemovingTest);
#include "removing_test.moc"
