#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/library/library_panel.h"
#include "ui/machine/machine_page.h"
#include "ui/timeline/timeline_panel.h"
#include "ui/widgets/message_bar.h"
#include "ui/widgets/work_line.h"
#include "vmm/base/unique_fd.h"

#include <QAccessible>
#include <QAction>
#include <QApplication>
#include <QDir>
#include <QFile>
#include <QFileDialog>
#include <QMenu>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using tests::button;
using tests::Desk;

namespace {

/// A machine that is off, with one moment, which is selected.
struct Scene : Desk {
    QString id = create("web");
    ui::MachinePage* page = nullptr;
    ui::TimelinePanel* panel = nullptr;

    Scene()
    {
        open();
        window->showMachine(id);
        page = window->pageOf(id);
        panel = page->timeline();
        auto& timeline = panel->timeline();
        timeline.keep("good");
        if (!QTest::qWaitFor([&] { return timeline.moments().size() == 1 && !timeline.keeping(); }))
            qFatal("no moment was kept");
        panel->axis()->setFocus();
        panel->axis()->select(timeline.moments()[0].id);
    }
    static void trigger(QObject* owner, QString const& text)
    {
        for (auto* action : owner->findChildren<QAction*>()) {
            if (action->text() == text)
                return action->trigger();
        }
        qFatal("there is no %s", qPrintable(text));
    }
    static QFileDialog* dialogOf(QWidget* owner)
    {
        auto* dialog = owner->findChild<QFileDialog*>(QString(), Qt::FindDirectChildrenOnly);
        if (dialog == nullptr || !dialog->isVisible() || dialog->isModal())
            qFatal("nothing is asked, or the window stands still for it");
        return dialog;
    }
    static void choose(QWidget* owner, QString const& path)
    {
        auto* dialog = dialogOf(owner);
        emit dialog->fileSelected(path);
        dialog->close();
    }
    QString exported() const
    {
        auto const path = directory.filePath("good.tar.zst");
        QTest::keyClick(panel->axis(), Qt::Key_E);
        choose(panel, path);
        return QTest::qWaitFor([&] { return page->messages()->text().contains(path); }) ? path : QString();
    }
    void import(QString const& path) const
    {
        trigger(window.get(), QStringLiteral("Import a moment as a machine…"));
        choose(window.get(), path);
    }
    ui::MessageBar* messages() const { return window->findChild<ui::MessageBar*>("windowMessages"); }
};

}

/// A moment goes out of its timeline, and comes in as a machine.
class MomentExportTest final : public QObject {
    Q_OBJECT
private slots:
    void aMomentBecomesAFileAndThatAMachine()
    {
        Scene scene;
        QTest::keyClick(scene.panel->axis(), Qt::Key_E);
        auto const* dialog = Scene::dialogOf(scene.panel);
        QVERIFY(dialog->selectedFiles().value(0).endsWith("/web good.tar.zst"));
        QCOMPARE(dialog->defaultSuffix(), QStringLiteral("tar.zst")); // of any other name
        auto const path = scene.exported();
        QVERIFY(QFile::exists(path));
        scene.import(path);
        QTRY_COMPARE(scene.library->ids().size(), 2);
        QTRY_COMPARE(scene.library->entry(scene.library->ids().last())->name, "web 2");
        QTRY_VERIFY(scene.window->currentPage() == scene.window->pageOf(scene.library->ids().last()));
        QTRY_VERIFY(!scene.messages()->isVisible());
    }

    void aMomentBecomesAFolder()
    {
        Scene scene;
        QTest::keyClick(scene.panel->axis(), Qt::Key_Menu);
        Scene::trigger(scene.panel, QStringLiteral("Export as a folder…"));
        auto const path = scene.directory.filePath("good");
        Scene::choose(scene.panel, path);
        QTRY_VERIFY(scene.page->messages()->text().contains(path));
        QVERIFY(QFile::exists(path + "/state.json"));
        QVERIFY(QFile::exists(path + "/ram"));
        // And that a machine.
        scene.import(path + "/state.json");
        QTRY_COMPARE(scene.library->ids().size(), 2);
        QTRY_COMPARE(scene.library->entry(scene.library->ids().last())->name, "web 2");
    }

