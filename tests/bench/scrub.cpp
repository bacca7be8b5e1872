// scrub DIRECTORY MOMENTS: makes a timeline of so many moments in DIRECTORY, opens it in the desktop's widgets, and
// scrubs. Prints milliseconds: "open", from asking for the timeline until its axis is painted with all moments; "thumb
// N" and "scrub N", from the selection of a moment that was not looked at before until its small picture and its whole
// one are painted in the place of the screen; "next N", the latter by the arrow key from its neighbour.

#include "app/runner/picture.h"
#include "app/session/timeline_session.h"
#include "app/session/vm_session.h"
#include "ui/theme/theme.h"
#include "ui/timeline/past_view.h"
#include "ui/timeline/timeline_panel.h"

#include <QApplication>
#include <QDateTime>
#include <QElapsedTimer>
#include <QPainter>
#include <QTemporaryDir>
#include <QVBoxLayout>
#include <cstdio>
#include <random>
#include <utility>

namespace {

/// One page, that each moment has otherwise.
struct Page final : vmm::timeline::FrozenMemory {
    std::vector<Block> all { { "ram", 4096 } };
    std::uint8_t value = 0;
    std::vector<Block> const& blocks() const override { return all; }
    vmm::Result<std::uint64_t> nextUsed(std::size_t, std::uint64_t) override { return 0; }
    vmm::Result<> read(std::size_t, std::uint64_t, vmm::ByteSpan data) override
    {
        std::fill(data.begin(), data.end(), value);
        return {};
    }
};

/// What a desktop shows: a wallpaper with a gradient, a window, and text in it.
vmm::Bytes desktopPicture(int number)
{
    QImage image(1024, 768, QImage::Format_RGB32);
    QPainter painter(&image);
    QLinearGradient wallpaper(0, 0, 1024, 768);
    wallpaper.setColorAt(0, QColor::fromHsv(number * 37 % 360, 120, 90));
    wallpaper.setColorAt(1, QColor::fromHsv(number * 61 % 360, 140, 180));
    painter.fillRect(image.rect(), wallpaper);
    painter.fillRect(80 + number % 50, 60, 800, 600, QColor(0x1b1e23));
    painter.setPen(QColor(0xd0d4da));
    for (int line = 0; line < 34; ++line)
        painter.drawText(100, 90 + line * 17,
            QStringLiteral("%1  [%2] step %3 of a build, as a terminal shows it")
                .arg(number * 34 + line)
                .arg(number * 0.37 + line)
                .arg(number));
    painter.end();
    vmm::Frame frame { 1024, 768, {} };
    auto const* pixels = reinterpret_cast<std::uint32_t const*>(image.constBits());
    frame.pixels.assign(pixels, pixels + std::size_t(1024) * 768);
    return app::encodeMomentPicture(std::move(frame)).value_or(vmm::Bytes());
}

vmm::Result<> makeTimeline(std::string const& path, int count)
{
    auto folder = TRY(vmm::timeline::openFolder(path));
    auto const timeline
        = TRY(vmm::timeline::Timeline::open(std::move(folder), vmm::timeline::Timeline::Access::ReadWrite));
    std::vector<vmm::Bytes> pictures;
    for (int i = 0; i < 24; ++i)
        pictures.push_back(desktopPicture(i));
    Page page;
    std::mt19937 random(1); // the same in every run
    auto time = static_cast<std::uint64_t>(QDateTime::currentMSecsSinceEpoch() - qint64(count) * 60'000);
    std::vector<std::string> ids;
    for (int i = 0; i < count; ++i) {
        // Now and then somebody goes back.
        if (i > 0 && random() % 25 == 0)
            TRY(timeline->setPresent(ids[random() % ids.size()]));
        page.value = static_cast<std::uint8_t>(i);
        vmm::timeline::NewMoment what;
        what.reason = i % 10 == 0 ? vmm::timeline::Reason::Kept : vmm::timeline::Reason::Automatic;
        what.name = i % 10 == 0 ? "Moment " + std::to_string(i) : "";
        what.time = (time += 1000 * (1 + random() % 119)) * 1'000'000;
        what.state = "{}";
        what.picture = pictures[static_cast<std::size_t>(i) % pictures.size()];
        ids.push_back(TRY(timeline->take(what, page, {})).id);
    }
    return {};
}

/// Handles events until `done`, or for ten seconds.
template<typename Condition>
double until(QElapsedTimer const& timer, Condition done)
{
    while (!done() && timer.elapsed() < 10'000)
        QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents, 10);
    return static_cast<double>(timer.nsecsElapsed()) / 1e6;
}

/// Tells when the axis has been painted.
class Paints final : public QObject {
public:
    int count = 0;
    bool eventFilter(QObject*, QEvent* event) override
    {
        count += event->type() == QEvent::Paint ? 1 : 0;
        return false;
    }
};

}

int main(int argc, char** argv)
{
    QApplication application(argc, argv);
    if (argc != 3)
        return 2;
    app::usePreferencesFile(QString::fromLocal8Bit(argv[1]) + QStringLiteral("/preferences"));
    ui::applyTheme(application);
    auto const path = std::string(argv[1]) + "/timeline";
    auto const count = std::atoi(argv[2]);
    if (auto const made = makeTimeline(path, count); !made) {
        std::fprintf(stderr, "%s\n", made.error().message().c_str());
        return 1;
    }

    vmm::VmConfig config;
    config.uuid = "8f3a4c1e-2a4f-4d0a-9a64-0d4f0e5b7c11";
    auto const runner
        = std::make_shared<app::MachineRunner>(config, app::MachinePlaces { {}, {}, path }, app::MachineFactory {});
    app::VmSession session(runner);
    QWidget window;
    auto* panel = new ui::TimelinePanel(session);
    auto* past = panel->past();
    QVBoxLayout layout(&window);
    layout.addWidget(past, 1);
    layout.addWidget(panel);
    past->show();
    window.resize(1280, 900);

    auto* axis = panel->axis();
    Paints paints;
    axis->viewport()->installEventFilter(&paints);
    QElapsedTimer timer;
    timer.start();
    window.show();
    int before = -1; // paintings until the moments were there
    QObject::connect(&session.timeline(), &app::TimelineSession::changed, [&] { before = paints.count; });
    std::printf("open %.2f\n", until(timer, [&] { return before >= 0 && paints.count > before; }));
    if (axis->count() != count)
        return 1;

    using Size = app::MomentPictures::Size;
    QString seen, painted; // moments whose picture is on the screen: any, and the whole one
    double toSee = 0;
    QObject::connect(past, &ui::PastView::painted, [&] {
        auto const& id = axis->selected();
        auto const isShown = [&](Size size) {
            auto const picture = session.timeline().pictures().peek(id, size);
            return picture && picture == past->picture();
        };
        if (!isShown(Size::Small) && !isShown(Size::Whole))
            return;
        if (std::exchange(seen, id) != id)
            toSee = static_cast<double>(timer.nsecsElapsed()) / 1e6;
        if (isShown(Size::Whole))
            painted = id;
    });
    std::mt19937 random(2);
    auto const measure = [&](char const* what, int index) {
        QCoreApplication::processEvents();
        auto const id = axis->entry(index).id;
        timer.restart();
        axis->selectIndex(index);
        std::printf("%s %.2f\n", what, until(timer, [&] { return painted == id; }));
    };
    for (int turn = 0; turn < 100; ++turn) {
        auto const index = static_cast<int>(random() % static_cast<unsigned>(count - 1));
        measure("scrub", index);
        std::printf("thumb %.2f\n", toSee);
        // A person needs longer than this to press a key.
        for (QElapsedTimer rest; !rest.isValid() || rest.elapsed() < 60;) {
            if (!rest.isValid())
                rest.start();
            QCoreApplication::processEvents(QEventLoop::AllEvents, 10);
        }
        measure("next", index + 1);
    }
    return 0;
}
