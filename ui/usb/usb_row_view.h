#pragma once

#include "ui/usb/usb_row.h"

#include <QWidget>

class QLabel;
class QToolButton;
class QVBoxLayout;

namespace ui {

class ElidedLabel;
class Switch;

/// A row of UsbPanel.
class UsbRowView final : public QWidget {
    Q_OBJECT
public:
    explicit UsbRowView(QWidget* parent = nullptr);

    void setRow(UsbRow const& row);
    UsbRow const& row() const { return m_row; }
    Switch* plug() const { return m_switch; }
    QToolButton* removal() const { return m_remove; }

signals:
    void wanted(QString id, bool plugged);
    void removalWanted(QString id);
    void dragged();

protected:
    void changeEvent(QEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;

private:
    void update();
    QString unplugWords() const;

    UsbRow m_row;
    QLabel *m_icon, *m_details;
    ElidedLabel* m_name;
    QToolButton* m_remove; // of the machine's own
    Switch* m_switch;
    QPoint m_pressedAt;
};

/// Rows under a heading. A device of the other group may be dropped here.
class UsbGroup final : public QWidget {
    Q_OBJECT
public:
    UsbGroup(UsbRow::Group group, QWidget* parent = nullptr);

    void setHeading(QString const& heading);
    /// What is said where there is no row; empty: the group is not there then.
    void setNothing(QString const& text);
    /// These and no others, in this order.
    void place(std::vector<UsbRowView*> const& rows);

signals:
    void dropped(QString id, bool plugged);

protected:
    void paintEvent(QPaintEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dragLeaveEvent(QDragLeaveEvent* event) override;
    void dropEvent(QDropEvent* event) override;

private:
    bool takes(QDropEvent const& event) const;
    void setOver(bool isOver);

    UsbRow::Group m_group;
    QLabel *m_heading, *m_nothing;
    QVBoxLayout* m_rows;
    bool m_isOver = false;
};

}
