#pragma once

#include <QWidget>
#include <deque>

namespace ui {

/// The last two minutes of one figure as a line: 0 to 1, one sample each second.
class UsageGraph final : public QWidget {
    Q_OBJECT
public:
    static constexpr std::size_t samples = 120;

    using QWidget::QWidget;

    void add(double fraction, QString const& caption);
    void clear();
    QString caption() const { return m_caption; }
    QSize sizeHint() const override { return { 200, 56 }; }

protected:
    void paintEvent(QPaintEvent* event) override;

private:
    std::deque<double> m_samples;
    QString m_caption;
};

}
