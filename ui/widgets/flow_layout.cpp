#include "ui/widgets/flow_layout.h"

#include <QStyle>
#include <QWidget>
#include <algorithm>

namespace ui {

namespace {

constexpr int enough = 160; // pixels of what stretches, such as a name

int stretchOf(QLayoutItem* item)
{
    return item->widget() != nullptr ? item->widget()->sizePolicy().horizontalStretch() : 0;
}

int widthOf(QLayoutItem* item)
{
    auto const asked = item->sizeHint().width();
    return stretchOf(item) > 0 ? std::max(std::min(asked, enough), item->minimumSize().width()) : asked;
}

}

FlowLayout::FlowLayout(QWidget* parent) : QLayout(parent) { }

FlowLayout::~FlowLayout() = default;

void FlowLayout::addWidget(QWidget* widget, int stretch)
{
    auto policy = widget->sizePolicy();
    policy.setHorizontalStretch(static_cast<uchar>(stretch));
    widget->setSizePolicy(policy);
    addWidget(widget);
}

void FlowLayout::addItem(QLayoutItem* item)
{
    m_items.emplace_back(item);
    invalidate();
}

QLayoutItem* FlowLayout::itemAt(int index) const
{
    return index >= 0 && index < count() ? m_items[static_cast<std::size_t>(index)].get() : nullptr;
}

QLayoutItem* FlowLayout::takeAt(int index)
{
    if (itemAt(index) == nullptr)
        return nullptr;
    auto* item = m_items[static_cast<std::size_t>(index)].release();
    m_items.erase(m_items.begin() + index);
    invalidate();
    return item;
}

QSize FlowLayout::minimumSize() const
{
    QSize most(0, 0);
    for (auto const& item : m_items) {
        if (!item->isEmpty())
            most = most.expandedTo(item->minimumSize());
    }
    auto const margins = contentsMargins();
    return most + QSize(margins.left() + margins.right(), margins.top() + margins.bottom());
}

/// All in one line.
QSize FlowLayout::sizeHint() const
{
    QSize whole(0, 0);
    for (auto const& item : m_items) {
        if (!item->isEmpty())
            whole = { whole.width() + (whole.isEmpty() ? 0 : spacing()) + item->sizeHint().width(),
                std::max(whole.height(), item->sizeHint().height()) };
    }
    auto const margins = contentsMargins();
    return whole + QSize(margins.left() + margins.right(), margins.top() + margins.bottom());
}

std::vector<FlowLayout::Line> FlowLayout::linesIn(int width) const
{
    std::vector<Line> lines;
    for (auto const& item : m_items) {
        if (item->isEmpty())
            continue;
        auto const wanted = widthOf(item.get());
        if (lines.empty() || lines.back().width + spacing() + wanted > width)
            lines.emplace_back();
        auto& line = lines.back();
        line.width += (line.items.empty() ? 0 : spacing()) + wanted;
        line.height = std::max(line.height, item->sizeHint().height());
        line.stretch += stretchOf(item.get());
        line.items.push_back(item.get());
    }
    return lines;
}

int FlowLayout::heightForWidth(int width) const
{
    auto const margins = contentsMargins();
    auto const lines = linesIn(width - margins.left() - margins.right());
    auto height = margins.top() + margins.bottom();
    for (auto const& line : lines)
        height += line.height + (&line == &lines.front() ? 0 : spacing());
    return height;
}

void FlowLayout::setGeometry(QRect const& rect)
{
    QLayout::setGeometry(rect);
    auto room = rect.marginsRemoved(contentsMargins());
    auto const lines = linesIn(room.width());
    bool const hasStretch = std::ranges::any_of(lines, [](Line const& line) { return line.stretch > 0; });
    if (lines.size() == 1)
        room.setTop(room.top() + std::max(0, (room.height() - lines.front().height) / 2));
    for (auto const& line : lines) {
        auto const from = line.stretch == 0 && hasStretch ? std::max(0, room.width() - line.width) : 0;
        place(line, { room.left() + from, room.top(), room.width() - from, line.height });
        room.setTop(room.top() + line.height + spacing());
    }
}

void FlowLayout::place(Line const& line, QRect const& room) const
{
    auto const direction = parentWidget() != nullptr ? parentWidget()->layoutDirection() : Qt::LeftToRight;
    auto left = room.left();
    auto rest = std::max(0, room.width() - line.width), stretch = line.stretch;
    for (auto* item : line.items) {
        auto width = std::min(widthOf(item), room.width());
        if (auto const part = stretchOf(item); part > 0) {
            auto const share = rest * part / stretch;
            width += share;
            rest -= share;
            stretch -= part;
        }
        auto const height = std::min(item->sizeHint().height(), line.height);
        QRect const own(left, room.top() + (line.height - height) / 2, width, height);
        item->setGeometry(QStyle::visualRect(direction, geometry(), own));
        left += width + spacing();
    }
}

}
