#include "app/store/whole_file.h"
#include "tests/ui/main_window/desk.h"
#include "vmm/base/unique_fd.h"

#include <QApplication>
#include <QDir>
#include <QFileInfo>
#include <QLocale>
#include <QProgressBar>
#include <QSignalSpy>
#include <fcntl.h>
#include <sys/stat.h>

using tests::button;
using tests::Desk;
using tests::shows;

namespace {

/// The preferences, with a machine in the trash.
struct Trash : Desk {
    QString id = create("first");
    QWidget* page = nullptr;
    static constexpr int imageBytes = 3 << 20; // beside which the rest of it is nothing

    Trash()
    {
        auto const image = directory.filePath("data/machines/" + id + "/image").toStdString();
        tests::must(app::writeWholeFile(image, vmm::Bytes(imageBytes, 7)));
        open();
        library->remove(id, [](vmm::Result<> const& removed) { REQUIRE_OK(removed); });
        if (!tests::becomes([&] { return library->ids().isEmpty(); }))
            qFatal("the machine is still there");
        window->showPreferences();
        page = window->currentPage();
        if (!tests::becomes([&] { return emptying()->isEnabled() && back() != nullptr; }))
            qFatal("the trash is not shown");
    }
    QPushButton* emptying() const { return button(page, "&Empty the trash now…"); }
    /// Null: it is not there.
    QPushButton* back() const
    {
        auto const all = page->findChildren<QPushButton*>();
        auto const found = std::ranges::find_if(all, [&](auto const* one) {
            return one->accessibleName() == QStringLiteral("Bring “first” back") && one->isVisibleTo(page);
        });
        return found == all.end() ? nullptr : *found;
    }
    bool isThere() const { return QFileInfo::exists(directory.filePath("data/trash/" + id)); }
};

}

/// Removed machines, in the preferences.
class TrashCardTest final : public QObject {
    Q_OBJECT
private slots:
    void aRemovedMachineIsBroughtBack()
    {
        Trash trash;
        QVERIFY(shows(trash.page, "first"));
        QVERIFY(shows(trash.page, "Today, "));
        auto* back = trash.back();
        back->setFocus();
        back->click();
        QVERIFY(!back->isEnabled());
        QCOMPARE(QApplication::focusWidget(), back->parentWidget()); // and no other control
        QTRY_COMPARE(trash.library->ids(), QStringList { trash.id });
        QTRY_VERIFY(trash.back() == nullptr);
        QCOMPARE(QApplication::focusWidget(), trash.emptying()->parentWidget());
        QTRY_VERIFY(shows(trash.page, "There are no removed machines."));
        QVERIFY(!trash.isThere());
    }

    void whatCannotComeBackIsTold()
    {
        Trash trash;
        QDir(trash.directory.filePath("data")).rename("trash/" + trash.id, "elsewhere");
        trash.back()->click();
        QTRY_VERIFY(shows(trash.page, "The machine could not be brought back."));
        QTRY_VERIFY(trash.back() == nullptr);
    }

    void imagesOfAMachineInMemoryWaitForItsEnd()
    {
        Desk desk;
        app::MachineRequest request { tests::exampleConfig("first"), { { "disk0", 1u << 20 } } };
        request.config.disks = { { .id = "disk0" } };
        auto const id = QString::fromStdString(request.config.uuid);
        desk.library->create(request, [](vmm::Result<QString> const& made) { REQUIRE_OK(made); });
        QTRY_VERIFY(desk.library->entry(id));
        auto without = desk.library->config(id);
        auto const image = without.disks[0].path;
        without.disks.clear();
        QSignalSpy removed(desk.library.get(), &app::Library::imagesRemoved);
        desk.library->changeSettings(without, {}, { image }, [](vmm::Result<> const&) {});
        QTRY_COMPARE(removed.count(), 1);
        desk.session(id).start();
        QVERIFY(desk.waitFor(id, app::SessionState::Running));
        desk.open();
        desk.window->showPreferences();
        auto* page = desk.window->currentPage();
        QTRY_VERIFY(shows(page, "1 image(s) of first"));
        desk.named<QPushButton>(page, "Bring “1 image(s) of first” back")->click();
        QTRY_VERIFY(shows(page, "The machine is in memory, or being copied."));
    }

