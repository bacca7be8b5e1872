// How TimelineAxis looks. Everything is put on whole device pixels.

#include "ui/theme/icons.h"
#include "ui/theme/theme.h"
#include "ui/timeline/moment_words.h"
#include "ui/timeline/timeline_axis.h"
#include "ui/timeline/timeline_metrics.h"

#include <QDateTime>
#include <QLocale>
#include <QPainter>
#include <QPainterPath>
#include <QScrollBar>
#include <algorithm>
#include <cmath>

namespace ui {

/// What the parts of one painting share.
struct TimelineAxis::Look {
    qreal ratio;
    QColor text, quiet, accent, line, way, surface;
    QFont small, smallBold;
    QRectF area;               // of the lanes
    std::vector<int> visible;  // nodes
    std::vector<int> pictured; // those of them with a picture, sorted
    bool hasFocus;

    double snap(double value) const { return std::round(value * ratio) / ratio; }
    bool isPictured(int node) const { return std::binary_search(pictured.begin(), pictured.end(), node); }
};

namespace {

QColor mixed(QColor const& one, QColor const& other, double share)
{
    auto const mix = [&](int a, int b) { return qRound(a * (1 - share) + b * share); };
    return { mix(one.red(), other.red()), mix(one.green(), other.green()), mix(one.blue(), other.blue()) };
}

QString clock(qint64 milliseconds, bool seconds)
{
    return QLocale().toString(QDateTime::fromMSecsSinceEpoch(milliseconds).time(),
        seconds ? QStringLiteral("hh:mm:ss") : QStringLiteral("hh:mm"));
}

QString day(QDate const& date)
{
    return QLocale().toString(date, QStringLiteral("d MMM"));
}

}

std::vector<int> TimelineAxis::visibleNodes() const
{
    auto const toPosition = [this](double x) { return (x + horizontalScrollBar()->value() - metrics::left) / m_scale; };
    auto const from = m_layout.firstFrom(toPosition(-metrics::pictureWidth));
    auto const to = m_layout.firstFrom(toPosition(viewport()->width() + metrics::pictureWidth));
    std::vector<int> nodes;
    for (int node = from; node < to; ++node) {
        auto const y = laneTop(m_layout.lane(node));
        if (y + metrics::laneHeight > 0 && y < viewport()->height())
            nodes.push_back(node);
    }
    return nodes;
}

/// As many as there is room for: the selected first, then what a person kept, then the latest of the others.
std::vector<int> TimelineAxis::nodesWithPicture(std::vector<int> const& visible) const
{
    auto const rankOf = [this](int node) {
        auto const& moment = entry(node);
        return moment.id == m_selected                                         ? 0
            : !moment.isAutomatic() || !moment.name.isEmpty() || moment.pinned ? 1
            : node == m_layout.present()                                       ? 1
                                                                               : 2;
    };
    std::vector<std::pair<int, int>> order; // by rank, and then from the last to the first
    for (auto const node : visible)
        order.emplace_back(rankOf(node), -node);
    std::sort(order.begin(), order.end());
    std::map<int, std::vector<double>> taken; // by lane
    constexpr double apart = metrics::pictureWidth + 6;
    std::vector<int> chosen;
    for (auto const& [rank, negative] : order) {
        auto const node = -negative;
        auto& lane = taken[m_layout.lane(node)];
        auto const x = xOf(node);
        auto const next = std::lower_bound(lane.begin(), lane.end(), x);
        auto const free = (next == lane.end() || *next - x >= apart)
            && (next == lane.begin() || x - *(next - 1) >= apart)
            && (m_layout.lane(node) > 0 || xOfNow() - x >= apart * 0.6);
        if (!free && rank > 0)
            continue;
        lane.insert(next, x);
        chosen.push_back(node);
    }
    std::sort(chosen.begin(), chosen.end());
    return chosen;
}

void TimelineAxis::paintEvent(QPaintEvent*)
{
    QPainter painter(viewport());
    painter.setRenderHint(QPainter::Antialiasing);
    auto const colours = palette();
    auto const window = colours.color(QPalette::Window);
    Look look { devicePixelRatioF(), colours.color(QPalette::WindowText), colours.color(QPalette::PlaceholderText),
        colours.color(QPalette::Highlight), mixed(window, colours.color(QPalette::PlaceholderText), 0.45),
        mixed(window, colours.color(QPalette::PlaceholderText), 0.8), window, font(), font(),
        QRectF(viewport()->rect()).adjusted(0, 0, 0, -metrics::timesHeight), visibleNodes(), {}, hasFocus() };
    look.small.setPointSizeF(font().pointSizeF() * 0.86);
    look.smallBold = look.small;
    look.smallBold.setWeight(QFont::DemiBold);
    look.pictured = nodesWithPicture(look.visible);

    painter.save();
    painter.setClipRect(look.area);
    paintLines(painter, look);
    paintPlayhead(painter, look);
    paintNow(painter, look);
    paintMoments(painter, look);
    paintNames(painter, look);
    painter.restore();
    paintTimes(painter, look);
}

void TimelineAxis::paintLines(QPainter& painter, Look const& look) const
{
    auto const y = [&](int lane) { return look.snap(laneTop(lane) + metrics::lineInLane); };
    auto const line = [&](double from, double to, double at, QColor const& colour) {
        from = std::max(from, -2.0);
        to = std::min<double>(to, viewport()->width() + 2);
        if (from < to)
            painter.fillRect(QRectF(QPointF(look.snap(from), at - 1), QPointF(look.snap(to), at + 1)), colour);
    };
    for (auto const& branch : m_layout.branches()) {
        auto const lane = m_layout.lane(branch.first);
        auto const end = xOf(branch.last);
        auto const begin = branch.parent == TimelineLayout::none ? xOf(branch.first) : xOf(branch.parent);
        if (end < 0 || begin > viewport()->width())
            continue;
        if (branch.parent == TimelineLayout::none) {
            line(begin, end, y(lane), look.line);
            continue;
        }
        // Down from where it went off, and round the corner.
        constexpr double radius = 9;
        auto const top = y(m_layout.lane(branch.parent)), bottom = y(lane);
        auto const x = look.snap(begin);
        QPainterPath path(QPointF(x, top));
        path.lineTo(x, bottom - radius);
        path.quadTo(x, bottom, x + std::min(radius, end - begin), bottom);
        painter.setPen(QPen(look.line, 2));
        painter.setBrush(Qt::NoBrush);
        painter.drawPath(path);
        line(begin + radius, end, y(lane), look.line);
    }
    if (m_layout.first() == TimelineLayout::none) {
        line(metrics::left, xOfNow(), y(0), look.line);
        return;
    }
    line(xOf(m_layout.first()), xOf(m_layout.present()), y(0), look.way);
    // From the last moment to now nothing is kept yet.
    painter.setPen(QPen(look.way, 2, Qt::CustomDashLine, Qt::FlatCap));
    auto pen = painter.pen();
    pen.setDashPattern({ 2, 2 });
    painter.setPen(pen);
    auto const from = std::max(xOf(m_layout.present()), -8.0);
    painter.drawLine(QPointF(from, y(0)), QPointF(xOfNow(), y(0)));
}

void TimelineAxis::paintPlayhead(QPainter& painter, Look const& look) const
{
    if (m_selected.isEmpty())
        return;
    // Behind its picture, and not through its name.
    auto const node = selectedIndex();
    auto const x = look.snap(xOf(node)), width = look.snap(1);
    auto const top = laneTop(m_layout.lane(node)) + metrics::lineInLane;
    auto const below = top + metrics::laneHeight - metrics::lineInLane - 2;
    painter.fillRect(QRectF(x, 0, width, std::max(0, top)), look.accent);
    painter.fillRect(QRectF(x, below, width, std::max(0.0, look.area.height() - below)), look.accent);
}

void TimelineAxis::paintNow(QPainter& painter, Look const& look) const
{
    auto const isSelected = m_selected.isEmpty();
    QPointF const centre(look.snap(xOfNow()), look.snap(laneTop(0) + metrics::lineInLane));
    if (isSelected && look.hasFocus) {
        auto ring = look.accent;
        ring.setAlpha(70);
        painter.setPen(Qt::NoPen);
        painter.setBrush(ring);
        painter.drawEllipse(centre, 11, 11);
    }
    painter.setPen(Qt::NoPen);
    painter.setBrush(isSelected ? look.accent : look.way);
    painter.drawEllipse(centre, 7, 7);
    painter.setBrush(look.surface);
    painter.drawEllipse(centre, 2.6, 2.6);
    painter.setFont(look.smallBold);
    painter.setPen(isSelected ? look.text : look.quiet);
    painter.drawText(QRectF(centre.x() - 60, centre.y() + 12, 120, 18), Qt::AlignHCenter | Qt::AlignTop, tr("now"));
}

void TimelineAxis::paintMoments(QPainter& painter, Look const& look)
{
    for (auto const node : look.visible) {
        if (!look.isPictured(node))
            paintDot(painter, look, node);
    }
    // Over the dots, and the selected over all.
    auto const paint = [&](int node) {
        auto const y = laneTop(m_layout.lane(node)) + metrics::lineInLane - metrics::pictureHeight / 2;
        QRectF const frame(look.snap(xOf(node) - metrics::pictureWidth / 2.0), look.snap(y), metrics::pictureWidth,
            metrics::pictureHeight);
        paintPicture(painter, look, node, frame);
    };
    int selected = nowIndex;
    for (auto const node : look.pictured)
        entry(node).id == m_selected ? void(selected = node) : paint(node);
    if (selected != nowIndex)
        paint(selected);
}

void TimelineAxis::paintDot(QPainter& painter, Look const& look, int node) const
{
    auto const& moment = entry(node);
    auto const isKept = !moment.isAutomatic() || !moment.name.isEmpty() || moment.pinned;
    QPointF const centre(xOf(node), laneTop(m_layout.lane(node)) + metrics::lineInLane);
    auto const radius = (isKept ? 4.5 : 3.0) + (node == m_hovered ? 1.5 : 0);
    painter.setPen(QPen(look.surface, 1.5));
    painter.setBrush(isKept ? look.text : look.quiet);
    painter.drawEllipse(centre, radius, radius);
    if (moment.id == m_marked) {
        painter.setPen(QPen(look.accent, 1.5, Qt::DotLine));
        painter.setBrush(Qt::NoBrush);
        painter.drawEllipse(centre, radius + 3, radius + 3);
    }
}

void TimelineAxis::paintPicture(QPainter& painter, Look const& look, int node, QRectF const& frame)
{
    auto const& moment = entry(node);
    auto const isSelected = moment.id == m_selected;
    auto const isKept = !moment.isAutomatic() || !moment.name.isEmpty() || moment.pinned;
    // What is automatic is small.
    auto const box = isKept || isSelected ? frame : frame.adjusted(9, 5.5, -9, -5.5);
    painter.drawPixmap(box.topLeft(), pictureOf(moment.id, box.size().toSize(), look.ratio));
    auto const border = isSelected ? look.accent : node == m_hovered ? look.quiet : themeColors().border;
    painter.setBrush(Qt::NoBrush);
    if (isSelected && look.hasFocus) {
        auto ring = look.accent;
        ring.setAlpha(80);
        painter.setPen(QPen(ring, 3));
        painter.drawRoundedRect(box.adjusted(-2, -2, 2, 2), 7, 7);
    }
    painter.setPen(QPen(border, isSelected ? 2 : 1));
    painter.drawRoundedRect(isSelected ? box : box.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5);
    if (moment.id == m_marked) {
        painter.setPen(QPen(look.accent, 2, Qt::DotLine));
        painter.drawRoundedRect(box.adjusted(-3, -3, 3, 3), 7, 7);
    }
    if (moment.pinned) {
        QRectF const badge(box.right() - 9, box.top() - 4, 14, 14);
        painter.setPen(QPen(look.surface, 1.5));
        painter.setBrush(look.accent);
        painter.drawEllipse(badge);
        icon(QStringLiteral("pin"), palette().color(QPalette::HighlightedText))
            .paint(&painter, badge.adjusted(2.5, 2.5, -2.5, -2.5).toRect());
    }
}

/// Rounded, in the pixels of the screen, made once.
QPixmap TimelineAxis::pictureOf(QString const& id, QSize size, qreal ratio)
{
    auto const key = QStringLiteral("%1/%2/%3").arg(id).arg(size.width()).arg(ratio);
    if (auto const* known = m_pixmaps.object(key))
        return *known;
    auto const picture = m_timeline.pictures().find(id, app::MomentPictures::Size::Small);
    QPixmap made(size * ratio);
    made.setDevicePixelRatio(ratio);
    made.fill(Qt::transparent);
    QPainter painter(&made);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setRenderHint(QPainter::SmoothPixmapTransform);
    QPainterPath outline;
    outline.addRoundedRect(QRectF(QPointF(0, 0), QSizeF(size)), 5, 5);
    if (!picture || picture->isNull()) {
        painter.fillPath(outline, themeColors().raised);
        auto const side = size.height() / 2;
        if (picture)
            icon(QStringLiteral("machine"), themeColors().faint)
                .paint(&painter, QRect((size.width() - side) / 2, (size.height() - side) / 2, side, side));
    } else {
        painter.setClipPath(outline);
        painter.fillPath(outline, QColor(0x0c0e11));
        QImage const image(reinterpret_cast<uchar const*>(picture->pixels.data()), static_cast<int>(picture->width),
            static_cast<int>(picture->height), static_cast<int>(picture->width * 4), QImage::Format_RGB32);
        // Its middle, where a frame of other proportions does not hold all of it.
        auto const fitted = image.size().scaled(size, Qt::KeepAspectRatioByExpanding);
        painter.drawImage(
            QRect(QPoint((size.width() - fitted.width()) / 2, (size.height() - fitted.height()) / 2), fitted), image);
    }
    painter.end();
    if (picture)
        m_pixmaps.insert(key, new QPixmap(made), made.width() * made.height() * 4);
    return made;
}

/// Of those that have one: beneath, as long as there is room.
void TimelineAxis::paintNames(QPainter& painter, Look const& look) const
{
    std::map<int, std::vector<int>> named; // by lane
    for (auto const node : look.visible) {
        if (!entry(node).name.isEmpty() || entry(node).id == m_selected)
            named[m_layout.lane(node)].push_back(node);
    }
    QFontMetricsF const measure(look.smallBold);
    for (auto const& [lane, nodes] : named) {
        double taken = -1000;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            auto const node = nodes[i];
            auto const isSelected = entry(node).id == m_selected;
            auto const x = look.snap(xOf(node) - metrics::pictureWidth / 2.0);
            auto end = lane == 0 ? xOfNow() - 24 : static_cast<double>(viewport()->width());
            if (i + 1 < nodes.size())
                end = std::min(end, xOf(nodes[i + 1]) - metrics::pictureWidth / 2.0 - 4);
            auto const room = std::max(end - x, look.isPictured(node) ? metrics::pictureWidth : 0.0);
            if (x < taken || room < 26)
                continue;
            auto const flag = 11.0;
            // In the middle: names that are given end in a number.
            auto const text
                = measure.elidedText(momentTitle(entry(node)), Qt::ElideMiddle, std::min(room, 190.0) - flag);
            auto const top = laneTop(lane) + metrics::lineInLane + metrics::pictureHeight / 2.0 + 3;
            // Lines go on behind it.
            painter.fillRect(
                QRectF(x, top, flag + measure.horizontalAdvance(text) + 3, measure.height() + 1), look.surface);
            // A flag.
            auto const colour = isSelected ? look.accent : look.way;
            painter.fillRect(QRectF(look.snap(x), look.snap(top + 3), 1, 10), colour);
            painter.setPen(Qt::NoPen);
            painter.setBrush(colour);
            painter.drawPolygon(QPolygonF({ { x + 1, top + 3 }, { x + 7.5, top + 5.5 }, { x + 1, top + 8 } }));
            painter.setFont(look.smallBold);
            painter.setPen(isSelected ? look.accent : look.text);
            QRectF const rect(x + flag, top, std::min(room, 190.0) - flag, measure.height() + 1);
            painter.drawText(rect, Qt::AlignLeft | Qt::AlignVCenter, text);
            taken = x + flag + measure.horizontalAdvance(text) + 4;
        }
    }
}

