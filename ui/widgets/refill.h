#pragma once

#include <QApplication>
#include <QLayout>
#include <QWidget>
#include <optional>

namespace ui {

/// Rows are made anew; the focus stays on the control of the same name.
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
        if (!m_focus)
            return;
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
        if (first != nullptr)
            first->setFocus(Qt::OtherFocusReason);
    }
    Refill(Refill const&) = delete;
    Refill& operator=(Refill const&) = delete;

private:
    QWidget* m_rows;
    std::optional<QString> m_focus;
};

}
