#include "ui/widgets/usage_graph.h"

#include "ui/theme/theme.h"

#include <QPainter>
#include <QPainterPath>

namespace ui {

void UsageGraph::add(double fraction, QString const& caption)
{
    m_samples.push_back(std::clamp(fraction, 0.0, 1.0));
    if (m_samples.size() > samples)
        m_samples.pop_front();
    m_caption = caption;
    setAccessibleDescription(caption);
    update();
}

void UsageGraph::clear()
{
    m_samples.clear();
    m_caption.clear();
    update();
}

void UsageGraph::paintEvent(QPaintEvent*)
{
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    auto const colors = themeColors();
    auto const area = QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5);
    QPainterPath frame;
    frame.addRoundedRect(area, 7, 7);
    painter.fillPath(frame, palette().color(QPalette::Base));
    painter.setClipPath(frame);
    if (m_samples.size() > 1) {
        auto const step = area.width() / (samples - 1);
        auto x = area.right() - step * static_cast<double>(m_samples.size() - 1);
        QPainterPath line;
        auto const y = [&](double value) { return area.bottom() - 2 - value * (area.height() - 6); };
        line.moveTo(x, y(m_samples.front()));
        for (std::size_t i = 1; i < m_samples.size(); ++i)
            line.lineTo(x += step, y(m_samples[i]));
        auto fill = line;
        fill.lineTo(area.right(), area.bottom());
        fill.lineTo(area.right() - step * static_cast<double>(m_samples.size() - 1), area.bottom());
        auto tint = palette().color(QPalette::Highlight);
        painter.setPen(QPen(tint, 1.5));
        painter.drawPath(line);
        tint.setAlpha(40);
        painter.fillPath(fill, tint);
    }
    painter.setClipping(false);
    painter.setPen(colors.border);
    painter.drawPath(frame);
    painter.setPen(palette().color(QPalette::WindowText));
    painter.drawText(rect().adjusted(8, 4, -8, -4), Qt::AlignTop | Qt::AlignLeft, m_caption);
}

}
