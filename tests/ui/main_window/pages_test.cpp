#include "tests/support/media.h"
#include "tests/support/suite.h"
#include "tests/ui/main_window/desk.h"
#include "ui/machine/machine_page.h"
#include "ui/main_window/closing_page.h"
#include "ui/main_window/empty_page.h"
#include "ui/new_machine/new_machine_page.h"
#include "ui/serial/console_tabs.h"
#include "ui/settings/language.h"
#include "ui/theme/theme.h"
#include "ui/usb/usb_bar.h"
#include "ui/usb/usb_control.h"
#include "ui/widgets/message_bar.h"
#include "vmm/block/image.h"

#include <QAccessible>
#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QFile>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QPushButton>
#include <QScrollArea>
#include <QScrollBar>
#include <QShortcut>
#include <QStatusBar>
#include <QStyleOptionComboBox>
#include <QTabBar>
#include <QToolButton>

using tests::button;
using tests::Desk;

namespace {

/// What a screen reader finds that can be operated, and has no name to read.
void collectNameless(QAccessibleInterface* node, QStringList& found)
{
    auto const state = node->state();
    if (state.invisible)
        return;
    auto const name = node->text(QAccessible::Name);
    if (state.focusable && name.isEmpty() && node->role() != QAccessible::Client)
        found += QStringLiteral("%1 in %2")
                     .arg(node->object() != nullptr ? node->object()->metaObject()->className() : "?",
                         node->parent() != nullptr && node->parent()->object() != nullptr
                             ? node->parent()->object()->metaObject()->className()
                             : "?");
    for (int i = 0; i < node->childCount(); ++i) {
        if (auto* child = node->child(i))
            collectNameless(child, found);
    }
}

/// A screen of 800x600 has room for it, with a title and a panel.
constexpr QSize smallWindow(800, 520);
constexpr int widestMenu = 800;

/// Words that do not fit into where they stand.
QStringList cutOff(QWidget* window)
{
    QStringList found;
    for (auto const* box : window->findChildren<QComboBox*>()) {
        QStyleOptionComboBox option;
        option.initFrom(box);
        auto const room = box->style()->subControlRect(QStyle::CC_ComboBox, &option, QStyle::SC_ComboBoxEditField, box);
        if (box->isVisible() && room.width() < box->fontMetrics().horizontalAdvance(box->currentText()))
            found += QStringLiteral("“%1”, chosen, has %2 pixels").arg(box->currentText()).arg(room.width());
    }
    for (auto* widget : window->findChildren<QWidget*>()) {
        auto const* label = qobject_cast<QLabel*>(widget);
        auto const* abstractButton = qobject_cast<QAbstractButton*>(widget);
        if (!widget->isVisible() || (label == nullptr && abstractButton == nullptr))
            continue;
        auto const* tool = qobject_cast<QToolButton*>(widget);
        if (tool != nullptr && tool->toolButtonStyle() == Qt::ToolButtonIconOnly)
            continue;
        auto const text = label != nullptr ? label->text() : abstractButton->text();
        auto const isWrapped = label != nullptr && label->wordWrap();
        auto const isTooSmall = isWrapped ? widget->height() < label->heightForWidth(widget->width())
                                          : widget->width() < widget->minimumSizeHint().width()
                || widget->height() < widget->minimumSizeHint().height();
        if (!text.isEmpty() && isTooSmall)
            found += QStringLiteral("“%1” has %2x%3").arg(text).arg(widget->width()).arg(widget->height());
    }
    return found;
}

QString nameOf(QWidget const* widget)
{
    auto const* action = qobject_cast<QToolButton const*>(widget);
    return QStringLiteral("%1 “%2”").arg(widget->metaObject()->className(),
        !widget->accessibleName().isEmpty() ? widget->accessibleName()
            : action != nullptr             ? action->text()
                                            : widget->objectName());
}

/// What the window has no room for: it has become larger than a person made it, or a page has to be pushed sideways.
QStringList tooLarge(QWidget* window)
{
    QStringList found;
    if (window->size() != smallWindow)
        found += QStringLiteral("the window itself: %1x%2").arg(window->width()).arg(window->height());
    for (auto* page : window->findChildren<ui::PageFrame*>()) {
        for (auto const* scroll : page->findChildren<QScrollArea*>()) {
            if (!scroll->isVisible() || scroll->horizontalScrollBar()->maximum() == 0)
                continue;
            found += QStringLiteral("“%1”, by %2 pixels")
                         .arg(page->accessibleName())
                         .arg(scroll->horizontalScrollBar()->maximum());
            for (auto const* widget : scroll->widget()->findChildren<QWidget*>()) {
                auto const right = widget->mapTo(scroll->widget(), QPoint(widget->minimumSizeHint().width(), 0)).x();
                if (widget->isVisible() && right > scroll->viewport()->width())
                    found += nameOf(widget);
            }
        }
    }
    return found;
}

/// Letters after Alt that mean two things at once, so that neither is done.
QStringList doubledLetters(QWidget* window)
{
    QMap<QString, QString> owners;
    QStringList found;
    for (auto* widget : window->findChildren<QWidget*>()) {
        auto const* label = qobject_cast<QLabel*>(widget);
        auto const* one = qobject_cast<QAbstractButton*>(widget);
        if (!widget->isVisible() || !widget->isEnabled() || (one == nullptr && (label == nullptr || !label->buddy())))
            continue;
        auto const text = one != nullptr ? one->text() : label->text();
        auto const letter = QKeySequence::mnemonic(text).toString();
        if (!letter.isEmpty() && owners.contains(letter))
            found += QStringLiteral("%1 for “%2” and “%3”").arg(letter, owners[letter], text);
        owners[letter] = text;
    }
    return found;
}

/// A key of its own leads to it: its letter after Alt, or the shortcut of what it does.
bool hasKey(QWidget const* widget)
{
    if (qobject_cast<QTabBar const*>(widget) != nullptr) // as those of the console do, in which Tab is the guest's
        return !widget->parent()->findChildren<QShortcut*>(Qt::FindDirectChildrenOnly).isEmpty();
    auto const* button = qobject_cast<QAbstractButton const*>(widget);
    auto const* tool = qobject_cast<QToolButton const*>(widget);
    return button != nullptr
        && (!button->shortcut().isEmpty()
            || (tool != nullptr && tool->defaultAction() != nullptr && !tool->defaultAction()->shortcut().isEmpty()));
}

/// Follows the Tab key from `start` until it leads nowhere new: round, or into what keeps the key for a guest.
void walk(QWidget* start, Qt::Key key, QSet<QWidget*>& reached)
{
    start->setFocus();
    auto const modifier = key == Qt::Key_Backtab ? Qt::ShiftModifier : Qt::NoModifier;
    for (auto* at = QApplication::focusWidget(); at != nullptr && !reached.contains(at);
         at = QApplication::focusWidget()) {
        reached += at;
        QTest::keyClick(at, key, modifier);
        if (QApplication::focusWidget() == at) // it was led to its link first, as a label is on a host without KVM
            QTest::keyClick(at, key, modifier);
    }
}

/// Where the Tab key leads upwards within a page.
QStringList outOfOrder(QWidget* window)
{
    QStringList found;
    for (auto* page : window->findChildren<ui::PageFrame*>()) {
        auto const* scroll = page->findChild<QScrollArea*>();
        if (!page->isVisible() || scroll == nullptr)
            continue;
        QWidget const* before = nullptr;
        for (auto* at = page->nextInFocusChain(); at != page; at = at->nextInFocusChain()) {
            if (!scroll->widget()->isAncestorOf(at) || (at->focusPolicy() & Qt::TabFocus) == 0
                || at->focusProxy() != nullptr || at->window() != window || !at->isVisible())
                continue;
            if (before != nullptr
                && at->mapTo(scroll->widget(), at->rect().bottomLeft()).y()
                    < before->mapTo(scroll->widget(), before->rect().topLeft()).y())
                found += QStringLiteral("%1 after %2").arg(nameOf(at), nameOf(before));
            before = at;
        }
    }
    return found;
}

/// What can be operated in the window, and has neither a key of its own nor a place on the way of the Tab key, which
/// begins where Ctrl+Shift+L leads, out of the machine too.
QStringList outOfReach(QWidget* window)
{
    QCoreApplication::processEvents();
    QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
    // A part of it that was shown before it had a parent would have been a window of its own, for an instant.
    if (!window->isActiveWindow())
        return { QStringLiteral("the window, which is not active") };
    QTest::keyClick(window, Qt::Key_L, Qt::ControlModifier | Qt::ShiftModifier);
    auto* start = QApplication::focusWidget();
    if (start == nullptr)
        return { QStringLiteral("what Ctrl+Shift+L leads to") };
    QSet<QWidget*> forth, back;
    walk(start, Qt::Key_Tab, forth);
    walk(start, Qt::Key_Backtab, back);
    QStringList missed;
    for (auto* widget : window->findChildren<QWidget*>()) {
        auto const isMarked
            = qobject_cast<QLabel*>(widget) && widget->focusPolicy() == Qt::ClickFocus; // with a pointer
        auto const isOperated
            = (widget->focusPolicy() != Qt::NoFocus && !isMarked) || qobject_cast<QAbstractButton*>(widget);
        auto const isPart = qobject_cast<QLineEdit*>(widget->parent()) || qobject_cast<QTabBar*>(widget->parent());
        if (isOperated && !isPart && widget->isVisible() && widget->isEnabled() && widget->focusProxy() == nullptr
            && !forth.contains(widget) && !back.contains(widget) && !hasKey(widget))
            missed += nameOf(widget);
    }
    return missed;
}

/// The window's, until the test's end, however that comes.
struct Language {
    explicit Language(QString const& name) { speak(name); }
    ~Language() { speak("en"); }
    Language(Language const&) = delete;
    Language& operator=(Language const&) = delete;

private:
    static void speak(QString const& name)
    {
        ui::settings::language.set(name);
        ui::applyLanguage();
    }
};

}

