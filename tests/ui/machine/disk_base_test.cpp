#include "tests/ui/main_window/desk.h"
#include "ui/machine/machine_page.h"
#include "vmm/base/random.h"
#include "vmm/block/image.h"

using tests::Desk;
using tests::shows;

namespace {

constexpr std::uint64_t mib = 1 << 20;

/// A machine whose disk stands on another file, with its page and the inspector open.
struct OnABase : Desk {
    QString id;
    QWidget* page = nullptr;
    std::string const top = directory.filePath("top").toStdString();

    explicit OnABase(std::string const& base = "base")
    {
        using namespace vmm;
        auto const below = directory.filePath(QString::fromStdString(base)).toStdString();
        tests::must(createImage(below, { .format = ImageFormat::Raw, .size = mib }));
        tests::must(createImage(top, { .size = mib, .backingFile = base, .backingFormat = ImageFormat::Raw }));
        open();
        id = create("first");
        auto config = library->config(id);
        config.disks = { { .id = "disk0", .path = top, .format = DiskFormat::Qcow2 } };
        if (!change(config))
            qFatal("the disk was refused");
        window->showMachine(id);
        window->pageOf(id)->setInspectorVisible(true);
        page = window->pageOf(id);
    }
    /// Null: there is none.
    QPushButton* find(QString const& accessibleName) const
    {
        for (auto* one : page->findChildren<QPushButton*>()) {
            if (one->accessibleName() == accessibleName && one->isVisibleTo(page))
                return one;
        }
        return nullptr;
    }
};

constexpr char const* make = "Make disk0 independent of its base";
constexpr char const* stop = "Stop making disk0 independent";

}

/// What the inspector says of a disk that stands on other files, and does about it.
class DiskBaseTest : public QObject {
    Q_OBJECT

private slots:
    void aDiskOfAMachineThatIsOff()
    {
        OnABase desk;
        QTRY_VERIFY(desk.find(make));
        QVERIFY(shows(desk.page, "Stands on 1 other file"));
        desk.find(make)->click();
        QTRY_VERIFY(!desk.find(make) && !shows(desk.page, "Stands on"));
        vmm::InlineEngine engine;
        QVERIFY(tests::must(vmm::BlockImage::open(engine, desk.top))->info().backing.empty());
    }

    /// What its moments have put there comes and goes with them, and is no business of a person's.
    void whatMomentsHavePutBelowIsNotTold()
    {
        OnABase desk("top." + vmm::makeUuid());
        auto told = false;
        desk.session(desk.id).lookAtDisks([&](auto const& bases) {
            QVERIFY(bases.empty());
            told = true;
        });
        QTRY_VERIFY(told);
        QVERIFY(!desk.find(make) && !shows(desk.page, "Stands on"));
    }

    void aMachineThatRunsTellsHowFarItIs()
    {
        OnABase desk;
        desk.script->holdStream = true;
        QVERIFY(desk.start(desk.id));
        QTRY_VERIFY(desk.find(make));
        desk.find(make)->click();
        QTRY_VERIFY(desk.find(stop));
        QTRY_VERIFY(shows(desk.page, "Being made independent: 50"));
        QVERIFY(!desk.find(make));
        desk.find(stop)->click();
        QTRY_VERIFY(desk.find(make));
        QVERIFY(!desk.find(stop));
        QVERIFY(desk.script->has("stream disk0"));
    }

    void aSuspendedMachineIsLeftAlone()
    {
        OnABase desk;
        QVERIFY(desk.start(desk.id));
        QVERIFY(desk.suspend(desk.id));
        QTRY_VERIFY(desk.find(make) && !desk.find(make)->isEnabled());
    }
};

REGISTER_SUITE(DiskBaseTest);
#include "disk_base_test.moc"
