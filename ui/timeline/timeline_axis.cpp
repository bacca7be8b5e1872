#include "ui/timeline/timeline_axis.h"

#include "ui/timeline/moment_words.h"
#include "ui/timeline/timeline_accessible.h"
#include "ui/timeline/timeline_metrics.h"

#include <QAccessible>
#include <QDateTime>
#include <QKeyEvent>
#include <QScrollBar>
#include <QToolTip>

namespace ui {

TimelineAxis::TimelineAxis(app::TimelineSession& timeline, QWidget* parent)
    : QAbstractScrollArea(parent), m_timeline(timeline), m_pixmaps(metrics::pixmapBytes)
{
    installTimelineAccessibility();
    setFrameShape(QFrame::NoFrame);
    setFocusPolicy(Qt::StrongFocus);
    // Time goes to the right for everybody, as a film does.
    setLayoutDirection(Qt::LeftToRight);
    setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Fixed);
    viewport()->setMouseTracking(true);
    viewport()->setAutoFillBackground(false);
    connect(&timeline, &app::TimelineSession::changed, this, &TimelineAxis::arrange);
    connect(&timeline.pictures(), &app::MomentPictures::arrived, this, [this] { viewport()->update(); });
    connect(horizontalScrollBar(), &QScrollBar::valueChanged, this, [this](int value) {
        m_atEnd = value == horizontalScrollBar()->maximum();
        viewport()->update();
    });
    arrange();
}

// Where everything is

void TimelineAxis::arrange()
{
    auto const before = m_layout.lanes();
    auto const& moments = m_timeline.moments();
    m_index.clear();
    std::vector<TimelineLayout::Node> nodes;
    nodes.reserve(moments.size());
    for (auto const& moment : moments) {
        m_index[moment.id] = static_cast<int>(nodes.size());
        nodes.push_back({ moment.time });
    }
    auto const indexOf = [this](QString const& id) {
        auto const found = m_index.find(id);
        return found == m_index.end() ? TimelineLayout::none : found->second;
    };
    for (std::size_t i = 0; i < nodes.size(); ++i)
        nodes[i].parent = indexOf(moments[i].parent);
    m_layout = TimelineLayout(nodes, indexOf(m_timeline.present()), QDateTime::currentMSecsSinceEpoch());
    m_hovered = nowIndex;
    setVerticalScrollBarPolicy(m_layout.lanes() > metrics::mostLanes ? Qt::ScrollBarAsNeeded : Qt::ScrollBarAlwaysOff);
    updateScale();
    if (before != m_layout.lanes())
        updateGeometry();
    if (!m_selected.isEmpty() && !m_index.contains(m_selected))
        select({});
    if (!m_index.contains(m_marked))
        m_marked.clear();
    viewport()->update();
    QAccessibleEvent changed(this, QAccessible::ObjectReorder);
    QAccessible::updateAccessibility(&changed);
}

double TimelineAxis::smallestScale() const
{
    auto const room = viewport()->width() - metrics::left - metrics::right;
    return m_layout.count() == 0 ? metrics::usualScale
                                 : std::clamp(room / m_layout.nowPosition(), 0.05, metrics::usualScale);
}

void TimelineAxis::updateScale()
{
    auto const room = viewport()->width() - metrics::left - metrics::right;
    if (!m_isZoomed)
        m_scale = m_layout.count() == 0
            ? metrics::usualScale
            : std::clamp(room / m_layout.nowPosition(), metrics::leastScale, metrics::usualScale);
    m_scale = std::clamp(m_scale, std::min(smallestScale(), metrics::leastScale), metrics::mostScale);
    updateScrollBars();
}

void TimelineAxis::updateScrollBars()
{
    auto const atEnd = m_atEnd;
    auto const width = metrics::left + m_layout.nowPosition() * m_scale + metrics::right;
    auto const height = metrics::top + m_layout.lanes() * metrics::laneHeight + metrics::timesHeight;
    auto const wasWide = horizontalScrollBar()->maximum() > 0;
    horizontalScrollBar()->setPageStep(viewport()->width());
    horizontalScrollBar()->setSingleStep(metrics::pictureWidth);
    horizontalScrollBar()->setRange(0, std::max(0, qRound(width) - viewport()->width()));
    verticalScrollBar()->setPageStep(viewport()->height());
    verticalScrollBar()->setSingleStep(metrics::laneHeight);
    verticalScrollBar()->setRange(0, std::max(0, height - viewport()->height()));
    if (wasWide != (horizontalScrollBar()->maximum() > 0))
        updateGeometry();
    if (atEnd)
        horizontalScrollBar()->setValue(horizontalScrollBar()->maximum());
    m_atEnd = atEnd;
}

