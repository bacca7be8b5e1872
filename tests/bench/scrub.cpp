// scrub DIRECTORY MOMENTS [TURNS [walk]]: makes a timeline of so many moments in DIRECTORY, opens it in the desktop's
// widgets, and scrubs. Prints milliseconds: "open", from asking for the timeline until its axis is painted with all
// moments; "thumb N" and "scrub N", from the selection of a moment that was not looked at before until its small
// picture and its whole one are painted in the place of the screen; "next N", the latter by the arrow key from its
// neighbour. And the longest stalls of the GUI thread, and what remains of them without waits for a processor:
// "stall_NAME N", "own_NAME N" while it is opened, while the pointer goes over it ("hover"), while it is dragged
// ("drag"), while the wheel turns ("zoom"), and while a moment arrives.
//
// With "walk" also: "loaded", how many moments' pictures were read when it was open, and "unseen", of how many of them
// that is not in sight; then, from now on to each moment that a key leads to, "reached", how many there are, "wrong",
// how many of them showed another picture than theirs, and "kept", the MiB of all pictures that are still in memory.

#include "app/runner/picture.h"
#include "app/session/timeline_session.h"
#include "app/session/vm_session.h"
#include "ui/main_window/stall_monitor.h"
#include "ui/theme/theme.h"
#include "ui/timeline/past_view.h"
#include "ui/timeline/timeline_panel.h"

#include <QApplication>
#include <QDateTime>
#include <QElapsedTimer>
#include <QKeyEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QTemporaryDir>
#include <QVBoxLayout>
#include <QWheelEvent>
#include <cstdio>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string_view>
#include <thread>
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

constexpr int pictureCount = 24;
/// Which of them each moment has.
using Pictured = std::map<QString, std::size_t>;

vmm::Result<Pictured> makeTimeline(std::string const& path, int count)
{
    auto folder = TRY(vmm::timeline::openFolder(path));
    auto const timeline
        = TRY(vmm::timeline::Timeline::open(std::move(folder), vmm::timeline::Timeline::Access::ReadWrite));
    std::vector<vmm::Bytes> encoded;
    for (int i = 0; i < pictureCount; ++i)
        encoded.push_back(desktopPicture(i));
    Page page;
    std::mt19937 random(1); // the same in every run
    auto time = static_cast<std::uint64_t>(QDateTime::currentMSecsSinceEpoch() - qint64(count) * 60'000);
    std::vector<std::string> ids;
    Pictured pictured;
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
        auto const number = static_cast<std::size_t>(i) % encoded.size();
        what.picture = encoded[number];
        ids.push_back(TRY(timeline->take(what, page, {})).id);
        pictured[QString::fromStdString(ids.back())] = number;
    }
    return pictured;
}