/// Every page and state of the window, in both languages and in a small window: each control has a name, each word its
/// room, each letter after Alt one meaning, and each can be reached without a pointer.
class PagesTest final : public QObject {
    Q_OBJECT

    static void look(Desk& desk, char const* where)
    {
        QCoreApplication::processEvents();
        QCoreApplication::sendPostedEvents(nullptr, QEvent::DeferredDelete);
        QTest::qWait(1);
        QCoreApplication::sendPostedEvents(nullptr, QEvent::LayoutRequest);
        QStringList nameless;
        collectNameless(QAccessible::queryAccessibleInterface(desk.window.get()), nameless);
        QVERIFY2(nameless.isEmpty(), qPrintable(where + QStringLiteral(": ") + nameless.join(", ")));
        auto const cut = cutOff(desk.window.get());
        QVERIFY2(cut.isEmpty(), qPrintable(where + QStringLiteral(": ") + cut.join(", ")));
        auto const large = tooLarge(desk.window.get());
        QVERIFY2(large.isEmpty(), qPrintable(where + QStringLiteral(": ") + large.join(", ")));
        auto const doubled = doubledLetters(desk.window.get());
        QVERIFY2(doubled.isEmpty(), qPrintable(where + QStringLiteral(": ") + doubled.join(", ")));
    }