    void aScreenReaderExportsAFolder()
    {
        Scene scene;
        auto* moment = QAccessible::queryAccessibleInterface(scene.panel->axis())->child(0);
        moment->actionInterface()->doAction("Export folder");
        auto const path = scene.directory.filePath("good");
        Scene::choose(scene.panel, path);
        QTRY_VERIFY(scene.page->messages()->text().contains(path));
        QVERIFY(QFile::exists(path + "/state.json"));
    }

    void whatCannotBeRenamedIsImportedAllTheSame()
    {
        Scene scene;
        auto const path = scene.exported();
        QString made;
        connect(scene.library.get(), &app::Library::machineAdded, this, [&](QString const& id) {
            made = id;
            auto const directory = QString::fromStdString(scene.library->store().directoryOf(id.toStdString()));
            QVERIFY(QDir(directory).mkdir("machine.json.lock"));
        });
        scene.import(path);
        QTRY_VERIFY(!made.isEmpty() && scene.window->currentPage() == scene.window->pageOf(made));
        QCOMPARE(scene.library->entry(made)->name, "web");
        QVERIFY(!scene.messages()->isVisible());
    }

    void whatIsThereIsNotReplaced()
    {
        Scene scene;
        auto const path = scene.exported();
        QTest::keyClick(scene.panel->axis(), Qt::Key_E);
        Scene::choose(scene.panel, path);
        QTRY_VERIFY(scene.page->messages()->text().contains("The moment could not be exported."));
        QVERIFY(scene.page->messages()->text().contains("Choose another name."));
    }

    void whatIsNoMomentIsRefusedInASentence()
    {
        Scene scene;
        QFile file(scene.directory.filePath("notes"));
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write("no moment");
        file.close();
        scene.import(file.fileName());
        QTRY_VERIFY(scene.messages()->text().contains("No machine could be made of this file."));
        QCOMPARE(scene.library->ids().size(), 1);
    }

    void anImportIsShownAndCancelled()
    {
        Scene scene;
        QFile bundle(scene.exported());
        QVERIFY(bundle.open(QIODevice::ReadOnly));
        auto const whole = bundle.readAll();
        // A file of which nothing comes.
        auto const slow = scene.directory.filePath("slow").toStdString();
        QCOMPARE(::mkfifo(slow.c_str(), 0600), 0);
        vmm::UniqueFd writing(::open(slow.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
        scene.import(QString::fromStdString(slow));
        auto* line = scene.window->findChild<ui::WorkLine*>("copies");
        QVERIFY(line->isVisible());
        QCOMPARE(line->text(), QStringLiteral("Importing “slow” …"));
        QDir const machines(scene.directory.filePath("data/machines"));
        QTRY_COMPARE(machines.entryList({ ".making-*" }, QDir::Dirs | QDir::Hidden).size(), 1); // it is being read
        auto const other = scene.create("other");
        emit scene.window->libraryPanel()->removeRequested(other);
        QTRY_VERIFY(scene.messages()->text().contains("“other” was removed"));
        auto* cancel = button(line, "Cancel");
        cancel->setFocus();
        cancel->click();
        QCOMPARE(::write(writing.get(), whole.constData(), std::size_t(whole.size())), ssize_t(whole.size()));
        writing.reset();
        QTRY_COMPARE(machines.entryList({ ".making-*" }, QDir::Dirs | QDir::Hidden).size(), 0);
        QTRY_VERIFY(!line->isVisible());
        QVERIFY(scene.window->libraryPanel()->isAncestorOf(scene.window->focusWidget()));
        QVERIFY(button(scene.messages(), "Undo")->isVisible()); // which nothing has covered
        QCOMPARE(scene.library->ids().size(), 1);
    }
};

REGISTER_SUITE(MomentExportTest);
#include "moment_export_test.moc"