double TimelineAxis::xOf(int node) const
{
    return node == nowIndex ? xOfNow()
                            : metrics::left + m_layout.position(node) * m_scale - horizontalScrollBar()->value();
}

double TimelineAxis::xOfNow() const
{
    // Where all fits, now is at the right edge, and what is kept comes nearer to it.
    auto const reckoned = metrics::left + m_layout.nowPosition() * m_scale - horizontalScrollBar()->value();
    return horizontalScrollBar()->maximum() > 0 ? reckoned
                                                : std::max<double>(reckoned, viewport()->width() - metrics::right);
}

int TimelineAxis::laneTop(int lane) const
{
    return metrics::top + lane * metrics::laneHeight - verticalScrollBar()->value();
}

int TimelineAxis::laneAt(int y) const
{
    return std::clamp((y + verticalScrollBar()->value() - metrics::top) / metrics::laneHeight, 0, m_layout.lanes() - 1);
}

QRect TimelineAxis::rectOf(int index) const
{
    auto const node = index >= count() ? nowIndex : index;
    auto const lane = node == nowIndex ? 0 : m_layout.lane(node);
    auto const x = qRound(xOf(node));
    return { x - metrics::pictureWidth / 2, laneTop(lane), metrics::pictureWidth, metrics::laneHeight };
}

int TimelineAxis::indexAt(QPoint position) const
{
    auto const lane = laneAt(position.y());
    auto const wanted = (position.x() + horizontalScrollBar()->value() - metrics::left) / m_scale;
    auto const node = m_layout.nearest(lane, wanted);
    auto const toNow = std::abs(position.x() - xOfNow());
    if (node == TimelineLayout::none)
        return count();
    return lane == 0 && toNow <= std::abs(position.x() - xOf(node)) ? count() : node;
}

QSize TimelineAxis::sizeHint() const
{
    auto const shown = std::min<double>(m_layout.lanes(), metrics::mostLanes);
    auto const bar = horizontalScrollBar()->maximum() > 0 ? horizontalScrollBar()->sizeHint().height() : 0;
    return { 600, metrics::top + qRound(shown * metrics::laneHeight) + metrics::timesHeight + bar };
}

QSize TimelineAxis::minimumSizeHint() const
{
    return { 200, sizeHint().height() };
}

// What is selected

int TimelineAxis::selectedIndex() const
{
    auto const found = m_index.find(m_selected);
    return found == m_index.end() ? count() : found->second;
}

void TimelineAxis::selectIndex(int index)
{
    select(index < 0 || index >= count() ? QString() : entry(index).id);
}

void TimelineAxis::select(QString const& id)
{
    if (m_selected == id)
        return;
    m_selected = m_index.contains(id) ? id : QString();
    showSelected();
    viewport()->update();
    emit selectionChanged(m_selected);
    QAccessibleEvent focus(this, hasFocus() ? QAccessible::Focus : QAccessible::Selection);
    focus.setChild(selectedIndex());
    QAccessible::updateAccessibility(&focus);
}

void TimelineAxis::setMarked(QString const& id)
{
    auto const before = std::exchange(m_marked, id);
    viewport()->update();
    for (auto const& one : { before, id }) {
        if (auto const found = m_index.find(one); found != m_index.end()) {
            QAccessibleEvent renamed(this, QAccessible::NameChanged);
            renamed.setChild(found->second);
            QAccessible::updateAccessibility(&renamed);
        }
    }
}

void TimelineAxis::moveTo(int node)
{
    select(node == nowIndex ? QString() : entry(node).id);
}

void TimelineAxis::showSelected()
{
    auto const node = m_selected.isEmpty() ? nowIndex : selectedIndex();
    auto* bar = horizontalScrollBar();
    auto const x = xOf(node);
    if (x < metrics::left)
        bar->setValue(bar->value() - qRound(metrics::left * 2 - x));
    else if (x > viewport()->width() - metrics::right)
        bar->setValue(bar->value() + qRound(x - viewport()->width() + metrics::right * 1.5));
    auto* down = verticalScrollBar();
    auto const top = laneTop(node == nowIndex ? 0 : m_layout.lane(node));
    if (top < 0)
        down->setValue(down->value() + top - metrics::top);
    else if (top + metrics::laneHeight > viewport()->height() - metrics::timesHeight)
        down->setValue(down->value() + top + metrics::laneHeight - viewport()->height() + metrics::timesHeight);
}

