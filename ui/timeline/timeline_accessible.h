#pragma once

#include <QAccessible>
#include <QAccessibleWidget>
#include <map>

namespace ui {

class TimelineAxis;

/// The axis as a list for a screen reader: the moments in the order of their times, and now.
class TimelineAccessible final : public QAccessibleWidget {
public:
    explicit TimelineAccessible(TimelineAxis* axis);
    ~TimelineAccessible() override;

    int childCount() const override;
    QAccessibleInterface* child(int index) const override;
    int indexOfChild(QAccessibleInterface const* child) const override;
    QAccessibleInterface* childAt(int x, int y) const override;
    QAccessibleInterface* focusChild() const override;

private:
    TimelineAxis& axis() const;
    mutable std::map<int, QAccessible::Id> m_children; // made as they are asked for
};

/// Makes Qt give every TimelineAxis its TimelineAccessible; once is enough.
void installTimelineAccessibility();

}
