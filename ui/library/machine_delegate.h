#pragma once

#include <QStyledItemDelegate>

namespace ui {

/// One machine in the library: its picture, name and state, and what is going on as a line with a cancel button.
class MachineDelegate final : public QStyledItemDelegate {
    Q_OBJECT
public:
    using QStyledItemDelegate::QStyledItemDelegate;

    void paint(QPainter* painter, QStyleOptionViewItem const& option, QModelIndex const& index) const override;
    QSize sizeHint(QStyleOptionViewItem const& option, QModelIndex const& index) const override;
    void updateEditorGeometry(
        QWidget* editor, QStyleOptionViewItem const& option, QModelIndex const& index) const override;
    bool editorEvent(QEvent* event, QAbstractItemModel* model, QStyleOptionViewItem const& option,
        QModelIndex const& index) override;

signals:
    void cancelRequested(QModelIndex const& index);

private:
    static QRect cancelRect(QRect row);
};

}