void TimelineAxis::zoomBy(double factor)
{
    // About what is selected, or the end.
    auto const node = m_selected.isEmpty() ? nowIndex : selectedIndex();
    auto const x = xOf(node);
    m_scale *= factor;
    m_isZoomed = true;
    m_atEnd = node == nowIndex;
    updateScale();
    if (node != nowIndex)
        horizontalScrollBar()->setValue(qRound(metrics::left + m_layout.position(node) * m_scale - x));
    viewport()->update();
}

// Keys

bool TimelineAxis::moveByKey(int key)
{
    auto const node = m_selected.isEmpty() ? nowIndex : selectedIndex();
    switch (key) {
    case Qt::Key_Left:
        // Where nothing led to now (what did is deleted), to the latest there is.
        if (auto const before = m_layout.before(node); before != TimelineLayout::none)
            moveTo(before);
        else if (node == nowIndex && count() > 0)
            moveTo(count() - 1);
        return true;
    case Qt::Key_Right:
        if (node != nowIndex)
            moveTo(m_layout.after(node));
        return true;
    case Qt::Key_Up: moveTo(m_layout.above(node)); return true;
    case Qt::Key_Down: moveTo(m_layout.below(node)); return true;
    case Qt::Key_Home:
        if (count() > 0)
            moveTo(0);
        return true;
    case Qt::Key_End: moveTo(nowIndex); return true;
    case Qt::Key_Plus:
    case Qt::Key_Equal: zoomBy(metrics::zoomStep); return true;
    case Qt::Key_Minus: zoomBy(1 / metrics::zoomStep); return true;
    default: return false;
    }
}

std::optional<TimelineAxis::Request> TimelineAxis::requestOf(QKeyEvent const& event) const
{
    if (event.matches(QKeySequence::Undo))
        return Request::Undo;
    if ((event.modifiers() & (Qt::ControlModifier | Qt::AltModifier | Qt::MetaModifier)) != 0)
        return std::nullopt;
    switch (event.key()) {
    case Qt::Key_M: return Request::Keep;
    case Qt::Key_Return:
    case Qt::Key_Enter: return Request::Go;
    case Qt::Key_F: return Request::Fork;
    case Qt::Key_Delete:
    case Qt::Key_Backspace: return Request::Remove;
    case Qt::Key_R:
    case Qt::Key_F2: return Request::Rename;
    case Qt::Key_N: return Request::Note;
    case Qt::Key_P: return Request::Pin;
    case Qt::Key_Space: return Request::Mark;
    case Qt::Key_E: return Request::Export;
    case Qt::Key_Menu: return Request::Menu;
    default: return std::nullopt;
    }
}

bool TimelineAxis::event(QEvent* event)
{
    // Letters, F2 and undo are ours here before they are shortcuts of the window.
    if (event->type() == QEvent::ShortcutOverride && requestOf(*static_cast<QKeyEvent*>(event))) {
        event->accept();
        return true;
    }
    return QAbstractScrollArea::event(event);
}

void TimelineAxis::keyPressEvent(QKeyEvent* event)
{
    if (auto const request = requestOf(*event)) {
        emit requested(*request);
        return;
    }
    if (event->key() == Qt::Key_Escape) {
        if (m_selected.isEmpty())
            emit requested(Request::Leave);
        select({});
        return;
    }
    auto const plain = event->modifiers() & (Qt::ControlModifier | Qt::AltModifier | Qt::MetaModifier);
    if (plain || !moveByKey(event->key()))
        event->ignore();
}

void TimelineAxis::focusInEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusInEvent(event);
    viewport()->update();
    QAccessibleEvent focus(this, QAccessible::Focus);
    focus.setChild(selectedIndex());
    QAccessible::updateAccessibility(&focus);
}

void TimelineAxis::focusOutEvent(QFocusEvent* event)
{
    QAbstractScrollArea::focusOutEvent(event);
    viewport()->update();
}

// The pointer

void TimelineAxis::scrub(QPoint position)
{
    selectIndex(indexAt({ std::clamp(position.x(), 0, viewport()->width() - 1), position.y() }));
}

void TimelineAxis::mousePressEvent(QMouseEvent* event)
{
    if (event->button() != Qt::LeftButton)
        return;
    m_dragged = event->pos();
    scrub(m_dragged);
}