/// Handles events until `done`, or for ten seconds.
template<typename Condition>
double until(QElapsedTimer const& timer, Condition done)
{
    while (!done() && timer.elapsed() < 10'000)
        QCoreApplication::processEvents(QEventLoop::WaitForMoreEvents, 10);
    return static_cast<double>(timer.nsecsElapsed()) / 1e6;
}

/// The longest stall while `work` is done.
void measureStall(char const* name, std::function<void()> const& work)
{
    ui::StallMonitor monitor;
    QCoreApplication::processEvents();
    work();
    std::printf(
        "stall_%s %.2f\nown_%s %.2f\n", name, monitor.longestMilliseconds(), name, monitor.longestOwnMilliseconds());
}

/// Another program keeps one more.
vmm::Result<> keepOne(std::string const& path)
{
    auto folder = TRY(vmm::timeline::openFolder(path));
    auto const timeline
        = TRY(vmm::timeline::Timeline::open(std::move(folder), vmm::timeline::Timeline::Access::ReadWrite));
    Page page;
    vmm::timeline::NewMoment what;
    what.time = static_cast<std::uint64_t>(QDateTime::currentMSecsSinceEpoch()) * 1'000'000;
    what.state = "{}";
    what.picture = desktopPicture(7);
    TRY(timeline->take(what, page, {}));
    return {};
}

/// From the left to the right over the axis, and back.
void sweep(QWidget* over, Qt::MouseButton held)
{
    constexpr int step = 3;
    auto const move = [&](QEvent::Type type, int x) {
        QPointF const at(x, over->height() / 3.0);
        auto const button = type == QEvent::MouseMove ? Qt::NoButton : held;
        auto const buttons = type == QEvent::MouseButtonRelease ? Qt::NoButton : Qt::MouseButtons(held);
        QMouseEvent event(type, at, over->mapToGlobal(at), button, buttons, Qt::NoModifier);
        QCoreApplication::sendEvent(over, &event);
        QCoreApplication::processEvents();
    };
    if (held != Qt::NoButton)
        move(QEvent::MouseButtonPress, 0);
    for (int x = 0; x < over->width(); x += step)
        move(QEvent::MouseMove, x);
    for (int x = over->width(); x > 0; x -= step)
        move(QEvent::MouseMove, x);
    if (held != Qt::NoButton)
        move(QEvent::MouseButtonRelease, 0);
}

/// As far out as it goes, all the way in, and out again.
void turnWheel(QWidget* over)
{
    constexpr int notches = 30, notch = 120;
    for (auto const direction : { -1, 1, -1 }) {
        for (int i = 0; i < notches; ++i) {
            QPointF const at(over->width() * 0.7, 30);
            QWheelEvent event(at, over->mapToGlobal(at), {}, { 0, direction * notch }, Qt::NoButton, Qt::NoModifier,
                Qt::NoScrollPhase, false);
            QCoreApplication::sendEvent(over, &event);
            QCoreApplication::processEvents();
        }
    }
}

/// Says which pictures are here once no more come.
void tellLoaded(ui::TimelineAxis const& axis)
{
    auto& here = axis.timeline().pictures();
    QElapsedTimer quiet;
    quiet.start();
    auto const arrival = QObject::connect(&here, &app::MomentPictures::arrived, [&] { quiet.restart(); });
    while (quiet.elapsed() < 300)
        QCoreApplication::processEvents(QEventLoop::AllEvents, 10);
    QObject::disconnect(arrival);
    using Size = app::MomentPictures::Size;
    int loaded = 0, unseen = 0;
    for (int i = 0; i < axis.count(); ++i) {
        auto const& id = axis.entry(i).id;
        if (!here.peek(id, Size::Small) && !here.peek(id, Size::Whole))
            continue;
        ++loaded;
        auto const place = axis.rectOf(i); // what begins beyond an edge is in sight, too
        auto const sight = axis.viewport()->rect().adjusted(-place.width(), 0, place.width(), 0);
        unseen += sight.intersects(place) ? 0 : 1;
    }
    std::printf("loaded %d\nunseen %d\n", loaded, unseen);
}

/// From now on to each moment that a key leads to; `isPainted`: whether its whole picture is on the screen.
void walk(ui::TimelineAxis& axis, ui::PastView const& past, Pictured const& pictured,
    std::function<bool(QString const&)> const& isPainted)
{
    std::vector<app::Picture> wanted;
    for (int i = 0; i < pictureCount; ++i)
        wanted.push_back(app::decodePng(desktopPicture(i)).value_or(app::Picture {}));
    std::set<QString> reached;
    int wrong = 0;
    std::vector<int> open { axis.count() };
    while (!open.empty() && wrong == 0) {
        auto const from = open.back();
        open.pop_back();
        for (auto const key : { Qt::Key_Home, Qt::Key_Down, Qt::Key_Up, Qt::Key_Right, Qt::Key_Left }) {
            axis.selectIndex(from);
            QKeyEvent press(QEvent::KeyPress, key, Qt::NoModifier);
            QCoreApplication::sendEvent(&axis, &press);
            auto const id = axis.selected();
            if (id.isEmpty() || !reached.insert(id).second)
                continue;
            open.push_back(axis.selectedIndex());
            QElapsedTimer timer;
            timer.start();
            until(timer, [&] { return isPainted(id); });
            auto const isRight = isPainted(id) && past.picture()->pixels == wanted[pictured.at(id)].pixels;
            wrong += isRight ? 0 : 1;
        }
    }
    auto const kept = static_cast<double>(axis.timeline().pictures().keptBytes()) / (1 << 20);
    std::printf("reached %zu\nwrong %d\nkept %.2f\n", reached.size(), wrong, kept);
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
    auto const walks = argc == 5 && std::string_view(argv[4]) == "walk";
    if (argc < 3 || argc > (walks ? 5 : 4))
        return 2;
    auto const turns = argc >= 4 ? std::atoi(argv[3]) : 100;
    app::usePreferencesFile(QString::fromLocal8Bit(argv[1]) + QStringLiteral("/preferences"));
    ui::applyTheme(application);
    auto const path = std::string(argv[1]) + "/timeline";
    auto const count = std::atoi(argv[2]);
    auto const made = makeTimeline(path, count);
    if (!made) {
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
    measureStall("open",
        [&] { std::printf("open %.2f\n", until(timer, [&] { return before >= 0 && paints.count > before; })); });
    if (axis->count() != count)
        return 1;
    if (walks)
        tellLoaded(*axis);

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
    for (int turn = 0; turn < turns; ++turn) {
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

    if (walks)
        walk(*axis, *past, *made, [&](QString const& id) { return painted == id; });
    measureStall("hover", [&] { sweep(axis->viewport(), Qt::NoButton); });
    measureStall("drag", [&] { sweep(axis->viewport(), Qt::LeftButton); });
    measureStall("zoom", [&] { turnWheel(axis->viewport()); });
    measureStall("arrival", [&] {
        std::jthread const other([&] {
            if (auto const kept = keepOne(path); !kept)
                std::fprintf(stderr, "%s\n", kept.error().message().c_str());
        });
        timer.restart();
        until(timer, [&] { return axis->count() == count + 1; });
    });
    return axis->count() == count + 1 ? 0 : 1;
}