    using Visit = std::function<void(Desk&, char const*)>;
    /// Leads the window through its pages and states.
    static void visitAll(Desk& desk, Visit const& visit)
    {
        desk.window->resize(smallWindow);
        visit(desk, "empty");
        for (auto const kvm : { app::KvmStatus::Absent, app::KvmStatus::NoRights, app::KvmStatus::Unusable }) {
            app::HostReport host;
            host.kvm = kvm;
            desk.window->showHost(host);
            for (auto* one : desk.window->statusBar()->findChildren<QLabel*>())
                emit one->linkActivated(QStringLiteral("#"));
            visit(desk, "no virtualization");
        }
        desk.window->showNewMachine();
        visit(desk, "new machine");
        QFile kernel(desk.directory.filePath("vmlinuz"));
        QVERIFY(kernel.open(QIODevice::WriteOnly) && kernel.write(tests::bzImage("6.1.0")) > 0);
        kernel.close();
        desk.window->newMachinePage()->useFile(kernel.fileName());
        QTRY_VERIFY_WITH_TIMEOUT(desk.window->newMachinePage()->isReady(), 60'000 * tests::patience());
        visit(desk, "new machine, for a kernel");
        auto const image = desk.directory.filePath(QString(100, 'i') + ".qcow2");
        REQUIRE_OK(vmm::createImage(image.toStdString(),
            { .size = 4096, .backingFile = "/" + std::string(300, 'b'), .backingFormat = vmm::ImageFormat::Raw }));
        desk.window->newMachinePage()->useFile(image);
        QTRY_VERIFY_WITH_TIMEOUT(desk.window->newMachinePage()->isReady(), 60'000 * tests::patience());
        visit(desk, "new machine, for a disk image");
        desk.window->newMachinePage()->useDemo();
        for (auto* one : desk.window->newMachinePage()->findChildren<QPushButton*>()) {
            if (one->isCheckable())
                one->setChecked(true);
        }
        visit(desk, "new machine, all of it");

        auto const id = desk.create("first");
        desk.window->showMachine(id);
        visit(desk, "off");
        auto* page = desk.window->pageOf(id);
        page->setInspectorVisible(true);
        QTRY_VERIFY(desk.library->hostUsb().isRead());
        page->report(ui::Task::Start, { vmm::ErrorCode::NoKvm, "/dev/kvm", 2 });
        for (auto* one : page->messages()->findChildren<QPushButton*>()) {
            if (one->isCheckable())
                one->setChecked(true);
        }
        visit(desk, "a problem with its details");
        QVERIFY(desk.start(id));
        visit(desk, "running");
        app::UsbQuestion question;
        question.device.manufacturer = "Kingston";
        question.device.name = "DataTraveler 3.0";
        page->usb()->bar()->ask(question);
        visit(desk, "a USB device is plugged in");
        question.reason = app::UsbQuestion::Reason::UsedByHost;
        question.uses = { { app::HostUse::Kind::MountedDisk, "/media/anna/STICK", false } };
        page->usb()->bar()->askNow(question);
        visit(desk, "a USB device is in use");
        desk.settings(id);
        visit(desk, "settings while it runs");
        desk.window->showPreferences();
        visit(desk, "preferences");
        auto const gone = desk.create("second");
        desk.library->remove(gone, [](vmm::Result<> const& removed) { REQUIRE_OK(removed); });
        QTRY_VERIFY(!desk.library->ids().contains(gone));
        auto const empty = QCoreApplication::translate("ui::TrashCard", "&Empty the trash now…");
        QTRY_VERIFY(button(desk.window->currentPage(), empty)->isEnabled());
        button(desk.window->currentPage(), empty)->click();
        visit(desk, "preferences, the trash is to be emptied");
        app::settings::onClose.set(app::OnClose::Ask);
        desk.window->close();
        visit(desk, "closing");
        desk.session(id).powerOff();
        QVERIFY(desk.waitFor(id, app::SessionState::Off));

        std::optional<vmm::Result<>> ruled;
        desk.library->changeUsbRules(
            [](app::UsbRules& rules) {
                app::UsbRule rule;
                rule.match.vendor = 0x0951;
                rule.name = "Kingston DataTraveler 3.0";
                return rules.set(rule);
            },
            [&](vmm::Result<> const& outcome) { ruled = outcome; });
        QTRY_VERIFY(ruled);
        REQUIRE_OK(*ruled);
        desk.window->showUsbRules();
        QTRY_COMPARE(desk.library->hostUsb().rules().rules.size(), 1u);
        visit(desk, "rules for USB devices");

        auto const disk = desk.directory.filePath(QString(100, 'd') + ".img").toStdString();
        REQUIRE_OK(vmm::createImage(disk, { .size = 1 << 20 }));
        auto config = desk.library->config(id);
        config.kernel.reset();
        config.firmware = vmm::Firmware::SeaBios;
        config.disks = { { .id = "disk0", .path = disk, .format = vmm::DiskFormat::Raw } };
        config.cds = { { "cd0", "/" + std::string(100, 'c') + ".iso" } };
        config.usbDevices = { { "usb-tablet-0", vmm::UsbKind::Tablet, {}, true } };
        config.usbControllers = { { "usb0" } };
        config.networks[0].forwards
            = { { vmm::Protocol::Tcp, "127.0.0.1", 2222, 22 }, { vmm::Protocol::Udp, "0.0.0.0", 65535, 65535 } };
        QVERIFY(desk.change(config));
        auto* settings = desk.settings(id);
        for (auto* one : settings->findChildren<QPushButton*>()) {
            for (auto const* text : { "Add a new disk", "Add a screen" }) {
                if (one->text() == QCoreApplication::translate("ui::MachineSettingsPage", text))
                    one->click();
            }
            if (one->text() == QCoreApplication::translate("ui::TimelineCard", "Change how lon&g they stay"))
                one->click();
        }
        visit(desk, "settings");
        auto const larger = QCoreApplication::translate("ui::MachineSettingsPage", "New size of %1").arg("disk0");
        desk.named<QPushButton>(settings, larger)->click();
        visit(desk, "settings, a disk is made larger");
    }

private slots:
    void initTestCase() { ui::applyTheme(*qApp); } // without it there is less room, and long lists are not cut off
    void init() { QApplication::setQuitOnLastWindowClosed(false); }

    void namesAndRoom_data()
    {
        QTest::addColumn<QString>("language");
        QTest::newRow("English") << "en";
        QTest::newRow("German") << "de";
    }
    void namesAndRoom()
    {
        QFETCH(QString, language);
        Desk desk;
        Language const spoken(language);
        desk.open();
        visitAll(desk, &look);
    }

    void aLongNameMakesNothingWider()
    {
        Desk desk;
        auto const id = desk.create(std::string(200, 'n'));
        desk.open();
        desk.window->resize(smallWindow);
        desk.window->showMachine(id);
        look(desk, "off");
        QVERIFY(desk.start(id));
        look(desk, "running");
        desk.settings(id);
        look(desk, "settings");
    }

    /// A menu's columns are as wide as the widest of each, and its entries are not broken.
    void noMenuIsWiderThanASmallScreen_data() { namesAndRoom_data(); }
    void noMenuIsWiderThanASmallScreen()
    {
        QFETCH(QString, language);
        Desk desk;
        Language const spoken(language);
        auto const id = desk.create("first");
        auto config = desk.library->config(id);
        config.kernel.reset();
        config.firmware = vmm::Firmware::SeaBios;
        config.usbControllers = { { "usb0" } };
        config.disks = { { .id = "usb-stick-0", .path = desk.directory.filePath(QString(200, 'p')).toStdString() } };
        for (auto& disk : config.disks)
            disk.bus = vmm::DiskBus::Usb;
        QVERIFY(desk.change(config));
        desk.open();
        desk.window->resize(smallWindow);
        auto const look = [&] {
            desk.window->showMachine(id);
            int seen = 0;
            for (auto const* button : desk.window->findChildren<QToolButton*>()) {
                if (button->menu() == nullptr || !button->isVisibleTo(desk.window.get()))
                    continue;
                ++seen;
                emit button->menu()->aboutToShow();
                QList<QMenu*> menus { button->menu() };
                for (auto const* action : button->menu()->actions())
                    menus += action->menu() != nullptr ? QList { action->menu() } : QList<QMenu*>();
                for (auto const* menu : menus) {
                    auto const width = menu->sizeHint().width();
                    QVERIFY2(width <= widestMenu, qPrintable(nameOf(button) + QString::number(width)));
                }
            }
            QVERIFY(seen > 2);
        };
        look();
        QVERIFY(desk.start(id));
        look();
        desk.session(id).powerOff();
        QVERIFY(desk.waitFor(id, app::SessionState::Off));
        config = desk.library->config(id);
        config.disks.clear();
        config.usbControllers.clear();
        QVERIFY(desk.change(config));
        look();
    }

    void everythingIsReachedWithTheKeyboard()
    {
        Desk desk;
        desk.open();
        visitAll(desk, [](Desk& one, char const* where) {
            QTest::qWait(1);
            QCoreApplication::sendPostedEvents(nullptr, QEvent::LayoutRequest);
            auto const missed = outOfReach(one.window.get());
            QVERIFY2(missed.isEmpty(), qPrintable(where + QStringLiteral(": ") + missed.join(", ")));
            auto const wrong = outOfOrder(one.window.get());
            QVERIFY2(wrong.isEmpty(), qPrintable(where + QStringLiteral(": ") + wrong.join(", ")));
        });
    }

    /// After a failure it has the most to say, and the most buttons.
    void theClosingPageHasRoomInTheSmallestWindow()
    {
        Desk desk;
        Language const german("de");
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        desk.script->failSuspend = vmm::Error { vmm::ErrorCode::NoSpace, "full", 28 };
        desk.window->resize(1, 600);
        desk.window->close();
        auto* page = desk.window->currentPage();
        QVERIFY(qobject_cast<ui::ClosingPage*>(page));
        QTRY_VERIFY(page->findChild<ui::MessageBar*>()->isVisible());
        QTest::qWait(1);
        QCoreApplication::sendPostedEvents(nullptr, QEvent::LayoutRequest);
        QVERIFY(button(page, "Sofort ausschalten")->isVisible());
        QCOMPARE(cutOff(page), QStringList());
    }

    void fromOneTerminalToTheNext()
    {
        Desk desk;
        auto const id = desk.create("first");
        desk.open();
        QVERIFY(desk.start(id));
        auto* consoles = desk.window->pageOf(id)->consoles();
        QCOMPARE(consoles->count(), 2);
        for (auto const& [key, tab] :
            { std::pair(Qt::Key_PageDown, 1), { Qt::Key_PageDown, 0 }, { Qt::Key_PageUp, 1 } }) {
            consoles->currentTerminal()->setFocus();
            QTest::keyClick(consoles->currentTerminal(), key, Qt::ControlModifier | Qt::ShiftModifier);
            QCOMPARE(consoles->currentIndex(), tab);
            QVERIFY(consoles->currentTerminal()->hasFocus());
        }
    }
};

REGISTER_SUITE(PagesTest);
#include "pages_test.moc"
