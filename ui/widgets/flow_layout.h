#pragma once

#include <QLayout>
#include <QList>
#include <memory>
#include <vector>

namespace ui {

/// A row whose parts go on in another line where they have no room in one, so that it is no wider than the widest of
/// them. A widget with a stretch takes what its line has left, and may be narrower than it asks for; where there is
/// one, the other lines end where its own does.
class FlowLayout final : public QLayout {
    Q_OBJECT
public:
    explicit FlowLayout(QWidget* parent = nullptr);
    ~FlowLayout() override;

    /// With its widget's stretch in the direction of the line.
    void addWidget(QWidget* widget, int stretch);
    using QLayout::addWidget;

    void addItem(QLayoutItem* item) override;
    int count() const override { return static_cast<int>(m_items.size()); }
    QLayoutItem* itemAt(int index) const override;
    QLayoutItem* takeAt(int index) override;
    Qt::Orientations expandingDirections() const override { return {}; }
    QSize minimumSize() const override;
    QSize sizeHint() const override;
    bool hasHeightForWidth() const override { return true; }
    int heightForWidth(int width) const override;
    void setGeometry(QRect const& rect) override;

private:
    struct Line {
        std::vector<QLayoutItem*> items;
        int width = 0, height = 0, stretch = 0;
    };
    std::vector<Line> linesIn(int width) const;
    void place(Line const& line, QRect const& room) const;

    std::vector<std::unique_ptr<QLayoutItem>> m_items;
};

}