    void itIsEmptiedAfterAQuestion()
    {
        Trash trash;
        auto const size = QLocale().formattedDataSize(Trash::imageBytes, 1, QLocale::DataSizeIecFormat);
        QTRY_VERIFY(shows(trash.page, "Removed machines take " + size));
        trash.emptying()->click();
        QVERIFY(!trash.emptying()->isEnabled());
        QVERIFY(shows(trash.page, "(" + size + ") will be deleted for good"));
        QVERIFY(button(trash.page, "&Keep them")->hasFocus());
        button(trash.page, "&Keep them")->click();
        QVERIFY(!shows(trash.page, "will be deleted for good"));
        trash.emptying()->click();
        QTest::keyClick(button(trash.page, "&Keep them"), Qt::Key_Escape);
        QVERIFY(!shows(trash.page, "will be deleted for good"));
        QCOMPARE(trash.window->currentPage(), trash.page);
        QVERIFY(trash.isThere());
        trash.emptying()->click();
        button(trash.page, "&Delete for good")->click();
        QTRY_VERIFY(!trash.isThere());
        QTRY_VERIFY(shows(trash.page, "There are no removed machines."));
        QVERIFY(!trash.emptying()->isEnabled());
    }

    void howFarItIsIsTold()
    {
        Trash trash;
        auto const second = trash.create("second");
        trash.library->remove(second, [](vmm::Result<> const& removed) { REQUIRE_OK(removed); });
        QTRY_VERIFY(shows(trash.page, "second"));
        auto const* bar = trash.page->findChild<QProgressBar*>();
        QVERIFY(!bar->isVisible());
        trash.emptying()->click();
        QSignalSpy told(bar, &QProgressBar::valueChanged);
        button(trash.page, "&Delete for good")->click();
        QVERIFY(bar->isVisible());
        QVERIFY(button(trash.page, "Cancel")->hasFocus());
        QTRY_VERIFY(!bar->isVisible());
        QCOMPARE(QApplication::focusWidget(), trash.emptying()->parentWidget());
        QVERIFY(!trash.isThere());
        QVERIFY(std::ranges::any_of(told, [](auto const& call) { return call[0].toInt() == 500; }));
    }

    void itIsCancelledWhileItWaitsForACopy()
    {
        Trash trash;
        // A file of which nothing comes.
        auto const slow = trash.directory.filePath("slow");
        QCOMPARE(::mkfifo(slow.toUtf8().constData(), 0600), 0);
        vmm::UniqueFd writing(::open(slow.toUtf8().constData(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
        trash.library->importMoment(slow, [](vmm::Result<QString> const&) {});
        QDir const machines(trash.directory.filePath("data/machines"));
        QTRY_COMPARE(machines.entryList({ ".making-*" }, QDir::Dirs | QDir::Hidden).size(), 1); // it is being read
        trash.emptying()->click();
        button(trash.page, "&Delete for good")->click();
        auto* cancel = button(trash.page, "Cancel");
        cancel->click();
        QVERIFY(!cancel->isEnabled());
        QVERIFY(shows(trash.page, "The trash is being emptied"));
        writing.reset();
        QTRY_VERIFY(trash.emptying()->isEnabled());
        QVERIFY(trash.emptying()->hasFocus());
        QVERIFY(trash.isThere());
        QVERIFY(!shows(trash.page, "could not be emptied"));
    }

    void whatCannotBeDeletedIsTold()
    {
        Trash trash;
        // It cannot be renamed to what ends: that name would be too long.
        QVERIFY(QDir(trash.directory.filePath("data/trash")).mkdir(QString(250, 'x')));
        trash.emptying()->click();
        button(trash.page, "&Delete for good")->click();
        QTRY_VERIFY(shows(trash.page, "The trash could not be emptied."));
        QVERIFY(!trash.isThere());
    }
};

REGISTER_SUITE(TrashCardTest);
#include "trash_card_test.moc"
