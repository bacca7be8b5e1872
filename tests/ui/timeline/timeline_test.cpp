#include "tests/support/answer.h"
#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/library/library_panel.h"
#include "ui/machine/machine_page.h"
#include "ui/timeline/compare_view.h"
#include "ui/timeline/moment_words.h"
#include "ui/timeline/past_view.h"
#include "ui/timeline/timeline_panel.h"
#include "ui/widgets/message_bar.h"
#include "vmm/block/image.h"

#include <QAccessible>
#include <QAction>
#include <QDateTime>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QListView>
#include <QMetaEnum>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QRegularExpression>
#include <QSaveFile>
#include <QScopeGuard>
#include <QSignalSpy>
#include <QToolButton>
#include <QTreeWidget>
#include <set>
#if __has_include(<qpa/qplatformaccessibility.h>)
#include <private/qguiapplication_p.h>
#include <qpa/qplatformaccessibility.h>
#include <qpa/qplatformintegration.h>
#endif

using tests::button;
using tests::Desk;

/// The timeline of a machine that only goes through the motions, in the window.
class TimelinePanelTest final : public QObject {
    Q_OBJECT

    struct Scene : Desk {
        QString id;
        ui::MachinePage* page = nullptr;
        ui::TimelinePanel* panel = nullptr;
        ui::TimelineAxis* axis = nullptr;

        Scene()
        {
            id = create("web");
            open();
            window->showMachine(id);
            page = window->pageOf(id);
            panel = page->timeline();
            axis = panel->axis();
        }
        app::TimelineSession& timeline() const { return panel->timeline(); }
        bool run()
        {
            session(id).start();
            return waitFor(id, app::SessionState::Running)
                && tests::becomes([&] { return timeline().isRead() && panel->whyNotKeep().isEmpty(); });
        }
        void paint(std::uint32_t colour) const { script->last->screens["display0"]->paint(320, 200, colour); }
        void key(Qt::Key key) const
        {
            axis->setFocus();
            QTest::keyClick(axis, key);
        }
        QString keep()
        {
            auto const before = axis->count();
            key(Qt::Key_M);
            auto const isKept = [&] {
                return axis->count() == before + 1 && timeline().present() == axis->entry(before).id
                    && !timeline().keeping();
            };
            return tests::becomes(isKept) ? axis->entry(before).id : QString();
        }
        bool hasMachines(int count)
        {
            return tests::becomes([&] { return library->ids().size() == count; });
        }
        QString other() const { return library->ids()[0] == id ? library->ids()[1] : library->ids()[0]; }
        bool showsPast() const { return panel->past()->isVisible(); }
        bool has(int count)
        {
            return tests::becomes([&] { return axis->count() == count; });
        }
    };

private slots:
    void theTimelineIsUnderEachMachine()
    {
        Scene scene;
        QVERIFY(scene.axis->isVisible());
        QCOMPARE(scene.axis->count(), 0);
        QVERIFY(!scene.showsPast());
    }

    void aMachineThatIsOffIsKeptToo()
    {
        Scene scene;
        QTRY_VERIFY(scene.timeline().isRead());
        QVERIFY(scene.named<QToolButton>(scene.page, "Keep this moment")->isEnabled());
        QVERIFY(!scene.keep().isEmpty());
        scene.key(Qt::Key_Left);
        QVERIFY(scene.showsPast());
        QVERIFY(scene.axis->entry(0).wasOff);
        QVERIFY(scene.panel->past()->accessibleDescription().contains("The machine was off"));
        scene.key(Qt::Key_Delete);
        QVERIFY(scene.has(0));
    }

    void whileTheMachineIsBusyNothingIsKept()
    {
        Scene scene;
        QVERIFY(scene.run());
        auto* keep = scene.named<QToolButton>(scene.page, "Keep this moment");
        QVERIFY(keep->isEnabled());
        scene.script->holdSuspend = true;
        scene.session(scene.id).suspend();
        QVERIFY(scene.waitFor(scene.id, app::SessionState::Suspending));
        QVERIFY(!keep->isEnabled());
        QVERIFY(keep->toolTip().contains("busy"));
    }

    void aKeyKeepsAndNames()
    {
        Scene scene;
        QVERIFY(scene.run());
        QVERIFY(!scene.keep().isEmpty());
        QCOMPARE(scene.axis->entry(0).name, "Moment 1");
        QVERIFY(!scene.keep().isEmpty());
        QCOMPARE(scene.axis->entry(1).name, "Moment 2");
        QCOMPARE(scene.axis->selected(), "");
    }

