#pragma once

#include "ui/widgets/tab_order.h"

#include <QApplication>
#include <QLayout>
#include <QWidget>
#include <optional>

namespace ui {

/// Rows are made anew; the focus stays on the control of the same name, or goes on to what comes after the rows. The
/// Tab key comes through them where they stand.
class Refill {
public:
    explicit Refill(QWidget* rows) : m_rows(rows)
    {
        if (auto* focus = QApplication::focusWidget(); focus != nullptr && rows->isAncestorOf(focus))
            m_focus = focus->accessibleName();
        while (auto* item = rows->layout()->takeAt(0)) {
            if (item->widget() != nullptr) {
                item->widget()->hide(); // one of its buttons may be the sender
                item->widget()->deleteLater();
            }
            delete item;
        }
    }
    ~Refill()
    {
        m_rows->setVisible(m_rows->layout()->count() > 0);
        auto* last = before();
        for (int i = 0; i < m_rows->layout()->count(); ++i)
            last = tabThrough(last, m_rows->layout()->itemAt(i)->widget());
        if (m_focus)
            giveFocus();
    }
    Refill(Refill const&) = delete;
    Refill& operator=(Refill const&) = delete;

private:
    /// What the Tab key comes from to the rows.
    QWidget* before() const
    {
        auto* found = m_rows->previousInFocusChain();
        while (found != m_rows && (!takesTab(found, m_rows->window()) || m_rows->isAncestorOf(found)))
            found = found->previousInFocusChain();
        return found;
    }
    void giveFocus() const
    {
        auto* layout = m_rows->layout();
        QWidget* first = nullptr;
        for (int i = 0; i < layout->count(); ++i) {
            for (auto* child : layout->itemAt(i)->widget()->findChildren<QWidget*>()) {
                if (!child->isEnabledTo(m_rows) || child->focusPolicy() == Qt::NoFocus
                    || child->accessibleName().isEmpty())
                    continue;
                if (child->accessibleName() == *m_focus) {
                    child->setFocus(Qt::OtherFocusReason);
                    return;
                }
                if (first == nullptr)
                    first = child;
            }
        }
        for (auto* at = m_rows->nextInFocusChain(); first == nullptr && at != m_rows; at = at->nextInFocusChain()) {
            if (takesTab(at, m_rows->window()) && at->isEnabled() && at->isVisible())
                first = at;
        }
        if (first != nullptr)
            first->setFocus(Qt::OtherFocusReason);
    }

    QWidget* m_rows;
    std::optional<QString> m_focus;
};

}