void TimelineAxis::paintTimes(QPainter& painter, Look const& look) const
{
    auto const top = viewport()->height() - metrics::timesHeight;
    QFontMetricsF const measure(look.small);
    painter.setFont(look.small);
    QRectF head;
    if (!m_selected.isEmpty()) {
        auto const text = clock(entry(selectedIndex()).time, true);
        auto const width = measure.horizontalAdvance(text) + 14;
        auto const x = std::clamp(xOf(selectedIndex()) - width / 2, 0.0, viewport()->width() - width);
        head = QRectF(look.snap(x), top + 1, width, metrics::timesHeight - 2);
        painter.setPen(Qt::NoPen);
        painter.setBrush(look.accent);
        painter.drawRoundedRect(head, 5, 5);
        painter.setPen(palette().color(QPalette::HighlightedText));
        painter.drawText(head, Qt::AlignCenter, text);
    }
    painter.setPen(look.quiet);
    auto last = QDate::currentDate();
    double taken = -1000;
    QString before;
    for (auto const node : look.visible) {
        if (xOf(node) < taken)
            continue; // of a thousand only those are put into words that may have room
        auto const date = QDateTime::fromMSecsSinceEpoch(entry(node).time).date();
        auto text = clock(entry(node).time, false);
        if (date != last)
            text = day(date) + QStringLiteral("  ") + text;
        else if (text == before)
            continue; // said already
        auto const width = measure.horizontalAdvance(text);
        QRectF const rect(look.snap(xOf(node) - width / 2), top, width, metrics::timesHeight);
        if (rect.left() < taken || rect.left() < 2 || rect.right() > viewport()->width() - 2
            || rect.adjusted(-8, 0, 8, 0).intersects(head))
            continue;
        painter.drawText(rect, Qt::AlignCenter, text);
        taken = rect.right() + 28;
        before = clock(entry(node).time, false);
        last = date;
    }
}

}