    void scrubbingShowsWhatWasAndEscWhatIs()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.paint(0x00aa0000);
        auto const red = scene.keep();
        scene.paint(0x000000aa);
        auto const blue = scene.keep();
        auto* past = scene.panel->past();
        auto const shows = [&](std::uint32_t colour) {
            return tests::becomes([&] {
                auto const whole
                    = scene.timeline().pictures().peek(scene.axis->selected(), app::MomentPictures::Size::Whole);
                return whole && past->picture() == whole && (whole->pixels[100] & 0xffffff) == colour;
            });
        };
        scene.key(Qt::Key_Left);
        QCOMPARE(scene.axis->selected(), blue);
        QVERIFY(scene.showsPast());
        QVERIFY(shows(0x0000aa));
        scene.key(Qt::Key_Left);
        QCOMPARE(scene.axis->selected(), red);
        QVERIFY(shows(0xaa0000));
        scene.key(Qt::Key_Escape);
        QVERIFY(!scene.showsPast());
        scene.key(Qt::Key_Home);
        QCOMPARE(scene.axis->selected(), red);
        scene.key(Qt::Key_End);
        QCOMPARE(scene.axis->selected(), "");
    }

    void aNarrowWindowSaysHowToLeaveThePast()
    {
        Scene scene;
        scene.window->resize(1024, 700);
        QVERIFY(scene.run());
        QVERIFY(!scene.keep().isEmpty());
        scene.key(Qt::Key_Left);
        QLabel const* words = nullptr;
        auto const isThere = [&] { // what the keeping has told goes first
            auto const labels = scene.panel->findChildren<QLabel*>();
            auto const found = std::ranges::find_if(
                labels, [](QLabel const* label) { return label->text().startsWith("Enter goes back"); });
            words = found != labels.end() ? *found : nullptr;
            return words != nullptr;
        };
        QTRY_VERIFY_WITH_TIMEOUT(isThere(), 10'000 * tests::patience());
        auto const shown
            = [&] { return words->fontMetrics().elidedText(words->text(), Qt::ElideRight, words->width()); };
        QTRY_VERIFY2(shown().contains("Esc: now") && shown().contains("Del deletes"), qPrintable(shown()));
    }

    void thePointerScrubs()
    {
        Scene scene;
        QVERIFY(scene.run());
        auto const first = scene.keep();
        auto const second = scene.keep();
        auto const at = [&](int index) { return scene.axis->rectOf(index).center(); };
        QTest::mousePress(scene.axis->viewport(), Qt::LeftButton, {}, at(0));
        QCOMPARE(scene.axis->selected(), first);
        QMouseEvent move(
            QEvent::MouseMove, at(1), scene.axis->viewport()->mapToGlobal(at(1)), Qt::NoButton, Qt::LeftButton, {});
        QCoreApplication::sendEvent(scene.axis->viewport(), &move);
        QCOMPARE(scene.axis->selected(), second);
        QTest::mouseRelease(scene.axis->viewport(), Qt::LeftButton, {}, at(1));
        QVERIFY(scene.showsPast());
        QTest::mouseClick(scene.axis->viewport(), Qt::LeftButton, {}, at(2));
        QVERIFY(!scene.showsPast());
    }

    void whoLeavesSeesThePresent()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        scene.key(Qt::Key_Left);
        QVERIFY(scene.showsPast());
        scene.named<QToolButton>(scene.page, "Pause")->setFocus();
        QVERIFY(!scene.showsPast());
    }

    void enterGoesThereAndKeepsThePresent()
    {
        Scene scene;
        QVERIFY(scene.run());
        auto const first = scene.keep();
        scene.keep();
        scene.key(Qt::Key_Home);
        scene.key(Qt::Key_Return);
        QTRY_VERIFY(scene.script->has("go Moment 1"));
        QVERIFY(scene.has(3));
        QTRY_VERIFY(scene.timeline().present() == first);
        QCOMPARE(scene.axis->entry(2).reason, app::MomentReason::BeforeGoing);
        QCOMPARE(scene.axis->layoutOfMoments().lanes(), 2);
        QVERIFY(!scene.showsPast());
    }

    void aMachineThatIsOffGoesBackAndIsKeptFirst()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        scene.session(scene.id).powerOff();
        QVERIFY(scene.waitFor(scene.id, app::SessionState::Off));
        scene.key(Qt::Key_Home);
        scene.key(Qt::Key_Return);
        QTRY_VERIFY(scene.script->has("go Moment 1"));
        QVERIFY(scene.waitFor(scene.id, app::SessionState::Running));
        QVERIFY(scene.has(2));
        QCOMPARE(scene.axis->entry(1).reason, app::MomentReason::BeforeGoing);
        QVERIFY(scene.axis->entry(1).wasOff);
    }

    void goingBackWithACrashedMachineIsSaidFirst()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        scene.script->last->guestCrashes();
        QVERIFY(scene.waitFor(scene.id, app::SessionState::Crashed));
        scene.page->messages()->dismiss();
        scene.key(Qt::Key_Home);
        scene.key(Qt::Key_Return);
        QVERIFY(scene.page->messages()->isVisible());
        QVERIFY(!scene.script->has("go Moment 1"));
        button(scene.page, "Go back anyway")->click();
        QTRY_VERIFY(scene.script->has("go Moment 1"));
        QVERIFY(scene.waitFor(scene.id, app::SessionState::Running));
    }

    void aKeyForksWhileTheOriginalRunsOn()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        scene.key(Qt::Key_Left);
        scene.key(Qt::Key_F);
        QVERIFY(scene.hasMachines(2));
        auto const fork = scene.other();
        QCOMPARE(scene.library->entry(fork)->name, "web (Moment 1)");
        QTRY_VERIFY(scene.window->currentPage() == scene.window->pageOf(fork));
        QCOMPARE(scene.session(scene.id).state(), app::SessionState::Running);
        QCOMPARE(scene.session(fork).state(), app::SessionState::Suspended);
        // Its name is a proposal.
        button(scene.window.get(), "Rename it")->click();
        auto* editor = scene.window->libraryPanel()->list()->findChild<QLineEdit*>();
        QVERIFY(editor != nullptr);
        QCOMPARE(editor->text(), "web (Moment 1)");
    }

    void forkingWhatIsNowKeepsItFirst()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.key(Qt::Key_F);
        QVERIFY(scene.hasMachines(2));
        QVERIFY(scene.has(1));
        QCOMPARE(scene.axis->entry(0).name, "Moment 1");
        QCOMPARE(scene.session(scene.id).state(), app::SessionState::Running);
    }

    void twoForksOfAMomentHaveTwoNames()
    {
        Scene scene;
        QVERIFY(scene.run());
        auto const moment = scene.keep();
        for (int machines = 2; machines <= 3; ++machines) {
            scene.window->showMachine(scene.id);
            scene.axis->select(moment);
            button(scene.panel->past(), "Fork")->click();
            QVERIFY(scene.hasMachines(machines));
            QTRY_VERIFY(scene.window->currentPage() != scene.page);
        }
        QStringList names;
        for (auto const& id : scene.library->ids())
            names += scene.library->entry(id)->name;
        QCOMPARE(names, QStringList({ "web", "web (Moment 1)", "web (Moment 1) 2" }));
    }

    void whatCannotBeForkedIsSaidWhereItWasAsked()
    {
        Scene scene;
        QVERIFY(scene.run());
        auto const moment = scene.keep();
        auto const places = scene.library->store().placesOf(scene.id.toStdString());
        QVERIFY(QFile::remove(
            QStringLiteral("%1/moments/%2.state").arg(QString::fromStdString(places.timelineFolder), moment)));
        scene.axis->select(moment);
        scene.key(Qt::Key_F);
        QTRY_VERIFY(scene.page->messages()->isVisible());
        QVERIFY(scene.page->messages()->text().contains("No machine could be made of this moment."));
        QCOMPARE(scene.library->ids().size(), 1);
    }

    void whatIsDoneWithMomentsIsUnderThemAndInTheLibrary()
    {
        Scene scene;
        QTRY_VERIFY(scene.timeline().isRead());
        scene.session(scene.id).runner()->work(
            "verify", [](app::MachineRunner::JobProgress const& progress) -> vmm::Result<> {
                while (progress(0.25))
                    std::this_thread::yield();
                return vmm::fail(vmm::ErrorCode::Cancelled, "checking was cancelled");
            });
        auto* list = scene.window->libraryPanel()->list();
        auto const row = [&] { return list->model()->index(0, 0); };
        QTRY_VERIFY(row().data(ui::LibraryModel::ProgressRole).toDouble() == 0.25);
        QCOMPARE(row().data(ui::LibraryModel::StatusRole).toString(), "Checking its moments …");
        QVERIFY(scene.named<QProgressBar>(scene.panel, "Checking its moments …")->isVisible());
        button(scene.panel, "Cancel")->click();
        QTRY_VERIFY(!row().data(ui::LibraryModel::ProgressRole).isValid());
        QVERIFY(!scene.session(scene.id).canCancel());
    }

    void whatIsUnderTheTimelineIsCancelledAloneWhileTheMachineIsSuspended()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.script->holdSuspend = true;
        scene.session(scene.id).runner()->work(
            "verify", [](app::MachineRunner::JobProgress const& progress) -> vmm::Result<> {
                while (progress(0.25))
                    std::this_thread::yield();
                return vmm::fail(vmm::ErrorCode::Cancelled, "checking was cancelled");
            });
        QTRY_VERIFY(scene.session(scene.id).work());
        scene.session(scene.id).suspend();
        QTRY_VERIFY(scene.session(scene.id).job());
        QTRY_VERIFY(button(scene.panel, "Cancel")->isVisible());
        button(scene.panel, "Cancel")->click();
        QTRY_VERIFY(!scene.session(scene.id).work());
        auto& runner = *scene.session(scene.id).runner();
        REQUIRE_OK(tests::answerOf([&](auto done) { runner.ejectMedium("cd0", false, done); })); // comes after all that
        runner.drain();
        QCOMPARE(runner.state(), app::SessionState::Suspending);
        scene.session(scene.id).cancelJob();
        QVERIFY(scene.waitFor(scene.id, app::SessionState::Running));
    }

    void aDeviceThatCannotBeKeptIsNamedAndItsErrorIsInTheDetails()
    {
        Scene scene;
        scene.script->obstacles = { { vmm::ErrorCode::Unsupported, "disk0: a command is in flight", 0 } };
        scene.session(scene.id).start();
        QTRY_COMPARE(scene.panel->whyNotKeep(),
            QStringLiteral("This cannot be kept now: “disk0”. Detach it, or wait until it has finished."));
        auto* keep = scene.named<QToolButton>(scene.page, "Keep this moment");
        QTRY_VERIFY2(keep->toolTip().endsWith("disk0: a command is in flight"), qPrintable(keep->toolTip()));
        QVERIFY2(keep->accessibleDescription().contains("disk0"), qPrintable(keep->accessibleDescription()));
        QVERIFY(!keep->accessibleDescription().contains("in flight"));
    }

    void keepingIsCancelledUnderTheTimelineAndInTheLibrary()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.script->holdKeep = true;
        auto* list = scene.window->libraryPanel()->list();
        auto const row = [&] { return list->model()->index(0, 0); };
        auto const isUnderWay = [&] {
            return tests::becomes([&] {
                return scene.timeline().keeping() == 0.5
                    && row().data(ui::LibraryModel::ProgressRole).toDouble() == 0.5;
            });
        };
        auto const isOver = [&] {
            return tests::becomes(
                [&] { return !scene.timeline().keeping() && !row().data(ui::LibraryModel::ProgressRole).isValid(); });
        };
        scene.key(Qt::Key_M);
        QVERIFY(isUnderWay());
        QCOMPARE(scene.panel->whyNotKeep(), "A moment is being kept.");
        button(scene.panel, "Cancel")->click();
        QVERIFY(isOver());

        scene.key(Qt::Key_M);
        QVERIFY(isUnderWay());
        scene.session(scene.id).cancelJob(); // as the row's cross does, which is pressed below
        QVERIFY(isOver());

        scene.key(Qt::Key_M);
        QVERIFY(isUnderWay());
        auto const place = list->visualRect(row());
        auto isCancelled = false;
        for (int x = place.right(); x > place.left() && !isCancelled; x -= 4) {
            for (int y = place.top(); y < place.bottom() && !isCancelled; y += 4) {
                QTest::mouseClick(list->viewport(), Qt::LeftButton, {}, { x, y });
                QTest::qWait(1);
                isCancelled = !scene.timeline().keeping();
            }
        }
        QVERIFY(isOver());
        // Nothing of them stayed, nobody is told what they have asked for, and the machine runs on.
        QCOMPARE(scene.axis->count(), 0);
        QVERIFY(!scene.page->messages()->isVisible());
        QCOMPARE(scene.session(scene.id).state(), app::SessionState::Running);
        scene.script->holdKeep = false;
        QVERIFY(!scene.keep().isEmpty());
    }

    void theLineUnderTheMomentsSaysWhatTheyCost()
    {
        Scene scene;
        QVERIFY(scene.run());
        QVERIFY(ui::timelineSummary(scene.timeline()).isEmpty());
        scene.keep();
        scene.keep();
        auto const summary = [&] { return ui::timelineSummary(scene.timeline()).split(QStringLiteral(" · ")); };
        QTRY_COMPARE(summary().size(), 3); // with the costs, which are reckoned in the background
        QVERIFY(summary()[0].startsWith("2 moment"));
        QVERIFY2(QRegularExpression(QStringLiteral("^[0-9.,]+ KiB of 20 GiB$")).match(summary()[1]).hasMatch(),
            qPrintable(summary()[1]));
        QVERIFY2(
            summary()[2].startsWith("memory changes by ") && summary()[2].endsWith("/s"), qPrintable(summary()[2]));
        // The same in fewer words, where there is little room.
        QVERIFY2(QRegularExpression(QStringLiteral("^2 moment[s()]+ · [0-9.,]+ KiB · [0-9.,]+ (bytes|[KM]iB)/s$"))
                     .match(ui::shortSummary(scene.timeline()))
                     .hasMatch(),
            qPrintable(ui::shortSummary(scene.timeline())));
        auto const next = ui::forecastText(scene.timeline());
        QVERIFY2(QRegularExpression(QStringLiteral("^one more: about [0-9.,]+ (bytes|[KM]iB) in [0-9.]+ s$"))
                     .match(next)
                     .hasMatch(),
            qPrintable(next));
        QVERIFY2(!next.endsWith(" 0.0 s"), qPrintable(next));
        QVERIFY(scene.axis->accessibleDescription().startsWith("2 moment"));

        auto policy = scene.timeline().policy();
        policy.budget = 1;
        scene.library->changePolicy(scene.id, policy, [](vmm::Result<> const& changed) { REQUIRE_OK(changed); });
        QTRY_VERIFY(summary().value(1).contains(" over the budget of "));
        policy.budget = 0;
        scene.library->changePolicy(scene.id, policy, [](vmm::Result<> const& changed) { REQUIRE_OK(changed); });
        QTRY_VERIFY2(QRegularExpression(QStringLiteral("^[0-9.,]+ KiB$")).match(summary().value(1)).hasMatch(),
            qPrintable(summary().value(1)));
    }

    void howFastMemoryChangesIsToldBeforeThereIsAMoment()
    {
        Scene scene;
        scene.script->memoryChangeRate = 5 << 20;
        QVERIFY(scene.run());
        QTRY_COMPARE(scene.axis->accessibleDescription(), "memory changes by 5 MiB/s");
        QCOMPARE(ui::shortSummary(scene.timeline()), "5 MiB/s");
        scene.session(scene.id).pause();
        QVERIFY(scene.waitFor(scene.id, app::SessionState::Paused));
        QTRY_COMPARE(scene.axis->accessibleDescription(), QString());
    }

    void whatAMomentCostsIsItsOwnOrShared()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        auto const second = scene.keep();
        QTRY_VERIFY(scene.timeline().costs() && scene.timeline().costs()->moments.contains(second));
        scene.key(Qt::Key_Left);
        QCOMPARE(scene.axis->selected(), second);
        QTRY_VERIFY(scene.panel->past()->accessibleDescription().contains(" its own, "));
        QVERIFY(scene.panel->past()->accessibleDescription().contains(" shared"));
        QVERIFY(scene.panel->past()->accessibleDescription().contains("4 KiB of memory changed"));
    }

    void whatItsDisksTakeIsToldToo()
    {
        Scene scene;
        auto config = scene.session(scene.id).config();
        auto const disk = scene.directory.filePath("disk.qcow2").toStdString();
        tests::must(vmm::createImage(disk, { .size = 1 << 20 }));
        {
            vmm::InlineEngine engine;
            auto const image = tests::must(vmm::BlockImage::open(engine, disk));
            tests::must(image->writeSync(0, vmm::Bytes(64 << 10, 7)));
        }
        config.disks.push_back({ "disk0", disk, vmm::DiskFormat::Qcow2 });
        QVERIFY(scene.change(config));
        QTRY_VERIFY(scene.timeline().isRead());
        QVERIFY(!scene.keep().isEmpty());
        scene.key(Qt::Key_Left);
        auto const told = [&] { return scene.panel->past()->accessibleDescription(); };
        QTRY_VERIFY2(told().contains("its disks: 0 bytes their own, 64 KiB shared"), qPrintable(told()));
        auto const index = scene.axis->selectedIndex();
        auto* spoken = QAccessible::queryAccessibleInterface(scene.axis)->child(index);
        QVERIFY(spoken->text(QAccessible::Description).contains("64 KiB shared"));
        // Somebody takes the file away.
        QVERIFY(QFile::remove(QString::fromStdString(disk)));
        scene.timeline().setNote(scene.axis->entry(index).id, "a note");
        QTRY_VERIFY2(
            told().contains("what its disks take is not known: A file or device that it needs"), qPrintable(told()));
    }

    void whatIsDeletedComesBack()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        auto const second = scene.keep();
        scene.key(Qt::Key_Left);
        scene.key(Qt::Key_Delete);
        QVERIFY(scene.has(1));
        button(scene.page, "Undo")->click();
        QVERIFY(scene.has(2));
        scene.axis->select(second);
        scene.key(Qt::Key_Delete);
        QVERIFY(scene.has(1));
        scene.axis->setFocus();
        QTest::keySequence(scene.axis, QKeySequence::Undo);
        QVERIFY(scene.has(2));
    }

    void whatCannotBeReadIsToldAndDeleted()
    {
        Scene scene;
        QTRY_VERIFY(scene.timeline().isRead());
        auto const bad = scene.keep(), good = scene.keep();
        QVERIFY(!bad.isEmpty() && !good.isEmpty());
        auto const unreadable = [&] { return scene.timeline().damages().size(); };
        auto const* why = scene.page->findChild<QPushButton*>("unreadable");
        QVERIFY(why->isHidden());
        auto const folder = scene.library->store().placesOf(scene.id.toStdString()).timelineFolder;
        QSaveFile record(QString::fromStdString(folder) + "/moments/" + bad + ".json");
        QVERIFY(record.open(QIODevice::WriteOnly) && record.write("{}") == 2 && record.commit());
        QTRY_COMPARE(unreadable(), std::size_t(1));
        QCOMPARE(scene.axis->count(), 1);
        button(scene.page, "Why?")->click();
        auto const* bar = scene.page->findChild<ui::MessageBar*>();
        QVERIFY2(bar->text().contains("cannot be read. A file is damaged"), qPrintable(bar->text()));
        QVERIFY(bar->text().contains("nothing that deleted moments took is given back"));
        button(scene.page, "Delete for good")->click();
        QTRY_COMPARE(unreadable(), std::size_t(0));
        QVERIFY(why->isHidden());
        QCOMPARE(scene.axis->count(), 1);
        QCOMPARE(scene.axis->entry(0).id, good);
        QVERIFY(!QFile::exists(record.fileName()));
    }

    void namesNotesAndPinsByTheKeyboard()
    {
        Scene scene;
        QVERIFY(scene.run());
        auto const id = scene.keep();
        scene.key(Qt::Key_Left);
        scene.key(Qt::Key_R);
        auto* name = scene.named<QLineEdit>(scene.page, "Name of the moment");
        QVERIFY(name->hasFocus());
        QTest::keyClicks(name, "before upgrade");
        QTest::keyClick(name, Qt::Key_Return);
        QTRY_VERIFY(scene.timeline().moment(id)->name == "before upgrade");
        QVERIFY(scene.axis->hasFocus());
        QCOMPARE(scene.axis->selected(), id);
        scene.key(Qt::Key_N);
        auto* note = scene.named<QPlainTextEdit>(scene.page, "Note on the moment");
        QTest::keyClicks(note, "all tests pass");
        QTest::keyClick(note, Qt::Key_Return, Qt::ControlModifier);
        QTRY_VERIFY(scene.timeline().moment(id)->note == "all tests pass");
        // First of what is told of it, as the end may have no room.
        QTRY_VERIFY(scene.panel->past()->accessibleDescription().contains(". all tests pass · "));
        scene.key(Qt::Key_P);
        QTRY_VERIFY(scene.timeline().moment(id)->pinned);
        scene.key(Qt::Key_F2);
        QVERIFY(name->isVisible());
        QTest::keyClick(name, Qt::Key_Escape);
        QVERIFY(!name->isVisible());
        QCOMPARE(scene.timeline().moment(id)->name, "before upgrade");
    }

    void whatIsTypedOutlivesWhoGoesElsewhere_data()
    {
        QTest::addColumn<std::function<void(Scene&)>>("leave");
        QTest::addColumn<QString>("note");
        using Leave = std::function<void(Scene&)>;
        QTest::newRow("to the machine") << Leave([](Scene& scene) {
            scene.named<QToolButton>(scene.page, "Pause")->setFocus();
        }) << "typed";
        QTest::newRow("to another moment") << Leave([](Scene& scene) { scene.key(Qt::Key_Left); }) << "typed";
        QTest::newRow("by Cancel") << Leave([](Scene& scene) { button(scene.panel, "Cancel")->click(); }) << "";
        QTest::newRow("by Esc") << Leave([](Scene&) { QTest::keyClick(QApplication::focusWidget(), Qt::Key_Escape); })
                                << "";
    }
    void whatIsTypedOutlivesWhoGoesElsewhere()
    {
        QFETCH(std::function<void(Scene&)>, leave);
        QFETCH(QString, note);
        Scene scene;
        QVERIFY(scene.run());
        QVERIFY(!scene.keep().isEmpty());
        auto const id = scene.keep();
        scene.key(Qt::Key_Left);
        QCOMPARE(scene.axis->selected(), id);
        scene.key(Qt::Key_N);
        auto* field = scene.named<QPlainTextEdit>(scene.page, "Note on the moment");
        QTest::keyClicks(field, "typed");
        leave(scene);
        QVERIFY(!field->isVisible());
        // What is asked for later is done later.
        scene.timeline().setPinned(id, true);
        QTRY_VERIFY(scene.timeline().moment(id)->pinned);
        QCOMPARE(scene.timeline().moment(id)->note, note);
    }

    void spaceComparesTwo()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        scene.keep();
        scene.key(Qt::Key_Left);
        scene.key(Qt::Key_Space);
        QCOMPARE(scene.axis->marked(), scene.axis->selected());
        scene.key(Qt::Key_Left);
        scene.key(Qt::Key_Space);
        QVERIFY(scene.panel->comparison()->isVisible());
        QCOMPARE(scene.panel->comparison()->accessibleName(), "From “Moment 1” to “Moment 2”");
        // The fake's memory is one page, another one with each moment.
        auto const isCompared
            = [&] { return scene.panel->comparison()->accessibleDescription().startsWith("4 KiB of memory"); };
        QVERIFY2(tests::becomes(isCompared), qPrintable(scene.panel->comparison()->accessibleDescription()));
    }

    void aComparisonIsAListOfWhatDiffers()
    {
        ui::CompareView view;
        view.begin("Moment 1", "Moment 2");
        app::MomentComparison comparison;
        comparison.memoryBytes = 3u << 20;
        comparison.parts = { { "serial0", app::MomentComparison::Part::Presence::Both, { { "lcr", "0", "3" } } },
            { "usb0", app::MomentComparison::Part::Presence::Added, {} } };
        view.showComparison(comparison);
        QCOMPARE(view.list()->topLevelItemCount(), 2);
        QCOMPARE(view.list()->topLevelItem(0)->child(0)->text(2), "3");
        QVERIFY(view.accessibleDescription().startsWith("3 MiB of memory and 2 "));
    }

    void disksFollowWhenTheyAreCompared()
    {
        ui::CompareView view;
        view.resize(600, 400);
        view.show();
        view.begin("Moment 1", "Moment 2");
        view.showComparison({ .memoryBytes = 1 << 20 });
        view.showDiskProgress(0.5);
        auto* progress = view.findChild<QProgressBar*>();
        QVERIFY(progress->isVisible());
        QCOMPARE(progress->value(), 500);
        app::DiskComparison disk { .id = "disk0", .changedBytes = 3 << 20, .runs = { { 0x10000, 3 << 20 } } };
        using What = app::DiskComparison::File::What;
        disk.partitions
            = { { 1, { { "etc/passwd", What::Changed, 1024, 2048 }, { "new", What::Added, 0, 1 } }, 2, {} } };
        view.showDisks({ disk, { .id = "disk1", .problem = "it is gone" } });
        QVERIFY(!progress->isVisible());
        QVERIFY(view.accessibleDescription().startsWith("1 MiB of memory, 3 MiB of the disks and 0 part(s)"));
        auto* item = view.list()->topLevelItem(0);
        QCOMPARE(item->text(0), "What disk0 holds");
        QCOMPARE(item->text(2), "3 MiB changed");
        QCOMPARE(item->child(0)->text(0), "Files of partition 1");
        QCOMPARE(item->child(0)->child(0)->text(0), "etc/passwd");
        QCOMPARE(item->child(0)->child(0)->text(2), "2 KiB");
        QCOMPARE(item->child(0)->child(1)->text(1), "is not there");
        QCOMPARE(item->child(1)->child(0)->text(0), "from 0x10000");
        auto const* unknown = view.list()->topLevelItem(1);
        QCOMPARE(unknown->text(2), "cannot be compared");
        QCOMPARE(unknown->child(0)->text(0), "Details");
        QCOMPARE(unknown->child(0)->text(2), "it is gone");
    }

    void comparingTheDisksCanBeStopped()
    {
        ui::CompareView view;
        view.begin("Moment 1", "Moment 2");
        view.showComparison({});
        QSignalSpy const stopped(&view, &ui::CompareView::stopRequested);
        view.show();
        button(&view, "Cancel")->click();
        QCOMPARE(stopped.size(), 1);
        QVERIFY(view.accessibleDescription().endsWith("The disks are not compared."));
    }

    void zoomIsWithinBounds()
    {
        Scene scene;
        QVERIFY(scene.run());
        for (int i = 0; i < 3; ++i)
            scene.keep();
        auto const usual = scene.axis->zoom();
        scene.key(Qt::Key_Plus);
        QVERIFY(scene.axis->zoom() > usual);
        for (int i = 0; i < 40; ++i)
            scene.key(Qt::Key_Plus);
        QVERIFY(scene.axis->zoom() < 1000);
        for (int i = 0; i < 80; ++i)
            scene.key(Qt::Key_Minus);
        QVERIFY(scene.axis->zoom() > 1);
    }

    void aScreenReaderHasEachMomentAndNow()
    {
        Scene scene;
        QVERIFY(scene.run());
        auto const id = scene.keep();
        auto* list = QAccessible::queryAccessibleInterface(scene.axis);
        QCOMPARE(list->role(), QAccessible::List);
        QCOMPARE(list->text(QAccessible::Name), "Timeline");
        QCOMPARE(list->childCount(), 2);
        auto* moment = list->child(0);
        QCOMPARE(moment->role(), QAccessible::ListItem);
        QVERIFY(moment->text(QAccessible::Name).startsWith("Moment 1, Today, "));
        QVERIFY(!moment->text(QAccessible::Description).isEmpty());
        QCOMPARE(list->child(1)->text(QAccessible::Name), "Now");
        QVERIFY(list->child(1)->state().selected);
        QCOMPARE(list->indexOfChild(moment), 0);
        QCOMPARE(list->childAt(moment->rect().center().x(), moment->rect().center().y()), moment);
        auto* actions = moment->actionInterface();
        QVERIFY(actions != nullptr);
        actions->doAction(QAccessibleActionInterface::pressAction());
        QCOMPARE(scene.axis->selected(), id);
        QVERIFY(moment->state().focused);
        QCOMPARE(actions->keyBindingsForAction("Fork"), QStringList("F"));
        actions->doAction("Pin");
        QTRY_VERIFY(scene.timeline().moment(id)->pinned);
        actions->doAction("Delete");
        QVERIFY(scene.has(0));
        QCOMPARE(list->childCount(), 1);
    }

    /// The lines between moments, the mark, and what can be done with now.
    void aScreenReaderHasWhatIsOnlyDrawn()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        scene.keep();
        auto* list = QAccessible::queryAccessibleInterface(scene.axis);
        auto const said = [&](int index, QAccessible::Text what) { return list->child(index)->text(what); };
        QVERIFY(!said(0, QAccessible::Description).contains("came from"));
        QVERIFY(said(1, QAccessible::Description).contains("came from “Moment 1, "));
        QVERIFY(said(2, QAccessible::Description).startsWith("came from “Moment 2, "));

        scene.key(Qt::Key_Left);
        scene.key(Qt::Key_Space);
        QVERIFY(said(1, QAccessible::Name).endsWith(", marked for comparing"));
        QVERIFY(!said(0, QAccessible::Name).contains("marked"));
        scene.key(Qt::Key_Space);
        QVERIFY(!said(1, QAccessible::Name).contains("marked"));

        auto* now = list->child(2)->actionInterface();
        QCOMPARE(now->keyBindingsForAction("Keep"), QStringList("M"));
        QVERIFY(!now->actionNames().contains("Delete"));
        QVERIFY(now->actionNames().contains("Fork"));
        now->doAction("Keep");
        QVERIFY(scene.has(3));
    }

    /// Whatever a key or the menu asks for: each by an action of a moment or of now, which has words.
    void aScreenReaderCanAskForEverything()
    {
        using Request = ui::TimelineAxis::Request;
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        scene.keep();
        auto* list = QAccessible::queryAccessibleInterface(scene.axis);
        auto const names = [&](int index) { return list->child(index)->actionInterface()->actionNames(); };
        QVERIFY(!names(0).contains("Bring back"));
        list->child(1)->actionInterface()->doAction("Delete");
        QVERIFY(scene.has(1));
        QVERIFY(names(0).contains("Bring back") && names(1).contains("Bring back"));

        // Of what each does the other tests tell.
        scene.axis->disconnect(scene.panel);
        QSignalSpy const asked(scene.axis, &ui::TimelineAxis::requested);
        std::set<Request> can;
        for (auto const index : { 0, 1 }) {
            auto* actions = list->child(index)->actionInterface();
            for (auto const& name : actions->actionNames()) {
                QVERIFY2(!actions->localizedActionName(name).isEmpty(), qPrintable(name));
                auto const before = asked.count();
                actions->doAction(name);
                if (name == QAccessibleActionInterface::pressAction()
                    || name == QAccessibleActionInterface::setFocusAction())
                    continue;
                QVERIFY2(asked.count() == before + 1, qPrintable(name));
                can.insert(asked.last().first().value<Request>());
            }
        }
        auto const all = QMetaEnum::fromType<Request>();
        for (int i = 0; i < all.keyCount(); ++i) {
            if (auto const one = Request(all.value(i)); one != Request::Leave) // which is Esc, and to go elsewhere
                QVERIFY2(can.contains(one), all.key(i));
        }
    }

    void whatIsDeletedIsBroughtBackByAnAction()
    {
        Scene scene;
        QVERIFY(scene.run());
        auto const id = scene.keep();
        auto* list = QAccessible::queryAccessibleInterface(scene.axis);
        list->child(0)->actionInterface()->doAction("Delete");
        QVERIFY(scene.has(0));
        list->child(0)->actionInterface()->doAction("Bring back"); // of now
        QVERIFY(scene.has(1));
        QCOMPARE(scene.axis->entry(0).id, id);
    }

    /// Who does not see the axis hears of what a key has changed there: where the focus is, and that a name is another
    /// one.
    void aScreenReaderIsToldWhatKeysDo()
    {
        Scene scene;
        QVERIFY(scene.run());
        scene.keep();
        scene.keep();
        scene.axis->setFocus();
        static QStringList told;
        told.clear();
#if __has_include(<qpa/qplatformaccessibility.h>)
        // As it is where a screen reader runs.
        auto* platform = QGuiApplicationPrivate::platformIntegration()->accessibility();
        bool const wasActive = platform->isActive();
        platform->setActive(true);
        auto const restored = qScopeGuard([=] { platform->setActive(wasActive); });
#else
        QSKIP("CHRONOVISOR-SKIP: Qt's private headers are not installed");
#endif
        auto const before = QAccessible::installUpdateHandler([](QAccessibleEvent* event) {
            auto const* about
                = qobject_cast<ui::TimelineAxis*>(event->object()) ? event->accessibleInterface() : nullptr;
            if (about != nullptr && event->type() == QAccessible::Focus)
                told += "at " + about->text(QAccessible::Name).section(',', 0, 0);
            if (about != nullptr && event->type() == QAccessible::NameChanged)
                told += about->text(QAccessible::Name).section(", ", -1);
        });
        auto const heard = qScopeGuard([&] { QAccessible::installUpdateHandler(before); });
        auto const hears = [&](Qt::Key key) {
            told.clear();
            scene.key(key);
            return told;
        };
        QCOMPARE(hears(Qt::Key_Left), QStringList("at Moment 2"));
        QCOMPARE(hears(Qt::Key_Space), QStringList("marked for comparing"));
        auto const unmarked = hears(Qt::Key_Space);
        QCOMPARE(unmarked.size(), 1);
        QVERIFY2(!unmarked[0].contains("marked"), qPrintable(unmarked[0]));
        QCOMPARE(hears(Qt::Key_Left), QStringList("at Moment 1"));
        QCOMPARE(hears(Qt::Key_End), QStringList("at Now"));
    }

    void wordsForTimes()
    {
        QDateTime const now(QDate(2026, 11, 26), QTime(12, 0));
        QCOMPARE(ui::momentTime(now.addSecs(-60).toMSecsSinceEpoch(), now), "Today, 11:59:00");
        QVERIFY(ui::momentTime(now.addDays(-1).toMSecsSinceEpoch(), now).startsWith("Yesterday, "));
        QVERIFY(ui::momentTime(now.addDays(-9).toMSecsSinceEpoch(), now).contains("November"));
    }
};

REGISTER_SUITE(TimelinePanelTest);
#include "timeline_test.moc"