void TimelineAxis::mouseMoveEvent(QMouseEvent* event)
{
    if ((event->buttons() & Qt::LeftButton) != 0) {
        m_dragged = event->pos();
        scrub(m_dragged);
        auto const isBeyond = m_dragged.x() < metrics::left || m_dragged.x() > viewport()->width() - metrics::left;
        if (isBeyond && !m_edgeTimer.isActive())
            m_edgeTimer.start(40, this);
        return;
    }
    auto const index = indexAt(event->pos());
    auto const isNear = index < count() && std::abs(event->pos().x() - xOf(index)) <= metrics::pictureWidth / 2;
    if (std::exchange(m_hovered, isNear ? index : nowIndex) != m_hovered)
        viewport()->update();
}

void TimelineAxis::timerEvent(QTimerEvent* event)
{
    if (event->timerId() != m_edgeTimer.timerId())
        return QAbstractScrollArea::timerEvent(event);
    auto const beyond = m_dragged.x() < metrics::left         ? m_dragged.x() - metrics::left
        : m_dragged.x() > viewport()->width() - metrics::left ? m_dragged.x() - viewport()->width() + metrics::left
                                                              : 0;
    if (beyond == 0)
        return m_edgeTimer.stop();
    horizontalScrollBar()->setValue(horizontalScrollBar()->value() + beyond / 2);
    scrub(m_dragged);
}

void TimelineAxis::mouseReleaseEvent(QMouseEvent*)
{
    m_edgeTimer.stop();
}

void TimelineAxis::mouseDoubleClickEvent(QMouseEvent* event)
{
    if (event->button() == Qt::LeftButton && !m_selected.isEmpty())
        emit requested(Request::Go);
}

void TimelineAxis::wheelEvent(QWheelEvent* event)
{
    auto const delta = event->angleDelta();
    if (delta.x() != 0 || (event->modifiers() & Qt::ShiftModifier) != 0) {
        horizontalScrollBar()->setValue(horizontalScrollBar()->value() - (delta.x() != 0 ? delta.x() : delta.y()));
        return;
    }
    // About what is under the pointer.
    auto const x = event->position().x();
    auto const position = (x + horizontalScrollBar()->value() - metrics::left) / m_scale;
    m_scale *= std::pow(metrics::zoomStep, delta.y() / 120.0);
    m_isZoomed = true;
    m_atEnd = false;
    updateScale();
    horizontalScrollBar()->setValue(qRound(metrics::left + position * m_scale - x));
    m_atEnd = horizontalScrollBar()->value() == horizontalScrollBar()->maximum();
    viewport()->update();
}

void TimelineAxis::contextMenuEvent(QContextMenuEvent* event)
{
    if (event->reason() == QContextMenuEvent::Mouse)
        scrub(viewport()->mapFromGlobal(event->globalPos()));
    emit requested(Request::Menu);
}

bool TimelineAxis::viewportEvent(QEvent* event)
{
    if (event->type() == QEvent::ToolTip) {
        auto const* help = static_cast<QHelpEvent*>(event);
        auto const index = m_hovered;
        if (index == nowIndex || index >= count()) {
            QToolTip::hideText();
            return true;
        }
        auto const& moment = entry(index);
        QToolTip::showText(help->globalPos(),
            QStringLiteral("<b>%1</b><br>%2<br>%3")
                .arg(momentTitle(moment).toHtmlEscaped(), momentTime(moment.time).toHtmlEscaped(),
                    momentDetails(moment, m_timeline).toHtmlEscaped()),
            viewport(), rectOf(index));
        return true;
    }
    if (event->type() == QEvent::Leave && std::exchange(m_hovered, nowIndex) != nowIndex)
        viewport()->update();
    return QAbstractScrollArea::viewportEvent(event);
}

void TimelineAxis::resizeEvent(QResizeEvent* event)
{
    QAbstractScrollArea::resizeEvent(event);
    updateScale();
}

void TimelineAxis::showEvent(QShowEvent* event)
{
    QAbstractScrollArea::showEvent(event);
    m_timeline.open();
}

void TimelineAxis::changeEvent(QEvent* event)
{
    QAbstractScrollArea::changeEvent(event);
    if (event->type() == QEvent::PaletteChange) {
        m_pixmaps.clear();
        viewport()->update();
    } else if (event->type() == QEvent::LanguageChange) {
        viewport()->update();
    }
}

}
